/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "scsi/op.h"

/* ---- ending a command ---- */

static enum sense_format sense_format(const struct scsi_task *t)
{
	return t->lu_ && __atomic_load_n(&t->lu_->mode.descriptor_sense, __ATOMIC_RELAXED)
		       ? SENSE_DESCRIPTOR
		       : SENSE_FIXED;
}

enum scsi_step op_fail_with(struct scsi_task *t, enum sense_key key, enum sense_code code,
			    const struct sense_extra *x)
{
	t->status = SCSI_CHECK_CONDITION;
	t->sense_len = sense_write(t->sense, sense_format(t), key, code, x);
	t->data_in_len = 0;
	return SCSI_DONE;
}

enum scsi_step op_fail(struct scsi_task *t, enum sense_key key, enum sense_code code)
{
	return op_fail_with(t, key, code, NULL);
}

enum scsi_step op_invalid_cdb(struct scsi_task *t, unsigned byte)
{
	struct sense_extra x = {.has_field = true, .field_in_cdb = true, .field = (uint16_t)byte};

	return op_fail_with(t, ILLEGAL_REQUEST, INVALID_FIELD_IN_CDB, &x);
}

enum scsi_step op_invalid_cdb_bit(struct scsi_task *t, unsigned byte, unsigned bit)
{
	struct sense_extra x = {.has_field = true,
				.field_in_cdb = true,
				.field = (uint16_t)byte,
				.bit_valid = true,
				.bit = (uint8_t)bit};

	return op_fail_with(t, ILLEGAL_REQUEST, INVALID_FIELD_IN_CDB, &x);
}

enum scsi_step op_invalid_parameter(struct scsi_task *t, unsigned byte)
{
	struct sense_extra x = {.has_field = true, .field = (uint16_t)byte};

	return op_fail_with(t, ILLEGAL_REQUEST, INVALID_FIELD_IN_PARAMETER_LIST, &x);
}

enum scsi_step op_conflict(struct scsi_task *t)
{
	t->status = SCSI_RESERVATION_CONFLICT;
	t->data_in_len = 0;
	return SCSI_DONE;
}

enum scsi_step op_good(struct scsi_task *t)
{
	t->status = SCSI_GOOD;
	return SCSI_DONE;
}

enum scsi_step op_io_failed(struct scsi_task *t, int r)
{
	bool reading = t->rq_.op == BLOCKDEV_READ;
	struct sense_extra x = {.has_information = true,
				.information = t->rq_.offset / lu_block_size(t->lu_)};

	/* Out of space is the administrator's to mend and says so (SBC-3, thin provisioning), so
	 * that initiators pause instead of marking blocks bad. */
	if (r == -ENOSPC || r == -EDQUOT)
		return op_fail(t, DATA_PROTECT, SPACE_ALLOCATION_FAILED);
	if (r == -EROFS || r == -EPERM || r == -EBADF)
		return op_fail(t, DATA_PROTECT, WRITE_PROTECTED);
	if (r == -ENOMEM || r == -EAGAIN)
		return op_fail(t, ABORTED_COMMAND, INSUFFICIENT_RESOURCES);
	return op_fail_with(t, MEDIUM_ERROR, reading ? UNRECOVERED_READ_ERROR : WRITE_ERROR, &x);
}

/* How many data-in bytes the initiator takes from us. */
static uint32_t data_in_room(const struct scsi_task *t)
{
	uint32_t room = t->expected_dir == SCSI_DIR_IN ? t->expected_len : 0;

	return room < t->data_cap ? room : t->data_cap;
}

enum scsi_step op_reply(struct scsi_task *t, const void *p, size_t len)
{
	uint32_t room = data_in_room(t);
	uint32_t n = len < t->data_len ? (uint32_t)len : t->data_len;

	t->data_total = n;
	t->data_in_len = n < room ? n : room;
	if (t->data_in_len > 0)
		memcpy(t->data, p, t->data_in_len);
	return op_good(t);
}

/* ---- steps ---- */

void op_unlock(struct scsi_task *t)
{
	struct scsi_lu *lu = take(t->range_lu_);

	if (lu)
		range_unlock(&lu->ranges, &t->range_);
}

