local file = require("unit").file
local shim = require "support.shim"
local storage = require "support.storage"

local LOCK = ".training_info.json.lock"

-- Takes the lock, says so by making a file, and holds it until it is killed.
local HOLDER = [[
	local file = require("unit").file
	local lock = assert(file.lock(arg[1], arg[2], "exp_1/stage1_hrds", 20000))
	io.open(arg[1] .. "/held", "w"):close()
	while true do file.nap(10000) end
]]

describe("lock", function()
	local dir, holder

	before_each(function()
		dir = storage.temp_dir()
	end)
	after_each(function()
		if holder then
			file.kill(holder, 9)
			file.wait(holder)
			holder = nil
		end
		storage.remove(dir)
	end)

	local function hold()
		storage.write(dir .. "/thhost", HOLDER)
		holder = file.spawn({ "lua5.4", dir .. "/thhost", dir, LOCK, err = dir .. "/err" })
		storage.wait_until("the holder has the lock", function()
			return storage.read(dir .. "/held")
		end)
	end

	local function release_holder()
		assert.is_true(file.kill(holder, 9))
		file.wait(holder)
		holder = nil
	end

	it("is taken, checked and given back", function()
		local lock = assert(file.lock(dir, LOCK, "exp_1/stage1_hrds", 0))
		assert.is_true(file.lock_check(lock))
		assert.equal("busy", select(3, file.lock(dir, LOCK, "exp_1/stage1_hrds", 0)))
		file.unlock(lock)
		file.unlock(assert(file.lock(dir, LOCK, "exp_1/stage1_hrds", 0)))
	end)

	it("stays when another descriptor of its file is closed", function()
		local lock = assert(file.lock(dir, LOCK, "x", 0))
		storage.read(dir .. "/" .. LOCK)
		assert.equal("busy", select(3, file.lock(dir, LOCK, "x", 0)))
		file.unlock(lock)
	end)

	it("says that it cannot wait where the kernel has no timer for it", function()
		hold()
		local said = shim.run(dir, [[
			local _, message = require("unit").file.lock(arg[1], ".training_info.json.lock", "x", 1000)
			print(message)
		]], { "prlimit", "--sigpending=0" })
		assert.equal("cannot make a timer: Resource temporarily unavailable (EAGAIN)\n", said)
	end)

	it("tells nobody the arguments of the training", function()
		storage.write(dir .. "/thhost", 'assert(require("unit").file.lock(arg[2], arg[3], "x", 0))')
		local pid = file.spawn({ "lua5.4", dir .. "/thhost", "--", dir, LOCK, err = dir .. "/err" })
		assert.same({ "exit", 0 }, { file.wait(pid) })
		assert.matches('"cmd": ?"lua5.4 [^"]*/thhost"', storage.read(dir .. "/" .. LOCK))
	end)

	describe("whose line is another's", function()
		--- What is said of the holder when its line has been changed.
		local function said(pattern, replacement)
			hold()
			local path = dir .. "/" .. LOCK
			local line, n = storage.read(path):gsub(pattern, replacement)
			assert.equal(1, n)
			storage.write(path, line)
			return (select(2, file.lock(dir, LOCK, "exp_1/stage1", 0)))
		end

		it("is not blamed on a process that may have got its pid since", function()
			assert.matches("^exp_1/stage1 is locked by another program", said('"start":%d+,', ""))
		end)

		it("is believed of another host, which nobody here can ask", function()
			assert.matches("is locked by pid %d+ on elsewhere %(", said('"host":"[^"]*"', '"host":"elsewhere"'))
		end)
	end)

	it("says once whom it waits for, when that takes long", function()
		hold()
		assert.equal("busy", shim.run(dir, [[
			io.write(select(3, require("unit").file.lock(arg[1], ".training_info.json.lock", "exp_1/stage1", 2600)))
		]], {}))
		local text = storage.read(dir .. "/err")
		assert.equal(1, select(2, text:gsub("is locked by pid %d+ on .-; waiting\n", "")), text)
	end)

	--- The code of the error, where 'command' is run before each such call.
	local function replaced(call, command)
		return shim.run(dir, [[
			local _, message, code = require("unit").file.lock(arg[1], ".training_info.json.lock", "exp_1/stage1", 200)
			io.write(code, ": ", message)
		]], shim.prefix { call = call, name = LOCK, when = "1+", ["do"] = ("cd %s && %s"):format(dir, command) })
	end

	local function it_with_shim(name, test)
		it(name, function()
			local library, why = shim.library()
			if not library then
				return pending(why)
			end
			test()
		end)
	end

	it_with_shim("is given up where its file comes and goes", function()
		storage.write(dir .. "/" .. LOCK, "")
		assert.equal("busy: the lock '" .. LOCK .. "' comes and goes",
			replaced("openat", ("if test -e %s; then rm %s; else : >%s; fi"):format(LOCK, LOCK, LOCK)))
	end)

	it_with_shim("is given up where its file is replaced all the time", function()
		storage.write(dir .. "/" .. LOCK, "")
		assert.equal("busy: the lock of exp_1/stage1 keeps being replaced",
			replaced("fstatat", (": >new; mv new %s"):format(LOCK)))
	end)

	it("is known to be held", function()
		assert.is_false(file.lock_is_held(dir, LOCK))
		local lock = assert(file.lock(dir, LOCK, "x", 0))
		assert.is_true(file.lock_is_held(dir, LOCK))
		file.unlock(lock)
		assert.is_false(file.lock_is_held(dir, LOCK))
		storage.shell("cd %s && rm %s && ln -s nowhere %s", dir, LOCK, LOCK)
		assert.is_true(file.lock_is_held(dir, LOCK)) -- what cannot be told counts as held
	end)

	it("is a file, and nothing else", function()
		storage.shell("mkdir %s/%s", dir, LOCK)
		local _, message, code = file.lock(dir, LOCK, "x", 0)
		assert.equal("invalid", code)
		assert.matches("is a directory, not a file", message, 1, true)
	end)

	it("names its holder when the wait is over", function()
		hold()
		local host = storage.output("uname -n"):gsub("\n", "")
		local lock, message, code = file.lock(dir, LOCK, "exp_1/stage1_hrds", 1000)
		assert.is_nil(lock)
		assert.equal("busy", code)
		local pid, on, command, since, waited = message:match(
			"^exp_1/stage1_hrds is locked by pid (%d+) on (%S+) "
				.. "%('lua5.4 (.-)', for (%d+) s%); waited (%d+) s$")
		assert.equal(tostring(holder), pid, message)
		assert.equal(host, on)
		assert.is_truthy(command:find("/thhost", 1, true))
		assert.is_true(tonumber(since) < 10)
		assert.equal("1", waited)
	end)

	it("waits as long as it was told to", function()
		hold()
		local begun = tonumber(storage.output("date +%s%N")) // 1000000
		assert.equal("busy", select(3, file.lock(dir, LOCK, "x", 300)))
		local took = tonumber(storage.output("date +%s%N")) // 1000000 - begun
		assert.is_true(took >= 300 and took < 2000, took)
	end)

	it("is free as soon as its holder is killed", function()
		hold()
		storage.write(dir .. "/waiter", [[
			local file = require("unit").file
			io.open(arg[1] .. "/waiting", "w"):close()
			assert(file.lock(arg[1], arg[2], "x", 20000))
		]])
		local waiter = file.spawn({ "lua5.4", dir .. "/waiter", dir, LOCK })
		storage.wait_until("the waiter waits", function()
			return storage.read(dir .. "/waiting")
		end)
		assert.is_nil((file.wait(waiter, 100)))
		release_holder()
		assert.same({ "exit", 0 }, { file.wait(waiter, 5000) })
	end)

	it("does not blame a holder that is gone", function()
		hold()
		release_holder()
		-- A program that uses the lock but signs nothing: flock(1) knows POSIX locks only by --fcntl.
		local code = "import fcntl,struct,sys,time; f=open(sys.argv[1],'r+');"
			.. "fcntl.fcntl(f,37,struct.pack('hhqqi4x',1,0,0,0,0));"
			.. "open(sys.argv[2],'w').close(); time.sleep(60)"
		os.remove(dir .. "/held")
		if not os.execute("test -x /usr/bin/python3") then
			return pending("no Python")
		end
		holder = file.spawn({ "/usr/bin/python3", "-c", code, dir .. "/" .. LOCK, dir .. "/held",
			err = dir .. "/err" })
		storage.wait_until("Python has the lock", function()
			return storage.read(dir .. "/held")
		end)
		local _, message = file.lock(dir, LOCK, "exp_1/s", 50)
		assert.equal("exp_1/s is locked by another program; waited 0 s", message)
	end)

	it("is not held by a child of its holder", function()
		storage.write(dir .. "/parent", [[
			local file = require("unit").file
			local lock = assert(file.lock(arg[1], arg[2], "x", 0))
			print(file.spawn({ "sleep", "60", out = "/dev/null" }))
		]])
		local child = tonumber(storage.output(("lua5.4 %s/parent %s %s"):format(dir, dir, LOCK)))
		local lock = file.lock(dir, LOCK, "x", 0)
		os.execute("kill -9 " .. child)
		assert.is_truthy(lock)
	end)

	it("follows the name when the lock file is replaced while waiting", function()
		hold()
		os.remove(dir .. "/" .. LOCK)
		local lock = assert(file.lock(dir, LOCK, "x", 0))
		assert.is_true(file.lock_check(lock))
		os.remove(dir .. "/" .. LOCK)
		local ok, message, code = file.lock_check(lock)
		assert.is_nil(ok)
		assert.equal("busy", code)
		assert.is_truthy(message:find("removed", 1, true))
		file.unlock(lock)
	end)

	it("takes the file that bears the name when it was replaced during the wait", function()
		hold()
		storage.write(dir .. "/waiter", [[
			local file = require("unit").file
			local lock = assert(file.lock(arg[1], arg[2], "x", 20000))
			assert(file.lock_check(lock))
			assert(select(3, file.lock(arg[1], arg[2], "x", 0)) == "busy")
		]])
		local waiter = file.spawn({ "lua5.4", dir .. "/waiter", dir, LOCK, err = dir .. "/err" })
		local inode = file.version(dir, LOCK).ino
		storage.wait_until("the waiter waits", function()
			local waiting = storage.output("grep -c -- '-> OFDLCK.*:" .. inode .. " ' /proc/locks")
			return tonumber(waiting) > 0
		end)
		os.remove(dir .. "/" .. LOCK)
		storage.write(dir .. "/" .. LOCK, "")
		release_holder()
		assert.same({ "exit", 0 }, { file.wait(waiter, 5000) }, storage.read(dir .. "/err"))
	end)

	it("notices that another holder has signed", function()
		local lock = assert(file.lock(dir, LOCK, "x", 0))
		storage.write(dir .. "/" .. LOCK, '{"pid":1,"nonce":"0000000000000000"}\n')
		assert.is_truthy(select(2, file.lock_check(lock)):find("signed", 1, true))
		file.unlock(lock)
	end)

	it("can be taken by those who can write the directory", function()
		local cases = { { "755", "600" }, { "775", "660" }, { "777", "666" }, { "2770", "660" } }
		for _, case in ipairs(cases) do
			storage.shell("rm -f %s; chmod " .. case[1] .. " %s", dir .. "/" .. LOCK, dir)
			storage.shell("umask 077; cd %s && lua5.4 -e \"assert(require('unit').file.lock('.', '" .. LOCK
				.. "', 'x', 0))\"", dir)
			assert.equal(case[2] .. "\n", storage.output("stat -c %a " .. dir .. "/" .. LOCK))
		end
	end)

	it("may hold garbage", function()
		for _, text in ipairs({ "", "garbage", ("x"):rep(100000), '{"pid":', '{"pid":1e9}', "[]",
			"\0\0" }) do
			storage.write(dir .. "/" .. LOCK, text)
			local lock = assert(file.lock(dir, LOCK, "x", 0))
			assert.equal("busy", select(3, file.lock(dir, LOCK, "x", 0)))
			file.unlock(lock)
		end
	end)

	local objects = {
		{ "a symbolic link", "ln -s target %s; touch target" },
		{ "a FIFO", "mkfifo %s" },
		{ "a directory", "mkdir %s" },
	}
	for _, object in ipairs(objects) do
		it("refuses " .. object[1] .. " in its place", function()
			storage.shell("cd %s && " .. object[2], dir, LOCK)
			local lock, message, code = file.lock(dir, LOCK, "x", 0)
			assert.is_nil(lock)
			assert.equal("invalid", code)
			assert.is_truthy(message:find(object[1], 1, true), message)
		end)
	end

	for _, name in ipairs({ "ENOLCK", "ENOSYS", "EOPNOTSUPP" }) do
		it("never goes on without one: " .. name, function()
			if storage.skip_without(storage.has_strace, "strace") then
				return pending("no strace")
			end
			storage.write(dir .. "/driver", [[
				local lock, message, code = require("unit").file.lock(arg[1], arg[2], "exp_1/s", 1000)
				assert(lock == nil and code == "failed", code)
				assert(message:find("this file system has no locks", 1, true), message)
			]])
			local pid = file.spawn({ "strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=fcntl:error="
				.. name,
				"lua5.4", dir .. "/driver", dir, LOCK, err = dir .. "/err" })
			assert.same({ "exit", 0 }, { file.wait(pid) }, storage.read(dir .. "/err"))
		end)
	end

	it("knows the mounts whose locks other hosts do not see", function()
		local line = "36 35 0:52 / /data rw,noatime shared:1 - %s server:/x rw,vers=3,%saddr=10.0.0.1\n"
		local other = "30 35 8:1 / / rw - ext4 /dev/sda1 rw\n"
		local cases = {
			{ "nfs", "", false }, { "nfs4", "local_lock=none,", false }, { "nfs", "nolock,", true },
			{ "nfs", "local_lock=all,", true }, { "nfs4", "local_lock=posix,", true },
			{ "nfs", "local_lock=flock,", false }, { "ext4", "nolock,", false },
		}
		for _, case in ipairs(cases) do
			local text = other .. line:format(case[1], case[2]) .. other
			assert.equal(case[3], file.lock_is_local(text, 0, 52), case[1] .. " " .. case[2])
			assert.is_false(file.lock_is_local(text, 0, 5))
		end
		assert.is_false(file.lock_is_local("", 0, 52))
	end)

	--- A process that takes the lock and then adds its name to the file "order"; it is waiting.
	local function wait_for_lock(name, timeout)
		storage.write(dir .. "/" .. name, [[
			local lock = assert(require("unit").file.lock(arg[1], arg[2], "x", tonumber(arg[4])))
			local order = io.open(arg[1] .. "/order", "a")
			order:write(arg[3], "\n")
			order:close()
		]])
		local function count()
			local inode = file.version(dir, LOCK).ino
			return tonumber(storage.output("grep -c -- '-> OFDLCK.*:" .. inode .. " ' /proc/locks"))
		end
		local before = count()
		local pid = file.spawn({ "lua5.4", dir .. "/" .. name, dir, LOCK, name, tostring(timeout),
			err = dir .. "/err" })
		storage.wait_until(name .. " waits", function()
			return count() > before
		end)
		return pid
	end

	local function stop(pid)
		file.kill(pid, 19)
		storage.wait_until("it is stopped", function()
			return storage.read(("/proc/%d/stat"):format(pid)):match("%) T ")
		end)
	end

	it("serves those that wait before one that comes when it is free", function()
		local lock = assert(file.lock(dir, LOCK, "x", 0))
		local first = wait_for_lock("first", 20000)
		stop(first) -- it cannot wake up in time
		file.unlock(lock)
		local second = wait_for_lock("second", 20000)
		file.kill(first, 18)
		assert.same({ "exit", 0 }, { file.wait(second) }, storage.read(dir .. "/err"))
		assert.same({ "exit", 0 }, { file.wait(first) }, storage.read(dir .. "/err"))
		assert.equal("first\nsecond\n", storage.read(dir .. "/order"))
	end)

	it("is not kept from others for long by one that was stopped while it waited", function()
		local lock = assert(file.lock(dir, LOCK, "x", 0))
		holder = wait_for_lock("stopped", 20000)
		stop(holder)
		file.unlock(lock)
		file.unlock(assert(file.lock(dir, LOCK, "x", 0)))
		file.unlock(assert(file.lock(dir, LOCK, "x", 200)))
		assert.is_nil((file.wait(holder, 0)))
	end)

	it("serves 16 waiting processes, all of them", function()
		storage.write(dir .. "/driver", [[
			local file = require("unit").file
			for _ = 1, 25 do
				local lock = assert(file.lock(arg[1], arg[2], "x", 20000))
				local handle = io.open(arg[1] .. "/count", "r")
				local count = handle and handle:read("n") or 0
				if handle then handle:close() end
				handle = io.open(arg[1] .. "/count", "w")
				handle:write(count + 1)
				handle:close()
				assert(file.lock_check(lock))
				file.unlock(lock)
			end
		]])
		local pids = {}
		for i = 1, 16 do
			pids[i] = file.spawn({ "lua5.4", dir .. "/driver", dir, LOCK })
		end
		for _, pid in ipairs(pids) do
			assert.same({ "exit", 0 }, { file.wait(pid) })
		end
		assert.equal("400", storage.read(dir .. "/count"))
	end)
end)
