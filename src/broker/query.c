/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/str.h"
#include "broker/query.h"

const struct query_limits query_limits_usual = {
	.depth = 32, .names = 256, .chain = 8, .pattern_bytes = 256};

enum kind { N_AND, N_OR, N_NOT, N_COMPARE, N_TWO, N_IS_NULL, N_LIKE, N_ISA };
enum compare { C_EQ, C_NE, C_LT, C_LE, C_GT, C_GE };
enum literal { L_NULL, L_STRING, L_INTEGER, L_REAL, L_BOOLEAN };
enum truth { NO, YES, UNKNOWN };

/* What a parsed query is made of is kept small: an open enumeration remembers its filter. */
struct step {
	const struct step *next;
	const char *scope; /* CQL's class::name: the class that the instance must be of, or NULL */
	const char *name;
	uint32_t len;
	int32_t index; /* -1: not indexed, or [*] */
};

struct chain {
	const struct step *step; /* NULL: the instance itself */
	bool any;                /* true of any element of the array */
};

struct lit {
	enum literal kind;
	bool negative; /* of an integer whose magnitude is u */
	uint32_t n;    /* of s */
	union {
		const char *s;
		uint64_t u;
		double r;
	};
};

enum atom_kind { A_CHAR, A_ANY, A_SET };

struct atom { /* of a pattern: what one character may be, and how often */
	uint8_t kind;
	char c;
	char often; /* 1 once, '*', '+', '?' */
	bool negated;
	uint32_t n_set;
	const char *set; /* pairs from-to */
};

struct pattern {
	const struct atom *atom;
	size_t n;
};

struct query_node {
	enum kind kind;
	enum compare cmp;
	struct query_node *child, *next; /* AND, OR: a list of them; NOT: one */
	struct chain chain;
	union {
		struct chain right;     /* TWO */
		struct lit lit;         /* COMPARE, ISA */
		struct pattern pattern; /* LIKE */
	};
};

bool query_lang_parse(const char *name, enum query_lang *ret)
{
	static const struct {
		const char *name;
		enum query_lang lang;
	} known[] = {
		{"WQL", QUERY_WQL}, {"DMTF:CQL", QUERY_CQL}, {"CIM:CQL", QUERY_CQL},
		{"CQL", QUERY_CQL}, {"DMTF:FQL", QUERY_FQL}, {"FQL", QUERY_FQL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (str_caseeq(name, known[i].name)) {
			*ret = known[i].lang;
			return true;
		}
	}
	return false;
}

/* ---- tokens ---- */

enum token { T_END, T_NAME, T_STRING, T_INTEGER, T_REAL, T_PUNCT };

struct parser {
	struct arena *a;
	const char *text, *at, *end;
	enum query_lang lang;
	struct query *q;
	const struct query_limits *limits;
	uint32_t depth;
	const char **used;
	uint32_t n_used;
	struct err *e;
	bool bad, full;
	/* the token that is next */
	enum token tok;
	const char *start; /* where it stands */
	const char *s;     /* its text; of strings without quotes and escapes */
	size_t n;
	uint64_t u;
	double r;
};

static void fail(struct parser *p, const char *fmt, ...) PRINTF(2, 3);
static void fail(struct parser *p, const char *fmt, ...)
{
	char why[200];
	va_list ap;

	if (p->bad)
		return;
	p->bad = true;
	p->tok = T_END;
	p->at = p->end;
	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	(void)err_set(p->e, -EINVAL, "query, at character %td: %s", p->start - p->text + 1, why);
}

static void no_memory(struct parser *p)
{
	p->full = true;
	fail(p, "it needs more memory than allowed");
}

static void *get(struct parser *p, size_t n)
{
	void *m = arena_zalloc(p->a, n);

	if (!m)
		no_memory(p);
	return m;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c) ||
	       (unsigned char)c >= 0x80;
}

/* The end of the string that begins at p->at, behind its quote; NULL: it has none. */
static const char *string_end(const struct parser *p)
{
	char quote = *p->at;

	for (const char *s = p->at + 1; s < p->end; s++) {
		if (*s == quote && (s + 1 == p->end || s[1] != quote))
			return s + 1;
		/* two of them are one character */
		s += s + 1 < p->end &&
		     (*s == quote || (*s == '\\' && (s[1] == quote || s[1] == '\\')));
	}
	return NULL;
}

