/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - what requests and answers share (inside cimxml only)
 *
 * Depends on: base.  Threads: see decode.h.
 */
#pragma once

#include "cimxml/xml.h"

struct cimxml_parser {
	struct cimxml_bounds bounds;
	struct xml outer; /* the message */
	struct xml inner; /* embedded instances, while outer still holds its place */
};
