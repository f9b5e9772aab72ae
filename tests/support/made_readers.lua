--- A library whose readers say what a spec has them say: for `thhost` with THHOST_LUA.
--
-- "keras" reads made.json, "wandb" reads other.json: { score, why, reading } or { score, error };
-- "console" reads a *.log whose first line is "made " and a reading; all other readers know nothing.
-- The specs of the command line need no real reader, and do not change when one does.
local cli = require "support.cli"
local detect = require("th.detect")

local M = {}

local NOTHING = [[
return { title = "nothing", recognise = function() end, read = function() end }
]]

local MADE = [[
return {
	title = "%s",
	recognise = function(folder)
		local made = folder:has("%s") and folder:json("%s")
		return made and { score = made.score, why = made.why, runs = made.runs } or nil
	end,
	read = function(folder)
		local made = folder:json("%s")
		if not made.reading then
			return nil, { code = "made", message = made.error }
		end
		made.reading.sources = made.reading.sources or {}
		made.reading.final_metrics = made.reading.final_metrics or {}
		return made.reading
	end,
}
]]

local CONSOLE = [[
local function line_of(folder)
	local name = folder:find("*.log")
	return name and folder:lines(name, "made {")()
end
return {
	title = "Log",
	recognise = function(folder)
		return line_of(folder) and { score = 40, why = folder:find("*.log") }
	end,
	read = function(folder)
		local reading = require("th.json").decode((line_of(folder):gsub("^made ", "")))
		reading.sources = {}
		return reading
	end,
}
]]

--- Write the library below `dir`; the value of THHOST_LUA.
---@param dir string
---@return string
function M.write(dir)
	local root = dir .. "/made_lua"
	cli.shell("mkdir -p -m 755 " .. cli.quote(root .. "/th"))
	local made = { keras = { "Made", "made.json" }, wandb = { "Other", "other.json" } }
	for _, name in ipairs(detect.READERS) do
		local one = made[name]
		cli.write(("%s/th/%s.lua"):format(root, name),
			name == "console" and CONSOLE or one and MADE:format(one[1], one[2], one[2], one[2])
				or NOTHING)
	end
	return root
end

return M
