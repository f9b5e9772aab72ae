--- An output directory of Hugging Face's Trainer, TRL or LLaMA-Factory.
--
-- What counts, strongest first: the newest trainer_state.json, trainer_log.jsonl, the
-- *_results.json files (for what was measured they come first), a log beside, the model card. When
-- two of them say different things the reading has both.
local card_of = require("th.hf_card")
local hf = require("th.hf_trainer")
local hparams = require("th.hparams")
local metrics = require("th.metrics")
local num = require("th.num")
local output = require("th.hf_output")
local runlog = require("th.runlog")
local sources = require("th.hf_sources")
local tensorboard = require("th.tensorboard")
local trainer_log = require("th.hf_log")

local M = { title = "Hugging Face Trainer" }

-- Recognition ---------------------------------------------------------------------------------

local STATE_FIELDS = { '"log_history"', '"is_world_process_zero"', '"best_model_checkpoint"',
	'"num_train_epochs"', '"max_steps"' }

local function finds_any(text, literals)
	for _, literal in ipairs(literals) do
		if text:find(literal, 1, true) then
			return literal
		end
	end
end

local function judge_state(head)
	if not head:find('"global_step"%s*:%s*%d') then
		return nil
	elseif finds_any(head, STATE_FIELDS) then
		return 90, "has global_step and the Trainer's other fields"
	elseif head:find('"best_metric"', 1, true) then
		return 40, "has global_step and best_metric, but no log"
	end
end

local function judge_results(head)
	local key = head:match('"(%a[%w_]*_runtime)"%s*:%s*%d')
		or head:match('"(eval_[%w_]+)"%s*:%s*[%dN-]')
	if key then
		return 80, "has " .. key
	end
end

local function judge_log(head)
	if head:find('"current_steps"%s*:%s*%d') and head:find('"total_steps"%s*:%s*%d') then
		return 90, "has the lines of LLaMA-Factory"
	end
end

local JUDGES = {
	{ "**/trainer_state.json", judge_state }, { "**/trainer_log.jsonl", judge_log },
	{ "**/*_results.json", judge_results },
}

--- The directory of the run that a file belongs to: a checkpoint is part of the run above.
local function run_of(name)
	local dir = name:match("^(.*)/[^/]+$") or "."
	return (dir:gsub("/checkpoint%-%d+$", ""):gsub("^checkpoint%-%d+$", "."))
end

