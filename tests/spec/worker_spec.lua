-- Plugins as their authors meet them: what is found, what is refused and in which words, and what a
-- plugin that works gives.
local worker = require("support.worker")

local PLUGINS = "tests/fixtures/plugins"

local function describe_plugin(name, ...)
	return worker.run("", "describe", PLUGINS, name, ...)
end

local function extract(name, dataset, dir, ...)
	return worker.run("", "extract", PLUGINS, name, dataset or "", dir or worker.dir(), ...)
end

local function assert_message(text, answer)
	local message = worker.message(answer)
	assert.is_string(message, "there was no error")
	assert.truthy(message:find(text, 1, true), message)
end

local LOAD_ERRORS = {
	syntax = "plugin 'syntax' (tests/fixtures/plugins/syntax.lua:3): loading: ",
	wrong_name = "name is 'other', but the file says 'wrong_name'",
	wrong_kind = "kind is 'dataset', but by its place this is a plugin of kind 'stage'",
	wrong_api = "api 2 is not known here; this thhost speaks api 1",
	unknown_field = "unknown field 'metrcs'; did you mean 'metrics'?",
	unknown_goal = "field 'metrics.f1.goal' must be \"max\" or \"min\", but is \"up\"",
	wrong_type = "field 'inputs.log' must be a string that is not empty, but is 1",
	bad_pattern = "field 'progress[1].match' is no Lua pattern",
	climbing_input = "field 'inputs.x' must stay below the stage directory",
	no_return = "a plugin must return a table",
	goood = "unknown stage 'goood'; did you mean 'good'?",
}

local CALL_ERRORS = {
	raises = "plugin 'raises' (tests/fixtures/plugins/raises.lua:8): extract: attempt to index a nil",
	raises_in_library = "raises_in_library.lua:7): extract: json.decode: expected a string",
	expected = "extract: the log is empty",
	nothing = "extract returned nil without an error",
	unknown_result = "extract returned an unknown field 'metric'; did you mean 'metrics'?",
	fractional_steps = "extract returned steps = 1.5; must be a whole number",
	dot_call = "call it with a colon: ctx:has(...)",
	ctx_write = "cannot change field 'x': it is read-only",
	ctx_typo = "ctx has no field 'datset'",
	needs_file = "input 'state' (state.json) matches nothing in",
}

