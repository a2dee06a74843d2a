/* SPDX-License-Identifier: Apache-2.0 */
/* What the methods and the intrinsic changes do and refuse, asked through the broker. */
#include "box.h"
#include "test.h"

TEST(placeholder_of_methods)
{
	AUTO(box) b = box_new();

	box_furnish(b);
	CHECK_INT(box_count(b, VENDOR, "CIM_BindsTo"), 5);
}
