local fairseq = require("th.fairseq")
local leavings = require("support.leavings")

local function read(text)
	return leavings.read(fairseq, { ["train.log"] = text })
end

local OLD = "Namespace(arch='transformer', data=['data-bin/x'], lr=[0.25], max_epoch=2, max_update=0)\n"
	.. "| epoch 001:    100 / 1000 loss=9.5, ppl=560, num_updates=100, lr=0.25\n"
	.. "| epoch 001 | loss 8.200 | ppl 270.30 | wps 15728 | num_updates 1000 | lr 0.25 | clip 0% | wall 32\n"
	.. "| epoch 001 | valid on 'valid' subset | valid_loss 1.4 | valid_ppl 2.6 | num_updates 1000\n"
	.. "| epoch 002 | loss 1.200 | ppl 2.30 | wps 15728 | num_updates 2000 | lr 0.1 | clip 0% | wall 64\n"
	.. "| epoch 002 | valid on 'valid' subset | valid_loss 1.5 | valid_ppl 2.8 | num_updates 2000 "
	.. "| best 1.4\n"

local function new(epoch, bleu, best)
	return ("2021-05-06 02:2%d:46 | INFO | valid | epoch %03d | valid on 'valid' subset | loss 4.0 | "
		.. "bleu %s | wps 4416.4 | num_updates %d | best_bleu %s\n"):format(epoch, epoch, bleu, epoch * 10, best)
end

describe("th.fairseq", function()
	it("reads the lines of old versions", function()
		local reading = assert(read(OLD .. "| done training in 31.6 seconds\n"))
		assert.are.equal("completed", reading.outcome)
		assert.are.same({ final = 2, planned = 2 }, reading.epochs)
		assert.are.same({ final = 2000 }, reading.steps)
		assert.are.same({ loss = 1.5, ppl = 2.8 }, reading.final_metrics)
		assert.are.same({ "loss", 1.4, 1, 1000, true }, { reading.best.metric, reading.best.value,
			reading.best.epoch, reading.best.step, reading.best.declared })
		assert.are.same({ lr = 0.25, num_epochs = 2 }, reading.hyperparams)
	end)

	it("reads those of new versions, and the better direction from the settings", function()
		local reading = assert(read("2021-05-06 00:55:43 | INFO | fairseq_cli.train | {'_name': None, "
			.. "'optimization': {'max_epoch': 3, 'max_update': 50, 'lr': [0.5]}, 'checkpoint': "
			.. "{'best_checkpoint_metric': 'bleu', 'maximize_best_checkpoint_metric': True}}\n"
			.. new(1, "30.5", "30.5") .. new(2, "32.63", "32.63") .. new(3, "31.0", "32.63")))
		assert.are.same({ loss = 4.0, bleu = 31.0 }, reading.final_metrics)
		assert.are.same({ "bleu", 32.63, 2, 20, "max" }, { reading.best.metric, reading.best.value,
			reading.best.epoch, reading.best.step, reading.best.mode })
		assert.are.same({ final = 30, planned = 50 }, reading.steps)
		assert.are.equal("interrupted", reading.outcome)
		assert.are.same({ "2021-05-06T00:55:43", "2021-05-06T02:23:46" },
			{ reading.start_time, reading.end_time })
	end)

	it("reads JSON lines, whose numbers are texts", function()
		local reading = assert(read('2022-10-18 04:39:17 | INFO | train_inner | {"epoch": 1, "loss": "21.2", '
			.. '"num_updates": "10"}\n2022-10-18 04:41:48 | INFO | valid | {"epoch": 1, "valid_loss": '
			.. '"8.75", "valid_ppl": "274.5", "valid_wps": "2", "valid_num_updates": "414", '
			.. '"valid_best_loss": "8.75"}\n'))
		assert.are.same({ loss = 8.75, ppl = 274.5 }, reading.final_metrics)
		assert.are.equal(414, reading.steps.final)
		assert.are.same({ 8.75, 414 }, { reading.best.value, reading.best.step })
	end)

	it("reads the last of appended trainings, and tells a crash", function()
		local reading = assert(read(new(1, "1", "1") .. new(2, "9", "9") .. new(1, "2", "2")
			.. "Traceback (most recent call last):\nRuntimeError: CUDA error\n"))
		assert.are.same({ "failed", "RuntimeError: CUDA error" }, { reading.outcome, reading.error })
		assert.are.same({ 1, 2.0 }, { reading.epochs.final, reading.best.value })
	end)

	it("knows an early stop and where a resumed run began", function()
		local reading = assert(read("2021-01-01 00:00:00 | INFO | fairseq.trainer | Loaded checkpoint "
			.. "c/checkpoint_last.pt (epoch 2 @ 10 updates)\n" .. new(2, "1", "1")
			.. "2021-01-01 00:00:00 | INFO | fairseq_cli.train | early stop since valid performance hasn't "
			.. "improved for last 5 runs\n2021-01-01 00:00:00 | INFO | fairseq_cli.train | done training in 3.4 "
			.. "seconds\n"))
		assert.are.equal("completed_early", reading.outcome)
		assert.are.equal(10, reading.resumed_from)
	end)

	it("knows no other program's texts", function()
		for _, text in ipairs({ "| epoch | loss |\n|---|---|\n| 1 | 2 |\n", "Epoch 1 | loss 0.5\n" }) do
			assert.is_nil(leavings.recognise(fairseq, { ["train.log"] = text }))
			local reading, err = read(text)
			assert.is_nil(reading)
			assert.are.equal("not_a_training_record", err.code)
		end
	end)

	it("survives broken settings and broken lines", function()
		for _, line in ipairs({ "Namespace(a=(", "| INFO | fairseq | {'_name': {", '| INFO | valid | {"epoch": {}}',
			"| INFO | valid | {cut", "| epoch 002 | loss nan | ppl x |" }) do
			assert.are.equal(2.6, read(OLD:gsub("| epoch 002.*", "") .. line .. "\n").final_metrics.ppl)
		end
	end)
end)
