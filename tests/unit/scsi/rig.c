/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <ctype.h>
#include <errno.h>

#include "base/str.h"

static struct rig *rig_of(struct blockdev *d)
{
	return container_of(d, struct rig, dev);
}

static void perform(struct rig *r, struct blockdev_rq *rq)
{
	uint64_t at = rq->offset;

	rq->result = r->fail_with ? -r->fail_with : 0;
	if (rq->result)
		return;
	CHECK(rq->offset <= r->dev.size_bytes && rq->length <= r->dev.size_bytes - rq->offset);
	switch (rq->op) {
	case BLOCKDEV_READ:
		for (int i = 0; i < rq->n_iov; at += rq->iov[i++].iov_len)
			memcpy(rq->iov[i].iov_base, r->disk + at, rq->iov[i].iov_len);
		break;
	case BLOCKDEV_WRITE:
		for (int i = 0; i < rq->n_iov; at += rq->iov[i++].iov_len)
			memcpy(r->disk + at, rq->iov[i].iov_base, rq->iov[i].iov_len);
		r->writes++;
		r->fua_writes += (rq->flags & BLOCKDEV_FUA) != 0;
		break;
	case BLOCKDEV_FLUSH:
		r->flushes++;
		break;
	case BLOCKDEV_DISCARD:
	case BLOCKDEV_WRITE_ZEROES:
		memset(r->disk + rq->offset, 0, rq->length);
		break;
	}
}

static void later(struct rig *r, struct blockdev_rq *rq)
{
	if (r->n_waiting == ARRAY_SIZE(r->waiting))
		abort();
	r->waiting[r->n_waiting++] = rq;
}

static enum blockdev_submit submit(struct blockdev *d, struct blockdev_rq *rq)
{
	struct rig *r = rig_of(d);

	rq->impl_int = 1; /* a request to carry out, not only to wake */
	if (!r->async) {
		perform(r, rq);
		return BLOCKDEV_DONE;
	}
	later(r, rq);
	return BLOCKDEV_PENDING;
}

static void post(struct blockdev *d, struct blockdev_rq *rq)
{
	rq->impl_int = 0;
	later(rig_of(d), rq);
}

/* A hole is a run of zeroes, in blocks. */
static bool zero(const struct rig *r, uint64_t at)
{
	for (uint32_t i = 0; i < r->dev.block_size; i++)
		if (r->disk[at + i])
			return false;
	return true;
}

static int allocated(struct blockdev *d, uint64_t offset, bool *ret_allocated, uint64_t *ret_len)
{
	struct rig *r = rig_of(d);
	uint64_t at = offset;

	*ret_allocated = !zero(r, offset);
	while (at < d->size_bytes && zero(r, at) == !*ret_allocated)
		at += d->block_size;
	*ret_len = at - offset;
	return 0;
}

static int pr_load(void *ctx, void **ret, size_t *ret_len)
{
	struct rig *r = ctx;

	*ret = xmalloc(r->saved_len);
	memcpy(*ret, r->saved ? r->saved : "", r->saved_len);
	*ret_len = r->saved_len;
	return 0;
}

static int pr_save(void *ctx, const void *p, size_t len)
{
	struct rig *r = ctx;

	free(r->saved);
	r->saved = xmalloc(len);
	memcpy(r->saved, p, len);
	r->saved_len = len;
	return 0;
}

static const uint8_t *lend(struct blockdev *d, uint64_t offset, uint64_t length)
{
	CHECK(offset + length <= d->size_bytes);
	return rig_of(d)->disk + offset;
}

static const struct blockdev_ops ops = {.submit = submit, .allocated = allocated, .post = post};
static const struct blockdev_ops lending_ops = {
	.submit = submit, .allocated = allocated, .post = post, .lend = lend};

struct rig *rig_new_with(unsigned flags, void *saved, size_t saved_len)
{
	struct rig *r = xcalloc(1, sizeof(*r));
	uint32_t bs = flags & RIG_4K ? 4096 : 512;
	struct scsi_lu_params p = {
		.naa = 0x3123456789abcdef,
		.vendor = "SMISCSI",
		.product = "TEST UNIT",
		.revision = "1",
		.dev = &r->dev,
		.pr_load = pr_load,
		.pr_save = pr_save,
		.pr_ctx = r,
	};

	r->dev = (struct blockdev){
		.ops = flags & RIG_LENDS ? &lending_ops : &ops,
		.size_bytes = (uint64_t)RIG_BLOCKS * bs,
		.block_size = bs,
		.read_only = flags & RIG_READ_ONLY,
		.thin = flags & RIG_THIN,
		.volatile_cache = !(flags & RIG_NO_CACHE),
	};
	r->async = flags & RIG_ASYNC;
	r->disk = xcalloc(RIG_BLOCKS, bs);
	r->saved = saved;
	r->saved_len = saved_len;
	r->lu = scsi_lu_new(&p, NULL);
	if (!r->lu)
		abort();
	r->target = scsi_target_new("iqn.2026-01.org.example:t");
	if (scsi_target_map(r->target, 0, r->lu) < 0)
		abort();
	r->a = scsi_nexus_new(r->target, "iqn.2026-01.org.example:a,i,0x00023d000001",
			      "iqn.2026-01.org.example:t,t,0x0001", 1);
	r->b = scsi_nexus_new(r->target, "iqn.2026-01.org.example:b,i,0x00023d000002",
			      "iqn.2026-01.org.example:t,t,0x0001", 1);
	/* "power on" is told once to each; most tests are about something else */
	rig_cmd(r, r->a, "00 00 00 00 00 00", SCSI_DIR_NONE, NULL, 0);
	rig_cmd(r, r->b, "00 00 00 00 00 00", SCSI_DIR_NONE, NULL, 0);
	return r;
}

