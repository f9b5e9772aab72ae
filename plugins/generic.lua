--- Any stage that no other plugin describes: what a training left is recognised by its contents.
--
-- Metrics keep the names that the source gave them, and nothing is concluded that the files do not
-- say; what is missing stays missing. The readers are lua/th's, see th.detect.
local detect = require("th.detect")
local folders = require("th.folder")
local hparams = require("th.hparams")
local json = require("th.json")
local jsonpickle = require("th.jsonpickle")
local metrics = require("th.metrics")
local num = require("th.num")
local plain = require("th.plain")

-- What the readers look at; of several that match a file the first counts. What is named is opened
-- before a tree, and trees in the order of their names: where a folder holds more files than can be
-- open at once, these are the ones that tell most.
local INPUTS = {
	{ "log", "@log?" },
	{ "trainer_state", "trainer_state.json?" },
	{ "saved_states", "checkpoint-*/trainer_state.json?" },
	{ "results", "*_results.json?" },
	{ "config", "config.json?" },
	{ "adapter", "adapter_config.json?" },
	{ "metrics_csv", "metrics.csv?" },
	{ "metrics_json", "metrics.json?" },
	{ "history", "history.json?" },
	{ "results_csv", "results.csv?" },
	{ "args", "args.yaml?" },
	{ "log_txt", "log.txt?" },
	{ "run_events", "runs/*/events.out.tfevents.*?" },
	{ "lightning_metrics", "lightning_logs/version_*/metrics.csv?" },
	{ "lightning_hparams", "lightning_logs/version_*/hparams.yaml?" },
	{ "hydra", ".hydra/*.yaml?" },
	{ "a_events", "**/events.out.tfevents.*?" },
	{ "b_tables", "**/*.csv?" },
	{ "c_hydra", "**/.hydra/*.yaml?" },
	{ "d_tree", "**/*?" },
}

local function declared()
	local patterns, names = {}, {}
	for index, input in ipairs(INPUTS) do
		names[index] = input[1]
		patterns[input[1]] = input[2]
	end
	return patterns, names
end

local PATTERNS, NAMES = declared()

---@type th.StagePlugin
local M = {
	api = 1,
	kind = "stage",
	name = "generic",
	version = "1.0.0",
	summary = "any training: recognised by what it left behind",
	dir = "generic",
	model_name = "generic",
	inputs = PATTERNS,
	-- Names that consoles print, for the display of progress; none is asked for.
	metrics = {
		loss = { goal = "min" },
		train_loss = { goal = "min" },
		val_loss = { goal = "min" },
		eval_loss = { goal = "min" },
		accuracy = { goal = "max" },
		val_accuracy = { goal = "max" },
	},
	progress = {
		-- tqdm, Lightning's bar included: " 45%|####   | 450/1000 [00:10<00:12, 43.2it/s]"
		{ find = "%|", match = "| *(%d+)/(%d+) %[", set = { "step", "steps_total" } },
		-- Keras and hand-written loops: "Epoch 3/10", "epoch [3/10]", "Epoch: 3 / 10"
		{ find = "poch", match = "[Ee]poch:? *[%[%(]? *(%d+) */ *(%d+)",
			set = { "epoch", "epochs_total" } },
		-- Lightning "Epoch 3:", timm "Train: 3 [ 50/1251 ...": the number alone
		{ find = "Epoch ", match = "Epoch (%d+):", set = { "epoch" } },
		{ find = "Epoch: [", match = "Epoch: %[(%d+)%]", set = { "epoch" } },
		{ find = "Epoch [", match = "Epoch %[(%d+)%]%[", set = { "epoch" } },
		{ find = "Epoch(train)", match = "Epoch%(train%) *%[(%d+)%]", set = { "epoch" } },
		-- the dict lines of transformers, values as numbers or (5.x) as strings
		{ find = "'epoch': ", match = "'epoch': '?([%d.]+)", set = { "epoch" } },
		{ find = "{'loss': ", match = "{'loss': '?([%d.eE+-]+)", set = { "loss" } },
		{ find = "'eval_loss': ", match = "'eval_loss': '?([%d.eE+-]+)", set = { "eval_loss" } },
		-- "step 100/1000", "Step [100/1000]", "steps: 100 / 1000"
		{ find = "tep", match = "[Ss]teps?:? *[%[%(]? *(%d+) */ *(%d+)",
			set = { "step", "steps_total" } },
		-- nanoGPT: "step 250: train loss 2.1, val loss 2.2", "iter 250: loss 2.05, time 35ms"
		{ find = "step ", match = "^step (%d+): train loss", set = { "step" } },
		{ find = "val loss ", match = "val loss ([%d.]+)", set = { "val_loss" } },
		{ find = "iter ", match = "^iter (%d+): loss", set = { "step" } },
		{ find = "iter ", match = "^iter %d+: loss ([%d.]+)", set = { "loss" } },
		-- detectron2: "iter: 19  total_loss: 5.1"; boosting: "[12]\tvalid-rmse:0.5"
		{ find = "iter: ", match = "iter: (%d+)", set = { "step" } },
		{ find = "]\t", match = "^%[(%d+)%]\t", set = { "step" } },
	},
}

