/* SPDX-License-Identifier: Apache-2.0 */
/* Thin provisioning and long runs of the same (SBC-3). */
#include "scsi/op.h"

/* A command that is answered inline for long lets the loop do something else in between. */
enum { WRITE_SAME_CHUNK = 1 << 20, PAUSE_EVERY = 8 << 20 };

static bool cache_disabled(const struct scsi_task *t)
{
	return !__atomic_load_n(&t->lu_->mode.write_cache, __ATOMIC_RELAXED);
}

static enum scsi_step flushed(struct scsi_task *t)
{
	return t->rq_.result < 0 ? op_io_failed(t, t->rq_.result) : op_good(t);
}

/* Zeroed or discarded; without a write cache it has to last, too. */
static enum scsi_step zeroed(struct scsi_task *t)
{
	if (t->rq_.result < 0)
		return op_io_failed(t, t->rq_.result);
	return cache_disabled(t) && t->lu_->dev->volatile_cache
		       ? op_io(t, BLOCKDEV_FLUSH, 0, 0, NULL, 0, flushed)
		       : op_good(t);
}

/* ---- WRITE SAME ---- */

enum { WS_NDOB = 0x01, WS_LBDATA = 0x02, WS_PBDATA = 0x04, WS_UNMAP = 0x08, WS_ANCHOR = 0x10 };

enum scsi_step op_check_write_same(struct scsi_task *t)
{
	bool ndob = t->cdb[0] == 0x93 && (t->cdb[1] & WS_NDOB);
	uint32_t bs = lu_block_size(t->lu_);

	if (t->cdb[1] & 0xe0)
		return op_invalid_cdb_bit(t, 1, 7);
	if (t->cdb[1] & (WS_LBDATA | WS_PBDATA | WS_ANCHOR | (ndob ? 0 : WS_NDOB)))
		return op_invalid_cdb(t, 1);
	if ((t->cdb[1] & WS_UNMAP) && !t->lu_->dev->thin)
		return op_invalid_cdb_bit(t, 1, 3);
	if (t->blocks_ == 0) /* WSNZ is zero: to the end of the unit */
		t->blocks_ = lu_blocks(t->lu_) - t->lba_;
	if (t->blocks_ > LIMIT_WRITE_SAME_BYTES / bs)
		return op_invalid_cdb(t, t->op_->len_at);
	t->data_len = ndob ? 0 : bs;
	return SCSI_NEEDS_RUN;
}

static enum scsi_step same_next(struct scsi_task *t);

static enum scsi_step same_written(struct scsi_task *t)
{
	if (t->rq_.result < 0)
		return op_io_failed(t, t->rq_.result);
	t->at_ += t->rq_.length;
	return t->at_ % PAUSE_EVERY ? same_next(t) : op_pause(t, same_next);
}

static enum scsi_step same_next(struct scsi_task *t)
{
	uint64_t left = op_length(t) - t->at_;

	if (left == 0)
		return op_good(t);
	if (left > WRITE_SAME_CHUNK)
		left = WRITE_SAME_CHUNK;
	return op_io(t, BLOCKDEV_WRITE, op_offset(t) + t->at_, left, t->scratch_,
		     cache_disabled(t) ? BLOCKDEV_FUA : 0, same_written);
}

static bool all_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static enum scsi_step same_locked(struct scsi_task *t)
{
	uint32_t bs = lu_block_size(t->lu_);
	uint64_t n = op_length(t) < WRITE_SAME_CHUNK ? op_length(t) : WRITE_SAME_CHUNK;
	uint8_t *pattern;

	/* LBPRZ: what is unmapped reads as zeroes, so only zeroes may be unmapped instead. */
	if (all_zero(t->data, t->data_len))
		return op_io(t, t->cdb[1] & WS_UNMAP ? BLOCKDEV_DISCARD : BLOCKDEV_WRITE_ZEROES,
			     op_offset(t), op_length(t), NULL, 0, zeroed);
	pattern = op_scratch(t, n);
	for (uint64_t i = 0; i < n; i += bs)
		memcpy(pattern + i, t->data, bs);
	return same_next(t);
}

enum scsi_step op_write_same(struct scsi_task *t)
{
	if (t->blocks_ == 0)
		return op_good(t);
	return op_lock(t, RANGE_SHARED, op_offset(t), op_length(t), same_locked);
}

/* ---- UNMAP ---- */

enum { UNMAP_HEADER = 8, UNMAP_DESCRIPTOR = 16 };

enum scsi_step op_check_unmap(struct scsi_task *t)
{
	return t->cdb[1] & 0x01 ? op_invalid_cdb_bit(t, 1, 0) : SCSI_NEEDS_RUN; /* ANCHOR */
}

