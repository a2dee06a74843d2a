/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sessions.c - live sessions and connections, and the initiators' ends of them
 *
 * An initiator's port shows as an iSCSIProtocolEndpoint with Role 2 as long as it has a session:
 * once, however many target ports it is logged in to.  It is not ours, so it has no
 * HostedAccessPoint.  Discovery sessions have no target port and do not show.
 */
#include <inttypes.h>

#include "base/str.h"
#include "gen/iscsi.h"
#include "gen/iscsi_session.h"
#include "providers/part.h"

#define SESSION(prop)    MSISCSITARGET_iSCSISession_P_##prop
#define CONNECTION(prop) MSISCSITARGET_iSCSIConnection_P_##prop
#define PORT(prop)       MSISCSITARGET_iSCSIProtocolEndpoint_P_##prop

static bool shows(const struct san_session *x)
{
	return !x->discovery;
}

/* ---- sessions ---- */

bool pv_list_sessions(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
		      struct pv_pos *pos, struct prov_obj *ret)
{
	const struct san_session *x = pv_next(c, pos, SAN_SESSIONS);

	while (x && !shows(x))
		x = pv_next(c, pos, SAN_SESSIONS);
	return pv_set(c, PV_SESSION, x, ret);
}
PV_NEXT(session_next, pv_list_sessions)

static void session_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	const struct san_session *x = o->p;

	ret[0] = pv_instance_id(c, "session", x->obj.id);
}

const struct san_session *pv_session(const struct prov_ctx *c, uint64_t id)
{
	const struct san_session *x = san_session(pv_state(c), id);

	return x && shows(x) ? x : NULL;
}

static bool session_find(const struct prov_ctx *c, const struct cim_value *keys,
			 struct prov_obj *ret)
{
	uint64_t id;

	return pv_instance_id_parse(&keys[0], "session", &id) &&
	       pv_set(c, PV_SESSION, pv_session(c, id), ret);
}

/* Of a session that the target has only counted none of this is known, and what the class has as a
 * default would be a claim. */
static void fill_agreed(const struct san_session *x, struct cim_instance *i)
{
	bool known = *x->isid != '\0';

	i->v[SESSION(TSIH)] = known ? cim_u32(x->tsih) : cim_null(CIM_UINT32);
	i->v[SESSION(InitialR2T)] = known ? cim_bool(x->InitialR2T) : cim_null(CIM_BOOLEAN);
	i->v[SESSION(ImmediateData)] = known ? cim_bool(x->ImmediateData) : cim_null(CIM_BOOLEAN);
	i->v[SESSION(MaxOutstandingR2T)] = known ? cim_u32(x->MaxOutstandingR2T) : cim_null(CIM_UINT32);
	i->v[SESSION(MaxUnsolicitedFirstDataBurstLength)] = known ? cim_u32(x->FirstBurstLength) : cim_null(CIM_UINT32);
	i->v[SESSION(MaxDataBurstLength)] = known ? cim_u32(x->MaxBurstLength) : cim_null(CIM_UINT32);
	i->v[SESSION(DataSequenceInOrder)] = known ? cim_bool(x->DataSequenceInOrder) : cim_null(CIM_BOOLEAN);
	i->v[SESSION(DataPDUInOrder)] = known ? cim_bool(x->DataPDUInOrder) : cim_null(CIM_BOOLEAN);
	i->v[SESSION(ErrorRecoveryLevel)] = known ? cim_u32(x->ErrorRecoveryLevel) : cim_null(CIM_UINT32);
	i->v[SESSION(MaxConnectionsPerSession)] = known ? cim_u32(x->MaxConnections) : cim_null(CIM_UINT32);
	i->v[SESSION(DefaultTimeToWait)] = known ? cim_u32(x->DefaultTime2Wait) : cim_null(CIM_UINT32);
	i->v[SESSION(DefaultTimeToRetain)] = known ? cim_u32(x->DefaultTime2Retain) : cim_null(CIM_UINT32);
}

