/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test.h - TEST(name) { ... } registers itself; CHECK_* print both values and go on
 *
 * Output is TAP, which meson reads.  Run one test with: test_keys a_name
 */
#pragma once

#include <inttypes.h>
#include <stdio.h>

#include "base/base.h"

struct test {
	const char *name;
	void (*fn)(void);
	struct test *next;
};

extern struct test *test_list;
extern int test_failures;

#define TEST(id)                                                          \
	static void test_##id(void);                                      \
	__attribute__((constructor)) static void test_register_##id(void) \
	{                                                                 \
		static struct test t = {#id, test_##id, NULL};            \
		t.next = test_list;                                       \
		test_list = &t;                                           \
	}                                                                 \
	static void test_##id(void)

#define CHECK(cond)                                                         \
	do {                                                                \
		if (!(cond)) {                                              \
			test_failures++;                                    \
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond); \
		}                                                           \
	} while (0)

#define CHECK_INT(got, want)                                                                   \
	do {                                                                                   \
		intmax_t g_ = (intmax_t)(got), w_ = (intmax_t)(want); \
		if (g_ != w_) {                                                                \
			test_failures++;                                                       \
			printf("# %s:%d: %s is %jd, want %jd\n", __FILE__, __LINE__, #got, g_, \
			       w_);                                                            \
		}                                                                              \
	} while (0)

/* NULL equals NULL only. */
#define CHECK_STR(got, want)                                                                 \
	do {                                                                                 \
		const char *g_ = (got), *w_ = (want);                                        \
		if (!g_ || !w_ ? g_ != w_ : !streq(g_, w_)) {                                \
			test_failures++;                                                     \
			printf("# %s:%d: %s is \"%s\", want \"%s\"\n", __FILE__, __LINE__,   \
			       #got, g_ ? g_ : "(null)", w_ ? w_ : "(null)");                \
		}                                                                            \
	} while (0)
