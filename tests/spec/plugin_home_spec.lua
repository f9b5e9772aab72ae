local fake = require("support.fake_ctx")

local FIXTURES = (os.getenv("THHOST_REPO") or ".") .. "/tests/fixtures/home/"

local function extract(stage, fixture, options)
	local plugin = fake.load("plugins/" .. stage .. ".lua")
	local ctx = assert(fake.new(plugin, FIXTURES .. stage .. "/" .. fixture, options))
	local result = assert(plugin.extract(ctx))
	local raw = { argv = require("th.hparams").argv(ctx.argv), config = {} }
	return result, assert(plugin.hyperparams(ctx, raw)), ctx, plugin
end

--- Extract from a copy of a fixture in which some files are replaced.
local function altered(stage, fixture, files)
	local dir = os.tmpname()
	os.remove(dir)
	os.execute(("cp -r '%s%s/%s' '%s'"):format(FIXTURES, stage, fixture, dir))
	for name, text in pairs(files) do
		local file = assert(io.open(dir .. "/" .. name, "w"))
		file:write(text)
		file:close()
	end
	local plugin = fake.load("plugins/" .. stage .. ".lua")
	local ctx = assert(fake.new(plugin, dir))
	local result = assert(plugin.extract(ctx))
	os.execute("rm -r '" .. dir .. "'")
	return result, ctx
end

--- Every member of `expected` is in `got`; `false` stands for absent.
local function holds(expected, got)
	for key, value in pairs(expected) do
		if value == false then
			assert.is_nil(got[key], key)
		else
			assert.are.same(value, got[key], key)
		end
	end
end

local function near(expected, got)
	assert.is_true(type(got) == "number" and math.abs(expected - got) < 1e-9,
		("expected %s, got %s"):format(expected, tostring(got)))
end

