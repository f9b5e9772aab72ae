--- `thhost adopt`: old trainings get the records that they would have had.
local cjson = require "cjson"
local cli = require "support.cli"
local old = require "support.old_trees"
local proc = require "support.proc"

describe("adopt", function()
	local t

	before_each(function()
		t = old.new()
	end)

	after_each(function()
		t:close()
		proc.cleanup()
	end)

	local function record(ref)
		return cjson.decode((assert(t:read(ref .. "/training_info.json"), ref)))
	end

	local function has_record(ref)
		return t:read(ref .. "/training_info.json") ~= nil
	end

	--- What 'adopt --json' found, by REF, and the whole answer; `status` of a run that is not 0.
	local function adopt_with(status, ...)
		local answer = t:json({ "adopt", ... }, status)
		assert.equal("thhost.adopt/1", answer.schema)
		local found = {}
		for _, model in ipairs(answer.found) do
			assert.is_nil(found[model.ref], model.ref .. " twice")
			found[model.ref] = model
		end
		return found, answer
	end

	local function adopt(...)
		return adopt_with(0, ...)
	end

	local function states(found)
		local words = {}
		for ref, model in pairs(found) do
			words[ref] = model.state
		end
		return words
	end

	describe("the home pipeline", function()
		before_each(function()
			old.home(t)
		end)

		it("shows what it would record and writes nothing", function()
			local before = t:snapshot()
			local found, answer = adopt("--dry-run")
			assert.equal(before, t:snapshot())
			assert.same({
				["exp_1/stage1_hrds"] = "to_record", ["exp_1/stage1_hrdh"] = "to_record",
				["exp_1/features_hrds"] = "to_record", ["exp_1/parent_finder_hrds"] = "to_record",
				["exp_1/relation_classifier_hrds"] = "to_record",
				["exp_1/parent_finder_hrdh"] = "not_recorded",
			}, states(found))
			assert.matches("interrupted", found["exp_1/parent_finder_hrdh"].reason)
			assert.equal(true, answer.dry_run)
			assert.equal(5, answer.counts.to_record)
			local entry = found["exp_1/stage1_hrds"].entries[1]
			assert.equal(1000, entry.steps)
			assert.equal("inferred", entry.evidence.parents or "inferred")
			local text = t:ok { "adopt", "--dry-run" }.out
			assert.matches("exp_1/stage1_hrdh +stage1 +hrdh +1,500", text)
			assert.matches("\nnot recorded +why\nexp_1/parent_finder_hrdh +interrupted", text)
			assert.matches("5 to record, 1 not recorded in 8 directories", text, 1, true)
			assert.equal(before, t:snapshot())
		end)

		it("makes the records, each field with how it is known", function()
			local found, answer = adopt("--yes")
			assert.equal(5, answer.counts.recorded)
			assert.equal("recorded", found["exp_1/stage1_hrds"].state)
			assert.is_false(has_record("exp_1/parent_finder_hrdh"))
			local info = record("exp_1/stage1_hrds")
			assert.equal("stage1", info.stage)
			assert.equal("layoutxlm_token_classifier", info.model_name)
			assert.equal(old.BASE, info.base_model)
			assert.equal("checkpoint-500", info.final_checkpoint)
			assert.equal(1000, info.total_steps)
			local entry = info.training_history[1]
			assert.equal("hrds", entry.dataset)
			assert.equal("completed", entry.status)
			assert.equal("checkpoint-500", entry.final_checkpoint.name)
			assert.equal(64, #entry.final_checkpoint.sha256)
			for field, how in pairs { dataset = "declared", steps = "observed", metrics = "observed",
				hyperparams = "observed", start_time = "observed", end_time = "observed",
				base_model = "observed", final_checkpoint = "observed", status = "observed" } do
				assert.equal(how, entry.evidence[field], field)
			end
			t:ok { "verify" }
		end)

		it("finds what came from what, though the tree was moved", function()
			adopt("--yes")
			local parents = record("exp_1/features_hrds").training_history[1].parents
			local first = record("exp_1/stage1_hrds").training_history[1]
			assert.same({ { ref = "exp_1/stage1_hrds", relation = "starts_from", how = "inferred",
				checkpoint = "checkpoint-1000", run_id = first.run_id, path = "../stage1_hrds" } },
				parents)
			local classifier = record("exp_1/relation_classifier_hrds").training_history[1]
			assert.equal("uses", classifier.parents[1].relation)
			assert.equal("exp_1/features_hrds", classifier.parents[1].ref)
			local out = t:ok({ "lineage" }, { env = { NO_COLOR = "1" } }).out
			assert.matches(old.BASE:gsub("%-", "%%-") .. " +pretrained\n└─ exp_1/stage1_hrds .-\n   ├╌ "
				.. "exp_1/features_hrds .-\n   │  ├╌ exp_1/parent_finder_hrds .-\n   │  └╌ "
				.. "exp_1/relation_classifier_hrds .-\n   └─ exp_1/stage1_hrdh ",
				out)
		end)

		it("goes on with the history of a model of the same stage", function()
			adopt("--yes")
			local info = record("exp_1/stage1_hrdh")
			assert.equal(2, #info.training_history)
			assert.equal("hrds", info.training_history[1].dataset)
			assert.equal("exp_1/stage1_hrds", info.training_history[1].inherited_from)
			assert.is_nil(info.training_history[2].inherited_from)
			assert.equal("continues", info.training_history[2].parents[1].relation)
			assert.equal(2500, info.total_steps)
			assert.equal("hrdh", info.last_dataset)
			assert.equal(old.BASE, info.base_model)
			assert.equal("exp_1/stage1_hrds/checkpoint-1000", info.training_history[2].base_model)
		end)

		it("finds nothing to do the second time", function()
			adopt("--yes")
			local before = t:snapshot()
			local found, answer = adopt("--yes")
			assert.equal(before, t:snapshot())
			assert.equal(0, answer.counts.recorded)
			assert.equal(5, answer.counts.recorded_already)
			assert.equal("recorded_already", found["exp_1/stage1_hrdh"].state)
			assert.equal("not_recorded", found["exp_1/parent_finder_hrdh"].state)
		end)

		it("never touches a record that is there, and links to it", function()
			t:ok { "record", "stage1", "--exp", "exp_1", "-d", "hrds", "--steps", "7", "--metric", "f1=0.1" }
			local mine = t:read("exp_1/stage1_hrds/training_info.json")
			local found = adopt("--yes")
			assert.equal("recorded_already", found["exp_1/stage1_hrds"].state)
			assert.equal(mine, t:read("exp_1/stage1_hrds/training_info.json"))
			assert.equal(1507, record("exp_1/stage1_hrdh").total_steps)
			assert.equal("exp_1/stage1_hrds", record("exp_1/features_hrds").training_history[1].parents[1].ref)
		end)

		it("leaves alone what is no record but lies in its place", function()
			t:write("exp_1/stage1_hrds/training_info.json", "{ torn")
			t:write("exp_1/features_hrds/.training_info.json.bak", "{}")
			local found = adopt_with(1, "--yes")
			assert.equal("{ torn", t:read("exp_1/stage1_hrds/training_info.json"))
			assert.equal("failed", found["exp_1/stage1_hrdh"].state) -- it would go on with that one
			assert.matches("cannot inherit", found["exp_1/stage1_hrdh"].reason, 1, true)
			assert.equal("recorded_already", found["exp_1/stage1_hrds"].state)
			assert.equal("not_recorded", found["exp_1/features_hrds"].state)
			assert.matches("thhost repair", found["exp_1/features_hrds"].reason, 1, true)
			assert.is_false(has_record("exp_1/features_hrds"))
		end)

		it("is whole after a kill at any write, and ends what was begun", function()
			if os.execute("strace -qq -o /dev/null true 2>/dev/null") ~= true then
				return cli.skip("no strace here")
			end
			for _, when in ipairs { 1, 2, 4, 7, 10, 13 } do
				t:run({ "adopt", "--yes" }, { prefix = ("strace -qq -f -o /dev/null -e trace=fsync "
					.. "-e inject=fsync:signal=KILL:when=%d"):format(when) })
				local result = t:run { "verify" }
				assert.is_true(result.status == 0, ("fsync %d: %s%s"):format(when, result.out, result.err))
			end
			adopt("--yes")
			assert.equal(2500, record("exp_1/stage1_hrdh").total_steps)
			assert.equal(1, #record("exp_1/stage1_hrds").training_history)
			t:ok { "verify" }
			local _, answer = adopt("--yes")
			assert.equal(5, answer.counts.recorded_already)
		end)

		it("tells of runs that thhost itself knows", function()
			local stage = "exp_1/parent_finder_hrds"
			t:run { "run", "stage3", "--exp", "exp_1", "-d", "hrds", "--", "false" }
			local found = adopt("--yes")
			assert.equal("not_recorded", found[stage].state)
			assert.matches("'thhost run' was here; its newest run is failed", found[stage].reason, 1, true)
			assert.is_false(has_record(stage))
		end)
	end)

	describe("config.yml", function()
		local RUN = [[
- timestamp: '%s'
  stage: stage1
  dataset: %s
  command: python train.py --max_steps %d
  params:
    training: {output_dir: artifact/exp_1/stage1_hrds, max_steps: %d, resume_from_checkpoint: %s}
]]

		it("tells several runs of one directory apart", function()
			old.stage(t, "exp_1/stage1_hrds", "stage1/best_not_last")
			old.config(t, "exp_1", "  stage1_hrds: {status: completed}\n",
				RUN:format("2025-12-09 10:00:00", "hrds", 10, 10, "null")
				.. RUN:format("2025-12-10 10:00:00", "hrds", 600, 600, "null")
				.. RUN:format("2025-12-11 10:00:00", "my_biz", 1000, 1000,
					"artifact/exp_1/stage1_hrds/checkpoint-600"))
			local found = adopt("--yes")
			local info = record("exp_1/stage1_hrds")
			assert.equal(2, #info.training_history)
			local first, last = info.training_history[1], info.training_history[2]
			assert.same({ 600, 400 }, { first.steps, last.steps })
			assert.same({ "hrds", "hrds" }, { first.dataset, last.dataset })
			assert.equal("2025-12-10T10:00:00", first.start_time)
			assert.equal("inferred", first.evidence.steps)
			assert.equal("derived", last.evidence.steps)
			assert.equal(1000, info.total_steps)
			assert.matches("lists 1 earlier run; nothing of it is left",
				table.concat(found["exp_1/stage1_hrds"].notes, "\n"), 1, true)
		end)

		it("counts a run that was cut short with the one that went on", function()
			old.stage(t, "exp_1/stage1_hrds", "stage1/best_not_last")
			old.config(t, "exp_1", "  stage1_hrds: {status: completed}\n",
				RUN:format("2025-12-10 10:00:00", "hrds", 1000, 1000, "null")
				.. RUN:format("2025-12-11 10:00:00", "hrds", 1000, 1000,
					"artifact/exp_1/stage1_hrds/checkpoint-500"))
			adopt("--yes")
			assert.equal(1, #record("exp_1/stage1_hrds").training_history)
			assert.equal(1000, record("exp_1/stage1_hrds").total_steps)
		end)

		it("says what failed or never ended", function()
			old.stage(t, "exp_1/stage1_hrds", "stage1/best_not_last")
			old.stage(t, "exp_1/features_hrds", "stage2/no_log")
			old.config(t, "exp_1", "  stage1_hrds: {status: failed}\n  stage2_hrds: {status: in_progress}\n")
			local found = adopt("--yes")
			assert.equal("failed, says config.yml", found["exp_1/stage1_hrds"].reason)
			assert.equal("did not end, says config.yml", found["exp_1/features_hrds"].reason)
			assert.is_false(has_record("exp_1/stage1_hrds"))
			assert.is_false(has_record("exp_1/features_hrds"))
		end)

		it("stands in for a log that is gone", function()
			t:write("exp_1/parent_finder_hrds/best_model.pt", "weights")
			t:write("exp_1/parent_finder_hrdh/best_model.pt", "weights")
			old.config(t, "exp_1", [[
  stage3_hrds:
    status: completed
    current_step: 0
    best_checkpoint: best_model.pt
    metrics: {accuracy: 0.75}
    started_at: '2025-12-10 20:13:30'
    completed_at: '2025-12-10 21:13:30'
]])
			local found = adopt("--yes")
			local entry = record("exp_1/parent_finder_hrds").training_history[1]
			assert.equal(0.75, entry.metrics.accuracy)
			assert.equal("declared", entry.evidence.metrics)
			assert.equal("2025-12-10T20:13:30", entry.start_time)
			assert.equal("2025-12-10T21:13:30", entry.end_time)
			assert.equal("declared", entry.evidence.end_time)
			assert.equal("best_model.pt", entry.final_checkpoint.name)
			assert.equal(20, entry.raw_hyperparams.num_epochs)
			assert.equal("declared", entry.evidence.raw_hyperparams)
			assert.is_false(found["exp_1/parent_finder_hrds"].steps_known)
			assert.matches("0 stands for it", entry.notes, 1, true)
			assert.is_nil(found["exp_1/parent_finder_hrdh"])
		end)

		it("that is broken is warned of, and the rest is found", function()
			old.stage(t, "exp_1/stage1_hrds", "stage1/best_not_last")
			t:write("exp_1/config.yml", "stages: [\n")
			local result = t:ok { "adopt", "--yes" }
			assert.matches("config.yml", result.err, 1, true)
			assert.is_true(has_record("exp_1/stage1_hrds"))
		end)
	end)

	describe("the walk", function()
		local function put(name)
			old.stage(t, name, "stage1/best_not_last")
		end

		it("passes over what is hidden and the packages of programs", function()
			for _, name in ipairs { ".git", ".venv", "node_modules", "venv", "site-packages" } do
				put("exp_1/" .. name .. "/stage1_hrds")
			end
			put("tool/stage1_hrds")
			t:write("tool/pyvenv.cfg", "home = /usr\n")
			put("exp_2/stage1_hrds")
			assert.same({ ["exp_2/stage1_hrds"] = "to_record" }, states((adopt("--dry-run"))))
		end)

		it("follows no links: not in circles, not out of the tree", function()
			put("exp_1/stage1_hrds")
			cli.shell(("cp -r %s/exp_1 %s/outside"):format(t.root, t.dir))
			cli.shell(("ln -s . %s/loop && ln -s ../exp_1 %s/exp_1/up && ln -s %s/outside %s/exp_9"):format(
				t.root, t.root, t.dir, t.root))
			cli.shell(("ln -s %s/outside/stage1_hrds %s/exp_1/stage1_out"):format(t.dir, t.root))
			local found, answer = adopt("--yes")
			assert.same({ ["exp_1/stage1_hrds"] = "recorded" }, states(found))
			assert.equal(3, answer.counts.directories)
			assert.is_nil(cli.read(t.dir .. "/outside/stage1_hrds/training_info.json"))
		end)

		it("names a directory that it cannot read, and goes on", function()
			if cli.shell("id -u") == "0" then
				return -- nothing is closed to root
			end
			put("exp_1/stage1_hrds")
			cli.shell(("mkdir %s/exp_1/closed && chmod 0 %s/exp_1/closed"):format(t.root, t.root))
			local found, answer = adopt("--yes")
			assert.equal("recorded", found["exp_1/stage1_hrds"].state)
			assert.equal("exp_1/closed", answer.passed_over[1].path)
			assert.equal("Permission denied", answer.passed_over[1].why)
		end)

		it("goes no deeper than it is told, and says what it left out", function()
			put("a/b/c/stage1_hrds")
			put("exp_1/stage1_hrds")
			local found, answer = adopt("--dry-run", "--depth", "2")
			assert.is_nil(found["a/b/c/stage1_hrds"])
			assert.equal("to_record", found["exp_1/stage1_hrds"].state)
			assert.is_true(answer.counts.deeper > 0)
			assert.matches("deeper than --depth 2", t:ok { "adopt", "--dry-run", "--depth", "2" }.out, 1, true)
		end)

		it("takes a tree elsewhere for a root of its own", function()
			put("exp_1/stage1_hrds")
			put("exp_1/stage1_hrdh")
			cli.shell(("mv %s/exp_1 %s/moved"):format(t.root, t.dir))
			local answer = t:json { "adopt", "moved", "--yes" }
			assert.equal(t.dir .. "/moved", answer.root)
			assert.equal(2, #answer.found)
			assert.equal("stage1_hrdh", answer.found[1].ref)
			assert.equal(2, #t:json({ "list", "--root", "moved" }).models)
			local result = t:ok { "adopt", "moved", "--dry-run" }
			assert.matches("2 had a record already", result.out, 1, true)
			t:refused(2, "does not lie below the root", { "adopt", "moved", "--root", "artifact", "--yes" })
			t:refused(3, "nowhere", { "adopt", "nowhere", "--yes" })
		end)

		it("can be sent into one experiment, or to one training", function()
			put("exp_1/stage1_hrds")
			put("exp_1/stage1_hrdh")
			put("exp_2/stage1_hrds")
			assert.same({ ["exp_1/stage1_hrdh"] = "to_record" },
				states((adopt("artifact/exp_1/stage1_hrdh", "--dry-run"))))
			local found = adopt("artifact/exp_1", "--yes")
			assert.is_not_nil(found["exp_1/stage1_hrds"])
			assert.is_nil(found["exp_2/stage1_hrds"])
			assert.is_false(has_record("exp_2/stage1_hrds"))
		end)

		it("can be stopped before anything is written", function()
			put("exp_1/stage1_hrds")
			local before = t:snapshot()
			local result = t:run({ "adopt", "--yes" }, { prefix = "timeout --preserve-status -s INT 0.001" })
			if result.status == 130 then
				assert.equal(before, t:snapshot())
			end
			assert.is_true(result.status == 130 or result.status == 0, result.err)
		end)
	end)

	it("believes --as", function()
		old.stage(t, "a/b", "stage1/best_not_last")
		local found = adopt("--dry-run", "--as", "stage1/my_biz")
		assert.same({ "stage1", "declared", "my_biz", "declared" }, { found["a/b"].stage,
			found["a/b"].stage_evidence, found["a/b"].dataset, found["a/b"].dataset_evidence })
		assert.equal("my_biz", found["a/b"].entries[1].dataset)
		assert.equal("declared", found["a/b"].entries[1].evidence.dataset)
		assert.is_not_nil(found["a/b"].entries[1].metrics.f1) -- read by the stage's own plugin
		for _, wrong in ipairs { "/", "a/b/c", "../x", "-s/d" } do
			assert.equal(2, t:run({ "adopt", "--dry-run", "--as=" .. wrong }).status, wrong)
		end
	end)

	it("resolves a copied checkpoint by its content", function()
		local base = t.dir .. "/copies/start"
		old.stage(t, "exp_1/stage1_hrds", "stage1/best_not_last")
		old.stage(t, "exp_2/stage1_hrdh", "stage1/early_stop", { [old.BASE] = base })
		local weights = ("w"):rep(9000) .. "1"
		t:write("exp_1/stage1_hrds/checkpoint-500/pytorch_model.bin", weights)
		t:write("exp_1/stage1_hrds/checkpoint-1000/pytorch_model.bin", ("w"):rep(9000) .. "2")
		cli.shell("mkdir -p " .. base)
		cli.write(base .. "/pytorch_model.bin", weights)
		local found = adopt("--yes")
		assert.same({ ref = "exp_1/stage1_hrds", relation = "starts_from", checkpoint = "checkpoint-500",
			found_by = "content" }, found["exp_2/stage1_hrdh"].parents[1])
		assert.equal("exp_1/stage1_hrds", record("exp_2/stage1_hrdh").training_history[1].parents[1].ref)
	end)

	it("does not choose where two have the same weights", function()
		local base = t.dir .. "/copies/start"
		for _, exp in ipairs { "exp_1", "exp_3" } do
			old.stage(t, exp .. "/stage1_hrds", "stage1/best_not_last")
			t:write(exp .. "/stage1_hrds/checkpoint-500/pytorch_model.bin", "the same")
		end
		old.stage(t, "exp_2/stage1_hrdh", "stage1/early_stop", { [old.BASE] = base })
		cli.shell("mkdir -p " .. base)
		cli.write(base .. "/pytorch_model.bin", "the same")
		assert.same({}, adopt("--dry-run")["exp_2/stage1_hrdh"].parents)
	end)

	it("draws no edge around in a circle", function()
		old.stage(t, "exp_1/stage1_a", "stage1/best_not_last", { [old.BASE] = "exp_1/stage1_b/checkpoint-1" })
		old.stage(t, "exp_1/stage1_b", "stage1/best_not_last", { [old.BASE] = "exp_1/stage1_a/checkpoint-1" })
		local found = adopt("--yes")
		assert.equal(1, #found["exp_1/stage1_a"].parents + #found["exp_1/stage1_b"].parents)
		t:ok { "verify" }
	end)

	describe("asking", function()
		before_each(function()
			old.stage(t, "exp_1/stage1_hrds", "stage1/best_not_last")
		end)

		--- What the terminal got when it answered `answer`, and the status.
		local function on_terminal(answer, before)
			local argv = { "env", "-C", t.dir, "TERM=xterm", "HOME=" .. t.dir, cli.thhost, "adopt" }
			local out = os.tmpname()
			local _, _, status = os.execute(("%s >%s </dev/null"):format(
				proc.quote(proc.on_terminal(argv, { { "[y/N] ", answer } }, 24, 100)), out))
			local text = cli.read(out)
			os.remove(out)
			return text, status, before
		end

		it("happens on a terminal, after the table; the answer is no unless it is yes", function()
			for _, answer in ipairs { "\n", "n\n", "what\n" } do
				local text, status = on_terminal(answer)
				assert.equal(1, status)
				assert.matches("stage1_hrds.-1,000.-record this 1 training%? %[y/N%] ", text)
				assert.matches("nothing written", text, 1, true)
				assert.is_false(has_record("exp_1/stage1_hrds"))
			end
			local text, status = on_terminal("y\n")
			assert.equal(0, status)
			assert.matches("1 recorded in", text, 1, true)
			assert.is_true(has_record("exp_1/stage1_hrds"))
		end)

		it("cannot happen without a terminal", function()
			t:refused(2, "no terminal to ask on", { "adopt" })
		end)

		it("lets a record win that appears meanwhile", function()
			local path = t.root .. "/exp_1/stage1_hrds/training_info.json"
			local argv = { "env", "-C", t.dir, "TERM=xterm", "HOME=" .. t.dir, "sh", "-c",
				("%s adopt; echo status $?"):format(cli.quote(cli.thhost)) }
			local out = os.tmpname()
			-- The terminal answers only when the file is there.
			assert(os.execute(("(sleep 0.5; echo mine >%s) & %s >%s </dev/null"):format(cli.quote(path),
				proc.quote(proc.on_terminal({ "sh", "-c", ("(while [ ! -e %s ]; do sleep 0.1; done; echo go) & %s")
					:format(cli.quote(path), proc.quote(argv)) }, { { "go", "y\n" } }, 24, 100)), out)))
			local text = cli.read(out)
			os.remove(out)
			assert.equal("mine\n", cli.read(path))
			assert.matches("1 had a record already", text, 1, true)
		end)
	end)

	--- A plugin that reads what found.json says, in place of the generic one.
	local GENERIC = [[
return {
	api = 1, kind = "stage", name = "generic", version = "1.0.0", summary = "for the specs",
	dir = "generic", model_name = "generic", inputs = { found = "found.json?" },
	extract = function(ctx)
		if not ctx:has("found") then
			return nil, { code = "not_recognised", message = "nothing" }
		end
		return ctx:json("found")
	end,
}
]]

	describe("a directory with trainings below it", function()
		before_each(function()
			cli.shell("mkdir " .. t.dir .. "/plugins")
			cli.write(t.dir .. "/plugins/generic.lua", GENERIC)
			cli.write(t.dir .. "/thhost.ini", "[artifact]\nroot = artifact\n[plugins]\npath = plugins\n")
		end)

		--- A training as the plugin above reads it.
		local function found(name, score, more)
			t:write(name .. "/found.json", ([[{"steps": 5, "metrics": {"f1": 0.5}, "outcome": "completed",
"reading": {"recognised": [{"reader": "x", "title": "X", "score": %d, "why": "so"}], "reading": {}%s}}]])
				:format(score, more or ""))
		end

		it("covers its parts, and what is no surer than it", function()
			found("a", 90)
			found("a/checkpoint-5", 90)
			found("a/logs", 90)
			found("a/other", 40)
			assert.same({ a = "recorded" }, states((adopt("--yes"))))
			assert.same({ a = "recorded_already" }, states((adopt("--yes"))))
		end)

		it("does not hide what is surer than a guess", function()
			found("a", 40)
			found("a/deep/sure", 90)
			found("a/deep/guess", 40)
			found("b", 90)
			found("b/sure", 90)
			local words = { a = "recorded", ["a/deep/sure"] = "recorded", ["a/deep/guess"] = "recorded",
				b = "recorded", ["b/sure"] = "recorded" }
			assert.same(words, states((adopt("--yes"))))
			assert.equal(5, #t:json({ "list" }).models)
		end)

		it("is none where it only holds runs", function()
			found("a/logs", 90, ', "runs": ["version_0", "version_1"]')
			found("a/logs/version_0", 90)
			found("a/logs/version_1", 90)
			assert.same({ ["a/logs/version_0"] = "recorded", ["a/logs/version_1"] = "recorded" },
				states((adopt("--yes"))))
			assert.equal("a", record("a/logs/version_0").model_name)
			assert.equal("training", record("a/logs/version_0").stage)
		end)

		it("takes the data set from what the reading says, as one word", function()
			for dataset, word in pairs { ["/data/hrds/train.json"] = "hrds", ["org/squad"] = "squad",
				["C:\\\\x\\\\fire.yaml"] = "fire", ["train.csv"] = "unknown", ["../.."] = "unknown", wmt = "wmt" } do
				t:write("a/found.json", ([[{"steps": 5, "metrics": {}, "outcome": "completed", "dataset": "%s",
"reading": {"recognised": [{"title": "X", "score": 90}], "reading": {"raw_hyperparams": {"task": "mt"}}}}]])
					:format(dataset))
				local model = adopt("--dry-run").a
				assert.equal(word, model.dataset, dataset)
				assert.equal(word ~= "unknown" and (word == dataset and "observed" or "derived") or nil,
					model.entries[1].evidence.dataset, dataset)
				assert.equal("mt", model.stage)
			end
		end)

		it("is left where it failed, ran on, or told nothing", function()
			for outcome, reason in pairs { failed = "failed: boom", interrupted = "interrupted: boom" } do
				t:write("a/found.json", ('{"steps": 5, "metrics": {}, "outcome": "%s", "error": "boom"}'):format(
					outcome))
				assert.equal(reason, adopt("--yes").a.reason)
			end
			t:write("a/found.json", [[{"steps": 5, "metrics": {}, "outcome": "interrupted",
"reading": {"reading": {"outcome": "running"}}}]])
			assert.equal("still running when it was last heard of", adopt("--yes").a.reason)
			t:write("a/found.json", '{"steps": 0, "metrics": {}}')
			assert.equal("neither steps nor metrics could be read", adopt("--yes").a.reason)
			assert.is_false(has_record("a"))
		end)

		it("is no reason to stop when its plugin breaks", function()
			t:write("a/found.json", '{"steps": "many"}')
			found("b", 90)
			local all = adopt("--yes")
			assert.equal("recorded", all.b.state)
			assert.equal("not_recorded", all.a.state)
			assert.matches("steps", all.a.reason, 1, true)
		end)

		it("shows how far it is on a terminal, in one line that leaves no trace", function()
			for i = 1, 60 do
				found("d" .. i, 90)
			end
			local argv = { "env", "-C", t.dir, "TERM=xterm", "HOME=" .. t.dir, cli.thhost, "adopt", "--yes" }
			local out = os.tmpname()
			os.execute(("%s >%s </dev/null"):format(proc.quote(proc.on_terminal(argv, {}, 24, 60)), out))
			local text = cli.read(out)
			os.remove(out)
			local seen = 0
			for line in text:gmatch("\r( %d+ directories, %d+ %a+ [^\r\n]*)\27%[K") do
				assert.is_true(#line < 60, line)
				seen = seen + 1
			end
			assert.is_true(seen > 0, text)
			assert.matches("\r\27%[K[^\r]*training", text)
			assert.matches("60 recorded in 61 directories", text, 1, true)
		end)
	end)

	it("finds nothing in an empty root, and says so", function()
		assert.matches("no training found in 1 directory", t:ok { "adopt", "--yes" }.out, 1, true)
	end)

	it("keeps broken files from hiding the rest", function()
		old.stage(t, "exp_1/stage1_hrds", "stage1/best_not_last")
		t:write("broken/a/trainer_state.json", '{"global_step": 5, "log_hist')
		t:write("broken/b/trainer_state.json", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
		t:write("broken/c/metrics.csv", "")
		t:write("broken/d/trainer_state.json", ("\0\255"):rep(400))
		t:write("broken/e/history.json", "[[[[")
		local found = adopt("--yes")
		assert.equal("recorded", found["exp_1/stage1_hrds"].state)
		for ref, model in pairs(found) do
			assert.is_true(ref == "exp_1/stage1_hrds" or model.state == "not_recorded", ref)
			assert.is_true(model.state == "recorded" or #model.reason > 0, ref)
		end
		t:ok { "verify" }
	end)

	--- Only where the reader is part of the library.
	local function reads(name, text, test)
		if old.has_reader(name) then
			it(text, test)
		else
			pending(text .. " (no th." .. name .. ")")
		end
	end

	reads("huggingface", "takes an output directory with three checkpoints for one training", function()
		old.huggingface(t, "work/sft")
		local found = adopt("--yes")
		assert.same({ ["work/sft"] = "recorded" }, states(found))
		local info = record("work/sft")
		assert.equal(300, info.total_steps)
		assert.equal("bert-base-cased", info.base_model)
		assert.equal("sft", info.model_name)
		assert.equal("unknown", info.last_dataset)
		local entry = info.training_history[1]
		assert.equal(0.875, entry.metrics.eval_accuracy)
		assert.is_nil(entry.evidence.dataset)
		assert.equal("inferred", entry.evidence.end_time)
		assert.equal("derived", entry.evidence.start_time) -- the end less train_runtime
		assert.equal(1, #t:json({ "list" }).models)
	end)

	reads("huggingface", "finds the base of one among the others, as a path relative to nobody knows what",
		function()
			old.huggingface(t, "work/sft")
			old.huggingface(t, "work/dpo", "./outputs/work/sft/checkpoint-200")
			old.huggingface(t, "work/rm", "C:\\\\me\\\\work\\\\sft")
			old.huggingface(t, "work/bert-base-cased", "bert-base-cased")
			adopt("--yes")
			assert.equal("checkpoint-200", record("work/dpo").training_history[1].parents[1].checkpoint)
			assert.equal("work/sft", record("work/dpo").training_history[1].parents[1].ref)
			assert.equal("work/sft", record("work/rm").training_history[1].parents[1].ref)
			assert.is_nil(record("work/bert-base-cased").training_history[1].parents)
			assert.is_nil(record("work/sft").training_history[1].parents)
		end)

	reads("mlflow", "makes each run of a file store a model of its own", function()
		local a, b = ("a1"):rep(16), ("b2"):rep(16)
		old.mlflow(t, "proj/mlruns", "0", a, 3)
		old.mlflow(t, "proj/mlruns", "1", b, 4)
		local found = adopt("--yes")
		assert.same({ ["proj/mlruns/0/" .. a] = "recorded", ["proj/mlruns/1/" .. b] = "not_recorded" },
			states(found))
		assert.equal(31.25, record("proj/mlruns/0/" .. a).training_history[1].metrics.mse)
		assert.equal("proj/mlruns/0/" .. a, t:json({ "list" }).models[1].ref)
		assert.equal("proj", record("proj/mlruns/0/" .. a).model_name)
	end)

	reads("sacred", "makes each numbered run of sacred a model of its own", function()
		old.sacred(t, "net/runs/1", "COMPLETED")
		old.sacred(t, "net/runs/2", "FAILED")
		old.sacred(t, "net/runs/3", "COMPLETED")
		assert.same({ ["net/runs/1"] = "recorded", ["net/runs/2"] = "not_recorded",
			["net/runs/3"] = "recorded" }, states((adopt("--yes"))))
	end)

	reads("lightning", "makes each version of lightning_logs a model of its own", function()
		old.lightning(t, "gan/lightning_logs/version_0")
		old.lightning(t, "gan/lightning_logs/version_1")
		t:write("gan/lightning_logs/version_1/checkpoints/epoch=1-step=20.ckpt", "weights")
		assert.same({ ["gan/lightning_logs/version_0"] = "recorded",
			["gan/lightning_logs/version_1"] = "recorded" }, states((adopt("--yes"))))
		assert.equal("gan", record("gan/lightning_logs/version_1").model_name)
	end)

	it("walks a large tree in little memory", function()
		cli.shell(("cd %s && for i in $(seq 40); do mkdir -p d$i/$(seq -s / 12); done"):format(t.root))
		local _, answer = adopt("--dry-run")
		assert.equal(40 * 13 + 1, answer.counts.directories)
		assert.equal(0, answer.counts.candidates)
	end)

	it("shows no status line where stderr is no terminal", function()
		old.stage(t, "exp_1/stage1_hrds", "stage1/best_not_last")
		assert.equal("", t:ok({ "adopt", "--yes" }).err)
	end)
end)
