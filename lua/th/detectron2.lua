--- detectron2 (and what was built on it): metrics.json, which is JSON lines that runs append to,
-- config.yaml, last_checkpoint.
--
-- Iterations count from 0, and the training is logged every 20. The values of an evaluation stand
-- in the line of their iteration, or in one of their own a little out of order. AP is in percent,
-- NaN for a class or size without an object.
local hparams = require("th.hparams")
local jsonl = require("th.jsonl")
local metrics = require("th.metrics")
local num = require("th.num")
local runs_of = require("th.runs")
local series = require("th.series")

local M = { title = "detectron2" }

local PLACES = { "metrics.json", "*/metrics.json", "*/*/metrics.json" }

-- What evaluators call their results: "bbox/AP", "sem_seg/mIoU", "coco_val/segm/AP50". The rest of
-- a line is the training's. Parts of keys, searched for in whole lines.
local EVALUATED = { "/AP", "/AR", "/mAP", "/PQ", "/SQ", "/RQ", "IoU", "/mACC", "/pACC", "/Acc",
	"/Rank", "sem_seg/", "panoptic_seg/", '"val', '"test', "validation" }

-- What counts as the best, in this order; a data set's name may stand before it.
local PRIMARY = { "bbox/AP", "segm/AP", "keypoints/AP", "panoptic_seg/PQ", "sem_seg/mIoU" }

-- Of one window of logging: how far the lines of one writing may be out of order.
local SLACK = 20

local function is_line(object)
	return object ~= nil and math.type(object.iteration) == "integer"
		and (object.total_loss ~= nil or object.eta_seconds ~= nil or object.lr ~= nil
			or object.data_time ~= nil)
end

