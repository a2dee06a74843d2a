/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - what must survive: the durable part of a san_state in SQLite
 *
 * One database, smiscsi.db, in the state directory; WAL with synchronous=FULL, so a
 * commit that has returned is on the disk.  One process at a time: a lock on the file
 * "lock" beside it.
 *
 * What is wrong is said and left alone: a database of a newer version, a damaged one, a
 * directory that can't be written.  Nothing is repaired or overwritten silently.
 *
 * Depends on: base, san, SQLite.  Threads: one at a time.
 */
#pragma once

#include "san/san.h"

struct store;

/* Opens (makes, when there is none) and locks.  0; -EBUSY another smiscsid has it;
 * -EPROTO made by a newer version; -EUCLEAN damaged; -errno otherwise; e has the sentence. */
int store_open(const char *dir, struct store **ret, struct err *e) MUST_CHECK;
void store_close(struct store *st); /* NULL is fine */
DEFINE_AUTO(store, store_close)

/*
 * What was kept, as a state without measurements.  The first time: makes the host's identity
 * from random and the first objects, and keeps them.  settings is taken over.
 */
int store_load(struct store *st, struct san_settings *settings, const char *host_name,
	       const uint8_t random[static 16], struct san_state **ret, struct err *e) MUST_CHECK;

/* All lists in one transaction, on disk when it returns 0.  gen and next_id: the state's after
 * them.  On failure nothing is kept, and the store can be used again. */
int store_commit(struct store *st, const struct san_changes *const *lists, size_t n, uint64_t gen,
		 uint64_t next_id, struct err *e) MUST_CHECK;
