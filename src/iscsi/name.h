/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name.h - iSCSI names (RFC 7143 section 4.2.7, RFC 3722)
 *
 * Depends on: base, GNU libidn (the stringprep profile "iSCSI").  Threads: no state.
 */
#pragma once

#include "base/err.h"

enum { ISCSI_NAME_MAX = 223 };

/*
 * Check a name and write its normalised form (lower case, NFKC), by which names are
 * compared.  -EINVAL with e filled when it is none.
 */
int iscsi_name_normalise(const char *name, char ret_name[static ISCSI_NAME_MAX + 1],
			 struct err *e) MUST_CHECK;
