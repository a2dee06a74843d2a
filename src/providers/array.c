/* SPDX-License-Identifier: Apache-2.0 */
/*
 * array.c - profile 'Array': the host as a storage system, and what of all profiles it has
 */
#include "gen/iscsi.h"
#include "gen/server.h"
#include "providers/part.h"

#define SYS(prop) MSFTSM_ComputerSystem_P_##prop

PV_NEXT(system_next, pv_to_system)

static void system_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	/* Name was there (CIM_ManagedSystemElement) before it became a key. */
	ret[0] = pv_str(pv_state(c)->host->uuid);
	ret[1] = cim_strn(o->pc->cls->name, o->pc->cls->name_len);
}

static bool system_find(const struct prov_ctx *c, const struct cim_value *keys,
			struct prov_obj *ret)
{
	const struct san_host *h = pv_state(c)->host;

	return pv_key_is(&keys[0], h->uuid->s) &&
	       pv_key_is(&keys[1], cim_class_MSFTSM_ComputerSystem.name) &&
	       pv_set(c, PV_SYSTEM, h, ret);
}

static void system_fill(const struct prov_ctx *c, const struct prov_obj *o UNUSED,
			struct cim_instance *i)
{
	/* 3 Storage, 15 Block Server: what clients look for. */
	static const struct cim_value dedicated[] = {PV_U16(3), PV_U16(15)};
	static const struct cim_value what[] = {
		{.type = CIM_STRING, .kind = CIM_V_SCALAR, .n = 8, .s = "HostName"}};
	const struct san_state *s = pv_state(c);
	const struct pv_health *h = pv_system_health(s);
	struct cim_value *info = arena_alloc(c->arena, sizeof(*info));

	i->v[SYS(ElementName)] = pv_words(s->host->name);
	i->v[SYS(Caption)] = PV_TEXT("iSCSI target server");
	i->v[SYS(NameFormat)] = PV_TEXT("Other");
	i->v[SYS(Dedicated)] = cim_array(CIM_UINT16, dedicated, ARRAY_SIZE(dedicated));
	i->v[SYS(OtherIdentifyingInfo)] = i->v[SYS(IdentifyingDescriptions)] =
		(struct cim_value){.type = CIM_STRING};
	if (info && s->host->name->len) {
		*info = pv_str(s->host->name);
		i->v[SYS(OtherIdentifyingInfo)] = cim_array(CIM_STRING, info, 1);
		i->v[SYS(IdentifyingDescriptions)] = cim_array(CIM_STRING, what, 1);
	}
	i->v[SYS(ResetCapability)] = cim_u16(5); /* not implemented */
	PV_FARES(i, MSFTSM_ComputerSystem, h);
	if (s->engine->health == SAN_ENGINE_UP || s->engine->health == SAN_ENGINE_DEGRADED)
		i->v[SYS(StatusDescriptions)] = pv_descriptions(c, h, s->engine->why);
	i->v[SYS(EnabledState)] = cim_u16(h->enabled);
	i->v[SYS(TimeOfLastStateChange)] = pv_time(c, s->engine->changed_us);
}

/* ---- associations ---- */

static const struct pv_legs devices = {
	PV_SYSTEM_DEVICE,
	2,
	{{{PV_SYSTEM, PV_NODE}, pv_list_nodes, pv_to_system, pv_to_system, 0},
	 {{PV_SYSTEM, PV_VOLUME}, pv_list_volumes, pv_to_system, pv_to_system, 0}},
};
PV_ASSOC(devices)

static const struct pv_legs services = {
	PV_HOSTED_SERVICE,
	3,
	{{{PV_SYSTEM, PV_ISCSI_SERVICE}, pv_to_iscsi_service, pv_to_system, pv_to_system, 0},
	 {{PV_SYSTEM, PV_STORAGE_SERVICE}, pv_to_storage_service, pv_to_system, pv_to_system, 0},
	 {{PV_SYSTEM, PV_CONTROLLER_SERVICE},
	  pv_to_controller_service,
	  pv_to_system,
	  pv_to_system,
	  0}},
};
PV_ASSOC(services)

static const struct pv_legs capabilities = {
	PV_ELEMENT_CAPABILITIES,
	6,
	{{{PV_SYSTEM, PV_ISCSI_CAPS}, pv_to_iscsi_caps, pv_to_system, pv_to_system, 0},
	 {{PV_SYSTEM, PV_MASKING_CAPS}, pv_to_masking_caps, pv_to_system, pv_to_system, 0},
	 {{PV_ISCSI_SERVICE, PV_ISCSI_SERVICE_CAPS},
	  pv_to_iscsi_service_caps,
	  pv_to_iscsi_service,
	  pv_to_iscsi_service,
	  0},
	 {{PV_STORAGE_SERVICE, PV_STORAGE_SERVICE_CAPS},
	  pv_caps_of_storage_service,
	  pv_storage_service_of_caps,
	  pv_to_storage_service,
	  0},
	 {{PV_POOL, PV_STORAGE_SERVICE_CAPS},
	  pv_service_caps_of_pool,
	  pv_pool_of_service_caps,
	  pv_list_pools,
	  0},
	 {{PV_POOL, PV_STORAGE_CAPS}, pv_caps_of_pool, pv_pool_of_caps, pv_list_pools, 0}},
};
PV_ASSOC(capabilities)

static const struct pv_class_row classes[] = {
	{PV_SYSTEM,
	 {.cls = &cim_class_MSFTSM_ComputerSystem,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = system_next,
	  .find = system_find,
	  .keys = system_keys,
	  .fill = system_fill}},
};
static const struct pv_assoc_row assocs[] = {
	{PV_SYSTEM_DEVICE,
	 {.cls = &cim_class_MSISCSITARGET_SystemDevice,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {MSISCSITARGET_SystemDevice_P_GroupComponent,
		  MSISCSITARGET_SystemDevice_P_PartComponent},
	  .next = devices_next,
	  .walk = devices_walk}},
	{PV_HOSTED_SERVICE,
	 {.cls = &cim_class_MSISCSITARGET_HostedService,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {MSISCSITARGET_HostedService_P_Antecedent,
		  MSISCSITARGET_HostedService_P_Dependent},
	  .next = services_next,
	  .walk = services_walk}},
	{PV_ELEMENT_CAPABILITIES,
	 {.cls = &cim_class_MSISCSITARGET_ElementCapabilities,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {MSISCSITARGET_ElementCapabilities_P_ManagedElement,
		  MSISCSITARGET_ElementCapabilities_P_Capabilities},
	  .next = capabilities_next,
	  .walk = capabilities_walk}},
};
const struct pv_part pv_array = {
	.classes = classes,
	.n_classes = ARRAY_SIZE(classes),
	.assocs = assocs,
	.n_assocs = ARRAY_SIZE(assocs),
};
