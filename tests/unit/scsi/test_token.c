/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "rig.h"
#include "scsi/be.h"
#include "scsi/sense.h"

enum { TOKEN = 512, USE = 536 };

struct piece {
	uint64_t lba;
	uint32_t blocks;
};

static uint32_t put_pieces(uint8_t *p, const struct piece *x, unsigned n)
{
	memset(p, 0, n * 16);
	for (unsigned i = 0; i < n; i++) {
		be_put64(p + 16 * i, x[i].lba);
		be_put32(p + 16 * i + 8, x[i].blocks);
	}
	return n * 16;
}

/* Make a token and fetch it; list identifier 5. */
static void populate(struct rig *r, struct scsi_nexus *n, const struct piece *x, unsigned n_x,
		     uint32_t timeout, uint8_t token[static TOKEN])
{
	uint32_t len = 16 + put_pieces(r->data + 16, x, n_x);
	auto_free char *cdb = xasprintf("83 10 00000000 00000005 %08x 00 00", len);

	memset(r->data, 0, 16);
	be_put16(r->data, (uint16_t)(len - 2));
	be_put32(r->data + 4, timeout);
	be_put16(r->data + 14, (uint16_t)(len - 16));
	rig_cmd(r, n, cdb, SCSI_DIR_OUT, NULL, len);
	if (r->status != SCSI_GOOD)
		return;
	rig_cmd(r, n, "84 07 00000005 00000000 00001000 00 00", SCSI_DIR_IN, NULL, 4096);
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK_INT(r->data[4], 0x10);
	CHECK_INT(r->data[5], 1);
	CHECK_INT(be32(r->data), r->got - 4);
	CHECK_INT(be32(r->data + 32), 2 + TOKEN);
	memcpy(token, r->data + 38, TOKEN);
}

static void use(struct rig *r, struct scsi_nexus *n, const uint8_t token[static TOKEN],
		uint64_t offset, const struct piece *x, unsigned n_x)
{
	uint32_t len = USE + put_pieces(r->data + USE, x, n_x);
	auto_free char *cdb = xasprintf("83 11 00000000 00000006 %08x 00 00", len);

	memset(r->data, 0, USE);
	be_put16(r->data, (uint16_t)(len - 2));
	be_put64(r->data + 8, offset);
	memcpy(r->data + 16, token, TOKEN);
	be_put16(r->data + 534, (uint16_t)(len - USE));
	rig_cmd(r, n, cdb, SCSI_DIR_OUT, NULL, len);
}

static uint64_t copied(struct rig *r, struct scsi_nexus *n, unsigned status)
{
	rig_cmd(r, n, "84 07 00000006 00000000 00001000 00 00", SCSI_DIR_IN, NULL, 4096);
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK_INT(r->data[4], 0x11);
	CHECK_INT(r->data[5], status);
	return be64(r->data + 16);
}

/* Every block of the disk begins with its number + 1. */
static void number(struct rig *r)
{
	for (uint32_t i = 0; i < RIG_BLOCKS; i++)
		be_put32(r->disk + i * 512, i + 1);
}

static uint32_t block(const struct rig *r, uint32_t lba)
{
	return be32(r->disk + lba * 512);
}

static const struct piece two[] = {
	{10,  3},
        {100, 5}
};

TEST(a_token_writes_the_blocks_it_stands_for_wherever_it_is_used)
{
	struct rig *r = rig_new(RIG_ASYNC);
	static const struct piece to[] = {
		{1000, 4},
                {2000, 4}
        };
	uint8_t token[TOKEN] = {0};

	number(r);
	populate(r, r->a, two, 2, 0, token);
	use(r, r->b, token, 0, to, 2); /* another initiator may, too */
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK_INT(block(r, 1000), 11);
	CHECK_INT(block(r, 1002), 13);
	CHECK_INT(block(r, 1003), 101);
	CHECK_INT(block(r, 1004), 1005);
	CHECK_INT(block(r, 2000), 102);
	CHECK_INT(block(r, 2003), 105);
	CHECK_INT(copied(r, r->b, 1), 8);
	rig_free(r);
}

TEST(an_offset_skips_blocks_and_a_token_that_is_too_short_says_how_far_it_came)
{
	struct rig *r = rig_new(0);
	static const struct piece to[] = {
		{1000, 10}
        };
	uint8_t token[TOKEN] = {0};

	number(r);
	populate(r, r->a, two, 2, 0, token);
	use(r, r->a, token, 4, to, 1);
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK_INT(block(r, 1000), 102);
	CHECK_INT(block(r, 1003), 105);
	CHECK_INT(block(r, 1004), 1005);
	CHECK_INT(copied(r, r->a, 3), 4);
	use(r, r->a, token, 8, to, 1);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_FIELD_IN_PARAMETER_LIST);
	rig_free(r);
}

