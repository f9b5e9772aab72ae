--- Whatever happens to the files, the answers by the index are those of the files.
local cjson = require "cjson"
local cli = require "support.cli"
local indexed = require "support.indexed"

local RECORD = "/training_info.json"

local function sh(t, command, ...)
	return cli.shell(("cd '%s' && "):format(t.root) .. command:format(...))
end

--- Another content of the same length, in place.
local function edit(t, name)
	sh(t, [[python3 - '%s' <<'END'
import sys
with open(sys.argv[1], "r+b") as f:
	text = f.read()
	f.seek(0)
	f.write(text.replace(b"0.5", b"0.7"))
END
]], name)
end

--- The index has no record any more, and does not know.
local function forget(t)
	t:tamper("DELETE FROM record", "DELETE FROM entry", "DELETE FROM metric", "DELETE FROM attempt")
end

--- What a change does to a tree that is in the index. The second says how many models there are then.
local changes = {
	["nothing"] = { function() end, 4 },
	["a record edited in place"] = { function(t)
		edit(t, "exp_1/stage1_a" .. RECORD)
	end, 4 },
	["a record edited in place, its time set back"] = { function(t)
		sh(t, "cp -p exp_1/stage1_a%s stamp", RECORD)
		edit(t, "exp_1/stage1_a" .. RECORD)
		sh(t, "touch -r stamp exp_1/stage1_a%s; rm stamp", RECORD)
	end, 4 },
	["a record replaced by a rename, its time and its directory's set back"] = { function(t)
		sh(t, "cp -p exp_1/stage1_a%s new; mkdir stamp; touch -r exp_1/stage1_a stamp", RECORD)
		sh(t, "sed -i s/0.5/0.7/ new; touch -r exp_1/stage1_a%s new; mv new exp_1/stage1_a%s", RECORD,
			RECORD)
		sh(t, "touch -r stamp exp_1/stage1_a; rmdir stamp")
	end, 4 },
	["one more training"] = { function(t)
		t:record("b", "-m", "f1=0.9", "--exp", "exp_1")
	end, 4 },
	["one more stage directory"] = { function(t)
		t:record("d", "--exp", "exp_1")
	end, 5 },
	["one more experiment"] = { function(t)
		t:ok { "exp", "new", "exp_10" }
		t:record("a")
	end, 5 },
	["a record that goes"] = { function(t)
		sh(t, "rm exp_1/stage1_a%s", RECORD)
	end, 3 },
	["a stage directory that goes"] = { function(t)
		sh(t, "rm -r exp_1/stage1_a")
	end, 3 },
	["a stage directory renamed"] = { function(t)
		sh(t, "mv exp_1/stage1_a exp_1/stage1_z")
	end, 4 },
	["two stage directories that change places"] = { function(t)
		sh(t, "mv exp_1/stage1_a x; mv exp_1/stage1_b exp_1/stage1_a; mv x exp_1/stage1_b")
	end, 4 },
	["a stage directory that moves to another experiment"] = { function(t)
		sh(t, "mv exp_1/stage1_a exp_2/stage1_b")
	end, 4 },
	["an experiment renamed"] = { function(t)
		sh(t, "mv exp_1 exp_02")
	end, 4 },
	["an experiment that goes"] = { function(t)
		sh(t, "rm -r exp_1; ln -sfn exp_2 current; mkdir exp_1")
	end, 1 },
	["an experiment that becomes a link"] = { function(t)
		sh(t, "mv exp_2 ../away; ln -s ../away exp_2")
	end, 3 },
	["an experiment that becomes a stage directory"] = { function(t)
		sh(t, "cp exp_1/stage1_a%s exp_1/", RECORD)
	end, 5 },
	["a stage directory in the root"] = { function(t)
		sh(t, "cp -r exp_1/stage1_a stage1_q")
	end, 5 },
	["a record that becomes a directory"] = { function(t)
		sh(t, "rm exp_1/stage1_a%s; mkdir exp_1/stage1_a%s", RECORD, RECORD)
	end, 4 },
	["a record that becomes a link"] = { function(t)
		sh(t, "mv exp_1/stage1_a%s ../r; ln -s ../../../r exp_1/stage1_a%s", RECORD, RECORD)
	end, 4 },
	["a record that breaks"] = { function(t)
		sh(t, "truncate -s 100 exp_1/stage1_a%s", RECORD)
	end, 4 },
	["an empty record"] = { function(t)
		sh(t, ": >exp_1/stage1_a%s", RECORD)
	end, 4 },
	["a record deeper down"] = { function(t)
		sh(t, "mkdir -p exp_1/stage1_a/fold_1 && cp exp_1/stage1_a%s exp_1/stage1_a/fold_1", RECORD)
	end, 5 },
	["records in a tree of another shape"] = { function(t)
		sh(t, "mkdir -p mlruns/0/4c1e mlruns/0/10/x && cp exp_1/stage1_a%s mlruns/0/4c1e", RECORD)
		sh(t, "cp exp_1/stage1_a%s mlruns/0/10/x", RECORD)
	end, 6 },
	["a record that is not for us, and its directory"] = { function(t)
		sh(t, "mkdir exp_1/node_modules && cp exp_1/stage1_a%s exp_1/node_modules", RECORD)
	end, 4 },
	["names of every kind"] = { function(t)
		for _, name in ipairs { "stage1_a01", "stage1_a1", "stage1_a001", "stage1_a10", "stage1_a9", "é", "a b",
			"stage1_a1b", "stage1_a1.", "-x", "stage1_00", "stage1_0", "stage1_" .. ("9"):rep(200),
			"stage1_" .. ("9"):rep(199), "\xff\xfe" } do
			sh(t, "cp -r exp_1/stage1_a exp_1/'%s'", name:gsub("^%-", "./-"):gsub("%%", "%%%%") .. "")
		end
	end, 19 },
	["a run's file edited in place"] = { function(t)
		sh(t, [[for f in exp_1/stage1_c/.thhost/runs/*.json; do python3 - "$f" <<'END'
import sys
with open(sys.argv[1], "r+b") as f:
	text = f.read()
	f.seek(0)
	f.write(text.replace(b'"exit_code": 1', b'"exit_code": 7'))
END
done
]])
	end, 4 },
	["a run's file that breaks"] = { function(t)
		sh(t, [[for f in exp_1/stage1_c/.thhost/runs/*.json; do echo '{' >"$f"; done]])
	end, 4 },
	["a journal that goes"] = { function(t)
		sh(t, "rm -r exp_1/stage1_c/.thhost")
	end, 4 },
	["a journal that becomes a link"] = { function(t)
		sh(t, "mv exp_1/stage1_c/.thhost ../j && ln -s ../../../j exp_1/stage1_c/.thhost")
	end, 4 },
	["a directory with a journal alone"] = { function(t)
		sh(t, "mkdir exp_1/stage1_j && cp -r exp_1/stage1_c/.thhost exp_1/stage1_j")
	end, 4 },
	["an entry that waits"] = { function(t)
		sh(t, "mkdir -p exp_1/stage1_c/.thhost/spool && echo '{}' >exp_1/stage1_c/.thhost/spool/"
			.. "0190a000-0000-7000-8000-000000000000.json")
	end, 4 },
	["an entry that waits outside of the tree"] = { function(t)
		local place = ("%s/home/state/thhost/spool"):format(t.dir)
		sh(t, [[mkdir -p '%s' && echo '{"dir":"%s/exp_1/stage1_a"}' >'%s/0190a000-0000-7000-8000-000000000000.json']],
			place, t.root, place)
	end, 4 },
	["NaN, big numbers and escapes"] = { function(t)
		t:write("exp_1/stage1_n" .. RECORD, [[{"stage": "stage\u00311", "training_history": [{"dataset":
			"\ud83d\ude00", "steps": 123456789012345678901234567890, "metrics": {"f1": NaN, "a.b": 1,
			"a": {"b": 2, "c": [1, 2], "d": null, "e": true, "f": "0.9"}, "g": 1e400, "h": -Infinity,
			"f1": 0.123456789012345678901234567890}}]}]])
	end, 5 },
	["a large record"] = { function(t)
		local entries = {}
		for i = 1, 3000 do
			entries[i] = ('{"dataset": "d%d", "steps": %d, "metrics": {"f1": 0.%d}}'):format(i, i, i)
		end
		t:write("exp_1/stage1_l" .. RECORD, '{"stage": "stage1", "training_history": ['
			.. table.concat(entries, ", ") .. "]}")
	end, 5 },
}

describe("answers by the index", function()
	local t

	before_each(function()
		t = indexed.new()
	end)
	after_each(function()
		t:close()
	end)

	it("come from it", function()
		t:settle()
		t:tamper("DELETE FROM record WHERE exp = 'exp_2'")
		local function count(options, ...)
			return #cjson.decode(t:ok({ "list", "--json", ... }, t:options(options)).out).models
		end
		assert.equal(3, count())
		assert.equal(4, count(nil, "--no-index"))
		assert.equal(4, count { env = { THHOST_INDEX = "no" } })
	end)

	for name, change in pairs(changes) do
		it("are those of the files after " .. name, function()
			t:settle()
			change[1](t)
			assert.equal(change[2], #t:same().models)
			t:later()
			t:same(nil, { is_brief = true })
			t:later()
			t:same()
		end)

		it("are those of the files when made after " .. name, function()
			change[1](t)
			t:sync()
			assert.equal(change[2], #t:same(nil, { is_brief = true }).models)
			t:settle()
			t:same(nil, { is_brief = true })
		end)
	end

	it("are those of the files after two changes in one tick of the clock", function()
		t.now = os.time()
		assert.is_true(t:sync().racy > 0)
		-- As it would stand in the index had the last change been made after it was read, unseen.
		forget(t)
		t:same()
		forget(t)
		t:later()
		t:same()
		assert.equal(0, t:status().racy)
	end)

	it("are those of the files when the index has what nobody put there", function()
		t:settle()
		t:tamper("DELETE FROM record")
		edit(t, "exp_1/stage1_a" .. RECORD)
		t:same()
		t:sync()
		assert.equal(4, t:sync().records) -- made anew
	end)

	it("do not trust stamps of the future until they were read twice", function()
		sh(t, "touch -d '2099-01-01' exp_1/stage1_a%s", RECORD)
		t:later()
		assert.equal(1, t:sync().racy)
		forget(t)
		t.now = t.now + 1
		assert.equal(1, t:sync().racy)
		t:later()
		assert.equal(0, t:sync().racy)
		assert.equal(1, t:sync().records) -- what is not racy was not read again
	end)

	it("are those of the files for a directory that cannot be read, and one that can be again", function()
		if cli.shell("id -u") == "0" then -- who reads everything
			cli.shell(("chown -R 65534:65534 '%s'"):format(t.dir))
			t.prefix = "setpriv --reuid=65534 --regid=65534 --clear-groups"
		end
		t:settle()
		for _, path in ipairs { "exp_1/stage1_a", "exp_1", "exp_1/stage1_a" .. RECORD,
			"exp_1/stage1_c/.thhost/runs" } do
			sh(t, "chmod 0 %s", path)
			t:same()
			t:later()
			t:same()
			sh(t, "chmod 755 %s", path)
			t:same()
			t:settle()
			t:same()
		end
	end)

	it("are those of the files while a run goes on, when it ends and when it is killed", function()
		t:settle()
		local command = "cd '%s' && HOME='%s/home' '%s' run stage1 -d b --exp exp_1 --generic -- sleep 60 "
			.. ">/dev/null 2>&1 & echo $!"
		local pid = cli.shell(("(%s)"):format(command:format(t.dir, t.dir, cli.thhost)))
		cli.wait_for("the run", function()
			return t:ok({ "list", "--runs", "--json" }, t:options()).out:find("running", 1, true)
		end)
		t:same()
		t:settle()
		assert.equal(1, t:status().live)
		-- Not by pkill: it hung on a futex here, with a sanitizer loaded into it.
		cli.shell(("kill -KILL $(cat /proc/%s/task/*/children) %s; true"):format(pid, pid))
		cli.wait_for("its end", function()
			return os.execute("kill -0 " .. pid .. " 2>/dev/null") ~= true
		end)
		t:same()
		t:settle()
		assert.equal(0, t:status().live)
		t:same()
	end)

	it("are those of the files in a root that was moved, linked or put in the place of another", function()
		t:settle()
		cli.shell(("cd '%s' && mv artifact other && cp -r other artifact && rm -r artifact/exp_2"):format(t.dir))
		assert.equal(3, #t:same().models)
		assert.equal(4, #t:same({ "--root", "other" }).models)
		cli.shell(("cd '%s' && ln -s other link"):format(t.dir))
		t:settle("--root", "link")
		assert.equal(4, #t:same({ "--root", "link" }).models)
		cli.shell(("cd '%s' && ln -sfn artifact link"):format(t.dir))
		assert.equal(3, #t:same({ "--root", "link" }).models)
		assert.equal(3, #t:same({ "--root", "./artifact/../artifact" }).models)
	end)

	it("are those of the files for several roots", function()
		cli.shell(("cd '%s' && cp -r artifact other && rm -r other/exp_2 && ln -s other link"):format(t.dir))
		local both = { "--root", "other", "--root", "artifact" }
		t:sync(table.unpack(both))
		for _, roots in ipairs { both, { "--root", "artifact", "--root", "other" },
			{ "--root", "link", "--root", "artifact", "--root", "other", "--root", "other" } } do
			t:same(roots)
			t:later()
		end
		cli.shell(("cd '%s' && rm -r other/exp_1/stage1_a"):format(t.dir))
		t:same(both)
	end)

	it("are those of the files in a tree that changes all the time", function()
		t:settle()
		for i = 1, 30 do
			local name = ("exp_%d/stage1_%s"):format(i % 3 + 1, ("abc"):sub(i % 2 + 1, i % 2 + 1))
			if i % 4 == 0 then
				sh(t, "rm -rf %s", name)
			elseif i % 4 == 1 then
				sh(t, "mkdir -p %s && cp exp_1/stage1_c%s %s", name, RECORD, name)
			elseif i % 4 == 2 then
				edit(t, "exp_1/stage1_c" .. RECORD)
			else
				sh(t, "mkdir -p old; rm -rf old/%d; test ! -d exp_3 || mv exp_3 old/%d", i, i)
			end
			if i % 5 == 0 then
				t:settle()
			end
			t:ok({ "list" }, t:options())
			if i % 3 == 0 then
				t:same()
			end
		end
	end)
end)

