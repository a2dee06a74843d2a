/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "rig.h"

TEST(a_node_with_a_port_is_durable_live_and_published)
{
	struct rig r = {0};
	struct err e = {0};

	rig_new(&r);
	{
		AUTO(san_state) s = control_state_get(r.c);
		const struct san_portal *p = san_portal_by_text(s, "10.0.0.1:3260");
		struct op node = {.rule = op_create_node, .text = "first"};
		struct op port = {.rule = op_create_port, .n_portals = 1};

		CHECK_INT(san_count(s, SAN_PORTALS), 2);
		CHECK(p && p->status == SAN_OK);
		CHECK_INT(rig_do(&r, &node), CONTROL_OK);
		port.a = ref_to(node.id);
		port.portals[0] = ref_to(p->obj.id);
		CHECK_INT(rig_do(&r, &port), CONTROL_OK);
	}
	{
		AUTO(san_state) s = control_state_get(r.c);
		const struct san_node *n = san_node_by_alias(s, "first");
		struct san_walk w;
		const struct san_port *p = san_first_of(&w, s, SAN_PORTS_OF_NODE, n->obj.id);

		CHECK_INT(san_invariants(s, &e), 0);
		CHECK_STR(p->identifier, "000000000001");
		CHECK_INT(p->status, SAN_OK);
		CHECK_INT(p->n_bindings, 1);
		CHECK_INT(fake_engine_check(r.fake, s, &e), 0);
		rig_stop(&r);
		CHECK_INT(store_is(r.dir, s, &e), 0);
		CHECK_STR(e.text, "");
	}
	rig_free(&r);
}

/* ---- several writes at once ---- */

static sem_t held, go;

/* Keeps the writer busy, so that what comes meanwhile is one batch. */
static uint32_t hold(struct op *op UNUSED, const struct san_state *s UNUSED,
		     const struct san_env *env UNUSED, struct san_changes *ch UNUSED,
		     struct err *e UNUSED)
{
	sem_post(&held);
	while (sem_wait(&go) != 0)
		;
	return 0;
}

struct member {
	struct op op;
	enum control_outcome outcome;
	sem_t *done;
};

static void member_done(struct control_write *w, enum control_outcome o,
			const struct san_state *s UNUSED, const struct err *e)
{
	struct member *m = container_of(w, struct member, op.w);

	m->outcome = o;
	if (e)
		m->op.err = *e;
	sem_post(m->done);
}

/* Have the members tried as one batch, and wait for all of them. */
static void together(struct rig *r, struct member *m, size_t n)
{
	struct member first = {.op = {.rule = hold}};
	sem_t done;

	CHECK(sem_init(&held, 0, 0) == 0 && sem_init(&go, 0, 0) == 0 && sem_init(&done, 0, 0) == 0);
	first.op.w.run = op_run;
	first.op.w.done = member_done;
	first.done = &done;
	control_submit(r->c, &first.op.w);
	while (sem_wait(&held) != 0)
		;
	for (size_t i = 0; i < n; i++) {
		m[i].op.w.run = op_run;
		m[i].op.w.done = member_done;
		m[i].done = &done;
		control_submit(r->c, &m[i].op.w);
	}
	sem_post(&go);
	for (size_t i = 0; i < n + 1; i++) {
		while (sem_wait(&done) != 0)
			;
	}
	sem_destroy(&held);
	sem_destroy(&go);
	sem_destroy(&done);
}

TEST(writes_that_wait_together_share_one_commit)
{
	enum { N = 100 };
	static struct member m[N];
	static char alias[N][16];
	struct rig r = {0};
	uint64_t gen;

	rig_new(&r);
	{
		AUTO(san_state) s = control_state_get(r.c);

		gen = s->config_generation;
	}
	for (unsigned i = 0; i < N; i++) {
		(void)snprintf(alias[i], sizeof(alias[i]), "node %u", i);
		m[i].op = (struct op){.rule = op_create_node, .text = alias[i]};
	}
	together(&r, m, N);
	{
		AUTO(san_state) s = control_state_get(r.c);

		CHECK_INT(san_count(s, SAN_NODES), N);
		CHECK_INT(s->config_generation, gen + 1);
		for (unsigned i = 0; i < N; i++)
			CHECK_INT(m[i].outcome, CONTROL_OK);
	}
	rig_free(&r);
}

