/* SPDX-License-Identifier: Apache-2.0 */
/* Binary values and algorithm lists as an initiator may write them. */
#include "iscsi/chap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = xmalloc(size + 1);
	uint8_t *small = xmalloc(16), *big = xmalloc(ISCSI_CHAP_CHALLENGE_MAX);
	uint8_t hash[ISCSI_CHAP_HASH_MAX];
	enum iscsi_chap_algorithm a;
	size_t n;

	memcpy(text, data, size);
	text[size] = '\0';
	if (iscsi_binary_parse(text, small, 16, &n) && n > 16)
		abort();
	a = iscsi_chap_choose(text);
	if (iscsi_binary_parse(text, big, ISCSI_CHAP_CHALLENGE_MAX, &n)) {
		auto_free char *back = xmalloc(2 * n + 3);

		if (n > ISCSI_CHAP_CHALLENGE_MAX)
			abort();
		iscsi_binary_print(big, n, back);
		if (a != ISCSI_CHAP_NONE)
			(void)iscsi_chap_response(a, 1, "secret", big, n, hash);
	}
	free(small);
	free(big);
	return 0;
}
