local lines = require("th.lines")
local series = require("th.series")

describe("th.series", function()
	local function of(rows, goals, options)
		local s = series.new(goals or { v = "min" }, options)
		for _, row in ipairs(rows) do
			s:add(row, row.at)
		end
		return s
	end

	it("keeps the last value of each key, and the first of equal bests", function()
		local s = of({ { at = 0, v = 2.0, w = 5 }, { at = 1, v = 1.0 }, { at = 2, v = 1.0 } })
		assert.are.equal(5, s.last.w)
		assert.are.equal(1.0, s.last.v)
		assert.are.equal(1, s:best("v").at)
		assert.are.equal(3, s.rows)
	end)

	it("begins a new run where the index goes back to the start", function()
		local s = of({ { at = 0, v = 0.1, old = 1 }, { at = 1, v = 0.2 }, { at = 0, v = 5.0 } })
		assert.are.equal(2, s.runs)
		assert.are.equal(5.0, s:best("v").value)
		assert.is_nil(s.last.old)
	end)

	it("goes on from where a run was resumed, and forgets what was beyond", function()
		local s = of({ { at = 0, v = 3.0 }, { at = 1, v = 2.0 }, { at = 2, v = 0.1 },
			{ at = 2, v = 1.5 }, { at = 3, v = 1.8 } })
		assert.are.equal(1, s.runs)
		assert.are.equal(2, s.resumed_at)
		assert.are.equal(1.5, s:best("v").value)
	end)

	it("takes several rows of one index where that is usual", function()
		local s = of({ { at = 1, v = 3.0 }, { at = 1, w = 1 }, { at = 2, v = 4.0 } }, nil,
			{ sparse = true })
		assert.are.equal(1, s.runs)
		assert.is_nil(s.resumed_at)
		assert.are.equal(3.0, s:best("v").value)
	end)

	it("lets lines be a little out of order", function()
		local s = of({ { at = 19 }, { at = 40, v = 1.0 }, { at = 39 } }, nil, { slack = 20 })
		assert.are.equal(1.0, s:best("v").value)
		assert.is_nil(s.resumed_at)
	end)

	it("has no best of NaN, and none of text", function()
		local s = of({ { at = 0, v = 0 / 0 }, { at = 1, v = "n/a" }, { at = 2, v = "0x10" } })
		assert.is_nil(s:best("v"))
	end)

	it("stays small when every row is the best", function()
		local s = series.new({ v = "min" })
		for at = 0, 20000 do
			s:add({ v = -at }, at)
		end
		assert.are.equal(-20000, s:best("v").value)
		s:add({ v = 7 }, 19000)
		assert.are.equal(-18999, s:best("v").value)
		assert.is_true(#s.found.v <= 4096)
	end)
end)

describe("th.csv.stream", function()
	local csv = require("th.csv")

	local function rows_of(text, separator)
		local stream = assert(csv.stream(lines.each(text), separator))
		local rows = {}
		for row in stream.next, stream do
			rows[#rows + 1] = table.concat(row, "|")
		end
		return rows, stream
	end

	for name, case in pairs({
		["plain rows"] = { "a,b\n1,2\n,4\n", { "1|2", "|4" } },
		["padding, as old YOLO writes it"] = { "   a,  b\n  1,   2\n", { "1|2" } },
		["CR CR LF"] = { "a,b\r\r\n1,2\r\r\n", { "1|2" } },
		["quotes"] = { 'a,b\n"1, 2",3\n', { "1, 2|3" } },
		["a separator at the end"] = { "a,b,\n1,2,\n", { "1|2" } },
		["a header that a resumed run wrote again"] = { "a,b\n1,2\na,b\n3,4\n", { "1|2", "3|4" } },
		["a byte order mark"] = { "\xEF\xBB\xBFa,b\n1,2\n", { "1|2" } },
	}) do
		it("reads " .. name, function()
			local rows, stream = rows_of(case[1])
			assert.are.same(case[2], rows)
			assert.are.equal(0, stream.misfits)
			assert.are.equal(2, stream.columns.b)
		end)
	end

	it("leaves out and counts what does not fit the header", function()
		local rows, stream = rows_of("a,b,c\n1,2,3\n1,2\n1,2,3,4\n\n4,5,6\n")
		assert.are.same({ "1|2|3", "4|5|6" }, rows)
		assert.are.equal(2, stream.misfits)
	end)

	it("reads tables that are wider than a pattern can be", function()
		local header, row = {}, {}
		for index = 1, 60 do
			header[index], row[index] = "c" .. index, tostring(index)
		end
		local rows = rows_of(table.concat(header, ";") .. "\n" .. table.concat(row, ";") .. "\n", ";")
		assert.are.same({ table.concat(row, "|") }, rows)
	end)

	it("needs a header", function()
		assert.are.equal("no_data", select(2, csv.stream(lines.each("\n\n"))).code)
	end)
end)

describe("th.jsonl", function()
	local jsonl = require("th.jsonl")

	it("passes over what is no object, and counts it", function()
		local stream = jsonl.of(lines.each('{"a": NaN}\n{"a": 1, "b\n[1]\n{"a": 2}\n{"a": 3'))
		local first, second = stream:next(), stream:next()
		assert.is_true(first.a ~= first.a)
		assert.are.equal(2, second.a)
		assert.is_nil(stream:next())
		assert.are.equal(3, stream.bad)
	end)

	it("reads one number without the rest of the line", function()
		assert.are.equal(1999, jsonl.number('{"x": [, "iteration": 1999, "y"', "iteration"))
		assert.are.equal(-1.5e-3, jsonl.number('{"a.b":-1.5e-3}', "a.b"))
		assert.is_nil(jsonl.number('{"iterations": 3}', "iteration"))
	end)
end)

describe("th.metrics.goal", function()
	local metrics = require("th.metrics")

	it("does not take a syllable for an error rate", function()
		assert.are.equal("max", metrics.goal("answer_f1"))
		assert.are.equal("max", metrics.goal("val_certainty"))
		assert.are.equal("min", metrics.goal("eval_wer"))
		assert.are.equal("min", metrics.goal("val/CER"))
		assert.are.equal("min", metrics.goal("val_rmse"))
	end)
end)

describe("th.hparams of a nested source", function()
	local hparams = require("th.hparams")

	it("names what lies below by its last part, if all agree", function()
		assert.are.same({ lr = 0.1, batch_size = 8, seed = 3 }, hparams.standard_of_nested({
			seed = 3, optimizer = { lr = 0.1 }, data = { batch_size = 8 },
			encoder = { dropout = 0.1 }, decoder = { dropout = 0.2 } }))
	end)

	it("takes the standard spelling before the others", function()
		for _ = 1, 20 do
			assert.are.equal(0.5, hparams.standard({ lr0 = 0.1, learning_rate = 0.2, lr = 0.5 }).lr)
			assert.are.equal(0.2, hparams.standard({ lr0 = 0.1, learning_rate = 0.2 }).lr)
		end
	end)
end)
