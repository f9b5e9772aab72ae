--- A fresh artifact root with a home of its own, and thhost run in it.
local cjson = require "cjson"
local cli = require "support.cli"

---@class support.Tree
---@field dir string a fresh directory, where commands run
---@field root string dir/artifact
local Tree = {}
Tree.__index = Tree

local M = {}

--- A directory without a root; t:close() removes it.
---@return support.Tree
function M.bare()
	local dir = cli.temp_dir()
	return setmetatable({ dir = dir, root = dir .. "/artifact" }, Tree)
end

--- The same with an experiment 'exp_1' that is in use.
---@return support.Tree
function M.new()
	local t = M.bare()
	t:ok { "exp", "new", "exp_1" }
	return t
end

function Tree:close()
	cli.remove(self.dir)
end

---@param args string[]
---@param options? table as for cli.run
---@return support.Result
function Tree:run(args, options)
	options = options or {}
	local env = { HOME = self.dir .. "/home", XDG_CONFIG_HOME = self.dir .. "/home/config",
		XDG_STATE_HOME = self.dir .. "/home/state" }
	for name, value in pairs(options.env or {}) do
		env[name] = value
	end
	return cli.run(args, { cwd = options.cwd or self.dir, env = env, input = options.input,
		prefix = options.prefix, program = options.program })
end

--- Run and insist on status 0.
function Tree:ok(args, options)
	local result = self:run(args, options)
	assert(result.status == 0, ("%s: status %s\n%s%s"):format(table.concat(args, " "),
		result.status, result.out, result.err))
	return result
end

--- Run with --json, insist on 'status' (default 0), and decode what came.
function Tree:json(args, status, options)
	local words = { table.unpack(args) }
	table.insert(words, 2, "--json")
	local result = self:run(words, options)
	assert(result.status == (status or 0), ("status %s: %s%s"):format(result.status, result.out,
		result.err))
	return cjson.decode(result.out), result
end

--- Record plainly in stage1 on a data set, 10 steps unless 'more' says so.
function Tree:record(dataset, ...)
	return self:ok { "record", "stage1", "-d", dataset, "--steps", "10", ... }
end

--- Every name below, with its kind, mode and content; locks only by their names.
---@return string
function Tree:snapshot()
	return cli.shell(([[cd '%s' && { find . -printf '%%y %%m %%p %%l\n' | sort
		find . -type f ! -name '*.lock' -print0 | sort -z | xargs -0r sha256sum; }]]):format(self.dir))
end

function Tree:read(name)
	return cli.read(self.root .. "/" .. name)
end

--- The record of a stage directory of exp_1, decoded.
function Tree:info(name)
	return cjson.decode((assert(self:read("exp_1/" .. name .. "/training_info.json"))))
end

--- Write a file below the root, with its directories.
function Tree:write(name, text)
	local path = self.root .. "/" .. name
	cli.shell("mkdir -p " .. cli.quote((path:gsub("/[^/]*$", ""))))
	cli.write(path, text)
	return path
end

local function lines_of(text)
	local lines = {}
	for line in text:gmatch("[^\n]+") do
		lines[#lines + 1] = line
	end
	return lines
end

--- One line of an error, one hint at most, and nothing else.
local function check_talk(result)
	local lines = lines_of(result.err)
	assert(lines[1] and lines[1]:match("^thhost: ") and not lines[1]:match("^thhost: warning"),
		"no error line: " .. result.err)
	assert(#lines == 1 or (#lines == 2 and lines[2]:match("^hint: ")), "too much talk: " .. result.err)
end

--- The command fails with 'status' and says 'message' (a plain text) on one line; nothing changes.
--- The same holds with --json, where the last line is the error as an object, which is returned.
function Tree:refused(status, message, args, options)
	local before = self:snapshot()
	local result = self:run(args, options)
	assert(result.status == status, ("%s: status %s, not %d: %s%s"):format(table.concat(args, " "),
		result.status, status, result.out, result.err))
	assert(result.err:find(message, 1, true), ("'%s' is not in: %s"):format(message, result.err))
	assert(result.out == "", "printed all the same: " .. result.out)
	check_talk(result)
	local words = { table.unpack(args) }
	table.insert(words, 2, "--json")
	result = self:run(words, options)
	local lines = lines_of(result.err)
	local object = cjson.decode(lines[#lines]).error
	assert(object.exit == status and result.status == status, "other status with --json")
	assert(object.message:find(message, 1, true) or tostring(object.hint):find(message, 1, true),
		object.message)
	assert(before == self:snapshot(), "something changed on the disk")
	return object
end

M.is_null = function(value)
	return value == cjson.null
end

return M
