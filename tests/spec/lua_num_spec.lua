local iso = require("th.iso")
local num = require("th.num")

local function same(expected, actual)
	assert.are.equal(expected, actual)
	assert.are.equal(math.type(expected), math.type(actual))
end

describe("th.num", function()
	describe("reads whole numbers and nothing else", function()
		for text, expected in pairs({ ["42"] = 42, ["-7"] = -7, ["+3"] = 3, ["1,234,567"] = 1234567,
			["9223372036854775807"] = math.maxinteger }) do
			it(("takes '%s'"):format(text), function()
				same(expected, num.int(text))
			end)
		end
		for _, text in ipairs({ "", " 5", "5 ", "0x10", "1e5", "1.0", "12 of 30", "1,23", ",123",
			"1,2345", "9223372036854775808", "--1", "n/a" }) do
			it(("refuses '%s'"):format(text), function()
				local value, reason = num.int(text)
				assert.is_nil(value)
				assert.matches("expected a whole number", reason)
			end)
		end
	end)

	describe("reads decimal numbers", function()
		for text, expected in pairs({ ["0.85"] = 0.85, ["2e-05"] = 2e-05, [".5"] = 0.5, ["-3"] = -3.0,
			["1,234.5"] = false, ["inf"] = math.huge, ["-Infinity"] = -math.huge }) do
			it(("on '%s'"):format(text), function()
				same(expected or nil, num.float(text))
			end)
		end
		it("knows nan in any case", function()
			for _, text in ipairs({ "nan", "NaN", "-nan" }) do
				local value = num.float(text)
				assert.is_true(value ~= value)
			end
		end)
		for _, text in ipairs({ "", ".", "e5", "1e", "0x1p3", "1.2.3", "five" }) do
			it(("refuses '%s'"):format(text), function()
				assert.is_nil((num.float(text)))
			end)
		end
	end)

	it("keeps integers apart from floats", function()
		same(3, num.any("3"))
		same(3.0, num.any("3.0"))
	end)

	it("shifts a percentage without losing a digit", function()
		same(0.851, num.percent("85.1%"))
		same(1.0, num.percent("100 %"))
		assert.is_nil((num.percent("85.1")))
	end)

	it("reads decimal magnitudes", function()
		same(1500, num.human("1.5k"))
		same(2000000, num.human("2M"))
		assert.is_nil((num.human("2 apples")))
	end)

	it("gives a float32 back as it was written", function()
		assert.are.equal(2.1946, num.float32(2.1946001052856445))
		assert.are.equal(0.76, num.float32(0.7599999904632568))
		assert.are.equal(0.0, num.float32(0.0))
		assert.are.equal(math.huge, num.float32(math.huge))
	end)

	it("sees that two numbers agree when one may be rounded", function()
		for _, pair in ipairs({ { 0.28, 0.2770786672516105 }, { 0.9029, 0.9029268292682927 },
			{ 0.0, 0.0030768 }, { 3, 3.0 }, { 1e-05, 1.04e-05 }, { 0 / 0, 0 / 0 }, { 2.5, 2.5 } }) do
			assert.is_true(num.agrees(pair[1], pair[2]), pair[1] .. " " .. pair[2])
			assert.is_true(num.agrees(pair[2], pair[1]))
		end
		for _, pair in ipairs({ { 0.29, 0.2770786672516105 }, { 3, 3.4 }, { 0.5, 0.25 }, { 1, 2 },
			{ 0 / 0, 1.0 }, { math.huge, 1.0 }, { 5e-05, 4.058e-05 } }) do
			assert.is_false(num.agrees(pair[1], pair[2]), pair[1] .. " " .. pair[2])
			assert.is_false(num.agrees(pair[2], pair[1]))
		end
	end)

	it("makes a whole float an integer, and leaves a fraction", function()
		same(3, num.tidy(3.0))
		same(0.76, num.tidy(0.76))
		assert.is_nil(num.tidy(nil))
	end)

	it("takes an exponent without a point for a number where the writer does", function()
		assert.are.same({ 1e-05, 2e10, -1.5e3, "1e-05x", "e5", "5", true },
			{ num.from_yaml12("1e-05"), num.from_yaml12("2E+10"), num.from_yaml12("-1.5e3"),
				num.from_yaml12("1e-05x"), num.from_yaml12("e5"), num.from_yaml12("5"),
				num.from_yaml12(true) })
	end)
end)

describe("th.iso", function()
	for seconds, expected in pairs({
		[0] = "1970-01-01T00:00:00+00:00",
		[951782400] = "2000-02-29T00:00:00+00:00",
		[1763115868.9] = "2025-11-14T10:24:28+00:00",
		[-1] = "1969-12-31T23:59:59+00:00",
		[4107542399] = "2100-02-28T23:59:59+00:00",
	}) do
		it("writes " .. expected, function()
			assert.are.equal(expected, iso.from_unix(seconds))
		end)
	end

	for text, seconds in pairs({ ["1970-01-01T00:00:00+00:00"] = 0,
		["2023-11-14T22:13:20Z"] = 1700000000, ["2023-11-14T22:13:20"] = 1700000000,
		["2023-11-15T06:13:20+08:00"] = 1700000000, ["2023-11-14 18:43:20.25-03:30"] = 1700000000,
		["2024-02-29T00:00:00Z"] = 1709164800, ["2024-03-01T00:00:00Z"] = 1709251200,
		["1900-03-01T00:00:00Z"] = -2203891200 }) do
		it("counts the seconds to " .. text, function()
			assert.are.equal(seconds, iso.to_unix(text))
		end)
	end

	it("does not count to what is no time", function()
		assert.is_nil(iso.to_unix("yesterday"))
		assert.is_nil(iso.to_unix("2024-02-29"))
	end)

	it("reads the month first, as Python's datefmt of the pipeline prints it", function()
		assert.are.equal("2025-11-13T22:51:48", iso.from_us("11/13/2025 22:51:48"))
		assert.is_nil(iso.from_us("2025-11-13 22:51:48"))
	end)

	it("says the zone of a time that Python printed in UTC without one", function()
		for text, expected in pairs({
			["2019-07-05T12:16:03.909392"] = "2019-07-05T12:16:03.909392+00:00",
			["2019-07-05 12:16:03"] = "2019-07-05T12:16:03+00:00",
			["2024-11-04T05:53:23.9Z"] = "2024-11-04T05:53:23.9Z",
			["2024-11-04T05:53:23+08:00"] = "2024-11-04T05:53:23+08:00",
		}) do
			assert.are.equal(expected, iso.from_utc(text))
		end
		for _, text in ipairs({ "2019-07-05", "soon", "2019-07-05T12:16:03 maybe", 3, {} }) do
			assert.is_nil(iso.from_utc(text))
		end
	end)
end)
