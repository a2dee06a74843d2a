/* SPDX-License-Identifier: Apache-2.0 */
/* smiscsi schema: the class model compiled into this program, without asking a server. */
#include <stdio.h>

#include "base/str.h"
#include "cim/mofprint.h"
#include "gen/schema.h"
#include "smiscsi/cli.h"
#include "smiscsi/coverage.h"

enum { MAX_MOF = 16 << 20 };

static const struct cim_namespace *const namespaces[] = {&smiscsi_ns_iscsitarget,
							 &smiscsi_ns_interop, &smiscsi_ns_sm};

/* In one namespace, or in any when ns is NULL. */
static bool lives_in(const struct cim_class *c, const struct cim_namespace *ns)
{
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
		if ((!ns || ns == namespaces[i]) && cim_ns_has(namespaces[i], c))
			return true;
	return false;
}

static const char *kind(const struct cim_class *c)
{
	bool abstract = c->flags & CIM_C_ABSTRACT;

	if (c->flags & CIM_C_ASSOCIATION)
		return abstract ? "abstract association" : "association";
	if (c->flags & CIM_C_INDICATION)
		return abstract ? "abstract indication" : "indication";
	return abstract ? "abstract class" : "class";
}

/* ---- as JSON ---- */

static const char *type_name(uint8_t type, const struct cim_class *of)
{
	return type == CIM_REF && of ? of->name : cim_type_name((enum cim_type)type);
}

static json_t *json_feature(const char *name, uint8_t type, uint16_t flags,
			    const struct cim_class *of)
{
	return json_pack("{s:s, s:s, s:b, s:b}", "name", name, "type", type_name(type, of),
			 "reference", type == CIM_REF, "array", !!(flags & CIM_F_ARRAY));
}

static json_t *json_properties(const struct cim_class *c)
{
	json_t *a = json_array();

	for (uint16_t i = 0; i < c->n_props; i++) {
		const struct cim_prop *p = c->props[i];
		json_t *o = json_feature(p->name, p->type, p->flags, p->ref_class);

		(void)json_object_set_new(o, "key", json_boolean(p->flags & CIM_F_KEY));
		(void)json_object_set_new(o, "writable", json_boolean(p->flags & CIM_F_WRITE));
		(void)json_object_set_new(o, "declared_in", json_string(p->declared->name));
		(void)json_array_append_new(a, o);
	}
	return a;
}

static json_t *json_methods(const struct cim_class *c)
{
	json_t *a = json_array();

	for (uint16_t i = 0; i < c->n_methods; i++) {
		const struct cim_method *m = c->methods[i];
		json_t *o = json_feature(m->name, m->type, m->flags, NULL), *params = json_array();

		for (uint16_t k = 0; k < m->n_params; k++) {
			const struct cim_param *p = &m->params[k];
			json_t *po = json_feature(p->name, p->type, p->flags, p->ref_class);

			(void)json_object_set_new(po, "in", json_boolean(p->flags & CIM_F_IN));
			(void)json_object_set_new(po, "out", json_boolean(p->flags & CIM_F_OUT));
			(void)json_array_append_new(params, po);
		}
		(void)json_object_set_new(o, "parameters", params);
		(void)json_object_set_new(o, "declared_in", json_string(m->declared->name));
		(void)json_array_append_new(a, o);
	}
	return a;
}

static json_t *json_class(const struct cim_class *c)
{
	json_t *o = json_pack("{s:s, s:s, s:s?}", "name", c->name, "kind", kind(c), "superclass",
			      c->super ? c->super->name : NULL);
	json_t *ns = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
		if (cim_ns_has(namespaces[i], c))
			(void)json_array_append_new(ns, json_string(namespaces[i]->name));
	(void)json_object_set_new(o, "namespaces", ns);
	return o;
}

/* ---- what is implemented ---- */

/* Has a class below c objects?  Then asking for c gives them. */
static bool shown_below(const struct cim_class *c)
{
	for (uint16_t i = 0; i < smiscsi_schema.n_classes; i++) {
		const struct cim_class *k = smiscsi_schema.classes[i];

		if (k != c && coverage[k->id].instances && cim_class_is_a(k, c))
			return true;
	}
	return false;
}

static const char *instances_of(const struct cim_class *c)
{
	return coverage[c->id].instances ? "yes" : shown_below(c) ? "of subclasses" : "none";
}

static json_t *json_coverage(const struct cim_class *c)
{
	const struct coverage *v = &coverage[c->id];
	json_t *o = json_class(c), *methods = json_object();

	(void)json_object_set_new(o, "instances", json_string(instances_of(c)));
	(void)json_object_set_new(o, "create", json_boolean(v->create));
	(void)json_object_set_new(o, "modify", json_boolean(v->modify));
	(void)json_object_set_new(o, "delete", json_boolean(v->remove));
	for (uint16_t i = 0; i < c->n_methods; i++)
		(void)json_object_set_new(methods, c->methods[i]->name,
					  json_boolean(v->methods[i] == '1'));
	(void)json_object_set_new(o, "methods", methods);
	return o;
}

