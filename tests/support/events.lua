--- TensorBoard event files and safetensors files, built byte by byte.
local tfevents = require("th.tfevents")

local M = {}

function M.varint(value)
	local out = ""
	repeat
		local part = value & 0x7F
		value = value >> 7
		out = out .. string.char(value ~= 0 and part | 0x80 or part)
	until value == 0
	return out
end

--- A field that holds bytes: a message, a text.
function M.message(number, text)
	return M.varint(number << 3 | 2) .. M.varint(#text) .. text
end

--- A TFRecord frame with its checksums.
function M.frame(data)
	local length = ("<I8"):pack(#data)
	return length .. ("<I4"):pack(tfevents.masked_crc(length)) .. data
		.. ("<I4"):pack(tfevents.masked_crc(data))
end

--- An event with one Summary.Value.
function M.event(step, value, time)
	return M.frame(M.varint(1 << 3 | 1) .. ("<d"):pack(time or 1763115868.0) .. M.varint(2 << 3)
		.. M.varint(step) .. M.message(5, M.message(1, value)))
end

--- A Summary.Value with `simple_value`.
function M.simple(tag, value)
	return M.message(1, tag) .. M.varint(2 << 3 | 5) .. ("<f"):pack(value)
end

--- A Summary.Value with a tensor: `content` are the fields that hold its values.
function M.tensor(tag, kind, content)
	return M.message(1, tag) .. M.message(8, M.varint(1 << 3) .. M.varint(kind) .. content)
end

--- An event with one scalar, as version 1 writes it.
function M.scalar(step, tag, value, time)
	return M.event(step, M.simple(tag, value), time)
end

--- An event with one text.
function M.text(tag, text)
	return M.event(0, M.tensor(tag, 7, M.message(8, text)))
end

--- A safetensors file with a header and `data` bytes of zeros.
function M.safetensors(header, data)
	return ("<I8"):pack(#header) .. header .. ("\0"):rep(data or 16)
end

return M
