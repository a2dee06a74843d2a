/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objects.h - nodes of a document -> paths, values, instances (inside cimxml only)
 *
 * Class tables play no part: key values and property values stay text (CIM_UNTYPED), instances
 * stay raw.  Shared by requests and answers.
 *
 * Depends on: base cim.  Threads: no state but the caller's.
 */
#pragma once

#include "cim/request.h"
#include "cimxml/xml.h"

struct objects {
	struct arena *a;
	struct xml *inner; /* reads embedded instances */
	const struct cimxml_bounds *bounds;
	unsigned ref_depth, embedded_depth;
	struct err *e;
	bool lenient; /* answers: what isn't understood is left out */
};

/* All return 0, or -EINVAL with o->e filled. */

/* LOCALNAMESPACEPATH -> "root/cimv2". */
int objects_namespace(struct objects *o, const struct xml_node *n, const char **ret);
/* INSTANCENAME, (LOCAL)INSTANCEPATH, CLASSNAME, (LOCAL)CLASSPATH, OBJECTPATH, VALUE.REFERENCE.
 * ret_is_class may be NULL when either will do. */
int objects_path(struct objects *o, const struct xml_node *n, struct cim_path **ret,
		 bool *ret_is_class);
/* VALUE, VALUE.ARRAY, VALUE.REFERENCE, VALUE.REFARRAY, VALUE.NULL, a path, an INSTANCE; NULL node:
 * a NULL value.  embedded: the EmbeddedObject attribute, or NULL. */
int objects_value(struct objects *o, const struct xml_node *n, const char *embedded,
		  struct cim_value *ret);
/* PARAMVALUE, PROPERTY, PROPERTY.ARRAY, PROPERTY.REFERENCE, RETURNVALUE. */
int objects_named(struct objects *o, const struct xml_node *n, struct cim_named *ret);
int objects_instance(struct objects *o, const struct xml_node *n, struct cim_raw_instance **ret);
/* VALUE.NAMEDINSTANCE, VALUE.INSTANCEWITHPATH, VALUE.OBJECTWITHPATH, ..., INSTANCE. */
int objects_named_instance(struct objects *o, const struct xml_node *n,
			   struct cim_raw_instance **ret);
/* Text that is an INSTANCE element. */
int objects_embedded(struct objects *o, const char *text, size_t n, struct cim_raw_instance **ret);
/* A fresh array of the children of one kind (or all kinds, X_UNKNOWN); counts them. */
uint32_t objects_count(const struct xml_node *n, enum xml_el el);
