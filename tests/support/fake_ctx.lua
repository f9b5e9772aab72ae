--- A ctx over a real directory, in plain Lua, and a loader that gives a plugin only what the
-- sandbox gives it. For specs that run without the built binary; the host's own is in src/script.
local M = {}

local REPO = (os.getenv("THHOST_REPO") or "."):gsub("/$", "")

-- The names that the sandbox offers; everything else raises, so that a slip shows in a spec.
local BASE = {
	"assert", "error", "ipairs", "next", "pairs", "pcall", "select", "tonumber", "tostring", "type",
	"rawequal", "rawlen", "rawget", "getmetatable",
}

local function copy(library, without)
	local out = {}
	for name, value in pairs(library) do
		out[name] = value
	end
	for _, name in ipairs(without) do
		out[name] = nil
	end
	return out
end

local function slurp(path)
	local file, err = io.open(path, "rb")
	if not file then
		return nil, err
	end
	local text = file:read("a")
	file:close()
	return text
end
M.slurp = slurp

--- A `require` that finds only `th.*` and `cjson`.
local function new_require(env)
	local loaded = { cjson = require("cjson") }
	return function(name)
		if loaded[name] == nil then
			local part = name:match("^th%.([%w_]+)$")
				or error("module '" .. name .. "' is not offered to plugins", 2)
			local path = ("%s/lua/th/%s.lua"):format(REPO, part)
			loaded[name] = assert(load(assert(slurp(path)), "@" .. path, "t", env))()
		end
		return loaded[name]
	end
end

--- The environment of a plugin: allowed names only, read-only.
---@return table
function M.environment()
	local names = {
		string = copy(string, { "dump" }),
		table = copy(table, {}),
		math = copy(math, { "randomseed", "random" }),
		utf8 = copy(utf8, {}),
		setmetatable = function(value, meta)
			assert(not (meta and rawget(meta, "__gc")), "__gc is not allowed")
			return setmetatable(value, meta)
		end,
	}
	for _, name in ipairs(BASE) do
		names[name] = _G[name]
	end
	local env = setmetatable({}, {
		__index = function(_, name)
			local value = names[name]
			return value ~= nil and value or error("'" .. name .. "' is not offered to plugins", 2)
		end,
		__newindex = function(_, name)
			error("no globals: '" .. tostring(name) .. "'", 2)
		end,
		__metatable = false,
	})
	names.require = new_require(env)
	return env
end

--- Run a Lua file as the sandbox would.
---@param path string relative to the repository
---@return any
function M.load(path)
	local text = assert(slurp(REPO .. "/" .. path))
	return assert(load(text, "@" .. path, "t", M.environment()))()
end

-- Files ----------------------------------------------------------------------------------------

