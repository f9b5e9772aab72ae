--- System calls that fail, in the real program over a real tree: a rig that goes back to its start
--- before each fault, and the faults.
local cli = require "support.cli"
local shim = require "support.shim"
local torture = require "support.torture"

local M = {}

-- What a call can answer; one that is not named gets EIO. strace would leave open what close() was
-- asked to close, which no kernel does: the shim makes it report an error.
local ERRNOS = {
	{ "open openat openat2 mkdir mkdirat linkat symlinkat renameat renameat2 unlinkat",
		"EIO ENOSPC EDQUOT EROFS EACCES ESTALE EINTR" },
	{ "open openat openat2 pipe2 vfork fork clone clone3 signalfd4 pidfd_open", "EMFILE ENOMEM" },
	{ "read pread64 getdents64 readlink readlinkat", "EIO EINTR ESTALE" },
	{ "write pwrite64", "EIO ENOSPC EDQUOT EINTR ESTALE" },
	{ "fsync", "EIO ENOSPC EDQUOT EINTR ESTALE" },
	{ "ftruncate fchmod fchown fsetxattr fremovexattr", "EIO ENOSPC EDQUOT EROFS EACCES ESTALE" },
	{ "newfstatat fstat statfs fstatfs faccessat2 access getcwd flistxattr fgetxattr",
		"EIO EACCES ESTALE" },
	{ "fcntl", "EIO EINTR ENOLCK ESTALE" },
	{ "wait4 waitid poll getrandom", "EINTR" },
}

-- Memory, identity, signals and the end are nothing that a disk could refuse.
local IGNORED = "mmap munmap mremap brk mprotect madvise exit_group restart_syscall rt_sigaction "
	.. "rt_sigprocmask rt_sigreturn getpid gettid geteuid getegid uname kill lseek futex prctl "

-- So many faults of one sweep are shown.
local SHOWN = 20

-- The first thing that main() does.
local MARK = "^fcntl%(0[^,]*, F_GETFD"

---@class torture.Call
---@field [1] string its name
---@field [2] integer it is the k-th of that name
---@field on_disk boolean not on a pipe, which no disk can fail

