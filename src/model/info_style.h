/*
 * info_style - how a record's author lays out entries: indentation, newlines,
 * blanks. For info_append.c only.
 */
#ifndef MODEL_INFO_STYLE_H
#define MODEL_INFO_STYLE_H
#include "base/str.h"
#include "model/info.h"

struct info_style {
	struct jsonw layout;  /* of an entry; 'out' is not set */
	size_t position;      /* where new entries go in, an offset */
	struct str before;    /* in front of the first new entry */
	struct str separator; /* between new entries, the comma included */
	struct str after;     /* behind the last one */
};

#define INFO_STYLE_INIT                                                      \
	{                                                                    \
		.before = STR_INIT, .separator = STR_INIT, .after = STR_INIT \
	}

/* Fill 'style', an initialised one, from a record that passed info_validate(). */
void info_style_detect(const struct info *info, struct info_style *style);
void info_style_release(struct info_style *style);

#endif
