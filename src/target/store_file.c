/* SPDX-License-Identifier: Apache-2.0 */
/* Files and block devices as stores, and what memory shares with them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "target/store_impl.h"

/*
 * The kernel throttles who dirties pages too fast by up to 200 ms at a time.  An inline write that
 * took SLOW_WRITE_NS was throttled or only preempted; for a while after one the writes are
 * looked at more closely, and one that is slow again and gave up the processor of its own accord
 * was throttled: then the loop isn't made to wait for the next SLOW_PAUSE_NS.
 */
enum {
	SLOW_WRITE_NS = 5000000,
	SUSPECT_NS = 100000000,
	SLOW_PAUSE_NS = 500000000,
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

void store_advance(struct blockdev_rq *rq, size_t n)
{
	rq->impl_int += (int)n;
	while (n > 0) {
		size_t k = n < rq->iov->iov_len ? n : rq->iov->iov_len;

		rq->iov->iov_base = (char *)rq->iov->iov_base + k;
		rq->iov->iov_len -= k;
		n -= k;
		if (rq->iov->iov_len == 0 && rq->n_iov > 1) {
			rq->iov++;
			rq->n_iov--;
		}
	}
}

/* ---- carried out here and now ---- */

/* All of a read or write.  0, or what stopped it: -EAGAIN and -EOPNOTSUPP say that flags keep it
 * from going on; rq tells how far it came. */
static int move(const struct store *s, struct blockdev_rq *rq, int flags)
{
	while ((uint64_t)rq->impl_int < rq->length) {
		off_t at = (off_t)(rq->offset + (unsigned)rq->impl_int);
		ssize_t n = rq->op == BLOCKDEV_READ
				    ? preadv2(s->fd, rq->iov, rq->n_iov, at, flags)
				    : pwritev2(s->fd, rq->iov, rq->n_iov, at, flags);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		store_advance(rq, (size_t)n);
	}
	return 0;
}

static int write_zeroes(const struct store *s, const struct blockdev_rq *rq)
{
	static const char zeroes[1 << 16];
	off_t at = (off_t)rq->offset;
	uint64_t left = rq->length;

	store_map_punching(&s->maps, rq->offset, rq->length); /* it may do it by punching */
	if (fallocate(s->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, at, (off_t)left) == 0)
		return 0;
	if (errno != EOPNOTSUPP)
		return -errno;
	while (left > 0) {
		ssize_t n = pwrite(s->fd, zeroes, left < sizeof(zeroes) ? left : sizeof(zeroes),
				   at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		left -= (uint64_t)n;
	}
	return 0;
}

static int punch(const struct store *s, const struct blockdev_rq *rq)
{
	store_map_punching(&s->maps, rq->offset, rq->length);
	if (fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)rq->offset,
		      (off_t)rq->length) == 0)
		return 0;
	/* Space can't be given back here; that it reads as zeroes is still promised. */
	return errno == EOPNOTSUPP ? write_zeroes(s, rq) : -errno;
}

int store_perform(struct store *s, struct blockdev_rq *rq)
{
	int r = -EINVAL;

	switch (rq->op) {
	case BLOCKDEV_READ:
		r = move(s, rq, 0);
		if (r < 0) /* cut off by somebody: the next one shall hear of it, too */
			store_map_punching(&s->maps, rq->offset, rq->length);
		break;
	case BLOCKDEV_WRITE:
		r = move(s, rq, (rq->flags & BLOCKDEV_FUA) && !s->in_memory ? RWF_DSYNC : 0);
		if (r == 0)
			store_map_written(&s->maps, rq->offset, rq->length);
		break;
	case BLOCKDEV_FLUSH:
		r = s->in_memory || fdatasync(s->fd) == 0 ? 0 : -errno;
		break;
	case BLOCKDEV_DISCARD:
		r = punch(s, rq);
		break;
	case BLOCKDEV_WRITE_ZEROES:
		r = write_zeroes(s, rq);
		break;
	}
	return r;
}

/* ---- submit ---- */

static long voluntary_sleeps(void)
{
	struct rusage u = {0};

	(void)getrusage(RUSAGE_THREAD, &u);
	return u.ru_nvcsw;
}

/* What the page cache has is answered now. */
static bool try_read(struct store *s, struct blockdev_rq *rq)
{
	int r;

	if (!__atomic_load_n(&s->nowait_reads, __ATOMIC_RELAXED))
		return false;
	r = move(s, rq, RWF_NOWAIT);
	if (r == -EOPNOTSUPP)
		__atomic_store_n(&s->nowait_reads, false, __ATOMIC_RELAXED);
	rq->result = r;
	return r != -EAGAIN && r != -EOPNOTSUPP;
}

