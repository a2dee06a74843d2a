/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.h - a word to the service manager (sd_notify(3): a datagram to $NOTIFY_SOCKET)
 *
 * Without a service manager nothing is said.  The protocol is a stable one, and libsystemd would
 * bring six libraries along for one sendto().
 *
 * Depends on: libc.  Threads: any.
 */
#pragma once

#include "base/err.h"

/* "READY=1\nSTATUS=..." */
int notify_manager(const char *text, struct err *e) MUST_CHECK;
