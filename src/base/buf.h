/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.h - a growing run of bytes, born with a maximum
 *
 * Appending past the maximum appends nothing, marks the buffer full and returns
 * false; a writer may ignore that and ask buf_full() once at the end.  The bytes
 * are always followed by a NUL that is not counted.
 *
 * Depends on: base.h.  Threads: one owner.
 */
#pragma once

#include "base/base.h"

struct buf {
	char *p; /* never NULL after the first append; p[len] == 0 */
	size_t len, cap, max;
	bool full;
};

static inline struct buf buf_of(size_t max)
{
	return (struct buf){.max = max};
}

void buf_done(struct buf *b); /* frees the bytes; b may be used again */
#define auto_buf CLEANUP(buf_done)

/* Make room for n more bytes and return where they go; NULL (and full) if over the maximum.
 * The caller writes at most n there and then adds what it wrote to b->len itself. */
char *buf_grow(struct buf *b, size_t n);

bool buf_add(struct buf *b, const void *p, size_t n);
bool buf_addf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);

static inline bool buf_adds(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

static inline bool buf_addc(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

/* Drop n bytes from the front (n <= len); the rest moves down. */
void buf_drop(struct buf *b, size_t n);

static inline void buf_clear(struct buf *b)
{
	b->len = 0;
	b->full = false;
	if (b->p)
		b->p[0] = '\0';
}

/* The caller owns the returned bytes (never NULL, NUL-terminated); b is empty afterwards. */
char *buf_take(struct buf *b) MUST_CHECK;
