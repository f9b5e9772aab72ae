--- Experiments, and the names that lead to models.
local cjson = require "cjson"
local cli = require "support.cli"
local tree = require "support.tree"

--- What the pipeline's own manager writes (home-pipeline.md, A.4), cut to what is read here.
local CONFIG = [[
experiment:
  id: 1
  name: Stage1 HRDS
  description: ''
  created: '2026-11-23 03:07:30'
  last_run: '2026-11-23 03:07:31'
  env: dev
model:
  name_or_path: microsoft/layoutxlm-base
stage1_training:
  max_steps: 10
  learning_rate: 5.0e-05
datasets:
  hrds:
    description: HRDoc-Simple
stages:
  stage1_hrds:
    status: completed
    current_step: 0
    best_checkpoint: checkpoint-10
    metrics: {}
    started_at: '2026-11-23 03:07:30'
    completed_at: '2026-11-23 03:07:30'
  stage2_hrds:
    status: completed
    current_step: 0
    best_checkpoint: null
    metrics: {}
    started_at: '2026-11-23 03:07:30'
    completed_at: '2026-11-23 03:07:31'
  stage4_hrds:
    status: failed
    current_step: 0
    best_checkpoint: null
    metrics: {}
    started_at: '2026-11-23 03:07:31'
    completed_at: null
]]

