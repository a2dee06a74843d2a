/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ROD tokens: POPULATE TOKEN, WRITE USING TOKEN, RECEIVE ROD TOKEN INFORMATION
 * (SBC-3 and SPC-4, by these names).  What Windows calls offloaded data transfer.
 *
 * A token names blocks and promises their content as of its making.  Nothing is copied for that:
 * who is about to write one of them revokes it (rod_revoke), and who reads through it looks
 * after the reading whether it still stands.  That is a point in time copy of the kind "change
 * vulnerable".
 */
#include <sys/random.h>
#include <time.h>

#include "scsi/copy.h"

enum {
	TOKEN_LEN = 512,
	POPULATE_HEADER = 16,
	USE_HEADER = 536,
	RANGE_LEN = 16,
	POPULATE_TOKEN = 0x10,
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

/* ---- the tokens of a unit; under lu->lock ---- */

static bool is_free(const struct rod_token *k)
{
	return k->id[0] == 0 && k->id[1] == 0;
}

static void forget(struct scsi_lu *lu, struct rod_token *k)
{
	*k = (struct rod_token){0};
	(void)__atomic_sub_fetch(&lu->n_tokens, 1, __ATOMIC_RELEASE);
}

/* NULL: never made, revoked or expired. */
static struct rod_token *find(struct scsi_lu *lu, const uint64_t id[2])
{
	for (size_t i = 0; i < ROD_TOKENS_MAX; i++) {
		struct rod_token *k = &lu->token[i];

		if (is_free(k) || k->id[0] != id[0] || k->id[1] != id[1])
			continue;
		if (now_ns() < k->expires_ns)
			return k;
		forget(lu, k);
	}
	return NULL;
}

void rod_revoke(struct scsi_lu *lu, uint64_t first, uint64_t end)
{
	uint32_t bs = lu_block_size(lu);

	(void)pthread_mutex_lock(&lu->lock);
	for (size_t i = 0; i < ROD_TOKENS_MAX; i++) {
		struct rod_token *k = &lu->token[i];
		bool hit = false;

		for (unsigned n = 0; n < k->n_ranges && !hit; n++)
			hit = k->range[n].lba * bs < end &&
			      first < (k->range[n].lba + k->range[n].blocks) * bs;
		if (hit || (!is_free(k) && now_ns() >= k->expires_ns))
			forget(lu, k);
	}
	(void)pthread_mutex_unlock(&lu->lock);
}

bool rod_valid(struct scsi_lu *lu, const uint64_t id[2])
{
	bool valid;

	(void)pthread_mutex_lock(&lu->lock);
	valid = find(lu, id) != NULL;
	(void)pthread_mutex_unlock(&lu->lock);
	return valid;
}

/* ---- a token as bytes (SPC-4 table 129): the initiator gives back what it got ---- */

static void token_write(uint8_t p[static TOKEN_LEN], const struct scsi_lu *lu,
			const struct copy_result *r)
{
	uint8_t *creator = p + 16;

	memset(p, 0, TOKEN_LEN);
	be_put32(p, ROD_CHANGE_VULNERABLE);
	be_put16(p + 6, TOKEN_LEN - 8);
	be_put64(p + 8, r->token_id[0]);
	creator[0] = 0xe4;
	creator[4] = 1;
	creator[5] = 3;
	creator[7] = 8;
	be_put64(creator + 8, lu->naa);
	be_put(creator + 29, 3, lu_block_size(lu));
	be_put64(p + 56, r->bytes); /* a 16-byte number of bytes */
	be_put64(p + 128, r->token_id[1]);
}

/* ---- the lists ---- */

struct block_range {
	uint64_t lba, blocks;
};

static bool same_block_twice(const struct block_range *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < i; k++) {
			if (r[i].blocks > 0 && r[k].blocks > 0 &&
			    r[i].lba < r[k].lba + r[k].blocks && r[k].lba < r[i].lba + r[i].blocks)
				return true;
		}
	}
	return false;
}

