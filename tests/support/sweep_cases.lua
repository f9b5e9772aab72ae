--- Operations whose calls fail one after the other: 'ready' makes what they find, 'act' is the
--- operation (its result; or nil, message), 'fine' says what is wrong afterwards, or nothing. 'once': it
--- changes nothing there. 'waits': no call fails for ever, for it would wait as long. 'also': what
--- fails besides, one sweep for each of these.
local storage = require "support.storage"
local unit = require "unit"

local file, store, layout = unit.file, unit.store, unit.layout

local STAGES = { { "stage1", "stage1" }, { "stage3", "parent_finder" } }

-- No exchange, as over NFS; no links either, as on FAT.
local NO_EXCHANGE = "renameat2=22"
local NO_LINKS = "renameat2=22,linkat=1"

local function none()
end

local function one_file(dir)
	storage.write(dir .. "/f", "old\n")
end

-- Needs no setfattr: an attribute of the user's, one that is not kept, and an ACL with a named user.
local ATTRIBUTES = [[
import os, struct, sys
os.setxattr(sys.argv[1], "user.note", b"x")
if os.geteuid() == 0:
    os.setxattr(sys.argv[1], "trusted.note", b"x")
acl = [(1, 6, -1), (2, 6, 1000), (4, 4, -1), (16, 6, -1), (32, 0, -1)]
os.setxattr(sys.argv[1], "system.posix_acl_access",
    struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *one) for one in acl))
]]

--- A file with all that a replacement must keep; Python sets the attributes where there is one.
local function rich_file(dir)
	local made = dir .. ".rich"
	if not storage.read(made) then
		storage.write(made, "old\n")
		if storage.is_root then
			storage.shell("chown 1234:4321 %s && chmod 640 %s", made, made)
		end
		storage.write(dir .. ".py", ATTRIBUTES)
		os.execute(("/usr/bin/python3 %s.py %s 2>/dev/null"):format(dir, made))
	end
	storage.shell("cp -a %s %s/f", made, dir)
end

local function is_one_of(dir, name, ...)
	local text = storage.read(dir .. "/" .. name)
	for _, wanted in ipairs { ... } do
		if text == wanted then
			return nil
		end
	end
	return ("'%s' is %q"):format(name, tostring(text))
end

local function old_or_new(dir, done)
	return is_one_of(dir, "f", done and "new\n" or "old\n", "new\n")
end

--- What a move or a second name must leave: the bytes under one name or the other.
local function aside(how)
	return {
		name = how == "move" and "moves a file aside" or "keeps a file aside",
		also = { how == "move" and NO_EXCHANGE or NO_LINKS },
		ready = function(dir)
			one_file(dir)
			storage.shell("mkdir %s/to", dir)
		end,
		act = function(dir) return file.aside(dir, "f", dir .. "/to", how) end,
		fine = function(dir, done)
			local texts = storage.output(("cat %s/f %s/to/* 2>/dev/null"):format(dir, dir))
			if texts ~= "old\n" and (texts ~= "old\nold\n" or (done and how == "move")) then
				return ("%q is left"):format(texts)
			end
		end,
	}
end

local function replace(options)
	return function(dir)
		local with = { backup = "b", expected = file.version(dir, "f"), text = "old\n" }
		return file.replace(dir, "f", "new\n", options or with)
	end
end

--- The name of what a crash has left: see temp_name.c. A digest of 0 fits what lies there.
local function crashed(dir)
	storage.write(dir .. "/f", "new\n")
	storage.write(dir .. "/left", "old\n")
	storage.shell("cd %s && mv left .f.tmp.1.0123456789abcdef.$(printf %%x $(stat -c %%i f)).0000000000000000", dir)
end

--- The old version is the backup, or still where the crash left it.
local function old_is_somewhere(dir)
	local texts = storage.output(("cat %s/b %s/.f.tmp.* 2>/dev/null"):format(dir, dir))
	return not texts:find("old\n", 1, true) and "the old version is gone" or is_one_of(dir, "f", "new\n")
end

--- A record that is not written at a stretch.
local function large_record(dir)
	assert(storage.append(dir, 1))
	local text = storage.read(dir .. "/" .. storage.RECORD)
	storage.write(dir .. "/" .. storage.RECORD, (text:gsub("}%s*$", (" "):rep(200000) .. "}")))
end

--- Both entries, or the first alone.
local function one_or_two(dir, done)
	local steps = table.concat(storage.steps(dir), " ")
	if steps ~= "1 2" and (done or steps ~= "1") then
		return "the record has " .. steps
	end
end

