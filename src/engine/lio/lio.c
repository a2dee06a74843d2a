/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/lio/drain.h"
#include "engine/lio/foreign.h"
#include "engine/lio/lio.h"
#include "engine/lio/look.h"
#include "engine/lio/tree.h"

enum {
	APPLY_MS = 10000,
	LIST_MS = 100, /* more for each list of a batch */
	REPLACE_MS = 60000,
	OBJECT_MS = 20, /* more for each object of the configuration */
	STATS_MS = 5000,
	STOP_MS = 30000,
	POLL_MS = 1000,
	POLL_SHARE = 10,    /* looking takes at most this part (1/n) of the time ... */
	POLL_MAX_MS = 5000, /* ... but is not put off longer */
	RETRY_MS = 5000,    /* what failed is tried again */
	CHECK_MS = 60000,   /* everything is compared, should no event have told */
	CHECK_SHARE = 100,  /* comparing takes at most this part (1/n) of the time */
	SETTLE_MS = 200,    /* another tool's changes come in a row */
	FILE_NAME_MAX = 250 /* the kernel's room for a backing file's name */
};
#define NS 1000000ULL

enum job_kind { JOB_APPLY, JOB_REPLACE, JOB_LOOK, JOB_STATS, JOB_CLEAR };

/* What the worker is asked for.  Freed by whichever of the two lets go last: the one that
 * waits may have given up. */
struct job {
	struct job *next;
	enum job_kind kind;
	struct san_changes *lists; /* copies */
	size_t n_lists;
	struct san_state *state;
	struct engine_outcome *out;
	struct engine_stats stats;
	bool done, abandoned;
};

/* A unit or a port that fails, as it was told. */
struct bad {
	struct bad *next;
	enum scope_kind kind;
	uint16_t tpgt;
	char name[SAN_IQN_MAX + 1];
	char why[sizeof(((struct err *)0)->text)];
};

struct lio_engine {
	struct engine engine;
	char *state_dir;
	unsigned apply_ms, poll_ms, retry_ms;
	engine_notify *notify;
	void *ctx;
	pthread_t thread;
	bool running;
	int wake; /* eventfd */

	pthread_mutex_t lock; /* over what stands until the next blank line */
	pthread_cond_t ended; /* a job, or the thread */
	struct job *head, **tail;
	unsigned n_late; /* jobs that nobody waits for any more */
	bool stopping, over;

	/* the worker's own: */
	struct tree tree;
	struct look *look;
	struct drain *drain;
	struct foreign *foreign;
	struct san_state *want; /* what the kernel is to be; NULL: not told yet */
	char complaint[sizeof(((struct err *)0)->text)]; /* said once, not at every try */
	struct bad *bad;                                 /* told of as failing */
	bool made;   /* the kernel has been made like want once */
	bool failed; /* something is not as wanted: again at retry_at */
	char rest[sizeof(((struct err *)0)->text)];      /* what was told to stay and should not */
	uint64_t retry_at, check_at, poll_at, settle_at; /* monotonic ns; 0: not set */
};

static struct lio_engine *lio_of(struct engine *en)
{
	return container_of(en, struct lio_engine, engine);
}

static uint64_t in_ms(uint64_t ms)
{
	return clock_mono_ns() + ms * NS;
}

/* Something is not as it should be: all is compared again, soon. */
static void try_again(struct lio_engine *l)
{
	l->failed = true;
	if (!l->retry_at)
		l->retry_at = in_ms(l->retry_ms);
}

/* ---- what the worker tells ---- */

/* What could not be taken away may be of an object that the model does not have. */
static void tell_rest(struct lio_engine *l, const char *why)
{
	if (streq(l->rest, why))
		return;
	(void)snprintf(l->rest, sizeof(l->rest), "%s", why);
	l->notify(l->ctx, &(struct engine_event){.kind = ENGINE_REST, .why = l->rest});
}

static void tell_portal(struct lio_engine *l, const struct san_portal *p)
{
	struct err why;
	enum san_listen is = tree_listen(&l->tree, p, &why);

	if (is != SAN_LISTENING && is != SAN_LISTEN_OFF) {
		try_again(l);
	}
	l->notify(l->ctx, &(struct engine_event){.kind = ENGINE_PORTAL,
						 .address = p->address->s,
						 .tcp_port = p->tcp_port,
						 .listen = is,
						 .why = why.text});
}

