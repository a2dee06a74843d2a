/* SPDX-License-Identifier: Apache-2.0 */
/*
 * users.h - the server's own accounts: who may read, who may change
 *
 * One file, "users" in the state folder, mode 0600, a line an account: NAME:ROLE:HASH, the
 * hash made by libxcrypt (yescrypt), or "!" for an account without a password (which a client
 * certificate of that name opens).  It is written whole to another file, synced and renamed, and
 * belongs to whom the folder belongs to, also when root writes it.  A running server notices a new
 * file by itself and says in the log (room audit) what has changed.
 *
 * Names that the file doesn't have may be asked of PAM, by way of a helper (helper.h): the file goes
 * first, so an account in it can neither be opened nor shadowed by the host's account of that name.
 *
 * Zero means denied: a zeroed role is nobody.
 *
 * Depends on: base, libcrypt, GnuTLS.  Threads: users_check, users_known and users_tick from any;
 * the functions that change the file from any process (a lock on its folder keeps them apart).
 */
#pragma once

#include "base/err.h"

enum users_role { USERS_NOBODY = 0, USERS_READ, USERS_ADMIN };
enum { USERS_NAME_MAX = 64, USERS_PASSWORD_MAX = 256, USERS_MAX = 10000 };

struct users;

/* path is copied; a file that isn't there means no accounts.  A malformed file is refused. */
int users_open(const char *path, struct users **ret, struct err *e) MUST_CHECK;
void users_close(struct users *u);

enum users_answer {
	USERS_DENIED,    /* zero: unknown name or wrong password, both take the same time */
	USERS_THROTTLED, /* too many failures from that peer; not even looked at */
	USERS_GRANTED,
	USERS_UNKNOWN,   /* of users_recall only */
	USERS_UNAVAILABLE, /* PAM did not answer: nobody is let in, nobody is blamed */
};
/*
 * Is it he, and what may he do?  Slow (tens of milliseconds) the first time; a right answer is
 * remembered for a minute and that peer, as a keyed digest, never as the password.  After three
 * failures in a row a peer waits 1, 2, 4, ... up to 30 s; what is remembered is still let in, but
 * whoever uses that to go on guessing waits like everyone.  Failures are logged, and so is the
 * begin of each wait.  peer: an address without its port; all of an IPv6 /64 is one peer.
 */
enum users_answer users_check(struct users *u, const char *name, const char *password,
			      const char *peer, enum users_role *ret_role);
/* The same as far as it can be said at once; USERS_UNKNOWN: users_check has to say. */
enum users_answer users_recall(struct users *u, const char *name, const char *password,
			       const char *peer, enum users_role *ret_role);
/* The role of somebody who has shown otherwise who he is (a verified client certificate). */
enum users_answer users_known(struct users *u, const char *name, const char *peer,
			      enum users_role *ret_role);
/* Have PAM asked for names that the file does not have: socket (copied) is the helper's.  Before the
 * first check. */
void users_use_pam(struct users *u, const char *socket);
/* Would users_check ask PAM for that name?  Then it takes as long as PAM's modules like. */
bool users_is_elsewhere(struct users *u, const char *name);
/* Look whether the file has changed; call about once a second. */
void users_tick(struct users *u);

/* Add an account or change it / remove it, durably.  -EINVAL: a name or password that can't be;
 * -ENOENT: no such account.  password NULL: none opens the account. */
int users_set(const char *path, const char *name, enum users_role role, const char *password,
	      struct err *e) MUST_CHECK;
/* Another password for an account that is there; its role stays. */
int users_passwd(const char *path, const char *name, const char *password,
		 struct err *e) MUST_CHECK;
int users_remove(const char *path, const char *name, struct err *e) MUST_CHECK;

/* May an account be called so?  No blanks, ':' or '#', nor '(' in front. */
bool users_name_ok(const char *name);
const char *users_role_name(enum users_role r); /* "nobody", "read", "admin" */
bool users_role_parse(const char *s, enum users_role *ret) MUST_CHECK;
