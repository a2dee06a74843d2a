/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err.h - a failure, told once, in words its reader can act on
 *
 * A function that can fail returns 0 or a negative errno and fills *e.  A
 * positive return is a named outcome of that function, to be handled by the
 * caller.  Filling never allocates, so running out of memory can be reported
 * too.  Library rooms fill and return; only the caller that stops the error
 * logs it.  Every function takes e == NULL for a caller who doesn't care.
 *
 * Texts: lower case, the object's name, the rule, what was allowed or what to
 * do: "port 127.0.0.1:3260 is in use by another process; stop it or choose
 * another with --portal".
 *
 * Depends on: libc.  Threads: no shared state.
 */
#pragma once

#include "base/base.h"

struct err {
	int code;       /* what the caller may test: negative errno, 0 = none */
	char text[508]; /* what the human reads: "create target X: enable tpgt_1: ..." */
};

/* Start an error.  Returns code, so it can end a function: return err_set(...). */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF(3, 4);

/* Start an error from errno, which it reads before anything can disturb it. */
int err_sys(struct err *e, const char *fmt, ...) PRINTF(2, 3);

/* Put "where we were" in front of an error from below.  Returns e's code. */
int err_in(struct err *e, const char *fmt, ...) PRINTF(2, 3);
