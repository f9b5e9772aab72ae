--- Long runs: much output, output that ends early, a disk that fills, a terminal that goes away, a
--- scheduler's notice, a suspended program, a clock that jumps. The training goes on, and is recorded.
local cjson = require "cjson"
local cli = require "support.cli"
local runs = require "support.runs"
local shim = require "support.shim"
local storage = require "support.storage"
local torture = require "support.torture"

local MiB = 1 << 20

describe("a long run", function()
	local t

	before_each(function()
		t = runs.tree()
	end)
	after_each(function()
		os.execute(("mountpoint -q %s/small && umount %s/small"):format(t.dir, t.dir))
		t:close()
	end)

	local function path(name)
		return t.dir .. "/" .. name
	end

	local function touch(name)
		cli.write(path(name), "x\n")
	end

	--- sh: go on when the file is there.
	local function await(name)
		return ("until [ -s %s ]; do sleep 0.02; done; "):format(path(name))
	end

	local function wait_for_file(name)
		cli.wait_for(name, function()
			return cli.read(path(name))
		end)
	end

	--- The one entry, complete; the journal says that the run is recorded.
	local function check_recorded(name)
		local info = t:info(name or "tiny_d")
		assert.equal(1, #info.training_history)
		assert.equal(10, info.training_history[1].steps)
		local run = runs.journal(t, name)[1]
		assert.equal("recorded", run.state)
		return info.training_history[1], run
	end

	local function figure(what, detail)
		torture.figure("long", what, 1, 0, detail)
	end

	it("passes a great deal of output on, in little memory", function()
		local size = torture.scale(256 * MiB, 10240 * MiB)
		local clock = torture.clock()
		local peak = path("peak")
		local train = runs.write_result .. ("yes 0123456789abcde | head -c %d; "):format(size)
			.. "grep VmHWM /proc/$PPID/status >" .. peak
		local result = t:run(runs.tiny(train, "--json"), { prefix = "sh -c '\"$@\" | wc -c' sh" })
		assert.equal(size, tonumber(result.out), result.err)
		check_recorded()
		local log = t.root .. "/exp_1/tiny_d/" .. runs.journal(t)[1].log
		assert.equal(tostring(size), cli.shell("stat -c %s " .. cli.quote(log)))
		local kib = tonumber(cli.read(peak):match("%d+"))
		assert.is_true(storage.is_asan or kib < 64 << 10, kib .. " KiB")
		figure(("%d MiB of output"):format(size // MiB), ("%s, %d MiB of memory"):format(clock(), kib >> 10))
	end)

	it("goes on when the training closes its output", function()
		local wait = runs.start(t, runs.tiny("exec >&- 2>&-; echo x >" .. path("closed") .. "; "
			.. await("go") .. runs.write_result))
		wait_for_file("closed")
		local run = runs.wait_for_state(t, "running")
		assert.is_true(runs.is_alive(run.pid))
		touch("go")
		assert.equal(0, wait())
		check_recorded()
		figure("a training that closes its output")
	end)

	it("ends with the training, whatever that leaves behind", function()
		local pid = path("pid")
		local wait = runs.start(t, runs.tiny("(echo $$ >/dev/null; sh -c 'echo $$ >" .. pid
			.. "; exec sleep 1000') & " .. await("pid") .. runs.write_result .. "echo last words"))
		assert.equal(0, wait())
		check_recorded()
		local left = tonumber(cli.read(pid))
		assert.is_true(runs.is_alive(left))
		runs.kill("KILL", left)
		assert.truthy(cli.read(path("out")):find("last words", 1, true))
		figure("a process left behind that keeps the output")
	end)

	it("goes on when the disk fills, and says in the log where that ends", function()
		if storage.skip_without(storage.is_root, "root") then
			return pending(torture.cannot("long", "a disk that fills", "needs root"))
		end
		cli.shell(("mkdir %s && mount -t tmpfs -o size=2m tmpfs %s"):format(path("small"), path("small")))
		cli.write(path("thhost.ini"), "[artifact]\nroot = small\n[plugins]\npath = plugins\n")
		t:ok { "exp", "new", "exp_1" }
		t.root = path("small")
		local result = t:run(runs.tiny(runs.write_result .. "yes 0123456789abcde | head -c 8388608"))
		assert.equal(0, result.status)
		assert.equal(8388608, #result.out)
		check_recorded()
		assert.truthy(result.err:find("log", 1, true), result.err)
		local log = cli.read(t.root .. "/exp_1/tiny_d/" .. runs.journal(t)[1].log)
		assert.truthy(log:find("\nthhost: the log ends here: No space left on device; "
			.. "the training went on\n$"), log:sub(-200))
		figure("a disk that the log fills")
	end)

	it("keeps the entry when the disk is too full for the record", function()
		if storage.skip_without(storage.is_root, "root") then
			return pending(torture.cannot("long", "a full disk", "needs root"))
		end
		cli.shell(("mkdir %s && mount -t tmpfs -o size=1m tmpfs %s"):format(path("small"), path("small")))
		cli.write(path("thhost.ini"), "[artifact]\nroot = small\n[plugins]\npath = plugins\n")
		t:ok { "exp", "new", "exp_1" }
		t.root = path("small")
		local fill = "cat /dev/zero >" .. path("small/filler") .. " 2>/dev/null; "
		local result = t:run(runs.tiny(runs.write_result .. fill .. "true"))
		assert.equal(0, result.status, result.err)
		assert.is_nil(t:read("exp_1/tiny_d/training_info.json"))
		os.remove(path("small/filler"))
		t:ok { "repair" }
		check_recorded()
		figure("a disk that somebody else fills")
	end)

	-- Arguments: argv. Runs it on a terminal, which goes away as soon as it has said "started".
	local LEAVE = [[
import os, pty, signal, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
seen = b""
while b"started" not in seen:
    seen += os.read(fd, 4096)
os.close(fd)
signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
signal.alarm(20)
status = os.waitpid(pid, 0)[1]
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
]]

	it("outlives its terminal where the training does", function()
		local gone = "until ! [ -t 0 ] || ! echo >/dev/tty; do sleep 0.02; done 2>/dev/null; "
		local result = t:run(runs.tiny("trap '' HUP; echo started; " .. gone .. runs.write_result .. "exit 0"),
			{ prefix = "python3 -c " .. cli.quote(LEAVE) })
		assert.equal(0, result.status, result.err)
		check_recorded()
		figure("a terminal that goes away")
	end)

	it("ends with its terminal where the training does", function()
		local result = t:run(runs.tiny("echo started; sleep 1000"),
			{ prefix = "python3 -c " .. cli.quote(LEAVE) })
		assert.equal(129, result.status, result.err)
		local run = runs.journal(t)[1]
		assert.equal("interrupted", run.state)
		assert.is_nil(t:read("exp_1/tiny_d/training_info.json"))
		figure("a terminal that goes away with its training")
	end)

	it("records what is saved within a scheduler's notice", function()
		local wait = runs.start(t, runs.tiny("save() { echo x >" .. path("told") .. "; " .. await("saved")
			.. runs.write_result .. "exit 0; }; trap save TERM; echo x >" .. path("started")
			.. "; while :; do sleep 0.05; done"))
		wait_for_file("started")
		local run = runs.wait_for_state(t, "running")
		runs.kill("TERM", run.pid)
		wait_for_file("told")
		assert.is_true(runs.is_alive(run.pid))
		touch("saved")
		assert.equal(0, wait())
		check_recorded()
		figure("SIGTERM, and time to save")
	end)

	it("stops and goes on with its group", function()
		local wait = runs.start(t, runs.tiny("echo x >" .. path("started") .. "; seq 1 200000; " .. await("go")
			.. runs.write_result))
		wait_for_file("started")
		local run = runs.wait_for_state(t, "running")
		runs.kill("STOP", run.pid)
		cli.wait_for("thhost has stopped", function()
			return cli.read(("/proc/%d/stat"):format(run.pid)):match("%) (%a)") == "T"
		end)
		touch("go")
		runs.kill("CONT", run.pid)
		assert.equal(0, wait())
		check_recorded()
		assert.equal(1288895, #cli.read(path("out")))
		figure("thhost suspended and resumed")
	end)

	for what, seconds in pairs({ forward = 10 * 365 * 86400, back = -10 * 365 * 86400 }) do
		it("bears a clock that jumps " .. what, function()
			local library, why = shim.library()
			if not library then
				return pending(torture.cannot("long", "a clock that jumps " .. what, why))
			end
			cli.write(path("clock"), "0")
			local jump = ("echo %d >%s; sleep 0.1; "):format(seconds, path("clock"))
			local prefix = table.concat(shim.prefix({ clock = path("clock") }), " ")
			local result = t:run(runs.tiny(jump .. runs.write_result), { prefix = prefix })
			assert.equal(0, result.status, result.err)
			local entry, run = check_recorded()
			assert.is_true(entry.end_time >= entry.start_time, entry.start_time .. " .. " .. entry.end_time)
			assert.is_true(entry.usage.wall_s >= 0.1 and entry.usage.wall_s < 60, cjson.encode(entry.usage))
			assert.is_true(run.end_time >= run.start_time)
			cli.write(path("clock"), "0")
			t:ok({ "verify" }, { prefix = prefix })
			figure("a clock that jumps ten years " .. what)
		end)
	end
end)
