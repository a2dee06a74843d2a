/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any commands from any of two initiators, with any data and any announced length, against a
 * small unit in memory whose device answers late now and then.
 *
 * Input: commands, each of 1 byte flags, 2 bytes announced length, 16 bytes CDB, 1 byte length of
 * the data that follow (repeated to fill the buffer).  Flags: 1 the second nexus, 2 data-out,
 * 4 the device is slow, 8 LUN 1 (another unit), 16 kept reservations are read back.
 */
#include "base/wire.h"
#include "scsi/scsi.h"

enum { BLOCKS = 256, BS = 512, SLOW_MAX = 64 };

struct disk {
	struct blockdev dev;
	uint8_t bytes[BLOCKS * BS];
	bool slow;
	struct blockdev_rq *waiting[SLOW_MAX];
	unsigned n_waiting;
	uint8_t saved[1 << 16];
	size_t saved_len;
};

static struct disk *disk_of(struct blockdev *d)
{
	return container_of(d, struct disk, dev);
}

static void perform(struct disk *k, struct blockdev_rq *rq)
{
	rq->result = 0;
	if (rq->offset > sizeof(k->bytes) || rq->length > sizeof(k->bytes) - rq->offset)
		__builtin_trap(); /* the room has promised to check */
	if (rq->op == BLOCKDEV_READ)
		memcpy(rq->iov->iov_base, k->bytes + rq->offset, rq->length);
	else if (rq->op == BLOCKDEV_WRITE)
		memcpy(k->bytes + rq->offset, rq->iov->iov_base, rq->length);
	else if (rq->op != BLOCKDEV_FLUSH)
		memset(k->bytes + rq->offset, 0, rq->length);
}

static void later(struct disk *k, struct blockdev_rq *rq)
{
	if (k->n_waiting == SLOW_MAX)
		__builtin_trap();
	k->waiting[k->n_waiting++] = rq;
}

static enum blockdev_submit submit(struct blockdev *d, struct blockdev_rq *rq)
{
	struct disk *k = disk_of(d);

	rq->impl_int = 1;
	if (k->slow) {
		later(k, rq);
		return BLOCKDEV_PENDING;
	}
	perform(k, rq);
	return BLOCKDEV_DONE;
}

static void post(struct blockdev *d, struct blockdev_rq *rq)
{
	rq->impl_int = 0;
	later(disk_of(d), rq);
}

static int allocated(struct blockdev *d, uint64_t offset, bool *ret_allocated, uint64_t *ret_len)
{
	*ret_allocated = offset / BS % 3;
	*ret_len = d->size_bytes - offset < 1000 ? d->size_bytes - offset : 1000;
	return 0;
}

static int pr_load(void *ctx, void **ret, size_t *ret_len)
{
	struct disk *k = ctx;

	*ret = xmalloc(k->saved_len);
	memcpy(*ret, k->saved, k->saved_len);
	*ret_len = k->saved_len;
	return 0;
}

static int pr_save(void *ctx, const void *p, size_t len)
{
	struct disk *k = ctx;

	k->saved_len = len < sizeof(k->saved) ? len : 0;
	memcpy(k->saved, p, k->saved_len);
	return 0;
}

static const uint8_t *lend(struct blockdev *d, uint64_t offset, uint64_t length)
{
	if (offset + length > d->size_bytes)
		__builtin_trap();
	return disk_of(d)->bytes + offset;
}

static const struct blockdev_ops ops = {.submit = submit, .allocated = allocated, .post = post};
static const struct blockdev_ops memory_ops = {
	.submit = submit, .allocated = allocated, .post = post, .lend = lend};

/* A thin one on a disk, or one in memory. */
static struct scsi_lu *unit(struct disk *k, uint64_t naa, bool thin)
{
	struct scsi_lu_params p = {.naa = naa,
				   .vendor = "V",
				   .product = "P",
				   .revision = "R",
				   .dev = &k->dev,
				   .pr_load = pr_load,
				   .pr_save = pr_save,
				   .pr_ctx = k};

	k->dev = (struct blockdev){.ops = thin ? &ops : &memory_ops,
				   .size_bytes = sizeof(k->bytes),
				   .block_size = BS,
				   .thin = thin,
				   .volatile_cache = thin};
	return scsi_lu_new(&p, NULL);
}

