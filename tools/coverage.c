/* SPDX-License-Identifier: Apache-2.0 */
/* Writes src/smiscsi/coverage.h's table: which classes the providers' tables have rows for, and which
 * methods bodies.  Run while building. */
#include <stdio.h>

#include "broker/broker.h"
#include "gen/schema.h"
#include "providers/providers.h"
#include "sm/view.h"

static bool edits(const struct prov_module *const *mods, size_t n, const struct cim_class *c, int what)
{
	for (size_t m = 0; m < n; m++)
		for (size_t i = 0; i < mods[m]->n_edits; i++) {
			const struct prov_edit *e = &mods[m]->edits[i];

			if (cim_class_is_a(c, e->cls) &&
			    (what == 0	 ? e->create != NULL
			     : what == 1 ? e->modify != NULL
					 : e->remove != NULL))
				return true;
		}
	return false;
}

int main(void)
{
	static const struct cim_namespace *const spaces[] = {
		&smiscsi_ns_iscsitarget, &smiscsi_ns_interop, &smiscsi_ns_sm};
	static const struct providers_server server;
	static struct prov_module san = {.name = "san"}, sm = {.name = "sm"};
	const struct prov_module *const mods[] = {&san, &sm};
	struct broker_config c = {.namespaces = spaces,
				  .n_namespaces = ARRAY_SIZE(spaces),
				  .modules = mods,
				  .n_modules = ARRAY_SIZE(mods)};
	struct broker *b;
	struct err e = {0};
	void *tables;

	providers_fill(&san, &server);
	tables = sm_tables_new(&sm);
	b = broker_new(&c, &e);
	if (!b) {
		(void)fprintf(stderr, "coverage: %s\n", e.text);
		return 1;
	}
	puts("#include \"smiscsi/coverage.h\"\n\nconst struct coverage coverage[] = {");
	for (unsigned i = 0; i < smiscsi_schema.n_classes; i++) {
		const struct cim_class *k = smiscsi_schema.classes[i];
		bool shown = broker_serves_class(b, k);

		printf("\t[%u] = {%d, %d, %d, %d, \"", k->id, shown, edits(mods, 2, k, 0),
		       edits(mods, 2, k, 1), edits(mods, 2, k, 2));
		for (unsigned m = 0; m < k->n_methods; m++)
			(void)putchar('0' + broker_serves_method(b, k, k->methods[m]->name));
		printf("\"}, /* %s */\n", k->name);
	}
	puts("};");
	broker_free(b);
	providers_done(&san);
	sm_tables_free(tables);
	return 0;
}
