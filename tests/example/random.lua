--- Random numbers that are the same on every machine and with every Lua.
-- math.random is seeded differently from version to version, and a training has to be
-- repeatable to the last digit; so this is splitmix64, one line of arithmetic per number.

local M = {}

---@class example.Random
---@field private state integer
local Random = {}
Random.__index = Random

--- FNV-1a, so that streams with similar names ("epoch 1", "epoch 2") start far apart.
---@param text string
---@return integer
local function hash(text)
	local value = 0xcbf29ce484222325
	for _, byte in ipairs({ text:byte(1, -1) }) do
		value = (value ~ byte) * 0x100000001b3
	end
	return value
end

--- A generator. Two streams of one seed are independent of each other.
---@param seed integer
---@param stream string
---@return example.Random
function M.new(seed, stream)
	return setmetatable({ state = hash(seed .. "/" .. stream) }, Random)
end

---@return integer # 64 random bits
function Random:bits()
	self.state = self.state + 0x9e3779b97f4a7c15
	local z = self.state
	z = (z ~ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ~ (z >> 27)) * 0x94d049bb133111eb
	return z ~ (z >> 31)
end

---@return number # at least 0, less than 1
function Random:uniform()
	return (self:bits() >> 11) * 2.0 ^ -53
end

---@param low integer
---@param high integer
---@return integer # from low to high, both included
function Random:integer(low, high)
	return low + math.floor(self:uniform() * (high - low + 1))
end

---@return number # mean 0, deviation 1
function Random:normal()
	local radius = math.sqrt(-2 * math.log(1 - self:uniform()))
	return radius * math.cos(2 * math.pi * self:uniform())
end

--- The numbers 1 to n in random order.
---@param n integer
---@return integer[]
function Random:permutation(n)
	local order = {}
	for i = 1, n do
		local j = self:integer(1, i)
		order[i] = order[j]
		order[j] = i
	end
	return order
end

return M
