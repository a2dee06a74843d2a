/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/log.h"
#include "target/session.h"

enum { TASK_STOCK = 512 };

/* A task management function that waits for tasks, perhaps of several workers. */
struct tmf {
	struct loop_post back; /* to the worker that answers */
	struct worker *origin;
	struct task *request;
	enum iscsi_tmf_function function;
	enum iscsi_tmf_response response;
	uint64_t lun;
	bool every_lun;
	struct node *node;
	struct scsi_lu *unit; /* counted; other nodes may have it, too */
	unsigned pending;     /* atomic */
};

struct tmf_visit {
	struct loop_post post;
	struct tmf *tmf;
};

static void task_progress(struct task *k);

/* ---- life ---- */

struct task *task_new(struct connection *c)
{
	struct worker *w = c->worker;
	struct task *k = w->free_tasks;

	if (k) {
		w->free_tasks = k->next;
		w->n_free_tasks--;
	} else {
		k = xmalloc(sizeof(*k));
	}
	memset(k, 0, offsetof(struct task, scsi.cdb));
	k->refs = 1;
	k->worker = w;
	k->session = c->session;
	k->conn = c;
	k->req = c->rx_req;
	c->session->n_tasks++;
	return k;
}

void task_set_buf(struct task *k, uint32_t size)
{
	if (size == 0)
		return;
	k->buf = pool_get(&k->worker->pool, size);
	k->buf_size = size;
	k->session->buffered += size;
}

/* Its data are where `lent` says, or nowhere: a task without data. */
static bool lend(struct task *k, uint32_t size)
{
	if (!k->conn || k->conn->data_digest || scsi_task_lend(&k->scsi) != SCSI_DONE)
		return false;
	if (k->scsi.lent) {
		k->lent = k->scsi.lent;
		k->buf_size = size;
		k->session->buffered += size;
		k->worker->lent += size;
	}
	return true;
}

bool task_keep(struct task *k, uint32_t from)
{
	k->scsi.data = k->buf ? k->buf : pool_get(&k->worker->pool, k->buf_size);
	k->buf = k->scsi.data;
	if (scsi_task_keep(&k->scsi, from) < 0)
		return false;
	k->worker->lent -= k->buf_size;
	return true;
}

void task_unref(struct task *k)
{
	struct worker *w = k->worker;
	struct session *s = k->session;

	if (--k->refs > 0)
		return;
	if (k->scsi.lent) {
		scsi_task_give_back(&k->scsi);
		w->lent -= k->buf_size;
		if (!k->buf)
			s->buffered -= k->buf_size;
	}
	if (k->buf) {
		pool_put(&w->pool, k->buf, k->buf_size);
		s->buffered -= k->buf_size;
	}
	if (w->n_free_tasks < TASK_STOCK) {
		k->next = w->free_tasks;
		w->free_tasks = k;
		w->n_free_tasks++;
	} else {
		free(k);
	}
	session_task_gone(s);
}

struct task *task_find(struct session *s, uint32_t itt)
{
	struct task *k = s->tasks[itt % TASK_BUCKETS];

	while (k && k->req.itt != itt)
		k = k->hash_next;
	return k;
}

static void task_enter(struct task *k)
{
	struct session *s = k->session;

	k->hash_next = s->tasks[k->req.itt % TASK_BUCKETS];
	s->tasks[k->req.itt % TASK_BUCKETS] = k;
	k->all_next = s->all_tasks;
	if (k->all_next)
		k->all_next->all_pprev = &k->all_next;
	k->all_pprev = &s->all_tasks;
	s->all_tasks = k;
	k->hashed = true;
	if (k->req.immediate)
		s->immediate++;
	else
		s->outstanding++;
}

static void task_leave(struct task *k)
{
	struct session *s = k->session;
	struct task **p = &s->tasks[k->req.itt % TASK_BUCKETS];

	if (!k->hashed)
		return;
	while (*p != k)
		p = &(*p)->hash_next;
	*p = k->hash_next;
	*k->all_pprev = k->all_next;
	if (k->all_next)
		k->all_next->all_pprev = k->all_pprev;
	k->hashed = false;
	if (k->req.immediate)
		s->immediate--;
	else
		s->outstanding--;
}

