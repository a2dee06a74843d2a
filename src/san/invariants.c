/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "san/object.h"
#include "san/state.h"

#define BROKEN(...) return err_set(e, -EUCLEAN, __VA_ARGS__)

/* Each index in order, and all indexes of a kind holding the very same objects. */
static int check_indexes(const struct san_state *s, struct err *e)
{
	enum san_index first[SAN_KINDS];

	for (size_t k = 0; k < SAN_KINDS; k++)
		first[k] = SAN_INDEXES;
	for (enum san_index i = 0; i < SAN_INDEXES; i++) {
		const struct san_index_type *x = &san_index_types[i];
		const struct san_obj *o, *before = NULL;
		struct san_walk w;
		size_t n = 0;

		if (first[x->kind] == SAN_INDEXES)
			first[x->kind] = i;
		for (o = san_first(&w, s, i); o; before = o, o = san_next(&w), n++) {
			const struct pset *main = &s->index[first[x->kind]];

			if (o->kind != x->kind)
				BROKEN("index %d holds an object of kind %d", (int)i, (int)o->kind);
			if (before && x->type->cmp(before, o) >= 0)
				BROKEN("index %d is out of order at %llu", (int)i,
				       (unsigned long long)o->id);
			if (pset_find(main, o, main->type->cmp) != o)
				BROKEN("index %d holds another %llu than index %d", (int)i,
				       (unsigned long long)o->id, (int)first[x->kind]);
			if (o->id && x->kind != SAN_SESSION && o->id >= s->next_id)
				BROKEN("object %llu has an id that was not given out",
				       (unsigned long long)o->id);
		}
		if (n != s->index[i].count || n != s->index[first[x->kind]].count)
			BROKEN("index %d has %zu objects, not %zu", (int)i, n,
			       s->index[first[x->kind]].count);
	}
	return 0;
}

static int check_ports(const struct san_state *s, struct err *e)
{
	const struct san_port *p;
	struct san_walk w, bw;

	for (p = san_first(&w, s, SAN_PORTS); p; p = san_next(&w)) {
		const struct san_node *n = san_node(s, p->node);
		const struct san_binding *b;
		uint64_t group = 0;
		struct san_port m;

		if (!n)
			BROKEN("port %s belongs to no node", p->name->s);
		if (!streq(n->iqn->s, p->iqn->s))
			BROKEN("port %s calls its node %s", p->name->s, p->iqn->s);
		for (b = san_first_of(&bw, s, SAN_BINDINGS_OF_PORT, p->obj.id); b;
		     b = san_next(&bw)) {
			const struct san_portal *portal = san_portal(s, b->portal);

			if (!portal)
				BROKEN("port %s is bound to a portal that is not there",
				       p->name->s);
			if (group && portal->group != group)
				BROKEN("port %s has portals of two groups", p->name->s);
			group = portal->group;
		}
		m.obj.id = p->obj.id;
		m.node = p->node;
		m.enabled = p->enabled;
		m.why = p->why;
		san_port_measure(s, &m);
		if (m.n_bindings != p->n_bindings || m.status != p->status)
			BROKEN("port %s shows %u portals, '%s'; it is %u, '%s'", p->name->s,
			       p->n_bindings, san_status_text(p->status), m.n_bindings,
			       san_status_text(m.status));
	}
	return 0;
}

static int check_portals(const struct san_state *s, struct err *e)
{
	const struct san_portal *p;
	struct san_walk w;

	for (p = san_first(&w, s, SAN_PORTALS); p; p = san_next(&w)) {
		struct san_portal *m;
		bool same;

		if (!san_group(s, p->group))
			BROKEN("portal %s is in no group", p->text->s);
		m = san_obj_dup(p);
		san_portal_measure(s, m);
		same = m->has_ip == p->has_ip && m->status == p->status && m->listen == p->listen;
		san_unref(m);
		if (!same)
			BROKEN("portal %s shows a status that is not its own: '%s'", p->text->s,
			       san_status_text(p->status));
	}
	return 0;
}