describe("stage1", function()
	local cases = {
		{ "best_not_last", { outcome = "completed", steps = 1000, epochs = 2.5, error = false,
			final_checkpoint = "checkpoint-500", base_model = "/models/layoutxlm-base",
			planned = { max_steps = 1000, num_epochs = 3 } } },
		{ "banner_after", { outcome = "completed", steps = 1000,
			base_model = "/models/layoutxlm-base" } },
		{ "early_stop", { outcome = "completed_early", steps = 1500, final_checkpoint = "checkpoint-500",
			planned = { max_steps = 30000, num_epochs = 3 } } },
		{ "resumed_interrupted", { outcome = "interrupted", steps = 820,
			final_checkpoint = "checkpoint-800", planned = { max_steps = 1000, num_epochs = 3 } } },
		{ "failed", { outcome = "failed", steps = 37, metrics = {}, final_checkpoint = false,
			error = "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB" } },
		{ "interrupted_by_key", { outcome = "interrupted", steps = 100, error = "KeyboardInterrupt" } },
		{ "nan_loss", { outcome = "completed", steps = 100 } },
		{ "crashed_after", { outcome = "completed", steps = 100, error = false } },
	}
	for _, case in ipairs(cases) do
		it("tells outcome and steps of " .. case[1], function()
			local result = extract("stage1", case[1])
			holds(case[2], result)
		end)
	end

	it("gives the metrics of the best checkpoint, not of the last step", function()
		local result = extract("stage1", "best_not_last")
		near(0.87, result.metrics.accuracy)
		near(result.metrics.macro_f1, result.metrics.f1)
		near(0.84, result.metrics.per_class_f1.title)
		near(0.15, result.metrics.val_loss)
		assert.are.equal("eval_results.json:eval_macro_f1", result.sources["metrics.f1"])
		assert.is_nil(result.metrics.runtime)
		assert.is_nil(result.metrics.samples)
		assert.are.equal(100, result.metrics.per_class_support.title)
		assert.are.same({ mail_to_affili = 0.125, affili_to_mail = 0.0625 }, result.metrics.confusion)
	end)

	it("derives macro precision and recall and says so", function()
		local result = extract("stage1", "best_not_last")
		near(result.metrics.macro_f1 - 0.01, result.metrics.precision)
		near(result.metrics.macro_f1 + 0.01, result.metrics.recall)
		assert.matches("^derived: mean of precision over 13 classes", result.sources["metrics.precision"])
	end)

	it("reads the same from the console alone, the banner after everything", function()
		local from_files, params = extract("stage1", "best_not_last")
		local from_log, log_params = extract("stage1", "banner_after")
		near(from_files.metrics.f1, from_log.metrics.f1)
		near(from_files.metrics.accuracy, from_log.metrics.accuracy)
		assert.are.same(params, log_params)
	end)

	it("does not take an earlier run's files for a resumed run's", function()
		local result = extract("stage1", "resumed_interrupted")
		near(0.77, result.metrics.accuracy)
		assert.matches("^checkpoint%-800/trainer_state.json", result.sources["metrics.accuracy"])
		assert.are.equal("log: progress bar", result.sources.steps)
	end)

	it("keeps NaN as a measurement of its own", function()
		local loss = extract("stage1", "nan_loss").metrics.val_loss
		assert.is_true(loss ~= loss)
	end)

	it("warns when the script crashed after the training", function()
		local _, _, ctx = extract("stage1", "crashed_after")
		assert.are.same({ "after the end of the training: KeyError: 'eval'" }, ctx.warnings)
	end)

	it("gives hyperparameters under standard names", function()
		local _, params = extract("stage1", "best_not_last")
		assert.are.same({ lr = 2e-05, batch_size = 3, eval_batch_size = 8, grad_accum = 2,
			max_steps = 1000, scheduler = "linear", optimizer = "adamw", warmup_steps = 500,
			warmup_ratio = 0.0, weight_decay = 0.01, max_grad_norm = 1.0, eval_strategy = "steps",
			eval_steps = 500, save_steps = 500, seed = 42, fp16 = true }, params)
	end)

	it("warns of a broken file and goes on with the next best", function()
		local result, ctx = altered("stage1", "best_not_last", {
			["eval_results.json"] = '{ "eval_f1": 0.', ["trainer_state.json"] = '{ "global_step": 0.' })
		assert.are.equal(1000, result.steps)
		near(0.87, result.metrics.accuracy)
		assert.matches("malformed number.*read checkpoint%-1000/trainer_state.json instead",
			ctx.warnings[1])
	end)

	it("derives no averages when the file's macro F1 is another mean", function()
		local text = fake.slurp(FIXTURES .. "stage1/best_not_last/eval_results.json")
		local result = altered("stage1", "best_not_last", {
			["eval_results.json"] = text:gsub('("eval_macro_f1": )[%d.]+', "%10.5") })
		assert.are.equal(0.5, result.metrics.f1)
		assert.is_nil(result.metrics.precision)
		assert.is_nil(result.metrics.recall)
	end)

	it("leaves the training loss of a resumed run out: it is divided by all steps", function()
		local files = { ["train_results.json"] = '{ "train_loss": 0.25 }' }
		assert.are.equal(0.25, altered("stage1", "best_not_last", files).metrics.train_loss)
		local log = fake.slurp(FIXTURES .. "stage1/best_not_last/train.log")
		files["train.log"] = log:gsub("%*%*%*%*%* Running", "  Continuing training from x\n%0", 1)
		assert.is_nil(altered("stage1", "best_not_last", files).metrics.train_loss)
	end)

	it("takes times from the last run in the log", function()
		local result = extract("stage1", "resumed_interrupted")
		assert.are.equal("2025-12-11T10:03:00", result.start_time)
	end)
end)

