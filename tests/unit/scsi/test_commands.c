/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "rig.h"
#include "scsi/be.h"
#include "scsi/sense.h"

static const char tur[] = "00 00 00 00 00 00";

TEST(a_new_nexus_hears_of_the_reset_once)
{
	struct rig *r = rig_new(0);
	struct scsi_nexus *n = scsi_nexus_new(r->target, "c,i,0x1", "t,t,0x1", 1);

	rig_cmd(r, n, tur, SCSI_DIR_NONE, NULL, 0);
	CHECK_SENSE(r, UNIT_ATTENTION, RESET_OCCURRED);
	rig_cmd(r, n, tur, SCSI_DIR_NONE, NULL, 0);
	CHECK_INT(r->status, SCSI_GOOD);
	scsi_nexus_free(n);
	rig_free(r);
}

TEST(inquiry_and_report_luns_do_not_take_the_unit_attention_away)
{
	struct rig *r = rig_new(0);
	struct scsi_nexus *n = scsi_nexus_new(r->target, "c,i,0x1", "t,t,0x1", 1);

	rig_cmd(r, n, "12 00 00 00ff 00", SCSI_DIR_IN, NULL, 255);
	CHECK_INT(r->status, SCSI_GOOD);
	rig_cmd(r, n, "a0 00 00 000000 00000100 00 00", SCSI_DIR_IN, NULL, 256);
	CHECK_INT(r->status, SCSI_GOOD);
	rig_cmd(r, n, "03 00 00 00 ff 00", SCSI_DIR_IN, NULL, 255);
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK_INT(r->data[2], UNIT_ATTENTION);
	CHECK_INT(be16(r->data + 12), RESET_OCCURRED);
	rig_cmd(r, n, "03 00 00 00 ff 00", SCSI_DIR_IN, NULL, 255);
	CHECK_INT(r->data[2], NO_SENSE);
	scsi_nexus_free(n);
	rig_free(r);
}

