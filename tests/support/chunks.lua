--- Chunks of Lua that nobody wrote: mutants of given ones, and sentences of a small grammar.
---
--- All of them come from math.random: the same seed gives the same chunks.
local M = {}

local random = math.random

local function pick(list)
	return list[random(#list)]
end

-- Where C code and counters go wrong.
local CONSTANTS = { "0", "-1", "1", "2", "255", "1 << 16", "1 << 31", "-(1 << 31)", "1 << 53", "1 << 62",
	"math.maxinteger", "math.mininteger", "0.5", "-0.0", "1e308", "2.0 ^ 53", "math.huge", "-math.huge", "0 / 0",
	"nil", "true", "false", '""', '"\\0"', '"x"', '"%s%d%q"', '"%99999d"', '"\\xff\\xfe"', '"\\27[2J"', '"../../x"',
	'"/etc/passwd"', '"(.-)%1*"', '"[%w-]+"', '("x"):rep(1 << 20)', '("ab"):rep(1 << 12)', "{}", "{ {}, {}, {} }",
	"{ 1, 2, 3, n = 4 }", "function(...) return ... end", "function() error({}) end", "string", "_ENV", "table" }

local FUNCTIONS = { "string.rep", "string.format", "string.find", "string.gsub", "string.match", "string.gmatch",
	"string.byte", "string.char", "string.sub", "string.pack", "string.unpack", "string.packsize", "string.reverse",
	"table.concat", "table.insert", "table.remove", "table.move", "table.sort", "table.unpack", "table.pack", "math.floor",
	"math.max", "math.fmod", "math.tointeger", "math.ult", "utf8.char", "utf8.len", "utf8.codepoint", "utf8.offset",
	"utf8.codes", "select", "next", "rawget", "rawlen", "rawequal", "tostring", "tonumber", "type", "pairs", "ipairs",
	"pcall", "error", "assert", "setmetatable", "getmetatable", "require", 'require("cjson").encode',
	'require("cjson").decode', 'require("th.json").decode', 'require("th.csv").decode', 'require("th.pydict").decode',
	'require("th.num").number', "ctx.log.warn", "ctx.read", "ctx.lines", "ctx.json", "ctx.yaml", "ctx.list", "ctx.has",
	"load", "io.open", "os.execute", "debug.sethook", "coroutine.wrap", "collectgarbage", "string.dump", "rawset" }

local OPERATORS = { "+", "-", "*", "/", "//", "%", "^", "..", "<<", ">>", "&", "|", "~", "==", "<", "<=", "and", "or" }

local EVENTS = { "__index", "__newindex", "__call", "__len", "__eq", "__lt", "__concat", "__close", "__gc", "__mode",
	"__name", "__metatable", "__tostring", "__pairs", "__unm", "__idiv" }

-- ---- sentences ----------------------------------------------------------------------------------

local VARIABLES = { "a", "b", "c", "ctx", "M" }
local block
local labels = 0 -- each has a name of its own

local function expression(depth)
	local kind = depth <= 0 and random(2) or random(10)
	if kind == 1 then
		return pick(VARIABLES)
	elseif kind == 2 then
		return pick(CONSTANTS)
	elseif kind <= 5 then
		return ("%s(%s, %s)"):format(pick(FUNCTIONS), expression(depth - 1), expression(depth - 1))
	elseif kind == 6 then
		return ("(%s) %s (%s)"):format(expression(depth - 1), pick(OPERATORS), expression(depth - 1))
	elseif kind == 7 then
		return ("{ %s, k = %s, [%s or 1] = %s }"):format(expression(depth - 1), expression(depth - 1),
			pick(CONSTANTS), expression(depth - 1))
	elseif kind == 8 then
		return ("setmetatable({}, { %s = %s })"):format(pick(EVENTS), expression(depth - 1))
	elseif kind == 9 then
		return ("(%s)[%s]"):format(expression(depth - 1), expression(depth - 1))
	end
	return ("function(a, b, ...) %s end"):format(block(depth - 1))
end

local STATEMENTS = {
	function(depth)
		return pick({ "a", "b", "c" }) .. " = " .. expression(depth)
	end,
	function(depth)
		return ("local _ = %s(%s)"):format(pick(FUNCTIONS), expression(depth))
	end,
	function(depth)
		return ("pcall(function() %s end)"):format(block(depth))
	end,
	function(depth)
		return ("for i = 1, %s do %s end"):format(pick({ "3", "3", "3", "10", "1e4", "1 << 62" }), block(depth))
	end,
	function(depth)
		return ("while %s do %s break end"):format(expression(depth), block(depth))
	end,
	function(depth)
		return ("if %s then %s else %s end"):format(expression(depth), block(depth), block(depth))
	end,
	function(depth)
		return ("do local x <close> = %s %s end"):format(expression(depth), block(depth))
	end,
	function(depth)
		return ("M.field, a = %s, %s"):format(expression(depth), expression(depth))
	end,
	function(depth)
		return ("for k, v in pairs(%s) do a, b = k, v end"):format(expression(depth))
	end,
	function(depth)
		labels = labels + 1
		local own = labels
		return ("do ::l%d:: %s if rawequal(%s, %s) then goto l%d end end"):format(own, block(depth), expression(0),
			expression(0), own)
	end,
}

block = function(depth)
	local lines = {}
	for i = 1, depth <= 0 and 1 or random(3) do
		lines[i] = pick(STATEMENTS)(depth - 1)
	end
	return table.concat(lines, "; ")
end

--- Statements that all run, whatever the one before raised.
local function guarded(n)
	local lines = {}
	for i = 1, n do
		lines[i] = ("pcall(function() %s end)"):format(block(3))
	end
	return table.concat(lines, "\n\t")
end

--- A plugin called `name` whose functions are sentences of the grammar.
---@param name string
---@return string
function M.sentence(name)
	return ([[
local M = { api = 1, kind = "stage", name = "%s", version = "1", dir = "x", model_name = "x",
	inputs = { x = "*?", y = "*.yaml?" } }
function M.extract(ctx)
	local a, b, c
	pcall(function() a, b, c = %s, {}, ctx:list("x") end)
	%s
	return { metrics = %s, steps = %s, [%s] = %s }
end
function M.validate(ctx, a)
	local b, c
	%s
end
return M
]]):format(name, expression(2), guarded(6), expression(2), expression(1), pick({ '"outcome"', '"base_model"',
		'"final_checkpoint"', '"planned"', '"sources"', '"error"' }), expression(2), guarded(2))
end

-- ---- mutants ------------------------------------------------------------------------------------

local function lines_of(text)
	local lines = {}
	for line in text:gmatch("[^\n]*") do
		lines[#lines + 1] = line
	end
	return lines
end

--- Replace the n-th match of `pattern`, n by chance.
local function replace_one(line, pattern, by)
	local count = select(2, line:gsub(pattern, ""))
	local which, at = count > 0 and random(count) or 0, 0
	return (line:gsub(pattern, function(old)
		at = at + 1
		return at == which and by(old) or old
	end))
end

local function change_line(pattern, by)
	return function(lines)
		local at = random(#lines)
		lines[at] = replace_one(lines[at], pattern, by)
	end
end

local MUTATIONS = {
	function(lines)
		table.remove(lines, random(#lines))
	end,
	function(lines)
		table.insert(lines, random(#lines), pick(lines))
	end,
	function(lines)
		local i, k = random(#lines), random(#lines)
		lines[i], lines[k] = lines[k], lines[i]
	end,
	function(lines, other)
		table.insert(lines, random(#lines), pick(other))
	end,
	function(lines, other)
		table.move(other, random(#other), #other, random(#lines), lines)
	end,
	function(lines)
		table.insert(lines, random(#lines), pick(STATEMENTS)(1))
	end,
	function(lines)
		local at = random(#lines)
		local old = lines[at]
		lines[at] = pick({ "pcall(function() %s end)", "while true do %s end", "for _ = 1, 1e6 do %s end", "return %s" })
			:gsub("%%s", function() return old end)
	end,
	change_line("%f[%w]%d[%w.]*", function() return pick(CONSTANTS) end),
	change_line('"[^"]*"', function() return pick(CONSTANTS) end),
	change_line("[%a_][%w_.]*%f[(]", function() return pick(FUNCTIONS) end),
	change_line("[%a_][%w_]*", function() return pick(VARIABLES) end),
	change_line(".", function() return string.char(random(0, 255)) end),
}

local function mutate(name, texts)
	local lines = lines_of((pick(texts):gsub('name = "[%w_]*"', 'name = "' .. name .. '"', 1)))
	local other = lines_of(pick(texts))
	-- The head stays in two of three, so that most of them get as far as their functions.
	local head = random(3) > 1 and table.move(lines, 1, 4, 1, {}) or {}
	local body = table.move(lines, #head + 1, #lines, 1, {})
	for _ = 1, random(4) do
		body[1] = body[1] or ""
		pick(MUTATIONS)(body, other)
	end
	return table.concat(head, "\n") .. "\n" .. table.concat(body, "\n")
end

--- A mutant of one of `texts`, spliced with another; the plugin in it is called `name`. Four of five are
--- Lua, as far as it is in the power of a few tries.
---@param name string
---@param texts string[]
---@return string
function M.mutant(name, texts)
	local text
	for _ = 1, random(5) > 1 and 20 or 1 do
		text = mutate(name, texts)
		if load(text, "=mutant", "t") then
			break
		end
	end
	return text
end

return M