describe("stage2", function()
	it("counts documents and chunks, in all and per split", function()
		local result, params = extract("stage2", "documents")
		holds({ outcome = "completed", steps = 0, planned = { pages = 1200 }, error = false,
			base_model = "/data/x/stage1_hrds/checkpoint-1000",
			final_checkpoint = "train_line_features_chunk_0002.pkl",
			metrics = { num_documents = 330, num_chunks = 4, pages = 1200,
				train = { num_documents = 250, num_chunks = 3, pages = 900 },
				validation = { num_documents = 80, num_chunks = 1, pages = 300 } } }, result)
		assert.are.equal("feature extraction runs no optimizer step", result.sources.steps)
		assert.are.same({ batch_size = 50, docs_per_chunk = 100, num_samples = -1, seed = 42 }, params)
	end)

	it("lets the last of two runs count, even if it never began", function()
		holds({ outcome = "failed", metrics = {},
			error = "Model path does not exist: /data/x/stage1_hrds/checkpoint-9" },
			(extract("stage2", "second_failed")))
	end)

	it("does not take a missing model for the success of the run before it", function()
		local log = fake.slurp(FIXTURES .. "stage2/documents/extract.log")
		local result = altered("stage2", "documents", { ["extract.log"] =
			log:gsub("Feature extraction completed successfully!", "Error: Model path does not exist: /x") })
		assert.are.same({ "failed", "Model path does not exist: /x" }, { result.outcome, result.error })
	end)

	it("counts chunks by name when there is no log", function()
		holds({ outcome = "unknown", metrics = { num_chunks = 3, train = { num_chunks = 2 },
			validation = { num_chunks = 1 } } }, (extract("stage2", "no_log")))
	end)
end)

describe("stage3", function()
	local best = { accuracy = 0.8125, train_loss = 1.1 }
	local cases = {
		{ "simple", { outcome = "completed", steps = 96, epochs = 3, metrics = best,
			planned = { num_epochs = 3 }, final_checkpoint = "best_model.pt",
			base_model = "/data/x/features_hrds" },
			"derived: 3 epochs x 32 batches (1000 samples / batch size 32)" },
		{ "full", { outcome = "completed", steps = 750, epochs = 3, metrics = best },
			"derived: 3 epochs x 250 batches (250 samples / batch size 1)" },
		{ "bars", { outcome = "completed", steps = 189, metrics = best },
			"derived: 3 epochs x 63 batches (log)" },
		{ "failed_first_epoch", { outcome = "failed", steps = 17, epochs = 0, metrics = {},
			error = "RuntimeError: CUDA out of memory.", final_checkpoint = false },
			"derived: 0 epochs x 250 batches (log) + 17 of a broken epoch" },
		{ "empty_validation", { outcome = "completed", steps = 500, metrics = {},
			final_checkpoint = false } },
		{ "appended", { outcome = "interrupted", steps = 350, epochs = 1,
			metrics = { accuracy = 0.4, train_loss = 2.0 }, planned = { num_epochs = 20 },
			error = "the log ends before the training does" } },
		{ "killed", { outcome = "interrupted", steps = 500, epochs = 2, metrics = best } },
		{ "nan_loss", { outcome = "completed", steps = 250 } },
	}
	for _, case in ipairs(cases) do
		it("reads " .. case[1], function()
			local result = extract("stage3", case[1])
			holds(case[2], result)
			assert.are.equal(case[3] or result.sources.steps, result.sources.steps)
		end)
	end

	it("counts steps by the batch size of thhost's own command when there is no banner", function()
		local result, params = extract("stage3", "no_banner",
			{ argv = { "python", "train.py", "--batch_size", "16", "--mode", "simple" } })
		assert.are.equal(3 * 63, result.steps)
		assert.are.same({ batch_size = 16, mode = "simple", optimizer = "Adam", dropout = 0.1,
			seed = 42 }, params)
	end)

	it("invents no steps when nothing tells how long an epoch is", function()
		local result = extract("stage3", "no_banner")
		assert.is_nil(result.steps)
		assert.matches("^unknown", result.sources.steps)
	end)

	it("warns of an empty validation set, and validate does too", function()
		local result, _, ctx, plugin = extract("stage3", "empty_validation")
		assert.matches("validation set was empty", ctx.warnings[1])
		local ok, issues = plugin.validate(ctx, { epochs = 2, metrics = result.metrics })
		assert.is_nil(ok)
		assert.are.same({ path = "entry.metrics.accuracy", code = "missing", level = "warning",
			message = "nothing was validated" }, issues[1])
	end)

	it("gives hyperparameters, and not the banner's second 'Mode:'", function()
		local _, params = extract("stage3", "simple")
		assert.are.same({ lr = 0.0001, batch_size = 32, num_epochs = 3, mode = "simple",
			level = "document", max_lines_limit = 512, max_chunks = -1, optimizer = "Adam",
			dropout = 0.1, seed = 42 }, params)
	end)
end)

