/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "cim/cim.h"

static const char *const names[CIM_N_TYPES] = {
	[CIM_BOOLEAN] = "boolean", [CIM_UINT8] = "uint8",       [CIM_SINT8] = "sint8",
	[CIM_UINT16] = "uint16",   [CIM_SINT16] = "sint16",     [CIM_UINT32] = "uint32",
	[CIM_SINT32] = "sint32",   [CIM_UINT64] = "uint64",     [CIM_SINT64] = "sint64",
	[CIM_REAL32] = "real32",   [CIM_REAL64] = "real64",     [CIM_CHAR16] = "char16",
	[CIM_STRING] = "string",   [CIM_DATETIME] = "datetime", [CIM_REF] = "reference",
	[CIM_OBJECT] = "string",   [CIM_UNTYPED] = "string",
};

const char *cim_type_name(enum cim_type t)
{
	return names[t];
}

bool cim_type_parse(const char *s, size_t n, enum cim_type *ret)
{
	for (unsigned t = CIM_BOOLEAN; t <= CIM_REF; t++)
		if (str_caseeqn(s, n, names[t])) {
			*ret = (enum cim_type)t;
			return true;
		}
	return false;
}