/*
 * A write that only has to reach the page cache is done now, too.  Where the file system can't
 * promise not to block (ext4), it is done all the same: a hand-over costs more than nearly every
 * such write.  One that did block (dirty page throttling) sends the next ones through the loop.
 */
static bool try_write(struct store *s, struct blockdev_rq *rq)
{
	uint64_t before, after;
	bool suspect;
	long sleeps;
	int r;

	if (rq->flags & BLOCKDEV_FUA)
		return false;
	if (__atomic_load_n(&s->nowait_writes, __ATOMIC_RELAXED)) {
		r = move(s, rq, RWF_NOWAIT);
		if (r == -EAGAIN)
			return false;
		if (r != -EOPNOTSUPP) {
			rq->result = r;
			return true;
		}
		__atomic_store_n(&s->nowait_writes, false, __ATOMIC_RELAXED);
	}
	before = now_ns();
	if (before < __atomic_load_n(&s->slow_until, __ATOMIC_RELAXED))
		return false;
	suspect = before < __atomic_load_n(&s->suspect_until, __ATOMIC_RELAXED);
	sleeps = suspect ? voluntary_sleeps() : 0;
	rq->result = move(s, rq, 0);
	after = now_ns();
	if (after - before < SLOW_WRITE_NS)
		return true;
	__atomic_store_n(&s->suspect_until, after + SUSPECT_NS, __ATOMIC_RELAXED);
	if (suspect && voluntary_sleeps() > sleeps)
		__atomic_store_n(&s->slow_until, after + SLOW_PAUSE_NS, __ATOMIC_RELAXED);
	return true;
}

static enum blockdev_submit submit(struct blockdev *d, struct blockdev_rq *rq)
{
	struct store *s = container_of(d, struct store, dev);

	rq->impl_int = 0;
	rq->result = 0;
	if (s->in_memory) {
		rq->result = store_perform(s, rq);
		return BLOCKDEV_DONE;
	}
	if (rq->op == BLOCKDEV_READ && try_read(s, rq))
		return BLOCKDEV_DONE;
	if (rq->op == BLOCKDEV_WRITE && try_write(s, rq))
		return BLOCKDEV_DONE;
	rq->result = 0;
	store_loop_start(rq->loop, s, rq);
	return BLOCKDEV_PENDING;
}

static const uint8_t *lend(struct blockdev *d, uint64_t offset, uint64_t length)
{
	return store_map_find(&container_of(d, struct store, dev)->maps, offset, length);
}

static void post(struct blockdev *d, struct blockdev_rq *rq)
{
	(void)d;
	store_loop_post(rq->loop, rq);
}

static int allocated(struct blockdev *d, uint64_t offset, bool *ret_allocated, uint64_t *ret_len)
{
	struct store *s = container_of(d, struct store, dev);
	uint64_t size = __atomic_load_n(&d->size_bytes, __ATOMIC_RELAXED);
	off_t data, end;

	if (s->is_block) { /* the kernel can't say: all of it, then */
		*ret_allocated = true;
		*ret_len = size - offset;
		return 0;
	}
	data = lseek(s->fd, (off_t)offset, SEEK_DATA);
	if (data < 0 && errno != ENXIO)
		return -errno;
	if (data < 0 || (uint64_t)data > offset) {
		*ret_allocated = false;
		*ret_len = (data < 0 || (uint64_t)data > size ? size : (uint64_t)data) - offset;
		return 0;
	}
	end = lseek(s->fd, (off_t)offset, SEEK_HOLE);
	if (end < 0)
		return -errno;
	*ret_allocated = true;
	*ret_len = ((uint64_t)end > size ? size : (uint64_t)end) - offset;
	return 0;
}

/* ---- opening ---- */

static const struct blockdev_ops ops = {.submit = submit, .allocated = allocated, .post = post};
static const struct blockdev_ops memory_ops = {
	.submit = submit, .allocated = allocated, .post = post, .lend = lend};

struct store *store_new(int fd, const struct store_params *p, uint64_t size, bool in_memory)
{
	struct store *s = xcalloc(1, sizeof(*s));

	s->fd = fd;
	s->in_memory = in_memory;
	if (in_memory)
		store_map_add(&s->maps, fd, 0, size);
	s->dev = (struct blockdev){
		.ops = in_memory ? &memory_ops : &ops,
		.size_bytes = size,
		.block_size = p->block_size,
		.read_only = p->read_only,
	};
	return s;
}

static int lock_whole(int fd, const struct store_params *p, struct err *e)
{
	struct flock l = {.l_type = p->read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_OFD_SETLK, &l) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return err_set(e, -EBUSY, "%s is in use by another unit or process", p->path);
	return err_sys(e, "lock %s", p->path);
}

