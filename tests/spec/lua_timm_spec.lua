local leavings = require("support.leavings")
local timm = require("th.timm")

local function epoch(number, acc, loss)
	return ('{"train_lr": 0.0005, "train_loss": 1.5, "test_loss": %s, "test_acc1": %s, '
		.. '"test_acc5": 50.5, "epoch": %d, "n_parameters": 38450}\n'):format(loss or 2.5, acc, number)
end

local function read(files)
	return leavings.told(timm, files)
end

local SUMMARY = "epoch,train_loss,eval_loss,eval_top1,eval_top5,lr\n0,1.5,2.0,70.5,90.5,0.1\n"
	.. "1,1.25,1.5,80.5,95.5,0.05\n2,1.0,1.25,75.5,95.0,0.01\n"
local ARGS = "model: resnet50\npretrained: true\nepochs: 3\ncooldown_epochs: 10\nsched: cosine\nlr: 0.1\n"
	.. "batch_size: 64\nopt: sgd\ndata_dir: /data/in1k\neval_metric: top1\nseed: 42\ndrop: 0.1\n"

describe("th.timm, log.txt", function()
	it("reads epochs from 0, percent, and the best that is not the last", function()
		local reading = assert(read({ ["log.txt"] = epoch(0, 10.5) .. epoch(1, 20.5) .. epoch(2, 15.5) }))
		assert.are.same({ final = 3 }, reading.epochs)
		assert.are.same({ train_loss = 1.5, test_loss = 2.5, test_acc1 = 15.5, test_acc5 = 50.5 },
			reading.final_metrics)
		assert.are.same({ train_lr = 0.0005 }, reading.train)
		assert.are.equal(20.5, reading.best.value)
		assert.are.equal(1, reading.best.epoch)
		assert.are.equal("percent", reading.best.unit)
		assert.is_nil(reading.units.test_loss)
	end)

	it("counts the last of appended runs", function()
		local reading, _, warnings = read({ ["log.txt"] = epoch(0, 90.5) .. epoch(1, 91.5)
			.. epoch(0, 10.5) })
		assert.are.equal(1, reading.epochs.final)
		assert.are.equal(10.5, reading.best.value)
		assert.matches("2 runs", warnings)
	end)

	it("goes on with a resumed run", function()
		local reading = read({ ["log.txt"] = epoch(0, 10.5) .. epoch(1, 91.5) .. epoch(1, 20.5)
			.. epoch(2, 15.5) })
		assert.are.equal(3, reading.epochs.final)
		assert.are.equal(20.5, reading.best.value)
	end)

	it("keeps what stands in a line of its own after the last epoch", function()
		local reading = read({ ["log.txt"] = epoch(0, 10.5) .. '{"Final top-1": 82.5}\n' })
		assert.are.equal(82.5, reading.final_metrics["Final top-1"])
		assert.are.equal(1, reading.epochs.final)
	end)

	it("takes COCO's AP of DETR's list, and keeps the list", function()
		local reading = read({ ["log.txt"] =
			'{"train_loss": 9.5, "test_coco_eval_bbox": [0.25, 0.5], "test_loss": 1.0, "epoch": 0}\n'
			.. '{"train_loss": 8.5, "test_coco_eval_bbox": [0.125, 0.25], "test_loss": 0.5, "epoch": 1}\n' })
		assert.are.equal("test_coco_eval_bbox", reading.best.metric)
		assert.are.equal(0.25, reading.best.value)
		assert.are.same({ 0.125, 0.25 }, reading.final_metrics.test_coco_eval_bbox)
	end)

	it("has no best of a pretraining", function()
		local reading = read({ ["log.txt"] = '{"train_lr": 0.1, "train_loss": 0.5, "epoch": 7}\n' })
		assert.is_nil(reading.best)
		assert.are.equal(8, reading.epochs.final)
	end)

	it("does not know a log.txt of something else", function()
		for _, text in ipairs({ "step 1 train 2.5\n", '{"epoch": 1}\n', '{"epoch": "x", "train_a": 1}\n' }) do
			assert.is_nil(leavings.score(timm, { ["log.txt"] = text }))
			assert.are.equal("not_a_training_record", select(2, read({ ["log.txt"] = text })).code)
		end
	end)

	it("survives broken files", function()
		local outcomes = leavings.damaged(timm, { ["log.txt"] = epoch(0, 10.5) }, "log.txt")
		assert.are.equal("lfs_pointer", outcomes.pointer.code)
		local reading, _, warnings = read({ ["log.txt"] = epoch(0, 10.5) .. '{"train_lr": 0.1, "tr' })
		assert.are.equal(1, reading.epochs.final)
		assert.matches("1 lines", warnings)
	end)
end)

describe("th.timm, summary.csv", function()
	it("reads the table and the arguments beside it", function()
		local reading = assert(read({ ["summary.csv"] = SUMMARY, ["args.yaml"] = ARGS,
			["model_best.pth.tar"] = "x", ["last.pth.tar"] = "x" }))
		assert.are.same({ final = 3, planned = 13 }, reading.epochs)
		assert.are.equal(75.5, reading.final_metrics.eval_top1)
		assert.are.same({ lr = 0.01 }, reading.train)
		assert.are.equal("eval_top1", reading.best.metric)
		assert.are.equal(80.5, reading.best.value)
		assert.are.equal("percent", reading.best.unit)
		assert.are.equal("model_best.pth.tar", reading.best.checkpoint_name)
		assert.are.same({ lr = 0.1, batch_size = 64, num_epochs = 3, optimizer = "sgd", seed = 42,
			scheduler = "cosine", dropout = 0.1 }, reading.hyperparams)
		assert.are.equal("resnet50", reading.base_model)
		assert.are.equal("/data/in1k", reading.dataset)
		assert.are.same({ best = "model_best.pth.tar", last = "last.pth.tar" }, reading.checkpoints)
	end)

	it("takes the metric that was asked for", function()
		local reading = read({ ["summary.csv"] = SUMMARY,
			["args.yaml"] = ARGS:gsub("eval_metric: top1", "eval_metric: loss") })
		assert.are.equal("eval_loss", reading.best.metric)
		assert.are.equal(1.25, reading.best.value)
	end)

	it("passes over the header that a resumed run wrote again", function()
		local reading, _, warnings = read({ ["summary.csv"] = SUMMARY .. SUMMARY:match("^[^\n]*\n")
			.. "3,0.5,1.0,85.5,96.5,0.001\n" })
		assert.are.equal(4, reading.epochs.final)
		assert.are.equal(85.5, reading.best.value)
		assert.are.equal("", warnings)
	end)

	it("does not know another summary.csv", function()
		assert.is_nil(leavings.score(timm, { ["summary.csv"] = "epoch,loss\n0,1\n" }))
		assert.are.equal(90, (leavings.score(timm, { ["summary.csv"] = SUMMARY, ["args.yaml"] = ARGS })))
	end)

	it("survives broken files", function()
		leavings.damaged(timm, { ["summary.csv"] = SUMMARY, ["args.yaml"] = ARGS }, "summary.csv")
		local args = leavings.damaged(timm, { ["summary.csv"] = SUMMARY, ["args.yaml"] = ARGS },
			"args.yaml")
		assert.are.equal("read", args.binary)
		assert.are.equal("no_data",
			select(2, read({ ["summary.csv"] = SUMMARY:match("^[^\n]*\n") })).code)
	end)
end)
