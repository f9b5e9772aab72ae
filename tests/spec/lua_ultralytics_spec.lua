local leavings = require("support.leavings")
local yolo = require("th.ultralytics")

local DETECT = "epoch,time,train/box_loss,metrics/precision(B),metrics/mAP50(B),metrics/mAP50-95(B),"
	.. "val/box_loss,lr/pg0\n1,9.5,1.5,0.5,0.5,0.25,1.5,0.01\n2,19.5,1.25,0.5,0.75,0.5,1.25,0.005\n"
	.. "3,29.5,1.0,0.5,1.0,0.375,1.0,0.0025\n"
local ARGS = "task: detect\nmodel: yolo11n.pt\ndata: coco8.yaml\nepochs: 100\npatience: 50\nbatch: 16\n"
	.. "lr0: 0.01\noptimizer: auto\nresume: false\npretrained: true\nseed: 0\n"

local function read(files)
	return leavings.told(yolo, files)
end

describe("th.ultralytics", function()
	it("reads epochs from 1, and the best by fitness", function()
		local reading = assert(read({ ["results.csv"] = DETECT, ["args.yaml"] = ARGS,
			["weights/best.pt"] = "x", ["weights/last.pt"] = "x" }))
		assert.are.same({ final = 3, planned = 100 }, reading.epochs)
		assert.are.equal(2, reading.best.epoch)
		assert.are.equal(0.1 * 0.75 + 0.9 * 0.5, reading.best.value)
		assert.are.same({ ["metrics/mAP50(B)"] = 0.75, ["metrics/mAP50-95(B)"] = 0.5 },
			reading.best.values)
		assert.are.equal("weights/best.pt", reading.best.checkpoint)
		assert.are.same({ ["metrics/precision(B)"] = 0.5, ["metrics/mAP50(B)"] = 1.0,
			["metrics/mAP50-95(B)"] = 0.375, ["val/box_loss"] = 1.0 }, reading.final_metrics)
		assert.are.same({ ["train/box_loss"] = 1.0, ["lr/pg0"] = 0.0025 }, reading.train)
		assert.are.equal("yolo11n.pt", reading.base_model)
		assert.are.equal("coco8.yaml", reading.dataset)
		assert.are.same({ lr = 0.01, batch_size = 16, num_epochs = 100, optimizer = "auto", seed = 0 },
			reading.hyperparams)
		assert.is_nil(reading.outcome)
	end)

	it("reads padded columns and epochs from 0", function()
		local padded = DETECT:gsub("[^,\n]+", "     %0"):gsub("\n +(%d),", function(epoch)
			return ("\n      %d,"):format(epoch - 1)
		end)
		local reading = read({ ["results.csv"] = padded })
		assert.are.equal(3, reading.epochs.final)
		assert.are.equal(1, reading.best.epoch)
	end)

	it("adds masks to boxes", function()
		local reading = read({ ["results.csv"] = "epoch,train/seg_loss,metrics/mAP50(B),"
			.. "metrics/mAP50-95(B),metrics/mAP50(M),metrics/mAP50-95(M)\n"
			.. "1,1.0,0.9,0.8,0.1,0.1\n2,1.0,0.7,0.6,0.5,0.5\n" })
		assert.are.equal(2, reading.best.epoch)
		assert.matches("mAP50%-95%(M%)", reading.sources.best)
	end)

	it("takes the mean of top-1 and top-5 of a classifier, and top-1 of YOLOv5's", function()
		local rows = "1,1.0,0.5,0.9,%s\n2,1.0,0.6,0.7,%s\n"
		local new = read({ ["results.csv"] = "epoch,train/loss,metrics/accuracy_top1,"
			.. "metrics/accuracy_top5,lr/pg0\n" .. rows:format(0.1, 0.1) })
		assert.are.equal(1, new.best.epoch)
		assert.are.equal(0.7, new.best.value)
		local old = read({ ["results.csv"] = "epoch,train/loss,metrics/accuracy_top1,"
			.. "metrics/accuracy_top5,lr/0\n" .. rows:format(0.1, 0.1) })
		assert.are.equal(2, old.best.epoch)
	end)

	it("concludes early stopping from the patience", function()
		local reading = read({ ["results.csv"] = DETECT,
			["args.yaml"] = ARGS:gsub("patience: 50", "patience: 1") })
		assert.are.equal("completed_early", reading.outcome)
		assert.matches("^inferred:", reading.sources.outcome)
	end)

	it("knows the end by results.png", function()
		local files = { ["results.csv"] = DETECT, ["args.yaml"] = ARGS:gsub("100", "3"),
			["results.png"] = "x" }
		assert.are.equal("completed", read(files).outcome)
	end)

	it("reads YOLOv5's options, hyperparameters beside or inside them", function()
		local opt = "weights: yolov5s.pt\ndata: my.yaml\nepochs: 3\nbatch_size: 8\nadam: true\nresume: false\n"
		local reading = read({ ["results.csv"] = DETECT, ["opt.yaml"] = opt,
			["hyp.yaml"] = "lr0: 0.02\nmomentum: 0.9\n" })
		assert.are.equal("Adam", reading.hyperparams.optimizer)
		assert.are.equal(0.02, reading.hyperparams.lr)
		assert.are.equal("yolov5s.pt", reading.base_model)
		local inner = read({ ["results.csv"] = DETECT, ["opt.yaml"] = opt .. "hyp:\n  lr0: 0.03\n" })
		assert.are.equal(0.03, inner.hyperparams.lr)
	end)

	it("goes on with a resumed run, whose weights are no base model", function()
		local reading = read({ ["results.csv"] = DETECT .. "3,1,1,0.5,0.5,0.25,1,0.1\n4,1,1,0.5,0.5,0.25,1,0.1\n",
			["args.yaml"] = ARGS:gsub("resume: false", "resume: runs/x/weights/last.pt") })
		assert.are.equal(4, reading.epochs.final)
		assert.are.equal(2, reading.best.epoch)
		assert.is_nil(reading.base_model)
	end)

	local TXT = "     0/2     1.5G    0.1    0.05   0.02    0.17      12     640    0.5    0.5    0.25  0.125"
		.. "   0.1   0.05    0.02\n     1/2     1.5G    0.1    0.05   0.02    0.17      12     640    0.5"
		.. "    0.5    0.75    0.5   0.1   0.05    0.02\n"

	it("reads results.txt of old", function()
		local reading = assert(read({ ["results.txt"] = TXT, ["opt.yaml"] = "epochs: 3\n" }))
		assert.are.same({ final = 2, planned = 3 }, reading.epochs)
		assert.are.equal(0.5, reading.final_metrics["metrics/mAP_0.5:0.95"])
		assert.are.equal(1, reading.best.epoch)
	end)

	it("refuses YOLOv3's, which has F1 there", function()
		local reading, err = read({ ["results.txt"] = TXT:gsub("0.75    0.5 ", "0.25    0.5 ") })
		assert.is_nil(reading)
		assert.matches("YOLOv3", err.message)
	end)

	it("refuses a fork's, whose columns stand elsewhere", function()
		local reading, err = read({ ["results.txt"] = TXT:gsub("0.17 ", "0.17    0.3 ") })
		assert.is_nil(reading)
		assert.matches("15 columns", err.message)
	end)

	it("reads the first of several runs", function()
		local reading, _, warnings = read({ ["runs/detect/train/results.csv"] = DETECT,
			["runs/detect/train2/results.csv"] = DETECT })
		assert.are.equal("runs/detect/train", reading.run)
		assert.matches("2 runs", warnings)
	end)

	it("does not know other tables of results", function()
		for _, text in ipairs({ "epoch,loss\n1,2\n", "name,metrics/x,train/y\na,1,2\n", "a,b\n" }) do
			assert.is_nil(leavings.score(yolo, { ["results.csv"] = text }))
		end
		local reading, err = read({ ["results.csv"] = "id,price\n1,2\n" })
		assert.is_nil(reading)
		assert.are.equal("not_a_training_record", err.code)
	end)

	it("survives broken files", function()
		local outcomes = leavings.damaged(yolo, { ["results.csv"] = DETECT }, "results.csv")
		assert.are.equal("lfs_pointer", outcomes.pointer.code)
		assert.are.equal("no_data", outcomes.empty.code)
		local args = leavings.damaged(yolo, { ["results.csv"] = DETECT, ["args.yaml"] = ARGS },
			"args.yaml")
		assert.are.equal("read", args.binary)
		local odd = read({ ["results.csv"] = DETECT, ["args.yaml"] =
			"epochs: many\npatience: [1]\nmodel: {a: 1}\nweights: 3\nresume: {}\ndata: 7\n" })
		assert.are.same({ final = 3 }, odd.epochs)
	end)
end)