struct rig *rig_new(unsigned flags)
{
	return rig_new_with(flags, NULL, 0);
}

void rig_free(struct rig *r)
{
	scsi_nexus_free(r->a);
	scsi_nexus_free(r->b);
	scsi_target_unref(r->target);
	scsi_lu_unref(r->lu);
	free(r->disk);
	free(r->saved);
	free(r);
}

size_t rig_hex(uint8_t *to, size_t max, const char *hex)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0, half = 0;

	for (; *hex; hex++) {
		const char *d = strchr(digits, tolower((unsigned char)*hex));

		if (*hex == ' ')
			continue;
		if (!d || n / 2 >= max)
			abort();
		half = (size_t)(d - digits);
		to[n / 2] = (uint8_t)(n % 2 ? (size_t)to[n / 2] << 4 | half : half);
		n++;
	}
	return n / 2;
}

static void done(struct scsi_task *t)
{
	t->done = NULL; /* settled */
}

enum scsi_step rig_start(struct rig *r, struct scsi_nexus *n, struct scsi_task *t, const char *cdb,
			 enum scsi_dir dir, uint8_t *data, uint32_t len)
{
	enum scsi_step step;

	(void)r;
	*t = (struct scsi_task){.nexus = n, .expected_dir = dir, .expected_len = len, .done = done};
	(void)rig_hex(t->cdb, sizeof(t->cdb), cdb);
	t->cdb_len = 16;
	t->data = data;
	t->data_cap = len;
	step = scsi_task_begin(t);
	if (step == SCSI_NEEDS_RUN)
		step = scsi_task_run(t);
	if (step == SCSI_DONE)
		done(t);
	return step;
}

void rig_answer(struct rig *r, unsigned n)
{
	for (; n > 0 && r->n_waiting > 0; n--) {
		struct blockdev_rq *rq = r->waiting[0];

		memmove(r->waiting, r->waiting + 1, --r->n_waiting * sizeof(r->waiting[0]));
		if (rq->impl_int)
			perform(r, rq);
		rq->done(rq);
	}
}

void rig_settle(struct rig *r)
{
	while (r->n_waiting > 0)
		rig_answer(r, 1);
}

void rig_cmd_lun(struct rig *r, struct scsi_nexus *n, uint64_t lun, const char *cdb,
		 enum scsi_dir dir, const char *out, uint32_t edtl)
{
	struct scsi_task *t = xcalloc(1, sizeof(*t));
	uint32_t room = edtl;

	*t = (struct scsi_task){
		.nexus = n, .lun = lun, .expected_dir = dir, .expected_len = edtl, .done = done};
	(void)rig_hex(t->cdb, sizeof(t->cdb), cdb);
	t->cdb_len = 16;
	if (scsi_task_begin(t) == SCSI_NEEDS_RUN) {
		/* Its own block of exactly the promised size, so that ASan sees one byte too many.
		 */
		if (t->data_len < room)
			room = t->data_len;
		t->data = xcalloc(1, room);
		t->data_cap = room;
		if (dir == SCSI_DIR_OUT && out)
			(void)rig_hex(t->data, room, out);
		else if (dir == SCSI_DIR_OUT)
			memcpy(t->data, r->data, room);
		if (scsi_task_run(t) == SCSI_PENDING) {
			rig_settle(r);
			CHECK(!t->done);
		}
		memset(r->data, 0, t->dir == SCSI_DIR_IN ? sizeof(r->data) : 0);
		if (t->dir == SCSI_DIR_IN && t->data_in_len)
			memcpy(r->data, t->data, t->data_in_len);
		CHECK(t->data_in_len <= room);
	}
	r->status = t->status;
	r->sense_len = t->sense_len;
	memcpy(r->sense, t->sense, sizeof(r->sense));
	r->got = t->data_in_len;
	r->total = t->data_total;
	free(t->data);
	free(t);
}

void rig_cmd(struct rig *r, struct scsi_nexus *n, const char *cdb, enum scsi_dir dir,
	     const char *out, uint32_t edtl)
{
	rig_cmd_lun(r, n, 0, cdb, dir, out, edtl);
}

int rig_sense(const struct rig *r)
{
	if (r->sense_len == 0)
		return -1;
	if ((r->sense[0] & 0x7f) >= 0x72)
		return (r->sense[1] & 0xf) << 16 | r->sense[2] << 8 | r->sense[3];
	return (r->sense[2] & 0xf) << 16 | r->sense[12] << 8 | r->sense[13];
}
