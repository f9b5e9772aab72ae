--- strategies: models grouped by what they were trained on.
local cjson = require "cjson"
local tree = require "support.tree"

local t

local function fresh()
	t = tree.new()
end

local function done()
	t:close()
end

--- A record in EXP/NAME with trainings { { dataset, steps, metrics as JSON text }, ... }.
local function write(place, stage, trainings)
	local entries, total = {}, 0
	for i, training in ipairs(trainings) do
		entries[i] = ([[{"dataset": "%s", "steps": %d, "metrics": %s,
"start_time": "2025-01-01T00:00:00", "end_time": "2025-01-01T01:00:00"}]]):format(training[1],
			training[2], training[3] or "{}")
		total = total + training[2]
	end
	t:write(place .. "/training_info.json", ([[{"model_name": "m", "stage": "%s",
"final_checkpoint": "", "base_model": "base", "created_at": "2025-01-01T00:00:00",
"last_updated": "2025-01-01T01:00:00", "total_steps": %d, "last_dataset": "d",
"training_history": [%s]}]]):format(stage, total, table.concat(entries, ",\n")))
end

--- "stage strategy" of every group, with the number of its models.
local function groups(...)
	local names = {}
	for _, group in ipairs(t:json({ "strategies", ... }).strategies) do
		names[#names + 1] = ("%s %s %d"):format(group.stage, group.strategy, group.models)
	end
	return names
end

local function metrics_of(group)
	local found = {}
	for _, metric in ipairs(group.metrics) do
		found[metric.name] = metric
	end
	return found
end

describe("strategies", function()
	before_each(fresh)
	after_each(done)

	local function orders()
		write("exp_1/stage1_a", "stage1", { { "a", 10 } })
		write("exp_1/stage1_ab", "stage1", { { "a", 10 }, { "b", 5 } })
		write("exp_1/stage1_ba", "stage1", { { "b", 5 }, { "a", 10 } })
		write("exp_1/stage1_abc", "stage1", { { "a", 10 }, { "b", 5 }, { "c", 1 } })
		write("exp_2/stage1_ab", "stage1", { { "a", 10 }, { "b", 6 } })
		write("exp_2/parent_finder_ab", "stage3", { { "a", 10 }, { "b", 5 } })
	end

	it("groups models by stage and by the order of their data sets", function()
		orders()
		assert.same({ "stage1 base > a 1", "stage1 base > a > b 2", "stage1 base > a > b > c 1",
			"stage1 base > b > a 1", "stage3 base > a > b 1" }, groups())
		assert.same({ "stage1 base > a:10 1", "stage1 base > a:10 > b:5 1",
			"stage1 base > a:10 > b:5 > c:1 1", "stage1 base > a:10 > b:6 1",
			"stage1 base > b:5 > a:10 1", "stage3 base > a:10 > b:5 1" }, groups("--steps"))
		assert.same({ "stage1 base > a > b 1", "stage3 base > a > b 1" }, groups("--exp", "exp_2"))
	end)

	local patterns = {
		{ "a", "a" }, { "a > *", "a", "a > b", "a > b > c" }, { "a > ?", "a > b" }, { "?>a", "b > a" },
		{ "* > b", "a > b" }, { "* > b > *", "a > b", "a > b > c", "b > a" },
		{ "base > a", "a" }, { "a:10 > b:6", "a > b" }, { "a > c" }, { "? > ? > ?", "a > b > c" },
		{ "* > ? > c", "a > b > c" },
		{ "*", "a", "a > b", "a > b > c", "b > a" },
	}
	for _, case in ipairs(patterns) do
		it("keeps to the pattern '" .. case[1] .. "'", function()
			orders()
			local want, got = {}, {}
			for i = 2, #case do
				want["base > " .. case[i]] = true
			end
			for _, group in ipairs(t:json({ "strategies", case[1] }).strategies) do
				got[group.strategy] = true
			end
			assert.same(want, got)
		end)
	end

	it("has mean, deviation and best of every metric, as computed otherwise", function()
		local values = { 0.8512, 0.8471, 0.8533, 0.849 }
		for i, value in ipairs(values) do
			local many = {}
			for k = 1, 40 do
				many[k] = ('"m%d": %d'):format(k, k * i)
			end
			write("exp_" .. i .. "/stage1_a", "stage1", { { "x", i, '{"f1": 0}' }, { "a", 10,
				('{"f1": %s, "val_loss": %s, "per.title": 1, "support": %d, "bad": NaN, %s}'):format(value,
					value, i, table.concat(many, ", ")) } })
		end
		local sum, squares = 0, 0
		for _, value in ipairs(values) do
			sum = sum + value
		end
		for _, value in ipairs(values) do
			squares = squares + (value - sum / 4) ^ 2
		end
		local answer = t:json { "strategies" }
		assert.are.equal(1, #answer.strategies)
		local metrics = metrics_of(answer.strategies[1])
		assert.near(sum / 4, metrics.f1.mean, 1e-12)
		assert.near(math.sqrt(squares / 3), metrics.f1.deviation, 1e-12)
		assert.same({ 4, 0.8533, "exp_3/stage1_a" }, { metrics.f1.n, metrics.f1.best,
			metrics.f1.best_ref })
		assert.same({ 0.8471, "exp_2/stage1_a" }, { metrics.val_loss.best, metrics.val_loss.best_ref })
		assert.are.equal(2.5, metrics.support.mean)
		assert.are.equal(cjson.null, metrics.support.best)
		assert.is_nil(metrics.bad)
		for k = 1, 40 do
			assert.are.equal(2.5 * k, metrics["m" .. k].mean)
		end
		local page = t:ok({ "strategies", "-m", "f1", "-m", "support" }).out
		assert.are.equal([[
stage1  base > x > a  (4 models)
  metric   n     mean  deviation    best  of
  f1       4  0.85015    0.00269  0.8533  exp_3/stage1_a
  support  4      2.5       1.29       -  -
]], page)
		assert.is_nil(t:ok({ "strategies" }).out:find("per.title", 1, true))
		assert.matches("\n  per%.title +4 ", t:ok({ "strategies", "--all" }).out)
	end)

	it("leaves no other model out for a damaged one, names it, and ends with 1", function()
		orders()
		t:write("exp_1/stage1_bad/training_info.json", "{")
		local answer, result = t:json({ "strategies", "a > b" }, 1)
		assert.are.equal(2, #answer.strategies)
		assert.are.equal(1, answer.broken)
		assert.matches("stage1_bad/training_info%.json:1:2", result.err)
	end)

	it("keeps strange groups and many of them apart", function()
		for i = 1, 60 do
			write("exp_1/stage1_" .. i, "stage1", { { "d" .. i, 1 }, { i % 2 == 0 and "1" or "01", 1 } })
		end
		write("exp_1/stage1_evil", "stage1", { { "\\u001b[31m\\u202ex\\n", 1, '{"\\u001b[2J": 1}' } })
		assert.are.equal(61, #groups())
		local page = t:ok({ "strategies" }).out
		assert.is_nil(page:find("[\0-\9\11-\31\127]"), page)
		assert.is_nil(page:find("\u{202e}", 1, true))
		assert.same({ "stage1 base > d2 > 1 1" }, groups("d2 > ?"))
	end)

	it("refuses what it cannot understand, and says that nothing matches", function()
		orders()
		t:refused(2, "an empty part in the pattern 'a >'", { "strategies", "a >" })
		t:refused(2, "an empty part", { "strategies", "" })
		t:refused(2, "unexpected 'b'", { "strategies", "a", "b" })
		t:refused(3, "no experiment 'exp_9'", { "strategies", "--exp", "exp_9" })
		local result = t:ok { "strategies", "nothing" }
		assert.are.equal("", result.out)
		assert.matches("no such model", result.err)
		assert.same({}, t:json({ "strategies", "nothing" }).strategies)
	end)
end)
