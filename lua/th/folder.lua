--- A directory as the readers see it: what the plugin's inputs match, under one roof.
--
--     local folder = require("th.folder").of(ctx, { "tree" })
--     for _, file in ipairs(folder:files("checkpoint-*/trainer_state.json")) do ... end
--     local state, err = folder:json("trainer_state.json")
--     local run = folder:sub("mlruns/1/41e1")
--
-- Names are relative to the folder, with `/`. In a pattern `*` matches within one component and
-- `**` as a whole component matches any number of them, none included. Nothing outside of what the
-- plugin declared can be seen.
local lines = require("th.lines")

local M = {}

local HEAD = 4096 -- enough to recognise a text by

---@class th.Folder
---@field name string last component of the directory's name
---@field prefix string where the folder lies below the stage directory: "" or "a/b/"
---@field private ctx th.Ctx
---@field private all table[] every file of every input: { name, size, mtime, dir, input }
---@field private by_name table<string, table> the same, below this folder or not, by full name
---@field private heads table<string, string> what was looked at before, by full name
---@field private tails table<string, string>
local Folder = {}
Folder.__index = Folder

local MAGIC = "[%-%.%+%[%]%(%)%$%^%%%?]"

--- The Lua patterns that a glob stands for: `**/x` is `x` and `anything/x`.
local function patterns_of(glob)
	local found, forms = {}, { glob }
	while #forms > 0 do
		local form = table.remove(forms)
		local before, after = form:match("^(.-)%*%*/(.*)$")
		if before and (before == "" or before:sub(-1) == "/") then
			forms[#forms + 1] = before .. after
			forms[#forms + 1] = before .. "\1/" .. after
		else
			local text = form:gsub(MAGIC, "%%%0"):gsub("%*", "[^/]*"):gsub("\1", ".*")
			found[#found + 1] = "^" .. text .. "$"
		end
	end
	return found
end

local function natural_key(name)
	return (name:gsub("%d+", function(digits)
		return ("0"):rep(20 - #digits) .. digits
	end))
end

local function gather(ctx, inputs)
	local all, seen = {}, {}
	for _, input in ipairs(inputs) do
		for _, file in ipairs(ctx:list(input)) do
			if not seen[file.name] and file.name:sub(1, 1) ~= "/" then
				seen[file.name] = { name = file.name, size = file.size, mtime = file.mtime,
					dir = file.dir, input = input, key = natural_key(file.name) }
				all[#all + 1] = seen[file.name]
			end
		end
	end
	table.sort(all, function(a, b)
		return a.key < b.key or (a.key == b.key and a.name < b.name)
	end)
	return all, seen
end

--- The folder of a call: all files of the named inputs.
---@param ctx th.Ctx
---@param inputs string[] names of declared inputs; where several match a file, the first counts
---@return th.Folder
function M.of(ctx, inputs)
	local all, by_name = gather(ctx, inputs)
	return setmetatable({ name = ctx.stage_dir_name, prefix = "", ctx = ctx,
		all = all, by_name = by_name, heads = {}, tails = {} }, Folder)
end

local function input_of(self, name)
	local file = self.by_name[self.prefix .. name]
	if file then
		return file.input, file
	end
	return nil, { code = "no_data", path = self.prefix .. name,
		message = ("no file '%s'"):format(self.prefix .. name) }
end

--- A folder below this one. It need not exist: then it has no files.
---@param name string relative, without a slash at its end; "." is this folder
---@return th.Folder
function Folder:sub(name)
	if name == "." then
		return self
	end
	local prefix = self.prefix .. name .. "/"
	local below = {}
	for _, file in ipairs(self.all) do
		if file.name:sub(1, #prefix) == prefix then
			below[#below + 1] = file
		end
	end
	return setmetatable({ name = name:match("[^/]+$"), prefix = prefix, ctx = self.ctx,
		all = below, by_name = self.by_name, heads = self.heads, tails = self.tails }, Folder)
end

--- One file by its name, without a pattern.
---@param name string
---@return th.FileInfo?
function Folder:file(name)
	local _, file = input_of(self, name)
	if not file.code and not file.dir then
		return { name = name, size = file.size, mtime = file.mtime, dir = false }
	end
end

--- Files (not directories) in natural order: checkpoint-500 before checkpoint-10000.
---@param pattern? string default: all
---@return th.FileInfo[]
function Folder:files(pattern)
	local patterns, found = pattern and patterns_of(pattern), {}
	for _, file in ipairs(self.all) do
		local name = file.name:sub(#self.prefix + 1)
		if not file.dir and (not patterns or lines.match_any(name, patterns)) then
			found[#found + 1] = { name = name, size = file.size, mtime = file.mtime, dir = false }
		end
	end
	return found
end

--- The last file in natural order that matches, or nil.
---@param pattern string
---@return string? name
function Folder:find(pattern)
	local found = self:files(pattern)
	return found[#found] and found[#found].name
end

---@param pattern string
---@return boolean
function Folder:has(pattern)
	return #self:files(pattern) > 0
end

--- Directories directly in this one that hold a file somewhere, in natural order.
---@return string[]
function Folder:folders()
	local found, seen = {}, {}
	for _, file in ipairs(self.all) do
		local name = file.name:sub(#self.prefix + 1):match("^([^/]+)/")
		if name and not seen[name] then
			seen[name] = true
			found[#found + 1] = name
		end
	end
	return found
end

local function ask(self, method, name, ...)
	local input, file = input_of(self, name)
	if not input then
		return nil, file
	end
	return self.ctx[method](self.ctx, input, file.name, ...)
end

--- The bytes of a file, at most 64 MiB, or a part of it.
---@param name string
---@param offset? integer bytes from the start, default 0
---@param length? integer bytes, default all
---@return string? bytes shorter than `length` at the end of the file
---@return th.Error? err
function Folder:read(name, offset, length)
	return ask(self, "read", name, offset, length)
end

--- The first bytes of a file, to recognise it by; "" when it cannot be read.
---@param name string
---@return string
function Folder:head(name)
	local full = self.prefix .. name
	self.heads[full] = self.heads[full] or self:read(name, 0, HEAD) or ""
	return self.heads[full]
end

--- The last bytes of a file, as many as `head` gives of its beginning; "" when it cannot be read.
---@param name string
---@return string
function Folder:tail(name)
	local full = self.prefix .. name
	for _, file in ipairs(self.all) do
		if file.name == full and not self.tails[full] then
			local from = math.max(0, file.size - HEAD)
			self.tails[full] = from == 0 and self:head(name) or self:read(name, from, HEAD) or ""
		end
	end
	return self.tails[full] or ""
end

---@param name string
---@return any? value see `ctx:json`
---@return th.Error? err
function Folder:json(name)
	return ask(self, "json", name)
end

---@param name string
---@return any? value
---@return th.Error? err
function Folder:yaml(name)
	return ask(self, "yaml", name)
end

---@param name string
---@return th.Csv? csv
---@return th.Error? err
function Folder:csv(name)
	return ask(self, "csv", name)
end

local LFS = "^version https://git%-lfs%.github%.com/spec/"

--- Why a file cannot be read as text: absent, empty, a git-LFS pointer, binary. nil when it can.
---@param name string
---@return th.Error? err code "no_data", "lfs_pointer" or "bad_text"
function Folder:text_error(name)
	local _, file = input_of(self, name)
	local path, head = self.prefix .. name, self:head(name)
	if file.code then
		return file
	elseif head == "" then
		return { code = "no_data", path = path, message = ("'%s' is empty"):format(path) }
	elseif head:find(LFS) then
		return { code = "lfs_pointer", path = path,
			message = ("'%s' is a git-LFS pointer, not the file itself"):format(path),
			hint = "run 'git lfs pull' in that repository" }
	elseif head:find("[%z\1-\8\14-\26]") then
		return { code = "bad_text", path = path, message = ("'%s' is not text"):format(path) }
	end
end

--- Iterate over the segments of a text file of any size; see `ctx:lines`.
---@param name string
---@param ... string needles
---@return th.LineIterator
function Folder:lines(name, ...)
	local input, file = input_of(self, name)
	local readable, err = ask(self, "read", name, 0, 0)
	if not readable then
		if input then
			self:warn(err.message) -- there, but not opened: ctx:lines_of would raise
		end
		return function() end
	end
	return self.ctx:lines_of(input, file.name, ...)
end

--- Tell the user something that is kept with the run.
---@param message string
function Folder:warn(message)
	self.ctx.log.warn(message)
end

return M
