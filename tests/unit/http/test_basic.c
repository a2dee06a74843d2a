/* SPDX-License-Identifier: Apache-2.0 */
#include "http/basic.h"
#include "test.h"

TEST(user_and_password_or_nothing)
{
	static const struct {
		const char *header, *user, *password; /* user NULL: refused */
	} rows[] = {
		{"Basic YW5uOnNlOmNyZXQ=", "ann", "se:cret"}, /* the first colon divides */
		{"bASIC   YW5uOnNlOmNyZXQ=", "ann", "se:cret"},
		{"Basic YW5uOnNlOmNyZXQ", "ann", "se:cret"}, /* some leave the padding out */
		{"Basic Og==", "", ""},
		{"Basic YTo=", "a", ""},
		{"Basic YTo==", NULL, NULL}, /* padding of another length */
		{"Basic YW5uOnNlOmNyZXQ= ", NULL, NULL},
		{"Basic YW5uOnNlOmNyZXQ=x", NULL, NULL},
		{"Basic YW5u", NULL, NULL}, /* no colon */
		{"Basic YToAYg==", NULL, NULL}, /* a NUL */
		{"Basic YTpi!", NULL, NULL},
		{"Basic YTpiY", NULL, NULL}, /* 1 digit of 4 */
		{"Basic ====", NULL, NULL},
		{"Basic ", NULL, NULL},
		{"Basic", NULL, NULL},
		{"BasicYTpi", NULL, NULL},
		{"", NULL, NULL},
		{"Bearer YTpi", NULL, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_free char *room = xmalloc(strlen(rows[i].header) + 1);
		const char *user = NULL, *password = NULL;

		CHECK_INT(http_basic_parse(rows[i].header, room, &user, &password),
			  rows[i].user != NULL);
		if (rows[i].user && user) {
			CHECK_STR(user, rows[i].user);
			CHECK_STR(password, rows[i].password);
		}
	}
}
