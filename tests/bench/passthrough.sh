#!/bin/bash
# passthrough.sh - how much slower than through tee does a training's output pass?
#
# The goal (performance.md, section 3): at most 1.15 times the wall time and 1.5 times the CPU time of
# 'tee FILE' writing the same log. Usage, from the repository root:
#
#	tests/bench/passthrough.sh [MIB [RUNS]]
#
# With UNIT=DIR (where unit.so lies) the supervisor alone is measured, else THHOST (build/thhost).
# Runs take turns, so that a busy machine slows both; medians are compared. The log goes below
# $BENCH_DIR (default /dev/shm: a disk would hide what is measured here).
set -eu

mib=${1:-512}
runs=${2:-7}
thhost=${THHOST:-build/thhost}
dir=$(mktemp -d "${BENCH_DIR:-/dev/shm}/passthrough.XXXXXX")
trap 'rm -rf "$dir"' EXIT

cat >"$dir/run.lua" <<'LUA'
package.cpath = arg[1] .. "/?.so"
require("unit").proc.run({ argv = { table.unpack(arg, 3) }, log = arg[2] })
LUA

# about as long as the lines of a training's log
make_input() {
	yes '{"loss": 0.4312, "learning_rate": 1.9e-05, "epoch": 1.82, "step": 4500, "norm": 0.981}' |
		head -c "$((mib * 1048576))" >"$dir/input" || true
}

through_tee() {
	cat "$dir/input" | tee "$dir/log" | cat >/dev/null
}

through_us() {
	if [ -n "${UNIT:-}" ]; then
		lua5.4 "$dir/run.lua" "$UNIT" "$dir/log" cat "$dir/input" | cat >/dev/null
	else
		"$thhost" run stage1 --root "$dir" --exp exp --dataset d --no-record -- \
			cat "$dir/input" | cat >/dev/null
	fi
}

# one run of $1: "wall cpu" in seconds, added to a file of its name
run_one() {
	rm -rf "$dir/log" "$dir/exp"
	mkdir "$dir/exp"
	TIMEFORMAT='%R %U %S'
	{ time "$1"; } 2>&1 | awk 'NF == 3 { print $1, $2 + $3 }' >>"$dir/$1"
}

# the median of column $2 in the file of $1
median() {
	awk -v column="$2" '{ print $column }' "$dir/$1" | sort -n |
		awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

make_input
for ((i = 0; i < runs; i++)); do
	run_one through_tee
	run_one through_us
done

awk -v mib="$mib" -v runs="$runs" \
	-v tee_wall="$(median through_tee 1)" -v our_wall="$(median through_us 1)" \
	-v tee_cpu="$(median through_tee 2)" -v our_cpu="$(median through_us 2)" '
BEGIN {
	printf "%d MiB, median of %d runs\n", mib, runs
	printf "%-12s %8s %8s %10s\n", "", "wall s", "cpu s", "MiB/s"
	printf "%-12s %8.3f %8.3f %10.0f\n", "tee", tee_wall, tee_cpu, mib / tee_wall
	printf "%-12s %8.3f %8.3f %10.0f\n", "thhost", our_wall, our_cpu, mib / our_wall
	printf "%-12s %8.2f %8.2f\n", "ratio", our_wall / tee_wall, our_cpu / tee_cpu
}'
