/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "san/object.h"
#include "store/store.h"

enum {
	VERSION = 2,              /* of the schema: PRAGMA user_version */
	APPLICATION = 0x736d6973, /* "smis": PRAGMA application_id */
};

static const char schema[] =
	"CREATE TABLE meta(one INTEGER PRIMARY KEY CHECK(one = 1), host TEXT NOT NULL,"
	" generation INTEGER NOT NULL, next_id INTEGER NOT NULL) STRICT;"
	"CREATE TABLE pools(id INTEGER PRIMARY KEY, name TEXT NOT NULL, primordial INTEGER NOT "
	"NULL,"
	" kind INTEGER NOT NULL DEFAULT 0, device TEXT NOT NULL DEFAULT '') STRICT;"
	"CREATE TABLE groups(id INTEGER PRIMARY KEY, name TEXT NOT NULL, is_default INTEGER NOT "
	"NULL)"
	" STRICT;"
	"CREATE TABLE units(id INTEGER PRIMARY KEY, pool INTEGER NOT NULL, naa TEXT NOT NULL,"
	" name TEXT NOT NULL, size INTEGER NOT NULL, created_us INTEGER NOT NULL,"
	" changed_us INTEGER NOT NULL, identity TEXT NOT NULL DEFAULT '') STRICT;"
	"CREATE TABLE nodes(id INTEGER PRIMARY KEY, iqn TEXT NOT NULL, alias TEXT NOT NULL,"
	" enabled INTEGER NOT NULL, requested INTEGER NOT NULL, created_us INTEGER NOT NULL,"
	" changed_us INTEGER NOT NULL) STRICT;"
	"CREATE TABLE ports(id INTEGER PRIMARY KEY, node INTEGER NOT NULL, tpgt INTEGER NOT NULL,"
	" enabled INTEGER NOT NULL, requested INTEGER NOT NULL, changed_us INTEGER NOT NULL) "
	"STRICT;"
	"CREATE TABLE portals(id INTEGER PRIMARY KEY, address TEXT NOT NULL,"
	" tcp_port INTEGER NOT NULL, portal_group INTEGER NOT NULL, by_hand INTEGER NOT NULL,"
	" enabled INTEGER NOT NULL, requested INTEGER NOT NULL, changed_us INTEGER NOT NULL) "
	"STRICT;"
	"CREATE TABLE bindings(id INTEGER PRIMARY KEY, port INTEGER NOT NULL,"
	" portal INTEGER NOT NULL) STRICT;"
	"CREATE TABLE luns(id INTEGER PRIMARY KEY, node INTEGER NOT NULL, unit INTEGER NOT NULL,"
	" lun INTEGER NOT NULL) STRICT;";

/* From each version to the next. */
static const char *const upgrades[VERSION] = {
	[1] = "ALTER TABLE pools ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;"
	      "ALTER TABLE pools ADD COLUMN device TEXT NOT NULL DEFAULT '';"
	      "ALTER TABLE units ADD COLUMN identity TEXT NOT NULL DEFAULT '';",
};

struct store {
	sqlite3 *db;
	int lock, dir;
	sqlite3_stmt *begin, *commit, *meta;
	sqlite3_stmt *put[SAN_KINDS], *del[SAN_KINDS];
};

/* ---- one row per kind: how an object is written, how it is read back ---- */

static void put_int(sqlite3_stmt *q, int *i, uint64_t v)
{
	(void)sqlite3_bind_int64(q, (*i)++, (sqlite3_int64)v);
}

static void put_text(sqlite3_stmt *q, int *i, const char *s)
{
	/* Lives in an object that the change list holds until the statement is done. */
	(void)sqlite3_bind_text(q, (*i)++, s, -1, SQLITE_STATIC);
}

static void put_switch(sqlite3_stmt *q, int *i, const struct san_enabled *sw)
{
	put_int(q, i, sw->on);
	put_int(q, i, sw->requested);
}

static uint64_t get_int(sqlite3_stmt *q, int *i)
{
	return (uint64_t)sqlite3_column_int64(q, (*i)++);
}