static void session_fill(const struct prov_ctx *c, const struct prov_obj *o,
			 struct cim_instance *i)
{
	const struct san_session *x = o->p;

	i->v[SESSION(ElementName)] = pv_str(x->initiator_port);
	i->v[SESSION(EndPointName)] = pv_str(x->initiator_port);
	i->v[SESSION(SystemName)] = pv_str(pv_state(c)->host->uuid);
	i->v[SESSION(Directionality)] = cim_u16(2);
	i->v[SESSION(AggregationBehavior)] = cim_u16(3);
	i->v[SESSION(SessionType)] = cim_u16(3);
	i->v[SESSION(CurrentConnections)] = cim_u32(x->n_connections);
	fill_agreed(x, i);
	PV_FARES(i, MSISCSITARGET_iSCSISession, pv_health(SAN_OK));
	i->v[SESSION(EnabledState)] = cim_u16(2);
	i->v[SESSION(RequestedState)] = cim_u16(12);
	i->v[SESSION(TimeOfLastStateChange)] = pv_time(c, x->since_us);
}

/* ---- connections ---- */

static bool set_connection(const struct prov_ctx *c, const struct san_session *x, uint32_t which,
			   struct prov_obj *ret)
{
	*ret = (struct prov_obj){.pc = &c->mod->classes[PV_CONNECTION], .p = x, .aux = which};
	return true;
}

/* A walk over sessions with room for what hangs on each. */
struct by_session {
	struct pv_pos pos;
	const struct san_session *x;
	uint32_t at;
};
_Static_assert(sizeof(struct by_session) <= sizeof(struct prov_iter), "a position fits");

static bool next_session(const struct prov_ctx *c, struct by_session *w)
{
	struct prov_obj o;

	w->at = 0;
	w->x = pv_list_sessions(c, NULL, &w->pos, &o) ? o.p : NULL;
	return w->x;
}

static bool connection_next(const struct prov_ctx *c, struct prov_iter *it, struct prov_obj *ret)
{
	struct by_session *w = (struct by_session *)(void *)it;

	while (!w->x || w->at == w->x->n_connections) {
		if (!next_session(c, w))
			return false;
	}
	return set_connection(c, w->x, w->at++, ret);
}

static const struct san_connection *connection_of(const struct prov_obj *o)
{
	return &((const struct san_session *)o->p)->connections[o->aux];
}

static void connection_keys(const struct prov_ctx *c, const struct prov_obj *o,
			    struct cim_value *ret)
{
	const struct san_session *x = o->p;
	char *text = arena_printf(c->arena, "smiscsi:connection:%" PRIu64 ":%u", x->obj.id,
				  connection_of(o)->cid);

	ret[0] = cim_str(text);
}

static bool connection_find(const struct prov_ctx *c, const struct cim_value *keys,
			    struct prov_obj *ret)
{
	static const char prefix[] = "smiscsi:connection:";
	const char *text = keys[0].s, *end;
	const struct san_session *x;
	uint64_t id, cid;

	if (keys[0].kind != CIM_V_SCALAR || !str_starts(text, prefix))
		return false;
	text += sizeof(prefix) - 1;
	end = strchr(text, ':');
	if (!end || !str_u64(text, (size_t)(end - text), UINT64_MAX, &id) ||
	    !str_u64(end + 1, strlen(end + 1), UINT16_MAX, &cid))
		return false;
	x = pv_session(c, id);
	for (uint32_t k = 0; x && k < x->n_connections; k++) {
		struct cim_value key;

		if (x->connections[k].cid != cid)
			continue;
		(void)set_connection(c, x, k, ret);
		connection_keys(c, ret, &key);
		return pv_key_is(&keys[0], key.s); /* "01" names nothing */
	}
	return false;
}

static struct cim_value length_or_null(uint32_t n)
{
	return n ? cim_u32(n) : cim_null(CIM_UINT32);
}

