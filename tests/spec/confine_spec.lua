-- The worker's confinement by itself: what it holds when Lua holds nothing any more, and that no plugin
-- runs without it.
local storage = require("support.storage")
local worker = require("support.worker")

local BUILD = os.getenv("THHOST_BUILD") or "build"
local BROKEN = BUILD .. "/tests/broken_worker"
local THHOST = os.getenv("THHOST")
local PLUGINS = "tests/fixtures/plugins"
local KILLED = "killed by SIGSYS"
local REFUSED = "cannot run a plugin in a confined process: "

local read, output, quote = storage.read, storage.output, storage.quote

--- What a script gives that runs in a confined process with all of Lua's libraries.
local function broken(script)
	local input = worker.write("input", "an input\n")
	local file = worker.write("script", script)
	return (output(("%s %s <%s"):format(BROKEN, quote(input), quote(file))):gsub("\n$", ""))
end

-- Lua that is broken in full: name -> script
local LIBRARIES = {
	["io.open for reading"] = 'return io.open("/etc/passwd")',
	["io.open for writing"] = 'return io.open("escaped", "w")',
	["io.lines"] = 'return io.lines("/proc/self/environ")()',
	["io.popen"] = 'return io.popen("id"):read("a")',
	["io.tmpfile"] = "return io.tmpfile()",
	["os.execute"] = 'return os.execute("touch escaped")',
	["os.remove"] = 'return os.remove("Makefile")',
	["os.rename"] = 'return os.rename("Makefile", "escaped")',
	["os.tmpname"] = "return os.tmpname()",
	["os.setlocale"] = 'return os.setlocale("de_DE.UTF-8")',
	["package.loadlib"] = 'return package.loadlib("./build/tests/unit.so", "*")',
	["require"] = 'return require("support.worker")',
	["dofile"] = 'return dofile("tests/support/worker.lua")',
}

-- What machine code could ask for: the arguments of syscall()
local CALLS = {
	'"openat", -100, "/etc/passwd", 0', '"openat2", -100, "/etc/passwd", 0, 24',
	'"open_by_handle_at", 10, "", 0', '"socket", 2, 1, 0', '"socketpair", 1, 1, 0, "12345678"',
	'"connect", 10, "1234567890123456", 16', '"bind", 10, "1234567890123456", 16',
	'"sendto", 1, "x", 1, 0', '"sendmsg", 1, 0, 0', '"ptrace", 16, 1', '"kill", 1, 0', '"tgkill", 1, 1, 0',
	'"clone", 17, 0', '"clone3", 0, 0', '"execve", "/bin/true", 0, 0',
	'"execveat", -100, "/bin/true", 0, 0, 0', '"io_uring_setup", 1, 0', '"memfd_create", "x", 0',
	'"mount", "none", "/tmp", "tmpfs", 0, 0', '"umount2", "/tmp", 0', '"bpf", 0, 0, 0', '"userfaultfd", 0',
	'"perf_event_open", 0, 0, -1, -1, 0', '"keyctl", 0, 0, 0', '"prctl", 22, 0', '"prctl", 4, 1',
	'"prctl", 1, 0', '"seccomp", 1, 0, 0', '"mprotect", 0, 4096, 4', '"pkey_mprotect", 0, 4096, 4, -1',
	'"mmap", 0, 4096, 4, 34, -1, 0', '"mmap", 0, 4096, 7, 34, -1, 0', '"mmap", 0, 4096, 5, 2, 10, 0',
	'"process_vm_readv", 1, 0, 0, 0, 0, 0', '"process_vm_writev", 1, 0, 0, 0, 0, 0',
	'"personality", 0x400000', '"unlinkat", -100, "Makefile", 0',
	'"renameat2", -100, "Makefile", -100, "escaped", 0', '"mkdirat", -100, "escaped", 511',
	'"linkat", -100, "Makefile", -100, "escaped", 0', '"symlinkat", "x", -100, "escaped"',
	'"fchmodat", -100, "Makefile", 511', '"ftruncate", 10, 0', '"fallocate", 10, 0, 0, 1',
	'"ioctl", 1, 0x5412, "x"', '"fcntl", 10, 0, 3', '"dup", 10', '"dup3", 10, 11, 0',
	'"pipe2", "12345678", 0', '"chdir", "/"', '"fchdir", 10', '"chroot", "/tmp"', '"unshare", 0x10000000',
	'"setns", 10, 0', '"pidfd_open", 1, 0', '"pidfd_getfd", 10, 0, 0', '"prlimit64", 0, 7, 0, 0',
	'"setuid", 0', '"sched_setaffinity", 0, 8, "12345678"', '"init_module", "x", 1, ""',
	'"kexec_load", 0, 0, 0, 0', '"reboot", 0, 0, 0, 0', '"getdents64", 10, "12345678", 8',
	'"write", 10, "x", 1', '"write", 3, "x", 1', '"writev", 1, 0, 0', '"pwrite64", 10, "x", 1, 0',
	'"sendfile", 1, 10, 0, 1', '"splice", 10, 0, 1, 0, 1, 0', '"copy_file_range", 10, 0, 1, 0, 1, 0',
	'"rt_sigaction", 31, 0, 0, 8', '"timer_create", 0, 0, "12345678"', '"landlock_create_ruleset", 0, 0, 1',
}

