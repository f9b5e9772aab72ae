--- A whole Slurm of its own for the specs that need one (slurm.sh), and what they ask of it.
local cli = require "support.cli"

local M = {}

local SCRIPT = "tests/support/slurm.sh"

---@class support.Slurm
---@field conf string for $SLURM_CONF, in the environment of the thhost that is to use it
---@field dir string
local Slurm = {}
Slurm.__index = Slurm

local function shell(command)
	local pipe <close> = assert(io.popen("unset LD_PRELOAD; " .. command .. " 2>&1", "r"))
	local out = pipe:read("a")
	local is_good, _, status = pipe:close()
	return out, is_good and 0 or status
end

--- Start one. Where none can be started the spec is skipped with the reason, but in CI it fails.
---@param options? { accounting?: boolean, more?: string, min_job_age?: integer } accounting: with slurmdbd,
---so that sacct answers; more: lines for slurm.conf; min_job_age: seconds for which what is over is known
---@return support.Slurm?
function M.start(options)
	local dir = cli.temp_dir()
	options = options or {}
	local out, status = shell(("MORE=%s MIN_JOB_AGE=%d sh %s up %s/slurm %s"):format(cli.quote(options.more or ""),
		options.min_job_age or 300, SCRIPT, cli.quote(dir), options.accounting and "accounting" or ""))
	if status == 0 then
		return setmetatable({ dir = dir, conf = assert(out:match("([^\n]+)\n?$")) }, Slurm)
	end
	shell(("sh %s down %s/slurm"):format(SCRIPT, cli.quote(dir)))
	cli.remove(dir)
	cli.skip(out)
	return nil
end

--- Stop it and remove what it wrote.
function Slurm:stop()
	shell(("sh %s down %s/slurm"):format(SCRIPT, cli.quote(self.dir)))
	cli.remove(self.dir)
end

--- What one of its client commands says. They try for minutes where the controller is gone: not here.
---@param command string such as "squeue -h -o %T"
---@return string output, integer status
function Slurm:ask(command)
	return shell(("SLURM_CONF=%s timeout 20 %s"):format(cli.quote(self.conf), command))
end

return M
