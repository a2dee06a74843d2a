/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - data buffers of one event loop, kept for the next command
 *
 * Sizes are rounded up to a power of two; each size keeps a bounded stock.  Buffers
 * of 4 KiB and more are page-aligned.  Contents are undefined.
 *
 * Depends on: base.  Threads: one loop.
 */
#pragma once

#include "base/base.h"

enum { POOL_CLASSES = 14 }; /* 512 bytes to 4 MiB; larger ones come and go */

struct pool {
	struct pool_free *free[POOL_CLASSES];
	uint32_t count[POOL_CLASSES];
	uint32_t low[POOL_CLASSES]; /* least stock since the last trim: nobody needed those */
	uint64_t in_use;            /* bytes given out */
};

uint8_t *pool_get(struct pool *p, uint32_t size);
void pool_put(struct pool *p, void *buf, uint32_t size); /* size as in pool_get */

/* Give back what was not needed since the last call; returns true while stock remains. */
bool pool_trim(struct pool *p);
void pool_done(struct pool *p);
