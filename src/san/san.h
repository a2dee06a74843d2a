/* SPDX-License-Identifier: Apache-2.0 */
/*
 * san.h - the iSCSI configuration model: one immutable state, its objects, changes
 *
 * A struct san_state is one consistent view of everything: what is configured
 * (durable), what the host's network looks like and what the target reports
 * (measured).  It never changes once published; whoever holds a reference may
 * read it from any thread for as long as he likes.  The next state is built from
 * it by applying a list of changes, and shares with it all that did not change.
 *
 * Objects are counted and immutable too.  A change of an object is another object
 * with the same id.  Texts that answers are made of (an IQN, "addr:port") stand
 * ready in every object that needs them, so that showing one needs no look-ups.
 *
 * The rules that decide what may change are in san/rules.h.  No CIM here, no I/O,
 * no clock, no randomness: those come in as arguments.
 *
 * Depends on: base.  Threads: states and objects are read-only; counts are atomic.
 */
#pragma once

#include <stdatomic.h>

#include "base/err.h"
#include "base/pset.h"

enum {
	SAN_IQN_MAX = 223,       /* bytes, RFC 7143 §4.2.7.2 */
	SAN_AUTHORITY_MAX = 100, /* bytes: leaves room for host and alias */
	SAN_ALIAS_MAX = 128,     /* code points */
	SAN_NAME_MAX = 256,      /* code points: names of volumes and groups */
	SAN_ADDRESS_TEXT = 64,   /* IPv6 with %scope fits */
	SAN_PORTAL_TEXT = 80,    /* "[address]:port" */
	SAN_LUN_MAX = 254,       /* what the SM layer's DeviceNumber allows */
	SAN_DEFAULT_TCP_PORT = 3260,
	SAN_BLOCK_SIZE = 512,
};
#define SAN_VOLUME_UNIT (1ULL << 20) /* sizes are rounded up to this */

/* Text shared by several objects; s is NUL-terminated. */
struct san_str {
	atomic_uint refs;
	uint32_t len;
	char s[];
};
struct san_str *san_str_new(const char *s) MUST_CHECK;
struct san_str *san_str_ref(struct san_str *s);
void san_str_unref(struct san_str *s); /* NULL is fine */

/* ---- objects ---- */

/* In the order in which the target wants them added; removal goes the other way. */
enum san_kind {
	SAN_HOST,     /* measured/configured singletons: */
	SAN_SETTINGS, /* replaced whole */
	SAN_ENGINE,
	SAN_NIC, /* measured */
	SAN_IP,  /* measured */
	SAN_POOL,
	SAN_GROUP,
	SAN_UNIT,
	SAN_NODE,
	SAN_PORT,
	SAN_PORTAL,
	SAN_BINDING,
	SAN_LUN,
	SAN_SESSION, /* measured */
	SAN_FOREIGN, /* measured */
	SAN_KINDS
};

/* Every object starts with this.  ids are given out once and never again; they are
 * 0 for the singletons, NICs, IP addresses and what is others', which have no identity but their
 * name. */
struct san_obj {
	atomic_uint refs;
	enum san_kind kind;
	uint64_t id;
};
void *san_ref(const void *obj); /* any object; returns it */
void san_unref(void *obj);      /* NULL is fine */

/* Are all durable fields of two objects the same?  (TimeOfLastStateChange is left out.) */
bool san_obj_same(const struct san_obj *a, const struct san_obj *b);

/* What an object that can be switched carries (CIM_EnabledLogicalElement). */
struct san_enabled {
	bool on;            /* EnabledState 2 or 3, durable */
	uint16_t requested; /* RequestedState: 2, 3, or 12 (never asked), durable */
	int64_t changed_us; /* TimeOfLastStateChange: any of state or measured status; durable */
};

/* Measured: how an object fares.  Ordered from well to worse. */
enum san_status {
	SAN_OK,
	SAN_DISABLED,          /* switched off, nothing wrong */
	SAN_STARTING,          /* the target has not reported yet */
	SAN_NO_PORTAL,         /* port: nothing is bound to it, nobody can reach it */
	SAN_DEGRADED,          /* port: some of its portals do not serve; portal, IP: see why */
	SAN_LINK_DOWN,         /* NIC, and what stands on it */
	SAN_ADDRESS_TENTATIVE, /* IPv6 duplicate address detection is under way */
	SAN_ADDRESS_DUPLICATE, /* ... and has failed */
	SAN_ADDRESS_GONE,      /* portal: its address has left the host */
	SAN_PORT_IN_USE,       /* portal: another process listens there */
	SAN_FAILED,            /* portal cannot listen, unit's backing store fails: see why */
	SAN_NO_SERVICE,        /* port: none of its portals serves */
	SAN_ENGINE_DOWN,       /* the target does not answer */
};
const char *san_status_text(enum san_status s); /* "address gone" */

