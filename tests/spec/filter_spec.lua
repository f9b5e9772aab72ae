--- Filter expressions, the fields that they ask for, and times in words.
local filter = require("unit").filter

local RECORD = [[{"model_name": "m", "stage": "stage1", "final_checkpoint": "checkpoint-500",
"base_model": "base", "created_at": "2025-12-01T00:00:00Z", "last_updated": "2025-12-11T12:00:00Z",
"total_steps": 15, "last_dataset": "hrdh", "training_history": [
{"dataset": "hrds", "steps": 10, "metrics": {"f1": 0.9}, "start_time": "2025-12-01T00:00:00Z",
	"end_time": "2025-12-01T01:00:00Z"},
{"dataset": "hrdh", "steps": 5, "epochs": null, "run_id": "0197",
	"metrics": {"f1": 0.85, "val.loss": 0.25, "per_class": {"title": 0.5}, "bad": NaN, "top": Infinity,
		"big": 9007199254740993, "macro f1": 0.1},
	"hyperparams": {"lr": 2e-5, "warmup": "1e-3", "layers": [1, 2], "fp16": true, "name": "x", "empty": ""},
	"git": {"dirty": false, "commit": "abc"}, "environment": {"gpu": ["A100", "H100"]},
	"tags": ["paper", "best"],
	"start_time": "2025-12-11T10:00:00Z", "end_time": "2025-12-11T12:00:00Z"}]}]]

local function ask(expression, now)
	local result, message = filter.matches(RECORD, expression, now)
	assert(result ~= nil, message)
	return result
end

describe("filter: a field", function()
	for name, expected in pairs {
		["metrics.f1"] = "0.85", f1 = "0.85", ["metrics.val.loss"] = "0.25",
		["metrics.per_class.title"] = "0.5", ["params.lr"] = "2e-5", ["params.layers"] = "[1,2]",
		["git.commit"] = "abc", ["git.dirty"] = "false", ["env.gpu"] = '["A100","H100"]',
		["tags.paper"] = "true", ["tags.none"] = "false", ["datasets.hrds"] = "10",
		datasets = '["hrds","hrdh"]', dataset = "hrdh", steps = "5", total_steps = "15",
		stage = "stage1", base_model = "base", ref = "exp_1/stage1_hrds", exp = "exp_1",
		trainings = "2", started = "2025-12-11T10:00:00Z", ended = "2025-12-11T12:00:00Z",
		updated = "2025-12-11T12:00:00Z", status = "completed", run_id = "0197",
		["metrics.bad"] = "NaN",
	} do
		it(name .. " is " .. expected, function()
			assert.equal(expected, (filter.field(RECORD, name)))
		end)
	end

	for _, name in ipairs { "metrics.none", "epochs", "datasets.none", "git.", "metrics.f1.x", "x.y",
		"training_history", "params.none", "." } do
		it(name .. " is undefined", function()
			assert.is_nil((filter.field(RECORD, name)))
		end)
	end
end)

describe("filter: what is not there", function()
	local EMPTY = '{"model_name": "m", "stage": "stage1", "total_steps": 0, "training_history": []}'

	for _, name in ipairs { "tags.x", "metrics.f1", "datasets.d", "dataset", "started", "base_model", "updated" } do
		it("in a record without a training: " .. name, function()
			assert.is_nil((filter.field(EMPTY, name)))
		end)
	end

	for _, name in ipairs { "tags.x", "metrics.f1", "datasets", "datasets.d", "total_steps", "stage", "trainings" } do
		it("where there is no record: " .. name, function()
			assert.is_nil((filter.field(nil, name)))
		end)
	end

	it("is not what is too large: steps are cut at the greatest integer", function()
		local entry = '{"dataset": "d", "steps": 9000000000000000000}'
		assert.equal("9223372036854775807", (filter.field(('{"model_name": "m", "stage": "s", "total_steps": 1, '
			.. '"training_history": [%s, %s]}'):format(entry, entry), "datasets.d")))
	end)
end)

describe("filter: the order of values", function()
	-- Each is less than the next, whatever kind the two are of.
	local ORDER = { "datasets.hrdh", "datasets.hrds", "metrics.top", "started", "dataset", "stage", "git.dirty",
		"params.fp16", "env.gpu", "params.layers", "metrics.bad", "metrics.none" }

	it("is one order of all kinds", function()
		for i, a in ipairs(ORDER) do
			for k, b in ipairs(ORDER) do
				local sign = i < k and -1 or i > k and 1 or 0
				assert.equal(sign, filter.compare(RECORD, a, b), a .. " and " .. b)
			end
		end
	end)
end)

