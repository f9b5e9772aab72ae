#include "base/base.h"

#include "model/when.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#include <math.h>

#define MAX_COUNT 100000 /* "last 99999 years" still fits a struct tm */

enum unit { UNIT_SECOND, UNIT_MINUTE, UNIT_HOUR, UNIT_DAY, UNIT_WEEK, UNIT_MONTH, UNIT_YEAR };

static const char *const unit_words[] = {
	"second", "minute", "hour", "day", "week", "month", "year",
};

/* 'word' or its plural. */
static bool read_unit(const char *word, enum unit *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(unit_words); i++) {
		size_t len = strlen(unit_words[i]);

		if (strncmp(word, unit_words[i], len) != 0 ||
		    (word[len] && strcmp(word + len, "s") != 0))
			continue;
		*out = (enum unit)i;
		return true;
	}
	return false;
}

static bool read_count(const char *word, int *out)
{
	char *end;
	long value = strtol(word, &end, 10);

	if (*word < '0' || *word > '9' || *end || value > MAX_COUNT)
		return false;
	*out = (int)value;
	return true;
}

/* The local calendar knows how long a month and a day of changing clocks are. */
static double shifted(struct tm tm, enum unit unit, int n)
{
	int *const fields[] = { &tm.tm_sec,  &tm.tm_min, &tm.tm_hour, &tm.tm_mday,
				&tm.tm_mday, &tm.tm_mon, &tm.tm_year };

	*fields[unit] += unit == UNIT_WEEK ? 7 * n : n;
	if (unit >= UNIT_DAY)
		tm.tm_isdst = -1;
	return (double)mktime(&tm);
}

static struct tm start_of(time_t now, enum unit unit)
{
	struct tm tm;

	localtime_r(&now, &tm);
	if (unit == UNIT_WEEK)
		tm.tm_mday -= (tm.tm_wday + 6) % 7;
	if (unit >= UNIT_MONTH)
		tm.tm_mday = 1;
	if (unit == UNIT_YEAR)
		tm.tm_mon = 0;
	if (unit >= UNIT_DAY)
		tm.tm_hour = 0;
	if (unit >= UNIT_HOUR)
		tm.tm_min = 0;
	if (unit >= UNIT_MINUTE)
		tm.tm_sec = 0;
	if (unit >= UNIT_DAY)
		tm.tm_isdst = -1;
	return tm;
}

/* "2025", "2025-12", "2025-12-11": all of it. */
static bool read_date(const char *text, struct when *out)
{
	static const char digits[] = "0123456789";
	size_t len = strlen(text);
	char *whole;
	struct tm tm;
	time_t first;
	double seconds;
	bool is_date;

	if (strspn(text, digits) != 4 || (len != 4 && len != 7 && len != 10))
		return false;
	whole = xstrf("%s%sT00:00", text, len == 4 ? "-01-01" : len == 7 ? "-01" : "");
	is_date = clock_parse(whole, &seconds, NULL) == 0;
	free(whole);
	if (!is_date)
		return false;
	first = (time_t)seconds;
	localtime_r(&first, &tm);
	out->from = seconds;
	out->to = shifted(tm, len == 4 ? UNIT_YEAR : len == 7 ? UNIT_MONTH : UNIT_DAY, 1);
	return true;
}

static void set_moment(struct when *out, double seconds)
{
	out->from = seconds;
	out->to = seconds;
}

static bool read_ago(char *const *words, size_t n, time_t now, struct when *out)
{
	struct tm tm;
	enum unit unit;
	int count = 1;

	if (n != 3 || strcmp(words[2], "ago") != 0 || !read_unit(words[1], &unit))
		return false;
	if (strcmp(words[0], "a") != 0 && strcmp(words[0], "an") != 0 &&
	    !read_count(words[0], &count))
		return false;
	localtime_r(&now, &tm);
	set_moment(out, shifted(tm, unit, -count));
	return true;
}

static bool read_day(const char *word, time_t now, struct when *out)
{
	struct tm today = start_of(now, UNIT_DAY);
	int back = strcmp(word, "yesterday") == 0;

	if (!back && strcmp(word, "today") != 0)
		return false;
	out->from = shifted(today, UNIT_DAY, -back);
	out->to = shifted(today, UNIT_DAY, 1 - back);
	return true;
}

