local path = require("unit").file
local storage = require "support.storage"

describe("path: names", function()
	local good = {
		"hrds", "h", "my-data_set.v2", "业务数据", "a b", "x" .. ("y"):rep(99), "é", "tmp", "lock",
		"a.tmp.b", "~", "#1", "0",
	}
	for _, name in ipairs(good) do
		it(("takes %q"):format(name), function()
			assert.is_true(path.check_name("dataset", name))
		end)
	end

	local bad = {
		{ "", "it is empty" },
		{ ".", "starts with '.'" },
		{ "..", "starts with '.'" },
		{ ".hidden", "starts with '.'" },
		{ "-rf", "starts with '-'" },
		{ "a/b", "'/'" },
		{ "/etc", "'/'" },
		{ "a\\b", "'/'" },
		{ "a\nb", "control character" },
		{ "a\27[2J", "control character" },
		{ "a\127", "control character" },
		{ "a\u{9b}b", "control character" },
		{ "a\xff", "UTF-8" },
		{ "\xc0\xae\xc0\xae", "UTF-8" },
		{ "\xed\xa0\x80", "UTF-8" },
		{ ("x"):rep(101), "longer" },
		{ ("业"):rep(34), "longer" },
		{ "a.lock", ".lock" },
		{ "a.tmp", ".lock" },
		{ "training_info.json.bak", ".bak" },
	}
	for _, case in ipairs(bad) do
		it(("refuses %q and says why"):format(case[1]), function()
			local ok, message, code = path.check_name("dataset", case[1])
			assert.is_nil(ok)
			assert.equal("invalid", code)
			assert.is_truthy(message:find(case[2], 1, true), message)
			assert.is_truthy(message:find("dataset", 1, true), message)
		end)
	end

	it("checks every component of a relative path", function()
		assert.is_true(path.check_relative("reference", "exp_1/stage1_hrds"))
		for _, bad_path in ipairs({ "", "/a", "a/", "a//b", "a/../b", "../a", "a/./b", "a/-b",
			"a/.b" }) do
			local ok, _, code = path.check_relative("reference", bad_path)
			assert.is_nil(ok, bad_path)
			assert.equal("invalid", code)
		end
	end)
end)

describe("path: text", function()
	it("joins, splits and normalises", function()
		assert.equal("a/b", path.join("a", "b"))
		assert.equal("a/b", path.join("a/", "b"))
		assert.equal("b", path.join(".", "b"))
		assert.equal("b", path.join("", "b"))
		assert.equal("/b", path.join("/", "b"))
		assert.equal("b", path.base("a/b"))
		assert.equal("b", path.base("b"))
		assert.equal("a", path.dir("a//b"))
		assert.equal("/", path.dir("/b"))
		assert.equal(".", path.dir("b"))
		assert.equal("/a/c", path.absolute("/a//b/../c/."))
		assert.equal("/", path.absolute("/../.."))
		assert.equal(os.getenv("PWD") .. "/x", path.absolute("x"))
	end)

	it("shows one place from another", function()
		assert.equal("../stage1_hrds", path.relative_to("/r/e/stage1_hrds", "/r/e/stage1_hrdh"))
		assert.equal("b/c", path.relative_to("/a/b/c", "/a"))
		assert.equal("../..", path.relative_to("/a", "/a/b/c"))
		assert.equal(".", path.relative_to("/a/b", "/a/b"))
		assert.equal("../ab", path.relative_to("/x/ab", "/x/a"))
	end)
end)

