/* SPDX-License-Identifier: Apache-2.0 */
/* An Authorization header in which anything may stand. */
#include "http/basic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *header = xstrndup((const char *)data, size);
	auto_free char *room = xmalloc(strlen(header) + 1);
	const char *user, *password;

	if (!http_basic_parse(header, room, &user, &password))
		return 0;
	/* both within the room, and the user without a colon */
	if (user != room || password <= user || password + strlen(password) > room + strlen(header) ||
	    strchr(user, ':'))
		abort();
	return 0;
}
