--- list and best: which models, in which order, in which form.
local cjson = require "cjson"
local cli = require "support.cli"
local tree = require "support.tree"

local t

--- Three models of stage1 in exp_1, and one of stage3 in exp_2.
local function fresh()
	t = tree.new()
	t:record("a", "-m", "f1=0.85", "-m", "val_loss=0.5", "-p", "lr=2e-5", "-p", "seed=42", "--tag", "paper",
		"--start-time", "2025-12-01T10:00:00Z", "--end-time", "2025-12-01T11:00:00Z")
	t:record("b", "-m", "f1=0.9", "-m", "val_loss=0.75", "-p", "lr=1e-4", "-p", "seed=42",
		"--start-time", "2025-12-03T10:00:00Z", "--end-time", "2025-12-03T11:00:00Z")
	t:ok { "record", "stage1", "-d", "c", "--init-from", "b", "--steps", "5000", "-m", "f1=0.8", "-p",
		"lr=3e-5", "-p", "seed=42", "--start-time", "2025-12-05T10:00:00Z", "--end-time",
		"2025-12-05T11:00:00Z" }
	t:ok { "exp", "new", "exp_2" }
	t:ok { "record", "stage3", "-d", "a", "--steps", "7", "-m", "accuracy=0.7", "--start-time",
		"2025-12-07T10:00:00Z", "--end-time", "2025-12-07T11:00:00Z" }
end

local function done()
	t:close()
end

