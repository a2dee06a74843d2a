/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - time: one call for deadlines, one for timestamps
 *
 * Depends on: base.h.  Threads: any.
 */
#pragma once

#include "base/base.h"

uint64_t clock_mono_ns(void); /* monotonic; for deadlines and durations only */
int64_t clock_wall_us(void);  /* microseconds since 1970 UTC; may jump */
