/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refusal.h - a request that never became an operation: HTTP status and CIMError (DSP0200 §7.3)
 *
 * Depends on: base.  Threads: no state.
 */
#pragma once

#include "base/err.h"

struct cimxml_refusal {
	unsigned status;       /* HTTP status; 0: not refused */
	const char *cim_error; /* value of the CIMError header ("header-mismatch"), or NULL */
	const char *allow;     /* value of the Allow header (405), or NULL */
	struct err why;        /* for the body, the log and the PGErrorDetail header */
};
