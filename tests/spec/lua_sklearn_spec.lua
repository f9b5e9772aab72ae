local sklearn = require("th.sklearn")
local leavings = require("support.leavings")

local HEADER = "              precision    recall  f1-score   support\n\n"

--- A report whose values are all `value`.
local function report(value)
	return HEADER .. ("   Up (+1)       %s      %s      %s        10\n\n"):format(value, value, value)
		.. ("    accuracy                           %s        10\n"):format(value)
		.. ("   macro avg       %s      %s      %s        10\n"):format(value, value, value)
		.. ("weighted avg       %s      %s      %s        10\n"):format(value, value, value)
end

local function read(text, name)
	return leavings.read(sklearn, { [name or "report.txt"] = text })
end

describe("th.sklearn", function()
	it("reads a report of any number of digits", function()
		for _, value in ipairs({ "0.97", "0.971234", "1.0000" }) do
			local number = tonumber(value)
			assert.are.same({ accuracy = number, macro_precision = number, macro_recall = number,
				macro_f1 = number, weighted_precision = number, weighted_recall = number,
				weighted_f1 = number }, read(report(value)).final_metrics)
		end
	end)

	it("reads a report without accuracy, and one of an old version", function()
		local micro = assert(read(HEADER .. "   micro avg       0.51      0.61      0.71        10\n"
			.. " samples avg       0.50      0.60      0.70        10\n")).final_metrics
		assert.are.same({ micro_precision = 0.51, micro_recall = 0.61, micro_f1 = 0.71,
			samples_precision = 0.5, samples_recall = 0.6, samples_f1 = 0.7 }, micro)
		local old = assert(read(HEADER .. " neg   0.8   0.9   0.85   120\n\n"
			.. "avg / total     0.8631    0.8480    0.8526       250\n")).final_metrics
		assert.are.same({ weighted_precision = 0.8631, weighted_recall = 0.848, weighted_f1 = 0.8526 }, old)
	end)

	it("prefers the report on test data, else takes the first, and warns", function()
		local reading, _, warnings = read("Train report\n" .. report("1.00") .. "Test report\n"
			.. report("0.50"))
		assert.are.equal(0.5, reading.final_metrics.accuracy)
		assert.are.equal("'report.txt' holds 2 classification reports; one was read", warnings[1])
		assert.are.equal(0.75, read("A\n" .. report("0.75") .. "B\n" .. report("0.50"))
			.final_metrics.accuracy)
	end)

	it("takes the last of a log, where reports follow in time", function()
		local text = "2025-01-01 10:00:00,1 - INFO - Classification report\n" .. report("0.25")
			.. "2025-01-02 10:00:00,1 - INFO - Classification report\n" .. report("0.75")
		assert.are.equal(0.75, read(text, "train.log").final_metrics.accuracy)
		local known = leavings.recognise(sklearn, { ["train.log"] = text })
		assert.are.equal(20, known.score)
	end)

	it("reads the report as JSON, nested too, and as a printed dict", function()
		local row = '{"precision": 0.5, "recall": 0.25, "f1-score": 0.75, "support": 10}'
		local dict = ('{"0": %s, "accuracy": 0.5, "macro avg": %s, "weighted avg": %s}'):format(row, row, row)
		for _, text in ipairs({ dict, '{"train": {"accuracy": 1, "macro avg": {"precision": 1}}, "test": '
			.. dict .. "}" }) do
			local values = read(text, "classification_report.json").final_metrics
			assert.are.same({ 0.5, 0.5, 0.25, 0.75 }, { values.accuracy, values.macro_precision,
				values.macro_recall, values.weighted_f1 })
		end
		assert.are.equal(0.75, read(dict:gsub('"', "'") .. "\n").final_metrics.macro_f1)
	end)

	it("refuses what is no report, and one that is cut", function()
		for name, text in pairs({ ["report.txt"] = "precision and recall\n", ["a.json"] = '{"macro avg": 1}' }) do
			assert.is_nil(leavings.recognise(sklearn, { [name] = text }))
		end
		local reading, err = read(HEADER .. "  a   0.5  0.5\n")
		assert.is_nil(reading)
		assert.are.same({ "no_data", "report.txt" }, { err.code, err.path })
		reading, err = read('{"macro avg": {"f1-score": 1}, "accu', "report.json")
		assert.is_nil(reading)
		assert.are.equal("bad_json", err.code)
	end)
end)
