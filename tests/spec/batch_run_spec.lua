--- thhost batch run: order, slots, failures, signals; killed anywhere and resumed.
local cjson = require "cjson"
local batches = require "support.batches"
local cli = require "support.cli"
local runs = require "support.runs"

local t

local TRAIN = [[echo '{"steps":10,"metrics":{"f1":0.5}}' >"$THHOST_STAGE_DIR/result.json"]]
local WELL = "sh {file_dir}/train.sh"
local TINY = "[defaults]\nstage = tiny\ncommand = " .. WELL .. "\n"

-- Waits for a file of the test, then trains.
local function waiting(name)
	return ("shell = yes\ncommand = echo up >>%s.up; while ! [ -e %s ]; do sleep 0.02; done; sh train.sh\n"):format(name,
		name)
end

local function tree(text)
	t = batches.tree(text)
	batches.write(t, "train.sh", TRAIN)
end

--- "a done, b failed": every job of the newest batch.
local function states(status)
	local found = {}
	for i, job in ipairs(status.jobs) do
		found[i] = job.job .. " " .. job.state
	end
	return table.concat(found, ", ")
end

local function run(status, ...)
	return states(t:json({ "batch", "run", "b.ini", ... }, status))
end

local function status_of(name)
	return t:json { "batch", "status", name or "b" }
end

local function job_of(status, name)
	for _, job in ipairs(status.jobs) do
		if job.job == name then
			return job
		end
	end
end

local function entries(name)
	return #t:info(name).training_history
end

local function exists(name)
	return cli.read(t.dir .. "/" .. name) ~= nil
end

local function wait_for_file(name)
	cli.wait_for(name, function()
		return exists(name)
	end)
end

