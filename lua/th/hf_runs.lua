--- Where in a tree Hugging Face's Trainer, TRL or LLaMA-Factory left something: by the names of
--- files and their beginnings.
local card_of = require("th.hf_card")
local hf = require("th.hf_trainer")
local output = require("th.hf_output")

local M = {}

local STATE_FIELDS = { '"log_history"', '"is_world_process_zero"', '"best_model_checkpoint"',
	'"num_train_epochs"', '"max_steps"' }

local function finds_any(text, literals)
	for _, literal in ipairs(literals) do
		if text:find(literal, 1, true) then
			return literal
		end
	end
end

local function judge_state(head)
	if not head:find('"global_step"%s*:%s*%d') then
		return nil
	elseif finds_any(head, STATE_FIELDS) then
		return 90, "has global_step and the Trainer's other fields"
	elseif head:find('"best_metric"', 1, true) then
		return 40, "has global_step and best_metric, but no log"
	end
end

local function judge_results(head)
	local key = head:match('"(%a[%w_]*_runtime)"%s*:%s*%d')
		or head:match('"(eval_[%w_]+)"%s*:%s*[%dN-]')
	if key then
		return 80, "has " .. key
	end
end

local function judge_log(head)
	if head:find('"current_steps"%s*:%s*%d') and head:find('"total_steps"%s*:%s*%d') then
		return 90, "has the lines of LLaMA-Factory"
	end
end

local JUDGES = {
	{ "**/trainer_state.json", judge_state }, { "**/trainer_log.jsonl", judge_log },
	{ "**/*_results.json", judge_results },
}

--- The directory of the run that a file belongs to: a checkpoint is part of the run above.
local function run_of(name)
	local dir = name:match("^(.*)/[^/]+$") or "."
	return (dir:gsub("/checkpoint%-%d+$", ""):gsub("^checkpoint%-%d+$", "."))
end

--- Runs by directory, with the surest sign of each and its newest time.
local function find_runs(folder)
	local runs, by_dir = {}, {}
	for _, judge in ipairs(JUDGES) do
		for _, file in ipairs(folder:files(judge[1])) do
			local head = folder:head(file.name)
			local score, why = judge[2](head)
			if hf.lfs_error(head) then
				score, why = 60, "is a git-LFS pointer with the Trainer's name"
			end
			if score then
				local dir = run_of(file.name)
				local run = by_dir[dir] or { dir = dir, score = 0, mtime = "" }
				if not by_dir[dir] then
					by_dir[dir], runs[#runs + 1] = run, run
				end
				if score > run.score then
					run.score, run.why = score, ("%s %s"):format(file.name, why)
				end
				run.mtime = file.mtime > run.mtime and file.mtime or run.mtime
			end
		end
	end
	return runs
end

---@class th.HfRunDir
---@field dir string "." or a folder below
---@field score integer
---@field why string

--- The directories that hold a run: the folder itself first, then the newest.
---@param folder th.Folder
---@return th.HfRunDir[]
function M.sorted(folder)
	local runs = find_runs(folder)
	table.sort(runs, function(a, b)
		if (a.dir == ".") ~= (b.dir == ".") then
			return a.dir == "."
		elseif a.mtime ~= b.mtime then
			return a.mtime > b.mtime
		end
		return a.dir < b.dir
	end)
	return runs
end

--- A folder with no record of the training, only signs that the Trainer was here.
---@param folder th.Folder
---@return th.Recognised?
function M.signs(folder)
	local head = folder:has("README.md") and folder:head("README.md") or ""
	if head ~= "" and card_of.parse(head).generated then
		return { score = 60, why = "README.md is a model card that a trainer wrote" }
	end
	local log, mark = output.log(folder)
	if log then
		return { score = 50, why = ("%s shows the Trainer: %s"):format(log, mark) }
	elseif folder:has("adapter_config.json")
		and folder:head("adapter_config.json"):find('"peft_type"', 1, true) then
		return { score = 20, why = "adapter_config.json is PEFT's" }
	end
end

return M