static void done(struct scsi_task *t)
{
	t->done = NULL;
}

static void settle(struct disk *k)
{
	while (k->n_waiting > 0) {
		struct blockdev_rq *rq = k->waiting[--k->n_waiting];

		if (rq->impl_int)
			perform(k, rq);
		rq->done(rq);
	}
}

/* Is t answered with what is lent?  Then as a transport would: sent, or kept for later. */
static bool lent(struct disk *disks, struct scsi_task *t, bool keep)
{
	const uint8_t *at;

	if (scsi_task_lend(t) != SCSI_DONE)
		return false;
	at = t->lent;
	if (!at)
		return true;
	if (at < disks[1].bytes || t->data_in_len > sizeof(disks[1].bytes) ||
	    at + t->data_in_len > disks[1].bytes + sizeof(disks[1].bytes))
		__builtin_trap();
	disks[1].slow = false; /* who lends does not keep anybody waiting */
	t->data = xcalloc(1, t->data_in_len);
	if (keep && (scsi_task_keep(t, 0) < 0 || memcmp(t->data, at, t->data_in_len) != 0))
		__builtin_trap();
	if (t->lent)
		scsi_task_give_back(t);
	return true;
}

static void command(struct disk *disks, struct scsi_nexus *n, struct wire *w, uint8_t flags)
{
	uint32_t announced = wire_u16(w);
	const uint8_t *cdb = wire_bytes(w, 16);
	size_t len = wire_u8(w), room;
	const uint8_t *data = wire_bytes(w, len);
	struct scsi_task *t;

	if (!data)
		return;
	t = xcalloc(1, sizeof(*t));
	t->nexus = n;
	t->lun = flags & 8 ? 1ULL << 48 : 0;
	t->cdb_len = 16;
	memcpy(t->cdb, cdb, 16);
	t->expected_dir = flags & 2 ? SCSI_DIR_OUT : SCSI_DIR_IN;
	t->expected_len = announced;
	t->done = done;
	disks[0].slow = disks[1].slow = flags & 4;
	if (scsi_task_begin(t) == SCSI_NEEDS_RUN &&
	    (!(flags & 32) || !lent(disks, t, flags & 64))) {
		room = announced < t->data_len ? announced : t->data_len;
		t->data = xcalloc(1, room);
		t->data_cap = (uint32_t)room;
		for (size_t i = 0; len > 0 && i < room; i += len)
			memcpy(t->data + i, data, len < room - i ? len : room - i);
		if (scsi_task_run(t) == SCSI_PENDING)
			while (t->done) {
				settle(&disks[0]);
				settle(&disks[1]);
			}
	}
	if (t->data_in_len > announced || (t->status == SCSI_CHECK_CONDITION) != (t->sense_len > 0))
		__builtin_trap();
	free(t->data);
	free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct disk *disks = xcalloc(2, sizeof(*disks));
	struct wire w = wire_of(data, size);
	struct scsi_lu *lu[2] = {unit(&disks[0], 0x3000000000000001, true),
				 unit(&disks[1], 0x3000000000000002, false)};
	struct scsi_target *tg = scsi_target_new("t");
	struct scsi_nexus *n[2];

	if (scsi_target_map(tg, 0, lu[0]) < 0 || scsi_target_map(tg, 1, lu[1]) < 0)
		__builtin_trap();
	n[0] = scsi_nexus_new(tg, "a,i,0x1", "t,t,0x0001", 1);
	n[1] = scsi_nexus_new(tg, "b,i,0x1", "t,t,0x0002", 2);
	for (int i = 0; i < 64 && wire_left(&w) > 0; i++) {
		uint8_t flags = wire_u8(&w);

		command(disks, n[flags & 1], &w, flags);
		if (flags & 16) {
			struct scsi_lu *again = unit(&disks[0], 0x3000000000000003, true);

			if (!again)
				__builtin_trap(); /* what was saved can be read */
			scsi_lu_unref(again);
		}
	}
	scsi_nexus_free(n[0]);
	scsi_nexus_free(n[1]);
	scsi_target_unref(tg);
	scsi_lu_unref(lu[0]);
	scsi_lu_unref(lu[1]);
	free(disks);
	return 0;
}
