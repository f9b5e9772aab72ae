local json = require("th.json")
local leavings = require "support.leavings"
local sacred = require("th.sacred")

local EXPERIMENT = '"experiment": {"mainfile": "train.py", "name": "digits", "sources": [], ' ..
	'"repositories": [{"commit": "0a28", "dirty": false, "url": "u"}]}'

local function run_json(rest, status)
	return ('{"artifacts": [], "command": "main", %s, "host": {"hostname": "dl-01"}, ' ..
		'"meta": {"command": "main", "options": {"UPDATE": ["lr=0.1"]}}, "resources": [], ' ..
		'"start_time": "2019-07-05T12:16:03.909392", "status": "%s"%s}'):format(EXPERIMENT,
		status or "COMPLETED", rest and ", " .. rest or "")
end

local function read(texts)
	return leavings.read(sacred, texts)
end

--- The same record without a field of its experiment.
local function without_mainfile()
	return (run_json():gsub('"mainfile": "train.py", ', ""))
end

describe("th.sacred", function()
	it("reads a run's origin, times and configuration", function()
		local reading = read { ["run.json"] = run_json('"stop_time": "2019-07-05T12:24:26.7"'),
			["config.json"] = '{"lr": 0.1, "model": {"epochs": 3, "name": "x"}, "dataset": "mnist", ' ..
				'"dims": {"py/tuple": [1, 2]}}' }
		assert.are.equal("completed", reading.outcome)
		assert.are.equal(".", reading.run)
		assert.are.equal("digits", reading.experiment)
		assert.are.equal("dl-01", reading.host)
		assert.are.equal("0a28", reading.git_commit)
		assert.are.equal("train.py main with lr=0.1", reading.command)
		assert.are.equal("main", read { ["run.json"] = without_mainfile() }.command)
		assert.are.equal("2019-07-05T12:16:03.909392+00:00", reading.start_time)
		assert.are.equal("2019-07-05T12:24:26.7+00:00", reading.end_time)
		assert.are.same({ lr = 0.1, num_epochs = 3 }, reading.hyperparams)
		assert.are.same({ ["py/tuple"] = { 1, 2 } }, reading.raw_hyperparams.dims)
		assert.are.equal("mnist", reading.dataset)
		assert.are.equal("config.json", reading.sources.hyperparams)
		assert.is_nil(reading.disagreements)
	end)

	it("takes the last value of each metric, numpy's too, and the result as the summary", function()
		local reading, _, warnings = read { ["run.json"] = run_json('"result": {"acc": 0.9, "n": 3, ' ..
			'"loss": 0.5}'), ["metrics.json"] = '{"acc": {"steps": [0, 10], "timestamps": ["a", "b"], ' ..
			'"values": [0.5, 0.8]}, "loss": {"values": [{"py/object": "numpy.float64", "value": 0.5}]}, ' ..
			'"nan": {"values": [1, NaN]}, "none": {"values": []}, "bad": {"values": ["x"]}}' }
		assert.are.equal(0.8, reading.final_metrics.acc)
		assert.are.equal(0.5, reading.final_metrics.loss)
		assert.is_true(reading.final_metrics.nan ~= reading.final_metrics.nan)
		assert.is_nil(reading.final_metrics.none)
		assert.is_nil(reading.final_metrics.bad)
		assert.are.same({ acc = 0.9, n = 3, loss = 0.5 }, reading.train_summary)
		assert.are.same({ { what = "final_metrics.acc", values = {
			{ from = "metrics.json", value = 0.8 }, { from = "run.json: result", value = 0.9 } } } },
			reading.disagreements)
		assert.are.equal("metrics.json: last value", reading.sources["final_metrics.acc"])
		assert.are.same({ "'metrics.json': bad does not end in a number" }, warnings)
	end)

	for text, metrics in pairs {
		["0.93"] = { result = 0.93 },
		['{"py/object": "numpy.float64", "value": 0.5}'] = { result = 0.5 },
		['{"acc": 1, "note": "ok", "flag": true, "none": null}'] = { acc = 1 },
		['{"acc": {"py/object": "numpy.int64", "value": 3}}'] = { acc = 3 },
		['{"f1": {"py/object": "numpy.ndarray", "values": [0.1, 0.2]}}'] =
			{ f1 = { ["py/object"] = "numpy.ndarray", values = { 0.1, 0.2 } } },
		['{"val": {"acc": 0.5}, "names": {"a": "b"}}'] = { val = { acc = 0.5 } },
		['{"a": {"py/object": "numpy.ndarray", "shape": [9], "values": "eJwz"}, "n": 7}'] = { n = 7 },
		['{"losses": {"A": {"py/object": "numpy.float64", "value": 3.5}, "B": "x"}}'] =
			{ losses = { A = 3.5 } },
		['{"net": {"py/object": "m.Net", "lr": 1}, "pair": {"py/tuple": [1, 2]}}'] = { pair = { 1, 2 } },
		["[0.1, 0.2]"] = { result = { 0.1, 0.2 } },
		["null"] = {}, ['"done"'] = {}, ["[]"] = {}, ["true"] = {},
	} do
		it("takes what is measured out of the result " .. text, function()
			local reading = read { ["run.json"] = run_json('"result": ' .. text),
				["metrics.json"] = "{}" }
			assert.are.same(metrics, reading.final_metrics)
			assert.is_nil(reading.train_summary)
		end)
	end

	it("takes the last values of info.json where nothing else was measured", function()
		local texts = { ["run.json"] = run_json('"result": null'), ["metrics.json"] = "{}",
			["info.json"] = '{"won": [0.1, 0.5], "won_T": [10, 20], "beta_T": 3, "names": ["a"], ' ..
				'"loss": [{"py/object": "numpy.float64", "value": 0.25}], "none": [], "map": {"a": 1}}' }
		local reading = read(texts)
		assert.are.same({ won = 0.5, beta_T = 3, loss = 0.25 }, reading.final_metrics)
		assert.are.equal("info.json: last value", reading.sources["final_metrics.won"])
		texts["run.json"] = run_json('"result": 1')
		assert.are.same({ result = 1 }, read(texts).final_metrics)
	end)

	for status, outcome in pairs { FAILED = "failed", INTERRUPTED = "interrupted",
		TIMEOUT = "interrupted", QUEUED = "unknown", STOPPED_BY_ME = "interrupted" } do
		it("knows the status " .. status, function()
			assert.are.equal(outcome, read({ ["run.json"] = run_json(nil, status) }).outcome)
		end)
	end

	it("says what a run of another status ended with", function()
		assert.matches("TIMEOUT", read({ ["run.json"] = run_json(nil, "TIMEOUT") }).error)
		assert.is_nil(read({ ["run.json"] = run_json(nil, "INTERRUPTED") }).error)
	end)

	it("takes the error from fail_trace, whose pieces hold several lines", function()
		local reading = read { ["run.json"] = run_json('"fail_trace": ["Traceback ...\\n", ' ..
			'"  File \\"a.py\\"\\n    x\\n", "ValueError: bad\\n\\n"]', "FAILED") }
		assert.are.equal("ValueError: bad", reading.error)
	end)

	it("takes the error from the console when there is no trace", function()
		local reading, _, warnings = read { ["cout.txt"] = "Traceback (most recent call last):\n" ..
			"  File \"a\"\nKeyError: 'x'\n", ["run.json"] =
			run_json('"heartbeat": "2019-07-05T14:21:19.3"', "RUNNING") }
		assert.are.equal("running", reading.outcome)
		assert.are.equal("KeyError: 'x'", reading.error)
		assert.matches("sign of life is of 2019%-07%-05T14:21:19.3%+00:00$", warnings[1])
	end)

	it("reads the first of many runs and names the others in the order of their numbers", function()
		local texts = { ["runs/_sources/a.py"] = "" }
		for _, number in ipairs { 10, 9, 2 } do
			texts["runs/" .. number .. "/run.json"] = run_json('"result": ' .. number)
			texts["runs/" .. number .. "/model.pt"] = "x"
		end
		texts["runs/2/run.json"] = run_json('"result": 2'):gsub('%[%]', '["model.pt", "gone.pt"]', 1)
		local known = leavings.recognise(sacred, texts)
		assert.are.same({ "runs/2", "runs/9", "runs/10" }, known.runs)
		assert.are.equal(85, known.score)
		local reading = read(texts)
		assert.are.equal("runs/2", reading.run)
		assert.are.same({ result = 2 }, reading.final_metrics)
		assert.are.same({ last = "runs/2/model.pt" }, reading.checkpoints)
	end)

	it("takes the only file that was opened for the data", function()
		local texts = { ["run.json"] = run_json():gsub('"resources": %[%]',
			'"resources": [["/data/a.csv", "d41d"]]') }
		local reading = read(texts)
		assert.are.equal("/data/a.csv", reading.dataset)
		assert.are.equal("inferred:run.json: resources", reading.sources.dataset)
		texts["config.json"] = '{"dataset": "b"}'
		assert.are.equal("b", read(texts).dataset)
	end)

	it("is sure of its own run.json, also behind a long list of artifacts", function()
		local one = leavings.recognise(sacred, { ["run.json"] = run_json() })
		assert.are.same({ 90, nil }, { one.score, one.runs })
		local long = '{"artifacts": [' .. ('"picture.png", '):rep(500) .. '"x"], ' ..
			run_json():match("^{(.*)$")
		assert.is_nil(leavings.recognise(sacred, { ["run.json"] = long }))
		assert.is_table(leavings.recognise(sacred, { ["run.json"] = long, ["config.json"] = "{}" }))
	end)

	for what, text in pairs {
		["another program's run.json"] = '{"name": "nightly", "status": "COMPLETED"}',
		["one that only mentions an experiment"] = '{"experiment": "x", "sources": [], "status": "ok"}',
		["a pointer"] = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n",
		["nothing"] = "",
	} do
		it("does not answer for " .. what, function()
			local reading, err = read { ["run.json"] = text:gsub('"sources"', '"resources"') }
			assert.is_nil(reading)
			assert.are.equal("not_a_training_record", err.code)
		end)
	end

	it("names the file that is broken", function()
		local reading, err = read { ["3/run.json"] = run_json():sub(1, -3) }
		assert.is_nil(reading)
		assert.are.equal("bad_json", err.code)
		assert.matches("^'3/run.json': ", err.message)
		reading, err = read { ["run.json"] = "{" .. EXPERIMENT .. "}" }
		assert.is_nil(reading)
		assert.are.equal("not_a_training_record", err.code)
	end)

	it("reads on beside a broken part", function()
		local reading, _, warnings = read { ["run.json"] = run_json('"result": 1'),
			["config.json"] = '{"lr": ', ["metrics.json"] = "[1]" }
		assert.are.same({ result = 1 }, reading.final_metrics)
		assert.is_nil(reading.raw_hyperparams)
		assert.are.equal(2, #warnings)
		assert.matches("config.json", warnings[1] .. warnings[2])
	end)

	it("tells null from absent nowhere", function()
		local reading = read { ["run.json"] = run_json('"stop_time": null, "result": null'),
			["config.json"] = '{"lr": null}' }
		assert.is_nil(reading.end_time)
		assert.are.same({ lr = json.null }, reading.raw_hyperparams)
		assert.are.same({}, reading.hyperparams)
	end)
end)
