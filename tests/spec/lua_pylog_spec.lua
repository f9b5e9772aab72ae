local lines = require("th.lines")
local pylog = require("th.pylog")
local runlog = require("th.runlog")

describe("th.pylog", function()
	it("parses the prefix at the start of a line", function()
		local record = pylog.parse("11/13/2025 22:51:48 - INFO - __main__ -   *** Evaluate ***")
		assert.are.same({ time = "2025-11-13T22:51:48", level = "INFO", name = "__main__",
			msg = "*** Evaluate ***" }, record)
	end)

	it("parses a prefix that begins behind a progress bar", function()
		local record = pylog.parse("100%|██| 1/1 [00:01<00:00]11/13/2025 22:46:02 - WARNING - a.b - hi")
		assert.are.equal("hi", record.msg)
		assert.are.equal("a.b", record.name)
		assert.are.equal("100%|██| 1/1 [00:01<00:00]", record.before)
	end)

	it("keeps an empty message: the text followed on its own line", function()
		assert.are.equal("", pylog.parse("11/13/2025 22:46:02 - INFO - __main__ - ").msg)
	end)

	it("takes a line without prefix as a message", function()
		assert.are.same({ msg = "===== Epoch 1/3 =====" }, pylog.parse("===== Epoch 1/3 ====="))
	end)

	it("yields the text before a prefix as a record of its own", function()
		local got = {}
		for record in pylog.records(lines.of({ "bar11/13/2025 22:46:02 - INFO - m - x", "y" })) do
			got[#got + 1] = record.msg
		end
		assert.are.same({ "bar", "x", "y" }, got)
	end)

	describe("finds the line that ends a traceback", function()
		local cases = {
			{ "IndexError: out of bounds", "IndexError: out of bounds" },
			{ "KeyboardInterrupt", "KeyboardInterrupt" },
			{ "torch.cuda.OutOfMemoryError: CUDA out of memory.",
				"torch.cuda.OutOfMemoryError: CUDA out of memory." },
		}
		for _, case in ipairs(cases) do
			it(case[1], function()
				assert.are.equal(case[2], pylog.last_error(lines.of({
					"Traceback (most recent call last):", '  File "a.py", line 1, in <module>',
					"    raise ValueError(1)", case[1], "after" })))
			end)
		end
		it("of several the last", function()
			assert.are.equal("B: 2", pylog.last_error(lines.of({ "Traceback (most recent call last):",
				"A: 1", "During handling:", "Traceback (most recent call last):", "B: 2" })))
		end)
		it("and not a line that merely looks like one", function()
			assert.is_nil(pylog.last_error(lines.of({ "ValueError: said a log", "Done: yes" })))
		end)
	end)
end)

describe("th.runlog", function()
	local RULES = {
		{ find = "start", start = true },
		{ find = "epoch ", match = "epoch (%d+)", on = function(run, n) run.epoch = tonumber(n) end },
		{ find = "done", finish = true },
		{ find = "closed", finish = true, close = true },
		{ find = "broken", fail = true },
	}
	local TRACE = { "Traceback (most recent call last):", "ValueError: x" }

	local function outcome_of(...)
		local list = {}
		for _, item in ipairs({ ... }) do
			for _, line in ipairs(type(item) == "table" and item or { item }) do
				list[#list + 1] = line
			end
		end
		local run = runlog.read(lines.of(list), RULES)
		local outcome, problem = runlog.outcome(run)
		return { outcome, problem, run.epoch }
	end

	for name, case in pairs({
		["a run that says it is done"] = { { "start", "epoch 3", "done" }, { "completed", nil, 3 } },
		["a log that just ends"] = { { "start", "epoch 3" },
			{ "interrupted", "the log ends before the training does", 3 } },
		["a traceback"] = { { "start", "epoch 1", TRACE }, { "failed", "ValueError: x", 1 } },
		["a traceback after the end"] = { { "start", "epoch 1", "done", TRACE },
			{ "completed", "ValueError: x", 1 } },
		["a traceback that was handled"] = { { "start", TRACE, "epoch 2", "done" },
			{ "completed", nil, 2 } },
		["a second run that was cut"] = { { "start", "epoch 9", "done", "start", "epoch 2" },
			{ "interrupted", "the log ends before the training does", 2 } },
		["a second run that died before its first line"] = { { "start", "epoch 9", "closed", TRACE },
			{ "failed", "ValueError: x", nil } },
		["a wrapper's verdict without a traceback"] = { { "start", "broken" },
			{ "failed", "the wrapper says that the run failed", nil } },
		["a foreign log"] = { { "hello" }, { "unknown", nil, nil } },
	}) do
		it("judges " .. name, function()
			local got = outcome_of(table.unpack(case[1]))
			for index = 1, 3 do
				assert.are.equal(case[2][index], got[index])
			end
		end)
	end

	it("takes times from the last run only", function()
		local run = runlog.read(lines.of({ "11/13/2025 22:00:00 - INFO - m - start",
			"11/13/2025 23:00:00 - INFO - m - done", "11/14/2025 08:00:00 - INFO - m - start",
			"11/14/2025 09:00:00 - INFO - m - done" }), RULES)
		assert.are.equal("2025-11-14T08:00:00", run.start_time)
		assert.are.equal("2025-11-14T09:00:00", run.end_time)
	end)
end)
