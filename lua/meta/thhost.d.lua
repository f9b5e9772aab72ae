---@meta thhost
-- The plugin contract, api 1. This file is the normative text: what a plugin declares, what it is
-- given, what it returns, in which units, and how it reports what went wrong. It is read by the Lua
-- language server and by people; it is never run.
--
-- What a plugin may use besides this: assert error ipairs next pairs pcall select tonumber tostring
-- type rawequal rawlen rawget setmetatable (no __gc) getmetatable; string (without dump), table, math
-- (without random and randomseed), utf8; `require` of th.* and cjson. Writing a global is an error.

-- Errors -----------------------------------------------------------------------------------------

--- An expected failure, returned as the second value after nil. A bug raises instead (`error`).
---@class th.Error
---@field code string short and stable: "no_data", "lfs_pointer", "bad_json", ...
---@field message string one sentence without a full stop: what is wrong, and where
---@field input? string name of the input it concerns
---@field path? string file below the stage directory
---@field hint? string what the user can do

--- One finding of `validate`. An error keeps the entry out of the record; a warning is shown.
---@class th.Issue
---@field path string where, from "entry": "entry.metrics.f1"
---@field code string short and stable: "range", "type", ...
---@field message string
---@field level "error"|"warning"

-- What a plugin declares -------------------------------------------------------------------------

--- Limits and direction of one metric. The host checks min and max (inclusive) and `required`.
---@class th.MetricGoal
---@field goal "max"|"min" which direction is better; used by compare, list --top and charts
---@field min? number
---@field max? number
---@field required? boolean an entry without it is refused
---@field primary? boolean stands first in the entry, and so in listings and the status line
---@field unit? string for display, for example "pages", "%", "s"

--- Live progress: the host gives each line that contains `find` to `match`; the captures are numbers.
---@class th.ProgressRule
---@field find string literal; lines without it never reach Lua
---@field match string Lua pattern with one capture for each name in `set`
---@field set string[] "step", "steps_total", "epoch", "epochs_total", or names of declared metrics

--- A stage plugin: the table that `plugins/NAME.lua` returns. Unknown fields are load errors.
---@class th.StagePlugin
---@field api 1
---@field kind "stage"
---@field name string equals the file name without ".lua"
---@field version string
---@field summary string one line
---@field dir string prefix of the stage directory: <exp>/<dir>_<dataset>
---@field model_name string `model_name` of the record
---@field inputs table<string, string> name -> pattern; see below
---@field metrics table<string, th.MetricGoal> the declared metrics; others may be returned too
---@field progress? th.ProgressRule[]
---@field requires? string[] stages whose models or features this one starts from
---@field produces? string[] stages that can start from this one's result
---@field command? string[] argv when the user gives none
---@field extract fun(ctx: th.Ctx): th.Result?, th.Error?
---@field hyperparams? fun(ctx: th.Ctx, raw: th.Raw): table<string, any>?, th.Error?
---@field validate? fun(ctx: th.Ctx, entry: table<string, any>): true?, th.Issue[]?
--
-- Patterns in `inputs` are relative to the stage directory. `*` matches within one path component and
-- never a hidden name. A pattern that begins with `**/` matches files at any depth (to 8 directories
-- down, none of them hidden or a link), the stage directory included; where it matches more than 4096 the
-- deepest are left out. A trailing `/` matches directories (for `list`). A trailing `?` makes the input
-- optional; a required input that matches nothing is an error before the plugin is called. At most 900
-- files can be read in one call: the named ones first, then those of `**/` from shallow to deep.
-- "@log" is the run's log; in `record --from DIR` the files *.log, *.out and log.txt of DIR.
-- Of several matches the LAST in natural order (checkpoint-500 before checkpoint-10000) counts where
-- one is read; of logs the newest by mtime.

--- What a dataset plugin may give for a stage. `inputs` and `metrics` are laid over the stage's key by
-- key; every other field or function replaces the stage's.
---@class th.StageOverride
---@field dir? string
---@field model_name? string
---@field inputs? table<string, string>
---@field metrics? table<string, th.MetricGoal>
---@field progress? th.ProgressRule[]
---@field command? string[]
---@field extract? fun(ctx: th.Ctx): th.Result?, th.Error?
---@field hyperparams? fun(ctx: th.Ctx, raw: th.Raw): table<string, any>?, th.Error?
---@field validate? fun(ctx: th.Ctx, entry: table<string, any>): true?, th.Issue[]?

--- A dataset plugin: the table that `plugins/datasets/NAME.lua` returns.
---@class th.DatasetPlugin
---@field api 1
---@field kind "dataset"
---@field name string equals the file name and `--dataset`
---@field version string
---@field summary string
---@field stages table<string, th.StageOverride> by stage name

-- What a plugin returns --------------------------------------------------------------------------

