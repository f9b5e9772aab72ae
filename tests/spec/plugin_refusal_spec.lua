--- What a plugin may not declare or return, in the words of the refusal; and what it may get wrong
--- with ctx.
local cjson = require("cjson")
local runs = require("support.runs")
local storage = require("support.storage")
local worker = require("support.worker")

local function assert_message(text, answer)
	local message = worker.message(answer)
	assert.is_string(message, "there was no error")
	assert.truthy(message:find(text, 1, true), message)
end

local HEAD = [[
	local M = { api = 1, kind = "stage", name = "made", version = "1", dir = "x", model_name = "x" }
	%s
	return M]]

--- Write the plugin 'made' with this text in it; the directory that it lies in.
local function make(text)
	return (worker.write("refusal/made.lua", HEAD:format(text)):match("^(.*)/"))
end

local function describe_made(text, entry)
	return (worker.run("", "describe", make(text), "made", "", entry))
end

--- What the plugin makes of a directory with these files.
local function extract_made(text, files, prefix, log)
	local path = make(text)
	os.execute(("rm -rf '%s/in'"):format(worker.dir()))
	worker.write("in/.keep", "")
	for name, content in pairs(files or {}) do
		worker.write("in/" .. name, content)
	end
	return (worker.run(prefix or "", "extract", path, "made", "", worker.dir() .. "/in", log))
end

--- The lines of a spec's table: what the plugin says, what is said to it.
local function each(cases, run)
	for text, message in pairs(cases) do
		it("says so: " .. text:gsub("%s+", " "):sub(1, 90), function()
			assert_message(message, run(text))
		end)
	end
end

teardown(worker.cleanup)

describe("a declaration that is wrong", function()
	each({
		['M.requires = { "a", x = 1 }'] = "field 'requires' must be a list { ... } without names or gaps",
		['M.metrics = { { goal = "max" } }'] = "field 'metrics' must be a table with names as keys",
		["M[1] = 2"] = "'the plugin' must have names as keys",
		["M.metrics = { loss = { 2 } }"] = "'metrics.loss' must have names as keys",
		['M.inputs = { x = "@lag" }'] = "field 'inputs.x' is '@lag'; the only such name is '@log'",
		["M.command = { 1 }"] = "field 'command[1]' must be a string that is not empty",
		['M.progress = { { find = "a", match = "a%", set = { "a" } } }'] = "it ends with '%'",
		['M.progress = { { find = "a", match = "[a", set = { "a" } } }'] = "a '[' without its ']'",
		['M.progress = { { find = "a", match = "[^]", set = { "a" } } }'] = "a '[' without its ']'",
		['M.progress = { { find = "a", match = "[%", set = { "a" } } }'] = "a '[' without its ']'",
		['M.progress = { { find = "a", match = "a)", set = { "a" } } }'] = "a ')' without its '('",
		['M.progress = { { find = "a", match = "[^a%]](a)(b)", set = { "a" } } }'] =
			"field 'progress[1]' sets 1 names, but its pattern captures 2",
		["ERROR = 1"] = "ERROR",
		["error({})"] = "raised a table, not a message",
		["local _, m = pcall(error, 'x', 2) error((m:gsub(':(%d+):', ':%1')), 0)"] = "loading: ",
		["local _, m = pcall(error, 'x', 2) error((m:gsub(':(%d+):', ':a:')), 0)"] = ":a: x",
	}, describe_made)

	it("says so of rules that no message holds", function()
		local path = make(('for i = 1, 64 do M.progress = M.progress or {} M.progress[i] = { find = "a",'
			.. ' match = ("a"):rep(4000), set = { "a" } } end'))
		assert_message("the progress rules are too large", (worker.run("", "progress", path, "made")))
	end)

	it("says so of two inputs that match too much", function()
		worker.write("in/many/x", "")
		assert(os.execute(("cd '%s/in' && seq 3600 | sed 's/$/.m/' | xargs touch"):format(worker.dir())))
		local path = make('M.inputs = { a = "*.m", b = "?*.m", c = "*?.m", d = "*m", e = "?*m" }'
			.. " function M.extract() return { metrics = {} } end")
		assert_message("its inputs match more than 16384 files",
			(worker.run("", "extract", path, "made", "", worker.dir() .. "/in")))
	end)
end)

