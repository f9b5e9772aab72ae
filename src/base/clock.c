#include "base/base.h"

#include "base/clock.h"

#include <fcntl.h>
#include <unistd.h>

struct parsed_time {
	double local; /* seconds since 1970 as if the text were UTC */
	bool has_offset;
	int offset; /* seconds east of UTC */
};

static const char *test_now(void)
{
	const char *text = getenv("THHOST_TEST_NOW");

	return text && *text ? text : NULL;
}

int64_t clock_now_ms(void)
{
	struct timespec now;
	const char *fixed = test_now();

	if (fixed)
		return (int64_t)strtoll(fixed, NULL, 10) * 1000;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

time_t clock_now(void)
{
	return (time_t)(clock_now_ms() / 1000);
}

int64_t clock_monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void clock_format(time_t when, char out[CLOCK_TEXT_SIZE])
{
	struct tm local;
	long east;
	size_t len;

	localtime_r(&when, &local);
	len = strftime(out, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &local);
	east = local.tm_gmtoff / 60;
	snprintf(out + len, CLOCK_TEXT_SIZE - len, "%c%02ld:%02ld", east < 0 ? '-' : '+',
		 labs(east) / 60 % 100, labs(east) % 60);
}

void clock_format_name(time_t when, char out[CLOCK_TEXT_SIZE])
{
	struct tm local;

	localtime_r(&when, &local);
	if (!strftime(out, CLOCK_TEXT_SIZE, "%Y%m%d_%H%M%S", &local))
		out[0] = '\0';
}

void clock_boot_id(char out[64])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, out, 63) : -1;

	if (fd >= 0 && close(fd) < 0)
		n = -1;
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

/* Exactly 'width' digits at *text. */
static bool take_digits(const char **text, int width, int *out)
{
	*out = 0;
	for (int i = 0; i < width; i++) {
		char c = (*text)[i];

		if (c < '0' || c > '9')
			return false;
		*out = *out * 10 + (c - '0');
	}
	*text += width;
	return true;
}

static bool take_char(const char **text, const char *any)
{
	if (!**text || !strchr(any, **text))
		return false;
	(*text)++;
	return true;
}

/* Days since 1970-01-01 of a civil date (Hinnant, "chrono-compatible low-level date algorithms"). */
static int64_t days_from_civil(int year, int month, int day)
{
	int64_t y = year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool is_leap_year(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool is_date(int year, int month, int day)
{
	static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (month < 1 || month > 12 || day < 1)
		return false;
	return day <= lengths[month - 1] + (month == 2 && is_leap_year(year));
}

static bool take_date(const char **p, int64_t *days)
{
	int year;
	int month;
	int day;

	if (!take_digits(p, 4, &year) || !take_char(p, "-") || !take_digits(p, 2, &month) ||
	    !take_char(p, "-") || !take_digits(p, 2, &day) || !is_date(year, month, day))
		return false;
	*days = days_from_civil(year, month, day);
	return true;
}

static bool take_fraction(const char **p, double *out)
{
	double scale = 0.1;
	bool any = false;

	for (; **p >= '0' && **p <= '9'; (*p)++, scale /= 10, any = true)
		*out += (**p - '0') * scale;
	return any;
}

static bool take_clock(const char **p, double *seconds)
{
	int hour;
	int minute;
	int second = 0;
	double fraction = 0;

	if (!take_digits(p, 2, &hour) || !take_char(p, ":") || !take_digits(p, 2, &minute))
		return false;
	if (take_char(p, ":") && !take_digits(p, 2, &second))
		return false;
	if (take_char(p, ".,") && !take_fraction(p, &fraction))
		return false;
	if (hour > 23 || minute > 59 || second > 60) /* 60: a leap second */
		return false;
	*seconds = hour * 3600 + minute * 60 + second + fraction;
	return true;
}

static bool take_offset(const char **p, struct parsed_time *out)
{
	int hours;
	int minutes = 0;
	int sign;

	out->has_offset = **p != '\0';
	if (!out->has_offset || take_char(p, "Zz"))
		return true;
	sign = **p == '-' ? -1 : 1;
	if (!take_char(p, "+-") || !take_digits(p, 2, &hours))
		return false;
	take_char(p, ":");
	if (**p && !take_digits(p, 2, &minutes))
		return false;
	if (hours > 23 || minutes > 59)
		return false;
	out->offset = sign * (hours * 3600 + minutes * 60);
	return true;
}

static bool parse(const char *text, struct parsed_time *out)
{
	int64_t days;
	double seconds;

	memset(out, 0, sizeof(*out));
	if (!take_date(&text, &days) || !take_char(&text, "Tt ") || !take_clock(&text, &seconds) ||
	    !take_offset(&text, out) || *text)
		return false;
	out->local = (double)days * 86400 + seconds;
	return true;
}

/* The local zone's offset at a local time. */
static int local_offset(double local)
{
	time_t when = (time_t)local;
	struct tm broken;
	time_t utc;

	gmtime_r(&when, &broken);
	broken.tm_isdst = -1;
	utc = mktime(&broken);
	return (int)(when - utc);
}

int clock_parse(const char *text, double *seconds, bool *naive)
{
	struct parsed_time time;

	if (!parse(text, &time))
		return -1;
	*seconds = time.local - (time.has_offset ? time.offset : local_offset(time.local));
	if (naive)
		*naive = !time.has_offset;
	return 0;
}

int clock_between(const char *a, const char *b, double *out)
{
	struct parsed_time from;
	struct parsed_time to;

	if (!parse(a, &from) || !parse(b, &to))
		return -1;
	if (!from.has_offset)
		from.offset = to.has_offset ? to.offset : 0;
	if (!to.has_offset)
		to.offset = from.offset;
	*out = (to.local - to.offset) - (from.local - from.offset);
	return 0;
}
