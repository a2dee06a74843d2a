/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "sm/turns.h"
#include "test.h"

enum { THREADS = 6, ROUNDS = 2000 };

struct many {
	struct turns *t;
	atomic_int inside, most, done;
	atomic_bool stop;
};

static void *in_and_out(void *arg)
{
	struct many *m = arg;

	for (int i = 0; i < ROUNDS; i++) {
		turns_take(m->t);
		int now = ++m->inside, most = m->most;

		while (now > most && !atomic_compare_exchange_weak(&m->most, &most, now))
			;
		m->inside--;
		turns_give(m->t);
	}
	m->done++;
	return NULL;
}

TEST(no_more_than_allowed_at_once)
{
	for (unsigned at_once = 1; at_once <= 3; at_once++) {
		struct many m = {.t = turns_new(at_once)};
		pthread_t t[THREADS];

		for (int i = 0; i < THREADS; i++)
			CHECK_INT(pthread_create(&t[i], NULL, in_and_out, &m), 0);
		for (int i = 0; i < THREADS; i++)
			pthread_join(t[i], NULL);
		CHECK_INT(m.done, THREADS);
		CHECK(m.most >= 1 && m.most <= (int)at_once);
		turns_free(m.t);
	}
}

/* One whose provider sends without end: has a turn whenever it can. */
static void *greedy(void *arg)
{
	struct many *m = arg;

	while (!m->stop) {
		turns_take(m->t);
		usleep(1000);
		turns_give(m->t);
	}
	return NULL;
}

TEST(a_greedy_one_waits_behind_those_who_came_before)
{
	struct many m = {.t = turns_new(1)};
	pthread_t t;

	CHECK_INT(pthread_create(&t, NULL, greedy, &m), 0);
	uint64_t start = clock_mono_ns();

	for (int i = 0; i < 20; i++) {
		usleep(1500); /* it has the turn now */
		turns_take(m.t);
		turns_give(m.t);
	}
	/* each time one piece of its work; without order it would take the turn straight back */
	CHECK((clock_mono_ns() - start) / 1000000 < 5000);
	m.stop = true;
	pthread_join(t, NULL);
	turns_free(m.t);
}
