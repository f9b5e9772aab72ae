--- What an evaluation of stage 1 says: metrics for the JSON files, a table for the log.

local data = require "data"
local metrics = require "metrics"
local python = require "python"

local M = {}

local CONFUSABLE = { { "figure", "table" }, { "section", "paraline" }, { "fstline", "paraline" } }

local index = {}
for i, label in ipairs(data.LABELS) do
	index[label] = i
end

--- Both directions of each pair of labels that are easily confused.
local function confusions(matrix)
	local result = {}
	for _, pair in ipairs(CONFUSABLE) do
		for _, way in ipairs({ pair, { pair[2], pair[1] } }) do
			local row = matrix[index[way[1]]]
			local total = 0
			for _, count in ipairs(row) do
				total = total + count
			end
			local count = row[index[way[2]]]
			result[#result + 1] = { from = way[1], to = way[2], count = count, total = total }
		end
	end
	return result
end

local function add_class(list, label, score)
	for _, field in ipairs({ "precision", "recall", "f1" }) do
		list[#list + 1] = { ("eval_%s_%s"):format(label, field), score[field] }
	end
	list[#list + 1] = { ("eval_%s_gt_count"):format(label), score.gt }
	list[#list + 1] = { ("eval_%s_pred_count"):format(label), score.pred }
end

--- All metrics of one evaluation, in the order in which the trainer prints them.
---@param loss number
---@param matrix example.Confusion
---@return table[] list of { name, value }
function M.metrics(loss, matrix)
	local scores = metrics.scores(matrix)
	local list = {
		{ "eval_loss", loss },
		{ "eval_accuracy", (metrics.accuracy(matrix)) },
		{ "eval_macro_f1", metrics.macro(scores, "f1", true) },
		{ "eval_macro_f1_all", metrics.macro(scores, "f1") },
	}
	for i, label in ipairs(data.LABELS) do
		add_class(list, label, scores[i])
	end
	for _, pair in ipairs(confusions(matrix)) do
		local name = ("eval_confusion_%s_to_%s"):format(pair.from, pair.to)
		list[#list + 1] = { name, metrics.ratio(pair.count, pair.total) }
	end
	return list
end

local function log_classes(info, scores)
	info("%-12s %7s %7s %7s %6s %6s", "Class", "Prec", "Recall", "F1", "GT", "Pred")
	info(("-"):rep(55))
	for i, label in ipairs(data.LABELS) do
		local score = scores[i]
		if score.gt + score.pred > 0 then
			info("%-12s %7s %7s %7s %6d %6d", label, python.percent(score.precision),
				python.percent(score.recall), python.percent(score.f1), score.gt, score.pred)
		end
	end
	info(("-"):rep(55))
end

--- The table of one evaluation.
---@param info fun(format: string, ...: any)
---@param matrix example.Confusion
function M.log(info, matrix)
	local scores = metrics.scores(matrix)
	local percent = python.percent
	info(("="):rep(60))
	info("Per-Class Metrics (%d classes):", #data.LABELS)
	log_classes(info, scores)
	info("Overall Accuracy: %s", percent((metrics.accuracy(matrix))))
	info("Macro F1: %s (only classes with samples)", percent(metrics.macro(scores, "f1", true)))
	info("Macro F1 (all %d): %s (includes zero-sample classes)", #data.LABELS,
		percent(metrics.macro(scores, "f1")))
	info("Confusion pairs (GT -> Pred rate):")
	for _, pair in ipairs(confusions(matrix)) do
		local rate = percent(metrics.ratio(pair.count, pair.total))
		info("  %s -> %s: %s (%d/%d)", pair.from, pair.to, rate, pair.count, pair.total)
	end
	info(("="):rep(60))
end

return M
