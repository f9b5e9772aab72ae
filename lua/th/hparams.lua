--- Hyperparameters: from many spellings to the record's standard names, with types.
--
-- Sources are flat tables `{ name -> text, number or boolean }`: a command line, a repr of
-- TrainingArguments, a section of a configuration file, a banner. `standard` maps one source,
-- `merge` lays several over each other.
local json = require("th.json")
local num = require("th.num")
local pydict = require("th.pydict")

local M = {}

---@alias th.HparamType "int"|"float"|"bool"|"text"

--- Standard name -> { type, other spellings... }. Spellings are lower case with underscores.
---@type table<string, string[]>
M.NAMES = {
	lr = { "float", "learning_rate", "lr0", "base_lr", "initial_rate", "learn_rate", "blr" },
	batch_size = { "int", "per_device_train_batch_size", "train_batch_size", "batch",
		"samples_per_gpu", "ims_per_batch", "total_batch_size" },
	eval_batch_size = { "int", "per_device_eval_batch_size" },
	max_steps = { "int", "max_iters", "max_iter", "training_steps" },
	num_epochs = { "float", "num_train_epochs", "epochs", "max_epochs", "total_epochs" },
	optimizer = { "text", "optim", "opt" },
	scheduler = { "text", "lr_scheduler_type", "lr_scheduler", "sched", "lr_scheduler_name" },
	warmup_steps = { "int", "warmup_iters", "lr_scheduler_warmup_steps" },
	warmup_ratio = { "float", "lr_scheduler_warmup_ratio" },
	weight_decay = { "float" },
	max_grad_norm = { "float", "grad_clip", "clip_grad", "gradient_clip_val" },
	grad_accum = { "int", "gradient_accumulation_steps", "grad_accum_steps", "accum_iter",
		"accumulate_gradient", "accumulate_grad_batches", "update_freq" },
	seed = { "int" },
	fp16 = { "bool" },
	bf16 = { "bool" },
	label_smoothing = { "float", "label_smoothing_factor", "smoothing" },
	adam_beta1 = { "float" },
	adam_beta2 = { "float" },
	adam_epsilon = { "float" },
	eval_strategy = { "text", "evaluation_strategy" },
	eval_steps = { "int" },
	save_strategy = { "text" },
	save_steps = { "int" },
	save_total_limit = { "int" },
	logging_steps = { "int" },
	load_best_model_at_end = { "bool", "load_best_at_end" },
	metric_for_best_model = { "text", "best_model_metric" },
	greater_is_better = { "bool" },
	max_length = { "int", "max_seq_length", "cutoff_len" },
	dropout = { "float", "dropout_rate", "drop" },
	lora_rank = { "int" },
	lora_alpha = { "float" },
	lora_dropout = { "float" },
	loss_type = { "text" },
	neg_ratio = { "float" },
	max_lines_limit = { "int", "max_lines" },
	max_chunks = { "int" },
	mode = { "text" },
	level = { "text" },
	num_samples = { "int" },
	docs_per_chunk = { "int" },
}

local BY_SPELLING, RANK = {}, {}
for name, spec in pairs(M.NAMES) do
	BY_SPELLING[name], RANK[name] = name, 1
	for index = 2, #spec do
		BY_SPELLING[spec[index]], RANK[spec[index]] = name, index
	end
end

local BOOLEANS = {
	["true"] = true, ["True"] = true, ["yes"] = true, ["1"] = true, ["on"] = true,
	["false"] = false, ["False"] = false, ["no"] = false, ["0"] = false, ["off"] = false,
}

--- "--per-device-batch" and "Learning Rate" as they are looked up: lower case, underscores.
---@param flag string
---@return string
function M.spelling(flag)
	return (flag:gsub("^%-+", ""):gsub("[%s-]+", "_"):lower())
end

local CONVERT = {
	int = function(value)
		if math.type(value) == "float" then
			value = math.tointeger(value) or value
		end
		return num.int(value)
	end,
	float = num.float,
	bool = function(value)
		if type(value) == "boolean" then
			return value
		end
		local known = BOOLEANS[tostring(value)]
		if known == nil then
			return nil, ("expected true or false, got '%s'"):format(tostring(value))
		end
		return known
	end,
	text = function(value)
		if type(value) == "string" and value ~= "" then
			return value
		end
		return nil, ("expected a text, got '%s'"):format(tostring(value))
	end,
}

local function is_unset(value)
	return value == nil or value == json.null or value == "None" or value == ""
		or type(value) == "table"
end

