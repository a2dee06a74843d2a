/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "smiscsid/options.h"
#include "test.h"

static int read_args(struct options *o, struct err *e, const char *const *args)
{
	char *argv[32] = {NULL};
	int n = 0, r;

	argv[n++] = xstrdup("smiscsid");
	for (; args[n - 1]; n++)
		argv[n] = xstrdup(args[n - 1]);
	r = options_read(o, n, argv, e);
	while (n > 0)
		free(argv[--n]);
	return r;
}

#define ARGS(...) (const char *const[]){__VA_ARGS__, NULL}

TEST(what_is_wrong_is_said_with_the_option_and_what_is_allowed)
{
	static const struct {
		const char *a, *b, *says;
	} t[] = {
		{"--portl", "1", "unknown option '--portl'"},
		{"stray", NULL, "unknown argument 'stray'"},
		{"--state", NULL, "option --state needs a value"},
		{"--http", "127.0.0.1", "names no port"},
		{"--http", "localhost:80", "numeric address"},
		{"--http", "127.0.0.1:0", "no port between 1 and 65535"},
		{"--http", "127.0.0.1:65536", "no port between 1 and 65535"},
		{"--http", "[::1:80", "numeric address"},
		{"--portal", "10.0.0.1:x", "no port between"},
		{"--engine", "lioo", "not one of"},
		{"--device", "sdb", "not an absolute path"},
		{"--device", "/dev/a,b", "without commas"},
		{"--device", "/dev/a b", "without commas"},
		{"--device", "/dev/\x1b", "not an absolute path"},
		{"--logout-time", "3601", "not a number from 0 to 3600"},
		{"--default-portals", "maybe", "neither yes nor no"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct options o;
		struct err e = {0};

		CHECK_INT(read_args(&o, &e, ARGS(t[i].a, t[i].b)), -EINVAL);
		CHECK(strstr(e.text, t[i].says) != NULL);
		if (!strstr(e.text, t[i].says))
			printf("# %s %s: %s\n", t[i].a, t[i].b ? t[i].b : "", e.text);
		options_done(&o);
	}
}

TEST(addresses_become_canonical_and_lists_keep_their_order)
{
	struct options o;
	struct err e = {0};

	CHECK_INT(read_args(&o, &e,
			    ARGS("--portal", "127.0.0.1:3261", "--portal=[::0001]:3262", "--portal",
				 "fe80::1%lo", "--portal", "10.1.2.3", "--no-auth", "--device",
				 "/dev/b", "--device", "/dev/a", "--device=/dev/b")),
		  0);
	CHECK_INT(o.device.n, 2);
	CHECK_STR(o.device.v[0], "/dev/b");
	CHECK_STR(o.device.v[1], "/dev/a");
	CHECK_INT(o.portal.n, 4);
	CHECK_STR(o.portal.v[0].address, "127.0.0.1");
	CHECK_INT(o.portal.v[0].port, 3261);
	CHECK(o.portal.v[0].loopback);
	CHECK_STR(o.portal.v[1].address, "::1");
	CHECK_INT(o.portal.v[1].port, 3262);
	CHECK(o.portal.v[1].loopback);
	CHECK_STR(o.portal.v[2].address, "fe80::1%lo");
	CHECK_INT(o.portal.v[2].port, 0);
	CHECK(!o.portal.v[3].loopback);
	CHECK(o.no_auth);
	options_done(&o);
}

TEST(the_command_line_wins_over_the_file)
{
	char path[] = "/tmp/smiscsi-options-XXXXXX";
	int fd = mkstemp(path);
	static const char text[] = "# comment\nstate = /from/file\n portal=127.0.0.9:1\n"
				   "portal=127.0.0.8:2\nlogout-time = 7 \n";
	struct options o;
	struct err e = {0};

	CHECK(fd >= 0 && write(fd, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1);
	CHECK_INT(read_args(&o, &e, ARGS("--portal", "127.0.0.1", "--config", path)), 0);
	CHECK_STR(o.state, "/from/file");
	CHECK_INT(o.logout_time, 7);
	CHECK_INT(o.portal.n, 1);
	CHECK_STR(o.portal.v[0].address, "127.0.0.1");
	options_done(&o);
	CHECK(write(fd, "nonsense\n", 9) == 9);
	CHECK_INT(read_args(&o, &e, ARGS("--config", path)), -EINVAL);
	CHECK(strstr(e.text, ":6: 'nonsense'") != NULL);
	options_done(&o);
	(void)close(fd);
	(void)unlink(path);
}
