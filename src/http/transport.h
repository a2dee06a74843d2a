/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport.h - the two ways to a server: libcurl to any URL, and our own to a Unix socket
 *
 * Both do what client.h promises.  libcurl brings some thirty libraries with it, whose loading
 * takes longer than all of smiscsid's own start; it is loaded when it is first needed.
 *
 * Depends on: base.  Threads: as client.h says.
 */
#pragma once

#include "http/client.h"

struct http_remote;
int http_remote_new(const struct http_client_config *c, struct http_remote **ret,
		    struct err *e) MUST_CHECK;
int http_remote_call(struct http_remote *c, const struct http_call *call, struct err *e) MUST_CHECK;
void http_remote_free(struct http_remote *c);
const char *http_remote_peer(const struct http_remote *c);

struct http_local;
int http_local_new(const struct http_client_config *c, struct http_local **ret,
		   struct err *e) MUST_CHECK;
int http_local_call(struct http_local *c, const struct http_call *call, struct err *e) MUST_CHECK;
void http_local_free(struct http_local *c);
