local gbdt = require("th.gbdt")
local leavings = require("support.leavings")

local function read(text, others)
	local files = { ["xgb.log"] = text }
	for name, other in pairs(others or {}) do
		files[name] = other
	end
	return leavings.read(gbdt, files)
end

describe("th.gbdt", function()
	it("reads XGBoost that stopped early; the best is told once more and is no new model", function()
		local reading = assert(read("[0]\tvalidation_0-logloss:0.68\tvalidation_0-auc:0.61\n"
			.. "[10]\tvalidation_0-logloss:0.58\tvalidation_0-auc:0.71\n"
			.. "[20]\tvalidation_0-logloss:0.59\tvalidation_0-auc:0.70\nStopping. Best iteration:\n"
			.. "[10]\tvalidation_0-logloss:0.58\tvalidation_0-auc:0.71\n\n"
			.. "[10]\tvalidation_0-logloss:0.58\tvalidation_0-auc:0.71\nTest Accuracy: 0.81\n"))
		assert.are.equal("completed_early", reading.outcome)
		assert.are.same({ final = 20, zero_based = true }, reading.steps)
		assert.are.same({ ["validation_0-logloss"] = 0.59, ["validation_0-auc"] = 0.7,
			["Test Accuracy"] = 0.81 }, reading.final_metrics)
		assert.are.same({ "validation_0-auc", 0.71, 10, "max", true }, { reading.best.metric,
			reading.best.value, reading.best.step, reading.best.mode, reading.best.declared })
	end)

	it("reads the last of LightGBM's folds; the best may have run without being printed", function()
		local reading = assert(read("[LightGBM] [Info] Total Bins 3456\n"
			.. "[100]\ttraining's binary_logloss: 0.31\tvalid_1's auc: 0.99\n"
			.. "Did not meet early stopping. Best iteration is:\n"
			.. "[100]\ttraining's binary_logloss: 0.31\tvalid_1's auc: 0.99\n"
			.. "[100]\ttraining's binary_logloss: 0.32\tvalid_1's auc: 0.88\n"
			.. "Early stopping, best iteration is:\n[120]\ttraining's binary_logloss: 0.2\tvalid_1's auc: 0.89\n"))
		assert.are.same({ final = 120 }, reading.steps)
		assert.are.same({ "valid_1's auc", 0.89, 120 }, { reading.best.metric, reading.best.value,
			reading.best.step })
		assert.are.equal(0.88, reading.final_metrics["valid_1's auc"])
		assert.are.equal("completed_early", reading.outcome)
	end)

	it("reads the one-line forms and LightGBM's own program", function()
		local short = assert(read("[50]\tvalid-rmse:3.6\nStopping. Best iteration: [57]\n"))
		assert.are.same({ 57, 3.6 }, { short.best.step, short.final_metrics["valid-rmse"] })
		local line = "[LightGBM] [Info] Iteration:%d, training l2 : 0.5\n"
			.. "[LightGBM] [Info] Iteration:%d, valid_1 auc : 0.%d\n"
		local cli = assert(read(line:format(1, 1, 9) .. line:format(2, 2, 7)
			.. "[LightGBM] [Info] Finished training\n"))
		assert.are.same({ ["training's l2"] = 0.5, ["valid_1's auc"] = 0.7 }, cli.final_metrics)
		assert.are.same({ "completed", 0.9, 1 }, { cli.outcome, cli.best.value, cli.best.step })
	end)

	it("reads CatBoost", function()
		local reading = assert(read("Learning rate set to 0.027\n"
			.. "0:\tlearn: 0.62\ttest: 0.61\tbest: 0.61 (0)\ttotal: 378ms\tremaining: 18m 53s\n"
			.. "100:\tlearn: 0.64\ttest: 0.63\tbest: 0.639 (98)\ttotal: 37s\tremaining: 8m 53s\n\n"
			.. "bestTest = 0.6398115\nbestIteration = 98\n\nShrink model to first 99 iterations.\n"))
		assert.are.same({ learn = 0.64, test = 0.63 }, reading.final_metrics)
		assert.are.same({ "test", 0.6398115, 98, true }, { reading.best.metric, reading.best.value,
			reading.best.step, reading.best.declared })
		assert.are.equal("completed", reading.outcome)
	end)

	it("reads cross-validation's mean, and settings that were printed", function()
		local reading = assert(read("params: {'objective': 'binary:logistic', 'max_depth': 6, "
			.. "'learning_rate': 0.1, 'n_estimators': 12, 'seed': 3}\n"
			.. "[1]\ttrain-auc:0.5+0.1\ttest-auc:0.4+0.2\n[12]\ttrain-auc:0.9+0.005\ttest-auc:0.73+0.006\n"))
		assert.are.same({ ["train-auc"] = 0.9, ["test-auc"] = 0.73 }, reading.final_metrics)
		assert.are.same({ lr = 0.1, seed = 3 }, reading.hyperparams)
		assert.are.same({ final = 12, planned = 12 }, reading.steps)
		assert.are.equal("completed", reading.outcome)
	end)

	it("begins anew where the log begins again; an error after it counts", function()
		local run = "2025-01-01 10:00:00,1 - INFO - Loading dataset of 5 rows\n"
			.. "2025-01-01 10:00:01,1 - INFO - Training LightGBM model...\n"
		local good = run .. "2025-01-01 10:00:02,1 - INFO - Accuracy: 0.98\n"
			.. "2025-01-01 10:00:02,1 - INFO - Recall: 0.5\n"
			.. "2025-01-01 10:00:03,1 - INFO - Model training completed successfully\n"
		local bad = run .. "2025-01-01 10:00:02,1 - ERROR - train() got an unexpected argument\n"
		local first = assert(read(bad .. good))
		assert.are.same({ "completed", 0.98 }, { first.outcome, first.final_metrics.Accuracy })
		local second = assert(read(good .. bad))
		assert.are.same({ "failed", "train() got an unexpected argument" }, { second.outcome, second.error })
		assert.are.same({}, second.final_metrics)
	end)

	it("gives only the newest block of results", function()
		local reading = assert(read("Accuracy: 0.5, F1: 0.4\nAccuracy: 0.75\n"))
		assert.are.same({ Accuracy = 0.75 }, reading.final_metrics)
	end)

	it("sets log and JSON side by side where they disagree", function()
		local text = "LightGBM — sMAPE: 17.86% | MAE: 11.97 EUR\n"
		local reading = assert(read(text, {
			["m_metrics.json"] = '{"sMAPE_median": 16.84, "MAE": 11.9712, "window": 60}' }))
		assert.are.same({ sMAPE_percent_log = 17.86, sMAPE_median_json = 16.84, MAE = 11.9712 },
			reading.final_metrics)
		assert.are.same({ { what = "final_metrics.sMAPE", values = {
			{ from = "xgb.log: sMAPE", value = 17.86 },
			{ from = "m_metrics.json: sMAPE_median", value = 16.84 } } } }, reading.disagreements)
		assert.are.equal("m_metrics.json: MAE", reading.sources["final_metrics.MAE"])
	end)

	it("takes the log that was written last, and names the others", function()
		local function log(day, rmse)
			return ("2025-01-0%d 10:00:00,1 - INFO - XGBoost RMSE: %s\n"):format(day, rmse)
		end
		local reading, _, warnings = read(log(1, "3.5"), { ["z.log"] = log(2, "2.5") })
		assert.are.equal(2.5, reading.final_metrics["RMSE"])
		assert.is_truthy(warnings[1]:find("'xgb.log' is of another training", 1, true))
	end)

	it("knows no other program's texts, and survives a broken JSON", function()
		for _, text in ipairs({ "[10] connected to host-a:8080\n", "[1] it's late: 5\n", "Epoch 1 loss: 3\n" }) do
			assert.is_nil(leavings.recognise(gbdt, { ["app.log"] = text }), text)
		end
		local reading, _, warnings = read("[1]\ttrain-rmse:0.5\n", { ["metrics.json"] = "{" })
		assert.are.same({ ["train-rmse"] = 0.5 }, reading.final_metrics)
		assert.is_truthy(warnings[1]:find("metrics.json", 1, true))
	end)
end)
