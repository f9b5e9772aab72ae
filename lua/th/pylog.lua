--- Python's logging and tracebacks, as they lie in a captured console.
--
-- The prefix `11/13/2025 22:46:02 - INFO - __main__ - ` may begin in the middle of a segment:
-- stdout and stderr share one file, and tqdm leaves the cursor at the end of its bar.
local iso = require("th.iso")

local M = {}

local PREFIX = "()(%d%d/%d%d/%d%d%d%d %d%d:%d%d:%d%d) %- (%u+) %- (%S+) %-%s*()"

--- Literals to give to `ctx:lines` so that every record of these levels passes.
M.NEEDLES = { " - INFO - ", " - WARNING - ", " - ERROR - ", " - CRITICAL - " }

--- Literals to give to `ctx:lines` so that tracebacks and their last lines pass.
M.TRACE_NEEDLES = { "Traceback (most recent call last)", "Error", "Exception", "Interrupt", "Exit" }

---@class th.LogRecord
---@field msg string the message without prefix; leading blanks removed when there was a prefix
---@field time string? ISO 8601, naive (as printed)
---@field level string? "INFO", "WARNING", ...
---@field name string? the logger
---@field before string? what stood before the prefix in the same segment

--- Split a segment into a record. Without a prefix the whole segment is the message.
---@param segment string
---@return th.LogRecord
function M.parse(segment)
	if not segment:find(" - ", 1, true) then
		return { msg = segment }
	end
	local start, time, level, name, rest = segment:match(PREFIX)
	if not start then
		return { msg = segment }
	end
	return {
		time = iso.from_us(time), level = level, name = name, msg = segment:sub(rest),
		before = start > 1 and segment:sub(1, start - 1) or nil,
	}
end

--- Iterate over records. Text before a prefix is a record of its own and comes first.
---@param iterator th.LineIterator
---@return fun(): th.LogRecord?
function M.records(iterator)
	local pending
	return function()
		if pending then
			local record = pending
			pending = nil
			return record
		end
		local segment = iterator()
		if not segment then
			return nil
		end
		local record = M.parse(segment)
		if record.before then
			pending = record
			return { msg = record.before }
		end
		return record
	end
end

--- Feed segments in order; it answers with the error line that ends a traceback.
--
-- The last line of a traceback is the first one after the header that is not indented and reads
-- `module.SomeError: text` or is a bare exception name.
---@return fun(segment: string): string? error_text
function M.traceback_reader()
	local inside = false
	return function(segment)
		if segment:find("Traceback (most recent call last)", 1, true) then
			inside = true
			return nil
		end
		if not inside then
			return nil
		end
		local name, rest = segment:match("^([%a_][%w_.]*)(.*)$")
		local last_part = name and name:match("([^.]+)$")
		if last_part and last_part:find("^%u") and (rest == "" or rest:find("^:")) then
			inside = false
			return segment
		end
	end
end

--- The error text of the last traceback.
---@param iterator th.LineIterator
---@return string? error_text for example "IndexError: index 61 is out of bounds ..."
function M.last_error(iterator)
	local read, found = M.traceback_reader(), nil
	for segment in iterator do
		found = read(segment) or found
	end
	return found
end

--- Did somebody stop the run, rather than a fault?
---@param error_text string
---@return boolean
function M.is_interrupt(error_text)
	return error_text:find("^KeyboardInterrupt") ~= nil or error_text:find("^SystemExit") ~= nil
end

return M
