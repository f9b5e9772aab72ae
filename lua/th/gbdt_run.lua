--- One training of a boosting library read line by line, with what the script around it logs.
--
-- A new model begins where the iterations begin again, a new run where the log begins again with
-- its own first message, a new block of results where a result is given again.
local hparams = require("th.hparams")
local logs = require("th.logs")
local metrics = require("th.metrics")
local num = require("th.num")
local pydict = require("th.pydict")
local pylog = require("th.pylog")

local M = {}

---@class th.GbdtRun
---@field first integer? first iteration that was printed
---@field last integer? newest
---@field planned integer?
---@field values table<string, number> of the newest iteration: "train-rmse", "valid_0's auc"
---@field order string[] their names in the line's order
---@field best table<string, { value: number, step: integer }> best of each
---@field declared table? what the library calls the best
---@field results table<string, number> what the script says of the finished model
---@field units table<string, string>
---@field ending "done"|"early"|nil
---@field fault string?
---@field stopped "failed"|"interrupted"|nil

M.NEEDLES = { "[", ":", "=", "'s ", "arly stopping", "Best iteration", "bestTest", "bestIteration",
	"Shrink model", "Stopped by", " is ", "Traceback", "Interrupt", "dtype", "rror", "eport",
	table.unpack(logs.END_NEEDLES) }

local MAXIMISED = { "auc", "acc", "map", "ndcg", "f1", "r2", "kappa", "precision", "recall", "mcc",
	"hit", "aft%-coverage" }

--- The better direction of a metric of these libraries: most are losses.
---@param name string
---@return "max"|"min"
function M.goal(name)
	local lower = name:lower():match("[^%-%s]*$")
	for _, word in ipairs(MAXIMISED) do
		if lower:find(word) and not lower:find("mape") then
			return "max"
		end
	end
	return "min"
end

local function new_run(raw)
	return { values = {}, order = {}, best = {}, results = {}, units = {}, raw = raw or {} }
end

local NUMBER = "(%-?[%d.]+[eE]?[+-]?%d*)"

