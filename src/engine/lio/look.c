/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/lio/facts.h"
#include "engine/lio/look.h"
#include "engine/lio/sockets.h"

enum {
	ACLS_MAX = 4096, /* initiators that are asked about, a port */
	ASK_MAX = 64,    /* rounds until it is asked again which connection is whose */
	CLOSE_LOOKS = 6,
	CLOSE_LOOK_MS = 50
};

/* A session as it was told. */
struct seen {
	struct seen *next;
	uint64_t id;
	char iqn[SAN_IQN_MAX + 1];
	uint16_t tpgt;
	int64_t since_us;
	bool told, still;
	bool shown;   /* by the kernel, in this round */
	bool counted; /* never shown: all that is known is that it is there */
	bool met;     /* connections that may be its were seen */
	bool ended; /* its connection is gone, the kernel has only not put it away yet */
	struct facts_session facts;
	struct {
		char peer[SAN_PORTAL_TEXT], local[SAN_PORTAL_TEXT];
	} connections[SAN_CONNECTIONS_MAX]; /* empty: not known */
	unsigned ask_in, ask_after;         /* rounds, while some are not known */
};

struct look {
	struct tree *tree;
	engine_notify *notify;
	void *ctx;
	struct seen *sessions;
};

struct look *look_new(struct tree *t, engine_notify *notify, void *ctx)
{
	struct look *l = xcalloc(1, sizeof(*l));

	l->tree = t;
	l->notify = notify;
	l->ctx = ctx;
	return l;
}

void look_forget(struct look *l)
{
	for (struct seen *x = l->sessions; x; x = x->next)
		x->told = false;
}

void look_free(struct look *l)
{
	if (!l)
		return;
	while (l->sessions) {
		struct seen *x = l->sessions;

		l->sessions = x->next;
		free(x);
	}
	free(l);
}

static uint64_t number_at(const struct look *l, const char *dir, const char *name)
{
	char text[32];

	cfs_read_line(&l->tree->cfs, cfs_path("%s/%s", dir, name).s, text, sizeof(text));
	return facts_number(text);
}

/* Every session that the kernel counts, also those that are ending. */
static uint64_t count_of(const struct look *l, const char *iqn)
{
	return number_at(l, cfs_path("iscsi/%s/fabric_statistics/iscsi_instance", iqn).s,
			 "sessions");
}

/* ---- connections ---- */

/* Connections to the portals that a port has in the kernel; false when they can't be told. */
static bool port_sockets(const struct look *l, const struct seen *x, struct socket_list *ret)
{
	struct cfs_path dir = cfs_path("iscsi/%s/tpgt_%u/np", x->iqn, (unsigned)x->tpgt);
	struct cfs_names auto_names nps = {0};
	struct socket_list all = {0};
	char address[SAN_ADDRESS_TEXT];
	uint32_t listed = 0, port;
	uint8_t family;

	*ret = (struct socket_list){0};
	if (cfs_list(&l->tree->cfs, dir.s, CFS_DIRS, &nps, NULL) < 0)
		return false;
	for (size_t i = 0; i < nps.n; i++) {
		if (!san_portal_parse(nps.v[i], address, &family, &port))
			continue;
		if (port != listed) {
			socket_list_done(&all);
			if (socket_list((uint16_t)port, &all, NULL) < 0)
				return false;
			listed = port;
		}
		for (size_t k = 0; k < all.n; k++) {
			if (!streq(all.v[k].local, nps.v[i]))
				continue;
			ret->v = xrealloc(ret->v, (ret->n + 1) * sizeof(ret->v[0]));
			ret->v[ret->n++] = all.v[k];
		}
	}
	socket_list_done(&all);
	return true;
}

static bool claimed(const struct look *l, const char *peer)
{
	for (const struct seen *x = l->sessions; x; x = x->next) {
		for (size_t i = 0; i < x->facts.n_connections; i++) {
			if (streq(x->connections[i].peer, peer))
				return true;
		}
	}
	return false;
}

