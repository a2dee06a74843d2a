/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/users.h"
#include "test.h"

static char dir[64];

static char *fresh(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/smiscsi-users-XXXXXX");
	return mkdtemp(dir) ? xasprintf("%s/users", dir) : NULL;
}

static void clean(const char *path)
{
	(void)unlink(path);
	(void)rmdir(dir);
}

TEST(an_account_is_let_in_with_its_role_and_nobody_else_is)
{
	auto_free char *path = fresh();
	enum users_role role = USERS_ADMIN;
	struct users *u = NULL;
	struct err e = {0};
	struct stat st;

	CHECK_INT(users_set(path, "ann", USERS_ADMIN, "correct horse", &e), 0);
	CHECK_INT(users_set(path, "bob", USERS_READ, "battery", &e), 0);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
	CHECK_INT(users_open(path, &u, &e), 0);
	CHECK_INT(users_check(u, "ann", "correct horse", "10.0.0.1", &role), USERS_GRANTED);
	CHECK_INT(role, USERS_ADMIN);
	CHECK_INT(users_check(u, "bob", "battery", "10.0.0.1", &role), USERS_GRANTED);
	CHECK_INT(role, USERS_READ);
	CHECK_INT(users_check(u, "bob", "correct horse", "10.0.0.1", &role), USERS_DENIED);
	CHECK_INT(role, USERS_NOBODY);
	CHECK_INT(users_check(u, "eve", "battery", "10.0.0.1", &role), USERS_DENIED);
	CHECK_INT(users_check(u, "", "", "10.0.0.1", &role), USERS_DENIED);
	users_close(u);
	clean(path);
}

TEST(a_removed_account_is_out_at_once_and_a_changed_password_counts_at_once)
{
	auto_free char *path = fresh();
	enum users_role role;
	struct users *u = NULL;
	struct err e = {0};

	CHECK_INT(users_set(path, "ann", USERS_ADMIN, "one", &e), 0);
	CHECK_INT(users_open(path, &u, &e), 0);
	CHECK_INT(users_check(u, "ann", "one", "p", &role), USERS_GRANTED);
	CHECK_INT(users_set(path, "ann", USERS_READ, "two", &e), 0);
	CHECK_INT(users_check(u, "ann", "one", "p", &role), USERS_DENIED);
	CHECK_INT(users_check(u, "ann", "two", "p", &role), USERS_GRANTED);
	CHECK_INT(role, USERS_READ);
	CHECK_INT(users_remove(path, "ann", &e), 0);
	CHECK_INT(users_check(u, "ann", "two", "p", &role), USERS_DENIED);
	CHECK_INT(users_remove(path, "ann", &e), -ENOENT);
	users_close(u);
	clean(path);
}

TEST(guessing_is_slowed_per_peer)
{
	auto_free char *path = fresh();
	enum users_role role;
	struct users *u = NULL;
	struct err e = {0};

	CHECK_INT(users_set(path, "ann", USERS_ADMIN, "secret", &e), 0);
	CHECK_INT(users_open(path, &u, &e), 0);
	for (int i = 0; i < 4; i++)
		CHECK_INT(users_check(u, "ann", "guess", "10.0.0.9", &role), USERS_DENIED);
	CHECK_INT(users_check(u, "ann", "secret", "10.0.0.9", &role), USERS_THROTTLED);
	CHECK_INT(role, USERS_NOBODY);
	CHECK_INT(users_check(u, "ann", "secret", "10.0.0.8", &role), USERS_GRANTED);
	users_close(u);
	clean(path);
}

TEST(a_file_that_is_not_ours_is_refused)
{
	auto_free char *path = fresh();
	struct users *u = NULL;
	struct err e = {0};
	FILE *f = fopen(path, "we");

	CHECK(f != NULL);
	(void)fchmod(fileno(f), 0600);
	(void)fputs("# fine\nann:root:x\n", f);
	(void)fclose(f);
	CHECK_INT(users_open(path, &u, &e), -EINVAL);
	CHECK(strstr(e.text, ":2:") != NULL);
	CHECK(chmod(path, 0644) == 0);
	CHECK_INT(users_open(path, &u, &e), -EPERM);
	CHECK_INT(users_set(path, "a:b", USERS_READ, "x", &e), -EINVAL);
	CHECK_INT(users_set(path, "ok", USERS_READ, "", &e), -EINVAL);
	clean(path);
}

