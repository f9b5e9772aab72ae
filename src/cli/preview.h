/*
 * preview - what 'record --dry-run' shows: what was recognised, and the entry that would come of it.
 */
#ifndef CLI_PREVIEW_H
#define CLI_PREVIEW_H
#include "app/record.h"

struct preview {
	const struct draft *draft;
	const struct conf *conf;
	const struct record_preview *entry; /* its 'entry' is empty if none could be made */
	const struct err *refused;	    /* ERR_NONE: it would be appended */
};

/* A page for people. */
void preview_text(const struct preview *preview, struct str *out);

/* {"schema": "thhost.record/1", "entry": {...}, "recognised": [...], "reading": {...}, ...} */
void preview_json(const struct preview *preview, struct str *out);

#endif