/* Of a link-local address the kernel's target does not tell the interface. */
static bool same_address(const char *told, const char *is)
{
	size_t n = strlen(told);

	return streq(told, is) || (n && strncmp(told, "fe80:", 5) == 0 && !strchr(told, '%') &&
				   strncmp(told, is, n) == 0 && is[n] == '%');
}

static bool from_address(const struct seen *x, const char *address)
{
	for (size_t i = 0; i < x->facts.n_connections; i++) {
		if (same_address(x->facts.connections[i].peer, address))
			return true;
	}
	return false;
}

static bool all_known(const struct seen *x)
{
	for (size_t i = 0; i < x->facts.n_connections; i++) {
		if (!x->connections[i].peer[0])
			return false;
	}
	return true;
}

/* Is there another session with the same port and from the same address whose connections aren't
 * known? */
static bool has_rival(const struct look *l, const struct seen *x, const char *from)
{
	const struct seen *y = l->sessions;

	while (y && (y == x || y->ended || all_known(y) || y->tpgt != x->tpgt ||
		     !streq(y->iqn, x->iqn) || !from_address(y, from)))
		y = y->next;
	return y != NULL;
}

/* The ith connection of a session is one of those from its address that are nobody else's.  When
 * there are more of them than the session needs they may as well be of another session: then
 * no one is taken, only the portal if it is the same for all. */
static void find_connection(const struct look *l, struct seen *x, size_t i,
			    const struct socket_list *list)
{
	const char *from = x->facts.connections[i].peer;
	const struct socket_connection *one = NULL;
	size_t there = 0, needed = 0;
	bool same = true;

	for (size_t k = 0; k < x->facts.n_connections; k++)
		needed += !x->connections[k].peer[0] && streq(x->facts.connections[k].peer, from);
	for (size_t k = 0; k < list->n; k++) {
		const struct socket_connection *c = &list->v[k];

		if (!same_address(from, c->peer_address) || claimed(l, c->peer))
			continue;
		same = same && (!one || streq(one->local, c->local));
		one = one ? one : c;
		there++;
	}
	x->met = x->met || one;
	if (one && same)
		(void)snprintf(x->connections[i].local, sizeof(x->connections[i].local), "%s",
			       one->local);
	if (!one || there > needed || has_rival(l, x, from))
		return;
	(void)snprintf(x->connections[i].peer, sizeof(x->connections[i].peer), "%s", one->peer);
	(void)snprintf(x->connections[i].local, sizeof(x->connections[i].local), "%s", one->local);
}

/* The TCP connections that a session uses, as far as they can be told. */
static void find_connections(const struct look *l, struct seen *x)
{
	struct socket_list auto_sockets list = {0};

	if (!port_sockets(l, x, &list))
		return;
	for (size_t i = 0; i < x->facts.n_connections; i++) {
		if (!x->connections[i].peer[0])
			find_connection(l, x, i, &list);
	}
}

/* Now and then, as sessions come and go: can it be told meanwhile? */
static bool found_out(const struct look *l, struct seen *x)
{
	if (all_known(x) || x->ask_in-- > 0)
		return false;
	find_connections(l, x);
	x->ask_after = x->ask_after < ASK_MAX / 2 ? x->ask_after * 2 + 1 : ASK_MAX;
	x->ask_in = x->ask_after;
	return all_known(x);
}

/* The session has other connections than before: those that it had keep what is known of them. */
static void take_facts(struct seen *x, const struct facts_session *f)
{
	struct seen was = *x;

	memset(x->connections, 0, sizeof(x->connections));
	x->facts = *f;
	x->ask_in = x->ask_after = 0;
	for (size_t i = 0; i < f->n_connections; i++) {
		for (size_t k = 0; k < was.facts.n_connections; k++) {
			if (was.facts.connections[k].cid == f->connections[i].cid &&
			    streq(was.facts.connections[k].peer, f->connections[i].peer))
				x->connections[i] = was.connections[k];
		}
	}
}

