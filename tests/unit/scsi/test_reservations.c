/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"
#include "scsi/be.h"
#include "scsi/sense.h"

enum { REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_ABORT, REGISTER_IGNORE, REGISTER_MOVE };
enum { WE = 1, EA = 3, WE_RO = 5, EA_RO = 6, WE_AR = 7, EA_AR = 8 };
enum { KEY_A = 0xa, KEY_B = 0xb };

static void out(struct rig *r, struct scsi_nexus *n, unsigned action, unsigned type, uint64_t key,
		uint64_t action_key, unsigned flags)
{
	auto_free char *cdb = xasprintf("5f %02x %02x 0000 00000018 00", action, type);
	auto_free char *list = xasprintf("%016" PRIx64 "%016" PRIx64 "00000000 %02x 000000", key,
					 action_key, flags);

	rig_cmd(r, n, cdb, SCSI_DIR_OUT, list, 24);
}

static unsigned in(struct rig *r, unsigned action)
{
	auto_free char *cdb = xasprintf("5e %02x 00 0000 0000 2000 00", action);

	rig_cmd(r, r->a, cdb, SCSI_DIR_IN, NULL, 0x2000);
	CHECK_INT(r->status, SCSI_GOOD);
	return be32(r->data + 4);
}

static struct rig *both_registered(void)
{
	struct rig *r = rig_new(0);

	out(r, r->a, REGISTER, 0, 0, KEY_A, 0);
	CHECK_INT(r->status, SCSI_GOOD);
	out(r, r->b, REGISTER, 0, 0, KEY_B, 0);
	CHECK_INT(r->status, SCSI_GOOD);
	return r;
}

static enum scsi_status status_of(struct rig *r, struct scsi_nexus *n, const char *cdb,
				  enum scsi_dir dir, uint32_t len)
{
	rig_cmd(r, n, cdb, dir, NULL, len);
	return r->status;
}

static enum scsi_status reads(struct rig *r, struct scsi_nexus *n)
{
	return status_of(r, n, "28 00 00000000 00 0001 00", SCSI_DIR_IN, 512);
}

static enum scsi_status writes(struct rig *r, struct scsi_nexus *n)
{
	return status_of(r, n, "2a 00 00000000 00 0001 00", SCSI_DIR_OUT, 512);
}

static enum scsi_status asks(struct rig *r, struct scsi_nexus *n)
{
	return status_of(r, n, "00 00 00 00 00 00", SCSI_DIR_NONE, 0);
}

TEST(registering_needs_the_key_one_has)
{
	struct rig *r = rig_new(0);

	out(r, r->a, REGISTER, 0, 1, KEY_A, 0); /* had none: key must be 0 */
	CHECK_INT(r->status, SCSI_RESERVATION_CONFLICT);
	out(r, r->a, REGISTER, 0, 0, KEY_A, 0);
	CHECK_INT(r->status, SCSI_GOOD);
	out(r, r->a, REGISTER, 0, 0, KEY_B, 0);
	CHECK_INT(r->status, SCSI_RESERVATION_CONFLICT);
	out(r, r->a, REGISTER, 0, KEY_A, KEY_B, 0);
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK_INT(in(r, 0), 8);
	CHECK_INT(be32(r->data), 2); /* PRGENERATION */
	CHECK_INT(be64(r->data + 8), KEY_B);
	out(r, r->a, REGISTER_IGNORE, 0, 77, 0, 0);
	CHECK_INT(in(r, 0), 0);
	out(r, r->a, RESERVE, WE, KEY_B, 0, 0);
	CHECK_INT(r->status, SCSI_RESERVATION_CONFLICT);
	rig_free(r);
}