static const char *get_text(sqlite3_stmt *q, int *i)
{
	const char *s = (const char *)sqlite3_column_text(q, (*i)++);

	return s ? s : "";
}

static struct san_enabled get_switch(sqlite3_stmt *q, int *i)
{
	struct san_enabled sw = {0};

	sw.on = get_int(q, i) != 0;
	sw.requested = (uint16_t)get_int(q, i);
	return sw;
}

static void put_pool(sqlite3_stmt *q, int i, const void *o)
{
	const struct san_pool *p = o;

	put_text(q, &i, p->name->s);
	put_int(q, &i, p->primordial);
	put_int(q, &i, p->kind);
	put_text(q, &i, p->device->s);
}
static void *get_pool(sqlite3_stmt *q, int i, uint64_t id, const struct san_state *s UNUSED)
{
	const char *name = get_text(q, &i);
	bool primordial = get_int(q, &i) != 0;
	uint64_t kind = get_int(q, &i);
	const char *device = get_text(q, &i);

	if (kind > SAN_POOL_DEVICES || (primordial && *device) ||
	    (!primordial && kind == SAN_POOL_DEVICES && *device != '/'))
		return NULL;
	return san_pool_new(id, name, (enum san_pool_kind)kind, primordial ? NULL : device);
}

static void put_group(sqlite3_stmt *q, int i, const void *o)
{
	const struct san_group *g = o;

	put_text(q, &i, g->name->s);
	put_int(q, &i, g->is_default);
}
static void *get_group(sqlite3_stmt *q, int i, uint64_t id, const struct san_state *s UNUSED)
{
	const char *name = get_text(q, &i);

	return san_group_new(id, name, get_int(q, &i) != 0);
}

static void put_unit(sqlite3_stmt *q, int i, const void *o)
{
	const struct san_unit *u = o;

	put_int(q, &i, u->pool);
	put_text(q, &i, u->naa);
	put_text(q, &i, u->name->s);
	put_int(q, &i, u->size);
	put_int(q, &i, (uint64_t)u->created_us);
	put_int(q, &i, (uint64_t)u->changed_us);
	put_text(q, &i, u->identity->s);
}
static void *get_unit(sqlite3_stmt *q, int i, uint64_t id, const struct san_state *s)
{
	const struct san_pool *pool = san_pool(s, get_int(q, &i));
	const char *naa = get_text(q, &i), *name = get_text(q, &i);
	struct san_unit *u;

	if (!pool || strlen(naa) != 16)
		return NULL;
	u = san_unit_new(id, pool, naa, name, get_int(q, &i), 0);
	u->created_us = (int64_t)get_int(q, &i);
	u->changed_us = (int64_t)get_int(q, &i);
	san_str_set(&u->identity, get_text(q, &i));
	return u;
}

static void put_node(sqlite3_stmt *q, int i, const void *o)
{
	const struct san_node *n = o;

	put_text(q, &i, n->iqn->s);
	put_text(q, &i, n->alias->s);
	put_switch(q, &i, &n->enabled);
	put_int(q, &i, (uint64_t)n->created_us);
	put_int(q, &i, (uint64_t)n->enabled.changed_us);
}
static void *get_node(sqlite3_stmt *q, int i, uint64_t id, const struct san_state *s UNUSED)
{
	const char *iqn = get_text(q, &i), *alias = get_text(q, &i);
	char norm[SAN_IQN_MAX + 1];
	struct san_node *n;

	if (san_iqn_check(iqn, norm, NULL) < 0 || !streq(iqn, norm))
		return NULL;
	n = san_node_new(id, iqn, alias, 0);
	n->enabled = get_switch(q, &i);
	n->created_us = (int64_t)get_int(q, &i);
	n->enabled.changed_us = (int64_t)get_int(q, &i);
	return n;
}

