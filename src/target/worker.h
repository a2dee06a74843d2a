/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - the threads that serve initiators
 *
 * Depends on: base.  Threads: called on the main thread.
 */
#pragma once

#include "target/target.h"

int workers_start(struct target *t, unsigned n, struct err *e) MUST_CHECK;
void workers_stop(struct target *t); /* every connection is closed, every thread ended */