describe("a plugin that broke out of Lua", function()
	teardown(worker.cleanup)

	if storage.is_asan then
		it("is tried without the sanitizers only: their own calls are let through", function()
			pending("a build with sanitizers")
		end)
		return
	end

	for name, script in pairs(LIBRARIES) do
		it("cannot use " .. name, function()
			assert.equal(KILLED, broken(script))
		end)
	end

	for _, call in ipairs(CALLS) do
		it("cannot call " .. call, function()
			assert.equal(KILLED, broken("return syscall(" .. call .. ")"))
		end)
	end

	it("has no other door to the kernel", function()
		if output("uname -m") == "x86_64\n" then
			assert.equal(KILLED, broken("return int80(20)")) -- getpid of 32-bit programs
			assert.equal(KILLED, broken("return number(0x40000000 + 39)")) -- and of x32
			assert.equal(KILLED, broken("return number(0x40000000)")) -- read is allowed, but not there
		end
		assert.equal(KILLED, broken("return number(0xffffff)"))
		assert.equal(KILLED, broken("return number(-1)"))
	end)

	it("can read its input and compute", function()
		assert.equal("an input", broken('local s = ("x"):rep(8) return syscall("read", 10, s, 8) == 8 and s'))
		assert.equal("EBADF", broken('return select(2, syscall("read", 11, "12345678", 8))'))
		assert.equal("EBADF", broken('return select(2, syscall("read", 3, "12345678", 8))'))
		assert.equal("EACCES", broken('return select(2, syscall("mmap", 0, 4096, 3, 1, 10, 0))'))
		assert.equal("nil", broken('return os.getenv("PATH")'))
	end)

	it("leaves nothing behind", function()
		assert.is_nil(read("escaped"))
		assert.truthy(read("Makefile"))
	end)
end)