/* Who runs the rule? */
struct where {
	struct op op;
	uint32_t (*rule)(struct op *op, const struct san_state *s, const struct san_env *env,
			 struct san_changes *ch, struct err *e);
	pthread_t thread;
	sem_t done;
};

static uint32_t note_where(struct op *op, const struct san_state *s, const struct san_env *env,
			   struct san_changes *ch, struct err *e)
{
	struct where *x = container_of(op, struct where, op);

	x->thread = pthread_self();
	return x->rule(op, s, env, ch, e);
}

static void where_done(struct control_write *w, enum control_outcome o,
		       const struct san_state *s UNUSED, const struct err *e UNUSED)
{
	struct where *x = container_of(w, struct where, op.w);

	CHECK_INT(o, CONTROL_OK);
	sem_post(&x->done);
}

/* Was it all done on this thread, so before control_submit returned? */
static bool done_here(struct rig *r, struct where *x, bool here)
{
	bool at_once;

	CHECK(sem_init(&x->done, 0, 0) == 0);
	x->op.rule = note_where;
	x->op.w.run = op_run;
	x->op.w.done = where_done;
	x->op.w.here = here;
	control_submit(r->c, &x->op.w);
	at_once = sem_trywait(&x->done) == 0;
	while (!at_once && sem_wait(&x->done) != 0)
		;
	sem_destroy(&x->done);
	if (!pthread_equal(x->thread, pthread_self()))
		return false;
	CHECK(here && at_once);
	return true;
}

TEST(a_write_is_made_on_the_thread_that_brings_it_unless_it_waits_for_a_target)
{
	struct where plain = {.rule = op_create_node, .op.text = "plain"};
	struct where group = {.rule = op_create_group};
	struct where node = {.rule = op_create_node, .op.text = "node"};
	struct where del = {.rule = op_delete_node};

	for (unsigned waits = 0; waits < 2; waits++) {
		struct rig r = {.waits = waits};
		struct err e = {0};
		char name[16];
		bool here = false;

		rig_new(&r);
		CHECK(!done_here(&r, &plain, false));
		/* no engine cares for a group; control's thread may still be busy with having been
		 * the writer */
		for (unsigned i = 0; i < 1000 && !here; i++) {
			(void)snprintf(name, sizeof(name), "group %u", i);
			group.op.text = name;
			here = done_here(&r, &group, true);
		}
		CHECK(here);
		CHECK_INT(done_here(&r, &node, true), !waits);
		del.op.a = ref_to(node.op.id);
		CHECK_INT(done_here(&r, &del, true), !waits);
		{
			AUTO(san_state) s = control_state_get(r.c);

			CHECK_INT(san_count(s, SAN_NODES), 1);
			CHECK_INT(fake_engine_check(r.fake, s, &e), 0);
			rig_stop(&r);
			CHECK_INT(store_is(r.dir, s, &e), 0);
		}
		CHECK_STR(e.text, "");
		rig_free(&r);
	}
}

struct crowd {
	struct rig *r;
	pthread_t thread;
	unsigned number, failed;
};

static void *crowd_member(void *arg)
{
	struct crowd *x = arg;

	for (unsigned i = 0; i < 60; i++) {
		char alias[24];
		struct op node = {.rule = op_create_node, .text = alias};
		struct op port = {.rule = op_create_port, .n_portals = 1};
		AUTO(san_state) s = control_state_get(x->r->c);

		(void)snprintf(alias, sizeof(alias), "crowd %u-%u", x->number, i);
		node.w.run = port.w.run = op_run;
		node.w.here = (x->number + i) % 2;
		port.w.here = (x->number + i) % 3 != 0;
		port.portals[0] = ref_to(san_portal_by_text(s, "10.0.0.1:3260")->obj.id);
		x->failed += control_write_wait(x->r->c, &node.w, &node.err) != CONTROL_OK;
		port.a = ref_to(node.id);
		x->failed += control_write_wait(x->r->c, &port.w, &port.err) != CONTROL_OK;
	}
	return NULL;
}