describe("loading a plugin", function()
	teardown(worker.cleanup)

	for name, text in pairs(LOAD_ERRORS) do
		it("refuses " .. name, function()
			assert_message(text, (describe_plugin(name)))
		end)
	end

	-- The library is compiled when thhost is built; what it says of itself is what its text would.
	it("names the line and the variable of an error in the library", function()
		local message = worker.message((describe_plugin("raises_in_th")))
		local line, variable = message:match("raises_in_th.lua:4%): loading: th.home:(%d+): .*local '(%w+)'")
		assert.truthy(line, message)
		local n = 0
		for text in io.lines("lua/th/home.lua") do
			n = n + 1
			if n == tonumber(line) then
				assert.truthy(text:find(variable, 1, true), text)
			end
		end
	end)

	it("gives the plan", function()
		local plan = describe_plugin("good")
		assert.equal("good", plan.name)
		assert.same({ log = "@log", state = "checkpoint-*/state.json", dirs = "checkpoint-*/" },
			plan.inputs)
		assert.equal(2, plan.n_rules)
	end)

	it("lays a dataset's declarations over the stage's", function()
		local plan = describe_plugin("good", "over")
		assert.equal("other", plan.model_name)
		assert.equal("2.0.0", plan.dataset_version)
	end)

	it("validates a given entry", function()
		local plan = describe_plugin("good", "", '{"steps":10,"metrics":{"loss":-1,"x":NaN}}')
		assert.equal(1, #plan.issues)
		assert.equal("range", plan.issues[1].code)
		assert.equal("entry.metrics.loss", plan.issues[1].path)
		assert.equal("warning", plan.issues[1].level)
	end)

	it("may ask again for a module that raised, but not for one that is under way", function()
		worker.write("again/bad.lua", "error('no luck')")
		worker.write("again/first.lua", "return require('again.second')")
		worker.write("again/second.lua", "return require('again.first')")
		local path = worker.write("again/init.lua", [[
			local said = {}
			for _, name in ipairs { "bad", "bad", "first" } do
				local _, text = pcall(require, "again." .. name)
				said[#said + 1] = text:match("[^:]*$")
			end
			return { api = 1, kind = "stage", name = "again", version = "1", dir = "x", model_name = "x",
				summary = table.concat(said, ";") }
		]])
		assert.equal(" no luck; no luck; module 'again.first' requires itself",
			worker.run("", "check", (path:gsub("/init.lua$", ""))).summary)
	end)

	it("misses a required metric", function()
		local plan = describe_plugin("good", "", '{"steps":10,"metrics":{}}')
		local missing = plan.issues[#plan.issues]
		assert.equal("missing", missing.code)
		assert.equal("error", missing.level)
	end)

	it("refuses what others can write", function()
		local path = worker.write("open/x.lua", "return {}")
		assert(os.execute("chmod 666 " .. path))
		local answer = worker.run("", "describe", worker.dir() .. "/open", "x")
		assert_message("can be written by everybody; refused", answer)
		assert(os.execute("chmod 644 " .. path .. "; chmod 777 " .. worker.dir() .. "/open"))
		answer = worker.run("", "describe", worker.dir() .. "/open", "x")
		assert_message("plugin directory", answer)
	end)

	it("judges a link by the file it leads to", function()
		local target = worker.write("away/target.lua", "return {}")
		worker.write("links/a.lua", "return {}")
		assert(os.execute(("chmod 666 %s; ln -s %s %s/links/x.lua"):format(target, target, worker.dir())))
		local answer = worker.run("", "describe", worker.dir() .. "/links", "x")
		assert_message("can be written by everybody; refused", answer)
	end)

	it("refuses a plugin of more than 1 MiB", function()
		worker.write("large/x.lua", ("-"):rep((1 << 20) + 1))
		local answer = worker.run("", "describe", worker.dir() .. "/large", "x")
		assert_message("larger than 1 MiB; refused", answer)
	end)

	it("lists what it found, the shadowed too", function()
		local first = worker.write("first/good.lua", "return {}")
		local list = worker.run("", "list", worker.dir() .. "/first:" .. PLUGINS)
		local seen = {}
		for _, plugin in ipairs(list) do
			seen[plugin.kind .. " " .. plugin.path] = plugin
		end
		assert.is_false(seen["stage " .. first].shadowed)
		assert.is_true(seen["stage " .. PLUGINS .. "/good.lua"].shadowed)
		assert.truthy(seen["dataset " .. PLUGINS .. "/datasets/over.lua"])
		assert.truthy(seen["stage " .. PLUGINS .. "/folder/init.lua"])
	end)

	it("checks one file that is not on the path", function()
		assert.equal("good", worker.run("", "check", PLUGINS .. "/good.lua").name)
		assert.equal("over", worker.run("", "check", PLUGINS .. "/datasets/over.lua").name)
		assert_message("syntax.lua:3", (worker.run("", "check", PLUGINS .. "/syntax.lua")))
	end)
end)

describe("calling a plugin", function()
	teardown(worker.cleanup)

	for name, text in pairs(CALL_ERRORS) do
		it("reports " .. name, function()
			assert_message(text, (extract(name)))
		end)
	end

	it("suggests an input", function()
		worker.write("logs/a.log", "x\n")
		assert_message("no input 'lgo' is declared; did you mean 'log'?",
			(extract("unknown_input", "", worker.dir() .. "/logs")))
	end)

	it("gives the hint of an expected failure", function()
		assert.equal("give another", extract("expected").error.hint)
	end)

	it("gives metrics, steps, hyperparameters, files", function()
		worker.write("run/train.log", "loss 1\nx\r\nloss 2\rloss 3")
		local result = extract("good", "hrds", worker.dir() .. "/run", "", "python", "t.py", "--lr",
			"-1e-3", "--fp16", "--a-b=c")
		assert.is_nil(worker.message(result))
		assert.equal(3, result.metrics.lines)
		assert.equal(10, result.steps)
		assert.equal("-1e-3", result.hyperparams.lr)
		assert.is_true(result.hyperparams.fp16)
		assert.same({ 1, 2.5, "x" }, result.hyperparams.list)
		assert.same({ "train.log" }, result.read_files)
		assert.same({}, result.issues)
	end)

	it("calls the function that a dataset replaced", function()
		worker.write("run/train.log", "loss 1\n")
		local result = extract("good", "over", worker.dir() .. "/run")
		assert.equal(0.1, result.metrics.extra)
		assert.equal(0.5, result.metrics.loss)
		assert.equal("range", result.issues[1].code)
	end)

	it("reads the newest log", function()
		worker.write("two/a.log", "loss\nloss\n")
		worker.write("two/b.log", "loss\n")
		assert(os.execute("touch -d '2001-01-01' " .. worker.dir() .. "/two/b.log"))
		assert.equal(2, extract("good", "", worker.dir() .. "/two").metrics.lines)
	end)

	it("finds the files beside a directory plugin", function()
		assert.equal(7, extract("folder").metrics.x)
	end)

	it("reads JSON with its integers, NaN and null", function()
		local text = '{"int":%d,"real":1.0,"nan":NaN,"big":123456789012345678901,'
			.. '"null":null,"list":[1,2]}'
		worker.write("json/checkpoint-500/state.json", text:format(5))
		worker.write("json/checkpoint-10000/state.json", text:format(9007199254740993))
		local result = extract("reader", "", worker.dir() .. "/json")
		assert.is_nil(worker.message(result))
		assert.equal(5, result.metrics.first)
		assert.equal(1, result.metrics.null)
		assert.equal(2, result.metrics.list)
		assert.equal(2, result.metrics.n)
		assert.truthy(result.metrics.nan ~= result.metrics.nan)
	end)

	it("names broken JSON and git-LFS pointers", function()
		worker.write("bad/checkpoint-1/state.json", '{"a":1,}')
		assert_message("checkpoint-1/state.json:1:", (extract("reader", "", worker.dir() .. "/bad")))
		worker.write("bad/checkpoint-1/state.json", "version https://git-lfs.github.com/spec/v1\noid x\n")
		assert_message("is a git-LFS pointer", (extract("reader", "", worker.dir() .. "/bad")))
	end)

	--- Run `extract` of a plugin that is written here, whose input 'file' is f.txt.
	local function extract_with(body, text, prefix)
		worker.write("made/p/made.lua", ([[
			local M = { api = 1, kind = "stage", name = "made", version = "1", dir = "x", model_name = "x",
				inputs = { file = "f.txt" } }
			function M.extract(ctx)
				%s
			end
			return M]]):format(body))
		worker.write("made/in/f.txt", text or "")
		local dir = worker.dir() .. "/made"
		return worker.run(prefix or "", "extract", dir .. "/p", "made", "", dir .. "/in")
	end

	it("reads CSV", function()
		local body = 'local t = assert(ctx:csv("file")) return { metrics = { n = #t.rows, loss = tonumber(t.rows[2][2]) } }'
		assert.same({ n = 2, loss = 0.5 }, extract_with(body, 'step, loss\r\n1,"0.7"\r\n2,0.5\r\n').metrics)
		assert_message("f.txt", extract_with(body, 'step,loss\n1,"0.7\n'))
	end)

	it("takes THHOST_LUA for the library that it has in it", function()
		local body = 'return { metrics = { x = require("th.num").answer } }'
		worker.write("lib/th/num.lua", "return { answer = 42 }")
		assert.same({ x = 42 }, extract_with(body, "", "THHOST_LUA=" .. worker.dir() .. "/lib").metrics)
		assert_message("THHOST_LUA", extract_with(body, "", "THHOST_LUA=/nowhere"))
	end)

	for body, message in pairs({
		["{ x = { 1, a = 2 } }"] = "keys that are neither all names nor 1, ",
		['{ ["\\xff"] = 1 }'] = "a key that is too long or not valid UTF-8",
		["{ x = true }"] = "true (boolean)",
		["{ x = { y = true, z = false } }"] = "(boolean)",
		["(function() local t = {} for i = 1, 1100 do t['k' .. i] = i end return t end)()"] = "more than 1024 keys",
		["{ x = function() end }"] = "x",
	}) do
		it("refuses the metrics " .. body, function()
			assert_message(message, extract_with("return { metrics = " .. body .. " }"))
		end)
	end

	it("reads YAML", function()
		worker.write("yaml/p/yaml.lua", [[
			local M = { api = 1, kind = "stage", name = "yaml", version = "1", dir = "x",
				model_name = "x", inputs = { config = "config.yaml" } }
			function M.extract(ctx)
				return { metrics = assert(ctx:yaml("config")).values }
			end
			return M]])
		worker.write("yaml/in/config.yaml", "values: { lr: 0.5, steps: 10 } # of a run\n")
		local dir = worker.dir() .. "/yaml"
		local result = worker.run("", "extract", dir .. "/p", "yaml", "", dir .. "/in")
		assert.is_nil(worker.message(result))
		assert.same({ lr = 0.5, steps = 10 }, result.metrics)
	end)

	-- Opening it would: then the writer writes to nobody, and dies of SIGPIPE.
	it("lets go of nobody who waits to write into a FIFO", function()
		worker.write("held/checkpoint-1/x", "")
		local fifo = worker.dir() .. "/held/checkpoint-1/state.json"
		assert(os.execute(("mkfifo %s && { (echo x >%s; echo >%s.gone) & }"):format(fifo, fifo, fifo)))
		extract("reader", "", worker.dir() .. "/held")
		assert.is_nil(io.open(fifo .. ".gone"))
		assert.equal("x", assert(io.popen("timeout 10 cat " .. fifo)):read("l"))
	end)

	it("passes over a FIFO without waiting", function()
		worker.write("fifo/checkpoint-1/x", "")
		assert(os.execute("mkfifo " .. worker.dir() .. "/fifo/checkpoint-1/state.json"))
		local _, seconds = extract("reader", "", worker.dir() .. "/fifo")
		assert.is_true(seconds < 2)
	end)
end)

describe("ctx:lines", function()
	teardown(worker.cleanup)

	local function lines_of(text, needles)
		worker.write("lines/in/x.log", text)
		worker.write("lines/p/lines.lua", ([[
			local M = { api = 1, kind = "stage", name = "lines", version = "1", dir = "x",
				model_name = "x", inputs = { log = "@log" } }
			function M.extract(ctx)
				local out = {}
				for line, number in ctx:lines("log"%s) do
					out[#out + 1] = number .. ":" .. #line .. ":" .. line:sub(1, 40)
				end
				ctx.log.warn(table.concat(out, "|"))
				return { metrics = {} }
			end
			return M]]):format(needles or ""))
		local dir = worker.dir() .. "/lines"
		local answer = worker.run("", "extract", dir .. "/p", "lines", "", dir .. "/in")
		assert.is_nil(worker.message(answer))
		return answer.warnings[1]
	end

	it("splits at every line end and counts what it passes over", function()
		assert.equal("1:1:a|2:1:b|4:1:c|5:1:d", lines_of("a\r\nb\n\nc\rd"))
		assert.equal("4:1:c", lines_of("a\r\nb\n\nc\rd", ', "c"'))
		assert.equal("2:1:b|5:1:d", lines_of("a\r\nb\n\nc\rd\n", ', "d", "b"'))
	end)

	it("removes ANSI escapes, also inside of a needle", function()
		assert.equal("2:6:loss 1", lines_of("x\n\27[32mlo\27[0mss 1\27]0;t\7\n", ', "loss"'))
		assert.equal("1:1:x", lines_of("\27[1;31mx"))
	end)

	it("finds needles across its blocks, with their numbers", function()
		local part = ("y"):rep(99) .. "\r\n"
		local text = part:rep(10000) .. "needle\n" .. part:rep(3000) .. "a needle"
		assert.equal("10001:6:needle|13002:8:a needle", lines_of(text, ', "needle"'))
	end)

	it("cuts a segment of more than 1 MiB and goes on behind it", function()
		local long = "n" .. ("z"):rep(3 << 20) .. "late\nn2\n"
		assert.equal("1:1048576:n" .. ("z"):rep(39) .. "|2:2:n2", lines_of(long, ', "n"'))
		assert.equal("2:2:n2", lines_of(long, ', "n2", "late"'))
	end)
end)

describe("live progress", function()
	teardown(worker.cleanup)

	local function progress(name, text)
		local path = worker.write("progress.txt", text)
		return worker.run(("cat '%s' |"):format(path), "progress", PLUGINS, name)
	end

	it("gives the values of declared rules", function()
		local values = progress("good", "nothing\nstep 1,500/3000\npct 50\n")
		assert.same({ { step = 1500 }, { steps_total = 3000 }, { fraction = 0.5 } }, values)
	end)

	it("gives up a worker that hangs in a pattern", function()
		local values, seconds = progress("hangs_progress", ("a"):rep(4000))
		assert.equal("given up", values[#values])
		assert.is_true(seconds < 3)
	end)
end)
