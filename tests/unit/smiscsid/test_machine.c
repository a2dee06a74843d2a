/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "smiscsid/machine.h"
#include "test.h"

static void put(const char *dir, const char *name, const char *text, size_t n)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "w");

	CHECK(f && fwrite(text, 1, n, f) == n && fclose(f) == 0);
}

TEST(the_firmware_says_who_made_the_machine)
{
	char dir[] = "/tmp/smiscsi-dmi-XXXXXX", cmd[64];
	struct machine m;
	static const struct {
		const char *said, *want;
	} rows[] = {
		{"Example Inc.\n",           "Example Inc."     },
		{"  \n",                     ""                 },
		{"To Be Filled By O.E.M.\n", ""                 },
		{"Default string\n",         ""                 },
		{"System manufacturer",      ""                 },
		{"\x01\x02 broken\n",        ""                 },
		{"caf\xe9\n",                ""                 }, /* no UTF-8 */
		{"None of the above\n",      "None of the above"},
	};

	CHECK(mkdtemp(dir) != NULL);
	machine_read(dir, &m);
	CHECK_STR(m.manufacturer, "");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		put(dir, "sys_vendor", rows[i].said, strlen(rows[i].said));
		put(dir, "product_name", "A 1\n", 4);
		machine_read(dir, &m);
		CHECK_STR(m.manufacturer, rows[i].want);
		CHECK_STR(m.model, "A 1");
		CHECK_STR(m.serial, "");
	}
	char long_text[4 * MACHINE_TEXT_MAX];

	memset(long_text, 'x', sizeof(long_text));
	put(dir, "product_serial", long_text, sizeof(long_text));
	machine_read(dir, &m);
	CHECK_INT(strlen(m.serial), MACHINE_TEXT_MAX - 1);
	machine_read("/nowhere/at/all", &m);
	CHECK_STR(m.model, "");
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	CHECK_INT(system(cmd), 0);
}
