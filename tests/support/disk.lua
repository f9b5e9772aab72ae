--- A model of a disk: what a command did to a directory tree, call by call, and every state in which
--- a power cut may leave that tree.
---
---	local events = disk.record(root, trace_of_strace)      -- the calls, and where success was told
---	for state in disk.states(base, events, options) do     -- each distinct state
---		disk.put(state, root)                              -- on a real disk
---
--- What is allowed is what POSIX allows, the way ALICE has it: data of a file not yet synced is there
--- in part, as zeros, or not at all; an operation on a directory not yet synced is there or not,
--- whatever became of the others; fsync() of a file says nothing of its name. A rename is one operation.
local unit = require "unit"
local storage = require "support.storage"

local file = unit.file

local M = {}

--- The options for strace that give a trace which can be read here.
M.STRACE = { "strace", "-qq", "-y", "-xx", "-s", "100000000", "-e",
	"trace=openat,openat2,write,pwrite64,writev,pwritev,ftruncate,fallocate,copy_file_range,fsync,fdatasync,"
	.. "renameat,renameat2,rename,linkat,link,unlinkat,unlink,rmdir,symlinkat,symlink,mkdirat,mkdir,exit_group" }

-- With these the model would be incomplete: none of them is expected.
local UNKNOWN = { writev = true, pwritev = true, fallocate = true, copy_file_range = true, rename = true,
	link = true, unlink = true, rmdir = true, symlink = true }

---@class disk.Inode
---@field kind "file"|"dir"|"link"
---@field id integer
---@field data? string of a file; target of a link
---@field durable? string of a file: what the last fsync left
---@field entries? table<string, disk.Inode> of a directory, as programs see it

---@class disk.Event
---@field op "data"|"sync"|"entries"|"told"
---@field inode? disk.Inode the file, or the directory whose entries change
---@field data? string all of the file after the call
---@field set? table<string, disk.Inode|false> names that get another inode, or none

local count = 0

local function new_inode(kind, data)
	count = count + 1
	return { kind = kind, id = count, data = data, durable = kind == "file" and data or nil,
		entries = kind == "dir" and {} or nil }
end

local function lines(command, ...)
	local words = { ... }
	for i, word in ipairs(words) do
		words[i] = storage.quote(word)
	end
	return storage.output(command:format(table.unpack(words))):gmatch("([^\n]*)\n")
end

--- Remember in each directory what it holds before the first event.
local function freeze(dir)
	dir.base = {}
	for name, inode in pairs(dir.entries) do
		dir.base[name] = inode
		if inode.kind == "dir" then
			freeze(inode)
		end
	end
end

--- A directory tree as it lies there, all of it durable.
---@param root string
---@return disk.Inode
function M.read(root)
	local top = new_inode("dir")
	local dirs = { [""] = top }
	for line in lines("cd %s && find . -mindepth 1 -printf '%%y %%p %%l\n' | sort -k 2", root) do
		local kind, path, target = line:match("^(%a) %.(%S+) (.*)$")
		local parent, name = path:match("^(.*)/([^/]+)$")
		local inode
		if kind == "d" then
			inode = new_inode("dir")
			dirs[path] = inode
		elseif kind == "l" then
			inode = new_inode("link", target)
		else
			inode = new_inode("file", storage.read(root .. path))
		end
		local dir = dirs[parent]
		dir.entries[name] = inode
	end
	freeze(top)
	return top
end

