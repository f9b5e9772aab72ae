--- YAML as JSON text: what PyYAML writes comes out as what Python meant.

local conf = require("unit").conf

describe("yaml", function()
	for _, case in ipairs {
		{ "5.0e-05", "5.0e-05" }, { "0.1", "0.1" }, { "-0.0", "-0.0" }, { ".5", "0.5" },
		{ "1.", "1.0" }, { "+1.5", "1.5" }, { "1.e5", "1.0e5" }, { "007.5", "7.5" },
		{ "1e-05", '"1e-05"' }, { "1e5", '"1e5"' },
		{ "10", "10" }, { "+3", "3" }, { "-4", "-4" }, { "007", "7" },
		{ "12345678901234567890123", "12345678901234567890123" },
		{ "0x1F", "31" }, { "0o17", "15" }, { "0x", '"0x"' }, { "1_000", '"1_000"' },
		{ "null", "null" }, { "~", "null" }, { "", "null" }, { "None", '"None"' },
		{ "true", "true" }, { "False", "false" }, { "yes", '"yes"' }, { "off", '"off"' },
		{ ".nan", "NaN" }, { ".inf", "Infinity" }, { "-.inf", "-Infinity" },
		{ "'5'", '"5"' }, { '"5"', '"5"' }, { "'null'", '"null"' }, { "''", '""' },
		{ "2025-12-11", '"2025-12-11"' }, { "'2025-12-11 10:30:00'", '"2025-12-11 10:30:00"' },
		{ "1.5.2", '"1.5.2"' }, { ".", '"."' }, { "+", '"+"' }, { "--", '"--"' },
		{ "1.0e", '"1.0e"' }, { "中文", '"中文"' }, { '"a\\tb\\u00e9"', '"a\\tbé"' },
		{ "!!str 5", '"5"' }, { "! 5", '"5"' }, { "!!float 5", "5" },
		{ "!!python/tuple [1, 2]", "[1,2]" }, { "!!python/object:a.B {z: 1}", '{"z":1}' },
		{ "!mine x", '"x"' }, { "[]", "[]" }, { "{}", "{}" }, { "[1, {a: b}]", '[1,{"a":"b"}]' },
	} do
		it("reads " .. case[1] .. " as " .. case[2], function()
			assert.equal('{"v":' .. case[2] .. "}", conf.yaml("v: " .. case[1] .. "\n"))
		end)
	end

	it("reads what the home pipeline's experiment manager writes", function()
		assert.equal('{"experiment":{"id":1,"description":"","created":"2026-11-23 03:07:30"},' ..
			'"stages":{"stage1_hrds":{"status":"completed","best_checkpoint":null,"metrics":{}}}}',
			conf.yaml("experiment:\n  id: 1\n  description: ''\n  created: '2026-11-23 03:07:30'\n" ..
				"stages:\n  stage1_hrds:\n    status: completed\n    best_checkpoint: null\n" ..
				"    metrics: {}\n"))
	end)

	it("reads the first document only, and none as null", function()
		assert.equal('{"a":1}', conf.yaml("a: 1\n---\nbad: [\n"))
		assert.equal("null", conf.yaml(""))
		assert.equal("null", conf.yaml("# nothing\n"))
		assert.equal('{"a":1}', conf.yaml("\xef\xbb\xbfa: 1\r\n"))
	end)

	it("merges a list of mappings: of equal keys the mapping's own, then the first counts", function()
		assert.equal('{"b":3,"lr":1,"c":4}',
			conf.yaml("{b: 3, <<: [{lr: 1, b: 2}, {lr: 9, c: 4}]}\n"))
	end)

	it("expands aliases and merges", function()
		assert.equal('{"d":{"lr":1,"b":2},"s":{"b":3,"lr":1},"t":{"lr":1,"b":2}}',
			conf.yaml("d: &d {lr: 1, b: 2}\ns: {<<: *d, b: 3}\nt: *d\n"))
	end)

	it("writes keys that are no strings as strings", function()
		assert.equal('{"1":"a","null":"b","true":"c"}', conf.yaml("1: a\nnull: b\ntrue: c\n"))
		assert.equal('{"[1,2]":"x","{\\"a\\":[]}":"y"}',
			conf.yaml("? !!python/tuple\n- 1\n- 2\n: x\n? {a: []}\n: y\n"))
		assert.equal('{"a":{"[1]":2}}', conf.yaml("a: {<<: {[1]: 2}}\n"))
	end)

	it("takes an alias for a key as PyYAML writes it", function()
		assert.equal('{"t":[1],"m":{"[1]":2},"l":[{"[1]":{"x":3}}],"[1]":null}', conf.yaml(
			"t: &id001 !!python/tuple\n- 1\nm:\n  *id001: 2\nl:\n- *id001:\n    x: 3\n*id001:"))
		assert.equal('{"a":1,"*x":2}', conf.yaml("a: 1\n'*x': 2\n"))
		for _, text in ipairs { "a: &x 1\n*y: 2\n", "a: &x 1\n*: 2\n", "a: &x 1\n*x:y\n", "*", "- *a" } do
			local result, message, code = conf.yaml(text)
			assert.is_nil(result)
			assert.same({ "invalid", true }, { code, message:find("^f.yml") ~= nil })
		end
	end)

	it("keeps the rest of a file that holds Python objects", function()
		assert.equal('{"lr":0.001,"path":["/","data"],"fn":"","aug":{"p":0.3,"masks":[]},' ..
			'"dist":{"args":["i8",false],"state":[3,"<",null]},"raw":"AAE=\\n","n":5}',
			conf.yaml("lr: 0.001\npath: !!python/object/apply:pathlib.PosixPath\n- /\n- data\n" ..
				"fn: !!python/name:__main__.%3Clambda%3E ''\n" ..
				"aug: !!python/object:lib.aug.Dropout\n  p: 0.3\n  masks: []\n" ..
				"dist: !!python/object/apply:numpy.dtype\n  args:\n  - i8\n  - false\n" ..
				"  state: !!python/tuple\n  - 3\n  - <\n  - null\n" ..
				"raw: !!binary |\n  AAE=\nn: 5\n"))
	end)

	it("ends where an object holds itself", function()
		assert.equal('{"a":[null]}', conf.yaml("a: &a [*a]\n"))
		assert.equal('{"model":{"child":{"parent":null,"lr":0.1}},"lr":1}', conf.yaml(
			"model: &id001 !!python/object:m.Net\n  child: !!python/object:m.Head\n" ..
			"    parent: *id001\n    lr: 0.1\nlr: 1\n"))
		assert.equal('{"a":[1],"b":[[1],[1]]}', conf.yaml("a: &a [1]\nb: [*a, *a]\n"))
		assert.equal('{"a":{"[null]":1}}', conf.yaml("a: &a {[*a]: 1}\n"))
	end)

	it("takes an empty key for null, and an alias with a value behind it", function()
		assert.equal('{"k":"x","v":{"x":1}}', conf.yaml("k: &k x\nv: {*k : 1}\n"))
		assert.equal('{"null":1}', conf.yaml("? \n: 1\n"))
	end)

	for _, case in ipairs {
		{ "a: [1,\nb: }\n", "^f.yml:2: " },
		{ "a:\n  - 1\n b: 2\n", "^f.yml:3: " },
		{ 'x: "abc\n', "unexpected end of stream" },
		{ "a: 1\nb: 2\n\"a\": 3\n", "^f.yml:3: duplicate key" },
		{ "a: *nope\n", "alias without its anchor" },
		{ "a: {<<: 5}\n", "'<<' needs a mapping" },
		{ "a: {<<: [{b: 1}, 5]}\n", "'<<' needs a mapping" },
		{ "<<:\n  nme:\n  w:<:\n  nme:\n", "^f.yml:4: duplicate key" },
		{ "? [1, 2]\n: x\n? [1, 2]\n: y\n", "duplicate key" },
		{ "? [*nope]\n: x\n", "alias without its anchor" },
		{ "a: {<<: {[*nope]: 2}}\n", "alias without its anchor" },
		{ "a: {b: 1, <<: {c: 1, *nope : 2}}\n", "alias without its anchor" },
		{ "? <:\t?", "^f.yml:1: mapping keys are not allowed" },
		{ "x: 1\n- ? \"a\": \t- b\n", "^f.yml:2: " },
		{ "a: \0\n", "not valid UTF%-8 text" },
		{ "a: \xff\n", "not valid UTF%-8 text" },
		{ ("["):rep(100000), "^f.yml:1: " },
	} do
		it("refuses " .. case[1]:sub(1, 20):gsub("%c", "|"), function()
			local text, message, code = conf.yaml(case[1])
			assert.is_nil(text)
			assert.equal("invalid", code)
			assert.matches(case[2], message)
		end)
	end

	it("stops where aliases would fill the memory", function()
		local lines, last = { "a: &a [x,x,x,x,x,x,x,x,x,x]" }, "*a"
		for letter in ("bcdefghi"):gmatch(".") do
			lines[#lines + 1] = ("%s: &%s [%s]"):format(letter, letter,
				(last .. ","):rep(10):sub(1, -2))
			last = "*" .. letter
		end
		assert.matches("too large once its aliases are expanded",
			select(2, conf.yaml(table.concat(lines, "\n") .. "\n")))
	end)

	it("stops where aliases would nest too deeply", function()
		local function nested(n, inner)
			return ("["):rep(n) .. inner .. ("]"):rep(n)
		end
		local text = ("a: &a %s\nb: %s\n"):format(nested(30, "x"), nested(30, "*a"))
		assert.matches('%[%["x"%]%]', conf.yaml(text))
		text = ("a: &a %s\nb: &b %s\nc: %s\n"):format(nested(30, "x"), nested(30, "*a"), nested(30, "*b"))
		assert.matches("nested too deeply", select(2, conf.yaml(text)))
	end)

	it("stops where keys would", function()
		local key = "&a [" .. ("x,"):rep(1000) .. "x]"
		local lines = { "? " .. key .. "\n: 0" }
		for index = 1, 10000 do
			lines[#lines + 1] = ("? [*a, %d]\n: 0"):format(index)
		end
		assert.matches("too large once its aliases are expanded",
			select(2, conf.yaml(table.concat(lines, "\n") .. "\n")))
	end)

	it("takes no twice as long for each level of keys within keys", function()
		local text = ("{? "):rep(24) .. "x" .. (" : 1}"):rep(24)
		local started = os.clock()
		local json = assert(conf.yaml("? " .. ("{? "):rep(4) .. "x" .. (" : 1}"):rep(4) .. "\n: 2\n"))
		assert.matches('^{"{', json)
		conf.yaml(text .. "\n") -- 2^24 quotes and backslashes: it may be too large
		assert.is_true(os.clock() - started < 5)
	end)

	it("takes time in proportion to a mapping's length", function()
		local lines = {}
		for i = 1, 50000 do
			lines[i] = "key" .. i .. ": " .. i
		end
		local started = os.clock()
		assert.matches('"key50000":50000}$', conf.yaml(table.concat(lines, "\n")))
		assert.is_true(os.clock() - started < 5) -- a comparison of each with each: a minute
	end)
end)
