local events = require("support.events")
local huggingface = require("th.huggingface")
local leavings = require("support.leavings")
local readings = require("support.readings")

local LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"

--- A trainer_state.json: `fields` is JSON text that follows the usual ones.
local function state(step, max, history, fields)
	return ('{"best_metric": null, "epoch": %s, "global_step": %d, "log_history": [%s], '
		.. '"max_steps": %d, "num_train_epochs": 4%s}'):format(step / max * 4, step, history or "", max,
		fields and ", " .. fields or "")
end

local SUMMARY = '{"step": 40, "epoch": 4.0, "train_loss": 0.75, "train_runtime": 9.5}'
local LOSSES = '{"step": 10, "loss": 0.9, "learning_rate": 5e-05}, {"step": 20, "loss": 0.5}'
local EVALS = '{"step": 20, "epoch": 2.0, "eval_loss": 0.25, "eval_f1": 0.75, "eval_runtime": 1}, '
	.. '{"step": 40, "epoch": 4.0, "eval_loss": 0.5, "eval_f1": 0.875}'
local DONE = state(40, 40, table.concat({ LOSSES, EVALS, SUMMARY }, ", "))

local function read(files)
	return readings.read(huggingface, leavings.new(files))
end

local function recognise(files)
	return huggingface.recognise(readings.folder(leavings.new(files)))
end

--- The disagreement about something, as "from=value | from=value".
local function disagreement(reading, what)
	for _, item in ipairs(reading.disagreements or {}) do
		if item.what == what then
			return ("%s=%s | %s=%s"):format(item.values[1].from, item.values[1].value,
				item.values[2].from, item.values[2].value)
		end
	end
end

