/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/control.h"
#include "control/pool.h"
#include "engine/device.h"
#include "network/network.h"

enum {
	BATCH_MAX = 512,    /* writes that share a sync */
	RETRY_MS = 2000,    /* a configuration the target refused, a network change not stored */
	PATIENCE_MS = 3000, /* what a target takes to be started again, and more */
	SPACE_MS = 30000,   /* how often the pool's space is looked at */
	DEVICES_MS = 5000,  /* ... and block devices, where there are any */
	HERE_US = 2000,     /* commits that take longer are for the writer's thread */
};

/* A copy of what the engine told, until the writer takes it up. */
struct event {
	struct event *next;
	struct engine_event ev;
	char *text[6]; /* what ev's strings point at */
	struct san_connection *connections;
	struct san_seen_foreign *foreign;
	char **foreign_text; /* what foreign's strings point at: three each */
};

/* A copy of the network as it was told last. */
struct network_copy {
	struct san_seen_nic *nics;
	struct san_seen_ip *ips;
	size_t n_nics, n_ips;
	char *text;
};

struct control {
	struct store *store;
	struct engine *engine;
	struct pool *pool;
	struct network_watch *watch;
	control_observer *observer;
	void *observer_ctx;
	struct control_portal_option *options; /* --portal */
	struct san_wanted_portal *wanted;      /* the same, for the rule */
	size_t n_wanted;
	char **devices; /* --device */
	size_t n_devices;

	pthread_t thread;
	pthread_mutex_t lock; /* over what stands until the next blank line */
	pthread_cond_t work, became_ready;
	struct control_write *head, **tail;
	struct event *ev_head, **ev_tail;
	struct network_copy *network; /* newest not yet taken up */
	bool stopping, ready;
	bool writing; /* somebody is the writer: what is the writer's own is his */

	pthread_mutex_t state_lock; /* for as long as it takes to count a reference */
	struct san_state *state;

	/* the writer's own: whose is it is decided by `writing` */
	struct network_copy *seen; /* last taken up */
	bool network_again;        /* its durable part could not be kept: once more later */
	bool network_redo;         /* ... and has not been kept since */
	struct control_write *later, **later_tail; /* wait for the target, first in first out */
	uint64_t patience_ns, here_ns;
	bool hurry;     /* we stop: nobody waits any more */
	bool engine_ok; /* has our configuration and answers */
	bool want_replace;
	uint64_t gen, next_id;       /* newest durable ones, those of undone changes included */
	struct san_changes undo;     /* inverses that could not be made durable yet */
	uint64_t retry_at, space_at, devices_at; /* monotonic ns; 0 = not set */
	struct control_write devices_write;      /* looks at them */
	bool looks_at_devices;                   /* it is on its way */
	uint64_t pace_ns; /* how long commits take, the last ones counting most */
};

/* One member of a batch. */
struct job {
	struct control_write *w; /* NULL: the network */
	struct san_changes ch;
	int64_t now_us; /* when its rule ran: what it made and what follows bear one time */
	enum control_outcome outcome;
	bool later;   /* not now: the target may come back */
	bool here;    /* on the thread that brought it: no waiting for a target */
	bool passed;  /* not here, as it turned out */
	bool settled; /* outcome is known whatever becomes of the rest */
	struct err err;
};

/* ---- the published state ---- */

struct san_state *control_state_get(struct control *c)
{
	struct san_state *s;

	pthread_mutex_lock(&c->state_lock);
	s = san_state_ref(c->state);
	pthread_mutex_unlock(&c->state_lock);
	return s;
}

/* Takes over s, unless it is what is published already.  The writer alone changes c->state, so
 * it may read it without the lock. */
static void publish(struct control *c, struct san_state *s, struct san_changes *effects)
{
	struct san_state *was = c->state;

	if (s == was) {
		san_state_unref(s);
		return;
	}
	s->generation = was->generation + 1;
	s->config_generation = c->gen;
	pthread_mutex_lock(&c->state_lock);
	c->state = s;
	pthread_mutex_unlock(&c->state_lock);
	if (c->observer && effects->n)
		c->observer(c->observer_ctx, was, s, effects);
	san_state_unref(was);
}

static struct san_env env_now(void)
{
	struct san_env env = {.now_us = clock_wall_us()};

	/* Never short for so few bytes once the kernel has its seed. */
	while (getrandom(env.random, sizeof(env.random), 0) != (ssize_t)sizeof(env.random))
		;
	return env;
}

/* The state to work on: ids that were ever given out stay given out. */
static struct san_state *working_state(struct control *c)
{
	static const struct san_changes nothing;
	struct san_state *s = san_state_ref(c->state);

	if (s->next_id < c->next_id) {
		s = san_apply(s, &nothing, 0, NULL);
		s->next_id = c->next_id;
	}
	return s;
}

/* ---- what the engine tells ---- */

static char *keep(struct event *x, size_t i, const char *s)
{
	x->text[i] = s ? xstrdup(s) : NULL;
	return x->text[i];
}

static void keep_foreign(struct event *x, const struct engine_event *ev)
{
	size_t n = ev->n_foreign;

	x->foreign = xcalloc(n + 1, sizeof(x->foreign[0]));
	x->foreign_text = xcalloc(3 * n + 1, sizeof(x->foreign_text[0]));
	for (size_t i = 0; i < n; i++) {
		char **t = &x->foreign_text[3 * i];

		x->foreign[i] = ev->foreign[i];
		x->foreign[i].name = t[0] = xstrdup(ev->foreign[i].name);
		x->foreign[i].at = t[1] = xstrdup(ev->foreign[i].at);
		x->foreign[i].uses = t[2] = xstrdup(ev->foreign[i].uses);
	}
	x->ev.foreign = x->foreign;
}

