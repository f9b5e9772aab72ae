--- Keras: the table of CSVLogger, and the `history` of model.fit() as people save it.
--
-- CSVLogger puts the epoch first and the other names in order after it; it may append run after
-- run to one file. A history saved through pandas has an index without a name, or no epoch at all.
-- Every `val_x` stands beside its `x`: that tells these files from other tables.
local metrics = require("th.metrics")
local num = require("th.num")
local pydict = require("th.pydict")
local series = require("th.series")

local M = { title = "Keras" }

local TABLES = { "*.csv", "*.tsv", "*.log", "*/*.csv", "*/*.log" }
local HISTORIES = { "*history*.json", "*History*.json", "*/*history*.json", "*/*History*.json" }
local PICKLES = { "*istory*.pkl", "*istory*.pickle", "*istory*.npy", "*istory*.p", "*HistoryDict",
	"*istory_dict" }
local MODELS = { "keras", "h5", "hdf5" }

-- Set by the optimizer, not measured.
local SETTINGS = { lr = true, learning_rate = true }

-- Recognising ----------------------------------------------------------------------------------

--- Are these the names of a Keras history? Each validation beside its training, and no word of
-- other frameworks.
local function is_history(names)
	for name in pairs(names) do
		local trained = name:match("^val_(.+)$")
		if (trained and not names[trained]) or name:find("^train") or name:find("/", 1, true) then
			return false
		end
	end
	return true
end

