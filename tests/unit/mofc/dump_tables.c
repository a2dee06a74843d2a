/* SPDX-License-Identifier: Apache-2.0 */
/* The compiled tables as JSON on stdout, for compare_surface.py. */
#include <stdio.h>

#include "gen/schema.h"

static const char *const types[CIM_N_TYPES] = {
	[CIM_BOOLEAN] = "boolean", [CIM_UINT8] = "uint8",       [CIM_SINT8] = "sint8",
	[CIM_UINT16] = "uint16",   [CIM_SINT16] = "sint16",     [CIM_UINT32] = "uint32",
	[CIM_SINT32] = "sint32",   [CIM_UINT64] = "uint64",     [CIM_SINT64] = "sint64",
	[CIM_REAL32] = "real32",   [CIM_REAL64] = "real64",     [CIM_CHAR16] = "char16",
	[CIM_STRING] = "string",   [CIM_DATETIME] = "datetime", [CIM_REF] = "ref ",
	[CIM_OBJECT] = "object ",
};

static void put_string(const char *s)
{
	(void)putchar('"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			(void)putchar('\\');
		(void)putchar(*s);
	}
	(void)putchar('"');
}

static void put_type(uint8_t type, uint16_t flags, const struct cim_class *of)
{
	printf("\"%s%s%s\"", types[type], of ? of->name : "", flags & CIM_F_ARRAY ? "[]" : "");
}

static void put_value(const struct cim_value *v)
{
	if (v->kind == CIM_V_NULL) {
		printf("null");
	} else if (v->kind == CIM_V_ARRAY) {
		printf("[");
		for (uint32_t i = 0; i < v->n; i++) {
			printf("%s", i ? ", " : "");
			put_value(&v->a[i]);
		}
		printf("]");
	} else if (v->type == CIM_BOOLEAN) {
		printf("%s", v->u ? "true" : "false");
	} else if (v->type == CIM_STRING || v->type == CIM_DATETIME) {
		put_string(v->s);
	} else if (v->type == CIM_SINT8 || v->type == CIM_SINT16 || v->type == CIM_SINT32 ||
		   v->type == CIM_SINT64) {
		printf("%lld", (long long)v->i);
	} else {
		printf("%llu", (unsigned long long)v->u);
	}
}

static void put_qual(const struct cim_qual *q, size_t n, const char *name, const char *as)
{
	for (size_t i = 0; i < n; i++)
		if (streq(q[i].name, name)) {
			printf(", \"%s\": ", as);
			put_value(&q[i].value);
		}
}

static void put_params(const struct cim_method *m)
{
	printf(", \"params\": [");
	for (uint16_t i = 0; i < m->n_params; i++) {
		const struct cim_param *p = &m->params[i];

		printf("%s{\"name\": \"%s\", \"type\": ", i ? ",\n" : "", p->name);
		put_type(p->type, p->flags, p->ref_class);
		printf(", \"in\": %s, \"out\": %s", p->flags & CIM_F_IN ? "true" : "false",
		       p->flags & CIM_F_OUT ? "true" : "false");
		put_qual(p->quals, p->n_quals, "ValueMap", "map");
		put_qual(p->quals, p->n_quals, "Values", "values");
		printf("}");
	}
	printf("]");
}

static void put_class(const struct cim_class *c)
{
	printf("{\"name\": \"%s\", \"superclass\": ", c->name);
	printf(c->super ? "\"%s\"" : "null%s", c->super ? c->super->name : "");
	printf(", \"abstract\": %d, \"association\": %d, \"indication\": %d, \"namespaces\": [",
	       !!(c->flags & CIM_C_ABSTRACT), !!(c->flags & CIM_C_ASSOCIATION),
	       !!(c->flags & CIM_C_INDICATION));
	if (smiscsi_ns_iscsitarget.members[c->id / 64] >> (c->id % 64) & 1)
		printf("\"%s\", ", smiscsi_ns_iscsitarget.name);
	if (smiscsi_ns_interop.members[c->id / 64] >> (c->id % 64) & 1)
		printf("\"%s\", ", smiscsi_ns_interop.name);
	if (smiscsi_ns_sm.members[c->id / 64] >> (c->id % 64) & 1)
		printf("\"%s\", ", smiscsi_ns_sm.name);
	printf("null], \"properties\": [");
	for (uint16_t i = 0; i < c->n_props; i++) {
		const struct cim_prop *p = c->props[i];

		printf("%s{\"name\": \"%s\", \"type\": ", i ? ",\n" : "\n", p->name);
		put_type(p->type, p->flags, p->ref_class);
		printf(", \"key\": %s, \"write\": %s, \"required\": %s, \"maxlen\": %u, "
		       "\"default\": ",
		       p->flags & CIM_F_KEY ? "true" : "false",
		       p->flags & CIM_F_WRITE ? "true" : "false",
		       p->flags & CIM_F_REQUIRED ? "true" : "false", p->max_len);
		put_value(&p->dflt);
		put_qual(p->quals, p->n_quals, "ValueMap", "map");
		put_qual(p->quals, p->n_quals, "Values", "values");
		printf("}");
	}
	printf("], \"methods\": [");
	for (uint16_t i = 0; i < c->n_methods; i++) {
		const struct cim_method *m = c->methods[i];

		printf("%s{\"name\": \"%s\", \"type\": ", i ? ",\n" : "\n", m->name);
		put_type(m->type, m->flags, NULL);
		put_qual(m->quals, m->n_quals, "ValueMap", "map");
		put_qual(m->quals, m->n_quals, "Values", "values");
		put_params(m);
		printf("}");
	}
	printf("]}");
}

int main(void)
{
	printf("[");
	for (uint16_t i = 0; i < smiscsi_schema.n_classes; i++) {
		printf("%s", i ? ",\n" : "");
		put_class(smiscsi_schema.classes[i]);
	}
	printf("]\n");
	return 0;
}
