local leavings = require("support.leavings")
local lightning = require("th.lightning")

local CSV = "epoch,step,train_loss,val_loss\n0,9,1.5,\n0,9,,1.25\n1,19,1.0,\n1,19,,1.5\n"

local function read(files)
	return leavings.told(lightning, files)
end

describe("th.lightning", function()
	it("joins the sparse rows, counting from 0", function()
		local reading = assert(read({ ["metrics.csv"] = CSV, ["hparams.yaml"] = "{}\n" }))
		assert.are.same({ train_loss = 1.0, val_loss = 1.5 }, reading.final_metrics)
		assert.are.same({ final = 19, zero_based = true }, reading.steps)
		assert.are.same({ final = 1, zero_based = true }, reading.epochs)
		assert.are.same({ metric = "val_loss", value = 1.25, mode = "min", epoch = 0, step = 9,
			declared = false }, reading.best)
		assert.is_nil(reading.outcome)
		assert.are.equal("metrics.csv: val_loss", reading.sources["final_metrics.val_loss"])
	end)

	it("keeps the rates of LearningRateMonitor apart, whose rows have no epoch", function()
		local reading = read({ ["metrics.csv"] = "epoch,lr-AdamW,step,val/acc\n"
			.. "0,,3,0.5\n,0.001,4,\n1,,7,0.75\n,0.0005,7,\n" })
		assert.are.same({ ["lr-AdamW"] = 0.0005 }, reading.train)
		assert.are.same({ ["val/acc"] = 0.75 }, reading.final_metrics)
		assert.are.equal("max", reading.best.mode)
	end)

	it("does not take the count of validation batches for steps", function()
		local reading = read({ ["metrics.csv"] = "val_loss_step,step,val_loss_epoch,epoch\n"
			.. "1.0,0,,\n3.0,1,,\n,9,2.0,0\n0.5,2,,\n,19,1.5,1\n0.1,3,,\n" })
		assert.are.equal(19, reading.steps.final)
		assert.are.equal("val_loss_epoch", reading.best.metric)
		assert.are.equal(1.5, reading.best.value)
	end)

	it("does not take a test of epoch 0 for a new run", function()
		local reading, _, warnings = read({ ["metrics.csv"] = "epoch,step,val_acc,test_acc\n"
			.. "0,9,0.5,\n1,19,0.75,\n0,0,,0.625\n" })
		assert.are.same({ val_acc = 0.75, test_acc = 0.625 }, reading.final_metrics)
		assert.are.equal(1, reading.epochs.final)
		assert.are.equal(19, reading.steps.final)
		assert.are.equal("", warnings)
	end)

	it("counts the last of several fits of one logger, and says so", function()
		local reading, _, warnings = read({ ["metrics.csv"] = "epoch,step,val_acc\n"
			.. "0,9,0.9\n1,19,0.95\n0,9,0.5\n1,19,0.6\n" })
		assert.are.equal(0.6, reading.best.value)
		assert.matches("2 fits", warnings)
	end)

	it("keeps NaN, and has no best of it", function()
		local reading = read({ ["metrics.csv"] = "epoch,step,val_loss\n0,1,nan\n1,3,nan\n" })
		assert.is_true(reading.final_metrics.val_loss ~= reading.final_metrics.val_loss)
		assert.is_nil(reading.best)
	end)

	it("names hyperparameters, and leaves Python objects out with a word", function()
		local reading, _, warnings = read({ ["metrics.csv"] = CSV, ["hparams.yaml"] =
			"learning_rate: 0.001\nbatch_size: 32\npath: !!python/object/apply:pathlib.PosixPath\n- /\n- x\n"
			.. "opt:\n  weight_decay: 0.1\nmodel_name_or_path: gpt2\n" })
		assert.are.same({ lr = 0.001, batch_size = 32, weight_decay = 0.1 }, reading.hyperparams)
		assert.is_nil(reading.raw_hyperparams.path)
		assert.matches("left out: path", warnings)
		assert.are.equal("gpt2", reading.base_model)
	end)

	it("takes the plan from the configuration of LightningCLI", function()
		local reading = read({ ["metrics.csv"] = CSV, ["hparams.yaml"] = "{}\n",
			["config.yaml"] = "seed_everything: 3\ntrainer:\n  max_epochs: 10\n  max_steps: -1\n" })
		assert.are.equal(10, reading.epochs.planned)
		assert.is_nil(reading.steps.planned)
	end)

	it("reads the first of several versions, and names the others", function()
		local files = { ["lightning_logs/version_2/metrics.csv"] = CSV,
			["lightning_logs/version_10/metrics.csv"] = CSV:gsub("1.25", "0.5") }
		local reading, _, warnings = read(files)
		assert.are.equal("lightning_logs/version_2", reading.run)
		assert.matches("2 runs", warnings)
		local score, known = leavings.score(lightning, files)
		assert.are.equal(90, score)
		assert.are.same({ "lightning_logs/version_2", "lightning_logs/version_10" }, known.runs)
	end)

	it("finds checkpoints, and the best by the value in its name", function()
		local reading = read({ ["version_0/metrics.csv"] = CSV,
			["version_0/checkpoints/epoch=0-val_loss=1.25.ckpt"] = "x",
			["version_0/checkpoints/epoch=1-val_loss=1.50.ckpt"] = "x",
			["version_0/checkpoints/last.ckpt"] = "x" })
		assert.are.same({ best = "version_0/checkpoints/epoch=0-val_loss=1.25.ckpt",
			last = "version_0/checkpoints/last.ckpt" }, reading.checkpoints)
		assert.are.equal("epoch=0-val_loss=1.25.ckpt", reading.best.checkpoint_name)
	end)

	it("infers epoch and step from a checkpoint where there is no table", function()
		local reading = read({ ["hparams.yaml"] = "lr: 0.1\n",
			["checkpoints/epoch=9-step=250.ckpt"] = "x", ["checkpoints/epoch=4-step=125.ckpt"] = "x" })
		assert.are.equal(9, reading.epochs.final)
		assert.are.equal(250, reading.steps.final)
		assert.matches("^inferred:", reading.sources.steps)
	end)

	it("does not know another program's metrics.csv", function()
		assert.is_nil(leavings.score(lightning, { ["metrics.csv"] = "name,value\nacc,0.5\n" }))
		local reading, err = read({ ["metrics.csv"] = "name,value\nacc,0.5\n" })
		assert.is_nil(reading)
		assert.are.equal("not_a_training_record", err.code)
	end)

	it("survives broken files", function()
		local outcomes = leavings.damaged(lightning, { ["metrics.csv"] = CSV }, "metrics.csv")
		assert.are.equal("not_a_training_record", outcomes.empty.code)
		local hparams = leavings.damaged(lightning, { ["metrics.csv"] = CSV,
			["hparams.yaml"] = "lr: 0.1\nopt: {a: [1, 2]}\n" }, "hparams.yaml")
		assert.are.equal("read", hparams.cut)
		assert.are.equal("read", hparams.binary)
	end)
end)
