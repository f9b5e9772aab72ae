--- What the readers of trackers share: a directory that may hold many runs, and parts of a reading
-- that are made in the same way.
local hparams = require("th.hparams")

local M = {}

-- Endings of files that hold a model, and those that may hold anything.
local MODELS = { pt = true, pth = true, ckpt = true, h5 = true, hdf5 = true, keras = true,
	safetensors = true, onnx = true, bin = true, cbm = true, model = true, tflite = true, pb = true }
local MAYBE = { pkl = true, pickle = true, joblib = true, npz = true, zip = true }

--- The answer of `recognise`.
---@param found string[] folders of runs, the one to read first; "." is the folder itself
---@param why string with `%s` for that folder
---@param scores { own: integer, below: integer }? default 90 and 85
---@return th.Recognised?
function M.recognised(found, why, scores)
	local first = found[1]
	if not first then
		return nil
	end
	scores = scores or { own = 90, below = 85 }
	local is_one = #found == 1 and first == "."
	return { score = is_one and scores.own or scores.below,
		why = (why:format(first):gsub("^%./", "")), runs = not is_one and found or nil }
end

--- Prefix of names below a run's folder: "" or "mlruns/1/41e1/".
---@param run string
---@return string
function M.prefix(run)
	return run == "." and "" or run .. "/"
end

local function below(reading, run)
	for kind, name in pairs(reading.checkpoints or {}) do
		reading.checkpoints[kind] = M.prefix(run) .. name
	end
end

--- Read the first of the runs. Names in the reading become relative to `folder`.
---@param folder th.Folder
---@param found string[]
---@param read fun(folder: th.Folder, run: string): th.Reading?, th.Error?
---@param missing string what there is none of, for people
---@return th.Reading?
---@return th.Error?
function M.read_first(folder, found, read, missing)
	local run = found[1]
	if not run then
		return nil, { code = "not_a_training_record", path = folder.prefix,
			message = ("'%s' has %s"):format(folder.prefix == "" and "." or folder.prefix, missing) }
	end
	local reading, err = read(folder:sub(run), run)
	if not reading then
		return nil, err
	end
	reading.run = run
	below(reading, run)
	return reading
end

local MANY = 100 -- values of one source that need not each say so

--- Say for each value of a table where it was read; once for all when there are very many, as where
-- a program gave each of its samples a metric of its own.
---@param reading th.Reading
---@param part string "final_metrics"
---@param values table<string, any>
---@param from string
function M.source_all(reading, part, values, from)
	local sources, count = {}, 0
	for name in pairs(values) do
		sources[part .. "." .. name], count = from, count + 1
	end
	if count > MANY then
		sources = { [part] = from }
	end
	for key in pairs(sources) do
		reading.sources[key] = from
	end
end

--- Note that two sources differ.
---@param reading th.Reading
---@param what string
---@param taken_from string
---@param taken any the value that was taken
---@param other_from string
---@param other any
function M.disagree(reading, what, taken_from, taken, other_from, other)
	reading.disagreements = reading.disagreements or {}
	table.insert(reading.disagreements, { what = what, values = {
		{ from = taken_from, value = taken }, { from = other_from, value = other } } })
end

--- Hyperparameters, and what they tell of the model and the data.
---@param reading th.Reading
---@param folder th.Folder for warnings
---@param raw table as the source has them
---@param plain table the same with plain values; may be `raw`
---@param from string
function M.read_hyperparams(reading, folder, raw, plain, from)
	local _, problems = hparams.standard(plain)
	for _, problem in ipairs(problems) do
		folder:warn(("'%s%s': %s"):format(folder.prefix, from, problem))
	end
	reading.raw_hyperparams = raw
	reading.hyperparams = hparams.standard_of_nested(plain)
	reading.sources.hyperparams = from
	reading.base_model, reading.dataset = hparams.base_model(plain), hparams.dataset(plain)
	reading.sources.base_model = reading.base_model and from
	reading.sources.dataset = reading.dataset and from
end

--- Does a file of that name hold a model? A pickle only if its name says so.
---@param name string
---@return boolean
function M.is_model(name)
	local base = name:match("[^/]+$") or ""
	local ending = (base:match("%.([^.]+)$") or ""):lower()
	local stem = base:lower()
	return MODELS[ending] == true or (MAYBE[ending] == true and (stem:find("model") ~= nil
		or stem:find("checkpoint") ~= nil or stem:find("weights") ~= nil))
end

--- Of names in their order: the last that is a model's, and the last of those that says "best".
---@param names string[]
---@return { best: string?, last: string? }? checkpoints nil when none is a model
function M.checkpoints(names)
	local out = {}
	for _, name in ipairs(names) do
		if M.is_model(name) then
			if (name:match("[^/]+$") or name):lower():find("best", 1, true) then
				out.best = name
			else
				out.last = name
			end
		end
	end
	return (out.best or out.last) and out or nil
end

--- The run that is read of those found; that there are others is said.
---@param folder th.Folder
---@param found string[] folders, the one that counts first
---@return string? run nil when there is none
function M.first(folder, found)
	if #found > 1 then
		folder:warn(("%d runs are here; '%s' is read"):format(#found, found[1]))
	end
	return found[1]
end

return M
