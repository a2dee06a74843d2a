/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar of DSP0004 annex A, less instance declarations, aliases and the locale pragma:
 * our MOF declares classes and qualifiers, nothing else.
 *
 * Errors are sticky: after the first one every token is the end of the input, so the descent
 * unwinds by itself and no rule has to look at another's result.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/str.h"
#include "mofc/mofc.h"

enum tok { T_END, T_NAME, T_STRING, T_INT, T_REAL, T_CHAR, T_PRAGMA, T_PUNCT };

struct parser {
	struct mofc *m;
	struct mofc_file *file;
	const char *p, *end;
	int line, tok_line;
	enum tok tok;
	char punct;
	const char *text; /* T_NAME, T_STRING: NUL-terminated, the arena's */
	size_t n;
	uint64_t u; /* T_INT: magnitude; T_CHAR */
	bool neg;
	double r;
	struct err *e;
	int failed; /* negative errno */
};

int mofc_err(struct err *e, struct mofc_loc loc, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(e, -EINVAL, "%s:%d: %s", loc.file->path, loc.line, text);
}

static struct mofc_loc here(const struct parser *p)
{
	return (struct mofc_loc){p->file, p->tok_line};
}

static void fail_at(struct parser *p, int line, const char *what)
{
	if (!p->failed)
		p->failed = mofc_err(p->e, (struct mofc_loc){p->file, line}, "%s", what);
	p->tok = T_END;
	p->p = p->end;
}

PRINTF(2, 3) static void fail(struct parser *p, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fail_at(p, p->tok_line, text);
}

/* n bytes of zeroes; on a full arena the parse fails, and what is returned must still be safe. */
static void *get(struct parser *p, size_t n)
{
	void *q = arena_zalloc(p->m->arena, n);

	if (!q) {
		if (!p->failed)
			p->failed = err_set(p->e, -ENOMEM, "%s: too large", p->file->path);
		p->tok = T_END;
		p->p = p->end;
	}
	return q;
}

/* ---- tokens ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name(char c)
{
	return is_name_start(c) || is_digit(c);
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c = str_lower_c(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void skip_blank(struct parser *p)
{
	while (p->p < p->end) {
		char c = *p->p;

		if (c == '\n') {
			p->line++;
			p->p++;
		} else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v') {
			p->p++;
		} else if (c == '/' && p->end - p->p > 1 && p->p[1] == '/') {
			while (p->p < p->end && *p->p != '\n')
				p->p++;
		} else if (c == '/' && p->end - p->p > 1 && p->p[1] == '*') {
			int start = p->line;

			p->p += 2;
			while (p->end - p->p > 1 && !(p->p[0] == '*' && p->p[1] == '/'))
				p->line += *p->p++ == '\n';
			if (p->end - p->p < 2) {
				fail_at(p, start, "comment without end");
				return;
			}
			p->p += 2;
		} else {
			return;
		}
	}
}

static size_t put_utf8(char *at, uint32_t c)
{
	if (c < 0x80) {
		at[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		at[0] = (char)(0xc0 | c >> 6);
		at[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	at[0] = (char)(0xe0 | c >> 12);
	at[1] = (char)(0x80 | (c >> 6 & 0x3f));
	at[2] = (char)(0x80 | (c & 0x3f));
	return 3;
}

/* After the backslash: one character of DSP0004 §A.2 escapes.  0 after a failure. */
static uint32_t escape(struct parser *p)
{
	static const char from[] = "btnfr\"'\\", to[] = "\b\t\n\f\r\"'\\";
	const char *f;
	uint32_t c = 0;
	int digits = 0;

	if (p->p == p->end) {
		fail(p, "string without end");
		return 0;
	}
	f = *p->p ? strchr(from, *p->p) : NULL;
	if (f) {
		p->p++;
		return (uint8_t)to[f - from];
	}
	if (*p->p != 'x' && *p->p != 'X') {
		fail(p, "unknown escape; known are \\b \\t \\n \\f \\r \\\" \\' \\\\ and \\x");
		return 0;
	}
	p->p++;
	while (digits < 4 && p->p < p->end && hex_value(*p->p) >= 0) {
		c = c << 4 | (uint32_t)hex_value(*p->p++);
		digits++;
	}
	if (!c || (c >= 0xd800 && c <= 0xdfff)) {
		fail(p, "\\x stands before 1 to 4 hex digits of a character other than 0");
		return 0;
	}
	return c;
}

