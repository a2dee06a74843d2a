/* SPDX-License-Identifier: Apache-2.0 */
/* WRITE SAME, UNMAP, GET LBA STATUS, COMPARE AND WRITE, ORWRITE, and what RSOC says of all. */
#include "rig.h"
#include "scsi/be.h"
#include "scsi/sense.h"

static bool all(const uint8_t *p, size_t n, uint8_t v)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != v)
			return false;
	return true;
}

TEST(write_same_repeats_one_block_and_touches_no_other)
{
	struct rig *r = rig_new(RIG_THIN | RIG_ASYNC);

	memset(r->disk, 1, 3000 * 512);
	memset(r->data, 9, 512);
	rig_cmd(r, r->a, "93 00 0000000000000001 00000a00 00 00", SCSI_DIR_OUT, NULL, 512);
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK(all(r->disk, 512, 1));
	CHECK(all(r->disk + 512, 0xa00 * 512, 9));
	CHECK(all(r->disk + 0xa01 * 512, 512, 1));
	rig_cmd(r, r->a, "93 01 0000000000000002 00000001 00 00", SCSI_DIR_NONE, NULL, 0);
	CHECK_INT(r->status, SCSI_GOOD); /* NDOB */
	CHECK(all(r->disk + 2 * 512, 512, 0));
	CHECK(all(r->disk + 3 * 512, 512, 9));
	/* unmapping blocks with data in them that isn't zero writes that data */
	rig_cmd(r, r->a, "41 08 00000003 00 0001 00", SCSI_DIR_OUT, NULL, 512);
	CHECK(all(r->disk + 3 * 512, 512, r->data[0]));
	rig_free(r);
}

TEST(unmap_is_all_or_nothing)
{
	struct rig *r = rig_new(RIG_THIN);

	memset(r->disk, 1, 100 * 512);
	rig_cmd(r, r->a, "42 00 00000000 00 0028 00", SCSI_DIR_OUT,
		"0026 0020 00000000 0000000000000002 00000003 00000000"
		"0000000000000fff 00000002 00000000",
		40);
	CHECK_SENSE(r, ILLEGAL_REQUEST, LBA_OUT_OF_RANGE);
	CHECK(all(r->disk, 100 * 512, 1));
	rig_cmd(r, r->a, "42 00 00000000 00 0028 00", SCSI_DIR_OUT,
		"0026 0020 00000000 0000000000000002 00000003 00000000"
		"0000000000000010 00000002 00000000",
		40);
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK(all(r->disk, 1024, 1) && all(r->disk + 1024, 3 * 512, 0));
	CHECK(all(r->disk + 5 * 512, 11 * 512, 1) && all(r->disk + 16 * 512, 1024, 0));
	rig_cmd(r, r->a, "9e 12 0000000000000001 00000040 00 00", SCSI_DIR_IN, NULL, 64);
	CHECK_INT(r->got, 64); /* three descriptors and the half of a fourth */
	CHECK_INT(be64(r->data + 8), 1);
	CHECK_INT(be32(r->data + 16), 1);
	CHECK_INT(r->data[20], 0);
	CHECK_INT(be32(r->data + 32), 3);
	CHECK_INT(r->data[36], 1);
	rig_cmd(r, r->a, "42 00 00000000 00 0007 00", SCSI_DIR_OUT, NULL, 7);
	CHECK_SENSE(r, ILLEGAL_REQUEST, PARAMETER_LIST_LENGTH_ERROR);
	rig_cmd(r, r->a, "42 00 00000000 00 0000 00", SCSI_DIR_NONE, NULL, 0);
	CHECK_INT(r->status, SCSI_GOOD);
	rig_free(r);
}

TEST(a_thick_unit_knows_no_unmap)
{
	struct rig *r = rig_new(0);

	rig_cmd(r, r->a, "42 00 00000000 00 0000 00", SCSI_DIR_NONE, NULL, 0);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_OPERATION_CODE);
	rig_cmd(r, r->a, "41 08 00000003 00 0001 00", SCSI_DIR_OUT, NULL, 512);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_FIELD_IN_CDB);
	rig_cmd(r, r->a, "12 01 b2 00ff 00", SCSI_DIR_IN, NULL, 255);
	CHECK_INT(r->data[5], 0);
	rig_free(r);
}

TEST(compare_and_write_writes_only_what_matched)
{
	struct rig *r = rig_new(0);

	memset(r->disk, 3, 8 * 512);
	memset(r->data, 3, 1024);
	memset(r->data + 1024, 4, 1024);
	rig_cmd(r, r->a, "89 00 0000000000000001 000000 02 00 00", SCSI_DIR_OUT, NULL, 2048);
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK(all(r->disk + 512, 1024, 4) && all(r->disk + 1536, 512, 3) && all(r->disk, 512, 3));
	r->data[0] = 4;
	rig_cmd(r, r->a, "89 00 0000000000000001 000000 02 00 00", SCSI_DIR_OUT, NULL, 2048);
	CHECK_SENSE(r, MISCOMPARE, MISCOMPARE_DURING_VERIFY);
	CHECK_INT(be32(r->sense + 3), 1);
	CHECK(all(r->disk + 512, 1024, 4));
	rig_cmd(r, r->a, "89 00 0000000000000001 000000 81 00 00", SCSI_DIR_OUT, NULL, 2048);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_FIELD_IN_CDB);
	rig_free(r);
}

