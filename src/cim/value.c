/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>

#include "base/str.h"
#include "cim/request.h"

/* Shown of a refused value; the rest says nothing new. */
enum { SHOWN_MAX = 80 };

static int shown(size_t n)
{
	return n > SHOWN_MAX ? SHOWN_MAX : (int)n;
}

static const struct {
	bool is_signed;
	int64_t min;
	uint64_t max;
} range[CIM_N_TYPES] = {
	[CIM_UINT8] = {false, 0,         UINT8_MAX },
          [CIM_UINT16] = {false, 0,         UINT16_MAX},
	[CIM_UINT32] = {false, 0,         UINT32_MAX},
          [CIM_UINT64] = {false, 0,         UINT64_MAX},
	[CIM_SINT8] = {true,  INT8_MIN,  INT8_MAX  },
          [CIM_SINT16] = {true,  INT16_MIN, INT16_MAX },
	[CIM_SINT32] = {true,  INT32_MIN, INT32_MAX },
          [CIM_SINT64] = {true,  INT64_MIN, INT64_MAX },
};

static bool text_eq(const struct cim_value *a, const struct cim_value *b)
{
	return a->n == b->n && memcmp(a->s, b->s, a->n) == 0;
}

static bool object_eq(const struct cim_instance *a, const struct cim_instance *b)
{
	if (a->cls != b->cls)
		return false;
	for (unsigned i = 0; i < a->cls->n_props; i++)
		if (!cim_value_eq(&a->v[i], &b->v[i]))
			return false;
	return true;
}

bool cim_value_eq(const struct cim_value *a, const struct cim_value *b)
{
	if (a->type != b->type || a->kind != b->kind || a->type == CIM_UNTYPED)
		return false;
	if (a->kind == CIM_V_NULL)
		return true;
	if (a->kind == CIM_V_ARRAY) {
		if (a->n != b->n)
			return false;
		for (uint32_t i = 0; i < a->n; i++)
			if (!cim_value_eq(&a->a[i], &b->a[i]))
				return false;
		return true;
	}
	switch ((enum cim_type)a->type) {
	case CIM_STRING:
	case CIM_DATETIME:
		return text_eq(a, b);
	case CIM_REF:
		return cim_path_eq(a->ref, b->ref);
	case CIM_OBJECT:
		if (a->hint == CIM_HINT_RAW || b->hint == CIM_HINT_RAW)
			return false;
		return object_eq(a->inst, b->inst);
	case CIM_BOOLEAN:
	case CIM_UINT8:
	case CIM_SINT8:
	case CIM_UINT16:
	case CIM_SINT16:
	case CIM_UINT32:
	case CIM_SINT32:
	case CIM_UINT64:
	case CIM_SINT64:
	case CIM_REAL32:
	case CIM_REAL64:
	case CIM_CHAR16:
		return a->u == b->u; /* reals too: the same bits */
	case CIM_UNTYPED:
	case CIM_N_TYPES:
		break;
	}
	return false;
}

/* DSP0201 §5.2.4.2: decimal or 0x hexadecimal, an optional sign in front. */
static bool parse_int(enum cim_type t, const char *s, size_t n, struct cim_value *ret)
{
	bool neg = n && s[0] == '-';
	uint64_t u;

	if (n && (s[0] == '-' || s[0] == '+'))
		s++, n--;
	if (n > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		if (!str_hex64(s + 2, n - 2, &u))
			return false;
	} else if (!str_u64(s, n, UINT64_MAX, &u)) {
		return false;
	}
	if (!range[t].is_signed) {
		if ((neg && u) || u > range[t].max)
			return false;
		ret->u = u;
	} else if (neg) {
		/* the magnitude of the smallest value, without overflowing on the way */
		if (u > (uint64_t)(-(range[t].min + 1)) + 1)
			return false;
		ret->i = u ? -(int64_t)(u - 1) - 1 : 0;
	} else {
		if (u > range[t].max)
			return false;
		ret->i = (int64_t)u;
	}
	return true;
}

static size_t digits(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && s[i] >= '0' && s[i] <= '9')
		i++;
	return i;
}

