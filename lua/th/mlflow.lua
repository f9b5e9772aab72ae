--- MLflow's file store: mlruns/EXPERIMENT/RUN/{meta.yaml,metrics/**,params/**,tags/*,artifacts}.
--
-- The folder may be one run, an experiment, the store, or what holds the store.
local iso = require("th.iso")
local json = require("th.json")
local num = require("th.num")
local pick = require("th.pick")
local runs = require("th.runs")

local M = { title = "MLflow" }

-- meta.yaml has the number, and in some versions the word.
local STATUS = { "RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED" }
local OUTCOMES = { RUNNING = "running", SCHEDULED = "unknown", FINISHED = "completed",
	FAILED = "failed", KILLED = "interrupted" }

-- Tags of a run; an experiment has others.
local RUN_TAGS = { "mlflow.user", "mlflow.runName", "mlflow.source.name", "mlflow.source.type" }

-- Which folders are runs ------------------------------------------------------------------------

--- A run's meta.yaml. A registered model's version has a run_id too, a logged model has tags: but
-- only a run has an id and the place of its artifacts under that name.
local function is_meta(head)
	head = "\n" .. head
	return head:find("\nartifact_uri:") ~= nil
		and (head:find("\nrun_id:") ~= nil or head:find("\nrun_uuid:") ~= nil)
end

local function is_deleted(folder, run)
	local head = folder:head(runs.prefix(run) .. "meta.yaml")
	return ("\n" .. head):find("\nlifecycle_stage: deleted") ~= nil
end

--- Runs whose meta.yaml did not come along; what else is known of them is worth reading.
local function add_headless(folder, seen)
	for _, tag in ipairs(RUN_TAGS) do
		for _, file in ipairs(folder:files("**/tags/" .. tag)) do
			local run = file.name:match("^(.*)/tags/[^/]+$") or "."
			if not seen[run] and not run:find("models/m%-%x+$")
				and not folder:file(runs.prefix(run) .. "meta.yaml") then
				seen[run] = true
			end
		end
	end
end

--- Where metrics lie, in one pass: a store may have a hundred thousand files.
local function with_metrics(folder, seen)
	local found = {}
	for _, file in ipairs(folder:files()) do
		local name, stop = "/" .. file.name, 1
		repeat
			stop = name:find("/metrics/", stop, true)
			local run = stop and (stop == 1 and "." or name:sub(2, stop - 1))
			if run and seen[run] then
				found[run] = true
			end
			stop = stop and stop + 1
		until not stop
	end
	return found
end

--- Experiments by number, runs by their hexadecimal ids.
local function before(a, b)
	local a_dir, a_id = ("/" .. a):match("^(.*)/([^/]*)$")
	local b_dir, b_id = ("/" .. b):match("^(.*)/([^/]*)$")
	if a_dir == b_dir then
		return a_id < b_id
	end
	local a_number, b_number = num.int(a_dir:match("[^/]*$")), num.int(b_dir:match("[^/]*$"))
	if a_number and b_number and a_number ~= b_number then
		return a_number < b_number
	end
	return a_dir < b_dir
end

