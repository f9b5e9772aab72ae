--- `thhost run` on a terminal: the status line, and what it leaves alone.
local cli = require "support.cli"
local proc = require "support.proc"
local runs = require "support.runs"

describe("a run on a terminal", function()
	local t

	before_each(function()
		t = runs.tree()
	end)

	after_each(function()
		t:close()
		proc.cleanup()
	end)

	--- What the terminal got, and the status. The size is 24 x 100.
	local function on_terminal(args, steps, env)
		local argv = { "env", "-C", t.dir, "TERM=xterm", "HOME=" .. t.dir }
		for name, value in pairs(env or {}) do
			argv[#argv + 1] = name .. "=" .. value
		end
		argv[#argv + 1] = cli.thhost
		table.move(args, 1, #args, #argv + 1, argv)
		local out = os.tmpname()
		local _, _, status = os.execute(("%s >%s </dev/null"):format(
			proc.quote(proc.on_terminal(argv, steps, 24, 100)), out))
		local text = cli.read(out)
		os.remove(out)
		return text, status
	end

	-- The line begins with a blank and the label and ends with \r; under an unfinished line it has a
	-- line of its own and the cursor goes back up. It is erased before anything else.
	local TEXT = " %a+%d?/%a+  [^\r\n\27]*"
	local BACK = "\27%[A\r"
	local COLUMN = "\27%[%d+C"

	--- The text without the status lines and what erases them; a terminal ends lines with \r\n.
	local function strip(text)
		for _, back in ipairs({ BACK .. COLUMN, BACK }) do
			text = text:gsub("\27%[B\r\27%[J" .. back, ""):gsub("\r\n\27%[2K" .. TEXT .. back, "")
		end
		return (text:gsub(TEXT .. "\r", ""):gsub("\r\27%[2K", ""):gsub("\r\n", "\n"))
	end

	--- The status lines in it.
	local function lines(text)
		local found = {}
		for line in text:gmatch(TEXT) do
			found[#found + 1] = line
		end
		return found
	end

	it("shows step and metric of stage 1 by its progress rules", function()
		local text, status = on_terminal(runs.example("stage1", "hrds",
			"--max_steps 60 --sleep_ms 20 --logging_steps 5 --eval_steps 10 --save_steps 30",
			"--no-record"), { { " stage1/hrds  ", "" } })
		assert.equal(0, status)
		local all = table.concat(lines(text), "\n")
		assert.is_truthy(all:find(" stage1/hrds  step %d+/60 %(%d+%%%)"), all)
		assert.is_truthy(all:find("epoch %d"), all)
		assert.is_truthy(all:find("macro_f1 0%.%d+ %(best 0%.%d+"), all)
	end)

	it("shows epoch and metric of stage 3", function()
		local text, status = on_terminal(runs.example("stage3", "hrds", "--sleep_ms 5", "--no-record"))
		assert.equal(0, status)
		local all = table.concat(lines(text), "\n")
		assert.is_truthy(all:find(" stage3/hrds  [^\n]*epoch %d+"), all)
		assert.is_truthy(all:find("accuracy 0%.%d+ %(best 0%.%d+"), all)
	end)

	it("changes no byte of the output, and the line is gone at the end", function()
		local command = "i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo step $i; "
			.. "[ $((i % 4)) = 0 ] && echo err $i >&2; sleep 0.03; done"
		local text, status = on_terminal(runs.tiny(command, "--no-record"))
		local want = {}
		for i = 1, 40 do
			want[#want + 1] = "step " .. i .. "\n" .. (i % 4 == 0 and "err " .. i .. "\n" or "")
		end
		assert.equal(0, status)
		assert.is_true(#lines(text) > 2)
		assert.equal(table.concat(want), strip(text))
		local run = runs.journal(t)[1]
		assert.equal(table.concat(want), t:read("exp_1/tiny_d/" .. run.log))
		-- Drawn once more after the last output, in the 30 ms before the end, it is wiped out again.
		local rest = text:gsub("\r\n", "\n"):match("[^\n]*$")
		assert.is_truthy(rest == "" or rest:find("\r\27%[2K\r?$"), rest)
	end)

	it("stands under a progress bar and leaves it alone", function()
		local command = "i=0; while [ $i -lt 20 ]; do i=$((i+1)); printf '\\r%3d%%|###| %d/20 ' $i $i; "
			.. "sleep 0.03; done; echo"
		local text = on_terminal(runs.tiny(command, "--no-record"))
		local want = {}
		for i = 1, 20 do
			want[i] = ("\r%3d%%|###| %d/20 "):format(i, i)
		end
		assert.equal(table.concat(want) .. "\n", strip(text))
		assert.is_true(#lines(text) > 1)
		assert.is_nil(text:find("|###| %d+/20 [^\r]*tiny/d")) -- never painted into the bar's line
	end)

	it("gives the training a terminal", function()
		local text = on_terminal(runs.tiny("[ -t 1 ] && [ -t 2 ] && stty size", "--no-record", "-q"))
		assert.equal("24 100\r\n", text)
		text = on_terminal(runs.tiny("[ -t 1 ] || echo piped; env | grep UNBUFF", "--no-record", "-q"),
			nil, { THHOST_PTY = "no" })
		assert.equal("piped\r\nPYTHONUNBUFFERED=1\r\n", text)
	end)

	for what, args in pairs {
		["--quiet"] = { "--quiet" }, ["--no-progress"] = { "--no-progress" },
		["run.progress = no"] = {}, ["TERM=dumb"] = {},
	} do
		it("is silent with " .. what, function()
			local env = { ["run.progress = no"] = { THHOST_PROGRESS = "no" },
				["TERM=dumb"] = { TERM = "dumb" } }
			local text = on_terminal(runs.tiny("echo step 1; sleep 0.4; echo step 2", "--no-record",
				table.unpack(args)), nil, env[what])
			assert.equal("step 1\r\nstep 2\r\n", text)
		end)
	end

	it("is silent where stderr is no terminal", function()
		local result = t:run(runs.tiny("echo step 1; sleep 0.4", "--no-record"))
		assert.equal("", result.err)
	end)

	it("passes Ctrl-C once, and a third one kills", function()
		local command = "trap 'echo caught' INT; echo ready; while :; do sleep 0.05; done"
		local text, status = on_terminal(runs.tiny(command, "--no-progress"), {
			{ "ready", "\3" }, { "caught", "\3" }, { "once more kills it", "\3" } })
		assert.equal(128 + 9, status)
		assert.is_true(select(2, text:gsub("caught", "")) <= 3, text)
		assert.equal("interrupted", runs.journal(t)[1].state)
	end)

	it("passes each Ctrl-C with run.grace_s = 0, and kills never", function()
		local command = "n=0; trap 'n=$((n + 1)); echo caught $n; [ $n = 4 ] && exit 5' INT; echo ready; "
			.. "while :; do sleep 0.05; done"
		local _, status = on_terminal(runs.tiny(command, "--no-progress"), { { "ready", "\3" },
			{ "caught 1", "\3" }, { "caught 2", "\3" }, { "caught 3", "\3" } }, { THHOST_GRACE = "0" })
		assert.equal(5, status)
	end)
end)
