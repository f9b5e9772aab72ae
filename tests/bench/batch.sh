# batch.sh: part of run.sh. Recordings of one batch file beside the least that their files cost,
# beside Python, and beside as many 'thhost record'. Environment: BENCH_RECORDINGS (default 10000),
# BENCH_BATCH_FILES (default 100).

# write_batch STAGE: a table of trials over all files
write_batch() {
	cat >"$dir/batch/$1.ini" <<INI
[defaults]
stage = $1
base_model = m
start_time = 2025-12-11T14:00:00
end_time = 2025-12-11T15:00:00
[job t]
trials = trials.csv
INI
}

write_trials() {
	awk -v n="$recordings" -v files="$batch_files" 'BEGIN {
		print "dataset,steps,epochs,metric.f1,metric.accuracy,param.lr,param.batch_size"
		for (i = 0; i < n; i++)
			printf "d%d,%d,%.1f,0.%04d,0.%04d,%.6f,8\n", i % files, 1000 + i, 1 + i % 9,
				i % 10000, i * 7 % 10000, 0.00001 * (1 + i % 50)
	}' >"$dir/batch/trials.csv"
}

# single: some recordings, each with a command of its own
write_single() {
	cat >"$dir/batch/single.sh" <<SH
for i in \$(seq $singles); do
	'$thhost' record stage1 --root '$dir/batch/root' --exp exp_1 --dataset "d\$((i % 20))" \\
		--steps "\$((1000 + i))" --epochs 3 --metric f1=0.5 --metric accuracy=0.25 --param lr=0.0001 \\
		--param batch_size=8 --base-model m --start-time 2025-12-11T14:00:00 \\
		--end-time 2025-12-11T15:00:00 >/dev/null
done
SH
}

# batch_line NAME TURN FACTOR: its figures for all recordings, and in those of the floor
batch_line() {
	awk -v name="$1" -v turn="$2" -v by="$3" 'NR == 1 { wall = $1; cpu = $4 }
		NR == turn { printf "  %-34s %9.0f ms  %9.0f ms of processor  %7.1fx the floor, wall\n", name,
			$1 * by, $4 * by, $1 * by / wall }' "$dir/turns"
}

bench_batch() {
	recordings=${BENCH_RECORDINGS:-10000}
	batch_files=${BENCH_BATCH_FILES:-100}
	singles=200
	mkdir -p "$dir/batch/root/exp_1" "$dir/batch/plugins"
	printf '%s\n' 'return { api = 1, kind = "stage", name = "bare", version = "1", dir = "bare",' \
		'model_name = "bare", metrics = { f1 = { goal = "max" } } }' >"$dir/batch/plugins/bare.lua"
	write_batch stage1
	write_batch bare
	write_trials
	write_single
	$cc -O2 -o "$dir/batch_floor" $here/batch_floor.c
	"$thhost" batch record "$dir/batch/stage1.ini" --root "$dir/batch/root" >"$dir/batch/said"
	cp "$dir/batch/root/exp_1/stage1_d0/training_info.json" "$dir/batch/record.json"
	echo "Record in batches: $recordings recordings into $batch_files files of" \
		"$(wc -c <"$dir/batch/record.json") bytes"
	reset="rm -rf '$dir/batch/root' '$dir/batch/floor' '$dir/batch/python'
		mkdir -p '$dir/batch/root/exp_1' '$dir/batch/floor' '$dir/batch/python'; sync"
	python_turn=true
	has_python && python_turn="$python $here/batch.py $dir/batch/trials.csv $dir/batch/python"
	# shellcheck disable=SC2086 # words
	"$dir/turns.bin" 3 "$reset" "$dir/batch_floor" "$dir/batch/floor" "$batch_files" \
		"$dir/batch/record.json" :: \
		"$thhost" batch record "$dir/batch/stage1.ini" --root "$dir/batch/root" :: \
		"$thhost" batch record "$dir/batch/bare.ini" --root "$dir/batch/root" \
		--plugin "$dir/batch/plugins/bare.lua" :: \
		sh "$dir/batch/single.sh" :: $python_turn >"$dir/turns"
	batch_line "floor" 1 1
	batch_line "batch record, stage1" 2 1
	batch_line "batch record, without validate()" 3 1
	batch_line "thhost record ($singles, the rest reckoned)" 4 \
		"$(awk -v n="$recordings" -v of="$singles" 'BEGIN { print n / of }')"
	if has_python; then
		batch_line "Python, each file once" 5 1
	else
		echo "  ($python is not here: no comparison with Python)"
	fi
	printf '  %sx less processor time than the single recordings  (goal 10: %s)\n' \
		"$(awk -v n="$recordings" -v of="$singles" 'NR == 2 { a = $4 } NR == 4 {
			printf "%.1f", $4 * n / of / a }' "$dir/turns")" \
		"$(awk -v n="$recordings" -v of="$singles" 'NR == 2 { a = $4 } NR == 4 {
			print ($4 * n / of / a >= 10 ? "met" : "MISSED") }' "$dir/turns")"
}
