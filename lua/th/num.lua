--- Strict numbers: text becomes a number only when all of it is one.
--
-- `tonumber` takes "0x10", " 5 " and "1e5" alike; a log that says "n/a" or "12 of 30" must not
-- turn into a measurement. Every function returns `nil, reason` for text that does not fit.
local M = {}

local NONFINITE = {
	nan = 0 / 0, ["-nan"] = 0 / 0, ["+nan"] = 0 / 0,
	inf = math.huge, ["+inf"] = math.huge, ["-inf"] = -math.huge,
	infinity = math.huge, ["+infinity"] = math.huge, ["-infinity"] = -math.huge,
}
local MAGNITUDE = { [""] = 1, k = 1000, m = 1000000, g = 1000000000, b = 1000000000 }

local function refuse(text, what)
	return nil, ("expected %s, got '%s'"):format(what, tostring(text))
end

--- Take thousands separators out of "1,234,567"; any other use of a comma is not a number.
local function ungroup(text)
	if not text:find(",", 1, true) then
		return text
	end
	local head, groups = text:match("^([+-]?%d%d?%d?)([,%d]+)$")
	if not head or groups:gsub(",%d%d%d", "") ~= "" then
		return nil
	end
	return (text:gsub(",", ""))
end

--- True for a number that is neither NaN nor infinite.
---@param value any
---@return boolean
function M.is_finite(value)
	return type(value) == "number" and value == value
		and value ~= math.huge and value ~= -math.huge
end

--- A whole number: "42", "-7", "+3", "1,234". Digits beyond 64 bits are refused, not rounded.
---@param text string|integer
---@return integer? value
---@return string? reason
function M.int(text)
	if math.type(text) == "integer" then
		return text
	end
	local digits = type(text) == "string" and ungroup(text)
	if not digits or not digits:find("^[+-]?%d+$") then
		return refuse(text, "a whole number")
	end
	local value = tonumber((digits:gsub("^%+", "")))
	if math.type(value) ~= "integer" then
		return refuse(text, "a whole number of at most 64 bits")
	end
	return value
end

--- A decimal number: "0.85", "2e-05", ".5", "nan", "-Infinity". Always a float.
---@param text string|number
---@return number? value
---@return string? reason
function M.float(text)
	if type(text) == "number" then
		return text + 0.0
	end
	if type(text) ~= "string" then
		return refuse(text, "a number")
	end
	local word = NONFINITE[text:lower()]
	if word then
		return word
	end
	local digits = ungroup(text)
	if not digits or not digits:find("^[+-]?%.?%d") or digits:find("[^%d.eE+-]") then
		return refuse(text, "a number")
	end
	local value = tonumber((digits:gsub("^%+", "")))
	if not value then
		return refuse(text, "a number")
	end
	return value + 0.0
end

--- An integer when the text is one, else a float: what Python's literals mean.
---@param text string|number
---@return number? value
---@return string? reason
function M.any(text)
	if type(text) == "number" then
		return text
	end
	local value = M.int(text)
	if value then
		return value
	end
	return M.float(text)
end

--- A number with an exponent, "1e-05": YAML 1.2 has it as a number, PyYAML and `ctx:yaml` as text.
-- For files whose writer follows 1.2 (ruamel, Go); any other value comes back as it is.
---@param value any
---@return any
function M.from_yaml12(value)
	if type(value) == "string" and value:find("^[+-]?%d+%.?%d*[eE][+-]?%d+$") then
		return M.float(value) or value
	end
	return value
end

--- "85.1%" -> 0.851, shifted as decimal text so that no digit is lost to a division.
---@param text string
---@return number? fraction
---@return string? reason
function M.percent(text)
	local digits = type(text) == "string" and text:match("^([+-]?%d*%.?%d+)%s?%%$")
	if not digits then
		return refuse(text, "a percentage")
	end
	return tonumber((digits:gsub("^%+", "")) .. "e-2")
end

--- "1.5k" -> 1500, "2M" -> 2000000: decimal magnitudes as tqdm's unit_scale prints them.
---@param text string
---@return number? value
---@return string? reason
function M.human(text)
	local digits, unit = tostring(text):match("^(%d+%.?%d*)(%a?)$")
	local factor = digits and MAGNITUDE[unit:lower()]
	if not factor then
		return refuse(text, "a number with k, M or G")
	end
	local value = tonumber(digits) * factor
	return math.tointeger(value) or value
end

--- The shortest decimal that reads back as the same float32.
--
-- TensorBoard stores 2.1946 as 2.1946001052856445; the extra digits were never measured.
---@param value number a float32 widened to a double
---@return number
function M.float32(value)
	if not M.is_finite(value) then
		return value
	end
	local bits = string.pack("<f", value)
	for digits = 6, 9 do
		local short = tonumber(("%." .. digits .. "g"):format(value))
		if string.pack("<f", short) == bits then
			return short
		end
	end
	return value
end

--- Decimal places of the shortest text that reads back as the value, at least one.
local function places(value)
	for digits = 0, 16 do
		local text = ("%%.%de"):format(digits):format(value)
		if tonumber(text) == value then
			return math.max(1, digits - tonumber(text:match("e([+-]%d+)$")))
		end
	end
	return 17
end

--- Do two numbers say the same when one of them may have been rounded? 0.28 and 0.27708 do, 3 and
--- 3.4 do not: an integer is never a rounded value.
---@param a number
---@param b number
---@return boolean
function M.agrees(a, b)
	if a == b or (a ~= a and b ~= b) then
		return true
	elseif not M.is_finite(a) or not M.is_finite(b)
		or math.type(a) == "integer" or math.type(b) == "integer" then
		return false
	end
	local unit = 10.0 ^ -math.min(places(a), places(b))
	return math.abs(a - b) <= unit * 0.5000001
end

--- A float that is a whole number as an integer, anything else unchanged: 3.0 -> 3, 0.76 -> 0.76.
---@param value number?
---@return number?
function M.tidy(value)
	return value and (math.tointeger(value) or value)
end

return M
