/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/str.h"
#include "cimxml/bounds.h"
#include "cimxml/xml.h"

const struct cimxml_bounds cimxml_bounds_usual = {
#define B(name, usual, least, most) .name = cimxml_##name##_usual,
	CIMXML_BOUNDS(B)
#undef B
};

static const struct {
	const char *name;
	uint8_t len;
	bool text;
} elements[X_N] = {
	[X_UNKNOWN] = {"an unknown element", 0, false},
#define E(id, name, text) [X_##id] = {name, sizeof(name) - 1, text},
	XML_ELEMENTS(E)
#undef E
};

static const struct {
	const char *name;
	uint8_t len;
} attributes[A_N] = {
	[A_UNKNOWN] = {"", 0},
#define A(id, name) [A_##id] = {name, sizeof(name) - 1},
	XML_ATTRS(A)
#undef A
};

/* Where to look first: lengths and end letters tell nearly all elements apart. */
static unsigned slot_of(const char *name, size_t n)
{
	return ((unsigned)n * 33 + (unsigned char)name[0] * 5 + (unsigned char)name[n - 1] * 3 +
		(unsigned char)name[n / 2]) %
	       XML_SLOTS;
}

static void slots_fill(uint8_t slots[static XML_SLOTS])
{
	for (unsigned i = X_UNKNOWN + 1; i < X_N; i++) {
		unsigned at = slot_of(elements[i].name, elements[i].len);

		while (slots[at])
			at = (at + 1) % XML_SLOTS;
		slots[at] = (uint8_t)i;
	}
}

static enum xml_el element_of(const struct xml *x, const char *name, size_t n)
{
	for (unsigned at = slot_of(name, n); x->slots[at]; at = (at + 1) % XML_SLOTS) {
		unsigned i = x->slots[at];

		if (elements[i].len == n && memcmp(elements[i].name, name, n) == 0)
			return (enum xml_el)i;
	}
	return X_UNKNOWN;
}

/* EmbeddedObject is written in capitals by old clients; it is the only one with two spellings. */
static enum xml_attr_id attribute_of(const char *name, size_t n)
{
	for (unsigned i = A_UNKNOWN + 1; i < A_N; i++)
		if (attributes[i].len == n &&
		    (memcmp(attributes[i].name, name, n) == 0 ||
		     (i == A_EMBEDDEDOBJECT && str_caseeqn(name, n, attributes[i].name))))
			return (enum xml_attr_id)i;
	return A_UNKNOWN;
}

const char *xml_attr(const struct xml_node *n, enum xml_attr_id id)
{
	for (uint32_t i = 0; i < n->n_attrs; i++)
		if (n->attrs[i].id == id)
			return n->attrs[i].value;
	return NULL;
}

const char *xml_el_name(enum xml_el el)
{
	return elements[el].name;
}

bool xml_refuse(struct xml *x, enum xml_fail f, const char *fmt, ...)
{
	char text[sizeof(x->e->text)];
	va_list ap;

	if (x->fail == XML_FINE) {
		va_start(ap, fmt);
		(void)vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		x->fail = f;
		err_set(x->e, -EPROTO, "%s", text);
	}
	return false;
}

static bool full(struct xml *x)
{
	return xml_refuse(x, XML_TOO_LARGE, "the document needs more memory than is allowed");
}

/* ---- characters ---- */

enum {
	C_SPACE = 1,      /* blank, tab, line break */
	C_NAME_START = 2, /* may begin a name */
	C_NAME = 4,       /* may be in one */
	C_TEXT_STOP = 8,  /* text: < & CR ] */
	C_VALUE_STOP = 16 /* attribute: < & and what becomes a blank */
};

