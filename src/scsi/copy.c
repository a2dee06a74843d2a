/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EXTENDED COPY(LID1) and what asks about it (SPC-4)
 *
 * Block to block, between units that the target of this nexus maps, named by their NAA.
 * Everything that can be wrong with the list is found before the first block moves.
 */
#include <errno.h>

#include "scsi/copy.h"

enum {
	LIST_HEADER = 16,
	TARGET_LEN = 32,
	COPY_CHUNK = 1 << 20,
	PAUSE_EVERY = 8 << 20,
	TARGET_IDENTIFICATION = 0xe4,
	SEGMENT_BLOCKS = 0x02, /* block to block */
	SEGMENT_BYTES = 0x0a,  /* the same with a length in bytes and offsets */
	USAGE_DISCARD = 2,
	USAGE_DISABLE = 3,
};

static void cleanup(struct scsi_task *t)
{
	struct copy *c = t->scratch_;

	for (unsigned i = 0; i < c->n_units; i++)
		scsi_lu_unref(c->unit[i].lu);
	free(c->buf);
}

struct copy *copy_new(struct scsi_task *t)
{
	struct copy *c = op_scratch(t, sizeof(*c));

	memset(c, 0, sizeof(*c));
	t->cleanup_ = cleanup;
	c->result.action = t->cdb[1] & 0x1f;
	return c;
}

/* ---- results ---- */

void copy_keep_result(struct scsi_task *t, struct copy_result r)
{
	struct copy_result *kept = t->nexus->copy_result;

	memmove(kept + 1, kept, (COPY_RESULTS - 1) * sizeof(*kept));
	r.kept = true;
	r.lun = (uint8_t)t->lun_;
	kept[0] = r;
}

static void keep_result(struct scsi_task *t, bool failed)
{
	struct copy *c = t->scratch_;

	c->result.failed = failed;
	c->result.segments = (uint16_t)c->at;
	if (c->keep)
		copy_keep_result(t, c->result);
}

enum scsi_step op_copy_status(struct scsi_task *t)
{
	uint8_t p[12] = {0};

	for (size_t i = 0; i < COPY_RESULTS; i++) {
		struct copy_result *r = &t->nexus->copy_result[i];

		if (!r->kept || r->action != 0 || r->list_id != t->cdb[2] || r->lun != t->lun_)
			continue;
		be_put32(p, 8);
		p[4] = r->failed ? 0x02 : 0x01;
		be_put16(p + 5, r->segments);
		/* in bytes: units 00h */
		be_put32(p + 8, r->bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)r->bytes);
		r->kept = false; /* told once (SPC-4, RECEIVE COPY STATUS) */
		return op_reply(t, p, sizeof(p));
	}
	return op_invalid_cdb(t, 2);
}

enum scsi_step op_copy_parameters(struct scsi_task *t)
{
	static const uint8_t types[] = {SEGMENT_BLOCKS, SEGMENT_BYTES, TARGET_IDENTIFICATION};
	uint8_t p[44 + sizeof(types)] = {0};

	be_put32(p, sizeof(p) - 4);
	p[4] = 0x01; /* SNLID: the same list identifier may be used again */
	be_put16(p + 8, COPY_TARGETS_MAX);
	be_put16(p + 10, COPY_SEGMENTS_MAX);
	be_put32(p + 12, COPY_LIST_MAX);
	be_put32(p + 16, COPY_SEGMENT_BYTES);
	be_put16(p + 34, COPY_AT_ONCE);
	p[36] = COPY_AT_ONCE;
	p[37] = 9; /* granularity: 512 bytes */
	p[43] = sizeof(types);
	memcpy(p + 44, types, sizeof(types));
	return op_reply(t, p, sizeof(p));
}

/* ---- the list ---- */

/* 0, or what the command ends with; the task has the answer then. */
static bool read_target(struct scsi_task *t, struct copy *c, const uint8_t *d)
{
	struct copy_unit *to = &c->unit[c->n_units];

	if (d[0] != TARGET_IDENTIFICATION) {
		(void)op_fail(t, ILLEGAL_REQUEST, UNSUPPORTED_TARGET_DESCRIPTOR);
		return false;
	}
	/* LU ID TYPE and NUL are obsolete (SPC-4, CSCD descriptors); the designator is our NAA or
	 * nobody's.
	 */
	if ((d[4] & 0xf) == 1 && (d[5] & 0x3f) == 0x03 && d[7] == 8)
		to->lu = scsi_nexus_lu_by_naa(t->nexus, be64(d + 8), &to->lun);
	if (!to->lu) {
		(void)op_fail(t, COPY_ABORTED, COPY_TARGET_DEVICE_UNREACHABLE);
		return false;
	}
	c->n_units++;
	if (be_get(d + 29, 3) != lu_block_size(to->lu)) {
		(void)op_fail(t, COPY_ABORTED, INCORRECT_COPY_TARGET_TYPE);
		return false;
	}
	return true;
}