describe("exp", function()
	local t
	before_each(function()
		t = tree.bare()
	end)
	after_each(function()
		t:close()
	end)

	local function current()
		return cli.shell("readlink " .. t.root .. "/current")
	end

	it("makes the root and a dated experiment, and puts it in use", function()
		local name = t:ok({ "exp", "new" }).out:match("^(exp_%d%d%d%d%d%d%d%d_%d%d%d%d%d%d)\n$")
		assert.is_string(name)
		assert.are.equal(name, current())
		assert.are.equal("exp_a", t:json({ "exp", "new", "exp_a" }).name)
		assert.are.equal("exp_a", current())
		t:refused(4, "experiment 'exp_a' exists", { "exp", "new", "exp_a" })
		t:refused(5, "cannot be called 'latest'", { "exp", "new", "latest" })
	end)

	it("gives two in the same second two names", function()
		local at = { env = { THHOST_TEST_NOW = "2026-01-02T03:04:05+00:00", TZ = "UTC" } }
		assert.are_not.equal(t:ok({ "exp", "new" }, at).out, t:ok({ "exp", "new" }, at).out)
	end)

	it("gives ten at once ten names", function()
		cli.shell(("cd %s && for i in 0 1 2 3 4 5 6 7 8 9; do %s exp new >name.$i & done; wait"):format(
			t.dir, cli.quote(cli.thhost)))
		assert.are.equal("10", cli.shell(("cat %s/name.* | sort -u | wc -l"):format(t.dir)))
		assert.are.equal("10", cli.shell(("ls -d %s/exp_* | wc -l"):format(t.root)))
	end)

	it("chooses one by name, the latest, and lists which is in use", function()
		t:ok { "exp", "new", "exp_20250101_000000" }
		t:ok { "exp", "new", "exp_20260101_000000" }
		t:ok { "exp", "new", "trial" }
		t:ok { "exp", "use", "exp_20250101_000000" }
		assert.are.equal("exp_20250101_000000", current())
		t:ok { "exp", "use", "latest" }
		assert.are.equal("exp_20260101_000000", current())
		t:ok { "record", "stage1", "-d", "d", "--steps", "1", "--exp", "latest" }
		assert.is_string(t:read("exp_20260101_000000/stage1_d/training_info.json"))
		local list = t:json({ "exp", "list" }).experiments
		assert.are.equal(3, #list)
		assert.are.equal("trial", list[3].name)
		assert.is_false(list[1].current)
		assert.is_true(list[2].current)
		assert.are.equal(1, list[2].stages)
		assert.matches("\n%*  exp_20260101_000000", t:ok({ "exp", "list" }).out)
	end)

	it("records in one with a name of its own", function()
		t:ok { "exp", "new", "trial" }
		t:record("d")
		assert.is_string(t:read("trial/stage1_d/training_info.json"))
	end)

	it("says so where there is none yet", function()
		cli.shell("mkdir " .. t.root)
		local result = t:ok { "exp", "list" }
		assert.are.equal("", result.out)
		assert.matches("exp new", result.err)
		t:refused(3, "no experiment", { "exp", "status" })
	end)

	it("follows an absolute link as the pipeline makes it, and names one that dangles", function()
		t:ok { "exp", "new", "exp_1" }
		cli.shell(("cd %s && ln -sfn %s/exp_1 current"):format(t.root, t.root))
		t:record("d")
		assert.is_string(t:read("exp_1/stage1_d/training_info.json"))
		cli.shell(("cd %s && ln -sfn gone current"):format(t.root))
		t:refused(3, "points to 'gone'", { "record", "stage1", "-d", "d", "--steps", "1" })
		t:refused(3, "points to 'gone'", { "exp", "status" })
	end)

	describe("status", function()
		before_each(function()
			t:ok { "exp", "new", "exp_1" }
			t:write("exp_1/config.yml", CONFIG)
			t:record("hrds")
		end)

		it("joins what is recorded with what config.yml says", function()
			local page = t:ok({ "exp", "status" }).out
			assert.matches("^exp_1\n", page)
			assert.matches("\nstage1_hrds +recorded +10 +completed\n", page)
			assert.matches("\nfeatures_hrds +not recorded +2026%-11%-23 03:07:31 +completed\n", page)
			assert.matches("\nrelation_classifier_hrds +not recorded +2026%-11%-23 03:07:31 +failed\n", page)
			assert.are.equal(CONFIG, t:read("exp_1/config.yml"))
		end)

		it("gives the same as JSON", function()
			local stages = t:json({ "exp", "status", "exp_1" }).stages
			assert.are.equal(3, #stages)
			assert.are.equal("stage1_hrds", stages[1].dir)
			assert.are.equal("checkpoint-10", stages[1].config.best_checkpoint)
			assert.are.equal("features_hrds", stages[2].dir)
			assert.are.equal("2026-11-23 03:07:30", stages[2].config.started_at)
			assert.are.equal(cjson.null, stages[3].config.completed_at)
			assert.are.equal("failed", stages[3].config.status)
		end)

		it("lists what config.yml calls the experiment", function()
			local exp = t:json({ "exp", "list" }).experiments[1]
			assert.are.equal(1, exp.id)
			assert.are.equal("Stage1 HRDS", exp.title)
		end)

		it("names the place of a fault in config.yml", function()
			t:write("exp_1/config.yml", "stages:\n  a: [1\n")
			t:refused(5, "config.yml", { "exp", "status" })
			t:ok { "exp", "list" }
		end)
	end)
end)

describe("a REF", function()
	local t
	setup(function()
		t = tree.new()
		t:record("hrds", "--capture")
		t:ok { "record", "stage2", "-d", "hrds", "--steps", "0" }
		t:ok { "exp", "new", "exp_2" }
		t:record("hrdh")
		t:ok { "exp", "use", "exp_1" }
	end)
	teardown(function()
		t:close()
	end)

	local function leads(ref, to, options, ...)
		assert.are.equal(to, t:json({ "show", ref, ... }, 0, options).ref)
	end

	it("is a name, an experiment and a name, or a stage and a data set", function()
		leads("stage1_hrds", "exp_1/stage1_hrds")
		leads("exp_2/stage1_hrdh", "exp_2/stage1_hrdh")
		leads("stage1/hrds", "exp_1/stage1_hrds")
		leads("exp_2/stage1/hrdh", "exp_2/stage1_hrdh")
		leads("latest/stage1_hrdh", "exp_2/stage1_hrdh")
		leads("current/stage1_hrds", "exp_1/stage1_hrds")
		leads("stage1_hrdh", "exp_2/stage1_hrdh", nil, "--exp", "exp_2")
	end)

	it("knows the directory of a stage by the stage, and config.yml's name for it", function()
		leads("features_hrds", "exp_1/features_hrds")
		leads("stage2/hrds", "exp_1/features_hrds")
		leads("stage2_hrds", "exp_1/features_hrds")
	end)

	it("is a path to the directory or to the record", function()
		leads(t.root .. "/exp_2/stage1_hrdh", "exp_2/stage1_hrdh")
		leads("artifact/exp_2/stage1_hrdh/", "exp_2/stage1_hrdh")
		leads("./artifact/exp_2/stage1_hrdh/training_info.json", "exp_2/stage1_hrdh")
		leads(".", "exp_2/stage1_hrdh", { cwd = t.root .. "/exp_2/stage1_hrdh",
			env = { THHOST_ROOT = t.root } })
	end)

	it("is a run id or the beginning of one", function()
		local id = t:info("stage1_hrds").training_history[1].run_id
		leads(id, "exp_1/stage1_hrds")
		leads(id:sub(1, 13), "exp_1/stage1_hrds")
	end)

	it("that leads nowhere says what may be meant", function()
		t:refused(3, "did you mean 'stage1_hrds'", { "show", "stage1_hrsd" })
		t:refused(3, "no directory", { "show", "../nothing" })
		t:refused(3, "exp_9", { "show", "stage1_hrds", "--exp", "exp_9" })
		t:refused(3, "", { "show", "" })
		t:refused(3, "", { "show", "exp_1/stage1_hrds/checkpoint/x/y" })
	end)
end)

describe("a name", function()
	local t
	setup(function()
		t = tree.new()
		t:record("hrds")
	end)
	teardown(function()
		t:close()
	end)

	local BAD = { "../x", "/etc", "", "a/b", ".hidden", "a\nb", "a\27[31m", "..", ".", "x.lock",
		"a\\b",
		"\xff", ("n"):rep(101), "a\u{202e}b" }
	local PLACES = {
		["exp new"] = function(name) return { "exp", "new", name } end,
		["exp use"] = function(name) return { "exp", "use", name } end,
		["exp status"] = function(name) return { "exp", "status", name } end,
		["--dataset"] = function(name)
			return { "record", "stage1", "--steps", "1", "--dataset=" .. name }
		end,
		["--exp"] = function(name)
			return { "record", "stage1", "-d", "d", "--steps", "1", "--exp=" .. name }
		end,
		["list --exp"] = function(name) return { "list", "--exp=" .. name } end,
		["verify --exp"] = function(name) return { "verify", "--exp=" .. name } end,
		["show --exp"] = function(name) return { "show", "stage1_hrds", "--exp=" .. name } end,
		["plugin new"] = function(name) return { "plugin", "new", name } end,
		["plugin new --stage"] = function(name)
			return { "plugin", "new", "x", "--kind", "dataset", "--stage=" .. name }
		end,
	}
	for place, args in pairs(PLACES) do
		it("that leaves the tree or hides is refused by " .. place, function()
			for _, name in ipairs(BAD) do
				t:refused(5, "cannot be", args(name))
			end
			t:refused(5, "cannot be", place:match("^%-") and args("-x") or args("x.tmp"))
		end)
	end

	it("of a stage is refused likewise", function()
		for _, name in ipairs(BAD) do
			t:refused(5, "cannot be", { "record", name, "-d", "d", "--steps", "1" })
		end
	end)

	it("of a checkpoint may lie deeper, and never elsewhere", function()
		for _, name in ipairs { "../x", "/etc/x", "", "a/../b", "a\nb", "-x", "a//b" } do
			t:refused(5, "cannot be", { "record", "stage1", "-d", "d", "--steps", "1",
				"--final-checkpoint=" .. name })
		end
		t:record("d", "--final-checkpoint", "checkpoints/epoch=3.ckpt")
	end)

	it("from JSON is refused likewise", function()
		for key, name in pairs { dataset = "../x", stage = "/x", exp = "..",
			final_checkpoint = "../x" } do
			local values = { stage = "stage1", dataset = "d", steps = 1 }
			values[key] = name
			t:refused(5, "cannot be", { "record", "--json-input", "-" }, { input = cjson.encode(values) })
		end
	end)
end)
