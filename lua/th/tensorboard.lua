--- TensorBoard event files of any writer: Hugging Face's Trainer, Keras, Lightning, SummaryWriter.
--
-- A directory with event files is a run. Folders that writers make inside one (`train`,
-- `validation`, the Trainer's `1763032029.12`) belong to it. Files of one directory are read in the
-- order of the time in their names; one whose steps begin no later than the first one's did is a
-- new training, and the last training counts.
local hf = require("th.hf_trainer")
local hparams = require("th.hparams")
local iso = require("th.iso")
local json = require("th.json")
local metrics = require("th.metrics")
local num = require("th.num")
local tfevents = require("th.tfevents")

local M = { title = "TensorBoard" }

local FILES = "**/*tfevents.*"
-- How much of a training is decoded: enough for 100,000 scalars, and well within a call's time.
local HEAD, BUDGET = 1 << 20, 6 << 20

-- Runs ----------------------------------------------------------------------------------------

-- Folders below a run that hold a part of it.
local PARTS = { train = true, validation = true, val = true, valid = true, eval = true,
	evaluation = true, test = true, training = true, dev = true }

--- Is the directory a part of the one above? `add_scalars` makes `Loss_train` beside the files of
--- its own run; such a name alone could be a run's.
local function is_part(name, above_has_files)
	local ending = above_has_files and name:lower():match("_(%a+)$")
	return PARTS[name:lower()] or PARTS[ending] or name:find("^%d+%.%d+$") ~= nil
end

--- The directory of the run that a file belongs to, and the part of it: "" or "validation/".
local function place(dir, dirs)
	local above, last = dir:match("^(.*)/([^/]+)$")
	if not above then
		above, last = "", dir
	end
	if last == "" or not is_part(last, dirs[above]) then
		return dir, ""
	end
	return above, last:find("^%d+%.%d+$") and "" or last .. "/"
end

local function time_of(name)
	return tonumber(name:match("tfevents%.(%d+)")) or 0
end

--- The event files, and the set of directories that hold one.
local function event_files(folder)
	local files, dirs = {}, {}
	for _, file in ipairs(folder:files(FILES)) do
		if file.name:find("tfevents%.%d") and not file.name:find("%.profile%-empty$") then
			local dir = file.name:match("^(.*)/[^/]+$") or ""
			files[#files + 1] = { name = file.name, size = file.size, dir = dir,
				time = time_of(file.name) }
			dirs[dir] = true
		end
	end
	return files, dirs
end

--- Event files by run, the newest run first.
local function runs_of(folder)
	local runs, by_dir = {}, {}
	local files, dirs = event_files(folder)
	for _, file in ipairs(files) do
		local dir
		dir, file.part = place(file.dir, dirs)
		local run = by_dir[dir]
		if not run then
			run = { dir = dir == "" and "." or dir, files = {}, time = 0 }
			by_dir[dir], runs[#runs + 1] = run, run
		end
		run.time = math.max(run.time, file.time)
		run.files[#run.files + 1] = file
	end
	table.sort(runs, function(a, b)
		return a.time > b.time or (a.time == b.time and a.dir < b.dir)
	end)
	return runs
end

local function sort_files(files)
	table.sort(files, function(a, b)
		return a.time < b.time or (a.time == b.time and a.name < b.name)
	end)
	return files
end

-- One training --------------------------------------------------------------------------------

-- Words of a tag, lower case, that tell what was measured.
local EVALUATED = { eval = true, evaluation = true, val = true, valid = true, validation = true,
	test = true, dev = true }
local TRAINED = { train = true, training = true, lr = true, epoch = true, batch = true,
	hp = true, grad = true }

--- "eval", "train" or "other", by the words of a tag: `eval/loss`, `epoch_val_loss`, `Loss/train`.
local function kind_of(tag)
	local kind = "other"
	for word in tag:lower():gmatch("%a+") do
		if EVALUATED[word] then
			return "eval"
		elseif TRAINED[word] then
			kind = "train"
		end
	end
	return tag:lower():find("learning_rate", 1, true) and "train" or kind
end

---@class th.TbTraining what one training's event files say
---@field last table<string, { step: integer, value: number, from: string }> by tag
---@field kinds table<string, "eval"|"train"|"other">
---@field evals table<integer, table<string, number>> step -> the values of evaluated tags
---@field texts table<string, string>
---@field first_step integer? of the first file
---@field last_step integer?

local function new_training()
	return { last = {}, kinds = {}, evals = {}, texts = {} }
end

local function keep_eval(training, tag, step, value)
	local at = training.evals[step]
	if not at then
		at = {}
		training.evals[step] = at
	end
	at[tag] = value
end

--- What a file says, collected on its own until it is known which training it belongs to.
local function collector(file)
	local found = new_training()
	return found, {
		scalar = function(name, step, value)
			local tag = file.part .. name
			local kind = found.kinds[tag] or kind_of(tag)
			found.kinds[tag] = kind
			found.last[tag] = { step = step, value = value, from = file.name }
			found.first_step = math.min(found.first_step or step, step)
			found.last_step = math.max(found.last_step or step, step)
			if kind == "eval" then
				keep_eval(found, tag, step, value)
			end
		end,
		text = function(tag, text)
			found.texts[tag] = text
		end,
		time = function(seconds)
			found.first_time = found.first_time or seconds
			found.last_time = seconds
		end,
	}
end

--- Read a file: all of it, or its beginning and its end when it is larger than the budget.
local function scan_file(folder, file)
	local found, sink = collector(file)
	local budget = file.budget
	local function read(offset, length)
		return folder:read(file.name, offset, length)
	end
	local whole = file.size <= budget
	local offset, problem = tfevents.scan(read, file.size, sink, 0, whole and file.size or HEAD)
	if offset and not whole and problem == false then
		local from = tfevents.next_frame(read, math.max(offset, file.size - (budget - HEAD)))
		if from then
			offset, problem = tfevents.scan(read, file.size, sink, from)
		end
		folder:warn(("%s: %d MiB; only its beginning and its end were read"):format(
			file.name, file.size >> 20))
	end
	if not offset then
		folder:warn(("%s: %s; what lies before it was read"):format(file.name, problem.message))
	end
	return found, not offset and problem or nil
end

--- Does this file begin a training of its own? An evaluation's file goes on where the other ends.
local function begins_anew(training, found)
	if found.texts["args/text_summary"] and not found.first_step then
		return true -- it was stopped before it wrote a scalar
	end
	return training.first_step ~= nil and found.first_step ~= nil
		and found.first_step <= training.first_step
end

local function join(training, found)
	for _, field in ipairs({ "last", "kinds", "texts" }) do
		for key, value in pairs(found[field]) do
			training[field][key] = value
		end
	end
	for step, values in pairs(found.evals) do
		for tag, value in pairs(values) do
			keep_eval(training, tag, step, value)
		end
	end
	local function pick(field, choose)
		if found[field] then
			training[field] = choose(training[field] or found[field], found[field])
		end
	end
	pick("first_step", math.min)
	pick("last_step", math.max)
	pick("first_time", math.min)
	pick("last_time", math.max)
end

--- The newest files that the budget is enough for, in the order of their times; the last training
--- is among them.
local function within_budget(folder, files)
	local kept, left = {}, BUDGET
	for index = #files, 1, -1 do
		local file = files[index]
		if left <= 0 then
			folder:warn(("%d older event files were not read"):format(index))
			break
		end
		file.budget = math.max(left, 2 * HEAD)
		left = left - math.min(file.size, file.budget)
		table.insert(kept, 1, file)
	end
	return kept
end

--- The last training of a run. Parts are joined by themselves first: `train/` and `validation/`
--- begin at the same step, and neither begins anew because of that.
local function read_run(folder, run)
	local by_part, order, problem = {}, {}, nil
	for _, file in ipairs(within_budget(folder, sort_files(run.files))) do
		local found, fault = scan_file(folder, file)
		problem = fault or problem
		local training = by_part[file.part]
		if not training then
			order[#order + 1] = file.part
		end
		if not training or begins_anew(training, found) then
			by_part[file.part] = found
		else
			join(training, found)
		end
	end
	local training = new_training()
	for _, part in ipairs(order) do
		join(training, by_part[part])
	end
	return training, problem
end

-- The reading ---------------------------------------------------------------------------------

local function text_json(training, tag)
	local text = training.texts[tag]
	local value = text and json.decode(text)
	return type(value) == "table" and value or {}
end

--- Hyperparameters that a writer left as text: the Trainer's JSON, else a Markdown table of two
--- columns (`|lr|0.1|`), as many scripts write them under `hparams` or `hyperparameters`.
local function arguments_of(training)
	local arguments = text_json(training, "args/text_summary")
	if next(arguments) then
		return arguments, "args/text_summary"
	end
	for _, tag in ipairs(metrics.sorted_keys(training.texts)) do
		if tag:lower():find("h%a*param") or tag:lower():find("^args") then
			local values = json.decode(training.texts[tag])
			values = type(values) == "table" and values or {}
			for name, value in training.texts[tag]:gmatch("|%s*([%w_./-]+)%s*|%s*([^|\n]-)%s*|") do
				if not name:find("^%-+$") and name ~= "param" then
					values[name] = num.any(value) or value
				end
			end
			if next(values) then
				return values, tag:match("^(.-)/text_summary$") or tag
			end
		end
	end
	return {}, nil
end

local function outcome_of(training, planned, is_trainer)
	if not is_trainer then
		return nil -- nothing in the files tells whether more was to come
	elseif training.last["train/train_runtime"] then
		return hf.outcome(training.last_step, planned, true)
	elseif planned and (training.last_step or 0) >= planned then
		return "reached_max_steps_no_summary"
	end
	return "interrupted"
end

--- Last values: what was evaluated, and what was trained. Tags of neither kind are results too, as
--- nobody else claims them.
local function last_values(training, reading)
	for _, tag in ipairs(metrics.sorted_keys(training.last)) do
		local point = training.last[tag]
		if training.kinds[tag] == "train" then
			reading.train[tag] = point.value
		elseif not hf.is_noise(tag) then
			reading.final_metrics[tag] = point.value
			reading.sources["final_metrics." .. tag] = ("%s: %s at step %d"):format(
				point.from, tag, point.step)
		end
	end
end

--- The tag that stands for the quality of the model: the one that the arguments name, else the
--- first evaluated loss, else the first evaluated tag.
local function main_tag(training, arguments)
	local named = arguments.metric_for_best_model
	if type(named) == "string" and training.last["eval/" .. named:gsub("^eval_", "")] then
		return "eval/" .. named:gsub("^eval_", "")
	end
	local first
	for _, tag in ipairs(metrics.sorted_keys(training.last)) do
		if training.kinds[tag] == "eval" and not hf.is_noise(tag) then
			if tag:lower():find("loss", 1, true) then
				return tag
			end
			first = first or tag
		end
	end
	return first
end

local function best_of(training, arguments)
	local tag = main_tag(training, arguments)
	local mode = tag and metrics.goal(tag)
	if tag and tag:find("^eval/") and type(arguments.greater_is_better) == "boolean" then
		mode = arguments.greater_is_better and "max" or "min"
	end
	local best
	for _, step in ipairs(tag and metrics.sorted_keys(training.evals) or {}) do
		local value = training.evals[step][tag]
		if value and metrics.better(value, best and best.value, mode) then
			best = { metric = tag, value = value, mode = mode, step = step, declared = false,
				values = training.evals[step] }
		end
	end
	return best
end

--- Keras counts epochs, from 0, in tags of its own; Lightning logs the epoch as a scalar.
local function progress(training, planned)
	local epoch_last, other_last
	for tag, point in pairs(training.last) do
		if tag:find("epoch_", 1, true) then
			epoch_last = math.max(epoch_last or 0, point.step)
		else
			other_last = math.max(other_last or 0, point.step)
		end
	end
	local scalar = training.last.epoch
	local epochs = epoch_last and { final = epoch_last, zero_based = true }
		or scalar and { final = num.tidy(scalar.value), zero_based = true } or nil
	local steps = (other_last or planned) and { final = other_last, planned = planned } or nil
	return steps, epochs
end

local function planned_steps(arguments)
	local value = arguments.max_steps
	return math.type(value) == "integer" and value > 0 and value or nil
end

local function base_model(training, reading)
	local name = text_json(training, "model_config/text_summary")._name_or_path
	if type(name) == "string" and name ~= "" then
		reading.base_model = name
		reading.sources.base_model = "inferred: model_config/text_summary: _name_or_path"
	end
end

local function hyperparams(training, reading, arguments, tag, folder)
	local values, problems = hparams.standard(arguments)
	for _, problem in ipairs(problems) do
		folder:warn(tag .. ": " .. problem)
	end
	reading.raw_hyperparams = arguments
	reading.hyperparams = training.texts["args/text_summary"]
		and hparams.settle_hf(values, arguments) or values
	reading.sources.hyperparams = tag and "event file: text " .. tag or nil
end

local function reading_of(folder, run, training)
	local arguments, tag = arguments_of(training)
	local planned = planned_steps(arguments)
	local is_trainer = training.texts["args/text_summary"] ~= nil
	local reading = { final_metrics = {}, train = {}, sources = {},
		outcome = outcome_of(training, planned, is_trainer),
		start_time = training.first_time and iso.from_unix(training.first_time),
		end_time = training.last_time and iso.from_unix(training.last_time) }
	local name = run.files[#run.files].name
	last_values(training, reading)
	reading.steps, reading.epochs = progress(training, planned)
	reading.sources.steps = reading.steps and name .. ": last step of a scalar" or nil
	reading.sources.epochs = reading.epochs and name .. ": last epoch" or nil
	if reading.outcome then
		reading.sources.outcome = "inferred: " .. name .. ": train/train_runtime"
	end
	reading.best = best_of(training, arguments)
	if reading.best then
		reading.sources.best = ("derived: %s of %s"):format(reading.best.mode, reading.best.metric)
	end
	hyperparams(training, reading, arguments, tag, folder)
	base_model(training, reading)
	return reading
end

--- Does the file begin with a frame? Its length's checksum tells.
local function is_event_file(folder, file)
	local head = folder:read(file.name, 0, 12) or ""
	return #head == 12 and tfevents.masked_crc(head:sub(1, 8)) == ("<I4"):unpack(head, 9)
end

---@param folder th.Folder
---@return th.Recognised?
function M.recognise(folder)
	local runs, names = runs_of(folder), {}
	if #runs == 0 then
		return nil
	end
	local file = runs[1].files[1]
	if not is_event_file(folder, file) then
		return nil
	end
	for index, run in ipairs(runs) do
		names[index] = run.dir
	end
	-- 60: other files of the same run hold the same numbers with all their digits
	return { score = 60, why = file.name .. " is a TensorBoard event file",
		runs = (#runs > 1 or names[1] ~= ".") and names or nil }
end

--- The texts and arguments of the newest run's beginning, for a reader that has better numbers.
---@param folder th.Folder
---@return table<string, any> arguments empty when there are none
---@return string? base_model
---@return string? from the file's name
function M.arguments(folder)
	local run = runs_of(folder)[1]
	for _, file in ipairs(run and sort_files(run.files) or {}) do
		local found, sink = collector(file)
		tfevents.scan(function(offset, length)
			return folder:read(file.name, offset, length)
		end, file.size, sink, 0, math.min(file.size, 1 << 14))
		local arguments = text_json(found, "args/text_summary")
		if next(arguments) then
			return arguments, text_json(found, "model_config/text_summary")._name_or_path, file.name
		end
	end
	return {}
end

---@param folder th.Folder
---@return th.Reading?
---@return th.Error? err code "no_data", or "bad_event" when nothing before a fault could be used
function M.read(folder)
	local runs = runs_of(folder)
	local run = runs[1]
	if not run then
		return nil, { code = "no_data", message = "no TensorBoard event file" }
	end
	local training, problem = read_run(folder, run)
	if not next(training.last) and not next(training.texts) then
		if problem then
			problem.path = run.files[#run.files].name
			problem.message = ("%s: %s"):format(problem.path, problem.message)
		end
		return nil, problem or { code = "no_data", path = run.files[#run.files].name,
			message = run.files[#run.files].name .. " holds no scalar and no text" }
	end
	local reading = reading_of(folder, run, training)
	reading.run = #runs > 1 and run.dir or nil
	return reading
end

return M
