--- sacred's FileStorageObserver: a directory per run with run.json, config.json, metrics.json and
-- cout.txt, and a parent directory with many of them.
local iso = require("th.iso")
local jsonpickle = require("th.jsonpickle")
local lines = require("th.lines")
local pick = require("th.pick")
local pylog = require("th.pylog")
local runs = require("th.runs")

local M = { title = "sacred" }

-- What else a run's class of interrupt says is an interruption too: sacred takes the word from it.
local OUTCOMES = { COMPLETED = "completed", FAILED = "failed", RUNNING = "running",
	QUEUED = "unknown", INTERRUPTED = "interrupted", TIMEOUT = "interrupted" }

local COUT_TAIL = 16 << 10

--- Is it sacred's run.json? Its keys are sorted: a long list of artifacts may fill the whole head.
local function is_run(folder, name)
	local head = folder:head(name)
	if head:find('"experiment"%s*:') then
		return head:find('"mainfile"%s*:') or head:find('"dependencies"%s*:')
			or head:find('"sources"%s*:')
	end
	local sibling = name:gsub("run%.json$", "config.json")
	return head:find('^%s*{%s*"artifacts"%s*:%s*%[') and folder:file(sibling)
end

local function find_runs(folder)
	local found = {}
	for _, file in ipairs(folder:files("**/run.json")) do
		if is_run(folder, file.name) then
			found[#found + 1] = file.name:match("^(.*)/run%.json$") or "."
		end
	end
	return found
end

---@param folder th.Folder
---@return th.Recognised?
function M.recognise(folder)
	return runs.recognised(find_runs(folder), "%s/run.json has sacred's experiment")
end

-- Outcome --------------------------------------------------------------------------------------

--- The last line of `fail_trace`, a list of pieces that have line ends within them.
local function trace_error(record)
	local trace = pick.at(record, "fail_trace")
	if type(trace) == "table" then
		local parts = {}
		for index, part in ipairs(trace) do
			parts[index] = tostring(part)
		end
		trace = table.concat(parts)
	end
	local last
	for line in (type(trace) == "string" and trace or ""):gmatch("[^\r\n]*%S[^\r\n]*") do
		last = line
	end
	return last
end

local function read_outcome(reading, folder, record)
	local status = pick.text(record, "status")
	reading.outcome = OUTCOMES[status] or "interrupted"
	reading.sources.outcome = "run.json: status"
	reading.start_time = iso.from_utc(record.start_time)
	reading.end_time = iso.from_utc(record.stop_time)
	if status == "COMPLETED" then
		return
	end
	reading.error = trace_error(record)
		or pylog.last_error(lines.each(pick.tail(folder, "cout.txt", COUT_TAIL)))
	if status == "RUNNING" then
		folder:warn(("'%srun.json' says RUNNING; the last sign of life is of %s"):format(
			folder.prefix, iso.from_utc(record.heartbeat) or "no known time"))
	elseif not OUTCOMES[status] or status == "TIMEOUT" then
		reading.error = reading.error or "sacred's status is " .. status
	end
end

-- Metrics --------------------------------------------------------------------------------------

local measured

local function measured_members(value, depth)
	local found = {}
	for key, item in pairs(value) do
		found[key] = measured(item, depth + 1)
	end
	return next(found) ~= nil and found or nil
end

local function is_pickled(value)
	for key in pairs(value) do
		if type(key) == "string" and key:find("^py/") then
			return true
		end
	end
	return false
end

--- A measured value of `result`: a number, also numpy's; an array of numbers as it stands; a dict
-- with what of it is measured. nil for texts, flags, and arrays that were compressed.
measured = function(value, depth)
	local number = jsonpickle.number(value)
	if number ~= nil or type(value) ~= "table" or depth > 8 then
		return number
	elseif jsonpickle.is_numpy(value) then
		return type(jsonpickle.plain(value)) == "table" and type(value.values) ~= "string" and value
			or nil
	elseif is_pickled(value) then
		value = jsonpickle.plain(value)
	end
	if #value > 0 then
		return type(value[1]) == "number" and value or nil
	end
	return not is_pickled(value) and measured_members(value, depth) or nil
end

--- What the main function returned; a single value goes by the name of the field.
local function results_of(record)
	local result = pick.at(record, "result")
	local found = measured(result, 1)
	if type(found) == "table" and #found == 0 and not jsonpickle.is_numpy(found) then
		return found
	end
	return { result = found }
end

--- The last value of each series of metrics.json; series of anything but numbers are left out.
local function last_values(folder)
	local found = {}
	for name, series in pairs(pick.optional(folder, "metrics.json") or {}) do
		local values = pick.table(series, "values")
		local last = jsonpickle.number(values[#values])
		if type(name) == "string" and last ~= nil then
			found[name] = last
		elseif #values > 0 or type(series) ~= "table" then
			folder:warn(("'%smetrics.json': %s does not end in a number"):format(
				folder.prefix, tostring(name)))
		end
	end
	return found
end

--- What the program put into `_run.info`: numbers, and lists of which the last counts. Some keep
-- the steps of NAME under NAME_T.
local function info_values(folder)
	local info, found = pick.optional(folder, "info.json") or {}, {}
	for name, value in pairs(info) do
		local of = type(name) == "string" and name:match("^(.+)_T$")
		if type(value) == "table" and #value > 0 then
			value = value[#value]
		end
		if type(name) == "string" and not (of and info[of] ~= nil) then
			found[name] = jsonpickle.number(value)
		end
	end
	return found
end

local function same_number(a, b)
	return a == b or (a ~= a and b ~= b)
end

--- Without a series, what was returned is all that was measured; without that, what is in `info`.
local function read_unsampled(reading, folder, results)
	local from = "run.json: result"
	if next(results) == nil then
		results, from = info_values(folder), "info.json: last value"
	end
	reading.final_metrics = results
	runs.source_all(reading, "final_metrics", results, from)
end

--- metrics.json counts where it has anything; what was returned is then the summary, and what both
-- have and differ in is said.
local function read_metrics(reading, folder, record)
	local series, results = last_values(folder), results_of(record)
	if next(series) == nil then
		return read_unsampled(reading, folder, results)
	end
	reading.final_metrics = series
	runs.source_all(reading, "final_metrics", series, "metrics.json: last value")
	for name, value in pairs(results) do
		if type(value) == "number" then
			reading.train_summary = reading.train_summary or {}
			reading.train_summary[name] = value
			reading.sources["train_summary." .. name] = "run.json: result"
			if series[name] and not same_number(series[name], value) then
				runs.disagree(reading, "final_metrics." .. name, "metrics.json", series[name],
					"run.json: result", value)
			end
		end
	end
end

-- The rest -------------------------------------------------------------------------------------

local function read_config(reading, folder)
	local config = pick.optional(folder, "config.json")
	if config then
		runs.read_hyperparams(reading, folder, config, jsonpickle.plain(config), "config.json")
	end
end

local function read_origin(reading, record)
	reading.experiment = pick.text(record, "experiment", "name")
	reading.host = pick.text(record, "host", "hostname")
	reading.git_commit = pick.text(record, "experiment", "repositories", 1, "commit")
	local program = pick.text(record, "experiment", "mainfile")
	local command = pick.text(record, "command") or pick.text(record, "meta", "command")
	local words = program and { program, command } or { command }
	local updates = pick.table(record, "meta", "options", "UPDATE")
	if program and command and #updates > 0 then
		words[#words + 1] = "with"
		for _, word in ipairs(updates) do
			words[#words + 1] = tostring(word)
		end
	end
	reading.command = #words > 0 and table.concat(words, " ") or nil
end

--- Files that the experiment opened: one is surely its data.
local function read_resources(reading, record)
	local resources = pick.table(record, "resources")
	if not reading.dataset and #resources == 1 then
		reading.dataset = pick.text(resources, 1, 1) or pick.text(resources, 1)
		reading.sources.dataset = reading.dataset and "inferred:run.json: resources"
	end
end

local function read_artifacts(reading, folder, record)
	local names = {}
	for _, artifact in ipairs(pick.table(record, "artifacts")) do
		local name = type(artifact) == "string" and artifact or pick.text(artifact, "name")
		if name and folder:file(name) then
			names[#names + 1] = name
		end
	end
	reading.checkpoints = runs.checkpoints(names)
	if reading.checkpoints then
		reading.sources.checkpoints = "run.json: artifacts"
	end
end

--- Is it what it looks like? Many programs have a run.json.
local function check(folder, record)
	if pick.text(record, "status") and (pick.at(record, "experiment") or pick.at(record, "host"))
		and #record == 0 then
		return record
	end
	return nil, { code = "not_a_training_record", path = folder.prefix .. "run.json",
		message = ("'%srun.json' is not of sacred: no status or no experiment"):format(folder.prefix) }
end

local function read_run(folder)
	local record, err = pick.json(folder, "run.json")
	if record then
		record, err = check(folder, record)
	end
	if not record then
		return nil, err
	end
	local reading = { sources = {}, final_metrics = {} }
	read_outcome(reading, folder, record)
	read_metrics(reading, folder, record)
	read_config(reading, folder)
	read_origin(reading, record)
	read_resources(reading, record)
	read_artifacts(reading, folder, record)
	return reading
end

---@param folder th.Folder
---@return th.Reading?
---@return th.Error?
function M.read(folder)
	return runs.read_first(folder, find_runs(folder), read_run, "no run.json of sacred")
end

return M