/* ---- answers ---- */

static void send_response(struct task *k, struct iscsi_residual res)
{
	struct connection *c = k->conn;
	struct iscsi_sns sn = connection_sns(c, true);
	struct tx *x = tx_new(c);

	iscsi_put_scsi_rsp(x->hdr, k->req.itt, (uint8_t)k->scsi.status, res, k->data_sn,
			   k->scsi.sense_len, &sn);
	if (k->bidirectional)
		iscsi_put_bidi_underflow(x->hdr, k->bidi_read_len);
	if (k->scsi.sense_len) {
		iscsi_put16(x->small, k->scsi.sense_len);
		memcpy(x->small + 2, k->scsi.sense, k->scsi.sense_len);
		x->data = x->small;
		x->data_len = k->scsi.sense_len + 2U;
	}
	connection_send(c, x);
}

/* Data-In PDUs for len bytes; the last one carries the status when that is GOOD. */
static void send_data(struct task *k, uint32_t len, struct iscsi_residual res)
{
	struct connection *c = k->conn;
	const uint32_t burst = k->session->keys.max_burst;
	bool with_status = k->scsi.status == SCSI_GOOD && k->scsi.sense_len == 0;
	uint32_t offset = 0, in_burst = 0;

	while (offset < len) {
		uint32_t n = len - offset < c->max_send ? len - offset : c->max_send;
		struct iscsi_sns sn;
		struct tx *x = tx_new(c);
		uint8_t flags = 0;
		bool last;

		if (n > burst - in_burst)
			n = burst - in_burst;
		last = offset + n == len;
		in_burst += n;
		if (last || in_burst == burst) { /* a sequence ends, section 11.7.1 */
			flags = ISCSI_FINAL;
			in_burst = 0;
		}
		sn = connection_sns(c, last && with_status);
		iscsi_put_data_in(x->hdr, flags, k->req.itt, k->req.lun, k->data_sn++, offset, n,
				  &sn);
		if (last && with_status)
			iscsi_put_data_in_status(x->hdr, SCSI_GOOD, res, sn.stat_sn);
		x->data = (k->lent ? k->lent : k->buf) + offset;
		x->lent = k->lent != NULL;
		x->data_len = n;
		x->task = k;
		k->refs++;
		connection_send(c, x);
		offset += n;
	}
	if (!with_status)
		send_response(k, res);
}

static void count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static void tmf_less(struct tmf *m);

/* The command has come to its end; nothing of it is running any more. */
static void task_end(struct task *k)
{
	struct session *s = k->session;

	k->state = TASK_ANSWERED;
	task_leave(k);
	if (k->conn && !k->aborted) {
		uint32_t in = k->scsi.expected_dir == SCSI_DIR_IN ? k->scsi.data_in_len : 0;
		struct iscsi_residual res = iscsi_residual(k->scsi.expected_len,
							   k->scsi.data_total);

		if (in > k->buf_size)
			in = k->buf_size;
		count(&s->commands, 1);
		if (in > 0) {
			count(&s->read_bytes, in);
			send_data(k, in, res);
		} else {
			count(&s->write_bytes, k->got);
			send_response(k, res);
		}
	}
	if (k->tmf)
		tmf_less(take(k->tmf));
	task_unref(k);
}

static void scsi_done(struct scsi_task *t)
{
	task_end(container_of(t, struct task, scsi));
}

/* ---- the way of a command ---- */

static void fail(struct task *k, uint8_t key, uint16_t code)
{
	scsi_task_fail(&k->scsi, key, code);
	k->begun = false;
}

static void no_room(struct task *k)
{
	scsi_task_drop(&k->scsi);
	k->begun = false;
	k->scsi.status = SCSI_TASK_SET_FULL;
	k->scsi.sense_len = 0;
	k->scsi.data_in_len = k->scsi.data_total = 0;
}

