/* SPDX-License-Identifier: Apache-2.0 */
#include "providers/part.h"

static const struct pv_part *const parts[] = {
	&pv_array,    &pv_ip,		&pv_target_ports,   &pv_sessions, &pv_statistics,
	&pv_settings, &pv_iscsi_config, &pv_block_services, &pv_masking,  &pv_server,
	&pv_registration, &pv_physical,	    &pv_foreign,
};

static void put_tables(struct pv *pv, const struct prov_module *m, const struct pv_part *p)
{
	for (size_t i = 0; i < p->n_classes; i++) {
		pv->classes[p->classes[i].id] = p->classes[i].c;
		pv->classes[p->classes[i].id].mod = m;
	}
	for (size_t i = 0; i < p->n_assocs; i++) {
		pv->assocs[p->assocs[i].id] = p->assocs[i].a;
		pv->assocs[p->assocs[i].id].mod = m;
	}
}

void providers_fill(struct prov_module *m, const struct providers_server *server)
{
	struct pv *pv = xcalloc(1, sizeof(*pv));
	size_t n_methods = 0, n_edits = 0;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		n_methods += parts[i]->n_methods;
		n_edits += parts[i]->n_edits;
	}
	pv->server = server;
	pv->methods = xcalloc(n_methods, sizeof(*pv->methods));
	pv->edits = xcalloc(n_edits, sizeof(*pv->edits));
	n_methods = n_edits = 0;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		put_tables(pv, m, parts[i]);
		for (size_t k = 0; k < parts[i]->n_methods; k++)
			pv->methods[n_methods++] = parts[i]->methods[k];
		for (size_t k = 0; k < parts[i]->n_edits; k++)
			pv->edits[n_edits++] = parts[i]->edits[k];
	}
	m->classes = pv->classes;
	m->n_classes = PV_CLASSES;
	m->assocs = pv->assocs;
	m->n_assocs = PV_ASSOCS;
	m->methods = pv->methods;
	m->n_methods = n_methods;
	m->edits = pv->edits;
	m->n_edits = n_edits;
}

void providers_done(struct prov_module *m)
{
	struct pv *pv = (struct pv *)(uintptr_t)m->classes;

	if (!pv)
		return;
	m->classes = NULL;
	free(pv->methods);
	free(pv->edits);
	free(pv);
}
