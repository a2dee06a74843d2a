/* SPDX-License-Identifier: Apache-2.0 */
/* What the host and the target report, as changes.  Nothing here can be refused. */
#include <arpa/inet.h>
#include <stdio.h>

#include "base/str.h"
#include "san/object.h"
#include "san/refuse.h"

/* ---- network ---- */

static enum san_status nic_status(const struct san_seen_nic *n)
{
	return n->up && n->running ? SAN_OK : SAN_LINK_DOWN;
}

static struct san_nic *make_nic(const struct san_seen_nic *seen, int64_t now_us)
{
	struct san_nic *n = san_obj_new(SAN_NIC, 0);

	san_str_set(&n->name, seen->name);
	(void)snprintf(n->mac, sizeof(n->mac), "%02X%02X%02X%02X%02X%02X", seen->mac[0],
		       seen->mac[1], seen->mac[2], seen->mac[3], seen->mac[4], seen->mac[5]);
	n->up = seen->up;
	n->running = seen->running;
	n->loopback = seen->loopback;
	n->speed = seen->speed;
	n->mtu = seen->mtu;
	n->status = nic_status(seen);
	n->changed_us = now_us;
	return n;
}

static struct san_ip *make_ip(const char *address, const char *nic, uint8_t family,
			      uint8_t prefix_len, enum san_status status, int64_t now_us)
{
	struct san_ip *ip = san_obj_new(SAN_IP, 0);

	san_str_set(&ip->address, address);
	san_str_set(&ip->nic, nic);
	ip->family = family;
	ip->prefix_len = prefix_len;
	if (family == 4) {
		struct in_addr m = {.s_addr = htonl(prefix_len ? ~0U << (32 - prefix_len) : 0)};

		(void)inet_ntop(AF_INET, &m, ip->mask, sizeof(ip->mask));
	}
	ip->loopback = san_address_is_loopback(address);
	ip->status = status;
	ip->changed_us = now_us;
	return ip;
}

struct san_ip *san_loopback_ip(const char *address, int64_t now_us)
{
	return make_ip(address, "lo", 4, 8, SAN_OK, now_us);
}

static bool same_nic(const struct san_nic *a, const struct san_nic *b)
{
	return streq(a->mac, b->mac) && a->up == b->up && a->running == b->running &&
	       a->speed == b->speed && a->mtu == b->mtu;
}

static bool same_ip(const struct san_ip *a, const struct san_ip *b)
{
	return streq(a->nic->s, b->nic->s) && a->prefix_len == b->prefix_len &&
	       a->status == b->status;
}

/* The addresses and NICs that are to be there, found again by name. */
struct seeing {
	const struct san_state *s;
	const struct san_env *env;
	const struct san_seen_network *seen;
	struct san_changes *ch;
	struct pset nics, ips, portals;
};

static int nic_cmp(const void *a, const void *b)
{
	return strcmp(((const struct san_nic *)a)->name->s, ((const struct san_nic *)b)->name->s);
}
static int ip_cmp(const void *a, const void *b)
{
	return strcmp(((const struct san_ip *)a)->address->s,
		      ((const struct san_ip *)b)->address->s);
}
static int portal_cmp(const void *a, const void *b)
{
	return strcmp(((const struct san_portal *)a)->text->s,
		      ((const struct san_portal *)b)->text->s);
}
static void obj_ref(void *o)
{
	(void)san_ref(o);
}
static const struct pset_type nic_type = {nic_cmp, obj_ref, san_unref};
static const struct pset_type ip_type = {ip_cmp, obj_ref, san_unref};
static const struct pset_type portal_type = {portal_cmp, obj_ref, san_unref};

/* Put a fresh object into a set that then holds it alone, unless its like is there. */
static void want(struct pset *set, void *obj)
{
	if (!pset_find(set, obj, set->type->cmp))
		pset_put(set, obj);
	san_unref(obj);
}