struct san_host {
	struct san_obj obj;
	struct san_str *uuid; /* ComputerSystem.Name; lower-case text form, kept in the store */
	struct san_str *name; /* the host's name when asked, for ElementName and IQNs */
};

/* What the configuration decides; not durable. */
struct san_settings {
	struct san_obj obj;
	bool node_creation, port_creation, identifier_selection; /* the three capabilities */
	bool default_portals; /* every address but loopback gets a portal */
	bool loopback;        /* --portal names a loopback address, so they count */
	uint16_t default_tcp_port;
	uint32_t logout_time;      /* seconds given to sessions whose portal or port goes */
	struct san_str *authority; /* normalised, at most SAN_AUTHORITY_MAX bytes:
				      "iqn.2026-11.example" naming authority for CreateiSCSINode */
};

enum san_engine_health { SAN_ENGINE_STARTING, SAN_ENGINE_UP, SAN_ENGINE_DEGRADED, SAN_ENGINE_GONE };
struct san_engine {
	struct san_obj obj;
	enum san_engine_health health;
	struct san_str *kind; /* "user", "fake" */
	struct san_str *why;  /* sentence; empty when well */
	int64_t changed_us;
};

struct san_nic {
	struct san_obj obj;
	struct san_str *name; /* DeviceID */
	char mac[13];         /* 12 upper-case hex digits; zeros for lo */
	bool up, running, loopback;
	uint64_t speed; /* bit/s, 0 = unknown */
	uint32_t mtu;
	enum san_status status;
	int64_t changed_us;
};

struct san_ip {
	struct san_obj obj;
	struct san_str
		*address;    /* canonical (RFC 5952), link-local with %interface; the identity */
	struct san_str *nic; /* name of its interface */
	uint8_t family;      /* 4 or 6 */
	uint8_t prefix_len;
	char mask[16]; /* IPv4: "255.255.255.0"; empty for IPv6 */
	bool loopback;
	enum san_status status;
	int64_t changed_us;
};

struct san_node {
	struct san_obj obj;
	struct san_str *iqn;   /* normalised (RFC 3722); unique */
	struct san_str *alias; /* NFC; unique */
	struct san_enabled enabled;
	int64_t created_us;
};

struct san_port {
	struct san_obj obj;
	uint64_t node;
	uint16_t tpgt;        /* unique within the node */
	char identifier[13];  /* TPGT as 12 upper-case hex digits */
	struct san_str *iqn;  /* the node's */
	struct san_str *name; /* "<iqn>,t,0x0001" */
	uint32_t n_bindings;  /* measured from the bindings */
	struct san_enabled enabled;
	enum san_status status;
	struct san_str *why; /* measured: the target's words when it can't serve the port, or empty */
};

enum san_origin {
	SAN_PORTAL_DEFAULT, /* made for an address or by --portal; goes when neither asks and
			       unbound */
	SAN_PORTAL_HAND,    /* made, moved or switched by a client; only a client deletes it */
};
enum san_listen {
	SAN_LISTEN_UNKNOWN,
	SAN_LISTENING,
	SAN_LISTEN_OFF,
	SAN_LISTEN_IN_USE,
	SAN_LISTEN_NO_ADDRESS,
	SAN_LISTEN_FAILED
};
struct san_portal {
	struct san_obj obj;
	struct san_str *address;
	uint16_t tcp_port;
	uint8_t family;       /* 4 or 6 */
	struct san_str *text; /* "192.0.2.1:3260", "[2001:db8::1]:3260"; unique */
	uint64_t group;       /* member of exactly one */
	enum san_origin origin;
	struct san_enabled enabled;
	/* measured: */
	bool has_ip;            /* bound to the IP endpoint with the same address text */
	enum san_listen listen; /* what the target says */
	struct san_str *why;    /* sentence of the target or empty */
	enum san_status status;
};

struct san_group {
	struct san_obj obj;
	struct san_str *name;
	bool is_default; /* exactly one; can't be deleted */
};

/* A portal serves a port.  Identity: (port, portal). */
struct san_binding {
	struct san_obj obj;
	uint64_t port, portal, node;
	uint16_t tpgt;
	char identifier[13];
	struct san_str *iqn;         /* the node's */
	struct san_str *portal_text; /* the portal's */
};

