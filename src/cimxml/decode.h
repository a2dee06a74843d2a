/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.h - a CIM-XML request message (DSP0200 §5, DSP0201) -> struct cim_request
 *
 * The whole body is in memory.  Everything decoded lives in the caller's arena; the parser is
 * kept by the caller from request to request (one per thread), because it has buffers that are
 * worth keeping.
 *
 * Depends on: base cim.  Threads: a parser belongs to one thread at a time.
 */
#pragma once

#include "base/buf.h"
#include "cim/request.h"
#include "cimxml/bounds.h"
#include "cimxml/refusal.h"

struct cimxml_parser;

/* b is copied; each value within the least and the most of bounds.h. */
struct cimxml_parser *cimxml_parser_new(const struct cimxml_bounds *b) MUST_CHECK;
void cimxml_parser_free(struct cimxml_parser *p);
DEFINE_AUTO(cimxml_parser, cimxml_parser_free)

struct cimxml_request {
	struct cim_request rq;
	const char *name;     /* the method's name as it came; goes into the answer */
	bool extrinsic;       /* METHODCALL; else IMETHODCALL */
	const char *protocol; /* MESSAGE PROTOCOLVERSION */
	/* CIMXML_FAILED */
	enum cim_status status;
	char text[512];
};

enum cimxml_outcome {
	CIMXML_REFUSED, /* no operation: ret_refusal has the HTTP answer */
	CIMXML_FAILED,  /* an operation that is wrong in itself: answer rq->status as its error */
	CIMXML_DECODED,
};
enum cimxml_outcome cimxml_decode_request(struct cimxml_parser *p, const char *body, size_t n,
					  struct arena *a, struct cimxml_request *ret,
					  struct cimxml_refusal *ret_refusal);
