/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <unistd.h>

#include "smiscsid/login.h"

enum { THREADS_MAX = 8, WAITING_MAX = 256, WAITING_PER_PEER = 32 };

struct logins {
	struct users *users;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t come;
	struct login *first, **last;
	unsigned n;
	bool stopping;
	pthread_t threads[THREADS_MAX];
	unsigned n_threads;
};

static struct login *next(struct logins *l)
{
	struct login *one;

	(void)pthread_mutex_lock(&l->lock);
	while (!l->first && !l->stopping)
		(void)pthread_cond_wait(&l->come, &l->lock);
	one = l->first;
	if (one) {
		l->first = one->next_;
		if (!l->first)
			l->last = &l->first;
		l->n--;
	}
	(void)pthread_mutex_unlock(&l->lock);
	return one;
}

static void *work(void *arg)
{
	struct logins *l = arg;
	struct login *one;

	while ((one = next(l))) {
		one->answer =
			users_check(l->users, one->user, one->password, one->peer, &one->role);
		one->done(one->ctx);
	}
	return NULL;
}

struct logins *logins_new(struct users *users)
{
	struct logins *l = xcalloc(1, sizeof(*l));
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	/* half of the processors is left for those who are logged in */
	unsigned n = cpus > 2 * THREADS_MAX ? THREADS_MAX : cpus > 2 ? (unsigned)cpus / 2 : 1;

	l->users = users;
	l->last = &l->first;
	(void)pthread_mutex_init(&l->lock, NULL);
	(void)pthread_cond_init(&l->come, NULL);
	for (; l->n_threads < n; l->n_threads++)
		if (pthread_create(&l->threads[l->n_threads], NULL, work, l) != 0)
			break;
	return l;
}

void logins_free(struct logins *l)
{
	if (!l)
		return;
	(void)pthread_mutex_lock(&l->lock);
	l->stopping = true;
	(void)pthread_cond_broadcast(&l->come);
	(void)pthread_mutex_unlock(&l->lock);
	for (unsigned i = 0; i < l->n_threads; i++)
		(void)pthread_join(l->threads[i], NULL);
	(void)pthread_cond_destroy(&l->come);
	(void)pthread_mutex_destroy(&l->lock);
	free(l);
}

bool logins_ask(struct logins *l, struct login *one)
{
	unsigned same = 0;
	bool room;

	(void)pthread_mutex_lock(&l->lock);
	for (const struct login *o = l->first; o; o = o->next_)
		same += streq(o->peer, one->peer);
	room = l->n_threads > 0 && l->n < WAITING_MAX && same < WAITING_PER_PEER;
	if (room) {
		one->next_ = NULL;
		*l->last = one;
		l->last = &one->next_;
		l->n++;
		(void)pthread_cond_signal(&l->come);
	}
	(void)pthread_mutex_unlock(&l->lock);
	return room;
}