/* Range descriptors in [p, p + len): how many there are, or -1 with the answer in t. */
static int read_ranges(struct scsi_task *t, const uint8_t *p, size_t len,
		       struct block_range ret[static ROD_RANGES_MAX], uint64_t *ret_blocks)
{
	uint64_t max = lu_blocks(t->lu_), sum = 0;
	size_t n = len / RANGE_LEN;

	if (n == 0 || n > ROD_RANGES_MAX) {
		(void)op_fail(t, ILLEGAL_REQUEST,
			      n ? TOO_MANY_SEGMENT_DESCRIPTORS : INVALID_FIELD_IN_PARAMETER_LIST);
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		ret[i].lba = be64(p + i * RANGE_LEN);
		ret[i].blocks = be32(p + i * RANGE_LEN + 8);
		sum += ret[i].blocks;
		if (ret[i].lba > max || ret[i].blocks > max - ret[i].lba) {
			(void)op_fail(t, ILLEGAL_REQUEST, LBA_OUT_OF_RANGE);
			return -1;
		}
	}
	if (sum > ROD_BYTES_MAX / lu_block_size(t->lu_) || same_block_twice(ret, n)) {
		(void)op_fail(t, ILLEGAL_REQUEST, INVALID_FIELD_IN_PARAMETER_LIST);
		return -1;
	}
	*ret_blocks = sum;
	return (int)n;
}

/*
 * Does the list have the header, and does it speak of at least one range behind it?  Ranges that
 * it speaks of and has not are not counted: how many bytes there are, or -1 with the answer in t.
 */
static int ranges_len(struct scsi_task *t, size_t len, size_t header)
{
	size_t said;

	if (len < header) {
		(void)op_fail(t, ILLEGAL_REQUEST, PARAMETER_LIST_LENGTH_ERROR);
		return -1;
	}
	if (be16(t->data) < header - 2 + RANGE_LEN) {
		(void)op_invalid_parameter(t, 0);
		return -1;
	}
	said = be16(t->data + header - 2);
	return (int)(said < len - header ? said : len - header);
}

/* ---- POPULATE TOKEN ---- */

/* A free place, or that of the token that would expire first. */
static struct rod_token *place(struct scsi_lu *lu)
{
	struct rod_token *oldest = &lu->token[0];

	for (size_t i = 0; i < ROD_TOKENS_MAX; i++) {
		if (is_free(&lu->token[i]))
			return &lu->token[i];
		if (lu->token[i].expires_ns < oldest->expires_ns)
			oldest = &lu->token[i];
	}
	forget(lu, oldest);
	return oldest;
}

/* All of the blocks are held, so nobody is writing them: from here on writers revoke. */
static enum scsi_step populate_locked(struct scsi_task *t)
{
	struct rod_token *new = t->scratch_;
	struct scsi_lu *lu = t->lu_;
	struct copy_result r = {.action = POPULATE_TOKEN, .list_id = be32(t->cdb + 6)};

	(void)pthread_mutex_lock(&lu->lock);
	*place(lu) = *new;
	(void)__atomic_add_fetch(&lu->n_tokens, 1, __ATOMIC_RELEASE);
	(void)pthread_mutex_unlock(&lu->lock);
	r.token_id[0] = new->id[0];
	r.token_id[1] = new->id[1];
	r.bytes = op_length(t);
	copy_keep_result(t, r);
	return op_good(t);
}

enum scsi_step op_populate_token(struct scsi_task *t)
{
	size_t len;
	const uint8_t *p = op_list(t, &len);
	struct block_range range[ROD_RANGES_MAX];
	uint64_t first = UINT64_MAX, end = 0;
	uint32_t bs = lu_block_size(t->lu_), timeout;
	struct rod_token *k;
	int n, bytes;

