local fake = require("support.fake_ctx")

local STAGES = { "stage1", "stage2", "stage3", "stage4", "generic" }
local FIELDS = {
	api = "number", kind = "string", name = "string", version = "string", summary = "string",
	dir = "string", model_name = "string", inputs = "table", metrics = "table", progress = "table",
	requires = "table", produces = "table", command = "table", extract = "function",
	hyperparams = "function", validate = "function",
}

describe("the sandbox of the specs", function()
	local function run(source)
		return pcall(assert(load(source, "=plugin", "t", fake.environment())))
	end

	for _, name in ipairs({ "os", "io", "debug", "package", "print", "load", "loadstring", "dofile",
		"xpcall", "coroutine", "collectgarbage", "rawset", "warn", "_G" }) do
		it("offers no " .. name, function()
			assert.is_false(run("return " .. name .. ".x"))
		end)
	end
	it("offers no string.dump, math.random, foreign modules or new globals", function()
		assert.is_false(run("return string.dump(function() end)"))
		assert.is_false(run("return math.random()"))
		assert.is_false(run("return require('lfs')"))
		assert.is_false(run("x = 1"))
		assert.is_false(run("setmetatable({}, { __gc = function() end })"))
	end)
	it("offers the library", function()
		assert.is_true(run("return require('th.json').decode('[1]')[1], require('cjson').null"))
	end)
end)

