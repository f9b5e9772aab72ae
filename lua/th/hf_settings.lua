--- With what a run of Hugging Face's Trainer was made: hyperparameters, base model, data. Each is
--- said in several places; the surest wins, and what another says differently is told.
local card_of = require("th.hf_card")
local hf = require("th.hf_trainer")
local hparams = require("th.hparams")
local num = require("th.num")
local output = require("th.hf_output")

local M = {}

--- Tell what two sources say differently.
---@param reading th.Reading
---@param what string "steps", "final_metrics.eval_loss", ...
---@param taken_from string
---@param taken any
---@param from string
---@param value any
function M.disagree(reading, what, taken_from, taken, from, value)
	reading.disagreements = reading.disagreements or {}
	table.insert(reading.disagreements, { what = what,
		values = { { from = taken_from, value = taken }, { from = from, value = value } } })
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
			M.disagree(reading, "hyperparams." .. name, reading.sources["hyperparams." .. name], taken,
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
			M.disagree(reading, "base_model", taken.from, taken.value, other.from, other.value)
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

--- Fill in hyperparameters, base model and data.
---@param reading th.Reading
---@param found th.HfFound
function M.add(reading, found)
	local adapter, adapter_from = output.model_file(found.out, "adapter_config.json")
	add_hyperparams(reading, found, adapter, adapter_from)
	add_base_model(reading, found, adapter, adapter_from)
	add_dataset(reading, found)
end

return M
