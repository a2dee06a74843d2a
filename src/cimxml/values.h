/* SPDX-License-Identifier: Apache-2.0 */
/*
 * values.h - values, paths and instances as elements (inside cimxml only)
 *
 * Depends on: base cim.  Threads: one owner.
 */
#pragma once

#include "cim/request.h"
#include "cimxml/plan.h"
#include "cimxml/writer.h"

enum { VALUES_NS_TEXT = 512 };

struct values {
	struct cimxml_plans *plans; /* NULL: paths and instances are written without (clients) */
	const char *host, *ns;      /* for paths that need them and have none */
	bool typed; /* keys with their TYPE: the answers to pulls are of DSP0203 2.4, which wants it */
	unsigned depth;             /* paths inside paths, instances inside values */
	/* the namespace written last, as elements */
	const char *last_ns;
	uint32_t last_n;
	char last_name[VALUES_NS_TEXT / 4];
	char last_text[VALUES_NS_TEXT + WRITER_SLACK];
};

void values_namespace(struct values *v, struct writer *w, const char *ns); /* LOCALNAMESPACEPATH */
void values_instance_name(struct values *v, struct writer *w, const struct cim_path *p);
void values_instance_path(struct values *v, struct writer *w, const struct cim_path *p);
void values_class_path(struct values *v, struct writer *w, const char *class_name);
/* What stands in VALUE.REFERENCE: as much of a path as there is. */
void values_reference(struct values *v, struct writer *w, const struct cim_path *p);
/* VALUE, VALUE.ARRAY, VALUE.REFERENCE, VALUE.REFARRAY; nothing for NULL. */
void values_value(struct values *v, struct writer *w, const struct cim_value *val);
void values_instance(struct values *v, struct writer *w, const struct plan *p,
		     const struct cim_instance *i);
/* Without a class table: types as claimed. */
void values_raw_instance(struct values *v, struct writer *w, const struct cim_raw_instance *raw);
