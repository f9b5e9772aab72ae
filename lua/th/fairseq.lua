--- fairseq's log: `| epoch 001 | loss ..` of old versions, `.. | INFO | train | epoch 001 | ..`
-- of new ones, and the lines of `--log-format json`.
--
-- Settings are the dict or the Namespace that the log begins with. A log that goes on from a
-- checkpoint continues its run; one that begins again at the first epoch is another run, and the
-- last counts.
local hf = require("th.hf_trainer")
local hparams = require("th.hparams")
local json = require("th.json")
local logs = require("th.logs")
local metrics = require("th.metrics")
local num = require("th.num")
local pydict = require("th.pydict")
local pylog = require("th.pylog")

local M = { title = "fairseq" }

M.NEEDLES = { "epoch", "fairseq", "Namespace(", "done training", "checkpoint", "Loaded", "valid",
	"rror", "Exception", "Traceback", "Interrupt", "Exit", "patience", "stop",
	table.unpack(logs.END_NEEDLES) }

local SIGNS = { "| INFO | fairseq", "| epoch %d+%s*|.-loss", "| epoch %d+:%s+%d+ / %d+ loss",
	"| INFO | train_inner |", "| INFO | train | [e{]", "| INFO | valid | [e{]" }

local function sign_of(text)
	for _, sign in ipairs(SIGNS) do
		local found = text:match(sign)
		if found then
			return #found > 40 and sign:sub(1, 8) .. "..." or found
		end
	end
end

---@param folder th.Folder
---@return th.Recognised?
function M.recognise(folder)
	local file, sign = logs.newest_known(folder, sign_of)
	if file then
		return { score = 70, why = ("'%s' has fairseq's lines (\"%s\")"):format(file.name, sign) }
	end
end

-- What a line of statistics has besides the model's quality.
local COUNTERS = { wps = true, ups = true, wpb = true, bsz = true, num_updates = true, lr = true,
	gnorm = true, clip = true, oom = true, train_wall = true, wall = true, loss_scale = true,
	gb_free = true, epoch = true, update = true, words = true, cuda_gb_allocated = true,
	cuda_gb_reserved = true, cuda_gb_free = true, best = true }

local function new_run(raw)
	return { valids = {}, raw = raw or {} }
end

--- `name value` between bars: "loss 3.946 | nll_loss 2.516 | num_updates 18950".
local function bar_values(text)
	local out = {}
	for part in text:gmatch("[^|]+") do
		local name, digits = part:match("^%s*([%a][%w_@.:/ -]-)%s+([^%s%%]+)%%?%s*$")
		local value = name and num.any(digits)
		if value then
			out[name] = value
		end
	end
	return out
end

