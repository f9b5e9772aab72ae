--- Stage 1: classify the lines of documents. The loop and the files are those of the
-- Hugging Face Trainer 4.5.1; checkpoint.lua and report.lua do the details.

local checkpoint = require "checkpoint"
local clock = require "clock"
local data = require "data"
local failure = require "failure"
local files = require "files"
local flags = require "flags"
local json = require "json"
local log = require "log"
local memory = require "memory"
local metrics = require "metrics"
local progress = require "progress"
local python = require "python"
local random = require "random"
local report = require "report"
local softmax = require "softmax"

local M = {}

M.failed = "Training failed!"
M.flags = flags.with_common({
	model_name_or_path = { kind = "text", default = "microsoft/layoutxlm-base" },
	max_steps = { kind = "integer", default = 200, least = 1 },
	per_device_train_batch_size = { kind = "integer", default = 32, least = 1 },
	learning_rate = { kind = "real", default = 0.2, least = 0 },
	eval_steps = { kind = "integer", default = 25, least = 1 },
	save_steps = { kind = "integer", default = 25, least = 1 },
	logging_steps = { kind = "integer", default = 10, least = 1 },
	overwrite_output_dir = { kind = "switch", default = false },
	load_best_model_at_end = { kind = "switch", default = true },
})

local SAVE_TOTAL_LIMIT = 3
local EVAL_BATCH = 32
local BLOW_UP = math.huge -- a learning rate that makes every weight nan in one step
local info = log.info(3)

---@class example.Run
---@field options table
---@field model example.Model
---@field train example.Example[]
---@field eval example.Example[]
---@field state table what becomes trainer_state.json
---@field steps_per_epoch integer
---@field saved integer[] steps of the checkpoints on disk
---@field bar? example.Bar
---@field patience integer evaluations in a row without a better result
---@field meter example.Meter memory of the present phase
---@field init_memory table

local function announce(options, previous)
	local mode = "Mode:         NEW (no existing checkpoint found)"
	if options.overwrite_output_dir then
		mode = "Mode:         RESTART (overwrite existing checkpoints)"
	elseif previous then
		mode = "Resume From:  " .. previous
	end
	log.banner("Stage 1: LayoutXLM Fine-tuning", {
		"Dataset:      " .. options.dataset:upper(),
		"Model Path:   " .. options.model_name_or_path,
		"Output Dir:   " .. options.output_dir,
		"  Max Steps:            " .. options.max_steps,
		"  Batch Size:           " .. options.per_device_train_batch_size,
		"  Learning Rate:        " .. python.number(options.learning_rate),
		"  Eval Steps:           " .. options.eval_steps,
		"  Save Steps:           " .. options.save_steps,
		"  Save Total Limit:     " .. SAVE_TOTAL_LIMIT,
		"  Load Best at End:     " .. python.repr(options.load_best_model_at_end),
		"  Best Model Metric:    macro_f1",
		"  Seed:                 " .. options.seed,
		"  Logging Steps:        " .. options.logging_steps,
		mode,
	})
end

