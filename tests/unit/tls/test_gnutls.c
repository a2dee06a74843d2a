/* SPDX-License-Identifier: Apache-2.0 */
#include <gnutls/crypto.h>

#include "test.h"
#include "tls/tls.h"

static bool is_mapped(const char *name)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[4096];
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		found = found || strstr(line, name);
	if (f)
		(void)fclose(f);
	return found;
}

TEST(gnutls_comes_with_the_first_call_and_answers_it)
{
	static const uint8_t want[] = {0xf7, 0xbc, 0x83, 0xf4, 0x30, 0x53, 0x84, 0x24};
	uint8_t got[32];

	if (tls_is_loaded()) {
		printf("# GnuTLS is linked as usual in this build\n");
	} else {
		CHECK(!is_mapped("libgnutls"));
		CHECK_INT(gnutls_global_init(), 0); /* what libmicrohttpd does at start */
		CHECK(!is_mapped("libgnutls"));
	}
	/* a known HMAC-SHA256: key "key", "The quick brown fox jumps over the lazy dog" */
	CHECK_INT(gnutls_hmac_fast(GNUTLS_MAC_SHA256, "key", 3,
				   "The quick brown fox jumps over the lazy dog", 43, got),
		  0);
	CHECK(memcmp(got, want, sizeof(want)) == 0);
	CHECK(tls_is_loaded());
	CHECK(is_mapped("libgnutls"));
}
