--- PyTorch Lightning: the CSVLogger's metrics.csv, hparams.yaml, and the names of checkpoints.
--
-- metrics.csv is sparse: training and validation of one step stand in rows of their own, and the
-- rows of LearningRateMonitor have a step but no epoch. Epochs and steps count from 0. In old
-- versions the rows of single validation batches count those batches as `step`, and have no epoch.
local hparams = require("th.hparams")
local json = require("th.json")
local metrics = require("th.metrics")
local num = require("th.num")
local runs_of = require("th.runs")
local series = require("th.series")

local M = { title = "PyTorch Lightning" }

-- Where the logger puts a run, seen from the folder that was given.
local PLACES = { "", "version_*/", "*/version_*/", "*/*/version_*/" }

-- Columns that say where a row stands or how it was trained, not how good the model is.
local INDEX = { epoch = true, step = true, [""] = true, created_at = true }

local function is_lr(name)
	return name:find("^lr%-") ~= nil or name == "lr" or name == "learning_rate"
end

-- Recognising ----------------------------------------------------------------------------------

--- Does the CSV's header have what CSVLogger always writes?
local function is_metrics(folder, name)
	local names = {}
	for field in (folder:head(name):match("^[^\r\n]*")):gmatch("[^,]+") do
		names[field:match("^%s*(.-)%s*$")] = true
	end
	return names.step and (names.epoch or next(names, (next(names))) ~= nil)
end

local function dir_of(name)
	return name:match("^(.*)/[^/]*$") or "."
end

