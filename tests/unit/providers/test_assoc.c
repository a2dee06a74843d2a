/* SPDX-License-Identifier: Apache-2.0 */
/* Over the broker's own operations: what a client that joins whole classes in memory sees is what
 * one that walks sees. */
#include "../broker/assoc_check.h"
#include "box.h"
#include "gen/schema.h"

TEST(enumerating_and_walking_agree_for_every_association_of_the_model)
{
	static const struct cim_namespace *const ns[] = {&smiscsi_ns_iscsitarget,
							 &smiscsi_ns_interop};
	AUTO(box) b = box_new();

	box_furnish(b);
	CHECK_INT(assoc_check_all(b->broker, ns, ARRAY_SIZE(ns)) > 50, 1);
}
