/* SPDX-License-Identifier: Apache-2.0 */
/* Rules on ports, portals and portal groups. */
#include <stdio.h>

#include "base/str.h"
#include "san/object.h"
#include "san/refuse.h"

enum { ROLE_INITIATOR = 2, ROLE_TARGET = 3 };

static bool bad_ref(const struct san_ref *r)
{
	return r->kind == SAN_REF_NULL || r->kind == SAN_REF_WRONG_CLASS;
}

static int ref_cmp(const void *a, const void *b)
{
	const struct san_ref *x = *(const struct san_ref *const *)a,
			     *y = *(const struct san_ref *const *)b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	if (x->kind == SAN_REF_FOUND && !x->is_ip && !y->is_ip)
		return 0;
	return x->text && y->text ? strcmp(x->text, y->text) : (x > y) - (x < y);
}

/* Does the same portal stand in the list twice?  Returns one that does, or NULL. */
static const struct san_ref *twice(const struct san_ref *v, size_t n)
{
	auto_free const struct san_ref **p = xcalloc(n, sizeof(const struct san_ref *));
	const struct san_ref *found = NULL;

	for (size_t i = 0; i < n; i++)
		p[i] = &v[i];
	qsort(p, n, sizeof(p[0]), ref_cmp);
	for (size_t i = 1; i < n && !found; i++) {
		if (ref_cmp(&p[i - 1], &p[i]) == 0)
			found = p[i];
	}
	return found;
}

/* Checks 9 to 14 of CreateiSCSIProtocolEndpoint. */
static uint32_t check_portals(const struct san_state *s, const struct san_node *node,
			      const struct san_create_port_in *in, struct err *e)
{
	const struct san_ref *r;
	const struct san_portal *p, *first;
	const struct san_binding *b;

	if (in->portals_null || in->n_portals == 0)
		return refuse(e, SAN_INVALID,
			      "NetworkPortals is missing or empty; a target port "
			      "needs at least one network portal");
	for (size_t i = 0; i < in->n_portals; i++) {
		if (bad_ref(&in->portals[i]))
			return refuse_ref(e, SAN_INVALID, "NetworkPortals", &in->portals[i],
					  "TCPProtocolEndpoints");
	}
	r = twice(in->portals, in->n_portals);
	if (r)
		return refuse(e, SAN_INVALID, "NetworkPortals names portal %s twice", ref_text(r));
	for (size_t i = 0; i < in->n_portals; i++) {
		r = &in->portals[i];
		if (r->kind == SAN_REF_MISSING || (!r->is_ip && !san_portal(s, r->id)))
			return refuse(e, 4100, "portal %s does not exist", ref_text(r));
	}
	for (size_t i = 0; i < in->n_portals; i++) {
		if (in->portals[i].is_ip)
			return refuse(e, SAN_INVALID,
				      "%s is an IP endpoint; a target port takes TCP endpoints",
				      ref_text(&in->portals[i]));
	}
	for (size_t i = 0; i < in->n_portals; i++) {
		p = san_portal(s, in->portals[i].id);
		if (!p->has_ip)
			return refuse(e, 4101,
				      "portal %s is not bound to an IP endpoint: its address "
				      "has left the host",
				      p->text->s);
	}
	for (size_t i = 0; i < in->n_portals; i++) {
		p = san_portal(s, in->portals[i].id);
		b = san_binding_of_node(s, p->obj.id, node->obj.id);
		if (b)
			return refuse(e, 4102,
				      "portal %s serves port %s of this node already, and a portal "
				      "serves one port of a node",
				      p->text->s, b->identifier);
	}
	first = san_portal(s, in->portals[0].id);
	for (size_t i = 1; i < in->n_portals; i++) {
		p = san_portal(s, in->portals[i].id);
		if (p->group != first->group)
			return refuse(
				e, 4103,
				"portal %s is in group '%s' and %s in '%s'; the portals of one "
				"port must be of one group",
				first->text->s, san_group(s, first->group)->name->s, p->text->s,
				san_group(s, p->group)->name->s);
	}
	return SAN_DONE;
}

