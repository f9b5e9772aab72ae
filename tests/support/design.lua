--- The example document of training-history-design.zh.md, word for word, laid out as we print.
return [[
{
  "model_name": "layoutxlm_token_classifier",
  "stage": "stage1",
  "final_checkpoint": "checkpoint-10000",
  "base_model": "microsoft/layoutxlm-base",
  "created_at": "2025-12-11T10:30:00",
  "last_updated": "2025-12-11T15:20:00",
  "total_steps": 15000,
  "last_dataset": "hrdh",
  "training_history": [
    {
      "dataset": "hrds",
      "steps": 10000,
      "epochs": null,
      "metrics": {
        "f1": 0.85,
        "precision": 0.84,
        "recall": 0.86
      },
      "hyperparams": {
        "lr": 2e-5,
        "batch_size": 3,
        "max_steps": 10000
      },
      "start_time": "2025-12-11T10:30:00",
      "end_time": "2025-12-11T12:00:00"
    },
    {
      "dataset": "hrdh",
      "steps": 5000,
      "epochs": null,
      "metrics": {
        "f1": 0.82
      },
      "hyperparams": {
        "lr": 2e-5,
        "batch_size": 3,
        "max_steps": 5000
      },
      "start_time": "2025-12-11T14:00:00",
      "end_time": "2025-12-11T15:20:00"
    }
  ]
}
]]
