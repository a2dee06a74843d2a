/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h - memory with one lifetime: everything of one request, freed whole
 *
 * Allocation is a pointer bump and never returns NULL as long as the arena's
 * limit holds; past the limit arena_alloc returns NULL and the arena is marked
 * full (arena_full()), so that a decoder can go on in a straight line and ask
 * once.  Freed by arena_free, or kept for the next request by arena_reset.
 *
 * Depends on: base.h.  Threads: one arena, one thread at a time.
 */
#pragma once

#include "base/base.h"

struct arena;

/* limit: most bytes it may ever hold (its maximum is part of its birth). */
struct arena *arena_new(size_t limit) MUST_CHECK;
void arena_free(struct arena *a); /* NULL is fine */
DEFINE_AUTO(arena, arena_free)

/* Forget all content; keeps one block of a modest size, so a reused arena does not malloc. */
void arena_reset(struct arena *a);

/* n bytes aligned to 16, contents undefined / zeroed; NULL when over the limit. */
void *arena_alloc(struct arena *a, size_t n) MUST_CHECK;
void *arena_zalloc(struct arena *a, size_t n) MUST_CHECK;

/* Copies; NULL when over the limit. */
char *arena_strdup(struct arena *a, const char *s) MUST_CHECK;
char *arena_strndup(struct arena *a, const char *s, size_t n) MUST_CHECK;
char *arena_printf(struct arena *a, const char *fmt, ...) MUST_CHECK PRINTF(2, 3);

bool arena_full(const struct arena *a); /* did any allocation fail since new/reset? */
size_t arena_used(const struct arena *a);
