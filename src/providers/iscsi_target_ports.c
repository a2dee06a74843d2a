/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iscsi_target_ports.c - profile 'iSCSI Target Ports': nodes, ports, portals, portal groups
 */
#include <errno.h>

#include "gen/iscsi.h"
#include "providers/part.h"

#define NODE(prop)   MSISCSITARGET_SCSIProtocolController_P_##prop
#define PORT(prop)   MSISCSITARGET_iSCSIProtocolEndpoint_P_##prop
#define PORTAL(prop) MSISCSITARGET_TCPProtocolEndpoint_P_##prop
#define GROUP(prop)  MSISCSITARGET_SystemSpecificCollection_P_##prop
#define CAPS(prop)   MSISCSITARGET_iSCSICapabilities_P_##prop

/* ---- nodes ---- */

bool pv_list_nodes(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
		   struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_set(c, PV_NODE, pv_next(c, pos, SAN_NODES), ret);
}
PV_NEXT(node_next, pv_list_nodes)
PV_COUNT(node_count, SAN_NODES)

static void node_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	const struct san_node *n = o->p;

	pv_keys_device(c, o, pv_str(n->iqn), ret);
}

static bool node_find(const struct prov_ctx *c, const struct cim_value *keys, struct prov_obj *ret)
{
	const char *iqn = pv_device_of_keys(c, &cim_class_MSISCSITARGET_SCSIProtocolController,
					    keys);
	const struct san_node *n = iqn ? san_node_by_iqn(pv_state(c), iqn) : NULL;

	/* Key values compare as they are, though the model finds a name in any case. */
	return n && streq(n->iqn->s, iqn) && pv_set(c, PV_NODE, n, ret);
}

static void node_fill(const struct prov_ctx *c, const struct prov_obj *o, struct cim_instance *i)
{
	const struct san_node *n = o->p;
	const struct pv_health *h = n->enabled.on ? pv_host_health(pv_state(c))
						  : pv_health(SAN_DISABLED);

	i->v[NODE(ElementName)] = pv_str(n->alias);
	i->v[NODE(Name)] = pv_str(n->iqn);
	i->v[NODE(NameFormat)] = cim_u16(3);
	i->v[NODE(MaxUnitsControlled)] = cim_u32(SAN_LUN_MAX + 1);
	i->v[NODE(InstallDate)] = pv_time(c, n->created_us);
	PV_FARES(i, MSISCSITARGET_SCSIProtocolController, h);
	i->v[NODE(EnabledState)] = pv_enabled(&n->enabled, h);
	i->v[NODE(RequestedState)] = cim_u16(n->enabled.requested);
	i->v[NODE(TimeOfLastStateChange)] = pv_time(c, n->enabled.changed_us);
}

/* ---- ports ---- */

bool pv_list_target_ports(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
			  struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_set(c, PV_PORT, pv_next(c, pos, SAN_PORTS), ret);
}

/* First the target's ports, then those of the initiators that are logged in. */
static bool list_ports(const struct prov_ctx *c, const struct prov_obj *from, struct pv_pos *pos,
		       struct prov_obj *ret)
{
	if (pos->phase == 0) {
		if (pv_list_target_ports(c, from, pos, ret))
			return true;
		pv_next_phase(pos);
	}
	return pv_list_initiators(c, from, pos, ret);
}
PV_NEXT(port_next, list_ports)

static void port_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	const struct san_port *p = o->p;
	const struct san_session *x = o->p;

	pv_keys_named(c, o, pv_str(pv_kind(o) == SAN_PORT ? p->name : x->initiator_port), ret);
}

static bool port_find(const struct prov_ctx *c, const struct cim_value *keys, struct prov_obj *ret)
{
	const char *name = pv_name_of_keys(c, &cim_class_MSISCSITARGET_iSCSIProtocolEndpoint, keys);
	const struct san_port *p = name ? san_port_by_name(pv_state(c), name) : NULL;

	if (p)
		return streq(p->name->s, name) && pv_set(c, PV_PORT, p, ret);
	return name && pv_set(c, PV_PORT, pv_initiator(pv_state(c), name), ret);
}