/* ---- telling ---- */

static uint32_t param(const struct look *l, const struct seen *x, const char *name)
{
	/* What stands there is another's. */
	if (x->counted)
		return 0;
	return (uint32_t)number_at(l,
				   cfs_path("iscsi/%s/tpgt_%u/acls/%s/param", x->iqn,
					    (unsigned)x->tpgt, x->facts.initiator)
					   .s,
				   name);
}

static void tell_up(struct look *l, struct seen *x)
{
	struct san_connection c[SAN_CONNECTIONS_MAX];
	struct engine_event ev = {.kind = ENGINE_SESSION_UP, .why = ""};
	/* What we declare is known; what the initiator did, and digests, the kernel keeps to
	 * itself. */
	uint32_t max_recv = (uint32_t)number_at(
		l, cfs_path("iscsi/%s/tpgt_%u/param", x->iqn, (unsigned)x->tpgt).s,
		"MaxRecvDataSegmentLength");

	memset(c, 0, sizeof(c));
	for (size_t i = 0; i < x->facts.n_connections; i++) {
		c[i].cid = x->facts.connections[i].cid;
		(void)snprintf(c[i].peer, sizeof(c[i].peer), "%s",
			       x->connections[i].peer[0] ? x->connections[i].peer
							 : x->facts.connections[i].peer);
		(void)snprintf(c[i].local, sizeof(c[i].local), "%s", x->connections[i].local);
		c[i].max_recv = max_recv;
	}
	ev.session = (struct san_seen_session){
		.id = x->id,
		.iqn = x->iqn,
		.tpgt = x->tpgt,
		.tsih = x->facts.tsih,
		.discovery = x->facts.discovery,
		.initiator = x->facts.initiator,
		.initiator_alias = x->facts.alias,
		.isid = x->facts.isid,
		.auth = "None",
		.since_us = x->since_us,
#define PARAM(name) .name = param(l, x, #name)
		PARAM(MaxConnections),
		PARAM(MaxOutstandingR2T),
		PARAM(ErrorRecoveryLevel),
		PARAM(DefaultTime2Wait),
		PARAM(DefaultTime2Retain),
		PARAM(MaxBurstLength),
		PARAM(FirstBurstLength),
		.InitialR2T = param(l, x, "InitialR2T") == 1,
		.ImmediateData = param(l, x, "ImmediateData") == 1,
		.DataPDUInOrder = param(l, x, "DataPDUInOrder") == 1,
		.DataSequenceInOrder = param(l, x, "DataSequenceInOrder") == 1,
#undef PARAM
		.connections = c,
		.n_connections = x->facts.n_connections,
	};
	x->told = true;
	l->notify(l->ctx, &ev);
}

/* One number for one session of the box, the same after a restart of ours. */
static uint64_t id_of(const char *iqn, uint16_t tpgt, const struct facts_session *f)
{
	struct cfs_path p = cfs_path("%s,%u,%s,%s,%u,%llu", iqn, (unsigned)tpgt, f->initiator,
				     f->isid, (unsigned)f->tsih, (unsigned long long)f->number);

	return (str_hash(p.s, strlen(p.s)) & INT64_MAX) | 1;
}

static void saw(struct look *l, const struct san_port *p, const struct facts_session *f)
{
	uint64_t id = id_of(p->iqn->s, p->tpgt, f);
	struct seen *x;

	for (x = l->sessions; x && x->id != id; x = x->next)
		;
	if (x)
		x->still = x->shown = true;
	if (x && x->ended)
		return;
	if (x && x->told && x->facts.n_connections == f->n_connections) {
		if (found_out(l, x))
			tell_up(l, x);
		return;
	}
	if (!x) {
		x = xcalloc(1, sizeof(*x));
		x->id = id;
		x->tpgt = p->tpgt;
		x->since_us = clock_wall_us();
		(void)snprintf(x->iqn, sizeof(x->iqn), "%s", p->iqn->s);
		x->next = l->sessions;
		l->sessions = x;
	}
	take_facts(x, f);
	x->still = x->shown = true;
	find_connections(l, x);
	tell_up(l, x);
}

