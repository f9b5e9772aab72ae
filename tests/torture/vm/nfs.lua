--- In the virtual machine: an NFS server, two clients of it, and writers on all three.
---
--- The second client of NFS 4.2 has a network namespace and a host name of its own, so the server
--- takes it for another machine. For NFS 3 it has a mount and a host name of its own: the kernel keeps
--- one lock service for the whole machine.
local cli = require "support.cli"
local hosts = require "support.hosts"
local storage = require "support.storage"
local torture = require "support.torture"
local unit = require "unit"

local EACH = tonumber(arg[1])
local SERVER = "/srv/x"
local ADDRESS = "10.9.0.1"
local EXPORT = SERVER .. " *(%s,no_root_squash,fsid=0,insecure,sync,no_subtree_check)\n"

---@param what string
---@param count integer
---@param violations integer
local function figure(what, count, violations, detail)
	torture.figure("hosts", what, count, violations, detail)
end

-- ---- the server ----

local function write(path, text)
	local handle = assert(io.open(path, "w"))
	assert(handle:write(text))
	handle:close() -- of /proc files, which may refuse what is set already
end

local function export(mode)
	write("/etc/exports", EXPORT:format(mode))
	cli.shell("exportfs -ra")
end

local function start_server()
	cli.shell "rpc.nfsd 4"
end

local function stop_server()
	cli.shell "rpc.nfsd 0"
end

local function set_up_network()
	cli.shell("ip link set lo up; modprobe veth; ip netns add b"
		.. " && ip link add va type veth peer name vb netns b"
		.. " && ip addr add " .. ADDRESS .. "/24 dev va && ip link set va up"
		.. " && ip -n b addr add 10.9.0.2/24 dev vb && ip -n b link set vb up && ip -n b link set lo up")
end

local function set_up_server()
	cli.shell("modprobe -a ext4 nfsd nfsv3 nfsv4; mkfs.ext4 -q -F /dev/vda")
	cli.shell("mkdir -p " .. SERVER .. " /mnt/a /mnt/b /mnt/c && mount /dev/vda " .. SERVER)
	cli.shell("grep -q ^_rpc: /etc/passwd || echo '_rpc:x:111:65534::/run/rpcbind:/bin/false' >>/etc/passwd;"
		.. " grep -q ^statd: /etc/passwd || echo 'statd:x:112:65534::/var/lib/nfs:/bin/false' >>/etc/passwd")
	cli.shell("mkdir -p /run/rpcbind /var/lib/nfs/sm /var/lib/nfs/sm.bak /var/lib/nfs/v4recovery"
		.. " && chown -R 112 /var/lib/nfs && mount -t nfsd nfsd /proc/fs/nfsd")
	cli.shell("rpcbind && rpc.statd --no-notify")
	export "rw"
	cli.shell "rpc.mountd >/dev/null 2>&1"
	-- Otherwise nobody gets a lock for 90 s after each start.
	write("/proc/fs/nfsd/nfsv4gracetime", "10")
	write("/proc/fs/nfsd/nfsv4leasetime", "10")
	write("/proc/sys/fs/nfs/nlm_grace_period", "10")
	start_server()
end

-- ---- the clients ----

--- A host of its own name, and for NFS 4 of its own network; gives the words that enter it.
local function start_host(name, net)
	local ready = "/run/" .. name
	local pid = unit.file.spawn { "unshare", "-m", "-u", "nsenter", net and "--net=/run/netns/b" or "--", "sh",
		"-c", ("hostname %s; : >%s; exec sleep infinity"):format(name, ready), out = "/dev/null" }
	storage.wait_until(name .. " is up", function()
		return storage.read(ready)
	end)
	return ("nsenter -t %d -m -u -n -r -w"):format(pid)
end

local function mount(enter, where, options, path)
	cli.shell(("%s mount.nfs %s:%s %s -o %s"):format(enter or "", ADDRESS, path, where, options))
end

--- Two clients and the server itself, as writers on one fresh root.
---@return support.Writer[]
local function clients(version)
	local path = version == "3" and SERVER or "/"
	local enter = start_host("hostb" .. version:sub(1, 1), version ~= "3")
	cli.shell(("rm -rf %s/artifact && mkdir %s/artifact && THHOST_ROOT=%s/artifact %s exp new exp_1")
		:format(SERVER, SERVER, SERVER, cli.thhost))
	local options = "nosharecache,vers=" .. version
	mount(nil, "/mnt/a", options, path)
	mount(enter, "/mnt/b", options, path)
	local a = { root = "/mnt/a/artifact" }
	return { { root = SERVER .. "/artifact" }, a, a, { root = "/mnt/b/artifact", enter = enter } }
end

local function unmount(writers)
	cli.shell("umount /mnt/a && " .. writers[4].enter .. " umount /mnt/b")
end

-- ---- the cases ----

local function status_of(command)
	local _, _, status = os.execute(command .. " >/run/out 2>/run/err")
	return status, storage.read("/run/err")
end

--- One append that must end with one of `wanted`, and keep the record as it was unless that is 0.
local function expect(what, writer, wanted, message)
	local record = SERVER .. "/artifact" .. hosts.STAGE .. "/" .. storage.RECORD
	local before = storage.read(record)
	local status, said = status_of(hosts.record(writer, 77))
	local same = storage.read(record) == before
	local right = status == wanted and said:find(message, 1, true) and same == (wanted ~= 0)
	figure(what, 1, right and 0 or 1, ("status %d"):format(status))
	print(what, status, same and "unchanged" or "changed", said)
