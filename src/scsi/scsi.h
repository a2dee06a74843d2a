/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scsi.h - logical units and the commands against them (SPC-4, SBC-3), no transport
 *
 * A transport (iSCSI here) owns struct scsi_task for the life of one command:
 *
 *   scsi_task_begin()  looks at the CDB alone: which way data flows and how much;
 *                      refuses at once what can be refused (unknown opcode, bad
 *                      field, reservation conflict, pending unit attention).
 *   ... the transport fetches the data-out bytes into t->data (if any) ...
 *   scsi_task_run()    executes.  SCSI_DONE: status, sense and data_in_len are
 *                      final on return.  SCSI_PENDING: t->done(t) is called later
 *                      on the same thread.
 *
 * When fewer data-out bytes are announced than the CDB asks for, begin refuses, or run writes
 * the blocks that came; data_total is set all the same, for the residual.  Between begin and run a
 * task holds a reference to its unit: a task that never runs must be given to scsi_task_drop().
 *
 * One scsi_target is one iSCSI node; it maps LUN numbers to logical units.  A
 * logical unit may be mapped in several targets.  An I_T nexus (scsi_nexus) is one
 * iSCSI session: initiator port name x target port.
 *
 * Depends on: base.  Threads: tasks of one nexus run on one thread; different
 * nexuses may run on different threads at once.  Configuration calls (scsi_lu_*,
 * scsi_target_*) may come from any thread.
 */
#pragma once

#include "base/err.h"
#include "scsi/blockdev.h"
#include "scsi/range.h"

enum {
	SCSI_CDB_MAX = 16 + 244, /* variable-length CDBs come through AHS */
	SCSI_SENSE_MAX = 252,
	SCSI_LUN_MAX = 0xfe, /* highest LUN number that is mapped (SEMANTICS: 0 to FE) */
};

enum scsi_status {
	SCSI_GOOD = 0x00,
	SCSI_CHECK_CONDITION = 0x02,
	SCSI_CONDITION_MET = 0x04,
	SCSI_BUSY = 0x08,
	SCSI_RESERVATION_CONFLICT = 0x18,
	SCSI_TASK_SET_FULL = 0x28,
	SCSI_ACA_ACTIVE = 0x30,
	SCSI_TASK_ABORTED = 0x40,
};

enum scsi_dir { SCSI_DIR_NONE, SCSI_DIR_IN /* to the initiator */, SCSI_DIR_OUT };
enum scsi_step { SCSI_DONE, SCSI_NEEDS_RUN, SCSI_PENDING };

struct scsi_lu;
struct scsi_target;
struct scsi_nexus;

struct scsi_task {
	/* filled by the transport before scsi_task_begin */
	struct scsi_nexus *nexus;
	uint64_t lun;               /* the 8-byte LUN field as a big-endian number */
	uint16_t cdb_len;           /* of cdb, below */
	enum scsi_dir expected_dir; /* what the initiator announced ... */
	uint32_t expected_len;      /* ... and how many bytes (EDTL) */
	void *loop;                 /* passed through to blockdev_rq.loop */
	void (*done)(struct scsi_task *t);

	/* filled by scsi_task_begin when it returns SCSI_NEEDS_RUN */
	enum scsi_dir dir;
	uint32_t data_len; /* OUT: bytes wanted from the initiator; IN: most bytes that come back.
			    * May differ from expected_len; the transport computes the residual
			    * and offers min(data_len, expected_len) bytes. */

	/* the transport's buffer: at least min(data_len, expected_len) bytes, before scsi_task_run
	 */
	uint8_t *data;
	uint32_t data_cap;

	/* the answer */
	enum scsi_status status;
	uint32_t data_in_len; /* bytes in data that are valid (IN) */
	uint32_t data_total;  /* bytes the command would have moved without the initiator's limit:
			       * the residual is |expected_len - data_total| */
	const uint8_t *lent;  /* scsi_task_lend() */
	uint8_t sense_len;    /* of sense, below */

	/* private to the SCSI room; zeroed by the transport */
	struct scsi_lu *lu_;
	const struct scsi_op *op_;
	struct blockdev_rq rq_;
	struct iovec iov_;
	struct range range_;
	struct scsi_lu *range_lu_, *io_lu_;
	void (*cleanup_)(struct scsi_task *t);
	enum scsi_step (*then_)(struct scsi_task *t);
	enum scsi_step (*locked_)(struct scsi_task *t);
	void *scratch_;
	uint64_t lba_, blocks_, at_;
	unsigned lun_;

	/* Only as much of these is ever looked at as their lengths say; nobody clears the rest. */
	uint8_t cdb[SCSI_CDB_MAX];
	uint8_t sense[SCSI_SENSE_MAX];
};

enum scsi_step scsi_task_begin(struct scsi_task *t);
enum scsi_step scsi_task_run(struct scsi_task *t);
/* Drop what begin reserved, for a task that never gets to run (connection lost, aborted). */
void scsi_task_drop(struct scsi_task *t);
/* The same, answered with CHECK CONDITION for a reason of the transport's own. */
void scsi_task_fail(struct scsi_task *t, uint8_t key, uint16_t code);

