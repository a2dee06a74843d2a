/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c - an ordinary HTTP client in bulk: one request, over and over, on keep-alive connections
 *
 * usage: bench_load ADDR PORT CONNECTIONS SECONDS [MIN-REQUESTS [FIRST]] < request
 *
 * The request (head and body, complete) is read from standard input and sent as it is, but that
 * every "@@@@@@@@" becomes a number of eight digits, FIRST and up, another for each request.  No
 * socket options that an ordinary client would not set, so stalls between Nagle and delayed
 * acknowledgements show.  Prints one line of JSON: requests, seconds, bytes (bodies), time to
 * the first body byte and to the last (median, 99th percentile, largest; microseconds).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum { CHUNK = 1 << 20, MAX_SAMPLES = 1 << 22, HEAD_MAX = 16384 };

enum where { HEAD, FIXED, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER };

struct conn {
	int fd;
	enum where at;
	char head[HEAD_MAX];
	size_t head_len;
	uint64_t left, sent_ns, first_ns;
};

struct load {
	char request[1 << 20], in[CHUNK];
	size_t request_len, n_samples, marks[16], n_marks;
	uint32_t *first_us, *last_us;
	uint64_t n_requests, n_bytes, number;
};

static void die(const char *why)
{
	(void)fprintf(stderr, "load: %s\n", why);
	exit(1);
}

static void send_request(struct load *l, struct conn *c)
{
	size_t done = 0;

	for (size_t i = 0; i < l->n_marks; i++) {
		uint64_t v = l->number;

		for (int k = 7; k >= 0; k--, v /= 10)
			l->request[l->marks[i] + (size_t)k] = (char)('0' + v % 10);
	}
	l->number++;
	c->at = HEAD;
	c->head_len = 0;
	c->first_ns = 0;
	c->sent_ns = clock_mono_ns();
	while (done < l->request_len) {
		ssize_t n = send(c->fd, l->request + done, l->request_len - done, MSG_NOSIGNAL);

		if (n < 0)
			die("send failed");
		done += (size_t)n;
	}
}

static void answered(struct load *l, struct conn *c)
{
	uint64_t end = clock_mono_ns();

	l->n_requests++;
	if (l->n_samples < MAX_SAMPLES) {
		l->first_us[l->n_samples] = (uint32_t)((c->first_ns - c->sent_ns) / 1000);
		l->last_us[l->n_samples++] = (uint32_t)((end - c->sent_ns) / 1000);
	}
	send_request(l, c);
}

/* The head is complete in c->head: how does the body come? */
static void head_done(struct conn *c)
{
	const char *p;

	c->head[c->head_len] = '\0';
	if (memcmp(c->head, "HTTP/1.1 200", 12) != 0)
		die(c->head);
	if ((p = strcasestr(c->head, "\r\nContent-Length:"))) {
		c->left = strtoull(p + 17, NULL, 10);
		c->at = FIXED;
	} else if (strcasestr(c->head, "\r\nTransfer-Encoding: chunked")) {
		c->at = CHUNK_SIZE;
	} else {
		die("neither length nor chunks");
	}
	c->head_len = 0;
}

/* One line into c->head; true when it is complete there. */
static bool line(struct conn *c, const char **p, const char *end)
{
	while (*p < end && c->head_len < HEAD_MAX - 1) {
		char ch = *(*p)++;

		if (ch == '\n') {
			c->head[c->head_len] = '\0';
			c->head_len = 0;
			return true;
		}
		c->head[c->head_len++] = ch;
	}
	return false;
}

static const char *feed_head(struct load *l, struct conn *c, const char *p)
{
	if (c->head_len == HEAD_MAX - 1)
		die("head too long");
	c->head[c->head_len++] = *p++;
	if (c->head_len >= 4 && memcmp(c->head + c->head_len - 4, "\r\n\r\n", 4) == 0) {
		head_done(c);
		if (c->at == FIXED && c->left == 0) {
			c->first_ns = clock_mono_ns();
			answered(l, c);
		}
	}
	return p;
}

