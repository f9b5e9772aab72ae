--- What a model cost with all that it came from: what 'lineage' shows, wherever that lies now.
local cjson = require "cjson"
local cli = require "support.cli"
local tree = require "support.tree"

local t

local function fresh()
	t = tree.new()
end

local function done()
	t:close()
end

--- With a cache of its own, so that the index that 'total' makes is used.
local function options(cwd)
	return { env = { XDG_CACHE_HOME = t.dir .. "/cache" }, cwd = cwd }
end

local function record(dataset, ...)
	return t:record(dataset, "--base-model", "base", "--capture", ...)
end

local function continue(dataset, parent, ...)
	return t:ok { "record", "stage1", "-d", dataset, "--init-from", parent, "--steps", "5", "--capture", ... }
end

--- a (10 steps), b on from it (5), and a stage3 from b (100).
local function chain()
	record "a"
	continue("b", "a")
	t:ok { "record", "stage3", "-d", "x", "--steps", "100", "--capture", "--base-model",
		"artifact/exp_1/stage1_b/checkpoint-5" }
end

local function move(from, to)
	from, to = t.root .. "/" .. from, t.root .. "/" .. to
	cli.shell(("mkdir -p \"$(dirname '%s')\" && mv '%s' '%s'"):format(to, from, to))
end

--- A record of another program: one training of 5 steps without a run id.
local function plant(ref, fields)
	local info = { model_name = "m", stage = "stage1", final_checkpoint = "", base_model = "b",
		created_at = "2025-01-01T00:00:00", last_updated = "2025-01-01T01:00:00", total_steps = 5,
		last_dataset = "d", training_history = { { dataset = "d", steps = 5, metrics = { f1 = 0.5 },
			start_time = "2025-01-01T00:00:00", end_time = "2025-01-01T01:00:00" } } }
	for key, value in pairs(fields or {}) do
		info[key] = value
	end
	t:write(ref .. "/training_info.json", cjson.encode(info))
end

--- Change a record as another program may have.
local function rewrite(ref, change)
	local info = cjson.decode((assert(t:read(ref .. "/training_info.json"))))
	change(info)
	t:write(ref .. "/training_info.json", cjson.encode(info))
end

--- The same by the answer of 'lineage --up' and the records that it names. Only with run ids.
local function by_lineage(ref, more, cwd)
	local answer = t:json({ "lineage", ref, "--up", table.unpack(more) }, 0, options(cwd))
	local seen, origins, entries, steps, gone = {}, {}, 0, 0, 0
	for _, node in ipairs(answer.nodes) do
		local text = node.kind == "model" and assert(cli.read(node.path .. "/training_info.json"))
		for _, entry in ipairs(text and cjson.decode(text).training_history or {}) do
			assert(entry.run_id, "no run id")
			origins[entry.inherited_from or ""] = true
			entries = entries + (seen[entry.run_id] and 0 or 1)
			steps = steps + (seen[entry.run_id] and 0 or entry.steps)
			seen[entry.run_id] = true
		end
	end
	for _, node in ipairs(answer.nodes) do
		gone = gone + (node.kind == "missing" and not origins[node.ref] and 1 or 0)
	end
	return ("%d entries, %d steps, %d gone"):format(entries, steps, gone)
end

--- Entries, steps and ancestors that are gone: from the files, and by an index.
local function total_at(cwd, ref, ...)
	local found
	t:ok({ "index", "sync", ... }, options(cwd))
	for _, how in ipairs { "--no-index", "--quiet" } do
		local models = t:json({ "compare", ref, ref, how, ... }, 0, options(cwd)).models
		local all = models[1].with_ancestors
		assert.same(all, models[2].with_ancestors)
		local said = ("%d entries, %d steps, %d gone"):format(all.entries, all.steps, all.ancestors_gone)
		assert.are.equal(found or said, said, how)
		found = said
	end
	return found
end

--- The same where every entry has a run id, so that lineage can be asked, too.
local function total(ref, ...)
	local found = total_at(nil, ref, ...)
	assert.are.equal(by_lineage(ref, { ... }), found)
	return found
end

local ALL = "3 entries, 115 steps, 0 gone"

