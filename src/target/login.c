/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "target/control.h"
#include "target/session.h"

/* ---- statistics ---- */

static void count_failure(struct connection *c, enum iscsi_login_status status)
{
	struct target *t = c->worker->target;
	struct login_stats *st;
	const char *kind;
	struct node *n;

	(void)pthread_mutex_lock(&t->lock);
	n = c->login->target_name[0] ? node_find(t, c->login->target_name) : NULL;
	if (n) {
		st = &n->stats;
		if (status >> 8 == 1) {
			st->logins_redirected++;
			kind = "redirected";
		} else if (status == ISCSI_LOGIN_AUTH_FAILED) {
			st->authenticate_fails++;
			kind = "authenticate";
		} else if (status == ISCSI_LOGIN_FORBIDDEN) {
			st->authorize_fails++;
			kind = "authorize";
		} else if (status == ISCSI_LOGIN_INITIATOR_ERROR) {
			st->negotiate_fails++;
			kind = "negotiate";
		} else {
			st->logins_other_fail++;
			kind = "other";
		}
		st->last_failure_us = clock_wall_us();
		(void)snprintf(st->last_failure_kind, sizeof(st->last_failure_kind), "%s", kind);
		(void)snprintf(st->last_failure_initiator, sizeof(st->last_failure_initiator), "%s",
			       c->login->initiator_name);
		(void)snprintf(st->last_failure_address, sizeof(st->last_failure_address), "%s",
			       c->peer_text);
	}
	(void)pthread_mutex_unlock(&t->lock);
}

/* ---- who ---- */

static struct session *session_by_tsih(struct target *t, uint16_t tsih)
{
	struct table_link *l = table_first(&t->sessions_by_tsih, tsih);

	return l ? container_of(l, struct session, by_tsih) : NULL;
}

/* The port the initiator reaches here; status tells why there is none.  Under the lock. */
static struct port *reach(struct connection *c, enum iscsi_login_status *ret_status)
{
	struct target *t = c->worker->target;
	struct node *n = node_find(t, c->login->target_name);
	struct port *p = n ? port_on_portal(n, c->portal) : NULL;

	*ret_status = ISCSI_LOGIN_NOT_FOUND;
	if (!p)
		return NULL;
	*ret_status = ISCSI_LOGIN_UNAVAILABLE;
	if (!n->enabled || !p->enabled || !c->portal->enabled || t->stopping)
		return NULL;
	*ret_status = ISCSI_LOGIN_OK;
	return p;
}

/* Section 13.8: without the tag.  Who joins a session goes where the session is. */
static enum iscsi_login_status moved(const struct connection *c, const struct port *p,
				     struct iscsi_login_target *ret)
{
	const struct redirect *r = &binding_find(p, c->portal)->redirect;

	if (!r->to[0] || c->login->tsih != 0)
		return ISCSI_LOGIN_OK;
	memcpy(ret->moved_to, r->to, sizeof(ret->moved_to));
	return r->permanent ? ISCSI_LOGIN_MOVED_PERMANENTLY : ISCSI_LOGIN_MOVED_TEMPORARILY;
}

static enum iscsi_login_status identify(struct connection *c, struct iscsi_login_target *ret)
{
	struct target *t = c->worker->target;
	enum iscsi_login_status status = ISCSI_LOGIN_OK;
	struct iscsi_login *l = c->login;

	(void)pthread_mutex_lock(&t->lock);
	if (c->portal->gone || !c->portal->enabled || t->stopping) {
		status = ISCSI_LOGIN_UNAVAILABLE;
	} else if (l->type == ISCSI_SESSION_NORMAL) {
		struct port *p = reach(c, &status);

		if (p) {
			ret->tpgt = p->tpgt;
			memcpy(ret->alias, p->node->alias, sizeof(ret->alias));
			ret->in = p->node->chap_in;
			ret->out = p->node->chap_out;
			status = moved(c, p, ret);
		}
	} else {
		ret->in = t->discovery_in;
		ret->out = t->discovery_out;
	}
	if (status == ISCSI_LOGIN_OK && l->tsih != 0 && !session_by_tsih(t, l->tsih))
		status = ISCSI_LOGIN_NO_SESSION;
	(void)pthread_mutex_unlock(&t->lock);
	return status;
}

/* ---- the registry (all under the lock) ---- */

static uint64_t identity_hash(const struct iscsi_login *l)
{
	return str_hash(l->initiator_name, strlen(l->initiator_name)) ^ str_hash(l->isid, 6);
}

