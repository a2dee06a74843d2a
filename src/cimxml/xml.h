/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xml.h - a CIM-XML document as a tree of known elements (inside cimxml only)
 *
 * Reads XML 1.0 in UTF-8 and builds nodes in an arena, with element and attribute names turned
 * into numbers.  Ill-formed documents are refused, and so is what CIM-XML has no use for:
 * document types (and with them entities other than the five predefined), text where only
 * elements belong, too much of anything.  Names may hold any character from U+0080 up, which is
 * more than XML 1.0 allows; no name of ours does.
 *
 * Why no library: reading a GetInstance request of a kilobyte took expat 11 us, of 13 for all
 * that decoding needs, and that was half of what such a request costs the server; this takes 1.
 * A fuzz target holds it to expat's judgement.
 *
 * A whole request becomes one tree.  Of an answer only one object at a time is held: with
 * .item set, every child of IRETURNVALUE is built in .item_arena, handed out, and forgotten.
 *
 * Depends on: base.  Threads: one parser, one thread at a time.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "cimxml/bounds.h"

/* identifier, name, may it hold text? */
#define XML_ELEMENTS(E)                                              \
	E(CIM, "CIM", 0)                                             \
	E(CLASS, "CLASS", 0)                                         \
	E(ERROR, "ERROR", 0)                                         \
	E(HOST, "HOST", 1)                                           \
	E(VALUE, "VALUE", 1)                                         \
	E(SCOPE, "SCOPE", 0)                                         \
	E(METHOD, "METHOD", 0)                                       \
	E(MESSAGE, "MESSAGE", 0)                                     \
	E(CLASSNAME, "CLASSNAME", 0)                                 \
	E(CLASSPATH, "CLASSPATH", 0)                                 \
	E(INSTANCE, "INSTANCE", 0)                                   \
	E(KEYVALUE, "KEYVALUE", 1)                                   \
	E(MULTIREQ, "MULTIREQ", 0)                                   \
	E(MULTIRSP, "MULTIRSP", 0)                                   \
	E(PROPERTY, "PROPERTY", 0)                                   \
	E(EXPMETHODCALL, "EXPMETHODCALL", 0)                         \
	E(EXPMETHODRESPONSE, "EXPMETHODRESPONSE", 0)                 \
	E(EXPPARAMVALUE, "EXPPARAMVALUE", 0)                         \
	E(SIMPLEEXPREQ, "SIMPLEEXPREQ", 0)                           \
	E(SIMPLEEXPRSP, "SIMPLEEXPRSP", 0)                           \
	E(MULTIEXPREQ, "MULTIEXPREQ", 0)                             \
	E(MULTIEXPRSP, "MULTIEXPRSP", 0)                             \
	E(CORRELATOR, "CORRELATOR", 0)                               \
	E(DECLARATION, "DECLARATION", 0)                             \
	E(IMETHODCALL, "IMETHODCALL", 0)                             \
	E(IMETHODRESPONSE, "IMETHODRESPONSE", 0)                     \
	E(INSTANCENAME, "INSTANCENAME", 0)                           \
	E(INSTANCEPATH, "INSTANCEPATH", 0)                           \
	E(IPARAMVALUE, "IPARAMVALUE", 0)                             \
	E(IRETURNVALUE, "IRETURNVALUE", 0)                           \
	E(KEYBINDING, "KEYBINDING", 0)                               \
	E(LOCALCLASSPATH, "LOCALCLASSPATH", 0)                       \
	E(LOCALINSTANCEPATH, "LOCALINSTANCEPATH", 0)                 \
	E(LOCALNAMESPACEPATH, "LOCALNAMESPACEPATH", 0)               \
	E(METHODCALL, "METHODCALL", 0)                               \
	E(METHODRESPONSE, "METHODRESPONSE", 0)                       \
	E(NAMESPACE, "NAMESPACE", 0)                                 \
	E(NAMESPACEPATH, "NAMESPACEPATH", 0)                         \
	E(OBJECTPATH, "OBJECTPATH", 0)                               \
	E(PARAMETER, "PARAMETER", 0)                                 \
	E(PARAMETER_ARRAY, "PARAMETER.ARRAY", 0)                     \
	E(PARAMETER_REFARRAY, "PARAMETER.REFARRAY", 0)               \
	E(PARAMETER_REFERENCE, "PARAMETER.REFERENCE", 0)             \
	E(PARAMVALUE, "PARAMVALUE", 0)                               \
	E(PROPERTY_ARRAY, "PROPERTY.ARRAY", 0)                       \
	E(PROPERTY_REFERENCE, "PROPERTY.REFERENCE", 0)               \
	E(QUALIFIER, "QUALIFIER", 0)                                 \
	E(QUALIFIER_DECLARATION, "QUALIFIER.DECLARATION", 0)         \
	E(RETURNVALUE, "RETURNVALUE", 0)                             \
	E(SIMPLEREQ, "SIMPLEREQ", 0)                                 \
	E(SIMPLERSP, "SIMPLERSP", 0)                                 \
	E(VALUE_ARRAY, "VALUE.ARRAY", 0)                             \
	E(VALUE_INSTANCEWITHPATH, "VALUE.INSTANCEWITHPATH", 0)       \
	E(VALUE_NAMEDINSTANCE, "VALUE.NAMEDINSTANCE", 0)             \
	E(VALUE_NAMEDOBJECT, "VALUE.NAMEDOBJECT", 0)                 \
	E(VALUE_NULL, "VALUE.NULL", 0)                               \
	E(VALUE_OBJECT, "VALUE.OBJECT", 0)                           \
	E(VALUE_OBJECTWITHLOCALPATH, "VALUE.OBJECTWITHLOCALPATH", 0) \
	E(VALUE_OBJECTWITHPATH, "VALUE.OBJECTWITHPATH", 0)           \
	E(VALUE_REFARRAY, "VALUE.REFARRAY", 0)                       \
	E(VALUE_REFERENCE, "VALUE.REFERENCE", 0)

