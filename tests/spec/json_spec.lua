local json = require("unit").json

--- Run a shell command with 'input' on its stdin; its stdout, or nil where it fails.
local function pipe(command, input)
	local name = os.tmpname()
	local file = assert(io.open(name, "wb"))
	file:write(input)
	file:close()
	local process = assert(io.popen(command .. " < " .. name .. " 2>/dev/null"))
	local output = process:read("a")
	local ok = process:close()
	os.remove(name)
	return ok and output or nil
end

local has_jq = pipe("jq --version", "") ~= nil
local has_python = pipe("/usr/bin/python3 -c 'import json'", "") ~= nil

describe("json: what is accepted", function()
	local texts = {
		"0", "-0", "1", "-1", "0.0", "-0.5", "1e5", "1E+5", "1e-5", "1.5e300", "1e400",
		"123456789012345678901234567890", "true", "false", "null", '""', '"a"', "[]", "{}",
		" \t\r\n1 \t\r\n", "[1,2,3]", "[[],[[]],{}]", '{"a":1}', '{"a":{"a":{"a":1}}}', '{"":0}',
		'{"a":1,"b":[1,{"c":null}]}', [["\"\\\/\b\f\n\r\t"]], [["\u0041\u00e9\u4e2d"]],
		[["\ud83d\ude00"]], [["\ud800"]], [["\udc00\ud800"]], [["\uD800\u0041"]], [["\u0000"]],
		'"\u{e9}\u{4e2d}\u{1f600}\u{10ffff}"', '"\x7f"',
		'"a longer string that takes eight bytes at once"',
		'"\u{2028}"', '{"a":1,"A":2}', [[{"\ud800":1,"\ud801":2,"\ufffd":3}]],
		("["):rep(64) .. ("]"):rep(64),
	}
	for _, text in ipairs(texts) do
		it(("%q"):format(text:sub(1, 60)), function()
			assert.is_truthy(json.check(text))
		end)
	end

	it("NaN and infinities on demand only", function()
		for _, text in ipairs({ "NaN", "Infinity", "-Infinity", '{"a":[NaN,-Infinity]}' }) do
			assert.is_truthy(json.check(text, "n"))
			local ok, message = json.check(text)
			assert.is_nil(ok)
			assert.matches("is not JSON", message, 1, true)
		end
	end)

	it("repeated keys on demand only, and the last one counts", function()
		assert.is_truthy(json.check('{"a":1,"a":2}', "d"))
		assert.equal("2", json.get('{"a":1,"a":2}', "a"))
	end)
end)