static void want_loopback(struct seeing *x, const char *address)
{
	struct san_nic *lo = san_obj_new(SAN_NIC, 0);

	san_str_set(&lo->name, "lo");
	if (str_starts(address, "127.") && pset_find(&x->nics, lo, nic_cmp))
		want(&x->ips, san_loopback_ip(address, x->env->now_us));
	san_unref(lo);
}

/* Does a portal stay when nothing asks for it any more? */
static bool stays(const struct san_state *s, const struct san_portal *p)
{
	struct san_walk w;

	return p->origin == SAN_PORTAL_HAND ||
	       san_first_of(&w, s, SAN_BINDINGS_OF_PORTAL, p->obj.id);
}

static void want_addresses(struct seeing *x)
{
	const struct san_seen_network *seen = x->seen;
	bool loopback = x->s->settings->loopback;
	const struct san_portal *p;
	struct san_walk w;

	for (size_t i = 0; i < seen->n_nics; i++) {
		if (!seen->nics[i].loopback || loopback)
			want(&x->nics, make_nic(&seen->nics[i], x->env->now_us));
	}
	for (size_t i = 0; i < seen->n_ips; i++) {
		const struct san_seen_ip *ip = &seen->ips[i];
		enum san_status status = SAN_OK;

		if (san_address_is_loopback(ip->address) && !loopback)
			continue;
		for (size_t k = 0; k < seen->n_nics; k++) {
			if (streq(seen->nics[k].name, ip->nic))
				status = nic_status(&seen->nics[k]);
		}
		if (ip->duplicate)
			status = SAN_ADDRESS_DUPLICATE;
		else if (ip->tentative)
			status = SAN_ADDRESS_TENTATIVE;
		want(&x->ips, make_ip(ip->address, ip->nic, ip->family, ip->prefix_len, status,
				      x->env->now_us));
	}
	for (size_t i = 0; loopback && i < seen->n_wanted; i++)
		want_loopback(x, seen->wanted[i].address);
	for (p = san_first(&w, x->s, SAN_PORTALS); loopback && p; p = san_next(&w)) {
		if (stays(x->s, p))
			want_loopback(x, p->address->s);
	}
}

static void want_portal(struct seeing *x, const char *address, uint16_t tcp_port)
{
	char canonical[SAN_ADDRESS_TEXT];
	uint8_t family;

	if (san_address_parse(address, canonical, &family))
		want(&x->portals,
		     san_portal_new(0, canonical, family, tcp_port, san_default_group(x->s)->obj.id,
				    SAN_PORTAL_DEFAULT, x->env->now_us));
}

static void want_portals(struct seeing *x)
{
	const struct san_settings *set = x->s->settings;
	const struct san_ip *ip;
	struct pset_iter it;

	for (size_t i = 0; i < x->seen->n_wanted; i++)
		want_portal(x, x->seen->wanted[i].address, x->seen->wanted[i].tcp_port);
	if (x->seen->has_wanted || !set->default_portals)
		return;
	for (ip = pset_first(&x->ips, &it); ip; ip = pset_next(&it)) {
		if (!ip->loopback)
			want_portal(x, ip->address->s, set->default_tcp_port);
	}
}

/* NICs, then addresses: what is gone, what is new, what is different. */
static void change_network(struct seeing *x)
{
	const struct san_nic *n, *was_n;
	const struct san_ip *a, *was_a;
	struct pset_iter it;
	struct san_walk w;

	for (was_a = san_first(&w, x->s, SAN_IPS); was_a; was_a = san_next(&w)) {
		if (!pset_find(&x->ips, was_a, ip_cmp))
			san_changes_add(x->ch, SAN_IP, was_a, NULL);
	}
	for (n = pset_first(&x->nics, &it); n; n = pset_next(&it)) {
		was_n = san_nic(x->s, n->name->s);
		if (!was_n || !same_nic(was_n, n))
			san_changes_add(x->ch, SAN_NIC, was_n, san_ref(n));
	}
	for (a = pset_first(&x->ips, &it); a; a = pset_next(&it)) {
		was_a = san_ip(x->s, a->address->s);
		if (!was_a || !same_ip(was_a, a))
			san_changes_add(x->ch, SAN_IP, was_a, san_ref(a));
	}
	for (was_n = san_first(&w, x->s, SAN_NICS); was_n; was_n = san_next(&w)) {
		if (!pset_find(&x->nics, was_n, nic_cmp))
			san_changes_add(x->ch, SAN_NIC, was_n, NULL);
	}
}

