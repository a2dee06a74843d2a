/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "target/loop.h"

enum { LOOK_NS = 50000, LOOK_EVERY = 64, MOST_LUCK = 16 };
enum { EVENTS_PER_ROUND = 64, TICK_MS = 1000 };

struct loop {
	int epoll_fd;
	struct loop_fd wake;
	pthread_t thread;
	bool started;
	bool stop;               /* atomic */
	bool asleep;             /* atomic: a poster must write to wake.fd */
	struct loop_post *posts; /* atomic stack, newest first */
	struct loop_hook *hooks, **hooks_tail;
	struct epoll_event events[EVENTS_PER_ROUND];
	int n_events, at_event; /* of the current round, for loop_del */
	bool (*tick)(struct loop *l);
	bool ticking;
	uint64_t next_tick_ns, now_ns;
	unsigned luck;           /* how well looking around before sleep went of late */
	unsigned sleeps;
	void *user;
};

static void woken(struct loop_fd *f, uint32_t events)
{
	uint64_t n;

	(void)events;
	while (read(f->fd, &n, sizeof(n)) < 0 && errno == EINTR)
		;
}

struct loop *loop_new(struct err *e)
{
	struct loop *l = xcalloc(1, sizeof(*l));

	l->hooks_tail = &l->hooks;
	l->wake = (struct loop_fd){.fd = -1, .ready = woken};
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0) {
		(void)err_sys(e, "create an event loop");
		goto fail;
	}
	l->wake.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->wake.fd < 0) {
		(void)err_sys(e, "create an event descriptor");
		goto fail;
	}
	if (loop_add(l, &l->wake, EPOLLIN, e) < 0)
		goto fail;
	l->now_ns = clock_mono_ns();
	return l;
fail:
	loop_free(l);
	return NULL;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	if (l->epoll_fd >= 0)
		(void)close(l->epoll_fd);
	if (l->wake.fd >= 0)
		(void)close(l->wake.fd);
	free(l);
}

int loop_add(struct loop *l, struct loop_fd *f, uint32_t events, struct err *e)
{
	struct epoll_event ev = {.events = events, .data.ptr = f};

	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, f->fd, &ev) < 0)
		return err_sys(e, "watch a descriptor");
	return 0;
}

void loop_mod(struct loop *l, struct loop_fd *f, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = f};

	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, f->fd, &ev) < 0)
		abort(); /* only a descriptor that was never added: our bug */
}

void loop_del(struct loop *l, struct loop_fd *f)
{
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, f->fd, NULL) < 0)
		abort();
	loop_forget(l, f);
}

void loop_forget(struct loop *l, struct loop_fd *f)
{
	for (int i = l->at_event; i < l->n_events; i++)
		if (l->events[i].data.ptr == f)
			l->events[i].data.ptr = NULL;
}

