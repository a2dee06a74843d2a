/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look.h - the kernel target's sessions and statistics
 *
 * The kernel tells of a session only below its initiator's ACL.  For an initiator that has come
 * in without one it is made (the kernel turns its own, dynamic one into it; the session goes
 * on) and is given every logical unit.  Of several sessions of one initiator with one port the
 * kernel shows the newest; the others are known from before, or counted.
 *
 * Depends on: base, san, engine, tree, facts, sockets.  Threads: one owner.
 */
#pragma once

#include "engine/engine.h"
#include "engine/lio/tree.h"

struct look;

struct look *look_new(struct tree *t, engine_notify *notify, void *ctx) MUST_CHECK;
void look_free(struct look *l); /* NULL is fine */

/* What has come, changed and gone since the last time is told. */
void look_round(struct look *l, const struct san_state *s);
/* The same, giving the kernel a moment to put away those who are logging out. */
void look_closely(struct look *l, const struct san_state *s);
/* Whatever is there is told anew by the next round. */
void look_forget(struct look *l);

/* Is anybody logged in to the node, now? */
bool look_has_session(struct look *l, const struct san_state *s, const char *iqn);

/* Addresses that sessions of a port come from / go to, as far as they are known. */
enum look_who { LOOK_NOBODY, LOOK_THIS, LOOK_OTHER, LOOK_BOTH };
/* Whose is a connection: a session's of this port, of another port's, of either? */
enum look_who look_whose(const struct look *l, const char *iqn, uint16_t tpgt, const char *peer,
			 const char *peer_address);
/* Ends every session of the initiators at an address (NULL: at any) with the port. */
void look_end(struct look *l, const char *iqn, uint16_t tpgt, const char *peer_address);

void look_stats(struct look *l, const struct san_state *s, struct engine_stats *ret);
