/* SPDX-License-Identifier: Apache-2.0 */
/*
 * basic.h - user and password of a Basic Authorization header (RFC 7617)
 *
 * "Basic" in any case, blanks, base64 (RFC 4648 §4; its padding may be left out, but not be wrong)
 * and nothing behind, in it a colon and no NUL.
 *
 * Depends on: base.  Threads: no state.
 */
#pragma once

#include "base/base.h"

/* room: strlen(header) + 1 bytes, into which the results point.  false: not that; room holds
 * whatever. */
bool http_basic_parse(const char *header, char *room, const char **ret_user,
		      const char **ret_password) MUST_CHECK;
