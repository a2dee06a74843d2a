/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockdev.h - what a logical unit is kept on, as the SCSI room sees it
 *
 * The implementations (file, block device, memory) live in target/; tests bring
 * their own.  All offsets and lengths are bytes and multiples of block_size, and
 * lie inside size_bytes: the SCSI room has checked that before it asks.
 *
 * Requests are asynchronous: submit returns BLOCKDEV_DONE when the answer is
 * already there (rq->result filled, done NOT called), or BLOCKDEV_PENDING, in
 * which case rq->done(rq) is called exactly once, later, on the thread that
 * submitted (the implementation brings it back there).
 *
 * Depends on: base.  Threads: submit may be called from any event-loop thread.
 */
#pragma once

#include <sys/uio.h>

#include "base/base.h"

enum blockdev_op {
	BLOCKDEV_READ,
	BLOCKDEV_WRITE,        /* BLOCKDEV_FUA: on stable storage before the answer */
	BLOCKDEV_FLUSH,        /* everything answered before is on stable storage */
	BLOCKDEV_DISCARD,      /* reads zeroes afterwards; space given back where possible */
	BLOCKDEV_WRITE_ZEROES, /* reads zeroes afterwards; space kept */
};
enum { BLOCKDEV_FUA = 1 << 0 };
enum blockdev_submit { BLOCKDEV_DONE, BLOCKDEV_PENDING };

struct blockdev_rq {
	enum blockdev_op op;
	unsigned flags;
	uint64_t offset, length;
	struct iovec *iov; /* READ/WRITE: n_iov pieces that add up to length */
	int n_iov;
	void *loop; /* the submitting loop, opaque here: where done() must be called */
	void (*done)(struct blockdev_rq *rq);
	int result;               /* 0 or negative errno */
	struct blockdev_rq *next; /* the rest: scratch of the implementation */
	int impl_int;
	void *impl[2];
};

struct blockdev;
struct blockdev_ops {
	enum blockdev_submit (*submit)(struct blockdev *d, struct blockdev_rq *rq);
	/* Allocated or hole?  *ret_len: how far from offset the answer holds (GET LBA STATUS). */
	int (*allocated)(struct blockdev *d, uint64_t offset, bool *ret_allocated,
			 uint64_t *ret_len);
	/* Call rq->done(rq) soon on the thread of rq->loop, never from within: how a command that
	 * waited for another one is woken.  May be called from any thread. */
	void (*post)(struct blockdev *d, struct blockdev_rq *rq);
	/*
	 * Where these bytes lie in memory, for as long as the device exists; NULL: not there, ask
	 * for a READ.  The address is for system calls alone: the memory may go away (somebody cuts
	 * the file off), and then a system call says EFAULT where a program would die of SIGBUS.
	 * A device that lends answers every READ at once.  The member is NULL where nothing is
	 * lent.
	 */
	const uint8_t *(*lend)(struct blockdev *d, uint64_t offset, uint64_t length);
};

struct blockdev {
	const struct blockdev_ops *ops;
	uint64_t size_bytes; /* may grow while in use; read with __atomic_load_n */
	uint32_t block_size; /* logical block, 512 or 4096 */
	bool read_only;
	bool thin;           /* discard gives space back */
	bool volatile_cache; /* a WRITE without FUA may be lost by power failure until FLUSH */
};