static void port_fill(const struct prov_ctx *c, const struct prov_obj *o, struct cim_instance *i)
{
	const struct san_port *p = o->p;
	const struct pv_health *h;

	/* The same for both kinds. */
	i->v[PORT(NameFormat)] = PV_TEXT("iSCSI port name");
	i->v[PORT(ProtocolIFType)] = cim_u16(1);
	i->v[PORT(OtherTypeDescription)] = PV_TEXT("iSCSI");
	i->v[PORT(ProtocolType)] = cim_u16(1);
	i->v[PORT(ConnectionType)] = cim_u16(7);
	if (pv_kind(o) != SAN_PORT) {
		pv_initiator_fill(c, o->p, i);
		return;
	}
	h = pv_health(p->status);
	i->v[PORT(ElementName)] = pv_str(p->name);
	i->v[PORT(Role)] = cim_u16(3);
	i->v[PORT(Identifier)] = cim_strn(p->identifier, 12);
	PV_FARES(i, MSISCSITARGET_iSCSIProtocolEndpoint, h);
	i->v[PORT(StatusDescriptions)] = pv_descriptions(c, h, p->why);
	i->v[PORT(EnabledState)] = pv_enabled(&p->enabled, h);
	i->v[PORT(RequestedState)] = cim_u16(p->enabled.requested);
	i->v[PORT(TimeOfLastStateChange)] = pv_time(c, p->enabled.changed_us);
}

/* ---- portals ---- */

bool pv_list_portals(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
		     struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_set(c, PV_PORTAL, pv_next(c, pos, SAN_PORTALS), ret);
}
PV_NEXT(portal_next, pv_list_portals)
PV_COUNT(portal_count, SAN_PORTALS)

static void portal_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	const struct san_portal *p = o->p;

	pv_keys_named(c, o, pv_str(p->text), ret);
}

static bool portal_find(const struct prov_ctx *c, const struct cim_value *keys,
			struct prov_obj *ret)
{
	const char *name = pv_name_of_keys(c, &cim_class_MSISCSITARGET_TCPProtocolEndpoint, keys);
	const struct san_portal *p = name ? san_portal_by_text(pv_state(c), name) : NULL;

	return p && streq(p->text->s, name) && pv_set(c, PV_PORTAL, p, ret);
}

static void portal_fill(const struct prov_ctx *c, const struct prov_obj *o, struct cim_instance *i)
{
	const struct san_portal *p = o->p;
	const struct pv_health *h = pv_health(p->status);

	i->v[PORTAL(ElementName)] = pv_str(p->text);
	i->v[PORTAL(NameFormat)] = PV_TEXT("address:port");
	i->v[PORTAL(PortNumber)] = cim_u32(p->tcp_port);
	i->v[PORTAL(ProtocolIFType)] = cim_u16(4111);
	i->v[PORTAL(ProtocolType)] = cim_u16(27);
	PV_FARES(i, MSISCSITARGET_TCPProtocolEndpoint, h);
	i->v[PORTAL(StatusDescriptions)] = pv_descriptions(c, h, p->why);
	i->v[PORTAL(EnabledState)] = pv_enabled(&p->enabled, h);
	i->v[PORTAL(RequestedState)] = cim_u16(p->enabled.requested);
	i->v[PORTAL(TimeOfLastStateChange)] = pv_time(c, p->enabled.changed_us);
}

/* Name is "address:port"; or an address, with PortNumber. */
static enum cim_status portal_create(struct prov_call *call)
{
	const struct cim_value *name = &call->inst->v[PORTAL(Name)],
			       *number = &call->inst->v[PORTAL(PortNumber)];
	char address[SAN_ADDRESS_TEXT];
	struct san_create_portal_in in = {.has_tcp_port = !cim_is_null(number),
					  .tcp_port = (uint32_t)number->u};
	struct san_created made;
	uint8_t family;
	uint32_t r;

	if (!cim_is_null(name)) {
		if (san_address_parse(name->s, address, &family))
			in.address = address;
		else
			in.name = name->s;
	}
	r = san_create_portal(pv_state(&call->ctx), pv_env(call), &in, pv_changes(call), &made,
			      &call->e);
	if (r == SAN_DONE)
		call->new_path = pv_made_path(call, PV_PORTAL, SAN_PORTAL, made.id);
	return (enum cim_status)r;
}