static void event_free(struct event *x)
{
	for (size_t i = 0; x->foreign && i < 3 * x->ev.n_foreign; i++)
		free(x->foreign_text[i]);
	free(x->foreign_text);
	free(x->foreign);
	for (size_t i = 0; i < ARRAY_SIZE(x->text); i++)
		free(x->text[i]);
	free(x->connections);
	free(x);
}

static void on_engine(void *ctx, const struct engine_event *ev)
{
	const struct san_seen_session *ss = &ev->session;
	struct event *x = xcalloc(1, sizeof(*x));
	struct control *c = ctx;

	x->ev = *ev;
	if (ev->kind == ENGINE_SESSION_UP) {
		x->ev.session.iqn = keep(x, 0, ss->iqn);
		x->ev.session.initiator = keep(x, 1, ss->initiator);
		x->ev.session.initiator_alias = keep(x, 2, ss->initiator_alias);
		x->ev.session.isid = keep(x, 3, ss->isid);
		x->ev.session.auth = keep(x, 4, ss->auth);
		x->connections = xcalloc(ss->n_connections + 1, sizeof(x->connections[0]));
		if (ss->n_connections)
			memcpy(x->connections, ss->connections,
			       ss->n_connections * sizeof(x->connections[0]));
		x->ev.session.connections = x->connections;
	} else if (ev->kind == ENGINE_FOREIGN) {
		keep_foreign(x, ev);
	} else {
		x->ev.address = keep(x, 0, ev->address);
		x->ev.naa = keep(x, 1, ev->naa);
		x->ev.iqn = keep(x, 2, ev->iqn);
	}
	x->ev.why = keep(x, 5, ev->why ? ev->why : "");
	pthread_mutex_lock(&c->lock);
	*c->ev_tail = x;
	c->ev_tail = &x->next;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
}

static void see_event(struct control *c, const struct engine_event *ev, const struct san_state *s,
		      struct san_changes *ch)
{
	const char *kind = c->engine->ops->kind;
	struct san_env env = env_now();

	switch (ev->kind) {
	case ENGINE_UP:
		c->engine_ok = false;
		c->want_replace = true;
		c->retry_at = c->undo.n || c->network_again ? clock_mono_ns() : 0;
		break;
	case ENGINE_DOWN:
		c->engine_ok = false;
		c->want_replace = false;
		log_warn(control, "the target does not answer: %s", ev->why);
		san_engine_seen(s, &env, kind, SAN_ENGINE_GONE, ev->why, ch);
		san_sessions_clear(s, ch);
		break;
	case ENGINE_PORTAL:
		san_portal_seen(s, ev->address, ev->tcp_port, ev->listen, ev->why, ch);
		break;
	case ENGINE_SESSION_UP:
		san_session_seen(s, &ev->session, ch);
		break;
	case ENGINE_SESSION_DOWN:
		san_session_gone(s, ev->session.id, ch);
		break;
	case ENGINE_PORT:
		san_port_seen(s, ev->iqn, ev->tpgt, ev->why, ch);
		break;
	case ENGINE_UNIT:
		if (*ev->why)
			log_warn(control, "volume %s: %s", ev->naa, ev->why);
		san_unit_seen(s, ev->naa, ev->why, ch);
		break;
	case ENGINE_REST:
		if (s->engine->health == SAN_ENGINE_UP)
			san_engine_seen(s, &env, kind, SAN_ENGINE_UP, ev->why, ch);
		break;
	case ENGINE_FOREIGN:
		san_foreign_seen(s, ev->foreign, ev->n_foreign, ch);
		break;
	}
}

/* Bring everything the engine has told so far into s. */
static struct san_state *take_events(struct control *c, struct san_state *s,
				     struct san_changes *effects)
{
	struct event *x, *next;

	pthread_mutex_lock(&c->lock);
	x = c->ev_head;
	c->ev_head = NULL;
	c->ev_tail = &c->ev_head;
	pthread_mutex_unlock(&c->lock);
	for (; x; x = next) {
		struct san_changes auto_changes ch = {0};

		next = x->next;
		see_event(c, &x->ev, s, &ch);
		if (ch.n)
			s = san_apply(s, &ch, clock_wall_us(), effects);
		event_free(x);
	}
	return s;
}

/* ---- what the network tells ---- */

static void network_copy_free(struct network_copy *n)
{
	if (!n)
		return;
	free(n->nics);
	free(n->ips);
	free(n->text);
	free(n);
}

static const char *text_add(char **at, const char *s)
{
	size_t n = strlen(s) + 1;
	char *to = memcpy(*at, s, n);

	*at += n;
	return to;
}

void control_network_set(struct control *c, const struct san_seen_network *seen)
{
	struct network_copy *n = xcalloc(1, sizeof(*n)), *was;
	size_t bytes = 1;
	char *at;

	for (size_t i = 0; i < seen->n_nics; i++)
		bytes += strlen(seen->nics[i].name) + 1;
	for (size_t i = 0; i < seen->n_ips; i++)
		bytes += strlen(seen->ips[i].nic) + strlen(seen->ips[i].address) + 2;
	n->nics = xcalloc(seen->n_nics + 1, sizeof(n->nics[0]));
	n->ips = xcalloc(seen->n_ips + 1, sizeof(n->ips[0]));
	n->n_nics = seen->n_nics;
	n->n_ips = seen->n_ips;
	at = n->text = xmalloc(bytes);
	for (size_t i = 0; i < seen->n_nics; i++) {
		n->nics[i] = seen->nics[i];
		n->nics[i].name = text_add(&at, seen->nics[i].name);
	}
	for (size_t i = 0; i < seen->n_ips; i++) {
		n->ips[i] = seen->ips[i];
		n->ips[i].nic = text_add(&at, seen->ips[i].nic);
		n->ips[i].address = text_add(&at, seen->ips[i].address);
	}
	pthread_mutex_lock(&c->lock);
	was = c->network;
	c->network = n;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
	network_copy_free(was);
}

