--- Checkpoint directories: config.json, weights.json and, written last, trainer_state.json.
-- A checkpoint without a readable state was cut short, and counts as absent.

local data = require "data"
local failure = require "failure"
local files = require "files"
local json = require "json"

local M = {}

local FILES = { "trainer_state.json", "weights.json", "config.json" }

--- Plain Lua cannot list a directory, so steps are tried one by one. Nobody trains this
-- example for longer.
local LAST_STEP_TRIED = 10000

---@param output_dir string
---@param step integer
---@return string
function M.path(output_dir, step)
	return ("%s/checkpoint-%d"):format(output_dir, step)
end

local function read_json(path)
	local text = files.read(path)
	return text and json.decode(text)
end

--- The steps of all checkpoints below a directory, oldest first.
---@param output_dir string
---@return integer[]
function M.steps(output_dir)
	local steps = {}
	for step = 1, files.exists(output_dir) and LAST_STEP_TRIED or 0 do
		if files.exists(M.path(output_dir, step)) then
			steps[#steps + 1] = step
		end
	end
	return steps
end

--- The state of the newest complete checkpoint.
---@param output_dir string
---@param steps integer[]
---@return table? state
---@return string? path
function M.last_state(output_dir, steps)
	for i = #steps, 1, -1 do
		local path = M.path(output_dir, steps[i])
		local state = read_json(path .. "/trainer_state.json")
		if state then
			return state, path
		end
	end
end

--- Model and configuration, into an existing directory.
---@param dir string
---@param model example.Model
---@param options table
function M.save_model(dir, model, options)
	local names = {}
	for i, label in ipairs(data.LABELS) do
		names[tostring(i - 1)] = label
	end
	files.write(dir .. "/config.json", json.encode({
		_name_or_path = options.model_name_or_path,
		architectures = { "SoftmaxLineClassifier" },
		finetuning_task = options.dataset,
		hidden_size = data.FEATURES,
		id2label = names,
		model_type = "softmax-line",
	}, 2) .. "\n")
	files.write(dir .. "/weights.json", json.encode(model))
end

---@param dir string
---@param model example.Model
---@param options table
---@param state table
function M.save(dir, model, options, state)
	files.make_directory(dir)
	M.save_model(dir, model, options)
	files.write(dir .. "/trainer_state.json", json.encode(state, 2) .. "\n")
end

--- The model in a directory.
---@param dir string
---@return example.Model? model nil if there is none
---@return string? dataset what it was trained on last
function M.load_model(dir)
	local model = read_json(dir .. "/weights.json")
	local config = read_json(dir .. "/config.json")
	return model, config and config.finetuning_task
end

--- The model in a directory that has to hold one.
---@param dir string
---@return example.Model
function M.need_model(dir)
	local model = M.load_model(dir)
	if not model then
		failure.raise("OSError", "can't load weights for '" .. dir .. "'")
	end
	return model --[[@as example.Model]]
end

---@param output_dir string
---@param step integer
function M.remove(output_dir, step)
	local dir = M.path(output_dir, step)
	for _, name in ipairs(FILES) do
		os.remove(dir .. "/" .. name)
	end
	os.remove(dir)
end

--- Remove the checkpoints after a step: what is left of a training that is not continued.
---@param output_dir string
---@param steps integer[] changed
---@param step integer
function M.discard_after(output_dir, steps, step)
	while #steps > 0 and steps[#steps] > step do
		M.remove(output_dir, table.remove(steps))
	end
end

--- Remove the oldest checkpoints beyond the limit; the best and the newest one stay.
---@param output_dir string
---@param steps integer[] changed
---@param limit integer
---@param best string? path
function M.rotate(output_dir, steps, limit, best)
	local i = 1
	while #steps > limit and i < #steps do
		if M.path(output_dir, steps[i]) == best then
			i = i + 1
		else
			M.remove(output_dir, table.remove(steps, i))
		end
	end
end

return M
