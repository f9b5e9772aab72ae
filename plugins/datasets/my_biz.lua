--- A team's own dataset: the documented example of a dataset plugin.
--
-- It replaces parts of stage 3 only; all other stages stay as they are. The team measures its
-- parents by hand as well and leaves `audit.json` beside the model:
--
--     { "checked": 400, "correct": 372 }
local check = require("th.check")

---@type th.DatasetPlugin
local M = {
	api = 1,
	kind = "dataset",
	name = "my_biz",
	version = "1.0.0",
	summary = "business documents of our team; stage 3 with a hand audit",
}

local stage3 = {
	-- Given keys are added to the stage's own inputs and metrics.
	inputs = { audit = "audit.json?" },
	metrics = {
		audit_accuracy = { goal = "max", min = 0, max = 1 },
		parent_loss = { goal = "min" },
	},
}

--- What `train_loss` is called in this team's reports.
local function rename_loss(result)
	result.metrics.parent_loss = result.metrics.train_loss
	result.metrics.train_loss = nil
	result.sources["metrics.parent_loss"] = result.sources["metrics.train_loss"]
	result.sources["metrics.train_loss"] = nil
end

local AUDIT = check.fields({
	checked = check.integer({ min = 1 }),
	correct = check.integer({ min = 0 }),
})

local function add_audit(ctx, result)
	local audit, err = ctx:json("audit")
	if not audit then
		return nil, err
	end
	local ok, issues = AUDIT(audit, "audit.json")
	if not ok then
		return nil, { code = "bad_audit", input = "audit",
			message = issues[1].path .. ": " .. issues[1].message,
			hint = 'expected { "checked": N, "correct": M }' }
	end
	result.metrics.audit_accuracy = audit.correct / audit.checked
	result.sources["metrics.audit_accuracy"] = "derived: audit.json correct / checked"
	return true
end

function stage3.extract(ctx)
	local result, err = ctx:base() -- stage 3's own extract
	if not result then
		return nil, err
	end
	rename_loss(result)
	if ctx:has("audit") then
		local ok, audit_err = add_audit(ctx, result)
		if not ok then
			return nil, audit_err
		end
	end
	return result
end

function stage3.hyperparams(ctx, raw)
	local values, err = ctx:base(raw)
	if not values then
		return nil, err
	end
	values.max_lines_limit = values.max_lines_limit or 512 -- our documents are cut at this length
	return values
end

M.stages = { stage3 = stage3 }

return M
