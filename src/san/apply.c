/* SPDX-License-Identifier: Apache-2.0 */
/* From one state to the next: the changes asked for, then what follows from them. */
#include <assert.h>

#include "san/object.h"
#include "san/state.h"

void san_changes_done(struct san_changes *c)
{
	for (size_t i = 0; i < c->n; i++) {
		san_unref(c->v[i].old);
		san_unref(c->v[i].now);
	}
	free(c->v);
	*c = (struct san_changes){0};
}

void san_changes_add(struct san_changes *c, enum san_kind kind, const void *old, void *now)
{
	if (c->n == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 4;
		c->v = xrealloc(c->v, c->cap * sizeof(c->v[0]));
	}
	c->v[c->n++] = (struct san_change){kind, old ? san_ref(old) : NULL, now};
}

void san_changes_invert(const struct san_changes *c, struct san_changes *ret)
{
	for (size_t i = c->n; i-- > 0;)
		san_changes_add(ret, c->v[i].kind, c->v[i].now,
				c->v[i].old ? san_ref(c->v[i].old) : NULL);
}

bool san_change_is_durable(const struct san_change *c)
{
	switch (c->kind) {
	case SAN_SETTINGS:
	case SAN_ENGINE:
	case SAN_NIC:
	case SAN_IP:
	case SAN_SESSION:
	case SAN_FOREIGN:
	case SAN_KINDS:
		return false;
	case SAN_HOST:
	case SAN_POOL:
	case SAN_GROUP:
	case SAN_UNIT:
	case SAN_NODE:
	case SAN_PORT:
	case SAN_PORTAL:
	case SAN_BINDING:
	case SAN_LUN:
		break;
	}
	return !c->old || !c->now || !san_obj_same(c->old, c->now);
}

bool san_changes_are_durable(const struct san_changes *c)
{
	for (size_t i = 0; i < c->n; i++) {
		if (san_change_is_durable(&c->v[i]))
			return true;
	}
	return false;
}

/* ---- what follows ---- */

static enum san_status portal_status(const struct san_state *s, const struct san_portal *p)
{
	const struct san_ip *ip;

	if (!p->enabled.on)
		return SAN_DISABLED;
	if (!p->has_ip)
		return SAN_ADDRESS_GONE;
	ip = san_ip(s, p->address->s);
	if (ip->status != SAN_OK)
		return ip->status;
	switch (s->engine->health) {
	case SAN_ENGINE_STARTING:
		return SAN_STARTING;
	case SAN_ENGINE_DEGRADED:
	case SAN_ENGINE_GONE:
		return SAN_ENGINE_DOWN;
	case SAN_ENGINE_UP:
		break;
	}
	switch (p->listen) {
	case SAN_LISTEN_UNKNOWN:
		return SAN_STARTING;
	case SAN_LISTENING:
		return SAN_OK;
	case SAN_LISTEN_IN_USE:
		return SAN_PORT_IN_USE;
	case SAN_LISTEN_OFF:
	case SAN_LISTEN_NO_ADDRESS:
	case SAN_LISTEN_FAILED:
		break;
	}
	return SAN_FAILED;
}

void san_portal_measure(const struct san_state *s, struct san_portal *p)
{
	p->has_ip = san_ip(s, p->address->s) != NULL;
	if (s->engine->health != SAN_ENGINE_UP) {
		/* What it last said is no longer known to be so. */
		p->listen = SAN_LISTEN_UNKNOWN;
		if (p->why->len)
			san_str_set(&p->why, "");
	}
	p->status = portal_status(s, p);
}