--- "checkpoint-500" before "checkpoint-10000": runs of digits compare as numbers.
local function natural_key(name)
	return (name:gsub("%d+", function(digits)
		return ("0"):rep(20 - #digits) .. digits -- of a hash there may be more than a number holds
	end))
end

local function natural_sort(files)
	table.sort(files, function(a, b)
		return natural_key(a.name) < natural_key(b.name)
	end)
	return files
end

--- Everything below `dir`, with size, time and kind.
local function walk(dir)
	local files = {}
	local command = "find '%s' -mindepth 1 -printf '%%P\\t%%s\\t%%T@\\t%%y\\n'"
	local pipe = assert(io.popen(command:format(dir)))
	for line in pipe:lines() do
		local name, size, time, kind = line:match("^(.-)\t(%d+)\t([%d.]+)\t(%a)$")
		files[#files + 1] = { name = name, size = tonumber(size), time = tonumber(time),
			mtime = os.date("!%Y-%m-%dT%H:%M:%S+00:00", math.floor(tonumber(time))), dir = kind == "d" }
	end
	pipe:close()
	return natural_sort(files)
end

local function glob_to_pattern(glob)
	local pattern = glob:gsub("[%-%.%+%[%]%(%)%$%^%%%?]", "%%%0")
	pattern = pattern:gsub("^%*%*/", "\1"):gsub("%*", "[^/]*"):gsub("\1", ".-")
	return "^" .. pattern .. "$"
end

local function matches(file, glob)
	local wants_dir = glob:sub(-1) == "/"
	return file.dir == wants_dir and not ("/" .. file.name):find("/%.")
		and file.name:find(glob_to_pattern((glob:gsub("/$", "")))) ~= nil
end

local function is_log(name)
	return not name:find("/") and (name:find("%.log$") or name:find("%.out$") or name == "log.txt")
end

local function find_input(files, pattern)
	local glob, found = pattern:gsub("%?$", ""), {}
	for _, file in ipairs(files) do
		if (glob == "@log" and not file.dir and is_log(file.name)) or
			(glob ~= "@log" and matches(file, glob)) then
			found[#found + 1] = file
		end
	end
	return found
end

--- The file that counts when no name is given: the last in natural order, of logs the newest.
local function default_file(found, pattern)
	local best = found[#found]
	if pattern:find("^@log") then
		for _, file in ipairs(found) do
			best = file.time > best.time and file or best
		end
	end
	return best
end

-- ctx ------------------------------------------------------------------------------------------

local Ctx = {}
Ctx.__index = Ctx

local function declared(self, input)
	return assert(self.files[input], "input '" .. tostring(input) .. "' is not declared")
end

local function pick(self, input, name)
	local found = declared(self, input)
	for _, file in ipairs(found) do
		if file.name == name then
			return file
		end
	end
	if name or #found == 0 then
		return nil, { code = "no_data", input = input, message = "no file for input " .. input }
	end
	return default_file(found, self.patterns[input])
end

function Ctx:has(input)
	return #declared(self, input) > 0
end

function Ctx:list(input)
	local out = {}
	for index, file in ipairs(declared(self, input)) do
		out[index] = { name = file.name, size = file.size, mtime = file.mtime, dir = file.dir }
	end
	return out
end

function Ctx:read(input, name, offset, length)
	local file, err = pick(self, input, name)
	if not file then
		return nil, err
	end
	local text = slurp(self.dir .. "/" .. file.name)
	offset = offset or 0
	return text:sub(offset + 1, length and offset + length or -1)
end

local function decoded(self, decode, input, name)
	local file, err = pick(self, input, name)
	if not file then
		return nil, err
	end
	local value
	value, err = decode(slurp(self.dir .. "/" .. file.name))
	if err then
		err.input, err.path = input, file.name
		return nil, err
	end
	return value
end

function Ctx:json(input, name)
	return decoded(self, require("th.json").decode, input, name)
end

--- Through the host's own reader, as far as YAML goes: `unit` holds it.
local function decode_yaml(text)
	local document, message = require("unit").conf.yaml(text)
	if not document then
		return nil, { code = "bad_yaml", message = message }
	end
	return require("th.json").decode(document)
end

function Ctx:yaml(input, name)
	return decoded(self, decode_yaml, input, name)
end

function Ctx:csv(input, name)
	return decoded(self, require("th.csv").decode, input, name)
end

function Ctx:lines(input, ...)
	return self:lines_of(input, nil, ...)
end

function Ctx:lines_of(input, name, ...)
	local text, needles = assert(self:read(input, name)), { ... }
	local iterator = require("th.lines").each(text)
	return function()
		for line, number in iterator do
			if #needles == 0 then
				return line, number
			end
			for _, needle in ipairs(needles) do
				if line:find(needle, 1, true) then
					return line, number
				end
			end
		end
	end
end

function Ctx:base(...)
	return assert(self.replaced, "there is no function to call: nothing was replaced")(self, ...)
end

---@class th.FakeOptions
---@field stage? string
---@field dataset? string
---@field exp? string
---@field argv? string[]

--- A ctx over `dir` for a plugin (or for a stage's override).
---@param plugin th.StagePlugin
---@param dir string
---@param options? th.FakeOptions
---@return table ctx its `warnings` collect what log.warn said
function M.new(plugin, dir, options)
	options = options or {}
	local warnings, files, all = {}, {}, walk(dir)
	for name, pattern in pairs(plugin.inputs) do
		files[name] = find_input(all, pattern)
		if #files[name] == 0 and not pattern:find("%?$") then
			return nil, ("input '%s' (%s) matches nothing in %s"):format(name, pattern, dir)
		end
	end
	return setmetatable({
		stage = options.stage or plugin.name, dataset = options.dataset or "hrds",
		exp = options.exp or "exp_test", now = "2025-12-11T10:30:00+08:00",
		argv = options.argv or {}, stage_dir_name = dir:match("([^/]+)/*$"),
		goals = plugin.metrics, dir = dir, files = files, patterns = plugin.inputs,
		warnings = warnings,
		log = {
			info = function() end,
			warn = function(message) warnings[#warnings + 1] = message end,
		},
	}, Ctx)
end

--- A stage plugin with a dataset's overrides laid over it; `inputs` and `metrics` by key.
---@param stage th.StagePlugin
---@param dataset th.DatasetPlugin
---@return th.StagePlugin
function M.override(stage, dataset)
	local merged, over = copy(stage, {}), dataset.stages[stage.name] or {}
	for field, value in pairs(over) do
		if field == "inputs" or field == "metrics" then
			merged[field] = copy(stage[field], {})
			for key, item in pairs(value) do
				merged[field][key] = item
			end
		elseif type(value) == "function" then
			merged[field] = function(ctx, ...)
				ctx.replaced = stage[field]
				return value(ctx, ...)
			end
		else
			merged[field] = value
		end
	end
	return merged
end

--- Where the corpus lies, or nil. In CI its absence is an error.
---@return string?
function M.corpus()
	local dir = os.getenv("THHOST_CORPUS") or REPO .. "/../shared/corpus"
	local probe = io.open(dir .. "/README.md")
	if probe then
		probe:close()
		return dir
	end
	assert(os.getenv("CI") ~= "true", "the corpus is missing at " .. dir)
end

return M
