--- One training read line by line from its console, whatever program printed it.
--
-- Values come in three ranks: those of a summary line (`Val Acc 91.0 Val Loss 0.296`), those told
-- in prose (`Accuracy of the network on the 10000 test images: 55 %`), and those of a line that
-- shows progress (a bar, `[10/500]`, a meter `0.12 (0.34)`). Only the best rank that a run has is
-- final. A run that starts again at its first epoch is another one: the last counts.
local hf = require("th.hf_trainer")
local hparams = require("th.hparams")
local lines = require("th.lines")
local logs = require("th.logs")
local num = require("th.num")
local pydict = require("th.pydict")
local pylog = require("th.pylog")

local M = {}

---@class th.ConsoleRun
---@field ranks table<string, any>[] summary, prose, progress: key -> value
---@field units table<string, string>
---@field history { epoch: integer?, step: integer?, values: table<string, number> }[] evaluations
---@field first_epoch integer?
---@field epoch number? the newest index, as printed
---@field epochs integer? planned
---@field epoch_done boolean something told of the newest epoch as a whole
---@field step integer?
---@field steps integer? planned
---@field dicts table[] what a Hugging Face Trainer printed
---@field summary table<string, number>? its last words
---@field best table? what the log itself calls the best
---@field saved string? the last checkpoint's path
---@field ending "done"|"early"|nil
---@field fault string? last line of a traceback, or the line that tells of the break
---@field stopped "failed"|"interrupted"|nil
---@field bar th.Bar? the newest bar
---@field raw table<string, any> hyperparameters that were printed

--- Literals of the lines that can matter. Lua sees no others.
M.NEEDLES = { "poch", "POCH", "tep", "ter", "oss", "LOSS", "cc", "ACC", "val", "Val", "VAL", "est",
	"BEST", "core", "f1", "F1", "IoU", "iou", "PSNR", "psnr", "BLEU", "bleu", "AUC", "auc", "mAP",
	"ice", "MAE", "mae", "MSE", "mse", "WER", "wer", "ppl", "PPL", "eward", "sav", "Sav", "%|", "{'",
	"Namespace(", "*****", " = ", "rror", "Exception", "Traceback", "Interrupt", "Exit",
	table.unpack(logs.END_NEEDLES) }

---@param raw? table<string, any>
---@return th.ConsoleRun
function M.new(raw)
	return { ranks = { {}, {}, {} }, units = {}, history = {}, dicts = {}, raw = raw or {},
		epoch_done = false }
end

local SUMMARY, PROSE, PROGRESS = 1, 2, 3
local STEP_LINE = 4 -- of a step within an epoch: progress, but for evaluations

-- Anchored where the word stands: a line is looked through for the word once, and without a
-- pattern.
local EPOCH_OF = { "^epochs?[%s:=#%[(]*(%d+)%s*/%s*(%d+)", "^epochs?[%s:=#%[(]*(%d+)%s+of%s+(%d+)" }
local EPOCH = "^epoch[%s:=#%[(\"']*(%d+)%f[^%d]()"
local TRAIN_OF, EP_OF = "^train:?%s*%[(%d+)/(%d+)%]", "%f[%w_]ep[%s:=#%[(]+(%d+)%s*/%s*(%d+)"
local STEPS = { { "step", "^steps?[%s:=#%[(]*(%d+)()" }, { "iter", "^iter[%s:=#%[(]*(%d+)()" },
	{ "iteration", "^iteration[%s:=#%[(]*(%d+)()" } }

--- Where a word begins in a line, a part of a longer name left out ("lora_epoch3" has no "epoch").
local function word_at(lower, word, from)
	local at = lower:find(word, from, true)
	while at and at > 1 and lower:find("^[%w_]", at - 1) and lower:sub(at - 7, at - 1) ~= "global_" do
		at = lower:find(word, at + 1, true)
	end
	return at
end

--- The epoch that a line names, and of how many.
local function epoch_of(lower)
	local at = word_at(lower, "epoch")
	while at do
		for _, pattern in ipairs(EPOCH_OF) do
			local index, total = lower:match(pattern, at)
			if index then
				return num.int(index), num.int(total)
			end
		end
		local index, after = lower:match(EPOCH, at)
		if index and not lower:find("^%.%d", after) and not lower:find("^%.p?[tc]", after) then
			return num.int(index)
		end
		at = word_at(lower, "epoch", at + 1)
	end
	local index, total = lower:match(TRAIN_OF)
	if not index and lower:find("ep", 1, true) then
		index, total = lower:match(EP_OF)
	end
	return num.int(index), num.int(total)
