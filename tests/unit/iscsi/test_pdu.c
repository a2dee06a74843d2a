/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "iscsi/pdu.h"
#include "iscsi/response.h"
#include "test.h"

TEST(crc32c_has_the_values_of_rfc_7143_appendix_b4)
{
	uint8_t zeroes[32] = {0}, ones[32], up[32], digest[4];

	memset(ones, 0xff, sizeof(ones));
	for (uint8_t i = 0; i < 32; i++)
		up[i] = i;
	iscsi_crc_put(digest, iscsi_crc(ISCSI_CRC_INIT, zeroes, 32));
	CHECK_INT(memcmp(digest, "\xaa\x36\x91\x8a", 4), 0);
	iscsi_crc_put(digest, iscsi_crc(ISCSI_CRC_INIT, ones, 32));
	CHECK_INT(memcmp(digest, "\x43\xab\xa8\x62", 4), 0);
	iscsi_crc_put(digest, iscsi_crc(ISCSI_CRC_INIT, up, 32));
	CHECK_INT(memcmp(digest, "\x4e\x79\xdd\x46", 4), 0);
}

TEST(sequence_numbers_wrap)
{
	CHECK(iscsi_sn_lt(1, 2));
	CHECK(!iscsi_sn_lt(2, 2));
	CHECK(iscsi_sn_lt(0xffffffff, 0));
	CHECK(iscsi_sn_lt(0xfffffff0, 0x10));
	CHECK(!iscsi_sn_lt(0x10, 0xfffffff0));
}

TEST(a_header_is_decoded_field_by_field)
{
	uint8_t b[ISCSI_BHS_LEN];
	struct iscsi_req q;

	for (uint8_t i = 0; i < ISCSI_BHS_LEN; i++)
		b[i] = i;
	b[0] = 0x41;
	iscsi_req_decode(&q, b);
	CHECK_INT(q.op, ISCSI_SCSI_CMD);
	CHECK(q.immediate);
	CHECK_INT(q.flags, 1);
	CHECK_INT(q.data_len, 0x050607);
	CHECK_INT(q.lun, 0x08090a0b0c0d0e0f);
	CHECK_INT(q.itt, 0x10111213);
	CHECK_INT(q.w20, 0x14151617);
	CHECK_INT(q.cmd_sn, 0x18191a1b);
	CHECK_INT(q.exp_stat_sn, 0x1c1d1e1f);
	CHECK_INT(q.w36, 0x24252627);
	CHECK_INT(q.w40, 0x28292a2b);
}

TEST(an_extended_cdb_comes_from_the_additional_header)
{
	uint8_t h[ISCSI_BHS_LEN + 20] = {0}, cdb[260];
	uint16_t n;
	uint32_t bidi;
	struct err e;

	h[32] = 0x7f;
	h[48] = 0;
	h[49] = 17; /* a reserved byte and 16 of CDB */
	h[50] = 1;
	h[52] = 0xaa;
	h[67] = 0xbb;
	CHECK_INT(iscsi_cdb(h, 20, cdb, &n, &bidi, &e), 0);
	CHECK_INT(n, 32);
	CHECK_INT(cdb[0], 0x7f);
	CHECK_INT(cdb[16], 0xaa);
	CHECK_INT(cdb[31], 0xbb);
	h[49] = 18; /* more than there is */
	CHECK_INT(iscsi_cdb(h, 20, cdb, &n, &bidi, &e), -EPROTO);
	h[49] = 0;
	CHECK_INT(iscsi_cdb(h, 20, cdb, &n, &bidi, &e), -EPROTO);
	h[49] = 17;
	h[50] = 9;
	CHECK_INT(iscsi_cdb(h, 20, cdb, &n, &bidi, &e), -EPROTO);
}

