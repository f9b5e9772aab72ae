--- A program that writes the record without our lock, beside three writers of ours: what it has put in place
--- is added to or kept, and what it takes from us is only what it cannot have read.
local actors = require "support.actors"
local cjson = require "cjson"
local runs = require "support.runs"
local storage = require "support.storage"
local torture = require "support.torture"

local FIRST = 7 -- steps of the entry that is there from the beginning

-- Without EXCHANGE there is none; with it, the moments before and after one last up to 3 ms.
local SHIM = [[
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
#ifdef EXCHANGE
	usleep(rand() % 3000);
	int result = (int)syscall(SYS_renameat2, a, from, b, to, flags), number = errno;
	usleep(rand() % 3000);
	errno = number;
	return result;
#else
	(void)a, (void)from, (void)b, (void)to, (void)flags;
	errno = EINVAL;
	return -1;
#endif
}
]]

describe("a program without our lock", function()
	local home, dir, record, group

	before_each(function()
		home = storage.temp_dir()
		dir = home .. "/stage"
		record = dir .. "/" .. storage.RECORD
	end)
	after_each(function()
		if group then
			group:abandon()
			group = nil
		end
		storage.remove(home)
	end)

	local function without_python()
		return storage.skip_without(os.execute("python3 -c '' 2>/dev/null") == true, "python3")
	end

	--- nil where it cannot be built or loaded.
	local function make_shim(options)
		local shim = home .. "/shim.so"
		storage.write(home .. "/shim.c", SHIM)
		local compile = ("%s -shared -fPIC %s -o %s %s/shim.c"):format(os.getenv("CC") or "cc", options, shim, home)
		return not storage.is_asan and os.execute(compile) and shim
	end

	local function start_foreign(way, pause)
		return group:start_other({ "python3", "tests/torture/foreign.py", way, record, home .. "/versions",
			group.common.stop, tostring(torture.seed), tostring(pause) })
	end

	--- What the foreign program has put in place, in order; and how often it wrote where nothing was.
	local function versions()
		local list, nameless = {}, 0
		for line in (storage.read(home .. "/versions") or ""):gmatch("([^\n]+)\n") do
			local number, read, ended, steps = line:match("^(%d+) (%S+) (%S+) (.*)$")
			if number then
				local version = { number = tonumber(number), read = tonumber(read), ended = tonumber(ended), has = {} }
				for value in steps:gmatch("%d+") do
					version.has[tonumber(value)] = true
				end
				list[#list + 1] = version
			else
				nameless = nameless + 1
			end
		end
		return list, nameless
	end

	--- All steps in the record, each once; and in what is kept beside it.
	local function collect()
		local there, kept, conflicts = {}, {}, storage.names_with(dir, ".conflict-")
		for _, steps in ipairs(storage.steps(dir)) do
			assert.is_nil(there[steps], "twice: " .. steps)
			there[steps] = true
		end
		for _, name in ipairs({ ".training_info.json.bak", table.unpack(conflicts) }) do
			for steps in (storage.read(dir .. "/" .. name) or ""):gmatch('"steps": (%d+)') do
				kept[tonumber(steps)] = true
			end
		end
		return there, kept, #conflicts
	end

	--- Was a version without this entry on its way, read before the entry was acknowledged and put in
	--- place after it was asked for? Then the foreign program has overwritten it, and nobody can help.
	local function is_theirs(entry, all)
		for _, version in ipairs(all) do
			if not version.has[entry.steps] and version.read <= entry.at + 1
				and version.ended >= entry.at - entry.ms - 1 then
				return true
			end
		end
		return false
	end

	--- One round; adds to 'sum'.
	local function round(way, pause, target, preload, sum)
		storage.shell("rm -rf %s %s; mkdir %s %s", dir, home .. "/log", dir, home .. "/log")
		storage.append(dir, FIRST)
		group = actors.group(home .. "/log", { dir = dir, spread = 0, from = 1, may_fail = true,
			timeout = 60000, preload = preload })
		for _ = 1, 3 do
			group:start("append", {})
		end
		start_foreign(way, pause)
		storage.wait_until("the appends", function()
			return group:check() and group:count() >= target and #versions() >= target
		end, 300)
		group:finish()
		local there, kept, conflicts = collect()
		local all, nameless = versions()
		for _, version in ipairs(all) do
			if not there[version.number] then
				local is_silent = not kept[version.number]
				sum.silent = sum.silent + (is_silent and 1 or 0)
				sum.kept = sum.kept + (is_silent and 0 or 1)
			end
		end
		for _, actor in ipairs(group.all) do
			for _, entry in ipairs(actor.job and actors.said(actor) or {}) do
				sum.acked = sum.acked + 1
				if not there[entry.steps] then
					sum.taken = sum.taken + 1
					assert.is_true(kept[entry.steps] or is_theirs(entry, all), "lost by us: " .. entry.steps)
				end
			end
			for code, steps, message in storage.read(actor.err):gmatch("refused: (%S+) (%d+) ([^\n]+)\n") do
				-- The program may have read ours in the moment of an exchange, and put it back. Then it cannot be
				-- told ("not_durable"); a damaged file means the spool, from which an entry goes in once.
				local may_be_there = code == "not_durable" or (code == "invalid" and way ~= "replace")
				assert.is_true(may_be_there or code == "busy", message)
				assert.is_true(may_be_there or not there[tonumber(steps)], "refused, and there: " .. steps)
				sum.refused = sum.refused + 1
			end
		end
		sum.versions, sum.conflicts = sum.versions + #all, sum.conflicts + conflicts
		sum.nameless = sum.nameless + nameless
		assert.same({}, storage.names_with(dir, ".tmp."))
	end

	local function campaign(way, pause, preload, target)
		local sum = { versions = 0, silent = 0, kept = 0, acked = 0, taken = 0, refused = 0, conflicts = 0,
			nameless = 0 }
		local elapsed = torture.clock()
		for _ = 1, torture.scale(1, 20) do
			round(way, pause, target or 100, preload, sum)
		end
		return sum, ("%d versions kept beside the record (%d conflict files); %d appends, %d refused, "
			.. "%d acknowledged and taken out by a version that was read before; %d more versions written into "
			.. "a file that two appends had replaced; %s"):format(sum.kept, sum.conflicts, sum.acked,
			sum.refused, sum.taken, sum.nameless, elapsed())
	end

	--- A version put in place by os.replace is never lost. One that is written in place may be overwritten by
	--- the next of the same program, into the same file, made from ours, which it read in the moment of an
	--- exchange: documented, and counted.
	local function report(way, what, sum, detail)
		if way == "replace" then
			torture.figure("foreign", what, sum.versions, sum.silent, detail)
			assert.equal(0, sum.silent)
		else
			torture.figure("foreign", what, sum.versions, 0, ("%d overwritten by the program's own next one; %s")
				:format(sum.silent, detail))
			assert.is_true(sum.silent * 10 <= sum.versions, sum.silent)
		end
	end

	for _, way in ipairs({ "replace", "inplace", "update" }) do
		for _, pause in ipairs({ 0, 0.02 }) do
			local what = ("versions put in place by another program: %s, %s"):format(way,
				pause == 0 and "full speed" or "random moments")
			it("loses no version that it has put in place: " .. what, function()
				if without_python() then
					return pending(torture.cannot("foreign", what, "no python3"))
				end
				local sum, detail = campaign(way, pause)
				report(way, what, sum, detail)
			end)
		end
	end

	for _, way in ipairs({ "replace", "inplace" }) do
		local what = ("versions put in place by another program: %s, exchanges held up"):format(way)
		it("loses no version that it has put in place: " .. what, function()
			local shim = make_shim("-DEXCHANGE")
			if without_python() or not shim then
				return pending(torture.cannot("foreign", what, "no python3, no compiler, or a sanitizer in its way"))
			end
			local sum, detail = campaign(way, 0, shim, 40)
			report(way, what, sum, detail)
			assert.is_true(sum.conflicts > 0, "none came in the moment of an exchange")
		end)
	end

	it("may lose one in the window where files cannot be exchanged", function()
		local what = "versions put in place by another program, without RENAME_EXCHANGE"
		local shim = make_shim("")
		if without_python() or not shim then
			return pending(torture.cannot("foreign", what, "no python3, no compiler, or a sanitizer in its way"))
		end
		local sum, detail = campaign("replace", 0, shim)
		torture.figure("foreign", what, sum.versions, 0, ("%d overwritten in the documented window; %s"):format(
			sum.silent, detail))
		assert.is_true(sum.silent < sum.versions // 10, sum.silent)
	end)

	it("takes no run out of the record without 'verify' naming it", function()
		local what = "runs beside a program that replaces the record"
		if without_python() then
			return pending(torture.cannot("foreign", what, "no python3"))
		end
		local t <close> = setmetatable({}, { __close = function(self) self.tree:close() end })
		t.tree = runs.tree("[record]\nlock_timeout_s = 60\n")
		local words = runs.tiny(runs.write_result)
		t.tree:ok(words)
		dir = t.tree.root .. "/exp_1/tiny_d"
		record = dir .. "/" .. storage.RECORD
		storage.shell("mkdir %s", home .. "/log")
		group = actors.group(home .. "/log", {})
		start_foreign("replace", 0)
		for _ = 1, torture.scale(20, 1000) do
			assert.equal(0, t.tree:run(words).status)
			group:check()
		end
		group:finish()
		t.tree:run { "repair" } -- what the spool took
		local recorded, named, missing = {}, {}, 0
		for _, entry in ipairs(t.tree:info("tiny_d").training_history) do
			if entry.run_id then
				assert.is_nil(recorded[entry.run_id], "twice")
				recorded[entry.run_id] = true
			end
		end
		local answer = cjson.decode(t.tree:run({ "verify", "--json" }).out)
		for _, finding in ipairs(answer.findings) do
			if finding.code == "gone" then
				named[finding.message:match("run (%S+) on ")] = true
			end
		end
		local all = runs.journal(t.tree)
		for _, run in ipairs(all) do
			assert.equal("recorded", run.state)
			assert.equal(not recorded[run.run_id], named[run.run_id:sub(1, 13)] == true, run.run_id)
			missing = missing + (recorded[run.run_id] and 0 or 1)
		end
		torture.figure("foreign", what, #all, 0, ("%d taken out by it, all of them named by 'verify'"):format(missing))
	end)
end)
