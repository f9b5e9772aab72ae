#include "base/base.h"

#include "script/lines.h"

#include "script/scan.h"

#include <errno.h>
#include <unistd.h>

#ifndef LINES_BLOCK
#define LINES_BLOCK ((size_t)256 << 10) /* stays in the second-level cache */
#endif
#ifndef LINES_SEGMENT
#define LINES_SEGMENT ((size_t)1 << 20)
#endif

#define MAX_NEEDLES 256
#define NO_HIT SIZE_MAX
#define ESCAPE '\x1b'

struct needle {
	struct scan_needle scan; /* its text stands behind the needles */
	size_t hit; /* next place in the buffer, not before 'pos'; NO_HIT: none before 'limit' */
};

/*
 * buf[pos, limit) are whole segments, buf[limit, end) the start of one that goes on. The buffer is
 * a userdata of its own, the first user value of this one.
 */
struct lines {
	int fd;
	off_t offset;	    /* of buf[end] in the file */
	lua_Integer number; /* segments before 'pos' */
	char *buf;
	size_t cap;
	size_t pos;
	size_t limit;
	size_t end;
	size_t escape; /* next ANSI escape, like needle.hit */
	bool at_end;
	bool skipping;	  /* the rest of a segment that was cut ... */
	bool cut_counted; /* ... and that 'number' holds already */
	size_t n_needles;
	struct needle needles[];
};

static bool is_line_end(char c)
{
	return c == '\n' || c == '\r';
}

/* ---- ANSI escapes ---- */

static size_t run_of(const char *text, size_t i, size_t len, char low, char high)
{
	while (i < len && text[i] >= low && text[i] <= high)
		i++;
	return i;
}

/* The end of the escape that starts at 'i'. */
static size_t escape_end(const char *text, size_t i, size_t len)
{
	size_t at = i + 1;

	if (at < len && text[at] == '[') {
		at++;
		while (at < len &&
		       ((text[at] >= '0' && text[at] <= '9') || text[at] == ';' || text[at] == '?'))
			at++;
		at = run_of(text, at, len, ' ', '/');
		if (at < len && text[at] >= '@' && text[at] <= '~')
			return at + 1;
		return i + 2;
	}
	if (at < len && text[at] == ']') {
		while (at < len && text[at] != '\a' && text[at] != ESCAPE)
			at++;
		return at < len && text[at] == '\a' ? at + 1 : at;
	}
	return at < len && text[at] >= '@' && text[at] <= '_' ? at + 1 : at;
}

size_t lines_strip_ansi(char *text, size_t len)
{
	size_t out = 0;

	for (size_t i = 0; i < len;) {
		const char *next = memchr(text + i, ESCAPE, len - i);
		size_t plain = next ? (size_t)(next - text) - i : len - i;

		memmove(text + out, text + i, plain);
		out += plain;
		i += plain;
		if (i < len)
			i = escape_end(text, i, len);
	}
	return out;
}

/* ---- the buffer ---- */

/* A larger buffer for the iterator at stack index 'index'. [-0, +0, m] */
static void grow(lua_State *L, int index, struct lines *it, size_t cap)
{
	char *fresh = lua_newuserdatauv(L, cap + 1, 0); /* one may look past 'end' */

	if (it->end)
		memcpy(fresh, it->buf, it->end);
	lua_setiuservalue(L, index, 1);
	it->buf = fresh;
	it->cap = cap;
}

