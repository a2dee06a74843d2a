/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/response.h"

struct iscsi_residual iscsi_residual(uint32_t expected, uint32_t moved)
{
	if (moved > expected)
		return (struct iscsi_residual){ISCSI_RSP_OVERFLOW, moved - expected};
	if (moved < expected)
		return (struct iscsi_residual){ISCSI_RSP_UNDERFLOW, expected - moved};
	return (struct iscsi_residual){0};
}

void iscsi_put_sns(uint8_t b[static ISCSI_BHS_LEN], const struct iscsi_sns *sn)
{
	iscsi_put32(b + 24, sn->stat_sn);
	iscsi_put32(b + 28, sn->exp_cmd_sn);
	iscsi_put32(b + 32, sn->max_cmd_sn);
}

static void start(uint8_t *b, enum iscsi_op op, uint8_t flags, uint32_t len, uint32_t itt,
		  const struct iscsi_sns *sn)
{
	memset(b, 0, ISCSI_BHS_LEN);
	b[0] = (uint8_t)op;
	b[1] = flags;
	iscsi_put24(b + 5, len);
	iscsi_put32(b + 16, itt);
	iscsi_put_sns(b, sn);
}

void iscsi_put_scsi_rsp(uint8_t b[static ISCSI_BHS_LEN], uint32_t itt, uint8_t status,
			struct iscsi_residual res, uint32_t exp_data_sn, uint32_t sense_len,
			const struct iscsi_sns *sn)
{
	/* the data segment is SenseLength (2 bytes) and the sense data */
	start(b, ISCSI_SCSI_RSP, ISCSI_FINAL | res.flag, sense_len ? sense_len + 2 : 0, itt, sn);
	b[3] = status; /* byte 2, the response: 0, command completed at target */
	iscsi_put32(b + 36, exp_data_sn);
	iscsi_put32(b + 44, res.count);
}

void iscsi_put_bidi_underflow(uint8_t b[static ISCSI_BHS_LEN], uint32_t len)
{
	if (len == 0)
		return;
	b[1] |= ISCSI_RSP_BIDI_UNDERFLOW;
	iscsi_put32(b + 40, len);
}

void iscsi_put_data_in(uint8_t b[static ISCSI_BHS_LEN], uint8_t flags, uint32_t itt, uint64_t lun,
		       uint32_t data_sn, uint32_t offset, uint32_t len, const struct iscsi_sns *sn)
{
	start(b, ISCSI_DATA_IN, flags, len, itt, sn);
	iscsi_put64(b + 8, lun);
	iscsi_put32(b + 20, ISCSI_TAG_NONE);
	iscsi_put32(b + 24, 0); /* StatSN only with status */
	iscsi_put32(b + 36, data_sn);
	iscsi_put32(b + 40, offset);
}

void iscsi_put_data_in_status(uint8_t b[static ISCSI_BHS_LEN], uint8_t status,
			      struct iscsi_residual res, uint32_t stat_sn)
{
	b[1] |= (uint8_t)(ISCSI_DATA_IN_STATUS | res.flag);
	b[3] = status;
	iscsi_put32(b + 24, stat_sn);
	iscsi_put32(b + 44, res.count);
}

void iscsi_put_r2t(uint8_t b[static ISCSI_BHS_LEN], uint64_t lun, uint32_t itt, uint32_t ttt,
		   uint32_t r2t_sn, uint32_t offset, uint32_t len, const struct iscsi_sns *sn)
{
	start(b, ISCSI_R2T, ISCSI_FINAL, 0, itt, sn);
	iscsi_put64(b + 8, lun);
	iscsi_put32(b + 20, ttt);
	iscsi_put32(b + 36, r2t_sn);
	iscsi_put32(b + 40, offset);
	iscsi_put32(b + 44, len);
}

void iscsi_put_nop_in(uint8_t b[static ISCSI_BHS_LEN], uint64_t lun, uint32_t itt, uint32_t ttt,
		      uint32_t len, const struct iscsi_sns *sn)
{
	start(b, ISCSI_NOP_IN, ISCSI_FINAL, len, itt, sn);
	iscsi_put64(b + 8, lun);
	iscsi_put32(b + 20, ttt);
}

void iscsi_put_tmf_rsp(uint8_t b[static ISCSI_BHS_LEN], uint32_t itt,
		       enum iscsi_tmf_response response, const struct iscsi_sns *sn)
{
	start(b, ISCSI_TMF_RSP, ISCSI_FINAL, 0, itt, sn);
	b[2] = (uint8_t)response;
}

void iscsi_put_text_rsp(uint8_t b[static ISCSI_BHS_LEN], uint8_t flags, uint32_t itt, uint32_t ttt,
			uint32_t len, const struct iscsi_sns *sn)
{
	start(b, ISCSI_TEXT_RSP, flags, len, itt, sn);
	iscsi_put32(b + 20, ttt);
}

void iscsi_put_logout_rsp(uint8_t b[static ISCSI_BHS_LEN], uint32_t itt,
			  enum iscsi_logout_response response, uint16_t time2wait,
			  uint16_t time2retain, const struct iscsi_sns *sn)
{
	start(b, ISCSI_LOGOUT_RSP, ISCSI_FINAL, 0, itt, sn);
	b[2] = (uint8_t)response;
	iscsi_put16(b + 40, time2wait);
	iscsi_put16(b + 42, time2retain);
}

void iscsi_put_reject(uint8_t b[static ISCSI_BHS_LEN], enum iscsi_reject_reason reason,
		      uint32_t len, const struct iscsi_sns *sn)
{
	start(b, ISCSI_REJECT, ISCSI_FINAL, len, ISCSI_TAG_NONE, sn);
	b[2] = (uint8_t)reason;
}

void iscsi_put_async(uint8_t b[static ISCSI_BHS_LEN], enum iscsi_async_event event, uint64_t lun,
		     uint16_t p1, uint16_t p2, uint16_t p3, uint32_t sense_len,
		     const struct iscsi_sns *sn)
{
	start(b, ISCSI_ASYNC, ISCSI_FINAL, sense_len ? sense_len + 2 : 0, ISCSI_TAG_NONE, sn);
	iscsi_put64(b + 8, lun);
	b[36] = (uint8_t)event;
	iscsi_put16(b + 38, p1);
	iscsi_put16(b + 40, p2);
	iscsi_put16(b + 42, p3);
}
