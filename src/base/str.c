/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

bool str_u64(const char *s, size_t n, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (n == 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned d = (unsigned)(unsigned char)s[i] - '0';

		if (d > 9 || v > (UINT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	if (v > max)
		return false;
	*ret = v;
	return true;
}

bool str_i64(const char *s, size_t n, int64_t min, int64_t max, int64_t *ret)
{
	bool neg = n > 0 && s[0] == '-';
	uint64_t u;
	int64_t v;

	if (!str_u64(s + neg, n - neg, neg ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX, &u))
		return false;
	v = neg ? (u == (uint64_t)INT64_MAX + 1 ? INT64_MIN : -(int64_t)u) : (int64_t)u;
	if (v < min || v > max)
		return false;
	*ret = v;
	return true;
}

bool str_hex64(const char *s, size_t n, uint64_t *ret)
{
	uint64_t v = 0;

	if (n == 0 || n > 16)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = str_lower_c(s[i]);

		if (c >= '0' && c <= '9')
			v = v << 4 | (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (unsigned)(c - 'a' + 10);
		else
			return false;
	}
	*ret = v;
	return true;
}

size_t str_put_u64(char at[static 20], uint64_t v)
{
	char tmp[20];
	size_t n = 0;

	do {
		tmp[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	for (size_t i = 0; i < n; i++)
		at[i] = tmp[n - 1 - i];
	return n;
}

int str_casecmp(const char *a, const char *b)
{
	for (;; a++, b++) {
		char x = str_lower_c(*a), y = str_lower_c(*b);

		if (x != y)
			return (unsigned char)x < (unsigned char)y ? -1 : 1;
		if (!x)
			return 0;
	}
}

bool str_caseeq(const char *a, const char *b)
{
	return str_casecmp(a, b) == 0;
}

bool str_caseeqn(const char *a, size_t na, const char *b)
{
	for (size_t i = 0; i < na; i++)
		if (!b[i] || str_lower_c(a[i]) != str_lower_c(b[i]))
			return false;
	return b[na] == '\0';
}

/* FNV-1a, finished with a multiply-shift so that the low bits are good too. */
static uint64_t finish(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93U;
	return h ^ h >> 32;
}

uint64_t str_casehash(const char *s, size_t n)
{
	uint64_t h = 0xcbf29ce484222325U;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)str_lower_c(s[i])) * 0x100000001b3U;
	return finish(h);
}

uint64_t str_hash(const void *p, size_t n)
{
	const unsigned char *s = p;
	uint64_t h = 0xcbf29ce484222325U;

	for (size_t i = 0; i < n; i++)
		h = (h ^ s[i]) * 0x100000001b3U;
	return finish(h);
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* One code point from s[*i]; false when ill-formed.  Advances *i. */
static bool utf8_next(const unsigned char *s, size_t n, size_t *i, uint32_t *ret)
{
	unsigned char c = s[(*i)++];
	uint32_t cp, min;
	int more;

	if (c < 0x80) {
		*ret = c;
		return true;
	}
	if (c >= 0xc2 && c <= 0xdf) {
		cp = c & 0x1fU, more = 1, min = 0x80;
	} else if (c >= 0xe0 && c <= 0xef) {
		cp = c & 0x0fU, more = 2, min = 0x800;
	} else if (c >= 0xf0 && c <= 0xf4) {
		cp = c & 0x07U, more = 3, min = 0x10000;
	} else {
		return false;
	}
	for (; more; more--) {
		if (*i >= n || (s[*i] & 0xc0) != 0x80)
			return false;
		cp = cp << 6 | (s[(*i)++] & 0x3fU);
	}
	*ret = cp;
	return cp >= min && cp <= 0x10ffff && !(cp >= 0xd800 && cp <= 0xdfff);
}

/* How many bytes from here on, in steps of eight, are ASCII without control characters: nearly
 * all text is, and needs no closer look. */
static size_t plain_run(const char *s, size_t n)
{
	const uint64_t high = 0x8080808080808080U, blanks = 0x2020202020202020U;
	size_t i = 0;

	for (uint64_t v; n - i >= 8; i += 8) {
		memcpy(&v, s + i, 8);
		/* a byte below 0x20 borrows into its highest bit */
		if ((v | (v - blanks)) & high)
			break;
	}
	return i;
}

bool str_utf8(const char *s, size_t n, size_t *ret_chars)
{
	size_t chars = plain_run(s, n);
	uint32_t cp;

	for (size_t i = chars; i < n; chars++)
		if (!utf8_next((const unsigned char *)s, n, &i, &cp))
			return false;
	if (ret_chars)
		*ret_chars = chars;
	return true;
}

bool str_utf8_xml(const char *s, size_t n)
{
	uint32_t cp;

	for (size_t i = plain_run(s, n); i < n;) {
		if (!utf8_next((const unsigned char *)s, n, &i, &cp))
			return false;
		if ((cp < 0x20 && cp != '\t' && cp != '\n' && cp != '\r') || cp == 0xfffe ||
		    cp == 0xffff)
			return false;
	}
	return true;
}

bool str_has_control(const char *s, size_t n)
{
	uint32_t cp;

	for (size_t i = 0; i < n;) {
		if (!utf8_next((const unsigned char *)s, n, &i, &cp))
			return true;
		if (cp < 0x20 || (cp >= 0x7f && cp <= 0x9f))
			return true;
	}
	return false;
}
