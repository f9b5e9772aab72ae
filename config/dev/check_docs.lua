--- check_docs.lua THHOST [ROOT]: do the documents say what the program does?
-- One line for each disagreement, and status 1. ROOT is the source tree (the current directory).

local cjson = require("cjson")

local program = arg[1]
local root = arg[2] or "."
local README_LINES = 250
local PAGES = {
	"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/plugins.md", "docs/readers.md",
	"docs/reliability.md",
}

local faults = 0

local function fault(format, ...)
	print(format:format(...))
	faults = faults + 1
end

local function read(name)
	local file <close> = io.open(root .. "/" .. name)
	if not file then
		fault("%s: missing", name)
		return ""
	end
	return file:read("a")
end

local function exists(name)
	local file <close> = io.open(root .. "/" .. name)
	return file ~= nil
end

local function quote(word)
	return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- What the program prints without any configuration of the user's.
local function output_of(arguments)
	local clean = "cd / && env -i PATH=/usr/bin:/bin HOME=/nonexistent "
	local pipe <close> = assert(io.popen(clean .. quote(program) .. " " .. arguments))
	return pipe:read("a")
end

-- ---- what the program says of itself ------------------------------------------------------------

local function list_verbs()
	local verbs = {}
	for name in (output_of("help"):match("\nverbs:\n(.-)\n\n") or ""):gmatch("  (%l+) [^\n]*") do
		verbs[#verbs + 1] = name
	end
	if #verbs == 0 then
		fault("'%s help' lists no verbs", program)
	end
	return verbs
end

---@return table<string, string|false> own, table<string, string|false> common name -> letter
local function list_options(verb)
	local own, common = {}, {}
	local where = own
	for line in output_of(verb .. " --help"):gmatch("[^\n]+") do
		local letter, name = line:match("^  %-(%a), %-%-([%w-]+)")
		name = name or line:match("^      %-%-([%w-]+)")
		if line == "common options:" then
			where = common
		elseif name then
			where[name] = letter or false
		end
	end
	return own, common
end

-- ---- manual pages -------------------------------------------------------------------------------

local function options_in_page(text)
	local found = {}
	for line in text:gmatch("[^\n]+") do
		local letter = line:match("^%.It Fl (%a) ,")
		for name in line:gmatch("Fl %-([%a][%w-]*)") do
			found[name] = letter or found[name] or false
		end
	end
	return found
end

local function check_verb_page(verb, own, common)
	local page = ("docs/thhost-%s.1"):format(verb)
	local found = options_in_page(read(page))
	for name, letter in pairs(own) do
		if found[name] == nil then
			fault("%s: --%s is missing", page, name)
		elseif found[name] ~= letter then
			fault("%s: --%s has the letter %s", page, name, letter or "none")
		end
	end
	for name in pairs(common) do
		if found[name] == nil then
			fault("%s: --%s is missing", page, name)
		end
	end
	for name in pairs(found) do
		if own[name] == nil and common[name] == nil then
			fault("%s: 'thhost %s' has no option --%s", page, verb, name)
		end
	end
end

local function check_main_page(verbs, common)
	local text = read("docs/thhost.1")
	local found = options_in_page(text)
	for _, verb in ipairs(verbs) do
		if not text:find("\n.It Cm " .. verb .. "\n", 1, true) then
			fault("docs/thhost.1: verb '%s' is missing", verb)
		end
	end
	for verb in text:gmatch("\n%.Xr thhost%-(%l+) 1") do
		if not exists(("docs/thhost-%s.1"):format(verb)) then
			fault("docs/thhost.1: there is no page thhost-%s.1", verb)
		end
	end
	for name, letter in pairs(common) do
		if found[name] ~= letter then
			fault("docs/thhost.1: --%s is missing or has another letter", name)
		end
	end
end

-- ---- configuration ------------------------------------------------------------------------------

local function read_ini(text)
	local values, section, key = {}, nil, nil
	for line in text:gmatch("[^\n]+") do
		local name, value = line:match("^([%w_]+)%s*=%s*(.*)$")
		section = line:match("^%[([^%]]+)%]") or section
		if name then
			key = section .. "." .. name
			values[key] = value
		elseif key and line:match("^%s+%S") then
			values[key] = values[key] .. line:match("^%s+(.*)$")
		end
	end
	return values
end

--- ".It Li key = value", or the key alone and later a literal block that holds a long value.
local function read_ini_page(text)
	local values, section, key, is_literal = {}, nil, nil, false
	for line in text:gmatch("[^\n]+") do
		local name, value = line:match("^%.It Li ([%w_]+) ?=? ?(.*)$")
		if line:find("^%.S[hs]") then
			section, key = line:match("^%.Ss %[([%l_]+)%]"), nil
		elseif section and name then
			key = section .. "." .. name
			values[key] = value
		elseif line == ".Bd -literal" or line == ".Ed" then
			is_literal = line ~= ".Ed"
		elseif key and is_literal then
			values[key] = values[key] .. line
		end
	end
	return values
end

local function check_values(where, values, expected)
	for key, value in pairs(expected) do
		if not values[key] then
			fault("%s: '%s' is missing", where, key)
		elseif values[key] ~= value then
			fault("%s: the default of '%s' is '%s', not '%s'", where, key, value, values[key])
		end
	end
	for key in pairs(values) do
		if not expected[key] then
			fault("%s: there is no key '%s'", where, key)
		end
	end
end

local function check_configuration()
	local ok, answer = pcall(cjson.decode, output_of("config list --json"))
	local expected = {}
	if not ok then
		fault("'%s config list --json' prints no JSON", program)
		return
	end
	for _, item in ipairs(answer.values) do
		expected[item.section .. "." .. item.key] = item.value
	end
	local ini, page = read("config/thhost.ini"), read("docs/thhost.ini.5")
	check_values("config/thhost.ini", read_ini(ini), expected)
	check_values("docs/thhost.ini.5", read_ini_page(page), expected)
	for variable in read("src/model/conf_keys.c"):gmatch('"(THHOST_[%u_]+)"') do
		if not ini:find("Variable: " .. variable .. "%f[^%u_]") then
			fault("config/thhost.ini: the variable %s is missing", variable)
		end
		if not page:find("Ev " .. variable .. "%f[^%u_]") then
			fault("docs/thhost.ini.5: the variable %s is missing", variable)
		end
	end
end

-- ---- exit statuses ------------------------------------------------------------------------------

local function check_numbers(where, found, expected)
	for number, word in pairs(expected) do
		if not found[number] then
			fault("%s: exit status %s (%s) is missing", where, number, word)
		elseif found[number] ~= true and found[number] ~= word then
			fault("%s: exit status %s is '%s', not '%s'", where, number, word, found[number])
		end
	end
	for number in pairs(found) do
		if not expected[number] then
			fault("%s: there is no exit status %s", where, number)
		end
	end
end

local function check_statuses()
	local expected, in_readme, in_page = {}, {}, {}
	for number, word in read("src/base/err.c"):gmatch('{ ERR_[%u_]+, (%d+), "([%l_]+)" }') do
		expected[number] = word
	end
	if not next(expected) then
		fault("src/base/err.c: no exit statuses found")
	end
	for number, word in read("README.md"):gmatch("\n| (%d+) | ([%l_]+) |") do
		in_readme[number] = word
	end
	for number in read("docs/thhost.1"):match("\n%.Sh EXIT STATUS(.-)\n%.Sh"):gmatch("\n%.It (%d+)") do
		in_page[number] = true
	end
	check_numbers("README.md", in_readme, expected)
	check_numbers("docs/thhost.1", in_page, expected)
end

-- ---- Markdown -----------------------------------------------------------------------------------

--- The words of a command line as a shell would see them, up to '--', a pipe or a comment.
local function words_of(line)
	local words = {}
	for word in line:gsub("'[^']*'", "TEXT"):gsub('"[^"]*"', "TEXT"):gmatch("%S+") do
		if word == "--" or word == "|" or word == "#" or word == "&&" then
			break
		end
		words[#words + 1] = word
	end
	return words
end

local function check_command(page, line, options)
	local words = words_of(line)
	local verb = words[2]
	if not verb or verb == "VERB" or verb:find("^%-") then
		return
	elseif not options[verb] then
		fault("%s: there is no verb '%s': %s", page, verb, line)
		return
	end
	for i = 3, #words do
		local long, short = words[i]:match("^%-%-([%w-]+)"), words[i]:match("^%-(%a)$")
		if (long and not options[verb].long[long]) or (short and not options[verb].short[short]) then
			fault("%s: 'thhost %s' has no option '%s': %s", page, verb, words[i], line)
		end
	end
end

local function check_commands(page, text, options)
	for line in text:gmatch("[^\n]+") do
		local command = line:match("^%$ (thhost .*)$") or line:match("^    %$? ?(thhost .*)$")
		if command then
			check_command(page, command, options)
		end
		for inline in line:gmatch("`(thhost [^`]+)`") do
			check_command(page, inline, options)
		end
	end
end

local function check_links(page, text)
	local dir = page:match("^(.*/)") or ""
	for target in text:gmatch("%]%(([^)#%s]+)[^)]*%)") do
		if not target:find("^%a+:") and not exists(dir .. target) then
			fault("%s: the link '%s' leads nowhere", page, target)
		end
	end
end

local function count_lines(text)
	return select(2, text:gsub("\n", "\n"))
end

local function check_markdown(options)
	for _, page in ipairs(PAGES) do
		local text = read(page)
		check_commands(page, text, options)
		check_links(page, text)
	end
	if count_lines(read("README.md")) >= README_LINES then
		fault("README.md: %d lines or more", README_LINES)
	end
end

-- ---- the rest -----------------------------------------------------------------------------------

local function check_fields()
	local ok, schema = pcall(cjson.decode, read("config/training_info.schema.json"))
	local page = read("docs/training_info.5")
	local expected, found = {}, {}
	if not ok then
		fault("config/training_info.schema.json: no JSON")
		return
	end
	for _, properties in ipairs({ schema.properties, schema["$defs"].entry.properties }) do
		for name in pairs(properties) do
			expected[name] = (expected[name] or 0) + 1
		end
	end
	for name in page:gmatch("\n%.It Li ([%l_]+)") do
		found[name] = (found[name] or 0) + 1
	end
	for name, times in pairs(expected) do
		if found[name] ~= times then
			fault("docs/training_info.5: '%s' is there %d times, not %d", name, found[name] or 0, times)
		end
	end
	for name in pairs(found) do
		if not expected[name] then
			fault("docs/training_info.5: there is no field '%s'", name)
		end
	end
end

local function check_version()
	local version = read("src/cli/version.h"):match('THHOST_VERSION "([^"]+)"') or "?"
	if not read("CHANGELOG.md"):find(version, 1, true) then
		fault("CHANGELOG.md: version %s is missing", version)
	end
end

local function main()
	local options, all_common = {}, nil
	local verbs = list_verbs()
	for _, verb in ipairs(verbs) do
		local own, common = list_options(verb)
		local known = { long = {}, short = {} }
		for _, set in ipairs({ own, common }) do
			for name, letter in pairs(set) do
				known.long[name] = true
				known.short[letter or ""] = true
			end
		end
		options[verb] = known
		all_common = common
		check_verb_page(verb, own, common)
	end
	check_main_page(verbs, all_common or {})
	check_configuration()
	check_statuses()
	check_markdown(options)
	check_fields()
	check_version()
end

if not program then
	io.stderr:write("usage: check_docs.lua THHOST [ROOT]\n")
	os.exit(2)
end
if not program:find("^/") then
	program = os.getenv("PWD") .. "/" .. program
end
main()
os.exit(faults == 0)