local function runs_in(folder)
	local runs = {}
	for _, place in ipairs(PLACES) do
		for _, file in ipairs(folder:files(place)) do
			if is_line(jsonl.first(folder, file.name)) then
				runs[#runs + 1] = file.name:match("^(.*)/[^/]*$") or "."
			end
		end
	end
	return runs
end

---@param folder th.Folder
---@return th.Recognised?
function M.recognise(folder)
	local runs = runs_in(folder)
	if #runs == 0 then
		return nil
	end
	return { score = 90, runs = (#runs > 1 or runs[1] ~= ".") and runs or nil,
		why = ("%s/metrics.json has lines with an iteration and its losses"):format(runs[1]) }
end

-- metrics.json ---------------------------------------------------------------------------------

local function is_evaluated(text)
	for _, part in ipairs(EVALUATED) do
		if text:find(part, 1, true) then
			return true
		end
	end
	return false
end

local function is_primary(key)
	for _, name in ipairs(PRIMARY) do
		if key == name or key:sub(-#name - 1) == "/" .. name then
			return true
		end
	end
	return false
end

--- The evaluation's part of a line, and the goals of what may be the best.
local function evaluation_in(line, goals)
	local object, row = jsonl.object(line), {}
	for key, value in pairs(object or {}) do
		if type(value) == "number" and is_evaluated('"' .. key) then
			row[key] = value
			if is_primary(key) then
				goals[key] = "max"
			elseif key:lower():find("val") and key:find("loss", 1, true) then
				goals[key] = "min"
			end
		end
	end
	return row, object ~= nil
end

local NOTHING = {}

---@class th.DetectronLog
---@field rows th.Series
---@field goals table<string, string>
---@field loss string? the last line with a loss
---@field trained integer? its iteration: an evaluation after the end has one more
---@field bad integer

--- Decode only what is needed: most of a long log are losses, of which the last counts.
local function read_lines(folder)
	local goals = {}
	local log = { rows = series.new(goals, { slack = SLACK, sparse = true }), goals = goals, bad = 0 }
	for line in folder:lines("metrics.json") do
		local at = jsonl.number(line, "iteration")
		local row, good = NOTHING, at ~= nil and line:find("}%s*$", -8) ~= nil
		if good and is_evaluated(line) then
			row, good = evaluation_in(line, goals)
		end
		if good then
			log.rows:add(row, at)
			if line:find('"total_loss"', 1, true) or line:find('"eta_seconds"', 1, true) then
				log.loss, log.trained = line, at
			end
		else
			log.bad = log.bad + 1
		end
	end
	return log
end

local function best_of(log)
	local candidates = metrics.sorted_keys(log.goals)
	for _, name in ipairs(PRIMARY) do
		for _, key in ipairs(candidates) do
			if (key == name or key:sub(-#name - 1) == "/" .. name) and log.rows:best(key) then
				return key, log.rows:best(key)
			end
		end
	end
	for _, key in ipairs(candidates) do
		if log.rows:best(key) then
			return key, log.rows:best(key)
		end
	end
end

local function add_best(reading, log, at)
	local key, best = best_of(log)
	if not key then
		return
	end
	reading.best = { metric = key, value = best.value, step = best.at, mode = log.goals[key],
		declared = false }
	reading.sources.best = ("derived: %s of %s in %smetrics.json"):format(log.goals[key], key, at)
end

local function add_values(reading, log, at)
	for key, value in pairs(log.rows.last) do
		reading.final_metrics[key] = value
		reading.sources["final_metrics." .. key] = ("%smetrics.json: %s"):format(at, key)
		if key:find("/AP", 1, true) or key:find("sem_seg/", 1, true) then
			reading.units[key] = "percent"
		end
	end
	local last = log.loss and jsonl.object(log.loss) or {}
	for key, value in pairs(last) do
		if type(value) == "number" and (key:find("loss", 1, true) or key == "lr") then
			reading.train[key] = value
		end
	end
	if reading.train.total_loss then
		reading.final_metrics.total_loss = last.total_loss
		reading.sources["final_metrics.total_loss"] = at .. "metrics.json: total_loss"
	end
end

-- config.yaml ----------------------------------------------------------------------------------

--- Standard names of a yacs configuration, or of a lazy one.
local function settings_of(config)
	local solver, train = config.SOLVER, config.train
	if type(solver) == "table" then
		local clip = type(solver.CLIP_GRADIENTS) == "table" and solver.CLIP_GRADIENTS or {}
		local seed = num.any(config.SEED)
		return hparams.standard(hparams.merge(solver, { seed = seed and seed >= 0 and seed or nil,
			max_grad_norm = clip.ENABLED == true and clip.CLIP_VALUE or nil }))
	elseif type(train) == "table" then
		local values = hparams.standard_of_nested(config)
		local optimizer = type(config.optimizer) == "table" and config.optimizer._target_
		values.optimizer = type(optimizer) == "string" and optimizer:match("[%w_]+$")
			or values.optimizer
		return values
	end
end

local function text_in(section, key)
	local value = type(section) == "table" and section[key]
	return type(value) == "string" and value ~= "" and value or nil
end

local function names_of(value)
	if type(value) == "table" and #value > 0 then
		local names = {}
		for index, name in ipairs(value) do
			names[index] = tostring(name)
		end
		return table.concat(names, ", ")
	end
end

local function add_config(folder, reading, at)
	local config, err = nil, nil
	if folder:has("config.yaml") then
		config, err = folder:yaml("config.yaml")
	end
	local settings = type(config) == "table" and settings_of(config)
	if not settings then
		if err then
			folder:warn(("%sconfig.yaml: %s"):format(at, err.message))
		end
		return
	end
	reading.raw_hyperparams, reading.hyperparams = hparams.flat(config), settings
	reading.steps.planned = settings.max_steps
	reading.base_model = text_in(config.MODEL, "WEIGHTS") or text_in(config.train, "init_checkpoint")
	reading.dataset = names_of(type(config.DATASETS) == "table" and config.DATASETS.TRAIN)
	for _, field in ipairs({ "hyperparams", "base_model", "dataset" }) do
		reading.sources[field] = reading[field] and at .. "config.yaml"
	end
end

-- Checkpoints ----------------------------------------------------------------------------------

--- model_final.pth is written when training ends; last_checkpoint names what was saved last.
local function add_checkpoints(folder, reading, at)
	local named = folder:has("last_checkpoint")
		and (folder:read("last_checkpoint", 0, 4096) or ""):match("[^/\\%s]+%.pth")
	local last = named or (folder:has("model_final.pth") and "model_final.pth")
		or folder:find("model_*.pth")
	local best = folder:has("model_best.pth") and at .. "model_best.pth" or nil
	if last or best then
		reading.checkpoints = { last = last and at .. last, best = best }
	end
	if last == "model_final.pth" then
		reading.outcome = "completed"
		reading.sources.outcome = "inferred: model_final.pth is saved when training ends"
	end
end

local function warn_about(folder, log, at)
	if log.bad > 0 then
		folder:warn(("%smetrics.json: %d lines are no records and were left out"):format(at, log.bad))
	end
	if log.rows.runs > 1 then
		folder:warn(("%smetrics.json holds %d runs one after another; the last counts"):format(at,
			log.rows.runs))
	end
	if log.rows.resumed_at then
		folder:warn(("%smetrics.json: resumed before iteration %d"):format(at, log.rows.resumed_at))
	end
end

local function refusal(folder)
	local name = folder:find("metrics.json")
	return name and folder:text_error(name) or { code = "not_a_training_record", path = name,
		message = "no metrics.json with lines of detectron2" }
end

---@param folder th.Folder
---@return th.Reading?
---@return th.Error?
function M.read(folder)
	local run = runs_of.first(folder, runs_in(folder))
	if not run then
		return nil, refusal(folder)
	end
	local here, at = folder:sub(run), run == "." and "" or run .. "/"
	local log = read_lines(here)
	local reading = { final_metrics = {}, train = {}, units = {}, run = run ~= "." and run or nil,
		steps = { final = log.trained and num.tidy(log.trained + 1) },
		sources = { steps = at .. "metrics.json: iteration, from 0" } }
	add_values(reading, log, at)
	add_best(reading, log, at)
	add_config(here, reading, at)
	add_checkpoints(here, reading, at)
	warn_about(folder, log, at)
	return reading
end

return M
