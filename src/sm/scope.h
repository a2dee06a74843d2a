/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scope.h - what a discovery reads, and what of a provider's image it renews
 *
 * StartDiscovery names a level, PartialDiscovery a class.  Either way only the classes are read
 * from which those objects come (and those at the other ends of their links, which would lead
 * nowhere otherwise); what else the image has stays as it was.
 *
 * Depends on: base cim gen.  Threads: no state.
 */
#pragma once

#include "sm/harvest.h"
#include "sm/image.h"

struct sm_scope {
	uint64_t src;    /* bit per enum src_kind: to be read */
	uint32_t kinds;  /* bit per enum sm_kind: objects that are renewed */
	uint32_t assocs; /* bit per enum sm_assoc: links that are renewed */
};

_Static_assert(SRC_N <= 64 && SM_N_KINDS <= 32 && SM_N_ASSOCS <= 32, "a bit each");

enum { SCOPE_LEVEL_MAX = 3, SCOPE_FULL = 0, SCOPE_TYPE_MAX = 16 };

static inline bool scope_reads(const struct sm_scope *s, enum src_kind k)
{
	return s->src >> k & 1;
}

/* discoveryLevel: 0 system, 1 and pools, endpoints, initiators, 2 and volumes, groups, 3 and disk
 * drives. */
void scope_of_level(uint32_t level, struct sm_scope *ret);

/* partialDiscoveryType, but SCOPE_FULL.  false: there are no such objects here (fabric). */
bool scope_of_type(uint32_t type, struct sm_scope *ret);
/* "MSFT_SMPool"; NULL: as above. */
const char *scope_type_name(uint32_t type);
/* The level at which such objects are read. */
uint32_t scope_type_level(uint32_t type);
/* The type of an object by its kind; 0: PartialDiscovery has no type for it. */
uint32_t scope_type_of(enum sm_kind k);
