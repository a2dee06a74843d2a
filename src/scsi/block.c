/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, writing, verifying and flushing blocks (SBC-3). */
#include <errno.h>

#include "scsi/op.h"

/* With the write cache disabled every write is as if FUA had been set. */
static unsigned write_flags(const struct scsi_task *t, bool fua)
{
	return fua || !__atomic_load_n(&t->lu_->mode.write_cache, __ATOMIC_RELAXED) ? BLOCKDEV_FUA
										    : 0;
}

static enum scsi_step io_end(struct scsi_task *t)
{
	return t->rq_.result < 0 ? op_io_failed(t, t->rq_.result) : op_good(t);
}

/* What the medium is asked for must be on the medium: flush, if there is a cache, and go on. */
static enum scsi_step through_cache(struct scsi_task *t,
				    enum scsi_step (*then)(struct scsi_task *t))
{
	t->rq_.result = 0;
	if (!t->lu_->dev->volatile_cache)
		return then(t);
	return op_io(t, BLOCKDEV_FLUSH, 0, 0, NULL, 0, then);
}

enum scsi_step op_check_protect(struct scsi_task *t)
{
	/* RDPROTECT/WRPROTECT: the medium has no protection information (SBC-3, READ(10)). */
	return t->cdb[1] & 0xe0 ? op_invalid_cdb_bit(t, 1, 7) : SCSI_NEEDS_RUN;
}

/* ---- READ ---- */

static enum scsi_step read_end(struct scsi_task *t)
{
	if (t->rq_.result < 0)
		return op_io_failed(t, t->rq_.result);
	if (t->scratch_) /* the initiator takes less than it asked for */
		return op_reply(t, t->scratch_, t->data_len);
	t->data_in_len = t->data_total = t->data_len;
	return op_good(t);
}

static enum scsi_step read_blocks(struct scsi_task *t)
{
	uint8_t *to = t->data;

	if (t->rq_.result < 0)
		return op_io_failed(t, t->rq_.result);
	if (t->expected_dir != SCSI_DIR_IN || t->expected_len < t->data_len ||
	    t->data_cap < t->data_len)
		to = op_scratch(t, t->data_len);
	return op_io(t, BLOCKDEV_READ, op_offset(t), op_length(t), to, 0, read_end);
}

/* FUA on a read: what the cache has and the medium has not is written there first
 * (SBC-3, READ(10)). */
static enum scsi_step read_locked(struct scsi_task *t)
{
	t->rq_.result = 0;
	return !(t->op_->flags & OP_SIX) && (t->cdb[1] & 0x08) ? through_cache(t, read_blocks)
							       : read_blocks(t);
}

enum scsi_step op_read(struct scsi_task *t)
{
	if (t->blocks_ == 0)
		return op_good(t);
	return op_lock(t, RANGE_SHARED, op_offset(t), op_length(t), read_locked);
}

/* ---- WRITE ---- */

static enum scsi_step write_locked(struct scsi_task *t)
{
	/* Byte 1 of WRITE(6) is part of the LBA. */
	bool fua = !(t->op_->flags & OP_SIX) && (t->cdb[1] & 0x08);

	return op_io(t, BLOCKDEV_WRITE, op_offset(t), op_length(t), t->data, write_flags(t, fua),
		     io_end);
}

enum scsi_step op_write(struct scsi_task *t)
{
	if (t->blocks_ == 0)
		return op_good(t);
	return op_lock(t, RANGE_SHARED, op_offset(t), op_length(t), write_locked);
}

/* ---- VERIFY and WRITE AND VERIFY ---- */

enum { BYTCHK_NONE = 0, BYTCHK_ALL = 1, BYTCHK_ONE_BLOCK = 3 };

static unsigned bytchk(const struct scsi_task *t)
{
	return t->cdb[1] >> 1 & 3;
}

enum { VERIFY_CHUNK = 1 << 20 };

static enum scsi_step verify_next(struct scsi_task *t);

/* Compare what was read with what was sent; where they part is told in bytes (SBC-3, VERIFY(10)).
 */
static enum scsi_step verify_read(struct scsi_task *t)
{
	const uint8_t *got = t->scratch_;
	uint32_t bs = lu_block_size(t->lu_);
	unsigned how = bytchk(t);

	if (t->rq_.result < 0)
		return op_io_failed(t, t->rq_.result);
	for (uint64_t i = 0; how != BYTCHK_NONE && i < t->rq_.length; i += bs) {
		const uint8_t *want = t->data + (how == BYTCHK_ALL ? t->at_ + i : 0);

		if (memcmp(got + i, want, bs) == 0)
			continue;
		for (uint32_t k = 0; k < bs; k++) {
			struct sense_extra x = {.has_information = true,
						.information = t->at_ + i + k};

			if (got[i + k] != want[k])
				return op_fail_with(t, MISCOMPARE, MISCOMPARE_DURING_VERIFY, &x);
		}
	}
	t->at_ += t->rq_.length;
	return verify_next(t);
}

