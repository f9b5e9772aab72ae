local unit = require("unit")
local info, json = unit.info, unit.json

local function write_file(text)
	local name = os.tmpname()
	local file = assert(io.open(name, "wb"))
	file:write(text)
	file:close()
	return name
end

--- A shell command with 'input' on its stdin; its stdout, or nil where it fails.
local function pipe(command, input)
	local name = write_file(input)
	local process = assert(io.popen(command .. " < " .. name .. " 2>/dev/null"))
	local output = process:read("a")
	local ok = process:close()
	os.remove(name)
	return ok and output or nil
end

local HRDS = [[{"dataset": "hrds", "steps": 10000, "epochs": null,
	"metrics": {"f1": 0.85, "precision": 0.84, "recall": 0.86},
	"hyperparams": {"lr": 2e-5, "batch_size": 3, "max_steps": 10000},
	"start_time": "2025-12-11T10:30:00", "end_time": "2025-12-11T12:00:00"}]]
local HRDH = [[{"dataset": "hrdh", "steps": 5000, "epochs": null, "metrics": {"f1": 0.82},
	"hyperparams": {"lr": 2e-5, "batch_size": 3, "max_steps": 5000},
	"start_time": "2025-12-11T14:00:00", "end_time": "2025-12-11T15:20:00"}]]

local DESIGN = require("support.design")

--- A request with the design's head; 'change' overrides its fields.
local function request(entries, change)
	local result = {
		model_name = "layoutxlm_token_classifier", stage = "stage1",
		final_checkpoint = "checkpoint-10000",
		base_model = "microsoft/layoutxlm-base", entries = entries,
	}
	for key, value in pairs(change or {}) do
		result[key] = value
	end
	return result
end

local function entry_with(members)
	return (HRDH:gsub("}$", ", " .. members .. "}"))
end

local function codes(text)
	local list = {}
	for i, issue in ipairs((info.check(text))) do
		list[i] = issue:match("^%S+ %S+ %d+")
	end
	return list
end

--- Exactly one byte range of 'text' replaced, which must be there.
local function replaced(text, from, to)
	local start, stop = text:find(from, 1, true)
	assert(start, from)
	return text:sub(1, start - 1) .. to .. text:sub(stop + 1)
end

describe("info: the design's example", function()
	it("comes out of two plain appends, byte for byte and as jq reads it", function()
		local first, summary = assert(info.append(nil, request({ HRDS })))
		assert.same({ entries = 1, total_steps = 10000, added = 1, already = false, errors = 0,
			warnings = 0 }, summary)
		local second
		second, summary = assert(info.append(first, request({ HRDH })))
		assert.same({ entries = 2, total_steps = 15000, added = 1, already = false, errors = 0,
			warnings = 0 }, summary)
		assert.equal(DESIGN, second)
		if pipe("jq --version", "") then
			assert.equal(pipe("jq -S .", DESIGN), pipe("jq -S .", second))
		end
	end)

	it("has no issues and can be read", function()
		local issues, summary = info.check(DESIGN)
		assert.same({}, issues)
		assert.is_true(summary.ok)
		assert.same({
			model_name = "layoutxlm_token_classifier", stage = "stage1", total_steps = 15000,
			{ dataset = "hrds", steps = 10000, inherited = false },
			{ dataset = "hrdh", steps = 5000, inherited = false },
		}, info.read(DESIGN))
	end)

	it("comes out of one append of two, too", function()
		assert.equal(DESIGN, (info.append(nil, request({ HRDS, HRDH }))))
	end)
end)

