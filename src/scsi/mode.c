/* SPDX-License-Identifier: Apache-2.0 */
/* Mode and log pages (SPC-4, SBC-3). */
#include "scsi/op.h"

enum { PAGE_CACHING = 0x08, PAGE_CONTROL = 0x0a, PAGE_EXCEPTIONS = 0x1c, PAGE_ALL = 0x3f };
enum { PC_CURRENT = 0, PC_CHANGEABLE = 1, PC_DEFAULT = 2, PC_SAVED = 3 };
enum { WCE = 0x04, D_SENSE = 0x04, SWP = 0x08, PAGE_MAX = 20 };

static struct mode_state defaults(const struct scsi_lu *lu)
{
	return (struct mode_state){.write_cache = lu->dev->volatile_cache};
}

static void set_mode(struct scsi_lu *lu, struct mode_state m)
{
	__atomic_store_n(&lu->mode.descriptor_sense, m.descriptor_sense, __ATOMIC_RELAXED);
	__atomic_store_n(&lu->mode.write_protect, m.write_protect, __ATOMIC_RELAXED);
	__atomic_store_n(&lu->mode.write_cache, m.write_cache, __ATOMIC_RELAXED);
}

void scsi_mode_reset(struct scsi_lu *lu)
{
	set_mode(lu, defaults(lu));
}

static struct mode_state current(const struct scsi_lu *lu)
{
	return (struct mode_state){
		.descriptor_sense = __atomic_load_n(&lu->mode.descriptor_sense, __ATOMIC_RELAXED),
		.write_protect = __atomic_load_n(&lu->mode.write_protect, __ATOMIC_RELAXED),
		.write_cache = __atomic_load_n(&lu->mode.write_cache, __ATOMIC_RELAXED),
	};
}

/* ---- the pages: fixed bytes, the bits that m decides, the bits that may be changed ---- */

struct mode_page {
	uint8_t code, len; /* len: whole page with its two header bytes */
	uint8_t fixed[PAGE_MAX];
	uint8_t (*state)(const struct mode_state *m, unsigned byte);
	void (*apply)(struct mode_state *m, const uint8_t *page);
	uint8_t changeable[PAGE_MAX];
};

static uint8_t caching_state(const struct mode_state *m, unsigned byte)
{
	return byte == 2 && m->write_cache ? WCE : 0;
}

static void caching_apply(struct mode_state *m, const uint8_t *page)
{
	m->write_cache = page[2] & WCE;
}

static uint8_t control_state(const struct mode_state *m, unsigned byte)
{
	if (byte == 2)
		return m->descriptor_sense ? D_SENSE : 0;
	return byte == 4 && m->write_protect ? SWP : 0;
}

static void control_apply(struct mode_state *m, const uint8_t *page)
{
	m->descriptor_sense = page[2] & D_SENSE;
	m->write_protect = page[4] & SWP;
}

static uint8_t no_state(const struct mode_state *m, unsigned byte)
{
	(void)m;
	(void)byte;
	return 0;
}

static void no_apply(struct mode_state *m, const uint8_t *page)
{
	(void)m;
	(void)page;
}

static const struct mode_page mode_pages[] = {
	{PAGE_CACHING,    20, {0x08, 18},                                     caching_state, caching_apply, {0, 0, WCE}},
 /* TST 000b: one task set for all nexuses (CLEAR TASK SET clears it for all); GLTSD; unrestricted reordering; the time a
  * command may be busy is unlimited. */
	{PAGE_CONTROL,
	 12,		  {0x0a, 10, 0x02, 0x10, 0, 0, 0, 0, 0xff, 0xff},
	 control_state,								      control_apply,
	 {0, 0, D_SENSE, 0, SWP}										       },
	{PAGE_EXCEPTIONS, 12, {0x1c, 10},                                     no_state,      no_apply,      {0}        },
};

/* A write cache that isn't there can't be switched on. */
static uint8_t changeable(const struct scsi_lu *lu, const struct mode_page *pg, unsigned byte)
{
	if (pg->code == PAGE_CACHING && !lu->dev->volatile_cache)
		return 0;
	return pg->changeable[byte];
}