/* The lowest free TPGT from 1; 0 when there is none. */
static uint16_t free_tpgt(const struct san_state *s, uint64_t node)
{
	const struct san_port *p;
	unsigned want = 1;
	struct san_walk w;

	for (p = san_first_of(&w, s, SAN_PORTS_OF_NODE, node); p && p->tpgt <= want;
	     p = san_next(&w))
		want = p->tpgt + 1U;
	return want <= UINT16_MAX ? (uint16_t)want : 0;
}

uint32_t san_create_port(const struct san_state *s, const struct san_env *env,
			 const struct san_create_port_in *in, struct san_changes *ch,
			 struct san_created *ret, struct err *e)
{
	const struct san_node *node;
	struct san_port *port;
	bool listen = true;
	uint64_t id = s->next_id;
	uint16_t tpgt;
	uint32_t code;

	if (!s->settings->port_creation)
		return refuse(e, SAN_NOT_SUPPORTED,
			      "this server does not let clients create ports; a "
			      "setting turns that on");
	if (bad_ref(&in->node))
		return refuse_ref(e, SAN_INVALID, "iSCSINode", &in->node,
				  "a SCSIProtocolController");
	node = in->node.kind == SAN_REF_FOUND ? san_node(s, in->node.id) : NULL;
	if (!node)
		return refuse(e, 4096, "node %s does not exist", ref_text(&in->node));
	if (!in->has_role || (in->role != ROLE_INITIATOR && in->role != ROLE_TARGET))
		return refuse(e, SAN_INVALID,
			      "Role is missing or neither 2 (Initiator) nor 3 (Target)");
	if (in->role != ROLE_TARGET)
		return refuse(e, 4097, "node %s is a target; its ports have Role 3 (Target)",
			      node->iqn->s);
	if (in->identifier && !s->settings->identifier_selection)
		return refuse(e, 4099,
			      "this server gives out identifiers by itself; leave Identifier "
			      "NULL");
	if (in->identifier) {
		if (!san_identifier_parse(in->identifier, &tpgt))
			return refuse(e, SAN_INVALID,
				      "Identifier '%.64s' is not a target portal group tag in 12 "
				      "hexadecimal digits, 000000000000 to 00000000FFFF",
				      in->identifier);
		if (san_port_at(s, node->obj.id, tpgt))
			return refuse(e, 4098,
				      "node %s has a port %012X already; leave Identifier "
				      "NULL to get a free one",
				      node->iqn->s, tpgt);
	}
	code = check_portals(s, node, in, e);
	if (code)
		return code;
	if (!in->identifier) {
		tpgt = free_tpgt(s, node->obj.id);
		if (tpgt == 0)
			return refuse(e, SAN_METHOD_FAILED,
				      "node %s has no free target portal group tag left",
				      node->iqn->s);
	}
	port = san_port_new(id++, node, tpgt, env->now_us);
	san_changes_add(ch, SAN_PORT, NULL, port);
	for (size_t i = 0; i < in->n_portals; i++) {
		const struct san_portal *p = san_portal(s, in->portals[i].id);

		listen = listen && p->enabled.on;
		san_changes_add(ch, SAN_BINDING, NULL, san_binding_new(id++, port, p));
	}
	/* A portal that was switched off on purpose can't listen, and need not. */
	ch->must_listen = listen;
	ret->id = port->obj.id;
	return SAN_DONE;
}

uint32_t san_bind(const struct san_state *s, const struct san_bind_in *in, struct san_changes *ch,
		  struct err *e)
{
	const struct san_binding *b;
	const struct san_portal *portal;
	const struct san_port *port;
	struct san_walk w;

