--- An output directory of Hugging Face's Trainer, TRL or LLaMA-Factory.
--
-- What counts, strongest first: the newest trainer_state.json, trainer_log.jsonl, the
-- *_results.json files (for what was measured they come first), a log beside, the model card. When
-- two of them say different things the reading has both.
local card_of = require("th.hf_card")
local hf = require("th.hf_trainer")
local metrics = require("th.metrics")
local num = require("th.num")
local output = require("th.hf_output")
local runlog = require("th.runlog")
local runs_of = require("th.hf_runs")
local settings = require("th.hf_settings")
local sources = require("th.hf_sources")
local tensorboard = require("th.tensorboard")
local trainer_log = require("th.hf_log")

local M = { title = "Hugging Face Trainer" }

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
		settings.disagree(reading, "steps", state.from, run.steps, other.from, other.run.steps)
		found.out.folder:warn(("%s is at step %d and %s at step %d; read %s"):format(
			state.from, run.steps, other.from, other.run.steps, state.from))
	end
	if found.log and found.log.steps ~= run.steps then
		settings.disagree(reading, "steps", state.from, run.steps, "trainer_log.jsonl", found.log.steps)
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

--- Did the longest bar, the training's, come to its end?
local function bar_is_full(console)
	local longest = 0
	for total in pairs(console.bars) do
		longest = math.max(longest, total)
	end
	return longest > 0 and console.bars[longest] >= longest
end

--- The word of a log that has no fault.
local function word_of(console)
	if console.trained then
		return "completed"
	end
	return not bar_is_full(console) and "interrupted" or nil -- full: its summary may be elsewhere
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
		return word_of(found.console), "inferred: " .. found.console_name .. ": train_runtime"
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

--- The last evaluation that the best record of the run has, and where that is. A script that only
--- evaluates its test set logs test_* instead of eval_*.
local function last_evaluation(found)
	if found.state and #found.state.run.evals > 0 then
		local values, step = hf.last_eval(found.state.run)
		return values, ("%s: last evaluation, step %s"):format(found.state.from, tostring(step))
	elseif found.state and found.state.run.test then
		return hf.metrics_of(found.state.run.test), found.state.from .. ": last test_* record"
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
				settings.disagree(reading, "final_metrics." .. key, result.from, value, from[key],
					values[key])
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
			settings.disagree(reading, "final_metrics." .. key, taken_from[key] or taken_from.all,
				taken[key], from, other)
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

--- What the arguments say of the metric that chose the best: its name and whether more is better.
local function chosen_by(found, values)
	for _, arguments in ipairs(found.arguments) do
		local name = output.text(arguments.raw.metric_for_best_model)
		name = name and "eval_" .. name:gsub("^eval_", "")
		if name and values and values[name] then
			return name, arguments.raw.greater_is_better
		end
	end
end

--- The best of a state. It has a value and no name; where several metrics have that value the
--- arguments tell which was meant.
local function declared_best(found)
	local run, best = found.state.run, found.state.run.best
	local values = hf.eval_at(run, best.step)
	local name, greater = chosen_by(found, values)
	local metric = name and values[name] == best.value and name or best.metric
	local mode = metric and metrics.goal(metric) or nil
	if metric == name and type(greater) == "boolean" then
		mode = greater and "max" or "min"
	end
	return { metric = metric, value = best.value, mode = mode, step = best.step, epoch = best.epoch,
		checkpoint = best.path, checkpoint_name = best.checkpoint, declared = true, values = values }
end

--- The best that the file declares, else the best of a log that cannot declare one.
local function add_best(reading, found)
	local run = found.state and found.state.run
	if run and run.best then
		reading.best = declared_best(found)
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
		settings.disagree(reading, "train_summary.train_loss", reading.sources.train_summary, mean,
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
					settings.disagree(reading, "train_summary." .. key, from, summary[key], result.from, value)
				end
			end
		end
	end
	summary = summary or console and console.train
	reading.train_summary = summary and numbers_of(summary) or nil
	reading.sources.train_summary = summary and (from or found.console_name) or nil
	check_train_loss(reading, found)
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

-- The reader ----------------------------------------------------------------------------------

local function build(found, prefix)
	local reading = { final_metrics = {}, sources = {} }
	local predict_only = is_predict_only(found)
	add_progress(reading, found, predict_only)
	add_outcome(reading, found, predict_only)
	add_metrics(reading, found)
	add_best(reading, found)
	add_train(reading, found)
	settings.add(reading, found)
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

---@param folder th.Folder
---@return th.Recognised?
function M.recognise(folder)
	local runs, names, best = runs_of.sorted(folder), {}, nil
	for index, run in ipairs(runs) do
		names[index] = run.dir
		best = (not best or run.score > best.score) and run or best
	end
	if not best then
		return runs_of.signs(folder)
	end
	return { score = best.score, why = best.why,
		runs = (#names > 1 or names[1] ~= ".") and names or nil }
end

local NOTHING = { code = "not_a_training_record",
	message = "no file that the Trainer, TRL or LLaMA-Factory left",
	hint = "is this the Trainer's output_dir?" }

---@param folder th.Folder
---@return th.Reading?
---@return th.Error? err code "not_a_training_record", or why the only record cannot be used
function M.read(folder)
	local run = runs_of.sorted(folder)[1]
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
