/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's bytes: the first two say which digests are on and how the rest is cut. */
#include "iscsi/pdu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { DATA = 4096 };
	uint8_t *into = xmalloc(DATA);
	const uint8_t *end = data + size;
	struct iscsi_rx rx;
	size_t step;

	if (size < 2) {
		free(into);
		return 0;
	}
	iscsi_rx_init(&rx, DATA, data[0] & 4 ? ISCSI_AHS_MAX : 0);
	rx.header_digest = data[0] & 1;
	rx.data_digest = data[0] & 2;
	step = data[1] + 1U;
	for (data += 2; data < end;) {
		const uint8_t *stop = (size_t)(end - data) < step ? end : data + step;
		uint8_t *room;
		uint32_t n = iscsi_rx_room(&rx, &room);
		struct err e;
		int r;

		if (n > 0 && step % 2) { /* read(2) straight into the buffer */
			n = n < (size_t)(stop - data) ? n : (uint32_t)(stop - data);
			memcpy(room, data, n);
			iscsi_rx_filled(&rx, n);
			data += n;
		}
		while ((r = iscsi_rx_feed(&rx, &data, stop, &e)) != ISCSI_RX_MORE) {
			uint8_t cdb[260];
			struct iscsi_req q;
			uint16_t len;
			uint32_t bidi;

			if (r < 0)
				goto out;
			if (r != ISCSI_RX_HEADER)
				continue;
			iscsi_req_decode(&q, rx.hdr);
			if (iscsi_cdb(rx.hdr, rx.ahs_len, cdb, &len, &bidi, &e) == 0 &&
			    len > sizeof(cdb))
				abort();
			iscsi_rx_into(&rx, q.flags & 1 ? into : NULL);
		}
	}
out:
	free(into);
	return 0;
}
