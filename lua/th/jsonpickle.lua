--- What jsonpickle writes: Python objects as JSON, with their class under "py/...".
--
-- `plain` turns those into plain values whose meaning is exact: tuples, sets, ordered dicts, paths,
-- numpy's scalars and arrays in each of their three forms. Everything else stays as it stands.
local num = require("th.num")

local M = {}

local MAX_DEPTH = 32
local MAX_ITEMS = 1 << 16 -- of an array: more is data, not a result

-- Attributes are the object's whole value.
local HOLDERS = { ["argparse.Namespace"] = true, ["types.SimpleNamespace"] = true,
	["sacred.config.custom_containers.ReadOnlyDict"] = true }

local DICTS = { ["collections.OrderedDict"] = true, ["collections.defaultdict"] = true }

-- numpy's type codes and string.unpack's, without the byte order.
local FORMATS = { f8 = "d", f4 = "f", i8 = "i8", i4 = "i4", i2 = "i2", i1 = "i1",
	u8 = "I8", u4 = "I4", u2 = "I2", u1 = "I1", b1 = "I1" }

local BASE64 = {}
for code in ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"):gmatch(".") do
	BASE64[#BASE64 + 1], BASE64[code] = code, #BASE64
end

--- The bytes of base64 text; nil when it is none.
---@param text string
---@return string?
function M.base64(text)
	local digits = text:gsub("%s+", ""):gsub("=+$", "")
	if digits:find("[^%w+/]") or #digits % 4 == 1 then
		return nil
	end
	local bytes = digits:gsub("..?.?.?", function(group)
		local bits = 0
		for index = 1, 4 do
			bits = bits << 6 | (BASE64[group:sub(index, index)] or 0)
		end
		return string.pack(">I3", bits):sub(1, #group - 1)
	end)
	return bytes
end

local function member(value, key)
	if type(value) == "table" then
		return value[key]
	end
end

local function tuple(value)
	local list = member(value, "py/tuple")
	return type(list) == "table" and list or nil
end

--- The callable of a `py/reduce` and its arguments.
local function reduced(value)
	local parts = member(value, "py/reduce")
	local callee = member(member(parts, 1), "py/function") or member(member(parts, 1), "py/type")
	return callee, tuple(member(parts, 2)), parts
end

-- numpy ----------------------------------------------------------------------------------------

--- `dtype('f8')` as string.unpack has it: "<d", and whether it is a boolean.
local function format_of(dtype)
	local callee, arguments, parts = reduced(dtype)
	local code = callee == "numpy.dtype" and member(arguments, 1)
	local order = member(tuple(member(parts, 3)), 2)
	local format = type(code) == "string" and FORMATS[code]
	if not format then
		return nil
	end
	return (order == ">" and ">" or "<") .. format, code == "b1"
end

local function bytes_of(value)
	local text = member(value, "py/b64")
	return type(text) == "string" and M.base64(text) or nil
end

local function unpack_all(bytes, format, is_bool)
	local size, values = string.packsize(format), {}
	if #bytes % size ~= 0 or #bytes // size > MAX_ITEMS then
		return nil
	end
	for index = 1, #bytes // size do
		local value = string.unpack(format, bytes, (index - 1) * size + 1)
		if is_bool then
			value = value ~= 0
		end
		values[index] = value
	end
	return values
end

--- A flat list as nested ones of that shape, rows first; () is the value itself.
local function shaped(values, shape)
	for axis = #shape, 1, -1 do
		local length, rows = shape[axis], {}
		for start = 1, #values, length do
			rows[#rows + 1] = table.move(values, start, start + length - 1, 1, {})
		end
		values = rows
	end
	return values[1]
end

local function product(shape)
	local total = 1
	for _, length in ipairs(shape) do
		total = total * (math.tointeger(length) or 0)
	end
	return total
end

--- `numpy.core.multiarray.scalar(dtype, bytes)`.
local function scalar_of(arguments)
	local format, is_bool = format_of(member(arguments, 1))
	local bytes = format and bytes_of(member(arguments, 2))
	local values = bytes and unpack_all(bytes, format, is_bool)
	if values and #values == 1 then
		return values[1]
	end
end

--- `_reconstruct(...)` with the state (version, shape, dtype, fortran, bytes).
local function array_of(parts)
	local state = tuple(member(parts, 3))
	local shape, format, is_bool = tuple(member(state, 2)), format_of(member(state, 3))
	local bytes = format and bytes_of(member(state, 5))
	local values = shape and bytes and (member(state, 4) == false or #shape < 2)
		and unpack_all(bytes, format, is_bool)
	if not values or #values ~= product(shape) or #values == 0 then
		return nil
	end
	return shaped(values, shape)
end

--- The forms of sacred's own handlers: `values` of an array, `value` of a scalar.
local function handled_numpy(value)
	if type(value.values) == "table" or type(value.values) == "number" then
		return value.values
	end
	local kind = type(value.value)
	if kind == "number" or kind == "boolean" or kind == "string" then
		return value.value
	end
end

--- Is this an array or a scalar of numpy, in any form?
---@param value any
---@return boolean
function M.is_numpy(value)
	local name, callee = member(value, "py/object"), reduced(value)
	return type(name) == "string" and name:find("^numpy%.") ~= nil
		or type(callee) == "string" and callee:find("^numpy%.") ~= nil
end

-- Objects --------------------------------------------------------------------------------------

local plain

local function list_of(list, depth)
	local out = {}
	for index, item in ipairs(list) do
		out[index] = plain(item, depth + 1)
	end
	return out
end

--- A dict that was written as a list of its pairs.
local function dict_of(pairs_list, depth)
	local out = {}
	for _, pair in ipairs(type(pairs_list) == "table" and pairs_list or {}) do
		local key, item = member(tuple(pair), 1), member(tuple(pair), 2)
		if type(key) ~= "string" then
			return nil
		end
		out[key] = plain(item, depth + 1)
	end
	return out
end

local function path_of(arguments)
	for _, part in ipairs(arguments) do
		if type(part) ~= "string" then
			return nil
		end
	end
	local joined = table.concat(arguments, "/"):gsub("//+", "/")
	return joined
end

--- What `py/reduce` makes, where it is known.
local function rebuilt(value, depth)
	local callee, arguments, parts = reduced(value)
	if type(callee) ~= "string" or not arguments then
		return nil
	elseif callee:find("^numpy%..*multiarray%.scalar$") then
		return scalar_of(arguments)
	elseif callee:find("^numpy%..*multiarray%._reconstruct$") then
		return array_of(parts)
	elseif DICTS[callee] then
		return dict_of(tuple(member(parts, 5)), depth)
	elseif callee:find("^pathlib%.") then
		return path_of(arguments)
	end
end

local function members_of(value, depth)
	local out = {}
	for key, item in pairs(value) do
		if key ~= "py/object" and not (key == "default_factory" and type(item) == "table") then
			out[key] = plain(item, depth + 1)
		end
	end
	return out
end

local function object_of(value, depth)
	local name = value["py/object"]
	if type(value["py/tuple"]) == "table" or type(value["py/set"]) == "table" then
		return list_of(value["py/tuple"] or value["py/set"], depth)
	elseif value["py/reduce"] then
		return rebuilt(value, depth)
	elseif type(name) == "string" and name:find("^numpy%.") then
		return handled_numpy(value)
	elseif HOLDERS[name] or DICTS[name] then
		return members_of(value, depth)
	end
end

plain = function(value, depth)
	if type(value) ~= "table" or depth > MAX_DEPTH then
		return value
	end
	local known = object_of(value, depth)
	if known ~= nil then
		return known
	elseif value["py/object"] or value["py/reduce"] then
		return value
	end
	local out = {}
	for key, item in pairs(value) do
		out[key] = plain(item, depth + 1)
	end
	return out
end

--- The value with what is known about it said plainly. The given one is not changed.
---@param value any as `ctx:json` gives it
---@return any
function M.plain(value)
	return plain(value, 1)
end

--- The number that a value is, jsonpickle's spelling of one included; nil when it is none.
---@param value any
---@return number?
function M.number(value)
	local found = M.plain(value)
	if type(found) == "string" and M.is_numpy(value) then
		found = num.float(found)
	end
	return type(found) == "number" and found or nil
end

return M
