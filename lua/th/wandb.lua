--- Weights & Biases, as a run lies on disk: wandb/run-*/files/{wandb-summary.json,config.yaml,
-- wandb-metadata.json,output.log}, offline-run-*, `latest-run`, or only what is in files/.
local hparams = require("th.hparams")
local iso = require("th.iso")
local lines = require("th.lines")
local num = require("th.num")
local pick = require("th.pick")
local pydict = require("th.pydict")
local pylog = require("th.pylog")
local runs = require("th.runs")

local M = { title = "Weights & Biases" }

local LOG_TAIL = 16 << 10
local AFTER_ERROR = 20 -- lines that may follow the error a program ended with

-- Which folders are runs ------------------------------------------------------------------------

local function is_config(head)
	head = "\n" .. head
	return head:find("\n_wandb:") ~= nil or head:find("\nwandb_version:") ~= nil
end

local function is_object(head)
	return head:find("^%s*{") ~= nil
end

-- The file names that only wandb writes, and the one that others write too.
local MARKS = { ["wandb-summary.json"] = is_object, ["wandb-metadata.json"] = is_object,
	["config.yaml"] = is_config }

--- The id that a run's binary log bears, for `latest-run`, which does not say it in its name.
local function id_of(folder, run)
	local name = folder:find(runs.prefix(run) .. "run-*.wandb")
	return name and name:match("run%-([^/]+)%.wandb$")
end

