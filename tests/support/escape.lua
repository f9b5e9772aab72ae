--- What a trace of strace says about workers: did one do what the design does not let it do?
local M = {}

--- The trace must hold these at least; what else a worker may do is left out for its bulk.
M.OPTIONS = "-f -q -ttt -e 'signal=!CHLD,PIPE' -e 'trace=!rt_sigaction,rt_sigprocmask,poll,brk,munmap,mremap,pread64'"

-- After its filter stands; what the filter lets through beyond these is what no worker needs.
local ALLOWED = { read = true, pread64 = true, lseek = true, fstat = true, close = true,
	mmap = true, madvise = true, futex = true, clock_gettime = true, gettimeofday = true, getrandom = true,
	setitimer = true, restart_syscall = true, exit = true, exit_group = true, write = true }

-- Of the host: what runs before a worker is confined, and beside it.
local FORBIDDEN = { socket = true, socketpair = true, connect = true, bind = true, fork = true, clone = true,
	clone3 = true, unlink = true, unlinkat = true, rename = true, renameat = true, renameat2 = true, mkdir = true,
	mkdirat = true, truncate = true, ftruncate = true, creat = true, link = true, linkat = true, symlink = true,
	symlinkat = true, chmod = true, fchmod = true, fchmodat = true, mknodat = true }

local OUTSIDE = { "hostile_secret", "/etc/passwd", "/environ", "escaped" }

local function is_bad_for_worker(call, args)
	if call == "write" then
		return not args:find("^[12],")
	end
	return not ALLOWED[call] or (call == "mmap" and args:find("PROT_EXEC", 1, true))
end

local function is_bad_for_host(call, args, result, tool)
	if call == "open" or call == "openat" or call == "openat2" then
		if result:find("^= %-1") then
			return false
		end
		for _, name in ipairs(OUTSIDE) do
			if args:find(name, 1, true) then
				return true
			end
		end
		return args:find("O_WRONLY") or args:find("O_RDWR") or args:find("O_CREAT")
	elseif call == "execve" then
		return not args:find(tool, 1, true)
	end
	return FORBIDDEN[call]
end

---@class support.Trace
---@field workers integer processes that confined themselves
---@field denied integer calls that ended their worker
---@field escapes string[] lines of calls that must not have been
---@field left string[] workers whose end is not in the trace
---@field longest number seconds that a worker lived

--- Read a trace that was written with M.OPTIONS.
---@param path string
---@param tool string the program under strace
---@return support.Trace
function M.read(path, tool)
	local trace = { workers = 0, denied = 0, escapes = {}, left = {}, longest = 0 }
	local confined, suspect, started = {}, {}, {}
	for line in io.lines(path) do
		local pid, time, rest = line:match("^(%d+) +([%d.]+) (.*)")
		local call, args = rest:match("^([%w_]+)%((.*)")
		if suspect[pid] and not rest:find("^%-%-%- ") then
			if rest:find("^%+%+%+ killed by SIGSYS") then
				trace.denied = trace.denied + 1
			else
				table.insert(trace.escapes, suspect[pid])
			end
			suspect[pid] = nil
		end
		started[pid] = started[pid] or tonumber(time)
		if rest:find("^%+%+%+ ") then
			if confined[pid] then
				trace.longest = math.max(trace.longest, tonumber(time) - started[pid])
			end
			confined[pid], started[pid] = nil, nil
		elseif call == "prctl" and args:find("PR_SET_SECCOMP", 1, true) and not confined[pid] then
			confined[pid] = true
			trace.workers = trace.workers + 1
		elseif call and confined[pid] and is_bad_for_worker(call, args) then
			suspect[pid] = line
		elseif call and not confined[pid] and is_bad_for_host(call, args, args:match("= .*$") or "", tool) then
			table.insert(trace.escapes, line)
		end
	end
	for pid, line in pairs(suspect) do
		table.insert(trace.escapes, pid .. ": " .. line)
	end
	for pid in pairs(confined) do
		table.insert(trace.left, pid)
	end
	return trace
end

return M