static void lex_string(struct parser *p)
{
	/* No escape makes a text longer than it was written. */
	const char *q = p->p + 1;
	char *s;
	size_t n = 0;

	while (q < p->end && *q != '"' && *q != '\n')
		q += *q == '\\' && p->end - q > 1 ? 2 : 1;
	if (q >= p->end || *q != '"') {
		fail(p, "string without end");
		return;
	}
	s = get(p, (size_t)(q - p->p) + 1);
	if (!s)
		return;
	p->p++;
	while (p->p < p->end && *p->p != '"') {
		if (*p->p == '\\') {
			p->p++;
			n += put_utf8(s + n, escape(p));
		} else {
			s[n++] = *p->p++;
		}
	}
	if (p->failed)
		return;
	p->p++;
	s[n] = '\0';
	if (!str_utf8_xml(s, n)) {
		fail(p, "string is not UTF-8, or has a character that XML cannot carry");
		return;
	}
	p->tok = T_STRING;
	p->text = s;
	p->n = n;
}

static void lex_char(struct parser *p)
{
	p->p++;
	p->tok = T_CHAR;
	if (p->p < p->end && *p->p == '\\') {
		p->p++;
		p->u = escape(p);
	} else if (p->p < p->end && *p->p >= ' ' && *p->p < 0x7f && *p->p != '\'') {
		p->u = (uint8_t)*p->p++;
	} else {
		fail(p, "a character is one of ASCII, or \\x and hex digits");
	}
	if (p->failed)
		return;
	if (p->p == p->end || *p->p != '\'') {
		fail(p, "character without closing '");
		return;
	}
	p->p++;
}

static void lex_real(struct parser *p, const char *digits, size_t n)
{
	char *rest, text[64];

	if (n >= sizeof(text) || memchr(digits, 'x', n) || memchr(digits, 'X', n)) {
		fail(p, "not a number");
		return;
	}
	memcpy(text, digits, n);
	text[n] = '\0';
	p->r = strtod(text, &rest);
	if (*rest || rest == text) {
		fail(p, "not a number: %s", text);
		return;
	}
	p->r = p->neg ? -p->r : p->r;
	p->tok = T_REAL;
}

/* 12, 0x1f, 017, 101b */
static void lex_int(struct parser *p, const char *digits, size_t n)
{
	unsigned base = 10;

	if (n > 2 && digits[0] == '0' && str_lower_c(digits[1]) == 'x') {
		base = 16;
		digits += 2;
		n -= 2;
	} else if (n > 1 && str_lower_c(digits[n - 1]) == 'b') {
		base = 2;
		n--;
	} else if (n > 1 && digits[0] == '0') {
		base = 8;
	}
	p->u = 0;
	for (size_t i = 0; i < n; i++) {
		int d = hex_value(digits[i]);

		if (d < 0 || (unsigned)d >= base) {
			fail(p, "not a number");
			return;
		}
		if (p->u > (UINT64_MAX - (unsigned)d) / base) {
			fail(p, "number too large");
			return;
		}
		p->u = p->u * base + (unsigned)d;
	}
	p->tok = T_INT;
}

static void lex_number(struct parser *p)
{
	const char *s = p->p, *digits;
	bool real = false;

	p->neg = *s == '-';
	if (*s == '-' || *s == '+')
		s++;
	for (digits = s; s < p->end; s++) {
		bool exponent = real && (*s == '+' || *s == '-') && str_lower_c(s[-1]) == 'e';

		if (!is_name(*s) && *s != '.' && !exponent)
			break;
		real |= *s == '.';
	}
	p->p = s;
	if (s == digits)
		fail(p, "a sign without a number");
	else if (real)
		lex_real(p, digits, (size_t)(s - digits));
	else
		lex_int(p, digits, (size_t)(s - digits));
}

static void next(struct parser *p)
{
	char c;

	skip_blank(p);
	p->tok_line = p->line;
	p->tok = T_END;
	if (p->p == p->end)
		return;
	c = *p->p;
	if (is_name_start(c)) {
		const char *s = p->p;
		char *t;

		while (p->p < p->end && is_name(*p->p))
			p->p++;
		t = get(p, (size_t)(p->p - s) + 1);
		if (!t)
			return;
		p->n = (size_t)(p->p - s);
		memcpy(t, s, p->n);
		p->text = t;
		p->tok = T_NAME;
	} else if (c == '"') {
		lex_string(p);
	} else if (c == '\'') {
		lex_char(p);
	} else if (is_digit(c) || c == '-' || c == '+' || c == '.') {
		lex_number(p);
	} else if (c == '#') {
		p->p++;
		p->tok = T_PRAGMA;
	} else if (c && strchr("[](){},;:=", c)) {
		p->p++;
		p->tok = T_PUNCT;
		p->punct = c;
	} else if (c > ' ' && c < 0x7f) {
		fail(p, "unexpected character %c", c);
	} else {
		fail(p, "unexpected byte 0x%02x", (unsigned)(uint8_t)c);
	}
}

