/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/str.h"
#include "san/object.h"
#include "san/state.h"

static int cmp_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static void item_ref(void *item)
{
	(void)san_ref(item);
}

struct pair {
	uint64_t a, b;
};

/* One index: its items' order, an item against a full key, an item against its owner alone. */
#define INDEX_BY_PAIR(name, type, A, B)                                                         \
	static int name##_key(const void *key, const void *item)                                \
	{                                                                                       \
		const struct pair *k = key;                                                     \
		const struct san_##type *x = item;                                              \
		int c = cmp_u64(k->a, x->A);                                                    \
                                                                                                \
		return c ? c : cmp_u64(k->b, x->B);                                             \
	}                                                                                       \
	static int name##_cmp(const void *a, const void *b)                                     \
	{                                                                                       \
		const struct san_##type *x = a;                                                 \
		struct pair k = {x->A, x->B};                                                   \
                                                                                                \
		return name##_key(&k, b);                                                       \
	}                                                                                       \
	static int name##_of(const void *owner, const void *item)                               \
	{                                                                                       \
		return cmp_u64(*(const uint64_t *)owner, ((const struct san_##type *)item)->A); \
	}                                                                                       \
	static const struct pset_type name##_type = {name##_cmp, item_ref, san_unref};

#define INDEX_BY_TEXT(name, type, TEXT)                                      \
	static int name##_key(const void *key, const void *item)             \
	{                                                                    \
		return strcmp(key, ((const struct san_##type *)item)->TEXT); \
	}                                                                    \
	static int name##_cmp(const void *a, const void *b)                  \
	{                                                                    \
		return strcmp(((const struct san_##type *)a)->TEXT,          \
			      ((const struct san_##type *)b)->TEXT);         \
	}                                                                    \
	static const struct pset_type name##_type = {name##_cmp, item_ref, san_unref};

static int by_id_key(const void *key, const void *item)
{
	return cmp_u64(*(const uint64_t *)key, ((const struct san_obj *)item)->id);
}
static int by_id_cmp(const void *a, const void *b)
{
	return cmp_u64(((const struct san_obj *)a)->id, ((const struct san_obj *)b)->id);
}
static const struct pset_type by_id_type = {by_id_cmp, item_ref, san_unref};

INDEX_BY_TEXT(nodes_by_iqn, node, iqn->s)
INDEX_BY_TEXT(nodes_by_alias, node, alias->s)
INDEX_BY_TEXT(units_by_naa, unit, naa)
INDEX_BY_TEXT(nics, nic, name->s)
INDEX_BY_TEXT(ips, ip, address->s)
INDEX_BY_TEXT(foreigns, foreign, name->s)
INDEX_BY_PAIR(ports_of_node, port, node, tpgt)
INDEX_BY_PAIR(portals_of_group, portal, group, obj.id)
INDEX_BY_PAIR(bindings_of_port, binding, port, portal)
INDEX_BY_PAIR(bindings_of_portal, binding, portal, node)
INDEX_BY_PAIR(luns_of_node, lun, node, lun)
INDEX_BY_PAIR(luns_of_unit, lun, unit, node)
INDEX_BY_PAIR(sessions_of_port, session, port, obj.id)
INDEX_BY_PAIR(sessions_of_node, session, node, obj.id)

struct place {
	const char *address;
	uint16_t tcp_port;
};
static int portals_by_text_key(const void *key, const void *item)
{
	const struct place *k = key;
	const struct san_portal *p = item;
	int c = strcmp(k->address, p->address->s);

	return c ? c : cmp_u64(k->tcp_port, p->tcp_port);
}
static int portals_by_text_cmp(const void *a, const void *b)
{
	const struct san_portal *p = a;
	struct place k = {p->address->s, p->tcp_port};

	return portals_by_text_key(&k, b);
}
static int portals_by_text_of(const void *owner, const void *item)
{
	return strcmp(owner, ((const struct san_portal *)item)->address->s);
}
static const struct pset_type portals_by_text_type = {portals_by_text_cmp, item_ref, san_unref};

static int ips_of_nic_cmp(const void *a, const void *b)
{
	const struct san_ip *x = a, *y = b;
	int c = strcmp(x->nic->s, y->nic->s);

	return c ? c : strcmp(x->address->s, y->address->s);
}
static int ips_of_nic_of(const void *owner, const void *item)
{
	return strcmp(owner, ((const struct san_ip *)item)->nic->s);
}
static int sessions_of_initiator_cmp(const void *a, const void *b)
{
	const struct san_session *x = a, *y = b;
	int c = strcmp(x->initiator_port->s, y->initiator_port->s);

	return c ? c : cmp_u64(x->obj.id, y->obj.id);
}
static int sessions_of_initiator_of(const void *owner, const void *item)
{
	return strcmp(owner, ((const struct san_session *)item)->initiator_port->s);
}
static const struct pset_type sessions_of_initiator_type = {sessions_of_initiator_cmp, item_ref,
							    san_unref};
static const struct pset_type ips_of_nic_type = {ips_of_nic_cmp, item_ref, san_unref};

const struct san_index_type san_index_types[SAN_INDEXES] = {
	[SAN_NODES] = {SAN_NODE,    &by_id_type,                 NULL                 },
	[SAN_NODES_BY_IQN] = {SAN_NODE,    &nodes_by_iqn_type,          NULL                 },
	[SAN_NODES_BY_ALIAS] = {SAN_NODE,    &nodes_by_alias_type,        NULL                 },
	[SAN_PORTS] = {SAN_PORT,    &by_id_type,                 NULL                 },
	[SAN_PORTS_OF_NODE] = {SAN_PORT,    &ports_of_node_type,         ports_of_node_of     },
	[SAN_PORTALS] = {SAN_PORTAL,  &by_id_type,                 NULL                 },
	[SAN_PORTALS_BY_TEXT] = {SAN_PORTAL,  &portals_by_text_type,       portals_by_text_of   },
	[SAN_PORTALS_OF_GROUP] = {SAN_PORTAL,  &portals_of_group_type,      portals_of_group_of  },
	[SAN_GROUPS] = {SAN_GROUP,   &by_id_type,                 NULL                 },
	[SAN_BINDINGS_OF_PORT] = {SAN_BINDING, &bindings_of_port_type,      bindings_of_port_of  },
	[SAN_BINDINGS_OF_PORTAL] = {SAN_BINDING, &bindings_of_portal_type,    bindings_of_portal_of},
	[SAN_POOLS] = {SAN_POOL,    &by_id_type,                 NULL                 },
	[SAN_UNITS] = {SAN_UNIT,    &by_id_type,                 NULL                 },
	[SAN_UNITS_BY_NAA] = {SAN_UNIT,    &units_by_naa_type,          NULL                 },
	[SAN_LUNS_OF_NODE] = {SAN_LUN,     &luns_of_node_type,          luns_of_node_of      },
	[SAN_LUNS_OF_UNIT] = {SAN_LUN,     &luns_of_unit_type,          luns_of_unit_of      },
	[SAN_NICS] = {SAN_NIC,     &nics_type,                  NULL                 },
	[SAN_IPS] = {SAN_IP,      &ips_type,                   NULL                 },
	[SAN_IPS_OF_NIC] = {SAN_IP,      &ips_of_nic_type,            ips_of_nic_of        },
	[SAN_SESSIONS] = {SAN_SESSION, &by_id_type,                 NULL                 },
	[SAN_SESSIONS_OF_PORT] = {SAN_SESSION, &sessions_of_port_type,      sessions_of_port_of  },
	[SAN_SESSIONS_OF_NODE] = {SAN_SESSION, &sessions_of_node_type,      sessions_of_node_of  },
	[SAN_SESSIONS_OF_INITIATOR] = {SAN_SESSION, &sessions_of_initiator_type,
                       sessions_of_initiator_of                                       },
	[SAN_FOREIGNS] = {SAN_FOREIGN, &foreigns_type,              NULL                 },
};

/* ---- the state's own life ---- */

struct san_state *san_state_empty(struct san_host *host, struct san_settings *settings)
{
	struct san_state *s = xcalloc(1, sizeof(*s));

	atomic_init(&s->refs, 1);
	s->next_id = 1;
	s->host = host;
	s->settings = settings;
	s->engine = san_obj_new(SAN_ENGINE, 0);
	for (size_t i = 0; i < SAN_INDEXES; i++)
		s->index[i] = pset_of(san_index_types[i].type);
	return s;
}

struct san_state *san_state_new(struct san_host *host, struct san_settings *settings,
				int64_t now_us)
{
	AUTO(san_state) s = san_state_empty(host, settings);
	struct san_changes auto_changes ch = {0};

	san_first_objects(&ch);
	return san_apply(take(s), &ch, now_us, NULL);
}

void san_first_objects(struct san_changes *ch)
{
	san_changes_add(ch, SAN_GROUP, NULL, san_group_new(1, "default", true));
	san_changes_add(ch, SAN_POOL, NULL, san_pool_new(2, "file system", SAN_POOL_FILES, NULL));
	san_changes_add(ch, SAN_POOL, NULL, san_pool_new(3, "default", SAN_POOL_FILES, ""));
}

struct san_state *san_state_copy(const struct san_state *s)
{
	struct san_state *c = xcalloc(1, sizeof(*c));

	atomic_init(&c->refs, 1);
	c->generation = s->generation;
	c->config_generation = s->config_generation;
	c->next_id = s->next_id;
	c->host = san_ref(s->host);
	c->settings = san_ref(s->settings);
	c->engine = san_ref(s->engine);
	for (size_t i = 0; i < SAN_INDEXES; i++)
		c->index[i] = pset_copy(&s->index[i]);
	return c;
}

struct san_state *san_state_ref(const struct san_state *s)
{
	union {
		const struct san_state *in;
		struct san_state *out;
	} u = {.in = s};

	atomic_fetch_add_explicit(&u.out->refs, 1, memory_order_relaxed);
	return u.out;
}

void san_state_unref(struct san_state *s)
{
	if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < SAN_INDEXES; i++)
		pset_done(&s->index[i]);
	san_unref(s->host);
	san_unref(s->settings);
	san_unref(s->engine);
	free(s);
}

/* ---- walking ---- */

const void *san_first(struct san_walk *w, const struct san_state *s, enum san_index i)
{
	w->within = NULL;
	return pset_first(&s->index[i], &w->it);
}

const void *san_first_of(struct san_walk *w, const struct san_state *s, enum san_index i,
			 uint64_t owner)
{
	const void *item;

	w->within = san_index_types[i].of;
	w->by_text = false;
	w->owner = owner;
	item = pset_seek(&s->index[i], &w->it, &w->owner, w->within);
	return item && w->within(&w->owner, item) == 0 ? item : NULL;
}

const void *san_first_of_text(struct san_walk *w, const struct san_state *s, enum san_index i,
			      const char *owner)
{
	const void *item;

	w->within = san_index_types[i].of;
	w->by_text = true;
	w->text = owner;
	item = pset_seek(&s->index[i], &w->it, owner, w->within);
	return item && w->within(owner, item) == 0 ? item : NULL;
}

const void *san_next(struct san_walk *w)
{
	const void *item = pset_next(&w->it);

	if (!item || !w->within)
		return item;
	return w->within(w->by_text ? w->text : (const void *)&w->owner, item) == 0 ? item : NULL;
}

/* ---- look-ups ---- */

static const void *by_id(const struct san_state *s, enum san_index i, uint64_t id)
{
	return pset_find(&s->index[i], &id, by_id_key);
}

const struct san_node *san_node(const struct san_state *s, uint64_t id)
{
	return by_id(s, SAN_NODES, id);
}
const struct san_port *san_port(const struct san_state *s, uint64_t id)
{
	return by_id(s, SAN_PORTS, id);
}
const struct san_portal *san_portal(const struct san_state *s, uint64_t id)
{
	return by_id(s, SAN_PORTALS, id);
}
const struct san_group *san_group(const struct san_state *s, uint64_t id)
{
	return by_id(s, SAN_GROUPS, id);
}
const struct san_pool *san_pool(const struct san_state *s, uint64_t id)
{
	return by_id(s, SAN_POOLS, id);
}
const struct san_pool *san_pool_of_device(const struct san_state *s, const char *path)
{
	struct san_walk w;
	const struct san_pool *p = san_first(&w, s, SAN_POOLS);

	while (p && (p->primordial || !streq(p->device->s, path)))
		p = san_next(&w);
	return p;
}

const struct san_foreign *san_foreign(const struct san_state *s, const char *name)
{
	return pset_find(&s->index[SAN_FOREIGNS], name, foreigns_key);
}

const struct san_foreign *san_foreign_target(const struct san_state *s, const char *iqn)
{
	struct san_walk w;
	const struct san_foreign *f = san_first(&w, s, SAN_FOREIGNS);

	while (f && (f->kind != SAN_FOREIGN_TARGET || !str_caseeq(f->name->s, iqn)))
		f = san_next(&w);
	return f;
}

const struct san_unit *san_unit(const struct san_state *s, uint64_t id)
{
	return by_id(s, SAN_UNITS, id);
}
const struct san_session *san_session(const struct san_state *s, uint64_t id)
{
	return by_id(s, SAN_SESSIONS, id);
}

const struct san_node *san_node_by_iqn(const struct san_state *s, const char *iqn)
{
	const struct san_node *n = pset_find(&s->index[SAN_NODES_BY_IQN], iqn, nodes_by_iqn_key);
	char norm[SAN_IQN_MAX + 1];

	if (n || san_iqn_check(iqn, norm, NULL) < 0)
		return n;
	return pset_find(&s->index[SAN_NODES_BY_IQN], norm, nodes_by_iqn_key);
}

const struct san_node *san_node_by_alias(const struct san_state *s, const char *nfc)
{
	return pset_find(&s->index[SAN_NODES_BY_ALIAS], nfc, nodes_by_alias_key);
}

const struct san_port *san_port_at(const struct san_state *s, uint64_t node, uint16_t tpgt)
{
	struct pair k = {node, tpgt};

	return pset_find(&s->index[SAN_PORTS_OF_NODE], &k, ports_of_node_key);
}

const struct san_port *san_port_by_name(const struct san_state *s, const char *name)
{
	const char *end = strrchr(name, 'x');
	char iqn[SAN_IQN_MAX + 1];
	const struct san_node *n;
	uint64_t tpgt;
	size_t len;

	if (!end || end - name < 5 || strlen(end + 1) != 4 || !str_hex64(end + 1, 4, &tpgt) ||
	    memcmp(end - 4, ",t,0", 4) != 0)
		return NULL;
	len = (size_t)(end - 4 - name);
	if (len > SAN_IQN_MAX)
		return NULL;
	memcpy(iqn, name, len);
	iqn[len] = '\0';
	n = san_node_by_iqn(s, iqn);
	return n ? san_port_at(s, n->obj.id, (uint16_t)tpgt) : NULL;
}

const struct san_portal *san_portal_at(const struct san_state *s, const char *address,
				       uint16_t tcp_port)
{
	struct place k = {address, tcp_port};

	return pset_find(&s->index[SAN_PORTALS_BY_TEXT], &k, portals_by_text_key);
}

const struct san_portal *san_portal_by_text(const struct san_state *s, const char *text)
{
	char address[SAN_ADDRESS_TEXT];
	uint32_t port;
	uint8_t family;

	if (!san_portal_parse(text, address, &family, &port) || port == 0 || port > UINT16_MAX)
		return NULL;
	return san_portal_at(s, address, (uint16_t)port);
}

const struct san_group *san_default_group(const struct san_state *s)
{
	struct san_walk w;
	const struct san_group *g = san_first(&w, s, SAN_GROUPS);

	while (g && !g->is_default) /* it was the first to be made */
		g = san_next(&w);
	return g;
}

const struct san_binding *san_binding(const struct san_state *s, uint64_t port, uint64_t portal)
{
	struct pair k = {port, portal};

	return pset_find(&s->index[SAN_BINDINGS_OF_PORT], &k, bindings_of_port_key);
}

const struct san_binding *san_binding_of_node(const struct san_state *s, uint64_t portal,
					      uint64_t node)
{
	struct pair k = {portal, node};

	return pset_find(&s->index[SAN_BINDINGS_OF_PORTAL], &k, bindings_of_portal_key);
}

const struct san_pool *san_concrete_pool(const struct san_state *s)
{
	struct san_walk w;
	const struct san_pool *p = san_first(&w, s, SAN_POOLS);

	while (p && (p->primordial || p->kind != SAN_POOL_FILES))
		p = san_next(&w);
	return p;
}

const struct san_unit *san_unit_by_naa(const struct san_state *s, const char *naa)
{
	char upper[17];
	uint64_t v;

	if (strlen(naa) != 16 || !str_hex64(naa, 16, &v))
		return NULL;
	(void)snprintf(upper, sizeof(upper), "%016llX", (unsigned long long)v);
	return pset_find(&s->index[SAN_UNITS_BY_NAA], upper, units_by_naa_key);
}

const struct san_lun *san_lun_at(const struct san_state *s, uint64_t node, uint16_t lun)
{
	struct pair k = {node, lun};

	return pset_find(&s->index[SAN_LUNS_OF_NODE], &k, luns_of_node_key);
}

const struct san_lun *san_lun_of(const struct san_state *s, uint64_t node, uint64_t unit)
{
	struct pair k = {unit, node};

	return pset_find(&s->index[SAN_LUNS_OF_UNIT], &k, luns_of_unit_key);
}

const struct san_nic *san_nic(const struct san_state *s, const char *name)
{
	return pset_find(&s->index[SAN_NICS], name, nics_key);
}

const struct san_ip *san_ip(const struct san_state *s, const char *address)
{
	return pset_find(&s->index[SAN_IPS], address, ips_key);
}