TEST(each_type_lets_in_whom_the_standard_says)
{
	static const struct {
		unsigned type;
		/* b's reads and writes: registered, then not */
		enum scsi_status read, write, stranger_read, stranger_write;
	} types[] = {
		{WE,    0,			 SCSI_RESERVATION_CONFLICT, 0,                         SCSI_RESERVATION_CONFLICT},
		{EA,    SCSI_RESERVATION_CONFLICT, SCSI_RESERVATION_CONFLICT,
		 SCSI_RESERVATION_CONFLICT,							      SCSI_RESERVATION_CONFLICT},
		{WE_RO, 0,                         0,                         0,                         SCSI_RESERVATION_CONFLICT},
		{EA_RO, 0,                         0,                         SCSI_RESERVATION_CONFLICT, SCSI_RESERVATION_CONFLICT},
		{WE_AR, 0,                         0,                         0,                         SCSI_RESERVATION_CONFLICT},
		{EA_AR, 0,                         0,                         SCSI_RESERVATION_CONFLICT, SCSI_RESERVATION_CONFLICT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct rig *r = both_registered();

		CHECK_INT(writes(r, r->b), SCSI_GOOD);
		out(r, r->a, RESERVE, types[i].type, KEY_A, 0, 0);
		CHECK_INT(r->status, SCSI_GOOD);
		CHECK_INT(in(r, 1), 16);
		CHECK_INT(be64(r->data + 8), types[i].type >= WE_AR ? 0 : KEY_A);
		CHECK_INT(r->data[21], types[i].type);
		CHECK_INT(writes(r, r->a), SCSI_GOOD);
		CHECK_INT(reads(r, r->b), types[i].read);
		CHECK_INT(writes(r, r->b), types[i].write);
		CHECK_INT(asks(r, r->b), SCSI_GOOD);
		out(r, r->b, REGISTER, 0, KEY_B, 0, 0);
		CHECK_INT(reads(r, r->b), types[i].stranger_read);
		CHECK_INT(writes(r, r->b), types[i].stranger_write);
		rig_free(r);
	}
}

TEST(only_the_holder_releases_and_registrants_of_a_shared_type_hear_of_it)
{
	struct rig *r = both_registered();

	out(r, r->a, RESERVE, EA_RO, KEY_A, 0, 0);
	out(r, r->a, RESERVE, EA_RO, KEY_A, 0, 0);
	CHECK_INT(r->status, SCSI_GOOD);
	out(r, r->a, RESERVE, EA, KEY_A, 0, 0);
	CHECK_INT(r->status, SCSI_RESERVATION_CONFLICT);
	out(r, r->b, RELEASE, EA_RO, KEY_B, 0, 0);
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK_INT(in(r, 1), 16);
	out(r, r->a, RELEASE, EA, KEY_A, 0, 0);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_RELEASE);
	out(r, r->a, RELEASE, EA_RO, KEY_A, 0, 0);
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK_INT(in(r, 1), 0);
	rig_cmd(r, r->b, "00 00 00 00 00 00", SCSI_DIR_NONE, NULL, 0);
	CHECK_SENSE(r, UNIT_ATTENTION, RESERVATIONS_RELEASED);
	CHECK_INT(asks(r, r->a), SCSI_GOOD);
	rig_free(r);
}

TEST(preempting_takes_the_reservation_and_the_registration)
{
	struct rig *r = both_registered();

	out(r, r->a, RESERVE, WE, KEY_A, 0, 0);
	out(r, r->b, PREEMPT, EA, KEY_B, 0x99, 0); /* nobody has that key */
	CHECK_INT(r->status, SCSI_RESERVATION_CONFLICT);
	out(r, r->b, PREEMPT, EA, KEY_B, 0, 0);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_FIELD_IN_PARAMETER_LIST);
	out(r, r->b, PREEMPT, EA, KEY_B, KEY_A, 0);
	CHECK_INT(r->status, SCSI_GOOD);
	rig_cmd(r, r->a, "00 00 00 00 00 00", SCSI_DIR_NONE, NULL, 0);
	CHECK_SENSE(r, UNIT_ATTENTION, REGISTRATIONS_PREEMPTED);
	CHECK_INT(reads(r, r->a), SCSI_RESERVATION_CONFLICT);
	CHECK_INT(writes(r, r->b), SCSI_GOOD);
	CHECK_INT(in(r, 0), 8);
	CHECK_INT(be64(r->data + 8), KEY_B);
	CHECK_INT(be32(r->data), 3);
	rig_free(r);
}

TEST(preempt_and_abort_waits_for_writes_under_way_and_stops_later_ones)
{
	struct rig *r = both_registered();
	struct scsi_task w, late, p;
	uint8_t data[512] = {0}, list[24] = {0};

	out(r, r->a, RESERVE, WE, KEY_A, 0, 0);
	r->async = true;
	CHECK_INT(rig_start(r, r->a, &w, "2a 00 00000000 00 0001 00", SCSI_DIR_OUT, data, 512),
		  SCSI_PENDING);
	late = (struct scsi_task){.nexus = r->a,
				  .expected_dir = SCSI_DIR_OUT,
				  .expected_len = 512,
				  .cdb_len = 16,
				  .data = data,
				  .data_cap = 512};
	(void)rig_hex(late.cdb, 16, "2a 00 00000000 00 0001 00");
	CHECK_INT(scsi_task_begin(&late), SCSI_NEEDS_RUN);
	list[7] = KEY_B;
	list[15] = KEY_A;
	CHECK_INT(rig_start(r, r->b, &p, "5f 05 03 0000 00000018 00", SCSI_DIR_OUT, list, 24),
		  SCSI_PENDING);
	CHECK_INT(r->n_waiting, 1); /* the write; nothing else can go on */
	rig_answer(r, 1);
	CHECK(!w.done && p.done);
	rig_settle(r);
	CHECK(!p.done);
	CHECK_INT(p.status, SCSI_GOOD);
	CHECK_INT(scsi_task_run(&late), SCSI_DONE);
	CHECK_INT(late.status, SCSI_RESERVATION_CONFLICT);
	CHECK_INT(r->writes, 1);
	rig_free(r);
}