--- All runs; first those that were not deleted and have metrics.
local function find_runs(folder)
	local seen, list, rank = {}, {}, {}
	for _, file in ipairs(folder:files("**/meta.yaml")) do
		if is_meta(folder:head(file.name)) then
			seen[file.name:match("^(.*)/meta%.yaml$") or "."] = true
		end
	end
	add_headless(folder, seen)
	local measured = with_metrics(folder, seen)
	for run in pairs(seen) do
		list[#list + 1] = run
		rank[run] = (is_deleted(folder, run) and 2 or 0) + (measured[run] and 0 or 1)
	end
	table.sort(list, function(a, b)
		if rank[a] ~= rank[b] then
			return rank[a] < rank[b]
		end
		return before(a, b)
	end)
	return list
end

---@param folder th.Folder
---@return th.Recognised?
function M.recognise(folder)
	return runs.recognised(find_runs(folder), "%s is a run of MLflow (meta.yaml or tags/mlflow.*)")
end

-- Parts of a run -------------------------------------------------------------------------------

local function trimmed(text)
	return text and text:match("^%s*(.-)%s*$")
end

local function tag(folder, name)
	local text = folder:file("tags/" .. name) and trimmed(folder:read("tags/" .. name, 0, 65536))
	return text ~= "" and text or nil
end

--- Small files below a directory, by name.
local function texts(folder, dir)
	local found = {}
	for _, file in ipairs(folder:files(dir .. "/**/*")) do
		found[file.name:sub(#dir + 2)] = trimmed(folder:read(file.name, 0, 65536))
	end
	return found
end

--- `timestamp value`, `timestamp value step`, and what newer versions append.
local function value_of(line)
	local words = {}
	for word in line:gmatch("%S+") do
		words[#words + 1] = word
	end
	if not num.int(words[1]) or not words[2] then
		return nil
	end
	return num.any(words[2])
end

local function read_metrics(reading, folder)
	for _, file in ipairs(folder:files("metrics/**/*")) do
		local name = file.name:sub(#"metrics/" + 1)
		local line, err = pick.last_line(folder, file.name)
		local value = line and value_of(line)
		if value then
			reading.final_metrics[name] = value
			reading.sources["final_metrics." .. name] = file.name .. ": last line"
		else
			folder:warn(err and err.message or ("'%s%s' does not end in a time and a number"):format(
				folder.prefix, file.name))
		end
	end
end

local function read_params(reading, folder)
	local raw = texts(folder, "params")
	if next(raw) ~= nil then
		local plain = {}
		for name, text in pairs(raw) do
			plain[name:gsub("/", ".")] = text
		end
		runs.read_hyperparams(reading, folder, plain, plain, "params")
		reading.raw_hyperparams = raw
	end
end

--- Milliseconds since 1970; "null" and 0 stand for none.
local function time_of(value)
	return type(value) == "number" and value > 0 and iso.from_unix(value / 1000) or nil
end

local function read_meta(reading, folder, meta)
	local status = STATUS[meta.status] or meta.status
	reading.outcome = OUTCOMES[status]
	reading.sources.outcome = reading.outcome and "meta.yaml: status"
	reading.start_time, reading.end_time = time_of(meta.start_time), time_of(meta.end_time)
	reading.name = pick.text(meta, "run_name") or pick.text(meta, "name")
	if not reading.outcome then
		folder:warn(("'%smeta.yaml': unknown status %s"):format(folder.prefix, tostring(status)))
	elseif status == "RUNNING" then
		folder:warn(("'%smeta.yaml' says RUNNING"):format(folder.prefix))
	end
	if meta.lifecycle_stage == "deleted" then
		folder:warn(("'%s' was deleted in MLflow"):format(folder.prefix))
	end
end

local function read_tags(reading, folder)
	reading.name = tag(folder, "mlflow.runName") or reading.name
	reading.parent_run = tag(folder, "mlflow.parentRunId")
	reading.git_commit = tag(folder, "mlflow.source.git.commit")
	reading.command = tag(folder, "mlflow.source.name")
end

--- Models: directories with an MLmodel file, and those that the run's history names.
local function read_models(reading, folder)
	local best, last
	for _, file in ipairs(folder:files("artifacts/**/MLmodel")) do
		local dir = file.name:match("^(.*)/MLmodel$")
		if dir:match("[^/]+$"):lower():find("best", 1, true) then
			best = dir
		else
			last = dir
		end
	end
	local history = tag(folder, "mlflow.log-model.history")
	for _, entry in ipairs(pick.table(history and json.decode(history) or nil)) do
		local path = pick.text(entry, "artifact_path")
		if path and folder:has("artifacts/" .. path .. "/*") then
			last = "artifacts/" .. path
		end
	end
	if best or last then
		reading.checkpoints = { best = best, last = last }
		reading.sources.checkpoints = "artifacts: MLmodel"
	end
end

--- The experiment lies around the run: its name, and the data sets that the run says it read.
local function read_experiment(reading, whole, run)
	local dir = run:match("^(.*)/[^/]+$")
	local experiment = dir and whole:sub(dir) or (run ~= "." and whole)
	if not experiment then
		return
	end
	if experiment:file("meta.yaml") then
		local meta = pick.optional(experiment, "meta.yaml")
		reading.experiment = pick.text(meta, "name")
	end
	local inputs = whole:sub(run):files("inputs/*/meta.yaml")
	local input = #inputs == 1 and pick.optional(whole:sub(run), inputs[1].name)
	local id = pick.text(input or nil, "source_id")
	local file = id and "datasets/" .. id .. "/meta.yaml"
	local data = file and experiment:file(file) and pick.optional(experiment, file)
	if pick.text(data or nil, "name") then
		reading.dataset, reading.sources.dataset = data.name, file .. ": name"
	end
end

--- Says whose meta.yaml it is, or why it cannot be read. Absent, the rest is read without it.
local function load_meta(folder)
	if not folder:file("meta.yaml") then
		folder:warn(("'%smeta.yaml' is missing: nothing tells how the run ended"):format(folder.prefix))
		return nil
	end
	return pick.optional(folder, "meta.yaml")
end

---@param folder th.Folder
---@return th.Reading?
---@return th.Error?
function M.read(folder)
	return runs.read_first(folder, find_runs(folder), function(run_folder, run)
		local reading = { sources = {}, final_metrics = {} }
		local meta = load_meta(run_folder)
		if meta then
			read_meta(reading, run_folder, meta)
		end
		read_metrics(reading, run_folder)
		read_params(reading, run_folder)
		read_tags(reading, run_folder)
		read_models(reading, run_folder)
		read_experiment(reading, folder, run)
		return reading
	end, "no run of MLflow")
end

return M