static bool is_real(const char *s, size_t n)
{
	size_t i = 0, whole, part = 0;

	if (i < n && (s[i] == '-' || s[i] == '+'))
		i++;
	whole = digits(s + i, n - i);
	i += whole;
	if (i < n && s[i] == '.') {
		part = digits(s + i + 1, n - i - 1);
		i += 1 + part;
	}
	if (whole + part == 0)
		return false;
	if (i < n && (s[i] == 'e' || s[i] == 'E')) {
		size_t e;

		i++;
		if (i < n && (s[i] == '-' || s[i] == '+'))
			i++;
		e = digits(s + i, n - i);
		if (e == 0)
			return false;
		i += e;
	}
	return i == n;
}

static bool parse_real(enum cim_type t, const char *s, size_t n, struct cim_value *ret)
{
	auto_free char *text = NULL;

	if (str_caseeqn(s, n, "INF") || str_caseeqn(s, n, "-INF")) {
		ret->r = s[0] == '-' ? -HUGE_VAL : HUGE_VAL;
		return true;
	}
	if (str_caseeqn(s, n, "NaN")) {
		ret->r = (double)NAN;
		return true;
	}
	if (!is_real(s, n))
		return false;
	text = xmalloc(n + 1); /* a path's text goes on, or ends without a NUL */
	memcpy(text, s, n);
	text[n] = '\0';
	ret->r = t == CIM_REAL32 ? (double)strtof(text, NULL) : strtod(text, NULL);
	return isfinite(ret->r);
}

/* One UCS-2 character. */
static bool parse_char16(const char *s, size_t n, struct cim_value *ret)
{
	const unsigned char *c = (const unsigned char *)s;
	size_t chars;

	if (!str_utf8(s, n, &chars) || chars != 1 || n > 3)
		return false;
	ret->u = n == 1   ? c[0]
		 : n == 2 ? (c[0] & 0x1fU) << 6 | (c[1] & 0x3fU)
			  : (c[0] & 0x0fU) << 12 | (c[1] & 0x3fU) << 6 | (c[2] & 0x3fU);
	return true;
}

