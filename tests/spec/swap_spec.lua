--- The moments of a swap: another program acts just before one of its system calls.
local shim = require "support.shim"
local storage = require "support.storage"

local EINVAL = "22"

describe("a swap", function()
	local dir, f

	before_each(function()
		dir = storage.temp_dir()
		f = dir .. "/f"
		storage.write(f, "old\n")
		storage.write(dir .. "/theirs", "theirs\n")
	end)
	after_each(function()
		storage.remove(dir)
	end)

	--- Replace f by "new\n" in a process of its own; its words: "done" or the code of the error.
	local function replace(prefix, options)
		return shim.run(dir, ([[
			local file = require("unit").file
			local options = { expected = file.version(arg[1], "f"), text = "old\n", backup = "f.bak" }
			%s
			local done, message, code = file.replace(arg[1], "f", "new\n", options)
			io.write(done or code)
		]]):format(options or ""), prefix)
	end

	local function at(call, command, more)
		local what = { call = call, ["do"] = ("cd %s && %s"):format(dir, command) }
		for key, value in pairs(more or {}) do
			what[key] = value
		end
		return shim.prefix(what)
	end

	local function conflicts()
		local list = {}
		for _, name in ipairs(storage.names_with(dir, ".conflict-")) do
			list[#list + 1] = storage.read(dir .. "/" .. name)
		end
		table.sort(list)
		return list
	end

	local function no_leftovers()
		assert.same({}, storage.names_with(dir, ".tmp."))
	end

	local function it_with_shim(name, test)
		it(name, function()
			local library, why = shim.library()
			if not library then
				return pending(why)
			end
			test()
			no_leftovers()
		end)
	end

	--- The same where files cannot be exchanged.
	local function without_exchange(prefix)
		local words = { "strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=renameat2:error=EINVAL" }
		table.move(prefix, 1, #prefix, #words + 1, words)
		return words
	end

	it("gives a group that it cannot keep no more than everybody", function()
		if not storage.is_root then
			return pending("needs root")
		end
		storage.shell("chmod 777 %s && chown 1234:4321 %s && chmod 664 %s", dir, f, f)
		assert.equal("done", replace({ "setpriv", "--reuid=1234", "--regid=1234", "--clear-groups" }))
		assert.equal("644 1234:1234\n", storage.output("stat -c '%a %u:%g' " .. f))
		assert.matches("cannot keep group 4321 of 'f'", storage.read(dir .. "/err"), 1, true)
	end)

	local function trace_of(call)
		local prefix = { "strace", "-qq", "-o", dir .. "/trace", "-e", "trace=" .. call }
		assert.equal("done", replace(prefix))
		return storage.read(dir .. "/trace")
	end

	it("makes its temporary file anew, follows no link, and lets no child have it", function()
		if storage.is_asan or storage.skip_without(storage.has_strace, "strace") then
			return pending("no strace, or a sanitizer in its way")
		end
		local flags, mode = trace_of("openat"):match('"%.f%.tmp%.[^"]*", ([%u_|]+), (%d+)')
		for _, flag in ipairs({ "O_CREAT", "O_EXCL", "O_NOFOLLOW", "O_CLOEXEC" }) do
			assert.is_truthy(flags:find(flag, 1, true), flag .. " is not in " .. flags)
		end
		assert.equal("0600", mode)
	end)

	it("syncs a file once, whatever the sync says", function()
		if storage.is_asan or storage.skip_without(storage.has_strace, "strace") then
			return pending("no strace, or a sanitizer in its way")
		end
		local prefix = { "strace", "-qq", "-y", "-o", dir .. "/trace", "-e", "trace=fsync", "-e",
			"inject=fsync:error=EIO:when=1" }
		assert.equal("failed", replace(prefix))
		local _, syncs = storage.read(dir .. "/trace"):gsub("fsync%(%d+<[^>]*%.tmp%.", "")
		assert.equal(1, syncs)
		assert.equal("old\n", storage.read(f))
		no_leftovers()
	end)

	it_with_shim("goes on after a short write, a short read and a signal", function()
		assert.equal("done", replace(shim.prefix({ short = 2 })))
		assert.equal("new\n", storage.read(f))
		assert.equal("old\n", storage.read(f .. ".bak"))
	end)

	it_with_shim("looks once more before it renames", function()
		-- Without an exchange this look is all there is between two writers.
		if storage.skip_without(storage.has_strace, "strace") then
			return pending("no strace")
		end
		assert.equal("busy", replace(without_exchange(at("fsync", "mv theirs f")),
			"options.backup = nil"))
		assert.equal("theirs\n", storage.read(f))
	end)

	it_with_shim("gives way to a first version that was there first", function()
		os.remove(f)
		assert.equal("busy", replace(at("renameat2", "mv theirs f"), "options = { must_be_new = true }"))
		assert.equal("theirs\n", storage.read(f))
	end)

	it_with_shim("notices a version that comes in the moment of the exchange", function()
		assert.equal("busy", replace(at("renameat2", "mv theirs f")))
		assert.equal("theirs\n", storage.read(f))
		assert.same({ "theirs\n" }, conflicts())
	end)

	it_with_shim("notices bytes that changed under a version that did not", function()
		assert.equal("busy", replace(at("renameat2", "touch -r f was && printf 'OLD\\n' >f && touch -r was f")))
		assert.equal("OLD\n", storage.read(f))
	end)

	it_with_shim("puts back the newest of two foreign versions", function()
		-- To the swap the file that gives way is not the text that was read; while it keeps that one
		-- as a conflict the next one comes.
		storage.write(f, "theirs\n")
		assert.equal("busy", replace(at("linkat", "printf 'newest\\n' >newest && mv newest f",
			{ name = ".conflict-" })))
		assert.equal("newest\n", storage.read(f))
		assert.same({ "newest\n", "theirs\n" }, conflicts())
	end)

	it_with_shim("notices a version that comes between the look and the open", function()
		assert.equal("busy", replace(at("openat", "mv theirs f", { name = "f" })))
		assert.equal("theirs\n", storage.read(f))
	end)

	-- Who writes into ours while it bears the name for an instant.
	it_with_shim("keeps what was written into its own version before that gave way", function()
		assert.equal("busy", replace(at("renameat2",
			"if test -e theirs; then mv theirs f; else echo more >>f; fi", { when = "1+" })))
		assert.equal("theirs\n", storage.read(f))
		assert.same({ "new\nmore\n", "theirs\n" }, conflicts())
	end)

	it_with_shim("gives up where a version comes at each exchange, and has kept them all", function()
		assert.equal("not_durable", replace(at("renameat2", "echo x >>count; wc -l <count >next; mv next f",
			{ when = "1+" })))
		local versions = conflicts()
		versions[#versions + 1] = storage.read(f)
		local is_kept = {}
		for _, version in ipairs(versions) do
			is_kept[tonumber(version)] = true
		end
		local _, written = storage.read(dir .. "/count"):gsub("\n", "")
		assert.is_true(written > 100)
		for n = 1, written do
			assert.is_true(is_kept[n], "version " .. n .. " is lost")
		end
	end)

	--- A version that comes when ours has the name.
	local function overtaken(meanwhile)
		return at("fstatat", "if grep -qx new f; then echo newest >n; mv n f; " .. meanwhile .. " fi",
			{ when = "1+" })
	end

	it_with_shim("lets a newer version stand, and has the backup of the old one", function()
		assert.equal("busy", replace(overtaken("")))
		assert.equal("newest\n", storage.read(f))
		assert.equal("old\n", storage.read(f .. ".bak"))
	end)

	it_with_shim("keeps a version that was overtaken, and that it has not read", function()
		storage.write(f, "theirs\n")
		assert.equal("busy", replace(overtaken("")))
		assert.equal("newest\n", storage.read(f))
		assert.same({ "theirs\n" }, conflicts())
	end)

	it_with_shim("bears that another one has swept its temporary file", function()
		assert.equal("busy", replace(overtaken("rm .f.tmp.*;")))
		assert.equal("newest\n", storage.read(f))
	end)

	--- 'calls' fail besides.
	local function failing(calls, prefix)
		local words = { "strace", "-qq", "-o", "/dev/null" }
		for _, call in ipairs(calls) do
			table.move({ "-e", "inject=" .. call }, 1, 2, #words + 1, words)
		end
		return table.move(prefix, 1, #prefix, #words + 1, words)
	end

	local function it_with_both(name, test)
		it_with_shim(name, function()
			if storage.skip_without(storage.has_strace, "strace") then
				return pending("no strace")
			end
			test()
		end)
	end

	it_with_both("keeps a version beside its own that it cannot put back", function()
		for _, also in ipairs { {}, { "linkat:error=EPERM" } } do
			storage.write(f, "old\n")
			storage.write(dir .. "/theirs", "theirs\n")
			storage.shell("rm -f %s/.*conflict-*", dir)
			assert.equal("not_durable", replace(failing({ "renameat2:error=EIO:when=2", also[1] },
				at("renameat2", "mv theirs f"))))
			assert.equal("new\n", storage.read(f))
			assert.same({ "theirs\n" }, conflicts())
		end
	end)

	it("leaves a version that it can neither put back nor name where it is", function()
		if not shim.library() or storage.skip_without(storage.has_strace, "strace") then
			return pending("no strace, or no shim")
		end
		assert.equal("not_durable", replace(failing({ "renameat2:error=EIO:when=2", "linkat:error=EPERM",
			"renameat:error=EIO:when=2" }, at("renameat2", "mv theirs f"))))
		local left = storage.names_with(dir, ".tmp.")
		assert.equal(1, #left)
		assert.equal("theirs\n", storage.read(dir .. "/" .. left[1]))
	end)

	it_with_both("needs no backup where there is no exchange", function()
		assert.equal("done", replace(without_exchange({}), "options.backup = nil"))
		assert.equal("new\n", storage.read(f))
		assert.is_nil(storage.read(f .. ".bak"))
	end)

	it_with_both("notices that what it would keep is gone", function()
		assert.equal("busy", replace(without_exchange(at("linkat", "rm f"))))
		assert.is_nil(storage.read(f))
	end)

	it_with_shim("makes no backup of a version that it has not read", function()
		if storage.skip_without(storage.has_strace, "strace") then
			return pending("no strace")
		end
		assert.equal("busy", replace(without_exchange(at("linkat", "mv theirs f"))))
		assert.equal("theirs\n", storage.read(f))
		assert.is_nil(storage.read(f .. ".bak"))
	end)

	it_with_shim("believes the disk when a rename works and reports an error", function()
		for _, number in ipairs({ EINVAL, "5", "28" }) do
			storage.write(f, "old\n")
			assert.equal(number == EINVAL and "busy" or "done",
				replace(shim.prefix({ call = "renameat2", error = number })))
			assert.equal("new\n", storage.read(f))
		end
	end)
end)

describe("a link that appears after the look", function()
	local dir

	before_each(function()
		dir = storage.temp_dir()
	end)
	after_each(function()
		storage.remove(dir)
	end)

	for what, driver in pairs({
		record = 'io.write(select(3, file.read(arg[1], "f")))',
		lock = 'io.write(select(3, file.lock(arg[1], "f", "exp_1/stage1", 0)))',
	}) do
		it("is not followed: " .. what, function()
			local library, why = shim.library()
			if not library then
				return pending(why)
			end
			storage.write(dir .. "/f", "old\n")
			storage.write(dir .. "/target", "target\n")
			local prefix = shim.prefix({ call = "openat", name = "f",
				["do"] = ("cd %s && ln -sf target f"):format(dir) })
			assert.equal("invalid", shim.run(dir, 'local file = require("unit").file ' .. driver, prefix))
			assert.equal("target\n", storage.read(dir .. "/target"))
		end)
	end
end)
