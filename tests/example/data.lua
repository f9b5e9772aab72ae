--- Synthetic documents: made here, the same everywhere, small enough to train on in a second.
-- A document is a list of lines in reading order; each line has a label, a parent in the
-- document's tree, the relation to it, and a vector of features as a layout model would give.
-- The data sets share the labels' prototypes, as real ones share typography. Each shifts them
-- in its own way, so what is learned on one helps on the next, and is not enough for it.

local random = require "random"

local M = {}

---@class example.Line
---@field label integer index in LABELS
---@field parent integer index of a former line, 0 for the root
---@field relation string one of RELATIONS; "none" below the root
---@field features number[]

---@class example.Document
---@field name string
---@field num_pages integer
---@field lines example.Line[]

M.LABELS = { "title", "author", "section", "fstline", "paraline", "table", "figure", "footer" }
M.RELATIONS = { "none", "connect", "contain", "equality" }
M.FEATURES = 24
M.SPLITS = { "train", "test" }

local DATASETS = {
	hrds = { shift = 0.00, noise = 1.00, train = 60, test = 16 },
	hrdh = { shift = 0.22, noise = 1.20, train = 60, test = 16 },
	my_biz = { shift = 0.30, noise = 1.05, train = 40, test = 12 },
}
local SPREAD = 0.62 -- of the prototypes; with noise 1 the labels overlap as on real pages
local LINES_PER_PAGE = 20
local DATA_SEED = 417

local label_index = {}
for i, name in ipairs(M.LABELS) do
	label_index[name] = i
end

--- One vector per label.
---@param stream string
---@param scale number
---@return number[][]
local function vectors(stream, scale)
	local generator = random.new(DATA_SEED, stream)
	local result = {}
	for i = 1, #M.LABELS do
		result[i] = {}
		for j = 1, M.FEATURES do
			result[i][j] = scale * generator:normal()
		end
	end
	return result
end

local function add_line(document, label, parent, relation)
	local lines = document.lines
	lines[#lines + 1] = { label = label_index[label], parent = parent, relation = relation }
	return #lines
end

--- What a page puts between the lines of a paragraph.
local function maybe_interrupt(document, generator, section)
	local chance = generator:uniform()
	if chance < 0.04 then
		add_line(document, "figure", section, "contain")
	elseif chance < 0.09 then
		add_line(document, "table", section, "contain")
	elseif chance < 0.13 then
		add_line(document, "footer", 0, "none")
	end
end

local function add_paragraph(document, generator, section, sibling)
	local relation = sibling and "equality" or "contain"
	local first = add_line(document, "fstline", sibling or section, relation)
	local last = first
	for _ = 1, generator:integer(1, 6) do
		maybe_interrupt(document, generator, section)
		last = add_line(document, "paraline", last, "connect")
	end
	return first
end

local function add_section(document, generator, title, sibling)
	local relation = sibling and "equality" or "contain"
	local section = add_line(document, "section", sibling or title, relation)
	local paragraph
	for _ = 1, generator:integer(1, 4) do
		paragraph = add_paragraph(document, generator, section, paragraph)
	end
	return section
end

local function add_structure(document, generator)
	local title = add_line(document, "title", 0, "none")
	local author = add_line(document, "author", title, "contain")
	for _ = 1, generator:integer(0, 2) do
		author = add_line(document, "author", author, "connect")
	end
	local section
	for _ = 1, generator:integer(2, 4) do
		section = add_section(document, generator, title, section)
	end
end

local function add_features(document, generator, prototypes, shifts, noise)
	for _, line in ipairs(document.lines) do
		local prototype, shift = prototypes[line.label], shifts[line.label]
		local features = {}
		for j = 1, M.FEATURES do
			features[j] = prototype[j] + shift[j] + noise * generator:normal()
		end
		line.features = features
	end
end

---@param dataset string
---@return boolean
function M.is_dataset(dataset)
	return DATASETS[dataset] ~= nil
end

--- All documents of one split of a data set.
---@param dataset string
---@param split "train"|"test"
---@return example.Document[]
function M.documents(dataset, split)
	local traits = DATASETS[dataset]
	local generator = random.new(DATA_SEED, dataset .. "/" .. split)
	local prototypes = vectors("prototypes", SPREAD)
	local shifts = vectors("shift/" .. dataset, traits.shift)
	local documents = {}
	for i = 1, traits[split] do
		local document = { name = ("%s_%s_%04d"):format(dataset, split, i), lines = {} }
		add_structure(document, generator)
		add_features(document, generator, prototypes, shifts, traits.noise)
		document.num_pages = (#document.lines + LINES_PER_PAGE - 1) // LINES_PER_PAGE
		documents[i] = document
	end
	return documents
end

--- The dense row of a line in the sparse form that softmax takes, with a constant for the bias.
---@param line example.Line
---@return example.Row
function M.row(line)
	local row = { index = {}, value = {} }
	for j, feature in ipairs(line.features) do
		row.index[j], row.value[j] = j, feature
	end
	row.index[M.FEATURES + 1], row.value[M.FEATURES + 1] = M.FEATURES + 1, 1.0
	return row
end

--- The lines of all documents as examples to classify.
---@param documents example.Document[]
---@return example.Example[]
function M.examples(documents)
	local examples = {}
	for _, document in ipairs(documents) do
		for _, line in ipairs(document.lines) do
			examples[#examples + 1] = { row = M.row(line), class = line.label }
		end
	end
	return examples
end

return M
