/* SPDX-License-Identifier: Apache-2.0 */
/* Rules on volumes and their attachment to nodes. */
#include <stdio.h>

#include "base/str.h"
#include "san/object.h"
#include "san/refuse.h"

enum { TYPE_STORAGE_VOLUME = 2 };

static bool bad_ref(const struct san_ref *r)
{
	return r->kind == SAN_REF_NULL || r->kind == SAN_REF_WRONG_CLASS;
}

/* What a pool and the one it is drawn from show when volumes take (or, negative, give back) so many
 * bytes. */
static void take_space(const struct san_state *s, const struct san_pool *from, int64_t bytes,
		       struct san_changes *ch)
{
	struct san_walk w;

	if (bytes == 0)
		return;
	for (const struct san_pool *p = san_first(&w, s, SAN_POOLS); p; p = san_next(&w)) {
		struct san_pool *d;

		if (p != from && (!p->primordial || p->kind != from->kind))
			continue;
		d = san_obj_dup(p);
		if (bytes < 0)
			d->free += (uint64_t)-bytes;
		else
			d->free -= (uint64_t)bytes < d->free ? (uint64_t)bytes : d->free;
		if (d->free > d->total)
			d->free = d->total;
		san_changes_add(ch, SAN_POOL, p, d);
	}
}

static uint32_t refuse_size(struct err *e, uint64_t size, uint64_t nearest,
			    struct san_volume_out *ret)
{
	ret->size = nearest;
	return refuse(e, 4097, "the pool can't hold %llu bytes; the largest size is %llu",
		      (unsigned long long)size, (unsigned long long)nearest);
}

/* NAA 3, locally assigned (SPC-5 7.7.6.6.4): 60 random bits. */
static void make_naa(const struct san_state *s, const struct san_env *env, char ret[17])
{
	const uint64_t mask = (1ULL << 60) - 1;
	uint64_t v = env->random[0] & mask;

	do {
		(void)snprintf(ret, 17, "3%015llX", (unsigned long long)v);
		v = (v + (env->random[1] | 1)) & mask;
	} while (san_unit_by_naa(s, ret));
}

static uint64_t round_up(uint64_t size)
{
	return (size + SAN_VOLUME_UNIT - 1) & ~(SAN_VOLUME_UNIT - 1);
}

/* A device carries one volume, the whole of it; Size says how much it has to be at least. */
static uint32_t size_on_device(const struct san_state *s, const struct san_volume_in *in,
			       const struct san_pool *pool, uint64_t *ret_size,
			       struct san_volume_out *ret, struct err *e)
{
	struct san_walk w;

	for (const struct san_unit *u = san_first(&w, s, SAN_UNITS); u; u = san_next(&w)) {
		if (u->pool == pool->obj.id)
			return refuse(e, SAN_IN_USE,
				      "block device %s is volume %s already; a device carries one",
				      pool->device->s, u->naa);
	}
	if (pool->why->len)
		return refuse(e, SAN_METHOD_FAILED, "block device %s: %s", pool->device->s,
			      pool->why->s);
	if (in->has_size && in->size == 0)
		return refuse(e, SAN_INVALID,
			      "Size is 0; leave it out for the whole of the block device");
	if (in->has_size && in->size > pool->total)
		return refuse_size(e, in->size, pool->total, ret);
	*ret_size = pool->total;
	return SAN_DONE;
}

static uint32_t size_of_file(const struct san_volume_in *in, const struct san_pool *pool,
			     uint64_t *ret_size, struct san_volume_out *ret, struct err *e)
{
	uint64_t room = pool->free & ~(SAN_VOLUME_UNIT - 1);

	if (!in->has_size || in->size == 0)
		return refuse(e, SAN_INVALID,
			      "Size is missing or 0; a new volume needs one, in bytes");
	if (in->size > room)
		return refuse_size(e, in->size, room, ret);
	*ret_size = round_up(in->size);
	return SAN_DONE;
}

static uint32_t create_volume(const struct san_state *s, const struct san_env *env,
			      const struct san_volume_in *in, struct san_changes *ch,
			      struct san_volume_out *ret, struct err *e)
{
	const struct san_pool *pool = in->pool.kind == SAN_REF_FOUND ? san_pool(s, in->pool.id)
								     : san_concrete_pool(s);
	auto_free char *name = NULL;
	uint64_t size = 0;
	char naa[17];
	uint32_t r;