static void tell_portals(struct lio_engine *l, const struct san_state *s, const struct scopes *v)
{
	for (size_t i = 0; i < v->n; i++) {
		const struct san_portal *p = v->v[i].kind == SCOPE_PORTAL
						     ? san_portal_by_text(s, v->v[i].name->s)
						     : NULL;

		if (p)
			tell_portal(l, p);
	}
}

static void on_left(void *ctx, const char *iqn, uint16_t tpgt, const char *portal)
{
	struct lio_engine *l = ctx;
	uint32_t seconds = l->want ? l->want->settings->logout_time : 0;

	drain_add(l->drain, iqn, tpgt, portal, in_ms(seconds * 1000ULL));
}

/* Is it something to tell: failing, for another reason than before, or well again? */
static bool fares_otherwise(struct lio_engine *l, enum scope_kind kind, const char *name,
			    uint16_t tpgt, const char *why)
{
	struct bad **at = &l->bad, *b;

	while (*at && ((*at)->kind != kind || (*at)->tpgt != tpgt || !streq((*at)->name, name)))
		at = &(*at)->next;
	b = *at;
	if (b ? streq(b->why, why) : !*why)
		return false;
	if (!*why) {
		*at = b->next;
		free(b);
		return true;
	}
	if (!b) {
		b = *at = xcalloc(1, sizeof(*b));
		b->kind = kind;
		b->tpgt = tpgt;
		(void)snprintf(b->name, sizeof(b->name), "%s", name);
	}
	(void)snprintf(b->why, sizeof(b->why), "%s", why);
	return true;
}

static void forget_bad(struct lio_engine *l, enum scope_kind kind)
{
	for (struct bad **at = &l->bad; *at;) {
		struct bad *b = *at;

		if (b->kind != kind) {
			at = &b->next;
			continue;
		}
		*at = b->next;
		free(b);
	}
}

static void on_unit(void *ctx, const char *naa, const char *why)
{
	struct lio_engine *l = ctx;

	if (fares_otherwise(l, SCOPE_UNIT, naa, 0, why))
		l->notify(l->ctx,
			  &(struct engine_event){.kind = ENGINE_UNIT, .naa = naa, .why = why});
}

static void on_port(void *ctx, const char *iqn, uint16_t tpgt, const char *why)
{
	struct lio_engine *l = ctx;

	if (fares_otherwise(l, SCOPE_PORT, iqn, tpgt, why))
		l->notify(l->ctx,
			  &(struct engine_event){
				  .kind = ENGINE_PORT, .iqn = iqn, .tpgt = tpgt, .why = why});
}

/* ---- one list of changes ---- */

/* A list may rest on another one that was refused. */
static int check_list(const struct san_state *s, const struct san_changes *ch, struct err *e)
{
	const struct san_changes *c = ch;

	for (size_t i = 0; i < c->n; i++) {
		const void *o = c->v[i].now;

		if (!engine_cares(&c->v[i]) || !o)
			continue;
		if (c->v[i].kind == SAN_PORT) {
			const struct san_port *p = o;
			bool there = san_node(s, p->node) != NULL;

			for (size_t k = 0; k < i && !there; k++)
				there = c->v[k].now && c->v[k].now->id == p->node;
			if (!there)
				return err_set(e, -ENOENT, "the node of port %s is not there",
					       p->name->s);
		} else if (c->v[i].kind == SAN_BINDING) {
			const struct san_binding *b = o;
			bool port = san_port(s, b->port) != NULL,
			     portal = san_portal(s, b->portal) != NULL;

			for (size_t k = 0; k < i; k++) {
				port = port || (c->v[k].now && c->v[k].now->id == b->port);
				portal = portal || (c->v[k].now && c->v[k].now->id == b->portal);
			}
			if (!port || !portal)
				return err_set(e, -ENOENT, "the %s is not there",
					       port ? "portal" : "port");
		} else if (c->v[i].kind == SAN_LUN) {
			const struct san_lun *x = o;
			bool node = san_node(s, x->node) != NULL,
			     unit = san_unit(s, x->unit) != NULL;

			for (size_t k = 0; k < i; k++) {
				node = node || (c->v[k].now && c->v[k].now->id == x->node);
				unit = unit || (c->v[k].now && c->v[k].now->id == x->unit);
			}
			if (!node || !unit)
				return err_set(e, -ENOENT, "the %s is not there",
					       node ? "volume" : "node");
		}
	}
	return 0;
}

