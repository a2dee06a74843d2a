/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thousands of random operations, with addresses that come and go, sessions, a target that
 * refuses, hangs and crashes, and restarts; after each step everything must hold together.
 */
#include "rig.h"

enum { STEPS = 6000, NAMES = 12 };

static uint64_t seed;

static unsigned rnd(unsigned below)
{
	seed = seed * 6364136223846793005U + 1442695040888963407U;
	return (unsigned)(seed >> 33) % below;
}

/* The id of some object in an index, of one that has gone, or 0. */
static uint64_t some(const struct san_state *s, enum san_index i)
{
	size_t n = san_count(s, i);
	const struct san_obj *o;
	struct san_walk w;
	unsigned k;

	if (n == 0 || rnd(30) == 0)
		return rnd(3) ? rnd(400) : 0;
	k = rnd((unsigned)n);
	for (o = san_first(&w, s, i); k; k--)
		o = san_next(&w);
	return o->id;
}

static void random_op(struct op *op, const struct san_state *s)
{
	static char text[64];
	static const char *const portal[] = {"10.0.0.1:3260", "10.0.0.2:3261", "10.0.0.3:3260",
					     "10.0.0.9:3260", "10.0.0.4:5000", "nonsense"};

	*op = (struct op){0};
	switch (rnd(18)) {
	case 0:
	case 1:
		op->rule = op_create_node;
		(void)snprintf(text, sizeof(text), "node %u", rnd(NAMES));
		op->text = text;
		break;
	case 2:
		op->rule = op_delete_node;
		op->a = ref_to(some(s, SAN_NODES));
		break;
	case 3:
	case 4:
	case 5:
		op->rule = op_create_port;
		op->a = ref_to(some(s, SAN_NODES));
		op->n_portals = 1 + rnd(3);
		for (size_t i = 0; i < op->n_portals; i++)
			op->portals[i] = ref_to(some(s, SAN_PORTALS));
		(void)snprintf(text, sizeof(text), "%012X", rnd(5));
		op->text = rnd(2) ? text : NULL;
		break;
	case 6:
		op->rule = op_delete_port;
		op->a = ref_to(some(s, SAN_PORTS));
		break;
	case 7:
	case 8:
		op->rule = op_bind;
		op->a = ref_to(some(s, SAN_PORTS));
		op->b = ref_to(some(s, SAN_PORTALS));
		break;
	case 9: {
		struct san_walk w;
		uint64_t port = some(s, SAN_PORTS);
		const struct san_binding *b = san_first_of(&w, s, SAN_BINDINGS_OF_PORT, port);

		op->rule = op_unbind;
		op->a = ref_to(port);
		op->b = ref_to(b ? b->portal : 1);
		break;
	}
	case 10:
		op->rule = op_create_portal;
		op->text = portal[rnd(ARRAY_SIZE(portal))];
		break;
	case 11:
		op->rule = op_delete_portal;
		op->a = ref_to(some(s, SAN_PORTALS));
		break;
	case 12:
		op->rule = rnd(2) ? op_create_group : op_delete_group;
		(void)snprintf(text, sizeof(text), "group %u", rnd(4));
		op->text = text;
		op->a = ref_to(some(s, SAN_GROUPS));
		break;
	case 13:
		op->rule = op_move_portal;
		op->a = ref_to(some(s, SAN_GROUPS));
		op->b = ref_to(some(s, SAN_PORTALS));
		break;
	case 14: {
		static const enum san_kind kind[] = {SAN_NODE, SAN_PORT, SAN_PORTAL};
		static const enum san_index in[] = {SAN_NODES, SAN_PORTS, SAN_PORTALS};
		unsigned k = rnd(3);

		op->rule = op_request_state;
		op->kind = kind[k];
		op->a = ref_to(some(s, in[k]));
		op->number = 2 + rnd(3);
		break;
	}
	case 15:
		op->rule = rnd(3) ? op_volume : op_return_volume;
		op->a = ref_to(rnd(2) ? some(s, SAN_UNITS) : 0);
		op->number = rnd(40) * 300000ULL;
		break;
	case 16:
		op->rule = op_attach;
		op->a = ref_to(some(s, SAN_NODES));
		op->b = ref_to(some(s, SAN_UNITS));
		op->text = rnd(2) ? "A" : NULL;
		break;
	default:
		op->rule = op_detach;
		op->a = ref_to(some(s, SAN_NODES));
		op->b = ref_to(some(s, SAN_UNITS));
		break;
	}
}

