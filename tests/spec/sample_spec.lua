local proc = require("unit").proc

local OUT, ERRORS = 1, 2

--- The lines that come of `events`, each { at_ms, stream, data }; all lines with "x".
local function sample(events)
	events.needles = events.needles or { "x" }
	return proc.sample(events)
end

describe("sampling lines", function()
	it("hands on complete lines that hold a needle, oldest first", function()
		local lines = sample({ { 0, OUT, "x1\nnothing\nx2\nx3" } })
		assert.same({ "x1", "x2" }, lines)
		lines = sample({ needles = { "loss", "step" }, { 0, OUT, "a loss\nb\nc step loss\n" } })
		assert.same({ "a loss", "c step loss" }, lines)
	end)

	it("splits at \\r, as progress bars do, and at \\r\\n", function()
		local lines = sample({ { 0, OUT, "\rx 1%\rx 2%\rx 3%\r\nx 4\r\n\r\n" } })
		assert.same({ "x 1%", "x 2%", "x 3%", "x 4" }, lines)
	end)

	it("puts lines together from pieces, each stream its own", function()
		local lines = sample({
			{ 0, OUT, "x one " }, { 200, ERRORS, "x two " },
			{ 400, OUT, "more\n" }, { 600, ERRORS, "again\n" },
		})
		assert.same({ "x one more", "x two again" }, lines)
	end)

	it("looks ten times a second; a tick catches up", function()
		assert.same({ "x1" }, sample({ { 0, OUT, "x1\n" }, { 50, OUT, "x2\n" }, { 99, OUT, "x3\n" } }))
		assert.same({ "x1", "x2", "x3" }, sample({
			{ 0, OUT, "x1\n" }, { 50, OUT, "x2\n" }, { 60, OUT, "x3\n" }, { 90 }, { 100 },
		}))
		assert.same({ "x1", "x2", "x3" }, sample({
			{ 0, OUT, "x1\n" }, { 50, OUT, "x2\n" }, { 150, OUT, "x3\n" },
		}))
	end)

	it("gives the unfinished line at the end", function()
		assert.same({ "x1", "x2" }, sample({ { 0, OUT, "x1\nx2" }, { 1, OUT, "finish" } }))
		assert.same({}, sample({ { 1, OUT, "finish" } }))
	end)

	it("keeps the newest of a flood, and no line without its beginning", function()
		local block = {}
		for i = 1, 20000 do
			block[i] = ("x%06d"):format(i)
		end
		local lines = sample({ { 0, OUT, table.concat(block, "\n") .. "\n" } })
		assert.equal("x020000", lines[#lines])
		assert.is_true(#lines * 8 <= 65536 and #lines * 8 > 65536 - 16)
		for _, line in ipairs(lines) do
			assert.equal(7, #line)
		end
	end)

	it("keeps the newest of many small blocks", function()
		local events = { { 0, OUT, "start\n" } }
		for i = 1, 20000 do
			events[#events + 1] = { 50, OUT, ("x%06d\n"):format(i) }
		end
		events[#events + 1] = { 100 }
		local lines = sample(events)
		assert.equal("x020000", lines[#lines])
		assert.is_true(#lines * 8 <= 65536 and #lines * 8 >= 32768 - 8)
		for i, line in ipairs(lines) do
			assert.equal(("x%06d"):format(20000 - #lines + i), line)
		end
	end)

	it("drops a line longer than it keeps", function()
		local events = { { 0, OUT, "x" .. ("y"):rep(100000) } }
		events[2] = { 200, OUT, ("x"):rep(1000) .. "\nx short\n" }
		assert.same({ "x short" }, sample(events))
	end)

	it("is harmless without needles", function()
		assert.same({}, sample({ needles = {}, { 0, OUT, "x1\nx2\n" }, { 1, OUT, "finish" } }))
	end)

	it("finds the same lines wherever a text is cut", function()
		local text = "x one\r\n\rx two\rthree\nx four\n\nx five"
		local whole = sample({ { 0, OUT, text }, { 0, OUT, "finish" } })
		assert.same({ "x one", "x two", "x four", "x five" }, whole)
		for cut = 1, #text - 1 do
			assert.same(whole, sample({
				{ 0, OUT, text:sub(1, cut) }, { 500, OUT, text:sub(cut + 1) }, { 0, OUT, "finish" },
			}))
		end
	end)
end)
