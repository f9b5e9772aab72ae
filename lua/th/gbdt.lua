--- Consoles and logs of XGBoost, LightGBM and CatBoost, with what a script logs around them, and
-- the JSON of metrics that lies beside.
--
-- Several models in one text: the last counts. A metric that the log and the JSON give
-- differently is given twice, each with its source in the name (`MAE_log`, `MAE_median_json`),
-- and as a disagreement.
local gbdt_run = require("th.gbdt_run")
local hf = require("th.hf_trainer")
local hparams = require("th.hparams")
local lines = require("th.lines")
local logs = require("th.logs")
local metrics = require("th.metrics")

local M = { title = "gradient boosting (XGBoost, LightGBM, CatBoost)" }

-- What only these libraries print.
local LINES = { "%[%d+%]%s+[%w_.@+-]+%-[%w_.@]+:%-?%d",
	"%[%d+%]%s+[%w_ .-]+'s [%w_@.-]+: %-?%d+%.%d",
	"%[LightGBM%] %[%a+%]", "%f[%d]%d+:%s+learn: ", "bestTest = ", "Stopping%. Best iteration",
	"arly stopping[.,] [bB]est iteration is", "'s %a%w*: %d[%d.]+" }
local LIBRARIES = { "xgboost", "lightgbm", "catboost", "xgbclassifier", "xgbregressor", "lgbm" }
local NAMES = { "xgb", "lgb", "light_?gbm", "catboost", "gbm", "gbdt", "%f[%a]bst%f[%A]" }

--- How sure is it that a library of these wrote the text? 0: not at all.
local function sureness(folder, file)
	local text = logs.edges(folder, file.name)
	local line = lines.match_any(text, LINES)
	if line then
		return 60, line
	end
	local has_metric = false
	for part in text:gmatch("[^\r\n]+") do
		has_metric = has_metric or gbdt_run.has_result(part)
	end
	local lower = text:lower()
	local word = lines.match_any(lower, LIBRARIES)
	if word and (has_metric or lower:find("train")) then
		return 40, word
	end
	word = has_metric and lines.match_any(file.name:lower(), NAMES)
	return word and 32 or 0, word and "name " .. word
end

local function last_time(folder, file)
	local found
	for line in folder:tail(file.name):gmatch("[^\r\n]+") do
		found = select(2, logs.message(line)) or found
	end
	return found
end

--- Of two texts the one that was written to later, by its own clock or else by its file's; of
-- equals the first.
local function is_later(folder, file, other)
	local mine, theirs = last_time(folder, file), last_time(folder, other)
	if mine and theirs then
		return mine > theirs
	end
	return file.mtime > other.mtime
end

