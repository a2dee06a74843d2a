/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/log.h"
#include "target/control.h"
#include "target/session.h"

/* A text request over several PDUs, or an answer that takes several. */
struct text {
	struct buf in, out;
	size_t out_at;
	uint32_t ttt; /* ISCSI_TAG_NONE: nothing is open */
};

void text_free(struct text *t)
{
	if (!t)
		return;
	buf_done(&t->in);
	buf_done(&t->out);
	free(t);
}

uint32_t session_max_cmd_sn(const struct session *s)
{
	return s->exp_cmd_sn + CMD_WINDOW - 1 - s->outstanding;
}

/* ---- the end of a session ---- */

void session_unref_locked(struct session *s)
{
	if (--s->refs > 0)
		return;
	if (s->port)
		port_unref(s->port);
	if (s->node)
		node_unref(s->node);
	free(s);
}

static void retry_parked(struct worker *w)
{
	login_retry_parked(w);
}

void session_link(struct session *s)
{
	struct worker *w = s->worker;

	if (s->pprev || s->dying)
		return;
	s->next = w->all_sessions;
	if (s->next)
		s->next->pprev = &s->next;
	s->pprev = &w->all_sessions;
	w->all_sessions = s;
}

/* ---- which worker ---- */

static struct worker *emptiest(struct worker *here)
{
	struct target *t = here->target;
	struct worker *best = here;
	unsigned least = __atomic_load_n(&here->sessions, __ATOMIC_RELAXED) -
			 1; /* without this one */

	for (unsigned i = 0; i < t->n_workers; i++) {
		unsigned n = __atomic_load_n(&t->workers[i].sessions, __ATOMIC_RELAXED);

		if (n < least) {
			least = n;
			best = &t->workers[i];
		}
	}
	return best;
}

static void arrived(struct loop *l, struct loop_post *p)
{
	struct connection *c = container_of(p, struct connection, post);
	struct session *s = c->session;
	bool serves;

	connection_link(c, loop_user(l));
	session_link(s);
	s->moving = false;
	if (!connection_watch(c)) {
		c->fd.ready = NULL;
		connection_close(c);
		return;
	}
	if (s->kill_when_here) {
		session_kill(s, "reinstated");
		return;
	}
	(void)pthread_mutex_lock(&s->target->lock); /* removed while we were on the way here? */
	serves = binding_serves(s->port, c->portal);
	(void)pthread_mutex_unlock(&s->target->lock);
	if (!serves)
		connection_ask_logout(c, s->target->logout_time);
}

bool session_place(struct connection *c)
{
	struct session *s = c->session;
	struct worker *here = c->worker, *there = here;

	if (s->commands == 0 || s->n_tasks > 0 || s->n_connections != 1 || s->dying || c->leaving ||
	    c->pinged || !iscsi_rx_idle(&c->rx))
		return false;
	(void)pthread_mutex_lock(&s->target->lock);
	if (s->refs == 2) { /* nobody has a message for it on the way to this worker */
		there = emptiest(here);
		s->placed = true;
	}
	if (there != here) { /* all at once: with the lock gone, s is the other worker's */
		*s->pprev = s->next;
		if (s->next)
			s->next->pprev = s->pprev;
		s->pprev = NULL;
		s->moving = true;
		s->worker = there;
	}
	(void)pthread_mutex_unlock(&s->target->lock);
	if (there == here)
		return false;
	(void)__atomic_sub_fetch(&here->sessions, 1, __ATOMIC_RELAXED);
	(void)__atomic_add_fetch(&there->sessions, 1, __ATOMIC_RELAXED);
	connection_forget_dirty(c);
	connection_unwatch(c);
	connection_unlink(c);
	c->worker = there;
	c->post.run = arrived;
	loop_post(there->loop, &c->post);
	return true;
}

