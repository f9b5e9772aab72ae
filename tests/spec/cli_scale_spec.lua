--- Answers over a whole tree with all that goes wrong in one, against those of jq over the files; and
--- while the files change. The same at a larger size: tests/torture/scale_spec.lua.
local answers = require "support.answers"
local cjson = require "cjson"
local cli = require "support.cli"
local scale = require "support.scale"

local quote = cli.quote
local is_asan = os.getenv("THHOST_MODE") == "asan"
local COUNT = is_asan and 300 or 1500

describe("the generator of trees", function()
	it("makes the same bytes for the same seed, and others for another", function()
		local dir = cli.temp_dir()
		local tree = scale.generator()
		local sums = {}
		for i, how in ipairs { "--seed 3", "--seed 3", "--seed 4" } do
			cli.shell(("%s %s/%d --records 250 --chain 5 --fan 5 --foul --huge 100000 %s"):format(tree, dir, i, how))
			sums[i] = cli.shell(("cd %s/%d && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum")
				:format(dir, i))
		end
		assert.equal(sums[1], sums[2])
		assert.not_equal(sums[1], sums[3])
		cli.remove(dir)
	end)

	it("makes records that verify finds nothing wrong with", function()
		local s = scale.new(200)
		for _, ref in ipairs(scale.jq(".ref", s:rows())) do
			if ref:find("hrd[sh]$") or ref:find("doclaynet$") then
				local _, status, err = s:ask("verify", { "verify", ref })
				assert.equal(0, status, err)
			end
		end
		s:close()
	end)
end)

for _, way in ipairs(scale.ways()) do
	describe("asked " .. way.name .. ", as jq over the files has it:", function()
		local s

		setup(function()
			s = scale.new(COUNT, "--foul --huge 2000000 --chain 5 --fan 5")
			s.options = way.options
		end)

		teardown(function()
			s:close()
		end)

		it("every record whole and in order, the broken ones named", function()
			assert.is_true(answers.all(s) > COUNT)
		end)

		it("one document as the lines", function()
			answers.document(s)
		end)

		for _, case in ipairs(answers.filters) do
			it("those with " .. case[1], function()
				answers.filter(s, case)
			end)
		end

		it("a sheet of columns", function()
			assert.is_true(answers.columns(s) > COUNT)
		end)

		it("the best", function()
			answers.best(s)
		end)

		it("strategies with their counts and means", function()
			assert.is_true(answers.strategies(s) > 10)
		end)

		it("every attempt", function()
			answers.runs(s)
		end)

		it("and an index only where one was used", function()
			local files = cli.shell(("mkdir -p %s/home/cache && find %s/home/cache -type f"):format(s.dir, s.dir))
			assert.equal(way.uses_index, files ~= "")
		end)
	end)
end

--- A record whose parts all tell its version, so that a mixture shows.
local function version(n)
	return cjson.encode { model_name = "v" .. n, stage = "stage1", final_checkpoint = "v" .. n, base_model = "b",
		created_at = "2025-01-01T00:00:00Z", last_updated = "2025-01-01T00:00:00Z", total_steps = n,
		last_dataset = "v" .. n, training_history = { { dataset = "v" .. n, steps = n, metrics = { f1 = n / 1000 },
		hyperparams = {}, start_time = "2025-01-01T00:00:00Z", end_time = "2025-01-01T00:00:00Z" } } }
end

--- nil, or what is wrong with the record of 'row'.
local function flaw(row)
	local record = row.record
	if not record then
		return row.error
	end
	local steps = 0
	for _, entry in ipairs(record.training_history) do
		steps = steps + entry.steps
	end
	if steps ~= record.total_steps then
		return "total_steps is not the sum"
	end
	local v = record.model_name:match("^v%d+$")
	if v and (record.final_checkpoint ~= v or record.last_dataset ~= v or record.training_history[1].dataset ~= v or
			("v%d"):format(record.total_steps) ~= v) then
		return "parts of two versions"
	end
	return nil
end

--- Ways to change a record, by shell, in the directory of model 'm'; version.1 to .3 have one size.
--- Then what is there, and, where that changes, the model that has what was there before.
local CHANGES = {
	["another file of the same size and time"] = { "cp version.2 new; touch -r training_info.json new;" ..
		"mv new training_info.json", "v2" },
	["the same file overwritten, its time put back"] = { "touch -r training_info.json time;" ..
		"cat version.2 >training_info.json; touch -r time training_info.json", "v2" },
	["two changes in one moment"] = { "cat version.3 >training_info.json; cat version.2 >training_info.json", "v2" },
	["a time far back"] = { "cat version.2 >training_info.json; touch -d 2001-01-01 training_info.json", "v2" },
	["a file that is gone"] = { "rm training_info.json" },
	["a directory that is gone"] = { "cd ..; rm -r stage1_m" },
	["a directory of another name"] = { "mv ../stage1_m ../stage1_n", nil, "stage1_n" },
	["a directory that takes another's place"] = { "mkdir ../new; cp version.2 ../new/training_info.json;" ..
		"mv ../stage1_m ../stage1_n; mv ../new ../stage1_m", "v2", "stage1_n" },
	["a new model"] = { "mkdir ../stage1_n; cp version.1 ../stage1_n/training_info.json", "v1", "stage1_n" },
}

