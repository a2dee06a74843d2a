/* SPDX-License-Identifier: Apache-2.0 */
#include "sm/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "base/wire.h"

enum { IMAGE_FILE_MAX = 1 << 30, NAME_LEN = 64 };

static int read_all(int dir, const char *name, size_t max, struct buf *b, struct err *e)
{
	auto_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	*b = buf_of(max);
	if (fd < 0)
		return err_sys(e, "open sm/%s", name);
	if (fstat(fd, &st) < 0)
		return err_sys(e, "look at sm/%s", name);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > max)
		return err_set(e, -EPROTO, "sm/%s is no file of a sensible size", name);
	char *at = buf_grow(b, (size_t)st.st_size + 1);

	while (at && b->len < (size_t)st.st_size) {
		ssize_t n = read(fd, b->p + b->len, (size_t)st.st_size - b->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read sm/%s", name);
		if (n == 0)
			break;
		b->len += (size_t)n;
	}
	if (at)
		b->p[b->len] = '\0';
	return 0;
}

int files_replace(int dir, const char *name, unsigned mode, const void *p, size_t n, struct err *e)
{
	char tmp[NAME_LEN + 8];

	snprintf(tmp, sizeof(tmp), "%s.new", name);
	(void)unlinkat(dir, tmp, 0);
	auto_fd int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (fd < 0)
		return err_sys(e, "create sm/%s", tmp);
	for (size_t at = 0; at < n;) {
		ssize_t w = write(fd, (const char *)p + at, n - at);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0) {
			err_sys(e, "write sm/%s", tmp);
			(void)unlinkat(dir, tmp, 0);
			return e ? e->code : -EIO;
		}
		at += (size_t)w;
	}
	if (fsync(fd) < 0 || renameat(dir, tmp, dir, name) < 0 || fsync(dir) < 0)
		return err_sys(e, "replace sm/%s", name);
	return 0;
}

/* ---- lists ---- */

void files_row_add(struct buf *b, const char *const *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_addc(b, '\t');
		for (const char *s = fields[i] ? fields[i] : ""; *s; s++) {
			if ((unsigned char)*s <= ' ' || *s == '%' || *s == 0x7f)
				buf_addf(b, "%%%02x", (unsigned char)*s);
			else
				buf_addc(b, *s);
		}
	}
	buf_addc(b, '\n');
}

static char *decode(const char *s, size_t n)
{
	char *out = xmalloc(n + 1), *at = out;

	for (size_t i = 0; i < n; i++) {
		uint64_t u;

		if (s[i] == '%' && i + 2 < n && str_hex64(s + i + 1, 2, &u)) {
			*at++ = (char)u;
			i += 2;
		} else {
			*at++ = s[i];
		}
	}
	*at = '\0';
	return out;
}

int files_rows_read(int dir, const char *name, struct files_row **ret_rows, size_t *ret_n,
		    struct err *e)
{
	auto_buf struct buf b = buf_of(0);
	struct files_row *rows = NULL;
	size_t n = 0, cap = 0;
	int r = read_all(dir, name, FILES_LIST_BYTES_MAX, &b, e);

	*ret_rows = NULL;
	*ret_n = 0;
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	for (const char *s = b.p, *end = b.p + b.len; s < end;) {
		const char *eol = memchr(s, '\n', (size_t)(end - s));

		if (!eol)
			break;
		if (n == cap) {
			cap = cap ? cap * 2 : 16;
			rows = xrealloc(rows, cap * sizeof(*rows));
		}
		struct files_row *row = &rows[n++];

		for (size_t f = 0; f < FILES_FIELDS_MAX; f++) {
			const char *tab = s < eol ? memchr(s, '\t', (size_t)(eol - s)) : NULL;
			const char *to = tab ? tab : eol;

			row->f[f] = decode(s, (size_t)(to - s));
			s = tab ? tab + 1 : eol;
		}
		s = eol + 1;
	}
	if (b.p)
		explicit_bzero(b.p, b.len);
	*ret_rows = rows;
	*ret_n = n;
	return 0;
}

void files_rows_free(struct files_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t f = 0; f < FILES_FIELDS_MAX; f++) {
			explicit_bzero(rows[i].f[f], strlen(rows[i].f[f]));
			free(rows[i].f[f]);
		}
	free(rows);
}

/* ---- images ---- */

static void image_name(char at[NAME_LEN], const char *id)
{
	snprintf(at, NAME_LEN, "%s.cache", id);
}

/* One line of facts, then the image. */
int files_image_write(int dir, const char *id, const struct sm_image *img,
		      const struct files_image *facts, struct err *e)
{
	auto_buf struct buf b = buf_of(IMAGE_FILE_MAX);
	char name[NAME_LEN], seen[32], level[16];
	const char *row[] = {seen, level, facts->interop};

	image_name(name, id);
	snprintf(seen, sizeof(seen), "%lld", (long long)facts->seen_us);
	snprintf(level, sizeof(level), "%u", facts->level);
	files_row_add(&b, row, ARRAY_SIZE(row));
	if (!sm_image_write(img, &b))
		return err_set(e, -E2BIG, "the image of %s is too large to be kept", id);
	return files_replace(dir, name, 0600, b.p, b.len, e);
}

int files_image_read(int dir, const char *id, size_t bytes, struct sm_image **ret,
		     struct files_image *ret_facts, struct err *e)
{
	auto_buf struct buf b = buf_of(0);
	char name[NAME_LEN];
	struct files_image f = {0};
	int64_t seen;
	uint64_t level;

	image_name(name, id);
	int r = read_all(dir, name, IMAGE_FILE_MAX, &b, e);

	if (r < 0)
		return r;
	const char *eol = b.len ? memchr(b.p, '\n', b.len) : NULL;
	const char *t1 = eol ? memchr(b.p, '\t', (size_t)(eol - b.p)) : NULL;
	const char *t2 = t1 ? memchr(t1 + 1, '\t', (size_t)(eol - t1 - 1)) : NULL;

	if (!t2 || !str_i64(b.p, (size_t)(t1 - b.p), 0, INT64_MAX, &seen) ||
	    !str_u64(t1 + 1, (size_t)(t2 - t1 - 1), 3, &level))
		return err_set(e, -EPROTO, "sm/%s isn't a cached image", name);
	auto_free char *interop = decode(t2 + 1, (size_t)(eol - t2 - 1));

	f.seen_us = seen;
	f.level = (uint32_t)level;
	snprintf(f.interop, sizeof(f.interop), "%s", interop);
	size_t off = (size_t)(eol + 1 - b.p);

	r = sm_image_read(b.p + off, b.len - off, bytes, ret, e);
	if (r < 0)
		return err_in(e, "sm/%s", name);
	*ret_facts = f;
	return 0;
}

void files_image_remove(int dir, const char *id)
{
	char name[NAME_LEN];

	image_name(name, id);
	(void)unlinkat(dir, name, 0);
}
