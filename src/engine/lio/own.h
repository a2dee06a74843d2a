/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own.h - which of the kernel's targets are ours
 *
 * A file in the state directory, a name a line, "-" in front when it is no longer ours.  A
 * name is written before its target is made, so that a crash leaves nothing behind that nobody
 * answers for.  It need not be synced: what a power failure takes from it it takes from the
 * kernel, too.
 *
 * Depends on: base.  Threads: one owner.
 */
#pragma once

#include "base/err.h"

struct own;

int own_open(const char *path, struct own **ret, struct err *e) MUST_CHECK;
void own_close(struct own *o); /* NULL is fine */

bool own_has(const struct own *o, const char *iqn);
int own_add(struct own *o, const char *iqn, struct err *e) MUST_CHECK;
void own_drop(struct own *o, const char *iqn);
/* The ith name, or NULL. */
const char *own_at(const struct own *o, size_t i);
