/* SPDX-License-Identifier: Apache-2.0 */
#include "cim/request.h"
#include "base/str.h"

static const char *const ops[CIM_N_OPS] = {
	[CIM_OP_GET_CLASS] = "GetClass",
	[CIM_OP_ENUMERATE_CLASSES] = "EnumerateClasses",
	[CIM_OP_ENUMERATE_CLASS_NAMES] = "EnumerateClassNames",
	[CIM_OP_GET_INSTANCE] = "GetInstance",
	[CIM_OP_ENUMERATE_INSTANCES] = "EnumerateInstances",
	[CIM_OP_ENUMERATE_INSTANCE_NAMES] = "EnumerateInstanceNames",
	[CIM_OP_CREATE_INSTANCE] = "CreateInstance",
	[CIM_OP_MODIFY_INSTANCE] = "ModifyInstance",
	[CIM_OP_DELETE_INSTANCE] = "DeleteInstance",
	[CIM_OP_ASSOCIATORS] = "Associators",
	[CIM_OP_ASSOCIATOR_NAMES] = "AssociatorNames",
	[CIM_OP_REFERENCES] = "References",
	[CIM_OP_REFERENCE_NAMES] = "ReferenceNames",
	[CIM_OP_EXEC_QUERY] = "ExecQuery",
	[CIM_OP_GET_PROPERTY] = "GetProperty",
	[CIM_OP_SET_PROPERTY] = "SetProperty",
	[CIM_OP_GET_QUALIFIER] = "GetQualifier",
	[CIM_OP_ENUMERATE_QUALIFIERS] = "EnumerateQualifiers",
	[CIM_OP_OPEN_ENUMERATE_INSTANCES] = "OpenEnumerateInstances",
	[CIM_OP_OPEN_ENUMERATE_INSTANCE_PATHS] = "OpenEnumerateInstancePaths",
	[CIM_OP_OPEN_REFERENCE_INSTANCES] = "OpenReferenceInstances",
	[CIM_OP_OPEN_REFERENCE_INSTANCE_PATHS] = "OpenReferenceInstancePaths",
	[CIM_OP_OPEN_ASSOCIATOR_INSTANCES] = "OpenAssociatorInstances",
	[CIM_OP_OPEN_ASSOCIATOR_INSTANCE_PATHS] = "OpenAssociatorInstancePaths",
	[CIM_OP_OPEN_QUERY_INSTANCES] = "OpenQueryInstances",
	[CIM_OP_PULL_INSTANCES_WITH_PATH] = "PullInstancesWithPath",
	[CIM_OP_PULL_INSTANCE_PATHS] = "PullInstancePaths",
	[CIM_OP_PULL_INSTANCES] = "PullInstances",
	[CIM_OP_CLOSE_ENUMERATION] = "CloseEnumeration",
	[CIM_OP_ENUMERATION_COUNT] = "EnumerationCount",
	[CIM_OP_CREATE_CLASS] = "CreateClass",
	[CIM_OP_MODIFY_CLASS] = "ModifyClass",
	[CIM_OP_DELETE_CLASS] = "DeleteClass",
	[CIM_OP_SET_QUALIFIER] = "SetQualifier",
	[CIM_OP_DELETE_QUALIFIER] = "DeleteQualifier",
	[CIM_OP_INVOKE_METHOD] = "InvokeMethod",
};

const char *cim_op_name(enum cim_op op)
{
	return ops[op];
}

bool cim_op_parse(const char *s, size_t n, enum cim_op *ret)
{
	/* InvokeMethod is no intrinsic method's name on the wire (DSP0200 §5.3) */
	for (unsigned i = 0; i < CIM_OP_INVOKE_METHOD; i++)
		if (str_caseeqn(s, n, ops[i])) {
			*ret = (enum cim_op)i;
			return true;
		}
	return false;
}

static const struct {
	uint8_t code;
	const char *name;
} statuses[] = {
#define S(x)          \
	{             \
		x, #x \
	}
	S(CIM_OK),
	S(CIM_ERR_FAILED),
	S(CIM_ERR_ACCESS_DENIED),
	S(CIM_ERR_INVALID_NAMESPACE),
	S(CIM_ERR_INVALID_PARAMETER),
	S(CIM_ERR_INVALID_CLASS),
	S(CIM_ERR_NOT_FOUND),
	S(CIM_ERR_NOT_SUPPORTED),
	S(CIM_ERR_CLASS_HAS_CHILDREN),
	S(CIM_ERR_CLASS_HAS_INSTANCES),
	S(CIM_ERR_INVALID_SUPERCLASS),
	S(CIM_ERR_ALREADY_EXISTS),
	S(CIM_ERR_NO_SUCH_PROPERTY),
	S(CIM_ERR_TYPE_MISMATCH),
	S(CIM_ERR_QUERY_LANGUAGE_NOT_SUPPORTED),
	S(CIM_ERR_INVALID_QUERY),
	S(CIM_ERR_METHOD_NOT_AVAILABLE),
	S(CIM_ERR_METHOD_NOT_FOUND),
	S(CIM_ERR_NAMESPACE_NOT_EMPTY),
	S(CIM_ERR_INVALID_ENUMERATION_CONTEXT),
	S(CIM_ERR_INVALID_OPERATION_TIMEOUT),
	S(CIM_ERR_PULL_HAS_BEEN_ABANDONED),
	S(CIM_ERR_PULL_CANNOT_BE_ABANDONED),
	S(CIM_ERR_FILTERED_ENUMERATION_NOT_SUPPORTED),
	S(CIM_ERR_CONTINUATION_ON_ERROR_NOT_SUPPORTED),
	S(CIM_ERR_SERVER_LIMITS_EXCEEDED),
	S(CIM_ERR_SERVER_IS_SHUTTING_DOWN),
#undef S
};

const char *cim_status_name(enum cim_status s)
{
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		if (statuses[i].code == s)
			return statuses[i].name;
	return "CIM_ERR_UNKNOWN";
}
