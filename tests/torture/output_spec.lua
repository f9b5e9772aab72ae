--- Whatever stands in a name, a metric or a message of somebody else comes out harmless: nothing that
--- a terminal acts upon, one line for each thing, and as JSON to the letter.
local cjson = require "cjson"
local cli = require "support.cli"
local torture = require "support.torture"
local tree = require "support.tree"

-- What a terminal, a page, a spreadsheet or a reader of lines would act upon.
local EVIL = {
	clear = "\27[2J\27[Hgone",
	title = "\27]0;owned\7",
	clipboard = "\27]52;c;ZXZpbA==\27\\",
	device_control = "\27P$q\"p\27\\",
	colour = "\27[31;5mred",
	one_byte_csi = "\u{9b}31m",
	carriage = "good\rbad",
	lines = "one\ntwo\n\nthree",
	tab = "a\tb\vc\fd",
	backspace = "rm x\8\8\8ls",
	bidi = "\u{202e}gnp.exe\u{2066}\u{200f}",
	separator = "a\u{2028}b\u{2029}c\u{85}d",
	invisible = "ad\u{200b}min\u{feff}",
	nul = "a\0b",
	html = "</script><img src=x onerror=alert(1)>\"'&",
	formula = "=cmd|' /C calc'!A0",
	formula_at = "@SUM(1+1)*cmd",
	delete = "a\127b",
}

local RECORD = [[{
  "model_name": %s,
  "base_model": %s,
  "stage": "stage1",
  "training_history": [
    { "dataset": %s, "steps": 5, "start_time": "2025-01-01T00:00:00", "end_time": "2025-01-01T01:00:00",
      "hyperparams": { %s: %s, "lr": 1e-5 }, "metrics": { %s: 0.5, "note": %s },
      "note": %s, "tags": [%s], %s: %s, "run_id": %s, "host": { "name": %s } }
  ],
  "final_checkpoint": %s, "last_updated": "2025-01-01T01:00:00", "total_steps": 5, "last_dataset": %s,
  %s: [%s], "parents": [{ "ref": %s }]
}
]]

local RUN = [[{
  "schema": "thhost.run/1", "run_id": "%s", "state": %s, "stage": "stage1", "dataset": %s, "into": "x",
  "command": ["sh", %s], "host": %s, "boot_id": "b", "pid": 1, "pid_start": 1, "trouble": %s,
  "start_time": "2025-01-01T00:00:00+00:00", "log": %s
}
]]

local COMMANDS = {
	{ "list" }, { "list", "--runs" }, { "list", "--csv" }, { "list", "--latex", "--runs" },
	{ "list", "--markdown" }, { "list", "--latex" }, { "list", "--jsonl" }, { "best", "%s" },
	{ "list", "-F", "%s" }, { "list", "-c", "%s" }, { "list", "--started", "%s" }, { "list", "*%s" },
	{ "show", "stage1_x" }, { "lineage" }, { "lineage", "stage1_x" }, { "verify" },
	{ "lineage", "--datasets" }, { "lineage", "--datasets", "--dot" }, { "lineage", "--datasets", "--mermaid" },
	{ "lineage", "--datasets", "--html" }, { "lineage", "diff", "stage1_x", "%s" },
	{ "lineage", "stage1_x/%s" }, { "lineage", "dataset:%s" },
	{ "repair", "--dry-run" }, { "exp", "list" }, { "exp", "status" }, { "plugin", "list" },
	{ "plugin", "show", "evil" }, { "plugin", "check", "plugins/evil.lua" },
	{ "plugin", "test", "evil", "--from", "." }, { "config", "list" }, { "config", "list", "--show-origin" },
	{ "doctor" }, { "completion", "words", "--", "show", "" },
	{ "show", "%s" }, { "show", "-e", "%s" }, { "exp", "new", "%s" }, { "exp", "use", "%s" },
	{ "%s" }, { "list", "--%s" }, { "list", "-s", "%s" }, { "config", "get", "%s" },
	{ "plugin", "show", "%s" }, { "run", "%s", "-d", "%s", "--", "true" }, { "record", "%s", "-d", "%s" },
	{ "record", "stage1", "-d", "x", "--steps", "%s" }, { "record", "stage1", "-d", "x", "--from", "%s" },
	{ "list", "--config", "%s" }, { "list", "--root", "%s" }, { "lineage", "%s" }, { "verify", "%s" },
}

