--- The small verbs: config, doctor, version, help, completion, plugin.
local cli = require "support.cli"
local tree = require "support.tree"

local t

local function fresh()
	t = tree.new()
end

local function done()
	t:close()
end

describe("config", function()
	before_each(fresh)
	after_each(done)

	it("lists every key with its value and where that comes from", function()
		cli.write(t.dir .. "/thhost.ini", "[ui]\ntime = iso\n[record]\nlock_timeout_s = 5\n")
		local page = t:ok({ "config", "list", "--show-origin", "--root", "artifact" },
			{ env = { THHOST_LOCK_TIMEOUT = "7" } }).out
		assert.matches("\nui.time +%S+/thhost.ini:2 +iso\n", page)
		assert.matches("\nrecord.lock_timeout_s +environment THHOST_LOCK_TIMEOUT +7\n", page)
		assert.matches("\nartifact.root +flag +artifact\n", page)
		assert.matches("\nui.color +default +auto\n", page)
		assert.is_nil(t:ok({ "config", "list" }).out:find("default", 1, true))
		for _, value in ipairs(t:json({ "config", "list" }).values) do
			assert.is_string(value.origin)
		end
	end)

	it("gets one value, for scripts", function()
		assert.are.equal("relative\n", t:ok({ "config", "get", "ui.time" }).out)
		assert.are.equal("relative", t:json({ "config", "get", "ui.time" }).value)
	end)

	it("finds the project's file from below, and the user's own", function()
		cli.shell(("mkdir -p %s/a/b %s/home/config/thhost"):format(t.dir, t.dir))
		cli.write(t.dir .. "/home/config/thhost/thhost.ini", "[ui]\ntime = iso\ncolor = never\n")
		cli.write(t.dir .. "/thhost.ini", "[ui]\ntime = relative\n[artifact]\nroot = artifact\n")
		local below = { cwd = t.dir .. "/a/b" }
		assert.are.equal("relative\n", t:ok({ "config", "get", "ui.time" }, below).out)
		assert.are.equal("never\n", t:ok({ "config", "get", "ui.color" }, below).out)
		assert.matches("exp_1", t:ok({ "exp", "list" }, below).out)
	end)
end)

describe("doctor", function()
	before_each(fresh)
	after_each(done)

	it("says what works, and ends with 0 where recording works", function()
		local page = t:ok({ "doctor" }).out
		assert.matches("\ngood  artifact root +%S+/artifact, with locks\n", page)
		assert.matches("\ngood  plugins +%d+ found, 0 broken\n", page)
		local what = {}
		for _, check in ipairs(t:json({ "doctor" }).checks) do
			what[check.what] = check.verdict
		end
		assert.are.equal("good", what.thhost)
		assert.are.equal("good", what["plugin worker"])
		assert.are.equal("current\nexp_1", cli.shell("ls -A " .. t.root))
	end)

	it("ends with 1 and names a plugin that is broken", function()
		cli.shell("mkdir " .. t.dir .. "/plugins")
		cli.write(t.dir .. "/plugins/mine.lua", "return {")
		local result = t:run({ "doctor" }, { env = { THHOST_PLUGINS = t.dir .. "/plugins" } })
		assert.are.equal(1, result.status)
		assert.matches("\nbad +plugin +plugin 'mine'", result.out)
	end)
end)

