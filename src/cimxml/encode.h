/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode.h - answers to CIM operations as CIM-XML (DSP0200 §5, DSP0201), written as they come
 *
 * An answer is begun, gets its elements one by one, and is ended; each step appends to a buffer.
 * A step either appends all it has to say or nothing: it returns false when the buffer's maximum
 * doesn't allow it, and can be repeated with another buffer.  So a caller can fill fixed chunks.
 *
 * The dialect is the one that all known clients read: always an XML declaration, nothing of
 * PROPERTY, VALUE, IRETURNVALUE and their like in the <X/> form, raw UTF-8, no CDATA, no numeric
 * character references.
 *
 * Speed: what is the same for all instances of a class (names, types, tags) is put together
 * once, in a plan, and copied.  Plans for whole instances are shared by all threads.
 *
 * Depends on: base cim.  Threads: struct cimxml_plans any; an encoder one at a time.
 */
#pragma once

#include "base/buf.h"
#include "cim/request.h"

struct cimxml_plans;

/* For the n_classes classes of the schema; filled as classes are met. */
struct cimxml_plans *cimxml_plans_new(unsigned n_classes) MUST_CHECK;
void cimxml_plans_free(struct cimxml_plans *p);
DEFINE_AUTO(cimxml_plans, cimxml_plans_free)

/* What is known before the first element.  Borrowed until the answer's end. */
struct cimxml_answer {
	const struct cim_request *rq; /* op decides the form of the elements */
	struct cimxml_plans *plans;
	const char *host; /* where full paths need one and the path has none */
	const char *ns;   /* likewise */
	/* Is property idx of class c in the answer?  NULL: all are.  Must be the same for all
	 * instances of a class. */
	bool (*wants)(const void *ctx, const struct cim_class *c, unsigned idx);
	const void *wants_ctx;
	bool local_only, include_quals, include_origin; /* of classes; origin also of instances */
	const struct cim_class *rows; /* what a query's rows are taken from, when that is asked for */
};

/* One element of a list; which members count follows from the operation. */
struct cimxml_item {
	const struct cim_instance *inst; /* with ->path where the operation tells paths */
	const struct cim_path *path;
	const struct cim_class *cls; /* class operations, and class-level associations */
	const struct cim_qualdecl *qual;
	const struct cim_value *value;
};

struct cimxml_encoder;

/* Lives in the arena, and uses it for plans of property subsets.  NULL when the arena is full. */
struct cimxml_encoder *cimxml_encoder_new(struct arena *a,
					  const struct cimxml_answer *an) MUST_CHECK;
bool cimxml_begin(struct cimxml_encoder *x, struct buf *out) MUST_CHECK;
bool cimxml_item(struct cimxml_encoder *x, struct buf *out,
		 const struct cimxml_item *it) MUST_CHECK;
/* Opens and pulls: end_of_sequence, and context when there is more; others: ignored. */
bool cimxml_end(struct cimxml_encoder *x, struct buf *out, bool end_of_sequence,
		const char *context) MUST_CHECK;

/* The whole answer of an extrinsic method; values by parameter index, in-parameters skipped; NULL:
 * no output parameters at all. */
bool cimxml_method_answer(struct cimxml_encoder *x, struct buf *out, const struct cim_method *m,
			  uint32_t ret, const struct cim_value *values) MUST_CHECK;
/* The whole answer of an operation that failed. */
bool cimxml_error_answer(struct buf *out, const char *message_id, const char *method,
			 bool extrinsic, enum cim_status status, const char *text) MUST_CHECK;