--- Runs by directory, with the surest sign of each and its newest time.
local function find_runs(folder)
	local runs, by_dir = {}, {}
	for _, judge in ipairs(JUDGES) do
		for _, file in ipairs(folder:files(judge[1])) do
			local head = folder:head(file.name)
			local score, why = judge[2](head)
			if hf.lfs_error(head) then
				score, why = 60, "is a git-LFS pointer with the Trainer's name"
			end
			if score then
				local dir = run_of(file.name)
				local run = by_dir[dir] or { dir = dir, score = 0, mtime = "" }
				if not by_dir[dir] then
					by_dir[dir], runs[#runs + 1] = run, run
				end
				if score > run.score then
					run.score, run.why = score, ("%s %s"):format(file.name, why)
				end
				run.mtime = file.mtime > run.mtime and file.mtime or run.mtime
			end
		end
	end
	return runs
end

--- The folder itself first, then the newest.
local function sorted_runs(folder)
	local runs = find_runs(folder)
	table.sort(runs, function(a, b)
		if (a.dir == ".") ~= (b.dir == ".") then
			return a.dir == "."
		elseif a.mtime ~= b.mtime then
			return a.mtime > b.mtime
		end
		return a.dir < b.dir
	end)
	return runs
end

--- A folder with no record of the training, only signs that the Trainer was here.
local function recognise_signs(folder)
	local head = folder:has("README.md") and folder:head("README.md") or ""
	if head ~= "" and card_of.parse(head).generated then
		return { score = 60, why = "README.md is a model card that a trainer wrote" }
	end
	local log, mark = output.log(folder)
	if log then
		return { score = 50, why = ("%s shows the Trainer: %s"):format(log, mark) }
	elseif folder:has("adapter_config.json")
		and folder:head("adapter_config.json"):find('"peft_type"', 1, true) then
		return { score = 20, why = "adapter_config.json is PEFT's" }
	end
end

---@param folder th.Folder
---@return th.Recognised?
function M.recognise(folder)
	local runs, names, best = sorted_runs(folder), {}, nil
	for index, run in ipairs(runs) do
		names[index] = run.dir
		best = (not best or run.score > best.score) and run or best
	end
	if not best then
		return recognise_signs(folder)
	end
	return { score = best.score, why = best.why,
		runs = (#names > 1 or names[1] ~= ".") and names or nil }
end

-- Facts ---------------------------------------------------------------------------------------

---@class th.HfFound everything that the directory says, not yet weighed
---@field out th.HfOutput
---@field state th.HfState?
---@field log th.HfLog?
---@field results th.HfResult[]
---@field card th.HfCard?
---@field console th.HfConsole?
---@field arguments th.HfArguments[] strongest first
---@field flags table<string, string|true> of the command line

local function find_log(found, folder)
	local name, _, size = output.log(folder)
	found.arguments, found.flags = {}, {}
	if not name then
		return
	end
	found.console_name = name
	found.console = output.console(folder, name)
	found.flags = output.logged_flags(folder, name)
	local raw = output.logged_arguments(folder, name, size)
	found.arguments[1] = raw and { from = name .. ": TrainingArguments", raw = raw } or nil
end

local function find_arguments(found, folder)
	local raw, base, from = tensorboard.arguments(folder)
	if next(raw) then
		table.insert(found.arguments, { from = from .. ": args/text_summary", raw = raw })
		found.event_base, found.event_name = output.text(base), from
	end
	for _, arguments in ipairs(output.argument_files(found.out)) do
		table.insert(found.arguments, arguments)
	end
end

local function gather(folder)
	local out = output.open(folder)
	local found = { out = out, state = output.newest_state(out), results = output.results(out) }
	if folder:has("trainer_log.jsonl") then
		if hf.lfs_error(folder:head("trainer_log.jsonl")) then
			table.insert(out.pointers, "trainer_log.jsonl")
		else
			found.log = trainer_log.read(folder:lines("trainer_log.jsonl"))
		end
	end
	if folder:has("README.md") and not hf.lfs_error(folder:head("README.md")) then
		found.card = card_of.parse(folder:read("README.md", 0, 1 << 16) or "")
	end
	find_log(found, folder)
	find_arguments(found, folder)
	return found
end

local function console_counts(found)
	return found.console and (#found.console.records > 0 or found.console.seen) or false
end

--- Is there anything that a training left?
local function has_record(found)
	return found.state or found.log or #found.results > 0 or console_counts(found)
		or found.card and found.card.generated
end

-- The reading, part by part -------------------------------------------------------------------

local function disagree(reading, what, taken_from, taken, from, value)
	reading.disagreements = reading.disagreements or {}
	table.insert(reading.disagreements, { what = what,
		values = { { from = taken_from, value = taken }, { from = from, value = value } } })
end

local function progress(final, planned)
	return (final or planned) and { final = final, planned = planned } or nil
end

local function add_state_progress(reading, found)
	local state = found.state
	local run, other = state.run, state.other
	reading.steps = progress(run.steps, run.planned.max_steps)
	reading.epochs = progress(run.epochs, run.planned.num_epochs)
	reading.sources.steps = state.from .. ": global_step"
	reading.sources.epochs = reading.epochs and state.from .. ": epoch" or nil
	if other then
		disagree(reading, "steps", state.from, run.steps, other.from, other.run.steps)
		found.out.folder:warn(("%s is at step %d and %s at step %d; read %s"):format(
			state.from, run.steps, other.from, other.run.steps, state.from))
	end
	if found.log and found.log.steps ~= run.steps then
		disagree(reading, "steps", state.from, run.steps, "trainer_log.jsonl", found.log.steps)
	end
end

--- Steps come from a counter: the state's, trainer_log.jsonl's or, when neither is there, the
--- console's. Printed epochs are rounded and tell nothing of the plan, so they are left out.
local function add_progress(reading, found, predict_only)
	local log, console = found.log, found.console
	if found.state then
		add_state_progress(reading, found)
	elseif log and not predict_only then
		reading.steps = progress(log.steps, log.planned)
		reading.sources.steps = "trainer_log.jsonl: current_steps, last line"
	elseif console_counts(found) and #found.results == 0 then
		local steps, how = sources.console_steps(console, console.max_steps)
		reading.steps = progress(steps, console.max_steps)
		reading.sources.steps = reading.steps and (how or "log: Total optimization steps") or nil
	end
	reading.resumed_from = log and log.resumed_from or console and console.resumed_from or nil
end

-- Outcome

--- Did the script measure or predict, and train nothing? LLaMA-Factory's log then counts the
--- batches of the prediction, with no loss, rate or epoch.
local function is_predict_only(found)
	if found.state or found.log and found.log.trained then
		return false
	elseif #found.results == 0 then
		return found.log ~= nil
	end
	local predicted = false
	for _, result in ipairs(found.results) do
		if next(result.train) then
			return false
		end
		for key in pairs(result.metrics) do
			if not key:find("^predict_") and not key:find("^test_") then
				return false
			end
			predicted = true
		end
	end
	return predicted
end

--- A checkpoint at the planned end, and results with the training's summary beside: it ended well,
--- only its state was not saved at the top.
local function ended_in_results(found)
	local run = found.state.run
	for _, result in ipairs(found.results) do
		if result.train.train_runtime and run.outcome == "reached_max_steps_no_summary"
			and found.state.from ~= "trainer_state.json" and not found.state.other then
			return result.from
		end
	end
end

--- What the log says when it ends with a fault.
local function fault_of(console)
	if console and sources.has_fault(console) then
		return runlog.outcome(console)
	elseif console and console.trained then
		local _, problem = runlog.outcome(console)
		return problem and "completed_then_crashed", problem
	end
end

local function known_outcome(found, predict_only)
	if found.state then
		local from = ended_in_results(found)
		if from then
			return "completed", "inferred: " .. from .. ": train_runtime"
		end
		return found.state.run.outcome, "inferred: " .. found.state.from
			.. ": global_step, max_steps, train_runtime"
	elseif predict_only then
		local from = found.results[1] and found.results[1].from or "trainer_log.jsonl"
		return "predict_only", "inferred: " .. from .. ": nothing of a training"
	elseif console_counts(found) and #found.results == 0 and not found.log then
		local console = found.console
		local word = console.trained and "completed" or "interrupted"
		return word, "inferred: " .. found.console_name .. ": train_runtime"
	end
end

local ENDED = { completed = true, completed_early = true, reached_max_steps_no_summary = true }

local function add_outcome(reading, found, predict_only)
	local word, from = known_outcome(found, predict_only)
	local fault, problem = fault_of(found.console)
	if fault and ENDED[word] then
		fault = "completed_then_crashed"
	end
	reading.outcome, reading.error = fault or word, problem
	reading.sources.outcome = fault and "inferred: " .. found.console_name .. ": its last fault"
		or from
end

-- Metrics

--- The last evaluation that the best record of the run has, and where that is.
local function last_evaluation(found)
	if found.state and #found.state.run.evals > 0 then
		local values, step = hf.last_eval(found.state.run)
		return values, ("%s: last evaluation, step %s"):format(found.state.from, tostring(step))
	elseif found.log and #found.log.evals > 0 then
		local record = found.log.evals[#found.log.evals]
		return hf.metrics_of(record), "trainer_log.jsonl: last evaluation, step " .. record.step
	elseif console_counts(found) then
		local run = hf.console_run(found.console.records, {})
		local final = found.console.final_eval
		return final and hf.metrics_of(final) or hf.last_eval(run), found.console_name .. ": printed"
	end
	return {}, nil
end

--- Metrics of the results files. A later file may say something else than all_results.json.
local function result_metrics(reading, found)
	local values, from = {}, {}
	for _, result in ipairs(found.results) do
		for key, value in pairs(result.metrics) do
			if values[key] ~= nil and not num.agrees(values[key], value) then
				disagree(reading, "final_metrics." .. key, result.from, value, from[key], values[key])
			end
			values[key], from[key] = value, result.from
		end
	end
	return values, from
end

--- Results belong to the state that was saved with them, not to a run that went on since.
local function results_are_older(found)
	local state = found.state
	return state ~= nil and state.other ~= nil and state.from ~= "trainer_state.json"
		and state.other.run.train ~= nil
end

local function compare_metrics(reading, taken, taken_from, others, from)
	for _, key in ipairs(metrics.sorted_keys(taken)) do
		local other = others[key]
		if other ~= nil and not num.agrees(taken[key], other) then
			disagree(reading, "final_metrics." .. key, taken_from[key] or taken_from.all, taken[key],
				from, other)
		end
	end
end

--- The results files hold what was measured after the training, of the best model when it was
--- loaded; the log's last evaluation is of the last step.
local function add_metrics(reading, found)
	local results, from = result_metrics(reading, found)
	local logged, logged_from = last_evaluation(found)
	local older = results_are_older(found)
	if next(results) and not (older and next(logged)) then
		reading.final_metrics = results
		compare_metrics(reading, results, from, logged, logged_from)
	else
		reading.final_metrics, from = logged, { all = logged_from }
		if next(results) then
			compare_metrics(reading, logged, from, results, "results of the run before")
		end
	end
	if not next(reading.final_metrics) and found.card and not found.state then
		reading.final_metrics, from = found.card.results, { all = "README.md: rounded results" }
	end
	for key in pairs(reading.final_metrics) do
		reading.sources["final_metrics." .. key] = from[key] or from.all
	end
end

--- The best that the file declares, else the best of a log that cannot declare one.
local function add_best(reading, found)
	local run = found.state and found.state.run
	local declared = run and run.best
	if declared then
		reading.best = { metric = declared.metric, value = declared.value, step = declared.step,
			mode = declared.metric and metrics.goal(declared.metric) or nil,
			epoch = declared.epoch, checkpoint = declared.path, declared = true,
			checkpoint_name = declared.checkpoint, values = hf.eval_at(run, declared.step) }
		reading.sources.best = found.state.from .. ": best_metric"
	elseif not run and found.log then
		reading.best = trainer_log.best(found.log.evals)
		reading.sources.best = reading.best and "derived: trainer_log.jsonl" or nil
	elseif not run and #found.results == 0 and console_counts(found) then
		reading.best = trainer_log.best(hf.console_run(found.console.records, {}).evals)
		reading.sources.best = reading.best and "derived: " .. found.console_name or nil
	end
end

-- The training itself

local function numbers_of(record)
	local values = {}
	for key, value in pairs(record or {}) do
		if type(value) == "number" and key ~= "step" then
			values[key] = value
		end
	end
	return values
end

--- After a resume the Trainer divides the loss of the rest by all steps: then the mean is lower
--- than any loss that it logged.
local function check_train_loss(reading, found)
	local mean = reading.train_summary and reading.train_summary.train_loss
	local lowest = found.state and found.state.run.lowest_loss
	if mean and lowest and mean < lowest and not num.agrees(mean, lowest) then
		disagree(reading, "train_summary.train_loss", reading.sources.train_summary, mean,
			found.state.from .. ": lowest logged loss (was the run resumed?)", lowest)
	end
end

local function add_train(reading, found)
	local run = found.state and found.state.run
	local console = console_counts(found) and hf.console_run(found.console.records, {}) or nil
	local last = run and run.last or found.log and found.log.last or console and console.last
	reading.train = last and numbers_of(last) or nil
	reading.last_loss = reading.train and reading.train.loss or nil
	local summary, from = run and run.train, found.state and found.state.from
	for _, result in ipairs(found.results) do
		if next(result.train) and not summary then
			summary, from = result.train, result.from
		elseif next(result.train) and not results_are_older(found) then
			for key, value in pairs(result.train) do
				if type(summary[key]) == "number" and not num.agrees(summary[key], value) then
					disagree(reading, "train_summary." .. key, from, summary[key], result.from, value)
				end
			end
		end
	end
	summary = summary or console and console.train
	reading.train_summary = summary and numbers_of(summary) or nil
	reading.sources.train_summary = summary and (from or found.console_name) or nil
	check_train_loss(reading, found)
end

-- Hyperparameters

-- Names whose values mean the same in every source; batch sizes are per device here and of all
-- devices there, and the state's epochs are computed.
local COMPARED = { lr = true, seed = true, num_epochs = true, max_steps = true, grad_accum = true,
	weight_decay = true, lora_rank = true, lora_alpha = true }

local function lay_under(reading, from, raw, values)
	for key, value in pairs(raw) do
		if reading.raw_hyperparams[key] == nil then
			reading.raw_hyperparams[key] = value
		end
	end
	for name, value in pairs(values) do
		local taken = reading.hyperparams[name]
		if taken == nil then
			reading.hyperparams[name] = value
			reading.sources["hyperparams." .. name] = from
		elseif COMPARED[name] and type(taken) == "number" and not num.agrees(taken, value + 0.0) then
			disagree(reading, "hyperparams." .. name, reading.sources["hyperparams." .. name], taken,
				from, value)
		end
	end
end

local ADAPTER = { "peft_type", "task_type", "r", "lora_alpha", "lora_dropout", "target_modules",
	"use_dora", "use_rslora" }

local function lay_adapter(reading, adapter, from)
	local raw = {}
	for _, key in ipairs(ADAPTER) do
		raw[key] = adapter[key]
	end
	local values = hparams.standard({ lora_rank = raw.r, lora_alpha = raw.lora_alpha,
		lora_dropout = raw.lora_dropout })
	lay_under(reading, from, raw, values)
end

local STATE_ARGUMENTS = { "train_batch_size", "eval_steps", "save_steps", "logging_steps" }

--- The state has a plan and no arguments. Steps that do not divide by the epochs were asked for;
--- else the epochs were.
local function lay_state(reading, state)
	local raw = {}
	for _, key in ipairs(STATE_ARGUMENTS) do
		raw[key] = state.raw[key]
	end
	local values = hparams.standard(raw)
	local max_steps, epochs = state.run.planned.max_steps, state.run.planned.num_epochs
	raw.max_steps, raw.num_train_epochs = max_steps, epochs
	lay_under(reading, state.from, raw, values)
	local known = reading.hyperparams.max_steps or reading.hyperparams.num_epochs
	if known or not max_steps then
		return
	elseif math.type(epochs) == "integer" and epochs > 0 and max_steps % epochs == 0 then
		lay_under(reading, "inferred: " .. state.from .. ": num_train_epochs", {},
			{ num_epochs = epochs })
	else
		lay_under(reading, "inferred: " .. state.from .. ": max_steps", {}, { max_steps = max_steps })
	end
end

local function add_hyperparams(reading, found, adapter, adapter_from)
	reading.raw_hyperparams, reading.hyperparams = {}, {}
	for _, arguments in ipairs(found.arguments) do
		local values, problems = hparams.standard(arguments.raw)
		for _, problem in ipairs(problems) do
			found.out.folder:warn(arguments.from .. ": " .. problem)
		end
		lay_under(reading, arguments.from, arguments.raw, hparams.settle_hf(values, arguments.raw))
	end
	for _, result in ipairs(found.results) do
		local settings = output.scalars(result.settings)
		lay_under(reading, result.from, settings, (hparams.standard(settings)))
	end
	if found.card then
		local raw = found.card.hyperparams
		lay_under(reading, "README.md: training hyperparameters", raw,
			(hparams.standard(card_of.settle(raw))))
	end
	if adapter then
		lay_adapter(reading, adapter, adapter_from)
	end
	if found.state then
		lay_state(reading, found.state)
	end
end

-- Model and data

--- Names of the base model, the surest first; a conclusion is marked as one.
local function base_candidates(found, adapter, adapter_from)
	local list = {}
	local function add(value, from)
		list[#list + 1] = output.text(value) and { value = value, from = from } or nil
	end
	add(found.flags.model_name_or_path or found.flags.base_model,
		tostring(found.console_name) .. ": --model_name_or_path")
	for _, arguments in ipairs(found.arguments) do
		add(arguments.raw.model_name_or_path, arguments.from .. ": model_name_or_path")
	end
	if adapter then
		add(adapter.base_model_name_or_path, adapter_from .. ": base_model_name_or_path")
	end
	if found.card then
		add(found.card.base_model, (found.card.base_from == "base_model" and "" or "inferred: ")
			.. "README.md: base_model")
	end
	add(found.event_base, "inferred: " .. tostring(found.event_name) .. ": _name_or_path")
	local config, config_from = output.model_file(found.out, "config.json")
	if config then
		add(config._name_or_path, "inferred: " .. config_from .. ": _name_or_path")
	end
	return list
end

--- The same model under another path has the same last component.
local function is_same_model(a, b)
	return (hf.basename(a) or a):lower() == (hf.basename(b) or b):lower()
end

local function add_base_model(reading, found, adapter, adapter_from)
	local list = base_candidates(found, adapter, adapter_from)
	local taken = list[1]
	if not taken then
		return
	end
	reading.base_model, reading.sources.base_model = taken.value, taken.from
	for index = 2, #list do
		local other = list[index]
		if not other.from:find("^inferred:") and not is_same_model(taken.value, other.value) then
			disagree(reading, "base_model", taken.from, taken.value, other.from, other.value)
		end
	end
end

local DATA_KEYS = { "dataset", "dataset_name", "train_file", "data_path", "train_data" }

local function add_dataset(reading, found)
	local list = { { from = tostring(found.console_name) .. ": command line", raw = found.flags } }
	table.move(found.arguments, 1, #found.arguments, 2, list)
	for _, arguments in ipairs(list) do
		for _, key in ipairs(DATA_KEYS) do
			local value = output.text(arguments.raw[key])
			if value and not reading.dataset then
				reading.dataset = value
				reading.sources.dataset = arguments.from .. ": " .. key
			end
		end
	end
	if not reading.dataset and found.card and #found.card.datasets > 0 then
		reading.dataset = table.concat(found.card.datasets, ", ")
		reading.sources.dataset = "README.md: datasets"
	end
end

--- Names of checkpoints that are still there; with `prefix`, inside the folder that was asked for.
local function add_checkpoints(reading, found, prefix)
	local names = output.checkpoints(found.out.folder)
	local best = reading.best and reading.best.checkpoint_name
	for _, name in ipairs(names) do
		reading.checkpoints = reading.checkpoints or { last = prefix .. names[#names] }
		if name == best then
			reading.checkpoints.best = prefix .. name
		end
	end
end

-- Reading -------------------------------------------------------------------------------------

local function build(found, prefix)
	local reading = { final_metrics = {}, sources = {} }
	local adapter, adapter_from = output.model_file(found.out, "adapter_config.json")
	local predict_only = is_predict_only(found)
	add_progress(reading, found, predict_only)
	add_outcome(reading, found, predict_only)
	add_metrics(reading, found)
	add_best(reading, found)
	add_train(reading, found)
	add_hyperparams(reading, found, adapter, adapter_from)
	add_base_model(reading, found, adapter, adapter_from)
	add_dataset(reading, found)
	add_checkpoints(reading, found, prefix)
	if found.console then
		reading.start_time, reading.end_time = found.console.start_time, found.console.end_time
	end
	return reading
end

--- The reading of a directory whose records were not fetched.
local function pointer_reading(out)
	local reading = { outcome = "no_data_lfs_pointer", final_metrics = {}, sources = {} }
	reading.sources.outcome = out.pointers[1] .. ": a git-LFS pointer"
	out.folder:warn(("%s is a git-LFS pointer, not the file itself; run 'git lfs pull'"):format(
		out.pointers[1]))
	return reading
end

--- An adapter alone: it says what it was trained from, and how wide it is.
local function adapter_only(found)
	local adapter = output.model_file(found.out, "adapter_config.json")
	return adapter ~= nil and output.text(adapter.base_model_name_or_path) ~= nil
end

local NOTHING = { code = "not_a_training_record",
	message = "no file that the Trainer, TRL or LLaMA-Factory left",
	hint = "is this the Trainer's output_dir?" }

---@param folder th.Folder
---@return th.Reading?
---@return th.Error? err code "not_a_training_record", or why the only record cannot be used
function M.read(folder)
	local run = sorted_runs(folder)[1]
	local name = run and run.dir or "."
	local found = gather(folder:sub(name))
	if not has_record(found) and #found.out.pointers > 0 then
		return pointer_reading(found.out)
	elseif not has_record(found) and not adapter_only(found) then
		return nil, found.out.faults[1] or NOTHING
	end
	local reading = build(found, name == "." and "" or name .. "/")
	for _, fault in ipairs(found.out.faults) do
		folder:warn(fault.message)
	end
	reading.run = name ~= "." and name or nil
	return reading
end

return M