static struct cim_value digest(const struct san_connection *k, bool on)
{
	return k->digests_known ? cim_u16(on ? 3 : 2) : cim_null(CIM_UINT16);
}

static void connection_fill(const struct prov_ctx *c, const struct prov_obj *o,
			    struct cim_instance *i)
{
	const struct san_session *x = o->p;
	const struct san_connection *k = connection_of(o);

	i->v[CONNECTION(ElementName)] = cim_str(k->peer);
	i->v[CONNECTION(SystemName)] = pv_str(pv_state(c)->host->uuid);
	i->v[CONNECTION(Directionality)] = cim_u16(2);
	i->v[CONNECTION(AggregationBehavior)] = cim_u16(2);
	i->v[CONNECTION(ConnectionID)] = cim_u32(k->cid);
	i->v[CONNECTION(MaxReceiveDataSegmentLength)] = length_or_null(k->max_recv);
	i->v[CONNECTION(MaxTransmitDataSegmentLength)] = length_or_null(k->max_send);
	i->v[CONNECTION(HeaderDigestMethod)] = digest(k, k->header_digest);
	i->v[CONNECTION(DataDigestMethod)] = digest(k, k->data_digest);
	/* RFC 7143 section 13.25 has done away with markers. */
	i->v[CONNECTION(ReceivingMarkers)] = cim_bool(false);
	i->v[CONNECTION(SendingMarkers)] = cim_bool(false);
	i->v[CONNECTION(AuthenticationMethodUsed)] = cim_null(CIM_UINT16);
	if (streq(x->auth->s, "None"))
		i->v[CONNECTION(AuthenticationMethodUsed)] = cim_u16(2);
	else if (streq(x->auth->s, "CHAP"))
		i->v[CONNECTION(AuthenticationMethodUsed)] = cim_u16(4);
	PV_FARES(i, MSISCSITARGET_iSCSIConnection, pv_health(SAN_OK));
	i->v[CONNECTION(EnabledState)] = cim_u16(2);
	i->v[CONNECTION(RequestedState)] = cim_u16(12);
}

/* ---- the initiators' ports ---- */

/* The first session that shows of a port stands for it. */
static const struct san_session *first_of(struct san_walk *w, const struct san_state *s,
					  const char *port_name)
{
	const struct san_session *x =
		san_first_of_text(w, s, SAN_SESSIONS_OF_INITIATOR, port_name);

	while (x && !shows(x))
		x = san_next(w);
	return x;
}

const struct san_session *pv_initiator(const struct san_state *s, const char *port_name)
{
	struct san_walk w;

	return first_of(&w, s, port_name);
}

bool pv_list_initiators(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
			struct pv_pos *pos, struct prov_obj *ret)
{
	const struct san_state *s = pv_state(c);
	const struct san_session *x = pv_next(c, pos, SAN_SESSIONS_OF_INITIATOR);

	while (x && pv_initiator(s, x->initiator_port->s) != x)
		x = pv_next(c, pos, SAN_SESSIONS_OF_INITIATOR);
	return pv_set(c, PV_PORT, x, ret);
}

void pv_initiator_fill(const struct prov_ctx *c, const struct san_session *x,
		       struct cim_instance *i)
{
	i->v[PORT(ElementName)] =
		x->initiator_alias->len ? pv_str(x->initiator_alias) : pv_str(x->initiator_port);
	i->v[PORT(Role)] = cim_u16(2);
	i->v[PORT(Identifier)] = *x->isid ? cim_str(x->isid) : cim_null(CIM_STRING);
	PV_FARES(i, MSISCSITARGET_iSCSIProtocolEndpoint, pv_health(SAN_OK));
	i->v[PORT(EnabledState)] = cim_u16(2);
	i->v[PORT(RequestedState)] = cim_u16(12);
	i->v[PORT(TimeOfLastStateChange)] = pv_time(c, x->since_us);
}

/* ---- associations ---- */

