/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.c - what loopback TCP itself can do, with the message sizes of iSCSI
 *
 * usage: bench_limits echo|file|mapped IN-FLIGHT SESSIONS SECONDS | stream SESSIONS SECONDS |
 * target
 *
 * echo: a server with one epoll loop answers each request of 48 bytes with 48 + 4096, as a target
 * would that had nothing to do; the client keeps so many in flight on each of so many
 * connections.  Prints answers per second, and what server and client took of their processors
 * for each.  All answers are the same bytes, which never leave the cache.  file: the 4096 come from
 * a random place of a file in memory of 256 MiB, one pread each; mapped: the same file, mapped
 * and sent from where it lies.
 *
 * stream: the server writes 256 KiB at a time, the client reads.  Prints MB/s.  target: a target
 * that looks at nothing and answers every login, and every read with zeroes, until it is killed:
 * what target_load reaches with it is what target_load can. Prints its port.  Server and client
 * are processes of their own, as in the benches.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "iscsi/pdu.h"

enum { REQUEST = 48, BLOCK = 4096, ANSWER = REQUEST + BLOCK };
enum { PIECE = 256 * 1024, MAX_SESSIONS = 64, BATCH = 256, FILE_BITS = 28 };
enum source { FROM_BUFFER, FROM_FILE, FROM_MAPPING };

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

/* Where the answers' bytes are, other than in a buffer. */
struct medium {
	enum source source;
	int fd;
	char *map;
	uint64_t rng;
};

static void medium_open(struct medium *m, enum source source)
{
	const size_t size = 1U << FILE_BITS;
	char *fill = xcalloc(1, PIECE);

	*m = (struct medium){.source = source, .fd = -1, .rng = 88172645463325252ULL};
	if (source == FROM_BUFFER)
		return;
	m->fd = memfd_create("bench", MFD_CLOEXEC);
	if (m->fd < 0 || ftruncate(m->fd, (off_t)size) < 0)
		die("memory");
	memset(fill, 0x5a, PIECE);
	for (size_t at = 0; at < size; at += PIECE)
		if (pwrite(m->fd, fill, PIECE, (off_t)at) != PIECE)
			die("fill");
	free(fill);
}

/* In the process that uses it: page tables are not inherited. */
static void medium_map(struct medium *m)
{
	if (m->source != FROM_MAPPING)
		return;
	m->map = mmap(NULL, 1U << FILE_BITS, PROT_READ, MAP_SHARED | MAP_POPULATE, m->fd, 0);
	if (m->map == MAP_FAILED)
		die("map");
	for (size_t at = 0; at < 1U << FILE_BITS; at += BLOCK)
		(void)*(volatile char *)(m->map + at);
}

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void send_pieces(int fd, struct iovec *v, size_t n)
{
	while (n > 0) {
		struct msghdr m = {.msg_iov = v, .msg_iovlen = n};
		ssize_t r = sendmsg(fd, &m, MSG_NOSIGNAL);

		if (r <= 0)
			exit(0);
		for (; n > 0 && (size_t)r >= v->iov_len; v++, n--)
			r -= (ssize_t)v->iov_len;
		if (n > 0) {
			v->iov_base = (char *)v->iov_base + r;
			v->iov_len -= (size_t)r;
		}
	}
}

/* n answers in as few writes as there are batches. */
static void answer(struct medium *m, int fd, char *answers, size_t n)
{
	struct iovec v[2 * BATCH];

	while (n > 0 && m->source != FROM_BUFFER) {
		size_t k = n < BATCH ? n : BATCH;

		for (size_t i = 0; i < k; i++) {
			char *a = answers + i * ANSWER, *data = a + REQUEST;
			size_t at = (next_random(&m->rng) & ((1U << FILE_BITS) - 1)) / BLOCK *
				    BLOCK;

			if (m->source == FROM_MAPPING)
				data = m->map + at;
			else if (pread(m->fd, data, BLOCK, (off_t)at) != BLOCK)
				die("pread");
			v[2 * i] = (struct iovec){a, REQUEST};
			v[2 * i + 1] = (struct iovec){data, BLOCK};
		}
		send_pieces(fd, v, 2 * k);
		n -= k;
	}
	send_all(fd, answers, n * ANSWER);
}

static void serve_echo(struct conn *c, unsigned n, char *buf, char *answers, struct medium *m)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);

	medium_map(m);
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
			answer(m, k->fd, answers, whole(k, (size_t)r, REQUEST));
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

