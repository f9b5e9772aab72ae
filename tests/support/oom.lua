--- A build of thhost whose N-th allocation fails (tests/torture/oom.c), with its plan beside it.
local cli = require "support.cli"

local M = {}

local FORMAT = "<i8i8i8i8i8i8i8"

--- Whose allocations: the program's own, the plugin workers', those of what it forks (the capture);
--- or those that Lua makes in a worker, each in turn (oom_lua.c).
M.roles = { main = 0, worker = 1, forked = 2, lua = 3 }

---@class support.Oom
---@field dir string
---@field path string
---@field env table<string, string> what it needs in its environment
local Program = {}
Program.__index = Program

--- The program in a directory of its own, as if installed there; gone when it goes out of scope.
---@param binary string
---@param env table<string, string>
---@return support.Oom
local function install(binary, env)
	local dir = cli.temp_dir()
	cli.shell(("mkdir -p %s/bin %s/share/thhost && cp %s %s/bin/thhost && ln -s \"$PWD/plugins\" %s/share/thhost/plugins")
		:format(dir, dir, cli.quote(binary), dir, dir))
	return setmetatable({ dir = dir, path = dir .. "/bin/thhost", env = env }, Program)
end

--- Under the address sanitizer, whatever MODE is; our own code and the libraries linked in.
function M.sanitized()
	return install("build/asan/tests/oom/thhost", {
		ASAN_OPTIONS = "detect_leaks=1:exitcode=99",
		LSAN_OPTIONS = "exitcode=99",
	})
end

--- The plain program; what libc allocates for itself too, but not in the workers.
function M.plain()
	return install("build/bin/thhost", { LD_PRELOAD = cli.shell("pwd") .. "/build/tests/oom.so" })
end

Program.__close = function(self)
	cli.remove(self.dir)
end

--- What is to fail.
---@class support.OomPlan
---@field role integer M.roles
---@field at integer the number of the allocation that fails; 0: none
---@field for_ever boolean and all after it

---@param plan support.OomPlan
function Program:arm(plan)
	cli.write(self.path .. ".plan", string.pack(FORMAT, plan.role, plan.at, plan.for_ever and 1 or 0,
		0, 0, 0, 0))
end

--- How many allocations each role has made since, and how many of them failed.
---@return integer[] counts by role
---@return integer failed
function Program:counts()
	local text = assert(cli.read(self.path .. ".plan"))
	local _, _, _, main, worker, forked, failed = string.unpack(FORMAT, text)
	return { [0] = main, worker, forked }, failed
end

--- How many had failed when the plan was copied.
---@param plan string
---@return integer
function M.failed(plan)
	return (select(7, string.unpack(FORMAT, plan)))
end

--- The numbers to try: all, or a sample.
---@param total integer
---@param sample integer|nil nil: all
---@return integer[]
function M.numbers(total, sample)
	local numbers = {}
	if not sample or sample >= total then
		for i = 1, total do
			numbers[i] = i
		end
		return numbers
	end
	for i = 1, sample do -- one from each part, so that early and late ones are there
		local from = (i - 1) * total // sample + 1
		numbers[i] = math.random(from, i * total // sample)
	end
	return numbers
end

return M
