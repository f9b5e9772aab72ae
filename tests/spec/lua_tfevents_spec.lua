local fake = require("support.fake_ctx")
local tfevents = require("th.tfevents")

local function varint(value)
	local out = ""
	repeat
		local part = value & 0x7F
		value = value >> 7
		out = out .. string.char(value > 0 and part | 0x80 or part)
	until value == 0
	return out
end

local function message(number, text)
	return varint(number << 3 | 2) .. varint(#text) .. text
end

local function frame(data)
	local length = ("<I8"):pack(#data)
	return length .. ("<I4"):pack(tfevents.masked_crc(length)) .. data
		.. ("<I4"):pack(tfevents.masked_crc(data))
end

local function event(step, value)
	return frame(varint(1 << 3 | 1) .. ("<d"):pack(1763115868.0) .. varint(2 << 3) .. varint(step)
		.. message(5, message(1, value)))
end

local function simple(tag, value)
	return message(1, tag) .. varint(2 << 3 | 5) .. ("<f"):pack(value)
end

local function tensor(tag, kind, content)
	return message(1, tag) .. message(8, varint(1 << 3) .. varint(kind) .. content)
end

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
