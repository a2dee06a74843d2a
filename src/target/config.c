/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "target/config.h"
#include "target/control.h"
#include "target/listener.h"
#include "target/reservations.h"
#include "target/session.h"
#include "target/store.h"

/* ---- look-ups ---- */

static uint64_t name_hash(const char *s)
{
	return str_hash(s, strlen(s));
}

struct node *node_find(struct target *t, const char *iqn)
{
	for (struct table_link *l = table_first(&t->nodes, name_hash(iqn)); l; l = table_next(l))
		if (streq(container_of(l, struct node, link)->iqn, iqn))
			return container_of(l, struct node, link);
	return NULL;
}

struct port *port_find(struct node *n, uint32_t tpgt)
{
	struct port *p = n->ports;

	while (p && p->tpgt != tpgt)
		p = p->next;
	return p;
}

struct portal *portal_find(struct target *t, const char *address, uint32_t port)
{
	struct table_link *l = table_first(&t->portals, name_hash(address) ^ port);

	for (; l; l = table_next(l)) {
		struct portal *p = container_of(l, struct portal, link);

		if (p->port == port && streq(p->address, address))
			return p;
	}
	return NULL;
}

struct unit *unit_find(struct target *t, uint64_t naa)
{
	struct table_link *l = table_first(&t->units, naa);

	return l ? container_of(l, struct unit, link) : NULL;
}

static struct lun *lun_find(struct node *n, uint32_t number)
{
	struct lun *l = n->luns;

	while (l && l->number != number)
		l = l->next;
	return l;
}

struct binding *binding_find(const struct port *port, const struct portal *portal)
{
	struct binding *b = port->bindings;

	while (b && b->portal != portal)
		b = b->next_of_port;
	return b;
}

struct port *port_on_portal(struct node *n, const struct portal *p)
{
	for (struct port *q = n->ports; q; q = q->next)
		if (binding_find(q, p))
			return q;
	return NULL;
}

bool binding_serves(const struct port *port, const struct portal *portal)
{
	return !port->gone && port->enabled && !port->node->gone && port->node->enabled &&
	       !portal->gone && portal->enabled && binding_find(port, portal);
}

void portal_text(const struct portal *p, int tpgt, char to[static ISCSI_TARGET_ADDRESS_MAX + 1])
{
	char tag[16] = "";

	if (tpgt >= 0)
		(void)snprintf(tag, sizeof(tag), ",%d", tpgt);
	(void)snprintf(to, ISCSI_TARGET_ADDRESS_MAX + 1,
		       strchr(p->address, ':') ? "[%.63s]:%u%s" : "%.63s:%u%s", p->address, p->port,
		       tag);
}

/* ---- counting ---- */

void node_unref(struct node *n)
{
	if (--n->refs > 0)
		return;
	scsi_target_unref(n->scsi);
	explicit_bzero(n, sizeof(*n)); /* secrets */
	free(n);
}

void port_unref(struct port *p)
{
	if (--p->refs > 0)
		return;
	node_unref(p->node);
	free(p);
}

void portal_unref(struct portal *p)
{
	if (--p->refs == 0)
		free(p);
}

/* ---- linking: what add does and remove undoes, and the other way round ---- */

static void port_link(struct port *p)
{
	p->next = p->node->ports;
	p->node->ports = p;
	p->gone = false;
}

static void port_unlink(struct port *p)
{
	struct port **at = &p->node->ports;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->gone = true;
}

static void binding_link(struct binding *b)
{
	b->next_of_port = b->port->bindings;
	b->port->bindings = b;
	b->next_of_portal = b->portal->bindings;
	b->portal->bindings = b;
}

static void binding_unlink(struct binding *b)
{
	struct binding **at = &b->port->bindings;

	while (*at != b)
		at = &(*at)->next_of_port;
	*at = b->next_of_port;
	at = &b->portal->bindings;
	while (*at != b)
		at = &(*at)->next_of_portal;
	*at = b->next_of_portal;
}

static void lun_link(struct lun *l)
{
	l->next = l->node->luns;
	l->node->luns = l;
	l->unit->refs++;
}

static void lun_unlink(struct lun *l)
{
	struct lun **at = &l->node->luns;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	l->unit->refs--;
}

static void link_thing(struct target *t, enum change_kind kind, void *thing, bool in)
{
	struct node *n = thing;
	struct portal *p = thing;
	struct unit *u = thing;

	switch (kind) {
	case KIND_UNIT:
		if (in)
			table_add(&t->units, &u->link, u->naa);
		else
			table_remove(&t->units, &u->link);
		break;
	case KIND_NODE:
		n->gone = !in;
		if (in)
			table_add(&t->nodes, &n->link, name_hash(n->iqn));
		else
			table_remove(&t->nodes, &n->link);
		break;
	case KIND_PORT:
		(in ? port_link : port_unlink)(thing);
		break;
	case KIND_PORTAL:
		p->gone = !in;
		if (in)
			table_add(&t->portals, &p->link, name_hash(p->address) ^ p->port);
		else
			table_remove(&t->portals, &p->link);
		break;
	case KIND_BINDING:
		(in ? binding_link : binding_unlink)(thing);
		break;
	case KIND_LUN:
		(in ? lun_link : lun_unlink)(thing);
		break;
	case KIND_SETTINGS:
		break;
	}
}

/* ---- one batch ---- */

/* What a set replaced; of each kind what it can set. */
struct old {
	bool enabled;
	char alias[ISCSI_ALIAS_MAX + 1];
	struct iscsi_chap_user chap_in, chap_out; /* of settings: for discovery */
	unsigned logout_time, idle_time;
	struct redirect redirect;
};

struct step {
	enum change_op op;
	enum change_kind kind;
	void *thing;
	uint64_t size;   /* set of a unit: to be reached */
	struct old *old; /* set of the others */
};

