/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses the language; the rest is the query. */
#include "broker/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cim_prop name = {.name = "Name", .name_len = 4, .type = CIM_STRING};
	static const struct cim_prop num = {.name = "Num", .name_len = 3, .type = CIM_SINT64};
	static const struct cim_prop list = {.name = "List", .name_len = 4, .type = CIM_REAL64,
					     .flags = CIM_F_ARRAY};
	static const struct cim_prop self = {.name = "Self", .name_len = 4, .type = CIM_OBJECT};
	static const struct cim_prop *const props[] = {&name, &num, &list, &self};
	static const struct cim_class cls = {.name = "X", .name_len = 1, .props = props,
					     .n_props = 4};
	const struct cim_value reals[] = {{.type = CIM_REAL64, .kind = CIM_V_SCALAR, .r = 1.5},
					  {.type = CIM_REAL64}};
	struct cim_value v[4];
	struct cim_instance i = {&cls, v, NULL};
	AUTO(arena) a = arena_new(8 << 20);
	struct query *q;
	struct err e;
	char *text;

	if (size < 1)
		return 0;
	v[0] = cim_str("a\xc3\xa9" "b");
	v[1] = (struct cim_value){.type = CIM_SINT64, .kind = CIM_V_SCALAR, .i = INT64_MIN};
	v[2] = cim_array(CIM_REAL64, reals, 2);
	v[3] = cim_object(&i);
	text = xmalloc(size - 1 ? size - 1 : 1); /* its own block: a read past the end is seen */
	memcpy(text, data + 1, size - 1);
	if (query_parse(a, (enum query_lang)(data[0] % 3), text, size - 1, &query_limits_usual, &q, &e) == 0)
		(void)query_match(q, &i);
	free(text);
	return 0;
}
