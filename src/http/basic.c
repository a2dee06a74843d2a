/* SPDX-License-Identifier: Apache-2.0 */
#include "http/basic.h"
#include "base/str.h"

static bool base64(const char *s, char *at, size_t *ret_len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = 0, len = strcspn(s, "="), pad = strspn(s + len, "=");
	unsigned bits = 0, have = 0;

	/* clients that leave the padding out are understood; what is there has to be right */
	if (s[len + pad] || len % 4 == 1 || (pad && (len + pad) % 4) || pad > 2)
		return false;
	for (const char *end = s + len; s < end; s++) {
		const char *d = strchr(digits, *s);

		if (!d)
			return false;
		bits = bits << 6 | (unsigned)(d - digits);
		have += 6;
		if (have >= 8) {
			have -= 8;
			at[n++] = (char)(bits >> have & 0xff);
		}
	}
	at[n] = '\0';
	*ret_len = n;
	return true;
}

bool http_basic_parse(const char *header, char *room, const char **ret_user,
		      const char **ret_password)
{
	size_t n = strlen(header);
	char *colon;

	if (n < 6 || !str_caseeqn(header, 6, "basic "))
		return false;
	header += 6 + strspn(header + 6, " ");
	if (!base64(header, room, &n) || memchr(room, '\0', n) || !(colon = strchr(room, ':')))
		return false;
	*colon = '\0';
	*ret_user = room;
	*ret_password = colon + 1;
	return true;
}
