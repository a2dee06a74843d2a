/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "base/str.h"
#include "test.h"
#include "toy.h"

/* ---- the schema ---- */

#define NAME(s) .name = s, .name_len = sizeof(s) - 1
#define PROP(id, nm, ty, fl, owner, ...)                                        \
	static const struct cim_prop id = {NAME(nm), .type = ty, .flags = (fl) | CIM_F_READ, \
					   .origin = &owner, .declared = &owner, __VA_ARGS__};

static const struct cim_class element, system_, host, port, eth, fc, empty, dependency, hostport, peer,
	profile, conforms;

PROP(p_element_name, "ElementName", CIM_STRING, CIM_F_WRITE, element)
PROP(p_name, "Name", CIM_STRING, CIM_F_KEY, system_)
PROP(p_status, "Status", CIM_UINT16, CIM_F_ARRAY, host)
PROP(p_system_name, "SystemName", CIM_STRING, CIM_F_KEY, port)
PROP(p_device_id, "DeviceID", CIM_STRING, CIM_F_KEY, port)
PROP(p_number, "Number", CIM_UINT16, 0, port)
PROP(p_speed, "Speed", CIM_UINT64, CIM_F_WRITE, eth,
     .dflt = {.type = CIM_UINT64, .kind = CIM_V_SCALAR, .u = 1000})
PROP(p_up, "Up", CIM_BOOLEAN, 0, eth)
PROP(p_wwn, "Wwn", CIM_STRING, 0, fc)
PROP(p_id, "ID", CIM_UINT32, CIM_F_KEY, empty)
PROP(p_ante, "Antecedent", CIM_REF, CIM_F_KEY, dependency, .ref_class = &element)
PROP(p_dep, "Dependent", CIM_REF, CIM_F_KEY, dependency, .ref_class = &element)
PROP(p_hp_ante, "Antecedent", CIM_REF, CIM_F_KEY, hostport, .ref_class = &system_)
PROP(p_hp_dep, "Dependent", CIM_REF, CIM_F_KEY, hostport, .ref_class = &port)
PROP(p_slot, "Slot", CIM_UINT16, 0, hostport)
PROP(p_pe_ante, "Antecedent", CIM_REF, CIM_F_KEY, peer, .ref_class = &port)
PROP(p_pe_dep, "Dependent", CIM_REF, CIM_F_KEY, peer, .ref_class = &port)
PROP(p_instance_id, "InstanceID", CIM_STRING, CIM_F_KEY, profile)
PROP(p_reg_name, "RegisteredName", CIM_STRING, 0, profile)
PROP(p_standard, "ConformantStandard", CIM_REF, CIM_F_KEY, conforms, .ref_class = &profile)
PROP(p_managed, "ManagedElement", CIM_REF, CIM_F_KEY, conforms, .ref_class = &element)

#define PROPS(id, ...) static const struct cim_prop *const id##_props[] = {__VA_ARGS__};
PROPS(element, &p_element_name)
PROPS(system_, &p_element_name, &p_name)
PROPS(host, &p_element_name, &p_name, &p_status)
PROPS(port, &p_element_name, &p_system_name, &p_device_id, &p_number)
PROPS(eth, &p_element_name, &p_system_name, &p_device_id, &p_number, &p_speed, &p_up)
PROPS(fc, &p_element_name, &p_system_name, &p_device_id, &p_number, &p_wwn)
PROPS(empty, &p_element_name, &p_id)
PROPS(dependency, &p_ante, &p_dep)
PROPS(hostport, &p_hp_ante, &p_hp_dep, &p_slot)
PROPS(peer, &p_pe_ante, &p_pe_dep)
PROPS(profile, &p_instance_id, &p_reg_name)
PROPS(conforms, &p_standard, &p_managed)

enum { HOST_ELEMENT_NAME, HOST_NAME, HOST_STATUS };
enum { PORT_ELEMENT_NAME, PORT_SYSTEM_NAME, PORT_DEVICE_ID, PORT_NUMBER, ETH_SPEED, ETH_UP,
       FC_WWN = ETH_SPEED };
