local lines = require("th.lines")
local logs = require("th.logs")
local leavings = require("support.leavings")

local function values_of(message, words)
	local out = {}
	for _, field in ipairs(logs.fields(message, words)) do
		out[field.name] = field.value
	end
	return out
end

describe("th.logs", function()
	it("takes the prefixes of many loggers off a message", function()
		for line, time in pairs({
			["2025-04-24 16:05:26,947 - INFO - loss: 1"] = "2025-04-24T16:05:26",
			["2025-04-24 16:05:26 - train - INFO - loss: 1"] = "2025-04-24T16:05:26",
			["[2022-09-23 19:29:09,028][src.utils][INFO] - loss: 1"] = "2022-09-23T19:29:09",
			["[2025-10-21 01:20:58 resnet18](main.py 107): INFO loss: 1"] = "2025-10-21T01:20:58",
			["2021-05-06 00:55:43 | INFO | fairseq.train | loss: 1"] = "2021-05-06T00:55:43",
			["11/13/2025 22:46:02 - INFO - __main__ -   loss: 1"] = "2025-11-13T22:46:02",
			["2026-03-14 14:31:43,352 [INFO]   loss: 1"] = "2026-03-14T14:31:43",
			["INFO:root: loss: 1"] = "", ["[INFO] loss: 1"] = "", ["  loss: 1"] = "",
		}) do
			local message, found = logs.message(line)
			assert.are.equal("loss: 1", (message:gsub("^root: ", "")), line)
			assert.are.equal(time, found or "", line)
		end
	end)

	it("leaves brackets of the message itself alone", function()
		for _, line in ipairs({ "[606]\ttrain-rmse:0.1", "[step 150] avg_loss=1", "[eval] iter 0: x" }) do
			assert.are.equal(line, (logs.message(line)))
		end
	end)

	it("finds the named numbers of a line", function()
		for message, expected in pairs({
			["loss: 1.5 - accuracy: 0.45 - val_loss: 1e-3"] =
				{ loss = 1.5, accuracy = 0.45, val_loss = 0.001 },
			[" * Train Acc 37.002 Train Loss 1.732"] = { ["Train Acc"] = 37.002, ["Train Loss"] = 1.732 },
			["sMAPE: 17.86% | MAE: 11.97 €/MWh"] = { sMAPE = 17.86, MAE = 11.97 },
			["Accuracy (Test) : 0.5"] = { ["Accuracy (Test)"] = 0.5 },
			["avg_loss=-0.0001 acc=0.5933"] = { avg_loss = -0.0001, acc = 0.5933 },
			["F1 Score: 0.98"] = { ["F1 Score"] = 0.98 },
			["Epoch 3: Val acc is 86.5%"] = { ["Val acc"] = 86.5 },
			["Accuracy: 9848/10000 (98%)"] = { Accuracy = 0.9848 },
			["loss: 0.5, time: 12ms, took 0:18:36, on 2025-11-13"] = { loss = 0.5 },
			["processed in 191.74s by 4 workers"] = {},
		}) do
			assert.are.same(expected, values_of(message), message)
		end
	end)

	it("keeps NaN and infinity, and integers as integers", function()
		local found = values_of("loss: nan, score: -inf, reward: 3")
		assert.is_true(found.loss ~= found.loss)
		assert.are.equal(-math.huge, found.score)
		assert.are.equal("integer", math.type(found.reward))
	end)

	it("knows a percentage, a share and a meter", function()
		local fields = logs.fields("Acc: 91.0%, top: 3/4, Loss 0.5 ( 0.75)")
		assert.are.equal("percent", fields[1].unit)
		assert.are.same({ 0.75, "fraction" }, { fields[2].value, fields[2].unit })
		assert.is_true(fields[3].meter)
	end)

	it("tells what was saved", function()
		for line, path in pairs({ ["Saved checkpoint to /a/b/lora_3.pt"] = "/a/b/lora_3.pt",
			["output/r/ckpt_best.pth saving......"] = "output/r/ckpt_best.pth",
			["Model saved to Model/detector.txt"] = "Model/detector.txt",
			["saving checkpoint to ./out-kirin"] = "./out-kirin" }) do
			assert.are.equal(path, logs.saved(line), line)
		end
		assert.is_nil(logs.saved("saved 14 rows"))
		assert.is_nil(logs.saved("loading model from a.pt"))
	end)

	it("tells the end of a training from what only sounds like it", function()
		for line, ending in pairs({ ["Finished Training"] = "done", ["Training time 0:18:36"] = "done",
			["Model training completed successfully"] = "done", ["Early stopping triggered"] = "early",
			["`Trainer.fit` stopped: `max_epochs=10` reached."] = "done",
			["Epoch 00012: early stopping"] = "early", ["Epoch 3 training completed"] = "",
			["EarlyStopping counter: 3 out of 10"] = "", ["early_stopping=True, lr=1"] = "",
			["Early stopping: True"] = "", ["Training will be done on cuda"] = "", ["Done."] = "",
			["✓ 完成！共提取 132 页的特征"] = "done", ["训练完成"] = "done", ["未完成"] = "" }) do
			assert.are.equal(ending, logs.ending(line) or "", line)
		end
	end)

	it("tells a broken run by one line", function()
		assert.are.equal("interrupted",
			logs.break_off("slurmstepd: error: *** JOB 1 ON c CANCELLED AT 2022 DUE TO TIME LIMIT ***"))
		assert.are.equal("interrupted", logs.break_off("KeyboardInterrupt"))
		assert.are.equal("failed", logs.break_off("RuntimeError: CUDA out of memory. Tried"))
		assert.is_nil(logs.break_off("Killed Bill, the film"))
	end)

	it("compares two sources by the digits of the rounder one", function()
		assert.is_true(logs.agree(96.094, 96.09400001708984))
		assert.is_true(logs.agree(0.296, 0.295663556432724))
		assert.is_false(logs.agree(17.86, 16.84))
		assert.is_false(logs.agree(0 / 0, 1))
		assert.is_true(logs.agree(0 / 0, 0 / 0))
	end)

	it("thins rows of progress to their first and last line", function()
		local function is_progress(segment)
			return segment:find("^p")
		end
		local out = {}
		for segment in logs.thin(lines.of({ "p1", "p2", "p3", "val 1", "p4", "p val", "p5", "p6", "end" }),
			is_progress) do
			out[#out + 1] = segment
		end
		assert.are.equal("p1 p3 val 1 p4 p val p5 p6 end", table.concat(out, " "))
	end)

	it("gives both ends of what is too long, and says so", function()
		local warned
		local folder = { warn = function(_, message) warned = message end }
		local list, out = {}, {}
		for index = 1, 10 do
			list[index] = tostring(index)
		end
		for segment in logs.bounded(lines.of(list), folder, "a.log", 3) do
			out[#out + 1] = segment
		end
		assert.are.equal("1 2 3 8 9 10", table.concat(out, " "))
		assert.is_truthy(warned:find("'a.log' is long: 4 of its lines", 1, true))
		warned, out = nil, {}
		for segment in logs.bounded(lines.of(list), folder, "a.log", 5) do
			out[#out + 1] = segment
		end
		assert.are.equal(10, #out)
		assert.is_nil(warned)
	end)

	it("reads a log of over 8 MiB at both of its ends, and says so", function()
		local filler = ("x"):rep(99) .. "\n"
		local big = "Epoch 1/2 loss: 0.5\n" .. filler:rep(90000) .. "Epoch 2/2 loss: 0.25\n"
		local reading, _, warnings = leavings.read(require("th.console"), { ["train.log"] = big })
		assert.are.same({ loss = 0.25 }, reading.final_metrics)
		assert.are.same({ final = 2, planned = 2 }, reading.epochs)
		assert.is_truthy(warnings[1]:find("its first 1 and last 4 MiB were read", 1, true))
	end)

	it("shows both edges of a file, once when it is short", function()
		local text = "first\n" .. ("x"):rep(9000) .. "\nlast\n"
		leavings.folder({ ["a.log"] = text, ["b.log"] = "short\27[0m\n" }, function(folder)
			local edges = logs.edges(folder, "a.log")
			assert.is_truthy(edges:find("^first\n") and edges:find("\nlast\n$"))
			assert.is_true(#edges < #text)
			assert.are.equal("short\n", logs.edges(folder, "b.log"))
			assert.are.equal("", folder:tail("none.log"))
		end)
	end)

	it("looks into texts that may be logs, and not into others", function()
		local console = require("th.console")
		local log = "Epoch 1/2 loss: 0.5 acc: 0.5\n"
		for _, name in ipairs({ "train.log", "nohup.out", "slurm-123.out", "log.txt", "job.o123",
			"notes.md", "logs/a.log" }) do
			assert.is_truthy(leavings.recognise(console, { [name] = log }), name)
		end
		for _, name in ipairs({ "README.md", "requirements.txt", "LICENSE.txt", "train.py" }) do
			assert.is_nil(leavings.recognise(console, { [name] = log }), name)
		end
		assert.is_nil(leavings.recognise(console, { ["train.log"] = "\0\1" .. log }))
		assert.is_nil(leavings.recognise(console, { ["train.log"] = "" }))
		assert.is_nil(leavings.recognise(console,
			{ ["train.log"] = "version https://git-lfs.github.com/spec/v1\noid sha256:a\n" .. log }))
	end)
end)