static void on_network(void *ctx, const struct network_list *l)
{
	struct san_seen_network seen = {0};
	auto_free struct san_seen_nic *nics = xcalloc(l->n_nics + 1, sizeof(*nics));
	auto_free struct san_seen_ip *ips = xcalloc(l->n_addresses + 1, sizeof(*ips));

	for (size_t i = 0; i < l->n_nics; i++) {
		const struct network_nic *n = &l->nics[i];

		nics[i] = (struct san_seen_nic){.name = n->name,
						.up = n->up,
						.running = n->running,
						.loopback = n->loopback,
						.speed = n->speed,
						.mtu = n->mtu};
		memcpy(nics[i].mac, n->mac, sizeof(nics[i].mac));
	}
	for (size_t i = 0; i < l->n_addresses; i++) {
		const struct network_address *a = &l->addresses[i];

		ips[i] = (struct san_seen_ip){.address = a->text,
					      .nic = a->nic,
					      .family = a->family,
					      .prefix_len = a->prefix_len,
					      .tentative = a->tentative,
					      .duplicate = a->duplicate};
	}
	seen.nics = nics;
	seen.n_nics = l->n_nics;
	seen.ips = ips;
	seen.n_ips = l->n_addresses;
	control_network_set(ctx, &seen);
}

/* The disk refused the durable part: show what is measured and try the rest again later. */
static void drop_durable(struct san_changes *ch)
{
	size_t kept = 0;

	for (size_t i = 0; i < ch->n; i++) {
		if (san_change_is_durable(&ch->v[i])) {
			san_unref(ch->v[i].old);
			san_unref(ch->v[i].now);
		} else {
			ch->v[kept++] = ch->v[i];
		}
	}
	ch->n = kept;
}

static void see_network(struct control *c, const struct san_state *s, struct san_changes *ch)
{
	struct san_env env = env_now();
	struct san_seen_network seen = {.nics = c->seen->nics,
					.n_nics = c->seen->n_nics,
					.ips = c->seen->ips,
					.n_ips = c->seen->n_ips,
					.has_wanted = c->n_wanted > 0,
					.wanted = c->wanted,
					.n_wanted = c->n_wanted,
					.again = c->network_redo};

	san_network_seen(s, &env, &seen, ch);
	if (c->network_again)
		drop_durable(ch);
}

/* ---- one batch ---- */

static bool engine_wants(const struct san_changes *ch)
{
	for (size_t i = 0; i < ch->n; i++) {
		if (engine_cares(&ch->v[i]))
			return true;
	}
	return false;
}

static void settle(struct control *c, struct job *j, enum control_outcome o)
{
	if (o != CONTROL_OK && o != CONTROL_REFUSED)
		pool_undo(c->pool, &j->ch);
	if (o != CONTROL_OK)
		san_changes_done(&j->ch);
	j->outcome = o;
	/* A refusal may rest on a member that fails later: it is looked at again with the rest. */
	j->settled = o != CONTROL_OK && o != CONTROL_REFUSED;
}

/* A target that has died is back in a moment; its absence is no reason to refuse at once. */
static bool may_wait(const struct control *c, struct control_write *w)
{
	uint64_t now = clock_mono_ns();

	if (!w->wait_until)
		w->wait_until = now + c->patience_ns;
	return now < w->wait_until && !c->hurry;
}

/* Run one member's rule on s; what it changes is in j->ch, its files prepared. */
static void run_rule(struct control *c, struct job *j, const struct san_state *s)
{
	struct san_env env = env_now();

	san_changes_done(&j->ch);
	j->now_us = env.now_us;
	j->outcome = CONTROL_OK;
	if (!j->w) {
		see_network(c, s, &j->ch);
		return;
	}
	j->w->code = j->w->run(j->w, s, &env, &j->ch, &j->err);
	if (j->w->code) {
		settle(c, j, CONTROL_REFUSED);
		return;
	}
	if (j->here && engine_wants(&j->ch) && !c->engine->ops->at_once) {
		san_changes_done(&j->ch); /* no file has been prepared yet */
		j->passed = j->settled = true;
		return;
	}
	if (!c->engine_ok && engine_wants(&j->ch)) {
		san_changes_done(&j->ch); /* no file has been prepared yet */
		j->later = may_wait(c, j->w);
		if (j->later) {
			j->settled = true;
			return;
		}
		(void)err_set(&j->err, -ENOTCONN,
			      "the target is not ready: %s; nothing was changed",
			      s->engine->why->len ? s->engine->why->s : "it is starting");
		settle(c, j, CONTROL_FAILED);
		return;
	}
	if (pool_prepare(c->pool, &j->ch, &j->err) < 0) {
		san_changes_done(&j->ch);
		settle(c, j, CONTROL_FAILED);
	}
}

/* Keep the changes of jobs, and what could not be undone before; all or nothing. */
static int commit(struct control *c, const struct job *jobs, size_t n, uint64_t next_id,
		  struct err *e)
{
	auto_free const struct san_changes **lists = xcalloc(n + 1, sizeof(const void *));
	size_t n_lists = 0;
	uint64_t begun;
	int r;

