--- compare: what git says of the commits that models were trained at.
local cli = require "support.cli"
local runs = require "support.runs"
local tree = require "support.tree"

local t

--- A shell command in the repository 'name', by an author and without anybody's settings.
local function git(name, text)
	return (cli.shell(("cd %s && export HOME=%s GIT_CONFIG_NOSYSTEM=1 && %s"):format(
		cli.quote(t.dir .. "/" .. name), cli.quote(t.dir), text)):gsub("%s+$", ""))
end

local function commit(name, message)
	git(name, "git add -A && git -c user.name=a -c user.email=a@b commit -q -m " .. message)
	return git(name, "git rev-parse HEAD")
end

local function lines(first, last)
	local text = {}
	for i = first, last do
		text[#text + 1] = "line " .. i .. "\n"
	end
	return table.concat(text)
end

--- Two commits: 3 lines of train.py for 4 others and 5 more, a file more, one less, one renamed, one
--- that is no text.
local function two_commits(name)
	cli.shell("mkdir -p " .. cli.quote(t.dir .. "/" .. name .. "/deep"))
	local base = t.dir .. "/" .. name .. "/"
	git(name, "git init -q")
	cli.write(base .. "train.py", lines(1, 20))
	cli.write(base .. "gone.py", lines(1, 4))
	cli.write(base .. "old name.py", lines(100, 140))
	cli.write(base .. "blob", "a\0b")
	local first = commit(name, "one")
	cli.write(base .. "train.py", lines(4, 25))
	cli.write(base .. "deep/new.py", lines(200, 206))
	git(name, "git mv 'old name.py' 'new name.py' && rm gone.py")
	cli.write(base .. "blob", "a\0c")
	return first, commit(name, "two")
end

local function write(name, sha)
	t:write("exp_1/" .. name .. "/training_info.json", ([[{"model_name": "m", "stage": "stage1",
"final_checkpoint": "", "base_model": "b", "created_at": "2025-01-01T00:00:00",
"last_updated": "2025-01-01T01:00:00", "total_steps": 5, "last_dataset": "d",
"training_history": [{"dataset": "d", "steps": 5, "start_time": "2025-01-01T00:00:00",
"end_time": "2025-01-01T01:00:00", "metrics": {}, "git": {"commit": "%s"}}]}]]):format(sha))
end

local function compare(...)
	return { "compare", "--root", t.root, "stage1_a", "stage1_b", ... }
end

describe("compare of commits", function()
	before_each(function()
		t = tree.new()
	end)
	after_each(function()
		t:close()
	end)

	it("counts files and lines, and names them with --all and in JSON", function()
		local first, second = two_commits("code")
		write("stage1_a", first)
		write("stage1_b", second)
		local here = { cwd = t.dir .. "/code/deep" }
		local page = t:ok(compare(), here).out
		assert.matches("\ngit%.commit +" .. first:sub(1, 12) .. " +" .. second:sub(1, 12)
			.. " +5 files, %+12 %-7\n", page)
		assert.is_nil(page:find("train.py", 1, true))
		page = t:ok(compare("--all"), here).out
		assert.truthy(page:find(("\ngit %s..%s  5 files, +12 -7\n"):format(first:sub(1, 12),
			second:sub(1, 12)), 1, true), page)
		assert.matches("\n  train%.py +%+5 +%-3\n", page)
		assert.matches("\n  old name%.py %-> new name%.py +%+0 +%-0\n", page)
		assert.matches("\n  blob +binary\n", page)
		local diffs = t:json(compare(), 0, here).git_diffs
		assert.are.equal(1, #diffs)
		local changed = diffs[1].changed
		diffs[1].changed = nil
		assert.same({ from = first, to = second, repository = t.dir .. "/code/deep", files = 5,
			insertions = 12, deletions = 7 }, diffs[1])
		assert.same({ { path = "blob", binary = true }, { path = "deep/new.py", insertions = 7,
			deletions = 0 }, { path = "gone.py", insertions = 0, deletions = 4 }, { path = "new name.py",
			old_path = "old name.py", insertions = 0, deletions = 0 }, { path = "train.py",
			insertions = 5, deletions = 3 } }, changed)
	end)

	it("finds the repository where the training ran", function()
		t:close()
		t = runs.tree()
		cli.shell("mkdir -p " .. cli.quote(t.dir .. "/code"))
		git("code", "git init -q")
		for i = 3, 9, 6 do
			cli.write(t.dir .. "/code/train.py", lines(1, i))
			commit("code", "m" .. i)
			t:ok(runs.tiny(runs.write_result, "--exp", "exp_1"),
				{ cwd = t.dir .. "/code", env = { THHOST_ROOT = t.root, THHOST_PLUGINS = t.dir .. "/plugins" } })
		end
		local diff = t:json({ "compare", "--root", t.root, "tiny_d#1", "tiny_d#2" }, 0,
			{ cwd = "/" }).git_diffs[1]
		assert.same({ t.dir .. "/code", 1, 6, 0 }, { diff.repository, diff.files, diff.insertions,
			diff.deletions })
	end)

	it("says why there is none in JSON and with --all, and is silent else", function()
		local first, second = two_commits("code")
		write("stage1_a", first)
		write("stage1_b", second)
		local nowhere = { cwd = t.dir }
		local page = t:ok(compare(), nowhere)
		assert.is_nil(page.out:find("repository", 1, true))
		assert.are.equal("", page.err)
		assert.matches("\ngit %x+%.%.%x+  no repository at hand %(git: not a git repository",
			t:ok(compare("--all"), nowhere).out)
		assert.matches("not a git repository", t:json(compare(), 0, nowhere).git_diffs[1].error)
		write("stage1_b", ("0123456789"):rep(4))
		assert.are.equal("no repository at hand has commit " .. ("0123456789"):rep(4),
			t:json(compare(), 0, { cwd = t.dir .. "/code" }).git_diffs[1].error)
		write("stage1_b", first)
		assert.same({}, t:json(compare(), 0, nowhere).git_diffs)
		-- What is no name of a commit is not for git to interpret.
		write("stage1_b", "--output=" .. t.dir .. "/evil")
		assert.same({}, t:json(compare(), 0, { cwd = t.dir .. "/code" }).git_diffs)
	end)

	it("lets neither a hook's variables nor settings decide", function()
		local first, second = two_commits("code")
		write("stage1_a", first)
		write("stage1_b", second)
		git("code", "git config diff.external false && git config diff.orderFile none"
			.. " && git config diff.renames false && git config diff.relative true"
			.. " && git config core.fsmonitor false && echo '*.py diff=x' >.gitattributes"
			.. " && git config diff.x.textconv false && git config diff.x.command false")
		local diff = t:json(compare(), 0, { cwd = t.dir .. "/code/deep", env = { GIT_DIR = "/nowhere",
			GIT_EXTERNAL_DIFF = "false", GIT_DIFF_OPTS = "-u0" } }).git_diffs[1]
		assert.same({ 5, 12, 7 }, { diff.files, diff.insertions, diff.deletions })
	end)

	it("does not wait for a git that does not answer", function()
		local first, second = two_commits("code")
		write("stage1_a", first)
		write("stage1_b", second)
		cli.shell("mkdir " .. cli.quote(t.dir .. "/bin"))
		cli.write(t.dir .. "/bin/git", "#!/bin/sh\nexec sleep 60\n")
		cli.shell("chmod +x " .. cli.quote(t.dir .. "/bin/git"))
		local diff = t:json(compare(), 0, { cwd = t.dir .. "/code", env = { THHOST_TEST_DEADLINE_MS = "50",
			PATH = t.dir .. "/bin:" .. os.getenv("PATH") } }).git_diffs[1]
		assert.matches("git gave no answer", diff.error)
	end)

	it("asks for each commit once, and lets no file's name act upon the terminal", function()
		local first, second = two_commits("code")
		cli.write(t.dir .. "/code/evil\27[31m\n", "1\n")
		local third = commit("code", "three")
		for i, sha in ipairs { first, second, third, third } do
			write("stage1_" .. ("abcd"):sub(i, i), sha)
		end
		local args = compare("stage1_c", "stage1_d")
		local here = { cwd = t.dir .. "/code" }
		local diffs = t:json(args, 0, here).git_diffs
		assert.same({ second, third }, { diffs[1].to, diffs[2].to })
		assert.are.equal(6, diffs[2].files)
		args[#args + 1] = "--all"
		local page = t:ok(args, here).out
		assert.is_nil(page:find("\27", 1, true))
		local _, n = page:gsub("6 files, %+13 %-7", "")
		assert.are.equal(3, n) -- two columns and a section
	end)
end)
