local detectron2 = require("th.detectron2")
local leavings = require("support.leavings")

local function train(iteration, loss)
	return ('{"data_time": 0.1, "eta_seconds": 9.5, "fast_rcnn/cls_accuracy": 0.5, "iteration": %d, '
		.. '"loss_cls": 0.25, "lr": 0.001, "total_loss": %s}\n'):format(iteration, loss)
end

local function eval(iteration, ap, more)
	return ('{"bbox/AP": %s, "bbox/AP-cat": NaN%s, "iteration": %d}\n'):format(ap, more or "",
		iteration)
end

local function read(files)
	return leavings.told(detectron2, files)
end

local function read_lines(...)
	return read({ ["metrics.json"] = table.concat({ ... }) })
end

describe("th.detectron2", function()
	it("counts iterations from 0, and keeps NaN of absent classes", function()
		local reading = read_lines(train(19, 1.5), eval(19, 20.5), train(39, 1.25), eval(39, 19.5))
		assert.are.same({ final = 40 }, reading.steps)
		assert.are.equal(1.25, reading.final_metrics.total_loss)
		assert.are.equal(19.5, reading.final_metrics["bbox/AP"])
		assert.is_true(reading.final_metrics["bbox/AP-cat"] ~= reading.final_metrics["bbox/AP-cat"])
		assert.is_nil(reading.final_metrics["fast_rcnn/cls_accuracy"])
		assert.are.same({ metric = "bbox/AP", value = 20.5, step = 19, mode = "max", declared = false },
			reading.best)
		assert.are.equal("percent", reading.units["bbox/AP"])
		assert.are.same({ total_loss = 1.25, loss_cls = 0.25, lr = 0.001 }, reading.train)
	end)

	it("does not take the evaluation after the end for an iteration more", function()
		local reading = read_lines(train(19, 1.5), train(39, 1.25), eval(40, 30.0))
		assert.are.equal(40, reading.steps.final)
		assert.are.equal(40, reading.best.step)
	end)

	it("takes an evaluation out of order", function()
		local reading = read_lines(train(19, 1.5), eval(40, 30.0), train(39, 1.25), train(59, 1.0))
		assert.are.equal(30.0, reading.best.value)
		assert.are.equal(60, reading.steps.final)
	end)

	it("counts the last of appended runs", function()
		local reading, _, warnings = read_lines(train(19, 1), eval(19, 50.0), train(39, 1),
			train(19, 3.0), eval(19, 5.0))
		assert.are.equal(20, reading.steps.final)
		assert.are.equal(5.0, reading.best.value)
		assert.matches("2 runs", warnings)
	end)

	it("goes on where a run was resumed: what is done again counts once", function()
		local reading, _, warnings = read_lines(train(19, 1), train(999, 1), eval(1999, 50.0),
			train(1999, 1), train(1019, 3.0), eval(1999, 45.0), train(1999, 2.0))
		assert.are.equal(2000, reading.steps.final)
		assert.are.equal(45.0, reading.best.value)
		assert.matches("resumed", warnings)
	end)

	it("prefers boxes to masks, and knows segmentation and a data set's name", function()
		assert.are.equal("bbox/AP", read_lines(train(19, 1),
			eval(19, 20.0, ', "segm/AP": 30.0')).best.metric)
		local panoptic = read_lines(train(19, 1),
			'{"panoptic_seg/PQ": 40.5, "sem_seg/mIoU": 50.5, "iteration": 19}\n')
		assert.are.equal("panoptic_seg/PQ", panoptic.best.metric)
		assert.are.equal(50.5, panoptic.final_metrics["sem_seg/mIoU"])
		assert.are.equal("coco_val/keypoints/AP", read_lines(train(19, 1),
			'{"coco_val/keypoints/AP": 40.5, "iteration": 19}\n').best.metric)
	end)

	it("takes the least validation loss where nothing else was evaluated", function()
		local reading = read_lines(train(19, 1), '{"validation_loss": 0.5, "iteration": 19}\n',
			train(39, 1), '{"validation_loss": 0.75, "iteration": 39}\n')
		assert.are.equal("validation_loss", reading.best.metric)
		assert.are.equal(0.5, reading.best.value)
	end)

	it("reads settings of a yacs configuration", function()
		local reading = read({ ["out/metrics.json"] = train(19, 1), ["out/config.yaml"] =
			"DATASETS:\n  TRAIN:\n  - a\n  - b\nMODEL:\n  WEIGHTS: x/R-50.pkl\nSEED: -1\nSOLVER:\n"
			.. "  BASE_LR: 0.02\n  IMS_PER_BATCH: 16\n  MAX_ITER: 90000\n  WARMUP_ITERS: 1000\n"
			.. "  LR_SCHEDULER_NAME: WarmupMultiStepLR\n  WEIGHT_DECAY: 0.0001\n" })
		assert.are.same({ lr = 0.02, batch_size = 16, max_steps = 90000, warmup_steps = 1000,
			scheduler = "WarmupMultiStepLR", weight_decay = 0.0001 }, reading.hyperparams)
		assert.are.same({ final = 20, planned = 90000 }, reading.steps)
		assert.are.equal("x/R-50.pkl", reading.base_model)
		assert.are.equal("a, b", reading.dataset)
		assert.are.equal("out", reading.run)
	end)

	it("reads settings of a lazy configuration", function()
		local reading = read({ ["metrics.json"] = train(19, 1), ["config.yaml"] =
			"dataloader:\n  train:\n    total_batch_size: 64\noptimizer:\n  _target_: torch.optim.AdamW\n"
			.. "  lr: 0.0001\ntrain:\n  init_checkpoint: y.pkl\n  max_iter: 500\n" })
		assert.are.same({ lr = 0.0001, batch_size = 64, max_steps = 500, optimizer = "AdamW" },
			reading.hyperparams)
		assert.are.equal("y.pkl", reading.base_model)
	end)

	it("knows the end by model_final.pth, unless another was saved after it", function()
		local files = { ["metrics.json"] = train(19, 1), ["model_final.pth"] = "x",
			["last_checkpoint"] = "model_final.pth" }
		assert.are.equal("completed", read(files).outcome)
		files["last_checkpoint"] = "model_0000999.pth"
		local reading = read(files)
		assert.is_nil(reading.outcome)
		assert.are.equal("model_0000999.pth", reading.checkpoints.last)
	end)

	it("leaves out lines that a killed run cut", function()
		local reading, _, warnings = read_lines(train(19, 1.5), '{"data_time": 0.1, "iterat')
		assert.are.equal(20, reading.steps.final)
		assert.matches("1 lines", warnings)
	end)

	it("does not know other programs' metrics.json", function()
		for _, text in ipairs({ '{"accuracy": 0.5}\n', '{"iteration": 5}\n', "[1]", "x" }) do
			assert.is_nil(leavings.score(detectron2, { ["metrics.json"] = text }))
			local reading, err = read({ ["metrics.json"] = text })
			assert.is_nil(reading)
			assert.are.equal("not_a_training_record", err.code)
		end
	end)

	it("survives broken files", function()
		local outcomes = leavings.damaged(detectron2, { ["metrics.json"] = train(19, 1) },
			"metrics.json")
		assert.are.equal("lfs_pointer", outcomes.pointer.code)
		assert.are.equal("bad_text", outcomes.binary.code)
		local config = leavings.damaged(detectron2, { ["metrics.json"] = train(19, 1),
			["config.yaml"] = "SOLVER: [1]\nDATASETS: 3\nSEED: x\n" }, "config.yaml")
		assert.are.equal("read", config.binary)
	end)
end)
