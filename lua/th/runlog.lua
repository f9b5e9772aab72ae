--- One run read from its log by a table of rules.
--
-- A rule names a literal (filtered by the host before Lua sees the line) and says what a match
-- means. A rule with `start` begins a new run and forgets what was read: where several runs were
-- appended to one log, the last counts.
--
--     local RULES = {
--       { find = "Using device", start = true },
--       { find = "Epoch ", match = "Epoch (%d+)/(%d+)", on = function(run, i, n) ... end },
--       { find = "Training done", finish = true },
--     }
--     local run = runlog.read(ctx:lines("log", runlog.needles(RULES)), RULES)
local lines = require("th.lines")
local pylog = require("th.pylog")

local M = {}

---@class th.LogRule
---@field find string literal that the segment must contain
---@field match? string Lua pattern, applied to the message; its captures are given to `on`
---@field on? fun(run: th.Run, ...: string) called for each match
---@field start? boolean a new run begins here
---@field finish? boolean the training says that it ended well
---@field close? boolean with `finish`: nothing of this run follows, so a later fault is another's
---@field fail? boolean the training says that it failed

---@class th.Run
---@field start_time? string first time stamp, naive ISO
---@field end_time? string last time stamp, naive ISO
---@field finished boolean
---@field failed boolean
---@field error? string last line of a traceback that nothing good followed
---@field seen boolean at least one rule matched

--- The literals of all rules, the log prefix, tracebacks and bars, ready for `ctx:lines`.
---@param rules th.LogRule[]
---@return string ...
function M.needles(rules)
	local list = { "%|" }
	for _, needle in ipairs(pylog.NEEDLES) do
		list[#list + 1] = needle
	end
	for _, needle in ipairs(pylog.TRACE_NEEDLES) do
		list[#list + 1] = needle
	end
	for _, rule in ipairs(rules) do
		list[#list + 1] = rule.find
	end
	return table.unpack(list)
end

local function new_run(init)
	local run = { finished = false, failed = false, seen = false }
	if init then
		init(run)
	end
	return run
end

local function apply(run, rule, msg)
	if rule.match and not msg:find(rule.match) then
		return
	end
	run.seen = true
	if rule.finish then
		run.finished, run.failed, run.error = true, false, nil
		run.closed = rule.close or run.closed
	elseif rule.fail then
		run.failed = true
	end
	if rule.on then
		rule.on(run, msg:match(rule.match or "^.*$"))
	end
end

--- Is the segment nothing but a progress bar? Hundreds of thousands of them are in a long log, so
-- they take a shorter way.
local function is_plain_bar(segment)
	return segment:byte(-1) == 93 and segment:find("%|", 1, true)
		and not segment:find(" - ", 1, true)
end

--- Apply a record to the run; returns the run, or the one that begins with this record.
local function read_record(run, record, rules, init, trace)
	local msg, fault = record.msg, trace(record.msg)
	if fault and run.closed then
		run = new_run(init)
	end
	for _, rule in ipairs(rules) do
		if msg:find(rule.find, 1, true) then
			if rule.start or (rule.fail and run.closed) then
				run = new_run(init)
			end
			apply(run, rule, msg)
		end
	end
	run.start_time = run.start_time or record.time
	run.end_time = record.time or run.end_time
	run.error = fault or run.error
	return run
end

--- Read the last run of a log.
---@param iterator th.LineIterator
---@param rules th.LogRule[]
---@param init? fun(run: th.Run) prepares a new run's own fields
---@param on_bar? fun(run: th.Run, bar: th.Bar) called for each progress bar
---@return th.Run
function M.read(iterator, rules, init, on_bar)
	local run, trace = new_run(init), pylog.traceback_reader()
	local function take_bar(text)
		local bar = on_bar and lines.tqdm(text)
		if bar then
			on_bar(run, bar)
		end
	end
	for segment in iterator do
		if is_plain_bar(segment) then
			take_bar(segment)
		else
			for record in pylog.records(lines.of({ segment })) do
				run = read_record(run, record, rules, init, trace)
				take_bar(record.msg)
			end
		end
	end
	return run
end

--- What became of the run, in the words of the contract. A fault after the training's own end
-- leaves it completed; the text is returned for a warning.
---@param run th.Run
---@return "completed"|"failed"|"interrupted"|"unknown" outcome
---@return string? error_text
function M.outcome(run)
	local problem = run.error or (run.failed and "the wrapper says that the run failed") or nil
	if run.finished then
		return "completed", problem
	elseif run.error and pylog.is_interrupt(run.error) then
		return "interrupted", problem
	elseif problem then
		return "failed", problem
	elseif run.seen then
		return "interrupted", "the log ends before the training does"
	end
	return "unknown"
end

return M
