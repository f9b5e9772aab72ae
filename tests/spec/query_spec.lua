--- query: SQL over the views, what it cannot do, and in which forms its answer comes.
local cjson = require "cjson"
local cli = require "support.cli"
local tree = require "support.tree"

local t

local function env(more)
	local all = { XDG_CACHE_HOME = t.dir .. "/cache" }
	for name, value in pairs(more or {}) do
		all[name] = value
	end
	return { env = all }
end

--- The answer to a statement, decoded from JSON.
local function ask(sql, ...)
	local result = t:ok({ "query", "--json", sql, ... }, env())
	return cjson.decode(result.out)
end

--- Its rows, each as one text: "a|b", NULL as "-".
local function rows(sql, ...)
	local lines = {}
	for _, row in ipairs(ask(sql, ...).rows) do
		for i, value in ipairs(row) do
			local is_whole = math.type(value) == "float" and value == math.floor(value)
			row[i] = value == cjson.null and "-" or is_whole and ("%d"):format(value) or tostring(value)
		end
		lines[#lines + 1] = table.concat(row, "|")
	end
	return lines
end

local function refused(status, message, sql, ...)
	local result = t:run({ "query", sql, ... }, env())
	assert.equal(status, result.status, sql .. ": " .. result.out .. result.err)
	assert(result.err:find(message, 1, true), ("'%s' is not in: %s"):format(message, result.err))
	assert.equal("", result.out)
	return result
end

local LONG = "2025-12-01T10:00:00Z"

--- stage1_a, stage1_b from it, stage3_a that uses b, and a run that failed.
local function fresh()
	t = tree.new()
	t:record("a", "-m", "f1=0.85", "-m", "per.title=0.5", "-p", "lr=2e-5", "-p", "seed=42", "--base-model",
		"microsoft/layoutxlm-base", "--start-time", LONG, "--end-time", "2025-12-01T12:00:00Z", "--tag",
		"paper", "--note", "first")
	t:ok { "record", "stage1", "-d", "b", "--init-from", "a", "--steps", "5", "-m", "f1=0.75", "-p", "lr=1e-4",
		"--start-time", "2025-12-02T10:00:00Z", "--end-time", "2025-12-02T10:30:00Z" }
	t:ok { "record", "stage3", "-d", "a", "--steps", "7", "-m", "accuracy=0.7", "--base-model",
		"exp_1/stage1_b/checkpoint-5", "--start-time", "2025-12-03T10:00:00Z", "--end-time",
		"2025-12-03T10:00:10Z" }
	t:run { "run", "stage1", "-d", "c", "--", "false" }
end

local function done()
	t:close()
end

describe("query: the views", function()
	setup(fresh)
	teardown(done)

	for _, case in ipairs {
		{ "models", "SELECT ref, stage, dataset, total_steps, trainings FROM models ORDER BY ref",
			"exp_1/parent_finder_a|stage3|a|7|1", "exp_1/stage1_a|stage1|a|10|1",
			"exp_1/stage1_b|stage1|b|15|2" },
		{ "where a model began", "SELECT base_model, strategy FROM models WHERE ref = 'exp_1/stage1_b'",
			"microsoft/layoutxlm-base|microsoft/layoutxlm-base > a:10 > b:5" },
		{ "entries", "SELECT ref, n, dataset, steps, inherited_from, is_last FROM entries ORDER BY 1, 2",
			"exp_1/parent_finder_a|1|a|7|-|1", "exp_1/stage1_a|1|a|10|-|1",
			"exp_1/stage1_b|1|a|10|exp_1/stage1_a|0", "exp_1/stage1_b|2|b|5|-|1" },
		{ "fields of entries", "SELECT seconds, tags, notes, details ->> '$.metrics.per.title' FROM entries"
			.. " WHERE ref = 'exp_1/stage1_a'", '7200|["paper"]|first|0.5' },
		{ "metrics", "SELECT ref, n, name, value, is_last FROM metrics ORDER BY 1, 2, 3",
			"exp_1/parent_finder_a|1|accuracy|0.7|1", "exp_1/stage1_a|1|f1|0.85|1",
			"exp_1/stage1_a|1|per.title|0.5|1", "exp_1/stage1_b|1|f1|0.85|0",
			"exp_1/stage1_b|1|per.title|0.5|0", "exp_1/stage1_b|2|f1|0.75|1" },
		{ "params", "SELECT ref, n, name, value FROM params ORDER BY 1, 2, 3",
			"exp_1/stage1_a|1|lr|2e-05", "exp_1/stage1_a|1|seed|42", "exp_1/stage1_b|1|lr|2e-05",
			"exp_1/stage1_b|1|seed|42", "exp_1/stage1_b|2|lr|0.0001" },
		{ "edges", "SELECT parent, child, relation, checkpoint, how, source, is_model FROM edges ORDER BY child",
			"exp_1/stage1_b|exp_1/parent_finder_a|starts_from|checkpoint-5|inferred|base_model|1",
			"microsoft/layoutxlm-base|exp_1/stage1_a|starts_from|-|declared|base_model|0",
			"exp_1/stage1_a|exp_1/stage1_b|continues|-|declared|parents|1" },
		{ "runs", "SELECT ref, state, n, exit_code, command FROM runs ORDER BY ref, n",
			"exp_1/parent_finder_a|recorded|1|-|-", "exp_1/stage1_a|recorded|1|-|-",
			"exp_1/stage1_b|recorded|2|-|-", 'exp_1/stage1_c|failed|-|1|["false"]' },
	} do
		it("show " .. case[1], function()
			assert.same({ table.unpack(case, 3) }, rows(case[2]))
		end)
	end

	it("have the columns that --schema and the manual page tell", function()
		local page = cli.read("docs/thhost-query.1")
		local told = cjson.decode(t:ok({ "query", "--schema", "--json" }, env()).out)
		assert.equal("thhost.query-schema/1", told.schema)
		assert.equal(6, #told.views)
		for _, view in ipairs(told.views) do
			local names, in_page = {}, {}
			for i, column in ipairs(view.columns) do
				names[i] = column.name
			end
			assert.same(names, ask("SELECT * FROM " .. view.name .. " LIMIT 0").columns)
			local part = page:match("\n%.Ss " .. view.name .. ":.-\n%.El")
			for name in part:gmatch("\n%.It Li (%S+)") do
				in_page[#in_page + 1] = name
			end
			assert.same(names, in_page)
			assert.matches("\n?" .. view.name .. ": ", t:ok({ "query" }, env()).out)
		end
	end)

	it("answer each example of the manual page", function()
		local page = cli.read("docs/thhost-query.1"):match("%.Sh EXAMPLES(.*)")
		cli.shell(("mkdir -p '%s/bin' && ln -s '%s' '%s/bin/thhost'"):format(t.dir, cli.thhost, t.dir))
		local n = 0
		t:write("exp_2/stage1_g/training_info.json", (assert(t:read("exp_1/stage1_a/training_info.json"))
			:gsub('"notes"', '"git": {"commit": "4ccd640", "dirty": true}, %0')))
		for command in page:gmatch("%.Bd %-literal %-offset indent\n(.-)%.Ed") do
			local out = cli.shell(("cd '%s' && export HOME='%s/home' XDG_CACHE_HOME='%s/cache' "
				.. "PATH='%s/bin':$PATH && %s"):format(t.dir, t.dir, t.dir, t.dir, command))
			assert.matches("%S", out)
			assert.is_nil(out:find("thhost: ", 1, true))
			n = n + 1
		end
		assert.equal(10, n)
		cli.remove(t.root .. "/exp_2")
	end)

	it("are brought up to date before each answer, unless that is not wanted", function()
		local sql = "SELECT count(*) FROM models"
		local before = rows(sql)[1]
		t:record("new", "-m", "f1=1")
		assert.same({ before }, rows(sql, "--no-sync"))
		assert.same({ tostring(math.tointeger(tonumber(before)) + 1) }, rows(sql))
		cli.remove(t.root .. "/exp_1/stage1_new")
		assert.same({ before }, rows(sql))
		cli.remove(t.dir .. "/cache")
		assert.same({ before }, rows(sql, "--no-sync"))
	end)

	it("tell two roots apart", function()
		local other = tree.new()
		other:record("a", "-m", "f1=0.5")
		assert.same({ "exp_1/stage1_a|0.5", "exp_1/stage1_a|0.85" }, rows("SELECT ref, value FROM metrics "
			.. "WHERE name = 'f1' AND ref = 'exp_1/stage1_a' ORDER BY value", "--root", t.root, "--root", other.root))
		assert.same({ "2|1" }, rows("SELECT count(DISTINCT root), count(DISTINCT ref) FROM models "
			.. "WHERE ref = 'exp_1/stage1_a'", "--root", t.root, "--root", other.root, "--root", t.root))
		assert.same({ "3" }, rows("SELECT count(*) FROM edges", "--root", t.root, "--root", other.root),
			"'unknown' is no parent")
		other:close()
	end)

	it("can be asked by several processes at once", function()
		cli.remove(t.dir .. "/cache")
		local command = ("cd '%s' && HOME='%s/home' XDG_CACHE_HOME='%s/cache' '%s' query --csv "
			.. "'SELECT count(*) FROM metrics'"):format(t.dir, t.dir, t.dir, cli.thhost)
		local out = cli.shell(("for i in 1 2 3 4 5 6 7 8; do (%s) & done; wait"):format(command))
		assert.equal(("count(*)\n6\n"):rep(8), out .. "\n")
	end)
end)

describe("query: broken records", function()
	setup(fresh)
	teardown(done)

	it("are rows of models that say so, and disturb no other view", function()
		t:write("exp_1/stage1_broken/training_info.json", '{"training_history": [')
		t:write("exp_1/stage1_empty/training_info.json", "")
		local told = ask("SELECT ref, error FROM models WHERE error IS NOT NULL ORDER BY ref").rows
		assert.equal(2, #told)
		assert.equal("exp_1/stage1_broken", told[1][1])
		assert.matches("training_info.json:1:23", told[1][2])
		assert.same({ "4" }, rows("SELECT count(*) FROM entries"))
		assert.same({ "5" }, rows("SELECT count(*) FROM params"))
		assert.same({ "3" }, rows("SELECT count(*) FROM edges"))
		assert.same({ "4" }, rows("SELECT count(*) FROM runs"))
	end)
end)

describe("query: values", function()
	setup(function()
		t = tree.new()
		t:write("exp_1/stage1_x/training_info.json", [[{"model_name": "m", "stage": "stage1",
			"final_checkpoint": "", "base_model": "b", "created_at": "2025-12-01T10:00:00",
			"last_updated": "2025-12-01T10:00:00", "total_steps": 1, "last_dataset": "x",
			"training_history": [{"dataset": "x", "steps": 1, "epochs": 2.9850746268656714,
			"metrics": {"nan": NaN, "inf": -Infinity, "real": 0.30000000000000004, "whole": 1.0},
			"hyperparams": {"big": 9223372036854775807, "bigger": 18446744073709551617, "truth": true,
			"lie": false, "nothing": null, "list": [1, 2.50], "empty": {}, "deep": {"a.b": {"c": NaN}},
			"real": 4.938271604938272e-05, "text": "1", "esc\"\u001b[31m\\": "\u0000\u001b[31m=1+1\u202e"},
			"start_time": "2025-12-01T10:00:00", "end_time": "2025-12-01T10:00:00"}]}]])
	end)
	teardown(done)

	it("keep type and every digit", function()
		local out = t:ok({ "query", "--jsonl", "SELECT name, typeof(value) AS t, value FROM params" }, env()).out
		for _, line in ipairs {
			[[{"name":"big","t":"integer","value":9223372036854775807}]],
			[[{"name":"bigger","t":"text","value":"18446744073709551617"}]],
			[[{"name":"truth","t":"integer","value":1}]], [[{"name":"lie","t":"integer","value":0}]],
			[[{"name":"nothing","t":"null","value":null}]],
			[[{"name":"list","t":"text","value":"[1,2.50]"}]],
			[[{"name":"empty","t":"text","value":"{}"}]],
			[[{"name":"deep.a.b.c","t":"null","value":null}]],
			[[{"name":"real","t":"real","value":4.938271604938272e-05}]],
			[[{"name":"text","t":"text","value":"1"}]],
		} do
			assert(out:find(line .. "\n", 1, true), line .. "\n" .. out)
		end
		out = t:ok({ "query", "--csv", "SELECT name, value FROM metrics ORDER BY name" }, env()).out
		assert.equal("name,value\ninf,\nnan,\nreal,0.30000000000000004\nwhole,1.0\n", out)
		assert.same({ "2.9850746268657" }, rows("SELECT epochs FROM entries"))
		assert.matches("2%.9850746268656714", t:ok({ "query", "--tsv", "SELECT epochs FROM entries" }, env()).out)
	end)

	it("of SQL's own keep theirs", function()
		local sql = "SELECT -9223372036854775808, 1e999, -1e999, 0.1, 1.0, 1e300, x'00ff', NULL, ''"
		assert.matches("\n%-9223372036854775808\tInfinity\t%-Infinity\t0.1\t1.0\t1e%+300\tx'00ff'\t\t\n$",
			t:ok({ "query", "--tsv", sql }, env()).out)
		assert.matches("%[%-9223372036854775808, null, null, 0.1, 1.0, 1e%+300, \"x'00ff'\", null, \"\"%]",
			t:ok({ "query", "--json", sql }, env()).out)
	end)

	for _, form in ipairs { "", "--csv", "--tsv", "--markdown", "--latex", "--json", "--jsonl" } do
		it("of a hostile kind are harmless" .. (form == "" and "" or " with " .. form), function()
			local args = { "query", "SELECT name, value, '=1+1' AS \"\27[31m\", char(0, 27, 8238) AS x,"
				.. " CAST(x'ff1b' AS TEXT) AS y FROM params WHERE name LIKE 'esc%'" }
			args[#args + 1] = form ~= "" and form or nil
			local out = t:ok(args, env()).out
			assert.is_nil(out:find("[%z\27]"))
			assert.is_nil(out:find("\u{202e}", 1, true))
			local n = select(2, out:gsub("\n", ""))
			assert.equal(({ ["--json"] = 8, ["--jsonl"] = 1, ["--markdown"] = 3, ["--latex"] = 7 })[form] or 2, n)
			if form == "--csv" then
				assert.matches(",'=1%+1,", out)
			elseif form == "--jsonl" then
				assert.equal("\0\27[31m=1+1\u{202e}", cjson.decode(out).value)
			end
		end)
	end

	it("are told apart where columns have one name", function()
		assert.equal('{"a":1,"a:1":2,"a:2":3}\n',
			t:ok({ "query", "--jsonl", "SELECT 1 AS a, 2 AS a, 3 AS a" }, env()).out)
		assert.same({ "a", "a" }, ask("SELECT 1 AS a, 2 AS a").columns)
	end)

	it("stand in a table, numbers to the right", function()
		assert.equal("a          b\nx          1\nlonger   2.5\nNULL    NULL\n", t:ok({ "query",
			"SELECT 'x' AS a, 1 AS b UNION ALL SELECT 'longer', 2.5 UNION ALL SELECT NULL, NULL" }, env()).out)
	end)
end)

describe("query: the statement", function()
	setup(fresh)
	teardown(done)

	it("may come from a file or from stdin", function()
		local file = t.dir .. "/ask.sql"
		cli.write(file, "-- how many?\nSELECT count(*) AS n FROM models;\n")
		local options = env()
		options.input = "SELECT 7 AS n"
		assert.equal("n\n3\n", t:ok({ "query", "--csv", "-f", file }, env()).out)
		assert.equal("n\n7\n", t:ok({ "query", "--csv", "-" }, options).out)
		assert.equal("n\n7\n", t:ok({ "query", "--csv", "--file", "-" }, options).out)
		refused(2, "do not go together", "SELECT 1", "-f", file)
		assert.equal(3, t:run({ "query", "-f", file .. ".no" }, env()).status)
	end)

	it("takes parameters, which are no part of it", function()
		assert.same({ "integer|1", "real|0.5", "text|x", "text|1 OR 1", "integer|3" }, rows(
			"SELECT typeof(column1), column1 FROM (VALUES (:i), (:r), ($t), (@bad), (:i + 2))", "-p", "i=1",
			"--param", "r=0.5", "-p", ":t=x", "-p", "bad=1 OR 1"))
		assert.same({ "text|18446744073709551617" }, { (rows("SELECT typeof(:x), :x", "-p",
			"x=007")[1]:gsub("007", "18446744073709551617")) })
		assert.same({ "2" }, rows("SELECT :x", "-p", "x=1", "-p", "x=2"))
		refused(2, "parameter ':x' has no value", "SELECT :x")
		refused(2, "no parameter ':y'", "SELECT 1", "-p", "y=1")
		refused(2, "needs a name", "SELECT ?", "-p", "y=1")
		refused(2, "is not NAME=VALUE", "SELECT 1", "-p", "y")
		refused(2, "is not NAME=VALUE", "SELECT 1", "-p", "=y")
	end)

	it("gives no more rows than were asked for, and says that there are more", function()
		local result = t:ok({ "query", "--csv", "-n", "2", "SELECT n FROM entries" }, env())
		assert.equal(3, select(2, result.out:gsub("\n", "")))
		assert.matches("there are more rows than the first 2", result.err)
		assert.is_true(ask("SELECT n FROM entries", "-n", "1").has_more)
		assert.is_false(ask("SELECT n FROM entries", "-n", "4").has_more)
		assert.same({}, rows("SELECT n FROM entries", "-n", "0"))
		result = t:ok({ "query", "SELECT n FROM entries WHERE n > 9" }, env())
		assert.same({ "", "thhost: no rows\n" }, { result.out, result.err })
	end)

	it("is shown where it is wrong", function()
		local result = refused(2, "SQL:2:7: no such column: nope", "SELECT 1,\n 'é', nope\nFROM models")
		assert.matches("\n   'é', nope\n        %^\n$", result.err)
		result = refused(2, 'SQL:1:13: near "FROM": syntax error', "SELECT ref, FROM models")
		assert.matches("\n  SELECT ref, FROM models\n              %^\n$", result.err)
		result = refused(2, "no such column: x\\x1b", 'SELECT [x\27] FROM models')
		assert.is_nil(result.err:find("\27", 1, true))
		result = refused(2, "no such table: model", "SELECT 1 FROM model")
		assert.matches("hint: 'thhost query %-%-schema'", result.err)
		local long = "SELECT " .. ("1, "):rep(500) .. "nope FROM models"
		result = refused(2, "no such column: nope", long)
		assert(#result.err < 400, result.err)
	end)

	it("fails in one line with --json, too", function()
		local result = t:run({ "query", "--json", "SELECT nope FROM models" }, env())
		local told = cjson.decode(result.err).error
		assert.same({ 2, 2, "SQL:1:8: no such column: nope" }, { result.status, told.exit, told.message })
		assert.equal(cjson.null, told.path)
	end)

	for message, sql in pairs {
		["there is no statement"] = "  -- nothing\n ; /* at all */",
		["a second statement is not allowed"] = "SELECT 1; SELECT 2",
		["SQL:1:8: unrecognized token"] = "SELECT 'open",
	} do
		it("is refused: " .. message, function()
			refused(2, message, sql)
		end)
	end

	it("may end in a semicolon and a comment", function()
		assert.same({ "1" }, rows("SELECT 1 ; ; -- no more\n/* really */ ;"))
	end)

	it("has one form at a time", function()
		refused(2, "'--jsonl' and '--csv' do not go together", "SELECT 1", "--csv", "--jsonl")
	end)

	it("needs a root that is there", function()
		assert.equal(3, t:run({ "query", "SELECT 1", "--root", t.dir .. "/no" }, env()).status)
	end)
end)

describe("query: nobody gets out of it", function()
	local before

	setup(function()
		fresh()
		t:ok({ "query", "SELECT 1" }, env())
		before = cli.shell(("cd '%s' && find . -type f ! -name '*-shm' ! -name '*-wal' | sort"):format(t.dir))
	end)
	teardown(function()
		assert.equal(before, cli.shell(("cd '%s' && find . -type f ! -name '*-shm' ! -name '*-wal' | sort")
			:format(t.dir)))
		assert.same({ "3" }, rows("SELECT count(*) FROM models", "--no-sync"))
		done()
	end)

	for _, case in ipairs {
		{ "INSERT is not allowed", "INSERT INTO record (ref) VALUES ('x')" },
		{ "INSERT is not allowed", "INSERT INTO models (ref) VALUES ('x')" },
		{ "DELETE is not allowed", "DELETE FROM main.record" },
		{ "UPDATE is not allowed", "UPDATE record SET ref = 'x'" },
		{ "INSERT is not allowed", "WITH x AS (SELECT 1) INSERT INTO root SELECT 1, 'x' FROM x RETURNING *" },
		{ "a change of tables", "CREATE TABLE x (y)" },
		{ "a change of tables", "CREATE TEMP TABLE x AS SELECT * FROM models" },
		{ "a change of tables", "CREATE VIEW x AS SELECT 1" },
		{ "a change of tables", "CREATE TEMP TRIGGER x AFTER INSERT ON record BEGIN SELECT 1; END" },
		{ "a change of tables", "CREATE VIRTUAL TABLE x USING fts5(y)" },
		{ "a change of tables", "DROP VIEW models" },
		{ "a change of tables", "DROP TABLE record" },
		{ "a change of tables", "ALTER TABLE record RENAME TO x" },
		{ "a change of tables", "CREATE INDEX x ON record (text)" },
		{ "not allowed", "REINDEX" },
		{ "ANALYZE is not allowed", "ANALYZE" },
		{ "ATTACH is not allowed", "ATTACH '/tmp/x.db' AS x" },
		{ "ATTACH is not allowed", "ATTACH ':memory:' AS x" },
		{ "DETACH is not allowed", "DETACH main" },
		{ "can only read", "VACUUM" },
		{ "can only read", "VACUUM INTO '/tmp/x.db'" },
		{ "a transaction is not allowed", "BEGIN IMMEDIATE" },
		{ "a transaction is not allowed", "COMMIT" },
		{ "a transaction is not allowed", "SAVEPOINT x" },
		{ "PRAGMA is not allowed", "PRAGMA writable_schema = ON" },
		{ "PRAGMA is not allowed", "PRAGMA query_only" },
		{ "PRAGMA is not allowed", "PRAGMA hard_heap_limit = 0" },
		{ "not allowed", "SELECT * FROM pragma_database_list" },
		{ "not allowed", "SELECT count(*) FROM pragma_function_list" },
		{ "'sqlite_master' is none of the views", "SELECT sql FROM sqlite_schema" },
		{ "none of the views", "SELECT count(*) FROM sqlite_master" },
		{ "'sqlite_temp_master' is none", "SELECT * FROM temp.sqlite_schema" },
		{ "'record' is none of the views", "SELECT text FROM record" },
		{ "'record' is none of the views", "SELECT * FROM main.record" },
		{ "'place' is none of the views", "SELECT (SELECT seen FROM place) FROM models" },
		{ "'record' is none of the views", "WITH models AS (SELECT text FROM record) SELECT * FROM models" },
		{ "'record' is none of the views", "WITH json_each AS (SELECT text FROM record) SELECT * FROM json_each" },
		{ "'record' is none of the views", "SELECT * FROM (SELECT text FROM record) AS models" },
		{ "'record' is none of the views", "WITH models(x) AS (SELECT 1 UNION SELECT text FROM models, record) "
			.. "SELECT * FROM models" },
		{ "'record' is none of the views", "SELECT * FROM models WHERE ref IN (SELECT text FROM record models)" },
		{ "function 'th_value' is not allowed", "WITH models AS (SELECT th_value(1, 0, '')) SELECT * FROM models" },
		{ "'meta' is none of the views", "SELECT 1 FROM models JOIN meta m ON m.key = ref" },
		{ "not allowed", "SELECT * FROM dbstat" },
		{ "not allowed", "SELECT * FROM th_values(1, 'metrics')" },
		{ "function 'th_value' is not allowed", "SELECT th_value(1, 0, '')" },
		{ "function 'load_extension' is not allowed", "SELECT load_extension('/tmp/x.so')" },
		{ "no such function: writefile", "SELECT writefile('/tmp/x', 'y')" },
		{ "no such function: readfile", "SELECT readfile('/etc/passwd')" },
		{ "no such function: edit", "SELECT edit('x', 'vi')" },
		{ "function 'fts3_tokenizer' is not allowed", "SELECT fts3_tokenizer('simple')" },
		{ "function 'sqlite_compileoption_get' is not allowed", "SELECT sqlite_compileoption_get(1)" },
		{ "a second statement", "SELECT 1; DROP TABLE record" },
		{ "a second statement", "SELECT 1; ATTACH 'x' AS y" },
	} do
		it(case[2], function()
			refused(2, case[1], case[2])
		end)
	end

	it("for a file that cannot be written", function()
		local result = t:ok({ "query", "EXPLAIN QUERY PLAN SELECT * FROM models" }, env())
		assert.matches("SCAN", result.out)
		local trace = t:run({ "query", "--no-sync", "SELECT count(*) FROM models" }, { env = env().env,
			prefix = "strace -f -e trace=openat -o " .. t.dir .. "/trace" })
		if trace.status == 0 then
			local last
			for line in cli.read(t.dir .. "/trace"):gmatch("[^\n]*%.sqlite\"[^\n]*") do
				last = line
			end
			assert.matches("O_RDONLY", last)
		end
		os.remove(t.dir .. "/trace")
	end)
end)

describe("query: limits", function()
	setup(fresh)
	teardown(done)

	local COUNT = "WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c) "

	for name, sql in pairs {
		["counting for ever"] = COUNT .. "SELECT count(*) FROM c",
		["rows for ever, none shown"] = COUNT .. "SELECT n FROM c WHERE n < 0",
		["a product of everything"] = "SELECT count(*) FROM entries a, entries b, entries c, entries d, entries e,"
			.. " entries f, entries g, entries h, entries i, entries j, entries k, entries l, entries m, entries o",
		["one call that does not return"] = "SELECT instr(zeroblob(60000000), zeroblob(30000000) || x'01')",
	} do
		it("end " .. name, function()
			local result = refused(130, "the statement took longer than 1 s", sql, "--timeout", "1")
			assert.is_nil(result.err:find("hint", 1, true))
			result = t:run({ "query", "--json", sql }, env { THHOST_QUERY_TIMEOUT = "1" })
			local told = cjson.decode(result.err).error
			assert.same({ 130, "interrupted", 130, "'--timeout SECONDS' gives it more time" },
				{ result.status, told.code, told.exit, told.hint })
		end)
	end

	for name, case in pairs {
		["a blob"] = { "a value in the statement is longer than 128 MiB", "SELECT zeroblob(2000000000)" },
		["a text that grows"] = { "a value in the statement is longer",
			"SELECT length(replace(hex(zeroblob(1000000)), '0', hex(zeroblob(1000))))", "512" },
		["a sorter"] = { "the statement needed more than 16 MiB of memory", COUNT
			.. ", d AS (SELECT hex(randomblob(100000)) AS h FROM c LIMIT 1000) SELECT h FROM d ORDER BY h" },
		["a recursion"] = { "the statement needed more than 16 MiB of memory", "WITH RECURSIVE c(x) AS "
			.. "(VALUES ('a') UNION ALL SELECT x || x FROM c) SELECT length(x) FROM c" },
		["an answer"] = { "the answer needed more than 16 MiB of memory", COUNT
			.. "SELECT hex(randomblob(1000)) FROM c" },
	} do
		it("refuse memory to " .. name, function()
			local result = t:run({ "query", case[2] }, env { THHOST_QUERY_MEMORY = case[3] or "16" })
			assert.equal(130, result.status, result.err)
			assert(result.err:find(case[1], 1, true), result.err)
			assert.equal("", result.out)
		end)
	end

	it("refuse a statement that is too long", function()
		local file = t.dir .. "/long.sql"
		cli.write(file, "SELECT '" .. ("x"):rep(1000000) .. "'")
		assert.is_not.equal(0, t:run({ "query", "-f", file }, env()).status)
	end)

	it("tell what went wrong over a value", function()
		refused(5, "malformed JSON", "SELECT json_extract('{', '$')")
		refused(5, "integer overflow", "SELECT sum(9223372036854775807) FROM entries")
	end)
end)
