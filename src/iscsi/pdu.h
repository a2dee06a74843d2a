/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pdu.h - iSCSI protocol data units (RFC 7143 section 11): numbers, header decoding, framing
 *
 * Three things, all without sockets:
 *  - the numbers of section 11 (opcodes, flags, reasons);
 *  - struct iscsi_req: the fields of a header that an initiator sent, decoded once;
 *  - struct iscsi_rx: bytes of a connection in, headers and whole PDUs out.  It copies a
 *    data segment straight to where its receiver wants it, or lets the receiver read(2)
 *    there, and checks the digests on the way.
 *
 * Depends on: base, ISA-L (CRC32C).  Threads: no state of their own.
 */
#pragma once

#include "base/err.h"

enum {
	ISCSI_BHS_LEN = 48,
	ISCSI_AHS_MAX = 264, /* an extended CDB of 260 bytes and its header */
	ISCSI_DIGEST_LEN = 4,
	ISCSI_DATA_MAX = (1 << 24) - 1,
};

enum iscsi_op {
	ISCSI_NOP_OUT = 0x00,
	ISCSI_SCSI_CMD = 0x01,
	ISCSI_TMF = 0x02,
	ISCSI_LOGIN = 0x03,
	ISCSI_TEXT = 0x04,
	ISCSI_DATA_OUT = 0x05,
	ISCSI_LOGOUT = 0x06,
	ISCSI_SNACK = 0x10,
	ISCSI_NOP_IN = 0x20,
	ISCSI_SCSI_RSP = 0x21,
	ISCSI_TMF_RSP = 0x22,
	ISCSI_LOGIN_RSP = 0x23,
	ISCSI_TEXT_RSP = 0x24,
	ISCSI_DATA_IN = 0x25,
	ISCSI_LOGOUT_RSP = 0x26,
	ISCSI_R2T = 0x31,
	ISCSI_ASYNC = 0x32,
	ISCSI_REJECT = 0x3f,
};

#define ISCSI_TAG_NONE 0xffffffffU /* reserved value of ITT and TTT */

enum { /* byte 1 */
       ISCSI_FINAL = 0x80,
       ISCSI_CMD_READ = 0x40,
       ISCSI_CMD_WRITE = 0x20,
       ISCSI_RSP_BIDI_UNDERFLOW = 0x08,
       ISCSI_RSP_OVERFLOW = 0x04,
       ISCSI_RSP_UNDERFLOW = 0x02,
       ISCSI_DATA_IN_STATUS = 0x01,
       ISCSI_TEXT_CONTINUE = 0x40,
       ISCSI_LOGIN_TRANSIT = 0x80,
       ISCSI_LOGIN_CONTINUE = 0x40,
};

enum iscsi_tmf_function { /* section 11.5.1 */
			  ISCSI_TMF_ABORT_TASK = 1,
			  ISCSI_TMF_ABORT_TASK_SET = 2,
			  ISCSI_TMF_CLEAR_ACA = 3,
			  ISCSI_TMF_CLEAR_TASK_SET = 4,
			  ISCSI_TMF_LU_RESET = 5,
			  ISCSI_TMF_WARM_RESET = 6,
			  ISCSI_TMF_COLD_RESET = 7,
			  ISCSI_TMF_TASK_REASSIGN = 8,
};

enum iscsi_tmf_response { /* section 11.6.1 */
			  ISCSI_TMF_COMPLETE = 0,
			  ISCSI_TMF_NO_TASK = 1,
			  ISCSI_TMF_NO_LUN = 2,
			  ISCSI_TMF_NO_REASSIGN = 4,
			  ISCSI_TMF_NOT_SUPPORTED = 5,
			  ISCSI_TMF_REJECTED = 255,
};

enum iscsi_reject_reason { /* section 11.17.1 */
			   ISCSI_REJECT_DATA_DIGEST = 0x02,
			   ISCSI_REJECT_SNACK = 0x03,
			   ISCSI_REJECT_PROTOCOL = 0x04,
			   ISCSI_REJECT_NOT_SUPPORTED = 0x05,
			   ISCSI_REJECT_TOO_MANY_IMMEDIATE = 0x06,
			   ISCSI_REJECT_TASK_IN_PROGRESS = 0x07,
			   ISCSI_REJECT_INVALID_FIELD = 0x09,
};

enum iscsi_async_event { /* section 11.9.1 */
			 ISCSI_ASYNC_SCSI = 0,
			 ISCSI_ASYNC_LOGOUT = 1,
			 ISCSI_ASYNC_DROP_CONNECTION = 2,
			 ISCSI_ASYNC_DROP_SESSION = 3,
			 ISCSI_ASYNC_RENEGOTIATE = 4,
};

enum iscsi_logout_reason { ISCSI_LOGOUT_SESSION, ISCSI_LOGOUT_CONNECTION, ISCSI_LOGOUT_RECOVERY };
enum iscsi_logout_response {
	ISCSI_LOGOUT_OK = 0,
	ISCSI_LOGOUT_NO_CID = 1,
	ISCSI_LOGOUT_NO_RECOVERY = 2,
	ISCSI_LOGOUT_FAILED = 3,
};

