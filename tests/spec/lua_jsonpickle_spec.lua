local json = require("th.json")
local jsonpickle = require("th.jsonpickle")

local function dtype(code, order)
	return ('{"py/reduce": [{"py/type": "numpy.dtype"}, {"py/tuple": ["%s", false, true]}, ' ..
		'{"py/tuple": [3, "%s", null, null, null, -1, -1, 0]}]}'):format(code, order or "<")
end

local function scalar(code, bytes)
	return ('{"py/reduce": [{"py/function": "numpy.core.multiarray.scalar"}, ' ..
		'{"py/tuple": [%s, {"py/b64": "%s"}]}]}'):format(dtype(code), bytes)
end

local function array(shape, code, bytes, fortran, order)
	return ('{"py/reduce": [{"py/function": "numpy.core.multiarray._reconstruct"}, {"py/tuple": ' ..
		'[{"py/type": "numpy.ndarray"}, {"py/tuple": [0]}, {"py/b64": "Yg=="}]}, {"py/tuple": ' ..
		'[1, {"py/tuple": %s}, %s, %s, {"py/b64": "%s"}]}]}'):format(shape, dtype(code, order),
		fortran or "false", bytes)
end

describe("th.jsonpickle", function()
	for _, case in ipairs {
		{ '{"py/tuple": [1, "a"]}', { 1, "a" } },
		{ '{"py/set": [3]}', { 3 } },
		{ '{"a": {"py/tuple": [{"py/tuple": [1]}]}}', { a = { { 1 } } } },
		{ '{"py/object": "argparse.Namespace", "lr": 0.1}', { lr = 0.1 } },
		{ '{"py/object": "collections.defaultdict", "a": 1, "default_factory": {"py/type": "x"}}',
			{ a = 1 } },
		{ '{"py/reduce": [{"py/type": "collections.OrderedDict"}, {"py/tuple": []}, null, null, ' ..
			'{"py/tuple": [{"py/tuple": ["lr", 0.1]}, {"py/tuple": ["n", {"py/tuple": [2]}]}]}]}',
			{ lr = 0.1, n = { 2 } } },
		{ '{"py/reduce": [{"py/type": "pathlib.PosixPath"}, {"py/tuple": ["/", "data", "x"]}]}',
			"/data/x" },
		{ '{"py/object": "numpy.float64", "dtype": "float64", "value": 0.25}', 0.25 },
		{ '{"py/object": "numpy.ndarray", "dtype": "float64", "values": [0.88, 0.62]}', { 0.88, 0.62 } },
		{ '{"py/object": "numpy.ndarray", "dtype": "float64", "values": 3.5}', 3.5 },
		{ scalar("f8", "mpmZmZmZuT8="), 0.1 },
		{ scalar("f4", "AAAAPw=="), 0.5 },
		{ scalar("i8", "+f////////8="), -7 },
		{ scalar("u1", "/w=="), 255 },
		{ scalar("b1", "AA=="), false },
		{ array("[2]", "f8", "KVyPwvUo7D/Xo3A9CtfjPw=="), { 0.88, 0.62 } },
		{ array("[1, 2, 3]", "i4", "AAAAAAAAAAEAAAACAAAAAwAAAAQAAAAF", "false", ">"),
			{ { { 0, 1, 2 }, { 3, 4, 5 } } } },
		{ array("[]", "f8", "AAAAAAAADEA="), 3.5 },
	} do
		it("says plainly " .. case[1]:sub(1, 60), function()
			assert.are.same(case[2], jsonpickle.plain(json.decode(case[1])))
		end)
	end

	for what, text in pairs {
		["an object of a class"] = '{"py/object": "m.Net", "lr": 1}',
		["a reference"] = '{"py/id": 3}',
		["columns first"] = array("[1, 2]", "u1", "AQI=", "true"),
		["texts of numpy"] = array("[1]", "U1", "YQAAAA=="),
		["fewer bytes than the shape wants"] = array("[3]", "u1", "AQI="),
		["a shape that is none"] = array('["x"]', "u1", "AQ=="),
		["bytes that are no base64"] = scalar("u1", "?"),
		["a path of numbers"] = '{"py/reduce": [{"py/type": "pathlib.PosixPath"}, {"py/tuple": [1]}]}',
		["half a reduce"] = '{"py/reduce": [{"py/function": "numpy.core.multiarray.scalar"}]}',
		["a complex number"] = '{"py/object": "builtins.complex", "py/newargs": [0, 1]}',
	} do
		it("leaves " .. what .. " as it stands", function()
			local value = json.decode(text)
			assert.are.same(value, jsonpickle.plain(value))
		end)
	end

	it("does not change what it is given", function()
		local value = json.decode('{"a": {"py/tuple": [1]}}')
		jsonpickle.plain(value)
		assert.are.same({ a = { ["py/tuple"] = { 1 } } }, value)
	end)

	it("knows numbers and arrays of numpy", function()
		assert.are.equal(0.25, jsonpickle.number(json.decode(
			'{"py/object": "numpy.float32", "value": 0.25}')))
		local nan = jsonpickle.number(json.decode('{"py/object": "numpy.float64", "value": "nan"}'))
		assert.is_true(nan ~= nan)
		assert.is_nil(jsonpickle.number(json.decode('{"py/object": "numpy.str_", "value": "x"}')))
		assert.is_nil(jsonpickle.number("3"))
		assert.is_nil(jsonpickle.number(true))
		assert.is_true(jsonpickle.is_numpy(json.decode(scalar("f8", "mpmZmZmZuT8="))))
		assert.is_false(jsonpickle.is_numpy({ ["py/object"] = "m.numpy.X" }))
		assert.is_false(jsonpickle.is_numpy(3))
	end)

	it("ends in a value that is nested too deeply", function()
		local text = ('{"a":'):rep(100) .. '{"py/tuple": [1]}' .. ("}"):rep(100)
		local value = jsonpickle.plain(json.decode(text))
		for _ = 1, 100 do
			value = value.a
		end
		assert.are.same({ ["py/tuple"] = { 1 } }, value)
	end)

	it("reads base64 with blanks and without padding", function()
		assert.are.equal("abcd", jsonpickle.base64("YWJj\n ZA=="))
		assert.are.equal("ab", jsonpickle.base64("YWI"))
		assert.are.equal("", jsonpickle.base64(""))
		assert.is_nil(jsonpickle.base64("YWJjZ"))
		assert.is_nil(jsonpickle.base64("Y_=="))
	end)
end)