describe("info: a new record", function()
	it("has the design's keys only, unless more are allowed", function()
		local text = info.append(nil, request({ HRDS }, { additive = true, parents = '[{"ref":"a"}]' }))
		assert.equal("1", (json.get(text, "schema_version")))
		assert.equal("a", json.string((json.get(text, "parents", 1))
			:match('"ref": ("[^"]*")')))
		text = info.append(nil, request({ HRDS }, { parents = "[]" }))
		assert.is_nil((json.get(text, "parents")))
		assert.is_nil((json.get(text, "schema_version")))
	end)

	it("takes the times and the last dataset from its entries", function()
		local text = info.append(nil, request({ HRDS, HRDH }))
		assert.equal('"2025-12-11T10:30:00"', (json.get(text, "created_at")))
		assert.equal('"2025-12-11T15:20:00"', (json.get(text, "last_updated")))
		assert.equal('"hrdh"', (json.get(text, "last_dataset")))
	end)

	it("needs a model name, a stage and an entry that is complete", function()
		local cases = {
			{ request({ HRDS }, { stage = false }), "a new record needs model_name and stage" },
			{ request({}), "a new record needs an entry" },
			{ request({ "{}" }), "the entry has no 'dataset'" },
			{ request({ replaced(HRDS, '"steps": 10000, ', "") }), "the entry has no 'steps'" },
			{ request({ '{"dataset": "hrds", "steps": 1}' }), "the entry has no 'metrics'" },
			{ request({ '{"dataset": "hrds", "steps": 1, "metrics": {}}' }), "the entry has no 'start_time'" },
			{ request({ replaced(HRDS, "2025-12-11T12:00:00", "noon") }),
				"'end_time' is 'noon', expected a time" },
			{ request({ HRDS }, { additive = true, parents = "{}" }), "'parents' must be an array" },
		}
		for _, case in ipairs(cases) do
			if case[1].stage == false then
				case[1].stage = nil
			end
			local text, message, code = info.append(nil, case[1])
			assert.is_nil(text)
			assert.matches(case[2], message, 1, true)
			assert.equal("invalid", code)
		end
	end)
end)

