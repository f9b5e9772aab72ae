--- Any training's console: the log of a program that no other reader knows.
--
-- Says only what the log says: epochs where it counts them, optimizer steps where it counts those
-- across epochs (a bar counts something that it does not name, and a Trainer's printed `epoch` is
-- rounded: neither is a count), the last values, what it calls its best, and how it ended.
local console_run = require("th.console_run")
local hf = require("th.hf_trainer")
local hparams = require("th.hparams")
local json = require("th.json")
local logs = require("th.logs")
local metrics = require("th.metrics")
local num = require("th.num")

local M = { title = "console log" }

-- What the lines of a training look like, in lower case, and how much each says.
local SIGNS = {
	{ 2, "%f[%w_]epochs?[%s:=#%[(]*%d+" }, { 3, "{'[%w_]*loss': " }, { 3, "{'train_runtime': " },
	{ 2, "loss[%w_]*[%s:=(]+%-?%d+%.%d" }, { 2, "acc[%w_@]*[%s:=(]+%d+%.?%d" },
	{ 1, "%f[%w_]step[%s:=%[]*%d+" }, { 2, "epoch:%s+%d+%%|" }, { 1, "%d%%|[^|\n]*|%s*%d+/%d+ %[" },
	{ 2, "train: %[%d+/%d+%]" }, { 1, "traceback %(most recent call last%)" },
	{ 1, "saved? [%w ]*checkpoint" }, { 1, "namespace%(" }, { 1, "cuda" }, { 1, "%f[%a]train" },
	{ 1, "train[%w_]*%.py" },
}

local function weight_of(text)
	local sum, lower = 0, text:lower()
	for _, sign in ipairs(SIGNS) do
		if lower:find(sign[2]) then
			sum = sum + sign[1]
		end
	end
	return sum
end

local ENOUGH, SURE = 3, 5
local MOST_LINES = 3000 -- from either end: a fifth of a second of work

--- The text that looks most like a training's console; of equals the newest, then the first.
local function choose(folder)
	local chosen, most = nil, ENOUGH - 1
	for _, file in ipairs(logs.texts(folder)) do
		local weight = weight_of(logs.edges(folder, file.name))
		if weight > most or (chosen and weight == most and file.mtime > chosen.mtime) then
			chosen, most = file, weight
		end
	end
	return chosen, most
end

---@param folder th.Folder
---@return th.Recognised?
function M.recognise(folder)
	local file, weight = choose(folder)
	if not file then
		return nil
	end
	return { score = weight >= SURE and 30 or 20,
		why = ("'%s' reads like the console of a training"):format(file.name) }
end

local function count_of(index, first)
	return index and (first == 0 and index + 1 or index)
end

--- Epochs by the log's own counter; of bars only where the log holds a value besides.
local function epochs_of(run, has_values)
	if run.epoch then
		local settings = hparams.standard(run.raw)
		return { final = count_of(run.epoch, run.first_epoch),
			planned = run.epochs or run.hf_epochs or settings.num_epochs }
	elseif run.epoch_bar and has_values then
		return { final = run.epoch_bar.done, planned = run.epoch_bar.total }
	elseif run.hf_epochs then
		return { planned = run.hf_epochs }
	end
end

local function steps_of(run)
	if run.step and not run.inner then
		return { final = run.step, planned = run.steps }
	elseif run.hf_steps then
		return { planned = run.hf_steps }
	end
end

--- The values of the newest evaluation that a Trainer printed; without one, its mean loss.
local function dict_values(run)
	local out, epoch = {}, nil
	for _, record in ipairs(run.dicts) do
		local found = hf.metrics_of(record)
		if next(found) then
			if record.epoch ~= epoch then
				out, epoch = {}, record.epoch
			end
			out = hparams.merge(out, found)
		end
	end
	if not next(out) and run.summary then
		out.train_loss = run.summary.train_loss
	end
	for name, value in pairs(run.tables or {}) do
		out[name] = out[name] or (hf.is_metric(name) and value or nil)
	end
	return out
end

local function final_values(run)
	local values = dict_values(run)
	for _, rank in ipairs(run.ranks) do
		if next(values) then
			break
		end
		values = hparams.merge(rank)
	end
	return values
end

--- Was all of it done, as far as the log tells?
local function is_complete(run)
	local epochs = run.epoch and epochs_of(run, true)
	return run.ending ~= nil
		or (epochs and epochs.planned and epochs.final >= epochs.planned and run.epoch_done) or false
end

