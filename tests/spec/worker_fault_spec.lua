--- Workers that answer what no worker should, requests that no parent should send, and calls to the
--- system that fail while plugins are found, run and listened to: always a message, never an answer
--- that is half of one.
local shim = require("support.shim")
local storage = require("support.storage")
local worker = require("support.worker")

local PLAN = '{"plan":{"name":"good","version":"1","dir":"x","model_name":"x","has_extract":true,'
	.. '"inputs":[],"rules":[{"find":"a","match":"a","set":["a"],"scale":1}]}}'

local PLUGIN = [[
	local M = { api = 1, kind = "stage", name = "made", version = "1", dir = "x", model_name = "x",
		inputs = { log = "@log", all = "*?" },
		progress = { { find = "step", match = "step (%d+)", set = { "step" } } } }
	function M.extract(ctx)
		local n = 0
		for _ in ctx:lines("log") do n = n + 1 end
		return { metrics = { n = n } }
	end
	return M]]

local function assert_message(text, answer)
	local message = worker.message(answer)
	assert.is_string(message, "there was no error")
	assert.truthy(message:find(text, 1, true), message)
end

teardown(worker.cleanup)

describe("a worker that is not what it should be", function()
	--- A worker_tool whose workers are this script.
	local function tool(script)
		local path = worker.dir() .. "/tool/worker_tool"
		if not storage.read(path) then
			worker.write("tool/made.lua", PLUGIN)
			assert(os.execute(("cp '%s' '%s'"):format(worker.TOOL, path)))
		end
		worker.write("tool/worker_tool.worker", "#!/bin/sh\nulimit -c 0\n" .. script .. "\n")
		assert(os.execute(("chmod 700 '%s.worker'"):format(path)))
		return path
	end

	local function run(script, ...)
		return (worker.run_tool("", tool(script), ...))
	end

	local function describe_with(script)
		return run(script, "describe", worker.dir() .. "/tool", "made")
	end

	local function say(text)
		return "cat >/dev/null\nexec printf '%s' '" .. text .. "'"
	end

	--- The parent's plan is as it should be, what follows is this.
	local function extract_with(answer)
		worker.write("tool.in/train.log", "")
		return run(("read -r line\ncase $line in *'\"op\":\"call\"'*) cat >/dev/null; cat '%s';;\n*) %s;; esac")
			:format(worker.write("answer", answer), say(PLAN)), "extract", worker.dir() .. "/tool", "made", "",
			worker.dir() .. "/tool.in")
	end

	for script, message in pairs {
		["kill -SEGV $$"] = "loading crashed (SIGSEGV)",
		["kill -KILL $$"] = "loading used too much processor time or memory and was killed",
		["kill -SYS $$"] = "loading asked the kernel for what a plugin may not have, and was killed",
		["kill -35 $$"] = "loading crashed (SIG?)",
		["exit 7"] = "loading gave no answer (status 7)",
		["exit 0"] = "loading gave no answer (status 0)",
		["echo '@0 extract' >&2; exit 7"] = "made.lua): extract gave no answer (status 7)",
		["echo '@9 extract' >&2; exit 7"] = "made.lua): extract gave no answer (status 7)",
		["exec cat /dev/zero"] = "MiB and was killed",
		[say "no JSON"] = "the worker's answer is not valid: ",
		[say "[]"] = "the worker's answer is not valid",
		[say '{"infos":["a",1]}'] = "the worker sent no plan",
		[say '{"error":{}}'] = "the worker failed without a message",
		[say '{"error":1}'] = "the worker failed without a message",
		[say '{"plan":{"dir":"a/b"}}'] = "dir",
	} do
		it("is told by its end: " .. script:gsub("%s+", " "), function()
			assert_message(message, describe_with(script))
		end)
	end

	-- Whoever has broken out of Lua writes whatever it likes: no list is as long as it says.
	for _, key in ipairs { "inputs", "metrics", "rules", "requires", "command" } do
		it("gives no list where " .. key .. " is none", function()
			local members = {}
			for i = 1, 2000 do
				members[i] = ('"k%d":{"name":"n","pattern":"p"}'):format(i)
			end
			local answer = worker.write("answer", ('{"plan":{"dir":"x","%s":{%s}}}'):format(key,
				table.concat(members, ",")))
			local plan = describe_with("cat >/dev/null; cat '" .. answer .. "'")
			assert.equal("x", plan.dir, worker.message(plan))
			assert.same({ {}, 0, 0 }, { plan.inputs, plan.n_metrics, plan.n_rules })
		end)
	end

	it("has its warnings shown", function()
		local path = tool(say(PLAN:gsub("}$", ',"warnings":["mind you"]}')))
		local said = storage.output(("'%s' describe '%s/tool' made 2>&1 >/dev/null"):format(path, worker.dir()))
		assert.truthy(said:find("plugin 'made': mind you", 1, true), said)
	end)

	local deep = ('{"a":'):rep(10) .. "1" .. ("}"):rep(10)
	local many = {}
	for i = 1, 1025 do
		many[i] = ('"k%d":1'):format(i)
	end
	for answer, message in pairs {
		['"metrics":1'] = "metrics: not an object",
		['"metrics":{"a":"b"}'] = "metrics: numbers only",
		['"metrics":{"a":null}'] = "metrics: numbers only",
		['"metrics":' .. deep] = "metrics: nested too deep",
		['"metrics":{' .. table.concat(many, ",") .. "}"] = "metrics: too many keys",
		['"metrics":{"a\\u001bb":1}'] = "metrics: a key with a control character",
		['"planned":{"a":"' .. ("x"):rep(400000) .. '"}'] = "planned: a string is too long",
		['"steps":-1'] = "steps: not a count",
		['"steps":1.5'] = "steps: not a count",
		['"steps":1,"resumed_from":2'] = "resumed_from: not a count up to steps",
		['"epochs":"1"'] = "epochs: not a finite number",
		['"epochs":NaN'] = "epochs: not a finite number",
		['"outcome":"fine"'] = "outcome: not one of the words",
		['"start_time":"now"'] = "start_time is 'now', expected a time",
		['"end_time":"now"'] = "end_time is 'now', expected a time",
		['"final_checkpoint":"../x"'] = "final checkpoint",
		['"base_model":"a\\u0007"'] = "base_model: it has a control character in it",
	} do
		it("gives no result with " .. answer:sub(1, 60), function()
			assert_message(message, extract_with(('{"result":{%s}}'):format(answer)))
		end)
	end

	it("does not say what confines it", function()
		local path = worker.dir() .. "/tool"
		assert_message("the plugin worker gave no answer", run("exit 1", "confinement", path))
		assert_message("the plugin worker gave no answer", run(say "no JSON", "confinement", path))
		assert_message("no luck", run(say '{"error":{"message":"no luck"}}', "confinement", path))
		assert.same({ active = { "a" }, missing = { "b" } },
			run(say '{"active":["a",1],"missing":["b",null]}', "confinement", path))
	end)

	--- Listen to this script for progress, that has `size` bytes to look at.
	local function progress_with(script, size)
		script = ("case $2 in '') %s;; esac\n%s"):format(say(PLAN), script)
		return (worker.run_tool(("yes x | head -c %d |"):format(size or 1), tool(script), "progress",
			worker.dir() .. "/tool", "made"))
	end

	it("says nothing of progress that anybody could take for it", function()
		assert.same({ { a = 1 }, { e = 4 } }, progress_with(([[
			printf 'a 1\nb\n 2\nc x\nd inf\n%s 3\n=99999\ne 4\n'
			exec cat >/dev/null]]):format(("n"):rep(65))))
	end)

	for script, size in pairs {
		["exit 1"] = 1,
		["exec cat /dev/zero"] = 1,
		["exec sleep 60"] = 1000000,
	} do
		it("is given up for progress: " .. script, function()
			local answer = progress_with(script, size)
			-- One that ends at once may do so before it has taken its rules.
			assert.equal("given up", answer[1] or worker.message(answer) == "the progress worker did not start"
				and "given up")
		end)
	end
end)

