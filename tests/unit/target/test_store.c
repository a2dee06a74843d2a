/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/store.h"
#include "test.h"

enum { SIZE = 4 << 20, BS = 512 };

/* What the ways of a request have in common: where the store is, who answers. */
static const struct {
	const char *dir; /* NULL: memory */
	enum store_loop_kind kind;
} ways[] = {
	{".",        STORE_LOOP_DEFAULT},
	{".",        STORE_LOOP_THREADS},
	{"/dev/shm", STORE_LOOP_DEFAULT},
	{NULL,       STORE_LOOP_DEFAULT},
};

struct place {
	char path[64];
	struct store *s;
	struct store_loop *l;
};

static void place_open(struct place *p, size_t way)
{
	struct err e = {0};
	struct store_params sp = {.path = p->path, .size = SIZE, .block_size = BS};

	*p = (struct place){0};
	if (ways[way].dir) {
		int fd;

		(void)snprintf(p->path, sizeof(p->path), "%s/smiscsi-store-XXXXXX", ways[way].dir);
		fd = mkstemp(p->path);
		if (fd >= 0)
			(void)close(fd);
		p->s = store_file_open(&sp, &e);
	} else {
		p->s = store_memory_open(&sp, &e);
	}
	CHECK_STR(e.text, "");
	p->l = store_loop_new(ways[way].kind, &e);
	if (!p->s || !p->l)
		abort();
}

static void place_close(struct place *p)
{
	store_loop_free(p->l);
	store_free(p->s);
	if (p->path[0])
		(void)unlink(p->path);
}

static void done(struct blockdev_rq *rq)
{
	rq->loop = NULL;
}

static void wait_for(struct store_loop *l, struct blockdev_rq *rq)
{
	while (rq->loop) {
		struct pollfd p = {.fd = store_loop_fd(l), .events = POLLIN};

		if (poll(&p, 1, 10000) != 1)
			abort();
		store_loop_reap(l);
	}
}

static int request(struct place *p, enum blockdev_op op, uint64_t at, void *buf, size_t len,
		   unsigned flags)
{
	struct blockdev *d = store_blockdev(p->s);
	struct iovec iov[2] = {
		{buf,                   len / 2      },
                {(char *)buf + len / 2, len - len / 2}
        };
	struct blockdev_rq rq = {.op = op,
				 .offset = at,
				 .length = len,
				 .iov = iov,
				 .n_iov = buf ? 2 : 0,
				 .flags = flags,
				 .loop = p->l,
				 .done = done};

	if (d->ops->submit(d, &rq) == BLOCKDEV_PENDING)
		wait_for(p->l, &rq);
	CHECK_INT(store_loop_pending(p->l), 0);
	return rq.result;
}

static bool all(const uint8_t *p, size_t n, uint8_t v)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != v)
			return false;
	return true;
}

TEST(what_is_written_is_read_and_what_is_discarded_reads_zeroes)
{
	static uint8_t w[256 << 10], r[256 << 10];

	for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
		struct place p;
		struct blockdev *d;
		bool allocated = false;
		uint64_t len = 0;

		place_open(&p, way);
		d = store_blockdev(p.s);
		CHECK_INT(d->size_bytes, SIZE);
		memset(w, 7, sizeof(w));
		CHECK_INT(request(&p, BLOCKDEV_READ, SIZE - sizeof(r), r, sizeof(r), 0), 0);
		CHECK(all(r, sizeof(r), 0));
		CHECK_INT(request(&p, BLOCKDEV_WRITE, 4096, w, sizeof(w), 0), 0);
		CHECK_INT(request(&p, BLOCKDEV_WRITE, 1 << 20, w, sizeof(w), BLOCKDEV_FUA), 0);
		CHECK_INT(request(&p, BLOCKDEV_FLUSH, 0, NULL, 0, 0), 0);
		CHECK_INT(request(&p, BLOCKDEV_READ, 4096, r, sizeof(r), 0), 0);
		CHECK(all(r, sizeof(r), 7));
		CHECK_INT(request(&p, BLOCKDEV_READ, 1 << 20, r, sizeof(r), 0), 0);
		CHECK(all(r, sizeof(r), 7));
		CHECK(d->thin);
		CHECK_INT(request(&p, BLOCKDEV_DISCARD, 1 << 20, NULL, 128 << 10, 0), 0);
		CHECK_INT(request(&p, BLOCKDEV_WRITE_ZEROES, (1 << 20) + (128 << 10), NULL, 512, 0),
			  0);
		CHECK_INT(request(&p, BLOCKDEV_READ, 1 << 20, r, sizeof(r), 0), 0);
		CHECK(all(r, (128 << 10) + 512, 0));
		CHECK(all(r + (128 << 10) + 512, (128 << 10) - 512, 7));
		CHECK_INT(d->ops->allocated(d, 1 << 20, &allocated, &len), 0);
		CHECK(!allocated && len == 128 << 10);
		CHECK_INT(d->ops->allocated(d, (1 << 20) + (128 << 10), &allocated, &len), 0);
		CHECK(allocated);
		place_close(&p);
	}
}