/* ---- several sessions of one initiator with one port ---- */

/* The session of the same initiator with the same port that the kernel shows. */
static const struct seen *newest_of(const struct look *l, const struct seen *x)
{
	const struct seen *y = l->sessions;

	while (y && (!y->shown || y->tpgt != x->tpgt || !streq(y->iqn, x->iqn) ||
		     !streq(y->facts.initiator, x->facts.initiator)))
		y = y->next;
	return y;
}

static bool socket_lives(const struct seen *x);

static bool is_of_port(const struct seen *x, const char *iqn, uint16_t tpgt)
{
	return x->tpgt == tpgt && streq(x->iqn, iqn);
}

/* Take one connection from an address out of the list; false when there is none. */
static bool take_from(struct socket_list *list, const struct seen *x)
{
	for (size_t k = 0; k < list->n; k++) {
		if (!from_address(x, list->v[k].peer_address))
			continue;
		list->v[k] = list->v[--list->n];
		return true;
	}
	return false;
}

/* Connections to a port that no session that is shown has.  None when none is shown: those that are not
 * always have one before them. */
static void spare_sockets(const struct look *l, const char *iqn, uint16_t tpgt,
			  struct socket_list *ret)
{
	struct seen probe = {.tpgt = tpgt};
	bool any = false;
	size_t n = 0;

	*ret = (struct socket_list){0};
	(void)snprintf(probe.iqn, sizeof(probe.iqn), "%s", iqn);
	for (const struct seen *x = l->sessions; x && !any; x = x->next)
		any = x->shown && is_of_port(x, iqn, tpgt);
	if (!any || !port_sockets(l, &probe, ret))
		return;
	for (size_t k = 0; k < ret->n; k++) {
		if (!claimed(l, ret->v[k].peer))
			ret->v[n++] = ret->v[k];
	}
	ret->n = n;
	for (const struct seen *x = l->sessions; x; x = x->next) {
		if (x->shown && is_of_port(x, iqn, tpgt) && !x->ended && !all_known(x))
			(void)take_from(ret, x);
	}
}

/* Whose it is: if only one initiator is there, or at that address. */
static const char *initiator_at(const struct look *l, const char *iqn, uint16_t tpgt,
				const char *address)
{
	const char *all = NULL, *here = NULL;
	bool one = true, one_here = true;

	for (const struct seen *x = l->sessions; x; x = x->next) {
		if (!x->shown || !is_of_port(x, iqn, tpgt))
			continue;
		one = one && (!all || streq(all, x->facts.initiator));
		all = x->facts.initiator;
		if (!from_address(x, address))
			continue;
		one_here = one_here && (!here || streq(here, x->facts.initiator));
		here = x->facts.initiator;
	}
	return all && one ? all : here && one_here ? here : "";
}

/* One more that nothing else is known of. */
static void add_counted(struct look *l, const char *iqn, uint16_t tpgt,
			const struct socket_connection *c)
{
	struct seen *x = xcalloc(1, sizeof(*x));

	(void)snprintf(x->iqn, sizeof(x->iqn), "%s", iqn);
	x->tpgt = tpgt;
	x->since_us = clock_wall_us();
	x->counted = x->met = x->still = true;
	(void)snprintf(x->facts.initiator, sizeof(x->facts.initiator), "%s",
		       initiator_at(l, iqn, tpgt, c->peer_address));
	x->facts.logged_in = true;
	x->facts.n_connections = 1;
	(void)snprintf(x->facts.connections[0].peer, sizeof(x->facts.connections[0].peer), "%s",
		       c->peer_address);
	(void)snprintf(x->connections[0].local, sizeof(x->connections[0].local), "%s", c->local);
	for (uint64_t k = 1; k;) {
		const struct seen *y = l->sessions;

		x->facts.number = k++;
		x->id = id_of(x->iqn, x->tpgt, &x->facts);
		while (y && y->id != x->id)
			y = y->next;
		if (!y)
			break;
	}
	x->next = l->sessions;
	l->sessions = x;
	tell_up(l, x);
}

