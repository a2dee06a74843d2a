/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "scsi/range.h"
#include "test.h"

static struct range *granted_last;
static unsigned granted_n;

static void granted(struct range *r)
{
	granted_last = r;
	granted_n++;
}

static bool lock(struct ranges *rs, struct range *r, enum range_kind kind, uint64_t first,
		 uint64_t len)
{
	return range_lock(rs, r, kind, (unsigned)first, first, len);
}

TEST(shared_holders_never_wait_for_each_other)
{
	struct ranges rs;
	struct range a, b;

	ranges_init(&rs, granted);
	CHECK(lock(&rs, &a, RANGE_SHARED, 0, 10));
	CHECK(lock(&rs, &b, RANGE_SHARED, 5, 10));
	range_unlock(&rs, &a);
	range_unlock(&rs, &b);
	ranges_done(&rs);
}

TEST(an_exclusive_one_waits_for_overlapping_holders_of_any_shard_and_for_no_others)
{
	struct ranges rs;
	struct range a, b, c, x;

	ranges_init(&rs, granted);
	granted_n = 0;
	CHECK(lock(&rs, &a, RANGE_SHARED, 0, 10));
	CHECK(lock(&rs, &b, RANGE_SHARED, 9, 10));
	CHECK(lock(&rs, &c, RANGE_SHARED, 20, 10));
	CHECK(!lock(&rs, &x, RANGE_EXCLUSIVE, 5, 15));
	range_unlock(&rs, &c);
	range_unlock(&rs, &a);
	CHECK_INT(granted_n, 0);
	range_unlock(&rs, &b);
	CHECK_INT(granted_n, 1);
	CHECK(granted_last == &x);
	CHECK(lock(&rs, &a, RANGE_SHARED, 20, 1)); /* behind its end */
	CHECK(!lock(&rs, &b, RANGE_SHARED, 19, 1));
	range_unlock(&rs, &x);
	CHECK(granted_last == &b);
	range_unlock(&rs, &a);
	range_unlock(&rs, &b);
	CHECK_INT(rs.n_exclusive, 0);
	ranges_done(&rs);
}

TEST(who_waits_is_not_overtaken)
{
	struct ranges rs;
	struct range a, b, x, y;

	ranges_init(&rs, granted);
	granted_n = 0;
	CHECK(lock(&rs, &a, RANGE_SHARED, 0, 10));
	CHECK(!lock(&rs, &x, RANGE_EXCLUSIVE, 0, 10));
	CHECK(!lock(&rs, &b, RANGE_SHARED, 0, 10)); /* or a stream of readers would starve x */
	CHECK(!lock(&rs, &y, RANGE_EXCLUSIVE, 0, 10));
	range_unlock(&rs, &a);
	CHECK(granted_n == 1 && granted_last == &x);
	range_unlock(&rs, &x);
	CHECK(granted_n == 2 && granted_last == &b);
	range_unlock(&rs, &b);
	CHECK(granted_n == 3 && granted_last == &y);
	range_unlock(&rs, &y);
	ranges_done(&rs);
}

TEST(who_will_not_wait_holds_at_once_or_not_at_all)
{
	struct ranges rs;
	struct range a, b, x;

	ranges_init(&rs, granted);
	CHECK(range_try_shared(&rs, &a, 0, 0, 10));
	CHECK(!lock(&rs, &x, RANGE_EXCLUSIVE, 0, 10));
	CHECK(!range_try_shared(&rs, &b, 0, 100, 10));
	range_unlock(&rs, &a);
	range_unlock(&rs, &x);
	CHECK(range_try_shared(&rs, &b, 0, 0, 10));
	range_unlock(&rs, &b);
	ranges_done(&rs);
}

TEST(the_whole_unit_can_be_held)
{
	struct ranges rs;
	struct range a, x;

	ranges_init(&rs, granted);
	CHECK(lock(&rs, &x, RANGE_EXCLUSIVE, 0, UINT64_MAX));
	CHECK(!lock(&rs, &a, RANGE_SHARED, UINT64_MAX - 10, 5));
	range_unlock(&rs, &x);
	range_unlock(&rs, &a);
	ranges_done(&rs);
}