local function choose(folder)
	local chosen, best, why, others = nil, 0, nil, {}
	for _, file in ipairs(logs.texts(folder)) do
		local score, word = sureness(folder, file)
		if score > 0 then
			others[#others + 1] = file
			if score > best or (score == best and is_later(folder, file, chosen)) then
				chosen, best, why = file, score, word
			end
		end
	end
	return chosen, best, why, others
end

---@param folder th.Folder
---@return th.Recognised?
function M.recognise(folder)
	local file, score, why = choose(folder)
	if file then
		return { score = score, why = ("'%s': %s"):format(file.name, why) }
	end
end

local JSON_NAMES = { "*metric*.json", "*result*.json", "*score*.json", "*eval*.json" }

--- Flat numbers of the JSON beside a log that are metrics by their names.
local function json_values(folder)
	for _, pattern in ipairs(JSON_NAMES) do
		local name = folder:find(pattern)
		local value, err = nil, nil
		if name then
			value, err = folder:json(name)
		end
		if err then
			folder:warn(("'%s': %s"):format(name, err.message))
		end
		local out = {}
		for key, number in pairs(type(value) == "table" and value or {}) do
			if type(key) == "string" and type(number) == "number" and logs.is_metric(key) then
				out[key] = number
			end
		end
		if next(out) then
			return out, name
		end
	end
	return {}
end

--- The metric of the log that a key of the JSON is another form of: "MAE" of "MAE_median".
local function counterpart(key, values)
	local lower = key:lower()
	for _, name in ipairs(metrics.sorted_keys(values)) do
		local word = name:lower():gsub("[%s-]+", "_")
		local framed = "_" .. word .. "_"
		local row = "_" .. lower .. "_"
		if row:sub(1, #framed) == framed or row:sub(-#framed) == framed then
			return name
		end
	end
end

--- Both sources together, see above.
local function join(run, file, beside, json_name)
	local values, units, found = hparams.merge(run.results), run.units, {}
	for _, key in ipairs(metrics.sorted_keys(beside)) do
		local name = counterpart(key, run.results)
		if not name then
			values[key] = beside[key]
		elseif logs.agree(run.results[name], beside[key]) then
			values[name] = nil
			values[key] = beside[key] -- the more exact of the two
		else
			local mine = name .. (units[name] == "percent" and "_percent" or "") .. "_log"
			values[name], values[mine] = nil, run.results[name]
			values[key .. "_json"] = beside[key]
			found[#found + 1] = { what = "final_metrics." .. name, values = {
				{ from = file.name .. ": " .. name, value = run.results[name] },
				{ from = json_name .. ": " .. key, value = beside[key] } } }
		end
	end
	return values, #found > 0 and found or nil
end

local function steps_of(run)
	if run.last then -- the best may have run without being printed
		local final = math.max(run.last, run.declared and run.declared.step or 0)
		return { final = final, planned = run.planned, zero_based = run.first == 0 or nil }
	end
end

--- The metric that a training is judged by: the last data set's last metric, as the libraries do.
local function best_of(run)
	local best = run.declared
	if best and best.metric then
		best.mode = metrics.goal(best.metric)
		best.declared = true
		return best
	end
	local name = run.order[#run.order]
	local found = name and run.best[name]
	if not found then
		return nil
	end
	local step = best and best.step or found.step
	return { metric = name, value = best and best.value or found.value, step = step,
		mode = gbdt_run.goal(name), declared = best ~= nil }
end

local function sources_of(reading, file, json_name, beside)
	local sources = { outcome = reading.outcome and "inferred: " .. file.name or nil,
		steps = reading.steps and file.name or nil }
	for name in pairs(reading.final_metrics) do
		local key = name:gsub("_json$", "")
		local from = (beside[name] or beside[key]) and json_name .. ": " .. key or file.name
		sources["final_metrics." .. name] = from
	end
	if reading.best then
		sources.best = (reading.best.declared and "" or "derived: ") .. file.name
	end
	return sources
end

local function checkpoint_of(folder, run)
	local name = hf.basename(run.saved)
	return name and (folder:find(name) or folder:find("**/" .. name)) or nil
end

local function reading_of(folder, file, run)
	local beside, json_name = json_values(folder)
	local values, disagreements = join(run, file, beside, json_name)
	local raw = run.raw
	local reading = {
		outcome = gbdt_run.outcome(run), error = run.fault, steps = steps_of(run),
		final_metrics = hparams.merge(run.values, values), best = best_of(run),
		units = next(run.units) and run.units or nil, disagreements = disagreements,
		raw_hyperparams = next(raw) and raw or nil,
		hyperparams = next(raw) and (hparams.standard(raw)) or nil,
		checkpoints = { last = checkpoint_of(folder, run) },
		start_time = run.start_time, end_time = run.end_time,
	}
	reading.sources = sources_of(reading, file, json_name, beside)
	return reading
end

local MOST_LINES = 10000 -- from either end

local function warn_of_others(folder, file, others)
	for _, other in ipairs(others) do
		if other.name ~= file.name then
			folder:warn(("'%s' is of another training and was not read; '%s' was"):format(
				other.name, file.name))
		end
	end
end

---@param folder th.Folder
---@return th.Reading?
---@return th.Error?
function M.read(folder)
	local file, _, _, others = choose(folder)
	if not file then
		return nil, { code = "not_a_training_record",
			message = "no text here is a log of XGBoost, LightGBM or CatBoost" }
	end
	local iterator = logs.lines(folder, file.name, table.unpack(gbdt_run.NEEDLES))
	local run = gbdt_run.read(logs.bounded(iterator, folder, file.name, MOST_LINES))
	if not (run.last or next(run.results) or run.fault or run.ending) then
		return nil, { code = "no_data", path = file.name,
			message = ("'%s' has neither an iteration nor a result"):format(file.name) }
	end
	warn_of_others(folder, file, others)
	return reading_of(folder, file, run)
end

return M
