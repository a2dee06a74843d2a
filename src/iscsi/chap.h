/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chap.h - CHAP as iSCSI uses it (RFC 7143 section 12.1.3, RFC 1994), pure calculation
 *
 * Depends on: base, nettle.  Threads: no state.
 */
#pragma once

#include "base/base.h"

enum {
	ISCSI_CHAP_CHALLENGE = 32,       /* the length of those we make */
	ISCSI_CHAP_CHALLENGE_MAX = 1024, /* ... and of those we take */
	ISCSI_CHAP_HASH_MAX = 32,
	ISCSI_CHAP_SECRET_MAX = 255,
	ISCSI_CHAP_NAME_MAX = 255,
};

enum iscsi_chap_algorithm { /* registered at IANA as PPP authentication algorithms */
			    ISCSI_CHAP_NONE = 0,
			    ISCSI_CHAP_MD5 = 5,
			    ISCSI_CHAP_SHA1 = 6,
			    ISCSI_CHAP_SHA256 = 7,
			    ISCSI_CHAP_SHA3_256 = 8,
};

/* The first of the initiator's comma-separated list that we have; NONE when there is none. */
enum iscsi_chap_algorithm iscsi_chap_choose(const char *list);

/* The response to a challenge; returns its length. */
size_t iscsi_chap_response(enum iscsi_chap_algorithm a, uint8_t id, const char *secret,
			   const uint8_t *challenge, size_t challenge_len,
			   uint8_t ret_response[static ISCSI_CHAP_HASH_MAX]);

/* Are these n bytes the same?  Takes as long for every answer. */
bool iscsi_chap_equal(const uint8_t *a, const uint8_t *b, size_t n);

/* Binary values (section 6.1): 0x hex or 0b base64 to at most max bytes, and to 0x hex. */
bool iscsi_binary_parse(const char *s, uint8_t *to, size_t max, size_t *ret_len) MUST_CHECK;
void iscsi_binary_print(const uint8_t *p, size_t n, char *to); /* 2n + 3 bytes */
