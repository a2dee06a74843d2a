/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "target/session.h"

/* Which targets an initiator may be told of: all of the portal, one of it, or its own. */
static void add_address(struct buf *b, const struct portal *p, unsigned tpgt)
{
	char text[96];

	(void)snprintf(text, sizeof(text), strchr(p->address, ':') ? "[%s]:%u,%u" : "%s:%u,%u",
		       p->address, p->port, tpgt);
	iscsi_text_add(b, "TargetAddress", text);
}

/* The portal that the question came through first, then the others of its group. */
static void add_port(struct buf *b, const struct port *port, const struct portal *here)
{
	iscsi_text_add(b, "TargetName", port->node->iqn);
	add_address(b, here, port->tpgt);
	for (const struct binding *k = port->bindings; k; k = k->next_of_port)
		if (k->portal != here && k->portal->enabled && k->portal->state == PORTAL_LISTENING)
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