	for (size_t i = 0; i < n; i++) {
		if (san_changes_are_durable(&jobs[i].ch))
			lists[1 + n_lists++] = &jobs[i].ch;
	}
	if (n_lists == 0 && (n || c->undo.n == 0))
		return 0;
	lists[0] = &c->undo;
	begun = clock_mono_ns();
	r = store_commit(c->store, lists, 1 + n_lists, c->gen + 1, next_id, e);
	c->pace_ns = (3 * c->pace_ns + clock_mono_ns() - begun) / 4;
	if (r < 0)
		return r;
	san_changes_done(&c->undo);
	c->gen++;
	c->next_id = next_id;
	return 0;
}

/* The store refused: nobody's durable changes count, what is measured does. */
static void commit_failed(struct control *c, struct job *jobs, size_t n, const struct err *e)
{
	log_error(control, "nothing can be kept: %s", e->text);
	for (size_t i = 0; i < n; i++) {
		if (!san_changes_are_durable(&jobs[i].ch))
			continue;
		if (jobs[i].w) {
			jobs[i].err = *e;
			settle(c, &jobs[i], CONTROL_FAILED);
		} else {
			c->network_again = c->network_redo = true;
			c->retry_at = clock_mono_ns() + RETRY_MS * 1000000ULL;
		}
	}
}

/* The target did not answer: nothing more is asked of it until it says that it is up. */
static struct san_state *engine_is_late(struct control *c, struct san_state *s, const char *why,
					struct san_changes *effects)
{
	struct san_changes auto_changes ch = {0};
	struct san_env env = env_now();

	c->engine_ok = false;
	san_engine_seen(s, &env, c->engine->ops->kind, SAN_ENGINE_DEGRADED, why, &ch);
	return ch.n ? san_apply(s, &ch, env.now_us, effects) : s;
}

/* Have the engine take the lists; out[i] for every job, ENGINE_OK where it has no part. */
static void engage(struct control *c, const struct job *jobs, size_t n, struct engine_outcome *out)
{
	auto_free const struct san_changes **lists = xcalloc(n + 1, sizeof(const void *));
	auto_free struct engine_outcome *got = xcalloc(n + 1, sizeof(*got));
	size_t n_lists = 0, k = 0;

	for (size_t i = 0; i < n; i++) {
		if (engine_wants(&jobs[i].ch))
			lists[n_lists++] = &jobs[i].ch;
	}
	if (n_lists && c->engine_ok)
		c->engine->ops->apply(c->engine, lists, n_lists, c->gen, got);
	for (size_t i = 0; i < n; i++) {
		out[i] = (struct engine_outcome){0};
		if (engine_wants(&jobs[i].ch) && c->engine_ok)
			out[i] = got[k++];
	}
}

/* Take back in the engine what it has done of jobs; it gets everything anew if that fails. */
static void disengage(struct control *c, const struct job *jobs, const struct engine_outcome *out,
		      size_t n)
{
	struct san_changes auto_changes back = {0};
	const struct san_changes *list = &back;
	struct engine_outcome got = {0};

	for (size_t i = n; i-- > 0;) {
		if (out[i].result == ENGINE_OK)
			san_changes_invert(&jobs[i].ch, &back);
	}
	if (!engine_wants(&back))
		return;
	c->engine->ops->apply(c->engine, &list, 1, c->gen, &got);
	if (got.result != ENGINE_OK)
		c->want_replace = true;
}

/* Make the inverses of jobs durable, or remember them. */
static void take_back(struct control *c, const struct job *jobs, size_t n)
{
	struct err e;

	for (size_t i = n; i-- > 0;)
		san_changes_invert(&jobs[i].ch, &c->undo);
	if (commit(c, NULL, 0, c->next_id, &e) < 0) {
		log_error(control, "a refused change can't be taken back yet: %s", e.text);
		c->retry_at = clock_mono_ns() + RETRY_MS * 1000000ULL;
	}
}

static enum control_outcome outcome_of(enum engine_result r)
{
	switch (r) {
	case ENGINE_OK:
		return CONTROL_OK;
	case ENGINE_BUSY:
		return CONTROL_BUSY;
	case ENGINE_TIMEOUT:
		return CONTROL_TIMEOUT;
	case ENGINE_REFUSED:
	case ENGINE_ABSENT:
		break;
	}
	return CONTROL_FAILED;
}

/* The first member that the engine did not take; n when it took all. */
static size_t first_refused(struct control *c, const struct job *jobs,
			    const struct engine_outcome *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (out[i].result == ENGINE_OK)
			continue;
		if (jobs[i].w)
			return i;
		/* What the network did can't be undone: the target gets everything anew. */
		if (out[i].result != ENGINE_ABSENT)
			c->want_replace = true;
	}
	return n;
}

static void answer(struct control *c, struct job *j)
{
	struct control_write *w = j->w;

	if (j->later) {
		w->next = NULL;
		*c->later_tail = w;
		c->later_tail = &w->next;
		return;
	}
	if (j->passed) { /* it was here before whatever waits now */
		pthread_mutex_lock(&c->lock);
		w->next = c->head;
		c->head = w;
		if (!w->next)
			c->tail = &w->next;
		pthread_mutex_unlock(&c->lock);
		return;
	}
	if (j->outcome == CONTROL_OK)
		pool_finish(c->pool, &j->ch);
	san_changes_done(&j->ch);
	if (w)
		w->done(w, j->outcome, c->state, j->outcome == CONTROL_OK ? NULL : &j->err);
}

