/* Written by mofc from mof/; change it there. */
#include "gen/schema.h"

#define N(t) {.type = t}
#define S(t, x) {.type = t, .kind = CIM_V_SCALAR, .n = sizeof(x) - 1, .s = x}
#define U(t, x) {.type = t, .kind = CIM_V_SCALAR, .u = x}
#define I(t, x) {.type = t, .kind = CIM_V_SCALAR, .i = x}
#define R(t, x) {.type = t, .kind = CIM_V_SCALAR, .r = x}
#define A(t, at, count) {.type = t, .kind = CIM_V_ARRAY, .n = count, .a = values + at}
#define Q(at, count) quals + at, count

static const struct cim_value values[] = {
S(12, "0"),
S(12, "1"),
S(12, "2"),
S(12, "3..7"),
S(12, "8.."),
S(12, "Unknown"),
S(12, "On/Off"),
S(12, "On Off"),
S(12, "Reserved"),
S(12, "Vendor"),
U(3, 1U),
U(3, 16U),
U(3, 5U),
S(12, "1"),
S(12, "Front"),
S(12, "0"),
S(12, "5"),
S(12, "Done"),
S(12, "Invalid Parameter"),
S(12, "a"),
S(12, "b"),
};
static const struct cim_qual quals[] = {
{"Key", U(0, 1U), 2, 0},
{"MaxLen", U(5, 8U), 3, 0},
{"Write", U(0, 1U), 3, 0},
{"ValueMap", A(12, 0, 5), 3, 0},
{"Values", A(12, 5, 5), 11, 0},
{"Override", S(12, "State"), 1, 0},
{"Write", U(0, 1U), 3, 1},
{"ValueMap", A(12, 0, 5), 3, 1},
{"Values", A(12, 5, 5), 11, 1},
{"EmbeddedInstance", S(12, "Shop_Thing"), 3, 0},
{"In", U(0, 0U), 2, 0},
{"Out", U(0, 1U), 2, 0},
{"ValueMap", A(12, 13, 1), 3, 0},
{"Values", A(12, 14, 1), 11, 0},
{"ValueMap", A(12, 15, 2), 3, 0},
{"Values", A(12, 17, 2), 11, 0},
{"Key", U(0, 1U), 2, 0},
{"Override", S(12, "Held"), 1, 0},
{"Key", U(0, 1U), 2, 1},
{"Abstract", U(0, 1U), 1, 0},
{"Description", S(12, "Anything with a name; \"quoted\", \\, \303\251."), 11, 0},
{"Description", S(12, "Anything with a name; \"quoted\", \\, \303\251."), 11, 1},
{"Association", U(0, 1U), 2, 0},
{"Description", S(12, "A box in a box."), 11, 0},
{"Association", U(0, 1U), 2, 1},
};
static const struct cim_param params[] = {
{"What", 14, 0x20, 0, &cim_class_Shop_Thing, Q(0, 0)},
{"Label", 12, 0x40, 0, NULL, Q(10, 2)},
{"Sides", 3, 0x22, 0, NULL, Q(12, 2)},
};
static const struct cim_prop props[] = {
{"Name", 12, 4, 0x5, 8, 0, NULL, &cim_class_Shop_Thing, &cim_class_Shop_Thing, N(12), Q(0, 2)},
{"State", 1, 5, 0xc, 0, 0, NULL, &cim_class_Shop_Thing, &cim_class_Shop_Thing, U(1, 1U), Q(2, 3)},
{"State", 1, 5, 0xc, 0, 0, NULL, &cim_class_Shop_Thing, &cim_class_Shop_Box, N(1), Q(5, 4)},
{"Least", 2, 5, 0x4, 0, 0, NULL, &cim_class_Shop_Box, &cim_class_Shop_Box, I(2, -128), Q(0, 0)},
{"Weight", 9, 6, 0x4, 0, 0, NULL, &cim_class_Shop_Box, &cim_class_Shop_Box, R(9, -0x1.8p+0), Q(0, 0)},
{"Open", 0, 4, 0x4, 0, 0, NULL, &cim_class_Shop_Box, &cim_class_Shop_Box, U(0, 1U), Q(0, 0)},
{"Packed", 13, 6, 0x4, 0, 0, NULL, &cim_class_Shop_Box, &cim_class_Shop_Box, S(13, "20260101000000.000000+000"), Q(0, 0)},
{"Sizes", 3, 5, 0x6, 0, 3, NULL, &cim_class_Shop_Box, &cim_class_Shop_Box, A(3, 10, 3), Q(0, 0)},
{"Mark", 11, 4, 0x4, 0, 0, NULL, &cim_class_Shop_Box, &cim_class_Shop_Box, U(11, 120U), Q(0, 0)},
{"Content", 15, 7, 0x4, 0, 0, &cim_class_Shop_Thing, &cim_class_Shop_Box, &cim_class_Shop_Box, N(15), Q(9, 1)},
{"Holder", 14, 6, 0x5, 0, 0, &cim_class_Shop_Box, &cim_class_Shop_Holds, &cim_class_Shop_Holds, N(14), Q(16, 1)},
{"Held", 14, 4, 0x5, 0, 0, &cim_class_Shop_Thing, &cim_class_Shop_Holds, &cim_class_Shop_Holds, N(14), Q(16, 1)},
{"Held", 14, 4, 0x5, 0, 0, &cim_class_Shop_Box, &cim_class_Shop_Holds, &cim_class_Shop_Nests, N(14), Q(17, 2)},
};
static const struct cim_method methods[] = {
{"Put", 5, 0x0, 3, params + 0, &cim_class_Shop_Box, &cim_class_Shop_Box, Q(14, 2)},
};
static const struct cim_prop *const prop_lists[] = {
&props[0],
&props[1],
&props[0],
&props[2],
&props[3],
&props[4],
&props[5],
&props[6],
&props[7],
&props[8],
&props[9],
&props[10],
&props[11],
&props[10],
&props[12],
};
static const struct cim_method *const method_lists[] = {
&methods[0],
};
static const uint16_t keys[] = {
0,
0,
1,
};
static const struct cim_class *const subs[] = {
&cim_class_Shop_Box,
&cim_class_Shop_Nests,
};
const struct cim_class cim_class_Shop_Thing = {"Shop_Thing", 10, 0x1, 0, 2, 0, 1, 2, 1, NULL, prop_lists + 0, NULL, keys + 0, quals + 19, subs + 0};
const struct cim_class cim_class_Shop_Box = {"Shop_Box", 8, 0x0, 1, 9, 1, 1, 1, 0, &cim_class_Shop_Thing, prop_lists + 2, method_lists + 0, keys + 0, quals + 21, NULL};
const struct cim_class cim_class_Shop_Holds = {"Shop_Holds", 10, 0x2, 2, 2, 0, 2, 1, 1, NULL, prop_lists + 11, NULL, keys + 1, quals + 22, subs + 1};
const struct cim_class cim_class_Shop_Nests = {"Shop_Nests", 10, 0x2, 3, 2, 0, 2, 2, 0, &cim_class_Shop_Holds, prop_lists + 13, NULL, keys + 1, quals + 23, NULL};
static const struct cim_qualdecl qualdecls[] = {
{"Abstract", U(0, 0U), 0x3, 1},
{"Association", U(0, 0U), 0x2, 2},
{"Description", N(12), 0x7f, 11},
{"EmbeddedInstance", N(12), 0x48, 3},
{"In", U(0, 1U), 0x40, 2},
{"Key", U(0, 0U), 0x18, 2},
{"MaxLen", N(5), 0x8, 3},
{"Out", U(0, 0U), 0x40, 2},
{"Override", N(12), 0x38, 1},
{"Tags", A(12, 19, 2), 0x7f, 3},
{"ValueMap", {.type = 12, .hint = CIM_V_ARRAY}, 0x68, 3},
{"Values", {.type = 12, .hint = CIM_V_ARRAY}, 0x68, 11},
{"Write", U(0, 0U), 0x8, 3},
};
static const struct cim_class *const classes[] = {
&cim_class_Shop_Thing,
&cim_class_Shop_Box,
&cim_class_Shop_Holds,
&cim_class_Shop_Nests,
};
static const uint16_t hash[16] = {
65535, 65535, 65535, 65535, 65535, 65535, 0, 1, 65535, 3, 65535, 65535, 2, 65535, 65535, 65535,
};
const struct cim_schema smiscsi_schema = {classes, ARRAY_SIZE(classes), hash, ARRAY_SIZE(hash), qualdecls, 13};
static const uint64_t members_shop[] = {
0xfU,
};
const struct cim_namespace smiscsi_ns_shop = {"root/shop", &smiscsi_schema, members_shop};
static const uint64_t members_attic[] = {
0xcU,
};
const struct cim_namespace smiscsi_ns_attic = {"attic", &smiscsi_schema, members_attic};
