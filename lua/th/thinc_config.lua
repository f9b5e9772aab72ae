--- spaCy's config.cfg: sections in brackets, values in JSON, which may go on in indented lines.
--
--     [training.optimizer]
--     @optimizers = "Adam.v1"
--     learn_rate = 0.001
local json = require("th.json")

local M = {}

local MAX_STEPS = 8 -- of references to references; more is a circle

local function decode(text)
	local value, err = json.decode(text)
	if err then
		return text -- a reference such as ${paths.train}, or a bare word
	end
	return value
end

--- Put values in for `${section.name}` that stands alone; `:` may stand for the last `.`.
local function resolve(values)
	for _ = 1, MAX_STEPS do
		local changed = false
		for name, value in pairs(values) do
			local wanted = type(value) == "string" and value:match("^%${([%w_.:*@-]+)}$") or nil
			local target = wanted and values[(wanted:gsub(":", "."))]
			if target ~= nil and target ~= value then
				values[name], changed = target, true
			end
		end
		if not changed then
			return
		end
	end
end

--- Read a configuration.
---@param text string
---@return table<string, any>? values by dotted name: "training.optimizer.learn_rate"; no null
---@return th.Error? err code "bad_config", with the line
function M.decode(text)
	local values, section, key, parts, number = {}, nil, nil, {}, 0
	local function store()
		local value = key and decode(table.concat(parts, "\n"))
		if key then
			values[section .. "." .. key] = json.value(value)
		end
		key, parts = nil, {}
	end
	for line in (text .. "\n"):gmatch("([^\n]*)\n") do
		number = number + 1
		line = line:gsub("\r$", "")
		local name, first = line:match("^([%w_@*.-]+)%s*=%s*(.-)%s*$")
		local header = line:match("^%[([%w_.@-]+)%]%s*$")
		if header or name then
			store()
			section = header or section
			key, parts = name, { first }
		elseif key and line:find("^%s+%S") or line:find("^[%]}]") then
			parts[#parts + 1] = line
		elseif line:find("%S") and not line:find("^%s*[#;]") then
			return nil, { code = "bad_config", message = ("line %d is no setting"):format(number) }
		end
		if name and not section then
			return nil, { code = "bad_config", message = ("line %d stands in no section"):format(number) }
		end
	end
	store()
	resolve(values)
	return values
end

return M
