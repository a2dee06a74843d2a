/* SPDX-License-Identifier: Apache-2.0 */
#include "target/pool.h"

enum { SMALLEST_SHIFT = 9, STOCK_BYTES = 32 << 20, STOCK_MAX = 4096 };

struct pool_free {
	struct pool_free *next;
};

static unsigned class_of(uint32_t size)
{
	if (size <= 1U << SMALLEST_SHIFT)
		return 0;
	return 32U - (unsigned)__builtin_clz(size - 1) - SMALLEST_SHIFT;
}

static uint32_t stock_max(unsigned c)
{
	uint32_t n = (uint32_t)STOCK_BYTES >> (SMALLEST_SHIFT + c);

	return n > STOCK_MAX ? STOCK_MAX : n;
}

static uint8_t *buffer_new(size_t n)
{
	void *p;

	if (n < 4096)
		return xmalloc(n);
	if (posix_memalign(&p, 4096, n) != 0)
		abort(); /* as xmalloc: callers have checked the size against a limit */
	return p;
}

uint8_t *pool_get(struct pool *p, uint32_t size)
{
	unsigned c = class_of(size);
	struct pool_free *f;

	p->in_use += size;
	if (c >= POOL_CLASSES)
		return buffer_new(size);
	f = p->free[c];
	if (!f)
		return buffer_new((size_t)1 << (SMALLEST_SHIFT + c));
	p->free[c] = f->next;
	p->count[c]--;
	if (p->count[c] < p->low[c])
		p->low[c] = p->count[c];
	return (uint8_t *)f;
}

void pool_put(struct pool *p, void *buf, uint32_t size)
{
	unsigned c = class_of(size);
	struct pool_free *f = buf;

	p->in_use -= size;
	if (c >= POOL_CLASSES || p->count[c] >= stock_max(c)) {
		free(buf);
		return;
	}
	f->next = p->free[c];
	p->free[c] = f;
	p->count[c]++;
}

bool pool_trim(struct pool *p)
{
	bool left = false;

	for (unsigned c = 0; c < POOL_CLASSES; c++) {
		for (; p->low[c] > 0; p->low[c]--) {
			struct pool_free *f = p->free[c];

			p->free[c] = f->next;
			p->count[c]--;
			free(f);
		}
		p->low[c] = p->count[c];
		left |= p->count[c] > 0;
	}
	return left;
}

void pool_done(struct pool *p)
{
	(void)pool_trim(p);
	(void)pool_trim(p);
}
