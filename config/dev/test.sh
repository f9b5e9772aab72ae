#!/bin/sh
# test.sh SPEC...: run the busted specs against $BUILD and end with "N passed, N failed, N skipped".
# Environment: BUILD, MODE, LUA. Each spec file is a run of its own, so one that dies is counted too.
set -u
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
THHOST_TEST_HOME=$(mktemp -d) || exit 1
trap 'rm -rf "$THHOST_TEST_HOME"' EXIT
XDG_CONFIG_HOME=$THHOST_TEST_HOME/config
XDG_STATE_HOME=$THHOST_TEST_HOME/state
XDG_CACHE_HOME=$THHOST_TEST_HOME/cache
export THHOST_TEST_HOME XDG_CONFIG_HOME XDG_STATE_HOME XDG_CACHE_HOME

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

# Nor must what nohup has ignored: whether a training ends by SIGHUP is among what is tested.
reset=env
env --default-signal true 2>/dev/null && reset='env --default-signal'

busted=$(command -v busted) || { echo "busted is missing (lua-busted)" >&2; exit 1; }
passed=0 failed=0 skipped=0
log=$THHOST_TEST_HOME/log
for spec in $specs; do
	$reset LD_PRELOAD="$preload" "$lua" "$busted" -o plainTerminal "$spec" >"$log" 2>&1 </dev/null
	status=$?
	# The first: a failure further down may quote the summary of a run inside the run.
	summary=$(grep -E -m 1 '^[0-9]+ success' "$log")
	if [ -z "$summary" ] || { [ $status != 0 ] && [ "${summary#* / 0 failures / 0 errors}" != "$summary" ]; }; then
		cat "$log"
		echo "$spec: ended with status $status: ${summary:-no summary}"
		failed=$((failed + 1))
		continue
	fi
	set -- $(printf '%s\n' "$summary" | grep -oE '[0-9]+' | head -n 4)
	passed=$((passed + $1))
	failed=$((failed + $2 + $3))
	skipped=$((skipped + $4))
	printf '%-36s %s\n' "$spec" "$summary"
	if [ "$2" != 0 ] || [ "$3" != 0 ]; then
		cat "$log"
	elif [ "$4" != 0 ]; then
		grep -A 3 '^Pending' "$log"
	fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $passed -gt 0 ]
