/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iscsi_config.c - iSCSIConfigurationService: nodes and ports are made, bound and deleted here
 *
 * Each method turns its parameters into what one rule of san/rules.h asks for, and gives back
 * that rule's code.
 */
#include <errno.h>

#include "gen/iscsi.h"
#include "gen/network.h"
#include "providers/part.h"

#define SERVICE(prop) MSISCSITARGET_iSCSIConfigurationService_P_##prop
#define CAPS(prop)    MSISCSITARGET_iSCSIConfigurationCapabilities_P_##prop
#define ARG(m, p)     CIM_iSCSIConfigurationService_##m##_A_##p

/* ---- the service and what it can do ---- */

bool pv_to_iscsi_service(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
			 struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_host_as(c, PV_ISCSI_SERVICE, pos, ret);
}
PV_NEXT(service_next, pv_to_iscsi_service)

static void service_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	pv_keys_named(c, o, PV_TEXT("iSCSI Configuration Service"), ret);
}

static void service_fill(const struct prov_ctx *c UNUSED, const struct prov_obj *o UNUSED,
			 struct cim_instance *i)
{
	i->v[SERVICE(ElementName)] = PV_TEXT("iSCSI Configuration Service");
	i->v[SERVICE(Started)] = cim_bool(true);
	i->v[SERVICE(StartMode)] = PV_TEXT("Automatic");
	i->v[SERVICE(EnabledState)] = cim_u16(2);
	PV_FARES(i, MSISCSITARGET_iSCSIConfigurationService, pv_health(SAN_OK));
}

bool pv_to_iscsi_service_caps(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
			      struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_host_as(c, PV_ISCSI_SERVICE_CAPS, pos, ret);
}
PV_NEXT(caps_next, pv_to_iscsi_service_caps)

static void caps_keys(const struct prov_ctx *c UNUSED, const struct prov_obj *o UNUSED,
		      struct cim_value *ret)
{
	ret[0] = PV_TEXT("smiscsi:iscsi-configuration-capabilities:1");
}

static void caps_fill(const struct prov_ctx *c, const struct prov_obj *o UNUSED,
		      struct cim_instance *i)
{
	const struct san_settings *s = pv_state(c)->settings;

	i->v[CAPS(ElementName)] = PV_TEXT("iSCSI configuration capabilities");
	i->v[CAPS(iSCSINodeCreationSupported)] = cim_bool(s->node_creation);
	i->v[CAPS(iSCSIProtocolEndpointCreationSupported)] = cim_bool(s->port_creation);
	i->v[CAPS(IdentifierSelectionSupported)] = cim_bool(s->identifier_selection);
}

/* ---- nodes ---- */

/* Text of a parameter that may be NULL. */
static const char *text_of(const struct cim_value *v)
{
	return cim_is_null(v) ? NULL : v->s;
}

static enum cim_status create_node(struct prov_call *call)
{
	struct san_create_node_in in = {.alias = text_of(&call->in[ARG(CreateiSCSINode, Alias)])};
	struct san_created made;

	call->ret = san_create_node(pv_state(&call->ctx), pv_env(call), &in, pv_changes(call),
				    &made, &call->e);
	if (call->ret == SAN_DONE)
		call->out[ARG(CreateiSCSINode, iSCSINode)] =
			pv_made(call, PV_NODE, SAN_NODE, made.id);
	return CIM_OK;
}

/* CreateInstance: the client brings its own iSCSI name. */
static enum cim_status create_named_node(struct prov_call *call)
{
	const struct cim_value *v = call->inst->v;
	struct san_create_named_node_in in = {
		.iqn = text_of(&v[MSISCSITARGET_SCSIProtocolController_P_Name]),
		.alias = text_of(&v[MSISCSITARGET_SCSIProtocolController_P_ElementName]),
	};
	const char *id = text_of(&v[MSISCSITARGET_SCSIProtocolController_P_DeviceID]);
	struct san_created made;
	uint32_t r;

