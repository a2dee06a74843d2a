/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stringprep.h>
#include <uninorm.h>

#include "base/str.h"
#include "san/object.h"

bool san_address_parse(const char *text, char ret[static SAN_ADDRESS_TEXT], uint8_t *ret_family)
{
	char bare[INET6_ADDRSTRLEN];
	const char *scope = strchr(text, '%');
	size_t n = scope ? (size_t)(scope - text) : strlen(text);
	struct in6_addr six;
	struct in_addr four;

	if (n == 0 || n >= sizeof(bare))
		return false;
	memcpy(bare, text, n);
	bare[n] = '\0';
	if (!scope && inet_pton(AF_INET, bare, &four) == 1) {
		*ret_family = 4;
		return inet_ntop(AF_INET, &four, ret, SAN_ADDRESS_TEXT) != NULL;
	}
	if (inet_pton(AF_INET6, bare, &six) != 1 || IN6_IS_ADDR_V4MAPPED(&six))
		return false;
	/* Only a link-local address means anything different per interface (RFC 4007 §6). */
	if (scope && (!IN6_IS_ADDR_LINKLOCAL(&six) || !scope[1] || strlen(scope + 1) > 15 ||
		      strpbrk(scope + 1, "%[]/")))
		return false;
	if (!inet_ntop(AF_INET6, &six, bare, sizeof(bare)))
		return false;
	(void)snprintf(ret, SAN_ADDRESS_TEXT, "%s%s", bare, scope ? scope : "");
	*ret_family = 6;
	return true;
}

bool san_address_is_loopback(const char *canonical)
{
	return streq(canonical, "::1") || str_starts(canonical, "127.");
}

