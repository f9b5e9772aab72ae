--- Files that are not what they should be, in place of the record, the configuration, a plugin's input
--- and a run of the journal: an error that names the file and the cause, in bounded time, and nothing lost.
local cjson = require "cjson"
local cli = require "support.cli"
local storage = require "support.storage"
local tree = require "support.tree"

local DIGITS = ("9"):rep(400)
local DEEP = ("["):rep(100000)

-- Ends a reader that hangs (status 124) or takes a gigabyte; ASan wants more address space than that.
local BOUNDS = storage.is_asan and "timeout 60" or "timeout 60 prlimit --as=1500000000"

local function make(command)
	return function(path)
		cli.shell((command:gsub("PATH", function() return cli.quote(path) end)))
	end
end

--- What can lie in place of a file: name, maker, and what an error calls it.
local OBJECTS = {
	{ "a directory", make "mkdir PATH", "is a directory" },
	{ "a FIFO", make "mkfifo PATH", "is a FIFO" },
	{ "a device", make "mknod PATH c 1 5 && chmod 644 PATH", "is a device" },
	{ "two gigabytes", make [[printf '{"model_name":"' >PATH && truncate -s 2G PATH]], "is larger than" },
}

local function can_make_device()
	local dir = cli.temp_dir()
	local can = os.execute(("mknod %s/x c 1 5 2>/dev/null"):format(dir)) == true
	cli.remove(dir)
	return can
end

local HAS_DEVICES = can_make_device()

--- Run `body` for each object that can be made here.
local function each_object(body)
	for _, object in ipairs(OBJECTS) do
		it(object[1], function()
			if object[1] == "a device" and not HAS_DEVICES then
				return cli.skip("no device can be made here")
			end
			body(object[2], object[3], object[1])
		end)
	end
end

--- Keep adding bytes to a file in the background; the function stops it.
local function grow(path, bytes)
	local pid = cli.shell(([[{ while :; do printf %%s %s >>%s; sleep 0.001; done; } >/dev/null 2>&1 & echo $!]])
		:format(cli.quote(bytes), cli.quote(path)))
	return function()
		cli.shell("kill -9 " .. pid)
	end
end

describe("in place of the record,", function()
	local t, path, good

	before_each(function()
		t = tree.new()
		t:record("d", "-q", "-p", "x=1")
		path = t.root .. "/exp_1/stage1_d/training_info.json"
		good = cli.read(path)
	end)

	after_each(function()
		t:close()
	end)

	local function with(text)
		local changed = good:gsub('"x": 1', function() return '"x": ' .. text end)
		assert(changed ~= good)
		return changed
	end

	local function record()
		return t:run({ "record", "stage1", "-d", "d", "--steps", "5" }, { prefix = BOUNDS })
	end

	--- The entry waits, and goes in when the cause is gone.
	local function check_spooled(result, message)
		assert.are.equal(7, result.status, result.err)
		assert.is_truthy(result.err:find("stage1_d/training_info.json", 1, true), result.err)
		assert.is_truthy(result.err:find(message, 1, true), result.err)
		cli.shell("rm -rf " .. cli.quote(path))
		cli.write(path, good)
		t:ok { "repair", "stage1_d" }
		assert.are.equal(15, t:info("stage1_d").total_steps)
	end

	for name, case in pairs({
		["a byte order mark"] = { function() return "\xEF\xBB\xBF" .. good end,
			":1:1: the text starts with a byte order mark" },
		["a repeated key"] = { function() return (good:gsub('"stage": ', '"stage": "s", %0', 1)) end,
			":3: 'stage' is there more than once" },
		["bytes that are no UTF-8"] = { function() return with '"\xFF"' end, ": invalid UTF-8 in a string" },
		["100,000 levels"] = { function() return with(DEEP) end, ": nested deeper than 64 levels" },
		["an integer of 400 digits for the steps"] = { function()
			return (good:gsub('"steps": 10', '"steps": ' .. DIGITS))
		end, ":13: 'training_history[0].steps' must be an integer" },
	}) do
		it(name .. ": refused, the file stays and the entry waits", function()
			local text = case[1]()
			cli.write(path, text)
			local result = record()
			assert.are.equal(text, cli.read(path))
			check_spooled(result, case[2])
		end)
	end

	for name, value in pairs({ ["NaN"] = "NaN", ["an integer of 400 digits"] = DIGITS,
		["a repeated key far below"] = '{"a": 1, "a": 2}' }) do
		it(name .. " where no rule looks: kept to the byte", function()
			local text = with(value)
			cli.write(path, text)
			assert.are.equal(0, record().status)
			local fresh = cli.read(path)
			local entry = assert(text:match("%s+{%s+\"dataset\".*}\n  %]"):match("^(.*)\n  %]$"))
			assert.is_truthy(fresh:find(entry, 1, true), fresh)
			assert.is_truthy(fresh:find('"total_steps": 15', 1, true))
		end)
	end

	it("CRLF: the new entry has it, too", function()
		cli.write(path, (good:gsub("\n", "\r\n")))
		assert.are.equal(0, record().status)
		local fresh = cli.read(path)
		assert.is_nil(fresh:gsub("\r\n", ""):find("[\r\n]"))
		assert.are.equal(15, t:info("stage1_d").total_steps)
	end)

	each_object(function(put, word)
		os.remove(path)
		put(path)
		check_spooled(record(), word)
	end)

	it("a link out of the tree", function()
		local outside = t.dir .. "/outside.json"
		os.remove(path)
		cli.write(outside, good)
		cli.shell(("ln -s %s %s"):format(outside, path))
		local result = record()
		assert.are.equal(good, cli.read(outside))
		check_spooled(result, "is a symbolic link")
	end)

	it("a file that grows while it is read: in it or waiting, and what grew is not lost", function()
		local stop = grow(path, " \n")
		local result = record()
		stop()
		assert.is_truthy(result.status == 0 or result.status == 4 or result.status == 7, result.err)
		if result.status == 7 then
			t:ok { "repair", "stage1_d" }
		elseif result.status == 4 then
			assert.are.equal(0, record().status)
		end
		assert.are.equal(15, t:info("stage1_d").total_steps)
		t:ok { "verify" }
	end)
end)