describe("filter: an expression", function()
	for _, expression in ipairs {
		"metrics.f1 > 0.8 and dataset = \"hrdh\" and not git.dirty",
		"f1 = 0.850", "f1 >= 85e-2", "f1 <= 0.85", "f1 != 0.8", "f1 < 1", "f1 == 0.85",
		"metrics.big = 9007199254740993", "metrics.big != 9007199254740992",
		"metrics.top > 1e300", "params.warmup = 0.001", "params.lr = '2e-5'", "steps = 5.0",
		"params.fp16", "params.fp16 = true", "git.dirty = false", "not git.dirty",
		"metrics.none is undefined", "epochs is undefined", "f1 is not undefined",
		"not metrics.none > 1", "dataset in ['hrds', \"hrdh\"]", "steps in [1, 5]",
		"steps not in [1, 2]", "dataset contains 'rd'", "dataset not contains 'x'",
		"env.gpu contains 'H100'", "tags contains 'paper'", "params contains 'lr'",
		"params.layers contains 2.0", "hyperparams contains 'lr'", "tags.paper and not tags.x",
		"`metrics.macro f1` = 0.1", "final_checkpoint > 'checkpoint-60'",
		"steps = 1 or steps = 5 and f1 > 0.8", "(steps = 1 or steps = 5) and not (f1 > 0.9)",
		"not steps = 1 and not steps = 2", "params.name = 'x'", [[params.name != "it's"]],
		[[params.name != 'it\'s']], "started > '2025-12-10'", "started >= '2025-12-11'",
		"started = '2025-12-11T18:00:00+08:00'", "started = '2025-12'", "started < '2025-12-12'",
		"metrics.per_class", "params.layers", "not not f1", "dataset", "not params.empty", "\tsteps\n=\r5 ",
	} do
		it("holds: " .. expression, function()
			assert.is_true(ask(expression))
		end)
	end

	for _, expression in ipairs {
		"f1 > 0.85", "f1 = '0.8'", "metrics.none != 1", "metrics.none = 1", "metrics.none",
		"metrics.bad > 0", "metrics.bad < 0", "metrics.bad = 0", "dataset = 5", "dataset > 5",
		"metrics.big = 9007199254740992", "git.dirty", "params.fp16 = false", "params.fp16 > false",
		"tags.x", "tags contains 'pap'", "steps contains 5", "env.gpu contains 100",
		"f1 is undefined", "not (steps = 5 or steps = 1)", "steps = 1 and steps = 5 or f1 > 0.9",
		"started > '2025-12-11'", "started < '2025-12-11'", "dataset = '2025-12-11'",
		"started > 'x'", "metrics = 1", "`dataset` = 'x'", "metrics.none contains 'x'",
		"metrics.none in [1]", "params.name contains true",
	} do
		it("does not hold: " .. expression, function()
			assert.is_false(ask(expression))
		end)
	end

	it("understands times in words", function()
		local now = 1765540800 -- 2025-12-12T12:00:00Z
		assert.is_true(ask("started > '3 days ago'", now))
		assert.is_false(ask("started > '1 day ago'", now))
		assert.is_true(ask("started = 'last 2 days'", now))
	end)

	it("tells which field nothing had, of those that were asked", function()
		local _, unseen = filter.matches(RECORD, "metrics.f2 > 1 and metrics.f3 > 1")
		assert.equal("metrics.f2", unseen)
		_, unseen = filter.matches(RECORD, "metrics.f2 is undefined and f1 > 1")
		assert.is_nil(unseen)
	end)
end)

describe("filter: a fault", function()
	for expression, message in pairs {
		[""] = "column 1: expected a field, 'not' or '(', not the end",
		["f1 >"] = "column 5: expected a number, true, false or a text in quotes, not the end",
		["f1 > > 1"] = "column 6: expected a number, true, false or a text in quotes, not '>'",
		["dataset = hrds"] = "column 11: expected a number, true, false or a text in quotes, not 'hrds'",
		["f1 > 0.8x"] = "column 6: expected a number, true, false or a text in quotes, not '0.8x'",
		["f1 > 01"] = "column 6: expected a number",
		["f1 > 0.8 dataset"] = "column 10: expected 'and', 'or' or the end, not 'dataset'",
		["(f1 > 0.8"] = "column 10: expected 'and', 'or' or ')', not the end",
		["f1 > 0.8)"] = "column 9: expected 'and', 'or' or the end, not ')'",
		["f1 in 1"] = "column 7: expected '[', not '1'",
		["f1 in [1 2]"] = "column 10: expected ',' or ']', not '2'",
		["f1 in []"] = "column 8: expected a number",
		["f1 is 1"] = "column 7: expected 'undefined' or 'not undefined', not '1'",
		["f1 is not 1"] = "column 11: expected 'undefined', not '1'",
		["f1 not 1"] = "column 8: expected 'in' or 'contains' after 'not', not '1'",
		["and f1"] = "column 1: expected a field",
		["f1 is 'x"] = "column 7: the quote ' is not closed",
		["f1 is not 'x"] = "column 11: the quote ' is not closed",
		["f1 not 'x"] = "column 8: the quote ' is not closed",
		["f1 and 'x"] = "column 8: the quote ' is not closed",
		["f1 or 'x"] = "column 7: the quote ' is not closed",
		["é = 'x' & f1"] = "column 9: expected a field, a value or an operator, not '&'",
		["dataset = 'x"] = "column 11: the quote ' is not closed",
		["`f1 > 1"] = "column 1: the quote ` is not closed",
		["5 > f1"] = "column 1: expected a field",
		["not"] = "column 4: expected a field",
	} do
		it("names its column: " .. expression, function()
			local ok, text, code = filter.parse(expression)
			assert.is_nil(ok)
			assert.equal("usage", code)
			assert(text:find("filter, " .. message, 1, true), text)
		end)
	end

	it("is too much of anything, but no less", function()
		assert.is_true(filter.parse(("("):rep(64) .. "f1" .. (")"):rep(64)))
		assert.matches("nested deeper than 64", select(2, filter.parse(("("):rep(65) .. "f1")))
		assert.matches("nested deeper than 64", select(2, filter.parse(("not "):rep(65) .. "f1")))
		assert.is_true(filter.parse("f1 in [1" .. (",1"):rep(999) .. "]"))
		assert.matches("more than 1000", select(2, filter.parse("f1 in [1" .. (",1"):rep(1000) .. "]")))
		assert.is_true(filter.parse("a" .. (" or a"):rep(499)))
		assert.matches("more than 1000", select(2, filter.parse("a" .. (" or a"):rep(1000))))
		assert.matches("longer than 16384", select(2, filter.parse((" "):rep(16385))))
	end)
end)

