/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <stdio.h>

#include "base/log.h"
#include "target/listener.h"
#include "target/session.h"
#include "target/store.h"
#include "target/worker.h"

enum { RX_BUF_BYTES = 256 * 1024, TRIM_CONNECTIONS = 500 };

struct broadcast {
	struct loop_post post;
	void (*run)(struct worker *w);
};

static void broadcast_in(struct loop *l, struct loop_post *p)
{
	struct broadcast *b = container_of(p, struct broadcast, post);

	b->run(loop_user(l));
	free(b);
}

void target_broadcast(struct target *t, void (*run)(struct worker *w))
{
	for (unsigned i = 0; i < t->n_workers; i++) {
		struct broadcast *b = xcalloc(1, sizeof(*b));

		b->post.run = broadcast_in;
		b->run = run;
		loop_post(t->workers[i].loop, &b->post);
	}
}

/* The end of a round: what it has produced goes out, and what it has closed goes away. */
static bool round_over(struct loop *l, struct loop_hook *h)
{
	struct worker *w = container_of(h, struct worker, hook);

	(void)l;
	connection_flush_dirty(w);
	connections_free_closed(w);
	return w->dirty != NULL;
}

static void timed_out(struct connection *c)
{
	const char *why = c->state == CONN_LOGIN || c->state == CONN_PARKED ? "login took too long"
			  : c->leaving ? "it did not log out in time"
				       : "no answer to a ping";

	log_info(target, "connection closed: %s peer=%s", why, c->peer_text);
	if (c->session)
		__atomic_fetch_add(&c->session->timeouts, 1, __ATOMIC_RELAXED);
	connection_close(c);
}

static bool tick(struct loop *l)
{
	struct worker *w = loop_user(l);
	uint64_t now = loop_now_ns(l);
	struct connection *next;
	uint64_t idle_ns = __atomic_load_n(&w->target->idle_time, __ATOMIC_RELAXED) * 1000000000ULL;
	unsigned n = 0;
	bool stock;

	for (struct connection *c = w->connections; c; c = next, n++) {
		next = c->next;
		if (c->deadline_ns && now >= c->deadline_ns) {
			timed_out(c);
		} else if (c->state == CONN_FULL_FEATURE && !c->pinged && !c->leaving &&
			   now - c->heard_ns > idle_ns) {
			connection_ping(c);
			c->deadline_ns = now + idle_ns;
		}
	}
	listeners_resume(w);
	stock = pool_trim(&w->pool);
	/* After a flood of connections malloc would keep what they took, in pieces. */
	if (n > w->most_connections)
		w->most_connections = n;
	if (w->most_connections - n >= TRIM_CONNECTIONS) {
		(void)malloc_trim(0);
		w->most_connections = n;
	}
	return stock || w->connections;
}

static void store_ready(struct loop_fd *f, uint32_t events)
{
	(void)events;
	store_loop_reap(container_of(f, struct worker, store_fd)->store);
}

static int worker_start(struct worker *w, struct err *e)
{
	char name[16];

	w->loop = loop_new(e);
	if (!w->loop)
		return e->code;
	w->store = store_loop_new(STORE_LOOP_DEFAULT, e);
	if (!w->store)
		return e->code;
	w->store_fd = (struct loop_fd){.fd = store_loop_fd(w->store), .ready = store_ready};
	if (loop_add(w->loop, &w->store_fd, EPOLLIN, e) < 0)
		return e->code;
	w->rx_buf = xmalloc(RX_BUF_BYTES);
	w->hook.run = round_over;
	loop_add_hook(w->loop, &w->hook);
	loop_set_tick(w->loop, tick);
	loop_set_user(w->loop, w);
	(void)snprintf(name, sizeof(name), "worker-%u", w->index);
	return loop_start(w->loop, name, e);
}

int workers_start(struct target *t, unsigned n, struct err *e)
{
	t->workers = xcalloc(n, sizeof(*t->workers));
	t->n_workers = n;
	for (unsigned i = 0; i < n; i++) {
		t->workers[i].target = t;
		t->workers[i].index = i;
	}
	for (unsigned i = 0; i < n; i++)
		if (worker_start(&t->workers[i], e) < 0) {
			t->n_workers = i; /* workers_stop stops those that run */
			return err_in(e, "start worker %u", i);
		}
	return 0;
}

static void close_all(struct worker *w)
{
	while (w->connections)
		connection_close(w->connections);
	connections_free_closed(w);
	if (w->all_sessions) /* their last commands are still with the disk */
		target_broadcast(w->target, close_all);
	else
		loop_stop(w->loop);
}

static void worker_free(struct worker *w)
{
	while (w->free_tasks) {
		struct task *k = w->free_tasks;

		w->free_tasks = k->next;
		free(k);
	}
	while (w->free_txs) {
		struct tx *x = w->free_txs;

		w->free_txs = x->next;
		free(x);
	}
	pool_done(&w->pool);
	free(w->rx_buf);
	store_loop_free(w->store);
	loop_free(w->loop);
}

void workers_stop(struct target *t)
{
	target_broadcast(t, close_all);
	for (unsigned i = 0; i < t->n_workers; i++)
		loop_join(t->workers[i].loop);
	for (unsigned i = 0; i < t->n_workers; i++)
		loop_drain(t->workers[i].loop); /* whatever the last ones told each other */
	for (unsigned i = 0; i < t->n_workers; i++) {
		while (t->workers[i].connections) /* was on the way from one to another */
			connection_close(t->workers[i].connections);
		connections_free_closed(&t->workers[i]);
	}
	for (unsigned i = 0; i < t->n_workers; i++)
		worker_free(&t->workers[i]);
	free(take(t->workers));
	t->n_workers = 0;
}
