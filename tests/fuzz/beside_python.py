"""Python's json beside ours. Reads lines of words, separated by tabs, from stdin:

    document PATH           a document that our scanner accepts: so does json.loads
    printed PATH OTHER      the same document as our printer lays it out: the same value
    record PATH OTHER       OTHER is the record after an append: the old entries and one more

Prints each line that does not hold, with the reason, and at the end how many were looked at.
"""

import json
import sys

# What an append sets anew.
DERIVED = ("final_checkpoint", "last_updated", "total_steps", "last_dataset", "training_history")


def load(path):
    with open(path, "rb") as file:
        return json.loads(file.read().decode("utf-8"))


def same(a, b):
    """Equal as Python prints it: NaN is NaN, 1 is not 1.0 and not True."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def check(kind, path, other=None):
    old = load(path)
    if kind == "printed" and not same(old, load(other)):
        return "printed, it has another value"
    if kind == "record":
        new = load(other)
        history = new["training_history"]
        if not same(history[:-1], old["training_history"]):
            return "an old entry changed"
        if list(old) != list(new):
            return "other keys, or in another order"
        if not all(same(old[key], new[key]) for key in old if key not in DERIVED):
            return "a value changed"
        if new["total_steps"] != sum(entry["steps"] for entry in history):
            return "a wrong sum of steps"
    return None


def main():
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)
    count = 0
    faults = 0
    for line in sys.stdin:
        words = line.rstrip("\n").split("\t")
        count += 1
        try:
            why = check(*words)
        except (ValueError, KeyError, TypeError) as error:
            why = f"{type(error).__name__}: {error}"
        if why:
            faults += 1
            print("\t".join(words), why, sep="\t")
    print(count, "looked at", faults, "faults")


main()
