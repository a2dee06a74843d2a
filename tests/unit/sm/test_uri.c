/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "sm/uri.h"
#include "test.h"

TEST(a_provider_has_one_canonical_name)
{
	/* clang-format off */
	static const struct {
		const char *given, *text, *host;
	} rows[] = {
		{"array1", "https://array1:5989", "array1"},
		{"Array1:5989", "https://array1:5989", "array1"},
		{"https://ARRAY1.example.org/cimom", "https://array1.example.org:5989",
		 "array1.example.org"},
		{"HTTP://array1", "http://array1:5988", "array1"},
		{"http://array1:80/", "http://array1:80", "array1"},
		{"192.0.2.1:15989", "https://192.0.2.1:15989", "192.0.2.1"},
		{"https://[2001:DB8::1]", "https://[2001:db8::1]:5989", "2001:db8::1"},
		{"http://[::1]:5988/cimom?x#y", "http://[::1]:5988", "::1"},
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sm_uri u = {.text = ""}, again;
		struct err e = {0};

		CHECK_INT(sm_uri_parse(rows[i].given, &u, &e), 0);
		CHECK_STR(u.text, rows[i].text);
		CHECK_STR(u.host, rows[i].host);
		CHECK_INT(sm_uri_parse(u.text, &again, &e), 0);
		CHECK_STR(again.id, u.id);
		CHECK_INT(strlen(u.id), 16);
	}
}

TEST(a_provider_has_an_address_besides_its_name)
{
	static const struct {
		const char *uri, *address, *want;
	} rows[] = {
		{"https://array1",        "10.1.2.3",    "https://10.1.2.3:5989"     },
		{"http://array1:80",      "2001:db8::1", "http://[2001:db8::1]:80"   },
		{"http://10.0.0.1",       "",            "http://10.0.0.1:5988"      },
		{"https://[2001:db8::2]", "",            "https://[2001:db8::2]:5989"},
		{"https://array1",        "",            ""                          },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[SM_URI_MAX];
		struct sm_uri u;

		CHECK_INT(sm_uri_parse(rows[i].uri, &u, NULL), 0);
		CHECK_INT(sm_uri_by_address(&u, rows[i].address, text), *rows[i].want != 0);
		CHECK_STR(text, rows[i].want);
	}
}

TEST(what_is_no_address_is_refused_with_a_reason_that_tells_no_secret)
{
	static const char *const rows[] = {
		"",
		"http://",
		"ftp://array1",
		"array1:",
		"array1:0",
		"array1:65536",
		"array1:5989x",
		"[::1",
		"[::1]x",
		"http://[]",
		"a b",
		"array1\n",
		"array/../1:x@y",
		"http://u:pass@a",
		"https://pass@array1",
		"array\xc3\xa9",
		"http://array1:-1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sm_uri u;
		struct err e = {0};
		int r = sm_uri_parse(rows[i], &u, &e);

		if (i == 12) { /* what follows the host is a path */
			CHECK_INT(r, 0);
			continue;
		}
		CHECK_INT(r, -EINVAL);
		CHECK(e.text[0] != '\0');
		CHECK(strstr(e.text, "pass@") == NULL);
	}
}
