local detect = require("th.detect")
local fake = require("support.fake_ctx")
local folders = require("th.folder")

--- A reader made of plain tables: what it recognises, what it reads.
local function reader(name, known, reading, err)
	return { name = name, reader = {
		title = name:upper(),
		recognise = function()
			return known
		end,
		read = function()
			return reading, err
		end,
	} }
end

local function raising(name, what)
	local made = reader(name, { score = 99, why = "sure" }, { final_metrics = {}, sources = {} })
	made.reader[what] = function()
		error("a bug")
	end
	return made
end

describe("th.detect", function()
	local dir, ctx, folder

	before_each(function()
		dir = os.tmpname()
		os.remove(dir)
		assert(os.execute("mkdir '" .. dir .. "' && echo 1 >'" .. dir .. "/a.txt'"))
		ctx = assert(fake.new({ name = "any", inputs = { tree = "**/*?" }, metrics = {} }, dir))
		folder = folders.of(ctx, { "tree" })
	end)
	after_each(function()
		os.execute("rm -rf '" .. dir .. "'")
	end)

	local function known(score)
		return { score = score, why = "made" }
	end

	local function reading(more)
		local made = { outcome = "completed", final_metrics = { f1 = 0.5 }, sources = {} }
		for key, value in pairs(more or {}) do
			made[key] = value
		end
		return made
	end

	it("lists who knows the folder, the surest first, ties as they are listed", function()
		local found = detect.candidates(folder, { reader("a", known(40)), reader("b"),
			reader("c", known(90)), reader("d", known(40)) })
		local names = {}
		for index, candidate in ipairs(found) do
			names[index] = candidate.name
		end
		assert.are.same({ "c", "a", "d" }, names)
		assert.are.equal("C", found[1].title)
	end)

	it("has every reader's name once", function()
		local seen = {}
		for _, name in ipairs(detect.READERS) do
			assert.is_nil(seen[name], name)
			seen[name] = true
		end
	end)

	it("lets the surest read", function()
		local found = assert(detect.read(folder, { reader("a", known(40), reading()),
			reader("b", known(90), reading({ steps = { final = 7 } })) }))
		assert.are.equal("b", found.reader)
		assert.are.equal(7, found.reading.steps.final)
		assert.are.equal(1, #found.also)
		assert.are.equal("a", found.also[1].reader)
	end)

	it("goes on to the next where the surest cannot read, and says so", function()
		local found = assert(detect.read(folder, {
			reader("a", known(90), nil, { code = "bad_json", message = "a.json: cut short" }),
			reader("b", known(40), reading()) }))
		assert.are.equal("b", found.reader)
		assert.are.equal("a.json: cut short", found.recognised[1].error)
		assert.are.same({ "A: a.json: cut short" }, ctx.warnings)
	end)

	it("tells the first error where nobody can read", function()
		local found, err, recognised = detect.read(folder, {
			reader("a", known(90), nil, { code = "bad_json", message = "first" }),
			reader("b", known(40), nil, { code = "no_data", message = "second" }) })
		assert.is_nil(found)
		assert.are.equal("first", err.message)
		assert.are.equal(2, #recognised)
	end)

	it("names what lies there where nobody knows it", function()
		local found, err = detect.read(folder, { reader("a") })
		assert.is_nil(found)
		assert.are.equal("not_recognised", err.code)
		assert.matches("it holds a%.txt", err.message)
	end)

	for _, what in ipairs({ "recognise", "read" }) do
		it("does without a reader that raises in " .. what, function()
			local found = assert(detect.read(folder, { raising("bad", what),
				reader("b", known(40), reading()) }))
			assert.are.equal("b", found.reader)
			assert.matches("the reader 'bad' failed to " .. what .. " .*: .*a bug", ctx.warnings[1])
		end)
	end

	it("takes a reading without data only where no other has any", function()
		local without = reader("a", known(90), reading({ outcome = "no_data_lfs_pointer" }))
		local found = assert(detect.read(folder, { without, reader("b", known(40), reading()) }))
		assert.are.equal("b", found.reader)
		found = assert(detect.read(folder, { without }))
		assert.are.equal("no_data_lfs_pointer", found.reading.outcome)
	end)

	it("gives standard names to raw hyperparameters", function()
		local found = assert(detect.read(folder, {
			reader("a", known(90), reading({ raw_hyperparams = { learning_rate = "2e-5" } })) }))
		assert.are.equal(2e-5, found.reading.hyperparams.lr)
		assert.are.equal("2e-5", found.reading.raw_hyperparams.learning_rate)
	end)

	it("completes what is missing, and marks where it comes from", function()
		local found = assert(detect.read(folder, {
			reader("a", known(90), reading({ raw_hyperparams = { learning_rate = 1e-5 } })),
			reader("b", known(70), reading({ base_model = "bert", end_time = "2025-01-01T00:00:00",
				raw_hyperparams = { learning_rate = 9, batch_size = 4 },
				sources = { base_model = "inferred: b.json: base" } })) }))
		assert.are.equal("bert", found.reading.base_model)
		assert.are.equal("inferred: b.json: base [B]", found.reading.sources.base_model)
		assert.are.equal("2025-01-01T00:00:00", found.reading.end_time)
		assert.are.equal("[B]", found.reading.sources.end_time)
		assert.are.same({ lr = 1e-5, batch_size = 4 }, found.reading.hyperparams)
		assert.are.same({ base_model = "b", end_time = "b", ["hyperparams.batch_size"] = "b" },
			found.complemented)
	end)

	it("does not change the readers' own tables", function()
		local own = reading({ sources = { steps = "x" } })
		assert(detect.read(folder, { reader("a", known(90), own),
			reader("b", known(70), reading({ base_model = "bert" })) }))
		assert.are.same({ steps = "x" }, own.sources)
		assert.is_nil(own.base_model)
	end)

	it("does not complete one run with another", function()
		local found = assert(detect.read(folder, {
			reader("a", known(90), reading({ run = "version_0" })),
			reader("b", known(70), reading({ run = "version_1", base_model = "bert" })) }))
		assert.is_nil(found.reading.base_model)
		assert.are.equal(0, #found.also)
	end)

	it("asks a guess only where something is left open", function()
		local asked = 0
		local guess = reader("b", known(20), reading())
		guess.reader.read = function()
			asked = asked + 1
			return reading()
		end
		local whole = reading({ base_model = "x", raw_hyperparams = { a = 1 },
			steps = { final = 1 }, end_time = "2025-01-01T00:00:00" })
		assert(detect.read(folder, { reader("a", known(90), whole), guess }))
		assert.are.equal(0, asked)
		assert(detect.read(folder, { reader("a", known(90), reading()), guess }))
		assert.are.equal(1, asked)
	end)

	local function disagreements(ours, theirs)
		local found = assert(detect.read(folder, { reader("a", known(90), reading(ours)),
			reader("b", known(70), reading(theirs)) }))
		local said = {}
		for index, one in ipairs(found.reading.disagreements) do
			said[index] = ("%s: %s=%s %s=%s"):format(one.what, one.values[1].from,
				one.values[1].value, one.values[2].from, one.values[2].value)
		end
		return said
	end

	it("reports what two say differently, in the order of the names", function()
		assert.are.same({ "final_metrics.acc: A=0.25 B=0.75", "final_metrics.f1: A=0.5 B=0.125" },
			disagreements({ final_metrics = { f1 = 0.5, acc = 0.25 } },
				{ final_metrics = { f1 = 0.125, acc = 0.75, other = 1 } }))
	end)

	it("does not take rounding for a disagreement", function()
		for _, pair in ipairs({ { 0.9029268292682927, 0.9029 }, { 0.4197, 0.41970497369766235 },
			{ 0.1, 0.10000000149011612 }, { 0 / 0, 0 / 0 }, { 3, 3.0 } }) do
			assert.are.same({}, disagreements({ final_metrics = { f1 = pair[1] } },
				{ final_metrics = { f1 = pair[2] } }), tostring(pair[1]))
		end
		for _, pair in ipairs({ { 1, 0.6 }, { 0.9, 0.91 }, { 0.9029268, 0.9021 }, { 0 / 0, 1 } }) do
			assert.are.equal(1, #disagreements({ final_metrics = { f1 = pair[1] } },
				{ final_metrics = { f1 = pair[2] } }), tostring(pair[1]))
		end
	end)

	it("reports steps where the other ran further, or saw the end", function()
		assert.are.same({ "steps: A=10 B=12" },
			disagreements({ steps = { final = 10 } }, { steps = { final = 12 }, outcome = "running" }))
		assert.are.same({}, disagreements({ steps = { final = 10 } },
			{ steps = { final = 8 }, outcome = "unknown" }))
		assert.are.same({ "steps: A=10 B=8" }, disagreements({ steps = { final = 10 } },
			{ steps = { final = 8 } }))
		assert.are.same({}, disagreements({ steps = { final = 9, zero_based = true } },
			{ steps = { final = 10 } }))
	end)

	it("counts one more where counting begins at 0", function()
		assert.are.equal(5, detect.ran({ final = 5 }))
		assert.are.equal(6, detect.ran({ final = 5, zero_based = true }))
		assert.is_nil(detect.ran({ planned = 5 }))
		assert.is_nil(detect.ran(nil))
	end)
end)
