--- A progress bar on stderr that looks, byte for byte, like tqdm's on a pipe.

local clock = require "clock"

local M = {}

---@class example.Bar
---@field private total integer
---@field private done integer
---@field private first integer where it began
---@field private label string
---@field private below integer lines below the cursor, for a bar inside another one
---@field private leave boolean
---@field private started number
---@field private drawn_at number
---@field private width integer columns of the last drawing
local Bar = {}
Bar.__index = Bar

local CELLS = 10
local EIGHTHS = { "▏", "▎", "▍", "▌", "▋", "▊", "▉" }
local INTERVAL = 0.1 -- seconds between two drawings, tqdm's mininterval

local function cells(fraction)
	local eighths = math.floor(fraction * CELLS * 8)
	local full, rest = eighths // 8, eighths % 8
	local text = ("█"):rep(full) .. (EIGHTHS[rest] or "")
	return text .. (" "):rep(CELLS - utf8.len(text))
end

local function minutes(seconds)
	return ("%02d:%02d"):format(seconds // 60, seconds % 60)
end

--- "00:01<00:03, 52.10it/s"; slow steps are given in seconds per step.
local function speed(done, total, elapsed)
	if done == 0 or elapsed <= 0 then
		return minutes(math.floor(elapsed)) .. "<?, ?it/s"
	end
	local rate = done / elapsed
	local unit = rate >= 1 and ("%5.2fit/s"):format(rate) or ("%5.2fs/it"):format(1 / rate)
	local left = math.floor((total - done) / rate)
	return ("%s<%s, %s"):format(minutes(math.floor(elapsed)), minutes(left), unit)
end

---@param total integer
---@param options? {label?: string, nested?: boolean, done?: integer}
---@return example.Bar
function M.new(total, options)
	options = options or {}
	local bar = setmetatable({
		total = total, done = options.done or 0, first = options.done or 0, width = 0,
		label = options.label and options.label .. ": " or "",
		below = options.nested and 1 or 0, leave = not options.nested,
		started = clock.now(), drawn_at = clock.now(),
	}, Bar)
	bar:draw()
	return bar
end

--- Write at the bar's line, and come back to where the cursor was.
---@private
function Bar:put(text)
	io.stderr:write(("\n"):rep(self.below), "\r", text, ("\27[A"):rep(self.below))
end

function Bar:draw()
	local fraction = self.total > 0 and self.done / self.total or 1.0
	local elapsed = clock.now() - self.started
	local text = ("%s%3d%%|%s| %d/%d [%s]"):format(
		self.label, math.floor(fraction * 100), cells(fraction), self.done, self.total,
		speed(self.done - self.first, self.total - self.first, elapsed))
	local width = utf8.len(text)
	self:put(text .. (" "):rep(self.width - width))
	self.width, self.drawn_at = width, clock.now()
end

--- Count steps; draws at most ten times a second.
---@param count? integer
function Bar:advance(count)
	self.done = self.done + (count or 1)
	if clock.now() - self.drawn_at >= INTERVAL then
		self:draw()
	end
end

--- Print a line on stdout without mixing it into the bar, as tqdm.write() does.
---@param line string
function Bar:print(line)
	self:put((" "):rep(self.width) .. "\r")
	io.stdout:write(line, "\n")
	self:draw()
end

--- Leave the finished bar on the screen, or wipe a nested one.
function Bar:close()
	if self.leave then
		self:draw()
		io.stderr:write("\n")
	else
		self:put((" "):rep(self.width) .. "\r")
	end
end

return M
