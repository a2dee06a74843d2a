/* SPDX-License-Identifier: Apache-2.0 */
/* A cached image in which anything may stand: the hash behind it is put right, so that what is
 * tried is the reading. */
#include "base/str.h"
#include "sm/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_buf struct buf b = buf_of(1 << 20), again = buf_of(64 << 20);
	AUTO(sm_image) img = NULL;

	buf_add(&b, data, size);
	uint64_t h = str_hash(b.p ? b.p : "", b.len);

	for (int i = 56; i >= 0; i -= 8)
		buf_addc(&b, (char)(h >> i));
	if (sm_image_read(b.p, b.len, 8 << 20, &img, NULL) == 0 && !sm_image_write(img, &again))
		abort();
	return 0;
}