describe("in place of the configuration,", function()
	local t, path

	before_each(function()
		t = tree.bare()
		path = t.dir .. "/thhost.ini"
	end)

	after_each(function()
		t:close()
	end)

	local function refused(message)
		local result = t:run({ "config", "list" }, { prefix = BOUNDS })
		assert.are.equal(5, result.status, result.err)
		assert.is_truthy(result.err:find(path, 1, true), result.err)
		assert.is_truthy(result.err:find(message, 1, true), result.err)
	end

	for name, case in pairs({
		["a repeated key"] = { "[ui]\ncolor = never\ncolor = never\n", ":3: 'color' was set before, in line 2" },
		["bytes that are no UTF-8"] = { "[ui]\ncolor = \xFF\n", ":2: not valid UTF-8" },
		["nan for a number"] = { "[record]\nlock_timeout_s = nan\n", ":2: 'nan' for 'lock_timeout_s'" },
		["170 digits for a number"] = { "[record]\nlock_timeout_s = " .. ("9"):rep(170) .. "\n", ":2: '999" },
		["a line of 100,000 brackets"] = { DEEP, ":1: the line is 100000 bytes long" },
		["a NUL byte"] = { "[ui]\0\n", ":1: a NUL byte" },
	}) do
		it(name, function()
			cli.write(path, case[1])
			refused(case[2])
		end)
	end

	it("a byte order mark and CRLF are fine", function()
		cli.write(path, "\xEF\xBB\xBF[ui]\r\ncolor = never\r\n")
		assert.are.equal("never\n", t:ok({ "config", "get", "ui.color" }).out)
	end)

	each_object(function(put, word)
		put(path)
		refused(word)
	end)

	it("a link to a device that never ends", function()
		cli.shell("ln -s /dev/zero " .. path)
		refused("not used")
		local result = t:run({ "config", "list", "--config", "/dev/zero" }, { prefix = BOUNDS })
		assert.are.equal(5, result.status, result.err)
		assert.is_truthy(result.err:find("'/dev/zero' is a device", 1, true), result.err)
	end)

	it("a file that grows without end", function()
		cli.write(path, "[ui]\n")
		local stop = grow(path, "# more\n")
		local result = t:run({ "config", "get", "ui.color" }, { prefix = BOUNDS })
		stop()
		assert.are.equal(0, result.status, result.err)
		assert.are.equal("auto\n", result.out)
	end)
end)

