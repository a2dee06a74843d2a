/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "http/server.h"
#include "test.h"

enum { STREAM_BYTES = 3000000 };

struct later {
	struct http_exchange *x;
	unsigned ms;
	pthread_t thread;
	bool started;
};

static atomic_uint n_done;
static pthread_t held_by;
static _Atomic(struct http_exchange *) held;

static void done(void *ctx)
{
	struct later *l = ctx;

	if (l->started)
		(void)pthread_join(l->thread, NULL);
	free(l);
	atomic_fetch_add(&n_done, 1);
}

static void *wake_later(void *ctx)
{
	struct later *l = ctx;
	struct timespec t = {.tv_nsec = (long)l->ms * 1000000};

	(void)nanosleep(&t, NULL);
	http_wake(l->x);
	return NULL;
}

static ssize_t fill(void *ctx, char *at, size_t max)
{
	size_t *left = ctx, n = *left < max ? *left : max;

	memset(at, 'x', n);
	*left -= n;
	return (ssize_t)n;
}

static void handle(void *ctx, struct http_exchange *x)
{
	static const struct http_field f = {"X-Test", "yes"};
	const char *url = http_url(x), *user, *password;
	size_t len;

	(void)ctx;
	if (http_context(x)) { /* woken */
		http_answer(x, 200, NULL, 0, "late", 4);
	} else if (streq(url, "/echo")) {
		const char *b = http_body(x, &len);

		http_answer(x, http_body_too_large(x) ? 413 : 200, &f, 1, b, len);
	} else if (streq(url, "/stream")) {
		size_t *left = arena_alloc(http_arena(x), sizeof(*left));

		*left = STREAM_BYTES;
		http_stream(x, 200, NULL, 0, fill, left);
	} else if (streq(url, "/endless")) {
		size_t *left = arena_alloc(http_arena(x), sizeof(*left));

		*left = SIZE_MAX;
		http_stream(x, 200, NULL, 0, fill, left);
	} else if (streq(url, "/user")) {
		if (http_basic(x, &user, &password))
			(void)buf_addf(http_out(x), "%s/%s", user, password);
		http_answer(x, 200, NULL, 0, http_out(x)->p ? http_out(x)->p : "",
			    http_out(x)->len);
	} else if (streq(url, "/private")) {
		http_answer(x, 200, NULL, 0, http_is_private(x) ? "yes" : "no", http_is_private(x) ? 3 : 2);
	} else if (streq(url, "/alone")) {
		(void)buf_addf(http_out(x), "%s %jx", http_is_alone(x) ? "yes" : "no",
			       (uintmax_t)pthread_self());
		http_answer(x, 200, NULL, 0, http_out(x)->p, http_out(x)->len);
	} else if (streq(url, "/held")) { /* until the test wakes it */
		http_set_context(x, xcalloc(1, sizeof(struct later)), done);
		held_by = pthread_self();
		atomic_store(&held, x);
	} else { /* /now, /later: woken before the handler returns, or after */
		struct later *l = xcalloc(1, sizeof(*l));

		l->x = x;
		http_set_context(x, l, done);
		if (streq(url, "/now")) {
			http_wake(x);
		} else {
			l->ms = 50;
			l->started = pthread_create(&l->thread, NULL, wake_later, l) == 0;
		}
	}
}

static uint16_t free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&a, &n) == 0);
	(void)close(fd);
	return ntohs(a.sin_port);
}

static struct http_server *serve(uint16_t port, struct http_limits limits)
{
	struct http_listen l = {.address = "127.0.0.1", .port = port};
	struct http_server_config c = {
		.listen = &l, .n_listen = 1, .threads = 2, .limits = limits, .handle = handle};
	struct http_server *s = NULL;
	struct err e = {0};

	CHECK_INT(http_server_new(&c, &s, &e), 0);
	if (e.code)
		printf("# %s\n", e.text);
	return s;
}

