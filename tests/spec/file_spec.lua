local file = require("unit").file
local storage = require "support.storage"

describe("file", function()
	local dir

	before_each(function()
		dir = storage.temp_dir()
	end)
	after_each(function()
		storage.remove(dir)
	end)

	local function path(name)
		return dir .. "/" .. name
	end

	local function stat(format, name)
		return (storage.output(("stat -c %s %s"):format(format, storage.quote(path(name)))):gsub("\n",
			""))
	end

	local function no_leftovers()
		assert.same({}, storage.names_with(dir, ".tmp."))
	end

	-- What may stand where a file is expected; none of them may be followed, opened or changed.
	local objects = {
		{ "a symbolic link", "ln -s target %s/f; echo old > %s/target" },
		{ "a dangling link", "ln -s nowhere %s/f; : %s", "symbolic link" },
		{ "a FIFO", "mkfifo %s/f; : %s" },
		{ "a directory", "mkdir %s/f; : %s" },
		{ "a socket", "/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"%s/f\")'; : %s" },
		{ "a device", "mknod %s/f c 1 5; : %s", root = true },
	}

	describe("read", function()
		it("gives the bytes and the version", function()
			storage.write(path("f"), "a\0b\n")
			local text, version = file.read(dir, "f")
			assert.equal("a\0b\n", text)
			assert.is_true(version.exists)
			assert.equal(4, version.size)
			assert.same(version, file.version(dir, "f"))
		end)

		it("tells absent, empty and too large apart", function()
			assert.equal("not_found", select(3, file.read(dir, "f")))
			assert.is_false(file.version(dir, "f").exists)
			storage.write(path("f"), "")
			assert.equal("", (file.read(dir, "f")))
			storage.write(path("f"), ("x"):rep(100))
			assert.equal(100, #file.read(dir, "f", 100))
			assert.equal("invalid", select(3, file.read(dir, "f", 99)))
			assert.equal("invalid", select(3, file.read_path(path("f"), 99)))
		end)

		it("refuses a huge sparse file without reading it", function()
			storage.shell("truncate -s 3G %s", path("f"))
			local begun = os.clock()
			local text, message, code = file.read(dir, "f")
			assert.is_nil(text)
			assert.equal("invalid", code)
			assert.is_truthy(message:find("larger than", 1, true))
			assert.is_true(os.clock() - begun < 0.1)
		end)

		it("stops at the limit in a file that is larger than it says", function()
			assert.is_truthy(#assert(file.read("/proc/self", "maps", 1 << 20)) > 100)
			local text, message, code = file.read("/proc/self", "maps", 100)
			assert.is_nil(text)
			assert.equal("invalid", code)
			assert.is_truthy(message:find("larger than 100 bytes", 1, true), message)
		end)

		it("follows links only where a user names the file", function()
			storage.write(path("target"), "x")
			storage.shell("ln -s target %s", path("f"))
			assert.equal("x", (file.read_path(path("f"))))
			assert.equal("invalid", select(3, file.read(dir, "f")))
		end)

		for _, object in ipairs(objects) do
			it("refuses " .. object[1] .. " without waiting", function()
				if object.root and storage.skip_without(storage.is_root, "root") then
					return pending("needs root")
				end
				storage.shell((object[2]:gsub("%%s", dir)))
				local text, message, code = file.read(dir, "f")
				assert.is_nil(text)
				assert.equal("invalid", code)
				assert.is_truthy(message:find(object[3] or object[1], 1, true), message)
			end)
		end
	end)

	describe("replace", function()
		it("makes a new file with the mode of any new file", function()
			storage.shell("umask 027; touch %s", path("other"))
			assert.equal("done", (file.replace(dir, "f", "new\n")))
			assert.equal("new\n", storage.read(path("f")))
			storage.shell("rm %s; touch %s", path("other"), path("other"))
			assert.equal(stat("%a", "other"), stat("%a", "f"))
			no_leftovers()
		end)

		it("keeps the mode, and the old version as a backup", function()
			storage.write(path("f"), "old\n")
			for _, mode in ipairs({ "600", "640", "664", "444", "755" }) do
				storage.shell("chmod " .. mode .. " %s; rm -f %s", path("f"), path("f.bak"))
				local before = storage.read(path("f"))
				assert.equal("done", (file.replace(dir, "f", mode, { backup = "f.bak" })))
				assert.equal(mode, stat("%a", "f"))
				assert.equal(mode, storage.read(path("f")))
				assert.equal(before, storage.read(path("f.bak")))
			end
			no_leftovers()
		end)

		it("keeps owner, group, ACL and user attributes", function()
			if storage.skip_without(storage.is_root, "root") then
				return pending("needs root")
			end
			storage.write(path("f"), "old\n")
			storage.shell("chown 1234:4321 %s; chmod 640 %s", path("f"), path("f"))
			storage.write(path("acl.py"), table.concat({
				"import os, struct, sys",
				"p = sys.argv[1]",
				'os.setxattr(p, "user.note", b"kept\\0bytes")',
				'os.setxattr(p, "trusted.note", b"not ours to keep") if len(sys.argv) > 2 else None',
				'acl = struct.pack("<I", 2)',
				"for tag, perm, who in ((1, 6, -1), (2, 6, 1001), (4, 4, -1), (16, 6, -1), (32, 0, -1)):",
				'    acl += struct.pack("<HHi", tag, perm, who)',
				'os.setxattr(p, "system.posix_acl_access", acl)',
			}, "\n"))
			if not os.execute("/usr/bin/python3 " .. path("acl.py") .. " " .. path("f")
				.. " 2>/dev/null") then
				return pending("no ACLs here, or no Python to set one")
			end
			local function attributes()
				return storage.output("/usr/bin/python3 -c 'import os,sys; p=sys.argv[1]; "
					.. "print([(a, os.getxattr(p, a)) "
					.. "for a in sorted(os.listxattr(p))])' " .. path("f"))
			end
			local before = attributes()
			assert.is_truthy(before:find("user.note", 1, true))
			assert.is_truthy(before:find("posix_acl_access", 1, true))
			local mode = stat("%a", "f")
			assert.equal("done", (file.replace(dir, "f", "new\n", { backup = "b" })))
			assert.equal(before, attributes())
			assert.equal(mode, stat("%a", "f"))
			assert.equal("1234:4321", stat("%u:%g", "f"))
			storage.shell("/usr/bin/python3 %s %s trusted", path("acl.py"), path("f"))
			assert.is_truthy(attributes():find("trusted.note", 1, true))
			assert.equal("done", (file.replace(dir, "f", "newer\n", { backup = "b" })))
			assert.equal(before, attributes())
			storage.write(path("f"), "other\n")
			os.execute(("/usr/bin/python3 -c 'import os; os.removexattr(\"%s\", \"system.posix_acl_access\")'")
				:format(path("f")))
			assert.equal("done", (file.replace(dir, "f", "newest\n", { backup = "b" })))
			assert.is_nil(attributes():find("posix_acl_access", 1, true))
			assert.is_truthy(attributes():find("user.note", 1, true))
		end)

		it("replaces only the version that was read", function()
			storage.write(path("f"), "old\n")
			local version = file.version(dir, "f")
			assert.equal("done", (file.replace(dir, "f", "2\n", { expected = version })))
			local done, message, code = file.replace(dir, "f", "3\n", { expected = version })
			assert.is_nil(done)
			assert.equal("busy", code)
			assert.is_truthy(message:find("another program", 1, true))
			assert.equal("2\n", storage.read(path("f")))
			no_leftovers()
		end)

		it("makes a new file only where there is none", function()
			assert.equal("done", (file.replace(dir, "f", "1\n", { must_be_new = true })))
			assert.equal("busy", select(3, file.replace(dir, "f", "2\n", { must_be_new = true })))
			assert.equal("1\n", storage.read(path("f")))
		end)

		it("stops at the fence", function()
			storage.write(path("f"), "old\n")
			local done, message = file.replace(dir, "f", "new\n", {}, function()
				return false
			end)
			assert.is_nil(done)
			assert.is_truthy(message:find("fence", 1, true))
			assert.equal("old\n", storage.read(path("f")))
			no_leftovers()
		end)

		it("notices a version that appears while it writes", function()
			for _, how in ipairs({ "replaced", "written in place", "removed", "made" }) do
				storage.shell("rm -f %s", path("f"))
				if how ~= "made" then
					storage.write(path("f"), "old\n")
				end
				local options = { expected = file.version(dir, "f"), backup = "f.bak" }
				local done, _, code = file.replace(dir, "f", "new\n", options, function()
					if how == "removed" then
						os.remove(path("f"))
					elseif how == "written in place" then
						storage.write(path("f"), "foreign\n")
					else
						storage.replace(path("f"), "foreign\n")
					end
					return true
				end)
				assert.is_nil(done, how)
				assert.equal("busy", code)
				assert.equal(how ~= "removed" and "foreign\n" or nil, storage.read(path("f")))
				no_leftovers()
			end
		end)

		for _, object in ipairs(objects) do
			it("refuses to replace " .. object[1], function()
				if object.root and storage.skip_without(storage.is_root, "root") then
					return pending("needs root")
				end
				storage.shell((object[2]:gsub("%%s", dir)))
				local before = stat("'%F %i'", "f")
				local done, _, code = file.replace(dir, "f", "new\n", { backup = "f.bak" })
				assert.is_nil(done)
				assert.equal("invalid", code)
				assert.equal(before, stat("'%F %i'", "f"))
				no_leftovers()
			end)
		end

		it("takes names up to the longest, and sweeps their leftovers", function()
			local name = ("n"):rep(255)
			assert.equal("done", (file.replace(dir, name, "1\n")))
			assert.equal("done", (file.replace(dir, name, "2\n")))
			assert.equal("2\n", storage.read(path(name)))
			assert.equal(1, #file.list(dir))
		end)

		it("does not get round the mode of another user's file", function()
			if storage.skip_without(storage.is_root, "root") then
				return pending("needs root")
			end
			storage.shell("chmod 777 %s; echo old > %s; chmod 644 %s", dir, path("f"), path("f"))
			storage.write(path("driver.lua"), [[
				local done, message, code = require("unit").file.replace(arg[1], "f", "new\n")
				assert(done == nil and code == "failed", message)
			]])
			storage.shell("setpriv --reuid 65534 --regid 65534 --clear-groups lua5.4 %s %s",
				path("driver.lua"), dir)
			assert.equal("old\n", storage.read(path("f")))
		end)

		it("keeps the old file when the disk is full", function()
			if storage.skip_without(storage.is_root, "root") then
				return pending("needs root")
			end
			local mount = "mount -t tmpfs -o size=64k,nr_inodes=12 tmpfs %s 2>/dev/null"
			if not os.execute(mount:format(dir)) then
				return pending("no tmpfs here")
			end
			storage.write(path("f"), "old\n")
			local done, message, code = file.replace(dir, "f", ("x"):rep(100000), { backup = "f.bak" })
			local text = storage.read(path("f"))
			local names = file.list(dir)
			for i = 1, 12 do
				os.execute(("touch %s 2>/dev/null"):format(path("i" .. i)))
			end
			local _, inodes = file.replace(dir, "f", "new", { backup = "f.bak" })
			local still = storage.read(path("f"))
			storage.shell("umount %s", dir)
			assert.is_nil(done)
			assert.equal("failed", code)
			assert.is_truthy(message:find("ENOSPC", 1, true), message)
			assert.is_truthy(inodes:find("ENOSPC", 1, true), inodes)
			assert.equal("old\n", text)
			assert.equal("old\n", still)
			assert.same({ "f" }, names)
		end)

		it("leaves a read-only directory as it is", function()
			if storage.skip_without(storage.is_root, "root") then
				return pending("needs root")
			end
			storage.write(path("f"), "old\n")
			storage.shell("mount --bind %s %s && mount -o remount,bind,ro %s", dir, dir, dir)
			local done, message, code = file.replace(dir, "f", "new\n")
			storage.shell("umount %s", dir)
			assert.is_nil(done)
			assert.equal("failed", code)
			assert.is_truthy(message:find("EROFS", 1, true), message)
		end)

		it("explains a file that is mounted on its own", function()
			if storage.skip_without(storage.is_root, "root") then
				return pending("needs root")
			end
			storage.write(path("f"), "old\n")
			storage.write(path("source"), "mounted\n")
			storage.shell("mount --bind %s %s", path("source"), path("f"))
			local done, message = file.replace(dir, "f", "new\n", { backup = "f.bak" })
			storage.shell("umount %s", path("f"))
			assert.is_nil(done)
			assert.is_truthy(message:find("EBUSY", 1, true), message)
			no_leftovers()
		end)
	end)

	describe("sweep", function()
		it("removes abandoned temporary files of this file alone", function()
			storage.write(path("f"), "x")
			storage.write(path(".f.tmp.1.0123456789abcdef"), "torn")
			storage.write(path(".f.tmp.2.0123456789abcdef"), "")
			storage.write(path(".g.tmp.1.0123456789abcdef"), "x")
			storage.write(path("f.tmp.1"), "x")
			storage.shell("mkdir %s", path(".f.tmp.3.x"))
			assert.equal(0, file.sweep(dir, "f", 60))
			assert.equal(2, file.sweep(dir, "f", 0))
			assert.same({ ".f.tmp.3.x", ".g.tmp.1.0123456789abcdef", "f", "f.tmp.1" }, file.list(dir))
		end)

		it("is quick with 10,000 of them", function()
			storage.write(path("f"), "x")
			storage.shell("cd %s && seq -f '.f.tmp.%%g.0123456789abcdef' 10000 | xargs touch", dir)
			local begun = os.clock()
			assert.equal(10000, file.sweep(dir, "f", 0))
			assert.is_true(os.clock() - begun < (storage.is_asan and 10 or 2))
		end)

		--- Replace "old\n" by "new\n" with the calls of 'inject' tampered with. STOP halts it right before
		--- the exchange, where 'meanwhile' runs.
		local function crash(inject, meanwhile)
			storage.write(path("f"), "old\n")
			storage.write(path("driver.lua"), [[
				local file = require("unit").file
				local text, version = file.read(arg[1], "f")
				file.replace(arg[1], "f", "new\n", { expected = version, text = text, backup = "f.bak" })
			]])
			local argv = { "strace", "-f", "-qq", "-o", "/dev/null", err = "/dev/null" }
			for _, word in ipairs(inject) do
				argv[#argv + 1] = "-e"
				argv[#argv + 1] = "inject=" .. word
			end
			table.move({ "lua5.4", path("driver.lua"), dir }, 1, 3, #argv + 1, argv)
			local pid = file.spawn(argv)
			if meanwhile then
				storage.before_exchange(dir, meanwhile)
			end
			assert.same({ "signal", 9 }, { file.wait(pid) })
			os.remove(path("driver.lua"))
		end

		--- What a sweep leaves under the name, as the backup, and as conflicts.
		local function swept()
			file.sweep(dir, "f", 0, "f.bak")
			no_leftovers()
			local conflicts = {}
			for _, name in ipairs(storage.names_with(dir, ".conflict-")) do
				conflicts[#conflicts + 1] = storage.read(path(name))
			end
			return { storage.read(path("f")), storage.read(path("f.bak")) or false, conflicts }
		end

		local function foreign()
			storage.replace(path("f"), "foreign\n")
		end

		-- The first renameat says that the temporary is ready, the second makes it the backup.
		local KILL = "renameat:signal=KILL:when=2"
		local STOP = "renameat:signal=STOP:when=1"

		it("keeps what a crash between the exchange and the next step left", function()
			if storage.skip_without(storage.has_strace, "strace") then
				return pending("no strace")
			end
			crash({ KILL })
			assert.equal("new\n", storage.read(path("f")))
			assert.equal(1, #storage.names_with(dir, ".tmp."))
			assert.same({ "new\n", "old\n", {} }, swept())
		end)

		it("keeps it whatever has been done to the file since", function()
			if storage.skip_without(storage.has_strace, "strace") then
				return pending("no strace")
			end
			for _, what in ipairs({ "chmod 600 %s", "ln %s %s.link", "touch %s" }) do
				crash({ KILL })
				file.nap(30000) -- a ctime of its own
				storage.shell((what:gsub("%%s", path("f"))))
				assert.same({ "new\n", "old\n", {} }, swept(), what)
				storage.shell("rm -f %s %s %s", path("f"), path("f.bak"), path("f.link"))
			end
		end)

		it("keeps a foreign version that a crash left there, once", function()
			if storage.skip_without(storage.has_strace, "strace") then
				return pending("no strace")
			end
			local kills = {
				["when it was to get a name"] = "linkat:signal=KILL:when=1",
				["when it was to go back"] = "renameat2:signal=KILL:when=2",
			}
			for when, kill in pairs(kills) do
				for _, since in ipairs({ "true %s", "chmod 600 %s" }) do
					crash({ STOP, kill }, foreign)
					assert.equal("new\n", storage.read(path("f")), when)
					file.nap(30000)
					storage.shell(since, path("f"))
					assert.same({ "new\n", false, { "foreign\n" } }, swept(), when .. ", then " .. since)
					storage.shell("rm -f %s; rm -f " .. dir .. "/.*conflict*", path("f"))
				end
			end
		end)

		it("throws our own version away when the foreign one is back in place", function()
			if storage.skip_without(storage.has_strace, "strace") then
				return pending("no strace")
			end
			crash({ STOP, "unlinkat:signal=KILL:when=1" }, foreign)
			assert.equal(1, #storage.names_with(dir, ".tmp."))
			assert.same({ "foreign\n", false, { "foreign\n" } }, swept())
		end)

		it("makes no backup of what was never in place", function()
			if storage.skip_without(storage.has_strace, "strace") then
				return pending("no strace")
			end
			for _, kill in ipairs({ "fsync:signal=KILL:when=1", "renameat:signal=KILL:when=1",
				"renameat2:signal=KILL:when=1" }) do
				crash({ kill })
				assert.equal(1, #storage.names_with(dir, ".tmp."), kill)
				file.nap(5000) -- a coarse clock ticks in 4 ms
				foreign()
				assert.same({ "foreign\n", false, {} }, swept(), kill)
				crash({ kill })
				file.nap(5000)
				storage.shell("chmod 600 %s", path("f"))
				assert.same({ "old\n", false, {} }, swept(), kill)
			end
		end)
	end)

	it("points a link somewhere else in one step", function()
		assert.is_true(file.replace_link(dir, "current", "exp_1"))
		assert.is_true(file.replace_link(dir, "current", "exp_2"))
		assert.equal("exp_2\n", storage.output("readlink " .. path("current")))
		storage.shell("mkdir %s", path("dir"))
		assert.equal("failed", select(3, file.replace_link(dir, "dir", "exp_1")))
		no_leftovers()
	end)

	it("removes a file, and does not mind its absence", function()
		storage.write(path("f"), "x")
		assert.is_true(file.remove(dir, "f"))
		assert.is_true(file.remove(dir, "f"))
		assert.same({}, file.list(dir))
	end)
end)