static bool has_room(const struct task *k, uint32_t size)
{
	return k->session->buffered + size <= (uint64_t)SESSION_BUFFER_MAX &&
	       k->worker->pool.in_use + k->worker->lent + size <= (uint64_t)WORKER_BUFFER_MAX;
}

bool task_header(struct task *k, struct connection *c)
{
	const struct iscsi_req *q = &k->req;
	const struct session *s = k->session;
	bool write = (q->flags & ISCSI_CMD_WRITE) != 0, read = (q->flags & ISCSI_CMD_READ) != 0;
	uint32_t size;
	struct err e;

	if (iscsi_cdb(c->rx.hdr, c->rx.ahs_len, k->scsi.cdb, &k->scsi.cdb_len, &k->bidi_read_len,
		      &e) < 0)
		return false;
	k->bidirectional = write && read;
	k->scsi.nexus = s->nexus;
	k->scsi.lun = q->lun;
	k->scsi.loop = k->worker->store;
	k->scsi.done = scsi_done;
	k->scsi.expected_dir = write ? SCSI_DIR_OUT : read ? SCSI_DIR_IN : SCSI_DIR_NONE;
	k->scsi.expected_len = write || read ? q->w20 : 0;
	if (q->data_len > 0 && (!write || !s->keys.immediate_data ||
				q->data_len > s->keys.first_burst || q->data_len > q->w20))
		return false;
	if (!(q->flags & ISCSI_FINAL) && (!write || s->keys.initial_r2t))
		return false;
	k->unsolicited = !(q->flags & ISCSI_FINAL);
	k->got = q->data_len;
	if (!write)
		return true;
	size = q->w20 < TRANSFER_MAX ? q->w20 : TRANSFER_MAX;
	if (has_room(k, size))
		task_set_buf(k, size);
	return true;
}

/* Of what is lent nothing is gained by queueing more than the socket takes: it would be kept. */
static bool enough_queued(const struct task *k)
{
	const struct connection *c = k->conn;

	return c->tx_bytes >= (scsi_task_may_lend(&k->scsi) ? SEND_AT_ONCE : TX_BYTES_AHEAD);
}

/* A slow reader must not make us keep all that it asked for: then reads wait their turn. */
static bool defer(struct task *k)
{
	struct connection *c = k->conn;

	if (!k->begun || k->scsi.dir != SCSI_DIR_IN || !c || (!enough_queued(k) && !c->deferred))
		return false;
	k->state = TASK_DEFERRED;
	k->next = NULL;
	*c->deferred_tail = k;
	c->deferred_tail = &k->next;
	connection_mark_dirty(c);
	return true;
}

/* An initiator that writes after it has read, without waiting, gets what was there before. */
static void keep_what_changes(const struct task *k)
{
	if (k->scsi.dir != SCSI_DIR_OUT)
		return;
	for (struct connection *c = k->session->connections; c; c = c->next_of_session)
		if (c->tx_lent > 0)
			(void)connection_keep(c, k); /* what is gone is noticed when it is sent */
}

static void task_run(struct task *k)
{
	k->state = TASK_RUNNING;
	if (!k->begun) {
		task_end(k);
		return;
	}
	keep_what_changes(k);
	if (k->scsi.dir == SCSI_DIR_IN) {
		uint32_t size = k->scsi.expected_dir != SCSI_DIR_IN       ? 0
				: k->scsi.data_len < k->scsi.expected_len ? k->scsi.data_len
									  : k->scsi.expected_len;
		if (size > TRANSFER_MAX || !has_room(k, size)) {
			if (size > TRANSFER_MAX) /* INVALID FIELD IN CDB */
				fail(k, 5, 0x2400);
			else
				no_room(k);
			task_end(k);
			return;
		}
		if (k->buf == NULL && lend(k, size)) {
			task_end(k);
			return;
		}
		if (k->buf == NULL)
			task_set_buf(k, size);
	}
	k->scsi.data = k->buf;
	k->scsi.data_cap = k->buf_size;
	if (scsi_task_run(&k->scsi) == SCSI_DONE)
		task_end(k);
}