/* Nobody may slip in between looking for sessions and removing the node: its portals go first,
 * which leaves those who are logged in alone, and come back when there is one. */
static bool is_busy(struct lio_engine *l, const struct san_changes *ch, const struct scopes *v,
		    struct engine_outcome *out)
{
	struct err e;

	for (size_t i = 0; i < ch->n; i++) {
		const struct san_node *n = (const void *)ch->v[i].old;

		if (ch->v[i].kind != SAN_NODE || ch->v[i].now)
			continue;
		if (!look_has_session(l->look, l->want, n->iqn->s)) {
			if (tree_fence(&l->tree, n->iqn->s, &e) < 0)
				log_warn(engine, "target %s: %s", n->iqn->s, e.text);
			if (!look_has_session(l->look, l->want, n->iqn->s))
				continue;
			if (tree_make(&l->tree, l->want, v, TREE_BEST, &e) < 0) {
				log_error(engine, "%s", e.text);
				try_again(l);
			}
		}
		out->result = ENGINE_BUSY;
		(void)err_set(&out->err, -EBUSY, "target %s has a session logged in", n->iqn->s);
		return true;
	}
	return false;
}

static void apply_list(struct lio_engine *l, const struct san_changes *ch,
		       struct engine_outcome *out)
{
	struct scopes auto_scopes v = {0};
	AUTO(san_state) was = NULL;
	struct san_state *next;
	enum tree_care care = ch->observed      ? TREE_BEST
			      : ch->must_listen ? TREE_MUST_LISTEN
						: TREE_STRICT;
	struct err back;
	int r;

	*out = (struct engine_outcome){0};
	if (check_list(l->want, ch, &out->err) < 0) {
		out->result = ENGINE_REFUSED;
		return;
	}
	l->tree.stays = (struct err){0};
	was = san_state_ref(l->want);
	next = san_apply(san_state_ref(l->want), ch, 0, NULL);
	scopes_of_changes(&v, ch, was, next);
	if (ch->unless_sessions && is_busy(l, ch, &v, out)) {
		san_state_unref(next);
		return;
	}
	san_state_unref(l->want);
	l->want = next;
	r = tree_make(&l->tree, next, &v, care, &out->err);
	if (r < 0 && care == TREE_BEST) {
		log_error(engine, "%s", out->err.text);
		try_again(l);
		r = 0;
	}
	if (r < 0) {
		/* Nothing of it stays: what it touched becomes what it was. */
		out->result = ENGINE_REFUSED;
		san_state_unref(l->want);
		l->want = san_state_ref(was);
		if (tree_make(&l->tree, was, &v, TREE_BEST, &back) < 0) {
			log_error(engine, "a change that failed can't be taken back yet: %s",
				  back.text);
			try_again(l);
		}
	}
	if (l->tree.stays.code < 0)
		tell_rest(l, l->tree.stays.text);
	tell_portals(l, l->want, &v);
	for (size_t i = 0; i < ch->n; i++) {
		if (ch->v[i].old)
			l->poll_at = 0; /* sessions may have ended */
	}
}

/* ---- the whole ---- */

/* A port that could not be made shows in the portals that should serve it. */
static int make_all(struct lio_engine *l, struct err *e)
{
	struct scopes auto_scopes v = {0};
	uint64_t began = clock_mono_ns(), took;
	int r;

	/* After a boot there is nothing of ours that could differ. */
	l->tree.mended = 0;
	if (l->made || cfs_exists(&l->tree.cfs, "iscsi/" TREE_HOLDER))
		tree_mend(&l->tree, l->failed);
	l->failed = false;
	l->retry_at = 0;
	l->tree.stays = (struct err){0};
	r = scopes_of_all(&v, &l->tree, l->want, e);
	if (r == 0)
		r = tree_make(&l->tree, l->want, &v, TREE_BEST, e);
	l->tree.mending = false;
	l->made = true;
	took = clock_mono_ns() - began;
	l->check_at = in_ms(CHECK_MS) + took * CHECK_SHARE;
	if (r < 0) {
		l->failed = true;
		if (!streq(l->complaint, e->text))
			log_error(engine, "%s", e->text);
	}
	(void)snprintf(l->complaint, sizeof(l->complaint), "%s", r < 0 ? e->text : "");
	tell_rest(l, l->tree.stays.code < 0 ? l->tree.stays.text : "");
	tell_portals(l, l->want, &v);
	if (l->failed)
		try_again(l);
	return r;
}

