/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/str.h"
#include "cimxml/bounds.h"
#include "cimxml/xml.h"

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

static enum xml_el element_of(const struct xml *x, const char *name)
{
	size_t n = strlen(name);

	for (unsigned at = slot_of(name, n); x->slots[at]; at = (at + 1) % XML_SLOTS) {
		unsigned i = x->slots[at];

		if (elements[i].len == n && memcmp(elements[i].name, name, n) == 0)
			return (enum xml_el)i;
	}
	return X_UNKNOWN;
}

/* EmbeddedObject is written in capitals by old clients; it is the only one with two spellings. */
static enum xml_attr_id attribute_of(const char *name)
{
	size_t n = strlen(name);

	for (unsigned i = A_UNKNOWN + 1; i < A_N; i++)
		if (attributes[i].len == n &&
		    (memcmp(attributes[i].name, name, n) == 0 ||
		     (i == A_EMBEDDEDOBJECT && str_caseeq(attributes[i].name, name))))
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
	if (x->expat)
		(void)XML_StopParser(x->expat, XML_FALSE);
	return false;
}

static bool full(struct xml *x)
{
	return xml_refuse(x, XML_TOO_LARGE, "the document needs more memory than is allowed");
}

static bool attributes_take(struct xml *x, struct arena *a, struct xml_node *n,
			    const XML_Char **atts)
{
	struct xml_attr found[CIMXML_ATTRS_MAX], *kept;
	uint32_t count = 0;

	for (unsigned i = 0; atts[i]; i += 2) {
		enum xml_attr_id id = attribute_of(atts[i]);
		size_t len = strlen(atts[i + 1]);

		if (i / 2 >= CIMXML_ATTRS_MAX)
			return xml_refuse(x, XML_TOO_LARGE, "%s has more than %d attributes",
					  xml_el_name(n->el), CIMXML_ATTRS_MAX);
		if (id == A_UNKNOWN)
			continue;
		/* a description is for people, and only in answers */
		if (len > CIMXML_NAME_MAX && id != A_DESCRIPTION)
			return xml_refuse(x, XML_TOO_LARGE,
					  "attribute %s of %s has %zu bytes; allowed: %d",
					  attributes[id].name, xml_el_name(n->el), len,
					  CIMXML_NAME_MAX);
		found[count].id = id;
		found[count].value = arena_strndup(a, atts[i + 1], len);
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

static void XMLCALL on_start(void *ctx, const XML_Char *name, const XML_Char **atts)
{
	struct xml *x = ctx;
	struct xml_node *n;
	struct arena *a;
	enum xml_el el;

	if (x->fail)
		return;
	x->depth++;
	if (x->skip_depth)
		return;
	if (x->depth > CIMXML_DEPTH_MAX) {
		xml_refuse(x, XML_TOO_LARGE, "more than %d elements inside each other",
			   CIMXML_DEPTH_MAX);
		return;
	}
	el = element_of(x, name);
	if (x->at && elements[x->at->el].text)
		el = X_UNKNOWN; /* text and nothing else belongs there */
	if (el == X_UNKNOWN) {
		if (x->mode == XML_STRICT || !x->at)
			xml_refuse(x, XML_INVALID, "element \"%.80s\" does not belong into %s", name,
				   x->at ? xml_el_name(x->at->el) : "a CIM-XML document");
		else
			x->skip_depth = x->depth;
		return;
	}
	if (x->item && !x->item_depth && x->at && x->at->el == X_IRETURNVALUE)
		x->item_depth = x->depth;
	a = x->item_depth ? x->item_arena : x->arena;
	n = arena_zalloc(a, sizeof(*n));
	if (!n) {
		full(x);
		return;
	}
	n->el = el;
	if (atts[0] && !attributes_take(x, a, n, atts))
		return;
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
}

static void XMLCALL on_end(void *ctx, const XML_Char *name)
{
	struct xml *x = ctx;
	struct xml_node *n = x->at;

	(void)name;
	if (x->fail)
		return;
	if (x->skip_depth) {
		if (x->skip_depth == x->depth)
			x->skip_depth = 0;
		x->depth--;
		return;
	}
	if (elements[n->el].text) {
		n->text = arena_strndup(x->item_depth ? x->item_arena : x->arena,
					x->text.len ? x->text.p : "", x->text.len);
		n->n_text = (uint32_t)x->text.len;
		if (!n->text) {
			full(x);
			return;
		}
		buf_clear(&x->text);
	}
	x->at = n->parent;
	if (x->item_depth && x->depth == x->item_depth) {
		x->item_depth = 0;
		if (!x->item(x->ctx, n)) {
			xml_refuse(x, XML_INVALID, "stopped");
			return;
		}
		arena_reset(x->item_arena);
	}
	x->depth--;
}

static void XMLCALL on_text(void *ctx, const XML_Char *s, int len)
{
	struct xml *x = ctx;
	size_t n = (size_t)len;

	if (x->fail || x->skip_depth)
		return;
	if (x->at && elements[x->at->el].text) {
		if (!buf_add(&x->text, s, n))
			xml_refuse(x, XML_TOO_LARGE, "a value of more than %zu bytes",
				   x->text.max);
		return;
	}
	if (x->mode == XML_LENIENT)
		return;
	for (size_t i = 0; i < n; i++)
		if (s[i] != ' ' && s[i] != '\t' && s[i] != '\n' && s[i] != '\r') {
			xml_refuse(x, XML_INVALID, "text stands in %s, which holds elements only",
				   x->at ? xml_el_name(x->at->el) : "the document");
			return;
		}
}

/* No client sends one, and without one there are no entities to expand. */
static void XMLCALL on_doctype(void *ctx, const XML_Char *name, const XML_Char *sysid,
			       const XML_Char *pubid, int subset)
{
	(void)name, (void)sysid, (void)pubid, (void)subset;
	xml_refuse(ctx, XML_INVALID, "a document type declaration is not accepted");
}

void xml_init(struct xml *x, size_t value_max)
{
	x->text = buf_of(value_max);
	slots_fill(x->slots);
	/* expat would ask the kernel for each document */
	if (getrandom(&x->salt, sizeof(x->salt), GRND_NONBLOCK) != sizeof(x->salt))
		x->salt = 0;
}

void xml_done(struct xml *x)
{
	if (x->expat)
		XML_ParserFree(x->expat);
	x->expat = NULL;
	buf_done(&x->text);
}

void xml_begin(struct xml *x, struct arena *a, enum xml_mode mode, struct err *e)
{
	/* the transport says UTF-8 (DSP0200 §7.1), whatever the declaration claims */
	if (x->expat)
		(void)XML_ParserReset(x->expat, "UTF-8");
	else
		x->expat = XML_ParserCreate("UTF-8");
	if (!x->expat)
		abort();
	if (x->salt)
		(void)XML_SetHashSalt(x->expat, x->salt);
	XML_SetUserData(x->expat, x);
	XML_SetElementHandler(x->expat, on_start, on_end);
	XML_SetCharacterDataHandler(x->expat, on_text);
	XML_SetStartDoctypeDeclHandler(x->expat, on_doctype);
	x->arena = a;
	x->mode = mode;
	x->e = e;
	x->root = x->at = NULL;
	x->depth = x->item_depth = x->skip_depth = 0;
	x->fail = XML_FINE;
	buf_clear(&x->text);
}

bool xml_feed(struct xml *x, const char *p, size_t n, bool last)
{
	while (n > INT_MAX) {
		if (!xml_feed(x, p, INT_MAX, false))
			return false;
		p += INT_MAX;
		n -= INT_MAX;
	}
	if (x->fail)
		return false;
	if (XML_Parse(x->expat, p, (int)n, last) != XML_STATUS_OK && !x->fail)
		xml_refuse(x, XML_MALFORMED, "line %lu: %s",
			   (unsigned long)XML_GetCurrentLineNumber(x->expat),
			   XML_ErrorString(XML_GetErrorCode(x->expat)));
	if (!x->fail && last && !x->root)
		xml_refuse(x, XML_MALFORMED, "the document is empty");
	return !x->fail;
}
