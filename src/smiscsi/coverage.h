/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coverage.h - what of the class model the server implements
 *
 * Written at build time by tools/coverage.c from the very tables that smiscsid serves, so that
 * the command line, which knows no provider, can tell.
 *
 * Depends on: libc.  Threads: constant.
 */
#pragma once

#include <stdbool.h>

struct coverage {
	bool instances;              /* a provider shows objects of just this class */
	bool create, modify, remove; /* CreateInstance, ModifyInstance, DeleteInstance */
	const char *methods;         /* '1' or '0' for each of the class's methods, by its index */
};
extern const struct coverage coverage[]; /* by class id */
