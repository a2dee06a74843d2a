/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What strangers answer, from the bytes to the shown objects: decoded, kept, joined, written to
 * the cache and read back.
 *
 * Input: answers one after the other, each "<class to enumerate>\n<document>\0".
 */
#include "base/str.h"
#include "cimxml/response.h"
#include "sm/join.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct keeping {
	struct harvest *h;
	enum src_kind kind;
};

static bool keep(void *ctx, const struct cim_raw_instance *i)
{
	struct keeping *k = ctx;

	return harvest_add(k->h, k->kind, "root/x", i->path, i, NULL) == 0;
}

static void answer(struct harvest *h, enum src_kind k, const char *p, size_t n)
{
	struct keeping ctx = {h, k};
	struct cimxml_sink sink = {.ctx = &ctx, .instance = keep};
	struct cimxml_response rsp;
	AUTO(arena) a = arena_new(1 << 20);
	AUTO(cimxml_reader) r = cimxml_reader_new(a, &sink, NULL);

	if (cimxml_reader_feed(r, p, n, NULL) == 0)
		(void)!cimxml_reader_end(r, &rsp, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct join_source source = {
		.provider = "p", .uri = "https://p:5989", .host = "p", .interop = "i", .level = 3};
	AUTO(harvest) h = harvest_new(8 << 20, 10000);
	AUTO(sm_image) img = NULL;
	AUTO(sm_image) back = NULL;
	auto_buf struct buf b = buf_of(64 << 20);
	const char *p = (const char *)data, *end = p + size;

	scope_of_level(3, &source.scope);
	while (p < end) {
		const char *nul = memchr(p, 0, (size_t)(end - p));
		const char *stop = nul ? nul : end, *eol = memchr(p, '\n', (size_t)(stop - p));

		for (int k = 0; eol && k < SRC_N; k++)
			if (str_caseeqn(p, (size_t)(eol - p), src_kind_info((enum src_kind)k)->cls))
				answer(h, (enum src_kind)k, eol + 1, (size_t)(stop - eol - 1));
		p = nul ? nul + 1 : end;
	}
	if (join(h, &source, 32 << 20, &img, NULL) < 0)
		return 0;
	/* any parts of it, put together, are as whole */
	uint32_t kinds = (uint32_t)size * 2654435761U, assocs = kinds * 2654435761U;
	AUTO(sm_image) merged = NULL;

	if (sm_image_merge(img, img, kinds, assocs, 32 << 20, &merged, NULL) < 0)
		abort();
	for (int k = 0; k < SM_N_KINDS; k++)
		if (sm_image_count(merged, (enum sm_kind)k) != sm_image_count(img, (enum sm_kind)k))
			abort();
	for (int a = 0; a < SM_N_ASSOCS; a++)
		if (sm_image_n_links(merged, (enum sm_assoc)a) !=
		    sm_image_n_links(img, (enum sm_assoc)a))
			abort();
	for (int a = 0; a < SM_N_ASSOCS; a++)
		for (uint32_t i = 0; i < sm_image_n_links(img, (enum sm_assoc)a); i++) {
			const struct sm_assoc_info *ai = sm_assoc_info((enum sm_assoc)a);
			struct sm_link l = sm_image_link_at(img, (enum sm_assoc)a, i);

			if (l.end[0] >= sm_image_count(img, ai->end[0]) ||
			    l.end[1] >= sm_image_count(img, ai->end[1]))
				abort();
		}
	if (sm_image_write(img, &b) && sm_image_read(b.p, b.len, 64 << 20, &back, NULL) < 0)
		abort();
	return 0;
}