--- A `latest-run` that is a link, followed or copied, is a run that has a name of its own.
local function is_double(folder, run, seen)
	if not run:find("latest%-run$") then
		return false
	end
	local id = id_of(folder, run)
	for other in pairs(seen) do
		if id and other ~= run and other:sub(-#id - 1) == "-" .. id then
			return true
		end
	end
	return false
end

local function stamp_of(run)
	return run:match("run%-(%d%d%d%d%d%d%d%d_%d%d%d%d%d%d)")
		or (run:find("latest%-run$") and "99999999_999999") or ""
end

--- Folders of runs, and which of them have a summary.
local function gather(folder)
	local seen, summaries = {}, {}
	for mark, fits in pairs(MARKS) do
		for _, file in ipairs(folder:files("**/" .. mark)) do
			if fits(folder:head(file.name)) then
				local dir = ("./" .. file.name):match("^(.*)/[^/]+$"):gsub("/files$", "")
				local run = dir == "." and "." or dir:sub(3)
				seen[run] = true
				summaries[run] = summaries[run] or mark == "wandb-summary.json"
			end
		end
	end
	return seen, summaries
end

--- All runs; first those with a summary, the newest before the others.
local function find_runs(folder)
	local seen, summaries = gather(folder)
	local list = {}
	for run in pairs(seen) do
		if not is_double(folder, run, seen) then
			list[#list + 1] = run
		end
	end
	table.sort(list, function(a, b)
		if summaries[a] ~= summaries[b] then
			return summaries[a]
		elseif stamp_of(a) ~= stamp_of(b) then
			return stamp_of(a) > stamp_of(b)
		end
		return a < b
	end)
	return list
end

---@param folder th.Folder
---@return th.Recognised?
function M.recognise(folder)
	return runs.recognised(find_runs(folder), "%s holds a run of wandb (summary, metadata or config)",
		{ own = 90, below = 80 })
end

-- Metrics --------------------------------------------------------------------------------------

-- What `define_metric(..., summary="max,last")` leaves in place of a number.
local AGGREGATES = { min = true, max = true, mean = true, last = true, best = true, first = true }

local NONFINITE = { NaN = 0 / 0, Infinity = math.huge, ["-Infinity"] = -math.huge }

local function number_of(value)
	return type(value) == "number" and value or type(value) == "string" and NONFINITE[value] or nil
end

local function is_aggregate(value)
	for key, item in pairs(value) do
		if not AGGREGATES[key] or number_of(item) == nil then
			return false
		end
	end
	return next(value) ~= nil
end

--- Numbers go in under their name, those of a nested dict as wandb names them: "eval.loss". Tables,
-- pictures and histograms bear a `_type`.
local function add_numbers(found, prefix, value, depth)
	if type(value) ~= "table" then
		found[prefix] = number_of(value)
	elseif not value._type and #value == 0 and depth < 8 then
		for key, item in pairs(value) do
			add_numbers(found, prefix .. "." .. tostring(key), item, depth + 1)
		end
	end
end

--- The one metric of which wandb was told to keep the best value.
local function best_of(aggregates)
	local name, kept = next(aggregates)
	if not name or next(aggregates, name) then
		return nil
	end
	local mode = kept.max and not kept.min and "max" or kept.min and not kept.max and "min" or nil
	return mode and { metric = name, value = number_of(kept[mode]), mode = mode, declared = true }
end

local function read_summary(reading, folder, base)
	local summary = pick.optional(folder, base .. "wandb-summary.json") or {}
	local found, aggregates = {}, {}
	for name, value in pairs(summary) do
		if type(name) == "string" and name:sub(1, 1) ~= "_" then
			if type(value) == "table" and is_aggregate(value) then
				aggregates[name], found[name] = value, number_of(value.last)
			else
				add_numbers(found, name, value, 1)
			end
		end
	end
	reading.final_metrics, reading.best = found, best_of(aggregates)
	local from = base .. "wandb-summary.json"
	runs.source_all(reading, "final_metrics", found, from)
	reading.sources.best = reading.best and from
	return summary
end

-- Configuration --------------------------------------------------------------------------------

--- Before version 0.18 PyYAML wrote this file, and a version of the format stood in it; since then
-- Go does, whose numbers may have an exponent and no point.
local function value_reader(config)
	return config.wandb_version == nil and num.from_yaml12 or function(value)
		return value
	end
end

local function values_of(config)
	local read, raw = value_reader(config), {}
	for name, entry in pairs(config) do
		if type(name) == "string" and name ~= "_wandb" and name ~= "wandb_version" then
			if type(entry) == "table" and (entry.value ~= nil or entry.desc ~= nil) then
				entry = entry.value
			end
			raw[name] = read(entry)
		end
	end
	return raw
end

--- Dicts that were written as Python's text are dicts.
local function unquoted(raw)
	local plain = {}
	for name, value in pairs(raw) do
		if type(value) == "string" and value:find("^%s*{") then
			local dict = pydict.decode(value)
			value = type(dict) == "table" and dict or value
		end
		plain[name] = value
	end
	return plain
end

local function read_config(reading, folder, base)
	local config = pick.optional(folder, base .. "config.yaml")
	if config then
		local raw = values_of(config)
		runs.read_hyperparams(reading, folder, raw, unquoted(raw), base .. "config.yaml")
		if raw.per_device_train_batch_size then -- the Trainer of transformers logs its arguments
			hparams.settle_hf(reading.hyperparams, raw)
		end
	end
	return config or {}
end

-- Outcome --------------------------------------------------------------------------------------

--- The error that the console ends with: what Python prints on its way out, and little after it.
local function last_error(text)
	local found, since = nil, 0
	local read, last, ignored = pylog.traceback_reader(), "", false
	for line in lines.each(text) do
		if line:find("Traceback (most recent call last)", 1, true) then
			ignored = last:find("^Exception ignored") ~= nil
		end
		local fault = read(line)
		if fault and not ignored then
			found, since = fault, 0
		elseif line:find("%S") and not line:find("^wandb:") then
			since = since + 1
		end
		last = line
	end
	return since <= AFTER_ERROR and found or nil
end

-- wandb's own log has the exit code; 255 is what it makes of Ctrl-C.
local EXITS = { ["0"] = "completed", ["255"] = "interrupted" }

local function exit_code(folder)
	local code
	for _, name in ipairs({ "logs/debug.log", "logs/debug-internal.log" }) do
		for line in folder:lines(name, "got exitcode: ", "handling exit code: ") do
			code = line:match("got exitcode: (%d+)") or line:match("handling exit code: (%d+)") or code
		end
		if code then
			return code, name
		end
	end
end

-- Versions before 0.10 kept the state up to date; later ones leave "running".
local STATES = { finished = "completed", failed = "failed", crashed = "interrupted",
	killed = "interrupted" }

local function read_outcome(reading, folder, base, trained, metadata)
	reading.error = last_error(pick.tail(folder, base .. "output.log", LOG_TAIL))
	local code, from = exit_code(folder)
	if reading.error then
		reading.outcome = trained and "completed_then_crashed"
			or pylog.is_interrupt(reading.error) and "interrupted" or "failed"
		reading.sources.outcome = "inferred:" .. base .. "output.log"
	elseif code then
		reading.outcome = EXITS[code] or "failed"
		reading.sources.outcome = from .. ": exit code"
	else
		reading.outcome = STATES[metadata.state]
		reading.sources.outcome = reading.outcome and base .. "wandb-metadata.json: state"
	end
end

-- The rest -------------------------------------------------------------------------------------

local function command_of(metadata)
	local words = { pick.text(metadata, "program") }
	for _, word in ipairs(pick.table(metadata, "args")) do
		words[#words + 1] = tostring(word)
	end
	return #words > 0 and table.concat(words, " ") or nil
end

--- Where no configuration was logged, the command's flags are what is known.
local function read_flags(reading, folder, metadata, base)
	local argv = {}
	for _, word in ipairs(pick.table(metadata, "args")) do
		argv[#argv + 1] = tostring(word)
	end
	local flags = hparams.argv(argv)
	if not reading.raw_hyperparams and next(flags) ~= nil then
		runs.read_hyperparams(reading, folder, flags, flags, base .. "wandb-metadata.json: args")
	end
end

local function read_origin(reading, metadata)
	reading.command = command_of(metadata)
	reading.host = pick.text(metadata, "host")
	reading.git_commit = pick.text(metadata, "git", "commit")
	reading.start_time = iso.from_utc(metadata.startedAt)
end

local function read_times(reading, summary, config)
	local started = pick.number(config, "_wandb", "value", "start_time")
	reading.start_time = reading.start_time or (started and iso.from_unix(started))
	local last = pick.number(summary, "_timestamp")
	reading.end_time = last and iso.from_unix(last)
	reading.sources.end_time = last and "derived:wandb-summary.json: _timestamp"
end

--- Models that were saved with the run.
local function read_models(reading, folder, base)
	local names = {}
	for _, file in ipairs(folder:files(base .. "**/*")) do
		names[#names + 1] = file.name
	end
	reading.checkpoints = runs.checkpoints(names)
end

local function read_run(folder)
	local base = folder:has("files/*") and "files/" or ""
	local reading = { sources = {} }
	local summary = read_summary(reading, folder, base)
	local metadata = pick.optional(folder, base .. "wandb-metadata.json") or {}
	local config = read_config(reading, folder, base)
	read_outcome(reading, folder, base, number_of(summary.train_runtime) ~= nil, metadata)
	read_origin(reading, metadata)
	read_flags(reading, folder, metadata, base)
	read_times(reading, summary, config)
	read_models(reading, folder, base)
	return reading
end

---@param folder th.Folder
---@return th.Reading?
---@return th.Error?
function M.read(folder)
	local found = find_runs(folder)
	if #found == 0 and folder:has("**/run-*.wandb") then
		return nil, { code = "no_data", path = folder:find("**/run-*.wandb"),
			message = "only wandb's binary log is here, no summary and no configuration",
			hint = "run 'wandb sync' and copy the run's files" }
	end
	return runs.read_first(folder, found, read_run, "no run of wandb")
end

return M
