--- What is this directory? Asks every reader, and lets the one that is surest read it.
--
-- A reader is a module of this library with `title`, `recognise` and `read`; see th.Reader. To add
-- one, write it and add its name here: the order settles ties.
local hparams = require("th.hparams")
local metrics = require("th.metrics")
local num = require("th.num")

local M = {}

---@class th.Recognised
---@field score integer 1 to 100. 90: files that only this framework writes, with its own contents;
---  70: contents that fit and a name that is usual; 40: contents that fit, any name; 20: a guess
---@field why string for people: which file, and what in it
---@field runs? string[] folders below that hold one run each ("." is this one), the one that `read`
---  takes first; nil when the folder itself is the run

---@class th.Progress
---@field final number? what ran; nil when nothing tells
---@field planned number?
---@field zero_based boolean? `final` is the last index, so one more ran

---@class th.Best
---@field metric string?
---@field value number?
---@field mode "min"|"max"|nil
---@field step integer?
---@field epoch number?
---@field checkpoint string? as the file names it, a foreign path included
---@field checkpoint_name string? its last component, of either separator
---@field declared boolean? the file itself names the best; else it was derived from the values
---@field unit string? "percent", ... where the file says so
---@field values table<string, number>? the metrics of that moment

---@class th.Reading
---@field outcome string? the words of the corpus: completed, completed_early,
---  completed_then_crashed, reached_max_steps_no_summary, incomplete_state, interrupted, failed,
---  running, predict_only, no_data_lfs_pointer, not_a_training_record, unknown; nil: nothing tells
---@field error string? last line of the traceback
---@field steps th.Progress? optimizer steps
---@field epochs th.Progress?
---@field final_metrics table<string, any> names as the source gave them, numbers as read
---@field best th.Best?
---@field train table<string, number>? last values of the training itself (loss, learning rate)
---@field train_summary table<string, number>? what the trainer says when it ends
---@field last_loss number? the last training loss, where the source tells it by itself
---@field model { tensors: integer?, parameters: integer?, dtypes: table<string, integer>? }?
---@field raw_hyperparams table<string, any>? as the source has them
---@field hyperparams table<string, any>? under the standard names of th.hparams
---@field base_model string?
---@field dataset string? name or path of the data, as the source has it
---@field checkpoints { best: string?, last: string? }? names inside the folder
---@field units table<string, string>? metric -> "percent" | "fraction" | ..., only where known
---@field run string? the folder below that was read, when there are several
---@field start_time string? ISO 8601
---@field end_time string?
---@field sources table<string, string> "final_metrics.f1", "steps", ... -> "file: key"; begins with
---  "derived:" when it was computed and with "inferred:" when it was concluded
---@field disagreements th.Disagreement[]? what two sources say differently
---@field resumed_from integer? step at which the trainer's own counter went on
---@field name string? what the tracker calls the run
---@field experiment string? the tracker's name for what the run belongs to
---@field parent_run string? the tracker's id of the run that this one is a part of
---@field command string? the program and its arguments, as far as the tracker kept them
---@field host string? name of the machine
---@field git_commit string? of the code that ran
---@field artifacts table<string, string>? files that the tracker keeps -> its digest, "md5:..."

---@class th.Disagreement
---@field what string "final_metrics.eval_loss", "steps", ...
---@field values { from: string, value: any }[] the one that was taken comes first

---@class th.Reader
---@field title string the framework's name for people
---@field recognise fun(folder: th.Folder): th.Recognised? cheap: names and heads, no whole files
---@field read fun(folder: th.Folder): th.Reading?, th.Error?

--- Names of the readers.
M.READERS = {
	"huggingface", "tensorboard", "lightning", "keras", "ultralytics", "detectron2", "mmdet",
	"timm", "fairseq", "spacy", "sklearn", "gbdt", "sacred", "mlflow", "wandb", "dvc", "nanogpt",
	"safetensors", "console",
}

---@class th.Candidate : th.Recognised
---@field name string the reader's
---@field title string
---@field reader th.Reader
---@field error? string why it could not read what it had recognised

---@class th.Detected
---@field reader string name of the reader whose reading it is
---@field title string
---@field why string
---@field score integer
---@field runs? string[] see th.Recognised
---@field reading th.Reading its reading; what it lacks comes from others, see `complemented`
---@field complemented table<string, string> field or "hyperparams.lr" -> name of the other reader
---@field recognised th.Candidate[] all that knew the folder, the surest first
---@field also { reader: string, title: string, reading: th.Reading }[] what the others read

local NO_DATA = { no_data_lfs_pointer = true, not_a_training_record = true, predict_only = true }

-- Below this a candidate only guesses: it is asked where the others leave something open.
local GUESS = 40