static bool at(const struct parser *p, char c)
{
	return p->tok == T_PUNCT && p->punct == c;
}

static bool accept(struct parser *p, char c)
{
	if (!at(p, c))
		return false;
	next(p);
	return true;
}

static void expect(struct parser *p, char c, const char *where)
{
	if (!accept(p, c))
		fail(p, "'%c' expected %s", c, where);
}

static bool at_word(const struct parser *p, const char *word)
{
	return p->tok == T_NAME && str_caseeq(p->text, word);
}

/* One of the types with a name of their own: not a reference, that one has its class. */
static bool at_type(const struct parser *p, enum cim_type *ret)
{
	return p->tok == T_NAME && cim_type_parse(p->text, p->n, ret) && *ret != CIM_REF;
}

/* A name, or "" after a failure. */
static const char *name(struct parser *p, const char *of_what)
{
	const char *s = p->text;

	if (p->tok != T_NAME) {
		fail(p, "name of a %s expected", of_what);
		return "";
	}
	next(p);
	return s;
}

/* ---- constants ---- */

static void string_constant(struct parser *p, struct mofc_lit *l)
{
	l->kind = LIT_STRING;
	l->s = p->text;
	l->n = p->n;
	next(p);
	/* Strings that follow each other are one (DSP0004 §A.2). */
	while (p->tok == T_STRING) {
		char *s = get(p, l->n + p->n + 1);

		if (!s)
			return;
		memcpy(s, l->s, l->n);
		memcpy(s + l->n, p->text, p->n);
		l->s = s;
		l->n += p->n;
		next(p);
	}
}

static void constant(struct parser *p, struct mofc_lit *l)
{
	switch (p->tok) {
	case T_STRING:
		string_constant(p, l);
		return;
	case T_INT:
		*l = (struct mofc_lit){.kind = LIT_INT, .u = p->u, .neg = p->neg};
		break;
	case T_REAL:
		*l = (struct mofc_lit){.kind = LIT_REAL, .r = p->r};
		break;
	case T_CHAR:
		*l = (struct mofc_lit){.kind = LIT_CHAR, .u = p->u};
		break;
	case T_NAME:
		if (at_word(p, "true") || at_word(p, "false"))
			*l = (struct mofc_lit){.kind = LIT_BOOL, .u = at_word(p, "true")};
		else if (at_word(p, "null"))
			l->kind = LIT_NULL;
		else
			fail(p, "value expected, not the name %s", p->text);
		break;
	default:
		fail(p, "value expected");
	}
	next(p);
}

static void array_constant(struct parser *p, struct mofc_lit *l)
{
	size_t cap = 0;

	l->kind = LIT_ARRAY;
	expect(p, '{', "before a list of values");
	if (accept(p, '}'))
		return;
	do {
		if (l->n == cap) {
			struct mofc_lit *a = get(p, (cap * 2 + 8) * sizeof(*a));

			if (!a)
				return;
			if (cap)
				memcpy(a, l->a, cap * sizeof(*a));
			l->a = a;
			cap = cap * 2 + 8;
		}
		constant(p, &l->a[l->n]);
		l->n++;
	} while (accept(p, ','));
	expect(p, '}', "after a list of values");
}

static void initializer(struct parser *p, struct mofc_lit *l)
{
	if (at(p, '{'))
		array_constant(p, l);
	else
		constant(p, l);
}

/* ---- qualifiers ---- */

static const struct {
	const char *word;
	uint8_t set, clear;
} flavors[] = {
	{"EnableOverride",  CIM_Q_OVERRIDABLE,  0                },
        {"DisableOverride", 0,                  CIM_Q_OVERRIDABLE},
	{"ToSubclass",      CIM_Q_TOSUBCLASS,   0                },
        {"Restricted",      0,                  CIM_Q_TOSUBCLASS },
	{"ToInstance",      CIM_Q_TOINSTANCE,   0                },
        {"Translatable",    CIM_Q_TRANSLATABLE, 0                },
};

