--- libFuzzer on every reader of foreign bytes (tests/fuzz), and Python's json beside our scanner on
--- what the fuzzers came up with.
local storage = require "support.storage"
local torture = require "support.torture"
local unit = require "unit"

-- The readers that everything foreign comes in by; the others stand behind them, or read what these
-- have read, and get a tenth.
local FIRST = {}
for name in ("json record ini yaml ref worker events lua_csv lua_log lua_state"):gmatch("%S+") do
	FIRST[name] = true
end

---@param name string
---@return integer executions
local function runs_of(name)
	if not torture.is_long then
		return name:find("^lua_") and 1000 or 10000
	end
	return FIRST[name] and 10000000 or 1000000
end

local ENTRY = [[{"dataset":"hrds","steps":10,"metrics":{"f1":0.85},"start_time":"2025-12-11T10:30:00",]]
	.. [["end_time":"2025-12-11T11:30:00"}]]

local function is_there(command)
	return os.execute(("command -v %s >/dev/null"):format(command)) == true
end

local TARGET = "int LLVMFuzzerTestOneInput(void *data, unsigned long size) { return !data && size; }"

--- The names of all fuzzers, or nil where they cannot be built.
local function build()
	if not os.execute(("echo '%s' | clang -fsanitize=fuzzer -x c -o /dev/null - 2>/dev/null"):format(TARGET)) then
		return nil, "no clang with libFuzzer (clang, libclang-rt-dev)"
	end
	-- another mode's make must not hand its variables on
	local make = "env -u MAKEFLAGS -u MODE -u BUILD -u CC make -s -j2 "
	assert(os.execute("nice " .. make .. "fuzz >&2"), "make fuzz failed")
	local names = {}
	for name in storage.output(make .. "fuzz-names"):gmatch("%S+") do
		names[#names + 1] = name
	end
	return names
end

--- Run all of them, two at a time.
local function run_all(names, work)
	local pipe = assert(io.popen("xargs -P 2 -n 4 sh tests/fuzz/run.sh", "w"))
	for _, name in ipairs(names) do
		pipe:write(("%d %d %s %s\n"):format(runs_of(name),
			torture.seed & 0x7fffffff, work, name))
	end
	assert(pipe:close())
end

local function tail(text)
	return text:sub(-3000)
end

describe("fuzzing", function()
	local names, why = build()
	local work

	if not names then
		it("every reader", function()
			return pending(torture.cannot("fuzz", "libFuzzer on every reader", why))
		end)
		return
	end

	setup(function()
		work = storage.temp_dir()
		run_all(names, work)
	end)

	teardown(function()
		storage.remove(work)
	end)

	for _, name in ipairs(names) do
		it(name .. " finds nothing", function()
			local log = assert(storage.read(("%s/%s.log"):format(work, name)), "it did not run")
			local status = tonumber(storage.read(("%s/%s.status"):format(work, name)))
			local count = tonumber(log:match("stat::number_of_executed_units:%s*(%d+)")) or 0
			torture.figure("fuzz", name, count, status == 0 and 0 or 1, ("%s/s, %s edges"):format(
				log:match("stat::average_exec_per_sec:%s*(%d+)") or "?", log:match(".* cov: (%d+)") or "?"))
			assert(status == 0, ("%s: status %s; the input: %s\n%s"):format(name, status,
				log:match("Test unit written to (%S+)") or "?", tail(log)))
			assert(count >= runs_of(name), "too few executions")
		end)
	end

	--- Call `visit` with the path and the text of each input that fuzzer `name` kept.
	local function each_input(name, visit)
		local dir = work .. "/" .. name
		for _, file in ipairs(assert(unit.file.list(dir))) do
			visit(dir .. "/" .. file, assert(storage.read(dir .. "/" .. file)))
		end
	end

	--- What Python is to look at: each document that we accept, printed anew, and each record with
	--- an entry more.
	local function write_list(list, work_dir)
		local n = 0
		local function add(kind, path, text)
			n = n + 1
			local other = ("%s/%d"):format(work_dir, n)
			storage.write(other, text)
			list:write(("%s\t%s\t%s\n"):format(kind, path, other))
		end
		local function look(path, text)
			if unit.json.check(text, "n") then
				list:write(("document\t%s\n"):format(path))
				add("printed", path, unit.json.print(text, 2))
				local fresh = unit.info.append(text, { model_name = text:match('"model_name"%s*:%s*"([^"\\]*)"'),
					stage = text:match('"stage"%s*:%s*"([^"\\]*)"'), entries = { ENTRY } })
				if fresh then
					add("record", path, fresh)
				end
			end
		end
		for _, name in ipairs { "json", "record", "entry", "run", "spool" } do
			each_input(name, look)
		end
		return n
	end

	it("Python's json agrees with what our scanner accepts and what an append makes", function()
		if not is_there("python3") then
			return pending(torture.cannot("fuzz", "Python's json beside our scanner", "no python3"))
		end
		local dir = storage.temp_dir()
		finally(function()
			storage.remove(dir)
		end)
		local list = assert(io.open(dir .. "/list", "w"))
		write_list(list, dir)
		list:close()
		local out = storage.output(("python3 tests/fuzz/beside_python.py <%s/list"):format(dir))
		local count, faults = out:match("(%d+) looked at (%d+) faults")
		torture.figure("fuzz", "documents beside Python's json", tonumber(count), tonumber(faults))
		assert(tonumber(faults) == 0, tail(out))
		assert(tonumber(count) > 200, "hardly any document: " .. out)
	end)
end)