describe("batch run", function()
	after_each(function()
		t:close()
	end)

	it("runs each job once, after what it waits for, and records it", function()
		tree(TINY .. "[job b]\ndataset = b\ninit_from = a\nparam.lr = 0.1\ntags = x, y\nnote = hello\n[job a]\ndataset = a\n")
		assert.equal("b done, a done", run(0))
		assert.equal(1, entries("tiny_a"))
		local entry = t:info("tiny_b").training_history[2]
		assert.same({ 0.1, { "x", "y" }, "hello" }, { entry.hyperparams.lr, entry.tags, entry.notes })
		assert.equal(job_of(status_of(), "b").run_id, entry.run_id)
		t:ok { "verify" }
	end)

	it("fills in what is known only when a job begins, and gives it its variables", function()
		tree("[job a]\nstage = tiny\ndataset = d\nbase_model = some/model\nenv.COLOUR = dark {dataset}\nseed = 7\n"
			.. "command = sh -c 'echo \"$0|$1|$COLOUR|$THHOST_JOB\" >out; cp out $2/; sh train.sh'\n"
			.. "  {base_model} {{{seed} {stage_dir}\n")
		assert.equal("a done", run(0))
		assert.equal("some/model|{7|dark d|a\n", cli.read(t.dir .. "/out"))
	end)

	it("has as many at once as it may, and no more", function()
		tree("[defaults]\nstage = tiny\n" .. waiting("go") .. "[matrix m]\neach.dataset = a, b, c\n")
		local wait = runs.start(t, { "batch", "run", "b.ini", "-j", "2" })
		cli.wait_for("two", function()
			return select(2, (cli.read(t.dir .. "/go.up") or ""):gsub("up", "")) == 2
		end)
		local found = cli.wait_for("two running", function()
			local now = t:json { "batch", "status", "b" }
			return now.count.running == 2 and now
		end)
		assert.same({ "running", 1 }, { found.state, found.count.waiting })
		cli.write(t.dir .. "/go", "")
		assert.equal(0, wait())
		assert.equal("m-a done, m-b done, m-c done", states(status_of()))
	end)

	it("gives out GPUs, each to one job at a time", function()
		tree("[batch]\njobs = 4\ngpus = 3, GPU-x\n[defaults]\nstage = tiny\nshell = yes\n"
			.. "command = echo {job}=$CUDA_VISIBLE_DEVICES >>gpus; mkdir busy.$CUDA_VISIBLE_DEVICES || exit 9; sleep 0.2;\n"
			.. "  rmdir busy.$CUDA_VISIBLE_DEVICES; echo '{\"steps\":1}' >{stage_dir}/result.json\n"
			.. "[matrix one]\neach.dataset = a, b, c, d\ngpus = 1\n[job two]\ndataset = e\ngpus = 2\n"
			.. "[job none]\ndataset = f\ngpus = 0\n")
		assert.equal("one-a done, one-b done, one-c done, one-d done, two done, none done", run(0))
		local text = cli.read(t.dir .. "/gpus")
		assert.matches("two=3,GPU%-x\n", text)
		assert.matches("none=\n", text)
		assert.equal(4, select(2, text:gsub("one%-%a=[3G]", "")))
	end)

	it("refuses a job that wants more GPUs than there are", function()
		tree(TINY .. "[job a]\ndataset = a\ngpus = 1\n")
		local result = t:run({ "batch", "run", "b.ini" }, { env = { CUDA_VISIBLE_DEVICES = false } })
		assert.equal(5, result.status)
		assert.matches("b.ini:6: the job 'a' wants 1 GPUs, more than there are", result.err, 1, true)
	end)

	it("goes on after a failure with what does not wait for it", function()
		tree(TINY .. "[job a]\ndataset = a\ncommand = false\n[job b]\ndataset = b\nafter = a\n"
			.. "[job c]\ndataset = c\nafter = b\n[job d]\ndataset = d\n")
		assert.equal("a failed, b blocked, c blocked, d done", run(1))
		assert.equal("exit status 1", job_of(status_of(), "a").why)
		assert.equal("'a' is failed", job_of(status_of(), "b").why)
		t:refused(3, "the job 'b' has not begun: it has no log", { "batch", "logs", "b" })
	end)

	it("begins nothing new after a failure where that is wanted, and later goes on", function()
		tree(TINY .. "[job a]\ndataset = a\ncommand = false\n[job d]\ndataset = d\n")
		assert.equal("a failed, d waiting", run(1, "--fail-fast"))
		assert.equal("stopped", status_of().state)
		assert.equal("a failed, d done", run(1, "--resume"))
	end)

	it("tries again as often as it is told", function()
		tree(TINY .. "[job a]\ndataset = a\nretries = 2\nshell = yes\n"
			.. "command = echo x >>tries; [ $(wc -l <tries) = 3 ] || exit 3;\n"
			.. "  echo '{\"steps\":1}' >{stage_dir}/result.json\n[job b]\ndataset = b\nretries = 1\ncommand = sh -c 'exit 4'\n")
		assert.equal("a done, b failed", run(1))
		local status = status_of()
		assert.same({ 3, 2 }, { job_of(status, "a").attempts, job_of(status, "a").failures })
		assert.same({ 2, "exit status 4" }, { job_of(status, "b").attempts, job_of(status, "b").why })
		assert.equal(1, entries("tiny_a"))
	end)

	it("goes on only where the root has the name that it was begun with", function()
		t = batches.tree("[defaults]\nstage = tiny\n[job a]\ndataset = a\ncommand = false\n")
		t:run { "batch", "run", "b.ini" }
		cli.shell(("mv '%s' '%s/moved'"):format(t.root, t.dir))
		local result = t:run { "batch", "run", "b.ini", "--resume", "--root", "moved" }
		assert.equal(5, result.status, result.err)
		assert.matches("was begun where its root is '" .. t.root .. "'; here that is '" .. t.dir .. "/moved'",
			result.err, 1, true)
	end)

	it("tries what failed again when it is asked to", function()
		tree(TINY .. "[job a]\ndataset = a\ncommand = sh -c 'test -e go && sh train.sh'\n[job b]\ndataset = b\nafter = a\n"
			.. "[job c]\ndataset = c\n")
		assert.equal("a failed, b blocked, c done", run(1))
		cli.write(t.dir .. "/go", "")
		assert.equal("a done, b done, c done", states(t:json({ "batch", "retry", "--failed" })))
		assert.equal(1, entries("tiny_c"))
		assert.equal(3, t:run({ "batch", "retry" }).status)
	end)

	it("ends what takes too long", function()
		tree("[job a]\nstage = tiny\ndataset = a\ntimeout = 1s\ncommand = sleep 60\n")
		assert.equal("a failed", run(1))
		assert.equal("it took longer than its timeout", job_of(status_of(), "a").why)
		assert.equal("interrupted", runs.journal(t, "tiny_a")[1].state)
	end)

	it("runs what is chosen alone", function()
		tree(TINY .. "[matrix m]\neach.dataset = a, b\n[job c]\ndataset = c\nafter = m\n")
		assert.equal("m-a skipped, m-b done, c done", run(0, "--only", "m-b", "--only", "c"))
		assert.is_nil(t:read("exp_1/tiny_a/training_info.json"))
	end)

	it("records what is to be recorded, in its place", function()
		tree(TINY .. "[job b]\ndataset = b\ninit_from = a\n[job a]\ndataset = a\nsteps = 5\n")
		assert.equal("b done, a done", run(0))
		assert.equal(2, entries("tiny_b"))
	end)

	it("says why a job did not begin", function()
		tree(TINY .. "[job a]\ndataset = a\n")
		cli.shell("mkdir -p " .. t.root .. "/exp_1/tiny_a && echo broken >" .. t.root .. "/exp_1/tiny_a/.thhost")
		assert.equal("a failed", run(1))
		assert.matches(".thhost", job_of(status_of(), "a").why, 1, true)
	end)

	it("keeps what each job printed", function()
		tree("[defaults]\nstage = tiny\n[matrix m]\neach.dataset = a, b\ncommand = sh -c 'echo this is {dataset}; exit 1'\n")
		run(1)
		local log = t:ok({ "batch", "logs", "m-b" }).out
		assert.matches("this is b\n", log)
		assert.is_nil(log:find("this is a", 1, true))
		assert.equal(3, t:run({ "batch", "logs", "m-x" }).status)
		assert.equal(2, t:run({ "batch", "logs", "m" }).status)
	end)

	it("shows on a terminal what runs and how much is done, and leaves no trace", function()
		tree("[defaults]\nstage = tiny\n" .. waiting("go") .. "[matrix m]\neach.dataset = a, b\n")
		local command = ("cd %s && { timeout 20 script -qefc '%s batch run b.ini -j 2 >out' typescript </dev/null "
			.. ">/dev/null 2>&1; echo $? >status; } &"):format(t.dir, cli.thhost)
		assert(os.execute(command))
		cli.wait_for("the lines", function()
			local text = cli.read(t.dir .. "/typescript") or ""
			return text:find("  m%-b  %d[%d.]*m?s") and text:find("  0 of 2 done, 2 running, 0 waiting", 1, true)
		end)
		cli.write(t.dir .. "/go", "")
		cli.wait_for("the end", function()
			return exists("status")
		end)
		local text = cli.read(t.dir .. "/typescript")
		assert.matches("\27%[%d+A\r\27%[J", text)
		assert.is_nil(text:match("\27%[J([^\27]*)$"):find("running", 1, true))
	end)

	it("lists what there is, the newest first", function()
		tree(TINY .. "[job a]\ndataset = a\n")
		assert.same({}, t:json({ "batch", "status" }).batches)
		run(0)
		run(0)
		local list = t:json({ "batch", "status" }).batches
		assert.equal(2, #list)
		assert(list[1].id > list[2].id)
		assert.equal(list[2].id, t:json({ "batch", "status", list[2].id }).id)
		assert.equal(list[1].id, t:json({ "batch", "status", "b.ini" }).id)
		assert.equal(2, entries("tiny_a"))
	end)

	it("skips with --needed what its record has, and says why of either", function()
		tree(TINY .. "param.lr = 0.1\n[job a]\ndataset = a\nbase_model = m\n[job b]\ndataset = b\ninit_from = a\n")
		cli.shell("touch -d '1 hour ago' " .. t.dir .. "/train.sh")
		local function needed(...)
			local found, result = t:json({ "batch", "run", "b.ini", "--needed", ... })
			return states(found), result.err, found
		end
		local found, said = needed()
		assert.equal("a done, b done", found)
		assert.matches("a is needed: nothing of it is recorded", said, 1, true)
		local state
		found, said, state = needed()
		assert.equal("a skipped, b skipped", found)
		assert.is_nil(said:find("is needed", 1, true))
		assert.matches("^recorded by run %x+", job_of(state, "a").why)
		assert.equal("a skipped, b skipped", (needed()))

		local text = cli.read(t.dir .. "/b.ini")
		for _, change in ipairs {
			{ "base_model = m", "base_model = m2", "a done, b done", "a is needed: the base model is now m2" },
			{ "%[job b%]", "[job b]\nparam.x = 1", "a skipped, b done", "b is needed: the parameters are others" },
			{ "train.sh", "train.sh extra", "a done, b done", "a is needed: the command is another one" },
		} do
			text = text:gsub(change[1], change[2], 1)
			batches.write(t, "b.ini", text)
			found, said = needed()
			assert.equal(change[3], found)
			assert(said:find(change[4], 1, true), said)
			assert.equal("a skipped, b skipped", (needed()))
		end
		cli.shell("touch -d '1 hour' " .. t.dir .. "/train.sh")
		found, said = needed("--only", "b")
		assert.equal("a skipped, b done", found)
		assert.matches("b is needed: '/[^']*/train.sh' was written since", said)
	end)

	it("with --needed compares the data set, where it can be found", function()
		tree(TINY .. "[job a]\ndataset = a\n")
		batches.write(t, "data/a/train.txt", "one")
		cli.shell(("touch -d '1 hour ago' %s/train.sh"):format(t.dir))
		local settings = cli.read(t.dir .. "/thhost.ini")
		assert.equal("a done", run(0, "--needed"))
		assert.equal("a skipped", run(0, "--needed"))
		local entry = t:info("tiny_a").training_history[1]
		assert.is_nil(entry.dataset_digest)

		cli.write(t.dir .. "/thhost.ini", settings .. "[stage tiny]\ndataset_path = data/{dataset}\n")
		local function needed()
			local found, result = t:json { "batch", "run", "b.ini", "--needed" }
			return states(found), result.err
		end
		local function is_needed(why)
			local found, said = needed()
			assert.equal("a done", found)
			assert(said:find("a is needed: " .. why, 1, true), said)
			assert.equal("a skipped", (needed()))
		end
		is_needed "its entry has no digest of the data set a"
		cli.write(t.dir .. "/data/a/more.txt", "two")
		is_needed "the data set a has changed since"
		cli.shell(("rm %s/data/a/more.txt"):format(t.dir))
		entry = t:info("tiny_a").training_history[2]
		local sum = cli.shell(("cd %s/data/a && printf 'train.txt 3 %%s\\n' $(sha256sum <train.txt | cut -d ' ' -f 1)"
			.. " | sha256sum | cut -d ' ' -f 1"):format(t.dir))
		assert.equal("sha256:" .. sum, entry.dataset_digest)
		assert.equal("a skipped", (needed())) -- as for the second entry
		cli.shell(("rm -r %s/data/a"):format(t.dir))
		local found, said = needed()
		assert.equal("a done", found)
		assert.matches("a is needed: the data set a cannot be compared: cannot examine", said, 1, true)
	end)

	describe("with --needed and a base model that is a directory", function()
		local settings

		before_each(function()
			tree(TINY .. "[job a]\ndataset = a\nbase_model = weights\n")
			batches.write(t, "weights/model.bin", "one")
			batches.write(t, "weights/sub/part.bin", "one")
			cli.shell(("cd %s && touch -d '1 hour ago' train.sh weights/model.bin weights/sub/part.bin"):format(t.dir))
			settings = cli.read(t.dir .. "/thhost.ini")
		end)

		local function limit(megabytes)
			cli.write(t.dir .. "/thhost.ini", settings .. "[record]\ndigest_limit_mb = " .. megabytes .. "\n")
		end

		local function needed()
			local found, result = t:json { "batch", "run", "b.ini", "--needed" }
			return states(found), result.err
		end

		local function is_needed(why)
			local found, said = needed()
			assert.equal("a done", found)
			assert(said:find("a is needed: the base model 'weights' " .. why, 1, true), said)
		end

		local function touch(when, name)
			cli.shell(("touch -d '%s' %s/weights/%s"):format(when, t.dir, name or "model.bin"))
		end

		it("trains again when its content is another, whatever its files' times say", function()
			assert.equal("a done", run(0, "--needed"))
			assert.equal("a skipped", (needed()))
			for _, name in ipairs { "model.bin", "sub/part.bin", "new.bin" } do
				batches.write(t, "weights/" .. name, "two")
				touch("1 hour ago", name)
				is_needed "has changed since"
				assert.equal("a skipped", (needed()))
			end
			os.remove(t.dir .. "/weights/new.bin")
			assert.equal("a skipped", (needed())) -- as for the second entry but one
		end)

		it("does not when only its files' times are, or it is a copy, or what tells of it changes", function()
			assert.equal("a done", run(0, "--needed"))
			touch "1 hour"
			assert.equal("a skipped", (needed()))
			cli.shell(("cd %s && cp -r weights copy && rm -r weights && mv copy weights"):format(t.dir))
			batches.write(t, "weights/.cache/fetched", "now")
			touch("1 hour", ".cache")
			assert.equal("a skipped", (needed()))
		end)

		it("goes by their times where the entry has no digest of it", function()
			limit(0)
			assert.equal("a done", run(0, "--needed"))
			cli.write(t.dir .. "/thhost.ini", settings)
			assert.is_nil(t:info("tiny_a").training_history[1].base_model_digest)
			batches.write(t, "weights/model.bin", "two")
			touch "1 hour ago"
			assert.equal("a skipped", (needed()))
			touch "1 hour"
			is_needed "was written since"
			assert.is_string(t:info("tiny_a").training_history[2].base_model_digest)
			assert.equal("a skipped", (needed()))
		end)

		it("goes by their times where no digests are wanted", function()
			assert.equal("a done", run(0, "--needed"))
			limit(0)
			batches.write(t, "weights/model.bin", "two")
			touch "1 hour ago"
			assert.equal("a skipped", (needed()))
			touch "1 hour"
			is_needed "was written since"
		end)

		it("trains again, and says why, where it is not there any more", function()
			assert.equal("a done", run(0, "--needed"))
			cli.shell(("rm -r %s/weights"):format(t.dir))
			is_needed "cannot be compared: it is not there any more"
		end)

		it("trains again, and says why, where it has become too large to be compared", function()
			assert.equal("a done", run(0, "--needed"))
			limit(1)
			cli.shell(("truncate -s 2M %s/weights/big.bin"):format(t.dir))
			is_needed(("cannot be compared: '%s/weights' is larger than record.digest_limit_mb (1 MiB)"):format(
				cli.shell(("cd %s && pwd -P"):format(t.dir))))
		end)

		it("compares a checkpoint of the tree by what it is, not by what its record says of it", function()
			batches.write(t, "b.ini", TINY .. "[job a]\ndataset = a\nbase_model = weights\n"
				.. "[job b]\ndataset = b\nbase_model = tiny_a/model.bin\nafter = a\n")
			batches.write(t, "train.sh", [[echo same >"$THHOST_STAGE_DIR/model.bin"; echo ]]
				.. [['{"steps":10,"metrics":{"f1":0.5},"final_checkpoint":"model.bin"}' >"$THHOST_STAGE_DIR/result.json"]])
			cli.shell(("touch -d '1 hour ago' %s/train.sh"):format(t.dir))
			assert.equal("a done, b done", (needed()))
			assert.equal("a skipped, b skipped", (needed()))
			local entry = t:info("tiny_b").training_history[1]
			assert.equal("sha256:" .. entry.parents[1].sha256, entry.base_model_digest)
			cli.write(t.root .. "/exp_1/tiny_a/model.bin", "else\n")
			cli.shell(("touch -d '1 hour ago' %s/exp_1/tiny_a/model.bin"):format(t.root))
			local found, said = needed()
			assert.equal("a skipped, b done", found)
			assert.matches("b is needed: the base model '/[^']*/exp_1/tiny_a/model.bin' has changed since", said)
		end)
	end)

	it("with --needed leaves the data set alone where digests are not wanted", function()
		tree(TINY .. "[job a]\ndataset = a\n")
		batches.write(t, "data/a", "one")
		cli.shell(("touch -d '1 hour ago' %s/train.sh"):format(t.dir))
		cli.write(t.dir .. "/thhost.ini", cli.read(t.dir .. "/thhost.ini")
			.. "[record]\ndigest_limit_mb = 0\n[stage tiny]\ndataset_path = data/{dataset}\n")
		assert.equal("a done", run(0, "--needed"))
		assert.is_nil(t:info("tiny_a").training_history[1].dataset_digest)
		assert.equal("a skipped", run(0, "--needed"))
	end)

	it("with --needed knows the commit of the code", function()
		tree(TINY .. "[job a]\ndataset = a\nbase_model = m\n")
		local git = "cd " .. t.dir .. " && git -c user.name=n -c user.email=e "
		cli.write(t.dir .. "/.gitignore", "artifact\nhome\n")
		cli.shell(git .. "init -q . && touch -d '1 hour ago' train.sh && git add -A && " .. git:gsub("^.*&& ", "")
			.. "commit -qm one")
		assert.equal("a done", run(0, "--needed"))
		assert.equal("a skipped", run(0, "--needed"))
		cli.shell(git .. "commit -q --allow-empty -m two")
		assert.equal("a done", run(0, "--needed"))
		assert.equal("a skipped", run(0, "--needed"))
		cli.write(t.dir .. "/.gitignore", "artifact\nhome\n\n")
		local result = t:run { "batch", "run", "b.ini", "--needed" }
		assert.matches("a is needed: the code is not known to be the same", result.err, 1, true)
	end)

	it("is refused while another one works on the same file", function()
		tree("[job a]\nstage = tiny\ndataset = a\nnew_exp = yes\n" .. waiting("go"))
		local wait = runs.start(t, { "batch", "run", "b.ini" })
		wait_for_file("go.up")
		local before = #t:json({ "exp", "list" }).experiments
		for _, more in ipairs { {}, { "--resume" } } do
			local result = t:run { "batch", "run", "b.ini", table.unpack(more) }
			assert.equal(4, result.status)
			assert.matches("a batch of this file is being worked on", result.err, 1, true)
		end
		assert.equal(before, #t:json({ "exp", "list" }).experiments)
		cli.write(t.dir .. "/go", "")
		assert.equal(0, wait())
	end)
end)

describe("a batch that is stopped", function()
	after_each(function()
		t:close()
	end)

	local TWO = "[defaults]\nstage = tiny\n[job a]\ndataset = a\n" .. waiting("go") .. "[job b]\ndataset = b\nafter = a\n"
		.. "command = " .. WELL .. "\n"

	it("by one interrupt ends what runs and begins nothing new", function()
		tree(TWO)
		local wait = runs.start(t, { "batch", "run", "b.ini" })
		wait_for_file("go.up")
		runs.kill("INT", batches.holder(t))
		cli.wait_for("the word", function()
			return (cli.read(t.dir .. "/err") or ""):find("nothing new begins", 1, true)
		end)
		cli.write(t.dir .. "/go", "")
		assert.equal(130, wait())
		assert.equal("a done, b waiting", states(status_of()))
		assert.equal("a done, b done", run(0, "--resume"))
		assert.equal(1, entries("tiny_a"))
	end)

	for _, signals in ipairs { { "INT", "INT" }, { "TERM" } } do
		it("by " .. table.concat(signals, ", ") .. " ends what runs", function()
			tree(TWO)
			local wait = runs.start(t, { "batch", "run", "b.ini" })
			wait_for_file("go.up")
			for i, signal in ipairs(signals) do
				runs.kill(signal, batches.holder(t))
				cli.wait_for("the word", function()
					return i == #signals or (cli.read(t.dir .. "/err") or ""):find("nothing new begins", 1, true)
				end)
			end
			assert.equal(130, wait())
			assert.equal("a waiting, b waiting", states(status_of()))
			cli.write(t.dir .. "/go", "")
			assert.equal("a done, b done", run(0, "--resume"))
			assert.equal(0, job_of(status_of(), "a").failures)
		end)
	end

	it("by 'cancel' is cancelled, and can be tried again", function()
		tree(TWO)
		local wait = runs.start(t, { "batch", "run", "b.ini" })
		wait_for_file("go.up")
		t:ok { "batch", "cancel" }
		assert.equal(1, wait())
		assert.equal("a cancelled, b cancelled", states(status_of()))
		assert.equal("cancelled", status_of().state)
		cli.write(t.dir .. "/go", "")
		assert.equal("a done, b done", states(t:json { "batch", "retry" }))
	end)

	it("by a kill goes on with the run that still goes on", function()
		tree(TWO)
		local wait = runs.start(t, { "batch", "run", "b.ini" })
		wait_for_file("go.up")
		runs.kill("KILL", batches.holder(t))
		wait()
		assert.equal("stopped", status_of().state)
		os.remove(t.dir .. "/status")
		wait = runs.start(t, { "batch", "run", "b.ini", "--resume" })
		cli.wait_for("the new one", function()
			return status_of().state == "running"
		end)
		cli.write(t.dir .. "/go", "")
		assert.equal(0, wait())
		assert.equal("a done, b done", states(status_of()))
		assert.same({ 1, 1 }, { entries("tiny_a"), entries("tiny_b") })
		assert.equal(1, #runs.journal(t, "tiny_a"))
	end)

	it("by a kill keeps the time that a job may take", function()
		tree("[job a]\nstage = tiny\ndataset = a\ntimeout = 3s\ncommand = sh -c 'echo up >go.up; sleep 60'\n")
		local wait = runs.start(t, { "batch", "run", "b.ini" })
		wait_for_file("go.up")
		runs.kill("KILL", batches.holder(t))
		wait()
		assert.equal("a failed", run(1, "--resume"))
		assert.equal("it took longer than its timeout", job_of(status_of(), "a").why)
		assert.same({ 1, "interrupted" }, { #runs.journal(t, "tiny_a"), runs.journal(t, "tiny_a")[1].state })
	end)

	it("by a kill is cancelled by whoever is asked, with what still runs", function()
		tree(TWO)
		local wait = runs.start(t, { "batch", "run", "b.ini" })
		wait_for_file("go.up")
		runs.kill("KILL", batches.holder(t))
		wait()
		t:ok { "batch", "cancel", "b.ini" }
		assert.equal("a cancelled, b cancelled", states(status_of()))
		assert.equal("interrupted", runs.journal(t, "tiny_a")[1].state)
	end)

	it("with everything else by a kill runs again what was interrupted", function()
		tree(TWO)
		local wait = runs.start(t, { "batch", "run", "b.ini" })
		wait_for_file("go.up")
		local run_pid = runs.wait_for_state(t, "running", "tiny_a").pid
		local child = runs.journal(t, "tiny_a")[1].child_pid
		for _, pid in ipairs { batches.holder(t), run_pid, child } do
			runs.kill("KILL", pid)
		end
		wait()
		cli.write(t.dir .. "/go", "")
		assert.equal("a done, b done", run(0, "--resume"))
		assert.same({ 2, 0 }, { job_of(status_of(), "a").attempts, job_of(status_of(), "a").failures })
		assert.same({ "interrupted", "recorded" }, { runs.journal(t, "tiny_a")[1].state, runs.journal(t, "tiny_a")[2].state })
		assert.equal(1, entries("tiny_a"))
	end)

	it("records what had ended well when everything was killed", function()
		tree(TWO)
		cli.write(t.dir .. "/go", "")
		assert.equal("a done, b done", run(0))
		-- As if the batch had been killed when a's training had ended, before it was recorded.
		local name = job_of(status_of(), "a").run_id
		local path = t.root .. "/exp_1/tiny_a/.thhost/runs/" .. name .. ".json"
		local text = cli.read(path):gsub('"state": "recorded"', '"state": "running"'):gsub('"pid": %d+', '"pid": 0')
			:gsub('"child_pid": %d+', '"child_pid": 0'):gsub('"entry": %b{}', '"entry": null')
		cli.write(path, text)
		cli.shell(("rm -f %s/exp_1/tiny_a/training_info.json %s/exp_1/tiny_a/.training_info.json.bak"):format(t.root, t.root))
		local journal = cli.shell(("ls %s/.thhost/batches/*/journal.jsonl"):format(t.root))
		local lines = {}
		for line in io.lines(journal) do
			local change = cjson.decode(line)
			if not (change.job == "a" and change.state == "done") then
				lines[#lines + 1] = line
			end
		end
		cli.write(journal, table.concat(lines, "\n") .. '\n{"time":"cut of')
		assert.equal("a done, b done", run(0, "--resume"))
		assert.same({ 1, 1 }, { entries("tiny_a"), #runs.journal(t, "tiny_a") })
	end)

	it("never judges by its pid what another host runs", function()
		tree(TWO)
		cli.write(t.dir .. "/go", "")
		assert.equal("a done, b done", run(0))
		-- As if another host had been running a when everybody on it fell silent.
		local path = t.root .. "/exp_1/tiny_a/.thhost/runs/" .. job_of(status_of(), "a").run_id .. ".json"
		local ended = assert(cli.read(path))
		local host = ended:match('"host": "([^"]*)"')
		local running = ended:gsub('"state": "recorded"', '"state": "running"'):gsub('"host": "[^"]*"', '"host": "elsewhere"')
			:gsub('"pid": %d+', '"pid": 1')
		cli.write(path, running)
		local journal = cli.shell(("ls %s/.thhost/batches/*/journal.jsonl"):format(t.root))
		local first = assert(cli.read(journal)):match('[^\n]*"job"[^\n]*\n')
		cli.write(journal, (first:gsub('"host":"[^"]*"', '"host":"elsewhere"')))
		os.remove(t.dir .. "/go.up")
		local wait = runs.start(t, { "batch", "run", "b.ini", "--resume" })
		cli.wait_for("the other host's run to be waited for", function()
			return (cli.read(t.dir .. "/err") or ""):find("a running", 1, true)
		end)
		assert.equal("a running, b waiting", states(status_of()))
		assert.equal(running, cli.read(path))
		cli.write(path, (ended:gsub('"host": "' .. host, '"host": "elsewhere')))
		assert.equal(0, wait())
		assert.equal("a done, b done", states(status_of()))
		assert.is_false(exists("go.up"))
	end)

	for call, places in pairs { fsync = { 4, 8, 12 }, fdatasync = { 1, 2, 3, 4 }, vfork = { 2, 3, 4, 6 },
		write = { 3, 9 } } do
		it("does each job once, killed at any " .. call .. "()", function()
			tree()
			if not batches.can_trace() then
				return
			end
			t:close()
			local text = "[defaults]\nstage = tiny\ncommand = " .. WELL .. "\n[job a]\ndataset = a\n"
				.. "[job r]\ndataset = r\nsteps = 3\n[job b]\ndataset = b\ninit_from = a\nafter = r\n"
			for i, when in ipairs(places) do
				tree(text)
				local killed = t:run({ "batch", "run", "b.ini" }, { prefix = ("strace -qq -o /dev/null -e trace=%s "
					.. "-e inject=%s:signal=KILL:when=%d"):format(call, call, when) })
				assert.equal(137, killed.status)
				local resumed = t:run { "batch", "run", "b.ini", "--resume" }
				if resumed.status == 3 then -- killed before there was a batch
					assert.equal(0, t:run({ "batch", "run", "b.ini" }).status)
				else
					assert(resumed.status == 0, ("killed at %d: status %s\n%s%s"):format(when, resumed.status, resumed.out,
						resumed.err))
				end
				assert.same({ 1, 2, 1 }, { entries("tiny_a"), entries("tiny_b"), entries("tiny_r") })
				t:ok { "verify" }
				if i < #places then
					t:close()
				end
			end
		end)
	end
end)
