--- DVC and DVCLive: what dvc.yaml declares, what dvc.lock says ran, params.yaml, and the metrics
-- that DVCLive or a stage wrote.
local hparams = require("th.hparams")
local json = require("th.json")
local num = require("th.num")
local pick = require("th.pick")
local runs = require("th.runs")

local M = { title = "DVC" }

local CODE = { py = true, sh = true, ipynb = true, r = true, R = true, yaml = true, yml = true,
	json = true, toml = true }

-- Recognising ----------------------------------------------------------------------------------

--- Where DVCLive wrote: a prefix, or nil. The folder itself may be it.
local function live_base(folder)
	if folder:file("dvclive/metrics.json") or folder:has("dvclive/**/*.tsv") then
		return "dvclive/"
	end
	return folder:has("plots/metrics/**/*.tsv") and "" or nil
end

local function is_lock(head)
	head = "\n" .. head
	return head:find("\nschema:") ~= nil and head:find("\nstages:") ~= nil
		or head:find("\n[%w_.@-]+:\r?\n  cmd:") ~= nil
end

local function is_pipeline(head)
	return ("\n" .. head):find("\n%a+:") ~= nil
		and (head:find("%f[%w]stages:") or head:find("%f[%w]metrics:")) ~= nil
end

---@param folder th.Folder
---@return th.Recognised?
function M.recognise(folder)
	local base = live_base(folder)
	if base then
		return { score = 85, why = base .. "metrics.json or plots/metrics is DVCLive's" }
	elseif folder:file("dvc.lock") and is_lock(folder:head("dvc.lock")) then
		return { score = 75, why = "dvc.lock has the stages that ran" }
	elseif folder:file("dvclive.json") then
		return { score = 75, why = "dvclive.json is DVCLive's summary" }
	elseif folder:file("dvc.yaml") and is_pipeline(folder:head("dvc.yaml")) then
		return { score = 60, why = "dvc.yaml declares stages" }
	end
end

-- dvc.yaml and dvc.lock ------------------------------------------------------------------------

--- The stages that ran: schema 1 has them at the top, schema 2 under `stages`.
local function locked_stages(lock)
	local stages = {}
	for name, stage in pairs(lock and pick.at(lock, "schema") and pick.table(lock, "stages")
		or lock or {}) do
		if type(name) == "string" and type(stage) == "table" then
			stages[name] = stage
		end
	end
	return stages
end

