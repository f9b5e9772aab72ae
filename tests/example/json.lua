--- JSON as Python's json module writes it: sorted keys, and a bare NaN where a number is none.

local python = require "python"

local M = {}

--- Stands for null, which a Lua table cannot hold.
M.null = setmetatable({}, { __name = "null" })

local List = { __name = "list" }

--- Mark a table as a list, so that it is one even when it is empty.
---@generic T: table
---@param items T
---@return T
function M.list(items)
	return setmetatable(items, List)
end

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }
local WORDS = { nan = "NaN", inf = "Infinity", ["-inf"] = "-Infinity" }

local function quote(text)
	return '"' .. text:gsub('[%c"\\]', function(char)
		return ESCAPES[char] or ("\\u%04x"):format(char:byte())
	end) .. '"'
end

local function sorted_keys(map)
	local keys = {}
	for key in pairs(map) do
		keys[#keys + 1] = key
	end
	table.sort(keys)
	return keys
end

local encode

local function join(parts, open, close, indent, depth)
	if #parts == 0 then
		return open .. close
	elseif indent == 0 then
		return open .. table.concat(parts, ", ") .. close
	end
	local inner, outer = "\n" .. (" "):rep(indent * (depth + 1)), "\n" .. (" "):rep(indent * depth)
	return open .. inner .. table.concat(parts, "," .. inner) .. outer .. close
end

local function encode_table(value, indent, depth)
	local parts = {}
	if #value > 0 or getmetatable(value) == List then
		for i, item in ipairs(value) do
			parts[i] = encode(item, indent, depth + 1)
		end
		return join(parts, "[", "]", indent, depth)
	end
	for i, key in ipairs(sorted_keys(value)) do
		parts[i] = quote(key) .. ": " .. encode(value[key], indent, depth + 1)
	end
	return join(parts, "{", "}", indent, depth)
end

function encode(value, indent, depth)
	if value == M.null then
		return "null"
	elseif type(value) == "table" then
		return encode_table(value, indent, depth)
	elseif type(value) == "string" then
		return quote(value)
	elseif type(value) == "number" then
		local text = python.number(value)
		return WORDS[text] or text
	end
	return tostring(value)
end

--- A value as JSON text. A table with items, or marked by list(), is a list;
-- any other one is a map.
---@param value any
---@param indent? integer blanks per level; all on one line if absent
---@return string
function M.encode(value, indent)
	return encode(value, indent or 0, 0)
end

local UNESCAPES = { n = "\n", t = "\t", r = "\r", b = "\b", f = "\f" }
local LITERALS = {
	["true"] = true, ["false"] = false, null = M.null,
	NaN = 0 / 0, Infinity = math.huge, ["-Infinity"] = -math.huge,
}

local function fail(at, wanted)
	error(("expected %s at byte %d"):format(wanted, at), 0)
end

local function skip(text, at)
	return text:find("[^ \t\r\n]", at) or #text + 1
end

local function read_string(text, at)
	local from, stop = at + 1, text:find('"', at + 1, true)
	while stop and #text:sub(from, stop - 1):match("\\*$") % 2 == 1 do
		stop = text:find('"', stop + 1, true)
	end
	if not stop then
		fail(at, "a closing quote")
	end
	local raw = text:sub(from, stop - 1):gsub("\\u(%x%x%x%x)", function(hex)
		return utf8.char(tonumber(hex, 16))
	end)
	return raw:gsub("\\(.)", function(char) return UNESCAPES[char] or char end), stop + 1
end

local read

local function read_items(text, at, close, read_item)
	local result = {}
	at = skip(text, at + 1)
	while text:sub(at, at) ~= close do
		at = skip(text, read_item(result, at))
		local separator = text:sub(at, at)
		if separator == "," then
			at = skip(text, at + 1)
		elseif separator ~= close then
			fail(at, "',' or '" .. close .. "'")
		end
	end
	return result, at + 1
end

local function read_list(text, at)
	local items, stop = read_items(text, at, "]", function(result, from)
		local value, after = read(text, from)
		result[#result + 1] = value
		return after
	end)
	return M.list(items), stop
end

local function read_map(text, at)
	return read_items(text, at, "}", function(result, from)
		local key, after = read_string(text, from)
		after = skip(text, after)
		if text:sub(after, after) ~= ":" then
			fail(after, "':'")
		end
		result[key], after = read(text, after + 1)
		return after
	end)
end

local READERS = { ["{"] = read_map, ["["] = read_list, ['"'] = read_string }

function read(text, at)
	at = skip(text, at)
	local reader = READERS[text:sub(at, at)]
	if reader then
		return reader(text, at)
	end
	local word = text:match("^[%w+.-]+", at) or ""
	local value = LITERALS[word]
	if value == nil then
		value = tonumber(word)
	end
	if value == nil then
		fail(at, "a value")
	end
	return value, at + #word
end

--- Read JSON text, Python's NaN included.
---@param text string
---@return any value nil if it is not JSON
---@return string? message
function M.decode(text)
	local ok, value = pcall(read, text, 1)
	if ok then
		return value
	end
	return nil, value
end

return M