static enum scsi_step unmapped(struct scsi_task *t);

static enum scsi_step unmap_next(struct scsi_task *t)
{
	uint32_t bs = lu_block_size(t->lu_);

	while (t->at_ < t->blocks_) { /* here: descriptors */
		const uint8_t *d = t->data + UNMAP_HEADER + t->at_++ * UNMAP_DESCRIPTOR;
		uint64_t n = be32(d + 8);

		if (n > 0)
			return op_io(t, BLOCKDEV_DISCARD, be64(d) * bs, n * bs, NULL, 0, unmapped);
	}
	t->rq_.result = 0;
	return zeroed(t);
}

static enum scsi_step unmapped(struct scsi_task *t)
{
	return t->rq_.result < 0 ? op_io_failed(t, t->rq_.result) : unmap_next(t);
}

enum scsi_step op_unmap(struct scsi_task *t)
{
	uint64_t first = UINT64_MAX, end = 0, sum = 0, max = lu_blocks(t->lu_);
	uint32_t bs = lu_block_size(t->lu_);
	size_t len, n;
	const uint8_t *p = op_list(t, &len);

	if (len == 0)
		return op_good(t);
	if (len < UNMAP_HEADER)
		return op_fail(t, ILLEGAL_REQUEST, PARAMETER_LIST_LENGTH_ERROR);
	n = be16(p + 2) / UNMAP_DESCRIPTOR;
	if (n > (len - UNMAP_HEADER) / UNMAP_DESCRIPTOR)
		n = (len - UNMAP_HEADER) / UNMAP_DESCRIPTOR;
	if (n > LIMIT_UNMAP_DESCRIPTORS)
		return op_invalid_parameter(t, 2);
	/* Nothing is unmapped unless all can be. */
	for (size_t i = 0; i < n; i++) {
		const uint8_t *d = p + UNMAP_HEADER + i * UNMAP_DESCRIPTOR;
		uint64_t lba = be64(d), blocks = be32(d + 8);

		if (lba > max || blocks > max - lba)
			return op_fail(t, ILLEGAL_REQUEST, LBA_OUT_OF_RANGE);
		sum += blocks;
		if (blocks > 0 && lba < first)
			first = lba;
		if (blocks > 0 && lba + blocks > end)
			end = lba + blocks;
	}
	if (sum > LIMIT_UNMAP_BLOCKS)
		return op_invalid_parameter(t, UNMAP_HEADER + 8);
	if (sum == 0)
		return op_good(t);
	t->blocks_ = n;
	return op_lock(t, RANGE_SHARED, first * bs, (end - first) * bs, unmap_next);
}

/* ---- GET LBA STATUS ---- */

enum { STATUS_MAPPED = 0, STATUS_DEALLOCATED = 1, STATUS_DESCRIPTORS = 64 };

enum scsi_step op_check_lba_status(struct scsi_task *t)
{
	t->lba_ = be64(t->cdb + 2);
	if (t->lba_ >= lu_blocks(t->lu_))
		return op_fail(t, ILLEGAL_REQUEST, LBA_OUT_OF_RANGE);
	return SCSI_NEEDS_RUN;
}

enum scsi_step op_lba_status(struct scsi_task *t)
{
	uint8_t p[8 + 16 * STATUS_DESCRIPTORS] = {0};
	struct blockdev *d = t->lu_->dev;
	uint32_t bs = lu_block_size(t->lu_);
	uint64_t lba = t->lba_, max = lu_blocks(t->lu_);
	size_t n = 0;

	while (n < STATUS_DESCRIPTORS && lba < max && 8 + 16 * n < t->data_len) {
		uint8_t *at = p + 8 + 16 * n;
		uint64_t len = 0, blocks;
		bool mapped = true;
		int r = d->ops->allocated(d, lba * bs, &mapped, &len);

		if (r < 0)
			return op_io_failed(t, r);
		/* A block that is a hole only in part is mapped. */
		blocks = mapped ? (len + bs - 1) / bs : len / bs;
		if (blocks == 0) {
			mapped = true;
			blocks = 1;
		}
		if (blocks > max - lba)
			blocks = max - lba;
		if (blocks > UINT32_MAX)
			blocks = UINT32_MAX;
		be_put64(at, lba);
		be_put32(at + 8, (uint32_t)blocks);
		at[12] = mapped ? STATUS_MAPPED : STATUS_DEALLOCATED;
		lba += blocks;
		n++;
	}
	be_put32(p, (uint32_t)(4 + 16 * n));
	return op_reply(t, p, 8 + 16 * n);
}
