/* SPDX-License-Identifier: Apache-2.0 */
/* Who and how big a unit is: INQUIRY, REPORT LUNS, READ CAPACITY, REQUEST SENSE. */
#include "scsi/op.h"

enum { STANDARD_LEN = 96, PROTOCOL_ISCSI = 5 };

/* ---- INQUIRY (SPC-4) ---- */

static enum scsi_step standard(struct scsi_task *t)
{
	/* SAM-5, iSCSI, SPC-4, SBC-3: without a version claimed of each (SPC-4, version
	 * descriptors). */
	static const uint16_t versions[] = {0x00a0, 0x0960, 0x0460, 0x04c0};
	const struct scsi_lu *lu = t->lu_;
	uint8_t p[STANDARD_LEN] = {0};

	p[2] = 0x06; /* SPC-4 */
	p[3] = 0x12; /* HISUP, response data format 2 */
	p[4] = STANDARD_LEN - 5;
	p[6] = 0x10; /* MULTIP: a unit may be behind several ports */
	p[7] = 0x02; /* CMDQUE */
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		be_put16(p + 58 + 2 * i, versions[i]);
	if (!lu) {
		p[0] = 0x7f; /* qualifier 011b: no unit can be here */
		memset(p + 8, ' ', 28);
		return op_reply(t, p, sizeof(p));
	}
	p[5] = 0x18; /* TPGS: implicit ALUA; 3PC: third-party copy */
	memcpy(p + 8, lu->vendor, 8);
	memcpy(p + 16, lu->product, 16);
	memcpy(p + 32, lu->revision, 4);
	return op_reply(t, p, sizeof(p));
}

/* One designation descriptor (SPC-4); returns what follows it. */
static uint8_t *designator(uint8_t *p, uint8_t code_set, uint8_t association, uint8_t type,
			   const void *id, size_t len)
{
	p[0] = (uint8_t)((association ? PROTOCOL_ISCSI << 4 : 0) | code_set);
	p[1] = (uint8_t)((association ? 0x80 : 0) | association << 4 | type);
	p[2] = 0;
	p[3] = (uint8_t)len;
	memcpy(p + 4, id, len);
	return p + 4 + len;
}

/* A SCSI name string: UTF-8, NUL-terminated, padded to a multiple of 4 (SPC-4). */
static uint8_t *name_designator(uint8_t *p, uint8_t association, const char *name)
{
	uint8_t s[PR_NAME_MAX + 5] = {0};
	size_t n = strnlen(name, 251);

	memcpy(s, name, n);
	return designator(p, 3, association, 8, s, (n + 4) & ~(size_t)3);
}

enum { ASSOC_LU = 0, ASSOC_PORT = 1, ASSOC_DEVICE = 2 };

static size_t page_designation(const struct scsi_task *t, uint8_t *p)
{
	const struct scsi_lu *lu = t->lu_;
	const struct scsi_nexus *n = t->nexus;
	uint8_t *at = p + 4, id[8 + 16], four[4] = {0};

	be_put64(id, lu->naa);
	at = designator(at, 1, ASSOC_LU, 3, id, 8);
	memcpy(id, lu->vendor, 8);
	memcpy(id + 8, lu->serial, 16);
	at = designator(at, 2, ASSOC_LU, 1, id, 24);
	be_put16(four + 2, n->rel_port);
	at = designator(at, 1, ASSOC_PORT, 4, four, 4);
	at = designator(at, 1, ASSOC_PORT, 5, four, 4); /* group number = port number */
	at = name_designator(at, ASSOC_PORT, n->target_port);
	at = name_designator(at, ASSOC_DEVICE, n->target->name);
	return (size_t)(at - p) - 4;
}

static size_t page_extended(const struct scsi_task *t, uint8_t *p)
{
	(void)t;
	p[5] = 0x01; /* SIMPSUP: simple task attribute */
	p[6] = __atomic_load_n(&t->lu_->mode.write_cache, __ATOMIC_RELAXED) ? 0x01 : 0; /* V_SUP */
	p[7] = 0x01;                                                                    /* LUICLR */
	return 60;
}