/* Default portals come with a new address (all are new at the start: what a client deleted
 * meanwhile does not come back with every event) and go with it while nothing is bound. */
static void change_portals(struct seeing *x)
{
	bool first = x->seen->again || san_count(x->s, SAN_NICS) == 0;
	uint64_t id = x->s->next_id;
	const struct san_portal *p;
	struct pset_iter it;
	struct san_walk w;

	for (p = san_first(&w, x->s, SAN_PORTALS); p; p = san_next(&w)) {
		if (!stays(x->s, p) && !pset_find(&x->portals, p, portal_cmp))
			san_changes_add(x->ch, SAN_PORTAL, p, NULL);
	}
	for (p = pset_first(&x->portals, &it); p; p = pset_next(&it)) {
		if (!san_portal_at(x->s, p->address->s, p->tcp_port) &&
		    (first || !san_ip(x->s, p->address->s))) {
			struct san_portal *made = san_obj_dup(p);

			made->obj.id = id++;
			san_changes_add(x->ch, SAN_PORTAL, NULL, made);
		}
	}
}

void san_network_seen(const struct san_state *s, const struct san_env *env,
		      const struct san_seen_network *seen, struct san_changes *ch)
{
	struct seeing x = {
		s, env, seen, ch, pset_of(&nic_type), pset_of(&ip_type), pset_of(&portal_type)};

	want_addresses(&x);
	want_portals(&x);
	change_network(&x);
	change_portals(&x);
	pset_done(&x.nics);
	pset_done(&x.ips);
	pset_done(&x.portals);
	ch->observed = true;
}

/* ---- the target ---- */

void san_portal_seen(const struct san_state *s, const char *address, uint16_t tcp_port,
		     enum san_listen listen, const char *why, struct san_changes *ch)
{
	const struct san_portal *p = san_portal_at(s, address, tcp_port);
	struct san_portal *d;

	ch->observed = true;
	if (!p || (p->listen == listen && streq(p->why->s, why)))
		return;
	d = san_obj_dup(p);
	d->listen = listen;
	san_str_set(&d->why, why);
	san_changes_add(ch, SAN_PORTAL, p, d);
}

void san_port_seen(const struct san_state *s, const char *iqn, uint16_t tpgt, const char *why,
		   struct san_changes *ch)
{
	const struct san_node *n = san_node_by_iqn(s, iqn);
	const struct san_port *p = n ? san_port_at(s, n->obj.id, tpgt) : NULL;
	struct san_port *d;

	ch->observed = true;
	if (!p || streq(p->why->s, why))
		return;
	d = san_obj_dup(p);
	san_str_set(&d->why, why);
	san_changes_add(ch, SAN_PORT, p, d);
}

void san_unit_seen(const struct san_state *s, const char *naa, const char *error,
		   struct san_changes *ch)
{
	const struct san_unit *u = san_unit_by_naa(s, naa);
	struct san_unit *d;

	ch->observed = true;
	if (!u || streq(u->why->s, error))
		return;
	d = san_obj_dup(u);
	san_str_set(&d->why, error);
	san_changes_add(ch, SAN_UNIT, u, d);
}

void san_engine_seen(const struct san_state *s, const struct san_env *env, const char *kind,
		     enum san_engine_health health, const char *why, struct san_changes *ch)
{
	const struct san_engine *was = s->engine;
	struct san_engine *d;

	ch->observed = true;
	if (was->health == health && streq(was->why->s, why) && streq(was->kind->s, kind))
		return;
	d = san_obj_dup(was);
	if (d->health != health)
		d->changed_us = env->now_us;
	d->health = health;
	san_str_set(&d->kind, kind);
	san_str_set(&d->why, why);
	san_changes_add(ch, SAN_ENGINE, was, d);
}

