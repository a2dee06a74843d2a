/* SPDX-License-Identifier: Apache-2.0 */
/* parse(print(tables)) == tables, byte for byte in what mofc writes. */
#include <stdio.h>

#include "cim/mofprint.h"
#include "gen/iscsi.h"
#include "mofc/mofc.h"
#include "test.h"

enum { MAX = 16 << 20 };

static const struct cim_namespace *const namespaces[] = {&smiscsi_ns_iscsitarget,
							 &smiscsi_ns_interop, &smiscsi_ns_sm};

static unsigned member_bits(const struct cim_class *c)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(namespaces); i++)
		bits |= (unsigned)cim_ns_has(namespaces[i], c) << i;
	return bits;
}

/* The files the printed schema is made of: "<bits>.mof" has the classes that live in exactly
 * those namespaces, the first one the qualifiers too. */
static int load_printed(void *ctx, const char *path, struct arena *a, const char **ret_text,
			size_t *ret_n, struct err *e UNUSED)
{
	const struct cim_schema *s = ctx;
	unsigned bits = (unsigned)path[0] - '0';
	struct buf b = buf_of(MAX);

	for (uint16_t i = 0; bits == member_bits(s->classes[0]) && i < s->n_qualdecls; i++)
		CHECK(cim_mof_qualdecl(&b, &s->qualdecls[i]));
	for (uint16_t i = 0; i < s->n_classes; i++)
		if (member_bits(s->classes[i]) == bits)
			CHECK(cim_mof_class(&b, s, s->classes[i]));
	*ret_n = b.len;
	*ret_text = arena_strndup(a, b.p ? b.p : "", b.len);
	buf_done(&b);
	return 0;
}

static void print_top(const struct cim_schema *s, struct buf *b)
{
	for (unsigned i = 0; i < ARRAY_SIZE(namespaces); i++) {
		unsigned seen = 0;

		(void)buf_addf(b, "#pragma namespace (\"%s\")\n", namespaces[i]->name);
		for (uint16_t k = 0; k < s->n_classes; k++) {
			unsigned bits = member_bits(s->classes[k]);

			if (!(bits >> i & 1) || (seen >> bits & 1))
				continue;
			seen |= 1U << bits;
			(void)buf_addf(b, "#pragma include (\"%u.mof\")\n", bits);
		}
	}
}

TEST(what_is_printed_compiles_to_the_same_tables)
{
	AUTO(arena) a = arena_new(256 << 20);
	struct mofc m = {
		.arena = a, .load = load_printed, .load_ctx = (void *)(uintptr_t)&smiscsi_schema};
	auto_buf struct buf top = buf_of(MAX), got = buf_of(MAX), want = buf_of(MAX);
	struct err e = {0};
	FILE *f = fopen(SCHEMA_C, "re");
	char *at = buf_grow(&want, MAX - 1);

	print_top(&smiscsi_schema, &top);
	CHECK_INT(mofc_parse(&m, "top", top.p, top.len, &e), 0);
	CHECK_STR(e.text, "");
	CHECK_INT(mofc_check(&m, &e), 0);
	CHECK_STR(e.text, "");
	CHECK_INT(mofc_emit_tables(&m, &got, &e), 0);
	CHECK(f && at);
	if (!f || !at)
		return;
	want.len = fread(at, 1, MAX - 1, f);
	(void)fclose(f);
	CHECK_INT(got.len, want.len);
	for (size_t i = 0, line = 1; i < got.len && i < want.len; i++) {
		line += want.p[i] == '\n';
		if (got.p[i] != want.p[i]) {
			printf("# differs from line %zu of " SCHEMA_C " on\n", line);
			test_failures++;
			break;
		}
	}
}

TEST(a_class_prints_what_it_declares_itself_and_nothing_it_inherits)
{
	auto_buf struct buf b = buf_of(MAX);

	CHECK(cim_mof_class(&b, &smiscsi_schema, &cim_class_CIM_HostedCollection));
	CHECK_STR(b.p, "[Version (\"2.6.0\")]\n"
		       "class CIM_HostedCollection : CIM_HostedDependency {\n"
		       "\t[Override (\"Antecedent\"), Min (1), Max (1)]\n"
		       "\tCIM_System REF Antecedent;\n"
		       "\t[Override (\"Dependent\"), Weak]\n"
		       "\tCIM_SystemSpecificCollection REF Dependent;\n"
		       "};\n");
}

TEST(a_full_buffer_says_so)
{
	auto_buf struct buf b = buf_of(40);

	CHECK(!cim_mof_class(&b, &smiscsi_schema, &cim_class_CIM_iSCSIConfigurationService));
	CHECK(b.full);
}
