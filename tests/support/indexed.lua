--- A tree with an index of its own, and its answers compared with those of the files.
local cjson = require "cjson"
local cli = require "support.cli"
local tree = require "support.tree"

local M = {}

---@class support.Indexed: support.Tree
---@field now integer what thhost takes for the time: far enough on that nothing is racy
---@field prefix? string words before each of the following commands
local Indexed = setmetatable({}, { __index = getmetatable(tree.bare()) })
Indexed.__index = Indexed

--- Three stage directories in exp_1, one of them with a run that failed, and one in exp_2.
---@return support.Indexed
function M.new()
	local t = setmetatable(tree.new(), Indexed)
	t.now = os.time() + 1000
	for _, dataset in ipairs { "a", "b", "c" } do
		t:record(dataset, "-m", "f1=0.5", "-m", "per_class.title=0.25")
	end
	t:run { "run", "stage1", "-d", "c", "--generic", "--", "false" }
	t:ok { "exp", "new", "exp_2" }
	t:record("a", "-m", "f1=0.75")
	return t
end

--- Later by more than any clock's tick.
function Indexed:later()
	self.now = self.now + 10
end

function Indexed:options(more)
	local env = { XDG_CACHE_HOME = self.dir .. "/cache", TMPDIR = self.dir,
		THHOST_TEST_NOW = tostring(self.now) }
	for name, value in pairs(more and more.env or {}) do
		env[name] = value
	end
	return { env = env, prefix = more and more.prefix or self.prefix, cwd = more and more.cwd }
end

--- thhost index sync; the state that it prints, decoded.
function Indexed:sync(...)
	return cjson.decode(self:ok({ "index", "sync", "--json", ... }, self:options()).out)
end

--- The same without a change.
function Indexed:status(...)
	return cjson.decode(self:ok({ "index", "status", "--json", ... }, self:options()).out)
end

--- Everything is in the index, and nothing of it in doubt.
function Indexed:settle(...)
	self:later()
	self:sync(...)
	self:later()
	local state = self:sync(...)
	assert(state.fresh and state.racy == 0, cjson.encode(state))
	self:later()
	return state
end

local forms = {
	{ "list", "--json" },
	{ "list", "--json", "--runs" },
	{ "list", "--json", "--exp", "exp_1" },
	{ "list", "--json", "--dataset", "b" },
	{ "list", "--json", "--stage", "stage1" },
	{ "list", "--json", "-F", "metrics.f1 > 0.6" },
	{ "strategies", "--json" },
}

--- Every answer is that of the files, to the byte. Returns the first, decoded.
---@param more? string[] further words, as "--root", DIR
---@param options? { env?: table<string, string>, prefix?: string, is_unused?: boolean,
---   is_brief?: boolean } env and prefix of the runs with the index; is_unused: it may not be, and says so;
---   is_brief: not in all forms
function Indexed:same(more, options)
	options = options or {}
	local first
	for _, form in ipairs { table.unpack(forms, 1, options.is_brief and 2 or #forms) } do
		local words = table.move(form, 1, #form, 1, {})
		table.move(more or {}, 1, #(more or {}), #words + 1, words)
		local by_index = self:run(words, self:options(options))
		words[#words + 1] = "--no-index"
		local by_files = self:run(words, self:options())
		local name = table.concat(words, " ")
		assert(by_index.out == by_files.out, ("%s:\n%s\nwith the index:\n%s%s"):format(name,
			by_files.out, by_index.out, by_index.err))
		assert(by_index.status == by_files.status, name .. ": another status")
		local talk = by_index.err:gsub("thhost: the index is not used: [^\n]*\n", "")
		assert(talk == by_files.err, ("%s said:\n%s\nwithout the index:\n%s"):format(name,
			by_index.err, by_files.err))
		assert(options.is_unused or talk == by_index.err, by_index.err)
		first = first or cjson.decode(by_files.out)
	end
	return first
end

--- The file of the only index.
function Indexed:file()
	return (cli.shell(("ls '%s'/cache/thhost/index/*.sqlite"):format(self.dir)))
end

--- Change the index behind thhost's back.
function Indexed:tamper(sql, ...)
	local words = { ("python3 - %s <<'END'\nimport sqlite3, sys\n"):format(cli.quote(self:file())) }
	words[#words + 1] = "db = sqlite3.connect(sys.argv[1])\n"
	for _, statement in ipairs { sql, ... } do
		words[#words + 1] = ("db.execute(%q)\n"):format(statement)
	end
	words[#words + 1] = "db.commit()\nEND\n"
	return cli.shell(table.concat(words))
end

return M
