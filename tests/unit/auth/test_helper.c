/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "auth/helper.h"
#include "base/clock.h"
#include "test.h"

TEST(a_request_is_read_as_it_was_written)
{
	char packet[HELPER_REQUEST_MAX], longest[USERS_PASSWORD_MAX + 2];
	struct helper_request rq;
	size_t n = helper_pack("ann", "correct horse", "192.0.2.1", packet);

	CHECK(n > 0 && helper_unpack(packet, n, &rq));
	CHECK_STR(rq.user, "ann");
	CHECK_STR(rq.password, "correct horse");
	CHECK_STR(rq.peer, "192.0.2.1");
	for (size_t i = 0; i < n; i++)
		CHECK(!helper_unpack(packet, i, &rq));
	CHECK_STR(rq.password, "");
	memset(longest, 'x', sizeof(longest));
	longest[USERS_PASSWORD_MAX + 1] = '\0';
	CHECK_INT(helper_pack("ann", longest, "p", packet), 0);
	longest[USERS_PASSWORD_MAX] = '\0';
	longest[USERS_NAME_MAX] = '\0';
	CHECK(helper_pack(longest, longest, longest, packet) > 0);
	CHECK_INT(helper_pack("ann", "", "p", packet), 0);
	CHECK_INT(helper_pack("", "x", "p", packet), 0);
	CHECK_INT(helper_pack("-x", "x", "p", packet), 0);
	CHECK_INT(helper_pack("a b", "x", "p", packet), 0);
	CHECK_INT(helper_pack("ann", "x", "a\nb", packet), 0);
}

TEST(whatever_is_no_answer_is_an_error)
{
	for (int a = HELPER_NO; a <= HELPER_ADMIN; a++) {
		const char *text = helper_answer_text((enum helper_answer)a);

		CHECK_INT(helper_answer_parse(text, strlen(text)), a);
		CHECK_INT(helper_answer_parse(text, strlen(text) + 1), HELPER_ERROR);
		CHECK_INT(helper_answer_parse(text, strlen(text) - 1), HELPER_ERROR);
	}
	CHECK_INT(helper_answer_parse("", 0), HELPER_ERROR);
	CHECK_INT((enum helper_answer){0}, HELPER_NO);
}

/* ---- a helper that says what it is told to ---- */

struct stub {
	char dir[64], *path, *users;
	int fd;
	const char *say; /* NULL: nothing, and keeps the connection; "": closes */
	unsigned asked;
	pthread_t thread;
};

static void *answer(void *arg)
{
	struct stub *s = arg;
	int fd, kept = -1;

	while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
		char packet[HELPER_REQUEST_MAX];
		struct helper_request rq;
		ssize_t n = recv(fd, packet, sizeof(packet), 0);

		__atomic_add_fetch(&s->asked, 1, __ATOMIC_RELAXED);
		CHECK(n > 0 && helper_unpack(packet, (size_t)n, &rq));
		if (s->say && *s->say)
			CHECK(send(fd, s->say, strlen(s->say), MSG_NOSIGNAL) > 0);
		if (s->say)
			(void)close(fd);
		else
			kept = fd;
	}
	if (kept >= 0)
		(void)close(kept);
	return NULL;
}

static void stub_start(struct stub *s, const char *say)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	*s = (struct stub){.dir = "/tmp/smiscsi-helper-XXXXXX", .say = say};
	CHECK(mkdtemp(s->dir) != NULL);
	s->path = xasprintf("%s/s", s->dir);
	s->users = xasprintf("%s/users", s->dir);
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", s->path);
	s->fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	CHECK(bind(s->fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(s->fd, 8) == 0);
	CHECK(pthread_create(&s->thread, NULL, answer, s) == 0);
}

static void stub_stop(struct stub *s)
{
	(void)shutdown(s->fd, SHUT_RDWR);
	(void)pthread_join(s->thread, NULL);
	(void)close(s->fd);
	(void)unlink(s->path);
	(void)unlink(s->users);
	(void)rmdir(s->dir);
	free(s->path);
	free(s->users);
}