-- What one reader may add to the reading of another. Metrics are taken whole or not at all: names
-- of two frameworks in one table would look like one evaluation.
local PARTS = { "outcome", "steps", "epochs", "final_metrics", "best", "train", "train_summary",
	"raw_hyperparams", "base_model", "dataset", "checkpoints", "start_time", "end_time" }

-- Recognising ------------------------------------------------------------------------------------

--- Every reader of this library, in the order that settles ties.
---@return { name: string, reader: th.Reader }[]
function M.readers()
	local found = {}
	for index, name in ipairs(M.READERS) do
		found[index] = { name = name, reader = require("th." .. name) }
	end
	return found
end

--- A reader must not raise; one that does shall not take the others with it.
local function protected(folder, name, what, ...)
	local done, value, err = pcall(...)
	if done then
		return value, err
	end
	local message = ("the reader '%s' failed to %s '%s': %s"):format(name, what, folder.name,
		tostring(value))
	folder:warn(message)
	return nil, { code = "reader_failed", message = message }
end

--- Every reader that knows the folder, the surest first.
---@param folder th.Folder
---@param readers? { name: string, reader: th.Reader }[] default: `M.readers()`
---@return th.Candidate[]
function M.candidates(folder, readers)
	local found = {}
	for place, entry in ipairs(readers or M.readers()) do
		local reader = entry.reader
		local known = protected(folder, entry.name, "recognise", reader.recognise, folder)
		if known then
			found[#found + 1] = { name = entry.name, title = reader.title, reader = reader,
				place = place, score = known.score, why = known.why, runs = known.runs }
		end
	end
	table.sort(found, function(a, b)
		return a.score > b.score or (a.score == b.score and a.place < b.place)
	end)
	return found
end

-- Complementing ----------------------------------------------------------------------------------

local function is_empty(part)
	return part == nil or (type(part) == "table" and next(part) == nil)
end

--- Does the reading leave something open that a guess might tell?
local function is_open(reading)
	return is_empty(reading.base_model) or is_empty(reading.raw_hyperparams)
		or is_empty(reading.steps) or reading.outcome == nil or reading.end_time == nil
end

--- Two readers may have taken different runs of one folder: then neither completes the other.
local function same_run(a, b)
	return a.run == nil or b.run == nil or a.run == b.run
end

local function copy(map)
	local out = {}
	for key, value in pairs(map or {}) do
		out[key] = value
	end
	return out
end

--- The sources of a part, under its own name or below it, with the name of who read it.
local function take_sources(to, from, part, title)
	local own = false
	for key, text in pairs(from or {}) do
		if key == part or key:sub(1, #part + 1) == part .. "." then
			to[key], own = ("%s [%s]"):format(text, title), true
		end
	end
	if not own then
		to[part] = ("[%s]"):format(title)
	end
end

local function take_hyperparams(detected, reading, other)
	for _, name in ipairs(metrics.sorted_keys(other.reading.hyperparams or {})) do
		if reading.hyperparams[name] == nil then
			reading.hyperparams[name] = other.reading.hyperparams[name]
			reading.sources["hyperparams." .. name] = ("[%s]"):format(other.title)
			detected.complemented["hyperparams." .. name] = other.reader
		end
	end
end

local function complement(detected, other)
	local reading = detected.reading
	for _, part in ipairs(PARTS) do
		local value = other.reading[part]
		if is_empty(reading[part]) and not is_empty(value) and not NO_DATA[value] then
			reading[part] = value
			take_sources(reading.sources, other.reading.sources, part, other.title)
			detected.complemented[part] = other.reader
			if part == "outcome" then
				reading.error = reading.error or other.reading.error
			end
		end
	end
	take_hyperparams(detected, reading, other)
end

-- Disagreements ----------------------------------------------------------------------------------

--- What the last digit of a number is worth, as it is written at its shortest.
local function last_digit(value)
	for digits = 1, 17 do
		local text = ("%%.%de"):format(digits - 1):format(value)
		if tonumber(text) == value then
			return 10.0 ^ (tonumber(text:match("e([-+]%d+)$")) - digits + 1), digits
		end
	end
	return 0, 17
end

local FEW_DIGITS = 3
local FLOAT32 = 1e-6

--- The same number, or one of them rounded: a console prints four digits, TensorBoard has 32 bits.
local function agree(a, b)
	if a == b or (a ~= a and b ~= b) then
		return true
	elseif not (num.is_finite(a) and num.is_finite(b)) then
		return false
	end
	local distance = math.abs(a - b)
	if distance <= FLOAT32 * math.max(math.abs(a), math.abs(b)) then
		return true
	end
	local reach_a, digits_a = last_digit(a)
	local reach_b, digits_b = last_digit(b)
	return math.min(digits_a, digits_b) >= FEW_DIGITS
		and distance <= 0.5001 * math.max(reach_a, reach_b)
end

local function disagree(detected, other, what, ours, theirs)
	local list = detected.reading.disagreements
	list[#list + 1] = { what = what, values = {
		{ from = detected.title, value = ours }, { from = other.title, value = theirs } } }
