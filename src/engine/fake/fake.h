/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake.h - an engine in memory, which fails on request
 *
 * It keeps what it is given and checks that it makes sense, listens nowhere and serves
 * nobody.  For tests, and for looking at the management side alone (--engine fake).
 *
 * Depends on: base, san, engine.  Threads: any; it has a lock of its own.
 */
#pragma once

#include "engine/engine.h"

struct fake_engine;

struct fake_engine *fake_engine_new(void) MUST_CHECK;
struct engine *fake_engine_engine(struct fake_engine *f); /* its ops free f */

/* Be one that may wait for others (engine_ops.at_once), as real ones are.  Before it is started. */
void fake_engine_wait(struct fake_engine *f);

/* The nth list given to apply from now on (1 = the next), or the next replace, comes out as
 * r.  ENGINE_TIMEOUT carries the list out all the same every other time, as a real
 * engine may, and then says ENGINE_UP. */
void fake_engine_fail(struct fake_engine *f, unsigned nth, enum engine_result r);
/* Go and come back: forgets everything, as a restarted target does. */
void fake_engine_crash(struct fake_engine *f);
void fake_engine_recover(struct fake_engine *f);

/* An initiator logs in at a port, or out.  login: 0 when nobody serves that. */
uint64_t fake_engine_login(struct fake_engine *f, const char *iqn, uint16_t tpgt,
			   const char *initiator);
void fake_engine_logout(struct fake_engine *f, uint64_t session);
/* The same, told of only when it is asked to refresh. */
void fake_engine_logout_quietly(struct fake_engine *f, uint64_t session);
/* What the next report says of a portal. */
void fake_engine_portal(struct fake_engine *f, const char *address, uint16_t tcp_port,
			enum san_listen listen, const char *why);

/* Is what it serves exactly what s says?  0, or -EUCLEAN and the difference. */
int fake_engine_check(struct fake_engine *f, const struct san_state *s, struct err *e) MUST_CHECK;