static void ask_for_data(struct task *k)
{
	struct session *s = k->session;
	uint32_t at_once = s->keys.max_r2t < R2T_MAX ? s->keys.max_r2t : R2T_MAX;

	if (k->solicited < k->got)
		k->solicited = k->got;
	while (k->n_r2t < at_once && k->solicited < k->want) {
		struct tx *x = tx_new(k->conn);
		struct iscsi_sns sn = connection_sns(k->conn, false);
		struct r2t *r = &k->r2t[k->n_r2t++];
		uint32_t left = k->want - k->solicited;

		if (s->next_ttt == ISCSI_TAG_NONE)
			s->next_ttt = 0;
		*r = (struct r2t){
			.ttt = s->next_ttt++,
			.offset = k->solicited,
			.len = left < s->keys.max_burst ? left : s->keys.max_burst,
		};
		k->solicited += r->len;
		iscsi_put_r2t(x->hdr, k->req.lun, k->req.itt, r->ttt, k->r2t_sn++, r->offset,
			      r->len, &sn);
		connection_send(k->conn, x);
	}
}

static void task_progress(struct task *k)
{
	if (k->unsolicited)
		return;
	if (k->got < k->want)
		ask_for_data(k);
	else if (!defer(k))
		task_run(k);
}

static struct task *deferred_take(struct connection *c, struct task **at)
{
	struct task *k = *at;

	*at = k->next;
	if (!k->next)
		c->deferred_tail = at;
	return k;
}

bool tasks_run_deferred(struct connection *c)
{
	bool some = false;

	while (c->deferred && !enough_queued(c->deferred)) {
		task_run(deferred_take(c, &c->deferred));
		some = true;
	}
	return some && c->tx_head;
}

/*
 * Section 7.8: without recovery a sequence error ends the task, once all that was asked for
 * has been sent.
 */
static void fail_for_bad_data(struct task *k)
{
	if (k->unsolicited || k->n_r2t > 0)
		return;
	fail(k, 0x0b, 0x4705); /* ABORTED COMMAND, PROTOCOL SERVICE CRC ERROR */
	k->scsi.data_total = 0;
	task_end(k);
}

void task_deliver(struct task *k)
{
	struct session *s = k->session;
	bool write = k->scsi.expected_dir == SCSI_DIR_OUT;

	if (task_find(s, k->req.itt)) {
		uint8_t bhs[ISCSI_BHS_LEN] = {ISCSI_SCSI_CMD, k->req.flags};

		iscsi_put64(bhs + 8, k->req.lun);
		iscsi_put32(bhs + 16, k->req.itt);
		iscsi_put32(bhs + 24, k->req.cmd_sn);
		connection_reject(k->conn, ISCSI_REJECT_TASK_IN_PROGRESS, bhs, false);
		task_unref(k);
		return;
	}
	task_enter(k);
	k->state = TASK_WANTS_DATA;
	if (write && !k->buf && k->scsi.expected_len > 0) {
		no_room(k);
	} else if (scsi_task_begin(&k->scsi) == SCSI_NEEDS_RUN) {
		k->begun = true;
		if (k->scsi.dir == SCSI_DIR_OUT && write)
			k->want = k->scsi.data_len < k->scsi.expected_len ? k->scsi.data_len
									  : k->scsi.expected_len;
		if (k->bidirectional) { /* INVALID FIELD IN COMMAND INFORMATION UNIT */
			k->want = 0;
			fail(k, 5, 0x0e03);
		} else if (k->want > k->buf_size) { /* over TRANSFER_MAX: INVALID FIELD IN CDB */
			k->want = 0;
			fail(k, 5, 0x2400);
		}
	}
	if (k->bad_data)
		fail_for_bad_data(k);
	else
		task_progress(k);
}

/* ---- data-out ---- */

static bool data_out_fits(struct task *k, const struct iscsi_req *q)
{
	uint32_t offset = q->w40, n = q->data_len;

	if (n > k->scsi.expected_len || offset > k->scsi.expected_len - n)
		return false;
	if (q->w20 == ISCSI_TAG_NONE)
		return k->unsolicited && offset == k->got && q->w36 == k->unsolicited_data_sn &&
		       offset + n <= k->session->keys.first_burst;
	return k->n_r2t > 0 && k->r2t[0].ttt == q->w20 && q->w36 == k->r2t[0].next_data_sn &&
	       offset == k->r2t[0].offset + k->r2t[0].got && n <= k->r2t[0].len - k->r2t[0].got;
}