/* One row: a command of nexus a on LUN 0 of a thin unit, and what comes of it. */
static const struct {
	const char *name, *cdb;
	enum scsi_dir dir;
	uint32_t edtl;
	enum scsi_status status;
	int sense; /* key << 16 | code */
	uint32_t got, total;
} rows[] = {
	{"inquiry is 96 bytes",                      "12 00 00 00ff 00",                      SCSI_DIR_IN,   255,    0, -1,      96,     96  },
	{"inquiry cut by allocation length",         "12 00 00 0024 00",                      SCSI_DIR_IN,   255,    0, -1,      36,     36  },
	{"inquiry cut by the initiator",             "12 00 00 00ff 00",                      SCSI_DIR_IN,   36,     0, -1,      36,     96  },
	{"page without EVPD",                        "12 00 80 00ff 00",                      SCSI_DIR_IN,   255,    2, 0x52400, 0,      0   },
	{"unknown page",			     "12 01 c0 00ff 00",                      SCSI_DIR_IN,   255,    2, 0x52400, 0,      0   },
	{"CMDDT",				    "12 02 00 00ff 00",                      SCSI_DIR_IN,   255,    2, 0x52400, 0,      0   },
	{"page 00",				  "12 01 00 00ff 00",                      SCSI_DIR_IN,   255,    0, -1,      12,     12  },
	{"page b0",				  "12 01 b0 00ff 00",                      SCSI_DIR_IN,   255,    0, -1,      64,     64  },
	{"unknown opcode",			   "02 00 00 00 00 00",                     SCSI_DIR_NONE, 0,      2, 0x52000, 0,      0   },
	{"NACA",				     "00 00 00 00 00 04",                     SCSI_DIR_NONE, 0,      2, 0x52400, 0,      0   },
	{"report luns: one",                         "a0 00 00 000000 00000100 00 00",        SCSI_DIR_IN,   256,    0, -1,      16,     16  },
	{"report luns: too little room",             "a0 00 00 000000 0000000f 00 00",        SCSI_DIR_IN,   15,     2,
	 0x52400,														0,      0   },
	{"read capacity 10",                         "25 00 00000000 0000 00 00",             SCSI_DIR_IN,   8,      0, -1,      8,      8   },
	{"read capacity 16",                         "9e 10 0000000000000000 00000020 00 00", SCSI_DIR_IN,   32,     0, -1,      32,
	 32																  },
	{"service action that isn't there",          "9e 1f 0000000000000000 00000020 00 00", SCSI_DIR_IN,
	 32,													 2, 0x52400, 0,      0   },
	{"read 6 of no blocks reads 256",            "08 00 00 00 00 00",                     SCSI_DIR_IN,   131072, 0, -1,      131072,
	 131072															      },
	{"read 10 of no blocks",                     "28 00 00000000 00 0000 00",             SCSI_DIR_NONE, 0,      0, -1,      0,      0   },
	{"read 10 of no blocks past the end",        "28 00 00001001 00 0000 00",             SCSI_DIR_NONE, 0,      2,
	 0x52100,														0,      0   },
	{"read 10 of the last block",                "28 00 00000fff 00 0001 00",             SCSI_DIR_IN,   512,    0, -1,      512,
	 512																 },
	{"read 10 across the end",                   "28 00 00000fff 00 0002 00",             SCSI_DIR_IN,   1024,   2, 0x52100, 0,
	 0																   },
	{"read 16 at 2^63",                          "88 00 8000000000000000 00000001 00 00", SCSI_DIR_IN,   512,    2, 0x52100,
	 0,															      0   },
	{"read 16 at -1",			    "88 00 ffffffffffffffff 00000002 00 00", SCSI_DIR_IN,   1024,   2, 0x52100, 0,
	 0																   },
	{"RDPROTECT",				"28 20 00000000 00 0001 00",             SCSI_DIR_IN,   512,    2, 0x52400, 0,      0   },
	{"DPO and FUA",			      "28 18 00000000 00 0001 00",             SCSI_DIR_IN,   512,    0, -1,      512,    512 },
	{"read into nothing",                        "28 00 00000000 00 0001 00",             SCSI_DIR_IN,   0,      0, -1,      0,      512 },
	{"read into less",			   "28 00 00000000 00 0001 00",             SCSI_DIR_IN,   200,    0, -1,      200,    512 },
	{"read into more",			   "28 00 00000000 00 0001 00",             SCSI_DIR_IN,   10000,  0, -1,      512,    512 },
	{"write of which one block and a half come", "2a 00 00000000 00 0002 00",             SCSI_DIR_OUT,  768,
	 0,													     -1,      0,      1024},
	{"write of which nothing comes",             "2a 00 00000000 00 0002 00",             SCSI_DIR_NONE, 0,      0, -1,      0,
	 1024																},
	{"write same of which half comes",           "41 00 00000000 00 0002 00",             SCSI_DIR_OUT,  256,    2,
	 0x52400,														0,      512 },
	{"write same of which two come",             "41 00 00000000 00 0002 00",             SCSI_DIR_OUT,  1024,   2,
	 0x52400,														0,      512 },
	{"mode select of which half comes",          "15 10 00 00 18 00",                     SCSI_DIR_OUT,  12,     2, 0x50e03, 0,
	 24																  },
	{"write with more behind",                   "2a 00 00000000 00 0001 00",             SCSI_DIR_OUT,  10000,  0, -1,      0,      512 },
	{"WRPROTECT",				"2a e0 00000000 00 0001 00",             SCSI_DIR_OUT,  512,    2, 0x52400, 0,      0   },
	{"mode sense of all pages",                  "1a 00 3f 00 ff 00",                     SCSI_DIR_IN,   255,    0, -1,      56,     56  },
	{"mode sense of saved values",               "1a 00 c8 00 ff 00",                     SCSI_DIR_IN,   255,    2, 0x53900, 0,      0   },
	{"mode sense of an unknown page",            "1a 00 02 00 ff 00",                     SCSI_DIR_IN,   255,    2, 0x52400, 0,      0   },
	{"log pages",				"4d 00 40 00 00 00 00 00ff 00",          SCSI_DIR_IN,   255,    0, -1,      6,      6   },
	{"synchronize cache",                        "35 00 00000000 00 0000 00",             SCSI_DIR_NONE, 0,      0, -1,      0,      0   },
	{"start",				    "1b 00 00 00 01 00",                     SCSI_DIR_NONE, 0,      0, -1,      0,      0   },
	{"prevent",				  "1e 00 00 00 01 00",                     SCSI_DIR_NONE, 0,      0, -1,      0,      0   },
	{"self-test",				"1d 04 00 0000 00",                      SCSI_DIR_NONE, 0,      0, -1,      0,      0   },
};

