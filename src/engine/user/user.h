/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user.h - the user-space engine: a client of the program smiscsi-target
 *
 * Speaks docs/control-protocol.md over the socket target.sock below the state directory.  A
 * target that is running there already is taken over as it is, so that stopping, killing or
 * upgrading smiscsid disturbs no session; otherwise the program is started, in a session of
 * its own with nothing inherited, its words in target.log.  When it dies it is started again, and
 * control gives it its configuration back.
 *
 * Depends on: base, san, engine, jansson.  Threads: one of its own, which reads the socket
 * and calls notify; see engine.h for the rest.
 */
#pragma once

#include "engine/engine.h"

struct user_engine_config {
	const char *state_dir; /* absolute; copied, as the rest */
	const char *program;   /* NULL: smiscsi-target beside the program that is running */
	unsigned apply_ms;     /* how long an answer may take; 0: 10 s */
	bool managed; /* the target is a service of its own: its manager starts it, we only when
		       * that takes too long */
};

/* -ENOENT or -EACCES with a sentence when the program isn't there. */
int user_engine_new(const struct user_engine_config *cfg, struct engine **ret,
		    struct err *e) MUST_CHECK;

/*
 * End a smiscsi-target that serves this state, because another engine is to do so from now on.
 * 0, also when none runs; -ETIMEDOUT with a sentence when it does not go.  Waits for that, up to
 * some 15 s; sessions are asked to log out.
 */
int user_engine_end_left(const char *state_dir, struct err *e) MUST_CHECK;
