--- The hostile plugins of tests/fixtures/hostile, and how each of them must end.
local worker = require "support.worker"

local M = {}

M.DIR = "tests/fixtures/hostile"

-- Short where time is what ends a plugin; elsewhere a busy machine must not be what does.
local SHORT = "CALL_MS=300 LOAD_MS=200 MEMORY_KB=32768"
local PATIENT = "CALL_MS=5000 LOAD_MS=5000 MEMORY_KB=32768"
local LONG = "CALL_MS=10000 LOAD_MS=5000 MEMORY_KB=32768"
local TOO_LONG = "took longer than "
local KILLED = "and was killed"
local NO_MEMORY = "needed more than 32 MiB of memory"
local NO_C_MEMORY = "needed more memory than a plugin may have"
local NO_FINALIZERS = "finalizers (__gc) are not available"

local function undefined(name)
	return "undefined variable '" .. name .. "'"
end

--- Advisory, plugin, and a part of the message it must end with.
M.ADVISORIES = {
	{ "CVE-2015-4335", "cve_2015_4335", undefined("load") },
	{ "CVE-2018-11218", "cve_2018_11218", "module 'cmsgpack' is not available to plugins" },
	{ "CVE-2018-11219", "cve_2018_11219", "out of limits [1,16]" },
	{ "CVE-2020-14147", "cve_2020_14147", "out of limits [1,16]" },
	{ "CVE-2020-15888", "cve_2020_15888" },
	{ "CVE-2020-15889", "cve_2020_15889", undefined("collectgarbage") },
	{ "CVE-2020-15945", "cve_2020_15945", undefined("debug") },
	{ "CVE-2020-24342", "cve_2020_24342", "C stack overflow" },
	{ "CVE-2020-24369", "cve_2020_24369", undefined("load") },
	{ "CVE-2020-24370", "cve_2020_24370", undefined("debug") },
	{ "CVE-2020-24371", "cve_2020_24371", undefined("collectgarbage") },
	{ "CVE-2021-32626", "cve_2021_32626" },
	{ "CVE-2021-43519", "cve_2021_43519", undefined("coroutine") },
	{ "CVE-2021-44647", "cve_2021_44647", NO_FINALIZERS },
	{ "CVE-2021-44964", "cve_2021_44964", NO_FINALIZERS },
	{ "CVE-2021-45985", "cve_2021_45985", NO_FINALIZERS },
	{ "CVE-2022-0543", "cve_2022_0543", undefined("package") },
	{ "CVE-2022-24735", "cve_2022_24735", "cannot change field 'decode': it is read-only" },
	{ "CVE-2022-24736", "cve_2022_24736", "<eof> expected near 'end'" },
	{ "CVE-2022-24834", "cve_2022_24834", NO_MEMORY },
	{ "CVE-2022-28805", "cve_2022_28805", "attempt to index a nil value" },
	{ "CVE-2022-33099", "cve_2022_33099", "extract: xxxxxxxxxxxx" },
	{ "CVE-2024-31228", "cve_2024_31228", "matches nothing in" },
	{ "CVE-2024-31449", "cve_2024_31449", undefined("bit") },
	{ "CVE-2024-46981", "cve_2024_46981", undefined("collectgarbage") },
	{ "CVE-2025-46817", "cve_2025_46817", "too many results to unpack" },
	{ "CVE-2025-46818", "cve_2025_46818", "table expected, got number" },
	{ "CVE-2025-46818, strings", "string_metatable", "attempt to index a boolean value" },
	{ "CVE-2025-46819", "cve_2025_46819", "unfinished long string" },
	{ "CVE-2025-49844", "cve_2025_49844", undefined("load") },
	-- what Lua mended after the 5.4.4 of Debian 12, by commit
	{ "lua 1e64c139", "lua_close_nested", undefined("coroutine") },
	{ "lua 3fe7be95", "lua_close_handler", "second of first" },
	{ "lua 5853c37a", "lua_concat", NO_MEMORY },
	{ "lua 7923dbbf", "lua_objname", "attempt to index a nil value" },
	{ "lua 983bc433", "lua_finishset" },
	{ "lua f623b969", "lua_compare" },
}