static enum scsi_step verify_next(struct scsi_task *t)
{
	uint64_t left = op_length(t) - t->at_;

	if (left == 0)
		return op_good(t);
	if (left > VERIFY_CHUNK)
		left = VERIFY_CHUNK;
	if (!t->scratch_)
		(void)op_scratch(t, left);
	return op_io(t, BLOCKDEV_READ, op_offset(t) + t->at_, left, t->scratch_, 0, verify_read);
}

enum scsi_step op_check_verify(struct scsi_task *t)
{
	uint32_t bs = lu_block_size(t->lu_);

	if (t->cdb[1] & 0xe0)
		return op_invalid_cdb_bit(t, 1, 7);
	/* The announced maximum holds for what is only read here, too: it is all read. */
	if (t->blocks_ > LIMIT_TRANSFER_BYTES / bs)
		return op_invalid_cdb(t, t->op_->len_at);
	switch (bytchk(t)) {
	case BYTCHK_NONE:
		return SCSI_NEEDS_RUN;
	case BYTCHK_ALL:
		t->data_len = (uint32_t)t->blocks_ * bs;
		return SCSI_NEEDS_RUN;
	case BYTCHK_ONE_BLOCK:
		t->data_len = t->blocks_ ? bs : 0;
		return SCSI_NEEDS_RUN;
	default:
		return op_invalid_cdb_bit(t, 1, 2);
	}
}

static enum scsi_step on_medium_now_verify(struct scsi_task *t)
{
	if (t->rq_.result < 0)
		return op_io_failed(t, t->rq_.result);
	return verify_next(t);
}

/* It is the medium that is verified, not the cache (SBC-3, VERIFY(10)). */
static enum scsi_step verify_locked(struct scsi_task *t)
{
	return through_cache(t, on_medium_now_verify);
}

enum scsi_step op_verify(struct scsi_task *t)
{
	if (t->blocks_ == 0)
		return op_good(t);
	return op_lock(t, RANGE_SHARED, op_offset(t), op_length(t), verify_locked);
}

enum scsi_step op_check_write_verify(struct scsi_task *t)
{
	if (t->cdb[1] & 0xe0)
		return op_invalid_cdb_bit(t, 1, 7);
	/* One block written many times is WRITE SAME's business (SBC-3: BYTCHK 00b, 01b). */
	if (bytchk(t) > BYTCHK_ALL)
		return op_invalid_cdb_bit(t, 1, 2);
	return SCSI_NEEDS_RUN;
}

static enum scsi_step write_verify_locked(struct scsi_task *t)
{
	/* On the medium before it is read back, or the verification would say little. */
	return op_io(t, BLOCKDEV_WRITE, op_offset(t), op_length(t), t->data, BLOCKDEV_FUA,
		     on_medium_now_verify);
}

enum scsi_step op_write_verify(struct scsi_task *t)
{
	if (t->blocks_ == 0)
		return op_good(t);
	return op_lock(t, RANGE_SHARED, op_offset(t), op_length(t), write_verify_locked);
}

/* ---- PRE-FETCH, SYNCHRONIZE CACHE, START STOP UNIT and other politeness ---- */

enum scsi_step op_prefetch(struct scsi_task *t)
{
	/* The page cache reads ahead by itself; whether all of it fits there is not known, so
	 * the answer is GOOD and not CONDITION MET (SBC-3). */
	return op_good(t);
}

enum scsi_step op_sync_cache(struct scsi_task *t)
{
	/* The device flushes as a whole.  IMMED would allow to answer before; answering when it is
	 * done is allowed too, and tells of failures. */
	return op_io(t, BLOCKDEV_FLUSH, 0, 0, NULL, 0, io_end);
}

enum scsi_step op_start_stop(struct scsi_task *t)
{
	bool start = t->cdb[4] & 0x01, no_flush = t->cdb[4] & 0x04;

	/* Power conditions that are not ours to have (no page 8Ah, no page 1Ah). */
	if (t->cdb[4] >> 4)
		return op_invalid_cdb(t, 4);
	/* A shared unit is not one initiator's to stop: Windows sends this at shutdown, while
	 * other nodes go on working.  What it wants, its data safe, it gets. */
	if (start || no_flush)
		return op_good(t);
	return op_io(t, BLOCKDEV_FLUSH, 0, 0, NULL, 0, io_end);
}

enum scsi_step op_prevent_allow(struct scsi_task *t)
{
	/* The medium can't be removed anyway; values above 1 are obsolete or reserved. */
	return t->cdb[4] & 0xfe ? op_invalid_cdb(t, 4) : op_good(t);
}

enum scsi_step op_send_diagnostic(struct scsi_task *t)
{
	/* Only the default self-test (SPC-4), which is: we are still able to answer. */
	if (t->cdb[1] & 0xf3)
		return op_invalid_cdb(t, 1);
	return t->data_len ? op_invalid_cdb(t, 3) : op_good(t);
}
