/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.c - what loopback TCP itself can do, with the message sizes of iSCSI
 *
 * usage: bench_limits echo IN-FLIGHT SESSIONS SECONDS | stream SESSIONS SECONDS | target
 *
 * echo: a server with one epoll loop answers each request of 48 bytes with 48 + 4096, as a target
 * would that had nothing to do; the client keeps so many in flight on each of so many
 * connections.  Prints answers per second.  stream: the server writes 256 KiB at a time, the
 * client reads.  Prints MB/s.  target: a target that looks at nothing and answers every login, and
 * every read with zeroes, until it is killed: what target_load reaches with it is what target_load
 * can. Prints its port.  Server and client are processes of their own, as in the benches.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "iscsi/pdu.h"

enum { REQUEST = 48, ANSWER = 48 + 4096, PIECE = 256 * 1024, MAX_SESSIONS = 64 };

struct conn {
	int fd;
	size_t got; /* bytes of an unfinished message */
};

static void die(const char *why)
{
	perror(why);
	exit(1);
}

static void send_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t r = send(fd, p, n, MSG_NOSIGNAL);

		if (r <= 0)
			exit(0); /* the other side has had enough */
		p += r;
		n -= (size_t)r;
	}
}

/* Whole messages of `size` that arrived with n more bytes. */
static size_t whole(struct conn *c, size_t n, size_t size)
{
	size_t all = c->got + n;

	c->got = all % size;
	return all / size;
}

static void serve_echo(struct conn *c, unsigned n, char *buf, char *answers)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);

	for (unsigned i = 0; i < n; i++) {
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &c[i]};

		(void)epoll_ctl(ep, EPOLL_CTL_ADD, c[i].fd, &ev);
	}
	for (;;) {
		struct epoll_event ev[MAX_SESSIONS];
		int got = epoll_wait(ep, ev, MAX_SESSIONS, -1);

		for (int i = 0; i < got; i++) {
			struct conn *k = ev[i].data.ptr;
			ssize_t r = recv(k->fd, buf, PIECE, 0);

			if (r <= 0)
				exit(0);
			/* every answer of a batch in one write, as our target does */
			send_all(k->fd, answers, whole(k, (size_t)r, REQUEST) * ANSWER);
		}
	}
}

/* The answer to one request; returns its length. */
static size_t null_answer(const uint8_t *q, uint8_t *to, uint32_t stat_sn)
{
	static const char keys[] = "MaxRecvDataSegmentLength=262144\0FirstBurstLength=65536";
	uint32_t cmd_sn = iscsi_get32(q + 24) + !(q[0] & 0x40), n = 0;

	memset(to, 0, ISCSI_BHS_LEN);
	to[1] = 0x80;
	switch (q[0] & 0x3f) {
	case ISCSI_LOGIN:
		to[0] = ISCSI_LOGIN_RSP;
		to[1] = 0x87;
		n = sizeof(keys);
		memcpy(to + 8, q + 8, 8);
		to[15] = 1;
		memset(to + ISCSI_BHS_LEN, 0, sizeof(keys) + 3);
		memcpy(to + ISCSI_BHS_LEN, keys, sizeof(keys));
		break;
	case ISCSI_SCSI_CMD:
		to[0] = q[1] & ISCSI_CMD_READ ? ISCSI_DATA_IN : ISCSI_SCSI_RSP;
		if (q[1] & ISCSI_CMD_READ) {
			n = iscsi_get32(q + 20);
			to[1] |= ISCSI_DATA_IN_STATUS;
			iscsi_put32(to + 20, ISCSI_TAG_NONE);
		}
		break;
	default:
		to[0] = ISCSI_LOGOUT_RSP;
		break;
	}
	iscsi_put24(to + 5, n);
	memcpy(to + 16, q + 16, 4);
	iscsi_put32(to + 24, stat_sn);
	iscsi_put32(to + 28, cmd_sn);
	iscsi_put32(to + 32, cmd_sn + 127);
	return ISCSI_BHS_LEN + (n + 3) / 4 * 4;
}

struct null_conn {
	int fd;
	uint32_t stat_sn;
	size_t have;
	uint8_t in[64 << 10];
};

/* What has come whole, answered in one write; the connection is forgotten when it ends. */
static void serve_null(struct null_conn *c, uint8_t *out)
{
	ssize_t r = recv(c->fd, c->in + c->have, sizeof(c->in) - c->have, 0);
	size_t at = 0, n = 0;

	if (r <= 0) {
		(void)close(c->fd);
		free(c);
		return;
	}
	c->have += (size_t)r;
	while (c->have - at >= ISCSI_BHS_LEN) {
		size_t whole_one = ISCSI_BHS_LEN + (iscsi_get24(c->in + at + 5) + 3) / 4 * 4;

		if (c->have - at < whole_one)
			break;
		n += null_answer(c->in + at, out + n, c->stat_sn++);
		at += whole_one;
	}
	memmove(c->in, c->in + at, c->have - at);
	c->have -= at;
	send_all(c->fd, (char *)out, n);
}