/* Of a command that waits for earlier ones to arrive on other connections the data that nobody
 * has to ask for comes all the same. */
static struct task *find_held(struct session *s, uint32_t itt)
{
	struct task *k = s->out_of_order;

	while (k && (k->req.op != ISCSI_SCSI_CMD || k->req.itt != itt || k->aborted))
		k = k->next;
	return k;
}

void task_data_out_header(struct connection *c, const struct iscsi_req *q)
{
	struct task *k = task_find(c->session, q->itt);

	if (!k)
		k = find_held(c->session, q->itt);
	/* Data for a task that has been aborted meanwhile is no error. */
	if (!k || k->conn != c || (k->state != TASK_WANTS_DATA && k->state != TASK_ARRIVING))
		return;
	k->refs++;
	c->rx_task = k;
	if (!data_out_fits(k, q)) {
		log_info(target, "data out of order or beyond what was asked for; initiator=%s",
			 c->session->initiator);
		k->bad_data = true;
	}
	if (!k->bad_data && q->w40 + q->data_len <= k->buf_size)
		iscsi_rx_into(&c->rx, k->buf + q->w40);
}

static void r2t_remove(struct task *k, uint32_t ttt)
{
	for (unsigned i = 0; i < k->n_r2t; i++)
		if (k->r2t[i].ttt == ttt) {
			k->n_r2t--;
			memmove(&k->r2t[i], &k->r2t[i + 1], (k->n_r2t - i) * sizeof(k->r2t[0]));
			return;
		}
}

static void take_data(struct task *k, const struct iscsi_req *q)
{
	bool final = (q->flags & ISCSI_FINAL) != 0;
	struct r2t *r = &k->r2t[0];

	if (q->w20 == ISCSI_TAG_NONE) {
		k->unsolicited = k->unsolicited && !final;
		k->unsolicited_data_sn++;
	} else if (!k->bad_data) {
		r->got += q->data_len;
		r->next_data_sn++;
		k->bad_data = final != (r->got == r->len);
	}
	if (q->w20 != ISCSI_TAG_NONE && final)
		r2t_remove(k, q->w20);
	if (!k->bad_data)
		k->got += q->data_len;
	if (k->state == TASK_ARRIVING)
		return; /* its turn is still to come */
	if (k->bad_data)
		fail_for_bad_data(k);
	else if (final)
		task_progress(k);
}

void task_data_out(struct connection *c)
{
	struct task *k = take(c->rx_task);

	if (!k)
		return;
	if (!k->aborted)
		take_data(k, &c->rx_req);
	task_unref(k);
}

/* ---- aborting ---- */

static void tmf_answer(struct loop *l, struct loop_post *p)
{
	struct tmf *m = container_of(p, struct tmf, back);
	struct task *k = m->request;

	(void)l;
	if (k->conn) {
		struct tx *x = tx_new(k->conn);
		struct iscsi_sns sn = connection_sns(k->conn, true);

		iscsi_put_tmf_rsp(x->hdr, k->req.itt, m->response, &sn);
		x->close_after = m->function == ISCSI_TMF_COLD_RESET;
		connection_send(k->conn, x);
	}
	scsi_lu_unref(m->unit);
	free(m);
	task_leave(k);
	task_unref(k);
}

static void tmf_less(struct tmf *m)
{
	if (__atomic_sub_fetch(&m->pending, 1, __ATOMIC_ACQ_REL) == 0) {
		m->back.run = tmf_answer;
		loop_post(m->origin->loop, &m->back);
	}
}

static void undefer(struct task *k)
{
	struct task **at = &k->conn->deferred;

	while (*at != k)
		at = &(*at)->next;
	(void)deferred_take(k->conn, at);
	k->state = TASK_WANTS_DATA;
}

