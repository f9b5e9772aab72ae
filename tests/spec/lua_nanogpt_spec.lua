local nanogpt = require("th.nanogpt")
local leavings = require("support.leavings")

local function read(text)
	return leavings.read(nanogpt, { ["log.txt"] = text })
end

describe("th.nanogpt", function()
	it("reads nanoGPT: evaluations are final, the loss of a batch is not", function()
		local reading = assert(read("tokens per iteration will be: 512\nOverriding: max_iters = 300\n"
			.. "Overriding: dataset = shakespeare\nstep 0: train loss 4.2, val loss 4.3\n"
			.. "iter 0: loss 4.27, time 10ms, mfu -100.00%\nstep 250: train loss 1.4, val loss 1.6\n"
			.. "saving checkpoint to out\niter 260: loss nan, time 1.08ms, mfu 0.01%\n"))
		assert.are.same({ train_loss = 1.4, val_loss = 1.6 }, reading.final_metrics)
		assert.is_true(reading.train.loss ~= reading.train.loss)
		assert.are.same({ final = 260, planned = 300 }, reading.steps)
		assert.are.equal("interrupted", reading.outcome)
		assert.are.same({ "val_loss", 1.6, 250, false }, { reading.best.metric, reading.best.value,
			reading.best.step, reading.best.declared })
		assert.are.same({ max_steps = 300 }, reading.hyperparams)
		assert.are.equal("shakespeare", reading.dataset)
	end)

	it("reads lines of step, kind and value; the best may be the first", function()
		local reading = assert(read("0 val 10.9310\n0 hella 0.2413\n0 train 10.93\n1 train 10.88\n"
			.. "2 train 10.78\n2 val 11.5\n"))
		assert.are.same({ val = 11.5, hella = 0.2413, train = 10.78 }, reading.final_metrics)
		assert.are.same({ 10.931, 0 }, { reading.best.value, reading.best.step })
		assert.is_nil(reading.outcome)
	end)

	it("reads the last of appended trainings", function()
		local reading = assert(read("0 val 10.9\n0 train 10.9\n9 train 1.5\n9 val 1.5\n0 val 10.8\n"
			.. "0 train 10.8\n3 train 9.5\n"))
		assert.are.same({ val = 10.8, train = 9.5 }, reading.final_metrics)
		assert.are.equal(3, reading.steps.final)
		assert.are.equal(10.8, reading.best.value)
	end)

	it("reads modded-nanogpt, llm.c and litgpt", function()
		local modded = assert(read("step:0/5100 val_loss:10.82 train_time:0ms step_avg:nanms\n"
			.. "step:5100/5100 val_loss:3.2780 train_time:9ms step_avg:2.1ms\n"))
		assert.are.same({ final = 5100, planned = 5100 }, modded.steps)
		assert.are.same({ "completed", 3.278 }, { modded.outcome, modded.final_metrics.val_loss })
		local llmc = assert(read("s:0 tel:11.0\ns:0 eval:0.2441\ns:1 trl:10.9\ns:250 tel:6.5\n"))
		assert.are.same({ val = 6.5, eval = 0.2441, train = 10.9 }, llmc.final_metrics)
		local litgpt = assert(read("Epoch 1 | iter 2 step 1 | loss train: 1.66, val: n/a | iter time: 5 ms\n"
			.. "Epoch 1 | iter 3 step 2 | loss train: 1.5, val: 1.25 | iter time: 300.07 ms (step)\n"))
		assert.are.same({ train_loss = 1.5, val = 1.25 }, litgpt.final_metrics)
		assert.are.equal(2, litgpt.steps.final)
	end)

	it("takes the declared best with the step at which it was measured", function()
		local reading = assert(read("[eval] iter 0: train 9.8 val 9.9 lr 1e-6\n[train] iter 10: loss 8.6 9 ms\n"
			.. "[eval] iter 500: train 4.2 val 4.1 lr 3e-4\n[eval] iter 900: train 4.0 val 4.3 lr 3e-5\n"
			.. "[train] done. best_val=4.1000  ckpt=/x/ckpt.pt\n"))
		assert.are.equal("completed", reading.outcome)
		assert.are.same({ metric = "val", value = 4.1, step = 500, mode = "min", checkpoint = "/x/ckpt.pt",
			checkpoint_name = "ckpt.pt", declared = true }, reading.best)
		assert.are.same({ train = 4.0, val = 4.3, lr = 3e-5 }, reading.final_metrics)
	end)

	it("tells a crash and an interruption", function()
		local base = "step 0: train loss 4.2, val loss 4.3\niter 0: loss 4.27, time 10.0ms, mfu 1%\n"
		local crashed = assert(read(base .. "Traceback (most recent call last):\nValueError: x\n"))
		assert.are.same({ "failed", "ValueError: x" }, { crashed.outcome, crashed.error })
		assert.are.equal("interrupted", read(base .. "KeyboardInterrupt\n").outcome)
	end)

	it("knows no other program's texts", function()
		for _, text in ipairs({ "Epoch 1/2 loss: 0.5\n", "12 train stations\n3 val d'isere\n", "iter 5\n" }) do
			assert.is_nil(leavings.recognise(nanogpt, { ["log.txt"] = text }))
			local reading, err = read(text)
			assert.is_nil(reading)
			assert.are.equal("not_a_training_record", err.code)
		end
	end)
end)
