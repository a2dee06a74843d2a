/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim.c - make a program fail at a chosen system call (LD_PRELOAD)
 *
 * Counts the calls that change files below SMISCSI_FAULT_DIR, and what is sent on sockets, of the
 * one program whose name is SMISCSI_FAULT_PROGRAM.  The driver and the shim share the struct
 * below, in the file SMISCSI_FAULT: the driver says at which count what happens, while the
 * program runs.
 *
 * With SMISCSI_FAULT_SHADOW it also keeps there what would survive a power failure, as strictly
 * as POSIX words it: a file's bytes as of its last fsync, a folder's names as of the folder's
 * last fsync.  "data-<inode>" is a file's bytes, "names-<inode of the folder>" has a line
 * "inode name" for each of its files.
 *
 * Threads: any.
 */
#undef _FILE_OFFSET_BITS /* open and open64 have their own definitions here */
#undef _FORTIFY_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define NEXT(ret, name, ...)                                                                       \
	static ret (*next)(__VA_ARGS__);                                                           \
	if (!next)                                                                                 \
		*(void **)(&next) = dlsym(RTLD_NEXT, #name)

enum kind {
	WRITE = 1,
	SYNC = 2,
	NAMES = 4, /* rename, unlink, making a file or a folder */
	TRUNCATE = 8,
	SEND = 16,
};
enum mode {
	KILL = 1,  /* end there, as kill -9 does, before the call */
	TORN = 2,  /* the same, half way through a write */
	FAIL = 3,  /* the call at `at` fails with `error` */
	FAILS = 4, /* all from there on do */
};

/* Shared with the driver, in this order. */
struct fault {
	_Atomic uint64_t count; /* calls of the wanted kinds so far */
	_Atomic uint64_t at;    /* when it happens; 0: never */
	_Atomic uint64_t mode, error, kinds;
	_Atomic uint64_t fired, fired_kind;
	_Atomic int64_t clock_s; /* how far the wall clock is ahead */
};

static struct fault *fault;
static const char *dir, *shadow;
static size_t dir_len;
static pthread_mutex_t shadow_lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void)
{
	const char *program = getenv("SMISCSI_FAULT_PROGRAM"), *file = getenv("SMISCSI_FAULT");
	int fd;

	dir = getenv("SMISCSI_FAULT_DIR");
	shadow = getenv("SMISCSI_FAULT_SHADOW");
	if (!program || !file || !dir || strcmp(program, program_invocation_short_name) != 0)
		return;
	dir_len = strlen(dir);
	fd = open(file, O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		void *p = mmap(NULL, sizeof(*fault), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		if (p != MAP_FAILED)
			fault = p;
		(void)close(fd);
	}
}

static bool below(const char *path)
{
	return strncmp(path, dir, dir_len) == 0 && (path[dir_len] == '/' || !path[dir_len]);
}

/* Is fd one of those that count? */
static bool ours(int fd, bool socket)
{
	char link[64], path[4096];
	struct stat sb;
	ssize_t n;

	if (!fault || fstat(fd, &sb) < 0)
		return false;
	if (S_ISSOCK(sb.st_mode))
		return socket;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return false;
	path[n] = '\0';
	return below(path);
}

static bool ours_at(int at, const char *path)
{
	return fault && (path[0] == '/' || at == AT_FDCWD ? below(path) : ours(at, false));
}

static _Noreturn void die(void)
{
	(void)kill(getpid(), SIGKILL);
	for (;;)
		(void)pause();
}

/* One call of this kind.  True: it is to fail, with errno set.  torn: NULL, or set when half of it
 * is to happen before the end. */
static bool hit(enum kind kind, bool *torn)
{
	uint64_t at = fault->at, n;

	if (!(fault->kinds & kind))
		return false;
	n = atomic_fetch_add(&fault->count, 1) + 1;
	if (!at || n < at || (n > at && fault->mode != FAILS))
		return false;
	fault->fired_kind = kind;
	fault->fired++;
	if (fault->mode == FAIL || fault->mode == FAILS) {
		errno = (int)fault->error;
		return true;
	}
	if (fault->mode == TORN && torn) {
		*torn = true;
		return false;
	}
	die();
}

/* ---- what would survive a power failure ---- */

static void keep_data(int fd, const struct stat *sb)
{
	static char block[65536];
	char path[4096], now[4200], link[64];
	int in, out;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "%s/data-%ju", shadow, (uintmax_t)sb->st_ino);
	(void)snprintf(now, sizeof(now), "%s.new", path);
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	in = open(link, O_RDONLY | O_CLOEXEC);
	out = open(now, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	for (off_t at = 0; at < sb->st_size; at += n) {
		n = pread(in, block, sizeof(block), at);
		if (n <= 0)
			break;
		if (block[0] || memcmp(block, block + 1, (size_t)n - 1) != 0)
			(void)!syscall(SYS_pwrite64 /* past ourselves */, out, block, n, at);
	}
	(void)!truncate(now, sb->st_size);
	(void)close(in);
	(void)close(out);
	(void)!syscall(SYS_rename, now, path);
}

static void keep_names(int fd, const struct stat *sb)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again >= 0 ? fdopendir(again) : NULL;
	char path[4096], now[4200];
	FILE *out;

	(void)snprintf(path, sizeof(path), "%s/names-%ju", shadow, (uintmax_t)sb->st_ino);
	(void)snprintf(now, sizeof(now), "%s.new", path);
	out = fopen(now, "we");
	if (d && out) {
		for (const struct dirent *x = readdir(d); x; x = readdir(d)) {
			if (x->d_name[0] != '.' || (x->d_name[1] && x->d_name[1] != '.'))
				(void)fprintf(out, "%ju %s\n", (uintmax_t)x->d_ino, x->d_name);
		}
		(void)fclose(out);
		(void)!syscall(SYS_rename, now, path);
	}
	if (d)
		(void)closedir(d);
}

