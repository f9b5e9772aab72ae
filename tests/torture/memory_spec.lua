--- Memory runs out: the N-th allocation fails, once or from then on, in each process of each command.
local cli = require "support.cli"
local oom = require "support.oom"
local runs = require "support.runs"
local storage = require "support.storage"
local torture = require "support.torture"
local unit = require "unit"

local TIER = "memory"
local STAGE = "exp_1/tiny_d"
local RECORD = STAGE .. "/" .. storage.RECORD
local OTHER = "exp_1/tiny_e"

-- How often memory runs out in each process of each command, by form.
local SAMPLE = tonumber(os.getenv("SAMPLE")) or not torture.is_long and 6 or nil

local quote = cli.quote

local function read(t, name)
	return cli.read(t.root .. "/" .. name)
end

--- The text of the history, without its closing bracket.
local function history(text)
	return (assert(text:match('"training_history": (%b[])'), "no history"):gsub("%s*%]$", ""))
end

--- nil, or what is wrong with 'text' as the successor of 'old'.
local function flaw_of_successor(old, text)
	local ok, why = unit.json.check(text)
	if not ok then
		return "not JSON: " .. tostring(why)
	end
	local before, now = history(old), history(text)
	if now:sub(1, #before) ~= before then
		return "an old entry has changed"
	end
	local _, added = now:sub(#before + 1):gsub('"steps"', "")
	return added ~= 1 and ("%d entries were added"):format(added) or nil
end

--- What is said when memory runs out, or a failure that names its cause.
local function flaw_of_talk(result)
	if result.err:find("Sanitizer", 1, true) or result.err:find("runtime error", 1, true) then
		return "the sanitizers: " .. result.err
	end
	if result.status == 70 and not result.err:find("out of memory", 1, true) then
		return "status 70 without 'out of memory'"
	end
	if result.status > 128 then
		return "a signal"
	end
	local has_said = result.err ~= "" or result.out ~= "" -- 'verify' prints what it finds
	return result.status ~= 0 and not has_said and "failed without a word" or nil
end

--- A command, and what must hold after memory ran out in it.
---@class memory.Case
---@field name string
---@field args string[]
---@field roles integer[]
---@field appends boolean the record gets an entry
---@field reads? boolean it changes nothing, and what it says is the whole answer or an error
---@field mend? string[] the next command, which succeeds; default: 'args'
---@field again? string[] 'args' said once more, where that takes another word
---@field before? string name of the tree to begin with; default: "pristine"
---@field settle? fun() wait for what still goes on
---@field does_part? boolean status 1 says that some of what it found could not be looked at
---@field has_killer? boolean it may end by SIGKILL
---@field finally? fun(t: support.Tree, result: support.Result): string|nil flaw

local function flaw_of_record(case, old, now, result)
	local status = result.status
	if now == old then
		return case.appends and status == 0 and not case.mend and "status 0 without an entry" or nil
	end
	if not case.appends then
		return "the record has changed"
	end
	local flaw = flaw_of_successor(old, now)
	local is_part = case.does_part and status == 1 and result.err:find("memory", 1, true)
	return flaw or status ~= 0 and status ~= 8 and not is_part and "there is an entry, but status " .. status or nil
end

--- The next command succeeds, the record is in order, and nothing is left over.
local function flaw_afterwards(t, case)
	local next_one = t:run(case.mend or case.again or case.args)
	if next_one.status ~= 0 then
		return ("the next command: status %d: %s"):format(next_one.status, next_one.err)
	end
	local found = cli.shell(("find %s -name '*.tmp.*'"):format(quote(t.root)))
	if found ~= "" then
		return "left over: " .. found
	end
	local verified = t:run { "verify" }
	return verified.status ~= 0 and "verify: " .. verified.out .. verified.err or nil
end

local function reset(t, case)
	cli.shell(("cd %s && rm -rf artifact home at_end && cp -a %s artifact"):format(quote(t.dir),
		case.before or "pristine"))
end

--- Everything below the root, as the disk knows it: what is written to is another.
local function state_of(t)
	return cli.shell(("find %s -printf '%%p %%y %%i %%s %%T@ %%C@\\n' | sort"):format(quote(t.root)))
end

-- For those that read: what they print must not depend on the time that has gone by.
local TOMORROW = tostring(os.time() + 86400)

--- What a case is run with.
local function options(program, case, prefix)
	local env = { THHOST_TEST_NOW = case.reads and TOMORROW or nil }
	for name, value in pairs(not prefix and program.env or {}) do
		env[name] = value
	end
	return { program = program.path, env = env, prefix = prefix }
end

--- How a command is run while memory is short: what came of it, and whether there was too little.
---@alias memory.Way fun(): support.Result, boolean

--- A command that only reads, in the tree that is there: the usual answer, or an error and no more.
---@param way memory.Way
---@param usual? support.Result nil: this is the usual run
local function shoot_reader(t, _, way, usual)
	local before = state_of(t)
	local result, failed = way()
	local flaw = flaw_of_talk(result)
	if not flaw and before ~= state_of(t) then
		flaw = "something has changed on the disk"
	elseif not flaw and usual and result.status == usual.status and result.out ~= usual.out then
		flaw = "another answer than usual, and the usual status: " .. result.out
	elseif not flaw and usual and result.status ~= usual.status then
		local said = result.err .. result.out
		flaw = not said:find("memory", 1, true) and "does not say that memory is short: " .. said or nil
	end
	return flaw, failed, result
end

--- One shot; the flaw or nil, whether there was too little memory at all, and the result.
---@param way memory.Way
local function shoot(t, case, way)
	reset(t, case)
	local old = read(t, RECORD)
	local result, failed = way()
	if case.settle then
		case.settle()
	end
	local is_killed = case.has_killer and result.status == 128 + 9
	return not is_killed and flaw_of_talk(result)
		or flaw_of_record(case, old, read(t, RECORD), result)
		or flaw_afterwards(t, case)
		or case.finally and case.finally(t, result), failed, result
end

--- By the program, of whose allocations one fails.
---@return memory.Way
local function failing(t, program, case, plan)
	return function()
		program:arm(plan)
		local result = t:run(case.args, options(program, case))
		return result, select(2, program:counts()) > 0
	end
end

--- Behind a prefix that sets a limit.
---@param usual integer the status where there is enough
---@return memory.Way
local function limited(t, program, case, prefix, usual)
	return function()
		local result = t:run(case.args, options(program, case, prefix))
		return result, result.status ~= usual
	end
end

local function sweep(t, program, case)
	local shots, flaws = 0, {}
	local try = case.reads and shoot_reader or shoot
	reset(t, case)
	for _, role in ipairs(case.roles) do
		local _, _, usual = try(t, case, failing(t, program, case, { role = role, at = 0, for_ever = false }))
		assert(usual.status == 0, usual.err)
		local total = program:counts()[role]
		for _, at in ipairs(oom.numbers(total, SAMPLE)) do
			for _, for_ever in ipairs { false, true } do
				local plan = { role = role, at = at, for_ever = for_ever }
				local flaw, failed, result = try(t, case, failing(t, program, case, plan), usual)
				shots = shots + (failed and 1 or 0)
				if flaw then
					flaws[#flaws + 1] = ("%s, role %d, allocation %d of %d%s (status %d): %s"):format(case.name,
						role, at, total, for_ever and " and all after it" or "", result.status, flaw)
				end
			end
		end
	end
	return shots, flaws
end

-- The training says at its end how many allocations had failed by then; no capture goes on meanwhile.
local TOKEN = tostring(os.time()) .. tostring({}):match("%x+$")
local TRAINING = "training=" .. TOKEN .. "\n" .. [[
is_capturing() {
	for pid in $(pgrep -P $PPID); do
		tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q '^[^ ]*/thhost run ' && return 0
	done
	return 1
}
while is_capturing; do :; done
]] .. runs.write_result .. [[
echo '{"final":{"metrics":{"told":2}}}' >>"$THHOST_EVENTS"
cp "$(readlink /proc/$PPID/exe).plan" at_end.new 2>/dev/null && mv at_end.new at_end || true
]]

--- The newest run of the journal, or nil if none had begun.
local function newest(t)
	local list = runs.journal(t)
	return list[#list]
end

--- A training whose thhost is gone goes on, and so may the capture.
local function wait_for_orphans()
	storage.wait_until("the end of what is left", function()
		return not os.execute(("pgrep -f '[t]raining=%s' >/dev/null"):format(TOKEN))
	end)
end

--- Once the training has ended well with thhost beside it, its result is in the record after all.
local function flaw_of_run(t, result)
	local plan = cli.read(t.dir .. "/at_end")
	if not plan or oom.failed(plan) > 0 and result.status ~= 0 then
		return nil -- it ended without thhost, if it began
	end
	local run = newest(t)
	if result.status ~= 0 then
		return "the training ended with 0"
	elseif run.state ~= "recorded" then
		return ("the run is %s: %s"):format(run.state, tostring(run.trouble))
	end
	local text = read(t, RECORD)
	local _, times = text:gsub(run.run_id:gsub("%-", "%%-"), "")
	if times ~= 1 then
		return ("its entry is there %d times"):format(times)
	end
	return not text:find('"told": 2', 1, true) and "what the training said is lost" or nil
end

--- A tree where 'repair' has a run to record: its result came late.
local function make_broken(t)
	t:run(runs.tiny("true"))
	cli.shell(("cd %s && cp out/result.json artifact/%s/ && mv artifact broken && cp -a pristine artifact")
		:format(quote(t.dir), STAGE))
end

--- A tree where 'repair' puts in what the spool holds and brings back a damaged record.
local function make_wrecked(t)
	local good = read(t, RECORD)
	local function damage(text)
		cli.write(t.root .. "/" .. RECORD, text)
		cli.shell(("touch -d '1 hour ago' %s/%s"):format(quote(t.root), RECORD)) -- nobody is writing it
	end
	damage("{")
	local waits = t:run { "record", "tiny", "-d", "d", "--steps", "20" }
	assert(waits.status == 7, waits.err)
	cli.write(t.root .. "/" .. RECORD, good)
	for _ = 1, 2 do
		t:ok { "record", "tiny", "-d", "e", "--steps", "10" }
	end
	cli.shell(("cd %s/%s && printf '{' >%s && touch -d '1 hour ago' %s"):format(quote(t.root), OTHER,
		storage.RECORD, storage.RECORD))
	cli.shell(("cd %s && mv artifact wrecked && cp -a pristine artifact"):format(quote(t.dir)))
end

--- The other record is what its backup was.
local function flaw_of_wreck(t)
	local now = read(t, OTHER .. "/" .. storage.RECORD)
	local bak = cli.read(("%s/wrecked/%s/.%s.bak"):format(t.dir, OTHER, storage.RECORD))
	return now ~= bak and "the damaged record is not what its backup was" or nil
end

--- A tree with something to ask: two experiments, parents, goals, a stage without a plugin.
local function make_rich(t)
	t:ok { "record", "tiny", "-d", "d", "--steps", "30", "-m", "f1=0.75", "-p", "lr=0.001", "--tag", "kept",
		"--note", "a note" }
	t:ok { "record", "tiny", "-d", "e", "--steps", "40", "-m", "f1=0.5", "-m", "loss=1e-3", "--base-model", "tiny_d" }
	t:ok { "record", "other", "-d", "e", "--generic", "--steps", "50", "-m", "f1=0.25", "--base-model", "tiny_e" }
	t:ok { "exp", "new", "exp_2" }
	t:ok { "record", "tiny", "-d", "f", "-e", "exp_2", "--steps", "5", "--start-time", "2026-01-02T03:04:05Z",
		"--end-time", "2026-01-02T04:04:05Z" }
	t:ok { "exp", "use", "exp_1" }
	cli.shell(("cd %s && mv artifact rich && cp -a pristine artifact"):format(quote(t.dir)))
end

local all = { oom.roles.main, oom.roles.worker }
local from = { "record", "tiny", "-d", "d", "--from", "out" }

---@type memory.Case[]
local cases = {
	{ name = "record", args = { "record", "tiny", "-d", "d", "--steps", "10" }, roles = all, appends = true },
	{ name = "record --from", args = from, again = { "record", "tiny", "-d", "d", "--from", "out", "--again" },
		roles = all, appends = true },
	{ name = "record --capture", args = { "record", "tiny", "-d", "d", "--steps", "10", "--capture" },
		roles = { oom.roles.main, oom.roles.forked }, appends = true },
	{ name = "run", args = runs.tiny(TRAINING, "--note", "kept"), roles = all, appends = true,
		mend = { "repair" }, settle = wait_for_orphans, finally = flaw_of_run },
	{ name = "repair", args = { "repair" }, roles = all, appends = true, does_part = true, before = "broken",
		finally = function(t)
			return newest(t).state ~= "recorded" and "the run is " .. newest(t).state or nil
		end },
	{ name = "repair of a wreck", args = { "repair" }, roles = all, appends = true, does_part = true,
		before = "wrecked", finally = flaw_of_wreck },
}

-- What only reads. Where it asks a worker, that does nothing that it does not do for 'record'.
for _, args in ipairs {
	{ "list" },
	{ "list", "--json" },
	{ "list", "-F", "(steps > 0 or datasets contains 'd') and not f1 = 3", "--csv", "-c", "ref,max steps,f1",
		"--sort=-steps" },
	{ "show", "tiny_d" },
	{ "show", "--json", "tiny_d" },
	{ "verify" },
	{ "verify", "--json" },
	{ "best", "f1" },
	{ "compare", "tiny_d", "tiny_e" },
	{ "lineage", "other_e" },
	{ "strategies" },
	{ "exp", "status" },
} do
	local name = table.concat(args, " ", 1, math.min(#args, 2))
	cases[#cases + 1] = { name = name, args = args, roles = { oom.roles.main }, reads = true, before = "rich" }
end

-- A worker that does its work some thousand times over.
local PATIENT = { THHOST_PLUGIN_TIME_LIMIT = "600000", THHOST_PLUGIN_LOAD_LIMIT = "60000",
	THHOST_PLUGINS = cli.shell("pwd") .. "/tests/torture/plugins" }

--- What the plugin 'every' reads.
local function make_inputs(dir)
	cli.shell("mkdir " .. quote(dir))
	cli.write(dir .. "/log.txt", ("step 1 loss 0.5\27[0m\r\nnothing\nstep 2\n"):rep(200))
	cli.write(dir .. "/state-1.json", '{"steps":10,"f1":0.5,"list":[1,{"a":"b\\u00e4"},null,true,1e3]}')
	cli.write(dir .. "/config.yaml", "model: &m base\nother: *m\nloss: 0.25\nlist: [a, {b: c}]\n")
	cli.write(dir .. "/table.csv", 'a,b\n1,"x, y"\n2,z\n')
	cli.write(dir .. "/pointer.json", "version https://git-lfs.github.com/spec/v1\n")
	cli.write(dir .. "/bad.yaml", "a: [\n")
end

---@type { name: string, args: string[], every: integer }[]
local lua_cases = {
	{ name = "all of the API", every = 20, args = { "record", "every", "-d", "small", "--from", "every" } },
	{ name = "stage1 and its readers", every = 50,
		args = { "record", "stage1", "-d", "hrds", "--from",
			cli.shell("pwd") .. "/tests/fixtures/home/stage1/best_not_last" } },
}

-- Limits as a user or a cluster sets them ------------------------------------------------------

--- The case of that name.
local function case_of(name)
	for _, case in ipairs(cases) do
		if case.name == name then
			return case
		end
	end
	error("no case " .. name)
end

--- The smallest address space, in KiB, within which the command ends with its usual status, and that.
local function least_space(t, program, case)
	reset(t, case)
	local usual = t:run(case.args).status
	local low, high = 256, 1 << 20
	while high - low > 256 do
		local middle = (low + high) // 2
		if case.appends then
			reset(t, case)
		end
		local result = t:run(case.args, { program = program.path,
			prefix = ("prlimit --as=%d"):format(middle << 10) })
		if result.status == usual then
			high = middle
		else
			low = middle
		end
	end
	return high, usual
end

--- A tree whose record takes 'mib' MiB: many copies of its first entry.
local function make_large(t, mib)
	local text = read(t, RECORD)
	local entry = text:match('"training_history": %[%s*(%b{})')
	local many = (entry .. ","):rep((mib << 20) // (#entry + 1))
	local at = select(2, text:find('"training_history": %['))
	cli.shell(("cp -a %s/pristine %s/large"):format(quote(t.dir), quote(t.dir)))
	cli.write(t.dir .. "/large/" .. RECORD, text:sub(1, at) .. many .. text:sub(at + 1))
end

local CGROUP = "/sys/fs/cgroup/memory"

--- A control group that is gone when it goes out of scope, or nil.
local function memory_group()
	local path = ("%s/thhost.%d"):format(CGROUP, math.random(1 << 30))
	if not cli.read(CGROUP .. "/memory.limit_in_bytes") or not os.execute("mkdir " .. path .. " 2>/dev/null") then
		return nil
	end
	return setmetatable({ path = path }, { __close = function()
		cli.shell("rmdir " .. path)
	end })
end

describe("memory", function()
	local t

	setup(function()
		math.randomseed(torture.seed)
		t = runs.tree()
		cli.shell(("mkdir %s/out"):format(quote(t.dir)))
		cli.write(t.dir .. "/out/result.json", '{"steps":10,"metrics":{"f1":0.5},"final_checkpoint":"m"}')
		for _ = 1, 2 do
			t:ok { "record", "tiny", "-d", "d", "--steps", "10" }
		end
		cli.shell(("cp -a %s %s/pristine"):format(quote(t.root), quote(t.dir)))
		make_broken(t)
		make_wrecked(t)
		make_rich(t)
		make_large(t, 8)
		make_inputs(t.dir .. "/every")
	end)

	teardown(function()
		t:close()
	end)

	for _, case in ipairs(lua_cases) do
		it("runs out in Lua, " .. case.name, function()
			local program <close> = oom.sanitized()
			local clock = torture.clock()
			program:arm { role = oom.roles.lua, at = torture.scale(case.every, 1), for_ever = false }
			local result = t:run(case.args, { program = program.path, env = PATIENT })
			local _, shots = program:counts()
			local flaws = cli.shell(("cat %s.flaws; cat %s.asan.* 2>/dev/null || true")
				:format(program.path, program.path))
			torture.figure(TIER, "Lua allocations failed, " .. case.name, shots, #flaws > 0 and 1 or 0, clock())
			assert(flaws == "" and result.status == 0, flaws .. result.err)
		end)
	end

	for _, build in ipairs { "sanitized", "plain" } do
		for _, case in ipairs(cases) do
			it(("runs out in '%s', %s"):format(case.name, build), function()
				local program <close> = oom[build]()
				local shots, flaws = sweep(t, program, case)
				torture.figure(TIER, ("allocations failed in %s, %s"):format(case.name, build), shots, #flaws)
				assert(#flaws == 0, table.concat(flaws, "\n", 1, math.min(#flaws, 20)))
			end)
		end
	end

	-- A reader of a small tree needs hardly more than a program that does nothing.
	for name, before in pairs { record = "pristine", repair = "broken", list = "large", ["show --json"] = "large",
		verify = "large" } do
		it(("is limited with ulimit -v in '%s'"):format(name), function()
			local program <close> = oom.plain()
			local case = setmetatable({ before = before }, { __index = case_of(name) })
			local try = case.reads and shoot_reader or shoot
			local least = least_space(t, program, { args = { "version" } })
			local enough, status = least_space(t, program, case)
			local usual = case.reads and t:run(case.args, options(program, case, "")) or nil
			local count, flaws, failed = torture.scale(20, name == "record" and 1000 or 250), {}, 0
			for i = 1, count do
				local kib = least + (enough - least) * i // count
				local flaw, too_little, result = try(t, case,
					limited(t, program, case, ("prlimit --as=%d"):format(kib << 10), status), usual)
				failed = failed + (too_little and 1 or 0)
				flaws[#flaws + 1] = flaw and ("%d KiB (status %d): %s"):format(kib, result.status, flaw)
			end
			torture.figure(TIER, "address spaces too small for " .. name, failed, #flaws)
			assert(failed > 0 and #flaws == 0, table.concat(flaws, "\n"))
		end)
	end

	it("is limited by a control group, whose killer strikes in an append", function()
		local group <close> = memory_group()
		if not group then
			return pending(torture.cannot(TIER, "OOM killer", "no writable cgroup v1 memory controller"))
		end
		local program <close> = oom.plain()
		local case = setmetatable({ before = "large", has_killer = true }, { __index = case_of("record") })
		local count, flaws, killed = torture.scale(4, 200), {}, 0
		for i = 1, count do
			local limit = (4 << 20) + (16 << 20) * (i - 1) // count
			cli.write(group.path .. "/memory.limit_in_bytes", tostring(limit))
			local flaw, _, result = shoot(t, case, limited(t, program, case,
				("sh -c 'echo $$ >%s/cgroup.procs && exec \"$@\"' sh"):format(group.path), 0))
			killed = killed + (result.status == 128 + 9 and 1 or 0)
			flaws[#flaws + 1] = flaw and ("%d bytes (status %d): %s"):format(limit, result.status, flaw)
		end
		torture.figure(TIER, "appends to 8 MiB that the OOM killer ended", killed, #flaws)
		assert(killed > 0 and #flaws == 0, table.concat(flaws, "\n"))
	end)
end)
