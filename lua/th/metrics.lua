--- Small arithmetic on metric tables: what is best, what is last, what is noise.
local num = require("th.num")

local M = {}

--- Is `a` better than `b` for this goal? NaN is better than nothing at all.
---@param a number
---@param b number? nil counts as worst
---@param goal "max"|"min"
---@return boolean
function M.better(a, b, goal)
	if a ~= a then
		return false
	elseif b == nil or b ~= b then
		return true
	elseif goal == "min" then
		return a < b
	end
	return a > b
end

--- The record with the best `key`; of equals the first; records without the key do not count.
---@param records table[]
---@param key string
---@param goal "max"|"min"
---@return table? record
---@return integer? index
function M.best(records, key, goal)
	local best, where
	for index, record in ipairs(records) do
		local value = record[key]
		if type(value) == "number" and M.better(value, best and best[key], goal) then
			best, where = record, index
		end
	end
	return best, where
end

--- The last record that has `key`.
---@param records table[]
---@param key string
---@return table? record
---@return integer? index
function M.last(records, key)
	for index = #records, 1, -1 do
		if records[index][key] ~= nil then
			return records[index], index
		end
	end
end

-- What is better when it is lower, where it is a word of its own.
local LOW_WORDS = { wer = true, cer = true, ter = true, ppl = true, nll = true, mape = true,
	smape = true, fid = true, nme = true, epe = true, bpb = true, bpd = true, bce = true,
	crossentropy = true }

--- The goal of a metric: as declared, else guessed from its name.
---@param name string
---@param goals? table<string, th.MetricGoal>
---@return "max"|"min"
function M.goal(name, goals)
	if goals and goals[name] and goals[name].goal then
		return goals[name].goal
	end
	local lower = name:lower()
	for _, part in ipairs({ "loss", "error", "mse", "mae", "perplexity" }) do
		if lower:find(part, 1, true) then
			return "min"
		end
	end
	for word in lower:gmatch("%a+") do -- "answer_f1" and "tracer" hold such words by chance
		if LOW_WORDS[word] then
			return "min"
		end
	end
	return "max"
end

--- The numbers whose name begins with `prefix`, without it.
---@param record table<string, any>
---@param prefix string for example "eval_"
---@return table<string, number>
function M.strip(record, prefix)
	local out = {}
	for key, value in pairs(record) do
		if type(key) == "string" and type(value) == "number" and #key > #prefix
			and key:sub(1, #prefix) == prefix then
			out[key:sub(#prefix + 1)] = value
		end
	end
	return out
end

--- The mean of a list of finite numbers; nil for an empty list.
---@param values number[]
---@return number?
function M.mean(values)
	local sum = 0.0
	for _, value in ipairs(values) do
		if not num.is_finite(value) then
			return nil
		end
		sum = sum + value
	end
	return #values > 0 and sum / #values or nil
end

local function key_before(a, b)
	if type(a) == type(b) then
		return a < b
	end
	return type(a) == "number"
end

--- The keys of a table in a fixed order, so that a plugin's output never depends on the order of
-- `pairs`: numbers, then strings. Keys of other types (a printed dict may have them) are left out.
---@param map table<any, any>
---@return (number|string)[]
function M.sorted_keys(map)
	local keys = {}
	for key in pairs(map) do
		if type(key) == "string" or type(key) == "number" then
			keys[#keys + 1] = key
		end
	end
	table.sort(keys, key_before)
	return keys
end

return M
