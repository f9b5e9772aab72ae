--- A training that Slurm has put back into the queue: the same job, begun again, is one run and one entry.
--- Here the job is made of SLURM_JOB_ID and SLURM_RESTART_COUNT; slurm_requeue_spec.lua has a real one.
local cjson = require "cjson"
local cli = require "support.cli"
local runs = require "support.runs"

local ID = "0190b0a0-0000-7000-8000-000000000001"
local NAME = "tiny_d"

-- What a training is when Slurm kills all of the job: its thhost first, then itself.
local KILLED = 'echo "step 5"; until grep -q \'"child_pid": [0-9]\' '
	.. '"$THHOST_STAGE_DIR"/.thhost/runs/$THHOST_RUN_ID.json; do sleep 0.02; done; kill -9 $PPID; kill -9 $$'

describe("a job that is restarted", function()
	local t

	before_each(function()
		t = runs.tree()
	end)
	after_each(function()
		t:close()
	end)

	--- Run as the n-th start of a job.
	local function start(restarts, command, words, options)
		local args = runs.tiny(command, table.unpack(words or {}))
		options = options or {}
		options.env = options.env or {}
		options.env.SLURM_JOB_ID = options.env.SLURM_JOB_ID or "4711"
		options.env.SLURM_RESTART_COUNT = restarts > 0 and tostring(restarts) or false
		return t:run(args, options)
	end

	local function entries()
		return t:info(NAME).training_history
	end

	local function log()
		local run = runs.journal(t)[1]
		return t:read("exp_1/tiny_d/" .. run.log)
	end

	it("goes on with the run that was killed with its thhost, and makes one entry of both", function()
		assert.equal(137, start(0, KILLED).status)
		local result = start(1, "echo 'step 9'; sleep 0.3; " .. runs.write_result)
		assert.equal(0, result.status)
		assert.is_truthy(result.err:find("in 2 attempts", 1, true))
		local all = runs.journal(t)
		assert.equal(1, #all)
		assert.equal("recorded", all[1].state)
		local entry = entries()[1]
		assert.equal(1, #entries())
		assert.equal(all[1].run_id, entry.run_id)
		assert.equal(2, #entry.attempts)
		local first, last = table.unpack(entry.attempts)
		assert.equal("interrupted", first.outcome)
		assert.is_nil(first.exit_code)
		assert.equal("completed", last.outcome)
		assert.equal(0, last.exit_code)
		assert.equal(9, last.last_step)
		assert.equal(cli.shell "hostname", last.host)
		assert.equal(first.start_time, entry.start_time)
		assert.equal(last.end_time, entry.end_time)
		assert.is_true(first.end_time <= last.start_time)
		t:ok { "verify" }
	end)

	it("keeps what the base model was when the first attempt began", function()
		cli.write(t.dir .. "/weights", "one\n")
		local words = { "--base-model", "weights" }
		start(0, "echo two >weights; exit 3", words)
		local first = runs.journal(t)[1].base_model_digest
		assert.equal("sha256:" .. cli.shell "echo one | sha256sum | cut -d ' ' -f 1", first)
		start(1, "exit 4", words)
		assert.equal(first, runs.journal(t)[1].base_model_digest)
		start(2, runs.write_result, words)
		assert.equal(3, #entries()[1].attempts)
		assert.equal(first, entries()[1].base_model_digest)
	end)

	it("keeps one log, with a line between the attempts", function()
		start(0, "echo one; exit 3")
		start(1, "echo two; " .. runs.write_result)
		assert.is_truthy(log():find("^one\r?\n\nthhost: attempt 2 begins here, [%d%-T:+]+: Slurm has restarted"
			.. " job 4711\ntwo\r?\n$"), log())
	end)

	it("counts each attempt, in order, and the time of the attempts alone", function()
		start(0, "echo 'step 1'; exit 3")
		start(1, "exit 4")
		start(2, runs.write_result)
		local attempts = entries()[1].attempts
		assert.same({ "failed", "failed", "completed" },
			{ attempts[1].outcome, attempts[2].outcome, attempts[3].outcome })
		assert.same({ 3, 4, 0 }, { attempts[1].exit_code, attempts[2].exit_code, attempts[3].exit_code })
		assert.equal(1, attempts[1].last_step)
		assert.is_nil(attempts[2].last_step) -- it said nothing itself
		assert.is_truthy(t:ok({ "show", NAME }).out:find("3 attempts", 1, true))
		local listed = cjson.decode(t:ok({ "list", "--json", "--runs", "--columns", "attempts" }).out)
		assert.is_truthy(cjson.encode(listed):find('"attempts":3', 1, true), cjson.encode(listed))
	end)

	it("is over where another machine has given it up, whatever its own file says still", function()
		assert.equal(137, start(0, KILLED).status)
		local id = runs.journal(t)[1].run_id
		t:write(("exp_1/tiny_d/.thhost/runs/%s.revoked"):format(id), "node17 is gone\n")
		local run = cjson.decode(t:ok({ "show", NAME, "--json" }).out).runs[1]
		assert.same({ "interrupted", "node17 is gone" }, { run.state, run.trouble })
	end)

	it("is listed with the attempts and the time of all, also where it has failed", function()
		for restarts = 0, 2 do
			assert.equal(3 + restarts, start(restarts, "sleep 0.2; exit " .. 3 + restarts).status)
		end
		local listed = cjson.decode(t:ok({ "list", "--json", "--runs", "--columns", "attempts,duration" }).out)
		local run = listed.runs[1]
		assert.equal(3, run.columns.attempts, cjson.encode(listed))
		assert.is_true(run.columns.duration >= 0.6, cjson.encode(listed))
		assert.equal(0, #cjson.decode(t:ok({ "list", "--json", "-F", "attempts > 0" }).out).models)
	end)

	it("does not count the time in the queue as training", function()
		start(0, "exit 1")
		start(1, runs.write_result)
		local path = t.root .. "/exp_1/tiny_d/training_info.json"
		local info = t:info(NAME)
		local entry = info.training_history[1]
		entry.start_time, entry.end_time = "2026-01-01T00:00:00+00:00", "2026-01-03T00:00:00+00:00"
		entry.attempts = {
			{ start_time = entry.start_time, end_time = "2026-01-01T01:00:00+00:00", outcome = "interrupted" },
			{ start_time = "2026-01-02T23:00:00+00:00", end_time = entry.end_time, outcome = "completed",
				wall_s = 1800 },
		}
		entry.environment.env.CUDA_VISIBLE_DEVICES = "0,1"
		info.created_at, info.last_updated = entry.start_time, entry.end_time
		entry.hyperparams = nil
		cli.write(path, cjson.encode(info))
		local side = cjson.decode(t:ok({ "compare", NAME, NAME, "--json" }).out)
		local text = cjson.encode(side)
		assert.is_truthy(text:find('"seconds":5400[^%d]'), text)
		assert.is_truthy(text:find('"gpu_seconds":10800[^%d]'), text)
	end)

	it("has no attempts where there was one only", function()
		start(0, runs.write_result)
		assert.is_nil(entries()[1].attempts)
		assert.is_nil(t:read("exp_1/tiny_d/training_info.json"):find("attempt"))
		assert.is_nil(runs.journal(t)[1].earlier_attempts)
	end)

	it("takes up the run that --run-id names", function()
		start(0, "exit 1", { "--run-id", ID })
		assert.equal(0, start(1, runs.write_result, { "--run-id", ID }).status)
		assert.equal(ID, entries()[1].run_id)
		assert.equal(2, #entries()[1].attempts)
	end)

	it("is refused a --run-id of another job, of this start, or of no restart", function()
		start(0, "exit 1", { "--run-id", ID })
		assert.equal(125, start(1, "touch ran", { "--run-id", ID }, { env = { SLURM_JOB_ID = "4712" } }).status)
		assert.equal(125, start(0, "touch ran", { "--run-id", ID }).status)
		start(1, "exit 1", { "--run-id", ID })
		assert.equal(125, start(1, "touch ran", { "--run-id", ID }).status)
		assert.is_nil(cli.read(t.dir .. "/ran"))
		assert.equal(1, #cjson.decode(t:ok({ "show", NAME, "--json" }).out).runs[1].earlier_attempts)
	end)

	it("begins a run of its own beside those of another job", function()
		start(0, "exit 1")
		start(1, runs.write_result, nil, { env = { SLURM_JOB_ID = "4712" } })
		assert.equal(2, #runs.journal(t))
		assert.is_nil(entries()[1].attempts)
	end)

	it("runs nothing where the run that --run-id names had been recorded", function()
		start(0, runs.write_result, { "--run-id", ID })
		local result = start(1, "touch ran", { "--run-id", ID })
		assert.equal(0, result.status)
		assert.is_truthy(result.err:find("nothing to run: run 0190b0a0-0000 of exp_1/tiny_d had ended well before"
			.. " its job was restarted, and is recorded", 1, true), result.err)
		assert.is_nil(cli.read(t.dir .. "/ran"))
		assert.equal(1, #entries())
	end)

	it("records what was spooled, instead of training again", function()
		start(0, runs.write_result, { "--run-id", ID })
		cli.write(t.root .. "/exp_1/tiny_d/training_info.json", "{")
		cli.shell(("rm -rf %s/exp_1/tiny_d/.thhost %s/exp_1/tiny_d/.training_info.json.bak"):format(t.root, t.root))
		start(0, runs.write_result, { "--run-id", ID })
		assert.equal("spooled", runs.journal(t)[1].state)
		os.remove(t.root .. "/exp_1/tiny_d/training_info.json")
		assert.equal(0, start(1, "touch ran", { "--run-id", ID }).status)
		assert.is_nil(cli.read(t.dir .. "/ran"))
		assert.equal(ID, entries()[1].run_id)
		assert.equal("recorded", runs.journal(t)[1].state)
	end)

	it("records what could not be read before, and says so where it still cannot", function()
		start(0, "true", { "--run-id", ID })
		assert.equal("unrecorded", runs.journal(t)[1].state)
		local result = start(1, "touch ran", { "--run-id", ID, "--strict" })
		assert.equal(125, result.status)
		assert.is_truthy(result.err:find("no result.json", 1, true), result.err)
		assert.equal(0, start(1, "touch ran", { "--run-id", ID }).status)
		cli.write(t.root .. "/exp_1/tiny_d/result.json", '{"steps":10,"metrics":{"f1":0.5}}')
		assert.equal(0, start(1, "touch ran", { "--run-id", ID, "--strict" }).status)
		assert.is_nil(cli.read(t.dir .. "/ran"))
		assert.equal(10, t:info(NAME).total_steps)
	end)

	it("trains a stage twice where its script does: what ended well is left", function()
		local one = "echo one; " .. runs.write_result
		start(0, one)
		start(0, "echo two; exit 1")
		start(1, one)
		start(1, "echo two; [ $SLURM_RESTART_COUNT = 0 ] || " .. runs.write_result)
		assert.equal(3, #entries())
		assert.is_nil(entries()[1].attempts)
		assert.is_nil(entries()[2].attempts)
		assert.equal(2, #entries()[3].attempts)
	end)

	it("takes up the run of the same command, and does not take up one of this start", function()
		start(0, "exit 5")
		start(0, "exit 6")
		start(1, "exit 5")
		start(1, "exit 5") -- the script tries again by itself
		local all = runs.journal(t)
		assert.equal(3, #all)
		local attempts = {}
		for i, run in ipairs(all) do
			attempts[i] = ("%d:%d"):format(run.exit_code, #(run.earlier_attempts or {}))
		end
		assert.same({ "5:1", "6:0", "5:0" }, attempts)
	end)

	it("closes a run of another host, which Slurm says is over", function()
		local words = "unshare --uts sh -c 'hostname node17; exec \"$@\"' -"
		if not os.execute("unshare --uts true 2>/dev/null") then
			return cli.skip "no UTS namespaces"
		end
		start(0, KILLED, nil, { prefix = words })
		assert.equal("running", runs.journal(t)[1].state)
		start(1, runs.write_result)
		local attempts = entries()[1].attempts
		assert.equal("node17", attempts[1].host)
		assert.equal("interrupted", attempts[1].outcome)
		assert.equal(cli.shell "hostname", attempts[2].host)
	end)

	it("does not begin beside a training that outlived its job on this host", function()
		start(0, "touch stay; until [ -n \"$(find . -name '*.json' | xargs grep -l '\"child_pid\": [0-9]')\" ]; do"
			.. " sleep 0.02; done; kill -9 $PPID; while [ -e stay ]; do sleep 0.05; done", { "--run-id", ID })
		local result = start(1, "touch ran", { "--run-id", ID })
		os.remove(t.dir .. "/stay")
		assert.equal(125, result.status)
		assert.is_truthy(result.err:find("its training has not ended", 1, true), result.err)
		assert.is_nil(cli.read(t.dir .. "/ran"))
	end)

	it("knows all attempts where it is killed before the training starts", function()
		start(0, "exit 1")
		-- The plugin is asked before, so the first thing after the intent is the log: a FIFO is none.
		local run = runs.journal(t)[1]
		local path = t.root .. "/exp_1/tiny_d/.thhost/events/" .. run.run_id .. ".jsonl"
		os.remove(path)
		cli.shell("mkfifo " .. path)
		assert.equal(125, start(1, "touch ran").status)
		os.remove(path)
		assert.equal(1, #runs.journal(t)[1].earlier_attempts)
		assert.equal(0, start(2, runs.write_result).status)
		local attempts = entries()[1].attempts
		assert.equal(3, #attempts)
		assert.same({ "failed", "failed", "completed" },
			{ attempts[1].outcome, attempts[2].outcome, attempts[3].outcome })
		assert.is_nil(attempts[2].exit_code)
		assert.is_nil(cli.read(t.dir .. "/ran"))
	end)

	it("says all attempts where 'repair' records it", function()
		start(0, "exit 1")
		start(1, "true")
		assert.equal("unrecorded", runs.journal(t)[1].state)
		cli.write(t.root .. "/exp_1/tiny_d/result.json", '{"steps":10,"metrics":{"f1":0.5}}')
		t:ok { "repair" }
		local entry = entries()[1]
		assert.same({ "failed", "completed" }, { entry.attempts[1].outcome, entry.attempts[2].outcome })
		assert.equal(entry.attempts[1].start_time, entry.start_time)
	end)

	it("is interrupted where it ends with 0 because it was told to end", function()
		local told = "trap 'echo saved; exit 0' TERM; echo > up; while :; do sleep 0.05; done"
		-- The shell becomes thhost, and keeps its pid.
		local prefix = "sh -c '(until [ -e up ]; do sleep 0.02; done; kill -TERM $$) & exec \"$@\"' -"
		local function run_told(env)
			os.remove(t.dir .. "/up")
			return t:run(runs.tiny(runs.write_result .. told), { prefix = prefix, env = env })
		end
		local result = run_told { SLURM_JOB_ID = "4711" }
		assert.equal(0, result.status)
		assert.is_truthy(result.err:find("interrupted (Slurm told the job to end)", 1, true), result.err)
		assert.equal("interrupted", runs.journal(t)[1].state)
		assert.is_nil(t:read("exp_1/tiny_d/training_info.json"))
		assert.equal(0, start(1, runs.write_result).status)
		local first = entries()[1].attempts[1]
		assert.same({ "interrupted", 0 }, { first.outcome, first.exit_code })
		-- Elsewhere that is how somebody ends a training whose result is wanted.
		run_told { SLURM_JOB_ID = false }
		assert.equal(2, #entries())
	end)

	it("is checked by 'verify': attempts are objects with times and an outcome", function()
		start(0, "exit 1")
		start(1, runs.write_result)
		local path = t.root .. "/exp_1/tiny_d/training_info.json"
		local text = cli.read(path)
		cli.write(path, (text:gsub('"outcome": "failed"', '"outcome": 1')))
		assert.is_truthy(t:run({ "verify" }).out:find("attempts[0].outcome' must be a string", 1, true))
		cli.write(path, (text:gsub('"attempts": %b[]', '"attempts": [1]')))
		assert.is_truthy(t:run({ "verify" }).out:find("attempts[0]' must be an object", 1, true))
	end)
end)