/* 'it''s' or 'it\'s', and the same with "...".  In a pattern the escape is the pattern's own
 * business, so a backslash before anything but a quote or a backslash stays. */
static void lex_string(struct parser *p)
{
	const char *stop = string_end(p);
	char quote = *p->at++, *out;
	size_t n = 0;

	if (!stop) {
		fail(p, "a string has no end");
		return;
	}
	out = get(p, (size_t)(stop - p->at));
	while (out && p->at < stop - 1) {
		char c = *p->at++;

		if (c == quote) { /* the first of two */
			p->at++;
		} else if (c == '\\' && *p->at == quote) {
			c = *p->at++;
		} else if (c == '\\' && *p->at == '\\') {
			out[n++] = c; /* halved below, unless it is a pattern */
			c = *p->at++;
		}
		out[n++] = c;
	}
	p->at = stop;
	p->tok = T_STRING;
	p->s = out;
	p->n = n;
}

static void lex_number(struct parser *p)
{
	const char *from = p->at;
	char *text, *stop;

	p->tok = T_INTEGER;
	while (p->at < p->end && is_digit(*p->at))
		p->at++;
	if (p->at < p->end && *p->at == '.') {
		p->tok = T_REAL;
		for (p->at++; p->at < p->end && is_digit(*p->at);)
			p->at++;
	}
	if (p->at < p->end && (*p->at == 'e' || *p->at == 'E')) {
		p->tok = T_REAL;
		p->at++;
		if (p->at < p->end && (*p->at == '+' || *p->at == '-'))
			p->at++;
		while (p->at < p->end && is_digit(*p->at))
			p->at++;
	}
	p->n = (size_t)(p->at - from);
	if (p->tok == T_INTEGER) {
		if (!str_u64(from, p->n, UINT64_MAX, &p->u))
			fail(p, "the number is too large");
		return;
	}
	text = arena_strndup(p->a, from, p->n);
	if (!text) {
		no_memory(p);
		return;
	}
	p->r = strtod(text, &stop);
	if (*stop || !isfinite(p->r))
		fail(p, "%.100s is not a number", text);
}

static void lex_punct(struct parser *p)
{
	static const char *const two[] = {"<>", "!=", "<=", ">=", "::"};

	p->tok = T_PUNCT;
	p->s = p->at;
	p->n = 1;
	for (size_t i = 0; i < ARRAY_SIZE(two); i++)
		if (p->end - p->at >= 2 && memcmp(p->at, two[i], 2) == 0)
			p->n = 2;
	if (!*p->at || !strchr("()[],.*=<>-+!:", *p->at) ||
	    (p->n == 1 && (*p->at == '!' || *p->at == ':')))
		fail(p, "unexpected character");
	else
		p->at += p->n;
}

static void next(struct parser *p)
{
	while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' ||
				  *p->at == '\r'))
		p->at++;
	p->start = p->s = p->at;
	p->n = 0;
	if (p->at == p->end) {
		p->tok = T_END;
	} else if (*p->at == '\'' || *p->at == '"') {
		lex_string(p);
	} else if (is_digit(*p->at)) {
		lex_number(p);
	} else if (name_char(*p->at)) {
		while (p->at < p->end && name_char(*p->at))
			p->at++;
		p->tok = T_NAME;
		p->n = (size_t)(p->at - p->s);
	} else {
		lex_punct(p);
	}
	if (p->bad)
		p->tok = T_END;
}

static bool at_word(const struct parser *p, const char *word)
{
	return p->tok == T_NAME && str_caseeqn(p->s, p->n, word);
}

static bool at_punct(const struct parser *p, const char *punct)
{
	return p->tok == T_PUNCT && p->n == strlen(punct) && memcmp(p->s, punct, p->n) == 0;
}

static bool eat_word(struct parser *p, const char *word)
{
	if (!at_word(p, word))
		return false;
	next(p);
	return true;
}

static bool eat_punct(struct parser *p, const char *punct)
{
	if (!at_punct(p, punct))
		return false;
	next(p);
	return true;
}

static const char *const reserved[] = {"SELECT", "FROM", "WHERE", "AND", "OR",   "NOT",   "IS",
				       "NULL",   "ISA",  "LIKE",  "AS",  "TRUE", "FALSE", "ANY"};

