/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - an intrusive hash table that grows
 *
 * The link sits inside the thing; the caller compares.  Usage:
 *
 *   for (l = table_first(&t, h); l; l = table_next(l))
 *           if (same(container_of(l, struct thing, link)))
 *
 * Depends on: base.  Threads: the caller's lock.
 */
#pragma once

#include "base/base.h"

struct table_link {
	struct table_link *next;
	uint64_t hash;
};

struct table {
	struct table_link **buckets;
	size_t n_buckets; /* power of two, or 0 */
	size_t count;
};

void table_done(struct table *t); /* forgets, frees no thing */
void table_add(struct table *t, struct table_link *l, uint64_t hash);
void table_remove(struct table *t, struct table_link *l); /* must be in it */

/* Links with this very hash. */
struct table_link *table_first(const struct table *t, uint64_t hash);
struct table_link *table_next(const struct table_link *l);

/* Every link; f may remove the one it is given. */
void table_each(struct table *t, void (*f)(void *ctx, struct table_link *l), void *ctx);
