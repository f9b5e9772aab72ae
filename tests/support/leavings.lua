--- What a training left, written into a directory of its own for a spec.
--
--     local dir = leavings.new({ ["checkpoint-5/trainer_state.json"] = "{...}" })
--     ...
--     leavings.clear() -- in after_each
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

return M