TEST(clear_removes_all_and_tells_the_others)
{
	struct rig *r = both_registered();

	out(r, r->b, RESERVE, EA, KEY_B, 0, 0);
	out(r, r->a, CLEAR, 0, KEY_A, 0, 0);
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK_INT(in(r, 0), 0);
	CHECK_INT(in(r, 1), 0);
	rig_cmd(r, r->b, "00 00 00 00 00 00", SCSI_DIR_NONE, NULL, 0);
	CHECK_SENSE(r, UNIT_ATTENTION, RESERVATIONS_PREEMPTED);
	rig_free(r);
}

TEST(full_status_names_every_registrant_by_its_port)
{
	static const char name[] = "iqn.2026-01.org.example:a,i,0x00023d000001";
	struct rig *r = both_registered();
	unsigned id;

	out(r, r->a, RESERVE, WE, KEY_A, 0, 0);
	CHECK(in(r, 3) > 48);
	CHECK_INT(be64(r->data + 8), KEY_A);
	CHECK_INT(r->data[8 + 12], 1);
	CHECK_INT(r->data[8 + 13], WE);
	CHECK_INT(be16(r->data + 8 + 18), 1);
	id = be32(r->data + 8 + 20);
	CHECK_INT(id, 4 + 44);
	CHECK_INT(r->data[8 + 24], 0x45);
	CHECK_STR((const char *)r->data + 8 + 28, name);
	CHECK_INT(be64(r->data + 8 + 24 + id), KEY_B);
	CHECK_INT(r->data[8 + 24 + id + 12], 0);
	rig_free(r);
}

TEST(a_registration_outlives_its_nexus_and_with_aptpl_the_unit)
{
	struct rig *r = both_registered();
	void *saved;
	size_t len;

	CHECK_INT(r->saved_len, 0);
	out(r, r->a, REGISTER_IGNORE, 0, 0, KEY_A, 1);
	CHECK_INT(r->status, SCSI_GOOD);
	out(r, r->a, RESERVE, EA, KEY_A, 0, 0);
	CHECK(r->saved_len > 100);
	saved = r->saved;
	len = r->saved_len;
	r->saved = NULL;
	rig_free(r);

	r = rig_new_with(0, saved, len);
	CHECK_INT(writes(r, r->b), SCSI_RESERVATION_CONFLICT);
	CHECK_INT(writes(r, r->a), SCSI_GOOD);
	CHECK_INT(in(r, 0), 16);
	out(r, r->a, REGISTER, 0, KEY_A, KEY_A, 0); /* APTPL off: nothing is kept any more */
	CHECK_INT(r->saved_len, 0);
	rig_free(r);
}

struct kept {
	const uint8_t *p;
	size_t len;
};

static int load(void *ctx, void **ret, size_t *ret_len)
{
	const struct kept *k = ctx;

	*ret = xmalloc(k->len);
	memcpy(*ret, k->p, k->len);
	*ret_len = k->len;
	return 0;
}

TEST(kept_reservations_that_are_damaged_or_torn_are_not_believed)
{
	struct rig *r = both_registered();
	struct kept k = {0};
	struct scsi_lu_params p = {.naa = 0x3000000000000001,
				   .vendor = "",
				   .product = "",
				   .revision = "",
				   .dev = &r->dev,
				   .pr_load = load,
				   .pr_ctx = &k};
	struct scsi_lu *lu;
	uint8_t *bytes;

	out(r, r->a, REGISTER_IGNORE, 0, 0, KEY_A, 1);
	bytes = r->saved;
	k = (struct kept){bytes, r->saved_len};
	lu = scsi_lu_new(&p, NULL);
	CHECK(lu != NULL);
	scsi_lu_unref(lu);
	for (size_t i = 0; i < r->saved_len; i++) {
		bytes[i] ^= 0x40;
		CHECK(scsi_lu_new(&p, NULL) == NULL);
		bytes[i] ^= 0x40;
	}
	for (k.len = 1; k.len < r->saved_len; k.len++)
		CHECK(scsi_lu_new(&p, NULL) == NULL);
	rig_free(r);
}