static void put_port(sqlite3_stmt *q, int i, const void *o)
{
	const struct san_port *p = o;

	put_int(q, &i, p->node);
	put_int(q, &i, p->tpgt);
	put_switch(q, &i, &p->enabled);
	put_int(q, &i, (uint64_t)p->enabled.changed_us);
}
static void *get_port(sqlite3_stmt *q, int i, uint64_t id, const struct san_state *s)
{
	const struct san_node *n = san_node(s, get_int(q, &i));
	uint64_t tpgt = get_int(q, &i);
	struct san_port *p;

	if (!n || tpgt > UINT16_MAX)
		return NULL;
	p = san_port_new(id, n, (uint16_t)tpgt, 0);
	p->enabled = get_switch(q, &i);
	p->enabled.changed_us = (int64_t)get_int(q, &i);
	return p;
}

static void put_portal(sqlite3_stmt *q, int i, const void *o)
{
	const struct san_portal *p = o;

	put_text(q, &i, p->address->s);
	put_int(q, &i, p->tcp_port);
	put_int(q, &i, p->group);
	put_int(q, &i, p->origin == SAN_PORTAL_HAND);
	put_switch(q, &i, &p->enabled);
	put_int(q, &i, (uint64_t)p->enabled.changed_us);
}
static void *get_portal(sqlite3_stmt *q, int i, uint64_t id, const struct san_state *s)
{
	const char *address = get_text(q, &i);
	uint64_t port = get_int(q, &i), group = get_int(q, &i);
	bool by_hand = get_int(q, &i) != 0;
	char canonical[SAN_ADDRESS_TEXT];
	struct san_portal *p;
	uint8_t family;

	if (!san_address_parse(address, canonical, &family) || !streq(address, canonical) ||
	    port == 0 || port > UINT16_MAX || !san_group(s, group))
		return NULL;
	p = san_portal_new(id, address, family, (uint16_t)port, group,
			   by_hand ? SAN_PORTAL_HAND : SAN_PORTAL_DEFAULT, 0);
	p->enabled = get_switch(q, &i);
	p->enabled.changed_us = (int64_t)get_int(q, &i);
	return p;
}

static void put_binding(sqlite3_stmt *q, int i, const void *o)
{
	const struct san_binding *b = o;

	put_int(q, &i, b->port);
	put_int(q, &i, b->portal);
}
static void *get_binding(sqlite3_stmt *q, int i, uint64_t id, const struct san_state *s)
{
	const struct san_port *p = san_port(s, get_int(q, &i));
	const struct san_portal *portal = san_portal(s, get_int(q, &i));

	return p && portal ? san_binding_new(id, p, portal) : NULL;
}

static void put_lun(sqlite3_stmt *q, int i, const void *o)
{
	const struct san_lun *l = o;

	put_int(q, &i, l->node);
	put_int(q, &i, l->unit);
	put_int(q, &i, l->lun);
}
static void *get_lun(sqlite3_stmt *q, int i, uint64_t id, const struct san_state *s)
{
	const struct san_node *n = san_node(s, get_int(q, &i));
	const struct san_unit *u = san_unit(s, get_int(q, &i));
	uint64_t lun = get_int(q, &i);

	return n && u && lun <= SAN_LUN_MAX ? san_lun_new(id, n, u, (uint16_t)lun) : NULL;
}

/* In an order in which every object finds what it refers to. */
static const struct table {
	enum san_kind kind;
	const char *name, *columns, *marks;
	void (*put)(sqlite3_stmt *q, int i, const void *o);
	void *(*get)(sqlite3_stmt *q, int i, uint64_t id, const struct san_state *s);
} tables[] = {
	{SAN_POOL,    "pools",    "name,primordial,kind,device",                       "?,?,?,?",       put_pool,    get_pool   },
	{SAN_GROUP,   "groups",   "name,is_default",                                   "?,?",           put_group,   get_group  },
	{SAN_UNIT,    "units",    "pool,naa,name,size,created_us,changed_us,identity", "?,?,?,?,?,?,?", put_unit,
	 get_unit													       },
	{SAN_NODE,    "nodes",    "iqn,alias,enabled,requested,created_us,changed_us", "?,?,?,?,?,?",
	 put_node,												   get_node   },
	{SAN_PORT,    "ports",    "node,tpgt,enabled,requested,changed_us",            "?,?,?,?,?",     put_port,
	 get_port													       },
	{SAN_PORTAL,  "portals",
	 "address,tcp_port,portal_group,by_hand,enabled,requested,changed_us",         "?,?,?,?,?,?,?",
	 put_portal,												 get_portal },
	{SAN_BINDING, "bindings", "port,portal",                                       "?,?",           put_binding, get_binding},
	{SAN_LUN,     "luns",     "node,unit,lun",                                     "?,?,?",         put_lun,     get_lun    },
};

