/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "test.h"

TEST(an_arena_never_holds_more_than_its_limit)
{
	AUTO(arena) a = arena_new(1000);

	CHECK(arena_alloc(a, 600) != NULL);
	CHECK(arena_alloc(a, 600) == NULL);
	CHECK(arena_full(a));
	CHECK(arena_alloc(a, SIZE_MAX) == NULL);
	arena_reset(a);
	CHECK(!arena_full(a));
	CHECK(arena_alloc(a, 1000) != NULL);
}

TEST(large_and_small_allocations_do_not_overlap)
{
	AUTO(arena) a = arena_new(1 << 20);
	char *p[64];

	for (size_t i = 0; i < 64; i++) {
		p[i] = arena_alloc(a, 16 + i * 200);
		CHECK(p[i] != NULL);
		memset(p[i], (int)i, 16 + i * 200);
	}
	for (size_t i = 0; i < 64; i++)
		for (size_t j = 0; j < 16 + i * 200; j++)
			if (p[i][j] != (char)i)
				test_failures++;
}

TEST(printf_makes_text_of_exact_length)
{
	AUTO(arena) a = arena_new(1 << 16);

	CHECK_STR(arena_printf(a, "%s,t,0x%04x", "iqn.x", 1U), "iqn.x,t,0x0001");
	CHECK_STR(arena_strndup(a, "abcdef", 3), "abc");
}

TEST(a_reset_arena_may_hold_as_much_as_a_new_one)
{
	AUTO(arena) a = arena_new(1 << 20);

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 1000; i++) {
			char *p = arena_alloc(a, 1000);

			CHECK(p != NULL);
			if (p)
				memset(p, round, 1000);
		}
		CHECK(arena_used(a) >= 1000 * 1000);
		CHECK(!arena_alloc(a, 1 << 19));
		arena_reset(a);
		CHECK_INT(arena_used(a), 0);
	}
}
