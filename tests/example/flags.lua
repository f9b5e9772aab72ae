--- Command-line flags in the manner of Python's argparse: --name value, --name=value.

local data = require "data"

local M = {}

---@class example.Flag
---@field kind "integer"|"real"|"switch"|"text"|"dataset"
---@field default? any
---@field least? number the smallest value allowed
---@field required? boolean

local PARSERS = {}

function PARSERS.integer(text)
	return text:match("^[-+]?%d+$") and math.tointeger(tonumber(text)), "invalid int value: '%s'"
end

function PARSERS.real(text)
	local number = tonumber(text)
	return number and number - number == 0 and number + 0.0, "invalid float value: '%s'"
end

function PARSERS.switch(text)
	local value = ({ ["true"] = true, ["false"] = false })[text:lower()]
	return value, "expected true or false, got '%s'"
end

function PARSERS.text(text)
	return text ~= "" and text, "expected a value, got '%s'"
end

function PARSERS.dataset(text)
	return data.is_dataset(text) and text, "unknown dataset '%s'; known are hrds, hrdh, my_biz"
end

local function parse_value(name, flag, text)
	local value, complaint = PARSERS[flag.kind](text)
	if value == nil or (value == false and flag.kind ~= "switch") then
		return nil, ("argument --%s: %s"):format(name, complaint:format(text))
	end
	if flag.least and value < flag.least then
		return nil, ("argument --%s: must be at least %s, got %s"):format(name, flag.least, text)
	end
	return value
end

--- The text that belongs to the flag at 'at', and how many words it takes.
local function text_of(flag, words, at, attached)
	if attached then
		return attached, 1
	end
	local following = words[at + 1]
	if following and not following:find("^%-%-") then
		return following, 2
	end
	return flag.kind == "switch" and "true" or nil, 1
end

local function parse_words(spec, words, options)
	local at = 1
	while at <= #words do
		local name, attached = words[at]:match("^%-%-([%w_]+)=?(.*)$")
		local flag = name and spec[name]
		if not flag then
			return "unrecognized arguments: " .. words[at]
		end
		local text, used = text_of(flag, words, at, words[at]:find("=", 1, true) and attached)
		if not text then
			return ("argument --%s: expected one argument"):format(name)
		end
		local value, message = parse_value(name, flag, text)
		if message then
			return message
		end
		options[name] = value
		at = at + used
	end
end

local function missing(spec, options)
	for name, flag in pairs(spec) do
		if flag.required and options[name] == nil then
			return "the following arguments are required: --" .. name
		end
	end
end

--- Parse the words after the stage's name.
---@param spec table<string, example.Flag>
---@param words string[]
---@return table<string, any>? options one value per flag, defaults filled in
---@return string? message
function M.parse(spec, words)
	local options = {}
	for name, flag in pairs(spec) do
		options[name] = flag.default
	end
	local message = parse_words(spec, words, options) or missing(spec, options)
	if message then
		return nil, message
	end
	return options
end

--- The flags that every stage has, and those given.
---@param own table<string, example.Flag>
---@return table<string, example.Flag>
function M.with_common(own)
	local spec = {
		dataset = { kind = "dataset", default = "hrds" },
		output_dir = { kind = "text", required = true },
		seed = { kind = "integer", default = 42 },
		fail_at_step = { kind = "integer", least = 1 },
		sleep_ms = { kind = "integer", default = 0, least = 0 },
		diverge = { kind = "switch", default = false },
	}
	for name, flag in pairs(own) do
		spec[name] = flag
	end
	return spec
end

return M
