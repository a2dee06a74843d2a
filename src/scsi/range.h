/* SPDX-License-Identifier: Apache-2.0 */
/*
 * range.h - who is busy on which bytes of a unit, so that COMPARE AND WRITE is atomic
 *
 * Every command that touches the medium holds its range while it does: shared for
 * reads and writes (the standard orders nothing between those), exclusive for
 * COMPARE AND WRITE and ORWRITE.  Shared holders pay one lock that only tasks
 * of the same shard share; only when an exclusive command is about do they look further.
 * Waiting is first come, first served and never blocks a thread: range_lock returns
 * false, and granted() is called later, under the lock and on any thread, to wake the owner.
 *
 * Depends on: base.  Threads: any.
 */
#pragma once

#include <pthread.h>

#include "base/base.h"

enum { RANGE_SHARDS = 8 };
enum range_kind { RANGE_SHARED, RANGE_EXCLUSIVE };

struct range {
	struct range *next, **link; /* link: what points to us; NULL when not held */
	uint64_t first, end;        /* [first, end) */
	enum range_kind kind;
	bool waiting;
	uint8_t shard;
};

struct range_shard {
	_Alignas(64) pthread_mutex_t lock;
	struct range *held;
};

struct ranges {
	struct range_shard shard[RANGE_SHARDS];
	_Alignas(64) unsigned n_exclusive; /* held or waiting; atomic */
	pthread_mutex_t lock;              /* taken before any shard's; guards the two below */
	struct range *exclusive, *waiters;
	void (*granted)(struct range *r);
};

void ranges_init(struct ranges *rs, void (*granted)(struct range *r));
void ranges_done(struct ranges *rs);

/* r must stay where it is until range_unlock; true: held now; false: granted() will be called. */
bool range_lock(struct ranges *rs, struct range *r, enum range_kind kind, unsigned shard,
		uint64_t first, uint64_t len) MUST_CHECK;
void range_unlock(struct ranges *rs, struct range *r);
/* The same shared and without waiting: false while anybody exclusive is about. */
bool range_try_shared(struct ranges *rs, struct range *r, unsigned shard, uint64_t first,
		      uint64_t len) MUST_CHECK;