void san_port_measure(const struct san_state *s, struct san_port *p)
{
	const struct san_node *node = san_node(s, p->node);
	const struct san_binding *b;
	uint32_t n = 0, serving = 0, starting = 0;
	struct san_walk w;

	for (b = san_first_of(&w, s, SAN_BINDINGS_OF_PORT, p->obj.id); b; b = san_next(&w)) {
		const struct san_portal *portal = san_portal(s, b->portal);

		n++;
		serving += portal->status == SAN_OK;
		starting += portal->status == SAN_STARTING;
	}
	p->n_bindings = n;
	if (!p->enabled.on || !node->enabled.on)
		p->status = SAN_DISABLED;
	else if (p->why->len && s->engine->health == SAN_ENGINE_UP)
		p->status = SAN_FAILED;
	else if (n == 0)
		p->status = SAN_NO_PORTAL;
	else if (serving == n)
		p->status = SAN_OK;
	else if (s->engine->health == SAN_ENGINE_GONE || s->engine->health == SAN_ENGINE_DEGRADED)
		p->status = SAN_ENGINE_DOWN;
	else if (serving)
		p->status = SAN_DEGRADED;
	else
		p->status = starting ? SAN_STARTING : SAN_NO_SERVICE;
}

void san_unit_measure(const struct san_state *s, struct san_unit *u)
{
	const struct san_pool *p = san_pool(s, u->pool);
	struct san_walk w;

	u->n_luns = 0;
	for (const void *l = san_first_of(&w, s, SAN_LUNS_OF_UNIT, u->obj.id); l; l = san_next(&w))
		u->n_luns++;
	u->status = u->why->len || (p && p->why->len) ? SAN_FAILED : SAN_OK;
}

/* ids of objects whose measured fields may have moved */
struct dirty {
	uint64_t *id;
	size_t n, cap;
};

static void dirty_add(struct dirty *d, uint64_t id)
{
	if (d->n && d->id[d->n - 1] == id)
		return;
	if (d->n == d->cap) {
		d->cap = d->cap ? d->cap * 2 : 16;
		d->id = xrealloc(d->id, d->cap * sizeof(d->id[0]));
	}
	d->id[d->n++] = id;
}

