#!/bin/sh
# demo.sh THHOST: stage 1 on hrds, on to hrdh, features, stage 3 - then what was recorded.
# Works in a fresh directory and leaves it, so that it can be looked at.
set -eu
thhost=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/thhost-demo.XXXXXX")
cd "$work"

show() {
	printf '\n$ %s\n' "$*"
}

run() {
	show thhost "$@"
	"$thhost" "$@"
}

mkdir artifact
cat >thhost.ini <<END
[artifact]
root = artifact

; The example training stands for yours. {stage_dir} and the like are filled in by thhost.
[stage stage1]
base_model = microsoft/layoutxlm-base
command = lua5.4 $here/train.lua stage1
    --dataset {dataset} --output_dir {stage_dir} --model_name_or_path {base_model}
    --eval_steps 50 --save_steps 50 --logging_steps 20 --sleep_ms 10
[stage stage2]
command = lua5.4 $here/train.lua stage2
    --dataset {dataset} --output_dir {stage_dir} --model_path {base_model}
[stage stage3]
command = lua5.4 $here/train.lua stage3
    --dataset {dataset} --output_dir {stage_dir} --features_dir {base_model}
END

run run stage1 --dataset hrds
run run stage1 --dataset hrdh --init-from hrds
run run stage2 --dataset hrdh
run run stage3 --dataset hrdh
run show stage1_hrdh
run lineage
run list
show "jq '.training_history[] | {dataset, steps, f1: .metrics.macro_f1}' artifact/current/stage1_hrdh/training_info.json"
if command -v jq >/dev/null 2>&1; then
	jq -c '.training_history[] | {dataset, steps, f1: .metrics.macro_f1}' artifact/current/stage1_hrdh/training_info.json
else
	echo "(jq is not installed; 'cat' shows it too)"
fi
printf '\nThe files are in %s\n' "$work/artifact/current/"
