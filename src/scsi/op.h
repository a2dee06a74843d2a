/* SPDX-License-Identifier: Apache-2.0 */
/*
 * op.h - the table that drives every command, and what a command's body may call
 *
 * One row of ops.def is the whole truth about a command: its length and usage mask
 * (REPORT SUPPORTED OPERATION CODES), which way its data goes and where the CDB says how
 * much (scsi_task_begin), what it asks of reservations, unit attentions and the unit's
 * state, and the function that does it.
 *
 * A body runs in steps and never blocks: it answers at once (SCSI_DONE), or it sets up
 * one request with op_io() and says what follows.  Bodies return op_io()'s value; nothing
 * recurses, however many requests a command makes.
 *
 * Depends on: base.  Threads: one task, one thread (the nexus').
 */
#pragma once

#include "scsi/be.h"
#include "scsi/lu.h"

/* A third outcome of a body's step, unknown outside: t->rq_ is to be submitted now. */
enum { OP_SUBMIT = 100 };

/* Which verdict bit a command needs. */
enum op_resv {
	RESV_ALWAYS = 0,
	RESV_BASIC = MAY_BASIC,
	RESV_READ = MAY_READ,
	RESV_WRITE = MAY_WRITE,
};

enum op_len {
	LEN_NONE,
	LEN_ALLOC,  /* an allocation length: at most so much comes back */
	LEN_LIST,   /* a parameter list of exactly so much goes out */
	LEN_BLOCKS, /* a number of blocks, with data */
	LEN_RANGE,  /* a number of blocks, no data (or what the body says) */
};

enum {
	OP_NO_UA = 1 << 0,       /* carried out in spite of a pending unit attention */
	OP_NO_LU = 1 << 1,       /* answers for LUNs that do not exist */
	OP_WRITES = 1 << 2,      /* refused on a write-protected unit */
	OP_SIX = 1 << 3,         /* 21-bit LBA, and no blocks means 256 */
	OP_THIN = 1 << 4,        /* exists only on units that can give space back */
	OP_EXACT = 1 << 6,       /* the initiator must announce exactly what the CDB asks for */
	OP_PARTIAL = 1 << 7,     /* fewer data announced: the blocks they fill are written */
	OP_STRICT = 1 << 8,      /* bits outside the usage mask are refused */
	OP_SANITIZE_OK = 1 << 5, /* allowed while a sanitize runs (SBC-3) */
	OP_LENDS = 1 << 9,       /* its data are the blocks its CDB names, as they are */
};
enum { SA_NONE = 0xffff };

struct scsi_op {
	uint8_t opcode;
	uint16_t sa; /* SA_NONE: the command has no service action */
	uint8_t cdb_len;
	uint8_t dir, resv;
	uint16_t flags;
	uint8_t len_kind, len_at, len_size;
	uint8_t lba_at, lba_size;
	/* Runs in begin: SCSI_NEEDS_RUN, or SCSI_DONE when it has refused the CDB.  May set
	 * t->data_len and t->blocks_.  NULL: nothing to check. */
	enum scsi_step (*check)(struct scsi_task *t);
	enum scsi_step (*run)(struct scsi_task *t);
	uint8_t usage[16]; /* after the opcode byte; [0] is the CDB's byte 1 */
};

/* NULL and *ret_known_opcode tells 20h/00h from 24h/00h. */
const struct scsi_op *scsi_op_find(const struct scsi_lu *lu, const uint8_t *cdb, size_t len,
				   bool *ret_known_opcode);
/* Rows in ascending order, for REPORT SUPPORTED OPERATION CODES. */
const struct scsi_op *scsi_op_at(size_t i);
bool scsi_op_exists(const struct scsi_op *op, const struct scsi_lu *lu);

/* ---- ending a command: each returns SCSI_DONE ---- */
enum scsi_step op_fail(struct scsi_task *t, enum sense_key key, enum sense_code code);
enum scsi_step op_fail_with(struct scsi_task *t, enum sense_key key, enum sense_code code,
			    const struct sense_extra *x);
enum scsi_step op_invalid_cdb(struct scsi_task *t, unsigned byte);
enum scsi_step op_invalid_cdb_bit(struct scsi_task *t, unsigned byte, unsigned bit);
enum scsi_step op_invalid_parameter(struct scsi_task *t, unsigned byte);
enum scsi_step op_conflict(struct scsi_task *t);
enum scsi_step op_good(struct scsi_task *t);
/* A failed blockdev request as sense: negative errno r, met while reading or writing. */
enum scsi_step op_io_failed(struct scsi_task *t, int r);

/* Answer an IN command with bytes, cut to what the CDB allows and the transport holds. */
enum scsi_step op_reply(struct scsi_task *t, const void *p, size_t len);

/* The parameter list that arrived; complete: scsi_task_begin refused shorter ones. */
static inline const uint8_t *op_list(const struct scsi_task *t, size_t *ret_len)
{
	*ret_len = t->data_len;
	return t->data;
}

/* ---- asking the device ---- */
/* Set up one request; then(t) continues with t->rq_.result. */
enum scsi_step op_io(struct scsi_task *t, enum blockdev_op op, uint64_t offset, uint64_t length,
		     void *buf, unsigned flags, enum scsi_step (*then)(struct scsi_task *t));
/* Hold these bytes of the unit until the command ends; then(t) continues with them held. */
enum scsi_step op_lock(struct scsi_task *t, enum range_kind kind, uint64_t offset, uint64_t length,
		       enum scsi_step (*then)(struct scsi_task *t));
