/*
 * conf_ini - one INI text, entry by entry. The one door to ini.h.
 *
 * inih cuts lines, section names and key names at fixed sizes without a word, lets
 * an indented key become part of the value above it, and takes ' ;' for a comment
 * even inside quotes. The reader that feeds it refuses each of these with file and
 * line. Knows nothing of which keys exist.
 */
#ifndef MODEL_CONF_INI_H
#define MODEL_CONF_INI_H
#include "base/err.h"

struct ini_entry {
	const char *section;
	const char *key;
	const char *value;
	size_t line;
	bool continued; /* an indented line that goes on with the value of the entry before */
};

/* What to call; 'section' (NULL: nothing) at each "[NAME]", also of a section without any entry. */
struct ini_reader {
	int (*section)(void *arg, const char *name, size_t line, struct err *err);
	int (*entry)(void *arg, const struct ini_entry *entry, struct err *err);
	void *arg;
};

int conf_ini_read_with(const char *name, const char *text, size_t len,
		       const struct ini_reader *reader, struct err *err);

/*
 * Call 'entry' for each "key = value" of 'text'; it returns -1 (with 'err' filled, without the
 * place) to stop. ERR_INVALID reads "NAME:LINE: ...".
 */
int conf_ini_read(const char *name, const char *text, size_t len,
		  int (*entry)(void *arg, const struct ini_entry *entry, struct err *err),
		  void *arg, struct err *err);

#endif
