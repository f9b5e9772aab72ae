"""append.py DIR [COMMAND...]: what a careful Python script does to append an entry to
DIR/training_info.json, after the command if there is one."""

import json
import os
import subprocess
import sys

if len(sys.argv) > 2:
    subprocess.run(sys.argv[2:], check=True, env={**os.environ, "THHOST_STAGE_DIR": sys.argv[1]})
path = os.path.join(sys.argv[1], "training_info.json")
with open(path, encoding="utf-8") as file:
    record = json.load(file)
record["training_history"].append(
    {
        "dataset": "hrds",
        "steps": 10,
        "epochs": None,
        "metrics": {"f1": 0.5},
        "hyperparams": {},
        "start_time": "2025-12-11T10:30:00",
        "end_time": "2025-12-11T12:00:00",
    }
)
record["total_steps"] = sum(entry["steps"] for entry in record["training_history"])
with open(path + ".new", "w", encoding="utf-8") as file:
    json.dump(record, file, indent=2, ensure_ascii=False)
    file.flush()
    os.fsync(file.fileno())
os.replace(path + ".new", path)
directory = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
os.fsync(directory)
