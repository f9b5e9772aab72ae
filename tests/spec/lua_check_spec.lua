local check = require("th.check")
local metrics = require("th.metrics")

local function first(validator, value)
	local ok, issues = validator(value, "entry")
	if ok then
		return "fine"
	end
	return issues[1].path .. " " .. issues[1].code .. " " .. issues[1].level
end

describe("th.check", function()
	local limits = check.number({ min = 0, max = 1 })
	local cases = {
		{ limits, 0.5, "fine" }, { limits, 0, "fine" }, { limits, 2, "entry range error" },
		{ limits, 0 / 0, "entry range error" }, { limits, "1", "entry type error" },
		{ check.number(), 0 / 0, "fine" },
		{ check.integer({ min = 1 }), 1, "fine" }, { check.integer(), 1.0, "entry type error" },
		{ check.integer({ min = 1 }), 0, "entry range error" },
		{ check.string(), "", "entry type error" }, { check.string("^a"), "b", "entry pattern error" },
		{ check.one_of({ "a", "b" }), "b", "fine" }, { check.one_of({ "a" }), 1, "entry choice error" },
		{ check.optional(limits), nil, "fine" }, { check.optional(limits), 9, "entry range error" },
		{ check.optional(limits), require("th.json").null, "fine" },
		{ check.fields({ a = limits }), { a = 3 }, "entry.a range error" },
		{ check.fields({ a = limits }), {}, "entry.a type error" },
		{ check.fields({ a = limits }), 1, "entry type error" },
		{ check.each(limits), { x = 0, y = 5 }, "entry.y range error" },
		{ check.warning(limits), 3, "entry range warning" },
		{ check.that(next, "empty", "nothing there"), {}, "entry empty error" },
		{ check.all(check.number(), limits), 3, "entry range error" },
	}
	for index, case in ipairs(cases) do
		it(("judges case %d: %s"):format(index, case[3]), function()
			assert.are.equal(case[3], first(case[1], case[2]))
		end)
	end

	it("collects all issues, in the order of names", function()
		local _, issues = check.fields({ b = limits, a = limits, c = check.optional(limits) })(
			{ a = 2, b = -1 }, "entry")
		assert.are.same({ "entry.a", "entry.b" }, { issues[1].path, issues[2].path })
		assert.are.equal(2, #issues)
	end)

	it("asks whether a fraction is a percentage", function()
		local _, issues = check.fraction(85.1, "entry.metrics.f1")
		assert.matches("is it a percentage", issues[1].message)
	end)
end)

describe("th.metrics", function()
	local RECORDS = { { f1 = 0.5 }, { f1 = 0.9, n = 1 }, { f1 = 0 / 0 }, { f1 = 0.9, n = 2 },
		{ loss = 1 } }

	it("picks the best, of equals the first, never NaN", function()
		assert.are.equal(RECORDS[2], (metrics.best(RECORDS, "f1", "max")))
		assert.are.equal(RECORDS[1], (metrics.best(RECORDS, "f1", "min")))
		assert.is_nil((metrics.best(RECORDS, "absent", "max")))
	end)

	it("picks the last record that has the key", function()
		assert.are.same({ RECORDS[4], 4 }, { metrics.last(RECORDS, "f1") })
	end)

	it("guesses the goal from a name unless it is declared", function()
		assert.are.equal("min", metrics.goal("val_loss"))
		assert.are.equal("max", metrics.goal("f1"))
		assert.are.equal("max", metrics.goal("wer", { wer = { goal = "max" } }))
	end)

	it("strips a prefix from numbers and drops the rest", function()
		assert.are.same({ f1 = 0.5 },
			metrics.strip({ eval_f1 = 0.5, epoch = 1, eval_note = "x" }, "eval_"))
	end)

	it("averages finite numbers only", function()
		assert.are.equal(2.0, metrics.mean({ 1, 3 }))
		assert.is_nil(metrics.mean({}))
		assert.is_nil(metrics.mean({ 1, 0 / 0 }))
	end)
end)
