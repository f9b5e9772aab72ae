--- Trainings under `thhost run`, for its specs: trees, journals, runs in the background.
local cjson = require "cjson"
local cli = require "support.cli"
local tree = require "support.tree"

local M = {}

M.trainer = cli.shell("pwd") .. "/tests/example/train.lua"

--- A stage of our own that says what result.json in its directory says.
M.plugin = [[
return {
	api = 1, kind = "stage", name = "tiny", version = "2.0.0", summary = "for the specs",
	dir = "tiny", model_name = "tiny_model",
	inputs = { result = "result.json?" },
	metrics = { f1 = { goal = "max" } },
	progress = { { find = "step ", match = "step (%d+)", set = { "step" } } },
	extract = function(ctx)
		if not ctx:has("result") then
			return nil, { code = "no_data", message = "no result.json", hint = "let it write one" }
		end
		return ctx:json("result")
	end,
}
]]

--- What a tiny training writes, as a word list for sh.
M.write_result = [[echo '{"steps":10,"metrics":{"f1":0.5},"final_checkpoint":"model.bin"}']]
	.. [[ >"$THHOST_STAGE_DIR/result.json"; ]]

--- A tree with the experiment exp_1 and the stage 'tiny'; settings are lines for thhost.ini.
---@return support.Tree
function M.tree(settings)
	local t = tree.new()
	cli.shell("mkdir -p " .. t.dir .. "/plugins")
	cli.write(t.dir .. "/plugins/tiny.lua", M.plugin)
	cli.write(t.dir .. "/thhost.ini",
		"[artifact]\nroot = artifact\n[plugins]\npath = plugins\n" .. (settings or ""))
	return t
end

--- The argv of a tiny run: options, then the shell command.
function M.tiny(command, ...)
	local words = { "run", "tiny", "-d", "d", ... }
	table.move({ "--", "sh", "-c", command }, 1, 4, #words + 1, words)
	return words
end

--- The argv of a run of the example trainer.
function M.example(stage, dataset, flags, ...)
	local words = { "run", stage, "-d", dataset, ... }
	local command = ('exec lua5.4 %s %s --dataset %s --output_dir "$THHOST_STAGE_DIR" %s'):format(
		cli.quote(M.trainer), stage, dataset, flags or "")
	table.move({ "--", "sh", "-c", command }, 1, 4, #words + 1, words)
	return words
end

--- The runs in the journal of a stage directory of exp_1, oldest first.
function M.journal(t, name)
	local runs = {}
	local dir = ("%s/exp_1/%s/.thhost/runs"):format(t.root, name or "tiny_d")
	for file in io.popen("ls " .. cli.quote(dir) .. " 2>/dev/null | grep 'json$'"):lines() do
		runs[#runs + 1] = cjson.decode((assert(cli.read(dir .. "/" .. file))))
	end
	return runs
end

--- The only run there, once it is in 'state'.
function M.wait_for_state(t, state, name)
	return cli.wait_for("a run that is " .. state, function()
		local run = M.journal(t, name)[1]
		return run and run.state == state and run
	end)
end

--- All runs of exp_1/tiny_d are closed: each recorded one has its entry, once, and no other has one; none
--- that ended well is unrecorded.
---@param t support.Tree
---@param told? string for the message
function M.check(t, told)
	local entries = {}
	for _, entry in ipairs(t:read("exp_1/tiny_d/training_info.json") and t:info("tiny_d").training_history or {}) do
		assert(not entries[entry.run_id], ("%stwice: %s"):format(told or "", entry.run_id))
		entries[entry.run_id] = true
	end
	for _, run in ipairs(M.journal(t)) do
		local what = ("%srun %s, %s, %s"):format(told or "", run.run_id, run.state, run.exit_code)
		assert(run.state == "recorded" or run.state == "interrupted" and run.exit_code ~= 0, what)
		assert((run.state == "recorded") == (entries[run.run_id] or false), what)
		entries[run.run_id] = nil
	end
	assert(not next(entries), "an entry without its run")
end

-- A shell starts what it puts in the background with SIGINT ignored.
local PLAIN_INT = "python3 -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
	.. "os.execvp(sys.argv[1], sys.argv[1:])' "

--- Start thhost and go on; wait() gives its status.
---@param env? table<string, string> variables to set
function M.start(t, args, env)
	local words, set = {}, {}
	for name, value in pairs(env or {}) do
		set[#set + 1] = name .. "=" .. cli.quote(value)
	end
	for i, arg in ipairs(args) do
		words[i] = cli.quote(arg)
	end
	assert(os.execute(("cd %s && { HOME=%s/home %s %s %s %s </dev/null >out 2>err; echo $? >status; } &")
		:format(t.dir, t.dir, table.concat(set, " "), PLAIN_INT, cli.thhost, table.concat(words, " "))))
	return function()
		return cli.wait_for("the end of thhost", function()
			return tonumber(cli.read(t.dir .. "/status") or "")
		end)
	end
end

function M.kill(signal, pid)
	cli.shell(("kill -%s %d"):format(signal, pid))
end

function M.is_alive(pid)
	return os.execute(("kill -0 %d 2>/dev/null"):format(pid)) == true
end

return M
