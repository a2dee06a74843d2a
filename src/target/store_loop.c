/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that can't be answered at once: io_uring, or a few threads. */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "target/store_impl.h"

enum { RING_ENTRIES = 256, WORKERS = 4 };

struct queue {
	struct blockdev_rq *first, **end;
};

struct store_loop {
	int fd; /* eventfd: the ring's completions, finished workers, posts */
	bool has_ring;
	struct io_uring ring;
	unsigned pending; /* atomic: submitted or posted, done() not called yet */
	/* the rest is guarded by lock */
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct queue todo, finished;
	bool stop;
	unsigned n_workers;
	pthread_t worker[WORKERS];
};

/* blockdev_rq.impl[0] is the store */
static void enqueue(struct queue *q, struct blockdev_rq *rq)
{
	rq->next = NULL;
	if (!q->first)
		q->first = rq;
	else
		*q->end = rq;
	q->end = &rq->next;
}

static struct blockdev_rq *dequeue(struct queue *q)
{
	struct blockdev_rq *rq = q->first;

	if (rq)
		q->first = rq->next;
	return rq;
}

static void ring_bell(struct store_loop *l)
{
	uint64_t one = 1;

	/* Fails only when the counter is full, and then the bell rings anyway. */
	(void)!write(l->fd, &one, sizeof(one));
}

static void finish_elsewhere(struct store_loop *l, struct blockdev_rq *rq)
{
	bool first;

	(void)pthread_mutex_lock(&l->lock);
	first = !l->finished.first;
	enqueue(&l->finished, rq);
	(void)pthread_mutex_unlock(&l->lock);
	if (first)
		ring_bell(l);
}

/* ---- threads ---- */

static void *worker_main(void *arg)
{
	struct store_loop *l = arg;

	(void)pthread_mutex_lock(&l->lock);
	for (;;) {
		struct blockdev_rq *rq = dequeue(&l->todo);

		if (!rq) {
			if (l->stop)
				break;
			(void)pthread_cond_wait(&l->work, &l->lock);
			continue;
		}
		(void)pthread_mutex_unlock(&l->lock);
		rq->result = store_perform(rq->impl[0], rq);
		finish_elsewhere(l, rq);
		(void)pthread_mutex_lock(&l->lock);
	}
	(void)pthread_mutex_unlock(&l->lock);
	return NULL;
}

static void hand_to_worker(struct store_loop *l, struct blockdev_rq *rq)
{
	(void)pthread_mutex_lock(&l->lock);
	/* The first few requests bring their thread along. */
	if (l->n_workers < WORKERS &&
	    pthread_create(&l->worker[l->n_workers], NULL, worker_main, l) == 0)
		l->n_workers++;
	enqueue(&l->todo, rq);
	(void)pthread_cond_signal(&l->work);
	(void)pthread_mutex_unlock(&l->lock);
}

/* ---- ring ---- */

static bool ring_prepare(struct io_uring_sqe *sqe, const struct store *s,
			 const struct blockdev_rq *rq)
{
	uint64_t at = rq->offset + (unsigned)rq->impl_int;

	switch (rq->op) {
	case BLOCKDEV_READ:
		io_uring_prep_readv(sqe, s->fd, rq->iov, (unsigned)rq->n_iov, at);
		return true;
	case BLOCKDEV_WRITE:
		io_uring_prep_writev2(sqe, s->fd, rq->iov, (unsigned)rq->n_iov, at,
				      rq->flags & BLOCKDEV_FUA ? RWF_DSYNC : 0);
		return true;
	case BLOCKDEV_FLUSH:
		io_uring_prep_fsync(sqe, s->fd, IORING_FSYNC_DATASYNC);
		return true;
	case BLOCKDEV_DISCARD:
		io_uring_prep_fallocate(sqe, s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					(off_t)rq->offset, (off_t)rq->length);
		return true;
	case BLOCKDEV_WRITE_ZEROES:
		return false; /* has fallbacks of its own in store_perform */
	}
	return false;
}

void store_loop_start(struct store_loop *l, struct store *s, struct blockdev_rq *rq)
{
	struct io_uring_sqe *sqe;

	(void)__atomic_add_fetch(&l->pending, 1, __ATOMIC_RELAXED);
	rq->impl[0] = s;
	if (!l->has_ring || rq->op == BLOCKDEV_WRITE_ZEROES) {
		hand_to_worker(l, rq);
		return;
	}
	sqe = io_uring_get_sqe(&l->ring);
	if (!sqe) {
		(void)io_uring_submit(&l->ring);
		sqe = io_uring_get_sqe(&l->ring);
	}
	if (!sqe || !ring_prepare(sqe, s, rq)) {
		hand_to_worker(l, rq);
		return;
	}
	io_uring_sqe_set_data(sqe, rq);
	/* A submission that fails now (-EBUSY, -EAGAIN) stays in the queue; reap tries again. */
	if (io_uring_submit(&l->ring) < 0)
		ring_bell(l);
}

