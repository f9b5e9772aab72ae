--- Each call of the C library that an operation makes fails, once and from then on: see fail.c. The
--- operation runs in a process of its own behind the preloaded library, over and over, and says what is
--- wrong.
local storage = require "support.storage"
local unit = require "unit"

local setenv = unit.conf.setenv

local M = {}

-- Beside EIO: what makes the code take another way, by the name of the call.
local ERRORS = {
	renameat2 = { EINVAL = 22, EEXIST = 17 },
	linkat = { EPERM = 1, EEXIST = 17 },
	syscall = { ENOSYS = 38, EAGAIN = 11, ENOENT = 2, EACCES = 13 },
	openat = { EACCES = 13, ENOENT = 2, ELOOP = 40 },
	fstatat = { ENOENT = 2 },
	mkdirat = { EEXIST = 17 },
	fchown = { EPERM = 1 },
	fgetxattr = { EACCES = 13, ENODATA = 61 },
	fsetxattr = { EOPNOTSUPP = 95 },
	flistxattr = { EOPNOTSUPP = 95 },
	fsync = { EINVAL = 22 },
	unlinkat = { ENOENT = 2 },
	read = { EINTR = 4 },
	pread = { EINTR = 4 },
	write = { EINTR = 4 },
	poll = { EINTR = 4 },
	fcntl = { EINTR = 4, EAGAIN = 11 },
}

-- More calls than any operation makes.
local MOST = 400

local function open_files()
	return #assert(unit.file.list("/proc/self/fd"))
end

-- Whoever waits would do so for ever; so would a case that 'waits' for what it reads.
local ONCE = { poll = true }

--- One fault.
---@class support.SweepFault
---@field k integer the number of the call that fails
---@field errno string its name
---@field number integer
---@field for_ever? boolean so do all of its name after it
---@field also? string what always fails, as FAIL_ALSO has it

--- Run the operation with its k-th call failing; the name of that call, nil if there were fewer.
---@param fault support.SweepFault
local function run(case, dir, fault)
	if not case.once then
		storage.shell("rm -rf %s/* %s/.[!.]*", dir, dir)
		case.ready(dir)
	end
	setenv("FAIL_ERROR", tostring(fault.number))
	setenv("FAIL_HIT", nil)
	setenv("FAIL_ON", fault.for_ever and "1" or nil)
	setenv("FAIL_ALSO", fault.also)
	setenv("FAIL_AT", tostring(fault.k))
	local results = table.pack(pcall(case.act, dir))
	setenv("FAIL_AT", nil)
	return os.getenv("FAIL_HIT"), results
end

--- What is wrong with how the operation ended, or nil.
---@param fault support.SweepFault
local function judge(case, dir, hit, fault, results, files)
	local errno = fault.errno
	local done, message = results[2], results[3]
	if not results[1] then -- the helpers of the specs open the directory, and raise
		done, message = nil, results[2]
	end
	if open_files() ~= files then
		return ("%d files were open, now %d"):format(files, open_files())
	end
	if not done and (type(message) ~= "string" or #message == 0) then
		return "failed without a message"
	end
	if not done and errno == "EIO" and not message:find("EIO", 1, true) then
		return "does not name the error: " .. message
	end
	if not done and errno == "EINTR" and hit ~= "fcntl" then
		return "an interrupted call was not made again: " .. message
	end
	local may_leave = hit == "unlinkat" or fault.for_ever or case.once or case.may_leave
	if not may_leave and os.execute(("find '%s' -name '*.tmp.*' | grep -q ."):format(dir)) then
		return "leaves a temporary file"
	end
	return case.fine and case.fine(dir, done, hit, errno)
end

--- The whole sweep of one case; prints its faults and, last, how many were tried.
---@param case table { ready, act, fine?, once?, waits?, may_leave?, also? }, see the cases
---@param dir string
function M.main(case, dir)
	local n = 0
	if case.once then
		case.ready(dir)
	end
	local function try(fault)
		collectgarbage()
		local files = open_files()
		local hit, results = run(case, dir, fault)
		local said = hit and judge(case, dir, hit, fault, results, files)
		n = n + (hit and 1 or 0)
		if said then
			print(("%s%s at call %d, %s (%s): %s"):format(fault.errno, fault.for_ever and " on" or "", fault.k,
				hit, fault.also or "", said))
		end
		return hit
	end
	local function sweep(also)
		for k = 1, MOST do
			local name = try { k = k, errno = "EIO", number = 5, also = also }
			if not name then
				return
			end
			if not ONCE[name] and not case.waits then
				try { k = k, errno = "EIO", number = 5, for_ever = true, also = also }
			end
			for errno, number in pairs(ERRORS[name] or {}) do
				try { k = k, errno = errno, number = number, also = also }
			end
		end
	end
	sweep()
	for _, also in ipairs(case.also or {}) do
		sweep(also)
	end
	print(n .. " faults")
end

return M
