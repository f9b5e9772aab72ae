--- scikit-learn's classification report: as text in any number of digits, within a log or alone,
-- and as the dict that `output_dict=True` makes, saved as JSON.
--
-- Gives accuracy and the averages. Of several reports in a file, the one whose heading speaks of
-- the test or validation data counts; else the first, but in a log, where they follow one another
-- in time, the last.
local logs = require("th.logs")
local metrics = require("th.metrics")
local num = require("th.num")
local pydict = require("th.pydict")

local M = { title = "scikit-learn" }

local HEADER = "precision%s+recall%s+f1%-score%s+support"
local COLUMNS = { "precision", "recall", "f1" }
local AVERAGES = { ["macro avg"] = "macro", ["weighted avg"] = "weighted", ["micro avg"] = "micro",
	["samples avg"] = "samples", ["avg / total"] = "weighted" }

M.NEEDLES = { "precision", "accuracy", " avg", "avg / total", "eport", "est", "rain", "alid",
	"poch", "'macro avg'" }

local function has_report_text(text)
	return text:find(HEADER) ~= nil or text:find("'macro avg': {'precision'", 1, true) ~= nil
end

local function has_report_json(text)
	return text:find('"macro avg"', 1, true) ~= nil and text:find('"f1-score"', 1, true) ~= nil
end

local function json_file(folder)
	for _, pattern in ipairs({ "*.json", "*/*.json" }) do
		for _, file in ipairs(folder:files(pattern)) do
			if has_report_json(folder:head(file.name)) or has_report_json(folder:tail(file.name)) then
				return file
			end
		end
	end
end

local function is_report_name(name)
	local lower = name:lower()
	return lower:find("report") ~= nil or lower:find("confusion") ~= nil
end

--- The text to read: one that is named a report before others, of equals the first.
local function text_file(folder)
	local chosen
	for _, file in ipairs(logs.texts(folder)) do
		if has_report_text(logs.edges(folder, file.name)) and (not chosen
			or (is_report_name(file.name) and not is_report_name(chosen.name))) then
			chosen = file
		end
	end
	return chosen
end

---@param folder th.Folder
---@return th.Recognised?
function M.recognise(folder)
	local text = text_file(folder)
	local file = text or json_file(folder)
	if not file then
		return nil
	end
	local alone = is_report_name(file.name) or file.size < 4096 and not file.name:find("%.log$")
	return { score = alone and 60 or 20,
		why = ("'%s' holds a classification report"):format(file.name) }
end

--- One row of a report: its name and its numbers.
local function row_of(line)
	local name, rest = line:match("^%s*(avg / total)%s%s+(%S.*)$")
	if not name then
		name, rest = line:match("^%s*(%S.-)%s%s+(%-?[%dn][%d.na]*%s.*)$")
	end
	local values = {}
	for text in (rest or ""):gmatch("%S+") do
		values[#values + 1] = num.any(text)
	end
	return name, values
end

--- Take a row of averages; the row "accuracy" ends with accuracy and support.
local function take_row(report, line)
	local name, values = row_of(line)
	local prefix = name and AVERAGES[name]
	if name == "accuracy" and #values >= 1 then
		report.values.accuracy = values[#values > 1 and #values - 1 or 1]
	elseif prefix and #values >= 3 then
		for index, column in ipairs(COLUMNS) do
			report.values[prefix .. "_" .. column] = values[index]
		end
	end
end

--- What the dict of a report holds: `{"0": {...}, "accuracy": 0.9, "macro avg": {...}}`.
local function values_of_dict(dict)
	local out = { accuracy = type(dict.accuracy) == "number" and dict.accuracy or nil }
	for name, prefix in pairs(AVERAGES) do
		local row = dict[name]
		if type(row) == "table" then
			for _, column in ipairs(COLUMNS) do
				local value = row[column == "f1" and "f1-score" or column]
				out[prefix .. "_" .. column] = type(value) == "number" and value or nil
			end
		end
	end
	return out
end

local function dict_report(line)
	local start = line:find("{'", 1, true) or line:find("{\"", 1, true)
	local dict = start and pydict.decode(line:sub(start))
	return type(dict) == "table" and values_of_dict(dict) or nil
end

local TESTED = { "%f[%a]test", "valid", "%f[%a]val%f[%A]", "hold.?out", "%f[%a]dev%f[%A]" }

--- What the words above a report say of its data.
local function data_of(heading)
	local lower = heading:lower()
	for _, pattern in ipairs(TESTED) do
		if lower:find(pattern) then
			return "test"
		end
	end
	return lower:find("%f[%a]train") and "train" or nil
end

---@return table[] reports { values, data, timed }
local function reports_of(iterator)
	local reports, heading, timed = {}, "", false
	for segment in iterator do
		local message, time = logs.message(segment)
		timed = timed or time ~= nil or message:lower():find("%f[%a]epoch[%s:]*%d") ~= nil
		local values = message:find("'macro avg': {", 1, true) and dict_report(message)
		if message:find(HEADER) or values then
			reports[#reports + 1] = { values = values or {}, data = data_of(heading), timed = timed }
			heading = ""
		elseif #reports > 0 and (message:find("^accuracy%s") or message:find("^%a+ avg%s")
			or message:find("^avg / total%s")) then
			take_row(reports[#reports], message)
		else
			heading = heading .. " " .. message:sub(1, 200)
			heading = heading:sub(-400)
		end
	end
	return reports
end

--- The report that counts, see above.
local function choose(reports)
	local first, tested, last
	for _, report in ipairs(reports) do
		if next(report.values) then
			first = first or report
			last = report.timed and report or last
			if report.data == "test" then
				tested = (report.timed or not tested) and report or tested
			end
		end
	end
	return tested or last or first
end

local function reading_of(folder, file, values, count)
	local sources = {}
	for name in pairs(values) do
		sources["final_metrics." .. name] = file.name
	end
	if count > 1 then
		folder:warn(("'%s' holds %d classification reports; one was read"):format(file.name, count))
	end
	return { final_metrics = values, sources = sources, checkpoints = {} }
end

local function not_a_report(file)
	return nil, { code = "no_data", path = file and file.name,
		message = file and ("the report in '%s' has no averages"):format(file.name)
			or "no classification report here" }
end

--- The table in a JSON value that is a report: one under a key that speaks of test data before the
-- others, of equals the first by name.
local function find_dict(node, depth)
	if type(node) ~= "table" or depth > 4 then
		return nil
	elseif type(node["macro avg"]) == "table" then
		return node
	end
	local chosen
	for _, key in ipairs(metrics.sorted_keys(node)) do
		local found = find_dict(node[key], depth + 1)
		if found and data_of(tostring(key)) == "test" then
			return found
		end
		chosen = chosen or found
	end
	return chosen
end

---@param folder th.Folder
---@return th.Reading?
---@return th.Error?
function M.read(folder)
	local file = text_file(folder)
	if file then
		local reports = reports_of(logs.lines(folder, file.name, table.unpack(M.NEEDLES)))
		local report = choose(reports)
		if report then
			return reading_of(folder, file, report.values, #reports)
		end
		return not_a_report(file)
	end
	file = json_file(folder)
	if not file then
		return not_a_report()
	end
	local value, err = folder:json(file.name)
	local dict = find_dict(value, 1)
	if not dict then
		return nil, err or select(2, not_a_report(file))
	end
	return reading_of(folder, file, values_of_dict(dict), 1)
end

return M
