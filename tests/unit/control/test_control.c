/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

TEST(a_node_with_a_port_is_durable_live_and_published)
{
	struct rig r = {0};
	struct err e = {0};

	rig_new(&r);
	{
		AUTO(san_state) s = control_state_get(r.c);
		const struct san_portal *p = san_portal_by_text(s, "10.0.0.1:3260");
		struct op node = {.rule = op_create_node, .text = "first"};
		struct op port = {.rule = op_create_port, .n_portals = 1};

		CHECK_INT(san_count(s, SAN_PORTALS), 2);
		CHECK(p && p->status == SAN_OK);
		CHECK_INT(rig_do(&r, &node), CONTROL_OK);
		port.a = ref_to(node.id);
		port.portals[0] = ref_to(p->obj.id);
		CHECK_INT(rig_do(&r, &port), CONTROL_OK);
	}
	{
		AUTO(san_state) s = control_state_get(r.c);
		const struct san_node *n = san_node_by_alias(s, "first");
		struct san_walk w;
		const struct san_port *p = san_first_of(&w, s, SAN_PORTS_OF_NODE, n->obj.id);

		CHECK_INT(san_invariants(s, &e), 0);
		CHECK_STR(p->identifier, "000000000001");
		CHECK_INT(p->status, SAN_OK);
		CHECK_INT(p->n_bindings, 1);
		CHECK_INT(fake_engine_check(r.fake, s, &e), 0);
		rig_stop(&r);
		CHECK_INT(store_is(r.dir, s, &e), 0);
		CHECK_STR(e.text, "");
	}
	rig_free(&r);
}
