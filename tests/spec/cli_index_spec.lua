--- thhost index, and what may befall the file: it changes no answer.
local cjson = require "cjson"
local cli = require "support.cli"
local indexed = require "support.indexed"
local runs = require "support.runs"
local storage = require "support.storage"

local NOT_USED = "thhost: the index is not used: "

local t

local function fresh()
	t = indexed.new()
end

local function done()
	t:close()
end

--- Copies of one stage directory, as many as make a tree worth an index.
local function grow(n)
	cli.shell(("cd '%s/exp_1' && for i in $(seq %d); do test -e stage1_x$i || "
		.. "cp -r stage1_c stage1_x$i; done"):format(t.root, n))
end

local function has_strace()
	return os.execute("strace -qq -o /dev/null true 2>/dev/null") == true
end

--- Words that make the given call of a process fail or kill it.
local function inject(call, how)
	return ("strace -qq -f -o /dev/null -e trace=%s -e inject=%s:%s"):format(call, call, how)
end

describe("thhost index", function()
	before_each(fresh)
	after_each(done)

	it("makes one, says how it stands, and makes it anew", function()
		local none = t:status()
		assert.is_false(none.fresh)
		assert.equal(cjson.null, none.path)
		assert.matches("'thhost index sync' makes one", t:ok({ "index", "status" }, t:options()).out, 1, true)
		local made = t:sync()
		assert.equal(t:file(), made.path)
		assert.same({ t.root }, made.roots)
		assert.is_true(made.fresh and made.bytes > 0 and made.version > 0)
		assert.equal(4, made.records)
		assert.equal(7, made.places) -- the root, two experiments, four stage directories
		assert.equal(0, made.live + made.racy + made.stale)
		assert.matches("fresh     yes", t:ok({ "index", "status" }, t:options()).out, 1, true)
		t:tamper("DELETE FROM record")
		assert.equal(0, t:sync().records)
		assert.equal(4, cjson.decode(t:ok({ "index", "rebuild", "--json" }, t:options()).out).records)
		t:same()
	end)

	it("tells what is stale without reading it", function()
		t:settle()
		t:record("e")
		for _ = 1, 2 do
			local state = t:status()
			assert.is_false(state.fresh)
			assert.equal(1, state.stale) -- the experiment: what is new in it is not known
		end
		local state = t:sync()
		assert.is_true(state.fresh)
		assert.equal(5, state.records)
	end)

	it("is for its owner alone", function()
		t:sync()
		local modes = cli.shell(("cd '%s/cache' && stat -c '%%a' thhost/index %s"):format(t.dir, t:file()))
		assert.equal("700\n600", modes)
	end)

	it("is one for each set of roots", function()
		cli.shell(("cp -r '%s' '%s/other'"):format(t.root, t.dir))
		local one = t:sync("--root", "artifact").path
		local two = t:sync("--root", "artifact", "--root", "other").path
		assert.not_equal(one, two)
		assert.equal(two, t:sync("--root", "./other", "--root", "artifact", "--root", "other").path)
		assert.equal(8, t:status("--root", "other", "--root", "artifact").records)
		assert.equal(4, t:status().records)
	end)

	it("refuses what it does not know", function()
		for _, case in ipairs {
			{ 2, "knows sync, status and rebuild, not 'make'", "make" },
			{ 2, "needs more" },
			{ 2, "unexpected 'x'", "sync", "x" },
			{ 3, "'nowhere'", "sync", "--root", "nowhere" },
		} do
			local status, message = table.remove(case, 1), table.remove(case, 1)
			local result = t:run({ "index", table.unpack(case) }, t:options())
			assert.equal(status, result.status, result.err)
			assert.matches(message, result.err, 1, true)
		end
	end)

	it("is made by itself where there is much, and only there", function()
		t:ok({ "list" }, t:options())
		assert.equal(cjson.null, t:status().path)
		grow(59)
		t:ok({ "list" }, t:options())
		assert.equal(cjson.null, t:status().path)
		grow(60)
		t:ok({ "list" }, t:options { env = { THHOST_INDEX = "no" } })
		t:ok({ "list", "--no-index" }, t:options())
		assert.equal(cjson.null, t:status().path)
		t:ok({ "list" }, t:options())
		assert.equal(64, t:status().records)
		t:same()
	end)

	it("shows on a terminal what it reads, when that takes long", function()
		grow(20)
		local command = ("script -qec %s /dev/null"):format(cli.quote(("env TERM=xterm HOME='%s' "
			.. "XDG_CACHE_HOME='%s/cache' %s %s index sync --root '%s'"):format(t.dir, t.dir,
			inject("openat2", "delay_enter=60000"), cli.thhost, t.root)))
		if not has_strace() or os.execute("script -qec true /dev/null >/dev/null 2>&1") ~= true then
			return cli.skip("no strace or no script here")
		end
		local out = cli.shell(command)
		assert.matches("reading the files: %d+ directories", out)
		assert.matches("records   24", out, 1, true)
	end)
end)

