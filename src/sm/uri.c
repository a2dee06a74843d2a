/* SPDX-License-Identifier: Apache-2.0 */
#include "sm/uri.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "base/str.h"

enum { PORT_HTTP = 5988, PORT_HTTPS = 5989 };

static bool host_char(char c, bool bracketed)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
	       c == '_' || (bracketed && (c == ':' || c == '%'));
}

int sm_uri_parse(const char *s, struct sm_uri *ret, struct err *e)
{
	struct sm_uri u = {.tls = true};
	const char *scheme = strstr(s, "://"), *end;
	size_t n;

	if (scheme) {
		if (str_caseeqn(s, (size_t)(scheme - s), "http"))
			u.tls = false;
		else if (!str_caseeqn(s, (size_t)(scheme - s), "https"))
			return err_set(e, -EINVAL,
				       "only http and https providers can be discovered");
		s = scheme + 3;
	}
	u.port = u.tls ? PORT_HTTPS : PORT_HTTP;
	n = strcspn(s, "/?#");
	if (memchr(s, '@', n))
		return err_set(e, -EINVAL,
			       "credentials don't belong in the provider's URL: give "
			       "them as username and password");
	bool bracketed = *s == '[';

	if (bracketed) {
		end = memchr(s, ']', n);
		if (!end)
			return err_set(e, -EINVAL, "the provider's address lacks its ']'");
		s++;
	} else {
		end = memchr(s, ':', n);
		if (!end)
			end = s + n;
	}
	size_t len = (size_t)(end - s), rest = n - len - 2 * bracketed;
	const char *port = end + bracketed;

	if (!len || len >= sizeof(u.host))
		return err_set(e, -EINVAL, "the provider's host name is %s",
			       len ? "too long" : "empty");
	for (size_t i = 0; i < len; i++) {
		u.host[i] = str_lower_c(s[i]);
		if (!host_char(u.host[i], bracketed))
			return err_set(e, -EINVAL,
				       "the provider's host name has a character that "
				       "host names don't have");
	}
	if (rest) {
		uint64_t p;

		if (*port != ':' || !str_u64(port + 1, rest - 1, UINT16_MAX, &p) || !p)
			return err_set(e, -EINVAL, "the provider's port isn't between 1 and 65535");
		u.port = (uint16_t)p;
	}
	snprintf(u.text, sizeof(u.text), bracketed ? "%s://[%s]:%u" : "%s://%s:%u",
		 u.tls ? "https" : "http", u.host, u.port);
	snprintf(u.id, sizeof(u.id), "%016llx",
		 (unsigned long long)str_hash(u.text, strlen(u.text)));
	*ret = u;
	return 0;
}

bool sm_uri_by_address(const struct sm_uri *u, const char *address, char ret[static SM_URI_MAX])
{
	struct in6_addr any;
	const char *a = *address ? address : u->host;

	ret[0] = '\0';
	if (inet_pton(AF_INET, a, &any) != 1 && inet_pton(AF_INET6, a, &any) != 1)
		return false;
	snprintf(ret, SM_URI_MAX, strchr(a, ':') ? "%s://[%s]:%u" : "%s://%s:%u",
		 u->tls ? "https" : "http", a, u->port);
	return true;
}