static bool at_name(const struct parser *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (at_word(p, reserved[i]))
			return false;
	return p->tok == T_NAME;
}

static const char *take_name(struct parser *p, const char *what)
{
	const char *s = NULL;

	if (!at_name(p)) {
		fail(p, "%s is missing", what);
		return NULL;
	}
	s = arena_strndup(p->a, p->s, p->n);
	if (!s)
		no_memory(p);
	next(p);
	return s;
}

/* ---- chains ---- */

static void use(struct parser *p, const char *name)
{
	for (uint32_t i = 0; i < p->n_used; i++)
		if (str_caseeq(p->used[i], name))
			return;
	if (p->n_used == p->limits->names)
		fail(p, "more than %u different names", p->limits->names);
	else
		p->used[p->n_used++] = name;
}

static int32_t take_index(struct parser *p)
{
	int32_t i = -1;

	if (!eat_punct(p, "["))
		return -1;
	if (at_punct(p, "*"))
		; /* the whole array, as if nothing stood here */
	else if (p->tok != T_INTEGER || p->u > INT32_MAX)
		fail(p, "an array index must be a number");
	else
		i = (int32_t)p->u;
	next(p);
	if (!eat_punct(p, "]"))
		fail(p, "] is missing");
	return i;
}

/* In front of a chain the FROM class or its alias may stand, in WQL also __this; it means the
 * instance itself. */
static bool names_source(const struct parser *p, const char *name)
{
	if (p->lang == QUERY_WQL && str_caseeq(name, "__this"))
		return true;
	return (p->q->from && str_caseeq(name, p->q->from)) ||
	       (p->q->alias && str_caseeq(name, p->q->alias));
}

static struct step *take_step(struct parser *p)
{
	struct step *t = get(p, sizeof(*t));

	if (!t)
		return NULL;
	t->name = take_name(p, "a property name");
	if (!p->bad && eat_punct(p, "::")) {
		t->scope = t->name;
		t->name = take_name(p, "a property name");
	}
	if (p->bad)
		return NULL;
	t->len = (uint32_t)strlen(t->name);
	t->index = take_index(p);
	return t;
}

static void take_chain(struct parser *p, struct chain *ret)
{
	struct step *first = NULL, *last = NULL;
	uint32_t n = 0;

	ret->any = eat_word(p, "ANY");
	do {
		struct step *t;

		if (n++ == p->limits->chain) {
			fail(p, "more than %u names in a chain", p->limits->chain);
			return;
		}
		t = take_step(p);
		if (!t)
			return;
		if (last)
			last->next = t;
		else
			first = t;
		last = t;
	} while (eat_punct(p, "."));
	ret->step = first;
	if (names_source(p, first->name) && !first->scope && first->index < 0)
		ret->step = first->next;
	if (ret->step)
		use(p, ret->step->name);
}

/* ---- conditions ---- */

static struct query_node *condition(struct parser *p);

static struct query_node *node(struct parser *p, enum kind kind)
{
	struct query_node *n = get(p, sizeof(*n));

	if (n)
		n->kind = kind;
	return n;
}

static char *halve(struct parser *p, const char *s, size_t n, uint32_t *ret_n)
{
	char *out = get(p, n + 1);
	uint32_t k = 0;

	for (size_t i = 0; out && i < n; i++) {
		if (s[i] == '\\' && i + 1 < n && s[i + 1] == '\\')
			i++;
		out[k++] = s[i];
	}
	*ret_n = k;
	return out;
}

static bool at_literal(const struct parser *p)
{
	return p->tok == T_STRING || p->tok == T_INTEGER || p->tok == T_REAL ||
	       at_word(p, "TRUE") || at_word(p, "FALSE") || at_word(p, "NULL") ||
	       at_punct(p, "-") || at_punct(p, "+");
}

