--- CSV by RFC 4180, and what real programs make of it: CRLF, CR CR LF (Keras on Windows, twice
-- translated), blank-padded headers (old YOLO), a byte order mark, blank lines.
local M = {}

local find, match = string.find, string.match

---@class th.Csv
---@field header string[] names, blanks around them removed
---@field rows string[][] fields as text; "" for an empty one

--- A quoted field whose opening quote is at `pos`; returns it and the position after it.
local function read_quoted(text, pos)
	local parts, at = {}, pos + 1
	while true do
		local stop = text:find('"', at, true)
		if not stop then
			return nil, pos
		end
		parts[#parts + 1] = text:sub(at, stop - 1)
		if text:byte(stop + 1) ~= 34 then
			return table.concat(parts), stop + 1
		end
		parts[#parts + 1] = '"'
		at = stop + 2
	end
end

local function read_field(text, pos, separator)
	if text:byte(pos) == 34 then
		return read_quoted(text, pos)
	end
	local stop = text:find("[\r\n" .. separator .. "]", pos) or #text + 1
	return text:sub(pos, stop - 1), stop
end

--- One record from `pos`; returns the fields and the position of the next record.
local function read_record(text, pos, separator)
	local fields = {}
	while true do
		local field, stop = read_field(text, pos, separator)
		if not field then
			return nil, stop
		end
		fields[#fields + 1] = field
		if text:sub(stop, stop) ~= separator then
			local line_end = text:match("^[^\r\n]*\r*\n?()", stop)
			return fields, math.max(line_end, stop + 1)
		end
		pos = stop + 1
	end
end

local function line_of(text, pos)
	local _, count = text:sub(1, pos):gsub("\n", "")
	return count + 1
end

--- Decode CSV text. The first record is the header.
---@param text string
---@param separator? string one character, default ","
---@return th.Csv? csv
---@return th.Error? err code "bad_csv" (unclosed quote) or "no_data" (no header)
function M.decode(text, separator)
	separator = separator or ","
	local records, pos = {}, text:find("^\xEF\xBB\xBF") and 4 or 1
	while pos <= #text do
		local fields, after = read_record(text, pos, separator)
		if not fields then
			return nil, { code = "bad_csv",
				message = "quote is never closed, line " .. line_of(text, after) }
		end
		if #fields > 1 or fields[1]:find("%S") then
			records[#records + 1] = fields
		end
		pos = after
	end
	local header = table.remove(records, 1)
	if not header then
		return nil, { code = "no_data", message = "the file has no header line" }
	end
	for index, name in ipairs(header) do
		header[index] = name:match("^%s*(.-)%s*$")
	end
	return { header = header, rows = records }
end

local function split_quoted(line, separator)
	local fields = read_record(line, 1, separator)
	for index, field in ipairs(fields or {}) do
		fields[index] = field:match("^ *(.-) *$")
	end
	return fields
end

--- The fields of a record that is one line; nil when a quote is never closed.
local function split(line, separator)
	if line:find('"', 1, true) then
		return split_quoted(line, separator)
	end
	local fields, count = {}, 0
	for field in line:gmatch("[^" .. separator .. "]*") do
		count = count + 1
		fields[count] = field
	end
	return fields
end

--- Blanks around separators, as old YOLO pads its columns; a tab may be a separator itself.
local function squeeze(line, separator)
	if not line:find(" ", 1, true) or line:find('"', 1, true) then
		return line
	end
	local tight = line:gsub(" *" .. separator .. " *", separator)
	return tight:match("^ *(.-) *$")
end

--- Fit a record to the header: a separator at its end is nothing, anything else is another shape.
local function fits(fields, width)
	for index = #fields, width + 1, -1 do
		if fields[index]:find("%S") then
			return false
		end
		fields[index] = nil
	end
	return #fields == width
end

---@class th.CsvStream
---@field header string[] names, blanks around them removed
---@field columns table<string, integer> name -> column; of equal names the first
---@field misfits integer records left out so far: cut, or with another number of fields
---@field private iterator th.LineIterator
---@field private separator string
---@field private line string the header as it stands in the file
---@field private pattern string? takes a plain record apart in one call
local Stream = {}
Stream.__index = Stream

local MAX_CAPTURES = 31 -- what a Lua pattern can have, less one

--- Lines that need care: quotes, padding, a separator too many. nil when the line does not fit.
local function split_with_care(line, separator, width)
	local fields = split(squeeze(line, separator), separator)
	return fields and fits(fields, width) and fields or nil
end

--- The next record that fits the header, or nil at the end. A header that was written again by a
-- resumed run is passed over.
---@return string[]? fields "" for an empty one
function Stream:next()
	local pattern, width = self.pattern, #self.header
	for line in self.iterator do
		local fields
		if pattern and not find(line, '"', 1, true) and not find(line, " ", 1, true) then
			fields = { match(line, pattern) }
		end
		if not fields or not fields[1] then
			fields = split_with_care(line, self.separator, width)
		end
		if not fields then
			self.misfits = self.misfits + (line:find("%S") and 1 or 0)
		elseif line ~= self.line then
			return fields
		end
	end
end

local function pattern_for(separator, width)
	if width <= MAX_CAPTURES then
		local field = "([^" .. separator .. "]*)"
		return "^" .. (field .. separator):rep(width - 1) .. field .. "$"
	end
end

--- Read CSV of any size record by record. A record is one line, which is how every training writes
-- its table: a quoted line end would count as a misfit.
---@param iterator th.LineIterator
---@param separator? string one character, default ","
---@return th.CsvStream? stream
---@return th.Error? err code "no_data" (no header) or "bad_csv"
function M.stream(iterator, separator)
	separator = separator or ","
	local line = iterator()
	if not line then
		return nil, { code = "no_data", message = "the file has no header line" }
	end
	line = line:gsub("^\xEF\xBB\xBF", "")
	local header = split(squeeze(line, separator), separator)
	if not header then
		return nil, { code = "bad_csv", message = "a quote is never closed in the header line" }
	end
	local columns = {}
	for index, name in ipairs(header) do
		header[index] = name:match("^%s*(.-)%s*$")
		columns[header[index]] = columns[header[index]] or index
	end
	while #header > 1 and header[#header] == "" do
		header[#header] = nil -- a separator ends the line
	end
	return setmetatable({ header = header, columns = columns, misfits = 0, iterator = iterator,
		separator = separator, line = line, pattern = pattern_for(separator, #header) }, Stream)
end

--- The rows as tables by column name, numbers converted where all of the text is one.
---@param csv th.Csv
---@return table<string, string|number>[]
function M.records(csv)
	local num, out = require("th.num"), {}
	for index, row in ipairs(csv.rows) do
		local record = {}
		for column, name in ipairs(csv.header) do
			local text = (row[column] or ""):match("^%s*(.-)%s*$")
			if text ~= "" then
				record[name] = num.any(text) or text
			end
		end
		out[index] = record
	end
	return out
end

return M
