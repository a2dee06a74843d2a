/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bounds.h - how much of a stranger's document we are willing to look at
 *
 * What is larger is refused with a reason, in requests and in answers alike.
 *
 * Depends on: nothing.  Threads: no state.
 */
#pragma once

enum {
	CIMXML_BODY_MAX = 8 * 1024 * 1024, /* bytes of one request */
	CIMXML_DEPTH_MAX = 64,             /* elements inside each other */
	CIMXML_ATTRS_MAX = 16,             /* attributes of one element */
	CIMXML_NAME_MAX = 1024,            /* bytes of a name or another attribute value */
	CIMXML_NAMESPACE_MAX = 1024,       /* bytes of a joined namespace name */
	CIMXML_ARRAY_MAX = 65536,          /* elements of one array, properties, parameters */
	CIMXML_KEYS_MAX = 64,              /* keys of one path */
	CIMXML_REF_DEPTH_MAX = 8,          /* paths inside paths */
	CIMXML_EMBEDDED_DEPTH_MAX = 4,     /* instances inside values inside instances */
	CIMXML_ANSWER_VALUE_MAX = 16 * 1024 * 1024,  /* bytes of one value in an answer */
	CIMXML_ANSWER_OBJECT_MAX = 64 * 1024 * 1024, /* memory of one object of an answer */
};
