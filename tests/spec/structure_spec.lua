-- config/dev/check_structure.sh: the source keeps to the house, and what does not is found.

local function shell(command)
	local pipe = assert(io.popen(command .. " 2>&1"))
	local text = pipe:read("a")
	local _, _, status = pipe:close()
	return status, text
end

local function check(tree)
	return shell(("sh config/dev/check_structure.sh '%s'"):format(tree))
end

--- Put lines in front of a file, or after it.
local function change(path, where, lines)
	local file = assert(io.open(path))
	local text = file:read("a")
	file:close()
	file = assert(io.open(path, "w"))
	assert(file:write(where == "before" and lines .. text or text .. lines))
	file:close()
end

describe("the structure of the source", function()
	local tree

	before_each(function()
		tree = select(2, shell("mktemp -d")):gsub("\n", "")
		assert.equal(0, (shell(("cp -r src '%s'"):format(tree))))
	end)

	after_each(function()
		shell(("rm -rf '%s'"):format(tree))
	end)

	it("is in order", function()
		assert.same({ 0, "" }, { check(".") })
		assert.same({ 0, "" }, { check(tree) })
	end)

	for _, case in ipairs({
		{ "a layer that includes upwards", "base/str.c", "after", '#include "model/info.h"\n',
			"src/base/str.c:%d+: layer 'base' may not include 'model'" },
		{ "sys that includes model", "sys/json.h", "after", '#include "model/conf.h"\n',
			"src/sys/json.h:%d+: layer 'sys' may not include 'model'" },
		{ "siblings that meet", "capture/git.c", "after", '#include "script/plugin.h"\n',
			"src/capture/git.c:%d+: layer 'capture' may not include 'script'" },
		{ "siblings that meet the other way", "script/raw.c", "after", '#include "capture/git.h"\n',
			"src/script/raw.c:%d+: layer 'script' may not include 'capture'" },
		{ "app that includes cli", "app/run.c", "after", '#include "cli/opt.h"\n',
			"layer 'app' may not include 'cli'" },
		{ "a folder that does not exist", "cli/main.c", "after", '#include "web/http.h"\n',
			"layer 'cli' may not include 'web'" },
		{ "Lua outside of script", "app/run.c", "after", "#include <lua.h>\n",
			"src/app/run.c:%d+: <lua.h> has its door in src/script" },
		{ "a second door to inih", "model/store.c", "after", "#include <ini.h>\n",
			"src/model/store.c:%d+: <ini.h> has its door" },
		{ "a second door to libyaml", "model/store.c", "after", "#include <yaml.h>\n",
			"<yaml.h> has its door" },
		{ "a second door to nettle", "capture/git.c", "after", "#include <nettle/sha2.h>\n",
			"<nettle/sha2.h> has its door" },
		{ "a locale", "cli/main.c", "after", 'void f(void) { setlocale(0, ""); }\n',
			"setlocale would change how numbers are written" },
		{ "a header without its purpose", "base/str.h", "before", "#pragma once\n",
			"src/base/str.h: does not begin with its purpose" },
		{ "another header before base.h", "base/str.c", "before", "#include <stdio.h>\n",
			"src/base/str.c:1: base/base.h comes first" },
	}) do
		it("is refused for " .. case[1], function()
			change(tree .. "/src/" .. case[2], case[3], case[4])
			local status, text = check(tree)
			assert.matches(case[5], text)
			assert.equal(1, select(2, text:gsub("\n", "\n")))
			assert.equal(1, status)
		end)
	end

	it("is refused for a folder that is no layer", function()
		shell(("mkdir '%s/src/util'"):format(tree))
		local status, text = check(tree)
		assert.matches("src/util/: no layer of this house", text)
		assert.equal(1, status)
	end)
end)
