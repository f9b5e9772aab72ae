local proc = require("unit").proc
local support = require("support.proc")

local progress = proc.progress

--- Start anew at time 0.
local function begin(setup)
	progress.clock(0)
	setup.label = setup.label or "stage1/hrds"
	progress.begin(setup)
end

teardown(function()
	progress.clock()
	support.cleanup()
end)

describe("the status line's text", function()
	it("is as in the sketch", function()
		begin({ names = { "eval_f1" }, goals = { "max" }, steps_total = 10000 })
		for step = 0, 4500, 10 do
			progress.clock(step * 1092000 // 4500)
			progress.set("step", step)
			if step == 4000 or step == 4500 then
				progress.set("eval_f1", step == 4000 and 0.846 or 0.841)
			end
		end
		progress.set("epoch", 1.84)
		assert.equal(" stage1/hrds  step 4,500/10,000 (45%)  epoch 1.8  18m12s, 22m left"
			.. "  eval_f1 0.841 (best 0.846 @ 4,000)", progress.text())
	end)

	it("says only what is known", function()
		begin({})
		progress.clock(5000)
		assert.equal(" stage1/hrds  5s", progress.text())
		progress.set("loss", 12345.678)
		assert.equal(" stage1/hrds  5s  loss 12,346", progress.text())
		progress.set("step", 1234567)
		assert.equal(" stage1/hrds  step 1,234,567  5s  loss 12,346", progress.text())
	end)

	it("counts epochs where there are no steps", function()
		begin({ epochs_total = 4 })
		for epoch = 0, 2 do
			progress.clock(epoch * 3600000)
			progress.set("epoch", epoch)
		end
		assert.equal(" stage1/hrds  epoch 2/4 (50%)  2h00m, 2h00m left", progress.text())
	end)

	it("shows the first declared metric that is known", function()
		begin({ names = { "f1", "loss" }, goals = { "max", "min" } })
		progress.set("other", 1)
		progress.set("loss", 0.5)
		progress.set("loss", 0.25)
		progress.set("loss", 0.75)
		assert.equal(" stage1/hrds  0s  loss 0.75 (best 0.25)", progress.text())
		progress.set("f1", 0.9)
		assert.equal(" stage1/hrds  0s  f1 0.9 (best 0.9)", progress.text())
	end)

	it("takes the pace of the last minute", function()
		begin({ steps_total = 1000 })
		for second = 0, 300 do -- slow at first, then a step a second
			progress.clock(second * 1000)
			progress.set("step", second < 200 and second // 10 or second - 180)
		end
		assert.is_truthy(progress.text():find("5m00s, 14m left", 1, true), progress.text())
	end)

	it("starts its pace anew when steps go back", function()
		begin({ steps_total = 100 })
		progress.set("step", 50)
		progress.clock(10000)
		progress.set("step", 60)
		assert.is_truthy(progress.text():find("40s left", 1, true), progress.text())
		progress.set("step", 0)
		assert.is_nil(progress.text():find("left", 1, true))
	end)

	it("is cut to the width, wide characters counted", function()
		begin({ label = "训练/数据" })
		assert.equal(" 训练/数据  0s", progress.text(14))
		assert.equal(" 训练/…", progress.text(8))
		assert.equal(" 训练/…", progress.text(7))
		assert.equal("…", progress.text(1))
	end)

	it("has nothing in it that a terminal acts upon", function()
		begin({ label = "a\27[2Jb" })
		progress.set("m\27[1m", 1)
		assert.is_nil(progress.text():find("\27", 1, true))
	end)

	it("ignores what is no news", function()
		begin({})
		progress.set("step", 0 / 0)
		progress.set("step", 1 / 0)
		progress.set(("n"):rep(100), 1)
		for i = 1, 200 do
			progress.set("m" .. i, i)
		end
		assert.equal(" stage1/hrds  0s  m1 1", progress.text())
	end)
end)

describe("what was last heard", function()
	it("is kept after the end", function()
		begin({ names = { "f1" }, goals = { "max" } })
		progress.set("steps_total", 100)
		progress.set("step", 10)
		progress.set("f1", 0.5)
		progress.set("step", 20)
		progress.set("f1", 0.4)
		progress.finish()
		local last = progress.last()
		assert.equal(20, last.step)
		assert.equal(100, last.steps_total)
		assert.is_true(last.epoch ~= last.epoch)
		assert.same({ 0.4, 0.5, 10 }, last.metrics.f1)
		assert.equal(5, last.news)
	end)
end)

describe("the status line", function()
	local ERASE = "\r\27[2K"
	local LINE = " s/d  step 1  %ds\r"

	--- What a terminal gets while `code` runs, with time and progress prepared.
	local function painted(code, steps, term)
		local argv = support.script([[
			progress.clock(0)
			progress.begin { label = "s/d" }
			progress.set("step", 1)
		]] .. code)
		local answer = assert(proc.capture({
			argv = support.on_terminal({ "env", "TERM=" .. (term or "xterm"), table.unpack(argv) }, steps),
			deadline_ms = 30000,
		}))
		assert.equal("", answer.errors)
		return (answer.out:gsub("\r\n", "\n"))
	end

	it("is painted below the output and gone before the next", function()
		assert.equal("one\n" .. LINE:format(1) .. ERASE .. "two\n" .. LINE:format(2) .. ERASE, painted([[
			progress.clock(1000) progress.pass(1, "one\n")
			progress.clock(2000) progress.pass(2, "two\n")
			progress.finish()
		]]))
	end)

	it("is painted ten times a second at most", function()
		assert.equal(LINE:format(0) .. ERASE .. LINE:format(0) .. ERASE, painted([[
			for now = 0, 250 do progress.clock(now) progress.tick() end
			progress.finish()
		]]))
	end)

	--- Under a line that the training has begun, and back to `column` of that line.
	local function below(seconds, column)
		local back = "\27[A\r" .. (column > 0 and ("\27[%dC"):format(column) or "")
		return ("\n\27[2K s/d  step 1  %ds%s"):format(seconds, back), "\27[B\r\27[J" .. back
	end

	it("stands under a progress bar and gives the cursor back", function()
		local first, erase_first = below(1, 3)
		local second, erase_second = below(2, 4)
		assert.equal("\r50%" .. first .. erase_first .. "\r100%" .. second .. erase_second .. "\n"
			.. LINE:format(3) .. ERASE, painted([[
			progress.clock(1000) progress.pass(2, "\r50%") progress.tick()
			progress.clock(2000) progress.pass(2, "\r100%") progress.tick()
			progress.clock(3000) progress.pass(1, "\n")
			progress.finish()
		]]))
	end)

	it("comes back at once under a bar that redraws itself, so that it does not flicker", function()
		local paint, erase = below(1, 3)
		assert.equal("\r50%" .. paint .. erase .. "\r51%" .. paint .. erase, painted([[
			progress.clock(1000) progress.pass(2, "\r50%")
			progress.clock(1025) progress.pass(2, "\r51%")
			progress.finish()
		]]))
	end)

	it("is not painted where the cursor may be anywhere", function()
		assert.equal("a\n\r50%\27[A" .. "\n" .. LINE:format(3) .. ERASE, painted([[
			progress.clock(1000) progress.pass(2, "a\n\r50%\27[A") progress.tick()
			progress.clock(3000) progress.pass(1, "\n")
			progress.finish()
		]]))
	end)

	it("steps aside for a message, which has a line of its own", function()
		assert.equal(LINE:format(1) .. ERASE .. "thhost: hello\n" .. LINE:format(2) .. ERASE
			.. "bar\nthhost: hello\n", painted([[
			progress.clock(1000) progress.tick()
			progress.clock(2000) progress.say("hello")
			progress.pass(2, "bar") progress.clock(2050) progress.say("hello")
			progress.finish()
		]]))
	end)

	it("is not there without a terminal that can erase, or when quiet", function()
		assert.equal("", painted("progress.clock(1000) progress.tick() progress.finish()", {}, "dumb"))
		assert.equal("", painted([[
			progress.begin { label = "s/d", is_quiet = true }
			progress.clock(1000) progress.tick() progress.finish()
		]]))
		local answer = assert(proc.capture({ argv = support.script([[
			progress.clock(0) progress.begin { label = "s/d" }
			progress.clock(1000) progress.tick() progress.finish()
		]]) }))
		assert.equal("", answer.out .. answer.errors)
	end)

	it("leaves a supervised training's bytes as they were, in order", function()
		local log = support.path("log")
		local text = painted(([[
			progress.clock()
			progress.begin { label = "s/d" }
			proc.supervise {
				argv = { "sh", "-c", "for i in 1 2 3 4 5 6; do echo line $i; sleep 0.1; "
					.. "printf '\r%%s' bar; done; echo" },
				with_progress = true, tick_ms = 20, log = %q,
			}
			progress.finish()
		]]):format(log))
		local out, lines = text:gsub("\27%[B\r\27%[J\27%[A\r\27%[%d+C", "")
			:gsub("\n\27%[2K s/d  %d+s\27%[A\r\27%[%d+C", "")
			:gsub(" s/d  %d+s\r", ""):gsub("\r\27%[2K", "")
		assert.is_true(lines > 0)
		assert.equal(support.read(log), out)
	end)

	it("is erased whole where a narrower terminal has wrapped it", function()
		local text = painted([[
			progress.begin { label = ("w"):rep(60) }
			progress.clock(1000) progress.tick() io.stderr:write("!")
			repeat
				local pipe <close> = io.popen("stty size </dev/tty")
			until pipe:read("l") == "24 30"
			progress.clock(2000) progress.tick() progress.finish()
		]], { { "!", "size 24 30" } })
		assert.equal(" " .. ("w"):rep(60) .. "  1s\r!\r\27[J " .. ("w"):rep(27) .. "…\r" .. ERASE, text)
	end)
end)