local function log_arguments(options)
	local names, parts = {}, {}
	for name in pairs(M.flags) do
		names[#names + 1] = name
	end
	table.sort(names)
	for i, name in ipairs(names) do
		parts[i] = name .. "=" .. python.repr(options[name])
	end
	info("Training/evaluation parameters TrainingArguments(%s)", table.concat(parts, ", "))
	info("Using %d labels from labels.py: %s", #data.LABELS, python.list(data.LABELS))
end

--- Whether a text can only be the name of a hub's model ("owner/name"), not a path gone wrong.
local function is_hub_name(text)
	local looks_so = text:find("^%w[%w.-]*/?[%w._-]+$") and not text:find("checkpoint%-%d+$")
	return looks_so and not files.exists(text)
end

--- The model to begin with: a former checkpoint's, or a new one for the name of a hub.
local function initial_model(options)
	local path = options.model_name_or_path
	local model, dataset = checkpoint.load_model(path)
	if model then
		print(("Initializing weights from %s checkpoint: %s"):format(dataset or "?", path))
		return model
	elseif not is_hub_name(path) then
		failure.raise("OSError", "can't load weights for '" .. path .. "'")
	end
	local generator = random.new(options.seed, "weights")
	return softmax.new(#data.LABELS, data.FEATURES + 1, generator)
end

local function new_state(options)
	return {
		best_metric = json.null, best_model_checkpoint = json.null, epoch = 0.0, global_step = 0,
		is_hyper_param_search = false, is_local_process_zero = true, is_world_process_zero = true,
		log_history = json.list({}), max_steps = options.max_steps, num_train_epochs = 1,
		total_flos = 0.0, trial_name = json.null, trial_params = json.null,
	}
end

--- Everything that a training needs, from the last checkpoint if there is one.
---@return example.Run
local function prepare(options)
	local meter, init_memory = memory.start(), {}
	local saved = checkpoint.steps(options.output_dir)
	local state, previous
	if not options.overwrite_output_dir then
		state, previous = checkpoint.last_state(options.output_dir, saved)
	end
	-- The first model may lie in a checkpoint that is about to be overwritten: read it now.
	local model = previous and checkpoint.need_model(previous) or initial_model(options)
	checkpoint.discard_after(options.output_dir, saved, state and state.global_step or 0)
	announce(options, previous)
	log.command(options.argv)
	files.make_directory(options.output_dir)
	local run = {
		options = options, model = model, saved = saved, state = state or new_state(options),
		patience = 0,
		train = data.examples(data.documents(options.dataset, "train")),
		eval = data.examples(data.documents(options.dataset, "test")),
	}
	local batch = options.per_device_train_batch_size
	run.steps_per_epoch = (#run.train + batch - 1) // batch
	run.state.max_steps = options.max_steps
	run.state.num_train_epochs =
		(options.max_steps + run.steps_per_epoch - 1) // run.steps_per_epoch
	meter:finish(init_memory, "init")
	run.meter, run.init_memory = memory.start(), init_memory
	return run
end

--- The batch of a step depends on seed and step alone, so a resumed training sees the same ones.
local function batch_at(run, step)
	local epoch, position = (step - 1) // run.steps_per_epoch, (step - 1) % run.steps_per_epoch
	if run.epoch ~= epoch then
		run.epoch = epoch
		run.order = random.new(run.options.seed, "epoch " .. epoch):permutation(#run.train)
	end
	local size, batch = run.options.per_device_train_batch_size, {}
	for i = position * size + 1, math.min((position + 1) * size, #run.train) do
		batch[#batch + 1] = run.train[run.order[i]]
	end
	return batch
end

local function rate_after(options, step)
	return options.learning_rate * math.max(options.max_steps - step, 0) / options.max_steps
end

--- Print a record as a dict, and keep it in the history together with its step.
local function record(run, list)
	list[#list + 1] = { "epoch", python.round(run.state.epoch, 2) }
	local entry, shown = { step = run.state.global_step }, {}
	for _, pair in ipairs(list) do
		entry[pair[1]] = pair[2]
		if pair[1] ~= "total_flos" then
			shown[#shown + 1] = pair
		end
	end
	table.insert(run.state.log_history, entry)
	if run.bar then
		run.bar:print(python.dict(shown))
	else
		print(python.dict(shown))
	end
	return entry
end

local function log_loss(run)
	local mean = run.loss_sum / (run.state.global_step - run.logged_at)
	record(run, {
		{ "loss", python.round(mean, 4) },
		{ "learning_rate", rate_after(run.options, run.state.global_step) },
	})
	run.loss_sum, run.logged_at = 0.0, run.state.global_step
end

--- For hosts that want to hear of metrics while the training runs.
local function send_event(step, macro_f1)
	local path = os.getenv("THHOST_EVENTS")
	if path and path ~= "" then
		local event = { step = step, metrics = { eval_macro_f1 = macro_f1 } }
		files.append(path, json.encode(event) .. "\n")
	end
end

local function evaluate(run)
	log.note("***** Running Evaluation *****")
	log.note("  Num examples = %d", #run.eval)
	log.note("  Batch size = %d", EVAL_BATCH)
	local started = clock.now()
	local batches = (#run.eval + EVAL_BATCH - 1) // EVAL_BATCH
	local bar = progress.new(batches, { nested = run.bar ~= nil })
	local loss, matrix = metrics.evaluate(run.model, run.eval, function(done)
		if done % EVAL_BATCH == 0 or done == #run.eval then
			bar:advance()
			run.meter:sample()
		end
	end)
	bar:close()
	report.log(info, matrix)
	local seconds = math.max(clock.now() - started, 1e-6)
	local list = report.metrics(loss, matrix)
	list[#list + 1] = { "eval_runtime", python.round(seconds, 4) }
	list[#list + 1] = { "eval_samples_per_second", python.round(#run.eval / seconds, 3) }
	return record(run, list)
end

--- Remember whether the checkpoint about to be written is the best one so far.
local function judge(run, dir, macro_f1)
	local best = run.state.best_metric
	if best == json.null or macro_f1 > best then
		run.state.best_metric, run.state.best_model_checkpoint = macro_f1, dir
		run.patience = 0
	else
		run.patience = run.patience + 1
	end
end

local function save(run, macro_f1)
	local output_dir, step = run.options.output_dir, run.state.global_step
	local dir = checkpoint.path(output_dir, step)
	if macro_f1 then
		judge(run, dir, macro_f1)
	end
	log.note("Saving model checkpoint to %s", dir)
	checkpoint.save(dir, run.model, run.options, run.state)
	run.saved[#run.saved + 1] = step
	local best = run.state.best_model_checkpoint
	checkpoint.rotate(output_dir, run.saved, SAVE_TOTAL_LIMIT, best ~= json.null and best or nil)
end

local function one_step(run, step)
	local options, state = run.options, run.state
	failure.check(options, step)
	clock.sleep(options.sleep_ms)
	local boost = options.diverge and step > options.max_steps // 4 and BLOW_UP or 1.0
	local batch = batch_at(run, step)
	local loss = softmax.step(run.model, batch, rate_after(options, step - 1) * boost)
	run.loss_sum = run.loss_sum + loss
	state.global_step, state.epoch = step, step / run.steps_per_epoch
	state.total_flos = state.total_flos + 6.0 * #batch * #data.LABELS * (data.FEATURES + 1)
	run.bar:advance()
	run.meter:sample()
end

--- What is due after a step.
local function after_step(run, step)
	local options = run.options
	if step % options.logging_steps == 0 then
		log_loss(run)
	end
	local macro_f1
	if step % options.eval_steps == 0 then
		macro_f1 = evaluate(run).eval_macro_f1
		send_event(step, macro_f1)
	end
	if step % options.save_steps == 0 then
		save(run, macro_f1)
	end
end

--- As the pipeline's environment variable, but off unless it is set.
local function is_out_of_patience(run)
	local limit = tonumber(os.getenv("EARLY_STOPPING_PATIENCE"))
	return limit ~= nil and run.options.load_best_model_at_end and run.patience >= limit
end

local function announce_training(run)
	local options = run.options
	log.note("***** Running training *****")
	log.note("  Num examples = %d", #run.train)
	log.note("  Num Epochs = %d", run.state.num_train_epochs)
	log.note("  Instantaneous batch size per device = %d", options.per_device_train_batch_size)
	log.note("  Total optimization steps = %d", options.max_steps)
	if run.state.global_step > 0 then
		log.note("  Continuing training from global step %d", run.state.global_step)
	end
end

local function load_best(run)
	local best = run.state.best_model_checkpoint
	if run.options.load_best_model_at_end and best ~= json.null then
		log.note("Loading best model from %s (score: %s).", best,
			python.number(run.state.best_metric))
		run.model = checkpoint.need_model(best)
	end
end

--- All steps that are left; the train_* metrics.
local function train(run)
	announce_training(run)
	local started, first = clock.now(), run.state.global_step
	run.loss_sum, run.logged_at = 0.0, first
	run.bar = progress.new(run.options.max_steps, { done = first })
	for step = first + 1, run.options.max_steps do
		one_step(run, step)
		after_step(run, step)
		if is_out_of_patience(run) then
			break
		end
	end
	load_best(run)
	local seconds = math.max(clock.now() - started, 1e-6)
	local rate = run.options.max_steps / seconds
	local entry = record(run, {
		{ "train_runtime", python.round(seconds, 4) },
		{ "train_samples_per_second", python.round(rate, 3) },
		{ "total_flos", run.state.total_flos },
	})
	run.bar:close()
	run.bar = nil
	return entry
end

--- What goes into <split>_results.json: an entry of the history without what only the history
-- has, and with the memory in use. The next phase's measuring begins here.
local function results(run, entry, split, samples)
	local result = {}
	for name, value in pairs(entry) do
		result[name] = value
	end
	result.step, result.total_flos = nil, nil
	result[split .. "_samples"] = samples
	run.meter:finish(result, split)
	run.meter = memory.start()
	return result
end

local function note_metrics(split, result)
	log.note("***** %s metrics *****", split)
	local names, width = {}, 0
	for name in pairs(result) do
		names[#names + 1] = name
		width = math.max(width, #name)
	end
	table.sort(names)
	for _, name in ipairs(names) do
		log.note("  %s%s = %10s", name, (" "):rep(width - #name), python.number(result[name]))
	end
end

--- One file for the split, and the union of all splits.
local function save_metrics(output_dir, split, result)
	note_metrics(split, result)
	files.write(("%s/%s_results.json"):format(output_dir, split), json.encode(result, 4))
	local path = output_dir .. "/all_results.json"
	local all = json.decode(files.read(path) or "{}") or {}
	for name, value in pairs(result) do
		all[name] = value
	end
	files.write(path, json.encode(all, 4))
end

--- Run the stage.
---@param options table<string, any>
function M.run(options)
	local run, output_dir = prepare(options), options.output_dir
	log_arguments(options)
	local trained = results(run, train(run), "train", #run.train)
	for name, value in pairs(run.init_memory) do
		trained[name] = value
	end
	log.note("Saving model checkpoint to %s", output_dir)
	checkpoint.save_model(output_dir, run.model, options)
	save_metrics(output_dir, "train", trained)
	files.write(output_dir .. "/trainer_state.json", json.encode(run.state, 2) .. "\n")
	info("*** Evaluate ***")
	save_metrics(output_dir, "eval", results(run, evaluate(run), "eval", #run.eval))
	print("\nTraining completed successfully!")
	print("Model saved to: " .. output_dir)
	if #run.saved > 0 then
		print("Best checkpoint: " .. checkpoint.path(output_dir, run.saved[#run.saved]))
	end
end

return M