-- Outcome ----------------------------------------------------------------------------------------

local OUTCOMES = {
	completed = "completed",
	completed_early = "completed_early",
	completed_then_crashed = "completed",
	reached_max_steps_no_summary = "completed",
	incomplete_state = "interrupted",
	interrupted = "interrupted",
	running = "interrupted",
	failed = "failed",
	unknown = "unknown",
}

-- What a failure without a text of its own says.
local WHY = {
	incomplete_state = "the last state is below the planned steps, and no summary was written",
	running = "its files say that it still runs",
}

local NOTHING = {
	predict_only = "'%s' holds the results of a prediction; nothing was trained there",
	not_a_training_record = "'%s' holds no record of a training",
	no_data_lfs_pointer = "'%s' holds git-LFS pointers instead of the files",
}

local function no_training(ctx, reading)
	local template = NOTHING[reading.outcome]
	if not template then
		return nil
	end
	return { code = reading.outcome, message = template:format(ctx.stage_dir_name),
		hint = reading.outcome == "no_data_lfs_pointer" and "run 'git lfs pull' in that repository"
			or nil }
end

local function outcome_of(ctx, reading)
	local word = reading.outcome or "unknown"
	if word == "completed_then_crashed" then
		ctx.log.warn(("the training had completed when its program crashed: %s"):format(
			reading.error or "no message"))
	end
	return OUTCOMES[word] or "unknown", plain.text(reading.error) or WHY[word]
end

-- Steps and epochs -------------------------------------------------------------------------------

-- Frameworks write "no limit" as a huge number; a real plan is below.
local NO_LIMIT = 1e15

local function count(value)
	local whole = num.is_finite(value) and math.tointeger(value)
	return whole and whole >= 0 and whole < NO_LIMIT and whole or nil
end

--- Epochs as they ran: an integer when whole.
local function epochs_of(reading)
	local ran = detect.ran(reading.epochs)
	if num.is_finite(ran) and ran >= 0 and ran < NO_LIMIT then
		return num.tidy(ran)
	end
end

-- What loggers call the optimizer's own counter among the metrics.
local COUNTERS = { "train/global_step", "global_step" }

--- Optimizer steps that ran; 0 where no file counts them: epochs are no steps.
local function steps_of(ctx, reading, result)
	local steps = count(detect.ran(reading.steps))
	if steps then
		return steps
	end
	for _, name in ipairs(COUNTERS) do
		steps = count(reading.final_metrics[name])
		if steps then
			result.sources.steps = "inferred: metric " .. name
			return steps
		end
	end
	result.sources.steps = "derived: no file tells how many steps ran"
	ctx.log.warn("no file tells how many steps ran; --steps does")
	return 0
end

local function planned_of(reading)
	return { max_steps = count((reading.steps or {}).planned),
		num_epochs = count((reading.epochs or {}).planned) }
end

-- Metrics ----------------------------------------------------------------------------------------

local function has_loss(values)
	for name in pairs(values) do
		if name:lower():find("loss", 1, true) then
			return true
		end
	end
	return false
end

local function tell_left_out(ctx, what, left_out)
	if #left_out > 0 then
		ctx.log.warn(("%s that no record can hold were left out: %s"):format(what,
			plain.enumerate(left_out)))
	end
end

--- A loss that only the trainer's summary, or its last line, holds.
local function add_train_loss(values, reading, sources)
	for _, part in ipairs({ "train_summary", "train" }) do
		for _, name in ipairs({ "train_loss", "loss" }) do
			local loss = (reading[part] or {})[name]
			if type(loss) == "number" and not has_loss(values) then
				values.train_loss = loss
				sources["metrics.train_loss"] = reading.sources[part .. "." .. name]
					or ("%s.%s"):format(part, name)
			end
		end
	end
