/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "engine/fake/fake.h"

enum { FAILS_MAX = 16 };

struct fake_session {
	uint64_t id;
	char iqn[SAN_IQN_MAX + 1], initiator[SAN_IQN_MAX + 1];
	uint16_t tpgt;
};

struct fake_engine {
	struct engine engine;
	pthread_mutex_t lock; /* over all below; never held while notifying */
	engine_notify *notify;
	void *ctx;
	struct pset config; /* the objects it serves, by id */
	struct fake_session *session;
	size_t n_sessions;
	uint64_t next_session;
	struct {
		unsigned nth;
		enum engine_result r;
	} fail[FAILS_MAX];
	size_t n_fails;
	unsigned timeouts;
	bool gone;
	uint64_t untold; /* session that is down and not told of */
	struct engine_ops waits;
};

static int by_id(const void *a, const void *b)
{
	uint64_t x = ((const struct san_obj *)a)->id, y = ((const struct san_obj *)b)->id;

	return (x > y) - (x < y);
}
static int key_id(const void *key, const void *item)
{
	uint64_t x = *(const uint64_t *)key, y = ((const struct san_obj *)item)->id;

	return (x > y) - (x < y);
}
static void item_ref(void *o)
{
	(void)san_ref(o);
}
static const struct pset_type config_type = {by_id, item_ref, san_unref};

static struct fake_engine *fake_of(struct engine *en)
{
	return container_of(en, struct fake_engine, engine);
}

static const void *has(const struct pset *config, uint64_t id)
{
	return pset_find(config, &id, key_id);
}

/* Would a real target take this?  Then it is done on config. */
static int take_change(struct pset *config, const struct san_change *c, struct err *e)
{
	const struct san_obj *o = c->now ? c->now : c->old;
	const struct san_obj *have = has(config, o->id);

	if (!c->old && have)
		return err_set(e, -EEXIST, "object %llu exists", (unsigned long long)o->id);
	if (c->old && !have)
		return err_set(e, -ENOENT, "object %llu does not exist", (unsigned long long)o->id);
	if (c->old && !san_obj_same(have, c->old))
		return err_set(e, -ESTALE, "object %llu is not what it was thought to be",
			       (unsigned long long)o->id);
	if (!c->now) {
		pset_del(config, have);
		return 0;
	}
	if (c->kind == SAN_PORT && !has(config, ((const struct san_port *)(const void *)o)->node))
		return err_set(e, -ENOENT, "a port without its node");
	if (c->kind == SAN_BINDING) {
		const struct san_binding *b = (const void *)o;

		if (!has(config, b->port) || !has(config, b->portal))
			return err_set(e, -ENOENT, "a binding without its port or portal");
	}
	if (c->kind == SAN_LUN) {
		const struct san_lun *l = (const void *)o;

		if (!has(config, l->node) || !has(config, l->unit))
			return err_set(e, -ENOENT, "a logical unit without its node or unit");
	}
	pset_put(config, c->now);
	return 0;
}

static bool busy(const struct fake_engine *f, const struct san_changes *ch)
{
	for (size_t i = 0; ch->unless_sessions && i < ch->n; i++) {
		const struct san_node *n = (const void *)ch->v[i].old;

		for (size_t k = 0; ch->v[i].kind == SAN_NODE && n && k < f->n_sessions; k++) {
			if (streq(f->session[k].iqn, n->iqn->s))
				return true;
		}
	}
	return false;
}

static enum engine_result planned(struct fake_engine *f)
{
	enum engine_result r = ENGINE_OK;

	for (size_t i = 0; i < f->n_fails;) {
		if (--f->fail[i].nth == 0) {
			r = f->fail[i].r;
			f->fail[i] = f->fail[--f->n_fails];
		} else {
			i++;
		}
	}
	return r;
}

/* A report to be made once the lock is free. */
struct report {
	enum engine_event_kind kind;
	struct san_portal *portal;
	uint64_t session;
};
struct reports {
	struct report *v;
	size_t n;
};

