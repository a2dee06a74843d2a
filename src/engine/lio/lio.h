/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lio.h - the kernel engine: Linux's own iSCSI target, driven through configfs
 *
 * The kernel's objects are made what the model says, with the least change: unit → fileio
 * backstore, node → target, port → tpgt_N, binding → np/ADDR:PORT, logical unit → lun_N.  The
 * kernel goes on serving while smiscsid is away; what another tool does to our objects is
 * found and put right, what others have made is never touched.  docs/lio.md has the mapping
 * and the reasons.
 *
 *	lio.c ─► tree.c (make the kernel like the model) ─► cfs.c (one directory descriptor)
 *	  │        └─► own.c (which targets are ours, on disk)
 *	  ├─► look.c (sessions, statistics) ─► facts.c (the kernel's texts; pure)
 *	  ├─► drain.c (connections of a portal that has gone)
 *	  └─► foreign.c (what others have made)
 *
 * Depends on: base, san, engine, libmnl.  Threads: one of its own does everything that touches
 * the kernel, so that a call that never comes back hangs nobody; see engine.h for the rest.
 */
#pragma once

#include "engine/engine.h"

struct lio_engine_config {
	const char *state_dir; /* absolute; copied, as the rest */
	const char *configfs;  /* NULL: LIO_CONFIGFS */
	unsigned apply_ms;     /* how long a change may take; 0: 10 s */
	unsigned poll_ms;      /* how often sessions and drift are looked for; 0: 1 s */
	unsigned retry_ms;     /* when what failed is tried again; 0: 5 s */
};

#define LIO_CONFIGFS "/sys/kernel/config/target"

/* Is the kernel's target there and may we use it?  0, or -errno with the sentence that says
 * what is missing and how to get it.  Loads nothing. */
int lio_engine_available(const char *configfs, struct err *e) MUST_CHECK;

/* Loads the kernel's modules and mounts configfs where that is missing and allowed.  -errno with
 * a sentence when the kernel's target can't be used. */
int lio_engine_new(const struct lio_engine_config *cfg, struct engine **ret,
		   struct err *e) MUST_CHECK;
