/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_load.c - an initiator that only makes load
 *
 * usage: target_load ADDRESS PORT IQN LUN MODE SIZE DEPTH SESSIONS THREADS SECONDS [LOG2_SPAN]
 *
 * MODE read, write (sequential in each session), randread, randwrite, or login (SIZE and
 * DEPTH don't matter: logins and logouts, one after the other in each thread).
 * Prints one line of JSON: operations, seconds, latencies in microseconds.
 *
 * It costs as little as it can, so that on a small machine the target is what is measured:
 * big reads from the socket, commands in one write, no copy of what was read, and one look at
 * the clock for all that one read brought.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "iscsi/pdu.h"

enum { DEPTH_MAX = 128, RX = 1 << 20, TX_MAX = 64 << 20, LATENCIES = 1 << 16 };

struct load {
	struct sockaddr_storage sa;
	socklen_t sa_len;
	const char *iqn;
	uint8_t lun;
	bool write, random, login;
	uint32_t size, depth, sessions, threads, span_blocks;
	double seconds;
};

struct session {
	int fd;
	uint32_t cmd_sn, exp_stat_sn, max_recv, first_burst;
	uint32_t next_lba, span_at, span;
	struct buf tx;
	size_t tx_at;
	uint8_t *rx;
	size_t rx_have;
	uint64_t skip; /* bytes of a data segment that need not be looked at */
	uint64_t began[DEPTH_MAX];
	uint32_t free_tags[DEPTH_MAX], n_free;
};

struct worker {
	pthread_t thread;
	const struct load *load;
	unsigned index;
	uint64_t ops, rng, n_latencies, now;
	uint32_t *latencies; /* a sample */
};

static uint8_t *payload;
static bool over; /* atomic */

static void die(const char *what)
{
	(void)fprintf(stderr, "target_load: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static int dial(const struct load *l)
{
	int on = 1, fd = socket(l->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&l->sa, l->sa_len) < 0)
		die("connect");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void send_all(int fd, const void *p, size_t n)
{
	const char *at = p;

	while (n > 0) {
		ssize_t r = send(fd, at, n, MSG_NOSIGNAL);

		if (r <= 0)
			die("send");
		at += r;
		n -= (size_t)r;
	}
}

static void recv_all(int fd, void *p, size_t n)
{
	if (n > 0 && recv(fd, p, n, MSG_WAITALL) != (ssize_t)n)
		die("receive");
}

static uint32_t key_number(const char *p, size_t n, const char *key, uint32_t otherwise)
{
	size_t k = strlen(key);

	for (const char *end = p + n; p < end; p += strlen(p) + 1)
		if (strncmp(p, key, k) == 0 && p[k] == '=')
			return (uint32_t)strtoul(p + k + 1, NULL, 10);
	return otherwise;
}

static void login(struct session *s, const struct load *l, unsigned id)
{
	uint8_t b[ISCSI_BHS_LEN] = {ISCSI_LOGIN | 0x40, 0x87};
	char text[1024], answer[8192];
	int n = snprintf(
		text, sizeof(text),
		"InitiatorName=iqn.2026-01.org.example:load%u|TargetName=%s|SessionType=Normal|"
		"InitialR2T=No|ImmediateData=Yes|MaxBurstLength=1048576|FirstBurstLength=262144|"
		"MaxRecvDataSegmentLength=262144|MaxOutstandingR2T=1|HeaderDigest=None|"
		"DataDigest=None|DefaultTime2Wait=0|DefaultTime2Retain=0|"
		"ErrorRecoveryLevel=0|MaxConnections=1|",
		id, l->iqn);

	for (int i = 0; i < n; i++)
		if (text[i] == '|')
			text[i] = '\0';
	iscsi_put24(b + 5, (uint32_t)n);
	b[8] = 0x80;
	iscsi_put32(b + 10, id);
	iscsi_put32(b + 24, 1);
	iscsi_put32(b + 28, 1);
	memset(text + n, 0, 4);
	send_all(s->fd, b, sizeof(b));
	send_all(s->fd, text, iscsi_padded((uint32_t)n));
	recv_all(s->fd, b, sizeof(b));
	n = (int)iscsi_get24(b + 5);
	if (n > (int)sizeof(answer) - 4 || iscsi_get16(b + 36) != 0 || b[0] != ISCSI_LOGIN_RSP) {
		(void)fprintf(stderr, "target_load: login status 0x%04x\n", iscsi_get16(b + 36));
		exit(EXIT_FAILURE);
	}
	recv_all(s->fd, answer, iscsi_padded((uint32_t)n));
	s->max_recv = key_number(answer, (size_t)n, "MaxRecvDataSegmentLength", 8192);
	s->first_burst = key_number(answer, (size_t)n, "FirstBurstLength", 65536);
	s->cmd_sn = 1;
	s->exp_stat_sn = iscsi_get32(b + 24) + 1;
}

static void logout(struct session *s)
{
	uint8_t b[ISCSI_BHS_LEN] = {ISCSI_LOGOUT | 0x40, ISCSI_FINAL};

	iscsi_put32(b + 16, 7777);
	iscsi_put32(b + 24, s->cmd_sn);
	iscsi_put32(b + 28, s->exp_stat_sn);
	send_all(s->fd, b, sizeof(b));
	recv_all(s->fd, b, sizeof(b));
}

/* As initiators do first of all; unit attentions are over then. */
static void test_unit_ready(struct session *s, const struct load *l)
{
	uint8_t status = 2;

	for (int i = 0; i < 8 && status != 0; i++) {
		uint8_t b[ISCSI_BHS_LEN] = {ISCSI_SCSI_CMD, ISCSI_FINAL | 1};
		uint8_t sense[512];

		b[9] = l->lun;
		iscsi_put32(b + 16, 1);
		iscsi_put32(b + 24, s->cmd_sn++);
		iscsi_put32(b + 28, s->exp_stat_sn);
		send_all(s->fd, b, sizeof(b));
		recv_all(s->fd, b, sizeof(b));
		recv_all(s->fd, sense, iscsi_padded(iscsi_get24(b + 5)) & 511);
		s->exp_stat_sn = iscsi_get32(b + 24) + 1;
		status = b[3];
	}
	if (status != 0) {
		(void)fprintf(stderr, "target_load: the unit is not ready\n");
		exit(EXIT_FAILURE);
	}
}

/* ---- commands ---- */

static void add(struct session *s, const void *p, size_t n)
{
	if (!buf_add(&s->tx, p, n))
		die("send buffer");
}

static void add_data_out(struct session *s, uint32_t tag, uint32_t ttt, uint32_t offset,
			 uint32_t len)
{
	uint32_t sn = 0;

	while (len > 0) {
		uint8_t b[ISCSI_BHS_LEN] = {ISCSI_DATA_OUT};
		uint32_t n = len < s->max_recv ? len : s->max_recv;

		b[1] = n == len ? ISCSI_FINAL : 0;
		iscsi_put24(b + 5, n);
		iscsi_put32(b + 16, tag);
		iscsi_put32(b + 20, ttt);
		iscsi_put32(b + 28, s->exp_stat_sn);
		iscsi_put32(b + 36, sn++);
		iscsi_put32(b + 40, offset);
		add(s, b, sizeof(b));
		add(s, payload, n);
		offset += n;
		len -= n;
	}
}

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void add_command(struct session *s, struct worker *w, uint32_t tag)
{
	const struct load *l = w->load;
	uint32_t blocks = l->size / 512, slots = s->span / blocks, lba;
	uint8_t b[ISCSI_BHS_LEN] = {ISCSI_SCSI_CMD};
	uint32_t immediate = 0, unasked = 0;

	if (l->random) {
		lba = s->span_at + (uint32_t)(next_random(&w->rng) % slots) * blocks;
	} else {
		lba = s->span_at + s->next_lba;
		s->next_lba = (s->next_lba + blocks) % (slots * blocks);
	}
	if (l->write) {
		unasked = l->size < s->first_burst ? l->size : s->first_burst;
		immediate = unasked < s->max_recv ? unasked : s->max_recv;
	}
	b[1] = (uint8_t)((unasked > immediate ? 0 : ISCSI_FINAL) |
			 (l->write ? ISCSI_CMD_WRITE : ISCSI_CMD_READ) | 1);
	iscsi_put24(b + 5, immediate);
	iscsi_put32(b + 16, tag);
	iscsi_put32(b + 20, l->size);
	iscsi_put32(b + 24, s->cmd_sn++);
	iscsi_put32(b + 28, s->exp_stat_sn);
	b[9] = l->lun;
	b[32] = l->write ? 0x2a : 0x28;
	iscsi_put32(b + 34, lba);
	iscsi_put16(b + 39, (uint16_t)blocks);
	s->began[tag] = w->now;
	add(s, b, sizeof(b));
	if (immediate > 0)
		add(s, payload, immediate);
	if (unasked > immediate)
		add_data_out(s, tag, ISCSI_TAG_NONE, immediate, unasked - immediate);
}

static void flush(struct session *s)
{
	while (s->tx_at < s->tx.len) {
		ssize_t n = send(s->fd, s->tx.p + s->tx_at, s->tx.len - s->tx_at,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			die("send");
		s->tx_at += (size_t)n;
	}
	buf_clear(&s->tx);
	s->tx_at = 0;
}

static void done(struct session *s, struct worker *w, uint32_t tag, uint8_t status)
{
	uint64_t us = (w->now - s->began[tag]) / 1000;

	if (status != 0) {
		(void)fprintf(stderr, "target_load: status 0x%02x\n", status);
		exit(EXIT_FAILURE);
	}
	w->latencies[w->n_latencies++ % LATENCIES] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
	w->ops++;
	if (!__atomic_load_n(&over, __ATOMIC_RELAXED))
		add_command(s, w, tag);
}

static void pdu(struct session *s, struct worker *w, const uint8_t *b)
{
	uint32_t tag = iscsi_get32(b + 16);

	switch (b[0]) {
	case ISCSI_DATA_IN:
		if (b[1] & ISCSI_DATA_IN_STATUS) {
			s->exp_stat_sn = iscsi_get32(b + 24) + 1;
			done(s, w, tag, b[3]);
		}
		break;
	case ISCSI_SCSI_RSP:
		s->exp_stat_sn = iscsi_get32(b + 24) + 1;
		done(s, w, tag, b[3]);
		break;
	case ISCSI_R2T:
		add_data_out(s, tag, iscsi_get32(b + 20), iscsi_get32(b + 40), iscsi_get32(b + 44));
		break;
	case ISCSI_NOP_IN:
		break;
	default:
		(void)fprintf(stderr, "target_load: PDU 0x%02x\n", b[0]);
		exit(EXIT_FAILURE);
	}
}

static void take_in(struct session *s, struct worker *w)
{
	ssize_t n = recv(s->fd, s->rx + s->rx_have, RX - s->rx_have, MSG_DONTWAIT);
	size_t at = 0, have;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die("receive");
	w->now = clock_mono_ns();
	have = s->rx_have + (size_t)n;
	while (at < have) {
		if (s->skip > 0) {
			size_t k = have - at < s->skip ? have - at : (size_t)s->skip;

			at += k;
			s->skip -= k;
			continue;
		}
		if (have - at < ISCSI_BHS_LEN)
			break;
		s->skip = iscsi_padded(iscsi_get24(s->rx + at + 5));
		pdu(s, w, s->rx + at);
		at += ISCSI_BHS_LEN;
	}
	memmove(s->rx, s->rx + at, have - at);
	s->rx_have = have - at;
}

/* ---- threads ---- */

static void login_loop(struct worker *w)
{
	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		struct session s = {.fd = dial(w->load)};
		struct linger hard = {1, 0}; /* no TIME_WAIT: ports would run out */
		uint64_t began = clock_mono_ns();

		login(&s, w->load, w->index + 1);
		logout(&s);
		(void)setsockopt(s.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		(void)close(s.fd);
		w->latencies[w->n_latencies++ % LATENCIES] = (uint32_t)((clock_mono_ns() - began) /
									1000);
		w->ops++;
	}
}

static void *run(void *arg)
{
	struct worker *w = arg;
	const struct load *l = w->load;
	struct session *s;
	struct pollfd *p;
	unsigned n = 0;

	if (l->login) {
		login_loop(w);
		return NULL;
	}
	s = xcalloc(l->sessions, sizeof(*s));
	p = xcalloc(l->sessions, sizeof(*p));
	for (unsigned i = w->index; i < l->sessions; i += l->threads, n++) {
		s[n].fd = dial(l);
		s[n].tx = buf_of(TX_MAX);
		s[n].rx = xmalloc(RX);
		s[n].span = l->span_blocks / l->sessions;
		s[n].span_at = i * s[n].span;
		login(&s[n], l, i + 1);
		test_unit_ready(&s[n], l);
		p[n] = (struct pollfd){.fd = s[n].fd};
	}
	w->now = clock_mono_ns();
	for (unsigned i = 0; i < n; i++) {
		for (uint32_t tag = 0; tag < l->depth; tag++)
			add_command(&s[i], w, tag);
		flush(&s[i]);
	}
	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		for (unsigned i = 0; i < n; i++)
			p[i].events = s[i].tx.len > 0 ? POLLIN | POLLOUT : POLLIN;
		if (poll(p, n, 100) <= 0)
			continue;
		for (unsigned i = 0; i < n; i++) {
			if (p[i].revents & (POLLIN | POLLERR | POLLHUP))
				take_in(&s[i], w);
			if (s[i].tx.len > 0)
				flush(&s[i]);
		}
	}
	return NULL;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static uint32_t number(const char *s, uint64_t max)
{
	uint64_t v;

	if (!str_u64(s, strlen(s), max, &v)) {
		(void)fprintf(stderr, "target_load: %s is no number up to %llu\n", s,
			      (unsigned long long)max);
		exit(2);
	}
	return (uint32_t)v;
}

static void parse(int argc, char **argv, struct load *l)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&l->sa;

	if (argc < 11) {
		(void)fprintf(stderr, "usage: target_load ADDRESS PORT IQN LUN MODE SIZE DEPTH "
				      "SESSIONS THREADS SECONDS [LOG2_SPAN]\n");
		exit(2);
	}
	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)number(argv[2], 65535));
	l->sa_len = sizeof(*in);
	if (inet_pton(AF_INET, argv[1], &in->sin_addr) != 1)
		exit(2);
	l->iqn = argv[3];
	l->lun = (uint8_t)number(argv[4], 255);
	l->login = streq(argv[5], "login");
	l->write = strstr(argv[5], "write") != NULL;
	l->random = str_starts(argv[5], "rand");
	l->size = number(argv[6], 16 << 20);
	l->depth = number(argv[7], DEPTH_MAX);
	l->sessions = number(argv[8], 4096);
	l->threads = number(argv[9], 64);
	l->seconds = number(argv[10], 3600);
	l->span_blocks = 1U << ((argc > 11 ? number(argv[11], 40) : 28) - 9);
}

int main(int argc, char **argv)
{
	struct load l = {0};
	struct worker *w;
	uint64_t began, ops = 0, n = 0;
	uint32_t *all;
	double took;

	parse(argc, argv, &l);
	payload = xmalloc(16 << 20);
	memset(payload, 0x5a, 16 << 20);
	w = xcalloc(l.threads, sizeof(*w));
	began = clock_mono_ns();
	for (unsigned i = 0; i < l.threads; i++) {
		w[i] = (struct worker){.load = &l, .index = i, .rng = 88172645463325252ULL + i};
		w[i].latencies = xcalloc(LATENCIES, sizeof(uint32_t));
		if (pthread_create(&w[i].thread, NULL, run, &w[i]) != 0)
			die("thread");
	}
	(void)usleep((useconds_t)(l.seconds * 1e6));
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < l.threads; i++)
		(void)pthread_join(w[i].thread, NULL);
	took = (double)(clock_mono_ns() - began) / 1e9;
	all = xcalloc((size_t)l.threads * LATENCIES, sizeof(uint32_t));
	for (unsigned i = 0; i < l.threads; i++) {
		uint64_t k = w[i].n_latencies < LATENCIES ? w[i].n_latencies : LATENCIES;

		memcpy(all + n, w[i].latencies, k * sizeof(uint32_t));
		n += k;
		ops += w[i].ops;
	}
	qsort(all, n, sizeof(uint32_t), by_size);
	(void)printf(
		"{\"ops\": %llu, \"seconds\": %.3f, \"per_second\": %.0f, \"mb_per_second\": %.1f, "
		"\"p50_us\": %u, \"p99_us\": %u}\n",
		(unsigned long long)ops, took, (double)ops / took,
		(double)ops * l.size / took / 1e6, n ? all[n / 2] : 0, n ? all[n * 99 / 100] : 0);
	return 0;
}
