/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SANITIZE (SBC-3): BLOCK ERASE, which for a thin unit means that all of its space is
 * given back and reads as zeroes.
 *
 * The unit is not ready meanwhile, to anyone.  The command's task drives the erasure; what
 * becomes of its nexus makes no difference, because the transport keeps a running task until
 * it has ended.
 */
#include "scsi/op.h"

enum { ERASE_CHUNK_BLOCKS = 1 << 21, AUSE = 0x20 };

enum scsi_step op_check_sanitize(struct scsi_task *t)
{
	return t->data_len ? op_invalid_cdb(t, 7) : SCSI_NEEDS_RUN;
}

static void set_state(struct scsi_lu *lu, enum sanitize_state s)
{
	__atomic_store_n(&lu->sanitize, (uint8_t)s, __ATOMIC_RELEASE);
}

static enum scsi_step erase_next(struct scsi_task *t);

static enum scsi_step erase_failed(struct scsi_task *t)
{
	t->lu_->sanitize_may_exit = t->cdb[1] & AUSE;
	set_state(t->lu_, SANITIZE_FAILED);
	return op_fail(t, MEDIUM_ERROR, SANITIZE_COMMAND_FAILED);
}

static enum scsi_step erased(struct scsi_task *t)
{
	if (t->rq_.result < 0)
		return erase_failed(t);
	t->at_ += t->rq_.length;
	__atomic_store_n(&t->lu_->sanitize_progress,
			 (uint16_t)(t->at_ / (t->blocks_ / 65535 + 1) / lu_block_size(t->lu_)),
			 __ATOMIC_RELAXED);
	return op_pause(t, erase_next);
}

static enum scsi_step flushed(struct scsi_task *t)
{
	if (t->rq_.result < 0)
		return erase_failed(t);
	set_state(t->lu_, SANITIZE_IDLE);
	return op_good(t);
}

static enum scsi_step erase_next(struct scsi_task *t)
{
	uint64_t left = op_length(t) - t->at_;
	uint64_t chunk = (uint64_t)ERASE_CHUNK_BLOCKS * lu_block_size(t->lu_);

	if (left == 0)
		return op_io(t, BLOCKDEV_FLUSH, 0, 0, NULL, 0, flushed);
	return op_io(t, BLOCKDEV_DISCARD, t->at_, left < chunk ? left : chunk, NULL, 0, erased);
}

enum scsi_step op_sanitize_block_erase(struct scsi_task *t)
{
	struct scsi_lu *lu = t->lu_;
	uint8_t was = __atomic_load_n(&lu->sanitize, __ATOMIC_ACQUIRE);

	/* From idle, or again after one that failed. */
	do {
		if (was == SANITIZE_RUNNING)
			return op_fail(t, NOT_READY, NOT_READY_SANITIZE_IN_PROGRESS);
	} while (!__atomic_compare_exchange_n(&lu->sanitize, &was, (uint8_t)SANITIZE_RUNNING, false,
					      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	__atomic_store_n(&lu->sanitize_progress, 0, __ATOMIC_RELAXED);
	t->lba_ = 0;
	t->blocks_ = lu_blocks(lu);
	/* What is under way ends first. */
	return op_lock(t, RANGE_EXCLUSIVE, 0, op_length(t), erase_next);
}

enum scsi_step op_sanitize_exit_failure(struct scsi_task *t)
{
	struct scsi_lu *lu = t->lu_;
	uint8_t s = __atomic_load_n(&lu->sanitize, __ATOMIC_ACQUIRE);

	if (s == SANITIZE_RUNNING)
		return op_fail(t, NOT_READY, NOT_READY_SANITIZE_IN_PROGRESS);
	if (s == SANITIZE_FAILED && !lu->sanitize_may_exit)
		return op_invalid_cdb(t, 1);
	set_state(lu, SANITIZE_IDLE);
	return op_good(t);
}
