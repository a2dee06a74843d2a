/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "engine/lio/cfs.h"

struct cfs_path cfs_path(const char *fmt, ...)
{
	struct cfs_path p;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(p.s, sizeof(p.s), fmt, ap);
	va_end(ap);
	return p;
}

int cfs_open(const char *path, struct cfs *ret, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "%s", path);
	*ret = (struct cfs){.root = fd, .path = xstrdup(path)};
	return 0;
}

void cfs_close(struct cfs *c)
{
	if (!c->path)
		return;
	(void)close(c->root);
	free(take(c->path));
}

bool cfs_exists(const struct cfs *c, const char *path)
{
	struct stat sb;

	return fstatat(c->root, path, &sb, AT_SYMLINK_NOFOLLOW) == 0;
}

int cfs_mkdir(struct cfs *c, const char *path, struct err *e)
{
	c->changes++;
	if (mkdirat(c->root, path, 0755) == 0)
		return 0;
	if (errno == EEXIST)
		return CFS_THERE;
	return err_sys(e, "make %s", path);
}

int cfs_rmdir(struct cfs *c, const char *path, struct err *e)
{
	c->changes++;
	if (unlinkat(c->root, path, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return err_sys(e, "remove %s", path);
}

int cfs_write(struct cfs *c, const char *path, const char *value, struct err *e)
{
	auto_fd int fd = openat(c->root, path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	size_t n = strlen(value);
	ssize_t done;

	if (fd < 0)
		return err_sys(e, "%s", path);
	c->changes++;
	done = write(fd, value, n);
	if (done < 0)
		return err_sys(e, "%s = %s", path, value);
	if ((size_t)done != n)
		return err_set(e, -EIO, "%s = %s: short write", path, value);
	return 0;
}

int cfs_read(const struct cfs *c, const char *path, char ret[static CFS_VALUE], struct err *e)
{
	auto_fd int fd = openat(c->root, path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;

	if (fd < 0)
		return err_sys(e, "%s", path);
	while (n < CFS_VALUE - 1) {
		ssize_t got = read(fd, ret + n, CFS_VALUE - 1 - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, "read %s", path);
		if (got == 0)
			break;
		n += (size_t)got;
	}
	ret[n] = '\0';
	return (int)n;
}

void cfs_read_line(const struct cfs *c, const char *path, char *ret, size_t size)
{
	char text[CFS_VALUE];
	int n = cfs_read(c, path, text, NULL);

	if (n < 0)
		n = 0;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	(void)snprintf(ret, size, "%s", text);
}

int cfs_set(struct cfs *c, const char *path, const char *value, struct err *e)
{
	char is[CFS_VALUE];

	cfs_read_line(c, path, is, sizeof(is));
	return streq(is, value) ? 0 : cfs_write(c, path, value, e);
}

int cfs_link(struct cfs *c, const char *path, const char *target, struct err *e)
{
	struct cfs_path to = cfs_path("%s/%s", c->path, target);

	c->changes++;
	if (symlinkat(to.s, c->root, path) == 0 ||
	    (errno == EEXIST && cfs_links_to(c, path, target)))
		return 0;
	return err_sys(e, "link %s to %s", path, target);
}

int cfs_unlink(struct cfs *c, const char *path, struct err *e)
{
	c->changes++;
	if (unlinkat(c->root, path, 0) == 0 || errno == ENOENT)
		return 0;
	return err_sys(e, "remove the link %s", path);
}

bool cfs_read_link(const struct cfs *c, const char *path, char *ret, size_t size)
{
	ssize_t n = readlinkat(c->root, path, ret, size - 1);

	ret[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* The kernel answers with a path of its own making ("../../../target/core/..."). */
bool cfs_links_to(const struct cfs *c, const char *path, const char *target)
{
	char to[CFS_PATH];
	size_t n, len = strlen(target);

	if (!cfs_read_link(c, path, to, sizeof(to)))
		return false;
	n = strlen(to);
	return n > len && streq(to + n - len, target) && to[n - len - 1] == '/';
}

static bool is_kind(int dir, const struct dirent *d, enum cfs_kind kind)
{
	static const mode_t mode[] = {
		[CFS_DIRS] = S_IFDIR, [CFS_LINKS] = S_IFLNK, [CFS_FILES] = S_IFREG};
	struct stat sb;

	if (d->d_name[0] == '.')
		return false;
	if (d->d_type != DT_UNKNOWN)
		return (mode_t)DTTOIF(d->d_type) == mode[kind];
	return fstatat(dir, d->d_name, &sb, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (sb.st_mode & S_IFMT) == mode[kind];
}

int cfs_list(const struct cfs *c, const char *path, enum cfs_kind kind, struct cfs_names *ret,
	     struct err *e)
{
	int fd = openat(c->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	size_t cap = 0;

	*ret = (struct cfs_names){0};
	if (!d) {
		int r = errno == ENOENT ? 0 : err_sys(e, "list %s", path);

		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	for (const struct dirent *x; ret->n < CFS_NAMES_MAX && (x = readdir(d));) {
		if (!is_kind(fd, x, kind))
			continue;
		if (ret->n == cap) {
			cap = cap ? cap * 2 : 16;
			ret->v = xrealloc(ret->v, cap * sizeof(ret->v[0]));
		}
		ret->v[ret->n++] = xstrdup(x->d_name);
	}
	(void)closedir(d);
	return 0;
}

void cfs_names_done(struct cfs_names *n)
{
	for (size_t i = 0; i < n->n; i++)
		free(n->v[i]);
	free(n->v);
	*n = (struct cfs_names){0};
}

bool cfs_names_have(const struct cfs_names *n, const char *name)
{
	for (size_t i = 0; i < n->n; i++) {
		if (streq(n->v[i], name))
			return true;
	}
	return false;
}
