/* SPDX-License-Identifier: Apache-2.0 */
/*
 * class.h - class tables as CLASS and QUALIFIER.DECLARATION elements (inside cimxml only)
 *
 * Depends on: base cim.  Threads: no state.
 */
#pragma once

#include "cimxml/encode.h"
#include "cimxml/writer.h"

/* an: wants, local_only, include_quals, include_origin. */
void class_write(struct writer *w, const struct cim_class *c, const struct cimxml_answer *an);
/* Just the properties that are wanted: what the rows of a query have. */
void class_rows_write(struct writer *w, const struct cim_class *c, const struct cimxml_answer *an);
void class_qualdecl_write(struct writer *w, const struct cim_qualdecl *q);
