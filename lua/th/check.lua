--- Validators that compose. Each is a function `(value, path)` that returns `true`, or `nil` and
-- a list of issues `{ path, code, message, level }`: the form that a plugin's `validate` returns.
--
--     local entry = check.fields({
--       steps = check.integer({ min = 1 }),
--       metrics = check.fields({ f1 = check.optional(check.fraction) }),
--     })
--     function M.validate(_, value) return entry(value, "entry") end
local json = require("th.json")

local M = {}

---@alias th.Validator fun(value: any, path: string): true?, th.Issue[]?

local function issue(path, code, message, level)
	return nil, { { path = path, code = code, message = message, level = level or "error" } }
end

local function describe(value)
	if type(value) == "string" then
		return ("'%s'"):format(value)
	elseif type(value) == "table" then
		return "a table"
	end
	return tostring(value)
end

--- A number within limits. NaN passes only without limits: the host lists it as nonfinite.
---@param limits? { min: number?, max: number? } inclusive
---@return th.Validator
function M.number(limits)
	limits = limits or {}
	return function(value, path)
		if type(value) ~= "number" then
			return issue(path, "type", "expected a number, got " .. describe(value))
		elseif value ~= value and next(limits) then
			return issue(path, "range", "nan is not within limits")
		elseif limits.min and value < limits.min then
			return issue(path, "range", ("%s is below %s"):format(value, limits.min))
		elseif limits.max and value > limits.max then
			return issue(path, "range", ("%s is above %s"):format(value, limits.max))
		end
		return true
	end
end

--- A number that is a whole one.
---@param limits? { min: integer?, max: integer? } inclusive
---@return th.Validator
function M.integer(limits)
	local range = M.number(limits)
	return function(value, path)
		if math.type(value) ~= "integer" then
			return issue(path, "type", "expected a whole number, got " .. describe(value))
		end
		return range(value, path)
	end
end

--- A fraction 0..1. The message names the usual mistake: a percentage.
---@type th.Validator
function M.fraction(value, path)
	local ok, issues = M.number({ min = 0, max = 1 })(value, path)
	if not ok and type(value) == "number" and value > 1 and value <= 100 then
		issues[1].message = ("%s is not a fraction; is it a percentage?"):format(value)
	end
	return ok, issues
end

--- A string, not empty, and matching a Lua pattern when one is given.
---@param pattern? string
---@return th.Validator
function M.string(pattern)
	return function(value, path)
		if type(value) ~= "string" or value == "" then
			return issue(path, "type", "expected a text, got " .. describe(value))
		elseif pattern and not value:find(pattern) then
			return issue(path, "pattern", ("%s does not match '%s'"):format(describe(value), pattern))
		end
		return true
	end
end

--- One of a list of values.
---@param choices any[]
---@return th.Validator
function M.one_of(choices)
	return function(value, path)
		local names = {}
		for index, choice in ipairs(choices) do
			if value == choice then
				return true
			end
			names[index] = tostring(choice)
		end
		return issue(path, "choice",
			("%s is none of: %s"):format(describe(value), table.concat(names, ", ")))
	end
end

--- Absent or null is fine, anything else goes to `validator`.
---@param validator th.Validator
---@return th.Validator
function M.optional(validator)
	return function(value, path)
		if value == nil or value == json.null then
			return true
		end
		return validator(value, path)
	end
end

local function run(validators, arguments)
	local all = {}
	for index, validator in ipairs(validators) do
		local ok, issues = validator(table.unpack(arguments[index], 1, 2))
		if not ok then
			table.move(issues, 1, #issues, #all + 1, all)
		end
	end
	if #all > 0 then
		return nil, all
	end
	return true
end

--- A table whose named members satisfy their validators; other members are not looked at.
---@param members table<string, th.Validator>
---@return th.Validator
function M.fields(members)
	local names = {}
	for name in pairs(members) do
		names[#names + 1] = name
	end
	table.sort(names)
	return function(value, path)
		if type(value) ~= "table" then
			return issue(path, "type", "expected a table, got " .. describe(value))
		end
		local validators, arguments = {}, {}
		for index, name in ipairs(names) do
			validators[index] = members[name]
			arguments[index] = { value[name], path .. "." .. name }
		end
		return run(validators, arguments)
	end
end

--- Every member of a map satisfies the validator.
---@param validator th.Validator
---@return th.Validator
function M.each(validator)
	return function(value, path)
		if type(value) ~= "table" then
			return issue(path, "type", "expected a table, got " .. describe(value))
		end
		local names = {}
		for name in pairs(value) do
			names[#names + 1] = name
		end
		table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
		local validators, arguments = {}, {}
		for index, name in ipairs(names) do
			validators[index] = validator
			arguments[index] = { value[name], path .. "." .. tostring(name) }
		end
		return run(validators, arguments)
	end
end

--- All validators must be content with the same value; their issues add up.
---@param ... th.Validator
---@return th.Validator
function M.all(...)
	local validators = { ... }
	return function(value, path)
		local arguments = {}
		for index = 1, #validators do
			arguments[index] = { value, path }
		end
		return run(validators, arguments)
	end
end

--- The same validator, but its issues are warnings: the entry is still written.
---@param validator th.Validator
---@return th.Validator
function M.warning(validator)
	return function(value, path)
		local ok, issues = validator(value, path)
		for _, found in ipairs(issues or {}) do
			found.level = "warning"
		end
		return ok, issues
	end
end

--- A condition in words: `check.that(function(e) return e.steps > 0 end, "zero", "no step ran")`.
---@param condition fun(value: any): any
---@param code string
---@param message string
---@return th.Validator
function M.that(condition, code, message)
	return function(value, path)
		if condition(value) then
			return true
		end
		return issue(path, code, message)
	end
end

return M
