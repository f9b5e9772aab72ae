local lines = require("th.lines")

local function all(text)
	local out = {}
	for segment, number in lines.each(text) do
		out[#out + 1] = number .. ":" .. segment
	end
	return table.concat(out, "|")
end

describe("th.lines", function()
	describe("splits at every kind of line end", function()
		for text, expected in pairs({
			["a\nb"] = "1:a|2:b", ["a\r\nb\r\n"] = "1:a|2:b", ["a\rb\rc"] = "1:a|2:b|3:c",
			[""] = "", ["\n\na"] = "3:a", ["a\r\r\nb"] = "1:a|3:b",
		}) do
			it(("%q"):format(text), function()
				assert.are.equal(expected, all(text))
			end)
		end
	end)

	describe("removes ANSI escapes", function()
		for text, expected in pairs({
			["\27[32m[I]\27[0m ok"] = "[I] ok", ["\27[1A\27[2Kbar"] = "bar",
			["\27]0;title\7x"] = "x", ["\27[?25l50%"] = "50%", ["plain"] = "plain", ["cut\27"] = "cut",
		}) do
			it(("%q"):format(text), function()
				assert.are.equal(expected, lines.strip_ansi(text))
			end)
		end
	end)

	local LOG = { "epoch 1 f1 0.5", "noise", "epoch 2 f1 0.9", "epoch 3 f1 0.9", "epoch 4 f1 0.7" }

	it("finds the first, the last and the best of many", function()
		assert.are.same({ "1", "0.5" }, { lines.first(lines.of(LOG), "epoch (%d) f1 (%S+)") })
		assert.are.same({ "4", "0.7" }, { lines.last(lines.of(LOG), "epoch (%d) f1 (%S+)") })
		assert.are.same({ 0.9, 2 }, { lines.best(lines.of(LOG), "f1 (%S+)", "max") })
		assert.are.same({ 0.5, 1 }, { lines.best(lines.of(LOG), "f1 (%S+)", "min") })
		assert.are.equal(4, lines.count(lines.of(LOG), "epoch"))
	end)

	it("answers nil when nothing matches", function()
		assert.is_nil(lines.first(lines.of(LOG), "loss (%d)"))
		assert.is_nil((lines.last(lines.of(LOG), "loss (%d)")))
		assert.is_nil((lines.best(lines.of(LOG), "loss (%d)", "max")))
	end)

	it("reads 'Name: number' pairs, nan among them", function()
		local fields = lines.fields("Loss: nan, Acc: 0.8000, P: 1e-05, F1: 0.7900")
		assert.is_true(fields.Loss ~= fields.Loss)
		assert.are.same({ 0.8, 1e-05, 0.79 }, { fields.Acc, fields.P, fields.F1 })
	end)

	describe("parses a tqdm bar", function()
		local cases = {
			{ "提取特征:  93%|█████████▎| 123/132 [00:21<00:01,  4.95it/s]", "提取特征", 123, 132 },
			{ "  0%|          | 0/1 [00:00<?, ?ba/s]", "", 0, 1 },
			{ "100%|██████████| 1/1 [00:01<00:00,  1.02s/ba]", "", 1, 1 },
			{ " 29%|███ | 2596/8990 [50:32<2:10:03,  1.22s/it 29%|██ | 2597/8990 [50:34<2:24:55]", nil,
				2597, 8990 },
		}
		for _, case in ipairs(cases) do
			it(case[1], function()
				local bar = lines.tqdm(case[1])
				assert.are.same({ case[3], case[4] }, { bar.done, bar.total })
				assert.are.equal(case[2] or bar.label, bar.label)
			end)
		end
		it("and takes nothing else for one", function()
			assert.is_nil(lines.tqdm("accuracy 93% of 132"))
			assert.is_nil(lines.tqdm("50%|half a bar"))
		end)
	end)
end)
