/* SPDX-License-Identifier: Apache-2.0 */
#include "sm/turns.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "base/base.h"

struct waiter {
	struct waiter *next;
	sem_t go;
};

struct turns {
	pthread_mutex_t mu;
	unsigned free; /* 0 while anybody waits */
	struct waiter *first, **last;
};

struct turns *turns_new(unsigned at_once)
{
	struct turns *t = xcalloc(1, sizeof(*t));

	pthread_mutex_init(&t->mu, NULL);
	t->free = at_once;
	t->last = &t->first;
	return t;
}

void turns_free(struct turns *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->mu);
	free(t);
}

void turns_take(struct turns *t)
{
	struct waiter w = {0};

	pthread_mutex_lock(&t->mu);
	if (t->free) {
		t->free--;
		pthread_mutex_unlock(&t->mu);
		return;
	}
	sem_init(&w.go, 0, 0);
	*t->last = &w;
	t->last = &w.next;
	pthread_mutex_unlock(&t->mu);
	while (sem_wait(&w.go) < 0) /* a signal */
		;
	/* whoever gave it may still be in sem_post: it holds mu then */
	pthread_mutex_lock(&t->mu);
	pthread_mutex_unlock(&t->mu);
	sem_destroy(&w.go);
}

void turns_give(struct turns *t)
{
	pthread_mutex_lock(&t->mu);
	struct waiter *w = t->first;

	if (w) { /* it has the turn from here on */
		t->first = w->next;
		if (!t->first)
			t->last = &t->first;
		sem_post(&w->go);
	} else {
		t->free++;
	}
	pthread_mutex_unlock(&t->mu);
}