TEST(many_threads_write_here_and_there_and_nothing_is_lost)
{
	enum { N = 4 };

	for (unsigned waits = 0; waits < 2; waits++) {
		struct rig r = {.waits = waits};
		struct crowd x[N];
		struct err e = {0};

		rig_new(&r);
		for (unsigned i = 0; i < N; i++) {
			x[i] = (struct crowd){.r = &r, .number = i};
			CHECK_INT(pthread_create(&x[i].thread, NULL, crowd_member, &x[i]), 0);
		}
		for (unsigned i = 0; i < N; i++) {
			(void)pthread_join(x[i].thread, NULL);
			CHECK_INT(x[i].failed, 0);
		}
		{
			AUTO(san_state) s = control_state_get(r.c);

			CHECK_INT(san_count(s, SAN_NODES), N * 60);
			CHECK_INT(san_count(s, SAN_PORTS), N * 60);
			CHECK_INT(fake_engine_check(r.fake, s, &e), 0);
			rig_stop(&r);
			CHECK_INT(store_is(r.dir, s, &e), 0);
		}
		CHECK_STR(e.text, "");
		rig_free(&r);
	}
}

TEST(one_that_the_target_refuses_takes_nobody_with_it)
{
	struct member m[] = {
		{.op = {.rule = op_create_node, .text = "before"}},
		{.op = {.rule = op_create_node, .text = "same"}}, /* the target refuses this one */
		{.op = {.rule = op_create_node, .text = "same"}}, /* so this one gets its name */
		{.op = {.rule = op_create_node, .text = "after"}},
		{.op = {.rule = op_create_node, .text = "before"}},
	};
	static const enum control_outcome want[] = {CONTROL_OK, CONTROL_FAILED, CONTROL_OK,
						    CONTROL_OK, CONTROL_REFUSED};
	struct rig r = {0};
	struct err e = {0};

	rig_new(&r);
	fake_engine_fail(r.fake, 2, ENGINE_REFUSED);
	together(&r, m, ARRAY_SIZE(m));
	for (size_t i = 0; i < ARRAY_SIZE(m); i++)
		CHECK_INT(m[i].outcome, want[i]);
	CHECK_STR(m[1].op.err.text, "the fake target was told to fail");
	CHECK_INT(m[4].op.w.code, 4097);
	{
		AUTO(san_state) s = control_state_get(r.c);

		CHECK_INT(san_count(s, SAN_NODES), 3);
		CHECK_INT(fake_engine_check(r.fake, s, &e), 0);
		CHECK_INT(san_node(s, m[1].op.id) == NULL || m[1].op.id != m[2].op.id, true);
		rig_stop(&r);
		CHECK_INT(store_is(r.dir, s, &e), 0);
		CHECK_STR(e.text, "");
	}
	rig_free(&r);
}

TEST(a_disk_that_is_full_refuses_and_what_is_measured_still_shows)
{
	struct op node = {.rule = op_create_node, .text = "a node"};
	struct rlimit was, tight;
	struct rig r = {0};
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);

	rig_new(&r);
	CHECK_INT(getrlimit(RLIMIT_FSIZE, &was), 0);
	tight = was;
	tight.rlim_cur = 1000;
	CHECK_INT(setrlimit(RLIMIT_FSIZE, &tight), 0);
	CHECK_INT(rig_do(&r, &node), CONTROL_FAILED);
	CHECK(*node.err.text);
	fake_engine_portal(r.fake, "10.0.0.1", 3260, SAN_LISTEN_IN_USE, "taken");
	r.addresses[2] = true;
	rig_network(&r);
	CHECK_INT(rig_do(&r, &node), CONTROL_FAILED);
	{
		AUTO(san_state) s = control_state_get(r.c);

		CHECK_INT(san_count(s, SAN_NODES), 0);
		CHECK_INT(san_portal_by_text(s, "10.0.0.1:3260")->status, SAN_PORT_IN_USE);
		CHECK(san_ip(s, "10.0.0.3") != NULL);
		CHECK(san_portal_by_text(s, "10.0.0.3:3260") == NULL);
	}
	CHECK_INT(setrlimit(RLIMIT_FSIZE, &was), 0);
	CHECK_INT(rig_do(&r, &node), CONTROL_OK);
	/* What the network asked for is made up for, a little later. */
	for (int i = 0; i < 100; i++) {
		AUTO(san_state) s = control_state_get(r.c);

		if (san_portal_by_text(s, "10.0.0.3:3260"))
			break;
		(void)usleep(100000);
	}
	{
		AUTO(san_state) s = control_state_get(r.c);

		CHECK(san_portal_by_text(s, "10.0.0.3:3260") != NULL);
	}
	(void)signal(SIGXFSZ, handler);
	rig_free(&r);
}