static bool target_port_of(const struct prov_ctx *c, const struct san_session *x,
			   struct prov_obj *ret)
{
	return pv_set(c, PV_PORT, san_port(pv_state(c), x->port), ret);
}

static bool initiator_port_of(const struct prov_ctx *c, const struct san_session *x,
			      struct prov_obj *ret)
{
	return pv_set(c, PV_PORT, pv_initiator(pv_state(c), x->initiator_port->s), ret);
}

static bool sessions_of_port(const struct prov_ctx *c, const struct prov_obj *from,
			     struct pv_pos *pos, struct prov_obj *ret)
{
	const struct san_session *x;

	if (pv_kind(from) == SAN_PORT)
		return pv_set(c, PV_SESSION,
			      pv_next_of(c, pos, SAN_SESSIONS_OF_PORT,
					 ((const struct san_obj *)from->p)->id),
			      ret);
	if (!pos->begun) {
		const struct san_session *initiator = from->p;

		pos->begun = 1;
		return pv_set(c, PV_SESSION,
			      first_of(&pos->walk, pv_state(c), initiator->initiator_port->s), ret);
	}
	do
		x = san_next(&pos->walk);
	while (x && !shows(x));
	return pv_set(c, PV_SESSION, x, ret);
}

static bool ports_of_session(const struct prov_ctx *c, const struct prov_obj *from,
			     struct pv_pos *pos, struct prov_obj *ret)
{
	const struct san_session *x = from->p;

	switch (pos->phase++) {
	case 0:
		return target_port_of(c, x, ret);
	case 1:
		return initiator_port_of(c, x, ret);
	default:
		return false;
	}
}

/* The portal through which a connection came in; false when it serves the port no more (the
 * connection is about to be closed). */
static bool portal_of(const struct prov_ctx *c, const struct san_session *x, uint32_t k,
		      struct prov_obj *ret)
{
	const struct san_state *s = pv_state(c);
	const struct san_portal *p = san_portal_by_text(s, x->connections[k].local);

	return p && san_binding(s, x->port, p->obj.id) && pv_set(c, PV_PORTAL, p, ret);
}

static bool portal_of_connection(const struct prov_ctx *c, const struct prov_obj *from,
				 struct pv_pos *pos, struct prov_obj *ret)
{
	return !pos->phase++ && portal_of(c, from->p, (uint32_t)from->aux, ret);
}

/* Portal -> bindings (outer) -> sessions of the port (walk) -> connections (phase). */
static bool connections_of_portal(const struct prov_ctx *c, const struct prov_obj *from,
				  struct pv_pos *pos, struct prov_obj *ret)
{
	struct pv_wide *w = container_of(pos, struct pv_wide, pos);
	const struct san_portal *portal = from->p;
	const struct san_state *s = pv_state(c);

	for (;;) {
		const struct san_binding *b;

		for (; w->x && w->x->n_connections > pos->phase; pos->phase++) {
			struct prov_obj own;

			if (portal_of(c, w->x, pos->phase, &own) && own.p == portal)
				return set_connection(c, w->x, pos->phase++, ret);
		}
		pos->phase = 0;
		if (w->x && (w->x = san_next(&pos->walk)))
			continue;
		b = pos->begun ? san_next(&w->outer)
			       : san_first_of(&w->outer, s, SAN_BINDINGS_OF_PORTAL, portal->obj.id);
		pos->begun = 1;
		while (b && !(w->x = san_first_of(&pos->walk, s, SAN_SESSIONS_OF_PORT, b->port)))
			b = san_next(&w->outer);
		if (!b)
			return false;
	}
}

/* Listing goes by pipes_next, so neither leg has a list. */
static const struct pv_legs pipes = {
	PV_ENDPOINT_OF_PIPE,
	2,
	{{{PV_PORT, PV_SESSION}, sessions_of_port, ports_of_session, NULL, 0},
	 {{PV_PORTAL, PV_CONNECTION}, connections_of_portal, portal_of_connection, NULL, 0}},
};

