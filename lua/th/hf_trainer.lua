--- What Hugging Face's Trainer leaves behind, from transformers 4.5 to 5: trainer_state.json,
-- the *_results.json files, and the dicts it prints.
--
-- All functions take decoded values. `load` fetches one through ctx and knows git-LFS pointers.
local json = require("th.json")
local metrics = require("th.metrics")
local num = require("th.num")
local pydict = require("th.pydict")

local M = {}

local LFS_HEAD = "^version https://git%-lfs%.github%.com/spec/"
local EPOCHS_MAX = 1 << 53 -- streaming datasets store int64's maximum for "unlimited"

-- Keys that describe the machine or the data, not the model.
local NOISE = { "_mem_", "runtime$", "samples$", "_per_second$", "_time$" }

---@class th.HfBest
---@field metric string? for example "eval_macro_f1"; nil when no record holds the value
---@field value number
---@field step integer?
---@field epoch number?
---@field checkpoint string? last path component, "checkpoint-500"
---@field path string? the checkpoint as the file has it, foreign paths included

---@class th.HfRun
---@field steps integer optimizer steps that ran
---@field epochs number?
---@field planned { max_steps: integer?, num_epochs: integer? }
---@field evals table<string, any>[] records with eval_* keys, in order
---@field last table<string, any>? the last record of a training step: loss, learning_rate, ...
---@field lowest_loss number? of all records of training steps
---@field test table<string, any>? the last record with test_*
---@field train table<string, any>? the summary with train_runtime
---@field best th.HfBest? only when the file itself names a best
---@field outcome string the corpus's words; see `outcome`

--- The error for a git-LFS pointer, or nil.
---@param text string? the first bytes of a file
---@param path string? for the message
---@return th.Error?
function M.lfs_error(text, path)
	if text and text:find(LFS_HEAD) then
		return { code = "lfs_pointer", path = path,
			message = ("'%s' is a git-LFS pointer, not the file itself"):format(path or "file"),
			hint = "run 'git lfs pull' in that repository" }
	end
end

--- `ctx:json` that tells a git-LFS pointer from a broken file.
---@param ctx th.Ctx
---@param input string
---@param name? string
---@return any? value
---@return th.Error? err
function M.load(ctx, input, name)
	if not ctx:has(input) then
		return nil, { code = "no_data", input = input, message = "no file for input " .. input }
	end
	local value, err = ctx:json(input, name)
	if value ~= nil then
		return value
	end
	return nil, M.lfs_error(ctx:read(input, name), name or err.path or input) or err
end

--- `load` for a file that may be absent: what else is wrong with it becomes a warning.
---@param ctx th.Ctx
---@param input string
---@return any? value
function M.load_or_warn(ctx, input)
	local value, err = M.load(ctx, input)
	if err and err.code ~= "no_data" then
		ctx.log.warn(("%s: %s"):format(err.path or input, err.message))
	end
	return value
end

local function number(record, key)
	local value = record[key]
	return type(value) == "number" and value or nil
end

local function integer(record, key)
	local value = number(record, key)
	return value and math.tointeger(value)
end

--- The last component of a path of either separator: `./results\checkpoint-1626`.
---@param path any
---@return string?
function M.basename(path)
	return type(path) == "string" and path:match("([^/\\]+)[/\\]*$") or nil
end

local function has_eval(record)
	for key in pairs(record) do
		if type(key) == "string" and key:find("^eval_") then
			return true
		end
	end
	return false
end

--- Which eval_* of the record has the value? Sorted, so that a tie has one answer.
local function metric_with(record, value)
	for _, key in ipairs(metrics.sorted_keys(record)) do
		if type(key) == "string" and key:find("^eval_") and record[key] == value then
			return key
		end
	end
end

--- The file names a best value without saying of what: look it up among the evaluations, first at
-- the step of the best checkpoint.
local function find_best(state, evals)
	local value, checkpoint = number(state, "best_metric"), M.basename(state.best_model_checkpoint)
	if not value then
		return nil
	end
	local step = num.int(checkpoint and checkpoint:match("^checkpoint%-(%d+)$"))
		or integer(state, "best_global_step")
	local best = { value = value, step = step, checkpoint = checkpoint,
		path = checkpoint and state.best_model_checkpoint }
	for pass = 1, 2 do
		for _, record in ipairs(evals) do
			local metric = (pass == 2 or record.step == step) and metric_with(record, value)
			if metric then
				best.metric, best.step, best.epoch = metric, step or record.step, record.epoch
				return best
			end
		end
	end
	return best
end

--- Outcome in the words of the corpus.
---@param steps integer?
---@param max_steps integer?
---@param has_summary boolean a train_runtime record exists
---@return string
function M.outcome(steps, max_steps, has_summary)
	if not steps or not max_steps then
		return has_summary and "completed" or "unknown"
	elseif has_summary then
		return steps >= max_steps and "completed" or "completed_early"
	end
	return steps >= max_steps and "reached_max_steps_no_summary" or "incomplete_state"
end

