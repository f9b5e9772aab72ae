# readers.sh: what it costs to read what a training left. Sourced by run.sh.

# ---- a trainer's state ----

# Beside: what jq and Python take to read the same file and tell its last step.
bench_state() {
	echo "Read a trainer_state.json of 300 KB, ms (record --dry-run: program and worker)"
	mkdir -p "$dir/small" "$dir/large"
	"$lua" $here/left.lua state 400 >"$dir/small/trainer_state.json"
	"$lua" $here/left.lua state 300000 >"$dir/large/trainer_state.json"
	has_python && reader=$python || reader=true
	set -- record any --root "$dir/root" --dataset hrds --dry-run --json --from
	"$dir/turns.bin" 31 : "$thhost" "$@" "$dir/small" :: "$thhost" "$@" "$dir/large" :: \
		"$reader" -c 'import json, sys
print(json.load(open(sys.argv[1]))["log_history"][-1]["step"])' "$dir/large/trainer_state.json" :: \
		"$(command -v jq || echo true)" .log_history[-1].step "$dir/large/trainer_state.json" \
		>"$dir/turns"
	more=$(awk -v a="$(median 2)" -v b="$(median 1)" 'BEGIN { printf "%.2f", a - b }')
	printf '  small %.2f   300 KB %.2f   %.2f more  (goal 15: %s)\n' "$(median 1)" "$(median 2)" \
		"$more" "$(verdict "$more" 15)"
	printf '  whole processes: Python %.2f   jq %.2f  (0.x: not here)\n' "$(median 3)" "$(median 4)"
}

# ---- a long log ----

# A plugin that only filters against grep with the same two literals (into a pipe: with its output
# thrown away it would stop at the first line); the log is in the page cache.
bench_filter() {
	size=${BENCH_LOG:-1000000000}
	echo "Filter a log of $((size / 1000000)) MB, ms"
	mkdir -p "$dir/log"
	"$lua" $here/left.lua log "$size" >"$dir/log/train.log"
	cat "$dir/log/train.log" >/dev/null
	set -- record filter --root "$dir/root" --dataset d --plugin $here/filter.lua \
		--config "$dir/slow.ini" --dry-run --from "$dir/log"
	printf '[plugins]\ntime_limit_ms = 60000\n' >"$dir/slow.ini"
	cat >"$dir/grep.sh" <<'SH'
LC_ALL=C grep -aF -e "{'loss': " -e 'Traceback (most recent call last)' "$1" | wc -l
SH
	"$dir/turns.bin" 5 : "$thhost" "$@" :: sh "$dir/grep.sh" "$dir/log/train.log" :: \
		"$(has_python && echo $python || echo true)" -c 'import sys
for line in open(sys.argv[1], "rb"):
    if b"{\x27loss\x27: " in line or b"Traceback (most recent call last)" in line: print(line)' \
		"$dir/log/train.log" >"$dir/turns"
	ratio=$(quotient "$(median 1)" "$(median 2)")
	printf '  ctx:lines %.0f   grep -F %.0f   %.2fx of its time  (goal 2: %s)   Python %.0f\n' \
		"$(median 1)" "$(median 2)" "$ratio" "$(verdict "$ratio" 2)" "$(median 3)"
	rm -rf "$dir/log"
}

# ---- adopting ----

# the same names by os.walk: what a script that looks for trainings would do first
write_walk() {
	cat >"$dir/walk.py" <<'PY'
import fnmatch, os, sys
marks = ("trainer_state.json", "run.json", "meta.yaml", "*.csv", "*.log", "events.out.tfevents.*")
found = 0
for top, dirs, files in os.walk(sys.argv[1]):
    dirs[:] = [d for d in dirs if not d.startswith(".")]
    found += any(fnmatch.fnmatch(f, m) for f in files for m in marks)
print(found)
PY
}

# 10,000 directories with files of no training in each, and no one to ask a plugin about
bench_adopt() {
	echo "Look for trainings in 10,000 directories, ms"
	mkdir -p "$dir/old" "$dir/empty"
	(cd "$dir/old" && seq -f 'a%.0f' 100 | while read -r a; do
		seq -f "$a/b%.0f/c" 0 49 | xargs mkdir -p
	done
	find . -type d -name c | sed 's|$|/data.bin|' | xargs touch
	find . -type d -name 'b*' | sed 's|$|/model.py|' | xargs touch)
	write_walk
	"$dir/turns.bin" 11 : find "$dir/old" -name trainer_state.json :: \
		"$thhost" adopt "$dir/old" --dry-run :: "$thhost" adopt "$dir/empty" --dry-run :: \
		"$(has_python && echo $python || echo true)" "$dir/walk.py" "$dir/old" >"$dir/turns"
	ratio=$(quotient "$(median 2)" "$(median 1)")
	printf '  find %.2f   adopt --dry-run %.2f   %.2fx of find   an empty tree %.2f\n' "$(median 1)" \
		"$(median 2)" "$ratio" "$(median 3)"
	if has_python; then
		ratio=$(quotient "$(median 2)" "$(median 4)")
		printf '  Python os.walk %.2f   %.2fx of it  (goal 1: %s)\n' "$(median 4)" "$ratio" \
			"$(verdict "$ratio" 1)"
	fi
	more=$(($(memory 2) - $(memory 3)))
	printf '  memory %d KiB, %d more than for an empty tree  (goal 1024: %s)\n' "$(memory 2)" "$more" \
		"$(verdict "$more" 1024)"
	rm -rf "$dir/old"
}