/* Nothing of it is left but memory: whoever waited to log in instead may go on. */
static void session_end(struct session *s)
{
	struct target *t = s->target;

	*s->pprev = s->next;
	if (s->next)
		s->next->pprev = s->pprev;
	if (s->nexus)
		scsi_nexus_free(take(s->nexus));
	(void)__atomic_sub_fetch(&s->worker->sessions, 1, __ATOMIC_RELAXED);
	(void)pthread_mutex_lock(&t->lock);
	table_remove(&t->sessions_by_tsih, &s->by_tsih);
	if (s->type == ISCSI_SESSION_NORMAL)
		table_remove(&t->sessions_by_id, &s->by_id);
	t->n_sessions--;
	session_unref_locked(s);
	(void)pthread_mutex_unlock(&t->lock);
	if (__atomic_load_n(&t->parked, __ATOMIC_SEQ_CST) > 0)
		target_broadcast(t, retry_parked);
}

void session_task_gone(struct session *s)
{
	if (--s->n_tasks == 0 && s->dying)
		session_end(s);
}

/* It counts no longer, and whoever asks is told so.  Under the lock. */
static void session_down(struct session *s)
{
	if (!s->up)
		return;
	if (s->node)
		s->node->sessions--;
	s->up = false;
	control_session_changed(s->target, s);
}

void session_kill(struct session *s, const char *why)
{
	struct target *t = s->target;

	if (s->dying)
		return;
	if (s->moving) { /* its connection is a message on the way to us */
		s->kill_when_here = true;
		return;
	}
	session_link(s); /* it may be killed while its first connection is still on the way here */
	log_info(target, "session ended: %s; initiator=%s target=%s", why, s->initiator,
		 s->node ? s->node->iqn : "(discovery)");
	(void)pthread_mutex_lock(&t->lock);
	s->dying = true;
	s->refs++;
	session_down(s);
	(void)pthread_mutex_unlock(&t->lock);

	s->n_tasks++; /* keeps it until we are through */
	while (s->connections)
		connection_close(s->connections);
	tasks_abort(s, NULL);
	session_task_gone(s);

	(void)pthread_mutex_lock(&t->lock);
	session_unref_locked(s);
	(void)pthread_mutex_unlock(&t->lock);
}

void session_leave(struct session *s, struct connection *c)
{
	struct connection **p = &s->connections;
	bool clean = c->logged_out || c->leaving || s->dying;
	struct task *k = take(c->rx_task);

	(void)pthread_mutex_lock(&s->target->lock);
	while (*p && *p != c)
		p = &(*p)->next_of_session;
	if (*p) {
		*p = c->next_of_session;
		s->n_connections--;
	}
	if (!clean && s->node && s->up)
		s->node->stats.session_failures++;
	if (s->up && s->n_connections > 0)
		control_session_changed(s->target, s);
	(void)pthread_mutex_unlock(&s->target->lock);
	text_free(take(c->text));
	if (k)
		task_unref(k);
	if (s->dying)
		return;
	s->n_tasks++;
	tasks_abort(s, c);
	if (s->n_connections == 0)
		session_kill(s, clean ? "logged out" : "connection lost");
	session_task_gone(s);
}

/* ---- requests that are not SCSI commands ---- */

static void nop_out(struct task *k)
{
	struct connection *c = k->conn;
	struct tx *x;
	struct iscsi_sns sn;

	if (k->req.itt == ISCSI_TAG_NONE) { /* the answer to a ping of ours */
		if (c->pinged && k->req.w20 == c->ping_ttt) {
			c->pinged = false;
			c->deadline_ns = 0;
		}
		task_unref(k);
		return;
	}
	x = tx_new(c);
	sn = connection_sns(c, true);
	x->data = k->buf;
	x->data_len = k->buf_size < c->max_send ? k->buf_size : c->max_send;
	x->task = k; /* our reference goes with it */
	iscsi_put_nop_in(x->hdr, k->req.lun, k->req.itt, ISCSI_TAG_NONE, x->data_len, &sn);
	connection_send(c, x);
}

void connection_ping(struct connection *c)
{
	struct tx *x = tx_new(c);
	struct iscsi_sns sn = connection_sns(c, false);

	if (++c->ping_ttt == ISCSI_TAG_NONE)
		c->ping_ttt = 0;
	c->pinged = true;
	iscsi_put_nop_in(x->hdr, 0, ISCSI_TAG_NONE, c->ping_ttt, 0, &sn);
	connection_send(c, x);
}