static enum cim_status portal_remove(struct prov_call *call, const struct prov_link *link UNUSED)
{
	const struct san_portal *p = call->target.p;

	return (enum cim_status)san_delete_portal(pv_state(&call->ctx), p->obj.id,
						  pv_changes(call), &call->e);
}

/* ---- portal groups ---- */

bool pv_list_groups(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
		    struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_set(c, PV_GROUP, pv_next(c, pos, SAN_GROUPS), ret);
}
PV_NEXT(group_next, pv_list_groups)
PV_COUNT(group_count, SAN_GROUPS)

static void group_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	const struct san_group *g = o->p;

	ret[0] = pv_instance_id(c, "group", g->obj.id);
}

static bool group_find(const struct prov_ctx *c, const struct cim_value *keys,
		       struct prov_obj *ret)
{
	uint64_t id;

	return pv_instance_id_parse(&keys[0], "group", &id) &&
	       pv_set(c, PV_GROUP, san_group(pv_state(c), id), ret);
}

static void group_fill(const struct prov_ctx *c UNUSED, const struct prov_obj *o,
		       struct cim_instance *i)
{
	const struct san_group *g = o->p;

	i->v[GROUP(ElementName)] = pv_str(g->name);
	i->v[GROUP(Description)] = PV_TEXT("iSCSI portal group");
}

static enum cim_status group_create(struct prov_call *call)
{
	struct san_created made;
	uint32_t r = san_create_group(pv_state(&call->ctx), call->inst->v[GROUP(ElementName)].s,
				      pv_changes(call), &made, &call->e);

	if (r == SAN_DONE)
		call->new_path = pv_made_path(call, PV_GROUP, SAN_GROUP, made.id);
	return (enum cim_status)r;
}

/* ElementName is all that a client may write. */
static enum cim_status group_modify(struct prov_call *call)
{
	const struct cim_value *name = &call->inst->v[GROUP(ElementName)];
	const struct san_group *g = call->target.p;

	return (enum cim_status)san_rename_group(pv_state(&call->ctx), g->obj.id,
						 cim_is_null(name) ? NULL : name->s,
						 pv_changes(call), &call->e);
}

static enum cim_status group_remove(struct prov_call *call, const struct prov_link *link UNUSED)
{
	const struct san_group *g = call->target.p;

	return (enum cim_status)san_delete_group(pv_state(&call->ctx), g->obj.id, pv_changes(call),
						 &call->e);
}

/* ---- what the target can do ---- */

bool pv_to_iscsi_caps(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
		      struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_host_as(c, PV_ISCSI_CAPS, pos, ret);
}
PV_NEXT(caps_next, pv_to_iscsi_caps)

static void caps_keys(const struct prov_ctx *c UNUSED, const struct prov_obj *o UNUSED,
		      struct cim_value *ret)
{
	ret[0] = PV_TEXT("smiscsi:iscsi-capabilities:1");
}

static void caps_fill(const struct prov_ctx *c UNUSED, const struct prov_obj *o UNUSED,
		      struct cim_instance *i)
{
	static const struct cim_value none[] = {PV_U16(2)};
	static const struct cim_value sessions[] = {
		PV_U16(CIM_iSCSICapabilities_SupportedFeatures_iSCSI_Session)};

	i->v[CAPS(ElementName)] = PV_TEXT("iSCSI capabilities");
	i->v[CAPS(MinimumSpecificationVersionSupported)] = cim_uint(CIM_UINT8, 0);
	i->v[CAPS(MaximumSpecificationVersionSupported)] = cim_uint(CIM_UINT8, 0);
	i->v[CAPS(AuthenticationMethodsSupported)] =
		cim_array(CIM_UINT16, none, ARRAY_SIZE(none));
	i->v[CAPS(SupportedFeatures)] = cim_array(CIM_UINT16, sessions, ARRAY_SIZE(sessions));
}

/* ---- associations ---- */

static bool portals_of_ip(const struct prov_ctx *c, const struct prov_obj *from,
			  struct pv_pos *pos, struct prov_obj *ret)
{
	const struct san_ip *ip = from->p;