TEST(a_token_ends_with_the_first_write_to_its_blocks_and_with_no_other)
{
	static const struct {
		const char *cdb;
		uint32_t len;
		bool ends;
	} writes[] = {
		{"2a 00 0000000d 00 0001 00",              512,  false},
		{"2a 00 00000063 00 0001 00",              512,  false},
		{"28 00 00000064 00 0001 00",              0,    false},
		{"2a 00 00000064 00 0001 00",              512,  true },
		{"41 00 00000009 00 0002 00",              512,  true },
		{"89 00 000000000000000b 000000 01 00 00", 1024, true },
		{"8b 00 0000000000000068 00000001 00 00",  512,  true },
		{"48 02 0000000000 0000 00",               0,    true },
	};
	static const struct piece to[] = {
		{1000, 8}
        };

	for (size_t i = 0; i < ARRAY_SIZE(writes); i++) {
		struct rig *r = rig_new(RIG_THIN);
		uint8_t token[TOKEN] = {0};

		populate(r, r->a, two, 2, 0, token);
		memset(r->data, 0, 1024);
		rig_cmd(r, r->b, writes[i].cdb, writes[i].len ? SCSI_DIR_OUT : SCSI_DIR_IN, NULL,
			writes[i].len);
		CHECK_INT(r->status, SCSI_GOOD);
		use(r, r->a, token, 0, to, 1);
		if (writes[i].ends)
			CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_TOKEN_UNKNOWN);
		else
			CHECK_INT(r->status, SCSI_GOOD);
		rig_free(r);
	}
}

TEST(a_write_while_the_token_is_being_used_is_not_copied)
{
	struct rig *r = rig_new(0);
	static const struct piece from[] =
		{
			{0, 100}
        },
				  to[] = {{1000, 100}};
	uint8_t token[TOKEN] = {0}, data[512] = {9}, list[USE + 16];
	struct scsi_task copy, write;

	number(r);
	populate(r, r->a, from, 1, 0, token);
	memset(list, 0, sizeof(list));
	be_put16(list, sizeof(list) - 2);
	memcpy(list + 16, token, TOKEN);
	be_put16(list + 534, put_pieces(list + USE, to, 1) & 0xffff);
	r->async = true;
	CHECK_INT(rig_start(r, r->a, &copy, "83 11 00000000 00000006 00000228 00 00", SCSI_DIR_OUT,
			    list, sizeof(list)),
		  SCSI_PENDING); /* about to be read */
	CHECK_INT(rig_start(r, r->b, &write, "2a 00 00000032 00 0001 00", SCSI_DIR_OUT, data, 512),
		  SCSI_PENDING);
	rig_settle(r);
	CHECK(!copy.done && !write.done);
	CHECK_INT(write.status, SCSI_GOOD);
	CHECK_INT(copy.status, SCSI_CHECK_CONDITION);
	CHECK_INT(be16(copy.sense + 12), INVALID_TOKEN_REVOKED);
	CHECK_INT(block(r, 1000), 1001);
	rig_free(r);
}

TEST(a_token_expires)
{
	struct rig *r = rig_new(0);
	static const struct piece to[] = {
		{1000, 1}
        };
	uint8_t token[TOKEN] = {0};

	populate(r, r->a, two, 2, 1, token);
	use(r, r->a, token, 0, to, 1);
	CHECK_INT(r->status, SCSI_GOOD);
	(void)usleep(1100000);
	use(r, r->a, token, 0, to, 1);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_TOKEN_UNKNOWN);
	rig_free(r);
}

TEST(what_is_no_token_of_ours_is_refused)
{
	struct rig *r = rig_new(0);
	static const struct piece to[] =
		{
			{1000, 1}
        },
				  far[] = {{RIG_BLOCKS, 1}};
	uint8_t token[TOKEN] = {0};

	populate(r, r->a, far, 1, 0, token);
	CHECK_SENSE(r, ILLEGAL_REQUEST, LBA_OUT_OF_RANGE);
	use(r, r->a, token, 0, to, 1);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_TOKEN_LENGTH);
	populate(r, r->a, two, 2, 0, token);
	token[8] ^= 1;
	use(r, r->a, token, 0, to, 1);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_TOKEN_UNKNOWN);
	token[8] ^= 1;
	token[131] ^= 1;
	use(r, r->a, token, 0, to, 1);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_TOKEN_UNKNOWN);
	token[131] ^= 1;
	token[7] ^= 1;
	use(r, r->a, token, 0, to, 1);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_TOKEN_LENGTH);
	token[7] ^= 1;
	token[16] ^= 1;
	use(r, r->a, token, 0, to, 1);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_TOKEN_CORRUPT);
	token[16] ^= 1;
	token[0] ^= 1;
	use(r, r->a, token, 0, to, 1);
	CHECK_SENSE(r, ILLEGAL_REQUEST, UNSUPPORTED_TOKEN_TYPE);
	rig_cmd(r, r->a, "84 07 00000009 00000000 00001000 00 00", SCSI_DIR_IN, NULL, 4096);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_FIELD_IN_CDB);
	rig_free(r);
}

