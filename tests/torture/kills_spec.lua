--- kill -9: writers, the program, its plugin worker, a recovery and `thhost run`, at random moments
--- and at every system call. Nothing that was acknowledged may be lost, and nothing be torn.
local unit = require "unit"
local cli = require "support.cli"
local runs = require "support.runs"
local storage = require "support.storage"
local torture = require "support.torture"

local file = unit.file

local TIER = "kills"
local STAGE = "exp_1/tiny_d"
local KILLED, PLUGIN_FAILED = 9, 6
local WRITERS = 8
local BATCH = 250 -- kills of one record: each append rewrites it

-- Appends until it is killed, and says so after each: the steps are its number and a count.
local APPENDER = [[
	local unit = require "unit"
	local steps = tonumber(arg[2]) * 10000
	while true do
		steps = steps + 1
		local done, message = unit.store.append(arg[1], { steps = steps, path = "x", timeout = 60000,
			stage = "tiny", model_name = "tiny_model", dataset = "d" })
		if not done then
			io.stderr:write(message, "\n")
			os.exit(1)
		end
		io.write(steps, "\n")
		io.flush()
	end
]]

-- Reads without a lock until there is a file "stop", and ends with 1 at the first torn version.
local READER = [[
	local unit = require "unit"
	local count = 0
	while not io.open(arg[2] .. "/stop") do
		for _, name in ipairs({ "training_info.json", ".training_info.json.bak" }) do
			local handle = io.open(arg[1] .. "/" .. name, "rb")
			local text = handle and handle:read("a")
			if handle then
				handle:close()
				count = count + 1
			end
			if text and not unit.json.check(text) then
				io.write(name, " is torn: ", text, "\n")
				os.exit(1)
			end
		end
		unit.file.nap(1000)
	end
	io.write(count, "\n")
]]

local IGNORED = { exit_group = true, munmap = true, mmap = true, brk = true, rt_sigprocmask = true }

