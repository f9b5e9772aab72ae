--- Stages that no plugin describes: what is recognised, what is recorded, what is refused.
local cjson = require "cjson"
local cli = require "support.cli"
local made_readers = require "support.made_readers"
local tree = require "support.tree"
local worker = require "support.worker"

describe("the generic stage", function()
	local t, env

	before_each(function()
		t = tree.new()
		env = { env = { THHOST_LUA = made_readers.write(t.dir) } }
	end)
	after_each(function()
		t:close()
	end)

	local READING = { outcome = "completed", steps = { final = 99, planned = 200, zero_based = true },
		epochs = { final = 3.0, planned = 5 }, final_metrics = { ["eval/f1 score"] = 0.5, text = "x" },
		sources = { steps = "made.json: step", ["final_metrics.eval/f1 score"] = "made.json: f1",
			base_model = "inferred: made.json: model" },
		units = { ["eval/f1 score"] = "percent" },
		best = { metric = "eval/f1 score", value = 0.75, mode = "max", step = 50, declared = true,
			checkpoint = "C:\\x\\checkpoint-50", checkpoint_name = "checkpoint-50",
			values = { f1 = 0.75 } },
		checkpoints = { last = "checkpoint-100", best = "checkpoint-50" },
		train_summary = { train_loss = 0.125 }, base_model = "bert-base",
		raw_hyperparams = { learning_rate = 2e-5, hub_token = "secret", nested = { a = 1 } },
		dataset = "data/hrds", start_time = "2025-01-01T10:00:00", end_time = "2025-01-01T11:00:00" }

	local function reading(more)
		local copy = cjson.decode(cjson.encode(READING))
		for key, value in pairs(more or {}) do
			copy[key] = value
		end
		return copy
	end

	--- A directory that a training left, with made.json in it; its path.
	local function left(name, made, files)
		local dir = t.dir .. "/" .. name
		cli.shell("mkdir -p " .. cli.quote(dir .. "/checkpoint-100"))
		cli.write(dir .. "/checkpoint-100/model.bin", "x")
		cli.write(dir .. "/made.json", cjson.encode({ score = 90, why = "made.json is there",
			reading = made or reading() }))
		for file, text in pairs(files or {}) do
			cli.write(dir .. "/" .. file, text)
		end
		return dir
	end

	local function record(dir, ...)
		return { "record", "finetune", "--from", dir, ... }
	end

	it("records what a reader recognised, under the stage's own name", function()
		t:ok(record(left("x"), "-d", "mine"), env)
		local info = t:info("finetune_mine")
		assert.are.equal("finetune", info.stage)
		assert.are.equal("finetune", info.model_name)
		assert.are.equal("checkpoint-100", info.final_checkpoint)
		assert.are.equal("bert-base", info.base_model)
		local entry = info.training_history[1]
		assert.are.same({ ["eval/f1 score"] = 0.5, train_loss = 0.125 }, entry.metrics)
		assert.are.equal(100, entry.steps) -- the last index is 99
		assert.are.equal(3, entry.epochs)
		assert.are.same({ lr = 2e-5 }, entry.hyperparams)
		assert.are.same({ learning_rate = 2e-5, hub_token = "***", nested = { a = 1 } },
			entry.raw_hyperparams)
		assert.are.same({ metric = "eval/f1 score", value = 0.75, mode = "max", step = 50,
			declared = true, checkpoint = "C:\\x\\checkpoint-50", checkpoint_name = "checkpoint-50" },
			entry.best)
		assert.are.same({ max_steps = 200, num_epochs = 5 }, entry.planned)
		assert.are.equal("made.json: f1, in percent", entry.sources["metrics.eval/f1 score"])
		assert.are.equal("2025-01-01T10:00:00", entry.start_time)
		assert.are.equal("generic", entry.plugin.name)
		assert.are.equal(0, t:run({ "verify" }).status)
	end)

	it("marks how each field is known", function()
		t:ok(record(left("x"), "-d", "mine", "--epochs", "4"), env)
		local evidence = t:info("finetune_mine").training_history[1].evidence
		assert.are.equal("observed", evidence.steps)
		assert.are.equal("declared", evidence.epochs) -- the user says so
		assert.are.equal("inferred", evidence.base_model)
		assert.are.equal("declared", evidence.dataset)
		assert.are.equal("declared", evidence.best)
	end)

	for outcome, status in pairs({ completed = "completed", completed_early = "completed_early",
		reached_max_steps_no_summary = "completed", completed_then_crashed = "completed",
		unknown = "unknown" }) do
		it("records a training that " .. outcome, function()
			local result = t:ok(record(left("x", reading({ outcome = outcome, error = "OSError: x" })),
				"-d", "mine"), env)
			local entry = t:info("finetune_mine").training_history[1]
			assert.are.equal(status, entry.status)
			assert.are.equal(outcome ~= "unknown", entry.evidence.outcome ~= nil)
			assert.are.equal(outcome == "completed_then_crashed",
				result.err:find("had completed when its program crashed: OSError: x", 1, true) ~= nil)
		end)
	end

	for outcome, message in pairs({ failed = "that failed: OSError: x", running = "was interrupted",
		interrupted = "was interrupted: OSError: x", incomplete_state = "was interrupted" }) do
		it("refuses a training that " .. outcome .. ", and shows it all the same", function()
			local dir = left("x", reading({ outcome = outcome,
				error = not message:find("interrupted$") and "OSError: x" or nil }))
			t:refused(5, message, record(dir, "-d", "mine"), env)
			local before = t:snapshot()
			local look = t:json(record(dir, "-d", "mine", "--dry-run"), 5, env)
			assert.are.equal("refuse", look.would)
			assert.matches(message, look.why, 1, true)
			assert.are.equal(100, look.entry.steps)
			assert.are.equal(before, t:snapshot())
		end)
	end

	for outcome, message in pairs({ predict_only = "holds the results of a prediction",
		not_a_training_record = "holds no record of a training",
		no_data_lfs_pointer = "git-LFS pointers" }) do
		it("has nothing to record where there is " .. outcome, function()
			t:refused(6, message, record(left("x", reading({ outcome = outcome })), "-d", "mine"), env)
			local look = t:json(record(t.dir .. "/x", "-d", "mine", "--dry-run"), 6, env)
			assert.are.equal(cjson.null, look.entry)
			assert.matches(message, look.why, 1, true)
		end)
	end

	it("says what lies in a directory that nobody knows", function()
		cli.shell("mkdir -p " .. cli.quote(t.dir .. "/odd"))
		cli.write(t.dir .. "/odd/notes.md", "x")
		t:refused(6, "no reader knows what 'odd' is: it holds notes.md",
			record(t.dir .. "/odd", "-d", "mine"), env)
	end)

	it("takes a logger's global_step where no file counts steps, and 0 where nothing does", function()
		local made = reading()
		made.steps, made.final_metrics["train/global_step"] = nil, 45000
		t:ok(record(left("x", made), "-d", "a"), env)
		assert.are.equal(45000, t:info("finetune_a").training_history[1].steps)
		assert.are.equal("inferred", t:info("finetune_a").training_history[1].evidence.steps)
		made.final_metrics["train/global_step"] = nil -- three epochs are no three steps
		local result = t:ok(record(left("y", made), "-d", "b"), env)
		assert.are.equal(0, t:info("finetune_b").training_history[1].steps)
		assert.matches("no file tells how many steps ran", result.err)
		t:ok(record(left("z", made), "-d", "c", "--steps", "7"), env)
		assert.are.equal(7, t:info("finetune_c").training_history[1].steps)
	end)

	it("shows what it would do below a root that is not there, and makes none", function()
		local args = record(left("x"), "-d", "mine", "--root", t.dir .. "/no/root")
		t:refused(3, "the artifact root: cannot open the directory", args, env)
		local before = t:snapshot()
		table.insert(args, "--dry-run")
		local look = t:json(args, 0, env)
		assert.are.equal("append", look.would)
		assert.are.equal(100, look.entry.steps)
		assert.matches("finetune_mine", t:ok(args, env).out, 1, true)
		assert.are.equal(before, t:snapshot())
		t:refused(1, "cannot make the directory '" .. t.dir .. "/gone/thhost-", args,
			{ env = { THHOST_LUA = env.env.THHOST_LUA, TMPDIR = t.dir .. "/gone" } })
	end)

	it("names a final checkpoint only if it lies there", function()
		for index, name in ipairs({ "gone", "../x", "/abs", ".hidden", "checkpoint-100/" }) do
			local dir = left("x" .. index, reading({ checkpoints = { last = name } }))
			t:ok(record(dir, "-d", "d" .. index), env)
			assert.are.equal("", t:info("finetune_d" .. index).final_checkpoint, name)
		end
	end)

	it("takes the time of the newest file where none is told", function()
		local made = reading()
		made.start_time, made.end_time = nil, nil
		local dir = left("x", made)
		cli.shell("find " .. cli.quote(dir) .. " -type f -exec touch -d 2024-02-03T04:05:06Z {} +")
		t:ok(record(dir, "-d", "mine"), { env = { THHOST_LUA = env.env.THHOST_LUA, TZ = "UTC" } })
		local entry = t:info("finetune_mine").training_history[1]
		assert.are.equal("2024-02-03T04:05:06+00:00", entry.end_time)
		assert.are.equal("inferred", entry.evidence.end_time)
	end)

	it("tells what two readers say differently, and completes one with the other", function()
		local made = reading()
		made.base_model = nil
		local dir = left("x", made, { ["other.json"] = cjson.encode({ score = 50, why = "other",
			reading = { base_model = "roberta", final_metrics = { ["eval/f1 score"] = 0.25 } } }) })
		local look, result = t:json(record(dir, "-d", "mine", "--dry-run"), 0, env)
		assert.matches("final_metrics.eval/f1 score: Made has 0.5, Other has 0.25", result.err, 1, true)
		assert.are.equal("roberta", look.entry.base_model)
		assert.are.equal("wandb", look.complemented.base_model)
		assert.are.same({ "keras", "wandb" }, { look.recognised[1].reader, look.recognised[2].reader })
	end)

	describe("with --dry-run", function()
		it("prints one object that says what was recognised, why, and the entry", function()
			local before = t:snapshot()
			local look = t:json(record(left("x"), "-d", "mine", "--dry-run"), 0, env)
			cli.shell("rm -r " .. cli.quote(t.dir .. "/x"))
			assert.are.equal(before, t:snapshot())
			assert.are.equal("thhost.record/1", look.schema)
			assert.are.equal("append", look.would)
			assert.are.equal(cjson.null, look.why)
			assert.is_false(look.written)
			assert.are.equal("exp_1/finetune_mine", look.ref)
			assert.are.equal("completed", look.outcome)
			assert.are.same({ { reader = "keras", title = "Made", score = 90,
				why = "made.json is there" } }, look.recognised)
			assert.are.equal(200, look.reading.steps.planned)
			assert.are.equal("***", look.reading.raw_hyperparams.hub_token)
			assert.are.equal(100, look.entry.steps)
			assert.matches("metrics that no record can hold were left out: text", look.warnings[1])
		end)

		it("prints a page for people", function()
			local page = t:ok(record(left("x"), "-d", "mine", "--dry-run"), env).out
			assert.matches("would append exp_1/finetune_mine\n", page, 1, true)
			assert.matches("recognised   Made: made.json is there\n", page, 1, true)
			assert.matches("steps        100  (observed; made.json: step)\n", page, 1, true)
			assert.matches("base_model   bert-base  (inferred: made.json: model)\n", page, 1, true)
			assert.matches("nothing was written\n$", page)
		end)

		it("shows NaN as null, in JSON that every parser reads", function()
			local dir = left("x")
			local text = cli.read(dir .. "/made.json"):gsub('(f1 score":)0%.5', '%1NaN')
			cli.write(dir .. "/made.json", text)
			local _, result = t:json(record(dir, "-d", "mine", "--dry-run"), 0, env)
			cli.write(t.dir .. "/out.json", result.out)
			assert.are.equal("null", cli.shell("python3 -c 'import json; d = json.load(open(\"" .. t.dir
				.. "/out.json\"), parse_constant=lambda x: 1/0); "
				.. "print(json.dumps(d[\"reading\"][\"final_metrics\"][\"eval/f1 score\"]))'"))
		end)
	end)

	describe("finds the data set", function()
		it("in the directory's name first", function()
			local look = t:json(record(left("finetune_wiki"), "--dry-run"), 0, env)
			assert.are.equal("wiki", look.entry.dataset)
			assert.are.equal("inferred", look.entry.evidence.dataset)
		end)

		it("in what the training's files say", function()
			local look = t:json(record(left("x"), "--dry-run"), 0, env)
			assert.are.equal("hrds", look.entry.dataset)
			assert.are.equal("exp_1/finetune_hrds", look.ref)
		end)

		it("or asks for it, but shows what was found", function()
			local made = reading()
			made.dataset = nil
			local dir = left("x", made)
			t:refused(2, "which data set? Nothing in '" .. dir .. "' tells (--dataset D)", record(dir), env)
			local look = t:json(record(dir, "--dry-run"), 0, env)
			assert.are.equal(cjson.null, look.entry.dataset)
			assert.are.equal("refuse", look.would)
			assert.matches("--dataset D", look.why, 1, true)
			assert.matches("dataset      unknown", t:ok(record(dir, "--dry-run"), env).out, 1, true)
		end)
	end)

	describe("notices what it took before", function()
		it("and takes it once more only with --again", function()
			local dir = left("x")
			t:ok(record(dir, "-d", "mine"), env)
			t:refused(5, "is recorded already: entry 1 of exp_1/finetune_mine", record(dir, "-d", "mine"),
				env)
			assert.are.equal("refuse", t:json(record(dir, "-d", "mine", "-n"), 5, env).would)
			t:ok(record(dir, "-d", "mine", "--again"), env)
			assert.are.equal(2, #t:info("finetune_mine").training_history)
		end)

		it("also where the tree was moved, but not where a file is another", function()
			local dir = left("x")
			t:ok(record(dir, "-d", "mine"), env)
			cli.shell(("mv %s %s"):format(cli.quote(dir), cli.quote(t.dir .. "/y")))
			t:refused(5, "is recorded already", record(t.dir .. "/y", "-d", "mine"), env)
			cli.write(t.dir .. "/y/new.txt", "x")
			t:ok(record(t.dir .. "/y", "-d", "mine"), env)
		end)

		it("in place, where the record itself lies among the files", function()
			local dir = left("artifact/exp_1/finetune_mine")
			t:ok(record(dir), env)
			t:refused(5, "is recorded already", record(dir), env)
		end)
	end)

	it("reads one file alone", function()
		local dir = left("x", nil, { ["other.json"] = cjson.encode({ score = 99, why = "other",
			reading = { steps = { final = 1 } } }) })
		local look = t:json(record(dir .. "/made.json", "-d", "mine", "-n"), 0, env)
		assert.are.equal(1, #look.recognised)
		assert.are.equal(100, look.entry.steps)
		assert.are.equal(1, look.entry.taken_from.files)
		t:refused(3, "cannot open the directory", record(dir .. "/gone", "-d", "mine"), env)
	end)

	it("runs a command of a stage that nobody has described", function()
		local result = t:ok({ "run", "anything", "-d", "d", "--", "sh", "-c",
			"echo hello >\"$THHOST_STAGE_DIR/notes.md\"" }, env)
		assert.matches("only what the run itself tells is recorded", result.err)
		local info = t:info("anything_d")
		assert.are.equal("anything", info.model_name)
		assert.are.equal("completed", info.training_history[1].status)
		assert.matches("anything_d", t:ok({ "list" }).out)
		assert.matches("anything", t:ok({ "show", "anything_d" }).out)
	end)

	it("reads what such a command left", function()
		t:ok({ "run", "anything", "-d", "d", "--", "sh", "-c", ("printf %%s %s >\"$THHOST_STAGE_DIR/made.json\"")
			:format(cli.quote(cjson.encode({ score = 90, why = "w", reading = reading() }))) }, env)
		assert.are.equal(100, t:info("anything_d").training_history[1].steps)
	end)

	it("reads the run's own log, which lies where no reader looks", function()
		local made = [[made {"steps": {"final": 42}, "final_metrics": {"loss": 0.5}}]]
		t:ok({ "run", "anything", "-d", "d", "--", "echo", made }, env)
		local entry = t:info("anything_d").training_history[1]
		assert.are.equal(42, entry.steps)
		assert.are.same({ loss = 0.5 }, entry.metrics)
		local look = t:json({ "record", "anything", "--from", t.root .. "/exp_1/anything_d", "-n",
			"--again" }, 0, env)
		assert.are.equal("thhost-run.log", look.recognised[1].why)
		assert.are.equal(42, look.entry.steps)
	end)

	describe("is not meant by a slip of the pen", function()
		for slip, meant in pairs({ stag1 = "stage1", stagee1 = "stage1", stege2 = "stage2",
			satge3 = "stage3", Stage4 = "stage4" }) do
			it(slip, function()
				local answer = t:refused(3, ("unknown stage '%s'; did you mean '%s'?"):format(slip, meant),
					{ "record", slip, "-d", "d", "--steps", "1" })
				assert.matches("--generic if a stage '" .. slip .. "' is meant", answer.hint, 1, true)
				t:ok({ "record", slip, "-d", "d", "--steps", "1", "--generic" }, env)
			end)
		end

		for _, other in ipairs({ "stage5", "stage12", "stage", "finetune", "st", "stxxe1", "staeg12" }) do
			it("where " .. other .. " is a stage of its own", function()
				t:ok({ "record", other, "-d", "d", "--steps", "1" }, env)
				assert.are.equal(other, t:info(other .. "_d").model_name)
			end)
		end
	end)

	it("lets a data set's plugin override such a stage", function()
		cli.shell("mkdir -p " .. t.dir .. "/plugins/datasets")
		cli.write(t.dir .. "/plugins/datasets/wiki.lua", [[return { api = 1, kind = "dataset",
			name = "wiki", version = "1.0.0", summary = "s", stages = { finetune = {
				model_name = "wiki_model",
				extract = function(ctx)
					local result = ctx:base()
					result.metrics.mine = 1
					return result
				end } } }]])
		cli.write(t.dir .. "/thhost.ini", "[artifact]\nroot = artifact\n[plugins]\npath = plugins\n")
		t:ok(record(left("x"), "-d", "wiki"), env)
		local info = t:info("finetune_wiki")
		assert.are.equal("wiki_model", info.model_name)
		assert.are.equal(1, info.training_history[1].metrics.mine)
	end)

	it("is not taken for a slip of a short name", function()
		cli.shell("mkdir " .. t.dir .. "/plugins")
		cli.write(t.dir .. "/plugins/mlm.lua", [[return { api = 1, kind = "stage", name = "mlm",
			version = "1.0.0", summary = "s", dir = "mlm", model_name = "mlm" }]])
		t:ok({ "record", "mlms", "-d", "d", "--steps", "1" }, { env = { THHOST_PLUGINS = t.dir .. "/plugins" } })
		assert.are.equal("mlms", t:info("mlms_d").model_name)
	end)

	it("is missing where thhost has lost its plugins, which is said", function()
		cli.shell(("mkdir %s/bin && cp %s %s/bin"):format(t.dir, cli.quote(cli.thhost), t.dir))
		local result = t:run({ "record", "finetune", "-d", "d", "--steps", "1" },
			{ program = t.dir .. "/bin/thhost" })
		assert.are.equal(3, result.status)
		assert.matches("unknown stage 'finetune'\nhint: no stage plugin was found", result.err, 1, true)
	end)

	it("is a plugin like others to list, show and check", function()
		assert.matches("generic +stage", t:ok({ "plugin", "list" }).out)
		assert.matches("d_tree +%*%*/%*  %(optional%)", t:ok({ "plugin", "show", "generic" }).out)
		assert.matches("directory +finetune\n", t:ok({ "plugin", "show", "finetune" }).out)
		assert.are.equal(0, t:run({ "plugin", "check", "generic" }).status)
	end)
end)

describe("the generic stage's progress", function()
	local CASES = {
		[" 45%|####5     | 450/1000 [00:10<00:12, 43.2it/s]"] = { step = 450, steps_total = 1000 },
		["Epoch 3/10"] = { epoch = 3, epochs_total = 10 },
		["epoch [ 4/20] loss 0.1"] = { epoch = 4, epochs_total = 20 },
		["Epoch 2:  50%|5  | 50/100 [00:01<00:01, v_num=0]"] = { epoch = 2, step = 50,
			steps_total = 100 },
		["{'loss': 0.5, 'learning_rate': 1e-05, 'epoch': 0.25}"] = { loss = 0.5, epoch = 0.25 },
		["{'loss': '1.5e-01', 'epoch': '2.5'}"] = { loss = 0.15, epoch = 2.5 },
		["Step 100/1000 - loss"] = { step = 100, steps_total = 1000 },
		["step [5 / 50]"] = { step = 5, steps_total = 50 },
		["iter 250: loss 2.5, time 35.20ms"] = { step = 250, loss = 2.5 },
		["step 500: train loss 2.1, val loss 2.25"] = { step = 500, val_loss = 2.25 },
		["[01/01 10:00:00] eta: 0:01 iter: 19  total_loss: 5.1"] = { step = 19 },
		["[12]\tvalid-rmse:0.5"] = { step = 12 },
		["Epoch: [7]  [ 100/1251]  eta: 0:10"] = { epoch = 7 },
		["nothing to see here"] = {},
	}

	for line, expected in pairs(CASES) do
		it("understands " .. line, function()
			local path, values = worker.write("lines", line .. "\n"), {}
			for _, one in ipairs((worker.run(("cat '%s' |"):format(path), "progress", "plugins",
				"generic"))) do
				for name, value in pairs(one) do
					values[name] = value
				end
			end
			assert.are.same(expected, values)
		end)
	end
	teardown(worker.cleanup)
end)