-- plugin -> a part of the message (plain text)
local ERRORS = {
	backtracking = KILLED,
	base_control = "base_model: it has a control character in it",
	byte_many = "string slice too long",
	bytecode = "is compiled Lua; only its source text can be run",
	checkpoint_absolute = "'/etc/passwd' cannot be a final checkpoint",
	checkpoint_climbing = "'../../../../etc/passwd' cannot be a final checkpoint",
	checkpoint_zero = "final_checkpoint, a string with a zero byte in it",
	cjson_buffer = NO_C_MEMORY,
	cjson_cycle = "excessive nesting",
	cjson_deep = "too many nested data structures",
	cjson_max_depth = "(field 'decode_max_depth')",
	cjson_new = "(field 'new')",
	cjson_write = "cannot change field 'decode': it is read-only",
	closure_memory = NO_MEMORY,
	concat_len = TOO_LONG,
	concat_memory = NO_MEMORY,
	ctx_file = "input 'x' has no file '../../../etc/passwd'",
	ctx_metatable = "cannot change a protected metatable",
	ctx_other_self = "no input '../../etc/passwd' is declared",
	ctx_path = "no input '/etc/passwd' is declared",
	ctx_write = "cannot change field 'argv': it is read-only",
	dir_climbing = "'../../x' cannot be the name of a dir",
	endless = TOO_LONG,
	endless_at_load = TOO_LONG,
	endless_close = TOO_LONG,
	endless_for = TOO_LONG,
	endless_goto = TOO_LONG,
	endless_gsub = KILLED,
	endless_index = TOO_LONG,
	endless_ipairs = TOO_LONG,
	endless_pcall = TOO_LONG,
	endless_rep = KILLED,
	endless_sort = TOO_LONG,
	endless_tostring = TOO_LONG,
	endless_utf8 = KILLED,
	env_metatable = "cannot change a protected metatable",
	env_write = "assignment to undeclared variable 'leak'",
	failure_hostile = "extract: \27[2J",
	finalizer = NO_FINALIZERS,
	find_plain = KILLED,
	format_zero_byte = "invalid conversion '%p'",
	global_table = undefined("_G"),
	global_write = "assignment to undeclared variable 'leak'",
	gsub_memory = NO_MEMORY,
	gsub_recursion = "stack overflow",
	hyperparams_endless = TOO_LONG,
	input_absolute = "must stay below the stage directory",
	input_climbing = "must stay below the stage directory",
	input_control = "a name with a control character in it",
	input_fifo = "'fifo' is not a regular file",
	input_link = "input 'x' (link*) matches nothing in",
	input_zero = "must be a string without a zero byte",
	inputs_many = "declares more than 64 inputs",
	insert_len = KILLED,
	issue_flood = NO_MEMORY,
	library_write = "cannot change field 'null': it is read-only",
	metric_control = "a key with a control character in it",
	metric_zero = "a key with a control character in it",
	move_forever = KILLED,
	name_zero = "must be a string without a zero byte",
	nested = "C stack overflow",
	other_run = "an unknown field 'run_id'",
	outcome_wrong = "outcome, a string with a zero byte in it",
	pattern_nested = KILLED,
	quiet_timeout = TOO_LONG,
	raise_again = "(tests/fixtures/hostile/raise_again.lua:7): extract: first",
	raise_nil = "raised nil, not a message",
	raise_number = "extract: ",
	raise_table = "raised a table, not a message",
	raise_tostring = "raised a table, not a message",
	recursion = NO_MEMORY,
	rep_memory = "resulting string too large",
	rep_separator = "resulting string too large",
	require_absolute = "module '/proc/self/environ' is not available to plugins",
	require_debug = "module 'debug' is not available to plugins",
	require_dots = "module 'th...x' is not available to plugins",
	require_io = "module 'io' is not available to plugins",
	require_new = "module 'new.stage' is not available to plugins",
	require_os = "module 'os' is not available to plugins",
	require_package = "module 'package' is not available to plugins",
	require_parent = "module '../x' is not available to plugins",
	require_path = "module '/etc/passwd' is not available to plugins",
	require_table = "string expected, got table",
	return_bytes = "base_model, a string that is not valid UTF-8",
	return_cycle = "nested deeper than 8",
	return_deep = "nested deeper than 8",
	return_function = "extract returned metrics.f = a function; numbers only",
	return_huge = NO_MEMORY,
	return_long = "base_model, a string of more than 64 KiB",
	return_long_key = "an unknown field 'xxxxxxxx",
	return_many = "more than 1024 keys in all",
	return_million = "more than 1024 keys in all",
	return_string = 'extract returned metrics.accuracy = "0.91" (string); numbers only',
	steps_huge = "must be a whole number, 0 or more",
	steps_negative = "must be a whole number, 0 or more",
	string_insert = "it is read-only",
	string_library = "cannot change field 'upper': it is read-only",
	table_memory = NO_MEMORY,
	time_wrong = "start_time is '2026-99-99",
	unpack_many = "too many results to unpack",
	use_collectgarbage = undefined("collectgarbage"),
	use_coroutine = undefined("coroutine"),
	use_debug = undefined("debug"),
	use_dofile = undefined("dofile"),
	use_dump = "(field 'dump')",
	use_getenv = undefined("os"),
	use_io = undefined("io"),
	use_load = undefined("load"),
	use_loadfile = undefined("loadfile"),
	use_loadstring = undefined("loadstring"),
	use_newproxy = undefined("newproxy"),
	use_os_exit = undefined("os"),
	use_package = undefined("package"),
	use_pointer = "invalid conversion '%p'",
	use_popen = undefined("io"),
	use_print = undefined("print"),
	use_random = "(field 'random')",
	use_rawset = undefined("rawset"),
	use_setfenv = undefined("setfenv"),
	use_warn = undefined("warn"),
	use_xpcall = undefined("xpcall"),
	validate_endless = TOO_LONG,
	version_control = "must be UTF-8 text without control characters",
	wide_format = "invalid conversion",
	yaml_bomb = "too large once its aliases are expanded",
}

