--- timm's summary.csv and args.yaml, and the log.txt of MAE, DeiT, DINO, DETR, BEiT, ConvNeXt and
-- their kin: one JSON object an epoch, runs one behind the other. Epochs count from 0.
--
-- timm.utils.accuracy() gives percent; all of these use it for acc1, acc5, top1 and top5.
local hparams = require("th.hparams")
local json = require("th.json")
local jsonl = require("th.jsonl")
local lines = require("th.lines")
local metrics = require("th.metrics")
local num = require("th.num")
local series = require("th.series")

local M = { title = "timm / MAE" }

local PLACES = { "", "*/", "*/*/" }

-- How it was trained, not how good it is.
local SETTINGS = { "_lr$", "min_lr$", "^lr$", "_wd$", "weight_decay$", "grad_norm", "loss_scale",
	"^lr_", "momentum$" }

local IGNORED = { epoch = true, n_parameters = true, now_time = true, epoch_time = true,
	train_time = true, test_time = true }

-- What counts as the best, in this order, each behind test_ or val_ or eval_.
local PRIMARY = { "acc1", "top1", "acc_1", "acc", "accuracy", "coco_eval_bbox", "mAP", "mIoU",
	"loss" }

-- Recognising ----------------------------------------------------------------------------------

local function is_epoch(object)
	if not object or math.type(object.epoch) ~= "integer" then
		return false
	end
	for key in pairs(object) do
		if key:find("^train_") or key:find("^test_") or key:find("^val_") then
			return true
		end
	end
	return false
end

local function is_summary(head)
	local header = "," .. (head:match("^[^\r\n]*")) .. ","
	return header:find("^,epoch,") ~= nil and header:find(",train_loss,", 1, true) ~= nil
		and header:find(",eval_", 1, true) ~= nil
end

local function found_in(folder)
	for _, place in ipairs(PLACES) do
		for _, file in ipairs(folder:files(place .. "summary.csv")) do
			if is_summary(folder:head(file.name)) then
				return file.name, "summary"
			end
		end
		for _, pattern in ipairs({ "log.txt", "*log*.txt", "*.jsonl", "log*.json" }) do
			for _, file in ipairs(folder:files(place .. pattern)) do
				if is_epoch(jsonl.first(folder, file.name)) then
					return file.name, "log"
				end
			end
		end
	end
end

local function split_name(name)
	local dir = name:match("^(.*)/[^/]*$") or "."
	return dir, dir == "." and "" or dir .. "/"
end

---@param folder th.Folder
---@return th.Recognised?
function M.recognise(folder)
	local name, kind = found_in(folder)
	if not name then
		return nil
	end
	local dir, at = split_name(name)
	local sure = kind == "summary" and folder:has(at .. "args.yaml")
		or kind == "log" and name:find("log%.txt$") ~= nil
	return { score = sure and 90 or 70, runs = dir ~= "." and { dir } or nil,
		why = kind == "summary" and name .. " has the columns of timm's summary"
			or name .. " has one JSON object an epoch" }
end

-- Values ---------------------------------------------------------------------------------------

local function fill(reading, values, from)
	for name, value in pairs(values) do
		local is_value = type(value) == "number" or type(value) == "table" and #value > 0
		if is_value and not IGNORED[name] then
			local part = lines.match_any(name, SETTINGS) and "train" or "final_metrics"
			reading[part][name] = value
			reading.sources[part .. "." .. name] = from .. ": " .. name
			if name:find("acc_?[15]") or name:find("top%-?[15]$") then
				reading.units[name] = "percent"
			end
		end
	end
end

--- The name whose best counts: what stands first in PRIMARY, of a test set before a validation.
local function best_name(has)
	for _, name in ipairs(PRIMARY) do
		for _, prefix in ipairs({ "test_", "val_", "eval_" }) do
			if has(prefix .. name) then
				return prefix .. name
			end
		end
	end
end

local function set_best(reading, best, from)
	if best then
		reading.best, best.unit = best, reading.units[best.metric]
		reading.sources.best = ("derived: %s of %s in %s"):format(best.mode, best.metric, from)
	end
end

local function new_reading(rows, name, at)
	return { final_metrics = {}, train = {}, units = {},
		epochs = rows.at and { final = num.tidy(rows.at + 1) } or nil,
		sources = { epochs = at .. name .. ": epoch, from 0" } }
end

-- log.txt --------------------------------------------------------------------------------------

