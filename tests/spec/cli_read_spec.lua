--- The verbs that read: show, list, verify, repair.
local cjson = require "cjson"
local cli = require "support.cli"
local file = require("unit").file
local storage = require "support.storage"
local tree = require "support.tree"

--- A record of another program: NaN in it, and nothing that thhost adds.
local OLD = [[{"model_name": "m", "stage": "stage1", "final_checkpoint": "c", "base_model": "b",
"created_at": "2025-01-01T00:00:00", "last_updated": "2025-01-01T01:00:00", "total_steps": 5,
"last_dataset": "old", "training_history": [{"dataset": "old", "steps": 5, "metrics": {"loss": NaN,
"f1": 0.5, "big": -Infinity}, "start_time": "2025-01-01T00:00:00",
"end_time": "2025-01-01T01:00:00"}]}
]]

--- The same with pieces replaced.
local function old_with(pieces)
	local text = OLD
	for from, to in pairs(pieces) do
		local at, till = text:find(from, 1, true)
		text = text:sub(1, at - 1) .. to .. text:sub(till + 1)
	end
	return text
end

--- What a terminal would act upon, as it may stand in somebody else's file.
local EVIL = "\\u001b]0;owned\\u0007\\u001b[31m\\u202eevil\\r"

local function harmless(text)
	assert.is_nil(text:find("[\0-\9\11-\31\127]"), text)
	assert.is_nil(text:find("\u{202e}", 1, true))
end

local t

local function fresh()
	t = tree.new()
end

local function done()
	t:close()
end

describe("what cannot be read", function()
	before_each(fresh)
	after_each(done)

	it("is a broken model in a list, not none", function()
		if storage.is_asan or storage.skip_without(storage.has_strace, "strace") then
			return pending("needs strace, without a sanitizer")
		end
		t:record("a", "-m", "f1=1")
		t:record("b", "-m", "f1=1")
		local result = t:run({ "list" }, { prefix = "strace -qq -f -o trace -P stage1_a -e trace=openat "
			.. "-e inject=openat:error=EIO" })
		assert.are.equal(1, result.status)
		assert.matches("exp_1/stage1_a  broken\n", result.out, 1, true)
		assert.matches("exp_1/stage1_b  stage1", result.out, 1, true)
		assert.matches("cannot open directory 'exp_1/stage1_a': Input/output error (EIO)", result.err, 1, true)
	end)

	it("is no duration where the times of a training are words", function()
		t:write("exp_1/stage1_old/training_info.json", OLD)
		assert.matches(" took .* 1h00m ", t:ok({ "show", "stage1_old" }).out)
		t:write("exp_1/stage1_old/training_info.json", old_with {
			['"start_time": "2025-01-01T00:00:00",'] = '"start_time": "at night",' })
		assert.matches("at night", t:ok({ "show", "stage1_old" }).out)
		assert.is_nil(t:ok({ "show", "stage1_old" }).out:find("took", 1, true))
	end)
end)

