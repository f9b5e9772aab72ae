--- What the torture specs share: how much of it, the seed, and the figures that are printed.
---
--- `make torture` runs the long form, `make torture-short` (CI) the short one. A spec takes its counts
--- from `scale`, its random numbers from `seed`, and says with `figure` what it did, or with `cannot`
--- what this machine does not let it do: nothing is left out in silence.
local M = {}

--- True in the long form.
M.is_long = os.getenv("THHOST_TORTURE") == "long"

--- The seed of this run: SEED=N repeats one.
M.seed = math.tointeger(tonumber(os.getenv("SEED") or (M.is_long and os.time() or 4711)))

--- The count for this form.
---@param short integer
---@param long integer
---@return integer
function M.scale(short, long)
	return M.is_long and long or short
end

---@param ... string|integer
local function add(...)
	local path = os.getenv("THHOST_FIGURES")
	if not path then
		return
	end
	local file = assert(io.open(path, "a"))
	assert(file:write(table.concat({ ... }, "\t"), "\n"))
	assert(file:close())
end

--- One line of the table at the end, e.g. figure("crash", "kill -9, 8 writers", 10000, 0, "131 s").
---@param tier string name of the tier: what comes before "_spec.lua"
---@param what string what was done, without the count
---@param count integer how often
---@param violations integer how often the promise did not hold; the spec must fail unless it is 0
---@param detail? string more, such as a time or a percentile
function M.figure(tier, what, count, violations, detail)
	add(tier, what, count, violations, detail or "")
end

--- Say that something was not tried here, and why: `return pending(torture.cannot("hosts", "NFS", "no QEMU"))`.
---@param tier string
---@param what string
---@param why string
---@return string text for pending()
function M.cannot(tier, what, why)
	add(tier, what, "not run", "", why)
	return ("%s: %s not run: %s"):format(tier, what, why)
end

--- A stopwatch: the function gives "12.3 s" since then.
---@return fun(): string
function M.clock()
	local file = require("unit").file
	local start = file.now_ms()
	return function()
		return ("%.1f s"):format((file.now_ms() - start) / 1000)
	end
end

return M
