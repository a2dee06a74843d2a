/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs of a text request: split, negotiated, and the agreement within its bounds. */
#include "iscsi/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = xmalloc(size + 1);
	auto_buf struct buf answer = buf_of(8192);
	char *at = text, *end = text + size;
	const char *name, *value;
	struct iscsi_keys k;
	struct err e;

	memcpy(text, data, size);
	iscsi_keys_wish(&k);
	while (iscsi_text_next(&at, end, &name, &value, &e) > 0)
		if (iscsi_keys_offer(&k, size % 3, name, value, &answer, &e) < 0)
			break;
	iscsi_keys_settle(&k);
	/* A first burst that was answered before the limit of all bursts was known may be longer.
	 */
	if (k.max_burst < 512 || k.first_burst < 512 || k.first_burst > 262144 ||
	    k.max_connections < 1 || k.erl > 0 || k.max_recv < 512 || k.max_recv > 16777215 ||
	    k.max_r2t < 1)
		abort();
	return 0;
}
