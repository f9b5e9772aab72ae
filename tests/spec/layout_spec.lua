--- The tree: experiments, stage directories, and what a REF means.

local unit = require("unit")
local layout, setenv = unit.layout, unit.conf.setenv

local STAGES = {
	{ "stage1", "stage1" }, { "stage2", "features" }, { "stage3", "parent_finder" },
	{ "stage4", "relation_classifier" }, { "stage5", "parent" },
}

local CONFIG = [[
experiment:
  id: 7
  name: Stage1 HRDS
  created: '2025-12-10 20:12:20'
stages:
  stage1_hrds:
    status: completed
    current_step: 0
    best_checkpoint: checkpoint-10
    metrics: {f1: 0.85}
    started_at: '2025-12-10 20:12:30'
    completed_at: '2025-12-10 21:42:00'
  stage2_hrds:
    status: failed
    best_checkpoint: null
    metrics: {}
    started_at: '2025-12-10 22:00:00'
    completed_at: null
]]

local function write(path, text)
	local file = assert(io.open(path, "wb"))
	assert(file:write(text))
	assert(file:close())
end

local function capture(command)
	local pipe = assert(io.popen(command))
	local text = pipe:read("a")
	pipe:close()
	return (text:gsub("\n$", ""))
end

local function run(format, ...)
	assert(os.execute(format:format(...)))
end