static int dial(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons(port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval t = {.tv_sec = 10};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	CHECK(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	return fd;
}

/* Send a request, read until the peer closes; the caller frees the answer. */
static char *ask(int fd, const char *request, size_t *ret_len)
{
	struct buf b = buf_of(1 << 24);
	ssize_t n;

	CHECK(write(fd, request, strlen(request)) == (ssize_t)strlen(request));
	while (buf_grow(&b, 65536) && (n = read(fd, b.p + b.len, 65536)) > 0) {
		b.len += (size_t)n;
		b.p[b.len] = '\0';
	}
	if (ret_len)
		*ret_len = b.len;
	return buf_take(&b);
}

static char *get(uint16_t port, const char *what, size_t *ret_len)
{
	auto_free char *rq = xasprintf("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
				       "Authorization: Basic YW5uOnNlOmNyZXQ=\r\n\r\n", what);
	auto_fd int fd = dial(port);

	return ask(fd, rq, ret_len);
}

TEST(small_answers_carry_their_length_and_fields)
{
	uint16_t port = free_port();
	struct http_server *s = serve(port, (struct http_limits){0});
	auto_fd int fd = dial(port);
	auto_free char *a = ask(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
				    "Content-Length: 5\r\n\r\nhello", NULL);
	auto_free char *u = get(port, "/user", NULL), *p = get(port, "/private", NULL);

	CHECK(str_starts(a, "HTTP/1.1 200"));
	CHECK(strstr(a, "Content-Length: 5\r\n") != NULL);
	CHECK(strstr(a, "X-Test: yes\r\n") != NULL);
	CHECK_STR(a + strlen(a) - 9, "\r\n\r\nhello");
	CHECK(strstr(u, "\r\n\r\nann/se:cret") != NULL);
	CHECK(strstr(p, "\r\n\r\nno") != NULL);
	http_server_free(s);
}

TEST(a_stream_arrives_whole)
{
	uint16_t port = free_port();
	struct http_server *s = serve(port, (struct http_limits){0});
	size_t n = 0, x = 0;
	auto_free char *a = get(port, "/stream", &n);

	for (size_t i = 0; i < n; i++)
		x += a[i] == 'x';
	CHECK_INT(x, STREAM_BYTES);
	CHECK(strstr(a, "Transfer-Encoding: chunked") != NULL);
	http_server_free(s);
}

TEST(an_exchange_can_be_put_off_and_woken_before_or_after)
{
	uint16_t port = free_port();
	struct http_server *s = serve(port, (struct http_limits){0});

	atomic_store(&n_done, 0);
	for (int i = 0; i < 20; i++) {
		auto_free char *now = get(port, "/now", NULL), *later = get(port, "/later", NULL);

		CHECK(strstr(now, "\r\n\r\nlate") != NULL);
		CHECK(strstr(later, "\r\n\r\nlate") != NULL);
	}
	http_server_free(s);
	CHECK_INT(atomic_load(&n_done), 40);
}

TEST(a_request_is_alone_when_its_thread_serves_no_other)
{
	static const struct timespec ms = {.tv_nsec = 1000000};
	static const char hold[] = "GET /held HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	uint16_t port = free_port();
	struct http_server *s = serve(port, (struct http_limits){0});
	auto_free char *first = get(port, "/alone", NULL);
	auto_fd int fd = dial(port);
	bool met = false;
	char byte;

	CHECK(strstr(first, "\r\n\r\nyes ") != NULL);
	CHECK(write(fd, hold, strlen(hold)) == (ssize_t)strlen(hold));
	while (!atomic_load(&held))
		(void)nanosleep(&ms, NULL);
	/* newcomers, until one comes to the thread that has a request under way */
	for (int i = 0; i < 1000 && !met; i++) {
		auto_free char *a = get(port, "/alone", NULL);
		auto_free char *same = xasprintf(" %jx", (uintmax_t)held_by);

		met = strstr(a, same) != NULL;
		CHECK(!met || strstr(a, "\r\n\r\nno ") != NULL);
	}
	CHECK(met);
	http_wake(atomic_exchange(&held, NULL));
	CHECK(read(fd, &byte, 1) == 1);
	http_server_free(s);
}

TEST(too_large_a_body_is_413_whether_announced_or_not)
{
	uint16_t port = free_port();
	struct http_server *s = serve(port, (struct http_limits){.body_bytes = 10});
	auto_fd int fd = dial(port);
	auto_fd int fd2 = dial(port);
	auto_free char *a = ask(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
				    "Content-Length: 11\r\n\r\nhello world", NULL);
	auto_free char *b = ask(fd2, "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
				     "Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n",
				NULL);

	CHECK(str_starts(a, "HTTP/1.1 413"));
	CHECK(str_starts(b, "HTTP/1.1 413"));
	http_server_free(s);
}

static void check(void *ctx, struct http_exchange *x)
{
	(void)ctx;
	if (!http_header(x, "X-Known"))
		http_answer(x, 401, NULL, 0, "", 0);
}

TEST(a_long_body_is_read_only_from_whom_it_may_be)
{
	static const struct {
		const char *request, *want;
	} t[] = {
		{"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200"},
		{"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n", "HTTP/1.1 401"},
		{"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 401"},
		{"POST /echo HTTP/1.1\r\nHost: x\r\nX-Known: y\r\nConnection: close\r\nContent-Length: 11\r\n\r\n"
		 "hello world", "HTTP/1.1 200"},
	};
	uint16_t port = free_port();
	struct http_listen l = {.address = "127.0.0.1", .port = port};
	struct http_server_config c = {.listen = &l, .n_listen = 1, .threads = 2, .check = check, .handle = handle,
				       .limits = {.stranger_bytes = 10}};
	struct http_server *s = NULL;
	struct err e = {0};

	CHECK_INT(http_server_new(&c, &s, &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		auto_fd int fd = dial(port);
		auto_free char *a = ask(fd, t[i].request, NULL);

		CHECK(str_starts(a, t[i].want));
	}
	http_server_free(s);
}

TEST(all_bodies_together_have_a_most)
{
	uint16_t port = free_port();
	struct http_server *s = serve(port, (struct http_limits){.stranger_bytes = 10, .all_bodies_bytes = 70});
	auto_fd int first = dial(port);
	auto_fd int second = dial(port);
	struct timespec t = {.tv_nsec = 100000000};
	const char *most = "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 61\r\n\r\n"
			   "123456789 123456789 123456789 123456789 123456789 123456789 ";
	auto_free char *a = NULL, *b = NULL;

	CHECK(write(first, most, strlen(most)) == (ssize_t)strlen(most));
	(void)nanosleep(&t, NULL);
	a = ask(second, "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 11\r\n\r\nhello world", NULL);
	CHECK(str_starts(a, "HTTP/1.1 503"));
	b = ask(first, "!", NULL); /* who came in time is served */
	CHECK(str_starts(b, "HTTP/1.1 200"));
	http_server_free(s);
}

TEST(a_connection_that_never_finishes_its_request_is_closed)
{
	uint16_t port = free_port();
	struct http_server *s = serve(port, (struct http_limits){.idle_s = 1});
	auto_fd int fd = dial(port);
	struct timespec t = {.tv_nsec = 100000000};
	char c;

	CHECK(write(fd, "POST /ec", 8) == 8);
	for (int i = 0; i < 13; i++) { /* a byte now and then keeps nothing alive */
		(void)nanosleep(&t, NULL);
		(void)send(fd, "h", 1, MSG_NOSIGNAL);
		http_server_tick(s);
	}
	CHECK(read(fd, &c, 1) <= 0);
	http_server_free(s);
}

TEST(an_answer_that_is_taken_drop_by_drop_ends)
{
	uint16_t port = free_port();
	struct http_server *s = serve(port, (struct http_limits){.answer_s = 1});
	auto_fd int fd = dial(port);
	struct timespec t = {.tv_nsec = 100000000};
	const char *rq = "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n";
	auto_free char *b = xmalloc(1 << 20);
	ssize_t n = 1;

	CHECK(write(fd, rq, strlen(rq)) == (ssize_t)strlen(rq));
	for (int i = 0; i < 13; i++) {
		(void)nanosleep(&t, NULL);
		CHECK(read(fd, b, 1) == 1);
		http_server_tick(s);
	}
	for (int i = 0; i < 1000 && n > 0; i++) /* what is in the sockets, and no more */
		n = read(fd, b, 1 << 20);
	CHECK(n <= 0);
	http_server_free(s);
}

TEST(a_port_in_use_is_said)
{
	uint16_t port = free_port();
	struct http_server *s = serve(port, (struct http_limits){0}), *t = NULL;
	struct http_listen l = {.address = "127.0.0.1", .port = port};
	struct http_server_config c = {.listen = &l, .n_listen = 1, .handle = handle};
	struct err e = {0};

	CHECK_INT(http_server_new(&c, &t, &e), -EADDRINUSE);
	CHECK(strstr(e.text, "in use by another process") != NULL);
	http_server_free(s);
}

TEST(a_unix_socket_is_private)
{
	char dir[] = "/tmp/smiscsi-http-XXXXXX";
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	auto_free char *path = NULL, *r = NULL;
	struct http_server *s = NULL;
	struct http_listen l = {0};
	struct http_server_config c = {.listen = &l, .n_listen = 1, .handle = handle};
	struct err e = {0};
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(mkdtemp(dir) != NULL);
	path = xasprintf("%s/s", dir);
	l.unix_path = path;
	CHECK_INT(http_server_new(&c, &s, &e), 0);
	memcpy(a.sun_path, path, strlen(path));
	CHECK(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	r = ask(fd, "GET /private HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", NULL);
	CHECK(strstr(r, "\r\n\r\nyes") != NULL);
	{
		auto_fd int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		auto_free char *one = NULL;

		CHECK(connect(other, (struct sockaddr *)&a, sizeof(a)) == 0);
		one = ask(other, "GET /alone HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", NULL);
		CHECK(strstr(one, "\r\n\r\nno ") != NULL); /* nobody else would take newcomers */
	}
	http_server_free(s);
	CHECK(access(path, F_OK) != 0);
	(void)rmdir(dir);
}