describe("what a model cost with ancestors that were moved", function()
	before_each(fresh)
	after_each(done)

	it("counts one in the middle that has another name now, and what that came from", function()
		chain()
		assert.are.equal(ALL, total "parent_finder_x")
		move("exp_1/stage1_b", "exp_1/stage1_renamed")
		assert.are.equal(ALL, total "parent_finder_x")
		move("exp_1/stage1_a", "exp_2/stage1_first")
		assert.are.equal(ALL, total "parent_finder_x")
		assert.are.equal("2 entries, 15 steps, 0 gone", total "stage1_renamed")
	end)

	it("counts them in an experiment that was renamed, and in a tree that is elsewhere", function()
		chain()
		move("exp_1", "exp_other")
		assert.are.equal(ALL, total "exp_other/parent_finder_x")
		cli.shell(("mkdir '%s/far' && mv '%s' '%s/far/away'"):format(t.dir, t.root, t.dir))
		assert.are.equal(ALL, total("exp_other/parent_finder_x", "--root", t.dir .. "/far/away"))
	end)

	it("counts one that lies below another root now, if that is asked for", function()
		chain()
		move("exp_1/stage1_b", "../other/exp_9/stage1_b")
		assert.are.equal("1 entries, 100 steps, 1 gone", total "parent_finder_x")
		assert.are.equal(ALL, total("exp_1/parent_finder_x", "--root", "artifact", "--root", "other"))
	end)

	it("is not taken in by another model of the old name", function()
		chain()
		move("exp_1/stage1_b", "exp_1/stage1_older")
		continue("b", "a", "--steps", "7000")
		assert.are.equal(ALL, total "parent_finder_x")
		move("exp_1/stage1_a", "exp_1/stage1_oldest")
		record("a", "--steps", "900")
		assert.are.equal(ALL, total "parent_finder_x")
		assert.are.equal("2 entries, 15 steps, 0 gone", total "stage1_older")
	end)

	it("follows two that have changed their names with each other", function()
		record "a"
		record("b", "--steps", "20")
		continue("x", "a")
		continue("y", "b")
		move("exp_1/stage1_a", "exp_1/between")
		move("exp_1/stage1_b", "exp_1/stage1_a")
		move("exp_1/between", "exp_1/stage1_b")
		assert.are.equal("2 entries, 15 steps, 0 gone", total "stage1_x")
		assert.are.equal("2 entries, 25 steps, 0 gone", total "stage1_y")
	end)

	it("tells one that was deleted, or that may be one of two, as gone", function()
		chain()
		move("exp_1/stage1_b", "exp_2/stage1_b")
		cli.shell(("cp -r '%s/exp_2' '%s/exp_3'"):format(t.root, t.root))
		assert.are.equal("1 entries, 100 steps, 1 gone", total "exp_1/parent_finder_x")
		cli.shell(("rm -r '%s/exp_2' '%s/exp_3'"):format(t.root, t.root))
		assert.are.equal("1 entries, 100 steps, 1 gone", total "exp_1/parent_finder_x")
	end)

	it("takes the nearest of two copies", function()
		chain()
		move("exp_1/stage1_b", "exp_2/stage1_b")
		cli.shell(("cp -r '%s/exp_2/stage1_b' '%s/exp_1/stage1_copy'"):format(t.root, t.root))
		assert.are.equal(ALL, total "exp_1/parent_finder_x")
	end)

	it("counts what one that is gone came from, as far as others have inherited that", function()
		chain()
		continue("heir", "b")
		cli.shell(("rm -r '%s/exp_1/stage1_b'"):format(t.root))
		assert.are.equal("2 entries, 110 steps, 1 gone", total "parent_finder_x")
		assert.are.equal("3 entries, 20 steps, 0 gone", total "stage1_heir")
	end)

	it("counts a model that only a checkpoint's content leads to", function()
		t:write("exp_1/stage1_a/best.pt", "weights")
		record("a", "--final-checkpoint", "best.pt")
		t:ok { "record", "stage3", "-d", "x", "--steps", "100", "--capture", "--base-model",
			"artifact/exp_1/stage1_a/best.pt" }
		rewrite("exp_1/parent_finder_x", function(info)
			local parent = info.training_history[1].parents[1]
			assert(parent.sha256)
			parent.run_id, parent.path = nil, nil
		end)
		move("exp_1/stage1_a", "exp_4/stage1_c")
		assert.are.equal("2 entries, 110 steps, 0 gone", total "exp_1/parent_finder_x")
	end)

	it("ends where models come from each other, one of them renamed", function()
		chain()
		rewrite("exp_1/stage1_a", function(info)
			local x = t:info("parent_finder_x").training_history[1].run_id
			info.training_history[1].parents = { { ref = "exp_1/parent_finder_x", relation = "starts_from",
				how = "declared", run_id = x } }
		end)
		for _, to in ipairs { "exp_1/stage1_renamed", "exp_2/stage1_a" } do
			assert.are.equal(ALL, total "exp_1/parent_finder_x")
			move(to == "exp_2/stage1_a" and "exp_1/stage1_a" or "exp_1/stage1_b", to)
		end
		assert.are.equal(ALL, total "exp_1/parent_finder_x")
	end)

	it("is the same whichever side comes first, and beside one that brings a root", function()
		chain()
		move("exp_1/stage1_a", "exp_1/stage1_renamed")
		cli.shell(("mkdir -p '%s/other/exp_1'"):format(t.dir))
		t:ok { "record", "stage1", "-d", "o", "--root", "other", "--exp", "exp_1", "--steps", "1" }
		local function steps(...)
			local found = {}
			for _, model in ipairs(t:json({ "compare", "--root", "other", ... }).models) do
				found[model.ref:match("[^/]*$")] = model.with_ancestors.steps
			end
			return found
		end
		local want = { stage1_o = 1, parent_finder_x = 115 }
		assert.same(want, steps("stage1_o", "artifact/exp_1/parent_finder_x"))
		assert.same(want, steps("artifact/exp_1/parent_finder_x", "stage1_o"))
	end)
end)

