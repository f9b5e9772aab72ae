--- What a crash, a full disk, a script or a bad copy can leave: found by 'verify', and put right by
--- 'repair' where that is safe.
local cjson = require "cjson"
local cli = require "support.cli"
local runs = require "support.runs"
local storage = require "support.storage"

local RECORD = "training_info.json"
local NO_RUN = "01a2081c-368f-7000-8000-00000000000"
local t, dir

local function fresh()
	t = runs.tree()
	dir = t.root .. "/exp_1/stage1_hrds"
end

local function done()
	t:close()
end

local function path_of(name)
	return dir .. "/" .. name
end

--- Old enough that nobody is writing it; a fresh one is looked at again for two seconds.
local function write_old(path, text)
	cli.shell("mkdir -p " .. cli.quote((path:gsub("/[^/]*$", ""))))
	cli.write(path, text)
	cli.shell("touch -d '1 hour ago' " .. cli.quote(path))
end

--- An hour from now, by thhost's clock: of a temporary file the ctime counts, which nobody can set.
local function later(...)
	return t:run({ ..., "--json" }, { env = { THHOST_TEST_NOW = tostring(os.time() + 3600) } })
end

local function codes(list)
	local found = {}
	for _, item in ipairs(list) do
		found[#found + 1] = item.code
	end
	table.sort(found)
	return table.concat(found, " ")
end

local function findings()
	local result = t:run { "verify", "--json" }
	return cjson.decode(result.out).findings
end

--- What 'verify' finds, by code, and that it touches nothing.
local function assert_found(expected)
	local before = t:snapshot()
	assert.equal(expected, codes(findings()))
	assert.equal(before, t:snapshot())
end

--- 'repair' says beforehand what it will do, touches nothing then, does it, and then has nothing to do.
---@return table answer of the one that did it
local function assert_repairs(expected, ...)
	local before = t:snapshot()
	local would = t:json({ "repair", "--dry-run", ... })
	assert.equal(expected, codes(would.done))
	assert.equal(before, t:snapshot())
	local answer = t:json { "repair", ... }
	assert.equal(expected, codes(answer.done))
	assert.same({}, answer.left)
	for i, action in ipairs(answer.done) do
		assert.equal(would.done[i].path, action.path)
		assert.matches("would ", would.done[i].message)
		assert.is_nil(action.message:find("would ", 1, true), action.message)
	end
	assert.equal("nothing to repair\n", t:ok({ "repair", ... }).out)
	return answer
end

--- 'repair' leaves these, changes nothing, and ends with 1.
local function assert_left(expected)
	local before = t:snapshot()
	local answer, result = t:json({ "repair" }, 1)
	assert.equal("", codes(answer.done))
	assert.equal(expected, codes(answer.left))
	assert.equal(before, t:snapshot())
	return answer.left[1].message, result
end

local function quarantined(place)
	return storage.names_with(place or path_of(".thhost/quarantine"), "")
end

local function steps(name)
	local list = {}
	for i, entry in ipairs(t:info(name or "stage1_hrds").training_history) do
		list[i] = math.tointeger(entry.steps)
	end
	return table.concat(list, " ")
end

local function record(n)
	t:ok { "record", "stage1", "-d", "hrds", "--steps", tostring(n), "--start-time",
		("2025-01-01T%02d:00:00"):format(n), "--end-time", ("2025-01-01T%02d:30:00"):format(n) }
end

local function tiny()
	t:ok(runs.tiny(runs.write_result))
	dir = t.root .. "/exp_1/tiny_d"
end

local function journal_path(run)
	return path_of(".thhost/runs/" .. run.run_id .. ".json")
end

--- Change the newest run of the journal; a function gets the decoded run, a string is the text.
local function change_run(change)
	local list = runs.journal(t)
	local run = list[#list]
	if type(change) == "string" then
		cli.write(journal_path(run), change)
	else
		change(run)
		cli.write(journal_path(run), cjson.encode(run))
	end
	return run
end

describe("a damaged record", function()
	before_each(fresh)
	after_each(done)

	local damages = {
		{ "cut off", function(good) return good:sub(1, #good // 2) end },
		{ "empty", function() return "" end },
		{ "full of NULs", function(good) return ("\0"):rep(#good) end },
		{ "two documents", function(good) return good .. good end },
		{ "something else", function() return "[1, 2]" end },
	}
	for _, damage in ipairs(damages) do
		it("that is " .. damage[1] .. " gives way to the version before", function()
			record(1)
			record(2)
			local before = t:read("exp_1/stage1_hrds/.training_info.json.bak")
			local bad = damage[2](cli.read(path_of(RECORD)))
			write_old(path_of(RECORD), bad)
			assert_found("json")
			local answer = assert_repairs("restored")
			assert.matches("1 entry, last updated 2025%-.*; other entries .* may be missing; the damaged one is kept as",
				answer.done[1].message)
			assert.equal(path_of(RECORD), answer.done[1].path)
			assert.equal(before, cli.read(path_of(RECORD)))
			assert.equal(before, t:read("exp_1/stage1_hrds/.training_info.json.bak"))
			local kept = quarantined()
			assert.equal(1, #kept)
			assert.matches("^training_info%.json%.%d+_%d+$", kept[1])
			assert.equal(bad, cli.read(path_of(".thhost/quarantine/" .. kept[1])))
			assert_found("quarantine")
			record(3)
			assert.equal("1 3", steps())
		end)
	end

	it("gets back what the journal recorded after the version before", function()
		tiny()
		tiny()
		tiny()
		local good = t:info("tiny_d")
		write_old(path_of(RECORD), "{")
		local answer = assert_repairs("restored")
		assert.matches("2 entries, last updated .*, and 1 that the journal knows to be later", answer.done[1].message)
		assert.same(good, t:info("tiny_d"))
		assert_found("quarantine")
	end)

	it("does not get back what was deleted long before", function()
		tiny()
		local first = runs.journal(t)[1]
		change_run(function(run)
			run.end_time = "2020-01-01T00:00:00+00:00"
			run.entry.end_time = run.end_time
			run.entry.run_id = run.run_id
		end)
		os.remove(path_of(RECORD))
		tiny()
		tiny()
		write_old(path_of(RECORD), "{")
		assert_repairs("restored")
		local history = t:info("tiny_d").training_history
		assert.equal(2, #history)
		assert.not_equal(first.run_id, history[1].run_id)
	end)

	it("loses a byte order mark, and nothing else", function()
		record(1)
		local good = cli.read(path_of(RECORD))
		write_old(path_of(RECORD), "\239\187\191" .. good)
		assert_found("json")
		assert.matches("byte order mark", findings()[1].message)
		assert_repairs("bom")
		assert.equal(good, cli.read(path_of(RECORD)))
		assert.equal("\239\187\191" .. good, cli.read(path_of(".thhost/quarantine/" .. quarantined()[1])))
	end)

	it("stays where it is while nothing better is there", function()
		record(1)
		write_old(path_of(RECORD), "{\n oops")
		local message = assert_left("damaged")
		assert.matches("training_info.json:2:2: .*no valid '.training_info.json.bak'", message)
		write_old(path_of(".training_info.json.bak"), "{ too")
		assert_left("damaged")
		write_old(path_of(".training_info.json.bak"), '{"training_history": [{}]}')
		assert_left("damaged")
	end)

	it("that breaks a rule is left to its owner, and said", function()
		record(1)
		record(2)
		local text = cli.read(path_of(RECORD))
		write_old(path_of(RECORD), (text:gsub('"steps": 1,', '"steps": "one",')))
		assert.matches("training_info.json:%d+: .*steps.*mend it with an editor", assert_left("rules"))
	end)

	for order, swapped in pairs { ["in our order"] = "%1%2%3", ["in another"] = "%3%2%1" } do
		it("gets the totals that follow from its entries, and keeps every other byte: " .. order, function()
			record(1)
			record(2)
			local good = cli.read(path_of(RECORD))
				:gsub('("total_steps": 3)(,%s*)("last_dataset": "hrds")', swapped)
			write_old(path_of(RECORD), (good:gsub('"total_steps": 3', '"total_steps": 7')
				:gsub('"last_dataset": "hrds"', '"last_dataset": "x"')))
			assert_found("derived derived")
			assert_repairs("totals")
			assert.equal(good, cli.read(path_of(RECORD)))
			assert_found("")
		end)
	end

	it("is not touched where it is no file", function()
		record(1)
		record(2)
		cli.shell(("cd %s && mv %s good && ln -s good %s"):format(dir, RECORD, RECORD))
		assert_found("read")
		assert.matches("symbolic link", assert_left("read"))
	end)

	it("waits for a program that is writing it", function()
		record(1)
		record(2)
		local good = cli.read(path_of(RECORD))
		cli.write(path_of(RECORD), good:sub(1, 40))
		assert(os.execute(("(sleep 0.4; printf %%s %s >%s) &"):format(cli.quote(good),
			path_of(RECORD))))
		assert.equal("nothing to repair\n", t:ok({ "repair" }).out)
		assert.equal(good, cli.read(path_of(RECORD)))
	end)

	it("is old, or mended, whenever repair is killed", function()
		if storage.is_asan or storage.skip_without(storage.has_strace, "strace") then
			return pending("no strace, or a sanitizer in its way")
		end
		tiny()
		tiny()
		local good = t:info("tiny_d")
		local kills = 0
		for _, call in ipairs { "linkat", "renameat2", "fsync", "pwrite64,write", "mkdirat", "unlinkat" } do
			for nth = 1, 20 do
				cli.shell("rm -rf " .. path_of(".thhost/quarantine"))
				write_old(path_of(RECORD), "{ damaged")
				local result = t:run({ "repair" }, { prefix = ("strace -f -o /dev/null -e trace=%s "
					.. "-e inject=%s:signal=SIGKILL:when=%d"):format(call, call, nth) })
				local now = cli.read(path_of(RECORD))
				assert.is_true(now == "{ damaged" or #t:info("tiny_d").training_history == 2, now)
				if result.status == 0 then
					break
				end
				kills = kills + 1
				t:ok { "repair" }
				assert.same(good, t:info("tiny_d"))
				assert.equal("nothing to repair\n", t:ok({ "repair" }).out)
				assert.equal(1, #quarantined())
				assert.equal("{ damaged", cli.read(path_of(".thhost/quarantine/" .. quarantined()[1])))
				assert.same({}, storage.names_with(dir, ".tmp."))
			end
		end
		assert.is_true(kills >= 8, kills .. " kills")
	end)

	it("is old, or mended, whatever fails meanwhile", function()
		if storage.is_asan or storage.skip_without(storage.has_strace, "strace") then
			return pending("no strace, or a sanitizer in its way")
		end
		record(1)
		record(2)
		local before = t:read("exp_1/stage1_hrds/.training_info.json.bak")
		for _, call in ipairs { "linkat:error=EIO", "renameat2:error=EIO", "fsync:error=EIO",
			"mkdirat:error=ENOSPC" } do
			cli.shell("rm -rf " .. path_of(".thhost"))
			write_old(path_of(RECORD), "{ damaged")
			local name = call:match("^%w+")
			local result = t:run({ "repair" }, { prefix = ("strace -f -o /dev/null -e trace=%s "
				.. "-e inject=%s:when=1+"):format(name, call) })
			assert.equal(1, result.status, call .. result.out .. result.err)
			local now = cli.read(path_of(RECORD))
			assert.is_true(now == "{ damaged" or now == before, call)
			t:run { "repair" }
			assert.equal(before, cli.read(path_of(RECORD)))
		end
	end)

	it("comes back once from many repairs, with every append made meanwhile", function()
		record(1)
		record(2)
		write_old(path_of(RECORD), "{")
		local script = [[cd %s; for i in 1 2 3 4; do %s repair >/dev/null 2>&1 & done
			for i in 11 12 13; do %s record stage1 -d hrds --steps $i >/dev/null 2>&1 & done; wait]]
		cli.shell(("export HOME=%s/home XDG_STATE_HOME=%s/home/state; "):format(t.dir, t.dir)
			.. script:format(t.dir, cli.thhost, cli.thhost))
		t:ok { "repair" } -- what came before the first repair waits in the spool
		local list = {}
		for _, entry in ipairs(t:info("stage1_hrds").training_history) do
			list[#list + 1] = entry.steps
		end
		table.sort(list)
		assert.same({ 1, 11, 12, 13 }, list)
		assert.equal(1, #quarantined())
	end)
end)

describe("entries that a record has no more", function()
	before_each(fresh)
	after_each(done)

	it("are named, never put back by themselves, and put back when that is asked for", function()
		tiny()
		local one = cli.read(path_of(RECORD))
		tiny()
		tiny()
		local run = runs.journal(t)[3]
		cli.write(path_of(RECORD), one)
		assert_found("gone gone")
		assert.matches("'thhost repair %-%-restore exp_1/tiny_d' puts it back", findings()[1].message)
		assert.equal(0, t:run({ "verify" }).status)
		assert.equal("nothing to repair\n", t:ok({ "repair" }).out)
		assert_repairs("put_back", "--restore", run.run_id)
		assert.equal(run.run_id, t:info("tiny_d").training_history[2].run_id)
		assert_repairs("put_back", "--restore", "exp_1/tiny_d")
		assert.equal(3, #t:info("tiny_d").training_history)
		assert.equal(30, t:info("tiny_d").total_steps)
		assert_found("")
	end)

	it("keep every value", function()
		tiny()
		local one = cli.read(path_of(RECORD))
		tiny()
		local entry = t:info("tiny_d").training_history[2]
		cli.write(path_of(RECORD), one)
		t:ok { "repair", "--restore", "tiny_d" }
		assert.same(entry, t:info("tiny_d").training_history[2])
	end)

	it("come back from the version before, and from what another program wrote", function()
		record(1)
		record(2)
		local two = cli.read(path_of(RECORD))
		local one = cli.read(path_of("." .. RECORD .. ".bak"))
		record(3)
		local text = two:gsub('"steps": 2,', '"steps": 4,'):gsub("T02:", "T04:")
		cli.write(path_of("." .. RECORD .. ".conflict-20250101_000000"), text)
		cli.write(path_of(RECORD), one)
		assert_found("conflict gone gone")
		t:ok { "repair", "--restore", "stage1_hrds" }
		assert.equal("1 2 4", steps())
		assert_found("conflict")
	end)

	it("are no entries that were edited by hand", function()
		tiny()
		tiny()
		local text = cli.read(path_of(RECORD))
		cli.write(path_of(RECORD), (text:gsub('"f1": 0.5', '"f1": 0.75')))
		assert_found("")
		record(1)
		dir = t.root .. "/exp_1/stage1_hrds"
		record(2)
		text = cli.read(path_of(RECORD))
		cli.write(path_of(RECORD), (text:gsub('"metrics": {}', '"metrics": {"f1": 1}')))
		assert_found("")
	end)

	it("whose values nobody has are said", function()
		tiny()
		local one = cli.read(path_of(RECORD))
		tiny()
		change_run(function(run)
			run.entry = nil
		end)
		cli.write(path_of(RECORD), one)
		os.remove(path_of("." .. RECORD .. ".bak"))
		assert.matches("nothing here has its values", findings()[1].message)
		local answer = t:json({ "repair", "--restore", "tiny_d" }, 1)
		assert.equal("gone", codes(answer.left))
	end)

	it("come back with the whole record, too", function()
		tiny()
		tiny()
		local good = t:info("tiny_d")
		os.remove(path_of(RECORD))
		assert_found("missing")
		assert.equal("nothing to repair\n", t:ok({ "repair" }).out)
		t:ok { "repair", "--restore", "tiny_d" }
		assert.same(good, t:info("tiny_d"))
		os.remove(path_of(RECORD))
		os.remove(path_of("." .. RECORD .. ".bak"))
		assert_found("missing")
		assert.equal("restored", codes(t:json({ "repair", "--restore", "tiny_d" }, 1).left))
	end)

	it("come back with a record that no run was in, which is listed no more until then", function()
		record(1)
		record(2)
		os.remove(path_of(RECORD))
		assert.equal(0, #t:json({ "list" }).models)
		assert_found("missing")
		assert_repairs("restored", "--restore", "stage1_hrds")
		assert.equal("1", steps())
	end)

	it("are only put back where that was named", function()
		t:refused(2, "name a REF", { "repair", "--restore" })
	end)
end)

describe("a run", function()
	before_each(fresh)
	after_each(done)

	local function make_dead(run)
		run.state = "running"
		run.end_time = nil
		run.pid, run.pid_start, run.child_pid, run.child_start = 1, 1, 1, 1
		run.last_step = 7
	end

	it("that is dead is closed by repair, not by verify", function()
		t:run(runs.tiny("exit 3"))
		dir = t.root .. "/exp_1/tiny_d"
		change_run(make_dead)
		assert_found("dead")
		local answer = assert_repairs("closed")
		assert.matches("as interrupted, last step 7:", answer.done[1].message)
		assert.equal("interrupted", runs.journal(t)[1].state)
		assert_found("")
	end)

	it("whose entry was appended, and then thhost was killed, is recorded", function()
		tiny()
		change_run(make_dead)
		assert_found("journal")
		assert_repairs("marked")
		assert.equal("recorded", runs.journal(t)[1].state)
		assert.equal(1, #t:info("tiny_d").training_history)
		assert_found("")
	end)

	it("of another host is never judged, and said", function()
		t:run(runs.tiny("exit 3"))
		dir = t.root .. "/exp_1/tiny_d"
		change_run(function(run)
			make_dead(run)
			run.host = "elsewhere"
		end)
		assert_found("elsewhere")
		local finding = findings()[1]
		assert.equal("warning", finding.level)
		assert.matches("on host 'elsewhere' since %d+%-.*last sign of life %d+", finding.message)
		assert.equal("nothing to repair\n", t:ok({ "repair" }).out)
		assert.equal("running", runs.journal(t)[1].state)
	end)

	it("whose spool file is lost is recorded from the journal", function()
		tiny()
		local good = cli.read(path_of(RECORD))
		write_old(path_of(RECORD), "{")
		t:ok(runs.tiny(runs.write_result))
		local run = runs.journal(t)[2]
		assert.equal("spooled", run.state)
		os.remove(path_of(".thhost/spool/" .. run.run_id .. ".json"))
		cli.write(path_of(RECORD), good)
		assert_found("lost")
		assert_repairs("recorded")
		assert.equal(run.run_id, t:info("tiny_d").training_history[2].run_id)
		assert_found("")
	end)

	it("that could not be read is not given the values of a later one", function()
		t:run(runs.tiny("rm -f $THHOST_STAGE_DIR/result.json"))
		tiny()
		assert_found("unrecorded")
		assert.matches("a later run has written into this directory", assert_left("recorded"))
		assert.equal(1, #t:info("tiny_d").training_history)
	end)

	for _, text in ipairs { "", "{", "\0\0\0", "[]", '{"schema": "else/1"}' } do
		it("whose file is " .. ("%q"):format(text):gsub("\0", "NUL") .. " goes into the quarantine", function()
			tiny()
			local run = change_run(text)
			assert_found("run")
			local answer = assert_repairs("quarantined")
			assert.equal(journal_path(run), answer.done[1].path)
			assert.equal(text, cli.read(path_of(".thhost/quarantine/" .. quarantined()[1])))
			assert_found("quarantine")
		end)
	end

	it("of a later version stays where it is", function()
		tiny()
		change_run('{"schema": "thhost.run/2"}')
		assert_found("run")
		assert.matches("another version of thhost", assert_left("run"))
	end)
end)

describe("a spool", function()
	before_each(fresh)
	after_each(done)

	local function spooled()
		record(1)
		local good = cli.read(path_of(RECORD))
		write_old(path_of(RECORD), "{")
		assert.equal(7, t:run({ "record", "stage1", "-d", "hrds", "--steps", "2" }).status)
		cli.write(path_of(RECORD), good)
		return path_of(".thhost/spool/" .. storage.names_with(path_of(".thhost/spool"), ".json")[1])
	end

	--- The places that thhost turns to when the stage directory cannot be written.
	local function other_place(path, name)
		local place = t.dir .. "/home/state/thhost/spool"
		cli.shell(("mkdir -p %s && chmod 700 %s && mv %s %s/%s"):format(place, place, path, place,
			name or path:match("[^/]+$")))
		return place
	end

	it("is emptied into the record, whichever it is", function()
		other_place(spooled())
		assert_found("spool")
		assert_repairs("spool")
		assert.equal("1 2", steps())
	end)

	it("holds one training once, where two files have it", function()
		local path = spooled()
		cli.shell(("mkdir -p %s/home/state/thhost/spool; chmod 700 %s/home/state/thhost/spool; cp %s %s")
			:format(t.dir, t.dir, path, t.dir .. "/home/state/thhost/spool/"))
		assert_repairs("spool spool")
		assert.equal("1 2", steps())
	end)

	it("keeps an entry that disagrees with the record's, out of the way", function()
		tiny()
		local good = cli.read(path_of(RECORD))
		write_old(path_of(RECORD), "{")
		t:ok(runs.tiny(runs.write_result))
		cli.write(path_of(RECORD), good)
		local path = path_of(".thhost/spool/" .. runs.journal(t)[2].run_id .. ".json")
		local text = cli.read(path)
		t:ok { "repair" }
		cli.write(path, (text:gsub('"f1": 0.5', '"f1": 0.75')))
		local answer = assert_repairs("quarantined")
		assert.matches("the record has another entry of that run", answer.done[1].message)
		assert.equal(2, #t:info("tiny_d").training_history)
	end)

	for _, text in ipairs { "", "{", '{"schema": "thhost.spool/1"}', "[]" } do
		it("is rid of the file " .. ("%q"):format(text) .. ", which is kept", function()
			record(1)
			write_old(path_of(".thhost/spool/" .. NO_RUN .. "1.json"), text)
			write_old(t.dir .. "/home/state/thhost/spool/x.json", text)
			cli.shell("chmod 700 " .. t.dir .. "/home/state/thhost/spool")
			assert_found("spool spool")
			assert_repairs("quarantined quarantined")
			assert.equal(text, cli.read(path_of(".thhost/quarantine/" .. quarantined()[1])))
			local place = t.dir .. "/home/state/thhost/spool/quarantine"
			assert.equal(text, cli.read(place .. "/" .. quarantined(place)[1]))
			assert_found("quarantine quarantine")
		end)
	end

	it("says what waits for a directory that is gone", function()
		local place = other_place(spooled())
		cli.shell(("mv %s %s_moved"):format(dir, dir))
		assert_found("stray")
		assert.matches("which is gone: if that was moved, move the file into its .thhost/spool",
			assert_left("stray"))
		dir = dir .. "_moved"
		cli.shell(("mkdir -p %s/.thhost/spool && mv %s/*.json %s/.thhost/spool"):format(dir, place, dir))
		assert_repairs("spool")
		assert.equal("1 2", steps("stage1_hrds_moved"))
	end)

	it("puts into a directory that has nothing yet", function()
		other_place(spooled())
		cli.shell(("cd %s && rm -rf %s .thhost .training*"):format(dir, RECORD))
		assert_found("spool")
		assert_repairs("spool")
		assert.equal("2", steps())
	end)

	it("gives up the temporary file of a writer that was killed", function()
		local path = spooled()
		cli.shell(("cd %s && mv %s .%s.tmp.1.0123456789abcdef"):format(path_of(".thhost/spool"), path,
			path:match("[^/]+$")))
		assert_found("")
		assert.equal("temporary", codes(cjson.decode(later("verify").out).findings))
		assert.equal("adopted spool", codes(cjson.decode(later("repair").out).done))
		assert.equal("1 2", steps())
	end)
end)

describe("leftovers", function()
	before_each(fresh)
	after_each(done)

	it("of an append go, under the lock", function()
		record(1)
		cli.write(path_of(".training_info.json.tmp.1.0123456789abcdef"), "x")
		assert_found("temporary")
		assert_repairs("swept")
		assert_found("")
	end)

	it("of the journal go once nobody can be writing them", function()
		tiny()
		local run = runs.journal(t)[1]
		local name = path_of(".thhost/runs/." .. run.run_id .. ".json.tmp.1.0123456789abcdef")
		cli.write(name, "{")
		assert_found("")
		assert.equal("nothing to repair\n", t:ok({ "repair" }).out)
		assert.equal("temporary", codes(cjson.decode(later("verify").out).findings))
		assert.equal("swept", codes(cjson.decode(later("repair").out).done))
		assert.is_nil(cli.read(name))
	end)

	it("do not go while somebody has the lock", function()
		record(1)
		cli.write(path_of(".training_info.json.tmp.1.0123456789abcdef"), "x")
		local file = require("unit").file
		local lock = assert(file.lock(dir, ".training_info.json.lock", "x", 0))
		local result = t:run({ "repair" }, { env = { THHOST_LOCK_TIMEOUT = "0" } })
		assert.equal(1, result.status)
		assert.matches("stays: .*locked by pid", result.err)
		file.unlock(lock)
		assert_repairs("swept")
	end)

	it("are not what a link is that leads nowhere, but that is said", function()
		record(1)
		cli.shell(("ln -sfn exp_gone %s/current"):format(t.root))
		assert_found("link")
		assert.matches("'thhost exp use exp_1' mends it", findings()[1].message)
		assert.equal("nothing to repair\n", t:ok({ "repair" }).out)
	end)

	it("beside 'current' go", function()
		record(1)
		cli.shell(("ln -s exp_1 %s/.current.tmp.1.0123456789abcdef"):format(t.root))
		assert_found("")
		assert.equal("temporary", codes(cjson.decode(later("verify").out).findings))
		assert.equal("swept", codes(cjson.decode(later("repair").out).done))
		assert.same({}, storage.names_with(t.root, ".tmp."))
	end)

	it("of a copy that left out a parent are said, with the line", function()
		record(1)
		t:ok { "record", "stage1", "-d", "hrdh", "--init-from", "hrds", "--steps", "5" }
		assert_found("")
		cli.shell("rm -r " .. dir)
		assert_found("parent")
		assert.matches("training_info.json:%d+: its parent 'exp_1/stage1_hrds' is not below the root",
			findings()[1].message)
	end)

	it("are told with file and line, for people and for machines", function()
		record(1)
		record(2)
		write_old(path_of(RECORD), "{\n\n oops")
		local finding = findings()[1]
		assert.same({ "exp_1/stage1_hrds", "error", path_of(RECORD), 3 },
			{ finding.ref, finding.level, finding.path, finding.line })
		local result = t:ok { "repair" }
		assert.equal("", result.err)
		assert.matches("^exp_1/stage1_hrds: brought back '.training_info.json.bak' as '"
			.. path_of(RECORD):gsub("%p", "%%%0") .. "'", result.out)
	end)
end)