local function add_run(runs, seen, dir)
	if not seen[dir] then
		seen[dir] = true
		runs[#runs + 1] = dir
	end
end

--- The folders that hold a run each, in natural order, and whether one has metrics.
local function runs_in(folder)
	local runs, seen, has_metrics = {}, {}, false
	for _, place in ipairs(PLACES) do
		for _, file in ipairs(folder:files(place .. "*")) do
			local base = file.name:match("[^/]+$")
			local is_table = base == "metrics.csv" and is_metrics(folder, file.name)
			if is_table or base == "hparams.yaml" then
				add_run(runs, seen, dir_of(file.name))
				has_metrics = has_metrics or is_table
			end
		end
	end
	return runs, has_metrics
end

--- "epoch=4-step=25.ckpt", "epoch=9-val_loss=0.32-v1.ckpt", "_ckpt_epoch_4.ckpt" of old.
local function checkpoint_of(name)
	local text = name:match("([^/]+)%.ckpt$")
	local epoch = text and (text:match("epoch=(%d+)") or text:match("ckpt_epoch_(%d+)"))
	if not epoch then
		return nil
	end
	local found = { name = name, epoch = num.int(epoch), step = num.int(text:match("step=(%d+)")) }
	for key, value in text:gsub("%-v%d+$", ""):gmatch("([%a_/][%w_/.]*)=(-?[%d.]+)") do
		if key ~= "epoch" and key ~= "step" then
			found.metric, found.value = key, num.any((value:gsub("%.$", "")))
		end
	end
	return found
end

---@param folder th.Folder
---@return th.Recognised?
function M.recognise(folder)
	local runs, has_metrics = runs_in(folder)
	if #runs == 0 then
		return nil
	end
	local several = #runs > 1 and runs or nil
	local version = runs[1]:find("version_%d+$") ~= nil
	if has_metrics then
		local sure = version or folder:has((runs[1] == "." and "" or runs[1] .. "/") .. "hparams.yaml")
		return { score = sure and 90 or 70, runs = several or (runs[1] ~= "." and runs) or nil,
			why = ("%s/metrics.csv has the columns of CSVLogger"):format(runs[1]) }
	end
	return { score = version and 70 or 40, runs = several or (runs[1] ~= "." and runs) or nil,
		why = ("%s/hparams.yaml, as Lightning's loggers write it"):format(runs[1]) }
end

-- Hyperparameters ------------------------------------------------------------------------------

--- Top keys of a YAML text whose value holds a Python object, or bytes: not a setting that can be
-- kept. The other keys are as PyYAML would read them.
local function python_keys(text)
	local found, key = {}, nil
	for line in text:gmatch("[^\r\n]+") do
		key = line:match("^([%w_][^:]*):") or key
		if key and (line:find("!!python/", 1, true) or line:find("!!binary", 1, true)) then
			found[key] = true
		end
	end
	return found
end

--- The items of a dict that was stored as an object: `!!python/object/new:...` with `dictitems`.
local function dict_items(value)
	local items = type(value) == "table" and value.dictitems
	return type(items) == "table" and items or value
end

local function load_hparams(folder, name)
	local text = folder:read(name)
	local value, err = folder:yaml(name)
	value = dict_items(value)
	if err or (value ~= json.null and type(value) ~= "table") then
		folder:warn(("%s: %s"):format(folder.prefix .. name, err and err.message or "no mapping"))
		return nil
	elseif value == json.null then
		return {}
	end
	local lost = {}
	for key in pairs(python_keys(text or "")) do
		if value[key] ~= nil then
			value[key], lost[#lost + 1] = nil, key
		end
	end
	if #lost > 0 then
		table.sort(lost)
		folder:warn(("%s: Python objects are left out: %s"):format(folder.prefix .. name,
			table.concat(lost, ", ")))
	end
	return value
end

--- LightningCLI keeps its whole configuration, and with it the plan.
local function load_config(folder)
	local config = folder:has("config.yaml") and folder:yaml("config.yaml")
	return type(config) == "table" and type(config.trainer) == "table" and config or nil
end

-- Under which names modules keep what they started from and what they were trained on.
local BASE = { "pretrained_model_name_or_path", "model_name_or_path", "pretrained_model_name" }
local DATASET = { "dataset_name", "dataset", "data_dir", "data_path", "data_root" }

local function first_text(values, names)
	for _, name in ipairs(names) do
		if type(values[name]) == "string" and values[name] ~= "" then
			return values[name], name
		end
	end
end

--- Fields that a hyperparameter of a usual name tells.
local function add_origin(reading, raw, from)
	for field, names in pairs({ base_model = BASE, dataset = DATASET }) do
		local value, name = first_text(raw, names)
		reading[field] = value
		reading.sources[field] = value and ("%s: %s"):format(from, name)
	end
end

local function add_hyperparams(folder, reading, at)
	local raw = folder:has("hparams.yaml") and load_hparams(folder, "hparams.yaml") or nil
	local config = load_config(folder)
	if config then
		raw = hparams.merge(hparams.flat(config), raw)
		reading.planned = { steps = num.int(config.trainer.max_steps),
			epochs = num.int(config.trainer.max_epochs) }
	end
	reading.raw_hyperparams = raw
	reading.hyperparams = raw and hparams.standard_of_nested(raw)
	if raw then
		local from = at .. (config and "config.yaml" or "hparams.yaml")
		reading.sources.hyperparams = from
		add_origin(reading, raw, from)
	end
end

-- Metrics --------------------------------------------------------------------------------------

--- The column whose best counts: the first that begins with "val". Of `x_step` and `x_epoch` the
-- epoch's, for a step is one batch.
local function best_column(sheet)
	for column, name in ipairs(sheet.header) do
		if name:lower():find("^avg_val") or name:lower():find("^val") then
			local whole = name:match("^(.*)_step$")
			return whole and sheet.columns[whole .. "_epoch"] or column
		end
	end
end

local function add_best(reading, sheet, at)
	local column = best_column(sheet)
	reading.best = sheet.series:best_epoch(column, sheet.header[column])
	if reading.best then
		reading.best.step = num.any(sheet.series:best(column).note or "")
		reading.sources.best = ("derived: %s of %s in %smetrics.csv"):format(reading.best.mode,
			reading.best.metric, at)
	end
end

local function only_test(names)
	local tested = false
	for _, name in ipairs(names) do
		tested = tested or name:lower():find("^test") ~= nil
		if not INDEX[name] and not name:lower():find("^test") then
			return false
		end
	end
	return tested
end

local function progress(final, planned)
	final = num.tidy(final)
	planned = planned and planned > 0 and planned or nil
	return (final or planned) and { final = final, planned = planned, zero_based = true } or nil
end

local function add_values(reading, sheet, at)
	for name, value in pairs(sheet.values) do
		if is_lr(name) and type(value) == "number" then
			reading.train[name] = value
		elseif not INDEX[name] and type(value) == "number" then
			reading.final_metrics[name] = value
			reading.sources["final_metrics." .. name] = ("%smetrics.csv: %s"):format(at, name)
		end
	end
end

local WANTED = {
	index = { "epoch", "step" }, sparse = true, test = only_test,
	goal = function(name)
		return name:lower():find("val") and metrics.goal(name) or nil
	end,
	note = function(row, columns)
		return row[columns.step]
	end,
	counter = "step",
}

local function add_metrics(folder, reading, at)
	local sheet, err = series.read(folder, "metrics.csv", WANTED)
	if not sheet then
		return err
	elseif not sheet.columns.step then
		return { code = "not_a_training_record", path = folder.prefix .. "metrics.csv",
			message = "metrics.csv has no column 'step': not Lightning's" }
	end
	local planned = reading.planned or {}
	reading.steps = progress(sheet.counter or sheet.values.step, planned.steps)
	reading.epochs = progress(sheet.series.at and sheet.columns.epoch and sheet.series.at,
		planned.epochs)
	reading.sources.steps = at .. "metrics.csv: step"
	reading.sources.epochs = at .. "metrics.csv: epoch"
	add_values(reading, sheet, at)
	add_best(reading, sheet, at)
	if sheet.series.runs > 1 then
		folder:warn(("%smetrics.csv holds %d fits one after another; the last counts"):format(
			folder.prefix, sheet.series.runs))
	end
end

-- Checkpoints ----------------------------------------------------------------------------------

local function later(a, b)
	return not b or a.epoch > b.epoch or (a.epoch == b.epoch and (a.step or 0) > (b.step or 0))
end

local function checkpoints_in(folder)
	local last, best
	for _, file in ipairs(folder:files("**/*.ckpt")) do
		local found = checkpoint_of(file.name)
		if found then
			last = later(found, last) and found or last
			if found.value and (not best or metrics.better(found.value, best.value,
				metrics.goal(found.metric))) then
				best = found
			end
		end
	end
	return last, best
end

--- A name tells epoch and step where the table is missing; the step in it counts from 1.
local function add_checkpoints(folder, reading, at)
	local last, best = checkpoints_in(folder)
	local newest = folder:find("**/last.ckpt") or (last and last.name)
	if newest or best then
		reading.checkpoints = { last = newest and at .. newest, best = best and at .. best.name }
	end
	if last and not reading.epochs then
		reading.epochs = { final = last.epoch, zero_based = true }
		reading.steps = last.step and { final = last.step } or nil
		reading.sources.epochs = "inferred: name of " .. at .. last.name
		reading.sources.steps = reading.steps and reading.sources.epochs
	end
	if best and reading.best and reading.best.epoch == best.epoch then
		reading.best.checkpoint = at .. best.name
		reading.best.checkpoint_name = best.name:match("[^/]+$")
	end
end

---@param folder th.Folder
---@return th.Reading?
---@return th.Error?
function M.read(folder)
	local run = runs_of.first(folder, runs_in(folder))
	if not run then
		return nil, { code = "not_a_training_record",
			message = "no metrics.csv with a column 'step' and no hparams.yaml" }
	end
	local here, at = folder:sub(run), run == "." and "" or run .. "/"
	local reading = { final_metrics = {}, train = {}, sources = {}, run = run ~= "." and run or nil }
	add_hyperparams(here, reading, at)
	local err = here:has("metrics.csv") and add_metrics(here, reading, at) or nil
	if err and not reading.raw_hyperparams then
		return nil, err
	elseif err then
		folder:warn(err.message)
	end
	add_checkpoints(here, reading, at)
	reading.planned = nil
	return reading
end

return M