enum iscsi_login_status { /* section 11.13.5: class << 8 | detail */
			  ISCSI_LOGIN_OK = 0x0000,
			  ISCSI_LOGIN_MOVED_TEMPORARILY = 0x0101,
			  ISCSI_LOGIN_MOVED_PERMANENTLY = 0x0102,
			  ISCSI_LOGIN_INITIATOR_ERROR = 0x0200,
			  ISCSI_LOGIN_AUTH_FAILED = 0x0201,
			  ISCSI_LOGIN_FORBIDDEN = 0x0202,
			  ISCSI_LOGIN_NOT_FOUND = 0x0203,
			  ISCSI_LOGIN_REMOVED = 0x0204,
			  ISCSI_LOGIN_BAD_VERSION = 0x0205,
			  ISCSI_LOGIN_TOO_MANY_CONNECTIONS = 0x0206,
			  ISCSI_LOGIN_MISSING_PARAMETER = 0x0207,
			  ISCSI_LOGIN_CANT_INCLUDE = 0x0208,
			  ISCSI_LOGIN_BAD_SESSION_TYPE = 0x0209,
			  ISCSI_LOGIN_NO_SESSION = 0x020a,
			  ISCSI_LOGIN_INVALID = 0x020b,
			  ISCSI_LOGIN_TARGET_ERROR = 0x0300,
			  ISCSI_LOGIN_UNAVAILABLE = 0x0301,
			  ISCSI_LOGIN_NO_RESOURCES = 0x0302,
};

static inline uint16_t iscsi_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t iscsi_get24(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint32_t iscsi_get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return __builtin_bswap32(v);
}

static inline uint64_t iscsi_get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return __builtin_bswap64(v);
}

static inline void iscsi_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void iscsi_put24(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 16);
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)v;
}

static inline void iscsi_put32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, 4);
}

static inline void iscsi_put64(uint8_t *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, 8);
}

/* Serial number arithmetic (RFC 1982, RFC 7143 section 4.2.2.1): is a before b? */
static inline bool iscsi_sn_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline uint32_t iscsi_padded(uint32_t n)
{
	return (n + 3U) & ~3U;
}

/* CRC32C as digests use it: start with ISCSI_CRC_INIT, end with iscsi_crc_put(). */
#define ISCSI_CRC_INIT 0xffffffffU
uint32_t iscsi_crc(uint32_t crc, const void *p, size_t n);
static inline void iscsi_crc_put(uint8_t at[static 4], uint32_t crc)
{
	crc = ~crc; /* on the wire least significant byte first */
	memcpy(at, &crc, 4);
}

/*
 * A header from an initiator.  Words that mean something else in each opcode carry the
 * byte they start at; the names beside them are those of section 11.
 */
struct iscsi_req {
	enum iscsi_op op;
	bool immediate; /* the I bit */
	uint8_t flags;  /* byte 1 */
	uint8_t byte2, byte3;
	uint32_t data_len;
	uint64_t lun; /* login: ISID and TSIH */
	uint32_t itt;
	uint32_t w20;    /* SCSI: expected length; Data-Out, NOP, text: TTT; TMF: referenced tag */
	uint32_t cmd_sn; /* not in Data-Out and SNACK */
	uint32_t exp_stat_sn;
	uint32_t w32; /* TMF: RefCmdSN */
	uint32_t w36; /* Data-Out: DataSN */
	uint32_t w40; /* Data-Out: buffer offset */
};

void iscsi_req_decode(struct iscsi_req *q, const uint8_t bhs[static ISCSI_BHS_LEN]);

/* Is this an opcode an initiator may send? */
bool iscsi_op_from_initiator(uint8_t op);

/*
 * The CDB of a SCSI command: 16 bytes of the header and, in an AHS, what goes beyond.
 * cdb has room for 260 bytes.  ret_bidi: how much a bidirectional command expects to read, 0
 * when it does not say.  -EPROTO when the AHS is malformed.
 */
int iscsi_cdb(const uint8_t *hdr, size_t ahs_len, uint8_t *cdb, uint16_t *ret_len,
	      uint32_t *ret_bidi, struct err *e) MUST_CHECK;

/* ---- framing ---- */
enum iscsi_rx_event {
	ISCSI_RX_MORE,       /* everything eaten, nothing to report */
	ISCSI_RX_HEADER,     /* rx->hdr is complete; call iscsi_rx_into() before going on */
	ISCSI_RX_PDU,        /* the whole PDU is in */
	ISCSI_RX_BAD_DIGEST, /* the whole PDU is in, and its data digest is wrong */
};

struct iscsi_rx {
	bool header_digest, data_digest; /* in force from the next PDU on */
	uint32_t data_max;               /* our MaxRecvDataSegmentLength */
	uint16_t ahs_max;                /* 0 while logging in: no login request has any */

	/* the PDU that comes in */
	uint8_t hdr[ISCSI_BHS_LEN + ISCSI_AHS_MAX + ISCSI_DIGEST_LEN];
	uint16_t ahs_len;
	uint32_t data_len;

	/* private */
	uint8_t stage_;
	uint8_t tail_[3 + ISCSI_DIGEST_LEN];
	uint8_t tail_need_, tail_have_;
	uint16_t hdr_have_;
	uint32_t data_have_, crc_;
	uint8_t *into_;
};

void iscsi_rx_init(struct iscsi_rx *rx, uint32_t data_max, uint16_t ahs_max);

/*
 * Eat bytes from *at up to end until there is something to report.  Negative: the stream
 * can't be understood any further (header digest, data over data_max, AHS too long);
 * nothing but closing the connection helps.
 */
int iscsi_rx_feed(struct iscsi_rx *rx, const uint8_t **at, const uint8_t *end,
		  struct err *e) MUST_CHECK;

/* After ISCSI_RX_HEADER: where the data segment goes (data_len bytes); NULL throws it away. */
void iscsi_rx_into(struct iscsi_rx *rx, uint8_t *into);

/* Between two PDUs? */
bool iscsi_rx_idle(const struct iscsi_rx *rx);

/* The bytes of the data segment still to come, and where; 0 when there are none or they are
 * thrown away.  The caller may read that many or fewer there and say so with _filled. */
uint32_t iscsi_rx_room(const struct iscsi_rx *rx, uint8_t **ret_at);
void iscsi_rx_filled(struct iscsi_rx *rx, uint32_t n);
