/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a power failure would leave: after each answer that promises durability the kernel is asked
 * (cachestat) whether any page of the blocks is still dirty or on its way to the disk.  That the
 * question can be answered with yes, an unsynchronised write shows first.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "scsi/scsi.h"
#include "target/store.h"
#include "test.h"

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

enum { SIZE = 8 << 20, BS = 512, DATA = 16 << 10 };

struct unit {
	char path[40];
	int fd; /* the same file, to ask about */
	struct store *store;
	struct store_loop *loop;
	struct scsi_lu *lu;
	struct scsi_target *target;
	struct scsi_nexus *nexus;
};

/* Pages of [offset, offset + length) that a power failure would lose; -1: the kernel can't say. */
static long unsafe_pages(const struct unit *u, uint64_t offset, uint64_t length)
{
	struct {
		uint64_t off, len;
	} range = {offset, length};
	struct {
		uint64_t cache, dirty, writeback, evicted, recently_evicted;
	} stat = {0};

	if (syscall(SYS_cachestat, u->fd, &range, &stat, 0) < 0)
		return -1;
	return (long)(stat.dirty + stat.writeback);
}

static void done(struct scsi_task *t)
{
	t->done = NULL;
}

static void command(struct unit *u, const uint8_t cdb[16], enum scsi_dir dir, uint8_t *data,
		    uint32_t len)
{
	struct scsi_task t = {.nexus = u->nexus,
			      .cdb_len = 16,
			      .expected_dir = dir,
			      .expected_len = len,
			      .loop = u->loop,
			      .done = done,
			      .data = data,
			      .data_cap = len};
	enum scsi_step step;

	memcpy(t.cdb, cdb, 16);
	step = scsi_task_begin(&t);
	if (step == SCSI_NEEDS_RUN)
		step = scsi_task_run(&t);
	while (step == SCSI_PENDING && t.done) {
		struct pollfd p = {.fd = store_loop_fd(u->loop), .events = POLLIN};

		if (poll(&p, 1, 20000) != 1)
			abort();
		store_loop_reap(u->loop);
	}
	CHECK_INT(t.status, SCSI_GOOD);
}

static void unit_open(struct unit *u, enum store_loop_kind kind)
{
	struct store_params sp = {.path = u->path, .size = SIZE, .block_size = BS};
	struct scsi_lu_params lp = {
		.naa = 0x3000000000000001, .vendor = "V", .product = "P", .revision = "1"};
	struct scsi_task t = {.cdb_len = 16};

	*u = (struct unit){.path = "smiscsi-durable-XXXXXX"};
	u->fd = mkstemp(u->path);
	u->store = store_file_open(&sp, NULL);
	u->loop = store_loop_new(kind, NULL);
	if (u->fd < 0 || !u->store || !u->loop)
		abort();
	lp.dev = store_blockdev(u->store);
	u->lu = scsi_lu_new(&lp, NULL);
	u->target = scsi_target_new("t");
	CHECK_INT(scsi_target_map(u->target, 0, u->lu), 0);
	u->nexus = scsi_nexus_new(u->target, "a,i,0x1", "t,t,0x1", 1);
	t.nexus = u->nexus;
	CHECK_INT(scsi_task_begin(&t), SCSI_DONE); /* the unit attention of a new nexus */
}

static void unit_close(struct unit *u)
{
	scsi_nexus_free(u->nexus);
	scsi_target_unref(u->target);
	scsi_lu_unref(u->lu);
	store_loop_free(u->loop);
	store_free(u->store);
	(void)close(u->fd);
	(void)unlink(u->path);
}

static const uint8_t write_plain[16] = {0x2a, 0, 0, 0, 0, 0, 0, 0, DATA / BS};
static const uint8_t sync_cache[16] = {0x35};

