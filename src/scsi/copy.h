/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.h - moving blocks between units, for EXTENDED COPY and WRITE USING TOKEN
 *
 * A command fills a struct copy (its task's scratch) with units and segments that it has checked,
 * and ends with copy_go().
 *
 * Depends on: base.  Threads: one task, one thread.
 */
#pragma once

#include "scsi/op.h"

struct copy_unit {
	struct scsi_lu *lu; /* counted */
	unsigned lun;
};

struct copy_segment {
	uint16_t from, to; /* into unit */
	uint64_t from_byte, to_byte, bytes;
};

struct copy {
	struct copy_unit unit[COPY_TARGETS_MAX];
	struct copy_segment segment[COPY_SEGMENTS_MAX + 1]; /* the last one stays empty */
	unsigned n_units, n_segments, at;
	uint64_t done, chunk; /* bytes: of this segment, under way */
	bool keep;            /* the result */
	bool has_token;       /* the source is what this token means, or nothing */
	uint64_t token_id[2];
	struct copy_result result;
	uint8_t *buf;
};

/* The task's scratch becomes an empty copy. */
struct copy *copy_new(struct scsi_task *t);
/* May the nexus read (MAY_READ) or write that unit?  false: the task has its answer. */
bool copy_may(struct scsi_task *t, const struct copy_unit *x, unsigned need);
enum scsi_step copy_go(struct scsi_task *t);
/* Remember a result of this nexus; the oldest is forgotten. */
void copy_keep_result(struct scsi_task *t, struct copy_result r);