--- A stage's name in order, so that equal files give equal readings.
local function sorted_names(stages)
	local names = {}
	for name in pairs(stages) do
		names[#names + 1] = name
	end
	table.sort(names)
	return names
end

local function joined(dir, path)
	return dir and dir ~= "." and dir .. "/" .. path or path
end

--- Paths of a list whose items are names, or names with options.
local function paths_of(list, wdir)
	local found = {}
	for key, item in pairs(type(list) == "table" and list or {}) do
		if type(item) == "string" and type(key) == "number" then
			found[#found + 1] = joined(wdir, item)
		elseif type(key) == "string" then
			found[#found + 1] = joined(wdir, key)
		elseif type(item) == "table" then
			for path in pairs(item) do
				found[#found + 1] = type(path) == "string" and joined(wdir, path) or nil
			end
		end
	end
	table.sort(found)
	return found
end

--- The metrics files that dvc.yaml declares. A template, metrics/${item}.json, stands for all that
-- fit it; `live`, of old, for the summary that DVCLive wrote beside its directory.
local function declared_metrics(pipeline)
	local found = paths_of(pick.at(pipeline, "metrics"))
	local function add(paths, ending)
		for _, path in ipairs(paths) do
			found[#found + 1] = path:gsub("%${[^}]*}", "*") .. (ending or "")
		end
	end
	local stages = pick.table(pipeline, "stages")
	for _, name in ipairs(sorted_names(stages)) do
		local stage = pick.at(stages, name, "do") or stages[name]
		local wdir = pick.text(stage, "wdir")
		add(paths_of(pick.at(stage, "metrics"), wdir))
		add(paths_of(pick.at(stage, "live"), wdir), ".json")
	end
	return found
end

--- Without dvc.yaml: outputs that are named like metrics.
local function locked_metrics(stages)
	local found = {}
	for _, name in ipairs(sorted_names(stages)) do
		for _, out in ipairs(pick.table(stages[name], "outs")) do
			local path = pick.text(out, "path") or ""
			local base = path:match("[^/]*$"):lower()
			if base:find("%.json$") and (base:find("metric") or base:find("score")
				or base:find("^eval")) and not path:find("plots/") then
				found[#found + 1] = path
			end
		end
	end
	return found
end

-- Metrics --------------------------------------------------------------------------------------

local function existing(folder, patterns)
	local found, seen = {}, {}
	for _, pattern in ipairs(patterns) do
		for _, file in ipairs(folder:files(pattern)) do
			if not seen[file.name] then
				seen[file.name] = true
				found[#found + 1] = file.name
			end
		end
	end
	return found
end

local function load_metrics(folder, name)
	if not name:find("%.json$") and not name:find("%.ya?ml$") then
		folder:warn(("'%s%s' is neither JSON nor YAML: left out"):format(folder.prefix, name))
		return nil
	end
	local values = pick.optional(folder, name)
	for key, value in pairs(values or {}) do
		if value == json.null then
			values[key] = nil
		end
	end
	return values
end

local function clash(contents)
	local seen = {}
	for _, values in pairs(contents) do
		for name in pairs(values) do
			if seen[name] then
				return true
			end
			seen[name] = true
		end
	end
	return false
end

--- Several files become one table; where two have the same name, each its own under its path.
local function read_metrics(reading, folder, names)
	local contents = {}
	for _, name in ipairs(names) do
		contents[name] = load_metrics(folder, name)
	end
	local is_clash = clash(contents)
	for _, name in ipairs(names) do
		if is_clash and contents[name] then
			reading.final_metrics[name] = contents[name]
			reading.sources["final_metrics." .. name] = name
		end
		for key, value in pairs(not is_clash and contents[name] or {}) do
			reading.final_metrics[key] = value
			reading.sources["final_metrics." .. tostring(key)] = name
		end
	end
	return contents
end

--- A name as DVCLive nests it: "eval/acc" is acc in eval.
local function nested(values, name)
	for part in name:gmatch("[^/]+") do
		values = pick.at(values, part)
	end
	return type(values) == "number" and values or nil
end

--- Series of DVCLive: `step<TAB>name`, one file per metric. Versions differ in where they lie.
local function series_of(folder, base)
	local found = {}
	for _, file in ipairs(folder:files(base .. "**/*.tsv")) do
		local name = file.name:sub(#base + 1, -5)
		local short = name:match("^plots/metrics/(.+)$") or name:match("^scalars/(.+)$")
			or not name:find("^plots/") and name
		local line, err
		if short then
			line, err = pick.last_line(folder, file.name)
		end
		if err then
			folder:warn(err.message)
		end
		local value = line and num.any(line:match("([^\t]+)%s*$"))
		if value and line:find("\t", 1, true) then
			found[#found + 1] = { name = short, value = value, file = file.name }
		end
	end
	return found
end

local function is_same(a, b)
	return a == b or (a ~= a and b ~= b)
end

--- The series count where there is no summary; where there is, what differs is said.
local function read_series(reading, folder, base, summary)
	for _, series in ipairs(series_of(folder, base)) do
		local known = summary and nested(summary, series.name)
		if not summary then
			reading.final_metrics[series.name] = series.value
			reading.sources["final_metrics." .. series.name] = series.file .. ": last line"
		elseif known and not is_same(known, series.value) then
			runs.disagree(reading, "final_metrics." .. series.name, base .. "metrics.json", known,
				series.file, series.value)
		end
	end
end

--- A file that is not as long as the one that dvc.lock has is of another run.
local function check_sizes(folder, stages, contents)
	for _, name in ipairs(sorted_names(stages)) do
		for _, out in ipairs(pick.table(stages[name], "outs")) do
			local path, size = pick.text(out, "path"), pick.number(out, "size")
			local file = path and contents[path] and folder:file(path)
			if file and size and file.size ~= size then
				folder:warn(("'%s%s' has %d bytes, in dvc.lock %d: it is of another run"):format(
					folder.prefix, path, file.size, size))
			end
		end
	end
end

-- Parameters -----------------------------------------------------------------------------------

--- YAML 1.2 is what DVC reads: 1e-5 is a number.
local function typed(value, depth)
	if type(value) ~= "table" or depth > 16 then
		return num.from_yaml12(value)
	end
	local out = {}
	for key, item in pairs(value) do
		out[key] = typed(item, depth + 1)
	end
	return out
end

local function is_training(name)
	local lower = name:lower()
	return lower:find("train") ~= nil or lower:find("fit") ~= nil or lower:find("tune") ~= nil
end

--- Parameters that the stages ran with: of all, and of those that train.
local function locked_params(stages)
	local all, training = {}, {}
	for _, name in ipairs(sorted_names(stages)) do
		for _, values in pairs(pick.table(stages[name], "params")) do
			for key, value in pairs(type(values) == "table" and values or {}) do
				all[key] = typed(value, 1)
				training[key] = is_training(name) and all[key] or training[key]
			end
		end
	end
	return all, training
end

local function disagree_params(reading, ran, there)
	local flat = hparams.flat(there)
	for key, value in pairs(hparams.flat(ran)) do
		local other = flat[key]
		if other ~= nil and type(value) ~= "table" and type(other) ~= "table"
			and not is_same(value, other) then
			runs.disagree(reading, "hyperparams." .. key, "dvc.lock", value, "params.yaml", other)
		end
	end
end

local function read_params(reading, folder, base, stages)
	local ran, training = locked_params(stages)
	local live = base and pick.optional(folder, base .. "params.yaml")
	local there = base ~= "" and pick.optional(folder, "params.yaml") or nil
	local raw = next(ran) and hparams.merge(ran, live and typed(live, 1)) or live and typed(live, 1)
		or there and typed(there, 1)
	if not raw then
		return
	end
	local from = next(ran) and "dvc.lock" or live and base .. "params.yaml" or "params.yaml"
	runs.read_hyperparams(reading, folder, raw, raw, from)
	reading.hyperparams = hparams.merge(reading.hyperparams, hparams.standard_of_nested(training))
	if next(ran) and there then
		disagree_params(reading, ran, typed(there, 1))
	end
end

-- Files ----------------------------------------------------------------------------------------

local MODEL_DIRS = { model = true, models = true, weights = true, checkpoints = true }

--- Outputs that hold a model and lie here; many stages put theirs into a directory.
local function models_of(folder, names)
	local here, dir = {}, nil
	for _, name in ipairs(names) do
		if folder:file(name) then
			here[#here + 1] = name
		elseif MODEL_DIRS[name:match("([^/]+)/*$") or ""] and folder:has(name .. "/*") then
			dir = name
		end
	end
	return runs.checkpoints(here) or (dir and { last = dir }) or nil
end

local function read_outs(reading, folder, stages)
	local digests, names, made = {}, {}, {}
	for _, stage in ipairs(sorted_names(stages)) do
		for _, out in ipairs(pick.table(stages[stage], "outs")) do
			local path = pick.text(out, "path")
			local digest = pick.text(out, "md5")
			if path then
				made[path], names[#names + 1] = true, path
				digests[path] = digest and "md5:" .. digest
			end
		end
	end
	reading.artifacts = next(digests) and digests or nil
	reading.sources.artifacts = reading.artifacts and "dvc.lock"
	reading.checkpoints = models_of(folder, names)
	return made
end

--- Is a dependency the code: a script, or a directory out of which the command runs one?
local function is_code(path, command)
	return CODE[path:match("%.([%w]+)$") or ""] == true
		or (" " .. command):find(" " .. path .. "/", 1, true) ~= nil
end

--- What no stage made and is no code is the data, if it is one thing.
local function read_data(reading, stages, made)
	local found, count = nil, 0
	for _, name in ipairs(sorted_names(stages)) do
		local command = tostring(pick.at(stages[name], "cmd"))
		for _, dep in ipairs(pick.table(stages[name], "deps")) do
			local path = pick.text(dep, "path")
			if path and path ~= found and not made[path] and not is_code(path, command) then
				found, count = path, count + 1
			end
		end
	end
	if count == 1 and not reading.dataset then
		reading.dataset, reading.sources.dataset = found, "inferred:dvc.lock: deps"
	end
end

--- The command of the stage that trains; of a single stage, whatever its name.
local function command_of(stages)
	local names, found = sorted_names(stages), nil
	for _, name in ipairs(names) do
		if #names == 1 or is_training(name) then
			found = pick.text(stages[name], "cmd") or found
		end
	end
	return found
end

-- The reading ----------------------------------------------------------------------------------

local function metrics_files(folder, base, pipeline, stages)
	local patterns = {}
	if base then
		patterns[1] = base .. "metrics.json"
	end
	for _, path in ipairs(pipeline and declared_metrics(pipeline) or locked_metrics(stages)) do
		patterns[#patterns + 1] = path
	end
	patterns[#patterns + 1] = folder:file("dvclive.json") and "dvclive.json" or nil
	return existing(folder, patterns)
end

local function nothing(folder)
	return nil, { code = "no_data", path = folder.prefix .. "dvc.yaml",
		message = ("'%s' has neither metrics nor parameters of DVC"):format(
			folder.prefix == "" and "." or folder.prefix) }
end

---@param folder th.Folder
---@return th.Reading?
---@return th.Error?
function M.read(folder)
	local base = live_base(folder)
	local pipeline = pick.optional(folder, "dvc.yaml")
	local lock = pick.optional(folder, "dvc.lock", "yaml")
	if not (base or pipeline or lock or folder:file("dvclive.json")) then
		return nothing(folder)
	end
	local stages = locked_stages(lock)
	local reading = { sources = {}, final_metrics = {} }
	local contents = read_metrics(reading, folder, metrics_files(folder, base, pipeline, stages))
	if base then
		read_series(reading, folder, base, contents[base .. "metrics.json"] or contents["dvclive.json"])
	end
	read_params(reading, folder, base, stages)
	read_data(reading, stages, read_outs(reading, folder, stages))
	reading.command = command_of(stages)
	check_sizes(folder, stages, contents)
	if next(reading.final_metrics) == nil and not (reading.raw_hyperparams or reading.artifacts) then
		return nothing(folder)
	end
	return reading
end

return M
