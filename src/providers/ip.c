/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ip.c - network interfaces and the IP addresses on them, as the host shows them
 *
 * Both are measured; nothing here can be configured through CIM.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "gen/network.h"
#include "providers/part.h"

#define NIC(prop) MSFTSMNET_EthernetPort_P_##prop
#define IP(prop)  MSFTSMNET_IPProtocolEndpoint_P_##prop

/* ---- network interfaces ---- */

bool pv_list_nics(const struct prov_ctx *c, const struct prov_obj *from UNUSED, struct pv_pos *pos,
		  struct prov_obj *ret)
{
	return pv_set(c, PV_NIC, pv_next(c, pos, SAN_NICS), ret);
}

PV_NEXT(nic_next, pv_list_nics)
PV_COUNT(nic_count, SAN_NICS)

static void nic_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	const struct san_nic *n = o->p;

	pv_keys_device(c, o, pv_str(n->name), ret);
}

static bool nic_find(const struct prov_ctx *c, const struct cim_value *keys, struct prov_obj *ret)
{
	const char *name = pv_device_of_keys(c, &cim_class_MSFTSMNET_EthernetPort, keys);

	return name && pv_set(c, PV_NIC, san_nic(pv_state(c), name), ret);
}

static void nic_fill(const struct prov_ctx *c, const struct prov_obj *o, struct cim_instance *i)
{
	const struct san_nic *n = o->p;
	const struct pv_health *h = pv_nic_health(n->status);
	struct cim_value *mac = arena_alloc(c->arena, sizeof(*mac));

	i->v[NIC(ElementName)] = i->v[NIC(Name)] = pv_str(n->name);
	i->v[NIC(PermanentAddress)] = cim_strn(n->mac, 12);
	i->v[NIC(NetworkAddresses)] = cim_null(CIM_STRING);
	if (mac) {
		*mac = cim_strn(n->mac, 12);
		i->v[NIC(NetworkAddresses)] = cim_array(CIM_STRING, mac, 1);
	}
	i->v[NIC(Speed)] = n->speed ? cim_u64(n->speed) : cim_null(CIM_UINT64);
	i->v[NIC(ActiveMaximumTransmissionUnit)] = cim_u64(n->mtu);
	i->v[NIC(LinkTechnology)] = cim_u16(n->loopback ? 1 : 2);
	i->v[NIC(OtherLinkTechnology)] = n->loopback ? PV_TEXT("loopback") : cim_null(CIM_STRING);
	i->v[NIC(UsageRestriction)] = cim_u16(4);
	PV_FARES(i, MSFTSMNET_EthernetPort, h);
	i->v[NIC(EnabledState)] = cim_u16(n->up ? h->enabled : 3);
	i->v[NIC(TimeOfLastStateChange)] = pv_time(c, n->changed_us);
}

/* ---- addresses ---- */

bool pv_list_ips(const struct prov_ctx *c, const struct prov_obj *from UNUSED, struct pv_pos *pos,
		 struct prov_obj *ret)
{
	return pv_set(c, PV_IP, pv_next(c, pos, SAN_IPS), ret);
}

PV_NEXT(ip_next, pv_list_ips)
PV_COUNT(ip_count, SAN_IPS)

static void ip_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	const struct san_ip *ip = o->p;

	pv_keys_named(c, o, pv_str(ip->address), ret);
}

static bool ip_find(const struct prov_ctx *c, const struct cim_value *keys, struct prov_obj *ret)
{
	const char *name = pv_name_of_keys(c, &cim_class_MSFTSMNET_IPProtocolEndpoint, keys);

	return name && pv_set(c, PV_IP, san_ip(pv_state(c), name), ret);
}

/* As the DMTF's later schema and RFC 4291 section 2.4 have it; unique local ones are global. */
static uint16_t ipv6_kind(const struct san_ip *ip)
{
	struct in6_addr a;
	size_t n = strcspn(ip->address->s, "%");
	char bare[SAN_ADDRESS_TEXT];

	if (n >= sizeof(bare))
		return CIM_IPProtocolEndpoint_IPv6AddressType_Unspecified;
	memcpy(bare, ip->address->s, n);
	bare[n] = '\0';
	if (inet_pton(AF_INET6, bare, &a) != 1 || IN6_IS_ADDR_UNSPECIFIED(&a))
		return CIM_IPProtocolEndpoint_IPv6AddressType_Unspecified;
	if (IN6_IS_ADDR_LOOPBACK(&a))
		return CIM_IPProtocolEndpoint_IPv6AddressType_Loopback;
	if (IN6_IS_ADDR_LINKLOCAL(&a))
		return CIM_IPProtocolEndpoint_IPv6AddressType_Link_Local_Unicast;
	if (IN6_IS_ADDR_SITELOCAL(&a))
		return CIM_IPProtocolEndpoint_IPv6AddressType_Site_Local_Unicast;
	return CIM_IPProtocolEndpoint_IPv6AddressType_Global_Unicast;
}

/* The address without the interface that a link-local one carries. */
static struct cim_value bare_address(const struct prov_ctx *c, const struct san_ip *ip)
{
	size_t n = strcspn(ip->address->s, "%");

	if (n == ip->address->len)
		return pv_str(ip->address);
	return cim_strn(arena_strndup(c->arena, ip->address->s, n), n);
}