static void task_abort(struct task *k, struct tmf *m)
{
	if (k->req.op != ISCSI_SCSI_CMD)
		return;
	k->aborted = true;
	if (k->state == TASK_DEFERRED)
		undefer(k);
	if (k->state == TASK_RUNNING) {
		if (m && !k->tmf) {
			(void)__atomic_add_fetch(&m->pending, 1, __ATOMIC_RELAXED);
			k->tmf = m;
		}
		return;
	}
	if (k->begun)
		scsi_task_drop(&k->scsi);
	task_end(k);
}

/* Its connection is closed. */
static void task_abort_unseen(struct task *k)
{
	if (k->state == TASK_DEFERRED)
		undefer(k);
	k->conn = NULL;
	task_abort(k, NULL);
}

void tasks_abort(struct session *s, const struct connection *c)
{
	struct task *next, **p = &s->patient;

	while (*p) {
		struct task *k = *p;

		if (c && k->conn != c) {
			p = &k->next;
			continue;
		}
		*p = k->next;
		task_leave(k);
		task_unref(k);
	}
	for (struct task *k = s->all_tasks; k; k = next) {
		next = k->all_next;
		if (c && k->conn != c)
			continue;
		task_abort_unseen(k);
	}
	p = &s->out_of_order;
	while (*p) {
		struct task *k = *p;

		if (c && k->conn != c) {
			p = &k->next;
			continue;
		}
		*p = k->next;
		if (c && k->req.cmd_sn == s->exp_cmd_sn)
			s->exp_cmd_sn++;
		task_unref(k);
	}
}

static bool concerns(const struct tmf *m, const struct task *k, const struct session *s)
{
	if (k == m->request)
		return false;
	if (s->node == m->node && (m->every_lun || k->req.lun == m->lun))
		return true;
	return m->unit && scsi_task_unit(&k->scsi) == m->unit;
}

/*
 * Nobody waits here for the data that was asked for and is still to come (section 4.2.3.3 a):
 * the initiator of Linux does not send it any more once it aborts, and would wait for the answer
 * in vain.  What comes all the same is thrown away.
 */
static void abort_matching(struct session *s, struct tmf *m)
{
	struct task *next;

	for (struct task *k = s->all_tasks; k; k = next) {
		next = k->all_next;
		if (concerns(m, k, s))
			task_abort(k, m);
	}
}

static void visit_worker(struct loop *l, struct loop_post *p)
{
	struct tmf_visit *v = container_of(p, struct tmf_visit, post);
	struct worker *w = loop_user(l);
	struct session *next;

	for (struct session *s = w->all_sessions; s; s = next) {
		next = s->next;
		abort_matching(s, v->tmf);
		if (v->tmf->function == ISCSI_TMF_COLD_RESET && s->node == v->tmf->node &&
		    s != v->tmf->request->session)
			session_kill(s, "target cold reset");
	}
	tmf_less(v->tmf);
	free(v);
}

static void abort_everywhere(struct tmf *m)
{
	struct target *t = m->origin->target;

	for (unsigned i = 0; i < t->n_workers; i++) {
		struct tmf_visit *v = xcalloc(1, sizeof(*v));

		v->post.run = visit_worker;
		v->tmf = m;
		(void)__atomic_add_fetch(&m->pending, 1, __ATOMIC_RELAXED);
		loop_post(t->workers[i].loop, &v->post);
	}
}

static void reset(struct tmf *m, enum scsi_tmf what)
{
	m->every_lun = what == SCSI_TMF_TARGET_RESET;
	if (!m->every_lun)
		m->unit = scsi_nexus_unit(m->request->session->nexus, m->lun);
	if (scsi_tmf(m->request->session->nexus, what, m->lun) < 0)
		m->response = ISCSI_TMF_NO_LUN;
	else
		abort_everywhere(m);
}

/*
 * Section 11.6.1: a command that has not arrived counts as received, and when it comes it is too
 * late, if its number is one that the initiator may have used before it sent this.
 */
