--- cov.lua COVERAGE.json: what the tests reach, by layer and by file, from gcovr's report.
-- Then, for the layers that must be covered, each line that no test reaches and that does not say
-- why: a comment "not reached by tests: WHY" speaks for the unreached lines from it on.

local cjson = require("cjson")

local MUST = { sys = true, model = true, script = true }
local REASON = "not reached by tests:"

local function read(name, how)
	local file <close> = assert(io.open(name))
	if how == "a" then
		return file:read("a")
	end
	local lines = {}
	for line in file:lines() do
		lines[#lines + 1] = line
	end
	return lines
end

---@class sum
---@field lines integer
---@field lines_reached integer
---@field branches integer
---@field branches_taken integer

---@return sum
local function new_sum()
	return { lines = 0, lines_reached = 0, branches = 0, branches_taken = 0 }
end

local function add(sum, more)
	for key, value in pairs(more) do
		sum[key] = sum[key] + value
	end
end

--- The sum of one file of gcovr's report, and how often each line of code ran.
local function count(file)
	local sum, runs = new_sum(), {}
	for _, line in ipairs(file.lines) do
		if not line["gcovr/noncode"] then
			runs[line.line_number] = (runs[line.line_number] or 0) + line.count
			for _, branch in ipairs(line.branches) do
				sum.branches = sum.branches + 1
				sum.branches_taken = sum.branches_taken + (branch.count > 0 and 1 or 0)
			end
		end
	end
	for _, times in pairs(runs) do
		sum.lines = sum.lines + 1
		sum.lines_reached = sum.lines_reached + (times > 0 and 1 or 0)
	end
	return sum, runs
end

--- The numbers of the unreached lines without a reason.
local function unexplained(lines, runs)
	local numbers, excused = {}, false
	for number, text in ipairs(lines) do
		if text:find(REASON, 1, true) then
			excused = true
		elseif (runs[number] or 0) > 0 then
			excused = false
		end
		local is_label = text:find("^%l+:$") -- where only a goto comes, gcov says
		if runs[number] == 0 and not excused and not is_label then
			numbers[#numbers + 1] = number
		end
	end
	return numbers
end

local function print_sum(name, sum)
	local function share(part, whole)
		return whole > 0 and 100 * part / whole or 100
	end
	print(("%-28s %6d %6.1f %% %8d %6.1f %%"):format(name,
		sum.lines, share(sum.lines_reached, sum.lines),
		sum.branches, share(sum.branches_taken, sum.branches)))
end

local report = cjson.decode(read(arg[1], "a"))
local layers, names, left = {}, {}, {}

print(("%-28s %6s %8s %8s %8s"):format("file", "lines", "reached", "branches", "taken"))
table.sort(report.files, function(a, b) return a.file < b.file end)
for _, file in ipairs(report.files) do
	local layer = file.file:match("^src/(%l+)/.*%.c$")
	if layer then
		local sum, runs = count(file)
		print_sum(file.file, sum)
		if not layers[layer] then
			layers[layer] = new_sum()
			names[#names + 1] = layer
		end
		add(layers[layer], sum)
		local lines = read(file.file)
		for _, number in ipairs(MUST[layer] and unexplained(lines, runs) or {}) do
			left[#left + 1] = ("%s:%d: %s"):format(file.file, number, lines[number]:match("^%s*(.*)"))
		end
	end
end
print()
for _, name in ipairs(names) do
	print_sum(name .. "/", layers[name])
end
print(("\n%d lines of sys/, model/ and script/ are not reached and do not say why"):format(#left))
for _, line in ipairs(left) do
	print(line)
end
