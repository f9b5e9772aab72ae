local fake = require("support.fake_ctx")
local tfevents = require("th.tfevents")
local events = require("support.events")

local varint, message, frame = events.varint, events.message, events.frame
local event, simple, tensor = events.event, events.simple, events.tensor

describe("th.tfevents", function()
	it("computes the masked CRC-32C of TFRecord", function()
		-- CRC-32C of "123456789" is E3069283 (RFC 3720, B.4 uses the same polynomial)
		local crc = 0xE3069283
		assert.are.equal((((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF,
			tfevents.masked_crc("123456789"))
	end)

	it("reads simple values, float tensors and texts", function()
		local log = assert(tfevents.decode(event(10, simple("train/loss", 2.5))
			.. event(20, simple("train/loss", 1.5))
			.. event(300, tensor("eval/f1", 1, message(5, ("<f"):pack(0.75))))
			.. event(0, tensor("args", 7, message(8, "{}")))))
		assert.are.same({ { step = 10, value = 2.5 }, { step = 20, value = 1.5 } },
			log.scalars["train/loss"])
		assert.are.same({ 0.75, 300 }, { tfevents.last(log, "eval/f1") })
		assert.are.equal("{}", log.texts.args)
		assert.are.equal(300, log.last_step)
		assert.is_false(log.truncated)
		assert.is_nil((tfevents.last(log, "absent")))
	end)

	it("keeps what lies before a torn end", function()
		local whole = event(10, simple("a", 1)) .. event(20, simple("a", 2))
		for cut = 1, #event(20, simple("a", 2)) - 1, 7 do
			local log = assert(tfevents.decode(whole:sub(1, -cut - 1)))
			assert.is_true(log.truncated)
			assert.are.equal(10, log.last_step)
		end
	end)

	it("refuses a flipped bit", function()
		local text = event(10, simple("a", 1))
		for _, at in ipairs({ 3, 20, #text - 6 }) do
			local broken = text:sub(1, at - 1) .. string.char(text:byte(at) ~ 1) .. text:sub(at + 1)
			local log, err = tfevents.decode(broken)
			assert.is_nil(log)
			assert.are.equal("bad_event", err.code)
		end
	end)

	it("refuses a message that runs past its frame", function()
		local _, err = tfevents.decode(frame(varint(5 << 3 | 2) .. varint(1000) .. "x"))
		assert.are.equal("bad_event", err.code)
	end)

	for name, case in pairs({
		["a double"] = { 2, message(6, ("<d"):pack(0.1)), 0.1 },
		["a double in tensor_content"] = { 2, message(4, ("<d"):pack(0.1)), 0.1 },
		["a float in tensor_content"] = { 1, message(4, ("<f"):pack(0.5)), 0.5 },
		["a packed int64"] = { 9, message(10, varint(70000)), 70000 },
		["a negative int64"] = { 9, message(10, varint(-3)), -3 },
		["an int32"] = { 3, varint(7 << 3) .. varint(5), 5 },
		["several floats (a histogram)"] = { 1, message(5, ("<ff"):pack(1, 2)), nil },
		["several doubles in tensor_content"] = { 2, message(4, ("<dd"):pack(1, 2)), nil },
		["several integers"] = { 9, message(10, varint(1) .. varint(2)), nil },
		["no value"] = { 1, "", nil },
		["a complex number"] = { 8, message(4, ("<dd"):pack(1, 2)), nil },
	}) do
		it("reads a tensor of one number only: " .. name, function()
			local log = assert(tfevents.decode(event(1, tensor("t", case[1], case[2]))))
			assert.are.equal(case[3], (tfevents.last(log, "t")))
		end)
	end

	it("reads the plain event and any other form alike", function()
		local long = ("x"):rep(200)
		local log = assert(tfevents.decode(event(1 << 20, simple("a", 1)) .. event(0, simple(long, 2))
			.. frame(message(5, message(1, simple("a", 3)))) .. event(3, simple("a", 4) .. message(9, ""))))
		assert.are.same({ { step = 1 << 20, value = 1.0 }, { step = 0, value = 3.0 },
			{ step = 3, value = 4.0 } }, log.scalars.a)
		assert.are.same({ { step = 0, value = 2.0 } }, log.scalars[long])
	end)

	--- A sink that writes down what it is given.
	local function recorder()
		local got = {}
		return got, { text = function() end, time = function() end,
			scalar = function(tag, step) got[#got + 1] = tag .. step end }
	end

	local function reader_of(bytes)
		local longest = 0
		return function(offset, length)
			longest = math.max(longest, length)
			return bytes:sub(offset + 1, offset + length)
		end, function() return longest end
	end

	it("passes over an event that is longer than a piece, without holding it", function()
		local image = ("i"):rep(1 << 20)
		local bytes = event(1, simple("a", 1)) .. event(2, message(1, "image") .. message(4, image))
			.. event(3, simple("a", 3))
		local read, longest = reader_of(bytes)
		local got, sink = recorder()
		assert.are.equal(#bytes, (tfevents.scan(read, #bytes, sink)))
		assert.are.same({ "a1", "a3" }, got)
		assert.is_true(longest() <= 1 << 18)
		local torn = bytes:sub(1, 1 << 19)
		local offset, truncated = tfevents.scan(reader_of(torn), #torn, sink)
		assert.are.same({ #event(1, simple("a", 1)), true }, { offset, truncated })
	end)

	it("gives what lies before a fault to the sink", function()
		local bytes = event(1, simple("a", 1)) .. frame("\255")
		local read = reader_of(bytes)
		local got, sink = recorder()
		local offset, err = tfevents.scan(read, #bytes, sink)
		assert.is_nil(offset)
		assert.are.equal("bad_event", err.code)
		assert.are.same({ "a1" }, got)
	end)

	it("finds the next frame in the middle of a file", function()
		local first = event(1, simple("a", 1))
		local read = reader_of(first .. event(2, simple("a", 2)))
		for from = 1, #first do
			assert.are.equal(#first, tfevents.next_frame(read, from))
		end
		assert.is_nil(tfevents.next_frame(read, #first + 1))
	end)

	it("reads an empty file as an empty log", function()
		assert.are.same({ scalars = {}, texts = {}, truncated = false }, (tfevents.decode("")))
	end)

	local corpus = fake.corpus()
	if not corpus then
		pending("agrees with the corpus: no corpus here (set THHOST_CORPUS)")
		return
	end
	local json = require("th.json")
	for _, run in ipairs({ "Nov13_19-06-46_mi", "Nov13_20-08-50_mi", "Nov13_20-21-24_mi",
		"Nov14_11-03-04_mi", "Nov14_18-23-57_mi" }) do
		it("agrees with the corpus on " .. run, function()
			local dir = corpus .. "/home/stage1_tfevents_" .. run .. "/"
			local truth = assert(json.decode(fake.slurp(dir .. "expected.json")))
			for name, expected in pairs(truth.tfevents) do
				local log = assert(tfevents.decode(fake.slurp(dir .. name)))
				for tag, scalar in pairs(expected.scalars) do
					local series = log.scalars[tag]
					assert.are.equal(scalar.n, #series)
					assert.are.equal(scalar.last_step, series[#series].step)
					assert.are.equal(scalar.last_value_float32, series[#series].value)
				end
				assert.are.equal(json.value(expected.final_step), log.last_step)
				local arguments = assert(json.decode(log.texts["args/text_summary"]))
				for key, value in pairs(expected.hyperparams) do
					assert.are.equal(value, arguments[key], key)
				end
				local config = assert(json.decode(log.texts["model_config/text_summary"]))
				assert.are.equal(expected.base_model, config._name_or_path)
				assert.are.equal(expected.transformers_version, config.transformers_version)
			end
		end)
	end
end)
