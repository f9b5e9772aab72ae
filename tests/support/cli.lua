--- Running the built program from a spec.
local M = {}

local thhost = assert(os.getenv("THHOST"), "run the specs through 'make test'")
local is_asan = os.getenv("THHOST_MODE") == "asan"

--- A word that a shell takes as it is.
---@param text string
---@return string
function M.quote(text)
	return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- The whole content of a file, or nil.
---@param path string
---@return string|nil
function M.read(path)
	local file = io.open(path, "rb")
	if not file then
		return nil
	end
	local text = file:read("a")
	file:close()
	return text
end

---@param path string
---@param text string
function M.write(path, text)
	local file = assert(io.open(path, "wb"))
	assert(file:write(text))
	assert(file:close())
end

--- The output of a shell command, without its last newline; fails the spec if it fails.
---@param command string
---@return string
function M.shell(command)
	local pipe = assert(io.popen(command .. " 2>&1", "r"))
	local out = pipe:read("a")
	local ok, how, status = pipe:close()
	assert(ok, ("%s: %s %s\n%s"):format(command, how, status, out))
	return (out:gsub("\n$", ""))
end

--- A fresh directory. The caller removes it with M.remove.
---@return string
function M.temp_dir()
	return M.shell("mktemp -d")
end

---@param path string
function M.remove(path)
	assert(path:match("^/tmp/") or path:match("/tmp%."), "only what temp_dir made: " .. path)
	os.execute("chmod -R u+rwx " .. M.quote(path) .. " 2>/dev/null; rm -rf " .. M.quote(path))
end

--- What a run of the program gave.
---@class support.Result
---@field status integer exit status; 128 + signal when a signal ended it
---@field out string stdout
---@field err string stderr

--- Run thhost.
---@param args string[] arguments
---@param options? { cwd?: string, env?: table<string, string|false>, input?: string, prefix?: string,
---   program?: string }
---   env: variables to set, false removes one; prefix: shell words put in front ("strace -f ...");
---   program: another build of it
---@return support.Result
function M.run(args, options)
	options = options or {}
	local out_name, err_name = os.tmpname(), os.tmpname()
	local words = { "env", "-u", "LD_PRELOAD" }
	for name, value in pairs(options.env or {}) do
		if value == false then
			table.insert(words, 2, M.quote(name))
			table.insert(words, 2, "-u")
		else
			words[#words + 1] = M.quote(name .. "=" .. value)
		end
	end
	if is_asan then
		words[#words + 1] = "ASAN_OPTIONS=detect_leaks=1:exitcode=99"
		words[#words + 1] = "LSAN_OPTIONS=exitcode=99"
	end
	words[#words + 1] = options.prefix or ""
	words[#words + 1] = M.quote(options.program or thhost)
	for _, arg in ipairs(args) do
		words[#words + 1] = M.quote(arg)
	end
	local input_name = "/dev/null"
	if options.input then
		input_name = os.tmpname()
		M.write(input_name, options.input)
	end
	local command = ("cd %s && %s <%s >%s 2>%s"):format(M.quote(options.cwd or "."),
		table.concat(words, " "), input_name, out_name, err_name)
	local _, how, status = os.execute(command)
	local result = {
		status = how == "signal" and 128 + status or status,
		out = M.read(out_name),
		err = M.read(err_name),
	}
	os.remove(out_name)
	os.remove(err_name)
	if options.input then
		os.remove(input_name)
	end
	return result
end

--- Wait until `condition` gives something true; fails after `seconds` (default 20).
---@generic T
---@param what string for the message
---@param condition fun(): T
---@param seconds? number
---@return T
function M.wait_for(what, condition, seconds)
	local deadline = os.time() + (seconds or 20)
	repeat
		local value = condition()
		if value then
			return value
		end
		os.execute("sleep 0.02")
	until os.time() > deadline
	error("waited in vain for " .. what)
end

--- True where a missing tool or file must be an error, not a skip.
---@return boolean
function M.is_ci()
	return os.getenv("CI") == "true"
end

--- Skip the current spec with a word, or fail in CI.
---@param why string
function M.skip(why)
	assert(not M.is_ci(), why .. " (and this is CI)")
	require("busted").pending(why)
end

M.thhost = thhost

return M
