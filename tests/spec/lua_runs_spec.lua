--- What readers of trackers share: th.runs, th.pick, and the folder they look into.
local cli = require "support.cli"
local json = require("th.json")
local pick = require("th.pick")
local readings = require "support.readings"
local runs = require("th.runs")

describe("th.runs", function()
	it("names the runs of a folder that is none itself", function()
		assert.are.same({ score = 90, why = "run.json fits" },
			runs.recognised({ "." }, "%s/run.json fits"))
		assert.are.same({ score = 85, why = "a/run.json fits", runs = { "a", "." } },
			runs.recognised({ "a", "." }, "%s/run.json fits"))
		assert.are.equal(70, runs.recognised({ "a" }, "%s", { own = 90, below = 70 }).score)
		assert.is_nil(runs.recognised({}, "%s"))
	end)

	it("says where values were read, once for very many", function()
		local reading, many = { sources = {} }, {}
		runs.source_all(reading, "final_metrics", { a = 1, b = 2 }, "x.json")
		assert.are.same({ ["final_metrics.a"] = "x.json", ["final_metrics.b"] = "x.json" },
			reading.sources)
		for index = 1, 101 do
			many["m" .. index] = index
		end
		reading.sources = {}
		runs.source_all(reading, "final_metrics", many, "y.json")
		assert.are.same({ final_metrics = "y.json" }, reading.sources)
	end)

	it("tells a model from what lies beside it", function()
		for name, is_model in pairs({ ["a/b.pt"] = true, ["M.CKPT"] = true, ["model.pkl"] = true,
			["data.pkl"] = false, ["checkpoint.npz"] = true, ["model.json"] = false, ["pt"] = false,
			["model/x.txt"] = false }) do
			assert.are.equal(is_model, runs.is_model(name), name)
		end
		assert.are.same({ best = "x/best.pt", last = "9.pt" },
			runs.checkpoints({ "1.pt", "x/best.pt", "best/readme.md", "9.pt" }))
		assert.is_nil(runs.checkpoints({ "readme.md" }))
	end)
end)

describe("th.pick", function()
	it("walks where there is a way", function()
		local value = { a = { { b = "x" } }, n = 3, e = "", null = json.null }
		assert.are.equal("x", pick.text(value, "a", 1, "b"))
		assert.are.equal(3, pick.number(value, "n"))
		assert.are.same({ b = "x" }, pick.table(value, "a", 1))
		for _, missing in ipairs({ "e", "null", "n", "zz" }) do
			assert.is_nil(pick.text(value, missing))
			assert.are.same({}, pick.table(value, missing))
		end
		assert.is_nil(pick.at(value, "n", "x"))
		assert.is_nil(pick.at(nil, "x"))
		assert.is_nil(pick.at(json.null))
	end)

	local function with_file(text, call)
		local dir = cli.temp_dir()
		local file = assert(io.open(dir .. "/a.json", "wb"))
		file:write(text)
		file:close()
		local result = table.pack(call(readings.folder(dir)))
		cli.remove(dir)
		return table.unpack(result, 1, result.n)
	end

	for text, code in pairs({ ["{"] = "bad_json", ["3"] = "not_a_training_record", [""] = "bad_json",
		["version https://git-lfs.github.com/spec/v1\noid x"] = "lfs_pointer" }) do
		it("says what is wrong with " .. text:sub(1, 10), function()
			local value, err = with_file(text, function(folder)
				return pick.json(folder, "a.json")
			end)
			assert.is_nil(value)
			assert.are.equal(code, err.code)
			assert.matches("'a.json'", err.message)
		end)
	end

	it("does not decode what would not fit", function()
		local _, err = with_file((" "):rep((16 << 20) + 1), function(folder)
			return pick.json(folder, "a.json")
		end)
		assert.are.equal("too_large", err.code)
	end)

	it("finds the last line of a file", function()
		for text, line in pairs({ ["a\nb"] = "b", ["a\r\nb \r\n\n"] = "b ", ["a"] = "a",
			[("x"):rep(9000) .. "\nz\n"] = "z" }) do
			assert.are.equal(line, with_file(text, function(folder)
				return pick.last_line(folder, "a.json")
			end))
		end
		assert.is_nil(with_file(" \n\n", function(folder)
			return pick.last_line(folder, "a.json")
		end))
		local line, err = with_file("", function(folder)
			return pick.last_line(folder, "absent")
		end)
		assert.are.same({ nil, "no_data" }, { line, err.code })
	end)

	it("finds one file without a pattern", function()
		with_file("{}", function(folder)
			assert.are.equal(2, folder:file("a.json").size)
			assert.is_nil(folder:file("*.json"))
			assert.is_nil(folder:file("absent"))
			assert.is_nil(folder:sub("a"):file("a.json"))
		end)
	end)
end)
