--- What the four stages of the layoutlmft pipeline have in common: the wrappers' banner and their
-- "Running command:" line, and the epoch lines of stages 3 and 4.
--
-- The wrapper does not flush: in a captured log its banner may stand before or after all of the
-- child's output. So settings are looked up in the whole log, the last of equals counts, and
-- only the child's own lines tell where a run begins.
local hparams = require("th.hparams")
local lines = require("th.lines")
local num = require("th.num")
local runlog = require("th.runlog")

local M = {}

--- Names in the wrappers' banners, as printed before the colon.
local BANNER = {
	"Max Steps", "Num Epochs", "Batch Size", "Grad Accum Steps", "Learning Rate", "Weight Decay",
	"Max Grad Norm", "LR Scheduler", "Warmup Steps", "Eval Strategy", "Eval Steps",
	"Save Strategy", "Save Steps", "Save Total Limit", "Load Best at End", "Best Model Metric",
	"FP16", "Seed", "Logging Steps", "Num Samples", "Docs per Chunk", "Mode", "Level", "Max Lines",
	"Max Chunks", "Neg Ratio", "Model Path", "Features Dir", "Resume From",
}
local MODES = { simple = true, full = true }

---@class th.HomeSettings
---@field banner table<string, string> the wrapper's banner, by spelling
---@field command table<string, string|true> flags of the child's command
---@field argv table<string, string|true> flags of the command that thhost started
---@field config table<string, string> the stage's section in thhost.ini

