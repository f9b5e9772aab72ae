--- What the specs about processes share: scripts that run apart from busted, and a terminal.
local M = {}

local LUA = os.getenv("LUA") or "lua5.4"

--- A fresh directory, removed by `M.cleanup`.
local dir

function M.dir()
	if not dir then
		dir = os.tmpname()
		os.remove(dir)
		assert(os.execute("mkdir '" .. dir .. "'"))
	end
	return dir
end

function M.cleanup()
	if dir then
		os.execute("rm -rf '" .. dir .. "'")
	end
	dir = nil
end

function M.path(name)
	return M.dir() .. "/" .. name
end

function M.write(name, text)
	local path = M.path(name)
	local f = assert(io.open(path, "wb"))
	f:write(text)
	f:close()
	return path
end

--- The content of a file, or nil.
function M.read(path)
	local f = io.open(path, "rb")
	if not f then
		return nil
	end
	local text = f:read("a")
	f:close()
	return text
end

local count = 0

--- The argv of a Lua process that runs `code` with `proc` in scope.
function M.script(code)
	count = count + 1
	local text = ("package.cpath = %q\nlocal proc = require('unit').proc\n"
		.. "local progress = proc.progress\n%s\n")
		:format(package.cpath, code)
	return { LUA, M.write("script" .. count .. ".lua", text) }
end

--- The argv of a process that supervises `sh -c command` and ends as that does; `more` adds fields
--- of the supervision, as Lua text.
function M.run_script(command, more)
	return M.script(("proc.run { argv = { 'sh', '-c', %q }, %s }"):format(command, more or ""))
end

--- The same, but writes what proc.supervise returned to `result`, one `name value` a line.
function M.supervise_script(command, more, result)
	return M.script(([[
		local outcome = assert(proc.supervise { argv = { 'sh', '-c', %q }, %s })
		local f <close> = assert(io.open(%q, "w"))
		for name, value in pairs(outcome) do
			f:write(name, " ", tostring(value):gsub("\n", "\\n"), "\n")
		end
	]]):format(command, more or "", result))
end

--- What supervise_script wrote, as strings.
function M.result(path)
	local outcome = {}
	for name, value in (M.read(path) or ""):gmatch("(%S+) ([^\n]*)\n") do
		outcome[name] = value
	end
	return outcome
end

--- An argv as a word list for sh.
function M.quote(argv)
	local words = {}
	for i, word in ipairs(argv) do
		words[i] = "'" .. word:gsub("'", "'\\''") .. "'"
	end
	return table.concat(words, " ")
end

-- Arguments: rows, columns, then pairs (text to wait for, what to do), "--", argv. What to do is
-- text to type, or "size ROWS COLUMNS". Copies what the terminal shows to stdout; ends with the
-- exit status, 128 + signal, or 99 when a text did not come within 20 s.
local TERMINAL = [[
import fcntl, os, pty, select, signal, struct, sys, termios, time
args = sys.argv[1:]
cut = args.index("--")
rows, cols = int(args[0]), int(args[1])
steps = [(args[i].encode(), args[i + 1]) for i in range(2, cut, 2)]
def size(fd, r, c):
		fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", r, c, 0, 0))
pid, fd = pty.fork()
if pid == 0:
		size(0, rows, cols)
		os.execvp(args[cut + 1], args[cut + 1:])
seen, start, end = b"", 0, time.monotonic() + 20
while True:
		if not select.select([fd], [], [], max(0, end - time.monotonic()))[0]:
				os.kill(pid, signal.SIGKILL)
				sys.stdout.buffer.write(seen)
				sys.stderr.write("did not see %r\n" % (steps[:1],))
				sys.exit(99)
		try:
				data = os.read(fd, 65536)
		except OSError:
				data = b""
		if not data:
				break
		seen += data
		while steps and steps[0][0] in seen[start:]:
				start = seen.index(steps[0][0], start) + len(steps[0][0])
				what = steps.pop(0)[1]
				if what.startswith("size "):
						size(fd, *map(int, what.split()[1:]))
				else:
						os.write(fd, what.encode())
sys.stdout.buffer.write(seen)
sys.stdout.flush()
status = os.waitpid(pid, 0)[1]
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
]]

--- The argv that runs `argv` on a terminal of `rows` x `columns`, with `steps` as
--- { { wait_for, what_to_do }, ... }.
function M.on_terminal(argv, steps, rows, columns)
	local words = { "python3", "-c", TERMINAL, tostring(rows or 24), tostring(columns or 80) }
	for _, step in ipairs(steps or {}) do
		words[#words + 1] = step[1]
		words[#words + 1] = step[2]
	end
	words[#words + 1] = "--"
	return table.move(argv, 1, #argv, #words + 1, words)
end

return M
