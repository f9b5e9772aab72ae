--- trainer_log.jsonl, which LLaMA-Factory appends to while it trains.
--
-- Each line is one report: `{"current_steps": 10, "total_steps": 6750, "loss": 2.2, ...}`. Steps
-- may appear again: every rank writes, and a resumed run goes on from its checkpoint. A counter
-- that falls back to its beginning is a new training.
local hf = require("th.hf_trainer")
local json = require("th.json")
local metrics = require("th.metrics")

local M = {}

---@class th.HfLog
---@field steps integer of the last line
---@field planned integer?
---@field last table<string, number> last value of each quantity of the training (loss, lr, epoch)
---@field evals table<string, any>[] reports with eval_*, with their `step`
---@field resumed_from integer? the checkpoint from which the counter went on
---@field trained boolean a loss, a rate, an epoch or an evaluation was reported

local NOT_A_VALUE = { current_steps = true, total_steps = true, percentage = true }

local function new_log()
	return { last = {}, evals = {}, trained = false }
end

local function keep_values(log, step, report)
	local is_eval = false
	for key, value in pairs(report) do
		if type(value) == "number" and key:find("^eval_") then
			is_eval = true
		elseif type(value) == "number" and not NOT_A_VALUE[key] then
			log.last[key] = value
		end
	end
	if is_eval then
		report.step = step
		log.evals[#log.evals + 1] = report
	end
end

--- The counter fell back: to where a resumed run goes on, or to the beginning of a new one.
local function fall_back(log, step)
	local interval = log.interval or 1
	if step <= interval then
		return new_log()
	end
	log.resumed_from = step - interval
	return log
end

local function take(log, report)
	local step = type(report) == "table" and math.tointeger(report.current_steps)
	if not step then
		return log, false
	end
	if log.steps and step < log.steps then
		log = fall_back(log, step)
	elseif log.steps and step > log.steps then
		log.interval = math.min(log.interval or math.maxinteger, step - log.steps)
	end
	log.steps = step
	log.planned = math.tointeger(report.total_steps) or log.planned
	keep_values(log, step, report)
	log.trained = log.trained or next(log.last) ~= nil or #log.evals > 0
	return log, true
end

--- Read the last training of a log.
---@param iterator th.LineIterator
---@return th.HfLog? log nil when no line is a report
---@return integer bad lines that are none: a torn last one, other text
function M.read(iterator)
	local log, bad = new_log(), 0
	for line in iterator do
		local taken
		log, taken = take(log, (json.decode(line)))
		bad = taken and bad or bad + 1
	end
	return log.steps and log or nil, bad
end

--- The best evaluation by `eval_loss`, else by the first metric by name; of equals the first.
---@param evals table<string, any>[]
---@return th.Best? best not declared by the file
function M.best(evals)
	local metric = evals[1] and (evals[1].eval_loss and "eval_loss")
	for _, key in ipairs(not metric and evals[1] and metrics.sorted_keys(evals[1]) or {}) do
		if key:find("^eval_") and hf.is_metric(key) then
			metric = key
			break
		end
	end
	local mode = metric and metrics.goal(metric)
	local record = metric and metrics.best(evals, metric, mode)
	if not record then
		return nil
	end
	return { metric = metric, value = record[metric], mode = mode, step = record.step,
		epoch = type(record.epoch) == "number" and record.epoch or nil, declared = false }
end

return M