static bool read_point(char *const *words, size_t n, time_t now, struct when *out)
{
	char *both;
	double seconds;
	bool is_time;

	if (read_ago(words, n, now, out))
		return true;
	if (n == 1 && strcmp(words[0], "now") == 0)
		return set_moment(out, (double)now), true;
	if (n == 1 && (read_day(words[0], now, out) || read_date(words[0], out)))
		return true;
	if (n != 1 && n != 2)
		return false;
	both = n == 2 ? xstrf("%s %s", words[0], words[1]) : xstrdup(words[0]);
	is_time = clock_parse(both, &seconds, NULL) == 0;
	free(both);
	if (is_time)
		set_moment(out, seconds);
	return is_time;
}

/* "last 3 days", "last week", "this month" */
static bool read_span(char *const *words, size_t n, time_t now, struct when *out)
{
	bool is_this = strcmp(words[0], "this") == 0;
	struct tm tm;
	enum unit unit;
	int count = 1;

	if ((!is_this && strcmp(words[0], "last") != 0) || n < 2 || n > 3 ||
	    (n == 3 && (is_this || !read_count(words[1], &count))) ||
	    !read_unit(words[n - 1], &unit) || (n == 2 && has_suffix(words[1], "s")))
		return false;
	localtime_r(&now, &tm);
	out->from = is_this ? shifted(start_of(now, unit), unit, 0) : shifted(tm, unit, -count);
	out->to = is_this ? shifted(start_of(now, unit), unit, 1) : (double)now + 1;
	return true;
}

static bool read_side(char *const *words, size_t n, time_t now, struct when *out)
{
	struct when point;

	if (n < 2 || !read_point(words + 1, n - 1, now, &point))
		return false;
	*out = (struct when){ -INFINITY, INFINITY };
	if (strcmp(words[0], "before") == 0)
		out->to = point.from;
	else if (strcmp(words[0], "since") == 0)
		out->from = point.from;
	else if (strcmp(words[0], "after") == 0)
		out->from = point.to > point.from ? point.to : nextafter(point.to, INFINITY);
	else
		return false;
	return true;
}

/* "between P and P", "P to P" */
static bool read_between(char *const *words, size_t n, time_t now, struct when *out)
{
	bool is_between = strcmp(words[0], "between") == 0;
	const char *middle = is_between ? "and" : "to";
	struct when last;

	words += is_between;
	n -= is_between;
	for (size_t i = 1; i + 1 < n; i++) {
		if (strcmp(words[i], middle) != 0)
			continue;
		if (!read_point(words, i, now, out) ||
		    !read_point(words + i + 1, n - i - 1, now, &last))
			return false;
		/* A moment at the end belongs to it, as a day does. */
		out->to = last.to > last.from ? last.to : nextafter(last.to, INFINITY);
		return true;
	}
	return false;
}

static void split(const char *text, struct strv *words)
{
	while (*text) {
		size_t len = strcspn(text, " \t");

		if (len)
			strv_pushn(words, text, len);
		text += len;
		text += strspn(text, " \t");
	}
}

int when_parse(const char *text, time_t now, struct when *out, struct err *err)
{
	struct strv words = STRV_INIT;
	bool is_read;

	split(text, &words);
	is_read =
		words.n &&
		(read_point(words.v, words.n, now, out) || read_span(words.v, words.n, now, out) ||
		 read_side(words.v, words.n, now, out) || read_between(words.v, words.n, now, out));
	strv_release(&words);
	if (is_read)
		return 0;
	err_set(err, ERR_USAGE, "'%s' is no time that is understood", text);
	return err_hint(err, "for instance 'last 3 days', 'today', 'since 2025-12-01', "
			     "'2025-12-01 to 2025-12-11'");
}

int when_compare(const struct when *when, double seconds)
{
	if (seconds < when->from)
		return -1;
	return seconds > when->to || (seconds >= when->to && when->to > when->from);
}
