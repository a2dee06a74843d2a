/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statistics.c - what the target counts, per node and per session
 *
 * The counts are no part of the state: they are asked for when somebody looks.  Every node and
 * session has its object all the same; its values are NULL while the target does not tell.
 */
#include <arpa/inet.h>

#include "gen/iscsi_session.h"
#include "providers/part.h"

#define LOGIN(prop)   MSISCSITARGET_iSCSILoginStatistics_P_##prop
#define FAILURE(prop) MSISCSITARGET_iSCSISessionFailures_P_##prop
#define SESSION(prop) MSISCSITARGET_iSCSISessionStatistics_P_##prop

static bool node_stats(const struct prov_ctx *c, const struct prov_obj *o,
		       struct providers_node_stats *ret)
{
	const struct providers_server *s = pv_server_of(c);
	const struct san_node *n = o->p;

	return s->node_stats && s->node_stats(s->stats_ctx, n->iqn->s, ret);
}

static struct cim_value count(bool known, uint64_t n)
{
	return known ? cim_u64(n) : cim_null(CIM_UINT64);
}

static bool node_of_id(const struct prov_ctx *c, const struct cim_value *key, const char *kind,
		       enum pv_class k, struct prov_obj *ret)
{
	uint64_t id;

	return pv_instance_id_parse(key, kind, &id) &&
	       pv_set(c, k, san_node(pv_state(c), id), ret);
}

/* ---- logins of a node ---- */

static bool list_logins(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
			struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_set(c, PV_LOGIN_STATS, pv_next(c, pos, SAN_NODES), ret);
}
PV_NEXT(login_next, list_logins)
PV_COUNT(node_count, SAN_NODES)

static void login_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	ret[0] = pv_instance_id(c, "login-statistics", ((const struct san_obj *)o->p)->id);
}

static bool login_find(const struct prov_ctx *c, const struct cim_value *keys,
		       struct prov_obj *ret)
{
	return node_of_id(c, keys, "login-statistics", PV_LOGIN_STATS, ret);
}

