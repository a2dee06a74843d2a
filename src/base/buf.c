/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"

void buf_done(struct buf *b)
{
	free(b->p);
	b->p = NULL;
	b->len = b->cap = 0;
	b->full = false;
}

char *buf_grow(struct buf *b, size_t n)
{
	if (b->len > b->max || n > b->max - b->len) {
		b->full = true;
		return NULL;
	}
	if (!b->p || b->cap - b->len < n + 1) {
		size_t want = b->len + n + 1, cap = b->cap ? b->cap * 2 : 256;

		if (cap < want)
			cap = want;
		if (cap > b->max + 1)
			cap = b->max + 1;
		b->p = xrealloc(b->p, cap);
		b->cap = cap;
		b->p[b->len] = '\0';
	}
	return b->p + b->len;
}

bool buf_add(struct buf *b, const void *p, size_t n)
{
	char *at = buf_grow(b, n);

	if (!at)
		return false;
	if (n)
		memcpy(at, p, n);
	b->len += n;
	b->p[b->len] = '\0';
	return true;
}

bool buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char *at;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return false;
	at = buf_grow(b, (size_t)n);
	if (!at)
		return false;
	va_start(ap, fmt);
	(void)vsnprintf(at, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return true;
}

void buf_drop(struct buf *b, size_t n)
{
	memmove(b->p, b->p + n, b->len - n + 1);
	b->len -= n;
}

char *buf_take(struct buf *b)
{
	char *p = b->p ? b->p : xstrdup("");

	b->p = NULL;
	b->len = b->cap = 0;
	b->full = false;
	return p;
}