enum { END_0, END_1, HOSTPORT_SLOT };

#define PARAM(nm, ty, fl, ...) {.name = nm, .type = ty, .flags = fl, __VA_ARGS__}
static const struct cim_param rename_params[] = {
	PARAM("Alias", CIM_STRING, CIM_F_IN),
	PARAM("Times", CIM_UINT16, CIM_F_IN),
	PARAM("OldAlias", CIM_STRING, CIM_F_OUT),
};
static const struct cim_param resolve_params[] = {
	PARAM("Port", CIM_REF, CIM_F_IN, .ref_class = &port),
	PARAM("Ports", CIM_REF, CIM_F_IN | CIM_F_ARRAY, .ref_class = &port),
	PARAM("Found", CIM_REF, CIM_F_OUT, .ref_class = &port),
	PARAM("Goal", CIM_OBJECT, CIM_F_IN),
	PARAM("When", CIM_DATETIME, CIM_F_IN),
};
#define METHOD(id, nm, ty, fl, n, ...)                                                      \
	static const struct cim_method id = {.name = nm, .type = ty, .flags = fl, .n_params = n, \
					     .origin = &host, .declared = &host, __VA_ARGS__};
METHOD(m_rename, "Rename", CIM_UINT32, 0, 3, .params = rename_params)
METHOD(m_resolve, "Resolve", CIM_UINT32, 0, 5, .params = resolve_params)
METHOD(m_count, "Count", CIM_UINT32, CIM_F_STATIC, 0)
METHOD(m_unserved, "Unserved", CIM_UINT32, 0, 0)
METHOD(m_odd, "Odd", CIM_STRING, 0, 0)
static const struct cim_method *const host_methods[] = {&m_rename, &m_resolve, &m_count, &m_unserved,
							&m_odd};

static const uint16_t key_0[] = {0}, key_1[] = {1}, keys_12[] = {1, 2}, keys_01[] = {0, 1};
static const struct cim_class *const element_subs[] = {&system_, &port, &empty};
static const struct cim_class *const system_subs[] = {&host};
static const struct cim_class *const port_subs[] = {&eth, &fc};
static const struct cim_class *const dependency_subs[] = {&hostport, &peer};

