--- thhost batch run --executor slurm where a site limits what may be in the queue; --fail-fast with a queue;
--- and the times of what nobody watched.
local cjson = require "cjson"

local batches = require "support.batches"
local cli = require "support.cli"
local runs = require "support.runs"
local slurm = require "support.slurm"
local slurm_batch = require "support.slurm_batch"

local s -- of each describe()
local t

local TINY, SLOW = slurm_batch.TINY, slurm_batch.SLOW
local env, waiting, tree, wrap = slurm_batch.env, slurm_batch.waiting, slurm_batch.tree, slurm_batch.wrap
local run, start, states = slurm_batch.run, slurm_batch.start, slurm_batch.states
local status_of, job_of, number_of = slurm_batch.status_of, slurm_batch.job_of, slurm_batch.number_of
local entries, said = slurm_batch.entries, slurm_batch.said
local wait_for_state = slurm_batch.wait_for_state

-- Of the account 'tight' two jobs may be in the queue, and of nobody one that wants more than three CPUs.
local TIGHT = TINY .. "account = tight\n"
local WHY = "waits for room in the queue (AssocMaxSubmitJobLimit)"

local function set_limits()
	for _, command in ipairs {
		"add account tight", "add user root account=tight", "modify user root where account=tight set MaxSubmitJobs=2",
		"modify qos normal set MaxTRESPerJob=cpu=3 Flags=DenyOnLimit",
	} do
		s:ask("sacctmgr -i " .. command)
	end
	for options, words in pairs {
		["-A root -n 4"] = "QOSMaxCpuPerJobLimit", ["-A tight --array=0-2"] = "AssocMaxSubmitJobLimit",
	} do
		cli.wait_for(words, function() -- the controller is told a moment later
			return s:ask(("sbatch --hold %s --wrap true -o /dev/null"):format(options)):find(words, 1, true)
		end, SLOW)
	end
	s:ask("scancel -u root")
end

local function open(options, prepare)
	setup(function()
		s = slurm.start(options)
		if s then
			slurm_batch.use(s)
			prepare()
		end
	end)

	teardown(function()
		if s then
			s:stop()
		end
	end)

	before_each(function()
		if not s then
			pending("no Slurm")
		end
	end)

	after_each(function()
		if t then
			t:close()
			t = nil
		end
	end)
end

--- How many jobs have this state and this reason.
local function count(state, why)
	local n = 0
	for _, job in ipairs(status_of().jobs) do
		n = n + (job.state == state and job.why == why and 1 or 0)
	end
	return n
end

local function wait_for_room_wanted(n)
	cli.wait_for(n .. " jobs to wait for room", function()
		local ok, found = pcall(count, "waiting", WHY) -- there may be no batch yet
		return ok and found == n
	end, SLOW)
end

--- Each job of a matrix was done once, at the first attempt.
local function check_once(names)
	for name in names:gmatch("%w+") do
		assert.same({ name, 1, 1, 1 }, { name, entries("tiny_" .. name), #runs.journal(t, "tiny_" .. name),
			job_of("m-" .. name).attempts })
	end
end

