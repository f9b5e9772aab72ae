local unit = require "unit"
local shim = require "support.shim"
local storage = require "support.storage"

local file, store = unit.file, unit.store

local function member(text, key)
	return text:match('"' .. key .. '": ?"(.-)"') or text:match('"' .. key .. '": ?([%-%w.]+)')
end

describe("journal", function()
	local dir, here

	before_each(function()
		dir = storage.temp_dir()
		here = {
			run_id = store.make_id(), stage = "stage3", dataset = "hrds", state = "running",
			host = storage.output("uname -n"):gsub("\n", ""), start_time = "2025-12-11T10:30:00+00:00",
			boot_id = storage.output("cat /proc/sys/kernel/random/boot_id"):gsub("\n", ""),
			pid = file.pid(), pid_start = store.start_time(file.pid()),
		}
	end)
	after_each(function()
		storage.remove(dir)
	end)

	local function run_file(id)
		return dir .. "/.thhost/runs/" .. id .. ".json"
	end

	--- A pid that was somebody's until now.
	local function dead_pid()
		local pid = file.spawn({ "true" })
		file.wait(pid)
		return pid
	end

	it("is empty where there is none, and makes nothing to say so", function()
		local runs, broken = store.load(dir)
		assert.same({}, runs)
		assert.same({}, broken)
		assert.equal("not_found", select(3, store.find(dir, "019a")))
		assert.same({}, store.spool_list(dir))
		assert.same({}, file.list(dir))
	end)

	it("keeps a run from its beginning to its end", function()
		here.state = "starting"
		here.last_metrics = '{"f1": 0.10, "per_class": {"ü": [1, 2.50]}}'
		assert.is_true(store.begin(dir, here))
		local runs = store.load(dir)
		assert.equal(1, #runs)
		assert.equal("starting", member(runs[1], "state"))
		assert.equal("null", member(runs[1], "exit_code"))
		here.state, here.exit_code, here.last_step = "recorded", 0, 500
		assert.is_true(store.update(dir, here))
		local text = store.find(dir, here.run_id:sub(1, 20))
		assert.equal("recorded", member(text, "state"))
		assert.equal("0", member(text, "exit_code"))
		assert.equal("500", member(text, "last_step"))
		assert.equal("thhost.run/1", member(text, "schema"))
		assert.is_truthy(text:find([["train.py --name \"x\""]], 1, true))
		assert.is_truthy(text:find("0.10", 1, true) and text:find("2.50", 1, true), text)
		assert.same({ here.run_id .. ".json" }, file.list(dir .. "/.thhost/runs"))
	end)

	it("syncs the intent, its directory and every directory made for it", function()
		if storage.skip_without(storage.has_strace, "strace") then
			return pending("no strace")
		end
		storage.write(dir .. "/driver", ([[
			local store = require("unit").store
			assert(store.begin(arg[1], { run_id = store.make_id() }))
		]]))
		local pid = file.spawn({ "strace", "-y", "-qq", "-o", dir .. "/trace", "-e",
			"trace=fsync,renameat2", "lua5.4",
			dir .. "/driver", dir })
		assert.same({ "exit", 0 }, { file.wait(pid) })
		local trace = storage.read(dir .. "/trace")
		local escaped = dir:gsub("%p", "%%%0")
		assert.is_truthy(trace:find("fsync%(%d+<" .. escaped .. ">%)"), trace)
		assert.is_truthy(trace:find("fsync%(%d+<" .. escaped .. "/.thhost>%)"), trace)
		assert.is_truthy(trace:find("fsync%(%d+<[^>]*%.tmp%.[^>]*>%).-renameat2.-fsync%(%d+<" .. escaped
			.. "/.thhost/runs>%)"), trace)
	end)

	it("does not begin the same run twice", function()
		assert.is_true(store.begin(dir, here))
		assert.equal("busy", select(3, store.begin(dir, here)))
	end)

	it("refuses an id that is a path", function()
		here.run_id = "../../../x"
		assert.equal("invalid", select(3, store.begin(dir, here)))
		assert.equal("invalid", select(3, store.log(dir, "../../x", "text")))
	end)

	it("lists runs by age, and does not let a broken one hide the others", function()
		local ids = {}
		for i = 1, 20 do
			here.run_id = store.make_id()
			ids[i] = here.run_id
			assert.is_true(store.begin(dir, here))
			file.nap(1100) -- ids of one millisecond sort by chance
		end
		storage.write(run_file(store.make_id()), "{")
		storage.write(run_file("not-an-id"), '{"schema":"thhost.run/1"}')
		storage.write(run_file(store.make_id()), (storage.read(run_file(ids[1])):gsub('"running"', '"dreaming"')))
		storage.write(run_file(".hidden"), "")
		storage.shell("ln -s /etc/passwd %s", run_file("link"))
		local runs, broken = store.load(dir)
		local found = {}
		for i, run in ipairs(runs) do
			found[i] = member(run, "run_id")
		end
		assert.same(ids, found)
		assert.equal(4, #broken)
		assert.is_truthy(broken[1]:find("^%.thhost/runs/"))
	end)

	it("removes what a crash has left of a run, and nothing that only looks like it", function()
		assert.is_true(store.begin(dir, here))
		local names = {}
		for _, rest in ipairs { ".tmp.1.0123456789abcdef", ".tmp.1.0123456789abcdef.5f.0123456789abcdef",
			".tmp.1.0123456789abcdeg", ".tmp.1.0123456789abcdef-", ".tmp.1.0123456789abcdef.5f.0123" } do
			names[#names + 1] = ".x.json" .. rest
			storage.shell("touch -d 2020-01-01 %s", dir .. "/.thhost/runs/" .. names[#names])
		end
		local library, why = shim.library()
		if not library then
			return pending(why)
		end
		storage.write(dir .. "/clock", "120") -- it is the ctime that counts
		shim.run(dir, 'require("unit").store.load(arg[1])', shim.prefix { clock = dir .. "/clock" })
		assert.same({ names[4], names[5], names[3] }, storage.names_with(dir .. "/.thhost/runs", ".tmp."))
	end)

	it("finds a run by an unambiguous beginning of its id", function()
		store.begin(dir, here)
		local other = here.run_id:sub(1, -2) .. (here.run_id:sub(-1) == "0" and "1" or "0")
		assert.is_truthy(store.find(dir, here.run_id:sub(1, 8)))
		here.run_id = other
		store.begin(dir, here)
		assert.equal("invalid", select(3, store.find(dir, other:sub(1, 8))))
		assert.equal(other, member(store.find(dir, other), "run_id"))
		assert.equal("not_found", select(3, store.find(dir, "ffff")))
	end)

	describe("closes runs whose process is gone:", function()
		local function closed(change)
			for key, value in pairs(change) do
				here[key] = value
			end
			assert.is_true(store.begin(dir, here))
			local runs, _, count = store.load(dir, true)
			assert.equal(member(store.find(dir, here.run_id), "state"), member(runs[1], "state"))
			return count == 1, runs[1]
		end

		it("never one that lives", function()
			assert.is_false((closed({})))
		end)

		it("a dead pid", function()
			local is_closed, run = closed({ pid = dead_pid() })
			assert.is_true(is_closed)
			assert.equal("interrupted", member(run, "state"))
			assert.is_truthy(member(run, "trouble"):find("killed", 1, true))
			assert.is_truthy(member(run, "end_time"):match("^%d%d%d%d%-%d%d%-%d%dT"))
		end)

		it("a pid that is somebody else's by now", function()
			assert.is_true((closed({ pid_start = here.pid_start + 1 })))
		end)

		it("another boot", function()
			assert.is_true((closed({ boot_id = "11111111-2222-3333-4444-555555555555" })))
		end)

		it("never one on another host", function()
			assert.is_false((closed({ host = "elsewhere", pid = dead_pid(), boot_id = "x" })))
		end)

		it("never one of a host whose name is another, by a pid that is alive or dead here", function()
			for _, pid in ipairs { file.pid(), dead_pid() } do
				here.run_id = store.make_id()
				assert.is_false((closed { host = "elsewhere", pid = pid, pid_start = here.pid_start + 1 }))
			end
		end)

		it("never one of another pid namespace, whatever its pids mean here", function()
			for _, pid in ipairs { file.pid(), dead_pid() } do
				here.run_id = store.make_id()
				assert.is_false((closed { pid_ns = 1, pid = pid, pid_start = here.pid_start + 1 }))
			end
		end)

		it("one of this pid namespace, and one whose journal does not say", function()
			local namespace = tonumber(storage.output("stat -L -c %i /proc/self/ns/pid"))
			assert.is_true((closed { pid_ns = namespace, pid = dead_pid() }))
			here.pid_ns, here.run_id = nil, store.make_id()
			assert.is_true((closed { pid = dead_pid() }))
		end)

		it("one of another pid namespace after another boot", function()
			assert.is_true((closed { pid_ns = 1, boot_id = "11111111-2222-3333-4444-555555555555" }))
		end)

		it("never one whose training goes on without its thhost", function()
			assert.is_false((closed({ pid = dead_pid(), child_pid = file.pid(),
				child_start = here.pid_start })))
		end)

		it("never one that has ended", function()
			assert.is_false((closed({ pid = dead_pid(), state = "failed" })))
		end)

		it("never one that ended after it was looked at", function()
			local library, why = shim.library()
			if not library then
				return pending(why)
			end
			local path = (".thhost/runs/%s.json"):format(here.run_id)
			here.pid = dead_pid()
			here.state = "recorded"
			assert.is_true(store.begin(dir, here))
			assert(os.rename(dir .. "/" .. path, dir .. "/recorded"))
			here.state = "running"
			assert.is_true(store.begin(dir, here))
			-- Its owner closes it between the list and the look before it is closed for dead.
			assert.equal("0", shim.run(dir, [[
				io.write(select(3, require("unit").store.load(arg[1], true)))
			]], shim.prefix({ call = "openat", name = here.run_id, when = 2,
				["do"] = ("cd %s && mv recorded %s"):format(dir, path) })))
			assert.equal("recorded", member(store.find(dir, here.run_id), "state"))
		end)

		it("never one whose file is gone by then", function()
			local library, why = shim.library()
			if not library then
				return pending(why)
			end
			here.pid = dead_pid()
			assert.is_true(store.begin(dir, here))
			assert.equal("0", shim.run(dir, [[
				io.write(select(3, require("unit").store.load(arg[1], true)))
			]], shim.prefix({ call = "openat", name = here.run_id, when = 2,
				["do"] = ("rm %s/.thhost/runs/%s.json"):format(dir, here.run_id) })))
			assert.same({}, (store.load(dir)))
		end)

		it("the log's last change is taken for the end", function()
			local log = store.log(dir, here.run_id, "step 1\n")
			storage.shell("TZ=UTC touch -d 2025-12-11T11:30:00 %s", dir .. "/" .. log)
			local is_closed, run = closed({ pid = dead_pid(), log = log })
			assert.is_true(is_closed)
			assert.equal("3600000", member(run, "wall_ms"))
		end)
	end)

	it("appends to a log, and refuses a link in its place", function()
		local name = store.log(dir, here.run_id, "one\n")
		assert.equal(".thhost/logs/" .. here.run_id .. ".log", name)
		store.log(dir, here.run_id, "two\n")
		assert.equal("one\ntwo\n", storage.read(dir .. "/" .. name))
		os.remove(dir .. "/" .. name)
		storage.shell("ln -s /dev/null %s", dir .. "/" .. name)
		assert.is_nil((store.log(dir, here.run_id, "three\n")))
	end)

	it("writes no log into what is no file", function()
		local name = store.log(dir, here.run_id, "one\n")
		storage.shell("rm %s && mkfifo %s", dir .. "/" .. name, dir .. "/" .. name)
		local reader <close> = assert(io.open(dir .. "/" .. name, "r+")) -- else the open waits for one
		local log, message, code = store.log(dir, here.run_id, "two\n")
		assert.is_nil(log)
		assert.equal("'" .. name .. "' is not a file", message)
		assert.equal("invalid", code)
		assert.is_truthy(reader)
	end)

	it("knows the newest run", function()
		assert.is_nil((store.newest(dir)))
		-- As numbers 1382 and 9 come after 13 and a.
		for _, id in ipairs { "01a2095d-1382", "01a2095d-13aa", "01a2095d-139f" } do
			here.run_id = id .. "-7000-8000-000000000001"
			assert.is_true(store.begin(dir, here))
		end
		here.run_id = "01a2095d-13aa-7000-8000-000000000001"
		assert.equal(here.run_id, member(store.newest(dir), "run_id"))
	end)

	it("is as open to a team as the stage directory", function()
		for _, mode in ipairs({ "0755", "2775", "0700" }) do
			storage.shell("rm -rf %s; chmod 0" .. mode .. " %s", dir .. "/.thhost", dir)
			here.run_id = store.make_id()
			assert.is_true(store.begin(dir, here))
			local modes = storage.output(("stat -c %%a %s/.thhost %s/.thhost/*"):format(dir, dir))
			assert.equal((mode:gsub("^0", "") .. "\n"):rep(5), modes)
		end
		storage.shell("chmod 00755 %s", dir)
	end)
end)
