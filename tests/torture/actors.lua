--- The processes of the tiers "writers" and "foreign": lua5.4 tests/torture/actors.lua ROLE JOB.
--- JOB is a Lua table as text (see M.start in support.actors). Each goes on until the file job.stop is
--- there, and writes what it did to stdout; what it finds wrong goes to stderr, with status 1.
local unit = require "unit"
local cjson = require "cjson"
local storage = require "support.storage"

local file, store = unit.file, unit.store
local role, job = arg[1], load("return " .. arg[2])()

local function is_over()
	return storage.read(job.stop) ~= nil
end

---@param k integer
local function dir_of(k)
	return job.spread == 0 and job.dir or ("%s/parent_finder_%04d"):format(job.dir, k)
end

local function wrong(...)
	io.stderr:write(table.concat({ role, ... }, " "), "\n")
	os.exit(1)
end

--- stdout and status of thhost.
local function thhost(...)
	local words = { job.thhost, ... }
	for i, word in ipairs(words) do
		words[i] = storage.quote(word)
	end
	local pipe = assert(io.popen(table.concat(words, " ") .. " 2>&1"))
	local out = pipe:read("a")
	return out, select(3, pipe:close())
end

-- ---- writers: each gives the position of its entry, or nil and what was said ----

local function by_store(k, steps)
	local ok, done, after, code = pcall(store.append, dir_of(k), { steps = steps, timeout = job.timeout,
		path = dir_of(k) .. "/" .. storage.RECORD })
	if not ok then
		return nil, done -- no such directory
	elseif not done then
		return nil, after, code
	end
	return after.n_entries
end

local function by_command(k, steps)
	local out, status = thhost("record", "stage3", "-d", ("%04d"):format(k), "--steps", tostring(steps),
		"-m", "f1=0.5", "--root", job.root, "--json", "-q")
	local entries = status == 0 and out:match('"entries": (%d+)')
	if not entries then
		return nil, ("status %s: %s"):format(status, out)
	end
	return tonumber(entries)
end

--- One line of 43 bytes for each entry: directory, steps, position, ms from the call to here, and when.
local function write_entries(append)
	local k, i = job.from, 0
	while not is_over() do
		local steps = job.base * 100000 + i
		local begun = file.now_ms()
		local position, message, code = append(k, steps)
		if position then
			local now = file.now_ms()
			io.write(("%04d %010d %06d %06d %012d\n"):format(k, steps, position, now - begun, now))
			io.flush()
		elseif not job.may_fail then
			wrong(dir_of(k), steps, message)
		else
			io.stderr:write("refused: ", code or "failed", " ", steps, " ", message, "\n")
		end
		i = i + 1
		if job.spread > 1 then
			k = math.random(job.spread)
		elseif position and job.per_file and position >= job.per_file then
			k = k + 1
		end
	end
end

-- ---- readers ----

local seen = {} -- steps of each directory as read the last time

--- A whole document, nothing that was there has gone or moved, and the total is right.
local function check(k, text)
	if not unit.json.check(text) then
		wrong(dir_of(k), "no JSON:", text)
	end
	local steps, sum = storage.steps_of(text), 0
	for _, value in ipairs(steps) do
		sum = sum + value
	end
	local before = seen[k] or {}
	if sum ~= tonumber(text:match('"total_steps": (%d+)')) then
		wrong(dir_of(k), "the total is wrong")
	elseif #steps < #before or steps[#before] ~= before[#before] then
		wrong(dir_of(k), "an entry has gone or moved")
	end
	seen[k] = steps
end

--- The directory to look at next: the newest, or any.
local function choose(k)
	if job.spread > 1 then
		return math.random(job.spread)
	end
	while storage.read(dir_of(k + 1) .. "/" .. storage.RECORD) do
		k = k + 1
	end
	return k
end

local function read_records()
	local count, k = 0, 1
	while not is_over() do
		k = choose(k)
		local text = storage.read(dir_of(k) .. "/" .. storage.RECORD)
		if text then
			check(k, text)
			count = count + 1
		elseif seen[k] then
			wrong(dir_of(k), "the record is gone")
		end
	end
	print("count", count)
end

--- Copies as a backup makes them: record and backup in them are whole.
local function copy_records()
	local count, k = 0, 1
	local copy = job.stop .. ".copy"
	while not is_over() do
		k = choose(k)
		os.execute(("rm -rf %s; cp -a %s %s 2>/dev/null"):format(copy, dir_of(k), copy))
		local text = storage.read(copy .. "/" .. storage.RECORD)
		local backup = storage.read(copy .. "/.training_info.json.bak")
		if text then
			check(k, text)
			count = count + 1
		end
		if backup and not unit.json.check(backup) then
			wrong(dir_of(k), "no JSON in the copy of the backup")
		end
	end
	print("count", count)
end

-- ---- commands ----

--- A leftover may be named only if its writer has been killed, which the spec knows: it gets the pid.
local function verify()
	local count = 0
	while not is_over() do
		local out, status = thhost("verify", "--root", job.root, "--json")
		local ok, answer = pcall(cjson.decode, out)
		if not ok then
			wrong("status", tostring(status), out)
		end
		for _, finding in ipairs(answer.findings) do
			local pid = finding.message:match("%.json%.tmp%.(%d+)")
			if finding.code == "temporary" and pid then
				print("leftover", pid)
			elseif not (job.allow or {})[finding.code] then
				wrong(finding.code, finding.message)
			end
		end
		count = count + 1
	end
	print("count", count)
end

local function repair()
	while not is_over() do
		local out, status = thhost("repair", "--root", job.root, "--json")
		if status ~= 0 then
			wrong("status", tostring(status), out)
		end
		print("count", 1)
		io.flush()
	end
end

math.randomseed(job.seed)
local roles = {
	append = function() write_entries(by_store) end,
	record = function() write_entries(by_command) end,
	read = read_records, copy = copy_records, verify = verify, repair = repair,
}
roles[role]()
