--- thhost batch on several machines that share an artifact root.
local batches = require "support.batches"
local cli = require "support.cli"
local machines = require "support.machines"
local runs = require "support.runs"

local TRAIN = [[echo "$THHOST_RUN_ID" >>"$THHOST_STAGE_DIR/begun"
echo '{"steps":10,"metrics":{"f1":0.5}}' >"$THHOST_STAGE_DIR/result.json"
]]
local TINY = "[defaults]\nstage = tiny\ncommand = sh {file_dir}/train.sh\n"

-- Says that it is up, and trains once there is the file.
local function waiting(name)
	return ("shell = yes\ncommand = echo up >>%s.up; while ! [ -e %s ]; do sleep 0.02; done; sh train.sh\n"):format(name,
		name)
end

local function matrix(letter, n)
	local sets = {}
	for i = 1, n do
		sets[i] = letter .. i
	end
	return "[matrix m]\neach.dataset = " .. table.concat(sets, ", ") .. "\n"
end

describe("batches on two machines", function()
	local t, a, b

	local function begin(text, ...)
		t = batches.tree(text)
		batches.write(t, "train.sh", TRAIN)
		a, b = machines.up "gpu01", machines.up("gpu02", ...)
	end

	after_each(function()
		for _, machine in ipairs { a or false, b or false } do
			if machine then
				machine:down()
			end
		end
		a, b = nil, nil
		if t then
			t:close()
		end
		t = nil
	end)

	local function status(machine, name, cwd)
		local words = { "batch", "--json", "status", name }
		local result = machine:run(t, words, { cwd = cwd })
		assert(result.status == 0, result.err)
		return require("cjson").decode(result.out)
	end

	--- Each run that began is recorded once, and nothing else is.
	local function check(name, n)
		local history, seen = t:info(name).training_history, {}
		for _, entry in ipairs(history) do
			assert(not seen[entry.run_id], "twice")
			seen[entry.run_id] = true
		end
		assert.equal(n, #history)
	end

	local function wait_for_file(name)
		cli.wait_for(name, function()
			return cli.read(t.dir .. "/" .. name)
		end)
	end

	local function newest()
		return cli.shell(("ls -d %s/.thhost/batches/*-* | tail -n 1"):format(t.root))
	end

	--- Both silent for long, for all who look: nobody waits for that in a test.
	local function let_time_pass()
		cli.shell(("touch -d '10 minutes ago' %s/lock %s/journal.jsonl"):format(newest(), newest()))
	end

	it("record every job once, whichever machine works on it", function()
		if not machines.can_be() then
			return
		end
		local other = cli.temp_dir()
		finally(function()
			cli.remove(other)
		end)
		t = batches.tree(TINY .. matrix("a", 8))
		batches.write(t, "train.sh", TRAIN)
		batches.write(t, "c.ini", TINY .. matrix("b", 8))
		a, b = machines.up "gpu01", machines.up("gpu02", t.dir, other)
		local first = a:start(t, { "batch", "run", "b.ini", "-j", "2" })
		local second = b:start(t, { "batch", "run", "c.ini", "-j", "2" }, other)
		assert.equal(0, (first.wait()))
		assert.equal(0, (second.wait()))
		for i = 1, 8 do
			check("tiny_a" .. i, 1)
			check("tiny_b" .. i, 1)
		end
		t:ok { "verify" }
		for _, name in ipairs { "b", "c" } do
			assert.same({ 8, "done" }, { status(a, name).count.done, status(b, name, other).state })
		end
	end)

	it("are shown on both, with the machine where each goes on", function()
		if not machines.can_be() then
			return
		end
		begin("[defaults]\nstage = tiny\n" .. waiting "go" .. "[job a]\ndataset = a\n")
		batches.write(t, "c.ini", "[defaults]\nstage = tiny\n" .. waiting "go2" .. "[job c]\ndataset = c\n")
		local first = a:start(t, { "batch", "run", "b.ini" })
		local second = b:start(t, { "batch", "run", "c.ini" })
		wait_for_file "go.up"
		wait_for_file "go2.up"
		for _, machine in ipairs { a, b } do
			local list = machine:run(t, { "batch", "status" }).out
			assert.matches("running on gpu01", list)
			assert.matches("running on gpu02", list)
			assert.same({ "running", "gpu01" }, { status(machine, "b").state, status(machine, "b").works_on_it })
		end
		assert.matches("on gpu01, last sign ", b:run(t, { "batch", "status", "b" }).out)
		assert.not_matches("last sign", a:run(t, { "batch", "status", "b" }).out)
		cli.write(t.dir .. "/go", "")
		cli.write(t.dir .. "/go2", "")
		assert.same({ 0, 0 }, { (first.wait()), (second.wait()) })
	end)

	it("of the same file are refused to the second, who is told who has it", function()
		if not machines.can_be() then
			return
		end
		local other = cli.temp_dir()
		finally(function()
			cli.remove(other)
		end)
		t = batches.tree("[defaults]\nstage = tiny\n" .. waiting "go" .. "[job a]\ndataset = a\n")
		batches.write(t, "train.sh", TRAIN)
		a, b = machines.up "gpu01", machines.up("gpu02", t.dir, other)
		local first = a:start(t, { "batch", "run", "b.ini" })
		wait_for_file "go.up"
		for _, cwd in ipairs { t.dir, other } do
			local result = b:run(t, { "batch", "run", "b.ini" }, { cwd = cwd })
			assert.equal(4, result.status)
			assert.matches("on gpu01", result.err)
		end
		cli.write(t.dir .. "/go", "")
		assert.equal(0, (first.wait()))
		check("tiny_a", 1)
		assert.equal(1, select(2, t:read("exp_1/tiny_a/begun"):gsub("\n", "")))
	end)

	it("lose no entry of a stage directory that both train in", function()
		if not machines.can_be() then
			return
		end
		local head = "[batch]\nretries = 1000\n" .. TINY
		begin(head .. matrix("a", 3) .. "[job same]\ndataset = same\n")
		batches.write(t, "c.ini", head .. matrix("b", 3) .. "[job same]\ndataset = same\n")
		local first = a:start(t, { "batch", "run", "b.ini", "-j", "2" })
		local second = b:start(t, { "batch", "run", "c.ini", "-j", "2" })
		assert.same({ 0, 0 }, { (first.wait()), (second.wait()) })
		check("tiny_same", 2)
	end)

	it("wait for what goes on elsewhere until that machine is said to be gone", function()
		if not machines.can_be() then
			return
		end
		begin("[defaults]\nstage = tiny\n" .. waiting "go" .. "[job a]\ndataset = a\n[job c]\ndataset = c\nafter = a\n")
		local first = a:start(t, { "batch", "run", "b.ini" })
		wait_for_file "go.up"
		runs.wait_for_state(t, "running", "tiny_a")
		a:down()
		first.wait()
		assert.equal("stopped", status(b, "b").state)
		assert.matches("on gpu01, last sign ", b:run(t, { "batch", "status", "b" }).out)
		assert.equal("running", runs.journal(t, "tiny_a")[1].state)
		local waits = b:start(t, { "batch", "run", "b", "--resume" })
		cli.wait_for("what it waits for", function()
			return (waits.said() or ""):find("a goes on, on gpu01, and is waited for", 1, true)
		end)
		b:signal "TERM"
		assert.equal(130, (waits.wait()))
		cli.write(t.dir .. "/go", "")
		for host, code in pairs { gpu02 = 2, gpu03 = 3 } do
			assert.equal(code, b:run(t, { "batch", "run", "b", "--resume", "--host-is-gone", host }).status)
		end
		local result = b:run(t, { "batch", "run", "b", "--resume", "--host-is-gone", "gpu01" })
		assert.equal(0, result.status, result.err)
		check("tiny_a", 1)
		check("tiny_c", 1)
		local journal = runs.journal(t, "tiny_a")
		assert.same({ "interrupted", "recorded" }, { journal[1].state, journal[2].state })
		assert.matches("gpu01", journal[1].trouble)
		t:ok { "verify" }
	end)

	it("are lost to a machine that was only thought to be gone", function()
		if not machines.can_be() then
			return
		end
		begin("[defaults]\nstage = tiny\n" .. waiting "go" .. "[job a]\ndataset = a\n[job c]\ndataset = c\nafter = a\n")
		local first = a:start(t, { "batch", "run", "b.ini" })
		wait_for_file "go.up"
		local stale = runs.wait_for_state(t, "running", "tiny_a").run_id
		a:signal "STOP"
		assert.equal("running", status(b, "b").state)
		let_time_pass()
		assert.equal("silent", status(b, "b").state)
		assert.matches("silent on gpu01, which gave no sign for 10m", b:run(t, { "batch", "status", "b" }).out)
		local busy = b:run(t, { "batch", "run", "b", "--resume" })
		assert.equal(4, busy.status)
		assert.matches("--host-is-gone gpu01", busy.err, 1, true)
		cli.write(t.dir .. "/go", "")
		local result = b:run(t, { "batch", "run", "b", "--resume", "--host-is-gone", "gpu01" })
		assert.equal(0, result.status, result.err)
		local journal = cli.read(newest() .. "/journal.jsonl")
		local record = t:read "exp_1/tiny_a/training_info.json"
		a:signal "CONT"
		local code, said = first.wait()
		assert.equal(4, code)
		assert.matches("is not ours any more", said)
		cli.wait_for("the end of the lost run", function()
			return a:run(t, { "version" }).status == 0 and not os.execute(
				("nsenter -t %d -p -m -- pidof thhost >/dev/null"):format(a.pid))
		end)
		assert.equal(journal, cli.read(newest() .. "/journal.jsonl"))
		assert.equal(record, t:read "exp_1/tiny_a/training_info.json")
		check("tiny_a", 1)
		assert.not_equal(stale, t:info("tiny_a").training_history[1].run_id)
		assert.equal("interrupted", runs.journal(t, "tiny_a")[1].state)
		t:ok { "verify" }
	end)

	it("go on at once on a machine that was started again", function()
		if not machines.can_be() then
			return
		end
		begin("[defaults]\nstage = tiny\n" .. waiting "go" .. "[job a]\ndataset = a\n")
		local first = a:start(t, { "batch", "run", "b.ini" })
		wait_for_file "go.up"
		a:down()
		first.wait()
		cli.write(t.dir .. "/go", "")
		a = machines.up "gpu01"
		local result = a:run(t, { "batch", "run", "b", "--resume" })
		assert.equal(0, result.status, result.err)
		check("tiny_a", 1)
		assert.same({ "interrupted", "recorded" },
			{ runs.journal(t, "tiny_a")[1].state, runs.journal(t, "tiny_a")[2].state })
	end)
end)