TEST(a_port_of_another_initiator_can_be_registered_along)
{
	struct rig *r = rig_new(0);
	uint8_t list[24 + 4 + 48] = {0};
	static const char name[] = "iqn.2026-01.org.example:b,i,0x00023d000002";

	be_put64(list + 8, KEY_A);
	list[20] = 0x08; /* SPEC_I_PT */
	be_put32(list + 24, 48);
	list[28] = 0x45;
	be_put16(list + 30, 44);
	memcpy(list + 32, name, sizeof(name));
	memcpy(r->data, list, sizeof(list));
	rig_cmd(r, r->a, "5f 00 00 0000 0000004c 00", SCSI_DIR_OUT, NULL, sizeof(list));
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK_INT(in(r, 0), 16);
	out(r, r->b, RESERVE, EA, KEY_A, 0, 0);
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK_INT(reads(r, r->a), SCSI_RESERVATION_CONFLICT);
	rig_free(r);
}

TEST(the_reservation_moves_to_another_port)
{
	struct rig *r = rig_new(0);
	uint8_t list[24 + 48] = {0};
	static const char name[] = "iqn.2026-01.org.example:b,i,0x00023d000002";

	out(r, r->a, REGISTER, 0, 0, KEY_A, 0);
	out(r, r->a, RESERVE, EA, KEY_A, 0, 0);
	be_put64(list, KEY_A);
	be_put64(list + 8, KEY_B);
	list[17] = 0x02; /* UNREG */
	be_put16(list + 18, 1);
	be_put32(list + 20, 48);
	list[24] = 0x45;
	be_put16(list + 26, 44);
	memcpy(list + 28, name, sizeof(name));
	memcpy(r->data, list, sizeof(list));
	rig_cmd(r, r->a, "5f 07 00 0000 00000048 00", SCSI_DIR_OUT, NULL, sizeof(list));
	CHECK_INT(r->status, SCSI_GOOD);
	CHECK_INT(writes(r, r->b), SCSI_GOOD);
	CHECK_INT(writes(r, r->a), SCSI_RESERVATION_CONFLICT);
	CHECK_INT(in(r, 0), 8);
	CHECK_INT(be64(r->data + 8), KEY_B);
	rig_free(r);
}

TEST(a_unit_unmapped_meanwhile_is_not_reserved_for_good)
{
	struct rig *r = rig_new(0);
	struct scsi_task t = {.nexus = r->a, .cdb_len = 16, .cdb = {0x16}};

	CHECK_INT(scsi_task_begin(&t), SCSI_NEEDS_RUN);
	CHECK_INT(scsi_target_unmap(r->target, 0), 0);
	CHECK_INT(scsi_task_run(&t), SCSI_DONE);
	CHECK_INT(t.status, SCSI_CHECK_CONDITION);
	CHECK_INT(scsi_target_map(r->target, 0, r->lu), 0);
	(void)asks(r, r->b);
	CHECK_INT(asks(r, r->b), SCSI_GOOD);
	rig_free(r);
}

TEST(the_two_kinds_of_reservation_do_not_mix)
{
	struct rig *r = both_registered();

	rig_cmd(r, r->a, "16 00 00 00 00 00", SCSI_DIR_NONE, NULL, 0);
	CHECK_INT(r->status, SCSI_GOOD); /* CRH: a registrant's RESERVE does nothing */
	CHECK_INT(writes(r, r->b), SCSI_GOOD);
	out(r, r->a, CLEAR, 0, KEY_A, 0, 0);
	(void)asks(r, r->b);
	rig_cmd(r, r->a, "16 00 00 00 00 00", SCSI_DIR_NONE, NULL, 0);
	out(r, r->b, REGISTER, 0, 0, KEY_B, 0);
	CHECK_INT(r->status, SCSI_RESERVATION_CONFLICT);
	out(r, r->a, REGISTER, 0, 0, KEY_A, 0);
	CHECK_INT(r->status, SCSI_RESERVATION_CONFLICT);
	rig_free(r);
}

TEST(a_list_of_the_wrong_length_is_refused)
{
	struct rig *r = rig_new(0);

	rig_cmd(r, r->a, "5f 00 00 0000 00000017 00", SCSI_DIR_OUT, NULL, 23);
	CHECK_SENSE(r, ILLEGAL_REQUEST, PARAMETER_LIST_LENGTH_ERROR);
	rig_cmd(r, r->a, "5f 1f 00 0000 00000018 00", SCSI_DIR_OUT, NULL, 24);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_FIELD_IN_CDB);
	rig_cmd(r, r->a, "5e 04 00 0000 0000 0100 00", SCSI_DIR_IN, NULL, 256);
	CHECK_SENSE(r, ILLEGAL_REQUEST, INVALID_FIELD_IN_CDB);
	rig_free(r);
}