static void report_add(struct reports *rs, struct report r)
{
	rs->v = xrealloc(rs->v, (rs->n + 1) * sizeof(*rs->v));
	rs->v[rs->n++] = r;
}

static void reports_tell(struct fake_engine *f, struct reports *rs)
{
	for (size_t i = 0; i < rs->n; i++) {
		const struct report *r = &rs->v[i];
		struct engine_event ev = {.kind = r->kind, .why = ""};

		if (r->portal) {
			ev.address = r->portal->address->s;
			ev.tcp_port = r->portal->tcp_port;
			ev.listen = r->portal->enabled.on ? SAN_LISTENING : SAN_LISTEN_OFF;
		}
		ev.session.id = r->session;
		if (f->notify)
			f->notify(f->ctx, &ev);
		san_unref(r->portal);
	}
	free(rs->v);
}

/* Sessions on ports that are gone end. */
static void drop_sessions(struct fake_engine *f, struct reports *rs)
{
	for (size_t i = 0; i < f->n_sessions;) {
		const struct fake_session *x = &f->session[i];
		struct pset_iter it;
		bool served = false;

		for (const struct san_obj *o = pset_first(&f->config, &it); o && !served;
		     o = pset_next(&it)) {
			const struct san_port *p = (const void *)o;

			served = o->kind == SAN_PORT && p->tpgt == x->tpgt &&
				 streq(p->iqn->s, x->iqn);
		}
		if (served) {
			i++;
			continue;
		}
		report_add(rs, (struct report){ENGINE_SESSION_DOWN, NULL, x->id});
		f->session[i] = f->session[--f->n_sessions];
	}
}

static enum engine_result apply_list(struct fake_engine *f, const struct san_changes *ch,
				     struct reports *rs, struct err *e)
{
	enum engine_result plan = planned(f);
	struct pset next;
	bool ports_go = false;

	if (f->gone) {
		(void)err_set(e, -ENOTCONN, "the fake target is not running");
		return ENGINE_ABSENT;
	}
	if (plan == ENGINE_REFUSED || plan == ENGINE_BUSY || plan == ENGINE_ABSENT) {
		(void)err_set(e, -EIO, "the fake target was told to fail");
		return plan;
	}
	if (plan == ENGINE_TIMEOUT) {
		(void)err_set(e, -ETIMEDOUT, "the fake target did not answer");
		report_add(rs, (struct report){ENGINE_UP, NULL, 0});
		if (f->timeouts++ % 2)
			return plan;
	}
	if (busy(f, ch)) {
		(void)err_set(e, -EBUSY, "the node has sessions");
		return ENGINE_BUSY;
	}
	next = pset_copy(&f->config);
	for (size_t i = 0; i < ch->n; i++) {
		if (!engine_cares(&ch->v[i]))
			continue;
		ports_go = ports_go || (ch->v[i].kind == SAN_PORT && !ch->v[i].now);
		if (take_change(&next, &ch->v[i], e) < 0) {
			pset_done(&next);
			return ENGINE_REFUSED;
		}
		if (ch->v[i].kind == SAN_PORTAL && ch->v[i].now)
			report_add(rs, (struct report){ENGINE_PORTAL, san_ref(ch->v[i].now), 0});
	}
	pset_done(&f->config);
	f->config = next;
	if (ports_go)
		drop_sessions(f, rs);
	return plan;
}

static void fake_apply(struct engine *en, const struct san_changes *const *lists, size_t n,
		       uint64_t gen UNUSED, struct engine_outcome *out)
{
	struct fake_engine *f = fake_of(en);
	struct reports rs = {0};

	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < n; i++)
		out[i].result = apply_list(f, lists[i], &rs, &out[i].err);
	pthread_mutex_unlock(&f->lock);
	reports_tell(f, &rs);
}

static const enum san_index served[] = {
	SAN_UNITS, SAN_NODES, SAN_PORTS, SAN_PORTALS, SAN_BINDINGS_OF_PORT, SAN_LUNS_OF_NODE};

