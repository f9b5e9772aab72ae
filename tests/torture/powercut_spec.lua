--- Real power cuts: an ext4 or xfs image on a loop device is shut down under writers, as if its plug were
--- pulled, and mounted again. What was acknowledged before must be there.
local unit = require "unit"
local cli = require "support.cli"
local runs = require "support.runs"
local storage = require "support.storage"
local torture = require "support.torture"

local file = unit.file

local TIER = "powercut"
local WRITERS = 4
local SPOOLED = 7
local FRESH_EVERY = 10 -- cuts; in between the record goes on, with what it had

local SYSTEMS = {
	{ name = "ext4", make = "mkfs.ext4 -q -F -E lazy_itable_init=0", size = "64M", cuts = { 12, 1000 } },
	{ name = "xfs", make = "mkfs.xfs -q -f", size = "320M", cuts = { 12, 1000 } },
	{ name = "ext4", options = "data=journal", cuts = { 2, 200 } },
	{ name = "ext4", options = "data=writeback", cuts = { 2, 200 } },
	{ name = "ext4", options = "noauto_da_alloc", cuts = { 2, 200 } },
}

-- Appends until the disk is gone. What goes into the ack file is "STEPS STATUS".
local APPENDER = [[
	local unit = require "unit"
	local steps = tonumber(arg[2])
	while true do
		steps = steps + 1
		if not unit.store.append(arg[1], { steps = steps, path = "x", timeout = 60000, stage = "tiny",
			model_name = "tiny_model", dataset = "d" }) then
			os.exit(1)
		end
		io.write(steps, " 0\n")
		io.flush()
	end
]]

local RECORDER = [[
	n=$1; s=0
	while [ $s = 0 ]; do
		n=$((n + 1))
		"$2" record tiny -d d --steps $n >/dev/null 2>&1; s=$?
		echo $n $s
	done
]]

local RUNNER = [[
	s=0
	while [ $s = 0 ]; do
		"$1" run --strict tiny -d d -- true >/dev/null 2>&1; s=$?
		echo 0 $s
	done
]]

local NO_SYNC = [[
int fsync(int fd);
int fdatasync(int fd);
int fsync(int fd) { return fd < 0; }
int fdatasync(int fd) { return fd < 0; }
]]

