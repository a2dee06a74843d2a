/* SPDX-License-Identifier: Apache-2.0 */
/* Any text is either compiled or refused with a place and a reason. */
#include <string.h>

#include "mofc/mofc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena) a = arena_new(4 << 20);
	struct mofc m = {.arena = a};
	auto_buf struct buf out = buf_of(16 << 20);
	struct err e = {0};
	int r = mofc_parse(&m, "f.mof", (const char *)data, size, &e);

	if (r == 0)
		r = mofc_check(&m, &e);
	if (r == 0) {
		r = mofc_emit_tables(&m, &out, &e);
		if (r == 0)
			r = mofc_emit_schema_h(&m, &out, &e);
		if (r == 0)
			r = mofc_emit_header(&m, m.files, &out, &e);
	}
	if (r < 0 && !*e.text)
		abort();
	return 0;
}