static bool within(const struct scsi_lu *lu, uint64_t lba, uint64_t bytes)
{
	uint64_t max = lu_blocks(lu);

	return lba <= max && bytes <= (max - lba) * lu_block_size(lu);
}

bool copy_may(struct scsi_task *t, const struct copy_unit *x, unsigned need)
{
	if (scsi_reservation_verdict(x->lu, t->nexus, x->lun) & need)
		return true;
	(void)op_conflict(t);
	return false;
}

static bool read_segment(struct scsi_task *t, struct copy *c, const uint8_t *d, size_t len)
{
	struct copy_segment *s = &c->segment[c->n_segments];
	const struct copy_unit *from, *to;
	uint64_t from_lba = be64(d + 12), to_lba = be64(d + 20);
	uint32_t offset = d[0] == SEGMENT_BYTES ? be32(d + 28) : 0; /* both, 16 bits each */

	(void)len;
	s->from = be16(d + 4);
	s->to = be16(d + 6);
	if (s->from >= c->n_units || s->to >= c->n_units) {
		(void)op_fail(t, COPY_ABORTED, COPY_TARGET_DEVICE_UNREACHABLE);
		return false;
	}
	from = &c->unit[s->from];
	to = &c->unit[s->to];
	/* DC says whose blocks are counted. */
	s->bytes = d[0] == SEGMENT_BYTES
			   ? be32(d + 8)
			   : (uint64_t)be16(d + 10) * lu_block_size((d[1] & 0x02 ? to : from)->lu);
	if (offset != 0 || s->bytes > COPY_SEGMENT_BYTES || s->bytes % lu_block_size(from->lu) ||
	    s->bytes % lu_block_size(to->lu)) {
		(void)op_fail(t, COPY_ABORTED, INVALID_FIELD_IN_PARAMETER_LIST);
		return false;
	}
	if (!within(from->lu, from_lba, s->bytes) || !within(to->lu, to_lba, s->bytes)) {
		(void)op_fail(t, COPY_ABORTED, NO_ADDITIONAL_SENSE);
		return false;
	}
	if (!copy_may(t, from, MAY_READ) || !copy_may(t, to, MAY_WRITE))
		return false;
	if (op_write_protected(to->lu)) {
		(void)op_fail(t, DATA_PROTECT, WRITE_PROTECTED);
		return false;
	}
	s->from_byte = from_lba * lu_block_size(from->lu);
	s->to_byte = to_lba * lu_block_size(to->lu);
	c->n_segments++;
	return true;
}

/* How long a segment descriptor of this type is; 0: not one of ours. */
static size_t segment_len(uint8_t type)
{
	return type == SEGMENT_BLOCKS ? 28 : type == SEGMENT_BYTES ? 32 : 0;
}

static bool read_list(struct scsi_task *t, struct copy *c, const uint8_t *p, size_t len)
{
	size_t targets = be16(p + 2), segments = be32(p + 8), inline_data = be32(p + 12), at;

	if (targets + segments > COPY_LIST_MAX || inline_data != 0 ||
	    targets + segments != len - LIST_HEADER) {
		(void)op_fail(t, ILLEGAL_REQUEST, PARAMETER_LIST_LENGTH_ERROR);
		return false;
	}
	if (targets % TARGET_LEN) {
		(void)op_invalid_parameter(t, 2);
		return false;
	}
	if (targets / TARGET_LEN > COPY_TARGETS_MAX) {
		(void)op_fail(t, ILLEGAL_REQUEST, TOO_MANY_TARGET_DESCRIPTORS);
		return false;
	}
	/* All that is wrong with the form comes before what is wrong with the meaning. */
	at = LIST_HEADER + targets;
	for (unsigned n = 0; at < len; n++) {
		size_t need = segment_len(p[at]);

		if (need == 0) {
			(void)op_fail(t, ILLEGAL_REQUEST, UNSUPPORTED_SEGMENT_DESCRIPTOR);
			return false;
		}
		if (n == COPY_SEGMENTS_MAX) {
			(void)op_fail(t, ILLEGAL_REQUEST, TOO_MANY_SEGMENT_DESCRIPTORS);
			return false;
		}
		if (len - at < need || be16(p + at + 2) != need - 4) {
			(void)op_invalid_parameter(t, (unsigned)at);
			return false;
		}
		at += need;
	}
	for (at = LIST_HEADER; at < LIST_HEADER + targets; at += TARGET_LEN)
		if (!read_target(t, c, p + at))
			return false;
	for (; at < len; at += segment_len(p[at]))
		if (!read_segment(t, c, p + at, len - at))
			return false;
	return true;
}

