--- Stage 3: find each line's parent among the lines before it and the root. One weight vector
-- scores all candidates of a line; softmax over them says how likely each one is.

local clock = require "clock"
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

M.failed = "ParentFinder training failed!"
M.flags = flags.with_common({
	features_dir = { kind = "text" },
	num_epochs = { kind = "integer", default = 5, least = 1 },
	batch_size = { kind = "integer", default = 1, least = 1 },
	learning_rate = { kind = "real", default = 0.006, least = 0 },
	max_chunks = { kind = "integer", default = -1, least = -1 },
	restart = { kind = "switch", default = false },
})

local BLOW_UP = math.huge -- a learning rate that makes every weight nan in one step
local info = log.info()

---@class example.Choice
---@field candidates example.Row[] the root first, then the lines before, in reading order
---@field answer integer place of the true parent

local function announce(options)
	local existing = options.output_dir .. "/best_model.pt"
	local lines = {
		"Dataset:        " .. options.dataset:upper(),
		"  Features Dir:   " .. (options.features_dir or "-"),
		"  Output Dir:     " .. options.output_dir,
		"  Mode:           full",
		"  Level:          document",
		"  Max Lines:      512",
		"  Num Epochs:     " .. options.num_epochs,
		"  Batch Size:     " .. options.batch_size,
		"  Learning Rate:  " .. python.number(options.learning_rate),
		("  Max Chunks:     %d (-1 = all)"):format(options.max_chunks),
	}
	if options.restart then
		lines[#lines + 1] = "  Mode:           RESTART (overwrite existing model)"
	elseif files.exists(existing) then
		lines[#lines + 1] = "  Existing Model: " .. existing
		lines[#lines + 1] = "  Note:           Will overwrite if new model is better"
	else
		lines[#lines + 1] = "  Mode:           NEW (no existing model found)"
	end
	log.banner("Stage 3: ParentFinder Training", lines)
	log.command(options.argv)
end

--- One choice per line of a document.
---@return example.Choice[]
local function choices(document)
	local result = {}
	for child, line in ipairs(document.lines) do
		local candidates = {}
		for candidate = 0, child - 1 do
			candidates[candidate + 1] = relatives.row(document.lines, child, candidate)
		end
		result[child] = { candidates = candidates, answer = line.parent + 1 }
	end
	return result
end

local function load_split(options, split)
	local documents = features.load(options, split)
	info("从 %d 个文档创建数据集", #documents)
	local result = {}
	for i, document in ipairs(documents) do
		result[i] = choices(document)
	end
	return result
end

local function probabilities(weights, choice)
	local scores = {}
	for i, row in ipairs(choice.candidates) do
		scores[i] = softmax.dot(weights, row)
	end
	return softmax.normalize(scores)
end

local function descend(weights, choice, likely, rate)
	for i, row in ipairs(choice.candidates) do
		local delta = rate * (likely[i] - (i == choice.answer and 1.0 or 0.0))
		for j, index in ipairs(row.index) do
			weights[index] = weights[index] - delta * row.value[j]
		end
	end
end

--- Learn from the lines of one document, one after the other.
local function learn(weights, document, rate, tally)
	for _, choice in ipairs(document) do
		local likely = probabilities(weights, choice)
		tally.loss = tally.loss + softmax.cross_entropy(likely[choice.answer])
		tally.hits = tally.hits + (softmax.argmax(likely) == choice.answer and 1 or 0)
		tally.lines = tally.lines + 1
		descend(weights, choice, likely, rate)
	end
end

---@class example.Finder
---@field options table
---@field weights number[]
---@field train example.Choice[][]
---@field validation example.Choice[][]
---@field step integer batches so far, over all epochs

local function train_epoch(finder, epoch)
	local options, train = finder.options, finder.train
	local order = random.new(options.seed, "epoch " .. epoch):permutation(#train)
	local bar = progress.new((#train + options.batch_size - 1) // options.batch_size,
		{ label = "训练" })
	local tally = { loss = 0.0, hits = 0, lines = 0 }
	for first = 1, #train, options.batch_size do
		finder.step = finder.step + 1
		failure.check(options, finder.step)
		clock.sleep(options.sleep_ms)
		local is_diverging = options.diverge and finder.step > #train // 2
		local rate = options.learning_rate * (is_diverging and BLOW_UP or 1.0)
		for i = first, math.min(first + options.batch_size - 1, #train) do
			learn(finder.weights, train[order[i]], rate, tally)
		end
		bar:advance()
	end
	bar:close()
	return tally.loss / tally.lines, metrics.ratio(tally.hits, tally.lines)
end

local function evaluate(finder)
	local hits, lines = 0, 0
	local bar = progress.new(#finder.validation, { label = "验证" })
	for _, document in ipairs(finder.validation) do
		for _, choice in ipairs(document) do
			local found = softmax.argmax(probabilities(finder.weights, choice))
			hits, lines = hits + (found == choice.answer and 1 or 0), lines + 1
		end
		bar:advance()
	end
	bar:close()
	return metrics.ratio(hits, lines)
end

local function save(finder, epoch, accuracy)
	files.write(finder.options.output_dir .. "/best_model.pt", json.encode({
		epoch = epoch, model_state_dict = finder.weights, val_acc = accuracy,
	}))
	info("✓ 保存最佳模型 (Acc: %.4f)", accuracy)
end

local function new_finder(options)
	info("使用设备: cpu")
	info("未使用 Covmatch，将使用原始 train/validation 分割")
	local train, validation = load_split(options, "train"), load_split(options, "validation")
	info("训练集: %d 文档", #train)
	info("验证集: %d 文档", #validation)
	local weights = {}
	for i = 1, relatives.DIMENSIONS do
		weights[i] = 0.0
	end
	info("模型参数量: %s", python.thousands(#weights))
	return {
		options = options, weights = weights, train = train, validation = validation,
		step = 0,
	}
end

--- Run the stage.
---@param options table<string, any>
function M.run(options)
	announce(options)
	files.make_directory(options.output_dir)
	local finder, best = new_finder(options), 0.0
	info("\n开始训练...")
	for epoch = 1, options.num_epochs do
		info("\n===== Epoch %d/%d =====", epoch, options.num_epochs)
		local loss, accuracy = train_epoch(finder, epoch)
		info("训练 - Loss: %s, Acc: %.4f", python.fixed(loss, 4), accuracy)
		local validation = evaluate(finder)
		info("验证 - Acc: %.4f", validation)
		if validation > best then
			best = validation
			save(finder, epoch, best)
		end
	end
	info("\n训练完成！最佳验证准确率: %.4f", best)
	print("\nParentFinder training completed successfully!")
	print("Model saved to: " .. options.output_dir)
end

return M
