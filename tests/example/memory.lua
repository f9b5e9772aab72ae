--- How much memory a phase took: what remained of it, and how far above that it went.

local M = {}

---@class example.Meter
---@field private before integer
---@field private peak integer
local Meter = {}
Meter.__index = Meter

local function used()
	return math.floor(collectgarbage("count") * 1024)
end

--- Begin to measure.
---@return example.Meter
function M.start()
	return setmetatable({ before = used(), peak = 0 }, Meter)
end

--- Look, from time to time: the peak is the highest that was seen.
function Meter:sample()
	self.peak = math.max(self.peak, used())
end

--- Put the figures of a phase into a table, under the names of the Trainer.
---@param result table changed
---@param phase string
function Meter:finish(result, phase)
	local after = used()
	result[phase .. "_mem_cpu_alloc_delta"] = after - self.before
	result[phase .. "_mem_cpu_peaked_delta"] = math.max(self.peak - after, 0)
end

return M
