/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "base/arena.h"

enum { FIRST_BLOCK = 4096 - 64, MAX_BLOCK = 256 * 1024, KEEP_BLOCK = 64 * 1024, ALIGN = 16 };

struct block {
	struct block *next;
	size_t size, used;
	_Alignas(ALIGN) char data[];
};

struct arena {
	struct block *head; /* the block being filled; older ones behind it */
	struct block *first;
	size_t limit, held; /* held: bytes handed out, padding included */
	bool full;
};

static struct block *block_new(size_t size)
{
	struct block *b = xmalloc(sizeof(*b) + size);

	b->next = NULL;
	b->size = size;
	b->used = 0;
	return b;
}

struct arena *arena_new(size_t limit)
{
	struct arena *a = xmalloc(sizeof(*a));

	a->first = a->head = block_new(limit < FIRST_BLOCK ? limit + ALIGN : FIRST_BLOCK);
	a->limit = limit;
	a->held = 0;
	a->full = false;
	return a;
}

/* Only the largest block that is worth keeping stays: an arena that serves like requests one
 * after the other soon holds each of them without malloc. */
static void drop_others(struct arena *a)
{
	struct block *b = a->head;

	for (struct block *k = b; k; k = k->next)
		if (k->size > a->first->size && k->size <= KEEP_BLOCK)
			a->first = k;

	while (b) {
		struct block *next = b->next;

		if (b != a->first)
			free(b);
		b = next;
	}
	a->head = a->first;
	a->first->next = NULL;
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	drop_others(a);
	free(a->first);
	free(a);
}

void arena_reset(struct arena *a)
{
	drop_others(a);
	a->first->used = 0;
	a->held = 0;
	a->full = false;
}

void *arena_alloc(struct arena *a, size_t n)
{
	struct block *b = a->head;
	size_t need;
	void *p;

	if (n > a->limit || a->limit - n < a->held) {
		a->full = true;
		return NULL;
	}
	need = (n + (ALIGN - 1)) & ~(size_t)(ALIGN - 1);
	if (b->size - b->used < need) {
		size_t size = b->size < MAX_BLOCK / 2 ? b->size * 2 : MAX_BLOCK;

		b = block_new(size < need ? need : size);
		b->next = a->head;
		a->head = b;
	}
	p = b->data + b->used;
	b->used += need;
	a->held += need;
	return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
	void *p = arena_alloc(a, n);

	if (p)
		memset(p, 0, n);
	return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *p = arena_alloc(a, n + 1);

	if (p) {
		memcpy(p, s, n);
		p[n] = '\0';
	}
	return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return NULL;
	p = arena_alloc(a, (size_t)n + 1);
	if (!p)
		return NULL;
	va_start(ap, fmt);
	(void)vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

bool arena_full(const struct arena *a)
{
	return a->full;
}

size_t arena_used(const struct arena *a)
{
	return a->held;
}
