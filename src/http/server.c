/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "http/basic.h"
#include "http/server.h"

enum {
	BACKLOG = 1024,
	KEEP_IDLE = 64,        /* exchanges kept for the next request */
	KEEP_OUT = 256 * 1024, /* an output buffer larger than that is not kept */
	STOP_MS = 30000,
	QUIET_MS = 100, /* a connection without a request for so long will have none in the next moment */
	HALF_CLOSED_S = 5, /* how long half a request may stand when its other half can't come */
};

/* Where an exchange stands: not yet whole, with its handler, put off until http_wake. */
enum { READING, RUNNING, PUT_OFF, WOKEN };

/* One thread of a listener and whom it serves; under the server's lock. */
struct worker {
	pthread_t thread;
	unsigned n_connections; /* a worker without any is anybody's */
	unsigned n_requests;    /* under way */
	const struct connection *last; /* that had a request, at last_ns; the others had at others_ns */
	uint64_t last_ns, others_ns;
};

/* One TCP connection, from accept to close. */
struct connection {
	struct connection *prev, *next;
	struct http_exchange *x; /* the request under way, or NULL */
	struct worker *worker;   /* that serves it from beginning to end; or NULL */
	int fd;
	uint64_t since_ns; /* of the state it is in: waiting for a request, or having one */
	char peer[80], address[64];
	bool loopback;
};

struct listener {
	struct http_server *server;
	struct MHD_Daemon *daemon;
	bool private;
	char *unix_path;
	int quiet_fd; /* while we stop: no longer listening, not closed yet */
	struct worker *workers;
	unsigned n_workers;
};

struct http_exchange {
	struct http_exchange *next; /* kept ones */
	struct listener *listener;
	struct MHD_Connection *conn;
	struct connection *of;
	const char *method, *url, *version;
	struct arena *arena;
	struct buf body, out;
	bool too_large;
	bool by_and_by;       /* a long body whose length nobody told */
	size_t counted;       /* of the body, in server.body_bytes; short ones are not */
	atomic_bool answered; /* the tick looks at it */
	atomic_int state;
	void *ctx;
	void (*done)(void *ctx);
};

struct http_server {
	struct http_server_config c;
	struct listener *listeners;
	size_t n;
	pthread_mutex_t lock; /* of the two lists */
	struct connection *connections;
	struct http_exchange *kept;
	unsigned n_kept;
	atomic_uint n_connections, n_exchanges;
	atomic_size_t body_bytes; /* of all exchanges */
	atomic_bool stopping;
};

/* ---- exchanges ---- */

static struct http_exchange *exchange_new(struct listener *l)
{
	struct http_server *s = l->server;
	struct http_exchange *x;