describe("json: what is refused, and how", function()
	local cases = {
		{ "", "t:1:1: the text is empty" },
		{ " \n ", "t:1:1: the text is empty" },
		{ "\xef\xbb\xbf{}", "t:1:1: the text starts with a byte order mark" },
		{ "\xff\xfe{\0}\0", "t:1:1: the text is UTF-16, not UTF-8" },
		{ "\xfe\xff\0{\0}", "t:1:1: the text is UTF-16, not UTF-8" },
		{ "{\0}\0", "t:1:1: the text is UTF-16, not UTF-8" },
		{ ("\0"):rep(4096), "t:1:1: the text starts with NUL bytes" },
		{ '{"a":' .. ("\0"):rep(99), "t:1:6: expected a value, found a NUL byte" },
		{ '{"a":1}\0\0', "t:1:8: expected nothing after the value, found a NUL byte" },
		{ "{", "t:1:2: expected a key or '}' after '{', but the text ends here" },
		{ "[", "t:1:2: expected a value, but the text ends here" },
		{ '{"a"', "t:1:5: expected ':' after a key, but the text ends here" },
		{ '{"a":1', "t:1:7: expected ',' or '}' after a value, but the text ends here" },
		{ '{"a":1,', "t:1:8: expected a key after ',', but the text ends here" },
		{ '"abc', "t:1:5: expected a closing quote, but the text ends here" },
		{ '"abc\\', "t:1:6: expected a closing quote, but the text ends here" },
		{ '"\\u12', "t:1:6: expected four hex digits after '\\u', but the text ends here" },
		{ '{\n  "a": 1\n  "b": 2\n}', "t:3:3: expected ',' or '}' after a value" },
		{ '{\n"中": 1,}', "t:2:8: expected a key after ','" },
		{ "[1 2]", "t:1:4: expected ',' or ']' after a value" },
		{ "[1,]", "t:1:4: expected a value" },
		{ "[,1]", "t:1:2: expected a value" },
		{ "[1}", "t:1:3: expected ',' or ']' after a value" },
		{ '{"a":1]', "t:1:7: expected ',' or '}' after a value" },
		{ '{"a" 1}', "t:1:6: expected ':' after a key" },
		{ "{a:1}", "t:1:2: expected a key or '}' after '{'" },
		{ "{1:1}", "t:1:2: expected a key or '}' after '{'" },
		{ '{"a":1,,"b":2}', "t:1:8: expected a key after ','" },
		{ "01", "t:1:2: expected no digit after a leading 0" },
		{ "-01", "t:1:3: expected no digit after a leading 0" },
		{ "-", "t:1:2: expected a digit, but the text ends here" },
		{ "-a", "t:1:2: expected a digit" },
		{ "1.", "t:1:3: expected a digit after '.', but the text ends here" },
		{ "[1.]", "t:1:4: expected a digit after '.'" },
		{ "[1e]", "t:1:4: expected a digit in the exponent" },
		{ "[1e+]", "t:1:5: expected a digit in the exponent" },
		{ ".5", "t:1:1: expected a value" },
		{ "+1", "t:1:1: expected a value" },
		{ "0x10", "t:1:2: expected nothing after the value" },
		{ "1_000", "t:1:2: expected nothing after the value" },
		{ "nul", "t:1:1: expected a value" },
		{ "True", "t:1:1: expected a value" },
		{ "truex", "t:1:5: expected nothing after the value" },
		{ "-Infinit", "t:1:1: expected a value" },
		{ "nan", "t:1:1: expected a value" },
		{ "'a'", "t:1:1: expected a value; strings take double quotes" },
		{ "// a\n1", "t:1:1: expected a value; JSON has no comments" },
		{ "1 # a", "t:1:3: expected nothing after the value" },
		{ "1 2", "t:1:3: expected nothing after the value" },
		{ "{} {}", "t:1:4: expected nothing after the value" },
		{ "]", "t:1:1: expected a value" },
		{ '"a\nb"', "t:1:3: control character 0x0a in a string" },
		{ '"a\0b"', "t:1:3: control character 0x00 in a string" },
		{ '"a\tb"', "t:1:3: control character 0x09 in a string" },
		{ [["\x41"]], "t:1:2: unknown escape" },
		{ '"\\\0"', "t:1:2: unknown escape" },
		{ [["\u12g4"]], "t:1:6: expected four hex digits after '\\u'" },
		{ '"\x80"', "t:1:2: invalid UTF-8 in a string" },
		{ '"\xc3"', "t:1:2: invalid UTF-8 in a string" },
		{ '"\xc0\xaf"', "t:1:2: invalid UTF-8 in a string" },
		{ '"\xed\xa0\x80"', "t:1:2: invalid UTF-8 in a string" },
		{ '"\xf4\x90\x80\x80"', "t:1:2: invalid UTF-8 in a string" },
		{ "[\xc2\xa01]", "t:1:2: expected a value" },
		{ "[\f1]", "t:1:2: expected a value" },
		{ '{"a":1,"b":2,"a":3}', "t:1:14: duplicate key 'a'" },
		{ [[{"a":1,"\u0061":3}]], "t:1:8: duplicate key 'a'" },
		{ ("["):rep(65) .. ("]"):rep(65), "t:1:65: nested deeper than 64 levels" },
		{ ("["):rep(5000000), "t:1:65: nested deeper than 64 levels" },
		{ ('{"a":'):rep(100000), "t:1:321: nested deeper than 64 levels" },
	}
	for _, case in ipairs(cases) do
		it(("%q"):format(case[1]:sub(1, 60)), function()
			local ok, message, code = json.check(case[1])
			assert.is_nil(ok)
			assert.equal(case[2], message)
			assert.equal("invalid", code)
		end)
	end

	it("any text that is cut off", function()
		local text = '{"a\\u00e9": [1.5e3, -2, "x\u{4e2d}y"], "b": {"c": null, "d": true}}'
		assert.is_truthy(json.check(text))
		for len = 0, #text - 1 do
			assert.is_nil((json.check(text:sub(1, len))))
		end
	end)
end)

