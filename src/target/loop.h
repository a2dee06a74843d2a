/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h - one epoll loop per thread: descriptors, messages from other threads, hooks
 *
 * Handles are embedded in their owners (container_of) and belong to exactly one
 * loop.  All calls but loop_post() and loop_stop() come from the loop's own
 * thread, or from anywhere before loop_start().
 *
 * One round of the loop is: wait, descriptors, posted messages, then the hooks in
 * the order they were added.  A hook is the place to do once what a round has
 * gathered (submit a ring, flush sockets).  A hook must not delete hooks.
 *
 * Depends on: base.  Threads: as said above.
 */
#pragma once

#include <sys/epoll.h>

#include "base/err.h"

struct loop;

/* A descriptor that is waited for.  The owner opens and closes fd. */
struct loop_fd {
	int fd;
	void (*ready)(struct loop_fd *f, uint32_t events); /* may delete f and free its owner */
};

/* A message to another thread.  The poster gives it away; run() frees or reuses it. */
struct loop_post {
	struct loop_post *next;
	void (*run)(struct loop *l, struct loop_post *p);
};

struct loop_hook {
	struct loop_hook *next;
	/* Returns true when there is more to do at once: the loop then does not sleep. */
	bool (*run)(struct loop *l, struct loop_hook *h);
};

struct loop *loop_new(struct err *e) MUST_CHECK;
void loop_free(struct loop *l); /* NULL is fine; the thread has ended */

/* Run in a thread of its own until loop_stop(); loop_join() waits for that. */
int loop_start(struct loop *l, const char *name, struct err *e) MUST_CHECK;
void loop_join(struct loop *l);
/* Run in the calling thread until loop_stop(). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l); /* any thread */

int loop_add(struct loop *l, struct loop_fd *f, uint32_t events, struct err *e) MUST_CHECK;
void loop_mod(struct loop *l, struct loop_fd *f, uint32_t events);
/* f is not called again, not even for an event of this very round. */
void loop_del(struct loop *l, struct loop_fd *f);

/* The same for a descriptor that is closed at once, and has no duplicate. */
void loop_forget(struct loop *l, struct loop_fd *f);

void loop_post(struct loop *l, struct loop_post *p); /* any thread */
/* Run what is still posted, after loop_run() has returned. */
void loop_drain(struct loop *l);
void loop_add_hook(struct loop *l, struct loop_hook *h);

/* Call tick about once a second, as long as it returns true; loop_want_tick starts it again. */
void loop_set_tick(struct loop *l, bool (*tick)(struct loop *l));
void loop_want_tick(struct loop *l);

/* The clock at the start of this round (monotonic). */
uint64_t loop_now_ns(const struct loop *l);

/* The owner's per-loop state. */
void loop_set_user(struct loop *l, void *user);
void *loop_user(const struct loop *l);
