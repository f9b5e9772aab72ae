local dvc = require("th.dvc")
local leavings = require "support.leavings"

local LOCK = [[
schema: '2.0'
stages:
  prepare:
    cmd: python src/prepare.py
    deps:
    - path: data/data.xml
      md5: 22a1
      size: 10
    - path: src/prepare.py
      md5: f09e
      size: 5
    params:
      params.yaml:
        prepare.seed: 1
    outs:
    - path: data/prepared
      md5: 153a.dir
      size: 9
      nfiles: 2
  train:
    cmd: python src/train.py
    deps:
    - path: data/prepared
      md5: 153a.dir
    - path: src
      md5: aaaa.dir
    params:
      params.yaml:
        train.lr: 1e-4
        train.seed: 7
    outs:
    - path: model.pkl
      md5: '8333'
      size: 1
    - path: scores.json
      md5: 099b
      size: 12
]]

local function read(texts)
	return leavings.read(dvc, texts)
end

describe("th.dvc", function()
	it("reads what dvc.lock says ran", function()
		local reading, _, warnings = read { ["dvc.lock"] = LOCK, ["model.pkl"] = "x",
			["scores.json"] = '{"auc": 0.5}' }
		assert.are.same({ auc = 0.5 }, reading.final_metrics)
		assert.are.same({ ["prepare.seed"] = 1, ["train.lr"] = 1e-4, ["train.seed"] = 7 },
			reading.raw_hyperparams)
		assert.are.same({ lr = 1e-4, seed = 7 }, reading.hyperparams)
		assert.are.equal("dvc.lock", reading.sources.hyperparams)
		assert.are.same({ ["data/prepared"] = "md5:153a.dir", ["model.pkl"] = "md5:8333",
			["scores.json"] = "md5:099b" }, reading.artifacts)
		assert.are.same({ last = "model.pkl" }, reading.checkpoints)
		assert.are.same({ "python src/train.py", "data/data.xml", "inferred:dvc.lock: deps" },
			{ reading.command, reading.dataset, reading.sources.dataset })
		assert.is_nil(reading.outcome)
		assert.are.same({}, warnings)
	end)

	it("reads a lock of schema 1", function()
		local reading = read { ["dvc.lock"] = "fit:\n  cmd: python fit.py\n  params:\n    params.yaml:\n" ..
			"      lr: 0.5\n  outs:\n  - path: m.h5\n    md5: ab\n" }
		assert.are.same({ lr = 0.5 }, reading.raw_hyperparams)
		assert.are.equal("python fit.py", reading.command)
		assert.are.same({ ["m.h5"] = "md5:ab" }, reading.artifacts)
	end)

	it("says where params.yaml has changed since, and which metrics are not the lock's", function()
		local reading, _, warnings = read { ["dvc.lock"] = LOCK, ["scores.json"] = '{"auc": 0.25}',
			["params.yaml"] = "train:\n  lr: 0.1\n  seed: 7\nprepare: {seed: 1}\n" }
		assert.are.same({ { what = "hyperparams.train.lr", values = {
			{ from = "dvc.lock", value = 1e-4 }, { from = "params.yaml", value = 0.1 } } } },
			reading.disagreements)
		assert.are.same({ "'scores.json' has 13 bytes, in dvc.lock 12: it is of another run" }, warnings)
	end)

	it("finds the metrics that dvc.yaml declares, in each of its forms", function()
		local reading = read { ["dvc.yaml"] = "stages:\n  a:\n    cmd: x\n    wdir: sub\n    metrics:\n" ..
			"    - one.json:\n        cache: false\n  b:\n    foreach: [x, y]\n    do:\n      cmd: y\n" ..
			"      metrics:\n      - out/${item}.yaml\n  c:\n    cmd: z\n    live:\n      live:\n" ..
			"        summary: true\nmetrics:\n- top.json\n- absent.json\n- table.csv\n",
			["sub/one.json"] = '{"a": 1, "none": null}', ["out/x.yaml"] = "b: 2\n",
			["out/y.yaml"] = "c: {d: .nan}\n", ["live.json"] = '{"step": 3}', ["top.json"] = '{"e": 5}',
			["table.csv"] = "x\n" }
		local found = reading.final_metrics
		assert.is_true(found.c.d ~= found.c.d)
		found.c = nil
		assert.are.same({ a = 1, b = 2, step = 3, e = 5 }, found)
		assert.are.equal("sub/one.json", reading.sources["final_metrics.a"])
	end)

	it("keeps files apart that have the same names", function()
		local reading = read { ["dvc.yaml"] = "metrics: [train.json, test.json]\n",
			["train.json"] = '{"acc": 1}', ["test.json"] = '{"acc": 0.5, "n": 2}' }
		assert.are.same({ ["train.json"] = { acc = 1 }, ["test.json"] = { acc = 0.5, n = 2 } },
			reading.final_metrics)
	end)

	it("reads DVCLive's folder, and says where the series ends elsewhere", function()
		local texts = { ["metrics.json"] = '{"train": {"acc": 0.5}, "step": 9}',
			["params.yaml"] = "lr: 1e-3\n",
			["plots/metrics/train/acc.tsv"] = "step\ttrain/acc\n0\t0.25\n9\t0.5\n" }
		local reading = read(texts)
		assert.are.same({ train = { acc = 0.5 }, step = 9 }, reading.final_metrics)
		assert.are.same({ lr = 1e-3 }, reading.hyperparams)
		assert.is_nil(reading.disagreements)
		texts["plots/metrics/train/acc.tsv"] = "timestamp\tstep\ttrain/acc\n1\t9\t0.75\n"
		assert.are.same({ { what = "final_metrics.train/acc", values = {
			{ from = "metrics.json", value = 0.5 },
			{ from = "plots/metrics/train/acc.tsv", value = 0.75 } } } }, read(texts).disagreements)
	end)

	it("takes the series where there is no summary, wherever versions put them", function()
		local reading = read { ["dvclive/plots/metrics/val/loss.tsv"] = "step\tval/loss\n0\t0.5\n",
			["dvclive/scalars/lr.tsv"] = "timestamp\tstep\tlr\n1\t0\t1e-05\n",
			["dvclive/acc.tsv"] = "step\tacc\n0\tnan\n", ["dvclive/plots/other/x.tsv"] = "a\tb\n1\t2\n",
			["dvclive/empty.tsv"] = "", ["dvclive/head.tsv"] = "step\thead\n" }
		assert.is_true(reading.final_metrics.acc ~= reading.final_metrics.acc)
		reading.final_metrics.acc = nil
		assert.are.same({ ["val/loss"] = 0.5, lr = 1e-05 }, reading.final_metrics)
		assert.are.equal("dvclive/scalars/lr.tsv: last line", reading.sources["final_metrics.lr"])
	end)

	it("reads the summary that DVCLive once wrote beside its folder", function()
		local reading = read { ["dvclive.json"] = '{"step": 1, "loss": 0.5}',
			["dvclive/loss.tsv"] = "step\tloss\n1\t0.5\n", ["weights/a"] = "x",
			["dvc.lock"] = "schema: '2.0'\nstages:\n  go:\n    cmd: c\n    outs:\n    - path: weights\n" }
		assert.are.same({ step = 1, loss = 0.5 }, reading.final_metrics)
		assert.are.same({ last = "weights" }, reading.checkpoints)
		assert.are.equal("c", reading.command)
	end)

	it("is as sure as the files make it", function()
		for score, texts in pairs { [85] = { ["dvclive/metrics.json"] = "{}" },
			[75] = { ["dvc.lock"] = LOCK }, [60] = { ["dvc.yaml"] = "stages:\n  a:\n    cmd: x\n" } } do
			assert.are.equal(score, leavings.recognise(dvc, texts).score)
		end
		assert.are.equal(75, leavings.recognise(dvc, { ["dvc.lock"] = "train:\n  cmd: x\n" }).score)
		assert.are.equal(75, leavings.recognise(dvc, { ["dvclive.json"] = "{}" }).score)
		assert.are.equal(85, leavings.recognise(dvc, { ["plots/metrics/a.tsv"] = "" }).score)
	end)

	it("does not answer for another's files", function()
		for _, texts in ipairs { { ["metrics.json"] = '{"acc": 1}', ["report.md"] = "" }, { ["params.yaml"] = "lr: 1\n" },
			{ ["dvc.lock"] = "version https://git-lfs.github.com/spec/v1\n" }, { ["dvc.yaml"] = "x\n" } } do
			assert.is_nil(leavings.recognise(dvc, texts))
		end
		local reading, err = read { ["metrics.json"] = '{"acc": 1}' }
		assert.is_nil(reading)
		assert.are.equal("no_data", err.code)
	end)

	it("has nothing to say of a pipeline that nothing ran of", function()
		local reading, err = read { ["dvc.yaml"] = "stages:\n  a:\n    cmd: x\n" }
		assert.is_nil(reading)
		assert.are.equal("no_data", err.code)
	end)

	it("reads on beside a broken part", function()
		local reading, _, warnings = read { ["dvclive/metrics.json"] = "{", ["params.yaml"] = "lr: 2\n",
			["dvc.lock"] = "schema: '2.0'\nstages: [\n",
			["dvc.yaml"] = "stages: 3\nmetrics:\n  7: x\n  - y\n" }
		assert.are.same({ lr = 2 }, reading.hyperparams)
		assert.are.equal(3, #warnings)
	end)
end)
