--- What the specs of the plugin host share: build/tests/worker_tool, and files to give it.
local M = {}

local cjson = require("cjson")

local BUILD = os.getenv("THHOST_BUILD") or "build"
M.TOOL = os.getenv("WORKER_TOOL") or BUILD .. "/tests/worker_tool"

local dir

--- A fresh directory for this spec file; removed by `M.cleanup`.
function M.dir()
	if not dir then
		dir = os.tmpname()
		os.remove(dir)
		assert(os.execute("mkdir -m 700 '" .. dir .. "'"))
	end
	return dir
end

function M.cleanup()
	if dir then
		os.execute("rm -rf '" .. dir .. "'")
	end
	dir = nil
end

--- Write a file below the directory, with the directories above it; its path.
function M.write(name, text)
	local path = M.dir() .. "/" .. name
	assert(os.execute(("mkdir -p '%s'"):format(path:match("^(.*)/"))))
	local file = assert(io.open(path, "wb"))
	file:write(text)
	file:close()
	return path
end

local function quote(words)
	local quoted = {}
	for i, word in ipairs(words) do
		quoted[i] = "'" .. word:gsub("'", "'\\''") .. "'"
	end
	return table.concat(quoted, " ")
end

--- Run the tool; its JSON document, and how many seconds it took. `prefix` is shell text that
--- stands before it ("CALL_MS=300", "strace ...").
function M.run(prefix, ...)
	return M.run_tool(prefix, M.TOOL, ...)
end

--- The same for another tool than the one that was built.
function M.run_tool(prefix, ...)
	local command = ("%s %s 2>/dev/null"):format(prefix, quote({ ... }))
	local start = M.now()
	local pipe = assert(io.popen(command))
	local text = pipe:read("a")
	pipe:close()
	local seconds = M.now() - start
	assert(text ~= "", "no answer from: " .. command)
	return cjson.decode(text), seconds
end

--- Start the tool in the background; its pid. Its answer goes to the file `out`.
function M.start(prefix, out, ...)
	local pipe = assert(io.popen(("{ %s exec %s; } >'%s' 2>/dev/null & echo $!"):format(prefix,
		quote({ M.TOOL, ... }), out)))
	local pid = pipe:read("n")
	pipe:close()
	return pid
end

--- Wall-clock seconds with a fraction.
function M.now()
	local file = assert(io.open("/proc/uptime"))
	local seconds = file:read("n")
	file:close()
	return seconds
end

--- The message of an error, or nil.
function M.message(answer)
	return answer.error and answer.error.message
end

return M