/* Rules, commit, engine, publish for jobs[0..n-1].  Returns how many are done and answered: less
 * than n when the engine refused one; those after it are to be tried again. */
static size_t run_jobs(struct control *c, struct job *jobs, size_t n)
{
	auto_free struct engine_outcome *out = xcalloc(n, sizeof(*out));
	struct san_changes auto_changes effects = {0};
	struct san_state *s = working_state(c);
	struct err e;
	size_t bad;

	for (size_t i = 0; i < n; i++) {
		if (jobs[i].settled)
			continue;
		run_rule(c, &jobs[i], s);
		if (jobs[i].ch.n)
			s = san_apply(s, &jobs[i].ch, jobs[i].now_us, &effects);
	}
	if (commit(c, jobs, n, s->next_id, &e) < 0) {
		san_state_unref(s);
		commit_failed(c, jobs, n, &e);
		/* Again, with what is settled left out; it has nothing durable any more. */
		for (size_t i = 0; i < n; i++) {
			if (!jobs[i].settled)
				pool_undo(c->pool, &jobs[i].ch);
		}
		return run_jobs(c, jobs, n);
	}
	if (!jobs[0].w && !c->network_again)
		c->network_redo = false;
	engage(c, jobs, n, out);
	bad = first_refused(c, jobs, out, n);
	if (bad < n) {
		struct job *j = &jobs[bad];

		c->engine_ok = c->engine_ok && out[bad].result != ENGINE_ABSENT;
		disengage(c, j + 1, out + bad + 1, n - bad - 1);
		take_back(c, j, n - bad);
		for (size_t i = bad + 1; i < n; i++)
			pool_undo(c->pool, &jobs[i].ch);
		j->err = out[bad].err;
		settle(c, j, outcome_of(out[bad].result));
		/* What stands before it, once more from what is published. */
		san_changes_done(&effects);
		san_state_unref(s);
		s = working_state(c);
		for (size_t i = 0; i < bad; i++) {
			if (jobs[i].ch.n)
				s = san_apply(s, &jobs[i].ch, jobs[i].now_us, &effects);
		}
		if (out[bad].result == ENGINE_TIMEOUT)
			s = engine_is_late(c, s, j->err.text, &effects);
		n = bad + 1;
	}
	s = take_events(c, s, &effects);
	publish(c, s, &effects);
	for (size_t i = 0; i < n; i++)
		answer(c, &jobs[i]);
	return n;
}

static void run_batch(struct control *c, struct job *jobs, size_t n)
{
	for (size_t done = 0; done < n;)
		done += run_jobs(c, jobs + done, n - done);
}

/* ---- the target as a whole ---- */

static void show_engine(struct control *c, enum san_engine_health health, const char *why,
			bool forget_sessions)
{
	struct san_changes auto_changes effects = {0};
	struct san_changes auto_changes ch = {0};
	struct san_state *s = working_state(c);
	struct san_env env = env_now();

	if (forget_sessions)
		san_sessions_clear(s, &ch);
	san_engine_seen(s, &env, c->engine->ops->kind, health, why, &ch);
	if (ch.n)
		s = san_apply(s, &ch, env.now_us, &effects);
	s = take_events(c, s, &effects);
	publish(c, s, &effects);
}

/* Make the target what the model says, whatever it is now. */
static void replace(struct control *c)
{
	struct engine_outcome out = {0};

	c->want_replace = false;
	c->engine->ops->replace(c->engine, c->state, &out);
	switch (out.result) {
	case ENGINE_OK:
		c->engine_ok = true;
		/* It has told of every portal and session meanwhile; what else we knew is past. */
		show_engine(c, SAN_ENGINE_UP, "", true);
		break;
	case ENGINE_REFUSED:
	case ENGINE_BUSY:
		log_error(control, "the target does not take its configuration: %s", out.err.text);
		c->engine_ok = false;
		c->want_replace = true;
		c->retry_at = clock_mono_ns() + RETRY_MS * 1000000ULL;
		show_engine(c, SAN_ENGINE_DEGRADED, out.err.text, false);
		break;
	case ENGINE_TIMEOUT:
		c->engine_ok = false;
		show_engine(c, SAN_ENGINE_DEGRADED, out.err.text, false);
		break;
	case ENGINE_ABSENT: /* it will say when it is there */
		c->engine_ok = false;
		break;
	}
}

static void look_at_space(struct control *c)
{
	struct san_changes auto_changes effects = {0};
	struct san_changes auto_changes ch = {0};
	struct san_state *s = working_state(c);
	uint64_t total, room;
	struct err e;

	if (pool_space(c->pool, s, &total, &room, &e) < 0)
		log_warn(control, "%s", e.text);
	else
		san_space_seen(s, total, room, &ch);
	if (ch.n)
		s = san_apply(s, &ch, clock_wall_us(), &effects);
	publish(c, s, &effects);
	c->space_at = clock_mono_ns() + SPACE_MS * 1000000ULL;
}

/* ---- block devices ---- */

static bool is_offered(const struct control *c, const char *path)
{
	for (size_t i = 0; i < c->n_devices; i++) {
		if (streq(c->devices[i], path))
			return true;
	}
	return false;
}

struct look {
	struct device_facts is;
	struct err why;
};

static void look_at(const char *path, bool offered, struct look *l, struct san_seen_device *ret)
{
	l->why = (struct err){0};
	if (device_look(path, &l->is, &l->why) < 0)
		l->is = (struct device_facts){0};
	*ret = (struct san_seen_device){.path = path,
					.identity = l->is.identity,
					.why = l->why.text,
					.size = l->is.size,
					.offered = offered};
}