static void take_literal(struct parser *p, struct lit *ret)
{
	bool minus = at_punct(p, "-");

	memset(ret, 0, sizeof(*ret));
	if (minus || at_punct(p, "+")) {
		next(p);
		if (p->tok != T_INTEGER && p->tok != T_REAL)
			fail(p, "a number is missing after the sign");
	}
	if (p->tok == T_STRING) {
		ret->kind = L_STRING;
		ret->s = halve(p, p->s, p->n, &ret->n);
	} else if (p->tok == T_INTEGER) {
		ret->kind = L_INTEGER;
		ret->negative = minus && p->u > 0;
		ret->u = p->u;
	} else if (p->tok == T_REAL) {
		ret->kind = L_REAL;
		ret->r = minus ? -p->r : p->r;
	} else if (at_word(p, "TRUE") || at_word(p, "FALSE")) {
		ret->kind = L_BOOLEAN;
		ret->u = at_word(p, "TRUE");
	} else if (!at_word(p, "NULL")) {
		fail(p, "a literal is missing");
	}
	next(p);
}

/* One character, or a set, of a pattern; p[0..n] is not empty.  Returns the bytes it takes. */
static size_t take_atom(struct parser *p, const char *s, size_t n, struct atom *ret)
{
	bool sql = p->lang == QUERY_WQL;
	size_t i = 1;

	*ret = (struct atom){.kind = A_CHAR, .c = s[0], .often = 1};
	if (s[0] == '%' && sql) {
		ret->kind = A_ANY;
		ret->often = '*';
	} else if (s[0] == (sql ? '_' : '.')) {
		ret->kind = A_ANY;
	} else if (s[0] == '\\' && n > 1) {
		ret->c = s[1];
		i = 2;
	} else if (s[0] == '[') {
		const char *end;
		char *set;

		ret->kind = A_SET;
		if (n > 1 && s[1] == '^') {
			ret->negated = true;
			i = 2;
		}
		end = i < n ? memchr(s + i, ']', n - i) : NULL;
		ret->set = set = end ? get(p, 2 * (size_t)(end - s)) : NULL;
		for (; set && i < n && s[i] != ']'; i++) {
			set[2 * ret->n_set] = set[2 * ret->n_set + 1] = s[i];
			if (i + 2 < n && s[i + 1] == '-' && s[i + 2] != ']') {
				set[2 * ret->n_set + 1] = s[i + 2];
				i += 2;
			}
			ret->n_set++;
		}
		if (!end || ret->n_set == 0)
			fail(p, "a pattern has a [ without its ]");
		i++;
	} else if (!sql && strchr("*+?(){}|]", s[0])) {
		fail(p, "a pattern can't have a %c here", s[0]);
	}
	if (!sql && i < n && (s[i] == '*' || s[i] == '+' || s[i] == '?'))
		ret->often = s[i++];
	return i;
}

static void take_pattern(struct parser *p, struct query_node *ret)
{
	struct atom *atoms;

	if (p->tok != T_STRING) {
		fail(p, "LIKE needs a pattern in quotes");
		return;
	}
	if (p->n > p->limits->pattern_bytes) {
		fail(p, "a pattern of %zu bytes, allowed %u", p->n, p->limits->pattern_bytes);
		return;
	}
	atoms = get(p, (p->n + 1) * sizeof(*atoms));
	for (size_t i = 0; atoms && i < p->n && !p->bad;)
		i += take_atom(p, p->s + i, p->n - i, &atoms[ret->pattern.n++]);
	ret->pattern.atom = atoms;
	next(p);
}

static bool take_compare(struct parser *p, enum compare *ret)
{
	static const struct {
		const char *s;
		enum compare cmp;
	} all[] = {{"=", C_EQ}, {"<>", C_NE}, {"!=", C_NE}, {"<", C_LT},
		   {"<=", C_LE}, {">", C_GT}, {">=", C_GE}};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (eat_punct(p, all[i].s)) {
			*ret = all[i].cmp;
			return true;
		}
	}
	return false;
}

static struct query_node *negate(struct parser *p, struct query_node *n)
{
	struct query_node *not = node(p, N_NOT);

	if (not)
		not->child = n;
	return not;
}

static enum compare turned(enum compare c)
{
	static const enum compare other[] = {[C_EQ] = C_EQ, [C_NE] = C_NE, [C_LT] = C_GT,
					     [C_LE] = C_GE, [C_GT] = C_LT, [C_GE] = C_LE};

	return other[c];
}