struct batch {
	struct target *t;
	struct step *steps;
	size_t n, cap;
	bool took_away; /* connections may have lost what they came for */
	bool whole;     /* a configuration: what can't be opened is left out */
	uint64_t *left_out; /* names of units */
	size_t n_left_out;
	struct err *e;
};

static struct step *add_step(struct batch *b, enum change_op op, enum change_kind kind, void *thing)
{
	if (b->n == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 16;
		b->steps = xrealloc(b->steps, b->cap * sizeof(*b->steps));
	}
	b->steps[b->n] = (struct step){.op = op, .kind = kind, .thing = thing};
	if (op != CHANGE_SET)
		link_thing(b->t, kind, thing, op == CHANGE_ADD);
	b->took_away |= op == CHANGE_REMOVE;
	return &b->steps[b->n++];
}

/* A set that can be taken back; the caller notes what there was. */
static struct old *add_set(struct batch *b, enum change_kind kind, void *thing)
{
	struct old *old = xcalloc(1, sizeof(*old));

	add_step(b, CHANGE_SET, kind, thing)->old = old;
	return old;
}

static void old_free(struct old *old)
{
	if (old)
		explicit_bzero(old, sizeof(*old)); /* secrets */
	free(old);
}

static int no(struct batch *b, enum config_error code, const char *fmt, ...) PRINTF(3, 4);
static int no(struct batch *b, enum config_error code, const char *fmt, ...)
{
	va_list ap;

	if (b->e) {
		b->e->code = -EINVAL;
		va_start(ap, fmt);
		(void)vsnprintf(b->e->text, sizeof(b->e->text), fmt, ap);
		va_end(ap);
	}
	return code;
}

static int want_node(struct batch *b, const struct change *c, struct node **ret)
{
	char iqn[ISCSI_NAME_MAX + 1];

	if (!c->iqn || iscsi_name_normalise(c->iqn, iqn, b->e) < 0)
		return c->iqn ? CONFIG_BAD_PARAMS : no(b, CONFIG_BAD_PARAMS, "iqn is missing");
	*ret = node_find(b->t, iqn);
	return *ret ? 0 : no(b, CONFIG_NOT_FOUND, "node %s does not exist", iqn);
}

static int want_port(struct batch *b, const struct change *c, struct port **ret)
{
	struct node *n;
	int r = want_node(b, c, &n);

	if (r < 0)
		return r;
	*ret = port_find(n, c->tpgt);
	return *ret ? 0 : no(b, CONFIG_NOT_FOUND, "node %s has no port %u", n->iqn, c->tpgt);
}

static int want_portal(struct batch *b, const struct change *c, struct portal **ret)
{
	if (!c->address)
		return no(b, CONFIG_BAD_PARAMS, "address is missing");
	*ret = portal_find(b->t, c->address, c->port);
	return *ret ? 0
		    : no(b, CONFIG_NOT_FOUND, "portal %s port %u does not exist", c->address,
			 c->port);
}

/* ---- units ---- */

static void unit_forget(struct loop *l, struct loop_post *p);

struct unit_holder {
	struct loop_post post;
	struct loop *main;
	struct target *target;
	struct unit *unit;
	struct store *store;
	struct reservations *pr;
};

/* A unit's device has begun to fail, or is well again: told by a worker, passed on by main. */
struct health_event {
	struct loop_post post;
	struct target *target;
	uint64_t naa;
	int error;
};

static void unit_health_told(struct loop *l, struct loop_post *p)
{
	struct health_event *ev = container_of(p, struct health_event, post);

	(void)l;
	if (ev->error)
		log_warn(target, "unit %016" PRIx64 " fails: %s", ev->naa, strerror(-ev->error));
	else
		log_info(target, "unit %016" PRIx64 " is well again", ev->naa);
	control_unit_event(ev->target, ev->naa, ev->error ? strerror(-ev->error) : "");
	free(ev);
}

static void unit_health(void *ctx, int error)
{
	struct unit_holder *h = ctx;
	struct health_event *ev = xcalloc(1, sizeof(*ev));

	*ev = (struct health_event){.post.run = unit_health_told,
				    .target = h->target,
				    .naa = h->unit->naa,
				    .error = error};
	loop_post(h->main, &ev->post);
}

static void unit_released(void *ctx)
{
	struct unit_holder *h = ctx;

	h->post.run = unit_forget;
	loop_post(h->main, &h->post);
}

static void unit_forget(struct loop *l, struct loop_post *p)
{
	struct unit_holder *h = container_of(p, struct unit_holder, post);

	(void)l;
	store_free(h->store);
	reservations_free(h->pr);
	free(h->unit->path);
	free(h->unit->kind);
	free(h->unit->pr_path);
	free(h->unit);
	free(h);
}