--- A row for the series: of a list (DETR's twelve numbers of COCO) the first, which is the AP.
local function row_of(object, goals)
	local row = {}
	for key, value in pairs(object) do
		local first = type(value) == "table" and value[1] or value
		row[key] = value
		if type(first) == "number" and best_name(function(name) return name == key end) then
			row[key .. "\0"] = first
			goals[key .. "\0"] = metrics.goal(key)
		end
	end
	return row
end

local function read_log(folder, name, at)
	local goals, stream = {}, jsonl.of(folder:lines(name))
	local rows = series.new(goals)
	for object in stream.next, stream do
		rows:add(row_of(object, goals), num.any(json.value(object.epoch)))
	end
	local values = {}
	for key, value in pairs(rows.last) do
		values[key] = not key:find("\0", 1, true) and value or nil
	end
	local reading = new_reading(rows, name, at)
	fill(reading, values, at .. name)
	local key = best_name(function(wanted) return rows:best(wanted .. "\0") ~= nil end)
	set_best(reading, key and rows:best_epoch(key .. "\0", key), at .. name)
	return reading, rows, stream.bad
end

-- summary.csv ----------------------------------------------------------------------------------

local function goal(name)
	return name:find("^eval_") and metrics.goal(name) or nil
end

--- timm keeps the best of `--eval-metric`, top1 if nothing else was asked for.
local function chosen_metric(args, columns)
	local wanted = "eval_" .. tostring(args and args.eval_metric or "top1")
	return columns[wanted] and wanted or best_name(function(name) return columns[name] end)
end

local function read_summary(folder, name, at, args)
	local sheet, err = series.read(folder, name, { index = { "epoch" }, goal = goal })
	if not sheet then
		return nil, nil, err
	end
	local reading = new_reading(sheet.series, name, at)
	fill(reading, sheet.values, at .. name)
	local key = chosen_metric(args, sheet.columns)
	set_best(reading, key and sheet.series:best_epoch(sheet.columns[key], key), at .. name)
	return reading, sheet.series, 0
end

-- Arguments and checkpoints --------------------------------------------------------------------

local function load_args(folder)
	if not folder:has("args.yaml") then
		return nil
	end
	local args, err = folder:yaml("args.yaml")
	if type(args) == "table" then
		return args
	end
	folder:warn(("%sargs.yaml: %s"):format(folder.prefix, err and err.message or "no mapping"))
end

--- timm trains a cosine schedule to its end and then some epochs at the lowest rate.
local function planned_epochs(args)
	local epochs = num.any(json.value(args.epochs))
	local cooldown = num.any(json.value(args.cooldown_epochs)) or 0
	local cyclic = args.sched == "cosine" or args.sched == "tanh" or args.sched == "poly"
	return epochs and num.tidy(epochs + (cyclic and cooldown or 0))
end

local function text(value)
	return type(value) == "string" and value ~= "" and value or nil
end

local function add_args(reading, args, at)
	if not args then
		return
	end
	reading.raw_hyperparams, reading.hyperparams = args, (hparams.standard(args))
	reading.epochs = reading.epochs or {}
	reading.epochs.planned = planned_epochs(args)
	reading.base_model = text(args.initial_checkpoint)
		or (args.pretrained == true and text(args.model)) or nil
	reading.dataset = text(args.data_dir) or text(args.data) or text(args.dataset)
	for _, field in ipairs({ "hyperparams", "base_model", "dataset" }) do
		reading.sources[field] = reading[field] and at .. "args.yaml"
	end
end

local function add_checkpoints(folder, reading, at)
	local function file(...)
		for _, pattern in ipairs({ ... }) do
			local name = folder:find(pattern)
			if name then
				return at .. name
			end
		end
	end
	reading.checkpoints = {
		best = file("model_best.pth.tar", "checkpoint-best.pth", "best_checkpoint.pth",
			"checkpoint_best.pth"),
		last = file("last.pth.tar", "checkpoint.pth", "checkpoint-*.pth.tar", "checkpoint-*.pth",
			"checkpoint*.pth"),
	}
	if reading.best and reading.checkpoints.best then
		reading.best.checkpoint = reading.checkpoints.best
		reading.best.checkpoint_name = reading.checkpoints.best:match("[^/]+$")
	end
end

local function warn_about(folder, name, rows, bad)
	if bad > 0 then
		folder:warn(("%s: %d lines are no records and were left out"):format(name, bad))
	end
	if rows.runs > 1 then
		folder:warn(("%s holds %d runs one after another; the last counts"):format(name, rows.runs))
	end
end

---@param folder th.Folder
---@return th.Reading?
---@return th.Error?
function M.read(folder)
	local name, kind = found_in(folder)
	if not name then
		local text_file = folder:find("log.txt") or folder:find("summary.csv")
		return nil, text_file and folder:text_error(text_file) or { path = text_file,
			code = "not_a_training_record", message = "no summary.csv of timm and no log.txt of epochs" }
	end
	local dir, at = split_name(name)
	local here, base = folder:sub(dir), name:match("[^/]+$")
	local args = load_args(here)
	local reading, rows, bad = (kind == "log" and read_log or read_summary)(here, base, at, args)
	if not reading then
		return nil, bad --[[@as th.Error]]
	elseif rows.rows == 0 then
		return nil, { code = "no_data", path = name, message = ("'%s' has no epoch"):format(name) }
	end
	reading.run = dir ~= "." and dir or nil
	add_args(reading, args, at)
	add_checkpoints(here, reading, at)
	warn_about(folder, name, rows, bad)
	return reading
end

return M
