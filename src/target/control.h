/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - the control socket: JSON-RPC 2.0, one object a line (docs/control-protocol.md)
 *
 * Depends on: base, jansson.  Threads: the main thread, except control_session_event().
 */
#pragma once

#include "target/target.h"

struct session;

/* Listen on the Unix socket path.  A socket that nobody serves any more is replaced. */
int control_start(struct target *t, const char *path, struct err *e) MUST_CHECK;
void control_stop(struct target *t); /* closes and removes the socket */

/* Any thread, under the lock: s is up, down, or has other connections; the controller is told
 * soon, if there is one. */
void control_session_changed(struct target *t, struct session *s);
/* Main thread: a portal's state has changed. */
void control_portal_event(struct target *t, const struct portal *p);

/* Main thread: a unit's backing store fails, or (error "") is well again. */
void control_unit_event(struct target *t, uint64_t naa, const char *error);

/* What `shutdown` and SIGTERM do (main.c). */
void target_stop(struct target *t);
