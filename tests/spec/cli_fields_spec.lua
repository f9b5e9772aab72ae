--- Fields that are made of others: strategy and duration, as list and best know them.
local cjson = require "cjson"
local tree = require "support.tree"

local t

--- a: 90 minutes; b goes on from a: 2.5 s; c: one moment, so nobody measured; d: by its usage.
local function fresh()
	t = tree.new()
	t:record("a", "--base-model", "base", "--start-time", "2025-12-01T10:00:00Z", "--end-time",
		"2025-12-01T11:30:00Z")
	t:ok { "record", "stage1", "-d", "b", "--init-from", "a", "--steps", "5", "--start-time",
		"2025-12-03T10:00:00.000Z", "--end-time", "2025-12-03T10:00:02.500Z" }
	t:record("c", "--base-model", "base", "--start-time", "2025-12-01T10:00:00Z", "--end-time",
		"2025-12-01T10:00:00Z")
	t:write("exp_1/stage1_d/training_info.json", [[{"model_name": "m", "stage": "stage1",
		"final_checkpoint": "", "base_model": "", "created_at": "2025-01-01T00:00:00",
		"last_updated": "2025-01-01T01:00:00", "total_steps": 1, "last_dataset": "d",
		"training_history": [{"dataset": "d", "steps": 1, "start_time": "2025-01-01T00:00:00",
		"end_time": "2025-01-01T01:00:00", "metrics": {}, "usage": {"wall_s": 61}}]}]])
end

local function tsv(...)
	return (t:ok({ "list", "--tsv", ... }).out:gsub("exp_1/", ""))
end

describe("fields", function()
	setup(fresh)
	teardown(function()
		t:close()
	end)

	it("'strategy' is the base model, the data sets and their steps", function()
		assert.equal("ref\tstrategy\nstage1_a\tbase > a:10\nstage1_b\tbase > a:10 > b:5\n"
			.. "stage1_c\tbase > c:10\nstage1_d\tunknown > d:1\n", tsv("-c", "ref,strategy"))
		assert.equal("ref\nstage1_a\nstage1_b\n", tsv("-c", "ref", "-F", 'strategy contains "a:10"'))
		assert.equal("ref\nstage1_b\n", tsv("-c", "ref", "-F", 'strategy = "base > a:10 > b:5"'))
	end)

	it("'strategy' of one training goes as far as that", function()
		t:ok { "record", "stage1", "-d", "z", "--into", "stage1_c", "--steps", "1" }
		local seen = tsv("--runs", "-c", "ref,strategy", "stage1_c")
		assert.equal("ref\tstrategy\nstage1_c\tbase > c:10\nstage1_c\tbase > c:10 > z:1\n", seen)
	end)

	it("'duration' is in seconds, measured or from the times, and undefined for one moment", function()
		assert.equal("ref\tduration\nstage1_a\t5400\nstage1_b\t2.5\nstage1_d\t61\n",
			tsv("-c", "ref,duration", "stage1_[abd]"))
		local models = cjson.decode(t:ok({ "list", "--json", "-c", "duration", "stage1_b" }).out).models
		assert.equal(2.5, models[1].columns.duration)
		assert.equal("ref\nstage1_a\nstage1_d\n", tsv("-c", "ref", "-F", "duration > 60"))
		assert.equal("ref\nstage1_a\nstage1_d\nstage1_b\n", tsv("-c", "ref", "--sort=-duration",
			"stage1_[abd]"))
		assert.matches("^ref\nstage1_c\n", tsv("-c", "ref", "-F", "duration is undefined"))
	end)

	it("'duration' is for people in a table", function()
		local page = t:ok({ "list", "-c", "ref,duration", "stage1_[abd]" }).out
		assert.matches("stage1_a +1h30m\n", page)
		assert.matches("stage1_b +2%.5s\n", page)
		assert.matches("stage1_d +1m01s\n", page)
	end)
end)