local function banner_needles()
	local needles = { "Running command:", ".py " }
	for _, name in ipairs(BANNER) do
		needles[#needles + 1] = name .. ":"
	end
	return table.unpack(needles)
end

local KNOWN = {}
for _, name in ipairs(BANNER) do
	KNOWN[hparams.spelling(name)] = true
end

--- `Mode:` is printed twice, for the kind of training and for "NEW"/"RESTART".
local function read_banner_line(banner, segment)
	local name, value = segment:match("^%s*(%u[%w ]-):%s+(%S.*)$")
	local key = name and hparams.spelling(name)
	if KNOWN[key] and (key ~= "mode" or MODES[value:match("^%S+")]) then
		banner[key] = value:gsub("%s+%(%-1 = all%)%s*$", ""):match("^(.-)%s*$")
	end
end

--- Collect what is known of the settings of the last run.
---@param ctx th.Ctx
---@param raw? th.Raw
---@return th.HomeSettings
function M.settings(ctx, raw)
	local found = { banner = {}, command = {}, argv = raw and raw.argv or hparams.argv(ctx.argv),
		config = raw and raw.config or {} }
	if not ctx:has("log") then
		return found
	end
	local expect_command = false
	for segment in ctx:lines("log", banner_needles()) do
		if segment:find("Running command:", 1, true) then
			expect_command = true
		elseif expect_command and segment:find("%.py%s") then
			found.command, expect_command = hparams.command_line(segment), false
		else
			read_banner_line(found.banner, segment)
		end
	end
	return found
end

--- The settings under standard names. The nearer to the training, the stronger: configuration,
-- banner, thhost's command, the child's command.
---@param ctx th.Ctx
---@param settings th.HomeSettings
---@param fixed? table<string, any> what the training script does not let anyone change
---@return table<string, any>
function M.hyperparams(ctx, settings, fixed)
	local layers = { fixed or {} }
	for _, source in ipairs({ "config", "banner", "argv", "command" }) do
		local values, problems = hparams.standard(settings[source])
		for _, problem in ipairs(problems) do
			ctx.log.warn(source .. ": " .. problem)
		end
		layers[#layers + 1] = values
	end
	return hparams.merge(table.unpack(layers))
end

local function text(value)
	return type(value) == "string" and value ~= "" and value or nil
end

--- The first setting of these flags or banner names that has a text.
---@param settings th.HomeSettings
---@param ... string spellings, best first
---@return string?
function M.setting(settings, ...)
	for _, source in ipairs({ "command", "argv", "banner", "config" }) do
		for _, name in ipairs({ ... }) do
			local value = text(settings[source][name])
			if value then
				return value
			end
		end
	end
end

-- Epochs of stages 3 and 4 ---------------------------------------------------------------------

---@class th.HomeEpoch
---@field number integer from 1
---@field train table<string, number>? fields of the line `训练 - ...`: the epoch's training ended
---@field val table<string, number>? fields of the line `验证 - ...`
---@field total integer? batches in the epoch
---@field done integer? batches seen, while it runs
---@field f1 table<string, number>? per class, from the report

---@class th.HomeRun : th.Run
---@field epochs th.HomeEpoch[]
---@field num_epochs integer?
---@field train_size integer? samples or documents
---@field no_validation boolean?
---@field saved boolean? a best model was written by this run

--- Fields of a new run, for `runlog.read`.
---@param run th.HomeRun
function M.new_run(run)
	run.epochs = {}
end

--- The epoch that is running or ended last.
---@param run th.HomeRun
---@return th.HomeEpoch?
function M.current(run)
	return run.epochs[#run.epochs]
end

local function begin_epoch(run, number, planned)
	number = num.int(number)
	if not number then
		return -- more than 64 bits count no epoch
	end
	local last = M.current(run)
	if last and number <= last.number then
		M.new_run(run) -- another run appended without its first lines
	end
	run.epochs[#run.epochs + 1] = { number = number }
	run.num_epochs = num.int(planned)
end

local function with_epoch(key)
	return function(run, message)
		local epoch = M.current(run)
		if epoch then
			epoch[key] = lines.fields(message)
		end
	end
end

--- Rules for the lines that stages 3 and 4 share, followed by the stage's own.
---@param own th.LogRule[]
---@return th.LogRule[]
function M.epoch_rules(own)
	local rules = {
		{ find = "使用设备: ", start = true },
		{ find = "===== Epoch ", match = "=+ Epoch (%d+)/(%d+) =+", on = begin_epoch },
		{ find = "训练 - Loss: ", match = "训练 %- (.*)", on = with_epoch("train") },
		{ find = "验证 - ", match = "验证 %- (.*)", on = with_epoch("val") },
		{ find = "验证集为空", on = function(run) run.no_validation = true end },
		{ find = "保存最佳模型", on = function(run) run.saved = true end },
		{ find = "训练完成！最佳验证", finish = true },
		{ find = "training completed successfully!", finish = true, close = true },
		{ find = "training failed!", fail = true },
	}
	table.move(own, 1, #own, #rules + 1, rules)
	return rules
end

--- The first bar of an epoch is the training's; the evaluation draws its own later.
---@param run th.HomeRun
---@param bar th.Bar
function M.on_bar(run, bar)
	local epoch = M.current(run)
	if epoch and not epoch.train and bar.total > 0 then
		epoch.total = epoch.total or bar.total
		if epoch.total == bar.total then
			epoch.done = bar.done
		end
	end
end

--- Batches in an epoch: as the log counts them, else from sizes.
local function batches(run, batch_size)
	for _, epoch in ipairs(run.epochs) do
		if epoch.total then
			return epoch.total, "log"
		end
	end
	if run.train_size and batch_size and batch_size > 0 then
		return -(-run.train_size // batch_size),
			("%d samples / batch size %d"):format(run.train_size, batch_size)
	end
end

--- Optimizer steps that ran: whole epochs times batches, plus what the bar of a broken epoch shows.
---@param run th.HomeRun
---@param batch_size integer?
---@return integer? steps nil when the log does not tell how long an epoch is
---@return string source for `sources.steps`
function M.steps(run, batch_size)
	local whole, rest = 0, 0
	for _, epoch in ipairs(run.epochs) do
		if epoch.train then
			whole = whole + 1
		else
			rest = epoch.done or 0
		end
	end
	local per_epoch, how = batches(run, batch_size)
	if not per_epoch then
		return nil, "unknown: the log does not show the number of batches"
	end
	local source = ("derived: %d epochs x %d batches (%s)"):format(whole, per_epoch, how)
	if rest > 0 then
		source = source .. (" + %d of a broken epoch"):format(rest)
	end
	return whole * per_epoch + rest, source
end

--- How many epochs ended their training part.
---@param run th.HomeRun
---@return integer
function M.epochs_run(run)
	local count = 0
	for _, epoch in ipairs(run.epochs) do
		count = count + (epoch.train and 1 or 0)
	end
	return count
end

--- The epoch whose model was saved as best: the greatest value, of equals the first. Zero is what
-- an empty validation set prints; no model is saved for it.
---@param run th.HomeRun
---@param field string
---@return th.HomeEpoch?
function M.best_epoch(run, field)
	local best
	for _, epoch in ipairs(run.no_validation and {} or run.epochs) do
		local value = epoch.val and epoch.val[field]
		if num.is_finite(value) and (not best or value > best.val[field]) then
			best = epoch
		end
	end
	return best
end

--- The outcome for the record, and a warning when a completed run met trouble afterwards.
---@param ctx th.Ctx
---@param run th.Run
---@return string outcome
---@return string? error_text only when the run did not complete
function M.outcome(ctx, run)
	local outcome, problem = runlog.outcome(run)
	if outcome == "completed" and problem then
		ctx.log.warn("after the end of the training: " .. problem)
		problem = nil
	end
	return outcome, problem
end

--- Is there a value? For `check.that`.
---@param value any
---@return boolean
function M.is_measured(value)
	return type(value) == "number"
end

--- Names of an input's files; empty when there are none.
---@param ctx th.Ctx
---@param input string
---@return table<string, boolean>
function M.names(ctx, input)
	local names = {}
	for _, file in ipairs(ctx:list(input)) do
		names[file.name] = true
	end
	return names
end

return M
