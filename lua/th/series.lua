--- Rows that a training appends to a file, one by one: what the last run in them came to.
--
-- Only the last values and the improvements are kept, so that a file may be of any size.
--
--     local series = require("th.series").new({ val_loss = "min" })
--     for row in rows do
--       series:add(row, row.epoch)
--     end
--     series.last.val_loss, series:best("val_loss")
--
-- Where the index (epoch, iteration) goes back to the start, a new run begins and what was before
-- is forgotten. Where it goes back to somewhere in between, the run was resumed from there: what
-- it had measured beyond that point is done again, and no longer counts for the best.
local metrics = require("th.metrics")
local num = require("th.num")

local M = {}

local MAX_IMPROVEMENTS = 4096 -- a loss that falls in every row of a long file must not fill memory

---@class th.SeriesOptions
---@field slack? number how far the index may go back without a meaning; default 0
---@field sparse? boolean one index may have several rows
---@field passes? fun(row: table): boolean a row that goes back and is none of the training's
---@field note? fun(row: table): any what to keep of a row that is the best so far

---@class th.Improvement
---@field value number
---@field at number? index of its row
---@field note any

---@class th.Series
---@field last table<any, any> the last value of each key that is not ""
---@field runs integer runs so far, 1 with the first row
---@field rows integer of the last run
---@field first number? index of the last run's first row
---@field at number? index of the last row
---@field resumed_at number? index at which the last run was taken up again
---@field private goals table<any, "max"|"min">
---@field private found table<any, th.Improvement[]>
---@field private options th.SeriesOptions
local Series = {}
Series.__index = Series

---@param goals table<any, "max"|"min"> the keys whose best is wanted
---@param options? th.SeriesOptions
---@return th.Series
function M.new(goals, options)
	return setmetatable({ last = {}, runs = 0, rows = 0, goals = goals, found = {},
		options = options or {} }, Series)
end

local function begin(self, at)
	self.last, self.found, self.first, self.resumed_at = {}, {}, at, nil
	self.runs, self.rows = self.runs + 1, 0
end