static uint16_t failure_type(const char *kind)
{
	static const struct {
		const char *kind;
		uint16_t type;
	} types[] = {
		{"negotiate", CIM_iSCSILoginStatistics_LastLoginFailureType_Negotiate},
		{"authenticate", CIM_iSCSILoginStatistics_LastLoginFailureType_Authenticate},
		{"authorize", CIM_iSCSILoginStatistics_LastLoginFailureType_Authorize},
		{"redirected", CIM_iSCSILoginStatistics_LastLoginFailureType_Redirect},
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (streq(types[i].kind, kind))
			return types[i].type;
	return CIM_iSCSILoginStatistics_LastLoginFailureType_Other;
}

/* The address is a uint32 in the schema, so there is room for IPv4 alone. */
static void fill_address(const char *peer, struct cim_instance *i)
{
	char address[SAN_ADDRESS_TEXT];
	struct in_addr four;
	uint32_t port;
	uint8_t family;

	if (!san_portal_parse(peer, address, &family, &port))
		return;
	i->v[LOGIN(LastLoginFailureRemoteAddressType)] = cim_u16(family == 4 ? 1 : 2);
	if (family == 4 && inet_pton(AF_INET, address, &four) == 1)
		i->v[LOGIN(LastLoginFailureRemoteAddress)] = cim_u32(ntohl(four.s_addr));
}

static void fill_last_failure(const struct prov_ctx *c, const struct providers_node_stats *st,
			      struct cim_instance *i)
{
	uint16_t type = st ? failure_type(st->last_failure_kind) : 0;

	i->v[LOGIN(LastLoginFailureTime)] = pv_time(c, st ? st->last_failure_us : 0);
	i->v[LOGIN(LastLoginFailureType)] = st ? cim_u16(type) : cim_null(CIM_UINT16);
	i->v[LOGIN(OtherLastLoginFailureType)] = cim_null(CIM_STRING);
	i->v[LOGIN(LastLoginFailureRemoteNodeName)] = cim_null(CIM_STRING);
	i->v[LOGIN(LastLoginFailureRemoteAddressType)] = cim_null(CIM_UINT16);
	i->v[LOGIN(LastLoginFailureRemoteAddress)] = cim_null(CIM_UINT32);
	if (!st)
		return;
	if (type == CIM_iSCSILoginStatistics_LastLoginFailureType_Other)
		i->v[LOGIN(OtherLastLoginFailureType)] =
			cim_str(arena_strdup(c->arena, st->last_failure_kind));
	if (st->last_failure_initiator[0])
		i->v[LOGIN(LastLoginFailureRemoteNodeName)] =
			cim_str(arena_strdup(c->arena, st->last_failure_initiator));
	fill_address(st->last_failure_address, i);
}

static void login_fill(const struct prov_ctx *c, const struct prov_obj *o, struct cim_instance *i)
{
	const struct san_node *n = o->p;
	struct providers_node_stats st = {0};
	bool known = node_stats(c, o, &st);

	i->v[LOGIN(ElementName)] = pv_str(n->alias);
	i->v[LOGIN(StatisticTime)] = pv_time(c, st.at_us);
	i->v[LOGIN(SuccessfulLogins)] = count(known, st.logins);
	i->v[LOGIN(LoginFailures)] = count(known, st.negotiate_fails + st.authenticate_fails +
							  st.authorize_fails + st.other_fails);
	i->v[LOGIN(NegotiationLoginFailures)] = count(known, st.negotiate_fails);
	i->v[LOGIN(AuthenticationLoginFailures)] = count(known, st.authenticate_fails);
	i->v[LOGIN(AuthorizationLoginFailures)] = count(known, st.authorize_fails);
	i->v[LOGIN(OtherLoginFailures)] = count(known, st.other_fails);
	i->v[LOGIN(LoginRedirects)] = count(known, st.redirects);
	i->v[LOGIN(NormalLogouts)] = count(known, st.normal_logouts);
	i->v[LOGIN(OtherLogouts)] = count(known, st.other_logouts);
	fill_last_failure(c, known && st.last_failure_us ? &st : NULL, i);
}

/* ---- sessions of a node that ended by a fault ---- */

static bool list_failures(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
			  struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_set(c, PV_SESSION_FAILURES, pv_next(c, pos, SAN_NODES), ret);
}
PV_NEXT(failure_next, list_failures)

static void failure_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	ret[0] = pv_instance_id(c, "session-failures", ((const struct san_obj *)o->p)->id);
}

static bool failure_find(const struct prov_ctx *c, const struct cim_value *keys,
			 struct prov_obj *ret)
{
	return node_of_id(c, keys, "session-failures", PV_SESSION_FAILURES, ret);
}

static void failure_fill(const struct prov_ctx *c, const struct prov_obj *o,
			 struct cim_instance *i)
{
	const struct san_node *n = o->p;
	struct providers_node_stats st = {0};
	bool known = node_stats(c, o, &st);

	i->v[FAILURE(ElementName)] = pv_str(n->alias);
	i->v[FAILURE(StatisticTime)] = pv_time(c, st.at_us);
	i->v[FAILURE(SessionFailures)] = count(known, st.session_failures);
}

/* ---- a session ---- */

static bool list_session_stats(const struct prov_ctx *c, const struct prov_obj *from,
			       struct pv_pos *pos, struct prov_obj *ret)
{
	struct prov_obj session;

	return pv_list_sessions(c, from, pos, &session) &&
	       pv_set(c, PV_SESSION_STATS, session.p, ret);
}
PV_NEXT(session_next, list_session_stats)

static void session_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	ret[0] = pv_instance_id(c, "session-statistics", ((const struct san_obj *)o->p)->id);
}

static bool session_find(const struct prov_ctx *c, const struct cim_value *keys,
			 struct prov_obj *ret)
{
	uint64_t id;

	return pv_instance_id_parse(&keys[0], "session-statistics", &id) &&
	       pv_set(c, PV_SESSION_STATS, pv_session(c, id), ret);
}