for _, name in ipairs(STAGES) do
	describe("plugin " .. name, function()
		local plugin = fake.load("plugins/" .. name .. ".lua")

		it("has only the contract's fields, of the right types", function()
			for field, value in pairs(plugin) do
				assert.are.equal(FIELDS[field], type(value), "field " .. tostring(field))
			end
			assert.are.same({ 1, "stage", name }, { plugin.api, plugin.kind, plugin.name })
			for _, field in ipairs({ "dir", "model_name", "version", "summary" }) do
				assert.is_truthy(plugin[field], field)
			end
		end)

		it("declares a goal for each metric", function()
			for metric, spec in pairs(plugin.metrics) do
				assert.is_true(spec.goal == "max" or spec.goal == "min", metric)
			end
		end)

		it("declares progress rules whose captures all have a name", function()
			local known = { step = true, steps_total = true, epoch = true, epochs_total = true }
			for _, rule in ipairs(plugin.progress) do
				local _, captures = rule.match:gsub("%%?%(", function(text)
					return text == "(" and "(" or false
				end)
				local _, escaped = rule.match:gsub("%%%(", "")
				assert.are.equal(captures - escaped, #rule.set, rule.match)
				for _, target in ipairs(rule.set) do
					assert.is_truthy(known[target] or plugin.metrics[target], target)
				end
			end
		end)

		it("answers an empty directory with an error, not with a bug", function()
			local dir = os.tmpname()
			os.remove(dir)
			os.execute("mkdir '" .. dir .. "'")
			local ctx = fake.new(plugin, dir)
			if ctx then
				local result, err = plugin.extract(ctx)
				assert.is_nil(result)
				assert.are.equal("no_data", err.code)
			end
			os.remove(dir)
		end)
	end)
end

describe("progress rules", function()
	local cases = {
		{ "stage1", "{'loss': 2.7218, 'learning_rate': 4e-05, 'epoch': 0.15}", "train_loss", "2.7218" },
		{ "stage1", "{'loss': '0.9528', 'epoch': '0.15'}", "epoch", "0.15" },
		{ "stage1", " 50%|█████     | 500/1000 [00:20<00:10,  4.95it/s]", "steps_total", "1000" },
		{ "stage2", "处理文档:  50%|█████     | 40/80 [00:20<00:10,  4.95it/s]", "step", "40" },
		{ "stage3", "===== Epoch 2/20 =====", "epochs_total", "20" },
		{ "stage3", "x - 验证 - Acc: 0.8125", "accuracy", "0.8125" },
		{ "stage4", "x -   Step [100/250] - Loss: 0.8000", "train_loss", "0.8000" },
		{ "stage4", "验证 - Loss: 0.1, Acc: 0.2, P: 0.3, R: 0.4, F1: 0.5", "macro_f1", "0.5" },
	}
	for _, case in ipairs(cases) do
		it(("of %s read %s from '%s'"):format(case[1], case[3], case[2]), function()
			local got = {}
			for _, rule in ipairs(fake.load("plugins/" .. case[1] .. ".lua").progress) do
				if case[2]:find(rule.find, 1, true) then
					for index, value in ipairs({ case[2]:match(rule.match) }) do
						got[rule.set[index]] = value
					end
				end
			end
			assert.are.equal(case[4], got[case[3]])
		end)
	end
end)

--- A directory with files, given to `use`, removed afterwards.
local function with_files(files, use)
	local dir = os.tmpname()
	os.remove(dir)
	os.execute("mkdir '" .. dir .. "'")
	for name, text in pairs(files) do
		local file = assert(io.open(dir .. "/" .. name, "w"))
		file:write(text)
		file:close()
	end
	local ok, problem = pcall(use, dir)
	os.execute("rm -r '" .. dir .. "'")
	assert(ok, problem)
end

describe("the guide's examples", function()
	local guide = assert(fake.slurp((os.getenv("THHOST_REPO") or ".") .. "/docs/plugins.md"))
	local blocks = {}
	for block in guide:gmatch("```lua\n(.-)\n```") do
		blocks[#blocks + 1] = assert(load(block, "=docs/plugins.md", "t", fake.environment()))()
	end

	it("read the log that the guide shows", function()
		local log = guide:match("\n(    epoch 1/3.-done, 1500 steps)\n"):gsub("\n    ", "\n")
		with_files({ ["train.log"] = log, ["model-last.pt"] = "" }, function(dir)
			local result = assert(blocks[1].extract(assert(fake.new(blocks[1], dir))))
			assert.are.same({ { f1 = 0.811 }, 1500 }, { result.metrics, result.steps })
			assert.are.equal("log: epoch 2, the best", result.sources["metrics.f1"])
			assert.are.same({ lr = 2e-05 },
				blocks[1].hyperparams(nil, { argv = { learning_rate = "2e-5" } }))
		end)
	end)

	it("override a stage", function()
		local plugin = fake.override({ name = "stage3", inputs = { log = "@log" }, metrics = {},
			extract = function() return { metrics = { accuracy = 0.5 } } end }, blocks[2])
		with_files({ ["a.log"] = "x", ["audit.json"] = '{"checked": 4, "correct": 3}' }, function(dir)
			local result = plugin.extract(assert(fake.new(plugin, dir)))
			assert.are.same({ accuracy = 0.5, audit_accuracy = 0.75 }, result.metrics)
		end)
	end)
end)

describe("templates of 'plugin new'", function()
	local function template(name)
		local root = os.getenv("THHOST_REPO") or "."
		local text = assert(fake.slurp(("%s/lua/new/%s.lua"):format(root, name)))
		text = text:gsub("@NAME@", "example"):gsub("@STAGE@", "stage3")
		return assert(load(text, "=" .. name, "t", fake.environment()))()
	end

	it("make a stage plugin that runs", function()
		local plugin = template("stage")
		for field, value in pairs(plugin) do
			assert.are.equal(FIELDS[field], type(value), "field " .. tostring(field))
		end
		with_files({ ["train.log"] = "step 100 accuracy 0.90\nstep 200 accuracy 0.85\n" }, function(dir)
			local result = assert(plugin.extract(assert(fake.new(plugin, dir))))
			assert.are.same({ 0.9, 200 }, { result.metrics.accuracy, result.steps })
		end)
	end)

	it("make a dataset plugin that changes nothing yet", function()
		local plugin = template("dataset")
		assert.are.equal("dataset", plugin.kind)
		assert.are.equal("function", type(plugin.stages.stage3.extract))
	end)
end)