describe("json: duplicate keys", function()
	local function object(n, last)
		local members = {}
		for i = 1, n do
			members[i] = ('"key %d":%d'):format(i, i)
		end
		members[#members + 1] = last
		return "{" .. table.concat(members, ",") .. "}"
	end

	it("are found in small and in large objects, written plainly or with escapes", function()
		for _, n in ipairs({ 1, 2, 15, 16, 17, 1000 }) do
			assert.is_truthy(json.check(object(n)))
			assert.is_nil((json.check(object(n, '"key 1":0'))))
			assert.is_nil((json.check(object(n, '"\\u006bey 1":0'))))
			assert.equal('"key 1"', json.duplicate(object(n, '"key 1":0')))
			assert.is_nil(json.duplicate(object(n, '"key 0":0')))
		end
	end)

	it("cost about the same per key, however many there are", function()
		local start = os.clock()
		assert.is_truthy(json.check(object(200000)))
		assert.is_true(os.clock() - start < 5)
	end)
end)

describe("json: reading", function()
	local doc = '{\n "a": [10, {"b": "x"}, [] ],\n "c": {},\n "d": -1.50\n}'

	it("finds members and elements, keeps their text and knows their line", function()
		assert.same({ "10", "integer", 2 }, { json.get(doc, "a", 1) })
		assert.same({ '{"b": "x"}', "object", 2 }, { json.get(doc, "a", 2) })
		assert.same({ '"x"', "string", 2 }, { json.get(doc, "a", 2, "b") })
		assert.same({ "[]", "array", 2 }, { json.get(doc, "a", 3) })
		assert.same({ "-1.50", "real", 4 }, { json.get(doc, "d") })
		assert.is_nil(json.get(doc, "a", 4))
		assert.is_nil(json.get(doc, "c", "x"))
		assert.is_nil(json.get(doc, "c", 1))
		assert.is_nil(json.get(doc, "d", "x"))
		assert.is_nil(json.get(doc, "z"))
		assert.equal("1", json.get([[{"\u0061b": 1}]], "ab"))
	end)

	it("decodes strings", function()
		assert.equal('"\\/\b\f\n\r\t', json.string([["\"\\\/\b\f\n\r\t"]]))
		assert.equal("A\u{e9}\u{4e2d}\u{1f600}", json.string([["\u0041\u00E9\u4e2d\ud83d\uDE00"]]))
		assert.equal("a\0b", json.string([["a\u0000b"]]))
		assert.equal("\u{fffd}A", json.string([["\ud800A"]]))
		assert.equal("\u{fffd}\u{fffd}", json.string([["\ude00\ud83d"]]))
		assert.equal("\u{fffd}\u{1f600}", json.string([["\ud83d\ud83d\ude00"]]))
	end)

	it("reads integers exactly or not at all", function()
		local cases = {
			["0"] = 0, ["-0"] = 0, ["42"] = 42, ["-42"] = -42, ["9007199254740993"] = 9007199254740993,
			["9223372036854775807"] = math.maxinteger, ["-9223372036854775808"] = math.mininteger,
		}
		for text, value in pairs(cases) do
			assert.equal(value, json.int64(text))
		end
		for _, text in ipairs({
			"9223372036854775808", "-9223372036854775809", "1.0", "1e3", '"1"', "null", ("9"):rep(30),
		}) do
			assert.is_nil(json.int64(text))
		end
	end)

	it("reads reals, the non-finite ones included", function()
		assert.equal(0.85, json.real("0.85"))
		assert.equal(1e300, json.real("1e300"))
		assert.equal(1 / 3, json.real("0." .. ("3"):rep(100)))
		assert.equal(math.huge, json.real("1e400"))
		assert.equal(math.huge, json.real("Infinity"))
		assert.equal(-math.huge, json.real("-Infinity"))
		assert.is_true(json.real("NaN") ~= json.real("NaN"))
		assert.is_nil(json.real('"1"'))
	end)

	it("compares values, not layout", function()
		local same = {
			{ "1", "1.0" }, { "1.50", "1.5" }, { "0.1e1", "1" }, { '"a"', [["\u0061"]] }, { "[]", "[ ]" },
			{ '{"a":1,"b":[2]}', '{ "b": [2.0], "a": 1 }' }, { "NaN", "NaN" }, { "null", "null" },
			{ [["\ud800"]], [["\uD800"]] },
		}
		local different = {
			{ "1", "2" }, { "1", '"1"' }, { "9007199254740993", "9007199254740992" }, { "[1]", "[1,1]" }, { "[1,2]", "[1,3]" },
			{ '{"a":1}', '{"b":1}' }, { '{"a":1}', '{"a":1,"b":2}' }, { "[]", "{}" }, { "true", "false" },
			{ "NaN", "Infinity" }, { "null", "0" }, { [["\ud800"]], [["\ud801"]] },
		}
		for _, pair in ipairs(same) do
			assert.is_true(json.equal(pair[1], pair[2]), pair[1])
		end
		for _, pair in ipairs(different) do
			assert.is_false(json.equal(pair[1], pair[2]), pair[1])
		end
	end)

	it("tells a number's text from any other", function()
		for _, text in ipairs({ "0", "-1", "1.5", "1e9", "-0.0E-0" }) do
			assert.is_true((json.is_number(text)))
		end
		for _, text in ipairs({ "", "-", "01", "1.", ".5", "1e", "+1", " 1", "1 ", "0x1", "NaN",
			"1,2" }) do
			assert.is_false((json.is_number(text)))
		end
		assert.same({ true, true }, { json.is_number("-12") })
		assert.same({ true, false }, { json.is_number("12.0") })
	end)
end)

describe("json: printing", function()
	it("prints the fewest digits that read back, and a real stays a real", function()
		local cases = {
			[0.85] = "0.85", [0.1] = "0.1", [1 / 3] = "0.3333333333333333", [2e-5] = "2e-05",
			[0.0001] = "0.0001", [100.0] = "100.0", [-3.0] = "-3.0", [1e15] = "1000000000000000.0",
			[1e16] = "1e+16", [1e22] = "1e+22", [12345678901234568.0] = "1.2345678901234568e+16",
			[5e-324] = "5e-324", [1.7976931348623157e308] = "1.7976931348623157e+308",
			[9007199254740992.0] = "9007199254740992.0", [0.1 + 0.2] = "0.30000000000000004",
			[1234567890123456.5] = "1234567890123456.5",
			[2.2250738585072014e-308] = "2.2250738585072014e-308",
		}
		for value, text in pairs(cases) do
			assert.equal(text, json.print_real(value))
		end
		assert.equal("0.0", json.print_real(0.0))
		assert.equal("-0.0", json.print_real(-0.0))
	end)

	it("never needs more digits than %.17g and never fewer than read back", function()
		math.randomseed(20251211)
		for _ = 1, 20000 do
			local value = string.unpack("d", string.pack("j", math.random(0)))
			if value == value and value ~= math.huge and value ~= -math.huge then
				local text = json.print_real(value)
				assert.equal(value, tonumber(text))
				assert.is_truthy(json.check(text))
				for digits = 1, 17 do
					local shorter = ("%%.%dg"):format(digits):format(value)
					if tonumber(shorter) == value then
						local count = #shorter:gsub("e.*", ""):gsub("[^%d]", ""):gsub("^0+", "")
						local ours = #text:gsub("e.*", ""):gsub("%.0$", ""):gsub("[^%d]", ""):gsub("^0+", "")
						assert.is_true(ours <= math.max(count, 16), text)
						break
					end
				end
			end
		end
	end)

	it("prints reals as Python does", function()
		if not has_python then
			pending("needs python3")
			return
		end
		math.randomseed(7)
		local values, texts = {}, {}
		for i = 1, 3000 do
			values[i] = (math.random() - 0.5) * 10.0 ^ math.random(-12, 20)
			if i % 3 == 0 then
				values[i] = tonumber(("%.4g"):format(values[i])) + 0.0
			end
			texts[i] = json.print_real(values[i])
		end
		local script = "import sys,json\nfor line in sys.stdin: print(json.dumps(float(line)))"
		local output = pipe("/usr/bin/python3 -c '" .. script .. "'", table.concat(texts, "\n") .. "\n")
		assert.equal(table.concat(texts, "\n") .. "\n", output)
	end)

	it("escapes what it must and repairs what is no UTF-8", function()
		assert.equal([["a\"b\\c/\b\f\n\r\t\u0000\u001f\u007f"]],
			json.print_string('a"b\\c/\b\f\n\r\t\0\x1f\x7f'))
		assert.equal('"\u{e9}\u{4e2d}\u{1f600}"', json.print_string("\u{e9}\u{4e2d}\u{1f600}"))
		assert.equal('"a\u{fffd}b\u{fffd}\u{fffd}"', json.print_string("a\xffb\xc0\xaf"))
		assert.equal('""', json.print_string(""))
		for byte = 0, 255 do
			assert.is_truthy(json.check(json.print_string("x" .. string.char(byte) .. "y")))
		end
	end)

	it("keeps commas, keys and nesting right", function()
		assert.equal('{"dataset":"hrds","none":null,"steps":-9223372036854775808,"raw":{"a":[1,2]},'
			.. '"list":[true,false,null,0.85,null,"a\\u0000b"],"empty":{}}', json.sample())
	end)

	it("lays raw text out anew and keeps numbers and strings to the byte", function()
		local text = '{"a":[1.50,{"x\\u0041, :":"{\\"}"}],"b":{},"c":[ ], "d" : 1E5}'
		assert.equal('{\n  "a": [\n    1.50,\n    {\n      "x\\u0041, :": "{\\"}"\n    }\n  ],\n'
			.. '  "b": {},\n  "c": [],\n  "d": 1E5\n}', json.print(text, 2))
		assert.equal('{"a":[1.50,{"x\\u0041, :":"{\\"}"}],"b":{},"c":[],"d":1E5}', json.print(text, 0))
		assert.equal('{"a": [1, 2], "b": 3}', json.print('{"a":[1,2],"b":3}', 0, "b"))
		assert.equal('{\r\n\t"a": 1\r\n}', json.print('{"a":1}', 1, "tc"))
		local deep = ("["):rep(64) .. ("]"):rep(64)
		assert.is_truthy(json.check(json.print(deep, 2)))
	end)

	it("splices without touching what lies between", function()
		assert.equal("Abcdef", json.splice("abcdef", { { 0, 1, "A" } }))
		assert.equal("ab-cdE-", json.splice("abcdef", { { 2, 0, "-" }, { 4, 1, "E" }, { 5, 1, "-" } }))
		assert.equal("abc", json.splice("abc", {}))
		assert.equal("", json.splice("abc", { { 0, 3, "" } }))
	end)
end)

--- A random document as text, with layout, escapes and numbers of every kind.
local function random_document(depth)
	local function pick(list)
		return list[math.random(#list)]
	end
	local function blank()
		return pick({ "", "", "", " ", "\n", "\r\n\t", "          \n        " })
	end
	local function text()
		local parts = {}
		for i = 1, math.random(0, 12) do
			parts[i] = pick({ "a", "key", " ", "\\n", '\\"', "\\u4e2d", "\\ud83d\\ude00", "\u{e9}",
				"\u{1f600}", "\\/", "longer piece of text", "\\\\", "\x7f" })
		end
		return '"' .. table.concat(parts) .. '"'
	end
	local kind = math.random(depth > 5 and 4 or 6)
	if kind == 1 then
		return pick({ "null", "true", "false" })
	elseif kind == 2 then
		return text()
	elseif kind <= 4 then
		return pick({ "0", "-0", "1", "-17", "9007199254740993", "0.85", "2e-5",
			"-1.5E+3", "1e-10", "123.456" })
	end
	local items = {}
	for i = 1, math.random(0, 6) do
		local value = blank() .. random_document(depth + 1) .. blank()
		items[i] = kind == 5 and value or blank() .. ('"%d %s:'):format(i, text():sub(2)) .. value
	end
	local open, close = "[", "]"
	if kind == 6 then
		open, close = "{", "}"
	end
	return open .. (#items > 0 and table.concat(items, ",") or blank()) .. close
end

--- 'text' with one byte changed, removed or doubled.
local function damage(text)
	local at = math.random(#text)
	local replacements = {
		"", text:sub(at, at):rep(2), string.char(math.random(32, 126)), '"', ",", "0", "\\",
	}
	local replacement = replacements[math.random(#replacements)]
	return text:sub(1, at - 1) .. replacement .. text:sub(at + 1)
end

describe("json: beside other readers", function()
	it("reads and prints what jq reads the same", function()
		if not has_jq then
			pending("needs jq")
			return
		end
		math.randomseed(1)
		local originals, printed = {}, {}
		for i = 1, 300 do
			originals[i] = random_document(0)
			assert.is_truthy(json.check(originals[i]), originals[i])
			printed[i] = json.print(originals[i], i % 3)
			assert.is_true(json.equal(originals[i], printed[i]))
		end
		local expected = assert(pipe("jq -cS .", table.concat(originals, "\n")))
		assert.equal(expected, pipe("jq -cS .", table.concat(printed, "\n")))
	end)

	it("accepts and refuses what Python's strict reader does", function()
		if not has_python then
			pending("needs python3")
			return
		end
		math.randomseed(2)
		local lines, ours = {}, {}
		while #lines < 1500 do
			local text = random_document(2)
			for _ = 1, math.random(0, 2) do
				text = damage(text)
			end
			lines[#lines + 1] = (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
			ours[#ours + 1] = json.check(text) and "yes" or "no"
		end
		local script = [[
import json, sys
def bad(x): raise ValueError(x)
def pairs(items):
    if len(set(k for k, v in items)) != len(items): bad("duplicate")
    return dict(items)
for line in sys.stdin:
    try:
        text = bytes.fromhex(line).decode("utf-8")
        if text.startswith("\ufeff"): bad("bom")
        json.loads(text, parse_constant=bad, object_pairs_hook=pairs)
        print("yes")
    except ValueError:
        print("no")
]]
		local name = os.tmpname()
		local file = assert(io.open(name, "w"))
		file:write(script)
		file:close()
		local output = pipe("/usr/bin/python3 " .. name, table.concat(lines, "\n") .. "\n")
		os.remove(name)
		assert.equal(table.concat(ours, "\n") .. "\n", output)
	end)
end)