void connection_ask_logout(struct connection *c, unsigned seconds)
{
	struct tx *x = tx_new(c);
	struct iscsi_sns sn = connection_sns(c, true);

	iscsi_put_async(x->hdr, ISCSI_ASYNC_LOGOUT, 0, 0, 0, (uint16_t)seconds, 0, &sn);
	connection_send(c, x);
	c->leaving = true;
	c->deadline_ns = loop_now_ns(c->worker->loop) + seconds * 1000000000ULL;
	loop_want_tick(c->worker->loop);
}

static void text_answer(struct connection *c, const struct iscsi_req *q)
{
	struct text *t = c->text;
	size_t left = t->out.len - t->out_at;
	struct tx *x = tx_new(c);
	struct iscsi_sns sn = connection_sns(c, true);
	uint8_t flags = ISCSI_FINAL;

	x->data_len = left < c->max_send ? (uint32_t)left : c->max_send;
	if (x->data_len > 0) {
		x->own = pool_get(&c->worker->pool, x->data_len);
		x->own_size = x->data_len;
		memcpy(x->own, t->out.p + t->out_at, x->data_len);
		x->data = x->own;
		t->out_at += x->data_len;
	}
	if (t->out_at < t->out.len)
		flags = ISCSI_TEXT_CONTINUE;
	else if (!(q->flags & ISCSI_FINAL))
		flags = 0;
	if (flags == ISCSI_FINAL)
		t->ttt = ISCSI_TAG_NONE;
	else if (t->ttt == ISCSI_TAG_NONE)
		t->ttt = q->itt == ISCSI_TAG_NONE ? 0 : q->itt;
	iscsi_put_text_rsp(x->hdr, flags, q->itt, t->ttt, x->data_len, &sn);
	connection_send(c, x);
	if (t->out_at == t->out.len) {
		buf_done(&t->out);
		t->out_at = 0;
	}
	if (flags == ISCSI_FINAL)
		text_free(take(c->text));
}

static bool text_keys(struct connection *c)
{
	struct text *t = c->text;
	struct iscsi_keys keys = c->session->keys;
	char *at = t->in.p, *end = t->in.p + t->in.len;
	const char *name, *value;
	struct err e;
	int r;

	keys.offered = 0;
	keys.max_recv = c->max_send;
	while (t->in.len > 0 && (r = iscsi_text_next(&at, end, &name, &value, &e)) != 0) {
		if (r > 0)
			r = iscsi_keys_offer(&keys, ISCSI_PHASE_FULL_FEATURE, name, value, &t->out,
					     &e);
		if (r < 0)
			return false;
		if (r == ISCSI_KEY_IS_TEXT && iscsi_key_find(name) == ISCSI_KEY_send_targets &&
		    !discovery_answer(c, value, &t->out))
			return false;
	}
	(void)pthread_mutex_lock(&c->session->target->lock); /* reports read it */
	c->max_send = keys.max_recv;
	(void)pthread_mutex_unlock(&c->session->target->lock);
	return !t->out.full;
}

/* Returns false when the request breaks the rules of section 11.10. */
static bool text_request(struct task *k)
{
	struct connection *c = k->conn;
	const struct iscsi_req *q = &k->req;
	struct text *t = c->text;
	bool goes_on = (q->flags & ISCSI_TEXT_CONTINUE) != 0;

	if (goes_on && q->flags & ISCSI_FINAL)
		return false;
	if (q->w20 == ISCSI_TAG_NONE) { /* a new negotiation drops an open one */
		if (!t || !goes_on || t->ttt != ISCSI_TAG_NONE) {
			text_free(take(c->text));
			t = c->text = xcalloc(1, sizeof(*t));
			t->in = buf_of(TEXT_REQUEST_MAX);
			t->out = buf_of(TEXT_REPLY_MAX);
			t->ttt = ISCSI_TAG_NONE;
		}
	} else if (!t || t->ttt != q->w20) {
		return false;
	}
	if (t->out_at > 0 && k->buf_size > 0)
		return false; /* more questions before the answer was fetched */
	if (!buf_add(&t->in, k->buf, k->buf_size))
		return false;
	if (!goes_on && t->out_at == 0) {
		if (!text_keys(c))
			return false;
		buf_clear(&t->in);
	}
	text_answer(c, q);
	return true;
}