	if (pos->begun)
		return pv_set(c, PV_PORTAL, san_next(&pos->walk), ret);
	pos->begun = 1;
	return pv_set(c, PV_PORTAL,
		      san_first_of_text(&pos->walk, pv_state(c), SAN_PORTALS_BY_TEXT,
					ip->address->s),
		      ret);
}

static bool ip_of_portal(const struct prov_ctx *c, const struct prov_obj *from, struct pv_pos *pos,
			 struct prov_obj *ret)
{
	const struct san_portal *p = from->p;

	return pv_only(c, pos, PV_IP, p->has_ip ? san_ip(pv_state(c), p->address->s) : NULL, ret);
}

static bool ports_of_portal(const struct prov_ctx *c, const struct prov_obj *from,
			    struct pv_pos *pos, struct prov_obj *ret)
{
	const struct san_portal *p = from->p;
	const struct san_binding *b = pv_next_of(c, pos, SAN_BINDINGS_OF_PORTAL, p->obj.id);

	return b && pv_set(c, PV_PORT, san_port(pv_state(c), b->port), ret);
}

static bool portals_of_port(const struct prov_ctx *c, const struct prov_obj *from,
			    struct pv_pos *pos, struct prov_obj *ret)
{
	const struct san_port *p = from->p;
	const struct san_binding *b =
		pv_kind(from) == SAN_PORT ? pv_next_of(c, pos, SAN_BINDINGS_OF_PORT, p->obj.id)
					  : NULL;

	return b && pv_set(c, PV_PORTAL, san_portal(pv_state(c), b->portal), ret);
}

static const struct pv_legs binds = {
	PV_BINDS_TO,
	2,
	{{{PV_IP, PV_PORTAL}, portals_of_ip, ip_of_portal, pv_list_portals, 1},
	 {{PV_PORTAL, PV_PORT}, ports_of_portal, portals_of_port, pv_list_target_ports, 1}},
};
PV_ASSOC(binds)

static enum cim_status binds_remove(struct prov_call *call, const struct prov_link *link)
{
	const struct san_portal *portal = link->end[0].p;
	const struct san_port *port = link->end[1].p;

	if (!pv_is(&call->ctx, &link->end[1], PV_PORT)) {
		(void)err_set(&call->e, -EOPNOTSUPP,
			      "the address under portal %s is the host's: a portal cannot be taken "
			      "off it, only deleted",
			      ((const struct san_portal *)link->end[1].p)->text->s);
		return CIM_ERR_NOT_SUPPORTED;
	}
	return (enum cim_status)san_unbind(pv_state(&call->ctx), port->obj.id, portal->obj.id,
					   pv_changes(call), &call->e);
}

static bool system_of_port(const struct prov_ctx *c, const struct prov_obj *from,
			   struct pv_pos *pos, struct prov_obj *ret)
{
	/* An initiator's port is somewhere else. */
	return pv_kind(from) == SAN_PORT && pv_to_system(c, from, pos, ret);
}

static const struct pv_legs access_points = {
	PV_HOSTED_ACCESS_POINT,
	2,
	{{{PV_SYSTEM, PV_PORTAL}, pv_list_portals, pv_to_system, pv_to_system, 0},
	 {{PV_SYSTEM, PV_PORT}, pv_list_target_ports, system_of_port, pv_to_system, 0}},
};
PV_ASSOC(access_points)

static bool node_of_port(const struct prov_ctx *c, const struct prov_obj *from, struct pv_pos *pos,
			 struct prov_obj *ret)
{
	const struct san_port *p = from->p;

	return pv_kind(from) == SAN_PORT &&
	       pv_only(c, pos, PV_NODE, san_node(pv_state(c), p->node), ret);
}

static bool ports_of_node(const struct prov_ctx *c, const struct prov_obj *from,
			  struct pv_pos *pos, struct prov_obj *ret)
{
	const struct san_node *n = from->p;

	return pv_set(c, PV_PORT, pv_next_of(c, pos, SAN_PORTS_OF_NODE, n->obj.id), ret);
}

static const struct pv_legs available = {
	PV_SAP_AVAILABLE,
	1,
	{{{PV_PORT, PV_NODE}, node_of_port, ports_of_node, pv_list_target_ports, 0}},
};
PV_ASSOC(available)

