/* SPDX-License-Identifier: Apache-2.0 */
/* Text is judged without harm; a moment is always written as text that is accepted. */
#include "cim/cim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char at[26];
	int64_t us;

	(void)cim_datetime_ok((const char *)data, size);
	if (size >= sizeof(us)) {
		memcpy(&us, data, sizeof(us));
		cim_datetime_put(at, us);
		if (!cim_datetime_ok(at, 25))
			abort();
		cim_interval_put(at, (uint64_t)us);
		if (!cim_datetime_ok(at, 25))
			abort();
	}
	return 0;
}
