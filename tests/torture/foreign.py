"""foreign.py WAY RECORD LOG STOP SEED PAUSE: a program without our lock that adds entries to a record.

WAY is "replace" (os.replace) or "inplace" (open "w") or "update" (open "r+", as many scripts do). Each
version gets an entry with a number of its own as its steps. LOG gets a line for each version that was put in
place: number, time before it was read, time after it was put in place (monotonic ms), and the steps that it
holds. A version that was written into a file without a name, because it was open for longer than two appends
took, was never in place: its line is "nameless".
"""
import json
import os
import random
import sys
import time

way, record, log_name, stop, seed, pause = sys.argv[1:]
random.seed(int(seed))


def now():
    return time.clock_gettime(time.CLOCK_MONOTONIC) * 1000


def add(doc, number):
    # By its dataset and times 'verify' would take it for the run that it is made from.
    entry = dict(doc["training_history"][0], steps=number, dataset="foreign")
    entry.pop("run_id", None)
    doc["training_history"].append(entry)
    if "last_dataset" in doc:
        doc["last_dataset"] = entry["dataset"]
    doc["total_steps"] = sum(e["steps"] for e in doc["training_history"])
    return doc


def by_replace(number):
    with open(record) as f:
        doc = add(json.load(f), number)
    with open(record + ".foreign", "w") as f:
        json.dump(doc, f)
    os.replace(record + ".foreign", record)
    return doc


def written(f, doc):
    json.dump(doc, f, indent=2)
    f.truncate()
    f.flush()
    return doc if os.fstat(f.fileno()).st_nlink else None


def in_place(number):
    with open(record) as f:
        doc = add(json.load(f), number)
    with open(record, "w") as f:
        return written(f, doc)


def by_update(number):
    with open(record, "r+") as f:
        doc = add(json.load(f), number)
        f.seek(0)
        return written(f, doc)


write = {"replace": by_replace, "inplace": in_place, "update": by_update}[way]
number = 900000000
with open(log_name, "w", buffering=1) as log:
    while not os.path.exists(stop):
        number += 1
        read = now()
        doc = write(number)
        if doc:
            steps = " ".join(str(e["steps"]) for e in doc["training_history"])
            log.write("%d %.3f %.3f %s\n" % (number, read, now(), steps))
        else:
            log.write("nameless\n")
        if float(pause):
            time.sleep(random.random() * float(pause))