describe("path: beneath a directory", function()
	local dir

	before_each(function()
		dir = storage.temp_dir()
		storage.shell("cd %s && mkdir -p in/sub out && ln -s sub in/here && ln -s ../out in/away && "
			.. "ln -s %s in/absolute && ln -s nowhere in/dangling && ln -s loop in/loop && "
			.. "touch in/sub/f out/f", dir, dir .. "/out")
	end)
	after_each(function()
		storage.remove(dir)
	end)

	local cases = {
		{ "sub/f" }, { "." }, { "sub" },
		{ "../out", "invalid" },
		{ "/etc", "invalid" },
		{ "away", "invalid" },
		{ "absolute", "invalid" },
		{ "loop", "invalid" },
		{ "dangling", "not_found" },
		{ "missing", "not_found" },
		{ "sub/f/x", "not_found" },
	}

	local function check(links_inside)
		for _, case in ipairs(cases) do
			local opened, _, code = path.open_beneath(dir .. "/in", case[1])
			assert.equal(case[2] == nil, opened ~= nil, case[1])
			assert.equal(case[2], code, case[1])
		end
		assert.equal(links_inside, path.open_beneath(dir .. "/in", "here/f") ~= nil)
	end

	it("opens what is inside, links too, and nothing that leads out", function()
		check(true)
	end)

	it("walks step by step, without any link, where the kernel has no openat2", function()
		if storage.skip_without(storage.has_strace, "strace") then
			return pending("no strace")
		end
		local code = [[
			local A = arg
			local file = unit.file
			assert(file.open_beneath(A[1] .. "/in", "sub/f"))
			assert(file.open_beneath(A[1] .. "/in", "."))
			for _, bad in ipairs({ "../out", "sub/../../out", "/etc", "away", "absolute", "loop",
				"here/f" }) do
				local fd, _, code = file.open_beneath(A[1] .. "/in", bad)
				assert(fd == nil and code == "invalid", bad)
			end
			local fd, _, code = file.open_beneath(A[1] .. "/in", "missing")
			assert(fd == nil and code == "not_found")
		]]
		storage.write(dir .. "/driver.lua", "local unit = require 'unit'; " .. code)
		local pid = path.spawn({ "strace", "-f", "-qq", "-o", "/dev/null", "-e",
			"inject=openat2:error=ENOSYS",
			"lua5.4", dir .. "/driver.lua", dir, err = dir .. "/err" })
		assert.same({ "exit", 0 }, { path.wait(pid) }, storage.read(dir .. "/err"))
	end)

	it("makes a directory once, and says what is in the way", function()
		assert.is_true(path.make_dir(dir, "new"))
		assert.is_false(path.make_dir(dir, "new"))
		local made, message, code = path.make_dir(dir .. "/out", "f")
		assert.is_nil(made)
		assert.equal("invalid", code)
		assert.is_truthy(message:find("no directory", 1, true))
	end)

	it("tells an absent directory from other trouble", function()
		assert.equal("not_found", select(3, path.open_dir(dir .. "/none")))
		assert.equal("failed", select(3, path.open_dir(dir .. "/out/f")))
	end)

	it("lists in natural order", function()
		storage.shell("cd %s && touch checkpoint-500 checkpoint-10000 .h", dir)
		assert.same({ ".h", "checkpoint-500", "checkpoint-10000", "in", "out" }, path.list(dir))
	end)
end)