TEST(many_requests_at_once_all_come_back)
{
	enum { N = 600 };
	static uint8_t buf[N][BS];

	for (size_t way = 0; way < 2; way++) {
		static struct blockdev_rq rq[N];
		static struct iovec iov[N];
		struct place p;
		struct blockdev *d;
		unsigned pending = 0;

		place_open(&p, way);
		d = store_blockdev(p.s);
		for (size_t i = 0; i < N; i++) {
			memset(buf[i], (int)i, BS);
			iov[i] = (struct iovec){buf[i], BS};
			rq[i] = (struct blockdev_rq){.op = BLOCKDEV_WRITE,
						     .flags = i % 16 ? 0 : BLOCKDEV_FUA,
						     .offset = i * BS,
						     .length = BS,
						     .iov = &iov[i],
						     .n_iov = 1,
						     .loop = p.l,
						     .done = done};
			if (d->ops->submit(d, &rq[i]) == BLOCKDEV_PENDING)
				pending++;
			else
				rq[i].loop = NULL;
		}
		CHECK(pending > 0);
		for (size_t i = 0; i < N; i++) {
			wait_for(p.l, &rq[i]);
			CHECK_INT(rq[i].result, 0);
		}
		for (size_t i = 0; i < N; i++) {
			uint8_t r[BS];

			CHECK_INT(request(&p, BLOCKDEV_READ, i * BS, r, BS, 0), 0);
			CHECK(all(r, BS, (uint8_t)i));
		}
		place_close(&p);
	}
}

struct poster {
	struct place *p;
	struct blockdev_rq *rq;
};

static void *poster_main(void *arg)
{
	struct poster *x = arg;
	struct blockdev *d = store_blockdev(x->p->s);

	for (int i = 0; i < 100; i++)
		d->ops->post(d, &x->rq[i]);
	return NULL;
}

TEST(what_another_thread_posts_is_done_by_the_loop)
{
	struct place p;
	struct blockdev_rq rq[100];
	struct poster x = {&p, rq};
	pthread_t t;

	place_open(&p, 0);
	for (size_t i = 0; i < ARRAY_SIZE(rq); i++)
		rq[i] = (struct blockdev_rq){.loop = p.l, .done = done};
	CHECK_INT(pthread_create(&t, NULL, poster_main, &x), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rq); i++)
		wait_for(p.l, &rq[i]);
	CHECK_INT(pthread_join(t, NULL), 0);
	CHECK_INT(store_loop_pending(p.l), 0);
	place_close(&p);
}

/* What a system call finds there, as sendmsg() would; -1 and errno when nothing. */
static ssize_t copied(const uint8_t *from, uint8_t *to, size_t n)
{
	int fd[2];
	ssize_t r;

	if (pipe(fd) < 0)
		abort();
	r = write(fd[1], from, n);
	if (r > 0)
		r = read(fd[0], to, (size_t)r);
	(void)close(fd[0]);
	(void)close(fd[1]);
	return r;
}

static uint64_t memory_of(const struct place *p)
{
	struct stat st = {0};

	(void)stat(p->path, &st);
	return (uint64_t)st.st_blocks * 512;
}

TEST(memory_lends_what_was_written_and_no_holes)
{
	static uint8_t w[64 << 10], r[64 << 10];

	memset(w, 9, sizeof(w));
	for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
		const uint8_t *at;
		struct blockdev *d;
		struct place p;

		place_open(&p, way);
		d = store_blockdev(p.s);
		if (way < 2) { /* a disk's page cache is nobody's to point at */
			CHECK(d->ops->lend == NULL);
			place_close(&p);
			continue;
		}
		CHECK(d->ops->lend(d, 0, 512) == NULL);
		CHECK_INT(request(&p, BLOCKDEV_WRITE, 1 << 20, w, sizeof(w), 0), 0);
		CHECK_INT(request(&p, BLOCKDEV_WRITE, 512, w, 512, 0), 0);
		at = d->ops->lend(d, (1 << 20) + 512, 32 << 10);
		CHECK(at && copied(at, r, 32 << 10) == 32 << 10 && all(r, 32 << 10, 9));
		at = d->ops->lend(d, 0,
				  4096); /* the page is there, though it was not written whole */
		CHECK(at && copied(at, r, 4096) == 4096 && all(r, 512, 0) && all(r + 512, 512, 9));
		CHECK(d->ops->lend(d, (1 << 20) - 512, 1024) == NULL);
		CHECK(d->ops->lend(d, (1 << 20) + sizeof(w) - 512, 1024) == NULL);
		if (p.path[0])
			CHECK_INT(memory_of(&p), sizeof(w) + 4096); /* nobody filled a hole */
		CHECK_INT(request(&p, BLOCKDEV_DISCARD, (1 << 20) + 4096, NULL, 8192, 0), 0);
		CHECK(d->ops->lend(d, 1 << 20, 4096) != NULL);
		CHECK(d->ops->lend(d, (1 << 20) + 4096, 512) == NULL);
		CHECK(d->ops->lend(d, (1 << 20) + 8192, 512) == NULL);
		CHECK(d->ops->lend(d, (1 << 20) + 12288, 4096) != NULL);
		place_close(&p);
	}
}

