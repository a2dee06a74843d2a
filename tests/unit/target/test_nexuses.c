/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several nexuses on threads of their own against one unit, with the real stores below, while
 * another thread maps, unmaps, resets and grows.  Made for TSan, and for what must hold
 * however they interleave: no lost COMPARE AND WRITE, no torn block.
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scsi/be.h"
#include "scsi/scsi.h"
#include "target/store.h"
#include "test.h"

enum { THREADS = 4, ROUNDS = 3000, BS = 512, SIZE = 1 << 20, COUNTER_LBA = 8 };

struct world {
	struct scsi_target *target;
	struct scsi_lu *lu;
	bool stop;
};

struct worker {
	struct world *w;
	unsigned id;
	struct scsi_nexus *n;
	struct store_loop *loop;
	unsigned counted, conflicts, copied, torn, lent;
	int fd; /* what is lent goes through it, as only the kernel may look at it */
	pthread_t thread;
};

static void done(struct scsi_task *t)
{
	t->done = NULL;
}

/* As a transport takes what is lent: sent, or kept; false: it is not lent. */
static bool borrowed(struct worker *w, struct scsi_task *t)
{
	size_t len = t->expected_len;

	if (scsi_task_lend(t) != SCSI_DONE)
		return false;
	if (!t->lent)
		return true;
	if (w->lent++ % 4 == 0) {
		CHECK_INT(scsi_task_keep(t, 0), 0);
		return true;
	}
	CHECK_INT(pwrite(w->fd, t->lent, len, 0), len);
	scsi_task_give_back(t);
	CHECK_INT(pread(w->fd, t->data, len, 0), len);
	return true;
}

static enum scsi_status command(struct worker *w, const uint8_t *cdb, enum scsi_dir dir, void *data,
				uint32_t len)
{
	for (;;) {
		struct scsi_task t = {.nexus = w->n,
				      .cdb_len = 16,
				      .expected_dir = dir,
				      .expected_len = len,
				      .loop = w->loop,
				      .done = done,
				      .data = data,
				      .data_cap = len};
		enum scsi_step step;

		memcpy(t.cdb, cdb, 16);
		step = scsi_task_begin(&t);
		if (step == SCSI_NEEDS_RUN && !borrowed(w, &t))
			step = scsi_task_run(&t);
		while (step == SCSI_PENDING && t.done) {
			struct pollfd p = {.fd = store_loop_fd(w->loop), .events = POLLIN};

			if (poll(&p, 1, 20000) != 1)
				abort();
			store_loop_reap(w->loop);
		}
		/* Unit attentions are told once; then again. */
		if (t.status != SCSI_CHECK_CONDITION || (t.sense[2] & 0xf) != 6)
			return t.status;
	}
}

static void cdb16(uint8_t cdb[16], uint8_t op, uint64_t lba, uint32_t blocks)
{
	memset(cdb, 0, 16);
	cdb[0] = op;
	be_put64(cdb + 2, lba);
	be_put32(cdb + 10, blocks);
}

static bool uniform(const uint8_t *p, size_t n)
{
	return memcmp(p, p + 1, n - 1) == 0;
}

/* Add one to the counter block, as a cluster's lock would be taken. */
static void count_one(struct worker *w)
{
	uint8_t cdb[16], both[2 * BS];

	for (;;) {
		enum scsi_status s;

		cdb16(cdb, 0x88, COUNTER_LBA, 1);
		s = command(w, cdb, SCSI_DIR_IN, both, BS);
		if (s == SCSI_RESERVATION_CONFLICT)
			break;
		CHECK_INT(s, SCSI_GOOD);
		memcpy(both + BS, both, BS);
		be_put64(both + BS, be64(both) + 1);
		cdb16(cdb, 0x89, COUNTER_LBA, 1);
		s = command(w, cdb, SCSI_DIR_OUT, both, sizeof(both));
		if (s == SCSI_RESERVATION_CONFLICT)
			break;
		if (s == SCSI_GOOD) {
			w->counted++;
			return;
		}
	}
	w->conflicts++;
}

static void reserve_and_release(struct worker *w)
{
	uint8_t cdb[16] = {0x5f, 6}, list[24] = {0};

	cdb[8] = sizeof(list);
	list[15] = (uint8_t)(w->id + 1);
	(void)command(w, cdb, SCSI_DIR_OUT, list, sizeof(list));
	cdb[1] = 1;
	cdb[2] = 5; /* write exclusive, registrants only */
	list[7] = list[15];
	(void)command(w, cdb, SCSI_DIR_OUT, list, sizeof(list));
	cdb[1] = w->id % 2 ? 3 : 5; /* clear, or preempt and abort oneself */
	(void)command(w, cdb, SCSI_DIR_OUT, list, sizeof(list));
	cdb[1] = 6;
	memset(list, 0, sizeof(list));
	(void)command(w, cdb, SCSI_DIR_OUT, list, sizeof(list));
}