local function tree(dir)
	storage.shell("cd %s && mkdir -p exp_1/stage1_d/x exp_1/other exp_2/stage3_d && ln -s exp_1 current && "
		.. "echo '{}' >exp_1/stage1_d/training_info.json && echo 'experiment: {id: 7}' >exp_1/config.yml",
		dir)
end

--- An operation on an opened tree.
local function on_tree(act)
	return function(dir)
		local t <close> = setmetatable({}, { __close = function(self)
			if self.tree then
				self.tree:close()
			end
		end })
		local opened, message = layout.open(dir, STAGES)
		if not opened then
			return nil, message
		end
		t.tree = opened
		return act(opened)
	end
end

local ID = "0197d0e0-0000-7000-8000-000000000001"

local function run_of()
	return { run_id = ID, stage = "stage1", dataset = "d", state = "running", host = "h",
		start_time = "2025-12-11T10:30:00+00:00", pid = 1, pid_start = 1 }
end

local function running(dir)
	assert(store.begin(dir, run_of()))
end

--- Its stage directory takes no spool, so it lies in the one of the user.
local function spooled_elsewhere(dir)
	storage.write(dir .. "/.thhost", "")
	assert(store.spool(dir, ID, "why", { steps = 1, path = dir .. "/" .. storage.RECORD, run_id = ID }))
end

local function spooled(dir)
	assert(store.spool(dir, ID, "why", { steps = 1, path = dir .. "/" .. storage.RECORD, run_id = ID }))
end