enum xml_el {
	X_UNKNOWN,
#define E(id, name, text) X_##id,
	XML_ELEMENTS(E)
#undef E
		X_N
};

#define XML_ATTRS(A)                          \
	A(CIMVERSION, "CIMVERSION")           \
	A(DTDVERSION, "DTDVERSION")           \
	A(ID, "ID")                           \
	A(PROTOCOLVERSION, "PROTOCOLVERSION") \
	A(NAME, "NAME")                       \
	A(CLASSNAME, "CLASSNAME")             \
	A(TYPE, "TYPE")                       \
	A(VALUETYPE, "VALUETYPE")             \
	A(PARAMTYPE, "PARAMTYPE")             \
	A(EMBEDDEDOBJECT, "EMBEDDEDOBJECT")   \
	A(SUPERCLASS, "SUPERCLASS")           \
	A(CODE, "CODE")                       \
	A(DESCRIPTION, "DESCRIPTION")

enum xml_attr_id {
	A_UNKNOWN,
#define A(id, name) A_##id,
	XML_ATTRS(A)
#undef A
		A_N
};

struct xml_attr {
	enum xml_attr_id id;
	const char *value;
};

struct xml_node {
	enum xml_el el;
	uint32_t n_attrs, n_text;
	const struct xml_attr *attrs;
	const char *text; /* of elements that may hold some; never NULL then */
	struct xml_node *parent, *child, *last, *next;
};

/* NULL: not given. */
const char *xml_attr(const struct xml_node *n, enum xml_attr_id id);
const char *xml_el_name(enum xml_el el);

enum xml_fail {
	XML_FINE,
	XML_MALFORMED, /* no XML, or no UTF-8 */
	XML_INVALID,   /* XML, but no CIM-XML */
	XML_TOO_LARGE, /* past a limit */
};

enum xml_mode {
	XML_STRICT,  /* an unknown element is refused */
	XML_LENIENT, /* ... is left out, with all in it */
};

enum { XML_SLOTS = 256, XML_TAG_MAX = 64 * 1024 };

struct xml {
	struct arena *arena, *item_arena;
	enum xml_mode mode;
	/* A child of IRETURNVALUE is complete; false stops the parser. */
	bool (*item)(void *ctx, const struct xml_node *n);
	void *ctx;

	struct xml_node *root, *at;
	unsigned item_depth, skip_depth;
	const struct cimxml_bounds *bounds; /* lives as long as this */
	enum xml_fail fail;
	struct err *e;

	/* the scanner */
	struct buf rest;  /* the beginning of what isn't complete yet */
	struct buf text;  /* of the element that is open */
	struct buf value; /* of an attribute, while references are replaced */
	struct buf names; /* of the open elements, one behind the other */
	unsigned depth;
	uint16_t name_len[cimxml_depth_most];
	uint64_t offset;          /* of the document: where the bytes being looked at begin */
	bool begun, ended;        /* past the XML declaration; past the root element */
	uint8_t slots[XML_SLOTS]; /* element names by hash */
};

/* x is zeroed by the caller, once; xml_done frees. */
void xml_init(struct xml *x, size_t value_max, const struct cimxml_bounds *b);
void xml_done(struct xml *x);
/* Begin a document: forgets the one before, keeps the memory. */
void xml_begin(struct xml *x, struct arena *a, enum xml_mode mode, struct err *e);
/* More bytes; last: these were the last.  A tag that comes in pieces may have XML_TAG_MAX bytes.
 * x->fail says how it went. */
bool xml_feed(struct xml *x, const char *p, size_t n, bool last) MUST_CHECK;
/* Record why, and stop. */
bool xml_refuse(struct xml *x, enum xml_fail f, const char *fmt, ...) PRINTF(3, 4);
