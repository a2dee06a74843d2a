/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pset.h - an ordered set that can be kept as it was while it changes
 *
 * A B+tree whose nodes are counted: pset_copy() is a snapshot and costs one
 * reference; a change to either copy afterwards copies only the path it walks,
 * and copies nothing where the path belongs to one set alone.  So one writer
 * builds the next version while any number of readers walk the versions they
 * hold, without locks.
 *
 * Items are foreign, counted things: the set refs what it holds and unrefs what
 * it lets go.  An item's order must not change while any set holds it; an item
 * may be in several sets with different orders.
 *
 * Depends on: base.h.  Threads: one set value belongs to one thread at a time, or
 * to many that only read it; copies that share nodes may be used by different
 * threads freely (counts are atomic).
 */
#pragma once

#include "base/base.h"

struct pset_type {
	int (*cmp)(const void *a, const void *b); /* order of two items; 0 = the same place */
	void (*ref)(void *item);
	void (*unref)(void *item);
};

struct pset_node;

/* All zero but type is the empty set. */
struct pset {
	const struct pset_type *type;
	struct pset_node *root;
	size_t count;
};

/* Order of a key against an item, in the sense of type->cmp(key's item, item).  A key
 * may stand for a range: then it returns 0 for every item in it. */
typedef int pset_key_cmp(const void *key, const void *item);

static inline struct pset pset_of(const struct pset_type *type)
{
	return (struct pset){.type = type};
}

void pset_done(struct pset *s); /* lets go of everything; s is empty afterwards */
struct pset pset_copy(const struct pset *s) MUST_CHECK;

/* The (first) item at key, borrowed from the set, or NULL. */
void *pset_find(const struct pset *s, const void *key, pset_key_cmp *cmp);

/* Insert item, or put it in the place of the one that compares equal. */
void pset_put(struct pset *s, void *item);
/* Take out what stands in item's place; false when nothing does. */
bool pset_del(struct pset *s, const void *item);

/*
 * Walking, resumable, in the caller's memory; nothing is allocated or held: the
 * set must live and stay unchanged (a snapshot does) as long as the walk.
 */
enum { PSET_DEPTH_MAX = 12 }; /* at least 8 to the 11th items */
struct pset_iter {
	const struct pset_node *node[PSET_DEPTH_MAX];
	uint8_t at[PSET_DEPTH_MAX];
	uint8_t depth; /* levels in use; 0 = at the end */
};

/* Each returns the item it arrives at, borrowed, or NULL at the end. */
void *pset_first(const struct pset *s, struct pset_iter *it);
void *pset_seek(const struct pset *s, struct pset_iter *it, const void *key, pset_key_cmp *cmp);
void *pset_next(struct pset_iter *it);
