/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "target/listener.h"
#include "target/session.h"

enum { ACCEPTS_PER_ROUND = 16, BACKLOG = 1024 };

struct listener_of_worker {
	struct loop_fd fd;
	struct loop_post stop;
	struct listener *listener;
	struct worker *worker;
};

struct listener {
	int fd;
	struct target *target;
	struct portal *portal; /* counted */
	unsigned n;            /* atomic: workers that still watch it */
	bool closed;           /* atomic */
	struct listener_of_worker per[];
};

static int failed(struct portal *p, int fd)
{
	int saved = errno;

	p->state = saved == EADDRINUSE	    ? PORTAL_IN_USE
		   : saved == EADDRNOTAVAIL ? PORTAL_NO_ADDRESS
					    : PORTAL_FAILED;
	(void)snprintf(p->why, sizeof(p->why), "%s",
		       saved == EADDRINUSE	? "another process listens there"
		       : saved == EADDRNOTAVAIL ? "the address is not on this host"
						: strerror(saved));
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

int listener_open(struct portal *p)
{
	int on = 1;
	int fd = socket(p->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return failed(p, -1);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (p->sa.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&p->sa, p->sa_len) < 0 || listen(fd, BACKLOG) < 0)
		return failed(p, fd);
	p->state = PORTAL_LISTENING;
	p->why[0] = '\0';
	return fd;
}

static void acceptable(struct loop_fd *f, uint32_t events)
{
	struct listener_of_worker *lw = container_of(f, struct listener_of_worker, fd);
	struct listener *ln = lw->listener;
	struct target *t = ln->target;

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_ROUND; i++) {
		struct sockaddr_storage peer = {0};
		socklen_t len = sizeof(peer);
		int fd = accept4(ln->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) /* taken by another worker, gone again, or closed: all the same here */
			return;
		if (__atomic_add_fetch(&t->n_connections, 1, __ATOMIC_RELAXED) > t->max_connections ||
		    __atomic_load_n(&ln->closed, __ATOMIC_RELAXED)) {
			(void)__atomic_sub_fetch(&t->n_connections, 1, __ATOMIC_RELAXED);
			(void)close(fd);
			continue;
		}
		(void)pthread_mutex_lock(&t->lock);
		ln->portal->refs++;
		(void)pthread_mutex_unlock(&t->lock);
		connection_accepted(lw->worker, fd, ln->portal, &peer);
	}
}

void listener_start(struct target *t, struct portal *p, int fd)
{
	struct listener *ln = xcalloc(1, sizeof(*ln) + t->n_workers * sizeof(ln->per[0]));
	struct err e;

	ln->fd = fd;
	ln->target = t;
	ln->portal = p;
	p->refs++;
	p->listener = ln;
	ln->n = t->n_workers;
	for (unsigned i = 0; i < t->n_workers; i++) {
		struct listener_of_worker *lw = &ln->per[i];

		lw->listener = ln;
		lw->worker = &t->workers[i];
		lw->fd = (struct loop_fd){.fd = fd, .ready = acceptable};
		if (loop_add(lw->worker->loop, &lw->fd, EPOLLIN | EPOLLEXCLUSIVE, &e) < 0)
			abort(); /* out of kernel memory while starting to serve */
	}
}

static void stop_worker(struct loop *l, struct loop_post *post)
{
	struct listener_of_worker *lw = container_of(post, struct listener_of_worker, stop);
	struct listener *ln = lw->listener;
	struct target *t = ln->target;

	loop_del(l, &lw->fd);
	if (__atomic_sub_fetch(&ln->n, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	(void)close(ln->fd);
	(void)pthread_mutex_lock(&t->lock);
	portal_unref(ln->portal);
	(void)pthread_mutex_unlock(&t->lock);
	free(ln);
}

void listener_close(struct portal *p)
{
	struct listener *ln = take(p->listener);
	unsigned n;

	if (!ln)
		return;
	__atomic_store_n(&ln->closed, true, __ATOMIC_RELAXED);
	(void)shutdown(ln->fd, SHUT_RDWR); /* leaves the LISTEN state now; closed when nobody waits */
	n = ln->target->n_workers; /* after the last post ln may be gone */
	for (unsigned i = 0; i < n; i++) {
		ln->per[i].stop.run = stop_worker;
		loop_post(ln->per[i].worker->loop, &ln->per[i].stop);
	}
}