TEST(what_a_bidirectional_command_reads_comes_from_the_additional_header)
{
	uint8_t h[ISCSI_BHS_LEN + 8] = {[49] = 5, [50] = 2, [54] = 2}, cdb[260];
	uint16_t n;
	uint32_t bidi = 1;
	struct err e;

	CHECK_INT(iscsi_cdb(h, 0, cdb, &n, &bidi, &e), 0);
	CHECK_INT(bidi, 0);
	CHECK_INT(iscsi_cdb(h, 8, cdb, &n, &bidi, &e), 0);
	CHECK_INT(bidi, 512);
	CHECK_INT(n, 16);
	h[49] = 4;
	CHECK_INT(iscsi_cdb(h, 8, cdb, &n, &bidi, &e), -EPROTO);
}

/* Feed bytes in pieces of step; returns how many PDUs came out, or the error. */
static int feed(struct iscsi_rx *rx, const uint8_t *p, size_t n, size_t step, uint8_t *into)
{
	const uint8_t *end = p + n;
	struct err e;
	int pdus = 0;

	while (p < end) {
		const uint8_t *stop = (size_t)(end - p) < step ? end : p + step;
		int r;

		while ((r = iscsi_rx_feed(rx, &p, stop, &e)) != ISCSI_RX_MORE) {
			if (r < 0 || r == ISCSI_RX_BAD_DIGEST)
				return r < 0 ? r : -EILSEQ;
			if (r == ISCSI_RX_HEADER)
				iscsi_rx_into(rx, into);
			else
				pdus++;
		}
	}
	return pdus;
}

static size_t ping(uint8_t *to, const char *data, bool digests)
{
	size_t n = strlen(data), padded = iscsi_padded((uint32_t)n), at = ISCSI_BHS_LEN;

	memset(to, 0, at + padded + 8);
	to[1] = ISCSI_FINAL;
	iscsi_put24(to + 5, (uint32_t)n);
	if (digests) {
		iscsi_crc_put(to + at, iscsi_crc(ISCSI_CRC_INIT, to, at));
		at += 4;
	}
	memcpy(to + at, data, n);
	if (digests && n > 0)
		iscsi_crc_put(to + at + padded, iscsi_crc(ISCSI_CRC_INIT, to + at, padded));
	return at + padded + (digests && n > 0 ? 4 : 0);
}

TEST(pdus_come_out_however_the_bytes_are_cut)
{
	uint8_t stream[512], into[64];

	for (int digests = 0; digests < 2; digests++)
		for (size_t step = 1; step < 200; step++) {
			struct iscsi_rx rx;
			size_t n = 0;

			iscsi_rx_init(&rx, 64, ISCSI_AHS_MAX);
			rx.header_digest = rx.data_digest = digests;
			n += ping(stream + n, "hello", digests);
			n += ping(stream + n, "", digests);
			n += ping(stream + n, "four", digests);
			memset(into, 0, sizeof(into));
			CHECK_INT(feed(&rx, stream, n, step, into), 3);
			CHECK_INT(memcmp(into, "fouro", 6), 0);
		}
}

TEST(data_may_be_read_straight_to_where_it_belongs)
{
	uint8_t stream[128], into[64] = {0}, *room;
	const uint8_t *at = stream;
	struct iscsi_rx rx;
	struct err e;
	size_t n = ping(stream, "straight", true);

	iscsi_rx_init(&rx, 64, 0);
	rx.header_digest = rx.data_digest = true;
	CHECK_INT(iscsi_rx_feed(&rx, &at, stream + 54, &e), ISCSI_RX_HEADER);
	iscsi_rx_into(&rx, into);
	CHECK_INT(iscsi_rx_feed(&rx, &at, stream + 54, &e), ISCSI_RX_MORE);
	CHECK_INT(iscsi_rx_room(&rx, &room), 6);
	memcpy(room, "raight", 6);
	iscsi_rx_filled(&rx, 6);
	CHECK_INT(iscsi_rx_room(&rx, &room), 0);
	at = stream + 60;
	CHECK_INT(iscsi_rx_feed(&rx, &at, stream + n, &e), ISCSI_RX_PDU);
	CHECK_STR((char *)into, "straight");
}

