/* SPDX-License-Identifier: Apache-2.0 */
/*
 * headers.h - the HTTP side of a CIM operation: which headers make a request acceptable
 *
 * Pure functions over the headers that matter (DSP0200 §6.2, §6.3, §7.2), no sockets: collect with
 * cimxml_headers_add(), judge with cimxml_headers_check() before the body is read, and compare
 * with the decoded body by cimxml_headers_match().
 *
 * Depends on: base cim.  Threads: no state.
 */
#pragma once

#include "cimxml/decode.h"
#include "cimxml/refusal.h"

/* Borrowed from the HTTP server; zeroed by the caller at first. */
struct cimxml_headers {
	const char *method;  /* "POST" */
	const char *version; /* "HTTP/1.1" */
	const char *host, *content_type, *content_encoding, *man, *te;
	/* the CIM ones, with an M-POST prefix ("73-CIMOperation") already cut off */
	const char *operation, *protocol_version, *cim_method, *cim_object, *batch, *cim_export;
	char prefix[3];    /* the digits of that prefix */
	bool repeated;     /* a header that may come once came twice */
	bool mixed_prefix; /* CIM headers disagree about it */
};

void cimxml_headers_add(struct cimxml_headers *h, const char *name, const char *value);

enum cimxml_way {
	CIMXML_WAY_REFUSED,
	CIMXML_WAY_CALL,    /* read the body, decode, match, execute */
	CIMXML_WAY_OPTIONS, /* answer cimxml_options_headers with status 200 and no body */
};
enum cimxml_way cimxml_headers_check(const struct cimxml_headers *h, struct cimxml_refusal *ret);

/* Do CIMProtocolVersion, CIMMethod and CIMObject say what the body says?  a: for scratch. */
bool cimxml_headers_match(const struct cimxml_headers *h, const struct cimxml_request *rq,
			  struct arena *a, struct cimxml_refusal *ret) MUST_CHECK;

struct cimxml_header {
	const char *name, *value;
};
/* The headers of an answer: Content-Type, CIMOperation, and for M-POST their prefixed form with
 * Ext.  Text in the arena; returns how many (at most 4). */
unsigned cimxml_answer_headers(const struct cimxml_headers *h, struct arena *a,
			       struct cimxml_header ret[static 4]);
extern const struct cimxml_header cimxml_options_headers[4];

/* "%2F" -> "/", into the arena; NULL when it isn't well-formed UTF-8 afterwards. */
const char *cimxml_uri_decode(struct arena *a, const char *s);
