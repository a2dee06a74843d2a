/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sm.h - the Storage Management layer: root/microsoft/windows/storage/sm
 *
 * One place that discovers SMI-S providers, the server's own like any other, keeps what they
 * say and shows it as MSFT_SM* classes.  Clients read a published snapshot (a view) and never
 * wait for a provider; each provider has a thread of its own and can hold up only itself.
 *
 *	sm_new          loads what was known before: registry, cached images (marked stale)
 *	sm_module       for broker_config
 *	sm_start        threads; the local socket must be served from now on
 *	sm_wait_local   until the local server has been discovered once
 *	sm_poke_local   the local model has changed: read it again, within a second
 *	sm_stop         before the local socket closes: no more threads, no more writes
 *	sm_free         after the broker
 *
 * Files, below <state>/sm: "providers" (what is registered), "credentials" (0600; only with
 * keep_credentials), "<id>.cache" (one image each, with the time it was read).
 *
 * Depends on: base cim gen broker client.  Threads: all functions from any thread.
 */
#pragma once

#include "broker/provider.h"
#include "sm/talk.h"

struct sm;

struct sm_config {
	const char *state;        /* directory; sm/ is made in it */
	const char *local_socket; /* the server's own CIM-XML service; NULL: none */
	const char *const *local_uris; /* where clients reach it; the first one is shown */
	size_t n_local_uris;
	const char *host;         /* this management server's name */
	const char *version;
	const char *ca_file;         /* authorities that providers' certificates may come from */
	const char *cert_file, *key_file; /* shown to providers that ask for a certificate; or NULL */
	uint32_t refresh_s;          /* how often providers are read again; 0: 300 */
	uint32_t op_timeout_s;       /* one operation; 0: 60 */
	uint32_t pass_timeout_s;     /* one provider from first to last; 0: 300 */
	size_t provider_bytes;       /* most memory for one provider's answers; 0: 256 MiB */
	uint32_t providers_max;      /* 0: 1000 */
	bool keep_credentials;       /* across restarts */
	const struct talk_ops *talk; /* NULL: CIM-XML */
	void *talk_user;
};

/* Borrows the config's texts for its own life. */
struct sm *sm_new(const struct sm_config *c, struct err *e) MUST_CHECK;
int sm_start(struct sm *s, struct err *e) MUST_CHECK;
bool sm_wait_local(struct sm *s, uint32_t timeout_ms);
void sm_poke_local(struct sm *s);
const struct prov_module *sm_module(struct sm *s);
void sm_stop(struct sm *s); /* NULL is fine */
void sm_free(struct sm *s); /* likewise; stops when nobody did */
