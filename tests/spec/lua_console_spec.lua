local console = require("th.console")
local leavings = require("support.leavings")

local function read(text, others)
	local files = { ["train.log"] = text }
	for name, other in pairs(others or {}) do
		files[name] = other
	end
	return leavings.read(console, files)
end

describe("th.console", function()
	it("reads PyTorch's example: counters in lines of progress, values per test set", function()
		local reading = assert(read("Namespace(batch_size=64, epochs=2, lr=1.0, seed=1)\n"
			.. "Train Epoch: 1 [0/60000 (0%)]\tLoss: 2.28\nTrain Epoch: 1 [640/60000 (1%)]\tLoss: 1.3\n\n"
			.. "Test set: Average loss: 0.0332, Accuracy: 9891/10000 (99%)\n"
			.. "Train Epoch: 2 [640/60000 (1%)]\tLoss: 0.18\n\n"
			.. "Test set: Average loss: 0.0461, Accuracy: 9848/10000 (98%)\n"))
		assert.are.equal("completed", reading.outcome)
		assert.are.same({ final = 2, planned = 2 }, reading.epochs)
		assert.are.same({ test_average_loss = 0.0461, test_accuracy = 0.9848 }, reading.final_metrics)
		assert.are.equal("fraction", reading.units.test_accuracy)
		assert.are.same({ 0.0332, 1 }, { reading.best.value, reading.best.epoch })
		assert.are.same({ batch_size = 64, num_epochs = 2, lr = 1.0, seed = 1 }, reading.hyperparams)
	end)

	it("reads Keras' bars that wipe themselves, its checkpoints, and no later evaluate", function()
		local bar = "782/782 [==============================] - 12s 15ms/step - "
		local reading = assert(read("Epoch 1/2\n\n  1/782 [....] - ETA: 20:11 - loss: 9.5\b\b\b\b" .. bar
			.. "loss: 1.5 - acc: 0.45 - val_loss: 1.2\nEpoch 00001: val_loss improved from inf to 1.20, "
			.. "saving model to best.h5\nEpoch 2/2\n" .. bar .. "loss: 1.1 - acc: 0.6 - val_loss: 1.4\n"
			.. "313/313 [=====] - 1s 3ms/step - loss: 7.0 - acc: 0.1\n", { ["best.h5"] = "x" }))
		assert.are.equal("completed", reading.outcome)
		assert.are.same({ loss = 1.1, acc = 0.6, val_loss = 1.4 }, reading.final_metrics)
		assert.are.same({ "val_loss", 1.2, 1, true }, { reading.best.metric, reading.best.value,
			reading.best.epoch, reading.best.declared })
		assert.are.equal("best.h5", reading.checkpoints.best)
	end)

	it("reads Keras 3 with its colours, broken off by hand", function()
		local reading = assert(read("Epoch 1/10\n\27[1m782/782\27[0m \27[32m━━━━\27[0m\27[37m\27[0m "
			.. "\27[1m12s\27[0m 15ms/step - accuracy: 0.45 - loss: 1.5 - val_loss: 1.2\nEpoch 2/10\n"
			.. "\27[1m300/782\27[0m \27[32m━━\27[0m \27[1m9s\27[0m 15ms/step - loss: 9.9\r"
			.. "Traceback (most recent call last):\n  File \"a.py\", line 3\nKeyboardInterrupt\n"))
		assert.are.same({ "interrupted", "KeyboardInterrupt" }, { reading.outcome, reading.error })
		assert.are.same({ accuracy = 0.45, loss = 1.5, val_loss = 1.2 }, reading.final_metrics)
		assert.are.same({ final = 2, planned = 10 }, reading.epochs)
	end)

	it("reads ImageNet's example: means in brackets are progress, the starred line counts", function()
		local reading = assert(read("Epoch: [0][   1/5005]\tTime  6.4 ( 6.4)\tLoss 6.9e+00 (6.9e+00)\t"
			.. "Acc@1   0.00 (  0.00)\nTest: [  1/196]\tTime  2.5 ( 2.5)\tLoss 2.5 (2.5)\n"
			.. " *   Acc@1 26.130 Acc@5 50.770\nEpoch: [1][   1/5005]\tTime  6.4 ( 6.4)\tLoss 3.9 (3.9)\n"
			.. "slurmstepd: error: *** JOB 4 ON c1 CANCELLED AT 2022-04-14T16:20:46 DUE TO TIME LIMIT ***\n"))
		assert.are.equal("interrupted", reading.outcome)
		assert.are.same({ ["Acc@1"] = 26.13, ["Acc@5"] = 50.77 }, reading.final_metrics)
		assert.are.equal(2, reading.epochs.final)
	end)

	it("takes lines that begin with a day for lines, and bars before a plain end for done", function()
		local day = "11/13/2025 22:52:41 - INFO - __main__ - "
		local reading = assert(read("feat: 99%|####  | 131/132 [00:23<00:00,  5.02it/s]\r"
			.. "feat: 100%|#####| 132/132 [00:23<00:00,  5.17it/s]" .. day .. "保存特征到 ./a.pkl\n"
			.. day .. "Epoch 1: loss=0.5 acc=0.25\n" .. day .. "✓ 完成！共提取 132 页的特征\n" .. day .. "  特征维度: 768\n"))
		assert.are.equal("completed", reading.outcome)
	end)

	it("tells a row of progress from a line that begins with a day", function()
		local is_progress = require("th.console_run").is_progress
		assert.is_truthy(is_progress("12/30 [==>...] - loss: 0.5"))
		assert.is_truthy(is_progress("Train: [12/30] loss 0.5"))
		assert.is_falsy(is_progress("11/13/2025 22:52:41 - INFO - saved"))
	end)

	it("counts epochs from where the log begins to count", function()
		local function epochs(text)
			return read(text).epochs
		end
		assert.are.same({ final = 3, planned = 3 }, epochs("Train: [0/3] loss 1.0\nTrain: [2/3] loss 0.5\n"))
		for _, spelling in ipairs({ "Epoch %d/4", "Epoch: [%d/4]", "epoch %d of 4", "=== Epoch %d/4 ===",
			"EPOCH %d / 4:", "Epoch(%d/4)", "[Epoch %d/4]" }) do
			local text = (spelling:format(1) .. " loss=0.5\n" .. spelling:format(2) .. " loss=0.25\n")
			assert.are.same({ final = 2, planned = 4 }, epochs(text), spelling)
		end
	end)

	it("does not take the steps of an epoch for optimizer steps", function()
		local reading = assert(read("Epoch [1/5], Step [100/600], Loss: 0.2\n"
			.. "Epoch [2/5], Step [100/600], Loss: 0.1\n"))
		assert.is_nil(reading.steps)
		assert.are.equal("interrupted", reading.outcome)
		reading = assert(read("[step 50] loss=0.5\n[step 100] loss=0.4\n"))
		assert.are.same({ final = 100 }, reading.steps)
		assert.is_nil(reading.outcome)
	end)

	it("tells the kinds of ends", function()
		local base = "Epoch 1/3 loss: 0.5 val_loss: 0.5\n"
		local crash = "Traceback (most recent call last):\n  File \"t.py\", line 1\n"
			.. "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB\n"
		for text, outcome in pairs({ [base] = "interrupted", [base .. crash] = "failed",
			[base .. "Early stopping triggered\n"] = "completed_early",
			[base .. "Finished Training\n"] = "completed",
			[base .. "Finished Training\n" .. crash] = "completed_then_crashed",
			[base .. crash .. "Epoch 2/3 loss: 0.4\nEpoch 3/3 loss: 0.3\n"] = "completed",
			[base .. "Epoch 3/3\n"] = "interrupted",
			[base .. "Epoch 3/3\nTraining complete in 3m 2s\nKeyboardInterrupt\n"] = "completed" }) do
			assert.are.equal(outcome, read(text).outcome, text)
		end
	end)

	it("reads the last of appended runs, and nothing of the one before", function()
		local reading = assert(read("Epoch 1/2 loss: 0.9 val_f1: 0.1\nEpoch 2/2 loss: 0.8 val_f1: 0.9\n"
			.. "Epoch 1/2 loss: 0.7\nEpoch 2/2 loss: 0.6\n"))
		assert.are.same({ loss = 0.6 }, reading.final_metrics)
		assert.is_nil(reading.best)
	end)

	it("reads the dicts of a Trainer of version 5 and its tables", function()
		local reading = assert(read("***** Running training *****\n  Num examples = 1,000\n"
			.. "  Num Epochs = 3\n  Total optimization steps = 375\n"
			.. "{'loss': '0.69', 'learning_rate': '1e-05', 'epoch': '1'}\n"
			.. "{'eval_loss': '0.41', 'eval_accuracy': '0.84', 'eval_runtime': '3.1', 'epoch': '2'}\n"
			.. "{'eval_loss': '0.46', 'eval_accuracy': '0.86', 'eval_runtime': '3.1', 'epoch': '3'}\n"
			.. "{'train_runtime': '120.1', 'train_loss': '0.5512', 'epoch': '3'}\n"
			.. "***** eval metrics *****\n  eval_f1   =     0.8612\n  eval_runtime = 0:00:03.10\n"))
		assert.are.equal("completed", reading.outcome)
		assert.are.same({ eval_loss = 0.46, eval_accuracy = 0.86, eval_f1 = 0.8612 },
			reading.final_metrics)
		assert.are.same({ "eval_loss", 0.41, 2 }, { reading.best.metric, reading.best.value,
			reading.best.epoch })
		assert.are.equal(375, reading.steps.planned)
		assert.is_nil(reading.steps.final)
		assert.are.equal(120.1, reading.train_summary.train_runtime)
	end)

	it("keeps what a value is in percent, and the best that the log declares", function()
		local reading = assert(read("Epoch 1: val_acc: 70.15% val_loss: 0.8\n"
			.. "Saved best model to ckpt/best_model.pth\nEpoch 2: val_acc: 69.15% val_loss: 0.7\n"
			.. "Best val acc: 70.15%\n"))
		assert.are.same({ metric = "val_acc", value = 70.15, unit = "percent", epoch = 1, mode = "max",
			checkpoint = "ckpt/best_model.pth", checkpoint_name = "best_model.pth", declared = true,
			values = { val_acc = 70.15, val_loss = 0.8 } }, reading.best)
		assert.are.equal("percent", reading.units.val_acc)
	end)

	it("gives a name that a line has twice the split before it", function()
		local reading = assert(read("Epoch 1/1 - Train Loss: 0.5, Acc: 0.85 | Val Loss: 0.6, Acc: 0.83\n"))
		assert.are.same({ train_loss = 0.5, train_acc = 0.85, val_loss = 0.6, val_acc = 0.83 },
			reading.final_metrics)
	end)

	it("judges a marked epoch by the metric in which it is the best", function()
		local reading = assert(read("Epoch: 1, dev loss: 4.0, f1 score: 0.5\nEpoch: 2, dev loss: 5.0, "
			.. "f1 score: 0.75\n--------Save best model!--------\nEpoch: 3, dev loss: 6.0, f1 score: 0.6\n"))
		assert.are.same({ "f1 score", 0.75, 2 }, { reading.best.metric, reading.best.value,
			reading.best.epoch })
	end)

	it("finds the epoch of a best value that is told at the end", function()
		local reading = assert(read("Epoch 1/2 - Val Loss: 1.25\nEpoch 2/2 - Val Loss: 1.5\n"
			.. "Training completed! Best validation loss: 1.25\n"))
		assert.are.same({ "val_loss", 1.25, 1, true }, { reading.best.metric, reading.best.value,
			reading.best.epoch, reading.best.declared })
	end)

	it("takes settings of wandb and says what its summary has differently", function()
		local reading = assert(read("Epoch 1/1 val_loss: 0.296 acc: 0.5\n", {
			["config.yaml"] = "wandb_version: 1\nlearning_rate:\n  desc: null\n  value: 0.01\n"
				.. "_wandb:\n  value: {}\n",
			["wandb-summary.json"] = '{"val_loss": 0.29566, "acc": 0.75, "_step": 3}' }))
		assert.are.same({ lr = 0.01 }, reading.hyperparams)
		assert.are.same({ { what = "final_metrics.acc", values = { { from = "train.log", value = 0.5 },
			{ from = "wandb-summary.json: acc", value = 0.75 } } } }, reading.disagreements)
	end)

	it("takes known settings that are printed before training", function()
		local reading = assert(read("[INFO] batch_size: 32\nlearning rate = 0.001\nfoo: 7\n"
			.. "Epoch 1/1 loss: 0.5\nseed: 4\n"))
		assert.are.same({ batch_size = 32, lr = 0.001 }, reading.hyperparams)
	end)

	it("says where each value was read", function()
		local sources = read("Epoch 1/1 val_loss: 0.5\n").sources
		assert.are.same({ ["final_metrics.val_loss"] = "train.log", epochs = "train.log",
			best = "derived: train.log", outcome = "inferred: train.log" }, sources)
	end)

	it("knows no other program's texts", function()
		for _, text in ipairs({ "GET /index.html 200 12ms\nGET /epoch 404\n", "Step 3/12 : RUN make\n",
			"2024-01-01 00:00:00 INFO block 17 accepted\n", "loss of signal\n", "a,b\n1,2\n" }) do
			assert.is_nil(leavings.recognise(console, { ["app.log"] = text }), text)
			local reading, err = leavings.read(console, { ["app.log"] = text })
			assert.is_nil(reading)
			assert.are.equal("not_a_training_record", err.code)
		end
	end)

	it("is a guess beside a framework's own reader", function()
		local known = leavings.recognise(console, { ["train.log"] = "Epoch 1/2 loss: 0.5 acc: 0.5\n" })
		assert.is_true(known.score <= 30)
		assert.is_truthy(known.why:find("'train.log'", 1, true))
	end)

	it("survives dicts, tables and settings of wrong types", function()
		for _, text in ipairs({ "{'loss': [", "{'eval_loss': {}, 'epoch': 'x'}", "{'train_runtime': None}",
			"{'eval_loss': 1, 'epoch': nan}\n{'eval_loss': 2, 'epoch': nan}", "Namespace(a=(",
			"Epoch 99999999999999999999/3 loss: 1" }) do
			local reading, err = read("Epoch 1/3 loss: 0.5\n" .. text .. "\n",
				{ ["config.yaml"] = "- 1\n", ["wandb-summary.json"] = "[1]" })
			assert.is_truthy(reading, err and err.message)
		end
	end)
end)