#define CLASS(var, nm, number, ...)                                                         \
	static const struct cim_class var = {NAME(nm), .id = number, .props = var##_props,  \
					     .n_props = ARRAY_SIZE(var##_props), __VA_ARGS__};
#define KEYS(k) .keys = k, .n_keys = ARRAY_SIZE(k)
#define SUBS(s) .subs = s, .n_subs = ARRAY_SIZE(s)
CLASS(element, "CIM_ManagedElement", T_ELEMENT, .flags = CIM_C_ABSTRACT, SUBS(element_subs))
CLASS(system_, "CIM_System", T_SYSTEM, .flags = CIM_C_ABSTRACT, .super = &element, KEYS(key_1),
      SUBS(system_subs))
CLASS(host, "TOY_Host", T_HOST, .super = &system_, KEYS(key_1), .methods = host_methods,
      .n_methods = ARRAY_SIZE(host_methods))
CLASS(port, "CIM_Port", T_PORT, .flags = CIM_C_ABSTRACT, .super = &element, KEYS(keys_12),
      SUBS(port_subs))
CLASS(eth, "TOY_EthPort", T_ETH, .super = &port, KEYS(keys_12))
CLASS(fc, "TOY_FcPort", T_FC, .super = &port, KEYS(keys_12))
CLASS(empty, "TOY_Empty", T_EMPTY, .super = &element, KEYS(key_1))
CLASS(dependency, "CIM_Dependency", T_DEPENDENCY, .flags = CIM_C_ABSTRACT | CIM_C_ASSOCIATION,
      KEYS(keys_01), SUBS(dependency_subs))
CLASS(hostport, "TOY_HostPort", T_HOSTPORT, .flags = CIM_C_ASSOCIATION, .super = &dependency,
      KEYS(keys_01))
CLASS(peer, "TOY_Peer", T_PEER, .flags = CIM_C_ASSOCIATION, .super = &dependency, KEYS(keys_01))
CLASS(profile, "CIM_RegisteredProfile", T_PROFILE, KEYS(key_0))
CLASS(conforms, "TOY_Conforms", T_CONFORMS, .flags = CIM_C_ASSOCIATION, KEYS(keys_01))

static const struct cim_class *const classes[T_N] = {
	[T_ELEMENT] = &element,	  [T_SYSTEM] = &system_,     [T_HOST] = &host,
	[T_PORT] = &port,	  [T_ETH] = &eth,	     [T_FC] = &fc,
	[T_EMPTY] = &empty,	  [T_DEPENDENCY] = &dependency, [T_HOSTPORT] = &hostport,
	[T_PEER] = &peer,	  [T_PROFILE] = &profile,    [T_CONFORMS] = &conforms};
static const struct cim_qualdecl qualdecls[] = {
	{"Key", {.type = CIM_BOOLEAN, .kind = CIM_V_SCALAR}, CIM_S_PROPERTY, CIM_Q_TOSUBCLASS},
	{"Description", {.type = CIM_STRING}, CIM_S_CLASS, CIM_Q_TRANSLATABLE}};
static uint16_t hash[64]; /* filled before main() */
static const struct cim_schema schema = {.classes = classes, .n_classes = T_N, .hash = hash,
					 .hash_size = ARRAY_SIZE(hash), .qualdecls = qualdecls,
					 .n_qualdecls = ARRAY_SIZE(qualdecls)};
static const uint64_t toy_members = (1U << T_PROFILE) - 1;
static const uint64_t interop_members = 1U << T_PROFILE | 1U << T_CONFORMS | 1U << T_ELEMENT;
static const struct cim_namespace ns_toy = {"root/toy", &schema, &toy_members};
static const struct cim_namespace ns_interop = {"interop", &schema, &interop_members};

__attribute__((constructor)) static void fill_hash(void)
{
	memset(hash, 0xff, sizeof(hash));
	for (uint16_t i = 0; i < T_N; i++) {
		size_t at = str_casehash(classes[i]->name, classes[i]->name_len) %
			    ARRAY_SIZE(hash);

		while (hash[at] != 0xffff)
			at = (at + 1) % ARRAY_SIZE(hash);
		hash[at] = i;
	}
}

const struct cim_class *toy_class(unsigned id)
{
	return classes[id];
}

const struct cim_schema *toy_schema(void)
{
	return &schema;
}

/* ---- the state ---- */

struct state {
	int refs;
	unsigned n;
	struct tport {
		unsigned number;
		uint64_t speed;
		char id[12], alias[32];
	} *port; /* by number */
	char alias[32]; /* of the host */
};

struct change {
	enum { ADD_PORT, DROP_PORT, SET_SPEED, SET_ALIAS, SET_PORT_ALIAS } what;
	unsigned number;
	uint64_t speed;
	char text[32];
};

struct changes {
	struct change c[8];
	unsigned n;
};

struct toy {
	struct prov_module mod;
	const struct prov_module *mods[1];
	struct prov_class classes[4];
	struct prov_assoc assocs[3];
	struct broker *broker;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct state *now;
	struct prov_write *head, **tail;
	enum toy_writer how;
	enum prov_outcome outcome;
	int pinned;
	bool stop;
	pthread_t writer;
};

static void put_state(struct state *s)
{
	if (--s->refs > 0)
		return;
	free(s->port);
	free(s);
}

static const void *view_get(void *user)
{
	struct toy *t = user;
	const void *v;

	(void)pthread_mutex_lock(&t->lock);
	t->now->refs++;
	t->pinned++;
	v = t->now;
	(void)pthread_mutex_unlock(&t->lock);
	return v;
}

static void view_put(void *user, const void *view)
{
	struct toy *t = user;
	union {
		const void *c;
		struct state *s;
	} u = {view};

	(void)pthread_mutex_lock(&t->lock);
	t->pinned--;
	put_state(u.s);
	(void)pthread_mutex_unlock(&t->lock);
}

static void *changes_new(void *user)
{
	(void)user;
	return xcalloc(1, sizeof(struct changes));
}

static void changes_free(void *user, void *c)
{
	(void)user;
	free(c);
}

static bool changes_any(const void *c)
{
	return ((const struct changes *)c)->n > 0;
}

static struct tport *port_at(const struct state *s, unsigned number)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (s->port[mid].number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->n && s->port[lo].number == number ? &s->port[lo] : NULL;
}

static void add_port(struct state *s, unsigned number, uint64_t speed, const char *alias)
{
	struct tport *p = &s->port[s->n++];

	p->number = number;
	p->speed = speed;
	(void)snprintf(p->id, sizeof(p->id), "p%u", number);
	(void)snprintf(p->alias, sizeof(p->alias), "%s", alias);
}

static void apply(struct state *s, const struct change *c)
{
	struct tport *p = port_at(s, c->number);

	switch (c->what) {
	case ADD_PORT:
		add_port(s, c->number, c->speed, c->text);
		break;
	case DROP_PORT:
		memmove(p, p + 1, (size_t)(&s->port[s->n] - (p + 1)) * sizeof(*p));
		s->n--;
		break;
	case SET_SPEED:
		p->speed = c->speed;
		break;
	case SET_PORT_ALIAS:
		memcpy(p->alias, c->text, sizeof(p->alias));
		break;
	case SET_ALIAS:
	default:
		memcpy(s->alias, c->text, sizeof(s->alias));
	}
}

static struct state *changed(const struct state *old, const struct changes *c)
{
	struct state *s = xcalloc(1, sizeof(*s));

	s->refs = 1; /* old's own count belongs to the readers */
	s->n = old->n;
	memcpy(s->alias, old->alias, sizeof(s->alias));
	s->port = xcalloc(old->n + 8U, sizeof(*s->port));
	memcpy(s->port, old->port, old->n * sizeof(*s->port));
	for (unsigned i = 0; i < c->n; i++)
		apply(s, &c->c[i]);
	return s;
}

/* One write; only one thread at a time gets here. */
static void write_one(struct toy *t, struct prov_write *w)
{
	struct changes c = {0};
	struct state *next, *old;
	struct err e = {0};

	(void)pthread_mutex_lock(&t->lock);
	old = t->now;
	(void)pthread_mutex_unlock(&t->lock);
	if (!w->run(w, old, &c)) {
		w->done(w, PROV_REFUSED, NULL);
		return;
	}
	if (t->outcome != PROV_OK) {
		(void)err_set(&e, -EIO, "the toy is broken");
		w->done(w, t->outcome, &e);
		return;
	}
	next = changed(old, &c);
	(void)pthread_mutex_lock(&t->lock);
	t->now = next;
	put_state(old);
	(void)pthread_mutex_unlock(&t->lock);
	w->done(w, PROV_OK, NULL);
}

static struct prov_write *take_write(struct toy *t)
{
	struct prov_write *w = t->head;

	if (w) {
		t->head = w->next_;
		if (!t->head)
			t->tail = &t->head;
	}
	return w;
}

static void *writer(void *arg)
{
	struct toy *t = arg;

	(void)pthread_mutex_lock(&t->lock);
	for (;;) {
		struct prov_write *w = take_write(t);

		if (w) {
			(void)pthread_mutex_unlock(&t->lock);
			write_one(t, w);
			(void)pthread_mutex_lock(&t->lock);
		} else if (t->stop) {
			break;
		} else {
			(void)pthread_cond_wait(&t->more, &t->lock);
		}
	}
	(void)pthread_mutex_unlock(&t->lock);
	return NULL;
}

void toy_release(struct toy *t)
{
	struct prov_write *w;

	for (;;) {
		(void)pthread_mutex_lock(&t->lock);
		w = take_write(t);
		(void)pthread_mutex_unlock(&t->lock);
		if (!w)
			return;
		write_one(t, w);
	}
}

void toy_drop(struct toy *t, enum prov_outcome o)
{
	struct prov_write *w;

	while ((w = take_write(t)))
		w->done(w, o, NULL);
}

static void submit(void *user, struct prov_write *w)
{
	struct toy *t = user;

	(void)pthread_mutex_lock(&t->lock);
	w->next_ = NULL;
	*t->tail = w;
	t->tail = &w->next_;
	(void)pthread_cond_signal(&t->more);
	(void)pthread_mutex_unlock(&t->lock);
	if (t->how == TOY_INLINE)
		toy_release(t);
}

/* ---- classes ---- */

static bool host_next(const struct prov_ctx *c, struct prov_iter *it, struct prov_obj *ret)
{
	ret->p = c->view;
	return it->w[0]++ == 0;
}

static void host_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	(void)c, (void)o;
	ret[0] = cim_str("h");
}

static void host_fill(const struct prov_ctx *c, const struct prov_obj *o, struct cim_instance *i)
{
	static const struct cim_value status[] = {
		{.type = CIM_UINT16, .kind = CIM_V_SCALAR, .u = 2},
		{.type = CIM_UINT16, .kind = CIM_V_SCALAR, .u = 5}};
	const struct state *s = c->view;

	(void)o;
	i->v[HOST_ELEMENT_NAME] = cim_str(s->alias);
	i->v[HOST_STATUS] = cim_array(CIM_UINT16, status, 2);
}

static bool port_next_of(const struct state *s, unsigned odd, struct prov_iter *it,
			 struct prov_obj *ret)
{
	while (it->w[0] < s->n) {
		const struct tport *p = &s->port[it->w[0]++];

		if (p->number % 2 == odd) {
			ret->p = p;
			return true;
		}
	}
	return false;
}

static bool eth_next(const struct prov_ctx *c, struct prov_iter *it, struct prov_obj *ret)
{
	return port_next_of(c->view, 1, it, ret);
}

static bool fc_next(const struct prov_ctx *c, struct prov_iter *it, struct prov_obj *ret)
{
	return port_next_of(c->view, 0, it, ret);
}

static bool port_find(const struct prov_ctx *c, const struct cim_value *keys, unsigned odd,
		      struct prov_obj *ret)
{
	uint64_t number;

	if (!streq(keys[0].s, "h") || keys[1].n < 2 || keys[1].s[0] != 'p' ||
	    !str_u64(keys[1].s + 1, keys[1].n - 1, 1U << 30, &number) || number % 2 != odd)
		return false;
	ret->p = port_at(c->view, (unsigned)number);
	return ret->p != NULL;
}

static bool eth_find(const struct prov_ctx *c, const struct cim_value *keys, struct prov_obj *ret)
{
	return port_find(c, keys, 1, ret);
}

static bool fc_find(const struct prov_ctx *c, const struct cim_value *keys, struct prov_obj *ret)
{
	return port_find(c, keys, 0, ret);
}

static void port_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	const struct tport *p = o->p;

	(void)c;
	ret[0] = cim_str("h");
	ret[1] = cim_str(p->id);
}

