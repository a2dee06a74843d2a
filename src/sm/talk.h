/* SPDX-License-Identifier: Apache-2.0 */
/*
 * talk.h - how the layer talks to one provider
 *
 * The seam between a discovery pass and the wire: one connection, whole-class enumerations.
 * talk_cimxml is the real thing (src/client); tests put answers of their own here.
 *
 * Depends on: base cim.  Threads: a connection belongs to one provider's thread; only
 * `abandon` may be called from elsewhere.
 */
#pragma once

#include <stdatomic.h>

#include "cim/request.h"
#include "sm/uri.h"

struct turns;

struct talk_to {
	struct sm_uri uri;
	const char *socket;          /* local Unix socket instead of the network; NULL: none */
	const char *user, *password; /* NULL: none */
	const char *ca_file;         /* trust these authorities; NULL: the system's */
	const char *cert_file, *key_file; /* our own certificate and its key (PEM); NULL: none */
	uint32_t op_timeout_s;       /* one operation, from first to last byte */
	uint64_t deadline_ns;        /* the whole pass, clock_mono_ns() */
	size_t answer_bytes;         /* most bytes of one answer */
	const atomic_bool *abandon;  /* turns true: give up at once */
	struct turns *turns;         /* taken while an answer is decoded; NULL: without */
};

/* Called per object; non-zero ends the enumeration and is returned.  Arguments are borrowed
 * for the call. */
typedef int talk_each(void *ctx, const struct cim_path *path, const struct cim_raw_instance *inst,
		      struct err *e);

struct talk_ops {
	/* user: as in sm_config.  -errno with a sentence. */
	int (*open)(void *user, const struct talk_to *to, void **ret, struct err *e);
	void (*close)(void *conn);
	/* EnumerateInstances with DeepInheritance, without qualifiers, of these properties.
	 * 0; a CIM status code (> 0) with e; -errno when the provider can't be understood or
	 * reached. */
	int (*enumerate)(void *conn, const char *ns, const char *cls, const char *const *props,
			 size_t n_props, talk_each *each, void *ctx, struct err *e);
	/* The address it talks to, "" when that isn't known; until the next enumeration. */
	const char *(*peer)(void *conn);
};

/* CIM-XML; takes no user pointer. */
extern const struct talk_ops talk_cimxml;