/*
 * For transports that can send bytes from where they lie: instead of finding a buffer and
 * scsi_task_run(), ask for the loan of them.  SCSI_NEEDS_RUN: this command, this unit or this
 * moment does not allow it; go on as usual.  SCSI_DONE: the answer is final, and t->lent, unless it
 * is NULL, is where its data_in_len bytes are.
 *
 * What is lent may only be given to system calls (see blockdev_ops.lend), and the blocks' range is
 * held until it is given back: whoever wants it for himself waits for us.  So give it back within
 * the round of the event loop, whatever the initiator does: when the bytes are sent, or with
 * scsi_task_keep(), which reads them to t->data, or those from `from` on; -EIO and the like: they
 * are no longer there, and the loan goes on.
 */
enum scsi_step scsi_task_lend(struct scsi_task *t);
void scsi_task_give_back(struct scsi_task *t);
int scsi_task_keep(struct scsi_task *t, uint32_t from) MUST_CHECK;
/* Has scsi_task_lend() a chance?  After begin. */
bool scsi_task_may_lend(const struct scsi_task *t);
/* Would `later`, which has begun, change what `lent` has lent? */
bool scsi_task_disturbs(const struct scsi_task *later, const struct scsi_task *lent);

/* Task management that concerns the unit (RFC 7143 §11.5): the transport aborts its own tasks
 * and calls this for the unit's side (reset conditions, unit attentions for other nexuses). */
enum scsi_tmf { SCSI_TMF_LU_RESET, SCSI_TMF_TARGET_RESET, SCSI_TMF_CLEAR_TASK_SET };
/* The unit that a LUN field means to n (counted), or NULL; and whose a task is that has begun and
 * not ended.  A unit that several targets map is one unit to task management. */
struct scsi_lu *scsi_nexus_unit(struct scsi_nexus *n, uint64_t lun);
static inline const struct scsi_lu *scsi_task_unit(const struct scsi_task *t)
{
	return t->lu_;
}
/* 0, or -ENOENT when there is no such LUN. */
int scsi_tmf(struct scsi_nexus *n, enum scsi_tmf what, uint64_t lun);

/* ---- logical units ---- */
struct scsi_lu_params {
	uint64_t naa;         /* NAA 3, locally assigned: page 83h, and the serial number as hex */
	const char *vendor;   /* 8 characters */
	const char *product;  /* 16 */
	const char *revision; /* 4 */
	struct blockdev *dev; /* borrowed; outlives the unit */
	/* Where durable persistent reservations (APTPL) are kept; NULL: APTPL refused.
	 * load fills *ret (caller frees) or gives 0 length; save must be durable when it returns.
	 */
	int (*pr_load)(void *ctx, void **ret, size_t *ret_len);
	int (*pr_save)(void *ctx, const void *p, size_t len);
	void *pr_ctx;
	/* Called once, on any thread, when the last reference is gone, also that of the last
	 * running task: from then on dev and the contexts may be freed.  NULL: not told. */
	void (*released)(void *ctx);
	void *released_ctx;
	/* Called on any thread when requests of the device begin to fail (a negative errno), and
	 * when they succeed again (0); not more often than about once a second.  NULL: not told. */
	void (*health)(void *ctx, int error);
	void *health_ctx;
};
struct scsi_lu *scsi_lu_new(const struct scsi_lu_params *p, struct err *e) MUST_CHECK;
void scsi_lu_ref(struct scsi_lu *lu);
void scsi_lu_unref(struct scsi_lu *lu);
/* The device has grown: CAPACITY DATA HAS CHANGED for every nexus that sees the unit. */
void scsi_lu_resized(struct scsi_lu *lu);

/* ---- targets: who is mapped where ---- */
struct scsi_target *scsi_target_new(const char *name) MUST_CHECK; /* name: the iSCSI node name */
void scsi_target_unref(struct scsi_target *tg);
/* Both raise REPORTED LUNS DATA HAS CHANGED for every nexus of the target.
 * map: -EEXIST when the number is taken.  unmap: -ENOENT when nothing is mapped there; tasks
 * that run keep the unit alive until they finish (see scsi_lu_params.released); no new ones
 * begin once it has returned.  A mapping holds a reference of its own. */
int scsi_target_map(struct scsi_target *tg, unsigned lun, struct scsi_lu *lu) MUST_CHECK;
int scsi_target_unmap(struct scsi_target *tg, unsigned lun);

/* ---- nexuses ---- */
/*
 * initiator_port: "<iqn>,i,0x<isid>" (the TransportID's form); target_port: "<iqn>,t,0x<tpgt>";
 * rel_port: relative target port identifier = TPGT.  The same initiator port on the same
 * target port is the same I_T nexus for persistent reservations even after it logged out.
 */
struct scsi_nexus *scsi_nexus_new(struct scsi_target *tg, const char *initiator_port,
				  const char *target_port, uint16_t rel_port) MUST_CHECK;
void scsi_nexus_free(struct scsi_nexus *n); /* nexus loss; no task of it may be running */
