--- TensorBoard event files: TFRecord frames with protobuf events inside.
--
-- A frame is: length u64, masked CRC-32C of the length, data, masked CRC-32C of the data, all
-- little-endian. A killed writer leaves a torn last frame; what lies before it is good.
-- Read are scalars (`simple_value` and tensors of one number) and texts (string tensors).
local num = require("th.num")

local M = {}

local unpack = string.unpack
local VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5 -- protobuf wire types
-- tensorflow/core/framework/types.proto
local DT_STRING = 7
-- Element types that are numbers: how one lies in `tensor_content`, and the field of a typed value.
local NUMERIC = {
	[1] = { format = "<f", field = 5 }, [2] = { format = "<d", field = 6 },
	[3] = { format = "<i4", field = 7 }, [9] = { format = "<i8", field = 10 },
}

local T0, T1, T2, T3, T4, T5, T6, T7

-- Tk[byte] is what `byte` does to the sum when k more bytes follow it: eight lookups take eight
-- bytes at once. Made for the first sum: most who load this never read a file of events.
local function make_crc_tables()
	local tables = { [0] = {} }
	for index = 0, 255 do
		local crc = index
		for _ = 1, 8 do
			crc = (crc >> 1) ~ (0x82F63B78 & -(crc & 1)) -- the Castagnoli polynomial, reflected
		end
		tables[0][index] = crc
	end
	for after = 1, 7 do
		tables[after] = {}
		for index = 0, 255 do
			local crc = tables[after - 1][index]
			tables[after][index] = (crc >> 8) ~ tables[0][crc & 0xFF]
		end
	end
	T0, T1, T2, T3 = tables[0], tables[1], tables[2], tables[3]
	T4, T5, T6, T7 = tables[4], tables[5], tables[6], tables[7]
end

--- CRC-32C, masked as TFRecord stores it.
---@param data string
---@return integer
function M.masked_crc(data)
	if not T0 then
		make_crc_tables()
	end
	local crc, pos = 0xFFFFFFFF, 1
	while pos + 7 <= #data do
		local word = unpack("<i8", data, pos) ~ crc
		crc = T7[word & 0xFF] ~ T6[word >> 8 & 0xFF] ~ T5[word >> 16 & 0xFF]
			~ T4[word >> 24 & 0xFF] ~ T3[word >> 32 & 0xFF] ~ T2[word >> 40 & 0xFF]
			~ T1[word >> 48 & 0xFF] ~ T0[word >> 56]
		pos = pos + 8
	end
	for at = pos, #data do
		crc = (crc >> 8) ~ T0[(crc ~ data:byte(at)) & 0xFF]
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

--- The one number of a tensor's value; nil when it holds several (histograms, curves).
local function single(format, value)
	if math.type(value) == "integer" then
		return value
	elseif value and #value == format:packsize() then
		return (unpack(format, value))
	end
end

--- A packed integer: one varint and nothing after it.
local function packed_integer(value)
	if type(value) ~= "string" or value == "" then
		return value
	end
	local number, after = read_varint(value, 1)
	return after > #value and number or nil
end

local function read_tensor(data)
	local kind, text, found = nil, nil, {}
	for field, wire, value in fields(data) do
		if field == 1 and wire == VARINT then
			kind = value
		elseif field == 8 and wire == BYTES then
			text = text or value
		elseif found[field] == nil then
			found[field] = value
		end
	end
	local number = NUMERIC[kind]
	if not number then
		return nil, kind == DT_STRING and text or nil
	elseif type(found[4]) == "string" and found[4] ~= "" then
		return single(number.format, found[4])
	end
	local value = found[number.field]
	if kind == 3 or kind == 9 then
		value = packed_integer(value)
	end
	return single(number.format, value)
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

local function add_summary(sink, step, summary)
	for field, wire, value in fields(summary) do
		if field == 1 and wire == BYTES then
			local tag, number, text = read_value(value)
			if tag and number then
				sink.scalar(tag, step, number)
			elseif tag and text then
				sink.text(tag, text, step)
			end
		end
	end
end

-- An event that holds one `simple_value` under a tag of less than 128 bytes, field after field:
-- time, step, summary, value, tag. Nearly every event of a training has this form.
local PLAIN = "^\9........\16([\128-\255]*)([\0-\127])\42[\0-\127]\10[\0-\127]\10()"

--- Add an event of the form of PLAIN; false when it has another.
local function add_plain(sink, event)
	local high, low, pos = event:match(PLAIN)
	if not pos then
		return false
	end
	local size = event:byte(pos)
	if not size or size > 127 or pos + size + 5 ~= #event or event:byte(pos + size + 1) ~= 21 then
		return false
	end
	local step = high == "" and low:byte() or read_varint(high .. low, 1)
	sink.time((unpack("<d", event, 2)))
	sink.scalar(event:sub(pos + 1, pos + size), step, (unpack("<f", event, pos + size + 2)))
	return true
end

local function add_event(sink, event)
	if add_plain(sink, event) then
		return
	end
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
	if wall_time then
		sink.time(wall_time)
	end
	if summary then
		add_summary(sink, step, summary)
	end
