/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "auth/helper.h"
#include "base/clock.h"
#include "base/str.h"

static const char magic[] = "smiscsi-pam 1";

static const char *const answers[] = {
	[HELPER_NO] = "no",     [HELPER_EXPIRED] = "expired", [HELPER_ERROR] = "error",
	[HELPER_READ] = "read", [HELPER_ADMIN] = "admin",
};

const char *helper_answer_text(enum helper_answer a)
{
	return answers[a];
}

enum helper_answer helper_answer_parse(const void *packet, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
		if (n == strlen(answers[i]) && memcmp(packet, answers[i], n) == 0)
			return (enum helper_answer)i;
	return HELPER_ERROR;
}

/* What PAM's modules may be given: they hand it to syslog, to scripts, to other hosts. */
static bool may_be_asked(const char *user, const char *password, const char *peer)
{
	return users_name_ok(user) && *user != '-' && *password &&
	       strlen(password) <= USERS_PASSWORD_MAX && strlen(peer) <= HELPER_PEER_MAX &&
	       str_utf8(peer, strlen(peer), NULL) && !str_has_control(peer, strlen(peer));
}

size_t helper_pack(const char *user, const char *password, const char *peer,
		   char ret[static HELPER_REQUEST_MAX])
{
	const char *const parts[] = {magic, user, password, peer};
	size_t at = 0;

	if (!may_be_asked(user, password, peer))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		size_t n = strlen(parts[i]) + 1;

		memcpy(ret + at, parts[i], n);
		at += n;
	}
	return at;
}

/* The next text that ends with NUL; false: it does not, or is too long. */
static bool next_text(const char **at, const char *end, char *ret, size_t max)
{
	const char *nul = memchr(*at, '\0', (size_t)(end - *at));
	size_t n = nul ? (size_t)(nul - *at) + 1 : 0;

	if (n == 0 || n > max)
		return false;
	memcpy(ret, *at, n);
	*at += n;
	return true;
}

bool helper_unpack(const void *packet, size_t n, struct helper_request *ret)
{
	const char *at = packet, *end = at + n;
	char begin[sizeof(magic)];

	*ret = (struct helper_request){0};
	if (next_text(&at, end, begin, sizeof(begin)) && streq(begin, magic) &&
	    next_text(&at, end, ret->user, sizeof(ret->user)) &&
	    next_text(&at, end, ret->password, sizeof(ret->password)) &&
	    next_text(&at, end, ret->peer, sizeof(ret->peer)) && at == end &&
	    may_be_asked(ret->user, ret->password, ret->peer))
		return true;
	explicit_bzero(ret, sizeof(*ret));
	return false;
}

static bool wait_until(int fd, short what, uint64_t deadline)
{
	uint64_t now;

	while ((now = clock_mono_ns()) < deadline) {
		struct pollfd p = {.fd = fd, .events = what};
		int r = poll(&p, 1, (int)((deadline - now) / 1000000 + 1));

		if (r > 0)
			return true;
		if (r < 0 && errno != EINTR)
			return false;
	}
	errno = ETIMEDOUT;
	return false;
}

/* Non-blocking connect says EAGAIN while the listener's queue is full; poll can't wait for that. */
static bool connect_until(int fd, const struct sockaddr_un *to, uint64_t deadline)
{
	while (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return false;
		if (clock_mono_ns() >= deadline) {
			errno = ETIMEDOUT;
			return false;
		}
		(void)poll(NULL, 0, 20);
	}
	return true;
}

enum helper_answer helper_ask(const char *path, const char *user, const char *password,
			      const char *peer, unsigned seconds, struct err *e)
{
	auto_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	uint64_t deadline = clock_mono_ns() + (uint64_t)seconds * 1000000000U;
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	char request[HELPER_REQUEST_MAX], answer[HELPER_ANSWER_MAX];
	size_t n = helper_pack(user, password, peer, request);
	ssize_t got = -1;

	if (n == 0)
		return HELPER_NO;
	if (strlen(path) >= sizeof(to.sun_path)) {
		explicit_bzero(request, sizeof(request));
		(void)err_set(e, -ENAMETOOLONG, "the socket's name %s is too long", path);
		return HELPER_ERROR;
	}
	memcpy(to.sun_path, path, strlen(path) + 1);
	if (fd >= 0 && connect_until(fd, &to, deadline) && wait_until(fd, POLLOUT, deadline) &&
	    send(fd, request, n, MSG_NOSIGNAL) == (ssize_t)n && wait_until(fd, POLLIN, deadline))
		got = recv(fd, answer, sizeof(answer), 0);
	explicit_bzero(request, sizeof(request));
	if (got > 0)
		return helper_answer_parse(answer, (size_t)got);
	if (got == 0)
		(void)err_set(e, -EPROTO, "%s: closed without an answer", path);
	else
		(void)err_sys(e, "%s", path);
	return HELPER_ERROR;
}