---@param call torture.Call
---@return string[]
local function errnos_of(call)
	local list = {}
	for _, row in ipairs(ERRNOS) do
		if (" " .. row[1] .. " "):find(" " .. call[1] .. " ", 1, true) then
			for errno in row[2]:gmatch("%S+") do
				if call.on_disk or errno == "EINTR" then
					list[#list + 1] = errno
				end
			end
		end
	end
	local is_other = #list == 0 and call.on_disk and call[1] ~= "close"
	return is_other and { "EIO" } or list
end

-- Faults ---------------------------------------------------------------------------------------

---@class torture.Fault
---@field name string of the call
---@field k integer the k-th of its name
---@field errno? string its answer; without it thhost is killed there
---@field for_ever? boolean this call and all of its name that follow
---@field shim? "after"|"half" it does its work and reports the error, or does half of it

---@param fault torture.Fault
---@return string
function M.tell(fault)
	local how = fault.errno or "SIGKILL"
	if fault.shim == "half" then
		how = "half of it"
	elseif fault.shim then
		how = "done, but " .. how
	end
	return ("%s at %s %d%s"):format(how, fault.name, fault.k, fault.for_ever and " and on" or "")
end

--- Each call once with each errno.
---@param calls torture.Call[]
---@return torture.Fault[]
function M.each_errno(calls)
	local faults = {}
	for _, call in ipairs(calls) do
		for _, errno in ipairs(errnos_of(call)) do
			faults[#faults + 1] = { name = call[1], k = call[2], errno = errno }
		end
	end
	return faults
end

--- From each call on, those of its name fail for ever.
function M.each_for_ever(calls, errno)
	local faults = {}
	for _, call in ipairs(calls) do
		if call.on_disk and not ("close poll getrandom wait4 waitid "):find(call[1] .. " ", 1, true) then
			faults[#faults + 1] = { name = call[1], k = call[2], errno = errno, for_ever = true }
		end
	end
	return faults
end

--- Killed at each call.
function M.each_kill(calls)
	local faults = {}
	for _, call in ipairs(calls) do
		faults[#faults + 1] = { name = call[1], k = call[2] }
	end
	return faults
end

local AFTER = "renameat2 renameat linkat symlinkat unlinkat mkdirat mkdir fsync close ftruncate fchmod "
	.. "fchown fremovexattr write pwrite openat "

--- Each call that changes something does its work and reports an error, or only half of its work.
---@param most integer of one name; those that do not happen are no faults
function M.each_shim(most)
	local faults = {}
	for name in AFTER:gmatch("%S+") do
		for k = 1, most do
			faults[#faults + 1] = { name = name, k = k, errno = "EIO", shim = "after" }
		end
	end
	for name in ("write pwrite read pread"):gmatch("%S+") do
		for k = 1, most do
			faults[#faults + 1] = { name = name, k = k, shim = "half" }
		end
	end
	return faults
end

--- 'n' of them, by the seed; in the long form all.
---@generic T
---@param faults T[]
---@param n integer
---@return T[]
function M.sample(faults, n)
	if torture.is_long then
		return faults
	end
	math.randomseed(torture.seed)
	for i = 1, math.min(n, #faults) do
		local j = math.random(i, #faults)
		faults[i], faults[j] = faults[j], faults[i]
	end
	return { table.unpack(faults, 1, math.min(n, #faults)) }
end

-- The rig --------------------------------------------------------------------------------------

---@class torture.Rig
---@field tree support.Tree
---@field home string what must not be in the tree
---@field shim boolean the shim can be preloaded
---@field wrong string[] what the sweeps have found
local Rig = {}
Rig.__index = Rig

--- 'tree' as it is now is the start of each fault.
---@param tree support.Tree
---@return torture.Rig
function M.rig(tree)
	local home = cli.temp_dir()
	local rig = setmetatable({ tree = tree, home = home, shim = shim.library() ~= nil, wrong = {} }, Rig)
	rig:begin_here()
	return rig
end

--- The tree as it is now is the start.
function Rig:begin_here()
	cli.shell(("rm -rf %s/start && cp -a %s %s/start"):format(self.home, self.tree.dir, self.home))
end

function Rig:close()
	cli.remove(self.home)
	self.tree:close()
end

--- Back to the start.
function Rig:reset()
	cli.shell(("rm -rf %s && cp -a %s/start %s && rm -f %s/hit"):format(self.tree.dir, self.home,
		self.tree.dir, self.home))
end

--- Run thhost with 'prefix' before it; every place that it may spool to is below the tree.
---@param args string[]
---@param prefix? string
---@return support.Result
function Rig:run(args, prefix)
	return self.tree:run(args, { prefix = prefix, env = { TMPDIR = self.tree.dir .. "/tmp" } })
end

--- Run it two minutes later: what a killed process left is old enough then to be removed.
function Rig:run_later(args)
	if not self.shim then
		return self:run(args)
	end
	cli.write(self.home .. "/clock", "120")
	return self:run(args, table.concat(shim.prefix { clock = self.home .. "/clock" }, " "))
end

function Rig:trace()
	return cli.read(self.home .. "/trace") or ""
end

local NUMBERS = { EIO = 5 }

---@param fault torture.Fault
---@return string
function Rig:prefix(fault)
	if fault.shim then
		return table.concat(shim.prefix { hit = self.home .. "/hit", call = fault.name, when = fault.k,
			half = fault.shim == "half" and 1 or nil, error = NUMBERS[fault.errno] }, " ")
	end
	local what = fault.errno and "error=" .. fault.errno or "signal=KILL"
	return ("timeout -s KILL 60 strace -qq -y -o %s/trace -e inject=%s:%s:when=%d%s"):format(self.home,
		fault.name, what, fault.k, fault.for_ever and "+" or "")
end

--- Did the fault of the last run come about?
---@param fault torture.Fault
---@return boolean
function Rig:was_hit(fault)
	if fault.shim then
		return cli.read(self.home .. "/hit") ~= nil
	end
	local line = self:trace():match("[^\n]*%(INJECTED%)")
	-- Now and then another call is the k-th, and that may be one on a pipe.
	local on_pipe = line and line:find("^%w+%(%d+<pipe:")
	return not fault.errno or (line ~= nil and (fault.errno == "EINTR" or not on_pipe))
end

--- Each call of this command from main() on, as { name, k }: the k-th of its name.
---@param args string[]
---@return torture.Call[]
function Rig:calls(args)
	self:reset()
	self:run(args, ("strace -qq -y -o %s/trace"):format(self.home))
	local list, count, has_begun = {}, {}, false
	for line in self:trace():gmatch("[^\n]+") do
		local name = line:match("^([%w_]+)%(")
		has_begun = has_begun or line:find(MARK) ~= nil
		if name then
			count[name] = (count[name] or 0) + 1
			if has_begun and not IGNORED:find(name .. " ", 1, true) then
				local target = line:match("^[%w_]+%(%d+<([^>]*)>") or ""
				list[#list + 1] = { name, count[name], on_disk = not target:find("^pipe:")
					and not target:find("^anon_inode") }
			end
		end
	end
	assert(#list > 30, "the trace is too short")
	return list
end

--- Files that must not stay: temporary ones, and what waits in a spool.
---@return string[]
function Rig:leftovers()
	local found = cli.shell(([[find %s -name '*.tmp.*' -o -path '*spool*' -name '*.json']])
		:format(self.tree.dir))
	local list = {}
	for path in found:gmatch("[^\n]+") do
		list[#list + 1] = path:sub(#self.tree.dir + 2)
	end
	return list
end

--- Run one fault from the start; what is wrong, or nil, and whether it came about.
function Rig:try(args, fault, check)
	self:reset()
	local result = self:run(args, self:prefix(fault))
	if not self:was_hit(fault) then
		return nil, false
	end
	local fine, said = pcall(check, fault, result)
	if fine and not said then
		return nil, true
	end
	return ("%s: %s (status %s)\n%s"):format(M.tell(fault), said, result.status, result.err), true
end

--- Try each fault; verdict() tells. 'check' gets the fault and the result, and gives what is wrong.
---@param what string for the figure
---@param args string[]
---@param faults torture.Fault[]
---@param check fun(fault: torture.Fault, result: support.Result): string?
function Rig:sweep(what, args, faults, check)
	local clock, n, wrong, missed = torture.clock(), 0, {}, {}
	for _, fault in ipairs(faults) do
		-- The k-th did not come: the following do not either.
		if fault.k < (missed[fault.name] or math.huge) then
			local said, was_hit = self:try(args, fault, check)
			n = n + (was_hit and 1 or 0)
			wrong[#wrong + 1] = said
			missed[fault.name] = not was_hit and fault.k or missed[fault.name]
		end
	end
	torture.figure("syscalls", what, n, #wrong, clock())
	assert(n > 0, what .. ": nothing was tried")
	if #wrong > 0 then
		local first = table.concat(wrong, "\n", 1, math.min(#wrong, SHOWN))
		self.wrong[#self.wrong + 1] = ("%s: %d of %d\n%s"):format(what, #wrong, n, first)
	end
end

--- Fails if any of the sweeps has found something.
function Rig:verdict()
	assert(#self.wrong == 0, table.concat(self.wrong, "\n"))
end

return M