TEST(each_command_answers_as_the_table_says_and_the_same_when_the_device_is_slow)
{
	for (unsigned async = 0; async < 2; async++)
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			struct rig *r = rig_new(RIG_THIN | (async ? RIG_ASYNC : 0));
			int before = test_failures;

			rig_cmd(r, r->a, rows[i].cdb, rows[i].dir, NULL, rows[i].edtl);
			CHECK_INT(r->status, rows[i].status);
			CHECK_INT(rig_sense(r), rows[i].sense);
			CHECK_INT(r->got, rows[i].got);
			CHECK_INT(r->total, rows[i].total);
			if (test_failures > before)
				printf("# in row \"%s\"\n", rows[i].name);
			rig_free(r);
		}
}

TEST(what_was_written_is_read_back_by_every_read)
{
	static const char *const writes[] = {"0a 00 00 07 02 00", "2a 00 00000007 00 0002 00",
					     "aa 00 00000007 00000002 00 00",
					     "8a 00 0000000000000007 00000002 00 00"};
	static const char *const reads[] = {"08 00 00 07 02 00", "28 00 00000007 00 0002 00",
					    "a8 00 00000007 00000002 00 00",
					    "88 00 0000000000000007 00000002 00 00"};
	struct rig *r = rig_new(0);

	for (size_t w = 0; w < ARRAY_SIZE(writes); w++)
		for (size_t i = 0; i < ARRAY_SIZE(reads); i++) {
			memset(r->data, (int)(16 * w + i + 1), 1024);
			rig_cmd(r, r->a, writes[w], SCSI_DIR_OUT, NULL, 1024);
			CHECK_INT(r->status, SCSI_GOOD);
			rig_cmd(r, r->b, reads[i], SCSI_DIR_IN, NULL, 1024);
			CHECK_INT(r->got, 1024);
			CHECK_INT(r->data[0], 16 * w + i + 1);
			CHECK_INT(r->data[1023], 16 * w + i + 1);
			CHECK_INT(r->disk[7 * 512 - 1], 0);
			CHECK_INT(r->disk[9 * 512], 0);
		}
	rig_free(r);
}

TEST(a_write_of_which_less_comes_writes_whole_blocks_of_that)
{
	struct rig *r = rig_new(0);

	memset(r->data, 5, 1024);
	rig_cmd(r, r->a, "2a 00 00000000 00 0002 00", SCSI_DIR_OUT, NULL, 768);
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK_INT(r->total, 1024);
	CHECK_INT(r->disk[511], 5);
	CHECK_INT(r->disk[512], 0);
	rig_free(r);
}

TEST(fua_reaches_the_device_and_a_disabled_cache_makes_every_write_so)
{
	struct rig *r = rig_new(0);

	rig_cmd(r, r->a, "2a 00 00000000 00 0001 00", SCSI_DIR_OUT, NULL, 512);
	CHECK_INT(r->fua_writes, 0);
	rig_cmd(r, r->a, "2a 08 00000000 00 0001 00", SCSI_DIR_OUT, NULL, 512);
	CHECK_INT(r->fua_writes, 1);
	rig_cmd(r, r->a, "35 00 00000000 00 0000 00", SCSI_DIR_NONE, NULL, 0);
	CHECK_INT(r->flushes, 1);
	/* WCE off: header, caching page as it is but for WCE */
	rig_cmd(r, r->a, "15 10 00 00 18 00", SCSI_DIR_OUT,
		"00000000 0812 00 00 0000 0000 0000 0000 00 00 00 00 00000000", 24);
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK_INT(r->flushes, 2);
	rig_cmd(r, r->b, tur, SCSI_DIR_NONE, NULL, 0);
	CHECK_SENSE(r, UNIT_ATTENTION, MODE_PARAMETERS_CHANGED);
	rig_cmd(r, r->b, "2a 00 00000000 00 0001 00", SCSI_DIR_OUT, NULL, 512);
	CHECK_INT(r->fua_writes, 2);
	rig_cmd(r, r->b, "1a 08 08 00 ff 00", SCSI_DIR_IN, NULL, 255);
	CHECK_INT(r->data[4 + 2], 0);
	rig_free(r);
}

TEST(mode_select_changes_nothing_when_one_page_is_wrong)
{
	struct rig *r = rig_new(0);

	/* D_SENSE on, then a caching page with a bit that can't be changed */
	rig_cmd(r, r->a, "15 10 00 00 24 00", SCSI_DIR_OUT,
		"00000000 0a0a 06 10 00 00 0000 ffff 0000"
		"0812 05 00 0000 0000 0000 0000 00 00 00 00 00000000",
		36);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_FIELD_IN_PARAMETER_LIST);
	CHECK_INT(r->sense[0], 0x70);
	CHECK_INT(be16(r->sense + 16), 4 + 12 + 2); /* the field pointer names the byte */
	rig_cmd(r, r->b, "1a 08 0a 00 ff 00", SCSI_DIR_IN, NULL, 255);
	CHECK_INT(r->data[4 + 2], 0x02);
	rig_free(r);
}

