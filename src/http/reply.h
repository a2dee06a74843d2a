/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply.h - one HTTP/1.1 answer, read as its bytes come
 *
 * Interim answers (1xx) are passed over; the end of a body is told by its length, by chunks or
 * by the end of the connection (RFC 9112 §6.3).  What is ambiguous is refused.
 *
 * Depends on: base.  Threads: a reply belongs to one thread.
 */
#pragma once

#include "http/client.h"

enum { HTTP_REPLY_LINE_MAX = 8192, HTTP_REPLY_HEADERS_MAX = 128 * 1024 };

enum http_reply_at {
	HTTP_REPLY_STATUS, /* line by line */
	HTTP_REPLY_FIELDS,
	HTTP_REPLY_CHUNK,
	HTTP_REPLY_CHUNK_END,
	HTTP_REPLY_TRAILERS,
	HTTP_REPLY_SIZED, /* bytes */
	HTTP_REPLY_IN_CHUNK,
	HTTP_REPLY_UNTIL_END,
	HTTP_REPLY_DONE,
};

struct http_reply {
	const struct http_call *call; /* whose callbacks are called */
	enum http_reply_at at;
	unsigned status;
	bool chunked, sized, keep; /* keep: the connection can be used again */
	uint64_t left, bytes, most;
	size_t header_bytes, n;
	char line[HTTP_REPLY_LINE_MAX];
};

void http_reply_begin(struct http_reply *r, const struct http_call *call);
/* 0: more is wanted.  1: the answer is complete; bytes after it make the connection useless.
 * Negative: not an answer, too large, or what a callback returned; e is filled. */
int http_reply_feed(struct http_reply *r, const char *p, size_t n, struct err *e) MUST_CHECK;
/* The connection has ended.  1: with it the answer.  -EPIPE: in the middle of it. */
int http_reply_ended(struct http_reply *r, struct err *e) MUST_CHECK;
