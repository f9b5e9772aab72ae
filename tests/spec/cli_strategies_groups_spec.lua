--- strategies: the order of trainings, groups by fields, several roots, and the formats for programs.
local cjson = require "cjson"
local tree = require "support.tree"

local t

local function fresh()
	t = tree.new()
end

local function done()
	t:close()
end

--- A record at 'path' below the test's directory, trained on 'datasets'; 'rest' is the last entry's.
local function write(path, datasets, rest, stage)
	local entries = {}
	for i, dataset in ipairs(datasets) do
		entries[i] = ([[{"dataset": "%s", "steps": %d, "start_time": "2025-01-01T00:00:00",
"end_time": "2025-01-01T01:00:00", %s}]]):format(dataset, i, i == #datasets and rest or '"metrics": {}')
	end
	t:write("../" .. path .. "/training_info.json", ([[{"model_name": "m", "stage": "%s",
"final_checkpoint": "", "base_model": "base", "created_at": "2025-01-01T00:00:00",
"last_updated": "2025-01-01T01:00:00", "total_steps": 1, "last_dataset": "d",
"training_history": [%s]}]]):format(stage or "stage1", table.concat(entries, ", ")))
end

local function metrics(text)
	return ('"metrics": {%s}'):format(text)
end

local function mean_of(values)
	local sum = 0
	for _, value in ipairs(values) do
		sum = sum + value
	end
	return sum / #values
end

local function deviation_of(values)
	local mean, squares = mean_of(values), 0
	for _, value in ipairs(values) do
		squares = squares + (value - mean) ^ 2
	end
	return math.sqrt(squares / (#values - 1))
end

--- Models trained on a then b, and on b then a, by what f1 they got; the loss is 1 - f1.
local AB = { 0.81, 0.835, 0.8 }
local BA = { 0.77, 0.7826 }

local function two_orders()
	for i, f1 in ipairs(AB) do
		write("artifact/exp_1/stage1_ab" .. i, { "a", "b" }, metrics(('"f1": %s, "val_loss": %s, "x": 1')
			:format(f1, 1 - f1)))
	end
	for i, f1 in ipairs(BA) do
		write("artifact/exp_1/stage1_ba" .. i, { "b", "a" }, metrics(('"f1": %s, "val_loss": %s')
			:format(f1, 1 - f1)))
	end
	write("artifact/exp_1/stage1_a", { "a" }, metrics '"f1": 0.5')
	write("artifact/exp_1/stage1_aab", { "a", "a", "b" }, metrics '"f1": 0.5')
	write("artifact/exp_1/stage1_bb", { "b", "b" }, metrics '"f1": 0.5')
	write("artifact/exp_1/parent_finder_ba", { "b", "a" }, metrics '"f1": 0.5', "stage3")
end

describe("strategies: the order", function()
	before_each(fresh)
	after_each(done)

	it("is set against the other order of the same trainings, metric by metric", function()
		two_orders()
		local answer = t:json { "strategies" }
		assert.are.equal(1, #answer.order_effects)
		local pair = answer.order_effects[1]
		assert.same({ "stage1", "base > a > b", "base > b > a" }, { pair.stage, pair.first,
			pair.second })
		local f1, loss = pair.metrics[1], pair.metrics[2]
		assert.are.equal(2, #pair.metrics) -- only one of both has x
		assert.same({ "f1", "max", 3, 2, "worse" }, { f1.name, f1.goal, f1.first.n, f1.second.n,
			f1.verdict })
		assert.near(mean_of(AB), f1.first.mean, 1e-12)
		assert.near(deviation_of(AB), f1.first.deviation, 1e-12)
		assert.near(mean_of(BA), f1.second.mean, 1e-12)
		assert.near(deviation_of(BA), f1.second.deviation, 1e-12)
		assert.near(mean_of(BA) - mean_of(AB), f1.difference, 1e-12)
		assert.near(math.sqrt(deviation_of(AB) ^ 2 / #AB + deviation_of(BA) ^ 2 / #BA), f1.standard_error,
			1e-12)
		assert.same({ "val_loss", "min", "worse" }, { loss.name, loss.goal, loss.verdict })
		assert.near(mean_of(AB) - mean_of(BA), loss.difference, 1e-12)
	end)

	it("has a section of its own, which --order shows alone", function()
		two_orders()
		local section = [[
stage1  order
  1  base > a > b  (3 models)
  2  base > b > a  (2 models)
  metric  n 1  mean 1  deviation 1  n 2  mean 2  deviation 2    2 - 1   error
  f1        3   0.815        0.018    2  0.7763      0.00891  -0.0387  0.0122  worse
]]
		local whole = t:ok({ "strategies", "-m", "f1" }).out
		assert.truthy(whole:find("\n\n" .. section, 1, true), whole)
		assert.are.equal(section, t:ok({ "strategies", "-m", "f1", "--order" }).out)
		assert.is_nil(t:json({ "strategies", "--order" }).strategies)
		assert.are.equal("stage,first,second,metric,first_n,first_mean,first_deviation,second_n,"
			.. "second_mean,second_deviation,difference,standard_error,verdict\n", (t:ok({ "strategies", "--order", "--csv",
			"a" }).out))
		local line = t:ok({ "strategies", "--order", "--csv", "-m", "val_loss" }).out:match("\n(.*)\n")
		assert.matches("^stage1,base > a > b,base > b > a,val_loss,3,0%.18%d*,0%.018%d*,2,0%.2237%d*,"
			.. "0%.0089%d*,0%.0387%d*,0%.012%d*,worse$", line)
		assert.matches("in two orders", t:ok({ "strategies", "--order", "a" }).err)
	end)

	it("compares every two orders of three", function()
		local all = { { "a", "b", "c" }, { "b", "c", "a" }, { "c", "a", "b" } }
		for i, datasets in ipairs(all) do
			write("artifact/exp_1/stage1_" .. i, datasets, metrics('"f1": 0.' .. i))
		end
		local seen = {}
		for _, pair in ipairs(t:json({ "strategies", "--order" }).order_effects) do
			seen[#seen + 1] = ("%s / %s %.1f"):format(pair.first, pair.second, pair.metrics[1].difference)
		end
		assert.same({ "base > a > b > c / base > b > c > a 0.1", "base > a > b > c / base > c > a > b 0.2",
			"base > b > c > a / base > c > a > b 0.1" }, seen)
		-- One model of each tells nothing of the error.
		local metric = t:json({ "strategies", "--order" }).order_effects[1].metrics[1]
		assert.are.equal(cjson.null, metric.standard_error)
	end)

	it("tells steps apart only if asked", function()
		two_orders() -- the first training has one step, the second two
		assert.same({}, t:json({ "strategies", "--order", "--steps" }).order_effects)
	end)
end)

describe("strategies: --group-by", function()
	before_each(fresh)
	after_each(done)

	--- Repeats over seeds with two learning rates, of which one is written in three ways.
	local function repeats()
		local values = { { "2e-5", 0.5 }, { "0.00002", 0.75 }, { '"2e-05"', 0.7 }, { "1e-4", 0.25 },
			{ "1e-4", 0.5 } }
		for i, value in ipairs(values) do
			write("artifact/exp_1/stage1_" .. i, { "a" }, metrics('"f1": ' .. value[2])
				.. (', "hyperparams": {"lr": %s, "seed": %d}, "git": {"dirty": %s}'):format(value[1], i,
					i == 5 and "true" or "false"))
		end
		write("artifact/exp_1/stage1_none", { "a" }, metrics '"f1": 0.125')
	end

	it("puts together what has the same value, however that is written", function()
		repeats()
		local groups = t:json({ "strategies", "--group-by", "params.lr" }).groups
		local seen = {}
		for i, group in ipairs(groups) do
			seen[i] = { group.group["params.lr"], group.models, group.metrics[1].best,
				group.metrics[1].best_ref }
		end
		assert.same({ { 2e-5, 3, 0.75, "exp_1/stage1_2" }, { 1e-4, 2, 0.5, "exp_1/stage1_5" },
			{ cjson.null, 1, 0.125, "exp_1/stage1_none" } }, seen)
		local f1 = groups[1].metrics[1]
		assert.near(mean_of { 0.5, 0.75, 0.7 }, f1.mean, 1e-12)
		assert.near(deviation_of { 0.5, 0.75, 0.7 }, f1.deviation, 1e-12)
		assert.are.equal(cjson.null, groups[3].metrics[1].deviation)
		assert.are.equal(t.root .. "/exp_1/stage1_2/training_info.json", f1.best_path)
	end)

	it("takes several fields, of which some are texts and truths", function()
		repeats()
		assert.are.equal([[
params.lr  git.dirty  models  metric  n   mean  deviation   best  of
2e-5       false           3  f1      3   0.65      0.132   0.75  exp_1/stage1_2
1e-4       false           1  f1      1   0.25          -   0.25  exp_1/stage1_4
1e-4       true            1  f1      1    0.5          -    0.5  exp_1/stage1_5
-          -               1  f1      1  0.125          -  0.125  exp_1/stage1_none
]], t:ok({ "strategies", "-g", "params.lr", "-g", "git.dirty" }).out)
		assert.are.equal([[
stage,params.lr,models,metric,n,mean,deviation,best,best_ref
stage1,0.0001,2,f1,2,0.375,0.1767766952966369,0.5,exp_1/stage1_5
]], (t:ok({ "strategies", "-g", "stage, params.lr", "-F", "params.lr > 5e-5", "--csv" }).out:gsub("1e%-4",
			"0.0001")))
	end)

	it("groups by the strategy as it is shown, with steps only if asked", function()
		write("artifact/exp_1/stage1_1", { "a", "b" }, metrics '"f1": 1')
		write("artifact/exp_1/parent_finder_1", { "a", "b" }, metrics '"f1": 0', "stage3")
		local groups = t:json({ "strategies", "-g", "strategy" }).groups
		assert.same({ 1, "base > a > b", 2 }, { #groups, groups[1].group.strategy, groups[1].models })
		assert.are.equal("base > a:1 > b:2",
			t:json({ "strategies", "-g", "strategy", "--steps" }).groups[1].group.strategy)
	end)

	it("has no best where the stages of a group want opposite things", function()
		t:write("../plugins/low.lua", [[return { api = 1, kind = "stage", name = "low", version = "1",
			summary = "low", dir = "low", model_name = "low", inputs = { log = "@log" },
			metrics = { f1 = { goal = "min" } }, extract = function() return { metrics = {} } end }]])
		write("artifact/exp_1/stage1_1", { "a" }, metrics '"f1": 1')
		write("artifact/exp_1/low_1", { "a" }, metrics '"f1": 3', "low")
		local plugin = { "--plugin", t.dir .. "/plugins/low.lua" }
		local f1 = t:json({ "strategies", "-g", "dataset", plugin[1], plugin[2] }).groups[1].metrics[1]
		assert.same({ cjson.null, cjson.null, 2, 2 }, { f1.goal, f1.best, f1.n, f1.mean })
		f1 = t:json({ "strategies", "-g", "dataset,stage", plugin[1], plugin[2] }).groups[1].metrics[1]
		assert.same({ "min", 3 }, { f1.goal, f1.best })
	end)

	it("goes with nothing that it has no meaning with", function()
		repeats()
		for _, case in ipairs { { "--order" }, { "--forgetting", "f1" } } do
			t:refused(2, "do not go together", { "strategies", "-g", "stage", table.unpack(case) })
		end
		t:refused(2, "an empty or repeated field in 'a,,b'", { "strategies", "-g", "a,,b" })
		t:refused(2, "an empty or repeated field", { "strategies", "-g", "a,b", "-g", "a" })
		t:refused(2, "filter, column", { "strategies", "-F", "f1 >" })
		t:refused(2, "do not go together", { "strategies", "--csv", "--tsv" })
	end)
end)

describe("strategies", function()
	before_each(fresh)
	after_each(done)

	it("goes over several roots", function()
		write("artifact/exp_1/stage1_a", { "a" }, metrics '"f1": 0.5')
		write("other/exp_7/stage1_a", { "a" }, metrics '"f1": 0.75')
		write("other/exp_7/stage1_b", { "b" }, metrics '"f1": 0.25')
		local answer = t:json { "strategies", "--root", "artifact", "--root", "other" }
		assert.same({ 2, 2, 0.625 }, { #answer.strategies, answer.strategies[1].models,
			answer.strategies[1].metrics[1].mean })
		assert.are.equal(t.dir .. "/other/exp_7/stage1_a/training_info.json",
			answer.strategies[1].metrics[1].best_path)
		answer = t:json { "strategies", "--root", "artifact", "--root", "other", "-e", "exp_7" }
		assert.are.equal(1, answer.strategies[1].models)
		assert.matches("no such model below 2 roots", t:ok({ "strategies", "--root", "artifact", "--root",
			"other", "z" }).err)
		assert.matches("none that was asked has 'nope'", t:ok({ "strategies", "-F", "nope = 1" }).err)
	end)

	it("is a sheet with all digits, or a line of JSON for each", function()
		local values = { 0.1, 0.2, 0.4 }
		for i, value in ipairs(values) do
			write("artifact/exp_1/stage1_" .. i, { "=a" }, metrics(('"f1": %s, "per.x": 1'):format(value)))
		end
		local mean, deviation = t:ok({ "strategies", "--tsv", "-m", "f1" }).out:match(
			"^stage\tstrategy\tmodels\tmetric\tn\tmean\tdeviation\tbest\tbest_ref\n"
			.. "stage1\tbase > =a\t3\tf1\t3\t([%d.]+)\t([%d.]+)\t0.4\texp_1/stage1_3\n$")
		assert.near(mean_of(values), tonumber(mean), 1e-15)
		assert.near(deviation_of(values), tonumber(deviation), 1e-15)
		assert.matches("\nstage1,base > =a,3,per%.x,3,1%.0,0%.0,1,exp_1/stage1_1\n",
			t:ok({ "strategies", "--csv" }).out)
		assert.matches("| stage1 | base \\> =a | 3 | f1 | 3 |", t:ok({ "strategies", "--markdown" }).out, 1,
			true)
		assert.matches("\\begin{tabular}{llrlrrrrl}", t:ok({ "strategies", "--latex" }).out, 1, true)
		local lines = t:ok({ "strategies", "--jsonl" }).out
		assert.are.equal("base > =a", cjson.decode(lines).strategy)
		assert.matches("^[^\n]+\n$", lines)
	end)
end)
