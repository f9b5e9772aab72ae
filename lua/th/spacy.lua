--- spaCy: model-best and model-last with their meta.json and config.cfg, and the JSON of
-- `spacy evaluate`.
--
-- `performance` is what the pipeline measured on its own development data, losses of its last
-- batches included. A pipeline that somebody loaded and saved again keeps the performance of the
-- package it came from: then it says nothing about the new training.
local hparams = require("th.hparams")
local num = require("th.num")
local thinc_config = require("th.thinc_config")

local M = { title = "spaCy" }

local PLACES = { "", "*/", "*/*/" }
local MODELS = { "model-best", "model-last", "model_best", "model_last" }

-- Scores that `spacy evaluate` always writes one of.
local SCORES = { "token_acc", "ents_f", "tag_acc", "dep_las", "cats_score", "sents_f", "spans_sc_f",
	"pos_acc", "lemma_acc" }

-- Finding --------------------------------------------------------------------------------------

local function is_meta(folder, name)
	local head = folder:head(name)
	return head:find("^[\xEF\xBB\xBF%s]*{") ~= nil and head:find('"lang"%s*:') ~= nil
		and (head:find('"spacy_version"', 1, true) ~= nil or head:find('"pipeline"%s*:') ~= nil)
end

--- The place that holds model-best or model-last, or a pipeline by itself.
local function find_models(folder)
	for _, place in ipairs(PLACES) do
		for _, file in ipairs(folder:files(place .. "*/meta.json")) do
			local dir, model = file.name:match("^(.-)/?([^/]+)/meta%.json$")
			for _, known in ipairs(MODELS) do
				if model == known and is_meta(folder, file.name) then
					return dir == "" and "." or dir
				end
			end
		end
	end
end

local function find_package(folder)
	for _, place in ipairs(PLACES) do
		for _, file in ipairs(folder:files(place .. "meta.json")) do
			if is_meta(folder, file.name) then
				return file.name:match("^(.*)/meta%.json$") or "."
			end
		end
	end
end

local function is_scores(folder, name)
	local head = folder:head(name)
	for _, score in ipairs(SCORES) do
		if head:find('^%s*{') and head:find('"' .. score .. '"%s*:') then
			return head:find('"lang"', 1, true) == nil and head:find('"speed"', 1, true) ~= nil
				or head:find('^%s*{%s*"token_acc"%s*:') ~= nil
		end
	end
	return false
end

