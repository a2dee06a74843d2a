/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever parses prints, and what was printed parses to the same path. */
#include "cim/sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena) a = arena_new(1 << 20);
	struct cim_path *p, *again;
	const char *text;
	struct err e;

	if (cim_path_parse(a, (const char *)data, size, &p, &e) < 0)
		return 0;
	text = cim_path_print(a, p);
	if (!text)
		return 0; /* escaping made it too long */
	if (cim_path_parse(a, text, strlen(text), &again, &e) < 0)
		abort();
	if (!arena_full(a) && cim_path_print(a, again) && !streq(text, cim_path_print(a, again)))
		abort();
	if (cim_path_resolve(p, &t_ns, a, &e) == 0 && cim_path_resolve(again, &t_ns, a, &e) == 0 &&
	    (!cim_path_eq(p, again) || cim_path_hash(p) != cim_path_hash(again)))
		abort();
	return 0;
}
