--- `thhost run`: what becomes the entry, and what happens when it cannot.
local cjson = require "cjson"
local cli = require "support.cli"
local runs = require "support.runs"
local storage = require "support.storage"

local function entries(t, name)
	return t:info(name or "tiny_d").training_history
end

describe("the entry of a run", function()
	local t

	before_each(function()
		t = runs.tree("[stage tiny]\nbase_model = some/model\n")
	end)

	after_each(function()
		t:close()
	end)

	it("tells everything about the run", function()
		t:ok(runs.tiny(runs.write_result .. 'printf abc >"$THHOST_STAGE_DIR/model.bin"'))
		local entry = entries(t)[1]
		local run = runs.journal(t)[1]
		assert.equal("recorded", run.state)
		assert.equal(run.run_id, entry.run_id)
		assert.equal("completed", entry.status)
		assert.equal("some/model", entry.base_model)
		assert.same({ name = "model.bin", size = 3,
			sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
			entry.final_checkpoint)
		assert.equal("tiny", entry.plugin.name)
		assert.equal("2.0.0", entry.plugin.version)
		assert.equal(64, #entry.plugin.sha256)
		assert.equal("sh", entry.command[1])
		assert.equal(cli.shell("hostname"), entry.environment.host)
	end)

	it("tells what the training took", function()
		t:ok(runs.tiny(runs.write_result .. "lua5.4 -e 'local t = {} for i = 1, 2e6 do t[i] = i end'"))
		local usage = entries(t)[1].usage
		assert.is_true(usage.wall_s > 0 and usage.wall_s < 60)
		assert.is_true(usage.cpu_user_s > 0 and usage.cpu_user_s < 60)
		assert.is_true(usage.cpu_system_s >= 0)
		assert.is_true(usage.max_rss_bytes > 20e6 and usage.max_rss_bytes < 4e9, usage.max_rss_bytes)
	end)

	it("measures a directory, and a large one without its digest", function()
		local command = runs.write_result:gsub("model.bin", "checkpoint-10")
			.. 'mkdir -p "$THHOST_STAGE_DIR/checkpoint-10"; cd "$THHOST_STAGE_DIR/checkpoint-10"; '
			.. "head -c 700000 /dev/zero >a; head -c 700000 /dev/zero >b"
		t:ok(runs.tiny(command))
		t:ok(runs.tiny(command), { env = { THHOST_DIGEST_LIMIT = "1" } })
		local first, second = entries(t)[1].final_checkpoint, entries(t)[2].final_checkpoint
		assert.equal(1400000, first.size)
		assert.equal(64, #first.sha256)
		assert.same({ name = "checkpoint-10", size = 1400000 }, second)
	end)

	it("names a checkpoint that is not there, and no more", function()
		t:ok(runs.tiny(runs.write_result))
		assert.same({ name = "model.bin" }, entries(t)[1].final_checkpoint)
	end)

	it("has the git state of the start", function()
		cli.shell(([[cd %s && git init -q -b work && git config user.email a@b && git config user.name n &&
			echo 1 >code && git add code && git commit -qm one]]):format(t.dir))
		local commit = cli.shell(("git -C %s rev-parse HEAD"):format(t.dir))
		t:ok(runs.tiny(runs.write_result))
		local git = entries(t)[1].git
		assert.equal(commit, git.commit)
		assert.equal("work", git.branch)
		assert.is_false(git.dirty)
		cli.write(t.dir .. "/code", "2")
		t:ok(runs.tiny(runs.write_result
			.. [[until grep -q '"git"' "$THHOST_STAGE_DIR/.thhost/runs/$THHOST_RUN_ID.json"; ]]
			.. "do sleep 0.05; done; git commit -qam later"))
		git = entries(t)[2].git
		assert.equal(commit, git.commit)
		assert.is_true(git.dirty)
		assert.equal(commit, runs.journal(t)[2].git.commit)
	end)

	it("keeps no secret of the command line", function()
		local words = runs.tiny(runs.write_result)
		table.move({ "sh", "--api-key", "sesame-1234" }, 1, 3, #words + 1, words)
		t:ok(words)
		local text = t:read("exp_1/tiny_d/training_info.json")
		assert.is_nil(text:find("sesame", 1, true))
		assert.is_truthy(text:find("***", 1, true))
		assert.is_nil(cjson.encode(runs.journal(t)[1]):find("sesame", 1, true))
	end)

	it("has tags, a note and hyperparameters that are given", function()
		t:ok(runs.tiny(runs.write_result, "--tag", "x", "--tag", "y", "--note", "why", "-p", "lr=2e-5"))
		local entry = entries(t)[1]
		assert.same({ "x", "y" }, entry.tags)
		assert.equal("why", entry.notes)
		assert.is_truthy(t:read("exp_1/tiny_d/training_info.json"):find('"lr": 2e-5', 1, true))
	end)

	it("has the plugin's sources and plans with the example training", function()
		t:ok(runs.example("stage1", "hrds", "--max_steps 60 --save_steps 30 --eval_steps 30"))
		local entry = entries(t, "stage1_hrds")[1]
		assert.equal(60, entry.steps)
		assert.equal("trainer_state.json:global_step", entry.sources.steps)
		assert.equal(60, entry.planned.max_steps)
		assert.is_truthy(entry.final_checkpoint.sha256)
		t:ok { "verify" }
	end)

	it("is not made with --no-record", function()
		t:ok(runs.tiny(runs.write_result, "--no-record"))
		assert.is_nil(t:read("exp_1/tiny_d/training_info.json"))
		assert.equal("completed", runs.journal(t)[1].state)
	end)

	it("is told of on stderr, and not with --quiet", function()
		local result = t:ok(runs.tiny(runs.write_result))
		assert.equal("", result.out)
		assert.is_truthy(result.err:find("recorded  exp_1/tiny_d  entry 1", 1, true))
		assert.equal("", t:ok(runs.tiny(runs.write_result, "-q")).err)
	end)
end)

describe("a run that cannot be recorded", function()
	local t

	before_each(function()
		t = runs.tree()
	end)

	after_each(function()
		t:close()
	end)

	local function mend()
		local path = t.dir .. "/plugins/tiny.lua"
		cli.write(path, runs.plugin)
	end

	local function break_plugin()
		cli.write(t.dir .. "/plugins/tiny.lua", (runs.plugin:gsub("if not ctx", "error('oh no')\n%0")))
	end

	it("ends as the training did, with a warning and a hint", function()
		break_plugin()
		local result = t:run(runs.tiny(runs.write_result))
		assert.equal(0, result.status)
		assert.is_truthy(result.err:find("oh no", 1, true), result.err)
		assert.is_truthy(result.err:find("hint: ", 1, true))
		local run = runs.journal(t)[1]
		assert.equal("unrecorded", run.state)
		assert.is_truthy(run.trouble:find("oh no", 1, true))
	end)

	it("ends with 125 where that is wanted", function()
		assert.equal(125, t:run(runs.tiny("true", "--strict")).status)
		assert.equal(125, t:run(runs.tiny("true"), { env = { THHOST_STRICT = "yes" } }).status)
		assert.equal(3, t:run(runs.tiny("exit 3", "--strict")).status)
		assert.equal(0, t:run(runs.tiny(runs.write_result, "--strict")).status)
	end)

	it("tells it as JSON", function()
		local result = t:run(runs.tiny("true", "--strict", "--json"))
		local object = cjson.decode(result.err:match("([^\n]*)\n$")).error
		assert.equal(125, object.exit)
		assert.is_truthy(object.hint)
	end)

	it("is recorded once by repair, with all that was known, when the plugin is mended", function()
		break_plugin()
		cli.shell(("cd %s && git init -q && git config user.email a@b && git config user.name n && "
			.. "git commit -q --allow-empty -m one"):format(t.dir))
		t:ok(runs.tiny(runs.write_result .. [[echo '{"final":{"metrics":{"told":1}}}' >>"$THHOST_EVENTS"]],
			"--tag", "x", "--note", "why", "-p", "lr=1e-3"))
		local run = runs.journal(t)[1]
		t:run { "repair" }
		assert.equal("unrecorded", runs.journal(t)[1].state)
		mend()
		t:ok { "repair" }
		t:ok { "repair" }
		assert.equal(1, #entries(t))
		local entry = entries(t)[1]
		assert.equal(run.run_id, entry.run_id)
		assert.equal(run.start_time, entry.start_time)
		assert.equal(run.end_time, entry.end_time)
		assert.equal(0.5, entry.metrics.f1)
		assert.equal(1, entry.metrics.told)
		assert.equal(1e-3, entry.hyperparams.lr)
		assert.same({ "x" }, entry.tags)
		assert.equal("why", entry.notes)
		assert.is_truthy(entry.git.commit)
		assert.is_truthy(entry.environment.host)
		assert.is_truthy(entry.usage.wall_s)
		assert.equal("sh", entry.command[1])
		assert.equal("recorded", runs.journal(t)[1].state)
	end)

	it("inherits by repair what it would have by itself", function()
		t:ok { "run", "tiny", "-d", "a", "--", "sh", "-c", runs.write_result }
		break_plugin()
		t:ok { "run", "tiny", "-d", "b", "--init-from", "a", "--", "sh", "-c", runs.write_result }
		mend()
		t:ok { "repair" }
		local info = t:info("tiny_b")
		assert.equal(20, info.total_steps)
		assert.equal("exp_1/tiny_a", info.training_history[1].inherited_from)
		assert.equal("exp_1/tiny_a", info.parents[1].ref)
		assert.equal("continues", info.parents[1].relation)
		assert.equal(1, #info.parents)
	end)

	it("is brought in by repair when thhost dies between the end and the record", function()
		if storage.skip_without(storage.has_strace, "strace") or storage.is_asan then
			return pending("no strace, or a sanitizer in its way")
		end
		-- The second renameat2 puts the record in place; the journal is replaced by renameat when the
		-- training has started, when it has ended, and when all is done.
		local kills = { ["before the record"] = "renameat2:signal=KILL:when=2",
			["after it"] = "renameat:signal=KILL:when=3" }
		for when, kill in pairs(kills) do
			local ours = runs.tree()
			local result = ours:run(runs.tiny(runs.write_result),
				{ prefix = "strace -qq -o /dev/null -e inject=" .. kill })
			assert.equal(137, result.status, when)
			ours:ok { "repair" }
			local run = runs.journal(ours)[1]
			assert.equal("recorded", run.state, when)
			assert.equal(1, #entries(ours), when)
			assert.equal(run.run_id, entries(ours)[1].run_id)
			ours:close()
		end
	end)

	it("waits in the spool while the record is damaged", function()
		t:ok(runs.tiny(runs.write_result))
		local path = t.root .. "/exp_1/tiny_d/training_info.json"
		local good = cli.read(path)
		local damaged = good:sub(1, #good // 2)
		cli.write(path, damaged)
		local result = t:run(runs.tiny(runs.write_result))
		assert.equal(0, result.status)
		assert.equal(damaged, cli.read(path))
		assert.is_truthy(result.err:find("safe in the spool", 1, true), result.err)
		local run = runs.journal(t)[2]
		assert.equal("spooled", run.state)
		cli.write(path, good)
		t:ok { "repair" }
		t:ok { "repair" }
		assert.equal(2, #entries(t))
		assert.equal(run.run_id, entries(t)[2].run_id)
		assert.equal("recorded", runs.journal(t)[2].state)
	end)
end)

describe("a training that goes on from its checkpoint", function()
	local t

	before_each(function()
		t = runs.tree()
	end)

	after_each(function()
		t:close()
	end)

	local function train(steps, options, more)
		return t:run(runs.example("stage1", "hrds", ("--max_steps %d --eval_steps 50 --save_steps 50 %s")
			:format(steps, more or ""), table.unpack(options or {})))
	end

	it("counts only the steps that ran", function()
		assert.equal(0, train(100).status)
		assert.equal(0, train(150, { "--into", "stage1_hrds" }).status)
		local info = t:info("stage1_hrds")
		assert.equal(100, info.training_history[1].steps)
		assert.equal(50, info.training_history[2].steps)
		assert.equal(150, info.total_steps)
		assert.matches("less 100 recorded before$", info.training_history[2].sources.steps)
	end)

	it("counts the steps of an attempt that failed before and is not recorded", function()
		assert.equal(1, train(100, {}, "--fail_at_step 70").status)
		assert.equal(0, train(100).status)
		assert.equal(100, t:info("stage1_hrds").total_steps)
	end)
end)

describe("a run that could not record itself", function()
	it("is settled by 'record --from', and by nothing a second time", function()
		local t = runs.tree()
		assert.equal(0, t:run(runs.tiny("true")).status) -- it left no result.json
		assert.equal("unrecorded", runs.journal(t)[1].state)
		local dir = t.root .. "/exp_1/tiny_d"
		cli.write(dir .. "/result.json", '{"steps":10,"metrics":{"f1":0.5}}')
		t:ok({ "record", "tiny", "-d", "d", "--from", dir })
		local run = runs.journal(t)[1]
		assert.equal("recorded", run.state)
		assert.equal(run.run_id, entries(t)[1].run_id)
		t:ok({ "verify" })
		t:ok({ "repair" })
		assert.equal(1, #entries(t))
		t:close()
	end)
end)

describe("a recorded run that another program has taken out of the record", function()
	local t, id

	before_each(function()
		t = runs.tree()
		t:ok(runs.tiny(runs.write_result))
		id = entries(t)[1].run_id
	end)
	after_each(function()
		t:close()
	end)

	local function is_gone()
		local result = t:json { "verify" }
		assert.equal(1, #result.findings)
		assert.equal("gone", result.findings[1].code)
		assert.matches("run " .. id:sub(1, 13):gsub("%p", "%%%0"), result.findings[1].message)
	end

	it("is named by verify where the program had read an older version", function()
		local older = t:read("exp_1/tiny_d/training_info.json")
		t:ok(runs.tiny(runs.write_result))
		t:ok { "verify" }
		id = entries(t)[2].run_id
		storage.replace(t.root .. "/exp_1/tiny_d/training_info.json", older)
		is_gone()
		t:ok(runs.tiny(runs.write_result))
		is_gone()
	end)
end)
