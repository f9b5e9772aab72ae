--- A directory of given texts, for a reader to read.
local cli = require("support.cli")
local readings = require("support.readings")

local M = {}

local function write(path, text)
	local file = assert(io.open(path, "wb"))
	assert(file:write(text))
	assert(file:close())
end

--- Let `use` work on a directory that holds the files; it is removed afterwards.
---@param files table<string, string> name -> contents
---@param use fun(dir: string)
local function within(files, use)
	local dir = cli.temp_dir()
	for name, text in pairs(files) do
		local parent = name:match("^(.*)/")
		if parent then
			cli.shell("mkdir -p '" .. dir .. "/" .. parent .. "'")
		end
		write(dir .. "/" .. name, text)
	end
	local ok, err = pcall(use, dir)
	cli.remove(dir)
	if not ok then
		error(err, 0)
	end
end

--- What a reader makes of these files.
---@param reader th.Reader
---@param files table<string, string>
---@return th.Reading? reading
---@return th.Error? err
---@return string[] warnings
function M.read(reader, files)
	local reading, err, warnings
	within(files, function(dir)
		reading, err, warnings = readings.read(reader, dir)
	end)
	return reading, err, warnings
end

--- Let `use` work on the folder of these files.
---@param files table<string, string>
---@param use fun(folder: th.Folder)
function M.folder(files, use)
	within(files, function(dir)
		use(readings.folder(dir))
	end)
end

--- Does a reader know these files?
---@param reader th.Reader
---@param files table<string, string>
---@return th.Recognised?
function M.recognise(reader, files)
	local known
	M.folder(files, function(folder)
		known = reader.recognise(folder)
	end)
	return known
end

return M