static void flavor(struct parser *p, uint8_t *set, uint8_t *clear)
{
	for (size_t i = 0; i < ARRAY_SIZE(flavors); i++) {
		if (!at_word(p, flavors[i].word))
			continue;
		if ((*set & flavors[i].clear) || (*clear & flavors[i].set))
			fail(p, "flavor %s contradicts one before it", p->text);
		*set |= flavors[i].set;
		*clear |= flavors[i].clear;
		next(p);
		return;
	}
	fail(p, "flavor expected: EnableOverride, DisableOverride, ToSubclass, Restricted, "
		"ToInstance or Translatable");
}

/* [ name, name (value), name {values} : flavor ... ] */
static struct mofc_qual *qualifier_list(struct parser *p)
{
	struct mofc_qual *first = NULL, **tail = &first;

	if (!accept(p, '['))
		return NULL;
	do {
		struct mofc_qual *q = get(p, sizeof(*q));

		if (!q)
			return NULL;
		q->loc = here(p);
		q->name = name(p, "qualifier");
		if (accept(p, '(')) {
			q->has_lit = true;
			constant(p, &q->lit);
			expect(p, ')', "after a qualifier's value");
		} else if (at(p, '{')) {
			q->has_lit = true;
			array_constant(p, &q->lit);
		}
		if (accept(p, ':'))
			while (p->tok == T_NAME)
				flavor(p, &q->flavor_set, &q->flavor_clear);
		*tail = q;
		tail = &q->next;
	} while (accept(p, ','));
	expect(p, ']', "after a list of qualifiers");
	return first;
}

static const struct {
	const char *word;
	uint16_t bits;
} scopes[] = {
	{"class",       CIM_S_CLASS						    },
	{"association", CIM_S_ASSOCIATION					      },
	{"indication",  CIM_S_INDICATION					       },
	{"property",    CIM_S_PROPERTY						 },
	{"reference",   CIM_S_REFERENCE						},
	{"method",      CIM_S_METHOD						   },
	{"parameter",   CIM_S_PARAMETER						},
	{"any",         CIM_S_CLASS | CIM_S_ASSOCIATION | CIM_S_INDICATION | CIM_S_PROPERTY |
			CIM_S_REFERENCE | CIM_S_METHOD | CIM_S_PARAMETER},
};

static void scope(struct parser *p, struct mofc_qualdecl *d)
{
	for (size_t i = 0; i < ARRAY_SIZE(scopes); i++)
		if (at_word(p, scopes[i].word)) {
			d->scope |= scopes[i].bits;
			next(p);
			return;
		}
	fail(p, "scope expected: class, association, indication, property, reference, method, "
		"parameter or any");
}

static uint32_t array_bound(struct parser *p)
{
	uint64_t n = 0;

	if (p->tok == T_INT) {
		n = p->u;
		if (p->neg || !n || n > UINT32_MAX)
			fail(p, "size of an array out of range");
		next(p);
	}
	expect(p, ']', "after an array's size");
	return (uint32_t)n;
}

/* Qualifier Name : type [= default], Scope (...), Flavor (...); */
static void qualifier_declaration(struct parser *p)
{
	struct mofc_qualdecl *d = get(p, sizeof(*d)), **tail = &p->m->qualdecls;
	uint8_t set = 0, clear = 0;

	if (!d)
		return;
	d->loc = here(p);
	d->name = name(p, "qualifier");
	expect(p, ':', "after a qualifier's name");
	if (!at_type(p, &d->type))
		fail(p, "type of qualifier %s expected", d->name);
	next(p);
	if (accept(p, '[')) {
		d->array = true;
		(void)array_bound(p);
	}
	if (accept(p, '='))
		initializer(p, &d->lit);
	while (accept(p, ',')) {
		if (at_word(p, "Scope")) {
			next(p);
			expect(p, '(', "after Scope");
			do
				scope(p, d);
			while (accept(p, ','));
			expect(p, ')', "after the scopes");
		} else if (at_word(p, "Flavor")) {
			next(p);
			expect(p, '(', "after Flavor");
			do
				flavor(p, &set, &clear);
			while (accept(p, ','));
			expect(p, ')', "after the flavors");
		} else {
			fail(p, "Scope or Flavor expected");
		}
	}
	expect(p, ';', "after a qualifier declaration");
	if (!p->failed && !d->scope)
		fail(p, "qualifier %s has no scope", d->name);
	/* DSP0004 §5.6.1.2: these hold unless the opposite is said. */
	d->flavor = (uint8_t)(((CIM_Q_OVERRIDABLE | CIM_Q_TOSUBCLASS) | set) & ~clear);
	while (*tail)
		tail = &(*tail)->next;
	*tail = d;
	p->m->n_qualdecls++;
}