static void eth_fill(const struct prov_ctx *c, const struct prov_obj *o, struct cim_instance *i)
{
	const struct tport *p = o->p;

	i->v[PORT_ELEMENT_NAME] = cim_str(arena_printf(c->arena, "%s", p->alias));
	i->v[PORT_NUMBER] = cim_u16((uint16_t)p->number);
	i->v[ETH_SPEED] = cim_u64(p->speed);
	i->v[ETH_UP] = cim_bool(p->number % 3 != 0);
}

static void fc_fill(const struct prov_ctx *c, const struct prov_obj *o, struct cim_instance *i)
{
	const struct tport *p = o->p;

	(void)c;
	i->v[PORT_NUMBER] = cim_u16((uint16_t)p->number);
	i->v[FC_WWN] = p->number % 4 ? cim_str("50:00") : cim_null(CIM_STRING);
}

static uint64_t eth_count(const struct prov_ctx *c)
{
	const struct state *s = c->view;
	uint64_t n = 0;

	for (unsigned i = 0; i < s->n; i++)
		n += s->port[i].number % 2;
	return n;
}

static void profile_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	(void)c, (void)o;
	ret[0] = cim_str("toy");
}

/* ---- associations ---- */

static const struct toy *toy_of(const struct prov_ctx *c)
{
	return c->mod->user;
}