describe("a power cut", function()
	local t, mount, stage, steps

	before_each(function()
		t = runs.tree()
		mount = t.dir .. "/mnt"
		t.root = mount .. "/artifact"
		stage = t.root .. "/exp_1/tiny_d"
		steps = 0
		cli.shell("mkdir " .. mount)
		cli.write(t.dir .. "/thhost.ini", "[artifact]\nroot = mnt/artifact\n[plugins]\npath = plugins\n")
		cli.write(t.dir .. "/appender.lua", APPENDER)
	end)
	after_each(function()
		os.execute(("umount %s 2>/dev/null || umount -l %s 2>/dev/null"):format(mount, mount))
		t:close()
	end)

	local function plug_in(system)
		storage.shell("mount -o " .. (system.options and system.options .. "," or "") .. "loop %s %s",
			t.dir .. "/image", mount)
	end

	--- The processes are gone, but the kernel may hold a file for a moment longer.
	local function plug_out()
		storage.wait_until("the end of the mount", function()
			return os.execute(("umount %s 2>/dev/null"):format(mount))
		end)
	end

	local function make_image(system)
		local like = system.make and system or SYSTEMS[1]
		storage.shell("truncate -s " .. like.size .. " %s", t.dir .. "/image")
		storage.shell(like.make .. " %s", t.dir .. "/image")
		plug_in(system)
		t:ok { "exp", "new", "exp_1" }
	end

	--- Why that cannot be done here, or nil.
	local function obstacle()
		if not storage.is_root then
			return "not root"
		end
		for _, program in ipairs({ "xfs_io", "mkfs.xfs", "mkfs.ext4", "losetup" }) do
			if not os.execute("PATH=$PATH:/sbin:/usr/sbin command -v " .. program .. " >/dev/null") then
				return "no " .. program
			end
		end
		local try = "truncate -s 16M %s/i && mkfs.ext4 -q -F %s/i && mount -o loop %s/i %s && umount %s"
		if not os.execute("(" .. try:format(t.dir, t.dir, t.dir, mount, mount) .. ") 2>/dev/null") then
			return "no loop mounts"
		end
	end

	--- Steps that nobody has used, with room for 999 more behind them.
	local function new_steps()
		steps = steps + 1000
		return steps
	end

	local function spawn(words, env)
		local argv = { "env", "-u", "LD_PRELOAD", "-C", t.dir, "HOME=" .. t.dir .. "/home",
			"XDG_STATE_HOME=" .. t.dir .. "/home/state", "XDG_CONFIG_HOME=" .. t.dir .. "/home/config" }
		argv[#argv + 1] = env
		table.move(words, 1, #words, #argv + 1, argv)
		argv.out, argv.err = ("%s/acks.%d"):format(t.dir, new_steps()), t.dir .. "/err"
		return { pid = file.spawn(argv), acks = argv.out }
	end

	local function start_writers(env)
		local writers = {}
		for i = 1, WRITERS do
			local base = tostring(new_steps())
			writers[i] = spawn(i % 2 == 0 and { "lua5.4", t.dir .. "/appender.lua", stage, base }
				or { "sh", "-c", RECORDER, "sh", base, cli.thhost }, env)
		end
		return writers
	end

	---@return { steps: integer, status: integer }[] what the writers have said so far
	local function said(writers)
		local list = {}
		for _, writer in ipairs(writers) do
			for number, status in storage.read(writer.acks):gmatch("(%d+) (%d+)\n") do
				list[#list + 1] = { steps = tonumber(number), status = tonumber(status) }
			end
		end
		return list
	end

	--- Pull the plug at some moment once they are at work. What they had said before, and all that they
	--- said. A shutdown takes a moment, in which a sync may be given up and still report success (ext4 finds
	--- its transaction gone, xfs the inode unpinned); a machine without power says nothing any more.
	local function cut(system, writers)
		storage.wait_until("the first acknowledgement", function()
			return (storage.read(writers[1].acks) or ""):find("%d+ 0\n")
		end)
		file.nap(math.random(0, 100000))
		local before = said(writers)
		storage.shell("PATH=$PATH:/usr/sbin xfs_io -x -c shutdown %s", mount)
		for _, writer in ipairs(writers) do
			assert(file.wait(writer.pid), "a writer goes on without a disk")
		end
		local all = said(writers)
		for _, writer in ipairs(writers) do
			os.remove(writer.acks)
		end
		plug_out()
		plug_in(system)
		return before, all
	end

	local function fresh_stage()
		storage.shell("rm -rf %s && mkdir %s && sync -f %s", stage, stage, stage)
		return {}
	end

	--- The steps that are in the record: each once, and nothing torn.
	local function present()
		local text = storage.read(stage .. "/" .. storage.RECORD)
		assert(not text or unit.json.check(text), "torn")
		local seen = {}
		for _, number in ipairs(storage.steps(stage)) do
			assert(not seen[number], "twice: " .. number)
			seen[number] = true
		end
		return seen
	end

	--- What was acknowledged is there, before a repair; what was spooled, after it; the next append works.
	local function check(known, before, all)
		local seen = present()
		for number in pairs(known) do
			assert(seen[number], "lost, from before: " .. number)
		end
		local acked, late = 0, 0
		for _, one in ipairs(before) do
			acked = acked + (one.status == 0 and 1 or 0)
			assert(one.status ~= 0 or seen[one.steps], "lost: " .. one.steps)
		end
		for _, one in ipairs(all) do
			late = late + (one.status == 0 and not seen[one.steps] and 1 or 0)
		end
		t:ok { "repair" }
		t:ok { "record", "tiny", "-d", "d", "--steps", tostring(new_steps()) }
		seen = present()
		for _, one in ipairs(all) do
			assert(one.status ~= SPOOLED or seen[one.steps], "lost from the spool: " .. one.steps)
		end
		assert(seen[steps], "the next one is lost")
		assert.same({}, storage.names_with(stage, ".tmp."))
		t:ok { "verify" }
		return acked, late, seen
	end

	local function it_cuts(what, body)
		it(what, function()
			local why = obstacle()
			if why then
				return pending(torture.cannot(TIER, what, why))
			end
			math.randomseed(torture.seed)
			return body()
		end)
	end

	for _, system in ipairs(SYSTEMS) do
		local what = system.name .. (system.options and " " .. system.options or "")
		it_cuts("loses nothing that was acknowledged on " .. what, function()
			local n = torture.scale(table.unpack(system.cuts))
			local elapsed = torture.clock()
			local total, lies, known = 0, 0, nil
			make_image(system)
			for i = 0, n - 1 do
				if i % FRESH_EVERY == 0 then
					known = fresh_stage()
				end
				local acked, late, seen = check(known, cut(system, start_writers()))
				total, lies, known = total + acked, lies + late, seen
			end
			plug_out()
			assert.is_true(total >= n, total)
			torture.figure(TIER, "power cuts of " .. what, n, 0,
				("%d entries acknowledged, %d more by a sync that failed in the cut itself, %s"):format(total, lies,
					elapsed()))
		end)
	end

	for _, system in ipairs({ SYSTEMS[1], SYSTEMS[2] }) do
		it_cuts("of a program that does not sync is noticed on " .. system.name, function()
			if storage.is_asan then
				return pending(torture.cannot(TIER, "no fsync on " .. system.name, "a sanitizer in its way"))
			end
			local n = torture.scale(3, 20)
			local shim = t.dir .. "/no_sync.so"
			cli.write(t.dir .. "/no_sync.c", NO_SYNC)
			cli.shell(("%s -shared -fPIC -o %s %s/no_sync.c"):format(os.getenv("CC") or "cc", shim, t.dir))
			make_image(system)
			local noticed = 0
			for _ = 1, n do
				fresh_stage()
				local before, all = cut(system, start_writers("LD_PRELOAD=" .. shim))
				noticed = noticed + (pcall(check, {}, before, all) and 0 or 1)
			end
			plug_out()
			assert.is_true(noticed > n // 2, noticed)
			torture.figure(TIER, "power cuts of " .. system.name .. " without fsync", n, 0,
				noticed .. " were noticed, as they must")
		end)

		it_cuts("loses no run that 'run' has reported as recorded on " .. system.name, function()
			local n = torture.scale(3, 200)
			local elapsed = torture.clock()
			local total = 0
			make_image(system)
			for _ = 1, n do
				fresh_stage()
				cli.write(stage .. "/result.json", '{"steps": 10, "metrics": {"f1": 0.5}}')
				storage.shell("sync -f %s", stage)
				local before = cut(system, { spawn { "sh", "-c", RUNNER, "sh", cli.thhost } })
				t:ok { "repair" }
				runs.check(t)
				local acked, recorded = 0, 0
				for _, one in ipairs(before) do
					acked = acked + (one.status == 0 and 1 or 0)
				end
				for _, run in ipairs(runs.journal(t)) do
					recorded = recorded + (run.state == "recorded" and 1 or 0)
				end
				assert(recorded >= acked, ("%d acknowledged, %d recorded"):format(acked, recorded))
				total = total + acked
				t:ok(runs.tiny(":"))
				runs.check(t)
			end
			plug_out()
			torture.figure(TIER, "power cuts of " .. system.name .. " under thhost run", n, 0,
				("%d runs acknowledged, %s"):format(total, elapsed()))
		end)
	end
end)
