--- Stage 1: LayoutXLM token classification, trained by run_hrdoc.py with Hugging Face's Trainer.
--
-- What counts, strongest first: trainer_state.json and eval_results.json (which hold the metrics of
-- the best checkpoint, because the best model is loaded before the last evaluation), the state of
-- the newest checkpoint, the console, TensorBoard's event file.
local check = require("th.check")
local hf = require("th.hf_trainer")
local home = require("th.home")
local hparams = require("th.hparams")
local iso = require("th.iso")
local metrics = require("th.metrics")
local num = require("th.num")
local runlog = require("th.runlog")
local hf_run = require("th.hf_sources")

---@type th.StagePlugin
local M = {
	api = 1,
	kind = "stage",
	name = "stage1",
	version = "1.0.0",
	summary = "LayoutXLM token classification of document lines",
	dir = "stage1",
	model_name = "layoutxlm_token_classifier",
	inputs = {
		log = "@log?",
		state = "trainer_state.json?",
		saved_states = "checkpoint-*/trainer_state.json?",
		checkpoints = "checkpoint-*/?",
		eval = "eval_results.json?",
		train = "train_results.json?",
		all = "all_results.json?",
		test = "test_results.json?",
		config = "config.json?",
		weights = "pytorch_model.bin?",
		safetensors = "model.safetensors?",
		events = "runs/*/events.out.tfevents.*?",
	},
	metrics = {
		f1 = { goal = "max", min = 0, max = 1, primary = true },
		macro_f1 = { goal = "max", min = 0, max = 1 },
		macro_f1_all = { goal = "max", min = 0, max = 1 },
		precision = { goal = "max", min = 0, max = 1 },
		recall = { goal = "max", min = 0, max = 1 },
		accuracy = { goal = "max", min = 0, max = 1 },
		val_loss = { goal = "min" },
		train_loss = { goal = "min" },
	},
	progress = {
		{ find = "%|", match = "| +(%d+)/(%d+) %[", set = { "step", "steps_total" } },
		{ find = "{'loss': ", match = "'loss': '?([%d.]+)", set = { "train_loss" } },
		{ find = "'epoch': ", match = "'epoch': '?([%d.]+)", set = { "epoch" } },
		{ find = "'eval_macro_f1': ", match = "'eval_macro_f1': '?([%d.]+)", set = { "macro_f1" } },
	},
}

-- Metrics -------------------------------------------------------------------------------------

--- Evaluations that describe the final model: the file written after the best model was loaded,
-- else the evaluation of the best checkpoint, else the last one.
local function final_evaluation(ctx, facts, console)
	local run, from = facts.run, facts.from
	if facts.final then
		for _, input in ipairs({ "eval", "all" }) do
			local values = metrics.strip(hf.results(hf.load_or_warn(ctx, input)), "eval_")
			if next(values) then
				return values, M.inputs[input]:gsub("%?$", "") .. ":eval_"
			end
		end
		if from == "log" and console.final_eval then
			return metrics.strip(hf.metrics_of(console.final_eval), "eval_"), "log: last evaluation, "
		end
	end
	local at_best = run.best and hf.eval_at(run, run.best.step)
	if at_best then
		return metrics.strip(at_best, "eval_"), ("%s: evaluation at the best step %s, eval_"):format(
			from, run.best.step)
	end
	local best = metrics.best(run.evals, "eval_macro_f1", "max")
	if best then
		return metrics.strip(hf.metrics_of(best), "eval_"), from .. ": best eval_macro_f1, eval_"
	end
	return metrics.strip(hf.last_eval(run), "eval_"), from .. ": last evaluation, eval_"
end

local AVERAGES = { macro = true, micro = true, weighted = true, overall = true }
local PER_CLASS = { f1 = "per_class_f1", precision = "per_class_precision",
	recall = "per_class_recall", gt_count = "per_class_support" }

-- Names of tables of ours; a number of that name has no place.
local GROUPS = { confusion = true }
for _, group in pairs(PER_CLASS) do
	GROUPS[group] = true
end

