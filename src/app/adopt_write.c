#include "base/base.h"

#include "app/adopt_reading.h"

#include "app/parents.h"
#include "base/mem.h"
#include "model/store.h"
#include "sys/path.h"

#include <fcntl.h>
#include <unistd.h>

struct writing {
	struct adopt *adopt;
	struct adopt_model *model;
	int fd;
	char *path;
	struct str inherited; /* the record that it goes on from */
	const char *inherited_ref;
	char *origin; /* where that model began */
};

static int open_model(const struct adopt *adopt, const struct adopt_model *model, struct err *err)
{
	const struct layout *layout = &adopt->session->layout;

	/* Not path_open_beneath(): names that are no REFs ("-x") are directories all the same. */
	return path_open_beneath(layout->rootfd, model->ref, O_RDONLY | O_DIRECTORY, err);
}

/* The parents of the last entry, with the run ids that their records have by now. */
static void add_parents(struct writing *w, struct entry *entry)
{
	struct str text = STR_INIT;
	struct jsonw out = jsonw_begin(&text, 0);
	struct err ignored = ERR_INIT;

	jsonw_array(&out);
	for (size_t i = 0; i < w->model->n_edges; i++) {
		const struct adopt_edge *edge = &w->model->edges[i];
		const struct adopt_model *base = &w->adopt->models[edge->from];
		struct stage_dir dir = STAGE_DIR_INIT;

		dir.ref = base->ref; /* borrowed */
		dir.fd = open_model(w->adopt, base, &ignored);
		parents_add(&out, &dir, w->model->ref, edge->relation, "inferred",
			    edge->checkpoint);
		if (dir.fd >= 0)
			close(dir.fd);
	}
	jsonw_end(&out);
	if (w->model->n_edges) {
		entry_add_extra(entry, "parents", text.buf, &ignored);
		adopt_set_evidence(entry, "parents", "inferred", true);
	}
	str_release(&text);
}

/* The record of the model that this one goes on with. */
static int take_inherited(struct writing *w, struct err *err)
{
	for (size_t i = 0; i < w->model->n_edges; i++) {
		const struct adopt_edge *edge = &w->model->edges[i];
		const struct adopt_model *base = &w->adopt->models[edge->from];
		struct err own = ERR_INIT;
		int fd;
		int result;

		if (base->state == ADOPT_FAILED || base->state == ADOPT_READY)
			return err_set(err, ERR_FAILED, "its base '%s' could not be recorded",
				       base->ref);
		if (strcmp(edge->relation, "continues") != 0)
			continue;
		fd = open_model(w->adopt, base, &own);
		result = fd < 0 ? -1 : store_read(fd, base->ref, &w->inherited, &own);
		if (fd >= 0) {
			struct stage_dir dir = STAGE_DIR_INIT;

			dir.ref = base->ref; /* borrowed */
			dir.fd = fd;
			w->origin = parents_record_string(&dir, "base_model");
			close(fd);
		}
		if (result < 0) {
			*err = own;
			return -1;
		}
		w->inherited_ref = base->ref;
	}
	return 0;
}

static void finish_entry(struct writing *w)
{
	struct adopt_model *model = w->model;
	struct entry *entry = &model->entries[model->n_entries - 1];
	char *dir = path_join(w->adopt->session->layout.root, model->ref);

	if (model->checkpoint && *model->checkpoint)
		record_add_checkpoint(entry, w->adopt->session, dir, model->checkpoint);
	add_parents(w, entry);
	free(dir);
}

static enum store_result append(struct writing *w, struct err *err)
{
	const struct adopt_model *model = w->model;
	struct info_append what = {
		.head = {
			.model_name = model->model_name,
			.stage = model->stage,
			.final_checkpoint = model->checkpoint ? model->checkpoint : "",
			.base_model = w->origin		? w->origin
				      : model->base_model ? model->base_model
							  : "unknown",
			.parents = entry_extra(&model->entries[model->n_entries - 1], "parents"),
		},
		.entries = model->entries,
		.n = model->n_entries,
		.inherited = w->inherited_ref ? &w->inherited : NULL,
		.inherited_ref = w->inherited_ref,
		.additive = true,
	};
	struct store_request request = {
		.dirfd = w->fd,
		.where = model->ref,
		.path = w->path,
		.append = &what,
		.lock_timeout_ms = session_lock_timeout_ms(w->adopt->session),
		.only_new = true,
	};

	return store_append(&request, NULL, err);
}

static void settle(struct adopt_model *model, enum store_result result, const struct err *err)
{
	if (result == STORE_TAKEN) {
		model->state = ADOPT_RECORDED;
		model->reason = xstrdup("recorded meanwhile");
	} else if (result == STORE_UNCHANGED) {
		model->state = ADOPT_FAILED;
		model->reason = xstrdup(err->msg);
	} else {
		model->state = ADOPT_WRITTEN;
		if (result == STORE_NOT_DURABLE)
			strv_push(&model->notes, err->msg);
	}
}

static void write_model(struct adopt *adopt, struct adopt_model *model)
{
	struct writing w = { .adopt = adopt, .model = model, .fd = -1, .inherited = STR_INIT };
	struct err err = ERR_INIT;
	enum store_result result = STORE_UNCHANGED;
	char *dir = path_join(adopt->session->layout.root, model->ref);

	w.path = path_join(dir, RECORD_NAME);
	w.fd = open_model(adopt, model, &err);
	if (w.fd >= 0 && take_inherited(&w, &err) == 0) {
		finish_entry(&w);
		result = append(&w, &err);
	}
	settle(model, result, &err);
	if (w.fd >= 0)
		close(w.fd);
	str_release(&w.inherited);
	free(w.origin);
	free(w.path);
	free(dir);
}

int adopt_write(struct adopt *adopt, struct err *err)
{
	size_t written = 0;

	adopt->counts.models = 0;
	for (size_t i = 0; i < adopt->n; i++) {
		struct adopt_model *model = &adopt->models[adopt->order[i]];

		if (model->state != ADOPT_READY)
			continue;
		if (!adopt_tick(adopt, model->ref))
			return err_set(err, ERR_INTERRUPTED,
				       "interrupted after %zu; start again for the rest", written);
		write_model(adopt, model);
		written += model->state == ADOPT_WRITTEN;
		adopt->counts.models = written;
	}
	return 0;
}
