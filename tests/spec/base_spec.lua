local base = require("unit").base

describe("natural order", function()
	for _, case in ipairs({
		{ "checkpoint-500", "checkpoint-10000", -1 },
		{ "checkpoint-10000", "checkpoint-500", 1 },
		{ "a1b2", "a1b10", -1 },
		{ "a", "a", 0 },
		{ "a", "ab", -1 },
		{ "run", "Run", 1 },
		{ "x99999999999999999999999", "x100000000000000000000000", -1 },
	}) do
		it(("puts %s and %s in order"):format(case[1], case[2]), function()
			local order = base.natural_compare(case[1], case[2])
			assert.equal(case[3], order < 0 and -1 or order > 0 and 1 or 0)
		end)
	end

	it("tells a01 from a1, always the same way", function()
		assert.not_equal(0, base.natural_compare("a01", "a1"))
		assert.equal(-base.natural_compare("a01", "a1"), base.natural_compare("a1", "a01"))
	end)
end)

describe("suggestions", function()
	it("finds a typing error", function()
		assert.equal("stage3", base.nearest_word("stag3", { "stage1", "stage3", "verify" }))
	end)

	it("suggests nothing that is too far away", function()
		assert.is_nil(base.nearest_word("xyzzy", { "stage1", "verify" }))
	end)
end)

describe("text for a terminal", function()
	for name, case in pairs({
		["marks of direction"] = { "a\u{61c}\u{206a}b", "a\\u{061c}\\u{206a}b" },
		["an escape"] = { "a\27[2Jb", "a\\x1b[2Jb" },
		["a title change"] = { "\27]0;x\7", "\\x1b]0;x\\x07" },
		["a carriage return"] = { "a\rb", "a\\x0db" },
		["a C1 control"] = { "\xc2\x9b31m", "\\u{009b}31m" },
		["a direction mark"] = { "a\u{202e}b", "a\\u{202e}b" },
		["a zero width space"] = { "a\u{200b}b", "a\\u{200b}b" },
		["invalid bytes"] = { "a\xff\xfeb", "a\\xff\\xfeb" },
		["an overlong form"] = { "\xc0\xaf", "\\xc0\\xaf" },
		["Chinese, which is no harm"] = { "业务数据 ✓", "业务数据 ✓" },
	}) do
		it("shows " .. name, function()
			assert.equal(case[2], base.harmless(case[1]))
		end)
	end
end)

describe("UTF-8", function()
	for text, valid in pairs({
		["plain"] = true, ["训练"] = true, ["\u{10ffff}"] = true, ["\xed\xa0\x80"] = false,
		["\xf4\x90\x80\x80"] = false, ["\xe8\xae"] = false, ["\x80"] = false,
		["\xf8\x88\x80\x80\x80"] = false,
	}) do
		it((valid and "accepts " or "refuses ") .. ("%q"):format(text), function()
			assert.equal(valid, base.utf8_is_valid(text))
		end)
	end
end)

describe("the width of text", function()
	it("counts Chinese twice and combining marks not at all", function()
		assert.equal(4, base.width("训练"))
		assert.equal(1, base.width("e\u{301}"))
		assert.equal(3, base.width("abc"))
	end)

	it("cuts without splitting a character", function()
		assert.equal("训…", base.cut("训练集", 4))
		assert.equal("abc", base.cut("abc", 3))
	end)
end)

describe("times", function()
	for text, seconds in pairs({
		["1970-01-01T00:00:00Z"] = 0,
		["2025-12-11T10:30:00+08:00"] = 1765420200,
		["2025-12-11 02:30:00Z"] = 1765420200,
		["2025-12-11T02:30:00.5+0000"] = 1765420200.5,
		["2024-02-29T00:00Z"] = 1709164800,
	}) do
		it("reads " .. text, function()
			assert.equal(seconds, (base.parse_time(text)))
		end)
	end

	for _, text in ipairs({ "", "yesterday", "2025-13-01T00:00:00", "2025-02-29T00:00:00",
		"2025-12-11", "2025-12-11T25:00:00", "2025-12-11T10:30:00+8", "2025-12-11T10:30:00 x" }) do
		it("refuses " .. ("%q"):format(text), function()
			assert.is_nil(base.parse_time(text))
		end)
	end

	it("says that a time without an offset is naive", function()
		assert.is_true(select(2, base.parse_time("2025-12-11T10:30:00")))
		assert.is_false(select(2, base.parse_time("2025-12-11T10:30:00Z")))
	end)

	it("measures between naive times, offset times, and one of each", function()
		assert.equal(5400, base.seconds_between("2025-12-11T10:30:00", "2025-12-11T12:00:00"))
		assert.equal(0, base.seconds_between("2025-12-11T10:30:00+08:00", "2025-12-11T02:30:00Z"))
		assert.equal(60, base.seconds_between("2025-12-11T10:30:00", "2025-12-11T10:31:00+08:00"))
	end)

	it("writes an offset that reads back", function()
		assert.equal(1765420200, (base.parse_time(base.format_time(1765420200))))
	end)
end)

describe("run ids", function()
	it("are version 7 and sort by time", function()
		local first, second = base.make_id(), base.make_id()
		assert.is_true(base.is_id(first))
		assert.equal("7", first:sub(15, 15))
		assert.matches("[89ab]", first:sub(20, 20))
		assert.not_equal(first, second)
		assert.is_true(first:sub(1, 13) <= second:sub(1, 13))
	end)

	it("are told from other words", function()
		assert.is_false(base.is_id("not-an-id"))
		assert.is_false(base.is_id(base.make_id() .. "0"))
	end)
end)

describe("strings", function()
	it("splice at either end and in the middle", function()
		assert.equal("Xbc", base.splice("abc", 0, 1, "X"))
		assert.equal("abXYZ", base.splice("abc", 2, 1, "XYZ"))
		assert.equal("ac", base.splice("abc", 1, 1, ""))
		assert.equal("", base.splice("", 0, 0, ""))
	end)

	it("trim blanks at both ends", function()
		assert.equal("a b", base.trim("  a b\t\n"))
		assert.equal("", base.trim("   "))
	end)
end)
