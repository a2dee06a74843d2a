/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mofprint.h - class tables back as MOF, for people and for the test that mofc lost nothing
 *
 * Only what a class itself says is printed: features it declares and qualifiers it doesn't merely
 * inherit.  Qualifier flavors appear where they differ from the qualifier's declaration.  What is
 * printed, mofc reads back to the same tables.
 *
 * All append to b and return false when its maximum is reached.
 *
 * Depends on: base, cim.h.  Threads: no state.
 */
#pragma once

#include "base/buf.h"
#include "cim/cim.h"

bool cim_mof_qualdecl(struct buf *b, const struct cim_qualdecl *d);
/* s: where the qualifiers are declared. */
bool cim_mof_class(struct buf *b, const struct cim_schema *s, const struct cim_class *c);