static void replace_all(struct lio_engine *l, struct job *j)
{
	struct err e;

	*j->out = (struct engine_outcome){0};
	if (!cfs_exists(&l->tree.cfs, "core")) {
		j->out->result = ENGINE_REFUSED;
		(void)err_set(&j->out->err, -ENODEV,
			      "the kernel's target is gone; load it: modprobe iscsi_target_mod");
		return;
	}
	san_state_unref(l->want);
	l->want = san_state_ref(j->state);
	forget_bad(l, SCOPE_UNIT); /* lio_replace has taken it back */
	l->rest[0] = '\0';         /* is told anew */
	(void)make_all(l, &e);     /* what failed shows in its objects, and is tried again */
	if (l->tree.mended)
		log_info(engine,
			 "%zu differences between the kernel and the configuration put "
			 "right",
			 l->tree.mended);
	foreign_forget(l->foreign);
	foreign_look(l->foreign);
	look_forget(l->look);
	look_round(l->look, l->want);
}

/* ---- the thread ---- */

static void job_free(struct job *j)
{
	for (size_t i = 0; i < j->n_lists; i++)
		san_changes_done(&j->lists[i]);
	free(j->lists);
	free(j->out);
	san_state_unref(j->state);
	engine_stats_done(&j->stats);
	free(j);
}

static void run_job(struct lio_engine *l, struct job *j)
{
	switch (j->kind) {
	case JOB_APPLY:
		for (size_t i = 0; i < j->n_lists; i++) {
			if (l->want) {
				apply_list(l, &j->lists[i], &j->out[i]);
				continue;
			}
			j->out[i].result = ENGINE_ABSENT;
			(void)err_set(&j->out[i].err, -ENOTCONN,
				      "the kernel has not been given its configuration yet");
		}
		break;
	case JOB_REPLACE:
		replace_all(l, j);
		break;
	case JOB_LOOK:
		if (l->want)
			look_closely(l->look, l->want);
		break;
	case JOB_STATS:
		if (l->want)
			look_stats(l->look, l->want, &j->stats);
		break;
	case JOB_CLEAR:
		*j->out = (struct engine_outcome){0};
		if (tree_clear(&l->tree, &j->out->err) < 0)
			j->out->result = ENGINE_REFUSED;
		san_state_unref(take(l->want)); /* nothing is to come back */
		break;
	}
}

static bool read_events(const struct lio_engine *l)
{
	char events[4096];
	bool any = false;

	while (l->tree.watch >= 0 && read(l->tree.watch, events, sizeof(events)) > 0)
		any = true;
	return any;
}

/* What another tool has done is compared with what should be, once it has settled. */
static void take_events(struct lio_engine *l)
{
	if (read_events(l) && !l->settle_at)
		l->settle_at = in_ms(SETTLE_MS);
}

/* Work of our own makes events that say nothing; check_at catches what came just then. */
static unsigned long begin_work(struct lio_engine *l)
{
	take_events(l);
	return l->tree.cfs.changes;
}

static void end_work(struct lio_engine *l, unsigned long changes)
{
	if (l->tree.cfs.changes != changes)
		(void)read_events(l);
}

static void end_job(struct lio_engine *l, struct job *j)
{
	bool tell_up = false;

	pthread_mutex_lock(&l->lock);
	j->done = true;
	if (j->abandoned) {
		job_free(j);
		tell_up = --l->n_late == 0;
	}
	pthread_cond_broadcast(&l->ended);
	pthread_mutex_unlock(&l->lock);
	/* What has become of it nobody knows any more: everything anew. */
	if (tell_up)
		l->notify(l->ctx, &(struct engine_event){.kind = ENGINE_UP, .why = ""});
}

