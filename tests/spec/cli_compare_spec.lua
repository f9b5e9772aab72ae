--- compare: models and entries side by side.
local cjson = require "cjson"
local cli = require "support.cli"
local metrics = require "th.metrics"
local proc = require "support.proc"
local tree = require "support.tree"

local t

local function fresh()
	t = tree.new()
end

local function done()
	t:close()
end

--- stage1_DATASET of exp_1, an hour and a half long, with further options of 'record'.
local function record(dataset, ...)
	return t:record(dataset, "--base-model", "base", "--start-time", "2025-12-11T10:30:00",
		"--end-time", "2025-12-11T12:00:00", ...)
end

local function continue(dataset, parent, ...)
	return t:ok { "record", "stage1", "-d", dataset, "--init-from", parent, "--start-time",
		"2025-12-12T10:00:00", "--end-time", "2025-12-12T11:00:00", "--steps", "5", ... }
end

--- The rows of a comparison by their path.
local function rows_of(answer)
	local rows = {}
	for _, row in ipairs(answer.rows) do
		rows[row.path] = row
	end
	return rows
end

--- A record as another program may have written it; 'entry' is the rest of its only entry.
local function foreign(entry)
	return ([[{"model_name": "m", "stage": "stage1", "final_checkpoint": "", "base_model": "b",
"created_at": "2025-01-01T00:00:00", "last_updated": "2025-01-01T01:00:00", "total_steps": 5,
"last_dataset": "d", "training_history": [{"dataset": "d", "steps": 5,
"start_time": "2025-01-01T00:00:00", "end_time": "2025-01-01T01:00:00", %s}]}
]]):format(entry)
end

local function write(name, entry)
	t:write("exp_1/" .. name .. "/training_info.json", foreign(entry))
end