for _, way in ipairs(scale.ways()) do
	describe("while files change, asked " .. way.name .. ", list", function()
		local s, exp

		setup(function()
			s = scale.new(100)
			s.options = way.options
			exp = 0
		end)

		teardown(function()
			s:close()
		end)

		--- An experiment of its own with models of these names, which have version.1 to .N beside them.
		local function models(count, ...)
			exp = exp + 1
			local dir = ("%s/exp_%d"):format(s.root, exp)
			for _, name in ipairs { ... } do
				cli.shell(("mkdir -p %s/%s"):format(dir, name))
				for n = 1, count do
					cli.write(("%s/%s/version.%d"):format(dir, name, n), version(n))
				end
				cli.write(("%s/%s/training_info.json"):format(dir, name), version(1))
			end
			return dir
		end

		local function list(...)
			local path, status, err = s:ask("rows.now", { "list", "--jsonl", ... })
			local by_ref, n = {}, 0
			for _, row in ipairs(scale.jq(".", path)) do
				by_ref[row.ref], n = row, n + 1
			end
			assert.equal(0, status, err)
			return by_ref, n
		end

		--- In the background, until dir/stop is there: append to two models, and replace four files.
		local function start_writers(dir)
			local append = ([[while [ ! -e %s/stop ]; do
				for data in hrds hrdh; do
					%s record stage1 -q --root %s -e exp_20250101_000000 -d $data --steps 10 -m f1=0.5 || exit 1
				done
			done]]):format(s.dir, quote(cli.thhost), s.root)
			local replace = ([[cd %s; n=1; while [ ! -e %s/stop ]; do
				n=$((n %% 200 + 1))
				for i in 1 2 3 4; do
					mv stage1_r$i/version.$n stage1_r$i/training_info.json
					cp stage1_r$i/training_info.json stage1_r$i/version.$n
				done
			done]]):format(dir, s.dir)
			for name, script in pairs { append = append, replace = replace } do
				cli.write(s.dir .. "/" .. name, script)
				cli.shell(("HOME=%s/home sh %s/%s >%s/%s.log 2>&1 & echo $! >%s/%s.pid"):format(s.dir, s.dir, name,
					s.dir, name, s.dir, name))
			end
		end

		local function stop_writers()
			cli.write(s.dir .. "/stop", "")
			for _, name in ipairs { "append", "replace" } do
				local pid = cli.read(("%s/%s.pid"):format(s.dir, name)):match("%d+")
				cli.wait_for(name .. " to end", function()
					local stat = cli.read("/proc/" .. pid .. "/stat")
					return not stat or stat:find(") Z", 1, true)
				end)
				assert.equal("", cli.read(("%s/%s.log"):format(s.dir, name)))
			end
		end

		--- Each record is whole, and has no fewer trainings than in 'before'. How many have more?
		local function compare(before, rows)
			local grown = 0
			for ref, row in pairs(rows) do
				assert.is_nil(flaw(row), ref)
				local old = before[ref] and #before[ref].record.training_history or 0
				local now = #row.record.training_history
				assert.is_true(now >= old, ref .. " has lost a training")
				grown = grown + (old > 0 and now > old and 1 or 0)
			end
			return grown
		end

		it("has one of its versions of each record, never an older one than before, and none vanishes", function()
			local dir = models(200, "stage1_r1", "stage1_r2", "stage1_r3", "stage1_r4")
			local before, all = list()
			local grown = 0
			start_writers(dir)
			local ok, why = pcall(function()
				for _ = 1, is_asan and 5 or 12 do
					local rows, n = list()
					assert.equal(all, n)
					grown = grown + compare(before, rows)
					before = rows
				end
			end)
			stop_writers()
			assert(ok, why)
			assert.is_true(grown > 0, "nothing was written meanwhile")
			local path = s:ask("rows.now", { "list", "--jsonl" })
			s:same_lines(s:over_records "-S '[input_filename[2:-19], .]'",
				("jq -cS '[.ref, .record]' %s"):format(quote(path)))
		end)

		for name, change in pairs(CHANGES) do
			it("notices " .. name, function()
				local dir = models(3, "stage1_m")
				local prefix = dir:match("[^/]*$") .. "/"
				assert.equal("v1", list()[prefix .. "stage1_m"].record.model_name)
				cli.shell(("cd %s/stage1_m && { %s; }"):format(dir, change[1]))
				local rows = list()
				local row = rows[prefix .. "stage1_m"]
				assert.equal(change[2], row and row.record.model_name)
				if change[3] then
					assert.equal("v1", rows[prefix .. change[3]].record.model_name)
				end
			end)
		end

		it("notices that a record breaks, and that it is whole again", function()
			local dir = models(1, "stage1_broken")
			for _, text in ipairs { version(1), "{", version(2) } do
				cli.write(dir .. "/stage1_broken/training_info.json", text)
				local path, status = s:ask("rows.now", { "list", "--jsonl", "stage1_broken" })
				local rows = scale.jq(".", path)
				assert.equal(1, #rows)
				assert.equal(text == "{" and 1 or 0, status)
				assert.equal(text ~= "{", rows[1].record ~= nil)
			end
		end)
	end)
end