/* Append one read's worth to the buffer. [-0, +0, v] */
static void read_more(lua_State *L, struct lines *it)
{
	ssize_t n;

	do
		n = pread(it->fd, it->buf + it->end, it->cap - it->end, it->offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		luaL_error(L, "cannot read on at byte %I: %s", (LUAI_UACINT)it->offset,
			   strerrordesc_np(errno));
	it->at_end = n == 0;
	it->offset += n;
	it->end += (size_t)n;
	it->buf[it->end] = '\0';
}

/* Drop what was handed out. */
static void shift(struct lines *it)
{
	memmove(it->buf, it->buf + it->pos, it->end - it->pos);
	it->end -= it->pos;
	it->pos = 0;
	it->limit = 0;
}

/* Where the whole segments end: after the last line end, but a final '\r' may have its '\n' still
 * to come. Bytes before 'from' were looked at before. */
static size_t find_limit(const struct lines *it, size_t from)
{
	size_t i = it->end;

	if (it->at_end)
		return it->end;
	if (i > from && it->buf[i - 1] == '\r')
		i--;
	while (i > from && !is_line_end(it->buf[i - 1]))
		i--;
	return i > from ? i : 0;
}

static void forget_hits(struct lines *it)
{
	for (size_t i = 0; i < it->n_needles; i++)
		it->needles[i].hit = 0;
	it->escape = 0;
}

/* Pass over the rest of a segment that was cut, up to its line end. */
static void skip_rest(struct lines *it)
{
	while (it->pos < it->end && !is_line_end(it->buf[it->pos]))
		it->pos++;
	if (it->pos + 1 >= it->end && !it->at_end)
		return; /* a '\r' here may be half of "\r\n" */
	if (it->pos < it->end && it->buf[it->pos] == '\r' && it->pos + 1 < it->end &&
	    it->buf[it->pos + 1] == '\n')
		it->pos++;
	if (it->pos < it->end)
		it->pos++;
	it->number += !it->cut_counted;
	it->skipping = false;
}

/* Have at least one whole segment in [pos, limit); false at the end of the file. [-0, +0, e] */
static bool refill(lua_State *L, int index, struct lines *it)
{
	size_t seen = 0;

	shift(it);
	while (!it->limit) {
		if (it->at_end && it->pos == it->end)
			return false;
		if (it->end == it->cap)
			grow(L, index, it,
			     it->cap * 2 < LINES_SEGMENT ? it->cap * 2
							 : LINES_SEGMENT + LINES_BLOCK);
		read_more(L, it);
		if (it->skipping) {
			skip_rest(it);
			shift(it);
			seen = 0;
			if (it->skipping)
				continue;
		}
		it->limit = find_limit(it, seen);
		seen = it->end > 1 ? it->end - 1 : 0;
		if (!it->limit && it->end >= LINES_SEGMENT) {
			it->limit = LINES_SEGMENT;
			it->skipping = true;
			it->cut_counted = false;
		}
	}
	forget_hits(it);
	return it->limit > it->pos;
}

/* ---- the search ---- */

/* The next place of a needle or an escape in [pos, limit), or NO_HIT. An escape may hide a needle:
 * such a segment is looked at once more without its escapes. */
static size_t next_candidate(struct lines *it)
{
	size_t best = NO_HIT;

	for (size_t i = 0; i < it->n_needles; i++) {
		struct needle *needle = &it->needles[i];

		if (needle->hit != NO_HIT && (needle->hit < it->pos || it->pos == 0)) {
			const char *hit =
				scan_find(&needle->scan, it->buf + it->pos, it->limit - it->pos);

			needle->hit = hit ? (size_t)(hit - it->buf) : NO_HIT;
		}
		if (needle->hit < best)
			best = needle->hit;
	}
	if (it->escape != NO_HIT && (it->escape < it->pos || it->pos == 0)) {
		const char *hit = memchr(it->buf + it->pos, ESCAPE, it->limit - it->pos);

		it->escape = hit ? (size_t)(hit - it->buf) : NO_HIT;
	}
	return it->escape < best ? it->escape : best;
}

/* True if a needle stands in the text. */
static bool has_needle(const struct lines *it, const char *text, size_t len)
{
	for (size_t i = 0; i < it->n_needles; i++)
		if (scan_find(&it->needles[i].scan, text, len))
			return true;
	return it->n_needles == 0;
}

/* Take the segment around 'at' out of [pos, limit): its start, and its length in 'len'. */
static char *take_segment(struct lines *it, size_t at, size_t *len)
{
	size_t start = at;
	size_t stop = at;

	while (start > it->pos && !is_line_end(it->buf[start - 1]))
		start--;
	while (stop < it->limit && !is_line_end(it->buf[stop]))
		stop++;
	it->number += (lua_Integer)scan_line_ends(it->buf + it->pos, start - it->pos) + 1;
	*len = stop - start;
	if (it->skipping && stop == it->limit)
		it->cut_counted = true;
	it->pos = stop < it->limit ? stop + 1 : stop;
	if (it->pos < it->limit && it->buf[stop] == '\r' && it->buf[it->pos] == '\n')
		it->pos++;
	return it->buf + start;
}

/* The next segment to look at, or NULL when [pos, limit) has no more. */
static char *next_segment(struct lines *it, size_t *len)
{
	size_t at = it->pos;

	if (it->n_needles)
		at = next_candidate(it);
	if (at != NO_HIT && at < it->limit)
		return take_segment(it, at, len);
	it->number += (lua_Integer)scan_line_ends(it->buf + it->pos, it->limit - it->pos);
	it->pos = it->limit;
	return NULL;
}

/* [-0, +2, e] upvalue 1: the iterator's userdata; yields line and number, or nil */
static int lines_next(lua_State *L)
{
	struct lines *it = lua_touserdata(L, lua_upvalueindex(1));

	lua_settop(L, 0);
	lua_pushvalue(L, lua_upvalueindex(1));
	for (;;) {
		size_t len;
		char *segment;

		if (it->fd < 0 || (it->pos >= it->limit && !refill(L, 1, it)))
			return 0;
		segment = next_segment(it, &len);
		if (!segment || !len)
			continue;
		if (len > LINES_SEGMENT || memchr(segment, ESCAPE, len)) {
			len = len > LINES_SEGMENT ? LINES_SEGMENT : len;
			len = lines_strip_ansi(segment, len);
			if (!has_needle(it, segment, len))
				continue;
		}
		lua_pushlstring(L, segment, len);
		lua_pushinteger(L, it->number);
		return 2;
	}
}

/* [-0, +0, v] */
static size_t check_needles(lua_State *L, int first, int last)
{
	size_t total = 0;

	luaL_argcheck(L, last - first < MAX_NEEDLES, first, "too many needles");
	for (int i = first; i <= last; i++) {
		size_t len;
		const char *text = luaL_checklstring(L, i, &len);

		luaL_argcheck(L, len > 0, i, "a needle cannot be empty");
		luaL_argcheck(L, !memchr(text, '\n', len) && !memchr(text, '\r', len), i,
			      "a needle cannot hold a line end");
		total += len;
	}
	return total;
}

/* [-0, +1, e] */
void lines_push(lua_State *L, int fd, int first, int last)
{
	size_t text_size = check_needles(L, first, last);
	size_t n = last >= first ? (size_t)(last - first + 1) : 0;
	struct lines *it =
		lua_newuserdatauv(L, sizeof(*it) + n * sizeof(struct needle) + text_size, 1);
	char *texts = (char *)(it->needles + n);
	size_t at = 0;

	memset(it, 0, sizeof(*it));
	it->fd = fd;
	it->n_needles = n;
	for (size_t i = 0; i < n; i++) {
		size_t len;
		const char *text = lua_tolstring(L, first + (int)i, &len);

		memcpy(texts + at, text, len);
		it->needles[i].hit = 0;
		scan_prepare(&it->needles[i].scan, texts + at, len);
		at += len;
	}
	if (fd >= 0)
		grow(L, lua_gettop(L), it, LINES_BLOCK);
	lua_pushcclosure(L, lines_next, 1);
}
