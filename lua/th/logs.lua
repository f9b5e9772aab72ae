--- Logs of any name: which files are texts of a training, what a line says, how a run ended.
--
--     for _, log in ipairs(logs.texts(folder)) do
--         if logs.edges(folder, log.name):find("epoch", 1, true) then ... end
--     end
--     for segment in logs.lines(folder, log.name, "loss") do
--         local message, time, level = logs.message(segment)
--         for _, field in ipairs(logs.fields(message)) do ... field.name, field.value ... end
--     end
local lines = require("th.lines")
local num = require("th.num")
local pylog = require("th.pylog")

local M = {}

-- What one call can look at line by line within its time; of a longer log, its two ends.
local WHOLE, HEAD_PART, TAIL_PART = 8 << 20, 1 << 20, 4 << 20

local TEXT_NAMES = { "%.log$", "%.txt$", "%.out$", "%.err$", "%.md$", "%.log%.%d+$", "%.o%d+$",
	"%.e%d+$", "^nohup", "^stdout", "^stderr", "^log$", "%.console$" }

-- Texts that describe a project and are not its output.
local OTHER_TEXTS = { "^requirements", "^license", "^licence", "^readme", "^contributing",
	"^changelog", "^vocab", "^merges", "^cmakelists", "^classes%.txt", "^labels%.txt" }

local function is_text_name(name)
	local base = name:match("[^/]+$"):lower()
	return lines.match_any(base, TEXT_NAMES) and not lines.match_any(base, OTHER_TEXTS)
end

-- A folder of labels may hold thousands of texts: this many are looked into, logs by name first.
local MAX_TEXTS = 48
local LOG_NAMES = { "log", "out", "train", "report", "result", "metric" }