--- The values of one iteration, in order: { name, number }...
local function values_of(text)
	local found = {}
	local function take(pattern)
		for name, digits in text:gmatch(pattern) do
			local value = num.any((digits:gsub("%+[%d.]+$", ""))) -- of folds: mean+deviation
			found[#found + 1] = value and { name, value }
		end
	end
	take("([%w_.@-]+%-[%w_.@-]+):" .. NUMBER) -- XGBoost
	if #found == 0 then
		take("([%w_.-][%w_. -]-'s [%w_@.-]+): " .. NUMBER) -- LightGBM
	end
	return found
end

local function catboost_values(text)
	local found = {}
	for name, digits in text:gmatch("(%a+%d*):%s+" .. NUMBER) do
		if name == "learn" or name:find("^test%d*$") then
			local value = num.any(digits)
			found[#found + 1] = value and { name, value }
		end
	end
	return found
end

--- The iteration of a line and its values.
local function iteration_of(message)
	local step, rest = message:match("^%[(%d+)%]%s+(%S.*)$")
	if not step then
		step, rest = message:match("Iteration:(%d+), (.+)$") -- LightGBM's own program
		rest = rest and rest:gsub("^(%S+) (%S+) : ", "%1's %2: ")
	end
	if step then
		return num.int(step), values_of(rest)
	end
	step, rest = message:match("^(%d+):%s+(%a+%d*:%s.+)$")
	return num.int(step), rest and catboost_values(rest) or {}
end

--- Does the line go on with the newest iteration? LightGBM's program prints a line for each metric.
local function goes_on(run, step, values)
	if step ~= run.last then
		return false
	end
	for _, name in ipairs(run.order) do
		if name == values[1][1] then
			return false
		end
	end
	return true
end

local function take_iteration(run, step, values)
	if run.awaits_best then
		run.awaits_best = nil
		local value = values[#values]
		run.declared = { metric = value[1], value = value[2], step = step }
		return run
	elseif run.declared and run.declared.step == step
		and run.declared.value == values[#values][2] then
		return run -- R prints the best iteration once more
	end
	local same = goes_on(run, step, values)
	if run.last and step <= run.last and not same then
		run = new_run(run.raw)
	end
	run.first, run.last = run.first or step, step
	run.order, run.fault, run.stopped = same and run.order or {}, nil, nil
	for _, value in ipairs(values) do
		local name, number = value[1], value[2]
		run.values[name] = number
		run.order[#run.order + 1] = name
		local best = run.best[name]
		if metrics.better(number, best and best.value, M.goal(name)) then
			run.best[name] = { value = number, step = step }
		end
	end
	return run
end

--- What the libraries say when they stop; true when the line was one of those.
local function take_stop(run, message)
	local early = message:find("[eE]arly stopping, best iteration is")
		or message:find("Stopping%. Best iteration")
	local met = message:find("Did not meet early stopping")
	if early or met then
		run.ending = early and "early" or "done"
		local step, rest = message:match("iteration[%a%s]*:%s*%[(%d+)%]%s*(.*)$")
		local values = rest and values_of(rest) or {}
		if step then
			local value = values[#values] or {}
			run.declared = { metric = value[1], value = value[2], step = num.int(step) }
		end
		run.awaits_best = step == nil or nil
		return true
	end
	local best, iteration = message:match("^bestTest = (%S+)"), message:match("^bestIteration = (%d+)")
	if best then
		run.declared = { metric = "test", value = num.any(best) }
	elseif iteration then
		run.declared = run.declared or {}
		run.declared.step = num.int(iteration)
		run.ending = run.ending or "done"
	elseif message:find("^Stopped by overfitting detector") then
		run.ending = "early"
	end
	return best or iteration or message:find("^Shrink model") ~= nil
end

local HYPERPARAMS = { "objective", "max_depth", "learning_rate", "num_leaves", "iterations", "eta",
	"depth", "n_estimators", "boosting_type" }

--- A printed dict or call of the library's settings.
local function take_settings(run, message)
	local found = pydict.from_line(message)
	for _, name in ipairs({ "XGBClassifier", "XGBRegressor", "LGBMClassifier", "LGBMRegressor",
		"CatBoostClassifier", "CatBoostRegressor" }) do
		found = found or (message:find(name .. "(", 1, true) and pydict.call(message, name)) or nil
	end
	for _, name in ipairs(found and HYPERPARAMS or {}) do
		if found[name] ~= nil then
			run.raw = hparams.merge(run.raw, found)
			run.planned = num.int(found.n_estimators or found.iterations or found.num_boost_round)
			return true
		end
	end
	return false
end

local function is_result(field, message)
	local lower = field.name:lower()
	return logs.is_metric(field.name) and not lower:find("best") and not lower:find("fold")
		and not message:find("^[Bb]est ") and (field.bound or message:find(" is ", 1, true) ~= nil)
end

--- Is there a result in the line: `RMSE: 12.8`, `Accuracy (Test) : 0.36`?
---@param line string
---@return boolean
function M.has_result(line)
	local message = (logs.message(line))
	for _, field in ipairs(logs.fields(message)) do
		if is_result(field, message) then
			return true
		end
	end
	return false
end

local function take_results(run, message)
	for _, field in ipairs(logs.fields(message)) do
		if is_result(field, message) then
			if run.results[field.name] and field.name == run.first_result then
				run.results, run.units = {}, {}
			end
			run.first_result = next(run.results) and run.first_result or field.name
			run.results[field.name] = field.value
			run.units[field.name] = field.unit
			run.fault, run.stopped = nil, nil
		end
	end
end

local function take_fault(run, message, level, trace)
	local fault, stopped = trace(message), logs.break_off(message)
	if fault or stopped then
		run.fault = fault or run.fault or message
		run.stopped = stopped or (pylog.is_interrupt(run.fault) and "interrupted") or "failed"
	elseif level == "ERROR" or level == "CRITICAL" then
		run.fault, run.stopped = message, "failed"
	end
	return fault or stopped or run.fault == message
end

--- A message without its numbers: what is the same in every run of a program.
local function shape_of(message)
	return message:sub(1, 120):gsub("%d+", "")
end

local function take_line(run, message, level, trace)
	local step, values = iteration_of(message)
	if step and #values > 0 then
		return take_iteration(run, step, values)
	elseif take_stop(run, message) or take_fault(run, message, level, trace)
		or take_settings(run, message) then
		return run
	end
	local ending = logs.ending(message)
	if ending then
		run.ending, run.fault, run.stopped = ending, nil, nil
	end
	run.saved = logs.saved(message) or run.saved
	take_results(run, message)
	return run
end

--- Read the last training of a log.
---@param iterator th.LineIterator
---@return th.GbdtRun
function M.read(iterator)
	local run, trace, opening = new_run(), pylog.traceback_reader(), nil
	for segment in iterator do
		local message, time, level = logs.message(segment)
		if time and not opening then
			opening = shape_of(message)
		elseif time and shape_of(message) == opening then
			run = new_run() -- the program's first message again
		end
		run = take_line(run, message, level, trace)
		run.start_time, run.end_time = run.start_time or time, time or run.end_time
	end
	return run
end

--- What became of the training, in the words of th.Reading; nil when nothing tells.
---@param run th.GbdtRun
---@return string?
function M.outcome(run)
	if run.stopped == "failed" and run.ending then
		return "completed_then_crashed"
	elseif run.stopped and not run.ending then
		return run.stopped
	elseif run.ending then
		return run.ending == "early" and "completed_early" or "completed"
	elseif run.planned and run.last and run.last + (run.first == 0 and 1 or 0) >= run.planned then
		return "completed"
	end
end

return M
