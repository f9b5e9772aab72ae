local json = require("th.json")
local plain = require("th.plain")

describe("th.plain", function()
	it("keeps what a record can hold", function()
		local value = { a = 1, b = "x", c = true, d = json.null, e = { 1, false, { f = 2.5 } } }
		local fitted, left_out = plain.fit(value)
		assert.are.same(value, fitted)
		assert.are.same({}, left_out)
		assert.are_not.equal(value.e, fitted.e)
	end)

	it("leaves out what no record can, and names it", function()
		local fitted, left_out = plain.fit({ ok = 1, fn = print, bad = "\xff", zero = "a\0b",
			long = ("x"):rep(5000), ["a\nb"] = 1, [7] = 2, list = { 1, print }, sub = { fn = print } })
		assert.are.same({ ok = 1, sub = {} }, fitted)
		assert.are.same({ "[a key that is no name]", "[a key that is no name]", "bad", "fn", "list",
			"long", "sub.fn", "zero" }, left_out)
	end)

	it("keeps a list whole or not at all", function()
		assert.are.same({ a = {} }, (plain.fit({ a = { b = { 1, 2, "\xff" } } })))
	end)

	it("stops at a depth and at a number of keys", function()
		local fitted, left_out = plain.fit({ a = { b = { c = 1 } } }, { depth = 2 })
		assert.are.same({ a = {} }, fitted)
		assert.are.same({ "a.b" }, left_out)
		fitted, left_out = plain.fit({ a = 1, b = 2, c = 3, d = 4 }, { keys = 2 })
		assert.are.same({ a = 1, b = 2 }, fitted)
		assert.are.same({ "c" }, left_out)
		fitted, left_out = plain.fit({ a = ("x"):rep(60), b = ("y"):rep(60), c = 1 }, { bytes = 100 })
		assert.are.same({ a = ("x"):rep(60) }, fitted)
		assert.are.same({ "b", "c" }, left_out)
		local loop = {}
		loop.loop = loop
		assert.is_table(plain.fit(loop))
	end)

	it("takes numbers alone, NaN among them", function()
		local values, left_out = plain.numbers({ f1 = 0.5, text = "0.5", null = json.null,
			per_class = { a = 1, note = "x" }, nan = 0 / 0 })
		assert.are.equal(0.5, values.f1)
		assert.are.same({ a = 1 }, values.per_class)
		assert.are_not.equal(values.nan, values.nan)
		assert.are.same({ "null", "per_class.note", "text" }, left_out)
	end)

	it("tells one line of text from what is none", function()
		assert.are.equal("bert-base", plain.text("bert-base"))
		for _, value in ipairs({ "", "a\nb", "\xff", 1, {}, false }) do
			assert.is_nil(plain.text(value), tostring(value))
		end
	end)

	it("names a few of many", function()
		assert.are.equal("a, b", plain.enumerate({ "a", "b" }))
		assert.are.equal("a, b, c and 2 more", plain.enumerate({ "a", "b", "c", "d", "e" }))
	end)
end)
