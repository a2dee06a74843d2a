/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - the files behind the volumes
 *
 * units/NAA.img below the state directory, sparse, mode 0600.  A file is there before its
 * volume is durable and goes after the volume has gone; what a crash leaves over between is
 * cleared at the start.  A file with data in it whose volume nobody knows is never removed:
 * the database may have come from an old backup.  A volume on a block device has no file: what
 * is on the device is neither made nor removed here.
 *
 * Depends on: base, san.  Threads: the writer.
 */
#pragma once

#include "san/san.h"

struct pool; /* the folder */

int pool_open(const char *state_dir, struct pool **ret, struct err *e) MUST_CHECK;
void pool_close(struct pool *p); /* NULL is fine */

/* Before the commit: make and grow files, put aside those of volumes that go.  On failure
 * nothing has changed. */
int pool_prepare(struct pool *p, const struct san_changes *ch, struct err *e) MUST_CHECK;
/* Of a list that was prepared: it did not come about / it did. */
void pool_undo(struct pool *p, const struct san_changes *ch);
void pool_finish(struct pool *p, const struct san_changes *ch);

/* At the start: clear what a crash left over. */
void pool_recover(struct pool *p, const struct san_state *s);

/* Space in the file system, and what of it is neither used nor promised to volumes. */
int pool_space(struct pool *p, const struct san_state *s, uint64_t *ret_total, uint64_t *ret_free,
	       struct err *e) MUST_CHECK;