describe("stage4", function()
	local cases = {
		{ "beyond_max_steps", { outcome = "completed", steps = 500, epochs = 2,
			planned = { max_steps = 300, num_epochs = 2 }, final_checkpoint = "best_model.pt",
			metrics = { macro_f1 = 0.8125, accuracy = 0.8625, precision = 0.8225, recall = 0.8025,
				val_loss = 0.1875, train_loss = 0.7,
				per_class_f1 = { none = 0.79, connect = 0.77, contain = 0.75, equality = 0.73 } } } },
		{ "few_batches", { outcome = "completed", steps = 29, epochs = 1,
			planned = { max_steps = 20, num_epochs = 1 } } },
		{ "failed_report", { outcome = "failed", steps = 250, epochs = 1, final_checkpoint = false,
			error = "ValueError: Number of classes, 3, does not match size of target_names, 4." } },
		{ "empty_validation", { outcome = "completed", steps = 250, metrics = {},
			final_checkpoint = "checkpoint-epoch1.pt" } },
	}
	for _, case in ipairs(cases) do
		it("reads " .. case[1], function()
			holds(case[2], (extract("stage4", case[1])))
		end)
	end

	it("gives hyperparameters under standard names", function()
		local _, params = extract("stage4", "beyond_max_steps")
		assert.are.same({ lr = 0.0005, batch_size = 32, max_steps = 300, neg_ratio = 1.5, max_chunks = -1,
			optimizer = "Adam", dropout = 0.1, loss_type = "focal", seed = 42 }, params)
	end)
end)

describe("dataset plugin my_biz", function()
	local dataset = fake.load("plugins/datasets/my_biz.lua")
	local plugin = fake.override(fake.load("plugins/stage3.lua"), dataset)

	local function with_audit(text)
		local dir = os.tmpname()
		os.remove(dir)
		os.execute(("cp -r '%s' '%s'"):format(FIXTURES .. "stage3/simple", dir))
		if text then
			local file = assert(io.open(dir .. "/audit.json", "w"))
			file:write(text)
			file:close()
		end
		local ctx = assert(fake.new(plugin, dir, { dataset = "my_biz" }))
		local result, err = plugin.extract(ctx)
		local params = plugin.hyperparams(ctx, { argv = {}, config = {} })
		os.execute("rm -r '" .. dir .. "'")
		return result, err, params
	end

	it("adds a metric and renames one, and keeps the stage's", function()
		local result = assert(with_audit('{ "checked": 400, "correct": 372 }'))
		assert.are.same({ accuracy = 0.8125, parent_loss = 1.1, audit_accuracy = 0.93 }, result.metrics)
		assert.are.equal("log: epoch 2, the best", result.sources["metrics.parent_loss"])
		assert.is_nil(result.sources["metrics.train_loss"])
	end)

	it("does without an audit", function()
		assert.is_nil(assert(with_audit(nil)).metrics.audit_accuracy)
	end)

	it("explains an audit that is wrong", function()
		local result, err = with_audit('{ "checked": 0, "correct": 1 }')
		assert.is_nil(result)
		assert.are.same({ "bad_audit", "audit.json.checked: 0 is below 1" }, { err.code, err.message })
		assert.are.equal("bad_json", select(2, with_audit("{")).code)
	end)

	it("lays its metrics and inputs over the stage's", function()
		assert.are.equal("max", plugin.metrics.audit_accuracy.goal)
		assert.are.equal("max", plugin.metrics.accuracy.goal)
		assert.are.equal("@log", plugin.inputs.log)
		local _, _, params = with_audit(nil)
		assert.are.equal(512, params.max_lines_limit)
	end)
end)