static void text(struct task *k)
{
	uint8_t bhs[ISCSI_BHS_LEN] = {ISCSI_TEXT, k->req.flags};

	if (!text_request(k)) {
		text_free(take(k->conn->text));
		iscsi_put32(bhs + 16, k->req.itt);
		iscsi_put32(bhs + 20, k->req.w20);
		iscsi_put32(bhs + 24, k->req.cmd_sn);
		connection_reject(k->conn, ISCSI_REJECT_PROTOCOL, bhs, false);
	}
	task_unref(k);
}

static void logout(struct task *k)
{
	struct connection *c = k->conn;
	struct session *s = k->session;
	enum iscsi_logout_reason reason = (enum iscsi_logout_reason)(k->req.flags & 0x7f);
	enum iscsi_logout_response response = ISCSI_LOGOUT_OK;
	uint16_t cid = (uint16_t)(k->req.w20 >> 16);
	struct connection *victim = c;
	struct iscsi_sns sn;
	struct tx *x;

	if (reason == ISCSI_LOGOUT_CONNECTION) {
		for (victim = s->connections; victim && victim->cid != cid;)
			victim = victim->next_of_session;
		if (!victim)
			response = ISCSI_LOGOUT_NO_CID;
	} else if (reason != ISCSI_LOGOUT_SESSION) {
		response = ISCSI_LOGOUT_NO_RECOVERY; /* section 11.14: needs ErrorRecoveryLevel 2 */
	}
	if (response == ISCSI_LOGOUT_OK) {
		victim->logged_out = true;
		(void)pthread_mutex_lock(&s->target->lock);
		if (s->node && reason == ISCSI_LOGOUT_SESSION)
			s->node->stats.logouts_normal++;
		else if (s->node)
			s->node->stats.logouts_other++;
		/* Before the initiator hears of it: what it asks next must find it so. */
		if (reason == ISCSI_LOGOUT_SESSION || s->n_connections == 1)
			session_down(s);
		(void)pthread_mutex_unlock(&s->target->lock);
		if (reason == ISCSI_LOGOUT_SESSION) {
			struct connection *next;

			for (struct connection *o = s->connections; o; o = next) {
				next = o->next_of_session;
				o->logged_out = true;
				if (o != c)
					connection_close(o);
			}
		} else if (victim != c) {
			connection_close(victim);
		}
	}
	x = tx_new(c);
	sn = connection_sns(c, true);
	iscsi_put_logout_rsp(x->hdr, k->req.itt, response, (uint16_t)s->keys.time2wait, 0, &sn);
	if (victim == c && response == ISCSI_LOGOUT_OK) {
		x->close_after = true;
		c->state = CONN_CLOSING;
	}
	connection_send(c, x);
	task_unref(k);
}

/* ---- order ---- */

static void deliver(struct task *k)
{
	if (k->aborted) { /* before its turn came: only its number counted */
		task_unref(k);
		return;
	}
	switch (k->req.op) {
	case ISCSI_SCSI_CMD:
		task_deliver(k);
		break;
	case ISCSI_TMF:
		task_management(k);
		break;
	case ISCSI_NOP_OUT:
		nop_out(k);
		break;
	case ISCSI_TEXT:
		text(k);
		break;
	case ISCSI_LOGOUT:
		logout(k);
		break;
	default:
		abort(); /* session_pdu lets no other one through */
	}
}

static void hold(struct session *s, struct task *k)
{
	struct task **p = &s->out_of_order;

	while (*p && iscsi_sn_lt((*p)->req.cmd_sn, k->req.cmd_sn))
		p = &(*p)->next;
	if (*p && (*p)->req.cmd_sn == k->req.cmd_sn) {
		task_unref(k); /* the same command again */
		return;
	}
	k->next = *p;
	*p = k;
}

void session_in_order(struct session *s, struct task *k)
{
	uint32_t sn = k->req.cmd_sn;

	/* Outside the window a command is ignored without a word, section 4.2.2.1. */
	if (iscsi_sn_lt(sn, s->exp_cmd_sn) || iscsi_sn_lt(session_max_cmd_sn(s), sn)) {
		task_unref(k);
		return;
	}
	if (sn != s->exp_cmd_sn) {
		hold(s, k);
		return;
	}
	s->n_tasks++; /* a command may be what ends the session */
	s->exp_cmd_sn++;
	deliver(k);
	while (!s->dying && s->out_of_order && s->out_of_order->req.cmd_sn == s->exp_cmd_sn) {
		k = s->out_of_order;
		s->out_of_order = k->next;
		s->exp_cmd_sn++;
		deliver(k);
	}
	if (s->patient)
		task_management_patient(s);
	session_task_gone(s);
}