describe("show", function()
	before_each(fresh)
	after_each(done)

	it("is a page: model, strategy, one line for each training", function()
		t:record("hrds", "-m", "f1=0.85", "-p", "lr=2e-5", "-p", "batch_size=3", "--base-model", "base",
			"--start-time", "2025-12-11T10:30:00", "--end-time", "2025-12-11T12:00:00")
		t:ok { "record", "stage1", "-d", "hrdh", "--init-from", "hrds", "--steps", "5000", "-m",
			"f1=0.82" }
		local page = t:ok({ "show", "stage1_hrdh" }).out
		assert.matches("^layoutxlm_token_classifier +exp_1/stage1_hrdh\n", page)
		assert.matches("\nstage1, 5,010 steps in 2 trainings, last on hrdh, updated just now\n", page)
		assert.matches("\nstrategy  base > hrds:10 > hrdh:5000\n", page)
		assert.matches("\n  1  hrds +10  0.850  2e%-5 +3  1h30m  2025%-12%-11 10:30 +" ..
			"inherited from exp_1/stage1_hrds\n",
			page)
	end)

	it("shows the record that was written last, without a REF", function()
		t:record("a", "--end-time", "2025-01-01T00:00:00")
		t:record("b", "--end-time", "2025-03-01T00:00:00")
		t:record("c", "--end-time", "2025-02-01T00:00:00")
		assert.matches("exp_1/stage1_b\n", t:ok({ "show" }).out)
	end)

	it("gives valid JSON even of a record with NaN, and leaves that as it is", function()
		t:write("exp_1/stage1_old/training_info.json", OLD)
		local record = t:json({ "show", "stage1_old" }).record
		assert.are.equal(cjson.null, record.training_history[1].metrics.loss)
		assert.are.equal(0.5, record.training_history[1].metrics.f1)
		assert.are.equal(5, record.total_steps)
		assert.are.equal(OLD, t:read("exp_1/stage1_old/training_info.json"))
		assert.matches("old", t:ok({ "show", "stage1_old" }).out)
		assert.is_nil(t:ok({ "list", "--json" }).out:find("NaN"))
	end)

	it("shows times as they are where ui.time is iso", function()
		t:record("d", "--start-time", "2025-12-11T10:30:00+08:00", "--end-time",
			"2025-12-11T12:00:00+08:00")
		cli.write(t.dir .. "/thhost.ini", "[ui]\ntime = iso\n")
		local page = t:ok({ "show", "stage1_d" }).out
		assert.matches("updated 2025%-12%-11T12:00:00%+08:00\n", page)
		assert.matches(" 2025%-12%-11T10:30:00%+08:00\n", page)
		assert.matches(" 2025%-12%-11T12:00:00%+08:00\n", t:ok({ "list" }).out)
		local relative = { env = { THHOST_TIME = "relative" } }
		assert.matches(" 2025%-12%-11\n", t:ok({ "list" }, relative).out)
		assert.matches("2025%-12%-11 10:30\n", t:ok({ "show" }, relative).out)
	end)

	it("refuses what is no record, with the place", function()
		t:write("exp_1/stage1_bad/training_info.json", '{\n"training_history": [}')
		t:refused(5, "stage1_bad/training_info.json:2:22: expected", { "show", "stage1_bad" })
	end)

	it("lets nothing in a file act upon the terminal", function()
		t:write("exp_1/stage1_x/training_info.json", old_with { ['"m"'] = '"' .. EVIL .. '"',
			['"c"'] = '"' .. EVIL .. '"', ['"b"'] = '"' .. EVIL .. '"', ['"f1"'] = '"' .. EVIL .. '"',
			['"2025-01-01T01:00:00"'] = '"' .. EVIL .. '"',
				['"dataset": "old"'] = '"dataset": "' .. EVIL .. '"',
			['"last_dataset": "old"'] = '"last_dataset": "' .. EVIL .. '"' })
		for _, args in ipairs { { "show", "stage1_x" }, { "list" }, { "lineage" }, { "verify" },
			{ "exp", "status" } } do
			local result = t:run(args)
			harmless(result.out)
			harmless(result.err)
			result = t:run(args, { env = { THHOST_TIME = "iso" } })
			harmless(result.out)
			harmless(result.err)
		end
		assert.matches("\\x1b", t:ok({ "show", "stage1_x" }).out)
	end)

	it("lets no note, tag, metric or directory name act upon the terminal", function()
		t:record("d", "-m", "\27[31mf1\u{202e}=0.5", "--note", "\27]0;x\7", "--tag", "\27[2J",
			"--base-model", "\27[31mbase", "-p", "lr\27=\27[1m", "--model-name", "\27[31mm")
		cli.shell(("cd %s/exp_1 && cp -r stage1_d \"$(printf 'stage1_\\033[31mx')\""):format(t.root))
		for _, args in ipairs { { "show", "stage1_d" }, { "list" }, { "lineage" }, { "verify" },
			{ "exp", "status" }, { "completion", "words", "--", "show", "" },
			{ "show", t.root .. "/exp_1/stage1_\27[31mx" } } do
			local result = t:run(args)
			harmless(result.out)
			harmless(result.err)
		end
	end)
end)

