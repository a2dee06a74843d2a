/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <isa-l/crc.h>

#include "iscsi/pdu.h"

enum stage { HEADER, HEADER_TOLD, DATA, TAIL };

uint32_t iscsi_crc(uint32_t crc, const void *p, size_t n)
{
	/* ISA-L only reads, but its prototype has no const; lengths here are far below INT_MAX */
	return crc32_iscsi((unsigned char *)(uintptr_t)p, (int)n, crc);
}

void iscsi_req_decode(struct iscsi_req *q, const uint8_t bhs[static ISCSI_BHS_LEN])
{
	q->op = bhs[0] & 0x3f;
	q->immediate = (bhs[0] & 0x40) != 0;
	q->flags = bhs[1];
	q->byte2 = bhs[2];
	q->byte3 = bhs[3];
	q->data_len = iscsi_get24(bhs + 5);
	q->lun = iscsi_get64(bhs + 8);
	q->itt = iscsi_get32(bhs + 16);
	q->w20 = iscsi_get32(bhs + 20);
	q->cmd_sn = iscsi_get32(bhs + 24);
	q->exp_stat_sn = iscsi_get32(bhs + 28);
	q->w32 = iscsi_get32(bhs + 32);
	q->w36 = iscsi_get32(bhs + 36);
	q->w40 = iscsi_get32(bhs + 40);
}

bool iscsi_op_from_initiator(uint8_t op)
{
	return op <= ISCSI_LOGOUT || op == ISCSI_SNACK;
}

int iscsi_cdb(const uint8_t *hdr, size_t ahs_len, uint8_t *cdb, uint16_t *ret_len,
	      uint32_t *ret_bidi, struct err *e)
{
	enum { AHS_EXTENDED_CDB = 1, AHS_BIDI_LENGTH = 2 };
	const uint8_t *at = hdr + ISCSI_BHS_LEN, *end = at + ahs_len;
	bool extended = false;

	memcpy(cdb, hdr + 32, 16);
	*ret_len = 16;
	*ret_bidi = 0;
	while (at < end) {
		size_t left = (size_t)(end - at), n;

		if (left < 4)
			return err_set(e, -EPROTO, "additional header of %zu bytes, too short",
				       left);
		n = iscsi_get16(at); /* counts from byte 3, without padding */
		if (n < 1 || 3 + n > left)
			return err_set(e, -EPROTO, "additional header says %zu bytes, %zu are left",
				       n, left);
		if (at[2] == AHS_EXTENDED_CDB) {
			if (extended || n - 1 > 260 - 16)
				return err_set(e, -EPROTO, "extended CDB of %zu bytes", n + 15);
			extended = true;
			memcpy(cdb + 16, at + 4, n - 1);
			*ret_len = (uint16_t)(16 + n - 1);
		} else if (at[2] == AHS_BIDI_LENGTH && n == 5) {
			*ret_bidi = iscsi_get32(at + 4);
		} else {
			return err_set(e, -EPROTO, "additional header of unknown type %u or length",
				       at[2]);
		}
		at += iscsi_padded((uint32_t)(3 + n)) < left ? iscsi_padded((uint32_t)(3 + n))
							     : left;
	}
	return 0;
}

void iscsi_rx_init(struct iscsi_rx *rx, uint32_t data_max, uint16_t ahs_max)
{
	*rx = (struct iscsi_rx){.data_max = data_max, .ahs_max = ahs_max};
}

static const uint8_t *take_bytes(const uint8_t **at, const uint8_t *end, size_t want, size_t *ret_n)
{
	const uint8_t *p = *at;
	size_t n = (size_t)(end - p);

	if (n > want)
		n = want;
	*at += n;
	*ret_n = n;
	return p;
}

static size_t header_need(const struct iscsi_rx *rx)
{
	size_t n = ISCSI_BHS_LEN;

	if (rx->hdr_have_ >= ISCSI_BHS_LEN)
		n += rx->hdr[4] * 4U + (rx->header_digest ? ISCSI_DIGEST_LEN : 0U);
	return n;
}