describe("a plugin that is asked for", function()
	it("says so of a path that cannot be looked at", function()
		assert_message("File name too long", (worker.run("", "check", worker.dir() .. "/" .. ("x"):rep(300) .. ".lua")))
	end)

	it("says so of ctx:base without its colon", function()
		worker.write("based/datasets/d.lua", [[return { api = 1, kind = "dataset", name = "d", version = "1",
			stages = { made = { extract = function(ctx) return ctx.base() end } } }]])
		worker.write("based/made.lua", [[return { api = 1, kind = "stage", name = "made", version = "1", dir = "x",
			model_name = "x", extract = function() return { metrics = {} } end }]])
		assert(os.execute(("mkdir -p '%s/in'"):format(worker.dir())))
		assert_message("call it with a colon: ctx:base(...)",
			(worker.run("", "extract", worker.dir() .. "/based", "made", "d", worker.dir() .. "/in")))
	end)
end)

describe("an answer that is wrong", function()
	each({
		['return nil, "no luck"'] = "extract: no luck",
		["return true"] = "extract returned a result = true (boolean); must be a table",
		['return { outcome = "bad" }'] = "must be completed, completed_early, failed, interrupted or unknown",
		["return { epochs = 0/0 }"] = "epochs = ", -- NaN has two signs
		["return { final_checkpoint = 1 }"] = "final_checkpoint = 1; must be a string",
		["return { metrics = { x = { 1, true } } }"] = "metrics.x[2] = true (boolean); numbers only",
		['return { metrics = { x = require("cjson").null } }'] = "metrics.x, a null; numbers only",
		["local t = {} for i = 1, 1025 do t[i] = i end return { planned = { t = t } }"] = "more than 1024 keys in all",
		["local t = {} for i = 1, 40 do t['k' .. i] = ('x'):rep(60000) end return { planned = t }"] =
			"more than 1 MiB in all",
		["return { planned = { x = ('x'):rep(70000) } }"] = "planned.x, a string of more than 64 KiB",
		["return { planned = { x = 'a\\0b' } }"] = "planned.x, a string with a zero byte in it",
		["return { planned = { ['a\\nb'] = 1 } }"] = "a key with a control character in it",
		["return { best = { value = '1' } }"] = "best.value: must be a number",
		["return { best = { mode = 'up' } }"] = "best.mode: must be min or max",
		["return { best = { step = 1.5 } }"] = "best.step: must be a whole number, 0 or more",
		["return { best = { declared = 1 } }"] = "best.declared: must be true or false",
		["return { best = { name = 'x' } }"] = "best: an unknown member",
		["return { best = 3 }"] = "best = 3; must be a table of names",
		["return { evidence = { steps = 'guessed' } }"] =
			"evidence.steps: must be observed, declared, inferred or derived",
		["return { evidence = { steps = 1 } }"] = "evidence.steps: must be observed",
		["return { dataset = 1 }"] = "dataset = 1; must be a string",
		["return { dataset = 'a\\nb' }"] = "dataset: it has a control character in it",
		["return { raw_hyperparams = { 1 } }"] = "must be a table of names",
		["local t = {} t.t = t return { reading = t }"] = "nested deeper than 16",
		["local t = {} for i = 1, 16385 do t[i] = i end return { reading = { t = t } }"] =
			"more than 16384 keys in all",
		["local t = {} t.t = t return { planned = t }"] = "nested deeper than 8",
		["return string.format('%s', require('cjson').null), ctx.nothing"] = "ctx has no field 'nothing'",
		["ctx:has()"] = "ctx:has: expected the name of an input, got no value",
		["ctx:has('loog')"] = "ctx:has: no input 'loog' is declared; did you mean 'log'?",
		["ctx:lines('log')"] = "ctx:lines: input 'log' matches no file; ask ctx:has first",
		["ctx.log.warn(1)"] = "ctx.log.warn: expected a string, got number",
		["ctx.base()"] = "ctx:base is only there in a dataset plugin's function",
	}, function(body)
		return extract_made(("M.inputs = { log = '@log?' } function M.extract(ctx) %s end"):format(body))
	end)

	each({
		['return nil, { message = "none", hint = "try" }'] = "hyperparams: none",
		["return { 1 }"] = "hyperparams returned a result = a table; must be a table of names",
		["return { f = tostring }"] = "hyperparams.f = a function; plain values only",
	}, function(body)
		return extract_made(("function M.hyperparams() %s end function M.extract() return { metrics = {} } end")
			:format(body))
	end)

	each({
		["return nil, { 1 }"] = "validate returned an issue = 1; must be { path, code, message, level }",
		["return nil, { nil, { message = 'x' } }"] = "validate returned an issue = nil; must be {",
		["return nil, { { code = 'x' } }"] = "an issue without a message",
		["return nil, { { message = 'x', level = 'bad' } }"] = "an issue without a message, or with a level",
		["return nil"] = "nil without a list of issues",
	}, function(body)
		return describe_made(("function M.validate() %s end"):format(body), "{}")
	end)
end)

