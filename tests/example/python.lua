--- Text as Python writes it: the readers of a training's output expect exactly that.

local M = {}

--- The shortest digits that read back as the same number, and the decimal exponent.
local function shortest(x)
	for precision = 14, 16 do
		local text = ("%." .. precision .. "e"):format(x)
		if tonumber(text) == x then
			local digits, exponent = text:gsub("%.", "", 1):match("^(%d-)0*e([-+]%d+)$")
			return digits == "" and "0" or digits, math.tointeger(tonumber(exponent))
		end
	end
	error("a number that does not read back: " .. x)
end

--- Digits with the point at the given place, as in repr(): 0.00012 but 1.2e-05.
local function layout(digits, exponent)
	if exponent < -4 or exponent >= 16 then
		local tail = #digits > 1 and "." .. digits:sub(2) or ""
		return ("%s%se%+03d"):format(digits:sub(1, 1), tail, exponent)
	end
	if exponent < 0 then
		return "0." .. ("0"):rep(-exponent - 1) .. digits
	end
	digits = digits .. ("0"):rep(exponent + 2 - #digits)
	return digits:sub(1, exponent + 1) .. "." .. digits:sub(exponent + 2)
end

--- A number as repr() gives it.
---@param x number
---@return string
function M.number(x)
	if math.type(x) == "integer" then
		return tostring(x)
	elseif x ~= x then
		return "nan"
	elseif x == math.huge or x == -math.huge then
		return x > 0 and "inf" or "-inf"
	end
	local digits, exponent = shortest(math.abs(x))
	return (x < 0 and "-" or "") .. layout(digits, exponent)
end

--- A value as repr() gives it.
---@param value string|number|boolean|nil
---@return string
function M.repr(value)
	if value == nil then
		return "None"
	elseif type(value) == "boolean" then
		return value and "True" or "False"
	elseif type(value) == "number" then
		return M.number(value)
	end
	return "'" .. value:gsub("[\\']", "\\%0") .. "'"
end

---@param values any[]
---@return string
function M.list(values)
	local parts = {}
	for i, value in ipairs(values) do
		parts[i] = M.repr(value)
	end
	return "[" .. table.concat(parts, ", ") .. "]"
end

--- A dict that keeps its order, from a list of { key, value }.
---@param pairs_in_order table[]
---@return string
function M.dict(pairs_in_order)
	local parts = {}
	for i, pair in ipairs(pairs_in_order) do
		parts[i] = M.repr(pair[1]) .. ": " .. M.repr(pair[2])
	end
	return "{" .. table.concat(parts, ", ") .. "}"
end

--- round(x, digits); what is not finite stays as it is.
---@param x number
---@param digits integer
---@return number
function M.round(x, digits)
	return x - x == 0 and tonumber(("%." .. digits .. "f"):format(x)) + 0.0 or x
end

--- "%.Nf" as Python has it: C writes "-nan" for some of what Python calls nan.
---@param x number
---@param digits integer
---@return string
function M.fixed(x, digits)
	return x - x == 0 and ("%." .. digits .. "f"):format(x) or M.number(x + 0.0)
end

---@param x number a fraction
---@return string # with one decimal
function M.percent(x)
	return M.fixed(x * 100, 1) .. "%"
end

--- An integer with a comma at every third digit.
---@param n integer
---@return string
function M.thousands(n)
	return (tostring(n):reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

return M