--- The JSON of a line: numbers are written as strings, names begin with the subset's.
local function json_values(text, subset)
	local record, out = json.decode(text), {}
	for key, value in pairs(type(record) == "table" and record or {}) do
		local name = key:find("^" .. subset .. "_") and key:sub(#subset + 2) or key
		out[name] = type(value) == "string" and num.any(value) or type(value) == "number" and value or nil
	end
	return next(out) and out or nil
end

--- A line of statistics of the whole epoch: its subset, its epoch and its values.
local function statistics(segment)
	local subset, record = segment:match("|%s*([%w_]+)%s*|%s*({.+})%s*$")
	if not subset then
		record = segment:match("^{\"epoch\".+}%s*$")
		subset = record and (record:find('"valid_loss"', 1, true) and "valid"
			or record:find('"train_', 1, true) and "train")
	end
	if record and subset then
		local values = json_values(record, subset)
		return subset, values and values.epoch, values
	end
	local epoch, rest = segment:match("|%s*epoch (%d+)%s*|%s*(.+)$")
	if not epoch then
		return nil
	end
	local named = rest:match("^valid on ['\"]?([%w_]+)['\"]? subset")
	return named or "train", num.int(epoch), bar_values(rest)
end

--- Old versions call the values of a validation valid_loss, and those of a training "train loss".
local function plain_name(name, subset)
	local short = name:match("^valid_(.+)$") or name:match("^train (.+)$")
	return short and subset ~= nil and short or name
end

--- The model's qualities in a line of statistics.
local function qualities(values)
	local out = {}
	for name, value in pairs(values) do
		local plain = plain_name(name, values)
		if not COUNTERS[plain] and not plain:find("^best_") and not plain:find("^valid on") then
			out[plain] = value
		end
	end
	return out
end

local function take_validation(run, epoch, values)
	local record = { epoch = epoch, step = math.tointeger(values.num_updates),
		values = qualities(values) }
	local last = run.valids[#run.valids]
	run.step = record.step or run.step
	for name, value in pairs(values) do
		local declared = name == "best" and "loss" or name:match("^best_(.+)$")
		if declared and type(value) == "number" then
			run.declared = { metric = declared, value = value }
		end
	end
	if last and last.step == record.step and last.epoch == epoch then
		return -- a second subset at the same moment: the first is the one that is judged by
	end
	run.valids[#run.valids + 1] = record
end

local function take_statistics(run, subset, epoch, values)
	if run.epoch and epoch and epoch < run.epoch and epoch == 1 then
		run = new_run(run.raw)
	end
	run.epoch = epoch and math.tointeger(epoch) or run.epoch
	run.fault, run.stopped = nil, nil
	if subset:find("^valid") or subset:find("^test") or subset:find("^dev") then
		take_validation(run, run.epoch, values)
	elseif subset == "train" then
		run.train = values
		run.step = math.tointeger(values.num_updates) or run.step
	elseif subset == "train_inner" then
		run.step = math.tointeger(values.num_updates) or run.step
	end
	return run
end

--- The dict of dicts of new versions, flat; what is named twice keeps its first place.
local function flatten(dict, out)
	for _, key in ipairs(metrics.sorted_keys(dict)) do
		local value = dict[key]
		if type(value) == "table" and type(key) == "string" and next(value) and not value[1] then
			flatten(value, out)
		elseif out[key] == nil and value ~= json.null and key ~= "_name" then
			out[key] = value
		end
	end
	return out
end

local function take_settings(run, segment)
	local dict = segment:find("{'_name'", 1, true) and pydict.from_line(segment)
	if dict then
		run.raw = flatten(dict, {})
	end
	local arguments = segment:find("Namespace(", 1, true) and pydict.call(segment, "Namespace")
	if arguments then
		run.raw = hparams.merge(run.raw, flatten(arguments, {}))
	end
	return (dict or arguments) ~= nil and (dict or arguments) ~= false
end

local function take_words(run, message)
	if message:find("done training in", 1, true) then
		run.ended = true
	elseif message:find("early stop since", 1, true) then
		run.early = true
	elseif message:find("[Ss]topping training due to") then
		run.reached = true
	end
	local path, update = message:match("[Ss]aved checkpoint (%S+) %(epoch %d+ @ (%d+) updates")
	if path then
		run.saved, run.step = path, run.step or num.int(update)
	end
	local start = message:match("[Ll]oaded checkpoint .- @ (%d+) updates")
	run.resumed = num.int(start) or run.resumed
	return path
end

local function take_line(run, segment, trace)
	local message, time = logs.message(segment)
	run.start_time, run.end_time = run.start_time or time, time or run.end_time
	local fault, stopped = trace(message), logs.break_off(message)
	if fault or stopped then
		run.fault = fault or run.fault or message
		run.stopped = stopped or (pylog.is_interrupt(run.fault) and "interrupted") or "failed"
		return run
	end
	local subset, epoch, values = statistics(segment)
	if subset and values then
		return take_statistics(run, subset, epoch, values)
	end
	local inner = segment:match("|%s*epoch (%d+):")
	if inner then
		run.epoch = run.epoch or num.int(inner)
		run.step = num.int(segment:match("num_updates=(%d+)")) or run.step
	elseif not take_settings(run, segment) then
		take_words(run, message)
	end
	return run
end

--- The better direction: as the settings say, else by the metric's name; a perplexity is a loss.
local function goal_of(run, name)
	if name == run.raw.best_checkpoint_metric and run.raw.maximize_best_checkpoint_metric ~= nil then
		return run.raw.maximize_best_checkpoint_metric and "max" or "min"
	end
	return name:find("ppl") and "min" or metrics.goal(name)
end

local function best_of(run)
	local name = run.declared and run.declared.metric or "loss"
	local goal, best = goal_of(run, name), nil
	for _, record in ipairs(run.valids) do
		local value = record.values[name]
		local known = not run.declared or value == run.declared.value
		if value and known and metrics.better(value, best and best.values[name], goal) then
			best = record
		end
	end
	local value = run.declared and run.declared.value or (best and best.values[name])
	if not value then
		return nil
	end
	best = best or { values = nil }
	return { metric = name, value = value, mode = goal, epoch = best.epoch, step = best.step,
		values = best.values, declared = run.declared ~= nil }
end

--- A limit of the settings; 0 stands for none.
local function limit(value)
	local number = num.int(value)
	return number and number > 0 and number or nil
end

local function outcome_of(run)
	if run.stopped then
		return run.ended and (run.stopped == "failed" and "completed_then_crashed" or "completed")
			or run.stopped
	elseif run.ended then
		return run.early and "completed_early" or "completed"
	elseif run.epoch then
		return "interrupted" -- the program always says that it is done
	end
end

local function checkpoints_of(folder, run)
	local name = hf.basename(run.saved)
	local found = {}
	found.best = folder:find("checkpoint_best.pt") or folder:find("**/checkpoint_best.pt")
	found.last = folder:find("checkpoint_last.pt") or folder:find("**/checkpoint_last.pt")
		or (name and folder:find(name))
	return found
end

--- Single values stand in lists: `lr: [0.0005]`.
local function standard(raw)
	local flat = {}
	for key, value in pairs(raw) do
		flat[key] = type(value) == "table" and #value == 1 and value[1] or value
	end
	local values = hparams.standard(flat)
	values.num_epochs, values.max_steps = limit(flat.max_epoch), limit(flat.max_update)
	values.grad_accum = values.grad_accum or num.int(flat.update_freq)
	return values
end

local function sources_of(reading, file)
	local sources = { steps = file.name .. ": num_updates", epochs = file.name .. ": epoch",
		outcome = reading.outcome and "inferred: " .. file.name or nil }
	for name in pairs(reading.final_metrics) do
		sources["final_metrics." .. name] = file.name .. ": valid"
	end
	if reading.best then
		sources.best = reading.best.declared and file.name .. ": best_" .. reading.best.metric
			or "derived: " .. file.name
	end
	return sources
end

local function training_values(run)
	local out = {}
	for name, value in pairs(run.train or {}) do
		local plain = plain_name(name, run.train)
		if plain == "lr" or plain == "gnorm" or not COUNTERS[plain] then
			out[plain] = value
		end
	end
	return next(out) and out or nil
end

local function reading_of(folder, file, run)
	local last = run.valids[#run.valids]
	local raw = run.raw
	local reading = {
		outcome = outcome_of(run), error = run.fault,
		steps = run.step and { final = run.step, planned = limit(raw.max_update) },
		epochs = run.epoch and { final = run.epoch, planned = limit(raw.max_epoch) },
		final_metrics = last and last.values or training_values(run) or {}, best = best_of(run),
		train = training_values(run), raw_hyperparams = next(raw) and raw or nil,
		hyperparams = next(raw) and standard(raw) or nil,
		base_model = type(raw.finetune_from_model) == "string" and raw.finetune_from_model or nil,
		dataset = type(raw.data) == "string" and raw.data or nil,
		checkpoints = checkpoints_of(folder, run), resumed_from = run.resumed,
		start_time = run.start_time, end_time = run.end_time,
	}
	reading.sources = sources_of(reading, file)
	return reading
end

local MOST_LINES = 5000 -- from either end

--- Is it a line of progress within an epoch?
local function is_inner(segment)
	return segment:find("| epoch %d+:") or segment:find("| train_inner |", 1, true)
end

---@param folder th.Folder
---@return th.Reading?
---@return th.Error?
function M.read(folder)
	local file = logs.newest_known(folder, sign_of)
	if not file then
		return nil, { code = "not_a_training_record", message = "no text here is fairseq's log" }
	end
	local run = logs.read_run(folder, file.name, { needles = M.NEEDLES, is_progress = is_inner,
		most = MOST_LINES, take_line = take_line }, new_run())
	if not (run.epoch or run.fault or next(run.raw)) then
		return nil, { code = "no_data", path = file.name,
			message = ("'%s' has no epoch of fairseq's"):format(file.name) }
	end
	return reading_of(folder, file, run)
end

return M