TEST(what_one_peer_has_proved_lets_no_other_guess)
{
	auto_free char *path = fresh();
	enum users_role role;
	struct users *u = NULL;
	struct err e = {0};
	char guess[8];

	CHECK_INT(users_set(path, "ann", USERS_ADMIN, "secret", &e), 0);
	CHECK_INT(users_open(path, &u, &e), 0);
	CHECK_INT(users_recall(u, "ann", "secret", "10.0.0.1", &role), USERS_UNKNOWN);
	CHECK_INT(users_check(u, "ann", "secret", "10.0.0.1", &role), USERS_GRANTED);
	CHECK_INT(users_recall(u, "ann", "secret", "10.0.0.1", &role), USERS_GRANTED);
	CHECK_INT(users_recall(u, "ann", "secret", "10.0.0.2", &role), USERS_UNKNOWN);
	CHECK_INT(role, USERS_NOBODY);
	/* a guesser at the same address: put off, while ann stays in, until he tries too much */
	for (int i = 0; i < 4; i++)
		CHECK_INT(users_check(u, "ann", "wrong", "10.0.0.1", &role), USERS_DENIED);
	CHECK_INT(users_check(u, "ann", "secret", "10.0.0.1", &role), USERS_GRANTED);
	for (int i = 0; i < 20; i++) {
		(void)snprintf(guess, sizeof(guess), "g%d", i);
		CHECK_INT(users_check(u, "ann", guess, "10.0.0.1", &role), USERS_THROTTLED);
	}
	CHECK_INT(users_check(u, "ann", "secret", "10.0.0.1", &role), USERS_THROTTLED);
	CHECK_INT(role, USERS_NOBODY);
	users_close(u);
	clean(path);
}

TEST(all_of_an_ipv6_64_is_one_peer)
{
	static const char *const same[] = {"2001:db8::1", "2001:db8::2", "2001:db8::ffff:1",
					   "2001:db8:0:0:1::"};
	auto_free char *path = fresh();
	enum users_role role;
	struct users *u = NULL;
	struct err e = {0};

	CHECK_INT(users_set(path, "ann", USERS_ADMIN, "secret", &e), 0);
	CHECK_INT(users_open(path, &u, &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		CHECK_INT(users_check(u, "ann", "wrong", same[i], &role), USERS_DENIED);
	CHECK_INT(users_check(u, "ann", "secret", "2001:db8::77", &role), USERS_THROTTLED);
	CHECK_INT(users_check(u, "ann", "secret", "2001:db8:0:1::77", &role), USERS_GRANTED);
	users_close(u);
	clean(path);
}

TEST(no_password_opens_an_account_without_one)
{
	auto_free char *path = fresh();
	enum users_role role;
	struct users *u = NULL;
	struct err e = {0};

	CHECK_INT(users_set(path, "robot", USERS_READ, NULL, &e), 0);
	CHECK_INT(users_open(path, &u, &e), 0);
	CHECK_INT(users_check(u, "robot", "", "p", &role), USERS_DENIED);
	CHECK_INT(users_check(u, "robot", "!", "p", &role), USERS_DENIED);
	CHECK_INT(users_known(u, "robot", "p", &role), USERS_GRANTED);
	CHECK_INT(role, USERS_READ);
	CHECK_INT(users_known(u, "", "p", &role), USERS_DENIED);
	CHECK_INT(users_known(u, "root", "p", &role), USERS_DENIED);
	CHECK_INT(role, USERS_NOBODY);
	CHECK_INT(users_passwd(path, "robot", "now one", &e), 0);
	CHECK_INT(users_check(u, "robot", "now one", "p", &role), USERS_GRANTED);
	CHECK_INT(role, USERS_READ);
	CHECK_INT(users_set(path, "(local)", USERS_READ, "x", &e), -EINVAL);
	CHECK_INT(users_set(path, "x", USERS_NOBODY, "x", &e), -EINVAL);
	users_close(u);
	clean(path);
}