/* ---- classes ---- */

/* A type, or the name of a class and REF.  The type of a feature or parameter. */
static void type(struct parser *p, struct mofc_feature *f)
{
	bool known = at_type(p, &f->type);
	const char *word = name(p, "type");

	if (at_word(p, "ref")) {
		next(p);
		f->type = CIM_REF;
		f->ref_name = word;
	} else if (!known) {
		fail(p, "no such type: %s", word);
	}
}

static void parameters(struct parser *p, struct mofc_feature *method)
{
	struct mofc_feature **tail = &method->params;

	if (accept(p, ')'))
		return;
	do {
		struct mofc_feature *f = get(p, sizeof(*f));

		if (!f)
			return;
		f->own = qualifier_list(p);
		f->loc = here(p);
		type(p, f);
		f->name = name(p, "parameter");
		if (accept(p, '[')) {
			f->array = true;
			f->array_size = array_bound(p);
		}
		*tail = f;
		tail = &f->next;
		method->n_params++;
	} while (accept(p, ','));
	expect(p, ')', "after the parameters");
}

static struct mofc_feature *feature(struct parser *p)
{
	struct mofc_feature *f = get(p, sizeof(*f));

	if (!f)
		return NULL;
	f->own = qualifier_list(p);
	f->loc = here(p);
	type(p, f);
	f->name = name(p, "property or method");
	if (accept(p, '(')) {
		f->is_method = true;
		if (f->type == CIM_REF)
			fail(p, "method %s cannot return a reference", f->name);
		parameters(p, f);
	} else {
		if (accept(p, '[')) {
			f->array = true;
			f->array_size = array_bound(p);
		}
		if (accept(p, '=')) {
			f->has_dflt = true;
			initializer(p, &f->lit);
		}
	}
	expect(p, ';', "after a property or method");
	return f;
}

static void class_declaration(struct parser *p, struct mofc_qual *quals)
{
	struct mofc_class *c = get(p, sizeof(*c)), **tail = &p->m->classes;
	struct mofc_feature **ftail;

	if (!c)
		return;
	if (!at_word(p, "class")) {
		fail(p, "class, qualifier or #pragma expected");
		return;
	}
	next(p);
	c->own = quals;
	c->loc = here(p);
	c->name = name(p, "class");
	if (!p->failed && p->m->cur_ns < 0)
		fail(p, "class %s stands in no namespace; #pragma namespace comes first", c->name);
	if (accept(p, ':'))
		c->super_name = name(p, "superclass");
	expect(p, '{', "before a class's features");
	ftail = &c->features;
	while (!p->failed && !at(p, '}')) {
		*ftail = feature(p);
		if (*ftail)
			ftail = &(*ftail)->next;
	}
	expect(p, '}', "after a class's features");
	expect(p, ';', "after a class");
	if (p->failed)
		return;
	c->ns = 1U << p->m->cur_ns;
	while (*tail)
		tail = &(*tail)->next;
	*tail = c;
	p->m->n_classes++;
}

/* ---- files ---- */

static struct mofc_file *file_find(const struct mofc *m, const char *path)
{
	struct mofc_file *f = m->files;

	while (f && !streq(f->path, path))
		f = f->next;
	return f;
}

/* A file read before is now included in the current namespace as well. */
static void file_join(struct mofc *m, const struct mofc_file *f)
{
	for (struct mofc_class *c = m->classes; c; c = c->next)
		if (c->loc.file == f)
			c->ns |= 1U << m->cur_ns;
	for (size_t i = 0; i < f->n_includes; i++)
		file_join(m, f->includes[i]);
}

/* Files are found beside the one that includes them. */
static char *beside(struct parser *p, const char *rel)
{
	const char *slash = strrchr(p->file->path, '/');
	size_t n = slash ? (size_t)(slash - p->file->path) + 1 : 0;
	char *path = get(p, n + strlen(rel) + 1);

	if (path) {
		memcpy(path, p->file->path, n);
		memcpy(path + n, rel, strlen(rel));
	}
	return path;
}