static void synced(int fd)
{
	struct stat sb;

	if (!shadow || fstat(fd, &sb) < 0)
		return;
	(void)pthread_mutex_lock(&shadow_lock);
	if (S_ISREG(sb.st_mode))
		keep_data(fd, &sb);
	else if (S_ISDIR(sb.st_mode))
		keep_names(fd, &sb);
	(void)pthread_mutex_unlock(&shadow_lock);
}

/* ---- the calls ---- */

EXPORT ssize_t write(int fd, const void *p, size_t n)
{
	NEXT(ssize_t, write, int, const void *, size_t);
	bool torn = false;

	if (ours(fd, true)) {
		struct stat sb;
		bool sock = fstat(fd, &sb) == 0 && S_ISSOCK(sb.st_mode);

		if (hit(sock ? SEND : WRITE, &torn))
			return -1;
		if (torn) {
			(void)!next(fd, p, n / 2);
			die();
		}
	}
	return next(fd, p, n);
}

EXPORT ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	NEXT(ssize_t, pwrite64, int, const void *, size_t, off64_t);
	bool torn = false;

	if (ours(fd, false)) {
		if (hit(WRITE, &torn))
			return -1;
		if (torn) {
			(void)!next(fd, p, n / 2, at);
			die();
		}
	}
	return next(fd, p, n, at);
}

EXPORT ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	return pwrite64(fd, p, n, at);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
	NEXT(ssize_t, pwritev, int, const struct iovec *, int, off_t);

	return ours(fd, false) && hit(WRITE, NULL) ? -1 : next(fd, v, n, at);
}

EXPORT ssize_t writev(int fd, const struct iovec *v, int n)
{
	NEXT(ssize_t, writev, int, const struct iovec *, int);

	return ours(fd, true) && hit(SEND, NULL) ? -1 : next(fd, v, n);
}

