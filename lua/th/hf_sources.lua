--- Where the facts of a Hugging Face run come from: states on disk, the console, event files.
--
-- The plugin must declare the inputs `log`, `state`, `saved_states` and `events` (all may be
-- optional); see plugins/stage1.lua for their patterns.
local hf = require("th.hf_trainer")
local hparams = require("th.hparams")
local json = require("th.json")
local metrics = require("th.metrics")
local num = require("th.num")
local runlog = require("th.runlog")
local tfevents = require("th.tfevents")

local M = {}

---@class th.HfConsole : th.Run
---@field records table<string, any>[] the dicts that were printed
---@field bars table<integer, integer> total -> done, of the progress bars
---@field trained boolean? the summary with train_runtime was printed
---@field final_eval table<string, any>? the evaluation after it, of the loaded best model
---@field max_steps integer?
---@field num_epochs integer?
---@field saved_step integer? newest checkpoint that was announced
---@field best table? best_model_checkpoint, best_metric
---@field resumed boolean?

-- The console ---------------------------------------------------------------------------------

local function keep_record(run, message)
	local record = hf.console_record(message)
	if not record then
		return
	end
	run.records[#run.records + 1] = record
	if record.train_runtime then
		run.trained, run.finished, run.error = true, true, nil
	elseif run.trained then
		run.final_eval = record -- evaluate() of the loaded best model
	end
end

local function keep_saved(run, step)
	run.saved_step = math.max(run.saved_step or 0, num.int(step) or 0)
end

local function new_run(run)
	run.records, run.bars = {}, {}
end

--- Trainer begins to train: what another training printed before is not this one's. (What the
--- script printed about this run before, its arguments, stays.)
local function restart(run)
	new_run(run)
	run.trained, run.final_eval, run.finished, run.error = nil, nil, false, nil
end

local RULES = {
	{ find = "Process rank: ", start = true },
	{ find = "{'", on = keep_record },
	{ find = "Total optimization steps = ", match = "steps = ([%d,]+)", on = function(run, text)
		run.max_steps = num.int(text)
	end },
	{ find = "TrainingArguments(", match = "max_steps=([1-9]%d*)", on = function(run, text)
		run.max_steps = num.int(text)
	end },
	{ find = "Num Epochs = ", match = "Epochs = ([%d,]+)", on = function(run, text)
		run.num_epochs = num.int(text)
	end },
	{ find = "Saving model checkpoint to ", match = "checkpoint%-(%d+)", on = keep_saved },
	{ find = "Copied tokenizer.json to ", match = "checkpoint%-(%d+)", on = keep_saved },
	{ find = "Loading best model from ", match = "from (.-) %(score: ([%d.]+)",
		on = function(run, path, score)
			run.best = { best_model_checkpoint = path, best_metric = num.float(score) }
		end },
	{ find = "Continuing training from ", on = function(run) run.resumed = true end },
	{ find = "Continuing training from global step ", match = "global step ([%d,]+)",
		on = function(run, text)
			run.resumed_from = num.int(text)
		end },
	{ find = "--resume_from_checkpoint", on = function(run) run.resumed = true end },
	{ find = "***** Running training *****", on = restart },
	{ find = "Training completed successfully!", finish = true, close = true },
	{ find = "Training failed!", fail = true },
}

local function on_bar(run, bar)
	run.bars[bar.total] = bar.done
end

--- The literals that `read_console` needs of a log.
---@return string ...
function M.needles()
	return runlog.needles(RULES)
end

--- Read the last run in a log.
---@param iterator th.LineIterator its lines, filtered by `needles`
---@return th.HfConsole
function M.read_console(iterator)
	return runlog.read(iterator, RULES, new_run, on_bar)
end

--- Read the last run in the log of input `log`; an empty run when there is none.
---@param ctx th.Ctx
---@return th.HfConsole
function M.console(ctx)
	if not ctx:has("log") then
		return { records = {}, bars = {}, seen = false, finished = false, failed = false }
	end
	return M.read_console(ctx:lines("log", M.needles()))
end

--- The global step that the console shows: the training's bar (its total is the plan), or the
-- newest checkpoint that was announced.
---@param console th.HfConsole
---@param max_steps integer? the plan
---@return integer? steps
---@return string? source
function M.console_steps(console, max_steps)
	local from_bar = max_steps and console.bars[max_steps]
	if from_bar and from_bar >= (console.saved_step or 0) then
		return from_bar, "log: progress bar"
	end
	return console.saved_step, console.saved_step and "log: newest checkpoint saved"
