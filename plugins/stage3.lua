--- Stage 3: ParentFinder, as train_parent_finder.py of layoutlmft prints it.
--
-- The metrics are those of the best validation epoch, because best_model.pt is that epoch's model.
local check = require("th.check")
local home = require("th.home")
local num = require("th.num")
local runlog = require("th.runlog")

---@type th.StagePlugin
local M = {
	api = 1,
	kind = "stage",
	name = "stage3",
	version = "1.0.0",
	summary = "ParentFinder: which line is the parent of which",
	dir = "parent_finder",
	model_name = "parent_finder",
	requires = { "stage2" },
	inputs = { log = "@log", checkpoints = "*.pt?" },
	metrics = {
		accuracy = { goal = "max", min = 0, max = 1, primary = true },
		val_loss = { goal = "min" },
		train_loss = { goal = "min" },
	},
	progress = {
		{ find = "===== Epoch ", match = "Epoch (%d+)/(%d+)", set = { "epoch", "epochs_total" } },
		{ find = "训练 - Loss: ", match = "Loss: ([%d.]+)", set = { "train_loss" } },
		{ find = "验证 - Acc: ", match = "Acc: ([%d.]+)", set = { "accuracy" } },
	},
}

local BEST = "best_model.pt"
local FIXED = { optimizer = "Adam", dropout = 0.1, seed = 42 } -- constants of the script

local RULES = home.epoch_rules({
	{ find = "训练集: ", match = "训练集: (%d+) ", on = function(run, size)
		run.train_size = num.int(size)
	end },
})

local function metrics_of(epoch)
	if not epoch then
		return {}, {}
	end
	local from = ("log: epoch %d, the best"):format(epoch.number)
	local metrics, sources = {
		accuracy = epoch.val.Acc,
		val_loss = epoch.val.Loss,
		train_loss = epoch.train and epoch.train.Loss,
	}, {}
	for name in pairs(metrics) do
		sources["metrics." .. name] = from
	end
	return metrics, sources
end

function M.extract(ctx)
	local run = runlog.read(ctx:lines("log", runlog.needles(RULES)), RULES, home.new_run, home.on_bar)
	if not run.seen and not run.error then
		return nil, { code = "no_data", input = "log", message = "the log has no line of stage 3",
			hint = "give the log of train_parent_finder.py" }
	end
	local settings = home.settings(ctx)
	local steps, steps_source = home.steps(run, home.hyperparams(ctx, settings).batch_size)
	local metrics, sources = metrics_of(home.best_epoch(run, "Acc"))
	sources.steps = steps_source
	if run.no_validation then
		ctx.log.warn("the validation set was empty: no accuracy was measured, no model was saved")
	end
	local outcome, problem = home.outcome(ctx, run)
	return {
		outcome = outcome,
		error = problem,
		metrics = metrics,
		sources = sources,
		steps = steps,
		epochs = home.epochs_run(run),
		planned = run.num_epochs and { num_epochs = run.num_epochs } or nil,
		final_checkpoint = run.saved and home.names(ctx, "checkpoints")[BEST] and BEST or nil,
		base_model = home.setting(settings, "features_dir"),
		start_time = run.start_time,
		end_time = run.end_time,
	}
end

function M.hyperparams(ctx, raw)
	return home.hyperparams(ctx, home.settings(ctx, raw), FIXED)
end

local ENTRY = check.fields({
	epochs = check.optional(check.integer({ min = 0 })),
	metrics = check.fields({
		accuracy = check.warning(check.that(home.is_measured, "missing", "nothing was validated")),
	}),
})

function M.validate(_, entry)
	return ENTRY(entry, "entry")
end

return M
