--- Times as ISO 8601 text. A plugin has no clock; it only rewrites the times it was given.
local M = {}

--- Days since 1970-01-01 to a Gregorian date (Howard Hinnant's `civil_from_days`).
local function civil(days)
	days = days + 719468 -- shift the epoch to 0000-03-01, so that leap days end a year
	local era = days // 146097
	local day_of_era = days - era * 146097
	local year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524
		- day_of_era // 146096) // 365
	local day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
	local month = (5 * day_of_year + 2) // 153
	local day = day_of_year - (153 * month + 2) // 5 + 1
	month = month < 10 and month + 3 or month - 9
	return year_of_era + era * 400 + (month <= 2 and 1 or 0), month, day
end

local YEAR_1, YEAR_10000 = -62135596800, 253402300800

--- Seconds since 1970 (UTC) to "2025-11-13T11:07:09+00:00".
---@param seconds number
---@return string? iso nil for what is not in the years 1 to 9999
function M.from_unix(seconds)
	if not (seconds >= YEAR_1 and seconds < YEAR_10000) then -- NaN is neither
		return nil
	end
	local whole = math.floor(seconds)
	local year, month, day = civil(whole // 86400)
	local rest = whole % 86400
	return ("%04d-%02d-%02dT%02d:%02d:%02d+00:00"):format(
		year, month, day, rest // 3600, rest // 60 % 60, rest % 60)
end

--- "2025-12-11T10:30:00+08:00" to seconds since 1970 (UTC); a naive time is taken as UTC.
---@param text string
---@return integer? seconds nil when the text has another shape
function M.to_unix(text)
	local date = { text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)[T ](%d%d):(%d%d):(%d%d)[.%d]*(.*)$") }
	for index = 1, 6 do
		date[index] = math.tointeger(tonumber(date[index]))
	end
	local year, month, day, hour, minute, second = table.unpack(date, 1, 6)
	if not second then
		return nil
	end
	local sign, off_hour, off_minute = date[7]:match("^([+-])(%d%d):?(%d%d)$")
	local offset = sign and (tonumber(off_hour) * 60 + tonumber(off_minute)) * 60 or 0
	year = month > 2 and year or year - 1 -- a year that begins in March, as in `civil`
	local day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
	local days = year * 365 + year // 4 - year // 100 + year // 400 + day_of_year - 719468
	return days * 86400 + hour * 3600 + minute * 60 + second - (sign == "-" and -offset or offset)
end

--- A time that Python printed in UTC without saying so: "2019-07-05T12:16:03.909392" or with a
-- blank for the T. One that says its zone stays as it is.
---@param text any
---@return string? iso nil when the text has another shape
function M.from_utc(text)
	local day, clock, zone = tostring(text):match(
		"^(%d%d%d%d%-%d%d%-%d%d)[T ](%d%d:%d%d:%d%d%.?%d*)(.*)$")
	if not day or not (zone == "" or zone == "Z" or zone:find("^[+-]%d%d:?%d%d$")) then
		return nil
	end
	return ("%sT%s%s"):format(day, clock, zone == "" and "+00:00" or zone)
end

--- Python logging's "%m/%d/%Y %H:%M:%S" to naive "2025-11-13T22:51:48".
---@param text string
---@return string? iso nil when the text has another shape
function M.from_us(text)
	local month, day, year, clock = text:match("^(%d%d)/(%d%d)/(%d%d%d%d) (%d%d:%d%d:%d%d)$")
	return month and ("%s-%s-%sT%s"):format(year, month, day, clock)
end

return M
