/* SPDX-License-Identifier: Apache-2.0 */
/*
 * params.h - parameters of the intrinsic methods (DSP0200 5.3, 5.4), for both directions
 *
 * Depends on: base cim.  Threads: const.
 */
#pragma once

#include "cim/request.h"

#define PARAMS(P)                                 \
	P(CLASS_NAME, "ClassName")                \
	P(INSTANCE_NAME, "InstanceName")          \
	P(OBJECT_NAME, "ObjectName")              \
	P(LOCAL_ONLY, "LocalOnly")                \
	P(DEEP, "DeepInheritance")                \
	P(QUALS, "IncludeQualifiers")             \
	P(ORIGIN, "IncludeClassOrigin")           \
	P(PROPS, "PropertyList")                  \
	P(NEW_INSTANCE, "NewInstance")            \
	P(MODIFIED_INSTANCE, "ModifiedInstance")  \
	P(ASSOC_CLASS, "AssocClass")              \
	P(RESULT_CLASS, "ResultClass")            \
	P(ROLE, "Role")                           \
	P(RESULT_ROLE, "ResultRole")              \
	P(QUERY_LANG, "QueryLanguage")            \
	P(QUERY, "Query")                         \
	P(FILTER_LANG, "FilterQueryLanguage")     \
	P(FILTER, "FilterQuery")                  \
	P(RETURN_CLASS, "ReturnQueryResultClass") \
	P(TIMEOUT, "OperationTimeout")            \
	P(CONTINUE, "ContinueOnError")            \
	P(MAX_OBJECTS, "MaxObjectCount")          \
	P(CONTEXT, "EnumerationContext")          \
	P(PROP_NAME, "PropertyName")              \
	P(NEW_VALUE, "NewValue")                  \
	P(QUAL_NAME, "QualifierName")

enum param {
#define P(id, name) P_##id,
	PARAMS(P)
#undef P
		P_N
};

extern const char *const params_names[P_N];
/* Bit 1 << P_x for each parameter that an operation takes. */
extern const uint32_t params_of[CIM_N_OPS];
