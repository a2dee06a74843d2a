/* SPDX-License-Identifier: Apache-2.0 */
/* Names as clients write them: what is accepted must be canonical, so accepted again unchanged. */
#include <stdlib.h>

#include "san/object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char address[SAN_ADDRESS_TEXT], again[SAN_ADDRESS_TEXT], text[SAN_PORTAL_TEXT];
	char iqn[SAN_IQN_MAX + 1], iqn_again[SAN_IQN_MAX + 1], folded[64];
	auto_free char *s = xstrndup((const char *)data, size);
	uint8_t family, family_again;
	uint32_t port, port_again;
	uint16_t tpgt;
	struct err e;

	if (san_portal_parse(s, address, &family, &port)) {
		must(san_address_parse(address, again, &family_again));
		must(streq(address, again) && family == family_again);
		san_portal_format(text, address, family, (uint16_t)port);
		must(san_portal_parse(text, again, &family_again, &port_again));
		must(streq(address, again) && (uint16_t)port == port_again);
	}
	if (san_iqn_check(s, iqn, &e) == 0)
		must(san_iqn_check(iqn, iqn_again, &e) == 0 && streq(iqn, iqn_again));
	(void)!san_identifier_parse(s, &tpgt);
	san_fold(s, folded, sizeof(folded));
	free(san_nfc(s));
	return 0;
}