/* x = NULL is what WQL says for IS NULL. */
static struct query_node *compared(struct parser *p, struct query_node *n)
{
	if (n->lit.kind != L_NULL)
		return n;
	if (n->cmp != C_EQ && n->cmp != C_NE)
		fail(p, "NULL is neither less nor greater than anything");
	n->kind = N_IS_NULL;
	return n->cmp == C_NE ? negate(p, n) : n;
}

static struct query_node *after_name(struct parser *p, struct query_node *n)
{
	bool not = false;

	if (take_compare(p, &n->cmp)) {
		n->kind = N_COMPARE;
		if (at_name(p)) {
			n->kind = N_TWO;
			take_chain(p, &n->right);
			return n;
		}
		take_literal(p, &n->lit);
		return compared(p, n);
	}
	if (eat_word(p, "IS")) {
		n->kind = N_IS_NULL;
		not = eat_word(p, "NOT");
		if (!eat_word(p, "NULL"))
			fail(p, "after IS there must be NULL or NOT NULL");
	} else if (eat_word(p, "ISA")) {
		n->kind = N_ISA;
		if (p->tok == T_STRING) { /* WQL writes ISA "class" */
			n->lit.s = p->s;
			next(p);
		} else {
			n->lit.s = take_name(p, "a class name");
		}
	} else {
		n->kind = N_LIKE;
		not = eat_word(p, "NOT");
		if (!eat_word(p, "LIKE"))
			fail(p, "a comparison is missing");
		take_pattern(p, n);
	}
	return not ? negate(p, n) : n;
}

static struct query_node *simple(struct parser *p)
{
	struct query_node *n = node(p, N_COMPARE);

	if (!n)
		return NULL;
	if (at_literal(p)) {
		take_literal(p, &n->lit);
		if (!take_compare(p, &n->cmp))
			fail(p, "a comparison is missing");
		n->cmp = turned(n->cmp);
		take_chain(p, &n->chain);
		return compared(p, n);
	}
	take_chain(p, &n->chain);
	return after_name(p, n);
}

static struct query_node *factor(struct parser *p)
{
	struct query_node *n;

	if (p->depth == p->limits->depth) {
		fail(p, "more than %u parentheses and NOTs inside each other", p->limits->depth);
		return NULL;
	}
	p->depth++;
	if (eat_word(p, "NOT")) {
		n = negate(p, factor(p));
	} else if (eat_punct(p, "(")) {
		n = condition(p);
		if (!eat_punct(p, ")"))
			fail(p, ") is missing");
	} else {
		n = simple(p);
	}
	p->depth--;
	return n;
}

/* A list joined by one word; a list of one is its element. */
static struct query_node *joined(struct parser *p, enum kind kind, const char *word,
				 struct query_node *(*part)(struct parser *p))
{
	struct query_node *first = part(p), *last = first, *n;

	if (p->bad || !at_word(p, word))
		return first;
	n = node(p, kind);
	if (!n)
		return NULL;
	n->child = first;
	while (!p->bad && eat_word(p, word)) {
		struct query_node *more = part(p);

		if (p->bad)
			return NULL;
		last->next = more;
		last = more;
	}
	return n;
}

static struct query_node *conjunction(struct parser *p)
{
	return joined(p, N_AND, "AND", factor);
}

static struct query_node *condition(struct parser *p)
{
	return joined(p, N_OR, "OR", conjunction);
}

/* A query can't name more than half its bytes. */
static size_t names_most(const struct parser *p)
{
	size_t n = (size_t)(p->end - p->text) / 2 + 1;

	return n < p->limits->names ? n : p->limits->names;
}

/* ---- SELECT ---- */

/* name | name.name | name.* - what the first name means is known only after FROM. */
static void take_select(struct parser *p, const char *(*ret)[2], uint32_t *n)
{
	do {
		const char *a = NULL, *b = NULL;

		if (eat_punct(p, "*")) {
			b = "*";
		} else {
			a = take_name(p, "a property name or *");
			if (eat_punct(p, "."))
				b = eat_punct(p, "*") ? "*" : take_name(p, "a property name");
		}
		if (*n == p->limits->names) {
			fail(p, "more than %u names", p->limits->names);
			return;
		}
		ret[*n][0] = a;
		ret[*n][1] = b;
		++*n;
	} while (!p->bad && eat_punct(p, ","));
}

