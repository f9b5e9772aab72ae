--- What the home pipeline's real trainings left, recorded through the command line.
local cjson = require "cjson"
local cli = require "support.cli"
local tree = require "support.tree"

local corpus = (os.getenv("THHOST_CORPUS") or "../shared/corpus") .. "/home/"

--- stage and directory -> what must be recorded, or why it must not.
local CASES = {
	{ "stage1", "stage1_tfevents_Nov13_19-06-46_mi", steps = 10, lr = 5e-05 },
	{ "stage1", "stage1_tfevents_Nov13_20-08-50_mi", refused = "was interrupted" },
	{ "stage1", "stage1_tfevents_Nov13_20-21-24_mi", steps = 50, lr = 5e-05 },
	{ "stage1", "stage1_tfevents_Nov14_11-03-04_mi", steps = 50, lr = 5e-05 },
	{ "stage1", "stage1_tfevents_Nov14_18-23-57_mi", steps = 50, lr = 5e-05 },
	{ "stage2", "stage2_extract_failed", refused = "failed: IndexError: The shape of the mask [512]" },
	{ "stage2", "stage2_extract_ok", steps = 0, pages = 132 },
	{ "stage4", "stage4_relation_failed", refused = "failed: IndexError: index 61 is out of bounds" },
}

describe("record --from the home corpus", function()
	if not cli.read(corpus .. "stage2_extract_ok/expected.json") then
		it("reads what real trainings left", function()
			cli.skip("no corpus here (set THHOST_CORPUS)")
		end)
		return
	end
	local home = cli.shell("cd " .. cli.quote(corpus) .. " && pwd") .. "/"
	local t
	before_each(function()
		t = tree.new()
	end)
	after_each(function()
		t:close()
	end)

	local function entry_of(case)
		local before = t:snapshot()
		local preview = t:json { "record", case[1], "-d", "hrds", "--from", home .. case[2], "--dry-run" }
		assert.are.equal(before, t:snapshot())
		local answer = t:json { "record", case[1], "-d", "hrds", "--from", home .. case[2] }
		preview.entry.run_id, answer.entry.run_id = nil, nil
		assert.are.same(preview.entry, answer.entry)
		assert.are.equal(0, t:run({ "verify" }).status)
		return answer.entry, cjson.decode((assert(cli.read(answer.path))))
	end

	for _, case in ipairs(CASES) do
		it((case.refused and "refuses " or "records ") .. case[2], function()
			local truth = cjson.decode(cli.read(home .. case[2] .. "/expected.json")).normalised
			local args = { "record", case[1], "-d", "hrds", "--from", home .. case[2] }
			if case.refused then
				t:refused(5, case.refused, args)
				table.insert(args, "--dry-run")
				local look = t:json(args, 5)
				assert.matches(case.refused, look.why, 1, true)
				assert.are.equal("refuse", look.would)
				return
			end
			local entry, info = entry_of(case)
			assert.are.equal(case.steps, entry.steps)
			assert.are.equal(case.steps, info.total_steps)
			assert.are.equal(case.lr, entry.hyperparams and entry.hyperparams.lr)
			assert.are.equal(case.pages, entry.metrics.pages)
			assert.are.equal("completed", entry.status)
			if truth.base_model then
				assert.are.equal(truth.base_model, info.base_model)
				assert.are.equal(truth.hyperparams.max_steps, entry.hyperparams.max_steps)
				assert.are.equal(truth.hyperparams.per_device_train_batch_size, entry.hyperparams.batch_size)
			end
		end)
	end

	it("records what failed all the same where the user gives the values", function()
		t:ok { "record", "stage4", "-d", "hrds", "--from", home .. "stage4_relation_failed",
			"--steps", "3", "-m", "macro_f1=0.1" }
		assert.are.equal(3, t:info("relation_classifier_hrds").total_steps)
	end)
end)
