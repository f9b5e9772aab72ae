--- list and best over much: what comes out before all is read, and what stays in memory.
local cjson = require "cjson"
local cli = require "support.cli"
local storage = require "support.storage"
local tree = require "support.tree"

local t

before_each(function()
	t = tree.bare()
	cli.shell("mkdir -p " .. cli.quote(t.root))
end)
after_each(function()
	t:close()
end)

--- A record as text; 'more' is added to its only entry's hyperparameters.
local function record(name, f1, more)
	return ([[{"model_name": "m", "stage": "stage1", "final_checkpoint": "c", "base_model": "b",
		"created_at": "2025-01-01T00:00:00Z", "last_updated": "2025-01-01T01:00:00Z", "total_steps": 5,
		"last_dataset": %q, "training_history": [{"dataset": %q, "steps": 5, "metrics": {"f1": %s},
		"hyperparams": {"more": %s}, "start_time": "2025-01-01T00:00:00Z",
		"end_time": "2025-01-01T01:00:00Z"}]}]]):format(name, name, f1, more or "null")
end

local function path_of(exp, name)
	return ("%s/exp_%d/stage1_%s"):format(t.root, exp, name)
end

local function put(exp, name, text)
	cli.shell("mkdir -p " .. cli.quote(path_of(exp, name)))
	cli.write(path_of(exp, name) .. "/training_info.json", text)
end

--- For the shell: thhost with 'args' where it runs in the tree. A sanitizer that is loaded into
--- this process is not for other programs.
local function command(args)
	return ("unset LD_PRELOAD; cd %s && HOME=%s XDG_STATE_HOME=%s %s %s"):format(cli.quote(t.dir), cli.quote(t.dir),
		cli.quote(t.dir), cli.quote(cli.thhost), args)
end

--- Longer than a pipe: who prints it waits for a reader.
local LONG = '"' .. ("x"):rep(300000) .. '"'

