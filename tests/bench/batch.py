"""batch.py TRIALS.csv DIR: what a careful Python script does with the recordings of a table: each
file loaded, appended to and replaced once, for all of its rows."""

import collections
import csv
import json
import os
import sys

groups = collections.defaultdict(list)
with open(sys.argv[1], encoding="utf-8", newline="") as file:
    for row in csv.DictReader(file):
        groups[row["dataset"]].append(row)

for dataset, rows in groups.items():
    directory = os.path.join(sys.argv[2], "stage1_" + dataset)
    path = os.path.join(directory, "training_info.json")
    os.makedirs(directory, exist_ok=True)
    try:
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
    except FileNotFoundError:
        record = {"model_name": "m", "stage": "stage1", "training_history": []}
    for row in rows:
        named = collections.defaultdict(dict)
        for key, text in row.items():
            kind, _, name = key.partition(".")
            if name:
                named[kind][name] = float(text)
        record["training_history"].append(
            {
                "dataset": dataset,
                "steps": int(row["steps"]),
                "epochs": float(row["epochs"]),
                "metrics": named["metric"],
                "hyperparams": named["param"],
                "start_time": "2025-12-11T14:00:00",
                "end_time": "2025-12-11T15:00:00",
            }
        )
    record["total_steps"] = sum(entry["steps"] for entry in record["training_history"])
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(record, file, indent=2, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(opened)
    os.close(opened)