--- The contract's word for an outcome of this module.
---@param word string
---@return string
function M.contract_outcome(word)
	local map = { reached_max_steps_no_summary = "completed", incomplete_state = "interrupted" }
	return map[word] or word
end

--- The records of a log by kind.
local function split_history(history)
	local found = { evals = {} }
	for _, record in ipairs(history) do
		if type(record) == "table" then
			local loss = number(record, "loss")
			if number(record, "train_runtime") then
				found.train = record
			elseif has_eval(record) then
				found.evals[#found.evals + 1] = record
			elseif number(record, "test_runtime") then
				found.test = record
			end
			if loss then
				found.last = record
				found.lowest_loss = metrics.better(loss, found.lowest_loss, "min") and loss
					or found.lowest_loss
			end
		end
	end
	return found
end

local function planned_epochs(state)
	local value = number(state, "num_train_epochs")
	return value and math.abs(value) < EPOCHS_MAX and num.tidy(value) or nil
end

--- Read a decoded trainer_state.json.
---@param state any
---@return th.HfRun? run
---@return th.Error? err code "not_a_record": another program's file of that name
function M.state(state)
	local steps = type(state) == "table" and integer(state, "global_step")
	if not steps then
		return nil, { code = "not_a_record",
			message = "trainer_state.json has no whole number 'global_step'" }
	end
	local run = split_history(type(state.log_history) == "table" and state.log_history or {})
	local max_steps = integer(state, "max_steps")
	run.steps, run.epochs = steps, number(state, "epoch")
	run.planned = { max_steps = max_steps, num_epochs = planned_epochs(state) }
	run.best = find_best(state, run.evals)
	run.outcome = M.outcome(steps, max_steps, run.train ~= nil)
	return run
end

--- A run of which only the console is left. The printed dicts carry no step.
---@param records table<string, any>[] from `console_record`, in order
---@param known { steps: integer?, max_steps: integer?, num_epochs: number?, best: table? } what
---  else the log says; `best` has `best_metric` and `best_model_checkpoint`
---@return th.HfRun
function M.console_run(records, known)
	local run = split_history(records)
	local last = records[#records] or {}
	run.steps, run.epochs = known.steps, number(run.train or last, "epoch")
	run.planned = { max_steps = known.max_steps, num_epochs = known.num_epochs }
	run.best = known.best and find_best(known.best, run.evals) or nil
	run.outcome = run.train and M.outcome(known.steps, known.max_steps, true) or "incomplete_state"
	return run
end

--- A dict that the Trainer printed. Version 5 prints numbers as strings; they become numbers.
---@param segment string
---@return table<string, any>? record nil when the line is none of the Trainer's
function M.console_record(segment)
	local record = pydict.from_line(segment)
	if not record then
		return nil
	end
	for key, value in pairs(record) do
		if type(value) == "string" then
			record[key] = num.any(value) or value
		end
	end
	if number(record, "loss") or number(record, "train_runtime") or has_eval(record) then
		return record
	end
end

--- Is this key a runtime, a count of samples or a memory figure?
---@param key string
---@return boolean
function M.is_noise(key)
	for _, pattern in ipairs(NOISE) do
		if key:find(pattern) then
			return true
		end
	end
	return false
end

--- Is this key a metric, and no noise?
---@param key string
---@return boolean
function M.is_metric(key)
	if M.is_noise(key) then
		return false
	end
	return key:find("^eval_") ~= nil or key:find("^test_") ~= nil or key:find("^predict_") ~= nil
		or key == "perplexity"
end

--- The metrics of a record, with their prefix.
---@param record table<string, any>
---@return table<string, number>
function M.metrics_of(record)
	local out = {}
	for key, value in pairs(record) do
		if type(value) == "number" and type(key) == "string" and M.is_metric(key) then
			out[key] = value
		end
	end
	return out
end

--- The evaluation after which training stopped: all records of the last evaluated step together
-- (several evaluation sets make one record each).
---@param run th.HfRun
---@return table<string, number> metrics empty when nothing was evaluated
---@return integer? step
function M.last_eval(run)
	local last = run.evals[#run.evals]
	if not last then
		return {}
	end
	return M.eval_at(run, last.step) or M.metrics_of(last), last.step -- printed dicts have no step
end

--- The evaluation at a step, all its records together.
---@param run th.HfRun
---@param step integer?
---@return table<string, number>? metrics nil when that step was not evaluated
function M.eval_at(run, step)
	local out
	for _, record in ipairs(run.evals) do
		if step and record.step == step then
			out = out or {}
			for key, value in pairs(M.metrics_of(record)) do
				out[key] = value
			end
		end
	end
	return out
end

--- The metrics that the *_results.json files hold: what was measured after training.
---@param ... table? decoded files; nil and non-tables are skipped
---@return table<string, number>
function M.results(...)
	local out = {}
	for index = 1, select("#", ...) do
		local file = select(index, ...)
		if type(file) == "table" and file ~= json.null then
			for key, value in pairs(M.metrics_of(file)) do
				out[key] = value
			end
		end
	end
	return out
end

return M
