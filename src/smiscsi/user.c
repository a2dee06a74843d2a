/* SPDX-License-Identifier: Apache-2.0 */
/* smiscsi user: the server's own accounts, in its state folder (so: on the server's host). */
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "auth/users.h"
#include "smiscsi/cli.h"

static char *users_path(const struct cli *c)
{
	const char *state = cli_option(c, "state");

	return xasprintf("%s/users", state ? state : "/var/lib/smiscsi");
}

/* One line from the terminal without echo, or from a pipe. */
static bool read_password(const char *prompt, char *at, size_t n)
{
	struct termios was, quiet;
	bool tty = tcgetattr(STDIN_FILENO, &was) == 0, ok;

	if (tty) {
		quiet = was;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		(void)fputs(prompt, stderr);
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	ok = fgets(at, (int)n, stdin) != NULL;
	if (tty) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
		(void)fputc('\n', stderr);
	}
	if (ok)
		at[strcspn(at, "\r\n")] = '\0';
	return ok;
}

int cmd_user_add(struct cli *c)
{
	const char *role_text = cli_option(c, "role"), *login = cli_option(c, "login");
	bool certificate = login && streq(login, "certificate");
	char password[USERS_PASSWORD_MAX + 2] = "";
	auto_free char *path = users_path(c);
	enum users_role role = USERS_READ;
	struct err e = {0};
	int r;

	if (role_text && !users_role_parse(role_text, &role))
		return cli_failf("--role: '%s' is neither read nor admin", role_text);
	if (login && !certificate && !streq(login, "password"))
		return cli_failf("--login: '%s' is neither password nor certificate", login);
	if (!certificate && !read_password("password: ", password, sizeof(password)))
		return cli_failf("no password on standard input");
	r = users_set(path, c->args[0], role, certificate ? NULL : password, &e);
	explicit_bzero(password, sizeof(password));
	return r < 0 ? cli_fail(&e) : EXIT_DONE;
}

int cmd_user_remove(struct cli *c)
{
	auto_free char *path = users_path(c);
	struct err e = {0};

	return users_remove(path, c->args[0], &e) < 0 ? cli_fail(&e) : EXIT_DONE;
}

int cmd_user_passwd(struct cli *c)
{
	char password[USERS_PASSWORD_MAX + 2] = "";
	auto_free char *path = users_path(c);
	struct err e = {0};
	int r;

	if (!read_password("new password: ", password, sizeof(password)))
		return cli_failf("no password on standard input");
	r = users_passwd(path, c->args[0], password, &e);
	explicit_bzero(password, sizeof(password));
	return r < 0 ? cli_fail(&e) : EXIT_DONE;
}
