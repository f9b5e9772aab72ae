--- What stage 2 hands to stages 3 and 4: for each line its class as stage 1 sees it, and the
-- tree that is to be learned. The files have the names of the pipeline's pickles, and hold text.

local data = require "data"
local failure = require "failure"
local files = require "files"

local M = {}

---@class example.Seen
---@field class integer index in data.LABELS
---@field parent integer index of a former line, 0 for the root
---@field relation string

---@class example.Features
---@field name string
---@field lines example.Seen[]

---@param dir string
---@param split "train"|"validation"
---@param chunk integer
---@return string
function M.path(dir, split, chunk)
	return ("%s/%s_line_features_chunk_%04d.pkl"):format(dir, split, chunk)
end

--- A document, its lines classified by the given function.
---@param document example.Document
---@param classify fun(line: example.Line): integer
---@return example.Features
function M.extract(document, classify)
	local lines = {}
	for i, line in ipairs(document.lines) do
		lines[i] = { class = classify(line), parent = line.parent, relation = line.relation }
	end
	return { name = document.name, lines = lines }
end

--- Write one chunk. Parents are counted from 0 there, and -1 is the root.
---@param path string
---@param documents example.Features[]
function M.write(path, documents)
	local parts = {}
	for _, document in ipairs(documents) do
		parts[#parts + 1] = "document " .. document.name
		for _, line in ipairs(document.lines) do
			parts[#parts + 1] = ("%d %d %s"):format(line.class - 1, line.parent - 1, line.relation)
		end
	end
	files.write(path, table.concat(parts, "\n") .. "\n")
end

local function read_chunk(text, documents)
	for line in text:gmatch("[^\n]+") do
		local name = line:match("^document (.+)$")
		if name then
			documents[#documents + 1] = { name = name, lines = {} }
		else
			local class, parent, relation = line:match("^(%d+) (-?%d+) (%l+)$")
			if not class or #documents == 0 then
				failure.raise("UnpicklingError", "invalid load key, '" .. line:sub(1, 1) .. "'")
			end
			table.insert(documents[#documents].lines, {
				class = math.tointeger(class) + 1, parent = math.tointeger(parent) + 1,
				relation = relation,
			})
		end
	end
end

local function read_chunks(dir, split, limit)
	local documents, chunk = {}, 0
	while chunk ~= limit do
		local text = files.read(M.path(dir, split, chunk))
		if not text then
			break
		end
		read_chunk(text, documents)
		chunk = chunk + 1
	end
	if chunk == 0 then
		failure.raise("FileNotFoundError", M.path(dir, split, 0))
	end
	return documents
end

--- The documents of a split: from the files of stage 2, or, when no directory is given, from
-- the data set itself with the true labels.
---@param options table
---@param split "train"|"validation"
---@return example.Features[]
function M.load(options, split)
	if options.features_dir then
		return read_chunks(options.features_dir, split, options.max_chunks)
	end
	local documents = {}
	local source = data.documents(options.dataset, split == "train" and "train" or "test")
	for i, document in ipairs(source) do
		documents[i] = M.extract(document, function(line) return line.label end)
	end
	return documents
end

return M