static const struct table *table_of(enum san_kind kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		if (tables[i].kind == kind)
			return &tables[i];
	}
	return NULL;
}

/* ---- SQLite's errors in words ---- */

static int db_err(sqlite3 *db, struct err *e, const char *doing)
{
	int rc = db ? sqlite3_errcode(db) : SQLITE_NOMEM;
	int code = -EIO;

	switch (rc & 0xff) {
	case SQLITE_FULL:
		code = -ENOSPC;
		break;
	case SQLITE_READONLY:
		code = -EROFS;
		break;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		code = -EUCLEAN;
		break;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		code = -EACCES;
		break;
	default:
		break;
	}
	if (code == -ENOSPC)
		return err_set(e, code, "%s: the disk is full; make room and try again", doing);
	if (code == -EUCLEAN)
		return err_set(
			e, code,
			"%s: the database is damaged (%s); restore it from a backup, or move it "
			"away to begin anew",
			doing, sqlite3_errmsg(db));
	return err_set(e, code, "%s: %s", doing, db ? sqlite3_errmsg(db) : "out of memory");
}

static int db_exec(sqlite3 *db, const char *sql, struct err *e, const char *doing)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_err(db, e, doing);
}

static int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct err *e)
{
	if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) == SQLITE_OK)
		return 0;
	return db_err(db, e, "read the database");
}

static int db_pragma(sqlite3 *db, const char *sql, sqlite3_int64 *ret, struct err *e)
{
	sqlite3_stmt *q = NULL;
	int r = db_prepare(db, sql, &q, e);

	if (r == 0 && sqlite3_step(q) == SQLITE_ROW)
		*ret = sqlite3_column_int64(q, 0);
	else if (r == 0)
		r = db_err(db, e, "read the database");
	(void)sqlite3_finalize(q);
	return r;
}

/* ---- opening ---- */

