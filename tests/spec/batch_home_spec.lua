--- The home pipeline's whole programme from one file: the same history and lineage however it is run.
local batches = require "support.batches"
local cjson = require "cjson"
local cli = require "support.cli"
local runs = require "support.runs"
local slurm = require "support.slurm"
local tree = require "support.tree"

local HOME = cli.shell("pwd") .. "/tests/example/home.ini"

local trees = {}
local cluster -- a Slurm, where there can be one

local function fresh()
	local t = tree.bare()
	trees[#trees + 1] = t
	return t
end

local NAMES = { "stage1_hrds", "stage1_hrdh", "features_hrds", "features_hrdh", "parent_finder_hrds",
	"parent_finder_hrdh", "relation_classifier_hrds", "relation_classifier_hrdh" }

--- What a training is, without what differs from one time to the next.
local function essence(entry)
	local parents = {}
	for i, parent in ipairs(entry.parents or {}) do
		parents[i] = ("%s %s %s"):format(parent.relation, parent.ref:gsub("^.*/", ""), parent.checkpoint or "")
	end
	table.sort(parents)
	return { dataset = entry.dataset, steps = entry.steps, epochs = entry.epochs, metrics = entry.metrics,
		inherited = entry.inherited_from and entry.inherited_from:gsub("^.*/", ""), parents = parents }
end

--- All records of the only experiment, by directory.
local function history(t)
	local exps = t:json({ "exp", "list" }).experiments
	assert.equal(1, #exps)
	local found = {}
	for _, name in ipairs(NAMES) do
		local info = cjson.decode((assert(t:read(exps[1].name .. "/" .. name .. "/training_info.json"), name)))
		local list = { total = info.total_steps,
			base = (info.base_model:gsub("^exp_%d+_%d+", "EXP")), last = info.last_dataset }
		for i, entry in ipairs(info.training_history) do
			list[i] = essence(entry)
		end
		found[name] = list
	end
	t:ok { "verify" }
	return found
end

--- All that the batch of a tree says that is left, once Slurm has `n` of its jobs done.
local function wait_for_done(t, n, env)
	return cli.wait_for(n .. " jobs to be recorded", function()
		local recorded = cli.shell(("grep -l '\"state\": \"recorded\"' %s/*/*/.thhost/runs/*.json 2>/dev/null | wc -l; true")
			:format(t.root))
		return tonumber(recorded) >= n and (t:json({ "batch", "status", "home" }, 0, env))
	end, 60)
end

local function edges(t)
	local text = t:ok({ "lineage" }).out:gsub("exp_%d+_%d+", "EXP")
	return text
end

describe("tests/example/home.ini", function()
	teardown(function()
		if cluster then
			cluster:stop()
		end
		for _, t in ipairs(trees) do
			t:close()
		end
	end)

	it("gives the same history and lineage when it is killed in the middle and resumed", function()
		local whole = fresh()
		assert.equal(8, whole:json({ "batch", "run", HOME, "-j", "2" }).count.done)
		local want = history(whole)
		assert.equal(2, #want.stage1_hrdh)
		assert.equal("stage1_hrds", want.stage1_hrdh[1].inherited)

		local killed = fresh()
		for _, is_all in ipairs { true, false } do
			os.remove(killed.dir .. "/status")
			local wait = runs.start(killed, { "batch", "run", HOME, "-j", "2", is_all and "-k" or "--resume" })
			local status = cli.wait_for("the middle", function()
				local ok, now = pcall(killed.json, killed, { "batch", "status", "home" })
				return ok and now.count.done >= (is_all and 1 or 4) and now.count.running > 0 and now
			end)
			assert(status.count.done < 8)
			local pid = batches.holder(killed)
			local pids = ("%d"):format(pid)
			if is_all then -- with all that it has started
				pids = pids .. " " .. cli.shell(("cat /proc/%d/task/*/children"):format(pid))
				pids = pids .. " " .. cli.shell(("for p in %s; do cat /proc/$p/task/*/children; done 2>/dev/null; true")
					:format(pids))
			end
			cli.shell("kill -KILL " .. pids .. " 2>/dev/null; true")
			wait()
		end
		local done = killed:json { "batch", "run", HOME, "-j", "2", "--resume" }
		assert.equal(8, done.count.done)
		assert.same(want, history(killed))
		assert.equal(edges(whole), edges(killed))
	end)

	it("gives the same on Slurm, with nobody there, killed in the middle and resumed", function()
		cluster = slurm.start()
		if not cluster then
			return
		end
		local env = { env = { SLURM_CONF = cluster.conf } }
		local whole = fresh()
		assert.equal(8, whole:json({ "batch", "run", HOME, "-j", "2" }).count.done)
		local killed = fresh()
		local wait = runs.start(killed, { "batch", "run", HOME, "--executor", "slurm" }, env.env)
		wait_for_done(killed, 1, env)
		runs.kill("KILL", batches.holder(killed))
		wait()
		local status = wait_for_done(killed, 8, env)
		assert(status.count.done < 8, "nobody has noted what Slurm did alone")
		local done = killed:json({ "batch", "run", HOME, "--resume" }, 0, env)
		assert.equal(8, done.count.done)
		for _, job in ipairs(done.jobs) do
			assert.same({ 1, "slurm" }, { job.attempts, job.executor_id:match("^slurm") })
		end
		assert.same(history(whole), history(killed))
		assert.equal(edges(whole), edges(killed))
	end)

	it("waits for nothing but what is needed", function()
		local t = fresh()
		local jobs = t:json({ "batch", "run", HOME, "--dry-run" }).jobs
		local needs = {}
		for _, job in ipairs(jobs) do
			needs[job.job] = batches.needs(job)
		end
		assert.same({
			["stage1-hrds"] = "", ["stage1-hrdh"] = "stage1-hrds (init_from = hrds)",
			["features-hrds"] = "stage1-hrds (stage2 requires stage1)",
			["features-hrdh"] = "stage1-hrdh (stage2 requires stage1)",
			["parents-hrds"] = "features-hrds (stage3 requires stage2)",
			["parents-hrdh"] = "features-hrdh (stage3 requires stage2)",
			["relations-hrds"] = "features-hrds (stage4 requires stage2)",
			["relations-hrdh"] = "features-hrdh (stage4 requires stage2)",
		}, needs)
	end)
end)