/*
 * The kernel shows an initiator's newest session with a port only.  One that was shown before is there
 * as long as its connection is.  Of others it tells the number, of all ports of a target together;
 * where there are connections for them, they are sessions that have not been shown yet.
 */
static void look_behind(struct look *l, const struct san_state *s, const struct san_node *n,
			uint64_t before)
{
	uint64_t after = count_of(l, n->iqn->s), all = before < after ? before : after, sure = 0;
	struct san_walk w;

	for (struct seen *x = l->sessions; x; x = x->next) {
		if (!streq(x->iqn, n->iqn->s))
			continue;
		if (!x->still && !x->counted && !x->ended && all_known(x) && newest_of(l, x))
			x->still = socket_lives(x);
		sure += x->still;
	}
	for (const struct san_port *p = san_first_of(&w, s, SAN_PORTS_OF_NODE, n->obj.id);
	     p && all > sure; p = san_next(&w)) {
		struct socket_list auto_sockets spare = {0};

		spare_sockets(l, n->iqn->s, p->tpgt, &spare);
		for (struct seen *x = l->sessions; x && all > sure; x = x->next) {
			if (x->still || x->ended || !is_of_port(x, n->iqn->s, p->tpgt) ||
			    all_known(x) || !take_from(&spare, x))
				continue;
			x->still = true;
			sure++;
		}
		for (size_t k = 0; k < spare.n && all > sure; k++, sure++)
			add_counted(l, n->iqn->s, p->tpgt, &spare.v[k]);
	}
}

/* ---- looking ---- */

/* Who is here without an ACL that would tell about him gets one. */
static void meet(struct look *l, const struct san_state *s, const struct san_port *p)
{
	char text[CFS_VALUE], name[SAN_IQN_MAX + 1];
	int n = cfs_read(
		&l->tree->cfs,
		cfs_path("iscsi/%s/tpgt_%u/dynamic_sessions", p->iqn->s, (unsigned)p->tpgt).s, text,
		NULL);
	struct err e;

	for (size_t at = 0; n > 0 && facts_next_name(text, (size_t)n, &at, name);) {
		if (tree_acl(l->tree, s, p, name, &e) < 0)
			log_debug(engine, "%s", e.text);
	}
}

/* Calls found for every session of the port that the kernel shows. */
static void look_port(struct look *l, const struct san_state *s, const struct san_port *p,
		      void (*found)(struct look *l, const struct san_port *p,
				    const struct facts_session *f))
{
	struct cfs_path dir = cfs_path("iscsi/%s/tpgt_%u/acls", p->iqn->s, (unsigned)p->tpgt);
	struct cfs_names auto_names acls = {0};
	struct facts_session f;
	char text[CFS_VALUE];

	meet(l, s, p);
	if (cfs_list(&l->tree->cfs, dir.s, CFS_DIRS, &acls, NULL) < 0)
		return;
	for (size_t i = 0; i < acls.n && i < ACLS_MAX; i++) {
		if (cfs_read(&l->tree->cfs, cfs_path("%s/%s/info", dir.s, acls.v[i]).s, text,
			     NULL) > 0 &&
		    facts_session(text, &f) && f.logged_in)
			found(l, p, &f);
	}
}

/* Sessions of a node that are known, those that have ended too or not. */
static size_t count_seen(const struct look *l, const char *iqn, bool ended)
{
	size_t n = 0;

	for (const struct seen *x = l->sessions; x; x = x->next)
		n += streq(x->iqn, iqn) && (ended || !x->ended);
	return n;
}