/* ---- copying ---- */

static enum scsi_step chunk_begin(struct scsi_task *t);

static enum scsi_step failed(struct scsi_task *t, int r)
{
	keep_result(t, true);
	/* Full is full, whoever wrote; else the third party has failed. */
	return r == -ENOSPC || r == -EDQUOT ? op_io_failed(t, r)
					    : op_fail(t, COPY_ABORTED, THIRD_PARTY_DEVICE_FAILURE);
}

static enum scsi_step chunk_written(struct scsi_task *t)
{
	struct copy *c = t->scratch_;

	if (t->rq_.result < 0)
		return failed(t, t->rq_.result);
	op_unlock(t);
	c->done += t->rq_.length;
	c->result.bytes += t->rq_.length;
	return c->result.bytes % PAUSE_EVERY ? chunk_begin(t) : op_pause(t, chunk_begin);
}

static enum scsi_step chunk_write(struct scsi_task *t)
{
	struct copy *c = t->scratch_;
	const struct copy_segment *s = &c->segment[c->at];
	const struct copy_unit *to = &c->unit[s->to];
	bool fua = !__atomic_load_n(&to->lu->mode.write_cache, __ATOMIC_RELAXED);

	/* A copy may take long: is its destination still ours to write? */
	if (!copy_may(t, to, MAY_WRITE)) {
		keep_result(t, true);
		return SCSI_DONE;
	}
	rod_revoke(to->lu, s->to_byte + c->done, s->to_byte + c->done + c->chunk);
	t->io_lu_ = to->lu;
	return op_io(t, BLOCKDEV_WRITE, s->to_byte + c->done, c->chunk, c->buf,
		     fua ? BLOCKDEV_FUA : 0, chunk_written);
}

static enum scsi_step chunk_was_read(struct scsi_task *t)
{
	struct copy *c = t->scratch_;
	const struct copy_segment *s = &c->segment[c->at];

	if (t->rq_.result < 0)
		return failed(t, t->rq_.result);
	/* Who writes revokes first: if the token still stands, what was read is what it means. */
	if (c->has_token && !rod_valid(c->unit[s->from].lu, c->token_id)) {
		keep_result(t, true);
		return op_fail(t, ILLEGAL_REQUEST, INVALID_TOKEN_REVOKED);
	}
	op_unlock(t);
	return op_lock_on(t, c->unit[s->to].lu, RANGE_SHARED, s->to_byte + c->done, c->chunk,
			  chunk_write);
}

static enum scsi_step chunk_read(struct scsi_task *t)
{
	struct copy *c = t->scratch_;
	const struct copy_segment *s = &c->segment[c->at];

	t->io_lu_ = c->unit[s->from].lu;
	return op_io(t, BLOCKDEV_READ, s->from_byte + c->done, c->chunk, c->buf, 0, chunk_was_read);
}

/* One chunk after the other, each read and written with its blocks held. */
static enum scsi_step chunk_begin(struct scsi_task *t)
{
	struct copy *c = t->scratch_;
	const struct copy_segment *s = &c->segment[c->at];

	while (c->at < c->n_segments && c->done == s->bytes) {
		s = &c->segment[++c->at];
		c->done = 0;
	}
	if (c->at == c->n_segments) {
		keep_result(t, false);
		return op_good(t);
	}
	c->chunk = s->bytes - c->done < COPY_CHUNK ? s->bytes - c->done : COPY_CHUNK;
	return op_lock_on(t, c->unit[s->from].lu, RANGE_SHARED, s->from_byte + c->done, c->chunk,
			  chunk_read);
}

enum scsi_step copy_go(struct scsi_task *t)
{
	struct copy *c = t->scratch_;

	c->buf = xmalloc(COPY_CHUNK);
	return chunk_begin(t);
}

enum scsi_step op_extended_copy(struct scsi_task *t)
{
	size_t len;
	const uint8_t *p = op_list(t, &len);
	struct copy *c;
	unsigned usage;

	if (len == 0)
		return op_good(t);
	if (len < LIST_HEADER)
		return op_fail(t, ILLEGAL_REQUEST, PARAMETER_LIST_LENGTH_ERROR);
	usage = p[1] >> 3 & 3;
	if (usage == 1)
		return op_invalid_parameter(t, 1);
	c = copy_new(t);
	c->result.list_id = p[0];
	c->keep = usage != USAGE_DISCARD && usage != USAGE_DISABLE;
	if (!read_list(t, c, p, len))
		return SCSI_DONE;
	return copy_go(t);
}