/* Section 6.3.1: initiator name, ISID and target portal group name a session. */
static struct session *session_by_id(struct target *t, const struct iscsi_login *l,
				     const struct port *p)
{
	for (struct table_link *k = table_first(&t->sessions_by_id, identity_hash(l)); k;
	     k = table_next(k)) {
		struct session *s = container_of(k, struct session, by_id);

		if (s->port == p && memcmp(s->isid, l->isid, 6) == 0 &&
		    streq(s->initiator, l->initiator_name))
			return s;
	}
	return NULL;
}

static uint16_t free_tsih(struct target *t)
{
	do {
		if (++t->last_tsih == 0)
			t->last_tsih = 1;
	} while (session_by_tsih(t, t->last_tsih));
	return t->last_tsih;
}

static struct scsi_nexus *make_nexus(const struct session *s)
{
	char initiator[ISCSI_NAME_MAX + 32], target[ISCSI_NAME_MAX + 16];
	const uint8_t *i = s->isid;

	(void)snprintf(initiator, sizeof(initiator), "%s,i,0x%02x%02x%02x%02x%02x%02x",
		       s->initiator, i[0], i[1], i[2], i[3], i[4], i[5]);
	(void)snprintf(target, sizeof(target), "%s,t,0x%04x", s->node->iqn, s->port->tpgt);
	return scsi_nexus_new(s->node->scsi, initiator, target, s->port->tpgt);
}

static struct session *register_session(struct connection *c, struct port *p)
{
	struct target *t = c->worker->target;
	struct iscsi_login *l = c->login;
	struct session *s = xcalloc(1, sizeof(*s));

	s->refs = 2; /* the registry's, which session_end drops, and the connection's */
	s->target = t;
	s->type = l->type;
	s->auth = l->auth;
	memcpy(s->initiator, l->initiator_name, sizeof(s->initiator));
	memcpy(s->initiator_alias, l->initiator_alias, sizeof(s->initiator_alias));
	memcpy(s->isid, l->isid, 6);
	s->id = ++t->next_session_id;
	s->tsih = free_tsih(t);
	s->since_us = clock_wall_us();
	s->keys = l->keys;
	s->exp_cmd_sn = l->cmd_sn;
	s->worker = c->worker;
	table_add(&t->sessions_by_tsih, &s->by_tsih, s->tsih);
	t->n_sessions++;
	if (s->type == ISCSI_SESSION_NORMAL) {
		s->port = p;
		p->refs++;
		s->node = p->node;
		s->node->refs++;
		s->node->sessions++;
		s->node->stats.logins_ok++;
		s->nexus = make_nexus(s);
		table_add(&t->sessions_by_id, &s->by_id, identity_hash(l));
	}
	s->up = true;
	(void)__atomic_add_fetch(&s->worker->sessions, 1, __ATOMIC_RELAXED);
	return s;
}

/* ---- becoming part of a session ---- */

static void use_keys(struct connection *c)
{
	const struct iscsi_login *l = c->login;

	c->cid = l->cid;
	c->max_send = l->keys.max_recv;
	c->max_recv = l->our_max_recv;
	c->header_digest = c->rx.header_digest = l->keys.header_digest == ISCSI_DIGEST_CRC32C;
	c->data_digest = c->rx.data_digest = l->keys.data_digest == ISCSI_DIGEST_CRC32C;
	c->rx.data_max = l->our_max_recv;
	c->rx.ahs_max = ISCSI_AHS_MAX;
}

static void send_reply(struct connection *c, bool close_after)
{
	struct iscsi_login *l = c->login;
	struct tx *x = tx_new(c);
	struct iscsi_sns sn = connection_sns(c, true);

	if (!c->session) {
		sn.exp_cmd_sn = l->cmd_sn;
		sn.max_cmd_sn = l->cmd_sn + CMD_WINDOW - 1;
	}
	memcpy(x->hdr, l->reply_bhs, ISCSI_BHS_LEN);
	iscsi_put_sns(x->hdr, &sn);
	if (l->reply.len > 0) {
		x->data_len = (uint32_t)l->reply.len;
		x->own = pool_get(&c->worker->pool, x->data_len);
		x->own_size = x->data_len;
		memcpy(x->own, l->reply.p, l->reply.len);
		x->data = x->own;
	}
	x->close_after = close_after;
	if (close_after)
		c->state = CONN_CLOSING;
	connection_send(c, x);
}

