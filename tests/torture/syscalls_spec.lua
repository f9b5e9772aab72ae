--- Every system call of record, run, batch run, repair and exp fails, lies or is the last one: after each, the
--- record is the old or the new document, nothing is lost, nothing is left over, and the status and
--- the message say what happened.
local batches = require "support.batches"
local cjson = require "cjson"
local cli = require "support.cli"
local faults = require "torture.faults"
local runs = require "support.runs"
local storage = require "support.storage"
local torture = require "support.torture"

local RECORD = { "record", "tiny", "-d", "d", "--steps", "20", "-m", "f1=0.5" }
local NEXT = { "record", "tiny", "-d", "d", "--steps", "30", "-m", "f1=0.5" }

-- Says in t.dir/ran that it began and ended; a reader that is gone does not end it.
local TRAINING = runs.tiny("trap '' PIPE; echo begin $$ >>ran; echo hi; "
	.. runs.write_result:gsub('"steps":10', '"steps":20') .. "echo end >>ran")

describe("a system call that fails", function()
	local rig

	after_each(function()
		if rig then
			rig:close()
		end
		rig = nil
	end)

	--- Why this cannot be tried here, or nil.
	local function cannot(what)
		if storage.is_asan then
			return torture.cannot("syscalls", what, "the sanitizer is in the way of strace")
		end
		if storage.skip_without(storage.has_strace, "strace") then
			return torture.cannot("syscalls", what, "no strace")
		end
	end

	-- What is there ---------------------------------------------------------------------------

	local function record()
		return rig.tree:read("exp_1/tiny_d/training_info.json")
	end

	--- The steps of the entries in the record, oldest first; nil if it is no document.
	local function steps()
		local text = record()
		if not text then
			return {}
		end
		local fine, info = pcall(cjson.decode, text)
		local list = {}
		for i, entry in ipairs(fine and info.training_history or {}) do
			list[i] = math.tointeger(entry.steps)
		end
		return fine and list or nil
	end

	local function is_same(a, b)
		return a and table.concat(a, " ") == table.concat(b, " ")
	end

	local function with(list, ...)
		local longer = { table.unpack(list) }
		for _, item in ipairs { ... } do
			longer[#longer + 1] = item
		end
		return longer
	end

	local function count_spooled()
		local n = 0
		for _, path in ipairs(rig:leftovers()) do
			n = n + (path:find("%.tmp%.") and 0 or 1)
		end
		return n
	end

	--- Without that not even a message comes out.
	local function can_write(fault)
		return not (fault.for_ever and fault.name == "write")
	end

	--- The message names a file, a directory or a command, and the cause.
	local function names_cause(fault, result)
		local names = result.err:find("['/]") or result.err:find("standard output", 1, true)
			or result.err:find("current directory", 1, true) or result.err:find("watch signals", 1, true)
		local can_tell = can_write(fault)
		-- Nobody need be let in where plugins may lie: that is as if there were none.
		if fault.errno == "EACCES" and result.err:find("unknown stage", 1, true) then
			return true
		end
		return not fault.errno or fault.shim or not can_tell or (names and result.err:find(fault.errno, 1, true))
	end

	--- Two commands later: everything that was kept is in the record once, and nothing is left over.
	local function check_next(wanted)
		for _, args in ipairs { { "repair" }, NEXT } do
			local result = rig:run_later(args)
			if result.status ~= 0 then
				return ("then '%s' ends with %d: %s"):format(args[1], result.status, result.err)
			end
		end
		if not is_same(steps(), with(wanted, 30)) then
			return "afterwards the record has " .. table.concat(steps() or { "nothing" }, " ")
		end
		local left = rig:leftovers()
		if #left > 0 then
			return "left over: " .. table.concat(left, " ")
		end
	end

	--- A tree whose record has these entries, as the start.
	local function start_with(...)
		local t = runs.tree()
		for _, n in ipairs { ... } do
			t:ok { "record", "tiny", "-d", "d", "--steps", tostring(n), "-m", "f1=0.5" }
		end
		rig = faults.rig(t)
	end

	-- record ----------------------------------------------------------------------------------

	-- Status 4 is for what another program does, and no error of a call.
	local function check_record(old)
		return function(fault, result)
			local now, spooled = steps(), count_spooled()
			local is_old, is_new = is_same(now, old), is_same(now, with(old, 20))
			local status, was_killed = result.status, not fault.errno and not fault.shim
			if not is_old and not is_new then
				return "neither the old document nor the new one"
			elseif status == 0 and not (is_new and spooled == 0) then
				return "not recorded"
			elseif status == 7 and not (is_old and spooled == 1) then
				return "not in the spool alone"
			elseif (status == 1 or status == 3 or status == 6) and not (is_old and spooled == 0) then
				return "something has changed"
			elseif not was_killed and not ("0 1 3 6 7 8"):find(status, 1, true) then
				return "not a status of this kind"
			elseif status ~= 0 and not was_killed and not names_cause(fault, result) then
				return "the cause is not named"
			end
			return check_next((is_new or spooled > 0) and with(old, 20) or old)
		end
	end


	for _, start in ipairs { { "first" }, { "later", 1, 2 } } do
		it("leaves old or new, or the entry in the spool: record, " .. start[1], function()
			local what = "record, " .. start[1] .. ": "
			local why = cannot(what .. "each call x errno")
			if why then
				return pending(why)
			end
			local old = { table.unpack(start, 2) }
			start_with(table.unpack(old))
			local calls = rig:calls(RECORD)
			local check = check_record(old)
			rig:sweep(what .. "each call x errno once", RECORD,
				faults.sample(faults.each_errno(calls), 35), check)
			for _, errno in ipairs { "EIO", "ENOSPC" } do
				rig:sweep(what .. errno .. " from each call on", RECORD,
					faults.sample(faults.each_for_ever(calls, errno), 6), check)
			end
			rig:sweep(what .. "killed at each call", RECORD,
				faults.sample(faults.each_kill(calls), 10), check)
			if rig.shim then
				rig:sweep(what .. "done, but reported as failed; half done", RECORD,
					faults.sample(faults.each_shim(torture.scale(6, 60)), 12), check)
			end
			rig:verdict()
		end)
	end

	-- run -------------------------------------------------------------------------------------

	--- How often the training began, and whether it has come to its end.
	local function count_ran()
		local text = cli.read(rig.tree.dir .. "/ran") or ""
		return select(2, text:gsub("begin", "")), text:find("end", 1, true) ~= nil
	end

	local function state()
		local run = runs.journal(rig.tree)[1]
		return run and run.state
	end

	--- The same, once a command has looked at the journal and closed what is dead.
	local function state_seen()
		rig:run { "list" }
		return state()
	end

	--- The training's own status whatever recording meets; before it began, one of ours.
	local function check_run(fault, result)
		local began, ended = count_ran()
		local now, spooled = steps(), count_spooled()
		local is_new = is_same(now, { 1, 20 })
		if not is_same(now, { 1 }) and not is_new then
			return "neither the old document nor the new one"
		elseif began > 1 then
			return "started twice"
		elseif began == 0 and not ("1 3 5 6 125 126 127"):find(result.status, 1, true) then
			return "not a status of a training that could not be started"
		elseif began == 1 and (result.status ~= 0 or not ended) then
			return "the training ended with 0"
		elseif not (is_new or names_cause(fault, result)) then
			return "the cause is not named"
		elseif began == 1 and not is_new and spooled == 0 and state_seen() ~= "unrecorded" then
			-- Nothing at all could be written; then the hint must do.
			local from = result.err:match("'thhost record tiny %-d d %-%-from ([^']+)'")
				or not can_write(fault) and rig.tree.root .. "/exp_1/tiny_d"
			if not from or rig:run({ "record", "tiny", "-d", "d", "--from", from }).status ~= 0 then
				return "lost"
			end
		end
		return check_next(began == 1 and { 1, 20 } or { 1 })
	end

	--- That it ended well must be on the disk before the plugin is asked, in a process of its own.
	---@param pid string of the training
	local function must_be_noted(pid)
		local after = rig:trace():match("\nwait4%(" .. pid .. ",.*")
		return state_seen() == "unrecorded" or (after and after:find("\nvfork(", 1, true) ~= nil)
	end

	local n_unknown
	local function check_killed_run()
		for pid in rig:trace():gmatch("vfork%(%) += (%d+)") do
			cli.wait_for("the end of the training", function()
				return not runs.is_alive(tonumber(pid))
			end)
		end
		local pid = (cli.read(rig.tree.dir .. "/ran") or ""):match("begin (%d+)")
		local began, ended = count_ran()
		local is_new, spooled = is_same(steps(), { 1, 20 }), count_spooled()
		if not is_new and not is_same(steps(), { 1 }) then
			return "neither the old document nor the new one"
		elseif began > 1 then
			return "started twice"
		elseif ended and must_be_noted(pid) or is_new or spooled > 0 then
			return check_next { 1, 20 } or state() ~= "recorded" and "the run is " .. state() or nil
		end
		n_unknown = n_unknown + (ended and 1 or 0)
		return check_next { 1 } or state() and not ("failed interrupted"):find(state(), 1, true)
			and "the run is " .. state() or nil
	end

	it("never fails a training, and keeps what came out of it: run", function()
		local why = cannot("run: each call x errno")
		if why then
			return pending(why)
		end
		start_with(1)
		local calls = rig:calls(TRAINING)
		rig:sweep("run: each call x errno once", TRAINING,
			faults.sample(faults.each_errno(calls), 35), check_run)
		for _, errno in ipairs { "EIO", "ENOSPC" } do
			rig:sweep("run: " .. errno .. " from each call on", TRAINING,
				faults.sample(faults.each_for_ever(calls, errno), 6), check_run)
		end
		if rig.shim then
			rig:sweep("run: done, but reported as failed; half done", TRAINING,
				faults.sample(faults.each_shim(torture.scale(6, 60)), 12), check_run)
		end
		rig:verdict()
	end)

	it("loses no training that ended well: run, killed", function()
		local why = cannot("run: thhost killed at each call")
		if why then
			return pending(why)
		end
		start_with(1)
		n_unknown = 0
		rig:sweep("run: thhost killed at each call", TRAINING,
			faults.sample(faults.each_kill(rig:calls(TRAINING)), 20), check_killed_run)
		torture.figure("syscalls", "run: of these, nobody knew yet how it had ended", n_unknown, 0)
		rig:verdict()
	end)

	-- batch -----------------------------------------------------------------------------------

	--- How many entries a record has.
	local function entries(name)
		local text = rig.tree:read("exp_1/" .. name .. "/training_info.json")
		return text and #cjson.decode(text).training_history or 0
	end

	--- Go on with it until it is done, as a user would.
	local function finish_batch()
		local args = { "batch", "run", "b.ini", "--resume" }
		for _ = 1, 3 do
			local result = rig:run(args)
			if result.status == 0 then
				return
			elseif result.status == 3 then -- there was no batch yet
				args = { "batch", "run", "b.ini" }
			elseif result.status == 1 then
				args = { "batch", "retry" }
			else
				return ("then '%s' ends with %d: %s"):format(table.concat(args, " "), result.status, result.err)
			end
		end
		return "cannot be brought to its end"
	end

	local function check_batch(fault, result)
		local was_killed = not fault.errno and not fault.shim
		-- 4: it cannot tell that its lock is still its own, so it stops.
		local is_lost = result.status == 4 and result.err:find("the lock was lost: ", 1, true)
		if not was_killed and not is_lost and not ("0 1 3 5 6 8"):find(result.status, 1, true) then
			return "not a status of this kind"
		elseif result.status == 0 and (entries("tiny_a") ~= 1 or entries("tiny_r") ~= 1) then
			return "not recorded"
		elseif result.status ~= 0 and not was_killed and not names_cause(fault, result) then
			return "the cause is not named"
		end
		local said = finish_batch()
		local repaired = rig:run_later { "repair" } -- an entry that waits in a spool is in the record by now
		if said or repaired.status ~= 0 then
			return said or repaired.err
		elseif entries("tiny_a") ~= 1 or entries("tiny_r") ~= 1 then
			return ("recorded %d and %d times"):format(entries("tiny_a"), entries("tiny_r"))
		end
		local verified = rig:run { "verify" }
		return verified.status ~= 0 and verified.out .. verified.err or nil
	end

	it("does and records each job once in the end: batch run", function()
		local why = cannot("batch run: each call x errno")
		if why then
			return pending(why)
		end
		local t = batches.tree("[defaults]\nstage = tiny\n[job a]\ndataset = a\ncommand = sh {file_dir}/train.sh\n"
			.. "[job r]\ndataset = r\nsteps = 3\n")
		batches.write(t, "train.sh", runs.write_result)
		rig = faults.rig(t)
		local args = { "batch", "run", "b.ini" }
		local calls = rig:calls(args)
		rig:sweep("batch run: each call x errno once", args, faults.sample(faults.each_errno(calls), 20),
			check_batch)
		rig:sweep("batch run: EIO from each call on", args,
			faults.sample(faults.each_for_ever(calls, "EIO"), 4), check_batch)
		rig:sweep("batch run: killed at each call", args, faults.sample(faults.each_kill(calls), 8),
			check_batch)
		rig:verdict()
	end)

	-- repair ----------------------------------------------------------------------------------

	local function check_repair(fault, result)
		local now, spooled = steps(), count_spooled()
		local is_new = is_same(now, { 1, 20 })
		local was_killed = not fault.errno and not fault.shim
		if not is_new and not is_same(now, { 1 }) then
			return "neither the old document nor the new one"
		elseif result.status == 0 and not (is_new and spooled == 0) then
			return "not repaired"
		elseif not was_killed and not ("0 1 6"):find(result.status, 1, true) then
			return "not a status of this verb"
		elseif result.status ~= 0 and not was_killed and not names_cause(fault, result) then
			return "the cause is not named"
		end
		return check_next { 1, 20 }
	end

	local function spool()
		local result = rig:run(RECORD, rig:prefix { name = "renameat2", k = 1, errno = "EIO" })
		assert.equal(7, result.status, result.err)
	end

	local function leave_unrecorded()
		local path = rig.tree.dir .. "/plugins/tiny.lua"
		cli.write(path, (runs.plugin:gsub("if not ctx", "error('oh no')\n%0")))
		rig:run(TRAINING)
		assert.equal("unrecorded", state())
		cli.write(path, runs.plugin)
	end

	for what, prepare in pairs { ["a spooled entry"] = spool, ["an unrecorded run"] = leave_unrecorded } do
		it("puts it in once, or leaves it where it is: repair, " .. what, function()
			what = "repair, " .. what .. ": "
			local why = cannot(what .. "each call x errno")
			if why then
				return pending(why)
			end
			start_with(1)
			prepare()
			rig:begin_here()
			local calls = rig:calls { "repair" }
			rig:sweep(what .. "each call x errno once", { "repair" },
				faults.sample(faults.each_errno(calls), 20), check_repair)
			rig:sweep(what .. "EIO from each call on", { "repair" },
				faults.sample(faults.each_for_ever(calls, "EIO"), 8), check_repair)
			rig:sweep(what .. "killed at each call", { "repair" },
				faults.sample(faults.each_kill(calls), 8), check_repair)
			if rig.shim then
				rig:sweep(what .. "done, but reported as failed; half done", { "repair" },
					faults.sample(faults.each_shim(torture.scale(6, 60)), 10), check_repair)
			end
			rig:verdict()
		end)
	end

	-- exp -------------------------------------------------------------------------------------

	local function current()
		return cli.shell("readlink " .. rig.tree.root .. "/current")
	end

	local function exists(name)
		return os.execute(("test -d %s/%s"):format(rig.tree.root, name)) == true
	end

	--- Whatever came of it, the next one is in use afterwards, and no other thing is there.
	local function check_next_exp(verb, name)
		local result = rig:run_later { "exp", verb, name }
		if result.status ~= 0 then
			return ("then 'exp %s' ends with %d: %s"):format(verb, result.status, result.err)
		end
		local names = cli.shell("ls -A " .. rig.tree.root):gsub("\n", " ")
		if current() ~= name or names ~= "current exp_1 exp_2" then
			return "there are " .. names .. ", in use " .. current()
		end
	end

	local function check_exp_new(fault, result)
		local was_killed = not fault.errno and not fault.shim
		local is_new, is_used = exists("exp_2"), current() == "exp_2"
		if current() ~= "exp_1" and not is_used then
			return "the link is neither the old one nor the new one"
		elseif (result.status == 0 or result.status == 8) and not (is_new and is_used) then
			return "not made, or not in use"
		elseif not was_killed and result.status == 1 and (is_new or is_used) then
			return "half-made"
		elseif not was_killed and not ("0 1 8"):find(result.status, 1, true) then
			return "not a status of this verb"
		elseif result.status ~= 0 and not was_killed and not names_cause(fault, result) then
			return "the cause is not named"
		end
		return check_next_exp(is_new and "use" or "new", "exp_2")
	end

	local function check_exp_use(fault, result)
		local was_killed = not fault.errno and not fault.shim
		local is_used = current() == "exp_2"
		if current() ~= "exp_1" and not is_used then
			return "the link is neither the old one nor the new one"
		elseif (result.status == 0 or result.status == 8) and not is_used then
			return "not in use"
		elseif not was_killed and result.status == 1 and is_used then
			return "in use all the same"
		elseif not was_killed and not ("0 1 8"):find(result.status, 1, true) then
			return "not a status of this verb"
		elseif result.status ~= 0 and not was_killed and not names_cause(fault, result) then
			return "the cause is not named"
		end
		return check_next_exp("use", "exp_2")
	end

	for verb, check in pairs { new = check_exp_new, use = check_exp_use } do
		it("leaves the old link or the new one, and nothing half-made: exp " .. verb, function()
			local what = "exp " .. verb .. ": "
			local why = cannot(what .. "each call x errno")
			if why then
				return pending(why)
			end
			rig = faults.rig(runs.tree())
			if verb == "use" then
				rig.tree:ok { "exp", "new", "exp_2" }
				rig.tree:ok { "exp", "use", "exp_1" }
				rig:begin_here()
			end
			local args = { "exp", verb, "exp_2" }
			local calls = rig:calls(args)
			rig:sweep(what .. "each call x errno once", args, faults.sample(faults.each_errno(calls), 20),
				check)
			rig:sweep(what .. "EIO from each call on", args,
				faults.sample(faults.each_for_ever(calls, "EIO"), 8), check)
			rig:sweep(what .. "killed at each call", args, faults.sample(faults.each_kill(calls), 8),
				check)
			if rig.shim then
				rig:sweep(what .. "done, but reported as failed", args,
					faults.sample(faults.each_shim(torture.scale(4, 40)), 10), check)
			end
			rig:verdict()
		end)
	end
end)