--- Is `<class>_f1` a class's value? Then its precision and recall are there too.
local function is_class(values, class)
	return not AVERAGES[class] and values[class .. "_precision"] ~= nil
		and values[class .. "_recall"] ~= nil and values[class .. "_f1"] ~= nil
end

--- Where a value goes: table, name; or nothing for what is not kept.
local function place(values, name)
	local pair = name:match("^confusion_(.+)$")
	if pair then
		return "confusion", pair
	elseif name == "loss" then
		return nil, "val_loss"
	elseif GROUPS[name] then
		return nil
	end
	for suffix, group in pairs(PER_CLASS) do
		local class = name:match("^(.+)_" .. suffix .. "$")
		if class and is_class(values, class) then
			return group, class
		end
	end
	local counted = name:match("^(.+)_pred_count$")
	return nil, not (counted and is_class(values, counted)) and name or nil
end

local function shape(values, from)
	local out, sources = {}, {}
	for _, key in ipairs(metrics.sorted_keys(values)) do
		local group, name = place(values, key)
		if group then
			out[group] = out[group] or {}
			out[group][name] = values[key]
			sources["metrics." .. group] = from .. "<class>"
		elseif name then
			out[name], sources["metrics." .. name] = values[key], from .. key
		end
	end
	return out, sources
end

--- Means over the classes that occur, as the pipeline averages F1. Only given when the same mean
-- over F1 is the file's macro_f1: that proves that these are the classes it averaged.
local function macro_means(values)
	local lists, count = { f1 = {}, precision = {}, recall = {} }, 0
	for _, key in ipairs(metrics.sorted_keys(values)) do -- a sum depends on its order
		local class = key:match("^(.+)_gt_count$")
		if class and is_class(values, class)
			and values[key] + (values[class .. "_pred_count"] or 0) > 0 then
			count = count + 1
			for name, list in pairs(lists) do
				list[count] = values[class .. "_" .. name]
			end
		end
	end
	local f1 = metrics.mean(lists.f1)
	if f1 and values.macro_f1 and math.abs(f1 - values.macro_f1) < 1e-6 then
		return {
			precision = metrics.mean(lists.precision), recall = metrics.mean(lists.recall),
		}, count
	end
	return {}, 0
end

--- The design's names where the pipeline uses others.
local function add_design_names(out, sources, values)
	if not out.f1 and out.macro_f1 then
		out.f1, sources["metrics.f1"] = out.macro_f1, sources["metrics.macro_f1"]
	end
	local means, classes = macro_means(values)
	for _, name in ipairs({ "precision", "recall" }) do
		if not out[name] and means[name] then
			out[name] = means[name]
			sources["metrics." .. name] =
				("derived: mean of %s over %d classes that occur"):format(name, classes)
		end
	end
end

--- The mean training loss. After a resume Trainer divides the loss of the rest by all steps: then
-- it is left out.
local function add_train_loss(ctx, out, sources, facts, resumed)
	local file = facts.final and hf.load_or_warn(ctx, "train") or nil
	local loss = file and file.train_loss or facts.run.train and facts.run.train.train_loss
	if type(loss) == "number" and not resumed then
		out.train_loss = loss
		sources["metrics.train_loss"] = file and "train_results.json:train_loss"
			or facts.from .. ":train_loss"
	end
end

local function collect_metrics(ctx, facts, console)
	local values, from = final_evaluation(ctx, facts, console)
	local out, sources = shape(values, from)
	add_design_names(out, sources, values)
	add_train_loss(ctx, out, sources, facts, console.resumed)
	local test = facts.final and metrics.strip(hf.results(hf.load_or_warn(ctx, "test")), "test_") or {}
	if next(test) then
		out.test, sources["metrics.test"] = shape(test, "")
		sources["metrics.test"] = "test_results.json"
	end
	return out, sources
end

-- The rest of the entry -----------------------------------------------------------------------