describe("batch run --executor slurm, where a limit counts the jobs in the queue", function()
	open({ accounting = true, more = "AccountingStorageEnforce=associations,limits,qos" }, set_limits)

	it("hands over in pieces what there is room for, and the rest as room is made", function()
		t = tree(TIGHT .. "[matrix m]\neach.dataset = u, v, w, x, y\n" .. waiting("go")
			.. "[job b]\ndataset = b\nafter = m\n[job free]\ndataset = f\naccount = root\n")
		local wait = start("--needed")
		wait_for_room_wanted(3)
		wait_for_state("tiny_f", "recorded") -- a limit of one account stands in nobody else's way
		assert.same({ "waiting" }, { job_of("b").state })
		assert.matches("m%-y +waiting .*" .. WHY:gsub("[()]", "%%%0"), t:ok({ "batch", "status", "b" }, env()).out)
		said("the queue has no room now (AssocMaxSubmitJobLimit); what is left waits for it")
		cli.write(t.dir .. "/go", "")
		assert.equal(0, wait())
		assert.equal("m-u done, m-v done, m-w done, m-x done, m-y done, b done, free done", states(status_of()))
		check_once("u v w x y")
		for _, once in ipairs { "no room now", "m%-y is needed" } do
			assert.equal(1, select(2, cli.read(t.dir .. "/err"):gsub(once, "")))
		end
		t:ok { "verify" }
	end)

	it("does no job twice, killed while it waits for room or right after a refusal", function()
		t = tree(TIGHT .. "[matrix m]\neach.dataset = u, v, w, x\n" .. waiting("go"))
		local wait = start()
		wait_for_room_wanted(2)
		runs.kill("KILL", batches.holder(t))
		wait()
		local killing = wrap("sbatch", '"$real" "$@"; kill -KILL $PPID')
		assert.equal(137, t:run({ "batch", "run", "b.ini", "--resume" }, killing).status)
		cli.write(t.dir .. "/go", "")
		assert.equal("m-u done, m-v done, m-w done, m-x done", (run(0, "--resume")))
		check_once("u v w x")
	end)

	it("says with --detach what is not handed over, and --resume hands over the rest", function()
		t = tree(TIGHT .. "[matrix m]\neach.dataset = u, v, w\n" .. waiting("go") .. "[job b]\ndataset = b\nafter = m\n")
		local found, err = run(1, "--detach")
		assert.equal("m-u running, m-v running, m-w waiting, b waiting", found)
		assert.matches("not handed over: 2 of 4 jobs; the first one " .. WHY, err, 1, true)
		assert.matches("--resume' hands them over as room is made", err, 1, true)
		assert.equal("m-u running, m-v running, m-w waiting, b waiting", (run(1, "--resume", "--detach")))
		cli.write(t.dir .. "/go", "")
		wait_for_state("tiny_u", "recorded")
		wait_for_state("tiny_v", "recorded")
		assert.equal("m-u done, m-v done, m-w done, b done", (run(0, "--resume")))
		check_once("u v w")
	end)

	it("ends no more of them at once than -j says, in however many pieces they go", function()
		t = tree(TIGHT .. "[matrix m]\neach.dataset = u, v, w, x\nshell = yes\n"
			.. "command = mkdir alone || touch two; sh train.sh; sleep 0.2; rmdir alone\n")
		assert.equal("m-u done, m-v done, m-w done, m-x done", (run(0, "-j", "1")))
		assert.is_nil(cli.read(t.dir .. "/two"))
	end)

	it("is interrupted while it waits, or cancelled", function()
		t = tree(TIGHT .. "[matrix m]\neach.dataset = u, v, w\n" .. waiting("go"))
		local wait = start()
		wait_for_room_wanted(1)
		runs.kill("INT", batches.holder(t))
		assert.equal(130, wait())
		assert.equal("queued", status_of().state)
		wait = start("--resume")
		said("the queue has no room now")
		t:ok({ "batch", "cancel", "b" }, env())
		assert.equal(1, wait())
		assert.equal("m-u cancelled, m-v cancelled, m-w cancelled", states(status_of()))
	end)

	it("does not wait for a job that is too large for ever", function()
		t = tree(TINY .. "[job a]\ndataset = a\nsbatch = --ntasks=4\n[job d]\ndataset = d\n")
		assert.equal("a failed, d done", (run(1)))
		assert.matches("b.ini:6: sbatch: QOSMaxCpuPerJobLimit; Batch job submission failed: Job violates",
			job_of("a").why, 1, true)
	end)

	it("takes out of the queue what has not begun when one fails, with --fail-fast", function()
		t = tree(TINY .. "[matrix m]\neach.dataset = u, v, w, x\n" .. waiting("go") .. "[job b]\ndataset = b\nafter = m-u\n"
			.. "[job f]\ndataset = f\ncommand = sh -c 'until [ -e fail ]; do sleep 0.02; done; exit 3'\n"
			.. "[job c]\ndataset = c\nafter = f\n")
		local wait = start("-j", "2", "--fail-fast")
		local array = number_of("m-u"):match("^%d+")
		wait_for_state("tiny_u", "running")
		wait_for_state("tiny_v", "running")
		cli.write(t.dir .. "/fail", "")
		cli.wait_for("nothing else to be there", function()
			return s:ask("squeue -h --array -o '%i %T' | sort") == ("%s_0 RUNNING\n%s_1 RUNNING\n"):format(array, array)
		end, SLOW)
		cli.write(t.dir .. "/go", "")
		assert.equal(1, wait())
		local left = "m-w waiting, m-x waiting, b waiting, f failed, c waiting"
		assert.equal("m-u done, m-v done, " .. left, states(status_of()))
		for _, name in ipairs { "m-w", "m-x", "b", "c" } do
			local job = job_of(name)
			assert.same({ "not begun: another job had failed", 0 }, { job.why, job.attempts })
			assert.same({ cjson.null, cjson.null }, { job.executor_id, job.start_time })
		end
		assert.same({}, runs.journal(t, "tiny_w"))
		assert.equal("stopped", status_of().state)
		local done = "m-u done, m-v done, m-w done, m-x done, b done, f failed, c blocked"
		assert.equal(done, (run(1, "--resume", "--fail-fast")))
		check_once("u v w x")
	end)

	it("tells the times of the run itself where nobody watched", function()
		t = tree(TINY .. "[job a]\ndataset = a\n[job b]\ndataset = b\ncommand = sh -c 'exit 3'\n")
		run(0, "--detach")
		wait_for_state("tiny_a", "recorded")
		wait_for_state("tiny_b", "failed")
		local found = t:json({ "batch", "run", "b.ini", "--resume" }, 1, env { THHOST_TEST_NOW = "2000000000" })
		assert.equal("a done, b failed", states(found))
		for i, name in ipairs { "tiny_a", "tiny_b" } do
			local ran = runs.journal(t, name)[1]
			assert.same({ ran.start_time, ran.end_time }, { found.jobs[i].start_time, found.jobs[i].end_time })
		end
	end)
end)

describe("batch run --executor slurm, where the queue itself is full", function()
	open({ more = "MaxJobCount=4\nMaxArraySize=3", min_job_age = 2 }, function() end)

	it("does not wait with sbatch, which tries again for minutes, but hands over what there is room for", function()
		t = tree(TINY .. "[matrix m]\neach.dataset = u, v, w, x\n" .. waiting("go"))
		local wait = start()
		said("the queue has no room now (Slurm temporarily unable to accept job, sleeping and retrying)")
		cli.wait_for("three of them in the queue", function()
			return states(status_of()) == "m-u running, m-v running, m-w running, m-x waiting"
		end, 10)
		cli.write(t.dir .. "/go", "")
		assert.equal(0, wait())
		check_once("u v w x")
	end)
end)