describe("a request", function()
	--- What the worker says to it.
	local function answer_to(request)
		local path = worker.write("request", request)
		return (worker.run(("<'%s' env -i"):format(path), "--plugin-worker"))
	end

	local function with(members, text)
		return ('{"op":"describe","memory":67108864,"load_ms":1000,"call_ms":1000,"cpu_s":5,"stage":"s",'
			.. '"plugins":[{"kind":"stage","name":"s","path":"/s.lua"}]%s}\n%s'):format(members, text or "")
	end

	for request, message in pairs {
		[""] = "request:1:1: ",
		["no JSON\n"] = "request:1:1: ",
		[with(',"sources":[{"plugin":0,"module":"","path":"/s.lua","size":100}]', "x")] =
			"the request was cut short",
		[with(',"sources":[{"plugin":0,"module":"","path":"/s.lua","size":-1}]', "x")] =
			"the request was cut short",
		[with('')] = "has no text",
		[(with(''):gsub("67108864", "100"))] = "cannot start Lua within 100 bytes of memory",
		[(with(',"sources":[{"plugin":0,"module":"","path":"/s.lua","size":9}]', "return {}")
			:gsub('"kind":"stage"', '"kind":"other"'))] = "",
	} do
		it("is refused: " .. request:sub(1, 20) .. " ... " .. message, function()
			assert_message(message, answer_to(request))
		end)
	end

	it("is refused when it is too large, or nothing that can be read", function()
		worker.write("request", "")
		assert_message("the request is too large", (worker.run("head -c 68000000 /dev/zero |", "--plugin-worker")))
		assert_message("cannot read the request", (worker.run("</", "--plugin-worker")))
		assert_message("cannot read the request", (worker.run("<&-", "--plugin-worker")))
	end)

	it("is answered to nobody where nobody is left", function()
		local path = worker.write("request", with(""))
		assert.is_true(os.execute(("env -i '%s' --plugin-worker <'%s' >/dev/full 2>/dev/null"):format(worker.TOOL, path)))
		local rules = '{"memory":67108864,"rules":[]}'
		path = worker.write("request", rules .. (" "):rep(65536 - #rules) .. "x")
		assert.is_true(os.execute(("env -i '%s' --plugin-worker progress <'%s' >/dev/full"):format(worker.TOOL, path)))
	end)

	it("for progress is refused without an answer", function()
		for _, text in ipairs { "", "no JSON", '{"memory":100,"rules":[]}' } do
			local path = worker.write("request", text)
			assert.is_nil(os.execute(("env -i '%s' --plugin-worker progress <'%s' 2>/dev/null"):format(worker.TOOL, path)))
		end
	end)
end)

describe("one call fails while", function()
	local library

	setup(function()
		library = shim.library("fail")
		worker.write("swept/made.lua", PLUGIN)
		worker.write("swept/helped/init.lua", PLUGIN:gsub("made", "helped"))
		worker.write("swept/helped/helper.lua", "return {}")
		worker.write("swept.in/train.log", "step 1\n")
		worker.write("swept.in/b", "")
	end)

	local ERRORS = { EIO = 5, EINTR = 4, EACCES = 13 }

	--- Run the tool with its first call failing, its second, ...; `fine` judges each answer.
	local function sweep(fine, stdin, ...)
		local hit = worker.dir() .. "/hit"
		for name, number in pairs(ERRORS) do
			local k = 0
			repeat
				k = k + 1
				os.remove(hit)
				local answer = worker.run(("%s LD_PRELOAD=%s FAIL_AT=%d FAIL_ERROR=%d FAIL_TELL='%s'"):format(stdin,
					library, k, number, hit), ...)
				local said = worker.message(answer)
				assert.is_true(said == nil or #said > 0)
				assert.is_true(said ~= nil or fine(answer), ("%s at call %d: %s"):format(name, k,
					storage.read(hit) or "none"))
			until not storage.read(hit)
			assert.is_true(k > 20)
		end
	end

	local function it_with_library(name, test)
		it(name, function()
			if not library then
				return pending("a sanitizer in the way of a preloaded library, or no compiler")
			end
			test()
		end)
	end

	it_with_library("a plugin with helpers is described", function()
		sweep(function(plan) return plan.name == "helped" end, "", "describe", worker.dir() .. "/swept", "helped")
	end)

	it_with_library("a plugin reads its files", function()
		sweep(function(result) return result.metrics ~= nil end, "", "extract", worker.dir() .. "/swept", "made", "",
			worker.dir() .. "/swept.in")
	end)

	it_with_library("progress is listened to", function()
		local path = worker.write("progress", ("x"):rep(200000) .. "\nstep 2\n")
		sweep(function(values)
			return values[#values] == "given up" or #values == 0 or values[#values].step == 2
		end, ("<'%s'"):format(path), "progress", worker.dir() .. "/swept", "made")
	end)

	it_with_library("it is asked what confines a worker", function()
		sweep(function(parts) return #parts.active > 0 end, "", "confinement", worker.dir() .. "/swept")
	end)
end)

describe("a file of a plugin", function()
	local function plugin(body)
		worker.write("read/made.lua", ([[return { api = 1, kind = "stage", name = "made", version = "1", dir = "x",
			model_name = "x", inputs = { log = "@log" }, extract = function(ctx) %s end }]]):format(body))
		worker.write("read/in/f.log", "line\n")
		return worker.dir() .. "/read/in/f.log"
	end

	local function extract(prefix, log)
		local dir = worker.dir() .. "/read"
		return (worker.run(prefix, "extract", dir, "made", "", dir .. "/in", log))
	end

	it("is as long as it was found to be, or shorter", function()
		plugin("return { planned = { x = ctx:read('log') } }")
		local path = "/sys/devices/system/cpu/online" -- says that it is as long as a page
		assert.equal(storage.read(path), extract("", path).planned.x)
	end)

	it("raises what keeps its lines from being read", function()
		plugin("for _ in ctx:lines('log') do end")
		assert_message("cannot read on at byte 0: Input/output error", extract("", "/proc/self/mem"))
	end)

	it("is let alone where it is another one after the look at it", function()
		if not shim.library() then
			return pending("a sanitizer in the way of a preloaded library, or no compiler")
		end
		local told = {}
		for when = 1, 4 do
			local path = plugin("local text, err = ctx:read('log') return { planned = { x = text or err.message } }")
			local words = shim.prefix { call = "openat2", name = "f.log", when = when,
				["do"] = ("'rm %s && mkfifo %s'"):format(path, path) }
			local answer = extract(table.concat(words, " "))
			told[when] = answer.error and "missing" or answer.planned.x
			os.remove(path)
		end
		local irregular = "'f.log' is not a regular file"
		assert.same({ irregular, irregular, "missing", "'f.log' cannot be read" }, told)
	end)
end)