local function final_checkpoint(ctx, run)
	local best, list = run.best and run.best.checkpoint, ctx:list("checkpoints")
	if best and home.names(ctx, "checkpoints")[best] then
		return best
	elseif #list > 0 then
		local newest = list[#list].name
		if best then
			ctx.log.warn(("best checkpoint '%s' is gone; naming '%s'"):format(best, newest))
		end
		return newest
	elseif best then
		ctx.log.warn(("best checkpoint '%s' is not in the directory"):format(best))
		return best
	end
	for _, input in ipairs({ "safetensors", "weights" }) do
		if ctx:has(input) then
			return (M.inputs[input]:gsub("%?$", ""))
		end
	end
end

local function base_model(ctx, settings, events)
	local config = hf.load_or_warn(ctx, "config")
	local path = home.setting(settings, "model_name_or_path", "model_path")
		or hf_run.event_text(events, "model_config/text_summary")._name_or_path
		or type(config) == "table" and config._name_or_path
	return type(path) == "string" and path ~= "" and path or nil
end

local function outcome_of(ctx, facts, console)
	local outcome, problem = runlog.outcome(console)
	if hf_run.has_fault(console) then
		return outcome, problem
	elseif outcome == "completed" and problem then
		ctx.log.warn("after the end of the training: " .. problem)
	end
	local word = hf.contract_outcome(facts.run.outcome)
	return word, word == "interrupted" and "the training stopped before its planned end" or nil
end

local function steps_of(facts, console, ended_well)
	local seen, how = hf_run.console_steps(console, facts.run.planned.max_steps)
	if not ended_well and seen and seen > (facts.run.steps or 0) then
		return seen, how
	end
	return facts.run.steps, facts.from == "log" and how
		or facts.run.steps and facts.from .. ":global_step" or nil
end

local NOTHING = {
	code = "no_data", message = "no trainer_state.json, checkpoint, log or event file of a training",
	hint = "is this the Trainer's output_dir?",
}

function M.extract(ctx)
	local console = hf_run.console(ctx)
	local events, event_err = hf_run.events(ctx)
	local facts, err = hf_run.facts(ctx, console, events)
	if not facts then
		return nil, err and err.code ~= "no_data" and err or event_err or NOTHING
	elseif event_err then
		ctx.log.warn(event_err.message)
	end
	local outcome, problem = outcome_of(ctx, facts, console)
	local values, sources = collect_metrics(ctx, facts, console)
	local steps
	steps, sources.steps = steps_of(facts, console, problem == nil)
	local timed = facts.from == "TensorBoard events" and events or {}
	return {
		outcome = outcome,
		error = problem,
		metrics = values,
		sources = sources,
		steps = steps,
		resumed_from = steps and console.resumed_from,
		epochs = num.tidy(facts.run.epochs),
		planned = next(facts.run.planned) and facts.run.planned or nil,
		final_checkpoint = final_checkpoint(ctx, facts.run),
		base_model = base_model(ctx, home.settings(ctx), events),
		start_time = console.start_time or timed.first_time and iso.from_unix(timed.first_time),
		end_time = console.end_time or timed.last_time and iso.from_unix(timed.last_time),
	}
end

--- TrainingArguments from the log, else from TensorBoard.
local function training_arguments(ctx)
	if ctx:has("log") then
		local found, is_cut = hparams.training_arguments(ctx:lines("log", "TrainingArguments("))
		if is_cut then -- one line per field: now every line is needed
			found = hparams.training_arguments(ctx:lines("log"))
		end
		if found then
			return found
		end
	end
	return hf_run.event_text(hf_run.events(ctx), "args/text_summary")
end

function M.hyperparams(ctx, raw)
	local stated = home.hyperparams(ctx, home.settings(ctx, raw))
	local arguments = training_arguments(ctx)
	local values, problems = hparams.standard(arguments)
	for _, problem in ipairs(problems) do
		ctx.log.warn("TrainingArguments: " .. problem)
	end
	return hparams.settle_hf(hparams.merge(stated, values), arguments)
end

local ENTRY = check.fields({
	metrics = check.all(
		check.fields({ f1 = check.optional(check.fraction), accuracy = check.optional(check.fraction) }),
		check.warning(check.that(next, "no_metrics", "nothing was evaluated (no --do_eval?)"))),
})

function M.validate(_, entry)
	return ENTRY(entry, "entry")
end

return M
