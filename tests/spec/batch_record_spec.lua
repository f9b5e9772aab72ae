--- thhost batch record: many recordings from one file, each record locked and written once.
local batches = require "support.batches"
local cli = require "support.cli"

local t

local function outcomes(status, ...)
	local found = {}
	for i, job in ipairs(t:json({ "batch", "record", "b.ini", ... }, status).jobs) do
		found[i] = job.job .. " " .. job.outcome
	end
	return table.concat(found, ", ")
end

local function steps_of(name)
	local steps = {}
	for i, entry in ipairs(t:info(name).training_history) do
		steps[i] = ("%d"):format(entry.steps)
	end
	return table.concat(steps, " ")
end

local TINY = "[defaults]\nstage = tiny\nbase_model = m\nstart_time = 2025-12-11T14:00:00\n"
	.. "end_time = 2025-12-11T15:00:00\n"

-- What it reads it keeps as well as a plugin can, and tries at the next call to read it again.
local KEEPER = [[
local kept
local function again()
	return kept and pcall(function()
		return kept:json("result").steps
	end) and 1 or 0
end
local function keep(ctx)
	local before = (kept and 1 + again() or 0) + (string.kept and 4 or 0)
		+ (pcall(function()
			return th_kept.exp
		end) and 8 or 0)
	kept = ctx
	pcall(function()
		th_kept = ctx
	end)
	pcall(function()
		string.kept = ctx
	end)
	pcall(function()
		package.loaded.kept = ctx
	end)
	return before
end
return {
	api = 1, kind = "stage", name = "keeper", version = "1", dir = "keeper", model_name = "keeper",
	inputs = { result = "result.json" },
	metrics = { kept = { goal = "max" }, own = { goal = "max" } },
	extract = function(ctx)
		local before = keep(ctx)
		local own = ctx:json("result").steps
		return { steps = own, metrics = { kept = before, own = own } }
	end,
	validate = function(ctx, entry)
		local own = entry.metrics and entry.metrics.own
		if own and kept and kept:json("result").steps ~= own then
			return nil, { { path = "entry", code = "kept", message = "it is another's" } }
		end
		return true
	end,
}
]]

--- A tree with a batch that records the directories old/100, old/101, ... into one record of `stage`.
local function from_dirs(stage, n)
	local names = {}
	for i = 1, n do
		names[i] = tostring(99 + i)
	end
	local tree = batches.tree("[defaults]\nstage = " .. stage .. "\ndataset = d\nbase_model = m\n"
		.. "[matrix old]\neach.seed = " .. table.concat(names, ", ") .. "\nfrom = old/{seed}\n")
	for _, name in ipairs(names) do
		batches.write(tree, "old/" .. name .. "/result.json",
			('{"steps":%s,"metrics":{"f1":0.5}}'):format(name))
	end
	cli.write(tree.dir .. "/keeper.lua", KEEPER)
	return tree
end