	if (bad_ref(&in->port))
		return refuse_ref(e, SAN_INVALID, "iSCSIPort", &in->port,
				  "an iSCSIProtocolEndpoint");
	if (bad_ref(&in->portal))
		return refuse_ref(e, SAN_INVALID, "NetworkPortal", &in->portal,
				  "a TCPProtocolEndpoint");
	port = in->port.kind == SAN_REF_FOUND ? san_port(s, in->port.id) : NULL;
	if (!port)
		return refuse(e, 4096, "port %s does not exist", ref_text(&in->port));
	portal = in->portal.kind == SAN_REF_FOUND && !in->portal.is_ip
			 ? san_portal(s, in->portal.id)
			 : NULL;
	if (in->portal.kind == SAN_REF_MISSING || (!in->portal.is_ip && !portal))
		return refuse(e, 4096, "portal %s does not exist", ref_text(&in->portal));
	if (!portal)
		return refuse(e, SAN_INVALID,
			      "%s is an IP endpoint; a target port takes TCP endpoints",
			      ref_text(&in->portal));
	if (!portal->has_ip)
		return refuse(e, 4097,
			      "portal %s is not bound to an IP endpoint: its address has left "
			      "the host",
			      portal->text->s);
	b = san_binding_of_node(s, portal->obj.id, port->node);
	if (b && b->port == port->obj.id)
		return SAN_DONE;
	if (b)
		return refuse(e, 4098,
			      "portal %s serves port %s of the same node already; unbind it "
			      "there first",
			      portal->text->s, b->identifier);
	b = san_first_of(&w, s, SAN_BINDINGS_OF_PORT, port->obj.id);
	if (b && san_portal(s, b->portal)->group != portal->group)
		return refuse(e, 4099,
			      "portal %s is in group '%s', the portals of port %s are in '%s'; the "
			      "portals of one port must be of one group",
			      portal->text->s, san_group(s, portal->group)->name->s, port->name->s,
			      san_group(s, san_portal(s, b->portal)->group)->name->s);
	san_changes_add(ch, SAN_BINDING, NULL, san_binding_new(s->next_id, port, portal));
	ch->must_listen = portal->enabled.on;
	return SAN_DONE;
}

uint32_t san_unbind(const struct san_state *s, uint64_t port, uint64_t portal,
		    struct san_changes *ch, struct err *e)
{
	const struct san_binding *b = san_binding(s, port, portal);

	if (!b)
		return refuse(e, SAN_REFUSED_NOT_FOUND, "that portal does not serve that port");
	san_changes_add(ch, SAN_BINDING, b, NULL);
	return 0;
}

uint32_t san_delete_port(const struct san_state *s, const struct san_delete_port_in *in,
			 struct san_changes *ch, struct err *e)
{
	const struct san_port *p;

	if (bad_ref(&in->port))
		return refuse_ref(e, SAN_INVALID, "iSCSIPort", &in->port,
				  "an iSCSIProtocolEndpoint");
	p = in->port.kind == SAN_REF_FOUND ? san_port(s, in->port.id) : NULL;
	if (!p)
		return refuse(e, 4096, "port %s does not exist", ref_text(&in->port));
	san_remove_port(s, p, ch);
	return SAN_DONE;
}

/* ---- portals ---- */

uint32_t san_create_portal(const struct san_state *s, const struct san_env *env,
			   const struct san_create_portal_in *in, struct san_changes *ch,
			   struct san_created *ret, struct err *e)
{
	char address[SAN_ADDRESS_TEXT], other[SAN_ADDRESS_TEXT], text[SAN_PORTAL_TEXT];
	uint32_t port = in->tcp_port, port_named = 0;
	struct san_ip *ip;
	uint8_t family;

