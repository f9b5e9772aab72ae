--- A real Slurm takes the node away from a training, and gives it back: one run, one entry.
local cli = require "support.cli"
local runs = require "support.runs"
local slurm = require "support.slurm"

-- Trains until it may end; each start says which it is.
local TRAIN = "echo start $SLURM_RESTART_COUNT; echo step 7; "
	.. 'touch "up-${SLURM_RESTART_COUNT:-0}"; while [ ! -e end ]; do sleep 0.05; done; ' .. runs.write_result

describe("under a real Slurm, a training", function()
	local s, t

	setup(function()
		s = slurm.start()
	end)
	teardown(function()
		if s then
			s:stop()
		end
	end)
	before_each(function()
		t = runs.tree()
	end)
	after_each(function()
		t:close()
	end)

	--- Submit a script that runs a training; the job's id.
	local function submit(command, options)
		local words = {}
		for i, word in ipairs(runs.tiny(command)) do
			words[i] = cli.quote(word)
		end
		cli.write(t.dir .. "/job", ("#!/bin/sh\n%s%s\n"):format(options.step and "srun -n1 " or "exec ",
			cli.thhost .. " " .. table.concat(words, " ")))
		local out, status = s:ask(("sbatch --parsable --requeue -p spare -n1 -D %s -o %s/out %s/job")
			:format(cli.quote(t.dir), cli.quote(t.dir), cli.quote(t.dir)))
		assert.equal(0, status, out)
		return out:match("%d+")
	end

	--- Start `n` of the job, which as a restart would wait two minutes: BeginTime. That is set when all of
	--- the start before is gone, and the limit allows for it.
	local function wait_for_start(n, id)
		local asked = n == 0
		cli.wait_for("start " .. n .. " of the training", function()
			if not asked and s:ask("squeue -h -o '%T %r' -j " .. id):find("PENDING BeginTime", 1, true) then
				-- Not in the second in which the start before was killed: slurmd refuses what may still be that.
				s:ask(("scontrol update JobId=%s StartTime=now+2"):format(id))
				asked = true
			end
			return cli.read(t.dir .. "/up-" .. n)
		end, 150)
		cli.wait_for("its pid in the journal", function()
			local run = runs.journal(t)[1]
			return run and run.child_pid and run.state == "running" and #(run.earlier_attempts or {}) == n
		end)
	end

	local function wait_for_entry()
		cli.write(t.dir .. "/end", "")
		runs.wait_for_state(t, "recorded")
		return t:info("tiny_d").training_history
	end

	local function outcomes(entry)
		local words = {}
		for i, attempt in ipairs(entry.attempts) do
			words[i] = attempt.outcome
			assert.is_true(i == 1 or entry.attempts[i - 1].end_time <= attempt.start_time)
		end
		return words
	end

	for name, step in pairs { ["in the batch script"] = false, ["in a step"] = true } do
		it("is taken up after 'scontrol requeue', " .. name, function()
			if not s then
				return
			end
			local id = submit(TRAIN, { step = step })
			wait_for_start(0, id)
			s:ask("scontrol requeue " .. id)
			wait_for_start(1, id)
			local entries = wait_for_entry()
			assert.equal(1, #entries)
			assert.equal(1, #runs.journal(t))
			assert.same({ "interrupted", "completed" }, outcomes(entries[1]))
			assert.equal("slurm:" .. id, runs.journal(t)[1].job_id)
			t:ok { "verify" }
		end)
	end

	it("is interrupted by a job that is preferred, also where it saves and ends with 0", function()
		if not s then
			return
		end
		local id = submit("trap 'echo saved; exit 0' TERM; " .. TRAIN, {})
		wait_for_start(0, id)
		local out, status = s:ask(("sbatch --parsable -p main -n4 -D %s -o /dev/null --wrap 'sleep 1'")
			:format(cli.quote(t.dir)))
		assert.equal(0, status, out)
		wait_for_start(1, id)
		s:ask("scontrol requeue " .. id)
		wait_for_start(2, id)
		local entries = wait_for_entry()
		assert.equal(1, #entries)
		assert.same({ "interrupted", "interrupted", "completed" }, outcomes(entries[1]))
		assert.equal(0, entries[1].attempts[1].exit_code) -- it had the time to save
		assert.is_truthy(t:ok({ "show", "tiny_d" }).out:find("3 attempts (2 interrupted)", 1, true))
	end)
end)