/*
 * A pool of files is the folder of volumes, drawn from the primordial pool that stands for its
 * file system; there is one of each, always.  A block device that the configuration offers
 * (--device) is a pool that holds one volume, the whole device; the primordial pool of these
 * is there while one of them is.
 */
enum san_pool_kind { SAN_POOL_FILES, SAN_POOL_DEVICES };
struct san_pool {
	struct san_obj obj;
	enum san_pool_kind kind;
	bool primordial;
	struct san_str *name;
	struct san_str *device; /* its path; empty for files and what is primordial */
	/* measured: */
	uint64_t total, free;     /* TotalManagedSpace, RemainingManagedSpace */
	struct san_str *identity; /* what the device says of itself (engine/device.h), or empty */
	struct san_str *why;      /* why the device can't be used, or empty */
};

struct san_unit {
	struct san_obj obj;
	uint64_t pool;
	char naa[17];         /* 16 upper-case hex digits, NAA 3; never reused */
	struct san_str *name; /* ElementName */
	uint64_t size;        /* bytes; of a file a multiple of SAN_VOLUME_UNIT */
	struct san_str *device;   /* the pool's: what it is kept on; empty: a file */
	struct san_str *identity; /* what that device said of itself when the volume was made */
	uint32_t n_luns;      /* measured: nodes that it is attached to */
	enum san_status status;
	struct san_str *why; /* the target's words when its file fails, or empty */
	int64_t created_us, changed_us;
};

/* A unit is a logical unit of a node.  Identity: (node, lun) and (unit, node). */
struct san_lun {
	struct san_obj obj;
	uint64_t node, unit;
	uint16_t lun;
	char number[5]; /* DeviceNumber: upper-case hex, no padding */
	char naa[17];
	struct san_str *iqn; /* the node's */
};

struct san_connection {
	uint16_t cid;
	char peer[SAN_PORTAL_TEXT], local[SAN_PORTAL_TEXT];
	uint32_t max_send, max_recv; /* MaxRecvDataSegmentLength, both ways; 0: not known */
	bool digests_known, header_digest, data_digest;
};
enum { SAN_CONNECTIONS_MAX = 16 };

struct san_session {
	struct san_obj obj; /* id: the target's number of it */
	uint64_t node, port;
	uint16_t tpgt, tsih;
	bool discovery;
	char isid[13]; /* 12 upper-case hex digits */
	struct san_str *iqn, *initiator, *initiator_alias, *auth;
	struct san_str *initiator_port; /* its SCSI name, "<initiator>,i,0x<isid>" */
	int64_t since_us;
	/* negotiated, by their RFC 7143 names */
	uint32_t MaxConnections, MaxOutstandingR2T, ErrorRecoveryLevel, DefaultTime2Wait,
		DefaultTime2Retain, MaxBurstLength, FirstBurstLength;
	bool InitialR2T, ImmediateData, DataPDUInOrder, DataSequenceInOrder;
	uint32_t n_connections;
	struct san_connection connections[];
};

/* Where the target serves others beside us: what another tool has made in it.  It is shown and never
 * touched; no rule changes it, but names are taken by it. */
enum san_foreign_kind { SAN_FOREIGN_TARGET, SAN_FOREIGN_STORE };
struct san_foreign {
	struct san_obj obj;
	enum san_foreign_kind kind;
	struct san_str *name; /* a target's, or "fileio_0/disk"; unique */
	bool serves;          /* switched on */
	struct san_str *at;   /* a line each: of a target "address:port,tag", of a store its path */
	struct san_str *uses; /* of a target: names of its stores, a line each */
};

/* ---- the state ---- */

