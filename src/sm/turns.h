/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turns.h - turns at the processors: so many threads compute at once, in the order they came
 *
 * Taken for one piece of work (a few KiB of an answer, a join), never while waiting for a
 * provider.  In order, so that one whose provider sends without end can't push in again and
 * again before the others.
 *
 * Depends on: base.  Threads: any.
 */
#pragma once

struct turns;

struct turns *turns_new(unsigned at_once);
void turns_free(struct turns *t); /* nobody has or waits for one */
void turns_take(struct turns *t);
void turns_give(struct turns *t);
