--- Python literals as `print` and `repr` write them: dicts, lists, tuples, strings, numbers,
-- True/False/None, bare nan/inf, enums `<SchedulerType.LINEAR: 'linear'>`, and calls `Name(a=1)`.
--
-- None becomes `json.null`, so that it differs from an absent key. What is not a literal
-- (`<object at 0x...>`, `device(type='cuda')`) is kept as its text.
local json = require("th.json")
local num = require("th.num")

local M = {}

local MAX_DEPTH = 32
local WORDS = {
	True = true, False = false, None = json.null,
	nan = 0 / 0, inf = math.huge, ["-inf"] = -math.huge, ["-nan"] = 0 / 0,
}
local ESCAPES = { n = "\n", t = "\t", r = "\r", ["\\"] = "\\", ["'"] = "'", ['"'] = '"' }
local CLOSERS = { ["{"] = "}", ["["] = "]", ["("] = ")" }

local function fail(message, pos)
	error({ code = "bad_literal", message = ("%s at byte %d"):format(message, pos) }, 0)
end

local function skip_blanks(text, pos)
	return text:find("%S", pos) or #text + 1
end

local function read_string(text, pos)
	local quote, parts, at = text:sub(pos, pos), {}, pos + 1
	while true do
		local stop = text:find("[\\" .. quote .. "]", at) or fail("unterminated string", pos)
		parts[#parts + 1] = text:sub(at, stop - 1)
		if text:sub(stop, stop) == quote then
			return table.concat(parts), stop + 1
		end
		local hex = text:match("^x(%x%x)", stop + 1)
		local letter = text:sub(stop + 1, stop + 1)
		parts[#parts + 1] = hex and utf8.char(tonumber(hex, 16)) or ESCAPES[letter] or "\\" .. letter
		at = stop + (hex and 4 or 2)
	end
end

local read_value

--- Members between brackets: `[a, b]`, `(a,)`, `{k: v}`, `{a, b}`, `Name(k=v)`.
local function read_members(text, pos, closer, depth)
	local out, count = {}, 0
	pos = skip_blanks(text, pos)
	while text:sub(pos, pos) ~= closer do
		local key, value
		local name, after = text:match("^([%a_][%w_]*)%s*=%s*()", pos)
		if name and closer == ")" then
			key, pos = name, after
		end
		if key and text:find("^[,)]", pos) then
			value = "" -- `mp_parameters=,`
		else
			value, pos = read_value(text, pos, depth + 1)
		end
		pos = skip_blanks(text, pos)
		if closer == "}" and text:sub(pos, pos) == ":" then
			if value ~= value then
				fail("nan cannot be a key", pos)
			end
			key = value
			value, pos = read_value(text, skip_blanks(text, pos + 1), depth + 1)
			pos = skip_blanks(text, pos)
		end
		count = key == nil and count + 1 or count
		out[key == nil and count or key] = value
		if text:sub(pos, pos) == "," then
			pos = skip_blanks(text, pos + 1)
		elseif text:sub(pos, pos) ~= closer then
			fail(("expected ',' or '%s'"):format(closer), pos)
		end
	end
	return out, pos + 1
end

--- `<Enum.NAME: 'value'>` is its value, any other `<...>` its text.
local function read_angle(text, pos)
	local value, stop = text:match("^<[%w_.]+: ['\"]?([^'\">]*)['\"]?>()", pos)
	if not value then
		value, stop = text:match("^(<[^>]*>)()", pos)
	end
	return value or fail("unterminated '<'", pos), stop
end

--- A number, a word such as None, an enum member `SchedulerType.LINEAR`, or a call.
local function read_word(text, pos, depth)
	local word, stop = text:match("^([%w_.+/\\~@-]+)()", pos) -- new reprs do not quote paths
	if not word then
		fail("unexpected character", pos)
	end
	if WORDS[word] ~= nil then
		return WORDS[word], stop
	end
	local value = num.any(word)
	if value then
		return value, stop
	end
	if text:sub(stop, stop) == "(" then
		local _, after = read_members(text, stop + 1, ")", depth)
		return text:sub(pos, after - 1), after
	end
	local member = word:match("^%u%w*%.(%u[%u%d_]*)$")
	return member and member:lower() or word, stop
end

read_value = function(text, pos, depth)
	if depth > MAX_DEPTH then
		fail("nested deeper than " .. MAX_DEPTH, pos)
	end
	local first = text:sub(pos, pos)
	if first == "'" or first == '"' then
		return read_string(text, pos)
	elseif CLOSERS[first] then
		return read_members(text, pos + 1, CLOSERS[first], depth)
	elseif first == "<" then
		return read_angle(text, pos)
	end
	return read_word(text, pos, depth)
end

local function protected(reader, ...)
	local ok, value, stop = pcall(reader, ...)
	if ok then
		return value, stop
	elseif type(value) == "table" and value.code then
		return nil, value
	end
	error(value, 0)
end

--- Decode one literal; text after it is ignored (a progress bar may follow).
---@param text string
---@return any? value
---@return th.Error|integer err the error, or the position after the value
function M.decode(text)
	return protected(read_value, text, skip_blanks(text, 1), 1)
end

--- The dict in a console line: `{'loss': 2.7, 'epoch': 0.15}`, also after a bar's remains.
---@param segment string
---@return table? dict nil when the line holds none
function M.from_line(segment)
	local start = segment:find("{'", 1, true)
	if not start then
		return nil
	end
	local value = M.decode(segment:sub(start))
	return type(value) == "table" and value or nil
end

--- The keyword arguments of a call's repr: `TrainingArguments(output_dir='x', fp16=True)`.
---@param text string
---@param name string the callee
---@return table<string, any>? kwargs
---@return th.Error? err "absent" when there is no such call in the text
function M.call(text, name)
	local _, stop = text:find(name .. "(", 1, true)
	if not stop then
		return nil, { code = "absent", message = "no " .. name .. "(...) in the text" }
	end
	local value, err = protected(read_members, text, stop + 1, ")", 1)
	if value then
		return value
	end
	return nil, err
end

return M
