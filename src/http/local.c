/* SPDX-License-Identifier: Apache-2.0 */
/* local.c - a call by way of a Unix socket: no names to resolve, no TLS, no proxies. */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "http/reply.h"
#include "http/transport.h"

enum {
	RECEIVE_BYTES = 64 * 1024,
	HEAD_MAX = 64 * 1024,
	LOOK_MS = 1000, /* at the abandon flag */
	CONNECT_MS = 10000,
	TIMEOUT_MS = 60000,
};

struct http_local {
	struct sockaddr_un addr;
	unsigned connect_ms;
	int fd;     /* -1: not connected */
	char *same; /* headers that every call has */
	char *target;
	struct buf head;
	struct http_reply reply;
	char *in; /* RECEIVE_BYTES */
};

/* "Authorization: Basic ...\r\n", or nothing. */
static char *authorization(const struct http_client_config *cfg)
{
	gnutls_datum_t in, out = {0};
	char *ret;

	if (!cfg->user)
		return xstrdup("");

	auto_free char *plain = xasprintf("%s:%s", cfg->user, cfg->password ? cfg->password : "");

	in = (gnutls_datum_t){(unsigned char *)plain, (unsigned)strlen(plain)};
	if (gnutls_base64_encode2(&in, &out) < 0)
		abort(); /* out of memory */
	ret = xasprintf("Authorization: Basic %.*s\r\n", (int)out.size, (char *)out.data);
	gnutls_free(out.data);
	return ret;
}

int http_local_new(const struct http_client_config *cfg, struct http_local **ret, struct err *e)
{
	const char *host = strstr(cfg->url, "://") + 3, *path = strchr(host, '/');
	auto_free char *auth = authorization(cfg);
	struct http_local *c;

	if (strlen(cfg->unix_path) >= sizeof(c->addr.sun_path))
		return err_set(e, -EINVAL, "the name of the socket %.200s is too long",
			       cfg->unix_path);
	c = xcalloc(1, sizeof(*c));
	c->addr.sun_family = AF_UNIX;
	(void)snprintf(c->addr.sun_path, sizeof(c->addr.sun_path), "%s", cfg->unix_path);
	c->connect_ms = cfg->connect_ms ? cfg->connect_ms : CONNECT_MS;
	c->fd = -1;
	c->in = xmalloc(RECEIVE_BYTES);
	c->head = buf_of(HEAD_MAX);
	c->target = xstrdup(path ? path : "/");
	c->same = xasprintf("Host: %.*s\r\nUser-Agent: smiscsi/" SMISCSI_VERSION "\r\n%s",
			    (int)(path ? (size_t)(path - host) : strlen(host)), host, auth);
	*ret = c;
	return 0;
}

static void hang_up(struct http_local *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
}

void http_local_free(struct http_local *c)
{
	if (!c)
		return;
	hang_up(c);
	buf_done(&c->head);
	free(c->same);
	free(c->target);
	free(c->in);
	free(c);
}

static int broken(const struct http_local *c, struct err *e)
{
	int was = errno;
	int code = was == ENOENT || was == ECONNREFUSED ? -ECONNREFUSED
		   : was == EPIPE || was == ECONNRESET  ? -EPIPE
		   : was == EAGAIN                      ? -ETIMEDOUT
							: -EIO;

	errno = was;
	return err_set(e, code, "%s: %m", c->addr.sun_path);
}

/* connect() waits while the listener's queue is full, for as long as a send may take. */
static int dial(struct http_local *c, struct err *e)
{
	const struct timeval most = {c->connect_ms / 1000, c->connect_ms % 1000 * 1000L};
	int r;

	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return err_sys(e, "make a socket");
	if (setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most)) == 0 &&
	    connect(c->fd, (struct sockaddr *)(void *)&c->addr, sizeof(c->addr)) == 0 &&
	    fcntl(c->fd, F_SETFL, O_NONBLOCK) == 0)
		return 0;
	r = broken(c, e);
	hang_up(c);
	return r;
}

/* Until the descriptor is ready, the deadline, or the call is abandoned. */
static int wait_for(struct http_local *c, short what, const struct http_call *call, uint64_t end,
		    struct err *e)
{
	struct pollfd p = {.fd = c->fd, .events = what};

