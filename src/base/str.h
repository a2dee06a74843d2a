/* SPDX-License-Identifier: Apache-2.0 */
/*
 * str.h - strict, locale-free text: numbers, hex, ASCII case, UTF-8
 *
 * "Strict" means: the whole text must be the thing, no blanks, no sign unless
 * the type has one, no overflow.
 *
 * Depends on: base.h.  Threads: no state.
 */
#pragma once

#include "base/base.h"

/* Whole text as decimal; false when it isn't one or lies above max. */
bool str_u64(const char *s, size_t n, uint64_t max, uint64_t *ret) MUST_CHECK;
bool str_i64(const char *s, size_t n, int64_t min, int64_t max, int64_t *ret) MUST_CHECK;
/* Whole text as 1..16 hex digits without prefix. */
bool str_hex64(const char *s, size_t n, uint64_t *ret) MUST_CHECK;

/* v in decimal to at[0..20], not terminated; returns the length. */
size_t str_put_u64(char at[static 20], uint64_t v);

static inline char str_lower_c(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* ASCII case folded; CIM names are compared so (DSP0004 §5.3). */
int str_casecmp(const char *a, const char *b);
bool str_caseeq(const char *a, const char *b);
bool str_caseeqn(const char *a, size_t na, const char *b); /* a[0..na] against all of b */
uint64_t str_casehash(const char *s, size_t n);
uint64_t str_hash(const void *p, size_t n);
bool str_starts(const char *s, const char *prefix);

/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms), and in addition
 * only characters that XML 1.0 allows.  ret_chars (may be NULL): code points. */
bool str_utf8(const char *s, size_t n, size_t *ret_chars);
bool str_utf8_xml(const char *s, size_t n);
/* Does UTF-8 text contain a control character (U+0000-1F, 7F-9F)? */
bool str_has_control(const char *s, size_t n);