/* The ways a state is indexed.  One index may be walked whole, or from one owner. */
enum san_index {
	SAN_NODES, /* struct san_node by id */
	SAN_NODES_BY_IQN,
	SAN_NODES_BY_ALIAS,
	SAN_PORTS,              /* struct san_port by id */
	SAN_PORTS_OF_NODE,      /* by (node, tpgt) */
	SAN_PORTALS,            /* struct san_portal by id */
	SAN_PORTALS_BY_TEXT,    /* by (address, tcp_port) */
	SAN_PORTALS_OF_GROUP,   /* by (group, id) */
	SAN_GROUPS,             /* struct san_group by id */
	SAN_BINDINGS_OF_PORT,   /* struct san_binding by (port, portal) */
	SAN_BINDINGS_OF_PORTAL, /* by (portal, node): a portal serves one port of a node */
	SAN_POOLS,              /* struct san_pool by id */
	SAN_UNITS,              /* struct san_unit by id */
	SAN_UNITS_BY_NAA,
	SAN_LUNS_OF_NODE,          /* struct san_lun by (node, lun) */
	SAN_LUNS_OF_UNIT,          /* by (unit, node) */
	SAN_NICS,                  /* struct san_nic by name */
	SAN_IPS,                   /* struct san_ip by address text */
	SAN_IPS_OF_NIC,            /* by (nic name, address) */
	SAN_SESSIONS,              /* struct san_session by id */
	SAN_SESSIONS_OF_PORT,      /* by (port, id) */
	SAN_SESSIONS_OF_NODE,      /* by (node, id) */
	SAN_SESSIONS_OF_INITIATOR, /* by (initiator_port, id) */
	SAN_FOREIGNS,              /* struct san_foreign by name */
	SAN_INDEXES
};

struct san_state {
	atomic_uint refs;
	uint64_t generation;        /* rises with every published state */
	uint64_t config_generation; /* rises with every durable commit; what the target is told */
	uint64_t next_id;           /* the next id to give out, durable */
	struct san_host *host;
	struct san_settings *settings;
	struct san_engine *engine;
	struct pset index[SAN_INDEXES];
};
struct san_state *san_state_ref(const struct san_state *s);
void san_state_unref(struct san_state *s); /* NULL is fine */
DEFINE_AUTO(san_state, san_state_unref)

static inline size_t san_count(const struct san_state *s, enum san_index i)
{
	return s->index[i].count;
}

/*
 * Walk an index: all of it, or what belongs to one owner (the first part of the index's
 * order; for SAN_PORTALS_BY_TEXT, SAN_IPS_OF_NIC and SAN_SESSIONS_OF_INITIATOR that is a
 * text).  Lives in the caller's memory, resumable at any time while the state is held; items are
 * borrowed.
 *
 *	struct san_walk w;
 *	for (const struct san_port *p = san_first_of(&w, s, SAN_PORTS_OF_NODE, node->obj.id); p;
 *	     p = san_next(&w))
 */
struct san_walk {
	struct pset_iter it;
	pset_key_cmp *within; /* NULL: the whole index */
	bool by_text;
	union {
		uint64_t owner;
		const char *text; /* the caller's; must live as long as the walk */
	};
};
const void *san_first(struct san_walk *w, const struct san_state *s, enum san_index i);
const void *san_first_of(struct san_walk *w, const struct san_state *s, enum san_index i,
			 uint64_t owner);
const void *san_first_of_text(struct san_walk *w, const struct san_state *s, enum san_index i,
			      const char *owner);
const void *san_next(struct san_walk *w);

/* Look-ups: borrowed from s, NULL when there is none.  Logarithmic all. */
const struct san_node *san_node(const struct san_state *s, uint64_t id);
const struct san_node *san_node_by_iqn(const struct san_state *s, const char *iqn); /* any case */
const struct san_node *san_node_by_alias(const struct san_state *s, const char *nfc);
const struct san_port *san_port(const struct san_state *s, uint64_t id);
const struct san_port *san_port_at(const struct san_state *s, uint64_t node, uint16_t tpgt);
/* A port by its full name "<iqn>,t,0x<tpgt>" (iqn in any case). */
const struct san_port *san_port_by_name(const struct san_state *s, const char *name);
const struct san_portal *san_portal(const struct san_state *s, uint64_t id);
const struct san_portal *san_portal_at(const struct san_state *s, const char *address,
				       uint16_t tcp_port);
/* By "addr:port" in any spelling that san_address_parse takes. */
const struct san_portal *san_portal_by_text(const struct san_state *s, const char *text);
const struct san_group *san_group(const struct san_state *s, uint64_t id);
const struct san_group *san_default_group(const struct san_state *s); /* never NULL */
const struct san_binding *san_binding(const struct san_state *s, uint64_t port, uint64_t portal);
/* The binding by which a portal serves a node, through whichever port. */
const struct san_binding *san_binding_of_node(const struct san_state *s, uint64_t portal,
					      uint64_t node);