static void tell_down(struct look *l, const struct seen *x)
{
	if (!x->ended)
		l->notify(l->ctx, &(struct engine_event){.kind = ENGINE_SESSION_DOWN,
							 .why = "",
							 .session = {.id = x->id}});
}

/* Does the connection live?  Also when that can't be told. */
static bool lives(const char *local, const char *peer)
{
	struct socket_list auto_sockets list = {0};
	char address[SAN_ADDRESS_TEXT];
	uint8_t family;
	uint32_t port;

	if (!*peer || !san_portal_parse(local, address, &family, &port) ||
	    socket_list((uint16_t)port, &list, NULL) < 0)
		return true;
	for (size_t i = 0; i < list.n; i++) {
		if (streq(list.v[i].peer, peer))
			return true;
	}
	return false;
}

static bool socket_lives(const struct seen *x)
{
	bool alive = x->facts.n_connections == 0;

	for (size_t i = 0; i < x->facts.n_connections && !alive; i++)
		alive = lives(x->connections[i].local, x->connections[i].peer);
	return alive;
}

/* Is there a connection left that can be one of x's, which is not known? */
static bool may_live(const struct look *l, const struct seen *x)
{
	struct cfs_names auto_names nps = {0};
	char address[SAN_ADDRESS_TEXT];
	uint32_t listed = 0, port;
	uint8_t family;

	if (!x->met ||
	    cfs_list(&l->tree->cfs, "iscsi/" TREE_HOLDER "/tpgt_1/np", CFS_DIRS, &nps, NULL) < 0)
		return true;
	for (size_t i = 0; i < nps.n; i++) {
		struct socket_list auto_sockets list = {0};

		if (!san_portal_parse(nps.v[i], address, &family, &port) || port == listed)
			continue;
		listed = port;
		if (socket_list((uint16_t)port, &list, NULL) < 0)
			return true;
		for (size_t k = 0; k < list.n; k++) {
			if (from_address(x, list.v[k].peer_address) && !claimed(l, list.v[k].peer))
				return true;
		}
	}
	return false;
}

/* After a logout the kernel shows a session for a moment longer; its connection is gone. */
static void bury(struct look *l)
{
	for (struct seen *x = l->sessions; x; x = x->next) {
		if (x->ended || (!all_known(x) ? may_live(l, x) : socket_lives(x)))
			continue;
		tell_down(l, x);
		x->ended = true;
	}
}

void look_closely(struct look *l, const struct san_state *s)
{
	for (unsigned i = 0; i < CLOSE_LOOKS; i++) {
		bool any = false;

		look_round(l, s);
		bury(l);
		for (const struct seen *x = l->sessions; x; x = x->next)
			any = any || !x->ended;
		if (!any)
			break;
		(void)usleep(CLOSE_LOOK_MS * 1000);
	}
}

void look_round(struct look *l, const struct san_state *s)
{
	struct san_walk wn, wp;

	for (struct seen *x = l->sessions; x; x = x->next)
		x->still = x->shown = false;
	for (const struct san_node *n = san_first(&wn, s, SAN_NODES); n; n = san_next(&wn)) {
		uint64_t count = own_has(l->tree->own, n->iqn->s) ? count_of(l, n->iqn->s) : 0;

		if (count == 0 && count_seen(l, n->iqn->s, true) == 0)
			continue;
		for (const struct san_port *p = san_first_of(&wp, s, SAN_PORTS_OF_NODE, n->obj.id);
		     p; p = san_next(&wp))
			look_port(l, s, p, saw);
		look_behind(l, s, n, count);
	}
	for (struct seen **at = &l->sessions; *at;) {
		struct seen *x = *at;

		if (x->still) {
			at = &x->next;
			continue;
		}
		*at = x->next;
		tell_down(l, x);
		free(x);
	}
}

