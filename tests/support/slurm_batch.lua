--- Batches on the Slurm of a spec file (support.slurm): one tree at a time, and what is asked of it.
local batches = require "support.batches"
local cli = require "support.cli"
local runs = require "support.runs"

local M = {}

local TRAIN = [[echo '{"steps":10,"metrics":{"f1":0.5}}' >"$THHOST_STAGE_DIR/result.json"]]

--- How a batch file of the stage 'tiny' for Slurm begins.
M.TINY = "[batch]\nexecutor = slurm\n[defaults]\nstage = tiny\ncommand = sh {file_dir}/train.sh\n"

M.TRAIN = TRAIN

--- Seconds: Slurm looks at its queue every second or two, on a machine that does much else.
M.SLOW = 60

local slurm ---@type support.Slurm
local t ---@type support.Tree

--- The one that all is about from now on.
---@param started support.Slurm
function M.use(started)
	slurm = started
end

--- Options of a command that is to find it.
function M.env(more)
	local all = { SLURM_CONF = slurm.conf }
	for name, value in pairs(more or {}) do
		all[name] = value
	end
	return { env = all }
end

--- Of a job: it waits for a file of the test, then trains.
function M.waiting(name)
	return ("shell = yes\ncommand = echo up >>%s.up; while ! [ -e %s ]; do sleep 0.02; done; sh train.sh\n"):format(
		name, name)
end

--- A tree with this batch file; the functions below are about it.
---@return support.Tree
function M.tree(text)
	t = batches.tree(text)
	batches.write(t, "train.sh", TRAIN)
	return t
end

--- "a done, b failed": every job of a batch.
function M.states(status)
	local found = {}
	for i, job in ipairs(status.jobs) do
		found[i] = job.job .. " " .. job.state
	end
	return table.concat(found, ", ")
end

--- Run the batch, with this exit status.
---@return string states, string err
function M.run(status, ...)
	local found, result = t:json({ "batch", "run", "b.ini", ... }, status, M.env())
	return M.states(found), result.err
end

function M.status_of()
	return (t:json({ "batch", "status", "b" }, 0, M.env()))
end

function M.job_of(name)
	for _, job in ipairs(M.status_of().jobs) do
		if job.job == name then
			return job
		end
	end
end

--- The number that Slurm has for a job, once it has one.
function M.number_of(name)
	return cli.wait_for("a number of " .. name, function()
		local ok, job = pcall(M.job_of, name)
		return ok and tostring(job.executor_id):match("^slurm:([%d_]+)$")
	end, M.SLOW)
end

--- Run it in the background; the result waits for its end and is the exit status.
---@return fun(): integer
function M.start(...)
	os.remove(t.dir .. "/status")
	os.remove(t.dir .. "/err")
	local wait = runs.start(t, { "batch", "run", "b.ini", ... }, { SLURM_CONF = slurm.conf })
	return function()
		cli.wait_for("the end", function()
			return cli.read(t.dir .. "/status")
		end, M.SLOW)
		return wait()
	end
end

function M.entries(name)
	return #t:info(name).training_history
end

function M.wait_for_file(name)
	cli.wait_for(name, function()
		return cli.read(t.dir .. "/" .. name) ~= nil
	end, M.SLOW)
end

--- Until the first run of a stage directory has this state.
function M.wait_for_state(name, state)
	return cli.wait_for(name .. " to be " .. state, function()
		local run_of = runs.journal(t, name)[1]
		return run_of and run_of.state == state
	end, M.SLOW)
end

--- Until the batch in the background has said that.
function M.said(text)
	cli.wait_for(text, function()
		return (cli.read(t.dir .. "/err") or ""):find(text, 1, true)
	end, M.SLOW)
end

--- How many jobs were given to Slurm for this tree: an array is one.
function M.submissions()
	local seen, n = {}, 0
	for _, job in ipairs(M.status_of().jobs) do
		local id = tostring(job.executor_id):match("^slurm:(%d+)")
		if id and not seen[id] then
			seen[id], n = true, n + 1
		end
	end
	return n
end

--- Commands in front of those of Slurm: `script` is sh, and "$real" the one that is meant.
function M.wrap(name, script)
	local real = cli.shell("command -v " .. name)
	batches.write(t, "bin/" .. name, "#!/bin/sh\nreal=" .. real .. "\n" .. script .. "\n")
	cli.shell("chmod +x " .. t.dir .. "/bin/" .. name)
	return M.env { PATH = t.dir .. "/bin:" .. os.getenv("PATH") }
end

return M
