/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener.h - the listening socket of a portal, and the worker that accepts from it
 *
 * Depends on: base.  Threads: called on the main thread; a worker accepts.
 */
#pragma once

#include "target/target.h"

/* Bind and listen.  Returns the descriptor, or -1; either way p->state and p->why say how it
 * went.  Nothing is accepted until listener_start(). */
int listener_open(struct portal *p);
void listener_start(struct target *t, struct portal *p, int fd);
/* Stop at once: connects are refused when this returns. */
void listener_close(struct portal *p);
/* Accept again where resources had run out; the worker's tick. */
void listeners_resume(struct worker *w);
