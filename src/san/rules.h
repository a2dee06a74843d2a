/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules.h - what may be changed in the model, and what then changes
 *
 * Every rule is a pure function: a state and a request in, a code and a list of
 * changes out.  The checks run in the documented order and the first that fails
 * decides.  Code 0: ch holds the changes (perhaps none, when all is so already)
 * and *ret is filled.  Any other code: ch is empty, *ret untouched, and e holds the
 * sentence for people: object, rule, way out.
 *
 * A caller may run a rule on any published state to refuse early; what counts is
 * the run on the newest state, by the one writer (control/control.h).
 *
 * Extrinsic methods return their documented code (enum san_code for the ones all
 * share).  Operations that are intrinsic in CIM return enum san_refusal, whose
 * numbers are CIM status codes.  What needs no decision of ours (durable, live)
 * comes back from control.
 *
 * Depends on: base, san.h.  Threads: no state.
 */
#pragma once

#include "san/san.h"

/* Return codes that mean the same for all methods; the others are documented per rule. */
enum san_code {
	SAN_DONE = 0,
	SAN_NOT_SUPPORTED = 1,
	SAN_TIMEOUT = 3,
	SAN_METHOD_FAILED = 4,
	SAN_INVALID = 5,
	SAN_IN_USE = 6,
};

/* Numbers as in DSP0200 CIM status codes. */
enum san_refusal {
	SAN_REFUSED_FAILED = 1,
	SAN_REFUSED_INVALID = 4,
	SAN_REFUSED_NOT_FOUND = 6,
	SAN_REFUSED_NOT_SUPPORTED = 7,
	SAN_REFUSED_EXISTS = 11,
};

/* What a rule may not find out by itself. */
struct san_env {
	int64_t now_us;     /* wall clock */
	uint64_t random[2]; /* fresh random bits for each run */
};

/*
 * A reference in a parameter, as far as it could be resolved.  All zero is NULL.
 * id may have died since: a rule treats an id that it can't find as SAN_REF_MISSING.
 */
enum san_ref_kind {
	SAN_REF_NULL,
	SAN_REF_WRONG_CLASS, /* names an object of a class that the parameter does not take */
	SAN_REF_MISSING,     /* right class, no such object */
	SAN_REF_FOUND,
};
struct san_ref {
	enum san_ref_kind kind;
	bool is_ip;       /* network portals: an IPProtocolEndpoint, not a TCP one */
	uint64_t id;      /* FOUND, and not is_ip */
	const char *text; /* how to call it in a sentence; may be NULL */
};

/* ---- nodes ---- */

/* CreateiSCSINode: 4096 not supported, 5 alias, 4097 alias in use. */
struct san_create_node_in {
	const char *alias; /* UTF-8 or NULL */
};
struct san_created {
	uint64_t id;
};
uint32_t san_create_node(const struct san_state *s, const struct san_env *env,
			 const struct san_create_node_in *in, struct san_changes *ch,
			 struct san_created *ret, struct err *e) MUST_CHECK;

/* CreateInstance of a node with the client's own name.  alias NULL: the name.  Refusals:
 * NOT_SUPPORTED (capability), INVALID (name, alias), EXISTS (name or alias; also when another tool
 * has made a target of that name). */
struct san_create_named_node_in {
	const char *iqn, *alias;
};
uint32_t san_create_named_node(const struct san_state *s, const struct san_env *env,
			       const struct san_create_named_node_in *in, struct san_changes *ch,
			       struct san_created *ret, struct err *e) MUST_CHECK;

/* ModifyInstance of ElementName: INVALID (alias), EXISTS (another node has it), NOT_FOUND. */
uint32_t san_rename_node(const struct san_state *s, uint64_t node, const char *alias,
			 struct san_changes *ch, struct err *e) MUST_CHECK;

/* DeleteiSCSINode: 5, 4096 no such node, 4097 session (also control's answer BUSY). */
struct san_delete_node_in {
	struct san_ref node;
};
uint32_t san_delete_node(const struct san_state *s, const struct san_delete_node_in *in,
			 struct san_changes *ch, struct err *e) MUST_CHECK;

/* ---- ports ---- */

/* CreateiSCSIProtocolEndpoint: 1, 5, 4096 node, 4097 role, 4098 identifier taken, 4099 identifier
 * selection, 4100 no such portal, 4101 portal without address, 4102 portal bound to another
 * port of the node, 4103 more than one group. */