static int unit_add(struct batch *b, const struct change *c)
{
	struct store_params sp = {.path = c->path,
				  .block = c->unit_kind && streq(c->unit_kind, "block"),
				  .size = c->size,
				  .block_size = c->block_size ? c->block_size : 512};
	struct scsi_lu_params lp = {.naa = c->naa,
				    .vendor = "SMISCSI ",
				    .product = "VOLUME          ",
				    .revision = "0001"};
	struct unit_holder *h;
	struct store *store;
	struct unit *u;
	bool memory;

	if (unit_find(b->t, c->naa))
		return no(b, CONFIG_EXISTS, "unit %016" PRIx64 " exists", c->naa);
	if (!c->unit_kind || (!c->path && !streq(c->unit_kind, "memory")))
		return no(b, CONFIG_BAD_PARAMS, "unit %016" PRIx64 " has no kind or no path",
			  c->naa);
	memory = streq(c->unit_kind, "memory");
	if (!memory && !streq(c->unit_kind, "file") && !streq(c->unit_kind, "block"))
		return no(b, CONFIG_BAD_PARAMS, "unit kind %s, allowed file, block, memory",
			  c->unit_kind);
	store = memory ? store_memory_open(&sp, b->e) : store_file_open(&sp, b->e);
	if (!store)
		return CONFIG_STORE;
	h = xcalloc(1, sizeof(*h));
	u = xcalloc(1, sizeof(*u));
	*h = (struct unit_holder){.main = b->t->main, .target = b->t, .unit = u, .store = store};
	u->naa = c->naa;
	u->path = xstrdup(c->path ? c->path : "");
	u->kind = xstrdup(c->unit_kind);
	u->pr_path = c->pr_path ? xstrdup(c->pr_path) : NULL;
	u->block_size = sp.block_size;
	u->store = store;
	u->size = store_blockdev(store)->size_bytes;
	lp.dev = store_blockdev(store);
	lp.released = unit_released;
	lp.released_ctx = h;
	lp.health = unit_health;
	lp.health_ctx = h;
	if (u->pr_path) {
		h->pr = reservations_new(u->pr_path);
		lp.pr_load = reservations_load;
		lp.pr_save = reservations_save;
		lp.pr_ctx = h->pr;
	}
	u->lu = scsi_lu_new(&lp, b->e);
	if (!u->lu) {
		unit_forget(NULL, &h->post);
		return CONFIG_STORE;
	}
	(void)add_step(b, CHANGE_ADD, KIND_UNIT, u);
	return 0;
}

static bool is_left_out(const struct batch *b, uint64_t naa)
{
	for (size_t i = 0; i < b->n_left_out; i++) {
		if (b->left_out[i] == naa)
			return true;
	}
	return false;
}

/* One volume that can't be had is no reason to serve none. */
static int unit_add_or_not(struct batch *b, const struct change *c)
{
	int r = unit_add(b, c);

	if (r != CONFIG_STORE || !b->whole)
		return r;
	b->left_out = xrealloc(b->left_out, (b->n_left_out + 1) * sizeof(b->left_out[0]));
	b->left_out[b->n_left_out++] = c->naa;
	log_warn(target, "unit %016" PRIx64 " is not served: %s", c->naa, b->e->text);
	control_unit_event(b->t, c->naa, b->e->text);
	return 0;
}

static int unit_change(struct batch *b, const struct change *c)
{
	struct unit *u = unit_find(b->t, c->naa);

	if (!u && c->op == CHANGE_REMOVE && c->if_there)
		return 0;
	if (!u)
		return no(b, CONFIG_NOT_FOUND, "unit %016" PRIx64 " does not exist", c->naa);
	if (c->op == CHANGE_REMOVE) {
		if (u->refs > 0)
			return no(b, CONFIG_BUSY, "unit %016" PRIx64 " is attached", c->naa);
		(void)add_step(b, CHANGE_REMOVE, KIND_UNIT, u);
		return 0;
	}
	if (c->size < u->size)
		return no(b, CONFIG_BAD_PARAMS,
			  "unit %016" PRIx64 " of %" PRIu64 " bytes can only grow", c->naa,
			  u->size);
	if (c->size > u->size)
		add_step(b, CHANGE_SET, KIND_UNIT, u)->size = c->size;
	return 0;
}

/* ---- nodes, ports, portals, bindings, LUNs ---- */

static bool set_user(struct iscsi_chap_user *u, const char *const pair[2])
{
	memset(u, 0, sizeof(*u));
	if (!pair[0] || !pair[1])
		return !pair[0] && !pair[1];
	if (strlen(pair[0]) > ISCSI_CHAP_NAME_MAX || strlen(pair[1]) > ISCSI_CHAP_SECRET_MAX ||
	    !pair[0][0] || !pair[1][0])
		return false;
	memcpy(u->name, pair[0], strlen(pair[0]));
	memcpy(u->secret, pair[1], strlen(pair[1]));
	return true;
}

/*
 * Who an initiator has to be, and who we are to it.  The same secret for both directions would let
 * an initiator answer our challenge with what we answered to its own (section 9.2.1).
 */
static int set_users(struct batch *b, const struct change *c, const char *whose,
		     struct iscsi_chap_user *in, struct iscsi_chap_user *out)
{
	if (!set_user(in, c->chap_in) || !set_user(out, c->chap_out))
		return no(b, CONFIG_BAD_PARAMS, "%s: a CHAP name or secret is empty or too long",
			  whose);
	if (in->name[0] && streq(in->secret, out->secret))
		return no(b, CONFIG_BAD_PARAMS,
			  "%s: the CHAP secrets of initiator and target must differ", whose);
	return 0;
}

static int node_fill(struct batch *b, struct node *n, const struct change *c)
{
	if (c->has_enabled)
		n->enabled = c->enabled;
	if (c->has_alias)
		(void)snprintf(n->alias, sizeof(n->alias), "%s", c->alias ? c->alias : "");
	return c->has_chap ? set_users(b, c, n->iqn, &n->chap_in, &n->chap_out) : 0;
}

static int node_add(struct batch *b, const struct change *c)
{
	char iqn[ISCSI_NAME_MAX + 1];
	struct node *n;

	if (!c->iqn || iscsi_name_normalise(c->iqn, iqn, b->e) < 0)
		return c->iqn ? CONFIG_BAD_PARAMS : no(b, CONFIG_BAD_PARAMS, "iqn is missing");
	if (node_find(b->t, iqn))
		return no(b, CONFIG_EXISTS, "node %s exists", iqn);
	n = xcalloc(1, sizeof(*n));
	memcpy(n->iqn, iqn, sizeof(iqn));
	n->refs = 1;
	n->enabled = true;
	if (node_fill(b, n, c) < 0) {
		free(n);
		return CONFIG_BAD_PARAMS;
	}
	n->scsi = scsi_target_new(iqn);
	(void)add_step(b, CHANGE_ADD, KIND_NODE, n);
	return 0;
}

