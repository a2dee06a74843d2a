/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "target/listener.h"
#include "target/session.h"

enum { BACKLOG = 1024 };

struct listener {
	struct loop_fd fd;
	struct loop_post stop;
	struct worker *worker;
	struct portal *portal; /* counted */
	struct listener *next_paused;
	bool paused;
	bool closed; /* atomic */
};

static int failed(struct portal *p, int fd)
{
	int saved = errno;

	p->state = saved == EADDRINUSE      ? PORTAL_IN_USE
		   : saved == EADDRNOTAVAIL ? PORTAL_NO_ADDRESS
					    : PORTAL_FAILED;
	(void)snprintf(p->why, sizeof(p->why), "%s",
		       saved == EADDRINUSE      ? "another process listens there"
		       : saved == EADDRNOTAVAIL ? "the address is not on this host"
						: strerror(saved));
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

int listener_open(struct portal *p)
{
	int on = 1, idle = 60, interval = 10, count = 6; /* keep-alive in seconds */
	int fd = socket(p->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return failed(p, -1);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* These are inherited by what is accepted. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	if (p->sa.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&p->sa, p->sa_len) < 0 || listen(fd, BACKLOG) < 0)
		return failed(p, fd);
	p->state = PORTAL_LISTENING;
	p->why[0] = '\0';
	return fd;
}

/* Out of descriptors or memory: asking again at once would only burn the processor. */
static void pause_accepting(struct listener *ln)
{
	struct worker *w = ln->worker;

	log_warn(target, "portal %s port %u accepts nobody for a second: %s", ln->portal->address,
		 ln->portal->port, strerror(errno));
	loop_mod(w->loop, &ln->fd, 0);
	ln->paused = true;
	ln->next_paused = w->paused;
	w->paused = ln;
	loop_want_tick(w->loop);
}

void listeners_resume(struct worker *w)
{
	while (w->paused) {
		struct listener *ln = w->paused;

		w->paused = ln->next_paused;
		ln->paused = false;
		loop_mod(w->loop, &ln->fd, EPOLLIN);
	}
}

/* One at a time: what else waits is reported again, after those who are connected had their turn.
 */
static void acceptable(struct loop_fd *f, uint32_t events)
{
	struct listener *ln = container_of(f, struct listener, fd);
	struct target *t = ln->worker->target;
	struct sockaddr_storage peer = {0};
	socklen_t len = sizeof(peer);
	int fd = accept4(f->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			pause_accepting(ln);
		return; /* else it has hung up already, or we are being closed */
	}
	if (__atomic_add_fetch(&t->n_connections, 1, __ATOMIC_RELAXED) > t->max_connections ||
	    __atomic_load_n(&ln->closed, __ATOMIC_RELAXED)) {
		(void)__atomic_sub_fetch(&t->n_connections, 1, __ATOMIC_RELAXED);
		(void)close(fd);
		return;
	}
	(void)pthread_mutex_lock(&t->lock);
	ln->portal->refs++;
	(void)pthread_mutex_unlock(&t->lock);
	connection_accepted(ln->worker, fd, ln->portal, &peer);
}

void listener_start(struct target *t, struct portal *p, int fd)
{
	struct listener *ln = xcalloc(1, sizeof(*ln));
	struct err e;

	/* Each portal has one worker that accepts; sessions are spread when they log in. */
	ln->worker = &t->workers[t->next_acceptor++ % t->n_workers];
	ln->fd = (struct loop_fd){.fd = fd, .ready = acceptable};
	ln->portal = p;
	p->refs++;
	p->listener = ln;
	if (loop_add(ln->worker->loop, &ln->fd, EPOLLIN, &e) < 0)
		abort(); /* out of kernel memory while starting to serve */
}

static void stop(struct loop *l, struct loop_post *post)
{
	struct listener *ln = container_of(post, struct listener, stop);
	struct target *t = ln->worker->target;

	if (ln->paused)
		listeners_resume(ln->worker);
	loop_del(l, &ln->fd);
	(void)close(ln->fd.fd);
	(void)pthread_mutex_lock(&t->lock);
	portal_unref(ln->portal);
	(void)pthread_mutex_unlock(&t->lock);
	free(ln);
}

void listener_close(struct portal *p)
{
	struct listener *ln = take(p->listener);

	if (!ln)
		return;
	__atomic_store_n(&ln->closed, true, __ATOMIC_RELAXED);
	(void)shutdown(ln->fd.fd,
		       SHUT_RDWR); /* leaves the LISTEN state now; the worker closes it */
	ln->stop.run = stop;
	loop_post(ln->worker->loop, &ln->stop);
}
