--- The questions that every size of tree is asked, and what jq says to them (support/scale.lua).
local cjson = require "cjson"
local cli = require "support.cli"
local scale = require "support.scale"

local assert = require "luassert"

local M = {}

local quote = cli.quote

--- Expressions, and the same for jq over the rows of answers.jq.
M.filters = {
	{ 'metrics.f1 > 0.9 and dataset = "hrds"', '(.f1 | type == "number" and . > 0.9) and .dataset == "hrds"' },
	{ "not git.dirty and params.lr <= 2e-5", '(.dirty | not) and (.lr | type == "number" and . <= 2e-5)' },
	{ "datasets.hrdh > 5000 or tags.paper", ".of_hrdh > 5000 or .is_paper" },
	{ "metrics.val_loss is undefined", ".val_loss == null" },
	{ 'stage in ["stage3", "stage4"] and trainings >= 4 and started > "2025-01-03T00:00:00+00:00"',
		'(.stage == "stage3" or .stage == "stage4") and .trainings >= 4 and .started > "2025-01-03T00:00:00+00:00"' },
}

--- Ask for lines of JSON, and insist that exactly the broken records are rows that say so.
---@param s support.Scale
---@param args string[]
---@return string path
local function ask_lines(s, args)
	local path, status, err = s:ask("lines", { "list", "--jsonl", table.unpack(args) })
	local broken = s:broken()
	assert.equal(#broken > 0 and 1 or 0, status, err)
	local named = scale.jq("select(.error) | .ref", path)
	table.sort(named)
	assert.same(broken, named)
	return path
end

--- Every record, whole, under its REF, in natural order.
---@param s support.Scale
---@return integer count
function M.all(s)
	local path = ask_lines(s, {})
	local n = s:same_lines(s:over_records "-S '[input_filename[2:-19], .]'",
		("jq -cS 'select(.record) | [.ref, .record]' %s"):format(quote(path)))
	-- The generator's own names have one order in any reading of "natural".
	local plain = scale.jq('.ref | select(test("^exp_2025"))', path)
	local sorted = table.move(plain, 1, #plain, 1, {})
	table.sort(sorted)
	assert.same(sorted, plain)
	return n
end

--- One document says what the lines say.
---@param s support.Scale
function M.document(s)
	local path = ask_lines(s, {})
	local whole, status = s:ask("whole", { "list", "--json" })
	assert.equal(1, status)
	cli.shell(("jq -c . %s >%s.a && jq -c '.models[]' %s >%s.b && cmp %s.a %s.b"):format(quote(path),
		quote(path), quote(whole), quote(path), quote(path), quote(path)))
end

---@param s support.Scale
---@param case string[] of M.filters
---@return integer count
function M.filter(s, case)
	local path = ask_lines(s, { "-F", case[1] })
	return s:same_lines(("jq -c 'select(%s) | .ref' %s"):format(case[2], quote(s:rows())),
		("jq -c 'select(.record) | .ref' %s"):format(quote(path)))
end

--- A line of CSV, cut at its commas.
local function fields_of(line)
	local fields = {}
	-- Quotes in pairs: what lies between two commas has an even number of them.
	local part
	for piece in (line .. ","):gmatch("([^,]*),") do
		part = part and part .. "," .. piece or piece
		if select(2, part:gsub('"', "")) % 2 == 0 then
			fields[#fields + 1] = part:gsub('^"(.*)"$', "%1"):gsub('""', '"')
			part = nil
		end
	end
	return fields
end

--- A table for other programs: the numbers of each row, in the order of the list.
---@param s support.Scale
---@return integer rows
function M.columns(s)
	local lines = ask_lines(s, {})
	local path, status = s:ask("sheet", { "list", "--csv", "--columns",
		"ref,stage,max f1,max f1 step,=lr,steps,trainings" })
	assert.equal(1, status)
	local expected = {}
	for _, row in ipairs(scale.jq(".", s:rows())) do
		expected[row.ref] = row
	end
	local next_line = io.lines(path)
	assert.equal("ref,stage,max f1,max f1 step,lr,steps,trainings,error", next_line())
	local n = 0
	for _, ref in ipairs(scale.jq(".ref", lines)) do
		local fields = fields_of(next_line())
		local row = expected[ref]
		assert.equal(row == nil, fields[8] ~= "", ref)
		if ref:match("^[%w_/-]+$") then
			assert.equal(ref, fields[1])
		end
		if row then
			n = n + 1
			assert.equal(row.stage, fields[2])
			for at, name in pairs { [3] = "max_f1", [4] = "max_step", [5] = "lr", [6] = "steps", [7] = "trainings" } do
				local value = row[name] ~= cjson.null and row[name] or nil
				assert(value == tonumber(fields[at]), ("%s: %s is %s, not %s"):format(ref, name, fields[at], value))
			end
		end
	end
	assert.is_nil(next_line())
	return n
end

--- The ten best, and the best alone, with a high and with a low goal.
---@param s support.Scale
function M.best(s)
	local highest = scale.jq("map(select(.f1 != null)) | sort_by(-.f1) | .[:10] | .[].ref", s:rows(), "-s")
	local path = ask_lines(s, { "--sort=-metrics.f1", "-n", "10" })
	local found = scale.jq("select(.record) | .ref", path)
	assert.equal(10, #highest)
	assert.same(highest, found)
	for metric, ref in pairs {
		f1 = highest[1],
		val_loss = scale.jq("map(select(.val_loss != null)) | min_by(.val_loss) | .ref", s:rows(), "-s")[1],
	} do
		local best, status = s:ask("best", { "best", metric })
		assert.equal(1, status) -- some could not be read
		assert.equal(ref .. "\n", cli.read(best))
	end
end

local GROUPS = [==[map(select(.trainings > 0)) | group_by([.stage, .strategy]) | .[]
	| {stage: .[0].stage, strategy: .[0].strategy, models: length,
		metrics: ([.[].metrics | to_entries[]] | group_by(.key)
			| map({key: .[0].key, value: {n: length, mean: (map(.value) | add / length)}}) | from_entries)}]==]

--- Groups, how many are in each, and the mean of each metric.
---@param s support.Scale
---@return integer groups
function M.strategies(s)
	local path, status = s:ask("strategies", { "strategies", "--json" })
	assert.equal(1, status)
	local found = {}
	for _, group in ipairs(scale.jq(".strategies[]", path)) do
		found[group.stage .. "\n" .. group.strategy] = group
	end
	local expected = scale.jq(GROUPS, s:rows(), "-s")
	for _, group in ipairs(expected) do
		local key = group.stage .. "\n" .. group.strategy
		local ours = assert(found[key], "no group for " .. key)
		found[key] = nil
		assert.equal(group.models, ours.models, key)
		local n = 0
		for _, metric in ipairs(ours.metrics) do
			local other = assert(group.metrics[metric.name], metric.name)
			n = n + 1
			assert.equal(other.n, metric.n, key)
			assert(math.abs(other.mean - metric.mean) <= 1e-12 * math.abs(other.mean) * group.models + 1e-300,
				("%s of %s: mean %.17g, not %.17g"):format(metric.name, key, metric.mean, other.mean))
		end
		for _ in pairs(group.metrics) do
			n = n - 1
		end
		assert.equal(0, n, key)
	end
	assert.is_nil((next(found)))
	return #expected
end

--- Every training where it took place, and the runs that are in no record.
---@param s support.Scale
---@return integer attempts
function M.runs(s)
	local path = ask_lines(s, { "--runs" })
	local n = s:same_lines(s:over_records [[-S 'input_filename[2:-19] as $ref | .training_history[]
			| select(.inherited_from | not) | [$ref, .status // "completed", .]']],
		("jq -cS 'select(.entry) | [.ref, .status, .entry]' %s"):format(quote(path)))
	return n + s:same_lines(([[cd %s && find . -path '*/.thhost/runs/*.json' -print0 |
		xargs -0 jq -c 'select(.state != "recorded")
			| [(input_filename | split("/.thhost/")[0][2:]), .state, .run_id]']]):format(quote(s.root)),
		("jq -c 'select(.run) | [.ref, .status, .run.run_id]' %s"):format(quote(path)))
end

return M
