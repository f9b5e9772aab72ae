--- The digest of the data that a training began with, in its entry.
local cli = require "support.cli"
local runs = require "support.runs"

describe("the digest of a data set", function()
	local t

	before_each(function()
		t = runs.tree "[stage tiny]\ndataset_path = data/{dataset}\n[stage tiny/other]\ndataset_path = data/else\n"
		cli.shell("mkdir " .. t.dir .. "/data")
		cli.write(t.dir .. "/data/d", "before\n")
		cli.write(t.dir .. "/data/else", "else\n")
	end)
	after_each(function()
		t:close()
	end)

	local function sum(text)
		return "sha256:" .. cli.shell(("printf '%s' | sha256sum | cut -d ' ' -f 1"):format(text))
	end

	local function digest(name)
		return t:info(name).training_history[1].dataset_digest
	end

	it("is of what the training began with, however long it takes", function()
		-- The driver and Python answer after it, and the journal tells that they did.
		local wait = runs.start(t, runs.tiny("while [ ! -e stop ]; do sleep 0.02; done; " .. runs.write_result))
		cli.wait_for("what was captured", function()
			local run = runs.journal(t)[1]
			return run and run.environment
		end)
		cli.write(t.dir .. "/data/d", "after, and longer\n")
		cli.write(t.dir .. "/stop", "")
		assert.equal(0, wait())
		assert.equal(sum "before\\n", digest "tiny_d")
	end)

	it("is taken by 'record --capture', and by no other", function()
		t:ok { "record", "tiny", "-d", "other", "--steps", "1", "--capture" }
		assert.equal(sum "else\\n", digest "tiny_other")
		t:ok { "record", "tiny", "-d", "d", "--steps", "1" }
		assert.is_nil(digest "tiny_d")
	end)

	it("is left out where there is nothing to read", function()
		t:ok { "record", "tiny", "-d", "none", "--steps", "1", "--capture" }
		assert.is_nil(digest "tiny_none")
	end)

	it("is shown by lineage", function()
		t:ok(runs.tiny(runs.write_result))
		local found = t:json { "lineage", "tiny_d", "--datasets" }
		assert.matches(sum "before\\n", require("cjson").encode(found), 1, true)
	end)
end)
