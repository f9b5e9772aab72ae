--- Writers that see one artifact root under several mount points, and as several hosts.
local cli = require "support.cli"
local storage = require "support.storage"
local file = require("unit").file

local M = {}

--- The stage directory that everybody here records in, below an artifact root.
M.STAGE = "/exp_1/stage1_hrds"

---@class support.Writer
---@field root string the artifact root as this writer sees it
---@field enter? string shell words put in front, such as "nsenter -t 4711 -m -u"

--- The shell command of one append.
---@param writer support.Writer
---@param steps integer|string a number, or a shell variable that holds it
---@return string
function M.record(writer, steps)
	return ("env THHOST_ROOT=%s %s %s record stage1 -d hrds --steps %s"):format(
		cli.quote(writer.root), writer.enter or "", cli.thhost, steps)
end

-- Says after each append which it was and how it ended.
local LOOP = "i=%d; while [ $i -lt %d ]; do i=$((i + 1)); %s >/dev/null; echo $i $?; done"

---@param writer support.Writer
local function start(writer, from, count, dir)
	local path = ("%s/%d"):format(dir, from)
	local command = LOOP:format(from, from + count, M.record(writer, "$i"))
	return { pid = file.spawn { "sh", "-c", command, out = path, err = path .. ".err" }, path = path }
end

--- What the writers say, by steps; and what they complained of.
local function outcomes(writers)
	local status, said = {}, {}
	for _, writer in ipairs(writers) do
		for steps, code in storage.read(writer.path):gmatch("(%d+) (%d+)\n") do
			status[tonumber(steps)] = tonumber(code)
		end
		said[#said + 1] = storage.read(writer.path .. ".err")
	end
	return status, table.concat(said)
end

--- How often `found` breaks the promise, after appends on top of `before` that ended with `status`:
--- what was there stays in place, status 0 is there once, any other but 8 is not there.
---@param before integer[] steps of the entries, in order
---@param found integer[]
---@param status table<integer, integer> status by steps
---@return integer violations
function M.violations(before, found, status)
	local count, wrong = {}, 0
	for _, steps in ipairs(found) do
		count[steps] = (count[steps] or 0) + 1
	end
	for i, steps in ipairs(before) do
		wrong = wrong + (found[i] == steps and 0 or 1)
		count[steps] = nil
	end
	for steps, code in pairs(status) do
		local n = count[steps] or 0
		local is_right = code == 0 and n == 1 or code == 8 and n <= 1 or code ~= 0 and n == 0
		wrong = wrong + (is_right and 0 or 1)
		count[steps] = nil
	end
	for _ in pairs(count) do -- nobody wrote it
		wrong = wrong + 1
	end
	return wrong
end

--- All at once, `each` appends per writer; `during` may disturb them.
---@param writers support.Writer[] the first one's root is where the record is read
---@param each integer
---@param during? fun()
---@return { tried: integer, done: integer, violations: integer, said: string }
function M.race(writers, each, during)
	local dir = storage.temp_dir()
	local stage = writers[1].root .. M.STAGE
	local before = storage.steps(stage)
	local started = {}
	for i, writer in ipairs(writers) do
		started[i] = start(writer, (#before + i) * 10000, each, dir)
	end
	if during then
		during()
	end
	for _, writer in ipairs(started) do
		file.wait(writer.pid, 600000)
	end
	local status, said = outcomes(started)
	storage.remove(dir)
	local done, tried = 0, 0
	for _, code in pairs(status) do
		tried = tried + 1
		done = done + (code == 0 and 1 or 0)
	end
	local missing = #writers * each - tried
	return { tried = tried, done = done, said = said,
		violations = missing + M.violations(before, storage.steps(stage), status) }
end

return M
