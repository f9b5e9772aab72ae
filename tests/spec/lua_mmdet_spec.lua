local leavings = require("support.leavings")
local mmdet = require("th.mmdet")

local CONFIG = "dataset_type = 'CocoDataset'\\ndata_root = 'data/coco/'\\ndata = dict(\\n"
	.. "    samples_per_gpu=2,\\n    train=dict(type='CocoDataset'))\\noptimizer = dict(type='SGD', lr=0.02, "
	.. "weight_decay=0.0001)\\nlr_config = dict(\\n    policy='step', warmup_iters=500)\\n"
	.. "total_epochs = 12\\nload_from = 'coco.pth'\\n"
local HEAD = '{"env_info": "linux", "config": "' .. CONFIG .. '", "seed": 3, "exp_name": "x.py"}\n'

local function train(epoch, iter)
	return ('{"mode": "train", "epoch": %d, "iter": %d, "lr": 0.02, "loss_cls": 0.5, "loss": 1.5}\n')
		:format(epoch, iter)
end

local function val(epoch, iter, values)
	return ('{"mode": "val", "epoch": %d, "iter": %d, "lr": 0.02, %s}\n'):format(epoch, iter, values)
end

local function map(epoch, value)
	return val(epoch, 90, ('"bbox_mAP": %s, "bbox_mAP_s": -1.0, "bbox_mAP_copypaste": "a b"'):format(
		value))
end

local FIRST, SECOND = "20200101_000000.log.json", "20200102_000000.log.json"

local function read(files)
	return leavings.told(mmdet, files)
end