bool san_portal_parse(const char *text, char ret_address[static SAN_ADDRESS_TEXT],
		      uint8_t *ret_family, uint32_t *ret_port)
{
	char address[SAN_ADDRESS_TEXT], canonical[SAN_ADDRESS_TEXT];
	bool brackets = text[0] == '[';
	const char *end, *port = NULL;
	uint64_t number = 0;
	uint8_t family;
	size_t n;

	if (brackets) {
		end = strchr(++text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		n = (size_t)(end - text);
		port = end[1] ? end + 2 : NULL;
	} else {
		end = strchr(text, ':');
		/* More than one colon is an IPv6 address, whose port needs brackets. */
		if (end && strchr(end + 1, ':'))
			end = NULL;
		n = end ? (size_t)(end - text) : strlen(text);
		port = end ? end + 1 : NULL;
	}
	if (n == 0 || n >= sizeof(address))
		return false;
	memcpy(address, text, n);
	address[n] = '\0';
	if (!san_address_parse(address, canonical, &family) || (brackets && family != 6))
		return false;
	if (port && !str_u64(port, strlen(port), UINT32_MAX, &number))
		return false;
	memcpy(ret_address, canonical, sizeof(canonical));
	*ret_family = family;
	*ret_port = (uint32_t)number;
	return true;
}

void san_portal_format(char ret[static SAN_PORTAL_TEXT], const char *address, uint8_t family,
		       uint16_t tcp_port)
{
	(void)snprintf(ret, SAN_PORTAL_TEXT, family == 6 ? "[%s]:%u" : "%s:%u", address, tcp_port);
}

static bool all_hex(const char *s)
{
	uint64_t v;
	size_t n = strlen(s);

	return n % 16 == 0 && str_hex64(s, 16, &v) && (n == 16 || str_hex64(s + 16, 16, &v));
}

/* "yyyy-mm.domain[:anything]" with the prefix already gone. */
static bool iqn_rest(const char *s)
{
	uint64_t year, month;

	if (strlen(s) < 9 || s[4] != '-' || s[7] != '.' || !str_u64(s, 4, 9999, &year) ||
	    !str_u64(s + 5, 2, 12, &month) || month == 0)
		return false;
	s += 8;
	if (*s == '.' || *s == ':')
		return false;
	for (; *s && *s != ':'; s++) {
		/* a domain name, reversed: letters, digits, hyphens, no empty label */
		if (!(*s >= 'a' && *s <= 'z') && !(*s >= '0' && *s <= '9') && *s != '-' &&
		    *s != '.')
			return false;
		if (*s == '.' && (s[1] == '.' || s[1] == ':' || !s[1]))
			return false;
	}
	return true;
}

/* Of characters that RFC 3722 leaves as they are. */
static bool is_plain(const char *s)
{
	while ((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == '-' || *s == '.' ||
	       *s == ':')
		s++;
	return !*s;
}

int san_iqn_check(const char *name, char ret[static SAN_IQN_MAX + 1], struct err *e)
{
	char norm[4 * SAN_IQN_MAX];
	size_t n = strlen(name);
	bool ok;

	if (n == 0 || n > SAN_IQN_MAX)
		return err_set(e, -EINVAL,
			       "an iSCSI name has 1 to %d bytes, this one has %zu (RFC 7143 4.2.7)",
			       SAN_IQN_MAX, n);
	memcpy(norm, name, n + 1);
	if (!is_plain(name) && (!str_utf8(name, n, NULL) ||
				stringprep_iscsi(norm, sizeof(norm)) != STRINGPREP_OK))
		return err_set(e, -EINVAL,
			       "iSCSI name '%.200s' holds characters that RFC 3722 prohibits; use "
			       "letters, digits, '-', '.' and ':'",
			       name);
	if (strlen(norm) > SAN_IQN_MAX)
		return err_set(e, -EINVAL,
			       "iSCSI name '%.100s...' has over %d bytes when normalised", norm,
			       SAN_IQN_MAX);
	if (str_starts(norm, "iqn."))
		ok = iqn_rest(norm + 4);
	else if (str_starts(norm, "eui."))
		ok = strlen(norm) == 20 && all_hex(norm + 4);
	else
		ok = str_starts(norm, "naa.") && (strlen(norm) == 20 || strlen(norm) == 36) &&
		     all_hex(norm + 4);
	if (!ok)
		return err_set(e, -EINVAL,
			       "'%.200s' is no iSCSI name; its form is iqn.yyyy-mm.reversed.domain"
			       "[:text], eui. and 16 or naa. and 16 or 32 hexadecimal digits "
			       "(RFC 7143 4.2.7)",
			       norm);
	memcpy(ret, norm, strlen(norm) + 1);
	return 0;
}

bool san_identifier_parse(const char *text, uint16_t *ret_tpgt)
{
	uint64_t v;

	if (strlen(text) != 12 || !str_hex64(text, 12, &v) || v > UINT16_MAX)
		return false;
	*ret_tpgt = (uint16_t)v;
	return true;
}

static bool is_ascii(const char *s)
{
	while ((unsigned char)*s - 1U < 0x7f)
		s++;
	return !*s;
}

static char *normalised(const char *s, uninorm_t form)
{
	size_t n = strlen(s), got = 0;
	uint8_t *u;
	char *r;

	if (!str_utf8(s, n, NULL))
		return NULL;
	if (is_ascii(s)) /* has one form only */
		return xstrdup(s);
	u = u8_normalize(form, (const uint8_t *)s, n, NULL, &got);
	if (!u)
		return n ? NULL : xstrdup("");
	r = xstrndup((const char *)u, got);
	free(u);
	return r;
}

char *san_nfc(const char *s)
{
	return normalised(s, UNINORM_NFC);
}

void san_fold(const char *s, char *to, size_t size)
{
	/* Compatibility decomposition leaves the base letters of accented ones. */
	auto_free char *d = normalised(s, UNINORM_NFKD);
	size_t n = 0;

	for (const char *p = d ? d : ""; *p && n + 1 < size; p++) {
		unsigned char c = (unsigned char)str_lower_c(*p);

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == ':')
			to[n++] = (char)c;
		else if (c < 0x80 && n && to[n - 1] != '-') /* blanks, '_', '-', the rest */
			to[n++] = '-';
	}
	while (n && (to[n - 1] == '-' || to[n - 1] == '.' || to[n - 1] == ':'))
		n--;
	to[n] = '\0';
}
