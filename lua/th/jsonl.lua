--- JSON lines of any size: one object a line, as detectron2, OpenMMLab and MAE log their steps.
--
-- A line that is no object is left out and counted: a run that was killed leaves half a line, and
-- the next one writes on behind it.
local json = require("th.json")

local M = {}

local find, match = string.find, string.match

---@class th.JsonLines
---@field bad integer lines left out so far
---@field private iterator th.LineIterator
local Lines = {}
Lines.__index = Lines

---@param iterator th.LineIterator
---@return th.JsonLines
function M.of(iterator)
	return setmetatable({ iterator = iterator, bad = 0 }, Lines)
end

--- The object in a line, or nil; NaN and Infinity are numbers.
---@param line string
---@return table<string, any>?
function M.object(line)
	if not line:find("^%s*{") then
		return nil
	end
	local value = json.decode(line)
	return type(value) == "table" and value or nil
end

--- The next object, or nil at the end.
---@return table<string, any>? object
---@return string? line
function Lines:next()
	for line in self.iterator do
		local object = M.object(line)
		if object then
			return object, line
		end
		self.bad = self.bad + (line:find("%S") and 1 or 0)
	end
end

--- A number in a line, without decoding the rest of it: a long log is mostly lines of which only
-- the step is wanted.
---@param line string
---@param key string
---@return number?
function M.number(line, key)
	local _, stop = find(line, '"' .. key .. '"', 1, true)
	local digits = stop and match(line, "^%s*:%s*(-?%d[%d.eE+-]*)", stop + 1)
	return digits and tonumber(digits)
end

--- The first object of a file, from its head alone; what is longer than the head is none.
---@param folder th.Folder
---@param name string
---@return table<string, any>?
function M.first(folder, name)
	local line = folder:head(name):match("^[\xEF\xBB\xBF%s]*({[^\n]*})%s*\n")
		or folder:head(name):match("^[\xEF\xBB\xBF%s]*({[^\n]*})%s*$")
	return line and M.object(line)
end

return M
