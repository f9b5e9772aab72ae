--- A stage that does nothing but filter its log: what ctx:lines costs.
---@type th.StagePlugin
local M = {
	api = 1,
	kind = "stage",
	name = "filter",
	version = "1.0.0",
	summary = "count the lines of a log that say something",
	dir = "filter",
	model_name = "filter",
	inputs = { log = "@log" },
	metrics = {},
}

function M.extract(ctx)
	local count = 0
	for _ in ctx:lines("log", "{'loss': ", "Traceback (most recent call last)") do
		count = count + 1
	end
	return { metrics = { lines = count }, steps = 0, outcome = "completed" }
end

return M
