local json = require("th.json")

local function typed(value)
	return math.type(value) or type(value), value
end

describe("th.json", function()
	describe("keeps numbers as they are", function()
		for text, expected in pairs({ ["10000"] = 10000, ["-7"] = -7, ["0.85"] = 0.85, ["2e-05"] = 2e-05,
			["1E3"] = 1000.0, ["3.0"] = 3.0, ["9007199254740993"] = 9007199254740993,
			["9223372036854775807"] = math.maxinteger, ["9223372036854775808"] = 2.0 ^ 63 }) do
			it(text, function()
				assert.are.same({ typed(expected) }, { typed(json.decode(text)) })
			end)
		end
	end)

	it("accepts what Python writes: NaN and Infinity", function()
		local value = json.decode("[NaN, Infinity, -Infinity]")
		assert.is_true(value[1] ~= value[1])
		assert.are.equal(math.huge, value[2])
		assert.are.equal(-math.huge, value[3])
	end)

	it("tells null from an absent key", function()
		local value = json.decode('{"a": null}')
		assert.are.equal(json.null, value.a)
		assert.is_nil(value.b)
		assert.is_nil(json.value(value.a))
		assert.are.equal(false, json.value(false))
	end)

	describe("decodes strings", function()
		for text, expected in pairs({
			[ [["a\"b\\c\/d\b\f\n\r\t"]] ] = 'a"b\\c/d\b\f\n\r\t', [ [["\u4e2d"]] ] = "中",
			[ [["\ud83d\ude00"]] ] = "😀", [ [["\\ud83d\\u0041"]] ] = "\\ud83d\\u0041",
			[ [["\ud83d!"]] ] = "\u{FFFD}!", [ [["\u0041bc"]] ] = "Abc", ['"中文"'] = "中文", ['""'] = "",
		}) do
			it(text, function()
				assert.are.equal(expected, (json.decode(text)))
			end)
		end
	end)

	it("decodes nested structures with blanks anywhere", function()
		assert.are.same({ a = { 1, { b = {} }, {} }, c = true, d = false },
			json.decode(' { "a" : [ 1 , { "b" : { } } , [ ] ] ,\r\n\t"c":true, "d" : false } '))
	end)

	it("skips a byte order mark", function()
		assert.are.same({ 1 }, json.decode("\xEF\xBB\xBF[1]"))
	end)

	describe("refuses", function()
		for _, text in ipairs({ "", " ", "[1,]", "{,}", '{"a":1,}', "[1 2]", "{a:1}", "'a'", "01", "1.",
			".5", "+1", "1e", "1e+-5", "-", "tru", "nan", '"a\nb"', '"\\x"', '"\\u12"', '"abc', "[1", '{"a"',
			'{"a":1', "[1] x", '{"a" 1}', '{"a":01}', '{"a":1.}', ("["):rep(200) }) do
			it(("%q"):format(text:sub(1, 20)), function()
				local value, err = json.decode(text)
				assert.is_nil(value)
				assert.are.equal("bad_json", err.code)
				assert.matches("line %d+, column %d+", err.message)
			end)
		end
	end)

	it("names line and column of the fault", function()
		local _, err = json.decode('{\n  "a": 1,\n  "b": x\n}')
		assert.matches("line 3, column 8", err.message)
	end)

	it("reads JSON lines up to a torn last one", function()
		local lines = require("th.lines")
		local values, err = json.decode_lines(lines.each('{"a":1}\n\n{"a":2}\n{"a":'))
		assert.are.equal(2, #values)
		assert.are.equal("bad_json", err.code)
	end)

	it("raises for a caller's bug", function()
		assert.has_error(function() json.decode(nil) end, "json.decode: expected a string, got nil")
	end)

	it("decodes 300 KB of trainer_state.json in a few milliseconds", function()
		local record = '    {\n      "epoch": 0.15,\n      "grad_norm": 1.0625,\n      "learning_rate": '
			.. '1.9893719840578e-05,\n      "loss": 2.7218,\n      "step": 500\n    }'
		local parts = {}
		while #parts * #record < 300 * 1024 do
			parts[#parts + 1] = record
		end
		local text = '{"log_history": [\n' .. table.concat(parts, ",\n") .. "]}"
		local best = math.huge
		for _ = 1, 5 do
			local start = os.clock()
			assert.are.equal(#parts, #json.decode(text).log_history)
			best = math.min(best, os.clock() - start)
		end
		-- 9 ms measured; the limit leaves room for a busy machine and still catches a slow reader
		assert.is_true(best < 0.045, ("took %.1f ms"):format(best * 1000))
	end)
end)
