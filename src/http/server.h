/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - HTTP requests in, answers out; what they are about is others' business
 *
 * libmicrohttpd below: an epoll loop per thread, keep-alive, TLS through GnuTLS.  A request
 * comes to handle() whole (its body within the limit).  The handler answers at once with bytes
 * or with a stream that is pulled as the client takes it, or puts the exchange off and is
 * called again after http_wake().
 *
 * Depends on: base, libmicrohttpd.
 * Threads: handle, fill and done of one exchange are never called at the same time; different
 * exchanges are on different threads.  http_wake may be called from any thread.
 */
#pragma once

#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct http_server;
struct http_exchange;

struct http_listen {
	const char *address; /* numeric, IPv6 without brackets; NULL for a Unix socket */
	uint16_t port;
	bool tls;
	const char *unix_path; /* made anew, mode 0600 */
};

/* Limits: each has a default (0) and a documented answer. */
struct http_limits {
	unsigned connections;        /* 4096; more wait to be accepted */
	unsigned connections_per_ip; /* 0: no limit of their own */
	unsigned idle_s;             /* 60: a connection without a complete request is closed */
	unsigned stall_s;            /* 60: an answer that the client does not take is given up */
	unsigned answer_s;           /* 900: an answer that is taken drop by drop ends, too */
	size_t head_bytes;           /* 64 KiB: a connection's memory; a longer head: 431, 414 */
	size_t body_bytes;           /* 8 MiB: 413 */
	size_t stranger_bytes;       /* 64 KiB: a longer body is read only if check agrees */
	size_t all_bodies_bytes;     /* 512 MiB: of all connections together; 503 */
	size_t arena_bytes;          /* 64 MiB: of one exchange's memory */
};

struct http_server_config {
	const struct http_listen *listen;
	size_t n_listen;
	const char *cert_pem, *key_pem; /* for tls */
	const char *client_ca_pem;      /* ask clients for certificates signed by these; or NULL */
	unsigned threads;               /* 0: one per processor */
	struct http_limits limits;
	/* Called when the headers of a request with a long body are there: answers (401), or does
	 * nothing, and the body is read.  So nobody fills our memory without a password.  Short
	 * bodies are read in any case: a client that is answered while it writes may never see the
	 * answer.  NULL: all may. */
	void (*check)(void *ctx, struct http_exchange *x);
	void (*handle)(void *ctx, struct http_exchange *x);
	void *ctx;
};

/* Listens on everything or on nothing.  -EADDRINUSE and the like with a sentence. */
int http_server_new(const struct http_server_config *c, struct http_server **ret,
		    struct err *e) MUST_CHECK;
/* No new requests; those under way are finished, for at most half a minute; then freed. */
void http_server_free(struct http_server *s);
/* Close connections that have been silent or slow for too long; call about once a second. */
void http_server_tick(struct http_server *s);
unsigned http_server_connections(const struct http_server *s);

/* ---- the request; all borrowed until done ---- */
const char *http_method(const struct http_exchange *x);                   /* "POST" */
const char *http_url(const struct http_exchange *x);                      /* "/cimom" */
const char *http_version(const struct http_exchange *x);                  /* "HTTP/1.1" */
const char *http_header(const struct http_exchange *x, const char *name); /* NULL: absent */
/* Every header as it came, also those that came twice. */
void http_each_header(const struct http_exchange *x,
		      void (*each)(void *ctx, const char *name, const char *value), void *ctx);
const char *http_body(const struct http_exchange *x, size_t *ret_len);
bool http_body_too_large(const struct http_exchange *x);
const char *http_peer(const struct http_exchange *x); /* "127.0.0.1:40312", "local socket" */
/* The peer's address without its port. */
const char *http_peer_address(const struct http_exchange *x);
bool http_peer_is_loopback(const struct http_exchange *x);
bool http_is_private(const struct http_exchange *x);        /* came through a Unix socket */
/* Is nobody else served by the thread that handles it: no other request is under way, or has been
 * for a tenth of a second, and another thread can take newcomers?  Then hardly anybody waits while
 * the handler does, as it may for a millisecond or two. */
bool http_is_alone(const struct http_exchange *x);
bool http_has_authorization(const struct http_exchange *x); /* of whatever kind */
/* User and password of Basic authentication, in the exchange's arena; false: none given, not
 * well-formed, or given twice. */
bool http_basic(struct http_exchange *x, const char **ret_user, const char **ret_password);
/* The common name of the client's certificate, which is verified here against client_ca_pem and has
 * to be one for TLS clients; NULL: none such. */
const char *http_client_name(struct http_exchange *x);

/* Memory with the exchange's lifetime. */
struct arena *http_arena(struct http_exchange *x);
/* A buffer with the exchange's lifetime whose bytes may be answered without copying. */
struct buf *http_out(struct http_exchange *x);
/* The handler's own; done is called when the exchange is over, whatever became of it. */
void http_set_context(struct http_exchange *x, void *ctx, void (*done)(void *ctx));
void *http_context(const struct http_exchange *x);

/* ---- the answer ---- */
struct http_field {
	const char *name, *value;
};
/* Content-Length, written in one go with the head.  body must live until done (a literal, the
 * arena, http_out). */
void http_answer(struct http_exchange *x, unsigned status, const struct http_field *f, size_t n,
		 const char *body, size_t len);
/* Chunked.  fill writes up to max bytes: > 0 how many, 0 the end, < 0 give up (the connection is
 * closed so that the client can't take the part for the whole). */
void http_stream(struct http_exchange *x, unsigned status, const struct http_field *f, size_t n,
		 ssize_t (*fill)(void *ctx, char *at, size_t max), void *ctx);
/* Returning from handle without an answer puts the exchange off until http_wake, which may come
 * before handle has returned; then handle is called again. */
void http_wake(struct http_exchange *x);