--- What programs see in the tree, as a text to compare.
---@param top disk.Inode
---@return string
function M.text(top)
	local list = {}
	local function walk(dir, path)
		for name, inode in pairs(dir.entries) do
			list[#list + 1] = ("%s %s/%s %s"):format(inode.kind, path, name, inode.data or "")
			if inode.kind == "dir" then
				walk(inode, path .. "/" .. name)
			end
		end
	end
	walk(top, "")
	table.sort(list)
	return table.concat(list, "\n")
end

-- A temporary that is ready to be exchanged has its inode number in its name (src/sys/replace.c).
local READY = "^(.*%.tmp%.%d+%.%x+%.)(%x+)(%.%x+)$"

-- ---- the trace ----

local function plain(hex)
	return (hex:gsub("\\x(%x%x)", function(byte)
		return string.char(tonumber(byte, 16))
	end))
end

--- The path that the arguments i (a directory) and i + 1 (a name) lead to.
local function path_of(args, i)
	local name = plain(args[i + 1]:match('"(.*)"'))
	return name:sub(1, 1) == "/" and name or plain(args[i]:match("<(.*)>")) .. "/" .. name
end

local function opened(arg)
	return plain(arg:match("<(.*)>") or "")
end

---@class disk.Recorder
---@field root string
---@field top disk.Inode
---@field events disk.Event[]
local Recorder = {}
Recorder.__index = Recorder

--- The inode of a path below the root, its directory and its name there; nil for what lies elsewhere.
function Recorder:find(path)
	if path == self.root then
		return self.top
	end
	if path:sub(1, #self.root + 1) ~= self.root .. "/" then
		return nil
	end
	local dir, inode, last = nil, self.top, nil
	for name in path:sub(#self.root + 2):gmatch("[^/]+") do
		dir, last = inode, name
		inode = dir and dir.entries and dir.entries[name]
	end
	return inode, dir, last
end

function Recorder:set(dir, set)
	for name, inode in pairs(set) do
		dir.entries[name] = inode or nil
	end
	table.insert(self.events, { op = "entries", inode = dir, set = set })
end

function Recorder:data(inode, data)
	inode.data = data
	table.insert(self.events, { op = "data", inode = inode, data = data })
end

function Recorder:write_at(path, at, text)
	local inode = self:find(path)
	if inode and inode.kind == "file" then
		local data = inode.data .. ("\0"):rep(at - #inode.data)
		self:data(inode, data:sub(1, at) .. text .. data:sub(at + #text + 1))
	end
end

local calls = {}

local function open(self, args, result)
	local path = opened(result)
	local inode, dir, name = self:find(path)
	if not inode and dir and args[3]:find("O_CREAT", 1, true) then
		inode = new_inode("file", "")
		inode.durable = nil
		self:set(dir, { [name] = inode })
	elseif inode and args[3]:find("O_TRUNC", 1, true) then
		self:data(inode, "")
	end
	if inode and not args[3]:find("O_RDONLY", 1, true) then
		inode.at = 0
		inode.appends = args[3]:find("O_APPEND", 1, true) ~= nil
	end
end

calls.openat = open
calls.openat2 = open

function calls.write(self, args, result)
	local text = plain(args[2]:match('"(.*)"')):sub(1, tonumber(result))
	local inode = self:find(opened(args[1]))
	if inode and inode.kind == "file" then
		local at = inode.appends and #inode.data or inode.at
		self:write_at(opened(args[1]), at, text)
		inode.at = at + #text
	elseif args[1]:match("^1<") and self.told and text:find(self.told) then
		table.insert(self.events, { op = "told" })
	end
end

function calls.pwrite64(self, args, result)
	self:write_at(opened(args[1]), tonumber(args[4]), plain(args[2]:match('"(.*)"')):sub(1, tonumber(result)))
end

function calls.ftruncate(self, args)
	local inode = self:find(opened(args[1]))
	local size = tonumber(args[2])
	if inode then
		self:data(inode, inode.data:sub(1, size) .. ("\0"):rep(size - #inode.data))
	end
end

function calls.fsync(self, args)
	local inode = self:find(opened(args[1]))
	if inode then
		table.insert(self.events, { op = "sync", inode = inode })
	end
end

calls.fdatasync = calls.fsync

function calls.mkdirat(self, args)
	local _, dir, name = self:find(path_of(args, 1))
	if dir then
		self:set(dir, { [name] = new_inode("dir") })
	end
end

function calls.symlinkat(self, args)
	local _, dir, name = self:find(path_of(args, 2))
	if dir then
		self:set(dir, { [name] = new_inode("link", plain(args[1]:match('"(.*)"'))) })
	end
end

function calls.linkat(self, args)
	local inode = self:find(path_of(args, 1))
	local _, dir, name = self:find(path_of(args, 3))
	if dir then
		self:set(dir, { [name] = inode })
	end
end

function calls.unlinkat(self, args)
	local inode, dir, name = self:find(path_of(args, 1))
	if inode then
		self:set(dir, { [name] = false })
	end
end

local function rename(self, args)
	local inode, dir, name = self:find(path_of(args, 1))
	local other, there, new_name = self:find(path_of(args, 3))
	if not dir then
		return
	end
	assert(dir == there, "a rename across directories is not in the model")
	local exchange = (args[5] or ""):find("RENAME_EXCHANGE", 1, true)
	if inode ~= other then -- rename() of two links to one inode does nothing
		self:set(dir, { [name] = exchange and other or false, [new_name] = inode })
		local ino = select(2, new_name:match(READY))
		self.events.ready[ino or ""] = inode
	end
end

calls.renameat = rename
calls.renameat2 = rename

function calls.exit_group(self)
	table.insert(self.events, { op = "told" })
end

--- The events of a trace made with M.STRACE, and the tree as it must be afterwards.
---@param root string
---@param base disk.Inode from M.read, before the command; it is changed
---@param trace string
---@param told? string a pattern: what the command writes to stdout when it reports success, at the latest
---  it does so when it ends
---@return disk.Event[] with 'ready', the inodes whose numbers are in names
function M.record(root, base, trace, told)
	local self = setmetatable({ root = root, top = base, events = { ready = {} }, told = told }, Recorder)
	for line in trace:gmatch("[^\n]+") do
		local name, words, result = line:match("^([%w_]+)%((.*)%) += (%S.*)$")
		if name and result:sub(1, 1) ~= "-" then
			assert(not UNKNOWN[name] or not words:find(root, 1, true), "not in the model: " .. name)
			local args = {}
			for word in (words .. ", "):gmatch("(.-), ") do
				args[#args + 1] = word
			end
			(calls[name] or error("not in the model: " .. line))(self, args, result)
		end
	end
	return self.events
end

-- ---- states ----

--- What is durable after the first n events: entries and data, and what else may be there.
---@param base disk.Inode as it was before the first event
local function replay(base, events, n)
	local disk = { entries = {}, durable = {}, latest = {}, pending = {}, told = false, top = base }
	for i = 1, n do
		local event = events[i]
		local id = event.inode and event.inode.id
		if event.op == "told" then
			disk.told = true
		elseif event.op == "data" then
			disk.latest[id] = event.data
		elseif event.op == "entries" then
			table.insert(disk.pending, event)
		elseif event.inode.kind == "file" then
			disk.durable[id] = disk.latest[id] or disk.durable[id]
		else
			local rest = {}
			for _, pending in ipairs(disk.pending) do
				if pending.inode == event.inode then
					table.insert(disk.entries, pending)
				else
					table.insert(rest, pending)
				end
			end
			disk.pending = rest
		end
	end
	return disk
end

--- The versions of a file that may be found: synced, nothing, half, zeros, all.
local function versions(disk, inode)
	local id = inode.id
	local durable = disk.durable[id] or inode.durable
	local latest = disk.latest[id] or durable or ""
	if latest == durable then
		return { latest }
	end
	local list, seen = {}, {}
	for _, text in ipairs({ durable or "", "", latest:sub(1, #latest // 2), ("\0"):rep(#latest), latest }) do
		if not seen[text] then
			seen[text] = true
			list[#list + 1] = text
		end
	end
	return list
end

--- Every path with its inode, with the directory operations of 'chosen' done.
local function tree_of(disk, chosen)
	local entries = {}
	local function of(dir)
		if not entries[dir.id] then
			local copy = {}
			for name, inode in pairs(dir.base or {}) do
				copy[name] = inode
			end
			entries[dir.id] = copy
		end
		return entries[dir.id]
	end
	local function apply(list)
		for _, event in ipairs(list) do
			for name, inode in pairs(event.set) do
				of(event.inode)[name] = inode or nil
			end
		end
	end
	apply(disk.entries)
	apply(chosen)
	local paths = {}
	local function walk(dir, path)
		for name, inode in pairs(of(dir)) do
			paths[#paths + 1] = { path = path .. "/" .. name, inode = inode }
			if inode.kind == "dir" then
				walk(inode, path .. "/" .. name)
			end
		end
	end
	walk(disk.top, "")
	table.sort(paths, function(a, b)
		return a.path < b.path
	end)
	return paths
end

--- Call do_it with every choice: each is a list of one option out of each of 'options'; at most 'limit'
--- of them, then by lot.
local function choices(options, limit, do_it)
	local total = 1
	for _, list in ipairs(options) do
		total = total * #list
	end
	for n = 0, math.min(total, limit) - 1 do
		local rest = total <= limit and n or (n == 0 and 0 or n == 1 and total - 1 or math.random(0, total - 1))
		local choice = {}
		for i, list in ipairs(options) do
			choice[i] = list[rest % #list + 1]
			rest = rest // #list
		end
		do_it(choice)
	end
end

---@class disk.State
---@field paths { path: string, inode: disk.Inode, text?: string }[]
---@field told boolean the command had reported success
---@field at integer events that had happened
---@field ready table<string, disk.Inode> whose inode numbers are in names

--- All distinct states after each prefix of the events. 'limit': of the choices of directory operations
--- and of data each, after a prefix; more than that are drawn by lot (math.randomseed).
---@param base disk.Inode from M.read
---@param events disk.Event[]
---@param limit integer
---@return disk.State[]
function M.states(base, events, limit)
	local states, seen = {}, {}
	for n = 0, #events do
		local disk = replay(base, events, n)
		local operations = {}
		for i, event in ipairs(disk.pending) do
			operations[i] = { false, event }
		end
		choices(operations, limit, function(choice)
			local chosen = {}
			for i = 1, #disk.pending do
				chosen[#chosen + 1] = choice[i] or nil
			end
			local paths = tree_of(disk, chosen)
			local files, options = {}, {}
			for _, entry in ipairs(paths) do
				if entry.inode.kind == "file" and not files[entry.inode.id] then
					options[#options + 1] = versions(disk, entry.inode)
					files[entry.inode.id] = #options
				end
			end
			choices(options, limit, function(texts)
				local state = { paths = {}, told = disk.told, at = n, ready = events.ready }
				local key = { tostring(disk.told) }
				for i, entry in ipairs(paths) do
					local index = files[entry.inode.id]
					local text = index and texts[index] or entry.inode.data
					state.paths[i] = { path = entry.path, inode = entry.inode, text = text }
					key[#key + 1] = ("%s %s %d\n%s"):format(entry.path, entry.inode.kind, entry.inode.id, text or "")
				end
				local whole = table.concat(key, "\n")
				if not seen[whole] then
					seen[whole] = true
					states[#states + 1] = state
				end
			end)
		end)
	end
	return states
end

-- ---- on a real disk ----

--- Here the inode of a temporary that is ready has another number.
local function rename_ready(state, root, numbers)
	for _, entry in ipairs(state.paths) do
		local head, ino, tail = entry.path:match(READY)
		if head then
			local number = numbers[state.ready[ino].id] or 1
			assert(os.rename(root .. entry.path, root .. head .. ("%x"):format(number) .. tail))
		end
	end
end

--- Make the tree as it is in this state.
---@param state disk.State
---@param root string what lies there is removed
function M.put(state, root)
	local numbers, where = {}, {}
	local commands = { "rm -rf " .. storage.quote(root), "mkdir " .. storage.quote(root) }
	for _, entry in ipairs(state.paths) do
		local path = storage.quote(root .. entry.path)
		if entry.inode.kind == "dir" then
			commands[#commands + 1] = "mkdir " .. path
		elseif entry.inode.kind == "link" then
			commands[#commands + 1] = ("ln -s %s %s"):format(storage.quote(entry.text), path)
		end
	end
	assert(os.execute(table.concat(commands, " && ")))
	for _, entry in ipairs(state.paths) do
		local path, inode = root .. entry.path, entry.inode
		if inode.kind == "file" and where[inode.id] then
			storage.shell("ln %s %s", where[inode.id], path)
		elseif inode.kind == "file" then
			storage.write(path, entry.text)
			where[inode.id] = path
			numbers[inode.id] = file.version(file.dir(path), file.base(path)).ino
		end
	end
	-- Made in any order, but all of them written before the next append makes its version.
	storage.shell("find %s -type f -exec touch -d '1 hour ago' {} +", root)
	rename_ready(state, root, numbers)
end

return M