static bool portals_of_group(const struct prov_ctx *c, const struct prov_obj *from,
			     struct pv_pos *pos, struct prov_obj *ret)
{
	const struct san_group *g = from->p;

	return pv_set(c, PV_PORTAL, pv_next_of(c, pos, SAN_PORTALS_OF_GROUP, g->obj.id), ret);
}

static bool group_of_portal(const struct prov_ctx *c, const struct prov_obj *from,
			    struct pv_pos *pos, struct prov_obj *ret)
{
	const struct san_portal *p = from->p;

	return pv_only(c, pos, PV_GROUP, san_group(pv_state(c), p->group), ret);
}

static const struct pv_legs members = {
	PV_MEMBER_OF_COLLECTION,
	1,
	{{{PV_GROUP, PV_PORTAL}, portals_of_group, group_of_portal, pv_list_portals, 1}},
};
PV_ASSOC(members)

/* Creating a membership moves the portal there: it is always a member of exactly one group. */
static enum cim_status member_create(struct prov_call *call)
{
	const struct cim_value
		*collection =
			&call->inst->v[MSISCSITARGET_MemberOfCollection_P_Collection],
		*member = &call->inst->v[MSISCSITARGET_MemberOfCollection_P_Member];
	struct prov_obj ends[2];
	struct san_ref group =
		pv_ref(call, collection, &cim_class_MSISCSITARGET_SystemSpecificCollection,
		       PV_GROUP, &ends[0]);
	struct san_ref portal =
		pv_ref(call, member, &cim_class_MSISCSITARGET_TCPProtocolEndpoint, PV_PORTAL,
		       &ends[1]);
	const struct san_ref *refs[] = {&group, &portal};
	struct cim_key *keys;
	struct cim_path *path;
	uint32_t r;

	for (size_t i = 0; i < ARRAY_SIZE(refs); i++) {
		if (refs[i]->kind == SAN_REF_FOUND)
			continue;
		(void)err_set(&call->e, -EINVAL, "%s: %s", i ? "Member" : "Collection",
			      refs[i]->kind == SAN_REF_NULL ? "is needed"
			      : refs[i]->kind == SAN_REF_MISSING
				      ? "there is no such object"
				      : "an object of this class cannot be it");
		return refs[i]->kind == SAN_REF_MISSING ? CIM_ERR_NOT_FOUND
							: CIM_ERR_INVALID_PARAMETER;
	}
	r = san_move_portal(pv_state(&call->ctx), group.id, portal.id, pv_changes(call), &call->e);
	if (r != SAN_DONE)
		return (enum cim_status)r;
	path = arena_zalloc(call->ctx.arena, sizeof(*path));
	keys = arena_zalloc(call->ctx.arena, 2 * sizeof(*keys));
	if (path && keys) {
		/* In full, though the client may have left out keys. */
		keys[0] = (struct cim_key){"Collection",
					   cim_ref(prov_path(&call->ctx, &ends[0]))};
		keys[1] = (struct cim_key){"Member", cim_ref(prov_path(&call->ctx, &ends[1]))};
		*path = (struct cim_path){
			.ns = smiscsi_ns_iscsitarget.name,
			.class_name = cim_class_MSISCSITARGET_MemberOfCollection.name,
			.cls = &cim_class_MSISCSITARGET_MemberOfCollection,
			.keys = keys,
			.n_keys = 2,
		};
		call->new_path = path;
	}
	return CIM_OK;
}

static const struct pv_legs collections = {
	PV_HOSTED_COLLECTION,
	1,
	{{{PV_SYSTEM, PV_GROUP}, pv_list_groups, pv_to_system, pv_to_system, 0}},
};
PV_ASSOC(collections)

/* ---- methods ---- */

static enum cim_status node_request_state(struct prov_call *call)
{
	return pv_request_state(call, SAN_NODE);
}

static enum cim_status port_request_state(struct prov_call *call)
{
	if (pv_kind(&call->target) != SAN_PORT)
		return pv_not_supported(call, "an initiator's port is not ours to switch");
	return pv_request_state(call, SAN_PORT);
}

static enum cim_status portal_request_state(struct prov_call *call)
{
	return pv_request_state(call, SAN_PORTAL);
}

/* ---- tables ---- */

