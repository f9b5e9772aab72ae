--- A large root made by tests/bench/tree.c, and its answers as jq computes them from the files: the
--- code that is tested has no part in them.
local cjson = require "cjson"
local cli = require "support.cli"

---@class support.Scale
---@field dir string a fresh directory
---@field root string dir/artifact
---@field prefix string what lets modes of files count, where the tests run as root
---@field options string[] added to each question: {} or { "--no-index" }
---@field refs_of_broken string[]|nil
local Scale = {}
Scale.__index = Scale

local M = {}

local quote = cli.quote
local here = cli.shell "pwd"

--- What is a record by the names that tree_foul.c gives, or by what 'list' promises of checkpoints and
--- depth; from the root.
local RECORDS = [[find . -maxdepth 33 \( -name 'stage1_none*' -o -name 'stage1_bad*' -o -name 'checkpoint-*' \)]] ..
	[[ -prune -o -name training_info.json -type f -print0]]
local BROKEN = "find . -name 'stage1_bad*' -printf '%P\\n'"

--- The generator, compiled once for all specs of a run.
---@return string path
function M.generator()
	local path = assert(os.getenv("THHOST_TEST_HOME"), "run the specs through 'make test'") .. "/tree"
	if not cli.read(path) then
		cli.shell(("%s -std=gnu11 -O2 -o %s tests/bench/tree.c tests/bench/tree_foul.c"):format(
			os.getenv("CC") or "cc", quote(path)))
	end
	return path
end

--- Make a root; 'how' are further words for the generator. s:close() removes it.
---@param records integer
---@param how? string
---@return support.Scale
function M.new(records, how)
	local s = setmetatable({ dir = cli.temp_dir(), prefix = "", options = {} }, Scale)
	s.root = s.dir .. "/artifact"
	cli.shell(("%s %s --records %d %s"):format(M.generator(), quote(s.root), records, how or ""))
	if cli.shell "id -u" == "0" then
		s.prefix = "setpriv --reuid=65534 --regid=65534 --clear-groups"
		cli.shell(("chmod 755 %s && install -d -m 777 %s/home"):format(quote(s.dir), quote(s.dir)))
	end
	return s
end

function Scale:close()
	cli.remove(self.dir)
end

local helps = {}

--- Does this command know the option?
---@param command string
---@param option string
---@return boolean
function M.has_option(command, option)
	helps[command] = helps[command] or cli.run({ command, "--help" }).out
	return helps[command]:find(option, 1, true) ~= nil
end

--- The ways to come by an answer: from the files, and, where there is one, through the index.
---@return { name: string, options: string[], uses_index: boolean }[]
function M.ways()
	if not M.has_option("list", "--no-index") then
		return { { name = "from the files", options = {}, uses_index = false } }
	end
	return { { name = "from the files", options = { "--no-index" }, uses_index = false },
		{ name = "through the index", options = {}, uses_index = true } }
end

--- Run thhost below this root; its output is in the file dir/NAME.
---@param name string
---@param args string[]
---@return string path
---@return integer status
---@return string err
function Scale:ask(name, args)
	local home = self.dir .. "/home"
	local words = { "HOME=" .. quote(home), "XDG_CACHE_HOME=" .. quote(home .. "/cache"),
		"XDG_STATE_HOME=" .. quote(home .. "/state"), "XDG_CONFIG_HOME=" .. quote(home .. "/config"),
		self.prefix, quote(cli.thhost), quote(args[1]), "--root", quote(self.root) }
	for i = 2, #args do
		words[#words + 1] = quote(args[i])
	end
	for _, option in ipairs(self.options) do
		words[#words + 1] = M.has_option(args[1], option) and option or nil
	end
	local path = self.dir .. "/" .. name
	local _, how, status = os.execute(("env %s >%s 2>%s.err </dev/null"):format(table.concat(words, " "),
		quote(path), quote(path)))
	return path, how == "signal" and 128 + status or status, cli.read(path .. ".err")
end

--- What a jq program makes of all records, one after the other.
---@param program string words for jq
---@return string command
function Scale:over_records(program)
	return ("cd %s && %s | xargs -0 jq -c %s"):format(quote(self.root), RECORDS, program)
end

--- The file dir/rows: what the answers need of each record, a line each (answers.jq).
---@return string path
function Scale:rows()
	local path = self.dir .. "/rows"
	if not cli.read(path) then
		cli.shell(self:over_records("-f " .. quote(here .. "/tests/support/answers.jq")) .. " >" .. quote(path))
	end
	return path
end

--- The names of the records that cannot be read.
---@return string[] sorted
function Scale:broken()
	if self.refs_of_broken then
		return self.refs_of_broken
	end
	local refs = {}
	for line in cli.shell(("cd %s && %s | LC_ALL=C sort"):format(quote(self.root), BROKEN)):gmatch("[^\n]+") do
		if not line:find("/.*/") then -- not what lies in one of them
			refs[#refs + 1] = line
		end
	end
	self.refs_of_broken = refs
	return refs
end

--- The lines that a command prints, decoded; a refusal of jq fails the spec.
---@param program string
---@param file string
---@param more? string options for jq
---@return table
function M.jq(program, file, more)
	local out = file .. ".out"
	cli.shell(("jq -c %s %s %s >%s"):format(more or "", quote(program), quote(file), quote(out)))
	local values = {}
	for line in io.lines(out) do
		values[#values + 1] = cjson.decode("[" .. line .. "]")[1]
	end
	os.remove(out)
	return values
end

--- The two commands print the same lines, in whatever order, and at least one.
---@param expected string
---@param actual string
---@return integer lines
function Scale:same_lines(expected, actual)
	local a, b = quote(self.dir .. "/expected"), quote(self.dir .. "/actual")
	cli.shell(("{ %s; } | LC_ALL=C sort >%s"):format(expected, a))
	cli.shell(("{ %s; } | LC_ALL=C sort >%s"):format(actual, b))
	local difference = cli.shell(("diff %s %s | cut -c 1-500 | head -n 6"):format(a, b))
	local n = tonumber(cli.shell("wc -l <" .. a))
	cli.shell(("rm -f %s %s"):format(a, b))
	assert(difference == "", difference)
	assert(n > 0, "nothing was compared")
	return n
end

return M
