/* SPDX-License-Identifier: Apache-2.0 */
/*
 * foreign.h - what other tools have made in the kernel's target
 *
 * Read, told, never touched.  Targets that are not in our list, and backstores outside our HBAs.
 *
 * Depends on: base, san, engine, tree, facts.  Threads: one owner.
 */
#pragma once

#include "engine/engine.h"
#include "engine/lio/tree.h"

struct foreign;

struct foreign *foreign_new(struct tree *t, engine_notify *notify, void *ctx) MUST_CHECK;
void foreign_free(struct foreign *f); /* NULL is fine */

/* Tell (ENGINE_FOREIGN, and a line in the log for each that is new) when anything differs from what
 * was told. */
void foreign_look(struct foreign *f);
/* It is told anew by the next look. */
void foreign_forget(struct foreign *f);
