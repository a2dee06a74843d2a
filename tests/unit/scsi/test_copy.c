/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "rig.h"
#include "scsi/be.h"
#include "scsi/sense.h"

enum { HEADER = 16, TARGET = 32, SEGMENT = 28 };

/* A list in r->data: one target (by NAA), one segment; returns its length. */
static uint32_t list(struct rig *r, uint64_t naa, uint16_t to, uint16_t blocks, uint64_t from_lba,
		     uint64_t to_lba)
{
	uint8_t *p = r->data, *t = p + HEADER, *s = t + TARGET;

	memset(p, 0, HEADER + TARGET + SEGMENT);
	p[0] = 7; /* list identifier */
	be_put16(p + 2, TARGET);
	be_put32(p + 8, SEGMENT);
	t[0] = 0xe4;
	t[4] = 1;
	t[5] = 3;
	t[7] = 8;
	be_put64(t + 8, naa);
	be_put(t + 29, 3, 512);
	s[0] = 0x02;
	be_put16(s + 2, SEGMENT - 4);
	be_put16(s + 6, to);
	be_put16(s + 10, blocks);
	be_put64(s + 12, from_lba);
	be_put64(s + 20, to_lba);
	return HEADER + TARGET + SEGMENT;
}

static void copy(struct rig *r, struct scsi_nexus *n, uint32_t len)
{
	auto_free char *cdb = xasprintf("83 00 0000000000000000 %08x 00 00", len);

	rig_cmd(r, n, cdb, SCSI_DIR_OUT, NULL, len);
}

static const uint64_t naa = 0x3123456789abcdef;

TEST(a_copy_moves_blocks_and_its_result_is_told_once)
{
	static const char status[] = "84 00 07 00000000000000 00000100 00 00";
	struct rig *r = rig_new(RIG_ASYNC);

	memset(r->disk + 512, 5, 100 * 512);
	copy(r, r->a, list(r, naa, 0, 100, 1, 2000));
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK(memcmp(r->disk + 512, r->disk + 2000 * 512, 100 * 512) == 0);
	CHECK_INT(r->disk[2100 * 512], 0);
	rig_cmd(r, r->b, status, SCSI_DIR_IN, NULL, 256);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_FIELD_IN_CDB);
	rig_cmd(r, r->a, status, SCSI_DIR_IN, NULL, 256);
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK_INT(r->data[4], 1);
	CHECK_INT(be32(r->data + 8), 100 * 512);
	rig_cmd(r, r->a, status, SCSI_DIR_IN, NULL, 256);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_FIELD_IN_CDB);
	rig_free(r);
}

TEST(a_copy_goes_to_another_unit_of_the_target_and_to_no_unit_it_does_not_map)
{
	struct rig *r = rig_new(0), *other = rig_new(0);
	static const uint64_t other_naa = 0x3000000000000002;
	struct scsi_lu_params p = {
		.naa = other_naa, .vendor = "", .product = "", .revision = "", .dev = &other->dev};
	struct scsi_lu *lu = scsi_lu_new(&p, NULL);
	uint8_t *segment;
	uint32_t len;

	for (int mapped = 0; mapped < 2; mapped++) {
		if (mapped)
			CHECK_INT(scsi_target_map(r->target, 3, lu), 0);
		rig_cmd(r, r->a, "00 00 00 00 00 00", SCSI_DIR_NONE, NULL, 0);
		memset(r->disk, 5, 4 * 512);
		len = list(r, naa, 1, 4, 0, 100);
		/* a second target between the first and the segment */
		memmove(r->data + HEADER + 2 * TARGET, r->data + HEADER + TARGET, SEGMENT);
		memcpy(r->data + HEADER + TARGET, r->data + HEADER, TARGET);
		be_put64(r->data + HEADER + TARGET + 8, other_naa);
		be_put16(r->data + 2, 2 * TARGET);
		segment = r->data + HEADER + 2 * TARGET;
		CHECK_INT(segment[0], 2);
		copy(r, r->a, len + TARGET);
		if (mapped) {
			CHECK_INT(r->status, SCSI_GOOD);
			CHECK_INT(other->disk[100 * 512], 5);
			CHECK_INT(other->disk[104 * 512], 0);
			CHECK_INT(r->disk[100 * 512], 0);
		} else {
			CHECK_SENSE(r, COPY_ABORTED, COPY_TARGET_DEVICE_UNREACHABLE);
		}
	}
	scsi_lu_unref(lu);
	scsi_nexus_free(r->a);
	scsi_nexus_free(r->b);
	r->a = r->b = NULL;
	CHECK_INT(scsi_target_unmap(r->target, 3), 0);
	rig_free(r);
	rig_free(other);
}