/* The same on another unit; one range at a time. */
enum scsi_step op_lock_on(struct scsi_task *t, struct scsi_lu *lu, enum range_kind kind,
			  uint64_t offset, uint64_t length,
			  enum scsi_step (*then)(struct scsi_task *t));
void op_unlock(struct scsi_task *t);
/* Let the loop do other work, then continue with then(t). */
enum scsi_step op_pause(struct scsi_task *t, enum scsi_step (*then)(struct scsi_task *t));
/* Memory that lives until the command ends; n has met one of the limits below. */
void *op_scratch(struct scsi_task *t, size_t n);

static inline uint32_t lu_block_size(const struct scsi_lu *lu)
{
	return lu->dev->block_size;
}
static inline uint64_t lu_blocks(const struct scsi_lu *lu)
{
	return __atomic_load_n(&lu->dev->size_bytes, __ATOMIC_RELAXED) / lu->dev->block_size;
}

/* The bytes that the blocks of a block command are. */
static inline uint64_t op_offset(const struct scsi_task *t)
{
	return t->lba_ * lu_block_size(t->lu_);
}
static inline uint64_t op_length(const struct scsi_task *t)
{
	return t->blocks_ * lu_block_size(t->lu_);
}

/* Limits the unit announces in page B0h and keeps. */
enum {
	LIMIT_TRANSFER_BYTES = 16 << 20,
	LIMIT_WRITE_SAME_BYTES = 16 << 20,
	LIMIT_UNMAP_DESCRIPTORS = 256,
	LIMIT_UNMAP_BLOCKS = 1 << 20, /* of all descriptors together */
	LIMIT_CAW_BLOCKS = 128,
	COPY_TARGETS_MAX = 16,
	COPY_SEGMENTS_MAX = 64,
	COPY_LIST_MAX = COPY_TARGETS_MAX * 32 + COPY_SEGMENTS_MAX * 32,
	COPY_SEGMENT_BYTES = 64 << 20,
	COPY_AT_ONCE = 64,
	ROD_BYTES_MAX = 64 << 20, /* what one token stands for */
	ROD_TIMEOUT_DEFAULT_S = 30,
	ROD_TIMEOUT_MAX_S = 300,
};

/* May the nexus still do this?  Asked again just before the medium is touched, because
 * data may have been on its way while another nexus reserved the unit. */
bool op_reservation_allows(struct scsi_task *t, enum op_resv need);
bool op_write_protected(const struct scsi_lu *lu);

/* ---- the commands' bodies, by file ---- */
/* inquiry.c */
enum scsi_step op_inquiry(struct scsi_task *t);
enum scsi_step op_report_luns(struct scsi_task *t);
enum scsi_step op_check_read_capacity10(struct scsi_task *t);
enum scsi_step op_read_capacity10(struct scsi_task *t);
enum scsi_step op_read_capacity16(struct scsi_task *t);
enum scsi_step op_request_sense(struct scsi_task *t);
enum scsi_step op_test_unit_ready(struct scsi_task *t);
/* block.c */
enum scsi_step op_check_protect(struct scsi_task *t);
enum scsi_step op_read(struct scsi_task *t);
enum scsi_step op_write(struct scsi_task *t);
enum scsi_step op_check_write_verify(struct scsi_task *t);
enum scsi_step op_write_verify(struct scsi_task *t);
enum scsi_step op_check_verify(struct scsi_task *t);
enum scsi_step op_verify(struct scsi_task *t);
enum scsi_step op_prefetch(struct scsi_task *t);
enum scsi_step op_sync_cache(struct scsi_task *t);
enum scsi_step op_start_stop(struct scsi_task *t);
enum scsi_step op_prevent_allow(struct scsi_task *t);
enum scsi_step op_send_diagnostic(struct scsi_task *t);
/* mode.c */
enum scsi_step op_mode_sense(struct scsi_task *t);
enum scsi_step op_mode_select(struct scsi_task *t);
enum scsi_step op_log_sense(struct scsi_task *t);
/* reserve.c */
enum scsi_step op_reserve(struct scsi_task *t);
enum scsi_step op_release(struct scsi_task *t);
/* pr.c */
enum scsi_step op_pr_in(struct scsi_task *t);
enum scsi_step op_pr_out(struct scsi_task *t);
/* report.c */
enum scsi_step op_report_opcodes(struct scsi_task *t);
enum scsi_step op_report_tmfs(struct scsi_task *t);
enum scsi_step op_report_port_groups(struct scsi_task *t);
/* provision.c */
enum scsi_step op_check_write_same(struct scsi_task *t);
enum scsi_step op_write_same(struct scsi_task *t);
enum scsi_step op_check_unmap(struct scsi_task *t);
enum scsi_step op_unmap(struct scsi_task *t);
enum scsi_step op_check_lba_status(struct scsi_task *t);
enum scsi_step op_lba_status(struct scsi_task *t);
/* atomic.c */
enum scsi_step op_check_compare_write(struct scsi_task *t);
enum scsi_step op_compare_write(struct scsi_task *t);
enum scsi_step op_orwrite(struct scsi_task *t);
/* sanitize.c */
enum scsi_step op_check_sanitize(struct scsi_task *t);
enum scsi_step op_sanitize_block_erase(struct scsi_task *t);
enum scsi_step op_sanitize_exit_failure(struct scsi_task *t);
/* copy.c */
enum scsi_step op_extended_copy(struct scsi_task *t);
enum scsi_step op_copy_status(struct scsi_task *t);
enum scsi_step op_copy_parameters(struct scsi_task *t);
/* token.c */
enum scsi_step op_populate_token(struct scsi_task *t);
enum scsi_step op_write_using_token(struct scsi_task *t);
enum scsi_step op_token_information(struct scsi_task *t);