describe("compare", function()
	before_each(fresh)
	after_each(done)

	it("shows what differs, with deltas against the first, and hides the rest", function()
		record("a", "-m", "f1=0.850", "-m", "recall=0.860", "-m", "precision=0.9", "-p", "lr=2e-5",
			"-p", "batch_size=3")
		record("b", "-m", "f1=0.871", "-m", "recall=0.858", "-m", "precision=0.90", "-p", "lr=5e-5",
			"-p", "batch_size=3")
		assert.are.equal([[
exp_1/stage1_a  baseline
  base > a:10
exp_1/stage1_b
  base > b:10

                exp_1/stage1_a  exp_1/stage1_b
dataset         a               b
f1              0.850           0.871           +0.021  +2.47%  better
recall          0.860           0.858           -0.002  -0.233%  worse
hyperparams.lr  2e-5            5e-5
(11 equal rows hidden; --all shows them)
]], t:ok({ "compare", "stage1_a", "stage1_b" }).out)
		local all = t:ok({ "compare", "stage1_a", "stage1_b", "--all" }).out
		assert.matches("\nprecision +0%.9 +0%.90 +same\n", all)
		assert.matches("\nhyperparams%.batch_size +3 +3\n", all)
		assert.is_nil(all:find("hidden", 1, true))
	end)

	it("keeps every digit of a value, and gives deltas as doubles", function()
		write("stage1_a", [["metrics": {"f1": 0.8712345678901234567, "n": 9007199254740993, "z": 0}]])
		write("stage1_b", [["metrics": {"f1": 0.8700, "n": 9007199254740992, "z": 1e-05}]])
		local _, result = t:json { "compare", "stage1_a", "stage1_b" }
		assert.truthy(result.out:find('"value": 0.8712345678901234567\n', 1, true), result.out)
		assert.truthy(result.out:find('"value": 9007199254740993\n', 1, true), result.out)
		local rows = rows_of(cjson.decode(result.out))
		assert.are.equal(0.8700 - 0.8712345678901234567, rows["metrics.f1"].values[2].delta)
		assert.are.equal(-1, rows["metrics.n"].values[2].delta)
		assert.are.equal(1e-05, rows["metrics.z"].values[2].delta)
		assert.are.equal(cjson.null, rows["metrics.z"].values[2].percent)
		local page = t:ok({ "compare", "stage1_a", "stage1_b" }).out
		assert.truthy(page:find("0.8712345678901234567  0.8700", 1, true), page)
		assert.matches("\nf1 .* %-0%.00123  %-0%.142%%  worse\n", page)
		assert.matches("\nz .* 1e%-05 +%+1e%-05  better\n", page)
	end)

	it("judges by the plugin's goal, else by the name as th.metrics does", function()
		local names = { "f1", "val_loss", "eval_wer", "tracer", "answer_f1", "Perplexity", "top1_error",
			"maelstrom", "smape", "fid2", "rmse", "score", "BPB", "a.ter", "crossentropy" }
		local pairs_of = {}
		for i, name in ipairs(names) do
			pairs_of[i] = ('"%s": %%s'):format(name)
		end
		local body = '"metrics": {' .. table.concat(pairs_of, ", "):gsub("%%s", "1.0") .. "}"
		local other = body:gsub("1%.0", "2.0")
		write("zzz_a", (body:gsub("stage1", "zzz")))
		write("zzz_b", (other:gsub("stage1", "zzz")))
		local rows = rows_of(t:json({ "compare", "zzz_a", "zzz_b" }))
		for _, name in ipairs(names) do
			local row = assert(rows["metrics." .. name], name)
			local goal = row.goal_from == "name" and metrics.goal(name) or row.goal
			assert.are.equal(goal, row.goal, name)
			assert.are.equal(goal == "max" and "better" or "worse", row.values[2].verdict, name)
		end
		assert.are.equal("name", rows["metrics.maelstrom"].goal_from)
		assert.are.equal("plugin", rows["metrics.f1"].goal_from)
	end)

	it("does not judge what only describes the data or the run", function()
		local body = '"metrics": {"per_class_support.title": %d, "eval_runtime": %d, "supporting": %d}'
		write("stage1_a", body:format(2, 2, 2))
		write("stage1_b", body:format(1, 1, 3))
		local answer = t:json { "compare", "stage1_a", "stage1_b", "--fail-on-regression" }
		local rows = rows_of(answer)
		for _, name in ipairs { "per_class_support.title", "eval_runtime" } do
			local row = rows["metrics." .. name]
			assert.is_nil(row.goal, name)
			assert.are.equal(-1, row.values[2].delta)
			assert.is_nil(row.values[2].verdict, name)
		end
		assert.are.equal("better", rows["metrics.supporting"].values[2].verdict)
		assert.matches("\neval_runtime +2 +1 +%-1  %-50%%\n", t:ok({ "compare", "stage1_a",
			"stage1_b" }).out)
	end)

	it("lets the plugin's word go before the name's, also for what is nested", function()
		cli.write(t.dir .. "/odd.lua", [[
			return { api = 1, kind = "stage", name = "odd", version = "1", summary = "odd", dir = "odd",
				model_name = "odd", inputs = { log = "@log" },
				metrics = { gain_loss = { goal = "max" }, per = { goal = "min" } },
				extract = function() return { metrics = {} } end }
		]])
		local plugin = t.dir .. "/odd.lua"
		for name, values in pairs { a = { 1, 1 }, b = { 2, 2 } } do
			t:ok { "record", "odd", "-d", name, "--plugin", plugin, "--steps", "1", "-m",
				"gain_loss=" .. values[1], "-m", "per.title=" .. values[2] }
		end
		local answer = t:json { "compare", "odd_a", "odd_b", "--plugin", plugin }
		local rows = rows_of(answer)
		assert.are.equal("better", rows["metrics.gain_loss"].values[2].verdict)
		assert.are.equal("plugin", rows["metrics.gain_loss"].goal_from)
		assert.are.equal("worse", rows["metrics.per.title"].values[2].verdict)
	end)

	it("measures against the baseline, and ends with 1 for a regression if asked", function()
		record("a", "-m", "f1=0.8", "-m", "val_loss=0.5")
		record("b", "-m", "f1=0.9", "-m", "val_loss=0.4")
		local ask = { "compare", "stage1_a", "stage1_b", "--fail-on-regression" }
		assert.are.equal(0, t:run(ask).status)
		ask[#ask + 1] = "--baseline=stage1_b"
		local result = t:run(ask)
		assert.are.equal(1, result.status)
		assert.are.equal("", result.err)
		assert.matches("stage1_b  baseline\n", result.out)
		assert.matches("\nf1 +0%.8 +%-0%.1  %-11%.1%%  worse +0%.9\n", result.out)
		assert.are.equal(2, t:json(ask, 1).regressions)
		assert.are.equal(0, t:run({ "compare", "stage1_a", "stage1_b", "-b", "stage1_b" }).status)
		-- A baseline that is not among the operands comes first.
		local answer = t:json { "compare", "stage1_a", "--baseline", "stage1_b" }
		assert.are.equal("exp_1/stage1_b", answer.baseline)
		assert.are.equal("exp_1/stage1_b", answer.models[1].ref)
		assert.are.equal(2, #answer.models)
	end)

	it("calls a metric that is no number any more worse, and one that is absent nothing", function()
		write("stage1_a", [["metrics": {"f1": 0.5, "val_loss": NaN, "x": 1, "l_loss": 1}]])
		write("stage1_b", [["metrics": {"f1": null, "val_loss": 0.5, "l_loss": null},
			"nonfinite": {"f1": "nan", "l_loss": "inf"}]])
		local rows = rows_of(t:json { "compare", "stage1_a", "stage1_b" })
		assert.are.equal("worse", rows["metrics.f1"].values[2].verdict)
		assert.are.equal("nan", rows["metrics.f1"].values[2].nonfinite)
		assert.is_nil(rows["metrics.f1"].values[2].delta)
		assert.are.equal("better", rows["metrics.val_loss"].values[2].verdict)
		assert.are.equal(cjson.null, rows["metrics.val_loss"].values[1].value)
		assert.are.equal("worse", rows["metrics.l_loss"].values[2].verdict)
		assert.is_nil(rows["metrics.x"].values[2].verdict)
		assert.is_nil(rows["metrics.x"].values[2].value)
		local page = t:ok({ "compare", "stage1_a", "stage1_b" }).out
		assert.matches("\nf1 +0%.5 +nan +worse\n", page)
		assert.matches("\nl_loss +1 +inf +worse\n", page)
		-- NaN and NaN are the same.
		write("stage1_c", [["metrics": {"val_loss": NaN}]])
		rows = rows_of(t:json { "compare", "stage1_a", "stage1_c", "--all" })
		assert.is_false(rows["metrics.val_loss"].differs)
		assert.are.equal("same", rows["metrics.val_loss"].values[2].verdict)
	end)

	it("takes one entry by its number or its run id, with the strategy up to it", function()
		record("a", "-m", "f1=0.8")
		continue("b", "a", "-m", "f1=0.7")
		t:ok { "record", "stage1", "-d", "b", "--into", "stage1_b", "--steps", "7", "-m", "f1=0.9",
			"--capture" }
		local answer = t:json { "compare", "stage1_b#1", "stage1/b#2", "stage1_b" }
		local strategies = {}
		for i, model in ipairs(answer.models) do
			strategies[i] = ("%s %s"):format(model.ref, model.strategy)
		end
		assert.same({ "exp_1/stage1_b#1 base > a:10", "exp_1/stage1_b#2 base > a:10 > b:5",
			"exp_1/stage1_b base > a:10 > b:5 > b:7" }, strategies)
		assert.are.equal(2, answer.models[2].entry)
		assert.are.equal(cjson.null, answer.models[3].entry)
		local f1 = rows_of(answer)["metrics.f1"]
		assert.same({ 0.8, 0.7, 0.9 }, { f1.values[1].value, f1.values[2].value, f1.values[3].value })
		local run_id = t:info("stage1_b").training_history[3].run_id
		assert.are.equal("exp_1/stage1_b#3",
			t:json({ "compare", run_id, "stage1_a" }).models[1].ref)
	end)

	it("adds up what a model cost, alone and with all that it came from, each entry once", function()
		record("a")
		continue("b", "a")
		continue("c", "b")
		t:ok { "record", "stage3", "-d", "x", "--steps", "100", "--capture", "--base-model",
			"artifact/exp_1/stage1_b/checkpoint-5" }
		local models = t:json({ "compare", "stage1_c", "stage1_b", "parent_finder_x" }).models
		local function cost(model, key)
				local c = model[key]
			return ("%d %d %s"):format(c.entries, c.steps, c.seconds)
		end
		assert.are.equal("1 5 3600.0", cost(models[1], "own"))
		assert.are.equal("3 20 12600.0", cost(models[1], "with_ancestors"))
		assert.are.equal("2 15 9000.0", cost(models[2], "with_ancestors"))
		assert.are.equal("1 100 " .. tostring(cjson.null), cost(models[3], "own"))
		assert.are.equal("3 115 9000.0", cost(models[3], "with_ancestors"))
		assert.are.equal(1, models[3].with_ancestors.without_time)
		local page = t:ok({ "compare", "stage1_c", "parent_finder_x" }).out
		assert.matches("\ntime with ancestors +3h30m +at least 2h30m\n", page)
		-- What a record inherited is known even where its parent is gone; else it is said so.
		cli.shell("rm -r " .. t.root .. "/exp_1/stage1_b")
		models = t:json({ "compare", "stage1_c", "parent_finder_x" }).models
		assert.are.equal("3 20 12600.0", cost(models[1], "with_ancestors"))
		assert.are.equal(0, models[1].with_ancestors.ancestors_gone)
		-- And what one that is gone came from, by what its heirs know of it.
		assert.are.equal("2 110 5400.0", cost(models[2], "with_ancestors"))
		assert.are.equal(1, models[2].with_ancestors.ancestors_gone)
		assert.matches("\nsteps with ancestors +20 +at least 110\n",
			t:ok({ "compare", "stage1_c", "parent_finder_x" }).out)
	end)

	it("counts GPU time by what the training could see", function()
		local function environment(gpus, visible)
			local env = visible and ('"env": {"CUDA_VISIBLE_DEVICES": "%s"}, '):format(visible) or ""
			return ('"metrics": {}, "environment": {%s"gpu": {"count": %d}}'):format(env, gpus)
		end
		local want = { { 8, nil, 8 }, { 8, "0,3", 2 }, { 8, "", 0 }, { 8, "-1", 0 }, { 8, "1,-1,2", 1 } }
		for i, case in ipairs(want) do
			write("stage1_" .. i, environment(case[1], case[2]))
			write("stage1_none", '"metrics": {}')
			local models = t:json({ "compare", "stage1_" .. i, "stage1_none" }).models
			assert.are.equal(3600.0 * case[3], models[1].own.gpu_seconds)
			assert.are.equal(cjson.null, models[2].own.gpu_seconds)
			assert.are.equal(1, models[2].own.without_gpus)
		end
		assert.matches("\nGPU hours +8%.0 +2%.0\n", t:ok({ "compare", "stage1_1", "stage1_2" }).out)
	end)

	it("compares git and the environment value by value", function()
		write("stage1_a", [["metrics": {}, "git": {"commit": "0123456789abcdef0123", "dirty": false,
			"branch": "main"}, "environment": {"python": {"packages": {"torch": "2.1", "numpy": "1"}}}]])
		write("stage1_b", [["metrics": {}, "git": {"commit": "f123456789abcdef0123", "dirty": true,
			"branch": "main"}, "environment": {"python": {"packages": {"numpy": "1", "torch": "2.2"}}}]])
		local page = t:ok({ "compare", "stage1_a", "stage1_b" }).out
		assert.matches("\ngit%.commit +0123456789ab +f123456789ab\n", page)
		assert.matches("\ngit%.dirty +false +true\n", page)
		assert.matches("\nenvironment%.python%.packages%.torch +2%.1 +2%.2\n", page)
		assert.is_nil(page:find("numpy", 1, true))
		assert.is_nil(page:find("branch", 1, true))
		local rows = rows_of(t:json { "compare", "stage1_a", "stage1_b" })
		assert.are.equal("0123456789abcdef0123", rows["git.commit"].values[1].value)
	end)

	--- What a terminal so wide gets, without its carriage returns.
	local function on_terminal(columns, args)
		return (t:ok(args, { prefix = proc.quote(proc.on_terminal({}, nil, 60, columns)),
			env = { TERM = "xterm" } }).out:gsub("\r", ""))
	end

	it("colours better and worse, and only on a terminal", function()
		record("a", "-m", "f1=0.8", "-m", "recall=0.8")
		record("b", "-m", "f1=0.9", "-m", "recall=0.7")
		local args = { "compare", "stage1_a", "stage1_b" }
		local seen = on_terminal(120, args)
		assert.truthy(seen:find("\27[32m+0.1  +12.5%  better\27[0m", 1, true), seen)
		assert.truthy(seen:find("\27[31m-0.1  -12.5%  worse\27[0m", 1, true), seen)
		assert.is_nil(t:ok(args).out:find("\27"))
	end)

	it("folds to one block for each model where the terminal is too narrow", function()
		record("a", "-m", "f1=0.8", "-m", "recall=0.81", "-p", "optimizer=" .. ("w"):rep(90))
		record("b", "-m", "f1=0.9", "-p", "optimizer=adam")
		local args = { "compare", "stage1_a", "stage1_b", "--color", "never" }
		local seen = on_terminal(60, args)
		local tail = seen:match("\n\nexp_1/stage1_a\n.*$")
		assert.are.equal(([[


exp_1/stage1_a
  dataset                a
  f1                     0.8
  recall                 0.81
  hyperparams.optimizer  %s…

exp_1/stage1_b
  dataset                b
  f1                     0.9  +0.1  +12.5%%  better
  hyperparams.optimizer  adam
(9 equal rows hidden; --all shows them)
]]):format(("w"):rep(34)), tail)
		assert.matches("\n +exp_1/stage1_a +exp_1/stage1_b\n", on_terminal(200, args))
	end)

	it("lets nothing in a record act upon the terminal", function()
		local evil = "\\u001b]0;owned\\u0007\\u001b[31m\\u202eevil\\r\\n"
		write("stage1_a", ('"metrics": {"%s": 0.5, "l": ["%s"]}, "hyperparams": {"%s": "%s"}'):format(evil,
			evil, evil, evil))
		write("stage1_b", ('"metrics": {"f1": 0.5}, "git": {"commit": "%s"}'):format(evil))
		for _, args in ipairs { { "compare", "stage1_a", "stage1_b" },
			{ "compare", "stage1_a", "stage1_b", "--json" } } do
			local out = t:ok(args).out
			assert.is_nil(out:find("[\0-\9\11-\31\127]"), out)
			assert.is_nil(out:find("\u{202e}", 1, true))
			assert.truthy(out:find("evil", 1, true))
		end
	end)

	it("lines columns up by what is seen", function()
		record("业务", "-m", "准确率=0.5")
		record("b", "-m", "准确率=0.75")
		local page = t:ok({ "compare", "stage1_业务", "stage1_b" }).out
		assert.truthy(page:find("\n         exp_1/stage1_业务  exp_1/stage1_b\n", 1, true), page)
		assert.truthy(page:find("\n准确率   0.5                0.75            +0.25  +50%  better\n", 1,
			true), page)
	end)

	it("compares a model that has no entries yet", function()
		record("a", "-m", "f1=0.5")
		t:write("exp_1/stage1_b/training_info.json", '{"training_history": []}')
		local answer = t:json { "compare", "stage1_a", "stage1_b" }
		assert.are.equal(0, answer.models[2].own.entries)
		assert.is_nil(rows_of(answer)["metrics.f1"].values[2].value)
	end)

	it("compares more models than may be open at once", function()
		record("a", "-m", "f1=0.5")
		local args = { "compare", "--json" }
		for i = 3, 80 do
			args[i] = "stage1_a"
		end
		local result = t:ok(args, { prefix = "prlimit --nofile=40" })
		assert.are.equal(78, #cjson.decode(result.out).models)
	end)

	it("reads only, and refuses what it cannot compare", function()
		record("a", "-m", "f1=0.5")
		t:refused(2, "needs more: REF REF...", { "compare" })
		t:refused(2, "needs two models or entries", { "compare", "stage1_a" })
		t:refused(2, "needs two models or entries", { "compare", "stage1_a", "-b", "stage1_a" })
		t:refused(3, "stage1_none", { "compare", "stage1_a", "stage1_none" })
		t:refused(3, "stage1_none", { "compare", "stage1_a", "stage1_a", "-b", "stage1_none" })
		t:refused(3, "'exp_1/stage1_a' has no entry 2", { "compare", "stage1_a", "stage1_a#2" })
		t:refused(2, "names no entry", { "compare", "stage1_a", "stage1_a#0" })
		t:refused(2, "names no entry", { "compare", "stage1_a", "stage1_a#99999999999999999999" })
		t:run { "run", "stage1", "-d", "a", "--into", "stage1_a", "--", "false" }
		local run_id = t:json({ "show", "stage1_a" }).runs[1].run_id
		t:refused(3, "is not in the history of 'exp_1/stage1_a'", { "compare", run_id, "stage1_a" })
		t:write("exp_1/stage1_bad/training_info.json", '{\n"training_history": [}')
		t:refused(5, "stage1_bad/training_info.json:2:22: expected", { "compare", "stage1_a",
			"stage1_bad" })
	end)

	it("warns of an ancestor that is damaged, and counts the rest", function()
		record("a")
		continue("b", "a")
		t:ok { "record", "stage3", "-d", "x", "--steps", "100", "--capture", "--base-model",
			"artifact/exp_1/stage1_b/checkpoint-5" }
		t:write("exp_1/stage1_b/training_info.json", "{")
		local answer, result = t:json { "compare", "stage1_a", "parent_finder_x" }
		assert.matches("stage1_b/training_info%.json:1:2", result.err)
		assert.are.equal(1, answer.models[2].with_ancestors.ancestors_gone)
	end)
end)

describe("compare over several roots", function()
	before_each(fresh)
	after_each(done)

	--- 'record' as above, below the root 'name' beside the usual one.
	local function record_at(name, dataset, ...)
		cli.shell("mkdir -p " .. cli.quote(t.dir .. "/" .. name .. "/exp_1"))
		return t:record(dataset, "--root", name, "--exp", "exp_1", "--base-model", "base",
			"--start-time", "2025-12-11T10:30:00", "--end-time", "2025-12-11T12:00:00", ...)
	end

	local function refs(answer)
		local names = {}
		for i, model in ipairs(answer.models) do
			names[i] = model.ref
		end
		return names
	end

	it("finds a REF below any of them", function()
		record("a", "-m", "f1=0.5")
		record_at("other", "b", "-m", "f1=0.75")
		local answer = t:json { "compare", "--root", "artifact", "--root", "other", "--root", "artifact",
			"stage1/a", "exp_1/stage1_b#1" }
		assert.same({ "exp_1/stage1_a", "exp_1/stage1_b#1" }, refs(answer))
		assert.are.equal(0.25, rows_of(answer)["metrics.f1"].values[2].delta)
		t:refused(3, "nothing is called 'stage1_c' below 2 roots", { "compare", "--root", "artifact",
			"--root", "other", "stage1_a", "stage1_c" })
		t:refused(3, "nowhere", { "compare", "--root", "artifact", "--root", "nowhere", "stage1_a",
			"stage1_a" })
	end)

	it("refuses a REF that two of them have, and takes their paths", function()
		record("a", "-m", "f1=0.5")
		record_at("other", "a", "-m", "f1=0.75")
		local roots = { "compare", "--root", "artifact", "--root", "other" }
		local object = t:refused(5, "'stage1_a' has two meanings", { roots[1], roots[2], roots[3],
			roots[4], roots[5], "stage1_a", "stage1_a" })
		assert.truthy(object.message:find(t.root .. "/exp_1/stage1_a", 1, true), object.message)
		assert.truthy(object.message:find(t.dir .. "/other/exp_1/stage1_a", 1, true))
		for _, path in ipairs { "artifact/exp_1/stage1_a", "other/exp_1/stage1_a/training_info.json" } do
			roots[#roots + 1] = path
		end
		local answer = t:json(roots)
		assert.same({ t.root .. "/exp_1/stage1_a", t.dir .. "/other/exp_1/stage1_a" }, refs(answer))
		assert.are.equal("better", rows_of(answer)["metrics.f1"].values[2].verdict)
		-- The baseline is told by its place, not by its REF.
		roots[#roots + 1] = "-b"
		roots[#roots + 1] = "other/exp_1/stage1_a"
		answer = t:json(roots)
		assert.are.equal(2, #answer.models)
		assert.are.equal(t.dir .. "/other/exp_1/stage1_a", answer.baseline)
	end)

	it("adds up ancestors across them, and keeps the same REF of two roots apart", function()
		record("a")
		record_at("other", "a")
		-- stage1_x of 'other' goes on from stage1_a of the usual root, and there is one of its own.
		t:ok { "record", "stage3", "-d", "x", "--root", "other", "--exp", "exp_1", "--steps", "100",
			"--start-time", "2025-12-12T10:00:00", "--end-time", "2025-12-12T11:00:00",
			"--base-model", t.root .. "/exp_1/stage1_a/checkpoint-10" }
		t:ok { "record", "stage1", "-d", "y", "--root", "other", "--exp", "exp_1", "--init-from", "a",
			"--steps", "5", "--start-time", "2025-12-12T10:00:00", "--end-time",
			"2025-12-12T11:00:00" }
		local models = t:json({ "compare", "--root", "other", "--root", "artifact", "stage3/x",
			"stage1_y" }).models
		assert.same({ 2, 110 }, { models[1].with_ancestors.entries, models[1].with_ancestors.steps })
		assert.are.equal(3600 + 5400, models[1].with_ancestors.seconds)
		assert.same({ 2, 15 }, { models[2].with_ancestors.entries, models[2].with_ancestors.steps })
		-- Alone 'other' has no such ancestor: what is there, outside of it, is no model of it.
		cli.shell("mkdir " .. t.root .. "/exp_1/stage1_a/checkpoint-10")
		models = t:json({ "compare", "--root", "other", "stage3/x", "stage1_y" }).models
		assert.same({ 1, 100 }, { models[1].with_ancestors.entries, models[1].with_ancestors.steps })
	end)

	it("counts what a record named by its path came from", function()
		record("a")
		continue("b", "a")
		record_at("other", "c")
		local models = t:json({ "compare", "--root", "other", "stage1_c",
			"artifact/exp_1/stage1_b" }).models
		assert.same({ 2, 15 }, { models[2].with_ancestors.entries, models[2].with_ancestors.steps })
		cli.shell("rm -r " .. t.root .. "/exp_1/stage1_a")
		models = t:json({ "compare", "--root", "other", "stage1_c", "artifact/exp_1/stage1_b" }).models
		assert.are.equal(0, models[2].with_ancestors.ancestors_gone)
	end)
end)
