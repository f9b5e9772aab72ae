#include "base/base.h"

#include "cli/compare_diff_page.h"

#include "base/mem.h"
#include "cli/render.h"

#define COMMIT_DIGITS 12 /* as git itself shortens them in a large repository */

static void add_counts(struct str *out, const struct git_diff *diff)
{
	add_count(out, (int64_t)diff->n);
	str_adds(out, diff->n == 1 ? " file, +" : " files, +");
	add_count(out, diff->added);
	str_adds(out, " -");
	add_count(out, diff->removed);
}

char *diff_summary(const struct comparison *cmp, size_t side)
{
	size_t index = cmp->sides[side].diff;
	struct str out = STR_INIT;

	if (index != COMPARE_NO_DIFF && cmp->diffs[index].repository)
		add_counts(&out, &cmp->diffs[index].diff);
	return str_detach(&out);
}

/* "old -> new" */
static void add_path(struct str *out, const struct git_change *change)
{
	if (change->old_path) {
		str_adds(out, change->old_path);
		str_adds(out, " -> ");
	}
	str_adds(out, change->path);
}

static void change_row(struct table *t, const struct git_change *change)
{
	struct str text = STR_INIT;

	table_row(t);
	add_path(&text, change);
	table_cell(t, TONE_PLAIN, text.buf);
	str_clear(&text);
	if (change->is_binary) {
		table_cell(t, TONE_PLAIN, "binary");
	} else {
		str_addch(&text, '+');
		add_count(&text, change->added);
		table_cell(t, TONE_PLAIN, text.buf);
		str_clear(&text);
		str_addch(&text, '-');
		add_count(&text, change->removed);
		table_cell(t, TONE_PLAIN, text.buf);
	}
	str_release(&text);
}

static void diff_as_page(const struct compare_diff *diff, struct str *out)
{
	struct table *t = table_new();
	struct str why = STR_INIT;

	str_addf(out, "\ngit %.*s..%.*s  ", COMMIT_DIGITS, diff->from, COMMIT_DIGITS, diff->to);
	if (diff->repository) {
		add_counts(out, &diff->diff);
	} else {
		add_safe(&why, diff->err.msg);
		str_adds(out, why.buf);
	}
	str_addch(out, '\n');
	table_column(t, "", ALIGN_LEFT);
	table_column(t, "", ALIGN_RIGHT);
	table_column(t, "", ALIGN_RIGHT);
	for (size_t i = 0; i < diff->diff.n; i++)
		change_row(t, &diff->diff.v[i]);
	if (diff->diff.n)
		table_print(t, "  ", out);
	table_free(t);
	str_release(&why);
}

void diffs_as_page(const struct comparison *cmp, struct str *out)
{
	for (size_t i = 0; i < cmp->n_diffs; i++)
		diff_as_page(&cmp->diffs[i], out);
}

static void change_as_json(struct jsonw *w, const struct git_change *change)
{
	jsonw_object(w);
	jsonw_pair_string(w, "path", change->path);
	if (change->old_path)
		jsonw_pair_string(w, "old_path", change->old_path);
	if (change->is_binary) {
		jsonw_key(w, "binary");
		jsonw_bool(w, true);
	} else {
		jsonw_pair_int(w, "insertions", change->added);
		jsonw_pair_int(w, "deletions", change->removed);
	}
	jsonw_end(w);
}

static void diff_as_json(struct jsonw *w, const struct compare_diff *diff)
{
	jsonw_object(w);
	jsonw_pair_string(w, "from", diff->from);
	jsonw_pair_string(w, "to", diff->to);
	if (diff->repository) {
		jsonw_pair_string(w, "repository", diff->repository);
		jsonw_pair_int(w, "files", (int64_t)diff->diff.n);
		jsonw_pair_int(w, "insertions", diff->diff.added);
		jsonw_pair_int(w, "deletions", diff->diff.removed);
		jsonw_key(w, "changed");
		jsonw_array(w);
		for (size_t i = 0; i < diff->diff.n; i++)
			change_as_json(w, &diff->diff.v[i]);
		jsonw_end(w);
	} else {
		jsonw_pair_string(w, "error", diff->err.msg);
	}
	jsonw_end(w);
}

void diffs_as_json(const struct comparison *cmp, struct jsonw *w)
{
	jsonw_array(w);
	for (size_t i = 0; i < cmp->n_diffs; i++)
		diff_as_json(w, &cmp->diffs[i]);
	jsonw_end(w);
}