static int node_set(struct batch *b, const struct change *c, struct node *n)
{
	struct old *old = add_set(b, KIND_NODE, n);

	old->enabled = n->enabled;
	memcpy(old->alias, n->alias, sizeof(old->alias));
	old->chap_in = n->chap_in;
	old->chap_out = n->chap_out;
	b->took_away |= n->enabled && c->has_enabled && !c->enabled;
	return node_fill(b, n, c);
}

static void remove_bindings(struct batch *b, struct port *p)
{
	while (p->bindings)
		(void)add_step(b, CHANGE_REMOVE, KIND_BINDING, p->bindings);
}

static int node_change(struct batch *b, const struct change *c)
{
	struct node *n;
	int r;

	if (c->op == CHANGE_ADD)
		return node_add(b, c);
	r = want_node(b, c, &n);
	if (r < 0)
		return r;
	if (c->op == CHANGE_SET)
		return node_set(b, c, n);
	if (c->unless_sessions && n->sessions > 0)
		return no(b, CONFIG_BUSY, "node %s has %u sessions", n->iqn, n->sessions);
	while (n->luns)
		(void)add_step(b, CHANGE_REMOVE, KIND_LUN, n->luns);
	while (n->ports) {
		remove_bindings(b, n->ports);
		(void)add_step(b, CHANGE_REMOVE, KIND_PORT, n->ports);
	}
	(void)add_step(b, CHANGE_REMOVE, KIND_NODE, n);
	return 0;
}

static int port_change(struct batch *b, const struct change *c)
{
	struct node *n;
	struct port *p;
	int r = want_node(b, c, &n);

	if (r < 0)
		return r;
	p = port_find(n, c->tpgt);
	if (c->op == CHANGE_ADD) {
		if (c->tpgt > UINT16_MAX)
			return no(b, CONFIG_BAD_PARAMS, "tpgt %u, allowed 0..65535", c->tpgt);
		if (p)
			return no(b, CONFIG_EXISTS, "node %s has a port %u", n->iqn, c->tpgt);
		p = xcalloc(1, sizeof(*p));
		p->refs = 1;
		p->node = n;
		n->refs++;
		p->tpgt = (uint16_t)c->tpgt;
		p->enabled = c->has_enabled ? c->enabled : true;
		(void)add_step(b, CHANGE_ADD, KIND_PORT, p);
		return 0;
	}
	if (!p)
		return no(b, CONFIG_NOT_FOUND, "node %s has no port %u", n->iqn, c->tpgt);
	if (c->op == CHANGE_REMOVE) {
		remove_bindings(b, p);
		(void)add_step(b, CHANGE_REMOVE, KIND_PORT, p);
		return 0;
	}
	add_set(b, KIND_PORT, p)->enabled = p->enabled;
	if (c->has_enabled) {
		b->took_away |= p->enabled && !c->enabled;
		p->enabled = c->enabled;
	}
	return 0;
}

/* "192.0.2.1", "2001:db8::1", "fe80::1%eth0": numbers only, no names are looked up, and no
 * wildcard: discovery tells initiators where to go. */
static bool parse_address(struct portal *p)
{
	char host[64];
	const char *scope = strchr(p->address, '%');
	size_t n = scope ? (size_t)(scope - p->address) : strlen(p->address);

	memcpy(host, p->address, n);
	host[n] = '\0';
	if (strchr(host, ':')) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&p->sa;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(p->port);
		in6->sin6_scope_id = scope ? if_nametoindex(scope + 1) : 0;
		p->sa_len = sizeof(*in6);
		return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1 &&
		       !IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
	}
	struct sockaddr_in *in = (struct sockaddr_in *)&p->sa;

	in->sin_family = AF_INET;
	in->sin_port = htons(p->port);
	p->sa_len = sizeof(*in);
	return !scope && inet_pton(AF_INET, host, &in->sin_addr) == 1 &&
	       in->sin_addr.s_addr != INADDR_ANY;
}

static int portal_add(struct batch *b, const struct change *c)
{
	struct portal *p;

	if (!c->address || strlen(c->address) >= sizeof(p->address))
		return no(b, CONFIG_BAD_PARAMS, "address is missing or too long");
	if (c->port == 0 || c->port > 65535)
		return no(b, CONFIG_BAD_PARAMS, "port %u, allowed 1..65535", c->port);
	if (portal_find(b->t, c->address, c->port))
		return no(b, CONFIG_EXISTS, "portal %s port %u exists", c->address, c->port);
	p = xcalloc(1, sizeof(*p));
	p->refs = 1;
	p->port = (uint16_t)c->port;
	p->enabled = c->has_enabled ? c->enabled : true;
	p->state = p->enabled ? PORTAL_FAILED : PORTAL_DISABLED;
	memcpy(p->address, c->address, strlen(c->address));
	if (!parse_address(p)) {
		free(p);
		return no(b, CONFIG_BAD_PARAMS, "%s is no IP address", c->address);
	}
	(void)add_step(b, CHANGE_ADD, KIND_PORTAL, p);
	return 0;
}

static int portal_change(struct batch *b, const struct change *c)
{
	struct portal *p;
	int r;

	if (c->op == CHANGE_ADD)
		return portal_add(b, c);
	r = want_portal(b, c, &p);
	if (r < 0)
		return r;
	if (c->op == CHANGE_REMOVE) {
		if (p->bindings)
			return no(b, CONFIG_BUSY, "portal %s port %u is bound to %s", p->address,
				  p->port, p->bindings->port->node->iqn);
		(void)add_step(b, CHANGE_REMOVE, KIND_PORTAL, p);
		return 0;
	}
	add_set(b, KIND_PORTAL, p)->enabled = p->enabled;
	if (c->has_enabled) {
		b->took_away |= p->enabled && !c->enabled;
		p->enabled = c->enabled;
	}
	return 0;
}