static void null_target(int l)
{
	const int one = 1;
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = {.events = EPOLLIN};
	/* as many answers of 4 KiB as fit requests in one read */
	uint8_t *out = xcalloc(1, (sizeof(((struct null_conn *)0)->in) / REQUEST + 1) * ANSWER);

	(void)epoll_ctl(ep, EPOLL_CTL_ADD, l, &ev);
	for (;;) {
		struct null_conn *c;

		if (epoll_wait(ep, &ev, 1, -1) != 1)
			continue;
		if (ev.data.ptr) {
			serve_null(ev.data.ptr, out);
			continue;
		}
		c = xcalloc(1, sizeof(*c));
		c->fd = accept4(l, NULL, NULL, SOCK_CLOEXEC);
		(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		ev = (struct epoll_event){.events = EPOLLIN, .data.ptr = c};
		(void)epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev);
	}
}

static void serve_stream(const struct conn *c, unsigned n, const char *buf)
{
	for (unsigned i = 0;; i = (i + 1) % n)
		send_all(c[i].fd, buf, PIECE);
}

static double measure(struct conn *c, unsigned n, unsigned in_flight, double seconds, char *buf,
		      uint64_t *ret_bytes)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);
	uint64_t start = clock_mono_ns(), end = start + (uint64_t)(seconds * 1e9), answers = 0;

	for (unsigned i = 0; i < n; i++) {
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &c[i]};

		(void)epoll_ctl(ep, EPOLL_CTL_ADD, c[i].fd, &ev);
		send_all(c[i].fd, buf, (size_t)in_flight * REQUEST);
	}
	while (clock_mono_ns() < end) {
		struct epoll_event ev[MAX_SESSIONS];
		int got = epoll_wait(ep, ev, MAX_SESSIONS, 1000);

		for (int i = 0; i < got; i++) {
			struct conn *k = ev[i].data.ptr;
			ssize_t r = recv(k->fd, buf, PIECE, 0);
			size_t whole_ones;

			if (r <= 0)
				die("recv");
			*ret_bytes += (uint64_t)r;
			if (!in_flight)
				continue;
			whole_ones = whole(k, (size_t)r, ANSWER);
			answers += whole_ones;
			send_all(k->fd, buf, whole_ones * REQUEST);
		}
	}
	*ret_bytes = (uint64_t)((double)*ret_bytes * 1e9 / (double)(clock_mono_ns() - start));
	return (double)answers * 1e9 / (double)(clock_mono_ns() - start);
}

int main(int argc, char **argv)
{
	bool null = argc == 2 && streq(argv[1], "target");
	bool echo = argc == 5 && streq(argv[1], "echo"),
	     stream = argc == 4 && streq(argv[1], "stream");
	unsigned in_flight = echo ? (unsigned)atoi(argv[2]) : 0;
	unsigned n = echo ? (unsigned)atoi(argv[3]) : stream ? (unsigned)atoi(argv[2]) : 0;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	static struct conn server[MAX_SESSIONS], client[MAX_SESSIONS];
	char *buf = xcalloc(1, PIECE), *answers = xcalloc(PIECE / REQUEST + 1, ANSWER);
	const int one = 1;
	uint64_t bytes = 0;
	double rate;
	pid_t child;
	int l;

	if (!null && (n == 0 || n > MAX_SESSIONS || (size_t)in_flight * REQUEST > PIECE)) {
		(void)fprintf(stderr, "usage: bench_limits echo IN-FLIGHT SESSIONS SECONDS | "
				      "stream SESSIONS SECONDS | target\n");
		return 2;
	}
	l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(l, (struct sockaddr *)&a, len) < 0 || listen(l, MAX_SESSIONS) < 0 ||
	    getsockname(l, (struct sockaddr *)&a, &len) < 0)
		die("listen");
	if (null) {
		printf("%u\n", ntohs(a.sin_port));
		(void)fflush(stdout);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		null_target(l);
	}
	for (unsigned i = 0; i < n; i++) {
		client[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(client[i].fd, (struct sockaddr *)&a, len) < 0)
			die("connect");
		server[i].fd = accept4(l, NULL, NULL, SOCK_CLOEXEC);
		(void)setsockopt(client[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		(void)setsockopt(server[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	}
	child = fork();
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (unsigned i = 0; i < n; i++)
			(void)close(client[i].fd);
		if (echo)
			serve_echo(server, n, buf, answers);
		else
			serve_stream(server, n, buf);
	}
	for (unsigned i = 0; i < n; i++)
		(void)close(server[i].fd);
	rate = measure(client, n, in_flight, strtod(argv[argc - 1], NULL), buf, &bytes);
	(void)kill(child, SIGKILL);
	printf("{\"answers_per_second\": %.0f, \"mb_per_second\": %.0f}\n", rate,
	       (double)bytes / 1e6);
	return 0;
}
