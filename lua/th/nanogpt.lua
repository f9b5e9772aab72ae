--- Logs of nanoGPT and its relatives: nanoGPT, build-nanogpt, modded-nanogpt, llm.c, litgpt, and
-- scripts that print in their manner.
--
-- A line belongs to a step. Evaluations (`step 250: train loss 1.9, val loss 2.1`) are told from
-- the loss of a batch (`iter 100: loss 2.3, time ..`): the former are the final metrics.
local hf = require("th.hf_trainer")
local hparams = require("th.hparams")
local lines = require("th.lines")
local logs = require("th.logs")
local metrics = require("th.metrics")
local num = require("th.num")
local pylog = require("th.pylog")

local M = { title = "nanoGPT" }

-- How each relative begins a line of a step: pattern -> step, planned steps (or "").
local STEP_LINES = {
	"^%[%a+%]%s*iter (%d+)()", -- [eval] iter 500: train 4.2 val 4.3 lr 3e-4
	"^iter (%d+)()", -- iter 100: loss 2.3, time 12ms, mfu 3%
	"^step:(%d+)/(%d+)()", -- step:5100/5100 val_loss:3.28 train_time:..
	"^step%s+(%d+)%s*/%s*(%d+)()", -- step 1/19560 | loss 11.0 (llm.c)
	"^step%s+(%d+)()", -- step 250: train loss 1.9, val loss 2.1
	"^epoch %d+ | iter %d+ step (%d+)()", -- litgpt
	"^s:(%d+)()", -- llm.c's main.log: s:250 tel:6.5
}
local KINDS = { train = "train", val = "val", hella = "hella", test = "test" }
local SHORT = { tel = "val", trl = "train", eval = "eval" } -- llm.c's names of the same
local WORDS = { train = true, val = true, lr = true, loss = true, norm = true, test = true }
local LOSSES = { "^val$", "^val_loss$", "^val loss$" }

M.NEEDLES = { "iter", "step", "s:", " train ", " val ", " hella ", "loss", "HellaSwag", "done",
	"Overriding", "Resuming", "rror", "Exception", "Traceback", "Interrupt", "Exit", " = ", "max_",
	table.unpack(logs.END_NEEDLES) }

-- What only these programs print.
local SIGNS = { "tokens per iteration will be: [%d,]+", "num decayed parameter tensors: %d+",
	"%f[%w]iter %d+: loss [%d.na]+, time [%d.]+ms", "step %d+: train loss [%d.na]+, val loss [%d.na]+",
	"%[eval%] iter %d+:", "%[train%] iter %d+: loss", "%f[%w]step:%d+/%d+ %w*_?[lt]%w+:",
	"iter %d+ step %d+ | loss train: ", "%f[%w]s:%d+ t[er]l:%d", "step%s+%d+ | loss: [%d.]+ | lr",
	"step%s+%d+/%d+ | t?r?a?i?n? ?loss" }
local KIND_LINE = "^(%d+) (%a+) (%-?[%d.na]+)$"

--- Three lines of `<step> <kind> <value>`, as build-nanogpt writes them.
local function has_kind_lines(text)
	local count = 0
	for line in text:gmatch("[^\r\n]+") do
		local _, kind = line:match(KIND_LINE)
		count = count + (kind and KINDS[kind] and 1 or 0)
	end
	return count >= 3
end

local function sign_of(text)
	for _, sign in ipairs(SIGNS) do
		local found = text:match(sign)
		if found then
			return found
		end
	end
	return has_kind_lines(text) and "<step> train <loss>" or nil
end

---@param folder th.Folder
---@return th.Recognised?
function M.recognise(folder)
	local file, sign = logs.newest_known(folder, sign_of)
	if file then
		return { score = 60, why = ("'%s' has lines such as \"%s\""):format(file.name, sign) }
	end
end

local function new_run(raw)
	return { values = {}, evals = {}, train = {}, raw = raw or {} }