--- The REFs without their experiment, as they are listed.
local function refs(...)
	local names = {}
	local now = { env = { THHOST_TEST_NOW = "1765191600" } } -- 2025-12-08T11:00:00Z
	for line in t:ok({ "list", "--tsv", "-c", "ref", ... }, now).out:gmatch("[^\n]+") do
		names[#names + 1] = line:gsub(".*/", "")
	end
	assert.equal("ref", table.remove(names, 1))
	return table.concat(names, " ")
end

describe("list: which", function()
	setup(fresh)
	teardown(done)

	for _, case in ipairs {
		{ "stage1_a stage1_b stage1_c parent_finder_a" },
		{ "stage1_b", "-F", "metrics.f1 > 0.85" },
		{ "stage1_a stage1_b", "-F", 'dataset in ["a", "b"] and stage = "stage1"' },
		{ "stage1_c", "-F", "datasets.b > 0", "-F", "not dataset = 'b'" },
		{ "stage1_a", "-F", "tags.paper" },
		{ "stage1_a stage1_c", "-F", "params.lr < 1e-4" },
		{ "parent_finder_a", "-F", "f1 is undefined" },
		{ "stage1_b stage1_c", "--started", "2025-12-02 to 2025-12-05" },
		{ "parent_finder_a", "--started", "last 3 days" },
		{ "stage1_b stage1_c", "--dataset", "b" },
		{ "stage1_a stage1_b stage1_c", "stage1_*" },
		{ "stage1_a parent_finder_a", "*_a" },
		{ "stage1_a stage1_b stage1_c", "exp_1/*" },
		{ "stage1_a stage1_b", "stage1_a", "exp_1/stage1_b" },
		{ "stage1_b stage1_c", "stage1_[bc]" },
		{ "", "stage1" },
		{ "stage1_b stage1_a stage1_c parent_finder_a", "--sort=-f1" },
		{ "stage1_c stage1_a stage1_b parent_finder_a", "--sort", "metrics.f1" },
		{ "parent_finder_a stage1_c stage1_a stage1_b", "--sort", "-stage,f1", "--sort", "ref",
			"stage1_*", "parent*" },
		{ "parent_finder_a stage1_c stage1_b stage1_a", "--sort=-started" },
		{ "stage1_b stage1_c stage1_a parent_finder_a", "--sort=-max f1,ref" },
		{ "parent_finder_a stage1_a", "--sort=-started", "-n", "2", "*_a" },
		{ "stage1_a parent_finder_a stage1_c stage1_b", "--sort", "datasets" },
		{ "stage1_b stage1_a stage1_c", "--best", "f1" },
		{ "stage1_a stage1_b", "--best", "val_loss" },
		{ "stage1_b", "--best", "f1", "--limit", "1" },
		{ "", "--limit", "0" },
	} do
		local expected = table.remove(case, 1)
		it(table.concat(case, " ") .. " gives '" .. expected .. "'", function()
			assert.equal(expected, refs(table.unpack(case)))
		end)
	end

	it("knows no experiment of a model that lies directly below the root", function()
		local other = tree.new()
		other:record("z")
		cli.shell(("mv %s/exp_1/stage1_z %s"):format(other.root, other.root))
		assert.equal("ref\texp\nstage1_z\t\n", other:ok({ "list", "--tsv", "-c", "ref,exp" }).out)
		other:close()
	end)

	it("takes several roots", function()
		local other = tree.new()
		other:record("z", "-m", "f1=0.99")
		assert.equal("stage1_a stage1_b stage1_c parent_finder_a stage1_z",
			refs("--root", t.root, "--root", other.root, "--root", t.root))
		assert.equal("exp_1/stage1_z\n",
			t:ok({ "best", "f1", "--root", t.root, "--root", other.root }).out)
		assert.equal("parent_finder_a", refs("--root", t.root, "--root", other.root, "-e", "exp_2"))
		assert.equal(3, t:run({ "list", "--root", t.root, "--root", other.root, "-e", "no" }).status)
		assert.equal(3, t:run({ "list", "--root", t.root, "--root", t.root .. "/no" }).status)
		other:close()
	end)

	it("has one form at a time", function()
		local result = t:run { "list", "--csv", "--jsonl" }
		assert.equal(2, result.status)
		assert.matches("'%-%-jsonl' and '%-%-csv' do not go together", result.err)
	end)

	it("says what nothing has, where nothing is found", function()
		local result = t:ok { "list", "-F", "metrics.f2 > 1 or f1 > 1" }
		assert.equal("", result.out)
		assert.matches("no such model below '", result.err)
		assert.matches("none that was asked has 'metrics.f2'\n", result.err)
		assert.is_nil(result.err:find("'f1'", 1, true))
	end)

	for name, case in pairs {
		["a fault in the expression"] = { "filter, column 4: expected", "-F", "f1 ! 1" },
		["no time"] = { "option '--started': 'soon' is no time", "--started", "soon" },
		["no column"] = { "option '--columns', column 3: expected", "-c", "a,max" },
		["a column twice"] = { "option '--columns', column 8: 'f1' is there already", "-c",
			"f1,ref,f1" },
		["an empty column"] = { "option '--columns', column 3: expected", "-c", "a," },
		["an open quote"] = { "option '--columns', column 1: expected", "-c", "`a" },
		["too many words"] = { "option '--sort', column 1: expected", "--sort", "a b c d" },
		["two orders"] = { "'--best' and '--sort' do not go", "--best", "f1", "--sort", "f1" },
		["two metrics"] = { "takes one metric", "--best", "f1,f2" },
		["a limit that is none"] = { "--limit", "-n", "x" },
	} do
		it("refuses " .. name, function()
			local message = table.remove(case, 1)
			t:refused(2, message, { "list", table.unpack(case) })
		end)
	end
end)

describe("list: what is shown", function()
	setup(fresh)
	teardown(done)

	it("are the columns that were asked for", function()
		assert.equal("exp,dataset,max f1,f1 step,max f1 step,lr,steps\n" ..
			"exp_1,a,0.85,10,10,2e-5,10\nexp_1,b,0.9,10,10,1e-4,10\nexp_1,c,0.9,5010,10,3e-5,5000\n" ..
			"exp_2,a,,,,,7\n",
			t:ok({ "list", "--csv", "-c", "exp,dataset,max f1,f1 step, max f1 step,=lr,steps" }).out)
		assert.equal("first f1\tlast f1\tmin f1\n0.9\t0.8\t0.8\n",
			t:ok({ "list", "--tsv", "-c", "first f1,last f1,min `f1`", "stage1_c" }).out)
	end)

	it("is a table, with numbers to the right", function()
		assert.equal("dataset     f1    lr  steps\na        0.850  2e-5     10\n" ..
			"b        0.900  1e-4     10\nc        0.800  3e-5  5,000\n",
			t:ok({ "list", "-c", "dataset,f1,=lr,steps", "stage1_*" }).out)
		assert.equal("f1,lr\n0.900,1.000e-04\n",
			t:ok({ "list", "--csv", "-c", "f1,=lr", "--precision", "3", "stage1_b" }).out)
		assert.equal("dataset       f1  steps\nc        0.80000  5,000\n",
			t:ok({ "list", "-c", "dataset,f1,steps", "--precision", "5", "stage1_c" }).out)
	end)

	it("leaves out what never changes, but not the REF", function()
		assert.equal("ref,lr\nexp_1/stage1_a,2e-5\nexp_1/stage1_b,1e-4\nexp_1/stage1_c,3e-5\n",
			t:ok({ "list", "--csv", "-c", "ref,exp,=seed,=lr,f9", "--changed-only", "stage1_*" }).out)
		assert.equal("ref,exp\nexp_1/stage1_a,exp_1\n",
			t:ok({ "list", "--csv", "-c", "ref,exp", "--changed-only", "stage1_a" }).out)
	end)

	it("has every metric in the formats for programs", function()
		local head = t:ok({ "list", "--csv" }).out:match("[^\n]*")
		assert.equal("ref,stage,dataset,total_steps,trainings,final_checkpoint,updated," ..
			"f1,val_loss,accuracy", head)
	end)

	it("is JSON with the columns in it, as one document or one line each", function()
		local models = t:json({ "list", "-c", "max f1,=lr,tags,nothing", "stage1_a" }).models
		assert.same({ ["max f1"] = 0.85, lr = 2e-5, tags = { "paper" }, nothing = cjson.null },
			models[1].columns)
		assert.equal("exp_1/stage1_a", models[1].ref)
		local lines = {}
		for line in t:ok({ "list", "--jsonl" }).out:gmatch("[^\n]+") do
			lines[#lines + 1] = cjson.decode(line)
		end
		assert.equal(4, #lines)
		assert.equal(5010, lines[3].record.total_steps)
		assert.is_nil(lines[3].columns)
	end)

	it("tells a field from a hyperparameter of the same name", function()
		assert.equal("lr,params.lr\n,2e-5\n",
			t:ok({ "list", "--csv", "-c", "lr,=lr", "stage1_a" }).out)
	end)

	it("fits the terminal", function()
		local function widest(columns, ...)
			local words = { "list", ... }
			for i, word in ipairs(words) do
				words[i] = cli.quote(word)
			end
			local command = ("cd %s && stty cols %d rows 50 && exec %s %s"):format(cli.quote(t.dir), columns,
				cli.quote(cli.thhost), table.concat(words, " "))
			local out = cli.shell(("TERM=dumb HOME=%s script -qec %s /dev/null"):format(
				cli.quote(t.dir .. "/home"), cli.quote(command)))
			local width, lines = 0, 0
			for line in out:gsub("\r", ""):gmatch("[^\n]+") do
				width, lines = math.max(width, utf8.len(line)), lines + 1
			end
			assert.equal(5, lines, out)
			return width
		end
		assert.is_true(widest(60, "-c", "ref,path,f1,=lr") <= 60)
		assert.is_true(widest(200, "-c", "ref,path,f1,=lr") > 60)
		assert.is_true(widest(40, "--runs", "-F", "status != 'failed'", "-n", "4") <= 40)
	end)

	it("rounds the metric of the usual page, too", function()
		assert.matches(" f1 0.90000  ", t:ok({ "list", "stage1_b", "--precision", "5" }).out)
	end)

	it("shows the metric that --best was asked for", function()
		assert.matches("exp_1/stage1_a .* val_loss 0.500 .*\nexp_1/stage1_b .* val_loss 0.750 ",
			t:ok({ "list", "--best", "val_loss" }).out)
	end)
end)

describe("list: a form", function()
	before_each(function()
		t = tree.new()
	end)
	after_each(done)

	--- A model whose base has that name, and a record that is broken.
	local function named(base)
		t:write("exp_1/stage1_x/training_info.json", cjson.encode {
			model_name = "m", stage = "stage1", final_checkpoint = "c", base_model = base,
			created_at = "2025-01-01T00:00:00", last_updated = "2025-01-01T01:00:00", total_steps = 5,
			last_dataset = "x", training_history = { { dataset = "x", steps = 5,
				metrics = { loss = -0.5 }, start_time = "2025-01-01T00:00:00",
				end_time = "2025-01-01T01:00:00" } },
		})
	end

	local function line(format)
		local out = t:ok({ "list", "--" .. format, "-c", "base_model,loss" }).out
		return format == "latex" and out:match("\\hline\n.-\n\\hline\n(.-) \\\\\n") or
			out:match("([^\n]*)\n$")
	end

	for text, expected in pairs {
		["=1+1"] = { csv = "'=1+1,-0.5", tsv = "'=1+1\t-0.5", markdown = "| =1+1 | -0.5 |",
			latex = "=1+1 & -0.5" },
		["@x"] = { csv = "'@x,-0.5", tsv = "'@x\t-0.5" },
		["+x"] = { csv = "'+x,-0.5" },
		["-x"] = { csv = "'-x,-0.5" },
		["-2e5"] = { csv = "-2e5,-0.5" },
		["+0x10"] = { csv = "'+0x10,-0.5" },
		['a,"b"'] = { csv = '"a,""b""",-0.5', tsv = 'a,"b"\t-0.5', latex = 'a,\\char34{}b\\char34{} & -0.5' },
		['=a,b'] = { csv = [["'=a,b",-0.5]] },
		["a\tb\nc\27[31m\r"] = { csv = "a\\x09b\\x0ac\\x1b[31m\\x0d,-0.5",
			tsv = "a\\x09b\\x0ac\\x1b[31m\\x0d\t-0.5",
			markdown = "| a\\\\x09b\\\\x0ac\\\\x1b\\[31m\\\\x0d | -0.5 |" },
		["a|b_c*<d>`"] = { markdown = "| a\\|b\\_c\\*\\<d\\>\\` | -0.5 |",
			latex = "a\\textbar{}b\\_c{*}\\textless{}d\\textgreater{}\\char96{} & -0.5" },
		["\\{}$&#^~%[]--"] = { latex = "\\textbackslash{}\\{\\}\\$\\&\\#\\textasciicircum{}" ..
			"\\textasciitilde{}\\%{[}{]}-{}- & -0.5" },
		["模型"] = { csv = "模型,-0.5", markdown = "| 模型 | -0.5 |", latex = "模型 & -0.5" },
	} do
		it(("keeps %q harmless"):format(text), function()
			named(text)
			for format, row in pairs(expected) do
				assert.equal(row, line(format))
			end
		end)
	end

	it("is whole in Markdown and LaTeX", function()
		named("b")
		assert.equal("| base\\_model | loss |\n| --- | ---: |\n| b | -0.5 |\n",
			t:ok({ "list", "--markdown", "-c", "base_model,loss" }).out)
		assert.equal("\\begin{tabular}{lr}\n\\hline\nbase\\_model & loss \\\\\n\\hline\nb & -0.5 \\\\\n" ..
			"\\hline\n\\end{tabular}\n", t:ok({ "list", "--latex", "-c", "base_model,loss" }).out)
	end)

	it("has a row for a broken record, whatever was asked for, and ends with 1", function()
		named("b")
		t:write("exp_1/stage1_bad/training_info.json", "{")
		local function out(...)
			local result = t:run { "list", "-F", "loss < 0", "-n", "1", "--sort", "ref", ... }
			assert.equal(1, result.status)
			assert.matches("stage1_bad/training_info.json:1:2: ", result.err)
			return result.out
		end
		assert.matches("^ref,loss,error\nexp_1/stage1_x,%-0.5,\nexp_1/stage1_bad,,\"?/.*json:1:2: ",
			out("--csv", "-c", "loss"))
		assert.matches("\nexp_1/stage1_bad +%- +broken\n$", out("-c", "loss"))
		assert.matches("\nexp_1/stage1_bad +broken\n$", out())
		assert.matches('"error":"/.*json:1:2: ', out("--jsonl"))
		assert.equal("exp_1/stage1_x\n", t:run({ "best", "loss" }).out)
		assert.equal(1, t:run({ "best", "loss" }).status)
		assert.equal(3, t:run({ "best", "f9" }).status)
		assert.equal(0, t:run({ "list", "stage1_x" }).status)
	end)
end)

describe("list --runs", function()
	setup(function()
		t = tree.new()
		t:record("a", "-m", "f1=0.85")
		t:ok { "record", "stage1", "-d", "b", "--init-from", "a", "--steps", "1", "-m", "f1=0.5" }
		t:run { "run", "stage1", "-d", "b", "--", "false" }
		t:run { "run", "stage3", "-d", "a", "--", "sh", "-c", "kill -9 $$" }
	end)
	teardown(done)

	it("has every attempt once, inherited ones not again", function()
		assert.equal("ref,status,stage,dataset,steps\nexp_1/parent_finder_a,interrupted,stage3,a,\n" ..
			"exp_1/stage1_a,completed,stage1,a,10\nexp_1/stage1_b,completed,stage1,b,1\n" ..
			"exp_1/stage1_b,failed,stage1,b,\n",
			t:ok({ "list", "--runs", "--csv", "-c", "ref,status,stage,dataset,steps" }).out)
	end)

	it("can be narrowed as models can", function()
		local function count(...)
			return #t:json({ "list", "--runs", ... }).runs
		end
		assert.equal(1, count("-F", 'status = "failed"'))
		assert.equal(2, count("-F", "f1 is undefined"))
		assert.equal(2, count("--dataset", "a"))
		assert.equal(1, count("--stage", "stage3"))
		assert.equal(2, count("stage1_b"))
	end)

	it("is JSON with the entry or the run", function()
		local runs = t:json({ "list", "--runs" }).runs
		assert.equal("interrupted", runs[1].status)
		assert.equal("thhost.run/1", runs[1].run.schema)
		assert.equal(0.85, runs[2].entry.metrics.f1)
		assert.equal("completed", runs[2].status)
	end)

	it("is a table of them", function()
		assert.matches("^ref +status +stage +dataset +steps +started +run_id +f1\n",
			t:ok({ "list", "--runs" }).out)
	end)
end)

describe("best", function()
	setup(fresh)
	teardown(done)

	it("prints one REF, high or low as the plugin declares it", function()
		assert.equal("exp_1/stage1_b\n", t:ok({ "best", "f1" }).out)
		assert.equal("exp_1/stage1_a\n", t:ok({ "best", "val_loss" }).out)
		assert.equal("exp_1/stage1_a\n", t:ok({ "best", "metrics.f1", "-F", "f1 < 0.9" }).out)
		assert.equal("exp_1/stage1_c\n", t:ok({ "best", "f1", "stage1_c" }).out)
	end)

	it("prints the first by REF of equals", function()
		assert.equal("exp_1/stage1_b\n", t:ok({ "best", "max f1" }).out)
	end)

	it("is an object with --json", function()
		assert.same({ schema = "thhost.best/1", ref = "exp_1/stage1_b", metric = "f1", value = 0.9,
			path = t.root .. "/exp_1/stage1_b/training_info.json" }, t:json { "best", "f1" })
	end)

	it("finds none where none has it, and wants one metric", function()
		t:refused(3, "no such model has 'f9'", { "best", "f9" })
		t:refused(3, "no such model has 'f1'", { "best", "f1", "-F", "f1 > 1" })
		t:refused(2, "takes one metric", { "best", "f1,f2" })
		assert.equal(2, t:run({ "best" }).status)
	end)

	it("does not choose where stages want opposite things", function()
		local plugin = [[return { api = 1, kind = "stage", name = "odd", version = "1.0.0", dir = "odd",
			summary = "the other way round", model_name = "odd",
			metrics = { f1 = { goal = "min" } } }]]
		cli.shell("mkdir -p " .. t.dir .. "/plugins")
		cli.write(t.dir .. "/plugins/odd.lua", plugin)
		local options = { env = { THHOST_PLUGINS = t.dir .. "/plugins" } }
		t:ok({ "record", "odd", "-d", "a", "--steps", "1", "-m", "f1=0.1" }, options)
		t:refused(5, "one high, one low", { "best", "f1" }, options)
		assert.equal("exp_2/odd_a\n", t:ok({ "best", "f1", "--stage", "odd" }, options).out)
	end)
end)