describe("batch record", function()
	after_each(function()
		t:close()
	end)

	it("appends the entries of each record in the order of the file, in one write", function()
		t = batches.tree()
		if not batches.can_trace() then
			return
		end
		t:close()
		t = batches.tree(TINY .. "[job t]\ntrials = t.csv\n")
		local lines = { "dataset,steps,metric.f1,epochs" }
		for i = 1, 60 do
			lines[#lines + 1] = ("d%d,%d,0.%02d,1.5"):format(i % 3, i, i)
		end
		batches.write(t, "t.csv", table.concat(lines, "\n"))
		local out = t:ok({ "batch", "record", "b.ini" }, { prefix = "strace -f -qq -e trace=rename,renameat2,renameat "
			.. "-o " .. t.dir .. "/trace" }).out
		assert.equal("recorded 60 in 3 records\n", out)
		assert.equal("3 6 9 12 15 18 21 24 27 30 33 36 39 42 45 48 51 54 57 60", steps_of("tiny_d0"))
		local _, writes = assert(cli.read(t.dir .. "/trace")):gsub('training_info.json"', "")
		assert(writes <= 3 * 2, ("%d renames for 3 records"):format(writes))
		assert.equal("2025-12-11T15:00:00", t:info("tiny_d1").training_history[7].end_time)
		t:ok { "verify" }
	end)

	it("records nothing a second time, and what is new all the same", function()
		t = batches.tree(TINY .. "[job a]\ndataset = d\nsteps = 1\n[job b]\ndataset = d\nsteps = 1\n")
		assert.equal("a recorded, b recorded", outcomes())
		assert.equal("a already, b already", outcomes())
		batches.write(t, "b.ini", cli.read(t.dir .. "/b.ini") .. "[job c]\ndataset = d\nsteps = 2\n")
		assert.equal("a already, b already, c recorded", outcomes())
		assert.equal("1 1 2", steps_of("tiny_d"))
	end)

	it("records once, wherever it is killed", function()
		t = batches.tree()
		if not batches.can_trace() then
			return
		end
		t:close()
		t = batches.tree(TINY .. "[job t]\ntrials = t.csv\n")
		batches.write(t, "t.csv", "dataset,steps\na,1\nb,2\na,3\nb,4\n")
		for n = 1, 40, 3 do
			t:run({ "batch", "record", "b.ini" }, { prefix = ("strace -f -qq -o /dev/null -e trace=openat,fsync,renameat2 "
				.. "-e inject=fsync:signal=KILL:when=%d"):format(n) })
		end
		assert.equal(0, t:run({ "batch", "record", "b.ini" }).status)
		assert.equal("1 3", steps_of("tiny_a"))
		assert.equal("2 4", steps_of("tiny_b"))
	end)

	it("lets the stage's plugin read directories, and knows them again", function()
		t = batches.tree("[defaults]\nstage = tiny\nbase_model = m\n[matrix old]\neach.dataset = a, b\n"
			.. "from = old/{dataset}\n[job same]\ndataset = a\nfrom = old/a\n")
		for _, name in ipairs { "a", "b" } do
			batches.write(t, "old/" .. name .. "/result.json", '{"steps":10,"metrics":{"f1":0.5}}')
		end
		assert.equal("old-a recorded, old-b recorded, same recorded", outcomes(0, "--only", "*"))
		assert.equal(0.5, t:info("tiny_b").training_history[1].metrics.f1)
		assert.equal("old-a already, old-b already, same already", outcomes())
	end)

	it("starts one worker for each directory that is read, and few for the rest", function()
		t = batches.tree()
		if not batches.can_trace() then
			return
		end
		t:close()
		t = from_dirs("tiny", 24)
		local function workers(jobs)
			t:ok({ "batch", "record", "b.ini", "--only", jobs }, {
				prefix = "strace -f -qq -s 100 -e trace=execve,execveat -o " .. t.dir .. "/trace" })
			return select(2, assert(cli.read(t.dir .. "/trace")):gsub('exec[^\n]*"%-%-plugin%-worker"', ""))
		end
		local few = workers("old-10[0-3]")
		assert(few >= 4, few)
		assert.equal(few + 10, workers("old-1[12]?")) -- 14 directories now, not 4
		assert.equal(18, #t:info("tiny_d").training_history)
	end)

	it("lets nothing of one directory reach a plugin that reads the next", function()
		t = from_dirs("keeper", 4)
		batches.write(t, "b.ini", cli.read(t.dir .. "/b.ini") .. "[matrix by_hand]\neach.steps = 1, 2\n")
		t:ok { "batch", "record", "b.ini", "--plugin", t.dir .. "/keeper.lua" }
		local history = t:info("keeper_d").training_history
		assert.equal(6, #history)
		for i = 1, 4 do
			assert.equal(0, history[i].metrics.kept)
			assert.equal(99 + i, history[i].metrics.own)
			assert.equal(99 + i, history[i].steps)
		end
	end)

	it("records what another begins with first", function()
		t = batches.tree(TINY .. "[job b]\ndataset = b\ninit_from = a\nsteps = 2\n[job a]\ndataset = a\nsteps = 1\n")
		assert.equal("a recorded, b recorded", outcomes())
		assert.equal("1 2", steps_of("tiny_b"))
		assert.equal("exp_1/tiny_a", t:info("tiny_b").training_history[1].inherited_from)
	end)

	it("records the others where one is refused, and not what waits for that one", function()
		t = batches.tree(TINY .. "[job a]\ndataset = a\nfrom = none\n[job b]\ndataset = b\nsteps = 1\nafter = a\n"
			.. "[job c]\ndataset = c\nsteps = 1\n")
		cli.shell("mkdir " .. t.dir .. "/none")
		assert.equal("a refused, b blocked, c recorded", outcomes(1))
		local result = t:run { "batch", "record", "b.ini" }
		assert.matches("b.ini:6: plugin 'tiny'", result.err, 1, true)
		assert.matches("'b' is not recorded: what it waits for is not", result.err, 1, true)
		assert.equal("recorded 0 in 0 records, 1 there already, 1 refused, 1 blocked by those\n", result.out)
	end)

	it("leaves what is to be run alone, and shows what it would do", function()
		t = batches.tree(TINY .. "[job a]\ndataset = a\ncommand = false\n[job b]\ndataset = b\nsteps = 1\n")
		local plan = t:ok { "batch", "record", "b.ini", "--dry-run" }.out
		assert.matches("0 to run, 1 to record, 1 not chosen", plan)
		assert.is_nil(t:read("exp_1/tiny_b/training_info.json"))
		assert.equal("b recorded", outcomes())
	end)

	it("makes the experiments that it is told to make", function()
		t = batches.tree(TINY .. "new_exp = yes\n[matrix m]\neach.seed = 1, 2\ndataset = d\nsteps = 1\nexp = s{seed}\n"
			.. "[job n]\ndataset = e\nsteps = 5\n")
		assert.equal("m-1 recorded, m-2 recorded, n recorded", outcomes())
		assert(t:read("s1/tiny_d/training_info.json") and t:read("s2/tiny_d/training_info.json"))
		assert.equal(1, #t:json({ "list", "--exp", "current" }).models)
	end)
end)