static int set_redirect(struct batch *b, struct binding *k, const struct change *c)
{
	struct portal there = {.port = (uint16_t)c->redirect_port};
	struct redirect r = {.permanent = c->redirect_permanent};
	char here[ISCSI_TARGET_ADDRESS_MAX + 1];

	if (!c->has_redirect)
		return 0;
	if (c->redirect_address) {
		if (c->redirect_port == 0 || c->redirect_port > 65535)
			return no(b, CONFIG_BAD_PARAMS, "redirect: port %u, allowed 1..65535",
				  c->redirect_port);
		if (strlen(c->redirect_address) >= sizeof(there.address))
			return no(b, CONFIG_BAD_PARAMS, "redirect: the address is too long");
		memcpy(there.address, c->redirect_address, strlen(c->redirect_address));
		if (!parse_address(&there))
			return no(b, CONFIG_BAD_PARAMS, "redirect: %s is no IP address",
				  there.address);
		portal_text(&there, -1, r.to);
		portal_text(k->portal, -1, here);
		if (streq(r.to, here))
			return no(b, CONFIG_BAD_PARAMS, "redirect: %s is where it comes from",
				  r.to);
	}
	k->redirect = r;
	return 0;
}

static int binding_change(struct batch *b, const struct change *c)
{
	struct port *port;
	struct portal *portal;
	struct binding *k;
	int r = want_port(b, c, &port);

	if (r == 0)
		r = want_portal(b, c, &portal);
	if (r < 0)
		return r;
	k = binding_find(port, portal);
	if (c->op == CHANGE_REMOVE && k) {
		(void)add_step(b, CHANGE_REMOVE, KIND_BINDING, k);
		return 0;
	}
	if (c->op != CHANGE_ADD && !k)
		return no(b, CONFIG_NOT_FOUND, "port %u of %s is not bound to %s port %u", c->tpgt,
			  port->node->iqn, portal->address, portal->port);
	if (c->op == CHANGE_SET) {
		add_set(b, KIND_BINDING, k)->redirect = k->redirect;
		return set_redirect(b, k, c);
	}
	if (k)
		return no(b, CONFIG_EXISTS, "port %u of %s is bound to %s port %u already", c->tpgt,
			  port->node->iqn, portal->address, portal->port);
	if (port_on_portal(port->node, portal))
		return no(b, CONFIG_EXISTS, "portal %s port %u serves another port of %s",
			  portal->address, portal->port, port->node->iqn);
	k = xcalloc(1, sizeof(*k));
	k->port = port;
	k->portal = portal;
	r = set_redirect(b, k, c);
	if (r < 0)
		free(k);
	else
		(void)add_step(b, CHANGE_ADD, KIND_BINDING, k);
	return r;
}

static int lun_change(struct batch *b, const struct change *c)
{
	struct unit *u = unit_find(b->t, c->naa);
	struct node *n;
	struct lun *l;
	int r = want_node(b, c, &n);

	if (r < 0)
		return r;
	l = lun_find(n, c->lun);
	if (c->op == CHANGE_REMOVE && !l && c->if_there)
		return 0;
	if (c->op == CHANGE_ADD && is_left_out(b, c->naa))
		return 0;
	if (c->op != CHANGE_ADD && !l)
		return no(b, CONFIG_NOT_FOUND, "node %s has no LUN %u", n->iqn, c->lun);
	if (c->op == CHANGE_ADD && l)
		return no(b, CONFIG_EXISTS, "node %s has a LUN %u", n->iqn, c->lun);
	if (c->op != CHANGE_REMOVE && !u)
		return no(b, CONFIG_NOT_FOUND, "unit %016" PRIx64 " does not exist", c->naa);
	if (c->lun > SCSI_LUN_MAX)
		return no(b, CONFIG_BAD_PARAMS, "LUN %u, allowed 0..%d", c->lun, SCSI_LUN_MAX);
	if (l)
		(void)add_step(b, CHANGE_REMOVE, KIND_LUN, l);
	if (c->op == CHANGE_REMOVE)
		return 0;
	l = xcalloc(1, sizeof(*l));
	l->node = n;
	l->number = c->lun;
	l->unit = u;
	(void)add_step(b, CHANGE_ADD, KIND_LUN, l);
	return 0;
}

static int settings_change(struct batch *b, const struct change *c)
{
	struct target *t = b->t;
	struct old *old;

	if (c->logout_time > 3600)
		return no(b, CONFIG_BAD_PARAMS, "logout_time %u, allowed 0..3600", c->logout_time);
	if (c->idle_time == 0 || c->idle_time > 3600)
		return no(b, CONFIG_BAD_PARAMS, "idle_time %u, allowed 1..3600", c->idle_time);
	old = add_set(b, KIND_SETTINGS, NULL);
	*old = (struct old){.logout_time = t->logout_time,
			    .idle_time = t->idle_time,
			    .chap_in = t->discovery_in,
			    .chap_out = t->discovery_out};
	t->logout_time = c->logout_time;
	__atomic_store_n(&t->idle_time, c->idle_time, __ATOMIC_RELAXED);
	return set_users(b, c, "discovery", &t->discovery_in, &t->discovery_out);
}

