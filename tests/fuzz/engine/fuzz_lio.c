/* SPDX-License-Identifier: Apache-2.0 */
/* A text of the kernel's target in which initiators have a say. */
#include "engine/lio/facts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[SAN_IQN_MAX + 1], registration[64];
	auto_free char *text = xstrndup((const char *)data, size);
	struct facts_session s;
	struct facts_unit u;
	size_t at = 0, n = 0;

	if (facts_session(text, &s)) {
		if (strlen(s.isid) != 0 && strlen(s.isid) != 12)
			abort();
		for (size_t i = 0; i < s.n_connections; i++)
			n += strlen(s.connections[i].peer);
		n += strlen(s.initiator) + strlen(s.alias);
	}
	if (facts_unit(text, &u))
		n += strlen(u.file);
	if (facts_unit_on_device(text, &u))
		n += strlen(u.file);
	while (facts_next_name((const char *)data, size, &at, name))
		n += strlen(name);
	at = 0;
	while (facts_next_registration(text, &at, registration, sizeof(registration))) {
		struct facts_registration r;

		n += strlen(registration);
		if (facts_registration(registration, &r) && (!*r.initiator || !*r.target))
			abort();
	}
	(void)facts_number(text);
	/* Nothing is read twice. */
	if (n > 8 * size + 64)
		abort();
	return 0;
}
