/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login.h - passwords are checked on threads of their own
 *
 * A hash takes tens of milliseconds on purpose.  On the threads that serve clients, a flood of
 * logins would keep everybody else waiting; here it keeps only other logins waiting, and those
 * of one address not those of the others for long.  Names of which PAM is asked have threads of
 * their own: its modules may take as long as they like, and accounts of the file don't wait for them.
 *
 * Depends on: base, auth.  Threads: login_ask from any.
 */
#pragma once

#include "auth/users.h"

struct logins;

/* The asker's own, untouched until done is called (from a thread of ours, exactly once). */
struct login {
	const char *user, *password, *peer; /* peer: an address without its port */
	void (*done)(void *ctx);
	void *ctx;
	enum users_answer answer;
	enum users_role role;
	struct login *next_;
	uint64_t asked_ns_, due_ns_;
};

/* users is borrowed.  pam: users may ask PAM.  most: that may wait, in all and of one address; those
 * of PAM are counted by themselves. */
struct logins *logins_new(struct users *users, bool pam, unsigned most, unsigned most_of_peer);
/* All who asked have been answered: stop what asks before. */
void logins_free(struct logins *l);
/* false: too many are waiting, in all or of that address; done is not called. */
bool logins_ask(struct logins *l, struct login *one) MUST_CHECK;
