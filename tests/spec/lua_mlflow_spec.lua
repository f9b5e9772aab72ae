local leavings = require "support.leavings"
local mlflow = require("th.mlflow")

local A, B, C = ("a"):rep(32), ("b"):rep(32), ("c"):rep(32)

local function meta(fields)
	local all = { artifact_uri = "file:///x/artifacts", run_id = A, status = "3",
		lifecycle_stage = "active", start_time = "1632497206223", end_time = "1632497206274" }
	for name, value in pairs(fields or {}) do
		all[name] = value
	end
	local lines = {}
	for name, value in pairs(all) do
		lines[#lines + 1] = name .. ": " .. value
	end
	return table.concat(lines, "\n") .. "\n"
end

local function read(texts)
	return leavings.read(mlflow, texts)
end

describe("th.mlflow", function()
	it("reads metrics of every age, nested names and all", function()
		local reading, _, warnings = read { ["meta.yaml"] = meta(),
			["metrics/loss"] = "1 0.5 0\n2 0.25 10\n", ["metrics/old"] = "1539 0.75",
			["metrics/val/auc.roc"] = "1 1 0\n", ["metrics/a b"] = "1 nan 3\n",
			["metrics/up"] = "1 inf 0\n", ["metrics/down"] = "1 -Infinity 0\n",
			["metrics/new"] = "1 2.5e-05 7 train 9f8a m-1234\r\n\r\n",
			["metrics/empty"] = "", ["metrics/bad"] = "1 x 2\n", ["metrics/text"] = "soon 1 2\n" }
		local found = reading.final_metrics
		assert.are.equal(0.25, found.loss)
		assert.are.equal(0.75, found.old)
		assert.are.equal("integer", math.type(found["val/auc.roc"]))
		assert.is_true(found["a b"] ~= found["a b"])
		assert.are.same({ math.huge, -math.huge, 2.5e-05 }, { found.up, found.down, found.new })
		assert.are.same({}, { found.empty, found.bad, found.text })
		assert.are.equal(3, #warnings)
		assert.matches("^'metrics/bad' does not end in a time and a number$", warnings[1])
		assert.are.equal("metrics/loss: last line", reading.sources["final_metrics.loss"])
		assert.are.equal("completed", reading.outcome)
		assert.are.equal("2021-09-24T15:26:46+00:00", reading.end_time)
	end)

	it("finds the last line of a long file", function()
		local reading = read { ["meta.yaml"] = meta(),
			["metrics/loss"] = ("1632497206274 0.123456789 1\n"):rep(9999) .. "2 7 2\n" }
		assert.are.equal(7, reading.final_metrics.loss)
	end)

	for status, outcome in pairs { ["1"] = "running", ["2"] = "unknown", ["3"] = "completed",
		["4"] = "failed", ["5"] = "interrupted", FINISHED = "completed", FAILED = "failed",
		KILLED = "interrupted", RUNNING = "running" } do
		it("knows the status " .. status, function()
			local reading = read { ["meta.yaml"] = meta { status = status, end_time = "null" } }
			assert.are.equal(outcome, reading.outcome)
			assert.is_nil(reading.end_time)
		end)
	end

	it("warns of a status that it does not know, and of one that was left behind", function()
		local reading, _, warnings = read { ["meta.yaml"] = meta { status = "99" } }
		assert.is_nil(reading.outcome)
		assert.are.same({ "'meta.yaml': unknown status 99" }, warnings)
		warnings = select(3, read { ["meta.yaml"] = meta { status = "1" } })
		assert.are.same({ "'meta.yaml' says RUNNING" }, warnings)
	end)

	it("keeps parameters as texts and types those it knows", function()
		local reading = read { ["meta.yaml"] = meta(), ["params/lr"] = "1e-05",
			["params/model/batch_size"] = "32\n", ["params/opt"] = "None",
			["params/model_name_or_path"] = "bert-base" }
		assert.are.same({ lr = "1e-05", ["model/batch_size"] = "32", opt = "None",
			model_name_or_path = "bert-base" }, reading.raw_hyperparams)
		assert.are.equal(1e-05, reading.hyperparams.lr)
		assert.are.equal(32, reading.hyperparams.batch_size)
		assert.are.equal("bert-base", reading.base_model)
	end)

	it("reads tags and logged models", function()
		local reading = read { ["meta.yaml"] = meta { run_name = "from_meta" },
			["tags/mlflow.runName"] = "lucky-owl-1", ["tags/mlflow.parentRunId"] = B,
			["tags/mlflow.source.name"] = "train.py", ["tags/mlflow.source.git.commit"] = "0a28\n",
			["artifacts/model/MLmodel"] = "run_id: x\n", ["artifacts/best_model/MLmodel"] = "",
			["artifacts/later/x.pkl"] = "x",
			["tags/mlflow.log-model.history"] = '[{"artifact_path": "later"}, {"artifact_path": "no"}]' }
		assert.are.same({ "lucky-owl-1", B, "train.py", "0a28" }, { reading.name, reading.parent_run,
			reading.command, reading.git_commit })
		assert.are.same({ best = "artifacts/best_model", last = "artifacts/later" }, reading.checkpoints)
		assert.are.equal("from_meta", read({ ["meta.yaml"] = meta { run_name = "from_meta" } }).name)
	end)

	it("reads the experiment around the run, and the data that the run says it read", function()
		local reading = read { ["mlruns/7/meta.yaml"] = "artifact_location: x\nname: digits\n",
			["mlruns/7/tags/mlflow.experimentKind"] = "x",
			["mlruns/7/" .. A .. "/meta.yaml"] = meta(), ["mlruns/7/" .. A .. "/metrics/f1"] = "1 0.5 0",
			["mlruns/7/" .. A .. "/artifacts/m/MLmodel"] = "",
			["mlruns/7/" .. A .. "/inputs/1/meta.yaml"] = "source_id: d1\nsource_type: DATASET\n",
			["mlruns/7/datasets/d1/meta.yaml"] = "name: iris\ndigest: 8f\n" }
		assert.are.same({ "digits", "iris", "mlruns/7/" .. A }, { reading.experiment, reading.dataset,
			reading.run })
		assert.are.same({ last = "mlruns/7/" .. A .. "/artifacts/m" }, reading.checkpoints)
	end)

	it("takes the first run that has metrics, and one that was deleted last", function()
		local texts = { ["mlruns/10/" .. A .. "/meta.yaml"] = meta(),
			["mlruns/10/" .. A .. "/metrics/f1"] = "1 0.1 0",
			["mlruns/2/" .. A .. "/meta.yaml"] = meta(),
			["mlruns/2/" .. B .. "/meta.yaml"] = meta { lifecycle_stage = "deleted" },
			["mlruns/2/" .. B .. "/metrics/f1"] = "1 0.2 0",
			["mlruns/2/" .. C .. "/meta.yaml"] = meta(),
			["mlruns/2/" .. C .. "/metrics/val/metrics/f1"] = "1 0.3 0",
			["mlruns/2/models/m-" .. A .. "/meta.yaml"] = "model_id: m-a\nsource_run_id: x\n",
			["mlruns/2/models/m-" .. A .. "/tags/mlflow.user"] = "me",
			["mlruns/models/best/version-1/meta.yaml"] = "run_id: x\nversion: 1\nsource: y\n",
			["mlruns/2/meta.yaml"] = "experiment_id: '2'\nartifact_location: x\nname: two\n" }
		local known = leavings.recognise(mlflow, texts)
		assert.are.same({ "mlruns/2/" .. C, "mlruns/10/" .. A, "mlruns/2/" .. A, "mlruns/2/" .. B },
			known.runs)
		assert.are.same({ ["val/metrics/f1"] = 0.3 }, read(texts).final_metrics)
	end)

	it("reads a run whose meta.yaml did not come along", function()
		local texts = { ["0/" .. A .. "/tags/mlflow.runName"] = "x", ["0/" .. A .. "/metrics/f1"] = "1 2 0" }
		assert.are.same({ "0/" .. A }, leavings.recognise(mlflow, texts).runs)
		local reading, _, warnings = read(texts)
		assert.is_nil(reading.outcome)
		assert.are.same({ f1 = 2 }, reading.final_metrics)
		assert.matches("meta.yaml' is missing", warnings[1])
	end)

	it("reads on beside a meta.yaml that is broken", function()
		local reading, _, warnings = read { ["meta.yaml"] = meta() .. "x: [\n", ["metrics/f1"] = "1 2 0" }
		assert.are.same({ f1 = 2 }, reading.final_metrics)
		assert.matches("^'meta.yaml': ", warnings[1])
	end)

	it("does not answer for what is no run", function()
		for _, texts in ipairs { { ["meta.yaml"] = "name: x\nrun_id: 3\n" }, { ["metrics/loss"] = "1 2 3" },
			{ ["params/lr"] = "1" }, { ["meta.yaml"] = "version https://git-lfs.github.com/spec/v1\n" } } do
			assert.is_nil(leavings.recognise(mlflow, texts))
			local reading, err = read(texts)
			assert.is_nil(reading)
			assert.are.equal("not_a_training_record", err.code)
		end
	end)
end)
