/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig.h - a control room in a temporary directory, with the fake engine and a made-up network
 *
 * Threads: as control.h says.
 */
#pragma once

#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

#include "control/control.h"
#include "engine/fake/fake.h"
#include "test.h"

struct rig {
	char dir[64];
	struct fake_engine *fake;
	struct store *store;
	struct control *c;
	control_observer *observer;
	void *observer_ctx;
	bool addresses[4];                       /* 10.0.0.1 to 10.0.0.4 on eth0: there or not */
	const char *authority;                   /* NULL: a good one */
	struct control_portal_option portals[2]; /* --portal */
	size_t n_portals;
	unsigned turn;
	bool waits; /* the engine may wait for others */
};

static inline void rig_network(struct rig *r)
{
	static const struct san_seen_nic nics[] = {
		{.name = "lo",              .up = true, .running = true, .loopback = true},
		{ .name = "eth0",
		 .mac = {2, 0, 0, 0, 0, 1},
		 .up = true,
		 .running = true,
		 .mtu = 1500},
	};
	static const char *const text[] = {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"};
	struct san_seen_ip ips[4];
	struct san_seen_network seen = {.nics = nics, .n_nics = 2, .ips = ips};

	for (size_t i = 0; i < 4; i++) {
		if (r->addresses[i])
			ips[seen.n_ips++] = (struct san_seen_ip){
				.address = text[i], .nic = "eth0", .family = 4, .prefix_len = 24};
	}
	control_network_set(r->c, &seen);
}

static inline bool rig_start(struct rig *r, struct err *e)
{
	struct control_config cfg = {
		.state_dir = r->dir,
		.settings = san_settings_new(r->authority ? r->authority : "iqn.2026-11.test"),
		.portals = r->portals,
		.n_portals = r->n_portals,
		.here_us = 60000000, /* on a busy machine, too */
		.observer = r->observer,
		.observer_ctx = r->observer_ctx};

	r->fake = fake_engine_new();
	if (r->waits)
		fake_engine_wait(r->fake);
	if (store_open(r->dir, &r->store, e) < 0 ||
	    control_new(&cfg, r->store, fake_engine_engine(r->fake), &r->c, e) < 0)
		return false;
	rig_network(r);
	return control_wait_ready(r->c, 10000, e) == 0;
}

static inline void rig_stop(struct rig *r)
{
	control_free(take(r->c), false);
	store_close(take(r->store));
	fake_engine_engine(r->fake)->ops->free(fake_engine_engine(r->fake));
	r->fake = NULL;
}

/* In memory where that can be had: real syncs are slow, and nobody pulls the plug here. */
static inline void rig_make_dir(struct rig *r)
{
	(void)snprintf(r->dir, sizeof(r->dir), "%s/san-test.XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	CHECK(mkdtemp(r->dir) != NULL);
}

static inline void rig_new(struct rig *r)
{
	struct err e = {0};

	rig_make_dir(r);
	r->addresses[0] = r->addresses[1] = true;
	if (!rig_start(r, &e)) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
}

static inline int rig_unlink(const char *path, const struct stat *sb UNUSED, int type UNUSED,
			     struct FTW *f UNUSED)
{
	return remove(path);
}

static inline void rig_remove_dir(const char *dir)
{
	(void)nftw(dir, rig_unlink, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void rig_free(struct rig *r)
{
	if (r->c)
		rig_stop(r);
	rig_remove_dir(r->dir);
}

/* ---- writes ---- */

/* Any rule as a write: what it is to do is in a closure of the test's. */
struct op {
	struct control_write w;
	uint32_t (*rule)(struct op *op, const struct san_state *s, const struct san_env *env,
			 struct san_changes *ch, struct err *e);
	/* arguments and results of whatever rule it is */
	const char *text;
	struct san_ref a, b, portals[4];
	size_t n_portals;
	uint64_t number;
	enum san_kind kind;
	uint64_t id;
	struct err err;
};

static inline uint32_t op_run(struct control_write *w, const struct san_state *s,
			      const struct san_env *env, struct san_changes *ch, struct err *e)
{
	struct op *op = container_of(w, struct op, w);

	return op->rule(op, s, env, ch, e);
}

static inline struct san_ref ref_to(uint64_t id)
{
	return (struct san_ref){.kind = id ? SAN_REF_FOUND : SAN_REF_NULL, .id = id};
}

/* Runs it and waits; op->w.code has the rule's code.  On control's own thread and on ours by turns:
 * it must come out the same. */
static inline enum control_outcome rig_do(struct rig *r, struct op *op)
{
	op->w.run = op_run;
	op->w.here = r->turn++ % 2;
	return control_write_wait(r->c, &op->w, &op->err);
}

static inline uint32_t op_create_node(struct op *op, const struct san_state *s,
				      const struct san_env *env, struct san_changes *ch,
				      struct err *e)
{
	struct san_create_node_in in = {op->text};
	struct san_created out = {0};
	uint32_t code = san_create_node(s, env, &in, ch, &out, e);

	op->id = out.id;
	return code;
}

static inline uint32_t op_delete_node(struct op *op, const struct san_state *s,
				      const struct san_env *env UNUSED, struct san_changes *ch,
				      struct err *e)
{
	struct san_delete_node_in in = {op->a};

	return san_delete_node(s, &in, ch, e);
}

static inline uint32_t op_create_port(struct op *op, const struct san_state *s,
				      const struct san_env *env, struct san_changes *ch,
				      struct err *e)
{
	struct san_create_port_in in = {.node = op->a,
					.has_role = true,
					.role = 3,
					.identifier = op->text,
					.portals = op->portals,
					.n_portals = op->n_portals};
	struct san_created out = {0};
	uint32_t code = san_create_port(s, env, &in, ch, &out, e);

	op->id = out.id;
	return code;
}

static inline uint32_t op_delete_port(struct op *op, const struct san_state *s,
				      const struct san_env *env UNUSED, struct san_changes *ch,
				      struct err *e)
{
	struct san_delete_port_in in = {op->a};

	return san_delete_port(s, &in, ch, e);
}

static inline uint32_t op_bind(struct op *op, const struct san_state *s,
			       const struct san_env *env UNUSED, struct san_changes *ch,
			       struct err *e)
{
	struct san_bind_in in = {op->a, op->b};

	return san_bind(s, &in, ch, e);
}

static inline uint32_t op_unbind(struct op *op, const struct san_state *s,
				 const struct san_env *env UNUSED, struct san_changes *ch,
				 struct err *e)
{
	return san_unbind(s, op->a.id, op->b.id, ch, e);
}

static inline uint32_t op_create_portal(struct op *op, const struct san_state *s,
					const struct san_env *env, struct san_changes *ch,
					struct err *e)
{
	struct san_create_portal_in in = {.name = op->text};
	struct san_created out = {0};
	uint32_t code = san_create_portal(s, env, &in, ch, &out, e);

	op->id = out.id;
	return code;
}

static inline uint32_t op_delete_portal(struct op *op, const struct san_state *s,
					const struct san_env *env UNUSED, struct san_changes *ch,
					struct err *e)
{
	return san_delete_portal(s, op->a.id, ch, e);
}

static inline uint32_t op_create_group(struct op *op, const struct san_state *s,
				       const struct san_env *env UNUSED, struct san_changes *ch,
				       struct err *e)
{
	struct san_created out = {0};
	uint32_t code = san_create_group(s, op->text, ch, &out, e);

	op->id = out.id;
	return code;
}

static inline uint32_t op_delete_group(struct op *op, const struct san_state *s,
				       const struct san_env *env UNUSED, struct san_changes *ch,
				       struct err *e)
{
	return san_delete_group(s, op->a.id, ch, e);
}

static inline uint32_t op_move_portal(struct op *op, const struct san_state *s,
				      const struct san_env *env UNUSED, struct san_changes *ch,
				      struct err *e)
{
	return san_move_portal(s, op->a.id, op->b.id, ch, e);
}

static inline uint32_t op_request_state(struct op *op, const struct san_state *s,
					const struct san_env *env, struct san_changes *ch,
					struct err *e)
{
	struct san_request_state_in in = {.kind = op->kind,
					  .id = op->a.id,
					  .has_requested = true,
					  .requested = (uint16_t)op->number};

	return san_request_state(s, env, &in, ch, e);
}

static inline uint32_t op_volume(struct op *op, const struct san_state *s,
				 const struct san_env *env, struct san_changes *ch, struct err *e)
{
	struct san_volume_in in = {.name = op->text,
				   .has_type = true,
				   .type = 2,
				   .element = op->a,
				   .has_size = op->number != 0,
				   .size = op->number};
	struct san_volume_out out = {0};
	uint32_t code = san_volume(s, env, &in, ch, &out, e);

	op->id = out.id;
	return code;
}

static inline uint32_t op_return_volume(struct op *op, const struct san_state *s,
					const struct san_env *env UNUSED, struct san_changes *ch,
					struct err *e)
{
	struct san_return_volume_in in = {op->a};

	return san_return_volume(s, &in, ch, e);
}

static inline uint32_t op_attach(struct op *op, const struct san_state *s,
				 const struct san_env *env UNUSED, struct san_changes *ch,
				 struct err *e)
{
	struct san_attach_in in = {op->a, op->b, op->text};
	struct san_attach_out out;

	return san_attach(s, &in, ch, &out, e);
}

static inline uint32_t op_detach(struct op *op, const struct san_state *s,
				 const struct san_env *env UNUSED, struct san_changes *ch,
				 struct err *e)
{
	struct san_detach_in in = {op->a, op->b};

	return san_detach(s, &in, ch, e);
}

static inline uint32_t op_nothing(struct op *op UNUSED, const struct san_state *s UNUSED,
				  const struct san_env *env UNUSED, struct san_changes *ch UNUSED,
				  struct err *e UNUSED)
{
	return 0;
}

/* Everything that was said before has been taken up when this returns. */
static inline void rig_settle(struct rig *r)
{
	struct err e;

	for (int i = 0; i < 2; i++) {
		struct op op = {.rule = op_nothing};

		CHECK_INT(rig_do(r, &op), CONTROL_OK);
	}
	CHECK_INT(control_wait_ready(r->c, 10000, &e), 0);
}

/* ---- state of the disk against state in memory ---- */

/* Do both hold the same durable objects?  0 or -1 with the difference. */
static inline int same_durable(const struct san_state *a, const struct san_state *b, struct err *e)
{
	static const enum san_index kept[] = {
		SAN_NODES, SAN_PORTS,        SAN_PORTALS,          SAN_GROUPS,
		SAN_UNITS, SAN_LUNS_OF_NODE, SAN_BINDINGS_OF_PORT, SAN_POOLS};

	if (!streq(a->host->uuid->s, b->host->uuid->s))
		return err_set(e, -1, "the host has become another");
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		struct san_walk wa, wb;
		const struct san_obj *x = san_first(&wa, a, kept[i]),
				     *y = san_first(&wb, b, kept[i]);

		for (; x && y; x = san_next(&wa), y = san_next(&wb)) {
			if (!san_obj_same(x, y))
				return err_set(e, -1, "object %llu of kind %d differs",
					       (unsigned long long)x->id, (int)x->kind);
		}
		if (x || y)
			return err_set(e, -1, "object %llu of kind %d is only in the %s",
				       (unsigned long long)(x ? x : y)->id, (int)(x ? x : y)->kind,
				       x ? "first" : "second");
	}
	return 0;
}

/* What the store holds, read with nobody running: 0 when it is what s says. */
static inline int store_is(const char *dir, const struct san_state *s, struct err *e)
{
	static const uint8_t random[16];
	AUTO(store) st = NULL;
	AUTO(san_state) kept = NULL;

	if (store_open(dir, &st, e) < 0 ||
	    store_load(st, san_settings_new("iqn.2026-11.test"), "", random, &kept, e) < 0)
		return -1;
	return same_durable(s, kept, e);
}
