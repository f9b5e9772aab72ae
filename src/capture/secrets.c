#include "base/base.h"

#include "capture/secrets.h"

#include <ctype.h>
#include <fnmatch.h>

#define HIDDEN "***"

/* Names that match "*token" and are words of every tokenizer's configuration. */
static const char *const harmless[] = { "pad_token", "eos_token", "bos_token", "unk_token",
					"cls_token", "sep_token", "mask_token" };

/* How keys of services begin, and how many characters at least follow. */
static const struct {
	const char *prefix;
	size_t min;
} services[] = {
	{ "hf_", 16 },	  { "sk-", 16 },  { "ghp_", 16 },  { "gho_", 16 },  { "ghs_", 16 },
	{ "ghu_", 16 },	  { "ghr_", 16 }, { "xoxb-", 10 }, { "xoxp-", 10 }, { "github_pat_", 16 },
	{ "glpat-", 16 }, { "AKIA", 16 }, { "AIza", 30 },  { "eyJ", 40 },   { "wandb_v1_", 16 },
};

/* ---- names ---- */

/* Lower case, '_' for '-', without what surrounds a name in a flag or in JSON. */
static void normal_name(const char *name, size_t len, struct str *out)
{
	while (len && !isalnum((unsigned char)*name)) {
		name++;
		len--;
	}
	while (len && !isalnum((unsigned char)name[len - 1]))
		len--;
	for (size_t i = 0; i < len; i++)
		str_addch(out, name[i] == '-' ? '_' : (char)tolower((unsigned char)name[i]));
}

static bool is_secret(const char *name, size_t len, const struct strv *patterns)
{
	struct str normal = STR_INIT;
	bool found = false;

	normal_name(name, len, &normal);
	for (size_t i = 0; i < patterns->n && normal.len && !found; i++)
		found = fnmatch(patterns->v[i], normal.buf, FNM_CASEFOLD) == 0;
	for (size_t i = 0; i < ARRAY_SIZE(harmless) && found; i++)
		found = !has_suffix(normal.buf, harmless[i]);
	str_release(&normal);
	return found;
}

bool secrets_is_name(const char *name, const struct strv *patterns)
{
	return is_secret(name, strlen(name), patterns);
}

/* ---- values ---- */

static bool is_key_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.';
}

/* The length of a known key at 'p', or 0. */
static size_t service_key(const char *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(services); i++) {
		size_t len = strlen(services[i].prefix);

		if (strncmp(p, services[i].prefix, len) != 0)
			continue;
		while (is_key_char(p[len]))
			len++;
		if (len >= strlen(services[i].prefix) + services[i].min)
			return len;
	}
	return 0;
}

/* The length of "user:password" at 'p' (behind "://") if an '@' follows before the path, or 0. */
static size_t userinfo(const char *p)
{
	size_t authority = strcspn(p, "/?# \t\n\"'");
	size_t len = 0;

	for (size_t i = 0; i < authority; i++)
		if (p[i] == '@')
			len = i; /* the last one: a password may hold an '@' */
	return len;
}

/* "git@host" as ssh spells it is a name, not a secret. */
static bool is_ssh_user(const char *text, const char *scheme_end, size_t len)
{
	size_t before = (size_t)(scheme_end - text);
	bool is_ssh = before >= 3 && memcmp(scheme_end - 3, "ssh", 3) == 0;

	return is_ssh && !memchr(scheme_end + 3, ':', len);
}

/* What starts at 'p' and has to be hidden: its length, and in 'skip' what of it stays. */
static size_t secret_at(const char *text, const char *p, size_t *skip)
{
	*skip = 0;
	if (strncmp(p, "://", 3) == 0) {
		size_t len = userinfo(p + 3);

		*skip = 3;
		return len && !is_ssh_user(text, p, len) ? 3 + len : 0;
	}
	if (p > text && (is_key_char(p[-1])))
		return 0;
	if (strncasecmp(p, "bearer ", 7) == 0) {
		size_t len = 7;

		while (is_key_char(p[len]))
			len++;
		*skip = 7;
		return len > 7 + 8 ? len : 0; /* "bearer of news" is none */
	}
	return service_key(p);
}

