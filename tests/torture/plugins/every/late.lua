local M = {}

function M.text(...)
	return table.concat({ ... }, "; "):gsub("%s+", " ")
end

return M