static void bind_select(struct parser *p, const char *const (*names)[2], uint32_t n)
{
	const char **out = get(p, n * sizeof(*out));

	for (uint32_t i = 0; out && i < n; i++) {
		const char *a = names[i][0], *b = names[i][1];

		if (b && a && !names_source(p, a)) {
			fail(p, "%s is neither the class nor its alias", a);
			return;
		}
		if (b && streq(b, "*")) {
			p->q->star = true;
		} else {
			out[p->q->n_select++] = b ? b : a;
			use(p, b ? b : a);
		}
	}
	p->q->select = out;
}

static void statement(struct parser *p)
{
	const char *(*names)[2] = get(p, names_most(p) * sizeof(*names));
	uint32_t n = 0;

	if (!eat_word(p, "SELECT"))
		fail(p, "it must begin with SELECT");
	if (names)
		take_select(p, names, &n);
	if (!eat_word(p, "FROM"))
		fail(p, "FROM is missing");
	p->q->from = take_name(p, "a class name");
	if (eat_word(p, "AS") || at_name(p))
		p->q->alias = take_name(p, "an alias");
	if (p->bad)
		return;
	bind_select(p, (const char *const(*)[2])names, n);
	if (eat_word(p, "WHERE"))
		p->q->where = condition(p);
}

int query_parse(struct arena *a, enum query_lang lang, const char *text, size_t n,
		const struct query_limits *limits, struct query **ret, struct err *e)
{
	struct parser p = {.a = a,
			   .text = text,
			   .at = text,
			   .end = text + n,
			   .lang = lang,
			   .limits = limits,
			   .e = e};

	p.start = text;
	if (!str_utf8_xml(text, n))
		return err_set(e, -EINVAL, "query: not text in UTF-8");
	p.q = get(&p, sizeof(*p.q));
	p.used = get(&p, names_most(&p) * sizeof(*p.used));
	if (p.bad)
		return -ENOMEM;
	p.q->lang = lang;
	next(&p);
	if (lang == QUERY_FQL) {
		p.q->star = true;
		p.q->where = condition(&p);
	} else {
		statement(&p);
	}
	if (p.tok != T_END)
		fail(&p, "nothing more may follow");
	if (p.bad)
		return p.full ? -ENOMEM : -EINVAL;
	p.q->used = p.used;
	p.q->n_used = p.n_used;
	*ret = p.q;
	return 0;
}

/* ---- testing an instance ---- */

static enum truth of(bool b)
{
	return b ? YES : NO;
}

static enum truth ordered(enum compare c, int order)
{
	switch (c) {
	case C_EQ:
		return of(order == 0);
	case C_NE:
		return of(order != 0);
	case C_LT:
		return of(order < 0);
	case C_LE:
		return of(order <= 0);
	case C_GT:
		return of(order > 0);
	case C_GE:
	default:
		return of(order >= 0);
	}
}

static int order_text(const char *a, size_t na, const char *b, size_t nb)
{
	int d = memcmp(a, b, na < nb ? na : nb);

	return d ? d : (na > nb) - (na < nb);
}

static int order_real(double a, double b)
{
	return (a > b) - (a < b);
}

static bool is_signed(uint8_t t)
{
	return t == CIM_SINT8 || t == CIM_SINT16 || t == CIM_SINT32 || t == CIM_SINT64;
}

static bool is_real(uint8_t t)
{
	return t == CIM_REAL32 || t == CIM_REAL64;
}

static bool is_integer(uint8_t t)
{
	return t >= CIM_UINT8 && t <= CIM_SINT64;
}

/* Exact over all of uint64 and sint64. */
static int order_integer(const struct cim_value *v, const struct lit *l)
{
	bool negative = is_signed(v->type) && v->i < 0;
	uint64_t magnitude = negative ? -(uint64_t)v->i : v->u;

	if (negative != l->negative)
		return negative ? -1 : 1;
	if (magnitude == l->u)
		return 0;
	return (magnitude < l->u) != negative ? -1 : 1;
}

static double as_real(const struct cim_value *v)
{
	return is_real(v->type) ? v->r : is_signed(v->type) ? (double)v->i : (double)v->u;
}

/* The same moment may be written in several time zones. */
static enum truth compare_time(const struct cim_value *v, enum compare c, const struct lit *l)
{
	int64_t a, b;