static void remember_include(struct parser *p, struct mofc_file *f)
{
	struct mofc_file **a = get(p, (p->file->n_includes + 1) * sizeof(struct mofc_file *));

	if (!a)
		return;
	for (size_t i = 0; i < p->file->n_includes; i++)
		a[i] = p->file->includes[i];
	a[p->file->n_includes++] = f;
	p->file->includes = a;
}

static void include(struct parser *p, const char *rel)
{
	struct mofc *m = p->m;
	char *path = beside(p, rel);
	struct mofc_file *f;
	const char *text;
	int ns = m->cur_ns, r;
	size_t n;

	if (!path)
		return;
	f = file_find(m, path);
	if (f && f->open) {
		fail(p, "%s includes itself", path);
		return;
	}
	if (f) {
		remember_include(p, f);
		if (m->cur_ns >= 0)
			file_join(m, f);
		return;
	}
	if (!m->load || m->depth >= MOFC_MAX_INCLUDE_DEPTH) {
		fail(p, m->load ? "includes are nested too deep" : "includes are not allowed here");
		return;
	}
	r = m->load(m->load_ctx, path, m->arena, &text, &n, p->e);
	if (r < 0) {
		p->failed = err_in(p->e, "%s:%d", p->file->path, p->tok_line);
		p->p = p->end;
		return;
	}
	r = mofc_parse(m, path, text, n, p->e);
	if (r < 0) {
		p->failed = r;
		p->p = p->end;
		p->tok = T_END;
		return;
	}
	m->cur_ns = ns; /* what the included file said ends with it */
	remember_include(p, file_find(m, path));
}

static void set_namespace(struct parser *p, const char *ns)
{
	struct mofc *m = p->m;
	size_t i = 0;

	while (i < m->n_namespaces && !str_caseeq(m->namespaces[i], ns))
		i++;
	if (i == MOFC_MAX_NAMESPACES) {
		fail(p, "more than %d namespaces", MOFC_MAX_NAMESPACES);
		return;
	}
	if (i == m->n_namespaces)
		m->namespaces[m->n_namespaces++] = ns;
	m->cur_ns = (int)i;
}

/* #pragma include ("file"), #pragma namespace ("name") */
static void pragma(struct parser *p)
{
	struct mofc_lit arg = {0};
	const char *word;
	int line = p->tok_line;

	next(p);
	if (!at_word(p, "pragma")) {
		fail(p, "#pragma expected");
		return;
	}
	next(p);
	word = name(p, "pragma");
	expect(p, '(', "after a pragma's name");
	if (p->tok != T_STRING)
		fail(p, "a pragma's argument is a string");
	else
		string_constant(p, &arg);
	/* What comes after ')' is read only once the pragma has acted. */
	if (!at(p, ')'))
		fail(p, "')' expected after a pragma's argument");
	if (p->failed)
		return;
	p->tok_line = line;
	if (str_caseeq(word, "include"))
		include(p, arg.s);
	else if (str_caseeq(word, "namespace"))
		set_namespace(p, arg.s);
	else
		fail(p, "unknown pragma %s; known are include and namespace", word);
	if (!p->failed)
		next(p);
}

static const char *stem_of(struct parser *p, const char *path)
{
	const char *slash = strrchr(path, '/'), *start = slash ? slash + 1 : path;
	const char *dot = strrchr(start, '.');
	size_t n = dot ? (size_t)(dot - start) : strlen(start);
	char *stem = get(p, n + 1);

	if (!stem)
		return "";
	memcpy(stem, start, n);
	return stem;
}

int mofc_parse(struct mofc *m, const char *path, const char *text, size_t n, struct err *e)
{
	struct parser p = {.m = m, .p = text, .end = text + n, .line = 1, .tok_line = 1, .e = e};
	struct mofc_file **tail = &m->files;

	if (!m->files)
		m->cur_ns = -1;
	p.file = arena_zalloc(m->arena, sizeof(*p.file));
	if (!p.file)
		return err_set(e, -ENOMEM, "%s: too large", path);
	p.file->path = path;
	p.file->stem = stem_of(&p, path);
	p.file->open = true;
	while (*tail)
		tail = &(*tail)->next;
	*tail = p.file;

	m->depth++;
	next(&p);
	while (!p.failed && p.tok != T_END) {
		if (p.tok == T_PRAGMA) {
			pragma(&p);
		} else if (at_word(&p, "qualifier")) {
			next(&p);
			qualifier_declaration(&p);
		} else {
			class_declaration(&p, qualifier_list(&p));
		}
	}
	m->depth--;
	p.file->open = false;
	return p.failed;
}
