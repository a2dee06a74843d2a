/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drain.h - connections of a portal that has left a port
 *
 * The kernel goes on serving sessions whose portal has gone.  They are given the logout time
 * and are then ended: by their connection where it is known whose it is, else by their
 * initiator's sessions with that port, which can come back through the portals it still has.
 * Sessions of other targets on the same portal are not touched.
 *
 * Depends on: base, san, look, sockets.  Threads: one owner.
 */
#pragma once

#include "engine/lio/look.h"

struct drain;

struct drain *drain_new(struct tree *t, struct look *l) MUST_CHECK;
void drain_free(struct drain *d); /* NULL is fine; what waits is not ended */

/* The portal has just left the port; its connections end at due (monotonic ns). */
void drain_add(struct drain *d, const char *iqn, uint16_t tpgt, const char *portal, uint64_t due);
/* When the next is due; UINT64_MAX: none. */
uint64_t drain_next(const struct drain *d);
/* End what is due. */
void drain_run(struct drain *d, const struct san_state *s, uint64_t now);
