--- Lineages, read back from what thhost prints: JSON, and strictly DOT, Mermaid and the drawing in HTML.
-- The readers know only what 'thhost lineage' may print; anything else in the text fails the spec, so that
-- no name can bring in a statement or an element of its own.
local M = {}

local function sorted(list)
	table.sort(list)
	return list
end

--- The nodes of a decoded answer by their refs.
function M.nodes(answer)
	local nodes = {}
	for _, node in ipairs(answer.nodes) do
		assert(not nodes[node.ref], "twice: " .. node.ref)
		nodes[node.ref] = node
	end
	return nodes
end

--- The edges by "FROM > TO".
function M.edges(answer)
	local edges = {}
	for _, edge in ipairs(answer.edges) do
		local name = edge.from .. " > " .. edge.to
		assert(not edges[name], "twice: " .. name)
		edges[name] = edge
	end
	return edges
end

---@return string[] in order
function M.pairs(answer)
	local list = {}
	for name in pairs(M.edges(answer)) do
		list[#list + 1] = name
	end
	return sorted(list)
end

---@return string[] in order
function M.names(answer)
	local list = {}
	for name in pairs(M.nodes(answer)) do
		list[#list + 1] = name
	end
	return sorted(list)
end

--- What the three readers give: the edges by the names on the nodes.
local function drawing()
	return { names = {}, n_nodes = 0, pairs = {}, inferred = {}, edges = {} }
end

local function add_node(drawn, id, name)
	assert(not drawn.names[id], "twice: " .. id)
	drawn.names[id] = name
	drawn.n_nodes = drawn.n_nodes + 1
end

local function add_edge(drawn, from, to, is_inferred)
	local pair = assert(drawn.names[from], from) .. " > " .. assert(drawn.names[to], to)
	drawn.pairs[#drawn.pairs + 1] = pair
	if is_inferred then
		drawn.inferred[pair] = true
	end
end

--- The rest of a line behind a quoted string, and the string; a quote or a backslash in it is escaped.
local function take_dot_string(text)
	local out, at = {}, 2
	assert(text:sub(1, 1) == '"', "no string: " .. text)
	while true do
		local c = text:sub(at, at)
		assert(c ~= "", "no end: " .. text)
		if c == '"' then
			return table.concat(out), text:sub(at + 1)
		end
		if c == "\\" then
			at = at + 1
			c = text:sub(at, at)
			assert(c == '"' or c == "\\" or c == "n", "an escape in " .. text)
			c = c == "n" and "\n" or c
		end
		out[#out + 1] = c
		at = at + 1
	end
end

local SHAPES = { box = true, ellipse = true, cylinder = true, note = true, octagon = true }

local function read_dot_line(drawn, line)
	local from, to, style, rest = line:match("^  (n%d+) %-> (n%d+) %[style=(%l+), label=(.*)$")
	if from then
		assert(style == "solid" or style == "dashed", line)
		local _, tail = take_dot_string(rest)
		assert(tail == "];", line)
		add_edge(drawn, from, to, style == "dashed")
		return
	end
	local id, label = line:match("^  (n%d+) %[label=(.*)$")
	assert(id, "not ours: " .. line)
	local text, tail = take_dot_string(label)
	local shape, more = tail:match("^, shape=(%l+)(.*)%];$")
	assert(SHAPES[shape], line)
	more = more:gsub("^, style=dotted, fontcolor=gray40", ""):gsub("^, penwidth=3$", "")
	assert(more == "", line)
	add_node(drawn, id, text:match("^[^\n]*"))
end

--- DOT, as far as 'thhost lineage --dot' uses it.
function M.dot(text)
	local drawn = drawing()
	local body = assert(text:match("^digraph lineage {\n  rankdir=LR;\n(.*)}\n$"), text)
	for line in body:gmatch("([^\n]*)\n") do
		read_dot_line(drawn, line)
	end
	sorted(drawn.pairs)
	return drawn
end

--- Only what cannot mean anything in Mermaid, Markdown or HTML, numbers of characters, and our <br/>.
local function plain_mermaid(text)
	local bare = text:gsub("<br/>", "\n"):gsub("#(%d+);", function(code)
		return utf8.char(math.tointeger(tonumber(code)))
	end)
	local rest = text:gsub("<br/>", ""):gsub("#%d+;", "")
	assert(not rest:find("[^%w .,:/\128-\255-]"), "not escaped: " .. rest)
	return bare:match("^[^\n]*")
end

--- Mermaid, likewise.
function M.mermaid(text)
	local drawn = drawing()
	local body = assert(text:match("^flowchart LR\n  classDef gone [^\n]*\n  classDef asked [^\n]*\n(.*)$"),
		text)
	local edges = {}
	for line in body:gmatch("([^\n]*)\n") do
		local from, arrow, words, to = line:match('^  (n%d+) ([-.>]+)|"([^"]*)"| (n%d+)$')
		local id, open, name, close = line:match('^  (n%d+)([[(/]+)"([^"]*)"([])/]+)$')
		if from then
			assert(arrow == "-->" or arrow == "-.->", line)
			plain_mermaid(words)
			edges[#edges + 1] = { from, to, arrow == "-.->" }
		elseif id then
			assert(({ ["["] = "]", ["(["] = "])", ["[("] = ")]", ["[/"] = "/]" })[open] == close, line)
			add_node(drawn, id, plain_mermaid(name))
		else
			assert(line:match("^  class n%d+ gone$") or line:match("^  class n%d+ asked$"), "not ours: " .. line)
		end
	end
	for _, edge in ipairs(edges) do
		add_edge(drawn, table.unpack(edge))
	end
	sorted(drawn.pairs)
	return drawn
end

local ELEMENTS = {}
for name in ("html head meta title style body h1 h2 h3 p div svg defs marker path a g rect text section dl dt "
	.. "dd ul li"):gmatch("%l%w*") do
	ELEMENTS[name] = true
end

local ATTRIBUTES = {}
for name in ("lang charset http-equiv content name class xmlns role aria-label width height viewBox id refX refY "
	.. "markerWidth markerHeight orient d href x y rx"):gmatch("%S+") do
	ATTRIBUTES[name] = true
end

local EMPTY = { meta = true, rect = true }

local function unescape(text)
	assert(not text:find("[<>]"), text)
	for entity in text:gmatch("&[^;]*;?") do
		assert(({ ["&amp;"] = 1, ["&lt;"] = 1, ["&gt;"] = 1, ["&quot;"] = 1, ["&#39;"] = 1 })[entity], text)
	end
	return (text:gsub("&lt;", "<"):gsub("&gt;", ">"):gsub("&quot;", '"'):gsub("&#39;", "'"):gsub("&amp;", "&"))
end

local function read_attributes(text)
	local found = {}
	local rest = text:gsub('%s+([%w-]+)="([^"<>]*)"', function(name, value)
		assert(ATTRIBUTES[name], "an attribute " .. name)
		found[name] = unescape(value)
		return ""
	end)
	assert(rest == "" or rest == "/", "in a tag: " .. text)
	return found
end

--- Call visit(name, attributes, text behind it) for each start tag; every element must be ours and closed.
local function walk(page, visit)
	local open = {}
	local rest = page:gsub("^<!DOCTYPE html>\n", ""):gsub("<style>.-</style>", "")
	for slash, name, attributes, text in rest:gmatch("<(/?)([%a%d]+)([^<>]*)>([^<]*)") do
		assert(ELEMENTS[name], "an element " .. name)
		unescape(text)
		if slash == "/" then
			assert(table.remove(open) == name, "closed: " .. name)
		else
			visit(name, read_attributes(attributes), unescape(text))
			if not EMPTY[name] and not attributes:find("/$") then
				open[#open + 1] = name
			end
		end
	end
	local tags = select(2, rest:gsub("<", ""))
	assert(tags == select(2, rest:gsub("<(/?)([%a%d]+)([^<>]*)>", "")), "a tag that is none")
	assert(#open == 0, "not closed: " .. table.concat(open, " "))
end

local function box_at(boxes, x, y, is_end)
	for _, box in pairs(boxes) do
		local across = is_end and (x == box.x and y == box.y + box.height // 2 or
			y == box.y and x == box.x + box.width // 2) or
			not is_end and (x == box.x + box.width and y == box.y + box.height // 2 or
			y == box.y + box.height and x == box.x + box.width // 2)
		if across then
			return box
		end
	end
	error(("no box at %d, %d"):format(x, y))
end

--- The drawing in a page; every box is known by its link, every edge by where it begins and ends.
function M.html(page)
	local drawn = drawing()
	local ways, link, wants_title = {}, nil, false
	drawn.boxes = {}
	walk(page, function(name, attributes, text)
		if name == "svg" and not link then
			drawn.width, drawn.height = tonumber(attributes.width), tonumber(attributes.height)
		elseif name == "svg" then -- what its words are cut off at
			drawn.boxes[link].words = { x = tonumber(attributes.x), y = tonumber(attributes.y),
				width = tonumber(attributes.width), height = tonumber(attributes.height) }
		elseif name == "text" then
			assert(drawn.boxes[link].words, "words that nothing cuts off")
		elseif name == "a" then
			link = attributes.href
			assert(link:match("^#n%d+$"), link)
		elseif name == "g" then
			wants_title = true
		elseif name == "title" and wants_title then
			add_node(drawn, link, text)
			wants_title = false
		elseif name == "rect" then
			drawn.boxes[link] = { id = link, x = tonumber(attributes.x), y = tonumber(attributes.y),
				width = tonumber(attributes.width), height = tonumber(attributes.height) }
		elseif name == "path" and attributes.class ~= "tip" then
			local way = { attributes.d:match("^M(%d+) (%d+)C%d+ %d+ %d+ %d+ (%d+) (%d+)$") }
			assert(#way == 4, attributes.d)
			way.is_inferred = attributes.class == "inferred"
			ways[#ways + 1] = way
		end
	end)
	for _, way in ipairs(ways) do
		local from = box_at(drawn.boxes, tonumber(way[1]), tonumber(way[2]), false)
		local to = box_at(drawn.boxes, tonumber(way[3]), tonumber(way[4]), true)
		add_edge(drawn, from.id, to.id, way.is_inferred)
		drawn.edges[#drawn.edges + 1] = { from = from, to = to }
	end
	sorted(drawn.pairs)
	return drawn
end

local function holds(outer, inner)
	return inner.x >= outer.x and inner.y >= outer.y and inner.x + inner.width <= outer.x + outer.width
		and inner.y + inner.height <= outer.y + outer.height
end

--- No box lies over another one or out of the drawing, and no words go on beyond their box.
function M.check_boxes(drawn)
	local all = { x = 0, y = 0, width = drawn.width, height = drawn.height }
	for id, box in pairs(drawn.boxes) do
		assert(holds(all, box), id .. " is outside")
		assert(holds(box, box.words), id .. " has words beyond it")
		for other_id, other in pairs(drawn.boxes) do
			assert(id == other_id or box.x + box.width <= other.x or other.x + other.width <= box.x
				or box.y + box.height <= other.y or other.y + other.height <= box.y,
				id .. " lies over " .. other_id)
		end
	end
end

return M
