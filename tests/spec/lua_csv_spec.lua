local csv = require("th.csv")

describe("th.csv", function()
	for name, case in pairs({
		["plain"] = { "a,b\n1,2\n", { "a", "b" }, { { "1", "2" } } },
		["CRLF without a last line end"] = { "a,b\r\n1,2", { "a", "b" }, { { "1", "2" } } },
		["CR CR LF of Keras on Windows"] = { "a,b\r\r\n1,2\r\r\n3,4\r\r\n", { "a", "b" },
			{ { "1", "2" }, { "3", "4" } } },
		["a padded header"] = { "   epoch,  metrics/mAP50(B)\n  0, 0.5\n",
			{ "epoch", "metrics/mAP50(B)" }, { { "  0", " 0.5" } } },
		["quotes"] = { 'a,b\n"x, ""y""\nz",2\n', { "a", "b" }, { { 'x, "y"\nz', "2" } } },
		["empty fields"] = { "a,b,c\n1,,\n", { "a", "b", "c" }, { { "1", "", "" } } },
		["blank lines and a byte order mark"] = { "\xEF\xBB\xBFa\n\n1\n\n", { "a" }, { { "1" } } },
		["a header alone"] = { "a,b\n", { "a", "b" }, {} },
	}) do
		it("reads " .. name, function()
			local got = assert(csv.decode(case[1]))
			assert.are.same(case[2], got.header)
			assert.are.same(case[3], got.rows)
		end)
	end

	it("takes another separator", function()
		assert.are.same({ { "1", "2,5" } }, csv.decode("a\tb\n1\t2,5\n", "\t").rows)
	end)

	it("gives rows as records with typed numbers", function()
		assert.are.same({ { epoch = 0, loss = 0.5, name = "x" }, { epoch = 1 } },
			csv.records(csv.decode("epoch, loss,name\n 0, 0.5,x\n1,,\n")))
	end)

	it("reports a quote that is never closed, with its line", function()
		local value, err = csv.decode('a,b\n1,2\n"x,2\n')
		assert.is_nil(value)
		assert.are.equal("bad_csv", err.code)
		assert.matches("line 3", err.message)
	end)

	it("reports an empty file", function()
		assert.are.equal("no_data", select(2, csv.decode("")).code)
	end)
end)
