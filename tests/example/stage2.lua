--- Stage 2: run a model of stage 1 over all documents, and keep what it sees.

local checkpoint = require "checkpoint"
local clock = require "clock"
local data = require "data"
local failure = require "failure"
local features = require "features"
local files = require "files"
local flags = require "flags"
local log = require "log"
local progress = require "progress"
local python = require "python"
local softmax = require "softmax"

local M = {}

M.failed = "Feature extraction failed!"
M.flags = flags.with_common({
	model_path = { kind = "text", required = true },
	num_samples = { kind = "integer", default = -1, least = -1 },
	docs_per_chunk = { kind = "integer", default = 25, least = 1 },
	batch_size = { kind = "integer", default = 50, least = 1 },
})

local info = log.info()

local function announce(options)
	log.banner("Stage 2: Feature Extraction (Document Level)", {
		"Dataset:        " .. options.dataset:upper(),
		"  Model Path:     " .. options.model_path,
		"  Output Dir:     " .. options.output_dir,
		("  Num Samples:    %d (-1 = all)"):format(options.num_samples),
		"  Docs per Chunk: " .. options.docs_per_chunk,
		"  Batch Size:     " .. options.batch_size,
	})
	if not files.exists(options.model_path .. "/weights.json") then
		print("Error: Model path does not exist: " .. options.model_path)
		failure.raise("SystemExit", "1")
	end
	log.command(options.argv)
end

local function count_pages(documents)
	local pages = 0
	for _, document in ipairs(documents) do
		pages = pages + document.num_pages
	end
	return pages
end

--- The first documents with at most so many pages; -1 stands for all.
local function limit_pages(documents, limit)
	local kept, pages = {}, 0
	for _, document in ipairs(documents) do
		pages = pages + document.num_pages
		if limit >= 0 and pages > limit then
			break
		end
		kept[#kept + 1] = document
	end
	return kept
end

local function load_splits(options)
	info("加载数据集...")
	local splits = {
		train = limit_pages(data.documents(options.dataset, "train"), options.num_samples),
		validation = limit_pages(data.documents(options.dataset, "test"), options.num_samples),
	}
	info("数据集包含: %s", python.list(data.SPLITS))
	if options.num_samples >= 0 then
		info("限制样本数: %d", options.num_samples)
	else
		info("提取所有数据(不限制样本数)")
	end
	info("实际页面数 - train: %d, validation: %d", count_pages(splits.train),
		count_pages(splits.validation))
	return splits
end

local function announce_split(options, split, documents)
	local pages = count_pages(documents)
	info("开始提取 %s 集的文档级别特征", split)
	info("总页面数: %d", pages)
	info("批次大小: %d 页", options.batch_size)
	info("每 %d 个文档保存一个chunk", options.docs_per_chunk)
	info("步骤 1/3: 按文档分组所有页面...")
	local bar = progress.new(pages, { label = "收集页面" })
	bar:advance(pages)
	bar:close()
	info("✓ 共 %d 个文档", #documents)
	info("\n步骤 2/3: 逐文档提取特征...")
end

--- Writes full chunks while documents come in, and the rest at the end.
local function new_writer(options, split)
	local writer = { chunk = 0, pending = {} }
	function writer.flush(what)
		local path = features.path(options.output_dir, split, writer.chunk)
		features.write(path, writer.pending)
		info("%s %d: %d 个文档 -> %s", what, writer.chunk, #writer.pending, path)
		writer.chunk, writer.pending = writer.chunk + 1, {}
	end
	function writer.add(document)
		table.insert(writer.pending, document)
		if #writer.pending == options.docs_per_chunk then
			writer.flush("保存chunk")
		end
	end
	return writer
end

--- Extract one split; the number of chunks. Steps are documents, counted over both splits.
local function extract_split(options, split, documents, classify, first_step)
	announce_split(options, split, documents)
	local writer = new_writer(options, split)
	local bar = progress.new(#documents, { label = "处理文档" })
	for i, document in ipairs(documents) do
		failure.check(options, first_step + i)
		clock.sleep(options.sleep_ms)
		writer.add(features.extract(document, classify))
		bar:advance()
	end
	bar:close()
	if #writer.pending > 0 then
		writer.flush("保存最后的chunk")
	end
	info("\n✓ %s 集完成!", split)
	info("  总文档数: %d", #documents)
	info("  保存的chunk文件数: %d", writer.chunk)
	return writer.chunk
end

--- Run the stage.
---@param options table<string, any>
function M.run(options)
	announce(options)
	files.make_directory(options.output_dir)
	info("使用设备: cpu")
	info("数据集路径: %s", options.dataset)
	info("模型路径: %s", options.model_path)
	info("输出目录: %s", options.output_dir)
	local splits = load_splits(options)
	info("加载模型...")
	local model = checkpoint.need_model(options.model_path)
	local function classify(line)
		return softmax.argmax(softmax.probabilities(model, data.row(line)))
	end
	local train_chunks = extract_split(options, "train", splits.train, classify, 0)
	local chunks = extract_split(options, "validation", splits.validation, classify, #splits.train)
	info("✓ 全部完成!")
	info("  输出目录: %s", options.output_dir)
	info("  训练集: %d 个chunk文件", train_chunks)
	info("  验证集: %d 个chunk文件", chunks)
	print("\nFeature extraction completed successfully!")
	print("Features saved to: " .. options.output_dir)
end

return M