describe("what somebody else has written", function()
	local t
	local count, harmful = 0, 0

	before_each(function()
		t = tree.new()
	end)
	after_each(function()
		t:close()
	end)
	teardown(function()
		torture.figure("output", "outputs with a hostile text in every field", count, harmful)
	end)

	--- A file name cannot hold these.
	local function as_name(evil)
		return (evil:gsub("[/\0]", "_"))
	end

	local function lua_string(text)
		return (("%q"):format(text):gsub("\\\n", "\\n"):gsub("\r", "\\13"))
	end

	local function plant(evil)
		local json = cjson.encode(evil)
		local words = {}
		for _ = 1, 19 do
			words[#words + 1] = json
		end
		t:write("exp_1/stage1_x/training_info.json", RECORD:format(table.unpack(words)))
		local id = "0197a1b2-0000-7000-8000-000000000001"
		t:write("exp_1/stage1_x/.thhost/runs/" .. id .. ".json",
			RUN:format(id, '"running"', json, json, json, json, json))
		t:write("exp_1/stage1_x/.thhost/runs/0197a1b2-0000-7000-8000-000000000002.json", json)
		t:write("exp_1/stage1_x/.thhost/spool/" .. as_name(evil) .. ".json", json)
		t:write("exp_1/stage1_x/.training_info.json.conflict-" .. as_name(evil), "{")
		t:write("exp_1/stage1_" .. as_name(evil) .. "/training_info.json", "{" .. evil)
		t:write("exp_" .. as_name(evil) .. "/stage1_x/training_info.json", "{}")
		local literal = lua_string(evil)
		cli.shell("mkdir -p " .. t.dir .. "/plugins")
		cli.write(t.dir .. "/plugins/evil.lua", ([[
			return { api = 1, kind = "stage", name = "evil", summary = "s" .. %s, dir = "x", model_name = "m",
				inputs = { log = "x?" }, metrics = { f1 = { goal = "max" } },
				extract = function(ctx)
					ctx.log.warn(%s) ctx.log.info(%s)
					error(%s)
				end }
		]]):format(literal, literal, literal, literal))
		cli.write(t.dir .. "/thhost.ini", "[artifact]\nroot = artifact\n[plugins]\npath = plugins\n")
	end

	--- Only newlines, and the colours that are our own where they are asked for.
	local function check(text, what, colour)
		count = count + 1
		if colour then
			text = text:gsub("\27%[[%d;]*m", "")
		end
		local active = text:match("[\0-\9\11-\31\127]") or not utf8.len(text) and "what is no UTF-8"
		for _, c in utf8.codes(active and "" or text) do
			if c >= 0x80 and c <= 0x9f or c >= 0x200b and c <= 0x200f or c >= 0x2028 and c <= 0x202e
				or c >= 0x2066 and c <= 0x206f or c == 0xfeff or c == 0x61c then
				active = utf8.char(c)
			end
		end
		harmful = harmful + (active and 1 or 0)
		assert(not active, ("%s: %q in %q"):format(what, active, text))
	end

	local function words_of(command, evil)
		local words = {}
		for i, word in ipairs(command) do
			words[i] = word == "%s" and evil or (word:gsub("%%s", (evil:gsub("%%", "%%%%"))))
		end
		return words
	end

	for name, evil in pairs(EVIL) do
		it("is harmless: " .. name, function()
			plant(evil)
			for _, command in ipairs(COMMANDS) do
				local words = words_of(command, as_name(evil))
				for _, option in ipairs({ false, "--json", "--color=always" }) do
					local argv = { table.unpack(words) }
					if option then
						table.insert(argv, math.min(2, #argv + 1), option)
					end
					local what = table.concat(argv, " "):gsub("%c", "?")
					local result = t:run(argv)
					assert(result.status < 126, what .. ": " .. result.status .. result.err)
					check(result.out, what, option == "--color=always")
					check(result.err, what, option == "--color=always")
				end
			end
		end)

		it("is JSON to the letter: " .. name, function()
			plant(evil)
			local record = t:json({ "show", "stage1_x" }).record
			assert.equal(evil, record.model_name)
			assert.equal(evil, record.training_history[1].metrics.note)
			assert.equal(0.5, record.training_history[1].metrics[evil])
			assert.equal(evil, record.training_history[1].tags[1])
		end)
	end
end)
