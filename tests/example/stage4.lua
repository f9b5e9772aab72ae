--- Stage 4: name the relation of a line to its parent. Wrong pairs, drawn at random, are the
-- class "none". The pipeline runs whole epochs until max_steps is reached, so more steps than
-- that may be taken; this does the same.

local clock = require "clock"
local data = require "data"
local failure = require "failure"
local features = require "features"
local files = require "files"
local flags = require "flags"
local json = require "json"
local log = require "log"
local metrics = require "metrics"
local progress = require "progress"
local python = require "python"
local random = require "random"
local relatives = require "relatives"
local softmax = require "softmax"

local M = {}

M.failed = "Relation classifier training failed!"
M.flags = flags.with_common({
	features_dir = { kind = "text" },
	max_steps = { kind = "integer", default = 300, least = 1 },
	batch_size = { kind = "integer", default = 32, least = 1 },
	learning_rate = { kind = "real", default = 0.1, least = 0 },
	neg_ratio = { kind = "real", default = 1.5, least = 0 },
	max_chunks = { kind = "integer", default = -1, least = -1 },
	restart = { kind = "switch", default = false },
})

local BLOW_UP = math.huge -- a learning rate that makes every weight nan in one step
local STEPS_PER_LINE = 100
local NONE = 1
local info = log.info()

local relation_index = {}
for i, name in ipairs(data.RELATIONS) do
	relation_index[name] = i
end

local function announce(options)
	log.banner("Stage 4: Relation Classifier Training", {
		"Dataset:        " .. options.dataset:upper(),
		"  Features Dir:   " .. (options.features_dir or "-"),
		"  Output Dir:     " .. options.output_dir,
		"  Max Steps:      " .. options.max_steps,
		"  Batch Size:     " .. options.batch_size,
		"  Learning Rate:  " .. python.number(options.learning_rate),
		"  Neg Ratio:      " .. python.number(options.neg_ratio),
		("  Max Chunks:     %d (-1 = all)"):format(options.max_chunks),
	})
	log.command(options.argv)
end

