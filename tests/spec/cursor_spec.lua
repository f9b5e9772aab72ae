local follow = require("unit").cursor.follow

describe("the cursor's column", function()
	for name, case in pairs({
		["is 0 at the start"] = { 0 },
		["counts plain text"] = { 5, "hello" },
		["is 0 after a newline"] = { 0, "hello\n" },
		["is 0 after a carriage return"] = { 0, "hello\r" },
		["counts what follows the last redraw of a bar"] = { 4, "\r 10%|", "\r 20%|", "\r99%|" },
		["counts Chinese twice"] = { 7, "\n训练集:" },
		["puts together a character that two blocks share"] = { 2, "\xe8\xae", "\xad" },
		["puts together a colour that two blocks share"] = { 2, "\27[3", "1mok" },
		["passes over colours and the erasing of a line"] = { 2, "\27[1;31mok\27[0m\27[K" },
		["goes on to the next tab stop"] = { 9, "ab\tc" },
		["is unknown after the cursor was moved up"] = { false, "bar\n\27[A" },
		["stays unknown in a line that was left by a move"] = { false, "\27[A", "\rbar" },
		["is known again on the next line"] = { 2, "\27[A", "x\nab" },
		["is unknown after a backspace"] = { false, "50%\b\b" },
		["is unknown after bytes that are no UTF-8"] = { false, "\xff\xfe" },
		["is unknown at the right margin"] = { false, ("x"):rep(20) },
		["is unknown in a line of thousands of bytes"] = { false, ("x"):rep(5000) },
		["does not care how long earlier lines were"] = { 1, ("x"):rep(100000) .. "\na" },
	}) do
		it(name, function()
			assert.equal(case[1], follow(20, table.unpack(case, 2)) or false)
		end)
	end
end)