static int dirty_cmp(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void dirty_sort(struct dirty *d)
{
	size_t n = 0;

	if (d->n < 2)
		return;
	qsort(d->id, d->n, sizeof(d->id[0]), dirty_cmp);
	for (size_t i = 0; i < d->n; i++) {
		if (n == 0 || d->id[n - 1] != d->id[i])
			d->id[n++] = d->id[i];
	}
	d->n = n;
}

struct effect_at {
	uint64_t id;
	size_t at;
};

struct apply {
	struct san_state *s;
	struct san_changes *effects; /* or NULL */
	struct effect_at *by_id;     /* of the changes asked for, to join consequences with them */
	size_t n_by_id;
	struct dirty portals, ports, units;
	int64_t now_us;
};

static void dirty_all(const struct san_state *s, enum san_index i, struct dirty *d)
{
	struct san_walk w;

	for (const struct san_obj *o = san_first(&w, s, i); o; o = san_next(&w))
		dirty_add(d, o->id);
}

static void dirty_ports_of_portal(struct apply *a, uint64_t portal)
{
	const struct san_binding *b;
	struct san_walk w;

	for (b = san_first_of(&w, a->s, SAN_BINDINGS_OF_PORTAL, portal); b; b = san_next(&w))
		dirty_add(&a->ports, b->port);
}

/* Note what depends on a changed object: on what stands in the state now. */
static void touch(struct apply *a, const struct san_obj *o)
{
	struct san_walk w;

	switch (o->kind) {
	case SAN_ENGINE:
		dirty_all(a->s, SAN_PORTALS, &a->portals);
		dirty_all(a->s, SAN_PORTS, &a->ports);
		break;
	case SAN_IP: {
		const char *address = ((const struct san_ip *)(const void *)o)->address->s;

		for (const struct san_obj *p =
			     san_first_of_text(&w, a->s, SAN_PORTALS_BY_TEXT, address);
		     p; p = san_next(&w))
			dirty_add(&a->portals, p->id);
		break;
	}
	case SAN_PORTAL:
		dirty_add(&a->portals, o->id);
		break;
	case SAN_NODE:
		for (const struct san_obj *p = san_first_of(&w, a->s, SAN_PORTS_OF_NODE, o->id); p;
		     p = san_next(&w))
			dirty_add(&a->ports, p->id);
		break;
	case SAN_PORT:
		dirty_add(&a->ports, o->id);
		break;
	case SAN_BINDING:
		dirty_add(&a->ports, ((const struct san_binding *)(const void *)o)->port);
		break;
	case SAN_POOL:
		/* A pool of files is always well; it may have many thousands. */
		if (((const struct san_pool *)(const void *)o)->kind != SAN_POOL_DEVICES)
			break;
		for (const struct san_unit *u = san_first(&w, a->s, SAN_UNITS); u; u = san_next(&w)) {
			if (u->pool == o->id)
				dirty_add(&a->units, u->obj.id);
		}
		break;
	case SAN_UNIT:
		dirty_add(&a->units, o->id);
		break;
	case SAN_LUN:
		dirty_add(&a->units, ((const struct san_lun *)(const void *)o)->unit);
		break;
	case SAN_HOST:
	case SAN_SETTINGS:
	case SAN_NIC:
	case SAN_GROUP:
	case SAN_SESSION:
	case SAN_FOREIGN:
	case SAN_KINDS:
		break;
	}
}

/* What stands in the state in the place of o (the same identity), or NULL. */
static const void *standing(const struct san_state *s, const struct san_obj *o)
{
	for (size_t i = 0; i < SAN_INDEXES; i++) {
		if (san_index_types[i].kind == o->kind)
			return pset_find(&s->index[i], o, san_index_types[i].type->cmp);
	}
	return NULL;
}

static void put(struct san_state *s, const struct san_obj *old, struct san_obj *now)
{
	enum san_kind kind = (old ? old : now)->kind;
	void *held = old ? san_ref(old) : NULL; /* the indexes let go of it one by one */

	for (size_t i = 0; i < SAN_INDEXES; i++) {
		const struct san_index_type *x = &san_index_types[i];

		if (x->kind != kind)
			continue;
		if (old && (!now || x->type->cmp(old, now) != 0))
			pset_del(&s->index[i], old);
		if (now)
			pset_put(&s->index[i], now);
	}
	san_unref(held);
}

/* Put now into its place; returns what stood there, with a reference of its own, or NULL. */
static void *replace(struct san_state *s, const struct san_change *c)
{
	const struct san_obj *at;
	void *old = NULL;

	if (c->kind == SAN_HOST) {
		old = s->host;
		s->host = san_ref(c->now);
	} else if (c->kind == SAN_SETTINGS) {
		old = s->settings;
		s->settings = san_ref(c->now);
	} else if (c->kind == SAN_ENGINE) {
		old = s->engine;
		s->engine = san_ref(c->now);
	} else {
		at = c->old ? standing(s, c->old) : NULL;
		old = at ? san_ref(at) : NULL;
		if (old || c->now)
			put(s, old, c->now);
	}
	return old;
}

static void apply_one(struct apply *a, const struct san_change *c)
{
	struct san_state *s = a->s;
	void *old = replace(s, c);

	if (c->now && c->kind >= SAN_POOL && c->kind < SAN_SESSION && c->now->id >= s->next_id)
		s->next_id = c->now->id + 1;
	touch(a, c->now ? c->now : c->old);
	if (a->effects)
		san_changes_add(a->effects, c->kind, old, c->now ? san_ref(c->now) : NULL);
	san_unref(old);
}

static int effect_cmp(const void *a, const void *b)
{
	const struct effect_at *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return (x->at > y->at) - (x->at < y->at);
}

/* An object that follows from the changes takes the place of the one that was asked for. */
static void effect_follows(struct apply *a, const struct san_obj *was, void *now)
{
	size_t lo = 0, hi = a->n_by_id;
	struct san_obj **at;

	if (!a->effects)
		return;
	while (lo < hi) { /* the last effect on this id */
		size_t mid = (lo + hi) / 2;

		if (a->by_id[mid].id <= was->id)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0 || a->by_id[lo - 1].id != was->id) {
		san_changes_add(a->effects, was->kind, was, san_ref(now));
		return;
	}
	at = &a->effects->v[a->by_id[lo - 1].at].now;
	san_unref(*at);
	*at = san_ref(now);
}

/* Every effect so far by object, so that consequences find it. */
static void effects_sort(struct apply *a, size_t first)
{
	if (!a->effects)
		return;
	a->by_id = xcalloc(a->effects->n - first + 1, sizeof(a->by_id[0]));
	for (size_t i = first; i < a->effects->n; i++) {
		const struct san_change *c = &a->effects->v[i];

		if (c->now && (c->kind == SAN_PORTAL || c->kind == SAN_PORT || c->kind == SAN_UNIT))
			a->by_id[a->n_by_id++] = (struct effect_at){c->now->id, i};
	}
	qsort(a->by_id, a->n_by_id, sizeof(a->by_id[0]), effect_cmp);
}

static void become(struct apply *a, const struct san_obj *was, void *now)
{
	effect_follows(a, was, now);
	put(a->s, was, now);
}

/* Does TimeOfLastStateChange move?  Learning after a start that all is well is no change. */
static bool moved(const struct apply *a, enum san_status was, enum san_status is)
{
	return was != is && a->s->engine->health != SAN_ENGINE_STARTING &&
	       !(was == SAN_STARTING && is == SAN_OK);
}

static void measure_portals(struct apply *a)
{
	for (size_t i = 0; i < a->portals.n; i++) {
		const struct san_portal *p = san_portal(a->s, a->portals.id[i]);
		struct san_portal *m;

		if (!p)
			continue;
		m = san_obj_dup(p);
		san_portal_measure(a->s, m);
		if (m->status != p->status || m->has_ip != p->has_ip || m->listen != p->listen ||
		    m->why->len != p->why->len) {
			if (moved(a, p->status, m->status))
				m->enabled.changed_us = a->now_us;
			become(a, &p->obj, m);
		}
		san_unref(m);
		dirty_ports_of_portal(a, a->portals.id[i]);
	}
}

static void measure_ports(struct apply *a)
{
	for (size_t i = 0; i < a->ports.n; i++) {
		const struct san_port *p = san_port(a->s, a->ports.id[i]);
		bool unknown = a->s->engine->health != SAN_ENGINE_UP;
		struct san_port m;

		if (!p)
			continue;
		m.node = p->node;
		m.obj.id = p->obj.id;
		m.enabled = p->enabled;
		m.why = p->why;
		san_port_measure(a->s, &m);
		if (m.status != p->status || m.n_bindings != p->n_bindings ||
		    (unknown && p->why->len)) {
			struct san_port *d = san_obj_dup(p);

			/* What the target last said is no longer known to be so. */
			if (unknown && p->why->len)
				san_str_set(&d->why, "");

			if (moved(a, p->status, m.status))
				d->enabled.changed_us = a->now_us;
			d->status = m.status;
			d->n_bindings = m.n_bindings;
			become(a, &p->obj, d);
			san_unref(d);
		}
	}
}

static void measure_units(struct apply *a)
{
	for (size_t i = 0; i < a->units.n; i++) {
		const struct san_unit *u = san_unit(a->s, a->units.id[i]);
		struct san_unit *m;

		if (!u)
			continue;
		m = san_obj_dup(u);
		san_unit_measure(a->s, m);
		if (m->status != u->status || m->n_luns != u->n_luns) {
			if (moved(a, u->status, m->status))
				m->changed_us = a->now_us;
			become(a, &u->obj, m);
		}
		san_unref(m);
	}
}

struct san_state *san_apply(struct san_state *s, const struct san_changes *c, int64_t now_us,
			    struct san_changes *ret_effects)
{
	struct apply a = {.effects = ret_effects, .now_us = now_us};
	size_t first = ret_effects ? ret_effects->n : 0;

	if (atomic_load_explicit(&s->refs, memory_order_acquire) == 1) {
		a.s = s;
	} else {
		a.s = san_state_copy(s);
		san_state_unref(s);
	}
	for (size_t i = 0; i < c->n; i++)
		apply_one(&a, &c->v[i]);
	effects_sort(&a, first);
	dirty_sort(&a.portals);
	measure_portals(&a);
	dirty_sort(&a.ports);
	measure_ports(&a);
	dirty_sort(&a.units);
	measure_units(&a);
	free(a.by_id);
	free(a.portals.id);
	free(a.ports.id);
	free(a.units.id);
	return a.s;
}