static void ip_fill(const struct prov_ctx *c, const struct prov_obj *o, struct cim_instance *i)
{
	const struct san_ip *ip = o->p;
	const struct pv_health *h = pv_health(ip->status);
	bool v4 = ip->family == 4;

	i->v[IP(ElementName)] = pv_str(ip->address);
	i->v[IP(NameFormat)] = PV_TEXT("IP address");
	i->v[IP(Address)] = bare_address(c, ip);
	i->v[IP(IPv4Address)] = v4 ? i->v[IP(Address)] : cim_null(CIM_STRING);
	i->v[IP(IPv6Address)] = v4 ? cim_null(CIM_STRING) : i->v[IP(Address)];
	i->v[IP(IPv6AddressType)] = v4 ? cim_null(CIM_UINT16) : cim_u16(ipv6_kind(ip));
	i->v[IP(IPv6SubnetPrefixLength)] = v4 ? cim_null(CIM_UINT16) : cim_u16(ip->prefix_len);
	i->v[IP(SubnetMask)] = v4 ? cim_str(ip->mask) : cim_null(CIM_STRING);
	i->v[IP(PrefixLength)] = cim_uint(CIM_UINT8, ip->prefix_len);
	i->v[IP(AddressType)] = cim_u16(v4 ? 1 : 2);
	i->v[IP(IPVersionSupport)] = cim_u16(v4 ? 1 : 2);
	i->v[IP(ProtocolIFType)] = cim_u16(v4 ? 4096 : 4097);
	i->v[IP(ProtocolType)] = cim_u16(v4 ? 2 : 3);
	PV_FARES(i, MSFTSMNET_IPProtocolEndpoint, h);
	i->v[IP(EnabledState)] = cim_u16(h->enabled);
	i->v[IP(TimeOfLastStateChange)] = pv_time(c, ip->changed_us);
}

/* ---- associations ---- */

static bool ips_of_nic(const struct prov_ctx *c, const struct prov_obj *from, struct pv_pos *pos,
		       struct prov_obj *ret)
{
	const struct san_nic *n = from->p;

	if (pos->begun)
		return pv_set(c, PV_IP, san_next(&pos->walk), ret);
	pos->begun = 1;
	return pv_set(c, PV_IP,
		      san_first_of_text(&pos->walk, pv_state(c), SAN_IPS_OF_NIC, n->name->s), ret);
}

static bool nic_of_ip(const struct prov_ctx *c, const struct prov_obj *from, struct pv_pos *pos,
		      struct prov_obj *ret)
{
	const struct san_ip *ip = from->p;

	return pv_only(c, pos, PV_NIC, san_nic(pv_state(c), ip->nic->s), ret);
}

static const struct pv_legs nets = {
	PV_NET_SYSTEM_DEVICE,
	1,
	{{{PV_SYSTEM, PV_NIC}, pv_list_nics, pv_to_system, pv_to_system, 0}},
};
PV_ASSOC(nets)

static const struct pv_legs addresses = {
	PV_SAP_IMPLEMENTATION,
	1,
	{{{PV_NIC, PV_IP}, ips_of_nic, nic_of_ip, pv_list_ips, 1}},
};
PV_ASSOC(addresses)

static const struct pv_legs access_points = {
	PV_NET_HOSTED_ACCESS_POINT,
	1,
	{{{PV_SYSTEM, PV_IP}, pv_list_ips, pv_to_system, pv_to_system, 0}},
};
PV_ASSOC(access_points)

static const struct pv_class_row classes[] = {
	{PV_NIC,
	 {.cls = &cim_class_MSFTSMNET_EthernetPort,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = nic_next,
	  .find = nic_find,
	  .keys = nic_keys,
	  .fill = nic_fill,
	  .count = nic_count}},
	{PV_IP,
	 {.cls = &cim_class_MSFTSMNET_IPProtocolEndpoint,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = ip_next,
	  .find = ip_find,
	  .keys = ip_keys,
	  .fill = ip_fill,
	  .count = ip_count}},
};
static const struct pv_assoc_row assocs[] = {
	{PV_NET_SYSTEM_DEVICE,
	 {.cls = &cim_class_MSFTSMNET_SystemDevice,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {MSFTSMNET_SystemDevice_P_GroupComponent, MSFTSMNET_SystemDevice_P_PartComponent},
	  .next = nets_next,
	  .walk = nets_walk}},
	{PV_SAP_IMPLEMENTATION,
	 {.cls = &cim_class_MSFTSMNET_DeviceSAPImplementation,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {MSFTSMNET_DeviceSAPImplementation_P_Antecedent,
		  MSFTSMNET_DeviceSAPImplementation_P_Dependent},
	  .next = addresses_next,
	  .walk = addresses_walk}},
	{PV_NET_HOSTED_ACCESS_POINT,
	 {.cls = &cim_class_MSFTSMNET_HostedAccessPoint,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {MSFTSMNET_HostedAccessPoint_P_Antecedent,
		  MSFTSMNET_HostedAccessPoint_P_Dependent},
	  .next = access_points_next,
	  .walk = access_points_walk}},
};
const struct pv_part pv_ip = {
	.classes = classes,
	.n_classes = ARRAY_SIZE(classes),
	.assocs = assocs,
	.n_assocs = ARRAY_SIZE(assocs),
};
