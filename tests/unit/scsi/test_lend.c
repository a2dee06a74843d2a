/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "rig.h"

static const char read_2_blocks[] = "28 00 00000008 00 0002 00";

/* Begun, on LUN 0, and not run. */
static struct scsi_task begun(struct scsi_nexus *n, const char *cdb, enum scsi_dir dir,
			      uint32_t len)
{
	struct scsi_task t = {.nexus = n, .expected_dir = dir, .expected_len = len};

	(void)rig_hex(t.cdb, sizeof(t.cdb), cdb);
	t.cdb_len = 16;
	CHECK_INT(scsi_task_begin(&t), SCSI_NEEDS_RUN);
	return t;
}

/* COMPARE AND WRITE of block 9: waits as long as somebody holds it. */
static enum scsi_step compare_and_write(struct rig *r, struct scsi_task *t, uint8_t *data)
{
	return rig_start(r, r->b, t, "89 00 0000000000000009 000000 01 00 00", SCSI_DIR_OUT, data,
			 1024);
}

TEST(what_is_lent_lies_on_the_medium_and_is_held_until_it_is_given_back)
{
	struct rig *r = rig_new(RIG_LENDS | RIG_NO_CACHE);
	struct scsi_task t = begun(r->a, read_2_blocks, SCSI_DIR_IN, 1024), caw;
	uint8_t data[1024] = {0};

	CHECK_INT(scsi_task_lend(&t), SCSI_DONE);
	CHECK(t.lent == r->disk + 8 * 512);
	CHECK_INT(t.status, SCSI_GOOD);
	CHECK_INT(t.data_in_len, 1024);
	CHECK_INT(t.data_total, 1024);
	memset(data + 512, 7, 512);
	CHECK_INT(compare_and_write(r, &caw, data), SCSI_PENDING);
	rig_settle(r);
	CHECK_INT(r->writes, 0);
	scsi_task_give_back(&t);
	rig_settle(r);
	CHECK_INT(r->writes, 1);
	CHECK_INT(caw.status, SCSI_GOOD);
	CHECK_INT(r->disk[9 * 512], 7);
	rig_free(r);
}

TEST(what_is_kept_is_a_copy_and_no_longer_held)
{
	struct rig *r = rig_new(RIG_LENDS | RIG_NO_CACHE);
	struct scsi_task t, caw;
	uint8_t kept[1024] = {0}, data[1024];

	memset(r->disk + 8 * 512, 3, 1024);
	t = begun(r->a, read_2_blocks, SCSI_DIR_IN, 1024);
	CHECK_INT(scsi_task_lend(&t), SCSI_DONE);
	t.data = kept;
	t.data_cap = sizeof(kept);
	CHECK_INT(scsi_task_keep(&t, 0), 0);
	CHECK(t.lent == NULL);
	memset(data, 3, 512);
	memset(data + 512, 7, 512);
	CHECK_INT(compare_and_write(r, &caw, data), SCSI_DONE);
	CHECK(kept[0] == 3 && kept[1023] == 3 && r->disk[9 * 512] == 7);
	rig_free(r);
}

TEST(only_what_is_not_sent_need_be_kept)
{
	static const struct {
		uint32_t from, kept_from;
	} cases[] = {
		{0,    0   },
                {511,  0   },
                {512,  512 },
                {700,  512 },
                {1024, 1024}
        };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rig *r = rig_new(RIG_LENDS | RIG_NO_CACHE);
		struct scsi_task t = begun(r->a, read_2_blocks, SCSI_DIR_IN, 1024);
		uint8_t kept[1025] = {0};

		memset(r->disk + 8 * 512, 3, 1024);
		CHECK_INT(scsi_task_lend(&t), SCSI_DONE);
		t.data = kept;
		t.data_cap = 1024;
		CHECK_INT(scsi_task_keep(&t, cases[i].from), 0);
		CHECK(t.lent == NULL);
		for (size_t k = 0; k < sizeof(kept); k++)
			CHECK_INT(kept[k], k >= cases[i].kept_from && k < 1024 ? 3 : 0);
		rig_free(r);
	}
}

TEST(what_can_not_be_kept_stays_lent)
{
	struct rig *r = rig_new(RIG_LENDS | RIG_NO_CACHE);
	struct scsi_task t = begun(r->a, read_2_blocks, SCSI_DIR_IN, 1024);
	uint8_t kept[1024];

	CHECK_INT(scsi_task_lend(&t), SCSI_DONE);
	t.data = kept;
	t.data_cap = sizeof(kept);
	r->fail_with = EIO;
	CHECK_INT(scsi_task_keep(&t, 0), -EIO);
	CHECK(t.lent != NULL);
	r->fail_with = 0;
	CHECK_INT(scsi_task_keep(&t, 0), 0);
	rig_free(r);
}

