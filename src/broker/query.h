/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query.h - WQL, DMTF:CQL (DSP0202) and DMTF:FQL (DSP0212): text in, a tree out, instances tested
 *
 * WQL and CQL:  SELECT * | name, name ...  FROM class [[AS] alias]  [WHERE condition]
 * FQL:          condition
 * condition:    AND, OR, NOT, parentheses; = <> != < <= > >= of a name with a literal, NULL or
 *               another name; IS [NOT] NULL; [NOT] LIKE 'pattern'; name, class or alias ISA class;
 *               ANY name = literal for arrays
 * name:         Name, Name[0] (an element), Name[*] (the whole array), Class::Name, and chains of
 *               them through embedded instances: SourceInstance.CIM_System::Name
 *
 * LIKE: in WQL % is any text, _ any character, [a-z] one of a set; in CQL and FQL a regular
 * expression over the whole value with . [] * + ? and \ as escape.
 *
 * A comparison with NULL is unknown, and so is NOT of it: such an instance isn't selected.  String
 * comparison is exact; names compare without case.
 *
 * Depends on: base cim.  Threads: a parsed query is const.
 */
#pragma once

#include "cim/cim.h"

enum query_lang { QUERY_WQL, QUERY_CQL, QUERY_FQL };
bool query_lang_parse(const char *name, enum query_lang *ret) MUST_CHECK;

/* Bounds of a query's text; more is refused with a sentence that names the bound. */
struct query_limits {
	uint32_t depth;         /* parentheses and NOTs inside each other */
	uint32_t names;         /* names of a SELECT list, and different properties in all */
	uint32_t chain;         /* names of one chain */
	uint32_t pattern_bytes; /* of one LIKE */
};
extern const struct query_limits query_limits_usual;
/* what they may be set to: reading a query recurses depth deep, LIKE takes as much of the stack */
enum { query_depth_most = 512, query_names_most = 4096, query_pattern_most = 4096 };

struct query_node;

struct query {
	enum query_lang lang;
	const char *from, *alias; /* FQL: NULL */
	bool star;
	const char *const *select; /* property names, unless star */
	uint32_t n_select;
	const char *const *used; /* each property the query names, first name of a chain */
	uint32_t n_used;
	const struct query_node *where; /* NULL: all */
};

/* Everything is copied into the arena: at most 32 bytes for each of text.  -EINVAL with a sentence
 * that says where; -ENOMEM: the arena is full. */
int query_parse(struct arena *a, enum query_lang lang, const char *text, size_t n,
		const struct query_limits *limits, struct query **ret, struct err *e) MUST_CHECK;
/* A property that the instance's class doesn't have is NULL. */
bool query_match(const struct query *q, const struct cim_instance *i);
