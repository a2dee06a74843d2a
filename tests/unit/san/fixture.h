/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture.h - a small box for the rules to be tried on
 *
 *	eth0: 10.0.0.1, .2, .3; a portal at 3260 each in "default" (P1, P2, P3)
 *	group "second" with 10.0.0.3:5000 (P4)
 *	P5 at 10.0.0.9:3260, whose address has left the host
 *	node A: port A1 (tag 1) on P1 and P2; node B: port B7 (tag 7) on P1, one session on it
 *	volume U1, attached to A as number 0; volume U2
 *
 * Depends on: san.  Threads: none.
 */
#pragma once

#include <stdio.h>

#include "san/rules.h"
#include "test.h"

struct box {
	struct san_state *s;
	uint64_t a, b, a1, b7, p[6], second, u1, u2;
	struct err e;
};

static const struct san_env box_env = {
	.now_us = 1000000, .random = {0x123456789abcdef0, 77}
};

static inline void box_apply(struct box *x, struct san_changes *ch)
{
	struct err e = {0};

	x->s = san_apply(x->s, ch, box_env.now_us, NULL);
	CHECK_INT(san_invariants(x->s, &e), 0);
	CHECK_STR(e.text, "");
	san_changes_done(ch);
}

/* For a call that must be accepted: BOX_DO(x, san_bind(x->s, &in, &ch, &x->e)) */
#define BOX_DO(x, call)                      \
	do {                                 \
		struct san_changes ch = {0}; \
		CHECK_INT(call, 0);          \
		box_apply((x), &ch);         \
	} while (0)

static inline struct san_ref ref(uint64_t id)
{
	return (struct san_ref){.kind = SAN_REF_FOUND, .id = id};
}

/* The host shows eth0 with the first n of its addresses; 10.0.0.9 when with_nine. */
static inline void box_network(struct box *x, size_t n, bool with_nine)
{
	static const struct san_seen_nic nics[] = {
		{.name = "lo",   .up = true,                   .running = true, .loopback = true},
		{.name = "eth0", .mac = {2, 0, 0, 0, 0, 0xab}, .up = true,      .running = true }
        };
	static const char *const address[] = {"10.0.0.1", "10.0.0.2", "10.0.0.3"};
	struct san_seen_ip ips[4];
	struct san_seen_network seen = {.nics = nics, .n_nics = 2, .ips = ips, .n_ips = n};
	struct san_changes ch = {0};

	for (size_t i = 0; i < n; i++)
		ips[i] = (struct san_seen_ip){
			.address = address[i], .nic = "eth0", .family = 4, .prefix_len = 24};
	if (with_nine)
		ips[seen.n_ips++] = (struct san_seen_ip){
			.address = "10.0.0.9", .nic = "eth0", .family = 4, .prefix_len = 24};
	san_network_seen(x->s, &box_env, &seen, &ch);
	box_apply(x, &ch);
}

static inline uint64_t box_node(struct box *x, const char *alias)
{
	struct san_create_node_in in = {alias};
	struct san_created out = {0};

	BOX_DO(x, san_create_node(x->s, &box_env, &in, &ch, &out, &x->e));
	return out.id;
}

static inline uint64_t box_port(struct box *x, uint64_t node, const char *identifier, uint64_t p1,
				uint64_t p2)
{
	struct san_ref portals[] = {ref(p1), ref(p2)};
	struct san_create_port_in in = {.node = ref(node),
					.has_role = true,
					.role = 3,
					.identifier = identifier,
					.portals = portals,
					.n_portals = p2 ? 2 : 1};
	struct san_created out = {0};

	BOX_DO(x, san_create_port(x->s, &box_env, &in, &ch, &out, &x->e));
	return out.id;
}

static inline uint64_t box_volume(struct box *x, const char *name)
{
	struct san_volume_in in = {
		.name = name, .has_type = true, .type = 2, .has_size = true, .size = 1 << 20};
	struct san_volume_out out = {0};

	BOX_DO(x, san_volume(x->s, &box_env, &in, &ch, &out, &x->e));
	return out.id;
}

static inline void box_listening(struct box *x)
{
	struct san_changes ch = {0};
	struct san_walk w;

	san_engine_seen(x->s, &box_env, "fake", SAN_ENGINE_UP, "", &ch);
	for (const struct san_portal *p = san_first(&w, x->s, SAN_PORTALS); p; p = san_next(&w))
		san_portal_seen(x->s, p->address->s, p->tcp_port, SAN_LISTENING, "", &ch);
	box_apply(x, &ch);
}

static inline void box_new(struct box *x)
{
	struct san_create_portal_in at5000 = {.name = "10.0.0.3:5000"},
				    at9 = {.address = "10.0.0.9",
					   .has_tcp_port = true,
					   .tcp_port = 3261};
	struct san_created out = {0};
	struct san_attach_out number;
	struct san_seen_session session = {.id = 500, .tpgt = 7, .initiator = "iqn.2026-11.i"};

	*x = (struct box){.s = san_state_new(san_host_new("11111111-2222-4333-8444-555555555555",
							  "Host.Example"),
					     san_settings_new("iqn.2026-11.test"), 0)};
	BOX_DO(x, (san_space_seen(x->s, 1ULL << 40, 100ULL << 20, &ch), 0));
	box_network(x, 3, true);
	x->p[1] = san_portal_at(x->s, "10.0.0.1", 3260)->obj.id;
	x->p[2] = san_portal_at(x->s, "10.0.0.2", 3260)->obj.id;
	x->p[3] = san_portal_at(x->s, "10.0.0.3", 3260)->obj.id;
	BOX_DO(x, san_create_group(x->s, "second", &ch, &out, &x->e));
	x->second = out.id;
	BOX_DO(x, san_create_portal(x->s, &box_env, &at5000, &ch, &out, &x->e));
	x->p[4] = out.id;
	BOX_DO(x, san_move_portal(x->s, x->second, x->p[4], &ch, &x->e));
	BOX_DO(x, san_create_portal(x->s, &box_env, &at9, &ch, &out, &x->e));
	x->p[5] = out.id;
	box_network(x, 3, false);
	box_listening(x);
	x->a = box_node(x, "a");
	x->b = box_node(x, "b");
	x->a1 = box_port(x, x->a, NULL, x->p[1], x->p[2]);
	x->b7 = box_port(x, x->b, "000000000007", x->p[1], 0);
	x->u1 = box_volume(x, "first");
	x->u2 = box_volume(x, NULL);
	BOX_DO(x, san_attach(x->s, &(struct san_attach_in){ref(x->a), ref(x->u1), NULL}, &ch,
			     &number, &x->e));
	session.iqn = san_node(x->s, x->b)->iqn->s;
	BOX_DO(x, (san_session_seen(x->s, &session, &ch), 0));
}

static inline void box_done(struct box *x)
{
	san_state_unref(x->s);
}

/* A refusal says why, and changes nothing. */
static inline void box_check(struct box *x, const char *row, uint32_t got, uint32_t want,
			     const struct san_changes *ch)
{
	if (got != want) {
		test_failures++;
		printf("# %s: %u, want %u (%s)\n", row, got, want, x->e.text);
	}
	if (got && (ch->n || !*x->e.text)) {
		test_failures++;
		printf("# %s: a refusal with changes or without a reason\n", row);
	}
	x->e.text[0] = '\0';
}
