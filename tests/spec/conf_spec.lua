--- Configuration: where a value comes from, and how a slip of the pen is told.

local conf = require("unit").conf

local function write(path, text)
	local file = assert(io.open(path, "wb"))
	assert(file:write(text))
	assert(file:close())
end

local function capture(command)
	local pipe = assert(io.popen(command))
	local text = pipe:read("a")
	pipe:close()
	return (text:gsub("\n$", ""))
end

describe("the configuration", function()
	local root, project
	local variables = {}

	local function setenv(name, value)
		variables[name] = true
		conf.setenv(name, value)
	end

	--- Load a project whose thhost.ini has this text.
	local function load(text)
		write(project .. "/thhost.ini", text)
		return conf.load(project)
	end

	--- The error of such a project, without the path of the file.
	local function fault(text)
		local loaded, message, code = load(text)
		assert.is_nil(loaded)
		assert.equal("invalid", code)
		return (message:gsub("^" .. project:gsub("%p", "%%%0") .. "/", ""))
	end

	before_each(function()
		root = capture("mktemp -d")
		project = root .. "/project"
		assert(os.execute("mkdir -p '" .. project .. "/deep/er' '" .. root .. "/xdg/thhost'"))
		for _, key in ipairs(conf.keys()) do
			conf.setenv(key.variable, nil)
		end
		setenv("THHOST_CONFIG", nil)
		setenv("XDG_CONFIG_HOME", root .. "/xdg")
	end)

	after_each(function()
		for name in pairs(variables) do
			conf.setenv(name, nil)
		end
		os.execute("rm -r '" .. root .. "'")
	end)

	describe("precedence", function()
		it("goes from default to user to project to environment to flag", function()
			local function timeout()
				local loaded = assert(conf.load(project))
				return loaded:int("record.lock_timeout_s"),
					loaded:origin("record.lock_timeout_s")
			end
			assert.same({ 60, "default" }, { timeout() })
			local user = root .. "/xdg/thhost/thhost.ini"
			write(user, "[record]\nlock_timeout_s = 61\n")
			assert.same({ 61, user .. ":2" }, { timeout() })
			write(project .. "/thhost.ini", "\n[record]\nlock_timeout_s=62\n")
			assert.same({ 62, project .. "/thhost.ini:3" }, { timeout() })
			setenv("THHOST_LOCK_TIMEOUT", "63")
			assert.same({ 63, "environment THHOST_LOCK_TIMEOUT" }, { timeout() })
			local loaded = assert(conf.load(project))
			assert(loaded:set_flag("record.lock_timeout_s", "64"))
			assert.equal(64, loaded:int("record.lock_timeout_s"))
			assert.equal("flag", loaded:origin("record.lock_timeout_s"))
		end)

		it("needs no home", function()
			local home = os.getenv("HOME")
			setenv("XDG_CONFIG_HOME", nil)
			conf.setenv("HOME", nil)
			local loaded, message = conf.load(project)
			conf.setenv("HOME", home)
			assert.is_truthy(loaded, message)
		end)

		it("takes an empty variable for none", function()
			setenv("THHOST_ROOT", "")
			assert.equal("artifact", assert(conf.load(project)):get("artifact.root"))
		end)

		it("finds the project from a directory within it", function()
			write(project .. "/thhost.ini", "[artifact]\nroot = out\n")
			local loaded = assert(conf.load(project .. "/deep/er"))
			assert.equal(project, loaded:project_dir())
			assert.equal(project .. "/out", loaded:path("artifact.root"))
		end)

		it("uses a named file instead of searching, and wants it to exist", function()
			write(project .. "/thhost.ini", "[ui]\ncolor = always\n")
			write(root .. "/other.ini", "[ui]\ntime = iso\n")
			local loaded = assert(conf.load(project, root .. "/other.ini"))
			assert.equal("auto", loaded:get("ui.color"))
			assert.equal("iso", loaded:get("ui.time"))
			setenv("THHOST_CONFIG", root .. "/other.ini")
			assert.equal("iso", assert(conf.load(project)):get("ui.time"))
			local none, message = conf.load(project, root .. "/absent.ini")
			assert.is_nil(none)
			assert.matches("absent.ini", message, 1, true)
		end)

		it("does not use a project file that anybody may change, unless it is named", function()
			write(project .. "/thhost.ini", "[ui]\ntime = iso\n")
			assert(os.execute("chmod 666 '" .. project .. "/thhost.ini'"))
			local none, message, code = conf.load(project .. "/deep")
			assert.is_nil(none)
			assert.equal("invalid", code)
			assert.matches("may have been written by anybody", message, 1, true)
			assert(conf.load(project, project .. "/thhost.ini"))
		end)

		it("has nothing to say without files", function()
			local loaded = assert(conf.load(project))
			assert.is_nil(loaded:project_dir())
			assert.equal(project .. "/artifact", loaded:path("artifact.root"))
		end)
	end)

	describe("a path", function()
		it("starts from the file that names it, the home directory or the root", function()
			local loaded = assert(load("[plugins]\npath = mine: ~/theirs :/abs/../x:\n"))
			setenv("HOME", "/home/someone")
			assert.same({ project .. "/mine", "/home/someone/theirs", "/x" },
				loaded:paths("plugins.path"))
		end)

		it("of the environment starts from the current directory", function()
			write(project .. "/thhost.ini", "")
			setenv("THHOST_ROOT", "elsewhere")
			local loaded = assert(conf.load(project .. "/deep"))
			assert.equal(project .. "/deep/elsewhere", loaded:path("artifact.root"))
		end)
	end)

	describe("what inih would pass over in silence", function()
		local long = ("x"):rep(300)

		it("is refused: a line that it would cut", function()
			assert.matches("^thhost.ini:2: the line is 307 bytes long; 198 at most",
				fault("[stage s]\nkey  = " .. long .. "\n"))
			assert(load("[stage s]\nk = " .. long:sub(1, 194) .. "\n"))
			assert.matches("^thhost.ini:2: the line is 199",
				fault("[stage s]\nk = " .. long:sub(1, 195)))
		end)

		it("is refused: a name that it would cut", function()
			assert.matches("^thhost.ini:1: the section's name is 50 bytes long; 49 at most",
				fault("[stage " .. long:sub(1, 44) .. "]\n"))
			assert.matches("^thhost.ini:2: the key is 50 bytes long; 49 at most",
				fault("[stage s]\n" .. long:sub(1, 50) .. " = 1\n"))
		end)

		it("is refused: text after a section, and a section without its end", function()
			assert.equal("thhost.ini:1: unexpected text after '[ui]'", fault("[ui] color = x\n"))
			assert.equal("thhost.ini:1: expected ']' after the section's name", fault("[ui\n"))
			assert(load("[ui] ; about looks\ncolor = never ; plain\n"))
		end)

		it("is refused: a key that its indentation makes part of the value above", function()
			assert.matches("^thhost.ini:3: 'time' is indented",
				fault("[ui]\npager = less\n  time = iso\n"))
			assert.matches("^thhost.ini:3: an indented section",
				fault("[ui]\npager = less\n  [record]\n"))
		end)

		it("is refused: a comment that starts inside quotes", function()
			assert.matches("^thhost.ini:2: a ';' after a blank starts a comment, even inside",
				fault('[stage s]\ncommand = sh -c "a ; b"\n'))
			local loaded = assert(load("[stage s]\ncommand = sh -c 'a;b' ; it's \"fine ; here\"\n"))
			assert.equal("sh -c 'a;b'", loaded:stage("s", nil, "command"))
			loaded = assert(load("[stage s]\nnote = don't ; that's a comment\n"))
			assert.equal("don't", loaded:stage("s", nil, "note"))
		end)

		for _, case in ipairs {
			{ "a NUL byte", "[ui]\ncolor = au\0to\n", "2: a NUL byte" },
			{ "no UTF-8", "[stage s]\nk = \xff\n", "2: not valid UTF-8" },
			{ "a control character", "[stage s]\nk = a\27[2J\n", "2: control character 0x1b" },
			{ "no value", "[ui]\ncolor\n", "2: expected 'key = value'" },
			{ "no key", "[ui]\n= auto\n", "2: expected a key before '='" },
			{ "no section", "color = auto\n", "1: a key before the first [section]" },
		} do
			it("is refused: " .. case[1], function()
				assert.matches("thhost.ini:" .. case[3], fault(case[2]), 1, true)
			end)
		end
	end)

	describe("a wrong name", function()
		for _, case in ipairs {
			{ "[uii]\ncolor=auto\n", "2: unknown section [uii]; did you mean [ui]?" },
			{ "[xqzvwkjy]\ncolor=auto\n", "2: unknown section [xqzvwkjy]; there are artifact, plugins," },
			{ "[ui]\ncolour=auto\n", "2: unknown key 'colour' in [ui]; did you mean 'color'?" },
			{ "[ui]\nroot=x\n", "2: unknown key 'root' in [ui]; it belongs to [artifact]" },
			{ "[ui]\nfoo=x\n", "2: unknown key 'foo' in [ui]" },
			{ "[ui]\ntime=iso\n[run]\n[ui]\ntime=iso\n", "5: 'time' was set before, in line 2" },
			{ "[stage a]\nk=1\nk=2\n", "3: 'k' was set before, in line 2" },
			{ "[stage ../x]\nk=1\n", "2: " },
			{ "[stage s/..]\nk=1\n", "2: " },
			{ "[stage]\nk=1\n", "2: " },
		} do
			it("is told with its line: " .. case[1]:gsub("\n", "|"), function()
				assert.matches("thhost.ini:" .. case[2], fault(case[1]), 1, true)
			end)
		end
	end)

	describe("a value of the wrong kind", function()
		for _, case in ipairs {
			{ "[run]\ngrace_s = 10s\n", "'10s' for 'grace_s' is not a whole number from 0 to 3600" },
			{ "[run]\ngrace_s = 99999999999999999999\n", "is not a whole number" },
			{ "[run]\ngrace_s = -1\n", "is not a whole number" },
			{ "[run]\ngrace_s =\n", "is not a whole number" },
			{ "[run]\nstrict = maybe\n", "'maybe' for 'strict' is neither yes nor no" },
			{ "[ui]\ncolor = red\n", "'red' for 'color' is none of: auto always never" },
			{ "[artifact]\nroot =\n", "'root' must not be empty" },
		} do
			it("is told with its line: " .. case[1]:gsub("\n", "|"), function()
				local message = fault(case[1])
				assert.matches("^thhost.ini:2: ", message)
				assert.matches(case[2], message, 1, true)
			end)
		end

		it("is told with the variable's name, and as usage where a flag gives it", function()
			setenv("THHOST_LOCK_TIMEOUT", "soon")
			local none, message = conf.load(project)
			assert.is_nil(none)
			assert.matches("^environment THHOST_LOCK_TIMEOUT: 'soon'", message)
			setenv("THHOST_LOCK_TIMEOUT", nil)
			local loaded = assert(conf.load(project))
			assert.equal("usage", select(3, loaded:set_flag("ui.color", "red")))
			assert.equal("usage", select(3, loaded:set_flag("ui.colour", "auto")))
		end)

		it("is not there for the words of yes and no", function()
			for word, meaning in pairs { yes = true, ["true"] = true, on = true, ["1"] = true,
				no = false, ["false"] = false, off = false, ["0"] = false } do
				assert.equal(meaning, assert(load("[run]\nstrict=" .. word)):bool("run.strict"))
			end
		end)
	end)

	it("keeps a long value over indented lines, comments and blank lines between", function()
		local loaded = assert(load("[stage s]\ncommand = python train.py ; the trainer\n" ..
			"  --lr=5e-5 ; a rate\n\n# about the next\n\t--epochs 3 http://x;y\nafter = 1\r\n"))
		assert.equal("python train.py --lr=5e-5 --epochs 3 http://x;y",
			loaded:stage("s", nil, "command"))
		assert.equal("1", loaded:stage("s", nil, "after"))
	end)

	it("reads a file with a byte order mark and carriage returns", function()
		assert.equal("iso", assert(load("\xef\xbb\xbf[ui]\r\ntime = iso\r\n")):get("ui.time"))
	end)

	it("splits a comma list and leaves empty parts out", function()
		local loaded = assert(load("[record]\nmask = a, b ,,\n  c*,\n"))
		assert.same({ "a", "b", "c*" }, loaded:list("record.mask"))
	end)

	describe("a stage's section", function()
		local text = "[stage  stage3]\ncommand = general\nlr = 1\nepochs = 3\n" ..
			"[stage stage3/my_biz]\ncommand = special\nlr = 2\n[stage stage33]\nlr = 9\n"

		it("gives way to the one for the dataset", function()
			local loaded = assert(load(text))
			assert.equal("special", loaded:stage("stage3", "my_biz", "command"))
			assert.equal("general", loaded:stage("stage3", "hrds", "command"))
			assert.equal("general", loaded:stage("stage3", nil, "command"))
			assert.is_nil(loaded:stage("stage4", "hrds", "command"))
			assert.is_nil(loaded:stage("stage3", "my_biz", "base_model"))
		end)

		it("hands its free keys to the plugin", function()
			local loaded = assert(load(text))
			assert.same({ lr = "2", epochs = "3" }, loaded:stage_all("stage3", "my_biz"))
			assert.same({ lr = "1", epochs = "3" }, loaded:stage_all("stage3", nil))
			assert.same({}, loaded:stage_all("stage9", nil))
		end)

		it("of the project replaces the user's, key by key", function()
			write(root .. "/xdg/thhost/thhost.ini", "[stage s]\nlr = 1\nwarmup = 5\n")
			local loaded = assert(load("[stage s]\nlr = 2\n"))
			assert.same({ lr = "2", warmup = "5" }, loaded:stage_all("s", nil))
		end)

		it("has room for many keys, but not for any number", function()
			local lines = { "[stage s]" }
			for i = 1, 5000 do
				lines[#lines + 1] = "key" .. i .. " = 1"
			end
			assert.matches("more than 2000 keys", fault(table.concat(lines, "\n")))
		end)
	end)

	describe("a command line", function()
		for _, case in ipairs {
			{ "python  train.py", { "python", "train.py" } },
			{ [[a 'b c' "d \"e\" \n" f\ g]], { "a", "b c", [[d "e" \n]], "f g" } },
			{ [[--x='1 2'y '' ""]], { "--x=1 2y", "", "" } },
			{ "$HOME *.py; rm -r /", { "$HOME", "*.py;", "rm", "-r", "/" } },
			{ "训练 中文", { "训练", "中文" } },
		} do
			it("is split into words: " .. case[1], function()
				assert.same(case[2], conf.split_command(case[1]))
			end)
		end

		for _, text in ipairs { "a 'b", 'a "b', "a \\", "", "  \t" } do
			it("is refused: <" .. text .. ">", function()
				assert.equal("invalid", select(3, conf.split_command(text)))
			end)
		end
	end)

	describe("the reference config/thhost.ini", function()
		--- Its live keys in order, with the line above each.
		local function reference()
			local keys, section, before = {}, nil, ""
			for line in io.lines("config/thhost.ini") do
				section = line:match("^%[(%w+)%]") or section
				local key = line:match("^([%w_]+) =")
				if key then
					keys[#keys + 1] = { name = section .. "." .. key, before = before }
				end
				before = line
			end
			return keys
		end

		it("has every key, in the order of the table, each explained with its variable", function()
			local text = assert(io.open("config/thhost.ini")):read("a")
			local found = reference()
			for i, key in ipairs(conf.keys()) do
				assert.equal(key.name, found[i] and found[i].name)
				assert.matches("^# ", found[i].before)
				assert.matches("Variable: " .. key.variable .. "\n", text, 1, true)
			end
			assert.equal(#conf.keys(), #found)
		end)

		it("loads, and sets nothing but the defaults", function()
			local loaded = assert(conf.load(project, "config/thhost.ini"))
			for _, key in ipairs(conf.keys()) do
				assert.equal(key.preset, (loaded:get(key.name):gsub(", ", ",")), key.name)
				assert.matches("config/thhost.ini:", loaded:origin(key.name), 1, true)
			end
		end)
	end)
end)
