--- @NAME@: what this stage trains, in one line.
local lines = require("th.lines")

---@type th.StagePlugin
local M = {
	api = 1,
	kind = "stage",
	name = "@NAME@", -- equals the file name
	version = "0.1.0",
	summary = "@NAME@",
	dir = "@NAME@", -- <experiment>/@NAME@_<dataset>
	model_name = "@NAME@",
	inputs = { log = "@log", checkpoints = "*.pt?" },
	metrics = {
		accuracy = { goal = "max", min = 0, max = 1, required = true },
	},
	progress = {
		{ find = "epoch ", match = "epoch (%d+)/(%d+)", set = { "epoch", "epochs_total" } },
	},
}

--- Read what the training printed. Here: "step 500 accuracy 0.91"; of several lines the best.
function M.extract(ctx)
	local accuracy = lines.best(ctx:lines("log", "accuracy"), "accuracy (%d%.%d+)", "max")
	local steps = lines.last(ctx:lines("log", "step "), "step (%d+)")
	if not accuracy or not steps then
		return nil, { code = "no_data", input = "log", message = "no line 'step N accuracy X'" }
	end
	local files = ctx:list("checkpoints")
	return {
		outcome = "completed",
		metrics = { accuracy = accuracy },
		steps = tonumber(steps),
		final_checkpoint = files[#files] and files[#files].name,
		sources = { ["metrics.accuracy"] = "log: best", steps = "log: last step" },
	}
end

--- Map the command's flags to standard names: lr, batch_size, max_steps, num_epochs, ...
function M.hyperparams(_, raw)
	local values = require("th.hparams").standard(raw.argv)
	return values
end

--- Everything the declaration cannot say; true when content.
function M.validate(_, _)
	return true
end

return M