static bool pipes_walk(const struct prov_ctx *c, int which, const struct prov_obj *from,
		       struct prov_iter *it, struct prov_link *ret)
{
	return pv_legs_walk(c, which, from, it, ret, &pipes);
}

static bool pipes_next(const struct prov_ctx *c, struct prov_iter *it, struct prov_link *ret)
{
	struct by_session *w = (struct by_session *)(void *)it;
	uint32_t k;

	*ret = (struct prov_link){.pa = &c->mod->assocs[PV_ENDPOINT_OF_PIPE]};
	for (;;) {
		while (!w->x || w->at == 2 + w->x->n_connections) {
			if (!next_session(c, w))
				return false;
		}
		k = w->at++;
		if (k >= 2) {
			if (!portal_of(c, w->x, k - 2, &ret->end[0]))
				continue;
			return set_connection(c, w->x, k - 2, &ret->end[1]);
		}
		if (!(k == 0 ? target_port_of : initiator_port_of)(c, w->x, &ret->end[0]))
			continue;
		return pv_set(c, PV_SESSION, w->x, &ret->end[1]);
	}
}

static void pipes_fill(const struct prov_ctx *c UNUSED, const struct prov_link *l UNUSED,
		       struct cim_instance *i)
{
	/* Data goes both ways. */
	i->v[MSISCSITARGET_EndpointOfNetworkPipe_P_SourceOrSink] = cim_u16(4);
}

static bool connections_of_session(const struct prov_ctx *c, const struct prov_obj *from,
				   struct pv_pos *pos, struct prov_obj *ret)
{
	const struct san_session *x = from->p;

	return pos->phase < x->n_connections && set_connection(c, x, pos->phase++, ret);
}

static bool session_of_connection(const struct prov_ctx *c, const struct prov_obj *from,
				  struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_only(c, pos, PV_SESSION, from->p, ret);
}

static const struct pv_legs composition = {
	PV_PIPE_COMPOSITION,
	1,
	{{{PV_SESSION, PV_CONNECTION},
	  connections_of_session,
	  session_of_connection,
	  pv_list_sessions,
	  0}},
};
PV_ASSOC(composition)

static void composition_fill(const struct prov_ctx *c UNUSED, const struct prov_link *l UNUSED,
			     struct cim_instance *i)
{
	i->v[MSISCSITARGET_NetworkPipeComposition_P_AggregationSequence] = cim_u16(0);
}

static const struct pv_class_row classes[] = {
	{PV_SESSION,
	 {.cls = &cim_class_MSISCSITARGET_iSCSISession,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = session_next,
	  .find = session_find,
	  .keys = session_keys,
	  .fill = session_fill}},
	{PV_CONNECTION,
	 {.cls = &cim_class_MSISCSITARGET_iSCSIConnection,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = connection_next,
	  .find = connection_find,
	  .keys = connection_keys,
	  .fill = connection_fill}},
};
static const struct pv_assoc_row assocs[] = {
	{PV_ENDPOINT_OF_PIPE,
	 {.cls = &cim_class_MSISCSITARGET_EndpointOfNetworkPipe,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {MSISCSITARGET_EndpointOfNetworkPipe_P_Antecedent,
		  MSISCSITARGET_EndpointOfNetworkPipe_P_Dependent},
	  .next = pipes_next,
	  .walk = pipes_walk,
	  .fill = pipes_fill}},
	{PV_PIPE_COMPOSITION,
	 {.cls = &cim_class_MSISCSITARGET_NetworkPipeComposition,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {MSISCSITARGET_NetworkPipeComposition_P_GroupComponent,
		  MSISCSITARGET_NetworkPipeComposition_P_PartComponent},
	  .next = composition_next,
	  .walk = composition_walk,
	  .fill = composition_fill}},
};
const struct pv_part pv_sessions = {
	.classes = classes,
	.n_classes = ARRAY_SIZE(classes),
	.assocs = assocs,
	.n_assocs = ARRAY_SIZE(assocs),
};