	if (pool->primordial && pool->kind == SAN_POOL_DEVICES)
		return refuse(e, SAN_INVALID,
			      "pool '%s' is drawn from device by device; InPool must be the pool of "
			      "one of them",
			      pool->name->s);
	if (pool->primordial)
		pool = san_concrete_pool(s);
	r = pool->kind == SAN_POOL_DEVICES ? size_on_device(s, in, pool, &size, ret, e)
					   : size_of_file(in, pool, &size, ret, e);
	if (r != SAN_DONE)
		return r;
	make_naa(s, env, naa);
	name = san_nfc(in->name ? in->name : naa);
	*ret = (struct san_volume_out){s->next_id, size};
	san_changes_add(ch, SAN_UNIT, NULL,
			san_unit_new(ret->id, pool, naa, name, size, env->now_us));
	take_space(s, pool, (int64_t)size, ch);
	return SAN_DONE;
}

static uint32_t modify_volume(const struct san_state *s, const struct san_env *env,
			      const struct san_volume_in *in, const struct san_unit *u,
			      struct san_changes *ch, struct san_volume_out *ret, struct err *e)
{
	const struct san_pool *pool = san_pool(s, u->pool);
	uint64_t room = pool->free & ~(SAN_VOLUME_UNIT - 1), size = u->size;
	auto_free char *name = NULL;
	struct san_unit *d;

	if (in->has_size && in->size < u->size)
		return refuse(e, SAN_INVALID, "volume %s has %llu bytes; volumes don't shrink",
			      u->naa, (unsigned long long)u->size);
	if (in->has_size && in->size > u->size && pool->kind == SAN_POOL_DEVICES) {
		/* It follows a device that has grown, to its end. */
		if (in->size > pool->total)
			return refuse_size(e, in->size,
					   pool->total > u->size ? pool->total : u->size, ret);
		size = pool->total;
	} else if (in->has_size && in->size > u->size) {
		if (in->size - u->size > room)
			return refuse_size(e, in->size, u->size + room, ret);
		size = round_up(in->size);
	}
	*ret = (struct san_volume_out){u->obj.id, size};
	name = san_nfc(in->name ? in->name : u->name->s);
	if (size == u->size && streq(name, u->name->s))
		return SAN_DONE;
	d = san_obj_dup(u);
	san_str_set(&d->name, name);
	d->size = size;
	d->changed_us = env->now_us;
	san_changes_add(ch, SAN_UNIT, u, d);
	if (pool->kind == SAN_POOL_FILES)
		take_space(s, pool, (int64_t)(size - u->size), ch);
	return SAN_DONE;
}

uint32_t san_volume(const struct san_state *s, const struct san_env *env,
		    const struct san_volume_in *in, struct san_changes *ch,
		    struct san_volume_out *ret, struct err *e)
{
	const struct san_unit *u = NULL;

	if (!in->has_type || in->type != TYPE_STORAGE_VOLUME)
		return refuse(e, SAN_INVALID, "ElementType must be 2 (StorageVolume)");
	if (in->element.kind == SAN_REF_WRONG_CLASS)
		return refuse_ref(e, SAN_INVALID, "TheElement", &in->element, "a StorageVolume");
	if (in->element.kind == SAN_REF_FOUND)
		u = san_unit(s, in->element.id);
	if (in->element.kind != SAN_REF_NULL && !u)
		return refuse(e, SAN_INVALID, "volume %s does not exist", ref_text(&in->element));
	if (in->pool.kind == SAN_REF_WRONG_CLASS)
		return refuse_ref(e, SAN_INVALID, "InPool", &in->pool, "a StoragePool");
	if (in->pool.kind == SAN_REF_MISSING ||
	    (in->pool.kind == SAN_REF_FOUND && !san_pool(s, in->pool.id)))
		return refuse(e, SAN_INVALID, "pool %s does not exist", ref_text(&in->pool));
	if (in->name && san_check_name("ElementName", in->name, SAN_NAME_MAX, e) < 0)
		return SAN_INVALID;
	return u ? modify_volume(s, env, in, u, ch, ret, e) : create_volume(s, env, in, ch, ret, e);
}

uint32_t san_return_volume(const struct san_state *s, const struct san_return_volume_in *in,
			   struct san_changes *ch, struct err *e)
{
	const struct san_pool *pool;
	const struct san_unit *u;
	const struct san_lun *l;
	struct san_walk w;

