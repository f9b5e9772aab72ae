--- strategies --forgetting: a metric on each data set after each training.
local cjson = require "cjson"
local tree = require "support.tree"

local t

--- A record in exp_1 with trainings { { dataset, metrics as JSON text }, ... }.
local function write(name, trainings, stage)
	local entries = {}
	for i, training in ipairs(trainings) do
		entries[i] = ([[{"dataset": "%s", "steps": %d, "metrics": {%s},
"start_time": "2025-01-01T00:00:00", "end_time": "2025-01-01T01:00:00"}]]):format(training[1], 10 * i,
			training[2] or "")
	end
	t:write("exp_1/" .. name .. "/training_info.json", ([[{"model_name": "m", "stage": "%s",
"final_checkpoint": "", "base_model": "base", "created_at": "2025-01-01T00:00:00",
"last_updated": "2025-01-01T01:00:00", "total_steps": 1, "last_dataset": "d",
"training_history": [%s]}]]):format(stage or "stage1", table.concat(entries, ", ")))
end

--- The matrix alone: { dataset = { mean or false, ... } }.
local function means(group)
	local found = {}
	for row, dataset in ipairs(group.datasets) do
		found[dataset] = {}
		for i, cell in ipairs(group.values[row]) do
			found[dataset][i] = cell ~= cjson.null and cell.mean
		end
	end
	return found
end

local function ask(metric, ...)
	return t:json({ "strategies", "--forgetting", metric, ... }).strategies
end

--- Mean over the models of what 'of' gives for each, where it gives something.
local function mean_over(models, of)
	local sum, n = 0, 0
	for _, model in ipairs(models) do
		local value = of(model)
		if value then
			sum, n = sum + value, n + 1
		end
	end
	return sum / n, n
end

--- By hand, of one model's matrix[dataset][training] (false: none) with the first training on each:
--- what is forgotten of each data set, and the average of that and of the transfer.
local function by_hand(matrix, first, last)
	local forgotten, lost, lost_n, gained, gained_n = {}, 0, 0, 0, 0
	for dataset, row in pairs(matrix) do
		local best
		for i = first[dataset], last - 1 do
			if row[i] and (not best or row[i] > best) then
				best = row[i]
			end
		end
		if best and row[last] then
			forgotten[dataset] = best - row[last]
			lost, lost_n = lost + best - row[last], lost_n + 1
		end
		if first[dataset] < last and row[last] and row[first[dataset]] then
			gained, gained_n = gained + row[last] - row[first[dataset]], gained_n + 1
		end
	end
	return forgotten, lost_n > 0 and lost / lost_n, gained_n > 0 and gained / gained_n
end

