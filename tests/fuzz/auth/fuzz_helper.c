/* SPDX-License-Identifier: Apache-2.0 */
/* A packet to smiscsi-pam, which runs as root: what is taken is exactly what smiscsid would send.
 */
#include "auth/helper.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char again[HELPER_REQUEST_MAX];
	struct helper_request rq;

	(void)helper_answer_parse(data, size);
	if (!helper_unpack(data, size, &rq))
		return 0;
	if (helper_pack(rq.user, rq.password, rq.peer, again) != size ||
	    memcmp(again, data, size) != 0)
		abort();
	return 0;
}
