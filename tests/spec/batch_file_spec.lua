--- The batch file: sections, matrices, trials, placeholders, order; what is refused, with file and line.
local batches = require "support.batches"
local cli = require "support.cli"

local t

local function done()
	if t then
		t:close()
	end
	t = nil
end

local function tree(text)
	done()
	t = batches.tree(text)
	return t
end

local TINY = "[defaults]\nstage = tiny\n"

local function command_of(text)
	tree("[job a]\nstage = tiny\ndataset = d\n" .. text)
	return batches.plan(t)[1].command
end

describe("a batch file", function()
	after_each(done)

	it("gives every job the defaults that it does not set itself", function()
		tree(TINY .. "dataset = d\nparam.lr = 0.1\ntags = x, y\n[job a]\n[job b]\nexp = exp_1\ndataset = e\n"
			.. "param.lr = 1\n")
		local jobs = batches.plan(t)
		assert.equal("a b", batches.names(jobs))
		assert.same({ stage = "tiny", dataset = "d", ["param.lr"] = "0.1", tags = "x, y" }, jobs[1].settings)
		assert.equal("1", jobs[2].settings["param.lr"])
		assert.equal("exp_1/tiny_e", jobs[2].ref)
	end)

	it("leaves out the defaults that a recording has no use for, and those of runs in recordings", function()
		tree(TINY .. "dataset = d\ncommand = true\nmetric.f1 = 0.5\n[job a]\nsteps = 10\n[job b]\ngpus = 0\nafter = a\n")
		local jobs = batches.plan(t)
		assert.same({ "record", nil }, { jobs[1].does, jobs[1].settings.command })
		assert.same({ "run", nil }, { jobs[2].does, jobs[2].settings["metric.f1"] })
	end)

	it("makes a job for each place of a matrix but those that are excluded", function()
		tree(TINY .. "exp = s{seed}{dataset}\nnew_exp = yes\n[matrix m]\neach.dataset = a, b\n"
			.. "each.seed = 1, 2\neach.param.lr = 0.1,\n  '1,5'\nexclude = dataset=a seed=2\n  param.lr=1,5 seed=1\n")
		t:refused(5, "would both write 's2b/tiny_b' at once", { "batch", "run", "b.ini", "-n" })
		tree(TINY .. "exp = s{seed}{dataset}\nnew_exp = yes\n[matrix m]\neach.dataset = a, b\n"
			.. "each.seed = 1, 2\nexclude = dataset=a seed=2\n")
		assert.equal("m-a-1 m-b-1 m-b-2", batches.names(batches.plan(t)))
	end)

	for _, form in ipairs({
		{ "trials.csv", 'dataset,param.lr,name,note\n\n# a remark\na,0.1,first,"x, ""y"""\nb,,,\n' },
		{ "trials.csv", '\xef\xbb\xbfdataset , param.lr,name,note\r\na, 0.1 ,first,"x, ""y"""\r\nb,,,' },
		{ "trials.json", [=[[{"dataset": "a", "param.lr": 0.1, "name": "first", "note": "x, \"y\""},
			{"dataset": "b", "note": null}]]=] },
	}) do
		it("takes jobs from a table of trials: " .. form[2]:sub(1, 24), function()
			tree(TINY .. "[job t]\ntrials = @sub/" .. form[1] .. "\n")
			batches.write(t, "sub/" .. form[1], form[2])
			local jobs = batches.plan(t)
			assert.equal("t-first t-2", batches.names(jobs))
			assert.same({ dataset = "a", stage = "tiny", ["param.lr"] = "0.1", note = 'x, "y"' }, jobs[1].settings)
			assert.same({ dataset = "b", stage = "tiny" }, jobs[2].settings)
			assert.equal("sub/" .. form[1], jobs[2].file)
		end)
	end

	it("lets the including file win over what it includes, whatever the order", function()
		tree("[batch]\ninclude = sub/more.ini\n[job a]\nafter = b\n[defaults]\nstage = tiny\nparam.x = mine\n")
		batches.write(t, "sub/more.ini", "[batch]\nname = theirs\ninclude = deep.ini\n"
			.. "[defaults]\ndataset = d\nparam.x = theirs\n  and more of theirs\n[job b]\n")
		batches.write(t, "sub/deep.ini", "[defaults]\ndataset = deep\nparam.y = deep\n[job c]\ndataset = e\n")
		local jobs = batches.plan(t, "--only", "[ac]")
		assert.equal("a c", batches.names(jobs))
		assert.same({ "d", "mine", "deep" }, { jobs[1].settings.dataset, jobs[1].settings["param.x"],
			jobs[1].settings["param.y"] })
		assert.equal("sub/deep.ini", jobs[2].file)
	end)

	it("includes a file by its whole path", function()
		tree("[batch]\ninclude = /\n")
		batches.write(t, "sub/more.ini", TINY .. "dataset = d\n[job b]\n")
		batches.write(t, "b.ini", "[batch]\ninclude = " .. t.dir .. "/sub/more.ini\n")
		assert.equal(t.dir .. "/sub/more.ini", batches.plan(t)[1].file)
	end)

	it("takes a value that goes on in the lines below", function()
		tree(TINY .. "dataset = d\n[job a]\nnote = one\n  two\ncommand =\n  run\n  it\ntags = x,\n  y\n")
		local settings = batches.plan(t)[1].settings
		assert.same({ "one two", "run\nit", "x\ny" }, { settings.note, settings.command, settings.tags })
	end)

	it("takes a time in each of its units, and a switch that is off", function()
		tree("[batch]\nkeep_going = no\ntimeout = 1d2h3m4s\n" .. TINY .. "[job a]\ndataset = d\nshell = off\n"
			.. "command = echo {dataset}\ntimeout = 24855d\n")
		assert.same({ "echo", "d" }, batches.plan(t)[1].command)
	end)

	it("leaves out what a table has that the matrix excludes", function()
		tree(TINY .. "exp = s{seed}\nnew_exp = yes\n[matrix m]\ntrials = t.csv\neach.dataset = a, b\n"
			.. "exclude = seed=2 dataset=b\n  param.x='it is'\n")
		batches.write(t, "t.csv", "seed,param.x\n1,\n2,\n3,it is\n")
		assert.equal("m-1-a m-1-b m-2-a", batches.names(batches.plan(t)))
	end)

	it("finds the directories that a file names from where that file lies", function()
		tree("[batch]\ninclude = sub/more.ini\n")
		batches.write(t, "sub/more.ini", TINY .. "dataset = d\n[job b]\nfrom = ../old/{dataset}\n")
		cli.shell("mkdir -p " .. t.dir .. "/old/d")
		assert.equal(t.dir .. "/old/d", batches.plan(t)[1].settings.from)
	end)

	for _, case in ipairs({
		{ "command = a  b\n    c", "a", "b", "c" },
		{ [[command = a 'b c' "d \"e" f\ g]], "a", "b c", 'd "e', "f g" },
		{ "param.x = it's {odd} $HOME; `ls`\ncommand = a --x={param.x}", "a", "--x=it's {{odd} $HOME; `ls`" },
		{ "seed = 3\ncommand = {stage}/{dataset}-{seed} {job} {stage_dir}/x {{dataset}",
			"tiny/d-3", "a", "{stage_dir}/x", "{{dataset}" },
		{ "param.x = a'b; rm *\nshell = yes\ncommand = f() { echo ${HOME}; }; f {param.x} >{stage_dir}/x",
			"sh", "-c", [[f() {{ echo ${{HOME}; }; f 'a'\''b; rm *' >"$THHOST_STAGE_DIR"/x]] },
		{ "shell = yes\ncommand = echo '{' \"}\" \\'{dataset}\n  echo b", "sh", "-c",
			"echo '{{' \"}\" \\''d'\necho b" },
	}) do
		it("makes an argv of " .. case[1], function()
			assert.same({ table.unpack(case, 2) }, command_of(case[1] .. "\n"))
		end)
	end

	local refusals = {
		{ "b.ini:1: 'x' stands before", "x = 1\n" },
		{ "b.ini:1: unknown section [jobs]", "[jobs]\n" },
		{ "b.ini:2: unknown key 'nam' in [batch]", "[batch]\nnam = x\n" },
		{ "b.ini:2: unknown key 'comand' in [a]", "[job a]\ncomand = x\n" },
		{ "b.ini:2: unknown key 'each.seed' in [a]", "[job a]\neach.seed = 1, 2\n" },
		{ "b.ini:2: 'jobs' must be a whole number from 1 to 1024, not '0'", "[batch]\njobs = 0\n" .. TINY },
		{ "b.ini:2: 'keep_going' must be yes or no, not 'maybe'", "[batch]\nkeep_going = maybe\n" },
		{ "b.ini:2: 'executor' must be local or slurm, not 'cloud'", "[batch]\nexecutor = cloud\n" },
		{ "b.ini:4: 'timeout' must be a time such as", "[job a]\nstage = tiny\ndataset = d\ntimeout = 90\n" },
		{ "b.ini:3: 'stage' was set before (b.ini:2)", "[job a]\nstage = tiny\nstage = tiny\n" },
		{ "b.ini:3: 'param.seed' was set before (b.ini:2)", "[job a]\nseed = 1\nparam.seed = 1\n" },
		{ "b.ini:2: 'a' is there already (b.ini:1)", "[job a]\n[matrix a]\n" },
		{ "b.ini:1: job name 'a*' holds '*'", "[job a*]\n" },
		{ "b.ini:1: the job 'a' has no stage", "[job a]\n" },
		{ "b.ini:1: the job 'a' has no dataset", "[job a]\nstage = tiny\n" },
		{ "b.ini:1: no [job NAME] and no [matrix NAME]", "[batch]\nname = x\n" },
		{ "b.ini:4: '../x' cannot be the name of a dataset", TINY .. "[job a]\ndataset = ../x\n" },
		{ "b.ini:1: [matrix m] has no 'each.KEY", "[matrix m]\nstage = tiny\ndataset = d\n" },
		{ "b.ini:2: 'x' cannot be an axis", "[matrix m]\neach.x = 1\n" },
		{ "b.ini:2: 'a' is there twice", "[matrix m]\neach.dataset = a, a\n" },
		{ "b.ini:2: a part of the list 'a,,b' is empty", "[matrix m]\neach.dataset = a,,b\n" },
		{ "b.ini:3: 'dataset=c': the axis 'dataset' has no 'c'",
			"[matrix m]\neach.dataset = a\nexclude = dataset=c\n" },
		{ "b.ini:3: 'seed=1': 'param.seed' is no axis", "[matrix m]\neach.dataset = a\nexclude = seed=1\n" },
		{ "b.ini:1: [matrix m]: everything is excluded", "[matrix m]\neach.dataset = a\nexclude = dataset=a\n" },
		{ "b.ini:2: cannot open", "[job a]\ntrials = none.csv\n" },
		{ "b.ini:2: 'sub/b.ini' was read before", "[batch]\ninclude = sub/b.ini, sub/b.ini\n",
			sub = "[job x]\nstage = tiny\ndataset = d\n" },
		{ "sub/b.ini:1: unknown section [jbo x]", "[batch]\ninclude = sub/b.ini\n", sub = "[jbo x]\n" },
		{ "b.ini:5: unknown placeholder {datset}", TINY .. "[job a]\ndataset = d\nnote = {datset}\n" },
		{ "b.ini:5: {seed} is not set for the job 'a'", TINY .. "[job a]\ndataset = d\ncommand = {seed}\n" },
		{ "b.ini:5: {stage_dir} is known to the command alone",
			TINY .. "[job a]\ndataset = d\nbase_model = {stage_dir}\n" },
		{ "b.ini:6: {dataset} stands inside quotes",
			TINY .. "[job a]\ndataset = d\nshell = yes\ncommand = echo '{dataset}'\n" },
		{ "b.ini:5: a quote or backslash has no end", TINY .. "[job a]\ndataset = d\ncommand = echo 'x\n" },
		{ "b.ini:6: the job 'a' has 'command', which is for what is run, and 'steps'",
			TINY .. "[job a]\ndataset = d\ncommand = x\nsteps = 1\n" },
		{ "b.ini:5: 'after': there is no job 'b'", TINY .. "[job a]\ndataset = d\nafter = b\n" },
		{ "b.ini:2: unknown stage 'stag3'", "[job a]\nstage = stag3\ndataset = d\n" },
		{ "b.ini:5: ", TINY .. "[job a]\ndataset = d\nexp = exp_9\n" },
		{ "b.ini:5: 'init_from'", TINY .. "[job a]\ndataset = d\ninit_from = e\n" },
		{ "b.ini:5: 'into'", TINY .. "[job a]\ndataset = d\ninto = tiny_e\n" },
		{ "b.ini:5: 'from': there is no", TINY .. "[job a]\ndataset = d\nfrom = none\n" },
		{ "b.ini:1: 'stage3' requires stage2 on d in 'exp_1', which is not there",
			"[job a]\nstage = stage3\ndataset = d\n" },
		{ "b.ini:3: a circle: 'a' waits for 'b' (after), 'b' waits for 'c' (after), 'c' waits for 'a' (after)",
			TINY .. "[job a]\ndataset = a\nafter = b\n[job b]\ndataset = b\nafter = c\n"
			.. "[job c]\ndataset = c\nafter = a\n" },
		{ "b.ini:5: the jobs 'a' (b.ini:3) and 'b' would both write 'exp_1/tiny_d' at once",
			TINY .. "[job a]\ndataset = d\n[job b]\ndataset = d\n" },
		{ "b.ini:1: '../x' cannot be the name of a job", "[job ../x]\n" },
		{ "b.ini:2: unknown key 'dataset' in [batch]", "[batch]\ndataset = d\n",
			hint = "it belongs into [defaults] or a [job NAME]" },
		{ "b.ini:2: unknown key 'keep_going' in [a]", "[job a]\nkeep_going = yes\n", hint = "it belongs into [batch]" },
		{ "b.ini:2: unknown key 'exclude' in [a]", "[job a]\nexclude = seed=1\n",
			hint = "it belongs into a [matrix NAME]" },
		{ "b.ini:3: 'jobs' has its value on one line", "[batch]\njobs = 1\n  2\n" },
		{ "b.ini:3: the line is 224 bytes long; 198 at most", "[batch]\nname = x\ngpus = " .. ("1, "):rep(72) .. "1\n",
			hint = "a value may go on in the next line, indented" },
		{ "b.ini:2: a part of the list 'a.ini,,b.ini' is empty", "[batch]\ninclude = a.ini,,b.ini\n" },
		{ "b.ini:4: 'dataset' has no value", TINY .. "[job a]\ndataset =\n" },
		{ "b.ini:5: 'steps' must be a whole number from 0, not '-1'", TINY .. "[job a]\ndataset = d\nsteps = -1\n" },
		{ "b.ini:5: 'timeout' must be a time such as", TINY .. "[job a]\ndataset = d\ntimeout = 30000d\n" },
		{ "b.ini:5: '{' without '}'", TINY .. "[job a]\ndataset = d\nnote = {dataset\n" },
		{ "b.ini:5: 'tags': a quote does not end with its part of the list ''x'",
			TINY .. "[job a]\ndataset = d\ntags = 'x\n" },
		{ "b.ini:5: 'tags': a quote does not end with its part of the list ''x'y'",
			TINY .. "[job a]\ndataset = d\ntags = 'x'y\n" },
		{ "b.ini:3: expected KEY=VALUE, not 'a'", "[matrix m]\neach.dataset = a\nexclude = a\n" },
		{ "b.ini:3: expected KEY=VALUE, not 'dataset='",
			"[matrix m]\neach.dataset = a, b\nexclude = dataset=a\n\n  dataset=\n" },
		{ "b.ini:5: 'init_from' begins a record, 'into' goes on with one",
			TINY .. "[job a]\ndataset = d\ninit_from = e\ninto = tiny_f\n" },
	}
	for _, case in ipairs(refusals) do
		it("is refused: " .. case[1], function()
			tree(case[2])
			if case.sub then
				batches.write(t, "sub/b.ini", case.sub)
			end
			local result = t:run { "batch", "run", "b.ini", "--dry-run" }
			assert(result.err:find(case[1], 1, true), result.err)
			assert(result.err:find(case.hint or "", 1, true), result.err)
			assert.equal("", result.out)
			assert(result.status == 5 or result.status == 3, result.status)
		end)
	end

	for _, case in ipairs({
		{ "t.csv:3: 2 fields, but there are 1 columns", "dataset\na\nb,c\n" },
		{ "t.csv:2: a quote has no end", 'dataset\n"a\nb\n' },
		{ "t.csv:2: expected ',' or the line's end after a quote", 'dataset\n"a"b\n' },
		{ "t.csv:1: the column 'dataset' is there twice", "dataset,dataset\n" },
		{ "t.csv:1: a column has no name", "dataset,\n" },
		{ "t.csv:1: there are no trials", "dataset\n" },
		{ "t.csv:3: expected a line with the names", "\n\n" },
		{ "t.csv:2: unknown column 'datset'", "dataset,datset\na,b\n" },
		{ "t.csv:3: 'gpus' must be a whole number", "dataset,gpus\na,1\nb,x\n" },
		{ "t.csv:3: the job 't-x' is there already (t.csv:2)", "name,dataset\nx,a\nx,b\n" },
		{ "t.csv:3: not a text in UTF-8", "dataset\na\nb\xff\n" },
		{ "t.csv:2: not a text in UTF-8", "dataset\na\0b\n" },
	}) do
		it("refuses a table: " .. case[1], function()
			tree(TINY .. "[job t]\ntrials = t.csv\n")
			batches.write(t, "t.csv", case[2])
			t:refused(5, case[1], { "batch", "run", "b.ini", "--dry-run" })
		end)
	end

	it("refuses a table whose column is an axis too, or is excluded in vain", function()
		tree(TINY .. "[matrix m]\neach.dataset = a\ntrials = t.csv\n")
		batches.write(t, "t.csv", "seed,dataset\n1,\n2,b\n")
		t:refused(5, "t.csv:3: the column 'dataset' is an axis of the matrix too", { "batch", "run", "b.ini", "-n" })
	end)

	it("is refused with more jobs than a batch may have", function()
		local numbers = {}
		for i = 1, 400 do
			numbers[i] = ("  %d,\n"):format(i)
		end
		local list = "\n" .. table.concat(numbers)
		tree(TINY .. ("[job first]\ndataset = d\n[matrix m]\neach.dataset =%seach.seed =%s"):format(list, list))
		t:refused(5, "b.ini:5: more than 100000 jobs", { "batch", "run", "b.ini", "--dry-run" })
	end)

	for _, case in ipairs({
		{ "t.json:1: expected a list of objects", "{}" }, { "t.json:2: expected an object", "[\n1]" },
		{ "t.json:2: 'dataset' must be a text", '[{\n"dataset": ["a"]}]' },
	}) do
		it("refuses a JSON table: " .. case[1], function()
			tree(TINY .. "[job t]\ntrials = t.json\n")
			batches.write(t, "t.json", case[2])
			t:refused(5, case[1], { "batch", "run", "b.ini", "--dry-run" })
		end)
	end
end)

describe("the order of a batch", function()
	after_each(done)

	it("comes from what plugins require on the same data set", function()
		tree("[job d]\nstage = stage4\ndataset = x\n[job c]\nstage = stage3\ndataset = x\n"
			.. "[job b]\nstage = stage2\ndataset = x\n[job a]\nstage = stage1\ndataset = x\n"
			.. "[job other]\nstage = stage2\ndataset = y\nbase_model = m\n")
		local jobs, by_name = batches.plan(t)
		assert.equal("a b d c other", batches.names(jobs))
		assert.equal("b (stage4 requires stage2)", batches.needs(by_name.d))
		assert.equal("", batches.needs(by_name.other))
	end)

	it("comes from what a plugin produces", function()
		tree("[job late]\nstage = later\ndataset = d\n[job a]\nstage = early\ndataset = d\n")
		for _, name in ipairs { "early", "later" } do
			batches.write(t, "plugins/" .. name .. ".lua", (([[return { api = 1, kind = "stage", name = "%s",
				version = "1", summary = "s", dir = "%s", model_name = "m", %s
				extract = function() return nil, "no" end }]]):format(name, name,
				name == "early" and 'produces = { "later" },' or "")))
		end
		local _, by_name = batches.plan(t)
		assert.equal("a (early produces later)", batches.needs(by_name.late))
	end)

	it("comes from what a model begins with", function()
		tree(TINY .. "[job e]\ndataset = e\ninit_from = exp_1/tiny_d\n[job f]\ndataset = f\ninit_from = d\n"
			.. "[job g]\ndataset = g\nbase_model = tiny_f/model.bin\n[job d]\ndataset = d\n")
		local jobs, by_name = batches.plan(t)
		assert.equal("d e f g", batches.names(jobs))
		assert.equal("d (init_from = d)", batches.needs(by_name.f))
		assert.equal("f (base_model = tiny_f/model.bin)", batches.needs(by_name.g))
	end)

	it("lets a record be continued in place after its owner, and after who began from it", function()
		tree(TINY .. "[job b]\ndataset = b\ninto = tiny_a\nafter = c\n[job c]\ndataset = c\ninit_from = a\n"
			.. "[job a]\ndataset = a\n")
		local jobs, by_name = batches.plan(t)
		assert.equal("a c b", batches.names(jobs))
		assert.equal("exp_1/tiny_a", by_name.b.ref)
	end)

	it("names a job once among those that another waits for, with the first reason", function()
		tree(TINY .. "[job b]\ndataset = b\nafter = a, a*\ninit_from = a\n[job a]\ndataset = a\n")
		local _, by_name = batches.plan(t)
		assert.equal("a (after)", batches.needs(by_name.b))
	end)

	it("lets two write one directory where one waits for the other, and for more besides", function()
		tree(TINY .. "[job b]\ndataset = d\nafter = c, a\n[job c]\ndataset = c\n[job a]\ndataset = d\nafter = c\n")
		assert.equal("c a b", batches.names(batches.plan(t)))
	end)

	it("knows sections and patterns in 'after'", function()
		tree(TINY .. "[job last]\ndataset = z\nafter = m, p*\n[matrix m]\neach.dataset = a, b\n"
			.. "[job p1]\ndataset = p\n")
		local _, by_name = batches.plan(t)
		assert.equal("m-a (after), m-b (after), p1 (after)", batches.needs(by_name.last))
	end)

	it("takes a model that the tree has already", function()
		tree("[job a]\nstage = stage2\ndataset = hrds\n[job b]\nstage = stage1\ndataset = x\ninit_from = hrds\n")
		t:record("hrds")
		assert.equal("a b", batches.names(batches.plan(t)))
	end)

	it("holds in a chain of thousands", function()
		local lines = { TINY }
		for i = 1, 3000 do
			lines[#lines + 1] = ("[job j%d]\ndataset = d%d\n%s"):format(i, i % 7,
				i < 3000 and ("after = j%d\n"):format(i + 1) or "")
		end
		tree(table.concat(lines))
		local jobs = batches.plan(t)
		assert.equal("j3000", jobs[1].job)
		assert.equal("j1", jobs[3000].job)
	end)
end)

describe("config/batch.example.ini", function()
	it("has every key, and is in order", function()
		tree()
		cli.shell("mkdir -p " .. t.dir .. "/old/stage1_cdla")
		cli.shell("cp config/batch.example.ini " .. t.dir .. "/b.ini")
		local jobs = batches.plan(t)
		assert.equal(8, #jobs)
		local text = assert(cli.read("config/batch.example.ini"))
		for key in assert(cli.read("src/model/batch_keys.c")):gmatch('\n\t{ "([%w_.]+)"') do
			assert(("\n" .. text):find("\n;? ?" .. key:gsub("%.", "%%.") .. "[%w_.]* ?="), "no key " .. key)
		end
		done()
	end)
end)