/* How long to wait when looking took so long, in ns. */
static uint64_t pause_after(const struct lio_engine *l, uint64_t took)
{
	uint64_t ns = took * POLL_SHARE;

	if (ns > POLL_MAX_MS * NS)
		ns = POLL_MAX_MS * NS;
	return ns > l->poll_ms * NS ? ns : l->poll_ms * NS;
}

static void do_what_is_due(struct lio_engine *l)
{
	unsigned long changes = begin_work(l);
	uint64_t now = clock_mono_ns();
	struct err e;

	if (!l->want)
		return;
	if ((l->settle_at && now >= l->settle_at) || (l->retry_at && now >= l->retry_at) ||
	    now >= l->check_at) {
		l->settle_at = 0;
		(void)make_all(l, &e);
	}
	if (now >= drain_next(l->drain))
		drain_run(l->drain, l->want, now);
	if (now >= l->poll_at) {
		look_round(l->look, l->want);
		foreign_look(l->foreign);
		l->poll_at = clock_mono_ns() + pause_after(l, clock_mono_ns() - now);
	}
	end_work(l, changes);
}

static uint64_t next_due(const struct lio_engine *l)
{
	uint64_t at = l->poll_at < l->check_at ? l->poll_at : l->check_at;

	if (!l->want)
		return UINT64_MAX;
	if (l->settle_at && l->settle_at < at)
		at = l->settle_at;
	if (l->retry_at && l->retry_at < at)
		at = l->retry_at;
	return drain_next(l->drain) < at ? drain_next(l->drain) : at;
}

/* Until there is a job, an event, or something is due. */
static void rest(struct lio_engine *l)
{
	struct pollfd p[2] = {
		{.fd = l->wake,       .events = POLLIN},
                {.fd = l->tree.watch, .events = POLLIN}
        };
	uint64_t due = next_due(l), now = clock_mono_ns(), n;
	int ms = due == UINT64_MAX ? -1 : due <= now ? 0 : (int)((due - now) / NS) + 1;

	if (poll(p, 2, ms) <= 0)
		return;
	if (p[0].revents)
		(void)!read(l->wake, &n, sizeof(n));
	take_events(l);
}

static struct job *next_job(struct lio_engine *l, bool *ret_stop)
{
	struct job *j;

	pthread_mutex_lock(&l->lock);
	j = l->head;
	if (j) {
		l->head = j->next;
		if (!l->head)
			l->tail = &l->head;
	}
	*ret_stop = l->stopping;
	pthread_mutex_unlock(&l->lock);
	return j;
}

static void *lio_thread(void *arg)
{
	struct lio_engine *l = arg;
	bool stop;

	l->notify(l->ctx, &(struct engine_event){.kind = ENGINE_UP, .why = ""});
	for (;;) {
		struct job *j = next_job(l, &stop);

		if (j) {
			unsigned long changes = begin_work(l);

			run_job(l, j);
			end_work(l, changes);
			end_job(l, j);
		} else if (stop) {
			break;
		} else {
			do_what_is_due(l);
			rest(l);
		}
	}
	pthread_mutex_lock(&l->lock);
	l->over = true;
	pthread_cond_broadcast(&l->ended);
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* ---- asking the worker ---- */

static struct job *job_new(enum job_kind kind, size_t n_out)
{
	struct job *j = xcalloc(1, sizeof(*j));

	j->kind = kind;
	j->out = xcalloc(n_out + 1, sizeof(j->out[0]));
	return j;
}

static void kick(struct lio_engine *l)
{
	uint64_t one = 1;

	(void)!write(l->wake, &one, sizeof(one));
}

/* Have j done by a time.  ENGINE_OK: it is done and the caller's to free.  Otherwise it is no
 * longer the caller's. */
static enum engine_result ask(struct lio_engine *l, struct job *j, uint64_t ms, struct err *e)
{
	uint64_t until = in_ms(ms);
	struct timespec t = {.tv_sec = (time_t)(until / 1000000000U),
			     .tv_nsec = (long)(until % 1000000000U)};
	enum engine_result r = ENGINE_OK;

	pthread_mutex_lock(&l->lock);
	if (l->n_late) {
		pthread_mutex_unlock(&l->lock);
		job_free(j);
		(void)err_set(e, -EBUSY, "the kernel still works on an earlier change");
		return ENGINE_ABSENT;
	}
	*l->tail = j;
	l->tail = &j->next;
	kick(l);
	while (!j->done && pthread_cond_timedwait(&l->ended, &l->lock, &t) != ETIMEDOUT)
		;
	if (!j->done) {
		j->abandoned = true;
		l->n_late++;
		r = ENGINE_TIMEOUT;
		(void)err_set(e, -ETIMEDOUT, "the kernel did not answer within %llu s",
			      (unsigned long long)(ms / 1000));
	}
	pthread_mutex_unlock(&l->lock);
	return r;
}

static void lio_apply(struct engine *en, const struct san_changes *const *lists, size_t n,
		      uint64_t gen UNUSED, struct engine_outcome *out)
{
	struct lio_engine *l = lio_of(en);
	struct job *j = job_new(JOB_APPLY, n);
	struct err e = {0};
	enum engine_result r;

	j->n_lists = n;
	j->lists = xcalloc(n, sizeof(j->lists[0]));
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < lists[i]->n; k++) {
			const struct san_change *c = &lists[i]->v[k];

			san_changes_add(&j->lists[i], c->kind, c->old,
					c->now ? san_ref(c->now) : NULL);
		}
		j->lists[i].must_listen = lists[i]->must_listen;
		j->lists[i].unless_sessions = lists[i]->unless_sessions;
		j->lists[i].observed = lists[i]->observed;
	}
	r = ask(l, j, l->apply_ms + (uint64_t)n * LIST_MS, &e);
	for (size_t i = 0; i < n; i++) {
		if (r == ENGINE_OK)
			out[i] = j->out[i];
		else
			out[i] = (struct engine_outcome){r, e};
	}
	if (r == ENGINE_OK)
		job_free(j);
}

