--- Processes beside each other on one tree (tests/torture/actors.lua), for the specs that start them.
local assert = require "luassert"
local unit = require "unit"
local storage = require "support.storage"

local file = unit.file

local M = {}

M.LINE = 43 -- bytes that a writer prints for each entry

---@class support.Actor
---@field role string
---@field pid integer
---@field job table what it was told
---@field out string path of its stdout
---@field err string path of its stderr

local function as_text(value)
	if type(value) ~= "table" then
		return ("%q"):format(value)
	end
	local fields = {}
	for key, field in pairs(value) do
		fields[#fields + 1] = ("[%q] = %s"):format(key, as_text(field))
	end
	return "{ " .. table.concat(fields, ", ") .. " }"
end

--- A group of them, which ends together.
---@class support.Actors
---@field home string directory for what they print
---@field common table fields of every job
---@field all support.Actor[]
---@field killed table<integer, boolean> pids
local Actors = {}
Actors.__index = Actors

---@param home string
---@param common table
---@return support.Actors
function M.group(home, common)
	common.stop = home .. "/stop"
	common.thhost = os.getenv("THHOST")
	return setmetatable({ home = home, common = common, all = {}, killed = {} }, Actors)
end

--- A process that knows of none of this: it ends when the file M.stop is there.
---@param argv string[]
---@return support.Actor
function Actors:start_other(argv)
	local name = ("%s/other%d"):format(self.home, #self.all + 1)
	local actor = { role = "other", out = name .. ".out", err = name .. ".err" }
	argv.out, argv.err = actor.out, actor.err
	actor.pid = file.spawn(argv)
	self.all[#self.all + 1] = actor
	return actor
end

---@param role string
---@param job table
---@return support.Actor
function Actors:start(role, job)
	local base = #self.all + 1
	local name = ("%s/%s%d"):format(self.home, role, base)
	local whole = { base = base, seed = base }
	for _, source in ipairs({ self.common, job }) do
		for key, value in pairs(source) do
			whole[key] = value
		end
	end
	local actor = { role = role, job = whole, out = name .. ".out", err = name .. ".err" }
	actor.pid = file.spawn({ "env", "LD_PRELOAD=" .. (whole.preload or os.getenv("LD_PRELOAD") or ""),
		"lua5.4", "tests/torture/actors.lua", role, as_text(whole), out = actor.out, err = actor.err })
	self.all[base] = actor
	return actor
end

--- Kill it and what it has started.
function Actors:kill(actor)
	assert(not actor.how, "it has ended: " .. (storage.read(actor.err) or ""))
	file.kill(-actor.pid, 9)
	actor.how = file.wait(actor.pid)
	assert.equal("signal", actor.how, storage.read(actor.err))
	self.killed[actor.pid] = true
end

--- True while none of them has ended by itself; fails with its words if one has.
function Actors:check()
	for _, actor in ipairs(self.all) do
		if not actor.how and file.wait(actor.pid, 0) then
			actor.how = "exit"
			error(actor.role .. " ended: " .. storage.read(actor.err))
		end
	end
	return true
end

--- Let all come to their end; fails unless each ends well.
function Actors:finish()
	storage.write(self.common.stop, "")
	for _, actor in ipairs(self.all) do
		if not actor.how then
			local how, status = file.wait(actor.pid, 120000)
			actor.how = how or "late"
			assert.same({ "exit", 0 }, { how, status }, actor.role .. ": " .. storage.read(actor.err))
		end
	end
end

--- For after_each: nothing runs on, whatever went wrong.
function Actors:abandon()
	for _, actor in ipairs(self.all) do
		if not actor.how or actor.how == "late" then
			file.kill(-actor.pid, 18) -- SIGCONT
			file.kill(-actor.pid, 9)
			file.wait(actor.pid)
			actor.how = "signal"
		end
	end
end

--- How many entries the writers have said to be recorded.
function Actors:count()
	local bytes = 0
	for _, actor in ipairs(self.all) do
		if actor.role == "append" or actor.role == "record" then
			bytes = bytes + file.version(self.home, actor.out:match("[^/]+$")).size
		end
	end
	return bytes // M.LINE
end

--- What a writer has said of each entry, in order; 'at' is the time of the acknowledgement, in ms.
---@return { k: integer, steps: integer, position: integer, ms: integer, at: integer }[]
function M.said(actor)
	local list = {}
	for k, steps, position, ms, at in storage.read(actor.out):gmatch("(%d+) (%d+) (%d+) (%d+) (%d+)\n") do
		list[#list + 1] = { k = tonumber(k), steps = tonumber(steps), position = tonumber(position),
			ms = tonumber(ms), at = tonumber(at) }
	end
	return list
end

return M