static const char *allowed(enum cim_type t)
{
	switch (t) {
	case CIM_BOOLEAN:
		return "true or false";
	case CIM_UINT8:
		return "0..255";
	case CIM_SINT8:
		return "-128..127";
	case CIM_UINT16:
		return "0..65535";
	case CIM_SINT16:
		return "-32768..32767";
	case CIM_UINT32:
		return "0..4294967295";
	case CIM_SINT32:
		return "-2147483648..2147483647";
	case CIM_UINT64:
		return "0..18446744073709551615";
	case CIM_SINT64:
		return "-9223372036854775808..9223372036854775807";
	case CIM_REAL32:
	case CIM_REAL64:
		return "a decimal number";
	case CIM_CHAR16:
		return "one character";
	case CIM_STRING:
	case CIM_UNTYPED:
		return "UTF-8 text without control characters";
	case CIM_DATETIME:
		return "yyyymmddhhmmss.mmmmmmsutc or ddddddddhhmmss.mmmmmm:000";
	case CIM_REF:
		return "an object path";
	case CIM_OBJECT:
		return "an embedded instance";
	case CIM_N_TYPES:
		break;
	}
	return "nothing";
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool parse(enum cim_type t, const char *s, size_t n, struct cim_value *ret)
{
	if (t <= CIM_REAL64) { /* blanks around numbers and booleans say nothing (DSP0201) */
		for (; n && is_blank(s[0]); s++)
			n--;
		while (n && is_blank(s[n - 1]))
			n--;
	}
	switch (t) {
	case CIM_BOOLEAN:
		ret->u = str_caseeqn(s, n, "true");
		return ret->u || str_caseeqn(s, n, "false");
	case CIM_UINT8:
	case CIM_SINT8:
	case CIM_UINT16:
	case CIM_SINT16:
	case CIM_UINT32:
	case CIM_SINT32:
	case CIM_UINT64:
	case CIM_SINT64:
		return parse_int(t, s, n, ret);
	case CIM_REAL32:
	case CIM_REAL64:
		return parse_real(t, s, n, ret);
	case CIM_CHAR16:
		return parse_char16(s, n, ret);
	case CIM_DATETIME:
	case CIM_STRING:
	case CIM_UNTYPED:
		ret->s = s;
		ret->n = (uint32_t)n;
		return t == CIM_DATETIME ? cim_datetime_ok(s, n)
					 : n <= UINT32_MAX && str_utf8_xml(s, n);
	case CIM_REF:
	case CIM_OBJECT:
	case CIM_N_TYPES:
		break;
	}
	return false;
}

int cim_value_parse(enum cim_type t, const char *s, size_t n, struct cim_value *ret, struct err *e)
{
	struct cim_value v = {.type = (uint8_t)t, .kind = CIM_V_SCALAR};

	if (!parse(t, s, n, &v))
		return err_set(e, -EINVAL, "\"%.*s\" is no %s; allowed: %s", shown(n), s,
			       t == CIM_OBJECT ? "object" : cim_type_name(t), allowed(t));
	*ret = v;
	return 0;
}

int cim_value_retype(struct cim_value *v, enum cim_type t, struct err *e)
{
	if (v->kind == CIM_V_NULL) {
		*v = cim_null(t);
		return 0;
	}
	if (v->type == t)
		return 0;
	if (v->kind == CIM_V_ARRAY)
		return err_set(e, -EINVAL, "an array stands where a single %s belongs",
			       cim_type_name(t));
	if (v->type != CIM_UNTYPED)
		return err_set(e, -EINVAL, "a %s stands where a %s belongs; allowed: %s",
			       cim_type_name(v->type), cim_type_name(t), allowed(t));
	return cim_value_parse(t, v->s, v->n, v, e);
}

struct cim_raw_instance *cim_raw_instance_dup(struct arena *a, const struct cim_raw_instance *raw)
{
	struct cim_raw_instance *c = arena_zalloc(a, sizeof(*c));

	if (!c)
		return NULL;
	c->class_name = arena_strdup(a, raw->class_name);
	c->n_props = raw->n_props;
	c->props = arena_zalloc(a, raw->n_props * sizeof(*c->props));
	if (!c->class_name || !c->props)
		return NULL;
	for (uint32_t i = 0; i < raw->n_props; i++) {
		c->props[i] = raw->props[i];
		c->props[i].name = arena_strdup(a, raw->props[i].name);
		if (!c->props[i].name || !cim_value_dup(a, &raw->props[i].v, &c->props[i].v))
			return NULL;
	}
	if (raw->path) {
		c->path = cim_path_dup(a, raw->path);
		if (!c->path)
			return NULL;
	}
	if (raw->text) {
		c->text = arena_strndup(a, raw->text, raw->n_text);
		c->n_text = raw->n_text;
		if (!c->text)
			return NULL;
	}
	return c;
}

static bool array_dup(struct arena *a, const struct cim_value *v, struct cim_value *ret)
{
	struct cim_value *to = arena_alloc(a, v->n * sizeof(*to));

	if (!to)
		return false;
	for (uint32_t i = 0; i < v->n; i++)
		if (!cim_value_dup(a, &v->a[i], &to[i]))
			return false;
	ret->a = to;
	return true;
}

bool cim_value_dup(struct arena *a, const struct cim_value *v, struct cim_value *ret)
{
	struct cim_value c = *v;

	if (v->kind == CIM_V_ARRAY) {
		if (!array_dup(a, v, &c))
			return false;
	} else if (v->kind == CIM_V_SCALAR) {
		if (v->type == CIM_STRING || v->type == CIM_DATETIME || v->type == CIM_UNTYPED) {
			c.s = arena_strndup(a, v->s, v->n);
			if (!c.s)
				return false;
		} else if (v->type == CIM_REF) {
			c.ref = cim_path_dup(a, v->ref);
			if (!c.ref)
				return false;
		} else if (v->type == CIM_OBJECT) {
			if (v->hint == CIM_HINT_RAW)
				c.inst = cim_raw_to_value(cim_raw_instance_dup(a, cim_raw_of(v)))
						 .inst;
			else
				c.inst = cim_instance_dup(a, v->inst);
			if (!c.inst)
				return false;
		}
	}
	*ret = c;
	return true;
}