const struct san_pool *san_pool(const struct san_state *s, uint64_t id);
const struct san_pool *san_concrete_pool(const struct san_state *s); /* of files; never NULL */
const struct san_pool *san_pool_of_device(const struct san_state *s, const char *path);
const struct san_unit *san_unit(const struct san_state *s, uint64_t id);
const struct san_unit *san_unit_by_naa(const struct san_state *s, const char *naa); /* any case */
const struct san_lun *san_lun_at(const struct san_state *s, uint64_t node, uint16_t lun);
const struct san_lun *san_lun_of(const struct san_state *s, uint64_t node, uint64_t unit);
const struct san_nic *san_nic(const struct san_state *s, const char *name);
const struct san_ip *san_ip(const struct san_state *s, const char *address); /* canonical text */
const struct san_session *san_session(const struct san_state *s, uint64_t id);
const struct san_foreign *san_foreign(const struct san_state *s, const char *name);
/* A target of another tool's that has this name, in any case; linear. */
const struct san_foreign *san_foreign_target(const struct san_state *s, const char *iqn);

/* ---- names ---- */

/*
 * An address in any legal spelling to canonical text (RFC 5952, no brackets, %scope
 * kept); false when it isn't one.  ret_family: 4 or 6.  IPv4-mapped is refused.
 */
bool san_address_parse(const char *text, char ret[static SAN_ADDRESS_TEXT],
		       uint8_t *ret_family) MUST_CHECK;
bool san_address_is_loopback(const char *canonical);
/* "a.b.c.d:port", "[v6]:port" (port missing: 0); false when malformed. */
bool san_portal_parse(const char *text, char ret_address[static SAN_ADDRESS_TEXT],
		      uint8_t *ret_family, uint32_t *ret_port) MUST_CHECK;
void san_portal_format(char ret[static SAN_PORTAL_TEXT], const char *address, uint8_t family,
		       uint16_t tcp_port);
/* Normalise (stringprep profile iSCSI, RFC 3722) and check (RFC 7143 §4.2.7); -EINVAL + e. */
int san_iqn_check(const char *name, char ret[static SAN_IQN_MAX + 1], struct err *e) MUST_CHECK;
/* 12 hex digits to a TPGT; false when malformed or above 65535. */
bool san_identifier_parse(const char *text, uint16_t *ret_tpgt) MUST_CHECK;

/* ---- changes ---- */

/* One object comes (old NULL), goes (now NULL) or becomes another (both). */
struct san_change {
	enum san_kind kind;
	struct san_obj *old, *now; /* counted */
};

/* What one operation does, in an order in which it can be applied: all or nothing. */
struct san_changes {
	struct san_change *v;
	size_t n, cap;
	bool must_listen;     /* every portal that an added binding names must be listening */
	bool unless_sessions; /* the removed node must have no session logged in */
	bool observed;        /* tells what has happened already: cannot be refused */
};
/* All zero is the empty list. */
void san_changes_done(struct san_changes *c); /* lets go of everything; c is empty afterwards */
#define auto_changes CLEANUP(san_changes_done)
/* Takes over the reference to now; takes one of its own on old.  Either may be NULL. */
void san_changes_add(struct san_changes *c, enum san_kind kind, const void *old, void *now);
/* The list that undoes c, appended to ret. */
void san_changes_invert(const struct san_changes *c, struct san_changes *ret);
/* Does it touch anything that must survive a restart? */
bool san_change_is_durable(const struct san_change *c);
bool san_changes_are_durable(const struct san_changes *c);

/*
 * The next state: s with changes applied, and whatever follows from them (has_ip, status,
 * counts, TimeOfLastStateChange) worked out.  s is consumed when the caller holds the only
 * reference (then it is changed in place, which makes a batch cheap), else copied.
 * ret_effects (may be NULL) gets every object that came, went or became another, in order,
 * consequences included: what indications are made of.
 */
struct san_state *san_apply(struct san_state *s, const struct san_changes *c, int64_t now_us,
			    struct san_changes *ret_effects) MUST_CHECK;

/* A first state: host, settings, group "default", the two pools (ids 1, 2, 3); engine
 * starting.  All arguments are taken over. */
struct san_state *san_state_new(struct san_host *host, struct san_settings *settings,
				int64_t now_us) MUST_CHECK;
/* An empty one, for the store to fill by san_apply: only host and settings. */
struct san_state *san_state_empty(struct san_host *host, struct san_settings *settings) MUST_CHECK;

struct san_host *san_host_new(const char *uuid, const char *name) MUST_CHECK;
struct san_settings *san_settings_new(const char *authority) MUST_CHECK; /* the defaults */

/* Every invariant of the model, the indexes against each other, every derived field.
 * 0, or -EUCLEAN with the sentence that says what is wrong.  Linear: for tests, for the
 * store's start, for debug builds. */
int san_invariants(const struct san_state *s, struct err *e) MUST_CHECK;
