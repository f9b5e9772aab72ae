--- Ultralytics' YOLO, version 5 to today, and what was made of it (YOLOv7, YOLOv9, RT-DETR):
-- results.csv, args.yaml or opt.yaml with hyp.yaml, weights/; before 2021 results.txt.
--
-- The first epoch is 0 up to version 8.0 and 1 since. weights/best.pt is of the epoch with the best
-- "fitness": 0.1 mAP50 + 0.9 mAP50-95 of the boxes, and the same of masks or poses added to it; for
-- classifiers the mean of top-1 and top-5 (YOLOv5: top-1 alone).
local hparams = require("th.hparams")
local json = require("th.json")
local num = require("th.num")
local runs_of = require("th.runs")
local series = require("th.series")

local M = { title = "Ultralytics YOLO" }

local PLACES = { "", "*/", "*/*/", "*/*/*/" }

-- results.txt has no header. The names are those that YOLOv5 gave to TensorBoard then; what stands
-- before them is epoch/last, memory, three losses, their sum, targets and image size.
local TXT_NAMES = { [3] = "train/box_loss", [4] = "train/obj_loss", [5] = "train/cls_loss",
	[9] = "metrics/precision", [10] = "metrics/recall", [11] = "metrics/mAP_0.5",
	[12] = "metrics/mAP_0.5:0.95", [13] = "val/box_loss", [14] = "val/obj_loss",
	[15] = "val/cls_loss" }
local TXT_WIDTH = 15 -- forks have more losses, and with them other places
local TXT_LINE = "^%s*(%d+)/(%d+)%s+[%d.]+[GM]%s"

-- Fitness --------------------------------------------------------------------------------------

---@class th.YoloFitness
---@field rule string
---@field parts { [1]: string, [2]: number }[] column and weight

local TASKS = { "(B)", "(M)", "(P)" }

local function weighted(parts)
	local words = {}
	for index, part in ipairs(parts) do
		words[index] = ("%s*%s"):format(part[2], part[1])
	end
	return { rule = table.concat(words, " + "), parts = parts }
end