end

--- The step that a line names, and of how many.
local function step_of(lower)
	for _, kind in ipairs(STEPS) do
		local at = word_at(lower, kind[1])
		local step, after = lower:match(kind[2], at or #lower + 1)
		if step and not lower:find("^%.%d", after) then
			return num.int(step), num.int(lower:match("^%s*/%s*(%d+)", after)
				or lower:match("^%s+of%s+(%d+)", after))
		end
	end
end

--- Does the line show how far the epoch is, rather than what came of it?
local function shows_progress(lower)
	if lower:find("batch", 1, true) or lower:find("eta", 1, true) and lower:find("%f[%a]eta%f[%A]")
		or lower:find("%)]", 1, true) and lower:find("%(%d+%.?%d*%%%)%]") then
		return true
	elseif not lower:find("%d/%d") and not lower:find("%d/ *%d") then
		return false
	end
	local done, total = lower:match("%[?(%d+)/(%d+)%]?%s+%[[=>.━ ]")
	if not done then
		done, total = lower:match("^(%d+)/(%d+) [━ ]")
	end
	if done then
		return done ~= total -- Keras: the last redraw of a bar is the epoch's summary
	end
	return lower:find("%]%s*%[%s*%d+/%d+%]") ~= nil
		or lower:find("iter%a*%s*[:=%[]*%s*%d+/%d+") ~= nil
end

--- The evaluations of the newest epoch, or of the newest step where the log counts no epochs.
local function newest_values(run)
	local last, step = run.history[#run.history], not run.epoch and run.step or nil
	if not last or last.epoch ~= run.epoch or last.step ~= step then
		last = { epoch = run.epoch, step = step, values = {} }
		run.history[#run.history + 1] = last
	end
	return last.values
end

--- The split that the line as a whole is about: "Test set: ...", "Validate: ...", "[val] ...".
local function split_of(message)
	local word = message:match("^%W*(%a+)%s+set%f[%A]") or message:match("^%W*(%a+)%s*[%]:|-]+%s")
	local lower = word and word:lower()
	if lower == "validate" or lower == "validating" then
		return "val"
	end
	return lower and logs.SPLITS[lower] and lower or nil
end

local EVALUATED = { val = true, valid = true, validation = true, eval = true, evaluation = true,
	test = true, testing = true, dev = true }

--- Is the value one of an evaluation, by the first word of its name?
---@param name string
---@return boolean
function M.is_evaluation(name)
	return EVALUATED[(name:match("^%a+") or ""):lower()] ~= nil
end

local function take_field(run, field, rank, split, evaluated)
	local key = logs.key(field.name, split)
	evaluated = evaluated or M.is_evaluation(key)
	if field.meter or (rank == STEP_LINE and not evaluated) then
		rank = PROGRESS
	elseif rank == STEP_LINE then
		rank = SUMMARY
	end
	run.ranks[rank][key] = field.value
	if rank == SUMMARY then
		run.units[key] = field.unit
		run.epoch_done = true
		if evaluated then
			newest_values(run)[key] = field.value
		end
	end
end

local BEST_WORDS = { best = true, max = true, maximum = true, lowest = true, highest = true }

--- "Max accuracy: 91.00%" and "best_acc 93.1" name the best so far.
local function take_best(run, field)
	local first = field.name:match("^%a+")
	local word = first and BEST_WORDS[first:lower()]
	if not word then
		return false
	end
	local name = field.name:match("^%a+[%s_]+(%S.*)$")
	if name and logs.is_metric(name) and not name:lower():find("epoch") then
		local best = run.best or {}
		if best.value ~= field.value then
			best.epoch = best.saved and best.epoch or run.epoch
		end
		best.name, best.value, best.unit, best.saved = logs.key(name), field.value, field.unit, nil
		run.best = best
	end
	return true
end

--- How often each name stands in a line: `Train Loss: 1, Acc: 2 | Val Loss: 3, Acc: 4`.
local function counts_of(fields)
	local counts = {}
	for _, field in ipairs(fields) do
		counts[field.name] = (counts[field.name] or 0) + 1
	end
	return counts
end

local function take_fields(run, message, rank)
	local fields, split = logs.fields(message), split_of(message)
	local counts, near = counts_of(fields), nil -- the split of the value before
	local starred = message:find("^%*%s+Acc") ~= nil -- ImageNet's example closes its evaluation so
	for _, field in ipairs(fields) do
		local first = (field.name:match("^%a+") or ""):lower()
		near = logs.SPLITS[first] and first or near
		if not take_best(run, field) and (logs.is_metric(field.name) or logs.SPLITS[first]) then
			local of = split or (counts[field.name] > 1 and near) or nil
			take_field(run, field, rank, of, starred or (near and M.is_evaluation(near)))
		end
	end
end

--- "Accuracy of the network on the 10000 test images: 55 %"
local function take_prose(run, message)
	local name, middle, text, percent =
		message:match("^%W*(%a+) of the (.-):?%s+([%d.]+)%s?(%%?)$")
	local value = name and logs.is_metric(name) and num.any(text)
	if not value then
		return false
	end
	local split
	for word in middle:lower():gmatch("%a+") do
		split = logs.SPLITS[word] and word or split
	end
	local key = split and split .. "_" .. name:lower() or name
	run.ranks[PROSE][key] = value
	run.units[key] = percent == "%" and "percent" or run.units[key]
	return true
end

--- "val_loss improved from 0.5 to 0.4, saving model to best.h5" (Keras' ModelCheckpoint).
local function take_improvement(run, message)
	local name, text = message:match("([%w_]+) improved from %S+ to ([%d.eE+-]+%d)")
	local value = name and num.any(text)
	if value then
		run.best = { name = name, value = value, epoch = run.epoch, saved = true,
			checkpoint = logs.saved(message) }
	end
	return value ~= nil
end

--- A saved file; one that is called the best, and "Save best model!", mark the epoch as the best.
local function take_saved(run, message, lower)
	local path = logs.saved(message)
	if not path and not (lower:find("best", 1, true) and lower:find("%f[%a]sav")) then
		return
	end
	run.saved = path or run.saved
	if lower:find("best", 1, true) then
		run.best = run.best or {}
		run.best.checkpoint = path
		if run.best.epoch ~= run.epoch then
			run.best.epoch, run.best.saved = run.epoch, true
		end
	end
end

local function is_new_run(run, epoch)
	return run.epoch and epoch < run.epoch and epoch <= (run.first_epoch or 0)
end

--- Take what the line says about where the training is; returns the run, or the one that begins.
local function take_place(run, lower)
	local epoch, epochs = epoch_of(lower)
	if epoch then
		if is_new_run(run, epoch) then
			run = M.new(run.raw)
		end
		if epoch ~= run.epoch then
			run.epoch_done = false
		end
		run.first_epoch = run.first_epoch or epoch
		run.epoch, run.epochs = epoch, epochs or run.epochs
		run.fault, run.stopped, run.ending = nil, nil, nil
	end
	local step, steps = step_of(lower)
	if step then
		-- a step of so many within an epoch, or one that begins again, is no optimizer step
		run.inner = run.inner or (epoch and steps) or (run.step and step < run.step) or nil
		run.step, run.steps = step, steps or run.steps
	end
	return run, epoch, step
end

--- Keras' line of a later `evaluate`: it uses the names of the training's own values.
local function is_second_keras(run, lower)
	if not run.epoch_done or lower:find("val_", 1, true) or not lower:find("^%d+/%d+ [%[━-]") then
		return false
	end
	for name in pairs(newest_values(run)) do
		if name:find("^val_") then
			return true
		end
	end
	return false
end

--- Does training begin with this message? Before it, a log prints its settings.
---@param message string
---@return boolean
function M.begins(message)
	local lower = message:lower()
	return epoch_of(lower) ~= nil or step_of(lower) ~= nil or lower:find("%d%%|") ~= nil
end

local function take_plain(run, message)
	local lower = message:lower()
	local epoch, step
	run, epoch, step = take_place(run, lower)
	if lower:find("end[ -]of[ -]epoch") or (epoch and lower:find("complete")) then
		run.epoch_done = true
	end
	take_saved(run, message, lower)
	if take_improvement(run, message) or take_prose(run, message) then
		return run
	end
	local rank = (shows_progress(lower) or is_second_keras(run, lower)) and PROGRESS
		or (step and run.epoch and STEP_LINE) or SUMMARY
	take_fields(run, message, rank)
	return run
end

--- A dict that a Hugging Face Trainer printed.
local function take_dict(run, segment)
	local record = hf.console_record(segment)
	if not record then
		return false
	end
	local epoch, last = record.epoch, run.dicts[#run.dicts]
	if last and type(epoch) == "number" and type(last.epoch) == "number"
		and run.summary and epoch < last.epoch then
		run.dicts, run.summary = {}, nil -- another training follows in the same log
	end
	if record.train_runtime then
		run.summary = record
		run.ending = run.ending or "done"
	end
	run.dicts[#run.dicts + 1] = record
	run.fault, run.stopped = nil, nil
	return true
end

local function take_namespace(run, segment)
	local name = segment:match("([%w_]*Arguments)%(") or "Namespace"
	local found = segment:find(name .. "(", 1, true) and pydict.call(segment, name)
	if found then
		run.raw = hparams.merge(run.raw, found)
	end
	return found ~= nil
end

--- The banner and the tables that transformers prints around a training.
local function take_table(run, message)
	local title = message:match("^%*%*%*%*%* (.-) %*%*%*%*%*$")
	if title then
		run.table_of = title:match("^(%a+) metrics$")
		return true
	end
	local name, text = message:match("^([%a][%w_/. -]-)%s+=%s+(%S+)$")
	local value = name and num.any(text)
	if not value then
		return false
	elseif name == "Total optimization steps" then
		run.hf_steps = value
	elseif name == "Num Epochs" then
		run.hf_epochs = value
	elseif run.table_of then
		run.tables = run.tables or {}
		run.tables[name] = value
		return true
	end
	return name:find("^Num ") ~= nil or name:find("^Total ") ~= nil
end

local function take_fault(run, message, level, trace)
	local fault = trace(message)
	local stopped = logs.break_off(message)
	if fault or stopped then
		run.fault = fault or run.fault or message
		run.stopped = stopped or (pylog.is_interrupt(run.fault) and "interrupted") or "failed"
		return true
	elseif level == "ERROR" or level == "CRITICAL" then
		run.logged_error = message
	end
	return false
end

--- What a bar shows beside its count: `loss=0.3, acc=0.9`; and which epoch it is of.
local function take_bar(run, segment)
	run.bar = lines.tqdm(segment)
	local label = run.bar and run.bar.label:lower() or ""
	if label:find("epoch") then
		run = take_place(run, label)
		run.epoch_bar = label:find("^%W*epochs?%W*$") and run.bar or run.epoch_bar
	end
	if segment:find("[=:]%s*[%d.]+[,%]]") then
		local tail = segment:match("%[[^%[]*$")
		take_fields(run, tail, PROGRESS)
	end
	return run
end

--- A time stamp: of the beginning only before the first epoch.
local function take_time(run, time)
	if time then
		run.start_time = run.start_time or (not run.epoch_seen and time) or nil
		run.end_time = time
	end
	run.epoch_seen = run.epoch_seen or (run.epoch ~= nil and not run.start_time)
	return run
end

local function take_line(run, segment, trace)
	if segment:find("%|", 1, true) and lines.tqdm(segment) then
		return take_bar(run, segment)
	elseif segment:find("{'", 1, true) and take_dict(run, segment) then
		return run
	elseif segment:find("Namespace(", 1, true) or segment:find("Arguments(", 1, true) then
		if take_namespace(run, segment) then
			return run
		end
	end
	local message, time, level = logs.message(segment)
	if take_fault(run, message, level, trace) or take_table(run, message) then
		return take_time(run, time)
	end
	local ending = logs.ending(message)
	if ending then
		run.ending = run.ending == "early" and "early" or ending
		run.fault, run.stopped = nil, nil
	end
	local before = run.epoch
	run = take_time(take_plain(run, message), time)
	if not time and run.epoch ~= before then
		run.end_time = nil -- the stamps are another program's, and not of the end
	end
	return run
end

--- Is the segment surely one of a row in which only the last matters (see th.logs.thin)?
---@param segment string
---@return any
function M.is_progress(segment)
	return segment:find("^%d+/%d+[%] ]")
		or segment:find("[^/%d]%d+/%d+[%] ]") -- but "11/13/2025 " is a day
		or segment:find("^{'loss': ") or segment:find("atch ", 1, true)
end

--- Read the last training of a log.
---@param iterator th.LineIterator its rows of progress may be thinned
---@param raw? table<string, any> hyperparameters known before
---@return th.ConsoleRun
function M.read(iterator, raw)
	local run, trace = M.new(raw), pylog.traceback_reader()
	for segment in iterator do
		if segment:find("\b", 1, true) then
			segment = segment:match("[^\b]*$") -- Keras wipes its bar with backspaces
		end
		if segment ~= "" then
			run = take_line(run, segment, trace)
		end
	end
	return run
end

return M
