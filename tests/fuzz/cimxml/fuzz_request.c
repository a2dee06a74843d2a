/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever decodes can be written by our client, and then decodes again. */
#include "cimxml/call.h"
#include "cimxml/decode.h"
#include "cimxml/headers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena) a = arena_new(4 << 20);
	AUTO(cimxml_parser) p = cimxml_parser_new(&cimxml_bounds_usual);
	auto_buf struct buf out = buf_of(8 << 20);
	struct cimxml_headers h = {.cim_object = "root/t:T.ID=1", .cim_method = "GetInstance "};
	struct cimxml_request rq, again;
	struct cimxml_refusal no = {0};

	if (cimxml_decode_request(p, (const char *)data, size, a, &rq, &no) != CIMXML_DECODED)
		return 0;
	if (cimxml_headers_match(&h, &rq, a, &no) && rq.extrinsic)
		abort(); /* the headers name no method of ours */
	/* what a client has to say; the decoder leaves the rest to the broker */
	if (!rq.rq.ns || arena_full(a) || !cimxml_call(&out, &rq.rq))
		return 0;
	if (cimxml_decode_request(p, out.p, out.len, a, &again, &no) != CIMXML_DECODED &&
	    !arena_full(a))
		abort();
	return 0;
}
