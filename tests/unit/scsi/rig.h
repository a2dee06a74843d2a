/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig.h - a target with one unit in memory and two initiators, for tests of commands
 *
 *	struct rig *r = rig_new(RIG_THIN);
 *	rig_cmd(r, &r->a, "28 00 00000000 00 0001 00", SCSI_DIR_IN, NULL, 512);
 *	CHECK_INT(r->status, SCSI_GOOD); CHECK_INT(r->got, 512);
 *
 * CDBs and data are written in hex, blanks are skipped.
 */
#pragma once

#include "scsi/scsi.h"
#include "test.h"

enum { RIG_BLOCKS = 4096, RIG_DATA = 1 << 20 };
enum {
	RIG_THIN = 1 << 0,
	RIG_READ_ONLY = 1 << 1,
	RIG_4K = 1 << 2,
	RIG_ASYNC = 1 << 3,
	RIG_NO_CACHE = 1 << 4,
	RIG_LENDS = 1 << 5, /* with RIG_NO_CACHE */
};

struct rig {
	struct blockdev dev;
	uint8_t *disk;
	bool async;    /* answer every request later, from rig_settle */
	int fail_with; /* every request fails with this errno when set */
	unsigned writes, fua_writes, flushes;
	struct blockdev_rq *waiting[64];
	unsigned n_waiting;
	struct scsi_lu *lu;
	struct scsi_target *target;
	struct scsi_nexus *a, *b;
	/* what the last command gave */
	enum scsi_status status;
	uint8_t sense[SCSI_SENSE_MAX];
	unsigned sense_len;
	uint32_t got, total;
	uint8_t data[RIG_DATA];
	/* durable reservations */
	void *saved;
	size_t saved_len;
};

struct rig *rig_new(unsigned flags);
struct rig *rig_new_with(unsigned flags, void *saved, size_t saved_len);
void rig_free(struct rig *r);

/* One command from begin to end on LUN 0; out: data in hex or NULL for what is in r->data.
 * edtl: the expected length in either direction. */
void rig_cmd(struct rig *r, struct scsi_nexus *n, const char *cdb, enum scsi_dir dir,
	     const char *out, uint32_t edtl);
void rig_cmd_lun(struct rig *r, struct scsi_nexus *n, uint64_t lun, const char *cdb,
		 enum scsi_dir dir, const char *out, uint32_t edtl);
/* Begin a task and leave it where it gets to: SCSI_PENDING ones end in rig_settle. */
enum scsi_step rig_start(struct rig *r, struct scsi_nexus *n, struct scsi_task *t, const char *cdb,
			 enum scsi_dir dir, uint8_t *data, uint32_t len);
void rig_settle(struct rig *r);
/* Answer n of the requests that wait. */
void rig_answer(struct rig *r, unsigned n);

size_t rig_hex(uint8_t *to, size_t max, const char *hex);
/* key << 16 | asc << 8 | ascq of the last command's sense, -1 when there is none */
int rig_sense(const struct rig *r);

#define CHECK_SENSE(r, key, code)                              \
	do {                                                   \
		CHECK_INT((r)->status, SCSI_CHECK_CONDITION);  \
		CHECK_INT(rig_sense(r), (key) << 16 | (code)); \
	} while (0)