describe("path: patterns", function()
	local dir

	setup(function()
		dir = storage.temp_dir()
		storage.shell("cd %s && mkdir -p checkpoint-500 checkpoint-10000 logs/a logs/b .git && "
			.. "touch checkpoint-500/s.json checkpoint-10000/s.json logs/a/x.log logs/b/y.log top.log "
			.. ".hidden.log é.txt .git/x.log && ln -s /etc away && ln -s logs inside", dir)
	end)
	teardown(function()
		storage.remove(dir)
	end)

	local cases = {
		{ "*.log", { "top.log" } },
		{ ".*.log", { ".hidden.log" } },
		{ "checkpoint-*/s.json", { "checkpoint-500/s.json", "checkpoint-10000/s.json" } },
		{ "checkpoint-*/", { "checkpoint-500", "checkpoint-10000" } },
		{ "*/*/*.log", { "inside/a/x.log", "inside/b/y.log", "logs/a/x.log", "logs/b/y.log" } },
		{ "?.txt", { "é.txt" } },
		{ "logs/?/x.log", { "logs/a/x.log" } },
		{ "top.log", { "top.log" } },
		{ "./top.log", { "top.log" } },
		{ "top.log/", {} },
		{ "none", {} },
		{ "away/*", {} },
		{ "away", {} },
		{ ".git/*.log", { ".git/x.log" } },
		{ "*[a-z]*", {} },
		{ ".", {} },
	}
	for _, case in ipairs(cases) do
		it(("expands %s"):format(case[1]), function()
			assert.same(case[2], path.glob(dir, case[1]))
		end)
	end

	it("refuses to leave the directory or to find more than asked for", function()
		for _, pattern in ipairs({ "", "/etc/*", "../*", "logs/../../*" }) do
			assert.equal("invalid", select(3, path.glob(dir, pattern)), pattern)
		end
		assert.equal("invalid", select(3, path.glob(dir, "*/*/*.log", 3)))
		assert.equal(4, #path.glob(dir, "*/*/*.log", 4))
	end)

	it("gives up where too much would have to be looked at", function()
		storage.shell("cd %s && mkdir wide && cd wide && mkdir one && cd one && seq 400 | xargs touch "
			.. "&& cd .. && for i in $(seq 300); do ln -s one l$i; done", dir)
		assert.equal(300, #path.glob(dir, "wide/l*/400", 1000))
		local _, message, code = path.glob(dir, "wide/l*/*", 1000)
		assert.equal("invalid", code)
		assert.matches("more than 100000 names", message)
	end)

	it("is quick with many stars", function()
		storage.write(dir .. "/" .. ("a"):rep(200), "")
		local begun = os.clock()
		assert.same({}, path.glob(dir, ("*a"):rep(60) .. "b"))
		assert.is_true(os.clock() - begun < 1)
	end)
end)

describe("a pattern for any depth", function()
	local dir

	setup(function()
		dir = storage.temp_dir()
		storage.shell("cd %s && mkdir -p 1/2/3/4/5/6/7/8/9 run-2/.hydra run-10 .git && "
			.. "touch top.json 1/a.json 1/2/3/4/5/6/7/8/deep.json 1/2/3/4/5/6/7/8/9/deeper.json "
			.. "run-2/.hydra/c.yaml run-2/m.json run-10/m.json .git/x.json .x.json && "
			.. "ln -s /etc away && ln -s ../1 run-2/inside && ln -s ../top.json run-2/link.json && "
			.. "ln -s /etc/passwd run-2/out.json && mkfifo run-2/pipe.json", dir)
	end)
	teardown(function()
		storage.remove(dir)
	end)

	it("finds files to 8 directories down, and enters neither links nor what is hidden", function()
		assert.same({ "1/2/3/4/5/6/7/8/deep.json", "1/a.json", "run-2/link.json", "run-2/m.json",
			"run-2/pipe.json", "run-10/m.json", "top.json" }, path.glob(dir, "**/*.json"))
	end)

	it("may name what is hidden, and several components", function()
		assert.same({ "run-2/.hydra/c.yaml" }, path.glob(dir, "**/.hydra/*.yaml"))
		assert.same({ "run-2/m.json", "run-10/m.json" }, path.glob(dir, "**/run-*/m.json"))
	end)

	it("finds directories only where it ends in a slash", function()
		assert.same({}, path.glob(dir, "**/run-*"))
		assert.same({ "run-2", "run-10" }, path.glob(dir, "**/run-*/"))
	end)

	it("is cut where it matches too much, the deepest first", function()
		assert.same({ "1/a.json", "top.json" }, path.glob(dir, "**/*.json", 2))
		assert.equal(7, #path.glob(dir, "**/*.json", 7))
	end)

	it("must stay in the directory as others must", function()
		assert.equal("invalid", select(3, path.glob(dir, "**/../*")))
	end)
end)