TEST(d_sense_makes_sense_data_descriptors)
{
	struct rig *r = rig_new(0);

	rig_cmd(r, r->a, "15 10 00 00 10 00", SCSI_DIR_OUT,
		"00000000 0a0a 06 10 00 00 0000 ffff 0000", 16);
	CHECK_INT(r->status, SCSI_GOOD);
	rig_cmd(r, r->a, "28 00 00001000 00 0001 00", SCSI_DIR_IN, NULL, 512);
	CHECK_SENSE(r, ILLEGAL_REQUEST, LBA_OUT_OF_RANGE);
	CHECK_INT(r->sense[0], 0x72);
	CHECK_INT(be64(r->sense + 12), 0x1000);
	rig_free(r);
}

TEST(software_write_protect_refuses_writes_until_it_is_taken_back)
{
	struct rig *r = rig_new(0);

	rig_cmd(r, r->a, "15 10 00 00 10 00", SCSI_DIR_OUT,
		"00000000 0a0a 02 10 08 00 0000 ffff 0000", 16);
	rig_cmd(r, r->a, "2a 00 00000000 00 0001 00", SCSI_DIR_OUT, NULL, 512);
	CHECK_SENSE(r, DATA_PROTECT, SOFTWARE_WRITE_PROTECTED);
	CHECK_INT(r->writes, 0);
	rig_cmd(r, r->a, "15 10 00 00 10 00", SCSI_DIR_OUT,
		"00000000 0a0a 02 10 00 00 0000 ffff 0000", 16);
	rig_cmd(r, r->a, "2a 00 00000000 00 0001 00", SCSI_DIR_OUT, NULL, 512);
	CHECK_INT(r->status, SCSI_GOOD);
	rig_free(r);
}

TEST(verify_tells_at_which_byte_the_data_part)
{
	struct rig *r = rig_new(0);

	memset(r->disk, 7, 4 * 512);
	memset(r->data, 7, 1024);
	rig_cmd(r, r->a, "2f 02 00000001 00 0002 00", SCSI_DIR_OUT, NULL, 1024);
	CHECK_INT(r->status, SCSI_GOOD);
	r->disk[3 * 512 - 2] = 8;
	rig_cmd(r, r->a, "2f 02 00000001 00 0002 00", SCSI_DIR_OUT, NULL, 1024);
	CHECK_SENSE(r, MISCOMPARE, MISCOMPARE_DURING_VERIFY);
	CHECK_INT(r->sense[0], 0xf0);
	CHECK_INT(be32(r->sense + 3), 1022);
	rig_free(r);
}

TEST(a_failing_device_becomes_the_sense_that_says_what_to_do)
{
	static const struct {
		int error;
		const char *cdb;
		enum scsi_dir dir;
		int sense;
	} failures[] = {
		{EIO,    "28 00 00000005 00 0001 00", SCSI_DIR_IN,   0x31100},
		{EIO,    "2a 00 00000005 00 0001 00", SCSI_DIR_OUT,  0x30c00},
		{EIO,    "35 00 00000000 00 0000 00", SCSI_DIR_NONE, 0x30c00},
		{ENOSPC, "2a 00 00000005 00 0001 00", SCSI_DIR_OUT,  0x72707},
		{EROFS,  "2a 00 00000005 00 0001 00", SCSI_DIR_OUT,  0x72700},
	};

	for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
		struct rig *r = rig_new(i % 2 ? RIG_ASYNC : 0);

		r->fail_with = failures[i].error;
		rig_cmd(r, r->a, failures[i].cdb, failures[i].dir, NULL, 512);
		CHECK_INT(r->status, SCSI_CHECK_CONDITION);
		CHECK_INT(rig_sense(r), failures[i].sense);
		rig_free(r);
	}
}

static void healthy(void *ctx, int error)
{
	int *told = ctx;

	told[0]++;
	told[1] = error;
}