describe("info: entries", function()
	it("keep every digit and every escape", function()
		local metrics = '{"loss": 0.85, "big": 9007199254740993, "huge": 123456789012345678901234567890, '
			.. '"tiny": 1.50e-07, "name": "\\u4e2d/\\/", "nested": {"title": 0.91, "deep": {"a": [1.0, 2]}}}'
		local text = info.append(nil, request({ replaced(HRDH, '{"f1": 0.82}', metrics) }))
		for _, part in ipairs({ "0.85", "9007199254740993", "123456789012345678901234567890", "1.50e-07",
			'"\\u4e2d/\\/"', "0.91", "1.0" }) do
			assert.matches(part, text, 1, true)
		end
		assert.is_true(json.equal(metrics, (json.get(text, "training_history", 1, "metrics"))))
		local again = info.append(text, request({ HRDS }))
		assert.is_true(json.equal(metrics, (json.get(again, "training_history", 1, "metrics"))))
	end)

	it("store null for what is not finite, and say so", function()
		local source = replaced(HRDH, '{"f1": 0.82}',
			'{"val_loss": NaN, "per_class_f1": {"title": Infinity, "b": 1}, "list": [1, -Infinity]}')
		source = replaced(source, "2e-5", "NaN")
		local text = info.entry(source, 0)
		assert.equal('{"val_loss":null,"per_class_f1":{"title":null,"b":1},"list":[1,null]}',
			(json.get(text, "metrics")))
		assert.equal('{"val_loss":"nan","per_class_f1.title":"inf","list.1":"-inf",'
			.. '"hyperparams.lr":"nan"}',
			(json.get(text, "nonfinite")))
		assert.equal(text, info.entry(text, 0))
		local more = replaced(text, '"max_steps":5000', '"max_steps":NaN')
		assert.matches('"hyperparams.max_steps":"nan"', info.entry(more, 0), 1, true)
		assert.matches('"val_loss":"nan"', info.entry(more, 0), 1, true)
	end)

	it("name each path once, however it is made up", function()
		local metrics = '{"a": {"b": NaN}, "a.b": NaN, "c": NaN}'
		local text = info.entry(replaced(HRDH, '{"f1": 0.82}', metrics), 0)
		assert.equal('{"a.b":"nan","c":"nan"}', (json.get(text, "nonfinite")))
	end)

	it("take a long list of non-finite numbers without delay", function()
		local list = "[" .. ("NaN,"):rep(49999) .. "NaN]"
		local text = assert(info.entry(replaced(HRDH, "0.82", list), 0))
		assert.equal('"nan"', (json.get(text, "nonfinite", "f1.49999")))
		assert.is_truthy(info.check(info.append(nil, request({ text }))))
	end)

	it("lists what is not finite in a list of such, too", function()
		local text = info.entry(replaced(HRDH, '{"f1": 0.82}',
			'{"f1": 0.82}, "nonfinite": {"a": "inf", "b": {"c": NaN}}'), 0)
		assert.is_truthy(json.check(text))
		assert.equal('{"nonfinite.b.c":"nan","a":"inf","b":{"c":null}}', (json.get(text, "nonfinite")))
	end)

	it("print additive members in one order", function()
		local extras = {
			{ "zebra", "1" }, { "notes", '"n"' }, { "tags", "[]" }, { "git", "{}" }, { "apple", "2" },
			{ "nonfinite", '{"x":"nan"}' }, { "status", '"ok"' }, { "run_id", '"r"' }, { "parents", "[]" },
			{ "inherited_from", '"i"' }, { "base_model", '"b"' }, { "zebra", "3" },
		}
		local text = info.entry(HRDH, 0, extras)
		assert.matches('"end_time":"2025-12-11T15:20:00","run_id":"r","status":"ok","base_model":"b",'
			.. '"parents":[],"inherited_from":"i","nonfinite":{"x":"nan"},"git":{},"tags":[],"notes":"n",'
			.. '"zebra":3,"apple":2}', text, 1, true)
	end)

	it("refuse what is of the wrong type, by name and line", function()
		local cases = {
			{ "[]", "entry:1: an entry must be an object" },
			{ '{\n"steps": "10000"}', [[entry:2: 'steps' is "10000", expected an integer, 0 or more]] },
			{ '{"steps": 1.0}', "entry:1: 'steps' is 1.0, expected an integer, 0 or more" },
			{ '{"steps": -1}', "entry:1: 'steps' is -1, expected an integer, 0 or more" },
			{ '{"steps": 9223372036854775808}',
				"entry:1: 'steps' is 9223372036854775808, expected an integer, 0 or more" },
			{ '{"dataset": null}', "entry:1: 'dataset' is null, expected a string" },
			{ '{"dataset": "a\\u0000b"}',
				[[entry:1: 'dataset' is "a\u0000b", expected a string without NUL]] },
			{ '{"a\\u0000b": 1}', "entry:1: NUL in a key" },
			{ '{"epochs": "3"}', [[entry:1: 'epochs' is "3", expected a number or null]] },
			{ '{"metrics": []}', "entry:1: 'metrics' must be an object" },
			{ '{"hyperparams": 1}', "entry:1: 'hyperparams' must be an object" },
			{ '{"nonfinite": 1}', "entry:1: 'nonfinite' must be an object" },
			{ '{"end_time": 1}', "entry:1: 'end_time' is 1, expected a string" },
			{ '{"metrics": {"f1": 1, "f1": 2}}', "entry:1:23: duplicate key 'f1'" },
			{ '{"metrics": ' .. ('{"a":'):rep(8) .. "{}" .. ("}"):rep(8) .. "}",
				"entry:1: 'metrics' is nested deeper than 8 levels" },
			{ '{"git": ' .. ("["):rep(33) .. ("]"):rep(33) .. "}",
				"entry:1: 'git' is nested deeper than 32 levels" },
			{ "{", "entry:1:2: expected a key or '}' after '{', but the text ends here" },
		}
		for _, case in ipairs(cases) do
			local text, message, code = info.entry(case[1])
			assert.is_nil(text)
			assert.equal(case[2], message)
			assert.equal("invalid", code)
		end
		local _, message = info.entry(HRDH, 0, { { "steps", "1" } })
		assert.equal("'steps' is no additive member", message)
		_, message = info.entry(HRDH, 0, { { "git", "{" } })
		assert.matches("git:1:2: expected a key", message, 1, true)
	end)

	it("may nest metrics to depth 8, and hyperparams may be null", function()
		assert.is_truthy(info.entry('{"metrics": ' .. ('{"a":'):rep(7) .. "{}" .. ("}"):rep(7) .. "}", 0,
			nil, true))
		assert.matches('"hyperparams":{}', info.entry('{"hyperparams": null}', 0, {}, true), 1, true)
		assert.matches('"epochs":2.98', info.entry('{"epochs": 2.98}', 0, {}, true), 1, true)
	end)
end)