describe("list", function()
	before_each(fresh)
	after_each(done)

	it("has one line for each model of every experiment, and JSON with the records", function()
		t:record("hrds", "-m", "f1=0.85", "--final-checkpoint", "c-1")
		t:ok { "record", "stage3", "-d", "hrds", "--steps", "2000", "-m", "accuracy=0.9" }
		t:ok { "exp", "new", "exp_2" }
		t:record("hrdh")
		local page = t:ok({ "list" }).out
		assert.matches("\nexp_1/parent_finder_hrds +stage3 +hrds +2,000 +1 +accuracy 0%.900", page)
		assert.matches("\nexp_1/stage1_hrds +stage1 +hrds +10 +1 +f1 0%.850 +c%-1 +just now\n", page)
		local models = t:json({ "list" }).models
		assert.are.equal(3, #models)
		assert.are.equal("exp_2/stage1_hrdh", models[3].ref)
		assert.are.equal("unknown > hrdh:10", models[3].strategy)
		assert.are.equal(10, models[3].record.total_steps)
	end)

	it("keeps to a stage, a data set or an experiment", function()
		t:record("hrds")
		t:ok { "record", "stage3", "-d", "hrds", "--steps", "1" }
		t:ok { "record", "stage1", "-d", "hrdh", "--init-from", "hrds", "--steps", "1" }
		t:ok { "exp", "new", "exp_2" }
		t:record("hrds")
		local function refs(...)
			local names = {}
			for _, model in ipairs(t:json({ "list", ... }).models) do
				names[#names + 1] = model.ref
			end
			return table.concat(names, " ")
		end
		assert.are.equal("exp_1/parent_finder_hrds", refs("--stage", "stage3"))
		assert.are.equal("exp_1/stage1_hrdh", refs("--dataset", "hrdh"))
		assert.are.equal("exp_2/stage1_hrds", refs("--exp", "exp_2"))
		assert.are.equal("exp_1/stage1_hrdh exp_1/stage1_hrds", refs("-s", "stage1", "-e", "exp_1",
			"-d", "hrds"))
	end)

	it("shows a broken record as a row, all others too, and ends with 1", function()
		t:record("hrds")
		t:write("exp_1/stage1_bad/training_info.json", "{")
		t:write("exp_1/stage1_dir/training_info.json/x", "")
		local result = t:run { "list" }
		assert.are.equal(1, result.status)
		assert.matches("\nexp_1/stage1_hrds", result.out)
		assert.matches("exp_1/stage1_bad +broken\n", result.out)
		assert.matches("exp_1/stage1_dir +broken\n", result.out)
		assert.matches("stage1_bad/training_info.json:1:2: ", result.err)
		assert.matches("is a directory", result.err)
		local models = t:json({ "list" }, 1).models
		assert.are.equal(3, #models)
		assert.matches("training_info.json:1:2", models[1].error)
	end)
end)

describe("verify", function()
	before_each(fresh)
	after_each(done)

	it("finds all in order", function()
		t:record("hrds")
		assert.are.equal("1 record, 1 entry: 0 errors, 0 warnings\n", t:ok({ "verify" }).out)
		assert.are.equal("", t:ok({ "verify", "-q" }).out)
		assert.are.equal(0, t:json({ "verify", "stage1_hrds" }).errors)
	end)

	local faults = {
		{ "text that is no JSON", "{\n  nothing", "training_info.json:2:3: expected", "json" },
		{ "an empty file", "", "training_info.json:1:1: the text is empty", "json" },
		{ "a wrong total", old_with { ['"total_steps": 5'] = '"total_steps": 6' }, "total_steps",
			"derived" },
		{ "a wrong type", old_with { ['"steps": 5,'] = '"steps": "5",' }, "training_history[0].steps",
			"type" },
		{ "a missing key", old_with { ['"stage": "stage1", '] = "" }, "stage", "required" },
		{ "a directory in its place", false, "is a directory", "read" },
	}
	for _, fault in ipairs(faults) do
		it("names place and cause of " .. fault[1] .. ", and ends with 1", function()
			t:record("hrds")
			t:write("exp_1/stage1_bad/training_info.json" .. (fault[2] and "" or "/x"), fault[2] or "")
			local result = t:run { "verify" }
			assert.are.equal(1, result.status)
			assert.truthy(result.out:find("exp_1/stage1_bad/training_info.json", 1, true), result.out)
			assert.truthy(result.out:find(fault[3], 1, true), result.out)
			assert.are.equal("", result.err)
			local answer = t:json({ "verify" }, 1)
			assert.are.equal(2, answer.records)
			local errors = {}
			for _, finding in ipairs(answer.findings) do
				errors[#errors + 1] = finding.level == "error" and finding or nil
			end
			assert.are.equal("exp_1/stage1_bad", errors[1].ref)
			assert.are.equal(fault[4], errors[1].code)
			assert.are.equal(0, t:run({ "verify", "stage1_hrds" }).status)
			assert.are.equal(1, t:run({ "verify", "stage1_hrds", "stage1_bad" }).status)
		end)
	end

	it("names what an append that was cut off has left", function()
		t:record("hrds")
		t:write("exp_1/stage1_hrds/.training_info.json.tmp.1.abc", "x")
		local answer = t:json({ "verify" })
		assert.are.equal("temporary", answer.findings[1].code)
		assert.are.equal("warning", answer.findings[1].level)
	end)

	it("takes the temporary file of an append at work for no leftover", function()
		t:record("hrds")
		t:write("exp_1/stage1_hrds/.training_info.json.tmp.1.abc", "x")
		local lock = assert(file.lock(t.root .. "/exp_1/stage1_hrds", ".training_info.json.lock", "x", 0))
		assert.are.equal(0, #t:json({ "verify" }).findings)
		file.unlock(lock)
		assert.are.equal(1, #t:json({ "verify" }).findings)
	end)

	it("calls what another program wrote in the moment of an append by its name", function()
		t:record("hrds")
		t:write("exp_1/stage1_hrds/.training_info.json.conflict-20260101T000000", "{}")
		local finding = t:json({ "verify" }).findings[1]
		assert.are.equal("conflict", finding.code)
		assert.are.equal("warning", finding.level)
		assert.truthy(finding.message:find("another program", 1, true), finding.message)
	end)
end)

describe("repair", function()
	before_each(fresh)
	after_each(done)

	it("puts a spooled entry in exactly once", function()
		t:record("hrds", "-m", "f1=0.5")
		local good = t:read("exp_1/stage1_hrds/training_info.json")
		t:write("exp_1/stage1_hrds/training_info.json", good:sub(1, -10))
		local args = { "record", "stage1", "-d", "hrds", "--steps", "7", "-m", "f1=0.6" }
		local result = t:run(args)
		assert.are.equal(7, result.status)
		assert.are.equal(good:sub(1, -10), t:read("exp_1/stage1_hrds/training_info.json"))
		assert.matches("\nhint: .*'thhost repair exp_1/stage1_hrds'\n$", result.err)

		result = t:run { "verify" }
		assert.are.equal(1, result.status)
		assert.matches("waits in the spool", result.out)
		assert.are.equal(1, t:run({ "repair" }).status)
		assert.are.equal(good:sub(1, -10), t:read("exp_1/stage1_hrds/training_info.json"))

		t:write("exp_1/stage1_hrds/training_info.json", good)
		assert.matches("1 in the spool: 'thhost repair exp_1/stage1_hrds'", t:ok({ "show",
			"stage1_hrds" }).out)
		assert.matches("1 not recorded", t:ok({ "list" }).out)
		local before = t:snapshot()
		assert.matches("^exp_1/stage1_hrds: would put", t:ok({ "repair", "--dry-run" }).out)
		assert.are.equal(1, #t:json({ "repair", "-n" }).done)
		assert.are.equal(before, t:snapshot())
		assert.matches("put the entry of .* into the record", t:ok({ "repair", "stage1_hrds" }).out)
		assert.are.equal("nothing to repair\n", t:ok({ "repair" }).out)
		assert.are.equal(0, #t:json({ "repair" }).done)
		local info = t:info("stage1_hrds")
		assert.are.equal(17, info.total_steps)
		assert.are.equal(2, #info.training_history)
		assert.are.equal(0.6, info.training_history[2].metrics.f1)
		assert.are.equal(0, t:run({ "verify" }).status)
	end)
end)
