/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/op.h"

#define LEN(kind, at, size) .len_kind = LEN_##kind, .len_at = (at), .len_size = (size)
#define LBA(at, size)       .lba_at = (at), .lba_size = (size)
#define USAGE(...)          .usage = {__VA_ARGS__}
#define ROW(op, service_action, len, direction, reservation)                                   \
	.opcode = (op), .sa = (service_action), .cdb_len = (len), .dir = SCSI_DIR_##direction, \
	.resv = RESV_##reservation

/* Service actions of one opcode stand together, opcodes ascend. */
static const struct scsi_op ops[] = {
/* clang-format off */
#include "scsi/ops.def"
	/* clang-format on */
};

const struct scsi_op *scsi_op_at(size_t i)
{
	return i < ARRAY_SIZE(ops) ? &ops[i] : NULL;
}

bool scsi_op_exists(const struct scsi_op *op, const struct scsi_lu *lu)
{
	return !(op->flags & OP_THIN) || (lu && lu->dev->thin);
}

static const struct scsi_op *first_row(uint8_t opcode)
{
	size_t lo = 0, hi = ARRAY_SIZE(ops);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (ops[mid].opcode < opcode)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < ARRAY_SIZE(ops) && ops[lo].opcode == opcode ? &ops[lo] : NULL;
}

const struct scsi_op *scsi_op_find(const struct scsi_lu *lu, const uint8_t *cdb, size_t len,
				   bool *ret_known_opcode)
{
	const struct scsi_op *op = first_row(cdb[0]);

	for (; op && op < ops + ARRAY_SIZE(ops) && op->opcode == cdb[0]; op++) {
		if (!scsi_op_exists(op, lu))
			continue;
		*ret_known_opcode = true;
		if ((op->sa == SA_NONE || op->sa == (cdb[1] & 0x1f)) && len >= op->cdb_len)
			return op;
	}
	return NULL;
}
