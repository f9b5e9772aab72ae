--- Going over all stage directories: what each costs, and what waits for each.
local cli = require "support.cli"
local storage = require "support.storage"
local tree = require "support.tree"

local t

before_each(function()
	t = tree.bare()
end)
after_each(function()
	t:close()
end)

local RECORD = [[{"model_name": "m", "stage": "stage1", "final_checkpoint": "c", "base_model": "b",
	"created_at": "2025-01-01T00:00:00Z", "last_updated": "2025-01-01T01:00:00Z", "total_steps": 5,
	"last_dataset": "x", "training_history": [{"dataset": "x", "steps": 5, "metrics": {"f1": 0.5},
	"start_time": "2025-01-01T00:00:00Z", "end_time": "2025-01-01T01:00:00Z"}]}]]

local function put(n)
	for i = 1, n do
		t:write(("exp_1/stage1_%02d/training_info.json"):format(i), RECORD)
	end
end

--- How many system calls 'list' makes.
local function calls()
	local log = t.dir .. "/strace.log"
	t:ok({ "list", "--csv", "--no-index" }, { prefix = "strace -f -o " .. cli.quote(log) })
	local _, n = cli.read(log):gsub("\n", "")
	return n
end

describe("the walk", function()
	it("asks no more of the kernel than a record needs", function()
		if storage.is_asan or storage.skip_without(storage.has_strace, "strace") then
			return
		end
		put(20)
		local before = calls()
		put(60)
		-- open, list twice; look, open, look, read twice and close the record; close; some memory
		assert.is_true((calls() - before) / 40 <= 11)
	end)

	it("goes on where a signal comes while it lists", function()
		if storage.is_asan or storage.skip_without(storage.has_strace, "strace") then
			return
		end
		put(3)
		local plain = t:ok({ "list", "--csv", "--no-index" }).out
		for when = 1, 6 do
			assert.equal(plain, t:ok({ "list", "--csv", "--no-index" }, { prefix =
				("strace -qq -o /dev/null -e trace=getdents64 -e inject=getdents64:error=EINTR:when=%d"):format(when) }).out)
		end
	end)

	it("finds what waits for each directory outside of the tree", function()
		local spool = t.dir .. "/home/state/thhost/spool"
		put(4)
		cli.shell(("mkdir -p %s && chmod 700 %s"):format(cli.quote(spool), cli.quote(spool)))
		for i, stage in ipairs { "01", "03", "03", "other", "04/../03" } do
			cli.write(("%s/019ad9b1-0000-7000-a000-00000000000%d.json"):format(spool, i),
				('{"dir": "%s/exp_1/stage1_%s"}'):format(t.root, stage))
		end
		cli.write(spool .. "/019ad9b1-0000-7000-a000-000000000009.json", "{")
		local waiting = {}
		for i, model in ipairs(t:json({ "list" }).models) do
			waiting[i] = model.not_recorded
		end
		assert.same({ 1, 0, 2, 0 }, waiting)
	end)

	it("finds records one level below a stage, with a record in it or none", function()
		t:write("exp_1/stage1_a/training_info.json", RECORD)
		t:write("exp_1/stage1_a/fold_2/training_info.json", RECORD)
		t:write("exp_1/stage1_a/fold_10/training_info.json", RECORD)
		t:write("exp_1/stage1_a/checkpoint-1/training_info.json", RECORD)
		t:write("exp_1/stage1_b/fold_1/training_info.json", RECORD)
		t:write("exp_1/stage1_b/fold_1/deeper/training_info.json", RECORD)
		assert.equal("ref\nexp_1/stage1_a\nexp_1/stage1_a/fold_2\nexp_1/stage1_a/fold_10\n" ..
			"exp_1/stage1_b/fold_1\n", t:ok({ "list", "--csv", "-c", "ref" }).out)
	end)
end)
