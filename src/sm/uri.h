/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uri.h - which provider a client means: "array1", "array1:5989", "https://array1:5989/cimom"
 *
 * Depends on: base.  Threads: no state.
 */
#pragma once

#include "base/err.h"

enum { SM_URI_MAX = 320, SM_HOST_MAX = 256, SM_ID_MAX = 17 };

struct sm_uri {
	char text[SM_URI_MAX];  /* "https://array1:5989": canonical; two names of one provider are
				   equal */
	char host[SM_HOST_MAX]; /* without brackets */
	uint16_t port;
	bool tls;
	char id[SM_ID_MAX]; /* 16 hex digits made of text: part of every ObjectId, and a file name
			     */
};

/* Without a scheme: https at port 5989, the ports of WBEM URIs (DSP0207) otherwise.  A user or
 * password in the URI is refused: it would be shown with the provider.  -EINVAL. */
int sm_uri_parse(const char *s, struct sm_uri *ret, struct err *e) MUST_CHECK;

/* The same with an address ("" unknown) in place of the host's name, which may be one itself;
 * false: no address is known, and ret is "". */
bool sm_uri_by_address(const struct sm_uri *u, const char *address, char ret[static SM_URI_MAX]);