/* What the configuration offers, and what volumes are on although it no longer does. */
static uint32_t see_devices(struct control_write *w, const struct san_state *s,
			    const struct san_env *env UNUSED, struct san_changes *ch,
			    struct err *e UNUSED)
{
	const struct control *c = container_of(w, struct control, devices_write);
	size_t n = c->n_devices, max = n + san_count(s, SAN_POOLS);
	auto_free struct san_seen_device *seen = xcalloc(max, sizeof(*seen));
	auto_free struct look *looks = xcalloc(max, sizeof(*looks));
	struct san_walk walk;

	for (size_t i = 0; i < n; i++)
		look_at(c->devices[i], true, &looks[i], &seen[i]);
	for (const struct san_pool *p = san_first(&walk, s, SAN_POOLS); p; p = san_next(&walk)) {
		if (!*p->device->s || is_offered(c, p->device->s))
			continue;
		look_at(p->device->s, false, &looks[n], &seen[n]);
		n++;
	}
	san_devices_seen(s, seen, n, ch);
	return SAN_DONE;
}

/* Can a volume that the target could not open be opened now? */
static bool can_be_opened(const struct san_state *s)
{
	struct san_walk w;

	for (const struct san_unit *u = san_first(&w, s, SAN_UNITS); u; u = san_next(&w)) {
		const struct san_pool *p = *u->device->s && u->why->len ? san_pool(s, u->pool) : NULL;

		if (p && !p->why->len &&
		    device_check(u->device->s, u->identity->s, u->size, NULL) == 0 &&
		    device_claimable(u->device->s, NULL) == 0)
			return true;
	}
	return false;
}

static void devices_seen(struct control_write *w, enum control_outcome o,
			 const struct san_state *s, const struct err *e)
{
	struct control *c = container_of(w, struct control, devices_write);

	if (o != CONTROL_OK)
		log_warn(control, "block devices: %s", e->text);
	c->looks_at_devices = false;
	c->devices_at = clock_mono_ns() + DEVICES_MS * 1000000ULL;
	if (c->engine_ok && can_be_opened(s))
		c->want_replace = true;
}

static bool has_devices(const struct control *c)
{
	struct san_walk w;
	const struct san_pool *p = san_first(&w, c->state, SAN_POOLS);

	while (p && p->kind != SAN_POOL_DEVICES)
		p = san_next(&w);
	return p || c->n_devices;
}

static void look_at_devices(struct control *c)
{
	c->devices_at = UINT64_MAX;
	if (!has_devices(c))
		return;
	c->looks_at_devices = true;
	c->devices_write = (struct control_write){.run = see_devices, .done = devices_seen};
	control_submit(c, &c->devices_write);
}

/* ---- the thread ---- */

/* When there is something to do although nothing has come.  For the writer, or while there is
 * none. */
static uint64_t due(const struct control *c)
{
	uint64_t until = c->space_at < c->devices_at ? c->space_at : c->devices_at;

	if (c->want_replace && !c->retry_at && c->seen)
		return 0;
	if ((c->retry_at || c->network_again) && c->retry_at < until)
		until = c->retry_at;
	if (c->later && (c->engine_ok || c->later->wait_until < until))
		until = c->engine_ok ? 0 : c->later->wait_until;
	return until;
}

/* Has something come?  Under the lock. */
static bool has_work(const struct control *c)
{
	return c->head || c->ev_head || c->network;
}

/* Wait for work and become the writer.  Takes up to BATCH_MAX writes; false when everything is
 * done and we stop: then there is no writer any more. */
static bool next_work(struct control *c, struct job *jobs, size_t *ret_n)
{
	struct network_copy *was = NULL;
	bool stop;
	size_t n = 0;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		uint64_t until;
		struct timespec t;

		if (c->writing) { /* he'll tell when he is done */
			pthread_cond_wait(&c->work, &c->lock);
			continue;
		}
		until = due(c);
		if (has_work(c) || c->stopping || clock_mono_ns() >= until)
			break;
		t = (struct timespec){.tv_sec = (time_t)(until / 1000000000U),
				      .tv_nsec = (long)(until % 1000000000U)};
		(void)pthread_cond_timedwait(&c->work, &c->lock, &t);
	}
	if (c->network) {
		was = c->seen;
		c->seen = c->network;
		c->network = NULL;
		jobs[n++] = (struct job){0};
	} else if (c->network_again && c->seen && clock_mono_ns() >= c->retry_at) {
		jobs[n++] = (struct job){0};
	}
	if (n)
		c->network_again = false;
	c->hurry = c->stopping;
	/* Those that have waited come first, as soon as it makes sense to try. */
	if (c->later && (c->engine_ok || c->hurry || clock_mono_ns() >= c->later->wait_until)) {
		for (; c->later && n < BATCH_MAX; n++) {
			jobs[n] = (struct job){.w = c->later};
			c->later = c->later->next;
		}
		if (!c->later)
			c->later_tail = &c->later;
	}
	for (; c->head && n < BATCH_MAX; n++) {
		jobs[n] = (struct job){.w = c->head};
		c->head = c->head->next;
	}
	if (!c->head)
		c->tail = &c->head;
	stop = c->stopping && !c->head && n == 0;
	c->writing = !stop;
	pthread_mutex_unlock(&c->lock);
	network_copy_free(was);
	*ret_n = n;
	return !stop;
}

static void writer_done(struct control *c)
{
	pthread_mutex_lock(&c->lock);
	c->writing = false;
	pthread_mutex_unlock(&c->lock);
}