/* The kernel's own count tells of sessions that it does not show one by one, but also of those
 * that are ending: they have no connection any more. */
bool look_has_session(struct look *l, const struct san_state *s, const char *iqn)
{
	const struct san_node *n = san_node_by_iqn(s, iqn);
	size_t connections = 0;
	struct san_walk w;

	if (!n || count_of(l, iqn) == 0)
		return false;
	look_round(l, s);
	bury(l);
	if (count_seen(l, iqn, false))
		return true;
	if (count_of(l, iqn) <= count_seen(l, iqn, true))
		return false;
	for (const struct san_port *p = san_first_of(&w, s, SAN_PORTS_OF_NODE, n->obj.id); p;
	     p = san_next(&w)) {
		struct seen probe = {.tpgt = p->tpgt};
		struct socket_list auto_sockets list = {0};

		(void)snprintf(probe.iqn, sizeof(probe.iqn), "%s", iqn);
		if (!port_sockets(l, &probe, &list))
			return true;
		connections += list.n;
	}
	return connections > 0 && count_of(l, iqn) > 0;
}

/* ---- ending ---- */

enum look_who look_whose(const struct look *l, const char *iqn, uint16_t tpgt, const char *peer,
			 const char *peer_address)
{
	bool this = false, other = false;

	for (const struct seen *x = l->sessions; x; x = x->next) {
		bool is_this = x->tpgt == tpgt && streq(x->iqn, iqn);

		/* Known by its own port: no doubt. */
		for (size_t i = 0; i < x->facts.n_connections; i++) {
			if (streq(x->connections[i].peer, peer))
				return is_this ? LOOK_THIS : LOOK_OTHER;
		}
		if (from_address(x, peer_address)) {
			this = this || is_this;
			other = other || !is_this;
		}
	}
	return this && other ? LOOK_BOTH : this ? LOOK_THIS : other ? LOOK_OTHER : LOOK_NOBODY;
}

void look_end(struct look *l, const char *iqn, uint16_t tpgt, const char *peer_address)
{
	for (struct seen *x = l->sessions; x; x = x->next) {
		struct cfs_path depth = cfs_path("iscsi/%s/tpgt_%u/acls/%s/cmdsn_depth", iqn,
						 (unsigned)tpgt, x->facts.initiator);
		char is[32];
		struct err e;

		if (x->tpgt != tpgt || !streq(x->iqn, iqn) || !x->shown ||
		    (peer_address && !from_address(x, peer_address)))
			continue;
		/* Being given another queue depth makes the kernel end the initiator's sessions,
		 * and nothing else; one more or less makes no difference to it. */
		cfs_read_line(&l->tree->cfs, depth.s, is, sizeof(is));
		if (cfs_write(&l->tree->cfs, depth.s, streq(is, "64") ? "65" : "64", &e) < 0)
			log_warn(engine, "sessions of %s can't be ended: %s", x->facts.initiator,
				 e.text);
	}
}

/* ---- statistics ---- */

/* Hundredths of a second since the kernel started, to the wall clock. */
static int64_t wall_of(uint64_t hundredths)
{
	struct timespec up;

	if (hundredths == 0 || clock_gettime(CLOCK_MONOTONIC, &up) < 0)
		return 0;
	return clock_wall_us() - ((int64_t)up.tv_sec * 1000000 + up.tv_nsec / 1000) +
	       (int64_t)hundredths * 10000;
}

