#!/bin/sh
# run.sh: 'make bench'. What thhost costs beside the least that the same work can cost and beside
# what people do without it. Competitors take turns, so that a busy machine slows all alike; the
# figures are medians, and what counts is the ratios. Environment: BUILD, LUA, CC, BENCH_DIR (where
# the files go: the disk that is measured; default /tmp), BENCH_PARTS (of what is below, some).
#
# Each line ends with the goal (docs/performance.md) and whether it was met. Some 5 minutes.
set -eu

build=${BUILD:-build}
lua=${LUA:-lua5.4}
cc=${CC:-cc}
here=tests/bench
thhost=$PWD/$build/thhost
python=/usr/bin/python3
dir=$(mktemp -d "${BENCH_DIR:-/tmp}/thhost-bench.XXXXXX")
trap 'rm -rf "$dir"' EXIT

# Nothing of the user's must count.
HOME=$dir XDG_CONFIG_HOME=$dir/config XDG_STATE_HOME=$dir/state XDG_CACHE_HOME=$dir/cache
TMPDIR=$dir/tmp
export HOME XDG_CONFIG_HOME XDG_STATE_HOME XDG_CACHE_HOME TMPDIR
mkdir "$TMPDIR"
unset THHOST_ROOT THHOST_CONFIG THHOST_PLUGINS || true

has_python() {
	[ -x $python ]
}

# quotient A B: A / B with two digits
quotient() {
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'
}

# verdict VALUE LIMIT: "met" if VALUE <= LIMIT
verdict() {
	awk -v a="$1" -v b="$2" 'BEGIN { print a <= b ? "met" : "MISSED" }'
}

# median N, memory N, cpu N: of the N-th command in turns' output, file $dir/turns
median() {
	awk -v n="$1" 'NR == n { print $1 }' "$dir/turns"
}

memory() {
	awk -v n="$1" 'NR == n { print $3 }' "$dir/turns"
}

cpu() {
	awk -v n="$1" 'NR == n { print $4 }' "$dir/turns"
}

build_tools() {
	$cc -O2 -o "$dir/floor" $here/floor.c
	$cc -O2 -o "$dir/turns.bin" $here/turns.c
	$cc -O2 -std=gnu11 -Isrc -o "$dir/tokenize" $here/tokenize.c "$build/libthhost.a" -lm
}

# ---- appending ----

# the record that each competitor starts from, synced, so that no old write disturbs the next
reset_records() {
	echo "for d in '$dir/floor.d' '$stage_dir' '$dir/python.d'; do
		cp '$dir/record.json' \$d/training_info.json; sync \$d/training_info.json; done"
}

# append N RUNS FLOOR_GOAL PYTHON_GOAL
append() {
	"$lua" $here/records.lua "$1" >"$dir/record.json"
	set -- "$1" "$2" "$3" "$4" "$(wc -c <"$dir/record.json")"
	if has_python; then
		"$dir/turns.bin" "$2" "$(reset_records)" "$dir/floor" "$dir/floor.d" :: \
			"$thhost" record stage1 --root "$dir/root" --exp exp_1 --dataset hrds --steps 10 \
			--metric f1=0.5 :: $python $here/append.py "$dir/python.d" >"$dir/turns"
	else
		"$dir/turns.bin" "$2" "$(reset_records)" "$dir/floor" "$dir/floor.d" :: \
			"$thhost" record stage1 --root "$dir/root" --exp exp_1 --dataset hrds --steps 10 \
			--metric f1=0.5 >"$dir/turns"
	fi
	ratio=$(quotient "$(median 2)" "$(median 1)")
	printf '%8d entries  floor %8.2f  thhost %8.2f  %5.2fx of the floor  (goal %s: %s)\n' \
		"$1" "$(median 1)" "$(median 2)" "$ratio" "$3" "$(verdict "$ratio" "$3")"
	if has_python; then
		ratio=$(quotient "$(median 2)" "$(median 3)")
		printf '%17s python %7.2f  %22.3fx of Python     (goal %s: %s)\n' "" "$(median 3)" \
			"$ratio" "$4" "$(verdict "$ratio" "$4")"
	fi
	echo "$(median 2) $(memory 2)" >>"$dir/growth"
	more=$(awk 'NR == 1 { a = $2 } END { print $2 - a }' "$dir/growth")
	ratio=$(quotient "$((more * 1024))" "$5")
	if [ "$1" -ge 10000 ]; then
		printf '%17s memory %7d KiB, %5d more than for 1 entry, %.2fx of the file  (goal 1.1: %s)\n' \
			"" "$(memory 2)" "$more" "$ratio" "$(verdict "$ratio" 1.1)"
	fi
}