TEST(a_target_that_has_gone_shows_refuses_and_gets_everything_back)
{
	struct op node = {.rule = op_create_node, .text = "a node"};
	struct op group = {.rule = op_create_group, .text = "a group"};
	struct rig r = {0};
	struct err e = {0};

	rig_new(&r);
	fake_engine_crash(r.fake);
	CHECK_INT(rig_do(&r, &node), CONTROL_FAILED);
	CHECK_STR(node.err.text,
		  "the target is not ready: the fake target has crashed; nothing was changed");
	CHECK_INT(rig_do(&r, &group), CONTROL_OK); /* does not concern the target */
	{
		AUTO(san_state) s = control_state_get(r.c);

		CHECK_INT(s->engine->health, SAN_ENGINE_GONE);
		CHECK_INT(san_portal_by_text(s, "10.0.0.1:3260")->status, SAN_ENGINE_DOWN);
	}
	fake_engine_recover(r.fake);
	CHECK_INT(rig_do(&r, &node), CONTROL_OK);
	{
		AUTO(san_state) s = control_state_get(r.c);

		CHECK_INT(s->engine->health, SAN_ENGINE_UP);
		CHECK_INT(san_portal_by_text(s, "10.0.0.1:3260")->status, SAN_OK);
		CHECK_INT(fake_engine_check(r.fake, s, &e), 0);
	}
	rig_free(&r);
}

static void *recover(void *arg)
{
	(void)usleep(50000);
	fake_engine_recover(arg);
	return NULL;
}

TEST(a_write_waits_for_a_target_that_comes_back_but_not_for_ever)
{
	struct op node = {.rule = op_create_node, .text = "a node"};
	struct op other = {.rule = op_create_node, .text = "another"};
	struct op group = {.rule = op_create_group, .text = "a group"};
	struct rig r = {0};
	struct err e = {0};
	pthread_t thread;

	rig_new(&r);
	fake_engine_crash(r.fake);
	CHECK_INT(pthread_create(&thread, NULL, recover, r.fake), 0);
	CHECK_INT(rig_do(&r, &node), CONTROL_OK);
	(void)pthread_join(thread, NULL);
	fake_engine_crash(r.fake);
	{
		struct member m[] = {{.op = node}, {.op = other}, {.op = group}};

		m[0].op.text = "a third";
		together(&r, m, ARRAY_SIZE(m));
		CHECK_INT(m[0].outcome, CONTROL_FAILED);
		CHECK_INT(m[1].outcome, CONTROL_FAILED);
		CHECK_INT(m[2].outcome, CONTROL_OK);
	}
	fake_engine_recover(r.fake);
	CHECK_INT(rig_do(&r, &other), CONTROL_OK);
	{
		AUTO(san_state) s = control_state_get(r.c);

		CHECK_INT(san_count(s, SAN_NODES), 2);
		CHECK_INT(fake_engine_check(r.fake, s, &e), 0);
	}
	rig_free(&r);
}

TEST(no_answer_in_time_is_told_and_leaves_nothing)
{
	struct op node = {.rule = op_create_node, .text = "a node"};
	struct rig r = {0};
	struct err e = {0};

	rig_new(&r);
	for (int i = 0; i < 2; i++) { /* the target has done it, and has not */
		rig_settle(&r);
		fake_engine_fail(r.fake, 1, ENGINE_TIMEOUT);
		CHECK_INT(rig_do(&r, &node), CONTROL_TIMEOUT);
		CHECK_STR(node.err.text, "the fake target did not answer");
	}
	rig_settle(&r);
	CHECK_INT(rig_do(&r, &node), CONTROL_OK);
	{
		AUTO(san_state) s = control_state_get(r.c);

		CHECK_INT(san_count(s, SAN_NODES), 1);
		CHECK_INT(s->engine->health, SAN_ENGINE_UP);
		CHECK_INT(fake_engine_check(r.fake, s, &e), 0);
	}
	rig_free(&r);
}

