/* SPDX-License-Identifier: Apache-2.0 */
/*
 * masking.c - ControllerConfigurationService: which volumes a node shows, under which numbers
 *
 * No masking yet: every initiator that logs in to a node sees all of its units, and the
 * capabilities say so.
 */
#include "gen/iscsi.h"
#include "gen/masking.h"
#include "providers/part.h"

#define SERVICE(prop) MSISCSITARGET_ControllerConfigurationService_P_##prop
#define CAPS(prop)    MSISCSITARGET_ProtocolControllerMaskingCapabilities_P_##prop

bool pv_to_controller_service(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
			      struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_host_as(c, PV_CONTROLLER_SERVICE, pos, ret);
}
PV_NEXT(service_next, pv_to_controller_service)

static void service_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	pv_keys_named(c, o, PV_TEXT("Controller Configuration Service"), ret);
}

static void service_fill(const struct prov_ctx *c UNUSED, const struct prov_obj *o UNUSED,
			 struct cim_instance *i)
{
	i->v[SERVICE(ElementName)] = PV_TEXT("Controller Configuration Service");
	i->v[SERVICE(Started)] = cim_bool(true);
	i->v[SERVICE(StartMode)] = PV_TEXT("Automatic");
	i->v[SERVICE(EnabledState)] = cim_u16(2);
	PV_FARES(i, MSISCSITARGET_ControllerConfigurationService, pv_health(SAN_OK));
}

bool pv_to_masking_caps(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
			struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_host_as(c, PV_MASKING_CAPS, pos, ret);
}
PV_NEXT(caps_next, pv_to_masking_caps)

static void caps_keys(const struct prov_ctx *c UNUSED, const struct prov_obj *o UNUSED,
		      struct cim_value *ret)
{
	ret[0] = PV_TEXT("smiscsi:protocol-controller-masking-capabilities:1");
}

static void caps_fill(const struct prov_ctx *c UNUSED, const struct prov_obj *o UNUSED,
		      struct cim_instance *i)
{
	static const struct cim_value types[] = {PV_U16(5)}; /* iSCSI name */

	i->v[CAPS(ElementName)] = PV_TEXT("Controller configuration capabilities");
	i->v[CAPS(ValidHardwareIdTypes)] = cim_array(CIM_UINT16, types, ARRAY_SIZE(types));
	i->v[CAPS(PortsPerView)] = cim_u16(3); /* a node has many ports */
	i->v[CAPS(ClientSelectableDeviceNumbers)] = cim_bool(true);
	i->v[CAPS(AttachDeviceSupported)] = cim_bool(true);
	i->v[CAPS(ExposePathsSupported)] = cim_bool(false);
	i->v[CAPS(CreateProtocolControllerSupported)] = cim_bool(false);
	i->v[CAPS(SPCAllowsNoLUs)] = cim_bool(true);
	i->v[CAPS(SPCAllowsNoTargets)] = cim_bool(true);
	i->v[CAPS(SPCAllowsNoInitiators)] = cim_bool(true);
	i->v[CAPS(SPCSupportsDefaultViews)] = cim_bool(true);
}

/* ---- associations ---- */

static bool units_of_node(const struct prov_ctx *c, const struct prov_obj *from,
			  struct pv_pos *pos, struct prov_obj *ret)
{
	const struct san_node *n = from->p;
	const struct san_lun *l = pv_next_of(c, pos, SAN_LUNS_OF_NODE, n->obj.id);

	return l && pv_set(c, PV_VOLUME, san_unit(pv_state(c), l->unit), ret);
}

static bool nodes_of_unit(const struct prov_ctx *c, const struct prov_obj *from,
			  struct pv_pos *pos, struct prov_obj *ret)
{
	const struct san_unit *u = from->p;
	const struct san_lun *l = pv_next_of(c, pos, SAN_LUNS_OF_UNIT, u->obj.id);

	return l && pv_set(c, PV_NODE, san_node(pv_state(c), l->node), ret);
}

static const struct pv_legs attached = {
	PV_CONTROLLER_FOR_UNIT,
	1,
	{{{PV_NODE, PV_VOLUME}, units_of_node, nodes_of_unit, pv_list_nodes, 0}},
};
PV_ASSOC(attached)

static void attached_fill(const struct prov_ctx *c, const struct prov_link *l,
			  struct cim_instance *i)
{
	const struct san_node *n = l->end[0].p;
	const struct san_unit *u = l->end[1].p;
	const struct san_lun *lun = san_lun_of(pv_state(c), n->obj.id, u->obj.id);

