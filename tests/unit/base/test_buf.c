/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "test.h"

TEST(a_buffer_stops_at_its_maximum_and_keeps_what_it_had)
{
	auto_buf struct buf b = buf_of(5);

	CHECK(buf_adds(&b, "abc"));
	CHECK(!buf_adds(&b, "def"));
	CHECK(b.full);
	CHECK_STR(b.p, "abc");
	CHECK(buf_adds(&b, "de"));
	CHECK_STR(b.p, "abcde");
	CHECK(!buf_addc(&b, 'f'));
}

TEST(dropping_the_front_moves_the_rest_down)
{
	auto_buf struct buf b = buf_of(1 << 20);

	for (int i = 0; i < 1000; i++)
		CHECK(buf_addf(&b, "%04d", i));
	buf_drop(&b, 3996);
	CHECK_STR(b.p, "0999");
}

TEST(taking_leaves_an_empty_buffer)
{
	struct buf b = buf_of(100);
	auto_free char *p = NULL, *q = NULL;

	buf_adds(&b, "x");
	p = buf_take(&b);
	q = buf_take(&b);
	CHECK_STR(p, "x");
	CHECK_STR(q, "");
}