static void session_fill(const struct prov_ctx *c, const struct prov_obj *o,
			 struct cim_instance *i)
{
	const struct providers_server *s = pv_server_of(c);
	const struct san_session *x = o->p;
	struct providers_session_stats st = {0};
	bool known = s->session_stats && s->session_stats(s->stats_ctx, x->obj.id, &st);

	i->v[SESSION(ElementName)] = pv_str(x->initiator_port);
	i->v[SESSION(StatisticTime)] = pv_time(c, st.at_us);
	i->v[SESSION(StartStatisticTime)] = pv_time(c, x->since_us);
	i->v[SESSION(CommandPDUsTransferred)] = count(known, st.commands);
	/* As the target sees it: what is read is transmitted. */
	i->v[SESSION(BytesTransmitted)] = count(known, st.read_bytes);
	i->v[SESSION(BytesReceived)] = count(known, st.write_bytes);
	i->v[SESSION(DigestErrors)] = count(known, st.digest_errors);
	i->v[SESSION(ConnectionTimeoutErrors)] = count(known, st.timeouts);
}

/* ---- what is counted about what ---- */

static bool logins_of(const struct prov_ctx *c, const struct prov_obj *from, struct pv_pos *pos,
		      struct prov_obj *ret)
{
	return pv_only(c, pos, PV_LOGIN_STATS, from->p, ret);
}

static bool failures_of(const struct prov_ctx *c, const struct prov_obj *from, struct pv_pos *pos,
			struct prov_obj *ret)
{
	return pv_only(c, pos, PV_SESSION_FAILURES, from->p, ret);
}

static bool stats_of(const struct prov_ctx *c, const struct prov_obj *from, struct pv_pos *pos,
		     struct prov_obj *ret)
{
	return pv_only(c, pos, PV_SESSION_STATS, from->p, ret);
}

static bool node_of(const struct prov_ctx *c, const struct prov_obj *from, struct pv_pos *pos,
		    struct prov_obj *ret)
{
	return pv_only(c, pos, PV_NODE, from->p, ret);
}

static bool session_of(const struct prov_ctx *c, const struct prov_obj *from, struct pv_pos *pos,
		       struct prov_obj *ret)
{
	return pv_only(c, pos, PV_SESSION, from->p, ret);
}

static const struct pv_legs counted = {
	PV_STATISTICS_OF,
	3,
	{{{PV_NODE, PV_LOGIN_STATS}, logins_of, node_of, pv_list_nodes, 0},
	 {{PV_NODE, PV_SESSION_FAILURES}, failures_of, node_of, pv_list_nodes, 0},
	 {{PV_SESSION, PV_SESSION_STATS}, stats_of, session_of, pv_list_sessions, 0}},
};
PV_ASSOC(counted)

/* ---- tables ---- */

static const struct pv_class_row classes[] = {
	{PV_LOGIN_STATS,
	 {.cls = &cim_class_MSISCSITARGET_iSCSILoginStatistics,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = login_next,
	  .find = login_find,
	  .keys = login_keys,
	  .fill = login_fill,
	  .count = node_count}},
	{PV_SESSION_FAILURES,
	 {.cls = &cim_class_MSISCSITARGET_iSCSISessionFailures,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = failure_next,
	  .find = failure_find,
	  .keys = failure_keys,
	  .fill = failure_fill,
	  .count = node_count}},
	{PV_SESSION_STATS,
	 {.cls = &cim_class_MSISCSITARGET_iSCSISessionStatistics,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = session_next,
	  .find = session_find,
	  .keys = session_keys,
	  .fill = session_fill}},
};
static const struct pv_assoc_row assocs[] = {
	{PV_STATISTICS_OF,
	 {.cls = &cim_class_MSISCSITARGET_ElementStatisticalData,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {MSISCSITARGET_ElementStatisticalData_P_ManagedElement,
		  MSISCSITARGET_ElementStatisticalData_P_Stats},
	  .next = counted_next,
	  .walk = counted_walk}},
};
const struct pv_part pv_statistics = {
	.classes = classes,
	.n_classes = ARRAY_SIZE(classes),
	.assocs = assocs,
	.n_assocs = ARRAY_SIZE(assocs),
};
