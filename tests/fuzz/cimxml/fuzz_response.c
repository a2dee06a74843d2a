/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte says in what pieces the answer comes; that makes no difference to its outcome. */
#include "cimxml/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_instance(void *ctx, const struct cim_raw_instance *i)
{
	return cim_raw_instance_dup(ctx, i) != NULL;
}

static bool on_path(void *ctx, const struct cim_path *p)
{
	return cim_path_print(ctx, p) != NULL;
}

static bool on_class(void *ctx, const char *name)
{
	return arena_strdup(ctx, name) != NULL;
}

static int answer(const char *p, size_t n, size_t step, struct cimxml_response *ret)
{
	AUTO(arena) a = arena_new(4 << 20);
	struct cimxml_sink sink = {a, on_instance, on_path, on_class};
	AUTO(cimxml_reader) r = cimxml_reader_new(a, &sink, NULL);
	struct err e;
	int rc = 0;

	for (size_t at = 0; at < n && rc == 0; at += step)
		rc = cimxml_reader_feed(r, p + at, n - at < step ? n - at : step, &e);
	return rc < 0 ? rc : cimxml_reader_end(r, ret, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cimxml_response one = {0}, other = {0};
	size_t step;

	if (size < 1)
		return 0;
	step = data[0] ? data[0] : 256;
	if (answer((const char *)data + 1, size - 1, size, &one) !=
		    answer((const char *)data + 1, size - 1, step, &other) ||
	    one.objects != other.objects || one.status != other.status)
		abort();
	return 0;
}
