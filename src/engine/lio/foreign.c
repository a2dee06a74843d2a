/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "base/str.h"
#include "engine/lio/facts.h"
#include "engine/lio/foreign.h"

enum { FOREIGN_MAX = 4096, TOLD_BY_NAME = 32 };

struct one {
	enum san_foreign_kind kind;
	bool serves;
	char *name, *at, *uses;
};
struct list {
	struct one *v;
	size_t n, cap;
};

struct foreign {
	struct tree *tree;
	engine_notify *notify;
	void *ctx;
	bool told;
	struct list was;
};

static void list_done(struct list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].name);
		free(l->v[i].at);
		free(l->v[i].uses);
	}
	free(l->v);
	*l = (struct list){0};
}

struct foreign *foreign_new(struct tree *t, engine_notify *notify, void *ctx)
{
	struct foreign *f = xcalloc(1, sizeof(*f));

	f->tree = t;
	f->notify = notify;
	f->ctx = ctx;
	return f;
}

void foreign_free(struct foreign *f)
{
	if (!f)
		return;
	list_done(&f->was);
	free(f);
}

void foreign_forget(struct foreign *f)
{
	f->told = false;
}

/* ---- reading ---- */

/* A name of others' may hold anything: what can't be shown becomes '?'. */
static void make_showable(char *s)
{
	if (str_utf8_xml(s, strlen(s)))
		return;
	for (; *s; s++) {
		if (*s < ' ' || *s > '~')
			*s = '?';
	}
}

/* Lines, the same once. */
struct lines {
	char text[CFS_VALUE];
	size_t n;
};

static void add_line(struct lines *l, const char *fmt, ...) PRINTF(2, 3);
static void add_line(struct lines *l, const char *fmt, ...)
{
	char line[CFS_PATH], *at = l->text;
	size_t n;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	make_showable(line);
	line[strcspn(line, "\n")] = '\0';
	n = strlen(line);
	while (*at) {
		size_t k = strcspn(at, "\n");

		if (k == n && memcmp(at, line, n) == 0)
			return;
		at += k + (at[k] == '\n');
	}
	if (l->n + n + 2 > sizeof(l->text))
		return;
	l->n += (size_t)snprintf(l->text + l->n, sizeof(l->text) - l->n, "%s%s",
				 l->n ? "\n" : "", line);
}

static void add(struct list *l, enum san_foreign_kind kind, const char *name, bool serves,
		const struct lines *at, const struct lines *uses)
{
	struct one *x;

	if (l->n == FOREIGN_MAX)
		return;
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->v = xrealloc(l->v, l->cap * sizeof(l->v[0]));
	}
	x = &l->v[l->n++];
	*x = (struct one){kind, serves, xstrdup(name), xstrdup(at->text), xstrdup(uses->text)};
	make_showable(x->name);
}

static bool says_on(const struct cfs *c, const char *path)
{
	char is[8];

	cfs_read_line(c, path, is, sizeof(is));
	return streq(is, "1");
}

/* "../../../core/fileio_0/disk": what stands behind "core/". */
static void add_stores(const struct cfs *c, const char *lun, struct lines *ret)
{
	struct cfs_names auto_names links = {0};

	if (cfs_list(c, lun, CFS_LINKS, &links, NULL) < 0)
		return;
	for (size_t i = 0; i < links.n; i++) {
		char to[CFS_PATH];
		const char *core;

		if (!cfs_read_link(c, cfs_path("%s/%s", lun, links.v[i]).s, to, sizeof(to)))
			continue;
		core = strstr(to, "/core/");
		if (core)
			add_line(ret, "%s", core + strlen("/core/"));
	}
}

static void read_target(const struct cfs *c, const char *iqn, struct list *ret)
{
	struct cfs_path dir = cfs_path("iscsi/%s", iqn);
	struct lines at = {0}, uses = {0};
	struct cfs_names auto_names tpgs = {0};
	bool serves = false;

	if (cfs_list(c, dir.s, CFS_DIRS, &tpgs, NULL) < 0)
		return;
	for (size_t i = 0; i < tpgs.n; i++) {
		struct cfs_path tpg = cfs_path("%s/%s", dir.s, tpgs.v[i]);
		struct cfs_names auto_names nps = {0}, auto_names luns = {0};

		if (!str_starts(tpgs.v[i], "tpgt_") ||
		    cfs_list(c, cfs_path("%s/np", tpg.s).s, CFS_DIRS, &nps, NULL) < 0 ||
		    cfs_list(c, cfs_path("%s/lun", tpg.s).s, CFS_DIRS, &luns, NULL) < 0)
			continue;
		serves = serves || says_on(c, cfs_path("%s/enable", tpg.s).s);
		for (size_t k = 0; k < nps.n; k++)
			add_line(&at, "%s,%s", nps.v[k], tpgs.v[i] + strlen("tpgt_"));
		for (size_t k = 0; k < luns.n; k++)
			add_stores(c, cfs_path("%s/lun/%s", tpg.s, luns.v[k]).s, &uses);
	}
	add(ret, SAN_FOREIGN_TARGET, iqn, serves, &at, &uses);
}