	(void)pthread_mutex_lock(&s->lock);
	x = s->kept;
	if (x) {
		s->kept = x->next;
		s->n_kept--;
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (!x) {
		x = xcalloc(1, sizeof(*x));
		x->arena = arena_new(s->c.limits.arena_bytes);
		x->body = buf_of(s->c.limits.body_bytes);
		x->out = buf_of(SIZE_MAX / 2);
	}
	x->listener = l;
	atomic_store(&x->state, READING);
	atomic_fetch_add(&s->n_exchanges, 1);
	return x;
}

static void exchange_free(struct http_exchange *x)
{
	arena_free(x->arena);
	buf_done(&x->body);
	buf_done(&x->out);
	free(x);
}

/* Back to the shelf, so that the next request does not begin with malloc. */
static void exchange_over(struct http_exchange *x)
{
	struct http_server *s = x->listener->server;

	if (x->done)
		x->done(x->ctx);
	x->done = NULL;
	x->ctx = NULL;
	x->conn = NULL;
	x->too_large = false;
	x->answered = false;
	atomic_fetch_sub(&s->body_bytes, x->counted);
	x->counted = 0;
	x->by_and_by = false;
	arena_reset(x->arena);
	if (x->body.cap > KEEP_OUT)
		buf_done(&x->body);
	if (x->out.cap > KEEP_OUT)
		buf_done(&x->out);
	buf_clear(&x->body);
	buf_clear(&x->out);
	atomic_fetch_sub(&s->n_exchanges, 1);
	(void)pthread_mutex_lock(&s->lock);
	if (s->n_kept < KEEP_IDLE) {
		x->next = s->kept;
		s->kept = x;
		s->n_kept++;
		x = NULL;
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (x)
		exchange_free(x);
}

const char *http_method(const struct http_exchange *x)
{
	return x->method;
}

const char *http_url(const struct http_exchange *x)
{
	return x->url;
}

const char *http_version(const struct http_exchange *x)
{
	return x->version;
}

const char *http_header(const struct http_exchange *x, const char *name)
{
	return MHD_lookup_connection_value(x->conn, MHD_HEADER_KIND, name);
}

struct each {
	void (*each)(void *ctx, const char *name, const char *value);
	void *ctx;
};

static enum MHD_Result one_header(void *cls, enum MHD_ValueKind kind, const char *name,
				  const char *value)
{
	const struct each *e = cls;

	(void)kind;
	e->each(e->ctx, name, value ? value : "");
	return MHD_YES;
}

void http_each_header(const struct http_exchange *x,
		      void (*each)(void *ctx, const char *name, const char *value), void *ctx)
{
	struct each e = {.each = each, .ctx = ctx};

	(void)MHD_get_connection_values(x->conn, MHD_HEADER_KIND, one_header, &e);
}

const char *http_body(const struct http_exchange *x, size_t *ret_len)
{
	*ret_len = x->body.len;
	return x->body.p ? x->body.p : "";
}

bool http_body_too_large(const struct http_exchange *x)
{
	return x->too_large;
}

bool http_is_private(const struct http_exchange *x)
{
	return x->listener->private;
}

bool http_is_alone(const struct http_exchange *x)
{
	struct http_server *s = x->listener->server;
	const struct worker *w = x->of->worker;
	bool ret = false;

	(void)pthread_mutex_lock(&s->lock);
	if (x->listener->n_workers > 1 && w && w->n_requests == 1 && w->last == x->of)
		ret = clock_mono_ns() - w->others_ns > QUIET_MS * 1000000ULL;
	(void)pthread_mutex_unlock(&s->lock);
	return ret;
}

bool http_peer_is_loopback(const struct http_exchange *x)
{
	return x->of->loopback;
}

const char *http_peer(const struct http_exchange *x)
{
	return x->of->peer;
}

const char *http_peer_address(const struct http_exchange *x)
{
	return x->of->address;
}

struct arena *http_arena(struct http_exchange *x)
{
	return x->arena;
}

struct buf *http_out(struct http_exchange *x)
{
	return &x->out;
}

void http_set_context(struct http_exchange *x, void *ctx, void (*done)(void *ctx))
{
	x->ctx = ctx;
	x->done = done;
}

void *http_context(const struct http_exchange *x)
{
	return x->ctx;
}

static void read_peer(struct connection *c, struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *i = MHD_get_connection_info(
		conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *sa = i ? i->client_addr : NULL;

	c->loopback = false;
	if (sa && sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		(void)inet_ntop(AF_INET, &in.sin_addr, c->address, sizeof(c->address));
		(void)snprintf(c->peer, sizeof(c->peer), "%s:%u", c->address, ntohs(in.sin_port));
		c->loopback = ntohl(in.sin_addr.s_addr) >> 24 == 127;
	} else if (sa && sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in;

		memcpy(&in, sa, sizeof(in));
		(void)inet_ntop(AF_INET6, &in.sin6_addr, c->address, sizeof(c->address));
		(void)snprintf(c->peer, sizeof(c->peer), "[%s]:%u", c->address,
			       ntohs(in.sin6_port));
		c->loopback = IN6_IS_ADDR_LOOPBACK(&in.sin6_addr);
	} else {
		(void)snprintf(c->address, sizeof(c->address), "local socket");
		(void)snprintf(c->peer, sizeof(c->peer), "local socket");
	}
}

static void count_authorization(void *ctx, const char *name, const char *value)
{
	unsigned *n = ctx;

	(void)value;
	*n += str_caseeq(name, "Authorization");
}

bool http_has_authorization(const struct http_exchange *x)
{
	return http_header(x, "Authorization") != NULL;
}

bool http_basic(struct http_exchange *x, const char **ret_user, const char **ret_password)
{
	const char *h = http_header(x, "Authorization");
	unsigned times = 0;
	char *text;

	/* two of them: who is asking is not for us to guess */
	http_each_header(x, count_authorization, &times);
	if (!h || times != 1)
		return false;
	text = arena_alloc(x->arena, strlen(h) + 1);
	return text && http_basic_parse(h, text, ret_user, ret_password);
}

const char *http_client_name(struct http_exchange *x)
{
	const union MHD_ConnectionInfo *i;
	/* a certificate that was made for a server, or for signing code, is nobody's login */
	gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
					 .data = (void *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT};
	gnutls_session_t session;
	const gnutls_datum_t *chain;
	gnutls_x509_crt_t crt;
	unsigned n = 0, status = 0;
	char cn[256];
	size_t len = sizeof(cn);
	const char *ret = NULL;

	if (!x->listener->server->c.client_ca_pem)
		return NULL;
	i = MHD_get_connection_info(x->conn, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	if (!i || !i->tls_session)
		return NULL;
	session = i->tls_session;
	chain = gnutls_certificate_get_peers(session, &n);
	if (!chain || n == 0 ||
	    gnutls_certificate_verify_peers(session, &purpose, 1, &status) < 0 || status != 0 ||
	    gnutls_x509_crt_init(&crt) < 0)
		return NULL;
	if (gnutls_x509_crt_import(crt, &chain[0], GNUTLS_X509_FMT_DER) == 0 &&
	    gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, cn, &len) == 0 &&
	    !memchr(cn, '\0', len)) /* "admin\0.example" is not admin */
		ret = arena_strndup(x->arena, cn, len);
	gnutls_x509_crt_deinit(crt);
	return ret;
}

/* ---- answers ---- */

static void queue(struct http_exchange *x, unsigned status, const struct http_field *f, size_t n,
		  struct MHD_Response *r)
{
	for (size_t i = 0; i < n; i++)
		(void)MHD_add_response_header(r, f[i].name, f[i].value);
	if (atomic_load(&x->listener->server->stopping))
		(void)MHD_add_response_header(r, "Connection", "close");
	(void)MHD_queue_response(x->conn, status, r);
	MHD_destroy_response(r);
	x->answered = true;
}

void http_answer(struct http_exchange *x, unsigned status, const struct http_field *f, size_t n,
		 const char *body, size_t len)
{
	/* MHD takes a void *, but only reads from it */
	queue(x, status, f, n,
	      MHD_create_response_from_buffer(len, (void *)(uintptr_t)body,
					      MHD_RESPMEM_PERSISTENT));
}

struct stream {
	ssize_t (*fill)(void *ctx, char *at, size_t max);
	void *ctx;
};

static ssize_t stream_read(void *cls, uint64_t pos, char *at, size_t max)
{
	const struct stream *st = cls;
	ssize_t n = st->fill(st->ctx, at, max);

	(void)pos;
	return n > 0    ? n
	       : n == 0 ? MHD_CONTENT_READER_END_OF_STREAM
			: MHD_CONTENT_READER_END_WITH_ERROR;
}

void http_stream(struct http_exchange *x, unsigned status, const struct http_field *f, size_t n,
		 ssize_t (*fill)(void *ctx, char *at, size_t max), void *ctx)
{
	struct stream *st = arena_alloc(x->arena, sizeof(*st));
	struct MHD_Response *r;

	if (!st) {
		http_answer(x, 500, NULL, 0, "", 0);
		return;
	}
	*st = (struct stream){.fill = fill, .ctx = ctx};
	r = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, x->listener->server->c.limits.head_bytes, stream_read, st, NULL);
	/* also when the connection closes afterwards, or the client couldn't tell the end of the
	 * answer from its breaking off */
	if (streq(x->version, "HTTP/1.1"))
		(void)MHD_add_response_header(r, "Transfer-Encoding", "chunked");
	queue(x, status, f, n, r);
}

void http_wake(struct http_exchange *x)
{
	if (atomic_exchange(&x->state, WOKEN) == PUT_OFF)
		MHD_resume_connection(x->conn);
}

/* The handler has its say; without an answer the connection sleeps until http_wake, or has been
 * woken already. */
static void handle(struct http_exchange *x)
{
	struct http_server *s = x->listener->server;
	int running = RUNNING;

	do {
		atomic_store(&x->state, RUNNING);
		s->c.handle(s->c.ctx, x);
		if (x->answered)
			return;
	} while (atomic_load(&x->state) == WOKEN);
	MHD_suspend_connection(x->conn);
	if (!atomic_compare_exchange_strong(&x->state, &running, PUT_OFF))
		MHD_resume_connection(x->conn); /* woken in the meantime */
}

/* ---- what libmicrohttpd tells us ---- */

/* Room for n more bytes of body, within what all may have together. */
static bool reserve(struct http_exchange *x, size_t n)
{
	struct http_server *s = x->listener->server;

	x->counted += n;
	return atomic_fetch_add(&s->body_bytes, n) + n <= s->c.limits.all_bodies_bytes;
}

/* A connection's request begins or is over: +1, -1.  Under the lock. */
static void count_request(struct connection *c, int more)
{
	struct worker *w = c->worker;

	c->since_ns = clock_mono_ns();
	if (!w)
		return;
	w->n_requests += (unsigned)more;
	if (w->last != c)
		w->others_ns = w->last_ns;
	w->last = c;
	w->last_ns = c->since_ns;
}

static enum MHD_Result begin(struct listener *l, struct MHD_Connection *conn, const char *url,
			     const char *method, const char *version, void **con_cls)
{
	const union MHD_ConnectionInfo *i = MHD_get_connection_info(
		conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	static const struct http_field close_it = {"Connection", "close"};
	struct http_server *s = l->server;
	struct http_exchange *x;
	const char *len;
	uint64_t n;

	if (!i || !i->socket_context)
		return MHD_NO; /* connection_changed has not seen it: can't be */
	x = exchange_new(l);
	x->conn = conn;
	x->url = url;
	x->method = method;
	x->version = version;
	x->of = i->socket_context;
	*con_cls = x;
	(void)pthread_mutex_lock(&l->server->lock);
	x->of->x = x;
	count_request(x->of, +1);
	(void)pthread_mutex_unlock(&l->server->lock);
	len = http_header(x, "Content-Length");
	if (!len && !http_header(x, "Transfer-Encoding"))
		return MHD_YES;
	if (!len || !str_u64(len, strlen(len), UINT64_MAX, &n))
		n = UINT64_MAX; /* who knows */
	/* what is answered here is answered before the body comes; the rest of the connection is
	 * of no use then */
	if (len && n > s->c.limits.body_bytes) {
		x->too_large = true;
		http_answer(x, 413, &close_it, 1, "", 0);
	} else if (n > s->c.limits.stranger_bytes) {
		if (s->c.check)
			s->c.check(s->c.ctx, x);
		x->by_and_by = !len;
		if (!x->answered && !reserve(x, len ? n : 0))
			http_answer(x, 503, &close_it, 1, "", 0);
	}
	return MHD_YES;
}

static enum MHD_Result access_handler(void *cls, struct MHD_Connection *conn, const char *url,
				      const char *method, const char *version, const char *upload,
				      size_t *upload_size, void **con_cls)
{
	struct http_exchange *x = *con_cls;

	if (!x)
		return begin(cls, conn, url, method, version, con_cls);
	if (*upload_size > 0) {
		if (x->too_large)
			; /* read and dropped, so that the answer can arrive */
		else if (!buf_add(&x->body, upload, *upload_size))
			x->too_large = true;
		else if (x->by_and_by && !reserve(x, *upload_size))
			return MHD_NO;
		*upload_size = 0;
		return MHD_YES;
	}
	if (!x->answered)
		handle(x);
	return MHD_YES;
}

static void completed(void *cls, struct MHD_Connection *conn, void **con_cls,
		      enum MHD_RequestTerminationCode why)
{
	struct listener *l = cls;
	struct http_exchange *x = *con_cls;

	(void)conn;
	(void)why;
	if (!x)
		return;
	(void)pthread_mutex_lock(&l->server->lock);
	x->of->x = NULL;
	count_request(x->of, -1);
	(void)pthread_mutex_unlock(&l->server->lock);
	*con_cls = NULL;
	exchange_over(x);
}

/* The thread that takes up a connection stays with it.  Under the lock; NULL: more threads than
 * there should be. */
static struct worker *worker_of_this_thread(struct listener *l)
{
	pthread_t me = pthread_self();
	struct worker *unused = NULL;

	for (unsigned i = 0; i < l->n_workers; i++) {
		struct worker *w = &l->workers[i];

		if (w->n_connections == 0)
			unused = w;
		else if (pthread_equal(w->thread, me))
			return w;
	}
	if (unused)
		unused->thread = me;
	return unused;
}

static void connection_changed(void *cls, struct MHD_Connection *conn, void **socket_context,
			       enum MHD_ConnectionNotificationCode what)
{
	struct listener *l = cls;
	struct http_server *s = l->server;
	struct connection *c = *socket_context;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *i = MHD_get_connection_info(
			conn, MHD_CONNECTION_INFO_CONNECTION_FD);

		c = xcalloc(1, sizeof(*c));
		c->fd = i ? i->connect_fd : -1;
		read_peer(c, conn);
		c->since_ns = clock_mono_ns();
		(void)pthread_mutex_lock(&s->lock);
		c->next = s->connections;
		if (c->next)
			c->next->prev = c;
		s->connections = c;
		c->worker = worker_of_this_thread(l);
		if (c->worker)
			c->worker->n_connections++;
		(void)pthread_mutex_unlock(&s->lock);
		atomic_fetch_add(&s->n_connections, 1);
		*socket_context = c;
	} else if (c) {
		(void)pthread_mutex_lock(&s->lock);
		if (c->prev)
			c->prev->next = c->next;
		else
			s->connections = c->next;
		if (c->next)
			c->next->prev = c->prev;
		if (c->worker)
			c->worker->n_connections--;
		if (c->worker && c->worker->last == c)
			c->worker->last = NULL; /* its memory may be another's */
		(void)pthread_mutex_unlock(&s->lock);
		atomic_fetch_sub(&s->n_connections, 1);
		free(c);
		*socket_context = NULL;
	}
}

/* Will no more bytes come?  The edge-triggered loop of libmicrohttpd may miss an end that came
 * together with the last of them. */
static bool has_ended(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void http_server_tick(struct http_server *s)
{
	uint64_t now = clock_mono_ns();

	/* The descriptor is still the connection's while it is on the list: closing comes after the
	 * notification that takes it off. */
	(void)pthread_mutex_lock(&s->lock);
	for (const struct connection *c = s->connections; c; c = c->next) {
		bool answering = c->x && atomic_load(&c->x->answered);
		/* whole: the handler or the writer takes the time it needs */
		bool waiting = c->x && !answering && atomic_load(&c->x->state) != READING;
		unsigned most = answering ? s->c.limits.answer_s : s->c.limits.idle_s;
		uint64_t silent_ns = now > c->since_ns ? now - c->since_ns : 0;

		if (waiting || c->fd < 0)
			continue;
		if (!answering && silent_ns > HALF_CLOSED_S * 1000000000ULL && has_ended(c->fd))
			most = 0;
		if (silent_ns > (uint64_t)most * 1000000000U)
			(void)shutdown(c->fd, SHUT_RDWR);
	}
	(void)pthread_mutex_unlock(&s->lock);
}

unsigned http_server_connections(const struct http_server *s)
{
	return atomic_load(&s->n_connections);
}

/* ---- start and stop ---- */

static int listen_unix(const struct http_listen *l, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(l->unix_path) >= sizeof(a.sun_path))
		return err_set(e, -ENAMETOOLONG,
			       "the socket's path %s is longer than %zu bytes; use a "
			       "state folder with a shorter name",
			       l->unix_path, sizeof(a.sun_path) - 1);
	memcpy(a.sun_path, l->unix_path, strlen(l->unix_path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(e, "cannot make a socket");
	(void)unlink(l->unix_path);
	/* Linux makes the file with the mode of the unbound socket: nobody gets in before chmod */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    chmod(l->unix_path, 0600) < 0 || listen(fd, BACKLOG) < 0) {
		(void)err_sys(e, "cannot listen on the socket %s", l->unix_path);
		(void)close(fd);
		return e ? e->code : -EIO;
	}
	return fd;
}

static int listen_tcp(const struct http_listen *l, struct err *e)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(l->port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(l->port)};
	bool is6 = inet_pton(AF_INET, l->address, &v4.sin_addr) != 1;
	const int one = 1;
	int fd, r;

	if (is6 && inet_pton(AF_INET6, l->address, &v6.sin6_addr) != 1)
		return err_set(e, -EINVAL, "'%s' is not a numeric address", l->address);
	fd = socket(is6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(e, "cannot make a socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (is6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	r = is6 ? bind(fd, (struct sockaddr *)&v6, sizeof(v6))
		: bind(fd, (struct sockaddr *)&v4, sizeof(v4));
	if (r < 0 || listen(fd, BACKLOG) < 0) {
		if (errno == EADDRINUSE)
			(void)err_set(e, -EADDRINUSE,
				      "cannot listen on %s port %u: it is in use by "
				      "another process; stop that or choose another port",
				      l->address, l->port);
		else
			(void)err_sys(e, "cannot listen on %s port %u", l->address, l->port);
		(void)close(fd);
		return e ? e->code : -EIO;
	}
	return fd;
}

static int start(struct http_server *s, struct listener *l, const struct http_listen *what,
		 unsigned threads, struct err *e)
{
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_MEM_CERT,                                        0, (void *)(uintptr_t)s->c.cert_pem},
		{MHD_OPTION_HTTPS_MEM_KEY,                                         0, (void *)(uintptr_t)s->c.key_pem },
		{MHD_OPTION_HTTPS_PRIORITIES,                                      0,
		 (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"                                     },
		{s->c.client_ca_pem ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0,
		 (void *)(uintptr_t)s->c.client_ca_pem								},
		{MHD_OPTION_END,						   0, NULL                            },
	};
	struct MHD_OptionItem pool[] = {
  /* a pool of one is refused: that is the internal thread itself */
		{threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)threads,
		 NULL									       },
		{MHD_OPTION_END,					     0,                 NULL},
	};
	struct MHD_OptionItem none[] = {
		{MHD_OPTION_END, 0, NULL}
        };
	int fd = what->unix_path ? listen_unix(what, e) : listen_tcp(what, e);

	if (fd < 0)
		return fd;
	l->server = s;
	l->n_workers = threads;
	l->workers = xcalloc(threads, sizeof(*l->workers));
	l->private = what->unix_path != NULL;
	if (what->unix_path)
		l->unix_path = xstrdup(what->unix_path);
	if (what->tls)
		flags |= MHD_USE_TLS;
	l->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, access_handler, l, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_NOTIFY_COMPLETED, completed, l, MHD_OPTION_NOTIFY_CONNECTION,
		connection_changed, l, MHD_OPTION_CONNECTION_LIMIT, s->c.limits.connections,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, s->c.limits.connections_per_ip,
		MHD_OPTION_CONNECTION_TIMEOUT, s->c.limits.stall_s,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, s->c.limits.head_bytes, MHD_OPTION_ARRAY,
		what->tls ? tls : none, MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
	if (!l->daemon) {
		(void)close(fd);
		free(l->unix_path);
		free(l->workers);
		return err_set(e, -EIO,
			       "cannot serve on %s%s: the certificate or its key is not usable, "
			       "or no thread could be made",
			       what->unix_path ? what->unix_path : what->address,
			       what->tls ? " over TLS" : "");
	}
	return 0;
}

int http_server_new(const struct http_server_config *c, struct http_server **ret, struct err *e)
{
	struct http_server *s = xcalloc(1, sizeof(*s));
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	s->c = *c;
	if (!s->c.limits.connections)
		s->c.limits.connections = 4096;
	if (!s->c.limits.idle_s)
		s->c.limits.idle_s = 60;
	if (!s->c.limits.stall_s)
		s->c.limits.stall_s = 60;
	if (!s->c.limits.answer_s)
		s->c.limits.answer_s = 900;
	if (!s->c.limits.head_bytes)
		s->c.limits.head_bytes = 32U << 10;
	if (!s->c.limits.body_bytes)
		s->c.limits.body_bytes = 8U << 20;
	if (!s->c.limits.stranger_bytes)
		s->c.limits.stranger_bytes = 64U << 10;
	if (!s->c.limits.all_bodies_bytes)
		s->c.limits.all_bodies_bytes = 512U << 20;
	if (!s->c.limits.arena_bytes)
		s->c.limits.arena_bytes = 64U << 20;
	(void)pthread_mutex_init(&s->lock, NULL);
	s->listeners = xcalloc(c->n_listen ? c->n_listen : 1, sizeof(*s->listeners));
	for (size_t i = 0; i < c->n_listen; i++) {
		unsigned threads = c->threads ? c->threads : cpus > 0 ? (unsigned)cpus : 1;
		int r = start(s, &s->listeners[i], &c->listen[i],
			      c->listen[i].unix_path ? 1 : threads, e);

		if (r < 0) {
			http_server_free(s);
			return r;
		}
		s->n++;
	}
	*ret = s;
	return 0;
}

void http_server_free(struct http_server *s)
{
	const struct timespec ms = {.tv_nsec = 1000000};

	if (!s)
		return;
	atomic_store(&s->stopping, true);
	/* Nobody new from now on; the descriptors are in the hands of libmicrohttpd's threads until these
	 * have ended, and closed only then. */
	for (size_t i = 0; i < s->n; i++) {
		s->listeners[i].quiet_fd = MHD_quiesce_daemon(s->listeners[i].daemon);
		if (s->listeners[i].quiet_fd >= 0)
			(void)shutdown(s->listeners[i].quiet_fd, SHUT_RDWR);
	}
	for (int i = 0; i < STOP_MS && atomic_load(&s->n_exchanges) > 0; i++)
		(void)nanosleep(&ms, NULL);
	for (size_t i = 0; i < s->n; i++) {
		MHD_stop_daemon(s->listeners[i].daemon);
		if (s->listeners[i].quiet_fd >= 0)
			(void)close(s->listeners[i].quiet_fd);
		if (s->listeners[i].unix_path)
			(void)unlink(s->listeners[i].unix_path);
		free(s->listeners[i].unix_path);
		free(s->listeners[i].workers);
	}
	while (s->kept) {
		struct http_exchange *x = s->kept;

		s->kept = x->next;
		exchange_free(x);
	}
	(void)pthread_mutex_destroy(&s->lock);
	free(s->listeners);
	free(s);
}
