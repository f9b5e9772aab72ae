--- What a training left behind, written for one case: files by name, read by a reader.
local cli = require("support.cli")
local readings = require("support.readings")

local M = {}

local function write(dir, files)
	for name, text in pairs(files) do
		local path = dir .. "/" .. name
		os.execute("mkdir -p '" .. path:match("^(.*)/") .. "'")
		local file = assert(io.open(path, "wb"))
		file:write(text)
		file:close()
	end
end

local function with(files, use)
	local dir = cli.temp_dir()
	write(dir, files)
	local results = table.pack(pcall(use, dir))
	cli.remove(dir)
	assert(results[1], results[2])
	return table.unpack(results, 2, results.n)
end

--- Let a reader read the files.
---@param reader th.Reader
---@param files table<string, string> name -> content
---@return th.Reading? reading
---@return th.Error? err
---@return string warnings one a line
function M.read(reader, files)
	return with(files, function(dir)
		local reading, err, warnings = readings.read(reader, dir)
		return reading, err, table.concat(warnings, "\n")
	end)
end

--- How sure the reader is of the files; nil when it does not know them.
---@param reader th.Reader
---@param files table<string, string>
---@return integer? score
---@return th.Recognised? known
function M.score(reader, files)
	return with(files, function(dir)
		local known = reader.recognise(readings.folder(dir))
		return known and known.score, known
	end)
end

--- Files of this kind that are broken in ways that have been seen: each must end in an error with a
-- code and a message, or in a reading, and never in a Lua error.
---@param reader th.Reader
---@param good table<string, string>
---@param name string the file that breaks
---@return table<string, th.Error|"read"> outcomes by kind of damage
function M.damaged(reader, good, name)
	local text, outcomes = good[name], {}
	for kind, content in pairs({
		empty = "", pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
		binary = "\x80\x04\x95\0\0\0" .. text, cut = text:sub(1, #text // 2),
		null = "null", list = "[1, 2, 3]", words = "no such thing here\n",
	}) do
		local files = {}
		for other, other_text in pairs(good) do
			files[other] = other_text
		end
		files[name] = content
		local reading, err = M.read(reader, files)
		assert(reading or (err.code and err.message), kind)
		outcomes[kind] = reading and "read" or err
	end
	return outcomes
end

return M