	if (len == 0)
		return op_good(t);
	bytes = ranges_len(t, len, POPULATE_HEADER);
	if (bytes < 0)
		return SCSI_DONE;
	timeout = be32(p + 4);
	if (timeout > ROD_TIMEOUT_MAX_S)
		return op_invalid_parameter(t, 4);
	/* RTV: a type is asked for; ours, or whichever there is. */
	if ((p[2] & 0x02) && be32(p + 8) != ROD_CHANGE_VULNERABLE && be32(p + 8) != ROD_DEFAULT &&
	    be32(p + 8) != ROD_ANY)
		return op_invalid_parameter(t, 8);
	n = read_ranges(t, p + POPULATE_HEADER, (size_t)bytes, range, &t->blocks_);
	if (n < 0)
		return SCSI_DONE;
	k = op_scratch(t, sizeof(*k));
	*k = (struct rod_token){.n_ranges = (unsigned)n};
	k->timeout_ns = (timeout ? timeout : (uint64_t)ROD_TIMEOUT_DEFAULT_S) * 1000000000U;
	k->expires_ns = now_ns() + k->timeout_ns;
	for (int i = 0; i < n; i++) {
		k->range[i].lba = range[i].lba;
		k->range[i].blocks = range[i].blocks;
		if (range[i].lba < first)
			first = range[i].lba;
		if (range[i].lba + range[i].blocks > end)
			end = range[i].lba + range[i].blocks;
	}
	/* Not to be guessed, and never 0. */
	if (getrandom(k->id, sizeof(k->id), 0) != (ssize_t)sizeof(k->id))
		return op_fail(t, HARDWARE_ERROR, INTERNAL_TARGET_FAILURE);
	k->id[0] |= 1;
	return op_lock(t, RANGE_EXCLUSIVE, first * bs, (end - first) * bs, populate_locked);
}

/* ---- WRITE USING TOKEN ---- */

/* The unit a token came from, counted and as c's first unit; false: refused. */
static bool source_unit(struct scsi_task *t, struct copy *c, const uint8_t *token)
{
	const uint8_t *creator = token + 16;

	if (be16(token + 6) != TOKEN_LEN - 8) {
		(void)op_fail(t, ILLEGAL_REQUEST, INVALID_TOKEN_LENGTH);
		return false;
	}
	if (be32(token) != ROD_CHANGE_VULNERABLE) {
		(void)op_fail(t, ILLEGAL_REQUEST, UNSUPPORTED_TOKEN_TYPE);
		return false;
	}
	if (creator[0] != 0xe4 || creator[7] != 8) {
		(void)op_fail(t, ILLEGAL_REQUEST, INVALID_TOKEN_CORRUPT);
		return false;
	}
	c->unit[0].lu = scsi_nexus_lu_by_naa(t->nexus, be64(creator + 8), &c->unit[0].lun);
	if (!c->unit[0].lu) {
		(void)op_fail(t, ILLEGAL_REQUEST, INVALID_TOKEN_UNKNOWN);
		return false;
	}
	c->n_units = 1;
	c->token_id[0] = be64(token + 8);
	c->token_id[1] = be64(token + 128);
	c->has_token = true;
	if (lu_block_size(c->unit[0].lu) != lu_block_size(t->lu_)) {
		(void)op_fail(t, ILLEGAL_REQUEST, INVALID_FIELD_IN_PARAMETER_LIST);
		return false;
	}
	return copy_may(t, &c->unit[0], MAY_READ);
}

/* Lay the token's blocks from offset on along the ranges to be written: one segment per piece. */
static void pair_up(struct copy *c, const struct rod_token *k, uint64_t offset,
		    const struct block_range *to, int n_to, uint32_t bs)
{
	uint64_t to_used = 0, from_used;
	unsigned f = 0;
	int i = 0;

	while (f < k->n_ranges && offset >= k->range[f].blocks)
		offset -= k->range[f++].blocks;
	from_used = offset;
	while (f < k->n_ranges && i < n_to) {
		uint64_t from_left = k->range[f].blocks - from_used;
		uint64_t to_left = to[i].blocks - to_used;
		uint64_t n = from_left < to_left ? from_left : to_left;

		if (n > 0)
			c->segment[c->n_segments++] = (struct copy_segment){
				.from = 0,
				.to = 1,
				.from_byte = (k->range[f].lba + from_used) * bs,
				.to_byte = (to[i].lba + to_used) * bs,
				.bytes = n * bs,
			};
		from_used += n;
		to_used += n;
		if (from_used == k->range[f].blocks) {
			f++;
			from_used = 0;
		}
		if (to_used == to[i].blocks) {
			i++;
			to_used = 0;
		}
	}
}