TEST(broken_digests_are_told_apart)
{
	uint8_t stream[128], into[64];
	struct iscsi_rx rx;
	size_t n = ping(stream, "data", true);

	iscsi_rx_init(&rx, 64, 0);
	rx.header_digest = rx.data_digest = true;
	stream[n - 5] ^= 1;
	CHECK_INT(feed(&rx, stream, n, n, into), -EILSEQ);
	stream[n - 5] ^= 1;
	CHECK_INT(feed(&rx, stream, n, n, into), 1);
	stream[20] ^= 1;
	CHECK_INT(feed(&rx, stream, n, n, into), -EBADMSG);
}

TEST(what_is_longer_than_agreed_is_refused_before_it_comes)
{
	uint8_t h[ISCSI_BHS_LEN] = {0};
	struct iscsi_rx rx;

	iscsi_rx_init(&rx, 64, ISCSI_AHS_MAX);
	iscsi_put24(h + 5, 65);
	CHECK_INT(feed(&rx, h, sizeof(h), 48, NULL), -EMSGSIZE);
	iscsi_rx_init(&rx, 64, ISCSI_AHS_MAX);
	iscsi_put24(h + 5, 0);
	h[4] = ISCSI_AHS_MAX / 4 + 1;
	CHECK_INT(feed(&rx, h, sizeof(h), 48, NULL), -EMSGSIZE);
	iscsi_rx_init(&rx, 64, 0);
	h[4] = 1;
	CHECK_INT(feed(&rx, h, sizeof(h), 48, NULL), -EMSGSIZE);
}

TEST(residuals_say_how_far_a_transfer_missed)
{
	CHECK_INT(iscsi_residual(512, 512).flag, 0);
	CHECK_INT(iscsi_residual(512, 100).flag, ISCSI_RSP_UNDERFLOW);
	CHECK_INT(iscsi_residual(512, 100).count, 412);
	CHECK_INT(iscsi_residual(100, 512).flag, ISCSI_RSP_OVERFLOW);
	CHECK_INT(iscsi_residual(100, 512).count, 412);
}

TEST(responses_are_laid_out_as_section_11_draws_them)
{
	const struct iscsi_sns sn = {0x01020304, 0x05060708, 0x090a0b0c};
	uint8_t b[ISCSI_BHS_LEN];

	iscsi_put_data_in(b, ISCSI_FINAL, 7, 0, 3, 4096, 512, &sn);
	CHECK_INT(b[0], 0x25);
	CHECK_INT(b[1], 0x80);
	CHECK_INT(iscsi_get32(b + 24), 0);
	iscsi_put_data_in_status(b, 0, iscsi_residual(1024, 512), 99);
	CHECK_INT(b[1], 0x83);
	CHECK_INT(iscsi_get32(b + 24), 99);
	CHECK_INT(iscsi_get32(b + 36), 3);
	CHECK_INT(iscsi_get32(b + 40), 4096);
	CHECK_INT(iscsi_get32(b + 44), 512);
	iscsi_put_scsi_rsp(b, 7, 2, (struct iscsi_residual){0}, 4, 18, &sn);
	CHECK_INT(b[0], 0x21);
	CHECK_INT(b[3], 2);
	CHECK_INT(iscsi_get24(b + 5), 20);
	CHECK_INT(iscsi_get32(b + 28), 0x05060708);
	iscsi_put_async(b, ISCSI_ASYNC_LOGOUT, 0, 0, 0, 3, 0, &sn);
	CHECK_INT(b[36], 1);
	CHECK_INT(iscsi_get16(b + 42), 3);
	CHECK_INT(iscsi_get32(b + 16), ISCSI_TAG_NONE);
}