static const uint8_t kinds[256] = {
	[' '] = C_SPACE,
	['\t'] = C_SPACE | C_VALUE_STOP,
	['\n'] = C_SPACE | C_VALUE_STOP,
	['\r'] = C_SPACE | C_VALUE_STOP | C_TEXT_STOP,
	['<'] = C_TEXT_STOP | C_VALUE_STOP,
	['&'] = C_TEXT_STOP | C_VALUE_STOP,
	[']'] = C_TEXT_STOP,
	['-'] = C_NAME,
	['.'] = C_NAME,
	['0' ... '9'] = C_NAME,
	['A' ... 'Z'] = C_NAME | C_NAME_START,
	['a' ... 'z'] = C_NAME | C_NAME_START,
	['_'] = C_NAME | C_NAME_START,
	[':'] = C_NAME | C_NAME_START,
	[0x80 ... 0xff] = C_NAME | C_NAME_START,
};

static bool is(char c, int kind)
{
	return kinds[(unsigned char)c] & kind;
}

static const char *skip(const char *p, const char *end, int kind)
{
	while (p < end && is(*p, kind))
		p++;
	return p;
}

static const char *skip_to(const char *p, const char *end, int kind)
{
	while (p < end && !is(*p, kind))
		p++;
	return p;
}

/* How far are these the characters of XML 1.0, in UTF-8?  The end, or the place of the first
 * byte that isn't, or that begins a character which isn't all there yet (*ret_cut). */
static const char *legal(const char *p, const char *end, bool *ret_cut)
{
	*ret_cut = false;
	while (p < end) {
		unsigned char c = (unsigned char)*p;
		size_t n;

#ifdef __SSE2__
		if (end - p >= 16) {
			__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);

			/* signed: also the bytes from 0x80 up */
			if (!_mm_movemask_epi8(_mm_cmplt_epi8(v, _mm_set1_epi8(0x20)))) {
				p += 16;
				continue;
			}
		}
#endif
		if (c < 0x80) {
			if (c < 0x20 && !is((char)c, C_SPACE))
				return p;
			p++;
			continue;
		}
		n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
		if ((size_t)(end - p) < n) {
			*ret_cut = true;
			return p;
		}
		if (!str_utf8_xml(p, n))
			return p;
		p += n;
	}
	return p;
}

/* ---- references ---- */

