--- OpenMMLab (mmdet, mmseg, mmcls, mmaction, mmpose, ...): the JSON lines of its loggers.
--
-- Versions 1 and 2 write one YYYYmmdd_HHMMSS.log.json per start: a head with env_info and config,
-- then lines of mode train and val, epochs from 1, iterations from 1 in each epoch. Version 3
-- writes DATE_TIME/vis_data/scalars.json, where iterations go on through all epochs, a training by
-- iterations has no epoch, and an evaluation is a line without `iter`. A start that goes on behind
-- epoch 1 resumes the one before it; one that begins anew is another run.
--
-- A configuration is Python and is never run: only settings that stand there as literals are taken.
local hparams = require("th.hparams")
local json = require("th.json")
local jsonl = require("th.jsonl")
local metrics = require("th.metrics")
local num = require("th.num")
local pydict = require("th.pydict")
local series = require("th.series")

local M = { title = "OpenMMLab" }

local PLACES = { "", "*/", "*/*/" }

-- Keys of a line that say where it stands or what it cost.
local NOISE = { mode = true, epoch = true, iter = true, step = true, lr = true, memory = true,
	time = true, data_time = true, base_lr = true, momentum = true, eta = true }

local IN_HEAD = "head of the log: config"

-- Names of what is better when higher, in the order in which a task's results are looked for.
local PRIMARY = { "bbox_mAP", "coco/bbox_mAP", "segm_mAP", "mAP", "pascal_voc/mAP", "mIoU",
	"accuracy/top1", "accuracy_top-1", "accuracy", "acc/top1", "top1_acc", "AP", "coco/AP", "PCK" }

-- Files -----------------------------------------------------------------------------------------

local function is_scalars(name)
	return name:find("vis_data/[^/]*%.json$") ~= nil
end

--- The first bytes are a head, or a line of training or evaluation.
local function is_log(folder, name)
	local head = folder:head(name)
	if not head:find("^[\xEF\xBB\xBF%s]*{") then
		return false
	elseif is_scalars(name) then
		return head:find('"step"%s*:') ~= nil
	end
	return head:find('"env_info"', 1, true) ~= nil or head:find('"hook_msgs"', 1, true) ~= nil
		or head:find('"mode"%s*:%s*"[tv][ra]') ~= nil and head:find('"epoch"%s*:') ~= nil
end

--- The work directory: above vis_data, and above DATE_TIME, for a resumed run has two of them.
local function work_dir_of(name)
	local dir = name:match("^(.*)/vis_data/[^/]*$") or "."
	if dir:match("[^/]+$"):find("^%d%d%d%d%d%d%d%d_%d%d%d%d%d%d$") then
		return dir:match("^(.*)/[^/]+$") or "."
	end
	return dir
end

