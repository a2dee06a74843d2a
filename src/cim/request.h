/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.h - one CIM operation (DSP0200 §5.3, §5.4), apart from any encoding
 *
 * A decoder fills a cim_request in the request's arena; the broker executes it; an encoder
 * writes what comes out.  Class and property names are as they came (not yet looked up).
 *
 * Depends on: base.  Threads: one owner at a time.
 */
#pragma once

#include "cim/cim.h"

enum cim_op {
	CIM_OP_GET_CLASS,
	CIM_OP_ENUMERATE_CLASSES,
	CIM_OP_ENUMERATE_CLASS_NAMES,
	CIM_OP_GET_INSTANCE,
	CIM_OP_ENUMERATE_INSTANCES,
	CIM_OP_ENUMERATE_INSTANCE_NAMES,
	CIM_OP_CREATE_INSTANCE,
	CIM_OP_MODIFY_INSTANCE,
	CIM_OP_DELETE_INSTANCE,
	CIM_OP_ASSOCIATORS,
	CIM_OP_ASSOCIATOR_NAMES,
	CIM_OP_REFERENCES,
	CIM_OP_REFERENCE_NAMES,
	CIM_OP_EXEC_QUERY,
	CIM_OP_GET_PROPERTY,
	CIM_OP_SET_PROPERTY,
	CIM_OP_GET_QUALIFIER,
	CIM_OP_ENUMERATE_QUALIFIERS,
	CIM_OP_OPEN_ENUMERATE_INSTANCES,
	CIM_OP_OPEN_ENUMERATE_INSTANCE_PATHS,
	CIM_OP_OPEN_REFERENCE_INSTANCES,
	CIM_OP_OPEN_REFERENCE_INSTANCE_PATHS,
	CIM_OP_OPEN_ASSOCIATOR_INSTANCES,
	CIM_OP_OPEN_ASSOCIATOR_INSTANCE_PATHS,
	CIM_OP_OPEN_QUERY_INSTANCES,
	CIM_OP_PULL_INSTANCES_WITH_PATH,
	CIM_OP_PULL_INSTANCE_PATHS,
	CIM_OP_PULL_INSTANCES,
	CIM_OP_CLOSE_ENUMERATION,
	CIM_OP_ENUMERATION_COUNT,
	CIM_OP_CREATE_CLASS, /* known, never supported: the schema is compiled in */
	CIM_OP_MODIFY_CLASS,
	CIM_OP_DELETE_CLASS,
	CIM_OP_SET_QUALIFIER,
	CIM_OP_DELETE_QUALIFIER,
	CIM_OP_INVOKE_METHOD, /* extrinsic */
	CIM_N_OPS
};
/* "GetClass", ...; the intrinsic method's name on the wire. */
const char *cim_op_name(enum cim_op op);
bool cim_op_parse(const char *s, size_t n, enum cim_op *ret) MUST_CHECK;

enum cim_status { /* DSP0200 §5.2.6 table 2 */
	CIM_OK = 0,
	CIM_ERR_FAILED = 1,
	CIM_ERR_ACCESS_DENIED = 2,
	CIM_ERR_INVALID_NAMESPACE = 3,
	CIM_ERR_INVALID_PARAMETER = 4,
	CIM_ERR_INVALID_CLASS = 5,
	CIM_ERR_NOT_FOUND = 6,
	CIM_ERR_NOT_SUPPORTED = 7,
	CIM_ERR_CLASS_HAS_CHILDREN = 8,
	CIM_ERR_CLASS_HAS_INSTANCES = 9,
	CIM_ERR_INVALID_SUPERCLASS = 10,
	CIM_ERR_ALREADY_EXISTS = 11,
	CIM_ERR_NO_SUCH_PROPERTY = 12,
	CIM_ERR_TYPE_MISMATCH = 13,
	CIM_ERR_QUERY_LANGUAGE_NOT_SUPPORTED = 14,
	CIM_ERR_INVALID_QUERY = 15,
	CIM_ERR_METHOD_NOT_AVAILABLE = 16,
	CIM_ERR_METHOD_NOT_FOUND = 17,
	CIM_ERR_NAMESPACE_NOT_EMPTY = 20,
	CIM_ERR_INVALID_ENUMERATION_CONTEXT = 21,
	CIM_ERR_INVALID_OPERATION_TIMEOUT = 22,
	CIM_ERR_PULL_HAS_BEEN_ABANDONED = 23,
	CIM_ERR_PULL_CANNOT_BE_ABANDONED = 24,
	CIM_ERR_FILTERED_ENUMERATION_NOT_SUPPORTED = 25,
	CIM_ERR_CONTINUATION_ON_ERROR_NOT_SUPPORTED = 26,
	CIM_ERR_SERVER_LIMITS_EXCEEDED = 27,
	CIM_ERR_SERVER_IS_SHUTTING_DOWN = 28,
};
const char *cim_status_name(enum cim_status s); /* "CIM_ERR_NOT_FOUND" */