TEST(a_node_with_a_session_is_not_deleted)
{
	struct op node = {.rule = op_create_node, .text = "n"};
	struct op port = {.rule = op_create_port, .n_portals = 1};
	struct op del = {.rule = op_delete_node};
	struct rig r = {0};
	uint64_t session;
	char iqn[SAN_IQN_MAX + 1];

	rig_new(&r);
	CHECK_INT(rig_do(&r, &node), CONTROL_OK);
	del.a = port.a = ref_to(node.id);
	{
		AUTO(san_state) s = control_state_get(r.c);

		port.portals[0] = ref_to(san_portal_by_text(s, "10.0.0.1:3260")->obj.id);
		(void)snprintf(iqn, sizeof(iqn), "%s", san_node(s, node.id)->iqn->s);
	}
	CHECK_INT(rig_do(&r, &port), CONTROL_OK);
	session = fake_engine_login(r.fake, iqn, 1, "iqn.2026-11.test:i");
	CHECK_INT(rig_do(&r, &del), CONTROL_REFUSED);
	CHECK_INT(del.w.code, 4097);
	/* It has gone, and we have not heard of it yet: only asking helps. */
	fake_engine_logout_quietly(r.fake, session);
	CHECK_INT(rig_do(&r, &del), CONTROL_REFUSED);
	fake_engine_fail(r.fake, 1, ENGINE_REFUSED);
	del.w.refresh = true;
	CHECK_INT(rig_do(&r, &del), CONTROL_FAILED);
	/* One that slips in between the rule and the removal is found by the target itself. */
	fake_engine_fail(r.fake, 1, ENGINE_BUSY);
	CHECK_INT(rig_do(&r, &del), CONTROL_BUSY);
	CHECK_INT(rig_do(&r, &del), CONTROL_OK);
	rig_free(&r);
}

/* ---- volumes ---- */

static int64_t file_size(const struct rig *r, const char *naa, const char *suffix)
{
	char path[160];
	struct stat sb;

	(void)snprintf(path, sizeof(path), "%s/units/%s%s", r->dir, naa, suffix);
	return stat(path, &sb) == 0 ? (int64_t)sb.st_size : -1;
}

TEST(a_volume_has_its_file_as_long_as_it_lives)
{
	struct op make = {.rule = op_volume, .text = "v", .number = 3 << 20};
	struct op grow = {.rule = op_volume, .number = 5 << 20};
	struct op back = {.rule = op_return_volume};
	struct rig r = {0};
	struct err e = {0};
	char naa[17];

	rig_new(&r);
	CHECK_INT(rig_do(&r, &make), CONTROL_OK);
	grow.a = back.a = ref_to(make.id);
	{
		AUTO(san_state) s = control_state_get(r.c);

		memcpy(naa, san_unit(s, make.id)->naa, sizeof(naa));
		CHECK(san_concrete_pool(s)->total > 0);
	}
	CHECK_INT(file_size(&r, naa, ".img"), 3 << 20);
	fake_engine_fail(r.fake, 1, ENGINE_REFUSED);
	CHECK_INT(rig_do(&r, &grow), CONTROL_FAILED);
	CHECK_INT(rig_do(&r, &grow), CONTROL_OK);
	CHECK_INT(file_size(&r, naa, ".img"), 5 << 20);
	fake_engine_fail(r.fake, 1, ENGINE_REFUSED);
	CHECK_INT(rig_do(&r, &back), CONTROL_FAILED);
	CHECK_INT(file_size(&r, naa, ".img"), 5 << 20);
	CHECK_INT(file_size(&r, naa, ".gone"), -1);
	rig_stop(&r);
	CHECK(rig_start(&r, &e));
	CHECK_INT(file_size(&r, naa, ".img"), 5 << 20);
	CHECK_INT(rig_do(&r, &back), CONTROL_OK);
	CHECK_INT(file_size(&r, naa, ".img"), -1);
	CHECK_INT(file_size(&r, naa, ".gone"), -1);
	rig_free(&r);
}

