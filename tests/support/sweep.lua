--- Each call of the C library that an operation makes fails once: see fail.c. The operation runs in a
--- process of its own behind the preloaded library, over and over, and says what is wrong.
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

--- Run the operation with its k-th call failing; the name of that call, nil if there were fewer.
local function run(case, dir, k, number)
	if not case.once then
		storage.shell("rm -rf %s/* %s/.[!.]*", dir, dir)
		case.ready(dir)
	end
	setenv("FAIL_ERROR", tostring(number))
	setenv("FAIL_HIT", nil)
	setenv("FAIL_AT", tostring(k))
	local results = table.pack(pcall(case.act, dir))
	setenv("FAIL_AT", nil)
	return os.getenv("FAIL_HIT"), results
end

--- What is wrong with how the operation ended, or nil.
local function judge(case, dir, hit, errno, results, files)
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
	local may_leave = hit == "unlinkat" or case.once or case.may_leave
	if not may_leave and os.execute(("find '%s' -name '*.tmp.*' | grep -q ."):format(dir)) then
		return "leaves a temporary file"
	end
	return case.fine and case.fine(dir, done, hit, errno)
end

--- The whole sweep of one case; prints its faults and, last, how many were tried.
---@param case table { ready, act, fine?, once?, may_leave? }, see the spec
---@param dir string
function M.main(case, dir)
	local n = 0
	if case.once then
		case.ready(dir)
	end
	local function try(k, errno, number)
		collectgarbage()
		local files = open_files()
		local hit, results = run(case, dir, k, number)
		local said = hit and judge(case, dir, hit, errno, results, files)
		n = n + (hit and 1 or 0)
		if said then
			print(("%s at call %d, %s: %s"):format(errno, k, hit, said))
		end
		return hit
	end
	for k = 1, MOST do
		local name = try(k, "EIO", 5)
		if not name then
			break
		end
		for errno, number in pairs(ERRORS[name] or {}) do
			try(k, errno, number)
		end
	end
	print(n .. " faults")
end

return M