/* Commands on the blocks from 0 whose answer promises that they are on the medium. */
static const struct {
	const char *name;
	uint8_t cdb[16];
	uint32_t len;
	enum scsi_dir dir;
} promises[] = {
	{"WRITE(10) with FUA",         {0x2a, 0x08, 0, 0, 0, 0, 0, 0, DATA / BS},    DATA,   SCSI_DIR_OUT },
	{"WRITE(12) with FUA",         {0xaa, 0x08, 0, 0, 0, 0, 0, 0, 0, DATA / BS}, DATA,   SCSI_DIR_OUT },
	{"WRITE(16) with FUA",         {0x8a, 0x08, [13] = DATA / BS},               DATA,   SCSI_DIR_OUT },
	{"WRITE AND VERIFY(10)",       {0x2e, 0, 0, 0, 0, 0, 0, 0, DATA / BS},       DATA,   SCSI_DIR_OUT },
	{"WRITE AND VERIFY(16)",       {0x8e, 0, [13] = DATA / BS},                  DATA,   SCSI_DIR_OUT },
	{"COMPARE AND WRITE with FUA", {0x89, 0x08, [13] = 1},                       2 * BS, SCSI_DIR_OUT },
	{"ORWRITE with FUA",           {0x8b, 0x08, [13] = 4},                       4 * BS, SCSI_DIR_OUT },
	{"READ(10) with FUA",          {0x28, 0x08, 0, 0, 0, 0, 0, 0, DATA / BS},    DATA,   SCSI_DIR_IN  },
	{"READ(16) with FUA",          {0x88, 0x08, [13] = DATA / BS},               DATA,   SCSI_DIR_IN  },
	{"VERIFY(10)",                 {0x2f, 0, 0, 0, 0, 0, 0, 0, DATA / BS},       0,      SCSI_DIR_NONE},
	{"VERIFY(10) with data",       {0x2f, 2, 0, 0, 0, 0, 0, 0, DATA / BS},       DATA,   SCSI_DIR_OUT },
};

static const struct {
	const char *name;
	uint8_t cdb[16];
	uint32_t len;
} uncached[] = {
	{"WRITE(6)",               {0x0a, 0, 0, 0, DATA / BS},             DATA  },
	{"WRITE(10)",              {0x2a, 0, 0, 0, 0, 0, 0, 0, DATA / BS}, DATA  },
	{"WRITE SAME(10) of data", {0x41, 0, 0, 0, 0, 0, 0, 0, 8},         BS    },
	{"COMPARE AND WRITE",      {0x89, 0, [13] = 1},                    2 * BS},
	{"ORWRITE",                {0x8b, 0, [13] = 4},                    4 * BS},
};

static void each_kind(void (*fn)(struct unit *u, uint8_t *data))
{
	for (int kind = STORE_LOOP_DEFAULT; kind <= STORE_LOOP_THREADS; kind++) {
		static uint8_t data[DATA];
		struct unit u;

		unit_open(&u, (enum store_loop_kind)kind);
		memset(data, 1, DATA);
		command(&u, write_plain, SCSI_DIR_OUT, data, DATA);
		if (unsafe_pages(&u, 0, DATA) < 1) {
			/* tmpfs, or a kernel before 6.5: nothing to be seen here */
			printf("# this system can't show what is dirty\n");
			CHECK(unsafe_pages(&u, 0, DATA) <= 0);
		} else {
			fn(&u, data);
		}
		unit_close(&u);
	}
}

static void check_promises(struct unit *u, uint8_t *data)
{
	command(u, sync_cache, SCSI_DIR_NONE, NULL, 0);
	CHECK_INT(unsafe_pages(u, 0, SIZE), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(promises); i++) {
		uint32_t span = (promises[i].len ? promises[i].len : DATA) / 4;

		/* the same data twice over, so that what is compared is what is there */
		memset(data, 1, DATA);
		command(u, write_plain, SCSI_DIR_OUT, data, DATA);
		CHECK(unsafe_pages(u, 0, 2 * BS) > 0);
		command(u, promises[i].cdb, promises[i].dir, data, promises[i].len);
		if (unsafe_pages(u, 0, span) != 0)
			printf("# not on the medium: %s\n", promises[i].name);
		CHECK_INT(unsafe_pages(u, 0, span), 0);
	}
}

TEST(what_fua_and_synchronize_cache_answered_survives_a_power_failure)
{
	each_kind(check_promises);
}

static void check_uncached(struct unit *u, uint8_t *data)
{
	static const uint8_t mode_select[16] = {0x15, 0x10, 0, 0, 24};
	uint8_t caching[24] = {[4] = 0x08, [5] = 18};

	command(u, mode_select, SCSI_DIR_OUT, caching, sizeof(caching));
	CHECK_INT(unsafe_pages(u, 0, SIZE), 0); /* switching it off flushed it */
	for (unsigned i = 0; i < ARRAY_SIZE(uncached); i++) {
		memset(data, 1, DATA);
		command(u, uncached[i].cdb, SCSI_DIR_OUT, data, uncached[i].len);
		if (unsafe_pages(u, 0, SIZE) != 0)
			printf("# not on the medium: %s\n", uncached[i].name);
		CHECK_INT(unsafe_pages(u, 0, SIZE), 0);
	}
}

TEST(with_the_write_cache_disabled_every_answered_write_survives)
{
	each_kind(check_uncached);
}