local function outcome_of(run, has_values)
	if run.stopped and is_complete(run) then
		return run.stopped == "failed" and "completed_then_crashed" or "completed"
	elseif run.stopped then
		return run.stopped
	elseif run.ending == "early" then
		return "completed_early"
	elseif is_complete(run) then
		return "completed"
	elseif run.logged_error and not has_values then
		return "failed"
	elseif run.epoch and epochs_of(run, true).planned then
		return "interrupted"
	elseif run.bar and (not has_values or run.bar.done < run.bar.total) then
		return "interrupted" -- nothing but bars: it ended before it had a result
	end
end

--- The evaluation that a log is judged by when it names no best: its loss, else its first value.
local function judged_by(names)
	for _, name in ipairs(names) do
		if name:lower():find("loss") then
			return name
		end
	end
	return names[1]
end

local function derived_best(records, evaluated)
	local names = {}
	for _, record in ipairs(records) do
		for name, value in pairs(record.values) do
			names[name] = type(value) == "number" and evaluated(name) or nil
		end
	end
	local name = judged_by(metrics.sorted_keys(names))
	if not name then
		return nil
	end
	local goal, best = metrics.goal(name), nil
	for _, record in ipairs(records) do
		local value = record.values[name]
		if value and metrics.better(value, best and best.values[name], goal) then
			best = record
		end
	end
	return best and { metric = name, value = best.values[name], mode = goal, epoch = best.epoch,
		step = best.step, values = best.values, declared = false }
end

local function dict_records(run)
	local records = {}
	for _, record in ipairs(run.dicts) do
		local values = hf.metrics_of(record)
		if next(values) then
			records[#records + 1] = { epoch = record.epoch, values = values }
		end
	end
	return records
end

local function name_of_value(values, value)
	for _, name in ipairs(metrics.sorted_keys(values)) do
		if logs.agree(values[name], value) then
			return name
		end
	end
end

--- The evaluation in which the declared value stands: of the epoch that was marked, else the first.
local function find_value(run, best)
	local at, elsewhere, name
	for _, record in ipairs(run.history) do
		local found = best.value and name_of_value(record.values, best.value)
		if record.epoch == best.epoch then
			at, name = record, found
		elseif found and not elsewhere then
			elsewhere = record
		end
	end
	if elsewhere and not name then
		return elsewhere, name_of_value(elsewhere.values, best.value)
	end
	return at, name
end

--- The metric in which a marked epoch is the best of all: a loss before others.
local function excelling(run, at)
	local names = metrics.sorted_keys(at.values)
	table.sort(names, function(a, b)
		local one, two = a:find("loss") ~= nil, b:find("loss") ~= nil
		return one == two and a < b or one and not two
	end)
	for _, name in ipairs(names) do
		local goal, excels = metrics.goal(name), true
		for _, record in ipairs(run.history) do
			local value = record.values[name]
			excels = excels and not (value and metrics.better(value, at.values[name], goal))
		end
		if excels then
			return name
		end
	end
	return judged_by(metrics.sorted_keys(at.values))
end

local function declared_best(run)
	local best = run.best
	local at, name = find_value(run, best)
	local metric = name or best.name or (at and excelling(run, at))
	local value = best.value or (at and metric and at.values[metric])
	if not metric or not value then
		return nil
	end
	return { metric = metric, value = value, mode = metrics.goal(metric),
		epoch = name and at.epoch or best.epoch, values = at and at.values,
		unit = best.unit or run.units[metric], checkpoint = best.checkpoint,
		checkpoint_name = hf.basename(best.checkpoint), declared = true }
end

local function best_of(run)
	return run.best and declared_best(run) or derived_best(dict_records(run), function(name)
		return name:find("^eval_") ~= nil
	end) or derived_best(run.history, function()
		return true -- the history has nothing but evaluations
	end)
end

--- Hyperparameters of Weights & Biases beside the log: `key: { value: ... }`.
local function wandb_config(folder)
	local config, raw = folder:has("config.yaml") and folder:yaml("config.yaml"), {}
	for key, item in pairs(type(config) == "table" and config or {}) do
		if type(key) == "string" and key ~= "_wandb" and key ~= "wandb_version"
			and type(item) == "table" and item.value ~= nil then
			raw[key] = item.value
		end
	end
	return next(raw) and raw or nil
end

local PLAIN_SETTING = "^%s*[-*|]?%s*([%a][%w_ .-]-)%s*[:=]%s*(%S.-)%s*$"

--- Settings printed before the training begins, where their names are known: `batch_size: 32`.
local function printed_settings(text)
	local raw, count = {}, 0
	for line in text:gmatch("[^\r\n]+") do
		local message = (logs.message(line))
		local name, value = message:match(PLAIN_SETTING)
		name = name and name:match("[%w_ -]+$")
		if console_run.begins(message) then
			break
		elseif name and #value < 80 and next((hparams.standard({ [name] = value }))) then
			raw[name], count = num.any(value) or value, count + 1
		end
	end
	return count > 0 and raw or nil
end

--- What the summary of Weights & Biases says differently.
local function disagreements_of(folder, file, values)
	local summary = folder:has("wandb-summary.json") and folder:json("wandb-summary.json")
	local found = {}
	for key, other in pairs(type(summary) == "table" and summary or {}) do
		local name = type(key) == "string" and (values[key] and key or key:gsub("/", "_"))
		local mine = values[name]
		if type(mine) == "number" and type(other) == "number" and not logs.agree(mine, other) then
			found[#found + 1] = { what = "final_metrics." .. name, values = {
				{ from = file.name, value = mine }, { from = "wandb-summary.json: " .. key, value = other } } }
		end
	end
	table.sort(found, function(a, b)
		return a.what < b.what
	end)
	return #found > 0 and found or nil