describe("list --jsonl", function()
	it("prints a row before it reads the next record", function()
		put(1, "a", record("a", "0.5", LONG))
		put(2, "b", record("b", "0.5"))
		cli.write(t.dir .. "/new", record("b", "0.75"))
		local out = cli.shell(command("list --jsonl") .. (" | { dd bs=1 count=1 status=none && cp %s %s; cat; }")
			:format(cli.quote(t.dir .. "/new"), cli.quote(path_of(2, "b") .. "/training_info.json")))
		local first, second = out:match("^([^\n]*)\n([^\n]*)$")
		assert.equal("exp_1/stage1_a", cjson.decode(first).ref)
		assert.equal(0.75, cjson.decode(second).record.training_history[1].metrics.f1)
	end)

	it("reads all before it prints where an order is asked for", function()
		put(1, "a", record("a", "0.5", LONG))
		put(2, "b", record("b", "0.25"))
		cli.write(t.dir .. "/new", record("b", "0.75"))
		for _, order in ipairs { "--sort=-f1", "--best f1" } do
			local out = cli.shell(command("list --jsonl " .. order)
				.. (" | { dd bs=1 count=1 status=none && cp %s %s; cat; }"):format(cli.quote(t.dir .. "/new"),
				cli.quote(path_of(2, "b") .. "/training_info.json")))
			local second = out:match("\n([^\n]*)$")
			assert.equal(0.25, cjson.decode(second).record.training_history[1].metrics.f1)
			put(2, "b", record("b", "0.25"))
		end
	end)

	for _, format in ipairs { "--jsonl", "--json", "--csv -c =more" } do
		it(format .. " ends without a word when its reader has seen enough", function()
			for i = 1, 3 do
				put(i, "a", record("a", "0.5", LONG))
			end
			local out = cli.shell(("{ %s; } 2>%s | head -c 20"):format(command("list " .. format),
				cli.quote(t.dir .. "/err")))
			assert.equal(20, #out + select(2, out:gsub("\n$", "")))
			assert.equal("", cli.read(t.dir .. "/err"))
		end)
	end

	it("warns of what is broken at its end, and counts only the others", function()
		put(1, "a", "{")
		put(1, "b", record("b", "0.5"))
		put(1, "c", record("c", "0.5"))
		put(1, "d", "[")
		for limit = 0, 3 do
			local result = t:run { "list", "--jsonl", "-n", tostring(limit) }
			local refs = {}
			for line in result.out:gmatch("[^\n]+") do
				refs[#refs + 1] = cjson.decode(line).ref:match("_(%w)$")
			end
			assert.equal(({ [0] = "a d", "a b d", "a b c d", "a b c d" })[limit], table.concat(refs, " "))
			assert.equal(1, result.status)
			assert.matches("stage1_a/.*stage1_d/", result.err)
		end
	end)

	it("says that a root is missing before it prints a row", function()
		put(1, "a", record("a", "0.5"))
		t:refused(3, "/none", { "list", "--root", t.root, "--root", t.dir .. "/none" })
		assert.equal("", t:run({ "list", "--jsonl", "--root", t.root, "--root", t.dir .. "/none" }).out)
	end)
end)

describe("list: a limit", function()
	--- The data sets of the rows, in their order.
	local function names(...)
		local result = {}
		for line in t:ok({ "list", "--tsv", "-c", "dataset", ... }).out:gmatch("[^\n]+") do
			result[#result + 1] = line
		end
		assert.equal("dataset", table.remove(result, 1))
		return table.concat(result, " ")
	end

	it("gives the beginning of the whole order, whatever it is", function()
		local seed = 7
		for i = 1, 40 do
			seed = (seed * 1103515245 + 12345) % 2147483648
			put(i % 3, "m" .. i, record("m" .. i, ({ "0.5", "0.25", "null", '"0.5"', tostring(i),
				"NaN" })[1 + seed // 65536 % 6]))
		end
		for _, order in ipairs { "--sort=f1", "--sort=-f1", "--sort=-f1,ref", "--sort=steps", "--best=f1" } do
			local whole = names(order)
			local all = {}
			for name in whole:gmatch("%S+") do
				all[#all + 1] = name
			end
			for _, n in ipairs { 0, 1, 7, #all - 1, 100 } do
				assert.equal(table.concat(all, " ", 1, math.min(n, #all)), names(order, "-n", tostring(n)))
			end
		end
		assert.equal(names("--best=f1", "-n", "1"), t:json({ "best", "f1" }).ref:match("_(%w+)$"))
	end)

	it("of 0 shows what is broken, and nothing else", function()
		put(1, "a", record("a", "0.5"))
		for _, more in ipairs { {}, { "--sort", "f1" }, { "--best", "f1" }, { "--runs" } } do
			local result = t:ok { "list", "-n", "0", table.unpack(more) }
			assert.equal("", result.out .. result.err)
			assert.same({}, t:json({ "list", "-n", "0", table.unpack(more) })[more[1] == "--runs" and "runs" or
				"models"])
		end
		put(1, "b", "{")
		assert.matches("^model +stage\nexp_1/stage1_b +broken\n$", t:run({ "list", "-n", "0" }).out)
	end)
end)

describe("list: memory", function()
	it("is that of what is shown, not of the records", function()
		if storage.is_asan then
			return pending("its own memory is too large")
		end
		local numbers = "[" .. ("1,"):rep(2999) .. "1]"
		cli.shell(("cd %s && seq -f exp_1/stage1_%%g 800 | xargs mkdir -p"):format(cli.quote(t.root)))
		for i = 1, 800 do -- 50 KB each, once it is read
			cli.write(path_of(1, i) .. "/training_info.json", record("d", "0." .. i, numbers))
		end
		local function run(...)
			return t:ok({ ... }, { prefix = "prlimit --as=30000000" }).out
		end
		local _, n = run("list"):gsub("\n", "")
		assert.equal(801, n)
		_, n = run("list", "--json"):gsub('"ref"', "")
		assert.equal(800, n)
		_, n = run("list", "--csv", "--sort=-f1"):gsub("\n", "")
		assert.equal(801, n)
		_, n = run("list", "--jsonl", "--sort=-f1", "-n", "2"):gsub("\n", "")
		assert.equal(2, n)
	end)
end)
