local events = require("support.events")
local leavings = require("support.leavings")
local readings = require("support.readings")
local safetensors = require("th.safetensors")

local TENSORS = '"a": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}, '
	.. '"b": {"dtype": "F32", "shape": [], "data_offsets": [12, 16]}'

local TRAINED = '"ss_steps": "1600", "ss_max_train_steps": "2000", "ss_epoch": "8", '
	.. '"ss_num_epochs": "10", "ss_learning_rate": "0.0001", "ss_network_dim": "32", '
	.. '"ss_network_alpha": "16.0", "ss_network_dropout": "None", "ss_seed": "7", '
	.. '"ss_optimizer": "bitsandbytes.optim.adamw.AdamW8bit(weight_decay=0.1)", '
	.. '"ss_mixed_precision": "bf16", "ss_sd_model_name": "sd15.safetensors", '
	.. '"ss_cache_latents": "True", "ss_training_started_at": "1700000000.5", '
	.. '"ss_training_finished_at": "1700003600", '
	.. '"ss_dataset_dirs": "{\\"10_cat\\": {\\"n_repeats\\": 10, \\"img_count\\": 20}}"'

local function file(metadata)
	return events.safetensors(metadata and ('{"__metadata__": {%s}, %s}'):format(metadata, TENSORS)
		or "{" .. TENSORS .. "}")
end

local function read(files)
	return readings.read(safetensors, leavings.new(files))
end

local function recognise(files)
	return safetensors.recognise(readings.folder(leavings.new(files)))
end

describe("th.safetensors", function()
	after_each(leavings.clear)

	it("counts tensors and parameters by type", function()
		local reading = read({ ["model.safetensors"] = file('"format": "pt"') })
		assert.are.same({ tensors = 2, parameters = 7, dtypes = { F16 = 6, F32 = 1 } }, reading.model)
		assert.is_nil(reading.outcome)
		assert.is_nil(reading.hyperparams)
		assert.are.same({}, reading.final_metrics)
	end)

	it("reads the training that kohya's scripts wrote", function()
		local reading = read({ ["cat.safetensors"] = file(TRAINED) })
		assert.are.same({ final = 1600, planned = 2000 }, reading.steps)
		assert.are.same({ final = 8, planned = 10 }, reading.epochs)
		assert.are.equal("incomplete_state", reading.outcome)
		assert.are.same({ lr = 0.0001, max_steps = 2000, num_epochs = 10, lora_rank = 32,
			lora_alpha = 16.0, seed = 7, optimizer = "AdamW8bit", weight_decay = 0.1, bf16 = true },
			reading.hyperparams)
		assert.are.equal(true, reading.raw_hyperparams.ss_cache_latents)
		assert.is_nil(reading.raw_hyperparams.ss_network_dropout)
		assert.are.equal("sd15.safetensors", reading.base_model)
		assert.are.equal("10_cat", reading.dataset)
		assert.are.equal("2023-11-14T22:13:20+00:00", reading.start_time)
		assert.are.equal("2023-11-14T23:13:20+00:00", reading.end_time)
		assert.are.equal("cat.safetensors: ss_steps", reading.sources.steps)
	end)

	it("takes the last of the files of one training, and the last training", function()
		local function of(step, start)
			return file(('"ss_steps": "%d", "ss_training_started_at": "%d"'):format(step, start))
		end
		local reading = read({ ["cat-000001.safetensors"] = of(100, 5),
			["cat.safetensors"] = of(300, 5), ["cat-000002.safetensors"] = of(200, 5),
			["aold.safetensors"] = of(900, 4) })
		assert.are.equal("cat.safetensors", reading.checkpoints.last)
		assert.are.equal(300, reading.steps.final)
		assert.is_nil(reading.outcome)
	end)

	it("adds the shards of an index up and tells of one that is missing", function()
		local reading, _, warnings = read({
			["model.safetensors.index.json"] = '{"weight_map": {"a": "m-1.safetensors", '
				.. '"b": "m-1.safetensors", "c": "m-2.safetensors", "d": "m-3.safetensors"}}',
			["m-1.safetensors"] = file(), ["m-2.safetensors"] = file() })
		assert.are.equal(14, reading.model.parameters)
		assert.matches("m%-3.safetensors: no such file", warnings[1])
	end)

	it("is sure only of a file that holds a training", function()
		assert.are.equal(75, recognise({ ["a.safetensors"] = file(TRAINED) }).score)
		assert.is_true(recognise({ ["a.safetensors"] = file() }).score <= 10)
		assert.is_true(recognise({ ["x.safetensors.index.json"] = '{"weight_map": {}}' }).score <= 10)
		assert.is_nil(recognise({ ["a.safetensors"] = "PK" }))
		assert.is_nil(recognise({ ["a.json"] = "{}" }))
	end)

	for what, case in pairs({
		["a git-LFS pointer"] = { "version https://git-lfs.github.com/spec/v1\noid x\nsize 9\n",
			"lfs_pointer" },
		["an empty file"] = { "", "bad_safetensors" },
		["a length beyond the file"] = { ("<I8"):pack(1 << 40) .. "{}", "bad_safetensors" },
		["a negative length"] = { ("<i8"):pack(-5) .. "{}", "bad_safetensors" },
		["a cut header"] = { ("<I8"):pack(8) .. '{"a": 1,', "bad_safetensors" },
		["a tensor that is none"] = { events.safetensors('{"a": 1}'), "bad_safetensors" },
		["a shape of texts"] = { events.safetensors('{"a": {"dtype": "F16", "shape": ["x"]}}'),
			"bad_safetensors" },
		["an array"] = { events.safetensors("{}"):gsub("{}", "[]"), "bad_safetensors" },
	}) do
		it("refuses " .. what .. " and names the file", function()
			local reading, err = read({ ["m.safetensors"] = case[1] })
			assert.is_nil(reading)
			assert.are.equal(case[2], err.code)
			assert.matches("m.safetensors", err.message)
		end)
	end

	it("has nothing to say of an empty directory", function()
		assert.are.equal("no_data", select(2, read({})).code)
	end)
end)
