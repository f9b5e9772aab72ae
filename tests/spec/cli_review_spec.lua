--- What a user meets who tries everything by hand: narrow terminals, full disks, odd moments.
local cli = require "support.cli"
local proc = require "support.proc"
local runs = require "support.runs"

describe("by hand", function()
	local t

	before_each(function()
		t = runs.tree()
	end)

	after_each(function()
		t:close()
		proc.cleanup()
	end)

	--- What a terminal of 80 columns shows.
	local function on_terminal(...)
		local argv = { "env", "-C", t.dir, "TERM=dumb", "HOME=" .. t.dir, cli.thhost, ... }
		local out = os.tmpname()
		os.execute(("%s >%s </dev/null"):format(proc.quote(proc.on_terminal(argv, {}, 24, 80)), out))
		local text = cli.read(out):gsub("\r\n", "\n")
		os.remove(out)
		return text
	end

	local function fits(text)
		for line in text:gmatch("[^\n]+") do
			assert(utf8.len(line) <= 80, ("%d columns: %s"):format(utf8.len(line), line))
		end
	end

	it("'list' passes over a directory whose only run failed", function()
		t:record("hrds", "-m", "f1=0.5")
		assert.equal(3, t:run({ "run", "stage4", "-d", "hrds", "--", "sh", "-c", "exit 3" }).status)
		local text = t:ok({ "list" }).out
		assert.matches("exp_1/stage1_hrds", text, 1, true)
		assert.is_nil(text:find("relation_classifier", 1, true))
		assert.equal(1, #t:json({ "list" }).models)
		assert.equal(0, #t:json({ "list", "--stage", "stage4" }).models)
		assert.equal(0, #t:json({ "list", "--dataset", "other" }).models)
	end)

	it("an output that gets lost is an error with a reason", function()
		t:record("hrds", "-m", "f1=0.5")
		for _, args in ipairs { { "list" }, { "show" }, { "exp", "list" }, { "help" }, { "version" },
			{ "config", "list" }, { "verify" }, { "doctor", "--json" } } do
			local err = cli.shell(("cd %s; { %s %s >/dev/full; echo \"status $?\" >&2; } 2>&1"):format(
				cli.quote(t.dir), cli.quote(cli.thhost), table.concat(args, " ")))
			assert.matches("cannot write to standard output: No space left on device (ENOSPC)", err, 1,
				true)
			assert.matches("status 1$", err)
		end
	end)

	it("a reader that has seen enough is none", function()
		local err = cli.shell(("{ %s help | true; } 2>&1"):format(cli.quote(cli.thhost)))
		assert.equal("", err)
	end)

	it("tables fit 80 columns and keep what names the row", function()
		t:ok { "exp", "new", "exp_20251210_201220" }
		t:record("hrds", "-m", "f1=0.85", "-m", "accuracy=0.9", "-m", "precision=0.84", "-m",
			"recall=0.86", "-m", "macro_f1_all=0.83", "-p", "lr=2e-5", "-p", "batch_size=3",
			"--final-checkpoint", "checkpoint-10000", "--base-model", "microsoft/layoutxlm-base",
			"--start-time", "2025-12-11T10:30:00", "--end-time", "2025-12-11T12:00:00")
		t:ok { "record", "stage1", "-d", "hrdh", "--init-from", "hrds", "--steps", "5000", "-m",
			"f1=0.82" }
		local list = on_terminal("list")
		fits(list)
		assert.matches("\nexp_20251210_201220/stage1_hrds ", list)
		assert.matches("f1 0.850", list, 1, true)
		local page = on_terminal("show", "stage1_hrdh")
		fits(page)
		assert.matches("^layoutxlm_token_classifier  exp_20251210_201220/stage1_hrdh\n", page)
		assert.matches("\n  1  hrds +10  0.850  .*inherited from", page)
		local piped = t:ok({ "show", "stage1_hrdh" }).out
		assert.matches("precision +recall +macro_f1_all", piped)
	end)

	it("a training that left nothing to record says what follows, with no flag of another verb",
		function()
			local plugin = runs.plugin:gsub("return ctx:json%(\"result\"%)", "return { metrics = {} }")
			cli.write(t.dir .. "/plugins/tiny.lua", plugin)
			local result = t:ok { "run", "tiny", "-d", "d", "--", "sh", "-c", runs.write_result }
			assert.matches("thhost: not recorded: how many steps ran is not known", result.err, 1, true)
			assert.matches("'thhost repair exp_1/tiny_d'", result.err, 1, true)
			assert.is_nil(result.err:find("--steps", 1, true))
		end)

	it("'plugin test' and 'record --from' find the log of the run that made the directory", function()
		cli.write(t.dir .. "/plugins/tiny.lua", [[
			local lines = require("th.lines")
			return { api = 1, kind = "stage", name = "tiny", version = "1.0.0", summary = "s",
				dir = "tiny", model_name = "m", inputs = { log = "@log" },
				extract = function(ctx)
					local f1 = lines.last(ctx:lines("log", "f1"), "f1 ([%d.]+)")
					return { metrics = { f1 = tonumber(f1) }, steps = 7 }
				end }]])
		t:ok { "run", "tiny", "-d", "d", "--", "echo", "f1 0.625" }
		local dir = t.root .. "/exp_1/tiny_d"
		assert.equal(0.625, t:json({ "plugin", "test", "tiny", "--from", dir }).metrics.f1)
		t:refused(5, "is recorded already: entry 1 of exp_1/tiny_d",
			{ "record", "tiny", "-d", "d", "--from", dir })
		t:ok { "record", "tiny", "-d", "d", "--from", dir, "--again" }
		local history = t:info("tiny_d").training_history
		assert.equal(0.625, history[#history].metrics.f1)
	end)

	it("'verify' names a place once", function()
		t:record("hrds", "--start-time", "2025-12-11T10:30:00", "--end-time", "2025-12-11T09:30:00")
		local text = t:ok({ "verify" }).out
		assert.matches("training_info.json:%d+: 'training_history%[0%].end_time' is before start_time",
			text)
		assert.equal(1, select(2, text:gsub("end_time", "")))
	end)

	it("completes the value of an option, and what a subverb is about", function()
		t:record("hrds")
		t:ok { "exp", "new", "exp_2" }
		local function words(...)
			return (t:ok({ "completion", "words", "--", ... }).out:gsub("\n", " "))
		end
		assert.equal("exp_1 exp_2 latest ", words("exp", "use", ""))
		assert.equal("exp_1 exp_2 ", words("record", "stage1", "--exp", "exp"))
		assert.equal("exp_1 exp_2 ", words("run", "stage1", "-e", "exp"))
		assert.equal("", words("run", "stage1", "--dataset", ""))
		assert.equal("stage1_hrds ", words("run", "stage1", "--into", "st"))
		assert.equal("stage1 stage2 stage3 stage4 ", words("plugin", "test", "st"))
	end)

	it("'show' keeps a long strategy to one readable line", function()
		for i = 1, 13 do
			local into = i > 1 and { "--into", "stage1_d1" } or {}
			t:record("d" .. i, "--base-model", "base", table.unpack(into))
		end
		assert.matches("\nstrategy  base > d1:10 > d2:10 > d3:10 > %.%.%. 6 more %.%.%. > d10:10 > d11:10"
			.. " > d12:10 > d13:10\n", t:ok({ "show", "stage1_d1" }).out)
	end)

	it("speaks of 'an experiment'", function()
		t:refused(5, "'' cannot be the name of an experiment: it is empty", { "exp", "new", "" })
	end)

	it("refuses text that is no UTF-8 instead of recording something else", function()
		t:refused(5, "the note is not valid UTF-8", { "record", "stage1", "-d", "hrds", "--steps", "1",
			"--note", "caf\xe9" })
	end)

	it("warns when a training ends before it starts", function()
		local result = t:record("hrds", "--start-time", "2025-12-11T10:30:00",
			"--end-time", "2025-12-11T09:30:00")
		assert.matches("ends %(2025%-12%-11T09:30:00%) before it starts", result.err)
	end)

	it("says that a plugin file with another name is not used", function()
		cli.write(t.dir .. "/p.lua", "return 1")
		local result = t:record("hrds", "--plugin", t.dir .. "/p.lua")
		assert.matches("is for 'p' by its name and is not used for 'stage1'", result.err)
	end)
end)