	for (;;) {
		uint64_t now = clock_mono_ns(), ms;
		int n;

		if (call->abandon && atomic_load(call->abandon))
			return err_set(e, -ECANCELED, "given up");
		if (now >= end)
			return err_set(e, -ETIMEDOUT, "%s: no whole answer in time",
				       c->addr.sun_path);
		ms = (end - now) / 1000000 + 1;
		n = poll(&p, 1, ms > LOOK_MS ? LOOK_MS : (int)ms);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return err_sys(e, "wait for %s", c->addr.sun_path);
	}
}

/* Was the connection that is kept ended by the other side meanwhile? */
static bool stale(const struct http_local *c)
{
	char byte;
	ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n >= 0 || errno != EAGAIN; /* also bytes that nobody asked for */
}

static int write_head(struct http_local *c, const struct http_call *call, struct err *e)
{
	buf_clear(&c->head);
	(void)buf_addf(&c->head, "%s %s HTTP/1.1\r\n%s", call->method, c->target, c->same);
	for (const char *const *h = call->headers; h && *h; h++) {
		const char *colon = strchr(*h, ':');

		if (colon && colon[1]) /* "Expect:" asks for there to be none */
			(void)buf_addf(&c->head, "%s\r\n", *h);
	}
	(void)buf_addf(&c->head, "Content-Length: %zu\r\n\r\n", call->n);
	if (c->head.full)
		return err_set(e, -E2BIG, "the request's headers have more than %d bytes",
			       HEAD_MAX);
	return 0;
}

static int send_all(struct http_local *c, const struct http_call *call, uint64_t end, struct err *e)
{
	size_t at = 0, all = c->head.len + call->n;

	while (at < all) {
		struct iovec v[2];
		struct msghdr m = {.msg_iov = v};
		ssize_t n;

		if (at < c->head.len)
			v[m.msg_iovlen++] = (struct iovec){c->head.p + at, c->head.len - at};
		if (call->n) {
			size_t skip = at > c->head.len ? at - c->head.len : 0;

			v[m.msg_iovlen++] = (struct iovec){(void *)(uintptr_t)(call->body + skip),
							   call->n - skip};
		}
		n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			int r = wait_for(c, POLLOUT, call, end, e);

			if (r < 0)
				return r;
		} else if (n < 0 && errno != EINTR) {
			return broken(c, e);
		} else if (n > 0) {
			at += (size_t)n;
		}
	}
	return 0;
}

static int receive(struct http_local *c, const struct http_call *call, uint64_t end, struct err *e)
{
	int r = 0;

	http_reply_begin(&c->reply, call);
	while (r == 0) {
		ssize_t n;

		/* also for a server that never lets us wait */
		if (call->abandon && atomic_load(call->abandon))
			return err_set(e, -ECANCELED, "given up");
		n = recv(c->fd, c->in, RECEIVE_BYTES, 0);
		if (n > 0)
			r = http_reply_feed(&c->reply, c->in, (size_t)n, e);
		else if (n == 0)
			r = http_reply_ended(&c->reply, e);
		else if (errno == EAGAIN)
			r = wait_for(c, POLLIN, call, end, e);
		else if (errno != EINTR)
			r = broken(c, e);
		if (r == 0 && clock_mono_ns() >= end)
			r = err_set(e, -ETIMEDOUT, "%s: no whole answer in time", c->addr.sun_path);
	}
	return r < 0 ? r : 0;
}

int http_local_call(struct http_local *c, const struct http_call *call, struct err *e)
{
	uint64_t ms = call->timeout_ms ? call->timeout_ms : TIMEOUT_MS;
	uint64_t end = clock_mono_ns() + ms * 1000000;
	int r = write_head(c, call, e);

	if (r < 0)
		return r;
	if (c->fd >= 0 && stale(c))
		hang_up(c);
	if (c->fd < 0)
		r = dial(c, e);
	if (r == 0)
		r = send_all(c, call, end, e);
	if (r == 0)
		r = receive(c, call, end, e);
	if (r < 0 || !c->reply.keep)
		hang_up(c);
	return r;
}
