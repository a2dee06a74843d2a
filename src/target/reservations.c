/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/reservations.h"

enum { RESERVATIONS_MAX = 1 << 20 };

struct reservations {
	char *path, *temp, *folder;
};

struct reservations *reservations_new(const char *path)
{
	struct reservations *r = xcalloc(1, sizeof(*r));
	const char *slash;

	r->path = xstrdup(path);
	r->temp = xasprintf("%s.new", r->path);
	slash = strrchr(r->path, '/');
	if (slash)
		r->folder = xstrndup(r->path, slash == r->path ? 1 : (size_t)(slash - r->path));
	else
		r->folder = xstrdup(".");
	return r;
}

void reservations_free(struct reservations *r)
{
	if (!r)
		return;
	free(r->path);
	free(r->temp);
	free(r->folder);
	free(r);
}

int reservations_load(void *ctx, void **ret, size_t *ret_len)
{
	struct reservations *r = ctx;
	auto_fd int fd = open(r->path, O_RDONLY | O_CLOEXEC);
	auto_free char *p = NULL;
	struct stat st;
	ssize_t n;

	*ret = NULL;
	*ret_len = 0;
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size > RESERVATIONS_MAX)
		return -EFBIG;
	p = xmalloc((size_t)st.st_size + 1);
	n = read(fd, p, (size_t)st.st_size);
	if (n != st.st_size)
		return n < 0 ? -errno : -EIO;
	*ret = take(p);
	*ret_len = (size_t)n;
	return 0;
}

/* Beside it, then in its place: whoever reads sees the old content or the new, whole. */
int reservations_save(void *ctx, const void *p, size_t len)
{
	struct reservations *r = ctx;
	auto_fd int fd = open(r->temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	auto_fd int folder = open(r->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0 || folder < 0)
		return -errno;
	n = write(fd, p, len);
	if (n < 0 || (size_t)n != len)
		return n < 0 ? -errno : -ENOSPC;
	if (fsync(fd) < 0 || rename(r->temp, r->path) < 0 || fsync(folder) < 0)
		return -errno;
	return 0;
}