describe("in place of a plugin's input,", function()
	local t, dir
	local STATE = [[{"global_step": 10, "max_steps": 10, "epoch": 1.0, "log_history": []] ..
		[[{"eval_f1": 0.5, "step": 10, "epoch": 1.0}, {"train_runtime": 1.5, "step": 10}]}]]

	before_each(function()
		t = tree.new()
		dir = t.root .. "/exp_1/stage1_x"
		cli.shell("mkdir -p " .. dir)
	end)

	after_each(function()
		t:close()
	end)

	local function record()
		return t:run({ "record", "stage1", "-d", "x", "--from", dir }, { prefix = BOUNDS })
	end

	local function refused(status, message)
		local result = record()
		assert.are.equal(status, result.status, result.err .. result.out)
		assert.is_truthy(result.err:find(message, 1, true), result.err)
		assert.is_nil(cli.read(dir .. "/training_info.json"))
	end

	local function state(pattern, value)
		return (STATE:gsub(pattern, function() return value end, 1))
	end

	for name, case in pairs({
		["a byte order mark"] = { 6, "\xEF\xBB\xBF" .. STATE,
			"trainer_state.json:1:1: the text starts with a byte order mark" },
		["NaN for a metric that has limits"] = { 5, state("0%.5", "NaN"), "entry.metrics.f1: nan is not within limits" },
		["bytes that are no UTF-8"] = { 6, state("1%.0", '"\xFF"'), "trainer_state.json:1:48: invalid UTF-8" },
		["100,000 levels"] = { 6, state("1%.0", DEEP), "trainer_state.json:1:110: nested deeper" },
		["an integer of 400 digits"] = { 6, state("10", DIGITS), "no whole number 'global_step'" },
		["half a file"] = { 6, STATE:sub(1, 60), "trainer_state.json:1:61: expected a closing quote, but the text ends" },
	}) do
		it("trainer_state.json: " .. name, function()
			cli.write(dir .. "/trainer_state.json", case[2])
			refused(case[1], case[3])
		end)
	end

	it("trainer_state.json: CRLF is fine", function()
		cli.write(dir .. "/trainer_state.json", (STATE:gsub(", ", ",\r\n")))
		assert.are.equal(0, record().status)
		assert.are.equal(10, t:info("stage1_x").total_steps)
	end)

	each_object(function(put, word, name)
		put(dir .. "/trainer_state.json")
		local irregular = name == "a FIFO" or name == "a device"
		refused(6, "'trainer_state.json' " .. (irregular and "is not a regular file" or word))
	end)

	for _, name in ipairs { "trainer_state.json", "train.log" } do
		it(name .. ": a link out of the tree is not followed", function()
			cli.write(t.dir .. "/outside", STATE)
			cli.shell(("ln -s %s/outside %s/%s"):format(t.dir, dir, name))
			refused(6, "no trainer_state.json")
		end)
	end

	it("the log: a FIFO", function()
		cli.shell("mkfifo " .. dir .. "/train.log")
		refused(6, "'train.log' is not a regular file")
	end)

	it("the log: bytes of every kind, two gigabytes, one line", function()
		cli.write(dir .. "/train.log", "\xEF\xBB\xBF\xFF\0" .. DEEP .. "\r\nProcess rank: 0\r\n")
		cli.shell("truncate -s 2G " .. dir .. "/train.log")
		local result = record()
		assert.are.equal(6, result.status, result.err)
		assert.is_truthy(result.err:find("plugin 'stage1'", 1, true), result.err)
	end)

	it("the log: growing while it is read", function()
		cli.write(dir .. "/train.log", "Process rank: 0\n{'loss': 0.5, 'epoch': 1}\n")
		cli.write(dir .. "/trainer_state.json", STATE)
		local stop = grow(dir .. "/train.log", "{'loss': 0.4, 'epoch': 1}\n")
		local result = record()
		stop()
		assert.are.equal(0, result.status, result.err)
		assert.are.equal(10, t:info("stage1_x").total_steps)
	end)
end)

describe("in place of a run of the journal,", function()
	local ID = "0199f6a0-7a3c-7c44-9c51-1b2f7f3f2a10"
	local t, path

	before_each(function()
		t = tree.new()
		t:record("d", "-q")
		local runs = t.root .. "/exp_1/stage1_d/.thhost/runs"
		cli.shell("mkdir -p " .. runs)
		cli.write(runs .. "/" .. ID:gsub("a10$", "a11") .. ".json", cjson.encode { schema = "thhost.run/1",
			run_id = ID:gsub("a10$", "a11"), state = "failed", stage = "stage1", dataset = "d" })
		path = ("%s/%s.json"):format(runs, ID)
	end)

	after_each(function()
		t:close()
	end)

	--- It is named, and hides neither the record nor the other run.
	local function check(message)
		local result = t:run({ "verify" }, { prefix = BOUNDS })
		assert.are.equal(1, result.status, result.out .. result.err)
		local talk = result.out .. result.err
		assert.is_truthy(talk:find(ID, 1, true), talk)
		assert.is_truthy(talk:find(message, 1, true), talk)
		result = t:run({ "list" }, { prefix = BOUNDS })
		assert.are.equal(0, result.status, result.err)
		assert.is_truthy(result.out:find("stage1_d", 1, true), result.out)
		t:record("d", "-q")
		assert.are.equal(20, t:info("stage1_d").total_steps)
	end

	local RUN = ('{"schema":"thhost.run/1","run_id":"%s","state":"failed","cwd":"x","wall_ms":1}'):format(ID)

	for name, case in pairs({
		["a byte order mark"] = { "\xEF\xBB\xBF" .. RUN, "byte order mark" },
		["NaN"] = { RUN:gsub(":1}", ":NaN}"), "1:" },
		["a repeated key"] = { RUN:gsub(":1}", ':1,"cwd":"y"}'), "duplicate key" },
		["bytes that are no UTF-8"] = { RUN:gsub('"x"', '"\xFF"'), "invalid UTF-8" },
		["100,000 levels"] = { RUN:gsub('"x"', DEEP), "nested deeper" },
		["nothing"] = { "", "the text is empty" },
	}) do
		it(name, function()
			cli.write(path, case[1])
			check(case[2])
		end)
	end

	it("an integer of 400 digits is not taken for a time, CRLF is fine", function()
		cli.write(path, (RUN:gsub(":1}", ":" .. DIGITS .. "}"):gsub(",", ",\r\n")))
		t:ok { "verify" }
	end)

	each_object(function(put, word)
		put(path)
		check(word)
	end)

	it("a link out of the tree", function()
		cli.write(t.dir .. "/outside", RUN)
		cli.shell(("ln -s %s/outside %s"):format(t.dir, path))
		check("is a symbolic link")
	end)
end)
