/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_impl.h - what store_loop.c, store_file.c and store_memory.c share
 *
 * Depends on: store.h.  Threads: see store.h.
 */
#pragma once

#include "target/store.h"
#include "target/store_map.h"

struct store {
	struct blockdev dev;
	int fd;
	bool is_block;
	bool in_memory; /* nothing here can block or outlive a power failure: do all at once */
	struct store_map *maps; /* atomic; where what is in memory is lent from */
	bool nowait_reads;      /* atomic; the file system understands RWF_NOWAIT */
	bool nowait_writes;     /* atomic */
	uint64_t slow_until;    /* atomic, monotonic ns: until then writes go through the loop */
	uint64_t suspect_until; /* atomic, the same: until then slow writes are looked into */
};

/* Take over fd and fill what file and memory have in common. */
struct store *store_new(int fd, const struct store_params *p, uint64_t size, bool in_memory);

/* Do rq with blocking system calls, from rq->impl_int bytes on: 0 or a negative errno. */
int store_perform(struct store *s, struct blockdev_rq *rq);
/* Have rq done by the loop: BLOCKDEV_PENDING. */
void store_loop_start(struct store_loop *l, struct store *s, struct blockdev_rq *rq);
void store_loop_post(struct store_loop *l, struct blockdev_rq *rq);
/* After n bytes were moved: make rq's iov describe the rest. */
void store_advance(struct blockdev_rq *rq, size_t n);
