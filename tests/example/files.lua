--- Files and directories, as far as plain Lua goes. What fails raises an OSError.

local failure = require "failure"

local M = {}

---@param path string
---@return boolean
function M.exists(path)
	local file = io.open(path, "rb")
	return file ~= nil and file:close()
end

---@param path string
---@return string? content nil if there is no such file
function M.read(path)
	local file = io.open(path, "rb")
	if not file then
		return nil
	end
	local content = file:read("a")
	file:close()
	return content
end

local function put(path, mode, content)
	local file, message = io.open(path, mode)
	local ok = file ~= nil
	if file then
		ok, message = file:write(content)
		local closed, close_message = file:close()
		ok, message = ok and closed, message or close_message
	end
	if not ok then
		failure.raise("OSError", message)
	end
end

---@param path string
---@param content string
function M.write(path, content)
	put(path, "wb", content)
end

--- Append in one write, so that lines of several writers do not mix.
---@param path string
---@param line string
function M.append(path, line)
	put(path, "ab", line)
end

--- Make a directory and those above it. Lua has no call for that, so the shell does it.
---@param path string
function M.make_directory(path)
	local quoted = "'" .. path:gsub("'", "'\\''") .. "'"
	if not os.execute("mkdir -p -- " .. quoted) then
		failure.raise("OSError", "cannot make directory '" .. path .. "'")
	end
end

return M
