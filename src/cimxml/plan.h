/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - the constant text of a class's instances and paths (inside cimxml only)
 *
 * For each property the text from one value to the next is put together once:
 *
 *   </VALUE></PROPERTY><PROPERTY NAME="Role" TYPE="uint16"><VALUE>
 *
 * so that a value costs one copy and its own digits.  The texts of NULL properties stand behind
 * each other in one place, so that a run of them is one copy.
 *
 * Depends on: base cim.  Threads: a finished plan is const.
 */
#pragma once

#include "cimxml/encode.h"
#include "cimxml/writer.h"

/* Where a piece stands in plan.text. */
struct piece {
	uint32_t at, len;
};

struct plan_step {
	struct piece value; /* from the end of the previous plain value to this one */
	struct piece null;  /* all of the property when it is NULL */
	struct piece open;  /* start tag, for arrays, references, embedded instances */
	uint16_t idx;
	uint8_t type;
	bool array;
};

struct plan_key {
	struct piece value; /* from the end of the previous plain key to this one */
	struct piece typed; /* the same with a TYPE */
	struct piece ref;   /* start tag for a reference */
	bool is_ref;
};

struct plan {
	const struct cim_class *cls;
	const char *text;           /* followed by WRITER_SLACK readable bytes */
	struct piece instance_open; /* <INSTANCE CLASSNAME="..."> */
	struct piece name_open;     /* <INSTANCENAME CLASSNAME="..."> */
	struct plan_step *steps;
	struct plan_key *keys;
	uint16_t n_steps;
	struct plan *next; /* in an encoder's list */
};

/* The tails that plan_step.value and plan_key.value begin with. */
#define PLAN_VALUE_TAIL "</VALUE></PROPERTY>"
#define PLAN_KEY_TAIL   "</KEYVALUE></KEYBINDING>"
#define PLAN_REF_TAIL   "</VALUE.REFERENCE></KEYBINDING>"

enum plan_origin { PLAN_PLAIN, PLAN_WITH_ORIGIN };
/* wants NULL: all properties.  a NULL: on the heap, for plan_free. */
struct plan *plan_new(struct arena *a, const struct cim_class *c,
		      bool (*wants)(const void *ctx, const struct cim_class *c, unsigned idx),
		      const void *ctx, enum plan_origin origin);
void plan_free(struct plan *p);

/* The shared plan of a class for whole instances. */
const struct plan *plans_get(struct cimxml_plans *ps, const struct cim_class *c);
