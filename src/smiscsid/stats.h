/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.h - the target's counts for the providers: asked for at most once a second
 *
 * Depends on: control, providers.  Threads: any; callers wait for each other while one of them
 * asks the target.
 */
#pragma once

#include "control/control.h"
#include "providers/providers.h"

struct stats;

struct stats *stats_new(struct control *control) MUST_CHECK; /* borrows control */
void stats_free(struct stats *st);                           /* NULL is fine */
/* Has server's providers ask st. */
void stats_serve(struct stats *st, struct providers_server *server);