TEST(only_plain_reads_that_are_wholly_wanted_are_lent)
{
	static const struct {
		unsigned flags;
		const char *cdb;
		uint32_t len;
		enum scsi_step step;
	} cases[] = {
		{RIG_LENDS | RIG_NO_CACHE, "08 00 00 08 02 00",                     1024, SCSI_DONE     },
		{RIG_LENDS | RIG_NO_CACHE, "28 08 00000008 00 0002 00",             1024, SCSI_DONE     },
		{RIG_LENDS | RIG_NO_CACHE, "a8 00 00000008 00000002 00 00",         1024, SCSI_DONE     },
		{RIG_LENDS | RIG_NO_CACHE, "88 00 0000000000000008 00000002 00 00", 1024,
		 SCSI_DONE									      },
		{RIG_LENDS | RIG_NO_CACHE, read_2_blocks,                           1023, SCSI_NEEDS_RUN},
		{RIG_NO_CACHE,             read_2_blocks,                           1024, SCSI_NEEDS_RUN},
		{RIG_LENDS,                read_2_blocks,                           1024, SCSI_NEEDS_RUN},
		{RIG_LENDS | RIG_NO_CACHE, "12 00 00 00 40 00",                     64,   SCSI_NEEDS_RUN},
		{RIG_LENDS | RIG_NO_CACHE, "9e 10 0000000000000000 00000020 00 00", 32,
		 SCSI_NEEDS_RUN									 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rig *r = rig_new(cases[i].flags);
		struct scsi_task t = begun(r->a, cases[i].cdb, SCSI_DIR_IN, cases[i].len);

		CHECK_INT(scsi_task_lend(&t), cases[i].step);
		CHECK_INT(t.lent != NULL, cases[i].step == SCSI_DONE);
		if (t.lent)
			scsi_task_give_back(&t);
		else
			scsi_task_drop(&t);
		rig_free(r);
	}
}

TEST(a_reservation_made_meanwhile_is_seen)
{
	struct rig *r = rig_new(RIG_LENDS | RIG_NO_CACHE);
	struct scsi_task t = begun(r->a, read_2_blocks, SCSI_DIR_IN, 1024);

	rig_cmd(r, r->b, "16 00 00 00 00 00", SCSI_DIR_NONE, NULL, 0);
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK_INT(scsi_task_lend(&t), SCSI_DONE);
	CHECK_INT(t.status, SCSI_RESERVATION_CONFLICT);
	CHECK(t.lent == NULL && t.data_in_len == 0);
	rig_free(r);
}

TEST(while_somebody_has_the_blocks_for_himself_nothing_is_lent)
{
	struct rig *r = rig_new(RIG_LENDS | RIG_NO_CACHE);
	struct scsi_task first = begun(r->a, read_2_blocks, SCSI_DIR_IN, 1024);
	struct scsi_task second = begun(r->a, read_2_blocks, SCSI_DIR_IN, 1024), caw;
	uint8_t data[1024] = {0};

	CHECK_INT(scsi_task_lend(&first), SCSI_DONE);
	CHECK_INT(compare_and_write(r, &caw, data), SCSI_PENDING);
	CHECK_INT(scsi_task_lend(&second), SCSI_NEEDS_RUN);
	scsi_task_give_back(&first);
	rig_settle(r);
	CHECK_INT(scsi_task_lend(&second), SCSI_DONE);
	scsi_task_give_back(&second);
	rig_free(r);
}

TEST(a_write_disturbs_the_blocks_it_writes_and_no_others)
{
	static const struct {
		const char *cdb;
		enum scsi_dir dir;
		uint32_t len;
		bool disturbs;
	} cases[] = {
		{"2a 00 00000008 00 0001 00", SCSI_DIR_OUT,  512,  true },
		{"2a 00 00000009 00 0004 00", SCSI_DIR_OUT,  2048, true },
		{"2a 00 00000006 00 0002 00", SCSI_DIR_OUT,  1024, false},
		{"2a 00 0000000a 00 0001 00", SCSI_DIR_OUT,  512,  false},
		{"28 00 00000008 00 0001 00", SCSI_DIR_IN,   512,  false},
		{"41 00 00000100 00 0001 00", SCSI_DIR_OUT,  512,  true }, /* not looked into */
		{"42 00 00000000 00 0018 00", SCSI_DIR_OUT,  24,   true },
		{"35 00 00000000 00 0000 00", SCSI_DIR_NONE, 0,    false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rig *r = rig_new(RIG_LENDS | RIG_NO_CACHE | RIG_THIN);
		struct scsi_task t = begun(r->a, read_2_blocks, SCSI_DIR_IN, 1024), other;

		CHECK_INT(scsi_task_lend(&t), SCSI_DONE);
		other = begun(r->a, cases[i].cdb, cases[i].dir, cases[i].len);
		CHECK_INT(scsi_task_disturbs(&other, &t), cases[i].disturbs);
		scsi_task_drop(&other);
		scsi_task_give_back(&t);
		rig_free(r);
	}
}
