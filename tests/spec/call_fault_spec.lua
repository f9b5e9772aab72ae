--- Each call to the system that an operation makes fails, once with each error that matters and from then
--- on: it ends with a message that names the error, or goes another way; nothing stays open or lies about.
local cases = require "support.sweep_cases"
local shim = require "support.shim"
local storage = require "support.storage"

describe("a call fails while it", function()
	local dir

	setup(function()
		dir = storage.temp_dir()
	end)
	teardown(function()
		storage.remove(dir)
	end)

	for i, case in ipairs(cases) do
		it(case.name, function()
			local library, why = shim.library("fail")
			if not library then
				return pending(why)
			end
			local here = dir .. "/" .. i
			storage.shell("mkdir %s", here)
			local said = storage.output(("LD_PRELOAD=%s XDG_STATE_HOME=%s/state lua5.4 -e 'require("
				.. "\"support.sweep\").main(require(\"support.sweep_cases\")[%d], \"%s\")' 2>%s/err"):format(library,
				here, i, here, dir))
			local n = said:match("^(%d+) faults\n$")
			assert.is_truthy(n, said .. storage.read(dir .. "/err"))
			assert.is_true(tonumber(n) > 0)
		end)
	end
end)
