--- Lines of a console log: split, cleaned, and searched.
--
-- The functions that take an iterator work with `ctx:lines(...)`, with `lines.each(text)` and with
-- `lines.of(list)` alike: each call yields a segment and its number. A segment is what lies between
-- two line ends; a lone `\r` ends one too, because that is how a progress bar redraws itself.
local num = require("th.num")

local M = {}

---@alias th.LineIterator fun(): string?, integer?

--- Remove ANSI escapes: colours, cursor movement, window titles.
---@param text string
---@return string
function M.strip_ansi(text)
	if not text:find("\27", 1, true) then
		return text
	end
	text = text:gsub("\27%[[%d;?]*[ -/]*[@-~]", "")
	text = text:gsub("\27%][^\7\27]*\7?", "")
	return (text:gsub("\27[@-_]?", ""))
end

--- Iterate over the segments of a text; empty ones are counted but not yielded.
---@param text string
---@return th.LineIterator
function M.each(text)
	local pos, number = 1, 0
	return function()
		while pos <= #text do
			local stop = text:find("[\r\n]", pos) or #text + 1
			local segment = text:sub(pos, stop - 1)
			pos = stop + (text:find("^\r\n", stop) and 2 or 1)
			number = number + 1
			if segment ~= "" then
				return M.strip_ansi(segment), number
			end
		end
	end
end

--- Iterate over a list of segments.
---@param list string[]
---@return th.LineIterator
function M.of(list)
	local number = 0
	return function()
		number = number + 1
		return list[number], list[number] and number
	end
end

--- Iterate over the captures of `pattern` in the segments that match it.
---@param iterator th.LineIterator
---@param pattern string Lua pattern with at least one capture
---@return fun(): string?, ...
function M.matches(iterator, pattern)
	local function step(first, ...)
		if first then
			return first, ...
		end
	end
	return function()
		for segment in iterator do
			if segment:find(pattern) then
				return step(segment:match(pattern))
			end
		end
	end
end

--- What the first of the patterns that matches finds in a text: its capture, or all of the match.
---@param text string
---@param patterns string[] Lua patterns with at most one capture
---@return string? found nil when none matches
function M.match_any(text, patterns)
	for _, pattern in ipairs(patterns) do
		local found = text:match(pattern)
		if found then
			return found
		end
	end
end

--- The captures of the first segment that matches.
---@param iterator th.LineIterator
---@param pattern string
---@return string? capture
---@return string? ...
function M.first(iterator, pattern)
	return M.matches(iterator, pattern)()
end

--- The captures of the last segment that matches: where runs were appended, the newest run's.
---@param iterator th.LineIterator
---@param pattern string
---@return string? capture
---@return string? ...
function M.last(iterator, pattern)
	local found = {}
	for segment in iterator do
		if segment:find(pattern) then
			found = { segment:match(pattern) }
		end
	end
	return table.unpack(found)
end

--- The best number captured by `pattern`; of equals the first.
---@param iterator th.LineIterator
---@param pattern string the first capture is the number
---@param goal "max"|"min"
---@return number? value
---@return integer? index the how-many-th match it was, from 1
function M.best(iterator, pattern, goal)
	local best, where, index = nil, nil, 0
	for capture in M.matches(iterator, pattern) do
		index = index + 1
		local value = tonumber(capture)
		if value and (not best or (goal == "min" and value < best)
			or (goal == "max" and value > best)) then
			best, where = value, index
		end
	end
	return best, where
end

--- How many segments contain the literal.
---@param iterator th.LineIterator
---@param literal string
---@return integer
function M.count(iterator, literal)
	local count = 0
	for segment in iterator do
		if segment:find(literal, 1, true) then
			count = count + 1
		end
	end
	return count
end

--- The `Name: number` pairs of a message: `Loss: 0.4211, Acc: 0.9` -> { Loss = 0.4211, Acc = 0.9 }.
---@param text string
---@return table<string, number>
function M.fields(text)
	local out = {}
	for name, value in text:gmatch("(%a[%w_]*): ([%w.+-]+)") do
		out[name] = num.float(value)
	end
	return out
end

---@class th.Bar
---@field label string what stands before the percentage, without the colon
---@field done integer iterations finished
---@field total integer iterations planned

--- Parse a tqdm bar: `label:  93%|████▎| 123/132 [00:21<00:01,  4.95it/s]`.
-- When several were drawn without a line end between them, the last counts.
---@param segment string
---@return th.Bar?
function M.tqdm(segment)
	local first = segment:find("%|", 1, true)
	local at, done, total = first, nil, nil
	while at do
		local next_done, next_total = segment:match("^%%|[^|]*| +(%d+)/(%d+) %[", at)
		done, total = next_done or done, next_total or total
		at = segment:find("%|", at + 2, true)
	end
	done, total = num.int(done), num.int(total)
	if not done or not total then
		return nil
	end
	-- 200 bytes hold any label, and keep the pattern cheap on a hostile line
	local label = segment:sub(math.max(1, first - 200), first - 1):match("^(.-):?%s*%d*$")
	return { label = label, done = done, total = total }
end

return M
