/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bounds.h - how much of a stranger's document we are willing to look at
 *
 * What is larger is refused with a reason, in requests and in answers alike.  A server may be told
 * other bounds for its requests; answers and what is written keep to the usual ones.
 *
 * Depends on: base.  Threads: no state.
 */
#pragma once

#include "base/base.h"

/* name, usual value, least, most; what is counted */
#define CIMXML_BOUNDS(B)                                                                           \
	B(depth, 64, 16, 256)             /* elements inside each other */                         \
	B(attributes, 16, 8, 64)          /* of one element */                                     \
	B(name, 1024, 256, 65535)         /* bytes of a name or another attribute value */         \
	B(namespace_name, 1024, 64, 4096) /* bytes of a joined namespace name */                   \
	B(array, 65536, 16, 1000000)      /* elements of one array, properties, names of a list */ \
	B(keys, 64, 16, 1024)             /* of one path; parameters of one call */                \
	B(path_depth, 8, 2, 32)           /* paths inside paths */                                 \
	B(embedded_depth, 4, 1, 16)       /* instances inside values inside instances */

struct cimxml_bounds {
#define B(name, usual, least, most) uint32_t name;
	CIMXML_BOUNDS(B)
#undef B
};

extern const struct cimxml_bounds cimxml_bounds_usual;

enum {
#define B(name, usual, least, most)                                       \
	cimxml_##name##_usual = (usual), cimxml_##name##_least = (least), \
	cimxml_##name##_most = (most),
	CIMXML_BOUNDS(B)
#undef B
		CIMXML_ANSWER_VALUE_MAX = 16 * 1024 * 1024, /* bytes of one value in an answer */
	CIMXML_ANSWER_OBJECT_MAX = 64 * 1024 * 1024,        /* memory of one object of an answer */
};
