--- records.lua N: a record of N entries on stdout, as thhost prints it; the same for the same N.
local n = math.tointeger(tonumber(arg[1]))
local random = math.random
local total = 0
local entries = {}

math.randomseed(7)
for i = 1, n do
	local steps = random(1000, 10000)
	total = total + steps
	entries[i] = ([[
    {
      "dataset": "%s",
      "steps": %d,
      "epochs": null,
      "metrics": {
        "f1": %.4f,
        "precision": %.4f,
        "recall": %.4f
      },
      "hyperparams": {
        "lr": 2e-05,
        "batch_size": 3,
        "max_steps": %d
      },
      "start_time": "2025-12-11T10:30:00",
      "end_time": "2025-12-11T12:00:00"
    }]]):format(i % 2 == 1 and "hrds" or "hrdh", steps, random(), random(), random(), steps)
end
io.write(([[
{
  "model_name": "layoutxlm_token_classifier",
  "stage": "stage1",
  "final_checkpoint": "checkpoint-10000",
  "base_model": "microsoft/layoutxlm-base",
  "created_at": "2025-12-11T10:30:00",
  "last_updated": "2025-12-11T12:00:00",
  "total_steps": %d,
  "last_dataset": "%s",
  "training_history": [
]]):format(total, n % 2 == 1 and "hrds" or "hrdh"), table.concat(entries, ",\n"), "\n  ]\n}\n")