struct result {
	uint64_t answers, bytes, ns, server_ns, client_ns;
};

static uint64_t processor_ns(clockid_t of)
{
	struct timespec ts;

	(void)clock_gettime(of, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

static void take_answers(struct conn *k, bool echo, char *buf, struct result *to)
{
	ssize_t r = recv(k->fd, buf, PIECE, 0);
	size_t n;

	if (r <= 0)
		die("recv");
	to->bytes += (uint64_t)r;
	if (!echo)
		return;
	n = whole(k, (size_t)r, ANSWER);
	to->answers += n;
	send_all(k->fd, buf, n * REQUEST);
}

static void measure(struct conn *c, unsigned n, unsigned in_flight, double seconds, char *buf,
		    pid_t server, struct result *to)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);
	clockid_t theirs;
	uint64_t start;

	if (clock_getcpuclockid(server, &theirs) != 0)
		die("the server's clock");
	for (unsigned i = 0; i < n; i++) {
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &c[i]};

		(void)epoll_ctl(ep, EPOLL_CTL_ADD, c[i].fd, &ev);
		send_all(c[i].fd, buf, (size_t)in_flight * REQUEST);
		take_answers(&c[i], in_flight > 0, buf, to); /* the server is ready now */
	}
	*to = (struct result){.server_ns = processor_ns(theirs),
			      .client_ns = processor_ns(CLOCK_PROCESS_CPUTIME_ID)};
	start = clock_mono_ns();
	while (clock_mono_ns() < start + (uint64_t)(seconds * 1e9)) {
		struct epoll_event ev[MAX_SESSIONS];
		int got = epoll_wait(ep, ev, MAX_SESSIONS, 1000);

		for (int i = 0; i < got; i++)
			take_answers(ev[i].data.ptr, in_flight > 0, buf, to);
	}
	to->ns = clock_mono_ns() - start;
	to->server_ns = processor_ns(theirs) - to->server_ns;
	to->client_ns = processor_ns(CLOCK_PROCESS_CPUTIME_ID) - to->client_ns;
}

static bool source_of(const char *mode, enum source *ret)
{
	static const char *const names[] = {"echo", "file", "mapped"};

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (streq(mode, names[i])) {
			*ret = (enum source)i;
			return true;
		}
	return false;
}

int main(int argc, char **argv)
{
	enum source source = FROM_BUFFER;
	bool null = argc == 2 && streq(argv[1], "target");
	bool echo = argc == 5 && source_of(argv[1], &source),
	     stream = argc == 4 && streq(argv[1], "stream");
	unsigned in_flight = echo ? (unsigned)atoi(argv[2]) : 0;
	unsigned n = echo ? (unsigned)atoi(argv[3]) : stream ? (unsigned)atoi(argv[2]) : 0;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	static struct conn server[MAX_SESSIONS], client[MAX_SESSIONS];
	char *buf = xcalloc(1, PIECE), *answers = xcalloc(PIECE / REQUEST + 1, ANSWER);
	const int one = 1;
	struct medium medium;
	struct result r = {0};
	double ops;
	pid_t child;
	int l;

	if (!null && (n == 0 || n > MAX_SESSIONS || (size_t)in_flight * REQUEST > PIECE)) {
		(void)fprintf(stderr, "usage: bench_limits echo|file|mapped IN-FLIGHT SESSIONS "
				      "SECONDS | stream SESSIONS SECONDS | target\n");
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
	medium_open(&medium, source);
	child = fork();
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (unsigned i = 0; i < n; i++)
			(void)close(client[i].fd);
		if (echo)
			serve_echo(server, n, buf, answers, &medium);
		else
			serve_stream(server, n, buf);
	}
	for (unsigned i = 0; i < n; i++)
		(void)close(server[i].fd);
	measure(client, n, in_flight, strtod(argv[argc - 1], NULL), buf, child, &r);
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	ops = r.answers ? (double)r.answers : (double)r.bytes / PIECE;
	printf("{\"answers_per_second\": %.0f, \"mb_per_second\": %.0f, \"server_us\": %.2f, "
	       "\"client_us\": %.2f}\n",
	       (double)r.answers * 1e9 / (double)r.ns, (double)r.bytes * 1e3 / (double)r.ns,
	       (double)r.server_ns / 1e3 / ops, (double)r.client_ns / 1e3 / ops);
	return 0;
}