--- What best.pt is chosen by, from the columns that are there.
local function fitness_of(columns)
	local parts = {}
	local function add(half, whole)
		if columns[half] and columns[whole] then
			parts[#parts + 1] = { half, 0.1 }
			parts[#parts + 1] = { whole, 0.9 }
		end
	end
	add("metrics/mAP_0.5", "metrics/mAP_0.5:0.95")
	for _, task in ipairs(TASKS) do
		add("metrics/mAP50" .. task, "metrics/mAP50-95" .. task)
		add("metrics/mAP_0.5" .. task, "metrics/mAP_0.5:0.95" .. task)
	end
	local top1, top5 = columns["metrics/accuracy_top1"], columns["metrics/accuracy_top5"]
	if #parts == 0 and top1 and top5 and not columns["lr/0"] then
		parts = { { "metrics/accuracy_top1", 0.5 }, { "metrics/accuracy_top5", 0.5 } }
	elseif #parts == 0 and top1 then
		parts = { { "metrics/accuracy_top1", 1 } } -- YOLOv5's classifier has one rate, "lr/0"
	end
	return #parts > 0 and weighted(parts) or nil
end

local function value_of(fitness, row, columns)
	local sum = 0.0
	for _, part in ipairs(fitness.parts) do
		local value = num.float(row[columns[part[1]]])
		if not value then
			return nil
		end
		sum = sum + part[2] * value
	end
	return sum
end

local function parts_of(fitness, row, columns)
	local values = {}
	for _, part in ipairs(fitness.parts) do
		values[part[1]] = num.any(row[columns[part[1]]])
	end
	return values
end

-- Recognising ----------------------------------------------------------------------------------

local function is_results(head)
	local header = head:match("^[^\r\n]*")
	return header:find("^%s*epoch%s*,") ~= nil and header:find("metrics/", 1, true) ~= nil
		and header:find("train/", 1, true) ~= nil
end

local function is_old_results(head)
	return head:find(TXT_LINE) ~= nil
end

local function runs_in(folder)
	local runs = {}
	for _, place in ipairs(PLACES) do
		for _, name in ipairs({ "results.csv", "results.txt" }) do
			for _, file in ipairs(folder:files(place .. name)) do
				local check = name == "results.csv" and is_results or is_old_results
				local dir = file.name:match("^(.*)/[^/]*$") or "."
				if check(folder:head(file.name)) and runs[#runs] ~= dir then
					runs[#runs + 1] = dir
				end
			end
		end
	end
	return runs
end

---@param folder th.Folder
---@return th.Recognised?
function M.recognise(folder)
	local runs = runs_in(folder)
	if #runs == 0 then
		return nil
	end
	local at = runs[1] == "." and "" or runs[1] .. "/"
	local sure = folder:has(at .. "args.yaml") or folder:has(at .. "opt.yaml")
	return { score = sure and 90 or 70, runs = (#runs > 1 or runs[1] ~= ".") and runs or nil,
		why = at .. "results has YOLO's metrics" .. (sure and ", beside its arguments" or "") }
end

-- Arguments ------------------------------------------------------------------------------------

local function load_yaml(folder, name)
	if not folder:has(name) then
		return nil
	end
	local value, err = folder:yaml(name)
	if type(value) ~= "table" then
		folder:warn(("%s: %s"):format(folder.prefix .. name, err and err.message or "no mapping"))
		return nil
	end
	return value
end

--- args.yaml (version 8 on), or opt.yaml with hyp.yaml or its own `hyp` (version 5).
local function arguments_of(folder)
	local args = load_yaml(folder, "args.yaml")
	if args then
		return args, "args.yaml"
	end
	local opt = load_yaml(folder, "opt.yaml")
	local hyp = load_yaml(folder, "hyp.yaml")
	if not opt and not hyp then
		return nil
	end
	local inner = opt and type(opt.hyp) == "table" and opt.hyp or nil
	return hparams.merge(hyp or inner, opt), opt and "opt.yaml" or "hyp.yaml"
end

local function is_weights(value)
	return type(value) == "string" and value:find("%.pth?$") ~= nil
end

--- The weights that training began with; those of a resumed run are its own.
local function base_of(args)
	if args.resume and args.resume ~= json.null and args.resume ~= "" then
		return nil
	end
	for _, key in ipairs({ "pretrained", "weights", "model" }) do
		if is_weights(args[key]) then
			return args[key]
		end
	end
end

local function adam_of(args)
	return args.adam == true and "Adam" or nil -- YOLOv5 before the option --optimizer
end

local function add_arguments(folder, reading, at)
	local args, name = arguments_of(folder)
	if not args then
		return
	end
	reading.raw_hyperparams = args
	reading.hyperparams = hparams.merge({ optimizer = adam_of(args) }, (hparams.standard(args)))
	reading.sources.hyperparams = at .. name
	reading.epochs.planned = num.any(json.value(args.epochs))
	reading.base_model = base_of(args)
	reading.sources.base_model = reading.base_model and at .. name
	reading.dataset = type(args.data) == "string" and args.data ~= "" and args.data or nil
	reading.sources.dataset = reading.dataset and at .. name .. ": data"
end

-- The table ------------------------------------------------------------------------------------

local function part_of(name)
	if name:find("^metrics/") or name:find("^val/") or name:find("^test/") then
		return "final_metrics"
	elseif name:find("^train/") or name:find("^lr/") or name:find("^x/lr") then
		return "train"
	end
end

local function fill(reading, values, from)
	for name, value in pairs(values) do
		local part = part_of(name)
		if part and type(value) == "number" then
			reading[part][name] = value
			reading.sources[part .. "." .. name] = from .. ": " .. name
		end
	end
end

local function read_csv(folder)
	local fitness
	local sheet, err = series.read(folder, "results.csv", {
		index = { "epoch" },
		goal = function() end,
		extend = function(row, columns)
			fitness = fitness or fitness_of(columns) or { parts = {}, rule = "" }
			return fitness.rule ~= "" and value_of(fitness, row, columns) or nil
		end,
		note = function(row, columns)
			return parts_of(fitness, row, columns)
		end,
	})
	if not sheet then
		return nil, err
	end
	return { rows = sheet.series, values = sheet.values, fitness = fitness,
		best = sheet.series:best(#sheet.header + 1) }
end

local function refuse_txt(folder, message)
	return nil, { code = "not_a_training_record", path = folder.prefix .. "results.txt",
		message = "results.txt " .. message }
end

--- A line of results.txt as a row by name; nil when the shares in it are none.
local function txt_row(line)
	local fields, row = {}, {}
	for field in line:gmatch("%S+") do
		fields[#fields + 1] = field
	end
	for place, name in pairs(TXT_NAMES) do
		row[name] = num.any(fields[place] or "")
		if name:find("^metrics/") and (row[name] or 0) > 1 then
			return nil
		end
	end
	return #fields == TXT_WIDTH and row or nil
end

--- YOLOv3 wrote mAP50 and F1 where YOLOv5 has mAP50 and mAP50-95; F1 may exceed the mAP50 there.
local function is_of_version_3(row)
	local half, whole = row["metrics/mAP_0.5"], row["metrics/mAP_0.5:0.95"]
	return half and whole and whole > half + 1e-9
end

local TXT_COLUMNS = {}
for _, name in pairs(TXT_NAMES) do
	TXT_COLUMNS[name] = name
end

local function read_txt(folder)
	local fitness, planned = fitness_of(TXT_COLUMNS), nil
	local rows = series.new({ fitness = "max" }, { note = function(row)
		return parts_of(fitness, row, TXT_COLUMNS)
	end })
	for line in folder:lines("results.txt") do
		local epoch, last = line:match(TXT_LINE)
		if epoch then
			local row = txt_row(line)
			if not row then
				return refuse_txt(folder, "has not the 15 columns of YOLOv5, and no header to tell")
			elseif is_of_version_3(row) then
				return refuse_txt(folder, "has columns of YOLOv3, which name no mAP50-95")
			end
			row.fitness = value_of(fitness, row, TXT_COLUMNS)
			rows:add(row, num.int(epoch))
			planned = num.int(last) + 1
		end
	end
	local values = rows.last
	return { rows = rows, values = values, fitness = fitness, planned = planned,
		best = rows:best("fitness") }
end

-- Outcome --------------------------------------------------------------------------------------

--- How many epochs ran: the first one tells whether they count from 0 or from 1.
local function epochs_of(rows)
	return num.tidy(rows.at and (rows.first == 0 and rows.at + 1 or rows.at))
end

--- Training draws results.png when it ends, at the last epoch or when patience ran out. Without
-- it, only the patience tells.
local function outcome_of(folder, reading, rows)
	local final, planned = reading.epochs.final, reading.epochs.planned
	local patience = reading.raw_hyperparams and num.any(json.value(reading.raw_hyperparams.patience))
	if not final or not planned then
		return nil
	end
	local stale = reading.best and rows.at - reading.best.epoch
	if final < planned and patience and patience > 0 and stale and stale >= patience then
		return "completed_early", ("inferred: no better fitness for %d epochs"):format(stale)
	elseif folder:has("results.png") then
		return final < planned and "completed_early" or "completed",
			"inferred: results.png is drawn when training ends"
	end
end

local function add_best(reading, found, from)
	if not found.best then
		return
	end
	reading.best = { metric = "fitness", value = found.best.value, mode = "max",
		epoch = found.best.at, values = found.best.note, declared = false }
	reading.sources.best = ("derived: max of %s in %s"):format(found.fitness.rule, from)
end

local function add_checkpoints(folder, reading, at)
	local function file(name)
		return folder:has("weights/" .. name) and at .. "weights/" .. name or nil
	end
	reading.checkpoints = { best = file("best.pt"), last = file("last.pt") }
	if reading.best and reading.checkpoints.best then
		reading.best.checkpoint, reading.best.checkpoint_name = reading.checkpoints.best, "best.pt"
	end
end

local function no_record(folder)
	local name = folder:find("results.csv") or folder:find("results.txt")
	return name and folder:text_error(name) or { code = "not_a_training_record", path = name,
		message = "no results.csv with YOLO's columns" }
end

---@param folder th.Folder
---@return th.Reading?
---@return th.Error?
function M.read(folder)
	local run = runs_of.first(folder, runs_in(folder))
	if not run then
		return nil, no_record(folder)
	end
	local here, at = folder:sub(run), run == "." and "" or run .. "/"
	local name = is_results(here:head("results.csv")) and "results.csv" or "results.txt"
	local found, err = (name == "results.csv" and read_csv or read_txt)(here)
	if not found then
		return nil, err
	elseif found.rows.rows == 0 then
		return nil, { code = "no_data", path = at .. name, message = at .. name .. " has no epoch" }
	end
	local reading = { final_metrics = {}, train = {}, sources = { epochs = at .. name .. ": epoch" },
		epochs = { final = epochs_of(found.rows), planned = found.planned },
		run = run ~= "." and run or nil }
	fill(reading, found.values, at .. name)
	add_best(reading, found, at .. name)
	add_arguments(here, reading, at)
	add_checkpoints(here, reading, at)
	reading.outcome, reading.sources.outcome = outcome_of(here, reading, found.rows)
	return reading
end

return M
