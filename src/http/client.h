/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - one HTTP conversation with one server
 *
 * The connection is kept between calls.  Certificates are verified unless told otherwise;
 * redirects are not followed (they would carry the password along) and proxies from the
 * environment not used; the answer is handed on as it arrives, and every call has an end in time
 * and in bytes.
 *
 * Depends on: base, libcurl (loaded for the first URL that is no Unix socket).  Threads: a client
 * belongs to one thread; the abandon flag may be set from any.
 */
#pragma once

#include <stdatomic.h>

#include "base/arena.h"
#include "base/err.h"

struct http_client;

/* Copied.  NULL and 0: default. */
struct http_client_config {
	const char *url;                  /* "https://array:5989" or with a path; no user in it */
	const char *unix_path;            /* go to this socket instead of the URL's host */
	const char *user, *password;      /* Basic (RFC 7617); sent at once, not only after a 401 */
	const char *ca_file;              /* PEM; instead of the system's authorities */
	const char *cert_file, *key_file; /* our own certificate */
	bool insecure;                    /* accept any certificate and name */
	unsigned connect_ms;              /* default 10000 */
};

int http_client_new(const struct http_client_config *c, struct http_client **ret,
		    struct err *e) MUST_CHECK;
void http_client_free(struct http_client *c);
DEFINE_AUTO(http_client, http_client_free)

struct http_call {
	const char *method;         /* "POST" */
	const char *const *headers; /* "Name: value", NULL at the end */
	const char *body;
	size_t n;
	unsigned timeout_ms;        /* from here to the last byte; default 60000 */
	uint64_t answer_bytes;      /* most that may come; default 1 GiB */
	const atomic_bool *abandon; /* turns true: give up (seen within a second); or NULL */
	void *ctx;
	/* Called in this order.  A negative return ends the call with that error, and e filled. */
	int (*status)(void *ctx, unsigned status, struct err *e);                     /* or NULL */
	int (*header)(void *ctx, const char *name, const char *value, struct err *e); /* or NULL */
	int (*bytes)(void *ctx, const char *p, size_t n, struct err *e);
};
/*
 * 0: there was an answer, whatever its status.  -ECONNREFUSED, -EHOSTUNREACH (no such host),
 * -ETIMEDOUT, -EKEYREJECTED (certificate), -EFBIG, -ECANCELED, -EPIPE (broken off), -EIO; or what
 * a callback returned.
 */
int http_client_call(struct http_client *c, const struct http_call *call, struct err *e) MUST_CHECK;
/* The address that the last call went to, "" when it got nowhere or to a socket file.  Until the
 * next call. */
const char *http_client_peer(const struct http_client *c);