static int do_change(struct batch *b, const struct change *c)
{
	switch (c->kind) {
	case KIND_UNIT:
		return c->op == CHANGE_ADD ? unit_add_or_not(b, c) : unit_change(b, c);
	case KIND_NODE:
		return node_change(b, c);
	case KIND_PORT:
		return port_change(b, c);
	case KIND_PORTAL:
		return portal_change(b, c);
	case KIND_BINDING:
		return binding_change(b, c);
	case KIND_LUN:
		return lun_change(b, c);
	case KIND_SETTINGS:
		return settings_change(b, c);
	}
	abort();
}

/* ---- the end of a batch, one way or the other ---- */

/* Free what is in no list any more. */
static void thing_free(struct step *s)
{
	struct unit *u = s->thing;

	switch (s->kind) {
	case KIND_UNIT:
		scsi_lu_unref(u->lu); /* unit_released does the rest when the last task is over */
		break;
	case KIND_NODE:
		node_unref(s->thing);
		break;
	case KIND_PORT:
		port_unref(s->thing);
		break;
	case KIND_PORTAL:
		portal_unref(s->thing);
		break;
	case KIND_BINDING:
	case KIND_LUN:
		free(s->thing);
		break;
	case KIND_SETTINGS:
		break;
	}
}

static void undo_set(struct batch *b, struct step *s)
{
	const struct old *old = s->old;
	struct node *n = s->thing;

	switch (s->kind) {
	case KIND_NODE:
		n->enabled = old->enabled;
		memcpy(n->alias, old->alias, sizeof(n->alias));
		n->chap_in = old->chap_in;
		n->chap_out = old->chap_out;
		break;
	case KIND_PORT:
		((struct port *)s->thing)->enabled = old->enabled;
		break;
	case KIND_PORTAL:
		((struct portal *)s->thing)->enabled = old->enabled;
		break;
	case KIND_BINDING:
		((struct binding *)s->thing)->redirect = old->redirect;
		break;
	case KIND_SETTINGS:
		b->t->logout_time = old->logout_time;
		__atomic_store_n(&b->t->idle_time, old->idle_time, __ATOMIC_RELAXED);
		b->t->discovery_in = old->chap_in;
		b->t->discovery_out = old->chap_out;
		break;
	case KIND_UNIT: /* grows last of all, when nothing can fail any more */
	case KIND_LUN:  /* is removed and added */
		break;
	}
}

static void undo(struct batch *b)
{
	while (b->n > 0) {
		struct step *s = &b->steps[--b->n];

		if (s->op == CHANGE_SET) {
			undo_set(b, s);
			old_free(s->old);
			continue;
		}
		link_thing(b->t, s->kind, s->thing, s->op == CHANGE_REMOVE);
		if (s->op == CHANGE_ADD) {
			if (s->kind == KIND_PORTAL && ((struct portal *)s->thing)->listener)
				listener_close(s->thing);
			thing_free(s);
		}
	}
}

/* Listen on what is new or was set, and stop where that is over. */
static void portal_adjust(struct target *t, struct portal *p)
{
	int fd;

	if (p->gone || !p->enabled) {
		listener_close(p);
		p->state = PORTAL_DISABLED;
		p->why[0] = '\0';
		return;
	}
	if (p->listener)
		return;
	fd = listener_open(p);
	if (fd >= 0)
		listener_start(t, p, fd);
}

static int grow_units(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		struct step *s = &b->steps[i];
		struct unit *u = s->thing;

		if (s->op != CHANGE_SET || s->kind != KIND_UNIT)
			continue;
		if (store_resize(u->store, s->size, b->e) < 0)
			return CONFIG_STORE;
		u->size = s->size;
		scsi_lu_resized(u->lu);
	}
	return 0;
}

static void adjust_portals(struct batch *b, bool gone_ones)
{
	for (size_t i = 0; i < b->n; i++) {
		struct step *s = &b->steps[i];
		struct portal *p = s->thing;

		if (s->kind == KIND_PORTAL && (p->gone || !p->enabled) == gone_ones)
			portal_adjust(b->t, p);
	}
}

static int check_listening(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		struct step *s = &b->steps[i];
		struct binding *k = s->thing;

		if (s->kind != KIND_BINDING || s->op != CHANGE_ADD)
			continue;
		if (k->portal->state != PORTAL_LISTENING)
			return no(b, CONFIG_CANNOT_LISTEN, "portal %s port %u does not listen: %s",
				  k->portal->address, k->portal->port,
				  k->portal->enabled ? k->portal->why : "it is disabled");
	}
	return 0;
}

static void commit(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		struct step *s = &b->steps[i];
		struct lun *l = s->thing;

		if (s->kind == KIND_LUN && s->op == CHANGE_REMOVE)
			(void)scsi_target_unmap(l->node->scsi, l->number);
		else if (s->kind == KIND_LUN &&
			 scsi_target_map(l->node->scsi, l->number, l->unit->lu) < 0)
			abort(); /* our list of LUNs and that of the SCSI room are the same */
	}
	for (size_t i = 0; i < b->n; i++) {
		old_free(b->steps[i].old);
		/* a portal's state is told before it goes */
		if (b->steps[i].op == CHANGE_REMOVE && b->steps[i].kind != KIND_PORTAL)
			thing_free(&b->steps[i]);
	}
}

static int run(struct target *t, const struct change *c, size_t n, bool whole,
	       const struct config_options *o, struct err *e)
{
	struct batch b = {.t = t, .whole = whole, .e = e};
	int r = 0;

	(void)pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < n && r == 0; i++)
		r = do_change(&b, &c[i]);
	/* What can fail comes last and first of all what others wait for: freed addresses. */
	if (r == 0) {
		adjust_portals(&b, true);
		adjust_portals(&b, false);
	}
	if (r == 0 && o->must_listen)
		r = check_listening(&b);
	if (r == 0)
		r = grow_units(&b);
	if (r < 0) {
		undo(&b);
	} else {
		commit(&b);
		t->generation = o->generation;
	}
	(void)pthread_mutex_unlock(&t->lock);
	if (r == 0 && b.took_away)
		config_sweep(t);
	for (size_t i = 0; i < b.n; i++)
		if (b.steps[i].kind == KIND_PORTAL) {
			if (b.steps[i].op != CHANGE_REMOVE)
				o->portal_changed(o->ctx, b.steps[i].thing);
			else {
				(void)pthread_mutex_lock(&t->lock);
				portal_unref(b.steps[i].thing);
				(void)pthread_mutex_unlock(&t->lock);
			}
		}
	free(b.left_out);
	free(b.steps);
	return r;
}

