local leavings = require("support.leavings")
local spacy = require("th.spacy")
local thinc_config = require("th.thinc_config")

local function meta(performance, more)
	return ('{\n  "lang":"en",\n  "name":"pipeline",\n  "spacy_version":">=3.7.2,<3.8.0",%s\n'
		.. '  "pipeline":[\n    "ner"\n  ],\n  "performance":{%s}\n}'):format(more or "", performance)
end

local BEST = meta('"ents_f":0.5, "ents_per_type":{"A":{"p":1.0}}, "speed":null, "ner_loss":2625.5')
local LAST = meta('"ents_f":0.25, "ner_loss":611.5')

local CONFIG = [=[
[paths]
train = "./train.spacy"
vectors = null

[system]
seed = 7

[nlp]
lang = "en"
pipeline = ["transformer",
    "ner"]
batch_size = 128

[components.transformer.model]
name = "roberta-base"

[training]
seed = ${system.seed}
dropout = 0.1
max_epochs = 0
max_steps = 20000
accumulate_gradient = 3
eval_frequency = 200

[training.optimizer]
@optimizers = "Adam.v1"
beta1 = 0.9
L2 = 0.01
grad_clip = 1.0

[training.optimizer.learn_rate]
@schedules = "warmup_linear.v1"
initial_rate = 0.00005
warmup_steps = 250
]=]

local function read(files)
	return leavings.told(spacy, files)
end

describe("th.spacy", function()
	it("takes the performance of model-best, what is a number of it", function()
		local reading = assert(read({ ["output/model-best/meta.json"] = BEST,
			["output/model-last/meta.json"] = LAST }))
		assert.are.same({ ents_f = 0.5, ner_loss = 2625.5 }, reading.final_metrics)
		assert.are.same({ checkpoint = "output/model-best", checkpoint_name = "model-best",
			declared = true }, reading.best)
		assert.are.same({ best = "output/model-best", last = "output/model-last" },
			reading.checkpoints)
		assert.are.same({ ents_f = "fraction" }, reading.units)
		assert.are.equal("output", reading.run)
		assert.is_nil(reading.outcome)
	end)

	it("takes model-last where there is no other, or the other is broken", function()
		local reading = read({ ["model-last/meta.json"] = LAST })
		assert.are.equal(0.25, reading.final_metrics.ents_f)
		assert.is_nil(reading.best)
		local repaired, _, warnings = read({ ["model-best/meta.json"] = BEST:sub(1, 60) .. '"pipeline":[',
			["model-last/meta.json"] = LAST })
		assert.are.equal(0.25, repaired.final_metrics.ents_f)
		assert.are_not.equal("", warnings)
	end)

	it("reads settings and the plan of config.cfg", function()
		local reading = read({ ["model-best/meta.json"] = BEST, ["model-best/config.cfg"] = CONFIG })
		assert.are.same({ lr = 0.00005, warmup_steps = 250, scheduler = "warmup_linear", seed = 7,
			optimizer = "Adam", weight_decay = 0.01, adam_beta1 = 0.9, max_grad_norm = 1.0,
			dropout = 0.1, max_steps = 20000, grad_accum = 3, eval_steps = 200 }, reading.hyperparams)
		assert.are.same({ planned = 20000 }, reading.steps)
		assert.is_nil(reading.epochs)
		assert.are.equal("roberta-base", reading.base_model)
		assert.are.equal("./train.spacy", reading.dataset)
	end)

	it("prefers the pipeline that a component was taken from", function()
		local reading = read({ ["model-best/meta.json"] = BEST, ["model-best/config.cfg"] =
			CONFIG .. '\n[components.ner]\nsource = "en_core_web_sm"\n' })
		assert.are.equal("en_core_web_sm", reading.base_model)
	end)

	it("says when the performance is that of the package it was saved from", function()
		local reading, _, warnings = read({ ["meta.json"] = meta('"ents_f":0.85',
			'"author":"Explosion",'):gsub('"pipeline",', '"core_web_sm",', 1) })
		assert.are.equal("en_core_web_sm", reading.base_model)
		assert.matches("not of this training", reading.sources["final_metrics.ents_f"])
		assert.matches("en_core_web_sm", warnings)
	end)

	it("knows version 2, which gave percent under another name", function()
		local reading = read({ ["meta.json"] =
			'{"lang":"de","pipeline":["ner"],"spacy_version":">=2.2","accuracy":{"ents_f":83.5,"uas":90.5}}' })
		assert.are.same({ ents_f = 83.5, uas = 90.5 }, reading.final_metrics)
		assert.are.same({ ents_f = "percent", uas = "percent" }, reading.units)
	end)

	it("reads scores of spacy evaluate, of the test set first", function()
		local scores = '{"token_acc":1.0, "ents_f":%s, "ents_per_type":{}, "speed":11710.5}'
		local reading = read({ ["dev.json"] = scores:format(0.75), ["test.json"] = scores:format(0.5) })
		assert.are.equal(0.5, reading.final_metrics.ents_f)
		assert.are.equal("predict_only", reading.outcome)
	end)

	it("does not know another meta.json", function()
		for _, text in ipairs({ '{"name": "x", "version": 1}', "[]", "x", '{"lang": "en"}' }) do
			assert.is_nil(leavings.score(spacy, { ["meta.json"] = text }))
			assert.are.equal("not_a_training_record", select(2, read({ ["meta.json"] = text })).code)
		end
	end)

	it("survives broken files", function()
		local outcomes = leavings.damaged(spacy, { ["model-best/meta.json"] = BEST },
			"model-best/meta.json")
		assert.are.equal("lfs_pointer", outcomes.pointer.code)
		local config = leavings.damaged(spacy, { ["model-best/meta.json"] = BEST,
			["model-best/config.cfg"] = CONFIG }, "model-best/config.cfg")
		assert.are.equal("read", config.binary)
		local odd = read({ ["model-best/meta.json"] =
			'{"lang":3,"spacy_version":{},"pipeline":1,"performance":[1,"x"],"author":{},"url":2}' })
		assert.are.same({}, odd.final_metrics)
	end)
end)

describe("th.thinc_config", function()
	it("reads values that go on in further lines", function()
		local config = assert(thinc_config.decode(CONFIG))
		assert.are.same({ "transformer", "ner" }, config["nlp.pipeline"])
		assert.is_nil(config["paths.vectors"])
	end)

	it("resolves references, and leaves a circle as it stands", function()
		local config = assert(thinc_config.decode("[a]\nx = ${b.y}\nz = ${c:w}\n[b]\ny = ${a.x}\n[c]\nw = 3\n"))
		assert.matches("^%${", config["a.x"])
		assert.are.equal(3, config["a.z"])
	end)

	it("names the line that it cannot read", function()
		local config, err = thinc_config.decode("[a]\nx = 1\nno setting\n")
		assert.is_nil(config)
		assert.matches("line 3", err.message)
		assert.matches("no section", select(2, thinc_config.decode("x = 1\n")).message)
	end)
end)