void san_session_seen(const struct san_state *s, const struct san_seen_session *seen,
		      struct san_changes *ch)
{
	const struct san_node *n = seen->iqn && *seen->iqn ? san_node_by_iqn(s, seen->iqn) : NULL;
	const struct san_port *p = n ? san_port_at(s, n->obj.id, seen->tpgt) : NULL;
	size_t count = seen->n_connections < SAN_CONNECTIONS_MAX ? seen->n_connections
								 : SAN_CONNECTIONS_MAX;
	struct san_session *x;
	char port_name[SAN_IQN_MAX + sizeof(",i,0x") + sizeof(x->isid)];

	ch->observed = true;
	/* A session of a port that is going shows no more: its port can't be named. */
	if (!seen->discovery && !p)
		return;
	x = san_session_new(seen->id, count);
	if (!seen->discovery) {
		x->node = n->obj.id;
		x->port = p->obj.id;
		x->tpgt = p->tpgt;
		san_str_share(&x->iqn, n->iqn);
	}
	x->tsih = seen->tsih;
	x->discovery = seen->discovery;
	(void)snprintf(x->isid, sizeof(x->isid), "%s", seen->isid ? seen->isid : "");
	san_str_set(&x->initiator, seen->initiator ? seen->initiator : "");
	/* The kernel's target does not tell of every session which one it is. */
	(void)snprintf(port_name, sizeof(port_name), "%s,i,%s%s", x->initiator->s,
		       *x->isid ? "0x" : "unknown", x->isid);
	san_str_set(&x->initiator_port, port_name);
	san_str_set(&x->initiator_alias, seen->initiator_alias ? seen->initiator_alias : "");
	san_str_set(&x->auth, seen->auth ? seen->auth : "None");
	x->since_us = seen->since_us;
	x->MaxConnections = seen->MaxConnections;
	x->MaxOutstandingR2T = seen->MaxOutstandingR2T;
	x->ErrorRecoveryLevel = seen->ErrorRecoveryLevel;
	x->DefaultTime2Wait = seen->DefaultTime2Wait;
	x->DefaultTime2Retain = seen->DefaultTime2Retain;
	x->MaxBurstLength = seen->MaxBurstLength;
	x->FirstBurstLength = seen->FirstBurstLength;
	x->InitialR2T = seen->InitialR2T;
	x->ImmediateData = seen->ImmediateData;
	x->DataPDUInOrder = seen->DataPDUInOrder;
	x->DataSequenceInOrder = seen->DataSequenceInOrder;
	if (count)
		memcpy(x->connections, seen->connections, count * sizeof(x->connections[0]));
	san_changes_add(ch, SAN_SESSION, san_session(s, seen->id), x);
}

void san_session_gone(const struct san_state *s, uint64_t id, struct san_changes *ch)
{
	const struct san_session *x = san_session(s, id);

	ch->observed = true;
	if (x)
		san_changes_add(ch, SAN_SESSION, x, NULL);
}

void san_sessions_clear(const struct san_state *s, struct san_changes *ch)
{
	struct san_walk w;

	ch->observed = true;
	for (const void *x = san_first(&w, s, SAN_SESSIONS); x; x = san_next(&w))
		san_changes_add(ch, SAN_SESSION, x, NULL);
}

/* ---- what others have made ---- */

void san_foreign_seen(const struct san_state *s, const struct san_seen_foreign *seen, size_t n,
		      struct san_changes *ch)
{
	struct san_walk w;

