/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.c - write down in order what a program does to files (LD_PRELOAD)
 *
 * Every write, fallocate, truncation, sync, rename, creation and removal below SMISCSI_RECORD_DIR
 * by the one program whose name is SMISCSI_RECORD_PROGRAM becomes two records of the file
 * SMISCSI_RECORD: when it began, with all that it was to do, and when it had ended, with its
 * result.  From that a test can make every state that a power failure could have left at any
 * moment.  SMISCSI_RECORD_COUNT is a mapped file with the number of records so far, for whoever
 * wants to say "by now".
 *
 * Real syncs are slow and prove nothing here: they are recorded and not done.
 *
 * io_uring is recorded, too: a submission begins there, is waited for, and has ended there.  With
 * SMISCSI_RECORD_NO_RING the program is told that there is none.
 *
 * Threads: any.
 */
#undef _FILE_OFFSET_BITS /* both names of a call have their own definitions here */
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define NEXT(ret, name, ...)             \
	static ret (*next)(__VA_ARGS__); \
	if (!next)                       \
	*(void **)(&next) = dlsym(RTLD_NEXT, #name)

enum kind { END, WRITE, ZERO, TRUNCATE, SYNC, CREATE, RENAME, UNLINK };
enum { DSYNC = 1, RING = 2, FOLDER = 4 };

/* What follows it: len bytes of data of a WRITE, or the names of CREATE (1), UNLINK (1), RENAME
 * (2), each ended by a NUL.  Read by test_blocks.py. */
struct record {
	uint32_t kind, flags;
	uint64_t inode, offset, length;
	int64_t result; /* of END */
	uint64_t of;    /* of END: the number of the record that it ends */
	uint64_t more;  /* bytes that follow */
};

static struct {
	int fd;
	const char *dir;
	size_t dir_len;
	_Atomic uint64_t *count;
} rec = {.fd = -1};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void)
{
	const char *program = getenv("SMISCSI_RECORD_PROGRAM"), *file = getenv("SMISCSI_RECORD");
	const char *count = getenv("SMISCSI_RECORD_COUNT");
	void *p;
	int fd;

	rec.dir = getenv("SMISCSI_RECORD_DIR");
	if (!program || !file || !count || !rec.dir ||
	    strcmp(program, program_invocation_short_name) != 0)
		return;
	rec.dir_len = strlen(rec.dir);
	fd = open(count, O_RDWR | O_CLOEXEC);
	p = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		abort();
	(void)close(fd);
	rec.count = p;
	rec.fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
			      0600);
}

/* Append one record; returns its number. */
static uint64_t put(const struct record *r, const struct iovec *more, int n)
{
	struct iovec v[64] = {
		{(void *)(uintptr_t)r, sizeof(*r)}
        };
	uint64_t number;

	if (n > 63)
		abort();
	for (int i = 0; i < n; i++)
		v[i + 1] = more[i];
	(void)pthread_mutex_lock(&lock);
	number = *rec.count;
	if (syscall(SYS_writev, rec.fd, v, n + 1) != (long)(sizeof(*r) + r->more))
		abort();
	(void)atomic_fetch_add(rec.count, 1);
	(void)pthread_mutex_unlock(&lock);
	return number;
}

static void ended(uint64_t of, int64_t result)
{
	const struct record r = {.kind = END, .of = of, .result = result};
	int keep = errno;

	(void)put(&r, NULL, 0);
	errno = keep;
}

static bool below(const char *path)
{
	return rec.fd >= 0 && strncmp(path, rec.dir, rec.dir_len) == 0 &&
	       (path[rec.dir_len] == '/' || !path[rec.dir_len]);
}

/* Is fd a file or folder there?  Then its inode. */
static bool ours(int fd, struct stat *sb)
{
	char link[64], path[4096];
	ssize_t n;

	if (rec.fd < 0 || fstat(fd, sb) < 0 || (!S_ISREG(sb->st_mode) && !S_ISDIR(sb->st_mode)))
		return false;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return false;
	path[n] = '\0';
	return below(path);
}

static uint64_t total(const struct iovec *v, int n)
{
	uint64_t sum = 0;

	for (int i = 0; i < n; i++)
		sum += v[i].iov_len;
	return sum;
}

