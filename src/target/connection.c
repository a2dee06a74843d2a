/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "target/session.h"

enum {
	RX_BUF = 256 * 1024,
	RX_BULK = 16 * 1024, /* with big data segments: read little beyond, the rest goes direct */
	BULK_FROM = 32 * 1024,
	READS_PER_ROUND = 4,
	TX_IOV = 512,
	TX_STOCK = 1024,
};

void address_text(const struct sockaddr_storage *sa, char to[static 64])
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (sa->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

		(void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		(void)snprintf(to, 64, "[%s]:%u", host, ntohs(in6->sin6_port));
	} else {
		const struct sockaddr_in *in = (const struct sockaddr_in *)sa;

		(void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		(void)snprintf(to, 64, "%s:%u", host, ntohs(in->sin_port));
	}
}

/* ---- sending ---- */

struct tx *tx_new(struct connection *c)
{
	struct worker *w = c->worker;
	struct tx *x = w->free_txs;

	if (x) {
		w->free_txs = x->next;
		w->n_free_txs--;
	} else {
		x = xmalloc(sizeof(*x));
	}
	x->next = NULL;
	x->close_after = false;
	x->data = NULL;
	x->data_len = 0;
	x->lent = false;
	x->task = NULL;
	x->own = NULL;
	return x;
}

static void tx_free(struct worker *w, struct tx *x)
{
	if (x->own)
		pool_put(&w->pool, x->own, x->own_size);
	if (x->task)
		task_unref(x->task);
	if (w->n_free_txs >= TX_STOCK) {
		free(x);
		return;
	}
	x->next = w->free_txs;
	w->free_txs = x;
	w->n_free_txs++;
}

void connection_mark_dirty(struct connection *c)
{
	if (c->is_dirty)
		return;
	c->is_dirty = true;
	c->next_dirty = c->worker->dirty;
	c->worker->dirty = c;
}

void connection_send(struct connection *c, struct tx *x)
{
	uint32_t pad = iscsi_padded(x->data_len) - x->data_len;

	if (c->is_closed) {
		tx_free(c->worker, x);
		return;
	}
	x->hdr_len = ISCSI_BHS_LEN;
	x->tail_len = (uint8_t)pad;
	if (c->header_digest) {
		iscsi_crc_put(x->hdr + ISCSI_BHS_LEN,
			      iscsi_crc(ISCSI_CRC_INIT, x->hdr, ISCSI_BHS_LEN));
		x->hdr_len += ISCSI_DIGEST_LEN;
	}
	memset(x->tail, 0, 3);
	if (c->data_digest && x->data_len > 0) {
		uint32_t crc = iscsi_crc(ISCSI_CRC_INIT, x->data, x->data_len);

		iscsi_crc_put(x->tail + pad, iscsi_crc(crc, x->tail, pad));
		x->tail_len = (uint8_t)(pad + ISCSI_DIGEST_LEN);
	}
	*c->tx_tail = x;
	c->tx_tail = &x->next;
	c->tx_count++;
	c->tx_lent += x->lent;
	c->tx_bytes += x->data_len;
	connection_mark_dirty(c);
}

static void add_piece(struct iovec *iov, int *n, const void *p, size_t len, size_t *skip)
{
	if (*skip >= len) {
		*skip -= len;
		return;
	}
	iov[(*n)++] = (struct iovec){
		.iov_base = (char *)(uintptr_t)p + *skip, /* sendmsg only reads */
		.iov_len = len - *skip,
	};
	*skip = 0;
}

static int gather(const struct connection *c, struct iovec *iov, size_t *ret_len)
{
	size_t skip = c->tx_sent;
	int n = 0;

	for (const struct tx *x = c->tx_head; x && n + 3 <= TX_IOV; x = x->next) {
		add_piece(iov, &n, x->hdr, x->hdr_len, &skip);
		add_piece(iov, &n, x->data, x->data_len, &skip);
		add_piece(iov, &n, x->tail, x->tail_len, &skip);
	}
	*ret_len = 0;
	for (int i = 0; i < n; i++)
		*ret_len += iov[i].iov_len;
	return n;
}

/* n more bytes are out: let go of what is sent whole.  Returns true when c shall be closed. */
static bool sent(struct connection *c, size_t n)
{
	n += c->tx_sent;
	while (c->tx_head) {
		struct tx *x = c->tx_head;
		size_t len = (size_t)x->hdr_len + x->data_len + x->tail_len;
		bool close_after = x->close_after;

		if (n < len)
			break;
		n -= len;
		c->tx_head = x->next;
		if (!c->tx_head)
			c->tx_tail = &c->tx_head;
		c->tx_count--;
		c->tx_lent -= x->lent;
		c->tx_bytes -= x->data_len;
		tx_free(c->worker, x);
		if (close_after)
			return true;
	}
	c->tx_sent = (uint32_t)n;
	return false;
}

static void set_interest(struct connection *c)
{
	bool block_in = c->tx_count > TX_BACKLOG_MAX;
	bool want_out = c->tx_head != NULL;

	if (block_in == c->blocked_in && want_out == c->want_out)
		return;
	c->blocked_in = block_in;
	c->want_out = want_out;
	loop_mod(c->worker->loop, &c->fd,
		 (block_in ? 0U : (uint32_t)EPOLLIN) | (want_out ? (uint32_t)EPOLLOUT : 0U));
}

/*
 * How much of the data of x's task is out when x is the first of its PDUs in the queue.  What comes
 * next is read at once and from there on: the rest of a sector whose beginning is out must still
 * be what it was.
 */
static uint32_t data_sent(const struct connection *c, const struct tx *x)
{
	uint32_t out = x == c->tx_head && c->tx_sent > x->hdr_len ? c->tx_sent - x->hdr_len : 0;

	return (uint32_t)(x->data - x->task->lent) + (out < x->data_len ? out : x->data_len);
}

bool connection_keep(struct connection *c, const struct task *before)
{
	for (struct tx *x = c->tx_lent > 0 ? c->tx_head : NULL; x; x = x->next) {
		struct task *k = x->task;

		if (!x->lent)
			continue;
		if (k->scsi.lent && before && !scsi_task_disturbs(&before->scsi, &k->scsi))
			continue;
		if (k->scsi.lent && !task_keep(k, data_sent(c, x)))
			return false;
		x->data = k->buf + (x->data - k->lent);
		x->lent = false;
		c->tx_lent--;
	}
	return true;
}

/* What is queued stays so beyond this round.  Returns false when c is closed. */
static bool keep_rest(struct connection *c)
{
	if (connection_keep(c, NULL))
		return true;
	log_warn(target, "connection closed: what was read is gone from the unit's file; peer=%s",
		 c->peer_text);
	connection_close(c);
	return false;
}

/* Send what the socket takes.  Returns false when c is closed. */
static bool send_queued(struct connection *c)
{
	struct iovec iov[TX_IOV];

	while (c->tx_head || tasks_run_deferred(c)) {
		size_t want;
		struct msghdr m = {.msg_iov = iov};
		ssize_t n;

		m.msg_iovlen = (size_t)gather(c, iov, &want);
		n = sendmsg(c->fd.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EFAULT && c->tx_lent > 0) {
			if (!keep_rest(c)) /* a READ says what there is now */
				return false;
			continue;
		}
		if (n < 0 && errno != EAGAIN) {
			connection_close(c);
			return false;
		}
		if (n > 0 && sent(c, (size_t)n)) {
			connection_close(c);
			return false;
		}
		if (n < (ssize_t)want)
			break;
	}
	return !c->is_closed && keep_rest(c);
}

static void flush(struct connection *c)
{
	if (!send_queued(c))
		return;
	if (c->state == CONN_FULL_FEATURE && !c->session->placed && !c->tx_head && session_place(c))
		return; /* another worker's now */
	set_interest(c);
}

void connection_forget_dirty(struct connection *c)
{
	struct connection **p = &c->worker->dirty;

	if (!c->is_dirty)
		return;
	while (*p != c)
		p = &(*p)->next_dirty;
	*p = c->next_dirty;
	c->is_dirty = false;
}

void connection_flush_dirty(struct worker *w)
{
	while (w->dirty) {
		struct connection *c = w->dirty;

		w->dirty = c->next_dirty;
		c->is_dirty = false;
		if (!c->is_closed && c->state != CONN_PARKED)
			flush(c);
	}
}

struct iscsi_sns connection_sns(struct connection *c, bool takes_stat_sn)
{
	struct iscsi_sns sn = {.stat_sn = c->stat_sn};

	if (takes_stat_sn)
		c->stat_sn++;
	if (c->session) {
		sn.exp_cmd_sn = c->session->exp_cmd_sn;
		sn.max_cmd_sn = session_max_cmd_sn(c->session);
	}
	return sn;
}

void connection_reject(struct connection *c, enum iscsi_reject_reason why, const uint8_t *bhs,
		       bool close_after)
{
	struct tx *x = tx_new(c);
	struct iscsi_sns sn = connection_sns(c, true);

	memcpy(x->small, bhs, ISCSI_BHS_LEN); /* the header that was wrong, section 11.17 */
	x->data = x->small;
	x->data_len = ISCSI_BHS_LEN;
	x->close_after = close_after;
	iscsi_put_reject(x->hdr, why, ISCSI_BHS_LEN, &sn);
	connection_send(c, x);
	if (close_after)
		c->state = CONN_CLOSING;
}

/* ---- receiving ---- */

/*
 * What came in is whole.  Returns false when nothing more of this connection may be looked
 * at: it is closed or waits, or another worker has it, and then c may not be touched.
 */
static bool pdu_in(struct connection *c, bool bad_digest, bool more)
{
	if (c->state == CONN_LOGIN) {
		if (!more)
			return login_request(c);
		log_info(target, "connection closed: bytes after a login request peer=%s",
			 c->peer_text);
		connection_close(c); /* an initiator waits for the answer */
		return false;
	}
	if (c->state == CONN_FULL_FEATURE) {
		if (bad_digest)
			session_bad_data(c);
		else
			session_pdu(c);
		if (c->tx_bytes >= SEND_AT_ONCE && !c->want_out && !c->is_closed && send_queued(c))
			set_interest(c); /* a full socket says itself when it has room */
	}
	return !c->is_closed;
}

static void header_in(struct connection *c)
{
	uint8_t *into = NULL;

	if (c->state == CONN_LOGIN) {
		c->login_op_seen = (c->rx.hdr[0] & 0x3f) == ISCSI_LOGIN;
		into = c->login_data;
		iscsi_rx_into(&c->rx, into);
	} else if (c->state == CONN_FULL_FEATURE) {
		c->bulk = c->rx.data_len >= BULK_FROM;
		session_header(c);
	}
}

/* Returns what pdu_in does. */
static bool eat(struct connection *c, const uint8_t *at, const uint8_t *end)
{
	struct err e = {0};

	for (;;) {
		int r = iscsi_rx_feed(&c->rx, &at, end, &e);

		if (r < 0) {
			log_info(target, "connection closed: %s peer=%s", e.text, c->peer_text);
			if (c->session)
				__atomic_fetch_add(&c->session->digest_errors, r == -EBADMSG,
						   __ATOMIC_RELAXED);
			connection_close(c);
			return false;
		}
		if (r == ISCSI_RX_MORE)
			return true;
		if (r == ISCSI_RX_HEADER)
			header_in(c);
		else if (!pdu_in(c, r == ISCSI_RX_BAD_DIGEST, at != end))
			return false;
	}
}

static void readable(struct connection *c)
{
	struct worker *w = c->worker;

	for (int i = 0; i < READS_PER_ROUND; i++) {
		uint8_t *direct;
		uint32_t room = iscsi_rx_room(&c->rx, &direct);
		struct iovec iov[2];
		size_t want;
		ssize_t n;

		iov[0] = (struct iovec){.iov_base = room ? direct : NULL, .iov_len = room};
		iov[1] = (struct iovec){.iov_base = w->rx_buf,
					.iov_len = c->bulk ? RX_BULK : RX_BUF};
		want = room + iov[1].iov_len;
		n = readv(c->fd.fd, room ? iov : iov + 1, room ? 2 : 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			connection_close(c);
			return;
		}
		c->heard_ns = loop_now_ns(w->loop);
		if (room) {
			uint32_t filled = (size_t)n < room ? (uint32_t)n : room;

			iscsi_rx_filled(&c->rx, filled);
			if (!eat(c, w->rx_buf, w->rx_buf + ((size_t)n - filled)))
				return;
		} else if (!eat(c, w->rx_buf, w->rx_buf + n)) {
			return;
		}
		if ((size_t)n < want)
			return;
	}
}

static void ready(struct loop_fd *f, uint32_t events)
{
	struct connection *c = container_of(f, struct connection, fd);

	if (events & EPOLLOUT)
		connection_mark_dirty(c);
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		readable(c);
}

/* ---- life ---- */

void connection_link(struct connection *c, struct worker *w)
{
	c->worker = w;
	c->next = w->connections;
	if (c->next)
		c->next->pprev = &c->next;
	c->pprev = &w->connections;
	w->connections = c;
	loop_want_tick(w->loop);
}

void connection_unlink(struct connection *c)
{
	*c->pprev = c->next;
	if (c->next)
		c->next->pprev = c->pprev;
}

bool connection_watch(struct connection *c)
{
	struct err e = {0};

	c->want_out = false;
	c->blocked_in = false;
	if (loop_add(c->worker->loop, &c->fd, EPOLLIN, &e) < 0) {
		log_warn(target, "connection dropped: %s", e.text);
		return false;
	}
	return true;
}

void connection_unwatch(struct connection *c)
{
	loop_del(c->worker->loop, &c->fd);
}

void connection_accepted(struct worker *w, int fd, struct portal *p,
			 const struct sockaddr_storage *peer)
{
	struct connection *c = xcalloc(1, sizeof(*c));

	c->fd = (struct loop_fd){.fd = fd, .ready = ready};
	c->portal = p;
	c->peer = *peer;
	memcpy(&c->local, &p->sa, p->sa_len);
	address_text(&c->peer, c->peer_text);
	address_text(&c->local, c->local_text);
	c->state = CONN_LOGIN;
	c->tx_tail = &c->tx_head;
	c->deferred_tail = &c->deferred;
	c->max_send = 8192;
	c->login = iscsi_login_new(MAX_RECV);
	c->login_data = xmalloc(8192);
	iscsi_rx_init(&c->rx, 8192, 0);
	c->heard_ns = loop_now_ns(w->loop);
	c->deadline_ns = c->heard_ns + LOGIN_SECONDS * 1000000000ULL;
	connection_link(c, w);
	if (!connection_watch(c)) {
		c->fd.ready = NULL; /* not watched: connection_close must not unwatch */
		connection_close(c);
	}
}

static void connection_free(struct connection *c)
{
	struct target *t = c->worker->target;

	connection_forget_dirty(c); /* when the process ends, this is not the end of a round */
	while (c->tx_head) {
		struct tx *x = c->tx_head;

		c->tx_head = x->next;
		tx_free(c->worker, x);
	}
	iscsi_login_free(c->login);
	free(c->login_data);
	(void)pthread_mutex_lock(&t->lock);
	portal_unref(c->portal);
	if (c->session)
		session_unref_locked(c->session);
	(void)pthread_mutex_unlock(&t->lock);
	(void)__atomic_sub_fetch(&t->n_connections, 1, __ATOMIC_RELAXED);
	free(c);
}

void connection_close(struct connection *c)
{
	struct worker *w = c->worker;

	if (c->is_closed)
		return;
	c->is_closed = true;
	if (c->state == CONN_PARKED) {
		w->parked--;
		(void)__atomic_sub_fetch(&w->target->parked, 1, __ATOMIC_RELAXED);
	} else if (c->fd.ready) {
		loop_forget(w->loop, &c->fd);
	}
	c->state = CONN_CLOSING;
	(void)close(c->fd.fd);
	connection_unlink(c);
	if (c->session)
		session_leave(c->session, c);
	c->next_closed = w->closed; /* whoever called us may still look at it */
	w->closed = c;
}

void connections_free_closed(struct worker *w)
{
	while (w->closed) {
		struct connection *c = w->closed;

		w->closed = c->next_closed;
		connection_free(c);
	}
}