end

--- The step that a line begins with, and of how many.
local function step_of(lower)
	for _, pattern in ipairs(STEP_LINES) do
		local step, total, after = lower:match(pattern)
		if step then
			return num.int(step), after and num.int(total) or nil, after or total
		end
	end
end

local function key_of(name)
	local split = name:match("^loss (%a+)$") -- litgpt: "loss train: 1.6"
	return split and split .. "_loss" or logs.key(SHORT[name] or name)
end

local function take_value(run, step, name, value)
	run.values[name] = value
	if name:find("^val") then
		run.evals[#run.evals + 1] = { step = step, name = name, value = value }
	end
end

--- Is it the line of an evaluation? Else its loss is of one batch.
local function is_evaluation(lower)
	return lower:find("val[%s_l:]") ~= nil or lower:find("^%[eval%]") ~= nil
		or lower:find("tel:") ~= nil or lower:find("eval:") ~= nil
end

local function take_step(run, message, lower, step, after)
	local evaluation = is_evaluation(lower)
	run.step = step
	for _, field in ipairs(logs.fields(message:sub(after), WORDS)) do
		local name = key_of(field.name)
		if evaluation and (WORDS[name] or logs.is_metric(name) or SHORT[field.name]) then
			take_value(run, step, name, field.value)
		elseif logs.is_metric(name) or name == "lr" or name == "norm" then
			run.train[name] = field.value
		end
	end
	if lower:find("^s:%d") then
		for short, name in pairs(SHORT) do
			local value = num.any(lower:match("%f[%a]" .. short .. ":(%-?[%d.]+)") or "")
			if value then
				take_value(run, step, name, value)
			end
		end
	end
end

local function take_kind(run, message)
	local step, kind, text = message:match(KIND_LINE)
	local value = step and KINDS[kind] and num.any(text)
	if not value then
		return false
	end
	run.step = num.int(step)
	take_value(run, run.step, kind, value)
	return true
end

--- Lines that belong to the step before them: "validation loss: 10.93", "HellaSwag accuracy:
-- ...=0.24".
local function take_loose(run, message)
	local loss = num.any(message:match("^val%a* loss:?%s+([%d.]+)$") or "")
	local accuracy = num.any(message:match("^HellaSwag accuracy: %d+/%d+=([%d.]+)$") or "")
	if loss then
		take_value(run, run.step, "val_loss", loss)
	elseif accuracy then
		take_value(run, run.step, "hellaswag_accuracy", accuracy)
	end
	return loss or accuracy
end

--- "[train] done. best_val=2.6645  ckpt=/a/ckpt.pt" and "saving checkpoint to out"
local function take_words(run, message)
	local best = num.any(message:match("best_val%w*[=:]%s*([%d.]+%d)") or "")
	if best then
		run.best = { value = best, checkpoint = message:match("ckpt=(%S+)") }
	end
	run.saved = logs.saved(message) or run.saved
	if message:find("%f[%a]done%.?%f[%A]") and message:lower():find("train") then
		run.ending = "done"
	else
		run.ending = logs.ending(message) or run.ending
	end
	local name, text = message:match("^Overriding: (%S+) = (.+)$")
	if not name then
		name, text = message:match("^(max_%w+) = (%S+)")
	end
	if name then
		run.raw[name] = num.any(text) or text
	end
end

local function take_line(run, segment, trace)
	local message, time = logs.message(segment)
	local lower = message:lower()
	local step, total, after = step_of(lower)
	local fault, stopped = trace(message), logs.break_off(message)
	if fault or stopped then
		run.fault = fault or run.fault or message
		run.stopped = stopped or (pylog.is_interrupt(run.fault) and "interrupted") or "failed"
	elseif step then
		if step == 0 and (run.step or 0) > 0 then
			run = new_run(run.raw) -- another training was appended
		end
		run.planned, run.fault, run.stopped = total or run.planned, nil, nil
		take_step(run, message, lower, step, after)
	elseif message:find("^0 %a+ ") and (run.step or 0) > 0 then
		run = new_run(run.raw)
		take_kind(run, message)
	elseif not take_kind(run, message) and not take_loose(run, message) then
		take_words(run, message)
	end
	run.start_time, run.end_time = run.start_time or time, time or run.end_time
	return run
end

local function derived_best(run)
	local best
	for _, eval in ipairs(run.evals) do
		if lines.match_any(eval.name, LOSSES)
			and metrics.better(eval.value, best and best.value, "min") then
			best = eval
		end
	end
	return best and { metric = best.name, value = best.value, step = best.step, mode = "min",
		declared = false }
end

--- What the log declares, with the step at which that value was measured.
local function best_of(run)
	local derived = derived_best(run)
	if not run.best then
		return derived
	end
	local best = { metric = derived and derived.metric or "val", value = run.best.value, mode = "min",
		checkpoint = run.best.checkpoint, checkpoint_name = hf.basename(run.best.checkpoint),
		declared = true }
	for _, eval in ipairs(run.evals) do
		if eval.name == best.metric and logs.agree(eval.value, best.value) then
			best.step = best.step or eval.step
		end
	end
	return best
end

local function outcome_of(run, planned)
	local complete = run.ending or (planned and run.step and run.step >= planned)
	if run.stopped and complete then
		return run.stopped == "failed" and "completed_then_crashed" or "completed"
	elseif run.stopped then
		return run.stopped
	elseif run.ending == "early" then
		return "completed_early"
	elseif complete then
		return "completed"
	elseif planned and run.step then
		return "interrupted"
	end
end

local function sources_of(reading, file)
	local sources = { steps = file.name,
		outcome = reading.outcome and "inferred: " .. file.name or nil }
	for name in pairs(reading.final_metrics) do
		sources["final_metrics." .. name] = file.name
	end
	if reading.best then
		sources.best = (reading.best.declared and "" or "derived: ") .. file.name
	end
	return sources
end

local function reading_of(folder, file, run)
	local values = next(run.values) and run.values or run.train
	local planned = run.planned or num.int(run.raw.max_iters or run.raw.max_steps)
	local name = hf.basename(run.best and run.best.checkpoint or run.saved)
	local reading = {
		outcome = outcome_of(run, planned), error = run.fault,
		steps = { final = run.step, planned = planned }, final_metrics = values, best = best_of(run),
		train = next(run.train) and run.train or nil,
		raw_hyperparams = next(run.raw) and run.raw or nil,
		hyperparams = next(run.raw) and (hparams.standard(run.raw)) or nil,
		dataset = run.raw.dataset, base_model = run.raw.init_from,
		checkpoints = { last = name and (folder:find(name) or folder:find("**/" .. name)) },
		start_time = run.start_time, end_time = run.end_time,
	}
	reading.sources = sources_of(reading, file)
	return reading
end

local MOST_LINES = 5000 -- from either end

--- Is it the loss of one batch?
local function is_batch(segment)
	return segment:find("iter %d+: loss") or segment:find("^%d+ train ") or segment:find("train_loss:")
		or segment:find("^s:%d+ trl")
end

---@param folder th.Folder
---@return th.Reading?
---@return th.Error?
function M.read(folder)
	local file = logs.newest_known(folder, sign_of)
	if not file then
		return nil, { code = "not_a_training_record", message = "no text here reads like nanoGPT's log" }
	end
	local run = logs.read_run(folder, file.name, { needles = M.NEEDLES, is_progress = is_batch,
		most = MOST_LINES, take_line = take_line }, new_run())
	if not run.step and not run.fault then
		return nil, { code = "no_data", path = file.name,
			message = ("'%s' has no line of a training step"):format(file.name) }
	end
	return reading_of(folder, file, run)
end

return M
