--- System calls that fail under a command; tests/torture/syscalls_spec.lua tries all of them.
local cli = require "support.cli"
local runs = require "support.runs"
local storage = require "support.storage"

describe("a command that meets an error", function()
	local t

	before_each(function()
		t = runs.tree()
	end)

	after_each(function()
		t:close()
	end)

	--- An `it` that needs strace.
	local function traced(name, body)
		it(name, function()
			if storage.is_asan or storage.skip_without(storage.has_strace, "strace") then
				return pending("no strace, or a sanitizer in its way")
			end
			body()
		end)
	end

	--- 'path': only calls on that file, which is there.
	local function with(args, inject, path)
		return t:run(args, { prefix = ("strace -qq -o /dev/null %s -e inject=%s"):format(
			path and "-P " .. path or "", inject) })
	end

	local record = { "record", "tiny", "-d", "d", "--steps", "20", "-m", "f1=0.5" }

	local function entries()
		return t:info("tiny_d").training_history
	end

	traced("makes an append once more after a stale handle", function()
		local result = with(record, "renameat2:error=ESTALE:when=1")
		assert.equal(0, result.status, result.err)
		assert.equal(1, #entries())
		result = with(record, "renameat2:error=ESTALE:when=1+")
		assert.equal(7, result.status, result.err)
		assert.matches("(ESTALE); file unchanged", result.err, 1, true)
		assert.equal(1, #entries())
	end)

	traced("says that a lock cannot be checked, not that it is busy", function()
		t:ok(record)
		local result = with(record, "pread64:error=EIO", t.root .. "/exp_1/tiny_d/.training_info.json.lock")
		assert.equal(7, result.status, result.err)
		assert.matches("the lock was lost: Input/output error (EIO)", result.err, 1, true)
	end)

	it("asks nobody to repeat what is recorded: the output is lost", function()
		local err = cli.shell(("cd %s; { %s %s >/dev/full; echo \"status $?\" >&2; } 2>&1"):format(
			cli.quote(t.dir), cli.quote(cli.thhost), table.concat(record, " ")))
		assert.matches("cannot write to standard output: No space left on device (ENOSPC)", err, 1, true)
		assert.matches("status 8$", err)
		assert.equal(1, #entries())
	end)

	traced("makes no experiment that is not in use: exp new", function()
		for _, inject in ipairs { "mkdirat:error=EIO", "fsync:error=EIO:when=1", "symlinkat:error=EIO",
			"renameat:error=EIO" } do
			local result = with({ "exp", "new", "exp_2" }, inject)
			assert.equal(1, result.status, inject)
			assert.matches("EIO", result.err, 1, true)
			assert.equal("current\nexp_1", cli.shell("ls -A " .. t.root), inject)
			assert.equal("exp_1", cli.shell("readlink " .. t.root .. "/current"))
		end
		t:ok { "exp", "new", "exp_2" }
	end)

	traced("tells an error from an absence: exp use", function()
		local result = with({ "exp", "use", "exp_1" }, "openat:error=EIO:when=6")
		assert.is_true(result.status == 0 or result.status == 1, result.status)
		assert.is_nil(result.err:find("no experiment", 1, true), result.err)
	end)

	traced("does not ask a plugin with half of its inputs", function()
		t:ok(record)
		local path = t:write("exp_1/tiny_d/result.json", "{}")
		local result = with(runs.tiny(runs.write_result), "newfstatat:error=ESTALE", path)
		assert.equal(0, result.status)
		assert.matches("cannot look at 'result.json': Stale file handle (ESTALE)", result.err, 1, true)
		t:ok { "repair" }
		assert.equal(2, #entries())
	end)

	traced("leaves a run to repair when thhost is killed while it records", function()
		t:ok { "record", "tiny", "-d", "d", "--steps", "1", "-m", "f1=0.5" }
		-- The first exchange is that of the record: the journal is renamed plainly.
		local result = with(runs.tiny(runs.write_result), "renameat2:signal=KILL:when=2")
		assert.equal(137, result.status, result.err)
		assert.equal(1, #entries())
		t:ok { "list" }
		assert.equal("unrecorded", runs.journal(t)[1].state)
		t:ok { "repair" }
		assert.equal(2, #entries())
		assert.equal("completed", entries()[2].status)
		assert.is_true(entries()[2].usage.wall_s > 0)
		assert.equal("recorded", runs.journal(t)[1].state)
	end)

	traced("closes a run that could not be started as failed", function()
		local result = with(runs.tiny("echo ran >ran"), "signalfd4:error=EMFILE")
		assert.equal(125, result.status, result.err)
		assert.matches("EMFILE", result.err, 1, true)
		assert.is_nil(cli.read(t.dir .. "/ran"))
		assert.equal("failed", runs.journal(t)[1].state)
		assert.matches("EMFILE", runs.journal(t)[1].trouble, 1, true)
	end)

	traced("finds nothing in order that it could not read: repair", function()
		assert.equal(7, with(record, "renameat2:error=EIO").status)
		for _, part in ipairs { "runs", "spool" } do
			local dir = t.root .. "/exp_1/tiny_d/.thhost/" .. part
			cli.shell("mkdir -p " .. dir)
			local result = with({ "repair" }, "getdents64:error=EIO", dir)
			assert.equal(1, result.status, part .. ": " .. result.err .. result.out)
			assert.matches(part .. "': Input/output error (EIO)", result.err, 1, true)
		end
		t:ok { "repair" }
		assert.equal(1, #entries())
	end)
end)