TEST(a_wrong_list_is_refused_before_anything_moves)
{
	struct rig *r = rig_new(0);
	uint32_t len;

	memset(r->disk, 5, 512);
	copy(r, r->a, list(r, naa, 1, 1, 0, 9));
	CHECK_SENSE(r, COPY_ABORTED, COPY_TARGET_DEVICE_UNREACHABLE);
	copy(r, r->a, list(r, naa + 1, 0, 1, 0, 9));
	CHECK_SENSE(r, COPY_ABORTED, COPY_TARGET_DEVICE_UNREACHABLE);
	copy(r, r->a, list(r, naa, 0, 2, 0, RIG_BLOCKS - 1));
	CHECK_SENSE(r, COPY_ABORTED, NO_ADDITIONAL_SENSE);
	len = list(r, naa, 0, 1, 0, 9);
	r->data[HEADER] = 0xe0;
	copy(r, r->a, len);
	CHECK_SENSE(r, ILLEGAL_REQUEST, UNSUPPORTED_TARGET_DESCRIPTOR);
	len = list(r, naa, 0, 1, 0, 9);
	r->data[HEADER + TARGET] = 0x03;
	copy(r, r->a, len);
	CHECK_SENSE(r, ILLEGAL_REQUEST, UNSUPPORTED_SEGMENT_DESCRIPTOR);
	len = list(r, naa, 0, 1, 0, 9);
	copy(r, r->a, len - 1);
	CHECK_SENSE(r, ILLEGAL_REQUEST, PARAMETER_LIST_LENGTH_ERROR);
	CHECK_INT(r->writes, 0);
	rig_free(r);
}

TEST(a_reserved_unit_is_not_written_by_a_copy_either)
{
	struct rig *r = rig_new(0);

	rig_cmd(r, r->b, "5f 06 00 0000 00000018 00", SCSI_DIR_OUT,
		"0000000000000000 0000000000000001 0000000000000000", 24);
	rig_cmd(r, r->b, "5f 01 01 0000 00000018 00", SCSI_DIR_OUT,
		"0000000000000001 0000000000000000 0000000000000000", 24);
	CHECK_INT(r->status, SCSI_GOOD);
	copy(r, r->a, list(r, naa, 0, 1, 0, 9));
	CHECK_INT(r->status, SCSI_RESERVATION_CONFLICT);
	copy(r, r->b, list(r, naa, 0, 1, 0, 9));
	CHECK_INT(r->status, SCSI_GOOD);
	rig_free(r);
}

TEST(a_block_erase_wipes_and_nobody_else_gets_in_meanwhile)
{
	struct rig *r = rig_new(RIG_THIN | RIG_ASYNC);
	struct scsi_task erase;

	memset(r->disk, 1, RIG_BLOCKS * 512);
	CHECK_INT(rig_start(r, r->a, &erase, "48 02 0000000000 0000 00", SCSI_DIR_NONE, NULL, 0),
		  SCSI_PENDING);
	{
		struct scsi_task t = {.nexus = r->b, .cdb_len = 16};

		CHECK_INT(scsi_task_begin(&t), SCSI_DONE);
		CHECK_INT(t.sense[2], NOT_READY);
		CHECK_INT(be16(t.sense + 12), NOT_READY_SANITIZE_IN_PROGRESS);
	}
	rig_settle(r);
	CHECK(!erase.done);
	CHECK_INT(erase.status, SCSI_GOOD);
	CHECK_INT(r->disk[0] + r->disk[RIG_BLOCKS * 512 - 1], 0);
	CHECK_INT(r->flushes, 1);
	rig_cmd(r, r->b, "00 00 00 00 00 00", SCSI_DIR_NONE, NULL, 0);
	CHECK_INT(r->status, SCSI_GOOD);
	rig_cmd(r, r->a, "48 42 0000000000 0000 00", SCSI_DIR_NONE, NULL, 0);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_FIELD_IN_CDB);
	rig_free(r);
}

TEST(an_erase_that_failed_stays_failed_until_it_is_left)
{
	struct rig *r = rig_new(RIG_THIN);

	r->fail_with = EIO;
	rig_cmd(r, r->a, "48 02 0000000000 0000 00", SCSI_DIR_NONE, NULL, 0);
	CHECK_SENSE(r, MEDIUM_ERROR, SANITIZE_COMMAND_FAILED);
	r->fail_with = 0;
	rig_cmd(r, r->a, "48 1f 0000000000 0000 00", SCSI_DIR_NONE, NULL, 0);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_FIELD_IN_CDB); /* AUSE wasn't set */
	r->fail_with = EIO;
	rig_cmd(r, r->a, "48 22 0000000000 0000 00", SCSI_DIR_NONE, NULL, 0);
	r->fail_with = 0;
	rig_cmd(r, r->b, "28 00 00000000 00 0001 00", SCSI_DIR_IN, NULL, 512);
	CHECK_SENSE(r, MEDIUM_ERROR, SANITIZE_COMMAND_FAILED);
	rig_cmd(r, r->a, "48 1f 0000000000 0000 00", SCSI_DIR_NONE, NULL, 0);
	CHECK_INT(r->status, SCSI_GOOD);
	rig_cmd(r, r->b, "28 00 00000000 00 0001 00", SCSI_DIR_IN, NULL, 512);
	CHECK_INT(r->status, SCSI_GOOD);
	rig_free(r);
}