static uint32_t clamp32(uint64_t v)
{
	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static size_t page_block_limits(const struct scsi_task *t, uint8_t *p)
{
	const struct scsi_lu *lu = t->lu_;
	uint32_t bs = lu_block_size(lu), granule = 4096 / bs;

	p[5] = LIMIT_CAW_BLOCKS;
	be_put16(p + 6, (uint16_t)granule); /* optimal transfer length granularity */
	be_put32(p + 8, LIMIT_TRANSFER_BYTES / bs);
	be_put32(p + 12, (1 << 20) / bs); /* optimal transfer length */
	if (lu->dev->thin) {
		be_put32(p + 20, LIMIT_UNMAP_BLOCKS);
		be_put32(p + 24, LIMIT_UNMAP_DESCRIPTORS);
		be_put32(p + 28, granule);
		be_put32(p + 32, 0x80000000U); /* UGAVALID, aligned at 0 */
	}
	be_put64(p + 36, LIMIT_WRITE_SAME_BYTES / bs);
	return 60;
}

static size_t page_characteristics(const struct scsi_task *t, uint8_t *p)
{
	be_put16(p + 4, 1); /* non-rotating */
	/* WABEREQ: after a block erase reads succeed (and give zeroes). */
	p[7] = t->lu_->dev->thin ? 0x40 : 0;
	return 60;
}

static size_t page_provisioning(const struct scsi_task *t, uint8_t *p)
{
	if (t->lu_->dev->thin) {
		p[5] = 0xe4; /* LBPU, LBPWS, LBPWS10, LBPRZ */
		p[6] = 0x02; /* thin provisioned */
	}
	return 4;
}

static size_t page_serial(const struct scsi_task *t, uint8_t *p)
{
	memcpy(p + 4, t->lu_->serial, 16);
	return 16;
}

/* Third-party copy (SPC-4): which commands, from the table; then how they are used. */
static size_t page_copy(const struct scsi_task *t, uint8_t *p)
{
	uint8_t *d = p + 4, *at = d + 5;
	const struct scsi_op *op;

	for (size_t i = 0; (op = scsi_op_at(i)); i++) {
		uint8_t *n;

		if ((op->opcode != 0x83 && op->opcode != 0x84) || op[-1].opcode == op->opcode)
			continue;
		*at++ = op->opcode;
		n = at++;
		for (; op->opcode == *(n - 1); op++, ++*n)
			*at++ = (uint8_t)op->sa;
	}
	d[4] = (uint8_t)(at - d - 5);
	while ((at - d) % 4)
		at++;
	be_put16(d, 0x0001);
	be_put16(d + 2, (uint16_t)(at - d - 4));
	/* Block device ROD token limits (SBC-3); a page lists them in ascending order of
	 * type. */
	d = at;
	be_put16(d, 0x0000);
	be_put16(d + 2, 32);
	be_put16(d + 10, ROD_RANGES_MAX);
	be_put32(d + 12, ROD_TIMEOUT_MAX_S);
	be_put32(d + 16, ROD_TIMEOUT_DEFAULT_S);
	be_put64(d + 20, ROD_BYTES_MAX / lu_block_size(t->lu_));
	be_put64(d + 28, ROD_BYTES_MAX / lu_block_size(t->lu_));
	d += 36;
	be_put16(d, 0x0004); /* parameter data */
	be_put16(d + 2, 28);
	be_put16(d + 8, COPY_TARGETS_MAX);
	be_put16(d + 10, COPY_SEGMENTS_MAX);
	be_put32(d + 12, COPY_LIST_MAX);
	d += 32;
	be_put16(d, 0x0008); /* supported descriptors */
	be_put16(d + 2, 4);
	d[4] = 3;
	d[5] = 0x02;
	d[6] = 0x0a;
	d[7] = 0xe4;
	d += 8;
	be_put16(d, 0x0106); /* ROD token features: how long they live; none of other targets */
	be_put16(d + 2, 44);
	be_put32(d + 16, 1);
	be_put32(d + 20, ROD_TIMEOUT_MAX_S);
	be_put32(d + 24, ROD_TIMEOUT_MAX_S);
	d += 48;
	be_put16(d, 0x0108); /* the one kind of token, made and taken */
	be_put16(d + 2, 4 + 64);
	be_put16(d + 6, 64);
	be_put32(d + 8, ROD_CHANGE_VULNERABLE);
	d[12] = 0x03;
	d += 8 + 64;
	be_put16(d, 0x8001); /* general: operations at once, and how big */
	be_put16(d + 2, 32);
	be_put32(d + 4, COPY_AT_ONCE);
	be_put32(d + 8, COPY_AT_ONCE);
	be_put32(d + 12, COPY_SEGMENT_BYTES);
	d[16] = 9; /* 512 bytes, as a power of two */
	d += 36;
	return (size_t)(d - p) - 4;
}

static size_t page_supported(const struct scsi_task *t, uint8_t *p);

/* fill writes behind the 4-byte header and returns how much that was; p is zeroed. */
static const struct {
	uint8_t code;
	size_t (*fill)(const struct scsi_task *t, uint8_t *p);
} pages[] = {
	{0x00, page_supported      },
        {0x80, page_serial         },
        {0x83, page_designation    },
	{0x86, page_extended       },
        {0x8f, page_copy           },
        {0xb0, page_block_limits   },
	{0xb1, page_characteristics},
        {0xb2, page_provisioning   },
};

static size_t page_supported(const struct scsi_task *t, uint8_t *p)
{
	(void)t;
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		p[4 + i] = pages[i].code;
	return ARRAY_SIZE(pages);
}

enum scsi_step op_inquiry(struct scsi_task *t)
{
	uint8_t p[1024] = {0};
	size_t len;

	if (t->cdb[1] & 0x02)
		return op_invalid_cdb_bit(t, 1, 1); /* CMDDT, obsolete */
	if (!(t->cdb[1] & 0x01))
		return t->cdb[2] ? op_invalid_cdb(t, 2) : standard(t);
	/* Of a unit that isn't there only the absence can be told. */
	for (size_t i = 0; t->lu_ && i < ARRAY_SIZE(pages); i++) {
		if (pages[i].code != t->cdb[2])
			continue;
		len = pages[i].fill(t, p);
		p[1] = pages[i].code;
		be_put16(p + 2, (uint16_t)len);
		return op_reply(t, p, len + 4);
	}
	return op_invalid_cdb(t, 2);
}

/* ---- REPORT LUNS (SPC-4) ---- */

enum { SELECT_ADDRESSABLE = 0, SELECT_WELL_KNOWN = 1, SELECT_ALL = 2 };

enum scsi_step op_report_luns(struct scsi_task *t)
{
	uint8_t p[8 + 8 * (SCSI_LUN_MAX + 1)] = {0};
	uint8_t select = t->cdb[2];
	size_t n = 8;

	if (select > SELECT_ALL)
		return op_invalid_cdb(t, 2);
	if (t->data_len < 16)
		return op_invalid_cdb(t, 6);
	for (unsigned lun = 0; select != SELECT_WELL_KNOWN && lun <= SCSI_LUN_MAX; lun++) {
		/* Only whether something is mapped counts, so no reference is needed. */
		if (!__atomic_load_n(&t->nexus->target->luns[lun], __ATOMIC_ACQUIRE))
			continue;
		p[n + 1] = (uint8_t)lun;
		n += 8;
	}
	be_put32(p, (uint32_t)(n - 8));
	/* The initiator knows the change now (SPC-4). */
	for (unsigned lun = 0; lun <= SCSI_LUN_MAX; lun++) {
		uint32_t *a = &t->nexus->itl[lun].attention;

		if (__atomic_load_n(a, __ATOMIC_RELAXED) & (1U << UA_LUNS_CHANGED))
			(void)__atomic_and_fetch(a, ~(1U << UA_LUNS_CHANGED), __ATOMIC_ACQ_REL);
	}
	return op_reply(t, p, n);
}

/* ---- READ CAPACITY (SBC-3) ---- */

enum { CAPACITY10_LEN = 8 }; /* which its CDB does not say */

enum scsi_step op_check_read_capacity10(struct scsi_task *t)
{
	/* PMI is obsolete; without it an LBA has no meaning. */
	if (be32(t->cdb + 2) != 0)
		return op_invalid_cdb(t, 2);
	if (t->cdb[8] & 0x01)
		return op_invalid_cdb_bit(t, 8, 0);
	t->data_len = CAPACITY10_LEN;
	return SCSI_NEEDS_RUN;
}

enum scsi_step op_read_capacity10(struct scsi_task *t)
{
	uint64_t last = lu_blocks(t->lu_) - 1;
	uint8_t p[CAPACITY10_LEN];

	be_put32(p, clamp32(last));
	be_put32(p + 4, lu_block_size(t->lu_));
	return op_reply(t, p, sizeof(p));
}

enum scsi_step op_read_capacity16(struct scsi_task *t)
{
	uint8_t p[32] = {0};

	if (t->cdb[14] & 0x01)
		return op_invalid_cdb_bit(t, 14, 0);
	if (be64(t->cdb + 2) != 0)
		return op_invalid_cdb(t, 2);
	be_put64(p, lu_blocks(t->lu_) - 1);
	be_put32(p + 8, lu_block_size(t->lu_));
	/* Files and page cache work in 4 KiB: tell initiators what to align to. */
	p[13] = (uint8_t)(lu_block_size(t->lu_) == 512 ? 3 : 0);
	if (t->lu_->dev->thin)
		p[14] = 0xc0; /* LBPME, LBPRZ */
	return op_reply(t, p, sizeof(p));
}

/* ---- REQUEST SENSE (SPC-4), TEST UNIT READY ---- */

enum scsi_step op_request_sense(struct scsi_task *t)
{
	enum sense_format format = t->cdb[1] & 0x01 ? SENSE_DESCRIPTOR : SENSE_FIXED;
	struct sense_extra x = {0};
	enum sense_key key = NO_SENSE;
	enum sense_code code = NO_ADDITIONAL_SENSE;
	uint8_t p[64];

	if (!t->lu_) {
		key = ILLEGAL_REQUEST;
		code = LOGICAL_UNIT_NOT_SUPPORTED;
	} else {
		uint32_t *a = &t->nexus->itl[t->lun_].attention;
		uint32_t bits = __atomic_load_n(a, __ATOMIC_ACQUIRE);

		if (bits) {
			unsigned ua = (unsigned)__builtin_ctz(bits);

			(void)__atomic_and_fetch(a, ~(1U << ua), __ATOMIC_ACQ_REL);
			key = UNIT_ATTENTION;
			code = scsi_attention_code((enum unit_attention)ua);
		} else if (__atomic_load_n(&t->lu_->sanitize, __ATOMIC_ACQUIRE) ==
			   SANITIZE_RUNNING) {
			key = NOT_READY;
			code = NOT_READY_SANITIZE_IN_PROGRESS;
			x.has_progress = true;
			x.progress = __atomic_load_n(&t->lu_->sanitize_progress, __ATOMIC_RELAXED);
		}
	}
	return op_reply(t, p, sense_write(p, format, key, code, &x));
}

enum scsi_step op_test_unit_ready(struct scsi_task *t)
{
	return op_good(t); /* what could be wrong scsi_task_begin has found */
}