local function split(line, separator)
	local names, order = {}, {}
	for field in (line .. separator):gmatch("([^" .. separator .. "]*)" .. separator) do
		local name = field:match('^%s*"?(.-)"?%s*$')
		names[name] = true
		order[#order + 1] = name
	end
	return names, order
end

--- Is the header the one that CSVLogger writes: the epoch, then names in order?
local function is_sorted(order)
	for index = 3, #order do
		if order[index] < order[index - 1] then
			return false
		end
	end
	return order[1] == "epoch"
end

local function is_validated(names)
	for name in pairs(names) do
		if name:find("^val_") then
			return true
		end
	end
	return false
end

--- The separator of a table that may be Keras', and how sure that is. "loss" alone is in many
-- tables: without a validation the order and the first epoch must be CSVLogger's.
local function table_of(folder, name)
	local line = folder:head(name):gsub("^\xEF\xBB\xBF", ""):match("^[^\r\n]*")
	for _, separator in ipairs({ ",", ";", "\t" }) do
		local names, order = split(line, separator)
		if #order > 1 and names.loss and is_history(names) then
			local usual = is_sorted(order) and folder:head(name):find("[\r\n]+%s*0%" .. separator)
			local validated = is_validated(names)
			if usual or validated then
				return separator, usual and validated and 70 or 40
			end
		end
	end
end

local function find_table(folder)
	local best
	for place, pattern in ipairs(TABLES) do
		for _, file in ipairs(folder:files(pattern)) do
			local separator, score = table_of(folder, file.name)
			if separator and (not best or score > best.score) then
				best = { name = file.name, separator = separator, score = score, place = place }
			end
		end
	end
	return best
end

local function find_any(folder, patterns)
	for _, pattern in ipairs(patterns) do
		local found = folder:files(pattern)[1]
		if found then
			return found.name
		end
	end
end

--- May the text be a history? Its first bytes show a name of Keras' before a list, a dict, or in a
-- list of records a number; and none of other frameworks. What it is, reading tells.
local function is_like_history(head)
	local value = head:find("^[\xEF\xBB\xBF%s]*%[%s*{") and "%s*:" or "%s*:%s*[%[{]"
	for name in head:gmatch("[\"']([%w_]+)\\?[\"']" .. value) do
		if name:find("^train") then
			return false
		elseif name == "loss" or name:find("^val_") then
			return true
		end
	end
	return false
end

local function find_history(folder)
	for _, pattern in ipairs(HISTORIES) do
		for _, file in ipairs(folder:files(pattern)) do
			if is_like_history(folder:head(file.name)) then
				return file.name
			end
		end
	end
end

---@param folder th.Folder
---@return th.Recognised?
function M.recognise(folder)
	local history, found = find_history(folder), find_table(folder)
	if found and (found.score == 70 or not history) then
		return { score = found.score, why = found.name .. " has the columns of CSVLogger" }
	elseif history then
		return { score = 70, why = history .. " holds a Keras history" }
	end
	local pickle = find_any(folder, PICKLES)
	return pickle and { score = 20, why = pickle .. " is named as a pickled history" } or nil
end

-- Reading --------------------------------------------------------------------------------------

local function goal(name)
	return name:find("^val_") and metrics.goal(name) or nil
end

--- val_loss, or where there is none the first validation.
local function best_name(names)
	local first
	for _, name in ipairs(names) do
		if name == "val_loss" then
			return name
		end
		first = first or (name:find("^val_") and name) or nil
	end
	return first
end

local function fill(reading, values, from)
	for name, value in pairs(values) do
		if name ~= "epoch" and name ~= "" and type(value) == "number" then
			local part = SETTINGS[name] and "train" or "final_metrics"
			reading[part][name] = value
			reading.sources[part .. "." .. name] = from .. ": " .. name
		end
	end
end

--- How many epochs ran. Keras counts from 0; a table that begins with 1 was written by hand.
local function epochs_of(rows)
	if rows.at then
		return num.tidy(rows.first == 1 and rows.at or rows.at + 1)
	end
	return rows.rows
end

local function new_reading(name, epochs, best)
	local reading = { final_metrics = {}, train = {}, sources = { epochs = name .. ": rows" },
		epochs = { final = epochs }, best = best }
	if best then
		reading.sources.best = ("derived: %s of %s in %s"):format(best.mode, best.metric, name)
	end
	return reading
end

local function is_row_of_none(name, series_rows)
	if series_rows > 0 then
		return nil
	end
	return { code = "no_data", path = name, message = ("'%s' has a header and no row"):format(name) }
end

local function read_table(folder, found)
	local sheet, err = series.read(folder, found.name, { separator = found.separator,
		index = { "epoch", "" }, goal = goal })
	err = err or is_row_of_none(found.name, sheet.series.rows)
	if err then
		return nil, err
	end
	local rows, metric = sheet.series, best_name(sheet.header)
	local best = rows:best_epoch(sheet.columns[metric], metric)
	if rows.runs > 1 then
		folder:warn(("%s holds %d runs one after another; the last counts"):format(found.name,
			rows.runs))
	end
	local reading = new_reading(found.name, epochs_of(rows), best)
	fill(reading, sheet.values, found.name)
	return reading
end

--- pandas' to_json writes { "0": 0.5, "1": 0.4 }; others write lists, or numbers as text.
local function to_list(value)
	if type(value) ~= "table" then
		return nil
	end
	local list, count = {}, #value
	for key in pairs(value) do
		count = math.max(count, type(key) == "string" and (num.int(key) or -1) + 1 or 0)
	end
	if count > 1000000 then
		return nil
	end
	for index = 1, count do
		local item = value[index]
		if item == nil then
			item = value[tostring(index - 1)]
		end
		list[index] = num.any(item) or 0 / 0
	end
	return #list > 0 and list or nil
end

--- A list of records, one per epoch, as columns.
local function columns_of(records)
	local columns = {}
	for index, record in ipairs(records) do
		for name, value in pairs(type(record) == "table" and record or {}) do
			columns[name] = columns[name] or {}
			columns[name][index] = value
		end
	end
	return columns
end

--- The lists in a decoded history, wherever it was put: the dict itself, or under "history".
local function lists_of(value)
	value = type(value) == "string" and pydict.decode(value) or value
	if type(value) ~= "table" then
		return nil
	end
	if type(value.history) == "table" then
		value = value.history
	end
	if #value > 0 then
		value = columns_of(value)
	end
	local lists, names = {}, {}
	for name, item in pairs(value) do
		if type(name) == "string" then
			lists[name], names[name] = to_list(item), type(item) == "table" or nil
		end
	end
	return is_history(names) and (names.loss or is_validated(names)) and lists or nil
end

local function longest(lists)
	local length = 0
	for _, list in pairs(lists) do
		length = math.max(length, #list)
	end
	return length
end

local function best_of_list(name, list)
	local mode, best, where = metrics.goal(name), nil, nil
	for index, value in ipairs(list or {}) do
		if metrics.better(value, best, mode) then
			best, where = value, index - 1
		end
	end
	return best and { metric = name, value = best, epoch = where, mode = mode, declared = false }
end

--- The epochs that were asked for, where the whole History object was saved.
local function planned_in(value)
	local params = type(value) == "table" and value.params
	return type(params) == "table" and num.int(params.epochs) or nil
end

local function read_history(folder, name)
	local problem = folder:text_error(name)
	if problem then
		return nil, problem
	end
	local value, err = folder:json(name)
	local lists = lists_of(value)
	if not lists then
		return nil, { code = err and err.code or "not_a_training_record", path = name,
			message = ("'%s': %s"):format(name, err and err.message or "no Keras history") }
	end
	local metric = best_name(metrics.sorted_keys(lists))
	local reading = new_reading(name, longest(lists), metric and best_of_list(metric, lists[metric]))
	reading.epochs.planned = planned_in(value)
	local last = {}
	for key, list in pairs(lists) do
		last[key] = list[#list]
	end
	fill(reading, last, name)
	return reading
end

local function add_checkpoints(folder, reading)
	local best, last
	for _, extension in ipairs(MODELS) do
		for _, file in ipairs(folder:files("**/*." .. extension)) do
			local base = file.name:match("[^/]+$"):lower()
			best = base:find("best") and file.name or best
			last = (base:find("final") or base:find("last")) and file.name or last
		end
	end
	if best or last then
		reading.checkpoints = { best = best, last = last }
	end
end

local function read_any(folder)
	local history, found = find_history(folder), find_table(folder)
	if found and (found.score == 70 or not history) then
		return read_table(folder, found)
	elseif history then
		return read_history(folder, history)
	end
	local pickle = find_any(folder, PICKLES)
	if pickle then
		return nil, { code = "pickle", path = pickle,
			message = ("'%s' is a Python pickle, which runs code when it is loaded"):format(pickle),
			hint = "save the history as JSON: json.dump(history.history, file, default=float)" }
	end
	return nil, { code = "not_a_training_record", message = "no table and no history of Keras" }
end

---@param folder th.Folder
---@return th.Reading?
---@return th.Error?
function M.read(folder)
	local reading, err = read_any(folder)
	if reading then
		add_checkpoints(folder, reading)
	end
	return reading, err
end

return M
