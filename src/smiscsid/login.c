/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "smiscsid/login.h"

enum {
	THREADS_MAX = 8,
	PAM_THREADS = 4,
	NO_STEP_MS = 300, /* with PAM, a no comes after a multiple of that */
};

struct queue {
	struct logins *of;
	struct login *first, **last;
	unsigned n;
	pthread_cond_t come;
	pthread_t threads[THREADS_MAX];
	unsigned n_threads;
};

struct logins {
	struct users *users;
	unsigned most, most_of_peer; /* waiting, for each queue */
	pthread_mutex_t lock; /* of what follows */
	struct queue file, pam;
	bool stopping, late_stopping;
	/* answers that are held back, the next one first */
	struct login *late;
	pthread_cond_t late_come;
	pthread_t late_thread;
	bool has_late;
};

static struct login *next(struct queue *q)
{
	struct logins *l = q->of;
	struct login *one;

	(void)pthread_mutex_lock(&l->lock);
	while (!q->first && !l->stopping)
		(void)pthread_cond_wait(&q->come, &l->lock);
	one = q->first;
	if (one) {
		q->first = one->next_;
		if (!q->first)
			q->last = &q->first;
		q->n--;
	}
	(void)pthread_mutex_unlock(&l->lock);
	return one;
}

/* A name that only PAM can know takes another time to be refused than one in the file, and one that
 * PAM knows another than one that it doesn't: the answers go out in steps, so that it can't be told
 * apart.  Nobody's thread waits for that. */
static void hold_back(struct logins *l, struct login *one)
{
	const uint64_t step = NO_STEP_MS * 1000000ULL;
	uint64_t took = clock_mono_ns() - one->asked_ns_;
	struct login **at = &l->late;

	one->due_ns_ = one->asked_ns_ + (took / step + 1) * step;
	(void)pthread_mutex_lock(&l->lock);
	while (*at && (*at)->due_ns_ <= one->due_ns_)
		at = &(*at)->next_;
	one->next_ = *at;
	*at = one;
	(void)pthread_cond_signal(&l->late_come);
	(void)pthread_mutex_unlock(&l->lock);
}

static void *deliver(void *arg)
{
	struct logins *l = arg;

	(void)pthread_mutex_lock(&l->lock);
	while (l->late || !l->late_stopping) {
		struct login *one = l->late;
		struct timespec due;

		if (!one) {
			(void)pthread_cond_wait(&l->late_come, &l->lock);
			continue;
		}
		if (clock_mono_ns() < one->due_ns_) {
			due = (struct timespec){.tv_sec = (time_t)(one->due_ns_ / 1000000000U),
						.tv_nsec = (long)(one->due_ns_ % 1000000000U)};
			(void)pthread_cond_timedwait(&l->late_come, &l->lock, &due);
			continue;
		}
		l->late = one->next_;
		(void)pthread_mutex_unlock(&l->lock);
		one->done(one->ctx);
		(void)pthread_mutex_lock(&l->lock);
	}
	(void)pthread_mutex_unlock(&l->lock);
	return NULL;
}

static void *work(void *arg)
{
	struct queue *q = arg;
	struct logins *l = q->of;
	struct login *one;

	while ((one = next(q))) {
		one->answer = users_check(l->users, one->user, one->password, one->peer,
					  &one->role);
		if (one->answer == USERS_DENIED && l->has_late)
			hold_back(l, one);
		else
			one->done(one->ctx);
	}
	return NULL;
}

static void open_queue(struct logins *l, struct queue *q, unsigned threads)
{
	q->of = l;
	q->last = &q->first;
	(void)pthread_cond_init(&q->come, NULL);
	for (; q->n_threads < threads; q->n_threads++)
		if (pthread_create(&q->threads[q->n_threads], NULL, work, q) != 0)
			break;
}

static void close_queue(struct queue *q)
{
	for (unsigned i = 0; i < q->n_threads; i++)
		(void)pthread_join(q->threads[i], NULL);
	(void)pthread_cond_destroy(&q->come);
}

struct logins *logins_new(struct users *users, bool pam, unsigned most, unsigned most_of_peer)
{
	struct logins *l = xcalloc(1, sizeof(*l));
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	/* half of the processors is left for those who are logged in */
	unsigned n = cpus > 2 * THREADS_MAX ? THREADS_MAX : cpus > 2 ? (unsigned)cpus / 2 : 1;
	pthread_condattr_t monotonic;

	l->users = users;
	l->most = most;
	l->most_of_peer = most_of_peer;
	(void)pthread_mutex_init(&l->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&l->late_come, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	/* before the others, which look at it */
	l->has_late = pam && pthread_create(&l->late_thread, NULL, deliver, l) == 0;
	open_queue(l, &l->file, n);
	open_queue(l, &l->pam, l->has_late ? PAM_THREADS : 0);
	return l;
}

void logins_free(struct logins *l)
{
	if (!l)
		return;
	(void)pthread_mutex_lock(&l->lock);
	l->stopping = true;
	(void)pthread_cond_broadcast(&l->file.come);
	(void)pthread_cond_broadcast(&l->pam.come);
	(void)pthread_mutex_unlock(&l->lock);
	close_queue(&l->file);
	close_queue(&l->pam);
	(void)pthread_mutex_lock(&l->lock);
	l->late_stopping = true;
	(void)pthread_cond_signal(&l->late_come);
	(void)pthread_mutex_unlock(&l->lock);
	if (l->has_late)
		(void)pthread_join(l->late_thread, NULL);
	(void)pthread_cond_destroy(&l->late_come);
	(void)pthread_mutex_destroy(&l->lock);
	free(l);
}

bool logins_ask(struct logins *l, struct login *one)
{
	struct queue *q = users_is_elsewhere(l->users, one->user) ? &l->pam : &l->file;
	unsigned same = 0;
	bool room;

	one->asked_ns_ = clock_mono_ns();
	(void)pthread_mutex_lock(&l->lock);
	for (const struct login *o = q->first; o; o = o->next_)
		same += streq(o->peer, one->peer);
	room = q->n_threads > 0 && q->n < l->most && same < l->most_of_peer;
	if (room) {
		one->next_ = NULL;
		*q->last = one;
		q->last = &one->next_;
		q->n++;
		(void)pthread_cond_signal(&q->come);
	}
	(void)pthread_mutex_unlock(&l->lock);
	return room;
}
