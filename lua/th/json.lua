--- A strict JSON reader that keeps integers.
--
-- lua-cjson as Debian ships it (2.1.0) makes every number a float and loses digits above 2^53, so
-- the reader is written here. What it accepts beyond RFC 8259 is what Python's json.dump writes:
-- NaN, Infinity and -Infinity. `null` is `json.null` (the same value as `cjson.null`), so that a
-- key with null differs from a key that is absent. Of duplicate keys the last one counts.
local cjson = require("cjson")

local M = {}

--- The value of JSON null: a light userdata, true in a condition; compare with `==`.
M.null = cjson.null

local byte, find, sub = string.byte, string.find, string.sub

local MAX_DEPTH = 128 -- deeper than any file of a training; keeps recursion bounded
local ESCAPES = {
	['"'] = '"', ["\\"] = "\\", ["/"] = "/",
	b = "\b", f = "\f", n = "\n", r = "\r", t = "\t",
}
-- One member of an object whose key has no escapes and whose value is a plain number: nine of ten
-- lines of a trainer_state.json. One call instead of five.
local NUMBER_MEMBER = '^[ \n\r\t]*"([^"\\\0-\31]*)"[ \n\r\t]*:[ \n\r\t]*'
	.. "(-?%d[%d.eE+-]*)[ \n\r\t]*([,}])()"
local STRING_STOP = '["\\\0-\31]'

local function fail(text, pos, message)
	local line, last = 1, 0
	for at in text:sub(1, pos - 1):gmatch("()\n") do
		line, last = line + 1, at
	end
	error({ code = "bad_json",
		message = ("%s at line %d, column %d"):format(message, line, pos - last) }, 0)
end

--- Number text to a number: an integer when it has the form of one and fits 64 bits.
local function to_number(text, digits, pos)
	if find(digits, "^-?0%d") or find(digits, "%.%D") or find(digits, "%.$") then
		fail(text, pos, "malformed number '" .. digits .. "'")
	end
	return tonumber(digits) or fail(text, pos, "malformed number '" .. digits .. "'")
end

--- The character of a `\u` escape whose four digits begin at `at`, and where the text goes on.
local function read_unicode(text, at)
	local code = tonumber(text:match("^%x%x%x%x", at) or fail(text, at, "malformed \\u escape"), 16)
	if code < 0xD800 or code > 0xDFFF then
		return utf8.char(code), at + 4
	end
	local low = tonumber(text:match("^\\u([dD][c-fC-F]%x%x)", at + 4) or "0", 16)
	if code > 0xDBFF or low == 0 then
		return "\u{FFFD}", at + 4 -- half a pair has no character; keep the result valid UTF-8
	end
	return utf8.char(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)), at + 10
end

