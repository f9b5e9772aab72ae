# history.sh: what it costs to ask the history of a large tree. Sourced by run.sh. Environment:
# BENCH_RECORDS, the size of the tree (default 20000); with 100000 it takes some 10 minutes and 2 GB.

# "list" as it is asked everywhere here; competitors print the same rows.
filter='metrics.f1 > 0.9'

# knows COMMAND OPTION: is it in the command's help?
knows() {
	"$thhost" "$1" --help 2>/dev/null | grep -q -e "$2"
}

# bare COMMAND: the option that keeps it from the index, where it has one
bare() {
	if knows "$1" --no-index; then
		echo --no-index
	fi
}

# told LABEL N: the N-th of turns' output; compared LABEL N: and beside the floor
told() {
	printf '  %-34s %9.1f ms  %9.1f ms cpu  %8d KiB\n' "$1" "$(median "$2")" "$(cpu "$2")" \
		"$(memory "$2")"
}

compared() {
	printf '  %-34s %9.1f ms  %9.1f ms cpu  %8d KiB  %7.2fx of the floor, %.2fx of its cpu\n' "$1" \
		"$(median "$2")" "$(cpu "$2")" "$(memory "$2")" "$(quotient "$(median "$2")" "$floor")" \
		"$(quotient "$(cpu "$2")" "$floor_cpu")"
}

# goal WHAT VALUE LIMIT
goal() {
	printf '  %-34s %9s  (goal %s: %s)\n' "$1" "$2" "$3" "$(verdict "$2" "$3")"
}

# kib_of COMMAND...: how much it prints
kib_of() {
	"$@" | awk '{ n += length($0) + 1 } END { printf "%d", n / 1024 }'
}

make_trees() {
	$cc -std=gnu11 -O2 -o "$dir/tree" $here/tree.c $here/tree_foul.c
	$cc -O2 -o "$dir/scan" $here/scan.c
	"$dir/tree" "$dir/large" --records "$records"
	"$dir/tree" "$dir/middle" --records $((records / 10))
	"$dir/tree" "$dir/small" --records $((records / 100))
	"$dir/tree" "$dir/chain" --records 0 --chain 1000
	"$dir/tree" "$dir/fan" --records 0 --fan 10000
	cat >"$dir/jq.sh" <<'SH'
find "$1" -name training_info.json -print0 | xargs -0 cat |
	jq -s 'map(.training_history[-1].metrics | select(.f1 > 0.9) | .f1)'
SH
}

# without an index: beside the least, and beside what people do
bench_scan() {
	set -- list $(bare list) --root "$dir/large" --tsv -c ref,f1 -F "$filter"
	"$dir/turns.bin" 5 : "$dir/scan" "$dir/large" :: "$dir/scan" --stat "$dir/large" :: \
		"$thhost" "$@" :: "$(has_python && echo $python || echo true)" $here/history.py \
		"$dir/large" :: "$(command -v jq >/dev/null && echo sh || echo true)" "$dir/jq.sh" \
		"$dir/large" >"$dir/turns"
	floor=$(median 1) floor_cpu=$(cpu 1)
	compared "walk, open, read, close in C" 1
	compared "walk and stat in C" 2
	compared "list -F, from the files" 3
	compared "Python" 4
	compared "find | xargs cat | jq -s" 5
	ours=$(median 3) ours_kib=$(memory 3)
	goal "list -F of the floor" "$(quotient "$ours" "$floor")" 1.6
	has_python && goal "list -F of Python" "$(quotient "$ours" "$(median 4)")" 0.25
	command -v jq >/dev/null && goal "list -F of jq" "$(quotient "$ours" "$(median 5)")" 0.1
	answer=$(kib_of "$thhost" "$@")
	goal "its memory beyond its answer, KiB" $((ours_kib - answer)) 10240
}

# fifty models of one stage and data set, each in its own experiment
fifty() {
	(cd "$dir/large" && find . -name stage1_hrds | sort | head -n 50 | sed 's|^\./||')
}

# ask_all RUNS: every question, of the trees as they are now; FLAGS_X may keep X from the index
ask_all() {
	"$dir/turns.bin" "$1" : \
		"$thhost" list $FLAGS_list --root "$dir/large" --tsv -c ref,f1 -F "$filter" :: \
		"$thhost" best $FLAGS_best --root "$dir/large" f1 :: \
		"$thhost" strategies $FLAGS_strategies --root "$dir/large" :: \
		"$thhost" compare $FLAGS_compare --root "$dir/large" $(fifty) :: \
		"$thhost" lineage $FLAGS_lineage --root "$dir/large" :: \
		"$thhost" lineage $FLAGS_lineage --root "$dir/chain" exp_chain/stage1_m000500 :: \
		"$thhost" lineage $FLAGS_lineage --root "$dir/fan" exp_fan/stage1_m000000 >"$dir/turns"
	set -- "list -F" best strategies "compare of 50" "lineage of all" \
		"lineage of a chain of 1,000" "lineage of a fan of 10,000"
	i=0
	for label; do
		i=$((i + 1))
		if [ $i -le 5 ]; then
			compared "$label" $i
		else
			told "$label" $i
		fi
	done
}

