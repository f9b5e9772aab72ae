--- How a line and a candidate for its parent look to a linear model: which class meets which,
-- whether the candidate is the nearest of its class, and how far it is.

local data = require "data"

local M = {}

local CHILDREN = #data.LABELS
local PARENTS = #data.LABELS + 1 -- the last one is the root
local CELLS = CHILDREN * PARENTS

M.DIMENSIONS = 2 * CELLS + CHILDREN + 1

local function class_of(lines, candidate)
	return candidate == 0 and PARENTS or lines[candidate].class
end

local function is_nearest(lines, child, candidate)
	for i = candidate + 1, child - 1 do
		if lines[i].class == lines[candidate].class then
			return false
		end
	end
	return true
end

--- The row of one pair.
---@param lines example.Seen[]
---@param child integer
---@param candidate integer 0 for the root
---@return example.Row
function M.row(lines, child, candidate)
	local class = lines[child].class
	local cell = (class - 1) * PARENTS + class_of(lines, candidate)
	local row = {
		index = { cell, 2 * CELLS + class, M.DIMENSIONS },
		value = { 1.0, math.log(child - candidate), 1.0 },
	}
	if candidate > 0 and is_nearest(lines, child, candidate) then
		row.index[4], row.value[4] = CELLS + cell, 1.0
	end
	return row
end

return M
