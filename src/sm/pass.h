/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pass.h - one discovery pass over one provider: find its namespaces, read its classes
 *
 * Interop namespace by trying the usual names; implementation namespaces from what the profiles
 * point to; then every class of harvest.h that is in the scope, one whole-class enumeration each.
 * A class that a provider doesn't have is no error; one that it fails on is noted and makes the
 * pass incomplete, so that the caller can keep what it had before.
 *
 * Depends on: base cim.  Threads: one pass, one thread.
 */
#pragma once

#include "sm/harvest.h"
#include "sm/scope.h"
#include "sm/talk.h"

struct pass_result {
	char interop[128]; /* the namespace that answered */
	uint32_t objects;
	uint32_t failed; /* classes that couldn't be read though the provider has them */
	struct err why;  /* of the first of those */
};

/*
 * interop: the namespace the client named, or NULL.  lean: the references of an association are
 * wanted once only, as the keys of its path: half as much to read.  Not every provider has them
 * there; our own has.  progress may be NULL: done of total.
 */
int pass_run(const struct talk_ops *ops, void *conn, const char *interop,
	     const struct sm_scope *scope, bool lean, struct harvest *h, void (*progress)(void *ctx, unsigned done, unsigned total),
	     void *ctx, struct pass_result *ret, struct err *e) MUST_CHECK;