static void arrive(struct connection *c, struct task *k)
{
	struct session *s = k->session;

	if (!k->req.immediate && !(k->req.op == ISCSI_NOP_OUT && k->req.itt == ISCSI_TAG_NONE)) {
		session_in_order(s, k);
		return;
	}
	if (s->immediate >= IMMEDIATE_MAX) {
		connection_reject(c, ISCSI_REJECT_TOO_MANY_IMMEDIATE, c->rx.hdr, false);
		task_unref(k);
		return;
	}
	deliver(k);
}

/* ---- PDUs ---- */

static bool discovery_may(enum iscsi_op op)
{
	return op == ISCSI_TEXT || op == ISCSI_LOGOUT || op == ISCSI_NOP_OUT;
}

void session_header(struct connection *c)
{
	struct iscsi_req *q = &c->rx_req;
	struct task *k;

	iscsi_req_decode(q, c->rx.hdr);
	switch (q->op) {
	case ISCSI_DATA_OUT:
		task_data_out_header(c, q);
		return;
	case ISCSI_SCSI_CMD:
		if (c->session->type != ISCSI_SESSION_NORMAL)
			return;
		k = task_new(c);
		if (!task_header(k, c)) {
			task_unref(k);
			return;
		}
		break;
	case ISCSI_NOP_OUT:
	case ISCSI_TEXT:
	case ISCSI_TMF:
	case ISCSI_LOGOUT:
		k = task_new(c);
		task_set_buf(k, q->data_len);
		break;
	default:
		return;
	}
	c->rx_task = k;
	iscsi_rx_into(&c->rx, q->data_len <= k->buf_size ? k->buf : NULL);
}

static const char *check_request(const struct connection *c, const struct iscsi_req *q)
{
	if (!iscsi_op_from_initiator((uint8_t)q->op))
		return "an opcode that no initiator has";
	if (c->session->type != ISCSI_SESSION_NORMAL && !discovery_may(q->op))
		return "a request that a discovery session may not make";
	if (q->op == ISCSI_LOGIN)
		return "a login request in the full feature phase";
	if (q->op != ISCSI_SNACK && q->op != ISCSI_DATA_OUT && !c->rx_task)
		return "a SCSI command that contradicts itself or what was negotiated";
	if (q->itt == ISCSI_TAG_NONE && q->op != ISCSI_NOP_OUT && q->op != ISCSI_SNACK)
		return "the reserved task tag";
	return NULL;
}

void session_pdu(struct connection *c)
{
	const struct iscsi_req *q = &c->rx_req;
	const char *bad = check_request(c, q);
	struct task *k;

	if (bad) {
		log_info(target, "connection closed: %s (0x%02x); initiator=%s", bad, q->op,
			 c->session->initiator);
		connection_reject(c,
				  iscsi_op_from_initiator((uint8_t)q->op)
					  ? ISCSI_REJECT_PROTOCOL
					  : ISCSI_REJECT_NOT_SUPPORTED,
				  c->rx.hdr, true);
		k = take(c->rx_task);
		if (k)
			task_unref(k);
		return;
	}
	if (q->op == ISCSI_DATA_OUT) {
		task_data_out(c);
		return;
	}
	if (q->op == ISCSI_SNACK) { /* nothing can be sent again at ErrorRecoveryLevel 0 */
		connection_reject(c, ISCSI_REJECT_SNACK, c->rx.hdr, false);
		return;
	}
	k = take(c->rx_task);
	arrive(c, k);
}

void session_bad_data(struct connection *c)
{
	struct task *k = take(c->rx_task);

	__atomic_fetch_add(&c->session->digest_errors, 1, __ATOMIC_RELAXED);
	connection_reject(c, ISCSI_REJECT_DATA_DIGEST, c->rx.hdr, true);
	if (k)
		task_unref(k);
}