static void task_release(struct scsi_task *t)
{
	op_unlock(t);
	if (t->cleanup_)
		t->cleanup_(t);
	t->cleanup_ = NULL;
	t->io_lu_ = NULL;
	free(t->scratch_);
	t->scratch_ = NULL;
	if (t->lu_)
		scsi_lu_unref(t->lu_);
	t->lu_ = NULL;
}

static struct scsi_lu *io_lu(const struct scsi_task *t)
{
	return t->io_lu_ ? t->io_lu_ : t->lu_;
}

/* The request that was set up has its result: continue. */
static enum scsi_step answered(struct scsi_task *t)
{
	struct scsi_lu *lu = io_lu(t);

	if (UNLIKELY(t->rq_.result < 0) ||
	    UNLIKELY(__atomic_load_n(&lu->ill, __ATOMIC_RELAXED) != 0))
		scsi_lu_health(lu, t->rq_.op, t->rq_.result);
	return t->then_(t);
}

/* Submit what is set up until the command ends or has to wait. */
static enum scsi_step drive(struct scsi_task *t, enum scsi_step step)
{
	while ((int)step == OP_SUBMIT) {
		struct blockdev *d = io_lu(t)->dev;

		if (d->ops->submit(d, &t->rq_) == BLOCKDEV_PENDING)
			return SCSI_PENDING;
		step = answered(t);
	}
	if (step == SCSI_DONE)
		task_release(t);
	return step;
}

static void rq_done(struct blockdev_rq *rq)
{
	struct scsi_task *t = container_of(rq, struct scsi_task, rq_);

	if (drive(t, answered(t)) == SCSI_DONE)
		t->done(t);
}

/* Not a request's end: a wait's. */
static void rq_woken(struct blockdev_rq *rq)
{
	struct scsi_task *t = container_of(rq, struct scsi_task, rq_);

	if (drive(t, t->then_(t)) == SCSI_DONE)
		t->done(t);
}

enum scsi_step op_io(struct scsi_task *t, enum blockdev_op op, uint64_t offset, uint64_t length,
		     void *buf, unsigned flags, enum scsi_step (*then)(struct scsi_task *t))
{
	t->iov_ = (struct iovec){.iov_base = buf, .iov_len = length};
	t->rq_.op = op;
	t->rq_.flags = flags;
	t->rq_.offset = offset;
	t->rq_.length = length;
	t->rq_.iov = &t->iov_;
	t->rq_.n_iov = buf ? 1 : 0;
	t->rq_.loop = t->loop;
	t->rq_.done = rq_done;
	t->rq_.result = 0;
	t->then_ = then;
	return (enum scsi_step)OP_SUBMIT;
}

/* One shard for all tasks of a loop: its lock is then hardly ever another thread's. */
static unsigned range_shard(const struct scsi_task *t)
{
	return (unsigned)((uintptr_t)t->loop * 0x9e3779b97f4a7c15U >> 61);
}

/* Asked once more with the range in hand: PREEMPT AND ABORT waits for all ranges after it has
 * changed the reservations, so who was preempted is either done by then or stopped here. */
static enum scsi_step locked(struct scsi_task *t)
{
	if (!op_reservation_allows(t, (enum op_resv)t->op_->resv))
		return op_conflict(t);
	if ((t->op_->flags & OP_WRITES) &&
	    UNLIKELY(__atomic_load_n(&t->range_lu_->n_tokens, __ATOMIC_ACQUIRE) != 0))
		rod_revoke(t->range_lu_, t->range_.first, t->range_.end);
	return t->locked_(t);
}

enum scsi_step op_lock_on(struct scsi_task *t, struct scsi_lu *lu, enum range_kind kind,
			  uint64_t offset, uint64_t length,
			  enum scsi_step (*then)(struct scsi_task *t))
{
	/* All that waking needs is in place before the lock is asked for: from then on another
	 * thread may post us. */
	t->rq_.loop = t->loop;
	t->rq_.done = rq_woken;
	t->then_ = locked;
	t->locked_ = then;
	t->range_lu_ = lu;
	if (!range_lock(&lu->ranges, &t->range_, kind, range_shard(t), offset, length))
		return SCSI_PENDING;
	return locked(t);
}