describe("a worker seen from outside", function()
	local tool

	local function worker_of(pid)
		local found
		storage.wait_until("the worker loops", function()
			local child = (read(("/proc/%d/task/%d/children"):format(pid, pid)) or ""):match("%d+")
			-- The first one only tells what the plugin declares; the second burns time for seconds.
			local stat = child and read("/proc/" .. child .. "/stat") or ""
			local ticks = tonumber(stat:match("%) R " .. ("%S+ "):rep(10) .. "(%d+)"))
			found = ticks and ticks >= 10 and child
			return found
		end)
		return found
	end

	local function is_gone(pid)
		local stat = read("/proc/" .. pid .. "/stat")
		return not stat or stat:find(") Z ", 1, true)
	end

	local function start(prefix)
		local out = worker.dir() .. "/out"
		tool = worker.start(prefix, out, "extract", "tests/fixtures/hostile", "endless", "", worker.dir())
		return worker_of(tool)
	end

	after_each(function()
		if tool then
			os.execute("kill -9 " .. tool .. " 2>/dev/null")
		end
		tool = nil
	end)
	teardown(worker.cleanup)

	it("has an empty environment, its own descriptors and the limits", function()
		local pid = start("CALL_MS=60000")
		local status, limits = read("/proc/" .. pid .. "/status"), read("/proc/" .. pid .. "/limits")
		assert.truthy(status:find("NoNewPrivs:\t1"))
		assert.truthy(status:find("Seccomp:\t2"))
		assert.truthy(limits:find("Max cpu time +%d+ +%d+ +seconds"), limits)
		for _, name in ipairs({ "file size", "core file size", "processes" }) do
			assert.truthy(limits:find("Max " .. name .. " +0 +0 "), name)
		end
		if not storage.is_asan then
			assert.truthy(limits:find("Max address space +%d+ +%d+ +bytes"), limits)
		end
		if storage.is_root then -- of one that is not dumpable, others see no more
			assert.equal("", read("/proc/" .. pid .. "/environ"))
			assert.equal("0\n1\n2\n", output("ls /proc/" .. pid .. "/fd"))
		end
	end)

	-- 1500 is beyond what spawn.c closes by hand where there is no close_range()
	for what, inject in pairs({ ["with"] = "", ["without"] = "-e inject=close_range:error=ENOSYS " }) do
		it("inherits no descriptor, " .. what .. " close_range", function()
			if not storage.is_root or not storage.has_strace or storage.is_asan then
				return pending("needs root and strace, and no sanitizer")
			end
			local pipe = io.popen(("ulimit -n 4096 && exec bash -c 'exec 1500</etc/passwd 77</etc/passwd; "
				.. "CALL_MS=60000 exec strace -f -qq -o /dev/null -e trace=close_range %s%s extract "
				.. 'tests/fixtures/hostile endless "" %s\' 2>&1 & echo $!'):format(inject, worker.TOOL,
				worker.dir()))
			local strace = pipe:read("n")
			storage.wait_until("the tool starts", function()
				local child = (read(("/proc/%d/task/%d/children"):format(strace, strace)) or ""):match("%d+")
				tool = child and (read("/proc/" .. child .. "/cmdline") or ""):find("^[^%z]*worker_tool%z") and child
				return tool
			end)
			local pid = worker_of(tool)
			local fds = output("ls /proc/" .. pid .. "/fd")
			os.execute("kill -9 " .. tool)
			pipe:close()
			assert.equal("0\n1\n2\n", fds)
		end)
	end

	it("dies with its host", function()
		local pid = start("CALL_MS=60000")
		os.execute("kill -9 " .. tool)
		storage.wait_until("the worker is gone", function()
			return is_gone(pid)
		end)
	end)
end)