static void tell_ready(struct control *c)
{
	if (!c->engine_ok || !c->seen || c->looks_at_devices)
		return;
	pthread_mutex_lock(&c->lock);
	if (!c->ready) {
		c->ready = true;
		pthread_cond_broadcast(&c->became_ready);
	}
	pthread_mutex_unlock(&c->lock);
}

static void retry(struct control *c)
{
	struct err e;

	if (!c->retry_at || clock_mono_ns() < c->retry_at)
		return;
	c->retry_at = 0;
	if (c->undo.n && commit(c, NULL, 0, c->next_id, &e) < 0)
		c->retry_at = clock_mono_ns() + RETRY_MS * 1000000ULL;
}

static bool wants_refresh(const struct job *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (jobs[i].w && jobs[i].w->refresh)
			return true;
	}
	return false;
}

/* What the writer does with what there is. */
static void work(struct control *c, struct job *jobs, size_t n)
{
	struct san_changes auto_changes effects = {0};
	size_t network = n && !jobs[0].w;

	/* What has happened already comes first, so that rules know of it. */
	if (wants_refresh(jobs, n) && c->engine_ok && c->engine->ops->refresh)
		c->engine->ops->refresh(c->engine);
	publish(c, take_events(c, working_state(c), &effects), &effects);
	run_batch(c, jobs, network);
	retry(c);
	if (c->want_replace && !c->retry_at && c->seen)
		replace(c);
	tell_ready(c);
	run_batch(c, jobs + network, n - network);
	if (c->want_replace && !c->retry_at && c->seen)
		replace(c);
	if (clock_mono_ns() >= c->space_at)
		look_at_space(c);
	if (clock_mono_ns() >= c->devices_at)
		look_at_devices(c);
	tell_ready(c);
}

static void *writer(void *arg)
{
	struct control *c = arg;
	struct job *jobs = xcalloc(BATCH_MAX, sizeof(*jobs));
	size_t n;

	while (next_work(c, jobs, &n)) {
		work(c, jobs, n);
		writer_done(c);
	}
	free(jobs);
	return NULL;
}

/* Become the writer for this one write, when nobody is and nothing waits: what is left for it to
 * wait for is the disk, and that not for long.  c->lock is held, and let go of when it comes to
 * that. */
static bool write_here(struct control *c, struct control_write *w)
{
	struct job job = {.w = w, .here = true};
	struct san_changes auto_changes effects = {0};

	if (!c->ready || c->writing || has_work(c) || w->refresh ||
	    c->pace_ns > c->here_ns || clock_mono_ns() >= due(c))
		return false;
	c->writing = true;
	pthread_mutex_unlock(&c->lock);
	publish(c, take_events(c, working_state(c), &effects), &effects);
	run_batch(c, &job, 1);
	pthread_mutex_lock(&c->lock);
	c->writing = false;
	/* The writer's thread reckons anew how long it may sleep, if it may sleep at all. */
	if (has_work(c) || c->stopping || c->want_replace || c->retry_at || c->later)
		pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
	return true;
}

/* ---- from outside ---- */

/* The naming authority in normal form: names made from it must be what lookups find. */
static int check_authority(struct san_settings *set, struct err *e)
{
	char norm[SAN_IQN_MAX + 1];
	int r = san_iqn_check(set->authority->s, norm, e);

	if (r == 0 && (strncmp(norm, "iqn.", 4) != 0 || strlen(norm) > SAN_AUTHORITY_MAX))
		r = err_set(e, -EINVAL, "it must begin with iqn. and have at most %d bytes",
			    SAN_AUTHORITY_MAX);
	if (r < 0)
		return err_in(e, "naming authority '%.100s'", set->authority->s);
	if (!streq(norm, set->authority->s)) {
		san_str_unref(set->authority);
		set->authority = san_str_new(norm);
	}
	return 0;
}

static int load(struct control *c, const struct control_config *cfg, struct err *e)
{
	bool loopback = false;
	struct san_settings *set = cfg->settings;
	const struct san_portal *p;
	char host[256] = "";
	uint8_t random[16];
	struct san_walk w;
	int r;

	for (size_t i = 0; i < cfg->n_portals; i++)
		loopback = loopback || san_address_is_loopback(c->options[i].address);
	set->loopback = loopback;
	(void)gethostname(host, sizeof(host) - 1);
	while (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		;
	r = store_load(c->store, set, host, random, &c->state, e);
	if (r < 0)
		return r;
	/* A portal that stays although the option no longer names it still serves. */
	for (p = san_first(&w, c->state, SAN_PORTALS); p && !loopback; p = san_next(&w)) {
		struct san_walk bw;

		loopback = san_address_is_loopback(p->address->s) &&
			   (p->origin == SAN_PORTAL_HAND ||
			    san_first_of(&bw, c->state, SAN_BINDINGS_OF_PORTAL, p->obj.id));
	}
	set->loopback = loopback; /* nobody else sees the state yet */
	c->gen = c->state->config_generation;
	c->next_id = c->state->next_id;
	return 0;
}

static void control_done(struct control *c)
{
	network_watch_free(c->watch);
	pool_close(c->pool);
	san_state_unref(c->state);
	network_copy_free(c->seen);
	network_copy_free(c->network);
	san_changes_done(&c->undo);
	while (c->ev_head) {
		struct event *x = c->ev_head;

		c->ev_head = x->next;
		event_free(x);
	}
	for (size_t i = 0; i < c->n_devices; i++)
		free(c->devices[i]);
	free(c->devices);
	free(c->wanted);
	free(c->options);
	pthread_cond_destroy(&c->work);
	pthread_cond_destroy(&c->became_ready);
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->state_lock);
	free(c);
}