static int take_lock(struct store *st, const char *dir, struct err *e)
{
	char who[24] = "";
	ssize_t n;

	st->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (st->dir < 0)
		return err_sys(e, "open state directory %s", dir);
	st->lock = openat(st->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (st->lock < 0)
		return err_sys(e, "state directory %s can't be written: open lock", dir);
	if (flock(st->lock, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return err_sys(e, "lock state directory %s", dir);
		n = pread(st->lock, who, sizeof(who) - 1, 0);
		who[n > 0 ? n : 0] = '\0';
		return err_set(
			e, -EBUSY,
			"state directory %s is in use by another smiscsid (process %.20s); stop "
			"that one or choose another directory with --state",
			dir, *who ? who : "unknown");
	}
	n = snprintf(who, sizeof(who), "%d", (int)getpid());
	if (ftruncate(st->lock, 0) < 0 || pwrite(st->lock, who, (size_t)n, 0) != n)
		return err_sys(e, "state directory %s can't be written: write lock", dir);
	return 0;
}

static int sync_file(const char *path)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -1 : fsync(fd);
}

/* A new database is made aside and put in place whole: an empty one is always damage.  Until it
 * has its name nobody misses it, so nothing is synced but the whole, once. */
static int make_database(const struct store *st, const char *path, struct err *e)
{
	auto_free char *tmp = xasprintf("%s.new", path);
	auto_free char *sql = xasprintf(
		"PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY;"
		"BEGIN; PRAGMA application_id=%d; PRAGMA user_version=%d; %s COMMIT;"
		"PRAGMA journal_mode=WAL;", APPLICATION, VERSION, schema);
	sqlite3 *db = NULL;
	int r = 0;

	(void)unlink(tmp);
	if (sqlite3_open_v2(tmp, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
	    SQLITE_OK)
		r = db_err(db, e, "make the database");
	if (r == 0)
		r = db_exec(db, sql, e, "make the database");
	/* the last to close a WAL database writes it all into the one file */
	if (sqlite3_close(db) != SQLITE_OK && r == 0)
		r = db_err(db, e, "make the database");
	if (r == 0 && (chmod(tmp, 0600) < 0 || sync_file(tmp) < 0 || rename(tmp, path) < 0 ||
		       fsync(st->dir) < 0))
		r = err_sys(e, "make the database %s", path);
	return r;
}

/* Look before touching: ours, of a version that is known, whole. */
static int check_database(struct store *st, const char *path, struct err *e)
{
	sqlite3_int64 application = 0, version = 0;
	sqlite3_stmt *q = NULL;
	const char *said;
	struct stat sb;
	int r;

	if (stat(path, &sb) < 0)
		return err_sys(e, "open %s", path);
	if (sb.st_size == 0)
		return err_set(
			e, -EUCLEAN,
			"database %s is empty, so damaged; restore it from a backup, or move it "
			"away to begin anew",
			path);
	r = db_pragma(st->db, "PRAGMA application_id", &application, e);
	if (r == 0)
		r = db_pragma(st->db, "PRAGMA user_version", &version, e);
	if (r < 0)
		return err_in(e, "%s", path);
	if (application != APPLICATION)
		return err_set(e, -EUCLEAN, "%s is not a database of smiscsi", path);
	if (version > VERSION || version < 1)
		return err_set(
			e, -EPROTO,
			"database %s has version %lld and this program knows %d; use the newer "
			"program",
			path, (long long)version, VERSION);
	if (sqlite3_db_readonly(st->db, "main") == 1)
		return err_set(e, -EROFS, "database %s can't be written", path);
	r = db_prepare(st->db, "PRAGMA quick_check(1)", &q, e);
	if (r == 0) {
		int rc = sqlite3_step(q);

		said = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 0) : NULL;
		if (rc != SQLITE_ROW)
			r = db_err(st->db, e, "check the database");
		else if (!said || !streq(said, "ok"))
			r = err_set(e, -EUCLEAN,
				    "the database is damaged (%.200s); restore it from a backup, "
				    "or move "
				    "it away to begin anew",
				    said ? said : "no result");
	}
	(void)sqlite3_finalize(q);
	return r < 0 ? err_in(e, "%s", path) : 0;
}

/* All steps in one transaction: a database is of one version or the other, whole. */
static int upgrade(struct store *st, struct err *e)
{
	sqlite3_int64 version = 0;
	int r = db_pragma(st->db, "PRAGMA user_version", &version, e);
	auto_free char *set = xasprintf("PRAGMA user_version=%d; COMMIT", VERSION);

	if (r < 0 || version == VERSION)
		return r;
	r = db_exec(st->db, "BEGIN IMMEDIATE", e, "upgrade the database");
	for (; r == 0 && version < VERSION; version++)
		r = db_exec(st->db, upgrades[version], e, "upgrade the database");
	if (r == 0)
		r = db_exec(st->db, set, e, "upgrade the database");
	if (r < 0 && !sqlite3_get_autocommit(st->db))
		(void)sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

static int prepare(struct store *st, struct err *e)
{
	int r = db_prepare(st->db, "BEGIN IMMEDIATE", &st->begin, e);

	if (r == 0)
		r = db_prepare(st->db, "COMMIT", &st->commit, e);
	if (r == 0)
		r = db_prepare(st->db, "UPDATE meta SET generation=?, next_id=?", &st->meta, e);
	return r;
}

/* Made at the first use: a start needs few of them. */
static sqlite3_stmt *statement(struct store *st, const struct table *t, bool put, struct err *e)
{
	sqlite3_stmt **q = put ? &st->put[t->kind] : &st->del[t->kind];
	auto_free char *sql = NULL;

	if (*q)
		return *q;
	sql = put ? xasprintf("INSERT OR REPLACE INTO %s(id,%s) VALUES(?,%s)", t->name, t->columns,
			      t->marks)
		  : xasprintf("DELETE FROM %s WHERE id=?", t->name);
	return db_prepare(st->db, sql, q, e) < 0 ? NULL : *q;
}

int store_open(const char *dir, struct store **ret, struct err *e)
{
	auto_free char *path = xasprintf("%s/smiscsi.db", dir);
	AUTO(store) st = xcalloc(1, sizeof(*st));
	bool made = false;
	int r;

	st->lock = st->dir = -1;
	r = take_lock(st, dir, e);
	if (r < 0)
		return r;
	if (access(path, F_OK) < 0 && errno == ENOENT) {
		r = make_database(st, path, e);
		if (r < 0)
			return r;
		made = true;
	}
	if (sqlite3_open_v2(path, &st->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
	    SQLITE_OK)
		return db_err(st->db, e, path);
	(void)sqlite3_extended_result_codes(st->db, 1);
	/* Exclusive: nobody else writes here, and no shared-memory file is needed, if it is said
	 * before the first look. */
	r = db_exec(st->db, "PRAGMA locking_mode=EXCLUSIVE", e, "open the database");
	if (r == 0 && !made)
		r = check_database(st, path, e);
	if (r < 0)
		return r;
	r = db_exec(st->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;", e,
		    "open the database");
	if (r == 0)
		r = upgrade(st, e);
	if (r == 0)
		r = prepare(st, e);
	if (r < 0)
		return err_in(e, "%s", path);
	*ret = take(st);
	return 0;
}

void store_close(struct store *st)
{
	if (!st)
		return;
	(void)sqlite3_finalize(st->begin);
	(void)sqlite3_finalize(st->commit);
	(void)sqlite3_finalize(st->meta);
	for (size_t i = 0; i < SAN_KINDS; i++) {
		(void)sqlite3_finalize(st->put[i]);
		(void)sqlite3_finalize(st->del[i]);
	}
	(void)sqlite3_close(st->db);
	if (st->dir >= 0)
		(void)close(st->dir);
	if (st->lock >= 0)
		(void)close(st->lock);
	free(st);
}

/* ---- reading ---- */

static int load_table(struct store *st, const struct table *t, struct san_state **s, struct err *e)
{
	auto_free char *sql = xasprintf("SELECT id,%s FROM %s ORDER BY id", t->columns, t->name);
	struct san_changes auto_changes ch = {0};
	sqlite3_stmt *q = NULL;
	int r = db_prepare(st->db, sql, &q, e), rc = SQLITE_DONE;

	while (r == 0 && (rc = sqlite3_step(q)) == SQLITE_ROW) {
		uint64_t id = (uint64_t)sqlite3_column_int64(q, 0);
		void *o = t->get(q, 1, id, *s);

		if (o)
			san_changes_add(&ch, t->kind, NULL, o);
		else
			r = err_set(
				e, -EUCLEAN,
				"row %llu of table %s makes no sense; restore the database from a "
				"backup",
				(unsigned long long)id, t->name);
	}
	if (r == 0 && rc != SQLITE_DONE)
		r = db_err(st->db, e, "read the database");
	(void)sqlite3_finalize(q);
	if (r == 0)
		*s = san_apply(*s, &ch, 0, NULL);
	return r;
}

/* The first time: who this host is, and what every state begins with. */
static int begin_anew(struct store *st, const uint8_t random[static 16], struct err *e)
{
	struct san_changes auto_changes ch = {0};
	const struct san_changes *list = &ch;
	uint8_t u[16];
	char sql[256];
	int r;

	memcpy(u, random, sizeof(u));
	u[6] = (uint8_t)((u[6] & 0x0f) | 0x40); /* RFC 4122 version 4 */
	u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
	(void)snprintf(sql, sizeof(sql),
		       "INSERT INTO meta VALUES(1, '%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		       "%02x%02x%02x%02x%02x%02x', 0, 1)",
		       u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11],
		       u[12], u[13], u[14], u[15]);
	san_first_objects(&ch);
	r = db_exec(st->db, "BEGIN IMMEDIATE", e, "write the database");
	if (r == 0)
		r = db_exec(st->db, sql, e, "write the database");
	if (r == 0)
		r = store_commit(st, &list, 1, 0, 4, e);
	if (r < 0)
		(void)sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

int store_load(struct store *st, struct san_settings *settings, const char *host_name,
	       const uint8_t random[static 16], struct san_state **ret, struct err *e)
{
	AUTO(san_state) s = NULL;
	sqlite3_int64 rows = 0;
	sqlite3_stmt *q = NULL;
	int r;

	r = db_pragma(st->db, "SELECT count(*) FROM meta", &rows, e);
	if (r == 0 && rows == 0)
		r = begin_anew(st, random, e);
	if (r == 0)
		r = db_prepare(st->db, "SELECT host, generation, next_id FROM meta", &q, e);
	if (r == 0 && sqlite3_step(q) == SQLITE_ROW) {
		s = san_state_empty(
			san_host_new((const char *)sqlite3_column_text(q, 0), host_name), settings);
		s->config_generation = (uint64_t)sqlite3_column_int64(q, 1);
		s->next_id = (uint64_t)sqlite3_column_int64(q, 2);
	} else if (r == 0) {
		r = db_err(st->db, e, "read the database");
	}
	(void)sqlite3_finalize(q);
	if (!s)
		san_unref(settings);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(tables); i++)
		r = load_table(st, &tables[i], &s, e);
	if (r == 0 && san_invariants(s, e) < 0)
		r = err_in(e, "the database contradicts itself; restore it from a backup");
	if (r < 0)
		return r;
	*ret = take(s);
	return 0;
}

/* ---- writing ---- */

static int write_change(struct store *st, const struct san_change *c, struct err *e)
{
	const struct table *t = table_of(c->kind);
	sqlite3_stmt *q;
	int rc;

	if (!t || !san_change_is_durable(c))
		return 0;
	q = statement(st, t, c->now, e);
	if (!q)
		return -EIO;
	(void)sqlite3_bind_int64(q, 1, (sqlite3_int64)(c->now ? c->now : c->old)->id);
	if (c->now)
		t->put(q, 2, c->now);
	rc = sqlite3_step(q);
	if (rc != SQLITE_DONE)
		(void)db_err(st->db, e, "write the database");
	(void)sqlite3_reset(q);
	(void)sqlite3_clear_bindings(q);
	return rc == SQLITE_DONE ? 0 : -EIO;
}

static int step_once(struct store *st, sqlite3_stmt *q, struct err *e)
{
	int rc = sqlite3_step(q);
	int r = rc == SQLITE_DONE ? 0 : db_err(st->db, e, "write the database");

	(void)sqlite3_reset(q);
	return r;
}

/* A commit whose sync failed stands complete in the write-ahead log, and the next start would
 * take it for made.  The next commit begins where it began, and what it leaves of the old one no
 * longer fits the chain of check sums: so there is one at once, that skips an id and changes
 * nothing else (SQLite would not write a page that is as it was). */
static void overwrite_refused(struct store *st)
{
	if (sqlite3_exec(st->db, "BEGIN IMMEDIATE; UPDATE meta SET next_id=next_id+1; COMMIT",
			 NULL, NULL, NULL) != SQLITE_OK &&
	    !sqlite3_get_autocommit(st->db))
		(void)sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
}

int store_commit(struct store *st, const struct san_changes *const *lists, size_t n, uint64_t gen,
		 uint64_t next_id, struct err *e)
{
	bool half_way = false;
	int r = sqlite3_get_autocommit(st->db) ? step_once(st, st->begin, e) : 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		for (size_t k = 0; r == 0 && k < lists[i]->n; k++)
			r = write_change(st, &lists[i]->v[k], e);
	}
	if (r == 0) {
		(void)sqlite3_bind_int64(st->meta, 1, (sqlite3_int64)gen);
		(void)sqlite3_bind_int64(st->meta, 2, (sqlite3_int64)next_id);
		r = step_once(st, st->meta, e);
	}
	if (r == 0) {
		r = step_once(st, st->commit, e);
		half_way = r < 0;
	}
	/* Some failures have rolled back by themselves. */
	if (r < 0 && !sqlite3_get_autocommit(st->db))
		(void)sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
	if (half_way)
		overwrite_refused(st);
	return r;
}
