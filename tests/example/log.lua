--- What the pipeline says on stdout: records of the logger, and plain lines of the wrapper.

local clock = require "clock"

local M = {}

--- A logger's info(). A message that begins with a newline leaves its prefix alone on a line:
-- that is what the pipeline does, and what a reader of its logs has to cope with.
---@param blanks? integer between the dash and the message; stage 1 has three
---@return fun(format: string, ...: any) info
function M.info(blanks)
	local gap = (" "):rep(blanks or 1)
	return function(format, ...)
		local message = select("#", ...) > 0 and format:format(...) or format
		io.stdout:write(clock.stamp(), " - INFO - __main__ -", gap, message, "\n")
	end
end

--- What `transformers` says; it goes to stderr.
---@param format string
function M.note(format, ...)
	io.stderr:write(format:format(...), "\n")
end

local RULE = ("="):rep(60)

--- The wrapper's banner: a title, then lines already laid out.
---@param title string
---@param lines string[]
function M.banner(title, lines)
	print(RULE)
	print(title)
	print(RULE)
	for _, line in ipairs(lines) do
		print(line)
	end
	print(RULE)
end

--- The wrapper's announcement of its child: the words of the command, not quoted for a shell.
---@param words string[]
function M.command(words)
	print("\nRunning command:")
	print(table.concat(words, " "))
	print("")
end

return M