--- Result of `extract`. Limits: depth 8, 1024 keys, strings of 64 KiB, UTF-8.
---@class th.Result
---@field metrics table<string, any> numbers, nested to depth 8; NaN becomes null and is listed under
---  `nonfinite`; integers stay integers. Give only what the files say or what follows exactly.
---@field steps integer? optimizer steps that RAN, never the plan; nil when nothing tells
---@field epochs number? epochs that ran; an integer when whole
---@field final_checkpoint string? a name inside the stage directory
---@field base_model string? where the model began: a hub name or a path, as printed
---@field resumed_from integer? the step at which the training's own counter began, when `steps` is that
-- counter and it went on from a checkpoint: the host leaves out what the record holds already
---@field planned table<string, integer>? `max_steps`, `num_epochs`; other counts under their own name
---@field sources table<string, string>? where each value was read: `steps`, `metrics.f1`, ...; begins
---  with "derived:" when it was computed
---@field raw_hyperparams table<string, any>? as the training's own files have them
---@field best th.ResultBest? the training's best moment
---@field evidence table<string, "observed"|"declared"|"inferred"|"derived">? how a field is known:
---  "steps", "dataset", "base_model", "metrics", ...
---@field dataset string? name or path of the data, as the training had it
---@field reading table? what was recognised: { recognised = { reader, title, score, why }[],
---  reading = th.Reading, runs = string[] }; shown by `record --dry-run` and used by `adopt`, never
---  recorded. Its limits are wider: depth 16, 16384 keys
---@field outcome "completed"|"completed_early"|"failed"|"interrupted"|"unknown"
---@field error string? with "failed" and "interrupted": the last line of the traceback or a sentence
---@field start_time string? ISO 8601; naive when the log prints local time
---@field end_time string? ISO 8601
--
-- A training that failed or was interrupted still returns a table, with what is known: the host keeps
-- it in the run's journal and never appends it. `nil, err` means that there is nothing to read.

--- `best` of a result; no other members.
---@class th.ResultBest
---@field metric string?
---@field value number?
---@field mode "min"|"max"|nil which direction is better
---@field step integer?
---@field epoch number?
---@field checkpoint string? as the source names it
---@field checkpoint_name string? its last component
---@field declared boolean? the source itself names the best; else it was derived from the values
---@field unit string?

--- Second argument of `hyperparams`.
---@class th.Raw
---@field argv table<string, string|true> flags of the command: no leading dashes, `-` as `_`
---@field config table<string, string> the stage's section of thhost.ini
--
-- `hyperparams` returns standard names: lr, batch_size, max_steps, num_epochs, optimizer, scheduler,
-- warmup_steps, weight_decay, seed, grad_accum, fp16, neg_ratio, max_lines_limit, ... (th.hparams.NAMES).

-- What a plugin is given -------------------------------------------------------------------------

---@class th.FileInfo
---@field name string path relative to the stage directory
---@field size integer bytes
---@field mtime string ISO 8601 with offset
---@field dir boolean

---@class th.Log
---@field info fun(message: string) shown to the user
---@field warn fun(message: string) shown, and kept with the run

--- Read-only and fresh for each call. Naming an input that is not declared raises.
---@class th.Ctx
---@field stage string
---@field dataset string
---@field exp string
---@field now string ISO 8601 with offset; the only clock
---@field argv string[] the child's command; empty when unknown
---@field stage_dir_name string name of the stage directory
---@field goals table<string, th.MetricGoal> the merged `metrics` declarations
---@field log th.Log
local ctx = {}

--- Does the input match at least one file?
---@param input string
---@return boolean
function ctx:has(input) end

--- The input's files in natural order; empty when there are none.
---@param input string
---@return th.FileInfo[]
function ctx:list(input) end

--- Iterate over the segments of a text file, split at \r and \n, ANSI escapes removed. With needles,
-- only segments that contain at least one of them (as a literal). Segments are cut at 1 MiB; bytes that
-- are not UTF-8 pass through. Raises when the input matches nothing: ask `has` first if it is optional.
---@param input string
---@param ... string needles
---@return fun(): string?, integer? next_segment segment and its ordinal in the file; empty segments
---  may be left out
function ctx:lines(input, ...) end

--- `lines` of a file that is named.
---@param input string
---@param name? string a name from `list`; default: as for `lines`
---@param ... string needles
---@return fun(): string?, integer? next_segment
function ctx:lines_of(input, name, ...) end

--- The bytes of a file or of a part of it, at most 64 MiB at a time.
---@param input string
---@param name? string a name from `list`; default: the last in natural order
---@param offset? integer bytes from the start; default 0
---@param length? integer bytes; default: all that follow
---@return string? bytes fewer than `length` at the end of the file
---@return th.Error? err
function ctx:read(input, name, offset, length) end

--- A JSON file. null is `th.json.null` (== cjson.null, the light userdata NULL); integers that fit 64
-- bits are Lua integers; NaN and Infinity are accepted; arrays begin at 1.
---@param input string
---@param name? string
---@return any? value
---@return th.Error? err
function ctx:json(input, name) end

--- A YAML file, mapped as JSON is.
---@param input string
---@param name? string
---@return any? value
---@return th.Error? err
function ctx:yaml(input, name) end

--- A CSV file (th.csv.decode over `read`).
---@param input string
---@param name? string
---@return th.Csv? csv
---@return th.Error? err
function ctx:csv(input, name) end

--- In a dataset plugin's function: call the function that it replaced, with the same ctx.
---@param ... any the other arguments
---@return any ...
function ctx:base(...) end
