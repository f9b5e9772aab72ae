--- What the storage specs share: directories, processes, and entries by their steps.
local unit = require "unit"

local file, store = unit.file, unit.store

local M = {}

M.RECORD = "training_info.json"
M.is_root = io.popen("id -u"):read("l") == "0"
M.has_strace = os.execute("strace -qq -o /dev/null true 2>/dev/null") == true
M.is_asan = os.getenv("THHOST_MODE") == "asan"

--- A word that a shell takes as it is.
function M.quote(text)
	return "'" .. text:gsub("'", "'\\''") .. "'"
end

function M.shell(command, ...)
	local words = { ... }
	for i, word in ipairs(words) do
		words[i] = M.quote(word)
	end
	assert(os.execute(command:format(table.unpack(words))), command)
end

function M.output(command)
	local pipe = assert(io.popen(command))
	local text = pipe:read("a")
	pipe:close()
	return text
end

function M.temp_dir()
	return (M.output("mktemp -d"):gsub("\n", ""))
end

function M.remove(dir)
	assert(dir:match("/tmp[./]"), dir)
	os.execute("rm -rf " .. M.quote(dir))
end

--- nil where there is no such file.
function M.read(path)
	local handle = io.open(path, "rb")
	if not handle then
		return nil
	end
	local text = handle:read("a")
	handle:close()
	return text
end

function M.write(path, text)
	local handle = assert(io.open(path, "wb"))
	assert(handle:write(text))
	assert(handle:close())
end

--- Replace a file as Python's os.replace() does: at once, and without our lock.
function M.replace(path, text)
	M.write(path .. ".foreign", text)
	assert(os.rename(path .. ".foreign", path))
end

--- The names in 'dir' that hold 'part' (plain text).
function M.names_with(dir, part)
	local found = {}
	for _, name in ipairs(assert(file.list(dir))) do
		if name:find(part, 1, true) then
			found[#found + 1] = name
		end
	end
	return found
end

--- Poll until 'ready' holds; fails the test at the deadline.
function M.wait_until(what, ready, seconds)
	local left = (seconds or 20) * 1000
	while not ready() do
		assert(left > 0, "never happened: " .. what)
		left = left - 2
		file.nap(2000)
	end
end

--- While an append, traced with "inject=renameat:signal=STOP:when=1", halts before the exchange: do
--- 'meanwhile', then let it go on.
---@param dir string
---@param meanwhile fun()
function M.before_exchange(dir, meanwhile)
	local pid
	M.wait_until("the stop before the exchange", function()
		local name = M.names_with(dir, ".tmp.")[1] or ""
		pid = tonumber(name:match("%.tmp%.(%d+)%.%x+%.%x+%.%x+$"))
		return pid and M.read("/proc/" .. pid .. "/stat"):find("%) [tT] ")
	end)
	meanwhile()
	file.kill(pid, 18)
end

--- The steps of each entry in the text of a record, in order.
function M.steps_of(text)
	local list = {}
	local history = assert(text:match('"training_history": (%b[])'), "no history")
	for steps in history:gmatch('"steps": (%d+)') do
		list[#list + 1] = tonumber(steps)
	end
	return list
end

--- The same of the record in 'dir', which must be JSON; {} without a record.
function M.steps(dir)
	local text = M.read(dir .. "/" .. M.RECORD)
	if not text then
		return {}
	end
	assert(unit.json.check(text))
	return M.steps_of(text)
end

function M.append(dir, steps, more)
	local request = { steps = steps, path = dir .. "/" .. M.RECORD }
	for key, value in pairs(more or {}) do
		request[key] = value
	end
	return store.append(dir, request)
end

--- For a test that needs what this machine may lack: say so, or fail where CI promises it.
function M.skip_without(condition, word)
	if condition then
		return false
	end
	assert(os.getenv("CI") ~= "true", "CI must have it: " .. word)
	return true
end

return M