/* Copy what another one keeps writing, by a token: all of one write, or refused. */
static void copy_by_token(struct worker *w)
{
	uint64_t other = 64 + 16 * ((w->id + 1) % THREADS), mine = 256 + 16 * w->id;
	uint8_t cdb[16] = {0x83, 0x10}, list[536 + 16] = {0}, answer[38 + 512], copy[8 * BS];

	cdb[9] = (uint8_t)(w->id + 1);
	cdb[13] = 32;
	be_put16(list, 14 + 16); /* the lengths that follow */
	be_put16(list + 14, 16);
	be_put64(list + 16, other);
	be_put32(list + 24, 8);
	if (command(w, cdb, SCSI_DIR_OUT, list, 32) != SCSI_GOOD)
		return;
	memset(cdb, 0, sizeof(cdb));
	cdb[0] = 0x84;
	cdb[1] = 0x07;
	cdb[5] = (uint8_t)(w->id + 1);
	be_put32(cdb + 10, sizeof(answer));
	if (command(w, cdb, SCSI_DIR_IN, answer, sizeof(answer)) != SCSI_GOOD)
		return;
	memset(cdb, 0, sizeof(cdb));
	cdb[0] = 0x83;
	cdb[1] = 0x11;
	be_put32(cdb + 10, sizeof(list));
	memset(list, 0, sizeof(list));
	be_put16(list, 534 + 16);
	memcpy(list + 16, answer + 38, 512);
	be_put16(list + 534, 16);
	be_put64(list + 536, mine);
	be_put32(list + 544, 8);
	if (command(w, cdb, SCSI_DIR_OUT, list, sizeof(list)) != SCSI_GOOD)
		return;
	w->copied++;
	cdb16(cdb, 0x88, mine, 8);
	if (command(w, cdb, SCSI_DIR_IN, copy, sizeof(copy)) == SCSI_GOOD)
		w->torn += !uniform(copy, sizeof(copy));
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	uint8_t cdb[16], data[8 * BS];
	uint64_t own = 64 + 16 * w->id;

	for (unsigned i = 0; i < ROUNDS; i++) {
		memset(data, (int)i, sizeof(data));
		cdb16(cdb, 0x8a, own, 8);
		cdb[1] = i % 32 ? 0 : 0x08; /* FUA goes through the loop */
		if (command(w, cdb, SCSI_DIR_OUT, data, sizeof(data)) == SCSI_GOOD) {
			cdb16(cdb, 0x88, own, 8);
			if (command(w, cdb, SCSI_DIR_IN, data, sizeof(data)) == SCSI_GOOD)
				w->torn += !uniform(data, sizeof(data)) || data[0] != (uint8_t)i;
		}
		count_one(w);
		if (i % 4 == 0)
			copy_by_token(w);
		if (i % 16 == w->id)
			reserve_and_release(w);
	}
	return NULL;
}

static void *disturber_main(void *arg)
{
	struct world *w = arg;
	struct scsi_nexus *n = scsi_nexus_new(w->target, "x,i,0x9", "t,t,0x0001", 1);

	for (unsigned i = 0; !__atomic_load_n(&w->stop, __ATOMIC_RELAXED); i++) {
		CHECK_INT(scsi_target_map(w->target, 1 + i % 3, w->lu), 0);
		scsi_lu_resized(w->lu);
		if (i % 8 == 0)
			CHECK_INT(scsi_tmf(n, SCSI_TMF_LU_RESET, 0), 0);
		CHECK_INT(scsi_target_unmap(w->target, 1 + i % 3), 0);
		(void)usleep(200);
	}
	scsi_nexus_free(n);
	return NULL;
}

static void run(struct store *s)
{
	struct worker worker[THREADS];
	struct scsi_lu_params p = {.naa = 0x3000000000000001,
				   .vendor = "V",
				   .product = "P",
				   .revision = "1",
				   .dev = store_blockdev(s)};
	struct world w = {.target = scsi_target_new("t"), .lu = scsi_lu_new(&p, NULL)};
	unsigned counted = 0, copied = 0, lent = 0;
	uint8_t cdb[16], block[BS];
	pthread_t disturber;

	CHECK_INT(scsi_target_map(w.target, 0, w.lu), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		auto_free char *name = xasprintf("i%u,i,0x1", i);

		worker[i] = (struct worker){.w = &w, .id = i};
		worker[i].fd = memfd_create("lent", MFD_CLOEXEC);
		worker[i].loop = store_loop_new(i % 2 ? STORE_LOOP_THREADS : STORE_LOOP_DEFAULT,
						NULL);
		worker[i].n = scsi_nexus_new(w.target, name, "t,t,0x0001", 1);
		CHECK_INT(pthread_create(&worker[i].thread, NULL, worker_main, &worker[i]), 0);
	}
	CHECK_INT(pthread_create(&disturber, NULL, disturber_main, &w), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		CHECK_INT(pthread_join(worker[i].thread, NULL), 0);
		counted += worker[i].counted;
		copied += worker[i].copied;
		lent += worker[i].lent;
		CHECK_INT(worker[i].torn, 0);
	}
	__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
	CHECK_INT(pthread_join(disturber, NULL), 0);
	cdb16(cdb, 0x88, COUNTER_LBA, 1);
	CHECK_INT(command(&worker[0], cdb, SCSI_DIR_IN, block, BS), SCSI_GOOD);
	CHECK_INT(be64(block), counted);
	CHECK(counted > THREADS * ROUNDS / 2);
	CHECK(copied > 0);
	CHECK_INT(lent > 0, store_blockdev(s)->ops->lend != NULL);
	for (unsigned i = 0; i < THREADS; i++) {
		scsi_nexus_free(worker[i].n);
		store_loop_free(worker[i].loop);
		(void)close(worker[i].fd);
	}
	scsi_target_unref(w.target);
	scsi_lu_unref(w.lu);
	store_free(s);
}

TEST(nothing_is_lost_or_torn_however_nexuses_interleave_in_memory)
{
	struct store_params p = {.size = SIZE, .block_size = BS};

	run(store_memory_open(&p, NULL));
}

TEST(nothing_is_lost_or_torn_however_nexuses_interleave_in_a_file)
{
	char path[] = "smiscsi-nexuses-XXXXXX";
	struct store_params p = {.path = path, .size = SIZE, .block_size = BS};
	int fd = mkstemp(path);

	CHECK(fd >= 0 && close(fd) == 0);
	run(store_file_open(&p, NULL));
	(void)unlink(path);
}