end

--- A file of the folder with the last name of a printed path.
local function inside(folder, path)
	local name = hf.basename(path)
	return name and (folder:find(name) or folder:find("**/" .. name)) or nil
end

local function sources_of(reading, file)
	local sources = { outcome = reading.outcome and "inferred: " .. file.name or nil }
	for name in pairs(reading.final_metrics) do
		sources["final_metrics." .. name] = file.name
	end
	for _, part in ipairs({ "steps", "epochs" }) do
		sources[part] = reading[part] and file.name or nil
	end
	if reading.best then
		sources.best = (reading.best.declared and "" or "derived: ") .. file.name
	end
	return sources
end

local BASE_MODEL = { "_name_or_path", "model_name_or_path", "base_model", "pretrained_model" }
local DATASET = { "dataset", "dataset_name", "data_path", "data_dir", "data", "train_file" }

--- The first of the settings that is a text.
local function text_of(raw, keys)
	for _, key in ipairs(keys) do
		if type(raw[key]) == "string" and raw[key] ~= "" then
			return raw[key]
		end
	end
end

local function training_values(run)
	local last, out = run.dicts[#run.dicts], {}
	for index = #run.dicts, 1, -1 do
		last = run.dicts[index]
		if last.loss then
			break
		end
	end
	for _, name in ipairs({ "loss", "learning_rate", "grad_norm" }) do
		out[name] = last and last[name]
	end
	return next(out) and out or nil
end

local function reading_of(folder, file, run)
	local values = final_values(run)
	local has_values = next(values) ~= nil
	local raw = run.raw
	local reading = {
		outcome = outcome_of(run, has_values), error = run.fault or run.logged_error,
		steps = steps_of(run), epochs = epochs_of(run, has_values), final_metrics = values,
		best = best_of(run), train = training_values(run), train_summary = run.summary,
		units = next(run.units) and run.units or nil, raw_hyperparams = next(raw) and raw or nil,
		hyperparams = next(raw) and (hparams.standard(raw)) or nil,
		base_model = text_of(raw, BASE_MODEL), dataset = text_of(raw, DATASET),
		checkpoints = { last = inside(folder, run.saved),
			best = run.best and inside(folder, run.best.checkpoint) },
		start_time = run.start_time, end_time = run.end_time,
		disagreements = disagreements_of(folder, file, values),
	}
	reading.sources = sources_of(reading, file)
	return reading
end

---@param folder th.Folder
---@return th.Reading?
---@return th.Error?
function M.read(folder)
	local file = choose(folder)
	if not file then
		return nil, { code = "not_a_training_record",
			message = "no text here reads like a training's log" }
	end
	local raw = hparams.merge(printed_settings(folder:head(file.name)), wandb_config(folder))
	for key, value in pairs(raw) do
		raw[key] = value ~= json.null and value or nil
	end
	local iterator = logs.lines(folder, file.name, table.unpack(console_run.NEEDLES))
	iterator = logs.thin(iterator, console_run.is_progress)
	local run = console_run.read(logs.bounded(iterator, folder, file.name, MOST_LINES), raw)
	if not (run.epoch or run.step or run.bar or run.fault or run.logged_error or #run.dicts > 0
		or next(final_values(run))) then
		return nil, { code = "not_a_training_record", path = file.name,
			message = ("'%s' says nothing of a training"):format(file.name) }
	end
	return reading_of(folder, file, run)
end

return M
