/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "target/loop.h"
#include "test.h"

struct message {
	struct loop_post post;
	struct loop *loop;
	int *order;
	int *n;
	int id;
};

static void note(struct loop *l, struct loop_post *p)
{
	struct message *m = container_of(p, struct message, post);

	m->order[(*m->n)++] = m->id;
	if (m->id == 2)
		loop_stop(l);
}

TEST(messages_from_another_thread_arrive_in_their_order)
{
	struct err e = {0};
	struct loop *l = loop_new(&e);
	int order[3] = {9, 9, 9}, n = 0;
	struct message m[3];

	CHECK_INT(loop_start(l, "test", &e), 0);
	for (int i = 0; i < 3; i++) {
		m[i] = (struct message){.post.run = note, .order = order, .n = &n, .id = i};
		loop_post(l, &m[i].post);
	}
	loop_join(l);
	CHECK_INT(n, 3);
	for (int i = 0; i < 3; i++)
		CHECK_INT(order[i], i);
	loop_free(l);
}

struct pair {
	struct loop_fd h[2];
	struct loop *loop;
	int called;
};
static struct pair pair;

static void delete_both(struct loop_fd *f, uint32_t events)
{
	(void)f;
	(void)events;
	pair.called++;
	loop_del(pair.loop, &pair.h[0]);
	loop_del(pair.loop, &pair.h[1]);
	loop_stop(pair.loop);
}

TEST(a_deleted_descriptor_is_not_called_in_the_same_round)
{
	struct err e = {0};
	int p[2][2];

	pair.called = 0;
	pair.loop = loop_new(&e);
	for (int i = 0; i < 2; i++) {
		CHECK_INT(pipe(p[i]), 0);
		CHECK_INT(write(p[i][1], "x", 1), 1);
		pair.h[i] = (struct loop_fd){.fd = p[i][0], .ready = delete_both};
		CHECK_INT(loop_add(pair.loop, &pair.h[i], EPOLLIN, &e), 0);
	}
	loop_run(pair.loop);
	CHECK_INT(pair.called, 1);
	for (int i = 0; i < 4; i++)
		(void)close(p[i / 2][i % 2]);
	loop_free(pair.loop);
}

static bool count_rounds(struct loop *l, struct loop_hook *h)
{
	(void)h;
	if (++pair.called == 5)
		loop_stop(l);
	return true;
}

TEST(a_hook_with_more_to_do_keeps_the_loop_awake)
{
	struct err e = {0};
	struct loop *l = loop_new(&e);
	struct loop_hook h = {.run = count_rounds};

	pair.called = 0;
	loop_add_hook(l, &h);
	loop_run(l);
	CHECK_INT(pair.called, 5);
	loop_free(l);
}
