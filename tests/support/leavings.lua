--- What a training left, written into a directory of its own for a spec.
--
--     local reading, err = leavings.read(require("th.keras"), { ["history.json"] = "{...}" })
--
--     local dir = leavings.new({ ["checkpoint-5/trainer_state.json"] = "{...}" })
--     ...
--     leavings.clear() -- in after_each
local readings = require("support.readings")

local M = {}

local made = {}

local function run(command)
	assert(os.execute(command), command)
end

--- Set a file's time; readers tell by it which of two is newer.
---@param path string
---@param seconds integer since 1970
function M.touch(path, seconds)
	run(("touch -d @%d '%s'"):format(seconds, path))
end

---@param files table<string, string> name -> contents
---@return string dir
function M.new(files)
	local pipe = assert(io.popen("mktemp -d"))
	local dir = pipe:read("l")
	pipe:close()
	made[#made + 1] = dir
	for name, contents in pairs(files) do
		local parent = name:match("^(.*)/[^/]+$")
		if parent then
			run(("mkdir -p '%s/%s'"):format(dir, parent))
		end
		local file = assert(io.open(dir .. "/" .. name, "wb"))
		file:write(contents)
		file:close()
	end
	return dir
end

--- Remove every directory that was made.
function M.clear()
	for _, dir in ipairs(made) do
		run(("rm -rf '%s'"):format(dir))
	end
	made = {}
end

--- Call `use` with a directory that has these files; it goes away afterwards.
local function with(files, use)
	local dir = M.new(files)
	local results = table.pack(pcall(use, dir))
	run(("rm -rf '%s'"):format(table.remove(made)))
	if not results[1] then
		error(results[2], 0)
	end
	return table.unpack(results, 2, results.n)
end

--- Let a reader read these files.
---@param reader th.Reader
---@param files table<string, string> name -> contents
---@return th.Reading? reading
---@return th.Error? err
---@return string[] warnings
function M.read(reader, files)
	return with(files, function(dir)
		return readings.read(reader, dir)
	end)
end

--- `read` with the warnings as one text, a line each.
---@param reader th.Reader
---@param files table<string, string>
---@return th.Reading? reading
---@return th.Error? err
---@return string warnings
function M.told(reader, files)
	local reading, err, warnings = M.read(reader, files)
	return reading, err, table.concat(warnings, "\n")
end

--- Call `use` with the folder of these files.
---@param files table<string, string>
---@param use fun(folder: th.Folder): ...
---@return any ... what it returns
function M.folder(files, use)
	return with(files, function(dir)
		return use(readings.folder(dir))
	end)
end

--- Does the reader know these files?
---@param reader th.Reader
---@param files table<string, string>
---@return th.Recognised?
function M.recognise(reader, files)
	return M.folder(files, reader.recognise)
end

--- How sure the reader is of the files; nil when it does not know them.
---@param reader th.Reader
---@param files table<string, string>
---@return integer? score
---@return th.Recognised? known
function M.score(reader, files)
	local known = M.recognise(reader, files)
	return known and known.score, known
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