end

-- Facts: one view of the run, from whichever source is there ----------------------------------

---@class th.HfFacts
---@field run th.HfRun
---@field from string file, "log" or "TensorBoard events", for `sources`
---@field final boolean the state was saved after the training, so *_results.json belong to it

local function load_state(ctx, input, name)
	local value, err = hf.load(ctx, input, name)
	local run
	if value ~= nil then
		run, err = hf.state(value)
	end
	return run, err
end

--- The newest state on disk: a checkpoint that is ahead of the top-level file belongs to a resumed
-- run that did not end.
local function facts_from_states(ctx, has_fault)
	local top, err = load_state(ctx, "state")
	local list = ctx:list("saved_states")
	local newest = list[#list] and list[#list].name
	local saved = newest and load_state(ctx, "saved_states", newest)
	if top and not has_fault and not (saved and saved.steps > top.steps) then
		return { run = top, from = "trainer_state.json", final = top.train ~= nil }
	elseif saved then
		return { run = saved, from = newest, final = false }, err
	end
	return nil, err
end

local function facts_from_console(console)
	if not console.seen and not console.error then
		return nil
	end
	-- A bar counts only when its total is a plan that the log states: data sets draw bars too.
	local max_steps = console.max_steps
	local known = { max_steps = max_steps, num_epochs = console.num_epochs, best = console.best }
	known.steps = M.console_steps(console, max_steps)
	return { run = hf.console_run(console.records, known), from = "log", final = console.trained }
end

--- The newest event file, by the time in its name (folders are named by month).
---@param ctx th.Ctx
---@return th.EventLog?
---@return th.Error?
function M.events(ctx)
	local newest, newest_time
	for _, file in ipairs(ctx:list("events")) do
		local time = tonumber(file.name:match("tfevents%.(%d+)")) or 0
		if not newest_time or time > newest_time then
			newest, newest_time = file.name, time
		end
	end
	if not newest then
		return nil
	end
	local bytes, err = ctx:read("events", newest)
	if not bytes then
		return nil, err
	end
	local log, problem = tfevents.decode(bytes)
	if problem then
		problem.input, problem.path = "events", newest
	end
	return log, problem
end

--- A JSON text summary such as "args/text_summary"; an empty table when there is none.
---@param events th.EventLog?
---@param tag string
---@return table<string, any>
function M.event_text(events, tag)
	local text = events and events.texts[tag]
	return text and json.decode(text) or {}
end

local function eval_records(events)
	local at = {}
	for tag, series in pairs(events.scalars) do
		local name = tag:match("^eval/(.+)$")
		for _, point in ipairs(name and series or {}) do
			at[point.step] = at[point.step] or { step = point.step }
			at[point.step]["eval_" .. name] = num.float32(point.value)
		end
	end
	local records = {}
	for _, step in ipairs(metrics.sorted_keys(at)) do
		records[#records + 1] = at[step]
	end
	return records
end

local function facts_from_events(events)
	local arguments = hparams.standard(M.event_text(events, "args/text_summary"))
	local max_steps = arguments.max_steps and arguments.max_steps > 0 and arguments.max_steps or nil
	local trained = events.scalars["train/train_runtime"] ~= nil
	local steps = events.last_step
	return { from = "TensorBoard events", final = false, run = {
		steps = steps, evals = eval_records(events),
		planned = { max_steps = max_steps, num_epochs = not max_steps and arguments.num_epochs or nil },
		outcome = steps and hf.outcome(steps, max_steps, trained) or "incomplete_state",
	} }
end

--- Did the last run in the log end with a fault, or was it stopped?
---@param console th.HfConsole
---@return boolean
function M.has_fault(console)
	local outcome = runlog.outcome(console)
	return outcome == "failed" or (outcome == "interrupted" and console.error ~= nil)
end

--- The best source that is there: the states on disk, the console, the events. After a fault the
-- top-level state is an earlier run's, and is left aside.
---@param ctx th.Ctx
---@param console th.HfConsole
---@param events th.EventLog?
---@return th.HfFacts? facts
---@return th.Error? err why a state that is there cannot be used
function M.facts(ctx, console, events)
	local facts, err = facts_from_states(ctx, M.has_fault(console))
	facts = facts or facts_from_console(console) or (events and facts_from_events(events)) or nil
	if not facts then
		return nil, err
	elseif err and err.code ~= "no_data" then
		ctx.log.warn(err.message .. "; read " .. facts.from .. " instead")
	end
	return facts
end

return M