TEST(compare_and_write_keeps_its_blocks_to_itself)
{
	struct rig *r = rig_new(RIG_ASYNC);
	struct scsi_task caw, same, other, caw2;
	uint8_t d[4][1024] = {{0}};

	memset(d[0] + 512, 5, 512); /* 0 becomes 5 */
	memset(d[1], 6, 512);
	memset(d[2], 7, 512);
	memset(d[3], 6, 512); /* 6 becomes 0 */
	(void)rig_start(r, r->a, &caw, "89 00 0000000000000001 000000 01 00 00", SCSI_DIR_OUT, d[0],
			1024);
	(void)rig_start(r, r->b, &same, "2a 00 00000001 00 0001 00", SCSI_DIR_OUT, d[1], 512);
	(void)rig_start(r, r->b, &caw2, "89 00 0000000000000001 000000 01 00 00", SCSI_DIR_OUT,
			d[3], 1024);
	(void)rig_start(r, r->b, &other, "2a 00 00000002 00 0001 00", SCSI_DIR_OUT, d[2], 512);
	CHECK_INT(r->n_waiting, 2); /* the read of the first, the write elsewhere */
	rig_answer(r, 2);
	CHECK(!other.done && caw.done && same.done);
	rig_answer(r, 1);
	CHECK(!caw.done);
	CHECK(all(r->disk + 512, 512, 5));
	rig_settle(r);
	CHECK(!same.done && !caw2.done);
	CHECK_INT(caw2.status, SCSI_GOOD);
	CHECK(all(r->disk + 512, 512, 0));
	rig_free(r);
}

TEST(orwrite_adds_bits)
{
	struct rig *r = rig_new(0);

	memset(r->disk, 0x51, 1024);
	memset(r->data, 0x0f, 512);
	rig_cmd(r, r->a, "8b 08 0000000000000001 00000001 00 00", SCSI_DIR_OUT, NULL, 512);
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK_INT(r->fua_writes, 1);
	CHECK(all(r->disk, 512, 0x51) && all(r->disk + 512, 512, 0x5f));
	rig_free(r);
}

TEST(every_command_listed_is_described_and_understood_and_no_other)
{
	struct rig *r = rig_new(RIG_THIN);
	auto_free uint8_t *list = xmalloc(RIG_DATA);
	uint32_t n;

	rig_cmd(r, r->a, "a3 0c 00 00 0000 00010000 00 00", SCSI_DIR_IN, NULL, 65536);
	CHECK_INT(r->status, SCSI_GOOD);
	memcpy(list, r->data, r->got);
	n = be32(list) / 8;
	CHECK(n > 50);
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *d = list + 4 + 8 * i;
		auto_free char *cdb = xasprintf("a3 0c %02x %02x %04x 00000100 00 00",
						d[5] & 1 ? 2U : 1U, d[0], be16(d + 2));
		auto_free char *bare = xasprintf("%02x %02x", d[0], d[3]);

		rig_cmd(r, r->a, cdb, SCSI_DIR_IN, NULL, 256);
		CHECK_INT(r->status, SCSI_GOOD);
		CHECK_INT(r->data[1], 3);
		CHECK_INT(be16(r->data + 2), be16(d + 6));
		CHECK_INT(r->data[4], d[0]);
		rig_cmd(r, r->a, bare, SCSI_DIR_NONE, NULL, 0);
		CHECK(rig_sense(r) != (ILLEGAL_REQUEST << 16 | INVALID_OPERATION_CODE));
	}
	for (unsigned op = 0; op < 256; op++) {
		auto_free char *bare = xasprintf("%02x", op);
		bool listed = false;

		for (uint32_t i = 0; i < n; i++)
			listed = listed || list[4 + 8 * i] == op;
		rig_cmd(r, r->b, bare, SCSI_DIR_NONE, NULL, 0);
		CHECK_INT(rig_sense(r) == (ILLEGAL_REQUEST << 16 | INVALID_OPERATION_CODE),
			  !listed);
		while (r->status == SCSI_CHECK_CONDITION && rig_sense(r) >> 16 == UNIT_ATTENTION)
			rig_cmd(r, r->b, "00 00 00 00 00 00", SCSI_DIR_NONE, NULL, 0);
	}
	rig_free(r);
}

TEST(the_port_groups_are_the_ports_one_is_logged_in_through)
{
	struct rig *r = rig_new(0);
	struct scsi_nexus *c = scsi_nexus_new(r->target, "c,i,0x1", "t,t,0x7", 7);

	rig_cmd(r, r->a, "a3 0a 000000000000 0100 00 00", SCSI_DIR_IN, NULL, 256);
	CHECK_INT(r->status, SCSI_GOOD);
	rig_cmd(r, r->a, "a3 0a 00000000 00000100 00 00", SCSI_DIR_IN, NULL, 256);
	CHECK_INT(be32(r->data), 24);
	CHECK_INT(be16(r->data + 4 + 2) + be16(r->data + 16 + 2), 8);
	CHECK_INT(r->data[4] & 0xf, 0);
	scsi_nexus_free(c);
	rig_free(r);
}