static size_t put_utf8(char at[static 4], uint32_t c)
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
	if (c < 0x10000) {
		at[0] = (char)(0xe0 | c >> 12);
		at[1] = (char)(0x80 | (c >> 6 & 0x3f));
		at[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	at[0] = (char)(0xf0 | c >> 18);
	at[1] = (char)(0x80 | (c >> 12 & 0x3f));
	at[2] = (char)(0x80 | (c >> 6 & 0x3f));
	at[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* "&amp;" or "&#65;" at p -> its character; the bytes it took, 0: not all there, or bad (x->fail). */
static size_t reference(struct xml *x, const char *p, const char *end, char ret[static 4],
			size_t *ret_n)
{
	static const struct {
		const char *name;
		char c;
	} known[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
	/* "&#x0000041;" may have more digits than it needs, but not without end */
	size_t bound = x->bounds->name, most = (size_t)(end - p) < bound ? (size_t)(end - p) : bound;
	const char *semi = memchr(p, ';', most);
	size_t n = semi ? (size_t)(semi - p) - 1 : 0, took = n + 2;
	uint64_t c;
	bool ok;

	if (!semi) {
		if (most == bound)
			xml_refuse(x, XML_MALFORMED, "'&' begins no reference of up to %zu bytes",
				   bound);
		return 0;
	}
	p++;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strlen(known[i].name) == n && memcmp(p, known[i].name, n) == 0) {
			ret[0] = known[i].c;
			*ret_n = 1;
			return took;
		}
	if (n > 2 && p[0] == '#' && p[1] == 'x') {
		for (p += 2, n -= 2; n > 1 && *p == '0'; p++)
			n--;
		ok = str_hex64(p, n, &c);
	} else {
		ok = n > 1 && p[0] == '#' && str_u64(p + 1, n - 1, 0x10ffff, &c);
	}
	if (ok && c <= 0x10ffff) {
		*ret_n = put_utf8(ret, (uint32_t)c);
		if (str_utf8_xml(ret, *ret_n))
			return took;
	}
	xml_refuse(x, XML_MALFORMED, "an unknown reference");
	return 0;
}

/* ---- elements ---- */

struct slice {
	const char *p;
	size_t n;
};

struct attribute {
	struct slice name, value;
	bool plain; /* the value stands as it is */
};

/* Replace references and line breaks (XML 1.0 §3.3.3); into x->value. */
static bool value_decode(struct xml *x, struct slice *v)
{
	const char *p = v->p, *end = p + v->n;

	buf_clear(&x->value);
	while (p < end) {
		const char *q = skip_to(p, end, C_VALUE_STOP);
		char c[4] = {' '};
		size_t n = 1, took = 1;

		if (!buf_add(&x->value, p, (size_t)(q - p)))
			return full(x);
		if (q == end)
			break;
		if (*q == '&')
			took = reference(x, q, end, c, &n);
		else if (*q == '\r' && end - q > 1 && q[1] == '\n')
			took = 2;
		if (took == 0)
			return xml_refuse(x, XML_MALFORMED, "'&' begins no reference");
		if (!buf_add(&x->value, c, n))
			return full(x);
		p = q + took;
	}
	*v = (struct slice){x->value.len ? x->value.p : "", x->value.len};
	return true;
}

static bool attributes_take(struct xml *x, struct arena *a, struct xml_node *n,
			    struct attribute *given, size_t n_given)
{
	struct xml_attr found[cimxml_attributes_most], *kept;
	uint32_t count = 0;

	for (size_t i = 0; i < n_given; i++) {
		struct attribute *g = &given[i];
		enum xml_attr_id id = attribute_of(g->name.p, g->name.n);

		if (!g->plain && !value_decode(x, &g->value))
			return false;
		if (id == A_UNKNOWN || !n)
			continue;
		/* a description is for people, and only in answers */
		if (g->value.n > x->bounds->name && id != A_DESCRIPTION)
			return xml_refuse(x, XML_TOO_LARGE,
					  "attribute %s of %s has %zu bytes; allowed: %u",
					  attributes[id].name, xml_el_name(n->el), g->value.n,
					  x->bounds->name);
		found[count].id = id;
		found[count].value = arena_strndup(a, g->value.p, g->value.n);
		if (!found[count].value)
			return full(x);
		count++;
	}
	if (count) {
		kept = arena_alloc(a, count * sizeof(*kept));
		if (!kept)
			return full(x);
		memcpy(kept, found, count * sizeof(*kept));
		n->attrs = kept;
		n->n_attrs = count;
	}
	return true;
}

/* A node for the element, linked; or the element is to be skipped. */
static bool element_begin(struct xml *x, struct slice name, struct attribute *given, size_t n_given)
{
	enum xml_el el = element_of(x, name.p, name.n);
	struct xml_node *n;
	struct arena *a;

	if (x->at && elements[x->at->el].text)
		el = X_UNKNOWN; /* text and nothing else belongs there */
	if (el == X_UNKNOWN) {
		if (x->mode == XML_STRICT || !x->at)
			return xml_refuse(x, XML_INVALID, "element \"%.*s\" does not belong into %s",
					  name.n > 80 ? 80 : (int)name.n, name.p,
					  x->at ? xml_el_name(x->at->el) : "a CIM-XML document");
		x->skip_depth = x->depth;
		return attributes_take(x, NULL, NULL, given, n_given);
	}
	if (x->item && !x->item_depth && x->at && x->at->el == X_IRETURNVALUE)
		x->item_depth = x->depth;
	a = x->item_depth ? x->item_arena : x->arena;
	n = arena_zalloc(a, sizeof(*n));
	if (!n)
		return full(x);
	n->el = el;
	if (n_given && !attributes_take(x, a, n, given, n_given))
		return false;
	n->parent = x->at;
	if (!x->at)
		x->root = n;
	else if (x->depth == x->item_depth)
		; /* handed out when complete, never linked */
	else if (x->at->last)
		x->at->last = x->at->last->next = n;
	else
		x->at->last = x->at->child = n;
	x->at = n;
	buf_clear(&x->text);
	return true;
}

static bool element_end(struct xml *x)
{
	struct xml_node *n = x->at;

	if (x->skip_depth) {
		if (x->skip_depth == x->depth)
			x->skip_depth = 0;
		return true;
	}
	if (elements[n->el].text) {
		n->text = arena_strndup(x->item_depth ? x->item_arena : x->arena,
					x->text.len ? x->text.p : "", x->text.len);
		n->n_text = (uint32_t)x->text.len;
		if (!n->text)
			return full(x);
		buf_clear(&x->text);
	}
	x->at = n->parent;
	if (x->item_depth && x->depth == x->item_depth) {
		x->item_depth = 0;
		if (!x->item(x->ctx, n))
			return xml_refuse(x, XML_INVALID, "stopped");
		arena_reset(x->item_arena);
	}
	return true;
}

static bool text_take(struct xml *x, const char *s, size_t n)
{
	if (x->skip_depth)
		return true;
	if (x->at && elements[x->at->el].text)
		return buf_add(&x->text, s, n) ||
		       xml_refuse(x, XML_TOO_LARGE, "a value of more than %zu bytes", x->text.max);
	if (x->at && x->mode == XML_LENIENT)
		return true;
	if (skip(s, s + n, C_SPACE) == s + n)
		return true;
	return xml_refuse(x, x->at ? XML_INVALID : XML_MALFORMED,
			  "text stands in %s, which holds elements only",
			  x->at ? xml_el_name(x->at->el) : "the document");
}

/* ---- the scanner: each returns what follows, or NULL: not all there yet, or refused ---- */

static const char *malformed(struct xml *x, const char *what)
{
	xml_refuse(x, XML_MALFORMED, "%s", what);
	return NULL;
}

static const char *name_end(struct xml *x, const char *p, const char *end)
{
	if (p < end && !is(*p, C_NAME_START))
		return malformed(x, "a name must stand here");
	p = skip(p, end, C_NAME);
	return p < end ? p : NULL; /* it may go on */
}

/* Name = "value" */
static const char *attribute(struct xml *x, const char *p, const char *end, struct attribute *ret)
{
	const char *q = name_end(x, p, end);
	char quote;

	if (!q)
		return NULL;
	ret->name = (struct slice){p, (size_t)(q - p)};
	p = skip(q, end, C_SPACE);
	if (p == end)
		return NULL;
	if (*p != '=')
		return malformed(x, "an attribute without a value");
	p = skip(p + 1, end, C_SPACE);
	if (p == end)
		return NULL;
	quote = *p++;
	if (quote != '"' && quote != '\'')
		return malformed(x, "an attribute's value without quotes");
	ret->plain = true;
	for (q = p; q < end && *q != quote; q++)
		if (is(*q, C_VALUE_STOP)) {
			if (*q == '<')
				return malformed(x, "'<' in an attribute's value");
			ret->plain = false;
		}
	if (q == end)
		return NULL;
	ret->value = (struct slice){p, (size_t)(q - p)};
	return q + 1;
}

static bool same(struct slice a, struct slice b)
{
	return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

static bool push(struct xml *x, struct slice name)
{
	if (x->ended)
		return malformed(x, "a second root element");
	if (x->depth >= x->bounds->depth)
		return xml_refuse(x, XML_TOO_LARGE, "more than %u elements inside each other",
				  x->bounds->depth);
	if (name.n > x->bounds->name)
		return xml_refuse(x, XML_TOO_LARGE, "an element's name of %zu bytes; allowed: %u",
				  name.n, x->bounds->name);
	x->name_len[x->depth++] = (uint16_t)name.n;
	return buf_add(&x->names, name.p, name.n) || full(x);
}

static bool pop(struct xml *x)
{
	if (!element_end(x))
		return false;
	x->names.len -= x->name_len[--x->depth];
	x->ended = x->depth == 0;
	return true;
}

static const char *start_tag(struct xml *x, const char *p, const char *end)
{
	struct attribute given[cimxml_attributes_most];
	const char *q = name_end(x, p, end);
	struct slice name;
	size_t n = 0;
	bool empty;

	if (!q)
		return NULL;
	name = (struct slice){p, (size_t)(q - p)};
	for (;;) {
		p = skip(q, end, C_SPACE);
		if (p == end || (*p == '/' && end - p < 2))
			return NULL;
		if (*p == '>' || *p == '/')
			break;
		if (p == q)
			return malformed(x, "no blank between attributes");
		if (n >= x->bounds->attributes) {
			xml_refuse(x, XML_TOO_LARGE, "an element has more than %u attributes",
				   x->bounds->attributes);
			return NULL;
		}
		q = attribute(x, p, end, &given[n]);
		if (!q)
			return NULL;
		for (size_t i = 0; i < n; i++)
			if (same(given[i].name, given[n].name))
				return malformed(x, "an attribute is there twice");
		n++;
	}
	empty = *p == '/';
	if (empty && *++p != '>')
		return malformed(x, "'/' must be followed by '>'");
	if (!push(x, name))
		return NULL;
	if (x->skip_depth ? !attributes_take(x, NULL, NULL, given, n)
			  : !element_begin(x, name, given, n))
		return NULL;
	if (empty && !pop(x))
		return NULL;
	return p + 1;
}

static const char *end_tag(struct xml *x, const char *p, const char *end)
{
	const char *q = name_end(x, p, end);
	struct slice open;

	if (!q)
		return NULL;
	if (x->depth == 0)
		return malformed(x, "an end tag without its start tag");
	open.n = x->name_len[x->depth - 1];
	open.p = x->names.p + x->names.len - open.n;
	if (!same(open, (struct slice){p, (size_t)(q - p)}))
		return malformed(x, "an end tag that does not match its start tag");
	q = skip(q, end, C_SPACE);
	if (q == end)
		return NULL;
	if (*q != '>')
		return malformed(x, "an end tag with more than its name");
	return pop(x) ? q + 1 : NULL;
}

static const char *find(const char *p, const char *end, const char *what)
{
	return memmem(p, (size_t)(end - p), what, strlen(what));
}

static const char *comment(struct xml *x, const char *p, const char *end)
{
	const char *q = find(p, end, "--");

	if (!q || end - q < 3)
		return NULL;
	return q[2] == '>' ? q + 3 : malformed(x, "\"--\" inside a comment");
}

/* Text with line ends as XML 1.0 §2.11 has them. */
static bool lines_take(struct xml *x, const char *p, const char *end)
{
	while (p < end) {
		const char *cr = memchr(p, '\r', (size_t)(end - p));

		if (!cr)
			return text_take(x, p, (size_t)(end - p));
		if (!text_take(x, p, (size_t)(cr - p)) ||
		    (!(end - cr > 1 && cr[1] == '\n') && !text_take(x, "\n", 1)))
			return false;
		p = cr + 1;
	}
	return true;
}

static const char *cdata(struct xml *x, const char *p, const char *end)
{
	const char *q = find(p, end, "]]>");

	if (x->depth == 0)
		return malformed(x, "CDATA outside of the root element");
	return q && lines_take(x, p, q) ? q + 3 : NULL;
}

static bool is_version(struct slice v)
{
	if (v.n < 3 || memcmp(v.p, "1.", 2) != 0)
		return false;
	for (size_t i = 2; i < v.n; i++)
		if (v.p[i] < '0' || v.p[i] > '9')
			return false;
	return true;
}

static bool is_encoding(struct slice v)
{
	return is(v.p[0], C_NAME_START) && skip(v.p, v.p + v.n, C_NAME) == v.p + v.n;
}

static bool is_yes_or_no(struct slice v)
{
	return (v.n == 3 && memcmp(v.p, "yes", 3) == 0) || (v.n == 2 && memcmp(v.p, "no", 2) == 0);
}

/* "version", then "encoding", then "standalone"; the last two may be missing.  What encoding it
 * claims doesn't count: the transport says UTF-8 (DSP0200 §7.1). */
static const char *declaration(struct xml *x, const char *p, const char *end)
{
	static const char *const order[] = {"version", "encoding", "standalone"};
	const char *stop = find(p, end, "?>");
	size_t next = 0;

	if (x->begun)
		return malformed(x, "an XML declaration in the middle");
	if (!stop)
		return NULL;
	for (;;) {
		const char *q = skip(p, stop, C_SPACE);
		struct attribute a;

		if (q == stop)
			return next ? stop + 2 : malformed(x, "an XML declaration without a version");
		/* attribute() looks at what follows a name, so it may see the "?>" */
		p = q > p ? attribute(x, q, stop + 2, &a) : NULL;
		if (!p || p > stop)
			return malformed(x, "no XML declaration");
		while (next < ARRAY_SIZE(order) && !(strlen(order[next]) == a.name.n &&
						    memcmp(order[next], a.name.p, a.name.n) == 0))
			next += next == 0 ? ARRAY_SIZE(order) : 1;
		if (next >= ARRAY_SIZE(order) || a.value.n == 0 || !a.plain ||
		    (next == 0 && !is_version(a.value)) ||
		    (next == 1 && !is_encoding(a.value)) || (next == 2 && !is_yes_or_no(a.value)))
			return malformed(x, "no XML declaration");
		next++;
	}
}

static const char *instruction(struct xml *x, const char *p, const char *end)
{
	const char *q = name_end(x, p, end);

	if (!q)
		return NULL;
	if (str_caseeqn(p, (size_t)(q - p), "xml")) {
		if (memcmp(p, "xml", 3) != 0)
			return malformed(x, "a processing instruction with a reserved name");
		return declaration(x, q, end);
	}
	if (!is(*q, C_SPACE) && *q != '?')
		return malformed(x, "a name must be followed by a blank");
	if (*q == '?' && end - q > 1 && q[1] != '>')
		return malformed(x, "'?' must be followed by '>'");
	q = find(q, end, "?>");
	return q ? q + 2 : NULL;
}

static bool starts(const char *p, const char *end, const char *with, bool *ret_cut)
{
	size_t n = strlen(with), have = (size_t)(end - p);

	if (memcmp(p, with, have < n ? have : n) != 0)
		return false;
	*ret_cut |= have < n;
	return have >= n;
}

static const char *markup(struct xml *x, const char *p, const char *end)
{
	bool cut = false;

	if (end - p < 2)
		return NULL;
	if (p[1] == '/')
		return end_tag(x, p + 2, end);
	if (p[1] == '?')
		return instruction(x, p + 2, end);
	if (p[1] != '!')
		return start_tag(x, p + 1, end);
	if (starts(p, end, "<!--", &cut))
		return comment(x, p + 4, end);
	if (starts(p, end, "<![CDATA[", &cut))
		return cdata(x, p + 9, end);
	if (starts(p, end, "<!DOCTYPE", &cut)) {
		/* no client sends one, and without one there are no entities to expand */
		xml_refuse(x, XML_INVALID, "a document type declaration is not accepted");
		return NULL;
	}
	return cut ? NULL : malformed(x, "\"<!\" begins nothing that is known");
}

static const char *text(struct xml *x, const char *p, const char *end, bool last)
{
	const char *q = skip_to(p, end, C_TEXT_STOP);
	char c[4];
	size_t n, took;

	if (q > p)
		return text_take(x, p, (size_t)(q - p)) ? q : NULL;
	switch (*p) {
	case '&':
		if (x->depth == 0)
			return malformed(x, "a reference outside of the root element");
		took = reference(x, p, end, c, &n);
		return took && text_take(x, c, n) ? p + took : NULL;
	case '\r':
		if (end - p < 2 && !last)
			return NULL; /* is it followed by a line feed? */
		if (end - p > 1 && p[1] == '\n')
			return p + 1;
		return text_take(x, "\n", 1) ? p + 1 : NULL;
	default: /* ] */
		n = (size_t)(end - p) < 3 ? (size_t)(end - p) : 3;
		if (memcmp(p, "]]>", n) == 0) {
			if (n == 3)
				return malformed(x, "\"]]>\" in text");
			if (!last)
				return NULL;
		}
		return text_take(x, p, 1) ? p + 1 : NULL;
	}
}

/* Take all that is complete; returns where the rest begins. */
static const char *scan(struct xml *x, const char *p, const char *end, bool last)
{
	if (!x->begun && x->offset == 0) {
		bool cut = false;

		if (starts(p, end, "\xef\xbb\xbf", &cut))
			p += 3;
		else if (cut && !last)
			return p;
	}
	while (p < end) {
		const char *q = *p == '<' ? markup(x, p, end) : text(x, p, end, last);

		if (x->fail || !q)
			break;
		x->begun = true;
		p = q;
	}
	return p;
}

void xml_init(struct xml *x, size_t value_max, const struct cimxml_bounds *b)
{
	x->bounds = b;
	x->rest = buf_of(SIZE_MAX / 2); /* xml_feed keeps it small */
	x->text = buf_of(value_max);
	x->value = buf_of(value_max);
	x->names = buf_of((size_t)b->depth * b->name);
	slots_fill(x->slots);
}

void xml_done(struct xml *x)
{
	buf_done(&x->rest);
	buf_done(&x->text);
	buf_done(&x->value);
	buf_done(&x->names);
}

void xml_begin(struct xml *x, struct arena *a, enum xml_mode mode, struct err *e)
{
	x->arena = a;
	x->mode = mode;
	x->e = e;
	x->root = x->at = NULL;
	x->depth = x->item_depth = x->skip_depth = 0;
	x->fail = XML_FINE;
	x->offset = 0;
	x->begun = x->ended = false;
	buf_clear(&x->rest);
	buf_clear(&x->text);
	buf_clear(&x->names);
}

bool xml_feed(struct xml *x, const char *p, size_t n, bool last)
{
	const char *end, *stop, *at;
	bool cut;

	if (x->fail)
		return false;
	if (x->rest.len) {
		/* a tag that is waiting for its end doesn't get it from this */
		bool waiting = x->rest.p[0] == '<' && !last && !memchr(p, '>', n);

		if (!buf_add(&x->rest, p, n))
			return full(x);
		if (waiting && x->rest.len <= XML_TAG_MAX)
			return true;
		p = x->rest.p;
		n = x->rest.len;
	}
	end = p + n;
	stop = legal(p, end, &cut);
	at = scan(x, p, stop, last && stop == end);
	x->offset += (uint64_t)(at - p);
	if (x->fail) {
		err_in(x->e, "byte %llu", (unsigned long long)x->offset);
		return false;
	}
	if (stop < end && (!cut || last))
		return xml_refuse(x, XML_MALFORMED,
				  "byte %llu: no UTF-8, or a character that XML does not allow",
				  (unsigned long long)x->offset + (uint64_t)(stop - at));
	if (last) {
		if (at < end || x->depth)
			return xml_refuse(x, XML_MALFORMED, "byte %llu: the document breaks off",
					  (unsigned long long)x->offset);
		if (!x->root)
			return xml_refuse(x, XML_MALFORMED, "the document is empty");
		return true;
	}
	n = (size_t)(end - at);
	if (n > XML_TAG_MAX)
		return xml_refuse(x, XML_TOO_LARGE, "byte %llu: a tag of more than %d bytes",
				  (unsigned long long)x->offset, XML_TAG_MAX);
	if (x->rest.len)
		buf_drop(&x->rest, x->rest.len - n);
	else if (n)
		(void)buf_add(&x->rest, at, n);
	return true;
}
