--- What a training left, written by a spec: texts in a fresh directory, and what a reader says.
local cli = require "support.cli"
local readings = require "support.readings"

local M = {}

local function write(dir, texts)
	for name, text in pairs(texts) do
		local path = dir .. "/" .. name
		os.execute("mkdir -p " .. cli.quote(path:match("^(.*)/")))
		local file = assert(io.open(path, "wb"))
		file:write(text)
		file:close()
	end
end

--- Call a function with a directory that has these files; the directory goes away afterwards.
local function with(texts, call)
	local dir = cli.temp_dir()
	local results = table.pack(pcall(function()
		write(dir, texts)
		return call(dir)
	end))
	cli.remove(dir)
	if not results[1] then
		error(results[2], 0)
	end
	return table.unpack(results, 2, results.n)
end

--- Let a reader read these files.
---@param reader th.Reader
---@param texts table<string, string> by name
---@return th.Reading? reading
---@return th.Error? err
---@return string[] warnings
function M.read(reader, texts)
	return with(texts, function(dir)
		return readings.read(reader, dir)
	end)
end

--- Ask a reader whether it knows these files.
---@param reader th.Reader
---@param texts table<string, string>
---@return th.Recognised?
function M.recognise(reader, texts)
	return with(texts, function(dir)
		return reader.recognise(readings.folder(dir))
	end)
end

return M