static size_t page_write(const struct scsi_lu *lu, const struct mode_page *pg, unsigned pc,
			 uint8_t *p)
{
	struct mode_state m = pc == PC_DEFAULT ? defaults(lu) : current(lu);

	for (unsigned i = 0; i < pg->len; i++) {
		if (pc == PC_CHANGEABLE)
			p[i] = i < 2 ? pg->fixed[i] : changeable(lu, pg, i);
		else
			p[i] = (uint8_t)(pg->fixed[i] | pg->state(&m, i));
	}
	return pg->len;
}

/* ---- MODE SENSE ---- */

static size_t block_descriptor(const struct scsi_lu *lu, bool long_form, uint8_t *p)
{
	uint64_t n = lu_blocks(lu);

	if (long_form) {
		be_put64(p, n);
		be_put32(p + 12, lu_block_size(lu));
		return 16;
	}
	be_put32(p, n > UINT32_MAX ? UINT32_MAX : (uint32_t)n);
	be_put(p + 5, 3, lu_block_size(lu));
	return 8;
}

enum scsi_step op_mode_sense(struct scsi_task *t)
{
	bool ten = t->cdb[0] == 0x5a, dbd = t->cdb[1] & 0x08, llbaa = ten && (t->cdb[1] & 0x10);
	unsigned pc = t->cdb[2] >> 6, page = t->cdb[2] & 0x3f, subpage = t->cdb[3];
	size_t header = ten ? 8 : 4, n = header, descriptor = 0;
	uint8_t p[8 + 16 + ARRAY_SIZE(mode_pages) * PAGE_MAX] = {0};
	uint8_t device = 0x10; /* DPOFUA: both bits are understood */
	bool found = page == PAGE_ALL;

	if (pc == PC_SAVED)
		return op_fail(t, ILLEGAL_REQUEST, SAVING_PARAMETERS_NOT_SUPPORTED);
	if (subpage != 0 && subpage != 0xff) /* FFh: all of them, and there are none */
		return op_invalid_cdb(t, 3);
	if (!dbd)
		n += descriptor = block_descriptor(t->lu_, llbaa, p + n);
	for (size_t i = 0; i < ARRAY_SIZE(mode_pages); i++) {
		if (page != PAGE_ALL && page != mode_pages[i].code)
			continue;
		found = true;
		n += page_write(t->lu_, &mode_pages[i], pc, p + n);
	}
	if (!found)
		return op_invalid_cdb(t, 2);
	if (op_write_protected(t->lu_))
		device |= 0x80;
	if (ten) {
		be_put16(p, (uint16_t)(n - 2));
		p[3] = device;
		p[4] = llbaa && descriptor ? 0x01 : 0;
		be_put16(p + 6, (uint16_t)descriptor);
	} else {
		p[0] = (uint8_t)(n - 1);
		p[2] = device;
		p[3] = (uint8_t)descriptor;
	}
	return op_reply(t, p, n);
}

/* ---- MODE SELECT ---- */

/* Does the list's block descriptor leave the unit as it is?  Zero means "no change". */
static bool descriptor_keeps(const struct scsi_lu *lu, const uint8_t *p, size_t len)
{
	uint64_t blocks = len == 16 ? be64(p) : be32(p);
	uint64_t size = len == 16 ? be32(p + 12) : be_get(p + 5, 3);
	uint64_t have = lu_blocks(lu);

	if (size != 0 && size != lu_block_size(lu))
		return false;
	return blocks == 0 || blocks == have ||
	       (len == 8 && have > UINT32_MAX && blocks == UINT32_MAX);
}

static const struct mode_page *find_page(uint8_t code)
{
	for (size_t i = 0; i < ARRAY_SIZE(mode_pages); i++)
		if (mode_pages[i].code == code)
			return &mode_pages[i];
	return NULL;
}

