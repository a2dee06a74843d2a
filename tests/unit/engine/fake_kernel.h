/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_kernel.h - a folder that answers as the kernel target's configfs does
 *
 * The test is linked with --wrap: whatever the engine does below the folder goes through the
 * rules that the real kernel was seen to have (which directories come by themselves, what is
 * refused and with which error).
 *
 * Threads: any; one lock.
 */
#pragma once

#include "base/base.h"

void fake_kernel_new(const char *dir); /* an empty target tree in dir, which exists */

/* The nth change from now on (1: the next) fails with code; 0: none.  Did it? */
void fake_kernel_fail(unsigned nth, int code);
bool fake_kernel_failed(void);
/* All from the nth on fail; 0: none any more. */
void fake_kernel_fail_from(unsigned nth, int code);
/* What has text in its path can't be removed; NULL: it can. */
void fake_kernel_stuck(const char *text);
/* Another process listens at "address:port"; NULL: nobody. */
void fake_kernel_taken(const char *portal);
/* Calls that name something with text in it do not come back until they are let go (NULL). */
void fake_kernel_hold(const char *text);

/* An initiator is logged in at tpg ("iscsi/IQN/tpgt_1"), dynamically; or out. */
void fake_kernel_login(const char *tpg, const char *initiator);
void fake_kernel_logout(const char *tpg, const char *initiator);

/* All directories, links, and what attributes say; the caller frees it. */
char *fake_kernel_print(void) MUST_CHECK;