TEST(files_that_a_crash_left_over_are_cleared_but_never_data)
{
	static const struct {
		const char *name;
		bool data, stays;
	} rows[] = {
		{"3000000000000001.img",  false, false}, /* made, never committed */
		{"3000000000000002.gone", true,  false}, /* its removal was committed */
		{"3000000000000003.img",  true,  true }, /* somebody's data */
		{"3000000000000004.pr",   true,  false},
                {"notes.txt",             true,  true },
	};
	struct rig r = {0};
	struct err e = {0};
	char path[160];

	rig_new(&r);
	rig_stop(&r);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		FILE *f;

		(void)snprintf(path, sizeof(path), "%s/units/%s", r.dir, rows[i].name);
		f = fopen(path, "w");
		if (rows[i].data)
			(void)fputs("precious", f);
		(void)fclose(f);
	}
	CHECK(rig_start(&r, &e));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		(void)snprintf(path, sizeof(path), "%s/units/%s", r.dir, rows[i].name);
		if ((access(path, F_OK) == 0) != rows[i].stays)
			printf("# %s\n", rows[i].name);
		CHECK_INT(access(path, F_OK) == 0, rows[i].stays);
	}
	rig_free(&r);
}

/* ---- readers ---- */

struct reader {
	struct control *c;
	atomic_bool *stop;
	pthread_t thread;
	unsigned states, broken;
};

static void *read_states(void *arg)
{
	struct reader *x = arg;
	uint64_t last = 0;

	while (!atomic_load(x->stop)) {
		AUTO(san_state) s = control_state_get(x->c);
		struct err e;

		x->broken += san_invariants(s, &e) < 0 || s->generation < last;
		last = s->generation;
		x->states++;
	}
	return NULL;
}

TEST(readers_see_only_whole_states_while_writers_write)
{
	enum { READERS = 3, OPS = 300 };
	struct reader readers[READERS] = {0};
	atomic_bool stop = false;
	struct rig r = {0};

	rig_new(&r);
	for (size_t i = 0; i < READERS; i++) {
		readers[i].c = r.c;
		readers[i].stop = &stop;
		CHECK_INT(pthread_create(&readers[i].thread, NULL, read_states, &readers[i]), 0);
	}
	for (unsigned i = 0; i < OPS; i++) {
		char alias[16];
		struct op node = {.rule = op_create_node, .text = alias};
		struct op port = {.rule = op_create_port, .n_portals = 1};
		struct op del = {.rule = op_delete_node};

		(void)snprintf(alias, sizeof(alias), "n%u", i);
		CHECK_INT(rig_do(&r, &node), CONTROL_OK);
		{
			AUTO(san_state) s = control_state_get(r.c);

			port.portals[0] = ref_to(san_portal_by_text(s, "10.0.0.1:3260")->obj.id);
		}
		del.a = port.a = ref_to(node.id);
		CHECK_INT(rig_do(&r, &port), CONTROL_OK);
		if (i % 3)
			CHECK_INT(rig_do(&r, &del), CONTROL_OK);
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < READERS; i++) {
		(void)pthread_join(readers[i].thread, NULL);
		CHECK(readers[i].states > 0);
		CHECK_INT(readers[i].broken, 0);
	}
	rig_free(&r);
}

/* ---- starts ---- */

static void restart(struct rig *r)
{
	struct err e = {0};

	rig_stop(r);
	if (!rig_start(r, &e)) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	rig_settle(r);
}