	ch->observed = true;
	for (const struct san_foreign *f = san_first(&w, s, SAN_FOREIGNS); f; f = san_next(&w)) {
		size_t i = 0;

		while (i < n && !streq(seen[i].name, f->name->s))
			i++;
		if (i == n)
			san_changes_add(ch, SAN_FOREIGN, f, NULL);
	}
	for (size_t i = 0; i < n; i++) {
		const struct san_foreign *was = san_foreign(s, seen[i].name);
		struct san_foreign *now;

		if (was && was->kind == seen[i].kind && was->serves == seen[i].serves &&
		    streq(was->at->s, seen[i].at) && streq(was->uses->s, seen[i].uses))
			continue;
		now = san_obj_new(SAN_FOREIGN, 0);
		now->kind = seen[i].kind;
		now->serves = seen[i].serves;
		san_str_set(&now->name, seen[i].name);
		san_str_set(&now->at, seen[i].at);
		san_str_set(&now->uses, seen[i].uses);
		san_changes_add(ch, SAN_FOREIGN, was, now);
	}
}

/* ---- block devices ---- */

static const struct san_unit *unit_in(const struct san_state *s, const struct san_pool *p)
{
	struct san_walk w;
	const struct san_unit *u = san_first(&w, s, SAN_UNITS);

	while (u && u->pool != p->obj.id)
		u = san_next(&w);
	return u;
}

static const struct san_pool *primordial_of_devices(const struct san_state *s)
{
	struct san_walk w;
	const struct san_pool *p = san_first(&w, s, SAN_POOLS);

	while (p && (!p->primordial || p->kind != SAN_POOL_DEVICES))
		p = san_next(&w);
	return p;
}

/* was NULL: now is new. */
static void pool_becomes(struct san_changes *ch, const struct san_pool *was, struct san_pool *now)
{
	if (was && san_obj_same(&was->obj, &now->obj) && was->total == now->total &&
	    was->free == now->free && streq(was->identity->s, now->identity->s) &&
	    streq(was->why->s, now->why->s))
		san_unref(now);
	else
		san_changes_add(ch, SAN_POOL, was, now);
}

static void see_device(struct san_pool *now, const struct san_seen_device *x,
		       const struct san_unit *u)
{
	now->total = x->size;
	now->free = u ? 0 : x->size;
	san_str_set(&now->identity, x->identity);
	san_str_set(&now->why, x->why);
}

void san_devices_seen(const struct san_state *s, const struct san_seen_device *seen, size_t n,
		      struct san_changes *ch)
{
	const struct san_pool *root = primordial_of_devices(s);
	uint64_t id = s->next_id, total = 0, room = 0;
	struct san_pool *now;
	size_t kept = 0;

	ch->observed = true;
	for (size_t i = 0; i < n; i++) {
		const struct san_pool *p = san_pool_of_device(s, seen[i].path);
		const struct san_unit *u = p ? unit_in(s, p) : NULL;

		if (!u && !seen[i].offered) {
			if (p)
				san_changes_add(ch, SAN_POOL, p, NULL);
			continue;
		}
		now = p ? san_obj_dup(p)
			: san_pool_new(id++, seen[i].path, SAN_POOL_DEVICES, seen[i].path);
		see_device(now, &seen[i], u);
		total += now->total;
		room += now->free;
		kept++;
		pool_becomes(ch, p, now);
	}
	if (!root && kept == 0)
		return;
	if (kept == 0) {
		san_changes_add(ch, SAN_POOL, root, NULL);
		return;
	}
	now = root ? san_obj_dup(root)
		   : san_pool_new(id, "block devices", SAN_POOL_DEVICES, NULL);
	now->total = total;
	now->free = room;
	pool_becomes(ch, root, now);
}

void san_space_seen(const struct san_state *s, uint64_t total, uint64_t free_bytes,
		    struct san_changes *ch)
{
	struct san_walk w;

	ch->observed = true;
	for (const struct san_pool *p = san_first(&w, s, SAN_POOLS); p; p = san_next(&w)) {
		struct san_pool *d;

		if (p->kind != SAN_POOL_FILES || (p->total == total && p->free == free_bytes))
			continue;
		d = san_obj_dup(p);
		d->total = total;
		d->free = free_bytes < total ? free_bytes : total;
		san_changes_add(ch, SAN_POOL, p, d);
	}
}
