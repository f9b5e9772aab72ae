--- What a training tells thhost through $THHOST_EVENTS.
local cli = require "support.cli"
local runs = require "support.runs"

describe("an event", function()
	local t

	before_each(function()
		t = runs.tree()
	end)

	after_each(function()
		t:close()
	end)

	local function tell(...)
		local lines = {}
		for i, line in ipairs { ... } do
			lines[i] = "echo '" .. line .. "' >>\"$THHOST_EVENTS\"; "
		end
		return table.concat(lines)
	end

	it("of progress is what the journal knows of a run that failed", function()
		t:run(runs.tiny(tell('{"step":3,"epoch":0.5,"metrics":{"loss":0.25,"text":"no"}}', '{"step":4}')
			.. "exit 1"))
		local run = runs.journal(t)[1]
		assert.equal(4, run.last_step)
		assert.equal(0.5, run.last_epoch)
		assert.same({ loss = 0.25 }, run.last_metrics)
	end)

	it("of progress is known while the training goes on", function()
		local wait = runs.start(t, runs.tiny(tell('{"step":5}') .. 'while [ ! -e stop ]; do sleep 0.05; done'))
		local run = runs.wait_for_state(t, "running")
		runs.kill("TERM", run.pid)
		assert.equal(128 + 15, wait())
		assert.equal("interrupted", runs.journal(t)[1].state)
		assert.equal(5, runs.journal(t)[1].last_step)
	end)

	it("of final values wins over the plugin, and a flag over both", function()
		t:ok(runs.tiny(runs.write_result
			.. tell('{"final":{"steps":77,"metrics":{"f1":0.9,"n":{"a":1}},"hyperparams":{"lr":1,"bs":2}}}'),
			"-p", "lr=3"))
		local entry = t:info("tiny_d").training_history[1]
		assert.equal(77, entry.steps)
		assert.same({ f1 = 0.9, n = { a = 1 } }, entry.metrics)
		assert.same({ lr = 3, bs = 2 }, entry.hyperparams)
	end)

	it("of final values is enough where the plugin finds nothing", function()
		local result = t:ok(runs.tiny(tell('{"final":{"steps":5,"metrics":{"f1":0.1}}}')))
		assert.is_truthy(result.err:find("no result.json", 1, true))
		assert.equal(5, t:info("tiny_d").total_steps)
	end)

	it("that is none is passed over and mentioned once", function()
		local result = t:ok(runs.tiny(runs.write_result
			.. tell("oops", "[1]", "", "{", '{"final":{"metrics":{"f1":0.7}}}', '{"metrics":7}')))
		local _, count = result.err:gsub("THHOST_EVENTS", "")
		assert.equal(1, count)
		assert.is_truthy(result.err:find("passed over 3 lines of $THHOST_EVENTS", 1, true), result.err)
		assert.equal(0.7, t:info("tiny_d").training_history[1].metrics.f1)
	end)

	it("without its newline counts when the training has ended", function()
		t:ok(runs.tiny(runs.write_result
			.. [[printf '{"final":{"metrics":{"f1":0.3}}}' >>"$THHOST_EVENTS"]]))
		assert.equal(0.3, t:info("tiny_d").training_history[1].metrics.f1)
	end)

	it("that is not a number is kept as a name", function()
		t:ok(runs.tiny(runs.write_result .. tell('{"final":{"metrics":{"f1":NaN}}}')))
		local entry = t:info("tiny_d").training_history[1]
		assert.same({ f1 = "nan" }, entry.nonfinite)
		t:ok { "verify" }
	end)

	it("may be a flood", function()
		t:ok(runs.tiny(runs.write_result
			.. [[seq 100000 | sed 's/.*/{"step":&,"metrics":{"loss":0.5}}/' >>"$THHOST_EVENTS"]]))
		assert.equal(100000, runs.journal(t)[1].last_step)
		assert.is_truthy(cli.read(t.root .. "/exp_1/tiny_d/training_info.json"))
	end)
end)
