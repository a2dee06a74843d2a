/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "smiscsid/stats.h"

#define FRESH_NS 1000000000ULL

struct stats {
	struct control *control;
	pthread_mutex_t lock;
	struct engine_stats now; /* sorted by iqn, by id */
	bool known;              /* the last question was answered */
	uint64_t asked_ns;       /* 0: never */
	int64_t at_us;
};

struct stats *stats_new(struct control *control)
{
	struct stats *st = xcalloc(1, sizeof(*st));

	st->control = control;
	(void)pthread_mutex_init(&st->lock, NULL);
	return st;
}

void stats_free(struct stats *st)
{
	if (!st)
		return;
	engine_stats_done(&st->now);
	(void)pthread_mutex_destroy(&st->lock);
	free(st);
}

static int node_cmp(const void *a, const void *b)
{
	return strcmp(((const struct engine_node_stats *)a)->iqn,
		      ((const struct engine_node_stats *)b)->iqn);
}

static int session_cmp(const void *a, const void *b)
{
	const struct engine_session_stats *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

/* A refusal is remembered as long as an answer, so that a target that hangs is not asked again
 * for each object of a listing. */
static void refresh(struct stats *st)
{
	uint64_t now = clock_mono_ns();

	if (st->asked_ns && now - st->asked_ns < FRESH_NS)
		return;
	engine_stats_done(&st->now);
	st->now = (struct engine_stats){0};
	st->known = control_stats(st->control, &st->now, NULL) == 0;
	st->asked_ns = clock_mono_ns();
	st->at_us = clock_wall_us();
	if (!st->known)
		return;
	if (st->now.n_nodes)
		qsort(st->now.nodes, st->now.n_nodes, sizeof(*st->now.nodes), node_cmp);
	if (st->now.n_sessions)
		qsort(st->now.sessions, st->now.n_sessions, sizeof(*st->now.sessions), session_cmp);
}

static bool node_stats(void *ctx, const char *iqn, struct providers_node_stats *ret)
{
	struct stats *st = ctx;
	struct engine_node_stats key = {0};
	const struct engine_node_stats *n = NULL;

	(void)snprintf(key.iqn, sizeof(key.iqn), "%s", iqn);
	(void)pthread_mutex_lock(&st->lock);
	refresh(st);
	if (st->known && st->now.n_nodes)
		n = bsearch(&key, st->now.nodes, st->now.n_nodes, sizeof(key), node_cmp);
	if (n) {
		*ret = (struct providers_node_stats){
			.at_us = st->at_us,
			.logins = n->logins_ok,
			.negotiate_fails = n->negotiate_fails,
			.authenticate_fails = n->authenticate_fails,
			.authorize_fails = n->authorize_fails,
			.other_fails = n->logins_other_fail,
			.redirects = n->logins_redirected,
			.normal_logouts = n->logouts_normal,
			.other_logouts = n->logouts_other,
			.session_failures = n->session_failures,
			.last_failure_us = n->last_failure_us,
		};
		memcpy(ret->last_failure_kind, n->last_failure_kind,
		       sizeof(ret->last_failure_kind));
		memcpy(ret->last_failure_initiator, n->last_failure_initiator,
		       sizeof(ret->last_failure_initiator));
		memcpy(ret->last_failure_address, n->last_failure_address,
		       sizeof(ret->last_failure_address));
	}
	(void)pthread_mutex_unlock(&st->lock);
	return n;
}

static bool session_stats(void *ctx, uint64_t id, struct providers_session_stats *ret)
{
	struct stats *st = ctx;
	const struct engine_session_stats key = {.id = id}, *x = NULL;

	(void)pthread_mutex_lock(&st->lock);
	refresh(st);
	if (st->known && st->now.n_sessions)
		x = bsearch(&key, st->now.sessions, st->now.n_sessions, sizeof(key), session_cmp);
	if (x)
		*ret = (struct providers_session_stats){st->at_us,	 x->commands,
							x->read_bytes,	 x->write_bytes,
							x->digest_errors, x->timeouts};
	(void)pthread_mutex_unlock(&st->lock);
	return x;
}

void stats_serve(struct stats *st, struct providers_server *server)
{
	server->node_stats = node_stats;
	server->session_stats = session_stats;
	server->stats_ctx = st;
}