end

--- How many ran: the last index plus one where counting begins at 0.
---@param progress th.Progress?
---@return number?
function M.ran(progress)
	local final = progress and progress.final
	return final and (progress.zero_based and final + 1 or final) or nil
end

local CLAIMS_THE_END = { completed = true, completed_early = true, completed_then_crashed = true,
	reached_max_steps_no_summary = true }

local function compare(detected, other)
	local ours, theirs = detected.reading, other.reading
	for _, name in ipairs(metrics.sorted_keys(ours.final_metrics or {})) do
		local a, b = ours.final_metrics[name], (theirs.final_metrics or {})[name]
		if type(a) == "number" and type(b) == "number" and not agree(a, b) then
			disagree(detected, other, "final_metrics." .. name, a, b)
		end
	end
	-- Fewer steps are no contradiction where a source logs only now and then.
	local a, b = M.ran(ours.steps), M.ran(theirs.steps)
	if a and b and a ~= b and (b > a or CLAIMS_THE_END[theirs.outcome]) then
		disagree(detected, other, "steps", a, b)
	end
end

-- Reading ----------------------------------------------------------------------------------------

local function with_standard_names(reading)
	reading = copy(reading)
	reading.sources = copy(reading.sources)
	reading.final_metrics = reading.final_metrics or {}
	reading.hyperparams = copy(reading.hyperparams
		or hparams.standard(reading.raw_hyperparams or {}))
	reading.disagreements = table.move(reading.disagreements or {}, 1,
		#(reading.disagreements or {}), 1, {})
	return reading
end

local function read_one(folder, candidate)
	local reading, err = protected(folder, candidate.name, "read", candidate.reader.read, folder)
	if reading then
		return with_standard_names(reading)
	end
	candidate.error = err and err.message or "it read nothing"
	return nil, err
end

--- The surest reading that holds data; else the first without; else nil and the first error.
local function read_surest(folder, candidates)
	local without_data, first_error
	for index, candidate in ipairs(candidates) do
		local reading, err = read_one(folder, candidate)
		if reading and not NO_DATA[reading.outcome] then
			return index, reading
		elseif reading then
			without_data = without_data or { index, reading }
		else
			first_error = first_error or err
			folder:warn(("%s: %s"):format(candidate.title, candidate.error))
		end
	end
	if without_data then
		return without_data[1], without_data[2]
	end
	return nil, first_error
end

local function read_others(folder, detected, chosen)
	for index, candidate in ipairs(detected.recognised) do
		local wanted = candidate.score >= GUESS or is_open(detected.reading)
		local reading = index > chosen and wanted and read_one(folder, candidate)
		if reading and not NO_DATA[reading.outcome] and same_run(detected.reading, reading) then
			local other = { reader = candidate.name, title = candidate.title, reading = reading }
			detected.also[#detected.also + 1] = other
			compare(detected, other)
			complement(detected, other)
		end
	end
end

local function nothing_known(folder)
	local names = {}
	for index, file in ipairs(folder:files()) do
		if index > 5 then
			names[index] = "..."
			break
		end
		names[index] = file.name
	end
	local holds = #names == 0 and "it holds no files" or "it holds " .. table.concat(names, ", ")
	return { code = #names == 0 and "no_data" or "not_recognised",
		message = ("no reader knows what '%s' is: %s"):format(folder.name, holds) }
end

--- What the folder holds: the reading of the surest reader, completed by the others.
---@param folder th.Folder
---@param readers? { name: string, reader: th.Reader }[] default: `M.readers()`
---@return th.Detected? detected
---@return th.Error? err "not_recognised", "no_data" (no files), or why the surest could not read
---@return th.Candidate[] recognised
function M.read(folder, readers)
	local candidates = M.candidates(folder, readers)
	if #candidates == 0 then
		return nil, nothing_known(folder), candidates
	end
	local chosen, reading = read_surest(folder, candidates)
	if not chosen then
		return nil, reading, candidates
	end
	local surest = candidates[chosen]
	local detected = { reader = surest.name, title = surest.title, why = surest.why,
		score = surest.score, runs = surest.runs, reading = reading, complemented = {},
		recognised = candidates, also = {} }
	if not NO_DATA[reading.outcome] then
		read_others(folder, detected, chosen)
	end
	return detected, nil, candidates
end

return M