--- The names to look into, the likely ones first, otherwise in the folder's order.
local function likely(files)
	local first, second = {}, {}
	for _, file in ipairs(files) do
		if is_text_name(file.name) then
			local list = lines.match_any(file.name:match("[^/]+$"):lower(), LOG_NAMES) and first or second
			list[#list + 1] = file
		end
	end
	table.move(second, 1, #second, #first + 1, first)
	return table.move(first, 1, math.min(#first, MAX_TEXTS), 1, {})
end

--- Text files of a folder that may be somebody's log: by name, neither empty nor binary, nor a
-- git-LFS pointer. Those directly in it come first; else those in `logs/` and `files/`.
---@param folder th.Folder
---@return th.FileInfo[]
function M.texts(folder)
	for _, pattern in ipairs({ "*", "log*/*", "files/*" }) do
		local found = {}
		for _, file in ipairs(likely(folder:files(pattern))) do
			local head = folder:head(file.name)
			if head ~= "" and not head:find("\0", 1, true)
				and not head:find("^version https://git%-lfs") then
				found[#found + 1] = file
			end
		end
		if #found > 0 then
			return found
		end
	end
	return {}
end

--- The first and the last bytes of a file, ANSI escapes removed: enough to tell what wrote it.
---@param folder th.Folder
---@param name string
---@return string
function M.edges(folder, name)
	local head, tail = folder:head(name), folder:tail(name)
	return lines.strip_ansi(head == tail and head or head .. "\n" .. tail)
end

local function has_needle(segment, needles)
	for _, needle in ipairs(needles) do
		if segment:find(needle, 1, true) then
			return true
		end
	end
	return #needles == 0
end

--- Lines of a long log: those of its beginning, then those of its end.
local function ends(folder, file, needles)
	local parts = { folder:read(file.name, 0, HEAD_PART) or "",
		folder:read(file.name, file.size - TAIL_PART, TAIL_PART) or "" }
	local each = lines.each(table.remove(parts, 1))
	return function()
		while each do
			for segment, number in each do
				if has_needle(segment, needles) then
					return segment, number
				end
			end
			each = parts[1] and lines.each(table.remove(parts, 1))
		end
	end
end

--- `folder:lines` within the time of a call: a log over 8 MiB is read at both of its ends, and
-- that is said with a warning.
---@param folder th.Folder
---@param name string
---@param ... string needles
---@return th.LineIterator
function M.lines(folder, name, ...)
	local file = folder:files(name)[1]
	if not file or file.size <= WHOLE then
		return folder:lines(name, ...)
	end
	folder:warn(("'%s' has %d MiB: its first %d and last %d MiB were read"):format(name,
		file.size >> 20, HEAD_PART >> 20, TAIL_PART >> 20))
	return ends(folder, file, { ... })
end

local NOT_SKIPPED = { "val", "Val", "VAL", "est", "EST", "dev", "Dev", "sav", "Sav", "rror", "top",
	"Inter", "raceback", "omplete", "inish", "done", "Done", "完成" }

local function is_told_apart(segment)
	for _, word in ipairs(NOT_SKIPPED) do
		if segment:find(word, 1, true) then
			return true
		end
	end
	return false
end

--- Leave out what lies inside a row of lines of progress: only its first and its last line
-- matter, and a long log is little else. A line that speaks of an evaluation, a file or a fault
-- ends the row.
---@param iterator th.LineIterator
---@param is_progress fun(segment: string): any?
---@return th.LineIterator
function M.thin(iterator, is_progress)
	local waiting, waiting_number, after, after_number, in_row
	return function()
		if after then
			local segment, number = after, after_number
			after = nil
			return segment, number
		end
		for segment, number in iterator do
			if not is_progress(segment) or is_told_apart(segment) then
				in_row = false
				if not waiting then
					return segment, number
				end
				local last, last_number = waiting, waiting_number
				waiting, after, after_number = nil, segment, number
				return last, last_number
			elseif not in_row then
				in_row = true
				return segment, number
			end
			waiting, waiting_number = segment, number
		end
		local last, last_number = waiting, waiting_number
		waiting = nil
		return last, last_number
	end
end

--- The first and the last segments of an iterator, `most` of each: what there is time to look at
-- closely. What was left out between them is said with a warning.
---@param iterator th.LineIterator
---@param folder th.Folder for the warning
---@param name string
---@param most integer
---@return th.LineIterator
function M.bounded(iterator, folder, name, most)
	local given, ring, count, at = 0, nil, 0, 0
	local function fill()
		ring = {}
		for segment in iterator do
			ring[count % most] = segment
			count = count + 1
		end
		at = math.max(0, count - most)
		if at > 0 then
			folder:warn(("'%s' is long: %d of its lines, in its middle, were not read"):format(name, at))
		end
	end
	return function()
		if given < most then
			given = given + 1
			return iterator()
		elseif not ring then
			fill()
		end
		at = at + 1
		return at <= count and ring[(at - 1) % most] or nil
	end
end

local LEVELS = { DEBUG = true, INFO = true, WARNING = true, WARN = true, ERROR = true,
	CRITICAL = true, FATAL = true, SUCCESS = true, NOTICE = true, TRACE = true }

--- A time stamp at the beginning; returns naive ISO text and where it ends.
local function leading_time(text)
	local day, clock, after = text:match("^%W*(%d%d%d%d[-/]%d%d[-/]%d%d)[ T](%d%d:%d%d:%d%d)()")
	if day then
		return day:gsub("/", "-") .. "T" .. clock, text:match("^[.,]?%d*Z?()", after)
	end
	local month, date, year
	month, date, year, clock, after =
		text:match("^%W*(%d%d)/(%d%d)/(%d%d%d%d)[ T](%d%d:%d%d:%d%d)()")
	if month then
		return ("%s-%s-%sT%s"):format(year, month, date, clock), text:match("^[.,]?%d*()", after)
	end
end

--- One part of a logger's prefix at `pos`: a level, a source place, a logger's name.
local function prefix_part(text, pos, stamped)
	local word, after = text:match("^[%[(|]?%s*(%u+)%s*[%])]?[:|]?()", pos)
	if word and LEVELS[word] then
		return after, word
	elseif not stamped then
		return nil
	end
	return text:match("^[%w_.-]+%]()", pos) or text:match("^%([%w_./\\]+[ :]%d+%):?()", pos)
		or text:match("^%[[%w_]*[._][%w_.]*%]()", pos)
		or text:match("^[%a_][%w_.:<>]*%s+|()", pos) or text:match("^[%a_][%w_.:<>]* %-%f[%s]()", pos)
end

--- What a line says, without the prefix of a logger: time stamp, level, place.
---@param segment string
---@return string message
---@return string? time naive ISO 8601
---@return string? level "INFO", "ERROR", ...
function M.message(segment)
	local time, pos = leading_time(segment)
	local level
	pos = pos or segment:match("^%s*()")
	local start = pos
	while pos do
		start = time and segment:match("^[%s|:,%]-]*()", pos) or pos
		local after, word = prefix_part(segment, start, time or level)
		level, pos = level or word, after
	end
	return segment:sub(start):match("^%s*(.*)$"), time, level
end

--- The words that say which part of the data a value is of.
M.SPLITS = { train = true, training = true, val = true, valid = true, validation = true,
	test = true, testing = true, eval = true, evaluation = true, dev = true }

local QUALIFIERS = { average = true, avg = true, mean = true, best = true, max = true, min = true,
	macro = true, micro = true, weighted = true, total = true, final = true, learning = true,
	balanced = true, batch = true, running = true, overall = true, pixel = true }

local METRIC_WORDS = {}
for word in ([[loss losses acc accuracy f1 fscore auc auroc auprc roc map ap miou iou dice psnr ssim
	bleu rouge meteor cer wer per ppl perplexity mae mse rmse rmsle smape mape r2 precision recall
	specificity sensitivity kappa mcc logloss error err top1 top5 score nll bpc bpb em ndcg mrr hits
	fid reward return kl entropy spearman pearson correlation jaccard hellaswag]]):gmatch("%S+") do
	METRIC_WORDS[word] = true
end

local MAX_NAMES = 512
local KNOWN_NAMES, known_count = {}, 0 -- a log has few names, and each of them often

--- Does a name speak of a measured quality ("val_loss", "Acc@1", "AUC-ROC")?
---@param name string
---@return boolean
function M.is_metric(name)
	local known = KNOWN_NAMES[name]
	if known == nil then
		known = false
		for word in name:lower():gsub("²", "2"):gmatch("%a[%a%d]*") do
			known = known or METRIC_WORDS[word] or METRIC_WORDS[word:match("^%a+")] or false
		end
		if known_count < MAX_NAMES then
			KNOWN_NAMES[name], known_count = known, known_count + 1
		end
	end
	return known
end

local NAME = "([%a][%w_@/.%%²-]*)"

--- Words before a name that belong to it: "Val" of "Val Acc", "F1" of "F1 Score".
local function with_qualifiers(before, name)
	while true do
		local rest, word = before:match("^(.-)([%a][%w_@-]*)%s+$")
		local lower = word and word:lower()
		if not lower or not (M.SPLITS[lower] or QUALIFIERS[lower] or METRIC_WORDS[lower]
			or lower == "top-1" or lower == "top-5") then
			return name
		end
		before, name = rest, word .. " " .. name
	end
end

--- The name of the number before which `before` stands, and whether `:` or `=` binds them.
local function name_before(before, words)
	if before:find("[:=]%s*$") then
		local rest, name = before:match("^(.-)" .. NAME .. "%s*[:=]%s*$")
		if not name then
			rest, name = before:match("^(.-)([%a][%w_@]* %([%w ]+%))%s*[:=]%s*$")
		end
		return name and with_qualifiers(rest, name), true
	elseif not before:find("%a[%w_@/.%%²-]*%s+$") then
		return nil
	end
	local rest, name = before:match("^(.-)" .. NAME .. "%s+is%s+$")
	if not name then
		rest, name = before:match("^(.-)" .. NAME .. "%s+$")
	end
	if name and (M.is_metric(name) or (words and words[name])) then
		return with_qualifiers(rest, name), false
	end
end

--- How a number goes on: a unit, a share `98/100`, or something that makes it no value.
local function value_of(text, message, stop)
	local of, after_of = message:match("^/(%d+)()", stop)
	if of and not message:find("^[%a%d/]", after_of) then
		local whole, count = num.int(of), num.int(text)
		return whole and whole > 0 and count and count / whole or nil, "fraction"
	elseif message:find("^[%a_:/]%S", stop) or message:find("^[%a_]", stop) then
		return nil -- 12ms, 0:18:36, 2025/11/13
	end
	local percent = message:find("^%s?%%", stop)
	return tonumber(text) or num.any((text:gsub("%.$", ""))), percent and "percent" or nil
end

---@class th.LogField
---@field name string as the line has it: "val_loss", "Train Acc", "Accuracy (Test)"
---@field value number
---@field unit "percent"|"fraction"|nil
---@field bound boolean `:` or `=` stands between name and value
---@field meter boolean the mean follows in brackets: `0.12 (0.34)`

local NUMBER = "()([+-]?%.?%d[%d.]*[eE]?[+-]?%d*)()"
local WORD_NUMBERS = { "()%f[%a]([nN][aA][nN])%f[^%a]()", "()(%-?%f[%a][iI][nN][fF])%f[^%a]()" }

local function collect(found, message, pattern, words)
	local from = 1
	for at, text, stop in message:gmatch(pattern) do
		if at == 1 or not message:find("^[%w_@.]", at - 1) then
			local name, bound = name_before(message:sub(math.max(from, at - 60), at - 1), words)
			local value, unit
			if name then
				value, unit = value_of(text, message, stop)
			end
			if value then
				found[#found + 1] = { name = name, value = value, unit = unit, bound = bound,
					meter = message:find("^%s*%(%s*%-?%d[%d.eE+-]*%s*%)", stop) ~= nil }
			end
			from = stop
		end
	end
end

local MAX_MESSAGE = 4096 -- longer ones are dumps, not measurements

--- The named numbers of a message, in order: `loss: 0.3 - acc: 0.9`, `Train Acc 37.0`,
-- `sMAPE: 17.86% | MAE: 11.97 €/MWh`, `avg_loss=-0.0001`. A name that only a blank divides from its
-- number must be a metric's.
---@param message string
---@param words? table<string, true> further names that may stand before a blank
---@return th.LogField[]
function M.fields(message, words)
	local found = {}
	if #message > MAX_MESSAGE then
		return found
	end
	collect(found, message, NUMBER, words)
	if message:find("[nN][aA][nN]") or message:find("[iI][nN][fF]") then
		for _, pattern in ipairs(WORD_NUMBERS) do
			collect(found, message, pattern, words)
		end
	end
	return found
end

--- A name of a split and a quantity in words as frameworks write it: "Train Acc" -> "train_acc";
-- any other name stays as it is.
---@param name string
---@param split? string the split that the line is about, for a name that has none
---@return string
function M.key(name, split)
	local first = name:match("^%a+")
	if first and (M.SPLITS[first] or M.SPLITS[first:lower()]) then
		return name:find("%s") and (name:lower():gsub("[%s-]+", "_")) or name
	elseif split then
		return split .. "_" .. name:lower():gsub("[%s-]+", "_")
	end
	return name
end

local SAVED_FILE = "([%w_./\\:~=+@-]+%.(%a[%w]+))"
local MODEL_ENDINGS = { pt = true, pth = true, ckpt = true, bin = true, h5 = true, hdf5 = true,
	keras = true, safetensors = true, pkl = true, pickle = true, joblib = true, model = true,
	tar = true, onnx = true, npz = true, params = true, weights = true, cbm = true, ubj = true }

--- The file or directory that a line says was saved, for example "Saved checkpoint to out/a.pt".
---@param message string
---@return string? path as printed
function M.saved(message)
	if not message:find("[sS][aA][vV]") and not message:find("[wW]rit") then
		return nil
	end
	for path, ending in message:gmatch(SAVED_FILE) do
		if MODEL_ENDINGS[ending] then
			return path
		end
	end
	local lower = message:lower()
	if lower:find("checkpoint") or lower:find("model") then
		return message:match("[sS]av%w+.-%s+[ti][on]t?o?:?%s+['\"]?([%w_.~-]*[/\\][%w_./\\:~=+@-]+)")
	end
end

-- Without pattern characters: such are found many times faster, and every line is asked.
local FAULTS = { "CUDA out of memory", "OutOfMemoryError", "Segmentation fault", "oom_kill",
	"Out Of Memory", "Bus error", "core dumped", "ChildFailedError" }
local STOPS = { " CANCELLED ", "KeyboardInterrupt", "DUE TO ", "SIGTERM" }
local LONE_WORDS = { Terminated = "interrupted", Killed = "interrupted" }

--- A line that alone tells that the run broke off.
---@param message string
---@return "failed"|"interrupted"|nil outcome
function M.break_off(message)
	if lines.match_any(message, STOPS) then
		return "interrupted"
	elseif lines.match_any(message, FAULTS) then
		return "failed"
	end
	return LONE_WORDS[message]
end

--- Literals of the lines that `break_off` and the end of a training are told by.
M.END_NEEDLES = { "out of memory", "OutOfMemory", "Segmentation", "oom-kill", "Out Of Memory",
	"Bus error", "core dumped", "CANCELLED", "TIME LIMIT", "Terminated", "Killed", "PREEMPTION",
	"SIGTERM", "rain", "topp", "TOPP", "arly", "完成", "训练结束" }

local ENDED = { "complete", "finished", "done", "successful", "ended" }
local NOT_ENDED = { "epoch[^s]", "incomplete", "not ", "%d%%", "step %d", "will ", "when " }
local EARLY_PLANS = { "counter", "patience%s*[=:]", "will ", "rounds?%s*[=:]", "did not", "enable",
	"early[ _-]?stop[%w_]*['\"]?%s*[=:]%s*%S+%s*$", "early_stop%w*['\"]?%s*[=:]", "callback" }
-- Chinese scripts say it without the word "train": "训练完成", "✓ 完成！共提取 132 页".
local ENDED_CHINESE = { "训练完成", "训练结束", "全部完成", "完成！" }
local REACHED = { "max_epochs=%d+` reached", "max_steps=%d+` reached", "^training time:? %d" }

--- Does the line say that training ended: "early" for an early stop, "done" for its plain end?
---@param message string
---@return "done"|"early"|nil
function M.ending(message)
	if #message > 400 then
		return nil
	end
	local lower = message:lower()
	if lower:find("stop", 1, true) and lower:find("early[ _-]?stop") then
		return not lines.match_any(lower, EARLY_PLANS) and "early" or nil
	elseif lines.match_any(message, ENDED_CHINESE) then
		return "done"
	elseif not lower:find("train", 1, true) and not lower:find("reached", 1, true) then
		return nil
	elseif lines.match_any(lower, REACHED) or (lines.match_any(lower, ENDED)
		and lower:find("%f[%a]train") and not lines.match_any(lower, NOT_ENDED)) then
		return "done"
	end
end

--- Do two sources give the same number? The one with fewer decimals was rounded.
---@param a number
---@param b number
---@return boolean
function M.agree(a, b)
	if a == b or (a ~= a and b ~= b) then
		return true
	elseif not num.is_finite(a) or not num.is_finite(b) then
		return false
	end
	local function decimals(value)
		local digits, exponent = ("%.12g"):format(value):match("%.(%d+)e?([+-]?%d*)")
		return digits and #digits - (tonumber(exponent) or 0) or 0
	end
	local unit = 10.0 ^ -math.min(decimals(a), decimals(b))
	return math.abs(a - b) <= unit * 0.5000001
end

--- The newest text that a reader knows by its edges.
---@param folder th.Folder
---@param sign_of fun(text: string): any? what it is known by; nil when it is not
---@return th.FileInfo? file
---@return any? sign
function M.newest_known(folder, sign_of)
	local newest, why
	for _, file in ipairs(M.texts(folder)) do
		local sign = sign_of(M.edges(folder, file.name))
		if sign and (not newest or file.mtime > newest.mtime) then
			newest, why = file, sign
		end
	end
	return newest, why
end

---@class th.LogReading how a reader goes through its log
---@field needles string[]
---@field is_progress fun(segment: string): any? see `thin`
---@field most integer segments from either end; see `bounded`
---@field take_line fun(run: table, segment: string, trace: fun(segment: string): string?): table

--- Read a log to its end: each line that can matter is given to `take_line`, with a reader of
-- tracebacks, and its answer is the run from then on.
---@param folder th.Folder
---@param name string
---@param how th.LogReading
---@param run table what is known before
---@return table run
function M.read_run(folder, name, how, run)
	local trace = pylog.traceback_reader()
	local iterator = M.thin(M.lines(folder, name, table.unpack(how.needles)), how.is_progress)
	for segment in M.bounded(iterator, folder, name, how.most) do
		run = how.take_line(run, segment, trace)
	end
	return run
end

return M