/* The size there is and the size there shall be; grows a file. */
static int settle_size(int fd, const struct stat *st, const struct store_params *p,
		       uint64_t *ret_size, struct err *e)
{
	uint64_t have = (uint64_t)st->st_size;

	if (S_ISBLK(st->st_mode) && ioctl(fd, BLKGETSIZE64, &have) < 0)
		return err_sys(e, "ask the size of %s", p->path);
	if (p->size > have && (S_ISBLK(st->st_mode) || p->read_only))
		return err_set(e, -EINVAL, "%s has %ju bytes, %ju are wanted", p->path,
			       (uintmax_t)have, (uintmax_t)p->size);
	if (p->size > have && ftruncate(fd, (off_t)p->size) < 0)
		return err_sys(e, "grow %s to %ju bytes", p->path, (uintmax_t)p->size);
	*ret_size = p->size ? p->size : have / p->block_size * p->block_size;
	if (*ret_size == 0)
		return err_set(e, -EINVAL, "%s is empty", p->path);
	return 0;
}

static bool params_valid(const struct store_params *p, struct err *e)
{
	if ((p->block_size == 512 || p->block_size == 4096) && p->size % p->block_size == 0 &&
	    p->size <= INT64_MAX)
		return true;
	(void)err_set(e, -EINVAL,
		      "a unit has blocks of 512 or 4096 bytes and a size that is a multiple");
	return false;
}

/* Punching behind the end changes nothing, and tells whether it could. */
static bool can_punch(int fd, uint64_t size)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)size, 4096) == 0;
}

struct store *store_file_open(const struct store_params *p, struct err *e)
{
	int flags = (p->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;
	auto_fd int fd = -1;
	struct store *s;
	struct statfs fs;
	struct stat st;
	uint64_t size;

	if (!params_valid(p, e))
		return NULL;
	fd = open(p->path, flags);
	if (fd < 0 || fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0) {
		(void)err_sys(e, "open %s", p->path);
		return NULL;
	}
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		(void)err_set(e, -EINVAL, "%s is neither a file nor a block device", p->path);
		return NULL;
	}
	if (p->block && !S_ISBLK(st.st_mode)) {
		(void)err_set(e, -ENOTBLK, "%s is not a block device", p->path);
		return NULL;
	}
	if (S_ISBLK(st.st_mode)) {
		/* O_EXCL keeps out mounts, other mappings and ourselves; it means something else
		 * for files, so what it is had to be known first. */
		(void)close(fd);
		fd = open(p->path, flags | O_EXCL);
		if (fd < 0 || fstat(fd, &st) < 0) {
			(void)err_sys(e, "open %s alone", p->path);
			return NULL;
		}
	}
	if (lock_whole(fd, p, e) < 0 || settle_size(fd, &st, p, &size, e) < 0)
		return NULL;
	/* The file and its size must survive what it will be told to keep. */
	if (!p->read_only && fsync(fd) < 0) {
		(void)err_sys(e, "sync %s", p->path);
		return NULL;
	}
	s = store_new(fd, p, size, S_ISREG(st.st_mode) && fs.f_type == TMPFS_MAGIC);
	fd = -1;
	s->is_block = S_ISBLK(st.st_mode);
	s->nowait_reads = s->nowait_writes = true;
	s->dev.volatile_cache = !s->in_memory;
	/* A device says what it can do only when it is done to it: ask the queue's limits? they
	 * may change under dm.  Discards that fail are replaced by zeroes, so claiming is safe. */
	s->dev.thin = !p->read_only && (s->is_block || can_punch(s->fd, size));
	return s;
}

struct blockdev *store_blockdev(struct store *s)
{
	return &s->dev;
}

int store_resize(struct store *s, uint64_t size, struct err *e)
{
	uint64_t have = s->dev.size_bytes, there = 0;

	if (size < have || size % s->dev.block_size || size > INT64_MAX)
		return err_set(e, -EINVAL, "a unit of %ju bytes can't get %ju", (uintmax_t)have,
			       (uintmax_t)size);
	if (s->is_block) {
		if (ioctl(s->fd, BLKGETSIZE64, &there) < 0)
			return err_sys(e, "ask the size of the device");
		if (there < size)
			return err_set(e, -EINVAL, "the device has %ju bytes, %ju are wanted",
				       (uintmax_t)there, (uintmax_t)size);
	} else if (size > have && (ftruncate(s->fd, (off_t)size) < 0 || fsync(s->fd) < 0)) {
		return err_sys(e, "grow to %ju bytes", (uintmax_t)size);
	}
	if (s->in_memory && size > have)
		store_map_add(&s->maps, s->fd, have, size);
	__atomic_store_n(&s->dev.size_bytes, size, __ATOMIC_RELEASE);
	return 0;
}

void store_free(struct store *s)
{
	if (!s)
		return;
	store_map_free(s->maps);
	(void)close(s->fd);
	free(s);
}
