--- One record under several mount points, and as several hosts.
---
--- The short form has two bind mounts, two FUSE mounts that forward locks (bindfs) and two host names
--- on this machine; the long form a virtual machine (tests/torture/vm) with NFS 3 and NFS 4.2.
local cli = require "support.cli"
local hosts = require "support.hosts"
local storage = require "support.storage"
local torture = require "support.torture"
local tree = require "support.tree"
local file = require("unit").file

local TIER = "hosts"
local EACH = torture.scale(16, 64)

describe("hosts:", function()
	local t, undo

	before_each(function()
		t, undo = tree.new(), {}
	end)
	after_each(function()
		for i = #undo, 1, -1 do
			os.execute(undo[i])
		end
		t:close()
	end)

	--- Run a shell command, and `backwards` at the end of the spec.
	local function shell(command, backwards)
		cli.shell(command)
		undo[#undo + 1] = backwards
	end

	local function mount_point(name)
		local path = t.dir .. "/" .. name
		cli.shell("mkdir " .. path)
		return path
	end

	--- A host of another name, with its own mounts: the words that enter it.
	local function start_host(name)
		local ready = t.dir .. "/" .. name
		local pid = file.spawn { "unshare", "-m", "-u", "sh", "-c",
			('hostname "$0"; : >"$1"; exec sleep infinity'), name, ready }
		undo[#undo + 1] = "kill -9 " .. pid
		storage.wait_until(name .. " is up", function()
			return storage.read(ready)
		end)
		return ("nsenter -t %d -m -u"):format(pid)
	end

	local function race(what, writers)
		local clock = torture.clock()
		local result = hosts.race(writers, EACH)
		torture.figure(TIER, what, result.tried, result.violations, clock())
		assert.equal(0, result.violations, result.said)
		assert.equal(#writers * EACH, result.done, result.said)
		assert.same({}, storage.names_with(t.root .. hosts.STAGE, ".tmp."))
		assert.same({}, storage.names_with(t.root .. hosts.STAGE, "conflict"))
	end

	it("two bind mounts, one of them on a host of another name", function()
		if not storage.is_root then
			return pending(torture.cannot(TIER, "bind mounts", "needs root"))
		end
		local a, b = mount_point("a"), mount_point("b")
		local enter = start_host("otherhost")
		shell(("mount --bind %s %s"):format(t.root, a), "umount " .. a)
		cli.shell(("%s mount --bind %s %s"):format(enter, t.root, b))
		race("2 bind mounts, 2 host names, appends", { { root = t.root }, { root = a },
			{ root = a }, { root = b, enter = enter } })
	end)

	--- Mount the root once more by FUSE, or give the words for pending().
	local function mount_fuse(where, ...)
		if not storage.is_root or not os.execute "command -v bindfs >/dev/null && test -c /dev/fuse" then
			return torture.cannot(TIER, "FUSE", "needs root, /dev/fuse and bindfs")
		end
		shell(("bindfs %s %s %s"):format(table.concat({ ... }, " "), t.root, where), "umount " .. where)
	end

	it("a FUSE mount that several write through", function()
		local where = mount_point "a"
		local why = mount_fuse(where)
		if why then
			return pending(why)
		end
		race("1 FUSE mount (bindfs), appends", { { root = where }, { root = where }, { root = where } })
	end)

	it("a FUSE mount whose locks let two in is refused", function()
		local where = mount_point "a"
		local why = mount_fuse(where, "--multithreaded", "--enable-lock-forwarding")
		if why then
			return pending(why)
		end
		t:record("hrds")
		local before = storage.read(t.root .. hosts.STAGE .. "/" .. storage.RECORD)
		local result = t:run({ "record", "stage1", "-d", "hrds", "--steps", "11" },
			{ env = { THHOST_ROOT = where } })
		local after = storage.read(t.root .. hosts.STAGE .. "/" .. storage.RECORD)
		torture.figure(TIER, "FUSE locks that do not exclude, refused", 1,
			result.status == 7 and before == after and 0 or 1)
		assert.equal(7, result.status, result.err)
		assert.is_truthy(result.err:find("gives a lock to two at once", 1, true), result.err)
		assert.equal(before, after)
	end)

	describe("in a virtual machine,", function()
		local VM = "tests/torture/vm/"
		local machine = os.getenv("THHOST_BUILD") .. "/torture-vm"
		local out

		--- The disk, or the words for pending().
		local function prepare(what, megabytes)
			if not torture.is_long then
				return torture.cannot(TIER, what, "long form only")
			elseif storage.is_asan then
				return torture.cannot(TIER, what, "too slow under the sanitizers")
			elseif not os.execute "sh config/dev/needs.sh torture-vm 2>/dev/null" then
				return torture.cannot(TIER, what, "no qemu-system-x86_64 or busybox: make deps-torture-vm")
			elseif not os.execute(("sh %sprepare.sh %s"):format(VM, machine)) then
				return torture.cannot(TIER, what, "Debian's kernel or NFS programs cannot be downloaded")
			end
			out = t.dir .. "/out"
			cli.shell(("mkdir %s && truncate -s %dM %s/disk"):format(out, megabytes, out))
		end

		--- The argv that boots the machine for one job of tests/torture/vm.
		local function boot(seconds, job, ...)
			return { "env", "THHOST_FIGURES=/out/figures", "sh", VM .. "boot.sh", machine, out, tostring(seconds),
				"lua5.4", VM .. job .. ".lua", ..., out = "/dev/null", err = t.dir .. "/qemu" }
		end

		--- Run a job to its end; its figures become ours.
		local function run(...)
			local how, status = file.wait(file.spawn(boot(...)), 1000000)
			local log = ("%s %s\n%s%s"):format(how, status, storage.read(t.dir .. "/qemu"),
				storage.read(out .. "/log"))
			local wrong, count = 0, 0
			for what, n, violations, detail in (storage.read(out .. "/figures") or "")
				:gmatch("hosts\t(.-)\t(%d+)\t(%d+)\t(.-)\n") do
				torture.figure(TIER, what, math.tointeger(n), math.tointeger(violations), detail)
				wrong, count = wrong + violations, count + 1
			end
			assert.same({ "exit", 0 }, { how, status }, log)
			assert.is_true(count > 0, log)
			assert.equal(0, wrong, log)
		end

		it("two NFS clients and their server", function()
			local why = prepare("NFS", 64)
			if why then
				return pending(why)
			end
			run(900, "nfs", "16")
		end)

		it("a disk that begins to fail", function()
			local why = prepare("dm-flakey", 64)
			if why then
				return pending(why)
			end
			run(600, "flakey", "10")
		end)

		local function acknowledged()
			local status = {}
			for i = 1, 2 do
				for steps in (storage.read(("%s/acks.%d"):format(out, i)) or ""):gmatch("(%d+)\n") do
					status[tonumber(steps)] = 0
				end
			end
			return status
		end

		local function size(set)
			local n = 0
			for _ in pairs(set) do
				n = n + 1
			end
			return n
		end

		--- Appends until the power goes, at `wanted` acknowledged ones; gives those.
		local function cut_power(from, wanted)
			local pid = file.spawn(boot(300, "power", tostring(from)))
			undo[#undo + 1] = ("kill -9 $(cat %s/pid) 2>/dev/null"):format(out)
			storage.wait_until("appends are acknowledged", function()
				return size(acknowledged()) >= wanted
			end, 300)
			file.kill(tonumber(storage.read(out .. "/pid")), 9)
			undo[#undo] = nil
			file.wait(pid, 20000)
			return acknowledged()
		end

		it("power cuts", function()
			local why = prepare("power cuts of a whole machine", 64)
			if why then
				return pending(why)
			end
			cli.shell("mkfs.ext4 -q -F " .. out .. "/disk")
			local disk = mount_point "disk"
			local stage = disk .. "/artifact" .. hosts.STAGE
			local wrong, cuts, done, clock = 0, 5, 0, torture.clock()
			for i = 1, cuts do
				local status = cut_power(i * 10000, done + torture.seed % 7 + 5 * i % 7 + 2)
				done = size(status)
				cli.shell(("mount -o loop %s/disk %s"):format(out, disk))
				local found = storage.steps(stage)
				-- Without their acknowledgement: one of each writer at each cut, at most.
				local unsaid = #found - done
				for _, steps in ipairs(found) do
					status[steps] = status[steps] or 8
				end
				wrong = wrong + hosts.violations({}, found, status) + (unsaid > 2 * i and 1 or 0)
				cli.shell("umount " .. disk)
			end
			torture.figure(TIER, "power cuts of a virtual machine", cuts, wrong,
				("%d acknowledged, %s"):format(done, clock()))
			assert.equal(0, wrong)
		end)
	end)
end)