struct san_create_port_in {
	struct san_ref node;
	bool has_role;
	uint16_t role;
	const char *identifier; /* or NULL */
	bool portals_null;      /* the array itself is NULL */
	const struct san_ref *portals;
	size_t n_portals;
};
uint32_t san_create_port(const struct san_state *s, const struct san_env *env,
			 const struct san_create_port_in *in, struct san_changes *ch,
			 struct san_created *ret, struct err *e) MUST_CHECK;

/* BindiSCSIProtocolEndPoint: 5, 4096 port or portal missing, 4097 portal without address, 4098
 * bound to another port of the node, 4099 another group. */
struct san_bind_in {
	struct san_ref port, portal;
};
uint32_t san_bind(const struct san_state *s, const struct san_bind_in *in, struct san_changes *ch,
		  struct err *e) MUST_CHECK;

/* DeleteInstance of the BindsTo between a portal and a port.  Refusal: NOT_FOUND. */
uint32_t san_unbind(const struct san_state *s, uint64_t port, uint64_t portal,
		    struct san_changes *ch, struct err *e) MUST_CHECK;

/* DeleteiSCSIProtocolEndpoint: 5, 4096. */
struct san_delete_port_in {
	struct san_ref port;
};
uint32_t san_delete_port(const struct san_state *s, const struct san_delete_port_in *in,
			 struct san_changes *ch, struct err *e) MUST_CHECK;

/* ---- portals and groups ---- */

/* CreateInstance of a portal: name ("addr:port"), or address and tcp_port; given both, they must
 * agree.  Refusals: INVALID, EXISTS, FAILED (address not on the host). */
struct san_create_portal_in {
	const char *name;    /* or NULL */
	const char *address; /* or NULL */
	bool has_tcp_port;
	uint32_t tcp_port;
};
uint32_t san_create_portal(const struct san_state *s, const struct san_env *env,
			   const struct san_create_portal_in *in, struct san_changes *ch,
			   struct san_created *ret, struct err *e) MUST_CHECK;

/* NOT_FOUND; FAILED while bound, naming ports. */
uint32_t san_delete_portal(const struct san_state *s, uint64_t portal, struct san_changes *ch,
			   struct err *e) MUST_CHECK;

/* INVALID (no or bad name), EXISTS. */
uint32_t san_create_group(const struct san_state *s, const char *name, struct san_changes *ch,
			  struct san_created *ret, struct err *e) MUST_CHECK;
/* INVALID (name), EXISTS, NOT_FOUND; FAILED: "default". */
uint32_t san_rename_group(const struct san_state *s, uint64_t group, const char *name,
			  struct san_changes *ch, struct err *e) MUST_CHECK;
/* NOT_FOUND; FAILED: "default", or not empty. */
uint32_t san_delete_group(const struct san_state *s, uint64_t group, struct san_changes *ch,
			  struct err *e) MUST_CHECK;
/* CreateInstance of MemberOfCollection: moves the portal.  NOT_FOUND, EXISTS (is a member
 * already), FAILED (bound). */
uint32_t san_move_portal(const struct san_state *s, uint64_t group, uint64_t portal,
			 struct san_changes *ch, struct err *e) MUST_CHECK;

/* ---- switching ---- */

/* RequestStateChange of a port, portal or node: 5, 4097 a state other than 2 or 3, 4098 a time-out
 * was asked for.  Asking for the state it has: 0, nothing changes. */
struct san_request_state_in {
	enum san_kind kind; /* SAN_NODE, SAN_PORT or SAN_PORTAL */
	uint64_t id; /* the provider has resolved the object of the call: gone = NOT_FOUND, */
	bool has_requested; /*   as SAN_METHOD_FAILED */
	uint16_t requested;
	bool has_timeout; /* other than NULL and 0 */
};
uint32_t san_request_state(const struct san_state *s, const struct san_env *env,
			   const struct san_request_state_in *in, struct san_changes *ch,
			   struct err *e) MUST_CHECK;

/* ---- volumes ---- */

/* CreateOrModifyElementFromStoragePool: 5, 4097 size (ret->size = the nearest). */
struct san_volume_in {
	const char *name; /* ElementName or NULL */
	bool has_type;
	uint16_t type;
	struct san_ref element; /* TheElement: NULL = create */
	struct san_ref pool;    /* NULL = the concrete pool */
	bool has_size;
	uint64_t size;
};
struct san_volume_out {
	uint64_t id, size; /* on 4097 only size is set */
};
uint32_t san_volume(const struct san_state *s, const struct san_env *env,
		    const struct san_volume_in *in, struct san_changes *ch,
		    struct san_volume_out *ret, struct err *e) MUST_CHECK;

