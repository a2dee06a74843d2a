/* SPDX-License-Identifier: Apache-2.0 */
/* Kept reservations of any content, with a right checksum: what a file says is not believed. */
#include "scsi/be.h"
#include "scsi/scsi.h"

struct kept {
	const uint8_t *p;
	size_t len;
};

static int pr_load(void *ctx, void **ret, size_t *ret_len)
{
	const struct kept *k = ctx;
	uint64_t h = 0xcbf29ce484222325;
	uint8_t *p = xmalloc(k->len + 8);

	memcpy(p, k->p, k->len);
	for (size_t i = 0; i < k->len; i++)
		h = (h ^ p[i]) * 0x100000001b3;
	be_put64(p + k->len, h);
	*ret = p;
	*ret_len = k->len + 8;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kept k = {data, size};
	struct blockdev dev = {.size_bytes = 512, .block_size = 512};
	struct scsi_lu_params p = {.naa = 0x3000000000000001,
				   .vendor = "V",
				   .product = "P",
				   .revision = "R",
				   .dev = &dev,
				   .pr_load = pr_load,
				   .pr_ctx = &k};

	scsi_lu_unref(scsi_lu_new(&p, NULL));
	return 0;
}