TEST(the_portal_option_makes_exactly_its_portals_and_takes_none_that_is_in_use)
{
	struct op node = {.rule = op_create_node, .text = "n"};
	struct op port = {.rule = op_create_port, .n_portals = 1};
	struct op by_hand = {.rule = op_create_portal, .text = "127.0.0.9:7000"};
	struct rig r = {
		.portals = {{"127.0.0.1", 5000}, {"127.0.0.2", 5000}},
                  .n_portals = 2
        };

	rig_new(&r);
	{
		AUTO(san_state) s = control_state_get(r.c);

		CHECK_INT(san_count(s, SAN_PORTALS), 2);
		CHECK(san_portal_by_text(s, "127.0.0.2:5000")->has_ip);
		CHECK_STR(san_ip(s, "127.0.0.2")->nic->s, "lo");
		port.portals[0] = ref_to(san_portal_by_text(s, "127.0.0.1:5000")->obj.id);
	}
	CHECK_INT(rig_do(&r, &node), CONTROL_OK);
	port.a = ref_to(node.id);
	CHECK_INT(rig_do(&r, &port), CONTROL_OK);
	CHECK_INT(rig_do(&r, &by_hand), CONTROL_OK);
	/* Without the option: the one that is bound and the one made by hand stay, and serve. */
	r.n_portals = 0;
	restart(&r);
	{
		AUTO(san_state) s = control_state_get(r.c);

		CHECK_INT(san_portal_by_text(s, "127.0.0.1:5000")->status, SAN_OK);
		CHECK_INT(san_portal_by_text(s, "127.0.0.9:7000")->status, SAN_OK);
		CHECK(!san_portal_by_text(s, "127.0.0.2:5000"));
		CHECK(san_portal_by_text(s, "10.0.0.1:3260") != NULL); /* the default ones come */
	}
	rig_free(&r);
}

TEST(a_bad_start_is_said_and_leaves_nothing_behind)
{
	static const struct {
		const char *authority;
		struct control_portal_option portal;
		const char *words;
	} rows[] = {
		{"foo",                  {"10.0.0.1", 1},  "naming authority 'foo'"                },
		{"eui.02004567A425678D", {"10.0.0.1", 1},  "begin with iqn."                       },
		{NULL,                   {"localhost", 1}, "--portal: 'localhost' is no IP address"},
	};
	struct rig r = {0};

	rig_make_dir(&r);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err e = {0};

		r.authority = rows[i].authority;
		r.portals[0] = rows[i].portal;
		r.n_portals = 1;
		CHECK(!rig_start(&r, &e));
		if (!strstr(e.text, rows[i].words)) {
			printf("# %s\n", e.text);
			test_failures++;
		}
		store_close(take(r.store));
		fake_engine_engine(r.fake)->ops->free(fake_engine_engine(r.fake));
	}
	rig_remove_dir(r.dir);
}

TEST(the_time_of_the_last_change_survives_a_restart_in_which_nothing_changed)
{
	struct op node = {.rule = op_create_node, .text = "n"};
	struct op port = {.rule = op_create_port, .n_portals = 1};
	int64_t port_us, portal_us;
	struct rig r = {0};

	rig_new(&r);
	CHECK_INT(rig_do(&r, &node), CONTROL_OK);
	port.a = ref_to(node.id);
	{
		AUTO(san_state) s = control_state_get(r.c);

		port.portals[0] = ref_to(san_portal_by_text(s, "10.0.0.1:3260")->obj.id);
	}
	CHECK_INT(rig_do(&r, &port), CONTROL_OK);
	{
		AUTO(san_state) s = control_state_get(r.c);

		port_us = san_port(s, port.id)->enabled.changed_us;
		portal_us = san_portal_by_text(s, "10.0.0.1:3260")->enabled.changed_us;
	}
	restart(&r);
	{
		AUTO(san_state) s = control_state_get(r.c);

		CHECK_INT(san_port(s, port.id)->status, SAN_OK);
		CHECK_INT(san_port(s, port.id)->enabled.changed_us, port_us);
		CHECK_INT(san_portal_by_text(s, "10.0.0.1:3260")->enabled.changed_us, portal_us);
	}
	fake_engine_portal(r.fake, "10.0.0.1", 3260, SAN_LISTEN_IN_USE, "taken");
	rig_settle(&r);
	{
		AUTO(san_state) s = control_state_get(r.c);

		CHECK(san_port(s, port.id)->enabled.changed_us > port_us);
		CHECK(san_portal_by_text(s, "10.0.0.1:3260")->enabled.changed_us > portal_us);
	}
	rig_free(&r);
}