static void lio_replace(struct engine *en, const struct san_state *s, struct engine_outcome *out)
{
	struct lio_engine *l = lio_of(en);
	struct job *j = job_new(JOB_REPLACE, 1);
	size_t objects = san_count(s, SAN_UNITS) + san_count(s, SAN_NODES) +
			 san_count(s, SAN_PORTS) + san_count(s, SAN_PORTALS) +
			 san_count(s, SAN_BINDINGS_OF_PORT) + san_count(s, SAN_LUNS_OF_NODE);
	const struct san_unit *u;
	struct san_walk w;

	/* What was thought of volumes is said again. */
	for (u = san_first(&w, s, SAN_UNITS); u; u = san_next(&w)) {
		if (u->why->len)
			l->notify(l->ctx, &(struct engine_event){
						  .kind = ENGINE_UNIT, .naa = u->naa, .why = ""});
	}
	j->state = san_state_ref(s);
	*out = (struct engine_outcome){0};
	out->result = ask(l, j, REPLACE_MS + objects * OBJECT_MS, &out->err);
	if (out->result != ENGINE_OK)
		return;
	*out = *j->out;
	job_free(j);
}

static void lio_refresh(struct engine *en)
{
	struct job *j = job_new(JOB_LOOK, 0);

	if (ask(lio_of(en), j, STATS_MS, NULL) == ENGINE_OK)
		job_free(j);
}

static int lio_stats(struct engine *en, struct engine_stats *ret, struct err *e)
{
	struct job *j = job_new(JOB_STATS, 1);

	if (ask(lio_of(en), j, STATS_MS, e) != ENGINE_OK)
		return err_in(e, "statistics");
	*ret = j->stats;
	j->stats = (struct engine_stats){0};
	job_free(j);
	return 0;
}

/* ---- life ---- */

static int lio_start(struct engine *en, engine_notify *notify, void *ctx, struct err *e)
{
	struct lio_engine *l = lio_of(en);

	l->notify = notify;
	l->ctx = ctx;
	l->look = look_new(&l->tree, notify, ctx);
	l->drain = drain_new(&l->tree, l->look);
	l->foreign = foreign_new(&l->tree, notify, ctx);
	if (pthread_create(&l->thread, NULL, lio_thread, l) != 0)
		return err_set(e, -EAGAIN, "start the engine: no more threads");
	l->running = true;
	return 0;
}

