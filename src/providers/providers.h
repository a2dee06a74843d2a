/* SPDX-License-Identifier: Apache-2.0 */
/*
 * providers.h - the san state seen as CIM
 *
 * One file per profile; each gives tables of classes, associations, methods and edits
 * (broker/provider.h), which providers_fill() puts together into one module.  The module's view
 * is a const struct san_state, its change list a struct providers_change.  Where views come
 * from and changes go to is the wiring's business (smiscsid/model.c).
 *
 * Depends on: base, cim, gen, broker, san.  Threads: see provider.h.
 */
#pragma once

#include "broker/provider.h"
#include "san/rules.h"

/* What prov_call.changes points to in this module: the rule's list, and the time and random
 * bits that the rule may use (fresh for every run). */
struct providers_change {
	struct san_changes list;
	struct san_env env;
};

/* What the providers show of the server itself (interop namespace).  Borrowed for the life of
 * the module. */
struct providers_server {
	const char *version;                     /* smiscsi's own */
	const char *host;                        /* the name clients know the host by */
	const char *const *urls;                 /* "http://127.0.0.1:5988", ... where CIM-XML is served */
	size_t n_urls;
	bool authenticates;                      /* false: --no-auth */
	uint32_t pull_timeout_s, pull_timeout_max_s; /* as the broker has them */
	const struct cim_namespace *const *namespaces;
	size_t n_namespaces;
};

/* Set classes, assocs, methods and edits (and their counts) of m; user, view_*, changes_* and
 * submit are the caller's.  m must stay where it is. */
void providers_fill(struct prov_module *m, const struct providers_server *server);
/* Free what providers_fill made; after the broker. */
void providers_done(struct prov_module *m);