	i->v[MSISCSITARGET_ProtocolControllerForUnit_P_DeviceNumber] =
		cim_str(lun ? lun->number : NULL);
	i->v[MSISCSITARGET_ProtocolControllerForUnit_P_DeviceAccess] = cim_u16(2);
	i->v[MSISCSITARGET_ProtocolControllerForUnit_P_AccessState] = cim_u16(2); /* active */
}

static const struct pv_legs configured = {
	PV_CONCRETE_DEPENDENCY,
	1,
	{{{PV_CONTROLLER_SERVICE, PV_NODE},
	  pv_list_nodes,
	  pv_to_controller_service,
	  pv_to_controller_service,
	  0}},
};
PV_ASSOC(configured)

/* ---- methods ---- */

#define ATTACH(p) CIM_ControllerConfigurationService_AttachDevice_A_##p
#define DETACH(p) CIM_ControllerConfigurationService_DetachDevice_A_##p

static enum cim_status attach(struct prov_call *call)
{
	const struct cim_value *number = &call->in[ATTACH(DeviceNumber)];
	struct san_attach_in in = {
		.node = pv_ref(call, &call->in[ATTACH(ProtocolController)],
			       &cim_class_CIM_ProtocolController, PV_NODE, NULL),
		.unit = pv_ref(call, &call->in[ATTACH(Device)], &cim_class_CIM_LogicalDevice,
			       PV_VOLUME, NULL),
		.number = cim_is_null(number) ? NULL : number->s,
	};
	struct san_attach_out out;

	call->ret = san_attach(pv_state(&call->ctx), &in, pv_changes(call), &out, &call->e);
	if (call->ret == SAN_DONE)
		call->out[ATTACH(DeviceNumber)] =
			cim_str(arena_strdup(call->ctx.arena, out.number));
	return CIM_OK;
}

static enum cim_status detach(struct prov_call *call)
{
	struct san_detach_in in = {
		.node = pv_ref(call, &call->in[DETACH(ProtocolController)],
			       &cim_class_CIM_ProtocolController, PV_NODE, NULL),
		.unit = pv_ref(call, &call->in[DETACH(Device)], &cim_class_CIM_LogicalDevice,
			       PV_VOLUME, NULL),
	};

	call->ret = san_detach(pv_state(&call->ctx), &in, pv_changes(call), &call->e);
	return CIM_OK;
}

/* ---- tables ---- */

static const struct pv_class_row classes[] = {
	{PV_CONTROLLER_SERVICE,
	 {.cls = &cim_class_MSISCSITARGET_ControllerConfigurationService,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = service_next,
	  .keys = service_keys,
	  .fill = service_fill}},
	{PV_MASKING_CAPS,
	 {.cls = &cim_class_MSISCSITARGET_ProtocolControllerMaskingCapabilities,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = caps_next,
	  .keys = caps_keys,
	  .fill = caps_fill}},
};
static const struct pv_assoc_row assocs[] = {
	{PV_CONTROLLER_FOR_UNIT,
	 {.cls = &cim_class_MSISCSITARGET_ProtocolControllerForUnit,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {MSISCSITARGET_ProtocolControllerForUnit_P_Antecedent,
		  MSISCSITARGET_ProtocolControllerForUnit_P_Dependent},
	  .next = attached_next,
	  .walk = attached_walk,
	  .fill = attached_fill}},
	{PV_CONCRETE_DEPENDENCY,
	 {.cls = &cim_class_MSISCSITARGET_ConcreteDependency,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {MSISCSITARGET_ConcreteDependency_P_Antecedent,
		  MSISCSITARGET_ConcreteDependency_P_Dependent},
	  .next = configured_next,
	  .walk = configured_walk}},
};
static const struct prov_method methods[] = {
	{&cim_class_MSISCSITARGET_ControllerConfigurationService, "AttachDevice", attach},
	{&cim_class_MSISCSITARGET_ControllerConfigurationService, "DetachDevice", detach},
};
const struct pv_part pv_masking = {
	.classes = classes,
	.n_classes = ARRAY_SIZE(classes),
	.assocs = assocs,
	.n_assocs = ARRAY_SIZE(assocs),
	.methods = methods,
	.n_methods = ARRAY_SIZE(methods),
};