static void read_store(const struct cfs *c, const char *hba, const char *name, struct list *ret)
{
	static const struct lines none;
	struct cfs_path dir = cfs_path("core/%s/%s", hba, name);
	struct lines at = {0};
	struct facts_unit u;
	char text[CFS_VALUE];

	if (cfs_read(c, cfs_path("%s/info", dir.s).s, text, NULL) > 0 &&
	    (facts_unit(text, &u) || facts_unit_on_device(text, &u)))
		add_line(&at, "%s", u.file);
	add(ret, SAN_FOREIGN_STORE, cfs_path("%s/%s", hba, name).s,
	    says_on(c, cfs_path("%s/enable", dir.s).s), &at, &none);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct one *)a)->name, ((const struct one *)b)->name);
}

static void read_all(const struct tree *t, struct list *ret)
{
	struct cfs_names auto_names targets = {0}, auto_names adapters = {0};
	const struct cfs *c = &t->cfs;

	(void)!cfs_list(c, "iscsi", CFS_DIRS, &targets, NULL);
	for (size_t i = 0; i < targets.n; i++) {
		if (!own_has(t->own, targets.v[i]) && !streq(targets.v[i], "discovery_auth"))
			read_target(c, targets.v[i], ret);
	}
	(void)!cfs_list(c, "core", CFS_DIRS, &adapters, NULL);
	for (size_t i = 0; i < adapters.n; i++) {
		struct cfs_path hba = cfs_path("core/%s", adapters.v[i]);
		struct cfs_names auto_names stores = {0};

		if (streq(hba.s, TREE_FILES) || streq(hba.s, TREE_BLOCKS) ||
		    streq(adapters.v[i], "alua") || cfs_list(c, hba.s, CFS_DIRS, &stores, NULL) < 0)
			continue;
		for (size_t k = 0; k < stores.n; k++)
			read_store(c, adapters.v[i], stores.v[k], ret);
	}
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(ret->v[0]), by_name);
	/* Two names may have become one text. */
	for (size_t i = 1; i < ret->n;) {
		if (!streq(ret->v[i].name, ret->v[i - 1].name)) {
			i++;
			continue;
		}
		free(ret->v[i].name);
		free(ret->v[i].at);
		free(ret->v[i].uses);
		memmove(&ret->v[i], &ret->v[i + 1], (ret->n - i - 1) * sizeof(ret->v[0]));
		ret->n--;
	}
}

/* ---- telling ---- */

static bool same(const struct list *a, const struct list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct one *x = &a->v[i], *y = &b->v[i];

		if (x->kind != y->kind || x->serves != y->serves || !streq(x->name, y->name) ||
		    !streq(x->at, y->at) || !streq(x->uses, y->uses))
			return false;
	}
	return true;
}

static bool has(const struct list *l, const char *name)
{
	struct one key = {.name = xstrdup(name)};
	bool found = l->n && bsearch(&key, l->v, l->n, sizeof(l->v[0]), by_name);

	free(key.name);
	return found;
}

static void log_new(const struct list *was, const struct list *now)
{
	size_t n = 0;

	for (size_t i = 0; i < now->n; i++) {
		if (has(was, now->v[i].name) || n++ >= TOLD_BY_NAME)
			continue;
		log_info(engine, "%s %s in the kernel is another tool's; it stays as it is",
			 now->v[i].kind == SAN_FOREIGN_TARGET ? "target" : "backing store",
			 now->v[i].name);
	}
	if (n > TOLD_BY_NAME)
		log_info(engine, "and %zu more that are other tools'", n - TOLD_BY_NAME);
}

void foreign_look(struct foreign *f)
{
	auto_free struct san_seen_foreign *seen = NULL;
	struct list now = {0};

	read_all(f->tree, &now);
	if (f->told && same(&f->was, &now)) {
		list_done(&now);
		return;
	}
	log_new(&f->was, &now);
	list_done(&f->was);
	f->was = now;
	f->told = true;
	seen = xcalloc(now.n + 1, sizeof(*seen));
	for (size_t i = 0; i < now.n; i++)
		seen[i] = (struct san_seen_foreign){now.v[i].kind, now.v[i].serves, now.v[i].name,
						    now.v[i].at, now.v[i].uses};
	f->notify(f->ctx, &(struct engine_event){.kind = ENGINE_FOREIGN,
						 .why = "",
						 .foreign = seen,
						 .n_foreign = now.n});
}