static struct prov_obj host_obj(const struct prov_ctx *c)
{
	return (struct prov_obj){&toy_of(c)->classes[0], c->view, 0};
}

static struct prov_obj port_obj(const struct prov_ctx *c, const struct tport *p)
{
	return (struct prov_obj){&toy_of(c)->classes[p->number % 2 ? 1 : 2], p, 0};
}

static struct prov_obj profile_obj(const struct prov_ctx *c)
{
	return (struct prov_obj){&toy_of(c)->classes[3], c->view, 0};
}

static bool is_port(const struct prov_obj *o)
{
	return o->pc->cls == &eth || o->pc->cls == &fc;
}

static bool hostport_next(const struct prov_ctx *c, struct prov_iter *it, struct prov_link *ret)
{
	const struct state *s = c->view;

	if (it->w[0] >= s->n)
		return false;
	ret->end[0] = host_obj(c);
	ret->end[1] = port_obj(c, &s->port[it->w[0]++]);
	return true;
}

static bool hostport_walk(const struct prov_ctx *c, int which, const struct prov_obj *from,
			  struct prov_iter *it, struct prov_link *ret)
{
	if (which == 0)
		return from->pc->cls == &host && hostport_next(c, it, ret);
	if (!is_port(from) || it->w[0]++)
		return false;
	ret->end[0] = host_obj(c);
	ret->end[1] = *from;
	return true;
}

