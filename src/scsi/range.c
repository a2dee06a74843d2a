/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/range.h"

static bool overlap(const struct range *a, const struct range *b)
{
	return a->first < b->end && b->first < a->end;
}

static bool overlaps_any(const struct range *list, const struct range *r)
{
	for (; list; list = list->next)
		if (list != r && overlap(list, r))
			return true;
	return false;
}

static void push(struct range **list, struct range *r)
{
	r->next = *list;
	r->link = list;
	if (r->next)
		r->next->link = &r->next;
	*list = r;
}

static void append(struct range **list, struct range *r)
{
	while (*list)
		list = &(*list)->next;
	r->next = NULL;
	r->link = list;
	*list = r;
}

static void unlink_range(struct range *r)
{
	*r->link = r->next;
	if (r->next)
		r->next->link = r->link;
	r->link = NULL;
}

void ranges_init(struct ranges *rs, void (*granted)(struct range *r))
{
	*rs = (struct ranges){.granted = granted};
	(void)pthread_mutex_init(&rs->lock, NULL);
	for (int i = 0; i < RANGE_SHARDS; i++)
		(void)pthread_mutex_init(&rs->shard[i].lock, NULL);
}

void ranges_done(struct ranges *rs)
{
	(void)pthread_mutex_destroy(&rs->lock);
	for (int i = 0; i < RANGE_SHARDS; i++)
		(void)pthread_mutex_destroy(&rs->shard[i].lock);
}

static bool shards_overlap(struct ranges *rs, const struct range *r)
{
	bool hit = false;

	for (int i = 0; i < RANGE_SHARDS && !hit; i++) {
		(void)pthread_mutex_lock(&rs->shard[i].lock);
		hit = overlaps_any(rs->shard[i].held, r);
		(void)pthread_mutex_unlock(&rs->shard[i].lock);
	}
	return hit;
}

static void hold_shared(struct ranges *rs, struct range *r)
{
	struct range_shard *s = &rs->shard[r->shard];

	(void)pthread_mutex_lock(&s->lock);
	push(&s->held, r);
	(void)pthread_mutex_unlock(&s->lock);
}

/* Under rs->lock.  before: waiters up to this one stand in front of r. */
static bool may_hold(struct ranges *rs, const struct range *r, const struct range *before)
{
	if (overlaps_any(rs->exclusive, r))
		return false;
	for (const struct range *w = rs->waiters; w && w != before; w = w->next)
		if ((w->kind == RANGE_EXCLUSIVE || r->kind == RANGE_EXCLUSIVE) && overlap(w, r))
			return false;
	return r->kind == RANGE_SHARED || !shards_overlap(rs, r);
}

static void hold(struct ranges *rs, struct range *r)
{
	if (r->kind == RANGE_EXCLUSIVE)
		push(&rs->exclusive, r);
	else
		hold_shared(rs, r);
}

bool range_try_shared(struct ranges *rs, struct range *r, unsigned shard, uint64_t first,
		      uint64_t len)
{
	struct range_shard *s = &rs->shard[shard % RANGE_SHARDS];
	bool held;

	*r = (struct range){.first = first,
			    .end = first + len,
			    .kind = RANGE_SHARED,
			    .shard = shard % RANGE_SHARDS};
	/* An exclusive locker counts itself first and looks through the shards, under
	 * their locks, second: so either it finds us there or we find it here. */
	(void)pthread_mutex_lock(&s->lock);
	held = __atomic_load_n(&rs->n_exclusive, __ATOMIC_SEQ_CST) == 0;
	if (held)
		push(&s->held, r);
	(void)pthread_mutex_unlock(&s->lock);
	return held;
}

bool range_lock(struct ranges *rs, struct range *r, enum range_kind kind, unsigned shard,
		uint64_t first, uint64_t len)
{
	bool held;

	if (kind == RANGE_SHARED && LIKELY(range_try_shared(rs, r, shard, first, len)))
		return true;
	*r = (struct range){
		.first = first, .end = first + len, .kind = kind, .shard = shard % RANGE_SHARDS};
	(void)pthread_mutex_lock(&rs->lock);
	if (kind == RANGE_EXCLUSIVE)
		(void)__atomic_add_fetch(&rs->n_exclusive, 1, __ATOMIC_SEQ_CST);
	held = may_hold(rs, r, NULL);
	if (held) {
		hold(rs, r);
	} else {
		r->waiting = true;
		append(&rs->waiters, r);
	}
	(void)pthread_mutex_unlock(&rs->lock);
	return held;
}

/* Under rs->lock. */
static void grant(struct ranges *rs)
{
	struct range *next;

	for (struct range *w = rs->waiters; w; w = next) {
		next = w->next;
		if (!may_hold(rs, w, w))
			continue;
		unlink_range(w);
		w->waiting = false;
		hold(rs, w);
		rs->granted(w);
	}
}

void range_unlock(struct ranges *rs, struct range *r)
{
	if (r->kind == RANGE_SHARED) {
		struct range_shard *s = &rs->shard[r->shard];

		(void)pthread_mutex_lock(&s->lock);
		unlink_range(r);
		(void)pthread_mutex_unlock(&s->lock);
		if (LIKELY(__atomic_load_n(&rs->n_exclusive, __ATOMIC_SEQ_CST) == 0))
			return;
		(void)pthread_mutex_lock(&rs->lock);
	} else {
		(void)pthread_mutex_lock(&rs->lock);
		unlink_range(r);
		(void)__atomic_sub_fetch(&rs->n_exclusive, 1, __ATOMIC_SEQ_CST);
	}
	grant(rs);
	(void)pthread_mutex_unlock(&rs->lock);
}
