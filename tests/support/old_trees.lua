--- Trees of trainings that nobody recorded, as the frameworks leave them, for the specs of 'adopt'.
local cli = require "support.cli"
local tree = require "support.tree"

local M = {}

local FIXTURES = cli.shell("pwd") .. "/tests/fixtures/home/"

--- The model that the fixtures' stage 1 began from.
M.BASE = "/models/layoutxlm-base"

--- A tree without a record, whose root is `artifact` in its directory.
---@return support.Tree
function M.new()
	local t = tree.bare()
	cli.shell("mkdir -p " .. cli.quote(t.root))
	cli.write(t.dir .. "/thhost.ini", "[artifact]\nroot = artifact\n")
	return t
end

--- A stage directory below the root, as a fixture has it; `changes` maps plain texts in its log.
---@param t support.Tree
---@param name string "exp_1/stage1_hrds"
---@param fixture string "stage1/best_not_last"
---@param changes? table<string, string>
function M.stage(t, name, fixture, changes)
	local dir = t.root .. "/" .. name
	cli.shell(("mkdir -p %s && cp -r %s. %s && rm -f %s/README"):format(cli.quote(dir),
		cli.quote(FIXTURES .. fixture .. "/"), cli.quote(dir), cli.quote(dir)))
	for from, to in pairs(changes or {}) do
		cli.shell(("grep -rlF %s %s | xargs -r sed -i 's|%s|%s|g'"):format(cli.quote(from),
			cli.quote(dir), from, to))
	end
end

local CONFIG = [[
experiment:
  id: 1
  name: Stage1 HRDS
model:
  name_or_path: microsoft/layoutxlm-base
stage1_training:
  max_steps: 1000
  learning_rate: 5.0e-05
parent_finder:
  mode: full
  num_epochs: 20
]]

--- The config.yml of an experiment; `states` is YAML below "stages:", `runs` below "runs:".
function M.config(t, exp, states, runs)
	t:write(exp .. "/config.yml", CONFIG .. "stages:\n" .. states
		.. (runs and "runs:\n" .. runs or ""))
end

--- The home pipeline: two data sets in sequence, features, two stages that use them, one that was
--- killed. The paths are those of the machine where it ran.
function M.home(t)
	local there = "/data/LLM_group/layoutlmft/artifact/"
	M.stage(t, "exp_1/stage1_hrds", "stage1/best_not_last")
	M.stage(t, "exp_1/stage1_hrdh", "stage1/early_stop",
		{ [M.BASE] = there .. "current/stage1_hrds/checkpoint-1000" })
	M.stage(t, "exp_1/features_hrds", "stage2/documents",
		{ ["/data/x/stage1_hrds"] = there .. "exp_1/stage1_hrds" })
	M.stage(t, "exp_1/parent_finder_hrds", "stage3/full")
	M.stage(t, "exp_1/relation_classifier_hrds", "stage4/few_batches")
	M.stage(t, "exp_1/parent_finder_hrdh", "stage3/killed")
	M.config(t, "exp_1", [[
  stage1_hrds:
    status: completed
    current_step: 0
    best_checkpoint: checkpoint-1000
    metrics: {}
    started_at: '2025-12-10 20:13:30'
    completed_at: '2025-12-11 11:07:30'
]])
	cli.shell(("ln -s exp_1 %s/current"):format(cli.quote(t.root)))
end

local STATE = [[{"global_step": %d, "max_steps": %d, "epoch": %g, "num_train_epochs": %d,
"best_metric": 0.5, "best_model_checkpoint": "out/checkpoint-%d", "is_world_process_zero": true,
"log_history": [
 {"epoch": 0.5, "learning_rate": 2e-05, "loss": 1.5, "step": %d},
 {"epoch": %g, "eval_loss": 0.5, "eval_accuracy": 0.875, "eval_runtime": 2.5, "step": %d}%s]}]]

--- trainer_state.json of Hugging Face's Trainer at `step` of `max`.
function M.state(step, max, finished)
	return STATE:format(step, max, step / 100, max // 100, step, step // 2, step / 100, step,
		finished and (',\n {"epoch": %g, "step": %d, "train_loss": 1.0, "train_runtime": 3600.0}'):format(
			step / 100, step) or "")
end

--- An output directory of Hugging Face's Trainer with three checkpoints.
---@param base? string what its config.json names
---@param weights? string bytes of the last checkpoint
function M.huggingface(t, name, base, weights)
	for _, step in ipairs { 100, 200, 300 } do
		t:write(("%s/checkpoint-%d/trainer_state.json"):format(name, step), M.state(step, 300))
		t:write(("%s/checkpoint-%d/model.safetensors"):format(name, step),
			(weights or name) .. step)
		t:write(("%s/checkpoint-%d/config.json"):format(name, step), '{"model_type": "bert"}')
	end
	t:write(name .. "/trainer_state.json", M.state(300, 300, true))
	t:write(name .. "/train_results.json",
		'{"epoch": 3.0, "train_loss": 1.0, "train_runtime": 3600.0}')
	t:write(name .. "/all_results.json",
		'{"epoch": 3.0, "eval_accuracy": 0.875, "eval_loss": 0.5, "train_loss": 1.0}')
	t:write(name .. "/config.json",
		('{"model_type": "bert", "_name_or_path": "%s"}'):format(base or "bert-base-cased"))
end

--- A run of MLflow's file store.
function M.mlflow(t, store, experiment, id, status)
	local run = ("%s/%s/%s/"):format(store, experiment, id)
	t:write(("%s/%s/meta.yaml"):format(store, experiment),
		"artifact_location: file:///x\nexperiment_id: '" .. experiment .. "'\nname: try\n")
	t:write(run .. "meta.yaml", ("artifact_uri: file:///x\nend_time: 1600000600000\nexperiment_id: '%s'\n"
		.. "lifecycle_stage: active\nrun_id: %s\nrun_uuid: %s\nstart_time: 1600000000000\nstatus: %d\n"
		.. "user_id: me\n"):format(experiment, id, id, status))
	t:write(run .. "metrics/mse", "1600000100000 57.5 1\n1600000500000 31.25 2\n")
	t:write(run .. "params/alpha", "0.5")
	t:write(run .. "tags/mlflow.user", "me")
end

--- A run of sacred's FileStorageObserver.
function M.sacred(t, name, status)
	t:write(name .. "/run.json", ([[{"command": "main", "experiment": {"name": "net", "mainfile": "net.py", "sources": []},
"start_time": "2020-09-13T12:26:40.000000", "stop_time": "2020-09-13T12:36:40.000000",
"heartbeat": "2020-09-13T12:36:40.000000", "status": "%s", "result": 0.75,
"fail_trace": %s}]]):format(status,
		status == "FAILED" and '["Traceback\\n", "ValueError: no\\n"]' or "null"))
	t:write(name .. "/config.json", '{"lr": 0.1, "seed": 7}')
	t:write(name .. "/metrics.json",
		'{"accuracy": {"steps": [1, 2], "values": [0.5, 0.75], "timestamps": ["a", "b"]}}')
	t:write(name .. "/cout.txt", "")
end

--- A version of PyTorch Lightning's CSVLogger.
function M.lightning(t, name)
	t:write(name .. "/metrics.csv",
		"epoch,step,train_loss,val_loss\n0,9,1.5,\n0,9,,1.25\n1,19,1.0,\n1,19,,0.75\n")
	t:write(name .. "/hparams.yaml", "lr: 0.1\n")
end

--- Is the reader of that name in the library?
function M.has_reader(name)
	return cli.read("lua/th/" .. name .. ".lua") ~= nil
end

return M
