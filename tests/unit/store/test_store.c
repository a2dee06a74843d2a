/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "dying_vfs.h"
#include "san/object.h"
#include "store/store.h"
#include "test.h"

static const uint8_t bits[16] = {0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

struct place {
	char dir[64], db[96];
};

static void place_new(struct place *p)
{
	/* Real syncs are slow, and a process that dies does not need them. */
	(void)snprintf(p->dir, sizeof(p->dir), "%s/san-store.XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	CHECK(mkdtemp(p->dir) != NULL);
	(void)snprintf(p->db, sizeof(p->db), "%s/smiscsi.db", p->dir);
}

static int unlink_one(const char *path, const struct stat *sb UNUSED, int type UNUSED,
		      struct FTW *f UNUSED)
{
	return remove(path);
}

static void place_free(struct place *p)
{
	(void)nftw(p->dir, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int load(struct store *st, struct san_state **ret, struct err *e)
{
	return store_load(st, san_settings_new("iqn.2026-11.test"), "host", bits, ret, e);
}

/* Change what a shut database says, behind the store's back. */
static void tamper(const struct place *p, const char *sql)
{
	sqlite3 *db = NULL;

	CHECK_INT(sqlite3_open(p->db, &db), SQLITE_OK);
	CHECK_INT(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
}

static size_t read_file(const char *path, char *to, size_t size)
{
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(to, 1, size, f) : 0;

	if (f)
		(void)fclose(f);
	return n;
}

static void write_file(const char *path, const char *p, size_t n)
{
	FILE *f = fopen(path, "w");

	CHECK(f && fwrite(p, 1, n, f) == n);
	if (f)
		(void)fclose(f);
}

/* Some objects: a node with a port on a portal, a volume attached. */
static void fill(struct san_changes *ch, uint64_t id)
{
	char iqn[64], naa[17], address[32];
	struct san_node *n;
	struct san_port *p;
	struct san_portal *at;
	struct san_pool *pool = san_pool_new(3, "default", SAN_POOL_FILES, "");
	struct san_unit *u;

	(void)snprintf(iqn, sizeof(iqn), "iqn.2026-11.test:%u", (unsigned)id);
	(void)snprintf(naa, sizeof(naa), "3%015llX", (unsigned long long)id);
	(void)snprintf(address, sizeof(address), "10.0.%u.%u", (unsigned)(id >> 8 & 255),
		       (unsigned)(id & 255));
	n = san_node_new(id, iqn, iqn, 5);
	p = san_port_new(id + 1, n, 0xabcd, 5);
	at = san_portal_new(id + 2, address, 4, 3260, 1, SAN_PORTAL_HAND, 5);
	at->enabled.on = false;
	u = san_unit_new(id + 4, pool, naa, "v\xc3\xa4", 1 << 20, 5);
	san_changes_add(ch, SAN_NODE, NULL, n);
	san_changes_add(ch, SAN_PORT, NULL, p);
	san_changes_add(ch, SAN_PORTAL, NULL, at);
	san_changes_add(ch, SAN_BINDING, NULL, san_binding_new(id + 3, p, at));
	san_changes_add(ch, SAN_UNIT, NULL, u);
	san_changes_add(ch, SAN_LUN, NULL, san_lun_new(id + 5, n, u, 254));
	san_unref(pool);
}

TEST(what_was_committed_is_there_after_opening_again)
{
	AUTO(san_state) a = NULL;
	AUTO(san_state) b = NULL;
	struct san_changes auto_changes ch = {0};
	const struct san_changes *list = &ch;
	struct store *st = NULL;
	struct err e = {0};
	struct place p;
	char uuid[40];

	place_new(&p);
	CHECK_INT(store_open(p.dir, &st, &e), 0);
	CHECK_INT(load(st, &a, &e), 0);
	(void)snprintf(uuid, sizeof(uuid), "%s", a->host->uuid->s);
	CHECK_STR(uuid, "deadbeef-0102-4304-8506-0708090a0b0c");
	CHECK_INT(san_default_group(a)->obj.id, 1);
	CHECK_INT(a->next_id, 4);
	fill(&ch, 10);
	CHECK_INT(store_commit(st, &list, 1, 7, 16, &e), 0);
	store_close(st);
	CHECK_INT(store_open(p.dir, &st, &e), 0);
	CHECK_INT(load(st, &b, &e), 0);
	CHECK_STR(b->host->uuid->s, uuid);
	CHECK_INT(b->config_generation, 7);
	CHECK_INT(b->next_id, 16);
	CHECK(san_obj_same(&san_node(b, 10)->obj, ch.v[0].now));
	CHECK(san_obj_same(&san_port(b, 11)->obj, ch.v[1].now));
	CHECK(san_obj_same(&san_portal(b, 12)->obj, ch.v[2].now));
	CHECK(san_binding(b, 11, 12) && san_obj_same(&san_binding(b, 11, 12)->obj, ch.v[3].now));
	CHECK(san_obj_same(&san_unit(b, 14)->obj, ch.v[4].now));
	CHECK_STR(san_lun_of(b, 10, 14)->number, "FE");
	CHECK_INT(san_node(b, 10)->enabled.changed_us, 5);
	store_close(st);
	place_free(&p);
}

TEST(a_database_of_the_version_before_is_taken_over)
{
	AUTO(san_state) a = NULL;
	AUTO(san_state) b = NULL;
	struct san_changes auto_changes ch = {0};
	struct san_changes auto_changes devices = {0};
	const struct san_changes *list = &ch;
	struct store *st = NULL;
	struct err e = {0};
	struct place p;

	place_new(&p);
	CHECK_INT(store_open(p.dir, &st, &e), 0);
	CHECK_INT(load(st, &a, &e), 0);
	fill(&ch, 10);
	CHECK_INT(store_commit(st, &list, 1, 7, 16, &e), 0);
	store_close(st);
	tamper(&p, "ALTER TABLE pools DROP COLUMN kind; ALTER TABLE pools DROP COLUMN device;"
		   "ALTER TABLE units DROP COLUMN identity; PRAGMA user_version=1");
	CHECK_INT(store_open(p.dir, &st, &e), 0);
	CHECK_STR(e.text, "");
	CHECK_INT(load(st, &b, &e), 0);
	CHECK(san_obj_same(&san_unit(b, 14)->obj, ch.v[4].now));
	CHECK_INT(san_concrete_pool(b)->obj.id, 3);
	/* What only the new version has is kept, too. */
	san_devices_seen(b,
			 &(struct san_seen_device){.path = "/dev/x",
						   .identity = "me",
						   .why = "",
						   .size = 1 << 20,
						   .offered = true},
			 1, &devices);
	CHECK_INT(devices.n, 2);
	list = &devices;
	CHECK_INT(store_commit(st, &list, 1, 8, 18, &e), 0);
	store_close(st);
	san_state_unref(take(b));
	CHECK_INT(store_open(p.dir, &st, &e), 0);
	CHECK_INT(load(st, &b, &e), 0);
	CHECK(san_pool_of_device(b, "/dev/x") != NULL);
	CHECK_INT(san_pool_of_device(b, "/dev/x")->kind, SAN_POOL_DEVICES);
	store_close(st);
	place_free(&p);
}

TEST(two_servers_do_not_share_a_state)
{
	struct store *st = NULL, *other = NULL;
	struct err e = {0};
	struct place p;
	char want[32];

	place_new(&p);
	CHECK_INT(store_open(p.dir, &st, &e), 0);
	CHECK_INT(store_open(p.dir, &other, &e), -EBUSY);
	(void)snprintf(want, sizeof(want), "(process %d)", (int)getpid());
	CHECK(strstr(e.text, want) != NULL);
	store_close(st);
	CHECK_INT(store_open(p.dir, &other, &e), 0);
	store_close(other);
	place_free(&p);
}

TEST(what_is_wrong_is_said_and_left_alone)
{
	enum { BYTES = 1 << 20 };
	static char good[BYTES], bad[BYTES], after[BYTES];
	static const struct {
		const char *what, *sql, *words;
		size_t keep;       /* first bytes that stay (0: all) */
		size_t zero_at, n; /* bytes overwritten */
		int code;
	} rows[] = {
		{"newer",                   "PRAGMA user_version=99",                                 "version 99",                0,    0,    0,    -EPROTO },
		{"another program's",       "PRAGMA application_id=5",                                "not a database of smiscsi", 0,    0,
		 0,																  -EUCLEAN},
		{"a port without its node", "DELETE FROM nodes",                                      "makes no sense",            0,    0,    0,
		 -EUCLEAN																    },
		{"an IQN that is none",     "UPDATE nodes SET iqn='foo'",                             "makes no sense",            0,    0,    0,
		 -EUCLEAN																    },
		{"two groups 'default'",    "INSERT INTO groups VALUES(99,'d',1)",
		 "contradicts itself",											     0,    0,    0,    -EUCLEAN},
		{"two ports with one tag",  "INSERT INTO ports SELECT 98,node,tpgt,1,2,0 FROM ports",
		 "contradicts itself",											     0,    0,    0,    -EUCLEAN},
		{"no table",                "DROP TABLE luns",                                        "no such table",             0,    0,    0,    -EIO    },
		{"empty",                   NULL,						     "empty",                     1,    0,    0,    -EUCLEAN},
		{"cut off",                 NULL,						     "damaged",                   9000, 0,    0,    -EUCLEAN},
		{"cut off in its head",     NULL,						     "not a database",            60,   0,    0,    -EUCLEAN},
		{"no database",             NULL,						     "damaged",                   0,    0,    100,  -EUCLEAN},
		{"damaged inside",          NULL,						     "damaged",                   0,    4096, 4096, -EUCLEAN},
	};
	struct san_changes auto_changes ch = {0};
	const struct san_changes *list = &ch;
	struct store *st = NULL;
	struct err e = {0};
	struct place p;
	size_t size;

	place_new(&p);
	CHECK_INT(store_open(p.dir, &st, &e), 0);
	{
		AUTO(san_state) s = NULL;

		CHECK_INT(load(st, &s, &e), 0);
	}
	fill(&ch, 10);
	CHECK_INT(store_commit(st, &list, 1, 7, 16, &e), 0);
	store_close(st);
	size = read_file(p.db, good, BYTES);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(san_state) s = NULL;
		size_t n = rows[i].keep == 1 ? 0 : rows[i].keep ? rows[i].keep : size;
		bool opened;
		int r;

		memcpy(bad, good, size);
		memset(bad + rows[i].zero_at, 0x5a, rows[i].n);
		write_file(p.db, bad, n);
		if (rows[i].sql)
			tamper(&p, rows[i].sql);
		n = read_file(p.db, bad, BYTES);
		st = NULL;
		r = store_open(p.dir, &st, &e);
		opened = r == 0;
		if (opened)
			r = load(st, &s, &e);
		store_close(st);
		if (r != rows[i].code || !strstr(e.text, rows[i].words)) {
			printf("# %s: %d, %s\n", rows[i].what, r, e.text);
			test_failures++;
		}
		/* What is seen at opening is seen before anything is written. */
		if (!opened && (read_file(p.db, after, BYTES) != n || memcmp(bad, after, n) != 0)) {
			printf("# %s: touched\n", rows[i].what);
			test_failures++;
		}
		e.text[0] = '\0';
	}
	place_free(&p);
}

TEST(a_directory_that_cannot_be_used_is_said_so)
{
	struct store *st = NULL;
	struct err e = {0};

	CHECK_INT(store_open("/nowhere/at/all", &st, &e), -ENOENT);
	CHECK(strstr(e.text, "/nowhere/at/all") != NULL);
	CHECK_INT(store_open("/proc/self", &st, &e) < 0, true);
	CHECK(strstr(e.text, "can't be written") != NULL);
}

/* A file-size limit stands in for a full disk: SQLite can't write any further either way. */
TEST(a_commit_that_does_not_fit_changes_nothing_and_the_next_one_works)
{
	struct rlimit was, tight;
	AUTO(san_state) s = NULL;
	AUTO(san_state) again = NULL;
	struct san_changes auto_changes big = {0};
	struct san_changes auto_changes small = {0};
	const struct san_changes *list = &big;
	struct store *st = NULL;
	struct err e = {0};
	struct place p;
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);

	place_new(&p);
	CHECK_INT(store_open(p.dir, &st, &e), 0);
	CHECK_INT(load(st, &s, &e), 0);
	for (uint64_t id = 10; id < 60000; id += 6)
		fill(&big, id);
	fill(&small, 10);
	CHECK_INT(getrlimit(RLIMIT_FSIZE, &was), 0);
	tight = was;
	tight.rlim_cur = 300000;
	CHECK_INT(setrlimit(RLIMIT_FSIZE, &tight), 0);
	CHECK(store_commit(st, &list, 1, 1, 70000, &e) < 0);
	CHECK_INT(setrlimit(RLIMIT_FSIZE, &was), 0);
	CHECK(*e.text);
	list = &small;
	CHECK_INT(store_commit(st, &list, 1, 2, 16, &e), 0);
	store_close(st);
	CHECK_INT(store_open(p.dir, &st, &e), 0);
	CHECK_INT(load(st, &again, &e), 0);
	CHECK_INT(san_count(again, SAN_NODES), 1);
	CHECK_INT(again->config_generation, 2);
	store_close(st);
	place_free(&p);
	(void)signal(SIGXFSZ, handler);
}

enum { COMMITS = 6 };

/* Open, and commit node after node; one byte to ack for each that is durable. */
static void commit_all(const struct place *p, int ack)
{
	AUTO(san_state) s = NULL;
	struct store *st = NULL;
	struct err e;

	if (store_open(p->dir, &st, &e) < 0 || load(st, &s, &e) < 0) {
		printf("# %s\n", e.text);
		(void)fflush(stdout);
		_exit(1);
	}
	for (uint64_t i = 0; i < COMMITS; i++) {
		struct san_changes ch = {0};
		const struct san_changes *list = &ch;

		fill(&ch, 10 + 10 * i);
		if (store_commit(st, &list, 1, i + 1, 20 + 10 * i, &e) < 0)
			_exit(1);
		if (write(ack, "+", 1) != 1)
			_exit(1);
		san_changes_done(&ch);
	}
	store_close(st);
	_exit(0);
}

TEST(killed_at_any_write_everything_acknowledged_is_there_and_the_rest_wholly_or_not)
{
	unsigned deaths = 0;

	for (unsigned nth = 1; test_failures == 0; nth++) {
		AUTO(san_state) s = NULL;
		struct store *st = NULL;
		struct err e = {0};
		struct place p;
		int ack[2], status;
		size_t acked = 0, kept;
		char c;
		pid_t pid;

		place_new(&p);
		CHECK_INT(pipe(ack), 0);
		(void)fflush(stdout);
		pid = fork();
		if (pid == 0) {
			dying_install(nth);
			commit_all(&p, ack[1]);
		}
		(void)close(ack[1]);
		while (read(ack[0], &c, 1) == 1)
			acked++;
		(void)close(ack[0]);
		CHECK_INT(waitpid(pid, &status, 0), pid);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) != 1);
		CHECK_INT(store_open(p.dir, &st, &e), 0);
		CHECK_INT(load(st, &s, &e), 0);
		CHECK_STR(e.text, "");
		if (s) {
			kept = san_count(s, SAN_NODES);
			CHECK(kept == acked || kept == acked + 1);
			CHECK_INT(san_count(s, SAN_LUNS_OF_NODE), kept);
			CHECK_INT(san_count(s, SAN_BINDINGS_OF_PORT), kept);
			CHECK_INT(s->config_generation, kept);
		}
		store_close(st);
		place_free(&p);
		if (WEXITSTATUS(status) == 0)
			break;
		deaths++;
	}
	printf("# killed at %u writes\n", deaths);
	CHECK(deaths > 3 * COMMITS);
}
