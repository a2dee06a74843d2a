/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/buf.h"
#include "http/reply.h"
#include "test.h"

struct got {
	unsigned status, headers;
	struct buf body;
};

static int on_status(void *ctx, unsigned status, struct err *e UNUSED)
{
	((struct got *)ctx)->status = status;
	return 0;
}

static int on_header(void *ctx, const char *name UNUSED, const char *value UNUSED,
		     struct err *e UNUSED)
{
	((struct got *)ctx)->headers++;
	return 0;
}

static int on_bytes(void *ctx, const char *p, size_t n, struct err *e UNUSED)
{
	(void)buf_add(&((struct got *)ctx)->body, p, n);
	return 0;
}

/* In pieces of `step` bytes, then the end of the connection. */
static int read_reply(struct http_reply *r, struct got *g, const char *s, size_t step)
{
	struct http_call call = {.ctx = g,
				 .status = on_status,
				 .header = on_header,
				 .bytes = on_bytes,
				 .answer_bytes = 20};
	size_t n = strlen(s);
	struct err e = {0};
	int rc = 0;

	http_reply_begin(r, &call);
	for (size_t at = 0; at < n && rc == 0; at += step)
		rc = http_reply_feed(r, s + at, n - at < step ? n - at : step, &e);
	if (rc == 0)
		rc = http_reply_ended(r, &e);
	if (rc < 0)
		CHECK(e.text[0] != '\0');
	return rc;
}

TEST(an_answer_is_the_same_in_any_pieces)
{
	static const struct {
		const char *bytes;
		int want;
		unsigned status, headers;
		const char *body;
		bool keep;
	} t[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 1, 200, 1, "hello", true},
		{"HTTP/1.1 200\nContent-Length: 0\n\n", 1, 200, 1, "", true},
		{"HTTP/1.0 200 OK\r\nContent-Length:1\r\n\r\nx", 1, 200, 1, "x", false},
		{"HTTP/1.1 204 None\r\n\r\n", 1, 204, 0, "", true},
		{"HTTP/1.1 200 OK\r\n\r\nto the end", 1, 200, 0, "to the end", false},
		{"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 1, 200, 2,
		 "x", false},
		{"HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 400 Bad\r\nContent-Length: "
		 "0\r\n\r\n",
		 1, 400, 1, "", true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5;x=y\r\nhello\r\nA\r\n "
		 "and more.\r\n0\r\nT: r\r\n\r\n",
		 1, 200, 1, "hello and more.", true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n123456789012345678901", -EFBIG, 200,
		 1, NULL, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", -EPIPE, 200, 1, NULL, false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", -EPIPE, 200,
		 1, NULL, false},
		{"HTTP/1.1 200 OK\r\nContent-Le", -EPIPE, 200, 0, NULL, false},
		{"", -EPIPE, 0, 0, NULL, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", -EIO, 200,
		 1, NULL, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", -EIO, 200, 0, NULL, false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", -EIO, 200, 0, NULL, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		 -EIO, 200, 2, NULL, false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", -EIO,
		 200, 1, NULL, false},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", -EIO, 200, 1,
		 NULL, false},
		{"HTTP/1.1 200 OK\r\n folded\r\n\r\n", -EIO, 200, 0, NULL, false},
		{"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", -EIO, 200, 0, NULL, false},
		{"HTTP/2 200\r\n\r\n", -EIO, 0, 0, NULL, false},
		{"HTTP/1.1 20\r\n\r\n", -EIO, 0, 0, NULL, false},
		{"SSH-2.0-x\r\n", -EIO, 0, 0, NULL, false},
	};
	struct http_reply *r = xmalloc(sizeof(*r));

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		for (size_t step = 1; step < 40; step++) {
			struct got g = {.body = buf_of(1000)};
			int before = test_failures;

			CHECK_INT(read_reply(r, &g, t[i].bytes, step), t[i].want);
			CHECK_INT(g.status, t[i].status);
			CHECK_INT(g.headers, t[i].headers);
			if (t[i].body) {
				CHECK_STR(g.body.p ? g.body.p : "", t[i].body);
				CHECK_INT(r->keep, t[i].keep);
			}
			if (test_failures > before)
				printf("# row %zu in steps of %zu\n", i, step);
			buf_done(&g.body);
		}
	}
	free(r);
}

TEST(headers_have_a_most)
{
	struct http_call call = {.answer_bytes = 20};
	struct http_reply *r = xmalloc(sizeof(*r));
	char line[HTTP_REPLY_LINE_MAX + 10];
	struct err e = {0};
	unsigned n = 0;
	int rc;

	http_reply_begin(r, &call);
	rc = http_reply_feed(r, "HTTP/1.1 200 OK\r\n", 17, &e);
	while (rc == 0) {
		rc = http_reply_feed(r, "Name: a value\r\n", 15, &e);
		n++;
	}
	CHECK_INT(rc, -EFBIG);
	CHECK(n > HTTP_REPLY_HEADERS_MAX / 16 && n < HTTP_REPLY_HEADERS_MAX / 14);
	memset(line, 'x', sizeof(line));
	http_reply_begin(r, &call);
	CHECK_INT(http_reply_feed(r, line, sizeof(line), &e), -EIO);
	free(r);
}

TEST(bytes_after_the_answer_make_the_connection_useless)
{
	struct got g = {.body = buf_of(1000)};
	struct http_reply *r = xmalloc(sizeof(*r));

	CHECK_INT(read_reply(r, &g, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1", 999), 1);
	CHECK(!r->keep);
	buf_done(&g.body);
	free(r);
}