--- Read on from the first backslash of a string that began at `start`.
local function read_escaped(text, start, stop)
	local parts = { sub(text, start, stop - 1) }
	while stop and byte(text, stop) == 92 do
		local letter = sub(text, stop + 1, stop + 1)
		local char
		if letter == "u" then
			char, start = read_unicode(text, stop + 2)
		else
			char, start = ESCAPES[letter], stop + 2
		end
		parts[#parts + 1] = char or fail(text, stop, "unknown escape in string")
		stop = find(text, STRING_STOP, start)
		parts[#parts + 1] = sub(text, start, (stop or 0) - 1)
	end
	return table.concat(parts), stop
end

--- A string whose opening quote is at `pos`; returns the value and the position after it.
local function read_string(text, pos)
	local stop, value = find(text, STRING_STOP, pos + 1), nil
	if stop and byte(text, stop) == 92 then
		value, stop = read_escaped(text, pos + 1, stop)
	end
	if not stop then
		fail(text, pos, "unterminated string")
	elseif byte(text, stop) ~= 34 then
		fail(text, stop, "control character in string")
	end
	return value or sub(text, pos + 1, stop - 1), stop + 1
end

--- A key and its colon; returns the key and where the value begins.
local function read_key(text, pos)
	pos = find(text, "[^ \n\r\t]", pos) or #text + 1
	if byte(text, pos) ~= 34 then
		fail(text, pos, "expected a key in double quotes")
	end
	local key, after = read_string(text, pos)
	local start = text:match("^[ \n\r\t]*:[ \n\r\t]*()", after)
	return key, start or fail(text, after, "expected ':' after the key")
end

--- The mark after a member: a comma or the closing bracket.
local function read_mark(text, pos, pattern, closer)
	local mark, after = text:match(pattern, pos)
	return mark or fail(text, pos, ("expected ',' or '%s'"):format(closer)), after
end

local read_value

local function read_object(text, pos, depth)
	local object = {}
	pos = find(text, "[^ \n\r\t]", pos)
	if pos and byte(text, pos) == 125 then
		return object, pos + 1
	end
	while pos do
		local _, _, name, digits, mark, after = find(text, NUMBER_MEMBER, pos)
		if name then
			object[name], pos = to_number(text, digits, pos), after
		else
			name, pos = read_key(text, pos)
			object[name], pos = read_value(text, pos, depth + 1)
			mark, pos = read_mark(text, pos, "^[ \n\r\t]*([,}])()", "}")
		end
		if mark == "}" then
			return object, pos
		end
	end
	fail(text, #text + 1, "unterminated object")
end

local function read_array(text, pos, depth)
	local array, count = {}, 0
	pos = find(text, "[^ \n\r\t]", pos)
	if pos and byte(text, pos) == 93 then
		return array, pos + 1
	end
	while pos do
		count = count + 1
		array[count], pos = read_value(text, pos, depth + 1)
		local mark
		mark, pos = read_mark(text, pos, "^[ \n\r\t]*([,%]])()", "]")
		if mark == "]" then
			return array, pos
		end
		pos = find(text, "[^ \n\r\t]", pos)
	end
	fail(text, #text + 1, "unterminated array")
end

local WORDS = {
	{ "true", true }, { "false", false }, { "null", M.null },
	{ "NaN", 0 / 0 }, { "Infinity", math.huge }, { "-Infinity", -math.huge },
}

local function read_word(text, pos)
	for _, word in ipairs(WORDS) do
		if sub(text, pos, pos + #word[1] - 1) == word[1] then
			return word[2], pos + #word[1]
		end
	end
	local digits = text:match("^-?%d[%d.eE+-]*", pos)
	if not digits then
		fail(text, pos, pos > #text and "unexpected end of text" or "unexpected character")
	end
	return to_number(text, digits, pos), pos + #digits
end

read_value = function(text, pos, depth)
	if depth > MAX_DEPTH then
		fail(text, pos, "nested deeper than " .. MAX_DEPTH)
	end
	local first = byte(text, pos)
	if first == 34 then
		return read_string(text, pos)
	elseif first == 123 then
		return read_object(text, pos + 1, depth)
	elseif first == 91 then
		return read_array(text, pos + 1, depth)
	end
	return read_word(text, pos)
end

local function read_document(text)
	local start = find(text, "[^ \n\r\t]", find(text, "^\xEF\xBB\xBF") and 4 or 1) or #text + 1
	local value, pos = read_value(text, start, 1)
	local extra = find(text, "[^ \n\r\t]", pos)
	if extra then
		fail(text, extra, "text after the end of the value")
	end
	return value
end

--- Decode a JSON document.
---@param text string
---@return any? value tables for objects and arrays (1-based); `json.null` for null
---@return th.Error? err code "bad_json"; the message names line and column
function M.decode(text)
	if type(text) ~= "string" then
		error("json.decode: expected a string, got " .. type(text), 2)
	end
	local ok, value = pcall(read_document, text)
	if ok then
		return value
	elseif type(value) == "table" and value.code then
		return nil, value
	end
	error(value, 0) -- the host's limits must not be mistaken for bad input
end

--- Decode JSON lines; blank lines are skipped. Stops at the first line that does not parse,
-- which in a log of a killed run is the last one.
---@param iterator th.LineIterator
---@return any[] values
---@return th.Error? err why it stopped early
function M.decode_lines(iterator)
	local values = {}
	for line in iterator do
		if line:find("%S") then
			local value, err = M.decode(line)
			if err then
				return values, err
			end
			values[#values + 1] = value
		end
	end
	return values
end

--- `nil` for absent and for null, anything else unchanged.
---@generic T
---@param value T?
---@return T?
function M.value(value)
	if value == M.null then
		return nil
	end
	return value
end

return M