static int header_in(struct iscsi_rx *rx, struct err *e)
{
	size_t n = (size_t)ISCSI_BHS_LEN + rx->ahs_len;

	if (rx->header_digest) {
		uint8_t want[4];

		iscsi_crc_put(want, iscsi_crc(ISCSI_CRC_INIT, rx->hdr, n));
		if (memcmp(want, rx->hdr + n, 4) != 0)
			return err_set(e, -EBADMSG, "header digest is wrong");
	}
	rx->data_len = iscsi_get24(rx->hdr + 5);
	if (rx->data_len > rx->data_max)
		return err_set(e, -EMSGSIZE, "data segment of %u bytes, allowed %u", rx->data_len,
			       rx->data_max);
	rx->stage_ = HEADER_TOLD;
	rx->data_have_ = 0;
	rx->tail_have_ = 0;
	rx->tail_need_ = (uint8_t)(iscsi_padded(rx->data_len) - rx->data_len);
	if (rx->data_digest && rx->data_len > 0)
		rx->tail_need_ = (uint8_t)(rx->tail_need_ + ISCSI_DIGEST_LEN);
	rx->crc_ = ISCSI_CRC_INIT;
	rx->into_ = NULL;
	return ISCSI_RX_HEADER;
}

static int feed_header(struct iscsi_rx *rx, const uint8_t **at, const uint8_t *end, struct err *e)
{
	for (;;) {
		size_t need = header_need(rx), n;
		const uint8_t *p;

		if (rx->hdr_have_ >= ISCSI_BHS_LEN) {
			rx->ahs_len = (uint16_t)(rx->hdr[4] * 4U);
			if (rx->ahs_len > rx->ahs_max)
				return err_set(e, -EMSGSIZE,
					       "additional headers of %u bytes, allowed %u",
					       rx->ahs_len, rx->ahs_max);
			if (rx->hdr_have_ == need)
				return header_in(rx, e);
		}
		if (*at == end)
			return ISCSI_RX_MORE;
		p = take_bytes(at, end, need - rx->hdr_have_, &n);
		memcpy(rx->hdr + rx->hdr_have_, p, n);
		rx->hdr_have_ = (uint16_t)(rx->hdr_have_ + n);
	}
}

static int pdu_in(struct iscsi_rx *rx)
{
	rx->stage_ = HEADER;
	rx->hdr_have_ = 0;
	if (rx->tail_need_ >= ISCSI_DIGEST_LEN) {
		uint8_t want[4];
		uint32_t pad = rx->tail_need_ - (uint32_t)ISCSI_DIGEST_LEN;

		iscsi_crc_put(want, iscsi_crc(rx->crc_, rx->tail_, pad));
		if (memcmp(want, rx->tail_ + pad, 4) != 0)
			return ISCSI_RX_BAD_DIGEST;
	}
	return ISCSI_RX_PDU;
}

int iscsi_rx_feed(struct iscsi_rx *rx, const uint8_t **at, const uint8_t *end, struct err *e)
{
	const uint8_t *p;
	size_t n;

	switch ((enum stage)rx->stage_) {
	case HEADER:
		return feed_header(rx, at, end, e);
	case HEADER_TOLD:
	case DATA:
		rx->stage_ = DATA;
		p = take_bytes(at, end, rx->data_len - rx->data_have_, &n);
		if (n > 0) {
			if (rx->into_)
				memcpy(rx->into_ + rx->data_have_, p, n);
			if (rx->tail_need_ >= ISCSI_DIGEST_LEN)
				rx->crc_ = iscsi_crc(rx->crc_, p, n);
			rx->data_have_ += (uint32_t)n;
		}
		if (rx->data_have_ < rx->data_len)
			return ISCSI_RX_MORE;
		rx->stage_ = TAIL;
		__attribute__((fallthrough));
	case TAIL:
		p = take_bytes(at, end, (size_t)(rx->tail_need_ - rx->tail_have_), &n);
		memcpy(rx->tail_ + rx->tail_have_, p, n);
		rx->tail_have_ = (uint8_t)(rx->tail_have_ + n);
		return rx->tail_have_ < rx->tail_need_ ? ISCSI_RX_MORE : pdu_in(rx);
	}
	abort();
}

void iscsi_rx_into(struct iscsi_rx *rx, uint8_t *into)
{
	rx->into_ = into;
}

bool iscsi_rx_idle(const struct iscsi_rx *rx)
{
	return rx->stage_ == HEADER && rx->hdr_have_ == 0;
}

uint32_t iscsi_rx_room(const struct iscsi_rx *rx, uint8_t **ret_at)
{
	if ((rx->stage_ != DATA && rx->stage_ != HEADER_TOLD) || !rx->into_)
		return 0;
	*ret_at = rx->into_ + rx->data_have_;
	return rx->data_len - rx->data_have_;
}

void iscsi_rx_filled(struct iscsi_rx *rx, uint32_t n)
{
	if (rx->tail_need_ >= ISCSI_DIGEST_LEN)
		rx->crc_ = iscsi_crc(rx->crc_, rx->into_ + rx->data_have_, n);
	rx->data_have_ += n;
}
