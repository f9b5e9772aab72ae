--- What is this directory? Asks every reader, and lets the one that is surest read it.
--
-- A reader is a module of this library with `title`, `recognise` and `read`; see th.Reader. To add
-- one, write it and add its name here: the order settles ties.

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

--- Every reader that knows the folder, the surest first.
---@param folder th.Folder
---@return th.Candidate[]
function M.candidates(folder)
	local found = {}
	for place, name in ipairs(M.READERS) do
		local reader = require("th." .. name)
		local known = reader.recognise(folder)
		if known then
			found[#found + 1] = { name = name, title = reader.title, reader = reader, place = place,
				score = known.score, why = known.why, runs = known.runs }
		end
	end
	table.sort(found, function(a, b)
		return a.score > b.score or (a.score == b.score and a.place < b.place)
	end)
	return found
end

return M
