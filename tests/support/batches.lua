--- Batch files for the specs: a tree with the stage 'tiny', and what is said of a file in it.
local cjson = require "cjson"
local cli = require "support.cli"
local runs = require "support.runs"
local storage = require "support.storage"

local M = {}

--- A tree of runs.tree() in which `text` is the batch file b.ini.
---@param text? string
---@return support.Tree
function M.tree(text)
	local t = runs.tree()
	if text then
		M.write(t, "b.ini", text)
	end
	return t
end

--- A file beside the artifact root.
function M.write(t, name, text)
	cli.shell("mkdir -p " .. cli.quote((t.dir .. "/" .. name):gsub("/[^/]*$", "")))
	cli.write(t.dir .. "/" .. name, text)
end

--- The jobs of a file in the order in which they would be done, each with its place under "at".
---@return table[] jobs, table<string, table> by_name
function M.plan(t, ...)
	local jobs = t:json({ "batch", "run", "b.ini", "--dry-run", ... }).jobs
	local by_name = {}
	for i, job in ipairs(jobs) do
		job.at = i
		by_name[job.job] = job
	end
	return jobs, by_name
end

--- "a b c": the names of jobs.
function M.names(jobs)
	local names = {}
	for i, job in ipairs(jobs) do
		names[i] = job.job
	end
	return table.concat(names, " ")
end

--- "a (after), b (tiny requires x)": what a job waits for.
function M.needs(job)
	local needs = {}
	for i, need in ipairs(job.waits_for) do
		needs[i] = ("%s (%s)"):format(need.job, need.why)
	end
	return table.concat(needs, ", ")
end

--- Can strace be put in front of thhost here? Where not, the spec that asks is pending.
---@return boolean
function M.can_trace()
	if storage.is_asan or storage.skip_without(storage.has_strace, "strace") then
		require("busted").pending("no strace, or a sanitizer in its way")
		return false
	end
	return true
end

--- The pid of the process that works on the newest batch.
---@return integer
function M.holder(t)
	local newest = cli.shell(("ls -d %s/.thhost/batches/*-* | tail -n 1"):format(t.root))
	return assert(cjson.decode((assert(cli.read(newest .. "/lock")))).pid) // 1 | 0
end

return M