end

local function race(version, writers)
	local clock = torture.clock()
	local result = hosts.race(writers, EACH)
	figure(("NFS %s: 2 clients + server, appends"):format(version), result.tried, result.violations
		+ result.tried - result.done, clock())
	print(result.said)
end

local function check_fallback(version, writers)
	status_of("strace -f -o /run/trace -e trace=renameat2,renameat,rename " .. hosts.record(writers[2], 5))
	local trace = storage.read("/run/trace")
	local is_shown = trace:find("RENAME_EXCHANGE) = -1 EINVAL", 1, true)
		and trace:find('"' .. storage.RECORD .. '") = 0', 1, true)
	figure(("NFS %s: rename() where there is no exchange"):format(version), 1, is_shown and 0 or 1)
	print(trace)
end

local function restart(version, writers)
	local clock = torture.clock()
	local result = hosts.race({ writers[2], writers[4] }, EACH // 2, function()
		local record = SERVER .. "/artifact" .. hosts.STAGE
		local seen = #storage.steps(record)
		storage.wait_until("appends go on", function()
			return #storage.steps(record) > seen + 1
		end, 60)
		stop_server()
		unit.file.nap(2000000)
		start_server()
	end)
	figure(("NFS %s: server restarted, appends"):format(version), result.tried,
		result.violations + result.tried - result.done, clock())
	print(result.said)
end

local function down_and_kill(version, writers)
	local record = SERVER .. "/artifact" .. hosts.STAGE
	local before = #storage.steps(record)
	stop_server()
	local pid = unit.file.spawn { "sh", "-c", "exec " .. hosts.record(writers[2], 88), err = "/run/err" }
	local state = unit.file.wait(pid, 3000)
	unit.file.kill(-pid, 9)
	local how = unit.file.wait(pid, 20000)
	start_server()
	local status = status_of(hosts.record(writers[2], 89))
	local now = #storage.steps(record)
	local right = state == nil and how == "signal" and status == 0 and now == before + 1
	figure(("NFS %s: server down, blocked append killed"):format(version), 1, right and 0 or 1)
	print(state, how, status, before, now)
end

local function fill_up(version, writers)
	os.execute("dd if=/dev/zero of=" .. SERVER .. "/fill bs=1M 2>/dev/null; "
		.. "dd if=/dev/zero of=" .. SERVER .. "/fill2 bs=1k 2>/dev/null")
	expect(("NFS %s: server's disk full"):format(version), writers[2], 7, "spool")
	cli.shell("rm " .. SERVER .. "/fill " .. SERVER .. "/fill2")
	local status = status_of("THHOST_ROOT=" .. writers[2].root .. " " .. cli.thhost .. " repair")
	local steps = storage.steps(SERVER .. "/artifact" .. hosts.STAGE)
	figure(("NFS %s: repair after that"):format(version), 1, status == 0 and steps[#steps] == 77 and 0 or 1)
	print(storage.read("/run/out"), storage.read("/run/err"))
end

local function read_only(version, writers)
	export "ro"
	expect(("NFS %s: exported read-only"):format(version), writers[2], 7, "")
	export "rw"
end

--- The directory goes away on the server while a client waits for its lock.
local function removed(version, writers)
	local stage = SERVER .. "/artifact" .. hosts.STAGE
	local lock = assert(unit.file.lock(stage, ".training_info.json.lock", "stage1", 20000))
	local pid = unit.file.spawn { "sh", "-c", "exec " .. hosts.record(writers[2], 90), err = "/run/err",
		out = "/run/out" }
	storage.wait_until("the client waits", function()
		return (storage.read("/run/err") or ""):find("waiting", 1, true)
	end)
	cli.shell("rm -rf " .. stage)
	unit.file.unlock(lock)
	local how, status = unit.file.wait(pid, 120000)
	local found = #storage.steps(stage)
	local right = how == "exit" and (status == 0 and found == 1 or status ~= 0 and found == 0)
	figure(("NFS %s: directory removed on the server"):format(version), 1, right and 0 or 1,
		("status %s"):format(status))
	print(how, status, found, storage.read("/run/err"))
	local again = status_of(hosts.record(writers[2], 91))
	figure(("NFS %s: append after that"):format(version), 1,
		again == 0 and #storage.steps(stage) == found + 1 and 0 or 1)
	print(storage.read("/run/err"))
end

local function local_locks()
	for _, options in ipairs { "vers=3,nolock", "vers=3,local_lock=all", "vers=3,local_lock=posix" } do
		mount(nil, "/mnt/c", "nosharecache," .. options, SERVER)
		expect("NFS mounted " .. options, { root = "/mnt/c/artifact" }, 7, "without locks between hosts")
		cli.shell "umount /mnt/c"
	end
end

set_up_network()
set_up_server()
for _, version in ipairs { "3", "4.2" } do
	local writers = clients(version)
	for _, case in ipairs { race, check_fallback, restart, down_and_kill, fill_up, read_only, removed } do
		local clock = torture.clock()
		case(version, writers)
		print(version, clock())
	end
	if version == "3" then
		local_locks()
	end
	unmount(writers)
end
