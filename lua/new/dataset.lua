--- @NAME@: what is special about this dataset, in one line.
---@type th.DatasetPlugin
local M = {
	api = 1,
	kind = "dataset",
	name = "@NAME@", -- equals the file name and the --dataset
	version = "0.1.0",
	summary = "@NAME@",
	stages = {},
}

M.stages["@STAGE@"] = {
	-- A function given here replaces the stage's; ctx:base() calls the one replaced.
	extract = function(ctx)
		local result, err = ctx:base()
		if not result then
			return nil, err
		end
		-- result.metrics.my_metric = ...
		return result
	end,
}

return M
