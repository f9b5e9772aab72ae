--- What the promise says is tried here at every system call of an append: the process is killed
--- there, the call fails, the call lies, or it does its work and reports an error.
local unit = require "unit"
local shim = require "support.shim"
local storage = require "support.storage"

local file = unit.file

local BACKUP = ".training_info.json.bak"
local MARK = "kill" -- the driver's own kill(pid, 0): what the append does comes after it

-- Memory and the end of the process are not the append's to check.
local IGNORED = {
	mmap = true, munmap = true, brk = true, mprotect = true, exit_group = true, madvise = true,
		kill = true,
	restart_syscall = true, rt_sigprocmask = true,
}

-- 0: recorded; 1: unchanged; 8: in place or not, and said so; 9: a lie of the test itself
local DRIVER = [[
	local unit = require "unit"
	unit.file.kill(unit.file.pid(), 0)
	local done, message, third = unit.store.append(arg[1],
		{ steps = 2, path = arg[1] .. "/training_info.json", timeout = 3000 })
	io.stderr:write(tostring(done and third or message), "\n")
	os.exit(({ done = 0, already = 0, not_durable = 8 })[done] or 1)
]]

describe("a crash or an error in the middle of an append", function()
	local home, dir, record, start_text, old, new

	setup(function()
		home = storage.temp_dir()
		dir = home .. "/stage"
		record = dir .. "/" .. storage.RECORD
		storage.write(home .. "/driver", DRIVER)
		storage.shell("mkdir %s", dir)
		storage.append(dir, 1)
		old = storage.read(record)
		storage.append(dir, 2)
		new = storage.read(record)
	end)
	teardown(function()
		storage.remove(home)
	end)

	--- 'start': "first" (no record yet), "second" (no backup yet), "third" (a backup, a leftover).
	local function reset(start)
		storage.shell("rm -rf %s && mkdir %s", dir, dir)
		start_text = start ~= "first" and old or nil
		if start == "third" then
			storage.write(dir .. "/" .. BACKUP, "{}") -- older than the record
			storage.write(dir .. "/.training_info.json.tmp.1.0123456789abcdef", "torn")
		end
		if start_text then
			storage.write(record, old)
		end
	end

	local function run(inject, prefix)
		local argv = table.move(prefix or {}, 1, #(prefix or {}), 1, {})
		if inject then
			for _, word in ipairs({ "strace", "-qq", "-o", home .. "/trace" }) do
				argv[#argv + 1] = word
			end
			for _, word in ipairs(inject) do
				argv[#argv + 1] = "-e"
				argv[#argv + 1] = "inject=" .. word
			end
		end
		for _, word in ipairs({ "lua5.4", home .. "/driver", dir }) do
			argv[#argv + 1] = word
		end
		argv.err = home .. "/err"
		return file.wait(file.spawn(argv), 20000)
	end

	--- Every call of an append as { name, k }: the k-th of its name in the process.
	local function calls(start, inject)
		local list, count, marked = {}, {}, false
		reset(start)
		assert.same({ "exit", 0 }, { run(inject or {}) })
		for name in storage.read(home .. "/trace"):gmatch("([%w_]+)%([^\n]*\n") do
			count[name] = (count[name] or 0) + 1
			if marked and not IGNORED[name] then
				list[#list + 1] = { name, count[name] }
			end
			marked = marked or name == MARK
		end
		assert(#list > 30, "the trace is too short")
		return list
	end

	local function first_text()
		return (new:gsub('\n    {\n      "dataset": "hrds",\n      "steps": 1,.-\n    },', "", 1)
			:gsub('"total_steps": 3', '"total_steps": 2'))
	end

	--- Old or new, as the status says; and the next append works and leaves nothing behind.
	local function check(what, how, status)
		local text = storage.read(record)
		local wanted = start_text and new or first_text()
		local said = storage.read(home .. "/err")
		local told = what .. ": " .. tostring(how) .. " " .. tostring(status) .. " " .. tostring(said)
		assert.is_true(text == start_text or text == wanted, told)
		if how == "exit" then
			assert.is_true(status == 0 or status == 1 or status == 8, told)
			assert.is_true(status ~= 0 or text == wanted, told)
			assert.is_true(status ~= 1 or text == start_text, told)
		end
		local expected = start_text and { 1 } or {}
		if text == wanted then
			expected[#expected + 1] = 2
		end
		expected[#expected + 1] = 3
		local done, message = storage.append(dir, 3)
		assert.equal("done", done, told .. tostring(message))
		assert.same(expected, storage.steps(dir), told)
		assert.same({}, storage.names_with(dir, ".tmp."), told)
		assert.same({}, storage.names_with(dir, ".conflict-"), told)
		if #expected > 1 then
			assert.is_truthy(unit.json.check(storage.read(dir .. "/" .. BACKUP)), told)
		end
	end

	local function sweep(start, fault, also)
		local n = 0
		for _, call in ipairs(calls(start, also)) do
			local name, k = call[1], call[2]
			local inject = { ("%s:%s:when=%s"):format(name, fault:gsub("%+$", ""), k .. (fault:match("%+$")
				or "")) }
			for _, word in ipairs(also or {}) do
				if not word:find("^" .. name .. ":") then
					inject[#inject + 1] = word
				end
			end
			reset(start)
			local how, status = run(inject)
			check(("%s %s at %s %d"):format(start, fault, name, k), how, status)
			n = n + 1
		end
		return n
	end

	local function without_strace()
		return storage.skip_without(storage.has_strace, "strace") or storage.is_asan
	end

	for _, start in ipairs({ "first", "second", "third" }) do
		for _, fault in ipairs({ "signal=KILL", "error=EIO", "error=ENOSPC" }) do
			it(("leaves old or new: %s append, %s"):format(start, fault), function()
				if without_strace() then
					return pending("no strace, or a sanitizer in its way")
				end
				assert.is_true(sweep(start, fault) > 30)
			end)
		end
	end

	for _, fault in ipairs({ "signal=KILL", "error=EIO", "error=EIO+", "error=ENOSPC+",
		"error=EINTR" }) do
		it(("leaves old or new without RENAME_EXCHANGE: %s"):format(fault), function()
			if without_strace() then
				return pending("no strace, or a sanitizer in its way")
			end
			assert.is_true(sweep("third", fault, { "renameat2:error=EINVAL" }) > 30)
		end)
	end

	it("believes no rename, whatever it says", function()
		if without_strace() then
			return pending("no strace, or a sanitizer in its way")
		end
		for _, start in ipairs({ "first", "second" }) do
			for _, lie in ipairs({ "renameat2:retval=0:when=1", "fsync:retval=0:when=1" }) do
				reset(start)
				local how, status = run({ lie })
				check(start .. " " .. lie, how, status)
				assert.equal(lie:find("rename") and 8 or 0, status)
			end
		end
	end)

	it("finishes what the kernel did in pieces", function()
		if without_strace() then
			return pending("no strace, or a sanitizer in its way")
		end
		-- A lie about the length is what reading back is for.
		reset("second")
		local how, status = run({ "write:retval=10:when=1" })
		check("short write", how, status)
		assert.equal(1, status)
		assert.is_truthy(storage.read(home .. "/err"):find("reads back differently", 1, true))
	end)

	it("goes by what lies on disk when a call works and reports an error", function()
		local library, why = shim.library()
		if not library then
			return pending(why)
		end
		local n = 0
		for _, also in ipairs({ "none", "renameat2" }) do
			for _, name in ipairs({ "renameat2", "renameat", "linkat", "unlinkat", "fsync", "close",
				"ftruncate", "fchmod" }) do
				for when = 1, 6 do
					for _, start in ipairs({ "first", "third" }) do
						reset(start)
						local inject = also == "renameat2" and storage.has_strace and { "renameat2:error=EINVAL" }
							or nil
						local how, status = run(inject, shim.prefix({ call = name, when = when, error = 5 }))
						check(("%s after %s %d (%s)"):format(start, name, when, also), how, status)
						n = n + 1
					end
				end
			end
		end
		assert.is_true(n > 100)
	end)

	it("loses nothing that was acknowledged in 200 kills of 4 writers", function()
		reset("first")
		storage.write(home .. "/writer", [[
			local unit = require "unit"
			local steps = tonumber(arg[2]) * 1000
			while true do
				steps = steps + 1
				local done, message = unit.store.append(arg[1], { steps = steps, path = "x", timeout = 20000 })
				if not done then io.stderr:write(message, "\n") os.exit(1) end
				io.write(steps, "\n")
				io.flush()
			end
		]])
		math.randomseed(tonumber(os.getenv("SEED")) or 4711)
		local writers, acked, kills, base = {}, {}, 0, 0
		local function start(slot)
			base = base + 1
			local out = home .. "/out." .. base
			writers[slot] = { pid = file.spawn({ "lua5.4", home .. "/writer", dir, tostring(base), out = out,
				err = home .. "/err" }), out = out }
		end
		local function stop(slot)
			local writer = writers[slot]
			file.kill(writer.pid, 9)
			assert.same({ "signal", 9 }, { file.wait(writer.pid) }, storage.read(home .. "/err"))
			for steps in storage.read(writer.out):gmatch("(%d+)\n") do
				acked[#acked + 1] = tonumber(steps)
			end
			os.remove(writer.out)
		end
		for slot = 1, 4 do
			start(slot)
		end
		while kills < 200 do
			file.nap(math.random(0, 15000))
			local text = storage.read(record)
			assert.is_truthy(text == nil or unit.json.check(text))
			local slot = math.random(4)
			stop(slot)
			kills = kills + 1
			start(slot)
		end
		for slot = 1, 4 do
			stop(slot)
		end
		assert.equal("done", (storage.append(dir, 1)))
		local seen = {}
		for _, steps in ipairs(storage.steps(dir)) do
			assert.is_nil(seen[steps], "twice: " .. steps)
			seen[steps] = true
		end
		for _, steps in ipairs(acked) do
			assert.is_truthy(seen[steps], "lost: " .. steps)
		end
		assert.is_true(#acked > 50, #acked)
		assert.same({}, storage.names_with(dir, ".tmp."))
	end)
end)
