/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "cim/cim.h"

#define NAME(s)                  \
	{                        \
		s, sizeof(s) - 1 \
	}
static const struct {
	const char *name;
	uint8_t len;
} names[CIM_N_TYPES] = {
	[CIM_BOOLEAN] = NAME("boolean"), [CIM_UINT8] = NAME("uint8"),
	[CIM_SINT8] = NAME("sint8"),     [CIM_UINT16] = NAME("uint16"),
	[CIM_SINT16] = NAME("sint16"),   [CIM_UINT32] = NAME("uint32"),
	[CIM_SINT32] = NAME("sint32"),   [CIM_UINT64] = NAME("uint64"),
	[CIM_SINT64] = NAME("sint64"),   [CIM_REAL32] = NAME("real32"),
	[CIM_REAL64] = NAME("real64"),   [CIM_CHAR16] = NAME("char16"),
	[CIM_STRING] = NAME("string"),   [CIM_DATETIME] = NAME("datetime"),
	[CIM_REF] = NAME("reference"),   [CIM_OBJECT] = NAME("string"),
	[CIM_UNTYPED] = NAME("string"),
};
#undef NAME

const char *cim_type_name(enum cim_type t)
{
	return names[t].name;
}

bool cim_type_parse(const char *s, size_t n, enum cim_type *ret)
{
	for (unsigned t = CIM_BOOLEAN; t <= CIM_REF; t++)
		if (names[t].len == n && str_caseeqn(s, n, names[t].name)) {
			*ret = (enum cim_type)t;
			return true;
		}
	return false;
}