static void lio_stop(struct engine *en, bool keep)
{
	struct lio_engine *l = lio_of(en);
	uint64_t until;
	struct timespec t;

	if (!keep) {
		struct job *j = job_new(JOB_CLEAR, 1);
		struct err e = {0};

		if (ask(l, j, STOP_MS, &e) != ENGINE_OK) {
			log_warn(engine, "the kernel goes on serving: %s", e.text);
		} else {
			if (j->out->result != ENGINE_OK)
				log_warn(engine, "something of ours stays in the kernel: %s",
					 j->out->err.text);
			job_free(j);
		}
	}
	until = in_ms(STATS_MS);
	t = (struct timespec){.tv_sec = (time_t)(until / 1000000000U),
			      .tv_nsec = (long)(until % 1000000000U)};
	pthread_mutex_lock(&l->lock);
	l->stopping = true;
	kick(l);
	while (!l->over && pthread_cond_timedwait(&l->ended, &l->lock, &t) != ETIMEDOUT)
		;
	/* A thread that the kernel holds can't be ended: it keeps what it works with. */
	l->running = !l->over;
	pthread_mutex_unlock(&l->lock);
	if (l->running)
		(void)pthread_detach(l->thread);
	else
		(void)pthread_join(l->thread, NULL);
}

static void lio_free(struct engine *en)
{
	struct lio_engine *l = lio_of(en);

	if (l->running)
		return;
	drain_free(l->drain);
	foreign_free(l->foreign);
	look_free(l->look);
	own_close(l->tree.own);
	cfs_close(&l->tree.cfs);
	if (l->tree.watch >= 0)
		(void)close(l->tree.watch);
	if (l->wake >= 0)
		(void)close(l->wake);
	while (l->head) {
		struct job *j = l->head;

		l->head = j->next;
		job_free(j);
	}
	forget_bad(l, SCOPE_UNIT);
	forget_bad(l, SCOPE_PORT);
	san_state_unref(l->want);
	pthread_cond_destroy(&l->ended);
	pthread_mutex_destroy(&l->lock);
	free(l->tree.awaited);
	free(l->tree.units_dir);
	free(l->tree.pr_dir);
	free(l->state_dir);
	free(l);
}

static const struct engine_ops lio_ops = {
	.kind = "lio",
	.start = lio_start,
	.apply = lio_apply,
	.replace = lio_replace,
	.refresh = lio_refresh,
	.stats = lio_stats,
	.stop = lio_stop,
	.free = lio_free,
};

/* ---- the kernel's side ---- */

static void modprobe_now(const char *module)
{
	char *argv[] = {xstrdup("modprobe"), xstrdup("-q"), xstrdup(module), NULL};
	char *envp[] = {xstrdup("PATH=/usr/sbin:/usr/bin:/sbin:/bin"), NULL};
	pid_t pid;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, envp) == 0) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	for (size_t i = 0; argv[i]; i++)
		free(argv[i]);
	free(envp[0]);
}

static void modprobe(const char *module)
{
	/* A service may not load any, and need not: they are there. */
	if (access(cfs_path("/sys/module/%s", module).s, F_OK) == 0)
		return;
	modprobe_now(module);
}

int lio_engine_available(const char *configfs, struct err *e)
{
	struct cfs_path iscsi = cfs_path("%s/iscsi", configfs ? configfs : LIO_CONFIGFS);
	struct cfs_path core = cfs_path("%s/core", configfs ? configfs : LIO_CONFIGFS);

	if (access(core.s, F_OK) < 0)
		return err_set(e, -ENODEV,
			       "the kernel's target is not loaded (%s is not there); load it: "
			       "modprobe iscsi_target_mod",
			       core.s);
	/* access() asks for the user's rights without the capabilities that a service has */
	if (faccessat(AT_FDCWD, core.s, W_OK, AT_EACCESS) < 0)
		return err_sys(e, "the kernel's target can't be configured by this user: %s",
			       core.s);
	if (access(iscsi.s, F_OK) < 0 && mkdir(iscsi.s, 0755) < 0)
		return err_sys(e, "the kernel has no iSCSI target; load it: modprobe "
				  "iscsi_target_mod");
	return 0;
}

