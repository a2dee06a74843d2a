/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "san/object.h"

struct san_str *san_str_new(const char *s)
{
	size_t n = strlen(s);
	struct san_str *x = xmalloc(sizeof(*x) + n + 1);

	atomic_init(&x->refs, 1);
	x->len = (uint32_t)n;
	memcpy(x->s, s, n + 1);
	return x;
}

struct san_str *san_str_ref(struct san_str *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void san_str_unref(struct san_str *s)
{
	if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
		free(s);
}

void san_str_set(struct san_str **field, const char *s)
{
	struct san_str *was = *field;

	*field = san_str_new(s);
	san_str_unref(was);
}

void san_str_share(struct san_str **field, struct san_str *s)
{
	struct san_str *was = *field;

	*field = san_str_ref(s);
	san_str_unref(was);
}

/* Where an object of each kind keeps its texts; 0 ends the list (obj stands at 0). */
#define AT(type, field) offsetof(struct san_##type, field)
static const struct layout {
	size_t size;
	size_t text[6];
} layouts[SAN_KINDS] = {
	[SAN_HOST] = {sizeof(struct san_host),     {AT(host, uuid), AT(host, name)}            },
	[SAN_SETTINGS] = {sizeof(struct san_settings), {AT(settings, authority)}                   },
	[SAN_ENGINE] = {sizeof(struct san_engine),   {AT(engine, kind), AT(engine, why)}         },
	[SAN_NIC] = {sizeof(struct san_nic),      {AT(nic, name)}                             },
	[SAN_IP] = {sizeof(struct san_ip),       {AT(ip, address), AT(ip, nic)}              },
	[SAN_POOL] = {sizeof(struct san_pool),
                      {AT(pool, name), AT(pool, device), AT(pool, identity), AT(pool, why)}    },
	[SAN_GROUP] = {sizeof(struct san_group),    {AT(group, name)}                           },
	[SAN_UNIT] = {sizeof(struct san_unit),
                      {AT(unit, name), AT(unit, why), AT(unit, device), AT(unit, identity)}    },
	[SAN_NODE] = {sizeof(struct san_node),     {AT(node, iqn), AT(node, alias)}            },
	[SAN_PORT] = {sizeof(struct san_port),     {AT(port, iqn), AT(port, name), AT(port, why)}},
	[SAN_PORTAL] = {sizeof(struct san_portal),
                      {AT(portal, address), AT(portal, text), AT(portal, why)}                 },
	[SAN_BINDING] = {sizeof(struct san_binding),  {AT(binding, iqn), AT(binding, portal_text)}},
	[SAN_LUN] = {sizeof(struct san_lun),      {AT(lun, iqn)}                              },
	[SAN_SESSION] = {sizeof(struct san_session),
                      {AT(session, iqn), AT(session, initiator), AT(session, initiator_alias),
			  AT(session, auth), AT(session, initiator_port)}                      },
	[SAN_FOREIGN] = {sizeof(struct san_foreign),
                      {AT(foreign, name), AT(foreign, at), AT(foreign, uses)}                  },
};

static struct san_str **text_at(void *obj, size_t offset)
{
	return (struct san_str **)(void *)((char *)obj + offset);
}

static size_t obj_size(const struct san_obj *o)
{
	size_t n = layouts[o->kind].size;

	if (o->kind == SAN_SESSION)
		n += ((const struct san_session *)(const void *)o)->n_connections *
		     sizeof(struct san_connection);
	return n;
}

static void *obj_born(struct san_obj *o, enum san_kind kind, uint64_t id)
{
	const struct layout *l = &layouts[kind];

	atomic_init(&o->refs, 1);
	o->kind = kind;
	o->id = id;
	for (size_t i = 0; i < ARRAY_SIZE(l->text) && l->text[i]; i++)
		*text_at(o, l->text[i]) = san_str_new("");
	return o;
}

void *san_obj_new(enum san_kind kind, uint64_t id)
{
	return obj_born(xcalloc(1, layouts[kind].size), kind, id);
}

struct san_session *san_session_new(uint64_t id, size_t n_connections)
{
	struct san_session *s = xcalloc(1, sizeof(*s) + n_connections * sizeof(s->connections[0]));

	s->n_connections = (uint32_t)n_connections;
	return obj_born(&s->obj, SAN_SESSION, id);
}

void *san_obj_dup(const void *obj)
{
	const struct san_obj *o = obj;
	const struct layout *l = &layouts[o->kind];
	size_t n = obj_size(o);
	struct san_obj *d = xmalloc(n);

	/* All but the count, which others may be changing at this moment. */
	memcpy((char *)d + sizeof(*d), (const char *)o + sizeof(*o), n - sizeof(*o));
	atomic_init(&d->refs, 1);
	d->kind = o->kind;
	d->id = o->id;
	for (size_t i = 0; i < ARRAY_SIZE(l->text) && l->text[i]; i++)
		san_str_ref(*text_at(d, l->text[i]));
	return d;
}

void *san_ref(const void *obj)
{
	union {
		const void *in;
		struct san_obj *out;
	} o = {.in = obj}; /* counting a reference is the one change a shared object sees */

	atomic_fetch_add_explicit(&o.out->refs, 1, memory_order_relaxed);
	return o.out;
}

void san_unref(void *obj)
{
	struct san_obj *o = obj;
	const struct layout *l;

	if (!o || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1)
		return;
	l = &layouts[o->kind];
	for (size_t i = 0; i < ARRAY_SIZE(l->text) && l->text[i]; i++)
		san_str_unref(*text_at(o, l->text[i]));
	free(o);
}

const char *san_status_text(enum san_status s)
{
	switch (s) {
	case SAN_OK:
		return "ok";
	case SAN_DISABLED:
		return "disabled";
	case SAN_STARTING:
		return "starting";
	case SAN_NO_PORTAL:
		return "no portal is bound to it";
	case SAN_DEGRADED:
		return "some portals do not serve";
	case SAN_LINK_DOWN:
		return "link down";
	case SAN_ADDRESS_TENTATIVE:
		return "address tentative";
	case SAN_ADDRESS_DUPLICATE:
		return "address in use by another host";
	case SAN_ADDRESS_GONE:
		return "address has left the host";
	case SAN_PORT_IN_USE:
		return "port in use by another process";
	case SAN_FAILED:
		return "failed";
	case SAN_NO_SERVICE:
		return "no portal serves";
	case SAN_ENGINE_DOWN:
		return "target not answering";
	}
	return "unknown";
}

static bool same_enabled(const struct san_enabled *a, const struct san_enabled *b)
{
	return a->on == b->on && a->requested == b->requested;
}

bool san_obj_same(const struct san_obj *a, const struct san_obj *b)
{
#define BOTH(type) const struct san_##type *x = (const void *)a, *y = (const void *)b;
	if (a->id != b->id || a->kind != b->kind)
		return false;
	switch (a->kind) {
	case SAN_SETTINGS:
	case SAN_ENGINE:
	case SAN_NIC:
	case SAN_IP:
	case SAN_SESSION:
	case SAN_FOREIGN:
	case SAN_KINDS:
		return true;
	case SAN_HOST: {
		BOTH(host)
		return streq(x->uuid->s, y->uuid->s);
	}
	case SAN_POOL: {
		BOTH(pool)
		return x->primordial == y->primordial && x->kind == y->kind &&
		       streq(x->device->s, y->device->s) && streq(x->name->s, y->name->s);
	}
	case SAN_GROUP: {
		BOTH(group)
		return x->is_default == y->is_default && streq(x->name->s, y->name->s);
	}
	case SAN_UNIT: {
		BOTH(unit)
		return x->pool == y->pool && streq(x->naa, y->naa) && x->size == y->size &&
		       x->created_us == y->created_us && streq(x->name->s, y->name->s) &&
		       streq(x->identity->s, y->identity->s);
	}
	case SAN_NODE: {
		BOTH(node)
		return same_enabled(&x->enabled, &y->enabled) && x->created_us == y->created_us &&
		       streq(x->iqn->s, y->iqn->s) && streq(x->alias->s, y->alias->s);
	}
	case SAN_PORT: {
		BOTH(port)
		return same_enabled(&x->enabled, &y->enabled) && x->node == y->node &&
		       x->tpgt == y->tpgt;
	}
	case SAN_PORTAL: {
		BOTH(portal)
		return same_enabled(&x->enabled, &y->enabled) && x->group == y->group &&
		       x->origin == y->origin && x->tcp_port == y->tcp_port &&
		       streq(x->address->s, y->address->s);
	}
	case SAN_BINDING: {
		BOTH(binding)
		return x->port == y->port && x->portal == y->portal;
	}
	case SAN_LUN: {
		BOTH(lun)
		return x->node == y->node && x->unit == y->unit && x->lun == y->lun;
	}
	}
#undef BOTH
	return false;
}

struct san_host *san_host_new(const char *uuid, const char *name)
{
	struct san_host *h = san_obj_new(SAN_HOST, 0);

	san_str_set(&h->uuid, uuid);
	san_str_set(&h->name, name);
	return h;
}

struct san_settings *san_settings_new(const char *authority)
{
	struct san_settings *c = san_obj_new(SAN_SETTINGS, 0);

	c->node_creation = c->port_creation = c->identifier_selection = true;
	c->default_portals = true;
	c->default_tcp_port = SAN_DEFAULT_TCP_PORT;
	c->logout_time = 3;
	san_str_set(&c->authority, authority);
	return c;
}

struct san_node *san_node_new(uint64_t id, const char *iqn, const char *alias, int64_t now_us)
{
	struct san_node *n = san_obj_new(SAN_NODE, id);

	san_str_set(&n->iqn, iqn);
	san_str_set(&n->alias, alias);
	n->enabled = (struct san_enabled){.on = true, .requested = 12, .changed_us = now_us};
	n->created_us = now_us;
	return n;
}

struct san_port *san_port_new(uint64_t id, const struct san_node *node, uint16_t tpgt,
			      int64_t now_us)
{
	struct san_port *p = san_obj_new(SAN_PORT, id);
	char name[SAN_IQN_MAX + 16];

	p->node = node->obj.id;
	p->tpgt = tpgt;
	(void)snprintf(p->identifier, sizeof(p->identifier), "%012X", tpgt);
	(void)snprintf(name, sizeof(name), "%s,t,0x%04x", node->iqn->s, tpgt);
	san_str_share(&p->iqn, node->iqn);
	san_str_set(&p->name, name);
	p->enabled = (struct san_enabled){.on = true, .requested = 12, .changed_us = now_us};
	p->status = SAN_NO_PORTAL;
	return p;
}

struct san_portal *san_portal_new(uint64_t id, const char *address, uint8_t family,
				  uint16_t tcp_port, uint64_t group, enum san_origin origin,
				  int64_t now_us)
{
	struct san_portal *p = san_obj_new(SAN_PORTAL, id);
	char text[SAN_PORTAL_TEXT];

	san_portal_format(text, address, family, tcp_port);
	san_str_set(&p->address, address);
	san_str_set(&p->text, text);
	p->family = family;
	p->tcp_port = tcp_port;
	p->group = group;
	p->origin = origin;
	p->enabled = (struct san_enabled){.on = true, .requested = 12, .changed_us = now_us};
	p->status = SAN_STARTING;
	return p;
}

struct san_binding *san_binding_new(uint64_t id, const struct san_port *port,
				    const struct san_portal *portal)
{
	struct san_binding *b = san_obj_new(SAN_BINDING, id);

	b->port = port->obj.id;
	b->portal = portal->obj.id;
	b->node = port->node;
	b->tpgt = port->tpgt;
	memcpy(b->identifier, port->identifier, sizeof(b->identifier));
	san_str_share(&b->iqn, port->iqn);
	san_str_share(&b->portal_text, portal->text);
	return b;
}

struct san_lun *san_lun_new(uint64_t id, const struct san_node *node, const struct san_unit *unit,
			    uint16_t lun)
{
	struct san_lun *l = san_obj_new(SAN_LUN, id);

	l->node = node->obj.id;
	l->unit = unit->obj.id;
	l->lun = lun;
	(void)snprintf(l->number, sizeof(l->number), "%X", lun);
	memcpy(l->naa, unit->naa, sizeof(l->naa));
	san_str_share(&l->iqn, node->iqn);
	return l;
}

struct san_group *san_group_new(uint64_t id, const char *name, bool is_default)
{
	struct san_group *g = san_obj_new(SAN_GROUP, id);

	san_str_set(&g->name, name);
	g->is_default = is_default;
	return g;
}

struct san_pool *san_pool_new(uint64_t id, const char *name, enum san_pool_kind kind,
			      const char *device)
{
	struct san_pool *p = san_obj_new(SAN_POOL, id);

	san_str_set(&p->name, name);
	p->kind = kind;
	p->primordial = !device;
	san_str_set(&p->device, device ? device : "");
	return p;
}

struct san_unit *san_unit_new(uint64_t id, const struct san_pool *pool, const char *naa,
			      const char *name, uint64_t size, int64_t now_us)
{
	struct san_unit *u = san_obj_new(SAN_UNIT, id);

	u->pool = pool->obj.id;
	san_str_share(&u->device, pool->device);
	san_str_share(&u->identity, pool->identity);
	(void)snprintf(u->naa, sizeof(u->naa), "%s", naa);
	san_str_set(&u->name, name);
	u->size = size;
	u->created_us = u->changed_us = now_us;
	return u;
}
