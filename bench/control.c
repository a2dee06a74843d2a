/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.c - how fast changes become durable, and what reading the state costs
 *
 *	bench_control DIR    (DIR: on the disk that is to be measured)
 *
 * Compared with what SQLite itself reaches there: one row per transaction, WAL, FULL.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/control.h"
#include "engine/fake/fake.h"

enum { SECONDS = 3, WRITERS = 8, MANY = 20000 };

static double seconds_since(uint64_t t)
{
	return (double)(clock_mono_ns() - t) / 1e9;
}

static double sqlite_rate(const char *dir)
{
	auto_free char *path = xasprintf("%s/floor.db", dir);
	sqlite3 *db = NULL;
	sqlite3_stmt *q = NULL;
	unsigned n = 0;
	uint64_t t;
	double r;

	if (sqlite3_open(path, &db) != SQLITE_OK ||
	    sqlite3_exec(db,
			 "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
			 "PRAGMA synchronous=FULL; CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT)",
			 NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(db, "INSERT INTO t(x) VALUES('some forty bytes of text, as a row has')",
			       -1, &q, NULL) != SQLITE_OK)
		return 0;
	t = clock_mono_ns();
	for (; seconds_since(t) < SECONDS; n++) {
		(void)sqlite3_step(q);
		(void)sqlite3_reset(q);
	}
	r = n / seconds_since(t);
	(void)sqlite3_finalize(q);
	(void)sqlite3_close(db);
	(void)unlink(path);
	return r;
}

struct create {
	struct control_write w;
	uint64_t node, portal, id;
	char alias[32];
};

static uint32_t run_node(struct control_write *w, const struct san_state *s,
			 const struct san_env *env, struct san_changes *ch, struct err *e)
{
	struct create *c = container_of(w, struct create, w);
	struct san_create_node_in in = {c->alias};
	struct san_created out = {0};
	uint32_t code = san_create_node(s, env, &in, ch, &out, e);

	c->node = out.id;
	return code;
}

static uint32_t run_port(struct control_write *w, const struct san_state *s,
			 const struct san_env *env, struct san_changes *ch, struct err *e)
{
	struct create *c = container_of(w, struct create, w);
	struct san_ref portal = {.kind = SAN_REF_FOUND, .id = c->portal};
	struct san_create_port_in in = {.node = {.kind = SAN_REF_FOUND, .id = c->node},
					.has_role = true,
					.role = 3,
					.portals = &portal,
					.n_portals = 1};
	struct san_created out = {0};
	uint32_t code = san_create_port(s, env, &in, ch, &out, e);

	c->id = out.id;
	return code;
}

static uint32_t run_delete(struct control_write *w, const struct san_state *s,
			   const struct san_env *env UNUSED, struct san_changes *ch, struct err *e)
{
	struct create *c = container_of(w, struct create, w);
	struct san_delete_port_in in = {{.kind = SAN_REF_FOUND, .id = c->id}};

	return san_delete_port(s, &in, ch, e);
}

static void must(struct control *c, struct control_write *w)
{
	struct err e = {0};

	w->here = true; /* as from a client who has a thread of smiscsid's to himself */
	if (control_write_wait(c, w, &e) != CONTROL_OK) {
		(void)fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
}

struct client {
	struct control *c;
	unsigned number, done;
	uint64_t portal;
	pthread_t thread;
};

/* A port is made and removed, over and over, on a node of the client's own. */
static void *client(void *arg)
{
	struct client *x = arg;
	struct create op = {.portal = x->portal};
	uint64_t t;

	(void)snprintf(op.alias, sizeof(op.alias), "client %u", x->number);
	op.w.run = run_node;
	must(x->c, &op.w);
	for (t = clock_mono_ns(); seconds_since(t) < SECONDS; x->done += 2) {
		op.w.run = run_port;
		must(x->c, &op.w);
		op.w.run = run_delete;
		must(x->c, &op.w);
	}
	return NULL;
}

static double clients_rate(struct control *c, unsigned n, unsigned first, uint64_t portal)
{
	struct client x[WRITERS] = {0};
	unsigned done = 0;

	for (unsigned i = 0; i < n; i++) {
		x[i] = (struct client){.c = c, .number = first + i, .portal = portal};
		if (pthread_create(&x[i].thread, NULL, client, &x[i]) != 0)
			exit(1);
	}
	for (unsigned i = 0; i < n; i++) {
		(void)pthread_join(x[i].thread, NULL);
		done += x[i].done;
	}
	return done / (double)SECONDS;
}

/* Nothing to wait for: the writer takes MANY nodes in as few batches as it can. */
static void many_done(struct control_write *w, enum control_outcome o,
		      const struct san_state *s UNUSED, const struct err *e UNUSED)
{
	free(container_of(w, struct create, w));
	if (o != CONTROL_OK)
		exit(1);
}

static void fill(struct control *c)
{
	uint64_t t = clock_mono_ns();
	struct create last = {.w.run = run_node, .alias = "the last"};

	for (unsigned i = 0; i < MANY; i++) {
		struct create *op = xcalloc(1, sizeof(*op));

		op->w.run = run_node;
		op->w.done = many_done;
		(void)snprintf(op->alias, sizeof(op->alias), "node %u", i);
		control_submit(c, &op->w);
	}
	must(c, &last.w);
	printf("%u nodes queued at once          %10.0f /s\n", MANY, MANY / seconds_since(t));
}

/* A port for every node, all on one portal: the worst case for a portal that changes. */
static void fill_ports(struct control *c, uint64_t portal)
{
	AUTO(san_state) s = control_state_get(c);
	uint64_t t = clock_mono_ns();
	struct create last = {.w.run = run_node, .alias = "the very last"};
	struct san_walk w;

	for (const struct san_node *n = san_first(&w, s, SAN_NODES); n; n = san_next(&w)) {
		struct create *op = xcalloc(1, sizeof(*op));
		struct san_walk pw;

		if (san_first_of(&pw, s, SAN_PORTS_OF_NODE, n->obj.id)) {
			free(op);
			continue;
		}
		op->w.run = run_port;
		op->w.done = many_done;
		op->node = n->obj.id;
		op->portal = portal;
		control_submit(c, &op->w);
	}
	must(c, &last.w);
	printf("ports for all of them             %10.0f /s\n", MANY / seconds_since(t));
}

static void portal_rate(struct control *c, struct fake_engine *fake)
{
	uint64_t t = clock_mono_ns();
	struct create op = {.w.run = run_node};

	fake_engine_portal(fake, "10.0.0.1", 3260, SAN_LISTEN_FAILED, "bench");
	(void)snprintf(op.alias, sizeof(op.alias), "after it");
	must(c, &op.w);
	printf("a portal of %u ports fails       %10.1f ms\n", MANY, seconds_since(t) * 1e3);
}

static void read_rates(struct control *c)
{
	uint64_t t = clock_mono_ns();
	unsigned n = 0;
	size_t seen = 0;

	for (; seconds_since(t) < 1; n++)
		san_state_unref(control_state_get(c));
	printf("taking the published state          %10.0f /s\n", n / seconds_since(t));
	{
		AUTO(san_state) s = control_state_get(c);
		struct san_walk w;

		t = clock_mono_ns();
		for (const struct san_node *x = san_first(&w, s, SAN_NODES_BY_IQN); x;
		     x = san_next(&w))
			seen += x->iqn->len;
		printf("walking %zu nodes                %10.1f ns each (%zu bytes of names)\n",
		       san_count(s, SAN_NODES),
		       seconds_since(t) * 1e9 / (double)san_count(s, SAN_NODES), seen);
	}
}

int main(int argc, char **argv)
{
	static const struct san_seen_nic nic = {.name = "eth0", .up = true, .running = true};
	static const struct san_seen_ip ip = {
		.address = "10.0.0.1", .nic = "eth0", .family = 4, .prefix_len = 24};
	const struct san_seen_network seen = {.nics = &nic, .n_nics = 1, .ips = &ip, .n_ips = 1};
	struct control_config cfg = {.settings = san_settings_new("iqn.2026-11.bench")};
	struct fake_engine *fake = fake_engine_new();
	struct control *c = NULL;
	struct store *st = NULL;
	struct err e = {0};
	uint64_t portal, t;
	double floor, one;

	if (argc != 2) {
		(void)fprintf(stderr, "usage: bench_control DIR\n");
		return 2;
	}
	cfg.state_dir = argv[1];
	(void)mkdir(argv[1], 0700);
	if (store_open(argv[1], &st, &e) < 0 ||
	    control_new(&cfg, st, fake_engine_engine(fake), &c, &e) < 0)
		goto failed;
	control_network_set(c, &seen);
	if (control_wait_ready(c, 10000, &e) < 0)
		goto failed;
	{
		AUTO(san_state) s = control_state_get(c);

		portal = san_portal_by_text(s, "10.0.0.1:3260")->obj.id;
	}
	floor = sqlite_rate(argv[1]);
	printf("SQLite, one row, WAL, FULL           %10.0f /s\n", floor);
	one = clients_rate(c, 1, 0, portal);
	printf("port made or removed, durable        %10.0f /s = %.2f of it\n", one, one / floor);
	one = clients_rate(c, WRITERS, 1, portal);
	printf("the same, %u clients                  %10.0f /s = %.2f of it\n", WRITERS, one,
	       one / floor);
	fill(c);
	one = clients_rate(c, 1, 100, portal);
	printf("port, with %u nodes there        %10.0f /s = %.2f of it\n", MANY, one, one / floor);
	fill_ports(c, portal);
	portal_rate(c, fake);
	read_rates(c);
	control_free(c, false);
	store_close(st);
	t = clock_mono_ns();
	cfg.settings = san_settings_new("iqn.2026-11.bench");
	if (store_open(argv[1], &st, &e) < 0 ||
	    control_new(&cfg, st, fake_engine_engine(fake), &c, &e) < 0)
		goto failed;
	control_network_set(c, &seen);
	if (control_wait_ready(c, 60000, &e) < 0)
		goto failed;
	printf("start with all of that              %10.1f ms\n", seconds_since(t) * 1e3);
	control_free(c, false);
	store_close(st);
	fake_engine_engine(fake)->ops->free(fake_engine_engine(fake));
	return 0;
failed:
	(void)fprintf(stderr, "%s\n", e.text);
	return 1;
}
