--- A training that runs anywhere in seconds: small, real, and as talkative as the real ones.
-- lua5.4 train.lua STAGE --output_dir DIR [flags]; STAGE is stage1, stage2, stage3 or stage4.
-- It imitates a document-structure pipeline in Python: same files, same lines on stdout and
-- stderr, same ways to fail. Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.

local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = here .. "/?.lua"

local failure = require "failure"
local flags = require "flags"

local STAGES = { stage1 = true, stage2 = true, stage3 = true, stage4 = true }
local USAGE = "usage: train.lua {stage1,stage2,stage3,stage4} --output_dir DIR [--flag value ...]"

local function leave_with_usage(message)
	io.stderr:write(USAGE, "\ntrain.lua: error: ", message, "\n")
	os.exit(2, true)
end

local function load_stage(name)
	if not name then
		leave_with_usage("the following arguments are required: stage")
	elseif not STAGES[name] then
		leave_with_usage(("argument stage: invalid choice: '%s'"):format(name))
	end
	return require(name)
end

--- The whole command, as the pipeline's wrapper prints it.
local function command_words()
	local words = { "lua5.4" }
	for i = 0, #arg do
		words[#words + 1] = arg[i]
	end
	return words
end

local function run_guarded(stage, options)
	local place
	local ok, value = xpcall(stage.run, function(value)
		place = debug.traceback("", 2)
		return value
	end, options)
	if ok then
		return 0
	end
	local reason = failure.from(value)
	if reason.kind == "SystemExit" then
		return 1
	end
	io.stderr:write(failure.traceback(reason, place))
	if reason.kind == "KeyboardInterrupt" then
		return 130
	end
	print("\n" .. stage.failed)
	return 1
end

-- A host follows the output line by line, so none may wait in a buffer.
io.stdout:setvbuf("line")

local stage = load_stage(arg[1])
local options, message = flags.parse(stage.flags, table.move(arg, 2, #arg, 1, {}))
if not options then
	leave_with_usage(message)
end
options.argv = command_words()
os.exit(run_guarded(stage, options), true)