--- Map a source to standard names. Names that are not in `NAMES` are left out; a value of the
-- wrong type is left out and reported. Of two spellings of one name the standard one counts, then
-- the one that stands first in `NAMES`.
---@param source table<string, any>
---@return table<string, any> values
---@return string[] problems for example "lr: expected a number, got 'auto'"
function M.standard(source)
	local values, problems, ranks = {}, {}, {}
	for key, value in pairs(source) do
		local spelling = type(key) == "string" and M.spelling(key)
		local name = spelling and BY_SPELLING[spelling]
		if name and not is_unset(value) then
			local converted, reason = CONVERT[M.NAMES[name][1]](value)
			if converted == nil then
				problems[#problems + 1] = name .. ": " .. reason
			elseif RANK[spelling] < (ranks[name] or math.huge) then
				values[name], ranks[name] = converted, RANK[spelling]
			end
		end
	end
	values.num_epochs = num.tidy(values.num_epochs)
	table.sort(problems)
	return values, problems
end

--- Lay tables over each other; later ones win.
---@param ... table<string, any>?
---@return table<string, any>
function M.merge(...)
	local out = {}
	for index = 1, select("#", ...) do
		for key, value in pairs((select(index, ...)) or {}) do
			out[key] = value
		end
	end
	return out
end

--- A nested table by dotted names: { optimizer = { lr = 1 } } -> { ["optimizer.lr"] = 1 }. Lists
-- stay as they are.
---@param nested table
---@return table<string, any>
function M.flat(nested)
	local out = {}
	local function add(prefix, value, depth)
		if type(value) ~= "table" or #value > 0 or next(value) == nil or depth > 16 then
			out[prefix] = value
			return
		end
		for key, item in pairs(value) do
			add(prefix .. "." .. tostring(key), item, depth + 1)
		end
	end
	for key, value in pairs(nested) do
		add(tostring(key), value, 1)
	end
	return out
end

--- Standard names of a nested source: a name at the top counts first, then one further down, if
-- all that bear it agree on its value.
---@param nested table
---@return table<string, any> values
function M.standard_of_nested(nested)
	local below, refused = {}, {}
	for key, value in pairs(M.flat(nested)) do
		local name = key:match("%.([^.]+)$")
		if name and below[name] ~= nil and below[name] ~= value then
			refused[name] = true
		elseif name then
			below[name] = value
		end
	end
	for name in pairs(refused) do
		below[name] = nil
	end
	return M.merge((M.standard(below)), (M.standard(nested)))
end

local function is_flag(word)
	return word:find("^%-%-?%a") ~= nil
end

--- Flags of an argument list: `--lr 1e-4`, `--lr=1e-4`, `--fp16`. The last of equals counts.
---@param argv string[]
---@return table<string, string|true> flags by spelling: no dashes, `-` as `_`
function M.argv(argv)
	local flags, index = {}, 1
	while index <= #argv do
		local word = argv[index]
		if is_flag(word) then
			local name, value = word:match("^([^=]+)=(.*)$")
			local following = argv[index + 1]
			if not name and following and not is_flag(following) then
				name, value, index = word, following, index + 1
			end
			flags[M.spelling(name or word)] = value or true
		end
		index = index + 1
	end
	return flags
end

--- Flags of a command line that was joined with blanks and not quoted: all words up to the next
-- flag belong to the value, so that a path with blanks survives.
---@param text string
---@return table<string, string|true>
function M.command_line(text)
	local argv = {}
	for word in text:gmatch("%S+") do
		local last = argv[#argv]
		if last and not is_flag(word) and not is_flag(last) then
			argv[#argv] = last .. " " .. word
		else
			argv[#argv + 1] = word
		end
	end
	return M.argv(argv)
end

--- Values of a banner: lines such as `  Learning Rate:        2e-05`.
---@param iterator th.LineIterator
---@return table<string, string> values by spelling; of equals the last counts
function M.banner(iterator)
	local values = {}
	for segment in iterator do
		local name, value = segment:match("^%s*(%u[%w ]-):%s+(%S.*)$")
		if name then
			values[M.spelling(name)] = value:match("^(.-)%s*$")
		end
	end
	return values
end

--- TrainingArguments as `transformers` logs them; of several the last counts. The repr is one line
-- in old versions and one line per field in new ones: then give the lines unfiltered.
---@param iterator th.LineIterator
---@return table<string, any>? arguments nil when the log has none
---@return boolean is_cut the last repr was not closed in these lines
function M.training_arguments(iterator)
	local found, open = nil, nil
	for segment in iterator do
		local start = segment:find("TrainingArguments(", 1, true)
		if start then
			found = pydict.call(segment, "TrainingArguments") or found
			open = segment:find("%)%s*$", start) == nil and { segment:sub(start) } or nil
		elseif open then
			open[#open + 1] = segment
			if segment:find("^%)") then
				found = pydict.call(table.concat(open, " "), "TrainingArguments") or found
				open = nil
			end
		end
	end
	return found, open ~= nil
end

-- Names under which programs keep the model they began with, and their data; the surest first.
local BASE_MODELS = { "model_name_or_path", "base_model_name_or_path", "_name_or_path",
	"pretrained_model_name_or_path", "base_model", "pretrained_model" }
local DATASETS = { "dataset_name", "dataset", "data_path", "dataset_path", "data_dir",
	"train_file" }

--- The value of a name anywhere in a nested source: at the top, else where all that bear it agree.
local function value_of(flat, name)
	local found = flat[name]
	if found ~= nil then
		return found
	end
	for key, value in pairs(flat) do
		if key:match("%.([^.]+)$") == name then
			if found ~= nil and found ~= value then
				return nil
			end
			found = value
		end
	end
	return found
end

local function first_text(source, names)
	local flat = M.flat(source)
	for _, name in ipairs(names) do
		local found = value_of(flat, name)
		if type(found) == "string" and found ~= "" and found ~= "None" then
			return found
		end
	end
end

--- The model that a configuration says the training began with.
---@param source table raw hyperparameters, nested or not
---@return string? model a hub name or a path
function M.base_model(source)
	return first_text(source, BASE_MODELS)
end

--- The data that a configuration names.
---@param source table raw hyperparameters, nested or not
---@return string? dataset a name or a path
function M.dataset(source)
	return first_text(source, DATASETS)
end

--- What `transformers` does with its own settings: a positive max_steps overrides the epochs, a
-- missing one is -1, and the optimizer is AdamW unless the arguments say otherwise.
---@param values table<string, any> standard names; changed in place
---@param arguments table<string, any> the TrainingArguments they came from
---@return table<string, any> values
function M.settle_hf(values, arguments)
	if values.max_steps and values.max_steps > 0 then
		values.num_epochs = nil
	else
		values.max_steps = nil
	end
	if not values.optimizer and arguments.adafactor ~= nil then
		values.optimizer = arguments.adafactor == true and "adafactor" or "adamw"
	end
	return values
end

return M
