/* SPDX-License-Identifier: Apache-2.0 */
/* What the target can do: MAINTENANCE IN (SPC-4). */
#include "base/buf.h"
#include "scsi/op.h"

enum { REPLY_MAX = 1 << 16, TIMEOUTS_LEN = 12 };

/* ---- REPORT SUPPORTED OPERATION CODES ---- */

static void add_timeouts(struct buf *b)
{
	static const uint8_t none[TIMEOUTS_LEN] = {0, TIMEOUTS_LEN - 2}; /* no time is promised */

	(void)buf_add(b, none, sizeof(none));
}

static enum scsi_step all_commands(struct scsi_task *t, bool rctd)
{
	auto_buf struct buf b = buf_of(REPLY_MAX);
	uint8_t p[8] = {0};
	const struct scsi_op *op;

	(void)buf_add(&b, p, 4);
	for (size_t i = 0; (op = scsi_op_at(i)); i++) {
		if (!scsi_op_exists(op, t->lu_))
			continue;
		memset(p, 0, sizeof(p));
		p[0] = op->opcode;
		if (op->sa != SA_NONE)
			be_put16(p + 2, op->sa);
		p[5] = (uint8_t)((op->sa != SA_NONE ? 1 : 0) | (rctd ? 2 : 0));
		be_put16(p + 6, op->cdb_len);
		(void)buf_add(&b, p, sizeof(p));
		if (rctd)
			add_timeouts(&b);
	}
	be_put32((uint8_t *)b.p, (uint32_t)b.len - 4);
	return op_reply(t, b.p, b.len);
}

static const struct scsi_op *find(const struct scsi_lu *lu, uint8_t opcode, unsigned sa,
				  bool *ret_has_sa, bool *ret_known)
{
	const struct scsi_op *op;

	*ret_has_sa = *ret_known = false;
	for (size_t i = 0; (op = scsi_op_at(i)); i++) {
		if (op->opcode != opcode || !scsi_op_exists(op, lu))
			continue;
		*ret_known = true;
		*ret_has_sa = op->sa != SA_NONE;
		if (op->sa == SA_NONE || op->sa == sa)
			return op;
	}
	return NULL;
}

static enum scsi_step one_command(struct scsi_task *t, const struct scsi_op *op, bool rctd)
{
	auto_buf struct buf b = buf_of(REPLY_MAX);
	uint8_t p[4 + 16] = {0};
	size_t n = 4;

	p[1] = 0x01; /* not supported */
	if (op) {
		p[1] = (uint8_t)(0x03 | (rctd ? 0x80 : 0));
		be_put16(p + 2, op->cdb_len);
		p[4] = op->opcode;
		memcpy(p + 5, op->usage, op->cdb_len - 1U);
		if (op->sa != SA_NONE)
			p[5] |= (uint8_t)op->sa;
		n = 4U + op->cdb_len;
	}
	(void)buf_add(&b, p, n);
	if (op && rctd)
		add_timeouts(&b);
	return op_reply(t, b.p, b.len);
}

enum scsi_step op_report_opcodes(struct scsi_task *t)
{
	bool rctd = t->cdb[2] & 0x80, has_sa, known;
	uint8_t opcode = t->cdb[3];
	unsigned sa = be16(t->cdb + 4);
	const struct scsi_op *op = find(t->lu_, opcode, sa, &has_sa, &known);

	switch (t->cdb[2] & 7) {
	case 0:
		return all_commands(t, rctd);
	case 1: /* commands without service actions only */
		return has_sa ? op_invalid_cdb(t, 2) : one_command(t, op, rctd);
	case 2: /* and with service actions only */
		return known && !has_sa ? op_invalid_cdb(t, 2) : one_command(t, op, rctd);
	case 3: /* as it comes */
		return one_command(t, op && (has_sa || sa == 0) ? op : NULL, rctd);
	default:
		return op_invalid_cdb(t, 2);
	}
}

enum scsi_step op_report_tmfs(struct scsi_task *t)
{
	/* ABORT TASK, ABORT TASK SET, CLEAR TASK SET, LOGICAL UNIT RESET, TARGET RESET; with REPD
	 * also the (missing) timeouts. */
	uint8_t p[16] = {0x80 | 0x40 | 0x10 | 0x08 | 0x02, 0, 0, 0};
	bool repd = t->cdb[2] & 0x80;

	if (t->data_len < 4)
		return op_invalid_cdb(t, 6);
	p[3] = repd ? 12 : 0;
	return op_reply(t, p, repd ? 16 : 4);
}

/* ---- REPORT TARGET PORT GROUPS: one group per port, active/optimized each ---- */

enum { PORTS_MAX = 256 };

enum scsi_step op_report_port_groups(struct scsi_task *t)
{
	bool extended = (t->cdb[1] & 0xe0) == 0x20;
	auto_buf struct buf b = buf_of(REPLY_MAX);
	struct scsi_target *tg = t->nexus->target;
	uint16_t ports[PORTS_MAX];
	size_t n = 0;
	uint8_t p[12];

	if (t->cdb[1] & 0xc0)
		return op_invalid_cdb(t, 1);
	/* The ports of this target that are in use, ours among them. */
	(void)pthread_mutex_lock(&tg->lock);
	for (const struct scsi_nexus *x = tg->nexuses; x; x = x->next) {
		size_t i = 0;

		while (i < n && ports[i] != x->rel_port)
			i++;
		if (i == n && n < PORTS_MAX)
			ports[n++] = x->rel_port;
	}
	(void)pthread_mutex_unlock(&tg->lock);
	memset(p, 0, sizeof(p));
	p[4] = 0x10; /* format: extended header, no implicit transition time */
	(void)buf_add(&b, p, extended ? 8 : 4);
	for (size_t i = 0; i < n; i++) {
		memset(p, 0, sizeof(p));
		p[0] = 0x00; /* active/optimized */
		p[1] = 0x01; /* AO_SUP: and never anything else */
		be_put16(p + 2, ports[i]);
		p[7] = 1; /* one port in it: */
		be_put16(p + 10, ports[i]);
		(void)buf_add(&b, p, sizeof(p));
	}
	be_put32((uint8_t *)b.p, (uint32_t)b.len - 4);
	return op_reply(t, b.p, b.len);
}