void secrets_mask_text(const char *text, struct str *out)
{
	const char *p = text;

	while (*p) {
		size_t skip;
		size_t len = secret_at(text, p, &skip);

		if (!len) {
			str_addch(out, *p++);
			continue;
		}
		str_add(out, p, skip);
		str_adds(out, HIDDEN);
		p += len;
	}
}

void secrets_mask_value(const char *name, const char *value, const struct strv *patterns,
			struct str *out)
{
	if (*value && secrets_is_name(name, patterns))
		str_adds(out, HIDDEN);
	else
		secrets_mask_text(value, out);
}

/* ---- argv ---- */

/* What the words before say about the next one. */
struct masking {
	const struct strv *patterns;
	bool hide_next; /* the word before was "--api-key" */
	bool is_wandb;	/* W&B keys are 40 hex digits, which elsewhere are git commits */
	struct str *out;
};

static bool is_hex40(const char *word, size_t len)
{
	return len == 40 && strspn(word, "0123456789abcdef") >= 40;
}

static void mask_plain(struct masking *m, const char *word, size_t len)
{
	struct str copy = STR_INIT;

	str_add(&copy, word, len);
	secrets_mask_text(copy.buf, m->out);
	str_release(&copy);
}

/* A flag whose value is the next word: "--token", and "token:" as in YAML or JSON. */
static bool announces(const char *word, size_t len, const struct strv *patterns)
{
	return len > 1 && (word[0] == '-' || word[len - 1] == ':') &&
	       is_secret(word, len, patterns);
}

static void mask_word(struct masking *m, const char *word, size_t len)
{
	const char *sign = memchr(word, '=', len);
	size_t name_len = sign ? (size_t)(sign - word) : 0;
	bool hide = m->hide_next && !(len > 1 && word[0] == '-' && word[1] == '-');

	m->hide_next = false;
	m->is_wandb = m->is_wandb || memmem(word, len, "wandb", 5);
	if (hide || (m->is_wandb && is_hex40(word, len))) {
		str_adds(m->out, HIDDEN);
	} else if (sign && name_len + 1 < len && is_secret(word, name_len, m->patterns)) {
		str_add(m->out, word, name_len + 1);
		str_adds(m->out, HIDDEN);
	} else {
		m->hide_next = !sign && announces(word, len, m->patterns);
		mask_plain(m, word, len);
	}
}

/* An argument with blanks in it may be a whole command ("sh -c '...'"): word by word. */
static void mask_words(struct masking *m, const char *text)
{
	bool is_single = !text[strcspn(text, " \t\n")];
	const char *sign = strchr(text, '=');
	struct str whole = STR_INIT;

	if (is_single || m->hide_next ||
	    (sign && is_secret(text, (size_t)(sign - text), m->patterns) &&
	     strcspn(text, " \t\n") > (size_t)(sign - text))) {
		mask_word(m, text, strlen(text));
		return;
	}
	secrets_mask_text(text, &whole); /* what spans words, such as "Bearer ..." */
	for (const char *p = whole.buf; *p;) {
		size_t blanks = strspn(p, " \t\n");
		size_t len = strcspn(p + blanks, " \t\n");

		str_add(m->out, p, blanks);
		if (len)
			mask_word(m, p + blanks, len);
		p += blanks + len;
	}
	m->hide_next = false;
	str_release(&whole);
}

void secrets_mask_argv(char *const *argv, const struct strv *patterns, struct strv *out)
{
	struct masking m = { .patterns = patterns };

	for (; argv && *argv; argv++) {
		struct str text = STR_INIT;

		m.out = &text;
		mask_words(&m, *argv);
		strv_push_take(out, str_detach(&text));
	}
}