enum scsi_step op_lock(struct scsi_task *t, enum range_kind kind, uint64_t offset, uint64_t length,
		       enum scsi_step (*then)(struct scsi_task *t))
{
	return op_lock_on(t, t->lu_, kind, offset, length, then);
}

enum scsi_step op_pause(struct scsi_task *t, enum scsi_step (*then)(struct scsi_task *t))
{
	t->rq_.loop = t->loop;
	t->rq_.done = rq_woken;
	t->then_ = then;
	t->lu_->dev->ops->post(t->lu_->dev, &t->rq_);
	return SCSI_PENDING;
}

void *op_scratch(struct scsi_task *t, size_t n)
{
	free(t->scratch_);
	t->scratch_ = xmalloc(n);
	return t->scratch_;
}

/* ---- begin ---- */

static enum scsi_step refuse(struct scsi_task *t, enum sense_key key, enum sense_code code)
{
	(void)op_fail(t, key, code);
	task_release(t);
	return SCSI_DONE;
}

bool op_write_protected(const struct scsi_lu *lu)
{
	return lu->dev->read_only || __atomic_load_n(&lu->mode.write_protect, __ATOMIC_RELAXED);
}

bool op_reservation_allows(struct scsi_task *t, enum op_resv need)
{
	return !need || !t->lu_ ||
	       (scsi_reservation_verdict(t->lu_, t->nexus, t->lun_) & need) != 0;
}

/* Report the most urgent unit attention, once. */
static bool report_attention(struct scsi_task *t)
{
	struct scsi_itl *itl = &t->nexus->itl[t->lun_];
	uint32_t bits = __atomic_load_n(&itl->attention, __ATOMIC_ACQUIRE);
	unsigned ua;

	if (LIKELY(bits == 0))
		return false;
	ua = (unsigned)__builtin_ctz(bits);
	(void)__atomic_and_fetch(&itl->attention, ~(1U << ua), __ATOMIC_ACQ_REL);
	(void)op_fail(t, UNIT_ATTENTION, scsi_attention_code((enum unit_attention)ua));
	return true;
}

/* The fields every block command has; false: refused, t holds the reason. */
static bool parse_blocks(struct scsi_task *t, const struct scsi_op *op)
{
	uint64_t max = lu_blocks(t->lu_);
	uint32_t bs = lu_block_size(t->lu_);

	t->lba_ = be_get(t->cdb + op->lba_at, op->lba_size);
	t->blocks_ = be_get(t->cdb + op->len_at, op->len_size);
	if (op->flags & OP_SIX) {
		t->lba_ &= 0x1fffff;
		if (t->blocks_ == 0)
			t->blocks_ = 256;
	}
	if (t->lba_ > max || t->blocks_ > max - t->lba_) {
		struct sense_extra x = {.has_information = true,
					.information = t->lba_ > max ? t->lba_ : max};

		(void)op_fail_with(t, ILLEGAL_REQUEST, LBA_OUT_OF_RANGE, &x);
		return false;
	}
	if (op->len_kind == LEN_BLOCKS) {
		if (t->blocks_ > LIMIT_TRANSFER_BYTES / bs) {
			(void)op_invalid_cdb(t, op->len_at);
			return false;
		}
		t->data_len = (uint32_t)t->blocks_ * bs;
	}
	return true;
}

/* Reserved bits must be zero.  The standard lets a target ignore them, and initiators of old
 * times rely on it; only for what can't be taken back this is checked. */
static bool cdb_within_usage(struct scsi_task *t, const struct scsi_op *op)
{
	for (unsigned i = 1; i < op->cdb_len; i++) {
		uint8_t allowed = op->usage[i - 1];

		if (i == 1 && op->sa != SA_NONE)
			allowed |= 0x1f;
		if (t->cdb[i] & ~allowed) {
			(void)op_invalid_cdb(t, i);
			return false;
		}
	}
	return true;
}