static bool abort_before_it_comes(const struct task *k, const struct iscsi_req *q)
{
	struct session *s = k->session;
	struct task *ghost;

	if (iscsi_sn_lt(q->w32, s->exp_cmd_sn) || iscsi_sn_lt(session_max_cmd_sn(s), q->w32) ||
	    !iscsi_sn_lt(q->w32, q->cmd_sn))
		return false;
	ghost = task_new(k->conn);
	ghost->aborted = true;
	ghost->req.cmd_sn = q->w32;
	session_in_order(s, ghost);
	return true;
}

static void abort_one(struct tmf *m, const struct iscsi_req *q)
{
	struct session *s = m->request->session;
	struct task *victim = task_find(s, q->w20);

	if (victim && victim->req.op == ISCSI_SCSI_CMD && victim->req.lun == q->lun) {
		task_abort(victim, m);
		return;
	}
	victim = victim ? NULL : find_held(s, q->w20);
	if (victim && victim->req.lun == q->lun)
		victim->aborted = true; /* its number will count when its turn comes */
	else if (victim || !abort_before_it_comes(m->request, q))
		m->response = ISCSI_TMF_NO_TASK;
}

static void abort_set(struct tmf *m)
{
	m->unit = scsi_nexus_unit(m->request->session->nexus, m->lun);
	if (m->unit)
		abort_matching(m->request->session, m);
	else
		m->response = ISCSI_TMF_NO_LUN;
}

static void manage(struct task *k)
{
	const struct iscsi_req *q = &k->req;
	struct tmf *m = xcalloc(1, sizeof(*m));

	m->origin = k->worker;
	m->request = k;
	m->function = (enum iscsi_tmf_function)(q->flags & 0x7f);
	m->response = ISCSI_TMF_COMPLETE;
	m->lun = q->lun;
	m->node = k->session->node;
	m->pending = 1;
	switch (m->function) {
	case ISCSI_TMF_ABORT_TASK:
		abort_one(m, q);
		break;
	case ISCSI_TMF_ABORT_TASK_SET:
		abort_set(m);
		break;
	case ISCSI_TMF_CLEAR_TASK_SET:
		reset(m, SCSI_TMF_CLEAR_TASK_SET);
		break;
	case ISCSI_TMF_LU_RESET:
		reset(m, SCSI_TMF_LU_RESET);
		break;
	case ISCSI_TMF_WARM_RESET:
	case ISCSI_TMF_COLD_RESET:
		reset(m, SCSI_TMF_TARGET_RESET);
		break;
	case ISCSI_TMF_TASK_REASSIGN:
		m->response = ISCSI_TMF_NO_REASSIGN;
		break;
	case ISCSI_TMF_CLEAR_ACA: /* no unit here ever establishes ACA (NormACA is 0) */
	default:
		m->response = ISCSI_TMF_NOT_SUPPORTED;
	}
	tmf_less(m);
}

/*
 * Section 4.2.3.3 b: a function for many tasks is for all with a lower CmdSN, also those that
 * are still under way on another connection while this overtook them as an immediate request.
 */
static bool must_wait(const struct task *k)
{
	const struct session *s = k->session;
	unsigned function = k->req.flags & 0x7f;

	return (function == ISCSI_TMF_ABORT_TASK_SET ||
		(function >= ISCSI_TMF_CLEAR_TASK_SET && function <= ISCSI_TMF_COLD_RESET)) &&
	       iscsi_sn_lt(s->exp_cmd_sn, k->req.cmd_sn) &&
	       !iscsi_sn_lt(session_max_cmd_sn(s) + 1, k->req.cmd_sn);
}

void task_management(struct task *k)
{
	struct task **end = &k->session->patient;

	task_enter(k);
	if (!must_wait(k)) {
		manage(k);
		return;
	}
	while (*end)
		end = &(*end)->next;
	k->next = NULL;
	*end = k;
}

void task_management_patient(struct session *s)
{
	struct task **p = &s->patient;

	while (*p) {
		struct task *k = *p;

		if (must_wait(k)) {
			p = &k->next;
			continue;
		}
		*p = k->next;
		manage(k);
	}
}