describe("the tree", function()
	local root, tree

	--- Make directories below the root; a name that ends in '!' gets a record.
	local function make(...)
		for _, name in ipairs { ... } do
			local dir = root .. "/" .. name:gsub("!$", "")
			run("mkdir -p '%s'", dir)
			if name:find("!$") then
				write(dir .. "/training_info.json", "{}")
			end
		end
	end

	before_each(function()
		root = capture("mktemp -d")
		setenv("THHOST_TEST_NOW", "1765368740")
		setenv("TZ", "UTC")
		tree = assert(layout.open(root, STAGES))
	end)

	after_each(function()
		tree:close()
		setenv("THHOST_TEST_NOW", nil)
		run("chmod -R u+rwx '%s' && rm -r '%s'", root, root)
	end)

	describe("the root", function()
		it("that is not there is named, with what to do", function()
			local none, message, code = layout.open(root .. "/absent", STAGES)
			assert.is_nil(none)
			assert.equal("not_found", code)
			assert.matches(root .. "/absent", message, 1, true)
		end)

		it("is made with what is missing above it", function()
			assert(layout.make_root(root .. "/a/b/c"))
			assert(layout.make_root(root .. "/a/b/c"))
			assert(layout.open(root .. "/a/b/c"))
			write(root .. "/file", "")
			assert.is_nil((layout.make_root(root .. "/file/x")))
		end)
	end)

	describe("a new experiment", function()
		it("is named by the clock, and by the next free second", function()
			assert.equal("exp_20251210_121220", tree:new())
			assert.equal("exp_20251210_121221", tree:new())
			assert.equal("exp_20251210_121221", capture("readlink '" .. root .. "/current'"))
		end)

		it("is made once only by however many processes", function()
			local made = capture(([[for i in 1 2 3 4 5 6 7 8; do lua5.4 -e '
				package.cpath = "%s" local l = require("unit").layout.open("%s") print(l:new())' & done
				wait]]):format(package.cpath, root))
			local seen, n = {}, 0
			for name in made:gmatch("exp_%S+") do
				assert.is_nil(seen[name])
				seen[name] = true
				n = n + 1
			end
			assert.equal(8, n)
		end)

		it("takes a name, but not one that is taken or leads astray", function()
			assert.equal("baseline", tree:new("baseline"))
			assert.equal("busy", select(3, tree:new("baseline")))
			for _, name in ipairs { "current", "latest", "..", "a/b", "../x", ".x", "", "x.lock" } do
				assert.equal("invalid", select(3, tree:new(name)), name)
			end
		end)
	end)

	describe("the experiment in use", function()
		it("is what the link points to, else the newest", function()
			make("exp_20250101_000000", "exp_20260101_000000", "exp_old", "aaa")
			assert.equal("exp_20260101_000000", tree:find())
			assert(tree:use("exp_20250101_000000"))
			assert.equal("exp_20250101_000000", tree:find())
			assert.equal("exp_20250101_000000", tree:find("current"))
			assert.equal("exp_20260101_000000", tree:find("latest"))
			assert.equal("exp_old", tree:find("exp_old"))
		end)

		it("is the newest that bears our name, however the others are called", function()
			make("exp_1/stage1_a!", "zebra/stage1_a!", "exp_old/stage1_a!")
			assert.equal("exp_1", tree:find("latest"))
		end)

		it("may be an absolute link, by any spelling of the root", function()
			make("exp_1", "exp_2")
			run("ln -s '%s' '%s-alias' && ln -s '%s-alias/exp_1/' '%s/current'", root, root, root, root)
			finally(function() os.remove(root .. "-alias") end)
			assert.equal("exp_1", tree:find())
		end)

		it("is told when the link dangles, as the Python program leaves it", function()
			make("exp_1", "exp_2")
			run("ln -s artifact/exp_1 '%s/current'", root)
			local none, message, code = tree:find()
			assert.is_nil(none)
			assert.equal("not_found", code)
			assert.matches("points to 'artifact/exp_1', which does not exist", message, 1, true)
			assert.equal("'thhost exp use exp_1' mends it", tree:find_hint())
			assert(tree:use("exp_1"))
			assert.equal("exp_1", tree:find())
		end)

		it("is not taken from outside the root", function()
			make("exp_1")
			run("ln -s /tmp '%s/current'", root)
			assert.matches("which is no experiment of this root", select(2, tree:find()), 1, true)
		end)

		it("is not a directory called current", function()
			make("current", "exp_1")
			assert.equal("invalid", select(3, tree:find()))
			assert.is_nil((tree:use("exp_1")))
		end)

		it("that is unknown brings a suggestion", function()
			make("exp_baseline")
			local _, message, code = tree:find("exp_baselin")
			assert.equal("not_found", code)
			assert.matches("did you mean 'exp_baseline'?", message, 1, true)
			assert.equal("not_found", select(3, tree:use("exp_x")))
		end)

		it("is asked for when there is none", function()
			assert.equal("not_found", select(3, tree:find()))
			assert.equal("'thhost exp new' makes one", tree:find_hint())
		end)
	end)

	describe("the list of experiments", function()
		it("says what config.yml says, and what lies there", function()
			make("exp_10/stage1_hrds!", "exp_10/features_hrds", "exp_10/logs", "exp_9",
				"mine/stage1_hrds!", "scratch/stuff", "stage1_flat!", ".hidden/stage1_hrds!")
			write(root .. "/exp_10/config.yml", CONFIG)
			assert(tree:use("exp_10"))
			local list = assert(tree:list())
			assert.same({
				{ name = "exp_9", id = 0, n_stages = 0, is_current = false, has_config = false },
				{ name = "exp_10", id = 7, title = "Stage1 HRDS", created = "2025-12-10 20:12:20",
					n_stages = 2, is_current = true, has_config = true },
				{ name = "mine", id = 0, n_stages = 1, is_current = false, has_config = false },
			}, list)
		end)

		it("is not hidden by one broken config.yml", function()
			make("exp_1", "exp_2")
			write(root .. "/exp_1/config.yml", "experiment: [\n")
			write(root .. "/exp_2/config.yml", "experiment: 5\n")
			local list = assert(tree:list())
			assert.equal(2, #list)
			assert.is_true(list[1].has_config)
			assert.is_nil(list[1].title)
		end)
	end)

	describe("the state of an experiment", function()
		it("is config.yml's, with the directory that each key means", function()
			make("exp_1")
			write(root .. "/exp_1/config.yml", CONFIG)
			assert.same({
				{ key = "stage1_hrds", dir = "stage1_hrds", status = "completed", current_step = 0,
					best_checkpoint = "checkpoint-10", metrics = '{"f1":0.85}',
					started_at = "2025-12-10 20:12:30", completed_at = "2025-12-10 21:42:00" },
				{ key = "stage2_hrds", dir = "features_hrds", status = "failed", current_step = 0,
					metrics = "{}", started_at = "2025-12-10 22:00:00" },
			}, tree:states("exp_1"))
			assert.matches('^{"experiment":{"id":7,', (tree:config("exp_1")))
		end)

		it("is an error where there is no such experiment", function()
			assert.equal("not_found", select(3, tree:states("exp_1")))
		end)

		it("is empty without a config.yml, and an error with a broken one", function()
			make("exp_1")
			assert.same({}, tree:states("exp_1"))
			assert.equal("not_found", select(3, tree:config("exp_1")))
			write(root .. "/exp_1/config.yml", "stages: [1\n")
			local none, message, code = tree:states("exp_1")
			assert.is_nil(none)
			assert.equal("invalid", code)
			assert.matches("exp_1/config.yml:", message, 1, true)
			write(root .. "/exp_1/config.yml", "stages: {a: 5, b: []}\n")
			assert.same({ { key = "a", dir = "a", current_step = 0 },
				{ key = "b", dir = "b", current_step = 0 } }, tree:states("exp_1"))
		end)
	end)

	describe("the name of a stage directory", function()
		for _, case in ipairs {
			{ "stage3", "hrds", "parent_finder_hrds" },
			{ "stage3", "my_biz", "parent_finder_my_biz" },
			{ "stage5", "finder_x", "parent_finder_x", "stage3", "x" },
			{ "stage9", "hrds", "stage9_hrds" },
			{ "stage10", "a_b", "stage10_a_b" },
		} do
			it("is " .. case[3] .. " for " .. case[1] .. " and " .. case[2], function()
				assert.equal(case[3], tree:stage_dir_name(case[1], case[2]))
				assert.same({ case[4] or case[1], case[5] or case[2] },
					{ tree:split_name(case[3]) })
			end)
		end

		it("cannot always be split", function()
			for _, name in ipairs { "other_hrds", "stage_hrds", "stage1_", "stage7", "parent_",
				"stage1x_y" } do
				assert.same({}, { tree:split_name(name) }, name)
			end
		end)

		it("may have no dataset", function()
			assert.equal("parent_finder", tree:stage_dir_name("stage3"))
			assert.same({ "stage3" }, { tree:split_name("parent_finder") })
		end)

		it("is split by the name that config.yml uses as well", function()
			assert.same({ "stage2", "hrds" }, { tree:split_name("stage2_hrds") })
		end)
	end)

	describe("opening a stage", function()
		it("makes its directory, and a first experiment where there is none", function()
			local dir = assert(tree:open_stage(nil, "stage3", "my_biz", true))
			assert.same({ exp = "exp_20251210_121220", name = "parent_finder_my_biz",
				ref = "exp_20251210_121220/parent_finder_my_biz", stage = "stage3",
				path = root .. "/exp_20251210_121220/parent_finder_my_biz", dataset = "my_biz",
				is_open = true }, dir)
			assert(tree:open_stage(nil, "stage3", "my_biz", true))
			assert(tree:open_stage("latest", "stage3", "my_biz", false))
		end)

		it("takes a stage that config.yml does not know at its word", function()
			local dir = assert(tree:open_stage("exp_1", "mine", "d", true) or tree:open_stage(nil, "mine", "d", true))
			assert.same({ "mine_d", "mine", "d" }, { dir.name, dir.stage, dir.dataset })
		end)

		it("makes no experiment while another only cannot be found", function()
			make("exp_1")
			run("ln -s nowhere '%s/current'", root)
			assert.equal("not_found", select(3, tree:open_stage(nil, "stage1", "hrds", true)))
			assert.equal("not_found", select(3, tree:open_stage("exp_2", "stage1", "hrds", true)))
		end)

		it("does not make what it should only find", function()
			make("exp_1")
			assert.equal("not_found", select(3, tree:open_stage("exp_1", "stage1", "hrds", false)))
		end)

		it("refuses names that lead out of the tree", function()
			make("exp_1")
			for _, name in ipairs { "..", "../x", "a/b", "/etc", ".x", "-x", "a\nb", "x.tmp",
				("x"):rep(101) } do
				assert.equal("invalid", select(3, tree:open_stage("exp_1", name, "hrds", true)), name)
				assert.equal("invalid", select(3, tree:open_stage("exp_1", "stage1", name, true)), name)
				assert.equal("invalid", select(3, tree:open_stage(name, "stage1", "hrds", true)), name)
			end
		end)

		it("does not follow a link out of the tree", function()
			make("exp_1")
			run("ln -s /tmp '%s/exp_1/stage1_hrds'", root)
			assert.is_nil((tree:open_stage("exp_1", "stage1", "hrds", true)))
			assert.is_nil((tree:open_stage("exp_1", "stage1", "hrds", false)))
		end)
	end)

	describe("a REF", function()
		local ID = "019b0a11-2222-7333-8444-555566667777"

		before_each(function()
			make("exp_1/stage1_hrds!", "exp_1/features_hrds!", "exp_1/parent_finder_my_biz!",
				"exp_2/stage1_hrds!", "flat_model!")
			assert(tree:use("exp_1"))
		end)

		local function ref_of(ref, exp)
			local dir, message = tree:resolve(ref, exp)
			return dir and dir.ref or message
		end

		for _, case in ipairs {
			{ "stage1_hrds", "exp_1/stage1_hrds" },
			{ "stage1_hrds/", "exp_1/stage1_hrds" },
			{ "stage1/hrds", "exp_1/stage1_hrds" },
			{ "stage3/my_biz", "exp_1/parent_finder_my_biz" },
			{ "exp_2/stage1_hrds", "exp_2/stage1_hrds" },
			{ "exp_2/stage1/hrds", "exp_2/stage1_hrds" },
			{ "latest/stage1_hrds", "exp_2/stage1_hrds" },
			{ "current/stage1/hrds", "exp_1/stage1_hrds" },
			{ "stage2_hrds", "exp_1/features_hrds" },
			{ "exp_1/stage2_hrds", "exp_1/features_hrds" },
			{ "features_hrds/training_info.json", "exp_1/features_hrds" },
			{ "flat_model", "flat_model" },
		} do
			it("finds " .. case[1], function()
				assert.equal(case[2], ref_of(case[1]))
				assert.equal(case[2], tree:resolve_recorded(case[1]).ref)
			end)
		end

		it("is relative to the experiment that is named", function()
			assert.equal("exp_2/stage1_hrds", ref_of("stage1_hrds", "exp_2"))
			assert.equal("exp_2/stage1_hrds", ref_of("stage1/hrds", "latest"))
			assert.equal("not_found", select(3, tree:resolve("stage1_hrds", "exp_3")))
		end)

		it("prefers a directory to the name that config.yml uses", function()
			make("exp_1/stage2_hrds!")
			assert.equal("exp_1/stage2_hrds", ref_of("stage2_hrds"))
		end)

		it("may be a path, in the tree or out of it", function()
			local dir = assert(tree:resolve(root .. "/exp_2/stage1_hrds/training_info.json"))
			assert.same({ "exp_2", "exp_2/stage1_hrds", "stage1", "hrds" },
				{ dir.exp, dir.ref, dir.stage, dir.dataset })
			local other = capture("mktemp -d")
			finally(function() run("rm -r '%s'", other) end)
			run("mkdir '%s/stage4_hrdh'", other)
			dir = assert(tree:resolve(other .. "/stage4_hrdh"))
			assert.is_nil(dir.exp)
			assert.same({ other .. "/stage4_hrdh", other .. "/stage4_hrdh", "stage4", "hrdh" },
				{ dir.ref, dir.path, dir.stage, dir.dataset })
		end)

		it("may be the path of a stage without an experiment", function()
			local dir = assert(tree:resolve(root .. "/flat_model"))
			assert.is_nil(dir.exp)
			assert.equal("flat_model", dir.ref)
		end)

		it("may be the record where one is, and that of a whole machine is none", function()
			local here = os.getenv("PWD")
			local dir, message = tree:resolve("training_info.json")
			assert.equal(here:match("[^/]*$"), dir and dir.name, message)
			dir = assert(tree:resolve("/training_info.json"))
			assert.equal("/", dir.path)
		end)

		it("by two ways to one directory is no two meanings", function()
			make("exp_1/a_b!")
			local found = assert(tree:resolve("exp_1/a/b") or tree:resolve("exp_1/a_b"))
			assert.equal("exp_1/a_b", found.ref)
			run("mkdir '%s/exp_1/stage1' && mv '%s/exp_1/stage1_hrds' '%s/exp_1/stage1/hrds' && "
				.. "ln -s stage1/hrds '%s/exp_1/stage1_hrds'", root, root, root, root)
			assert.equal("exp_1/stage1_hrds", ref_of("exp_1/stage1/hrds"))
		end)

		it("that is a path leads out of a root that was moved away", function()
			run("mv '%s' '%s.away'", root, root)
			local dir = assert(tree:resolve(root .. ".away/exp_1/stage1_hrds"))
			run("mv '%s.away' '%s'", root, root)
			assert.is_nil(dir.exp)
			assert.equal(root .. ".away/exp_1/stage1_hrds", dir.ref)
		end)

		it("of a record never is one", function()
			for _, ref in ipairs { root .. "/exp_1/stage1_hrds", "../exp_1/stage1_hrds",
				"exp_1/../exp_2/stage1_hrds", "/etc", ".", "src/model" } do
				assert.equal("not_found", select(3, tree:resolve_recorded(ref)), ref)
			end
		end)

		it("may be a run id or the beginning of one, from a journal or a record", function()
			make("exp_2/features_hrds/.thhost/runs")
			write(root .. "/exp_2/features_hrds/.thhost/runs/" .. ID .. ".json", "{}")
			write(root .. "/exp_2/stage1_hrds/training_info.json",
				'{"training_history":[{"run_id":"abcd1111-2222-7333-8444-555566667777"}]}')
			write(root .. "/exp_1/stage1_hrds/training_info.json", '{"training_history":' ..
				'[{"run_id":"abcd1111-2222-7333-8444-555566667777","inherited_from":"x"}]}')
			for _, ref in ipairs { ID, "019b", "019B0A11", "019b0a11-2222" } do
				assert.equal("exp_2/features_hrds", ref_of(ref))
			end
			assert.equal("exp_2/stage1_hrds", ref_of("abcd1111"))
			assert.equal("not_found", select(3, tree:resolve("019")))
			assert.equal("not_found", select(3, tree:resolve("019c")))
		end)

		it("that begins the ids of two directories is refused with both", function()
			make("exp_2/features_hrds/.thhost/runs", "exp_1/features_hrds/.thhost/runs")
			write(root .. "/exp_2/features_hrds/.thhost/runs/" .. ID .. ".json", "{}")
			write(root .. "/exp_1/features_hrds/.thhost/runs/019b0a12.json", "{}")
			local none, message, code = tree:resolve("019b")
			assert.is_nil(none)
			assert.equal("invalid", code)
			assert.equal("runs in 'exp_1/features_hrds' and in 'exp_2/features_hrds' begin with '019b'",
				message)
			assert.equal("exp_1/features_hrds", ref_of("019b0a12"))
		end)

		it("with two meanings is refused with both", function()
			make("stage1/hrds!")
			local none, message, code, hint = tree:resolve("stage1/hrds")
			assert.is_nil(none)
			assert.equal("invalid", code)
			assert.equal("'stage1/hrds' has two meanings: 'stage1/hrds' and 'exp_1/stage1_hrds'", message)
			assert.matches("EXP/STAGE/DATASET", hint, 1, true)
			assert.equal("exp_1/stage1_hrds", ref_of("exp_1/stage1/hrds"))
		end)

		it("that is an experiment is told so", function()
			local none, message, code = tree:resolve("exp_2")
			assert.is_nil(none)
			assert.equal("invalid", code)
			assert.equal("'exp_2' is an experiment, not a stage in it", message)
			assert.equal("invalid", select(3, tree:resolve(root .. "/exp_2")))
		end)

		it("that is unknown brings a suggestion", function()
			local none, message, code = tree:resolve("stage1_hrd")
			assert.is_nil(none)
			assert.equal("not_found", code)
			assert.equal("no 'stage1_hrd' in experiment 'exp_1'; did you mean 'stage1_hrds'?", message)
			assert.equal("not_found", select(3, tree:resolve("/etc/passwd")))
			assert.equal("no directory './nothing'", select(2, tree:resolve("./nothing")))
			for _, ref in ipairs { "", "a//b", "a/b/c/d", "exp_1/..", "stage1/../x", "\27[2J" } do
				assert.is_nil((tree:resolve(ref)), ref)
			end
		end)

		it("says why there is no experiment to look in", function()
			run("ln -sfn nowhere '%s/current'", root)
			local none, message, code, hint = tree:resolve("stage1_hrds")
			assert.is_nil(none)
			assert.equal("not_found", code)
			assert.matches("points to 'nowhere', which does not exist", message, 1, true)
			assert.matches("thhost exp use", hint, 1, true)
			assert.equal("exp_1/stage1_hrds", ref_of("exp_1/stage1_hrds"))
		end)
	end)

	describe("a walk", function()
		local function refs(list)
			local names = {}
			for i, dir in ipairs(list) do
				names[i] = dir.ref
			end
			return names
		end

		before_each(function()
			make("exp_10/stage1_hrds!", "exp_9/stage10_x!", "exp_9/stage2_x!", "exp_9/features_y/.thhost",
				"exp_9/notes", "exp_9/stage1_cv/fold_2!", "exp_9/stage1_cv/fold_10!",
				"exp_9/stage1_cv/checkpoint-5!", "exp_9/stage1_cv/empty", "flat!", "flat/deep!",
				".git/stage1_x!", "exp_9/.hidden!")
			assert(tree:use("exp_9"))
			run("ln -s stage2_x '%s/exp_9/stage3_link'", root)
		end)

		it("meets every record once, in natural order", function()
			assert.same({ "exp_9/features_y", "exp_9/stage1_cv/fold_2", "exp_9/stage1_cv/fold_10",
				"exp_9/stage2_x", "exp_9/stage10_x", "exp_10/stage1_hrds", "flat", "flat/deep" },
				refs(assert(tree:walk())))
			assert.same({ "exp_10/stage1_hrds" }, refs(assert(tree:walk("exp_10"))))
		end)

		it("meets records at any depth where no directory has a stage's name", function()
			make("old/mlruns/0/4c1e!", "old/mlruns/0/4c1e/artifacts/model", "old/out/a/version_3!",
				"old/out!", "old/out/checkpoint-5/x!", "old/venv/lib/run!", "old/stage1_x/a/b!",
				"flat/deep/est!")
			assert.same({ "exp_9/features_y", "exp_9/stage1_cv/fold_2", "exp_9/stage1_cv/fold_10",
				"exp_9/stage2_x", "exp_9/stage10_x", "exp_10/stage1_hrds", "flat", "flat/deep",
				"flat/deep/est", "old/mlruns/0/4c1e", "old/out", "old/out/a/version_3" },
				refs(assert(tree:walk())))
		end)

		it("names what it meets so that it can be found again", function()
			make("old/mlruns/0/4c1e!", "old/a/b/c/d/e!")
			for _, dir in ipairs(assert(tree:walk())) do
				assert.equal(dir.path, assert(tree:resolve(dir.ref)).path)
			end
		end)

		it("stops when the visitor says so", function()
			local none, message = tree:walk(nil, 3)
			assert.is_nil(none)
			assert.equal("stopped", message)
		end)

		it("reports a directory that it cannot open and goes on", function()
			if capture("id -u") == "0" then
				return -- nothing is closed to root
			end
			run("chmod 0 '%s/exp_9/stage2_x'", root)
			local list = assert(tree:walk("exp_9"))
			assert.equal(5, #list)
			assert.is_false(list[4].is_open)
			assert.matches("exp_9/stage2_x", list[4].trouble, 1, true)
		end)
	end)
end)
