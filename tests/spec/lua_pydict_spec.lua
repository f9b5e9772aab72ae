local json = require("th.json")
local pydict = require("th.pydict")

describe("th.pydict", function()
	it("reads a Trainer's line", function()
		assert.are.same({ loss = 2.7218, learning_rate = 4e-05, epoch = 0.15 },
			pydict.from_line("{'loss': 2.7218, 'learning_rate': 4e-05, 'epoch': 0.15}"))
	end)

	it("finds the dict behind the remains of a bar", function()
		assert.are.same({ loss = 0.5 },
			pydict.from_line(" 29%|██| 2598/8990 [50:35<2:13:41, 1.26s/it] 29{'loss': 0.5}"))
	end)

	it("keeps integers, words, strings and nesting", function()
		local value = pydict.decode([[{'n': 3, 'x': 3.0, 't': True, 'f': False, 'none': None,
			's': "it's", 'l': [1, (2,), {'a': -1e-5}], 'e': '\u4e2d\n'}]])
		assert.are.equal("integer", math.type(value.n))
		assert.are.equal("float", math.type(value.x))
		assert.are.equal(true, value.t)
		assert.are.equal(false, value.f)
		assert.are.equal(json.null, value.none)
		assert.are.equal("it's", value.s)
		assert.are.same({ 1, { 2 }, { a = -1e-5 } }, value.l)
	end)

	it("reads bare nan and inf", function()
		local value = pydict.from_line("{'loss': nan, 'a': inf, 'b': -inf}")
		assert.is_true(value.loss ~= value.loss)
		assert.are.same({ math.huge, -math.huge }, { value.a, value.b })
	end)

	describe("answers nil for", function()
		for _, text in ipairs({ "no dict", "{'cut': 1", "{'a' 1}", "{'a': }", "{'a': 'open}" }) do
			it(text, function()
				assert.is_nil(pydict.from_line(text))
			end)
		end
	end)

	it("reads the repr of TrainingArguments, old and new", function()
		assert.are.same({ output_dir = "/a b/c", strategy = "steps", scheduler = "linear", lr = 2e-05,
			n = -1, fp16 = true, list = {}, mp = "", dir = "out/runs/May31_x-1",
			device = "device(type='cuda')", x = "<HUB_TOKEN>" },
			pydict.call("params TrainingArguments(output_dir='/a b/c', strategy=<S.STEPS: 'steps'>, "
				.. "scheduler=SchedulerType.LINEAR, lr=2e-05, n=-1, fp16=True, list=[], mp=,"
				.. "dir=out/runs/May31_x-1, device=device(type='cuda'), x=<HUB_TOKEN>)", "TrainingArguments"))
	end)

	it("says so when the call is not there", function()
		local value, err = pydict.call("nothing", "TrainingArguments")
		assert.is_nil(value)
		assert.are.equal("absent", err.code)
	end)

	it("does not follow endless nesting", function()
		local value, err = pydict.decode(("["):rep(100))
		assert.is_nil(value)
		assert.matches("nested deeper", err.message)
	end)
end)
