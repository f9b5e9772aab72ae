#!/bin/sh
# test.sh SPEC...: run the busted specs against $BUILD and end with "N passed, N failed, N skipped".
# Environment: BUILD, MODE, LUA, JOBS (how many at a time; as many as there are processors).
# Each spec file is a run of its own in a home of its own, so one that dies is counted too.
set -u

# test.sh --one SPEC: the run of one file. Its counts go to $THHOST_TEST_RESULTS.
if [ "${1-}" = --one ]; then
	spec=$2
	THHOST_TEST_HOME=$(mktemp -d) || exit 1
	trap 'rm -rf "$THHOST_TEST_HOME"' EXIT
	XDG_CONFIG_HOME=$THHOST_TEST_HOME/config
	XDG_STATE_HOME=$THHOST_TEST_HOME/state
	XDG_CACHE_HOME=$THHOST_TEST_HOME/cache
	export THHOST_TEST_HOME XDG_CONFIG_HOME XDG_STATE_HOME XDG_CACHE_HOME
	log=$THHOST_TEST_HOME/log
	# Nor must what nohup has ignored: whether a training ends by SIGHUP is among what is tested.
	reset=env
	env --default-signal true 2>/dev/null && reset='env --default-signal'
	$reset LD_PRELOAD="$THHOST_TEST_PRELOAD" "$LUA" "$THHOST_TEST_BUSTED" -o plainTerminal "$spec" \
		>"$log" 2>&1 </dev/null
	status=$?
	# The first: a failure further down may quote the summary of a run inside the run.
	summary=$(grep -E -m 1 '^[0-9]+ success' "$log")
	if [ -z "$summary" ] || { [ $status != 0 ] && [ "${summary#* / 0 failures / 0 errors}" != "$summary" ]; }; then
		echo "$spec: ended with status $status: ${summary:-no summary}" >>"$log"
		echo "0 1 0" >>"$THHOST_TEST_RESULTS"
		cat "$log" # in one piece, so that the text of two runs does not mix
		exit 0
	fi
	set -- $(printf '%s\n' "$summary" | grep -oE '[0-9]+' | head -n 4)
	echo "$1 $(($2 + $3)) $4" >>"$THHOST_TEST_RESULTS"
	{
		printf '%-36s %s\n' "$spec" "$summary"
		if [ "$2" != 0 ] || [ "$3" != 0 ]; then
			cat "$log"
		elif [ "$4" != 0 ]; then
			grep -A 3 '^Pending' "$log"
		fi
	} >"$log.shown"
	cat "$log.shown"
	exit 0
fi

build=${BUILD:-build}
mode=${MODE:-release}
lua=${LUA:-lua5.4}
root=$(pwd)

THHOST=$root/$build/thhost
THHOST_BUILD=$root/$build
THHOST_MODE=$mode
THHOST_CORPUS=${THHOST_CORPUS:-$root/../shared/corpus}
LUA_PATH="$root/lua/?.lua;$root/tests/?.lua;;"
LUA_CPATH="$root/$build/tests/?.so;;"
export THHOST THHOST_BUILD THHOST_MODE THHOST_CORPUS LUA_PATH LUA_CPATH
# What the user has set must not decide what the tests see.
unset THHOST_ROOT THHOST_CONFIG THHOST_PLUGINS THHOST_COLOR NO_COLOR FORCE_COLOR
preload=
if [ "$mode" = asan ]; then
	preload=$(${CC:-cc} -print-file-name=libasan.so)
	# Leaks are looked for in thhost itself (tests/support/cli.lua), not in the Lua that runs the specs.
	ASAN_OPTIONS=detect_leaks=0:abort_on_error=0:exitcode=99
	UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
	export ASAN_OPTIONS UBSAN_OPTIONS
fi

specs=
for where; do
	if [ -d "$where" ]; then
		specs="$specs $(find "$where" -name '*_spec.lua' | sort)"
	else
		specs="$specs $where"
	fi
done

THHOST_TEST_PRELOAD=$preload
THHOST_TEST_BUSTED=$(command -v busted) || { echo "busted is missing (lua-busted)" >&2; exit 1; }
THHOST_TEST_RESULTS=$(mktemp) || exit 1
trap 'rm -f "$THHOST_TEST_RESULTS"' EXIT
LUA=$lua
export LUA THHOST_TEST_PRELOAD THHOST_TEST_BUSTED THHOST_TEST_RESULTS

jobs=${JOBS:-$(nproc 2>/dev/null || echo 1)}
printf '%s\n' $specs | xargs -P "$jobs" -I SPEC sh "$0" --one SPEC
ended=$?
set -- $(awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0, NR }' "$THHOST_TEST_RESULTS")
passed=$1 failed=$2 skipped=$3
# A run that left no result is none that passed.
lost=$(($(printf '%s\n' $specs | wc -l) - $4))
[ $ended = 0 ] && [ $lost = 0 ] || failed=$((failed + (lost > 0 ? lost : 1)))
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $passed -gt 0 ]
