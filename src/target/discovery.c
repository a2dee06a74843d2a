/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>

#include "target/session.h"

/* Which targets an initiator may be told of: all of the portal, one of it, or its own. */
static void add_address(struct buf *b, const struct portal *p, uint16_t tpgt)
{
	char text[ISCSI_TARGET_ADDRESS_MAX + 1];

	portal_text(p, tpgt, text);
	iscsi_text_add(b, "TargetAddress", text);
}

static bool is_loopback(const struct portal *p)
{
	if (p->sa.ss_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)&p->sa)->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&p->sa)->sin6_addr);
}

/* Can whoever came through the portal here get to p?  Loopback and link-local addresses are
 * somebody else's to whoever came another way. */
static bool reachable(const struct portal *p, const struct portal *here)
{
	const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)&p->sa;
	const struct sockaddr_in6 *b = (const struct sockaddr_in6 *)&here->sa;

	if (!p->enabled || p->state != PORTAL_LISTENING)
		return false;
	if (p->sa.ss_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&a->sin6_addr))
		return here->sa.ss_family == AF_INET6 && a->sin6_scope_id == b->sin6_scope_id;
	return !is_loopback(p) || is_loopback(here);
}

/* The portal that the question came through first, then the others of its group. */
static void add_port(struct buf *b, const struct port *port, const struct portal *here)
{
	iscsi_text_add(b, "TargetName", port->node->iqn);
	add_address(b, here, port->tpgt);
	for (const struct binding *k = port->bindings; k; k = k->next_of_port)
		if (k->portal != here && reachable(k->portal, here))
			add_address(b, k->portal, port->tpgt);
}

static bool shown(const struct port *p)
{
	return p->enabled && p->node->enabled;
}

bool discovery_answer(struct connection *c, const char *what, struct buf *b)
{
	struct target *t = c->worker->target;
	const struct session *s = c->session;
	bool discovery = s->type == ISCSI_SESSION_DISCOVERY;
	bool all = streq(what, "All"), own = what[0] == '\0';
	char name[ISCSI_NAME_MAX + 1] = "";

	if (all && !discovery) /* section 13.3: only in a discovery session */
		return false;
	if (!all && !own && iscsi_name_normalise(what, name, NULL) < 0)
		return true; /* a name that nobody can have: an empty answer */
	if (own && discovery)
		return false;
	(void)pthread_mutex_lock(&t->lock);
	if (!discovery) {
		if (own || streq(name, s->node->iqn))
			add_port(b, s->port, c->portal);
	} else {
		for (const struct binding *k = c->portal->bindings; k; k = k->next_of_portal)
			if (shown(k->port) && (all || streq(k->port->node->iqn, name)))
				add_port(b, k->port, c->portal);
	}
	(void)pthread_mutex_unlock(&t->lock);
	return true;
}
