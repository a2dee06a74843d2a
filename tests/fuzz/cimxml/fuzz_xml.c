/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our XML reader against expat: what one of them takes the other takes, and sees the same in it.
 * Where they may differ: we refuse document types, and what is too much; we take any character
 * from U+0080 up in a name.  The first byte says in what pieces the document comes.
 */
#include <expat.h>
#include <strings.h>

#include "cimxml/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- ours ---- */

static void show(struct buf *b, const struct xml_node *n)
{
	buf_addf(b, "<%s", xml_el_name(n->el));
	for (uint32_t i = 0; i < n->n_attrs; i++)
		buf_addf(b, " %d=%s;", (int)n->attrs[i].id, n->attrs[i].value);
	buf_addc(b, '>');
	if (n->text)
		buf_add(b, n->text, n->n_text);
	for (const struct xml_node *c = n->child; c; c = c->next)
		show(b, c);
	buf_adds(b, "</>");
}

static enum xml_fail ours(const char *p, size_t n, size_t step, struct buf *b)
{
	AUTO(arena) a = arena_new(8 << 20);
	struct xml x = {0};
	struct err e = {0};
	bool ok = true;

	xml_init(&x, 1 << 20, &cimxml_bounds_usual);
	xml_begin(&x, a, XML_LENIENT, &e);
	for (size_t at = 0; at < n && ok; at += step)
		ok = xml_feed(&x, p + at, n - at < step ? n - at : step, false);
	ok = ok && xml_feed(&x, "", 0, true);
	if (ok != (x.fail == XML_FINE) || ok == (e.text[0] != '\0'))
		abort();
	if (ok)
		show(b, x.root);
	xml_done(&x);
	return x.fail;
}

/* ---- expat ---- */

struct theirs {
	XML_Parser p;
	struct buf *b;
	unsigned depth, skip;
	bool text; /* the open element holds text */
	bool incomparable;
};

static bool known(const char *name, bool *ret_text)
{
#define E(id, s, t)            \
	if (streq(name, s)) {  \
		*ret_text = t; \
		return true;   \
	}
	XML_ELEMENTS(E)
#undef E
	return false;
}

static int attribute_id(const char *name)
{
#define A(id, s)            \
	if (streq(name, s)) \
		return A_##id;
	XML_ATTRS(A)
#undef A
	return strcasecmp(name, "EmbeddedObject") == 0 ? A_EMBEDDEDOBJECT : A_UNKNOWN;
}

static void XMLCALL on_start(void *ctx, const XML_Char *name, const XML_Char **atts)
{
	struct theirs *t = ctx;
	bool text = false;

	t->depth++;
	if (t->skip)
		return;
	if (!known(name, &text) || t->text) {
		t->incomparable |= t->depth == 1;
		t->skip = t->depth;
		return;
	}
	t->text = text;
	buf_addf(t->b, "<%s", name);
	for (; atts[0]; atts += 2)
		if (attribute_id(atts[0]))
			buf_addf(t->b, " %d=%s;", attribute_id(atts[0]), atts[1]);
	buf_addc(t->b, '>');
}

static void XMLCALL on_end(void *ctx, const XML_Char *name)
{
	struct theirs *t = ctx;

	(void)name;
	if (t->skip == t->depth--) {
		t->skip = 0;
		return;
	}
	if (t->skip)
		return;
	t->text = false;
	buf_adds(t->b, "</>");
}

static void XMLCALL on_text(void *ctx, const XML_Char *s, int n)
{
	struct theirs *t = ctx;

	if (!t->skip && t->text)
		buf_add(t->b, s, (size_t)n);
}

static void XMLCALL on_doctype(void *ctx, const XML_Char *name, const XML_Char *sysid,
			       const XML_Char *pubid, int subset)
{
	struct theirs *t = ctx;

	(void)name, (void)sysid, (void)pubid, (void)subset;
	t->incomparable = true; /* not to be compared */
}

static void XMLCALL on_declaration(void *ctx, const XML_Char *version, const XML_Char *encoding,
				   int standalone)
{
	struct theirs *t = ctx;

	(void)encoding, (void)standalone;
	if (version && (strncmp(version, "1.", 2) != 0 || !version[2] ||
			version[2 + strspn(version + 2, "0123456789")]))
		t->incomparable = true; /* expat takes any version */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_buf struct buf one = buf_of(8 << 20), pieces = buf_of(8 << 20),
			    other = buf_of(8 << 20);
	struct theirs t = {.b = &other};
	const char *p = (const char *)data + 1;
	enum xml_fail fail;
	enum XML_Error e;
	bool high = false;
	bool theirs;

	if (size < 1)
		return 0;
	size--;
	fail = ours(p, size, size ? size : 1, &one);
	if (ours(p, size, data[0] ? data[0] : 256, &pieces) != fail)
		abort();
	if (fail == XML_FINE && !streq(one.p, pieces.p))
		abort();
	for (size_t i = 0; i < size; i++)
		high |= (unsigned char)p[i] >= 0x80;
	buf_add(&other, "", 0);
	t.p = XML_ParserCreate("UTF-8");
	XML_SetUserData(t.p, &t);
	XML_SetElementHandler(t.p, on_start, on_end);
	XML_SetCharacterDataHandler(t.p, on_text);
	XML_SetStartDoctypeDeclHandler(t.p, on_doctype);
	XML_SetXmlDeclHandler(t.p, on_declaration);
	theirs = XML_Parse(t.p, p, (int)size, 1) == XML_STATUS_OK;
	e = XML_GetErrorCode(t.p);
	XML_ParserFree(t.p);
	if (fail == XML_FINE && !theirs && !(e == XML_ERROR_INVALID_TOKEN && high))
		abort();
	if (fail == XML_MALFORMED && theirs && !t.incomparable)
		abort();
	if (fail == XML_FINE && theirs && !streq(one.p, other.p))
		abort();
	return 0;
}