static const struct pv_class_row classes[] = {
	{PV_NODE,
	 {.cls = &cim_class_MSISCSITARGET_SCSIProtocolController,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = node_next,
	  .find = node_find,
	  .keys = node_keys,
	  .fill = node_fill,
	  .count = node_count}},
	{PV_PORT,
	 {.cls = &cim_class_MSISCSITARGET_iSCSIProtocolEndpoint,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = port_next,
	  .find = port_find,
	  .keys = port_keys,
	  .fill = port_fill}},
	{PV_PORTAL,
	 {.cls = &cim_class_MSISCSITARGET_TCPProtocolEndpoint,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = portal_next,
	  .find = portal_find,
	  .keys = portal_keys,
	  .fill = portal_fill,
	  .count = portal_count}},
	{PV_GROUP,
	 {.cls = &cim_class_MSISCSITARGET_SystemSpecificCollection,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = group_next,
	  .find = group_find,
	  .keys = group_keys,
	  .fill = group_fill,
	  .count = group_count}},
	{PV_ISCSI_CAPS,
	 {.cls = &cim_class_MSISCSITARGET_iSCSICapabilities,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = caps_next,
	  .keys = caps_keys,
	  .fill = caps_fill}},
};
static const struct pv_assoc_row assocs[] = {
	{PV_HOSTED_ACCESS_POINT,
	 {.cls = &cim_class_MSISCSITARGET_HostedAccessPoint,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {MSISCSITARGET_HostedAccessPoint_P_Antecedent,
		  MSISCSITARGET_HostedAccessPoint_P_Dependent},
	  .next = access_points_next,
	  .walk = access_points_walk}},
	{PV_BINDS_TO,
	 {.cls = &cim_class_MSISCSITARGET_BindsTo,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {MSISCSITARGET_BindsTo_P_Antecedent, MSISCSITARGET_BindsTo_P_Dependent},
	  .next = binds_next,
	  .walk = binds_walk}},
	{PV_SAP_AVAILABLE,
	 {.cls = &cim_class_MSISCSITARGET_SAPAvailableForElement,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {MSISCSITARGET_SAPAvailableForElement_P_AvailableSAP,
		  MSISCSITARGET_SAPAvailableForElement_P_ManagedElement},
	  .next = available_next,
	  .walk = available_walk}},
	{PV_MEMBER_OF_COLLECTION,
	 {.cls = &cim_class_MSISCSITARGET_MemberOfCollection,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {MSISCSITARGET_MemberOfCollection_P_Collection,
		  MSISCSITARGET_MemberOfCollection_P_Member},
	  .next = members_next,
	  .walk = members_walk}},
	{PV_HOSTED_COLLECTION,
	 {.cls = &cim_class_MSISCSITARGET_HostedCollection,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {MSISCSITARGET_HostedCollection_P_Antecedent,
		  MSISCSITARGET_HostedCollection_P_Dependent},
	  .next = collections_next,
	  .walk = collections_walk}},
};
static const struct prov_method methods[] = {
	{&cim_class_MSISCSITARGET_SCSIProtocolController, "RequestStateChange", node_request_state},
	{&cim_class_MSISCSITARGET_iSCSIProtocolEndpoint, "RequestStateChange", port_request_state},
	{&cim_class_MSISCSITARGET_TCPProtocolEndpoint, "RequestStateChange", portal_request_state},
};
static const struct prov_edit edits[] = {
	{.cls = &cim_class_MSISCSITARGET_TCPProtocolEndpoint,
	 .create = portal_create,
	 .remove = portal_remove},
	{.cls = &cim_class_MSISCSITARGET_SystemSpecificCollection,
	 .create = group_create,
	 .modify = group_modify,
	 .remove = group_remove},
	{.cls = &cim_class_MSISCSITARGET_MemberOfCollection, .create = member_create},
	{.cls = &cim_class_MSISCSITARGET_BindsTo, .remove = binds_remove},
};
const struct pv_part pv_target_ports = {
	.classes = classes,
	.n_classes = ARRAY_SIZE(classes),
	.assocs = assocs,
	.n_assocs = ARRAY_SIZE(assocs),
	.methods = methods,
	.n_methods = ARRAY_SIZE(methods),
	.edits = edits,
	.n_edits = ARRAY_SIZE(edits),
};
