--- Failures that end a training the way an exception ends a Python program.

local M = {}

---@class example.Failure
---@field kind string the exception's class
---@field message string

--- Raise a failure.
---@param kind string
---@param message string
function M.raise(kind, message)
	error(setmetatable({ kind = kind, message = message }, M), 0)
end

--- Raise when the flags ask for a failure before this step.
---@param options table
---@param step integer
function M.check(options, step)
	if options.fail_at_step == step then
		M.raise("RuntimeError", ("asked to fail at step %d"):format(step))
	end
end

--- Any error value as a failure. lua5.4 turns SIGINT into the error 'interrupted!'.
---@param value any
---@return example.Failure
function M.from(value)
	if getmetatable(value) == M then
		return value
	elseif type(value) == "string" and value:find("interrupted!$") then
		return { kind = "KeyboardInterrupt", message = "" }
	end
	return { kind = "RuntimeError", message = tostring(value) }
end

--- The text that Python would print.
---@param reason example.Failure
---@param place string traceback of Lua
---@return string
function M.traceback(reason, place)
	local lines = { "Traceback (most recent call last):" }
	for file, number in place:gmatch("([^%s:]+%.lua):(%d+): in ") do
		table.insert(lines, 2, ('  File "%s", line %s, in <module>'):format(file, number))
	end
	local message = reason.message ~= "" and ": " .. reason.message or ""
	lines[#lines + 1] = reason.kind .. message .. "\n"
	return table.concat(lines, "\n")
end

return M