static const char *feed_body(struct load *l, struct conn *c, const char *p, const char *end)
{
	uint64_t n = (uint64_t)(end - p);

	if (!c->first_ns)
		c->first_ns = clock_mono_ns();
	if (n > c->left)
		n = c->left;
	c->left -= n;
	l->n_bytes += n;
	if (c->left == 0) {
		if (c->at == FIXED)
			answered(l, c);
		else
			c->at = CHUNK_END;
	}
	return p + n;
}

static void feed(struct load *l, struct conn *c, const char *p, const char *end)
{
	while (p < end) {
		switch (c->at) {
		case HEAD:
			p = feed_head(l, c, p);
			break;
		case FIXED:
		case CHUNK_DATA:
			p = feed_body(l, c, p, end);
			break;
		case CHUNK_END:
			if (line(c, &p, end))
				c->at = CHUNK_SIZE;
			break;
		case CHUNK_SIZE:
			if (line(c, &p, end)) {
				c->left = strtoull(c->head, NULL, 16);
				c->at = c->left ? CHUNK_DATA : TRAILER;
			}
			break;
		case TRAILER:
			if (line(c, &p, end) && (c->head[0] == '\r' || c->head[0] == '\0'))
				answered(l, c);
			break;
		}
	}
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void print_times(const char *name, uint32_t *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_size);
	printf(", \"%s_us\": {\"median\": %u, \"p99\": %u, \"max\": %u}", name, v[n / 2],
	       v[n * 99 / 100], v[n - 1]);
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct load *l = xcalloc(1, sizeof(*l));
	uint64_t start, end_ns, least;
	struct conn *conns;
	unsigned n;
	int ep;

	if (argc < 5 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		die("usage: bench_load ADDR PORT CONNECTIONS SECONDS [MIN-REQUESTS [FIRST]] < request");
	to.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
	n = (unsigned)strtoul(argv[3], NULL, 10);
	least = argc > 5 ? strtoull(argv[5], NULL, 10) : 1;
	l->request_len = fread(l->request, 1, sizeof(l->request), stdin);
	l->number = argc > 6 ? strtoull(argv[6], NULL, 10) : 0;
	for (char *m = l->request; (m = strstr(m, "@@@@@@@@")) && l->n_marks < 16; m += 8)
		l->marks[l->n_marks++] = (size_t)(m - l->request);
	l->first_us = xmalloc(MAX_SAMPLES * sizeof(*l->first_us));
	l->last_us = xmalloc(MAX_SAMPLES * sizeof(*l->last_us));
	conns = xcalloc(n, sizeof(*conns));
	ep = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < n; i++) {
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &conns[i]};

		conns[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(conns[i].fd, (struct sockaddr *)&to, sizeof(to)) < 0)
			die("cannot connect");
		(void)epoll_ctl(ep, EPOLL_CTL_ADD, conns[i].fd, &ev);
	}
	start = clock_mono_ns();
	end_ns = start + (uint64_t)(strtod(argv[4], NULL) * 1e9);
	for (unsigned i = 0; i < n; i++)
		send_request(l, &conns[i]);
	while (clock_mono_ns() < end_ns || l->n_requests < least) {
		struct epoll_event ev[64];
		int got = epoll_wait(ep, ev, 64, 1000);

		if (got == 0 && clock_mono_ns() > end_ns + 30000000000U)
			die("no answer for 30 s");
		for (int i = 0; i < got; i++) {
			struct conn *c = ev[i].data.ptr;
			ssize_t r = recv(c->fd, l->in, sizeof(l->in), 0);

			if (r <= 0)
				die("connection closed by the server");
			feed(l, c, l->in, l->in + r);
		}
	}
	if (l->n_samples == 0)
		die("no answer");
	printf("{\"requests\": %lu, \"seconds\": %.4f, \"bytes\": %lu", (unsigned long)l->n_requests,
	       (double)(clock_mono_ns() - start) / 1e9, (unsigned long)l->n_bytes);
	print_times("first", l->first_us, l->n_samples);
	print_times("last", l->last_us, l->n_samples);
	printf("}\n");
	return 0;
}
