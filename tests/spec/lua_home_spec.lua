local home = require("th.home")
local lines = require("th.lines")
local runlog = require("th.runlog")

local RULES = home.epoch_rules({
	{ find = "size ", match = "size (%d+)", on = function(run, n) run.train_size = tonumber(n) end },
})

local function read(...)
	return runlog.read(lines.of({ ... }), RULES, home.new_run, home.on_bar)
end

local BAR, EVAL_BAR = "train:  40%|██  | 4/10 [00:01<00:02]", "eval: 100%|██| 3/3 [00:01<00:02]"

describe("th.home", function()
	it("takes the first of equally good epochs, whose model was saved", function()
		local run = read("===== Epoch 1/3 =====", "训练 - Loss: 1, Acc: 1", "验证 - Acc: 0.5",
			"===== Epoch 2/3 =====", "训练 - Loss: 1, Acc: 1", "验证 - Acc: 0.75",
			"===== Epoch 3/3 =====", "训练 - Loss: 1, Acc: 1", "验证 - Acc: 0.75")
		assert.are.equal(2, home.best_epoch(run, "Acc").number)
	end)

	it("has no best epoch when all values are nan", function()
		assert.is_nil(home.best_epoch(read("===== Epoch 1/1 =====", "验证 - Acc: nan"), "Acc"))
	end)

	it("takes the first bar of an epoch for the training's", function()
		assert.are.same({ 4, "derived: 0 epochs x 10 batches (log) + 4 of a broken epoch" },
			{ home.steps(read("===== Epoch 1/2 =====", BAR, EVAL_BAR), nil) })
	end)

	for name, case in pairs({
		["divides sizes, rounding up"] = { { "size 65", "===== Epoch 1/1 =====", "训练 - Loss: 1" },
			32, 3 },
		["prefers the bar to sizes"] = { { "size 65", "===== Epoch 1/1 =====", BAR, "训练 - Loss: 1" },
			32, 10 },
		["knows nothing without a batch size"] = { { "size 65", "===== Epoch 1/1 =====",
			"训练 - Loss: 1" }, nil, nil },
		["counts nothing before the first epoch"] = { { "size 64" }, 32, 0 },
	}) do
		it(name, function()
			assert.are.equal(case[3], (home.steps(read(table.unpack(case[1])), case[2])))
		end)
	end

	it("sees a new run when the epochs begin again", function()
		local run = read("===== Epoch 1/2 =====", "训练 - Loss: 1", "===== Epoch 2/2 =====",
			"训练 - Loss: 1", "===== Epoch 1/9 =====", "训练 - Loss: 1")
		assert.are.same({ 1, 9 }, { home.epochs_run(run), run.num_epochs })
	end)
end)