	if (!in->name && !in->address)
		return refuse(e, SAN_REFUSED_INVALID,
			      "a portal needs Name (\"192.0.2.1:3260\", "
			      "\"[2001:db8::1]:3260\") or an address and "
			      "PortNumber");
	if (in->name && !san_portal_parse(in->name, address, &family, &port_named))
		return refuse(e, SAN_REFUSED_INVALID,
			      "'%.100s' is no network portal; write 192.0.2.1:3260 or "
			      "[2001:db8::1]:3260",
			      in->name);
	if (in->address) {
		if (!san_address_parse(in->address, other, &family))
			return refuse(e, SAN_REFUSED_INVALID, "'%.100s' is no IP address",
				      in->address);
		if (in->name && !streq(other, address))
			return refuse(e, SAN_REFUSED_INVALID,
				      "Name says address %s and the address property %s", address,
				      other);
		memcpy(address, other, sizeof(address));
	}
	if (in->name && port_named && in->has_tcp_port && port != port_named)
		return refuse(e, SAN_REFUSED_INVALID, "Name says port %u and PortNumber %u",
			      port_named, port);
	if (!in->has_tcp_port)
		port = port_named;
	if (port == 0 || port > UINT16_MAX)
		return refuse(e, SAN_REFUSED_INVALID, "port %u is not one of 1 to 65535", port);
	san_portal_format(text, address, family, (uint16_t)port);
	if (san_portal_at(s, address, (uint16_t)port))
		return refuse(e, SAN_REFUSED_EXISTS, "portal %s exists already", text);
	if (!san_ip(s, address)) {
		/* Every address of 127.0.0.0/8 is the host's own, whether or not lo shows it. */
		if (!s->settings->loopback || !str_starts(address, "127.") || !san_nic(s, "lo"))
			return refuse(e, SAN_REFUSED_FAILED,
				      "address %s is not one of this host's%s", address,
				      san_address_is_loopback(address)
					      ? ": loopback addresses count when --portal names one"
					      : "");
		ip = san_loopback_ip(address, env->now_us);
		san_changes_add(ch, SAN_IP, NULL, ip);
	}
	ret->id = s->next_id;
	san_changes_add(ch, SAN_PORTAL, NULL,
			san_portal_new(ret->id, address, family, (uint16_t)port,
				       san_default_group(s)->obj.id, SAN_PORTAL_HAND, env->now_us));
	return 0;
}

/* Refuse because ports are served, naming some of them. */
static uint32_t refuse_bound(const struct san_state *s, const struct san_portal *p,
			     const char *what, struct err *e)
{
	enum { NAMED = 3 };
	const struct san_binding *b;
	char list[3 * (SAN_IQN_MAX / 2)];
	size_t n = 0, count = 0;
	struct san_walk w;

	list[0] = '\0';
	for (b = san_first_of(&w, s, SAN_BINDINGS_OF_PORTAL, p->obj.id); b && count < NAMED;
	     b = san_next(&w), count++) {
		int r = snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "",
				 san_port(s, b->port)->name->s);

		n += (size_t)r;
		if (n >= sizeof(list))
			n = sizeof(list) - 1;
	}
	return refuse(e, SAN_REFUSED_FAILED, "portal %s %s while it serves %s%s; unbind it first",
		      p->text->s, what, list, b ? " and others" : "");
}

static bool is_bound(const struct san_state *s, const struct san_portal *p)
{
	struct san_walk w;

	return san_first_of(&w, s, SAN_BINDINGS_OF_PORTAL, p->obj.id) != NULL;
}

uint32_t san_delete_portal(const struct san_state *s, uint64_t portal, struct san_changes *ch,
			   struct err *e)
{
	const struct san_portal *p = san_portal(s, portal);

	if (!p)
		return refuse(e, SAN_REFUSED_NOT_FOUND, "no such portal");
	if (is_bound(s, p))
		return refuse_bound(s, p, "can't be deleted", e);
	san_changes_add(ch, SAN_PORTAL, p, NULL);
	return 0;
}