	if (!cim_datetime_ok(l->s, l->n))
		return UNKNOWN;
	if (cim_datetime_get(v->s, v->n, &a) && cim_datetime_get(l->s, l->n, &b))
		return ordered(c, (a > b) - (a < b));
	return ordered(c, order_text(v->s, v->n, l->s, l->n));
}

/* A scalar that is not NULL against a literal of any kind; what can't be compared is unknown. */
static enum truth compare_scalar(const struct cim_value *v, enum compare c, const struct lit *l)
{
	if (v->type == CIM_DATETIME && l->kind == L_STRING)
		return compare_time(v, c, l);
	if (v->type == CIM_STRING && l->kind == L_STRING)
		return ordered(c, order_text(v->s, v->n, l->s, l->n));
	if (v->type == CIM_BOOLEAN && l->kind == L_BOOLEAN)
		return ordered(c, (int)(v->u != 0) - (int)l->u);
	if (is_integer(v->type) && l->kind == L_INTEGER)
		return ordered(c, order_integer(v, l));
	if (is_integer(v->type) && l->kind == L_REAL)
		return ordered(c, order_real(as_real(v), l->r));
	if (is_real(v->type) && l->kind == L_REAL)
		return ordered(c, order_real(v->r, l->r));
	if (is_real(v->type) && l->kind == L_INTEGER)
		return ordered(c, order_real(v->r, l->negative ? -(double)l->u : (double)l->u));
	return UNKNOWN;
}

static bool atom_takes(const struct atom *a, char c)
{
	bool in = false;

	if (a->kind == A_ANY)
		return true;
	if (a->kind == A_CHAR)
		return a->c == c;
	for (size_t i = 0; i < a->n_set && !in; i++)
		in = (unsigned char)c >= (unsigned char)a->set[2 * i] &&
		     (unsigned char)c <= (unsigned char)a->set[2 * i + 1];
	return in != a->negated;
}

static bool may_skip(const struct atom *a)
{
	return a->often == '*' || a->often == '?';
}

static bool may_stay(const struct atom *a)
{
	return a->often == '*' || a->often == '+';
}

/* States are places in the pattern; all that are possible are kept, so that no pattern takes
 * longer than its length times the text's.  An ANY or a set takes the first byte of a character;
 * those that belong to it come along. */
static bool like(const struct query_node *n, const char *s, size_t len)
{
	bool on[query_pattern_most + 1], after[query_pattern_most + 1];
	const struct atom *pattern = n->pattern.atom;
	size_t m = n->pattern.n;

	on[0] = true;
	for (size_t k = 0; k < m; k++)
		on[k + 1] = on[k] && may_skip(&pattern[k]);
	for (size_t i = 0; i < len; i++) {
		bool tail = ((unsigned char)s[i] & 0xc0) == 0x80;

		memset(after, 0, m + 1);
		for (size_t k = 0; k < m; k++) {
			const struct atom *a = &pattern[k];

			if (!on[k] && !(on[k + 1] && may_stay(a)))
				continue;
			if ((a->kind == A_CHAR || !tail) && atom_takes(a, s[i]))
				after[k + 1] = true;
		}
		for (size_t k = 0; tail && k < m; k++)
			if (on[k + 1] && pattern[k].kind != A_CHAR)
				after[k + 1] = true;
		for (size_t k = 0; k < m; k++)
			if (after[k] && may_skip(&pattern[k]))
				after[k + 1] = true;
		memcpy(on, after, m + 1);
	}
	return on[m];
}

static enum truth test_scalar(const struct query_node *n, const struct cim_value *v)
{
	if (cim_is_null(v))
		return UNKNOWN;
	if (n->kind == N_COMPARE)
		return compare_scalar(v, n->cmp, &n->lit);
	if (v->type != CIM_STRING && v->type != CIM_DATETIME)
		return UNKNOWN;
	return of(like(n, v->s, v->n));
}

static enum truth test_value(const struct query_node *n, const struct cim_value *v)
{
	enum truth t = NO;

	if (v->kind != CIM_V_ARRAY)
		return test_scalar(n, v);
	if (!n->chain.any)
		return UNKNOWN; /* an array is not a value; ANY or an index says which */
	for (uint32_t i = 0; i < v->n && t != YES; i++)
		t = test_scalar(n, &v->a[i]);
	return t == YES ? YES : NO;
}