/* As far as it is missing and we may. */
static void prepare_kernel(void)
{
	if (access(LIO_CONFIGFS "/core", F_OK) < 0) {
		modprobe("configfs");
		if (access("/sys/kernel/config", F_OK) == 0 && access(LIO_CONFIGFS, F_OK) < 0)
			(void)mount("configfs", "/sys/kernel/config", "configfs",
				    MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
		modprobe("target_core_mod");
	}
	modprobe("target_core_file");
	modprobe("target_core_iblock");
	modprobe("iscsi_target_mod");
	modprobe("tcp_diag");
}

/* The kernel does not sync its files of persistent reservations before it says they are made; in a
 * folder with this flag every file that is made is written through. */
static void write_through(const char *dir)
{
	auto_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int flags = 0;

	if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return;
	flags |= FS_SYNC_FL;
	if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0)
		log_debug(engine, "%s can't be made write-through: %m", dir);
}

/* Persistent reservations that survive power loss are files below the kernel's "dbroot"; it can
 * be moved only while no other tool has made anything yet. */
static void place_reservations(struct lio_engine *l)
{
	struct cfs_path ours = cfs_path("%s/pr", l->state_dir), pr;
	char is[CFS_PATH];
	struct err e;

	if (mkdir(ours.s, 0700) < 0 && errno != EEXIST)
		log_warn(engine, "%s can't be made: %m", ours.s);
	write_through(ours.s);
	/* With the newline: without it the kernel keeps the tail of what was there before. */
	if (cfs_exists(&l->tree.cfs, "dbroot") &&
	    cfs_write(&l->tree.cfs, "dbroot", cfs_path("%s\n", l->state_dir).s, &e) < 0)
		log_debug(engine, "%s", e.text);
	cfs_read_line(&l->tree.cfs, "dbroot", is, sizeof(is));
	pr = cfs_path("%s/pr", *is ? is : l->state_dir);
	l->tree.pr_dir = xstrdup(pr.s);
	if (streq(is, l->state_dir) || !*is)
		return;
	(void)mkdir(is, 0755);
	(void)mkdir(pr.s, 0700);
	log_info(engine, "persistent reservations are kept below %s, as another tool has set up",
		 is);
}

static int open_kernel(struct lio_engine *l, const char *configfs, struct err *e)
{
	auto_free char *own = xasprintf("%s/lio.targets", l->state_dir);
	int r;

	if (!configfs)
		prepare_kernel();
	r = lio_engine_available(configfs, e);
	if (r == 0)
		r = cfs_open(configfs ? configfs : LIO_CONFIGFS, &l->tree.cfs, e);
	if (r == 0)
		r = own_open(own, &l->tree.own, e);
	if (r < 0)
		return r;
	place_reservations(l);
	l->tree.watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake < 0)
		return err_sys(e, "start the engine");
	return 0;
}

int lio_engine_new(const struct lio_engine_config *cfg, struct engine **ret, struct err *e)
{
	struct lio_engine *l = xcalloc(1, sizeof(*l));
	pthread_condattr_t mono;
	int r = 0;

	l->engine.ops = &lio_ops;
	l->state_dir = xstrdup(cfg->state_dir);
	l->tree.units_dir = xasprintf("%s/" ENGINE_UNIT_DIR, cfg->state_dir);
	l->tree.watch = l->wake = -1;
	l->tree.left = on_left;
	l->tree.unit_fares = on_unit;
	l->tree.port_fares = on_port;
	l->tree.ctx = l;
	l->apply_ms = cfg->apply_ms ? cfg->apply_ms : APPLY_MS;
	l->poll_ms = cfg->poll_ms ? cfg->poll_ms : POLL_MS;
	l->retry_ms = cfg->retry_ms ? cfg->retry_ms : RETRY_MS;
	l->tail = &l->head;
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&mono);
	pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	pthread_cond_init(&l->ended, &mono);
	pthread_condattr_destroy(&mono);
	if (strpbrk(l->state_dir, ",\n") ||
	    strlen(l->tree.units_dir) + 1 + 16 + strlen(ENGINE_UNIT_SUFFIX) > FILE_NAME_MAX)
		r = err_set(e, -EINVAL,
			    "the kernel can't take volumes below %s: the path must be shorter and "
			    "have no comma; choose another --state",
			    l->state_dir);
	if (r == 0)
		r = open_kernel(l, cfg->configfs, e);
	if (r < 0) {
		lio_free(&l->engine);
		return r;
	}
	*ret = &l->engine;
	return 0;
}
