/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h - GnuTLS, loaded when the first of its functions is called
 *
 * A server without --https, an initiator's target and most calls of the command line need no
 * TLS, and GnuTLS brings ten libraries with it: on a machine where a page fault is dear they are
 * half of the time from exec to main.  So its functions that are used here, by ourselves and by
 * libmicrohttpd (which is linked in for that reason: the shared one would bring GnuTLS along),
 * are defined in gnutls.c under their own names with GnuTLS's own prototypes.  The first call
 * loads libgnutls and looks them all up; each call is passed on.
 *
 * There is nothing to call or to know: who needs GnuTLS includes its headers.  Where it can't be
 * loaded, that is logged once and every function says GNUTLS_E_INTERNAL_ERROR, NULL or 0.
 *
 * Without a static libmicrohttpd (meson option tls_at_first_use) this room is empty, and both
 * libraries are linked as usual.
 *
 * Depends on: base.  Threads: any.
 */
#pragma once

#include <stdbool.h>

/* Has it been loaded?  For tests; always true where it is linked as usual. */
bool tls_is_loaded(void);
