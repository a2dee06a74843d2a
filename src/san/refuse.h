/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refuse.h - what the rules' files share; inside the room only
 *
 * Depends on: rules.h.  Threads: no state.
 */
#pragma once

#include <errno.h>

#include "san/rules.h"

/* Say why, return the code. */
#define refuse(e, code, ...) (err_set((e), -EPERM, __VA_ARGS__), (uint32_t)(code))

/* How to call what a reference names. */
static inline const char *ref_text(const struct san_ref *r)
{
	return r->text ? r->text : "that was named";
}

/* A parameter that is NULL or names an object of another class than wanted. */
static inline uint32_t refuse_ref(struct err *e, uint32_t code, const char *parameter,
				  const struct san_ref *r, const char *wanted)
{
	if (r->kind == SAN_REF_NULL)
		return refuse(e, code, "%s is missing; it takes a reference to %s", parameter,
			      wanted);
	return refuse(e, code, "%s takes a reference to %s, not to %s", parameter, wanted,
		      ref_text(r));
}

int san_check_name(const char *what, const char *text, size_t max, struct err *e) MUST_CHECK;
void san_remove_port(const struct san_state *s, const struct san_port *p, struct san_changes *ch);
/* An address of 127.0.0.0/8 that lo does not list, but answers to. */
struct san_ip *san_loopback_ip(const char *address, int64_t now_us) MUST_CHECK;