static uint64_t began_write(const struct stat *sb, const struct iovec *v, int n, off64_t at,
			    uint32_t flags)
{
	const struct record r = {.kind = WRITE,
				 .flags = flags,
				 .inode = sb->st_ino,
				 .offset = (uint64_t)at,
				 .length = total(v, n),
				 .more = total(v, n)};

	return put(&r, v, n);
}

static uint64_t began(enum kind kind, const struct stat *sb, off64_t at, off64_t length,
		      uint32_t flags)
{
	const struct record r = {.kind = (uint32_t)kind,
				 .flags = flags | (S_ISDIR(sb->st_mode) ? FOLDER : 0U),
				 .inode = sb->st_ino,
				 .offset = (uint64_t)at,
				 .length = (uint64_t)length};

	return put(&r, NULL, 0);
}

static uint64_t began_names(enum kind kind, uint64_t inode, const char *a, const char *b)
{
	const struct iovec v[2] = {
		{(void *)(uintptr_t)a, strlen(a) + 1        },
		{(void *)(uintptr_t)b, b ? strlen(b) + 1 : 0}
        };
	const struct record r = {.kind = (uint32_t)kind, .inode = inode, .more = total(v, 2)};

	return put(&r, v, 2);
}

/* ---- the calls ---- */

EXPORT ssize_t write(int fd, const void *p, size_t n)
{
	NEXT(ssize_t, write, int, const void *, size_t);
	const struct iovec v = {(void *)(uintptr_t)p, n};
	struct stat sb;
	uint64_t of;
	ssize_t r;

	if (!ours(fd, &sb))
		return next(fd, p, n);
	of = began_write(&sb, &v, 1, lseek(fd, 0, SEEK_CUR), 0);
	r = next(fd, p, n);
	ended(of, r);
	return r;
}

EXPORT ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	NEXT(ssize_t, pwrite64, int, const void *, size_t, off64_t);
	const struct iovec v = {(void *)(uintptr_t)p, n};
	struct stat sb;
	uint64_t of;
	ssize_t r;

	if (!ours(fd, &sb))
		return next(fd, p, n, at);
	of = began_write(&sb, &v, 1, at, 0);
	r = next(fd, p, n, at);
	ended(of, r);
	return r;
}

EXPORT ssize_t pwritev64v2(int fd, const struct iovec *v, int n, off64_t at, int flags)
{
	NEXT(ssize_t, pwritev64v2, int, const struct iovec *, int, off64_t, int);
	struct stat sb;
	uint64_t of;
	ssize_t r;

	if (!ours(fd, &sb))
		return next(fd, v, n, at, flags);
	of = began_write(&sb, v, n, at, flags & (RWF_DSYNC | RWF_SYNC) ? DSYNC : 0);
	r = next(fd, v, n, at, flags & ~(RWF_DSYNC | RWF_SYNC));
	ended(of, r);
	return r;
}

EXPORT int fallocate64(int fd, int mode, off64_t at, off64_t n)
{
	NEXT(int, fallocate64, int, int, off64_t, off64_t);
	struct stat sb;
	uint64_t of;
	int r;

	if (!ours(fd, &sb))
		return next(fd, mode, at, n);
	of = began(ZERO, &sb, at, n, 0);
	r = next(fd, mode, at, n);
	ended(of, r);
	return r;
}

EXPORT int ftruncate64(int fd, off64_t n)
{
	NEXT(int, ftruncate64, int, off64_t);
	struct stat sb;
	uint64_t of;
	int r;

	if (!ours(fd, &sb))
		return next(fd, n);
	of = began(TRUNCATE, &sb, 0, n, 0);
	r = next(fd, n);
	ended(of, r);
	return r;
}

static int sync_with(int (*next)(int), int fd)
{
	struct stat sb;

	if (!ours(fd, &sb))
		return next(fd);
	ended(began(SYNC, &sb, 0, 0, 0), 0);
	return 0;
}

EXPORT int fsync(int fd)
{
	NEXT(int, fsync, int);

	return sync_with(next, fd);
}

EXPORT int fdatasync(int fd)
{
	NEXT(int, fdatasync, int);

	return sync_with(next, fd);
}