end

local function metrics_of(ctx, reading, sources)
	local values, left_out = plain.numbers(jsonpickle.plain(reading.final_metrics))
	tell_left_out(ctx, "metrics", left_out)
	add_train_loss(values, reading, sources)
	return values
end

-- Sources and evidence ---------------------------------------------------------------------------

local function sources_of(reading)
	local sources = {}
	for _, key in ipairs(metrics.sorted_keys(reading.sources)) do
		local text = plain.text(reading.sources[key])
		local unit = (reading.units or {})[key:match("^final_metrics%.(.*)$")]
		if text and plain.text(key) then
			sources[(key:gsub("^final_metrics", "metrics"))] = unit and text .. ", in " .. unit or text
		end
	end
	return sources
end

-- What a configuration says, not what was seen to happen.
local DECLARED = { base_model = true, dataset = true, planned = true, raw_hyperparams = true }

local function evidence_of(result)
	local evidence = {}
	for _, field in ipairs({ "steps", "epochs", "metrics", "outcome", "base_model", "dataset",
		"planned", "raw_hyperparams", "final_checkpoint", "best", "start_time", "end_time" }) do
		if result[field] ~= nil and result[field] ~= "unknown" then
			local word = (result.sources[field] or ""):match("^(%a+):")
			evidence[field] = (word == "derived" or word == "inferred") and word
				or DECLARED[field] and "declared" or "observed"
		end
	end
	if result.best then
		evidence.best = result.best.declared and "declared" or "derived"
	end
	return evidence
end

-- Checkpoints ------------------------------------------------------------------------------------

