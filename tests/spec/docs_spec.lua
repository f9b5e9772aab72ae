-- config/dev/check_docs.lua: it finds the documents in order, and finds each kind of disagreement.
local lua = os.getenv("LUA") or "lua5.4"
local program = os.getenv("THHOST") or (os.getenv("PWD") .. "/build/thhost")

local function shell(command)
	local pipe = assert(io.popen(command .. " 2>&1"))
	local text = pipe:read("a")
	local _, _, status = pipe:close()
	return status, text
end

local function check(tree)
	return shell(("%s config/dev/check_docs.lua '%s' '%s'"):format(lua, program, tree))
end

local function read(path)
	local file <close> = assert(io.open(path))
	return file:read("a")
end

local function write(path, text)
	local file <close> = assert(io.open(path, "w"))
	assert(file:write(text))
end

--- Replace a plain text, which must be there, in a file.
local function change(path, old, new)
	local text = read(path)
	local from, to = text:find(old, 1, true)
	assert(from, ("%s does not hold '%s'"):format(path, old))
	write(path, text:sub(1, from - 1) .. new .. text:sub(to + 1))
end

describe("documents", function()
	local tree

	before_each(function()
		tree = select(2, shell("mktemp -d")):gsub("\n", "")
		assert.equal(0, (shell(("mkdir -p '%s/src' && cp -r README.md CHANGELOG.md CONTRIBUTING.md LICENSE "
			.. "docs config '%s' && cp -r --parents src/base/err.c src/cli/version.h src/model/conf_keys.c "
			.. "'%s'"):format(tree, tree, tree))))
	end)

	after_each(function()
		shell(("rm -rf '%s'"):format(tree))
	end)

	it("say what the program does", function()
		local status, text = check(".")
		assert.equal("", text)
		assert.equal(0, status)
	end)

	it("are in order in a copy too", function()
		assert.same({ 0, "" }, { check(tree) })
	end)

	for _, case in ipairs({
		{ "a verb that no section names", "docs/thhost.1", ".It Cm lineage\n", ".It Cm ancestry\n",
			"verb 'lineage' is missing" },
		{ "an option that a page lacks", "docs/thhost-list.1", "Fl s , Fl -stage", "Fl s",
			"thhost%-list.1: %-%-stage is missing" },
		{ "an option with another letter", "docs/thhost-run.1", "Fl d , Fl -dataset", "Fl x , Fl -dataset",
			"thhost%-run.1: %-%-dataset has the letter d" },
		{ "an option that no verb has", "docs/thhost-show.1", ".El\n", ".It Fl -weather\nrain\n.El\n",
			"'thhost show' has no option %-%-weather" },
		{ "a common option that a page lacks", "docs/thhost-exp.1", ".Fl -root Ar DIR ,\n", "",
			"thhost%-exp.1: %-%-root is missing" },
		{ "another default in the manual", "docs/thhost.ini.5", "grace_s = 10", "grace_s = 11",
			"thhost.ini.5: the default of 'run.grace_s' is '10', not '11'" },
		{ "another default in thhost.ini", "config/thhost.ini", "memory_mb = 64", "memory_mb = 65",
			"config/thhost.ini: the default of 'plugins.memory_mb' is '64', not '65'" },
		{ "a key that thhost.ini lacks", "config/thhost.ini", "pager = auto", "",
			"config/thhost.ini: 'ui.pager' is missing" },
		{ "a key that does not exist", "config/thhost.ini", "[ui]\n", "[ui]\nsound = loud\n",
			"there is no key 'ui.sound'" },
		{ "a variable that is not named", "docs/thhost.ini.5", "THHOST_GRACE", "THHOST_GRACIOUS",
			"thhost.ini.5: the variable THHOST_GRACE is missing" },
		{ "a part of a long default that is lost", "docs/thhost.ini.5", "WORLD_SIZE,", "",
			"the default of 'record.env_allow'" },
		{ "an exit status that README lacks", "README.md", "| 7 | spooled |", "| seven | spooled |",
			"README.md: exit status 7 %(spooled%) is missing" },
		{ "an exit status under another name", "README.md", "| 4 | busy |", "| 4 | lazy |",
			"README.md: exit status 4 is 'busy', not 'lazy'" },
		{ "an exit status that does not exist", "docs/thhost.1", ".It 70\n", ".It 71\n",
			"there is no exit status 71" },
		{ "a command with a verb that does not exist", "README.md", "$ thhost verify", "$ thhost inspect",
			"README.md: there is no verb 'inspect'" },
		{ "a command with an option that does not exist", "README.md", "$ thhost exp status",
			"$ thhost exp status --weather", "'thhost exp' has no option '%-%-weather'" },
		{ "a field that the manual lacks", "docs/training_info.5", ".It Li nonfinite\n", ".It Li infinite\n",
			"training_info.5: 'nonfinite' is there 0 times" },
		{ "a version without changes", "CHANGELOG.md", "0.1.0", "0.0.1", "CHANGELOG.md: version" },
		{ "a link that leads nowhere", "README.md", "(docs/plugins.md)", "(docs/plugin.md)",
			"README.md: the link 'docs/plugin.md' leads nowhere" },
	}) do
		it("are refused for " .. case[1], function()
			change(tree .. "/" .. case[2], case[3], case[4])
			local status, text = check(tree)
			assert.matches(case[5], text)
			assert.equal(1, status)
		end)
	end

	it("are refused for a README that is too long", function()
		write(tree .. "/README.md", read(tree .. "/README.md") .. ("\n"):rep(250))
		local status, text = check(tree)
		assert.matches("README.md: 250 lines or more", text)
		assert.equal(1, status)
	end)

	it("are refused where a page is missing", function()
		assert(os.remove(tree .. "/docs/thhost-repair.1"))
		local status, text = check(tree)
		assert.matches("docs/thhost%-repair.1: missing", text)
		assert.equal(1, status)
	end)
end)