describe("forgetting", function()
	before_each(function()
		t = tree.new()
	end)
	after_each(function()
		t:close()
	end)

	--- Two models on a, b and c. Later values of a rise, then fall; the second has not been asked for
	--- b at the end, nor for a in the middle.
	local matrices = {
		{ a = { 0.8, 0.85, 0.7 }, b = { 0.25, 0.9, 0.875 }, c = { false, 0.125, 0.95 } },
		{ a = { 0.75, false, 0.5 }, b = { 0.5, 0.7, false }, c = { false, false, 0.6 } },
	}

	local function two_models()
		for i, matrix in ipairs(matrices) do
			local trainings = {}
			for k, dataset in ipairs { "a", "b", "c" } do
				local said = {}
				for _, name in ipairs { "a", "b", "c" } do
					if matrix[name][k] then
						said[#said + 1] = name == dataset and ('"f1": %s'):format(matrix[name][k])
							or ('"%s": {"f1": %s}'):format(name, matrix[name][k])
					end
				end
				trainings[k] = { dataset, table.concat(said, ", ") }
			end
			write("stage1_" .. i, trainings)
		end
	end

	it("is the mean over the models of a strategy, as computed by hand", function()
		two_models()
		local groups = ask("f1")
		assert.are.equal(1, #groups)
		local group = groups[1]
		assert.same({ "stage1", "base > a > b > c", 2, "max", { "a", "b", "c" }, { "a", "b", "c" } },
			{ group.stage, group.strategy, group.models, group.goal, group.datasets, group.trainings })
		for row, dataset in ipairs { "a", "b", "c" } do
			for k = 1, 3 do
				local mean, n = mean_over(matrices, function(matrix)
					return matrix[dataset][k]
				end)
				local cell = group.values[row][k]
				if n == 0 then
					assert.are.equal(cjson.null, cell)
				else
					assert.are.equal(n, cell.n)
					assert.near(mean, cell.mean, 1e-12)
				end
			end
		end
		local first = { a = 1, b = 2, c = 3 }
		for row, dataset in ipairs { "a", "b" } do
			local mean, n = mean_over(matrices, function(matrix)
				return by_hand(matrix, first, 3)[dataset]
			end)
			assert.are.equal(n, group.forgotten[row].n)
			assert.near(mean, group.forgotten[row].mean, 1e-12)
		end
		assert.are.equal(cjson.null, group.forgotten[3])
		for key, at in pairs { average_forgotten = 2, backward_transfer = 3 } do
			local mean, n = mean_over(matrices, function(matrix)
				return (select(at, by_hand(matrix, first, 3)))
			end)
			assert.are.equal(n, group[key].n)
			assert.near(mean, group[key].mean, 1e-12)
		end
	end)

	it("is a table, where it says how many models have a value if not all have", function()
		two_models()
		assert.are.equal([[
stage1  base > a > b > c  (2 models)
  f1 on each data set after each training
       1 a          2 b          3 c    forgotten
  a  0.775   0.85 (n 1)          0.6          0.2
  b  0.375          0.8  0.875 (n 1)  0.025 (n 1)
  c      -  0.125 (n 1)        0.775            -
  forgotten 0.169 on average, backward transfer -0.156
]], t:ok({ "strategies", "--forgetting", "f1" }).out)
	end)

	it("has a row for each value in the formats for programs", function()
		write("stage1_1", { { "a", '"f1": 0.5' }, { "b", '"f1": 0.75, "a/f1": 0.25' } })
		assert.are.equal([[
stage,strategy,models,metric,dataset,training,trained_on,n,mean,deviation,forgotten,average_forgotten,backward_transfer
stage1,base > a > b,1,f1,a,1,a,1,0.5,,0.25,0.25,-0.25
stage1,base > a > b,1,f1,a,2,b,1,0.25,,0.25,0.25,-0.25
stage1,base > a > b,1,f1,b,2,b,1,0.75,,,0.25,-0.25
]], t:ok({ "strategies", "--forgetting", "f1", "--csv" }).out)
		assert.are.equal("base > a > b",
			cjson.decode(t:ok({ "strategies", "--forgetting", "f1", "--jsonl" }).out).strategy)
	end)

	it("turns round where lower is better", function()
		write("stage1_1", { { "a", '"eval_loss": 0.5' }, { "b", '"eval_loss": 0.25, "eval_a_loss": 0.75' } })
		local group = ask("eval_loss")[1]
		assert.same({ a = { 0.5, 0.75 }, b = { false, 0.25 } }, means(group))
		assert.same({ "min", 0.25, -0.25 }, { group.goal, group.forgotten[1].mean,
			group.backward_transfer.mean })
	end)

	it("knows the ways in which a metric on a data set is written", function()
		local others = ', "hr_d_f1_x": 9, "xhr_d_f1": 9, "per_class_f1": {"title": 9}'
		for i, name in ipairs { '"hr_d/f1": %s', '"eval_hr_d_f1": %s', '"test/hr_d/f1": %s',
			'"f1": {"hr_d": %s}', '"hr_d": {"f1": %s}', '"f1_hr_d": %s', '"validation": {"f1/hr_d": %s}',
			'"eval.hr_d.f1": %s', '"dev_hr_d/f1": %s' } do
			write("stage1_1", { { "hr_d", '"f1": 0.5' }, { "b", name:format(i / 16) .. others } })
			assert.same({ 0.5, i / 16 }, means(ask("f1")[1]).hr_d, name)
		end
		write("stage1_1", { { "a", '"f1": 0.5' }, { "b", '"f1": {"a": 0.25, "b": 0.125}' } })
		assert.same({ a = { 0.5, 0.25 }, b = { false, 0.125 } }, means(ask("f1")[1]))
		assert.same({ a = { 0.5, 0.25 }, b = { false, 0.125 } }, means(ask("metrics.f1")[1]))
	end)

	it("takes what names the data set before what does not, and no other data set's", function()
		write("stage1_1", { { "a", '"f1": 0.5, "eval_a_f1": 0.25, "eval_f1": 1' },
			{ "b", '"f1": 0.125, "x_f1": 1, "a_f1": NaN, "test_a_f1": 0.75, "eval_f1": 1' } })
		assert.same({ a = { 0.25, 0.75 }, b = { false, 0.125 } }, means(ask("f1")[1]))
	end)

	it("has one row for a data set that comes twice", function()
		write("stage1_1", { { "a", '"f1": 0.5' }, { "b", '"a_f1": 0.25, "f1": 0.75' },
			{ "a", '"f1": 0.625, "b_f1": 0.5' } })
		local group = ask("f1")[1]
		assert.same({ a = { 0.5, 0.25, 0.625 }, b = { false, 0.75, 0.5 } }, means(group))
		assert.same({ -0.125, 0.25 }, { group.forgotten[1].mean, group.forgotten[2].mean })
		assert.are.equal((0.125 - 0.25) / 2, group.backward_transfer.mean)
		assert.same({ "a:10", "b:20", "a:30" }, ask("f1", "--steps")[1].trainings)
	end)

	it("keeps strategies apart that only read the same", function()
		write("stage1_1", { { "a > b", '"f1": 0.5' }, { "c", '"f1": 0.5' } })
		write("stage1_2", { { "a", '"f1": 0.5' }, { "b", '"f1": 0.5' }, { "c", '"f1": 0.5' } })
		local groups = ask("f1")
		assert.same({ 2, 2, 3 }, { #groups, #groups[1].trainings + #groups[2].trainings - 3,
			math.max(#groups[1].trainings, #groups[2].trainings) })
	end)

	it("has nothing to say of one training, of other metrics, or of what was not chosen", function()
		write("stage1_1", { { "a", '"f1": 0.5' } })
		write("stage1_2", { { "a", '"f1": 0.5' }, { "b" } })
		assert.same({}, ask("recall"))
		assert.same({ "base > a > b" }, { ask("f1")[1].strategy, ask("f1")[2] })
		assert.same({}, ask("f1", "b > *"))
		assert.same({}, ask("f1", "-F", "ref contains 'stage1_1'"))
		assert.are.equal(1, #ask("f1", "-F", "ref contains 'stage1_2'"))
		local result = t:ok { "strategies", "--forgetting", "recall" }
		assert.are.equal("", result.out)
		assert.matches("no such metric", result.err)
		t:refused(2, "needs a metric", { "strategies", "--forgetting", "" })
		t:refused(2, "do not go together", { "strategies", "--forgetting", "f1", "-m", "f1" })
		t:write("exp_1/stage1_bad/training_info.json", "{")
		assert.are.equal(1, t:json({ "strategies", "--forgetting", "f1" }, 1).broken)
	end)

	it("has no direction for what only describes the data", function()
		write("stage1_1", { { "a", '"support": 5' }, { "b", '"a_support": 4' } })
		local group = ask("support")[1]
		assert.same({ cjson.null, cjson.null, cjson.null }, { group.goal, group.forgotten[1],
			group.backward_transfer })
		assert.is_nil(t:ok({ "strategies", "--forgetting", "support" }).out:find("backward", 1, true))
	end)
end)