bench_append() {
	stage_dir=$dir/root/exp_1/stage1_hrds
	mkdir -p "$dir/floor.d" "$dir/python.d" "$stage_dir"
	echo "Append one entry, cold process, ms"
	has_python || echo "  ($python is not here: no comparison with Python)"
	append 1 41 1.3 0.1
	append 100 41 1.3 0.1
	append 10000 21 2 0.084
	append 100000 5 2.5 0.084
	# from 10,000 to 100,000 entries: ten times the work, and 15 % for what grows in steps
	ratio=$(awk 'NR == 3 { a = $1 } NR == 4 { print $1 / a }' "$dir/growth")
	printf '  growth from 10,000 to 100,000 entries: %.1fx  (goal 11.5: %s)\n' "$ratio" \
		"$(verdict "$ratio" 11.5)"
}

# ---- running ----

# a training of no length: it leaves what a Trainer leaves
write_training() {
	mkdir -p "$dir/root/exp_2" "$dir/bare.d" "$dir/python.d"
	cat >"$dir/train.sh" <<'SH'
printf '{"global_step": 10, "epoch": 1.0, "max_steps": 10, "log_history":
[{"step": 10, "epoch": 1.0, "eval_f1": 0.85, "eval_loss": 0.4}]}' >"$THHOST_STAGE_DIR/trainer_state.json"
SH
}

bench_run() {
	echo "Wrapper around a training of no length, ms"
	write_training
	"$lua" $here/records.lua 1 >"$dir/python.d/training_info.json"
	set -- stage1 --root "$dir/root" --exp exp_2 --dataset hrds
	"$dir/turns.bin" 41 "rm -rf '$dir/root/exp_2'; mkdir '$dir/root/exp_2'" \
		/bin/true :: "$thhost" run "$@" --no-record -- /bin/true :: \
		env THHOST_STAGE_DIR="$dir/bare.d" sh "$dir/train.sh" :: \
		"$thhost" run "$@" -- sh "$dir/train.sh" :: \
		"$(has_python && echo $python || echo true)" $here/append.py "$dir/python.d" \
		sh "$dir/train.sh" >"$dir/turns"
	ratio=$(quotient "$(median 2)" "$(median 1)")
	printf '  true %.2f   run --no-record %.2f   %.2fx  (goal 2.6: %s)\n' "$(median 1)" \
		"$(median 2)" "$ratio" "$(verdict "$ratio" 2.6)"
	more=$(awk -v a="$(median 4)" -v b="$(median 3)" 'BEGIN { printf "%.2f", a - b }')
	printf '  training %.2f   run with its record %.2f   %.2f more  (goal 12: %s)\n' \
		"$(median 3)" "$(median 4)" "$more" "$(verdict "$more" 12)"
	if has_python; then
		ratio=$(quotient "$(median 4)" "$(median 5)")
		printf '  Python wrapper %.2f   %.2fx of it  (goal 0.33: %s)\n' "$(median 5)" "$ratio" \
			"$(verdict "$ratio" 0.33)"
	fi
	printf '  memory %d KiB  (goal 8192: %s)\n' "$(memory 4)" "$(verdict "$(memory 4)" 8192)"
}

bench_passthrough() {
	echo "Pass-through of a log"
	THHOST=$thhost $here/passthrough.sh 256 5 | awk '
		{ print "  " $0 }
		$1 == "ratio" {
			printf "  wall goal 1.15: %s, cpu goal 1.5: %s\n",
				$2 <= 1.15 ? "met" : "MISSED", $3 <= 1.5 ? "met" : "MISSED"
		}'
}

# ---- JSON ----

# jq's own start is deducted
bench_json() {
	"$lua" $here/records.lua 20000 >"$dir/record.json"
	bytes=$(wc -c <"$dir/record.json")
	ours=$("$dir/tokenize" "$dir/record.json" 51)
	echo "JSON, MB/s over a record of $bytes bytes"
	awk -v ours="$ours" 'BEGIN {
		printf "  tokenizer %d  (goal 400: %s)\n", ours, (ours < 400 ? "MISSED" : "met") }'
	if has_python; then
		$python -c '
import json, sys, time
text, best = open(sys.argv[1]).read(), 1e9
for _ in range(7):
    start = time.perf_counter(); json.loads(text); best = min(best, time.perf_counter() - start)
print("  python json.loads %.0f" % (len(text) / 1e6 / best))' "$dir/record.json"
	fi
	if command -v jq >/dev/null; then
		"$dir/turns.bin" 5 : jq -e . "$dir/record.json" :: jq -n 1 >"$dir/turns"
		awk -v bytes="$bytes" 'NR == 1 { a = $1 } NR == 2 {
			printf "  jq, read and print %.0f\n", bytes / 1e3 / (a - $1) }' "$dir/turns"
	else
		echo "  (jq is not here)"
	fi
}

. $here/readers.sh
. $here/history.sh
. $here/batch.sh

build_tools
printf '%s, %s cores, load %s, %s\n' "$(date +%F)" "$(nproc)" "$(cut -d' ' -f1 /proc/loadavg)" \
	"$("$thhost" --version | head -n 1)"
for part in ${BENCH_PARTS:-append run passthrough json state filter adopt history batch}; do
	"bench_$part"
done
