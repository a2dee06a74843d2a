/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert.h - the server's own certificate, made at first start
 *
 * A self-signed ECDSA P-256 certificate with the host's names and addresses as subject
 * alternative names, in DIR/tls/cert.pem and DIR/tls/key.pem (0600).  Files that are there
 * already are used as they are, so an administrator can put his own in their place.
 *
 * Depends on: base, GnuTLS.  Threads: one (start-up).
 */
#pragma once

#include "base/err.h"

struct cert {
	char *cert_pem, *key_pem; /* NUL-terminated */
};

/* names: host names and numeric addresses that clients will use.  On success *ret is the
 * caller's, to be given to cert_done. */
int cert_ensure(const char *state_dir, const char *const *names, size_t n_names, int64_t now_us,
		struct cert *ret, struct err *e) MUST_CHECK;
void cert_done(struct cert *c); /* wipes the key */
/* Has cert_ensure a certificate already? */
bool cert_is_there(const char *state_dir);

/* The text of a PEM file with at least one certificate: the authorities that clients' certificates
 * may come from.  NULL with e filled; otherwise the caller frees. */
char *cert_read_authorities(const char *path, struct err *e) MUST_CHECK;
