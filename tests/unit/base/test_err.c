/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/err.h"
#include "test.h"

TEST(each_level_puts_its_place_in_front)
{
	struct err e = {0};

	errno = ENOENT;
	CHECK_INT(err_sys(&e, "open %s", "x"), -ENOENT);
	CHECK_INT(err_in(&e, "state %s", "/s"), -ENOENT);
	CHECK_STR(e.text, "state /s: open x: No such file or directory");
}

TEST(the_cause_is_never_cut)
{
	struct err e = {0};
	char big[1000];

	memset(big, 'y', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	err_set(&e, -EIO, "the cause");
	err_in(&e, "%s", big);
	CHECK_INT(strlen(e.text), sizeof(e.text) - 1);
	CHECK_STR(e.text + strlen(e.text) - 9, "the cause");
}

TEST(nobody_listening_is_no_crash)
{
	CHECK_INT(err_set(NULL, -EINVAL, "x"), -EINVAL);
}
