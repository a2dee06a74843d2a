/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that look and write in one step: COMPARE AND WRITE, ORWRITE (SBC-3). */
#include "scsi/op.h"

static enum scsi_step written(struct scsi_task *t)
{
	return t->rq_.result < 0 ? op_io_failed(t, t->rq_.result) : op_good(t);
}

static enum scsi_step write_out(struct scsi_task *t, uint8_t *from)
{
	bool fua = (t->cdb[1] & 0x08) ||
		   !__atomic_load_n(&t->lu_->mode.write_cache, __ATOMIC_RELAXED);

	return op_io(t, BLOCKDEV_WRITE, op_offset(t), op_length(t), from, fua ? BLOCKDEV_FUA : 0,
		     written);
}

/* Hold the blocks alone, read them to scratch, go on. */
static enum scsi_step read_in(struct scsi_task *t, enum scsi_step (*then)(struct scsi_task *t))
{
	return op_io(t, BLOCKDEV_READ, op_offset(t), op_length(t), op_scratch(t, op_length(t)), 0,
		     then);
}

/* ---- COMPARE AND WRITE ---- */

enum scsi_step op_check_compare_write(struct scsi_task *t)
{
	if (t->cdb[1] & 0xe0)
		return op_invalid_cdb_bit(t, 1, 7);
	if (t->blocks_ > LIMIT_CAW_BLOCKS)
		return op_invalid_cdb(t, t->op_->len_at);
	/* what is expected there, then what shall be there */
	t->data_len = (uint32_t)(2 * op_length(t));
	return SCSI_NEEDS_RUN;
}

static enum scsi_step compare(struct scsi_task *t)
{
	const uint8_t *found = t->scratch_;
	size_t n = op_length(t), i = 0;

	if (t->rq_.result < 0)
		return op_io_failed(t, t->rq_.result);
	if (memcmp(found, t->data, n) == 0)
		return write_out(t, t->data + n);
	while (found[i] == t->data[i])
		i++;
	return op_fail_with(t, MISCOMPARE, MISCOMPARE_DURING_VERIFY,
			    &(struct sense_extra){.has_information = true, .information = i});
}

static enum scsi_step compare_locked(struct scsi_task *t)
{
	return read_in(t, compare);
}

enum scsi_step op_compare_write(struct scsi_task *t)
{
	if (t->blocks_ == 0)
		return op_good(t);
	return op_lock(t, RANGE_EXCLUSIVE, op_offset(t), op_length(t), compare_locked);
}

/* ---- ORWRITE ---- */

static enum scsi_step or_in(struct scsi_task *t)
{
	uint8_t *sum = t->scratch_;

	if (t->rq_.result < 0)
		return op_io_failed(t, t->rq_.result);
	for (size_t i = 0, n = op_length(t); i < n; i++)
		sum[i] |= t->data[i];
	return write_out(t, sum);
}

static enum scsi_step or_locked(struct scsi_task *t)
{
	return read_in(t, or_in);
}

enum scsi_step op_orwrite(struct scsi_task *t)
{
	if (t->blocks_ == 0)
		return op_good(t);
	return op_lock(t, RANGE_EXCLUSIVE, op_offset(t), op_length(t), or_locked);
}
