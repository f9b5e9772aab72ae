#include "base/base.h"

#include "app/packed.h"

enum kind { UNDEFINED, FALSE, TRUE, INTEGER, REAL, TEXT, JSON };

static void add_kind(struct str *out, enum kind kind)
{
	str_addch(out, (char)kind);
}

static void add_zero_ended(struct str *out, const char *text)
{
	str_add(out, text, strlen(text) + 1);
}

void packed_add_text(struct str *out, const char *text)
{
	add_kind(out, text ? TEXT : UNDEFINED);
	if (text)
		add_zero_ended(out, text);
}

static void add_number(struct str *out, const struct value *value)
{
	add_kind(out, value->is_integer ? INTEGER : REAL);
	if (value->is_integer)
		str_add(out, (const char *)&value->integer, sizeof(value->integer));
	else
		str_add(out, (const char *)&value->number, sizeof(value->number));
	add_zero_ended(out, value->text);
}

void packed_add(struct str *out, const struct value *value)
{
	switch (value->type) {
	case VALUE_UNDEFINED:
		add_kind(out, UNDEFINED);
		break;
	case VALUE_TRUTH:
		add_kind(out, value->truth ? TRUE : FALSE);
		break;
	case VALUE_NUMBER:
		add_number(out, value);
		break;
	case VALUE_TEXT:
		packed_add_text(out, value->text);
		break;
	case VALUE_JSON:
		add_kind(out, JSON);
		value_add_text(value, out);
		str_addch(out, '\0');
		break;
	}
}

static const char *read_text(const char *at, enum value_type type, struct value *out)
{
	out->type = type;
	out->text = (char *)(uintptr_t)at;
	return at + strlen(at) + 1;
}

static const char *read_integer(const char *at, struct value *out)
{
	memcpy(&out->integer, at, sizeof(out->integer));
	out->is_integer = true;
	out->number = (double)out->integer;
	return read_text(at + sizeof(out->integer), VALUE_NUMBER, out);
}

static const char *read_real(const char *at, struct value *out)
{
	memcpy(&out->number, at, sizeof(out->number));
	return read_text(at + sizeof(out->number), VALUE_NUMBER, out);
}

const char *packed_read(const char *at, struct value *out)
{
	enum kind kind = (enum kind) * at++;

	*out = (struct value)VALUE_INIT;
	switch (kind) {
	case UNDEFINED:
		break;
	case FALSE:
	case TRUE:
		out->type = VALUE_TRUTH;
		out->truth = kind == TRUE;
		break;
	case INTEGER:
		return read_integer(at, out);
	case REAL:
		return read_real(at, out);
	case TEXT:
		return read_text(at, VALUE_TEXT, out);
	case JSON:
		return read_text(at, VALUE_JSON, out);
	}
	return at;
}

const char *packed_read_text(const char *at, const char **text)
{
	struct value value;

	at = packed_read(at, &value);
	*text = value.text;
	return at;
}
