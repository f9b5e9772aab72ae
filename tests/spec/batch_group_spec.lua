--- thhost batch record: many entries share a worker, and each is judged as if it were alone.
local batches = require "support.batches"
local cli = require "support.cli"
local runs = require "support.runs"

local t

-- What validate() does with an entry is told by its number of steps.
local PLUGIN = [[
local th_home = require("th.home")
local calls = 0
local deeds = {
	[13] = function() error("thirteen") end,
	[14] = function() while true do end end,
	[15] = function() return ("x"):rep(40000):find((".-"):rep(6) .. "b") end,
	[16] = function() local all = {} while true do all[#all + 1] = ("y"):rep(100000) end end,
	[17] = function() return nil, { { message = "seventeen" } } end,
	[18] = function() pcall(function() th_home.mark = 1 end) return th_home end,
}
return {
	api = 1, kind = "stage", name = "odd", version = "1.0.0", summary = "for the specs",
	dir = "odd", model_name = "odd_model",
	metrics = { f1 = { goal = "max", max = 1 } },
	validate = function(_, entry)
		calls = calls + 1
		if calls > 1 then
			error("it remembers another entry")
		end
		local deed = deeds[entry.steps]
		if deed then
			local ok, issues = deed()
			if issues then
				return ok, issues
			end
		end
		return true, { { message = "seen " .. entry.steps, level = "warning" } }
	end,
}
]]

local HEAD = "[defaults]\nstage = odd\ndataset = d\nbase_model = m\nstart_time = 2025-12-11T14:00:00\n"
	.. "end_time = 2025-12-11T15:00:00\n"

local function tree(jobs)
	local made = runs.tree("time_limit_ms = 400\nmemory_mb = 16\n")
	cli.write(made.dir .. "/plugins/odd.lua", PLUGIN)
	batches.write(made, "b.ini", HEAD .. jobs)
	return made
end

local function jobs_with(steps)
	local lines = {}
	for i, n in ipairs(steps) do
		lines[i] = ("[job j%d]\nsteps = %d\nmetric.f1 = 0.%02d\nparam.lr = 1e-%d\n"):format(n, n, n, i)
	end
	return table.concat(lines)
end

local function outcomes(status, ...)
	local found = {}
	for i, job in ipairs(t:json({ "batch", "record", "b.ini", ... }, status).jobs) do
		found[i] = job.job .. " " .. job.outcome
	end
	return table.concat(found, ", ")
end

--- How many processes `thhost batch record` starts.
local function starts()
	local trace = t.dir .. "/trace"
	t:ok({ "batch", "record", "b.ini" }, { prefix = "strace -f -qq -e trace=execve -e signal=none -o " .. trace })
	local _, n = assert(cli.read(trace)):gsub("plugin%-worker", "")
	return n
end

describe("batch record, entries that share a worker:", function()
	after_each(function()
		t:close()
	end)

	for n, words in pairs {
		[13] = "validate: thirteen",
		[14] = "validate took longer than 400 ms",
		[15] = "validate did not stop within 0.4 s and was killed",
		[16] = "validate needed more than 16 MiB of memory",
		[17] = "plugin 'odd': entry: seventeen",
	} do
		it(("one of %d steps hurts only itself"):format(n), function()
			t = tree(jobs_with { 1, 2, n, 3, 4 })
			local result = t:run { "batch", "record", "b.ini" }
			assert.equal(1, result.status)
			assert.matches("b.ini:15: ", result.err, 1, true)
			assert.matches(words, result.err, 1, true)
			assert.equal("recorded 4 in 1 record, 1 refused\n", result.out)
			local steps = {}
			for i, entry in ipairs(t:info("odd_d").training_history) do
				steps[i] = ("%d"):format(entry.steps)
			end
			assert.equal("1 2 3 4", table.concat(steps, " "))
			assert.not_matches("remembers", result.err)
			for _, other in ipairs { 1, 2, 3, 4 } do
				local _, seen = result.err:gsub("seen " .. other .. "%f[%D]", "")
				assert.equal(1, seen)
			end
		end)
	end

	it("those that end their workers one after the other, the last and the first too", function()
		t = tree(jobs_with { 15, 1, 16, 13, 2 } .. "[job last]\nsteps = 15\n")
		assert.equal("j15 refused, j1 recorded, j16 refused, j13 refused, j2 recorded, last refused", outcomes(1))
	end)

	it("nothing goes from one entry to another", function()
		t = tree(jobs_with { 18, 1, 2, 3 })
		assert.equal("j18 recorded, j1 recorded, j2 recorded, j3 recorded", outcomes())
	end)

	it("the record is the same as with a worker for each", function()
		t = tree(jobs_with { 1, 2, 17, 3, 4, 5 })
		assert.equal(1, t:run({ "batch", "record", "b.ini" }).status)
		local together = t:read("exp_1/odd_d/training_info.json")
		local by_hand = t:info("odd_d").training_history
		t:close()
		t = tree(jobs_with { 1, 2, 17, 3, 4, 5 })
		for _, n in ipairs { 1, 2, 3, 4, 5 } do
			t:ok { "batch", "record", "b.ini", "--only", "j" .. n }
		end
		assert.equal(together, t:read("exp_1/odd_d/training_info.json"))
		t:close()
		t = tree("")
		for i, n in ipairs { 1, 2, 3, 4, 5 } do
			t:ok { "record", "odd", "--exp", "exp_1", "-d", "d", "--steps", tostring(n), "--metric", ("f1=0.%02d"):format(n),
				"--param", ("lr=1e-%d"):format(i > 2 and i + 1 or i), "--start-time", "2025-12-11T14:00:00",
				"--end-time", "2025-12-11T15:00:00", "--base-model", "m" }
		end
		for i, entry in ipairs(t:info("odd_d").training_history) do
			for key, value in pairs(entry) do
				assert.same(value, by_hand[i][key], key)
			end
		end
	end)

	it("a stage without validate() answers for all from one state", function()
		t = batches.tree("[defaults]\nstage = tiny\ndataset = d\nbase_model = m\n" .. jobs_with { 1, 2, 3 })
		assert.equal("j1 recorded, j2 recorded, j3 recorded", outcomes())
		assert.equal(3, #t:info("tiny_d").training_history)
	end)

	it("a hundred of them start one worker, two hundred two", function()
		t = tree("")
		if not batches.can_trace() then
			return
		end
		local hundred, two_hundred = {}, {}
		for i = 1, 200 do
			two_hundred[i] = 200 + i
			hundred[(i + 1) // 2] = 1000 + i
		end
		batches.write(t, "b.ini", HEAD .. jobs_with { 1 })
		local one = starts()
		batches.write(t, "b.ini", HEAD .. jobs_with(hundred))
		assert.equal(one, starts())
		batches.write(t, "b.ini", HEAD .. jobs_with(two_hundred))
		assert.equal(one + 1, starts())
	end)
end)
