/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper.h - what smiscsid asks smiscsi-pam, and how
 *
 * PAM's modules want root; smiscsid has no privileges and can gain none.  So a small program of its
 * own (room pam) asks PAM, and smiscsid asks that program over a Unix socket of packets, one
 * request a connection:
 *
 *   request  "smiscsi-pam 1" NUL user NUL password NUL peer NUL
 *   answer   "admin", "read", "no", "expired" or "error"
 *
 * Whatever is not exactly that is answered by closing.  The roles come with the answer: they hang
 * on the host's groups, and looking those up may need what the sandbox keeps from smiscsid.
 *
 * Zero means denied.
 *
 * Depends on: base, users.h.  Threads: no state.
 */
#pragma once

#include "auth/users.h"

enum helper_answer {
	HELPER_NO = 0,  /* unknown, wrong password, locked, or in neither group */
	HELPER_EXPIRED, /* the right password of an account or a password that has expired */
	HELPER_ERROR,   /* could not be found out */
	HELPER_READ,
	HELPER_ADMIN,
};

enum {
	HELPER_PEER_MAX = 64,
	HELPER_REQUEST_MAX = 14 + USERS_NAME_MAX + 1 + USERS_PASSWORD_MAX + 1 + HELPER_PEER_MAX + 1,
	HELPER_ANSWER_MAX = 16,
};

struct helper_request { /* a password is in it: wipe it */
	char user[USERS_NAME_MAX + 1], password[USERS_PASSWORD_MAX + 1], peer[HELPER_PEER_MAX + 1];
};

/* The request's length; 0: one of the texts is none that may be asked. */
size_t helper_pack(const char *user, const char *password, const char *peer,
		   char ret[static HELPER_REQUEST_MAX]) MUST_CHECK;
bool helper_unpack(const void *packet, size_t n, struct helper_request *ret) MUST_CHECK;

const char *helper_answer_text(enum helper_answer a);
/* HELPER_ERROR for whatever is no answer. */
enum helper_answer helper_answer_parse(const void *packet, size_t n);

/* Ask whoever listens on the socket at path and wait for at most that long.  HELPER_ERROR with the
 * sentence when there is no answer. */
enum helper_answer helper_ask(const char *path, const char *user, const char *password,
			      const char *peer, unsigned seconds, struct err *e);