EXPORT int rename(const char *a, const char *b)
{
	NEXT(int, rename, const char *, const char *);
	struct stat sb;
	uint64_t of;
	int r;

	if (!below(a) || stat(a, &sb) < 0)
		return next(a, b);
	of = began_names(RENAME, sb.st_ino, a, b);
	r = next(a, b);
	ended(of, r);
	return r;
}

EXPORT int unlink(const char *a)
{
	NEXT(int, unlink, const char *);
	struct stat sb;
	uint64_t of;
	int r;

	if (!below(a) || stat(a, &sb) < 0)
		return next(a);
	of = began_names(UNLINK, sb.st_ino, a, NULL);
	r = next(a);
	ended(of, r);
	return r;
}

/* Opening may make the file or empty it; which file it is, is known afterwards. */
static int opened(const char *a, int flags, mode_t mode)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, a, flags | O_LARGEFILE, mode);
	struct stat sb;

	if (fd >= 0 && flags & (O_CREAT | O_TRUNC) && below(a) && fstat(fd, &sb) == 0) {
		ended(began_names(CREATE, sb.st_ino, a, NULL), 0);
		if (flags & O_TRUNC)
			ended(began(TRUNCATE, &sb, 0, 0, 0), 0);
	}
	return fd;
}

EXPORT int open64(const char *a, int flags, ...)
{
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;
	va_end(more);
	return opened(a, flags, mode);
}

EXPORT int open(const char *a, int flags, ...)
{
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;
	va_end(more);
	return opened(a, flags, mode);
}

/* ---- io_uring ---- */

EXPORT int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
	NEXT(int, io_uring_queue_init, unsigned, struct io_uring *, unsigned);

	return getenv("SMISCSI_RECORD_NO_RING") ? -ENOSYS : next(entries, ring, flags);
}

static uint64_t began_sqe(struct io_uring_sqe *e, const struct stat *sb)
{
	const struct iovec *v = (const struct iovec *)(uintptr_t)e->addr;
	bool dsync = (uint32_t)e->rw_flags & (uint32_t)(RWF_DSYNC | RWF_SYNC);
	uint64_t data = e->user_data;

	switch (e->opcode) {
	case IORING_OP_WRITEV:
		e->rw_flags = 0;
		return began_write(sb, v, (int)e->len, (off64_t)e->off,
				   RING | (dsync ? DSYNC : 0U));
	case IORING_OP_FSYNC:
		io_uring_prep_nop(e);
		e->user_data = data;
		return began(SYNC, sb, 0, 0, RING);
	case IORING_OP_FALLOCATE: /* the length is where others have an address */
		return began(ZERO, sb, (off64_t)e->off, (off64_t)e->addr, RING);
	case IORING_OP_READV:
		return UINT64_MAX;
	default:
		abort(); /* the program has learned something that we must, too */
	}
}

EXPORT int io_uring_submit(struct io_uring *ring)
{
	NEXT(int, io_uring_submit, struct io_uring *);
	enum { MOST = 512 };
	struct {
		uint64_t data, of;
	} at[MOST];
	unsigned n = 0, ready = io_uring_cq_ready(ring);
	const struct io_uring_sq *q = &ring->sq;
	struct io_uring_cqe *cqe;
	struct stat sb;
	int r;

	for (unsigned i = q->sqe_head; rec.fd >= 0 && i != q->sqe_tail; i++) {
		struct io_uring_sqe *e = &q->sqes[i & *q->kring_mask];

		if (n == MOST)
			abort();
		at[n].data = e->user_data;
		at[n++].of = ours(e->fd, &sb) ? began_sqe(e, &sb) : UINT64_MAX;
	}
	r = next(ring);
	if (n == 0)
		return r;
	if (r != (int)n || io_uring_wait_cqe_nr(ring, &cqe, ready + n) < 0)
		abort();
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < ready + n; k++) {
			const struct io_uring_cq *c = &ring->cq;

			cqe = &c->cqes[(*c->khead + k) & *c->kring_mask];
			if (at[i].of != UINT64_MAX && k >= ready && cqe->user_data == at[i].data)
				ended(at[i].of, cqe->res);
		}
	return r;
}
