--- What is kept of a batch: damaged, out of reach, or on a disk that fails. Nothing of it is taken for
--- something else, and what was done is done once.
local batches = require "support.batches"
local cli = require "support.cli"
local runs = require "support.runs"

local t

local TEXT = "[defaults]\nstage = tiny\ncommand = sh {file_dir}/train.sh\n[job a]\ndataset = a\n"
	.. "[job r]\ndataset = r\nsteps = 3\n[job b]\ndataset = b\ninit_from = a\nafter = r\n"

local function tree(text)
	t = batches.tree(text or TEXT)
	batches.write(t, "train.sh", runs.write_result)
end

local function done()
	if t then
		t:close()
	end
	t = nil
end

--- The ids of all batches, oldest first.
local function ids()
	local list = {}
	for id in cli.shell("ls " .. t.root .. "/.thhost/batches"):gmatch("[^\n]+") do
		list[#list + 1] = id
	end
	return list
end

local function path_of(id, name)
	return ("%s/.thhost/batches/%s/%s"):format(t.root, id, name)
end

--- A batch that has come to its end.
---@return string id
local function finished(text)
	tree(text)
	t:ok { "batch", "run", "b.ini" }
	return ids()[1]
end

--- strace in front of a command: this call on these paths answers `errno`.
local function failing(call, errno, when, ...)
	local words = { "strace -qq -o /dev/null" }
	for _, path in ipairs { ... } do
		words[#words + 1] = "-P " .. cli.quote(path)
	end
	for name, k in pairs(type(call) == "table" and call or { [call] = when }) do
		words[#words + 1] = ("-e inject=%s:error=%s:when=%s"):format(name, errno, k)
	end
	return table.concat(words, " ")
end

--- Every job has been done, once.
local function check_done(told)
	local result = t:run { "batch", "run", "b.ini", "--resume" }
	assert(result.status == 0, ("%s: status %s\n%s%s"):format(told, result.status, result.out, result.err))
	for name, n in pairs { a = 1, b = 2, r = 1 } do
		assert.equal(n, #t:info("tiny_" .. name).training_history, told)
	end
	for _, name in ipairs { "a", "b" } do
		local recorded = 0
		for _, run in ipairs(runs.journal(t, "tiny_" .. name)) do
			recorded = recorded + (run.state == "recorded" and 1 or 0)
		end
		assert.equal(1, recorded, told)
	end
	t:ok { "verify" }
end

describe("a damaged batch", function()
	after_each(done)

	for _, case in ipairs {
		{ "is no JSON", "^{", "[", "expected" },
		{ "has no schema of ours", "^.*$", "{}", "not the state of a batch" },
		{ "has no root", '"root": "[^"]*"', '"root": null', "not the state of a batch" },
		{ "has settings of another kind", '("settings"): %b[]', "%1: 1", "not the state of a batch" },
		{ "has a setting that is no list", '("settings"): %b[](.-"settings"): %b[]', "%1: []%2: [1]", "not a job" },
		{ "has a setting that is too short", '("settings"): %b[](.-"settings"): %b[]', '%1: []%2: [["a"]]', "not a job" },
		{ "has a job without a name", '"name": "a"', '"nam": "a"', "not a job" },
		{ "has a job twice", '"name": "r"', '"name": "a"', "the job 'a' is there already" },
	} do
		it("is refused by its id where it " .. case[1], function()
			local id = finished()
			local path = path_of(id, "batch.json")
			local text = cli.read(path)
			local damaged = text:gsub(case[2], case[3], 1)
			assert(damaged ~= text, "not damaged")
			cli.write(path, damaged)
			local refused = t:refused(5, case[4], { "batch", "status", id:sub(1, 13) })
			assert.matches("batch " .. id:sub(1, 13), refused.message, 1, true)
		end)
	end

	it("does not need the list of the files that it was read from", function()
		local id = finished()
		local path = path_of(id, "batch.json")
		cli.write(path, (cli.read(path):gsub('"files": %b[]', '"files": 1')))
		assert.equal(3, #t:json({ "batch", "status", id }).jobs)
	end)

	it("is passed over by no name, but by the id of an older one and in the list", function()
		local old = finished("[job a]\nstage = tiny\ndataset = a\nsteps = 1\n")
		t:ok { "batch", "run", "b.ini" }
		local new = ids()[2]
		cli.write(path_of(new, "batch.json"), "{")
		for _, args in ipairs { { "status", "b" }, { "run", "b.ini", "--resume" }, { "retry" }, { "cancel" } } do
			local refused = t:refused(5, "batch " .. new:sub(1, 13), { "batch", table.unpack(args) })
			assert.equal("name another one by its id, or move '.thhost/batches/" .. new .. "' out of the root", refused.hint)
		end
		assert.equal(old, t:json({ "batch", "status", old }).id)
		local list, result = t:json { "batch", "status" }
		assert.same({ 1, old }, { #list.batches, list.batches[1].id })
		assert.matches("warning: batch " .. new:sub(1, 13), result.err, 1, true)
		cli.shell(("mv %s %s/away"):format(path_of(new, ""), t.dir))
		assert.equal(old, t:json({ "batch", "status", "b" }).id)
	end)

	it("that was killed before it began is passed over", function()
		local id = finished()
		cli.shell("mkdir " .. path_of("ffffffff" .. id:sub(9), ""))
		assert.equal(id, t:json({ "batch", "status", "b" }).id)
		assert.equal(id, t:json({ "batch", "status" }).batches[1].id)
		t:refused(3, "batch.json", { "batch", "status", "ffffffff" })
	end)

	it("does not believe lines of its journal that say nothing of a job", function()
		local id = finished()
		local path = path_of(id, "journal.jsonl")
		local before = t:json({ "batch", "status", id }).jobs
		cli.write(path, cli.read(path) .. '{"job":"a","state":"dreaming"}\n{"job":"x","state":"failed"}\n\n'
			.. '{"job":1,"state":"failed"}\n{"job":"a","state":"fail')
		local result = t:ok { "batch", "run", "b.ini", "--resume" }
		assert.matches("4 lines of the batch's journal were cut off", result.err, 1, true)
		assert.same(before, t:json({ "batch", "status", id }).jobs)
	end)

	it("says so where its journal or a log cannot be read", function()
		local id = finished()
		os.remove(path_of(id, "logs/a.1.log"))
		t:refused(3, "cannot open the log 'a.1.log'", { "batch", "logs", "a" })
		local path = path_of(id, "journal.jsonl")
		os.remove(path)
		assert.equal("waiting", t:json({ "batch", "status", id }).jobs[1].state)
		cli.shell("mkdir " .. path)
		t:refused(5, "the journal of batch " .. id:sub(1, 13) .. ": 'journal.jsonl' is a directory",
			{ "batch", "status", id })
	end)

	it("says so where its place is taken by something else", function()
		tree()
		cli.write(t.root .. "/.thhost", "")
		t:refused(5, "'.thhost' is there and is no directory", { "batch", "run", "b.ini" })
		t:refused(3, "there is no batch 'b'", { "batch", "status", "b" })
	end)
end)

describe("a batch on a disk that fails", function()
	after_each(done)

	--- One whose journal could not be opened: it is there, and nothing has begun.
	local function not_begun()
		tree()
		local result = t:run({ "batch", "run", "b.ini" }, { prefix = failing("openat", "EIO", 1, "journal.jsonl") })
		local id = ids()[1]
		assert(result.status == 1 and result.err:find("cannot open the journal of batch " .. id:sub(1, 13), 1, true)
			and result.err:find("(EIO)", 1, true), result.err)
		return id
	end

	for _, case in ipairs {
		{ "cannot make its place", { "mkdirat", "EACCES", 1, "batches" }, "batches" },
		{ "cannot find its place again", { "openat2", "EACCES", 2, ".thhost" }, ".thhost" },
		{ "cannot make its directory", { "mkdirat", "ENOSPC", 1, "logs" }, "logs" },
		{ "cannot keep its jobs", { "renameat2", "EIO", 1, "batch.json" }, "batch.json" },
		{ "cannot open its journal", { "openat", "EDQUOT", 1, "journal.jsonl" }, "the journal of batch" },
	} do
		it("begins nothing where it " .. case[1], function()
			tree()
			if not batches.can_trace() then
				return
			end
			local result = t:run({ "batch", "run", "b.ini" }, { prefix = failing(table.unpack(case[2])) })
			assert(result.status == 1 and result.err:find(case[3], 1, true) and result.err:find(case[2][2], 1, true),
				result.err)
			assert.is_nil(t:read("exp_1/tiny_a/.thhost/runs"))
			assert.same({}, runs.journal(t, "tiny_a"))
			if t:run({ "batch", "run", "b.ini", "--resume" }).status == 3 then
				t:ok { "batch", "run", "b.ini" }
			end
			check_done(case[1])
		end)
	end

	it("goes on where it may not give its directories the mode of the root", function()
		tree()
		if not batches.can_trace() then
			return
		end
		t:ok({ "batch", "run", "b.ini" }, { prefix = failing("fchmod", "EPERM", "1+", t.root .. "/.thhost") })
		check_done("without a mode")
	end)

	for _, case in ipairs {
		{ "openat", "EACCES", { 1, 2, 3 } },
		{ "read", "EIO", { 1 } },
		{ "pread64", "EIO", { 1 } },
		{ { newfstatat = 5, fstat = 3 }, "EIO", { "" } },
		{ "write", "ENOSPC", { 1, 2, 3, 5 } },
		{ "fdatasync", "EIO", { 1, 2, 3 } },
	} do
		local name = type(case[1]) == "table" and "fstat" or case[1]
		it(("loses nothing where %s() of its journal fails with %s"):format(name, case[2]), function()
			if not batches.can_trace() then
				return
			end
			for _, when in ipairs(case[3]) do
				done()
				local id = not_begun()
				local path = path_of(id, "journal.jsonl")
				cli.write(path, '{"time":"cut of')
				local result = t:run({ "batch", "run", id, "--resume" },
					{ prefix = failing(case[1], case[2], when, path, "journal.jsonl") })
				local told = ("%s %s: status %s\n%s"):format(name, when, result.status, result.err)
				assert(result.status == 1, told)
				assert(result.err:find("journal of batch " .. id:sub(1, 13), 1, true), told)
				assert(result.err:find(case[2], 1, true), told)
				check_done(told)
			end
		end)
	end

	it("says why a job could not be started", function()
		tree()
		if not batches.can_trace() then
			return
		end
		local result = t:run({ "batch", "run", "b.ini" },
			{ prefix = "strace -f -qq -o /dev/null -e trace=setpgid -e inject=setpgid:error=EPERM:when=1" })
		assert.equal(1, result.status)
		local jobs = t:json({ "batch", "status", "b" }).jobs
		assert.same({ "failed", "done", "blocked" }, { jobs[1].state, jobs[2].state, jobs[3].state })
		assert.matches("EPERM", jobs[1].why, 1, true)
		t:ok { "batch", "retry" }
		check_done("setpgid")
	end)

	it("says so where the batches cannot be listed or opened", function()
		local id = finished()
		if not batches.can_trace() then
			return
		end
		for when = 1, 2 do
			local result = t:run({ "batch", "status", id },
				{ prefix = failing("openat2", "EACCES", when, ".thhost/batches") })
			assert(result.status == 1 and result.err:find("'.thhost/batches'", 1, true)
				and result.err:find("EACCES", 1, true), result.err)
		end
	end)
end)
