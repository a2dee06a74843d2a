/* SPDX-License-Identifier: Apache-2.0 */
/*
 * physical.c - profile 'Physical Package': the machine that the host runs on
 */
#include "gen/physical.h"
#include "providers/part.h"

#define BOX(prop) SMISCSI_PhysicalPackage_P_##prop

static bool to_package(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
		       struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_host_as(c, PV_PACKAGE, pos, ret);
}
PV_NEXT(package_next, to_package)

static void package_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	ret[0] = pv_str(pv_state(c)->host->uuid);
	ret[1] = cim_strn(o->pc->cls->name, o->pc->cls->name_len);
}

static bool package_find(const struct prov_ctx *c, const struct cim_value *keys,
			 struct prov_obj *ret)
{
	const struct san_host *h = pv_state(c)->host;

	return pv_key_is(&keys[0], h->uuid->s) &&
	       pv_key_is(&keys[1], cim_class_SMISCSI_PhysicalPackage.name) &&
	       pv_set(c, PV_PACKAGE, h, ret);
}

static void package_fill(const struct prov_ctx *c, const struct prov_obj *o UNUSED,
			 struct cim_instance *i)
{
	const struct providers_server *s = pv_server_of(c);

	i->v[BOX(ElementName)] = pv_words(pv_state(c)->host->name);
	i->v[BOX(Manufacturer)] = cim_str(s->manufacturer);
	i->v[BOX(Model)] = cim_str(s->model);
	i->v[BOX(SerialNumber)] = cim_str(s->serial);
}

static const struct pv_legs packaging = {
	PV_PACKAGING, 1, {{{PV_PACKAGE, PV_SYSTEM}, pv_to_system, to_package, to_package, 0}}};
PV_ASSOC(packaging)

static const struct pv_class_row classes[] = {
	{PV_PACKAGE,
	 {.cls = &cim_class_SMISCSI_PhysicalPackage,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = package_next,
	  .find = package_find,
	  .keys = package_keys,
	  .fill = package_fill}},
};
static const struct pv_assoc_row assocs[] = {
	{PV_PACKAGING,
	 {.cls = &cim_class_SMISCSI_SystemPackaging,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {SMISCSI_SystemPackaging_P_Antecedent, SMISCSI_SystemPackaging_P_Dependent},
	  .next = packaging_next,
	  .walk = packaging_walk}},
};
const struct pv_part pv_physical = {
	.classes = classes,
	.n_classes = ARRAY_SIZE(classes),
	.assocs = assocs,
	.n_assocs = ARRAY_SIZE(assocs),
};
