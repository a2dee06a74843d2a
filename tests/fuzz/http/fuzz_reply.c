/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP answer: the first byte says in which pieces it comes; the outcome must not depend on it. */
#include "http/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 300 };

struct seen {
	unsigned status;
	uint64_t bytes, sum;
};

static int on_status(void *ctx, unsigned status, struct err *e UNUSED)
{
	struct seen *s = ctx;

	if (s->status || status < 200)
		abort(); /* told once, and no interim one */
	s->status = status;
	return 0;
}

static int on_header(void *ctx UNUSED, const char *name, const char *value UNUSED,
		     struct err *e UNUSED)
{
	if (!*name)
		abort();
	return 0;
}

static int on_bytes(void *ctx, const char *p, size_t n, struct err *e UNUSED)
{
	struct seen *s = ctx;

	s->bytes += n;
	if (!s->status || n == 0 || s->bytes > MOST)
		abort();
	for (size_t i = 0; i < n; i++)
		s->sum = s->sum * 31 + (unsigned char)p[i];
	return 0;
}

static int run(struct http_reply *r, struct seen *s, const char *p, size_t n, size_t step)
{
	struct http_call call = {.ctx = s,
				 .status = on_status,
				 .header = on_header,
				 .bytes = on_bytes,
				 .answer_bytes = MOST};
	struct err e = {0};
	int rc = 0;

	http_reply_begin(r, &call);
	for (size_t at = 0; at < n && rc == 0; at += step)
		rc = http_reply_feed(r, p + at, n - at < step ? n - at : step, &e);
	return rc ? rc : http_reply_ended(r, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole = {0}, pieces = {0};
	struct http_reply *r;
	int a, b;

	if (size < 2)
		return 0;
	r = xmalloc(sizeof(*r));
	a = run(r, &whole, (const char *)data + 1, size - 1, size);
	b = run(r, &pieces, (const char *)data + 1, size - 1, 1U + data[0] % 16);
	free(r);
	if (a != b || whole.status != pieces.status || (a == 1 && whole.sum != pieces.sum))
		abort();
	return 0;
}
