local unit = require "unit"
local storage = require "support.storage"

local file, store = unit.file, unit.store
local BACKUP = ".training_info.json.bak"

describe("store", function()
	local dir, record

	before_each(function()
		dir = storage.temp_dir()
		record = dir .. "/" .. storage.RECORD
	end)
	after_each(function()
		storage.remove(dir)
	end)

	local function no_leftovers()
		assert.same({}, storage.names_with(dir, ".tmp."))
	end

	--- The error of an append that must leave the file as it is.
	local function refused(more)
		local before = storage.read(record)
		local done, message, code, hint = storage.append(dir, 5, more)
		assert.is_nil(done)
		assert.equal(before, storage.read(record))
		no_leftovers()
		return message, code, hint
	end

	it("makes a record, then adds to it, and keeps the version before", function()
		local done, after = storage.append(dir, 1)
		assert.equal("done", done)
		assert.same({ n_entries = 1, total_steps = 1 }, after)
		local first = storage.read(record)
		done, after = storage.append(dir, 2)
		assert.equal("done", done)
		assert.same({ n_entries = 2, total_steps = 3 }, after)
		assert.same({ 1, 2 }, storage.steps(dir))
		assert.equal(first, storage.read(dir .. "/" .. BACKUP))
		assert.equal(storage.read(record), (store.read(dir, record)))
		no_leftovers()
	end)

	it("leaves two other files beside the record and no more", function()
		storage.append(dir, 1)
		storage.append(dir, 2)
		assert.same({ BACKUP, ".training_info.json.lock", storage.RECORD }, file.list(dir))
	end)

	it("lets a record that is there win where only a new one is wanted", function()
		assert.equal("done", (storage.append(dir, 1, { only_new = true })))
		local before = file.version(dir, storage.RECORD)
		assert.equal("taken", (storage.append(dir, 2, { only_new = true })))
		assert.same(before, file.version(dir, storage.RECORD))
		storage.write(record, "{ torn")
		assert.equal("taken", (storage.append(dir, 2, { only_new = true })))
		assert.equal("{ torn", storage.read(record))
		no_leftovers()
	end)

	it("writes an entry with a known run_id once", function()
		local id = store.make_id()
		assert.equal("done", (storage.append(dir, 1, { run_id = id })))
		local before = storage.read(record)
		local inode = file.version(dir, storage.RECORD).ino
		assert.equal("already", (storage.append(dir, 1, { run_id = id })))
		assert.equal(before, storage.read(record))
		assert.are_not.equal(inode, file.version(dir, storage.RECORD).ino)
		assert.equal("done", (storage.append(dir, 1, { run_id = store.make_id() })))
		assert.same({ 1, 1 }, storage.steps(dir))
	end)

	it("lets a plain entry be recorded twice by two commands", function()
		assert.equal("done", (storage.append(dir, 1)))
		assert.equal("done", (storage.append(dir, 1)))
		assert.same({ 1, 1 }, storage.steps(dir))
	end)

	it("says where a damaged file is damaged, and what to do", function()
		storage.append(dir, 1)
		storage.append(dir, 2)
		storage.write(record, storage.read(record):gsub('"stage3",', '"stage3"'))
		storage.shell("touch -d '1 minute ago' %s", record)
		local message, code, hint = refused()
		assert.equal("invalid", code)
		assert.is_truthy(message:find("^" .. record:gsub("%p", "%%%0") .. ":%d+:"), message)
		assert.is_truthy(message:find("; file unchanged$"), message)
		assert.is_truthy(hint:find("'.training_info.json.bak' beside it (1 entry)", 1, true), hint)
	end)

	local damaged = {
		{ "an empty file", "" },
		{ "half a file", '{"model_name": "parent_finder", "training_hist' },
		{ "two documents", '{"training_history": []}{}' },
		{ "NULs after a power cut", ("\0"):rep(500) },
		{ "a byte order mark", '\xef\xbb\xbf{"training_history": []}' },
		{ "invalid UTF-8", '{"model_name": "\xff", "training_history": []}' },
		{ "an array", "[]" },
		{ "no history", '{"model_name": "parent_finder"}' },
		{ "a history that is none", '{"training_history": {}}' },
		{ "another model", '{"model_name":"m","stage":"stage3","final_checkpoint":"","base_model":"",'
			.. '"created_at":"","last_updated":"","total_steps":0,"last_dataset":"",'
			.. '"training_history":[]}' },
		{ "depth without end", ("["):rep(100000) },
	}
	for _, case in ipairs(damaged) do
		it("never overwrites " .. case[1], function()
			storage.write(record, case[2])
			storage.shell("touch -d '1 minute ago' %s", record)
			local message, code = refused()
			assert.equal("invalid", code)
			assert.is_truthy(message:find(record, 1, true), message)
		end)
	end

	it("waits for a program that is writing the file in place", function()
		storage.append(dir, 1)
		local whole = storage.read(record)
		storage.write(record, whole:sub(1, 100))
		storage.write(dir .. "/driver", [[
			local unit = require "unit"
			io.open(arg[1] .. "/started", "w"):close()
			local done, message = unit.store.append(arg[1], { steps = 2, path = "x" })
			assert(done == "done", message)
		]])
		local pid = file.spawn({ "lua5.4", dir .. "/driver", dir, err = dir .. "/err" })
		storage.wait_until("the lock is held", function()
			return (storage.read(dir .. "/.training_info.json.lock") or ""):find('"pid":' .. pid, 1, true)
		end)
		assert.is_nil((file.wait(pid, 100)))
		storage.write(record, whole)
		assert.same({ "exit", 0 }, { file.wait(pid) }, storage.read(dir .. "/err"))
		assert.same({ 1, 2 }, storage.steps(dir))
	end)

	it("gives up on a half-written file after a while", function()
		storage.append(dir, 1)
		storage.write(record, storage.read(record):sub(1, 100))
		local message, code = refused()
		assert.equal("invalid", code)
		assert.is_truthy(message:find("file unchanged", 1, true))
	end)

	local objects = {
		{ "a symbolic link", "ln -s target %s && echo '{}' > target" },
		{ "a dangling link", "ln -s nowhere %s" },
		{ "a FIFO", "mkfifo %s" },
		{ "a directory", "mkdir %s" },
		{ "a device", "mknod %s c 1 5", root = true },
	}
	for _, object in ipairs(objects) do
		it("refuses " .. object[1] .. " in place of the record", function()
			if object.root and storage.skip_without(storage.is_root, "root") then
				return pending("needs root")
			end
			storage.shell("cd %s && " .. object[2], dir, storage.RECORD)
			local before = storage.output("stat -c '%F %i %Y' " .. record)
			local done, message, code = storage.append(dir, 1)
			assert.is_nil(done)
			assert.equal("invalid", code)
			assert.is_truthy(message:find("; file unchanged", 1, true), message)
			assert.equal(before, storage.output("stat -c '%F %i %Y' " .. record))
			no_leftovers()
		end)
	end

	it("says that a record is large, for each append rewrites it", function()
		storage.append(dir, 1)
		storage.write(record, (storage.read(record):gsub("{", "{" .. (" "):rep(8 << 20), 1)))
		storage.write(dir .. "/driver", [[
			assert(require("unit").store.append(arg[1], { steps = 2, path = "exp_1/x/training_info.json" }))
		]])
		assert.matches("warning: 'exp_1/x/training_info.json' has %d+ bytes; each append rewrites them all",
			storage.output(("lua5.4 %s/driver %s 2>&1"):format(dir, dir)))
		assert.same({ 1, 2 }, storage.steps(dir))
		assert.equal("stage3", store.string(dir, "stage")) -- behind the eight MiB
	end)

	it("refuses an entry that breaks the rules before touching anything", function()
		local done, _, code = storage.append(dir, -1)
		assert.is_nil(done)
		assert.equal("invalid", code)
		assert.is_nil(storage.read(record))
	end)

	it("names the holder when the record is locked", function()
		local lock = assert(file.lock(dir, ".training_info.json.lock", "x", 0))
		local done, message, code = storage.append(dir, 1, { timeout = 50 })
		file.unlock(lock)
		assert.is_nil(done)
		assert.equal("busy", code)
		assert.is_truthy(message:find("^exp_1/stage3_hrds is locked by pid " .. file.pid()), message)
	end)

	--- An append of steps 2 whose first 'n' exchanges are held up for a second each; reach(k) returns when
	--- it is in the k-th, that is, when k - 1 foreign versions have been kept.
	local function append_slowly(n)
		storage.write(dir .. "/driver", [[
			local done, message = require("unit").store.append(arg[1], { steps = 2, path = "x" })
			assert(done == "done", message)
		]])
		local numbers = { x86_64 = "316", aarch64 = "276" }
		local number = numbers[(storage.output("uname -m"):gsub("\n", ""))]
		local pid = file.spawn({ "strace", "-f", "-qq", "-o", "/dev/null",
			"-e", "inject=renameat2:delay_enter=1000000:when=1.." .. n, "lua5.4", dir .. "/driver", dir,
			err = dir .. "/err" })
		return pid, function(k)
			storage.wait_until("exchange " .. k .. " begins", function()
				local writer = #storage.names_with(dir, ".tmp.") > 0
					and #storage.names_with(dir, ".conflict-") == k - 1
					and storage.read(dir .. "/.training_info.json.lock"):match('"pid":(%d+)')
				local call = writer and storage.read(("/proc/%s/syscall"):format(writer))
				return call and call:match("^%d+") == number
			end)
		end
	end

	it("adds to what a program without our lock writes between read and commit", function()
		if storage.skip_without(storage.has_strace, "strace") then
			return pending("no strace")
		end
		storage.append(dir, 1)
		local theirs = storage.read(record):gsub('"steps": 1', '"steps": 111')
		local pid, reach = append_slowly(1)
		reach(1)
		storage.replace(record, theirs)
		assert.same({ "exit", 0 }, { file.wait(pid) }, storage.read(dir .. "/err"))
		assert.same({ 111, 2 }, storage.steps(dir))
		local kept = storage.names_with(dir, ".conflict-")
		assert.equal(1, #kept)
		assert.equal(theirs, storage.read(dir .. "/" .. kept[1]))
		no_leftovers()
	end)

	it("adds to the newest of three that are written while it puts the first one back", function()
		if storage.skip_without(storage.has_strace, "strace") then
			return pending("no strace")
		end
		storage.append(dir, 1)
		local first = storage.read(record)
		local pid, reach = append_slowly(3)
		for k = 1, 3 do
			reach(k)
			storage.replace(record, (first:gsub('"steps": 1', '"steps": ' .. 111 * k)))
		end
		assert.same({ "exit", 0 }, { file.wait(pid) }, storage.read(dir .. "/err"))
		assert.same({ 333, 2 }, storage.steps(dir))
		local kept = {}
		for _, name in ipairs(storage.names_with(dir, ".conflict-")) do
			kept[#kept + 1] = storage.read(dir .. "/" .. name):match('"steps": (%d+)')
		end
		table.sort(kept)
		assert.same({ "111", "222", "333" }, kept)
		no_leftovers()
	end)

	it("keeps what a program writes into a version that it had opened before the append", function()
		storage.append(dir, 1)
		local late = assert(io.open(record, "r+"))
		storage.append(dir, 2)
		local theirs = storage.read(record):gsub('"steps": 2', '"steps": 222')
		assert(late:write(theirs))
		assert(late:close())
		storage.write(record, (storage.read(record))) -- and the record once more, in place
		assert.equal("done", (storage.append(dir, 3)))
		assert.equal("done", (storage.append(dir, 4)))
		assert.same({ 1, 2, 3, 4 }, storage.steps(dir))
		local kept = storage.names_with(dir, ".conflict-")
		assert.equal(1, #kept)
		assert.equal(theirs, storage.read(dir .. "/" .. kept[1]))
		no_leftovers()
	end)

	it("loses nothing to a program that replaces the file all the time", function()
		storage.append(dir, 0)
		storage.write(dir .. "/driver", [[
			local unit = require "unit"
			local done = {}
			for i = 1, 40 do
				local result = unit.store.append(arg[1], { steps = tonumber(arg[2]) * 100 + i, path = "x" })
				if result then print(tonumber(arg[2]) * 100 + i) end
			end
		]])
		local pids = {}
		for i = 1, 3 do
			pids[i] = file.spawn({ "lua5.4", dir .. "/driver", dir, tostring(i), out = dir .. "/out" .. i,
				err = "/dev/null" })
		end
		-- A foreign writer that looks before it replaces can still lose to us, and we never to it:
		-- whatever it has put in place stays or is added to.
		local foreign, live = {}, #pids
		while live > 0 do
			for i, pid in pairs(pids) do
				if file.wait(pid, 0) then
					pids[i] = nil
					live = live - 1
				end
			end
			local text = storage.read(record)
			local mine = 100000 + #foreign
			foreign[#foreign + 1] = mine
			storage.replace(record, (text:gsub('"steps": %d+', '"steps": ' .. mine, 1)))
			file.nap(1000)
		end
		local text = storage.read(record)
		assert.is_truthy(unit.json.check(text))
		assert.equal(foreign[#foreign], storage.steps(dir)[1])
		no_leftovers()
	end)

	it("keeps every byte of 1,000 appends by 20 processes, each in order", function()
		storage.write(dir .. "/driver", [[
			local store = require("unit").store
			for i = 1, 50 do
				local done, message = store.append(arg[1], { steps = tonumber(arg[2]) * 1000 + i, path = "x",
					timeout = 60000 })
				assert(done == "done", message)
			end
		]])
		local pids = {}
		for i = 1, 20 do
			pids[i] = file.spawn({ "lua5.4", dir .. "/driver", dir, tostring(i), err = dir .. "/err" .. i })
		end
		local reads = 0
		for i, pid in ipairs(pids) do
			local how, status
			repeat
				how, status = file.wait(pid, 5)
				local text = storage.read(record)
				assert.is_truthy(text == nil or unit.json.check(text))
				reads = reads + 1
			until how
			assert.same({ "exit", 0 }, { how, status }, storage.read(dir .. "/err" .. i))
		end
		local steps, last = storage.steps(dir), {}
		assert.equal(1000, #steps)
		for _, value in ipairs(steps) do
			local process, i = value // 1000, value % 1000
			assert.equal((last[process] or 0) + 1, i)
			last[process] = i
		end
		assert.is_true(reads > 0)
		no_leftovers()
	end)

	it("works where files cannot be exchanged", function()
		if storage.skip_without(storage.has_strace, "strace") then
			return pending("no strace")
		end
		storage.write(dir .. "/driver", [[
			for i = 1, 3 do
				local done, message = require("unit").store.append(arg[1], { steps = i, path = "x" })
				assert(done == "done", message)
			end
		]])
		local pid = file.spawn({ "strace", "-f", "-qq", "-o", "/dev/null", "-e",
			"inject=renameat2:error=EINVAL",
			"lua5.4", dir .. "/driver", dir, err = dir .. "/err" })
		assert.same({ "exit", 0 }, { file.wait(pid) }, storage.read(dir .. "/err"))
		assert.same({ 1, 2, 3 }, storage.steps(dir))
		assert.is_truthy(storage.read(dir .. "/" .. BACKUP):find('"total_steps": 3', 1, true))
		no_leftovers()
	end)

	it("cannot tell where another program replaces each version of ours at once", function()
		local shim = require "support.shim"
		local library, why = shim.library()
		if not library then
			return pending(why)
		end
		storage.append(dir, 1)
		storage.shell("cd %s && cp " .. storage.RECORD .. " first", dir)
		local said = shim.run(dir, [[
			local done, message, code = require("unit").store.append(arg[1], { steps = 2, path = "x" })
			io.write(tostring(done), " ", tostring(code), " ", tostring(message))
		]], shim.prefix { call = "fstatat", when = "1+", ["do"] = ("cd %s; if grep -q '\"steps\": 2' %s; then "
			.. "cp first theirs; mv theirs %s; fi"):format(dir, storage.RECORD, storage.RECORD) })
		assert.matches("^nil not_durable .*all the time, and may have taken the entry over", said)
		assert.same({ 1 }, storage.steps(dir))
	end)

	it("writes an entry once that another program has taken over, where files cannot be exchanged", function()
		local shim = require "support.shim"
		if not shim.library() or storage.skip_without(storage.has_strace, "strace") then
			return pending("no strace, or no shim")
		end
		storage.append(dir, 1)
		-- It reads ours the moment that it is there, and writes the same back.
		local prefix = shim.prefix { call = "fstatat", when = "1+", ["do"] = ("cd %s; if test ! -e once "
			.. "&& grep -q '\"steps\": 2' %s; then : >once; cp %s theirs; mv theirs %s; fi"):format(dir,
			storage.RECORD, storage.RECORD, storage.RECORD) }
		local words = { "strace", "-qq", "-o", "/dev/null", "-e", "inject=renameat2:error=EINVAL" }
		assert.equal("already", shim.run(dir, [[
			io.write((require("unit").store.append(arg[1], { steps = 2, path = "x" })))
		]], table.move(prefix, 1, #prefix, #words + 1, words)))
		assert.same({ 1, 2 }, storage.steps(dir))
	end)

	it("syncs the new file before it gets the name, the directory after, and nothing twice", function()
		if storage.skip_without(storage.has_strace, "strace") then
			return pending("no strace")
		end
		storage.write(dir .. "/driver", [[
			assert(require("unit").store.append(arg[1], { steps = 2, path = "x" }))
		]])
		for _, start in ipairs({ "first", "second" }) do
			local pid = file.spawn({ "strace", "-y", "-qq", "-o", dir .. "/trace", "-e",
				"trace=fsync,renameat2,renameat,fdatasync,write,pwrite64,fchmod", "lua5.4", dir .. "/driver",
					dir })
			assert.same({ "exit", 0 }, { file.wait(pid) })
			local order = {}
			for name, what in storage.read(dir .. "/trace"):gmatch("(%w+)%(([^\n]*)\n") do
				local target = what:find("%.tmp%.[^>]*>") and "new" or what:find("%.lock>") and "lock" or "dir"
				order[#order + 1] = name:find("rename") and name or name .. " " .. target
			end
			local wanted = start == "first"
					and { "pwrite64 lock", "write new", "fsync new", "renameat2", "fsync dir" }
				or { "pwrite64 lock", "write new", "fchmod new", "fsync new", "renameat", "renameat2",
					"renameat", "fsync dir" }
			table.insert(order, 1, start)
			table.insert(wanted, 1, start)
			if order[2] == "fchmod lock" then
				table.remove(order, 2)
			end
			assert.same(wanted, order)
		end
	end)

	it("tells that the directory was moved, and takes the entry with it", function()
		local moved = dir .. "/moved"
		storage.shell("mkdir %s", dir .. "/here")
		storage.append(dir .. "/here", 1)
		local lock = assert(file.lock(dir .. "/here", ".training_info.json.lock", "x", 0))
		storage.write(dir .. "/driver", [[
			io.open(arg[1] .. "/../started", "w"):close()
			assert(require("unit").store.append(arg[1], { steps = 2, path = arg[1]
				.. "/training_info.json" }))
		]])
		local pid = file.spawn({ "strace", "-qq", "-o", dir .. "/trace", "-e", "trace=fcntl", "lua5.4",
			dir .. "/driver",
			dir .. "/here", err = dir .. "/err" })
		storage.wait_until("the other one waits", function()
			return (storage.read(dir .. "/trace") or ""):find("F_OFD_SETLKW", 1, true)
				or not storage.has_strace and storage.read(dir .. "/started")
		end)
		assert(os.rename(dir .. "/here", moved))
		file.unlock(lock)
		assert.same({ "exit", 0 }, { file.wait(pid) })
		assert.same({ 1, 2 }, storage.steps(moved))
		assert.is_truthy(storage.read(dir .. "/err"):find("was moved meanwhile", 1, true))
	end)
end)

describe("spool", function()
	local dir, record, id

	before_each(function()
		dir = storage.temp_dir()
		record = dir .. "/" .. storage.RECORD
		id = store.make_id()
	end)
	after_each(function()
		for _, path in ipairs(store.spool_list(nil)) do
			os.remove(path)
		end
		storage.remove(dir)
	end)

	it("keeps an entry in the stage directory and puts it in later", function()
		storage.write(record, "damaged")
		local path = store.spool(dir, id, "it is damaged", { steps = 7, run_id = id })
		assert.equal(dir .. "/.thhost/spool/" .. id .. ".json", path)
		assert.is_truthy(storage.read(path):find('"why": "it is damaged"', 1, true))
		assert.same({ path }, store.spool_list(dir))
		storage.shell("touch -d '1 minute ago' %s", record)
		assert.equal("invalid", select(3, store.unspool(path)))
		assert.same({ path }, store.spool_list(dir))
		os.remove(record)
		assert.equal("done", (store.unspool(path)))
		assert.same({ 7 }, storage.steps(dir))
		assert.same({}, store.spool_list(dir))
		assert.equal("not_found", select(3, store.unspool(path)))
	end)

	it("is as good as the append would have been", function()
		local request = {
			steps = 7, run_id = id, final_checkpoint = "checkpoint-7",
				base_model = "microsoft/layoutxlm-base",
			additive = true, parents = '[{"ref": "exp_1/features_hrds"}]',
				metrics = '{"f1": 0.10, "n": {"ü": 1e-7}}',
			inherited_ref = "exp_1/stage3_hrds", path = record,
		}
		storage.append(dir, 1)
		request.inherited = storage.read(record)
		os.remove(record)
		local path = store.spool(dir, id, "x", request)
		assert.equal("done", (store.unspool(path)))
		local spooled = storage.read(record)
		os.remove(record)
		assert.equal("done", (store.append(dir, request)))
		assert.equal(storage.read(record), spooled)
	end)

	it("writes an entry once when the crash came between append and removal", function()
		for _, run_id in ipairs({ id, false }) do
			os.remove(record)
			storage.append(dir, 1)
			local path = store.spool(dir, id, "x", { steps = 7, run_id = run_id or nil })
			local text = storage.read(path)
			assert.equal("done", (store.unspool(path)))
			storage.append(dir, 9)
			storage.write(path, text) -- what the crash would have left
			assert.equal("already", (store.unspool(path)))
			assert.same({ 1, 7, 9 }, storage.steps(dir))
			assert.same({}, store.spool_list(dir))
		end
	end)

	it("writes an entry once when two put it in at the same time", function()
		local path = store.spool(dir, id, "x", { steps = 7 })
		storage.write(dir .. "/driver", [[
			local done, _, code = require("unit").store.unspool(arg[1])
			assert(done or code == "not_found", code)
		]])
		local pids = {}
		for i = 1, 8 do
			pids[i] = file.spawn({ "lua5.4", dir .. "/driver", path })
		end
		for _, pid in ipairs(pids) do
			assert.same({ "exit", 0 }, { file.wait(pid) })
		end
		assert.same({ 7 }, storage.steps(dir))
	end)

	it("goes elsewhere when the stage directory cannot be written", function()
		local path = store.spool(dir, id, "x", { steps = 7, no_dir = true })
		assert.equal((os.getenv("XDG_STATE_HOME") or os.getenv("HOME") .. "/.local/state")
			.. "/thhost/spool/" .. id
			.. ".json", path)
		assert.same({ path }, store.spool_list(dir))
		assert.same({}, store.spool_list(dir, "/another/stage"))
		assert.equal("done", (store.unspool(path)))
		assert.same({ 7 }, storage.steps(dir))
	end)

	it("goes to $TMPDIR, and at last to stderr", function()
		storage.write(dir .. "/driver", [[
			local store = require("unit").store
			local path = store.spool(arg[1], arg[2], "x", { steps = 7, no_dir = true })
			print(path)
		]])
		local command = "XDG_STATE_HOME=/dev/null/x TMPDIR=%s lua5.4 %s/driver %s %s 2>&1"
		local out = storage.output(command:format(dir, dir, dir, id))
		assert.is_truthy(out:match("^" .. dir:gsub("%p", "%%%0")
			.. "/thhost%-spool%-%d+/[%x-]+%.json\n$"), out)
		out = storage.output(command:format("/dev/null/x", dir, dir, id))
		local text = out:match("%-BEGIN THHOST ENTRY%-+\n(.-)%-+END THHOST ENTRY")
		assert.is_truthy(text and unit.json.check(text), out)
		assert.is_truthy(text:find('"steps": 7', 1, true))
	end)

	it("does not trust another user's directory in $TMPDIR", function()
		if storage.skip_without(storage.is_root, "root") then
			return pending("needs root")
		end
		storage.shell("mkdir %s && chown 1234 %s", dir .. "/thhost-spool-0", dir .. "/thhost-spool-0")
		storage.write(dir .. "/driver", [[
			local path = require("unit").store.spool(arg[1], arg[2], "x", { steps = 7, no_dir = true })
			assert(path == nil)
		]])
		storage.shell("XDG_STATE_HOME=/dev/null/x TMPDIR=%s lua5.4 %s %s %s 2>/dev/null", dir, dir
			.. "/driver", dir, id)
	end)

	it("refuses an id that is a path, and files that are no spooled entries", function()
		assert.equal("invalid", select(3, store.spool(dir, "../../x", "x", { steps = 7 })))
		for _, text in ipairs({ "", "{}", "[]", '{"schema":"thhost.spool/1"}',
			'{"schema":"thhost.spool/1","head":{"model_name":"m","stage":"s"},'
				.. '"dir":"/x","entries":[1]}',
			'{"schema":"thhost.spool/1","head":{"model_name":"m","stage":"s"},"dir":"/x"}',
			'{"schema":"thhost.spool/1","head":{"model_name":"m","stage":"s"},"entries":[]}' }) do
			storage.write(dir .. "/x.json", text)
			local done, message, code = store.unspool(dir .. "/x.json")
			assert.is_nil(done)
			assert.equal("invalid", code)
			assert.is_truthy(message:find(dir .. "/x.json", 1, true), message)
			assert.equal(text, storage.read(dir .. "/x.json"))
		end
	end)

	it("is found from within the stage directory, and beside its root", function()
		local path = store.spool(dir, id, "x", { steps = 7 })
		assert.is_true(store.check_spooled(path))
		storage.write(dir .. "/driver", [[
			print(require("unit").store.check_spooled(".thhost/spool/" .. arg[1] .. ".json"))
		]])
		assert.equal("true\n", storage.output(("cd %s && lua5.4 driver %s"):format(dir, id)))
	end)

	it("needs no home", function()
		storage.write(dir .. "/driver", [[
			io.write((require("unit").store.spool(arg[1], arg[2], "x", { steps = 7, no_dir = true })))
		]])
		assert.matches("^" .. dir:gsub("%p", "%%%0") .. "/thhost%-spool%-%d+/", storage.output(
			("env -u HOME -u XDG_STATE_HOME TMPDIR=%s lua5.4 %s/driver %s %s"):format(dir, dir, dir, id)))
	end)

	it("follows a directory that was moved since", function()
		storage.shell("mkdir %s", dir .. "/old")
		store.spool(dir .. "/old", id, "x", { steps = 7 })
		assert(os.rename(dir .. "/old", dir .. "/new"))
		assert.equal("done", (store.unspool(dir .. "/new/.thhost/spool/" .. id .. ".json")))
		assert.same({ 7 }, storage.steps(dir .. "/new"))
	end)
end)
