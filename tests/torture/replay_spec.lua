--- Power loss, replayed: what a command wrote and synced is recorded, and each state of the disk that
--- a cut at any of its calls may leave is made and looked at (tests/support/disk.lua).
local unit = require "unit"
local cli = require "support.cli"
local disk = require "support.disk"
local runs = require "support.runs"
local storage = require "support.storage"
local torture = require "support.torture"

local TIER = "replay"
local STAGE = "exp_1/tiny_d"
local RECORD = STAGE .. "/" .. storage.RECORD
local WITHOUT_EXCHANGE = { "-e", "inject=renameat2:error=EINVAL" }
-- Choices of directory operations, and of data, after each call: nearly always all there are.
local LIMIT = torture.scale(12, 1024)
local TEETH_LIMIT = torture.scale(4, 64)
local RUN_LIMIT = torture.scale(2, 64) -- a run makes more calls, and its check takes longer

describe("a power cut after any call of", function()
	local t

	before_each(function()
		if storage.is_asan or not storage.has_strace then
			return
		end
		t = runs.tree()
		math.randomseed(torture.seed)
	end)
	after_each(function()
		if t then
			t:close()
		end
	end)

	local function record_args(steps)
		return { "record", "tiny", "-d", "d", "--steps", tostring(steps) }
	end

	--- Do the command and record what it does to the tree; told: see disk.record.
	local function record_calls(args, status, more, told)
		local base = disk.read(t.root)
		local trace = t.dir .. "/trace"
		local words = {}
		for i, word in ipairs(table.move(more or {}, 1, #(more or {}), #disk.STRACE + 1,
			{ table.unpack(disk.STRACE) })) do
			words[i] = cli.quote(word)
		end
		local result = t:run(args, { prefix = table.concat(words, " ") .. " -o " .. trace })
		assert.equal(status, result.status, result.err)
		local events = disk.record(t.root, base, storage.read(trace), told)
		assert.equal(disk.text(disk.read(t.root)), disk.text(base), "the model went wrong")
		return base, events
	end

	--- Make each state and check(told, where) it. The states, and how many of them failed.
	local function violations(base, events, check, limit)
		local failed, first = 0, nil
		local states = disk.states(base, events, limit or LIMIT)
		for _, state in ipairs(states) do
			disk.put(state, t.root)
			local ok, message = pcall(check, state.told)
			if not ok then
				failed = failed + 1
				first = first or ("after call %d of %d: %s"):format(state.at, #events, tostring(message))
			end
		end
		return #states, failed, first
	end

	--- What the rig makes of a program that does not sync: the same calls without some.
	local function without(events, kind)
		local rest = { ready = events.ready }
		for _, event in ipairs(events) do
			if event.op ~= "sync" or event.inode.kind ~= kind then
				rest[#rest + 1] = event
			end
		end
		return rest
	end

	local function try(what, base, events, check, limit)
		local elapsed = torture.clock()
		local n, failed, first = violations(base, events, check, limit)
		assert.equal(0, failed, first)
		assert.is_true(n > #events // 2, n)
		torture.figure(TIER, what .. ": states of the disk", n, failed, elapsed())
	end

	local function it_replays(what, body)
		it(what, function()
			if storage.is_asan or not storage.has_strace then
				return pending(torture.cannot(TIER, what, "no strace, or a sanitizer in its way"))
			end
			body()
		end)
	end

	-- ---- an append ----

	--- Old or new, as was told; the next append works and leaves nothing; nor does repair find anything.
	local function check_append(old, new)
		local text = new:match("^%s*{") and new
		return function(told)
			local now = t:read(RECORD)
			assert(now == text or (not told and now == old), "neither old nor new: " .. tostring(now))
			local before = storage.steps(t.root .. "/" .. STAGE)
			local backup = t:read(STAGE .. "/.training_info.json.bak")
			assert(not backup or unit.json.check(backup), "the backup is torn")
			t:ok(record_args(99))
			before[#before + 1] = 99
			assert.same(before, storage.steps(t.root .. "/" .. STAGE))
			assert.same({}, storage.names_with(t.root .. "/" .. STAGE, ".tmp."))
			assert.same({}, storage.names_with(t.root .. "/" .. STAGE, ".conflict-"))
			t:ok { "repair" }
		end
	end

	for number, name in ipairs({ "first", "second", "third" }) do
		for _, way in ipairs({ "with an exchange", "without one" }) do
			it_replays(("the %s 'record' %s"):format(name, way), function()
				for steps = 1, number - 1 do
					t:ok(record_args(steps))
				end
				local old = t:read(RECORD)
				local base, events = record_calls(record_args(number), 0,
					way == "without one" and WITHOUT_EXCHANGE or nil, "^recorded")
				local check = check_append(old, t:read(RECORD))
				try(("%s record, %s"):format(name, way), base, events, check)
				if number == 3 then
					local _, torn = violations(base, without(events, "file"), check, TEETH_LIMIT)
					assert.is_true(torn > 0, "a program that does not sync its file passes")
					local _, lost = violations(base, without(events, "dir"), check, TEETH_LIMIT)
					assert.is_true(lost > 0, "a program that does not sync its directory passes")
					torture.figure(TIER, ("%s record, %s, no fsync of the file"):format(name, way), torn, 0,
						"states that the rig calls wrong, as it must")
					torture.figure(TIER, ("%s record, %s, no fsync of the directory"):format(name, way), lost, 0,
						"states that the rig calls wrong, as it must")
				end
			end)
		end
	end

	-- ---- the spool ----

	--- The record as it was before somebody damaged it.
	local good

	local function damage()
		good = t:read(RECORD)
		t:write(RECORD, good:sub(1, 40))
		storage.shell("touch -d '1 hour ago' %s", t.root .. "/" .. RECORD)
	end

	it_replays("'record' into the spool", function()
		t:ok(record_args(1))
		damage()
		local base, events = record_calls(record_args(2), 7)
		try("record into the spool", base, events, function(told)
			assert(t:read(RECORD) == good:sub(1, 40), "the damaged record has changed")
			t:write(RECORD, good)
			t:ok { "repair" }
			local steps = storage.steps(t.root .. "/" .. STAGE)
			assert(#steps == 2 or (not told and #steps == 1), "the spooled entry is lost")
			t:ok { "verify" }
		end)
	end)

	it_replays("'repair' of a spooled entry", function()
		t:ok(record_args(1))
		damage()
		assert.equal(7, t:run(record_args(2)).status)
		t:write(RECORD, good)
		local base, events = record_calls({ "repair" }, 0)
		local new = t:read(RECORD)
		try("repair of a spooled entry", base, events, function(told)
			local now = t:read(RECORD)
			assert(now == new or (not told and now == good), "neither old nor new: " .. tostring(now))
			t:ok { "repair" }
			assert.same({ 1, 2 }, storage.steps(t.root .. "/" .. STAGE))
			assert.same({}, storage.names_with(t.root .. "/" .. STAGE, ".tmp."))
			t:ok { "verify" }
		end)
	end)

	-- ---- a run ----

	it_replays("'run'", function()
		t:write(STAGE .. "/result.json", '{"steps": 10, "metrics": {"f1": 0.5}}')
		local base, events = record_calls(runs.tiny(":"), 0, nil, "^recorded")
		try("run", base, events, function(told)
			t:ok { "repair" }
			runs.check(t)
			local run = runs.journal(t)[1]
			assert(not told or run and run.state == "recorded", "the run is lost")
			t:ok(runs.tiny(":"))
			runs.check(t)
		end, RUN_LIMIT)
	end)

	-- ---- experiments ----

	local function check_current(old, new)
		return function(told)
			local current = cli.shell(("readlink '%s/current' || :"):format(t.root))
			assert(current == new or (not told and current == old), "current: " .. current)
			assert(current == "" or cli.read(t.root .. "/current/.") == nil and os.execute(("test -d '%s/current'")
				:format(t.root)), "current leads nowhere")
			t:ok { "exp", "new", "exp_9" }
			t:ok(record_args(99))
		end
	end

	it_replays("'exp new'", function()
		local base, events = record_calls({ "exp", "new", "exp_2" }, 0)
		try("exp new", base, events, check_current("exp_1", "exp_2"))
	end)

	it_replays("the first 'exp new'", function()
		storage.shell("rm -rf %s && mkdir %s", t.root, t.root)
		local base, events = record_calls({ "exp", "new", "exp_1" }, 0)
		try("first exp new", base, events, check_current("", "exp_1"))
	end)

	it_replays("'exp use'", function()
		t:ok { "exp", "new", "exp_2" }
		local base, events = record_calls({ "exp", "use", "exp_1" }, 0)
		try("exp use", base, events, check_current("exp_2", "exp_1"))
	end)
end)