local function metric(name, value)
	return function(result)
		return result.metrics and result.metrics[name] == value
	end
end

-- Hostile by intent, but harmless here: what they give.
local RESULTS = {
	address_in_error = metric("n", 0),
	cve_2020_15888 = metric("n", 5000),
	cve_2021_32626 = metric("n", 7),
	format_zero_text = metric("x", 0),
	lua_compare = metric("n", 602),
	lua_finishset = metric("n", 1),
	many_warnings = function(result)
		return #result.warnings == 101
	end,
	rep_empty = metric("x", 0),
	return_metatable = function(result)
		return next(result.metrics) == nil
	end,
	return_nan = function(result)
		return result.metrics.x ~= result.metrics.x and result.metrics.y == math.huge
	end,
	table_metamethods = function(result)
		return result.metrics == nil
	end,
	warn_flood = function(result)
		return #result.warnings == 101 and not result.warnings[1]:find("\0")
	end,
	weak_table = metric("n", 1),
}

for _, row in ipairs(M.ADVISORIES) do
	ERRORS[row[2]] = ERRORS[row[2]] or row[3]
end

--- The names of all of them, in order.
---@return string[]
function M.names()
	local names = {}
	for file in assert(io.popen("ls " .. M.DIR)):lines() do
		names[#names + 1] = assert(file:match("^(.*)%.lua$"), file)
	end
	return names
end

--- Is there an ending for `name`? Then its text, or true for a result.
function M.ending(name)
	return ERRORS[name] or RESULTS[name] and true
end

--- The limits that `name` is run with, as variables of worker_tool.
function M.limits(name)
	-- rep_empty counts to 2^62 in a C loop on some builds of Lua: then the timer ends it
	local is_timed = ERRORS[name] == TOO_LONG or ERRORS[name] == KILLED or name == "rep_empty"
	return is_timed and SHORT or LONG
end

--- The polite end comes at 80 % of the limit. A machine that is busy may take the rest of it: was `name` killed
--- for that? Then it may have these limits.
---@return string?
function M.more_time(name, answer)
	local message = worker.message(answer)
	return ERRORS[name] == TOO_LONG and message and message:find(KILLED, 1, true) and PATIENT or nil
end

--- What is wrong with how `name` ended, or nil.
---@param name string
---@param answer table what worker_tool said
---@return string?
function M.fault(name, answer)
	local message, text, check = worker.message(answer), ERRORS[name], RESULTS[name]
	if check then
		local is_timed_out = name == "rep_empty" and message and message:find(KILLED, 1, true)
		return not is_timed_out and (message or not check(answer) and "another result") or nil
	elseif not message then
		return "it returned a result"
	elseif text == NO_C_MEMORY and os.getenv("THHOST_MODE") == "asan" then
		return nil -- the address space is not limited there, so that time or Lua's memory ends it
	elseif not message:find(text, 1, true) then
		return "not the expected end: " .. message
	elseif not message:find(name, 1, true) then
		return "no name in: " .. message
	end
end

--- A stage directory with what the inputs of some of them are after: links out of it, a FIFO, aliases that
--- expand to gigabytes, a name that makes a bad matcher sweat.
function M.stage()
	local dir = worker.dir() .. "/hostile_stage"
	worker.write("hostile_secret", "the secret\n")
	worker.write("hostile_stage/train.log", "loss 1\n")
	worker.write("hostile_stage/" .. ("a"):rep(250), "")
	local lines, last = { "a: &a [x,x,x,x,x,x,x,x,x,x]" }, "*a"
	for letter in ("bcdefghi"):gmatch(".") do
		lines[#lines + 1] = ("%s: &%s [%s]"):format(letter, letter, (last .. ","):rep(10):sub(1, -2))
		last = "*" .. letter
	end
	worker.write("hostile_stage/bomb.yaml", table.concat(lines, "\n") .. "\n")
	assert(os.execute(([[cd '%s' && mkfifo fifo && ln -s ../hostile_secret link1 &&
		ln -s /etc/passwd link2 && ln -s /proc/self/environ link3 && ln -s link4 link4]]):format(dir)))
	return dir
end

return M
