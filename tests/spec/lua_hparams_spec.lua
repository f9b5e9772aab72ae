local hparams = require("th.hparams")
local lines = require("th.lines")

describe("th.hparams", function()
	it("maps spellings to standard names and types them", function()
		local values, problems = hparams.standard({ ["--learning-rate"] = "2e-05", fp16 = "True",
			per_device_train_batch_size = "3", num_train_epochs = "3.0", ["LR Scheduler"] = "linear",
			unknown = "x", seed = require("th.json").null })
		assert.are.same({ lr = 2e-05, fp16 = true, batch_size = 3, num_epochs = 3, scheduler = "linear" },
			values)
		assert.are.equal("integer", math.type(values.num_epochs))
		assert.are.same({}, problems)
	end)

	it("leaves out and reports a value of the wrong type", function()
		local values, problems = hparams.standard({ lr = "auto", batch_size = "3.5", fp16 = "maybe" })
		assert.are.same({}, values)
		assert.are.same({ "batch_size: expected a whole number, got '3.5'",
			"fp16: expected true or false, got 'maybe'", "lr: expected a number, got 'auto'" }, problems)
	end)

	it("reads flags of an argument list", function()
		assert.are.same({ lr = "1e-4", max_steps = "-1", do_train = true, name = "a b", n = "2" },
			hparams.argv({ "python", "t.py", "--lr", "1e-4", "--max-steps=-1", "--do_train", "--name", "a b",
				"-n", "1", "-n", "2" }))
	end)

	it("takes a negative number for a value, not for a flag", function()
		assert.are.same({ max_chunks = "-1" }, hparams.argv({ "--max_chunks", "-1" }))
	end)

	it("keeps blanks in a path of a command line that was not quoted", function()
		assert.are.same({ model_path = "/my models/x", seed = "42" },
			hparams.command_line("python train.py --model_path /my models/x --seed 42"))
	end)

	it("reads a banner; of equals the last counts", function()
		assert.are.same({ learning_rate = "2e-05", gpu_config = "CUDA_VISIBLE_DEVICES=0" },
			hparams.banner(lines.of({ "  Learning Rate:        1e-05",
				"GPU Config:   CUDA_VISIBLE_DEVICES=0",
				"  Learning Rate:        2e-05", "====", "no banner" })))
	end)

	it("reads TrainingArguments printed over many lines", function()
		local found = hparams.training_arguments(lines.of({ "x - TrainingArguments(",
			"learning_rate=5e-05,", "logging_dir=out/runs/May31,", "max_steps=-1,",
			"optim=adamw_torch,", ")", "after" }))
		assert.are.same({ learning_rate = 5e-05, logging_dir = "out/runs/May31", max_steps = -1,
			optim = "adamw_torch" }, found)
	end)

	it("tells when the repr goes on in lines it was not given", function()
		local found, is_cut = hparams.training_arguments(lines.of({ "TrainingArguments(" }))
		assert.is_nil(found)
		assert.is_true(is_cut)
	end)

	it("settles what transformers overrides", function()
		assert.are.same({ max_steps = 50, optimizer = "adamw" },
			hparams.settle_hf({ max_steps = 50, num_epochs = 3 }, { adafactor = false }))
		assert.are.same({ num_epochs = 3 }, hparams.settle_hf({ max_steps = -1, num_epochs = 3 }, {}))
	end)

	it("lays later tables over earlier ones", function()
		assert.are.same({ a = 2, b = 1, c = 3 }, hparams.merge({ a = 1, b = 1 }, nil, { a = 2, c = 3 }))
	end)

	it("finds the model and the data that a configuration names", function()
		assert.are.equal("bert", hparams.base_model({ _name_or_path = "x", model_name_or_path = "bert" }))
		assert.are.equal("bert", hparams.base_model({ model = { base_model = "bert" } }))
		assert.are.equal("mnist", hparams.dataset({ data = { dataset = "mnist" }, lr = 1 }))
		assert.is_nil(hparams.base_model({ a = { base_model = "x" }, b = { base_model = "y" } }))
		assert.is_nil(hparams.dataset({ dataset = { name = "mnist" } }))
		assert.is_nil(hparams.dataset({ dataset = "None", data_path = "" }))
	end)
end)
