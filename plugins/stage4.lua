--- Stage 4: RelationClassifier, as train_multiclass_relation.py of layoutlmft prints it.
--
-- The script runs whole epochs and stops at the end of the one that passes --max_steps, so the
-- steps that ran can exceed the plan by far; they are counted from epochs and batches.
local check = require("th.check")
local home = require("th.home")
local num = require("th.num")
local runlog = require("th.runlog")

---@type th.StagePlugin
local M = {
	api = 1,
	kind = "stage",
	name = "stage4",
	version = "1.0.0",
	summary = "RelationClassifier: how a line relates to its parent",
	dir = "relation_classifier",
	model_name = "relation_classifier",
	requires = { "stage2" },
	inputs = { log = "@log", checkpoints = "*.pt?" },
	metrics = {
		macro_f1 = { goal = "max", min = 0, max = 1, primary = true },
		accuracy = { goal = "max", min = 0, max = 1 },
		precision = { goal = "max", min = 0, max = 1 },
		recall = { goal = "max", min = 0, max = 1 },
		val_loss = { goal = "min" },
		train_loss = { goal = "min" },
	},
	progress = {
		{ find = "===== Epoch ", match = "Epoch (%d+)/(%d+)", set = { "epoch", "epochs_total" } },
		{ find = "  Step [", match = "Step %[(%d+)/(%d+)%] %- Loss: ([%d.]+)",
			set = { "step", "steps_total", "train_loss" } },
		{ find = "验证 - Loss: ", match = "Loss: ([%d.]+), Acc: ([%d.]+).-F1: ([%d.]+)",
			set = { "val_loss", "accuracy", "macro_f1" } },
	},
}

local BEST = "best_model.pt"
local FIXED = { optimizer = "Adam", dropout = 0.1, seed = 42, loss_type = "focal" }
local CLASSES = { "none", "connect", "contain", "equality" }
local REPORT_ROW = "^%s*(%a+)%s+[%d.]+%s+[%d.]+%s+([%d.]+)%s+%d+%s*$"

local function keep_size(run, size)
	run.train_size = num.int(size)
end

local function keep_batch(run, done, total)
	local epoch = home.current(run)
	if epoch then
		epoch.done, epoch.total = num.int(done), num.int(total)
	end
end

local function keep_row(run, class, f1)
	local epoch = home.current(run)
	if epoch and epoch.f1 then
		epoch.f1[class] = tonumber(f1)
	end
end

local function begin_report(run)
	local epoch = home.current(run)
	if epoch then
		epoch.f1 = {}
	end
end

local OWN_RULES = {
	{ find = "开始训练（最多", match = "最多 (%d+) 步", on = function(run, max_steps)
		run.max_steps = num.int(max_steps)
	end },
	{ find = "训练集大小: ", match = "训练集大小: (%d+)", on = keep_size },
	{ find = "Step [", match = "Step %[(%d+)/(%d+)%]", on = keep_batch },
	{ find = "分类报告", on = begin_report },
	{ find = "加载特征文件", on = function() end }, -- the predecessor's first own line
}
for _, class in ipairs(CLASSES) do
	OWN_RULES[#OWN_RULES + 1] = { find = class, match = REPORT_ROW, on = keep_row }
end
local RULES = home.epoch_rules(OWN_RULES)

local function metrics_of(epoch)
	if not epoch then
		return {}, {}
	end
	local val = epoch.val
	local metrics = {
		macro_f1 = val.F1, accuracy = val.Acc, precision = val.P, recall = val.R,
		val_loss = val.Loss, train_loss = epoch.train and epoch.train.Loss,
		per_class_f1 = epoch.f1 and next(epoch.f1) and epoch.f1 or nil,
	}
	local from, sources = ("log: epoch %d, the best"):format(epoch.number), {}
	for name in pairs(metrics) do
		sources["metrics." .. name] = from
	end
	return metrics, sources
end

--- best_model.pt when this run wrote it; else the checkpoint of the best or the last epoch.
local function final_checkpoint(ctx, run, best)
	local names = home.names(ctx, "checkpoints")
	if run.saved and names[BEST] then
		return BEST
	end
	local of_best = best and ("checkpoint-epoch%d.pt"):format(best.number)
	if of_best and names[of_best] then
		return of_best
	end
	for number = home.epochs_run(run), 1, -1 do
		local name = ("checkpoint-epoch%d.pt"):format(number)
		if names[name] then
			return name
		end
	end
end

function M.extract(ctx)
	local run = runlog.read(ctx:lines("log", runlog.needles(RULES)), RULES, home.new_run, home.on_bar)
	if not run.seen and not run.error then
		return nil, { code = "no_data", input = "log", message = "the log has no line of stage 4",
			hint = "give the log of train_multiclass_relation.py" }
	end
	local settings = home.settings(ctx)
	local best = home.best_epoch(run, "F1")
	local metrics, sources = metrics_of(best)
	local steps
	steps, sources.steps = home.steps(run, home.hyperparams(ctx, settings).batch_size)
	if run.no_validation then
		ctx.log.warn("the validation set was empty: nothing was measured, no best model was saved")
	end
	local outcome, problem = home.outcome(ctx, run)
	return {
		outcome = outcome,
		error = problem,
		metrics = metrics,
		sources = sources,
		steps = steps,
		epochs = home.epochs_run(run),
		planned = run.num_epochs and { max_steps = run.max_steps, num_epochs = run.num_epochs } or nil,
		final_checkpoint = final_checkpoint(ctx, run, best),
		base_model = home.setting(settings, "features_dir"),
		start_time = run.start_time,
		end_time = run.end_time,
	}
end

function M.hyperparams(ctx, raw)
	return home.hyperparams(ctx, home.settings(ctx, raw), FIXED)
end

local ENTRY = check.fields({
	metrics = check.fields({
		macro_f1 = check.warning(check.that(home.is_measured, "missing", "nothing was validated")),
		per_class_f1 = check.optional(check.each(check.fraction)),
	}),
})

function M.validate(_, entry)
	return ENTRY(entry, "entry")
end

return M
