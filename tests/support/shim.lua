--- A process in which one system call is another than usual: see shim.c.
local storage = require "support.storage"

local M = {}

local libraries = {}

--- Build a library once; nil where that cannot be, and why.
---@param name? string "fail" for that of fail.c; else that of shim.c
---@return string|nil path
---@return string|nil why
function M.library(name)
	name = name or "shim"
	if libraries[name] then
		return libraries[name]
	end
	if storage.is_asan then
		return nil, "a sanitizer is in the way of a preloaded library"
	end
	local path = ("%s/tests/%s.so"):format(assert(os.getenv("THHOST_BUILD")), name)
	local fresh = path .. "." .. require("unit").file.pid()
	local command = ("%s -shared -fPIC -o %s tests/support/%s.c -ldl"):format(os.getenv("CC") or "cc",
		storage.quote(fresh), name)
	if not os.execute(command) or not os.rename(fresh, path) then
		return nil, "the preloaded library cannot be built"
	end
	libraries[name] = path
	return path
end

--- Words to put in front of a command: env LD_PRELOAD=... SHIM_CALL=... . Keys of `what` as in
--- shim.c, in lower case and without "SHIM_": { call = "renameat2", ["do"] = "rm f", when = 2 }.
---@param what table<string, string|integer>
---@return string[]
function M.prefix(what)
	local words = { "env", "LD_PRELOAD=" .. assert(M.library()) }
	for key, value in pairs(what) do
		words[#words + 1] = ("SHIM_%s=%s"):format(key:upper(), value)
	end
	return words
end

--- Run a Lua text in a process of its own, with `dir` as its argument, behind a prefix of words.
---@param dir string where its files go
---@param text string
---@param prefix string[]
---@return string what it wrote to stdout; fails where it does not end with 0
function M.run(dir, text, prefix)
	local file = require("unit").file
	storage.write(dir .. "/driver", text)
	local argv = table.move({ "lua5.4", dir .. "/driver", dir }, 1, 3, #prefix + 1,
		table.move(prefix, 1, #prefix, 1, {}))
	argv.out, argv.err = dir .. "/out", dir .. "/err"
	local how, status = file.wait(file.spawn(argv))
	assert(how == "exit" and status == 0, storage.read(dir .. "/err"))
	return storage.read(dir .. "/out")
end

return M
