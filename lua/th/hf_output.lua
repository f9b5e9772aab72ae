--- The files of a Hugging Face Trainer's output directory, found and decoded.
--
--     local out = output.open(folder)
--     local state = output.newest_state(out)
--     local results = output.results(out)
--
-- What cannot be used is remembered in `out`: git-LFS pointers and broken files are told apart from
-- files that are not there.
local hf = require("th.hf_trainer")
local hparams = require("th.hparams")
local iso = require("th.iso")
local json = require("th.json")
local lines = require("th.lines")
local metrics = require("th.metrics")
local sources = require("th.hf_sources")

local M = {}

---@class th.HfOutput
---@field folder th.Folder
---@field pointers string[] files that are git-LFS pointers
---@field faults th.Error[] files that are there and cannot be used

---@param folder th.Folder
---@return th.HfOutput
function M.open(folder)
	return { folder = folder, pointers = {}, faults = {} }
end

local function add_fault(out, name, err)
	out.faults[#out.faults + 1] = { code = err.code or "bad_file", path = name,
		message = ("%s: %s"):format(name, err.message) }
end

--- A file that holds a table; nil when it is absent or of no use (then `out` has the reason).
---@param out th.HfOutput
---@param name string
---@param kind? "json"|"yaml" default "json"
---@return table<string, any>?
function M.table(out, name, kind)
	if not out.folder:has(name) then
		return nil
	elseif hf.lfs_error(out.folder:head(name)) then
		out.pointers[#out.pointers + 1] = name
		return nil
	end
	local value, err = out.folder[kind or "json"](out.folder, name)
	if type(value) == "table" then
		return value
	end
	add_fault(out, name, err or { code = "not_a_training_record", message = "holds no object" })
end

-- The state ------------------------------------------------------------------------------------

-- A top-level state that is this much newer than a checkpoint belongs to a later, shorter run;
-- files of a checkout or a copy have nearly the same time.
local LATER = 60 -- seconds

-- Fields that no other program's trainer_state.json has beside a whole `global_step`.
local OWN = { "log_history", "max_steps", "num_train_epochs", "best_metric", "total_flos",
	"best_model_checkpoint", "is_world_process_zero", "trial_params" }

local function is_own(state)
	for _, field in ipairs(OWN) do
		if state[field] ~= nil then
			return true
		end
	end
	return false
end

local function load_state(out, name)
	local value = M.table(out, name)
	local run, err
	if value and is_own(value) then
		run, err = hf.state(value)
	elseif value then
		err = { message = "another program's file: no field of the Trainer's" }
	end
	if value and not run then
		add_fault(out, name, { code = "not_a_training_record", message = err.message })
	end
	return run and { run = run, raw = value, from = name } or nil
end

local function is_later(folder, name, other)
	local times = {}
	for index, path in ipairs({ name, other }) do
		local file = folder:files(path)[1]
		times[index] = file and iso.to_unix(file.mtime)
	end
	return times[1] and times[2] and times[1] - times[2] > LATER
end

--- The newest checkpoint's state that can be read and is ahead of `steps`.
local function state_ahead(out, steps)
	local files = out.folder:files("checkpoint-*/trainer_state.json")
	for index = #files, 1, -1 do
		local step = tonumber(files[index].name:match("^checkpoint%-(%d+)/"))
		if step and steps and step <= steps then
			return nil
		end
		local state = step and load_state(out, files[index].name)
		if state and state.run.steps > (steps or -1) then
			return state
		end
	end
end

---@class th.HfState
---@field run th.HfRun
---@field raw table<string, any> the decoded file
---@field from string its name
---@field other th.HfState? a second state that says something else: the one left aside

--- The state that tells most: the top-level one, unless a checkpoint went further since.
---@param out th.HfOutput
---@return th.HfState?
function M.newest_state(out)
	local top = load_state(out, "trainer_state.json")
	local ahead = state_ahead(out, top and top.run.steps)
	if not top or not ahead then
		return top or ahead
	elseif is_later(out.folder, top.from, ahead.from) then
		top.other = ahead
		return top
	end
	ahead.other = top
	return ahead
end

-- Results --------------------------------------------------------------------------------------

local SUMMARIES = { "metrics.json", "final_summary.json", "training_summary.json", "summary.json",
	"train_metrics.json", "eval_metrics.json", "final_metrics.json" }
local NOT_METRICS = { epoch = true, step = true, global_step = true, total_flos = true,
	num_input_tokens_seen = true }

--- Other programs write test_loss and train_loss too; they do not time themselves like this.
local function is_trainers(values, own)
	for key, value in pairs(values) do
		if type(key) == "string" and type(value) == "number" and (key:find("%a_runtime$")
			or key:find("%a_samples_per_second$") or own and key:find("^eval_%a")) then
			return true
		end
	end
	return false
end

--- In the Trainer's own files a name without prefix is a metric too (perplexity of run_mlm).
local function own_metrics(values)
	local found = {}
	for key, value in pairs(values) do
		if type(key) == "string" and type(value) == "number" and not NOT_METRICS[key]
			and not hf.is_noise(key) and not key:find("^train_") and not key:find("^init_") then
			found[key] = value
		end
	end
	return found
end

--- What a file says of the training itself.
local function train_values(values)
	local found = {}
	for key, value in pairs(values) do
		if type(key) == "string" and type(value) == "number"
			and (key:find("^train_") or key == "total_flos") then
			found[key] = value
		end
	end
	return found
end

---@class th.HfResult
---@field from string file
---@field metrics table<string, number>
---@field train table<string, number> train_runtime, train_loss, ...
---@field epoch number?
---@field settings table<string, any> what a summary says beside its metrics

local function result_of(name, values, own)
	local settings = {}
	if type(values.metrics) == "table" and not own then
		settings, values = values, values.metrics
	end
	if not is_trainers(values, own) then
		return nil
	end
	return { from = name, metrics = own and own_metrics(values) or hf.metrics_of(values),
		train = train_values(values), settings = settings,
		epoch = type(values.epoch) == "number" and values.epoch or nil }
end

--- The *_results.json files and hand-written summaries, all_results.json first: a later file is
--- about one split only, and may be newer.
---@param out th.HfOutput
---@return th.HfResult[]
function M.results(out)
	local names, found = { "all_results.json" }, {}
	for _, file in ipairs(out.folder:files("*_results.json")) do
		names[#names + 1] = file.name ~= "all_results.json" and file.name or nil
	end
	local own = #names
	table.move(SUMMARIES, 1, #SUMMARIES, own + 1, names)
	for index, name in ipairs(names) do
		local values = M.table(out, name)
		found[#found + 1] = values and result_of(name, values, index <= own) or nil
	end
	return found
end

-- Arguments ------------------------------------------------------------------------------------

local ARGUMENT_FILES = { "training_args.json", "train_args.json", "training_arguments.json",
	"sft_args.json", "args.json", "training_config.json", "train_config.json" }
local ARGUMENT_WORDS = { "learning_rate", "per_device_train_batch_size", "num_train_epochs",
	"finetuning_type", "model_name_or_path" }

local function count_words(has)
	local count = 0
	for _, word in ipairs(ARGUMENT_WORDS) do
		count = count + (has(word) and 1 or 0)
	end
	return count
end

---@class th.HfArguments
---@field from string
---@field raw table<string, any>

--- Arguments that were written to a file: YAML of LLaMA-Factory, JSON dumps of TrainingArguments.
---@param out th.HfOutput
---@return th.HfArguments[]
function M.argument_files(out)
	local found = {}
	for _, name in ipairs(ARGUMENT_FILES) do
		local raw = out.folder:has(name) and M.table(out, name)
		if raw and count_words(function(word) return raw[word] ~= nil end) > 1 then
			found[#found + 1] = { from = name, raw = raw }
		end
	end
	for _, pattern in ipairs({ "*.yaml", "*.yml" }) do
		for _, file in ipairs(out.folder:files(pattern)) do
			local head = out.folder:head(file.name)
			local fits = count_words(function(word) return head:find(word .. ":", 1, true) end) > 1
			local raw = (fits or hf.lfs_error(head)) and M.table(out, file.name, "yaml")
			if raw then
				found[#found + 1] = { from = file.name, raw = raw }
			end
		end
	end
	return found
end

-- Logs -----------------------------------------------------------------------------------------

local LOGS = { "*.log", "*.out", "*log.txt", "train*.txt", "console*.txt", "output*.txt" }
local MOST_UNFILTERED = 8 << 20 -- bytes of a log that are read line by line without needles

local function logs_of(folder)
	local files, seen = {}, {}
	for _, pattern in ipairs(LOGS) do
		for _, file in ipairs(folder:files(pattern)) do
			if not seen[file.name] and file.size > 0 then
				seen[file.name] = true
				files[#files + 1] = file
			end
		end
	end
	table.sort(files, function(a, b)
		return a.mtime > b.mtime or (a.mtime == b.mtime and a.name < b.name)
	end)
	return files
end

local MARKS = { "{'loss': ", "'train_runtime': ", "{'eval_", "TrainingArguments(",
	"***** Running training *****", "|trainer.py:" }

--- Do the first or the last bytes of a log show the Trainer?
local function looks_like_trainer(folder, file)
	local tail = file.size > 4096 and folder:read(file.name, file.size - 4096) or ""
	local text = folder:head(file.name) .. tail
	for _, mark in ipairs(MARKS) do
		if text:find(mark, 1, true) then
			return mark
		end
	end
end

--- The newest log that shows the Trainer at its beginning or its end.
---@param folder th.Folder
---@return string? name
---@return string? mark what was seen in it
---@return integer? size
function M.log(folder)
	for _, file in ipairs(logs_of(folder)) do
		local mark = looks_like_trainer(folder, file)
		if mark then
			return file.name, mark, file.size
		end
	end
end

--- The last run in a log.
---@param folder th.Folder
---@param name string
---@return th.HfConsole
function M.console(folder, name)
	return sources.read_console(folder:lines(name, sources.needles()))
end

--- TrainingArguments as a log shows them; nil when it does not.
---@param folder th.Folder
---@param name string
---@param size integer
---@return table<string, any>?
function M.logged_arguments(folder, name, size)
	local found, is_cut = hparams.training_arguments(folder:lines(name, "TrainingArguments("))
	if is_cut and size <= MOST_UNFILTERED then
		found = hparams.training_arguments(folder:lines(name)) -- one line for each field
	elseif is_cut then
		found = hparams.training_arguments(lines.each(folder:read(name, 0, MOST_UNFILTERED)))
	end
	return found
end

--- Flags of the command line that a log shows, the last one.
---@param folder th.Folder
---@param name string
---@return table<string, string|true>
function M.logged_flags(folder, name)
	local flags = {}
	for line in folder:lines(name, "--model_name_or_path", "--base_model") do
		flags = hparams.command_line(line)
	end
	return flags
end

-- Models ---------------------------------------------------------------------------------------

--- A small JSON file at the top, else in the newest checkpoint.
---@param out th.HfOutput
---@param name string
---@return table<string, any>? value
---@return string? from
function M.model_file(out, name)
	local value = M.table(out, name)
	if value then
		return value, name
	end
	local below = out.folder:find("checkpoint-*/" .. name)
	return below and M.table(out, below), below
end

--- Checkpoint directories in the order of their steps.
---@param folder th.Folder
---@return string[]
function M.checkpoints(folder)
	local found = {}
	for _, name in ipairs(folder:folders()) do
		found[#found + 1] = name:find("^checkpoint%-%d+$") and name or nil
	end
	return found
end

--- Absent and null are nothing; so is an empty text.
---@param value any
---@return string?
function M.text(value)
	return type(value) == "string" and value:find("%S") and value or nil
end

--- Scalars of a table (no null, no nested value), under their own names.
---@param values table<string, any>
---@return table<string, any>
function M.scalars(values)
	local found = {}
	for _, key in ipairs(metrics.sorted_keys(values)) do
		local value = values[key]
		if type(key) == "string" and type(value) ~= "table" and value ~= json.null then
			found[key] = value
		end
	end
	return found
end

return M
