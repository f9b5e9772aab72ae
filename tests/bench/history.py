"""history.py ROOT: what 'thhost list -F "metrics.f1 > 0.9"' answers, as a team writes it today."""
import json
import os
import sys

for top, dirs, files in os.walk(sys.argv[1]):
    dirs[:] = [name for name in dirs if not name.startswith(".")]
    if "training_info.json" not in files:
        continue
    with open(os.path.join(top, "training_info.json"), encoding="utf-8") as file:
        record = json.load(file)
    f1 = record["training_history"][-1]["metrics"].get("f1")
    if f1 is not None and f1 > 0.9:
        print(os.path.relpath(top, sys.argv[1]), f1, sep="\t")
