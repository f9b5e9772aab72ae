--- TensorBoard event files: TFRecord frames with protobuf events inside.
--
-- A frame is: length u64, masked CRC-32C of the length, data, masked CRC-32C of the data, all
-- little-endian. A killed writer leaves a torn last frame; what lies before it is good.
-- Read are scalars (`simple_value` and float tensors) and texts (string tensors).
local num = require("th.num")

local M = {}

local unpack = string.unpack
local VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5 -- protobuf wire types
local DT_FLOAT, DT_STRING = 1, 7 -- tensorflow/core/framework/types.proto

local CRC_TABLE = {}
for index = 0, 255 do
	local crc = index
	for _ = 1, 8 do
		crc = (crc >> 1) ~ (0x82F63B78 & -(crc & 1)) -- the Castagnoli polynomial, reflected
	end
	CRC_TABLE[index] = crc
end

--- CRC-32C, masked as TFRecord stores it.
---@param data string
---@return integer
function M.masked_crc(data)
	local crc = 0xFFFFFFFF
	for pos = 1, #data do
		crc = (crc >> 8) ~ CRC_TABLE[(crc ~ data:byte(pos)) & 0xFF]
	end
	crc = crc ~ 0xFFFFFFFF
	return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
end

local function read_varint(data, pos)
	local value, shift = 0, 0
	while shift < 64 do
		local part = data:byte(pos)
		if not part then
			break
		end
		value, pos = value | (part & 0x7F) << shift, pos + 1
		if part < 0x80 then
			return value, pos
		end
		shift = shift + 7
	end
	error({ code = "bad_event", message = "malformed varint in an event" }, 0)
end

local function read_field(data, pos, wire)
	if wire == VARINT then
		return read_varint(data, pos)
	elseif wire == FIXED64 then
		return data:sub(pos, pos + 7), pos + 8
	elseif wire == FIXED32 then
		return data:sub(pos, pos + 3), pos + 4
	elseif wire == BYTES then
		local size, start = read_varint(data, pos)
		return data:sub(start, start + size - 1), start + size
	end
	error({ code = "bad_event", message = "unknown wire type " .. wire }, 0)
end

--- Iterate over the fields of a message: number, wire type, value.
local function fields(data)
	local pos = 1
	return function()
		if pos > #data then
			return nil
		end
		local key, value
		key, pos = read_varint(data, pos)
		value, pos = read_field(data, pos, key & 7)
		if pos > #data + 1 or pos < 1 then
			error({ code = "bad_event", message = "a field runs past the end of its event" }, 0)
		end
		return key >> 3, key & 7, value
	end
end

local function read_tensor(data)
	local kind, text, number
	for field, wire, value in fields(data) do
		if field == 1 and wire == VARINT then
			kind = value
		elseif field == 8 and wire == BYTES then
			text = text or value
		elseif (field == 4 or field == 5) and (wire == BYTES or wire == FIXED32) and #value >= 4 then
			number = unpack("<f", value)
		end
	end
	return kind == DT_FLOAT and number or nil, kind == DT_STRING and text or nil
end

--- Summary.Value: a tag with a number or a text.
local function read_value(data)
	local tag, number, text
	for field, wire, value in fields(data) do
		if field == 1 and wire == BYTES then
			tag = value
		elseif field == 2 and wire == FIXED32 then
			number = unpack("<f", value)
		elseif field == 8 and wire == BYTES then
			number, text = read_tensor(value)
		end
	end
	return tag, number, text
end

local function add_summary(log, step, summary)
	for field, wire, value in fields(summary) do
		if field == 1 and wire == BYTES then
			local tag, number, text = read_value(value)
			if tag and number then
				local series = log.scalars[tag] or {}
				series[#series + 1] = { step = step, value = number }
				log.scalars[tag] = series
				log.last_step = math.max(log.last_step or step, step)
			elseif tag and text then
				log.texts[tag] = text
			end
		end
	end
end

local function add_event(log, event)
	local wall_time, step, summary = nil, 0, nil
	for field, wire, value in fields(event) do
		if field == 1 and wire == FIXED64 then
			wall_time = unpack("<d", value)
		elseif field == 2 and wire == VARINT then
			step = value
		elseif field == 5 and wire == BYTES then
			summary = value
		end
	end
	log.first_time = log.first_time or wall_time
	log.last_time = wall_time or log.last_time
	if summary then
		add_summary(log, step, summary)
	end
end

--- One frame at `pos`; nil at a torn end.
local function read_frame(text, pos)
	if pos + 11 > #text then
		return nil
	end
	local size, size_crc = unpack("<I8I4", text, pos)
	if M.masked_crc(text:sub(pos, pos + 7)) ~= size_crc then
		error({ code = "bad_event", message = "wrong checksum of a length at byte " .. pos }, 0)
	end
	local stop = pos + 12 + size
	if size < 0 or stop + 3 > #text then
		return nil
	end
	local data = text:sub(pos + 12, stop - 1)
	if M.masked_crc(data) ~= unpack("<I4", text, stop) then
		error({ code = "bad_event", message = "wrong checksum of the event at byte " .. pos }, 0)
	end
	return data, stop + 4
end

local function read_log(text)
	local log = { scalars = {}, texts = {}, truncated = false }
	local pos = 1
	while pos <= #text do
		local data, after = read_frame(text, pos)
		if not data then
			log.truncated = true
			break
		end
		add_event(log, data)
		pos = after
	end
	return log
end

---@class th.EventLog
---@field scalars table<string, { step: integer, value: number }[]> by tag, in file order; values
---  are float32 widened (see `num.float32`)
---@field texts table<string, string> text summaries by tag
---@field last_step integer? largest step of a scalar
---@field first_time number? seconds since 1970, UTC
---@field last_time number? seconds since 1970, UTC
---@field truncated boolean the last frame is torn: the writer was killed

--- Decode an event file.
---@param text string the bytes
---@return th.EventLog? log
---@return th.Error? err code "bad_event": a checksum or a message is wrong
function M.decode(text)
	local ok, log = pcall(read_log, text)
	if ok then
		return log
	elseif type(log) == "table" and log.code then
		return nil, log
	end
	error(log, 0)
end

--- The last value of a scalar, as the shortest decimal of its float32.
---@param log th.EventLog
---@param tag string
---@return number? value
---@return integer? step
function M.last(log, tag)
	local series = log.scalars[tag]
	if series then
		return num.float32(series[#series].value), series[#series].step
	end
end

return M
