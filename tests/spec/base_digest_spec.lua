--- The digest of the base model that a training began from, in its entry and in its run's journal.
local cli = require "support.cli"
local runs = require "support.runs"

-- Of what printf makes of 'text'.
local function sum(text)
	return "sha256:" .. cli.shell(("printf '%s' | sha256sum | cut -d ' ' -f 1"):format(text))
end

describe("the digest of a base model", function()
	local t

	before_each(function()
		t = runs.tree()
		cli.write(t.dir .. "/weights", "before\n")
	end)
	after_each(function()
		t:close()
	end)

	local BEFORE = sum "before\\n"

	local function entry(name)
		local all = t:info(name or "tiny_d").training_history
		return all[#all]
	end

	local function tiny(command, ...)
		return runs.tiny(command, "--base-model", "weights", ...)
	end

	it("is of what it was before the training wrote to it", function()
		t:ok(tiny("echo after, and longer >weights; " .. runs.write_result))
		assert.same({ "weights", BEFORE }, { entry().base_model, entry().base_model_digest })
		t:ok(tiny(runs.write_result))
		assert.equal(sum "after, and longer\\n", entry().base_model_digest)
		t:ok { "verify" }
	end)

	it("stands beside the base model's name", function()
		t:ok(tiny(runs.write_result))
		local text = t:read "exp_1/tiny_d/training_info.json"
		assert.matches('"base_model": "weights",\n *"base_model_digest": "' .. BEFORE .. '",\n', text)
	end)

	it("is in the journal before the training starts", function()
		local result = t:ok(tiny('cat "$THHOST_STAGE_DIR/.thhost/runs/$THHOST_RUN_ID.json"; ' .. runs.write_result))
		assert.matches('"base_model_digest": ?"' .. BEFORE .. '"', result.out)
	end)

	it("is of a directory what is not hidden in it, as of a checkpoint", function()
		cli.shell(("mkdir -p %s/model/.cache && echo x >%s/model/.cache/x && echo 1 >%s/model/w.bin"):format(
			t.dir, t.dir, t.dir))
		t:ok(runs.tiny(runs.write_result, "--base-model", "model"))
		assert.equal(sum("w.bin 2 " .. sum("1\\n"):sub(8) .. "\\n"), entry().base_model_digest)
	end)

	it("is of a whole stage directory what the training there left, not what is told of it", function()
		t:ok(runs.tiny(runs.write_result))
		local text = t:read "exp_1/tiny_d/result.json"
		local left = sum(("result.json %d %s\\n"):format(#text, sum(text:gsub("\n", "\\n")):sub(8)))
		t:ok { "run", "tiny", "-d", "e", "--base-model", "tiny_d", "--", "sh", "-c", runs.write_result }
		assert.equal(left, entry("tiny_e").base_model_digest)
		t:ok { "record", "tiny", "-d", "d", "--steps", "1" }
		t:ok { "run", "tiny", "-d", "f", "--base-model", "tiny_d", "--", "sh", "-c", runs.write_result }
		assert.equal(left, entry("tiny_f").base_model_digest)
	end)

	it("is of the checkpoint that a training goes on from, also where that is overwritten", function()
		local write = 'echo %s >"$THHOST_STAGE_DIR/model.bin"; '
		t:ok(runs.tiny(write:format "one" .. runs.write_result))
		assert.is_nil(entry().base_model_digest)
		t:ok(runs.tiny(write:format "two" .. runs.write_result, "--into", "tiny_d"))
		assert.equal(sum "one\\n", entry().base_model_digest)
		t:ok { "run", "tiny", "-d", "e", "--init-from", "d", "--", "sh", "-c", runs.write_result }
		local heir = t:info("tiny_e").training_history
		assert.equal(sum "two\\n", heir[3].base_model_digest)
		assert.equal(sum "one\\n", heir[2].base_model_digest) -- inherited as it is
	end)

	it("is not there where the base model is no file here", function()
		t:ok(runs.tiny(runs.write_result, "--base-model", "some/model"))
		assert.is_nil(entry().base_model_digest)
		t:ok(runs.tiny(runs.write_result))
		assert.is_nil(entry().base_model_digest)
	end)

	it("is not there where it is larger than wanted, or no digests are", function()
		cli.shell(("truncate -s 2M %s/weights"):format(t.dir))
		local result = t:ok(tiny(runs.write_result), { env = { THHOST_DIGEST_LIMIT = "1" } })
		assert.is_nil(result.err:find("digest", 1, true), result.err)
		assert.is_nil(entry().base_model_digest)
		t:ok(tiny(runs.write_result), { env = { THHOST_DIGEST_LIMIT = "0" } })
		assert.is_nil(entry().base_model_digest)
		assert.is_nil(runs.journal(t)[2].base_model_digest)
	end)

	it("of one that cannot be read is missed with a word, and nothing else", function()
		cli.shell(("mkdir %s/model && ln -s /proc/self/mem %s/model/w.bin"):format(t.dir, t.dir))
		local result = t:run(runs.tiny(runs.write_result, "--base-model", "model"))
		assert.equal(0, result.status)
		assert.matches("warning: no digest of the base model: cannot read '[^']*/model/w.bin'", result.err)
		assert.is_nil(entry().base_model_digest)
	end)

	it("is of one that the configuration names, too", function()
		cli.write(t.dir .. "/thhost.ini", cli.read(t.dir .. "/thhost.ini") .. "[stage tiny]\nbase_model = weights\n")
		t:ok(runs.tiny(runs.write_result))
		assert.equal(BEFORE, entry().base_model_digest)
	end)

	it("is not there where only the training's files tell what it was, which is too late", function()
		t:ok(runs.tiny [[echo '{"steps":1,"base_model":"weights"}' >"$THHOST_STAGE_DIR/result.json"]])
		assert.same({ "weights" }, { entry().base_model, entry().base_model_digest })
	end)

	it("is not made for a run that is not to be recorded", function()
		t:ok(tiny("true", "--no-record"))
		assert.is_nil(runs.journal(t)[1].base_model_digest)
	end)

	it("is taken by 'record --capture', and by no other", function()
		t:ok { "record", "tiny", "-d", "d", "--steps", "1", "--base-model", "weights", "--capture" }
		assert.equal(BEFORE, entry().base_model_digest)
		t:ok { "record", "tiny", "-d", "e", "--steps", "1", "--base-model", "weights" }
		assert.is_nil(entry("tiny_e").base_model_digest)
	end)

	it("is compared", function()
		t:ok(tiny(runs.write_result))
		cli.write(t.dir .. "/weights", "after\n")
		t:ok(runs.tiny(runs.write_result, "-d", "e", "--base-model", "weights"))
		local text = t:run({ "compare", "tiny_d", "tiny_e", "--json" }).out
		assert.matches("base_model_digest", text, 1, true)
	end)
end)

describe("what repair records of a run", function()
	local t

	before_each(function()
		t = runs.tree "[stage tiny]\ndataset_path = data\n"
		cli.write(t.dir .. "/weights", "before\n")
		cli.write(t.dir .. "/data", "data\n")
	end)
	after_each(function()
		t:close()
	end)

	local function check()
		t:ok { "repair" }
		local entry = t:info("tiny_d").training_history[1]
		assert.same({ sum "before\\n", sum "data\\n" }, { entry.base_model_digest, entry.dataset_digest })
		t:ok { "verify" }
	end

	local STUCK = runs.plugin:gsub("extract = function%(ctx%)", "%0 while true do end")

	it("has both digests, of the training's start, when its thhost was killed", function()
		cli.write(t.dir .. "/plugins/tiny.lua", STUCK)
		local ended = "while [ ! -e stop ]; do sleep 0.02; done; "
		runs.start(t, runs.tiny(ended .. "echo after >weights; " .. runs.write_result, "--base-model", "weights"))
		cli.wait_for("what was captured", function()
			local run = runs.journal(t)[1]
			return run and run.dataset_digest
		end)
		cli.write(t.dir .. "/data", "changed\n")
		cli.write(t.dir .. "/stop", "")
		local run = cli.wait_for("the training's end", function()
			local run = runs.journal(t)[1]
			return run and run.exit_code == 0 and run
		end)
		runs.kill("KILL", run.pid)
		cli.wait_for("the end of thhost", function()
			return not runs.is_alive(run.pid)
		end)
		cli.write(t.dir .. "/plugins/tiny.lua", runs.plugin)
		check()
	end)

	it("has both when the plugin had failed", function()
		cli.write(t.dir .. "/plugins/tiny.lua", (runs.plugin:gsub("if not ctx", "error('oh no')\n%0")))
		t:ok(runs.tiny("echo after >weights; " .. runs.write_result, "--base-model", "weights"))
		cli.write(t.dir .. "/data", "changed\n")
		cli.write(t.dir .. "/plugins/tiny.lua", runs.plugin)
		check()
	end)
end)
