# answers.jq: what jq makes of a record ('jq -c -f'), for comparing answers. The file's name is
# ./REF/training_info.json; of NaN jq makes null when it prints.

def names: [paths(type == "number") as $path
	| select(getpath($path) | isnan | not)
	| {key: ($path | map(tostring) | join(".")), value: getpath($path)}] | from_entries;

def number: type == "number" and (isnan | not);

(.training_history[-1]) as $last
| (reduce .training_history[] as $entry ({steps: 0, of_hrdh: 0, max: null, max_step: null};
	.steps += $entry.steps
	| if $entry.dataset == "hrdh" then .of_hrdh += $entry.steps else . end
	| if ($entry.metrics.f1 | number) and (.max == null or $entry.metrics.f1 > .max)
		then .max = $entry.metrics.f1 | .max_step = .steps else . end)) as $all
| {
	ref: input_filename[2:-19],
	stage,
	dataset: $last.dataset,
	steps: $last.steps,
	trainings: (.training_history | length),
	started: $last.start_time,
	f1: ($last.metrics.f1 | if number then . else null end),
	val_loss: $last.metrics.val_loss,
	precision: $last.metrics.precision,
	lr: $last.hyperparams.lr,
	dirty: $last.git.dirty,
	is_paper: (($last.tags // []) | index("paper") != null),
	of_hrdh: $all.of_hrdh,
	max_f1: $all.max,
	max_step: $all.max_step,
	strategy: ([(.base_model // "" | if . == "" then "unknown" else . end),
		.training_history[].dataset] | join(" > ")),
	metrics: ($last.metrics // {} | names)
}
