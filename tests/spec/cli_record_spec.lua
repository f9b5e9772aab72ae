--- `thhost record`: what is written, and what is refused.
local cjson = require "cjson"
local cli = require "support.cli"
local runs = require "support.runs"
local storage = require "support.storage"
local tree = require "support.tree"

local DESIGN = require "support.design"

local FIRST = { "record", "stage1", "--dataset", "hrds", "--steps", "10000", "--metric", "f1=0.85",
	"--metric", "precision=0.84", "--metric", "recall=0.86", "--param", "lr=2e-5",
	"--param", "batch_size=3", "--param", "max_steps=10000",
	"--base-model", "microsoft/layoutxlm-base", "--final-checkpoint", "checkpoint-10000",
	"--start-time", "2025-12-11T10:30:00", "--end-time", "2025-12-11T12:00:00" }
local SECOND = { "record", "stage1", "--dataset", "hrdh", "--into", "stage1_hrds", "--steps",
	"5000",
	"--metric", "f1=0.82", "--param", "lr=2e-5", "--param", "batch_size=3",
	"--param", "max_steps=5000",
	"--start-time", "2025-12-11T14:00:00", "--end-time", "2025-12-11T15:20:00" }

describe("record", function()
	local t
	before_each(function()
		t = tree.new()
	end)
	after_each(function()
		t:close()
	end)

	local function sorted(text)
		local path = t.dir .. "/sorted"
		cli.write(path, text)
		return cli.shell("jq -S . " .. cli.quote(path))
	end

	it("gives the design's document from two plain calls with the design's values", function()
		t:ok(FIRST)
		t:ok(SECOND)
		local text = t:read("exp_1/stage1_hrds/training_info.json")
		assert.are.equal(sorted(DESIGN), sorted(text))
		assert.are.equal(DESIGN, text)
	end)

	it("says what it recorded in a few words, and nothing with --quiet", function()
		local result = t:ok(FIRST)
		assert.matches("^recorded  exp_1/stage1_hrds  entry 1\n  10,000 steps  1h30m  f1 0%.850",
			result.out)
		assert.are.equal("", result.err)
		table.insert(SECOND, "--quiet")
		result = t:ok(SECOND)
		table.remove(SECOND)
		assert.are.equal("", result.out .. result.err)
	end)

	it("begins a new directory with the parent's history, which stays as it was", function()
		t:ok(FIRST)
		local before = t:read("exp_1/stage1_hrds/training_info.json")
		t:ok { "record", "stage1", "-d", "hrdh", "--init-from", "hrds", "--steps", "5000",
			"-m", "f1=0.82", "--final-checkpoint", "checkpoint-5000" }
		local info = t:info("stage1_hrdh")
		assert.are.equal(15000, info.total_steps)
		assert.are.equal("hrdh", info.last_dataset)
		assert.are.equal("microsoft/layoutxlm-base", info.base_model)
		assert.are.equal("checkpoint-5000", info.final_checkpoint)
		assert.are.equal("exp_1/stage1_hrds", info.training_history[1].inherited_from)
		assert.are.equal("exp_1/stage1_hrds", info.parents[1].ref)
		assert.are.equal("continues", info.parents[1].relation)
		assert.are.equal(before, t:read("exp_1/stage1_hrds/training_info.json"))
		assert.are.equal(0, t:run({ "verify" }).status)
	end)

	for what, ref in pairs { ["a REF"] = "exp_1/stage1_hrds",
		["the stage's short form"] = "stage1/hrds",
		["a directory"] = "artifact/exp_1/stage1_hrds" } do
		it("takes " .. what .. " for --init-from and for --into", function()
			t:ok(FIRST)
			t:ok { "record", "stage1", "-d", "hrdh", "--init-from", ref, "--steps", "1" }
			assert.are.equal(10001, t:info("stage1_hrdh").total_steps)
			t:ok { "record", "stage1", "-d", "x", "--into", ref, "--steps", "2" }
			assert.are.equal(10002, t:info("stage1_hrds").total_steps)
		end)
	end

	it("names the stage directory as the stage's plugin says", function()
		t:ok { "record", "stage2", "-d", "hrds", "--steps", "0", "-m", "num_documents=1000" }
		t:ok { "record", "stage3", "-d", "hrds", "--steps", "20", "-m", "accuracy=0.9" }
		assert.are.equal("stage2", t:info("features_hrds").stage)
		assert.are.equal("parent_finder", t:info("parent_finder_hrds").model_name)
	end)

	it("takes a data set in any script and one without a plugin", function()
		t:record("业务数据", "-m", "准确率=0.9")
		local info = t:info("stage1_业务数据")
		assert.are.equal("业务数据", info.last_dataset)
		assert.are.equal(0.9, info.training_history[1].metrics["准确率"])
		assert.matches("业务数据", t:ok({ "show", "stage1_业务数据" }).out)
		assert.matches("业务数据", t:read("exp_1/stage1_业务数据/training_info.json"))
	end)

	it("keeps every number as it was written", function()
		t:ok { "record", "stage1", "-d", "d", "--steps", "9007199254740993", "--epochs", "2.50",
			"-m", "count=123456789012345678901234567890", "-m", "loss=1.10", "-m", "tiny=4.9e-324",
			"-p", "lr=2e-05", "-p", "seed=18446744073709551615", "-p", "on=true",
			"-p", "name=007", "-p", "sizes=[1, 2.0]", "-p", "none=null", "-p", "eq=a=b" }
		local text = t:read("exp_1/stage1_d/training_info.json")
		for _, word in ipairs { '"steps": 9007199254740993', '"epochs": 2.50',
			'"count": 123456789012345678901234567890', '"loss": 1.10', '"tiny": 4.9e-324',
			'"lr": 2e-05', '"seed": 18446744073709551615', '"on": true', '"name": "007"',
			'"none": null', '"eq": "a=b"', '"total_steps": 9007199254740993' } do
			assert.truthy(text:find(word, 1, true), word .. " in " .. text)
		end
	end)

	it("nests metrics and parameters at their dots", function()
		t:record("d", "-m", "f1=0.9", "-m", "per_class_f1.title=0.91", "-m", "per_class_f1.author=1",
			"-p", "optim.name=adam")
		local entry = t:info("stage1_d").training_history[1]
		assert.are.same({ title = 0.91, author = 1 }, entry.metrics.per_class_f1)
		assert.are.equal("adam", entry.hyperparams.optim.name)
	end)

	it("stores null for what is no number and names it", function()
		t:record("d", "-m", "f1=0.5", "-m", "val_loss=nan", "-m", "per.a=-inf")
		local entry = t:info("stage1_d").training_history[1]
		assert.is_true(tree.is_null(entry.metrics.val_loss))
		assert.are.same({ val_loss = "nan", ["per.a"] = "-inf" }, entry.nonfinite)
		t:ok({ "record", "stage1", "-d", "e", "--json-input", "-" },
			{ input = '{"steps": 1, "metrics": {"loss": NaN, "x": Infinity}}' })
	end)

	it("keeps the user's order of metrics", function()
		t:record("d", "-m", "zeta=1", "-m", "f1=0.5", "-m", "alpha=2")
		assert.matches('"zeta".*"f1".*"alpha"', t:read("exp_1/stage1_d/training_info.json"))
	end)

	it("adds tags, a note and what --capture finds, and only when asked", function()
		t:record("d", "--tag", "baseline", "--tag", "paper", "--note", "first try")
		local entry = t:info("stage1_d").training_history[1]
		assert.are.same({ "baseline", "paper" }, entry.tags)
		assert.are.equal("first try", entry.notes)
		assert.is_nil(entry.run_id)
		t:record("e", "--capture")
		entry = t:info("stage1_e").training_history[1]
		assert.matches("^%x+%-%x+%-7", entry.run_id)
		assert.is_string(entry.environment.host)
	end)

	it("reads the same values from JSON, from stdin or a file; options win", function()
		local input = cjson.encode { stage = "stage1", dataset = "d", steps = 7, metrics = { f1 = 0.5 },
			hyperparams = { lr = 0.1 }, base_model = "b", final_checkpoint = "c", tags = { "x" },
			notes = "n", start_time = "2025-01-01T00:00:00", end_time = "2025-01-01T01:00:00" }
		t:ok({ "record", "--json-input", "-", "--steps", "8", "-m", "f1=0.6" }, { input = input })
		local info = t:info("stage1_d")
		local entry = info.training_history[1]
		assert.are.equal(8, entry.steps)
		assert.are.equal(0.6, entry.metrics.f1)
		assert.are.equal(0.1, entry.hyperparams.lr)
		assert.are.equal("b", info.base_model)
		assert.are.same({ "x" }, entry.tags)
		cli.write(t.dir .. "/in.json", input)
		t:ok { "record", "stage1", "-d", "d", "--json-input", "in.json" }
		assert.are.equal(15, t:info("stage1_d").total_steps)
	end)

	it("answers with --json what was written where", function()
		local answer = t:json { "record", "stage1", "-d", "d", "--steps", "3", "-m", "f1=0.5" }
		assert.are.equal("thhost.record/1", answer.schema)
		assert.are.equal("exp_1/stage1_d", answer.ref)
		assert.are.equal(t.root .. "/exp_1/stage1_d/training_info.json", answer.path)
		assert.is_true(answer.written)
		assert.are.equal(3, answer.total_steps)
		assert.are.equal(0.5, answer.entry.metrics.f1)
	end)

	it("shows with --dry-run what it would write, and writes nothing", function()
		local before = t:snapshot()
		local answer = t:json { "record", "stage1", "-d", "new", "--steps", "3", "--dry-run" }
		assert.is_false(answer.written)
		assert.are.equal("exp_1/stage1_new", answer.ref)
		assert.are.equal(3, answer.entry.steps)
		assert.are.equal(before, t:snapshot())
		local fresh = tree.bare()
		cli.shell("mkdir " .. fresh.root)
		before = fresh:snapshot()
		answer = fresh:json { "record", "stage1", "-d", "new", "--steps", "3", "--dry-run" }
		assert.matches("^exp_%d+_%d+/stage1_new$", answer.ref)
		assert.are.equal(before, fresh:snapshot())
		fresh:close()
	end)

	it("makes a first experiment where there is none", function()
		local fresh = tree.bare()
		cli.shell("mkdir " .. fresh.root)
		local result = fresh:ok { "record", "stage1", "-d", "hrds", "--steps", "3" }
		assert.matches("new experiment 'exp_%d+_%d+'", result.err)
		assert.matches("stage1_hrds", fresh:ok({ "list" }).out)
		fresh:close()
	end)

	it("reads a directory of the tree in place, unless it is another stage's", function()
		local plugin = t:ok({ "plugin", "new", "ner" }).out:match("^(%S+)")
		for _, dir in ipairs { "ner_a", "stage1_a" } do
			t:write("exp_1/" .. dir .. "/train.log", "step 5 accuracy 0.5\n")
			t:ok { "record", "ner", "-d", "a", "--from", t.root .. "/exp_1/" .. dir, "--plugin", plugin }
		end
		assert.are.equal(10, t:info("ner_a").total_steps)
		assert.is_nil(t:read("exp_1/stage1_a/training_info.json"))
		t:write("exp_1/ner_b/train.log", "step 7 accuracy 0.5\n")
		t:ok { "exp", "new", "exp_2" }
		t:ok { "record", "ner", "-d", "b", "--from", t.root .. "/exp_1/ner_b" }
		assert.are.equal(7, t:info("ner_b").total_steps)
	end)

	it("goes on with the model's own name where none is given", function()
		t:record("d", "--model-name", "my_model")
		t:record("d")
		local info = t:info("stage1_d")
		assert.are.equal("my_model", info.model_name)
		assert.are.equal(2, #info.training_history)
		t:ok { "record", "stage1", "-d", "e", "--steps", "1", "--init-from", "d" }
		assert.are.equal("my_model", t:info("stage1_e").model_name)
	end)

	it("writes into the experiment and the root that are named", function()
		t:ok { "exp", "new", "exp_2" }
		t:ok { "record", "stage1", "-d", "d", "--steps", "1", "--exp", "exp_1" }
		assert.is_nil(t:read("exp_2/stage1_d/training_info.json"))
		cli.shell("mkdir " .. t.dir .. "/other")
		t:ok { "record", "stage1", "-d", "d", "--steps", "1", "--root", "other" }
		assert.matches("stage1_d", cli.shell("ls " .. t.dir .. "/other/current/"))
	end)

	describe("refuses", function()
		it("another model or stage, keeps nothing of it", function()
			t:ok(FIRST)
			t:refused(5, "model_name", { "record", "stage1", "-d", "hrds", "--steps", "1",
				"--model-name", "other" })
			t:refused(5, "stage", { "record", "stage4", "-d", "hrds", "--steps", "1",
				"--into", "stage1_hrds" })
		end)

		it("an entry without steps before anything is made", function()
			t:refused(2, "steps", { "record", "stage1", "-d", "hrds" })
		end)

		it("an unknown parent before anything is made", function()
			t:refused(3, "--init-from", { "record", "stage1", "-d", "x", "--steps", "1",
				"--init-from", "nothing" })
		end)

		it("to begin from itself", function()
			t:ok(FIRST)
			t:refused(2, "itself", { "record", "stage1", "-d", "hrds", "--steps", "1",
				"--init-from", "hrds" })
		end)

		it("a parent for a record that has begun already", function()
			t:ok(FIRST)
			t:record("hrdh")
			t:refused(2, "has a history already", { "record", "stage1", "-d", "hrdh", "--steps", "1",
				"--init-from", "hrds" })
			t:ok { "record", "stage1", "-d", "x", "--steps", "1", "--init-from", "hrds" }
			t:ok { "record", "stage1", "-d", "x", "--steps", "2", "--init-from", "hrds" }
			assert.are.equal(10003, t:info("stage1_x").total_steps)
		end)

		local wrong = {
			{ 2, "--steps", "--steps", "-1" }, { 2, "--steps", "--steps", "1e3" },
			{ 2, "--steps", "--steps", "99999999999999999999" }, { 2, "--epochs", "--epochs", "two" },
			{ 2, "must be a number", "-m", "f1=good" }, { 2, "NAME=VALUE", "-m", "f1" },
			{ 2, "NAME=VALUE", "-m", "=1" }, { 2, "empty name", "-m", "a..b=1" },
			{ 2, "NAME=VALUE", "-p", "lr" }, { 5, "1.5", "-m", "f1=1.5" },
			{ 5, "time", "--start-time", "yesterday" }, { 5, "deep", "-m", "a.b.c.d.e.f.g.h.i=1" },
			{ 2, "32 at most", "-p", ("a."):rep(32) .. "a=1" }, { 2, "32 at most", "-p", ("a."):rep(60000) .. "a=1" },
			{ 2, "not valid UTF-8", "-m", "f\xEE=1" }, { 2, "not valid UTF-8", "-p", "\xEE.\xEF=1" },
		}
		for _, case in ipairs(wrong) do
			it(("%s %q"):format(case[3], case[4]:sub(1, 60)), function()
				t:refused(case[1], case[2], { "record", "stage1", "-d", "x", "--steps", "1", case[3], case[4] })
			end)
		end

		local inputs = {
			{ 5, "unknown key 'metricks'", '{"metricks": {}}' }, { 5, "not a JSON object", "[1]" },
			{ 5, "stdin:1", "{" }, { 5, "'steps' must be", '{"steps": 1.5}' },
			{ 5, "'metrics' must be", '{"metrics": [1]}' }, { 5, "'tags' must be", '{"tags": "x"}' },
			{ 5, "a string", '{"dataset": 7}' }, { 5, "'epochs' must be", '{"epochs": "2"}' },
			{ 5, "stdin", "" }, { 5, "NUL in a key", '{"metrics": {"a\\u0000b": 1, "a\\u0000c": 2}}' },
			{ 5, "a string without NUL", '{"dataset": "hrds\\u0000x"}' },
		}
		for _, case in ipairs(inputs) do
			it("JSON input " .. case[3], function()
				t:refused(case[1], case[2], { "record", "stage1", "-d", "x", "--json-input", "-" },
					{ input = case[3] })
			end)
		end
	end)
end)

describe("the first records of an empty root", function()
	it("agree on one experiment when they start at once", function()
		local t = tree.bare()
		cli.shell("mkdir " .. t.root)
		cli.shell(("cd %s && for i in 0 1 2 3 4 5 6 7 8 9; do %s record stage1 -d hrds --steps 1 -q "
			.. "-m f1=0.$i & done; wait"):format(t.dir, cli.quote(cli.thhost)))
		local models = t:json({ "list" }).models
		assert.are.equal(1, #models)
		assert.are.equal(10, models[1].record.total_steps)
		assert.matches("^current\nexp_%d+_%d+$", cli.shell("ls -A " .. t.root))
		t:close()
	end)

	-- Each look reads the directory to its end: the second, fourth, ... call.
	for look = 1, 5 do
		it("find the experiment that is made after look " .. look, function()
			if storage.is_asan or storage.skip_without(storage.has_strace, "strace") then
				return pending("needs strace, without a sanitizer")
			end
			local t = tree.bare()
			cli.shell("mkdir " .. t.root)
			assert(os.execute(([[cd %s && { HOME=%s/home strace -qq -f -o trace -P %s/artifact \
				-e trace=getdents64 -e inject=getdents64:signal=STOP:when=%d \
				%s record stage1 -d late --steps 1 -m f1=1 -q </dev/null >out 2>&1; echo $? >status; } &]])
				:format(t.dir, t.dir, t.dir, 2 * look, cli.quote(cli.thhost))))
			local pid = cli.wait_for("the stop", function()
				return (cli.read(t.dir .. "/trace") or ""):match("(%d+) +%-%-%- stopped by SIGSTOP")
			end)
			t:record("early")
			runs.kill("CONT", pid)
			local status = cli.wait_for("the end", function()
				return tonumber(cli.read(t.dir .. "/status") or "")
			end)
			assert.are.equal("", cli.read(t.dir .. "/out"))
			assert.are.equal(0, status)
			assert.are.equal(2, #t:json({ "list" }).models)
			t:close()
		end)
	end
end)

describe("twenty writers at a time", function()
	it("lose no entry and leave nothing behind", function()
		local t = tree.new()
		local each = os.getenv("THHOST_MODE") == "asan" and 5 or 50
		cli.write(t.dir .. "/writer.sh", ([[
			n=0
			while [ $n -lt %d ]; do
				%s record stage1 -d hrds --steps 1 -m writer=$1 -m turn=$n -q || echo $? >>failed
				n=$((n + 1))
			done]]):format(each, cli.quote(cli.thhost)))
		cli.shell(("cd %s && for w in $(seq 20); do sh writer.sh $w & done; wait"):format(t.dir))
		assert.is_nil(cli.read(t.dir .. "/failed"))
		local info, seen = t:info("stage1_hrds"), {}
		assert.are.equal(20 * each, #info.training_history)
		assert.are.equal(20 * each, info.total_steps)
		for _, entry in ipairs(info.training_history) do
			seen[entry.metrics.writer .. ":" .. entry.metrics.turn] = true
		end
		local count = 0
		for _ in pairs(seen) do
			count = count + 1
		end
		assert.are.equal(20 * each, count)
		assert.matches("0 errors, 0 warnings", t:ok({ "verify" }).out)
		assert.are.equal(".training_info.json.bak\n.training_info.json.lock\ntraining_info.json",
			cli.shell("ls -A " .. t.root .. "/exp_1/stage1_hrds | LC_ALL=C sort"))
		t:close()
	end)
end)
