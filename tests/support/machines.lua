--- Machines that share a file system, made of namespaces: each has its own name, pids, network, boot id
--- and machine id, and may see a directory under another name.
local cli = require "support.cli"
local storage = require "support.storage"
local file = require("unit").file

---@class support.Machine
---@field name string
---@field pid integer its first process; all others end with it
local Machine = {}
Machine.__index = Machine

local M = {}

local NAMESPACES = "--mount --uts --pid --net --ipc"

--- Can there be any here? Where not, the spec that asks is pending; in CI it fails.
---@return boolean
function M.can_be()
	if storage.is_root and os.execute("unshare " .. NAMESPACES .. " --fork --mount-proc true 2>/dev/null") then
		return true
	end
	cli.skip "no namespaces to make machines of"
	return false
end

-- $1: its name, $2: a directory for its files, then pairs: a directory and where it is seen as well.
local BOOT = [[
hostname "$1"; cat /proc/sys/kernel/random/uuid >"$2/boot"; tr -d - <"$2/boot" >"$2/machine"
mount --bind "$2/boot" /proc/sys/kernel/random/boot_id
[ -e /etc/machine-id ] && mount --bind "$2/machine" /etc/machine-id
ip link set lo up 2>/dev/null
d=$2; shift 2
while [ $# -gt 1 ]; do mount --bind "$1" "$2"; shift 2; done
: >"$d/up"; exec sleep 100000]]

--- Switch one on.
---@param name string
---@param ... string pairs: a directory, and an empty one where this machine sees it too
---@return support.Machine
function M.up(name, ...)
	local dir = storage.temp_dir()
	local words = { "unshare" }
	for word in (NAMESPACES .. " --fork --kill-child --mount-proc"):gmatch "%S+" do
		words[#words + 1] = word
	end
	table.move({ "sh", "-c", BOOT, "-", name, dir, ... }, 1, 6 + select("#", ...), #words + 1, words)
	words.out, words.err = dir .. "/out", dir .. "/err"
	local outer = file.spawn(words)
	cli.wait_for("machine " .. name, function()
		return cli.read(dir .. "/up")
	end)
	local children = ("/proc/%d/task/%d/children"):format(outer, outer)
	local pid = assert(tonumber((assert(cli.read(children)):match "%d+")))
	return setmetatable({ name = name, dir = dir, outer = outer, pid = pid, started = {} }, Machine)
end

--- Shell words that go there, into `cwd`.
---@param cwd string
---@return string
function Machine:enter(cwd)
	return ("nsenter -t %d -m -u -p -n -i -- sh -c 'cd \"$0\" && exec \"$@\"' %s"):format(self.pid, cli.quote(cwd))
end

--- Run thhost there, as Tree:run() does.
---@param t support.Tree
---@param options? { cwd?: string }
function Machine:run(t, args, options)
	return t:run(args, { prefix = self:enter(options and options.cwd or t.dir) })
end

--- Start thhost there; the result has its output so far, and wait() gives its status.
---@param t support.Tree
---@param cwd? string
function Machine:start(t, args, cwd)
	local words = {}
	for i, word in ipairs(args) do
		words[i] = cli.quote(word)
	end
	local path = os.tmpname()
	local command = ("exec env -u LD_PRELOAD HOME=%s/home %s %s %s"):format(t.dir, self:enter(cwd or t.dir), cli.thhost,
		table.concat(words, " "))
	local pid = file.spawn { "sh", "-c", command, out = path, err = path .. ".err" }
	self.started[#self.started + 1] = pid
	return {
		said = function()
			return cli.read(path .. ".err")
		end,
		wait = function()
			local _, status = file.wait(pid, 60000)
			local said = cli.read(path .. ".err")
			os.remove(path)
			os.remove(path .. ".err")
			return status, said
		end,
	}
end

--- A signal to all that runs there.
---@param signal string "STOP", "CONT"
function Machine:signal(signal)
	cli.shell(("nsenter -t %d -m -p -- sh -c 'kill -%s -1'"):format(self.pid, signal))
	for _, pid in ipairs(signal == "CONT" and self.started or {}) do -- nsenter stops with what it started
		os.execute(("kill -CONT %d 2>/dev/null"):format(pid))
	end
end

--- As if the power went out.
function Machine:down()
	if self.outer then
		os.execute(("kill -KILL %d 2>/dev/null"):format(self.pid))
		file.wait(self.outer, 20000)
		self.outer = nil
		storage.remove(self.dir)
	end
end

return M