static void node_stats(const struct look *l, const char *iqn, struct engine_node_stats *st)
{
	/* enum iscsi_login_fail_type as in the kernel's MIB */
	static const char *const kinds[] = {"",          "other",        "other",    "redirected",
					    "authorize", "authenticate", "negotiate"};
	struct cfs_path login = cfs_path("iscsi/%s/fabric_statistics/iscsi_login_stats", iqn),
			logout = cfs_path("iscsi/%s/fabric_statistics/iscsi_logout_stats", iqn),
			attr = cfs_path("iscsi/%s/fabric_statistics/iscsi_tgt_attr", iqn);
	uint64_t kind = number_at(l, attr.s, "last_fail_type");
	char address[SAN_ADDRESS_TEXT], name[SAN_IQN_MAX + 1];
	uint8_t family;

	(void)snprintf(st->iqn, sizeof(st->iqn), "%s", iqn);
	st->logins_ok = number_at(l, login.s, "accepts");
	st->logins_other_fail = number_at(l, login.s, "other_fails");
	st->logins_redirected = number_at(l, login.s, "redirects");
	st->authorize_fails = number_at(l, login.s, "authorize_fails");
	st->authenticate_fails = number_at(l, login.s, "authenticate_fails");
	st->negotiate_fails = number_at(l, login.s, "negotiate_fails");
	st->logouts_normal = number_at(l, logout.s, "normal_logouts");
	st->logouts_other = number_at(l, logout.s, "abnormal_logouts");
	st->session_failures = number_at(
		l, cfs_path("iscsi/%s/fabric_statistics/iscsi_instance", iqn).s, "fail_sess");
	if (kind == 0)
		return;
	st->last_failure_us = wall_of(number_at(l, attr.s, "last_fail_time"));
	(void)snprintf(st->last_failure_kind, sizeof(st->last_failure_kind), "%s",
		       kind < ARRAY_SIZE(kinds) ? kinds[kind] : "other");
	cfs_read_line(&l->tree->cfs, cfs_path("%s/fail_intr_name", attr.s).s, name, sizeof(name));
	if (!streq(name, "None") && str_utf8_xml(name, strlen(name)))
		(void)snprintf(st->last_failure_initiator, sizeof(st->last_failure_initiator), "%s",
			       name);
	cfs_read_line(&l->tree->cfs, cfs_path("%s/fail_intr_addr", attr.s).s,
		      st->last_failure_address, sizeof(address));
	if (san_address_parse(st->last_failure_address, address, &family))
		san_portal_format(st->last_failure_address, address, family, 0);
	else
		st->last_failure_address[0] = '\0';
}

static void session_stats(const struct look *l, const struct seen *x,
			  struct engine_session_stats *st)
{
	struct cfs_path dir = cfs_path(
		"iscsi/%s/tpgt_%u/acls/%s/fabric_statistics/iscsi_sess_stats", x->iqn,
		(unsigned)x->tpgt, x->facts.initiator);

	*st = (struct engine_session_stats){
		.id = x->id,
		.commands = number_at(l, dir.s, "cmd_pdus"),
		.read_bytes = number_at(l, dir.s, "txdata_octs"),
		.write_bytes = number_at(l, dir.s, "rxdata_octs"),
		.digest_errors = number_at(l, dir.s, "conn_digest_errors"),
		.timeouts = number_at(l, dir.s, "conn_timeout_errors"),
	};
}

void look_stats(struct look *l, const struct san_state *s, struct engine_stats *ret)
{
	size_t sessions = 0;
	struct san_walk w;

	look_round(l, s);
	for (const struct seen *x = l->sessions; x; x = x->next)
		sessions++;
	*ret = (struct engine_stats){0};
	ret->nodes = xcalloc(san_count(s, SAN_NODES) + 1, sizeof(ret->nodes[0]));
	ret->sessions = xcalloc(sessions + 1, sizeof(ret->sessions[0]));
	for (const struct san_node *n = san_first(&w, s, SAN_NODES); n; n = san_next(&w)) {
		if (own_has(l->tree->own, n->iqn->s))
			node_stats(l, n->iqn->s, &ret->nodes[ret->n_nodes++]);
	}
	/* The kernel has one set of counters an initiator and port: its newest session's. */
	for (const struct seen *x = l->sessions; x; x = x->next) {
		if (x->shown)
			session_stats(l, x, &ret->sessions[ret->n_sessions++]);
	}
}