int config_apply(struct target *t, const struct change *c, size_t n, const struct config_options *o,
		 struct err *e)
{
	return run(t, c, n, false, o, e);
}

/* ---- replace ---- */

/* A change's identity, as text. */
static void identity(const struct change *c, char to[static 512])
{
	char iqn[ISCSI_NAME_MAX + 1] = "";

	if (c->iqn && iscsi_name_normalise(c->iqn, iqn, NULL) < 0)
		iqn[0] = '\0'; /* carrying it out will tell */
	(void)snprintf(to, 512, "%d %016" PRIx64 " %s %u %.64s %u %u", (int)c->kind,
		       c->kind == KIND_UNIT ? c->naa : 0, iqn, c->tpgt,
		       c->address ? c->address : "", c->port, c->lun);
}

struct wanted {
	struct table_link link;
	const struct change *c;
	bool there; /* exists already */
};

struct plan {
	struct target *t;
	struct table wanted;
	struct change *out;
	size_t n, cap;
};

static void plan_add(struct plan *p, const struct change *c)
{
	if (p->n == p->cap) {
		p->cap = p->cap ? p->cap * 2 : 64;
		p->out = xrealloc(p->out, p->cap * sizeof(*p->out));
	}
	p->out[p->n++] = *c;
}

static struct wanted *plan_find(struct plan *p, const struct change *have)
{
	char id[512], other[512];

	identity(have, id);
	for (struct table_link *l = table_first(&p->wanted, name_hash(id)); l; l = table_next(l)) {
		struct wanted *w = container_of(l, struct wanted, link);

		identity(w->c, other);
		if (streq(id, other))
			return w;
	}
	return NULL;
}

/* Is what we have wanted?  If not, remove it. */
static struct wanted *keep_or_remove(struct plan *p, struct change *have)
{
	struct wanted *w = plan_find(p, have);

	have->op = CHANGE_REMOVE;
	if (w)
		w->there = true;
	else
		plan_add(p, have);
	return w;
}

static bool same_text(const char *a, const char *b)
{
	return streq(a ? a : "", b ? b : "");
}

static void plan_luns_of(void *ctx, struct table_link *l)
{
	struct node *n = container_of(l, struct node, link);
	struct plan *p = ctx;

	for (struct lun *u = n->luns; u; u = u->next) {
		struct change c = {.kind = KIND_LUN, .iqn = n->iqn, .lun = u->number};
		struct wanted *w = keep_or_remove(p, &c);

		if (w && w->c->naa != u->unit->naa) { /* the same number for another unit */
			w->there = false;
			plan_add(p, &c);
		}
	}
}

static bool same_redirect(const struct binding *k, const struct change *c)
{
	struct portal there = {.port = (uint16_t)c->redirect_port};
	char to[ISCSI_TARGET_ADDRESS_MAX + 1] = "";

	if (c->redirect_address) {
		(void)snprintf(there.address, sizeof(there.address), "%s", c->redirect_address);
		portal_text(&there, -1, to);
	}
	return streq(k->redirect.to, to) && k->redirect.permanent == c->redirect_permanent;
}

static void plan_bindings_of(void *ctx, struct table_link *l)
{
	struct node *n = container_of(l, struct node, link);

	for (struct port *q = n->ports; q; q = q->next)
		for (struct binding *k = q->bindings; k; k = k->next_of_port) {
			struct change c = {.kind = KIND_BINDING,
					   .iqn = n->iqn,
					   .tpgt = q->tpgt,
					   .address = k->portal->address,
					   .port = k->portal->port};

			struct wanted *w = keep_or_remove(ctx, &c);

			if (w && !same_redirect(k, w->c)) {
				c = *w->c;
				c.op = CHANGE_SET;
				c.has_redirect = true;
				plan_add(ctx, &c);
			}
		}
}

static void plan_ports_of(void *ctx, struct table_link *l)
{
	struct node *n = container_of(l, struct node, link);

	for (struct port *q = n->ports; q; q = q->next) {
		struct change c = {.kind = KIND_PORT, .iqn = n->iqn, .tpgt = q->tpgt};
		struct wanted *w = keep_or_remove(ctx, &c);

		if (w && w->c->enabled != q->enabled) {
			c = *w->c;
			c.op = CHANGE_SET;
			plan_add(ctx, &c);
		}
	}
}

static bool same_user(const struct iscsi_chap_user *u, const char *const pair[2])
{
	return same_text(u->name, pair[0]) && same_text(u->secret, pair[1]);
}

static void plan_node(void *ctx, struct table_link *l)
{
	struct node *n = container_of(l, struct node, link);
	struct change c = {.kind = KIND_NODE, .iqn = n->iqn};
	struct wanted *w = keep_or_remove(ctx, &c);

	if (w &&
	    (w->c->enabled != n->enabled || !same_text(w->c->alias, n->alias) ||
	     !same_user(&n->chap_in, w->c->chap_in) || !same_user(&n->chap_out, w->c->chap_out))) {
		c = *w->c;
		c.op = CHANGE_SET;
		c.has_chap = c.has_alias = true; /* what is left out is not wanted */
		plan_add(ctx, &c);
	}
}