describe("th.mmdet", function()
	it("reads epochs from 1, and every value of an evaluation as it stands", function()
		local reading = assert(read({ [FIRST] = HEAD .. train(1, 50) .. map(1, 0.25) .. train(2, 50)
			.. map(2, 0.125) .. train(3, 50) }))
		assert.are.same({ final = 3 }, reading.epochs)
		assert.is_nil(reading.steps)
		assert.are.same({ bbox_mAP = 0.125, bbox_mAP_s = -1.0, bbox_mAP_copypaste = "a b" },
			reading.final_metrics)
		assert.are.equal("bbox_mAP", reading.best.metric)
		assert.are.equal(1, reading.best.epoch)
		assert.are.same({ lr = 0.02, loss_cls = 0.5, loss = 1.5 }, reading.train)
	end)

	it("takes literals of the configuration, and never runs it", function()
		local reading = read({ [FIRST] = HEAD .. train(1, 50) })
		assert.are.same({ optimizer = "SGD", lr = 0.02, weight_decay = 0.0001, scheduler = "step",
			warmup_steps = 500, batch_size = 2, num_epochs = 12, seed = 3 }, reading.hyperparams)
		assert.are.equal("coco.pth", reading.base_model)
		assert.are.equal("data/coco/", reading.dataset)
		assert.are.equal(12, reading.raw_hyperparams.total_epochs)
	end)

	it("takes the plan from a configuration file, and only what is a literal there", function()
		local reading = read({ [FIRST] = HEAD .. train(1, 50), ["x.py"] = "_base_ = ['a.py']\n"
			.. "lr = 0.1 * 8\noptim_wrapper = dict(\n    optimizer=dict(lr=0.01, type='AdamW'),\n"
			.. "    type='OptimWrapper')\ntrain_cfg = dict(max_epochs=36, val_interval=1)\n"
			.. "train_dataloader = dict(batch_size=4, num_workers=2)\n" })
		assert.are.same({ final = 1, planned = 36 }, reading.epochs)
		assert.are.same({ optimizer = "AdamW", lr = 0.01, num_epochs = 36, batch_size = 4, seed = 3 },
			reading.hyperparams)
	end)

	it("reads the first run of several, and names what it read", function()
		local reading, _, warnings = read({ [FIRST] = HEAD .. train(1, 50) .. map(1, 0.25),
			[SECOND] = HEAD .. train(1, 50) .. map(1, 0.75) })
		assert.are.equal(0.25, reading.best.value)
		assert.matches("2 logs", warnings)
		assert.matches(FIRST, warnings, 1, true)
	end)

	it("joins the log of a resumed run to the one before it", function()
		local reading, _, warnings = read({ [FIRST] = HEAD .. train(1, 50) .. map(1, 0.25)
			.. train(2, 50), [SECOND] = HEAD .. train(2, 50) .. map(2, 0.5) .. train(3, 50) })
		assert.are.equal(3, reading.epochs.final)
		assert.are.equal(0.5, reading.best.value)
		assert.are.equal("", warnings)
	end)

	it("passes over a log that has only a head", function()
		local reading = read({ [FIRST] = HEAD, [SECOND] = HEAD .. train(1, 50) .. map(1, 0.75) })
		assert.are.equal(0.75, reading.best.value)
	end)

	it("counts iterations where the training does", function()
		local reading = read({ [FIRST] = HEAD .. train(1, 50) .. train(1, 100)
			.. val(1, 10, '"aAcc": 0.9, "mIoU": 0.5') .. train(2, 150) .. train(2, 200)
			.. val(2, 10, '"aAcc": 0.9, "mIoU": 0.625') })
		assert.are.equal(200, reading.steps.final)
		assert.is_nil(reading.epochs)
		assert.are.equal("mIoU", reading.best.metric)
		assert.are.equal(200, reading.best.step)
	end)

	it("takes metrics of other tasks in the order of the line, losses last", function()
		local reading = read({ [FIRST] = train(1, 50)
			.. val(1, 9, '"loss_cls": 0.1, "kitti/Car_3D": 70.5, "x": 99.0') })
		assert.are.equal("kitti/Car_3D", reading.best.metric)
		local only = read({ [FIRST] = train(1, 50) .. val(1, 9, '"loss_cls": 0.1, "loss": 0.5') })
		assert.are.equal("loss", only.best.metric)
		assert.are.equal("min", only.best.mode)
	end)

	it("believes the name of the best checkpoint", function()
		local reading = read({ [FIRST] = train(1, 50) .. val(1, 9, '"mAP": 0.5, "recall": 0.25')
			.. train(2, 50) .. val(2, 9, '"mAP": 0.25, "recall": 0.5'),
			["best_recall_epoch_2.pth"] = "x", ["latest.pth"] = "x" })
		assert.are.equal("recall", reading.best.metric)
		assert.is_true(reading.best.declared)
		assert.are.equal("best_recall_epoch_2.pth", reading.best.checkpoint_name)
		assert.are.same({ best = "best_recall_epoch_2.pth", last = "latest.pth" }, reading.checkpoints)
	end)

	describe("of version 3", function()
		local function train_3(epoch, iter)
			return ('{"lr": 0.02, "data_time": 0.1, "loss": 1.5, "time": 0.2, %s"iter": %d, '
				.. '"memory": 9, "step": %d}\n'):format(epoch and ('"epoch": %d, '):format(epoch) or "",
				iter, iter)
		end

		local function val_3(step, value)
			return ('{"coco/bbox_mAP": %s, "data_time": 0.1, "time": 0.2, "step": %d}\n'):format(value,
				step)
		end

		it("reads scalars.json, whose iterations go on through the epochs", function()
			local reading = read({ ["20230101_000000/vis_data/scalars.json"] = train_3(1, 50)
				.. val_3(1, 0.5) .. train_3(2, 150) .. val_3(2, 0.25),
				["best_coco_bbox_mAP_epoch_1.pth"] = "x" })
			assert.are.equal(2, reading.epochs.final)
			assert.are.equal(150, reading.steps.final)
			assert.are.same({ ["coco/bbox_mAP"] = 0.25 }, reading.final_metrics)
			assert.are.equal(1, reading.best.epoch)
			assert.is_true(reading.best.declared)
		end)

		it("joins a resumed run, which has a directory of its own", function()
			local reading = read({ ["20230101_000000/vis_data/scalars.json"] = train_3(1, 50)
				.. val_3(1, 0.5), ["20230102_000000/vis_data/scalars.json"] = train_3(2, 150)
				.. val_3(2, 0.75) })
			assert.are.equal(2, reading.epochs.final)
			assert.are.equal(0.75, reading.best.value)
		end)

		it("reads a training by iterations, which has no epoch", function()
			local reading = read({ ["vis_data/scalars.json"] = train_3(nil, 50) .. train_3(nil, 100)
				.. val_3(100, 0.5), ["vis_data/config.py"] = "train_cfg = dict(max_iters=400)\n" })
			assert.are.same({ final = 100, planned = 400 }, reading.steps)
			assert.are.equal(100, reading.best.step)
		end)
	end)

	it("does not know other JSON lines", function()
		for _, text in ipairs({ '{"level": "info", "msg": "x"}\n', '{"mode": "dark"}\n', "{}", "x" }) do
			assert.is_nil(leavings.score(mmdet, { [FIRST] = text }))
			assert.are.equal("not_a_training_record", select(2, read({ [FIRST] = text })).code)
		end
	end)

	it("survives broken files", function()
		local files = { [FIRST] = HEAD .. train(1, 50) .. map(1, 0.25) }
		leavings.damaged(mmdet, files, FIRST)
		files["x.py"] = "optimizer = dict(type=\n"
		assert.are.equal("read", leavings.damaged(mmdet, files, "x.py").binary)
		local reading, _, warnings = read({ [FIRST] = HEAD .. train(1, 50) .. map(1, 0.25)
			.. '{"mode": "train", "epoch": 2, "it' })
		assert.are.equal(1, reading.epochs.final)
		assert.matches("1 lines", warnings)
	end)
end)
