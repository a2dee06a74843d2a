/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/log.h"
#include "engine/lio/drain.h"
#include "engine/lio/sockets.h"

struct leaving {
	struct leaving *next;
	char iqn[SAN_IQN_MAX + 1], portal[SAN_PORTAL_TEXT];
	uint16_t tpgt;
	uint64_t due;
	bool blind;             /* connections can't be told */
	struct socket_list was; /* connections at the time; later ones are none of its */
};

struct drain {
	struct tree *tree;
	struct look *look;
	struct leaving *list;
};

struct drain *drain_new(struct tree *t, struct look *l)
{
	struct drain *d = xcalloc(1, sizeof(*d));

	d->tree = t;
	d->look = l;
	return d;
}

static void leaving_free(struct leaving *x)
{
	socket_list_done(&x->was);
	free(x);
}

void drain_free(struct drain *d)
{
	if (!d)
		return;
	while (d->list) {
		struct leaving *x = d->list;

		d->list = x->next;
		leaving_free(x);
	}
	free(d);
}

/* Established connections to a portal; false when the network stack doesn't tell. */
static bool connections(const char *portal, struct socket_list *ret)
{
	char address[SAN_ADDRESS_TEXT];
	size_t kept = 0;
	uint8_t family;
	uint32_t port;
	struct err e;

	*ret = (struct socket_list){0};
	if (!san_portal_parse(portal, address, &family, &port))
		return true;
	if (socket_list((uint16_t)port, ret, &e) < 0) {
		log_info(engine, "sessions of portal %s can't be told from others: %s", portal,
			 e.text);
		return false;
	}
	for (size_t i = 0; i < ret->n; i++) {
		if (streq(ret->v[i].local, portal))
			ret->v[kept++] = ret->v[i];
	}
	ret->n = kept;
	return true;
}

void drain_add(struct drain *d, const char *iqn, uint16_t tpgt, const char *portal, uint64_t due)
{
	struct leaving *x = xcalloc(1, sizeof(*x)), **at = &d->list;

	x->blind = !connections(portal, &x->was);
	if (!x->blind && x->was.n == 0) {
		leaving_free(x);
		return;
	}
	(void)snprintf(x->iqn, sizeof(x->iqn), "%s", iqn);
	(void)snprintf(x->portal, sizeof(x->portal), "%s", portal);
	x->tpgt = tpgt;
	x->due = due;
	while (*at)
		at = &(*at)->next;
	*at = x;
}

uint64_t drain_next(const struct drain *d)
{
	uint64_t next = UINT64_MAX;

	for (const struct leaving *x = d->list; x; x = x->next) {
		if (x->due < next)
			next = x->due;
	}
	return next;
}

/* Does any other target in the kernel use the portal, one of ours or not? */
static bool is_shared(const struct drain *d, const char *portal)
{
	struct cfs_names auto_names targets = {0};

	if (cfs_list(&d->tree->cfs, "iscsi", CFS_DIRS, &targets, NULL) < 0)
		return true;
	for (size_t i = 0; i < targets.n; i++) {
		struct cfs_names auto_names tpgs = {0};

		if (streq(targets.v[i], TREE_HOLDER) ||
		    cfs_list(&d->tree->cfs, cfs_path("iscsi/%s", targets.v[i]).s, CFS_DIRS, &tpgs,
			     NULL) < 0)
			continue;
		for (size_t k = 0; k < tpgs.n; k++) {
			if (cfs_exists(&d->tree->cfs, cfs_path("iscsi/%s/%s/np/%s", targets.v[i],
							       tpgs.v[k], portal)
							      .s))
				return true;
		}
	}
	return false;
}

static bool has(const struct socket_list *l, const char *peer)
{
	for (size_t i = 0; i < l->n; i++) {
		if (streq(l->v[i].peer, peer))
			return true;
	}
	return false;
}

static void end_one(struct drain *d, const struct leaving *x, const struct socket_connection *c,
		    bool shared)
{
	enum look_who who = shared ? look_whose(d->look, x->iqn, x->tpgt, c->peer, c->peer_address)
				   : LOOK_THIS;
	struct err e;

	if (who == LOOK_THIS && socket_kill(c, &e) < 0) {
		/* No right to, or a kernel built without: the other way. */
		log_info(engine, "%s", e.text);
		who = LOOK_BOTH;
	}
	if (who == LOOK_BOTH)
		look_end(d->look, x->iqn, x->tpgt, c->peer_address);
	if (who == LOOK_THIS || who == LOOK_BOTH)
		log_info(engine, "session of %s ended: portal %s no longer serves target %s",
			 c->peer, x->portal, x->iqn);
}

static void end_all(struct drain *d, const struct leaving *x, const struct san_state *s)
{
	struct cfs_path np = cfs_path("iscsi/%s/tpgt_%u/np/%s", x->iqn, (unsigned)x->tpgt,
				      x->portal);
	struct socket_list auto_sockets now = {0};
	bool shared;

	/* Bound again meanwhile: they may stay. */
	if (cfs_exists(&d->tree->cfs, np.s))
		return;
	shared = is_shared(d, x->portal);
	look_round(d->look, s);
	/* Better some that can come back at once through another portal than one that stays. */
	if (x->blind || !connections(x->portal, &now)) {
		log_info(engine, "sessions of target %s end: portal %s no longer serves it", x->iqn,
			 x->portal);
		look_end(d->look, x->iqn, x->tpgt, NULL);
		return;
	}
	for (size_t i = 0; i < now.n; i++) {
		if (has(&x->was, now.v[i].peer))
			end_one(d, x, &now.v[i], shared);
	}
}

void drain_run(struct drain *d, const struct san_state *s, uint64_t now)
{
	for (struct leaving **at = &d->list; *at;) {
		struct leaving *x = *at;

		if (x->due > now) {
			at = &x->next;
			continue;
		}
		*at = x->next;
		end_all(d, x, s);
		leaving_free(x);
	}
}