TEST(a_device_that_fails_is_told_once_and_again_when_it_is_well)
{
	struct rig *r = rig_new(0);
	int told[2] = {0, 0};
	struct scsi_lu_params p = {.naa = 0x3000000000000002,
				   .vendor = "",
				   .product = "",
				   .revision = "",
				   .dev = &r->dev,
				   .health = healthy,
				   .health_ctx = told};
	struct scsi_lu *lu = scsi_lu_new(&p, NULL);
	static const char read[] = "28 00 00000000 00 0001 00",
			  write[] = "2a 00 00000000 00 0001 00";
	const uint64_t lun = 1ULL << 48;

	CHECK_INT(scsi_target_map(r->target, 1, lu), 0);
	rig_cmd_lun(r, r->a, lun, "00", SCSI_DIR_NONE, NULL, 0);
	rig_cmd_lun(r, r->a, lun, "00", SCSI_DIR_NONE, NULL, 0);
	r->fail_with = ENOSPC;
	for (int i = 0; i < 3; i++)
		rig_cmd_lun(r, r->a, lun, write, SCSI_DIR_OUT, NULL, 512);
	CHECK_INT(told[0], 1);
	CHECK_INT(told[1], -ENOSPC);
	r->fail_with = 0;
	(void)usleep(1100000);
	rig_cmd_lun(r, r->a, lun, read, SCSI_DIR_IN, NULL, 512); /* could be read all the time */
	CHECK_INT(told[0], 1);
	rig_cmd_lun(r, r->a, lun, write, SCSI_DIR_OUT, NULL, 512);
	CHECK_INT(told[0], 2);
	CHECK_INT(told[1], 0);
	scsi_lu_unref(lu);
	rig_free(r);
}

TEST(a_lun_without_a_unit_answers_only_who_is_there)
{
	struct rig *r = rig_new(0);

	rig_cmd_lun(r, r->a, 5ULL << 48, tur, SCSI_DIR_NONE, NULL, 0);
	CHECK_SENSE(r, ILLEGAL_REQUEST, LOGICAL_UNIT_NOT_SUPPORTED);
	rig_cmd_lun(r, r->a, 5ULL << 48, "12 00 00 00ff 00", SCSI_DIR_IN, NULL, 255);
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK_INT(r->data[0], 0x7f);
	rig_cmd_lun(r, r->a, 5ULL << 48, "03 00 00 00 ff 00", SCSI_DIR_IN, NULL, 255);
	CHECK_INT(be16(r->data + 12), LOGICAL_UNIT_NOT_SUPPORTED);
	rig_cmd_lun(r, r->a, 0x00ff000000000000, tur, SCSI_DIR_NONE, NULL, 0);
	CHECK_SENSE(r, ILLEGAL_REQUEST, LOGICAL_UNIT_NOT_SUPPORTED);
	rig_cmd_lun(r, r->a, 0x4000000000000000, tur, SCSI_DIR_NONE, NULL, 0);
	CHECK_INT(r->status, SCSI_GOOD); /* flat space addressing of LUN 0 */
	rig_free(r);
}

static void count(void *ctx)
{
	++*(int *)ctx;
}

TEST(an_unmapped_unit_lives_until_its_last_task_ends_and_the_others_hear_of_it)
{
	struct rig *r = rig_new(RIG_ASYNC);
	struct scsi_lu_params p = {.naa = 0x3000000000000002,
				   .vendor = "V",
				   .product = "P",
				   .revision = "R",
				   .dev = &r->dev,
				   .released = count};
	struct scsi_task t;
	uint8_t data[512];
	int released = 0;
	struct scsi_lu *lu;

	p.released_ctx = &released;
	lu = scsi_lu_new(&p, NULL);
	CHECK_INT(scsi_target_map(r->target, 0, lu), -EEXIST);
	CHECK_INT(scsi_target_map(r->target, 1, lu), 0);
	rig_cmd(r, r->a, tur, SCSI_DIR_NONE, NULL, 0);
	CHECK_SENSE(r, UNIT_ATTENTION, REPORTED_LUNS_DATA_CHANGED);
	scsi_lu_unref(lu);
	rig_cmd_lun(r, r->a, 1ULL << 48, tur, SCSI_DIR_NONE, NULL, 0);
	t = (struct scsi_task){0};
	CHECK_INT(rig_start(r, r->a, &t, "28 00 00000000 00 0001 00", SCSI_DIR_IN, data, 512),
		  SCSI_PENDING);
	rig_settle(r);
	/* and now on LUN 1 */
	t = (struct scsi_task){.nexus = r->a,
			       .lun = 1ULL << 48,
			       .expected_dir = SCSI_DIR_IN,
			       .expected_len = 512,
			       .data = data,
			       .data_cap = 512,
			       .cdb_len = 16};
	(void)rig_hex(t.cdb, 16, "28 00 00000000 00 0001 00");
	CHECK_INT(scsi_task_begin(&t), SCSI_NEEDS_RUN);
	CHECK_INT(scsi_target_unmap(r->target, 1), 0);
	CHECK_INT(scsi_target_unmap(r->target, 1), -ENOENT);
	CHECK_INT(released, 0);
	scsi_task_drop(&t);
	CHECK_INT(released, 1);
	rig_cmd(r, r->b, tur, SCSI_DIR_NONE, NULL, 0);
	CHECK_SENSE(r, UNIT_ATTENTION, REPORTED_LUNS_DATA_CHANGED);
	rig_free(r);
}

