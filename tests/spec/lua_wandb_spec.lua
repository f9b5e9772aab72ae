local leavings = require "support.leavings"
local wandb = require("th.wandb")

local TRACE = "Traceback (most recent call last):\n  File \"train.py\", line 3, in <module>\n"

local function read(texts)
	return leavings.read(wandb, texts)
end

--- What a run with this console says of its end.
local function ended(log, more)
	local texts = { ["output.log"] = log, ["wandb-summary.json"] = "{}" }
	for name, text in pairs(more or {}) do
		texts[name] = text
	end
	local reading = read(texts)
	return reading.outcome, reading.error, reading.sources.outcome
end

describe("th.wandb", function()
	it("takes the numbers of the summary, those of nested dicts by their dotted name", function()
		local reading = read { ["wandb-summary.json"] = '{"train/loss": 0.5, "epoch": 3, "_step": 9, ' ..
			'"_wandb": {"runtime": 2}, "note": "x", "flag": true, "none": null, "nan": "NaN", ' ..
			'"up": Infinity, "eval": {"f1": 0.25, "per class": {"a": 1}, "name": "x"}, ' ..
			'"hist": {"_type": "histogram", "values": [1], "bins": [0, 1]}, "list": [1, 2], ' ..
			'"table": {"_type": "table-file", "nrows": 16}}' }
		local found = reading.final_metrics
		assert.is_true(found.nan ~= found.nan)
		found.nan = nil
		assert.are.same({ ["train/loss"] = 0.5, epoch = 3, up = math.huge, ["eval.f1"] = 0.25,
			["eval.per class.a"] = 1 }, found)
		assert.are.equal("wandb-summary.json", reading.sources["final_metrics.epoch"])
		assert.is_nil(reading.outcome)
		assert.is_nil(reading.best)
	end)

	it("knows what define_metric keeps", function()
		local reading = read { ["wandb-summary.json"] =
			'{"val/acc": {"max": 0.9, "last": 0.8}, "loss": 1}' }
		assert.are.same({ ["val/acc"] = 0.8, loss = 1 }, reading.final_metrics)
		assert.are.same({ metric = "val/acc", value = 0.9, mode = "max", declared = true },
			reading.best)
		assert.is_nil(read({ ["wandb-summary.json"] = '{"a": {"max": 1}, "b": {"min": 2}}' }).best)
		assert.is_nil(read({ ["wandb-summary.json"] = '{"a": {"max": 1, "min": 2}}' }).best)
	end)

	it("reads a configuration that PyYAML wrote", function()
		local reading = read { ["config.yaml"] = "wandb_version: 1\n\n_wandb:\n  desc: null\n  value:\n" ..
			"    start_time: 1705055870.8\nlr:\n  desc: null\n  value: 1.0e-05\ntag:\n  desc: null\n" ..
			"  value: 1e-05\nfp16:\n  desc: null\n  value: false\nnone:\n  desc: null\n  value: null\n" ..
			"args:\n  desc: x\n  value: '{''train'': {''batch_size'': 16, ''lr'': 2.0}, ''n'': None}'\n" ..
			"obj:\n  desc: null\n  value: !!python/object:a.B\n    x: 1\nbare: 3\n" }
		local raw = reading.raw_hyperparams
		assert.are.same({ 1e-05, "1e-05", false, 3 }, { raw.lr, raw.tag, raw.fp16, raw.bare })
		assert.are.same({ x = 1 }, raw.obj)
		assert.is_nil(raw._wandb or raw.wandb_version)
		assert.are.equal("string", type(raw.args))
		assert.are.same({ lr = 1e-05, fp16 = false, batch_size = 16 }, reading.hyperparams)
		assert.are.equal("2024-01-12T10:37:50+00:00", reading.start_time)
	end)

	it("reads a configuration that Go wrote", function()
		local reading = read { ["config.yaml"] = "_name_or_path:\n    value: bert-base\n_wandb:\n" ..
			"    value:\n        cli_version: 0.18.5\nadam_epsilon:\n    value: 1e-08\n" ..
			"max_steps:\n    value: -1\nnum_train_epochs:\n    value: 3\n" ..
			"per_device_train_batch_size:\n    value: 8\n" }
		assert.are.equal(1e-08, reading.raw_hyperparams.adam_epsilon)
		assert.are.equal("bert-base", reading.base_model)
		assert.are.same({ adam_epsilon = 1e-08, num_epochs = 3, batch_size = 8 }, reading.hyperparams)
	end)

	it("takes the command's flags where no configuration was logged", function()
		local reading = read { ["wandb-metadata.json"] = '{"program": "-m pkg.train", "args": ' ..
			'["--lr", "0.1", "--fp16"], "host": "devbox", "git": {"remote": "u", "commit": "49"}, ' ..
			'"startedAt": "2026-04-13T08:50:42.528606Z", "state": "running"}',
			["wandb-summary.json"] = '{"_timestamp": 1705055964.9}' }
		assert.are.same({ lr = "0.1", fp16 = true }, reading.raw_hyperparams)
		assert.are.same({ "-m pkg.train --lr 0.1 --fp16", "devbox", "49" },
			{ reading.command, reading.host, reading.git_commit })
		assert.are.same({ "2026-04-13T08:50:42.528606Z", "2024-01-12T10:39:24+00:00" },
			{ reading.start_time, reading.end_time })
		assert.is_nil(reading.outcome)
	end)

	it("knows a run that ended in an error", function()
		assert.are.same({ "failed", "ValueError: bad", "inferred:output.log" },
			{ ended("epoch 1\n" .. TRACE .. "ValueError: bad\nwandb: Waiting\n\n") })
		assert.are.equal("interrupted", (ended(TRACE .. "KeyboardInterrupt\n")))
		assert.are.equal("completed_then_crashed", (ended(TRACE .. "ValueError: bad\n",
			{ ["wandb-summary.json"] = '{"train_runtime": 3.5}' })))
	end)

	it("knows an error that was not the end", function()
		assert.is_nil((ended(TRACE .. "ValueError: bad\n" .. ("epoch 1\n"):rep(30))))
		assert.is_nil((ended("Exception ignored in: <f>\n" .. TRACE .. "ValueError: bad\n")))
		assert.is_nil((ended("loss 0.5\n")))
	end)

	it("takes the exit code from wandb's own log", function()
		local log = "2023-12-11 INFO MainThread:1 [wandb_run.py:_atexit_cleanup():2230] got exitcode: %d\n"
		for code, outcome in pairs { [0] = "completed", [1] = "failed", [255] = "interrupted" } do
			assert.are.equal(outcome, (ended("x\n", { ["logs/debug.log"] = log:format(code) })))
		end
		assert.are.equal("completed", (ended("x\n", { ["logs/debug-internal.log"] =
			"INFO SenderThread:49 [sender.py:send_exit():598] handling exit code: 0\n" })))
	end)

	it("takes the state that versions before 0.10 kept", function()
		assert.are.equal("failed", (ended("", { ["wandb-metadata.json"] = '{"state": "failed"}' })))
	end)

	it("takes the newest run that has a summary, and latest-run once", function()
		local summary = '{"acc": %d}'
		local texts = { ["wandb/run-20240101_000000-aa/files/wandb-summary.json"] = summary:format(1),
			["wandb/offline-run-20240301_000000-bb/files/wandb-metadata.json"] = "{}",
			["wandb/run-20240201_000000-cc/files/wandb-summary.json"] = summary:format(2),
			["wandb/run-20240201_000000-cc/files/model-best.h5"] = "x",
			["wandb/latest-run/files/wandb-summary.json"] = summary:format(2),
			["wandb/latest-run/run-cc.wandb"] = "x" }
		local known = leavings.recognise(wandb, texts)
		assert.are.same({ "wandb/run-20240201_000000-cc", "wandb/run-20240101_000000-aa",
			"wandb/offline-run-20240301_000000-bb" }, known.runs)
		local reading = read(texts)
		assert.are.same({ acc = 2 }, reading.final_metrics)
		assert.are.same({ best = "wandb/run-20240201_000000-cc/files/model-best.h5" },
			reading.checkpoints)
		texts["wandb/latest-run/run-cc.wandb"] = nil
		assert.are.equal("wandb/latest-run", leavings.recognise(wandb, texts).runs[1])
	end)

	it("says what is missing where only the binary log is", function()
		local reading, err = read { ["wandb/offline-run-20240301_000000-bb/run-bb.wandb"] = "x" }
		assert.is_nil(reading)
		assert.are.equal("no_data", err.code)
		assert.matches("wandb sync", err.hint)
	end)

	it("does not answer for another's files", function()
		for _, texts in ipairs { { ["config.yaml"] = "lr:\n  value: 1\n" }, { ["output.log"] = "x" },
			{ ["wandb-summary.json"] = "version https://git-lfs.github.com/spec/v1\n" },
			{ ["wandb-summary.json"] = "" } } do
			assert.is_nil(leavings.recognise(wandb, texts))
			assert.are.equal("not_a_training_record", select(2, read(texts)).code)
		end
	end)

	it("reads on beside a broken part", function()
		local reading, _, warnings = read { ["wandb-summary.json"] = '{"acc": ',
			["wandb-metadata.json"] = '{"args": "x", "program": 3, "git": []}',
			["config.yaml"] = "wandb_version: 1\nlr:\n  value: fast\n" }
		assert.are.same({}, reading.final_metrics)
		assert.are.same({ lr = "fast" }, reading.raw_hyperparams)
		assert.are.equal(2, #warnings)
		assert.matches("^'wandb%-summary.json': ", warnings[1])
		assert.are.equal("'config.yaml': lr: expected a number, got 'fast'", warnings[2])
	end)
end)