void store_loop_post(struct store_loop *l, struct blockdev_rq *rq)
{
	(void)__atomic_add_fetch(&l->pending, 1, __ATOMIC_RELAXED);
	finish_elsewhere(l, rq);
}

static void complete(struct store_loop *l, struct blockdev_rq *rq)
{
	(void)__atomic_sub_fetch(&l->pending, 1, __ATOMIC_RELAXED);
	rq->done(rq);
}

/* What the ring answered to one request: finished, or to be continued. */
static void ring_answered(struct store_loop *l, struct blockdev_rq *rq, int res)
{
	struct store *s = rq->impl[0];
	bool again = res == -EAGAIN || res == -EINTR;

	if (res > 0 && (rq->op == BLOCKDEV_READ || rq->op == BLOCKDEV_WRITE)) {
		store_advance(rq, (size_t)res);
		again = (uint64_t)rq->impl_int < rq->length;
	} else if (res == 0 && (rq->op == BLOCKDEV_READ || rq->op == BLOCKDEV_WRITE)) {
		res = -EIO; /* the file is shorter than it was */
	}
	if (again) {
		(void)__atomic_sub_fetch(&l->pending, 1, __ATOMIC_RELAXED);
		store_loop_start(l, s, rq);
		return;
	}
	if (res == -EOPNOTSUPP || res == -EINVAL) { /* not through the ring, then by hand */
		hand_to_worker(l, rq);
		return;
	}
	rq->result = res < 0 ? res : 0;
	complete(l, rq);
}

static void ring_reap(struct store_loop *l)
{
	struct io_uring_cqe *cqe;

	if (io_uring_sq_ready(&l->ring) > 0)
		(void)io_uring_submit(&l->ring);
	while (io_uring_peek_cqe(&l->ring, &cqe) == 0 && cqe) {
		struct blockdev_rq *rq = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&l->ring, cqe);
		ring_answered(l, rq, res);
	}
}

/* ---- the loop ---- */

struct store_loop *store_loop_new(enum store_loop_kind kind, struct err *e)
{
	struct store_loop *l = xcalloc(1, sizeof(*l));

	l->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->fd < 0) {
		(void)err_sys(e, "make an event descriptor");
		free(l);
		return NULL;
	}
	(void)pthread_mutex_init(&l->lock, NULL);
	(void)pthread_cond_init(&l->work, NULL);
	if (kind == STORE_LOOP_THREADS || io_uring_queue_init(RING_ENTRIES, &l->ring, 0) < 0)
		return l;
	if (io_uring_register_eventfd(&l->ring, l->fd) < 0)
		io_uring_queue_exit(&l->ring);
	else
		l->has_ring = true;
	return l;
}

int store_loop_fd(const struct store_loop *l)
{
	return l->fd;
}

unsigned store_loop_pending(const struct store_loop *l)
{
	return __atomic_load_n(&l->pending, __ATOMIC_RELAXED);
}

void store_loop_reap(struct store_loop *l)
{
	struct queue finished;
	struct blockdev_rq *rq;
	uint64_t n;

	/* Silence the bell first: what comes while we look rings it again. */
	(void)!read(l->fd, &n, sizeof(n));
	if (l->has_ring)
		ring_reap(l);
	(void)pthread_mutex_lock(&l->lock);
	finished = l->finished;
	l->finished.first = NULL;
	(void)pthread_mutex_unlock(&l->lock);
	while ((rq = dequeue(&finished)))
		complete(l, rq);
}

void store_loop_free(struct store_loop *l)
{
	if (!l)
		return;
	(void)pthread_mutex_lock(&l->lock);
	l->stop = true;
	(void)pthread_cond_broadcast(&l->work);
	(void)pthread_mutex_unlock(&l->lock);
	for (unsigned i = 0; i < l->n_workers; i++)
		(void)pthread_join(l->worker[i], NULL);
	if (l->has_ring)
		io_uring_queue_exit(&l->ring);
	(void)pthread_cond_destroy(&l->work);
	(void)pthread_mutex_destroy(&l->lock);
	(void)close(l->fd);
	free(l);
}
