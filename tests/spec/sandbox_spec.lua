-- What a plugin may not do, and how it is told: each hostile plugin ends within its limits, with an
-- error that names it.
local hostile = require("support.hostile")
local worker = require("support.worker")

local function extract(name, stage)
	local function try(limits)
		return worker.run(limits, "extract", hostile.DIR, name, "", stage or worker.dir())
	end
	local answer, seconds = try(hostile.limits(name))
	if hostile.more_time(name, answer) then
		return try(hostile.more_time(name, answer))
	end
	return answer, seconds
end

describe("the sandbox", function()
	local stage

	lazy_setup(function()
		stage = hostile.stage()
	end)
	teardown(worker.cleanup)

	local function meet(name)
		local answer, seconds = extract(name, stage)
		assert.is_nil(hostile.fault(name, answer))
		assert.is_true(seconds < 15, ("took %.1f s"):format(seconds)) -- not the limit: for ever
	end

	local met = {}

	for _, row in ipairs(hostile.ADVISORIES) do
		met[row[2]] = true
		it("stands " .. row[1], function()
			meet(row[2])
		end)
	end

	for _, name in ipairs(hostile.names()) do
		if not met[name] then
			it("stands " .. name, function()
				assert.truthy(hostile.ending(name), "it has no ending in support/hostile.lua")
				meet(name)
			end)
		end
	end

	-- Every step of the host meets the limit once: each must end in words, none in a crash.
	it("survives any shortage of memory", function()
		worker.write("stage/train.log", "loss 1\n")
		local ended = {}
		for kib = 8, 320, os.getenv("THHOST_MODE") == "asan" and 13 or 3 do
			local answer = worker.run("MEMORY_KB=" .. kib, "extract", "tests/fixtures/plugins", "good",
				"over", worker.dir() .. "/stage")
			local message = worker.message(answer) or "done"
			assert.truthy(message == "done" or message:find("memory", 1, true), kib .. ": " .. message)
			ended[message == "done"] = true
		end
		assert.same({ [true] = true, [false] = true }, ended)
	end)

	it("names the line of an endless loop", function()
		local message = worker.message((extract("endless")))
		local start = "^plugin 'endless' %(tests/fixtures/hostile/endless.lua:7%): extract "
		assert.truthy(message:find(start), message)
	end)
end)

describe("the confinement", function()
	local trace = worker.dir() .. "/trace"

	teardown(worker.cleanup)

	--- The system calls that each worker makes once its filter stands.
	local function calls_after_confinement()
		local confined, calls = {}, {}
		for line in io.lines(trace) do
			local pid, call = line:match("^(%d+) +([%w_]+)%(")
			if call == "prctl" and line:find("PR_SET_SECCOMP", 1, true) then
				confined[pid] = true
			elseif pid and confined[pid] then
				calls[call] = (calls[call] or 0) + 1
			end
		end
		return calls, next(confined) ~= nil
	end

	local function has_strace()
		return os.execute("strace -o /dev/null true 2>/dev/null")
	end

	it("lets a worker open, make and reach nothing", function()
		if not has_strace() or os.getenv("THHOST_MODE") == "asan" then
			pending("needs strace, and no sanitizer")
			return
		end
		worker.write("stage/train.log", "loss 1\n")
		worker.run("strace -f -o " .. trace, "extract", "tests/fixtures/plugins", "good", "",
			worker.dir() .. "/stage")
		local calls, found = calls_after_confinement()
		assert.is_true(found, "no worker confined itself")
		local allowed = { read = true, pread64 = true, write = true, brk = true, mmap = true,
			munmap = true, mremap = true, setitimer = true, exit_group = true, clock_gettime = true,
			madvise = true }
		for call in pairs(calls) do
			assert.truthy(allowed[call], call)
		end
		assert.truthy(calls.pread64)
	end)
end)