return {
	{ name = "reads a file", once = true, ready = one_file, act = function(dir) return file.read(dir, "f") end },
	{ name = "reads a file that is named", once = true, ready = one_file,
		act = function(dir) return file.read_path(dir .. "/f") end },
	{ name = "looks at a file", once = true, ready = one_file, act = function(dir) return file.version(dir, "f") end },
	{ name = "removes a file", ready = one_file, act = function(dir) return file.remove(dir, "f") end },
	{ name = "points a link elsewhere", ready = function(dir) storage.shell("ln -s a %s/l", dir) end,
		act = function(dir) return file.replace_link(dir, "l", "b") end },
	{ name = "replaces a file", ready = rich_file, act = replace(), fine = old_or_new,
		also = { NO_EXCHANGE, NO_LINKS, "linkat=1", "fchown=1", "fsetxattr=95" } },
	{ name = "replaces a file without a backup", ready = one_file, act = replace({}), fine = old_or_new,
		also = { NO_EXCHANGE } },
	{ name = "makes a file", ready = none, act = replace({ must_be_new = true }),
		fine = function(dir, done) return (done or storage.read(dir .. "/f")) and is_one_of(dir, "f", "new\n") or nil end },
	aside "move",
	aside "link",
	{ name = "makes a directory", ready = none, act = function(dir)
		local made, message = file.make_dir(dir, "d")
		return made ~= nil, message
	end },
	{ name = "lists a directory", once = true, ready = one_file, act = function(dir) return file.list(dir) end },
	{ name = "opens beneath a directory", once = true, ready = tree,
		act = function(dir) return file.open_beneath(dir, "exp_1/stage1_d") end },
	{ name = "expands a pattern", once = true, ready = tree, act = function(dir) return file.glob(dir, "exp_?/*/x/") end },
	{ name = "expands a pattern for any depth", once = true, ready = tree,
		act = function(dir) return file.glob(dir, "**/stage1_d/*") end },
	{ name = "sweeps", may_leave = true, ready = function(dir) storage.write(dir .. "/.f.tmp.0123456789abcdef", "") end,
		act = function(dir) return file.sweep(dir, "f", 0) end },
	{ name = "sweeps what a crash has left", may_leave = true, ready = crashed, fine = old_is_somewhere,
		act = function(dir) return file.sweep(dir, "f", 0, "b") end },
	{ name = "sweeps what a crash has left without a backup", may_leave = true, ready = crashed,
		act = function(dir) return file.sweep(dir, "f", 0) end,
		fine = function(dir) return is_one_of(dir, "f", "new\n") end },
	{ name = "waits for a lock", ready = none, act = function(dir)
		local held, message = file.lock(dir, "f.lock", "exp_1/stage1", 0)
		if not held then
			return nil, message
		end
		local first <close> = held
		local second, refused, code = file.lock(dir, "f.lock", "exp_1/stage1", 40)
		assert(first and not second, "a lock was given twice")
		return code == "busy", refused
	end },
	{ name = "takes a lock", ready = none, act = function(dir)
		local lock, message = file.lock(dir, "f.lock", "exp_1/stage1", 0)
		if lock then
			file.unlock(lock)
		end
		return lock and true, message
	end },
	{ name = "makes a record", ready = none, act = function(dir) return storage.append(dir, 1) end },
	{ name = "appends to a record", ready = function(dir) assert(storage.append(dir, 1)) end,
		act = function(dir) return storage.append(dir, 2) end, fine = one_or_two, also = { NO_EXCHANGE } },
	{ name = "appends to a large record", ready = large_record,
		act = function(dir) return storage.append(dir, 2) end, fine = one_or_two },
	{ name = "reads what a record is about", once = true, ready = function(dir) assert(storage.append(dir, 1)) end,
		act = function(dir) return store.string(dir, "stage") or nil, "EIO, or not for us" end },
	{ name = "begins a run", ready = none, act = function(dir) return store.begin(dir, run_of()) end },
	{ name = "updates a run", ready = running, act = function(dir) return store.update(dir, run_of()) end },
	{ name = "loads the runs", ready = running, act = function(dir) return store.load(dir, true) end },
	{ name = "loads the newest run", once = true, ready = running, act = function(dir)
		local run, message = store.newest(dir)
		return run, message or "there is none"
	end },
	{ name = "finds a run", once = true, ready = running, act = function(dir) return store.find(dir, ID:sub(1, 8)) end },
	{ name = "opens a log", ready = running, act = function(dir) return store.log(dir, ID, "text\n") end },
	{ name = "spools an entry", ready = none, act = function(dir)
		return store.spool(dir, ID, "why", { steps = 1, path = dir .. "/" .. storage.RECORD, run_id = ID })
	end },
	{ name = "lists a spool", ready = spooled, act = function(dir) return store.spool_list(dir) end },
	{ name = "lists the spool of all stages", ready = spooled_elsewhere,
		act = function(dir) return store.spool_list(dir) end },
	{ name = "takes an entry from the spool", ready = spooled,
		act = function(dir) return store.unspool(assert(store.spool_list(dir))[1]) end },
	{ name = "makes a root", ready = none, act = function(dir) return layout.make_root(dir .. "/a/b") end },
	{ name = "plans a root", ready = none, act = function(dir)
		unit.conf.setenv("TMPDIR", dir)
		return layout.plan(dir .. "/a")
	end },
	{ name = "makes an experiment", ready = tree, act = on_tree(function(t) return t:new() end) },
	{ name = "finds the experiment in use", once = true, ready = tree, act = on_tree(function(t) return t:find() end) },
	{ name = "uses an experiment", ready = tree, act = on_tree(function(t) return t:use("exp_2") end) },
	{ name = "lists the experiments", once = true, ready = tree, act = on_tree(function(t) return t:list() end) },
	{ name = "lists the states", once = true, ready = tree, act = on_tree(function(t) return t:states("exp_1") end) },
	{ name = "opens a stage", ready = tree,
		act = on_tree(function(t) return t:open_stage("exp_1", "stage3", "new", true) end) },
	{ name = "opens the first stage of all", ready = none,
		act = on_tree(function(t) return t:open_stage(nil, "stage3", "new", true) end) },
	{ name = "opens a stage that is there", once = true, ready = tree,
		act = on_tree(function(t) return t:open_stage("exp_1", "stage1", "d") end) },
	{ name = "resolves a name", once = true, ready = tree, act = on_tree(function(t) return t:resolve("stage1_d") end) },
	{ name = "resolves a path", once = true, ready = tree, act = function(dir)
		return on_tree(function(t) return t:resolve(dir .. "/exp_1/stage1_d") end)(dir)
	end },
	{ name = "resolves a run", once = true, ready = function(dir)
		tree(dir)
		running(dir .. "/exp_1/stage1_d")
	end, act = on_tree(function(t) return t:resolve(ID:sub(1, 12)) end) },
	{ name = "walks", once = true, ready = tree, act = on_tree(function(t) return t:walk() end) },
	{ name = "runs a helper", once = true, ready = none, act = function()
		return unit.proc.capture({ argv = { "/bin/cat" }, input = "x", deadline_ms = 20000 })
	end },
	{ name = "watches a training", once = true, waits = true, ready = none, act = function(dir)
		return unit.proc.supervise({ argv = { "/bin/sh", "-c", "echo x >&2" }, log = dir .. "/log", no_pty = true })
	end },
	{ name = "loads the configuration", once = true, ready = function(dir) storage.write(dir .. "/thhost.ini", "") end,
		act = function(dir) return unit.conf.load(dir) end },
}
