/* SPDX-License-Identifier: Apache-2.0 */
/* A method and a version, then "Name: value" lines. */
#include "base/str.h"
#include "cimxml/headers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *line(char **at)
{
	char *from = *at, *end = strchr(from, '\n');

	if (end)
		*end++ = '\0';
	*at = end;
	return from;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena) a = arena_new(1 << 20);
	auto_free char *text = xstrndup((const char *)data, size);
	struct cimxml_request rq = {.name = "GetClass", .protocol = "1.0", .rq = {.ns = "root/t"}};
	struct cimxml_headers h = {.method = "", .version = ""};
	struct cimxml_refusal no = {0};
	struct cimxml_header out[4];
	char *at = text;

	h.method = line(&at);
	if (at)
		h.version = line(&at);
	while (at) {
		char *name = line(&at), *value = strchr(name, ':');

		if (value)
			*value++ = '\0';
		cimxml_headers_add(&h, name, value ? value : "");
	}
	if (cimxml_headers_check(&h, &no) == CIMXML_WAY_CALL) {
		if (!cimxml_headers_match(&h, &rq, a, &no) && !no.status)
			abort(); /* a refusal has a status */
		if (cimxml_answer_headers(&h, a, out) > ARRAY_SIZE(out))
			abort();
	}
	return 0;
}