/* A named value as it came: a parameter of a method, or a property of an instance.  Text is
 * untyped until checked against the class table; type_name is what the sender claimed or NULL. */
struct cim_named {
	const char *name;
	bool has_type;
	uint8_t claimed;    /* enum cim_type, when has_type */
	bool is_array;
	struct cim_value v; /* scalars of CIM_UNTYPED text, CIM_REF, CIM_OBJECT (raw), or array of these */
};

/* An instance as it came (CreateInstance, ModifyInstance, embedded): names not looked up yet.
 * The broker turns it into a cim_instance.  A CIM_OBJECT value of a request points to one of
 * these (hint CIM_HINT_RAW, cim_raw_of()), since it has no class table yet.  Text that was marked
 * as an embedded object, or looks like one, is already parsed by the decoder. */
struct cim_raw_instance {
	const char *class_name;
	struct cim_named *props;
	uint32_t n_props;
	const struct cim_path *path; /* ModifyInstance: the named instance */
	const char *text; /* not NULL: it stood in a string that nobody had marked as an embedded */
	uint32_t n_text;  /* object; where the class table wants a string, this is the string */
};

/* Deep copy; NULL when the arena is full. */
struct cim_raw_instance *cim_raw_instance_dup(struct arena *a, const struct cim_raw_instance *raw);
static inline struct cim_value cim_raw_to_value(const struct cim_raw_instance *raw)
{
	return (struct cim_value){.type = CIM_OBJECT,
				  .kind = raw ? CIM_V_SCALAR : CIM_V_NULL,
				  .hint = CIM_HINT_RAW,
				  .inst = (const struct cim_instance *)(const void *)raw};
}
/* v: scalar of CIM_OBJECT with CIM_HINT_RAW. */
static inline const struct cim_raw_instance *cim_raw_of(const struct cim_value *v)
{
	return (const struct cim_raw_instance *)(const void *)v->inst;
}

enum cim_tristate { CIM_UNSET = 0, CIM_FALSE, CIM_TRUE };

struct cim_request {
	enum cim_op op;
	const char *message_id;
	const char *ns;              /* LOCALNAMESPACEPATH, joined by '/' */
	const char *class_name;      /* ClassName, or the class of ObjectName/InstanceName */
	struct cim_path *path;       /* InstanceName, ObjectName when it is an instance path */
	struct cim_raw_instance *instance;
	const char *const *props;    /* PropertyList; has_props false: NULL, true with 0: empty */
	uint32_t n_props;
	bool has_props;
	uint8_t deep, local_only, include_quals, include_origin; /* enum cim_tristate */
	const char *assoc_class, *result_class, *role, *result_role;
	const char *query_lang, *query;   /* ExecQuery, and FilterQuery(Language) of the Opens */
	bool return_query_class;
	/* pull */
	const char *context;
	bool has_timeout, has_max_objects;
	uint32_t timeout_s, max_objects;
	uint8_t continue_on_error;
	/* property and qualifier operations */
	const char *name;            /* PropertyName, QualifierName */
	struct cim_value new_value;  /* SetProperty */
	/* extrinsic method */
	const char *method;
	struct cim_named *params;
	uint32_t n_params;
};
