--- What the fuzzers found in the Lua readers, and their seeds: nothing of it may raise.
local fake_ctx = require "support.fake_ctx"

local readers

--- Each file of tests/fuzz/`kind`/lua_NAME: its path and the reader's name.
local function each_input(kind)
	local pipe = assert(io.popen(("find tests/fuzz/%s -path '*/lua_*' -type f | sort"):format(kind)))
	local list = pipe:read("a")
	pipe:close()
	return list:gmatch("(%S+/lua_([%w_]+)/%S+)")
end

describe("the Lua readers", function()
	local path = package.path

	setup(function()
		package.path = "plugins/?.lua;" .. path
		readers = dofile("tests/fuzz/readers.lua")
	end)

	teardown(function()
		package.path = path
	end)

	for _, kind in ipairs { "found", "seeds" } do
		for file, name in each_input(kind) do
			it("read " .. file, function()
				readers[name](assert(fake_ctx.slurp(file)))
			end)
		end
	end
end)