static void refuse(struct connection *c, enum iscsi_login_status status)
{
	log_info(target, "login refused: status=0x%04x %s initiator=%s target=%s peer=%s", status,
		 c->login->why.text, c->login->initiator_name, c->login->target_name, c->peer_text);
	count_failure(c, status);
	send_reply(c, true);
}

/* Take part in c->session, whose worker this is. */
static void enter(struct connection *c)
{
	struct session *s = c->session;
	struct target *t = s->target;
	struct connection *old = s->connections;
	enum iscsi_login_status status = ISCSI_LOGIN_OK;
	bool joining = c->login->tsih != 0, serves;

	while (old && old->cid != c->login->cid)
		old = old->next_of_session;
	if (s->dying) /* its end, or its reinstatement, has overtaken us on the way here */
		status = ISCSI_LOGIN_NO_SESSION;
	else if (s->moving) /* its first connection changes workers at this very moment */
		status = ISCSI_LOGIN_NO_RESOURCES;
	else if (joining && !old && s->n_connections >= s->keys.max_connections)
		status = ISCSI_LOGIN_TOO_MANY_CONNECTIONS;
	if (status != ISCSI_LOGIN_OK) {
		(void)pthread_mutex_lock(&t->lock);
		session_unref_locked(take(c->session));
		(void)pthread_mutex_unlock(&t->lock);
		(void)iscsi_login_committed(c->login, status, 0);
		refuse(c, status);
		return;
	}
	(void)iscsi_login_committed(c->login, ISCSI_LOGIN_OK, s->tsih);
	send_reply(c, false); /* before use_keys: no digests in the login response itself */
	(void)pthread_mutex_lock(&t->lock);
	c->next_of_session = s->connections;
	s->connections = c;
	s->n_connections++;
	use_keys(c);
	control_session_changed(t, s);
	(void)pthread_mutex_unlock(&t->lock);
	if (old) { /* connection reinstatement, section 6.3.4 */
		old->leaving = true;
		connection_close(old);
	}
	c->state = CONN_FULL_FEATURE;
	c->deadline_ns = 0;
	log_info(target, "%s: initiator=%s target=%s tpgt=%u peer=%s portal=%s",
		 joining ? "connection added" : "logged in", s->initiator,
		 s->node ? s->node->iqn : "(discovery)", s->port ? s->port->tpgt : 0, c->peer_text,
		 c->local_text);
	iscsi_login_free(take(c->login));
	free(take(c->login_data));
	(void)pthread_mutex_lock(&t->lock); /* removed while we were on the way here? */
	serves = !s->port || binding_serves(s->port, c->portal);
	(void)pthread_mutex_unlock(&t->lock);
	if (!serves)
		connection_ask_logout(c, t->logout_time);
}

static void arrived(struct loop *l, struct loop_post *p)
{
	struct connection *c = container_of(p, struct connection, post);

	connection_link(c, loop_user(l));
	session_link(c->session);
	if (!connection_watch(c)) {
		c->fd.ready = NULL;
		connection_close(c);
		return;
	}
	enter(c);
}

/* Returns false when c is another worker's now and may not be touched. */
static bool go_to(struct connection *c, struct worker *w)
{
	if (c->worker == w) {
		session_link(c->session);
		enter(c);
		return !c->is_closed;
	}
	connection_forget_dirty(c);
	connection_unwatch(c);
	connection_unlink(c);
	c->worker = w;
	c->post.run = arrived;
	loop_post(w->loop, &c->post);
	return false;
}

/* ---- commit ---- */

struct kill_post {
	struct loop_post post;
	struct session *session;
};

static void kill_here(struct loop *l, struct loop_post *p)
{
	struct kill_post *k = container_of(p, struct kill_post, post);
	struct target *t = k->session->target;

	(void)l;
	session_kill(k->session, "reinstated");
	if (k->session->n_tasks == 0) /* over, perhaps before the waiting one was counted */
		target_broadcast(t, login_retry_parked);
	(void)pthread_mutex_lock(&t->lock);
	session_unref_locked(k->session);
	(void)pthread_mutex_unlock(&t->lock);
	free(k);
}

static void kill_elsewhere(struct session *s)
{
	struct kill_post *k = xcalloc(1, sizeof(*k));

	k->post.run = kill_here;
	k->session = s;
	loop_post(s->worker->loop, &k->post);
}

static void park(struct connection *c)
{
	c->worker->parked++;
	(void)__atomic_add_fetch(&c->worker->target->parked, 1, __ATOMIC_SEQ_CST);
	connection_unwatch(c);
	c->state = CONN_PARKED;
}