describe("what a plugin meets", function()
	it("validates an entry that is no object, or whose metrics are none", function()
		for _, entry in ipairs { "3", '{"metrics":3}' } do
			local plan = describe_made('M.metrics = { loss = { required = true } }', entry)
			assert.equal("missing", plan.issues[1].code)
		end
		local plan = describe_made('M.metrics = { loss = { max = 1 } }', '{"metrics":{"loss":2}}')
		assert.equal("range", plan.issues[1].code)
	end)

	it("has null both ways, and as text", function()
		local result = extract_made([[function M.extract()
			local null = require("cjson").null
			return { planned = { x = null, y = tostring(null), z = ("%s %%"):format(null), n = tostring(nil) } }
		end]])
		assert.equal("null", result.planned.y)
		assert.equal("null %", result.planned.z)
		assert.equal(cjson.null, result.planned.x)
	end)

	it("may ask ctx for what is not there", function()
		local result = extract_made([[function M.extract(ctx)
			return { metrics = { n = ctx.dataset == nil and 1 or 0 } }
		end]])
		assert.same({ n = 1 }, result.metrics)
	end)

	it("may say more than a record holds", function()
		local result = extract_made([[function M.extract()
			local raw, list = {}, {}
			for i = 1, 1000 do raw["key/" .. i] = i end
			for i = 1, 2000 do list[i] = i end
			return { metrics = { f1 = 0.5 }, raw_hyperparams = raw, dataset = "data/hrds",
				best = { metric = "f1", value = 0/0, mode = "max", step = 3, declared = true },
				evidence = { steps = "observed" }, reading = { runs = list } }
		end]])
		assert.is_nil(result.error, worker.message(result))
		assert.equal(1000, result.raw_hyperparams["key/1000"])
		assert.equal("data/hrds", result.dataset)
		assert.equal(3, result.best.step)
		assert.equal("observed", result.evidence.steps)
		assert.equal(2000, #result.reading.runs)
	end)

	it("gets nil and why for a file that cannot be read", function()
		local result = extract_made([[
			M.inputs = { x = "d*/", big = "big" }
			function M.extract(ctx)
				local words = {}
				for _, name in ipairs { "x", "big" } do
					for _, read in ipairs { "read", "json", "yaml", "csv" } do
						local _, err = ctx[read](ctx, name)
						words[err.code] = err.message
					end
				end
				words.lines = select(2, pcall(ctx.lines, ctx, "x")):match("ctx:.*")
				return { planned = words }
			end]], { ["dir/x"] = "", big = "" }, ("truncate -s 65M '%s/in/big';"):format(worker.dir()))
		assert.same({ is_directory = "'dir' is a directory", too_large = "'big' is larger than 64 MiB",
			lines = "ctx:lines: 'dir' is a directory" }, result.planned)
	end)

	it("reads true and false", function()
		local result = extract_made('M.inputs = { x = "x" } function M.extract(ctx) return { planned = ctx:json("x") } end',
			{ x = '{"a":true,"b":false}' })
		assert.same({ a = true, b = false }, result.planned)
	end)

	it("reads JSON and YAML of many keys", function()
		local json, yaml = {}, {}
		for i = 1, 500 do
			json[i], yaml[i] = ('"k%d":%d'):format(i, i), ("k%d: %d"):format(i, i)
		end
		local result = extract_made([[
			M.inputs = { j = "j", y = "y" }
			function M.extract(ctx)
				return { metrics = { j = ctx:json("j").k500, y = ctx:yaml("y").k500 } }
			end]], { j = "{" .. table.concat(json, ",") .. "}", y = table.concat(yaml, "\n") })
		assert.is_nil(result.error, worker.message(result))
		assert.same({ j = 500, y = 500 }, result.metrics)
	end)

	it("gets nil and why for YAML that is none", function()
		local result = extract_made([[
			M.inputs = { x = "x" }
			function M.extract(ctx) return { planned = { code = select(2, ctx:yaml("x")).code } } end
		]], { x = "a: [1" })
		assert.same({ code = "bad_yaml" }, result.planned)
	end)

	local COUNT = [[
		M.inputs = { %s }
		function M.extract(ctx)
			local n, why = 0, nil
			for _, input in ipairs({ "named", "tree" }) do
				for _, file in ipairs(ctx:list(input)) do
					local text, err = ctx:read(input, file.name)
					n = n + (text and 1 or 0)
					why = why or err and err.message
				end
			end
			return { planned = { n = n, why = why } }
		end]]

	-- Shell text that is run in the stage directory first.
	local function within(command)
		return ("(cd '%s/in' && %s); "):format(worker.dir(), command)
	end

	local function numbered(count)
		return within(("for i in $(seq -w 1 %d); do echo $i >f$i; done"):format(count))
	end

	it("reads only so many files at once", function()
		local result = extract_made(COUNT:format("named = 'f*', tree = 'none?'"), {},
			numbered(1000))
		assert.equal(900, result.planned.n)
		assert.equal("'f0001' was not opened: too many files match", result.planned.why)
	end)

	it("reads fewer where fewer may be open", function()
		local result = extract_made(COUNT:format("named = 'f*', tree = 'none?'"), {},
			numbered(300) .. "ulimit -Sn 256; ")
		assert.equal(256 - 64, result.planned.n)
	end)

	it("reads the files that are named before those of a tree, and the shallow before the deep",
		function()
			local files = { ["a/a/deep"] = "1", ["a/flat"] = "2", ["a/a/named"] = "3" }
			local result = extract_made(COUNT:format("named = 'a/a/named', tree = '**/*?'"), files,
				numbered(120) .. "ulimit -Sn 186; ")
			assert.same({ n = 1 + 121, why = "'a/a/deep' was not opened: too many files match" },
				result.planned)
		end)

	it("sees a tree without what is hidden, a FIFO, or a link that leads out", function()
		local files = { ["a/b/c.json"] = "1", [".git/x.json"] = "2", ["d.json"] = "3" }
		local body = [[
			M.inputs = { tree = "**/*?" }
			function M.extract(ctx)
				local names = {}
				for _, file in ipairs(ctx:list("tree")) do
					names[#names + 1] = file.name .. "=" .. tostring((ctx:read("tree", file.name)))
				end
				return { planned = { names = table.concat(names, " ") } }
			end]]
		local result = extract_made(body, files,
			within("ln -sf /etc/passwd out; mkfifo pipe; ln -sfn / root"))
		assert.equal("a/b/c.json=1 d.json=3 pipe=nil", result.planned.names)
	end)

	it("reads a part of a file", function()
		local body = [[
			M.inputs = { f = "f" }
			function M.extract(ctx)
				local function show(...)
					local text, err = ctx:read("f", ...)
					return text or err.code .. ": " .. err.message
				end
				return { planned = { all = show(), from = show("f", 7), part = show("f", 2, 3),
					beyond = show("f", 100, 5), far = show(nil, math.maxinteger, math.maxinteger),
					none = show("f", 3, 0), other = show("g", 0, 1) } }
			end]]
		assert.same({ all = "0123456789", from = "789", part = "234", beyond = "", far = "", none = "",
			other = "no_data: input 'f' has no file 'g'" },
			extract_made(body, { f = "0123456789" }).planned)
	end)

	-- Cut the file as soon as somebody has it open.
	local SHRINK = [[{ n=0; until ls -l /proc/[0-9]*/fd | grep -q "$PWD/f$" || [ $n = 1000 ]; do
		sleep 0.01; n=$((n + 1)); done; truncate -s 3 f; } >/dev/null 2>&1 &]]

	it("reads what is left of a file that shrinks meanwhile", function()
		local result = extract_made([[
			M.inputs = { f = "f" }
			function M.extract(ctx)
				local text, part
				repeat -- the time limit ends this if it never shrinks
					text, part = ctx:read("f"), ctx:read("f", nil, 1000)
				until #text == 3 and part == ""
				local lines = 0
				for _ in ctx:lines_of("f", "f") do lines = lines + 1 end
				return { planned = { size = ctx:list("f")[1].size, text = text, part = part, lines = lines } }
			end]], { f = ("x\n"):rep(2000) }, within(SHRINK))
		assert.same({ size = 4000, text = "x\nx", part = "", lines = 2 }, result.planned)
	end)

	it("reads a part of a file that is larger than what may be read at once", function()
		local result = extract_made([[
			M.inputs = { f = "f" }
			function M.extract(ctx)
				local text, err = ctx:read("f")
				return { planned = { part = ctx:read("f", nil, 70 * 1024 * 1024, 9), code = err.code,
					whole = text, json = select(2, ctx:json("f")).code } }
			end]], { f = "" }, within("truncate -s 73400320 f; printf end >>f"))
		assert.same({ part = "end", code = "too_large", json = "too_large" }, result.planned)
	end)

	for call, message in pairs({
		['ctx:read("f", nil, -1)'] = "ctx:read: offset -1 is less than 0",
		['ctx:read("f", nil, 0, -5)'] = "ctx:read: length -5 is less than 0",
		['ctx:read("f", nil, 1.5)'] = "number has no integer representation",
		['ctx:read("f", {})'] = "string expected, got table",
		['ctx:lines_of("f", "g")'] = "ctx:lines_of: input 'f' has no file 'g'",
		['ctx:lines_of("g")'] = "ctx:lines_of: no input 'g' is declared",
		['ctx.lines_of("f")'] = "call it with a colon: ctx:lines_of(...)",
		['ctx:lines_of("f", "f", "")'] = "a needle cannot be empty",
	}) do
		it("refuses " .. call, function()
			local answer = extract_made("M.inputs = { f = 'f' } function M.extract(ctx) return "
				.. call .. " end", { f = "x" })
			assert_message(message, answer)
		end)
	end

	it("gives the lines of a file that is named", function()
		local result = extract_made([[
			M.inputs = { f = "*.txt" }
			function M.extract(ctx)
				local out = {}
				for line, number in ctx:lines_of("f", "a.txt", "x") do
					out[#out + 1] = number .. line
				end
				for line in ctx:lines_of("f", nil) do out[#out + 1] = line end
				return { planned = { text = table.concat(out, " ") } }
			end]], { ["a.txt"] = "x1\ny\nx2\n", ["b.txt"] = "z\n" })
		assert.equal("1x1 3x2 z", result.planned.text)
	end)

	it("gets the log that the user named, wherever it lies", function()
		local log = worker.write("elsewhere.txt", "a\nb\n")
		local body = [[M.inputs = { log = "@log" } function M.extract(ctx)
			local n = 0
			for _ in ctx:lines("log") do n = n + 1 end
			return { metrics = { n = n } }
		end]]
		assert.same({ n = 2 }, extract_made(body, {}, "", log).metrics)
		local answer = extract_made(body, {}, "", "gone.log")
		assert_message("input 'log' (@log) matches nothing in", answer)
		assert.equal("the log 'gone.log' cannot be read", answer.error.hint)
		answer = extract_made(body, {})
		assert.equal("there is no *.log, *.out or log.txt in the directory", answer.error.hint)
	end)

	it("has lines without whatever begins with ESC", function()
		local text = "\27[1!qa\n\27[\1b\n\27Mc\n\27\1d\n\27]8;;x\27\\e\n\27"
		local result = extract_made([[M.inputs = { log = "@log" } function M.extract(ctx)
			local out = {}
			for line in ctx:lines("log") do out[#out + 1] = line end
			return { planned = { text = table.concat(out, "|") } }
		end]], { ["a.log"] = text })
		assert.equal("a|\1b|c|\1d|e|", result.planned.text)
	end)

	it("has no more lines for a carriage return where a block ends", function()
		-- 64 KiB and 1 MiB are sizes of buffers: "\r\n" lies across each place around them.
		local body = [[M.inputs = { log = "@log" } function M.extract(ctx)
			local out = {}
			for line, number in ctx:lines("log") do out[#out + 1] = number .. ":" .. #line end
			return { planned = { text = table.concat(out, "|") } }
		end]]
		for _, size in ipairs { 65535, 65536, 262143, 262144 } do
			local result = extract_made(body, { ["a.log"] = "x\n" .. ("y"):rep(size - 3) .. "\r\nz\r" })
			assert.equal(("1:1|2:%d|3:1"):format(size - 3), result.planned.text)
		end
		for more = 0, 2 do
			local result = extract_made(body, { ["a.log"] = ("y"):rep((3 << 20) - 2 + more) .. "\r\nz\r\n" })
			assert.equal("1:1048576|2:1", result.planned.text)
		end
	end)

	it("is warned about its own words", function()
		local result = extract_made([[function M.extract(ctx)
			for i = 1, 1000 do ctx.log.warn("n" .. i) ctx.log.info("n") end
			return { metrics = {} }
		end]])
		assert.equal("(further messages of this plugin were dropped)", result.warnings[#result.warnings])
	end)

	it("has the configuration of its stage", function()
		local t <close> = setmetatable({ tree = runs.tree("[stage tiny]\nlr = 0.1\n[stage tiny/d]\nlr = 0.2\n") },
			{ __close = function(self) self.tree:close() end })
		storage.write(t.tree.dir .. "/plugins/tiny.lua", (runs.plugin:gsub("extract = function",
			"hyperparams = function(_, raw) return { from = raw.config.lr } end, extract = function")))
		t.tree:ok(runs.tiny(runs.write_result))
		assert.same({ from = "0.2" }, t.tree:info("tiny_d").training_history[1].hyperparams)
	end)

	it("has true for a file beside it that returns nothing", function()
		worker.write("dirs/made/init.lua", HEAD:format('M.summary = tostring(require("made.none"))'))
		worker.write("dirs/made/none.lua", "")
		assert.equal("true", (worker.run("", "describe", worker.dir() .. "/dirs", "made")).summary)
	end)

	it("keeps what a dataset has nothing to say about", function()
		worker.write("sets/made.lua", HEAD:format("M.metrics = { loss = {} }"))
		worker.write("sets/datasets/other.lua", [[return { api = 1, kind = "dataset", name = "other", version = "2",
			stages = { another = { model_name = "y" } } }]])
		local plan = worker.run("", "describe", worker.dir() .. "/sets", "made", "other")
		assert.equal("x", plan.model_name)
		assert.equal(1, plan.n_metrics)
	end)

	it("is found in the home directory", function()
		worker.write("home/.config/thhost/plugins/made.lua", HEAD:format(""))
		local list = worker.run(("env -u XDG_CONFIG_HOME HOME='%s/home'"):format(worker.dir()), "list", "")
		assert.equal("made", list[1].name)
	end)

	it("runs where the ends of processes were ignored", function()
		assert.equal("made", (worker.run("trap '' CHLD;", "describe", make(""), "made")).name)
	end)

	it("has limits that were tighter before", function()
		assert.equal("made", (worker.run("ulimit -t 3;", "describe", make(""), "made")).name)
	end)
end)

describe("a plugin's file", function()
	it("may be changed by the groups of the user, and by no others", function()
		if not storage.is_root then
			return pending("needs root")
		end
		local path = make("")
		local function describe_as(group, prefix)
			assert(os.execute(("chgrp %d '%s' && chmod 775 '%s'"):format(group, path, path)))
			return (worker.run(prefix, "describe", path, "made"))
		end
		assert.equal("made", describe_as(0, "").name)
		assert_message("can be written by a group that you are not in; refused", describe_as(54321, ""))
		assert.equal("made", describe_as(54321, "setpriv --groups 54320,54321").name)
		assert(os.execute(("chmod 700 '%s'"):format(path)))
	end)

	it("is a file", function()
		local path = make("")
		assert(os.execute(("mkdir -p '%s/no.lua'; mkfifo '%s/fifo.lua'; ln -sf loop.lua '%s/loop.lua'"):format(path,
			path, path)))
		assert_message("is not a regular file", (worker.run("", "check", path .. "/fifo.lua")))
		assert_message("ELOOP", (worker.run("", "check", path .. "/loop.lua")))
		assert(os.execute(("rm -rf '%s'"):format(path)))
	end)
end)
