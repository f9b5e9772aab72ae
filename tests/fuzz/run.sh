#!/bin/sh
# run.sh RUNS SEED WORK NAME: one fuzzer of build/fuzz, from its seeds and what was found before, in
# WORK/NAME. Writes WORK/NAME.log and its status to WORK/NAME.status; an input that fails stays in
# build/fuzz/crashes.
set -eu
runs=$1 seed=$2 work=$3 name=$4
corpus=$work/$name
crashes=build/fuzz/crashes
mkdir -p "$corpus" "$crashes"
for dir in "tests/fuzz/seeds/$name" "tests/fuzz/found/$name"; do
	[ ! -d "$dir" ] || cp "$dir"/* "$corpus"
done
set -- -runs="$runs" -seed="$seed" -timeout=20 -rss_limit_mb=1024 -print_final_stats=1
[ ! -f "tests/fuzz/dict/$name.dict" ] || set -- "$@" -dict="$(pwd)/tests/fuzz/dict/$name.dict"
# What Lua holds looks like a leak after each input; reader.c itself looks at what it keeps.
case $name in
lua_*) set -- "$@" -detect_leaks=0 -max_len=1024 ;;
lines) set -- "$@" -detect_leaks=0 -max_len=4096 ;;
*) set -- "$@" -max_len=4096 ;;
esac
unset LD_PRELOAD ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS
status=0
TMPDIR=$work nice "build/fuzz/$name" "$@" -artifact_prefix="$(pwd)/$crashes/$name-" "$corpus" \
	>"$work/$name.log" 2>&1 || status=$?
echo $status >"$work/$name.status"
