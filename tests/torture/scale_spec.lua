--- The answers of a large root, with all that goes wrong in one, against those of jq over the files.
local answers = require "support.answers"
local scale = require "support.scale"
local torture = require "support.torture"

local TIER = "scale"
local RECORDS = tonumber(os.getenv("RECORDS")) or torture.scale(5000, 100000)

describe(("a root of %d records"):format(RECORDS), function()
	local s

	setup(function()
		s = scale.new(RECORDS, ("--foul --seed %d --chain 1000 --fan 1000"):format(torture.seed))
	end)

	teardown(function()
		s:close()
	end)

	for _, way in ipairs(scale.ways()) do
		--- A question, whose answer counts what was compared.
		local function ask(what, question)
			it(("%s, asked %s"):format(what, way.name), function()
				local time = torture.clock()
				s.options = way.options
				local count = question() or 1
				torture.figure(TIER, ("%s, %s"):format(what, way.name), count, 0, time())
			end)
		end

		ask("every record whole and in order", function()
			local n = answers.all(s)
			assert.is_true(n >= RECORDS)
			return n
		end)
		for i, case in ipairs(answers.filters) do
			ask("filter " .. i, function()
				return answers.filter(s, case)
			end)
		end
		ask("a sheet of columns", function()
			return answers.columns(s)
		end)
		ask("the best", function()
			answers.best(s)
		end)
		ask("strategies", function()
			return answers.strategies(s)
		end)
		ask("every attempt", function()
			return answers.runs(s)
		end)
	end
end)