static void hostport_fill(const struct prov_ctx *c, const struct prov_link *l,
			  struct cim_instance *i)
{
	(void)c;
	i->v[HOSTPORT_SLOT] = cim_u16((uint16_t)((const struct tport *)l->end[1].p)->number);
}

static bool peer_next(const struct prov_ctx *c, struct prov_iter *it, struct prov_link *ret)
{
	const struct state *s = c->view;

	while (it->w[0] < s->n) {
		const struct tport *p = &s->port[it->w[0]++];
		const struct tport *q = port_at(s, p->number + 1);

		if (p->number % 2 == 1 && q) {
			ret->end[0] = port_obj(c, p);
			ret->end[1] = port_obj(c, q);
			return true;
		}
	}
	return false;
}

static bool peer_walk(const struct prov_ctx *c, int which, const struct prov_obj *from,
		      struct prov_iter *it, struct prov_link *ret)
{
	const struct tport *p = from->p, *q;

	if (!is_port(from) || it->w[0]++ || (int)(p->number % 2) == which)
		return false;
	q = port_at(c->view, which == 0 ? p->number + 1 : p->number - 1);
	if (!q)
		return false;
	ret->end[which] = *from;
	ret->end[!which] = port_obj(c, q);
	return true;
}

static bool conforms_next(const struct prov_ctx *c, struct prov_iter *it, struct prov_link *ret)
{
	ret->end[0] = profile_obj(c);
	ret->end[1] = host_obj(c);
	return it->w[0]++ == 0;
}

static bool conforms_walk(const struct prov_ctx *c, int which, const struct prov_obj *from,
			  struct prov_iter *it, struct prov_link *ret)
{
	return from->pc->cls == (which == 0 ? &profile : &host) && conforms_next(c, it, ret);
}

/* ---- bodies ---- */

static struct change *change(struct prov_call *k)
{
	struct changes *c = k->changes;

	return &c->c[c->n++];
}

/* Refuses the alias that the host has already, with 4097; "again" finds nothing to do. */
static enum cim_status do_rename(struct prov_call *k)
{
	const struct state *s = k->ctx.view;
	struct change *c;

	if (cim_is_null(&k->in[0])) {
		k->ret = 5;
		(void)err_set(&k->e, -EINVAL, "Alias is missing");
		return CIM_OK;
	}
	if (streq(k->in[0].s, "again"))
		return CIM_OK;
	if (streq(k->in[0].s, s->alias)) {
		k->ret = 4097;
		(void)err_set(&k->e, -EEXIST, "%s is its alias already", s->alias);
		return CIM_OK;
	}
	k->busy_code = 6;
	k->out[2] = cim_str(s->alias);
	c = change(k);
	c->what = SET_ALIAS;
	(void)snprintf(c->text, sizeof(c->text), "%s", k->in[0].s);
	return CIM_OK;
}