static bool unit_ready(struct scsi_task *t, const struct scsi_op *op)
{
	if (!(op->flags & OP_SANITIZE_OK)) {
		uint8_t s = __atomic_load_n(&t->lu_->sanitize, __ATOMIC_ACQUIRE);

		if (s == SANITIZE_RUNNING) {
			struct sense_extra x = {
				.has_progress = true,
				.progress = __atomic_load_n(&t->lu_->sanitize_progress,
							    __ATOMIC_RELAXED)};

			(void)op_fail_with(t, NOT_READY, NOT_READY_SANITIZE_IN_PROGRESS, &x);
			return false;
		}
		if (s == SANITIZE_FAILED) {
			(void)op_fail(t, MEDIUM_ERROR, SANITIZE_COMMAND_FAILED);
			return false;
		}
	}
	if ((op->flags & OP_WRITES) && op_write_protected(t->lu_)) {
		(void)op_fail(t, DATA_PROTECT,
			      t->lu_->dev->read_only ? WRITE_PROTECTED : SOFTWARE_WRITE_PROTECTED);
		return false;
	}
	return true;
}

/*
 * Does the initiator announce what the CDB asks for?  With less, a plain write is carried out for
 * the blocks that come (FCP-4 9.4.2, which iSCSI's residual overflow follows); anything else
 * would act on half of its parameters.
 */
static bool data_out_fits(struct scsi_task *t, const struct scsi_op *op)
{
	uint32_t comes = t->expected_dir == SCSI_DIR_OUT ? t->expected_len : 0;

	if ((op->flags & OP_EXACT) && comes != t->data_len) {
		(void)op_invalid_cdb(t, op->len_at);
		return false;
	}
	if (comes >= t->data_len)
		return true;
	if (op->flags & OP_PARTIAL) {
		t->blocks_ = comes / lu_block_size(t->lu_);
		return true;
	}
	(void)op_fail(t, ILLEGAL_REQUEST, INVALID_FIELD_IN_INFORMATION_UNIT);
	return false;
}

/* Most commands are of the same kind as the one before. */
static const struct scsi_op *find_op(struct scsi_task *t, bool *ret_known_opcode)
{
	const struct scsi_op *op = t->nexus->last_op;

	if (op && op->opcode == t->cdb[0] && t->cdb_len >= op->cdb_len)
		return op;
	op = scsi_op_find(t->lu_, t->cdb, t->cdb_len, ret_known_opcode);
	if (op && op->sa == SA_NONE && !(op->flags & OP_THIN)) /* then the opcode says it all */
		t->nexus->last_op = op;
	return op;
}

enum scsi_step scsi_task_begin(struct scsi_task *t)
{
	const struct scsi_op *op;
	bool known = false;
	int lun = scsi_lun_decode(t->lun);

	t->status = SCSI_GOOD;
	t->dir = SCSI_DIR_NONE;
	t->data_len = t->data_in_len = t->data_total = 0;
	t->sense_len = 0;
	t->lun_ = lun < 0 ? 0 : (unsigned)lun;
	t->lu_ = lun < 0 ? NULL : scsi_nexus_lu(t->nexus, t->lun_);
	op = find_op(t, &known);
	if (!t->lu_ && !(op && (op->flags & OP_NO_LU)))
		return refuse(t, ILLEGAL_REQUEST, LOGICAL_UNIT_NOT_SUPPORTED);
	if (t->lu_ && !(op && (op->flags & OP_NO_UA)) && report_attention(t)) {
		task_release(t);
		return SCSI_DONE;
	}
	if (!op) {
		if (!known)
			return refuse(t, ILLEGAL_REQUEST, INVALID_OPERATION_CODE);
		(void)op_invalid_cdb(t, 1);
		task_release(t);
		return SCSI_DONE;
	}
	t->op_ = op;
	/* NACA: we have no ACA, and INQUIRY says so (SAM-5 5.9.2). */
	if (t->cdb[op->cdb_len - 1] & 0x04) {
		(void)op_invalid_cdb_bit(t, op->cdb_len - 1U, 2);
		goto refused;
	}
	if (!op_reservation_allows(t, (enum op_resv)op->resv)) {
		(void)op_conflict(t);
		goto refused;
	}
	if (t->lu_ && !unit_ready(t, op))
		goto refused;
	t->dir = (enum scsi_dir)op->dir;
	if (op->len_kind == LEN_ALLOC || op->len_kind == LEN_LIST)
		t->data_len = (uint32_t)be_get(t->cdb + op->len_at, op->len_size);
	else if (op->len_kind != LEN_NONE && !parse_blocks(t, op))
		goto refused;
	if ((op->flags & OP_STRICT) && !cdb_within_usage(t, op))
		goto refused;
	if (op->check && op->check(t) == SCSI_DONE)
		goto refused;
	if (t->data_len == 0 && !(op->flags & OP_EXACT))
		t->dir = SCSI_DIR_NONE;
	if (t->dir == SCSI_DIR_OUT) {
		t->data_total = t->data_len;
		if (t->data_len > LIMIT_TRANSFER_BYTES) {
			(void)op_invalid_cdb(t, op->len_at);
			goto refused;
		}
		if (!data_out_fits(t, op))
			goto refused;
		if (t->data_len == 0)
			t->dir = SCSI_DIR_NONE;
	}
	return SCSI_NEEDS_RUN;

refused:
	task_release(t);
	return SCSI_DONE;
}