describe("what a model cost by records without run ids", function()
	before_each(fresh)
	after_each(done)

	it("counts once what was inherited from one that was renamed, or renamed and replaced", function()
		plant "exp_1/stage1_old"
		t:ok { "record", "stage1", "-d", "new", "--steps", "2", "--init-from", "stage1_old" }
		assert.are.equal("2 entries, 7 steps, 0 gone", total_at(nil, "stage1_new"))
		move("exp_1/stage1_old", "exp_1/stage1_older")
		assert.are.equal("2 entries, 7 steps, 0 gone", total_at(nil, "stage1_new"))
		plant("exp_1/stage1_old", { training_history = { { dataset = "d", steps = 5, metrics = { f1 = 0.9 } } } })
		assert.are.equal("2 entries, 7 steps, 0 gone", total_at(nil, "stage1_new"))
	end)

	it("keeps equal trainings of a model and of its parent apart", function()
		plant "exp_1/stage1_a"
		plant("exp_1/stage1_b", { parents = { { ref = "exp_1/stage1_a", relation = "starts_from" } } })
		assert.are.equal("2 entries, 10 steps, 0 gone", total_at(nil, "stage1_b"))
	end)

	it("counts one that only an absolute path leads to, from where the tree was", function()
		plant("exp_1/stage1_b", { base_model = "/old/disk/exp_1/stage1_a/checkpoint-5" })
		assert.are.equal("1 entries, 5 steps, 0 gone", total_at(nil, "stage1_b"))
		plant "exp_1/stage1_a"
		assert.are.equal("2 entries, 10 steps, 0 gone", total_at(nil, "stage1_b"))
	end)

	it("counts the base model of a single training, and tells a path below the root that is gone", function()
		plant "exp_1/stage1_a"
		plant("exp_1/stage1_b", { training_history = { { dataset = "d", steps = 1, metrics = {},
			base_model = "artifact/exp_1/stage1_a/checkpoint-1" } } })
		assert.are.equal("2 entries, 6 steps, 0 gone", total_at(nil, "stage1_b"))
		plant("exp_1/stage1_c", { base_model = t.root .. "/exp_1/stage1_gone/checkpoint-1" })
		assert.are.equal("1 entries, 5 steps, 1 gone", total_at(nil, "stage1_c"))
	end)

	it("does not take the directory that one stands in for a base model", function()
		plant "exp_1/stage1_a"
		plant("exp_1/stage1_b", { base_model = "microsoft/layoutxlm-base" })
		local stage = t.root .. "/exp_1/stage1_a"
		assert.are.equal("1 entries, 5 steps, 0 gone", total_at(stage, "stage1_b", "--root", t.root))
		-- Nor where another side has all records asked.
		plant("exp_1/stage1_c", { parents = { { ref = "exp_1/nowhere" } } })
		local models = t:json({ "compare", "--root", t.root, "stage1_c", "stage1_b" }, 0, options(stage)).models
		assert.same({ 1, 0 }, { models[1].with_ancestors.ancestors_gone,
			models[2].with_ancestors.ancestors_gone })
		assert.are.equal(5, models[2].with_ancestors.steps)
	end)
end)

describe("what the cost of a model asks for", function()
	before_each(fresh)
	after_each(done)

	it("is the records of ancestors alone, as long as each is where its record says", function()
		-- Enough for an index, which comes about where all of them are gone over.
		for i = 1, 70 do
			plant("exp_2/stage1_" .. i)
		end
		chain()
		t:ok({ "compare", "parent_finder_x", "stage1_b" }, options())
		assert.are.equal("", cli.shell(("find '%s' -path '*/cache/*' -type f"):format(t.dir)))
		move("exp_1/stage1_b", "exp_1/stage1_renamed")
		t:ok({ "compare", "parent_finder_x", "stage1_renamed" }, options())
		assert.matches("%.sqlite", cli.shell(("find '%s' -path '*/cache/*' -type f"):format(t.dir)))
		assert.are.equal(ALL, total "parent_finder_x")
	end)
end)
