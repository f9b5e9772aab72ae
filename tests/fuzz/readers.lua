--- What reader.c calls on the bytes: one function for each reader, text in, a value out.
--
-- A reader says `nil, err` of what it cannot read and never raises: anything raised here is a finding.
local csv = require("th.csv")
local hf = require("th.hf_trainer")
local hparams = require("th.hparams")
local json = require("th.json")
local lines = require("th.lines")
local num = require("th.num")
local pydict = require("th.pydict")
local pylog = require("th.pylog")
local tfevents = require("th.tfevents")

local M = {}

--- The value, or nil for an error, which must be one.
local function accept(value, err)
	if value == nil and err ~= nil then
		assert(type(err) == "table" and type(err.code) == "string" and type(err.message) == "string")
	end
	return value
end

function M.json(text)
	local value = accept(json.decode(text))
	json.decode_lines(lines.each(text))
	return value
end

function M.csv(text)
	local found = accept(csv.decode(text))
	accept(csv.decode(text, ";"))
	return found and csv.records(found)
end

function M.pydict(text)
	local value = pydict.decode(text)
	pydict.from_line(text)
	accept(pydict.call(text, "TrainingArguments"))
	hf.console_record(text)
	return value
end

--- The text as an event file whose checksums are right: a byte for the length of each event.
local function framed(text)
	local frames, pos = {}, 1
	while pos <= #text do
		local size = text:byte(pos)
		local event = text:sub(pos + 1, pos + size)
		local length = ("<I8"):pack(#event)
		frames[#frames + 1] = length .. ("<I4"):pack(tfevents.masked_crc(length)) .. event
			.. ("<I4"):pack(tfevents.masked_crc(event))
		pos = pos + size + 1
	end
	return table.concat(frames)
end

function M.tfevents(text)
	accept(tfevents.decode(text))
	local log = accept(tfevents.decode(framed(text)))
	for tag in pairs(log and log.scalars or {}) do
		tfevents.last(log, tag)
	end
	return log
end

--- Numbers of every spelling: a number or a reason.
local function check_numbers(text)
	for _, name in ipairs({ "int", "float", "any", "percent", "human" }) do
		local value, reason = num[name](text)
		assert(value == nil and type(reason) == "string" or math.type(value), name)
	end
	local value = num.float(text)
	return value and num.float32(value)
end

function M.log(text)
	local out = { number = check_numbers(text), errors = pylog.last_error(lines.each(text)) }
	for record in pylog.records(lines.each(text)) do
		out[#out + 1] = lines.fields(record.msg)
		out[#out + 1] = lines.tqdm(record.msg)
	end
	out.best = lines.best(lines.each(text), "loss: (%S+)", "min")
	out.banner = hparams.standard(hparams.banner(lines.each(text)))
	out.command = hparams.standard(hparams.command_line(text))
	local arguments = hparams.training_arguments(lines.each(text))
	out.arguments = arguments and hparams.settle_hf(hparams.standard(arguments), arguments)
	return out
end

-- Whole plugins ---------------------------------------------------------------------------------

local function is_one_of(needles, line)
	for _, needle in ipairs(needles) do
		if line:find(needle, 1, true) then
			return true
		end
	end
	return #needles == 0
end

--- A ctx whose inputs `names` all hold the text.
local function ctx_of(plugin, names, text)
	local ctx = { stage = plugin.name, dataset = "d", exp = "exp_1", now = "2025-12-11T10:30:00+08:00",
		argv = {}, stage_dir_name = "stage1_d", goals = plugin.metrics,
		log = { info = tostring, warn = function(message) assert(type(message) == "string") end } }
	function ctx.has(_, input)
		return names[input] ~= nil
	end
	function ctx.list(_, input)
		return names[input] and { { name = names[input], size = #text, mtime = ctx.now, dir = false } } or {}
	end
	function ctx.read(_, input)
		return names[input] and text, not names[input] and { code = "no_data", message = input } or nil
	end
	function ctx.json(_, input)
		if not names[input] then
			return nil, { code = "no_data", input = input, message = "no file for input " .. input }
		end
		local value, err = json.decode(text)
		if err then
			err.input, err.path = input, names[input]
		end
		return value, err
	end
	function ctx.lines(_, _, ...)
		local needles, each = { ... }, lines.each(text)
		return function()
			for line, number in each do
				if is_one_of(needles, line) then
					return line, number
				end
			end
		end
	end
	return ctx
end

--- Everything that the host asks of the plugin.
local function ask(name, names, text)
	local plugin = require(name)
	local ctx = ctx_of(plugin, names, text)
	local result, err = plugin.extract(ctx)
	accept(result, err)
	local values = plugin.hyperparams(ctx, { argv = {}, config = {} })
	return { result = result, hyperparams = values }
end

--- trainer_state.json and the *_results.json
function M.state(text)
	return ask("stage1", { state = "trainer_state.json", saved_states = "checkpoint-5/trainer_state.json",
		eval = "eval_results.json", all = "all_results.json" }, text)
end

function M.console(text)
	return ask("stage1", { log = "train.log" }, text)
end

function M.events_file(text)
	return ask("stage1", { events = "runs/a/events.out.tfevents.1763115868.mi" }, framed(text))
end

function M.features(text)
	return ask("stage2", { log = "train.log" }, text)
end

function M.epochs(text)
	return ask("stage3", { log = "train.log" }, text)
end

function M.relations(text)
	return ask("stage4", { log = "train.log" }, text)
end

return M
