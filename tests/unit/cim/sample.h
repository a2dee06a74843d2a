/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sample.h - a class table small enough to read, for tests below the broker
 *
 * T_Named (abstract; Name key, InstanceID) <- T_Port (Number, Ratio, Tags[], When, Up)
 * T_Link (association; From, To keys; Weight)
 * T_Solo (one key, ID)
 */
#pragma once

#include "cim/cim.h"

/* clang-format off */
#define PROP(v, nm, ty, fl, ...) \
	static const struct cim_prop v = {.name = nm, .name_len = sizeof(nm) - 1, .type = ty, \
		.flags = (fl) | CIM_F_READ, __VA_ARGS__}
static const struct cim_class t_named, t_port, t_link, t_solo;
static const struct cim_qual q_key = {"Key", {.type = CIM_BOOLEAN, .kind = CIM_V_SCALAR, .u = 1},
	CIM_Q_TOSUBCLASS, false};
PROP(p_kind, "Kind", CIM_STRING, CIM_F_KEY, .origin = &t_named, .declared = &t_named, .quals = &q_key, .n_quals = 1);
PROP(p_name, "Name", CIM_STRING, CIM_F_KEY, .origin = &t_named, .declared = &t_named, .quals = &q_key, .n_quals = 1);
PROP(p_caption, "Caption", CIM_STRING, 0, .origin = &t_named, .declared = &t_named);
PROP(p_number, "Number", CIM_UINT16, CIM_F_WRITE, .origin = &t_port, .declared = &t_port,
	.dflt = {.type = CIM_UINT16, .kind = CIM_V_SCALAR, .u = 7});
PROP(p_delta, "Delta", CIM_SINT32, 0, .origin = &t_port, .declared = &t_port);
PROP(p_ratio, "Ratio", CIM_REAL64, 0, .origin = &t_port, .declared = &t_port);
PROP(p_tags, "Tags", CIM_STRING, CIM_F_ARRAY, .origin = &t_port, .declared = &t_port);
PROP(p_numbers, "Numbers", CIM_UINT64, CIM_F_ARRAY, .origin = &t_port, .declared = &t_port);
PROP(p_when, "When", CIM_DATETIME, 0, .origin = &t_port, .declared = &t_port);
PROP(p_up, "Up", CIM_BOOLEAN, 0, .origin = &t_port, .declared = &t_port);
PROP(p_goal, "Goal", CIM_OBJECT, 0, .origin = &t_port, .declared = &t_port);
PROP(p_from, "From", CIM_REF, CIM_F_KEY, .ref_class = &t_named, .origin = &t_link, .declared = &t_link);
PROP(p_to, "To", CIM_REF, CIM_F_KEY, .ref_class = &t_named, .origin = &t_link, .declared = &t_link);
PROP(p_weight, "Weight", CIM_UINT8, 0, .origin = &t_link, .declared = &t_link);
PROP(p_id, "ID", CIM_UINT32, CIM_F_KEY, .origin = &t_solo, .declared = &t_solo);
#undef PROP
static const struct cim_prop *const named_props[] = {&p_kind, &p_name, &p_caption};
static const struct cim_prop *const port_props[] = {&p_kind, &p_name, &p_caption, &p_number, &p_delta,
	&p_ratio, &p_tags, &p_numbers, &p_when, &p_up, &p_goal};
enum { PORT_KIND, PORT_NAME, PORT_CAPTION, PORT_NUMBER, PORT_DELTA, PORT_RATIO, PORT_TAGS,
	PORT_NUMBERS, PORT_WHEN, PORT_UP, PORT_GOAL };
static const struct cim_prop *const link_props[] = {&p_from, &p_to, &p_weight};
static const struct cim_prop *const solo_props[] = {&p_id};
static const uint16_t two_keys[] = {0, 1}, one_key[] = {0};
static const struct cim_class *const named_subs[] = {&t_port};
static const struct cim_param move_params[] = {
	{.name = "Where", .type = CIM_REF, .flags = CIM_F_IN, .ref_class = &t_named},
	{.name = "Steps", .type = CIM_UINT32, .flags = CIM_F_IN | CIM_F_ARRAY},
	{.name = "Job", .type = CIM_REF, .flags = CIM_F_OUT, .ref_class = &t_named},
	{.name = "Notes", .type = CIM_STRING, .flags = CIM_F_OUT | CIM_F_ARRAY},
};
static const struct cim_method m_move = {.name = "Move", .type = CIM_UINT32, .n_params = 4,
	.params = move_params, .origin = &t_port, .declared = &t_port};
static const struct cim_method *const port_methods[] = {&m_move};
static const struct cim_qual link_quals[] = {
	{"Association", {.type = CIM_BOOLEAN, .kind = CIM_V_SCALAR, .u = 1}, 0, false}};
static const struct cim_class
t_named = {.name = "T_Named", .name_len = 7, .flags = CIM_C_ABSTRACT, .id = 0, .n_props = 3, .n_keys = 2,
	.n_subs = 1, .props = named_props, .keys = two_keys, .subs = named_subs},
t_port = {.name = "T_Port", .name_len = 6, .id = 1, .n_props = 11, .n_keys = 2, .n_methods = 1,
	.super = &t_named, .props = port_props, .keys = two_keys, .methods = port_methods},
t_link = {.name = "T_Link", .name_len = 6, .flags = CIM_C_ASSOCIATION, .id = 2, .n_props = 3, .n_keys = 2,
	.props = link_props, .keys = two_keys, .quals = link_quals, .n_quals = 1},
t_solo = {.name = "T_Solo", .name_len = 6, .id = 3, .n_props = 1, .n_keys = 1, .props = solo_props,
	.keys = one_key};
static const struct cim_class *const t_classes[] = {&t_named, &t_port, &t_link, &t_solo};
/* clang-format on */

/* The hash is filled before the first use, by the rule that mofc follows. */
static uint16_t t_hash[16];
static const struct cim_schema t_schema = {
	.classes = t_classes, .n_classes = 4, .hash = t_hash, .hash_size = 16};
static const uint64_t t_all = 0xf, t_no_solo = 0x7;
UNUSED static const struct cim_namespace t_ns = {"root/t", &t_schema, &t_all};
UNUSED static const struct cim_namespace t_ns2 = {"root/u", &t_schema, &t_no_solo};

#include "base/str.h"
__attribute__((constructor)) static void t_hash_fill(void)
{
	memset(t_hash, 0xff, sizeof(t_hash));
	for (uint16_t i = 0; i < 4; i++) {
		uint64_t h = str_casehash(t_classes[i]->name, t_classes[i]->name_len) & 15;

		while (t_hash[h] != 0xffff)
			h = (h + 1) & 15;
		t_hash[h] = i;
	}
}