/* ReturnToStoragePool: 5, 6 attached. */
struct san_return_volume_in {
	struct san_ref element;
};
uint32_t san_return_volume(const struct san_state *s, const struct san_return_volume_in *in,
			   struct san_changes *ch, struct err *e) MUST_CHECK;

/* AttachDevice: 5 node or number, 4096 no such volume, 4097 number taken (or none free).
 * ret: the number in use, as text. */
struct san_attach_in {
	struct san_ref node, unit;
	const char *number; /* DeviceNumber or NULL */
};
struct san_attach_out {
	char number[5];
};
uint32_t san_attach(const struct san_state *s, const struct san_attach_in *in,
		    struct san_changes *ch, struct san_attach_out *ret, struct err *e) MUST_CHECK;

/* DetachDevice: 5, 4096 not attached to that node. */
struct san_detach_in {
	struct san_ref node, unit;
};
uint32_t san_detach(const struct san_state *s, const struct san_detach_in *in,
		    struct san_changes *ch, struct err *e) MUST_CHECK;

/* ---- what the host and the target report (for control; they can't be refused) ---- */

struct san_seen_nic {
	const char *name;
	uint8_t mac[6];
	bool up, running, loopback;
	uint64_t speed;
	uint32_t mtu;
};
struct san_seen_ip {
	const char *address; /* canonical, link-local with %nic */
	const char *nic;
	uint8_t family, prefix_len;
	bool tentative, duplicate;
};
struct san_wanted_portal {
	const char *address;
	uint16_t tcp_port;
};
struct san_seen_network {
	const struct san_seen_nic *nics;
	size_t n_nics;
	const struct san_seen_ip *ips;
	size_t n_ips;
	/* --portal: exactly these instead of the default portals; canonical addresses */
	bool has_wanted;
	const struct san_wanted_portal *wanted;
	size_t n_wanted;
	/* Default portals come for every address as if it were new: what was made for it the last
	 * time could not be kept. */
	bool again;
};
/* NICs, IP endpoints and default portals become what the host shows. */
void san_network_seen(const struct san_state *s, const struct san_env *env,
		      const struct san_seen_network *seen, struct san_changes *ch);
/* The target reports a portal / why it can't serve a port (empty: it can) / a unit's health /
 * itself.  Unknown ones are ignored. */
void san_portal_seen(const struct san_state *s, const char *address, uint16_t tcp_port,
		     enum san_listen listen, const char *why, struct san_changes *ch);
void san_port_seen(const struct san_state *s, const char *iqn, uint16_t tpgt, const char *why,
		   struct san_changes *ch);
void san_unit_seen(const struct san_state *s, const char *naa, const char *error,
		   struct san_changes *ch);
void san_engine_seen(const struct san_state *s, const struct san_env *env, const char *kind,
		     enum san_engine_health health, const char *why, struct san_changes *ch);
/* What the target says of a session; node and port are looked up by iqn and tpgt. */
struct san_seen_session {
	uint64_t id;
	const char *iqn;
	uint16_t tpgt, tsih;
	bool discovery;
	const char *initiator, *initiator_alias, *isid, *auth;
	int64_t since_us;
	uint32_t MaxConnections, MaxOutstandingR2T, ErrorRecoveryLevel, DefaultTime2Wait,
		DefaultTime2Retain, MaxBurstLength, FirstBurstLength;
	bool InitialR2T, ImmediateData, DataPDUInOrder, DataSequenceInOrder;
	const struct san_connection *connections;
	size_t n_connections;
};
void san_session_seen(const struct san_state *s, const struct san_seen_session *seen,
		      struct san_changes *ch);
void san_session_gone(const struct san_state *s, uint64_t id, struct san_changes *ch);
void san_sessions_clear(const struct san_state *s, struct san_changes *ch); /* target restarted */
/* Block devices: those that the configuration offers, and the others that pools stand for.  Pools
 * come and go with the former; one that has a volume stays. */
struct san_seen_device {
	const char *path, *identity, *why; /* identity, why: "" when there is none */
	uint64_t size;                     /* bytes */
	bool offered;
};
void san_devices_seen(const struct san_state *s, const struct san_seen_device *seen, size_t n,
		      struct san_changes *ch);
/* What others have made in the target, all of it. */
struct san_seen_foreign {
	enum san_foreign_kind kind;
	bool serves;
	const char *name, *at, *uses; /* as in struct san_foreign */
};
void san_foreign_seen(const struct san_state *s, const struct san_seen_foreign *seen, size_t n,
		      struct san_changes *ch);
/* Space in the pool's file system: total, and what volumes may still be made from. */
void san_space_seen(const struct san_state *s, uint64_t total, uint64_t free_bytes,
		    struct san_changes *ch);
