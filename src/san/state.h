/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - how a state is made of its indexes; inside the room only
 *
 * Depends on: san.h.  Threads: no state.
 */
#pragma once

#include "san/san.h"

struct san_index_type {
	enum san_kind kind;           /* of the objects in it */
	const struct pset_type *type; /* their order */
	pset_key_cmp *of;             /* an owner against an item; NULL: has no owners */
};
extern const struct san_index_type san_index_types[SAN_INDEXES];

/* A copy that shares everything, with one reference: to be changed. */
struct san_state *san_state_copy(const struct san_state *s) MUST_CHECK;

/* What an object's measured fields must be in s, given the rest of s. */
void san_portal_measure(const struct san_state *s, struct san_portal *p);
void san_port_measure(const struct san_state *s, struct san_port *p);
void san_unit_measure(const struct san_state *s, struct san_unit *u);