void loop_post(struct loop *l, struct loop_post *p)
{
	uint64_t one = 1;

	p->next = __atomic_load_n(&l->posts, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&l->posts, &p->next, p, true, __ATOMIC_SEQ_CST,
					    __ATOMIC_RELAXED))
		;
	if (__atomic_exchange_n(&l->asleep, false, __ATOMIC_SEQ_CST))
		while (write(l->wake.fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
}

static bool run_posts(struct loop *l)
{
	struct loop_post *p = __atomic_exchange_n(&l->posts, NULL, __ATOMIC_SEQ_CST);
	struct loop_post *oldest = NULL;

	if (!p)
		return false;
	while (p) { /* newest first: turn round */
		struct loop_post *next = p->next;

		p->next = oldest;
		oldest = p;
		p = next;
	}
	while (oldest) {
		struct loop_post *next = oldest->next;

		oldest->run(l, oldest);
		oldest = next;
	}
	return true;
}

void loop_drain(struct loop *l)
{
	while (run_posts(l))
		;
}

void loop_add_hook(struct loop *l, struct loop_hook *h)
{
	h->next = NULL;
	*l->hooks_tail = h;
	l->hooks_tail = &h->next;
}

static int sleep_ms(struct loop *l)
{
	if (!l->ticking)
		return -1;
	if (l->next_tick_ns <= l->now_ns)
		return 0;
	return (int)((l->next_tick_ns - l->now_ns) / 1000000U) + 1;
}

/*
 * With one command in flight its successor comes as soon as the answer has been read, and waking a
 * processor that has gone to sleep costs more than the command.  So look around for a moment
 * before sleeping, as long as that tends to find something; try again now and then.
 */
static int look_around(struct loop *l)
{
	uint64_t end;
	int n;

	if (l->luck == 0 && ++l->sleeps % LOOK_EVERY != 0)
		return 0;
	end = clock_mono_ns() + LOOK_NS;
	do {
		n = epoll_wait(l->epoll_fd, l->events, EVENTS_PER_ROUND, 0);
	} while (n == 0 && !__atomic_load_n(&l->posts, __ATOMIC_RELAXED) && clock_mono_ns() < end);
	if (n > 0)
		l->luck = l->luck < MOST_LUCK ? l->luck + 1 : MOST_LUCK;
	else
		l->luck /= 2;
	return n;
}

static int wait_for_events(struct loop *l, bool busy)
{
	int timeout = 0, n;

	if (!busy) {
		n = look_around(l);
		if (n > 0)
			return n;
		__atomic_store_n(&l->asleep, true, __ATOMIC_SEQ_CST);
		if (!__atomic_load_n(&l->posts, __ATOMIC_SEQ_CST) &&
		    !__atomic_load_n(&l->stop, __ATOMIC_SEQ_CST))
			timeout = sleep_ms(l);
	}
	n = epoll_wait(l->epoll_fd, l->events, EVENTS_PER_ROUND, timeout);
	__atomic_store_n(&l->asleep, false, __ATOMIC_SEQ_CST);
	return n < 0 ? 0 : n;
}

void loop_run(struct loop *l)
{
	bool busy = true; /* the hooks see one round before the first sleep */

	while (!__atomic_load_n(&l->stop, __ATOMIC_SEQ_CST)) {
		l->n_events = wait_for_events(l, busy);
		l->now_ns = clock_mono_ns();
		for (l->at_event = 0; l->at_event < l->n_events;) {
			struct epoll_event *ev = &l->events[l->at_event++];
			struct loop_fd *f = ev->data.ptr;

			if (f)
				f->ready(f, ev->events);
		}
		l->n_events = 0;
		(void)run_posts(l);
		if (l->ticking && l->now_ns >= l->next_tick_ns) {
			l->next_tick_ns = l->now_ns + TICK_MS * 1000000ULL;
			l->ticking = l->tick(l);
		}
		busy = false;
		for (struct loop_hook *h = l->hooks; h; h = h->next)
			busy |= h->run(l, h);
	}
}

static void *loop_thread(void *arg)
{
	loop_run(arg);
	return NULL;
}

int loop_start(struct loop *l, const char *name, struct err *e)
{
	sigset_t all, old;
	int r;

	(void)sigfillset(&all); /* signals are the main thread's business */
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&l->thread, NULL, loop_thread, l);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0)
		return err_set(e, -r, "start a thread: %s", strerror(r));
	(void)pthread_setname_np(l->thread, name);
	l->started = true;
	return 0;
}

void loop_join(struct loop *l)
{
	if (l->started)
		(void)pthread_join(l->thread, NULL);
	l->started = false;
}

void loop_stop(struct loop *l)
{
	uint64_t one = 1;

	__atomic_store_n(&l->stop, true, __ATOMIC_SEQ_CST);
	while (write(l->wake.fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void loop_set_tick(struct loop *l, bool (*tick)(struct loop *l))
{
	l->tick = tick;
}

void loop_want_tick(struct loop *l)
{
	if (l->ticking)
		return;
	l->ticking = true;
	l->next_tick_ns = l->now_ns + TICK_MS * 1000000ULL;
}

uint64_t loop_now_ns(const struct loop *l)
{
	return l->now_ns;
}

void loop_set_user(struct loop *l, void *user)
{
	l->user = user;
}

void *loop_user(const struct loop *l)
{
	return l->user;
}