describe("filter: a time in words", function()
	local now = os.time { year = 2025, month = 12, day = 11, hour = 15, min = 30, sec = 20 }

	local function at(year, month, day, hour, min, sec)
		return os.time { year = year, month = month, day = day, hour = hour or 0, min = min or 0,
			sec = sec or 0 }
	end

	local today, tomorrow = at(2025, 12, 11), at(2025, 12, 12)
	for text, range in pairs {
		["last 3 days"] = { at(2025, 12, 8, 15, 30, 20), now + 1 },
		["last hour"] = { now - 3600, now + 1 },
		["last 90 minutes"] = { now - 5400, now + 1 },
		["last 2 weeks"] = { at(2025, 11, 27, 15, 30, 20), now + 1 },
		["last month"] = { at(2025, 11, 11, 15, 30, 20), now + 1 },
		["this hour"] = { at(2025, 12, 11, 15), at(2025, 12, 11, 16) },
		["this week"] = { at(2025, 12, 8), at(2025, 12, 15) },
		["this month"] = { at(2025, 12, 1), at(2026, 1, 1) },
		["this year"] = { at(2025, 1, 1), at(2026, 1, 1) },
		today = { today, tomorrow },
		yesterday = { at(2025, 12, 10), today },
		now = { now, now },
		["2 hours ago"] = { now - 7200, now - 7200 },
		["an hour ago"] = { now - 3600, now - 3600 },
		["2025"] = { at(2025, 1, 1), at(2026, 1, 1) },
		["2025-12"] = { at(2025, 12, 1), at(2026, 1, 1) },
		["2025-12-11"] = { today, tomorrow },
		["2025-12-11 10:30"] = { at(2025, 12, 11, 10, 30), at(2025, 12, 11, 10, 30) },
		["since yesterday"] = { at(2025, 12, 10), math.huge },
		["after 2025-12-11"] = { tomorrow, math.huge },
		["before 2025-12"] = { -math.huge, at(2025, 12, 1) },
		["2025-12-01 to 2025-12-11"] = { at(2025, 12, 1), tomorrow },
		["between 2025-12-01 and today"] = { at(2025, 12, 1), tomorrow },
	} do
		it(text, function()
			assert.same(range, { assert(filter.when(text, now)) })
		end)
	end

	for _, text in ipairs { "", " ", "soon", "last", "last days", "last 3", "last x days", "this",
		"this 2 days", "2025-13", "2025-02-30", "25", "before", "since soon", "3 days", "between today",
		"today to", "to today", "x days ago", "today to soon", "between soon and today",
		"last 100001 days", "last -1 days", "between today to now", "2025-12-1", "last 3 dayss" } do
		it("is not '" .. text .. "'", function()
			local ok, message, code = filter.when(text, now)
			assert.is_nil(ok)
			assert.equal("usage", code)
			assert.matches("is no time that is understood", message)
		end)
	end
end)

describe("filter: the goal of a metric", function()
	it("is guessed as plugins guess it", function()
		local metrics = require("th.metrics")
		local low = 0
		for _, name in ipairs { "f1", "val_loss", "eval/Loss", "WER", "answer_f1", "tracer", "test_cer",
			"accuracy", "rmse", "mae", "perplexity", "val.ppl", "error_rate", "bpb2", "fid", "fidelity",
			"nll", "mAP50", "crossentropy", "" } do
			local goal = filter.goal(name)
			assert.equal(metrics.goal(name) == "min" and "-" or "+", goal, name)
			low = low + (goal == "-" and 1 or 0)
		end
		assert.equal(13, low)
	end)
end)
