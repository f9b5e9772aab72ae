--- lineage: what came from what, in every form, wherever it has been moved.
local cjson = require "cjson"
local cli = require "support.cli"
local graph = require "support.graph"
local tree = require "support.tree"

local t

local function fresh()
	t = tree.new()
end

local function done()
	t:close()
end

--- A record with what 'fields' give; nobody wrote it with thhost.
local function plant(ref, fields)
	fields = fields or {}
	local record = {
		model_name = "m", stage = "stage1", final_checkpoint = "", base_model = "base",
		created_at = "2025-01-01T00:00:00", last_updated = "2025-01-01T01:00:00", total_steps = 5,
		last_dataset = "d",
		training_history = fields.training_history or { { dataset = "d", steps = 5, metrics = { f1 = 0.5 },
			start_time = "2025-01-01T00:00:00", end_time = "2025-01-01T01:00:00" } },
	}
	for key, value in pairs(fields) do
		record[key] = value
	end
	t:write(ref .. "/training_info.json", cjson.encode(record))
end

--- The same with parents, the first of which it starts from.
local function with_parents(ref, ...)
	local parents = {}
	for i, parent in ipairs { ... } do
		parents[i] = type(parent) == "table" and parent or
			{ ref = parent, relation = i == 1 and "starts_from" or "continues", how = "declared" }
	end
	plant(ref, { parents = parents })
end

--- base > hrds > hrdh > 业务; the first has its checkpoint on the disk.
local function chain()
	t:record("hrds", "-m", "f1=0.85", "--base-model", "microsoft/layoutxlm-base",
		"--final-checkpoint", "checkpoint-10")
	cli.shell("mkdir " .. t.root .. "/exp_1/stage1_hrds/checkpoint-10")
	t:ok { "record", "stage1", "-d", "hrdh", "--init-from", "hrds", "--steps", "5", "-m", "f1=0.82" }
	t:ok { "record", "stage1", "-d", "业务", "--init-from", "hrdh", "--steps", "5", "-m", "f1=0.8" }
end

--- A stage that works from the first one, with all that a run records.
local function captured(...)
	return t:ok { "record", "stage3", "-d", "hrds", "--steps", "1", "--capture",
		"--base-model", "artifact/exp_1/stage1_hrds/checkpoint-10", ... }
end

--- The only problem of that kind, or nil.
local function problem(answer, kind)
	local found
	for _, one in ipairs(answer.problems) do
		if one.kind == kind then
			assert(not found, "two of " .. kind)
			found = one
		end
	end
	return found
end

local function move(from, to)
	cli.shell(("cd '%s' && mv '%s' '%s'"):format(t.root, from, to))
end