local function find_scores(folder)
	local found = {}
	for _, file in ipairs(folder:files("*.json")) do
		if is_scores(folder, file.name) then
			found[#found + 1] = file.name
		end
	end
	return found
end

---@param folder th.Folder
---@return th.Recognised?
function M.recognise(folder)
	local models, package = find_models(folder), find_package(folder)
	if models then
		return { score = 90, runs = models ~= "." and { models } or nil,
			why = (models == "." and "" or models .. "/") .. "model-best or model-last of spaCy" }
	end
	if package then
		return { score = 70, runs = package ~= "." and { package } or nil,
			why = package .. "/meta.json describes a spaCy pipeline" }
	end
	local scores = find_scores(folder)
	return scores[1] and { score = 40, why = scores[1] .. " has the scores of spacy evaluate" } or nil
end

-- meta.json ------------------------------------------------------------------------------------

local function scalars_of(scores)
	local out = {}
	for name, value in pairs(type(scores) == "table" and scores or {}) do
		if type(value) == "number" and type(name) == "string" then
			out[name] = value
		end
	end
	return out
end

local function load_meta(folder, name)
	local problem = folder:text_error(name)
	if problem then
		return nil, problem
	end
	local meta, err = folder:json(name)
	if type(meta) ~= "table" then
		return nil, err or { code = "not_a_training_record", path = folder.prefix .. name,
			message = name .. " is no object" }
	end
	return meta
end

--- The published package whose performance this is, if the meta is still that package's.
local function repackaged(meta)
	local author = type(meta.author) == "string" and meta.author:lower() or ""
	local url = type(meta.url) == "string" and meta.url or ""
	if author:find("^explosion") or url:find("explosion.ai", 1, true) then
		return ("%s_%s"):format(tostring(meta.lang), tostring(meta.name))
	end
end

--- Version 2 called it `accuracy`, and gave percent.
local function performance_of(meta)
	if type(meta.performance) == "table" and next(meta.performance) ~= nil then
		return scalars_of(meta.performance), "performance", "fraction"
	end
	return scalars_of(meta.accuracy), "accuracy", "percent"
end

local function is_share(name)
	return name:find("_[fpr]$") or name:find("_acc$") or name:find("_[lu]as$") or name == "uas"
		or name == "las"
end

local function fill(reading, scores, unit, from)
	for name, value in pairs(scores) do
		reading.final_metrics[name] = value
		reading.sources["final_metrics." .. name] = from .. "." .. name
		reading.units[name] = is_share(name) and unit or nil
	end
end

local function add_performance(folder, reading, meta, from)
	local scores, key, unit = performance_of(meta)
	local package = repackaged(meta)
	local words = from .. ": " .. key
	if package then
		reading.base_model = package
		reading.sources.base_model = from .. ": name"
		words = ("%s (of the package %s, not of this training)"):format(words, package)
		folder:warn(("%s: the performance is that of %s, from which this pipeline was saved"):format(
			from, package))
	end
	fill(reading, scores, unit, words)
end

-- config.cfg -----------------------------------------------------------------------------------

local function positive(value)
	value = num.any(value)
	return value and value > 0 and value or nil
end

local function registered(name)
	return type(name) == "string" and name:match("^([^.]+)") or nil
end

local function standard_of(config)
	local function optimizer(key)
		return config["training.optimizer." .. key]
	end
	return hparams.standard({
		optimizer = registered(optimizer("@optimizers")), weight_decay = optimizer("L2"),
		adam_beta1 = optimizer("beta1"), adam_beta2 = optimizer("beta2"),
		adam_epsilon = optimizer("eps"), max_grad_norm = optimizer("grad_clip"),
		lr = optimizer("learn_rate") or optimizer("learn_rate.initial_rate"),
		scheduler = registered(optimizer("learn_rate.@schedules")),
		warmup_steps = optimizer("learn_rate.warmup_steps"),
		dropout = config["training.dropout"], seed = config["training.seed"],
		max_steps = positive(config["training.max_steps"]),
		num_epochs = positive(config["training.max_epochs"]),
		grad_accum = config["training.accumulate_gradient"],
		eval_steps = config["training.eval_frequency"],
		batch_size = config["training.batcher.size"],
	})
end

--- The pipeline a component was taken from, or the transformer underneath.
local function base_of(config)
	local names = require("th.metrics").sorted_keys(config)
	for _, ending in ipairs({ "%.source$", "%.model%.name$" }) do
		for _, name in ipairs(names) do
			if name:find("^components%..*" .. ending) and type(config[name]) == "string" then
				return config[name], name
			end
		end
	end
end

local function add_config(folder, reading, name, at)
	local text = folder:has(name) and not folder:text_error(name) and folder:read(name)
	local config, err = nil, nil
	if text then
		config, err = thinc_config.decode(text)
	end
	if not config then
		if err then
			folder:warn(("%s%s: %s"):format(at, name, err.message))
		end
		return
	end
	reading.raw_hyperparams, reading.hyperparams = config, standard_of(config)
	reading.sources.hyperparams = at .. name
	local steps, epochs = reading.hyperparams.max_steps, reading.hyperparams.num_epochs
	reading.steps = steps and { planned = steps } or nil
	reading.epochs = epochs and { planned = epochs } or nil
	local base, key = base_of(config)
	reading.base_model = reading.base_model or base
	reading.sources.base_model = reading.sources.base_model or (base and at .. name .. ": " .. key)
	local train = config["paths.train"]
	reading.dataset = type(train) == "string" and train or nil
	reading.sources.dataset = reading.dataset and at .. name .. ": paths.train"
end

-- The reading ----------------------------------------------------------------------------------

local function new_reading(run)
	return { final_metrics = {}, units = {}, sources = {}, run = run ~= "." and run or nil }
end

--- The directories of the best and the last model, where they are.
local function model_dirs(folder)
	local dirs = {}
	for _, name in ipairs(MODELS) do
		if folder:has(name .. "/meta.json") then
			dirs[name:sub(7)] = name
		end
	end
	return dirs
end

local function read_models(folder, run)
	local here, at = folder:sub(run), run == "." and "" or run .. "/"
	local dirs, reading = model_dirs(here), new_reading(run)
	local meta, err = nil, nil
	for _, dir in ipairs({ dirs.best or dirs.last, dirs.best and dirs.last }) do
		meta, err = load_meta(here, dir .. "/meta.json")
		if meta then
			add_performance(folder, reading, meta, at .. dir .. "/meta.json")
			add_config(here, reading, dir .. "/config.cfg", at)
			break
		end
		folder:warn(err.message)
	end
	if not meta then
		return nil, err
	end
	if dirs.best then
		reading.best = { checkpoint = at .. dirs.best, checkpoint_name = dirs.best, declared = true }
		reading.sources.best = at .. dirs.best
	end
	reading.checkpoints = { best = dirs.best and at .. dirs.best,
		last = dirs.last and at .. dirs.last }
	return reading
end

local function read_package(folder, run)
	local here, at = folder:sub(run), run == "." and "" or run .. "/"
	local meta, err = load_meta(here, "meta.json")
	if not meta then
		return nil, err
	end
	local reading = new_reading(run)
	add_performance(folder, reading, meta, at .. "meta.json")
	add_config(here, reading, "config.cfg", at)
	return reading
end

--- Scores alone: of a test set if a file is named so.
local function read_scores(folder, names)
	local chosen = names[1]
	for _, name in ipairs(names) do
		chosen = name:find("test") and name or chosen
	end
	local scores, err = load_meta(folder, chosen)
	if not scores then
		return nil, err
	end
	local reading = new_reading(".")
	reading.outcome = "predict_only"
	fill(reading, scalars_of(scores), "fraction", chosen .. ": ")
	return reading
end

---@param folder th.Folder
---@return th.Reading?
---@return th.Error?
function M.read(folder)
	local models = find_models(folder)
	if models then
		return read_models(folder, models)
	end
	local package = find_package(folder)
	if package then
		return read_package(folder, package)
	end
	local scores = find_scores(folder)
	if #scores > 0 then
		return read_scores(folder, scores)
	end
	local name = folder:find("**/meta.json")
	return nil, name and folder:text_error(name) or { code = "not_a_training_record", path = name,
		message = "no meta.json of a spaCy pipeline and no scores" }
end

return M
