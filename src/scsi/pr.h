/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pr.h - the parts of persistent reservations that reserve.c and pr.c share
 *
 * reserve.c judges, pr.c changes and keeps.  Everything here is called under scsi_lu.lock.
 *
 * Depends on: base.  Threads: the caller holds scsi_lu.lock.
 */
#pragma once

#include "scsi/lu.h"

enum pr_type {
	PR_NONE = 0,
	PR_WRITE_EXCLUSIVE = 1,
	PR_EXCLUSIVE_ACCESS = 3,
	PR_WRITE_EXCLUSIVE_REGISTRANTS = 5,
	PR_EXCLUSIVE_ACCESS_REGISTRANTS = 6,
	PR_WRITE_EXCLUSIVE_ALL = 7,
	PR_EXCLUSIVE_ACCESS_ALL = 8,
};

static inline bool pr_type_write_exclusive(enum pr_type t)
{
	return t == PR_WRITE_EXCLUSIVE || t == PR_WRITE_EXCLUSIVE_REGISTRANTS ||
	       t == PR_WRITE_EXCLUSIVE_ALL;
}

/* Every registrant is a holder. */
static inline bool pr_type_all(enum pr_type t)
{
	return t == PR_WRITE_EXCLUSIVE_ALL || t == PR_EXCLUSIVE_ACCESS_ALL;
}

/* Every registrant has access, be it a holder or not. */
static inline bool pr_type_for_registrants(enum pr_type t)
{
	return t >= PR_WRITE_EXCLUSIVE_REGISTRANTS && t <= PR_EXCLUSIVE_ACCESS_ALL;
}

static inline bool pr_type_valid(unsigned t)
{
	return t == PR_WRITE_EXCLUSIVE || t == PR_EXCLUSIVE_ACCESS ||
	       (t >= PR_WRITE_EXCLUSIVE_REGISTRANTS && t <= PR_EXCLUSIVE_ACCESS_ALL);
}

struct pr_registrant *pr_find(const struct pr_state *pr, const struct scsi_nexus *n);
void pr_changed(struct scsi_lu *lu);