describe("lineage", function()
	before_each(fresh)
	after_each(done)

	it("is a tree from the pretrained model, aligned by what is seen", function()
		chain()
		assert.are.equal([[
microsoft/layoutxlm-base                      pretrained
└─ exp_1/stage1_hrds                          checkpoint-10  f1 0.850
   └─ exp_1/stage1_hrdh                       f1 0.820  <-
      └─ exp_1/stage1_业务                    f1 0.800
]], t:ok({ "lineage", "stage1_hrdh" }).out)
	end)

	it("has no model that comes from itself", function()
		t:record("hrds", "--base-model", "exp_1/stage1_hrds/checkpoint-10")
		assert.same({}, t:json({ "lineage" }).edges)
	end)

	it("gives nodes and edges as JSON", function()
		chain()
		local answer = t:json({ "lineage" })
		assert.are.equal("thhost.lineage/1", answer.schema)
		assert.are.equal(4, #answer.nodes)
		assert.are.equal(3, #answer.edges)
		assert.same({}, answer.problems)
		for _, edge in ipairs(answer.edges) do
			assert.are.equal(edge.from == "microsoft/layoutxlm-base" and "starts_from" or "continues",
				edge.relation)
		end
		local node = graph.nodes(answer)["exp_1/stage1_hrds"]
		assert.same({ name = "checkpoint-10", is_there = true }, node.checkpoint)
		assert.same({ name = "f1", value = 0.85 }, node.metric)
		assert.same({ "model", "stage1", "hrds", 10, 1, t.root, false },
			{ node.kind, node.stage, node.last_dataset, node.total_steps, node.trainings, node.root,
				node.is_asked })
	end)

	it("shows the line of one model, without strangers of the same pretrained model", function()
		chain()
		t:record("other", "--base-model", "microsoft/layoutxlm-base")
		assert.is_nil(t:ok({ "lineage", "stage1_hrdh" }).out:find("stage1_other"))
		assert.matches("stage1_other", t:ok({ "lineage", "microsoft/layoutxlm-base" }).out)
		assert.matches("stage1_other", t:ok({ "lineage" }).out)
	end)

	it("connects what was captured with what it was made from", function()
		chain()
		captured()
		local edge = graph.edges(t:json { "lineage", "parent_finder_hrds" })
			["exp_1/stage1_hrds > exp_1/parent_finder_hrds"]
		assert.are.equal("checkpoint-10", edge.checkpoint)
		assert.are.equal("declared", edge.how)
		assert.is_true(edge.checkpoint_is_there)
	end)

	it("goes up to the pretrained model where only features were used", function()
		t:record("hrds", "--base-model", "b1")
		plant("exp_1/other_x", { base_model = "b2",
			parents = { { ref = "exp_1/stage1_hrds", relation = "uses", how = "inferred" } } })
		assert.same({ "b1 > exp_1/stage1_hrds", "b2 > exp_1/other_x",
			"exp_1/stage1_hrds > exp_1/other_x" }, graph.pairs(t:json { "lineage", "other_x" }))
	end)

	it("takes several models, and marks each", function()
		chain()
		t:record("other", "--base-model", "elsewhere")
		local page = t:ok({ "lineage", "stage1_hrds", "stage1_other" }).out
		assert.matches("stage1_hrds [^\n]*<%-\n", page)
		assert.matches("stage1_other [^\n]*<%-\n", page)
	end)

	it("keeps to ancestors or descendants, and to a number of steps", function()
		chain()
		t:ok { "record", "stage1", "-d", "side", "--init-from", "hrds", "--steps", "5" }
		local function names(...)
			return graph.names(t:json { "lineage", "stage1_hrdh", ... })
		end
		local base, hrds, hrdh, last, side = "microsoft/layoutxlm-base", "exp_1/stage1_hrds",
			"exp_1/stage1_hrdh", "exp_1/stage1_业务", "exp_1/stage1_side"
		assert.same({ hrdh, hrds, side, last, base }, names())
		assert.same({ hrdh, hrds, base }, names("--up"))
		assert.same({ hrdh, last }, names("--down"))
		assert.same({ hrdh, hrds, last, base }, names("--up", "--down"))
		assert.same({ hrdh, hrds, last }, names("--depth", "1"))
		assert.same({ hrdh, hrds, side, last, base }, names("--depth", "2"))
		assert.same({ hrdh, hrds }, names("--up", "--depth", "1"))
		assert.same({ hrdh }, names("--depth", "0"))
		assert.same({ hrds, base }, graph.names(t:json { "lineage", "--depth", "1" }))
	end)

	it("refuses what does not go together", function()
		for _, case in ipairs {
			{ "'--dot' and '--html' do not go together", "lineage", "--html", "--dot" },
			{ "'--json' and '--dot' do not go together", "lineage", "--json", "--dot" },
			{ "is a table or JSON", "lineage", "diff", "a", "b", "--dot" },
		} do
			local result = t:run { table.unpack(case, 2) }
			assert.are.equal(2, result.status)
			assert.is_truthy(result.err:find(case[1], 1, true), result.err)
		end
		t:refused(2, "'--up' needs a REF", { "lineage", "--up" })
		t:refused(2, "--depth", { "lineage", "--depth", "x" })
		t:refused(2, "'lineage diff' takes two models", { "lineage", "diff", "a" })
	end)

	it("says so where there is no such model", function()
		chain()
		t:refused(3, "stage1_none", { "lineage", "stage1_none" })
		t:refused(3, "stage1_hrds/checkpoint-7", { "lineage", "stage1_hrds/checkpoint-7" })
	end)

	it("keeps a relative whose other parent is a stranger in the tree", function()
		plant("exp_1/stage1_a")
		with_parents("exp_1/stage1_x", "exp_1/stage1_a", "exp_1/stage1_stranger")
		with_parents("exp_1/stage1_y", "exp_1/stage1_a")
		local result = t:ok { "lineage", "stage1_y" }
		assert.are.equal("", result.err)
		assert.matches("─ exp_1/stage1_x", result.out)
	end)

	it("begins at the left again where the tree is deep, with every model once", function()
		with_parents("exp_1/stage1_0")
		for i = 1, 250 do
			with_parents("exp_1/stage1_" .. i, "exp_1/stage1_" .. i - 1)
		end
		local page = t:ok({ "lineage" }).out
		assert.matches("stage1_15 [^\n]*%(goes on below%)\n\nexp_1/stage1_15  %(from above%)\n└─ exp_1/stage1_16 ",
			page)
		local seen = 0
		for line in page:gmatch("[^\n]+") do
			assert.is_true(#line < 300, line)
			seen = seen + (line:find("from above", 1, true) and 0 or 1)
		end
		assert.are.equal(252, seen)
		assert.are.equal(252, #t:json({ "lineage" }).nodes)
	end)
end)

describe("lineage of checkpoints and datasets", function()
	before_each(fresh)
	after_each(done)

	it("puts a checkpoint between its model and what began from it", function()
		chain()
		captured()
		cli.shell("mkdir " .. t.root .. "/exp_1/stage1_hrds/checkpoint-5")
		with_parents("exp_1/stage1_early", { ref = "exp_1/stage1_hrds", checkpoint = "checkpoint-5/model.bin",
			relation = "starts_from", how = "inferred" })
		assert.are.equal([[
microsoft/layoutxlm-base                      pretrained
└─ exp_1/stage1_hrds                          checkpoint-10  f1 0.850
   └╌ exp_1/stage1_hrds/checkpoint-5          checkpoint  (inferred)  <-
      └╌ exp_1/stage1_early                   f1 0.500  (inferred)
]], t:ok({ "lineage", "stage1_hrds/checkpoint-5", "--up", "--down" }).out)
		for _, name in ipairs { "exp_1/stage1_hrds/checkpoint-10", "stage1_hrds/checkpoint-10",
			"artifact/exp_1/stage1_hrds/checkpoint-10", t.root .. "/exp_1/stage1_hrds/checkpoint-10",
			"/another/place/artifact/exp_1/stage1_hrds/checkpoint-10" } do
			local answer = t:json { "lineage", name, "--down" }
			assert.same({ "exp_1/stage1_hrdh > exp_1/stage1_业务",
				"exp_1/stage1_hrds/checkpoint-10 > exp_1/parent_finder_hrds",
				"exp_1/stage1_hrds/checkpoint-10 > exp_1/stage1_hrdh" }, graph.pairs(answer), name)
			assert.are.equal("checkpoint", graph.nodes(answer)["exp_1/stage1_hrds/checkpoint-10"].kind)
		end
	end)

	it("shows datasets when they are asked for, with their digests", function()
		plant("exp_1/stage1_a", { training_history = {
			{ dataset = "hrds", steps = 3, metrics = {}, dataset_digest = "sha256:aa" },
			{ dataset = "hrds", steps = 4, metrics = {}, dataset_digest = "sha256:aa" },
			{ dataset = "guessed", steps = 5, metrics = {}, evidence = { dataset = "inferred" } } } })
		plant("exp_1/stage1_b", { training_history = {
			{ dataset = "hrds", steps = 6, metrics = {}, dataset_digest = { rows = 7 } } } })
		assert.is_nil(t:ok({ "lineage" }).out:find("dataset:", 1, true))
		local answer = t:json { "lineage", "--datasets" }
		assert.same({ "base > exp_1/stage1_a", "base > exp_1/stage1_b", "dataset:guessed > exp_1/stage1_a",
			"dataset:hrds > exp_1/stage1_a", "dataset:hrds > exp_1/stage1_b" }, graph.pairs(answer))
		assert.same({ "sha256:aa", '{"rows":7}' }, graph.nodes(answer)["dataset:hrds"].digests)
		local edges = graph.edges(answer)
		assert.same({ "trained_on", "declared", 7 }, { edges["dataset:hrds > exp_1/stage1_a"].relation,
			edges["dataset:hrds > exp_1/stage1_a"].how, edges["dataset:hrds > exp_1/stage1_a"].steps })
		assert.are.equal("inferred", edges["dataset:guessed > exp_1/stage1_a"].how)
		for _, name in ipairs { "hrds", "dataset:hrds" } do
			assert.same({ "dataset:hrds > exp_1/stage1_a", "dataset:hrds > exp_1/stage1_b" },
				graph.pairs(t:json { "lineage", name }))
		end
		assert.matches("^dataset:hrds +dataset  2 digests  <%-\n├─ exp_1/stage1_a ",
			t:ok({ "lineage", "hrds" }).out)
		assert.matches("stage1_a [^\n]*%(also trained_on dataset:guessed; inferred%)",
			t:ok({ "lineage", "--datasets" }).out)
	end)
end)

describe("lineage after moving", function()
	before_each(fresh)
	after_each(done)

	--- The edges, by the names of the stages alone.
	local function shape(...)
		local list = graph.pairs(t:json { "lineage", ... })
		for i, pair in ipairs(list) do
			list[i] = pair:gsub("[^ ]*/(%S+)", "%1")
		end
		table.sort(list)
		return list
	end

	it("is the same when an experiment is renamed, or the whole tree is elsewhere", function()
		chain()
		captured()
		cli.shell("mkdir " .. t.root .. "/exp_1/stage1_hrds/checkpoint-20")
		local before = shape()
		assert.are.equal(4, #before)
		move("exp_1", "exp_renamed")
		local answer = t:json { "lineage" }
		assert.same(before, shape())
		assert.same({}, answer.problems)
		local edge = graph.edges(answer)["exp_renamed/stage1_hrds > exp_renamed/stage1_hrdh"]
		assert.same({ "exp_1/stage1_hrds", "path", "declared" }, { edge.moved_from, edge.found_by, edge.how })
		assert.matches("stage1_hrdh [^\n]*%(moved from exp_1/stage1_hrds%)\n", t:ok({ "lineage" }).out)
		cli.shell(("mkdir '%s/far' && mv '%s' '%s/far/away'"):format(t.dir, t.root, t.dir))
		assert.same(before, shape("--root", t.dir .. "/far/away"))
	end)

	it("knows a model again by its run, and by the content of its checkpoint", function()
		chain()
		t:write("exp_1/stage1_first/best.pt", "weights")
		t:ok { "record", "stage1", "-d", "first", "--steps", "1", "--capture", "--final-checkpoint", "best.pt" }
		t:ok { "record", "stage3", "-d", "heir", "--steps", "1", "--capture", "--base-model",
			"artifact/exp_1/stage1_first/best.pt" }
		local written = t:info("parent_finder_heir").parents[1]
		assert.same({ t:info("stage1_first").training_history[1].final_checkpoint.sha256, "../stage1_first" },
			{ written.sha256, written.path })
		t:ok { "exp", "new", "exp_2" }
		move("exp_1/stage1_first", "exp_2/stage1_other")
		local edge = graph.edges(t:json { "lineage" })["exp_2/stage1_other > exp_1/parent_finder_heir"]
		assert.same({ "exp_1/stage1_first", "run_id", "best.pt", true },
			{ edge.moved_from, edge.found_by, edge.checkpoint, edge.checkpoint_is_there })
		plant("exp_2/stage1_hashed", { training_history = { { dataset = "d", steps = 1, metrics = {},
			final_checkpoint = { name = "c", sha256 = ("ab"):rep(32) } } } })
		with_parents("exp_1/stage1_child", { ref = "exp_0/gone", relation = "starts_from", how = "declared",
			sha256 = ("ab"):rep(32) })
		edge = graph.edges(t:json { "lineage" })["exp_2/stage1_hashed > exp_1/stage1_child"]
		assert.same({ "exp_0/gone", "sha256" }, { edge.moved_from, edge.found_by })
	end)

	it("is not taken in by another model of the old name", function()
		chain()
		move("exp_1", "exp_old")
		t:ok { "exp", "new", "exp_1" }
		t:record("hrds", "--base-model", "another")
		assert.is_truthy(graph.edges(t:json { "lineage" })["exp_old/stage1_hrds > exp_old/stage1_hrdh"])
		assert.same({ "another > exp_1/stage1_hrds" }, graph.pairs(t:json { "lineage", "exp_1/stage1_hrds" }))
	end)

	it("guesses from the name alone only where the experiment is gone, and says so", function()
		plant("exp_1/stage1_a")
		with_parents("exp_1/stage1_b", "exp_old/stage1_a")
		local edge = graph.edges(t:json { "lineage" })["exp_1/stage1_a > exp_1/stage1_b"]
		assert.same({ "exp_old/stage1_a", "name", "inferred" }, { edge.moved_from, edge.found_by, edge.how })
		plant("exp_old/stage1_c")
		assert.are.equal("exp_old/stage1_a", problem(t:json { "lineage" }, "missing_parent").parent)
	end)

	it("finds a base model whose path was in a tree that is elsewhere now", function()
		plant("exp_1/stage1_a")
		plant("exp_1/stage1_b", { base_model = "/old/disk/runs/exp_1/stage1_a/checkpoint-5" })
		local edge = graph.edges(t:json { "lineage" })["exp_1/stage1_a > exp_1/stage1_b"]
		assert.same({ "/old/disk/runs/exp_1/stage1_a/checkpoint-5", "path_end", "inferred", "checkpoint-5" },
			{ edge.moved_from, edge.found_by, edge.how, edge.checkpoint })
	end)

	it("finds base models through links, and in the experiment itself", function()
		plant("exp_1/stage1_a")
		plant("exp_1/stage1_b", { base_model = "artifact/current/stage1_a/checkpoint-5" })
		plant("exp_1/stage1_c", { base_model = "stage1_a" })
		plant("exp_1/stage1_d", { base_model = "exp_1/stage1_lost/checkpoint-1" })
		local answer = t:json { "lineage" }
		local edges = graph.edges(answer)
		assert.are.equal("checkpoint-5", edges["exp_1/stage1_a > exp_1/stage1_b"].checkpoint)
		assert.are.equal("inferred", edges["exp_1/stage1_a > exp_1/stage1_c"].how)
		assert.are.equal("missing", graph.nodes(answer)["exp_1/stage1_lost"].kind)
		assert.are.equal("exp_1/stage1_d", problem(answer, "missing_parent").ref)
	end)

	it("does not take the directory that one stands in for a base model", function()
		plant("exp_1/stage1_a")
		plant("exp_1/stage1_b", { base_model = "microsoft/layoutxlm-base" })
		cli.shell(("mkdir -p '%s/exp_1/stage1_empty' '%s/exp_1/stage1_a/checkpoint-5'"):format(t.root, t.root))
		plant("exp_1/stage1_c", { base_model = "../stage1_a/checkpoint-5" })
		local want = { "exp_1/stage1_a > exp_1/stage1_c", "microsoft/layoutxlm-base > exp_1/stage1_b" }
		for _, dir in ipairs { "stage1_a", "stage1_empty" } do
			local answer = t:json({ "lineage", "--root", t.root }, 0, { cwd = t.root .. "/exp_1/" .. dir })
			assert.same({ "base > exp_1/stage1_a", table.unpack(want) }, graph.pairs(answer), dir)
		end
	end)
end)

describe("lineage of several roots", function()
	before_each(fresh)
	after_each(done)

	local function second()
		return t.dir .. "/second"
	end

	local function both(...)
		return { "lineage", "--root", t.root, "--root", second(), ... }
	end

	it("finds parents in another root by path, by REF and by content", function()
		chain()
		cli.shell("mkdir -p " .. second())
		local function plant_second(name, parent)
			with_parents("../second/exp_9/" .. name, parent)
		end
		plant_second("stage1_by_path", { ref = t.root .. "/exp_1/stage1_hrds", relation = "starts_from",
			how = "declared" })
		plant_second("stage1_by_ref", "exp_1/stage1_hrdh")
		plant_second("stage1_by_base", nil)
		plant("../second/exp_9/stage1_by_base", { base_model = t.root .. "/exp_1/stage1_hrds/checkpoint-10" })
		local pairs_found = graph.pairs(t:json(both()))
		assert.same({
			"exp_1/stage1_hrdh > exp_1/stage1_业务", "exp_1/stage1_hrdh > exp_9/stage1_by_ref",
			"exp_1/stage1_hrds > exp_1/stage1_hrdh", "exp_1/stage1_hrds > exp_9/stage1_by_base",
			"exp_1/stage1_hrds > exp_9/stage1_by_path", "microsoft/layoutxlm-base > exp_1/stage1_hrds",
		}, pairs_found)
		assert.matches("exp_9/stage1_by_path", t:ok(both("exp_1/stage1_hrds")).out)
		assert.are.equal(second(), graph.nodes(t:json(both()))["exp_9/stage1_by_ref"].root)
	end)

	it("calls models that share a REF by their paths, and asks which is meant", function()
		chain()
		cli.shell(("cp -r '%s' '%s'"):format(t.root, second()))
		local answer = t:json(both())
		assert.are.equal(7, #answer.nodes)
		assert.is_truthy(graph.edges(answer)[("%s/exp_1/stage1_hrds > %s/exp_1/stage1_hrdh"):format(second(),
			second())])
		assert.same({}, answer.problems)
		t:refused(5, "'exp_1/stage1_hrds' has two meanings", both("exp_1/stage1_hrds"))
		assert.matches("second/exp_1/stage1_hrds [^\n]*<%-\n", t:ok(both(second() .. "/exp_1/stage1_hrds")).out)
	end)

	it("takes one root under two names, or one in another, once", function()
		chain()
		cli.shell(("ln -s '%s' '%s'"):format(t.root, second()))
		assert.are.equal(4, #t:json(both()).nodes)
	end)
end)

describe("lineage of what is gone or wrong", function()
	before_each(fresh)
	after_each(done)

	it("keeps a parent that is gone, and what its heirs know of it", function()
		chain()
		cli.shell("rm -r " .. t.root .. "/exp_1/stage1_hrdh")
		assert.are.equal([[
microsoft/layoutxlm-base                      pretrained
└─ exp_1/stage1_hrds                          checkpoint-10  f1 0.850
   └╌ exp_1/stage1_hrdh                       missing  (inferred)
      └─ exp_1/stage1_业务                    f1 0.800  <-
]], t:ok({ "lineage", "stage1_业务" }).out)
		local answer = t:json { "lineage", "stage1_业务" }
		local node = graph.nodes(answer)["exp_1/stage1_hrdh"]
		assert.same({ "missing", true }, { node.kind, node.is_tombstone })
		local one = problem(answer, "missing_parent")
		assert.same({ "exp_1/stage1_业务", "exp_1/stage1_hrdh" }, { one.ref, one.parent })
		cli.shell("rm -r " .. t.root .. "/exp_1/stage1_hrds")
		assert.same({ "exp_1/stage1_hrdh > exp_1/stage1_业务", "exp_1/stage1_hrds > exp_1/stage1_hrdh",
			"microsoft/layoutxlm-base > exp_1/stage1_hrds" }, graph.pairs(t:json { "lineage" }))
	end)

	it("keeps a checkpoint that was deleted", function()
		chain()
		captured()
		cli.shell("rm -r " .. t.root .. "/exp_1/stage1_hrds/checkpoint-10")
		assert.matches("stage1_hrds +checkpoint%-10 %(gone%)  f1 0.850\n", t:ok({ "lineage" }).out)
		assert.matches("stage1_hrds/checkpoint%-10 +checkpoint %(gone%)  <%-\n",
			t:ok({ "lineage", "stage1_hrds/checkpoint-10" }).out)
		local answer = t:json { "lineage" }
		assert.is_false(graph.nodes(answer)["exp_1/stage1_hrds"].checkpoint.is_there)
		assert.is_false(graph.edges(answer)["exp_1/stage1_hrds > exp_1/parent_finder_hrds"].checkpoint_is_there)
		with_parents("exp_1/stage1_early", { ref = "exp_1/stage1_hrds", checkpoint = "checkpoint-5",
			relation = "starts_from", how = "declared" })
		assert.matches("stage1_early [^\n]*%(from checkpoint%-5, which is gone%)", t:ok({ "lineage" }).out)
		for option, mark in pairs { dot = "style=dotted", mermaid = "class n%d+ gone", html = 'tombstone' } do
			assert.matches(mark, t:ok({ "lineage", "stage1_hrds/checkpoint-10", "--" .. option }).out)
		end
	end)

	it("ends in a cycle, names it, and shows every model once", function()
		with_parents("exp_1/stage1_a", "exp_1/stage1_c")
		with_parents("exp_1/stage1_b", "exp_1/stage1_a")
		with_parents("exp_1/stage1_c", "exp_1/stage1_b")
		with_parents("exp_1/stage1_0", "exp_1/stage1_b")
		local result = t:ok { "lineage" }
		assert.are.equal("thhost: warning: 'exp_1/stage1_a' is its own ancestor\n", result.err)
		local _, lines = result.out:gsub("\n", "")
		assert.are.equal(4, lines)
		local answer = t:json { "lineage", "stage1_a" }
		assert.are.equal(4, #answer.nodes)
		assert.same({ "exp_1/stage1_a", "exp_1/stage1_b", "exp_1/stage1_c" }, problem(answer, "cycle").cycle)
		for _, form in ipairs { "dot", "mermaid", "html" } do
			assert.same(graph.pairs(answer), graph[form](t:ok({ "lineage", "--" .. form }).out).pairs, form)
		end
	end)

	it("takes no parent where two fit, and names both", function()
		chain()
		cli.shell(("cd '%s' && mv exp_1/stage1_hrds one && mkdir exp_2 exp_3 && cp -r one exp_2/stage1_x "
			.. "&& mv one exp_3/stage1_x"):format(t.root))
		local result = t:ok { "lineage" }
		assert.are.equal("thhost: warning: the parent 'exp_1/stage1_hrds' of 'exp_1/stage1_hrdh' may be "
			.. "'exp_2/stage1_x' or 'exp_3/stage1_x'\n", result.err)
		local one = problem(t:json { "lineage" }, "ambiguous_parent")
		assert.same({ "exp_2/stage1_x", "exp_3/stage1_x" }, one.candidates)
		assert.matches("\n├╌ exp_1/stage1_hrds +missing  %(inferred%)\n", result.out)
	end)

	it("tells of a record that cannot be read, and ends with 1", function()
		chain()
		t:write("exp_1/stage1_hrdh/training_info.json", "{")
		local result = t:run { "lineage" }
		assert.are.equal(1, result.status)
		assert.matches("stage1_hrdh/training_info.json:1:2: ", result.err)
		assert.matches("stage1_hrdh +cannot be read", result.out)
		local answer = t:json({ "lineage" }, 1)
		assert.are.equal("exp_1/stage1_hrdh", problem(answer, "unreadable_record").ref)
		assert.are.equal("unreadable", graph.nodes(answer)["exp_1/stage1_hrdh"].kind)
	end)
end)

describe("lineage in other forms", function()
	before_each(fresh)
	after_each(done)

	--- What HTML, DOT, Mermaid, Markdown or a terminal would act upon.
	local HOSTILE = {
		[[</title></svg><script>alert(1)</script><img src=x onerror="alert(1)">]],
		[["]; evil [label="x\]], [[\", shape=x]; n0 -> n0 [label="]],
		[["] --> n0; click n0 "javascript:alert(1)"]], "`**x**`%%{init}%%#quot;;&amp;&#x3c;",
		"\27[2J\27]0;owned\7", "\u{202e}gnp.exe\r", "two\nlines", "x' onload='alert(1)",
	}

	local function plant_hostile()
		for i, text in ipairs(HOSTILE) do
			plant(("exp_1/stage1_%d"):format(i), { base_model = text, final_checkpoint = text, model_name = text,
				stage = text, last_updated = text,
				parents = { { ref = text, relation = text, checkpoint = text, how = "inferred" },
					{ ref = "exp_1/stage1_1", relation = "uses", checkpoint = text, how = "declared" } },
				training_history = { { dataset = text, dataset_digest = text, steps = 1, metrics = { [text] = 1 } } } })
		end
	end

	local FORMS = { "dot", "mermaid", "html" }

	it("are what a strict reader of each takes, with solid and dashed edges", function()
		chain()
		captured()
		with_parents("exp_1/stage1_guess", { ref = "exp_1/stage1_hrds", relation = "starts_from",
			how = "inferred" })
		local answer = t:json { "lineage", "--datasets" }
		local expected = graph.pairs(answer)
		for _, form in ipairs(FORMS) do
			local drawn = graph[form](t:ok({ "lineage", "--datasets", "--" .. form }).out)
			assert.same(expected, drawn.pairs, form)
			assert.same({ ["exp_1/stage1_hrds > exp_1/stage1_guess"] = true }, drawn.inferred, form)
		end
	end)

	it("hold nothing that a name brings in", function()
		plant_hostile()
		local answer = t:json { "lineage", "--datasets" }
		for _, form in ipairs(FORMS) do
			local result = t:ok { "lineage", "--datasets", "--" .. form }
			assert.is_nil(result.out:find("[\0-\8\11-\31\127]"), form)
			assert.is_nil(result.out:find("\u{202e}", 1, true), form)
			local drawn = graph[form](result.out)
			assert.are.equal(#answer.nodes, drawn.n_nodes, form)
			assert.are.equal(#answer.edges, #drawn.pairs, form)
		end
		local page = t:ok({ "lineage", "--datasets" }).out
		assert.is_nil(page:find("[\0-\9\11-\31\127]"))
	end)

	it("mark what was asked for", function()
		chain()
		assert.matches('n%d+ %[label="exp_1/stage1_hrdh\\nf1 0.820", shape=box, penwidth=3%];',
			t:ok({ "lineage", "stage1_hrdh", "--dot" }).out)
		assert.matches("\n  class n%d+ asked\n", t:ok({ "lineage", "stage1_hrdh", "--mermaid" }).out)
		local page = t:ok({ "lineage", "stage1_hrdh", "--html" }).out
		assert.matches("<title>Lineage of exp_1/stage1_hrdh</title>", page)
		assert.matches('<g class="model asked"><title>exp_1/stage1_hrdh</title>', page)
	end)

	it("have a page that needs nothing else and is light and dark", function()
		chain()
		local page = t:ok({ "lineage", "--html" }).out
		assert.matches("^<!DOCTYPE html>\n", page)
		assert.matches("default%-src 'none'", page)
		assert.matches("prefers%-color%-scheme:dark", page)
		for _, bad in ipairs { "<script", "<link", "<img", "src=", "url%(h", "@import", "javascript:" } do
			assert.is_nil(page:find(bad), bad)
		end
		-- The only address is the name of the drawing's language.
		for address in page:gmatch("https?://[^\"']*") do
			assert.are.equal("http://www.w3.org/2000/svg", address)
		end
		for id in page:gmatch('href="#(n%d+)"') do
			assert.is_truthy(page:find('<section id="' .. id .. '">', 1, true), id)
		end
	end)

	it("draw no two boxes over each other, and arrows forward", function()
		for i = 1, 30 do
			with_parents("exp_1/stage1_" .. i, i > 1 and "exp_1/stage1_" .. i // 2 or nil,
				i > 4 and "exp_1/stage1_" .. i - 3 or nil)
		end
		plant("exp_1/stage1_late", { training_history = { { dataset = "late", steps = 1, metrics = {} } } })
		local drawn = graph.html(t:ok({ "lineage", "--html", "--datasets" }).out)
		graph.check_boxes(drawn)
		for _, edge in ipairs(drawn.edges) do
			assert.is_true(edge.from.x + edge.from.width <= edge.to.x
				or edge.from.y + edge.from.height <= edge.to.y, "an arrow backwards")
		end
	end)

	it("draw a long chain down the page", function()
		for i = 1, 40 do
			with_parents(("exp_1/stage1_%d"):format(i), i > 1 and ("exp_1/stage1_%d"):format(i - 1) or nil)
		end
		local drawn = graph.html(t:ok({ "lineage", "--html" }).out)
		graph.check_boxes(drawn)
		assert.is_true(drawn.width < 400, "as wide as " .. drawn.width)
	end)
end)

describe("lineage diff", function()
	before_each(fresh)
	after_each(done)

	local function sums(side)
		local list = {}
		for i, training in ipairs(side.trainings) do
			list[i] = ("%s:%d"):format(training.dataset, training.steps)
		end
		return table.concat(list, " ")
	end

	it("shows the last common ancestor and what each has alone", function()
		chain()
		t:ok { "record", "stage1", "-d", "side", "--init-from", "hrds", "--steps", "7" }
		local answer = t:json { "lineage", "diff", "stage1_业务", "stage1_side" }
		assert.are.equal("thhost.lineage_diff/1", answer.schema)
		assert.same({ "exp_1/stage1_hrds" }, answer.last_common)
		assert.same({ "microsoft/layoutxlm-base", "exp_1/stage1_hrds" }, answer.common.models)
		assert.same({ "hrds:10", "hrdh:5 业务:5", "side:7" },
			{ sums(answer.common), sums(answer.only_a), sums(answer.only_b) })
		assert.same({ 10, 10, 7 }, { answer.common.steps, answer.only_a.steps, answer.only_b.steps })
		assert.same({ "exp_1/stage1_hrdh", "exp_1/stage1_业务" }, answer.only_a.models)
		assert.are.equal("exp_1/stage1_hrds", answer.only_b.edges[1].from)
		local page = t:ok({ "lineage", "diff", "stage1_业务", "stage1_side" }).out
		assert.matches("^last common ancestor  exp_1/stage1_hrds\nin common: 1 training, 10 steps\n", page)
		assert.matches("\nonly exp_1/stage1_业务: 2 trainings, 10 steps\n  exp_1/stage1_hrdh  f1 0.820\n"
			.. "    continues exp_1/stage1_hrds\n", page)
	end)

	it("does not count what a common ancestor learned later", function()
		chain()
		t:ok { "record", "stage1", "-d", "later", "--steps", "100", "--into", "stage1_hrds" }
		t:ok { "record", "stage1", "-d", "side", "--init-from", "stage1_hrds", "--steps", "7" }
		local answer = t:json { "lineage", "diff", "stage1_hrdh", "stage1_side" }
		assert.same({ "hrds:10", "hrdh:5", "later:100 side:7" },
			{ sums(answer.common), sums(answer.only_a), sums(answer.only_b) })
	end)

	it("knows a model and its ancestor, itself, and strangers", function()
		chain()
		local answer = t:json { "lineage", "diff", "stage1_hrds", "stage1_hrdh" }
		assert.same({ "", "hrdh:5" }, { sums(answer.only_a), sums(answer.only_b) })
		assert.matches("\nonly exp_1/stage1_hrds: nothing\n",
			t:ok({ "lineage", "diff", "stage1_hrds", "stage1_hrdh" }).out)
		answer = t:json { "lineage", "diff", "stage1_hrdh", "stage1_hrdh" }
		assert.same({ "exp_1/stage1_hrdh" }, answer.last_common)
		t:record("stranger", "--base-model", "elsewhere")
		answer = t:json { "lineage", "diff", "stage1_hrds", "stage1_stranger" }
		assert.same({}, answer.last_common)
		assert.matches("^last common ancestor  none\n",
			t:ok({ "lineage", "diff", "stage1_hrds", "stage1_stranger" }).out)
	end)

	it("follows a stage that works from another one's model", function()
		chain()
		captured("--final-checkpoint", "x")
		local answer = t:json { "lineage", "diff", "parent_finder_hrds", "stage1_hrdh" }
		assert.same({ "hrds:10", "hrds:1", "hrdh:5" },
			{ sums(answer.common), sums(answer.only_a), sums(answer.only_b) })
	end)

	it("says so where one of them is not there", function()
		chain()
		t:refused(3, "stage1_none", { "lineage", "diff", "stage1_hrds", "stage1_none" })
	end)
end)