describe("without its confinement", function()
	teardown(worker.cleanup)

	if not storage.has_strace or storage.is_asan then
		it("is tried with strace only", function()
			pending("needs strace, and no sanitizer")
		end)
		return
	end

	local function injecting(...)
		return "strace -f -qq -o /dev/null -e signal=none -e inject=" .. table.concat({ ... }, " -e inject=")
	end

	--- The message that a plugin's start ends with when a call fails; nil if it runs.
	local function message(...)
		return worker.message((worker.run(injecting(...), "describe", PLUGINS, "good")))
	end

	--- How doctor speaks of it.
	local function doctor(...)
		return output(("%s %s doctor 2>&1"):format(injecting(...), THHOST))
	end

	for when, text in ipairs({ "cannot set no_new_privs", "cannot become undumpable",
		"cannot bind the worker to its parent", "cannot install the system call filter" }) do
		it("runs no plugin: " .. text, function()
			local call = ("prctl:error=EINVAL:when=%d"):format(when)
			assert.truthy((message(call) or "it ran"):find(REFUSED .. text, 1, true), message(call))
			local said = doctor(call)
			assert.truthy(said:find("bad +plugin worker +" .. REFUSED .. text), said)
		end)
	end

	it("runs no plugin when a limit cannot be set", function()
		local refused = {}
		for when = 1, 20 do -- some of these calls ask only
			local said = message(("prlimit64:error=EPERM:when=%d"):format(when))
			if said then
				assert.truthy(said:find(REFUSED .. "cannot set RLIMIT_", 1, true), said)
				refused[said:match("RLIMIT_(%u+)")] = true
			end
		end
		assert.same({ CPU = true, FSIZE = true, NPROC = true, CORE = true, AS = true }, refused)
	end)

	it("leaves a limit that is tighter already", function()
		local trace = worker.dir() .. "/trace"
		output(("env -i strace -qq -o %s -e trace=prlimit64 /usr/bin/prlimit --as=100000000 %s --plugin-worker probe")
			:format(trace, THHOST))
		local _, n = read(trace):gsub("RLIMIT_AS, {rlim_cur=", "")
		assert.equal(1, n, read(trace)) -- that of the command prlimit
		assert.truthy(read(trace):find("RLIMIT_CORE, {rlim_cur=0, rlim_max=0", 1, true), read(trace))
	end)

	it("runs no plugin when descriptors cannot be closed", function()
		local probe = ("env -i %s %s --plugin-worker probe"):format(
			injecting("close_range:error=ENOSYS", "getdents64:error=EIO"), THHOST)
		assert.truthy(output(probe):find(REFUSED .. "cannot list the open descriptors", 1, true))
		assert.is_nil(message("close_range:error=ENOSYS"))
	end)

	it("runs no plugin in an environment", function()
		local said = output("env -i A=1 " .. THHOST .. " --plugin-worker probe")
		assert.truthy(said:find(REFUSED .. "the environment of the worker is not empty", 1, true), said)
	end)

	it("limits the address space also where /proc does not tell what is mapped", function()
		local trace = worker.dir() .. "/trace"
		local function probe(inject)
			output(("env -i strace -qq -o %s -e trace=prlimit64,openat %s %s --plugin-worker probe"):format(trace,
				inject, THHOST))
			return read(trace)
		end
		local _, opened = probe(""):match("^(.-)/proc/self/statm"):gsub("openat", "")
		local text = probe("-e inject=openat:error=ENOENT:when=" .. opened)
		assert.truthy(text:find("statm[^\n]*INJECTED"), text)
		assert.truthy(text:find("RLIMIT_AS, {rlim_cur=%d"), text)
	end)

	it("runs plugins without Landlock, and doctor says so", function()
		for _, call in ipairs({ "landlock_create_ruleset:error=ENOSYS",
			"landlock_restrict_self:error=EPERM" }) do
			assert.is_nil(message(call))
			local said = doctor(call)
			assert.truthy(said:find("note +plugin worker lacks +landlock\n"), said)
			assert.truthy(said:find("good +plugin worker +empty environment, closed descriptors, no_new_privs, "
				.. "resource limits, seccomp\n"), said)
		end
	end)
end)

describe("doctor", function()
	it("names every part that is in force", function()
		local said = output(THHOST .. " doctor 2>&1")
		local parts = assert(said:match("good +plugin worker +([^\n]*)"), said)
		for _, part in ipairs({ "empty environment", "closed descriptors", "no_new_privs", "resource limits",
			"seccomp" }) do
			assert.truthy(parts:find(part, 1, true), parts)
		end
		local lacks = said:find("plugin worker lacks +landlock")
		assert.truthy(parts:find("landlock abi %d") or lacks, said)
	end)
end)