static void print_methods(const struct cim_class *c, char which, const char *title)
{
	const char *methods = coverage[c->id].methods;

	if (!strchr(methods, which))
		return;
	printf("    %s", title);
	for (uint16_t i = 0; i < c->n_methods; i++)
		if (methods[i] == which)
			printf(" %s", c->methods[i]->name);
	(void)putchar('\n');
}

static void print_coverage(const struct cim_class *c)
{
	const struct coverage *v = &coverage[c->id];

	printf("%-55s instances: %s%s%s%s\n", c->name, instances_of(c),
	       v->create ? ", can be created" : "", v->modify ? ", can be modified" : "",
	       v->remove ? ", can be deleted" : "");
	print_methods(c, '1', "does:");
	/* Of what never has objects no method can be called. */
	if (v->instances)
		print_methods(c, '0', "returns 1 (Not Supported):");
}

static int cover(struct cli *c, const struct cim_namespace *ns)
{
	json_t *all = c->json ? json_array() : NULL;
	unsigned n = 0, shown = 0;

	for (uint16_t i = 0; i < smiscsi_schema.n_classes; i++) {
		const struct cim_class *k = smiscsi_schema.classes[i];

		if (!lives_in(k, ns))
			continue;
		n++;
		shown += coverage[k->id].instances;
		if (all)
			(void)json_array_append_new(all, json_coverage(k));
		else
			print_coverage(k);
	}
	if (all)
		cli_print_json(all);
	else
		printf("%u classes, %u of them with instances of their own\n", n, shown);
	return EXIT_DONE;
}

/* ---- the command ---- */

static int list(struct cli *c, const struct cim_namespace *ns)
{
	json_t *all = c->json ? json_array() : NULL;

	for (uint16_t i = 0; i < smiscsi_schema.n_classes; i++) {
		const struct cim_class *cls = smiscsi_schema.classes[i];

		if (!lives_in(cls, ns))
			continue;
		if (all)
			(void)json_array_append_new(all, json_class(cls));
		else
			printf("%-55s %s\n", cls->name, kind(cls));
	}
	if (all)
		cli_print_json(all);
	return EXIT_DONE;
}

static int print_mof(const struct buf *b)
{
	if (b->full)
		return cli_failf("the schema is larger than %d bytes of MOF", MAX_MOF);
	(void)fwrite(b->p, 1, b->len, stdout);
	return EXIT_DONE;
}

/* Everything, so that a MOF compiler can read it. */
static int whole(const struct cim_namespace *ns)
{
	auto_buf struct buf b = buf_of(MAX_MOF);

	for (uint16_t i = 0; i < smiscsi_schema.n_qualdecls; i++)
		(void)cim_mof_qualdecl(&b, &smiscsi_schema.qualdecls[i]);
	for (uint16_t i = 0; i < smiscsi_schema.n_classes; i++)
		if (lives_in(smiscsi_schema.classes[i], ns)) {
			(void)buf_addc(&b, '\n');
			(void)cim_mof_class(&b, &smiscsi_schema, smiscsi_schema.classes[i]);
		}
	return print_mof(&b);
}

static int one(struct cli *c, const char *name, const struct cim_namespace *ns)
{
	const struct cim_class *cls = cim_schema_find(&smiscsi_schema, name, strlen(name));
	auto_buf struct buf b = buf_of(MAX_MOF);
	json_t *o;

	if (!cls || !lives_in(cls, ns))
		return cli_failf("no class %s%s%s; \"smiscsi schema\" lists them", name,
				 ns ? " in namespace " : "", ns ? ns->name : "");
	if (!c->json) {
		(void)cim_mof_class(&b, &smiscsi_schema, cls);
		return print_mof(&b);
	}
	o = json_class(cls);
	(void)json_object_set_new(o, "properties", json_properties(cls));
	(void)json_object_set_new(o, "methods", json_methods(cls));
	cli_print_json(o);
	return EXIT_DONE;
}

int cmd_schema(struct cli *c)
{
	const char *name = cli_option(c, "namespace");
	const struct cim_namespace *ns = NULL;
	int r = EXIT_DONE;

	for (size_t i = 0; name && i < ARRAY_SIZE(namespaces); i++)
		if (str_caseeq(namespaces[i]->name, name))
			ns = namespaces[i];
	if (name && !ns)
		return cli_failf("no namespace %s", name);
	if (cli_option(c, "coverage"))
		return cover(c, ns);
	if (!c->n_args)
		return list(c, ns);
	if (c->n_args == 1 && streq(c->args[0], "all") && !c->json)
		return whole(ns);
	for (size_t i = 0; r == EXIT_DONE && i < c->n_args; i++)
		r = one(c, c->args[i], ns);
	return r;
}
