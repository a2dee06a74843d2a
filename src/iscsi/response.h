/* SPDX-License-Identifier: Apache-2.0 */
/*
 * response.h - write the headers that a target sends (RFC 7143 section 11)
 *
 * Each function fills all 48 bytes.  The sequence numbers come in struct iscsi_sns.
 *
 * Depends on: base.  Threads: no state.
 */
#pragma once

#include "iscsi/pdu.h"

struct iscsi_sns {
	uint32_t stat_sn, exp_cmd_sn, max_cmd_sn;
};

/* How far the transfer missed what the initiator expected. */
struct iscsi_residual {
	uint8_t flag; /* 0, ISCSI_RSP_OVERFLOW or ISCSI_RSP_UNDERFLOW */
	uint32_t count;
};
struct iscsi_residual iscsi_residual(uint32_t expected, uint32_t moved);

/* Numbers alone: StatSN, ExpCmdSN, MaxCmdSN of a header that is otherwise ready (login). */
void iscsi_put_sns(uint8_t b[static ISCSI_BHS_LEN], const struct iscsi_sns *sn);

void iscsi_put_scsi_rsp(uint8_t b[static ISCSI_BHS_LEN], uint32_t itt, uint8_t status,
			struct iscsi_residual res, uint32_t exp_data_sn, uint32_t sense_len,
			const struct iscsi_sns *sn);
/* To a SCSI response: of a bidirectional command's data-in nothing came. */
void iscsi_put_bidi_underflow(uint8_t b[static ISCSI_BHS_LEN], uint32_t len);
/* flags: ISCSI_FINAL; with_status adds the S bit, and then status, residual and StatSN count. */
void iscsi_put_data_in(uint8_t b[static ISCSI_BHS_LEN], uint8_t flags, uint32_t itt, uint64_t lun,
		       uint32_t data_sn, uint32_t offset, uint32_t len, const struct iscsi_sns *sn);
void iscsi_put_data_in_status(uint8_t b[static ISCSI_BHS_LEN], uint8_t status,
			      struct iscsi_residual res, uint32_t stat_sn);
void iscsi_put_r2t(uint8_t b[static ISCSI_BHS_LEN], uint64_t lun, uint32_t itt, uint32_t ttt,
		   uint32_t r2t_sn, uint32_t offset, uint32_t len, const struct iscsi_sns *sn);
void iscsi_put_nop_in(uint8_t b[static ISCSI_BHS_LEN], uint64_t lun, uint32_t itt, uint32_t ttt,
		      uint32_t len, const struct iscsi_sns *sn);
void iscsi_put_tmf_rsp(uint8_t b[static ISCSI_BHS_LEN], uint32_t itt,
		       enum iscsi_tmf_response response, const struct iscsi_sns *sn);
void iscsi_put_text_rsp(uint8_t b[static ISCSI_BHS_LEN], uint8_t flags, uint32_t itt, uint32_t ttt,
			uint32_t len, const struct iscsi_sns *sn);
void iscsi_put_logout_rsp(uint8_t b[static ISCSI_BHS_LEN], uint32_t itt,
			  enum iscsi_logout_response response, uint16_t time2wait,
			  uint16_t time2retain, const struct iscsi_sns *sn);
void iscsi_put_reject(uint8_t b[static ISCSI_BHS_LEN], enum iscsi_reject_reason reason,
		      uint32_t len, const struct iscsi_sns *sn);
void iscsi_put_async(uint8_t b[static ISCSI_BHS_LEN], enum iscsi_async_event event, uint64_t lun,
		     uint16_t p1, uint16_t p2, uint16_t p3, uint32_t sense_len,
		     const struct iscsi_sns *sn);