static enum cim_status do_resolve(struct prov_call *k)
{
	struct prov_obj o;
	enum prov_ref r = prov_resolve(k, &k->in[0], &port, &o);

	k->ret = (uint32_t)r;
	if (r == PROV_REF_FOUND)
		k->out[2] = cim_ref(prov_path(&k->ctx, &o));
	for (uint32_t i = 0; i < k->in[1].n && k->in[1].kind == CIM_V_ARRAY; i++)
		k->ret = k->ret * 10 + (uint32_t)prov_resolve(k, &k->in[1].a[i], &port, &o);
	return CIM_OK;
}

static enum cim_status do_count(struct prov_call *k)
{
	k->ret = ((const struct state *)k->ctx.view)->n;
	return CIM_OK;
}

static enum cim_status eth_create(struct prov_call *k)
{
	const struct state *s = k->ctx.view;
	struct change *c;
	uint64_t number;

	if (!k->given[PORT_DEVICE_ID] || k->inst->v[PORT_DEVICE_ID].n < 2 ||
	    !str_u64(k->inst->v[PORT_DEVICE_ID].s + 1, k->inst->v[PORT_DEVICE_ID].n - 1, 1 << 20,
		     &number)) {
		(void)err_set(&k->e, -EINVAL, "DeviceID must be p and a number");
		return CIM_ERR_INVALID_PARAMETER;
	}
	if (port_at(s, (unsigned)number) || (s->n && number < s->port[s->n - 1].number)) {
		(void)err_set(&k->e, -EEXIST, "port %s exists", k->inst->v[PORT_DEVICE_ID].s);
		return CIM_ERR_ALREADY_EXISTS;
	}
	k->new_path->keys[0].v = cim_str("h");
	k->new_path->keys[1].v = k->inst->v[PORT_DEVICE_ID];
	c = change(k);
	c->what = ADD_PORT;
	c->number = (unsigned)number;
	c->speed = k->inst->v[ETH_SPEED].u;
	return CIM_OK;
}

static enum cim_status eth_modify(struct prov_call *k)
{
	const struct tport *p = k->target.p;
	struct change *c;

	if (k->given[ETH_SPEED]) {
		c = change(k);
		c->what = SET_SPEED;
		c->number = p->number;
		c->speed = k->inst->v[ETH_SPEED].u;
	}
	if (k->given[PORT_ELEMENT_NAME]) {
		c = change(k);
		c->what = SET_PORT_ALIAS;
		c->number = p->number;
		if (!cim_is_null(&k->inst->v[PORT_ELEMENT_NAME]))
			(void)snprintf(c->text, sizeof(c->text), "%s",
				       k->inst->v[PORT_ELEMENT_NAME].s);
	}
	return CIM_OK;
}

static enum cim_status drop_port(struct prov_call *k, unsigned number)
{
	struct change *c = change(k);

	c->what = DROP_PORT;
	c->number = number;
	return CIM_OK;
}

static enum cim_status eth_remove(struct prov_call *k, const struct prov_link *l)
{
	(void)l;
	return drop_port(k, ((const struct tport *)k->target.p)->number);
}

/* Ending a peering drops its second port: enough to see that the right link came. */
static enum cim_status peer_remove(struct prov_call *k, const struct prov_link *l)
{
	return drop_port(k, ((const struct tport *)l->end[1].p)->number);
}

static const struct prov_method methods[] = {
	{&host, "Rename", do_rename, false},
	{&host, "Resolve", do_resolve, true},
	{&host, "Count", do_count, true},
};
static const struct prov_edit edits[] = {
	{&eth, eth_create, eth_modify, eth_remove},
	{&peer, NULL, NULL, peer_remove},
};

/* ---- putting it together ---- */