--- Wrong parents for a line: a whole number of them whose mean is the ratio.
local function add_negatives(examples, lines, child, ratio, generator)
	for _ = 1, math.floor(ratio + generator:uniform()) do
		local candidate = generator:integer(1, child - 1)
		if candidate ~= lines[child].parent then
			local row = relatives.row(lines, child, candidate)
			examples[#examples + 1] = { row = row, class = NONE }
		end
	end
end

local function log_counts(examples)
	info("总样本数: %d", #examples)
	local counts = {}
	for _, example in ipairs(examples) do
		counts[example.class] = (counts[example.class] or 0) + 1
	end
	for i, name in ipairs(data.RELATIONS) do
		local count = counts[i] or 0
		info("  %s (id=%d): %d (%.1f%%)", name, i - 1, count, 100 * metrics.ratio(count, #examples))
	end
	return counts
end

---@return example.Example[]
---@return table<integer, integer> counts per class
local function load_split(options, split)
	local documents = features.load(options, split)
	info("从 %d 个文档构造多分类训练样本...", #documents)
	local generator = random.new(options.seed, "negatives/" .. split)
	local examples = {}
	for _, document in ipairs(documents) do
		local lines = document.lines
		for child, line in ipairs(lines) do
			if line.parent > 0 then
				local row = relatives.row(lines, child, line.parent)
				examples[#examples + 1] = { row = row, class = relation_index[line.relation] }
				add_negatives(examples, lines, child, options.neg_ratio, generator)
			end
		end
	end
	return examples, log_counts(examples)
end

--- Rare relations weigh more, by the root of how rare they are; the mean weight is about 1.
local function weigh(examples, counts)
	local weights, shown = {}, {}
	for i = 1, #data.RELATIONS do
		local share = math.max(counts[i] or 0, 1) * #data.RELATIONS / #examples
		weights[i] = 1 / math.sqrt(share)
		shown[i] = ("%.8f"):format(weights[i])
	end
	for _, example in ipairs(examples) do
		example.weight = weights[example.class]
	end
	info("类别权重: [%s]", table.concat(shown, " "))
end

local function log_summary(what, loss, matrix)
	local scores = metrics.scores(matrix)
	info("%s - Loss: %s, Acc: %.4f, P: %.4f, R: %.4f, F1: %.4f", what, python.fixed(loss, 4),
		(metrics.accuracy(matrix)), metrics.macro(scores, "precision"),
		metrics.macro(scores, "recall"), metrics.macro(scores, "f1"))
end

--- A matrix as numpy prints it.
local function matrix_text(matrix)
	local width, rows = 0, {}
	for _, row in ipairs(matrix) do
		for _, count in ipairs(row) do
			width = math.max(width, #tostring(count))
		end
	end
	for i, row in ipairs(matrix) do
		local cells = {}
		for j, count in ipairs(row) do
			cells[j] = (" "):rep(width - #tostring(count)) .. count
		end
		rows[i] = "[" .. table.concat(cells, " ") .. "]"
	end
	return "[" .. table.concat(rows, "\n ") .. "]"
end

local function report_row(name, score, total)
	return ("%12s %10.2f%10.2f%10.2f%10d"):format(name, score.precision, score.recall, score.f1,
		total)
end

local function average(scores, mean)
	return {
		precision = mean(scores, "precision"), recall = mean(scores, "recall"),
		f1 = mean(scores, "f1"),
	}
end

--- The table of scikit-learn's classification_report().
local function report_text(matrix)
	local scores = metrics.scores(matrix)
	local accuracy, total = metrics.accuracy(matrix)
	local lines = { ("%12s %10s%10s%10s%10s"):format("", "precision", "recall", "f1-score",
		"support"), "" }
	for i, name in ipairs(data.RELATIONS) do
		lines[#lines + 1] = report_row(name, scores[i], scores[i].gt)
	end
	lines[#lines + 1] = ""
	lines[#lines + 1] = ("%12s %10s%10s%10.2f%10d"):format("accuracy", "", "", accuracy, total)
	lines[#lines + 1] = report_row("macro avg", average(scores, metrics.macro), total)
	lines[#lines + 1] = report_row("weighted avg", average(scores, metrics.weighted), total)
	return table.concat(lines, "\n") .. "\n"
end

---@class example.Relater
---@field options table
---@field model example.Model
---@field train example.Example[]
---@field validation example.Example[]
---@field batches integer per epoch
---@field step integer over all epochs

local function one_batch(relater, order, position, matrix)
	local options = relater.options
	relater.step = relater.step + 1
	failure.check(options, relater.step)
	clock.sleep(options.sleep_ms)
	local batch, first = {}, (position - 1) * options.batch_size
	for i = first + 1, math.min(first + options.batch_size, #order) do
		batch[#batch + 1] = relater.train[order[i]]
	end
	local is_diverging = options.diverge and relater.step > options.max_steps // 4
	local rate = options.learning_rate * (is_diverging and BLOW_UP or 1.0)
	local loss, predictions = softmax.step(relater.model, batch, rate)
	for i, predicted in ipairs(predictions) do
		metrics.count(matrix, batch[i].class, predicted)
	end
	return loss
end

local function train_epoch(relater, epoch)
	local order = random.new(relater.options.seed, "epoch " .. epoch):permutation(#relater.train)
	local bar = progress.new(relater.batches, { label = "训练" })
	local matrix, sum = metrics.confusion(#data.RELATIONS), 0.0
	for position = 1, relater.batches do
		local loss = one_batch(relater, order, position, matrix)
		sum = sum + loss
		if position % STEPS_PER_LINE == 0 then
			info("  Step [%d/%d] - Loss: %s", position, relater.batches, python.fixed(loss, 4))
		end
		bar:advance()
	end
	bar:close()
	log_summary("训练", sum / relater.batches, matrix)
end

local function evaluate(relater)
	local loss, matrix = metrics.evaluate(relater.model, relater.validation)
	log_summary("验证", loss, matrix)
	info("混淆矩阵:\n%s", matrix_text(matrix))
	info("分类报告:\n%s", report_text(matrix))
	local scores = metrics.scores(matrix)
	return {
		val_loss = loss, val_f1 = metrics.macro(scores, "f1"),
		val_metrics = {
			accuracy = (metrics.accuracy(matrix)), precision = metrics.macro(scores, "precision"),
			recall = metrics.macro(scores, "recall"), f1 = metrics.macro(scores, "f1"),
		},
	}
end

--- Every epoch's checkpoint, and the best one so far twice: with and without its surroundings.
local function save(relater, epoch, result, best)
	local dir = relater.options.output_dir
	result.epoch, result.model_state_dict = epoch, relater.model
	local text = json.encode(result)
	local path = ("%s/checkpoint-epoch%d.pt"):format(dir, epoch)
	files.write(path, text)
	info("保存checkpoint: %s", path)
	if result.val_f1 > best then
		files.write(dir .. "/best_model.pt", text)
		files.write(dir .. "/best_model_weights.pt", json.encode(relater.model))
		info("✓ 保存最佳模型 (F1: %.4f)", result.val_f1)
	end
	return math.max(best, result.val_f1)
end

local function new_relater(options)
	info("使用设备: cpu")
	local train, counts = load_split(options, "train")
	local validation = load_split(options, "validation")
	info("训练集大小: %d", #train)
	info("验证集大小: %d", #validation)
	info("模型参数量: %s", python.thousands(#data.RELATIONS * relatives.DIMENSIONS))
	weigh(train, counts)
	return {
		options = options, train = train, validation = validation, step = 0,
		model = softmax.new(#data.RELATIONS, relatives.DIMENSIONS),
		batches = (#train + options.batch_size - 1) // options.batch_size,
	}
end

local function log_end(options, best)
	info("\n训练完成！最佳验证F1: %.4f", best)
	info("模型保存路径: %s", options.output_dir)
	info("  - best_model.pt")
	info("  - best_model_weights.pt")
	info("  - checkpoint-epoch*.pt")
	print("\nRelation classifier training completed successfully!")
	print("Model saved to: " .. options.output_dir)
	print(("All stages for %s completed!"):format(options.dataset:upper()))
end

--- Run the stage.
---@param options table<string, any>
function M.run(options)
	announce(options)
	files.make_directory(options.output_dir)
	local relater, best = new_relater(options), 0.0
	local epochs = options.max_steps // relater.batches + 1
	info("\n开始训练（最多 %d 步）...", options.max_steps)
	for epoch = 1, epochs do
		info("\n===== Epoch %d/%d =====", epoch, epochs)
		train_epoch(relater, epoch)
		best = save(relater, epoch, evaluate(relater), best)
		if relater.step >= options.max_steps then
			break
		end
	end
	log_end(options, best)
end

return M