describe("an index that cannot be used", function()
	before_each(fresh)
	after_each(done)

	--- The answers are right, and it is said once why.
	local function unused(why, options)
		options = options or {}
		options.is_unused = true
		local result = t:run({ "list" }, t:options(options))
		assert.matches(NOT_USED, result.err, 1, true)
		assert.matches(why, result.err, 1, true)
		assert.equal(1, select(2, result.err:gsub("the index is not used", "")))
		t:same(nil, options)
	end

	it("is told where there is no home", function()
		grow(80)
		unused("neither HOME nor XDG_CACHE_HOME", { env = { HOME = false, XDG_CACHE_HOME = false } })
	end)

	it("is told where its directory cannot be made or written", function()
		grow(80)
		cli.write(t.dir .. "/cache", "a file")
		unused("cannot make the directory")
		os.remove(t.dir .. "/cache")
		t:sync()
		local dir = t.dir .. "/cache/thhost/index"
		cli.shell(("chmod 777 '%s'"):format(dir))
		unused("others may write")
		cli.shell(("chmod 700 '%s'"):format(dir))
		t:same()
	end)

	it("is told where its directory is read-only", function()
		if cli.shell("id -u") == "0" then
			cli.shell(("chown -R 65534:65534 '%s'"):format(t.dir))
			t.prefix = "setpriv --reuid=65534 --regid=65534 --clear-groups"
		end
		t:settle()
		cli.shell(("chmod 500 '%s/cache/thhost/index'"):format(t.dir))
		unused("sqlite")
		cli.shell(("chmod 700 '%s/cache/thhost/index'"):format(t.dir))
		t:same()
	end)

	for call, errors in pairs {
		pwrite64 = { "ENOSPC", "EIO" }, fdatasync = { "EIO" }, openat = { "EMFILE" }, ftruncate = { "ENOSPC" },
		pread64 = { "EIO" }, fcntl = { "ENOLCK" }, fstatfs = { "EIO" },
	} do
		for _, number in ipairs(errors) do
			it(("leaves the answer right when %s gives %s"):format(call, number), function()
				if not has_strace() then
					return cli.skip("no strace here")
				end
				grow(10)
				for _, when in ipairs { 1, 3, 10, 40 } do
					cli.shell(("rm -rf '%s/cache'"):format(t.dir))
					local path = call == "openat" and ("-P '%s/cache/thhost/index'"):format(t.dir) or ""
					t:run({ "index", "sync" }, t:options {
						prefix = inject(call, ("error=%s:when=%d+"):format(number, when)) .. " " .. path })
					assert.equal(14, #t:same(nil, { is_brief = true, is_unused = true }).models)
				end
				t:settle()
				t:same()
			end)
		end
	end

	it("is not used where it has not the columns that it should, and is made anew when asked for", function()
		t:settle()
		t:tamper("ALTER TABLE place RENAME COLUMN id TO ident")
		t:ok { "exp", "new", "exp_3" }
		local _, said = t:same(nil, { is_brief = true, is_unused = true }), t:run({ "list" }, t:options()).err
		assert.matches(NOT_USED .. ".*no such column: id", said)
		t:ok({ "index", "rebuild" }, t:options())
		t:settle()
		t:same()
	end)

	-- What could not be looked at may hide a record: the part is looked at again as long as it may.
	for what, fault in pairs {
		["a directory cannot be listed"] = { "getdents64", "%s/exp_1/stage1_a", "EIO", "stage1_a/fold_1" },
		["a record cannot be looked at"] = { "newfstatat", "fold_1/training_info.json", "EACCES", "stage1_a/fold_1" },
		["a directory cannot be opened"] = { "openat", "version_3", "EACCES", "outputs/version_3" },
	} do
		it("finds later what is hidden while " .. what, function()
			if not has_strace() then
				return cli.skip("no strace here")
			end
			t:settle()
			cli.shell(("cd '%s/exp_1' && mkdir -p %s && cp stage1_a/training_info.json %s"):format(t.root, fault[4],
				fault[4]))
			t:later()
			local result = t:run({ "list", "--json" }, t:options { prefix =
				("strace -qq -f -o /dev/null -P '%s' -e inject=%s:error=%s"):format(fault[2]:format(t.root), fault[1],
				fault[3]) })
			assert.equal(4, #cjson.decode(result.out).models)
			t:later()
			assert.equal(5, #t:same().models)
			t:settle()
			assert.equal(5, #t:same().models)
		end)
	end

	it("is not used while it cannot be known what waits outside of the tree", function()
		if not has_strace() then
			return cli.skip("no strace here")
		end
		local place = t.dir .. "/home/state/thhost/spool"
		cli.shell(("mkdir -p '%s' && chmod 700 '%s'"):format(place, place))
		t:settle()
		local result = t:run({ "list" }, t:options { prefix =
			("strace -qq -f -o /dev/null -P '%s' -e inject=getdents64:error=EIO"):format(place) })
		assert.matches(NOT_USED .. ".*" .. place .. ".*EIO", result.err)
		t:same()
	end)

	it("is read no further where it breaks in the middle of an answer", function()
		grow(300)
		t:settle()
		-- A page in the middle of the file, where records are.
		cli.shell(([[python3 - '%s' <<'END'
import os, sys
size = os.path.getsize(sys.argv[1])
with open(sys.argv[1], "r+b") as f:
	for at in range(size // 2, size, 65536):
		f.seek(at)
		f.write(b"\xa5" * 3000)
END
]]):format(t:file()))
		assert.equal(304, #t:same(nil, { is_unused = true }).models)
		t:settle()
		t:same()
	end)
end)

describe("an index that is damaged", function()
	before_each(fresh)
	after_each(done)

	for name, command in pairs {
		["empty"] = ": >%s",
		["gone"] = "rm %s",
		["garbage"] = "head -c 100000 /dev/urandom >%s",
		["a text"] = "echo hello >%s",
		["cut to half"] = "truncate -s 40000 %s",
		["cut to a page"] = "truncate -s 16384 %s",
		["cut to some bytes"] = "truncate -s 77 %s",
		["cut by a byte"] = "truncate -s -1 %s",
		["with its first page overwritten"] = "dd if=/dev/urandom of=%s bs=4096 count=1 conv=notrunc 2>/dev/null",
		["with its tables overwritten"] =
			"dd if=/dev/urandom of=%s bs=16384 seek=1 count=30 conv=notrunc 2>/dev/null",
		["with another's log beside it"] = "head -c 50000 /dev/urandom >%s-wal",
		["with another's memory beside it"] = "head -c 32768 /dev/urandom >%s-shm",
		["another database"] = [[python3 -c 'import sqlite3, sys, os
os.remove(sys.argv[1])
db = sqlite3.connect(sys.argv[1])
db.execute("CREATE TABLE t (x)")
db.execute("PRAGMA user_version = 1")
db.commit()' %s]],
	} do
		it("and " .. name .. " is made anew, and nobody hears of it", function()
			t:settle()
			cli.shell(command:format(cli.quote(t:file())))
			assert.equal(4, #t:same().models)
			t:sync()
			assert.equal(4, t:settle().records)
			t:same()
		end)
	end

	it("by a newer thhost is made anew, which -v tells", function()
		t:settle()
		t:tamper("PRAGMA user_version = 1000")
		local result = t:ok({ "list", "-v" }, t:options())
		assert.matches("is made anew", result.err, 1, true)
		t:same()
		assert.equal(4, t:sync().records)
	end)

	it("with a sector overwritten anywhere changes no answer", function()
		t:settle()
		local file = cli.quote(t:file())
		cli.shell(("cp %s '%s/kept'"):format(file, t.dir))
		for seed = 1, 25 do
			cli.shell(("cp '%s/kept' %s"):format(t.dir, file))
			cli.shell(([[python3 - %s %d <<'END'
import os, random, sys
random.seed(int(sys.argv[2]))
size = os.path.getsize(sys.argv[1])
with open(sys.argv[1], "r+b") as f:
	f.seek(random.randrange(size))
	f.write(bytes([random.randrange(256)] * 512))
END
]]):format(file, seed))
			t:same(nil, { is_brief = true })
		end
	end)
end)

describe("an index that others are at", function()
	before_each(fresh)
	after_each(done)

	it("is right for each of eight that make it at once", function()
		grow(100)
		local command = ("cd '%s'; for i in 1 2 3 4 5 6 7 8; do HOME='%s/home' XDG_CACHE_HOME='%s/cache' "
			.. "XDG_STATE_HOME='%s/home/state' '%s' list --json >out.$i 2>err.$i & done; wait; "
			.. "sha256sum out.? | cut -d' ' -f1 | sort -u | wc -l; cat err.?")
		local expected = t:ok({ "list", "--json", "--no-index" }, t:options()).out
		for _ = 1, 3 do
			assert.equal("1", cli.shell(command:format(t.dir, t.dir, t.dir, t.dir, cli.thhost)))
			assert.equal(expected, cli.read(t.dir .. "/out.1"))
			cli.shell(("cd '%s' && rm -rf exp_1/stage1_x7* && mkdir -p cache && rm -f cache/thhost/index/*.sqlite")
				:format(t.dir))
			expected = t:ok({ "list", "--json", "--no-index" }, t:options()).out
		end
	end)

	for _, call in ipairs { "pwrite64", "fdatasync", "newfstatat", "openat", "fcntl", "unlink", "ftruncate",
		"getdents64" } do
		it("and are killed at " .. call .. " is left as it was or whole", function()
			if not has_strace() then
				return cli.skip("no strace here")
			end
			grow(10)
			local step, when, met = 1, 1, true
			while met and when < 400 do
				if when % 2 == 0 then
					cli.shell(("rm -rf '%s/cache'"):format(t.dir))
				end
				cli.shell(("touch '%s/exp_1/stage1_x%d/new%d'"):format(t.root, when % 10 + 1, when))
				met = t:run({ "index", "sync" }, t:options {
					prefix = inject(call, ("signal=KILL:when=%d"):format(when)) }).status ~= 0
				assert.equal(14, #t:same(nil, { is_brief = true }).models)
				step = step + 1
				when = when + math.max(1, when * 2 // 3)
			end
			t:settle()
			t:same()
		end)
	end
end)

describe("an index whose lock is held", function()
	local held

	-- Far more than the ten seconds that are waited, and less than for ever.
	local BOUND = "timeout 60"

	--- Start thhost, and return when it has stopped itself, with the lock of the index.
	---@param words string[] arguments
	---@param stop string words of strace that stop it
	---@param place? string shell words that go there: to another host
	local function hold(words, stop, place)
		local env = t:options().env
		local command = { "cd", cli.quote(t.dir), "&& {" }
		for name, value in pairs { HOME = t.dir .. "/home", XDG_CACHE_HOME = env.XDG_CACHE_HOME,
			XDG_STATE_HOME = t.dir .. "/home/state", THHOST_TEST_NOW = env.THHOST_TEST_NOW } do
			command[#command + 1] = name .. "=" .. cli.quote(value)
		end
		for _, word in ipairs { place or "", "strace -qq -f -o trace", stop, cli.quote(cli.thhost),
			table.concat(words, " "), "</dev/null >out 2>&1; echo $? >status; } &" } do
			command[#command + 1] = word
		end
		held = {}
		assert(os.execute(table.concat(command, " ")))
		held.pid = cli.wait_for("the stop", function()
			return (cli.read(t.dir .. "/trace") or ""):match("(%d+) +%-%-%- stopped by SIGSTOP")
		end)
		return held
	end

	--- Its exit status, after this signal.
	local function let(signal)
		local pid = held.pid
		held = nil
		if pid then -- else it never stopped
			runs.kill(signal, pid)
		end
		local ended = cli.wait_for("the end of who had the lock", function()
			return tonumber(cli.read(t.dir .. "/status") or "")
		end)
		os.remove(t.dir .. "/status")
		os.remove(t.dir .. "/trace")
		return ended
	end

	--- Stops right after it has written who holds the lock.
	local function at_lock()
		return ("-P %s -e trace=ftruncate -e inject=ftruncate:signal=STOP:when=1")
			:format(cli.quote((t:file():gsub("sqlite$", "lock"))))
	end

	--- A network's file system: what cannot be told of one is taken for the worst. 'more' is stopped at.
	local function remote(more)
		local paths = ("-P %s -P %s -P %s"):format(cli.quote(t.root), cli.quote(t.dir .. "/cache/thhost/index"),
			cli.quote(t.dir .. "/cache/thhost/index/" .. (more and t:file():match("[^/]+$") or "none")))
		return ("%s -e trace=fstatfs,pwrite64 -e inject=fstatfs:error=EIO %s"):format(paths, more or "")
	end

	--- list and index sync at once; what they gave, and that they ended by themselves.
	local function ask_both()
		local answer = {}
		local files = { list = t.dir .. "/list", sync = t.dir .. "/sync" }
		local expected = t:ok({ "list", "--json", "--no-index" }, t:options()).out
		local env = t:options().env
		cli.shell(([[cd '%s'; export HOME='%s/home' XDG_STATE_HOME='%s/home/state' XDG_CACHE_HOME='%s' \
			THHOST_TEST_NOW=%s
			%s %s list --json >list.out 2>list.err; echo $? >list.status &
			%s %s index sync >sync.out 2>sync.err; echo $? >sync.status & wait]]):format(t.dir, t.dir, t.dir,
			env.XDG_CACHE_HOME, env.THHOST_TEST_NOW, BOUND, cli.quote(cli.thhost), BOUND,
			cli.quote(cli.thhost)))
		for name, path in pairs(files) do
			answer[name] = { out = cli.read(path .. ".out"), err = cli.read(path .. ".err"),
				status = tonumber(cli.read(path .. ".status")) }
		end
		assert.equal(0, answer.list.status, answer.list.err)
		assert.equal(expected, answer.list.out)
		return answer
	end

	before_each(function()
		fresh()
		grow(20)
		t:settle()
	end)
	after_each(function()
		if held then
			let "KILL"
		end
		done()
	end)

	local elsewhere = "unshare --uts sh -c 'hostname elsewhere; exec \"$@\"' -"

	for name, case in pairs {
		["who is stopped, and goes on"] = { signal = "CONT", status = 0 },
		["who is stopped, and then killed"] = { signal = "KILL", status = 137 },
		["another host, which goes on"] = { signal = "CONT", status = 0, place = elsewhere },
		["another host, which is gone then"] = { signal = "KILL", status = 137, place = elsewhere },
	} do
		it("by " .. name .. " is waited for, but not without end", function()
			if storage.is_asan then
				return pending("a sanitizer in the way of strace")
			elseif not has_strace() then
				return cli.skip("needs strace")
			elseif case.place and os.execute("unshare --uts true 2>/dev/null") ~= true then
				return cli.skip("no UTS namespaces here")
			end
			local holder = hold({ "index", "rebuild" }, at_lock(), case.place)
			-- Nothing has changed, so nobody needs the lock.
			assert.equal(23 + 1, #t:same(nil, { is_brief = true, prefix = BOUND }).models)

			cli.shell(("rm -rf '%s/exp_1/stage1_x1'"):format(t.root))
			local answer = ask_both()
			local host = case.place and "elsewhere" or cli.shell "hostname"
			local who = ("is locked by pid %s on %s ('thhost index rebuild', for "):format(holder.pid, host)
			assert.matches(NOT_USED, answer.list.err, 1, true)
			assert.matches(who, answer.list.err, 1, true)
			assert.equal(4, answer.sync.status, answer.sync.err)
			assert.matches(who, answer.sync.err, 1, true)

			assert.equal(case.status, let(case.signal), cli.read(t.dir .. "/out"))
			assert.equal(22 + 1, #t:same().models)
		end)
	end

	it("in the middle of a change, on a network, is right for those who wait, and after a kill", function()
		if storage.is_asan then
			return pending("a sanitizer in the way of strace")
		elseif not has_strace() then
			return cli.skip("needs strace")
		end
		local prefix = "strace -qq -f -o /dev/null " .. remote()
		cli.shell(("rm -rf '%s/cache'"):format(t.dir))
		t:ok({ "index", "sync" }, t:options { prefix = prefix })
		assert.equal(1, cli.read(t:file()):byte(18 + 1)) -- 2 would be a write-ahead log: shared memory
		t:later()
		t:ok({ "index", "sync" }, t:options { prefix = prefix })
		t:later()
		t:same(nil, { is_brief = true, prefix = prefix })

		-- The first page that it writes: the journal is on the disk, and nobody may read.
		cli.shell(("rm -rf '%s/exp_1/stage1_x1'"):format(t.root))
		hold({ "index", "sync" }, remote "-e inject=pwrite64:signal=STOP:when=1")
		assert.equal("sqlite-journal", cli.shell(("find '%s/cache' -name '*-journal' -size +0 -o "
			.. "-name '*-wal' -o -name '*-shm' | sed 's/.*[.]//'"):format(t.dir)))
		local answer = ask_both()
		assert.matches(NOT_USED, answer.list.err, 1, true)
		assert.matches("database is locked", answer.list.err, 1, true)
		assert.is_true(answer.sync.status == 1 or answer.sync.status == 4, answer.sync.err)

		assert.equal(137, let "KILL")
		t:same(nil, { is_brief = true, prefix = prefix })
		t:same()
	end)
end)
