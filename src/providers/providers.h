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

/* What the target has counted for one node, for one session, since it was started. */
struct providers_node_stats {
	int64_t at_us; /* when it said so */
	uint64_t logins, negotiate_fails, authenticate_fails, authorize_fails, other_fails,
		redirects, normal_logouts, other_logouts, session_failures;
	int64_t last_failure_us;    /* 0: none */
	char last_failure_kind[64]; /* "negotiate", "authenticate", "authorize", ... */
	char last_failure_initiator[SAN_IQN_MAX + 1], last_failure_address[SAN_PORTAL_TEXT];
};
struct providers_session_stats {
	int64_t at_us;
	uint64_t commands, read_bytes, write_bytes, digest_errors, timeouts;
};

/* What the providers show of the server itself (interop namespace).  Borrowed for the life of
 * the module. */
struct providers_server {
	const char *version;                     /* smiscsi's own */
	const char *host;                        /* the name clients know the host by */
	const char *serves;                      /* what serves the data, in words */
	const char *const *urls;                 /* of CIM-XML: "http://127.0.0.1:5988" */
	size_t n_urls;
	/* of the machine; NULL where it doesn't say */
	const char *manufacturer, *model, *serial;
	bool authenticates;                      /* false: --no-auth */
	bool takes_certificates;                 /* of TLS clients: --client-ca */
	uint32_t pull_timeout_max_s;             /* as the broker has it */
	const struct cim_namespace *const *namespaces;
	size_t n_namespaces;
	/* The target's counts, a second old at most; false: it does not tell.  Called from any
	 * thread that reads statistics, which may wait for the target.  NULL: there are none. */
	bool (*node_stats)(void *ctx, const char *iqn, struct providers_node_stats *ret);
	bool (*session_stats)(void *ctx, uint64_t id, struct providers_session_stats *ret);
	void *stats_ctx;
};

/* Set classes, assocs, methods and edits (and their counts) of m; user, view_*, changes_* and
 * submit are the caller's.  m must stay where it is. */
void providers_fill(struct prov_module *m, const struct providers_server *server);
/* Free what providers_fill made; after the broker. */
void providers_done(struct prov_module *m);
