--- A model card (README.md) as Trainer, TRL and PEFT write it: front matter, the list of
--- hyperparameters, the list of results.
local lines = require("th.lines")
local num = require("th.num")

local M = {}

---@class th.HfCard
---@field generated boolean Trainer wrote it, or it says that a trainer made the model
---@field base_model string?
---@field base_from string? where the base model was named
---@field datasets string[]
---@field hyperparams table<string, string|number> the "Training hyperparameters" as they stand
---@field results table<string, number> the last results, rounded to four digits, by their names

local function unquoted(text)
	return text:match("^%s*(.-)%s*$"):gsub("^(['\"])(.*)%1$", "%2")
end

--- One value of the front matter: a scalar, a flow list or a block list of scalars.
local function front_values(front, key)
	local inline, after = front:match("\n" .. key .. ":[ \t]*([^\n]*)()")
	local found = {}
	if not inline then
		return found
	elseif inline:find("^%[") then
		for item in inline:gmatch("[^%[%],]+") do
			found[#found + 1] = unquoted(item)
		end
	elseif inline:find("%S") then
		found[1] = unquoted(inline)
	else
		local item, next_at = front:match("^\n[ \t]*%-[ \t]+([^\n]+)()", after)
		while item do
			found[#found + 1] = unquoted(item)
			item, next_at = front:match("^\n[ \t]*%-[ \t]+([^\n]+)()", next_at)
		end
	end
	return found
end

--- The items `- name: value` that follow a sentence, up to the first line that is none.
local function list_after(text, sentence)
	local _, stop = text:find(sentence)
	local found, begun = {}, false
	for line in stop and lines.each(text:sub(stop + 1)) or function() end do
		local name, value = line:match("^%s*[-*] ([^:]+):%s+(.-)%s*$")
		if name then
			found[name], begun = num.any(value) or value, true
		elseif begun or line:find("^#") then
			break
		end
	end
	return found
end

--- What an optimizer's sentence says: "Use adamw_torch with betas=(0.9,0.999) and epsilon=1e-08".
local function split_optimizer(values)
	local text = values.optimizer
	if type(text) ~= "string" then
		return
	end
	local beta1, beta2 = text:match("betas=%(([%d.]+), ?([%d.]+)%)")
	values.adam_beta1, values.adam_beta2 = num.float(beta1 or ""), num.float(beta2 or "")
	values.adam_epsilon = num.float(text:match("epsilon=([%d.e+-]+)") or "")
	local name = text:match("^[Uu]se (%S+)") or text:match("^(%S+) with ")
	values.optimizer = name and name:gsub("^OptimizerNames%.", ""):lower() or text
end

local GENERATED = { "generated_from_trainer", "has been generated automatically according to the",
	"\n%- llama%-factory\n", "\n%- trl\n" }

local function is_generated(text)
	for _, mark in ipairs(GENERATED) do
		if text:find(mark) then
			return true
		end
	end
	return false
end

local function numbers_of(values)
	local out = {}
	for name, value in pairs(values) do
		out[name] = type(value) == "number" and value or nil
	end
	return out
end

--- Hyperparameters of a card, ready for `th.hparams.standard`.
---@param raw table<string, string|number>
---@return table<string, string|number>
function M.settle(raw)
	local values = {}
	for name, value in pairs(raw) do
		values[name] = value
	end
	split_optimizer(values)
	return values
end

--- Read a card.
---@param text string the first 64 KiB are enough
---@return th.HfCard
function M.parse(text)
	text = text:gsub("\r\n", "\n")
	local front = text:match("^%-%-%-\n.-\n%-%-%-\n") or ""
	local base = front_values(front, "base_model")[1]
	local named = text:match("fine%-tuned version of %[([^%]\n]+)%]")
	return {
		generated = is_generated(text),
		base_model = base or (named ~= "None" and named or nil),
		base_from = base and "base_model" or "inferred: 'fine-tuned version of'",
		datasets = front_values(front, "datasets"),
		hyperparams = list_after(text, "following hyperparameters were used"),
		results = numbers_of(list_after(text, "following results on the evaluation set")),
	}
end

return M