bench_questions() {
	FLAGS_list=$(bare list) FLAGS_best=$(bare best) FLAGS_strategies=$(bare strategies)
	FLAGS_compare=$(bare compare) FLAGS_lineage=$(bare lineage)
	echo "Ask, from the files"
	ask_all 3
}

# growth VERB...: processor time and memory at 1, 10 and 100 times the small tree. Ten times the work,
# and 15 % for what grows in steps.
growth() {
	"$dir/turns.bin" 5 : "$thhost" "$@" --root "$dir/small" :: "$thhost" "$@" --root \
		"$dir/middle" :: "$thhost" "$@" --root "$dir/large" >"$dir/turns"
	awk -v what="$*" '{ ms[NR] = $4; kib[NR] = $3 } END {
		met = ms[2] <= 11.5 * ms[1] && ms[3] <= 11.5 * ms[2] ? "met" : "MISSED"
		printf "  %-34s %8.1f %8.1f %8.1f ms cpu  %.1fx %.1fx  (goal 11.5: %s)\n", what, ms[1], ms[2],
			ms[3], ms[2] / ms[1], ms[3] / ms[2], met
		printf "  %-34s %8d %8d %8d KiB     %.1fx %.1fx\n", "", kib[1], kib[2], kib[3],
			kib[2] / kib[1], kib[3] / kib[2] }' "$dir/turns"
}

bench_growth() {
	echo "Growth: $((records / 100)), $((records / 10)) and $records records"
	growth list $(bare list) -F "$filter"
	growth list $(bare list) --json
	growth strategies $(bare strategies)
	growth lineage $(bare lineage)
}

# ---- with an index ----

# changed N: a list of N records, all over the tree
changed() {
	find "$dir/large" -name training_info.json | sort |
		awk -v n="$1" -v all="$records" 'NR % int(all / n) == 0 && done++ < n' >"$dir/changed.$1"
}

# sync_after N: another number, of the same length, in N records; it toggles
sync_after() {
	changed "$1"
	"$dir/turns.bin" 5 "xargs -a '$dir/changed.$1' sed -i 's/\"created_at\": \"2025/\"created_at\": \"2024/;t
		s/\"created_at\": \"2024/\"created_at\": \"2025/'" \
		"$thhost" index sync -q --root "$dir/large" >"$dir/turns"
	compared "sync after $1 changes" 1
}

bench_index() {
	echo "The index"
	"$dir/turns.bin" 3 "rm -rf '$dir/cache'" "$thhost" index sync -q --root "$dir/large" >"$dir/turns"
	compared "build" 1
	goal "build of the floor" "$(quotient "$(median 1)" "$floor")" 4
	"$dir/turns.bin" 5 : "$thhost" index sync -q --root "$dir/large" >"$dir/turns"
	compared "sync with no change" 1
	fresh=$(median 1)
	goal "that of the floor" "$(quotient "$fresh" "$floor")" 0.5
	sync_after 10
	goal "more than with no change, ms" \
		"$(awk -v a="$(median 1)" -v b="$fresh" 'BEGIN { printf "%.1f", a - b }')" 20
	sync_after 1000
	FLAGS_list='' FLAGS_best='' FLAGS_strategies='' FLAGS_compare='' FLAGS_lineage=''
	echo "Ask, through the index"
	ask_all 5
	bench_query
}

bench_query() {
	"$thhost" query --help >/dev/null 2>&1 || return 0
	set -- --root "$dir/large" \
		"SELECT ref, value FROM metrics WHERE name = 'f1' AND is_last ORDER BY value DESC LIMIT 10"
	"$dir/turns.bin" 21 : "$thhost" query --no-sync "$@" :: "$thhost" query "$@" >"$dir/turns"
	compared "query: the top 10, as it stands" 1
	compared "the same, after a look at the files" 2
	goal "the first, ms" "$(median 1)" 5
}

bench_history() {
	records=${BENCH_RECORDS:-20000}
	make_trees
	set -- $("$dir/scan" "$dir/large")
	echo "Ask the history of $1 records, $(($2 / 1048576)) MiB, warm"
	bench_scan
	bench_questions
	bench_growth
	if "$thhost" index --help >/dev/null 2>&1; then
		bench_index
	fi
	rm -rf "$dir/large" "$dir/middle" "$dir/small" "$dir/chain" "$dir/fan"
}
