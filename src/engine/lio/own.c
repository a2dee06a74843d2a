/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/lio/own.h"

struct own {
	char *path;
	FILE *file; /* appended to */
	char **v;   /* sorted */
	size_t n, cap;
};

/* Where iqn stands, or would. */
static size_t place(const struct own *o, const char *iqn, bool *ret_there)
{
	size_t lo = 0, hi = o->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (strcmp(o->v[mid], iqn) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_there = lo < o->n && streq(o->v[lo], iqn);
	return lo;
}

static void put(struct own *o, const char *iqn)
{
	bool there;
	size_t at = place(o, iqn, &there);

	if (there)
		return;
	if (o->n == o->cap) {
		o->cap = o->cap ? o->cap * 2 : 16;
		o->v = xrealloc(o->v, o->cap * sizeof(o->v[0]));
	}
	memmove(o->v + at + 1, o->v + at, (o->n - at) * sizeof(o->v[0]));
	o->v[at] = xstrdup(iqn);
	o->n++;
}

static void drop(struct own *o, const char *iqn)
{
	bool there;
	size_t at = place(o, iqn, &there);

	if (!there)
		return;
	free(o->v[at]);
	o->n--;
	memmove(o->v + at, o->v + at + 1, (o->n - at) * sizeof(o->v[0]));
}

static void take_lines(struct own *o, FILE *f)
{
	auto_free char *line = NULL;
	size_t cap = 0;

	while (getline(&line, &cap, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '-')
			drop(o, line + 1);
		else if (line[0])
			put(o, line);
	}
}

/* The file begun anew with what counts. */
static int compact(struct own *o, struct err *e)
{
	auto_free char *tmp = xasprintf("%s.new", o->path);
	FILE *f = fopen(tmp, "we");
	bool bad = !f || fchmod(fileno(f), 0600) < 0;

	for (size_t i = 0; f && i < o->n; i++)
		bad = fprintf(f, "%s\n", o->v[i]) < 0 || bad;
	if (!f || fflush(f) != 0 || bad || rename(tmp, o->path) < 0) {
		(void)err_sys(e, "write %s", tmp);
		if (f)
			(void)fclose(f);
		return e ? e->code : -EIO;
	}
	o->file = f;
	return 0;
}

int own_open(const char *path, struct own **ret, struct err *e)
{
	struct own *o = xcalloc(1, sizeof(*o));
	FILE *f = fopen(path, "re");
	int r;

	o->path = xstrdup(path);
	if (f) {
		take_lines(o, f);
		(void)fclose(f);
	} else if (errno != ENOENT) {
		r = err_sys(e, "read %s", path);
		own_close(o);
		return r;
	}
	r = compact(o, e);
	if (r < 0) {
		own_close(o);
		return r;
	}
	*ret = o;
	return 0;
}

void own_close(struct own *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->n; i++)
		free(o->v[i]);
	if (o->file)
		(void)fclose(o->file);
	free(o->v);
	free(o->path);
	free(o);
}

bool own_has(const struct own *o, const char *iqn)
{
	bool there;

	(void)place(o, iqn, &there);
	return there;
}

int own_add(struct own *o, const char *iqn, struct err *e)
{
	if (own_has(o, iqn))
		return 0;
	if (fprintf(o->file, "%s\n", iqn) < 0 || fflush(o->file) != 0)
		return err_sys(e, "write %s", o->path);
	put(o, iqn);
	return 0;
}

void own_drop(struct own *o, const char *iqn)
{
	if (!own_has(o, iqn))
		return;
	/* One too many does no harm: such a target is not there. */
	if (fprintf(o->file, "-%s\n", iqn) < 0 || fflush(o->file) != 0)
		log_warn(engine, "%s can't be written: %m", o->path);
	drop(o, iqn);
}

const char *own_at(const struct own *o, size_t i)
{
	return i < o->n ? o->v[i] : NULL;
}
