local events = require("support.events")
local fake = require("support.fake_ctx")
local leavings = require("support.leavings")
local readings = require("support.readings")
local tensorboard = require("th.tensorboard")

local scalar, text = events.scalar, events.text

local function name(time, host)
	return ("events.out.tfevents.%d.%s.1.0"):format(time, host or "box")
end

local function read(files)
	return readings.read(tensorboard, leavings.new(files))
end

describe("th.tensorboard", function()
	after_each(leavings.clear)

	it("reads what the Trainer writes: texts, last values, outcome", function()
		local reading = read({ ["runs/a/" .. name(100)] =
			text("args/text_summary", '{"max_steps": 20, "learning_rate": 5e-05, "seed": 42}')
			.. text("model_config/text_summary", '{"_name_or_path": "org/base"}')
			.. scalar(10, "train/loss", 2.5) .. scalar(20, "train/loss", 1.5)
			.. scalar(20, "eval/f1", 0.5) .. scalar(20, "eval/runtime", 9)
			.. scalar(20, "train/train_runtime", 64) })
		assert.are.equal("completed", reading.outcome)
		assert.are.same({ final = 20, planned = 20 }, reading.steps)
		assert.are.same({ ["eval/f1"] = 0.5 }, reading.final_metrics)
		assert.are.equal(1.5, reading.train["train/loss"])
		assert.are.same({ max_steps = 20, lr = 5e-05, seed = 42 }, reading.hyperparams)
		assert.are.equal("org/base", reading.base_model)
		assert.matches("^inferred:", reading.sources.base_model)
		assert.matches("eval/f1 at step 20", reading.sources["final_metrics.eval/f1"])
		assert.are.equal("2025-11-14T10:24:28+00:00", reading.start_time)
	end)

	it("says that the Trainer was stopped early or ended early", function()
		local arguments = text("args/text_summary", '{"max_steps": 20}')
		assert.are.equal("interrupted",
			read({ [name(1)] = arguments .. scalar(10, "train/loss", 1) }).outcome)
		assert.are.equal("completed_early",
			read({ [name(1)] = arguments .. scalar(10, "train/train_runtime", 1) }).outcome)
	end)

	it("derives the best from the metric that the arguments name", function()
		local reading = read({ [name(1)] = text("args/text_summary",
			'{"metric_for_best_model": "eval_wer", "greater_is_better": false, "max_steps": -1}')
			.. scalar(1, "eval/loss", 0.1) .. scalar(1, "eval/wer", 0.9)
			.. scalar(2, "eval/loss", 0.5) .. scalar(2, "eval/wer", 0.25)
			.. scalar(3, "eval/loss", 0.7) .. scalar(3, "eval/wer", 0.25) })
		assert.are.same({ "eval/wer", 0.25, 2, "min", false }, { reading.best.metric,
			reading.best.value, reading.best.step, reading.best.mode, reading.best.declared })
		assert.are.same({ ["eval/loss"] = 0.5, ["eval/wer"] = 0.25 }, reading.best.values)
		assert.is_nil(reading.steps.planned)
	end)

	it("joins Keras's train and validation folders and counts epochs from 0", function()
		local function epochs(values)
			local out = ""
			for index, value in ipairs(values) do
				out = out .. events.event(index - 1, events.tensor("epoch_loss", 1,
					events.message(4, ("<f"):pack(value))))
			end
			return out
		end
		local reading = read({ ["train/" .. name(5)] = epochs({ 3, 2, 1 }),
			["validation/" .. name(6)] = epochs({ 4, 2.5, 2.75 }) })
		assert.are.same({ ["validation/epoch_loss"] = 2.75 }, reading.final_metrics)
		assert.are.same({ ["train/epoch_loss"] = 1.0 }, reading.train)
		assert.are.same({ final = 2, zero_based = true }, reading.epochs)
		assert.is_nil(reading.steps)
		assert.are.equal(1, reading.best.step)
		assert.is_nil(reading.outcome)
	end)

	it("reads Lightning's tags, and add_scalars' folders beside them", function()
		local reading = read({ ["version_0/" .. name(5)] = scalar(9, "train_loss", 1)
			.. scalar(9, "epoch", 4) .. scalar(9, "val_acc", 0.75) .. scalar(9, "lr-Adam", 0.5),
			["version_0/Loss_test/" .. name(5)] = scalar(9, "Loss", 2) })
		assert.are.same({ val_acc = 0.75, ["Loss_test/Loss"] = 2.0 }, reading.final_metrics)
		assert.are.same({ train_loss = 1.0, epoch = 4.0, ["lr-Adam"] = 0.5 }, reading.train)
		assert.are.same({ final = 4, zero_based = true }, reading.epochs)
		assert.is_nil(reading.run)
	end)

	it("reads hyperparameters that a script wrote as a table", function()
		local reading = read({ [name(1)] = text("hyperparameters/text_summary",
			"|param|value|\n|-|-|\n|learning_rate|0.0003|\n|seed|1|\n|env_id|Cart|")
			.. scalar(1, "charts/episodic_return", 5) })
		assert.are.same({ lr = 0.0003, seed = 1 }, reading.hyperparams)
		assert.are.equal("Cart", reading.raw_hyperparams.env_id)
		assert.are.same({ ["charts/episodic_return"] = 5.0 }, reading.final_metrics)
	end)

	it("goes on with a file that continues, and starts anew with one that does not", function()
		local first = scalar(10, "train/loss", 3) .. scalar(20, "eval/loss", 2)
		local continued = read({ [name(1)] = first, [name(2)] = scalar(30, "train/loss", 1) })
		assert.are.equal(30, continued.steps.final)
		assert.are.equal(2.0, continued.final_metrics["eval/loss"])
		local anew = read({ [name(1)] = first, [name(2)] = scalar(10, "train/loss", 9) })
		assert.are.equal(10, anew.steps.final)
		assert.are.same({}, anew.final_metrics)
	end)

	it("counts a run that was stopped before its first scalar", function()
		local arguments = text("args/text_summary", '{"max_steps": 50}')
		local reading = read({ [name(1)] = arguments .. scalar(50, "train/loss", 1), [name(2)] = arguments })
		assert.are.same({ planned = 50 }, reading.steps)
		assert.are.equal("interrupted", reading.outcome)
	end)

	it("takes the newest of several runs and names them all", function()
		local dir = leavings.new({ ["runs/Nov13/" .. name(300)] = scalar(3, "train/loss", 3),
			["runs/Dec01/" .. name(400)] = scalar(4, "train/loss", 4),
			["runs/Oct01/" .. name(100)] = scalar(1, "train/loss", 1) })
		assert.are.same({ "runs/Dec01", "runs/Nov13", "runs/Oct01" },
			tensorboard.recognise(readings.folder(dir)).runs)
		local reading = readings.read(tensorboard, dir)
		assert.are.equal("runs/Dec01", reading.run)
		assert.are.equal(4, reading.steps.final)
	end)

	it("keeps what lies before a fault and says so", function()
		local reading, _, warnings = read({ [name(1)] = scalar(7, "val_loss", 1) .. ("x"):rep(40) })
		assert.are.equal(7, reading.steps.final)
		assert.matches("events.out.tfevents.1.box.1.0: wrong checksum", warnings[1])
	end)

	it("reads beginning and end of a file that is too large, and says so", function()
		local parts = { text("args/text_summary", '{"max_steps": 400000}') }
		local padding = events.event(1, events.message(1, "image") .. events.message(4, ("i"):rep(60000)))
		for _ = 1, 20 do
			parts[#parts + 1] = padding
		end
		parts[#parts + 1] = scalar(200000, "eval/loss", 0.125)
		for _ = 1, 160 do
			parts[#parts + 1] = padding
		end
		parts[#parts + 1] = scalar(300000, "eval/loss", 0.5)
		local reading, _, warnings = read({ [name(1)] = table.concat(parts) })
		assert.are.same({ final = 300000, planned = 400000 }, reading.steps)
		assert.are.equal(0.5, reading.final_metrics["eval/loss"])
		assert.matches("only its beginning and its end were read", warnings[1])
	end)

	for what, files in pairs({
		["nothing"] = {},
		["a file of another program"] = { [name(1)] = "hello" },
		["an empty file"] = { [name(1)] = "" },
		["a git-LFS pointer"] = { [name(1)] = "version https://git-lfs.github.com/spec/v1\noid x\n" },
	}) do
		it("does not answer for " .. what, function()
			local dir = leavings.new(files)
			assert.is_nil(tensorboard.recognise(readings.folder(dir)))
			local reading, err = readings.read(tensorboard, dir)
			assert.is_nil(reading)
			assert.is_truthy(err.code and err.message)
			if next(files) then
				assert.matches("tfevents", err.message)
			end
		end)
	end

	it("scores below what a framework's own files score", function()
		local known = tensorboard.recognise(readings.folder(leavings.new({
			[name(1)] = scalar(1, "a", 1) })))
		assert.is_true(known.score >= 40 and known.score < 80)
		assert.is_nil(known.runs)
	end)

	it("never raises, whatever byte is broken", function()
		local whole = text("args/text_summary", '{"max_steps": "x"}') .. scalar(1, "eval/loss", 1)
		for at = 1, #whole, 3 do
			local broken = whole:sub(1, at - 1) .. "\255" .. whole:sub(at + 1)
			assert.has_no.errors(function() read({ [name(1)] = broken }) end)
			leavings.clear()
		end
	end)

	local corpus = fake.corpus()
	it("gives the Trainer's arguments to a reader with better numbers", function()
		if not corpus then
			return pending("no corpus here (set THHOST_CORPUS)")
		end
		local folder = readings.folder(corpus .. "/home/stage1_tfevents_Nov14_18-23-57_mi")
		local arguments, base, from = tensorboard.arguments(folder)
		assert.are.equal(50, arguments.max_steps)
		assert.matches("layoutlmv2", base)
		assert.matches("tfevents", from)
	end)
end)
