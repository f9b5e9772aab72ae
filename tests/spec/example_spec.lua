--- The example training: it is the fixture of the integration tests and of the demo, so what
-- it writes and says has to be what real trainers write and say.

local cjson = require "cjson"

local EXAMPLE = "tests/example/train.lua"

local function capture(command)
	local pipe = assert(io.popen(command))
	local text = pipe:read("a")
	pipe:close()
	return text
end

local function read(path)
	local file = io.open(path, "rb")
	if not file then
		return nil
	end
	local text = file:read("a")
	file:close()
	return text
end

local function read_json(path)
	return cjson.decode((assert(read(path), "no file '" .. path .. "'")))
end

local function lines_of(text)
	local lines = {}
	for line in text:gmatch("[^\r\n]+") do
		lines[#lines + 1] = line
	end
	return lines
end

--- How many lines match.
local function count(text, pattern)
	local n = 0
	for _, line in ipairs(lines_of(text)) do
		n = n + (line:find(pattern) and 1 or 0)
	end
	return n
end

describe("the example training", function()
	local root

	setup(function()
		root = capture("mktemp -d"):gsub("\n$", "")
	end)

	teardown(function()
		assert(root:find("^/.+/"), "refusing to remove '" .. root .. "'")
		os.execute("rm -r '" .. root .. "'")
	end)

	--- Run it; the paths in 'words' are below the temporary directory, written as @name.
	local function train(words, environment)
		words = words:gsub("@", root .. "/")
		local command = ("%s lua5.4 %s %s >%s/out 2>%s/err"):format(
			environment or "", EXAMPLE, words, root, root)
		local _, _, status = os.execute(command)
		return status, read(root .. "/out"), read(root .. "/err")
	end

	local function checkpoints(name)
		local steps = {}
		for step in capture("ls " .. root .. "/" .. name):gmatch("checkpoint%-(%d+)") do
			steps[#steps + 1] = tonumber(step)
		end
		table.sort(steps)
		return steps
	end

	--- Best macro F1 of a finished stage 1.
	local function best_of(name)
		return read_json(root .. "/" .. name .. "/trainer_state.json").best_metric
	end

	describe("stage 1", function()
		local out, err

		setup(function()
			local status
			status, out, err = train("stage1 --output_dir @base")
			assert.equal(0, status, err)
		end)

		it("leaves the files of a trainer behind", function()
			for _, name in ipairs({ "trainer_state", "train_results", "eval_results",
				"all_results", "config", "weights" }) do
				assert.equal("table", type(read_json(root .. "/base/" .. name .. ".json")))
			end
		end)

		it("writes JSON that jq reads", function()
			local command = "jq -e .global_step " .. root .. "/base/trainer_state.json"
			assert.equal("200\n", capture(command))
		end)

		it("keeps three checkpoints, the best and the newest among them", function()
			local state = read_json(root .. "/base/trainer_state.json")
			local steps = checkpoints("base")
			assert.equal(3, #steps)
			assert.equal(200, steps[3])
			assert.truthy(read(state.best_model_checkpoint .. "/weights.json"))
		end)

		it("ends the history with the run's time, not with the last evaluation", function()
			local history = read_json(root .. "/base/trainer_state.json").log_history
			assert.truthy(history[#history].train_runtime)
			assert.truthy(history[#history - 1].eval_loss)
			assert.equal(20 + 8 + 1, #history)
		end)

		it("evaluates the best model at the end, not the last one", function()
			local results = read_json(root .. "/base/eval_results.json")
			assert.equal(best_of("base"), results.eval_macro_f1)
			assert.is_nil(results.step)
		end)

		it("unites the results of both splits", function()
			local all = read_json(root .. "/base/all_results.json")
			for _, split in ipairs({ "train", "eval" }) do
				local results = read_json(("%s/base/%s_results.json"):format(root, split))
				for name, value in pairs(results) do
					assert.equal(value, all[name], name)
				end
			end
		end)

		it("measures each class", function()
			local results = read_json(root .. "/base/eval_results.json")
			for _, class in ipairs({ "title", "author", "section", "fstline", "paraline", "table",
				"figure", "footer" }) do
				for _, field in ipairs({ "precision", "recall", "f1" }) do
					local value = results[("eval_%s_%s"):format(class, field)]
					assert.truthy(value >= 0 and value <= 1)
				end
			end
		end)

		it("really learns", function()
			local history = read_json(root .. "/base/trainer_state.json").log_history
			assert.truthy(history[1].loss > 1.0)
			assert.truthy(read_json(root .. "/base/eval_results.json").eval_macro_f1 > 0.75)
		end)

		it("prints records as Python's dicts, and log lines with three blanks", function()
			local loss = "^{'loss': %d%.%d+, 'learning_rate': %d[%d.e-]+, 'epoch': %d%.%d+}$"
			assert.equal(20, count(out, loss))
			assert.equal(9, count(out, "^{'eval_loss': .*'eval_macro_f1': .*'epoch': [%d.]+}$"))
			local prefix = "^%d%d/%d%d/%d%d%d%d %d%d:%d%d:%d%d %- INFO %- __main__ %-   "
			assert.equal(9, count(out, prefix .. "Macro F1: %d+%.%d%% %(only classes"))
			assert.equal(1, count(out, prefix .. "%*%*%* Evaluate %*%*%*$"))
			assert.equal(1, count(out, "^Training completed successfully!$"))
		end)

		it("draws its bar on stderr with carriage returns", function()
			assert.equal(1, count(err, "^%*%*%*%*%* Running training %*%*%*%*%*$"))
			assert.equal(1, count(err, "^  Total optimization steps = 200$"))
			local full = "\r100%%|" .. ("█"):rep(10) .. "| 200/200 %[%d%d:%d%d<00:00, "
				.. "[%d. ]+it/s%]\n"
			assert.truthy(err:find(full))
		end)

		it("gives the same numbers for the same seed, and others for another", function()
			train("stage1 --output_dir @again --max_steps 50")
			train("stage1 --output_dir @twin --max_steps 50")
			train("stage1 --output_dir @other --max_steps 50 --seed 7")
			local weights = read(root .. "/again/weights.json")
			assert.equal(weights, read(root .. "/twin/weights.json"))
			assert.not_equal(weights, read(root .. "/other/weights.json"))
		end)

		it("sends its metrics to a host that asks for them", function()
			train("stage1 --output_dir @events --max_steps 50", "THHOST_EVENTS=" .. root .. "/log")
			local lines = lines_of(read(root .. "/log"))
			assert.equal(2, #lines)
			local event = cjson.decode(lines[2])
			assert.equal(50, event.step)
			assert.equal("number", type(event.metrics.eval_macro_f1))
		end)

		it("learns faster on hrdh when it has seen hrds", function()
			local budget = "stage1 --dataset hrdh --max_steps 100 --output_dir "
			assert.equal(0, (train(budget .. "@scratch")))
			assert.equal(0, (train(budget .. "@continued --model_name_or_path @base")))
			assert.truthy(best_of("continued") > best_of("scratch") + 0.02)
		end)

		it("can begin with a checkpoint of the directory that it overwrites", function()
			train("stage1 --output_dir @self --max_steps 50")
			local status = train("stage1 --output_dir @self --max_steps 25 --overwrite_output_dir"
				.. " --model_name_or_path @self/checkpoint-50")
			assert.equal(0, status)
			assert.same({ 25 }, checkpoints("self"))
		end)

		it("stops early when nothing gets better", function()
			train("stage1 --output_dir @early --learning_rate 0 --eval_steps 10 --save_steps 10",
				"EARLY_STOPPING_PATIENCE=2")
			local state = read_json(root .. "/early/trainer_state.json")
			assert.equal(30, state.global_step)
			assert.equal(200, state.max_steps)
		end)
	end)

	describe("a stage 1 that fails", function()
		it("leaves its checkpoints but no results, and continues from there", function()
			local status, out, err = train("stage1 --output_dir @resumed --fail_at_step 60")
			assert.equal(1, status)
			assert.truthy(err:find("Traceback (most recent call last):\n  File ", 1, true))
			assert.truthy(err:find("\nRuntimeError: asked to fail at step 60\n$"))
			assert.equal(1, count(out, "^Training failed!$"))
			assert.is_nil(read(root .. "/resumed/all_results.json"))
			assert.same({ 25, 50 }, checkpoints("resumed"))

			status, out, err = train("stage1 --output_dir @resumed")
			assert.equal(0, status)
			assert.truthy(out:find("Resume From:  " .. root .. "/resumed/checkpoint-50", 1, true))
			assert.equal(1, count(err, "^  Continuing training from global step 50$"))
			assert.equal(200, read_json(root .. "/resumed/trainer_state.json").global_step)
		end)

		it("ends with the model of an undisturbed training", function()
			train("stage1 --output_dir @smooth")
			train("stage1 --output_dir @bumpy --fail_at_step 60")
			train("stage1 --output_dir @bumpy")
			local name = "/checkpoint-200/weights.json"
			assert.equal(read(root .. "/smooth" .. name), read(root .. "/bumpy" .. name))
		end)

		it("passes over a checkpoint that was cut short", function()
			train("stage1 --output_dir @torn --fail_at_step 60")
			local state = assert(io.open(root .. "/torn/checkpoint-50/trainer_state.json", "w"))
			state:write('{"global_step": 5')
			state:close()
			local _, out = train("stage1 --output_dir @torn")
			assert.truthy(out:find("torn/checkpoint-25\n", 1, true))
			assert.equal(200, read_json(root .. "/torn/trainer_state.json").global_step)
		end)

		it("starts over when told to", function()
			train("stage1 --output_dir @over --max_steps 50")
			local _, out = train("stage1 --output_dir @over --max_steps 30 --overwrite_output_dir")
			assert.equal(1, count(out, "^Mode:         RESTART"))
			assert.equal(30, read_json(root .. "/over/trainer_state.json").global_step)
			assert.same({ 25 }, checkpoints("over"))
		end)

		it("writes nan as Python does when it diverges", function()
			local status, out = train("stage1 --output_dir @nan --diverge --max_steps 50")
			assert.equal(0, status)
			assert.truthy(count(out, "^{'loss': nan, ") > 0)
			assert.is_nil(out:find("-nan", 1, true))
			assert.truthy(read(root .. "/nan/trainer_state.json"):find('"loss": NaN,', 1, true))
		end)

		it("says so when the model to begin with is not there", function()
			local status, _, err = train("stage1 --output_dir @no --model_name_or_path @nowhere")
			assert.equal(1, status)
			assert.truthy(err:find("\nOSError: can't load weights for '", 1, true))
		end)
	end)

	describe("stages 2 to 4", function()
		local prefix = "^%d%d/%d%d/%d%d%d%d %d%d:%d%d:%d%d %- INFO %- __main__ %- "
		local extracted

		setup(function()
			train("stage1 --output_dir @s1")
			local status
			status, extracted = train("stage2 --model_path @s1 --output_dir @features")
			assert.equal(0, status)
		end)

		it("extract features in chunks", function()
			assert.equal(1, count(extracted, prefix .. "实际页面数 %- train: %d+, validation: %d+$"))
			assert.equal(1, count(extracted, "^✓ train 集完成!$"))
			assert.equal(2, count(extracted, prefix .. "保存最后的chunk %d+: %d+ 个文档 %-> /"))
			assert.equal(1, count(extracted, prefix .. "  训练集: 3 个chunk文件$"))
			local files = lines_of(capture("ls " .. root .. "/features"))
			assert.same({
				"train_line_features_chunk_0000.pkl", "train_line_features_chunk_0001.pkl",
				"train_line_features_chunk_0002.pkl", "validation_line_features_chunk_0000.pkl",
			}, files)
		end)

		it("find parents", function()
			local status, out, err = train(
				"stage3 --features_dir @features --output_dir @s3 --num_epochs 3")
			assert.equal(0, status)
			for epoch = 1, 3 do
				assert.equal(1, count(out, ("^===== Epoch %d/3 =====$"):format(epoch)))
			end
			assert.equal(3, count(out, prefix .. "训练 %- Loss: [%d.]+, Acc: [%d.]+$"))
			assert.equal(3, count(out, prefix .. "验证 %- Acc: [%d.]+$"))
			assert.equal(1, count(out, "^训练完成！最佳验证准确率: 0%.%d%d%d%d$"))
			assert.equal(1, count(out, "^ParentFinder training completed successfully!$"))
			assert.equal(3, count(err, "训练: 100%%|" .. ("█"):rep(10) .. "| 60/60 %["))
			assert.truthy(tonumber(out:match("最佳验证准确率: ([%d.]+)")) > 0.8)
			assert.truthy(read(root .. "/s3/best_model.pt"))
		end)

		it("leave the logger's prefix alone on its line before a new paragraph", function()
			local _, out = train("stage3 --output_dir @s3b --num_epochs 1")
			assert.truthy(out:find(" - INFO - __main__ - \n===== Epoch 1/1 =====\n", 1, true))
		end)

		it("find better parents when the true labels are known", function()
			local _, seen = train("stage3 --features_dir @features --output_dir @s3c")
			local _, given = train("stage3 --output_dir @s3d")
			local pattern = "最佳验证准确率: ([%d.]+)"
			assert.truthy(tonumber(given:match(pattern)) > tonumber(seen:match(pattern)))
		end)

		it("name relations, running whole epochs", function()
			local status, out = train("stage4 --features_dir @features --output_dir @s4")
			assert.equal(0, status)
			local scores = "Loss: [%d.]+, Acc: [%d.]+, P: [%d.]+, R: [%d.]+, F1: [%d.]+$"
			assert.equal(2, count(out, prefix .. "训练 %- " .. scores))
			assert.equal(2, count(out, prefix .. "验证 %- " .. scores))
			assert.equal(2, count(out, prefix .. "  Step %[100/%d+%] %- Loss: [%d.]+$"))
			assert.equal(2, count(out, prefix .. "保存checkpoint: .+/checkpoint%-epoch%d%.pt$"))
			assert.equal(1, count(out, "^训练完成！最佳验证F1: [%d.]+$"))
			for _, name in ipairs({ "checkpoint-epoch1", "checkpoint-epoch2", "best_model",
				"best_model_weights" }) do
				assert.truthy(read(("%s/s4/%s.pt"):format(root, name)), name)
			end
		end)

		it("report on four relations as scikit-learn does", function()
			local _, out = train("stage4 --output_dir @s4b --max_steps 10")
			assert.truthy(out:find("混淆矩阵:\n%[%[[ %d]+%]\n %[[ %d]+%]\n %[[ %d]+%]\n %[[ %d]+%]%]"))
			local report = out:match("分类报告:\n(.-weighted avg[^\n]*)\n")
			assert.equal("              precision    recall  f1-score   support",
				lines_of(report)[1])
			for _, name in ipairs({ "none", "connect", "contain", "equality", "accuracy" }) do
				assert.equal(1, count(report, "^ +" .. name .. " +[%d. ]+$"), name)
			end
		end)

		it("say nan when they diverge", function()
			local _, out = train("stage3 --output_dir @nan3 --num_epochs 1 --diverge")
			assert.equal(1, count(out, "训练 %- Loss: nan, Acc: [%d.]+$"))
			_, out = train("stage4 --output_dir @nan4 --max_steps 10 --diverge")
			assert.equal(1, count(out, "验证 %- Loss: nan, Acc: [%d.]+, P: "))
		end)

		it("end with 1 when they fail", function()
			for words, complaint in pairs({
				["stage2 --model_path @s1 --output_dir @f2 --fail_at_step 5"] =
					"Feature extraction failed!",
				["stage3 --output_dir @f3 --fail_at_step 5"] = "ParentFinder training failed!",
				["stage4 --output_dir @f4 --fail_at_step 5"] =
					"Relation classifier training failed!",
				["stage2 --model_path @nowhere --output_dir @f2"] =
					"Error: Model path does not exist: " .. root .. "/nowhere",
			}) do
				local status, out = train(words)
				assert.equal(1, status, words)
				assert.truthy(out:find(complaint .. "\n", 1, true), words)
			end
			assert.is_nil(read(root .. "/f3/best_model.pt"))
		end)

		it("miss the features that were not extracted", function()
			local status, _, err = train("stage3 --features_dir @empty --output_dir @f5")
			assert.equal(1, status)
			assert.truthy(err:find("\nFileNotFoundError: [^\n]+_chunk_0000%.pkl\n$"))
		end)
	end)

	describe("with wrong usage", function()
		for words, complaint in pairs({
			[""] = "the following arguments are required: stage",
			["stage5"] = "invalid choice: 'stage5'",
			["stage1"] = "the following arguments are required: --output_dir",
			["stage1 --output_dir @u --epochs 3"] = "unrecognized arguments: --epochs",
			["stage1 --output_dir @u extra"] = "unrecognized arguments: extra",
			["stage1 --output_dir"] = "argument --output_dir: expected one argument",
			["stage1 --output_dir @u --max_steps many"] = "invalid int value: 'many'",
			["stage1 --output_dir @u --max_steps 0"] = "must be at least 1, got 0",
			["stage1 --output_dir @u --learning_rate=x"] = "invalid float value: 'x'",
			["stage1 --output_dir @u --load_best_model_at_end maybe"] = "expected true or false",
			["stage3 --output_dir @u --dataset coco"] = "unknown dataset 'coco'",
		}) do
			it("ends with 2: '" .. words .. "'", function()
				local status, out, err = train(words)
				assert.equal(2, status)
				assert.equal("", out)
				assert.truthy(err:find("train.lua: error: ", 1, true))
				assert.truthy(err:find(complaint, 1, true), err)
				assert.is_nil(read(root .. "/u/config.json"))
			end)
		end
	end)

	it("runs from any directory, into a path with blanks and quotes", function()
		local example = capture("pwd"):gsub("\n$", "") .. "/" .. EXAMPLE
		local command = [[cd %s && lua5.4 %s stage1 --max_steps 25 --output_dir "it's a place" ]]
		assert.truthy(os.execute((command .. ">out 2>err"):format(root, example)))
		assert.equal(25, read_json(root .. "/it's a place/trainer_state.json").global_step)
	end)

	it("ends like an interrupted Python program on SIGINT", function()
		local script = [[
lua5.4 %s stage1 --output_dir %s/int --sleep_ms 20 >%s/int.out 2>%s/int.err & child=$!
until grep -qs "'loss'" %s/int.out || ! kill -0 $child; do sleep 0.02; done
kill -INT $child; wait $child; echo $?]]
		script = script:format(EXAMPLE, root, root, root, root)
		assert.equal("130\n", capture(script))
		assert.truthy(read(root .. "/int.err"):find("\nKeyboardInterrupt\n$"))
		assert.is_nil(read(root .. "/int/all_results.json"))
	end)
end)