TEST(its_answer_or_why_there_is_none)
{
	static const struct {
		const char *say;
		enum helper_answer want;
	} rows[] = {
		{"admin",                HELPER_ADMIN  },
		{"read",                 HELPER_READ   },
		{"no",                   HELPER_NO     },
		{"expired",              HELPER_EXPIRED},
		{"root",                 HELPER_ERROR  },
		{"",		     HELPER_ERROR  },
		{"admin and a lot more", HELPER_ERROR  }
        };
	uint64_t began = clock_mono_ns();
	struct err e = {0};
	struct stub s;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		stub_start(&s, rows[i].say);
		CHECK_INT(helper_ask(s.path, "ann", "x", "p", 10, &e), rows[i].want);
		CHECK_INT(helper_ask(s.path, "a:b", "x", "p", 10, &e), HELPER_NO);
		CHECK_INT(__atomic_load_n(&s.asked, __ATOMIC_RELAXED), 1);
		stub_stop(&s);
	}
	CHECK(clock_mono_ns() - began < 10000000000U);
	CHECK_INT(helper_ask("/nonexistent/socket", "ann", "x", "p", 10, &e), HELPER_ERROR);
	CHECK_INT(e.code, -ENOENT);
	stub_start(&s, NULL);
	CHECK_INT(helper_ask(s.path, "ann", "x", "p", 1, &e), HELPER_ERROR);
	CHECK_INT(e.code, -ETIMEDOUT);
	stub_stop(&s);
}

TEST(names_that_the_file_has_are_not_asked_about)
{
	enum users_role role;
	struct users *u = NULL;
	struct err e = {0};
	struct stub s;

	stub_start(&s, "admin");
	CHECK_INT(users_set(s.users, "ann", USERS_READ, "file", &e), 0);
	CHECK_INT(users_set(s.users, "cert", USERS_READ, NULL, &e), 0);
	CHECK_INT(users_open(s.users, &u, &e), 0);
	CHECK(!users_is_elsewhere(u, "bob"));
	CHECK_INT(users_check(u, "bob", "host", "1", &role), USERS_DENIED);
	users_use_pam(u, s.path);
	CHECK(users_is_elsewhere(u, "bob") && !users_is_elsewhere(u, "ann"));
	CHECK_INT(users_check(u, "ann", "host", "2", &role), USERS_DENIED);
	CHECK_INT(users_check(u, "cert", "host", "2", &role), USERS_DENIED);
	CHECK_INT(__atomic_load_n(&s.asked, __ATOMIC_RELAXED), 0);
	CHECK_INT(users_check(u, "bob", "host", "3", &role), USERS_GRANTED);
	CHECK_INT(role, USERS_ADMIN);
	CHECK_INT(users_recall(u, "bob", "host", "3", &role), USERS_GRANTED);
	CHECK_INT(users_recall(u, "bob", "host", "4", &role), USERS_UNKNOWN);
	CHECK_INT(__atomic_load_n(&s.asked, __ATOMIC_RELAXED), 1);
	/* an account of that name in the file ends it at once */
	CHECK_INT(users_set(s.users, "bob", USERS_READ, "file", &e), 0);
	CHECK_INT(users_check(u, "bob", "host", "3", &role), USERS_DENIED);
	CHECK_INT(__atomic_load_n(&s.asked, __ATOMIC_RELAXED), 1);
	/* certificates open accounts of the file only */
	CHECK_INT(users_known(u, "carl", "5", &role), USERS_DENIED);
	/* a file that can't be read lets nobody in, whatever PAM says */
	CHECK(truncate(s.users, 0) == 0);
	CHECK_INT(users_set(s.users, "x", USERS_READ, "y", &e), 0);
	FILE *f = fopen(s.users, "ae");
	CHECK(f && fputs("nonsense\n", f) > 0 && fclose(f) == 0);
	CHECK_INT(users_check(u, "carl", "host", "6", &role), USERS_DENIED);
	CHECK_INT(role, USERS_NOBODY);
	users_close(u);
	stub_stop(&s);
}

TEST(no_answer_is_no_failure_of_the_peer)
{
	enum users_role role = USERS_ADMIN;
	struct users *u = NULL;
	struct err e = {0};
	struct stub s;

	stub_start(&s, "error");
	CHECK_INT(users_open(s.users, &u, &e), 0);
	users_use_pam(u, s.path);
	for (int i = 0; i < 10; i++)
		CHECK_INT(users_check(u, "bob", "x", "p", &role), USERS_UNAVAILABLE);
	CHECK_INT(role, USERS_NOBODY);
	users_close(u);
	stub_stop(&s);
}