describe("version and help", function()
	before_each(fresh)
	after_each(done)

	it("name the program, its Lua and its formats", function()
		assert.matches("^thhost %d+%.%d+%.%d+ %(Lua 5%.4", t:ok({ "version" }).out)
		assert.are.equal(t:ok({ "version" }).out, t:ok({ "--version" }).out)
		assert.are.equal(1, t:json({ "version" }).record_schema)
	end)

	it("show every verb, and every verb its own page", function()
		local page = t:ok({ "help" }).out
		assert.are.equal(page, t:ok({ "--help" }).out)
		assert.are.equal(page, t:ok({}).out)
		for verb in page:gmatch("\n  (%l+) ") do
			local own = t:ok({ "help", verb }).out
			assert.matches("^usage: thhost " .. verb, own)
			assert.are.equal(own, t:ok({ verb, "--help" }).out)
			for line in own:gmatch("[^\n]+") do
				assert.is_true(#line <= 100, line)
			end
		end
	end)
end)

describe("completion", function()
	before_each(fresh)
	after_each(done)

	local function words(...)
		return (t:ok({ "completion", "words", "--", ... }).out:gsub("\n", " "))
	end

	it("offers verbs, their words, options, stages and models", function()
		t:record("hrds")
		assert.are.equal("record repair ", words("re"))
		assert.are.equal("new list use status ", words("exp", ""))
		assert.are.equal("--json-input --json ", words("record", "--js"))
		assert.are.equal("stage1 stage2 stage3 stage4 ", words("record", "st"))
		assert.are.equal("stage1_hrds ", words("show", "stage"))
		assert.are.equal("exp_1/stage1_hrds ", words("lineage", "exp"))
		assert.are.equal("diff ", words("lineage", "di"))
		assert.are.equal("exp_1/stage1_hrds ", words("lineage", "diff", "exp"))
		assert.are.equal("", words("nothing", "x"))
	end)

	it("says nothing where there is no root", function()
		cli.shell("rm -r " .. t.root)
		local result = t:ok { "completion", "words", "--", "show", "" }
		assert.are.equal("", result.out .. result.err)
	end)
end)

describe("plugin", function()
	before_each(fresh)
	after_each(done)

	local function new(...)
		return t:ok({ "plugin", "new", ... }).out:match("^(%S+)\n$")
	end

	it("lists what is found and what hides what", function()
		cli.write(t.dir .. "/thhost.ini", "[plugins]\npath = mine\n")
		local path = new("stage1")
		assert.are.equal(t.dir .. "/mine/stage1.lua", path)
		local found = {}
		for _, plugin in ipairs(t:json({ "plugin", "list" }).plugins) do
			if plugin.name == "stage1" then
				found[#found + 1] = plugin
			end
		end
		assert.are.equal(2, #found)
		assert.are.equal(path, found[1].path)
		assert.is_false(found[1].shadowed)
		assert.is_true(found[2].shadowed)
		assert.matches("\nstage1 +stage +shadowed +%S+/stage1.lua\n", t:ok({ "plugin", "list" }).out)
	end)

	it("lists a broken one as such, and ends with 1", function()
		cli.write(new("ner"), "return nil")
		local result = t:run { "plugin", "list" }
		assert.are.equal(1, result.status)
		assert.matches("ner +stage +broken", result.out)
		assert.matches("warning: plugin 'ner'", result.err)
	end)

	it("shows what a stage declares, with a data set's overrides", function()
		local page = t:ok({ "plugin", "show", "stage3", "-d", "my_biz" }).out
		assert.matches("\ndirectory +parent_finder\n", page)
		assert.matches("\noverridden +%S+/my_biz.lua\n", page)
		assert.matches("audit_accuracy +higher is better", page)
		local answer = t:json { "plugin", "show", "stage3" }
		assert.are.equal("parent_finder", answer.dir)
		assert.are.equal(64, #answer.sha256)
		assert.are.same({ "stage2" }, answer.requires)
		t:refused(3, "did you mean 'stage3'", { "plugin", "show", "stag3" })
	end)

	it("checks files and names, each on its line; 6 if one is broken", function()
		local good, bad = new("good_one"), new("bad_one")
		cli.write(bad, "return { api = 1, kind = 'stage', name = 'bad_one' }")
		assert.matches("good_one.lua: in order %(", t:ok({ "plugin", "check", good, "stage1" }).out)
		local result = t:run { "plugin", "check", good, bad }
		assert.are.equal(6, result.status)
		assert.matches("in order", result.out)
		assert.matches("^thhost: plugin 'bad_one'", result.err)
		local answer
		answer, result = t:json({ "plugin", "check", good, bad }, 6)
		assert.matches("bad_one", answer.plugins[2].error)
		assert.matches('^{"error":', result.err)
	end)

	it("tests one on a directory and shows what it would record", function()
		local path = new("ner")
		cli.shell("mkdir " .. t.dir .. "/left")
		cli.write(t.dir .. "/left/train.log", "step 500 accuracy 0.91\nstep 600 accuracy 0.90\n")
		for _, what in ipairs { "ner", path } do
			local answer = t:json { "plugin", "test", what, "--from", "left" }
			assert.are.equal(600, answer.steps)
			assert.are.equal(0.91, answer.metrics.accuracy)
			assert.are.same({ "train.log" }, answer.read)
		end
	end)

	it("overwrites nothing", function()
		local path = new("ner", "--dir", t.dir)
		t:refused(1, "'" .. path .. "' is there already", { "plugin", "new", "ner", "--dir", t.dir })
		t:refused(2, "--kind is stage or dataset", { "plugin", "new", "x", "--kind", "frog" })
	end)

	it("made new, changed and used needs no rebuild", function()
		local path = new("ner")
		t:ok { "plugin", "check", "ner" }
		t:ok { "run", "ner", "--dataset", "x", "--", "sh", "-c", "echo step 5 accuracy 0.5" }
		local info = t:info("ner_x")
		assert.are.equal("ner", info.stage)
		assert.are.equal(5, info.total_steps)
		assert.are.equal(0.5, info.training_history[1].metrics.accuracy)
		cli.write(path, (cli.read(path):gsub("metrics = { accuracy = accuracy },",
			"metrics = { accuracy = accuracy, doubled = 2 * accuracy },")))
		t:ok { "run", "ner", "--dataset", "x", "--", "sh", "-c", "echo step 6 accuracy 0.25" }
		assert.are.equal(0.5, t:info("ner_x").training_history[2].metrics.doubled)
	end)

	it("of a data set replaces a part of a stage", function()
		local path = new("team", "--kind", "dataset", "--stage", "ner")
		new("ner")
		cli.write(path, (cli.read(path):gsub("%-%- result.metrics.my_metric = ...",
			"result.metrics.audited = 1")))
		local left = t.dir .. "/left"
		cli.shell("mkdir " .. left)
		cli.write(left .. "/train.log", "step 500 accuracy 0.91\n")
		t:ok { "record", "ner", "-d", "team", "--from", left }
		t:ok { "record", "ner", "-d", "other", "--from", left }
		assert.are.equal(1, t:info("ner_team").training_history[1].metrics.audited)
		assert.is_nil(t:info("ner_other").training_history[1].metrics.audited)
	end)

	it("puts the telling metrics first: required, with a goal, the rest", function()
		local path = new("ner")
		cli.write(path, (cli.read(path):gsub("metrics = {\n",
			"metrics = {\n\t\tloss = { goal = 'min' }, aux = {},\n")
			:gsub("metrics = { accuracy = accuracy }",
				"metrics = { accuracy = accuracy, aux = 1, a_first = 2, loss = 3, zed = 4 }")))
		local left = t.dir .. "/left"
		cli.shell("mkdir " .. left)
		cli.write(left .. "/train.log", "step 500 accuracy 0.91\n")
		local result = t:ok { "record", "ner", "-d", "x", "--from", left, "-m", "b_given=5" }
		assert.matches("  accuracy 0.910  loss 3  a_first 2  aux 1\n", result.out)
		assert.matches('"accuracy".*"loss".*"a_first".*"aux".*"zed".*"b_given"',
			t:read("exp_1/ner_x/training_info.json"))
		assert.matches("accuracy 0.910", t:ok({ "list" }).out)
		assert.matches("accuracy 0.910", t:ok({ "lineage" }).out)
	end)
end)
