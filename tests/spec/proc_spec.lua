local proc = require("unit").proc
local storage = require("support.storage")
local support = require("support.proc")

local path, quote = support.path, support.quote

local ALL_BYTES = {}
for byte = 0, 255 do
	ALL_BYTES[byte + 1] = string.char(byte)
end
ALL_BYTES = table.concat(ALL_BYTES)

--- Run `argv` as a helper with a deadline that only a hanging test meets.
local function capture(argv, input)
	return assert(proc.capture({ argv = argv, input = input, deadline_ms = 60000 }))
end

local function sh(command, input)
	return capture({ "sh", "-c", command }, input)
end

-- In sh: wait for a file with content, and put the child's and the supervisor's pid into $c and $s.
local AWAIT = [[await() { until [ -s "$1" ]; do sleep 0.01; done; }
pids() { await "$1"; read -r c s <"$1"; }
gone() { while kill -0 "$1" 2>/dev/null; do sleep 0.01; done; }
]]

teardown(support.cleanup)

describe("asking a helper", function()
	it("feeds stdin and collects stdout, stderr and the status", function()
		local answer = sh("cat; echo oops >&2; exit 3", ALL_BYTES)
		assert.equal(ALL_BYTES, answer.out)
		assert.equal("oops\n", answer.errors)
		assert.equal(3, answer.code)
		assert.is_false(answer.succeeded)
	end)

	it("does not lock up on much data both ways", function()
		local input = ALL_BYTES:rep(32768)
		local answer = sh("tee /dev/stderr", input)
		assert.is_true(answer.out == input)
		assert.equal(65536, #answer.errors)
		assert.is_true(answer.succeeded)
	end)

	it("outlives a helper that does not read its input", function()
		assert.equal(0, capture({ "true" }, ("x"):rep(1 << 20)).code)
	end)

	it("tells a command that is not there from one that cannot run", function()
		local _, message, code = proc.capture({ argv = { "no-such-command-here" } })
		assert.equal("cannot run 'no-such-command-here': no such command", message)
		assert.equal("not_found", code)
		_, message, code = proc.capture({ argv = { "/etc/passwd" } })
		assert.equal("cannot run '/etc/passwd': Permission denied (EACCES)", message)
		assert.equal("failed", code)
		_, message = proc.capture({ argv = { "true" }, cwd = "/nowhere" })
		assert.equal("cannot run 'true' in '/nowhere': No such file or directory (ENOENT)", message)
		assert.equal("not_found", select(3, proc.capture({ argv = { "" } })))
	end)

	it("looks for a command in PATH as a shell does", function()
		local setenv, old = require("unit").conf.setenv, os.getenv("PATH")
		local dir = support.dir()
		local said = {}
		support.write("plain", "no program\n")
		for name, value in pairs({ none = false, dir = dir }) do
			setenv("PATH", value or nil)
			local answer, message = proc.capture({ argv = { value and "plain" or "true" }, deadline_ms = 60000 })
			said[name] = answer and answer.code or message
		end
		setenv("PATH", old)
		assert.same({ none = 0, dir = "cannot run 'plain': Permission denied (EACCES)" }, said)
		assert.equal("cannot run 'true': Argument list too long (E2BIG)",
			select(2, proc.capture({ argv = { "true", ("x"):rep(1 << 20) } })))
	end)

	it("kills at the deadline and keeps what was said", function()
		local answer = assert(proc.capture({
			argv = { "sh", "-c", "echo before; exec sleep 60" },
			deadline_ms = 200,
		}))
		assert.is_true(answer.timed_out)
		assert.equal(9, answer.signal)
		assert.equal("before\n", answer.out)
		assert.is_false(answer.succeeded)
	end)

	it("kills a helper once it has said that it will try again, and keeps what was said", function()
		local command = "echo out; echo no >&2; echo 'now retrying' >&2; exec sleep 60"
		local answer = assert(proc.capture({ argv = { "sh", "-c", command }, stop_at = "retrying" }))
		assert.same({ true, false, false, 9 },
			{ answer.stopped, answer.timed_out, answer.succeeded, answer.signal })
		assert.equal("no\nnow retrying\n", answer.errors)
		answer = assert(proc.capture({ argv = { "sh", "-c", "echo retrying; echo never >&2" }, stop_at = "retrying" }))
		assert.same({ false, true }, { answer.stopped, answer.succeeded })
	end)

	it("kills a helper whose time is over before it says anything", function()
		local answer = assert(proc.capture({ argv = { "sleep", "60" }, deadline_ms = 1 }))
		assert.is_true(answer.timed_out)
		assert.equal(9, answer.signal)
	end)

	it("learns how a helper ended where SIGCHLD was ignored, and leaves it so", function()
		local argv = support.script([[
			proc.ignore(17)
			local answer = assert(proc.capture { argv = { "sh", "-c", "exit 3" }, deadline_ms = 30000 })
			local status = io.open("/proc/self/status"):read("a")
			print(answer.code, tonumber(status:match("SigIgn:%s*(%x+)"), 16) >> 16 & 1)
		]])
		local answer = capture(argv)
		assert.equal("3\t1\n", answer.out, answer.errors)
	end)

	it("says that no process can be had, for a training too", function()
		if not storage.is_root then
			return pending("needs root, to be somebody with one process")
		end
		local argv = support.script([[
			print((select(2, proc.capture { argv = { "/bin/true" } })))
			print((select(2, proc.supervise { argv = { "/bin/true" } })))
		]])
		assert(os.execute("chmod -R a+rX " .. support.dir()))
		-- A uid that nobody else runs as.
		local answer = capture { "setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "prlimit", "--nproc=1",
			table.unpack(argv) }
		assert.equal("cannot start '/bin/true': Resource temporarily unavailable (EAGAIN)\n", (answer.out
			:gsub("cannot run", "cannot start", 1):gsub("^([^\n]*\n)%1$", "%1")), answer.errors)
	end)

	it("kills a helper that says too much", function()
		local answer = assert(proc.capture({ argv = { "yes" }, output_limit = 1000 }))
		assert.is_true(answer.too_much)
		assert.equal(1000, #answer.out)
		assert.is_false(answer.timed_out)
		answer = assert(proc.capture({ argv = { "printf", "12345" }, output_limit = 5 }))
		assert.is_false(answer.too_much)
		assert.equal("12345", answer.out)
	end)

	it("does not wait for a daemon that keeps the pipes", function()
		local answer = sh("sleep 30 & echo $!")
		assert.is_true(answer.succeeded)
		os.execute("kill " .. answer.out)
	end)

	it("gives the directory, the environment and the file that were asked for", function()
		local answer = assert(proc.capture({ argv = { "pwd" }, cwd = "/usr" }))
		assert.equal("/usr\n", answer.out)
		answer = assert(proc.capture({ argv = { "/usr/bin/env" }, env = { "A=1" } }))
		assert.equal("A=1\n", answer.out:gsub("LSAN[^\n]*\n", ""))
		answer = assert(proc.capture({ argv = { "me", "-c", "echo $0" }, exe = "/bin/sh" }))
		assert.equal("me\n", answer.out)
	end)

	it("passes the descriptors named, and no others", function()
		local one, two = support.write("one", "1"), support.write("two", "2")
		local answer = assert(proc.capture({
			argv = { "ls", "-v", "/proc/self/fd", "/proc/self/fd/10", "/proc/self/fd/11" },
			pass_files = { one, two },
		}))
		-- 3 is what ls itself opened
		assert.equal("0\n1\n2\n3\n10\n11\n", answer.out:match("/proc/self/fd:\n(.*)"))
		answer = assert(proc.capture({
			argv = { "cat", "/proc/self/fd/11", "/proc/self/fd/10" },
			pass_files = { one, two },
		}))
		assert.equal("21", answer.out)
	end)

	-- What lies at a descriptor's future place must not be lost, whoever it belongs to.
	for _, at in ipairs({
		{ 11, 10 }, -- a circle
		{ 11, 12, 10, 14, 13 }, -- two of them
		{ 13, 10, 11, 12 }, -- the other way round
		{ 20, 21, 22, 23 }, { 10, 11, 12 }, { 12, 30, 10, 31 },
	}) do
		it("puts descriptors in their places that lie at " .. table.concat(at, ", "), function()
			local files, shown, expected = {}, {}, {}
			for i = 1, #at do
				files[i] = support.write("f" .. i, i .. " ")
				shown[i] = "/proc/self/fd/" .. (9 + i)
				expected[i] = i .. " "
			end
			local answer = assert(proc.capture({ argv = { "cat", table.unpack(shown) },
				pass_files = files, pass_at = at }))
			assert.equal(table.concat(expected), answer.out)
		end)
	end

	it("passes as many as the usual limit of descriptors allows", function()
		local files = {}
		for i = 1, 900 do
			files[i] = support.write("many", "x")
		end
		local answer = assert(proc.capture({ argv = { "sh", "-c", "ls /proc/self/fd | wc -l" },
			pass_files = files }))
		assert.equal(904, tonumber(answer.out)) -- with 0, 1, 2 and what ls itself opened
	end)

	it("knows itself and when it was started", function()
		local link = ("/proc/%d/exe"):format(proc.pid())
		assert.equal(proc.self() .. "\n", capture({ "readlink", link }).out)
		assert.is_true(proc.start_time(proc.pid()) > 0)
		assert.equal(0, proc.start_time(0x3fffffff))
	end)
end)

describe("the training's output", function()
	it("passes every byte on both streams and into the log", function()
		local log = path("log")
		local argv = support.run_script("tee /dev/stderr", ("log = %q"):format(log))
		local answer = capture(argv, ALL_BYTES)
		assert.equal(ALL_BYTES, answer.out)
		assert.equal(ALL_BYTES, answer.errors)
		assert.equal(512, #support.read(log))
	end)

	it("passes 64 MiB whole", function()
		local big, log = path("big"), path("biglog")
		sh("head -c 67108864 /dev/urandom >" .. big)
		local argv = support.run_script("cat " .. big, ("log = %q"):format(log))
		local answer = sh(("%s | cmp - %s && cmp %s %s"):format(quote(argv), big, log, big))
		assert.equal("", answer.out .. answer.errors)
		assert.is_true(answer.succeeded)
		os.remove(big)
		os.remove(log)
	end)

	it("is told block by block, before and after", function()
		local result = path("blocks")
		local argv = support.supervise_script("seq 1 100000; seq 1 1000 >&2", "", result)
		sh(quote(argv) .. " >/dev/null 2>&1")
		local outcome = support.result(result)
		assert.equal("588895", outcome.out_bytes)
		assert.equal("3893", outcome.error_bytes)
		assert.equal("0", outcome.open_blocks)
	end)

	it("sees the end of a child that ended while a helper was asked", function()
		local pids, result = support.path("pids"), support.path("outcome")
		local gone = ("until grep -q 'State:.Z' /proc/$(cut -d' ' -f1 %s)/status; do :; done"):format(pids)
		local argv = support.supervise_script("exit 3", ("pid_file = %q, helper = %q"):format(pids, gone),
			result)
		sh("timeout 10 " .. quote(argv))
		assert.equal("3", support.result(result).code)
	end)

	it("ends with the child although a grandchild keeps the pipe", function()
		local answer = capture(support.run_script("sleep 30 & echo $!"))
		assert.is_true(answer.succeeded)
		os.execute("kill " .. answer.out)
	end)

	it("is whole although the reader is slower than child and grandchild", function()
		local pids = path("slow_pids")
		local argv = support.run_script("sleep 30 & head -c 120000 /dev/zero",
			("pid_file = %q"):format(pids))
		local reader = ("{ pids %s; gone $c; sleep 0.4; wc -c; }"):format(pids)
		local answer = sh(AWAIT .. quote(argv) .. " | " .. reader)
		assert.equal("120000\n", answer.out)
	end)

	it("may lose its reader: the training and the log go on", function()
		local log, done, result = path("headlog"), path("done"), path("headresult")
		local argv = support.supervise_script("seq 1 200000 && echo ok >" .. done,
			("log = %q"):format(log), result)
		local answer = sh(quote(argv) .. " | head -n 1")
		assert.equal("1\n", answer.out)
		sh(AWAIT .. "await " .. result)
		local outcome = support.result(result)
		assert.equal("true", outcome.output_lost)
		assert.equal("0", outcome.code)
		assert.equal("0", outcome.open_blocks)
		assert.equal("ok\n", support.read(done))
		assert.equal("1288895", outcome.log_bytes)
		assert.equal(1288895, #support.read(log))
	end)

	it("outlives a full log", function()
		local result = path("fullresult")
		local argv = support.supervise_script("seq 1 1000; exit 4", "log = '/dev/full'", result)
		local answer = capture(argv)
		local outcome = support.result(result)
		assert.equal(3893, #answer.out)
		assert.equal("true", outcome.log_truncated)
		assert.equal("ENOSPC", outcome.log_errno)
		assert.equal("0", outcome.log_bytes)
		assert.equal("4", outcome.code)
		assert.equal("false", outcome.output_lost)
	end)

	it("outlives a limit on file sizes, of which the child still dies as it would", function()
		local log, result = path("limitlog"), path("limitresult")
		local argv = support.supervise_script("seq 1 1000; seq 1 1000 >" .. path("limited"),
			("log = %q"):format(log), result)
		sh("ulimit -f 4; exec " .. quote(argv)) -- of 512 bytes
		local outcome = support.result(result)
		assert.equal("true", outcome.log_truncated)
		assert.equal("EFBIG", outcome.log_errno)
		assert.truthy(support.read(log):find("^1\n2\n.*\nthhost: the log ends here: File too large; "
			.. "the training went on\n$"))
		assert.equal("1024", outcome.log_bytes)
		assert.equal("3893", outcome.out_bytes)
		assert.not_equal("0", outcome.code)
	end)

	it("is in the log as far as the disk goes, and that is said in the room of the last of it", function()
		local log, result = path("cutlog"), path("cutresult")
		local argv = support.supervise_script("seq 1 10000", ("log = %q"):format(log), result)
		sh("trap '' XFSZ; ulimit -f 40; exec " .. quote(argv)) -- of 512 bytes
		local outcome, text = support.result(result), support.read(log)
		assert.equal("EFBIG", outcome.log_errno)
		assert.equal("48894", outcome.out_bytes)
		local kept = text:match("^(.*)\nthhost: the log ends here: File too large; the training went on\n$")
		assert.equal(outcome.log_bytes, tostring(#kept))
		assert.is_true(#kept < 40 * 512 and #kept > 0)
		assert.equal("0", outcome.code)
	end)

	it("passes whole to a socket, in steps that its reader takes", function()
		local result = path("socketresult")
		local argv = support.supervise_script("seq 1 100000", "", result)
		local reader = support.write("reader.py", [[
import socket, subprocess, sys
ours, theirs = socket.socketpair()
child = subprocess.Popen(sys.argv[1:], stdout=theirs)
theirs.close()
count = 0
while True:
    block = ours.recv(1000)
    if not block:
        break
    count += len(block)
print(count, child.wait())
]])
		assert.equal("588895 0\n", capture { "/usr/bin/python3", reader, table.unpack(argv) }.out)
		assert.equal("false", support.result(result).output_lost)
	end)

	it("to a full disk is lost, and that is told", function()
		local result = path("fulloutput")
		sh(quote(support.supervise_script("seq 1 10", "", result)) .. " >/dev/full")
		assert.equal("true", support.result(result).output_lost)
	end)

	it("comes without a pty where ours is none", function()
		local answer = capture(support.run_script("test -t 1 || echo no; test -t 2 || echo no >&2"))
		assert.equal("no\nno\n", answer.out .. answer.errors)
	end)
end)

describe("the training's status", function()
	it("is each exit code", function()
		local answer = capture(support.script([[
			for code = 0, 255 do
				local outcome = assert(proc.supervise { argv = { "sh", "-c", "exit " .. code } })
				assert(outcome.code == code and outcome.shell_status == code)
			end
		]]))
		assert.equal("", answer.errors)
		assert.equal(0, answer.code)
		for _, code in ipairs({ 0, 1, 125, 126, 127, 255 }) do
			assert.equal(code, capture(support.run_script("exit " .. code)).code)
		end
	end)

	it("is each deadly signal", function()
		local numbers = { 1, 2, 3, 6, 9, 13, 14, 15, 25 }
		if not os.getenv("LD_PRELOAD") then -- the address sanitizer would catch it in the child
			numbers[#numbers + 1] = 11
		end
		for _, number in ipairs(numbers) do
			assert.equal(number, capture(support.run_script("kill -" .. number .. " $$")).signal)
		end
	end)

	it("is 127 for a command that is not there, 126 for one that cannot run", function()
		local text = support.write("text", "no program\n")
		local lost = support.write("lost", "#!/nowhere/interpreter\n")
		sh("chmod +x " .. text .. " " .. lost)
		local cases = {
			{ "no-such-command-here", 127 }, { "/nowhere/command", 127 }, { "", 127 },
			{ "/etc/passwd", 126 }, { "/etc", 126 }, { text, 126 }, { lost, 127 },
		}
		for _, case in ipairs(cases) do
			local answer = capture(support.script(("proc.run { argv = { %q } }"):format(case[1])))
			assert.equal(case[2], answer.code, case[1])
		end
	end)

	it("comes with its times", function()
		local result = path("times")
		capture(support.supervise_script("sleep 0.1", "tick_ms = 10", result))
		local outcome = support.result(result)
		assert.is_true(tonumber(outcome.wall_ms) >= 100)
		assert.is_true(tonumber(outcome.max_rss) > 0)
		assert.is_true(tonumber(outcome.ticks) > 2)
		assert.is_true(tonumber(outcome.start_pid) > 1)
	end)
end)

describe("the training's surroundings", function()
	it("are our stdin, session and process group", function()
		local answer = capture(support.run_script(
			"cat; for p in $$ $PPID; do set -- $(cat /proc/$p/stat); echo $5 $6; done"), "typed\n")
		local mine, theirs = answer.out:match("^typed\n([^\n]+)\n([^\n]+)\n$")
		assert.is_truthy(mine)
		assert.equal(theirs, mine)
	end)

	it("are the environment given, and what we inherited", function()
		local answer = capture(support.run_script("echo $A-$HOME", "env = { 'A=1' }"))
		assert.equal("1-\n", answer.out)
		local file = support.write("inherited", "kept")
		answer = sh(("exec 7<%s; exec %s"):format(file, quote(support.run_script("cat <&7"))))
		assert.equal("kept", answer.out)
	end)

	it("are default signals and no mask, but ignored ones stay ignored", function()
		local answer = capture(support.script([[
			proc.ignore(1)  -- SIGHUP, as nohup does
			proc.ignore(17) -- SIGCHLD, as some job runners do
			proc.run { argv = { "grep", "^Sig[BI]", "/proc/self/status" } }
		]]))
		assert.equal(0, answer.code)
		local blocked, ignored = answer.out:match("SigBlk:\t(%x+)\nSigIgn:\t(%x+)\n")
		assert.equal(0, tonumber(blocked, 16))
		-- glibc keeps 32 and 33 for itself: how they came to us is how they go on.
		assert.equal(1, tonumber(ignored, 16) & ~(3 << 31))
	end)

	it("include an extra descriptor that is polled meanwhile", function()
		local fifo, result = path("fifo"), path("extraresult")
		sh("mkfifo " .. fifo)
		capture(support.supervise_script("echo hello >" .. fifo .. "; sleep 0.2",
			("extra = %q"):format(fifo), result))
		assert.equal("hello\\n", support.result(result).extra)
	end)
end)

describe("a signal", function()
	it("that was sent to us alone goes on to the training", function()
		for _, number in ipairs({ 1, 2, 3, 10, 12, 15 }) do
			local pids, ready, result = path("sigpids"), path("sigready"), path("sigresult")
			sh(("rm -f %s %s %s"):format(pids, ready, result))
			local argv = support.supervise_script(
				("trap 'exit 5' %d; echo >%s; while :; do sleep 0.01; done"):format(number, ready),
				("pid_file = %q"):format(pids), result)
			-- python: sh starts background commands with SIGINT and SIGQUIT ignored
			local answer = sh(AWAIT .. ([[
				python3 -c 'import signal, os, sys
for s in (2, 3): signal.signal(s, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' %s &
				pids %s; await %s; kill -%d $s; wait
			]]):format(quote(argv), pids, ready, number))
			assert.equal("", answer.errors)
			local outcome = support.result(result)
			assert.equal("5", outcome.code, "signal " .. number)
			assert.equal(tostring(number), outcome.forwarded_signal)
		end
	end)

	it("reaches the training while our reader takes nothing", function()
		local pids, mark, fifo = path("stuckpids"), path("stuckmark"), path("stuckfifo")
		local argv = support.run_script(
			("head -c 262144 /dev/zero; echo >%s; exec yes"):format(mark),
			("pid_file = %q"):format(pids))
		local answer = sh(AWAIT .. ([[
			mkfifo %s; %s >%s & exec 3<%s
			pids %s; head -c 200000 <&3 >/dev/null; await %s; kill -TERM $s; gone $c
			exec 3<&-; wait $s; echo $?
		]]):format(fifo, quote(argv), fifo, fifo, pids, mark))
		assert.equal("143\n", answer.out)
	end)

	it("is not forwarded inside a Slurm step, which signals every process", function()
		local pids, ready = path("slurmpids"), path("slurmready")
		local argv = support.run_script(
			("trap 'echo term' TERM; trap 'exit 3' USR1; echo >%s; while :; do sleep 0.01; done")
				:format(ready),
			("pid_file = %q"):format(pids))
		local answer = sh(AWAIT .. ([[
			SLURM_STEP_ID=0 %s & pids %s; await %s; kill -TERM $s
			until grep -q '^ShdPnd:.0*$' /proc/$s/status; do sleep 0.01; done
			kill -USR1 $c; wait $s; echo $?
		]]):format(quote(argv), pids, ready))
		assert.equal("3\n", answer.out)
	end)

	it("ends the wait for a reader that takes nothing once the training is over", function()
		local pids, fifo = path("overpids"), path("overfifo")
		local argv = support.run_script("head -c 120000 /dev/zero", ("pid_file = %q"):format(pids))
		local answer = sh(AWAIT .. ([[
			mkfifo %s; %s >%s & exec 3<%s
			pids %s; gone $c; kill -TERM $s; wait $s; echo $?
		]]):format(fifo, quote(argv), fifo, fifo, pids))
		assert.equal("0\n", answer.out)
	end)
end)

describe("on a terminal", function()
	local function terminal(argv, steps, rows, columns)
		return capture(support.on_terminal(argv, steps, rows, columns))
	end

	it("the training finds one on each stream, of the same size", function()
		local argv = support.run_script("test -t 0 && test -t 1 && test -t 2 && stty size <&2")
		local answer = terminal(argv, {}, 33, 101)
		assert.equal("33 101\r\n", answer.out)
		assert.equal(0, answer.code)
	end)

	it("streams stay pipes where no_pty is set, or where only the other one is a terminal", function()
		local answer = terminal(support.run_script("test -t 1 || echo pipe", "no_pty = true"))
		assert.equal("pipe\r\n", answer.out)
		local out = path("notty")
		local argv = support.run_script("test -t 1 || echo pipe; test -t 2 && echo terminal >&2")
		answer = terminal({ "sh", "-c", quote(argv) .. " >" .. out })
		assert.equal("terminal\r\n", answer.out)
		assert.equal("pipe\n", support.read(out))
	end)

	it("every byte passes as without us", function()
		local log = path("ttylog")
		local bytes = support.write("bytes", ALL_BYTES)
		local bare = terminal({ "cat", bytes })
		local answer = terminal(support.run_script("cat " .. bytes, ("log = %q"):format(log)))
		assert.equal(bare.out, answer.out)
		assert.equal(ALL_BYTES, support.read(log))
	end)

	it("much output passes whole", function()
		local log = path("ttymuch")
		local answer = terminal(support.run_script("seq 1 200000", ("log = %q"):format(log)))
		assert.equal(1288895 + 200000, #answer.out)
		assert.equal(1288895, #support.read(log))
	end)

	it("the window size is followed", function()
		local answer = terminal(support.run_script(
			"trap 'stty size <&1; exit' WINCH; echo ready; while :; do sleep 0.02; done"),
			{ { "ready", "size 30 100" } })
		assert.is_truthy(answer.out:find("30 100", 1, true), answer.out)
	end)

	it("Ctrl-C reaches the training once; the second press warns, the third kills", function()
		local result = path("ctrlc")
		local argv = support.supervise_script(
			"trap 'echo got' INT; echo ready; while :; do sleep 0.02; done", "", result)
		local answer = terminal(argv,
			{ { "ready", "\3" }, { "got", "\3" }, { "Ctrl-C once more", "\3" } })
		local outcome = support.result(result)
		assert.equal("9", outcome.signal, answer.out .. answer.errors)
		assert.equal("0", outcome.forwarded_signal)
		local count = select(2, answer.out:gsub("got", ""))
		assert.is_true(count <= 3, answer.out)
		assert.is_truthy(answer.out:find("thhost: the training (pid ", 1, true))
	end)

	it("^Z does not stop us where the training ignores it", function()
		local argv = support.run_script("trap '' TSTP; echo ready; read -r line; echo read: $line")
		local start = support.write("ignores", "exec " .. quote(argv) .. "\n")
		local answer = terminal({ "env", "PS1=> ", "bash", "--norc", "--noediting", "-i" }, {
			{ "> ", "sh " .. start .. "\n" },
			{ "ready", "\26words\n" },
			{ "> ", "exit 7\n" },
		})
		assert.equal(7, answer.code, answer.out .. answer.errors)
		assert.is_nil(answer.out:find("Stopped", 1, true))
	end)

	it("^Z stops both, fg goes on, and stdin is the training's", function()
		local argv = support.run_script("echo up-and-running; read -r line; echo read: $line; exit 6")
		local start = support.write("start", "exec " .. quote(argv) .. "\n")
		local answer = terminal({ "env", "PS1=> ", "bash", "--norc", "--noediting", "-i" }, {
			{ "> ", "sh " .. start .. "\n" },
			{ "up-and-running", "\26" },
			{ "Stopped", "" },
			{ "> ", "fg\n" },
			{ "sh " .. start, "some words\n" },
			{ "read: some words", "exit $?\n" },
		})
		assert.equal(6, answer.code, answer.out .. answer.errors)
	end)
end)

describe("a training on a terminal that cannot be had", function()
	local shim = require("support.shim")

	teardown(support.cleanup)

	for _, call in ipairs { "posix_openpt", "grantpt", "unlockpt", "tcgetattr", "tcsetattr" } do
		it("has pipes: " .. call, function()
			if not shim.library() then
				return pending("a sanitizer in the way of a preloaded library, or no compiler")
			end
			local words = shim.prefix { call = call, error = 5 }
			local argv = support.run_script("test -t 1 && echo terminal || echo pipe")
			table.move(argv, 1, #argv, #words + 1, words)
			local answer = assert(proc.capture({ argv = support.on_terminal(words), deadline_ms = 30000 }))
			assert.equal("pipe\r\n", answer.out)
		end)
	end

	it("says that there is no pipe", function()
		if not shim.library() then
			return pending("a sanitizer in the way of a preloaded library, or no compiler")
		end
		local words = shim.prefix { call = "pipe2", error = 24 }
		local argv = support.script("local _, message = proc.supervise { argv = { 'true' } } print(message)")
		table.move(argv, 1, #argv, #words + 1, words)
		local answer = assert(proc.capture({ argv = words, deadline_ms = 30000 }))
		assert.equal("cannot open a pipe to 'true': Too many open files (EMFILE)\n", answer.out)
	end)
end)