/* What happens to us without being asked for. */
static void random_event(struct rig *r, const struct san_state *s)
{
	static const enum engine_result how[] = {ENGINE_REFUSED, ENGINE_TIMEOUT, ENGINE_BUSY};
	struct san_walk w;
	const struct san_port *p;
	const struct san_session *x;

	switch (rnd(7)) {
	case 0:
		r->addresses[rnd(4)] ^= true;
		rig_network(r);
		break;
	case 1:
	case 2:
		fake_engine_fail(r->fake, 1, how[rnd(3)]);
		break;
	case 3:
		p = san_port(s, some(s, SAN_PORTS));
		if (p)
			fake_engine_login(r->fake, p->iqn->s, p->tpgt,
					  "iqn.2026-11.test:initiator");
		break;
	case 4:
		x = san_first(&w, s, SAN_SESSIONS);
		if (x)
			fake_engine_logout(r->fake, x->obj.id);
		break;
	case 5:
		fake_engine_portal(r->fake, "10.0.0.1", 3260,
				   rnd(2) ? SAN_LISTENING : SAN_LISTEN_IN_USE, "in use");
		break;
	default:
		if (rnd(4) == 0) {
			fake_engine_crash(r->fake);
			fake_engine_recover(r->fake);
		}
		break;
	}
}

/* Every publication is looked at, as a client might. */
static void look(void *ctx, const struct san_state *was, const struct san_state *now,
		 const struct san_changes *effects)
{
	unsigned *n = ctx;
	struct err e = {0};

	if (san_invariants(now, &e) < 0 && (*n)++ < 10) {
		printf("# generation %" PRIu64 ": %s\n", now->generation, e.text);
		test_failures++;
	}
	CHECK(now->generation == was->generation + 1);
	CHECK(effects->n > 0);
}

TEST(whatever_happens_in_whatever_order_everything_holds_together)
{
	unsigned broken = 0, done[5] = {0};
	struct rig r = {.observer = look, .observer_ctx = &broken};
	struct err e = {0};

	seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : 20261121;
	printf("# SEED=%" PRIu64 "\n", seed);
	rig_new(&r);
	for (unsigned step = 1; step <= STEPS && test_failures < 5; step++) {
		AUTO(san_state) s = control_state_get(r.c);
		AUTO(san_state) after = NULL;
		struct op op;

		if (rnd(4) == 0)
			random_event(&r, s);
		random_op(&op, s);
		done[rig_do(&r, &op)]++;
		rig_settle(&r);
		after = control_state_get(r.c);
		if (after->engine->health == SAN_ENGINE_UP &&
		    fake_engine_check(r.fake, after, &e) < 0) {
			printf("# step %u: %s\n", step, e.text);
			test_failures++;
		}
		if (step % 100 == 0) {
			rig_stop(&r);
			if (store_is(r.dir, after, &e) < 0) {
				printf("# step %u, in the store: %s\n", step, e.text);
				test_failures++;
			}
			if (!rig_start(&r, &e)) {
				printf("Bail out! step %u: %s\n", step, e.text);
				exit(1);
			}
		}
	}
	printf("# ok %u, refused %u, failed %u, time-out %u, busy %u\n", done[CONTROL_OK],
	       done[CONTROL_REFUSED], done[CONTROL_FAILED], done[CONTROL_TIMEOUT],
	       done[CONTROL_BUSY]);
	/* Every kind of outcome has been met: the test does what it says. */
	for (size_t i = 0; i < ARRAY_SIZE(done); i++)
		CHECK(done[i] > 0);
	rig_free(&r);
}