describe("kill -9", function()
	local t, dir

	before_each(function()
		t = runs.tree()
		dir = t.root .. "/" .. STAGE
		cli.write(t.dir .. "/appender.lua", APPENDER)
		cli.write(t.dir .. "/reader.lua", READER)
	end)
	after_each(function()
		t:close()
	end)

	---@return string[] argv that runs thhost in the tree
	local function thhost(args, prefix)
		local argv = { "env", "-u", "LD_PRELOAD", "-C", t.dir, "HOME=" .. t.dir .. "/home",
			"XDG_STATE_HOME=" .. t.dir .. "/home/state", "XDG_CONFIG_HOME=" .. t.dir .. "/home/config" }
		table.move(prefix or {}, 1, #(prefix or {}), #argv + 1, argv)
		argv[#argv + 1] = cli.thhost
		return table.move(args, 1, #args, #argv + 1, argv)
	end

	local function record_args(steps)
		return { "record", "tiny", "-d", "d", "--steps", tostring(steps) }
	end

	--- What lies in the record after all is over, against what was acknowledged and what was tried.
	local function check_record(acked, tried, told)
		local seen = {}
		for _, steps in ipairs(storage.steps(dir)) do
			assert.is_nil(seen[steps], "twice: " .. steps .. told)
			assert.is_truthy(tried[steps], "nobody tried: " .. steps .. told)
			seen[steps] = true
		end
		for steps in pairs(acked) do
			assert.is_truthy(seen[steps], "lost: " .. steps .. told)
		end
		assert.same({}, storage.names_with(dir, ".tmp."), told)
		assert.same({}, storage.names_with(dir, ".conflict-"), told)
		assert.is_truthy(unit.json.check(storage.read(dir .. "/.training_info.json.bak")), told)
	end

	-- ---- random moments ----

	---@class torture.Fleet
	local Fleet = {}
	Fleet.__index = Fleet

	local function new_fleet()
		return setmetatable({ acked = {}, tried = {}, n_acked = 0, kills = 0, next = 0, slots = {} }, Fleet)
	end

	function Fleet:ack(steps)
		self.acked[steps] = true
		self.n_acked = self.n_acked + 1
	end

	--- The first half of the slots append in a loop; the others run the program, the last of them
	--- loses its plugin worker instead of its life.
	function Fleet:start(index)
		self.next = self.next + 1
		local slot = { steps = self.next * 10000, out = t.dir .. "/out." .. index,
			err = t.dir .. "/err." .. index }
		local argv
		if index <= WRITERS // 2 then
			slot.loops = true
			argv = { "lua5.4", t.dir .. "/appender.lua", dir, tostring(self.next) }
		else
			slot.worker = index == WRITERS
			argv = thhost(record_args(slot.steps))
			self.tried[slot.steps] = true
		end
		argv.out, argv.err = slot.out, slot.err
		slot.pid = file.spawn(argv)
		slot.kill_at = file.now_ms() + math.random(0, slot.loops and 60 or 25)
		self.slots[index] = slot
	end

	--- An appender may have put one more in place than it could tell.
	function Fleet:take_lines(slot)
		local last = slot.steps
		for line in (storage.read(slot.out) or ""):gmatch("(%d+)\n") do
			last = tonumber(line)
			self:ack(last)
			self.tried[last] = true
		end
		self.tried[last + 1] = true
	end

	function Fleet:ended(slot, how, status)
		local told = ("%s %s: %s"):format(how, status, storage.read(slot.err))
		if how == "signal" then
			assert.equal(KILLED, status, told)
			self.kills = self.kills + 1
		elseif slot.worker and slot.worker_killed then
			assert.is_true(status == 0 or status == PLUGIN_FAILED, told)
		else
			assert.equal(0, status, told)
		end
		if slot.loops then
			assert.equal("signal", how, told)
			self:take_lines(slot)
		elseif how == "exit" and status == 0 then
			self:ack(slot.steps)
		end
	end

	local function kill_worker(slot)
		local children = storage.read(("/proc/%d/task/%d/children"):format(slot.pid, slot.pid))
		local child = tonumber((children or ""):match("%d+"))
		if child and file.kill(child, KILLED) then
			slot.worker_killed = true
			return 1
		end
		return 0
	end

	function Fleet:look_after(slot)
		local how, status = file.wait(slot.pid, 0)
		if not how and slot.worker and not slot.worker_killed then
			self.kills = self.kills + kill_worker(slot)
		elseif not how and not slot.worker and file.now_ms() >= slot.kill_at then
			file.kill(slot.pid, KILLED)
			how, status = file.wait(slot.pid)
		end
		if how then
			self:ended(slot, how, status)
		end
		return how ~= nil
	end

	function Fleet:sail(kills)
		for index = 1, WRITERS do
			self:start(index)
		end
		while self.kills < kills do
			for index, slot in ipairs(self.slots) do
				if self:look_after(slot) then
					self:start(index)
				end
			end
			file.nap(300)
		end
		for _, slot in ipairs(self.slots) do
			file.kill(slot.pid, KILLED)
			self:ended(slot, file.wait(slot.pid))
		end
	end

	local function start_reader()
		local out = t.dir .. "/reads"
		local pid = file.spawn({ "lua5.4", t.dir .. "/reader.lua", dir, t.dir, out = out })
		return function()
			cli.write(t.dir .. "/stop", "")
			local how, status = file.wait(pid)
			assert.same({ "exit", 0 }, { how, status }, storage.read(out))
			os.remove(t.dir .. "/stop")
			return tonumber(storage.read(out))
		end
	end

	it("loses and tears nothing of 8 writers", function()
		local wanted = torture.scale(300, 10000)
		local elapsed = torture.clock()
		local kills, acked, reads = 0, 0, 0
		math.randomseed(torture.seed)
		while kills < wanted do
			storage.shell("rm -rf %s", dir)
			t:ok(record_args(1))
			local fleet = new_fleet()
			local stop = start_reader()
			fleet.tried[1] = true
			fleet:sail(math.min(BATCH, wanted - kills))
			reads = reads + stop()
			t:ok(record_args(2))
			fleet.tried[2] = true
			fleet:ack(1)
			fleet:ack(2)
			check_record(fleet.acked, fleet.tried, " (seed " .. torture.seed .. ")")
			t:ok { "verify" }
			kills, acked = kills + fleet.kills, acked + fleet.n_acked
		end
		assert.is_true(acked > kills // 4, acked)
		torture.figure(TIER, "kill -9 of 8 writers and of plugin workers", kills, 0,
			("%d entries acknowledged, %d reads without a lock, %s"):format(acked, reads, elapsed()))
	end)

	it("leaves the lock free at once", function()
		local n = torture.scale(20, 500)
		cli.shell("mkdir " .. dir)
		cli.write(t.dir .. "/holder.lua", [[
			local file = require("unit").file
			local lock = assert(file.lock(arg[1], ".training_info.json.lock", "x", 60000))
			print("held")
			io.flush()
			file.nap(60000000)
			return lock
		]])
		for _ = 1, n do
			local out = t.dir .. "/held"
			local pid = file.spawn({ "lua5.4", t.dir .. "/holder.lua", dir, out = out })
			storage.wait_until("the lock", function()
				return storage.read(out) == "held\n"
			end)
			assert.is_nil((file.lock(dir, ".training_info.json.lock", "x", 0)))
			file.kill(pid, KILLED)
			file.wait(pid)
			local lock <close> = assert(file.lock(dir, ".training_info.json.lock", "x", 0))
			assert.is_truthy(lock)
			os.remove(out)
		end
		torture.figure(TIER, "lock free at once after its holder's death", n, 0)
	end)

	-- ---- every system call ----

	--- The system calls of thhost with these arguments, as { name, k }: the k-th of its name.
	local function boundaries(args)
		local trace = t.dir .. "/trace"
		local list, count = {}, {}
		file.wait(file.spawn(thhost(args, { "strace", "-qq", "-o", trace })))
		for name in storage.read(trace):gmatch("%f[^\n\0]([%w_]+)%(") do
			count[name] = (count[name] or 0) + 1
			if not IGNORED[name] then
				list[#list + 1] = { name, count[name] }
			end
		end
		assert(#list > 100, "the trace is too short")
		return list
	end

	--- Kill thhost at each of its system calls (in the short form at every 'stride'-th), from the state
	--- that 'prepare' makes. check(how, status, told) looks at what is left.
	local function kill_at_each(what, args, prepare, check, stride)
		local elapsed = torture.clock()
		local n, killed = 0, 0
		prepare()
		local calls = boundaries(args)
		local step = torture.scale(stride, 1)
		for i = torture.seed % step + 1, #calls, step do
			local call = calls[i]
			local inject = ("inject=%s:signal=KILL:when=%d"):format(call[1], call[2])
			prepare()
			local argv = thhost(args, { "strace", "-qq", "-o", "/dev/null", "-e", inject })
			argv.out, argv.err = "/dev/null", t.dir .. "/err"
			local how, status = file.wait(file.spawn(argv))
			check(how, status, ("%s, killed at %s %d: %s %s: "):format(what, call[1], call[2], how, status))
			n = n + 1
			killed = killed + (how == "signal" and 1 or 0)
		end
		assert.is_true(killed > n * 3 // 4, killed)
		torture.figure(TIER, what .. ", killed at each system call", n, 0, elapsed())
	end

	local function pending_without_strace(what)
		if storage.is_asan or not storage.has_strace then
			return torture.cannot(TIER, what, "no strace, or a sanitizer in its way")
		end
	end

	--- Takes the stage directory away; the function makes a copy of it there. The first one keeps its
	--- inodes, so that no file of a copy gets the number that is in the name of a temporary.
	local function snapshot()
		local copy = t.dir .. "/copy"
		storage.shell("mv %s %s", dir, copy)
		return function()
			storage.shell("rm -rf %s && cp -a %s %s", dir, copy, dir)
		end
	end

	--- The entry of this command is there once, or not at all if it was not acknowledged; then the
	--- next one is recorded and leaves nothing over.
	local function check_entry(expected, steps)
		return function(how, status, told)
			assert.is_true(how == "signal" or status == 0, told .. tostring(storage.read(t.dir .. "/err")))
			t:ok(record_args(99))
			local acked, tried = { [99] = true }, { [steps] = true, [99] = true }
			for _, known in ipairs(expected) do
				acked[known], tried[known] = true, true
			end
			acked[steps] = how == "exit" and status == 0 or nil
			check_record(acked, tried, told)
		end
	end

	it("loses nothing at any system call of 'record'", function()
		local cannot = pending_without_strace("record at each system call")
		if cannot then
			return pending(cannot)
		end
		t:ok(record_args(1))
		t:ok(record_args(2))
		kill_at_each("record", record_args(3), snapshot(), check_entry({ 1, 2 }, 3), 6)
	end)

	it("loses nothing at any system call of a recovery", function()
		local cannot = pending_without_strace("the recovery at each system call")
		if cannot then
			return pending(cannot)
		end
		t:ok(record_args(1))
		t:ok(record_args(2))
		local argv = thhost(record_args(3), { "strace", "-qq", "-o", "/dev/null", "-e",
			"inject=renameat:signal=KILL:when=2" })
		assert.same({ "signal", KILLED }, { file.wait(file.spawn(argv)) })
		assert.equal(1, #storage.names_with(dir, ".tmp."))
		kill_at_each("record after a crash", record_args(4), snapshot(), check_entry({ 1, 2, 3 }, 4), 6)
	end)

	it("keeps a foreign version once at any system call of a recovery", function()
		local cannot = pending_without_strace("the rescue of a foreign version")
		if cannot then
			return pending(cannot)
		end
		local foreign = '{"foreign": true}\n'
		t:ok(record_args(1))
		local pid = file.spawn(thhost(record_args(2), { "strace", "-qq", "-o", "/dev/null", "-e",
			"inject=renameat:signal=STOP:when=1", "-e", "inject=linkat:signal=KILL:when=1" }))
		storage.before_exchange(dir, function()
			storage.replace(dir .. "/" .. storage.RECORD, foreign)
		end)
		assert.same({ "signal", KILLED }, { file.wait(pid) })
		kill_at_each("record after a crash beside a foreign writer", record_args(3), snapshot(),
			function(_, _, told)
				t:ok(record_args(99))
				local conflicts = storage.names_with(dir, ".conflict-")
				assert.equal(1, #conflicts, told)
				assert.equal(foreign, storage.read(dir .. "/" .. conflicts[1]), told)
				assert.same({}, storage.names_with(dir, ".tmp."), told)
			end, 6)
	end)

	--- An entry in the spool, and the record mended.
	local function spool(steps)
		local good = storage.read(dir .. "/" .. storage.RECORD)
		storage.write(dir .. "/" .. storage.RECORD, good:sub(1, 40))
		storage.shell("touch -d '1 hour ago' %s", dir .. "/" .. storage.RECORD)
		assert.equal(7, t:run(record_args(steps)).status)
		storage.write(dir .. "/" .. storage.RECORD, good)
	end

	it("puts a spooled entry in once, at whatever system call 'repair' dies", function()
		local cannot = pending_without_strace("repair at each system call")
		if cannot then
			return pending(cannot)
		end
		t:ok(record_args(1))
		t:ok(record_args(2))
		spool(3)
		kill_at_each("repair", { "repair" }, snapshot(), function(_, _, told)
			t:ok { "repair" }
			check_record({ [1] = true, [2] = true, [3] = true }, { true, true, true }, told)
			assert.same({}, file.list(dir .. "/.thhost/spool"), told)
			t:ok { "verify" }
		end, 6)
	end)

	-- ---- thhost run ----

	local function tiny(before)
		return runs.tiny(before .. runs.write_result)
	end

	--- A training may outlive its thhost for a moment.
	local function repair_when_it_has_ended()
		cli.wait_for("the end of the training", function()
			t:run { "repair" }
			local run = runs.journal(t)[1]
			return not run or run.state ~= "running" and run.state ~= "starting"
		end)
	end

	it("of 'run' loses no training that is known to have ended well", function()
		local cannot = pending_without_strace("run at each system call")
		if cannot then
			return pending(cannot)
		end
		kill_at_each("run", tiny(""), function()
			storage.shell("rm -rf %s", dir)
		end, function(how, status, told)
			local run = runs.journal(t)[1]
			assert.is_true(how == "signal" or status == 0, told)
			if how == "exit" or run and run.exit_code == 0 then
				t:ok { "repair" }
				assert.equal("recorded", runs.journal(t)[1].state, told)
			end
			repair_when_it_has_ended()
			runs.check(t, told)
		end, 10)
	end)

	it("of 'run' at random moments around the training's end leaves nothing half done", function()
		local n = torture.scale(25, 1000)
		local elapsed = torture.clock()
		local ends = { recorded = 0, repaired = 0, interrupted = 0 }
		math.randomseed(torture.seed)
		for i = 1, n do
			storage.shell("rm -rf %s", dir)
			local argv = thhost(tiny("sleep 0.0" .. math.random(9) .. ";"))
			argv.out, argv.err = "/dev/null", t.dir .. "/err"
			local pid = file.spawn(argv)
			file.nap(math.random(20000, 160000))
			file.kill(pid, KILLED)
			local how, status = file.wait(pid)
			assert.is_true(how == "signal" or status == 0, storage.read(t.dir .. "/err"))
			local before = runs.journal(t)[1]
			repair_when_it_has_ended()
			local after = runs.journal(t)[1]
			local word = not after and "interrupted"
				or after.state == "recorded" and before.state ~= "recorded" and "repaired" or after.state
			ends[word] = ends[word] + 1
			runs.check(t, "kill " .. i .. ": ")
		end
		torture.figure(TIER, "kill -9 of thhost run", n, 0, ("%d recorded, %d by repair, %d interrupted, %s")
			:format(ends.recorded, ends.repaired, ends.interrupted, elapsed()))
	end)
end)
