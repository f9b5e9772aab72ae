--- What goes wrong: one clear line, the right status, and nothing changed on the disk.
local cjson = require "cjson"
local cli = require "support.cli"
local tree = require "support.tree"

local REPO = os.getenv("THHOST_REPO") or cli.shell("pwd")
local t

local function fresh()
	t = tree.new()
end

local function done()
	t:close()
end

local function record(...)
	return { "record", "stage1", "-d", "hrds", "--steps", "1", ... }
end

describe("the command line", function()
	setup(fresh)
	teardown(done)

	local wrong = {
		{ "did you mean 'thhost record'?", "recrod" },
		{ "unknown verb 'frobnicate'", "frobnicate" },
		{ "did you mean 'thhost show'?", "help", "shw" },
		{ "did you mean '--stage'?", "list", "--stgae", "x" },
		{ "did you mean '--dataset'?", "record", "stage1", "--data", "hrds" },
		{ "did you mean '--dataset'?", "record", "stage1", "--data=hrds" },
		{ "did you mean '--dataset'?", "record", "--data", "hrds", "stage1" },
		{ "unknown option '--dry'", "record", "stage1", "-d", "x", "--dry" },
		{ "unknown option '--e'", "record", "--e", "x", "stage1" },
		{ "unknown option '-x'", "list", "-x" },
		{ "'--steps' needs a value", "record", "stage1", "-d", "x", "--steps" },
		{ "'--dry-run' takes no value", "record", "stage1", "--dry-run=yes" },
		{ "unexpected 'b' after 'thhost show'", "show", "a", "b" },
		{ "takes no command after '--'", "list", "--", "ls" },
		{ "which stage?", "record", "-d", "x", "--steps", "1" },
		{ "which data set?", "record", "stage1", "--steps", "1" },
		{ "knows new, list, use and status", "exp", "nwe" },
		{ "which experiment?", "exp", "use" },
		{ "knows 'list' and 'get KEY'", "config", "set" },
		{ "knows list, show, new, check and test", "plugin", "frob" },
		{ "which plugin", "plugin", "test", "stage1" },
		{ "none of: auto always never", "list", "--color=blue" },
	}
	for _, case in ipairs(wrong) do
		local args = table.move(case, 2, #case, 1, {})
		it("refuses 'thhost " .. table.concat(args, " ") .. "'", function()
			t:refused(2, case[1], args)
		end)
	end

	it("says that options come after the verb", function()
		local result = t:run { "--root", "x", "list" }
		assert.are.equal(2, result.status)
		assert.matches("unknown verb '%-%-root'\nhint: options come after the verb", result.err)
	end)

	it("takes a value that looks like an option, and what begins with '--' after its name", function()
		t:ok { "record", "stage1", "-d", "d", "--steps", "1", "--note", "--dataset", "--tag=--x" }
		assert.are.equal("--dataset", t:info("stage1_d").training_history[1].notes)
	end)

	it("takes options before and after what they go with, POSIXLY_CORRECT or not", function()
		local posix = { env = { POSIXLY_CORRECT = "1" } }
		t:ok({ "record", "-d", "posix", "stage1", "--steps", "2", "-q" }, posix)
		t:ok({ "record", "stage1", "-dposix", "--steps=3", "-q" }, posix)
		assert.are.equal(5, t:info("stage1_posix").total_steps)
	end)

	it("gives the error with --json as the last line, an object with all that is known", function()
		local object = t:refused(3, "unknown stage 'stag1'; did you mean 'stage1'?",
			{ "record", "stag1", "-d", "d", "--steps", "1" })
		assert.are.equal("not_found", object.code)
		assert.matches("plugin list", object.hint)
	end)
end)

describe("what is not there", function()
	before_each(fresh)
	after_each(done)

	it("an experiment", function()
		t:refused(3, "no experiment 'exp_2'", record("--exp", "exp_2"))
		t:refused(3, "did you mean 'exp_1'?", { "exp", "use", "exp_l" })
	end)

	it("an artifact root", function()
		cli.shell("rm -r " .. t.root)
		for _, args in ipairs { record(), { "list" }, { "verify" }, { "exp", "list" }, { "lineage" },
			{ "show" }, { "repair" }, { "compare", "a", "b" }, { "strategies" } } do
			t:refused(3, "the artifact root: cannot open the directory '" .. t.root .. "'", args)
		end
	end)

	it("a directory to read, a JSON file, a configuration, a plugin file", function()
		t:refused(3, "nowhere", record("--from", "nowhere"))
		t:refused(3, "nowhere.json", record("--json-input", "nowhere.json"))
		t:refused(3, "nowhere.ini", record("--config", "nowhere.ini"))
		t:refused(3, "nowhere.lua", record("--plugin", "nowhere.lua"))
		t:refused(3, "ui.nothing", { "config", "get", "ui.nothing" })
	end)
end)

describe("a record that cannot be used", function()
	before_each(fresh)
	after_each(done)

	--- Status 7, the record untouched, the entry in the spool, and back once the cause is gone.
	local function spools(break_it, mend_it, message)
		t:record("hrds")
		local path = t.root .. "/exp_1/stage1_hrds/training_info.json"
		local good = cli.read(path)
		break_it(path, good)
		local broken = cli.read(path)
		local result = t:run(record("--json"))
		assert.are.equal(7, result.status, result.err)
		assert.are.equal(broken, cli.read(path))
		local object = cjson.decode(result.err:match("[^\n]+\n$")).error
		assert.are.equal("spooled", object.code)
		assert.are.equal(path, object.path)
		assert.truthy(object.message:find(message, 1, true), object.message)
		assert.truthy(object.hint:find("'thhost repair exp_1/stage1_hrds'", 1, true), object.hint)
		assert.are.equal(1, t:run({ "repair" }).status)
		mend_it(path, good)
		t:ok { "repair" }
		assert.are.equal("nothing to repair\n", t:ok({ "repair" }).out)
		assert.are.equal(11, t:info("stage1_hrds").total_steps)
		assert.are.equal(2, #t:info("stage1_hrds").training_history)
	end

	it("is no JSON", function()
		spools(function(path)
			cli.write(path, "{\n  oops")
		end, cli.write, ":2:3: expected")
	end)

	it("breaks the rules", function()
		spools(function(path, good)
			cli.write(path, (good:gsub('"steps": 10', '"steps": "ten"')))
		end, cli.write, "training_info.json")
	end)

	it("is a directory", function()
		spools(function(path)
			cli.shell(("mv %s %s.good && mkdir %s"):format(path, path, path))
		end, function(path)
			cli.shell(("rmdir %s && mv %s.good %s"):format(path, path, path))
		end, "is a directory")
	end)

	it("is a link", function()
		spools(function(path)
			cli.shell(("mv %s %s.good && ln -s %s.good %s"):format(path, path, path, path))
		end, function(path)
			cli.shell(("rm %s && mv %s.good %s"):format(path, path, path))
		end, "link")
	end)

	it("is locked by a live process: busy, and says by whom", function()
		t:record("hrds")
		local file = require("unit").file
		local lock = assert(file.lock(t.root .. "/exp_1/stage1_hrds", ".training_info.json.lock", "x", 0))
		local before = t:read("exp_1/stage1_hrds/training_info.json")
		local result = t:run(record(), { env = { THHOST_LOCK_TIMEOUT = "0" } })
		assert.are.equal(4, result.status)
		assert.matches("^thhost: exp_1/stage1_hrds is locked by pid %d+ on %S+ %(.+%)", result.err)
		assert.are.equal(before, t:read("exp_1/stage1_hrds/training_info.json"))
		file.unlock(lock)
		t:ok(record())
		assert.are.equal(11, t:info("stage1_hrds").total_steps)
	end)

	it("lies in a directory that cannot be written", function()
		t:record("hrds")
		local dir = t.root .. "/exp_1/stage1_hrds"
		if not os.execute("chattr +i '" .. dir .. "' 2>/dev/null") then
			return cli.skip("this file system has no immutable directories")
		end
		local before = t:read("exp_1/stage1_hrds/training_info.json")
		local result = t:run(record())
		local other = t:run { "record", "stage1", "-d", "x", "--steps", "1" }
		os.execute("chattr -i '" .. dir .. "'")
		assert.are.equal(7, result.status, result.err)
		assert.are.equal(before, t:read("exp_1/stage1_hrds/training_info.json"))
		assert.are.equal(0, other.status)
		t:ok { "repair", "stage1_hrds" }
		assert.are.equal(11, t:info("stage1_hrds").total_steps)
	end)

	it("may be on the disk or not: says not to repeat, and ends with 8", function()
		if not os.execute("strace -o /dev/null true 2>/dev/null") then
			return cli.skip("strace cannot trace here")
		end
		local result
		for nth = 1, 9 do -- the directory is synced last: fail all syncs from the nth on
			result = t:run({ "record", "stage1", "-d", "d" .. nth, "--steps", "1", "--json" },
				{ prefix = ("env ASAN_OPTIONS=detect_leaks=0 strace -f -o %s/trace -e trace=fsync "
					.. "-e inject=fsync:error=EIO:when=%d+"):format(t.dir, nth) })
			if result.status == 8 then
				break
			end
		end
		assert.are.equal(8, result.status, result.err)
		assert.is_false(cjson.decode(result.out).durable)
		local object = cjson.decode(result.err:match("[^\n]+\n$")).error
		assert.are.equal("not_durable", object.code)
		assert.matches("do not repeat the command", object.hint)
		local ref = object.hint:match("'thhost show (exp_1/stage1_d%d)'")
		assert.matches("0 errors", t:ok({ "verify", ref }).out)
	end)
end)

describe("a plugin", function()
	local from
	before_each(function()
		fresh()
		from = t.dir .. "/left"
		cli.shell("mkdir " .. from)
		cli.write(from .. "/train.log", "step 5 loss 0.5\n")
	end)
	after_each(done)

	local FIXTURES = REPO .. "/tests/fixtures/"
	local function args_of(path)
		local name = path:match("([^/]+)%.lua$")
		return { "record", name, "-d", "d", "--steps", "1", "--from", from, "--plugin", FIXTURES .. path }
	end

	local wrong = {
		["plugins/syntax.lua"] = ":3): loading: ')' expected",
		["plugins/raises.lua"] = ":8): extract: attempt to index a nil value",
		["plugins/wrong_type.lua"] = "field 'inputs.log' must be a string",
		["plugins/unknown_field.lua"] = "loading",
		["plugins/needs_file.lua"] = "state.json",
		["hostile/endless.lua"] = "took longer than 300 ms",
		["hostile/backtracking.lua"] = "was killed",
		["hostile/table_memory.lua"] = "needed more than 64 MiB of memory",
		["hostile/return_many.lua"] = "more than 1024 keys",
		["hostile/return_string.lua"] = 'metrics.accuracy = "0.91" (string); numbers only',
		["hostile/use_io.lua"] = "undefined variable 'io'",
	}
	for path, message in pairs(wrong) do
		it("that misbehaves ends with 6: " .. path, function()
			-- Only where time is the matter is it short: memory fills slowly under a sanitizer.
			local is_slow = path:find("endless") or path:find("backtracking")
			local object = t:refused(6, message, args_of(path),
				{ env = { THHOST_PLUGIN_TIME_LIMIT = is_slow and "300" or "10000" } })
			assert.are.equal("plugin", object.code)
			assert.truthy(object.message:find(path:match("([^/]+)%.lua$"), 1, true))
		end)
	end

	it("may return what is no number: null, and named", function()
		t:ok(args_of("hostile/return_nan.lua"))
		local entry = cjson.decode(t:read("exp_1/x_d/training_info.json")).training_history[1]
		assert.are.equal(cjson.null, entry.metrics.x)
		assert.are.same({ x = "nan", y = "inf" }, entry.nonfinite)
	end)

	it("that finds no steps says what to do", function()
		local args = args_of("hostile/return_nan.lua")
		table.remove(args, 5)
		table.remove(args, 5)
		local object = t:refused(6, "how many steps ran is not known", args)
		assert.matches("give %-%-steps", object.hint)
	end)
end)

describe("the configuration", function()
	before_each(fresh)
	after_each(done)

	local wrong = {
		{ "thhost.ini:2: unknown key 'rooot' in [artifact]; did you mean 'root'?",
			"[artifact]\nrooot = x\n" },
		{ "thhost.ini:2: unknown section [artefact]", "[artefact]\nroot = x\n" },
		{ "thhost.ini:3:", "; a remark\n[ui]\ntime = sometimes\n" },
		{ "thhost.ini:2:", "[record]\nlock_timeout_s = soon\n" },
	}
	for _, case in ipairs(wrong) do
		it("with a fault names file and line: " .. case[1], function()
			cli.write(t.dir .. "/thhost.ini", case[2])
			for _, args in ipairs { { "list" }, { "config", "list" }, record(), { "exp", "new" } } do
				t:refused(5, case[1], args)
			end
		end)
	end

	it("from the environment is checked likewise", function()
		t:refused(5, "THHOST_LOCK_TIMEOUT", { "list" }, { env = { THHOST_LOCK_TIMEOUT = "soon" } })
	end)

	it("with a fault does not keep from help", function()
		cli.write(t.dir .. "/thhost.ini", "[nonsense]\n")
		assert.matches("^usage: thhost", t:ok({ "help" }).out)
		assert.matches("^usage: thhost list", t:ok({ "list", "--help" }).out)
		assert.matches("^thhost %d", t:ok({ "version" }).out)
	end)
end)