static void fake_replace(struct engine *en, const struct san_state *s, struct engine_outcome *out)
{
	struct fake_engine *f = fake_of(en);
	struct reports rs = {0};
	struct san_walk w;

	pthread_mutex_lock(&f->lock);
	out->result = planned(f);
	if (f->gone || out->result != ENGINE_OK) {
		out->result = f->gone ? ENGINE_ABSENT : out->result;
		(void)err_set(&out->err, -EIO, "the fake target was told to fail");
		pthread_mutex_unlock(&f->lock);
		return;
	}
	pset_done(&f->config);
	for (size_t i = 0; i < ARRAY_SIZE(served); i++) {
		for (const struct san_obj *o = san_first(&w, s, served[i]); o; o = san_next(&w)) {
			struct san_obj *mine = san_ref(o);

			pset_put(&f->config, mine);
			san_unref(mine);
			if (o->kind == SAN_PORTAL)
				report_add(&rs, (struct report){ENGINE_PORTAL, san_ref(o), 0});
		}
	}
	drop_sessions(f, &rs);
	pthread_mutex_unlock(&f->lock);
	reports_tell(f, &rs);
}

static int fake_stats(struct engine *en, struct engine_stats *ret, struct err *e UNUSED)
{
	struct fake_engine *f = fake_of(en);

	pthread_mutex_lock(&f->lock);
	*ret = (struct engine_stats){.n_sessions = f->n_sessions};
	ret->sessions = xcalloc(f->n_sessions + 1, sizeof(ret->sessions[0]));
	for (size_t i = 0; i < f->n_sessions; i++)
		ret->sessions[i].id = f->session[i].id;
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static int fake_start(struct engine *en, engine_notify *notify, void *ctx, struct err *e UNUSED)
{
	struct fake_engine *f = fake_of(en);

	pthread_mutex_lock(&f->lock);
	f->notify = notify;
	f->ctx = ctx;
	pthread_mutex_unlock(&f->lock);
	if (!f->gone)
		notify(ctx, &(struct engine_event){.kind = ENGINE_UP, .why = ""});
	return 0;
}

static void fake_stop(struct engine *en, bool keep UNUSED)
{
	struct fake_engine *f = fake_of(en);

	pthread_mutex_lock(&f->lock);
	f->notify = NULL;
	pthread_mutex_unlock(&f->lock);
}

static void fake_refresh(struct engine *en)
{
	struct fake_engine *f = fake_of(en);
	struct engine_event ev = {.kind = ENGINE_SESSION_DOWN, .why = ""};
	engine_notify *notify;

	pthread_mutex_lock(&f->lock);
	ev.session.id = f->untold;
	f->untold = 0;
	notify = f->notify;
	pthread_mutex_unlock(&f->lock);
	if (ev.session.id && notify)
		notify(f->ctx, &ev);
}

static void fake_free(struct engine *en)
{
	struct fake_engine *f = fake_of(en);

	pset_done(&f->config);
	free(f->session);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static const struct engine_ops fake_ops = {
	.kind = "fake",
	.at_once = true,
	.start = fake_start,
	.apply = fake_apply,
	.replace = fake_replace,
	.refresh = fake_refresh,
	.stats = fake_stats,
	.stop = fake_stop,
	.free = fake_free,
};

struct fake_engine *fake_engine_new(void)
{
	struct fake_engine *f = xcalloc(1, sizeof(*f));

	f->engine.ops = &fake_ops;
	f->config = pset_of(&config_type);
	pthread_mutex_init(&f->lock, NULL);
	return f;
}

struct engine *fake_engine_engine(struct fake_engine *f)
{
	return &f->engine;
}

void fake_engine_wait(struct fake_engine *f)
{
	f->waits = fake_ops;
	f->waits.at_once = false;
	f->engine.ops = &f->waits;
}

void fake_engine_fail(struct fake_engine *f, unsigned nth, enum engine_result r)
{
	pthread_mutex_lock(&f->lock);
	if (f->n_fails < FAILS_MAX) {
		f->fail[f->n_fails].nth = nth;
		f->fail[f->n_fails++].r = r;
	}
	pthread_mutex_unlock(&f->lock);
}

static void tell(struct fake_engine *f, const struct engine_event *ev)
{
	engine_notify *notify;

	pthread_mutex_lock(&f->lock);
	notify = f->notify;
	pthread_mutex_unlock(&f->lock);
	if (notify)
		notify(f->ctx, ev);
}

void fake_engine_crash(struct fake_engine *f)
{
	pthread_mutex_lock(&f->lock);
	f->gone = true;
	pset_done(&f->config);
	f->n_sessions = 0;
	pthread_mutex_unlock(&f->lock);
	tell(f, &(struct engine_event){.kind = ENGINE_DOWN, .why = "the fake target has crashed"});
}

void fake_engine_recover(struct fake_engine *f)
{
	pthread_mutex_lock(&f->lock);
	f->gone = false;
	pthread_mutex_unlock(&f->lock);
	tell(f, &(struct engine_event){.kind = ENGINE_UP, .why = ""});
}

uint64_t fake_engine_login(struct fake_engine *f, const char *iqn, uint16_t tpgt,
			   const char *initiator)
{
	struct engine_event ev = {.kind = ENGINE_SESSION_UP, .why = ""};
	struct fake_session *x;
	struct pset_iter it;
	bool there = false;

	pthread_mutex_lock(&f->lock);
	for (const struct san_obj *o = pset_first(&f->config, &it); o && !there;
	     o = pset_next(&it)) {
		const struct san_port *p = (const void *)o;

		there = o->kind == SAN_PORT && p->tpgt == tpgt && streq(p->iqn->s, iqn);
	}
	if (!there) {
		pthread_mutex_unlock(&f->lock);
		return 0;
	}
	f->session = xrealloc(f->session, (f->n_sessions + 1) * sizeof(f->session[0]));
	x = &f->session[f->n_sessions++];
	*x = (struct fake_session){.id = ++f->next_session, .tpgt = tpgt};
	(void)snprintf(x->iqn, sizeof(x->iqn), "%s", iqn);
	(void)snprintf(x->initiator, sizeof(x->initiator), "%s", initiator);
	ev.session.id = x->id;
	ev.session.tpgt = tpgt;
	pthread_mutex_unlock(&f->lock);
	ev.session.iqn = iqn;
	ev.session.initiator = initiator;
	ev.session.isid = "00023D000001";
	tell(f, &ev);
	return ev.session.id;
}

void fake_engine_logout_quietly(struct fake_engine *f, uint64_t session)
{
	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < f->n_sessions; i++) {
		if (f->session[i].id == session)
			f->session[i] = f->session[--f->n_sessions];
	}
	f->untold = session;
	pthread_mutex_unlock(&f->lock);
}

void fake_engine_logout(struct fake_engine *f, uint64_t session)
{
	fake_engine_logout_quietly(f, session);
	fake_refresh(&f->engine);
}

void fake_engine_portal(struct fake_engine *f, const char *address, uint16_t tcp_port,
			enum san_listen listen, const char *why)
{
	tell(f, &(struct engine_event){.kind = ENGINE_PORTAL,
				       .address = address,
				       .tcp_port = tcp_port,
				       .listen = listen,
				       .why = why});
}

int fake_engine_check(struct fake_engine *f, const struct san_state *s, struct err *e)
{
	size_t n = 0;
	int r = 0;
	struct san_walk w;

	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < ARRAY_SIZE(served); i++) {
		for (const struct san_obj *o = san_first(&w, s, served[i]); o && r == 0;
		     o = san_next(&w), n++) {
			const struct san_obj *have = has(&f->config, o->id);

			if (!have || !san_obj_same(have, o))
				r = err_set(e, -EUCLEAN, "object %llu of kind %d is %s the target",
					    (unsigned long long)o->id, (int)o->kind,
					    have ? "different in" : "not in");
		}
	}
	if (r == 0 && n != f->config.count)
		r = err_set(e, -EUCLEAN, "the target has %zu objects and the model %zu",
			    f->config.count, n);
	pthread_mutex_unlock(&f->lock);
	return r;
}