enum scsi_step op_write_using_token(struct scsi_task *t)
{
	size_t len;
	const uint8_t *p = op_list(t, &len);
	struct block_range to[ROD_RANGES_MAX];
	struct rod_token k = {0};
	struct rod_token *found;
	uint64_t blocks = 0, will = 0, all = 0;
	struct copy *c;
	int n, bytes;

	if (len == 0)
		return op_good(t);
	bytes = ranges_len(t, len, USE_HEADER);
	if (bytes < 0)
		return SCSI_DONE;
	if (op_write_protected(t->lu_))
		return op_fail(t, DATA_PROTECT, WRITE_PROTECTED);
	n = read_ranges(t, p + USE_HEADER, (size_t)bytes, to, &blocks);
	if (n < 0)
		return SCSI_DONE;
	c = copy_new(t);
	if (!source_unit(t, c, p + 16))
		return SCSI_DONE;
	scsi_lu_ref(t->lu_);
	c->unit[1] = (struct copy_unit){.lu = t->lu_, .lun = t->lun_};
	c->n_units = 2;
	(void)pthread_mutex_lock(&c->unit[0].lu->lock);
	found = find(c->unit[0].lu, c->token_id);
	if (found) {
		found->expires_ns = now_ns() + found->timeout_ns; /* it is in use */
		k = *found;
	}
	(void)pthread_mutex_unlock(&c->unit[0].lu->lock);
	if (!found)
		return op_fail(t, ILLEGAL_REQUEST, INVALID_TOKEN_UNKNOWN);
	for (unsigned i = 0; i < k.n_ranges; i++)
		all += k.range[i].blocks;
	if (be64(p + 8) >= all)
		return op_invalid_parameter(t, 8); /* the offset is behind the token's last block */
	pair_up(c, &k, be64(p + 8), to, n, lu_block_size(t->lu_));
	for (unsigned i = 0; i < c->n_segments; i++)
		will += c->segment[i].bytes;
	c->result.short_of_rod = will < blocks * lu_block_size(t->lu_);
	c->result.list_id = be32(t->cdb + 6);
	c->keep = true;
	return copy_go(t);
}

/* ---- RECEIVE ROD TOKEN INFORMATION ---- */

enum { STATUS_DONE = 0x01, STATUS_FAILED = 0x02, STATUS_SHORT = 0x03, UNITS_BLOCKS = 0xf1 };

enum scsi_step op_token_information(struct scsi_task *t)
{
	uint8_t p[32 + 4 + 2 + TOKEN_LEN] = {0};
	size_t len = 36;

	for (size_t i = 0; i < COPY_RESULTS; i++) {
		struct copy_result *r = &t->nexus->copy_result[i];

		if (!r->kept || r->action == 0 || r->list_id != be32(t->cdb + 2) ||
		    r->lun != t->lun_)
			continue;
		p[4] = r->action;
		p[5] = r->failed ? STATUS_FAILED : r->short_of_rod ? STATUS_SHORT : STATUS_DONE;
		be_put16(p + 6, 1); /* the operation has been asked about, or might have */
		/* No delay until the next news: it is over.  Segments are told of as zero. */
		p[12] = r->failed ? SCSI_CHECK_CONDITION : SCSI_GOOD;
		p[15] = UNITS_BLOCKS;
		be_put64(p + 16, r->bytes / lu_block_size(t->lu_));
		if (r->action == POPULATE_TOKEN && !r->failed) {
			be_put32(p + 32, 2 + TOKEN_LEN);
			token_write(p + 38, t->lu_, r);
			len = sizeof(p);
		}
		be_put32(p, (uint32_t)len - 4);
		/* A token that was fetched whole, or that is not wanted, is not kept for fetching.
		 */
		if (len == sizeof(p) && (be32(t->cdb + 10) == 0 || be32(t->cdb + 10) >= len))
			r->kept = false;
		return op_reply(t, p, len);
	}
	return op_invalid_cdb(t, 2);
}
