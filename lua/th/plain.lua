--- What a file says, fitted into what a plugin may return: depth, number of keys, text in UTF-8.
--
-- Other people's files hold what no record can: a null as a metric, a name with a line end, texts
-- of megabytes. Here such a thing is left out and named, instead of losing all the rest with it.
local json = require("th.json")

local M = {}

local TEXT_LIMIT = 4096 -- bytes; what is longer is no setting, but a document
local BYTES = 160 * 1024

---@class th.PlainLimits
---@field depth? integer levels of tables; default 6
---@field keys? integer keys and elements in all; default 900
---@field bytes? integer of all names and texts; default 160 KiB, of which JSON makes 1 MiB at most
---@field numbers? boolean only numbers and tables of them

local function is_name(key)
	return type(key) == "string" and #key <= TEXT_LIMIT and utf8.len(key) ~= nil
		and not key:find("[\0-\31\127]")
end

--- Keys 1 to n and no others.
local function is_list(value)
	local n = 0
	for key in pairs(value) do
		n = n + 1
		if math.type(key) ~= "integer" then
			return false
		end
	end
	return n > 0 and n == #value
end

local Fitter = {}
Fitter.__index = Fitter

function Fitter:leave_out(path)
	self.left_out[#self.left_out + 1] = path
end

--- Take a name or a text into account; false when there is no room for it.
function Fitter:spend(text)
	self.bytes = self.bytes - #text
	return self.bytes >= 0
end

local function fits_scalar(self, value)
	if type(value) == "number" then
		return true
	elseif self.limits.numbers then
		return false
	elseif type(value) == "string" then
		return #value <= TEXT_LIMIT and utf8.len(value) ~= nil and not value:find("\0", 1, true)
			and self:spend(value)
	end
	return type(value) == "boolean" or value == json.null
end

function Fitter:fit(value, path, depth)
	if type(value) ~= "table" then
		if fits_scalar(self, value) then
			return value
		end
	elseif depth < self.depth then
		return self[is_list(value) and "list" or "map"](self, value, path, depth)
	end
	self:leave_out(path)
end

--- A list keeps its length or goes: an element less would shift the others.
function Fitter:list(value, path, depth)
	local out, before = {}, #self.left_out
	for index, item in ipairs(value) do
		self.keys = self.keys - 1
		out[index] = self:fit(item, path, depth + 1)
		if self.keys < 0 or out[index] == nil then
			self.left_out = table.move(self.left_out, 1, before, 1, {})
			self:leave_out(path)
			return nil
		end
	end
	return out
end

--- The keys that a record can hold, sorted; others are left out.
function Fitter:names(value, path)
	local names = {}
	for key in pairs(value) do
		if is_name(key) then
			names[#names + 1] = key
		else
			self:leave_out(path .. "[a key that is no name]")
		end
	end
	table.sort(names)
	return names
end

function Fitter:map(value, path, depth)
	local out = {}
	for _, key in ipairs(self:names(value, path)) do
		local below = path == "" and key or path .. "." .. key
		self.keys = self.keys - 1
		if self.keys < 0 or not self:spend(key) then
			self:leave_out(below)
			break
		end
		out[key] = self:fit(value[key], below, depth + 1)
	end
	return out
end

--- A copy of a map that a plugin may return, and the paths of what was left out.
---@param map table<string, any>
---@param limits? th.PlainLimits
---@return table<string, any> fitted
---@return string[] left_out sorted; empty when all of it fits
function M.fit(map, limits)
	limits = limits or {}
	local fitter = setmetatable({ limits = limits, depth = limits.depth or 6,
		keys = limits.keys or 900, bytes = limits.bytes or BYTES, left_out = {} }, Fitter)
	local fitted = fitter:map(map, "", 0)
	table.sort(fitter.left_out)
	return fitted, fitter.left_out
end

--- Text that may be shown and recorded: one line of valid UTF-8, or nil.
---@param value any
---@return string?
function M.text(value)
	if type(value) == "string" and value ~= "" and is_name(value) then
		return value
	end
end

--- The numbers of a table whose names a record can hold, tables of numbers included.
---@param map table<string, any>
---@return table<string, any> numbers
---@return string[] left_out
function M.numbers(map)
	return M.fit(map, { numbers = true })
end

--- "a, b, c and 12 more"
---@param names string[]
---@return string
function M.enumerate(names)
	local shown = table.concat(names, ", ", 1, math.min(#names, 3))
	return #names > 3 and ("%s and %d more"):format(shown, #names - 3) or shown
end

return M
