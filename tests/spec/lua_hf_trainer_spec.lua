local fake = require("support.fake_ctx")
local hf = require("th.hf_trainer")
local json = require("th.json")

describe("th.hf_trainer", function()
	it("takes the last component of a checkpoint path of either separator", function()
		for path, name in pairs({ ["/a/b/checkpoint-10"] = "checkpoint-10",
			[ [[./results\checkpoint-1626]] ] = "checkpoint-1626",
			[ [[.\checkpoint-500\]] ] = "checkpoint-500",
			["checkpoint-5"] = "checkpoint-5" }) do
			assert.are.equal(name, hf.basename(path))
		end
		assert.is_nil(hf.basename(json.null))
	end)

	it("reads the dicts of versions 4 and 5 alike", function()
		assert.are.same({ loss = 0.9528, num_tokens = 98030.0, epoch = 1 },
			hf.console_record("{'loss': '0.9528', 'num_tokens': '9.803e+04', 'epoch': '1'}"))
		assert.are.same({ loss = 0.9528, epoch = 0.15 },
			hf.console_record("{'loss': 0.9528, 'epoch': 0.15}"))
		assert.is_nil(hf.console_record("accelerator_config={'split_batches': False}"))
	end)

	it("does not plan int64's maximum of epochs", function()
		local run = hf.state({ global_step = 5, max_steps = 10, num_train_epochs = math.maxinteger })
		assert.are.same({ max_steps = 10 }, run.planned)
	end)

	it("refuses another program's file of that name", function()
		for _, value in ipairs({ { balance = 3 }, { global_step = "5" }, { global_step = 1.5 }, 7 }) do
			local run, err = hf.state(value)
			assert.is_nil(run)
			assert.are.equal("not_a_record", err.code)
		end
	end)

	it("joins the records of several evaluation sets at one step", function()
		local run = hf.state({ global_step = 2, log_history = { { step = 1, eval_a_f1 = 0.1 },
			{ step = 2, eval_a_f1 = 0.2, eval_a_runtime = 9 }, { step = 2, eval_b_f1 = 0.3 } } })
		assert.are.same({ eval_a_f1 = 0.2, eval_b_f1 = 0.3 }, (hf.last_eval(run)))
	end)

	it("looks a best value up at the step of the best checkpoint first", function()
		local run = hf.state({ global_step = 3, best_metric = 0.5,
			best_model_checkpoint = "x/checkpoint-2",
			log_history = { { step = 1, epoch = 1.0, eval_loss = 0.5 },
				{ step = 2, epoch = 2.0, eval_f1 = 0.5 } } })
		assert.are.same({ metric = "eval_f1", value = 0.5, step = 2, epoch = 2.0,
			checkpoint = "checkpoint-2", path = "x/checkpoint-2" }, run.best)
	end)

	it("has no best when the file's is no number", function()
		assert.is_nil(hf.state({ global_step = 1, best_metric = { eval_f1 = 85.6 } }).best)
	end)

	it("takes the last printed evaluation of a console, which has no step", function()
		local run = hf.console_run({ { eval_loss = 0.5, epoch = 1 }, { eval_loss = 0.7, epoch = 2 } }, {})
		assert.are.same({ eval_loss = 0.7 }, (hf.last_eval(run)))
	end)

	it("knows a git-LFS pointer", function()
		local err = hf.lfs_error("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "x.json")
		assert.are.equal("lfs_pointer", err.code)
		assert.is_nil(hf.lfs_error("{}", "x.json"))
	end)

	local corpus = fake.corpus()
	if not corpus then
		pending("agrees with the corpus: no corpus here (set THHOST_CORPUS)")
		return
	end

	--- The entry's state: the top-level one if there is one, else a checkpoint's.
	local function entry_state(dir, files)
		local chosen
		for name in pairs(files) do
			if name:find("trainer_state%.json$") and not (chosen and name:find("checkpoint%-")) then
				chosen = name
			end
		end
		return chosen and fake.slurp(dir .. chosen)
	end

	local function decoded(dir, name)
		local text = fake.slurp(dir .. name)
		return text and (json.decode(text)) or nil
	end

	local function check_run(run, truth)
		assert.are.equal(truth.outcome, run.outcome)
		assert.are.equal(truth.steps.final, run.steps)
		assert.are.equal(json.value(truth.steps.planned), run.planned.max_steps)
		local best = json.value(truth.best)
		assert.are.equal(best and best.metric, run.best and run.best.metric)
		assert.are.equal(best and best.value, run.best and run.best.value)
		assert.are.equal(best and best.step, run.best and run.best.step)
		assert.are.equal(best and best.checkpoint_name, run.best and run.best.checkpoint)
	end

	local list = assert(io.popen("ls '" .. corpus .. "/hf_trainer'"))
	for name in list:lines() do
		it("agrees with the corpus on " .. name, function()
			local dir = corpus .. "/hf_trainer/" .. name .. "/"
			local expected = decoded(dir, "expected.json")
			local text, truth = entry_state(dir, expected.files), expected.normalised
			local value = text and json.decode(text)
			if text and not value then
				assert.are.equal("lfs_pointer", hf.lfs_error(text, "trainer_state.json").code)
				return
			end
			local run = value and assert(hf.state(value))
			if run then
				check_run(run, truth)
			end
			local results = hf.results(decoded(dir, "all_results.json"), decoded(dir, "eval_results.json"),
				decoded(dir, "test_results.json"), decoded(dir, "predict_results.json"))
			if run and not next(results) then
				results = hf.last_eval(run)
			end
			assert.are.same(truth.final_metrics, results)
		end)
	end
	list:close()
end)
