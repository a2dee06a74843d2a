/* SPDX-License-Identifier: Apache-2.0 */
/* Readers, pullers and writers at once; for ThreadSanitizer, and for invariants besides. */
#include <pthread.h>
#include <stdio.h>

#include "ask.h"
#include "test.h"
#include "toy.h"

enum { ROUNDS = 150 };

struct job {
	struct broker *b;
	unsigned id;
	unsigned bad;
};

/* Within one operation nothing may come or go: the host's associators are the ports. */
static void *read_on(void *arg)
{
	struct job *j = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		AUTO(ask) k = ask_new(j->b, CIM_OP_ASSOCIATORS, "root/toy");
		AUTO(ask) n = ask_new(j->b, CIM_OP_INVOKE_METHOD, "root/toy");

		ask_path(k, "TOY_Host.Name=\"h\"");
		k->rq.assoc_class = "TOY_HostPort";
		if (ask_go(k) != CIM_OK || ask_count(k) < 8)
			j->bad++;
		ask_path(n, "TOY_Host");
		n->rq.method = "Count";
		if (ask_go(n) != CIM_OK || n->ans->ret < 8)
			j->bad++;
	}
	return NULL;
}

static void *pull_on(void *arg)
{
	struct job *j = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		AUTO(ask) k = ask_new(j->b, CIM_OP_OPEN_ENUMERATE_INSTANCES, "root/toy");
		AUTO(ask) p = ask_new(j->b, CIM_OP_PULL_INSTANCES_WITH_PATH, "root/toy");
		unsigned n;

		ask_path(k, "CIM_Port");
		k->rq.has_max_objects = true;
		k->rq.max_objects = 2;
		if (ask_go(k) != CIM_OK)
			j->bad++;
		n = ask_count(k);
		p->rq.context = arena_strdup(p->a, k->ans->context);
		broker_close(take(k->op));
		p->rq.has_max_objects = true;
		p->rq.max_objects = 1000;
		if (ask_go(p) != CIM_OK || ask_count(p) + n < 8)
			j->bad++;
		broker_tick(j->b);
	}
	return NULL;
}

static void *write_on(void *arg)
{
	struct job *j = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		AUTO(ask) k = ask_new(j->b, CIM_OP_INVOKE_METHOD, "root/toy");
		char name[32];

		(void)snprintf(name, sizeof(name), "n%u-%u", j->id, i);
		ask_path(k, "TOY_Host.Name=\"h\"");
		k->rq.method = "Rename";
		ask_value(k, "Alias", name);
		ask_open(k);
		if (i % 3 == 0) { /* the client goes away */
			broker_close(take(k->op));
			continue;
		}
		ask_wait(k);
		if (k->ans->status != CIM_OK || k->ans->ret != 0 || ask_woken(k) != 1)
			j->bad++;
	}
	return NULL;
}

/* Ports come and go. */
static void *edit_on(void *arg)
{
	struct job *j = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		AUTO(ask) k = ask_new(j->b, CIM_OP_CREATE_INSTANCE, "root/toy");
		AUTO(ask) d = ask_new(j->b, CIM_OP_DELETE_INSTANCE, "root/toy");
		char name[32], path[80];

		(void)snprintf(name, sizeof(name), "p%u", 101 + 2 * i);
		(void)snprintf(path, sizeof(path), "TOY_EthPort.SystemName=\"h\",DeviceID=\"%s\"",
			       name);
		k->rq.instance = arena_zalloc(k->a, sizeof(*k->rq.instance));
		k->rq.instance->class_name = "TOY_EthPort";
		ask_value(k, "DeviceID", name);
		if (ask_go(k) != CIM_OK)
			j->bad++;
		ask_path(d, path);
		if (ask_go(d) != CIM_OK)
			j->bad++;
	}
	return NULL;
}

TEST(readers_and_writers_do_not_disturb_each_other)
{
	void *(*const what[])(void *) = {read_on, read_on, pull_on, write_on, write_on, edit_on};
	AUTO(toy) t = toy_new(8, TOY_THREAD, NULL);
	pthread_t th[ARRAY_SIZE(what)];
	struct job job[ARRAY_SIZE(what)];

	for (unsigned i = 0; i < ARRAY_SIZE(what); i++) {
		job[i] = (struct job){toy_broker(t), i, 0};
		(void)pthread_create(&th[i], NULL, what[i], &job[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(what); i++) {
		(void)pthread_join(th[i], NULL);
		CHECK_INT(job[i].bad, 0);
	}
}