EXPORT ssize_t send(int fd, const void *p, size_t n, int flags)
{
	NEXT(ssize_t, send, int, const void *, size_t, int);

	return ours(fd, true) && hit(SEND, NULL) ? -1 : next(fd, p, n, flags);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	NEXT(ssize_t, sendmsg, int, const struct msghdr *, int);

	return ours(fd, true) && hit(SEND, NULL) ? -1 : next(fd, m, flags);
}

EXPORT int fsync(int fd)
{
	NEXT(int, fsync, int);
	int r = ours(fd, false) && hit(SYNC, NULL) ? -1 : next(fd);

	if (r == 0 && ours(fd, false))
		synced(fd);
	return r;
}

EXPORT int fdatasync(int fd)
{
	NEXT(int, fdatasync, int);
	int r = ours(fd, false) && hit(SYNC, NULL) ? -1 : next(fd);

	if (r == 0 && ours(fd, false))
		synced(fd);
	return r;
}

EXPORT int ftruncate64(int fd, off64_t n)
{
	NEXT(int, ftruncate64, int, off64_t);

	return ours(fd, false) && hit(TRUNCATE, NULL) ? -1 : next(fd, n);
}

EXPORT int ftruncate(int fd, off_t n)
{
	return ftruncate64(fd, n);
}

EXPORT int rename(const char *a, const char *b)
{
	NEXT(int, rename, const char *, const char *);

	return ours_at(AT_FDCWD, a) && hit(NAMES, NULL) ? -1 : next(a, b);
}

EXPORT int renameat(int at, const char *a, int bt, const char *b)
{
	NEXT(int, renameat, int, const char *, int, const char *);

	return ours_at(at, a) && hit(NAMES, NULL) ? -1 : next(at, a, bt, b);
}

EXPORT int unlink(const char *a)
{
	NEXT(int, unlink, const char *);

	return ours_at(AT_FDCWD, a) && hit(NAMES, NULL) ? -1 : next(a);
}

EXPORT int unlinkat(int at, const char *a, int flags)
{
	NEXT(int, unlinkat, int, const char *, int);

	return ours_at(at, a) && hit(NAMES, NULL) ? -1 : next(at, a, flags);
}

EXPORT int mkdir(const char *a, mode_t mode)
{
	NEXT(int, mkdir, const char *, mode_t);

	return ours_at(AT_FDCWD, a) && hit(NAMES, NULL) ? -1 : next(a, mode);
}

EXPORT int clock_gettime(clockid_t id, struct timespec *t)
{
	NEXT(int, clock_gettime, clockid_t, struct timespec *);
	int r = next(id, t);

	if (r == 0 && fault && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		t->tv_sec += fault->clock_s;
	return r;
}

EXPORT time_t time(time_t *ret)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_REALTIME, &t);
	if (ret)
		*ret = t.tv_sec;
	return t.tv_sec;
}

EXPORT int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	struct timespec t = {0};
	int r = clock_gettime(CLOCK_REALTIME, &t);

	(void)zone;
	ret->tv_sec = t.tv_sec;
	ret->tv_usec = t.tv_nsec / 1000;
	return r;
}

static mode_t mode_of(int flags, va_list more)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;
}

EXPORT int openat64(int at, const char *a, int flags, ...)
{
	NEXT(int, openat64, int, const char *, int, ...);
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = mode_of(flags, more);
	va_end(more);
	if (flags & O_CREAT && ours_at(at, a) && hit(NAMES, NULL))
		return -1;
	return next(at, a, flags, mode);
}

EXPORT int openat(int at, const char *a, int flags, ...)
{
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = mode_of(flags, more);
	va_end(more);
	return openat64(at, a, flags, mode);
}

EXPORT int open64(const char *a, int flags, ...)
{
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = mode_of(flags, more);
	va_end(more);
	return openat64(AT_FDCWD, a, flags, mode);
}

EXPORT int open(const char *a, int flags, ...)
{
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = mode_of(flags, more);
	va_end(more);
	return openat64(AT_FDCWD, a, flags, mode);
}
