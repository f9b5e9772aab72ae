--- thhost batch run --executor slurm: order, arrays, resources, ends of every kind; killed, left and resumed.
local batches = require "support.batches"
local cli = require "support.cli"
local runs = require "support.runs"
local slurm = require "support.slurm"
local slurm_batch = require "support.slurm_batch"

local s -- of the whole file
local t

local TRAIN, TINY, SLOW = slurm_batch.TRAIN, slurm_batch.TINY, slurm_batch.SLOW
local env, waiting, tree, wrap = slurm_batch.env, slurm_batch.waiting, slurm_batch.tree, slurm_batch.wrap
local run, start, states = slurm_batch.run, slurm_batch.start, slurm_batch.states
local status_of, job_of, number_of = slurm_batch.status_of, slurm_batch.job_of, slurm_batch.number_of
local entries, submissions, said = slurm_batch.entries, slurm_batch.submissions, slurm_batch.said
local wait_for_file, wait_for_state = slurm_batch.wait_for_file, slurm_batch.wait_for_state

describe("batch run --executor slurm", function()
	setup(function()
		s = slurm.start()
		slurm_batch.use(s)
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

	it("hands everything over at once, in its order, a matrix as one array", function()
		t = tree(TINY .. "[job c]\ndataset = c\nafter = m\n[matrix m]\neach.dataset = x, y, z\nafter = a\n"
			.. "[job a]\ndataset = a\n" .. waiting("go"))
		local wait = start("-j", "2")
		local first, last = number_of("a"), number_of("c")
		local array = number_of("m-x"):match("^(%d+)_0$")
		assert.equal(array .. "_2", number_of("m-z"))
		assert.matches("afterok:" .. first, s:ask(("squeue -h -j %s -o %%E"):format(array)), 1, true)
		assert.matches(array, s:ask(("squeue -h -j %s -o %%E"):format(last)), 1, true)
		assert.matches("ArrayTaskThrottle=2", s:ask("scontrol show job " .. array), 1, true)
		assert.matches("Dependency", s:ask(("squeue -h -j %s -o %%r"):format(last)))
		cli.write(t.dir .. "/go", "")
		assert.equal(0, wait(), cli.read(t.dir .. "/err"))
		local status = status_of()
		assert.equal("c done, m-x done, m-y done, m-z done, a done", states(status))
		assert.equal(3, submissions())
		assert.equal(1, entries("tiny_y"))
		assert.equal("slurm:" .. first, job_of("a").executor_id)
		t:ok { "verify" }
	end)

	it("asks for the resources that the file says", function()
		t = tree(TINY .. "[job a]\ndataset = a\npartition = spare\ngpus = 1\ntimeout = 61s\nenv.COLOUR = dark\n"
			.. "sbatch = --mem=300M\n --cpus-per-task=2 --comment=free\n[job b]\ndataset = b\n")
		assert.matches("b.ini:12: 'sbatch'", t:run({ "batch", "run", "b.ini", "--dry-run" }, env()).err, 1, true)
		batches.write(t, "b.ini", (cli.read(t.dir .. "/b.ini"):gsub(" %-%-comment=free", " --nice=7"))
			.. "time = 1-00:00:00\ngres = gpu:2\n")
		batches.write(t, "train.sh", "env >env.$THHOST_JOB\nscontrol show job $SLURM_JOB_ID >job.$THHOST_JOB\n" .. TRAIN)
		assert.equal("a done, b done", (function()
			local found = t:json({ "batch", "run", "b.ini" }, 0, env { SLURM_ARRAY_TASK_ID = "1", SBATCH_WAIT = "1",
				SLURM_PROCID = "3", CUDA_VISIBLE_DEVICES = "7" })
			return states(found)
		end)())
		local job = cli.read(t.dir .. "/job.a")
		for _, text in ipairs { "Partition=spare", "TimeLimit=00:02:00", "300M", "CPUs/Task=2", "gpu:1", "Nice=7" } do
			assert.matches(text, job, 1, true)
		end
		assert.matches("TimeLimit=1-00:00:00", cli.read(t.dir .. "/job.b"), 1, true)
		local a, b = cli.read(t.dir .. "/env.a"), cli.read(t.dir .. "/env.b")
		assert.matches("\nCOLOUR=dark\n", a, 1, true)
		assert.matches("\nTHHOST_JOB=a\n", "\n" .. a, 1, true)
		assert.matches("CUDA_VISIBLE_DEVICES=[01]\n", a)
		assert.matches("CUDA_VISIBLE_DEVICES=0,1\n", b)
		assert.is_nil(("\n" .. a):find("\nSLURM_ARRAY_TASK_ID=", 1, true))
	end)

	for _, case in ipairs {
		{ "sbatch = --output=x", "'--output=x' is for thhost to say" },
		{ "sbatch = --arr=1-3", "'--arr=1-3' is for thhost to say" },
		{ "sbatch = -p main", "takes options such as --mem=8G, not '-p'" },
		{ "sbatch = --mem 8G", "takes options such as --mem=8G, not '8G'" },
		{ "time = soon", "'time' must be a time" },
	} do
		it("refuses '" .. case[1] .. "'", function()
			t = tree(TINY .. "[job a]\ndataset = a\n" .. case[1] .. "\n")
			local result = t:run({ "batch", "run", "b.ini" }, env())
			assert.equal(5, result.status)
			assert.matches("b.ini:8: 'time'", result.err:gsub("'sbatch'", "'time'"), 1, true)
			assert.matches(case[2], result.err, 1, true)
		end)
	end

	it("says so before it makes anything where there is no Slurm", function()
		t = tree(TINY .. "[job a]\ndataset = a\n")
		local result = t:run({ "batch", "run", "b.ini" }, { env = { PATH = "/nonexistent" } })
		assert.equal(1, result.status)
		assert.matches("no sbatch in PATH", result.err, 1, true)
		assert.same({}, t:json({ "batch", "status" }).batches)
	end)

	it("tells in sbatch's words why a job was refused, and blocks what waits for it", function()
		t = tree(TINY .. "[job a]\ndataset = a\npartition = nowhere\nretries = 2\n"
			.. "[job b]\ndataset = b\nafter = a\n[job d]\ndataset = d\n")
		assert.equal("a failed, b blocked, d done", (run(1)))
		assert.matches("b.ini:6: sbatch: invalid partition specified: nowhere", job_of("a").why, 1, true)
		assert.equal(1, job_of("a").attempts)
	end)

	it("tries again what failed, and with it what waits for it", function()
		t = tree(TINY .. "[job a]\ndataset = a\nretries = 1\n"
			.. "command = sh -c 'test -e go && exec sh train.sh; touch go; exit 3'\n"
			.. "[job b]\ndataset = b\nafter = a\n[job c]\ndataset = c\ncommand = sh -c 'exit 4'\n"
			.. "[job d]\ndataset = d\nafter = c\n")
		assert.equal("a done, b done, c failed, d blocked", (run(1)))
		assert.same({ 2, 1 }, { job_of("a").attempts, job_of("a").failures })
		assert.same({ 1, 0 }, { job_of("b").attempts, job_of("b").failures })
		assert.same({ "exit status 4", 4 }, { job_of("c").why, job_of("c").exit_code })
		assert.same({ 1, 1 }, { entries("tiny_a"), entries("tiny_b") })
	end)

	it("tells the time limit, out of memory and a cancelled job from a failure", function()
		t = tree(TINY .. "[job oom]\ndataset = a\nsbatch = --mem=50\ncommand = python3 -c 'x = b\"x\" * 500000000'\n"
			.. "[job cancelled]\ndataset = b\ncommand = sh -c 'echo up >c.up; sleep 100'\n"
			.. "[job b]\ndataset = d\nafter = cancelled\n"
			.. "[job long]\ndataset = c\ntimeout = 2m\ncommand = sh -c 'echo up >l.up; sleep 1000'\n")
		local wait = start()
		wait_for_file("l.up")
		s:ask(("scontrol update JobId=%s EndTime=now+1"):format(number_of("long"))) -- a limit has whole minutes
		wait_for_file("c.up")
		s:ask("scancel " .. number_of("cancelled"))
		assert.equal(1, wait())
		assert.equal("oom failed, cancelled cancelled, b blocked, long failed", states(status_of()))
		assert.matches("^out of memory", job_of("oom").why)
		assert.equal("cancelled in Slurm", job_of("cancelled").why)
		assert.equal("it took longer than its time limit", job_of("long").why)
		assert.equal("interrupted", runs.journal(t, "tiny_c")[1].state)
	end)

	for state, want in pairs {
		NODE_FAIL = { "failed", "its node failed", 1 },
		BOOT_FAIL = { "failed", "its node did not start", 1 },
		DEADLINE = { "failed", "its deadline passed", 1 },
	} do
		it("takes Slurm's word where a node is gone: " .. state, function()
			-- As if the job had been on another host, and everybody there fell silent.
			t = tree(TINY .. "[job a]\ndataset = a\n" .. waiting("go"))
			local gone = wrap("squeue", ('"$real" "$@" | { [ -e gone ] && sed "s/|RUNNING|/|%s|/" || cat; }'):format(state))
			os.remove(t.dir .. "/status")
			local wait = runs.start(t, { "batch", "run", "b.ini" }, gone.env)
			wait_for_file("go.up")
			wait_for_state("tiny_a", "running")
			local path = cli.shell(("ls %s/exp_1/tiny_a/.thhost/runs/*.json"):format(t.root))
			local pid = cli.read(path):match('"pid": (%d+)')
			cli.shell("kill -STOP " .. pid)
			cli.write(path, (cli.read(path):gsub('"host": "[^"]*"', '"host": "elsewhere"', 1)))
			cli.write(t.dir .. "/gone", "")
			assert.equal(want[3], wait())
			assert.same({ want[1], want[2] }, { job_of("a").state, job_of("a").why })
			local left = runs.journal(t, "tiny_a")[1]
			assert.same({ "interrupted", "given up: " .. want[2] }, { left.state, left.trouble })
			cli.shell("kill -KILL " .. pid)
			cli.write(t.dir .. "/go", "")
		end)
	end

	it("begins once more what was preempted and not put back", function()
		t = tree(TINY .. "[job a]\ndataset = a\n"
			.. "command = sh -c 'test -e go && exec sh train.sh; touch go; kill -KILL $PPID'\n")
		local preempted = wrap("squeue", '"$real" "$@" | sed "s/|FAILED|/|PREEMPTED|/"')
		assert.equal("a done", states((t:json({ "batch", "run", "b.ini" }, 0, preempted))))
		assert.same({ 2, 0, 1 }, { job_of("a").attempts, job_of("a").failures, entries("tiny_a") })
	end)

	it("waits for a job that Slurm has put back into its queue, which makes one entry", function()
		t = tree(TINY .. "[job a]\ndataset = a\n" .. waiting("go"))
		local wait = start()
		wait_for_file("go.up")
		local number = number_of("a")
		s:ask("scontrol requeue " .. number)
		cli.wait_for("it to wait again", function()
			return tostring(job_of("a").queue):find("pending", 1, true)
		end, SLOW)
		assert.equal("interrupted", runs.journal(t, "tiny_a")[1].state)
		cli.wait_for("the start before to be gone", function() -- only then it has a time to begin
			return s:ask("squeue -h -o '%T %r' -j " .. number):find("PENDING BeginTime", 1, true)
		end, SLOW)
		-- Not in the second in which the first was killed: slurmd refuses what may still be that one.
		s:ask(("scontrol update JobId=%s StartTime=now+2"):format(number))
		cli.write(t.dir .. "/go", "")
		assert.equal(0, wait(), cli.read(t.dir .. "/err"))
		assert.same({ 1, 0, "slurm:" .. number }, { job_of("a").attempts, job_of("a").failures, job_of("a").executor_id })
		assert.same({ 1, 1 }, { entries("tiny_a"), #runs.journal(t, "tiny_a") })
	end)

	it("is left by an interrupt, and recorded without anybody; resumed it submits nothing", function()
		t = tree(TINY .. "[job a]\ndataset = a\n" .. waiting("go") .. "[job b]\ndataset = b\ninit_from = a\n")
		local wait = start()
		number_of("b")
		wait_for_file("go.up")
		runs.kill("INT", batches.holder(t))
		assert.equal(130, wait())
		assert.matches("not watched any more; 2 jobs are left", cli.read(t.dir .. "/err"), 1, true)
		assert.equal("queued", status_of().state)
		wait = start("--resume")
		said("a handed over")
		runs.kill("KILL", batches.holder(t))
		wait()
		cli.write(t.dir .. "/go", "")
		wait_for_state("tiny_b", "recorded")
		local never = wrap("sbatch", "echo no >&2; exit 1")
		assert.equal("a done, b done", states((t:json({ "batch", "run", "b.ini", "--resume" }, 0, never))))
		assert.same({ 1, 2 }, { entries("tiny_a"), entries("tiny_b") })
	end)

	it("hands over and leaves with --detach", function()
		t = tree(TINY .. "[job r]\ndataset = r\nsteps = 3\n[job a]\ndataset = a\ninit_from = r\n" .. waiting("go")
			.. "[job b]\ndataset = b\nafter = a\n")
		local found = run(0, "--detach")
		assert.equal("r done, a running, b running", found)
		assert.equal(2, submissions())
		assert.equal(2, t:run({ "batch", "run", "b.ini", "--detach", "--executor", "local" }).status)
		local result = t:run({ "batch", "run", "b.ini", "--resume", "--executor", "local" }, env())
		assert.matches("are in Slurm's queue", result.err, 1, true)
		cli.write(t.dir .. "/go", "")
		assert.equal("r done, a done, b done", (run(0, "--resume")))
	end)

	it("is cancelled with what is in the queue, watched or not", function()
		for _, is_watched in ipairs { true, false } do
			t = tree(TINY .. "[matrix m]\neach.dataset = x, y\n" .. waiting("go") .. "[job b]\ndataset = b\nafter = m\n")
			local wait = is_watched and start() or nil
			if not is_watched then
				run(0, "--detach")
			end
			local array = number_of("m-x"):match("%d+")
			number_of("b")
			wait_for_state("tiny_x", "running")
			t:ok({ "batch", "cancel", "b" }, env())
			assert.equal(1, wait and wait() or 1)
			assert.equal("m-x cancelled, m-y cancelled, b cancelled", states(status_of()))
			assert.equal("interrupted", runs.journal(t, "tiny_x")[1].state)
			assert.is_nil(s:ask("squeue -h -o %F"):find("%f[%d]" .. array .. "%f[%D]"))
			if is_watched then
				t:close()
			end
		end
	end)

	it("does no job twice, killed before or after sbatch", function()
		for _, script in ipairs {
			'kill -KILL $PPID', -- it never came there
			'out=$("$real" "$@"); kill -KILL $PPID; echo "$out"',
		} do
			t = tree(TINY .. "[matrix m]\neach.dataset = x, y\n[job b]\ndataset = b\nafter = m\n")
			local killing = wrap("sbatch", script)
			assert.equal(137, t:run({ "batch", "run", "b.ini" }, killing).status)
			assert.matches("^slurm:[%x-]+/1$", job_of("m-y").executor_id)
			assert.equal("m-x done, m-y done, b done", (run(0, "--resume")))
			assert.same({ 1, 1, 1 }, { entries("tiny_x"), entries("tiny_y"), entries("tiny_b") })
			assert.equal(1, #runs.journal(t, "tiny_x"))
			assert.equal(1, job_of("m-x").attempts)
			t:close()
		end
		t = nil
	end)

	it("refuses to run what was handed over again or cancelled since", function()
		t = tree(TINY .. "[job a]\ndataset = a\n")
		assert.equal("a done", (run(0)))
		local status = status_of()
		local function refused(name, run_id)
			local result = t:run { "batch", "job", status.id, name, run_id }
			return result.status .. " " .. result.err
		end
		assert.matches("^1 .*'a' is done: nothing is left to run", refused("a", job_of("a").run_id))
		assert.matches("^1 .*was handed over again since", refused("a", status.id))
		assert.matches("^3 .*no job 'z'", refused("z", status.id))
		t:ok({ "batch", "cancel", "b" }, env())
		assert.matches("^1 .*was cancelled", refused("a", job_of("a").run_id))
	end)

	it("hands over later what it could not when Slurm did not answer, once", function()
		t = tree(TINY .. "[job a]\ndataset = a\n[job b]\ndataset = b\n")
		local busy = wrap("sbatch", 'echo x >>calls\nif [ -e once ]; then exec "$real" "$@"; fi\n'
			.. 'touch once; "$real" "$@" >/dev/null; echo "sbatch: error: Socket timed out on send/recv" >&2; exit 1')
		assert.equal("a done, b done", states((t:json({ "batch", "run", "b.ini" }, 0, busy))))
		assert.equal("x\nx\n", cli.read(t.dir .. "/calls"))
		assert.same({ 1, 1 }, { entries("tiny_a"), job_of("a").attempts })
	end)

	it("hands nothing over twice that sbatch tried again while nobody looked", function()
		t = tree(TINY .. "[job a]\ndataset = a\n")
		local late = wrap("sbatch", 'echo x >>calls\nif [ -e once ]; then exec "$real" "$@"; fi\n'
			.. 'touch once; "$real" "$@" >/dev/null; sleep 1\n'
			.. 'echo "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying." >&2; exec sleep 60')
		assert.equal("a done", states((t:json({ "batch", "run", "b.ini" }, 0, late))))
		assert.equal("x\n", cli.read(t.dir .. "/calls"))
		assert.same({ 1, 1 }, { entries("tiny_a"), job_of("a").attempts })
	end)

	it("waits where Slurm does not answer, and goes on when it does", function()
		t = tree(TINY .. "[job a]\ndataset = a\n" .. waiting("go"))
		local mute = wrap("squeue", '[ ! -e mute ] || { echo "squeue: error: Unable to contact" >&2; exit 1; }\n'
			.. 'exec "$real" "$@"')
		os.remove(t.dir .. "/status")
		local wait = runs.start(t, { "batch", "run", "b.ini" }, mute.env)
		wait_for_file("go.up")
		cli.write(t.dir .. "/mute", "")
		said("Slurm does not answer (Unable to contact)")
		cli.write(t.dir .. "/go", "")
		wait_for_state("tiny_a", "recorded")
		assert.equal("a running", states(status_of()))
		os.remove(t.dir .. "/mute")
		said("Slurm answers again")
		assert.equal(0, wait(), cli.read(t.dir .. "/err"))
		assert.equal("a done", states(status_of()))
		assert.equal(1, select(2, cli.read(t.dir .. "/err"):gsub("does not answer", "")))
	end)

	it("shows what Slurm kept of a job that never came as far as thhost", function()
		t = tree(TINY .. "sbatch = --hold\n[job a]\ndataset = a\n")
		local bin = t.dir .. "/bin"
		cli.shell(("mkdir '%s' && cp -rL '%s' \"$(dirname '%s')/share\" '%s'")
			:format(bin, cli.thhost, cli.thhost, bin))
		local options = env()
		options.program = bin .. "/thhost"
		t:json({ "batch", "run", "b.ini", "--detach" }, 0, options)
		cli.remove(bin)
		s:ask("scontrol release " .. number_of("a"))
		local found, told = run(1, "--resume")
		assert.equal("a failed", found)
		assert.matches("bin/thhost: .*[Nn]o", told)
		assert.matches("bin/thhost: .*[Nn]o", t:run({ "batch", "logs", "a" }, env()).out)
	end)
end)

describe("batch run --executor slurm, with accounting", function()
	local accounting

	setup(function()
		accounting = slurm.start { accounting = true }
	end)

	teardown(function()
		if accounting then
			accounting:stop()
		end
	end)

	it("asks sacct for jobs that squeue has forgotten", function()
		if not accounting then
			return
		end
		t = tree(TINY .. "[job well]\ndataset = a\n[matrix m]\neach.dataset = x, y\nsbatch = --mem=50\n"
			.. "command = python3 -c 'x = b\"x\" * 500000000'\n[job b]\ndataset = b\nafter = m\n")
		local forgetful = wrap("squeue", '"$real" "$@" | grep -v -E "[|](COMPLETED|OUT_OF_MEMORY|CANCELLED)[|]"; true')
		forgetful.env.SLURM_CONF = accounting.conf
		local found = t:json({ "batch", "run", "b.ini" }, 1, forgetful)
		assert.equal("well done, m-x failed, m-y failed, b blocked", states(found))
		assert.matches("^out of memory", found.jobs[2].why)
		assert.matches("^out of memory", found.jobs[3].why)
		t:close()
		t = nil
	end)
end)
