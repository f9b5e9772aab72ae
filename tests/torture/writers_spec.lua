--- Many writers on one record and on a hundred, with readers, copies, 'verify' and 'repair' beside them
--- and a writer killed all the time: every acknowledged entry is there once, where it was acknowledged.
local unit = require "unit"
local actors = require "support.actors"
local storage = require "support.storage"
local torture = require "support.torture"

local file, store = unit.file, unit.store
local LOCK = ".training_info.json.lock"
local WRITERS = 32

describe("writers", function()
	local home, root, dir, group

	before_each(function()
		home = storage.temp_dir()
		root = home .. "/artifact"
		dir = root .. "/exp_1"
		storage.shell("mkdir -p %s %s", dir, home .. "/log")
		math.randomseed(torture.seed)
	end)
	after_each(function()
		if group then
			group:abandon()
			group = nil
		end
		storage.remove(home)
	end)

	local function dir_of(k)
		return ("%s/parent_finder_%04d"):format(dir, k)
	end

	local function make_dirs(n)
		for k = 1, n do
			storage.shell("mkdir %s", dir_of(k))
		end
	end

	-- ---- what must hold at the end ----

	--- All entries in the records: position by steps, and the directory.
	local function found(n, may_conflict)
		local where, count = {}, 0
		for k = 1, n do
			for position, steps in ipairs(storage.steps(dir_of(k))) do
				assert.is_nil(where[steps], "twice: " .. steps)
				where[steps] = { k = k, position = position }
				count = count + 1
			end
			assert.is_true(may_conflict or #storage.names_with(dir_of(k), ".conflict-") == 0)
			assert.same({}, storage.names_with(dir_of(k), ".tmp."))
		end
		return where, count
	end

	--- Each acknowledged entry is where it was said to be, in the writer's order; an entry that nobody
	--- acknowledged can only be the last one of a writer that was killed. Gives the ms of each append, how
	--- many entries of others came between two of one writer, and the number of those unacknowledged.
	local function check_entries(where, count)
		local waits, gaps, open, acked = {}, {}, 0, 0
		for base, actor in ipairs(group.all) do
			if actor.role == "append" or actor.role == "record" then
				local said = actors.said(actor)
				for i, entry in ipairs(said) do
					local there = where[entry.steps] or {}
					assert.equal(base * 100000 + i - 1, entry.steps)
					assert.same({ entry.k, entry.position }, { there.k, there.position }, entry.steps)
					local before = said[i - 1]
					if before and before.k == entry.k then
						assert.is_true(before.position < entry.position)
						gaps[#gaps + 1] = entry.position - before.position - 1
					end
					waits[#waits + 1] = actor.role == "append" and entry.ms or nil
				end
				acked = acked + #said
				if where[base * 100000 + #said] then
					assert.is_true(group.killed[actor.pid])
					open = open + 1
				end
			elseif actor.role == "spool" then
				assert.is_truthy(where[actor.steps], "left in the spool")
				acked = acked + 1
			end
		end
		assert.equal(acked + open, count)
		table.sort(waits)
		table.sort(gaps)
		return waits, gaps, open
	end

	--- 'verify' calls a temporary file a leftover only where its writer has been killed.
	local function check_leftovers()
		local living = {}
		for _, actor in ipairs(group.all) do
			living[tostring(actor.pid)] = actor.how == "exit"
		end
		for _, actor in ipairs(group.all) do
			for pid in (actor.role == "verify" and storage.read(actor.out) or ""):gmatch("leftover%s+(%d+)") do
				assert.is_falsy(living[pid], "no leftover: " .. pid)
			end
		end
	end

	local function sum(role)
		local n = 0
		for _, actor in ipairs(group.all) do
			if actor.role == role then
				for count in storage.read(actor.out):gmatch("count%s+(%d+)") do
					n = n + tonumber(count)
				end
			end
		end
		return n
	end

	local function spread(sorted)
		local n = #sorted
		return ("p50 %d, p99 %d, max %d"):format(sorted[(n + 1) // 2], sorted[math.ceil(n * 0.99)], sorted[n])
	end

	-- ---- the campaign ----

	--- An entry that waits for 'repair'.
	local function spool(k)
		local actor = { role = "spool", how = "exit" }
		group.all[#group.all + 1] = actor
		actor.steps = #group.all * 100000
		assert(store.spool(dir_of(k), store.make_id(), "test", { steps = actor.steps }))
	end

	--- The newest directory that a writer has said to have written to.
	local function newest()
		local k = 1
		while group.common.per_file and storage.read(dir_of(k + 1) .. "/" .. storage.RECORD) do
			k = k + 1
		end
		return k
	end

	local function start_writer(slots, slot)
		local role = slot % 16 == 0 and "record" or "append"
		slots[slot] = group:start(role, { slot = slot, from = newest() })
	end

	--- Kill a writer, now and then the repairer, and start another in its place.
	local function kill_one(slots)
		local slot = math.random(0, WRITERS)
		group:kill(slots[slot])
		if slot == 0 then
			slots[0] = group:start("repair", {})
		else
			start_writer(slots, slot)
		end
	end

	local function run(what, target, n, common)
		local elapsed = torture.clock()
		common.root, common.dir, common.timeout, common.allow = root, dir, 120000, { spool = true }
		group = actors.group(home .. "/log", common)
		make_dirs(n)
		local slots, kills, killed_at, spooled_at = {}, 0, file.now_ms(), 0
		slots[0] = group:start("repair", {})
		for slot = 1, WRITERS do
			start_writer(slots, slot)
		end
		for _, role in ipairs({ "read", "read", "copy", "verify" }) do
			group:start(role, {})
		end
		local next_kill = 0
		repeat
			file.nap(10000)
			group:check()
			local count = group:count()
			if count >= next_kill or file.now_ms() - killed_at >= 1000 then
				kill_one(slots)
				kills, killed_at, next_kill = kills + 1, file.now_ms(), count + 200
			end
			if count - spooled_at >= 100 then
				spool(common.per_file and newest() or math.random(n))
				spooled_at = count
			end
		until count >= target
		group:finish()
		os.remove(group.common.stop)
		group:start("repair", {}) -- what was spooled last
		storage.wait_until("the last repair", function()
			return #(storage.read(group.all[#group.all].out) or "") > 0
		end, 60)
		group:finish()
		local where, count = found(n)
		local waits, gaps, open = check_entries(where, count)
		check_leftovers()
		assert.is_true(sum("read") > 0 and sum("copy") > 0 and sum("verify") > 0 and sum("repair") > 0)
		torture.figure("writers", what, count, 0, ("%d writers, %d kill -9 (%d entries written, "
			.. "not yet acknowledged), %d reads, %d copies, %d verify, %d repair; call to acknowledgement "
			.. "%s ms; entries of others between two of one writer %s; %s"):format(WRITERS, kills, open,
			sum("read"), sum("copy"), sum("verify"), sum("repair"), spread(waits), spread(gaps), elapsed()))
	end

	it("lose, repeat and move nothing on one record", function()
		local per_file = torture.scale(300, 500)
		local target = torture.scale(900, 100000)
		run(("appends, one record at a time (%d entries each)"):format(per_file), target,
			target // per_file * 5 // 4 + 3, { spread = 1, per_file = per_file })
	end)

	it("lose, repeat and move nothing on a hundred records", function()
		run("appends over 100 records", torture.scale(1200, 100000), 100, { spread = 100 })
	end)

	-- ---- single dangers ----

	--- A group on the one record of dir_of(1).
	local function on_one(common)
		make_dirs(1)
		common.dir, common.spread, common.from, common.root = dir_of(1), 0, 1, root
		common.timeout = common.timeout or 60000
		group = actors.group(home .. "/log", common)
	end

	--- Stop a writer while it holds the lock.
	local function stop_holder(writer)
		storage.wait_until("a writer stopped with the lock", function()
			file.kill(writer.pid, 19)
			storage.wait_until("it is stopped", function()
				return storage.read(("/proc/%d/stat"):format(writer.pid)):match("%) T ")
			end)
			local lock, message = file.lock(dir_of(1), LOCK, "x", 0)
			if not lock and message:find("locked by pid " .. writer.pid .. " ", 1, true) then
				return true
			elseif lock then
				file.unlock(lock)
			end
			file.kill(writer.pid, 18)
			file.nap(math.random(2000))
		end)
	end

	it("wait for a holder that is stopped, name it, and go on when it goes on or dies", function()
		local rounds = torture.scale(6, 100)
		on_one({})
		local writer = group:start("append", {})
		for i = 1, rounds do
			storage.wait_until("it writes", function()
				return group:check() and #storage.read(writer.out) > 0
			end)
			stop_holder(writer)
			local before = storage.read(dir_of(1) .. "/" .. storage.RECORD)
			local done, message, code = storage.append(dir_of(1), 1, { timeout = 20 })
			assert.is_nil(done)
			assert.equal("busy", code)
			assert.is_truthy(message:find("is locked by pid " .. writer.pid .. " on ", 1, true), message)
			local other = group:start("append", {})
			assert.equal(before, storage.read(dir_of(1) .. "/" .. storage.RECORD))
			if i % 2 == 0 then
				file.kill(writer.pid, 18)
			else
				group:kill(writer)
			end
			storage.wait_until("the other one writes", function()
				return group:check() and #storage.read(other.out) > 0
			end)
			if i % 2 == 0 then
				group:kill(writer)
			end
			writer = other
		end
		group:finish()
		for _, actor in ipairs(group.all) do
			actor.job.slot = 1
		end
		local where, count = found(1)
		check_entries(where, count)
		torture.figure("writers", "holders stopped with the lock, then killed or let go on", rounds, 0)
	end)

	-- What may happen to the lock file: the entry of an append that fails is not there, of one that works it is.
	local chaos = {
		"rm -f %s", "rm -f %s; : >%s", "rm -f %s; ln -s target %s", "rm -f %s; mkfifo %s",
		"rm -f %s; mkdir %s; sleep 0.01; rmdir %s",
	}

	it("say what they did when the lock file is removed and replaced under them", function()
		local rounds = torture.scale(80, 3000)
		on_one({ may_fail = true, timeout = 5000 })
		for _ = 1, 8 do
			group:start("append", {})
		end
		for _ = 1, rounds do
			local command = chaos[math.random(#chaos)]:gsub("%%s", LOCK)
			storage.shell("cd %s && { " .. command .. "; } 2>/dev/null || true", dir_of(1))
			file.nap(math.random(20000))
			group:check()
		end
		storage.shell("cd %s && rm -rf " .. LOCK, dir_of(1))
		group:finish()
		assert.equal("done", (storage.append(dir_of(1), 1)))
		local where, count = found(1, true)
		local acked, refused = 0, 0
		for _, actor in ipairs(group.all) do
			for _, entry in ipairs(actors.said(actor)) do
				assert.equal(entry.position, (where[entry.steps] or {}).position, entry.steps)
				acked = acked + 1
			end
			for code, steps in storage.read(actor.err):gmatch("refused: (%S+) (%d+) [^\n]+\n") do
				assert.is_truthy(("busy invalid failed not_durable"):find(code, 1, true), code)
				assert.is_true(code == "not_durable" or not where[tonumber(steps)], "refused, and there: " .. steps)
				refused = refused + 1
			end
		end
		assert.equal(acked + 1, count)
		torture.figure("writers", "lock file removed, replaced, made a link, a FIFO, a directory", rounds, 0,
			("8 writers, %d appends, %d refused"):format(acked, refused))
	end)

	it("stay with their directory when it is moved while they wait", function()
		local rounds = torture.scale(30, 1000)
		on_one({ may_fail = true })
		for _ = 1, 8 do
			group:start("append", {})
		end
		for _ = 1, rounds do
			local moved = dir_of(1) .. ".moved"
			assert(os.rename(dir_of(1), moved))
			file.nap(math.random(5000))
			assert(os.rename(moved, dir_of(1)))
			file.nap(math.random(20000))
		end
		group:finish()
		local where, count = found(1)
		local acked = 0
		for _, actor in ipairs(group.all) do
			for _, entry in ipairs(actors.said(actor)) do
				assert.equal(entry.position, (where[entry.steps] or {}).position, entry.steps)
				acked = acked + 1
			end
		end
		assert.equal(acked, count)
		torture.figure("writers", "directory moved away and back under 8 writers", rounds, 0,
			("%d appends"):format(acked))
	end)
end)