	if (in.iqn && id && !streq(in.iqn, id)) {
		(void)err_set(&call->e, -EINVAL,
			      "Name says %s and DeviceID %s; both are the iSCSI name", in.iqn, id);
		return CIM_ERR_INVALID_PARAMETER;
	}
	if (!in.iqn)
		in.iqn = id;
	r = san_create_named_node(pv_state(&call->ctx), pv_env(call), &in, pv_changes(call), &made,
				  &call->e);
	if (r == SAN_DONE)
		call->new_path = pv_made_path(call, PV_NODE, SAN_NODE, made.id);
	return (enum cim_status)r;
}

static struct san_ref node_ref(const struct prov_call *call, const struct cim_value *v)
{
	return pv_ref(call, v, &cim_class_CIM_SCSIProtocolController, PV_NODE, NULL);
}

/* An initiator that has logged out knows it before we do. */
static uint32_t delete_by_rule(struct prov_call *call, const struct san_delete_node_in *in)
{
	uint32_t code = san_delete_node(pv_state(&call->ctx), in, pv_changes(call), &call->e);

	call->doubtful = code == 4097;
	return code;
}

static enum cim_status delete_node(struct prov_call *call)
{
	struct san_delete_node_in in = {
		.node = node_ref(call, &call->in[ARG(DeleteiSCSINode, iSCSINode)])};

	call->busy_code = 4097; /* a session came in meanwhile */
	call->ret = delete_by_rule(call, &in);
	return CIM_OK;
}

/* ModifyInstance: ElementName is all that a client may write. */
static enum cim_status rename_node(struct prov_call *call)
{
	const char *alias =
		text_of(&call->inst->v[MSISCSITARGET_SCSIProtocolController_P_ElementName]);

	return (enum cim_status)san_rename_node(pv_state(&call->ctx),
						((const struct san_obj *)call->target.p)->id, alias,
						pv_changes(call), &call->e);
}

/* A method's code as the status of the intrinsic operation that does the same. */
static enum cim_status as_status(uint32_t code)
{
	return code == SAN_DONE ? CIM_OK : code == 4096 ? CIM_ERR_NOT_FOUND : CIM_ERR_FAILED;
}

static struct san_ref target_of(const struct prov_call *call)
{
	return (struct san_ref){.kind = SAN_REF_FOUND,
				.id = ((const struct san_obj *)call->target.p)->id};
}

/* DeleteInstance, by the rule of DeleteiSCSINode. */
static enum cim_status remove_node(struct prov_call *call, const struct prov_link *link UNUSED)
{
	struct san_delete_node_in in = {target_of(call)};

	return as_status(delete_by_rule(call, &in));
}

/* ---- ports ---- */

static struct san_ref port_ref(const struct prov_call *call, const struct cim_value *v)
{
	struct prov_obj o;
	struct san_ref r = pv_ref(call, v, &cim_class_CIM_iSCSIProtocolEndpoint, PV_PORT, &o);

	/* An initiator's port is none that these methods take. */
	if (r.kind == SAN_REF_FOUND && pv_kind(&o) != SAN_PORT)
		r.kind = SAN_REF_WRONG_CLASS;
	return r;
}

/* A network portal: a TCP endpoint, or, for an initiator, an IP endpoint. */
static struct san_ref portal_ref(const struct prov_call *call, const struct cim_value *v)
{
	struct san_ref r = pv_ref(call, v, &cim_class_CIM_TCPProtocolEndpoint, PV_PORTAL, NULL);

	if (r.kind == SAN_REF_WRONG_CLASS) {
		r = pv_ref(call, v, &cim_class_CIM_IPProtocolEndpoint, PV_IP, NULL);
		r.is_ip = r.kind != SAN_REF_WRONG_CLASS;
	}
	return r;
}

static enum cim_status create_port(struct prov_call *call)
{
	const struct cim_value *role = &call->in[ARG(CreateiSCSIProtocolEndpoint, Role)];
	const struct cim_value *portals =
		&call->in[ARG(CreateiSCSIProtocolEndpoint, NetworkPortals)];
	size_t n = cim_is_null(portals) ? 0 : portals->n;
	struct san_ref *refs = arena_zalloc(call->ctx.arena, n * sizeof(*refs));
	struct san_create_port_in in = {
		.node = node_ref(call, &call->in[ARG(CreateiSCSIProtocolEndpoint, iSCSINode)]),
		.has_role = !cim_is_null(role),
		.role = (uint16_t)role->u,
		.identifier = text_of(&call->in[ARG(CreateiSCSIProtocolEndpoint, Identifier)]),
		.portals_null = cim_is_null(portals),
		.portals = refs,
		.n_portals = n,
	};
	struct san_created made;

