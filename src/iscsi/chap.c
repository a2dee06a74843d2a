/* SPDX-License-Identifier: Apache-2.0 */
#include <nettle/base64.h>
#include <nettle/md5.h>
#include <nettle/memops.h>
#include <nettle/nettle-meta.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <nettle/sha3.h>

#include "base/str.h"
#include "iscsi/chap.h"

static const struct nettle_hash *hash_of(uint64_t algorithm)
{
	switch (algorithm) {
	case ISCSI_CHAP_MD5:
		return &nettle_md5;
	case ISCSI_CHAP_SHA1:
		return &nettle_sha1;
	case ISCSI_CHAP_SHA256:
		return &nettle_sha256;
	case ISCSI_CHAP_SHA3_256:
		return &nettle_sha3_256;
	default:
		return NULL;
	}
}

enum iscsi_chap_algorithm iscsi_chap_choose(const char *list)
{
	for (;;) {
		size_t n = strcspn(list, ",");
		uint64_t a;

		if (str_u64(list, n, 255, &a) && hash_of(a))
			return (enum iscsi_chap_algorithm)a;
		if (list[n] == '\0')
			return ISCSI_CHAP_NONE;
		list += n + 1;
	}
}

size_t iscsi_chap_response(enum iscsi_chap_algorithm a, uint8_t id, const char *secret,
			   const uint8_t *challenge, size_t challenge_len,
			   uint8_t ret_response[static ISCSI_CHAP_HASH_MAX])
{
	const struct nettle_hash *h = hash_of(a);
	union {
		struct md5_ctx md5;
		struct sha1_ctx sha1;
		struct sha256_ctx sha256;
		struct sha3_256_ctx sha3_256;
	} c;

	if (!h)
		abort(); /* the caller has it from iscsi_chap_choose */
	h->init(&c);
	h->update(&c, 1, &id);
	h->update(&c, strlen(secret), (const uint8_t *)secret);
	h->update(&c, challenge_len, challenge);
	h->digest(&c, h->digest_size, ret_response);
	explicit_bzero(&c, sizeof(c));
	return h->digest_size;
}

bool iscsi_chap_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
	return memeql_sec(a, b, n) != 0;
}

static bool parse_hex(const char *s, uint8_t *to, size_t max, size_t *ret_len)
{
	size_t n = strlen(s), at = 0;
	uint64_t v;

	if (n == 0 || (n + 1) / 2 > max)
		return false;
	if (n % 2 == 1) { /* a leading zero was left out */
		if (!str_hex64(s, 1, &v))
			return false;
		to[at++] = (uint8_t)v;
		s++;
	}
	for (; *s; s += 2) {
		if (!str_hex64(s, 2, &v))
			return false;
		to[at++] = (uint8_t)v;
	}
	*ret_len = at;
	return true;
}

bool iscsi_binary_parse(const char *s, uint8_t *to, size_t max, size_t *ret_len)
{
	struct base64_decode_ctx c;
	size_t n = strlen(s);

	if (n < 3 || s[0] != '0')
		return false;
	if (str_lower_c(s[1]) == 'x')
		return parse_hex(s + 2, to, max, ret_len);
	/* the decoder may write up to its bound, padding or not */
	if (str_lower_c(s[1]) != 'b' || BASE64_DECODE_LENGTH(n - 2) > max)
		return false;
	base64_decode_init(&c);
	*ret_len = max;
	return base64_decode_update(&c, ret_len, to, n - 2, s + 2) != 0 &&
	       base64_decode_final(&c) != 0 && *ret_len > 0;
}

void iscsi_binary_print(const uint8_t *p, size_t n, char *to)
{
	static const char digits[] = "0123456789abcdef";

	*to++ = '0';
	*to++ = 'x';
	for (size_t i = 0; i < n; i++) {
		*to++ = digits[p[i] >> 4];
		*to++ = digits[p[i] & 15];
	}
	*to = '\0';
}
