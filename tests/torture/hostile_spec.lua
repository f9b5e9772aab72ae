-- Plugins that want out: the corpus of tests/fixtures/hostile, mutants of it, and chunks of a grammar, all in
-- real workers under strace. Whatever they do, no file, process or socket comes of it, the host lives, and
-- each of them ends.
local chunks = require "support.chunks"
local cjson = require "cjson"
local escape = require "support.escape"
local hostile = require "support.hostile"
local storage = require "support.storage"
local torture = require "support.torture"
local tree = require "support.tree"
local worker = require "support.worker"

local TIER = "hostile"
local LIMITS = "CALL_MS=100 LOAD_MS=100 MEMORY_KB=16384"
local LIFE = 30 -- seconds that no worker lives, on the slowest machine: its deadline is 1.5
local BATCH = 150 -- plugins in one directory and one trace

local output, quote, read, shell = storage.output, storage.quote, storage.read, storage.shell

--- All of `names` in turn, in one host under strace. Their answers by name, and the trace.
local function run_batch(dir, names, stage, limits)
	local trace = worker.dir() .. "/trace"
	local list = worker.write("names", table.concat(names, "\n") .. "\n")
	local command = ("%s strace %s -o %s %s batch %s %s <%s 2>/dev/null"):format(limits, escape.OPTIONS, trace,
		worker.TOOL, dir, stage, list)
	local text = output(command)
	local answers = {}
	for line in text:gmatch("[^\n]+") do
		answers[#answers + 1] = cjson.decode(line)
	end
	assert.equal(#names, #answers, "the host did not live through it: seed " .. torture.seed)
	return answers, escape.read(trace, worker.TOOL)
end

local function skip_reason()
	if storage.is_asan then
		return "a build with sanitizers makes calls of its own"
	elseif storage.skip_without(storage.has_strace, "strace") then
		return "no strace"
	end
end

--- What each file held, so that one that was touched shows.
local function outside()
	return output(("cd %s && find . -mindepth 1 -name trace -prune -o -name names -prune -o -path ./fuzz -prune -o "
		.. "-printf '%%p %%m %%s %%T@\\n' | sort; sha256sum hostile_secret"):format(worker.dir()))
end

describe("the trace", function()
	teardown(worker.cleanup)

	-- Without its filter, a plugin that broke out gets what it asks for: then this must be seen.
	it("shows an escape, and what was denied", function()
		if skip_reason() then
			return pending(torture.cannot(TIER, "a filter that is not there", skip_reason()))
		end
		local tool, trace = os.getenv("THHOST_BUILD") .. "/tests/broken_worker", worker.dir() .. "/trace"
		local script = worker.write("script", 'return io.open("/etc/passwd") and "escaped"')
		local function run(more)
			output(("strace %s %s -o %s %s Makefile <%s"):format(escape.OPTIONS, more, trace, tool, script))
			return escape.read(trace, tool)
		end
		local kept, lost = run(""), run("-e inject=prctl:retval=0:when=4")
		assert.same({ {}, 1, 1 }, { kept.escapes, kept.denied, kept.workers })
		assert.truthy((lost.escapes[1] or "nothing seen"):find("/etc/passwd", 1, true))
	end)
end)

describe("a hostile plugin", function()
	local stage

	lazy_setup(function()
		stage = hostile.stage()
	end)
	teardown(worker.cleanup)

	it("opens, writes, starts and reaches nothing", function()
		if skip_reason() then
			return pending(torture.cannot(TIER, "the corpus under strace", skip_reason()))
		end
		local names, clock, faults, before = hostile.names(), torture.clock(), {}, outside()
		local by_limits, escapes, workers, denied = {}, {}, 0, 0
		for _, name in ipairs(names) do
			local limits = hostile.limits(name)
			by_limits[limits] = by_limits[limits] or {}
			table.insert(by_limits[limits], name)
		end
		for limits, some in pairs(by_limits) do
			local answers, trace = run_batch(hostile.DIR, some, stage, limits)
			for i, name in ipairs(some) do
				faults[#faults + 1] = not hostile.more_time(name, answers[i]) and hostile.fault(name, answers[i]) or nil
			end
			table.move(trace.escapes, 1, #trace.escapes, #escapes + 1, escapes)
			table.move(trace.left, 1, #trace.left, #escapes + 1, escapes)
			workers, denied = workers + trace.workers, denied + trace.denied
			assert.is_true(trace.longest < LIFE, "a worker lived for " .. trace.longest .. " s")
		end
		torture.figure(TIER, "plugins of the corpus, traced", #names, #escapes + #faults,
			("%d workers, %d calls denied, %s"):format(workers, denied, clock()))
		assert.same({}, escapes)
		assert.same({}, faults)
		assert.equal(before, outside())
		assert.is_true(#names >= 100 and workers > #names)
	end)

	it("reads nothing outside while its input is swapped for a link", function()
		local n, clock, leaks, ends = torture.scale(60, 3000), torture.clock(), 0, {}
		worker.write("swap/p/swap.lua", [[
			local M = { api = 1, kind = "stage", name = "swap", version = "1", dir = "x", model_name = "x",
				inputs = { x = "in.log" } }
			function M.extract(ctx)
				return { base_model = assert(ctx:read("x")), metrics = {} }
			end
			return M]])
		worker.write("swap/in/own", "own")
		worker.write("swap/secret", "the secret")
		local dir = worker.dir() .. "/swap"
		local swap = ([[cd %s/in && while [ -e own ]; do ln -sf ../secret in.log; ln -f own new; mv new in.log; done]])
			:format(dir)
		shell("(" .. swap:gsub("%%", "%%%%") .. ") >/dev/null 2>&1 &")
		local answers = output(("yes swap | head -n %d | %s batch %s/p %s/in 2>/dev/null"):format(n, worker.TOOL, dir, dir))
		os.remove(dir .. "/in/own")
		for line in answers:gmatch("[^\n]+") do
			local answer = cjson.decode(line)
			leaks = leaks + (line:find("the secret", 1, true) and 1 or 0)
			ends[answer.base_model or "refused"] = true
		end
		torture.figure(TIER, "inputs swapped for links while they are read", n, leaks, clock())
		assert.equal(0, leaks)
		assert.truthy(ends.own, "the input was never there")
	end)

	-- What is documented: a plugin that does not even load is refused before the training starts; else the
	-- training is recorded from what it said itself.
	it("costs no training its record", function()
		local t, clock, faults, n = tree.new(), torture.clock(), {}, 0
		local env = { THHOST_PLUGINS = storage.output("pwd"):gsub("\n", "") .. "/" .. hostile.DIR,
			THHOST_PLUGIN_TIME_LIMIT = "300", THHOST_PLUGIN_MEMORY = "32" }
		local names = hostile.names()
		for i = 1, #names, torture.scale(10, 1) do
			local name, record = names[i], t.root .. "/exp_1/" .. names[i]
			local result = t:run({ "run", name, "-d", "d", "--into", "exp_1/" .. name .. "_d", "--", "sh", "-c",
				[[echo trained; echo '{"final":{"steps":7}}' >>"$THHOST_EVENTS"]] }, { env = env })
			local text = read(record .. "_d/training_info.json") or read(t.root .. "/exp_1/x_d/training_info.json")
			local recorded = text and text:find('"steps": 7', 1, true)
			local refused = result.status == 125 and result.out == "" and result.err:find(name, 1, true)
			if not (result.status == 0 and recorded) and not refused then
				faults[#faults + 1] = ("%s: status %d: %s%s"):format(name, result.status, result.out, result.err)
			end
			os.execute("rm -rf " .. quote(t.root .. "/exp_1/x_d") .. " " .. quote(record .. "_d"))
			n = n + 1
		end
		t:close()
		torture.figure(TIER, "trainings with a plugin of the corpus", n, #faults, clock())
		assert.same({}, faults)
	end)
end)

describe("a chunk that nobody wrote", function()
	local stage, texts

	lazy_setup(function()
		stage = hostile.stage()
		texts = {}
		for i, name in ipairs(hostile.names()) do
			texts[i] = read(hostile.DIR .. "/" .. name .. ".lua")
		end
		for _, name in ipairs({ "stage1", "stage2", "stage3", "stage4" }) do
			texts[#texts + 1] = read("plugins/" .. name .. ".lua")
		end
	end)
	teardown(worker.cleanup)

	--- Keep what was found, for a fixture.
	local function keep(name, text)
		local dir = assert(os.getenv("THHOST_BUILD")) .. "/hostile_found"
		shell("mkdir -p %s", dir)
		storage.write(("%s/%s_%d.lua"):format(dir, name, torture.seed), text)
	end

	local function ending_of(answer)
		local message = worker.message(answer)
		if not message then
			return "gave a result"
		end
		return message:match("crashed %(SIG%u+%)") or message:find("asked the kernel") and "denied by the filter"
			or message:find("was killed") and "killed at a limit" or message:find("took longer") and "timed out"
			or message:find("memory") and "out of memory" or "refused or raised"
	end

	--- Run `n` chunks that `make` makes; count how they ended.
	local function campaign(what, n, make)
		if skip_reason() then
			return pending(torture.cannot(TIER, what, skip_reason()))
		end
		math.randomseed(torture.seed)
		local clock, before, violations, ends = torture.clock(), outside(), {}, {}
		for first = 1, n, BATCH do
			local names = {}
			for i = first, math.min(first + BATCH, n + 1) - 1 do
				names[#names + 1] = "f" .. i
				worker.write("fuzz/f" .. i .. ".lua", make("f" .. i))
			end
			local answers, trace = run_batch(worker.dir() .. "/fuzz", names, stage, LIMITS)
			for i, answer in ipairs(answers) do
				local ending = ending_of(answer)
				ends[ending] = (ends[ending] or 0) + 1
				if ending:find("crashed") or ending:find("denied") then
					keep(names[i], read(worker.dir() .. "/fuzz/" .. names[i] .. ".lua"))
				end
				if worker.message(answer) and not answer.error.message:find(names[i], 1, true) then
					violations[#violations + 1] = "no name in: " .. answer.error.message
				end
			end
			table.move(trace.escapes, 1, #trace.escapes, #violations + 1, violations)
			table.move(trace.left, 1, #trace.left, #violations + 1, violations)
			assert.is_true(trace.longest < LIFE, "a worker lived for " .. trace.longest .. " s")
			shell("rm -rf %s", worker.dir() .. "/fuzz")
		end
		local detail = {}
		for ending, count in pairs(ends) do
			detail[#detail + 1] = count .. " " .. ending
		end
		table.sort(detail)
		torture.figure(TIER, what, n, #violations, ("%s; seed %d, %s"):format(table.concat(detail, ", "),
			torture.seed, clock()))
		assert.same({}, violations)
		assert.equal(before, outside())
	end

	it("does no more than a hostile one: mutants", function()
		campaign("mutants of the corpus, traced", torture.scale(120, 10000), function(name)
			return chunks.mutant(name, texts)
		end)
	end)

	it("does no more than a hostile one: sentences", function()
		campaign("chunks of a grammar, traced", torture.scale(120, 10000), chunks.sentence)
	end)
end)