static int check_bindings(const struct san_state *s, struct err *e)
{
	const struct san_binding *b;
	struct san_walk w;

	/* That a portal serves one port of a node is the order of this index. */
	for (b = san_first(&w, s, SAN_BINDINGS_OF_PORTAL); b; b = san_next(&w)) {
		const struct san_port *p = san_port(s, b->port);
		const struct san_portal *portal = san_portal(s, b->portal);

		if (!p || !portal)
			BROKEN("a binding lacks its %s", p ? "portal" : "port");
		if (p->node != b->node || p->tpgt != b->tpgt || !streq(p->iqn->s, b->iqn->s) ||
		    !streq(p->identifier, b->identifier) ||
		    !streq(portal->text->s, b->portal_text->s))
			BROKEN("the binding of %s to %s says something else", portal->text->s,
			       p->name->s);
	}
	return 0;
}

static int check_units(const struct san_state *s, struct err *e)
{
	const struct san_pool *pool;
	const struct san_unit *u;
	const struct san_lun *l;
	struct san_walk w;

	for (u = san_first(&w, s, SAN_UNITS); u; u = san_next(&w)) {
		struct san_unit *m;
		bool same;

		pool = san_pool(s, u->pool);
		if (!pool || u->size == 0 ||
		    u->size % (*pool->device->s ? SAN_BLOCK_SIZE : SAN_VOLUME_UNIT) != 0)
			BROKEN("volume %s has no pool or an odd size", u->naa);
		if (!streq(u->device->s, pool->device->s))
			BROKEN("volume %s is on %s and its pool is %s", u->naa, u->device->s,
			       pool->device->s);
		m = san_obj_dup(u);
		san_unit_measure(s, m);
		same = m->n_luns == u->n_luns && m->status == u->status;
		san_unref(m);
		if (!same)
			BROKEN("volume %s shows %u attachments or a status that are not its own",
			       u->naa, u->n_luns);
	}
	for (l = san_first(&w, s, SAN_LUNS_OF_NODE); l; l = san_next(&w)) {
		const struct san_node *n = san_node(s, l->node);

		u = san_unit(s, l->unit);
		if (!n || !u || !streq(n->iqn->s, l->iqn->s) || !streq(u->naa, l->naa))
			BROKEN("logical unit %s of %s lacks its node or its volume", l->number,
			       l->iqn->s);
	}
	return 0;
}

static int check_rest(const struct san_state *s, struct err *e)
{
	const struct san_session *x;
	const struct san_group *g;
	const struct san_ip *ip;
	unsigned defaults = 0;
	struct san_walk w;

	for (g = san_first(&w, s, SAN_GROUPS); g; g = san_next(&w))
		defaults += g->is_default;
	if (defaults != 1 || !san_concrete_pool(s))
		BROKEN("there are %u default groups, or no pool", defaults);
	for (ip = san_first(&w, s, SAN_IPS); ip; ip = san_next(&w)) {
		if (!san_nic(s, ip->nic->s))
			BROKEN("address %s is on %s, which is not there", ip->address->s,
			       ip->nic->s);
	}
	for (x = san_first(&w, s, SAN_SESSIONS); x; x = san_next(&w)) {
		const struct san_port *p = san_port(s, x->port);

		if (!x->discovery && (!p || p->node != x->node))
			BROKEN("session %llu is on a port that is not there",
			       (unsigned long long)x->obj.id);
	}
	return 0;
}

int san_invariants(const struct san_state *s, struct err *e)
{
	static int (*const checks[])(const struct san_state *, struct err *) = {
		check_indexes, check_ports, check_portals, check_bindings, check_units, check_rest};

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		if (checks[i](s, e) < 0)
			return -EUCLEAN;
	}
	return 0;
}
