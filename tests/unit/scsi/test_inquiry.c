/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"
#include "scsi/be.h"

static void page(struct rig *r, unsigned code)
{
	auto_free char *cdb = xasprintf("12 01 %02x 0400 00", code);

	rig_cmd(r, r->a, cdb, SCSI_DIR_IN, NULL, 0x400);
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK_INT(r->data[1], code);
	CHECK_INT(be16(r->data + 2), r->got - 4);
}

TEST(the_name_is_the_same_wherever_it_is_asked)
{
	struct rig *r = rig_new(0);
	bool naa = false, port = false, device = false, group = false;

	page(r, 0x80);
	CHECK_STR((const char *)r->data + 4, "3123456789abcdef");
	page(r, 0x83);
	for (const uint8_t *d = r->data + 4; d < r->data + r->got; d += 4 + d[3]) {
		unsigned association = d[1] >> 4 & 3, type = d[1] & 0xf;

		if (association == 0 && type == 3)
			naa = d[3] == 8 && be64(d + 4) == 0x3123456789abcdef;
		if (association == 1 && type == 8)
			port = streq((const char *)d + 4, "iqn.2026-01.org.example:t,t,0x0001");
		if (association == 1 && type == 5)
			group = be16(d + 6) == 1;
		if (association == 2 && type == 8)
			device = streq((const char *)d + 4, "iqn.2026-01.org.example:t");
		CHECK(association == 0 || (d[0] >> 4 == 5 && d[1] & 0x80)); /* iSCSI */
		CHECK_INT(d[3] % 4, 0);
	}
	CHECK(naa && port && device && group);
	rig_free(r);
}

TEST(the_limits_are_in_blocks_of_the_unit)
{
	for (unsigned big = 0; big < 2; big++) {
		struct rig *r = rig_new(RIG_THIN | (big ? RIG_4K : 0));
		uint32_t bs = big ? 4096 : 512;

		page(r, 0xb0);
		CHECK_INT(be32(r->data + 8) * bs, 16 << 20);
		CHECK(r->data[5] > 0);
		CHECK(be32(r->data + 20) > 0 && be32(r->data + 24) > 0);
		CHECK_INT(be32(r->data + 28) * bs, 4096);
		page(r, 0xb2);
		CHECK_INT(r->data[5], 0xe4);
		CHECK_INT(r->data[6], 2);
		rig_cmd(r, r->a, "9e 10 0000000000000000 00000020 00 00", SCSI_DIR_IN, NULL, 32);
		CHECK_INT(be64(r->data), RIG_BLOCKS - 1);
		CHECK_INT(be32(r->data + 8), bs);
		CHECK_INT(bs << (r->data[13] & 0xf), 4096);
		rig_free(r);
	}
}

TEST(every_page_listed_is_there_in_ascending_order)
{
	struct rig *r = rig_new(RIG_THIN);
	uint8_t list[64];
	unsigned n;

	page(r, 0x00);
	n = r->data[3];
	memcpy(list, r->data + 4, n);
	for (unsigned i = 0; i < n; i++) {
		CHECK(i == 0 || list[i] > list[i - 1]);
		page(r, list[i]);
	}
	rig_free(r);
}

TEST(a_unit_without_a_cache_says_so_and_can_not_be_told_otherwise)
{
	struct rig *r = rig_new(RIG_NO_CACHE);

	rig_cmd(r, r->a, "1a 08 08 00 ff 00", SCSI_DIR_IN, NULL, 255);
	CHECK_INT(r->data[4 + 2] & 4, 0);
	rig_cmd(r, r->a, "1a 08 48 00 ff 00", SCSI_DIR_IN, NULL, 255);
	CHECK_INT(r->data[4 + 2] & 4, 0);
	rig_cmd(r, r->a, "15 10 00 00 18 00", SCSI_DIR_OUT,
		"00000000 0812 04 00 0000 0000 0000 0000 00 00 00 00 00000000", 24);
	CHECK_INT(r->status, SCSI_CHECK_CONDITION);
	rig_free(r);
}

TEST(a_read_only_unit_says_so_and_is)
{
	struct rig *r = rig_new(RIG_READ_ONLY);

	rig_cmd(r, r->a, "1a 08 08 00 ff 00", SCSI_DIR_IN, NULL, 255);
	CHECK_INT(r->data[2] & 0x80, 0x80);
	rig_cmd(r, r->a, "2a 00 00000000 00 0001 00", SCSI_DIR_OUT, NULL, 512);
	CHECK_INT(rig_sense(r), 0x72700);
	rig_free(r);
}

TEST(what_can_not_be_a_unit_is_refused_with_a_reason)
{
	struct blockdev dev = {.size_bytes = 512, .block_size = 512};
	static const struct {
		uint64_t naa;
		const char *vendor, *product;
	} bad[] = {
		{0x5123456789abcdef, "V",                 "P"  },
		{0x3123456789abcdef, "TOO LONG A VENDOR", "P"  },
		{0x3123456789abcdef, "V",                 "P\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct scsi_lu_params p = {.naa = bad[i].naa,
					   .vendor = bad[i].vendor,
					   .product = bad[i].product,
					   .revision = "1",
					   .dev = &dev};
		struct err e = {0};

		CHECK(scsi_lu_new(&p, &e) == NULL);
		CHECK(e.text[0] != '\0');
	}
}
