#!/bin/sh
# run.sh short|long [TIER...]: the fault campaign. Runs tests/torture/TIER_spec.lua (all of them by
# default), then prints what each tier did and, by name, what could not be tried on this machine.
# Environment: as for config/dev/test.sh; SEED=N repeats a run. The table stays in $BUILD/torture.txt.
set -u
THHOST_TORTURE=$1
shift
build=${BUILD:-build}
figures=$build/torture.tsv
table=$build/torture.txt

specs=
for tier; do
	specs="$specs tests/torture/${tier}_spec.lua"
done
: >"$figures" && : >"$build/torture.log" || exit 1
THHOST_FIGURES=$(pwd)/$figures
export THHOST_TORTURE THHOST_FIGURES

# One tier at a time: some fill disks, and some tell how long others had to wait.
JOBS=${JOBS:-1} sh config/dev/test.sh ${specs:-tests/torture} >"$build/torture.log" 2>&1 &
pid=$!
# The log as it grows: a long form takes hours.
tail -n +1 -f --pid=$pid "$build/torture.log" | sed '/^[0-9]* passed, /d'
wait $pid
status=$?

{
	printf 'fault campaign, %s form, %s\n' "$THHOST_TORTURE" "$(uname -sr)"
	awk -F '\t' '{ printf "%-12s %10s  %-44s %s%s\n", $1, $3, $2,
		$3 == "not run" ? "" : $4 " violations", $5 == "" ? "" : ($3 == "not run" ? $5 : ", " $5) }' "$figures"
} >"$table"
cat "$table"
tail -n 1 "$build/torture.log"
exit $status