TEST(growing_is_told_and_the_new_blocks_are_there)
{
	struct rig *r = rig_new(0);

	r->dev.size_bytes -= 512;
	rig_cmd(r, r->a, "28 00 00000fff 00 0001 00", SCSI_DIR_IN, NULL, 512);
	CHECK_SENSE(r, ILLEGAL_REQUEST, LBA_OUT_OF_RANGE);
	r->dev.size_bytes += 512;
	scsi_lu_resized(r->lu);
	rig_cmd(r, r->a, tur, SCSI_DIR_NONE, NULL, 0);
	CHECK_SENSE(r, UNIT_ATTENTION, CAPACITY_DATA_CHANGED);
	rig_cmd(r, r->a, "28 00 00000fff 00 0001 00", SCSI_DIR_IN, NULL, 512);
	CHECK_INT(r->status, SCSI_GOOD);
	rig_free(r);
}

TEST(reserve_keeps_others_out_until_release_logout_or_reset)
{
	struct rig *r = rig_new(0);
	struct scsi_nexus *c;

	rig_cmd(r, r->a, "16 00 00 00 00 00", SCSI_DIR_NONE, NULL, 0);
	CHECK_INT(r->status, SCSI_GOOD);
	rig_cmd(r, r->b, "16 00 00 00 00 00", SCSI_DIR_NONE, NULL, 0);
	CHECK_INT(r->status, SCSI_RESERVATION_CONFLICT);
	rig_cmd(r, r->b, tur, SCSI_DIR_NONE, NULL, 0);
	CHECK_INT(r->status, SCSI_RESERVATION_CONFLICT);
	rig_cmd(r, r->b, "12 00 00 00ff 00", SCSI_DIR_IN, NULL, 255);
	CHECK_INT(r->status, SCSI_GOOD);
	rig_cmd(r, r->b, "17 00 00 00 00 00", SCSI_DIR_NONE, NULL, 0);
	CHECK_INT(r->status, SCSI_GOOD);
	rig_cmd(r, r->b, "28 00 00000000 00 0001 00", SCSI_DIR_IN, NULL, 512);
	CHECK_INT(r->status, SCSI_RESERVATION_CONFLICT);
	rig_cmd(r, r->a, "17 00 00 00 00 00", SCSI_DIR_NONE, NULL, 0);
	rig_cmd(r, r->b, "28 00 00000000 00 0001 00", SCSI_DIR_IN, NULL, 512);
	CHECK_INT(r->status, SCSI_GOOD);

	c = scsi_nexus_new(r->target, "c,i,0x1", "t,t,0x1", 1);
	rig_cmd(r, c, tur, SCSI_DIR_NONE, NULL, 0);
	rig_cmd(r, c, "56 00 00 00 00 00 00 0000 00", SCSI_DIR_NONE, NULL, 0);
	rig_cmd(r, r->a, tur, SCSI_DIR_NONE, NULL, 0);
	CHECK_INT(r->status, SCSI_RESERVATION_CONFLICT);
	scsi_nexus_free(c);
	rig_cmd(r, r->a, tur, SCSI_DIR_NONE, NULL, 0);
	CHECK_INT(r->status, SCSI_GOOD);

	rig_cmd(r, r->b, "16 00 00 00 00 00", SCSI_DIR_NONE, NULL, 0);
	CHECK_INT(scsi_tmf(r->a, SCSI_TMF_LU_RESET, 0), 0);
	rig_cmd(r, r->a, tur, SCSI_DIR_NONE, NULL, 0);
	CHECK_SENSE(r, UNIT_ATTENTION, BUS_DEVICE_RESET_OCCURRED);
	rig_cmd(r, r->a, tur, SCSI_DIR_NONE, NULL, 0);
	CHECK_INT(r->status, SCSI_GOOD);
	rig_free(r);
}