enum scsi_step op_mode_select(struct scsi_task *t)
{
	bool ten = t->cdb[0] == 0x55;
	size_t len, header = ten ? 8 : 4, at, descriptor;
	const uint8_t *p = op_list(t, &len);
	struct scsi_lu *lu = t->lu_;
	struct mode_state m = current(lu), was = m;

	if (!(t->cdb[1] & 0x10))
		return op_invalid_cdb_bit(t, 1, 4); /* PF: pages are as the standard has them */
	if (t->cdb[1] & 0x01)
		return op_invalid_cdb_bit(t, 1, 0); /* SP: nothing is saved */
	if (len == 0)
		return op_good(t);
	if (len < header)
		return op_fail(t, ILLEGAL_REQUEST, PARAMETER_LIST_LENGTH_ERROR);
	descriptor = ten ? be16(p + 6) : p[3];
	at = header + descriptor;
	if (len < at)
		return op_fail(t, ILLEGAL_REQUEST, PARAMETER_LIST_LENGTH_ERROR);
	if (descriptor != 0 && descriptor != (ten && (p[4] & 1) ? 16U : 8U))
		return op_invalid_parameter(t, ten ? 6 : 3);
	if (descriptor != 0 && !descriptor_keeps(lu, p + header, descriptor))
		return op_invalid_parameter(t, (unsigned)header);
	/* All pages are checked before the first one takes effect. */
	while (at < len) {
		const struct mode_page *pg = find_page(p[at] & 0x3f);
		uint8_t now[PAGE_MAX];

		if (!pg || (p[at] & 0x40))
			return op_invalid_parameter(t, (unsigned)at);
		if (len - at < 2 || len - at < pg->len)
			return op_fail(t, ILLEGAL_REQUEST, PARAMETER_LIST_LENGTH_ERROR);
		if (p[at + 1] != pg->len - 2)
			return op_invalid_parameter(t, (unsigned)at + 1);
		(void)page_write(lu, pg, PC_CURRENT, now);
		for (unsigned i = 2; i < pg->len; i++)
			if ((p[at + i] ^ now[i]) & ~changeable(lu, pg, i))
				return op_invalid_parameter(t, (unsigned)at + i);
		pg->apply(&m, p + at);
		at += pg->len;
	}
	(void)pthread_mutex_lock(&lu->lock);
	set_mode(lu, m);
	if (memcmp(&m, &was, sizeof(m)) != 0)
		scsi_lu_attention(lu, UA_MODE_CHANGED, UA_OTHERS, t->nexus);
	(void)pthread_mutex_unlock(&lu->lock);
	/* From now on writes go through; what was written before must not stay behind. */
	if (was.write_cache && !m.write_cache)
		return op_sync_cache(t);
	return op_good(t);
}

/* ---- LOG SENSE ---- */

enum scsi_step op_log_sense(struct scsi_task *t)
{
	unsigned page = t->cdb[2] & 0x3f, subpage = t->cdb[3];
	uint8_t p[16] = {0};
	size_t n = 4;

	if (t->cdb[1] & 0x01)
		return op_invalid_cdb_bit(t, 1, 0); /* SP */
	if (page == 0x00 && (subpage == 0 || subpage == 0xff)) {
		/* which pages there are; each with its subpage when asked that way */
		static const uint8_t have[] = {0x00, 0x2f};

		for (size_t i = 0; i < ARRAY_SIZE(have); i++) {
			p[n] = have[i];
			n += subpage ? 2 : 1;
		}
		if (subpage)
			p[0] = 0x40;
	} else if (page == 0x2f && subpage == 0) {
		/* Informational exceptions: parameter 0, no failure predicted, no temperature. */
		p[0] = 0x2f;
		p[6] = 0x03; /* binary format list, no DU */
		p[7] = 4;
		p[10] = 0xff;
		n = 12;
	} else {
		return op_invalid_cdb(t, subpage ? 3 : 2);
	}
	p[1] = (uint8_t)subpage;
	be_put16(p + 2, (uint16_t)(n - 4));
	return op_reply(t, p, n);
}
