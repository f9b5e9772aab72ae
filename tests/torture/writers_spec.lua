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
	local function found(n)
		local where, count = {}, 0
		for k = 1, n do
			for position, steps in ipairs(storage.steps(dir_of(k))) do
				assert.is_nil(where[steps], "twice: " .. steps)
				where[steps] = { k = k, position = position }
				count = count + 1
			end
			assert.same({}, storage.names_with(dir_of(k), ".conflict-"))
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
		local target = torture.scale(1200, 100000)
		run(("appends, one record at a time (%d entries each)"):format(per_file), target,
			target // per_file * 5 // 4 + 3, { spread = 1, per_file = per_file })
	end)

	it("lose, repeat and move nothing on a hundred records", function()
		run("appends over 100 records", torture.scale(1200, 100000), 100, { spread = 100 })
	end)
end)