static void plan_portal(void *ctx, struct table_link *l)
{
	struct portal *q = container_of(l, struct portal, link);
	struct change c = {.kind = KIND_PORTAL, .address = q->address, .port = q->port};
	struct wanted *w = keep_or_remove(ctx, &c);

	if (w && w->c->enabled != q->enabled) {
		c = *w->c;
		c.op = CHANGE_SET;
		plan_add(ctx, &c);
	}
}

static void plan_unit(void *ctx, struct table_link *l)
{
	struct unit *u = container_of(l, struct unit, link);
	struct change c = {.kind = KIND_UNIT, .naa = u->naa};
	struct wanted *w = keep_or_remove(ctx, &c);

	if (w && w->c->size != u->size && w->c->size != 0) {
		c = *w->c;
		c.op = CHANGE_SET;
		plan_add(ctx, &c);
	}
}

int config_replace(struct target *t, const struct change *c, size_t n,
		   const struct config_options *o, struct err *e)
{
	struct plan p = {.t = t};
	struct wanted *w = xcalloc(n ? n : 1, sizeof(*w));
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		char id[512];

		w[i].c = &c[i];
		if (c[i].kind != KIND_SETTINGS && plan_find(&p, &c[i]))
			r = CONFIG_EXISTS;
		identity(&c[i], id);
		if (r < 0)
			(void)err_set(e, -EEXIST, "the configuration has %s twice", id);
		table_add(&p.wanted, &w[i].link, name_hash(id));
	}
	/* Down in the reverse order of the way up; nothing but this thread changes the lists. */
	table_each(&t->nodes, plan_luns_of, &p);
	table_each(&t->nodes, plan_bindings_of, &p);
	table_each(&t->nodes, plan_ports_of, &p);
	table_each(&t->nodes, plan_node, &p);
	table_each(&t->portals, plan_portal, &p);
	table_each(&t->units, plan_unit, &p);
	for (size_t i = 0; i < n; i++)
		if (!w[i].there) {
			struct change add = c[i];

			if (add.kind == KIND_SETTINGS)
				add.op = CHANGE_SET;
			plan_add(&p, &add);
		}
	if (r == 0)
		r = run(t, p.out, p.n, true, o, e);
	table_done(&p.wanted);
	free(p.out);
	free(w);
	return r;
}

/* ---- later ---- */

struct retry {
	struct target *t;
	void (*changed)(void *ctx, const struct portal *p);
	void *ctx;
	bool left;
};

static void retry_one(void *ctx, struct table_link *l)
{
	struct portal *p = container_of(l, struct portal, link);
	struct retry *r = ctx;
	enum portal_state before = p->state;

	if (!p->enabled || p->listener)
		return;
	(void)pthread_mutex_lock(&r->t->lock);
	portal_adjust(r->t, p);
	(void)pthread_mutex_unlock(&r->t->lock);
	if (p->state != before)
		r->changed(r->ctx, p);
	r->left |= p->listener == NULL;
}

bool config_retry_portals(struct target *t, void (*changed)(void *ctx, const struct portal *p),
			  void *ctx)
{
	struct retry r = {.t = t, .changed = changed, .ctx = ctx};

	table_each(&t->portals, retry_one, &r);
	return r.left;
}

static void sweep_worker(struct worker *w)
{
	struct target *t = w->target;
	struct connection *next;

	for (struct connection *c = w->connections; c; c = next) {
		bool served, ask;
		unsigned time;

		next = c->next;
		(void)pthread_mutex_lock(&t->lock);
		ask = c->state == CONN_FULL_FEATURE && c->session->type == ISCSI_SESSION_NORMAL;
		served = ask ? binding_serves(c->session->port, c->portal)
			     : !c->portal->gone && c->portal->enabled;
		served = served && !t->stopping;
		time = t->logout_time;
		(void)pthread_mutex_unlock(&t->lock);
		if (served || c->leaving || c->state == CONN_CLOSING)
			continue;
		if (ask && time > 0)
			connection_ask_logout(c, time);
		else
			connection_close(c);
	}
}

void config_sweep(struct target *t)
{
	target_broadcast(t, sweep_worker);
}

static void stop_listening(void *ctx, struct table_link *l)
{
	(void)ctx;
	listener_close(container_of(l, struct portal, link));
}

void config_stop_listening(struct target *t)
{
	table_each(&t->portals, stop_listening, NULL);
}

static void unlink_all(void *ctx, struct table_link *l)
{
	struct batch *b = ctx;
	struct node *n = container_of(l, struct node, link);
	struct change c = {.op = CHANGE_REMOVE, .kind = KIND_NODE, .iqn = n->iqn};

	if (do_change(b, &c) < 0)
		abort(); /* it was in the list a moment ago */
}

static void unlink_portal(void *ctx, struct table_link *l)
{
	struct batch *b = ctx;

	(void)add_step(b, CHANGE_REMOVE, KIND_PORTAL, container_of(l, struct portal, link));
}

static void unlink_unit(void *ctx, struct table_link *l)
{
	struct batch *b = ctx;

	(void)add_step(b, CHANGE_REMOVE, KIND_UNIT, container_of(l, struct unit, link));
}

void config_done(struct target *t)
{
	struct batch b = {.t = t};

	table_each(&t->nodes, unlink_all, &b);
	table_each(&t->portals, unlink_portal, &b);
	table_each(&t->units, unlink_unit, &b);
	commit(&b);
	for (size_t i = 0; i < b.n; i++)
		if (b.steps[i].kind == KIND_PORTAL)
			portal_unref(b.steps[i].thing);
	free(b.steps);
	table_done(&t->nodes);
	table_done(&t->portals);
	table_done(&t->units);
	table_done(&t->sessions_by_id);
	table_done(&t->sessions_by_tsih);
}
