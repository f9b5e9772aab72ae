--- Stage 2: feature extraction. It trains nothing: the metrics are counts, the steps are zero.
--
-- Reads the log of util/extract_line_features_document_level.py and of its predecessor
-- extract_line_features.py; without a log the pickles' names still give the number of chunks.
local check = require("th.check")
local home = require("th.home")
local num = require("th.num")
local runlog = require("th.runlog")

---@type th.StagePlugin
local M = {
	api = 1,
	kind = "stage",
	name = "stage2",
	version = "1.0.0",
	summary = "feature extraction: line features of whole documents",
	dir = "features",
	model_name = "line_features",
	requires = { "stage1" },
	inputs = { log = "@log?", features = "*_line_features*.pkl?" },
	metrics = {
		num_documents = { goal = "max", min = 0, primary = true },
		num_chunks = { goal = "max", min = 0 },
		pages = { goal = "max", min = 0, unit = "pages" },
	},
	progress = {
		{ find = "it/s]", match = "(%d+)/(%d+) %[", set = { "step", "steps_total" } },
		{ find = "s/it]", match = "(%d+)/(%d+) %[", set = { "step", "steps_total" } },
	},
}

local SPLITS = { "train", "validation" }
local LOG = "log"

--- The counts of a split are printed after its headline and before the next one's.
local function begin_split(run, split)
	run.splits[split] = run.splits[split] or {}
	run.split = run.splits[split]
end

local function count(name)
	return function(run, value)
		if run.split then
			run.split[name] = num.int(value)
		end
	end
end

local RULES = {
	{ find = "使用设备: ", start = true },
	{ find = "模型路径: ", match = "模型路径: (.+)", on = function(run, path) run.model = path end },
	{ find = "实际页面数", match = "train: (%d+), validation: (%d+)", on = function(run, train, val)
		run.planned = (num.int(train) or 0) + (num.int(val) or 0)
	end },
	{ find = "集的文档级别特征", match = "开始提取 (%S+) 集", on = begin_split },
	{ find = "总页面数: ", match = "总页面数: (%d+)", on = count("pages") },
	{ find = "✓ 共 ", match = "共 (%d+) 个文档", on = count("num_documents") },
	{ find = "总文档数: ", match = "总文档数: (%d+)", on = count("num_documents") },
	{ find = "保存的chunk文件数: ", match = "文件数: (%d+)", on = count("num_chunks") },
	{ find = "✓ 完成！共提取 ", match = "共提取 (%d+) 页", finish = true, on = function(run, pages)
		run.pages = num.int(pages)
	end },
	{ find = "✓ 全部完成!", finish = true },
	{ find = "Feature extraction completed successfully!", finish = true, close = true },
	{ find = "Feature extraction failed!", fail = true },
	{ find = "Error: Model path does not exist", match = "Error: (.+)", start = true,
		fail = true, on = function(run, text) run.error = text end },
}

local function new_run(run)
	run.splits = {}
end

--- The predecessor prints no totals before it starts; its bar does.
local function on_bar(run, bar)
	if bar.label:find("提取特征", 1, true) then
		run.planned = bar.total
	end
end

local function sum(splits, name)
	local total
	for _, split in ipairs(SPLITS) do
		local value = splits[split] and splits[split][name]
		total = value and (total or 0) + value or total
	end
	return total
end

local function metrics_from_log(run)
	local metrics, sources = {}, {}
	for _, name in ipairs({ "num_documents", "num_chunks", "pages" }) do
		metrics[name] = sum(run.splits, name)
		sources["metrics." .. name] = metrics[name] and "log: sum over the splits"
	end
	for _, split in ipairs(SPLITS) do
		if run.splits[split] and next(run.splits[split]) then
			metrics[split] = run.splits[split]
			sources["metrics." .. split] = LOG
		end
	end
	if run.pages then
		metrics.pages, sources["metrics.pages"] = run.pages, LOG
	end
	return metrics, sources
end

--- Chunks by their names, for a directory that has no log.
local function add_chunks_from_names(ctx, metrics, sources)
	local chunks, by_split = 0, {}
	for _, file in ipairs(ctx:list("features")) do
		local split = file.name:match("^(%a+)_line_features")
		if split then
			chunks = chunks + 1
			by_split[split] = (by_split[split] or 0) + 1
		end
	end
	if chunks > 0 and not metrics.num_chunks then
		metrics.num_chunks = chunks
		sources["metrics.num_chunks"] = "derived: feature files counted by name"
		for split, number in pairs(by_split) do
			metrics[split] = metrics[split] or { num_chunks = number }
		end
	end
	return chunks
end

--- The record wants one name that can be hashed: the newest file of the training split stands for
-- the set.
local function final_checkpoint(ctx)
	local found
	for _, file in ipairs(ctx:list("features")) do
		if not found or file.name:find("^train_") or not found:find("^train_") then
			found = file.name
		end
	end
	return found
end

local function read_log(ctx)
	if not ctx:has("log") then
		return { splits = {}, finished = false, failed = false, seen = false }
	end
	return runlog.read(ctx:lines("log", runlog.needles(RULES)), RULES, new_run, on_bar)
end

function M.extract(ctx)
	local run = read_log(ctx)
	local metrics, sources = metrics_from_log(run)
	local chunks = add_chunks_from_names(ctx, metrics, sources)
	if not run.seen and not run.error and chunks == 0 then
		return nil, { code = "no_data", message = "neither a log of stage 2 nor feature files",
			hint = "name the directory with *_line_features_chunk_*.pkl" }
	end
	local outcome, problem = home.outcome(ctx, run)
	sources.steps = "feature extraction runs no optimizer step"
	return {
		outcome = outcome,
		error = problem,
		metrics = metrics,
		sources = sources,
		steps = 0,
		planned = run.planned and { pages = run.planned } or nil,
		final_checkpoint = final_checkpoint(ctx),
		base_model = run.model or home.setting(home.settings(ctx), "model_path"),
		start_time = run.start_time,
		end_time = run.end_time,
	}
end

--- The batch size is printed but not used (pages go through one by one); it is kept as printed.
function M.hyperparams(ctx, raw)
	return home.hyperparams(ctx, home.settings(ctx, raw), { seed = 42 })
end

local COUNT = check.optional(check.integer({ min = 0 }))
local ENTRY = check.fields({
	steps = check.integer({ min = 0, max = 0 }),
	metrics = check.fields({ num_documents = COUNT, num_chunks = COUNT, pages = COUNT }),
})

function M.validate(_, entry)
	return ENTRY(entry, "entry")
end

return M