static const struct san_group *group_by_name(const struct san_state *s, const char *nfc)
{
	const struct san_group *g;
	struct san_walk w;

	for (g = san_first(&w, s, SAN_GROUPS); g; g = san_next(&w)) {
		if (streq(g->name->s, nfc))
			return g;
	}
	return NULL;
}

static uint32_t refuse_group_name(const char *nfc, struct err *e)
{
	return refuse(e, SAN_REFUSED_EXISTS,
		      "portal group '%.200s' exists already; choose another name", nfc);
}

uint32_t san_create_group(const struct san_state *s, const char *name, struct san_changes *ch,
			  struct san_created *ret, struct err *e)
{
	auto_free char *nfc = NULL;

	if (san_check_name("ElementName", name, SAN_NAME_MAX, e) < 0)
		return SAN_REFUSED_INVALID;
	nfc = san_nfc(name);
	if (group_by_name(s, nfc))
		return refuse_group_name(nfc, e);
	ret->id = s->next_id;
	san_changes_add(ch, SAN_GROUP, NULL, san_group_new(ret->id, nfc, false));
	return 0;
}

uint32_t san_rename_group(const struct san_state *s, uint64_t group, const char *name,
			  struct san_changes *ch, struct err *e)
{
	const struct san_group *g = san_group(s, group), *other;
	auto_free char *nfc = NULL;
	struct san_group *d;

	if (!g)
		return refuse(e, SAN_REFUSED_NOT_FOUND, "the portal group has just been deleted");
	if (san_check_name("ElementName", name, SAN_NAME_MAX, e) < 0)
		return SAN_REFUSED_INVALID;
	nfc = san_nfc(name);
	other = group_by_name(s, nfc);
	if (other == g)
		return SAN_DONE;
	if (g->is_default)
		return refuse(e, SAN_REFUSED_FAILED,
			      "portal group '%s' keeps its name: new portals go there",
			      g->name->s);
	if (other)
		return refuse_group_name(nfc, e);
	d = san_obj_dup(g);
	san_str_set(&d->name, nfc);
	san_changes_add(ch, SAN_GROUP, g, d);
	return SAN_DONE;
}

uint32_t san_delete_group(const struct san_state *s, uint64_t group, struct san_changes *ch,
			  struct err *e)
{
	const struct san_group *g = san_group(s, group);
	const struct san_portal *p;
	struct san_walk w;

	if (!g)
		return refuse(e, SAN_REFUSED_NOT_FOUND, "no such portal group");
	if (g->is_default)
		return refuse(e, SAN_REFUSED_FAILED,
			      "portal group '%s' can't be deleted: new portals go there",
			      g->name->s);
	p = san_first_of(&w, s, SAN_PORTALS_OF_GROUP, group);
	if (p)
		return refuse(e, SAN_REFUSED_FAILED,
			      "portal group '%.200s' is not empty; move or delete portal %s first",
			      g->name->s, p->text->s);
	san_changes_add(ch, SAN_GROUP, g, NULL);
	return 0;
}

uint32_t san_move_portal(const struct san_state *s, uint64_t group, uint64_t portal,
			 struct san_changes *ch, struct err *e)
{
	const struct san_group *g = san_group(s, group);
	const struct san_portal *p = san_portal(s, portal);
	struct san_portal *moved;

	if (!g || !p)
		return refuse(e, SAN_REFUSED_NOT_FOUND, "no such %s",
			      g ? "portal" : "portal group");
	if (p->group == group)
		return refuse(e, SAN_REFUSED_EXISTS, "portal %s is in group '%.200s' already",
			      p->text->s, g->name->s);
	if (is_bound(s, p))
		return refuse_bound(s, p, "can't change its group", e);
	moved = san_obj_dup(p);
	moved->group = group;
	moved->origin = SAN_PORTAL_HAND;
	san_changes_add(ch, SAN_PORTAL, p, moved);
	return 0;
}