	if (bad_ref(&in->element))
		return refuse_ref(e, SAN_INVALID, "TheElement", &in->element, "a StorageVolume");
	u = in->element.kind == SAN_REF_FOUND ? san_unit(s, in->element.id) : NULL;
	if (!u)
		return refuse(e, SAN_INVALID, "volume %s does not exist", ref_text(&in->element));
	l = san_first_of(&w, s, SAN_LUNS_OF_UNIT, u->obj.id);
	if (l)
		return refuse(e, SAN_IN_USE, "volume %s is attached to node %s; detach it first",
			      u->naa, l->iqn->s);
	san_changes_add(ch, SAN_UNIT, u, NULL);
	pool = san_pool(s, u->pool);
	/* Of a device all is free again, also what a volume did not use of it. */
	take_space(s, pool,
		   -(int64_t)(pool->kind == SAN_POOL_DEVICES ? pool->total : u->size), ch);
	return SAN_DONE;
}

/* DeviceNumber: hexadecimal, 0 to FE; padding is forgiven. */
static bool parse_number(const char *text, uint16_t *ret)
{
	uint64_t v;

	if (!str_hex64(text, strlen(text), &v) || v > SAN_LUN_MAX)
		return false;
	*ret = (uint16_t)v;
	return true;
}

uint32_t san_attach(const struct san_state *s, const struct san_attach_in *in,
		    struct san_changes *ch, struct san_attach_out *ret, struct err *e)
{
	const struct san_node *n;
	const struct san_unit *u;
	const struct san_lun *l;
	struct san_lun *made;
	uint16_t number = 0;
	struct san_walk w;

	if (bad_ref(&in->node))
		return refuse_ref(e, SAN_INVALID, "ProtocolController", &in->node,
				  "a SCSIProtocolController");
	n = in->node.kind == SAN_REF_FOUND ? san_node(s, in->node.id) : NULL;
	if (!n)
		return refuse(e, SAN_INVALID, "node %s does not exist", ref_text(&in->node));
	if (in->number && !parse_number(in->number, &number))
		return refuse(e, SAN_INVALID,
			      "DeviceNumber '%.64s' is not a hexadecimal number from 0 "
			      "to FE",
			      in->number);
	if (bad_ref(&in->unit))
		return refuse_ref(e, SAN_INVALID, "Device", &in->unit, "a StorageVolume");
	u = in->unit.kind == SAN_REF_FOUND ? san_unit(s, in->unit.id) : NULL;
	if (!u)
		return refuse(e, 4096, "volume %s does not exist", ref_text(&in->unit));
	l = san_lun_of(s, n->obj.id, u->obj.id);
	if (l) {
		memcpy(ret->number, l->number, sizeof(ret->number));
		return SAN_DONE;
	}
	if (!in->number) {
		for (l = san_first_of(&w, s, SAN_LUNS_OF_NODE, n->obj.id); l && l->lun == number;
		     l = san_next(&w))
			number++;
		if (number > SAN_LUN_MAX)
			return refuse(e, 4097, "node %s has no free logical unit number left",
				      n->iqn->s);
	} else if ((l = san_lun_at(s, n->obj.id, number))) {
		return refuse(e, 4097,
			      "number %s of node %s belongs to volume %s; choose another or "
			      "leave DeviceNumber NULL",
			      l->number, n->iqn->s, l->naa);
	}
	made = san_lun_new(s->next_id, n, u, number);
	memcpy(ret->number, made->number, sizeof(ret->number));
	san_changes_add(ch, SAN_LUN, NULL, made);
	return SAN_DONE;
}

uint32_t san_detach(const struct san_state *s, const struct san_detach_in *in,
		    struct san_changes *ch, struct err *e)
{
	const struct san_lun *l = NULL;
	const struct san_node *n;

	if (bad_ref(&in->node))
		return refuse_ref(e, SAN_INVALID, "ProtocolController", &in->node,
				  "a SCSIProtocolController");
	n = in->node.kind == SAN_REF_FOUND ? san_node(s, in->node.id) : NULL;
	if (!n)
		return refuse(e, SAN_INVALID, "node %s does not exist", ref_text(&in->node));
	if (bad_ref(&in->unit))
		return refuse_ref(e, SAN_INVALID, "Device", &in->unit, "a StorageVolume");
	if (in->unit.kind == SAN_REF_FOUND)
		l = san_lun_of(s, n->obj.id, in->unit.id);
	if (!l)
		return refuse(e, 4096, "volume %s is not attached to node %s", ref_text(&in->unit),
			      n->iqn->s);
	san_changes_add(ch, SAN_LUN, l, NULL);
	return SAN_DONE;
}