static void unpark(struct connection *c)
{
	c->worker->parked--;
	(void)__atomic_sub_fetch(&c->worker->target->parked, 1, __ATOMIC_SEQ_CST);
	c->state = CONN_LOGIN;
	if (!connection_watch(c)) {
		c->fd.ready = NULL;
		connection_close(c);
	}
}

static enum iscsi_login_status join(struct connection *c, struct port *p)
{
	struct iscsi_login *l = c->login;
	struct session *s = session_by_tsih(c->worker->target, l->tsih);

	if (!s || s->dying || !s->up || s->port != p || memcmp(s->isid, l->isid, 6) != 0 ||
	    !streq(s->initiator, l->initiator_name) || s->type != l->type)
		return ISCSI_LOGIN_NO_SESSION;
	s->refs++;
	c->session = s;
	return ISCSI_LOGIN_OK;
}

/*
 * Everything is agreed: make the session, or join it, unless an older one has to go first.
 * Returns false when c waits for that, or is another worker's now.
 */
static bool commit(struct connection *c)
{
	struct target *t = c->worker->target;
	struct iscsi_login *l = c->login;
	enum iscsi_login_status status = ISCSI_LOGIN_OK;
	struct session *old = NULL;
	struct port *p = NULL;
	bool here = false;

again:
	(void)pthread_mutex_lock(&t->lock);
	if (l->type == ISCSI_SESSION_NORMAL)
		p = reach(c, &status);
	else if (c->portal->gone || !c->portal->enabled || t->stopping)
		status = ISCSI_LOGIN_UNAVAILABLE;
	if (status == ISCSI_LOGIN_OK && l->tsih != 0) {
		status = join(c, p);
	} else if (status == ISCSI_LOGIN_OK) {
		old = p ? session_by_id(t, l, p) : NULL;
		if (old) { /* session reinstatement, section 6.3.5 */
			here = old->worker == c->worker;
			old->refs++;
		} else if (t->n_sessions >= SESSIONS_MAX) {
			status = ISCSI_LOGIN_NO_RESOURCES;
		} else {
			c->session = register_session(c, p);
		}
	}
	(void)pthread_mutex_unlock(&t->lock);
	if (status != ISCSI_LOGIN_OK) {
		(void)iscsi_login_committed(l, status, 0);
		refuse(c, status);
		return true;
	}
	if (!old)
		return go_to(c, c->session->worker);
	if (here && c->state != CONN_PARKED) {
		bool over;

		session_kill(old, "reinstated");
		over = old->dying && old->n_tasks == 0;
		(void)pthread_mutex_lock(&t->lock);
		session_unref_locked(take(old));
		(void)pthread_mutex_unlock(&t->lock);
		if (over)
			goto again;
		park(c);
	} else {
		park(c);
		kill_elsewhere(old); /* has our reference */
	}
	return false;
}

void login_retry_parked(struct worker *w)
{
	struct connection *next;

	for (struct connection *c = w->connections; c && w->parked > 0; c = next) {
		next = c->next;
		if (c->state != CONN_PARKED)
			continue;
		unpark(c);
		if (!c->is_closed)
			(void)commit(c);
	}
}

bool login_request(struct connection *c)
{
	struct iscsi_login *l = c->login;
	enum iscsi_login_event ev;

	if (!c->login_op_seen) {
		log_info(target, "connection closed: the first PDU is no login request peer=%s",
			 c->peer_text);
		connection_close(c);
		return false;
	}
	ev = iscsi_login_step(l, c->rx.hdr, c->login_data, c->rx.data_len);
	if (!c->stat_sn_known) /* we begin where the initiator expects us to */
		c->stat_sn = l->exp_stat_sn;
	c->stat_sn_known = true;
	if (ev == ISCSI_LOGIN_IDENTIFY) {
		struct iscsi_login_target target = {0};
		enum iscsi_login_status status = identify(c, &target);

		ev = iscsi_login_identified(l, status, &target);
		explicit_bzero(&target, sizeof(target));
	}
	switch (ev) {
	case ISCSI_LOGIN_REPLY:
		send_reply(c, false);
		break;
	case ISCSI_LOGIN_FAILED:
		refuse(c, l->status);
		break;
	case ISCSI_LOGIN_COMMIT:
		return commit(c);
	case ISCSI_LOGIN_IDENTIFY:
	case ISCSI_LOGIN_DONE:
		abort(); /* the state machine's promise */
	}
	return true;
}