static void make_module(struct toy *t)
{
	const struct prov_module *m = &t->mod;
	struct prov_class *c = t->classes;
	struct prov_assoc *a = t->assocs;

	c[0] = (struct prov_class){&host, &ns_toy, m, host_next, NULL, host_keys, host_fill, NULL};
	c[1] = (struct prov_class){&eth, &ns_toy, m, eth_next, eth_find, port_keys, eth_fill,
				   eth_count};
	c[2] = (struct prov_class){&fc, &ns_toy, m, fc_next, fc_find, port_keys, fc_fill, NULL};
	c[3] = (struct prov_class){&profile, &ns_interop, m, host_next, NULL, profile_keys, NULL,
				   NULL};
	a[0] = (struct prov_assoc){&hostport, &ns_toy, m, {0, 1}, hostport_next, hostport_walk,
				   hostport_fill};
	a[1] = (struct prov_assoc){&peer, &ns_toy, m, {0, 1}, peer_next, peer_walk, NULL};
	a[2] = (struct prov_assoc){&conforms, &ns_interop, m, {0, 1}, conforms_next,
				   conforms_walk, NULL};
	t->mod = (struct prov_module){
		.name = "toy",
		.user = t,
		.view_get = view_get,
		.view_put = view_put,
		.changes_new = changes_new,
		.changes_free = changes_free,
		.changes_any = changes_any,
		.submit = submit,
		.classes = t->classes,
		.n_classes = ARRAY_SIZE(t->classes),
		.assocs = t->assocs,
		.n_assocs = ARRAY_SIZE(t->assocs),
		.methods = methods,
		.n_methods = ARRAY_SIZE(methods),
		.edits = edits,
		.n_edits = ARRAY_SIZE(edits),
	};
}

struct broker_config toy_config(struct toy *t)
{
	static const struct cim_namespace *const spaces[] = {&ns_toy, &ns_interop};
	static const struct broker_alias aliases[] = {{"root/interop", "interop"}};

	t->mods[0] = &t->mod;
	return (struct broker_config){
		.namespaces = spaces,
		.n_namespaces = 2,
		.aliases = aliases,
		.n_aliases = 1,
		.modules = t->mods,
		.n_modules = 1,
		.host = "toybox",
	};
}

struct toy *toy_new(unsigned n_ports, enum toy_writer how, const struct broker_limits *l)
{
	struct toy *t = xcalloc(1, sizeof(*t));
	struct broker_config c;
	struct err e = {0};

	(void)pthread_mutex_init(&t->lock, NULL);
	(void)pthread_cond_init(&t->more, NULL);
	t->tail = &t->head;
	t->how = how;
	t->now = xcalloc(1, sizeof(*t->now));
	t->now->refs = 1;
	t->now->port = xcalloc(n_ports + 1U, sizeof(*t->now->port));
	for (unsigned i = 1; i <= n_ports; i++)
		add_port(t->now, i, 1000 * i, "");
	(void)snprintf(t->now->alias, sizeof(t->now->alias), "box");
	make_module(t);
	c = toy_config(t);
	if (l)
		c.limits = *l;
	t->broker = broker_new(&c, &e);
	CHECK_STR(t->broker ? "" : e.text, "");
	if (!t->broker)
		abort();
	if (how == TOY_THREAD)
		(void)pthread_create(&t->writer, NULL, writer, t);
	return t;
}

void toy_free(struct toy *t)
{
	(void)pthread_mutex_lock(&t->lock);
	t->stop = true;
	(void)pthread_cond_signal(&t->more);
	(void)pthread_mutex_unlock(&t->lock);
	if (t->how == TOY_THREAD)
		(void)pthread_join(t->writer, NULL);
	toy_release(t);
	broker_free(t->broker);
	CHECK_INT(t->pinned, 0);
	put_state(t->now);
	(void)pthread_cond_destroy(&t->more);
	(void)pthread_mutex_destroy(&t->lock);
	free(t);
}

struct broker *toy_broker(struct toy *t)
{
	return t->broker;
}

void toy_outcome(struct toy *t, enum prov_outcome o)
{
	t->outcome = o;
}

int toy_pinned(struct toy *t)
{
	int n;

	(void)pthread_mutex_lock(&t->lock);
	n = t->pinned;
	(void)pthread_mutex_unlock(&t->lock);
	return n;
}