--- A name that lies in the folder, as a file or as a directory with files in it.
local function lies_in(folder, name)
	for _, file in ipairs(folder:files()) do
		if file.name == name or file.name:sub(1, #name + 1) == name .. "/" then
			return true
		end
	end
	return false
end

local function is_safe(name)
	return plain.text(name) and not ("/" .. name):find("/[%.%-/]") and name:sub(-1) ~= "/"
end

local function final_checkpoint(folder, reading)
	local known = reading.checkpoints or {}
	for _, name in ipairs({ known.last or false, known.best or false }) do
		if name and is_safe(name) and lies_in(folder, name) then
			return name
		end
	end
end

local function best_of(reading)
	local best = reading.best
	if not best then
		return nil
	end
	local out = {
		metric = plain.text(best.metric),
		value = type(best.value) == "number" and best.value or nil,
		mode = (best.mode == "min" or best.mode == "max") and best.mode or nil,
		step = count(best.step),
		epoch = num.is_finite(best.epoch) and best.epoch or nil,
		checkpoint = plain.text(best.checkpoint),
		checkpoint_name = plain.text(best.checkpoint_name),
		unit = plain.text(best.unit),
	}
	if next(out) == nil then
		return nil
	end
	out.declared = best.declared == true
	return out
end

-- The reading, to be shown -----------------------------------------------------------------------

local function show_candidates(candidates)
	local list = {}
	for index, candidate in ipairs(candidates) do
		list[index] = { reader = candidate.name, title = candidate.title, score = candidate.score,
			why = plain.text(candidate.why), error = plain.text(candidate.error) }
	end
	return list
end

local READING_LIMITS = { depth = 10, keys = 8000 }

local function show(detected)
	local reading = plain.fit(detected.reading, READING_LIMITS)
	local shown = { recognised = show_candidates(detected.recognised), reader = detected.reader,
		title = detected.title, reading = reading }
	if next(detected.complemented) then
		shown.complemented = detected.complemented
	end
	if detected.runs and #detected.runs > 0 then
		shown.runs = plain.fit({ runs = detected.runs }, { keys = 4000 }).runs
	end
	return shown
end

-- Extract ----------------------------------------------------------------------------------------

local function show_number(value)
	return type(value) == "number" and ("%.10g"):format(value) or tostring(value)
end

local function tell_disagreements(ctx, reading)
	for _, disagreement in ipairs(reading.disagreements or {}) do
		local said = {}
		for index, entry in ipairs(disagreement.values) do
			said[index] = ("%s has %s"):format(entry.from, show_number(entry.value))
		end
		ctx.log.warn(("%s: %s"):format(disagreement.what, table.concat(said, ", ")))
	end
end

local function tell_runs(ctx, detected)
	local runs = detected.runs or {}
	if #runs > 1 then
		ctx.log.warn(("'%s' holds %d runs; '%s' was read (name its directory to read another)"):format(
			ctx.stage_dir_name, #runs, detected.reading.run or runs[1]))
	end
end

local function time_of(text)
	return type(text) == "string" and text:find("^%d%d%d%d%-%d%d%-%d%d[T ]%d%d:%d%d") and text or nil
end

--- The file that was written last: the training ended no earlier.
local function newest(folder)
	local last
	for _, file in ipairs(folder:files()) do
		if not file.name:find("^training_info%.json") and (not last or file.mtime > last.mtime) then
			last = file
		end
	end
	return last
end

local function add_times(folder, reading, result)
	result.start_time, result.end_time = time_of(reading.start_time), time_of(reading.end_time)
	local last = not result.end_time and newest(folder)
	if last and result.outcome ~= "interrupted" then
		result.end_time = last.mtime
		result.sources.end_time = "inferred: time of " .. last.name
	end
end

local function result_of(ctx, folder, detected)
	local reading = detected.reading
	local result = { sources = sources_of(reading) }
	result.outcome, result.error = outcome_of(ctx, reading)
	result.metrics = metrics_of(ctx, reading, result.sources)
	result.epochs = epochs_of(reading)
	result.steps = steps_of(ctx, reading, result)
	result.resumed_from = count(reading.resumed_from)
	if result.resumed_from and result.resumed_from > result.steps then
		result.resumed_from = nil
	end
	local planned = planned_of(reading)
	result.planned = next(planned) and planned or nil
	result.final_checkpoint = final_checkpoint(folder, reading)
	result.best = best_of(reading)
	result.base_model = plain.text(reading.base_model)
	result.dataset = plain.text(reading.dataset)
	add_times(folder, reading, result)
	local raw, left_out = plain.fit(reading.raw_hyperparams or {})
	tell_left_out(ctx, "hyperparameters", left_out)
	result.raw_hyperparams = next(raw) and raw or nil
	result.evidence = evidence_of(result)
	result.reading = show(detected)
	return result
end

--- A command that thhost ran itself is a training of which more is known than its files tell.
local function of_the_run(ctx, problem)
	ctx.log.warn(("only what the run itself tells is recorded: %s"):format(problem.message))
	return { outcome = "unknown", metrics = {}, steps = 0,
		sources = { steps = "derived: no file tells how many steps ran" },
		evidence = { steps = "derived" } }
end

local RUN_LOG = "thhost-run.log"

--- The ctx with the run's own log in sight: it lies in a hidden directory, where no reader looks.
local function with_run_log(ctx)
	local own = {}
	for _, file in ipairs(ctx:list("log")) do
		own[file.name:find("^%.thhost/") and RUN_LOG or file.name] = file.name
	end
	local seen = { log = ctx.log, stage_dir_name = ctx.stage_dir_name }
	function seen.list(_, input)
		local files = ctx:list(input)
		for _, file in ipairs(input == "log" and files or {}) do
			file.name = file.name == own[RUN_LOG] and RUN_LOG or file.name
		end
		return files
	end
	for _, method in ipairs({ "read", "json", "yaml", "csv", "lines_of" }) do
		seen[method] = function(_, input, name, ...)
			return ctx[method](ctx, input, input == "log" and own[name] or name, ...)
		end
	end
	return seen
end

-- Read by `extract`, once more of use to `hyperparams` of the same call.
local last

---@param ctx th.Ctx
---@return th.Result?, th.Error?
function M.extract(ctx)
	local folder = folders.of(with_run_log(ctx), NAMES)
	local detected, err = detect.read(folder)
	last = detected
	local problem = not detected and err or no_training(ctx, detected.reading)
	if problem and #ctx.argv > 0 then
		return of_the_run(ctx, problem)
	elseif problem then
		return nil, problem
	end
	tell_runs(ctx, detected)
	tell_disagreements(ctx, detected.reading)
	return result_of(ctx, folder, detected)
end

--- Standard names. What the trainer's files hold wins over what the command asked for.
---@param ctx th.Ctx
---@param raw th.Raw
---@return table<string, any>?, th.Error?
function M.hyperparams(ctx, raw)
	local detected = last or detect.read(folders.of(with_run_log(ctx), NAMES))
	last = nil
	local values = hparams.merge(hparams.standard(raw.config), hparams.standard(raw.argv),
		detected and detected.reading.hyperparams)
	for name, value in pairs(values) do
		values[name] = value ~= json.null and value or nil
	end
	return (plain.fit(values))
end

return M
