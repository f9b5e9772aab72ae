--- Values out of decoded files, of which nothing is certain: any field may be absent, null or of
-- another type; and whole files, with errors that say which one and why.
local hf = require("th.hf_trainer")
local json = require("th.json")

local M = {}

local LARGEST = 16 << 20 -- bytes; a decoded file takes several times its size

--- What lies at a path of keys; nil where a step is missing, null or no table.
---@param value any
---@param ... string|integer
---@return any?
function M.at(value, ...)
	for index = 1, select("#", ...) do
		if type(value) ~= "table" then
			return nil
		end
		value = value[(select(index, ...))]
	end
	return json.value(value)
end

--- The text at a path of keys; nil when there is none or it is empty.
---@param value any
---@param ... string|integer
---@return string?
function M.text(value, ...)
	local found = M.at(value, ...)
	return type(found) == "string" and found ~= "" and found or nil
end

--- The table at a path of keys; an empty one when there is none.
---@param value any
---@param ... string|integer
---@return table
function M.table(value, ...)
	local found = M.at(value, ...)
	return type(found) == "table" and found or {}
end

--- The number at a path of keys.
---@param value any
---@param ... string|integer
---@return number?
function M.number(value, ...)
	local found = M.at(value, ...)
	return type(found) == "number" and found or nil
end

local function refuse(folder, name, code, why)
	local path = folder.prefix .. name
	return nil, { code = code, path = path, message = ("'%s': %s"):format(path, why) }
end

local function size_of(folder, name)
	local file = folder:file(name)
	return file and file.size or 0
end

local function whole(folder, method, name)
	if size_of(folder, name) > LARGEST then
		return refuse(folder, name, "too_large", "larger than 16 MiB")
	end
	local pointer = hf.lfs_error(folder:head(name), folder.prefix .. name)
	if pointer then
		return nil, pointer
	end
	local value, err = folder[method](folder, name)
	if value == nil then
		return refuse(folder, name, err.code, err.message)
	elseif type(value) ~= "table" then
		return refuse(folder, name, "not_a_training_record", "holds no fields")
	end
	return value
end

--- A JSON file that holds an object or a list.
---@param folder th.Folder
---@param name string
---@return table? value
---@return th.Error? err "no_data", "lfs_pointer", "too_large", "bad_json", "not_a_training_record"
function M.json(folder, name)
	return whole(folder, "json", name)
end

--- A YAML file that holds a mapping or a list.
---@param folder th.Folder
---@param name string
---@return table? value
---@return th.Error? err as for `json`, with "bad_yaml"
function M.yaml(folder, name)
	return whole(folder, "yaml", name)
end

--- `json` or `yaml` of a file that may be absent: what else is wrong with it becomes a warning.
---@param folder th.Folder
---@param name string
---@param format? "json"|"yaml" default: by the name's ending
---@return table? value
function M.optional(folder, name, format)
	if not folder:file(name) then
		return nil
	end
	format = format or (name:find("%.ya?ml$") and "yaml" or "json")
	local value, err = M[format](folder, name)
	if err then
		folder:warn(err.message)
	end
	return value
end

--- The end of a text file of any size.
---@param folder th.Folder
---@param name string
---@param length integer bytes
---@return string text "" when it cannot be read
---@return th.Error? err why it cannot
function M.tail(folder, name, length)
	local text, err = folder:read(name, math.max(0, size_of(folder, name) - length), length)
	return text or "", err
end

--- The last line that is not blank of a text file of any size; lines of up to 4 KiB.
---@param folder th.Folder
---@param name string
---@return string? line nil when there is none
---@return th.Error? err why the file cannot be read; a host opens only so many at a time
function M.last_line(folder, name)
	local text, err = M.tail(folder, name, 4096)
	local found
	for line in text:gmatch("[^\r\n]*%S[^\r\n]*") do
		found = line
	end
	return found, err
end

return M
