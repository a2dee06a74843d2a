/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - what logical units are kept on: files, block devices, memory
 *
 * A store is a struct blockdev (scsi/blockdev.h).  An event loop that submits requests owns
 * one store_loop and gives it as blockdev_rq.loop (scsi_task.loop):
 *
 *	struct store_loop *sl = store_loop_new(STORE_LOOP_DEFAULT, &e);
 *	... epoll_ctl(ep, EPOLL_CTL_ADD, store_loop_fd(sl), EPOLLIN) ...
 *	... when that descriptor is readable: store_loop_reap(sl);
 *
 * reap calls the done() of what has finished, on the calling thread.  Nothing else needs to be
 * called: submission is immediate.  What the page cache holds is answered inside submit and never
 * comes through the loop.
 *
 * Durability: BLOCKDEV_FUA writes carry RWF_DSYNC, BLOCKDEV_FLUSH is fdatasync; both are
 * answered when the kernel has answered.
 *
 * Depends on: base, scsi/blockdev.h.  Threads: a store may be used from any number of loops at
 * once; a store_loop belongs to one thread (others only post to it, through the blockdev).
 */
#pragma once

#include "base/err.h"
#include "scsi/blockdev.h"

/* ---- loops ---- */
enum store_loop_kind {
	STORE_LOOP_DEFAULT, /* io_uring, or threads where that is refused */
	STORE_LOOP_THREADS, /* threads always: for tests, and where io_uring is not trusted */
};
struct store_loop;
struct store_loop *store_loop_new(enum store_loop_kind kind, struct err *e) MUST_CHECK;
int store_loop_fd(const struct store_loop *l);
void store_loop_reap(struct store_loop *l);
/* How many requests are on their way; done() of each still comes out of reap. */
unsigned store_loop_pending(const struct store_loop *l);
/* Nothing may be pending.  NULL is fine. */
void store_loop_free(struct store_loop *l);

/* ---- stores ---- */

struct store_params {
	const char *path;    /* file or block device; unused for memory */
	uint64_t size;       /* bytes, a multiple of block_size; 0: what the file or device has */
	uint32_t block_size; /* 512 or 4096 */
	bool read_only;
	bool block; /* it has to be a block device: what is there may be a file by mistake */
};

struct store;
/*
 * Open a file or block device.  It is locked (a file by fcntl, a device by O_EXCL): a second
 * opener, in this or another process, is refused with -EBUSY.  A file shorter than size grows,
 * sparsely.
 */
struct store *store_file_open(const struct store_params *p, struct err *e) MUST_CHECK;
/* Memory of that size, zeroes; gone with the store. */
struct store *store_memory_open(const struct store_params *p, struct err *e) MUST_CHECK;

struct blockdev *store_blockdev(struct store *s);
/* Grow; the caller then tells scsi_lu_resized().  -EINVAL when it would shrink, or when a block
 * device isn't that big. */
int store_resize(struct store *s, uint64_t size, struct err *e) MUST_CHECK;
/* No request may be on its way (scsi_lu_params.released says when).  NULL is fine. */
void store_free(struct store *s);
