local json = require("th.json")
local keras = require("th.keras")
local leavings = require("support.leavings")

local CSV = "epoch,accuracy,loss,val_accuracy,val_loss\n0,0.5,1.0,0.4,1.25\n1,0.6,0.9,0.5,1.5\n"

local function read(files)
	return leavings.told(keras, files)
end

describe("th.keras", function()
	it("reads the table of CSVLogger", function()
		local reading = assert(read({ ["training.log"] = CSV }))
		assert.are.same({ accuracy = 0.6, loss = 0.9, val_accuracy = 0.5, val_loss = 1.5 },
			reading.final_metrics)
		assert.are.same({ final = 2 }, reading.epochs)
		assert.are.same({ metric = "val_loss", value = 1.25, epoch = 0, mode = "min", declared = false },
			reading.best)
	end)

	for name, change in pairs({
		["tabs"] = function(text) return (text:gsub(",", "\t")) end,
		["semicolons"] = function(text) return (text:gsub(",", ";")) end,
		["CR CR LF"] = function(text) return (text:gsub("\n", "\r\r\n")) end,
		["CRLF and a byte order mark"] = function(text)
			return "\xEF\xBB\xBF" .. text:gsub("\n", "\r\n")
		end,
	}) do
		it("reads it with " .. name, function()
			local reading = assert(read({ ["log.csv"] = change(CSV) }))
			assert.are.equal(1.5, reading.final_metrics.val_loss)
			assert.are.equal(2, reading.epochs.final)
			assert.are.equal(70, leavings.score(keras, { ["log.csv"] = change(CSV) }))
		end)
	end

	it("counts the last of appended runs, one of a single epoch too", function()
		local rows = CSV:match("\n(.*)$")
		local reading, _, warnings = read({ ["log.csv"] = CSV .. rows .. "0,0.9,0.1,0.8,0.2\n" })
		assert.are.equal(1, reading.epochs.final)
		assert.are.equal(0.2, reading.best.value)
		assert.matches("3 runs", warnings)
	end)

	it("goes on with a run that initial_epoch resumed", function()
		local reading, _, warnings = read({ ["log.csv"] = CSV .. "2,0.7,0.8,0.6,1.1\n" })
		assert.are.equal(3, reading.epochs.final)
		assert.are.equal("", warnings)
	end)

	it("reads a table that pandas wrote, with an index without a name or with none", function()
		local body = CSV:gsub("^epoch", "")
		assert.are.equal(2, read({ ["history.csv"] = body }).epochs.final)
		local bare = read({ ["history.csv"] = "loss,val_loss\n1.0,2.0\n0.5,1.0\n0.4,1.5\n" })
		assert.are.equal(3, bare.epochs.final)
		assert.are.equal(1, bare.best.epoch)
	end)

	it("leaves learning rates, NA and lists out of the metrics", function()
		local reading = read({ ["log.csv"] =
			'epoch,learning_rate,loss,val_f1,f1,val_loss\n0,0.001,1.0,"[0.1, 0.2]",0.5,NA\n' })
		assert.are.same({ loss = 1.0, f1 = 0.5 }, reading.final_metrics)
		assert.are.same({ learning_rate = 0.001 }, reading.train)
	end)

	local LISTS = { loss = { 1.0, 0.5, 0.7 }, val_loss = { 2.0, 1.0, 1.5 }, lr = { 0.1, 0.1, 0.01 } }

	local function history_text(item)
		local parts = {}
		for key, list in pairs(LISTS) do
			parts[#parts + 1] = ('"%s": %s'):format(key, item(list))
		end
		return "{" .. table.concat(parts, ", ") .. "}"
	end

	for name, text in pairs({
		["lists"] = history_text(function(list) return "[" .. table.concat(list, ", ") .. "]" end),
		["numbers as text"] = history_text(function(list)
			return '["' .. table.concat(list, '", "') .. '"]'
		end),
		["dicts, as pandas' to_json has them"] = history_text(function(list)
			return ('{"0": %s, "1": %s, "2": %s}'):format(list[1], list[2], list[3])
		end),
		["records"] = '[{"loss": 1.0, "val_loss": 2.0, "lr": 0.1}, {"loss": 0.5, "val_loss": 1.0, '
			.. '"lr": 0.1}, {"loss": 0.7, "val_loss": 1.5, "lr": 0.01}]',
		["the History object's dict"] = '{"history": {"loss": [1.0, 0.5, 0.7], "lr": [0.1, 0.1, 0.01], '
			.. '"val_loss": [2.0, 1.0, 1.5]}, "epoch": [0, 1, 2]}',
		["a dict printed into a string"] = '"{\'loss\': [1.0, 0.5, 0.7], \'val_loss\': [2.0, 1.0, 1.5], '
			.. "'lr': [0.1, 0.1, 0.01]}\"",
	}) do
		it("reads a history of " .. name, function()
			assert.is_truthy(json.decode(text))
			local reading, err = read({ ["history.json"] = text })
			assert.is_nil(err)
			assert.are.same({ loss = 0.7, val_loss = 1.5 }, reading.final_metrics)
			assert.are.same({ lr = 0.01 }, reading.train)
			assert.are.equal(3, reading.epochs.final)
			assert.are.equal(1, reading.best.epoch)
		end)
	end

	it("tells the plan where the whole History was saved", function()
		local reading = read({ ["history.json"] =
			'{"history": {"loss": [1.0]}, "params": {"epochs": 50, "steps": 9}}' })
		assert.are.equal(50, reading.epochs.planned)
	end)

	it("reads a history that has metrics and no loss", function()
		local reading = read({ ["model/history.json"] =
			'{"bce": [0.5, 0.4], "val_bce": [0.75, 0.25], "epoch": [1, 2]}' })
		assert.are.same({ bce = 0.4, val_bce = 0.25 }, reading.final_metrics)
		assert.are.equal(2, reading.epochs.final)
		assert.are.equal("min", reading.best.mode)
	end)

	it("does not know a history in another framework's words", function()
		for _, text in ipairs({ '{"train_loss": [1.0], "val_loss": [2.0]}',
			'[{"epoch": 1, "train_loss": 1.0, "val_loss": 2.0}]' }) do
			assert.is_nil(leavings.score(keras, { ["history.json"] = text }))
		end
		local reading, err = read({ ["history.json"] = '{"val_loss": [1.0], "train_loss": [2.0]}' })
		assert.is_nil(reading)
		assert.are.equal("not_a_training_record", err.code)
	end)

	it("refuses a pickled history with a word", function()
		local reading, err = read({ ["trainHistoryDict"] = "\x80\x04\x95", ["a.txt"] = "x" })
		assert.is_nil(reading)
		assert.are.equal("pickle", err.code)
		assert.matches("pickle", err.message)
		assert.are.equal(20, (leavings.score(keras, { ["my_history.pkl"] = "\x80\x04" })))
	end)

	for name, text in pairs({
		["a training in another framework's words"] = "epoch,train_loss,val_loss\n0,1.0,2.0\n",
		["a validation without its training"] = "epoch,loss,val_accuracy\n0,1.0,0.5\n",
		["any table"] = "id,price\n1,2\n",
		["a loss without more"] = "loss,accuracy\n1.0,0.5\n",
		["YOLO's results"] = "epoch,loss,train/box_loss,metrics/mAP50(B)\n0,1,2,3\n",
	}) do
		it("does not know " .. name, function()
			assert.is_nil(leavings.score(keras, { ["training_log.csv"] = text }))
			assert.are.equal("not_a_training_record", select(2, read({ ["log.csv"] = text })).code)
		end)
	end

	it("does not know a browser's or a chat's history.json", function()
		assert.is_nil(leavings.score(keras, { ["history.json"] = '[{"url": "x", "visited": 3}]' }))
	end)

	it("finds the saved models by their names", function()
		local reading = read({ ["log.csv"] = CSV, ["models/best_model.keras"] = "x",
			["models/final.h5"] = "x" })
		assert.are.same({ best = "models/best_model.keras", last = "models/final.h5" },
			reading.checkpoints)
	end)

	it("survives broken files", function()
		leavings.damaged(keras, { ["log.csv"] = CSV }, "log.csv")
		leavings.damaged(keras, { ["history.json"] = '{"loss": [1, 2], "val_loss": [1, {}]}' },
			"history.json")
		assert.are.equal("no_data",
			select(2, read({ ["log.csv"] = CSV:match("^[^\n]*\n") })).code)
		assert.are.equal("bad_json", select(2, read({ ["history.json"] = '{"loss": [1.0, ' })).code)
	end)
end)