TEST(the_place_of_many_tokens_is_that_of_the_oldest)
{
	struct rig *r = rig_new(0);
	static const struct piece to[] = {
		{1000, 1}
        };
	uint8_t first[TOKEN] = {0}, token[TOKEN] = {0};

	populate(r, r->a, two, 2, 0, first);
	for (int i = 0; i < 32; i++)
		populate(r, r->a, two, 2, 0, token);
	use(r, r->a, token, 0, to, 1);
	CHECK_INT(r->status, SCSI_GOOD);
	use(r, r->a, first, 0, to, 1);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_TOKEN_UNKNOWN);
	rig_free(r);
}

/* POPULATE TOKEN with ranges at 10 and 20 and this in its header; list identifier 7. */
static void ask(struct rig *r, uint16_t data_len, uint16_t range_len, uint8_t flags, uint32_t type,
		uint32_t sent)
{
	static const struct piece x[] = {
		{10, 5},
                {20, 5}
        };
	auto_free char *cdb = xasprintf("83 10 00000000 00000007 %08x 00 00", sent);

	memset(r->data, 0, 16);
	(void)put_pieces(r->data + 16, x, 2);
	be_put16(r->data, data_len);
	r->data[2] = flags;
	be_put32(r->data + 8, type);
	be_put16(r->data + 14, range_len);
	rig_cmd(r, r->a, cdb, SCSI_DIR_OUT, NULL, sent);
}

TEST(the_lists_are_judged_as_the_standard_has_it)
{
	static const struct piece overlap[] =
		{
			{10, 5},
                        {14, 5}
        },
				  nothing[] = {{10, 5}, {12, 0}};
	struct rig *r = rig_new(0);
	uint8_t token[TOKEN] = {0};

	ask(r, 29, 32, 0, 0, 48);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_FIELD_IN_PARAMETER_LIST);
	ask(r, 46, 15, 0, 0, 48);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_FIELD_IN_PARAMETER_LIST);
	ask(r, 46, 32, 0, 0, 15);
	CHECK_SENSE(r, ILLEGAL_REQUEST, PARAMETER_LIST_LENGTH_ERROR);
	populate(r, r->a, overlap, 2, 0, token);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_FIELD_IN_PARAMETER_LIST);
	populate(r, r->a, nothing, 2, 0, token);
	CHECK_INT(r->status, SCSI_GOOD);
	/* of kinds: the one that there is, and whichever */
	ask(r, 46, 32, 2, 0x00010000, 48);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_FIELD_IN_PARAMETER_LIST);
	ask(r, 46, 32, 0, 0x00010000, 48);
	CHECK_INT(r->status, SCSI_GOOD);
	ask(r, 46, 32, 2, 0x0080ffff, 48);
	CHECK_INT(r->status, SCSI_GOOD);
	ask(r, 46, 32, 2, 0x00800001, 48);
	CHECK_INT(r->status, SCSI_GOOD);
	/* a range that is cut off does not count */
	ask(r, 46, 32, 0, 0, 47);
	CHECK_INT(r->status, SCSI_GOOD);
	rig_cmd(r, r->a, "84 07 00000007 00000000 00001000 00 00", SCSI_DIR_IN, NULL, 4096);
	CHECK_INT(be64(r->data + 16), 5);
	CHECK_INT(be32(r->data + 38), 0x00800001);
	rig_free(r);
}

TEST(what_became_of_a_token_is_told_until_it_has_been_fetched)
{
	struct rig *r = rig_new(0);

	ask(r, 46, 32, 0, 0, 48);
	for (int i = 0; i < 2; i++) { /* not enough room: asked again */
		rig_cmd(r, r->a, "84 07 00000007 00000000 00000020 00 00", SCSI_DIR_IN, NULL, 32);
		CHECK_INT(r->status, SCSI_GOOD);
		CHECK_INT(r->data[5], 1);
		CHECK_INT(be32(r->data + 8), 0); /* no more news: over */
		CHECK_INT(r->data[15], 0xf1);
		CHECK_INT(be64(r->data + 16), 10);
		CHECK_INT(be16(r->data + 24), 0);
	}
	rig_cmd(r, r->a, "84 07 00000007 00000000 00001000 00 00", SCSI_DIR_IN, NULL, 4096);
	CHECK_INT(r->status, SCSI_GOOD);
	rig_cmd(r, r->a, "84 07 00000007 00000000 00001000 00 00", SCSI_DIR_IN, NULL, 4096);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_FIELD_IN_CDB);
	ask(r, 46, 32, 0, 0, 48);
	rig_cmd(r, r->a, "84 07 00000007 00000000 00000000 00 00", SCSI_DIR_NONE, NULL, 0);
	CHECK_INT(r->status, SCSI_GOOD);
	rig_cmd(r, r->a, "84 07 00000007 00000000 00001000 00 00", SCSI_DIR_IN, NULL, 4096);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_FIELD_IN_CDB);
	rig_free(r);
}