--- Folders with logs, and the logs of each in the order of their time.
local function logs_in(folder)
	local dirs, logs = {}, {}
	local function add(dir, name)
		if not logs[dir] then
			dirs[#dirs + 1], logs[dir] = dir, {}
		end
		table.insert(logs[dir], name)
	end
	for _, place in ipairs(PLACES) do
		for _, file in ipairs(folder:files(place .. "*.log.json")) do
			if is_log(folder, file.name) then
				add(file.name:match("^(.*)/[^/]*$") or ".", file.name)
			end
		end
		for _, file in ipairs(folder:files(place .. "vis_data/scalars.json")) do
			if is_log(folder, file.name) then
				add(work_dir_of(file.name), file.name)
			end
		end
	end
	return dirs, logs
end

---@param folder th.Folder
---@return th.Recognised?
function M.recognise(folder)
	local dirs, logs = logs_in(folder)
	if #dirs == 0 then
		return nil
	end
	return { score = 90, runs = (#dirs > 1 or dirs[1] ~= ".") and dirs or nil,
		why = logs[dirs[1]][1] .. " has the lines of OpenMMLab's logger" }
end

-- Lines -----------------------------------------------------------------------------------------

---@class th.MmLog
---@field config string? the configuration in the head
---@field exp_name string?
---@field seed integer?
---@field rows th.Series evaluations by epoch (or step); their note is the iteration before them
---@field order string[] keys of the last evaluation as they stand in its line
---@field goals table<string, string>
---@field first { epoch: number?, iter: number? }? of the first line of training
---@field epoch number? of the last line of training
---@field iter number?
---@field step number?
---@field train string? that line
---@field by_iter boolean? iterations go on where the epoch rises
---@field lines integer of training and evaluation
---@field bad integer

local function new_log()
	local goals = {}
	local log = { goals = goals, order = {}, lines = 0, bad = 0 }
	log.rows = series.new(goals, { sparse = true, note = function()
		return log.iter
	end })
	return log
end

local function take_head(log, line)
	local head = jsonl.object(line)
	if not head then
		log.bad = log.bad + 1
		return
	end
	log.config = type(head.config) == "string" and head.config or log.config
	log.exp_name = type(head.exp_name) == "string" and head.exp_name or log.exp_name
	log.seed = num.int(json.value(head.seed)) or log.seed
end

local function take_training(log, line, version_3)
	local epoch, iter = jsonl.number(line, "epoch"), jsonl.number(line, "iter")
	if not epoch and not iter then
		return
	end
	log.first = log.first or { epoch = epoch, iter = iter }
	if version_3 then
		log.by_iter = epoch == nil
	elseif epoch and iter and log.epoch and log.iter and epoch > log.epoch then
		log.by_iter = iter > log.iter
	end
	log.epoch, log.iter, log.train = epoch or log.epoch, iter or log.iter, line
	log.step = jsonl.number(line, "step") or log.step
	log.lines = log.lines + 1
end

local function keys_in(line)
	local keys = {}
	for key in line:gmatch('"([^"]+)"%s*:') do
		if not NOISE[key] then
			keys[#keys + 1] = key
		end
	end
	return keys
end

local function take_evaluation(log, line)
	local row = jsonl.object(line)
	if not row then
		log.bad = log.bad + 1
		return
	end
	local at = num.any(row.epoch) or num.any(row.step) or num.any(row.iter)
	for key, value in pairs(row) do
		if NOISE[key] or (type(value) ~= "number" and type(value) ~= "string") then
			row[key] = nil
		elseif type(value) == "number" then
			log.goals[key] = metrics.goal(key)
		end
	end
	log.order = keys_in(line)
	log.rows:add(row, at)
	log.lines = log.lines + 1
end

local function is_evaluation(line, version_3)
	if version_3 then
		return not line:find('"iter"', 1, true) and not line:find('"loss"', 1, true)
	end
	return line:find('"val"', 1, true) ~= nil and line:find('"mode"%s*:%s*"val"') ~= nil
end

local function is_head(line)
	return line:find('"env_info"', 1, true) or line:find('"hook_msgs"', 1, true)
end

local function take_line(log, line, version_3)
	if log.lines == 0 and is_head(line) then
		take_head(log, line)
	elseif line:byte(1) ~= 123 or not line:find("}%s*$", -8) then
		log.bad = log.bad + 1
	elseif is_evaluation(line, version_3) then
		take_evaluation(log, line)
	else
		take_training(log, line, version_3)
	end
end

local function read_file(folder, name, log)
	for line in folder:lines(name) do
		take_line(log, line, is_scalars(name))
	end
	return log
end

--- Where a file begins, from its first line of training.
local function beginning(folder, name)
	local log = new_log()
	for line in folder:lines(name) do
		take_line(log, line, is_scalars(name))
		if log.lines > 0 then
			return log.first
		end
	end
end

--- Does a start that begins there go on with what the log has?
local function continues(log, first)
	if not first or not first.iter or not log.first then
		return false
	elseif not log.by_iter and (first.epoch or 1) > (log.first.epoch or 1) then
		return true
	end
	return log.by_iter ~= false and first.iter > 2 * (log.first.iter or first.iter)
		and first.iter <= (log.iter or 0) + log.first.iter
end

--- The first run: its file, and those that resume it.
---@return th.MmLog? log
---@return string[] used
local function read_run(folder, names)
	local log, used
	for _, name in ipairs(names) do
		local first = beginning(folder, name)
		if not log and (first or #names == 1) then
			log, used = read_file(folder, name, new_log()), { name }
		elseif log and continues(log, first) then
			read_file(folder, name, log)
			used[#used + 1] = name
		end
	end
	return log, used or {}
end

-- The configuration ------------------------------------------------------------------------------

--- A `name = dict(...)` or `name = literal` that stands at the beginning of a line.
local function assignment(text, name)
	local start = ("\n" .. text):find("\n" .. name .. "%s*=%s*")
	local value = start and text:sub(start):match("^" .. name .. "%s*=%s*(.*)$")
	if not value then
		return nil
	elseif value:find("^dict%(") then
		return (pydict.call(value, "dict"))
	end
	value = value:match("^[^\n#]*"):match("^(.-)%s*$")
	if not value:find("^['\"]") and not num.any(value) then
		return nil -- a name, a call, a list over several lines
	end
	return (pydict.decode(value))
end

local function inner(value, key)
	local text = type(value) == "table" and value[key]
	return type(text) == "string" and text:find("^dict%(") and pydict.call(text, "dict") or nil
end

local SIMPLE = { "total_epochs", "max_epochs", "seed", "load_from", "resume_from", "dataset_type",
	"data_root" }

--- The plain settings of a configuration, by dotted names.
local function settings_of(text)
	local raw = {}
	local function add(prefix, values)
		for key, value in pairs(values or {}) do
			if type(key) == "string" and type(value) ~= "table" and value ~= json.null
				and not tostring(value):find("^dict%(") then
				raw[prefix .. "." .. key] = value
			end
		end
	end
	for _, name in ipairs(SIMPLE) do
		local value = assignment(text, name)
		raw[name] = type(value) ~= "table" and json.value(value) or nil
	end
	local wrapper, data = assignment(text, "optim_wrapper"), assignment(text, "data")
	add("optimizer", inner(wrapper, "optimizer") or assignment(text, "optimizer"))
	add("runner", assignment(text, "runner"))
	add("train_cfg", assignment(text, "train_cfg"))
	add("lr_config", assignment(text, "lr_config"))
	add("train_dataloader", assignment(text, "train_dataloader"))
	add("data", type(data) == "table" and { samples_per_gpu = data.samples_per_gpu,
		workers_per_gpu = data.workers_per_gpu } or nil)
	return raw
end

local function standard_of(raw, seed)
	return hparams.standard({
		optimizer = raw["optimizer.type"], lr = raw["optimizer.lr"], seed = raw.seed or seed,
		weight_decay = raw["optimizer.weight_decay"], scheduler = raw["lr_config.policy"],
		warmup_steps = raw["lr_config.warmup_iters"],
		batch_size = raw["train_dataloader.batch_size"] or raw["data.samples_per_gpu"],
		num_epochs = raw["train_cfg.max_epochs"] or raw["runner.max_epochs"] or raw.total_epochs
			or raw.max_epochs,
		max_steps = raw["train_cfg.max_iters"] or raw["runner.max_iters"],
	})
end

--- The text of the configuration: a file in the work directory, or the head of the log.
local function config_of(folder, dir, log)
	local base = dir == "." and "" or dir .. "/"
	local parent = base:match("^(.*/)[^/]+/$") or ""
	for _, pattern in ipairs({ base .. "vis_data/config.py", base .. "*/vis_data/config.py",
		base .. "*.py", parent .. "*.py" }) do
		local name = folder:find(pattern)
		local text = name and not folder:text_error(name) and folder:read(name)
		if text then
			return text, name
		end
	end
	return log.config, log.config and IN_HEAD
end

local function add_config(folder, reading, log, dir)
	local text, from = config_of(folder, dir, log)
	local raw = text and settings_of((text:gsub("\r\n", "\n"))) or {}
	if next(raw) == nil then
		return
	end
	reading.raw_hyperparams, reading.hyperparams = raw, standard_of(raw, log.seed)
	reading.sources.hyperparams = from
	reading.base_model = type(raw.load_from) == "string" and raw.load_from or nil
	reading.sources.base_model = reading.base_model and from .. ": load_from"
	reading.dataset = raw.data_root or raw.dataset_type
	reading.sources.dataset = reading.dataset and from
	if log.by_iter == nil then
		log.by_iter = reading.hyperparams.max_steps ~= nil and not reading.hyperparams.num_epochs
	end
end

-- The reading ------------------------------------------------------------------------------------

local function best_key(log)
	for _, key in ipairs(PRIMARY) do
		if log.rows:best(key) then
			return key
		end
	end
	local loss
	for _, key in ipairs(log.order) do
		if log.rows:best(key) and not key:find("loss", 1, true) then
			return key
		end
		loss = loss or (key == "loss" and log.rows:best(key) and key) or nil
	end
	return loss
end

--- "best_bbox_mAP_epoch_11.pth" names the metric and the epoch; a slash is "_" there.
local function best_file(folder, log)
	local name = folder:find("best_*.pth") or folder:find("*/best_*.pth")
	local text, kind, at = (name or ""):match("best_(.+)_(%a+)_(%d+)%.pth$")
	if kind ~= "epoch" and kind ~= "iter" then
		return name
	end
	for key in pairs(log.goals) do
		local best = key:gsub("/", "_") == text and log.rows:best(key)
		if best and best.at == num.int(at) then
			return name, key
		end
	end
	return name
end

local function add_best(folder, reading, log, from)
	local file, declared = best_file(folder, log)
	local key = declared or best_key(log)
	local best = key and log.rows:best(key)
	reading.checkpoints = { best = file, last = folder:find("latest.pth")
		or folder:find("epoch_*.pth") or folder:find("iter_*.pth") }
	if not best then
		return
	end
	local at = log.by_iter and not log.step and best.note or best.at
	reading.best = { metric = key, value = best.value, mode = log.goals[key],
		declared = declared ~= nil, checkpoint = declared and file,
		checkpoint_name = declared and file:match("[^/]+$") }
	reading.best[log.by_iter and "step" or "epoch"] = at
	reading.sources.best = declared and file
		or ("derived: %s of %s in %s"):format(log.goals[key], key, from)
end

--- A plan is taken from a configuration file, not from the copy in the head of a log.
local function add_progress(reading, log, from)
	local planned = reading.sources.hyperparams ~= IN_HEAD and reading.hyperparams or {}
	if log.by_iter then
		reading.steps = { final = num.tidy(log.iter), planned = planned.max_steps }
		reading.sources.steps = from .. ": iter"
		return
	end
	local final = log.epoch or log.rows.at
	reading.epochs = (final or planned.num_epochs)
		and { final = num.tidy(final), planned = planned.num_epochs } or nil
	reading.sources.epochs = from .. ": epoch"
	if log.step then
		reading.steps = { final = num.tidy(log.step) }
		reading.sources.steps = from .. ": step"
	end
end

local function add_values(reading, log, from)
	for key, value in pairs(log.rows.last) do
		reading.final_metrics[key] = value
		reading.sources["final_metrics." .. key] = from .. ": " .. key
	end
	local last = log.train and jsonl.object(log.train) or {}
	for key, value in pairs(last) do
		if type(value) == "number" and (key:find("loss", 1, true) or key == "lr") then
			reading.train[key] = value
		end
	end
end

local function warn_about(folder, log, names, used)
	if #used < #names then
		folder:warn(("%d logs are here; read: %s"):format(#names, table.concat(used, ", ")))
	end
	if log.bad > 0 then
		folder:warn(("%s: %d lines are no records and were left out"):format(used[1], log.bad))
	end
end

---@param folder th.Folder
---@return th.Reading?
---@return th.Error?
function M.read(folder)
	local dirs, logs = logs_in(folder)
	local dir = dirs[1]
	if not dir then
		local name = folder:find("*.log.json")
		return nil, name and folder:text_error(name) or { code = "not_a_training_record", path = name,
			message = "no log with the lines of OpenMMLab" }
	elseif #dirs > 1 then
		folder:warn(("%d runs are here; '%s' is read"):format(#dirs, dir))
	end
	local log, used = read_run(folder, logs[dir])
	if not log or (log.lines == 0 and not log.config) then
		return nil, { code = "no_data", path = logs[dir][1],
			message = ("'%s' has no line of training"):format(logs[dir][1]) }
	end
	local reading = { final_metrics = {}, train = {}, sources = {}, run = dir ~= "." and dir or nil }
	add_values(reading, log, used[#used])
	add_config(folder, reading, log, dir)
	add_best(folder, reading, log, used[1])
	add_progress(reading, log, used[#used])
	warn_about(folder, log, logs[dir], used)
	return reading
end

return M