--- Forget the improvements from `at` on.
local function resume(self, at)
	self.resumed_at = at
	for _, list in pairs(self.found) do
		while #list > 0 and list[#list].at and list[#list].at >= at do
			list[#list] = nil
		end
	end
end

local function goes_back(self, at)
	local back = self.at and at and self.at - at
	if not back or back < 0 then
		return false
	elseif back == 0 then
		return not self.options.sparse
	end
	return at <= self.first or back > (self.options.slack or 0)
end

--- Place the row among the others; false when its index is not the training's.
local function place(self, row, at)
	if self.runs == 0 then
		begin(self, at)
	elseif goes_back(self, at) then
		if self.options.passes and self.options.passes(row) then
			return false
		elseif at <= self.first then
			begin(self, at)
		else
			resume(self, at)
		end
	end
	self.first = self.first or at
	self.at = at or self.at
	return true
end

local function improve(self, key, list, value, row)
	if #list >= MAX_IMPROVEMENTS then
		local half = #list // 2
		table.move(list, half + 1, #list, 1)
		for index = #list, #list - half + 1, -1 do
			list[index] = nil
		end
	end
	self.found[key] = list
	list[#list + 1] = { value = value, at = self.at,
		note = self.options.note and self.options.note(row) }
end

local NO_IMPROVEMENT = {}

--- Compare a value with the best so far. `tonumber` takes more than a number of a log can be, so
-- what it took is looked at strictly, but only when it would be the best.
local function judge(self, key, value, row)
	local list = self.found[key] or NO_IMPROVEMENT
	local best = list[#list]
	local number = tonumber(value) or num.any(value)
	if number and metrics.better(number, best and best.value, self.goals[key]) then
		number = num.any(value)
		if number then
			improve(self, key, best and list or {}, number, row)
		end
	end
end

--- Take the next row.
---@param row table<any, any> numbers, or their text as a CSV has it; "" is no value
---@param at number? its index
---@return boolean placed false when the row is none of the training's
function Series:add(row, at)
	local placed = place(self, row, at)
	self.rows = self.rows + (placed and 1 or 0)
	local last = self.last
	for key, value in next, row do
		if value ~= "" then
			last[key] = value
		end
	end
	for key in next, self.goals do
		local value = row[key]
		if value and value ~= "" then
			judge(self, key, value, row)
		end
	end
	return placed
end

--- The best value of the last run; of equals the first.
---@param key any one of the goals' keys
---@return th.Improvement? best nil when there was no number but NaN
function Series:best(key)
	local list = self.found[key]
	return list and list[#list]
end

--- As th.Best, with the index as `epoch`.
---@param key any
---@param name? string the metric's name; default: the key
---@return th.Best?
function Series:best_epoch(key, name)
	local best = key and self:best(key)
	return best and { metric = name or key, value = best.value, epoch = best.at,
		mode = self.goals[key], declared = false }
end

-- A table in a file ----------------------------------------------------------------------------

---@class th.SeriesTable
---@field series th.Series keys are columns
---@field header string[]
---@field columns table<string, integer>
---@field values table<string, any> the last values by name: numbers where the text is one
---@field misfits integer
---@field counter number? the last value of the column `counter` in a row that has an index

---@class th.SeriesTableOptions : th.SeriesOptions
---@field separator? string
---@field index string[] names of the column that counts; the first that is there, else rows from 0
---@field goal fun(name: string): "max"|"min"|nil of a column whose best is wanted
---@field test? fun(names: string[]): boolean is a row with values in these columns no training's?
---@field counter? string a column that counts beside the index, only where that is filled
---@field extend? fun(row: string[], columns: table<string, integer>): number? one column more

local function index_of(columns, names)
	for _, name in ipairs(names) do
		if columns[name] then
			return columns[name]
		end
	end
end

local function goals_of(header, goal)
	local goals = {}
	for column, name in ipairs(header) do
		goals[column] = goal(name)
	end
	return goals
end

local function values_of(header, last)
	local values = {}
	for column, name in ipairs(header) do
		local text = last[column]
		if text and name ~= "" and values[name] == nil then
			values[name] = num.any(text) or text
		end
	end
	return values
end

local function filled(header)
	return function(row)
		local names = {}
		for column, name in ipairs(header) do
			names[#names + 1] = row[column] ~= "" and name or nil
		end
		return names
	end
end

local function options_for(stream, wanted)
	local names_in = filled(stream.header)
	return { slack = wanted.slack, sparse = wanted.sparse, note = wanted.note and function(row)
		return wanted.note(row, stream.columns)
	end, passes = wanted.test and function(row)
		return wanted.test(names_in(row))
	end }
end

--- Feed all records; returns the text of the last counter.
local function add_rows(stream, series, wanted)
	local index, extend = index_of(stream.columns, wanted.index), wanted.extend
	local counter, extra = stream.columns[wanted.counter], #stream.header + 1
	local ordinal, counted = 0, nil
	for row in stream.next, stream do
		local at = ordinal
		if index then
			at = tonumber(row[index]) or num.any(row[index])
		end
		row[extra] = extend and extend(row, stream.columns)
		if series:add(row, at) and at and counter and row[counter] ~= "" then
			counted = row[counter]
		end
		ordinal = ordinal + 1
	end
	return counted
end

--- Read a table of a training, of any size, from its CSV.
---@param folder th.Folder
---@param name string
---@param wanted th.SeriesTableOptions
---@return th.SeriesTable? table
---@return th.Error? err names the file
function M.read(folder, name, wanted)
	local problem = folder:text_error(name)
	if problem then
		return nil, problem
	end
	local stream, err = require("th.csv").stream(folder:lines(name), wanted.separator)
	if not stream then
		err.path, err.message = folder.prefix .. name, ("'%s': %s"):format(name, err.message)
		return nil, err
	end
	local goals = goals_of(stream.header, wanted.goal)
	if wanted.extend then
		goals[#stream.header + 1] = "max"
	end
	local series = M.new(goals, options_for(stream, wanted))
	local counted = add_rows(stream, series, wanted)
	if stream.misfits > 0 then
		folder:warn(("%s: %d lines do not fit the header and were left out"):format(
			folder.prefix .. name, stream.misfits))
	end
	return { series = series, header = stream.header, columns = stream.columns,
		values = values_of(stream.header, series.last), misfits = stream.misfits,
		counter = num.any(counted or "") }
end

return M
