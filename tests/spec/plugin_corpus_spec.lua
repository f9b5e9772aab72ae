local fake = require("support.fake_ctx")
local hparams = require("th.hparams")
local json = require("th.json")

describe("the home plugins on the corpus", function()
	local corpus = fake.corpus()
	if not corpus then
		pending("agree with what real trainings left: no corpus here (set THHOST_CORPUS)")
		return
	end

	local function run(stage, entry)
		local dir = corpus .. "/" .. entry
		local plugin = fake.load("plugins/" .. stage .. ".lua")
		local ctx = assert(fake.new(plugin, dir))
		local result, err = plugin.extract(ctx)
		local params = plugin.hyperparams(ctx, { argv = {}, config = {} })
		return result or err, params, json.decode(fake.slurp(dir .. "/expected.json"))
	end

	it("read stage2_extract_ok: 132 pages and the times of the log", function()
		local result, _, truth = run("stage2", "home/stage2_extract_ok")
		assert.are.equal(truth.normalised.outcome, result.outcome)
		assert.are.same(truth.normalised.final_metrics, result.metrics)
		assert.are.equal(0, result.steps)
		assert.are.equal("2025-11-13T22:51:48", result.start_time)
		assert.are.equal("2025-11-13T22:52:41", result.end_time)
		assert.is_nil(result.error)
	end)

	it("read stage2_extract_failed: the error behind a bar, none of 132 pages", function()
		local result, _, truth = run("stage2", "home/stage2_extract_failed")
		assert.are.equal("failed", result.outcome)
		assert.are.equal(truth.expect_manual.error, result.error)
		assert.are.equal(truth.normalised.steps.final, result.steps)
		assert.are.equal(truth.normalised.steps.planned, result.planned.pages)
		assert.are.same({}, result.metrics)
	end)

	it("read stage4_relation_failed: the error and nothing invented", function()
		local result, _, truth = run("stage4", "home/stage4_relation_failed")
		assert.are.equal("failed", result.outcome)
		assert.are.equal(truth.expect_manual.error, result.error)
		assert.is_nil(result.steps)
		assert.are.same({}, result.metrics)
	end)

	for _, name in ipairs({ "Nov13_19-06-46_mi", "Nov13_20-08-50_mi", "Nov13_20-21-24_mi",
		"Nov14_11-03-04_mi", "Nov14_18-23-57_mi" }) do
		it("read the event file of " .. name, function()
			local result, params, expected = run("stage1", "home/stage1_tfevents_" .. name)
			local truth = expected.normalised
			assert.are.equal(truth.outcome, result.outcome)
			assert.are.equal(json.value(truth.steps.final), result.steps)
			assert.are.equal(truth.steps.planned, result.planned.max_steps)
			assert.are.equal(truth.base_model, result.base_model)
			assert.are.same({}, result.metrics)
			for key, value in pairs(hparams.standard(truth.hyperparams)) do
				assert.are.equal(value, params[key], key)
			end
			assert.matches("^2025%-11%-1[34]T%d%d:%d%d:%d%d%+00:00$", result.start_time)
		end)
	end

	local CONTRACT = { reached_max_steps_no_summary = "completed", incomplete_state = "interrupted" }

	for _, name in ipairs({ "bart_samsum_mem_metrics", "chatglm2_ptuning", "codebert_windows",
		"fake_state", "glue_qqp", "grpo_chaos", "mlm_chinese", "mt5_interrupted", "multi_eval_sets",
		"nan_lora", "ner_magalu", "ner_per_class_cm", "qlora_10steps", "roberta_30ep", "vit_drowsiness",
		"vit_irrigation", "whisper_ja_large", "whisper_multi_earlystop", "whisper_small_hi" }) do
		it("read the Trainer's directory " .. name, function()
			local result, _, expected = run("stage1", "hf_trainer/" .. name)
			local truth = expected.normalised
			assert.are.equal(CONTRACT[truth.outcome] or truth.outcome, result.outcome)
			assert.are.equal(truth.steps.final, result.steps)
			assert.are.equal(json.value(truth.steps.planned),
				result.planned and result.planned.max_steps)
			local best = json.value(truth.best)
			if best then
				assert.are.equal(best.checkpoint_name, result.final_checkpoint)
			end
		end)
	end

	it("take no steps from a bar of something else, and keep a run that crashed later", function()
		local result = run("stage1", "console/reward_then_crash")
		assert.are.equal("completed", result.outcome)
		assert.is_nil(result.steps)
		assert.are.same({ train_loss = 0.26900792780675387 }, result.metrics)
	end)

	it("name a git-LFS pointer for what it is", function()
		local err = run("stage1", "hf_trainer/lfs_pointer")
		assert.are.equal("lfs_pointer", err.code)
		assert.matches("git lfs pull", err.hint)
	end)
end)
