--- A reader's answer held against the corpus's truth.
local fake = require("support.fake_ctx")
local json = require("th.json")

local M = {}

-- The truth names some things as the framework does.
local ALIASES = { iteration = "step", num_updates = "step" }

--- Keys of `best` that say how it was found, in words.
local WORDS = { rule = true, declared_key = true }

local function is_nothing(value)
	return value == nil or value == json.null
end

local function text_of(value)
	if type(value) ~= "table" then
		return tostring(value)
	end
	local parts = {}
	for key, item in pairs(value) do
		parts[#parts + 1] = tostring(key) .. "=" .. text_of(item)
	end
	table.sort(parts)
	return "{" .. table.concat(parts, ", ") .. "}"
end

--- Equal by value: 3 and 3.0 are, "NaN" stands for NaN, null for nothing.
local function same(truth, value)
	if is_nothing(truth) or is_nothing(value) then
		return is_nothing(truth) and is_nothing(value)
	elseif truth == "NaN" then
		return type(value) == "number" and value ~= value or value == "NaN"
	elseif type(truth) ~= "table" or type(value) ~= "table" then
		return truth == value
	end
	for key in pairs(truth) do
		if not same(truth[key], value[key]) then
			return false
		end
	end
	for key in pairs(value) do
		if is_nothing(truth[key]) and not is_nothing(value[key]) then
			return false
		end
	end
	return true
end
M.same = same

local Faults = {}
Faults.__index = Faults

function Faults:check(what, truth, value)
	if not same(truth, value) then
		self[#self + 1] = ("%s: %s, must be %s"):format(what, text_of(value), text_of(truth))
	end
end

--- What only some entries state: each key that the truth names.
function Faults:check_part(what, truth, value)
	for key, item in pairs(type(truth) == "table" and truth or {}) do
		self:check(what .. "." .. key, item, (value or {})[key])
	end
end

local function check_best(faults, truth, best)
	if is_nothing(truth) or not best then
		return faults:check("best", truth, best)
	end
	for key, value in pairs(truth) do
		if key == "declared" and type(value) == "number" then
			faults:check("best.value", value, best.value)
		elseif key:find("/", 1, true) then
			faults:check("best.values." .. key, value, (best.values or {})[key])
		elseif key == "checkpoint_name" or not WORDS[key] then
			faults:check("best." .. key, value, best[ALIASES[key] or key])
		end
	end
	if truth.metric == nil and truth.rule == nil then
		faults:check("best.metric", nil, best.metric)
	end
end

--- What of the reading is not as the truth's `normalised` has it; empty when all is.
---@param truth table
---@param reading th.Reading?
---@return string[] faults
function M.compare(truth, reading)
	local faults = setmetatable({}, Faults)
	if not reading then
		return { "no reading" }
	end
	for _, part in ipairs({ "outcome", "steps", "epochs", "final_metrics" }) do
		faults:check(part, truth[part], reading[part])
	end
	check_best(faults, truth.best, reading.best)
	for _, part in ipairs({ "train", "train_summary", "base_model", "run", "last_loss" }) do
		if truth[part] ~= nil then
			faults:check(part, truth[part], reading[part])
		end
	end
	faults:check_part("raw_hyperparams", truth.hyperparams, reading.raw_hyperparams)
	return faults
end

--- Let a reader read a directory.
---@param reader th.Reader
---@param dir string
---@return th.Reading? reading
---@return th.Error? err
---@return string[] warnings
function M.read(reader, dir)
	local ctx = assert(fake.new({ name = "any", inputs = { tree = "**/*?", hidden = ".hydra/*?" },
		metrics = {} }, dir))
	local folder = require("th.folder").of(ctx, { "tree", "hidden" })
	local reading, err = reader.read(folder)
	return reading, err, ctx.warnings
end

--- The folder over a directory, for `recognise`.
---@param dir string
---@return th.Folder
function M.folder(dir)
	local ctx = assert(fake.new({ name = "any", inputs = { tree = "**/*?" }, metrics = {} }, dir))
	return require("th.folder").of(ctx, { "tree" })
end

return M