end

-- Reading piece by piece -----------------------------------------------------------------------

local PIECE = 1 << 18 -- bytes that are held at a time; a longer event is passed over
local HEADER, TRAILER = 12, 4 -- length and its checksum; checksum of the data

---@class th.EventSink
---@field scalar fun(tag: string, step: integer, value: number) float32 comes widened
---@field text fun(tag: string, text: string, step: integer)
---@field time fun(seconds: number) the wall time of each event, UTC

--- A window onto the file: `at` is the offset of its first byte.
local function new_window(read, size)
	return { read = read, size = size, at = 0, text = "" }
end

--- `length` bytes at `offset`, or nil where the file ends before.
local function window_bytes(window, offset, length)
	local start = offset - window.at
	if start < 0 or start + length > #window.text then
		if offset + length > window.size then
			return nil
		end
		window.text = window.read(offset, math.max(PIECE, length)) or ""
		window.at, start = offset, 0
		if length > #window.text then
			return nil
		end
	end
	return window.text:sub(start + 1, start + length)
end

local function bad_sum(what, offset)
	error({ code = "bad_event",
		message = ("wrong checksum of %s at byte %d"):format(what, offset + 1) }, 0)
end

--- The event of the frame at `offset`, and where the next begins; nil at a torn end. The data is
--- nil when the event is too long to hold a scalar: an image, a graph.
local function read_frame(window, offset)
	local header = window_bytes(window, offset, HEADER)
	if not header then
		return nil
	end
	local size, size_sum = unpack("<I8I4", header)
	if M.masked_crc(header:sub(1, 8)) ~= size_sum then
		bad_sum("a length", offset)
	end
	local after = offset + HEADER + size + TRAILER
	if size < 0 or after > window.size or after < offset then
		return nil
	elseif size > PIECE then
		return after, nil
	end
	local data = window_bytes(window, offset + HEADER, size + TRAILER)
	if not data then
		return nil
	elseif M.masked_crc(data:sub(1, size)) ~= unpack("<I4", data, size + 1) then
		bad_sum("the event", offset)
	end
	return after, data:sub(1, size)
end

local function scan(window, sink, offset, limit)
	while offset < limit do
		local after, data = read_frame(window, offset)
		if not after then
			return offset, true
		elseif data then
			add_event(sink, data)
		end
		offset = after
	end
	return offset, false
end

local function protected(...)
	local ok, value, extra = pcall(...)
	if ok then
		return value, extra
	elseif type(value) == "table" and value.code then
		return nil, value
	end
	error(value, 0)
end

--- Read the events between two offsets of a file of any size into a sink. What lies before a fault
--- has been given to the sink when this returns.
---@param read fun(offset: integer, length: integer): string? as `folder:read` does
---@param size integer bytes of the file
---@param sink th.EventSink
---@param from? integer where a frame begins, default 0
---@param limit? integer no frame is begun at or after it, default `size`
---@return integer? offset where the reading ended; nil after a fault
---@return boolean|th.Error truncated the last frame is torn; or code "bad_event"
function M.scan(read, size, sink, from, limit)
	return protected(scan, new_window(read, size), sink, from or 0, limit or size)
end

--- The next frame at or after an offset in the middle of a file: the first place where the
--- checksum of a length is right.
---@param read fun(offset: integer, length: integer): string?
---@param from integer
---@return integer? offset nil when there is none in the next 256 KiB
function M.next_frame(read, from)
	local text = read(from, PIECE) or ""
	for pos = 1, #text - HEADER + 1 do
		local size, sum = unpack("<I8I4", text, pos)
		if size >= 0 and size < 1 << 40 and M.masked_crc(text:sub(pos, pos + 7)) == sum then
			return from + pos - 1
		end
	end
end

---@class th.EventLog
---@field scalars table<string, { step: integer, value: number }[]> by tag, in file order; values
---  are float32 widened (see `num.float32`)
---@field texts table<string, string> text summaries by tag
---@field last_step integer? largest step of a scalar
---@field first_time number? seconds since 1970, UTC
---@field last_time number? seconds since 1970, UTC
---@field truncated boolean the last frame is torn: the writer was killed

--- A sink that keeps all of it in `log`.
local function keep_all(log)
	return {
		scalar = function(tag, step, value)
			local series = log.scalars[tag] or {}
			series[#series + 1] = { step = step, value = value }
			log.scalars[tag] = series
			log.last_step = math.max(log.last_step or step, step)
		end,
		text = function(tag, text)
			log.texts[tag] = text
		end,
		time = function(seconds)
			log.first_time = log.first_time or seconds
			log.last_time = seconds
		end,
	}
end

--- Decode an event file that is held in memory.
---@param text string the bytes
---@return th.EventLog? log
---@return th.Error? err code "bad_event": a checksum or a message is wrong
function M.decode(text)
	local log = { scalars = {}, texts = {}, truncated = false }
	local offset, truncated = M.scan(function(offset, length)
		return text:sub(offset + 1, offset + length)
	end, #text, keep_all(log))
	if not offset then
		return nil, truncated
	end
	log.truncated = truncated
	return log
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
