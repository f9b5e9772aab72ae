--- Every entry of the corpus, read by its framework's reader: one line each and the score.
local fake = require("support.fake_ctx")
local json = require("th.json")
local readings = require("support.readings")

--- The corpus's word for a framework -> reader. What is not here goes by its own name.
local READERS = { hf_trainer = "huggingface", timm_mae = "timm" }

--- Entries that a stage of the home pipeline left: its own plugin reads them.
local HOME = { stage2_extract_failed = "stage2", stage2_extract_ok = "stage2",
	stage4_relation_failed = "stage4" }

local function entries(corpus)
	local found = {}
	for path in io.popen("find '" .. corpus .. "' -name expected.json | sort"):lines() do
		found[#found + 1] = path:match("([^/]+/[^/]+)/expected%.json$")
	end
	return found
end

--- What a stage plugin returns, as a reading.
local function read_stage(stage, dir)
	local plugin = fake.load("plugins/" .. stage .. ".lua")
	local ctx = assert(fake.new(plugin, dir))
	local result, err = plugin.extract(ctx)
	if not result then
		return nil, err
	end
	-- Stage 2 takes no optimizer steps: pages are its metric, and how far it came when it was cut off.
	local planned = result.outcome ~= "completed" and result.planned and result.planned.pages
	return { outcome = result.outcome, final_metrics = result.metrics,
		steps = planned and { final = result.steps, planned = planned } or nil }
end

local function read(entry, framework, dir)
	local stage = HOME[entry:match("[^/]+$")]
	if stage then
		return read_stage(stage, dir)
	end
	local name = framework == "home" and "tensorboard" or READERS[framework] or framework
	return readings.read(require("th." .. name), dir)
end

describe("the readers on the corpus", function()
	local corpus = fake.corpus()
	if not corpus then
		pending("agree with the truth: no corpus here (set THHOST_CORPUS)")
		return
	end
	local only = os.getenv("READERS_ONLY") -- a framework, while working on it
	local passed, total = 0, 0

	for _, entry in ipairs(entries(corpus)) do
		local framework = entry:match("^[^/]+")
		if not only or framework == only then
			it("agree with the truth of " .. entry, function()
				total = total + 1
				local dir = corpus .. "/" .. entry
				local truth = json.decode(fake.slurp(dir .. "/expected.json")).normalised
				local reading, err = read(entry, framework, dir)
				local faults = readings.compare(truth, reading)
				io.write(("%-44s %s\n"):format(entry, #faults == 0 and "agrees" or "DIFFERS"))
				passed = passed + (#faults == 0 and 1 or 0)
				assert.are.equal("", table.concat(faults, "\n") .. (err and " (" .. err.message .. ")" or ""))
			end)
		end
	end

	teardown(function()
		io.write(("readers: %d of %d entries of the corpus\n"):format(passed, total))
	end)
end)
