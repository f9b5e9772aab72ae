/*
 * seen - what was looked at to know a part of a tree, and how it looked.
 *
 *	seen_add(&seen, rootfd, "exp_1/stage1_hrds", "/training_info.json");	before it is read
 *	...
 *	if (seen_is_same(blob, len, rootfd, "exp_1/stage1_hrds", &newest)) ...	nothing has changed
 *
 * Each is taken before its content is read: what is there later is then either the same, or looks
 * otherwise - but for two changes within one tick of the file system's clock, which seen_is_settled()
 * is about. Packed bytes of this machine's order; an empty text is never the same.
 */
#ifndef INDEX_SEEN_H
#define INDEX_SEEN_H
#include "base/str.h"

/* Stamps this close to the time of reading may still be those of another change. */
#define SEEN_TICK_MS 3000

struct seen {
	struct str bytes;
	int64_t newest_ms; /* the newest stamp of all, of change or of modification; INT64_MIN: none */
};

#define SEEN_INIT                                         \
	{                                                 \
		.bytes = STR_INIT, .newest_ms = INT64_MIN \
	}

/* Look at 'part' of 'place': "/training_info.json", or "" for the place itself. What is not there is
 * remembered as that. The mode of what is there; 0: nothing. */
mode_t seen_add(struct seen *seen, int rootfd, const char *place, const char *part);
void seen_release(struct seen *seen);

/* Does all of it look as it did? 'newest_ms' (may be NULL) is raised to the newest stamp of change that
 * was met. */
bool seen_is_same(const void *bytes, size_t len, int rootfd, const char *place, int64_t *newest_ms);

#endif
