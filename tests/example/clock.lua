--- Time. Plain Lua knows whole seconds and the processor's time; the sum of the latter and of
-- what was slept is close to the wall clock for a program that only computes and sleeps.

local M = {}

local slept = 0.0

---@return number # seconds since the start
function M.now()
	return os.clock() + slept
end

--- Wait. A busy loop would take the processor from the very program that is being tested, so
-- sleep(1) does it, cut off from our streams: it must not hold them open when we are killed.
---@param milliseconds integer
function M.sleep(milliseconds)
	if milliseconds > 0 then
		local seconds = milliseconds / 1000
		io.popen(("exec sleep %.3f </dev/null >/dev/null 2>&1"):format(seconds)):close()
		slept = slept + seconds
	end
end

---@return string # now, as Python's logging writes it
function M.stamp()
	return os.date("%m/%d/%Y %H:%M:%S") --[[@as string]]
end

return M