enum scsi_step scsi_task_run(struct scsi_task *t)
{
	/* The data may have been long in coming. */
	if (t->dir == SCSI_DIR_OUT && !op_reservation_allows(t, (enum op_resv)t->op_->resv))
		return drive(t, op_conflict(t));
	return drive(t, t->op_->run(t));
}

void scsi_task_drop(struct scsi_task *t)
{
	task_release(t);
}

void scsi_task_fail(struct scsi_task *t, uint8_t key, uint16_t code)
{
	(void)op_fail(t, (enum sense_key)key, (enum sense_code)code);
	t->data_total = 0;
	task_release(t);
}

/* ---- lending ---- */

bool scsi_task_may_lend(const struct scsi_task *t)
{
	return t->op_ && (t->op_->flags & OP_LENDS) && t->lu_->dev->ops->lend &&
	       !t->lu_->dev->volatile_cache && t->data_len > 0 && t->expected_dir == SCSI_DIR_IN &&
	       t->expected_len >= t->data_len;
}

enum scsi_step scsi_task_lend(struct scsi_task *t)
{
	struct scsi_lu *lu = t->lu_;
	const uint8_t *at;

	/* A unit that was ill is told by a READ that it is well again. */
	if (!scsi_task_may_lend(t) || UNLIKELY(__atomic_load_n(&lu->ill, __ATOMIC_RELAXED) != 0))
		return SCSI_NEEDS_RUN;
	at = lu->dev->ops->lend(lu->dev, op_offset(t), op_length(t));
	if (!at)
		return SCSI_NEEDS_RUN;
	if (!range_try_shared(&lu->ranges, &t->range_, range_shard(t), op_offset(t), op_length(t)))
		return SCSI_NEEDS_RUN;
	t->range_lu_ = lu;
	if (!op_reservation_allows(t, (enum op_resv)t->op_->resv)) { /* as in locked() */
		(void)op_conflict(t);
		task_release(t);
		return SCSI_DONE;
	}
	t->lent = at;
	t->data_in_len = t->data_total = t->data_len;
	return op_good(t);
}

void scsi_task_give_back(struct scsi_task *t)
{
	t->lent = NULL;
	task_release(t);
}

int scsi_task_keep(struct scsi_task *t, uint32_t from)
{
	struct blockdev *d = t->lu_->dev;

	from -= from % d->block_size;
	if (from == t->data_len) {
		scsi_task_give_back(t);
		return 0;
	}
	(void)op_io(t, BLOCKDEV_READ, op_offset(t) + from, op_length(t) - from, t->data + from, 0,
		    NULL);
	if (d->ops->submit(d, &t->rq_) == BLOCKDEV_PENDING)
		abort(); /* blockdev.h: who lends does not keep us waiting */
	if (t->rq_.result == 0)
		scsi_task_give_back(t);
	return t->rq_.result;
}

bool scsi_task_disturbs(const struct scsi_task *later, const struct scsi_task *lent)
{
	if (!later->op_ || later->op_->dir != SCSI_DIR_OUT)
		return false;
	/* Of others than plain writes it isn't known without looking further. */
	if (later->op_->len_kind != LEN_BLOCKS)
		return true;
	return later->lu_ == lent->lu_ && op_offset(later) < lent->range_.end &&
	       lent->range_.first < op_offset(later) + op_length(later);
}