TEST(memory_is_lent_from_the_start_when_there_was_something_and_after_growing)
{
	struct store_params sp = {.block_size = BS, .size = SIZE};
	struct err e = {0};
	const uint8_t *at;
	struct blockdev *d;
	uint8_t w[1024], r[1024];
	struct place p;

	place_open(&p, 2);
	memset(w, 9, sizeof(w));
	CHECK_INT(request(&p, BLOCKDEV_WRITE, 8192, w, sizeof(w), 0), 0);
	store_free(p.s);
	sp.path = p.path;
	p.s = store_file_open(&sp, &e);
	d = store_blockdev(p.s);
	at = d->ops->lend(d, 8192 + 512, 512);
	CHECK(at && copied(at, r, 512) == 512 && all(r, 512, 9));
	CHECK(d->ops->lend(d, 4096, 512) == NULL);
	CHECK_INT(store_resize(p.s, SIZE + 8192 + 512, &e), 0);
	CHECK_INT(request(&p, BLOCKDEV_WRITE, SIZE - 512, w, sizeof(w), 0), 0);
	CHECK_INT(request(&p, BLOCKDEV_WRITE, SIZE + 8192 - 512, w, sizeof(w), 0), 0);
	at = d->ops->lend(d, SIZE + 8192 - 512, 1024);
	CHECK(at && copied(at, r, 1024) == 1024 && all(r, 1024, 9));
	at = d->ops->lend(d, SIZE - 512, 512);
	CHECK(at && copied(at, r, 512) == 512 && all(r, 512, 9));
	CHECK_INT(request(&p, BLOCKDEV_READ, SIZE - 512, r, 1024, 0), 0); /* over the joint */
	CHECK(all(r, 1024, 9));
	place_close(&p);
}

TEST(memory_that_somebody_cut_off_is_an_error_and_no_signal)
{
	struct blockdev *d;
	uint8_t w[512] = {1}, r[512];
	const uint8_t *at;
	struct place p;

	place_open(&p, 2);
	d = store_blockdev(p.s);
	CHECK_INT(request(&p, BLOCKDEV_WRITE, SIZE - 512, w, 512, 0), 0);
	CHECK_INT(truncate(p.path, 4096), 0);
	at = d->ops->lend(d, SIZE - 512, 512);
	CHECK(at && copied(at, r, 512) == -1 && errno == EFAULT);
	CHECK_INT(request(&p, BLOCKDEV_READ, SIZE - 512, r, 512, 0), -EIO);
	CHECK(d->ops->lend(d, SIZE - 512, 512) == NULL);
	place_close(&p);
}

TEST(a_file_is_opened_once_grows_and_never_shrinks)
{
	struct place p;
	struct err e = {0};
	struct store_params sp = {.path = p.path, .block_size = BS};
	struct stat st;

	place_open(&p, 0);
	CHECK(store_file_open(&sp, &e) == NULL);
	CHECK_INT(e.code, -EBUSY);
	CHECK_INT(store_resize(p.s, SIZE * 2, &e), 0);
	CHECK_INT(store_blockdev(p.s)->size_bytes, SIZE * 2);
	CHECK_INT(store_resize(p.s, SIZE, &e), -EINVAL);
	CHECK_INT(stat(p.path, &st), 0);
	CHECK_INT(st.st_size, SIZE * 2);
	CHECK_INT(st.st_mode & 0777, 0600);
	store_free(p.s);
	sp.size = SIZE;
	p.s = store_file_open(&sp, &e); /* a smaller size than the file's: as much is shown */
	CHECK_INT(store_blockdev(p.s)->size_bytes, SIZE);
	place_close(&p);
}

TEST(what_can_not_be_a_store_is_refused_with_a_reason)
{
	static const struct {
		struct store_params p;
		int code;
	} bad[] = {
		{{.path = ".", .block_size = 512},              -EISDIR},
		{{.path = "/dev/null", .block_size = 512},      -EINVAL},
		{{.path = "/nowhere/x", .block_size = 512},     -ENOENT},
		{{.path = "x", .block_size = 1000},             -EINVAL},
		{{.path = "x", .block_size = 512, .size = 513}, -EINVAL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = {0};

		CHECK(store_file_open(&bad[i].p, &e) == NULL);
		CHECK_INT(e.code, bad[i].code);
		CHECK(e.text[0] != '\0');
	}
}
