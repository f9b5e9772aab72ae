--- Do the tests have teeth? Each mutant is built in a copy of the tree, and the test that stands
--- beside it must fail there, after it has passed on the tree as it is.
local storage = require "support.storage"
local torture = require "support.torture"

local MUTANTS = dofile("tests/torture/mutants.lua")

-- MUTANT=TEXT: only those whose name has it.
local only = os.getenv("MUTANT")
if only then
	for i = #MUTANTS, 1, -1 do
		if not MUTANTS[i][1]:find(only, 1, true) then
			table.remove(MUTANTS, i)
		end
	end
end

-- What a build and a run of the specs read.
local PARTS = { "Makefile", "src", "lua", "config", "plugins", "tests" }

describe("a mutant of the safety code is noticed:", function()
	local tree, clock
	local killed = 0

	local function path(name)
		return tree .. "/" .. name
	end

	local function output(command)
		local pipe = assert(io.popen(command .. " 2>&1"))
		local text = pipe:read("a")
		return pipe:close() == true, text
	end

	--- Not with DEVELOPER=1: what a mutant leaves unused is no error.
	local function build()
		return output(("cd %s && make -s MODE=debug DEVELOPER= BUILD=build test-programs"):format(storage.quote(tree)))
	end

	--- Run the tests whose names begin with 'name'; how many passed, how many did not, and the text.
	local function run(spec, name)
		local words = {
			"cd", storage.quote(tree), "&& env", "THHOST=" .. path("build/thhost"),
				"THHOST_BUILD=" .. path("build"),
			storage.quote(("LUA_PATH=%s/lua/?.lua;%s/tests/?.lua;;"):format(tree, tree)),
			storage.quote(("LUA_CPATH=%s/build/tests/?.so;;"):format(tree)),
			"timeout 300", os.getenv("LUA") or "lua5.4", "$(command -v busted)", "-o plainTerminal",
			"--filter=" .. storage.quote(name:gsub("%p", "%%%0")), ("tests/spec/%s_spec.lua"):format(spec),
		}
		local _, text = output(table.concat(words, " "))
		local passed, failed, errors = text:match("(%d+) success[^\n]-(%d+) fail[^\n]-(%d+) error")
		return tonumber(passed) or 0, (tonumber(failed) or 0) + (tonumber(errors) or 0), text, passed ~= nil
	end

	setup(function()
		clock = torture.clock()
		tree = storage.temp_dir()
		storage.shell("chmod 755 %s", tree) -- one test looks at it as another user
		storage.shell("cp -r " .. table.concat(PARTS, " ") .. " %s", tree)
		local built, text = build()
		assert(built, text)
	end)
	teardown(function()
		storage.remove(tree)
		torture.figure("mutants", "safeties taken away, one at a time", #MUTANTS, #MUTANTS - killed, clock())
	end)

	local passes = {} -- "spec name": already seen to pass
	for _, mutant in ipairs(MUTANTS) do
		local what, name, text, instead, spec, test = table.unpack(mutant)

		it(what, function()
			if storage.is_asan then
				return pending("mutants are built without sanitizers")
			end
			local key = spec .. " " .. test
			local code = assert(storage.read(path(name)))
			local from, to = code:find(text, 1, true)
			assert(from, name .. " has no longer: " .. text)
			assert(not code:find(text, to + 1, true), name .. " has more than one: " .. text)

			if not passes[key] then
				local passed, failed, said = run(spec, test)
				assert(passed > 0 and failed == 0, "without the mutant, " .. key .. ":\n" .. said)
				passes[key] = true
			end
			storage.write(path(name), code:sub(1, from - 1) .. instead .. code:sub(to + 1))
			local built, words = build()
			local _, failed, said, ended
			if built then
				_, failed, said, ended = run(spec, test)
			end
			storage.write(path(name), code)
			local rebuilt, again = build()
			assert(built, "does not build:\n" .. words)
			assert(rebuilt, again)
			assert(failed > 0 or not ended, key .. " did not notice:\n" .. said)
			killed = killed + 1
		end)
	end
end)
