/* SPDX-License-Identifier: Apache-2.0 */
/* mofc -o DIRECTORY [-d DEPFILE] FILE.mof: runs at build time; see mofc.h. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "mofc/mofc.h"

enum { MAX_FILE = 8 << 20, MAX_MEMORY = 256 << 20 };

static int load(void *ctx UNUSED, const char *path, struct arena *a, const char **ret_text,
		size_t *ret_n, struct err *e)
{
	FILE *f = fopen(path, "re");
	char *text;
	size_t n;
	long size;

	if (!f)
		return err_sys(e, "open %s", path);
	if (fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0 || fseek(f, 0, SEEK_SET) != 0) {
		int r = err_sys(e, "read %s", path);

		(void)fclose(f);
		return r;
	}
	text = size < MAX_FILE ? arena_alloc(a, (size_t)size + 1) : NULL;
	n = text ? fread(text, 1, (size_t)size, f) : 0;
	(void)fclose(f);
	if (!text || n != (size_t)size)
		return err_set(e, -EIO, "%s: too large, or changed while it was read", path);
	*ret_text = text;
	*ret_n = n;
	return 0;
}

static int save(const char *dir, const char *name, const char *ext, const struct buf *b,
		struct err *e)
{
	auto_free char *path = xasprintf("%s%s%s%s", dir, *dir ? "/" : "", name, ext);
	FILE *f = fopen(path, "we");
	size_t n;

	if (!f)
		return err_sys(e, "create %s", path);
	n = fwrite(b->p ? b->p : "", 1, b->len, f);
	if (fclose(f) != 0 || n != b->len)
		return err_sys(e, "write %s", path);
	return 0;
}

static int save_headers(const struct mofc *m, const char *dir, struct err *e)
{
	for (const struct mofc_file *f = m->files; f; f = f->next) {
		auto_buf struct buf b = buf_of(MAX_FILE);
		const struct mofc_class *c = m->classes;
		int r;

		while (c && c->loc.file != f)
			c = c->next;
		if (!c)
			continue; /* qualifiers or includes alone have no constants */
		r = mofc_emit_header(m, f, &b, e);
		if (r == 0)
			r = save(dir, f->stem, ".h", &b, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int compile(struct arena *a, const char *dir, const char *depfile, const char *path,
		   struct err *e)
{
	struct mofc m = {.arena = a, .load = load};
	auto_buf struct buf c = buf_of(MAX_MEMORY), h = buf_of(MAX_FILE), d = buf_of(MAX_FILE);
	const char *text;
	size_t n;
	int r;

	r = load(NULL, path, a, &text, &n, e);
	if (r == 0)
		r = mofc_parse(&m, path, text, n, e);
	if (r == 0)
		r = mofc_check(&m, e);
	if (r == 0)
		r = mofc_emit_tables(&m, &c, e);
	if (r == 0)
		r = mofc_emit_schema_h(&m, &h, e);
	if (r == 0)
		r = save(dir, "schema", ".c", &c, e);
	if (r == 0)
		r = save(dir, "schema", ".h", &h, e);
	if (r == 0)
		r = save_headers(&m, dir, e);
	if (r < 0 || !depfile)
		return r;
	(void)buf_addf(&d, "%s/schema.c:", dir);
	for (const struct mofc_file *f = m.files; f; f = f->next)
		(void)buf_addf(&d, " %s", f->path);
	(void)buf_addc(&d, '\n');
	return save("", depfile, "", &d, e);
}

int main(int argc, char **argv)
{
	const char *dir = ".", *depfile = NULL;
	AUTO(arena) a = arena_new(MAX_MEMORY);
	struct err e = {0};
	int opt;

	while ((opt = getopt(argc, argv, "o:d:")) != -1) {
		if (opt == 'o') {
			dir = optarg;
		} else if (opt == 'd') {
			depfile = optarg;
		} else {
			optind = argc + 1; /* getopt has said what is wrong */
			break;
		}
	}
	if (optind != argc - 1) {
		(void)fprintf(stderr, "usage: mofc -o DIRECTORY [-d DEPFILE] FILE.mof\n");
		return 2;
	}
	if (compile(a, dir, depfile, argv[optind], &e) < 0) {
		(void)fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	return 0;
}