int control_new(const struct control_config *cfg, struct store *store, struct engine *engine,
		struct control **ret, struct err *e)
{
	struct control *c = xcalloc(1, sizeof(*c));
	pthread_condattr_t mono;
	int r;

	c->store = store;
	c->engine = engine;
	c->observer = cfg->observer;
	c->observer_ctx = cfg->observer_ctx;
	c->tail = &c->head;
	c->ev_tail = &c->ev_head;
	c->later_tail = &c->later;
	c->patience_ns = (cfg->patience_ms ? cfg->patience_ms : PATIENCE_MS) * 1000000ULL;
	c->here_ns = (cfg->here_us ? cfg->here_us : HERE_US) * 1000ULL;
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->state_lock, NULL);
	pthread_condattr_init(&mono);
	pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	pthread_cond_init(&c->work, &mono);
	pthread_cond_init(&c->became_ready, &mono);
	pthread_condattr_destroy(&mono);
	c->n_wanted = cfg->n_portals;
	c->options = xcalloc(c->n_wanted + 1, sizeof(c->options[0]));
	c->wanted = xcalloc(c->n_wanted + 1, sizeof(c->wanted[0]));
	c->devices = xcalloc(cfg->n_devices + 1, sizeof(c->devices[0]));
	for (; c->n_devices < cfg->n_devices; c->n_devices++)
		c->devices[c->n_devices] = xstrdup(cfg->devices[c->n_devices]);
	r = check_authority(cfg->settings, e);
	for (size_t i = 0; r == 0 && i < c->n_wanted; i++) {
		uint8_t family;

		c->options[i] = cfg->portals[i];
		if (!san_address_parse(cfg->portals[i].address, c->options[i].address, &family)) {
			r = err_set(e, -EINVAL, "--portal: '%s' is no IP address",
				    cfg->portals[i].address);
		}
		c->wanted[i] = (struct san_wanted_portal){c->options[i].address,
							  c->options[i].tcp_port};
	}
	if (r == 0)
		r = load(c, cfg, e);
	else
		san_unref(cfg->settings);
	if (r == 0)
		r = pool_open(cfg->state_dir, &c->pool, e);
	if (r == 0) {
		pool_recover(c->pool, c->state);
		look_at_space(c);
		look_at_devices(c);
	}
	if (r == 0 && cfg->watch_network)
		r = network_watch_new(on_network, c, &c->watch, e);
	if (r == 0)
		r = engine->ops->start(engine, on_engine, c, e);
	if (r == 0 && pthread_create(&c->thread, NULL, writer, c) != 0) {
		engine->ops->stop(engine, true);
		r = err_set(e, -EAGAIN, "no more threads");
	}
	if (r < 0) {
		control_done(c);
		return r;
	}
	*ret = c;
	return 0;
}

int control_wait_ready(struct control *c, unsigned timeout_ms, struct err *e)
{
	uint64_t until = clock_mono_ns() + timeout_ms * 1000000ULL;
	struct timespec t = {.tv_sec = (time_t)(until / 1000000000U),
			     .tv_nsec = (long)(until % 1000000000U)};
	AUTO(san_state) s = NULL;
	bool ready;

	pthread_mutex_lock(&c->lock);
	while (!c->ready && pthread_cond_timedwait(&c->became_ready, &c->lock, &t) == 0)
		;
	ready = c->ready;
	pthread_mutex_unlock(&c->lock);
	if (ready)
		return 0;
	s = control_state_get(c);
	return err_set(e, -ETIMEDOUT, "the target is not ready: %s",
		       s->engine->why->len ? s->engine->why->s : "it has not answered yet");
}

void control_free(struct control *c, bool keep_target)
{
	if (!c)
		return;
	network_watch_free(take(c->watch));
	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
	(void)pthread_join(c->thread, NULL);
	c->engine->ops->stop(c->engine, keep_target);
	control_done(c);
}

void control_submit(struct control *c, struct control_write *w)
{
	struct err e;

	w->next = NULL;
	w->wait_until = 0;
	pthread_mutex_lock(&c->lock);
	if (!c->stopping && w->here && write_here(c, w))
		return;
	if (!c->stopping) {
		*c->tail = w;
		c->tail = &w->next;
		pthread_cond_signal(&c->work);
		w = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	if (w) {
		AUTO(san_state) s = control_state_get(c);

		(void)err_set(&e, -ESHUTDOWN, "the server is stopping");
		w->done(w, CONTROL_FAILED, s, &e);
	}
}

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool is_done;
	enum control_outcome outcome;
	struct err *e;
};

static void wait_done(struct control_write *w, enum control_outcome o,
		      const struct san_state *s UNUSED, const struct err *e)
{
	struct waiter *x = w->waiter;

	pthread_mutex_lock(&x->lock);
	x->outcome = o;
	if (e && x->e)
		*x->e = *e;
	x->is_done = true;
	pthread_cond_signal(&x->done);
	pthread_mutex_unlock(&x->lock);
}

enum control_outcome control_write_wait(struct control *c, struct control_write *w, struct err *e)
{
	struct waiter x = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, CONTROL_OK,
			   e};

	w->waiter = &x;
	w->done = wait_done;
	control_submit(c, w);
	pthread_mutex_lock(&x.lock);
	while (!x.is_done)
		pthread_cond_wait(&x.done, &x.lock);
	pthread_mutex_unlock(&x.lock);
	pthread_cond_destroy(&x.done);
	pthread_mutex_destroy(&x.lock);
	return x.outcome;
}

int control_stats(struct control *c, struct engine_stats *ret, struct err *e)
{
	return c->engine->ops->stats(c->engine, ret, e);
}
