/* SPDX-License-Identifier: Apache-2.0 */
/*
 * be.h - big-endian numbers at any address, as every SCSI structure has them
 *
 * For fields whose place and size the caller has already checked; foreign lists of
 * variable shape are read with base/wire.h.
 *
 * Depends on: base.  Threads: no state.
 */
#pragma once

#include "base/base.h"

static inline uint64_t be_get(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static inline uint16_t be16(const uint8_t *p)
{
	return (uint16_t)be_get(p, 2);
}
static inline uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be_get(p, 4);
}
static inline uint64_t be64(const uint8_t *p)
{
	return be_get(p, 8);
}

static inline void be_put(uint8_t *p, size_t n, uint64_t v)
{
	for (size_t i = n; i-- > 0; v >>= 8)
		p[i] = (uint8_t)v;
}

static inline void be_put16(uint8_t *p, uint16_t v)
{
	be_put(p, 2, v);
}
static inline void be_put32(uint8_t *p, uint32_t v)
{
	be_put(p, 4, v);
}
static inline void be_put64(uint8_t *p, uint64_t v)
{
	be_put(p, 8, v);
}