static bool is_a(const struct cim_class *c, const char *name)
{
	for (; c; c = c->super)
		if (str_caseeq(c->name, name))
			return true;
	return false;
}

/* Follow a chain; false: some step is NULL. */
static bool follow(const struct chain *c, const struct cim_instance *i, struct cim_value *ret)
{
	struct cim_value v = cim_object(i);

	for (const struct step *t = c->step; t; t = t->next) {
		int idx;

		if (v.kind != CIM_V_SCALAR || v.type != CIM_OBJECT || !v.inst->cls)
			return false;
		if (t->scope && !is_a(v.inst->cls, t->scope))
			return false;
		idx = cim_prop_find(v.inst->cls, t->name, t->len);
		if (idx < 0)
			return false;
		v = v.inst->v[idx];
		if (t->index >= 0) {
			if (v.kind != CIM_V_ARRAY || (uint32_t)t->index >= v.n)
				return false;
			v = v.a[t->index];
		}
	}
	*ret = v;
	return !cim_is_null(&v);
}

static enum truth isa(const struct cim_value *v, const char *name)
{
	if (v->kind != CIM_V_SCALAR || v->type != CIM_OBJECT)
		return UNKNOWN;
	return of(is_a(v->inst->cls, name));
}

/* A property's value as the literal it would be; false: there is no such literal. */
static bool as_literal(const struct cim_value *v, struct lit *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (v->type == CIM_STRING || v->type == CIM_DATETIME) {
		*ret = (struct lit){.kind = L_STRING, .s = v->s, .n = v->n};
	} else if (v->type == CIM_BOOLEAN) {
		*ret = (struct lit){.kind = L_BOOLEAN, .u = v->u};
	} else if (is_integer(v->type)) {
		bool negative = is_signed(v->type) && v->i < 0;

		*ret = (struct lit){.kind = L_INTEGER,
				    .negative = negative,
				    .u = negative ? -(uint64_t)v->i : v->u};
	} else if (is_real(v->type)) {
		*ret = (struct lit){.kind = L_REAL, .r = v->r};
	}
	return ret->kind != L_NULL;
}

/* Of two properties, as in SourceInstance.x <> PreviousInstance.x; whole arrays and references are
 * equal or not, and have no order. */
static enum truth test_two(const struct query_node *n, const struct cim_instance *i)
{
	struct query_node one = *n;
	struct cim_value a, b;

	one.kind = N_COMPARE;
	if (!follow(&n->chain, i, &a) || !follow(&n->right, i, &b))
		return UNKNOWN;
	if (b.kind == CIM_V_SCALAR && as_literal(&b, &one.lit))
		return test_value(&one, &a);
	if (n->cmp != C_EQ && n->cmp != C_NE)
		return UNKNOWN;
	return of(cim_value_eq(&a, &b) == (n->cmp == C_EQ));
}

static enum truth test(const struct query_node *n, const struct cim_instance *i);

static enum truth test_list(const struct query_node *n, const struct cim_instance *i)
{
	enum truth decides = n->kind == N_OR ? YES : NO;
	enum truth t = n->kind == N_OR ? NO : YES;

	for (const struct query_node *c = n->child; c; c = c->next) {
		enum truth one = test(c, i);

		if (one == decides)
			return one;
		if (one == UNKNOWN)
			t = UNKNOWN;
	}
	return t;
}

static enum truth test(const struct query_node *n, const struct cim_instance *i)
{
	struct cim_value v;
	enum truth t;

	switch (n->kind) {
	case N_AND:
	case N_OR:
		return test_list(n, i);
	case N_NOT:
		t = test(n->child, i);
		return t == UNKNOWN ? UNKNOWN : of(t == NO);
	case N_IS_NULL:
		return of(!follow(&n->chain, i, &v));
	case N_ISA:
		return follow(&n->chain, i, &v) ? isa(&v, n->lit.s) : UNKNOWN;
	case N_TWO:
		return test_two(n, i);
	case N_COMPARE:
	case N_LIKE:
	default:
		return follow(&n->chain, i, &v) ? test_value(n, &v) : UNKNOWN;
	}
}

bool query_match(const struct query *q, const struct cim_instance *i)
{
	return !q->where || test(q->where, i) == YES;
}
