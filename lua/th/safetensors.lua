--- safetensors files: their headers, and the training that some trainers write into them.
--
-- A file is the header's length (u64, little-endian), a JSON object `{ name -> { dtype, shape,
-- data_offsets } }` with texts under `__metadata__`, and the data, which is never read. Weights
-- alone tell how large a model is and nothing of a training; the metadata of kohya's scripts
-- (`ss_*`) does.
local hf = require("th.hf_trainer")
local hparams = require("th.hparams")
local iso = require("th.iso")
local json = require("th.json")
local metrics = require("th.metrics")
local num = require("th.num")

local M = { title = "safetensors" }

local MOST_FILES = 8 -- of one directory: an adapter saved on the way is no other training
local MAX_HEADER = 16 << 20 -- the format allows 100 MB; a header of 16 MiB has 100,000 tensors

-- Headers -------------------------------------------------------------------------------------

---@class th.SafetensorsHeader
---@field metadata table<string, string>
---@field tensors integer
---@field parameters integer
---@field dtypes table<string, integer> type -> parameters of that type

local function fail(name, message)
	return nil, { code = "bad_safetensors", path = name, message = ("%s: %s"):format(name, message) }
end

--- Numbers of a tensor: the product of its shape; nil for a shape that is none.
local function count_of(shape)
	local count = 1
	for _, length in ipairs(type(shape) == "table" and shape or {}) do
		if math.type(length) ~= "integer" or length < 0 then
			return nil
		end
		count = count * length
	end
	return type(shape) == "table" and count or nil
end

local function texts_of(metadata)
	local found = {}
	for key, value in pairs(type(metadata) == "table" and metadata or {}) do
		found[key] = type(value) == "string" and value or nil
	end
	return found
end

local function summarise(name, object)
	local header = { tensors = 0, parameters = 0, dtypes = {},
		metadata = texts_of(object.__metadata__) }
	for key, tensor in pairs(object) do
		if key ~= "__metadata__" then
			local count = type(tensor) == "table" and count_of(tensor.shape)
			if not count or type(tensor.dtype) ~= "string" then
				return fail(name, ("'%s' is no tensor's description"):format(tostring(key)))
			end
			header.tensors = header.tensors + 1
			header.parameters = header.parameters + count
			header.dtypes[tensor.dtype] = (header.dtypes[tensor.dtype] or 0) + count
		end
	end
	return header
end

--- The length of a header and whether the bytes after it can be one.
local function header_size(head, size)
	if #head < 9 then
		return nil
	end
	local length = ("<I8"):unpack(head)
	if length < 2 or length > size - 8 or head:sub(9, 9) ~= "{" then
		return nil
	end
	return length
end

--- Read the header of a file.
---@param folder th.Folder
---@param name string
---@return th.SafetensorsHeader?
---@return th.Error? err code "bad_safetensors" or "lfs_pointer"
function M.header(folder, name)
	local file = folder:files(name)[1]
	if not file then
		return fail(name, "no such file")
	end
	local head = folder:read(name, 0, 64) or ""
	local length = header_size(head, file.size)
	if not length then
		return nil, hf.lfs_error(head, name) or select(2, fail(name, "has no header"))
	elseif length > MAX_HEADER then
		return fail(name, ("its header of %d MiB is longer than 16 MiB"):format(length >> 20))
	end
	local object, err = json.decode(folder:read(name, 8, length) or "")
	if type(object) ~= "table" then
		return fail(name, "broken header: " .. (err and err.message or "no object"))
	end
	return summarise(name, object)
end

-- Sharded models ------------------------------------------------------------------------------

local function add_header(total, header)
	total.tensors = total.tensors + header.tensors
	total.parameters = total.parameters + header.parameters
	for dtype, count in pairs(header.dtypes) do
		total.dtypes[dtype] = (total.dtypes[dtype] or 0) + count
	end
	for key, value in pairs(header.metadata) do
		total.metadata[key] = value
	end
end

--- The shards that an index names, in order, each once.
local function shards_of(index)
	local names, seen = {}, {}
	for _, shard in pairs(type(index.weight_map) == "table" and index.weight_map or {}) do
		if type(shard) == "string" and not seen[shard] then
			seen[shard], names[#names + 1] = true, shard
		end
	end
	table.sort(names)
	return names
end

--- All shards of an index together. A shard that is missing or broken is told and left out.
---@param folder th.Folder
---@param name string of the index: "model.safetensors.index.json"
---@return th.SafetensorsHeader?
---@return th.Error?
function M.sharded(folder, name)
	local index, err = folder:json(name)
	if type(index) ~= "table" then
		return fail(name, err and err.message or "no object")
	end
	local total = { tensors = 0, parameters = 0, dtypes = {}, metadata = {} }
	local dir, read = name:match("^(.*/)[^/]+$") or "", 0
	for _, shard in ipairs(shards_of(index)) do
		local header, problem = M.header(folder, dir .. shard)
		if header then
			add_header(total, header)
			read = read + 1
		else
			folder:warn(problem.message)
		end
	end
	if read == 0 then
		return fail(name, "none of its shards can be read")
	end
	return total
end

-- Training metadata ---------------------------------------------------------------------------

local SPELLINGS = {
	ss_learning_rate = "lr", ss_batch_size_per_device = "batch_size", ss_num_epochs = "num_epochs",
	ss_max_train_steps = "max_steps", ss_lr_scheduler = "scheduler", ss_seed = "seed",
	ss_gradient_accumulation_steps = "grad_accum", ss_lr_warmup_steps = "warmup_steps",
	ss_network_dim = "lora_rank", ss_network_alpha = "lora_alpha",
	ss_network_dropout = "lora_dropout", ss_max_grad_norm = "max_grad_norm",
	ss_loss_type = "loss_type",
}

--- "bitsandbytes.optim.adamw.AdamW8bit(weight_decay=0.1)": the class, and what stands in brackets.
local function optimizer_of(text)
	local name = text:match("([%w_]+)%(") or text:match("([%w_]+)$")
	local decay = text:match("weight_decay=([%d.e+-]+)")
	return name, decay and num.float(decay)
end

--- Values as Python's str() wrote them: "None" is nothing.
local function raw_of(metadata)
	local raw = {}
	for key, text in pairs(metadata) do
		if key:find("^ss_") and text ~= "None" and #text <= 1024 then
			local value = num.any(text)
			if text == "True" or text == "False" then
				value = text == "True"
			end
			raw[key] = value == nil and text or value
		end
	end
	return raw
end

local function standard_of(raw)
	local source = {}
	for key, name in pairs(SPELLINGS) do
		source[name] = raw[key]
	end
	if type(raw.ss_optimizer) == "string" then
		source.optimizer, source.weight_decay = optimizer_of(raw.ss_optimizer)
	end
	source.fp16 = raw.ss_mixed_precision == "fp16" or nil
	source.bf16 = raw.ss_mixed_precision == "bf16" or nil
	return hparams.standard(source)
end

local function whole(value)
	return type(value) == "number" and math.tointeger(value) or nil
end

--- Names of the image folders, or of the metadata files that name the images.
local function dataset_of(metadata)
	local dirs = json.decode(metadata.ss_dataset_dirs or "")
	local names = type(dirs) == "table" and metrics.sorted_keys(dirs) or {}
	return #names > 0 and table.concat(names, ", ") or nil
end

local function time_of(value)
	return type(value) == "number" and iso.from_unix(value) or nil
end

--- What the scripts wrote when they saved: the step and epoch of this very file, and the plan.
local function add_training(reading, name, metadata)
	local raw = raw_of(metadata)
	local step, epoch = whole(raw.ss_steps), whole(raw.ss_epoch)
	local planned, epochs = whole(raw.ss_max_train_steps), whole(raw.ss_num_epochs)
	local function source(what, key)
		reading.sources[what] = name .. ": " .. key
	end
	if step or planned then
		reading.steps = { final = step, planned = planned }
		source("steps", "ss_steps")
	end
	if epoch or epochs then
		reading.epochs = { final = epoch, planned = epochs }
		source("epochs", "ss_epoch")
	end
	if step and planned then
		reading.outcome = step >= planned and "reached_max_steps_no_summary" or "incomplete_state"
		reading.sources.outcome = "inferred: " .. name .. ": ss_steps, ss_max_train_steps"
	end
	reading.raw_hyperparams, reading.hyperparams = raw, standard_of(raw)
	reading.base_model = raw.ss_sd_model_name and tostring(raw.ss_sd_model_name)
	reading.dataset = dataset_of(metadata)
	reading.start_time = time_of(raw.ss_training_started_at)
	reading.end_time = time_of(raw.ss_training_finished_at)
	for what, key in pairs({ base_model = "ss_sd_model_name", dataset = "ss_dataset_dirs",
		hyperparams = "ss_*" }) do
		reading.sources[what] = reading[what] and name .. ": " .. key or nil
	end
end

-- The reader ----------------------------------------------------------------------------------

--- Files at the top, the newest training's last: of equal times the last in natural order.
local function files_of(folder)
	local files = folder:files("*.safetensors")
	for index, file in ipairs(files) do
		file.place = index
	end
	table.sort(files, function(a, b)
		return a.mtime < b.mtime or (a.mtime == b.mtime and a.place < b.place)
	end)
	return files
end

local function is_header(folder, file)
	return header_size(folder:read(file.name, 0, 64) or "", file.size) ~= nil
end

--- Does the header begin with a training's metadata? Writers put `__metadata__` first.
local function has_training(head)
	return head:find('"__metadata__"', 1, true) and head:find('"ss_[%w_]+"%s*:') ~= nil
end

---@param folder th.Folder
---@return th.Recognised?
function M.recognise(folder)
	local files = files_of(folder)
	for index = #files, 1, -1 do
		local file = files[index]
		if is_header(folder, file) then
			if has_training(folder:head(file.name)) then
				return { score = 75, why = file.name .. " holds the metadata of a training (ss_*)" }
			end
			return { score = 10, why = file.name .. " is a model; nothing of its training" }
		end
	end
	local index = folder:find("*.safetensors.index.json")
	return index and folder:head(index):find('"weight_map"', 1, true)
		and { score = 10, why = index .. " is a model's index; nothing of its training" } or nil
end

--- The file of the training that began last, and of its files the one with the most steps.
local function newest_training(folder, files)
	local best, problem
	for index = math.max(1, #files - MOST_FILES + 1), #files do
		local file = files[index]
		local header, err = M.header(folder, file.name)
		problem = problem or err
		local step = header and whole(num.any(header.metadata.ss_steps or ""))
		local started = header and num.float(header.metadata.ss_training_started_at or "") or 0
		if header and (not best or started > best.started
			or (started == best.started and (step or 0) >= best.step)) then
			best = { name = file.name, header = header, started = started, step = step or 0 }
		end
	end
	return best, problem
end

local function model_of(folder)
	local index = folder:find("*.safetensors.index.json")
	if index then
		local header, err = M.sharded(folder, index)
		return header and { name = index, header = header }, err
	end
	return newest_training(folder, files_of(folder))
end

local NOTHING = { code = "no_data", message = "no safetensors file" }

---@param folder th.Folder
---@return th.Reading? reading without training metadata: the model's size alone
---@return th.Error?
function M.read(folder)
	local model, err = model_of(folder)
	if not model then
		return nil, err or NOTHING
	end
	local reading = { final_metrics = {}, sources = {} }
	if next(raw_of(model.header.metadata)) then
		add_training(reading, model.name, model.header.metadata)
	end
	reading.checkpoints = { last = model.name }
	reading.model = { tensors = model.header.tensors, parameters = model.header.parameters,
		dtypes = model.header.dtypes }
	reading.sources.model = model.name .. ": header"
	return reading
end

return M