describe("th.huggingface", function()
	after_each(leavings.clear)

	describe("trainer_state.json", function()
		it("tells outcome, progress, metrics and the training's last values", function()
			local reading = read({ ["trainer_state.json"] = DONE })
			assert.are.equal("completed", reading.outcome)
			assert.are.same({ final = 40, planned = 40 }, reading.steps)
			assert.are.same({ final = 4.0, planned = 4 }, reading.epochs)
			assert.are.same({ eval_loss = 0.5, eval_f1 = 0.875 }, reading.final_metrics)
			assert.are.same({ loss = 0.5 }, reading.train)
			assert.are.equal(9.5, reading.train_summary.train_runtime)
			assert.is_nil(reading.best)
			assert.are.equal("trainer_state.json: global_step", reading.sources.steps)
			assert.matches("last evaluation, step 40", reading.sources["final_metrics.eval_f1"])
		end)

		for word, case in pairs({
			completed_early = state(20, 40, SUMMARY), incomplete_state = state(20, 40, LOSSES),
			reached_max_steps_no_summary = state(40, 40, LOSSES),
		}) do
			it("ends as " .. word, function()
				assert.are.equal(word, read({ ["trainer_state.json"] = case }).outcome)
			end)
		end

		it("names the best with its checkpoint, of either separator, and whether it is there", function()
			local best = DONE:gsub('"best_metric": null',
				'"best_metric": 0.25, "best_model_checkpoint": ".\\\\out\\\\checkpoint-20"')
			local reading = read({ ["trainer_state.json"] = best, ["checkpoint-20/a.bin"] = "",
				["checkpoint-30/a.bin"] = "" })
			assert.are.same({ metric = "eval_loss", value = 0.25, mode = "min", step = 20, epoch = 2.0,
				checkpoint = ".\\out\\checkpoint-20", checkpoint_name = "checkpoint-20",
				declared = true, values = { eval_loss = 0.25, eval_f1 = 0.75 } }, reading.best)
			assert.are.same({ best = "checkpoint-20", last = "checkpoint-30" }, reading.checkpoints)
			assert.is_nil(read({ ["trainer_state.json"] = best,
				["checkpoint-30/a.bin"] = "" }).checkpoints.best)
		end)

		it("names the best metric as the arguments do where several have the value", function()
			local files = { ["trainer_state.json"] = state(40, 40, '{"step": 10, "eval_a": 0.5}, '
				.. '{"step": 20, "eval_a": 0.5, "eval_z": 0.5}'):gsub('"best_metric": null',
				'"best_metric": 0.5, "best_global_step": 20') }
			local plain = read(files).best
			assert.are.same({ "eval_a", "max", 20 }, { plain.metric, plain.mode, plain.step })
			files["args.json"] = '{"learning_rate": 0.1, "num_train_epochs": 4, '
				.. '"metric_for_best_model": "z", "greater_is_better": false}'
			local named = read(files).best
			assert.are.same({ "eval_z", "min", 20 }, { named.metric, named.mode, named.step })
		end)

		it("reads the newest checkpoint when it is ahead, and says so", function()
			local reading, _, warnings = read({ ["trainer_state.json"] = DONE,
				["all_results.json"] = '{"eval_f1": 0.5, "eval_runtime": 1, "train_runtime": 9.5}',
				["checkpoint-60/trainer_state.json"] = state(60, 80, '{"step": 60, "eval_f1": 0.1}') })
			assert.are.same({ final = 60, planned = 80 }, reading.steps)
			assert.are.equal("incomplete_state", reading.outcome)
			assert.are.equal("checkpoint-60/trainer_state.json=60 | trainer_state.json=40",
				disagreement(reading, "steps"))
			assert.matches("step 60 and trainer_state.json at step 40", warnings[1])
			assert.are.same({ eval_f1 = 0.1 }, reading.final_metrics) -- the results are the run before's
			assert.is_truthy(disagreement(reading, "final_metrics.eval_f1"))
		end)

		it("keeps a top-level state that is much newer than a longer run's checkpoint", function()
			local dir = leavings.new({ ["trainer_state.json"] = DONE,
				["checkpoint-60/trainer_state.json"] = state(60, 80) })
			leavings.touch(dir .. "/checkpoint-60/trainer_state.json", 1700000000)
			local reading = readings.read(huggingface, dir)
			assert.are.equal(40, reading.steps.final)
			assert.are.equal("trainer_state.json=40 | checkpoint-60/trainer_state.json=60",
				disagreement(reading, "steps"))
		end)

		it("falls back to an older checkpoint when the newest is broken", function()
			local reading, _, warnings = read({ ["checkpoint-9/trainer_state.json"] = state(9, 40),
				["checkpoint-10/trainer_state.json"] = '{"global_step": 10, "log_hist' })
			assert.are.equal(9, reading.steps.final)
			assert.matches("checkpoint%-10/trainer_state.json: ", warnings[1])
		end)

		it("does not read an older checkpoint at all", function()
			local reading, _, warnings = read({ ["trainer_state.json"] = DONE,
				["checkpoint-20/trainer_state.json"] = "{broken" })
			assert.are.equal(40, reading.steps.final)
			assert.are.same({}, warnings)
		end)

		it("survives wrong types in every field", function()
			for _, field in ipairs({ '"epoch": "x"', '"log_history": 7', '"max_steps": "9"',
				'"log_history": [1, null, {"eval_loss": "x", "loss": {}}]', '"num_train_epochs": []',
				'"best_metric": {}', '"best_metric": 1, "best_model_checkpoint": 5' }) do
				local reading = read({ ["trainer_state.json"] = ('{"total_flos": 0, "global_step": 7, %s}')
					:format(field) })
				assert.are.equal(7, reading.steps.final, field)
			end
		end)

		it("does not take int64's maximum for a plan", function()
			local reading = read({ ["trainer_state.json"] = (DONE:gsub('"num_train_epochs": 4',
				'"num_train_epochs": 9223372036854775807')) })
			assert.are.same({ final = 4.0 }, reading.epochs)
			assert.are.equal(40, reading.hyperparams.max_steps)
		end)

		it("has test_* where eval_* was never measured", function()
			local test = '{"step": 9, "test_f1": 0.5, "test_runtime": 1}'
			assert.are.same({ test_f1 = 0.5 },
				read({ ["trainer_state.json"] = state(9, 9, test) }).final_metrics)
			assert.are.same({ eval_f1 = 0.25 }, read({ ["trainer_state.json"] =
				state(9, 9, '{"step": 9, "eval_f1": 0.25}, ' .. test) }).final_metrics)
		end)

		it("keeps NaN", function()
			local reading = read({ ["trainer_state.json"] =
				state(9, 9, '{"step": 9, "eval_loss": NaN, "loss": NaN}') })
			assert.are_not.equal(reading.final_metrics.eval_loss, reading.final_metrics.eval_loss)
			assert.are_not.equal(reading.last_loss, reading.last_loss)
		end)

		it("sees that a mean loss below every logged one is a resumed run's", function()
			local reading = read({ ["trainer_state.json"] =
				state(40, 40, '{"step": 10, "loss": 0.9}, ' .. SUMMARY) })
			assert.matches("trainer_state.json=0.75 | .*resumed.*=0.9",
				disagreement(reading, "train_summary.train_loss"))
			assert.is_nil(disagreement(read({ ["trainer_state.json"] = DONE }),
				"train_summary.train_loss"))
		end)
	end)

	describe("*_results.json", function()
		it("come before the log's last evaluation, and a difference is told", function()
			local reading = read({ ["trainer_state.json"] = DONE,
				["eval_results.json"] = '{"eval_loss": 0.25, "eval_runtime": 3, "perplexity": 1.28}' })
			assert.are.same({ eval_loss = 0.25, perplexity = 1.28 }, reading.final_metrics)
			assert.are.equal("eval_results.json", reading.sources["final_metrics.eval_loss"])
			assert.are.equal("eval_results.json=0.25 | trainer_state.json: last evaluation, step 40=0.5",
				disagreement(reading, "final_metrics.eval_loss"))
		end)

		it("are not contradicted by a value that is rounded", function()
			local reading = read({ ["trainer_state.json"] = DONE,
				["all_results.json"] = '{"eval_f1": 0.88, "train_loss": 0.8, "train_runtime": 9.5}' })
			assert.is_nil(reading.disagreements)
			assert.are.equal(0.88, reading.final_metrics.eval_f1)
		end)

		it("disagree with each other and with a summary", function()
			local reading = read({ ["all_results.json"] = '{"eval_f1": 0.5, "eval_runtime": 1, '
				.. '"train_loss": 0.25, "train_runtime": 1}', ["eval_results.json"] =
				'{"eval_f1": 0.75, "eval_runtime": 1}', ["final_summary.json"] =
				'{"learning_rate": 0.1, "epochs": 2, "metrics": {"train_loss": 0.5, "train_runtime": 1}}' })
			assert.are.equal("eval_results.json=0.75 | all_results.json=0.5",
				disagreement(reading, "final_metrics.eval_f1"))
			assert.are.equal("all_results.json=0.25 | final_summary.json=0.5",
				disagreement(reading, "train_summary.train_loss"))
			assert.are.equal(0.1, reading.hyperparams.lr)
			assert.are.equal(2, reading.hyperparams.num_epochs)
		end)

		it("alone tell metrics but no progress and no outcome", function()
			local reading = read({ ["all_results.json"] =
				'{"epoch": 3.0, "eval_f1": 0.5, "predict_bleu-4": 9, "train_runtime": 5}' })
			assert.are.same({ eval_f1 = 0.5, ["predict_bleu-4"] = 9 }, reading.final_metrics)
			assert.is_nil(reading.steps)
			assert.is_nil(reading.epochs)
			assert.is_nil(reading.outcome)
			assert.are.equal(5, reading.train_summary.train_runtime)
		end)

		it("of a prediction are no training", function()
			local reading = read({ ["predict_results.json"] =
				'{"predict_bleu-4": 9.5, "predict_runtime": 5, "predict_model_preparation_time": 1}',
				["trainer_log.jsonl"] = '{"current_steps": 5, "total_steps": 9, "percentage": 55}\n' })
			assert.are.equal("predict_only", reading.outcome)
			assert.is_nil(reading.steps)
			assert.are.same({ ["predict_bleu-4"] = 9.5 }, reading.final_metrics)
		end)

		it("leave bytes of memory and counts aside", function()
			assert.are.same({ test_rouge1 = 41.5 }, read({ ["test_results.json"] =
				'{"test_rouge1": 41.5, "test_mem_gpu_alloc_delta": 5, "test_samples": 3, '
				.. '"test_runtime": 9}' }).final_metrics)
		end)

		it("complete a checkpoint at the planned end", function()
			assert.are.equal("completed", read({ ["checkpoint-40/trainer_state.json"] = state(40, 40),
				["train_results.json"] = '{"train_runtime": 5}' }).outcome)
		end)
	end)

	describe("LLaMA-Factory", function()
		local function line(step, rest)
			return ('{"current_steps": %d, "total_steps": 40%s}\n'):format(step, rest)
		end

		it("has its progress, last loss and best in trainer_log.jsonl", function()
			local reading = read({ ["trainer_log.jsonl"] = line(10, ', "loss": 0.5, "lr": 1e-05, "epoch": 1.0')
				.. line(10, ', "eval_loss": 0.25, "epoch": 1.0') .. line(20, ', "eval_loss": 0.75')
				.. line(20, ', "percentage": 50.0') })
			assert.are.same({ final = 20, planned = 40 }, reading.steps)
			assert.are.equal(0.5, reading.last_loss)
			assert.are.same({ eval_loss = 0.75 }, reading.final_metrics)
			assert.are.same({ metric = "eval_loss", value = 0.25, mode = "min", step = 10, epoch = 1.0,
				declared = false }, reading.best)
			assert.is_nil(reading.outcome)
		end)

		it("tells a resumed run, written by two ranks, from a new one", function()
			local loss = ', "loss": 1'
			local resumed = read({ ["trainer_log.jsonl"] = line(10, loss) .. line(10, loss)
				.. line(20, loss) .. line(20, loss) .. line(30, ', "eval_loss": 0.5') .. line(30, loss)
				.. line(20, loss) .. line(20, loss) .. line(30, loss) })
			assert.are.equal(10, resumed.resumed_from)
			assert.are.equal(0.5, resumed.final_metrics.eval_loss)
			local anew = read({ ["trainer_log.jsonl"] = line(10, loss) .. line(20, ', "eval_loss": 0.5')
				.. line(10, loss) })
			assert.is_nil(anew.resumed_from)
			assert.are.equal(10, anew.steps.final)
			assert.are.same({}, anew.final_metrics)
		end)

		it("keeps what lies before a torn line", function()
			assert.are.equal(10, read({ ["trainer_log.jsonl"] =
				line(10, ', "loss": 1') .. '{"current_st' }).steps.final)
		end)

		it("has its arguments, model and data in YAML", function()
			local reading = read({ ["trainer_log.jsonl"] = line(10, ', "loss": 1'),
				["run.yaml"] = "model_name_or_path: org/base\nfinetuning_type: lora\ndataset: a,b\n"
				.. "learning_rate: 1.0e-4\nnum_train_epochs: 3.0\nlora_rank: 8\ncutoff_len: 512\n",
				["other.yaml"] = "services: [web]\n",
				["adapter_config.json"] = '{"peft_type": "LORA", "r": 16, "lora_alpha": 32, '
				.. '"base_model_name_or_path": "/mnt/models/base"}' })
			assert.are.same({ lr = 0.0001, num_epochs = 3, lora_rank = 8, max_length = 512,
				lora_alpha = 32.0 }, reading.hyperparams)
			assert.are.equal("org/base", reading.base_model)
			assert.is_nil(disagreement(reading, "base_model")) -- the same model under another path
			assert.are.equal("a,b", reading.dataset)
			assert.are.equal("run.yaml=8 | adapter_config.json=16",
				disagreement(reading, "hyperparams.lora_rank"))
		end)
	end)

	describe("the model card", function()
		local CARD = "---\nbase_model: org/base\ndatasets:\n- first\n- second\ntags:\n"
			.. "- generated_from_trainer\n---\n\n# x\n\nThis model is a fine-tuned version of "
			.. "[org/base](https://x) on the y dataset.\nIt achieves the following results on the "
			.. "evaluation set:\n- Loss: 0.5\n- F1: 0.75\n\n### Training hyperparameters\n\n"
			.. "The following hyperparameters were used during training:\n- learning_rate: 5e-05\n"
			.. "- train_batch_size: 16\n- optimizer: Use OptimizerNames.ADAMW_TORCH with "
			.. "betas=(0.9,0.999) and epsilon=1e-08\n- lr_scheduler_warmup_steps: 500\n"
			.. "- training_steps: 5000\n\n### Training results\n- not: one\n"

		it("has hyperparameters, data, base model and, with nothing else, results", function()
			local reading = read({ ["README.md"] = CARD })
			assert.are.same({ lr = 5e-05, batch_size = 16, optimizer = "adamw_torch", adam_beta1 = 0.9,
				adam_beta2 = 0.999, adam_epsilon = 1e-08, warmup_steps = 500, max_steps = 5000 },
				reading.hyperparams)
			assert.are.equal("first, second", reading.dataset)
			assert.are.equal("org/base", reading.base_model)
			assert.are.same({ Loss = 0.5, F1 = 0.75 }, reading.final_metrics)
			assert.matches("rounded", reading.sources["final_metrics.F1"])
			assert.is_nil(reading.raw_hyperparams["not"])
		end)

		it("does not overrule what was measured", function()
			assert.are.same({ eval_loss = 0.5, eval_f1 = 0.875 },
				read({ ["README.md"] = CARD, ["trainer_state.json"] = DONE }).final_metrics)
		end)

		it("marks a base model that only a sentence names", function()
			local reading = read({ ["README.md"] = (CARD:gsub("base_model: org/base\n", "")) })
			assert.are.equal("org/base", reading.base_model)
			assert.matches("^inferred: ", reading.sources.base_model)
		end)
	end)

	describe("the base model", function()
		it("is the adapter's rather than the configuration's, which is a conclusion", function()
			local config = '{"_name_or_path": "org/guess", "model_type": "bert"}'
			local reading = read({ ["trainer_state.json"] = DONE, ["config.json"] = config })
			assert.are.equal("org/guess", reading.base_model)
			assert.are.equal("inferred: config.json: _name_or_path", reading.sources.base_model)
			reading = read({ ["checkpoint-40/trainer_state.json"] = DONE, ["config.json"] = config,
				["checkpoint-40/adapter_config.json"] = '{"base_model_name_or_path": "org/base"}' })
			assert.are.equal("org/base", reading.base_model)
			assert.are.equal("checkpoint-40/adapter_config.json: base_model_name_or_path",
				reading.sources.base_model)
		end)

		it("is told twice when adapter and card differ", function()
			local reading = read({ ["trainer_state.json"] = DONE,
				["adapter_config.json"] = '{"base_model_name_or_path": "org/one"}',
				["README.md"] = "---\nbase_model: [org/two]\n---\n" })
			assert.are.equal("adapter_config.json: base_model_name_or_path=org/one | "
				.. "README.md: base_model=org/two", disagreement(reading, "base_model"))
		end)

		it("is read from the event file beside", function()
			local reading = read({ ["trainer_state.json"] = DONE, ["runs/a/events.out.tfevents.1.b.1.0"] =
				events.text("args/text_summary", '{"learning_rate": 0.5, "max_steps": -1, '
				.. '"num_train_epochs": 4}') .. events.text("model_config/text_summary",
				'{"_name_or_path": "org/base"}') })
			assert.are.equal("org/base", reading.base_model)
			assert.are.same({ 0.5, 4 }, { reading.hyperparams.lr, reading.hyperparams.num_epochs })
		end)
	end)

	describe("a log beside", function()
		local PRINTED = "{'loss': 0.9, 'learning_rate': 5e-05, 'epoch': 1.0}\n"
			.. "{'eval_loss': 0.25, 'eval_f1': 0.5, 'epoch': 1.0}\n{'eval_loss': 0.5, 'epoch': 2.0}\n"
		local ENDED = "{'train_runtime': 9.5, 'train_loss': 0.75, 'epoch': 2.0}\n"

		it("of version 4 or 5 is read when nothing else is left", function()
			local quoted = (PRINTED .. ENDED):gsub(": ([%d.e-]+)", ": '%1'")
			for _, console in ipairs({ PRINTED .. ENDED, quoted }) do
				local reading = read({ ["train.log"] = "***** Running training *****\n  Num Epochs = 2\n"
					.. "  Total optimization steps = 40\n" .. console })
				assert.are.equal("completed", reading.outcome)
				assert.are.same({ planned = 40 }, reading.steps)
				assert.are.same({ eval_loss = 0.5 }, reading.final_metrics)
				assert.are.same({ "eval_loss", 0.25, 1.0, false }, { reading.best.metric,
					reading.best.value, reading.best.epoch, reading.best.declared })
				assert.are.equal(0.9, reading.last_loss)
			end
		end)

		it("does not call a training interrupted whose bar is full", function()
			local function outcome(done)
				return read({ ["train.log"] = PRINTED .. (" 9%%|#   | %d/40 [01:12<30:21,  3.21it/s]\n")
					:format(done) }).outcome
			end
			assert.are.equal("interrupted", outcome(39))
			assert.is_nil(outcome(40)) -- where it ended, its summary may have gone elsewhere
		end)

		it("counts its last run only", function()
			local reading = read({ ["train.log"] = "***** Running training *****\n" .. PRINTED .. ENDED
				.. "***** Running training *****\n{'loss': 0.1, 'epoch': 0.5}\n" })
			assert.are.equal("interrupted", reading.outcome)
			assert.are.same({}, reading.final_metrics)
			assert.are.equal(0.1, reading.last_loss)
		end)

		it("tells that a training failed, or that a script did after it", function()
			local trace = "Traceback (most recent call last):\n  File \"x.py\", line 1\n"
				.. "ValueError: bad\n"
			local failed = read({ ["trainer_state.json"] = state(20, 40, LOSSES),
				["train.log"] = PRINTED .. trace })
			assert.are.same({ "failed", "ValueError: bad" }, { failed.outcome, failed.error })
			local crashed = read({ ["trainer_state.json"] = DONE, ["train.log"] = PRINTED .. ENDED .. trace })
			assert.are.same({ "completed_then_crashed", "ValueError: bad" },
				{ crashed.outcome, crashed.error })
			assert.are.equal("completed",
				read({ ["trainer_state.json"] = DONE, ["train.log"] = PRINTED .. ENDED }).outcome)
		end)

		it("has the arguments, one line or one line each, and the command line", function()
			for _, repr in ipairs({ "TrainingArguments(learning_rate=0.5, max_steps=-1, num_train_epochs=3.0)",
				"TrainingArguments(\nlearning_rate=0.5,\nmax_steps=-1,\nnum_train_epochs=3.0,\n)" }) do
				local reading = read({ ["nohup.out"] = "+ python run.py --model_name_or_path org/base "
					.. "--dataset_name data\n" .. repr .. "\n" .. PRINTED })
				assert.are.same({ lr = 0.5, num_epochs = 3 }, reading.hyperparams)
				assert.are.equal("org/base", reading.base_model)
				assert.are.equal("data", reading.dataset)
			end
		end)
	end)

	describe("several runs", function()
		it("are named, the newest first, and the newest is read", function()
			local dir = leavings.new({ ["sft/trainer_state.json"] = state(9, 40),
				["sft/checkpoint-9/trainer_state.json"] = state(9, 40),
				["dpo/checkpoint-7/trainer_state.json"] = state(7, 40), ["bot/trainer_state.json"] =
				'{"balance": 5}' })
			leavings.touch(dir .. "/sft/trainer_state.json", 1700000000)
			leavings.touch(dir .. "/sft/checkpoint-9/trainer_state.json", 1700000000)
			assert.are.same({ "dpo", "sft" }, huggingface.recognise(readings.folder(dir)).runs)
			local reading = readings.read(huggingface, dir)
			assert.are.same({ "dpo", 7, "dpo/checkpoint-7" },
				{ reading.run, reading.steps.final, reading.checkpoints.last })
		end)

		it("come after the folder itself", function()
			assert.are.same({ ".", "dpo" }, recognise({ ["trainer_state.json"] = DONE,
				["dpo/trainer_state.json"] = DONE }).runs)
			assert.is_nil(recognise({ ["trainer_state.json"] = DONE,
				["checkpoint-9/trainer_state.json"] = DONE }).runs)
		end)
	end)

	describe("recognition", function()
		for what, case in pairs({
			["a state"] = { 90, { ["trainer_state.json"] = DONE } },
			["a checkpoint's state"] = { 90, { ["checkpoint-1/trainer_state.json"] = DONE } },
			["LLaMA-Factory's log"] = { 90, { ["trainer_log.jsonl"] =
				'{"current_steps": 1, "total_steps": 2}\n' } },
			["results"] = { 80, { ["eval_results.json"] = '{"eval_runtime": 1.5}' } },
			["git-LFS pointers"] = { 60, { ["trainer_state.json"] = LFS } },
			["a card of the Trainer's"] = { 60, { ["README.md"] =
				"---\ntags:\n- generated_from_trainer\n---\n" } },
			["a log"] = { 50, { ["x.log"] = "{'loss': 0.5, 'epoch': 1}\n" } },
			["a hand-written state"] = { 40, { ["trainer_state.json"] =
				'{"best_metric": 1, "global_step": 5}' } },
			["an adapter"] = { 20, { ["adapter_config.json"] = '{"peft_type": "LORA"}' } },
		}) do
			it("gives " .. what .. " " .. case[1], function()
				local known = recognise(case[2])
				assert.are.equal(case[1], known.score)
				assert.matches("%w+%.%w+", known.why)
			end)
		end

		for what, files in pairs({
			["a trading bot's state"] = { ["trainer_state.json"] = '{"balance": 9.5, "global_step": 4}' },
			["another program's results"] = { ["test_results.json"] = '{"test_loss": 1, "ents_f": 2}' },
			["another program's metrics"] = { ["metrics.json"] = '{"train_loss": 1, "eval_time": 2}' },
			["a model's configuration"] = { ["config.json"] = '{"_name_or_path": "x"}' },
			["a README"] = { ["README.md"] = "# Read me\n\n- learning_rate: 5\n" },
			["a log"] = { ["a.log"] = "epoch 1 loss 0.5\n" },
			["nothing"] = {},
		}) do
			it("does not know " .. what .. ", and reads nothing from it", function()
				assert.is_nil(recognise(files))
				local reading, err = read(files)
				assert.is_nil(reading)
				assert.are.equal("not_a_training_record", err.code)
			end)
		end
	end)

	describe("what cannot be used", function()
		it("is told with the file's name", function()
			for _, text in ipairs({ '{"global_step": 5, "log_hi', "", "\0\1\2\255", "[1]", "null", "7" }) do
				local reading, err = read({ ["trainer_state.json"] = text })
				assert.is_nil(reading)
				assert.matches("trainer_state.json: ", err.message)
			end
		end)

		it("is left out of a reading of the rest, with a warning", function()
			local reading, _, warnings = read({ ["trainer_state.json"] = DONE,
				["eval_results.json"] = '{"eval_loss": 1, "eval_runtime"', ["adapter_config.json"] = "[" })
			assert.are.equal(40, reading.steps.final)
			assert.are.equal(2, #warnings)
			assert.matches("results.json: ", table.concat(warnings, "\n"))
			assert.matches("adapter_config.json: ", table.concat(warnings, "\n"))
		end)

		it("is a pointer when nothing was fetched, and passed over when something was", function()
			local reading, _, warnings = read({ ["trainer_state.json"] = LFS, ["all_results.json"] = LFS })
			assert.are.equal("no_data_lfs_pointer", reading.outcome)
			assert.are.same({}, reading.final_metrics)
			assert.is_nil(reading.steps)
			assert.matches("git lfs pull", warnings[1])
			assert.are.equal(9, read({ ["trainer_state.json"] = LFS,
				["checkpoint-9/trainer_state.json"] = state(9, 40) }).steps.final)
		end)
	end)
end)
