--- `thhost run`: the training's own behaviour, its journal, and its entry.
local cjson = require "cjson"
local cli = require "support.cli"
local runs = require "support.runs"
local tree = require "support.tree"

describe("a training under thhost", function()
	local t

	before_each(function()
		t = runs.tree()
	end)

	after_each(function()
		t:close()
	end)

	it("writes the same bytes to the same streams", function()
		local out, err = t.dir .. "/want_out", t.dir .. "/want_err"
		local bytes = {}
		for i = 0, 255 do
			bytes[#bytes + 1] = string.char(i)
		end
		cli.write(out, table.concat(bytes):rep(2000))
		cli.write(err, "no newline at the end \27[2K\r" .. table.concat(bytes))
		local result = t:run { "run", "tiny", "-d", "d", "-q", "--no-record", "--", "sh", "-c",
			"cat want_out; cat want_err >&2" }
		assert.equal(0, result.status)
		assert.is_true(cli.read(out) == result.out)
		assert.is_true(cli.read(err) == result.err)
	end)

	for _, status in ipairs { 0, 1, 2, 70, 125, 126, 127, 128, 130, 255 } do
		it("ends with its status " .. status, function()
			assert.equal(status, t:run(runs.tiny("exit " .. status, "--no-record")).status)
		end)
	end

	it("fills in placeholders of the command where that is asked for", function()
		local words = { "run", "tiny", "-d", "d", "-q", "--no-record", "--base-model", "m", "--", "echo",
			"{stage}/{dataset} {base_model} {{x} {stage_dir}" }
		assert.equal("{stage}/{dataset} {base_model} {{x} {stage_dir}\n", t:ok(words).out)
		table.insert(words, 2, "--fill")
		assert.equal(("tiny/d m {x} %s/exp_1/tiny_d\n"):format(t.root), t:ok(words).out)
		words[#words] = "{colour}"
		assert.equal(2, t:run(words).status)
	end)

	it("has the id that it is given, and never that of another run", function()
		local id = "019abc00-0000-7000-8000-000000000001"
		t:ok(runs.tiny(runs.write_result, "--run-id", id))
		local before = t:snapshot()
		assert.equal(id, t:info("tiny_d").training_history[1].run_id)
		assert.equal(125, t:run(runs.tiny("true", "--run-id", id)).status)
		assert.equal("recorded", runs.journal(t)[1].state)
		assert.equal(1, #runs.journal(t))
		assert.equal(before, t:snapshot())
		assert.equal(2, t:run(runs.tiny("true", "--run-id", "7")).status)
	end)

	for signal, number in pairs { KILL = 9, TERM = 15, SEGV = 11, INT = 2 } do
		it("ends by its signal SIG" .. signal, function()
			assert.equal(128 + number,
				t:run(runs.tiny("kill -" .. signal .. " $$", "--no-record")).status)
			local run = runs.journal(t)[1]
			assert.equal("interrupted", run.state)
			assert.equal(number, run.signal)
		end)
	end

	it("cannot be found: 127, and not executed: 126", function()
		assert.equal(127, t:run { "run", "tiny", "-d", "d", "--", "no-such-command" }.status)
		assert.equal(126, t:run { "run", "tiny", "-d", "d", "--", "/etc/passwd" }.status)
		assert.equal("failed", runs.journal(t)[1].state)
	end)

	it("gets our stdin", function()
		local result = t:run(runs.tiny("cat", "--no-record"), { input = "one\ntwo" })
		assert.equal("one\ntwo", result.out)
	end)

	it("goes on when the reader of its output has gone", function()
		local first = cli.shell(("cd %s && %s run tiny -d d -q -- sh -c %s 2>err | head -1"):format(t.dir,
			cli.thhost, cli.quote("seq 100000; seq 100000; " .. runs.write_result)))
		assert.equal("1", first)
		runs.wait_for_state(t, "recorded")
		assert.equal(10, t:info("tiny_d").total_steps)
	end)

	it("that is over at once leaves thhost no later", function()
		for _ = 1, 15 do
			assert.equal(0, t:run({ "run", "tiny", "-d", "d", "-q", "--", "/bin/true" },
				{ prefix = "timeout 10" }).status)
		end
	end)

	for _, signal in ipairs { "TERM", "INT" } do
		it("gets a SIG" .. signal .. " that is sent to thhost", function()
			local wait = runs.start(t, runs.tiny("trap 'echo got it; exit 3' " .. signal
				.. "; echo step 7; while :; do sleep 0.05; done"))
			local run = runs.wait_for_state(t, "running")
			cli.wait_for("output", function()
				return cli.read(t.dir .. "/out"):find("step 7", 1, true)
			end)
			runs.kill(signal, run.pid)
			assert.equal(3, wait())
			assert.equal("step 7\ngot it\n", cli.read(t.dir .. "/out"))
			run = runs.journal(t)[1]
			assert.equal("interrupted", run.state)
			assert.equal(7, run.last_step)
			assert.is_nil(t:read("exp_1/tiny_d/training_info.json"))
		end)
	end

	it("is described on disk before it starts", function()
		local result = t:ok(runs.tiny(
			'cat "$THHOST_STAGE_DIR/.thhost/runs/$THHOST_RUN_ID.json"', "--no-record"))
		local intent = cjson.decode(result.out)
		assert.equal("tiny", intent.stage)
		assert.equal("d", intent.dataset)
		assert.is_truthy(intent.state == "starting" or intent.state == "running")
		assert.equal("completed", runs.journal(t)[1].state)
	end)

	it("survives the end of thhost, and counts as running until its own", function()
		runs.start(t, runs.tiny("echo step 4; while [ ! -e stop ]; do sleep 0.05; done"))
		local run = runs.wait_for_state(t, "running")
		runs.kill("KILL", run.pid)
		cli.wait_for("the end of thhost", function()
			return not runs.is_alive(run.pid)
		end)
		assert.is_true(runs.is_alive(run.child_pid))
		t:run { "show", "tiny_d" }
		assert.equal("running", runs.journal(t)[1].state)
		cli.write(t.dir .. "/stop", "")
		cli.wait_for("the end of the training", function()
			return not runs.is_alive(run.child_pid)
		end)
		t:run { "exp", "status" }
		assert.equal("interrupted", runs.journal(t)[1].state)
	end)

	it("that ended well is not lost when thhost is killed before it is recorded", function()
		local plugin = t.dir .. "/plugins/tiny.lua"
		cli.write(plugin, (runs.plugin:gsub("extract = function%(ctx%)", "%0 while true do end")))
		runs.start(t, runs.tiny(runs.write_result
			.. [[echo '{"final":{"metrics":{"told":2}}}' >>"$THHOST_EVENTS"]], "--note", "kept"))
		local run = cli.wait_for("the training's end", function()
			local run = runs.journal(t)[1]
			return run and run.exit_code == 0 and run
		end)
		assert.equal("running", run.state)
		runs.kill("KILL", run.pid)
		cli.wait_for("the end of thhost", function()
			return not runs.is_alive(run.pid)
		end)
		cli.write(plugin, runs.plugin)
		t:ok { "list" }
		assert.equal("unrecorded", runs.journal(t)[1].state)
		t:ok { "repair" }
		assert.equal("recorded", runs.journal(t)[1].state)
		local entry = t:info("tiny_d").training_history[1]
		assert.same({ 10, 0.5, 2, "kept", run.end_time },
			{ entry.steps, entry.metrics.f1, entry.metrics.told, entry.notes, entry.end_time })
	end)

	it("is refused where another one runs, which it names", function()
		local wait = runs.start(t, runs.tiny("while [ ! -e stop ]; do sleep 0.05; done", "--no-record"))
		local first = runs.wait_for_state(t, "running")
		local result = t:run(runs.tiny("echo never"))
		cli.write(t.dir .. "/stop", "")
		assert.equal(125, result.status)
		assert.equal("", result.out)
		assert.is_truthy(result.err:find(("pid %d "):format(first.pid), 1, true), result.err)
		assert.equal(0, wait())
	end)

	it("is refused where one runs that has lost its thhost", function()
		runs.start(t, runs.tiny("while [ ! -e stop ]; do sleep 0.05; done", "--no-record"))
		local first = runs.wait_for_state(t, "running")
		runs.kill("KILL", first.pid)
		cli.wait_for("the end of thhost", function()
			return not runs.is_alive(first.pid)
		end)
		local result = t:run(runs.tiny("echo never"))
		cli.write(t.dir .. "/stop", "")
		assert.equal(125, result.status)
		assert.is_truthy(result.err:find(("pid %d"):format(first.child_pid), 1, true), result.err)
		cli.wait_for("the end of the training", function()
			return not runs.is_alive(first.child_pid)
		end)
		assert.equal(0, t:run(runs.tiny("true", "--no-record")).status)
	end)

	it("that fails is in the journal with its last step, and in no history", function()
		local result = t:run(runs.example("stage3", "hrds", "--fail_at_step 90"))
		assert.equal(1, result.status)
		assert.is_nil(t:read("exp_1/parent_finder_hrds/training_info.json"))
		local run = runs.journal(t, "parent_finder_hrds")[1]
		assert.equal("failed", run.state)
		assert.equal(1, run.exit_code)
		assert.is_truthy(run.last_epoch or run.last_step)
		assert.is_truthy(t:run({ "show", "parent_finder_hrds" }).out:find("failed", 1, true))
		assert.is_truthy(t:run({ "exp", "status" }).out:find("failed", 1, true))
	end)

	it("leaves all it prints in the log", function()
		t:ok(runs.tiny("printf 'a\\0b'; printf 'c\\r\\n'", "--no-record"))
		local run = runs.journal(t)[1]
		assert.equal("a\0bc\r\n", t:read("exp_1/tiny_d/" .. run.log))
	end)

	it("leaves no log with run.log = no", function()
		t:ok(runs.tiny("echo hello", "--no-record"), { env = { THHOST_LOG = "no" } })
		assert.is_true(tree.is_null(runs.journal(t)[1].log))
		assert.equal("", cli.shell("ls " .. t.root .. "/exp_1/tiny_d/.thhost/logs"))
	end)
end)

describe("what a training under thhost is told", function()
	local t

	before_each(function()
		t = runs.tree("[stage tiny]\nbase_model = some/model\n")
	end)

	after_each(function()
		t:close()
	end)

	local function variables(options, ...)
		local result = t:ok(runs.tiny("env", "--no-record", ...), options)
		local found = {}
		for name, value in result.out:gmatch("([%w_]+)=([^\n]*)\n") do
			found[name] = value
		end
		return found
	end

	it("is who it is and where it works", function()
		local env = variables()
		local dir = cli.shell("realpath " .. t.root) .. "/exp_1"
		assert.equal(runs.journal(t)[1].run_id, env.THHOST_RUN_ID)
		assert.equal("tiny", env.THHOST_STAGE)
		assert.equal("d", env.THHOST_DATASET)
		assert.equal(dir .. "/tiny_d", env.THHOST_STAGE_DIR)
		assert.equal(dir, env.THHOST_EXP_DIR)
		assert.equal("some/model", env.THHOST_BASE_MODEL)
		assert.equal(dir .. "/tiny_d/.thhost/events/" .. env.THHOST_RUN_ID .. ".jsonl", env.THHOST_EVENTS)
		assert.equal("1", env.PYTHONUNBUFFERED)
	end)

	it("leaves PYTHONUNBUFFERED as it is", function()
		assert.equal("0", variables({ env = { PYTHONUNBUFFERED = "0" } }).PYTHONUNBUFFERED)
	end)

	it("is where to work for the other processes of a job, which leave no trace", function()
		for _, rank in ipairs { "RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK" } do
			local before = t:snapshot()
			local env = variables { env = { [rank] = "1" } }
			assert.equal(before, t:snapshot())
			assert.equal("tiny_d", env.THHOST_STAGE_DIR:match("[^/]+$"))
			assert.is_nil(env.THHOST_RUN_ID)
			assert.is_nil(env.THHOST_EVENTS)
		end
		assert.equal(7, t:run(runs.tiny("exit 7"), { env = { RANK = "3" } }).status)
	end)

	it("comes with the first process's record", function()
		t:ok(runs.tiny(runs.write_result), { env = { RANK = "0", SLURM_JOB_ID = "4711" } })
		assert.equal(10, t:info("tiny_d").total_steps)
		assert.equal("slurm:4711", runs.journal(t)[1].job_id)
	end)
end)

describe("the command of a run", function()
	local t

	after_each(function()
		t:close()
	end)

	local SHOW = [[command = printf '<%%s>' {stage} {dataset} {stage_dir} "{exp_dir}/a b" {{x} 'it''s "q" $HOME'
    {base_model}
]]

	local function configured(line)
		t = runs.tree("[stage tiny]\nbase_model = a b/c\n" .. line:gsub("%%%%", "%%"))
	end

	it("comes from the configuration, each placeholder within one argument", function()
		configured(SHOW)
		local dir = cli.shell("realpath " .. t.root) .. "/exp_1"
		local result = t:ok { "run", "tiny", "-d", "d", "--no-record" }
		assert.equal(("<tiny><d><%s/tiny_d><%s/a b><{x}><its \"q\" $HOME><a b/c>"):format(dir, dir),
			result.out)
	end)

	it("is refused with an unknown placeholder, before anything is made", function()
		configured("command = echo {sage_dir}\n")
		t:refused(2, "unknown placeholder {sage_dir}", { "run", "tiny", "-d", "new" })
		t:refused(2, "unknown placeholder {sage_dir}",
			{ "run", "tiny", "-d", "new", "--new-exp", "--exp", "exp_9" })
	end)

	it("is refused where there is none", function()
		configured("")
		t:refused(2, "no command to run for stage 'tiny'", { "run", "tiny", "-d", "d" })
	end)

	it("is refused without a data set, or with a name that leads elsewhere", function()
		configured("")
		t:refused(2, "which data set?", { "run", "tiny", "--", "true" })
		assert.equal(125, t:run({ "run", "tiny", "-d", "../d", "--", "true" }).status)
	end)

	it("cannot start without a tree or a stage: 125", function()
		configured("")
		t:refused(125, "unknown stage 'tine'", { "run", "tine", "-d", "d", "--", "true" })
		t:refused(125, "nowhere", { "run", "tiny", "-d", "d", "--root", "nowhere", "--", "true" })
	end)

	it("has its directory made, with a first experiment", function()
		configured("command = sh -c 'echo {stage_dir}; ls -d {stage_dir}'\n")
		t:ok { "run", "tiny", "-d", "d", "--no-record", "--new-exp", "--exp", "exp_2" }
		local fresh = cli.shell("cd " .. t.root .. " && readlink current")
		assert.equal("exp_2", fresh)
		cli.remove(t.root)
		cli.shell("mkdir " .. t.root)
		local result = t:ok { "run", "tiny", "-d", "d", "--no-record" }
		assert.equal(result.out:match("^(.-)\n"), result.out:match("\n(.-)\n"))
	end)

	it("is only shown with --dry-run, and nothing is written", function()
		configured(SHOW)
		for _, more in ipairs { {}, { "--new-exp" }, { "--exp", "exp_1" }, { "--new-exp", "--exp", "e" } } do
			local before = t:snapshot()
			local plan = t:json({ "run", "tiny", "-d", "new", "--dry-run", table.unpack(more) })
			assert.equal(before, t:snapshot())
			assert.equal("tiny_new", plan.directory:match("[^/]+$"))
			assert.equal("tiny", plan.command[3])
			assert.equal(plan.directory, plan.command[5])
		end
		cli.remove(t.root)
		cli.shell("mkdir " .. t.root)
		local before = t:snapshot()
		local plan = t:ok { "run", "tiny", "-d", "new", "--dry-run", "--", "echo", "a b" }
		assert.is_truthy(plan.out:find("echo 'a b'", 1, true))
		assert.equal(before, t:snapshot())
	end)

	it("begins with the model and the history of --init-from", function()
		configured("command = sh -c 'echo {base_model}; " .. runs.write_result
			:gsub("'", "'\\''"):gsub("{", "{{") .. "'\n")
		t:ok { "run", "tiny", "-d", "a" }
		local result = t:ok { "run", "tiny", "-d", "b", "--init-from", "a" }
		assert.equal(cli.shell("realpath " .. t.root) .. "/exp_1/tiny_a/model.bin\n", result.out)
		local info = t:info("tiny_b")
		assert.equal(2, #info.training_history)
		assert.equal("exp_1/tiny_a", info.training_history[1].inherited_from)
		assert.equal(20, info.total_steps)
		assert.equal("exp_1/tiny_a", info.parents[1].ref)
		assert.equal("continues", info.parents[1].relation)
	end)

	it("goes on in place with --into", function()
		configured("")
		t:ok(runs.tiny(runs.write_result))
		t:ok { "run", "tiny", "-d", "e", "--into", "tiny_d", "--", "sh", "-c", runs.write_result }
		local info = t:info("tiny_d")
		assert.equal(20, info.total_steps)
		assert.equal("e", info.last_dataset)
	end)
end)