--- The design's record after its first entry, in other people's styles.
local FIRST = info.append(nil, request({ HRDS }))
local styles = {
	{ "two spaces", FIRST },
	{ "four spaces", json.print(FIRST, 4) },
	{ "tabs", json.print(FIRST, 1, "t") .. "\n" },
	{ "CRLF", json.print(FIRST, 2, "c") .. "\r\n" },
	{ "one line", json.print(FIRST, 0) },
	{ "one line with blanks, as Python writes it", json.print(FIRST, 0, "b") },
	{ "no newline at the end, blank lines within",
		"\n" .. json.print(FIRST, 2):gsub('"stage"', "\n\n  %0") },
}

describe("info: an old record", function()
	for _, style in ipairs(styles) do
		it("is extended in its own style: " .. style[1], function()
			local old = style[2]
			local new = assert(info.append(old, request({ HRDH })))
			-- the same style throughout: laying out the whole anew changes nothing
			local whole = json.get(new)
			local layout = ({ ["four spaces"] = { 4 }, tabs = { 1, "t" }, CRLF = { 2, "c" },
				["one line"] = { 0 },
				["one line with blanks, as Python writes it"] = { 0, "b" } })[style[1]]
			if layout then
				assert.equal(json.print(DESIGN, table.unpack(layout)), whole)
			end
			assert.is_true(json.equal(DESIGN, new))
			-- and every byte outside the four values and the new entry is what it was
			local undone = replaced(new, "2025-12-11T15:20:00", "2025-12-11T12:00:00")
			undone = replaced(undone, "15000", "10000")
			undone = replaced(undone, '"hrdh"', '"hrds"')
			local entry_end = select(2, old:find("T12:00:00\"%s*}", (old:find('"end_time"', 1, true))))
			assert.equal(old:sub(1, entry_end), undone:sub(1, entry_end))
			assert.equal(old:sub(entry_end + 1), undone:sub(-(#old - entry_end)))
		end)
	end

	it("keeps entries on one line each where they are", function()
		local line = json.print(HRDS, 0, "b")
		local old = '{\n  "model_name": "layoutxlm_token_classifier", "stage": "stage1",\n'
			.. '  "final_checkpoint": "", "base_model": "", "created_at": "2025-12-11T10:30:00",\n'
			.. '  "last_updated": "2025-12-11T12:00:00", "total_steps": 10000, "last_dataset": "hrds",\n'
			.. '  "training_history": [\n    ' .. line .. "\n  ]\n}"
		local new = info.append(old, request({ HRDH, HRDS }))
		assert.matches("\n    " .. line .. ",\n    " .. json.print(HRDH, 0, "b") .. ",\n    " .. line
			.. "\n  ]\n}", new, 1, true)
	end)

	it("may have an empty history, in any layout", function()
		local head = [[
{
  "model_name": "layoutxlm_token_classifier",
  "stage": "stage1",
  "final_checkpoint": "checkpoint-10000",
  "base_model": "microsoft/layoutxlm-base",
  "created_at": "2025-12-11T10:30:00",
  "last_updated": "2025-12-11T10:30:00",
  "total_steps": 0,
  "last_dataset": "",
  "training_history": ]]
		for _, empty in ipairs({ "[]", "[\n  ]" }) do
			assert.equal(DESIGN, (info.append(head .. empty .. "\n}\n", request({ HRDS, HRDH }))))
		end
		local minified = json.print(head .. "[]}", 0)
		assert.equal(json.print(DESIGN, 0), (info.append(minified, request({ HRDS, HRDH }))))
	end)

	it("keeps unknown keys, their order and their text", function()
		local old = replaced(FIRST, '"stage"', '"team": {"lead" : "\\u4e2d", "x":[1.0,2e0 ]},\n "stage"')
		old = replaced(old, '"epochs": null', '"epochs": null, "mine":  {"a":0.10}')
		local new = assert(info.append(old, request({ HRDH })))
		assert.matches('"team": {"lead" : "\\u4e2d", "x":[1.0,2e0 ]},\n "stage"', new, 1, true)
		assert.matches('"epochs": null, "mine":  {"a":0.10}', new, 1, true)
		assert.same({}, (info.check(new)))
	end)

	it("keeps NaN that others wrote", function()
		local old = replaced(FIRST, "0.84", "NaN")
		local new = assert(info.append(old, request({ HRDH })))
		assert.matches('"precision": NaN', new, 1, true)
	end)

	it("keeps a value's bytes where it does not change", function()
		local old = replaced(FIRST, '"last_dataset": "hrds"', [["last_dataset": "hrd\u0073"]])
		local new = assert(info.append(old, request({ HRDS })))
		assert.matches([["last_dataset": "hrd\u0073"]], new, 1, true)
	end)

	it("keeps its final_checkpoint where no new one is known", function()
		local new = assert(info.append(FIRST, { entries = { HRDH } }))
		assert.equal('"checkpoint-10000"', (json.get(new, "final_checkpoint")))
		new = assert(info.append(FIRST, request({ HRDH }, { final_checkpoint = "checkpoint-5000" })))
		assert.equal('"checkpoint-5000"', (json.get(new, "final_checkpoint")))
	end)

	it("sets a wrong total right", function()
		local new = assert(info.append(replaced(FIRST, '"total_steps": 10000', '"total_steps": 7'),
			request({ HRDH })))
		assert.equal("15000", (json.get(new, "total_steps")))
	end)

	it("refuses another model or stage", function()
		local cases = {
			{ { model_name = "b" },
				"model_name is 'layoutxlm_token_classifier' in training_info.json:2, not 'b'" },
			{ { stage = "stage2" }, "stage is 'stage1' in training_info.json:3, not 'stage2'" },
		}
		for _, case in ipairs(cases) do
			local text, message, code = info.append(FIRST, request({ HRDH }, case[1]))
			assert.is_nil(text)
			assert.equal(case[2], message)
			assert.equal("invalid", code)
		end
	end)

	it("refuses an entry that is not complete", function()
		local text, message = info.append(FIRST, request({ "{}" }))
		assert.is_nil(text)
		assert.equal("the entry has no 'dataset'", message)
	end)

	it("keeps its base_model; an entry that began elsewhere says so where it may", function()
		local other = { base_model = "other" }
		assert.is_true(json.equal(DESIGN, (info.append(FIRST, request({ HRDH }, other)))))
		other.additive = true
		local new = info.append(FIRST, request({ HRDH }, other))
		assert.equal('"microsoft/layoutxlm-base"', (json.get(new, "base_model")))
		assert.equal('"other"', (json.get(new, "training_history", 2, "base_model")))
		assert.is_nil((json.get(info.append(FIRST, request({ HRDH }, { additive = true })),
			"training_history", 2, "base_model")))
	end)

	it("takes a run only once", function()
		local run = entry_with('"run_id": "0193b5a0-0000-7000-8000-000000000001"')
		local text, summary = info.append(FIRST, request({ run }))
		assert.is_false(summary.already)
		local again, _
		again, summary = info.append(text, request({ run }))
		assert.equal(text, again)
		assert.is_true(summary.already)
		assert.equal(0, summary.added)
		_, summary = info.append(text, request({ run, HRDH }))
		assert.equal(1, summary.added)
		assert.is_true(summary.already)
		assert.equal(3, summary.entries)
		_, summary = info.append(FIRST, request({ run, run }))
		assert.equal(1, summary.added)
		assert.equal(2, info.find(text, "0193b5a0-0000-7000-8000-000000000001"))
		assert.is_nil(info.find(text, "0193b5a0"))
	end)

	it("finds an entry of the same value however it is written", function()
		local shuffled = [[{"epochs": null, "metrics": {"f1": 0.820}, "steps": 5000,
			"dataset": "hrd\u0068",
			"hyperparams": {"max_steps": 5000, "batch_size": 3, "lr": 0.00002},
			"end_time": "2025-12-11T15:20:00", "start_time": "2025-12-11T14:00:00"}]]
		assert.equal(2, info.same(DESIGN, shuffled))
		assert.is_nil(info.same(DESIGN, (shuffled:gsub("5000", "5001"))))
	end)

	it("is refused when it is broken, with the line", function()
		local cases = {
			{ "", ":1:1: the text is empty" },
			{ "[]", ":1: the record must be an object" },
			{ "{}", ":1: 'training_history' is missing" },
			{ FIRST:sub(1, -20), "but the text ends here" },
			{ replaced(FIRST, '"training_history": [', '"training_history": {}, "x": ['),
				":10: 'training_history' must be an array" },
			{ replaced(FIRST, '  "stage": "stage1",\n', ""), ":1: 'stage' is missing" },
			{ replaced(FIRST, '"stage1"', "1"), ":3: 'stage' must be a string, but is an integer" },
			{ replaced(FIRST, '"total_steps": 10000', '"total_steps": "10000"'),
				":8: 'total_steps' must be an integer, 0 or more, but is a string" },
			{ replaced(FIRST, '"steps": 10000', '"steps": -1'),
				":13: 'training_history[0].steps' must be an integer, 0 or more, but is out of range" },
			{ replaced(FIRST, '"steps": 10000,', ""), ":11: 'training_history[0].steps' is missing" },
			{ replaced(FIRST, '"dataset": "hrds",', '"dataset": null,'),
				":12: 'training_history[0].dataset' must be a string, but is null" },
			{ replaced(FIRST, '"stage": "stage1",', '"stage": "stage1", "training_history": [],'),
				"is there more than once" },
			{ replaced(FIRST, '"stage": "stage1",',
				'"stage": "stage1", "x": 1, "x": 2, "training_history": [{}],'),
				"'training_history' is there more than once" },
			{ replaced(FIRST, '"stage": "stage1",', '"stage": "stage1", "schema_version": 2,'),
				":3: 'schema_version' is 2, but this thhost knows no version above 1" },
		}
		for _, case in ipairs(cases) do
			local text, message, code = info.append(case[1], request({ HRDH }))
			assert.is_nil(text)
			assert.matches(case[2], message, 1, true)
			assert.equal("invalid", code)
		end
	end)

	it("is refused when its steps would no longer fit 64 bits", function()
		local old = info.append(nil, request({ replaced(HRDS, "10000", "9223372036854775807") }))
		local text, message = info.append(old, request({ HRDH }))
		assert.is_nil(text)
		assert.matches("does not fit 64 bits", message, 1, true)
	end)
end)

describe("info: going on from another record", function()
	local parent = info.append(nil, request({ HRDS }))
	local child, summary = info.append(nil, request({ HRDH },
		{ inherited = parent, inherited_ref = "exp_1/stage1_hrds", parents = '["exp_1/stage1_hrds"]' }))

	it("starts with the parent's entries, marked", function()
		assert.equal(2, summary.entries)
		assert.equal(1, summary.added)
		assert.equal(15000, summary.total_steps)
		assert.equal('"exp_1/stage1_hrds"', (json.get(child, "training_history", 1, "inherited_from")))
		assert.is_nil((json.get(child, "training_history", 2, "inherited_from")))
		assert.equal('"2025-12-11T10:30:00"', (json.get(child, "created_at")))
		assert.equal("1", (json.get(child, "schema_version")))
		assert.equal("array", select(2, json.get(child, "parents")))
		assert.same({}, (info.check(child)))
		assert.is_true(info.read(child)[1].inherited)
	end)

	it("keeps the first origin over generations", function()
		local grandchild = info.append(nil, request({ replaced(HRDH, "hrdh", "my_biz") },
			{ inherited = child, inherited_ref = "exp_1/stage1_hrdh" }))
		assert.equal('"exp_1/stage1_hrds"', (json.get(grandchild, "training_history", 1,
			"inherited_from")))
		assert.equal('"exp_1/stage1_hrdh"', (json.get(grandchild, "training_history", 2,
			"inherited_from")))
		assert.equal("20000", (json.get(grandchild, "total_steps")))
	end)

	it("leaves NaN and odd times of the parent behind or as they are, but never breaks", function()
		local odd = replaced(replaced(parent, "0.84", "NaN"), "2025-12-11T12:00:00\"\n", "noon\"\n")
		local text = assert(info.append(nil, request({ HRDH }, { inherited = odd, inherited_ref = "x" })))
		assert.is_truthy(json.check(text))
		assert.equal('"nan"', (json.get(text, "training_history", 1, "nonfinite", "precision")))
		assert.equal('"noon"', (json.get(text, "training_history", 1, "end_time")))
	end)

	it("refuses a broken parent by its name", function()
		local text, message = info.append(nil,
			request({ HRDH }, { inherited = "{}", inherited_ref = "exp_1/a" }))
		assert.is_nil(text)
		assert.equal("training_info.json cannot inherit: exp_1/a:1: 'training_history' is missing",
			message)
	end)
end)

describe("info: the check", function()
	it("names what it finds with line, level and kind", function()
		local cases = {
			{ "x", { "error json 1" } },
			{ '{"model_name":"m","stage":"s","final_checkpoint":"","base_model":"",'
				.. '"created_at":"2025-12-11T10:30:00","last_updated":"2025-12-11T10:30:00",'
				.. '"total_steps":0,"last_dataset":"","training_history":[]}', {} },
			{ replaced(DESIGN, '"training_history": [', '"training_history": [7,'), { "error type 10" } },
			{ "{\n\n,", { "error json 3" } },
			{ replaced(DESIGN, "15000", "15001"), { "error derived 8" } },
			{ replaced(DESIGN, '"last_dataset": "hrdh"', '"last_dataset": "hrds"'), { "error derived 9" } },
			{ replaced(DESIGN, '"created_at": "2025-12-11T10:30:00"', '"created_at": "2025-12-11T10:31:00"'),
				{ "warning derived 6" } },
			{ replaced(DESIGN, '"created_at": "2025-12-11T10:30:00"', '"created_at": "2025-12-11 10:30"'),
				{} },
			{ replaced(DESIGN, '"last_updated": "2025-12-11T15:20:00"', '"last_updated": "tomorrow"'),
				{ "warning time 7", "warning derived 7" } },
			{ replaced(DESIGN, '"end_time": "2025-12-11T12:00:00"', '"end_time": "2025-12-11T09:00:00"'),
				{ "warning time 26" } },
			{ replaced(DESIGN, "0.84", "NaN"), { "warning nonfinite 17" } },
			{ replaced(DESIGN, '"f1": 0.85,', '"f1": 0.85, "f1": 0.86,'), { "warning duplicate 16" } },
			{ replaced(DESIGN, '"stage": "stage1",', '"stage": "stage1", "x": {"y": 1, "y": 2},'),
				{ "warning duplicate 3" } },
			{ replaced(DESIGN, '"stage": "stage1",', '"stage": "stage1", "x": 1, "x": 2,'),
				{ "warning duplicate 3" } },
			{ replaced(DESIGN, '"stage": "stage1",', '"stage": "stage1", "stage": "stage1",'),
				{ "error duplicate 3" } },
			{ replaced(DESIGN, '{\n        "f1": 0.82', '{"deep":' .. ('{"a":'):rep(8) .. "1" .. ("}"):rep(8)
				.. ',\n "f1": 0.82'),
				{ "error depth 32" } },
			{ replaced(DESIGN, '"steps": 10000', '"inherited_from": "a", "steps": 10000'), {} },
			{ replaced(DESIGN, '"steps": 5000', '"inherited_from": "a", "steps": 5000'),
				{ "error order 28" } },
			{ replaced(replaced(DESIGN, '"steps": 5000', '"run_id": "r", "steps": 5000'), '"steps": 10000',
				'"run_id": "r", "steps": 10000'), { "error duplicate 30" } },
			{ replaced(DESIGN, '"steps": 5000', '"run_id": 5, "tags": {}, "steps": 5000'),
				{ "warning type 30", "warning type 30" } },
			{ replaced(DESIGN, '"hyperparams": {', '"hyperparams": null, "x": {'), {} },
			{ replaced(DESIGN, '"epochs": null', '"epochs": true'), { "error type 14" } },
			{ replaced(DESIGN, '"epochs": null', '"epochs": 2.5'), {} },
			{ replaced(DESIGN, '"stage": "stage1",',
				'"stage": "stage1", "parents": {}, "schema_version": "1",'),
				{ "error type 3", "error version 3" } },
			{ replaced(DESIGN, '"steps": 5000', '"steps": 9223372036854775807'),
				{ "error overflow 30", "error derived 8" } },
		}
		for i, case in ipairs(cases) do
			assert.same(case[2], codes(case[1]), "case " .. i)
		end
	end)

	it("writes its messages so that one finds the place", function()
		local issues, summary = info.check(replaced(DESIGN, "0.84", "NaN"))
		assert.equal("warning nonfinite 17: 'training_history[0].metrics.precision' is not finite, "
			.. "which is no JSON", issues[1])
		assert.is_true(summary.ok)
		issues, summary = info.check(replaced(DESIGN, "15000", "15001"))
		assert.equal("error derived 8: 'total_steps' is 15001, but the entries add up to 15000",
			issues[1])
		assert.is_false(summary.ok)
	end)

	it("counts all faults but keeps a thousand", function()
		local text = replaced(DESIGN, "0.84", "[" .. ("NaN,"):rep(1499) .. "NaN]")
		local issues, summary = info.check(text)
		assert.equal(1000, #issues)
		assert.equal(1500, summary.warnings)
	end)

	it("never fails on a damaged record, and never lets one through to an append", function()
		math.randomseed(3)
		for _ = 1, 3000 do
			local at = math.random(#DESIGN)
			local damage = ({ "", '"', "{", "]", ",", "0", "-", "e", "\0", "\xff" })[math.random(10)]
			local text = DESIGN:sub(1, at - 1) .. damage .. DESIGN:sub(at + math.random(0, 3))
			local _, summary = info.check(text)
			local new = info.append(text, { entries = { HRDH } })
			if new then
				assert.is_truthy(json.check(new, "nd"))
				assert.equal(summary.entries + 1, #info.read(new))
			else
				assert.is_false(summary.ok)
			end
		end
	end)
end)

describe("info: the JSON schema", function()
	local schema = "config/training_info.schema.json"
	local has_schema = pipe("/usr/bin/python3 -c 'import jsonschema'", "") and "/usr/bin/python3"
		or pipe("python3 -c 'import jsonschema'", "") and "python3"

	--- Is 'text' valid by the schema? The error's message where it is not.
	local function validate(text)
		local name = write_file(text)
		local script = write_file([[
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
errors = list(jsonschema.Draft202012Validator(schema).iter_errors(json.load(open(sys.argv[2]))))
print("valid" if not errors else errors[0].message)
]])
		local output = pipe(("%s %s %s %s"):format(has_schema, script, schema, name), "")
		os.remove(name)
		os.remove(script)
		return output and output:gsub("\n$", "")
	end

	it("accepts what we write", function()
		if not has_schema then
			pending("needs python3-jsonschema")
			return
		end
		local full = entry_with([["run_id": "0193b5a0-0000-7000-8000-000000000001", "status": "completed",
			"base_model": "x", "base_model_digest": "sha256:00",
			"final_checkpoint": {"path": "checkpoint-5000", "size": 1, "sha256": "00"},
			"parents": ["a"], "git": {}, "environment": {}, "command": ["python", "train.py"],
			"plugin": {"name": "stage1"},
			"sources": {"f1": "log:12"}, "planned": {"max_steps": 5000}, "dataset_digest": "sha256:00",
			"tags": ["a"],
			"notes": "n", "mine": 1]])
		local texts = {
			DESIGN,
			info.append(nil, request({ full, replaced(HRDS, "0.85", "NaN") },
				{ additive = true, parents = '["a"]' })),
			(info.append(nil, request({ HRDH }, { inherited = DESIGN, inherited_ref = "a" }))),
		}
		for _, text in ipairs(texts) do
			assert.equal("valid", (validate(text)))
		end
	end)

	it("refuses what the check refuses", function()
		if not has_schema then
			pending("needs python3-jsonschema")
			return
		end
		for _, text in ipairs({
			"[]", "{}",
			replaced(DESIGN, '  "stage": "stage1",\n', ""),
			replaced(DESIGN, '"steps": 5000', '"steps": -1'),
			replaced(DESIGN, '"steps": 5000', '"steps": "5000"'),
			replaced(DESIGN, '"epochs": null', '"epochs": "3"'),
			replaced(DESIGN, '"dataset": "hrds"', '"dataset": null'),
		}) do
			assert.not_equal("valid", (validate(text)))
		end
	end)
end)
