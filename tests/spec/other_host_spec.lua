--- What a command thinks of the runs of another container, of another host, and of another user.
local cli = require "support.cli"
local runs = require "support.runs"
local storage = require "support.storage"

describe("a run", function()
	local t, wait

	before_each(function()
		t = runs.tree()
	end)
	after_each(function()
		cli.write(t.dir .. "/stop", "")
		if wait then
			wait()
		end
		wait = nil
		t:close()
	end)

	local function start()
		wait = runs.start(t, runs.tiny("while [ ! -e stop ]; do sleep 0.05; done", "--no-record"))
		return runs.wait_for_state(t, "running")
	end

	--- What a look from there leaves in the journal.
	---@param prefix string shell words that go there
	local function state_after_look(prefix)
		t:ok({ "show", "tiny_d" }, { prefix = prefix })
		return runs.journal(t)[1].state
	end

	--- The words of `unshare` for these options, or nothing where the machine refuses.
	local function unshare(options)
		local words = "unshare " .. options
		if os.execute(words .. " true 2>/dev/null") then
			return words
		end
		assert(not cli.is_ci(), "CI must have it: " .. words)
	end

	it("says which pid namespace its pids are of", function()
		local namespace = tonumber(cli.shell "stat -L -c %i /proc/self/ns/pid")
		assert.equal(namespace, start().pid_ns)
	end)

	it("is not closed from another pid namespace, where its pids are nobody's", function()
		local words = unshare "--pid --fork --mount-proc"
		if not words then
			return pending("no pid namespaces")
		end
		start()
		assert.equal("running", state_after_look(words))
	end)

	it("is not closed from a host of another name in the same boot", function()
		local words = unshare "--uts"
		if not words then
			return pending("no UTS namespaces")
		end
		local run = start()
		runs.kill("KILL", run.pid)
		runs.kill("KILL", run.child_pid)
		cli.wait_for("the end of both", function()
			return not runs.is_alive(run.pid) and not runs.is_alive(run.child_pid)
		end)
		assert.equal("running", state_after_look(words .. " sh -c 'hostname elsewhere; exec \"$@\"' -"))
		assert.equal("interrupted", state_after_look(""))
	end)

	it("is not closed where /proc hides the processes of others", function()
		local words = storage.is_root and unshare "--mount"
		if not words then
			return pending("needs root and mount namespaces")
		end
		start()
		cli.shell(("chmod -R a+rX %s; chmod -R a+rwX %s"):format(t.dir, t.root))
		local other_user = "setpriv --reuid=65534 --regid=65534 --clear-groups"
		assert.equal("running", state_after_look(words .. " sh -c 'mount -t proc -o hidepid=2 proc /proc"
			.. " && exec " .. other_user .. " \"$@\"' -"))
	end)

	it("is not closed where there is no /proc", function()
		if storage.is_asan then
			return pending("the leak sanitizer needs /proc")
		end
		local words = storage.is_root and unshare "--mount"
		if not words then
			return pending("needs root and mount namespaces")
		end
		start()
		assert.equal("running", state_after_look(words .. " sh -c 'mount -t tmpfs none /proc && exec \"$@\"' -"))
	end)
end)