	if (!refs)
		return CIM_ERR_SERVER_LIMITS_EXCEEDED;
	for (size_t i = 0; i < n; i++)
		refs[i] = portal_ref(call, &portals->a[i]);
	call->ret = san_create_port(pv_state(&call->ctx), pv_env(call), &in, pv_changes(call),
				    &made, &call->e);
	if (call->ret == SAN_DONE)
		call->out[ARG(CreateiSCSIProtocolEndpoint, iSCSIPort)] =
			pv_made(call, PV_PORT, SAN_PORT, made.id);
	return CIM_OK;
}

static enum cim_status delete_port(struct prov_call *call)
{
	struct san_delete_port_in in = {
		.port = port_ref(call, &call->in[ARG(DeleteiSCSIProtocolEndpoint, iSCSIPort)])};

	call->ret = san_delete_port(pv_state(&call->ctx), &in, pv_changes(call), &call->e);
	return CIM_OK;
}

/* DeleteInstance, by the rule of DeleteiSCSIProtocolEndpoint. */
static enum cim_status remove_port(struct prov_call *call, const struct prov_link *link UNUSED)
{
	struct san_delete_port_in in = {target_of(call)};

	if (pv_kind(&call->target) != SAN_PORT) {
		(void)err_set(&call->e, -EOPNOTSUPP,
			      "an initiator's port is not ours to delete; it goes with its "
			      "last session");
		return CIM_ERR_NOT_SUPPORTED;
	}
	return as_status(
		san_delete_port(pv_state(&call->ctx), &in, pv_changes(call), &call->e));
}

static enum cim_status bind_port(struct prov_call *call)
{
	struct san_bind_in in = {
		.port = port_ref(call, &call->in[ARG(BindiSCSIProtocolEndPoint, iSCSIPort)]),
		.portal = portal_ref(call,
				     &call->in[ARG(BindiSCSIProtocolEndPoint, NetworkPortal)]),
	};

	call->ret = san_bind(pv_state(&call->ctx), &in, pv_changes(call), &call->e);
	return CIM_OK;
}

/* ---- tables ---- */

static const struct pv_class_row classes[] = {
	{PV_ISCSI_SERVICE,
	 {.cls = &cim_class_MSISCSITARGET_iSCSIConfigurationService,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = service_next,
	  .keys = service_keys,
	  .fill = service_fill}},
	{PV_ISCSI_SERVICE_CAPS,
	 {.cls = &cim_class_MSISCSITARGET_iSCSIConfigurationCapabilities,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = caps_next,
	  .keys = caps_keys,
	  .fill = caps_fill}},
};
#define METHOD(name, body) {&cim_class_MSISCSITARGET_iSCSIConfigurationService, name, body}
static const struct prov_method methods[] = {
	METHOD("CreateiSCSINode", create_node),
	METHOD("DeleteiSCSINode", delete_node),
	METHOD("CreateiSCSIProtocolEndpoint", create_port),
	METHOD("DeleteiSCSIProtocolEndpoint", delete_port),
	METHOD("BindiSCSIProtocolEndPoint", bind_port),
};
static const struct prov_edit edits[] = {
	{.cls = &cim_class_MSISCSITARGET_SCSIProtocolController,
	 .create = create_named_node,
	 .modify = rename_node,
	 .remove = remove_node},
	{.cls = &cim_class_MSISCSITARGET_iSCSIProtocolEndpoint, .remove = remove_port},
};
const struct pv_part pv_iscsi_config = {
	.classes = classes,
	.n_classes = ARRAY_SIZE(classes),
	.methods = methods,
	.n_methods = ARRAY_SIZE(methods),
	.edits = edits,
	.n_edits = ARRAY_SIZE(edits),
};
